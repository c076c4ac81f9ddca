/* The end of a run: flows that are still somewhere end with it. */
#include <errno.h>
#include <stdlib.h>

#include "cli/cluster_internal.h"

struct ending {
    struct rill_cluster *k;
    uint64_t now_ns;
    uint32_t unit; /* index */
    uint64_t *flows;
    uint32_t count, room;
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

static bool is_known(const struct rill_cluster *k, uint64_t flow)
{
    for (uint32_t i = 0; i < k->controller_count; i++)
        if (k->controllers[i].controller != NULL &&
            rill_controller_knows(k->controllers[i].controller, flow))
            return true;
    return false;
}

static bool is_newest(const struct rill_cluster *k, uint32_t unit, uint64_t flow, uint64_t term)
{
    struct rill_unit_flow_info info;

    for (uint32_t i = 0; i < k->unit_count; i++)
        if (i != unit && k->units[i].unit != NULL &&
            rill_unit_flow_info(k->units[i].unit, flow, &info) && info.owner && info.term > term)
            return false;
    return true;
}

/* A flow that its controller has ended, and whose owner has not asked yet whether it is needed. */
static void note_ended(void *arg, uint64_t flow, uint64_t term)
{
    struct ending *e = arg;

    if (e->count < e->room && !is_known(e->k, flow) && is_newest(e->k, e->unit, flow, term))
        e->flows[e->count++] = flow;
}

static int end_ended(struct ending *e)
{
    struct rill_unit *unit = e->k->units[e->unit].unit;
    uint64_t clock_ns = cluster_clock(e->k, e->k->units[e->unit].id, e->now_ns);

    e->count = 0;
    e->room = rill_unit_flows(unit);
    e->flows = malloc((e->room + 1) * sizeof(e->flows[0]));
    if (e->flows == NULL)
        return -ENOMEM;
    rill_unit_each_owned(unit, note_ended, e);
    for (uint32_t i = 0; i < e->count; i++)
        rill_unit_end_flow(unit, e->flows[i], clock_ns);
    free(e->flows);
    return 0;
}

int rill_cluster_end_flows(struct rill_cluster *k, uint64_t now_ns)
{
    struct ending e = {.k = k, .now_ns = now_ns};
    int rc = 0;

    for (uint32_t i = 0; i < k->controller_count; i++)
        if (k->controllers[i].controller != NULL)
            rill_controller_each_flow(k->controllers[i].controller, end_flow, &e);
    for (e.unit = 0; rc == 0 && e.unit < k->unit_count; e.unit++)
        if (k->units[e.unit].unit != NULL)
            rc = end_ended(&e);
    return rc;
}
