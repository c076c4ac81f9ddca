#include "tests/sim/history.h"

#include <stdlib.h>

enum { FLOWS_MAX = 4096, NODES_MAX = 16384 };

int sim_history_init(struct sim_history *h)
{
    return rill_flow_map_init(&h->flows, 1024) != 0 || rill_flow_map_init(&h->nodes, 4096) != 0 ||
                   rill_slab_init(&h->flow_slab, sizeof(struct sim_flow), FLOWS_MAX) != 0 ||
                   rill_slab_init(&h->node_slab, sizeof(struct sim_node), NODES_MAX) != 0
               ? -1
               : 0;
}

void sim_history_fini(struct sim_history *h)
{
    rill_flow_map_fini(&h->flows);
    rill_flow_map_fini(&h->nodes);
    rill_slab_fini(&h->flow_slab);
    rill_slab_fini(&h->node_slab);
}

/* Numbers that only differ in their epoch are different flows, too. */
static uint32_t mixed(uint64_t flow)
{
    return (uint32_t)((flow * 0x9e3779b97f4a7c15u) >> 32);
}

static struct sim_node *new_node(struct sim_history *h, uint64_t flow, uint64_t hash)
{
    struct sim_node *node = rill_slab_get(&h->node_slab);

    if (node == NULL)
        abort();
    node->flow = flow;
    node->hash = hash;
    node->map.flow = hash;
    node->map.unit = mixed(flow);
    rill_flow_map_insert(&h->nodes, &node->map);
    return node;
}

struct sim_flow *sim_history_flow(struct sim_history *h, uint64_t number)
{
    struct sim_flow *flow = (struct sim_flow *)rill_flow_map_find(&h->flows, number, 0);

    if (flow != NULL)
        return flow;
    flow = rill_slab_get(&h->flow_slab);
    if (flow == NULL)
        abort();
    flow->map.flow = number;
    rill_flow_map_insert(&h->flows, &flow->map);
    flow->root = flow->top = new_node(h, number, 0);
    return flow;
}

struct sim_node *sim_history_find(const struct sim_history *h, uint64_t flow, uint64_t hash)
{
    struct sim_node *node = (struct sim_node *)rill_flow_map_find(&h->nodes, hash, mixed(flow));

    return node != NULL && node->flow == flow ? node : NULL;
}

struct sim_node *sim_history_add(struct sim_history *h, struct sim_node *parent, uint64_t packet,
                                 uint64_t hash, uint32_t unit)
{
    struct sim_node *node = sim_history_find(h, parent->flow, hash);

    if (node != NULL)
        return node;
    node = new_node(h, parent->flow, hash);
    node->packet = packet;
    node->step = parent->step + 1;
    node->unit = unit;
    node->parent = parent;
    return node;
}

bool sim_history_is_below(const struct sim_node *a, const struct sim_node *b)
{
    while (b != NULL && b->step > a->step)
        b = b->parent;
    return a == b;
}

bool sim_history_has(const struct sim_node *node, uint64_t packet)
{
    for (; node != NULL; node = node->parent)
        if (node->packet == packet)
            return true;
    return false;
}
