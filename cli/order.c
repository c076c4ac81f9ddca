#include "cli/order.h"

struct entry {
    struct rill_map_node node;
    uint64_t newest_id[2]; /* by side */
};

int rill_order_init(struct rill_order *order, uint32_t flows_max)
{
    *order = (struct rill_order){0};
    if (rill_flow_map_init(&order->flows, flows_max) != 0)
        return -1;
    return rill_slab_init(&order->slab, sizeof(struct entry), flows_max);
}

void rill_order_fini(struct rill_order *order)
{
    rill_flow_map_fini(&order->flows);
    rill_slab_fini(&order->slab);
}

void rill_order_released(struct rill_order *order, uint64_t flow, enum rill_side side, uint64_t id)
{
    struct entry *e = (struct entry *)rill_flow_map_find(&order->flows, flow, 0);

    if (e == NULL) {
        e = rill_slab_get(&order->slab);
        if (e == NULL) {
            order->untracked++;
            return;
        }
        e->node.flow = flow;
        rill_flow_map_insert(&order->flows, &e->node);
    }
    if (id < e->newest_id[side])
        order->reordered++;
    else
        e->newest_id[side] = id;
}
