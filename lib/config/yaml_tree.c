#include "lib/config/yaml_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/config/text.h"
#include "lib/config/value.h"

enum { NF_BYTES = 4095 };

enum state { START, TOP_KEY, TOP_VALUE, SECTION_KEY, SECTION_VALUE, ITEM, END };

/* Where in the file the reader is. `key` is the one whose value is read, "" where there is none. */
struct reader {
    struct rill_yaml_tree *tree;
    struct rill_error *err;
    enum state state;
    enum rill_yaml_section section;
    bool top_is_nf;
    const char *key;
    size_t key_line;
};

static const char *const section_names[] = {"settings", "config", "cluster"};

/* What may stand at the top of a file of each kind. */
static const struct kind {
    const char *what, *begins;
    bool has_nf;
    enum rill_yaml_section first, last;
} kinds[] = {
    [RILL_YAML_DEPLOYMENT_FILE] = {"deployment file", "nf: NAME", true, RILL_YAML_SETTINGS,
                                   RILL_YAML_CONFIG},
    [RILL_YAML_CLUSTER_FILE] = {"cluster file", "cluster:", false, RILL_YAML_CLUSTER,
                                RILL_YAML_CLUSTER},
};

const char *rill_yaml_section_name(enum rill_yaml_section section)
{
    return section_names[section];
}

__attribute__((format(printf, 3, 4))) static int fail(const struct reader *r, size_t line,
                                                      const char *format, ...)
{
    struct rill_error what;
    va_list args;

    va_start(args, format);
    vsnprintf(what.text, sizeof(what.text), format, args);
    va_end(args);
    return rill_error_set(r->err, -EINVAL, "%s:%zu: %s%s%.*s", r->tree->name, line,
                          rill_show(r->key).text, r->key[0] != '\0' ? ": " : "",
                          (int)sizeof(what.text), what.text);
}

static const struct kind *kind_of(const struct reader *r)
{
    return &kinds[r->tree->kind];
}

static int no_memory(const struct reader *r)
{
    return rill_error_set(r->err, -ENOMEM, "%s: no memory to read it", r->tree->name);
}

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static const char *text_of(const yaml_event_t *event)
{
    return (const char *)event->data.scalar.value;
}

/* YAML's ways to say "nothing". */
static bool is_nothing(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(text_of(event), words[i]) == 0)
            return true;
    return false;
}

/* What is refused wherever it stands. */
static int check_decoration(const struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_ALIAS_EVENT)
        return fail(r, line_of(event), "an alias (*%s); write the value itself",
                    rill_show((const char *)event->data.alias.anchor).text);
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        if (memchr(event->data.scalar.value, 0, event->data.scalar.length) != NULL)
            return fail(r, line_of(event), "a NUL byte (\\0) in the text; leave it out");
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL)
        return fail(r, line_of(event), "an anchor (&%s); write the value without it",
                    rill_show((const char *)anchor).text);
    if (tag != NULL)
        return fail(r, line_of(event), "a tag (%s); write the value without it",
                    rill_show((const char *)tag).text);
    return 0;
}

static int read_start(struct reader *r, const yaml_event_t *event)
{
    if (event->type == YAML_STREAM_START_EVENT || event->type == YAML_DOCUMENT_START_EVENT)
        return 0;
    if (event->type == YAML_STREAM_END_EVENT || is_nothing(event))
        return fail(r, 1, "empty; a %s holds at least \"%s\"", kind_of(r)->what,
                    kind_of(r)->begins);
    if (event->type != YAML_MAPPING_START_EVENT)
        return fail(r, line_of(event), "not a mapping; begin with \"%s\"", kind_of(r)->begins);
    r->state = TOP_KEY;
    return 0;
}

static const char *nearest_top(const struct kind *kind, const char *key)
{
    const char *best = kind->has_nf ? "nf" : section_names[kind->first];

    for (unsigned i = kind->first; i <= kind->last; i++)
        if (rill_edit_distance(key, section_names[i]) < rill_edit_distance(key, best))
            best = section_names[i];
    return best;
}

static int doubled(const struct reader *r, size_t line, const char *key, size_t first_line)
{
    return fail(r, line, "%s: a doubled key; it stands on line %zu already", rill_show(key).text,
                first_line);
}

static int unknown_top(const struct reader *r, size_t line, const char *key)
{
    const struct kind *kind = kind_of(r);
    const char *like = nearest_top(kind, key);
    char known[128] = "";

    if (rill_is_like(key, like))
        return fail(r, line, "%s: unknown; the nearest known one is %s", rill_show(key).text, like);
    for (unsigned i = kind->first; i <= kind->last; i++)
        snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
                 kind->has_nf || i > kind->first ? ", " : "", section_names[i]);
    return fail(r, line, "%s: unknown; known: %s%s", rill_show(key).text, kind->has_nf ? "nf" : "",
                known);
}

static int read_top_key(struct reader *r, const yaml_event_t *event)
{
    const struct kind *kind = kind_of(r);
    size_t line = line_of(event);
    unsigned i;

    r->key = "";
    if (event->type == YAML_MAPPING_END_EVENT) {
        r->state = END;
        return 0;
    }
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, line, "a list or mapping where a key belongs");
    r->state = TOP_VALUE;
    r->top_is_nf = kind->has_nf && strcmp(text_of(event), "nf") == 0;
    if (r->top_is_nf) {
        if (r->tree->nf != NULL)
            return doubled(r, line, "nf", r->key_line);
        r->key = "nf";
        r->key_line = line; /* only of "nf": sections remember their own */
        return 0;
    }
    for (i = kind->first; i <= kind->last; i++)
        if (strcmp(text_of(event), section_names[i]) == 0)
            break;
    if (i > kind->last)
        return unknown_top(r, line, text_of(event));
    if (r->tree->section_line[i] != 0)
        return doubled(r, line, section_names[i], r->tree->section_line[i]);
    r->section = (enum rill_yaml_section)i;
    r->tree->section_line[i] = line;
    r->key = section_names[i];
    return 0;
}

static int read_nf(struct reader *r, const yaml_event_t *event)
{
    size_t line = line_of(event);

    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, line, "a list or mapping where the name of an NF belongs");
    if (is_nothing(event) || event->data.scalar.length == 0)
        return fail(r, r->key_line, "no value; give the name of an NF or the path of its file");
    if (event->data.scalar.length > NF_BYTES || !rill_text_is_plain(text_of(event)))
        return fail(r, line, "neither a name nor a path: too long, or with control characters");
    r->tree->nf = strdup(text_of(event));
    r->state = TOP_KEY;
    return r->tree->nf != NULL ? 0 : no_memory(r);
}

static int read_top_value(struct reader *r, const yaml_event_t *event)
{
    if (r->top_is_nf)
        return read_nf(r, event);
    r->state = event->type == YAML_MAPPING_START_EVENT ? SECTION_KEY : TOP_KEY;
    if (event->type == YAML_MAPPING_START_EVENT || is_nothing(event))
        return 0;
    return fail(r, line_of(event), "not a mapping; write lines of \"NAME: VALUE\" below it");
}

static int read_section_key(struct reader *r, const yaml_event_t *event)
{
    struct rill_yaml_tree *tree = r->tree;
    struct rill_yaml_entry *entry = &tree->entries[tree->count];

    r->key = "";
    if (event->type == YAML_MAPPING_END_EVENT) {
        r->state = TOP_KEY;
        return 0;
    }
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, line_of(event), "a list or mapping where a key belongs");
    for (size_t i = 0; i < tree->count; i++)
        if (tree->entries[i].section == r->section &&
            strcmp(tree->entries[i].key, text_of(event)) == 0)
            return doubled(r, line_of(event), text_of(event), tree->entries[i].key_line);
    if (tree->count == RILL_YAML_KEYS_MAX)
        return fail(r, line_of(event), "more than %d keys; no NF has so many options",
                    RILL_YAML_KEYS_MAX);
    entry->key = strdup(text_of(event));
    if (entry->key == NULL)
        return no_memory(r);
    entry->section = r->section;
    entry->key_line = line_of(event);
    tree->count++;
    r->key = entry->key;
    r->state = SECTION_VALUE;
    return 0;
}

static int read_section_value(struct reader *r, const yaml_event_t *event)
{
    struct rill_yaml_entry *entry = &r->tree->entries[r->tree->count - 1];

    entry->line = line_of(event);
    if (event->type == YAML_MAPPING_START_EVENT)
        return fail(r, entry->line, "a mapping where a value belongs");
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        entry->is_list = true;
        r->state = ITEM;
        return 0;
    }
    r->state = SECTION_KEY;
    if (is_nothing(event))
        return 0;
    entry->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    entry->text = strdup(text_of(event));
    return entry->text != NULL ? 0 : no_memory(r);
}

/* Checked here, where its line is known: whatever the schema, an item is a string. */
static int check_item(const struct reader *r, const yaml_event_t *event)
{
    static const struct rill_option list = {.name = "", .type = RILL_OPT_LIST};
    const char *text = text_of(event);
    struct rill_value value;
    struct rill_error why;

    if (is_nothing(event))
        return fail(r, line_of(event), "an empty item; write it in quotes or leave it out");
    if (rill_value_read_items(&text, 1, &value, &why) != 0)
        return fail(r, line_of(event), "%s", why.text);
    rill_value_clear(&list, &value);
    return 0;
}

static int read_item(struct reader *r, const yaml_event_t *event)
{
    struct rill_yaml_entry *entry = &r->tree->entries[r->tree->count - 1];
    int rc;

    if (event->type == YAML_SEQUENCE_END_EVENT) {
        r->state = SECTION_KEY;
        return 0;
    }
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, line_of(event), "a list or mapping where an item of a list belongs");
    rc = check_item(r, event);
    if (rc != 0)
        return rc;
    if (entry->count == entry->room) {
        size_t room = entry->room > 0 ? entry->room * 2 : 16;
        char **items = reallocarray(entry->items, room, sizeof(items[0]));

        if (items == NULL)
            return no_memory(r);
        entry->items = items;
        entry->room = room;
    }
    entry->items[entry->count] = strdup(text_of(event));
    return entry->items[entry->count++] != NULL ? 0 : no_memory(r);
}

static int read_end(const struct reader *r, const yaml_event_t *event)
{
    if (event->type == YAML_DOCUMENT_START_EVENT)
        return fail(r, line_of(event), "a second document; a %s holds one", kind_of(r)->what);
    if (event->type != YAML_STREAM_END_EVENT)
        return 0;
    if (kind_of(r)->has_nf && r->tree->nf == NULL)
        return fail(r, 1, "nf: missing; say which NF, as \"nf: NAME\"");
    if (!kind_of(r)->has_nf && r->tree->section_line[kind_of(r)->first] == 0)
        return fail(r, 1, "%s: missing; it holds all that a %s says",
                    section_names[kind_of(r)->first], kind_of(r)->what);
    return 0;
}

static int read_event(struct reader *r, const yaml_event_t *event)
{
    int rc = check_decoration(r, event);

    if (rc != 0)
        return rc;
    switch (r->state) {
    case START:
        return read_start(r, event);
    case TOP_KEY:
        return read_top_key(r, event);
    case TOP_VALUE:
        return read_top_value(r, event);
    case SECTION_KEY:
        return read_section_key(r, event);
    case SECTION_VALUE:
        return read_section_value(r, event);
    case ITEM:
        return read_item(r, event);
    case END:
        return read_end(r, event);
    }
    return 0;
}

/* libyaml says where it gave up and what it was reading then. For a token that never ends, where it
 * begins is the line to look at. */
static int not_yaml(struct reader *r, const yaml_parser_t *parser)
{
    const char *context = parser->context != NULL ? parser->context : "";
    const char *problem = parser->problem != NULL ? parser->problem : "unknown problem";
    bool scanning = strncmp(context, "while scanning a", 16) == 0;
    size_t line = (scanning ? parser->context_mark.line : parser->problem_mark.line) + 1;
    const char *hint = "";

    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    if (r->state != TOP_VALUE && r->state != SECTION_VALUE && r->state != ITEM)
        r->key = ""; /* its value has been read: it is not at fault */
    if (strstr(problem, "cannot start any token") != NULL)
        hint =
            "; indent with spaces, not tabs, and quote text that begins with a special character";
    return fail(r, line, "not YAML: %s%s%s%s", problem, context[0] != '\0' ? " " : "", context,
                hint);
}

static int read_events(struct reader *r, yaml_parser_t *parser)
{
    bool done = false;
    int rc = 0;

    while (!done && rc == 0) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event))
            return not_yaml(r, parser);
        done = event.type == YAML_STREAM_END_EVENT;
        rc = read_event(r, &event);
        yaml_event_delete(&event);
    }
    return rc;
}

int rill_yaml_tree_read(struct rill_yaml_tree *tree, const char *text, size_t bytes,
                        struct rill_error *err)
{
    struct reader r = {.tree = tree, .err = err, .key = ""};
    yaml_parser_t parser;
    int rc;

    /* One more than ever is counted: the next entry is looked at before the count is checked. */
    tree->entries = calloc(RILL_YAML_KEYS_MAX + 1, sizeof(tree->entries[0]));
    if (tree->entries == NULL || !yaml_parser_initialize(&parser))
        return no_memory(&r);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    rc = read_events(&r, &parser);
    yaml_parser_delete(&parser);
    return rc;
}

void rill_yaml_tree_clear(struct rill_yaml_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        struct rill_yaml_entry *entry = &tree->entries[i];

        for (size_t j = 0; j < entry->count; j++)
            free(entry->items[j]);
        free(entry->items);
        free(entry->text);
        free(entry->key);
    }
    free(tree->entries);
    free(tree->nf);
}
