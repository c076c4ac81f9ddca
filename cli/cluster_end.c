/* The end of a run: flows that are still alive end with it. */
#include "cli/cluster_internal.h"

struct ending {
    struct rill_cluster *k;
    uint64_t now_ns;
};

/* The controller knows whose the flow is: of two units that both take themselves for its owner, as
 * the word that it moved is not there yet, one is wrong. */
static void end_flow(void *arg, uint64_t flow, uint32_t owner)
{
    const struct ending *e = arg;
    const struct unit_node *node = &e->k->units[rill_role_number(owner) - 1];

    if (owner != 0 && node->unit != NULL)
        rill_unit_end_flow(node->unit, flow, cluster_clock(e->k, owner, e->now_ns));
}

void rill_cluster_end_flows(struct rill_cluster *k, uint64_t now_ns)
{
    struct ending e = {.k = k, .now_ns = now_ns};

    for (uint32_t i = 0; i < k->controller_count; i++)
        if (k->controllers[i].controller != NULL)
            rill_controller_each_flow(k->controllers[i].controller, end_flow, &e);
}
