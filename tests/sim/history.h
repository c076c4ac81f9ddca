/* What was done with each flow: a tree of steps, each with the hash that the chain NF had after it.
 *
 * One path, as long as nobody dies. A unit that died, or that was taken for dead and goes on,
 * leaves branches: what it did that never left may be lost, and others go on from further down.
 * Whatever is released must be on one path, and whoever goes on and was never taken for dead must
 * go on above what was released.
 */
#ifndef RILL_TESTS_SIM_HISTORY_H
#define RILL_TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/flow_map.h"
#include "lib/base/slab.h"

struct sim_node {
    struct rill_map_node map; /* by flow and hash */
    uint64_t flow, hash;
    uint64_t packet, step; /* 0, 0: nothing was done yet */
    uint64_t at_ns;        /* when it was done first */
    uint32_t unit;
    struct sim_node *parent;
    struct sim_node
        *child; /* a step on this one by a unit that nobody takes for dead; NULL: none */
};

struct sim_flow { /* one life of a flow */
    struct rill_map_node map;
    struct sim_node *root;
    bool must_survive; /* the takeover at hand */
    uint64_t step_ns;  /* when the last step was, and whose */
    uint32_t step_unit;
    uint32_t workload_flow;
    struct sim_node *top; /* the highest step that was released; the root: none */
    uint32_t ends;        /* how often its end was told to an NF */
};

struct sim_history {
    struct rill_flow_map flows, nodes;
    struct rill_slab flow_slab, node_slab;
};

int sim_history_init(struct sim_history *history); /* 0 or -1 */
void sim_history_fini(struct sim_history *history);

/* Made on first mention. */
struct sim_flow *sim_history_flow(struct sim_history *history, uint64_t flow);
/* NULL: no step of the flow ever had that hash. */
struct sim_node *sim_history_find(const struct sim_history *history, uint64_t flow, uint64_t hash);
/* The step on `parent` with that packet; made if it is new. */
struct sim_node *sim_history_add(struct sim_history *history, struct sim_node *parent,
                                 uint64_t packet, uint64_t hash, uint32_t unit);
/* `a` is `b`, or comes before it on the same path. */
bool sim_history_is_below(const struct sim_node *a, const struct sim_node *b);
/* The packet was processed on the path to `node`. */
bool sim_history_has(const struct sim_node *node, uint64_t packet);

#endif
