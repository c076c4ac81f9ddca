/* Plays a capture: what a replay does whatever it plays against, a cluster in this process or one
 * of many. Reads the capture, makes packets of it when they are due, takes what was released,
 * checks it, counts it and writes it, and knows the capture's part of the report.
 *
 * Times are the caller's: `now_ns` and `start_ns` on any one clock.
 */
#ifndef RILL_CLI_PLAYER_H
#define RILL_CLI_PLAYER_H

#include "cli/options.h"
#include "cli/order.h"
#include "cli/output.h"
#include "cli/pace.h"
#include "cli/report.h"
#include "lib/config/config.h"
#include "traces/ends.h"

#define RILL_PLAYER_EPOCH_NS UINT64_C(100000000)

/* In the order in which it is taken; zeroed but for the first two. The caller reads all of it. */
struct rill_player {
    const struct rill_replay_options *options;
    struct rill_report *report;
    struct rill_capture capture;
    struct rte_mempool *pool; /* of frames */
    struct rill_ends *ends;
    struct rill_output *output;
    struct rill_order order;
    struct rill_pace pace;
    uint64_t next_packet; /* index of the next to go in */
    uint64_t next_due_ns; /* UINT64_MAX: none is left */
    uint64_t start_ns, now_ns;
    uint64_t last_release_ns, last_progress_ns, next_epoch_ns;
    uint64_t output_failed, no_buffer;
    bool stopped; /* on request: no more packets go in */
};

/* What the ends have to know of the NF: enum rill_writes, rill_nf_flags, rill_handles. */
struct rill_player_nf {
    uint32_t writes, flags, handles;
};

/* Reads the capture, starts DPDK, makes the pool. Negative with *err. */
int rill_player_read(struct rill_player *p, struct rill_error *err);
int rill_player_start_dpdk(struct rill_player *p, const struct rill_config *settings,
                           struct rill_error *err);
int rill_player_create_ends(struct rill_player *p, const struct rill_config *settings,
                            const struct rill_player_nf *nf, struct rill_error *err);
int rill_player_open_output(struct rill_player *p, struct rill_error *err);
/* Flows that any role may have to keep: a capture can not hold more of them than packets. */
uint32_t rill_player_flows_bound(const struct rill_player *p, const struct rill_config *settings);

/* The first packet is due at start_ns. */
void rill_player_start(struct rill_player *p, uint64_t start_ns);
/* When the last packet is due: looks at all of them. After rill_player_start(). */
uint64_t rill_player_last_due_ns(const struct rill_player *p);
/* Up to max packets that are due at p->now_ns, the caller's from now on. True if any was due, also
 * where there was no buffer for it. */
bool rill_player_take_due(struct rill_player *p, struct rte_mbuf **packets, uint32_t max,
                          uint32_t *n);
/* A packet of this capture left: frame metadata intact, `side` is where. Takes it. */
void rill_player_released(struct rill_player *p, struct rte_mbuf *m, uint64_t now_ns);
/* Shows how far it is and asks whether to stop, unless that was less than 50 ms ago. */
void rill_player_progress(struct rill_player *p);

/* The capture's part of the report: packets, checks, the replayer's own counters and drops, texts
 * and settings. -ENOMEM. */
int rill_player_report(struct rill_player *p, const struct rill_config *settings, const char *nf);
/* Writes out what is left of the output. Negative with *err if it is not whole. */
int rill_player_close_output(struct rill_player *p, struct rill_error *err);
void rill_player_fini(struct rill_player *p);

uint64_t rill_player_clock_ns(void); /* CLOCK_MONOTONIC */

#endif
