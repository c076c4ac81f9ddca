/* Which cluster a command is about, and where on this machine it lives.
 *
 * Every command of the cluster takes --cluster and --base: the struct that its arguments go into
 * begins with a struct rill_place, and its table has RILL_PLACE_ARGS.
 */
#ifndef RILL_CLI_PLACE_H
#define RILL_CLI_PLACE_H

#include <stddef.h>

#include "cli/args.h"
#include "lib/base/error.h"

#define RILL_PLACE_DEFAULT_NAME "rill"
#define RILL_PLACE_DEFAULT_ROOT "/run/rill"

enum {
    RILL_PLACE_NAME_MAX = 24, /* a-z, 0-9 */
    /* Sockets of links have a path of at most 107 bytes, 63 of them below the base. */
    RILL_PLACE_BASE_MAX = 44,
    RILL_PLACE_PATH_BYTES = 128,
};

struct rill_place {
    const char *given_name, *given_base; /* NULL: the default */
    char name[RILL_PLACE_NAME_MAX + 1];
    char base[RILL_PLACE_BASE_MAX + 1]; /* absolute, without a '/' at its end */
};

int rill_place_take_cluster(void *target, const char *value, struct rill_error *err);
int rill_place_take_base(void *target, const char *value, struct rill_error *err);

/* clang-format off */
#define RILL_PLACE_ARGS                                                                            \
    {"cluster", "NAME", "which cluster (default " RILL_PLACE_DEFAULT_NAME ")", false, NULL,        \
     rill_place_take_cluster},                                                                     \
    {"base", "FOLDER", "where its files are (default " RILL_PLACE_DEFAULT_ROOT "/NAME)", false,    \
     NULL, rill_place_take_base}
/* clang-format on */

/* Judges what was given and fills name and base. -EINVAL with a line that names the option. */
int rill_place_resolve(struct rill_place *place, struct rill_error *err);
/* -EINVAL with "'VALUE': what would be right" in *err. */
int rill_place_check_name(const char *name, struct rill_error *err);
int rill_place_check_base(const char *base, struct rill_error *err);

/* BASE/NAME. Returns buf. */
const char *rill_place_path(const struct rill_place *place, const char *name,
                            char buf[RILL_PLACE_PATH_BYTES]);
/* How to go on about this cluster: "rill up", "rill up --cluster x". Returns buf. */
const char *rill_place_command(const struct rill_place *place, const char *command,
                               char buf[RILL_PLACE_PATH_BYTES]);

#endif
