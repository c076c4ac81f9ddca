/* Counts packets that were released after a later one of their flow and direction. */
#ifndef RILL_CLI_ORDER_H
#define RILL_CLI_ORDER_H

#include "lib/base/flow_map.h"
#include "lib/base/role.h"
#include "lib/base/slab.h"

struct rill_order {
    struct rill_flow_map flows;
    struct rill_slab slab;
    uint64_t reordered;
    uint64_t untracked; /* released while there was no room for their flow */
};

int rill_order_init(struct rill_order *order, uint32_t flows_max); /* 0 or -1: no memory */
void rill_order_fini(struct rill_order *order);
/* A packet of the flow was released towards `side`; `id` grows in order of ingress. */
void rill_order_released(struct rill_order *order, uint64_t flow, enum rill_side side, uint64_t id);

#endif
