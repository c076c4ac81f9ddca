/* Work assignment: which unit gets the next flowlet, and which units get copies of its flow's
 * state.
 *
 * Load. A unit's load is what was drained (sent) to it in the last 200 buckets of 500 us, the
 * newest being the one that now is in, plus what is pending: a flowlet that is assigned is expected
 * to bring demand * T bytes, and what of this it has not sent yet is pending at its unit, until the
 * flowlet ends or for one to two T, whichever comes first (a flow that falls silent must not keep
 * its unit loaded). load = (drained + pending) / 100 ms.
 *
 * Choice, policy `pack`. A unit fits if it is active and demand + load <= capacity. Among those
 * that fit, the highest score = utilization + alpha * beta wins; utilization = load / capacity;
 * beta = 1 for units that hold the flow's state. Ties go to the lowest id. Units that hold the
 * state are few, and scored one by one, exactly. Of all units together, only the best fit is
 * scored: the one with the least room (capacity - load). For units of one capacity the least room
 * is the highest utilization, so this is the rule above to the letter; for shares of different size
 * it is the one that leaves the least room behind, which the score alone would not give (a tenth of
 * a unit that is half full would lose against a whole one that is 60% full). Room is compared in
 * quanta of at most 1/1024 of the largest capacity there was: rooms in one quantum count as equal
 * and the lowest id among them wins. In the demand's own quantum, where some fit and some do not,
 * the 16 lowest ids are tried. Nothing fits: the least utilized unit, and *overload is set.
 *
 * Policy `first-fit`: the lowest id that fits, wherever the state is; if none does, as above. SNF's
 * text describes this one (section 4.2: "the smallest ID unit with room is chosen"), its pseudocode
 * the score; they differ as soon as a unit with a low id has become lighter than one behind it. An
 * index of its own (room_tree.h) finds it exactly, in a look per level: 14 for 10,000 units. Policy
 * `spread`: the least utilized unit, fit or not (*overload if it does not fit). Utilization is
 * compared in steps of 1/1024 up to 1 and of 1/16 of itself above; the 16 lowest ids of the lowest
 * step are compared exactly.
 *
 * Backlog. A unit at which more than `backlog_ns` of work waits (backlog.h: worked out from what
 * was sent there) does not fit, however low its load of the last 100 ms: bursts of a few
 * milliseconds, which the window can't see, spread over the units instead of queueing at one. If
 * all with room are behind, the one of them that is done soonest takes the flowlet: a burst alone
 * is no reason for one more unit. It is (*overload) where more than `backlog_max_ns` waits at each
 * of them.
 *
 * Cost. A unit whose load has changed goes to its place in the index (rank_index.h) before anybody
 * looks into that: a packet changes one unit's place at most, and a bucket that leaves the window
 * touches just the units that it had bytes for, so that expiry costs at most one such change per
 * packet sent before. Choosing costs the same for 10 units as for 10,000; where one is active, no
 * index is looked into. No division per packet; no allocation but when a unit is added.
 *
 * `_bps` is bits per second throughout. Deterministic: the same calls give the same answers. Time
 * that goes backwards is taken as standing still. One thread, no clock.
 */
#ifndef RILL_CONTROLLER_WAM_H
#define RILL_CONTROLLER_WAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rng.h"
#include "lib/config/settings.h"

struct rill_wam;

enum {
    RILL_WAM_BUCKETS = 200,
    RILL_WAM_BUCKET_NS = 500000,
    RILL_WAM_UNITS_MAX = 16384,
    RILL_WAM_HOLDERS_MAX = 8, /* owner and RILL_TARGETS_MAX replicas */
};

struct rill_wam_config {
    uint32_t units_max; /* 1..RILL_WAM_UNITS_MAX, active or not; 2 KB each */
    enum rill_placement placement;
    double alpha;        /* 0..1, for pack */
    uint64_t backlog_ns; /* a unit with more work waiting gets no flowlet; 0: however much waits */
    uint64_t backlog_max_ns; /* ... if another has room; above that one more unit is needed */
    uint64_t expect_ns; /* how long a flowlet is expected to go on with its demand: T; 1..10^11 */
};

/* Embedded in the caller's flow entry; zeroed is nothing pending. What the open flowlet of a flow
 * has yet to bring to the unit that it was assigned to. */
struct rill_wam_pending {
    uint32_t bytes;
    uint32_t generation;
};

struct rill_wam_counters {
    uint64_t choices;   /* rill_wam_choose calls that gave a unit */
    uint64_t overloads; /* of these, nothing fitted */
    uint64_t no_unit;   /* ... that gave none, as none is active */
};

/* NULL if there is no memory or the config is out of range. */
struct rill_wam *rill_wam_create(const struct rill_wam_config *config);
void rill_wam_destroy(struct rill_wam *wam); /* NULL is fine */

const struct rill_wam_counters *rill_wam_counters(const struct rill_wam *wam);

/* Adds a unit, not active and with no load, or sets the capacity of one that is there. capacity_bps
 * is what is leased: the unit's times the share; 0 is allowed (nothing fits there). -ENOSPC if
 * there are units_max already. */
int rill_wam_set_unit(struct rill_wam *wam, uint32_t unit, uint64_t capacity_bps);

/* Forgets the unit: its load and what is pending there. Unknown: nothing happens. Flows may go on
 * naming it in the calls below, which then do nothing: ids are never used again. */
void rill_wam_remove_unit(struct rill_wam *wam, uint32_t unit);

/* Only active units are chosen. A unit that is not goes on being measured. Activation counts as use
 * at now_ns (see rill_wam_idle_ns). Unknown: -ENOENT. */
int rill_wam_set_active(struct rill_wam *wam, uint32_t unit, bool active, uint64_t now_ns);

/* A unit that should empty, so that it can be given back: it gets a flowlet only where no other has
 * room (the lowest id of those; never by policy `spread`). Over when it is no longer active. Not
 * active, or unknown: nothing happens. */
void rill_wam_set_draining(struct rill_wam *wam, uint32_t unit, bool draining);
bool rill_wam_is_draining(const struct rill_wam *wam, uint32_t unit);

/* Where a flowlet of that demand would go now. `holders`: the owner and the replicas, at most
 * RILL_WAM_HOLDERS_MAX, any order, unknown, doubled, inactive or 0 ones are passed over. 0 if no
 * unit is active. Changes nothing that another choice would see, so it also serves to predict. */
uint32_t rill_wam_choose(struct rill_wam *wam, uint64_t demand_bps, const uint32_t *holders,
                         uint32_t holder_count, uint64_t now_ns, bool *overload);

/* Begins a flowlet at the unit: demand * expect_ns becomes pending there. What *pending holds is
 * overwritten: call rill_wam_flowlet_end first, with the unit before. */
void rill_wam_assign(struct rill_wam *wam, uint32_t unit, uint64_t demand_bps,
                     struct rill_wam_pending *pending, uint64_t now_ns);

/* A packet of the flow has been sent to the unit: counts as drained, and is no longer pending. */
void rill_wam_drained(struct rill_wam *wam, uint32_t unit, uint32_t wire_bytes,
                      struct rill_wam_pending *pending, uint64_t now_ns);

/* The flow's flowlet at the unit has ended, or the flow is forgotten: what is still pending will
 * not come. *pending is zero afterwards. */
void rill_wam_flowlet_end(struct rill_wam *wam, uint32_t unit, struct rill_wam_pending *pending,
                          uint64_t now_ns);

/* Load of a unit; 0 for an unknown one. */
uint64_t rill_wam_load_bps(struct rill_wam *wam, uint32_t unit, uint64_t now_ns);

/* load / capacity; may be above 1. 0 for an unknown unit; for a capacity of 0: 0 if there is no
 * load, else a very large number. */
double rill_wam_utilization(struct rill_wam *wam, uint32_t unit, uint64_t now_ns);

/* Work that waits at the unit, by what was sent there; 0 for an unknown one. */
uint64_t rill_wam_backlog_ns(struct rill_wam *wam, uint32_t unit);

/* Sum of the active units' loads and capacities, for asking the RM. Linear in their number. */
void rill_wam_totals(struct rill_wam *wam, uint64_t now_ns, uint64_t *load_bps,
                     uint64_t *capacity_bps);

/* Is every active unit's utilization above `share` (0..1; judged in steps of 1/1024, so one in the
 * same step is not above)? True if none is active. O(1), and a look at each that is behind if no
 * other is below. */
bool rill_wam_all_above(struct rill_wam *wam, double share, uint64_t now_ns);

/* How long nothing was sent to the unit (since it was activated, if nothing ever was). 0 for an
 * unknown one. */
uint64_t rill_wam_idle_ns(const struct rill_wam *wam, uint32_t unit, uint64_t now_ns);

bool rill_wam_is_active(const struct rill_wam *wam, uint32_t unit);
uint32_t rill_wam_active_count(const struct rill_wam *wam);

/* The active units in id order: i < rill_wam_active_count(); 0 beyond. Changes with set_active and
 * remove_unit. */
uint32_t rill_wam_active_at(const struct rill_wam *wam, uint32_t i);

/* The same for all units, active or not. */
uint32_t rill_wam_unit_count(const struct rill_wam *wam);
uint32_t rill_wam_unit_at(const struct rill_wam *wam, uint32_t i);

/* Chooses k units to copy a flow's state to, among the active ones other than `except_unit` (the
 * owner). DETERMINISTIC: the first k in id order. WEIGHTED: at random without replacement, with a
 * weight of 1/rank, rank from 1 in id order among the candidates; takes exactly as many numbers
 * from `rng` as it gives units (none if it gives all there are). Gives how many it wrote: k, or
 * fewer if there are fewer candidates. k <= RILL_TARGETS_MAX. */
uint32_t rill_wam_targets(const struct rill_wam *wam, struct rill_rng *rng,
                          enum rill_replica_choice choice, uint32_t k, uint32_t except_unit,
                          uint32_t *targets);

/* The k units other than `except_unit` (the owner) to which a flowlet of that demand would most
 * likely go next, the likeliest first: as rill_wam_choose() ranks them, but as if what waits now
 * were served. `holders`: where the flow's state is, as there. Of those without state it looks at
 * the 8 best by room, the 8 that are done soonest of those behind, and the 8 least utilized; k < 8.
 * Gives how many it wrote: k, or fewer if so few are active. */
uint32_t rill_wam_predict(struct rill_wam *wam, uint64_t demand_bps, const uint32_t *holders,
                          uint32_t holder_count, uint32_t k, uint32_t except_unit, uint64_t now_ns,
                          uint32_t *targets);

#endif
