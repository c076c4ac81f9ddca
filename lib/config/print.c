#include "lib/config/config.h"

#include <string.h>

#include "lib/config/value.h"

enum { COLUMNS = 6, CELL_BYTES = 64, GAP = 2 };
enum column { NAME, VALUE, UNIT, TAKES, DEFAULT, SOURCE };

struct row {
    char cells[COLUMNS][CELL_BYTES];
    bool takes_cut; /* too long for its column: it goes below */
};

static const struct row head = {.cells = {"NAME", "VALUE", "UNIT", "ALLOWED", "DEFAULT", "SOURCE"}};
static const size_t widest[COLUMNS] = {40, 20, 10, 23, 16, 22};

/* Cut at the end, "..." there; a source is cut in front, where the less telling part of it is. */
static bool fill(struct row *row, enum column column, const char *text)
{
    size_t bytes = strlen(text), width = widest[column];
    char *cell = row->cells[column];

    if (bytes <= width) {
        snprintf(cell, CELL_BYTES, "%s", text);
        return false;
    }
    if (column == SOURCE)
        snprintf(cell, CELL_BYTES, "...%s", text + bytes - (width - 3));
    else
        snprintf(cell, CELL_BYTES, "%.*s...", (int)width - 3, text);
    return true;
}

static void make_row(const struct rill_config *config, const struct rill_option *option,
                     struct row *row)
{
    char text[512];

    fill(row, NAME, option->name);
    fill(row, VALUE, rill_config_text(config, option->name, text, sizeof(text)));
    fill(row, UNIT, option->unit != NULL ? option->unit : "");
    rill_option_takes(option, text, sizeof(text));
    row->takes_cut = fill(row, TAKES, text);
    fill(row, DEFAULT, option->def != NULL ? option->def : "-");
    fill(row, SOURCE, rill_config_source(config, option->name));
}

static void widen(const struct row *row, size_t *widths)
{
    for (int i = 0; i < COLUMNS; i++)
        if (strlen(row->cells[i]) > widths[i])
            widths[i] = strlen(row->cells[i]);
}

static void print_row(const struct row *row, const size_t *widths, FILE *out)
{
    for (int i = 0; i < COLUMNS - 1; i++)
        fprintf(out, "%-*s", (int)widths[i] + GAP, row->cells[i]);
    fprintf(out, "%s\n", row->cells[COLUMNS - 1]);
}

void rill_config_print(const struct rill_config *config, FILE *out)
{
    const struct rill_option *schema = rill_config_schema(config);
    size_t widths[COLUMNS] = {0};
    struct row row;
    char choices[256];

    widen(&head, widths);
    for (const struct rill_option *o = schema; o->name != NULL; o++) {
        make_row(config, o, &row);
        widen(&row, widths);
    }
    print_row(&head, widths, out);
    for (const struct rill_option *o = schema; o->name != NULL; o++) {
        make_row(config, o, &row);
        print_row(&row, widths, out);
        fprintf(out, "    %s\n", o->doc != NULL ? o->doc : "");
        if (o->choices != NULL &&
            (row.takes_cut || strstr(o->choices, RILL_CHOICE_NUMBER) != NULL)) {
            rill_option_choices(o, choices, sizeof(choices));
            fprintf(out, "    one of %s\n", choices);
        }
    }
}
