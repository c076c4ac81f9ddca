/* Starts a cluster's daemons on this machine and waits until it is ready. */
#ifndef RILL_CLI_DAEMONS_H
#define RILL_CLI_DAEMONS_H

#include <signal.h>

#include "cli/client.h"
#include "cli/managers.h"
#include "cli/process.h"
#include "lib/config/config.h"

struct rill_daemons {
    struct rill_process rms[RILL_MANAGERS_MAX], agent;
    unsigned rm_count;
};

/* Starts all from the folder `programs`, with the cluster's settings (cluster_settings.h), and
 * writes their pid files. Negative with *err. */
int rill_daemons_start(struct rill_daemons *daemons, const struct rill_place *place,
                       const struct rill_config *settings, const char *programs,
                       struct rill_error *err);
/* Waits until this machine has joined and its warm runtimes are there. 0 with the cluster's Status
 * (the caller's); negative with *err: what a daemon that died said last, or that it took too long,
 * or `stop` was set. */
int rill_daemons_wait(struct rill_daemons *daemons, const struct rill_place *place,
                      const volatile sig_atomic_t *stop, Control__Message **status,
                      struct rill_error *err);
void rill_daemons_close(struct rill_daemons *daemons); /* forgets them; they run on */

#endif
