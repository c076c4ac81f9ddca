#include "lib/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/text.h"
#include "lib/config/value.h"
#include "lib/config/values.h"

struct entry {
    struct rill_value value;
    char *source; /* NULL: the default, or nothing where there is none */
    bool given;
};

struct rill_config {
    const struct rill_option *schema;
    size_t options;
    struct entry entries[];
};

static const struct rill_option no_options[] = {{.name = NULL}};

/* A schema may come with somebody's NF: what is wrong with it is said, not assumed away. */
static int check_option(const struct rill_option *schema, size_t i, struct rill_error *err)
{
    const struct rill_option *option = &schema[i];
    bool numeric = option->type == RILL_OPT_U64 || option->type == RILL_OPT_DOUBLE ||
                   option->type == RILL_OPT_RANGE;
    bool is_enum = option->type == RILL_OPT_ENUM;

    if (option->type > RILL_OPT_LIST)
        return rill_error_set(err, -EINVAL, "schema: %s: no such type: %u", option->name,
                              (unsigned)option->type);
    if (is_enum && (option->choices == NULL || option->choices[0] == '\0'))
        return rill_error_set(err, -EINVAL, "schema: %s: an enum needs choices", option->name);
    numeric |= is_enum && strstr(option->choices, RILL_CHOICE_NUMBER) != NULL;
    if (numeric && !(option->min <= option->max))
        return rill_error_set(err, -EINVAL, "schema: %s: min is above max, or one is no number",
                              option->name);
    for (size_t j = 0; j < i; j++)
        if (strcmp(schema[j].name, option->name) == 0)
            return rill_error_set(err, -EINVAL, "schema: %s: stands there twice", option->name);
    return 0;
}

static int set_default(struct rill_config *config, size_t i, struct rill_error *err)
{
    const struct rill_option *option = &config->schema[i];
    struct rill_error why;
    int rc = check_option(config->schema, i, err);

    if (rc != 0 || option->def == NULL)
        return rc;
    rc = rill_value_read(option, option->def, &config->entries[i].value, &why);
    if (rc != 0)
        return rill_error_set(err, rc, "schema: %s: default: %.400s", option->name, why.text);
    config->entries[i].given = true;
    return 0;
}

struct rill_config *rill_config_create(const struct rill_option *schema, struct rill_error *err)
{
    struct rill_config *config;
    size_t options = 0;

    if (schema == NULL)
        schema = no_options;
    while (schema[options].name != NULL)
        options++;
    config = calloc(1, sizeof(*config) + options * sizeof(config->entries[0]));
    if (config == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for a configuration");
        return NULL;
    }
    config->schema = schema;
    config->options = options;
    for (size_t i = 0; i < options; i++) {
        if (set_default(config, i, err) != 0) {
            rill_config_destroy(config);
            return NULL;
        }
    }
    return config;
}

void rill_config_destroy(struct rill_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->options; i++) {
        if (config->entries[i].given)
            rill_value_clear(&config->schema[i], &config->entries[i].value);
        free(config->entries[i].source);
    }
    free(config);
}

const struct rill_option *rill_config_schema(const struct rill_config *config)
{
    return config->schema;
}

/* NULL: none is like it. */
static const struct rill_option *nearest(const struct rill_config *config, const char *name)
{
    const struct rill_option *best = NULL;
    unsigned best_distance = 0;

    for (const struct rill_option *o = config->schema; o->name != NULL; o++) {
        unsigned distance = rill_edit_distance(name, o->name);

        if (best == NULL || distance < best_distance) {
            best = o;
            best_distance = distance;
        }
    }
    return best != NULL && rill_is_like(name, best->name) ? best : NULL;
}

static int say_unknown(const struct rill_config *config, const char *name, const char *source,
                       struct rill_error *err)
{
    const struct rill_option *like = config->options == 0 ? NULL : nearest(config, name);
    char known[160] = "";
    size_t used = 0;

    if (config->options == 0)
        return rill_error_set(err, -EINVAL, "%s: %s: unknown; there are no options here", source,
                              rill_show(name).text);
    if (like != NULL)
        return rill_error_set(err, -EINVAL, "%s: %s: unknown; the nearest known one is %s", source,
                              rill_show(name).text, like->name);
    for (const struct rill_option *o = config->schema; o->name != NULL && used < sizeof(known); o++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used > 0 ? ", " : "",
                                 o->name);
    if (used >= sizeof(known))
        return rill_error_set(err, -EINVAL, "%s: %s: unknown, and none is like it", source,
                              rill_show(name).text);
    return rill_error_set(err, -EINVAL, "%s: %s: unknown; known: %s", source, rill_show(name).text,
                          known);
}

const struct rill_option *rill_config_find(const struct rill_config *config, const char *name,
                                           const char *source, struct rill_error *err)
{
    const struct rill_option *o = config->schema;

    while (o->name != NULL && strcmp(o->name, name) != 0)
        o++;
    if (o->name != NULL)
        return o;
    say_unknown(config, name, source, err);
    return NULL;
}

/* Puts the new value in the old one's place, or frees it if that can't be done. */
static int take(struct rill_config *config, const struct rill_option *option,
                struct rill_value *value, const char *source, struct rill_error *err)
{
    struct entry *entry = &config->entries[option - config->schema];
    char *copy = strdup(source);

    if (copy == NULL) {
        rill_value_clear(option, value);
        return rill_error_set(err, -ENOMEM, "%s: %s: no memory", source, option->name);
    }
    if (entry->given)
        rill_value_clear(option, &entry->value);
    free(entry->source);
    entry->value = *value;
    entry->source = copy;
    entry->given = true;
    return 0;
}

int rill_config_set(struct rill_config *config, const char *name, const char *text,
                    const char *source, struct rill_error *err)
{
    const struct rill_option *option = rill_config_find(config, name, source, err);
    struct rill_value value = {0};
    struct rill_error why;
    int rc;

    if (option == NULL)
        return -EINVAL;
    rc = rill_value_read(option, text, &value, &why);
    if (rc != 0)
        return rill_error_set(err, rc, "%s: %s: %.*s", source, name, (int)sizeof(why.text),
                              why.text);
    return take(config, option, &value, source, err);
}

int rill_config_set_items(struct rill_config *config, const char *name, const char *const *items,
                          size_t count, const char *source, struct rill_error *err)
{
    const struct rill_option *option = rill_config_find(config, name, source, err);
    struct rill_value value = {0};
    struct rill_error why;
    int rc;

    if (option == NULL)
        return -EINVAL;
    if (option->type != RILL_OPT_LIST)
        return rill_error_set(err, -EINVAL, "%s: %s: a list where one value belongs", source, name);
    rc = rill_value_read_items(items, count, &value, &why);
    if (rc != 0)
        return rill_error_set(err, rc, "%s: %s: %.*s", source, name, (int)sizeof(why.text),
                              why.text);
    return take(config, option, &value, source, err);
}

int rill_config_set_pair(struct rill_config *config, const char *pair, struct rill_error *err)
{
    const char *equals = strchr(pair, '=');
    char *name;
    int rc;

    if (equals == NULL || equals == pair)
        return rill_error_set(err, -EINVAL, "--set: %s: give it as NAME=VALUE",
                              rill_show(pair).text);
    name = strndup(pair, (size_t)(equals - pair));
    if (name == NULL)
        return rill_error_set(err, -ENOMEM, "--set: no memory");
    rc = rill_config_set(config, name, equals + 1, "--set", err);
    free(name);
    return rc;
}

int rill_config_complete(const struct rill_config *config, struct rill_error *err)
{
    for (size_t i = 0; i < config->options; i++)
        if (!config->entries[i].given)
            return rill_error_set(err, -EINVAL, "%s: must be given, it has no default (%s)",
                                  config->schema[i].name, config->schema[i].doc);
    return 0;
}

static __attribute__((noreturn)) void bug(const char *name, const char *what)
{
    fprintf(stderr, "rill: bug: option %s: %s\n", name, what);
    abort();
}

static size_t index_of(const struct rill_config *config, const char *name)
{
    for (size_t i = 0; i < config->options; i++)
        if (strcmp(config->schema[i].name, name) == 0)
            return i;
    bug(name, "read, but not in the schema");
}

static const struct rill_value *value_of(const struct rill_config *config, const char *name,
                                         enum rill_option_type type)
{
    size_t i = index_of(config, name);

    if (config->schema[i].type != type)
        bug(name, "read as another type than its own");
    if (!config->entries[i].given)
        bug(name, "read, but has no value");
    return &config->entries[i].value;
}

bool rill_config_bool(const struct rill_config *config, const char *name)
{
    return value_of(config, name, RILL_OPT_BOOL)->boolean;
}

uint64_t rill_config_u64(const struct rill_config *config, const char *name)
{
    return value_of(config, name, RILL_OPT_U64)->u64;
}

double rill_config_double(const struct rill_config *config, const char *name)
{
    return value_of(config, name, RILL_OPT_DOUBLE)->number;
}

const char *rill_config_string(const struct rill_config *config, const char *name)
{
    return value_of(config, name, RILL_OPT_STRING)->string;
}

unsigned rill_config_enum(const struct rill_config *config, const char *name)
{
    return value_of(config, name, RILL_OPT_ENUM)->choice;
}

uint64_t rill_config_enum_number(const struct rill_config *config, const char *name)
{
    return value_of(config, name, RILL_OPT_ENUM)->choice_number;
}

void rill_config_range(const struct rill_config *config, const char *name, uint64_t *low,
                       uint64_t *high)
{
    const struct rill_value *value = value_of(config, name, RILL_OPT_RANGE);

    *low = value->range.low;
    *high = value->range.high;
}

size_t rill_config_list(const struct rill_config *config, const char *name,
                        const char *const **items)
{
    const struct rill_value *value = value_of(config, name, RILL_OPT_LIST);

    *items = (const char *const *)value->list.items;
    return value->list.count;
}

const char *rill_config_source(const struct rill_config *config, const char *name)
{
    const struct entry *entry = &config->entries[index_of(config, name)];

    if (entry->source != NULL)
        return entry->source;
    return entry->given ? "default" : "missing";
}

const char *rill_config_text(const struct rill_config *config, const char *name, char *buf,
                             size_t bytes)
{
    size_t i = index_of(config, name);

    if (config->entries[i].given)
        rill_value_write(&config->schema[i], &config->entries[i].value, buf, bytes);
    else
        snprintf(buf, bytes, "%s", "");
    return buf;
}
