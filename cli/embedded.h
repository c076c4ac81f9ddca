/* `rill replay`, embedded: a capture through a cluster that lives in this process. */
#ifndef RILL_CLI_EMBEDDED_H
#define RILL_CLI_EMBEDDED_H

#include "cli/options.h"
#include "cli/report.h"

/* Runs the whole replay and fills the (zeroed) report. 0: it ran; whether it kept every promise the
 * report says. Negative, with a line in *err: it could not run (bad input, no memory, an output
 * that can't be written). The caller frees the report in both cases. */
int rill_embedded_replay(const struct rill_replay_options *options, struct rill_report *report,
                         struct rill_error *err);

#endif
