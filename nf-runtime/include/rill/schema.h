/* A schema: the one table from which a setting's type, range, default and documentation come.
 *
 * Rill's own settings and every NF's configuration are described by an array of struct rill_option
 * that ends with an entry whose name is NULL. The YAML reader, `--set`, `rill settings` and the
 * error messages all read the same table, so they can not disagree.
 */
#ifndef RILL_SCHEMA_H
#define RILL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rill_option_type {
    RILL_OPT_BOOL,   /* true | false */
    RILL_OPT_U64,    /* integer in [min, max] */
    RILL_OPT_DOUBLE, /* number in [min, max] */
    RILL_OPT_STRING, /* at most 255 bytes */
    RILL_OPT_ENUM,   /* one of `choices`, separated by '|'; its value is the index. A choice may
                      * hold RILL_CHOICE_NUMBER once: an integer in [min, max] stands there */
    RILL_OPT_RANGE,  /* two integers LOW-HIGH, both in [min, max], LOW <= HIGH */
    RILL_OPT_LIST,   /* list of strings, in YAML a sequence, in --set separated by commas */
};

#define RILL_CHOICE_NUMBER "<N>" /* as in "off|every:<N>ms" */

struct rill_option {
    const char *name; /* lower_case, unit as its last word where it has one */
    enum rill_option_type type;
    const char *unit;    /* "us", "bytes", "Mbps", ...; "" where there is none */
    double min, max;     /* for numbers; both inclusive */
    const char *choices; /* for RILL_OPT_ENUM; else NULL */
    const char *def;     /* the default, as it would be written in YAML; NULL: must be given */
    const char *doc;     /* one line */
};

/* Validated values of one schema. Opaque; made by lib/config, read by name. A name that the schema
 * does not hold, or a type that differs from its own, is a bug of the caller: it aborts with a
 * line. All pointers that are returned live as long as the config. */
struct rill_config;

bool rill_config_bool(const struct rill_config *config, const char *name);
uint64_t rill_config_u64(const struct rill_config *config, const char *name);
double rill_config_double(const struct rill_config *config, const char *name);
const char *rill_config_string(const struct rill_config *config, const char *name);
unsigned rill_config_enum(const struct rill_config *config, const char *name);
/* The number in the present choice; 0 if that takes none. */
uint64_t rill_config_enum_number(const struct rill_config *config, const char *name);
void rill_config_range(const struct rill_config *config, const char *name, uint64_t *low,
                       uint64_t *high);
/* Number of entries; *items points to that many strings. */
size_t rill_config_list(const struct rill_config *config, const char *name,
                        const char *const **items);

/* Where a value came from, for error messages of whoever judges it further: "default",
 * "--set", or "FILE:LINE". */
const char *rill_config_source(const struct rill_config *config, const char *name);

#endif
