/* Ends what is left of a cluster on this machine, whether or not it still answers: for `rill down`,
 * and for a `rill up` that failed. */
#ifndef RILL_CLI_TEARDOWN_H
#define RILL_CLI_TEARDOWN_H

#include <stdbool.h>

#include "cli/place.h"

struct rill_teardown {
    unsigned killed;     /* daemons that were still alive, and did not end by themselves */
    unsigned containers; /* that were still there */
};

/* How many of the cluster's containers are there: after an end in good order, none. */
unsigned rill_teardown_containers(const struct rill_place *place);

/* Kills the daemons that the pid files name, removes the containers, then the folder. 0; -errno
 * with *err, which says what is left. Under the folder's lock. */
int rill_teardown(const struct rill_place *place, bool keep_logs, struct rill_teardown *did,
                  struct rill_error *err);

#endif
