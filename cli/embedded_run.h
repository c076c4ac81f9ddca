/* One replay in one process: embedded.c sets it up, plays it and cleans up; embedded_report.c says
 * what happened. */
#ifndef RILL_CLI_EMBEDDED_RUN_H
#define RILL_CLI_EMBEDDED_RUN_H

#include "cli/cluster.h"
#include "cli/embedded.h"
#include "cli/order.h"
#include "cli/output.h"
#include "cli/pace.h"
#include "lib/config/config.h"
#include "nf-runtime/loader.h"
#include "traces/ends.h"

/* Everything that a run holds, in the order in which it is taken. */
struct run {
    const struct rill_replay_options *options;
    struct rill_report *report;
    struct rill_config_file *file;
    struct rill_config *settings, *nf_config;
    struct rill_nf_image image;
    struct rill_capture capture;
    struct rte_mempool *pool;
    struct rill_fabric *fabric;
    struct rill_cluster *cluster;
    struct rill_ends *ends;
    struct rill_output *output;
    struct rill_order order;
    struct rill_pace pace;
    uint64_t next_packet; /* index of the next to go in */
    uint64_t next_due_ns;
    uint64_t start_ns, now_ns, real_start_ns;
    uint64_t in_flight, give_up_ns; /* once the capture is in */
    uint64_t last_release_ns, last_progress_ns, next_epoch_ns;
    uint64_t output_failed, no_buffer;
    double utilization_max[RILL_CLUSTER_UNITS_MAX];
    bool stopped;
};

/* Takes note of how many units are in use, and how much; at least once per 100 ms. */
void embedded_sample_units(struct run *r);
/* Fills r->report from what the run's parts counted. -ENOMEM with *err. */
int embedded_report(struct run *r, struct rill_error *err);

#endif
