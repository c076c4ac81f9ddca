/* What a cluster is to be, for `rill up`: one table, from which the cluster file, --set and the
 * help text come. */
#ifndef RILL_CLI_CLUSTER_SETTINGS_H
#define RILL_CLI_CLUSTER_SETTINGS_H

#include <rill/schema.h>

#include "cli/place.h"
#include "lib/base/error.h"
#include "lib/config/config.h"

extern const struct rill_option rill_cluster_schema[];

struct rill_cluster_request {
    struct rill_place place; /* first: see place.h. Its --cluster and --base outrank all else */
    const char *file;        /* cluster file; NULL: none */
    char **sets;             /* set_count times "NAME=VALUE"; they outrank the file */
    size_t set_count;
};

/* Reads and judges; fills request->place. *config is the caller's. Negative with a line in *err
 * that names FILE:LINE or --set. */
int rill_cluster_settings_read(struct rill_cluster_request *request, struct rill_config **config,
                               struct rill_error *err);

#endif
