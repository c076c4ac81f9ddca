/* Command line arguments from one table: parsing, error lines and the help text come from the same
 * entries, so that what the help says is what is taken.
 *
 * Options are written --name VALUE or --name=VALUE; "--" ends them; names are never abbreviated, so
 * that an option that comes later can not change what an old command line means. An option that is
 * unknown, given twice, without its value or with one that it has not got is refused by one line.
 */
#ifndef RILL_CLI_ARGS_H
#define RILL_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/error.h"

struct rill_arg {
    const char *name;    /* without the dashes; NULL in the table's last entry */
    const char *value;   /* how the help writes its value; NULL: it takes none */
    const char *doc;     /* help text; lines after the first are separated by '\n' */
    bool repeatable;     /* else a second one is refused */
    const char *instead; /* a word of the design that this version has not: why; NULL: it has */
    /* Takes the value (NULL where there is none) into `target`: 0, or negative after setting *err.
     */
    int (*take)(void *target, const char *value, struct rill_error *err);
};

struct rill_args {
    const struct rill_arg *table; /* at most 64 entries */
    void *target;
    /* What is no option; NULL: nothing is taken. */
    int (*positional)(void *target, const char *text, struct rill_error *err);
};

/* argv[0] is the command's own name. 0; 1 if --help was among them (nothing else is then judged);
 * -EINVAL (or what a `take` returned) with a line in *err. */
int rill_args_parse(const struct rill_args *args, int argc, char **argv, struct rill_error *err);

/* Two lines or more for each option that this version has, then --help. */
void rill_args_help(const struct rill_arg *table, FILE *out);

/* The entry of the NULL-terminated list that `word` most likely meant, or NULL. */
const char *rill_args_nearest(const char *word, const char *const *names);

/* Grows a list of "NAME=VALUE" pairs, as --set gives them, by PREFIX and VALUE. -EINVAL if it is
 * none, -ENOMEM. */
int rill_args_add_pair(char ***pairs, size_t *count, const char *prefix, const char *value,
                       struct rill_error *err);
void rill_args_free_pairs(char **pairs, size_t count);

/* Values. All of them take the whole text, and nothing that is not written here. */
/* A decimal number like 12, 0.5 or 2.50 (no sign, exponent, space); at most 15 digits. -EINVAL. */
int rill_args_decimal(const char *text, double *value);
/* An unsigned integer. -EINVAL. */
int rill_args_u64(const char *text, uint64_t *value);
/* A rate with its unit: 250Mbps, 1.5Gbps, 64kbps, 9600bps (the unit's case does not matter).
 * -EINVAL */
int rill_args_rate(const char *text, uint64_t *bps);

/* A time with its unit: 1.5s, 300ms, 20us; up to a million seconds. -EINVAL. */
int rill_args_time(const char *text, uint64_t *ns);

#endif
