#include "nfs/ids/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfs/ids/rules_internal.h"

enum { VARIABLES_MAX = 256 };

struct file {
    const struct ids_rules_input *input;
    struct ids_rules *rules;
    struct ids_names names;
    char *line; /* the one at hand */
    char *error;
    uint32_t seen; /* rules, taken or not */
};

/* --- variables -------------------------------------------------------------------------------- */

static const char *find_in(const struct ids_variable *variables, size_t n, const char *name,
                           size_t bytes)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(variables[i].name, name, bytes) == 0 && variables[i].name[bytes] == '\0')
            return variables[i].value;
    return NULL;
}

const char *ids_names_find(const struct ids_names *names, const char *name, size_t bytes)
{
    const char *value = find_in(names->set, names->n_set, name, bytes);

    return value != NULL ? value : find_in(names->given, names->n_given, name, bytes);
}

/* "ipvar HOME_NET [10.0.0.0/8]"; 1: it is none, 0, or -1 with the error. */
static int read_variable(struct file *f, char *line)
{
    static const char *const words[] = {"ipvar ", "portvar ", "var "};
    struct ids_variable *v;
    char *name = NULL, *value;

    for (size_t i = 0; i < 3 && name == NULL; i++)
        if (strncmp(line, words[i], strlen(words[i])) == 0)
            name = ids_trim(line + strlen(words[i]));
    if (name == NULL)
        return 1;
    value = name + strcspn(name, " \t");
    if (*value != '\0')
        *value++ = '\0';
    value = ids_trim(value);
    if (*name == '\0' || *value == '\0' || f->seen > 0 || f->names.n_set == VARIABLES_MAX ||
        find_in(f->names.set, f->names.n_set, name, strlen(name)) != NULL) {
        snprintf(f->error, IDS_ERROR_BYTES,
                 "a variable is set once, before the first rule, as in: ipvar HOME_NET 10.0.0.0/8");
        return -1;
    }
    v = ids_grow(&f->names.set, (uint32_t)f->names.n_set, sizeof(*v));
    if (v == NULL)
        return -1;
    f->names.n_set++;
    *v = (struct ids_variable){strdup(name), strdup(value)};
    return v->name != NULL && v->value != NULL ? 0 : -1;
}

static void free_names(struct ids_names *names)
{
    for (size_t i = 0; i < names->n_set; i++) {
        free((char *)(uintptr_t)names->set[i].name);
        free((char *)(uintptr_t)names->set[i].value);
    }
    free(names->set);
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool read_action(char **text, enum ids_action *action, char *why)
{
    size_t n = strcspn(*text, " \t");

    if (n == 5 && strncmp(*text, "alert", n) == 0)
        *action = IDS_ALERT;
    else if (n == 4 && strncmp(*text, "drop", n) == 0)
        *action = IDS_DROP;
    else {
        snprintf(why, IDS_WHY_BYTES, "action '%.*s'", (int)(n < 20 ? n : 20), *text);
        return false;
    }
    *text = ids_trim(*text + n);
    return true;
}

static bool find_header(struct file *f, const char *text, uint32_t *index, char *why)
{
    struct ids_header header, *place;

    for (*index = 0; *index < f->rules->n_headers; (*index)++)
        if (strcmp(f->rules->headers[*index].text, text) == 0)
            return true;
    if (!ids_header_read(&header, text, &f->names, why))
        return false;
    place = ids_grow(&f->rules->headers, f->rules->n_headers, sizeof(*place));
    if (place == NULL) {
        ids_header_free(&header);
        return false;
    }
    *place = header;
    f->rules->n_headers++;
    return true;
}

/* Cuts "header ( options )" in two. NULL if it is not of that form. */
static char *cut_options(char *text)
{
    char *open = strchr(text, '('), *close = strrchr(text, ')');

    if (open == NULL || close == NULL || close < open || close[1] != '\0')
        return NULL;
    *open = *close = '\0';
    return open + 1;
}

static void note_rule(struct ids_rules *rules, struct ids_header *h, const struct ids_rule *rule)
{
    bool apart = h->any_proto || h->proto == RILL_ICMP;

    rules->has_tests = rules->has_tests || rule->n_tests > 0;
    if (rule->bare)
        h->has_bare = true;
    else if (h->proto != RILL_UDP && !rule->stream)
        h->has_packet = true;
    else if (rule->plain)
        h->has_plain = true;
    else
        h->has_windowed = true;
    rules->apart_bare = rules->apart_bare || (apart && rule->bare);
    rules->apart_packet = rules->apart_packet || (apart && !rule->bare);
}

static bool read_rule(struct file *f, char *text, struct ids_rule *rule, char *why)
{
    char *options;
    struct ids_header *header;

    if (!read_action(&text, &rule->action, why))
        return false;
    options = cut_options(text);
    if (options == NULL) {
        snprintf(why, IDS_WHY_BYTES, "a rule is ACTION HEADER (OPTIONS)");
        return false;
    }
    if (!find_header(f, ids_trim(text), &rule->header, why))
        return false;
    header = &f->rules->headers[rule->header];
    if (!ids_options_read(rule, header, options, why))
        return false;
    note_rule(f->rules, header, rule);
    return true;
}

static bool add_rule(struct file *f, char *text, unsigned line)
{
    char why[IDS_WHY_BYTES] = "no memory";
    struct ids_rules *rules = f->rules;
    struct ids_rule rule = {.msg = NULL}, *place;

    f->seen++;
    if (!read_rule(f, text, &rule, why)) {
        ids_rule_free(&rule);
        rules->skipped++;
        f->input->skip(f->input->arg, line, why);
        return true;
    }
    place = ids_grow(&rules->rules, rules->n_rules, sizeof(*place));
    if (place == NULL) {
        ids_rule_free(&rule);
        return false;
    }
    *place = rule;
    rules->n_rules++;
    return true;
}

/* --- the text --------------------------------------------------------------------------------- */

/* The next line, at `at`: those that end with a backslash joined with the one after it, bytes that
 * are zero become '?'. *first is its number, *line that of its last part. */
static void next_line(struct file *f, size_t *at, unsigned *line, unsigned *first)
{
    const char *text = f->input->text;
    size_t n = 0;

    *first = *line + 1;
    for (; *at < f->input->bytes; (*at)++) {
        if (text[*at] != '\n') {
            f->line[n++] = text[*at] != '\0' ? text[*at] : '?';
            continue;
        }
        (*line)++;
        n -= n > 0 && f->line[n - 1] == '\r';
        if (n == 0 || f->line[n - 1] != '\\')
            break;
        f->line[n - 1] = ' ';
    }
    (*at)++;
    f->line[n] = '\0';
}

static bool read_line(struct file *f, char *text, unsigned line)
{
    text = ids_trim(text);
    if (*text == '\0' || *text == '#')
        return true;
    switch (read_variable(f, text)) {
    case 0:
        return true;
    case 1:
        return add_rule(f, text, line);
    default:
        return false;
    }
}

static bool read_text(struct file *f, unsigned *line)
{
    size_t at = 0;
    unsigned count = 0;

    while (at < f->input->bytes) {
        next_line(f, &at, &count, line);
        if (!read_line(f, f->line, *line))
            return false;
    }
    *line = 0;
    if (f->rules->n_rules == 0 && f->seen > 0) {
        snprintf(f->error, IDS_ERROR_BYTES, "none of the %u rules can be used", f->seen);
        return false;
    }
    return true;
}

/* --- patterns --------------------------------------------------------------------------------- */

static int compare_contents(const struct ids_content *a, const struct ids_content *b)
{
    if (a->nocase != b->nocase)
        return a->nocase ? 1 : -1;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->length);
}

static int compare_rules(const void *a, const void *b, void *arg)
{
    const struct ids_rule *rules = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    int order =
        compare_contents(&rules[i].contents[rules[i].fast], &rules[k].contents[rules[k].fast]);

    return order != 0 ? order : i < k ? -1 : 1;
}

/* The rules' fast contents, each once, and who has which. */
static bool collect_patterns(struct ids_rules *r)
{
    uint32_t n = 0; /* rules with one */

    r->of_pattern = calloc(r->n_rules + 1, sizeof(uint32_t));
    r->first_rule = calloc(r->n_rules + 1, sizeof(uint32_t));
    r->bare = calloc(r->n_rules + 1, sizeof(uint32_t));
    r->patterns = calloc(r->n_rules + 1, sizeof(r->patterns[0]));
    if (r->of_pattern == NULL || r->first_rule == NULL || r->bare == NULL || r->patterns == NULL)
        return false;
    for (uint32_t i = 0; i < r->n_rules; i++) {
        if (r->rules[i].bare)
            r->bare[r->n_bare++] = i;
        else
            r->of_pattern[n++] = i;
    }
    qsort_r(r->of_pattern, n, sizeof(uint32_t), compare_rules, r->rules);
    for (uint32_t i = 0; i < n; i++) {
        const struct ids_rule *rule = &r->rules[r->of_pattern[i]];
        const struct ids_content *c = &rule->contents[rule->fast];
        const struct ids_rule *before = i > 0 ? &r->rules[r->of_pattern[i - 1]] : NULL;

        if (before != NULL && compare_contents(c, &before->contents[before->fast]) == 0)
            continue;
        r->first_rule[r->n_patterns] = i;
        r->patterns[r->n_patterns++] = (struct ids_pattern){c->bytes, c->length, c->nocase};
    }
    r->first_rule[r->n_patterns] = n;
    return true;
}

struct ids_rules *ids_rules_read(const struct ids_rules_input *input, unsigned *line,
                                 char error[IDS_ERROR_BYTES])
{
    struct file f = {
        .input = input,
        .names = {.given = input->variables, .n_given = input->n_variables},
        .error = error,
    };
    bool ok;

    *line = 0;
    snprintf(error, IDS_ERROR_BYTES, "no memory");
    f.rules = calloc(1, sizeof(*f.rules));
    f.line = malloc(input->bytes + 1);
    ok = f.rules != NULL && f.line != NULL && read_text(&f, line) && collect_patterns(f.rules);
    free(f.line);
    free_names(&f.names);
    if (ok)
        return f.rules;
    ids_rules_free(f.rules);
    return NULL;
}

void ids_rules_free(struct ids_rules *r)
{
    if (r == NULL)
        return;
    for (uint32_t i = 0; i < r->n_headers; i++)
        ids_header_free(&r->headers[i]);
    for (uint32_t i = 0; i < r->n_rules; i++)
        ids_rule_free(&r->rules[i]);
    free(r->headers);
    free(r->rules);
    free(r->patterns);
    free(r->bare);
    free(r->of_pattern);
    free(r->first_rule);
    free(r);
}
