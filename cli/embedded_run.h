/* One replay in one process: embedded.c sets it up, plays it and cleans up; embedded_report.c says
 * what happened. */
#ifndef RILL_CLI_EMBEDDED_RUN_H
#define RILL_CLI_EMBEDDED_RUN_H

#include "cli/cluster.h"
#include "cli/embedded.h"
#include "cli/nf_input.h"
#include "cli/player.h"

/* Everything that a run holds, in the order in which it is taken. */
struct run {
    const struct rill_replay_options *options;
    struct rill_nf_input input;
    struct rill_player player;
    struct rill_fabric *fabric;
    struct rill_cluster *cluster;
    uint64_t real_start_ns;
    uint64_t in_flight, give_up_ns; /* once the capture is in */
    double utilization_max[RILL_CLUSTER_UNITS_MAX];
};

/* Takes note of how many units are in use, and how much; at least once per 100 ms. */
void embedded_sample_units(struct run *r);
/* Fills the player's report from what the run's parts counted. -ENOMEM with *err. */
int embedded_report(struct run *r, struct rill_error *err);

#endif
