/* `rill replay --cluster`: a capture through a deployment of a cluster of processes. */
#ifndef RILL_CLI_REMOTE_H
#define RILL_CLI_REMOTE_H

#include "cli/options.h"
#include "cli/report.h"

/* Attaches to the deployment, replays and fills the (zeroed) report, as rill_embedded_replay(). */
int rill_remote_replay(const struct rill_replay_options *options, struct rill_report *report,
                       struct rill_error *err);

#endif
