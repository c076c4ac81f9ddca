/* Flows that may go: we never owned them and hold nothing for them, a replica at most. That is what
 * other units spare themselves and us a question with, so it is bounded, and what comes first when
 * the table is full: the oldest goes. It is as if its push had been lost, which is always safe: who
 * finds no replica asks. Pinned copies and flows that are waited for are never here. */
#include "nf-runtime/unit_internal.h"

void spare_init(struct rill_unit *u)
{
    u->spare.max = (uint32_t)(u->config.replica_kb * UINT64_C(1024) / u->flow_slab.bytes);
}

static void enter(struct rill_unit *u, struct flow *flow)
{
    struct spare *s = &u->spare;

    flow->is_spare = true;
    flow->older = s->newest;
    flow->newer = NULL;
    if (s->newest != NULL)
        s->newest->newer = flow;
    else
        s->oldest = flow;
    s->newest = flow;
    s->count++;
}

void spare_leave(struct rill_unit *u, struct flow *flow)
{
    struct spare *s = &u->spare;

    if (!flow->is_spare)
        return;
    if (flow->older != NULL)
        flow->older->newer = flow->newer;
    else
        s->oldest = flow->newer;
    if (flow->newer != NULL)
        flow->newer->older = flow->older;
    else
        s->newest = flow->older;
    flow->is_spare = false;
    s->count--;
}

void spare_update(struct rill_unit *u, struct flow *flow)
{
    bool spare = flow->granted == 0 && flow->segments == NULL;

    if (spare && !flow->is_spare)
        enter(u, flow);
    else if (!spare)
        spare_leave(u, flow);
}

void spare_touch(struct rill_unit *u, struct flow *flow)
{
    if (!flow->is_spare)
        return;
    spare_leave(u, flow);
    enter(u, flow);
}

bool spare_evict(struct rill_unit *u)
{
    struct flow *flow = u->spare.oldest;

    if (flow == NULL)
        return false;
    u->n.replicas_evicted += flow->has_replica;
    store_remove(u, flow);
    return true;
}

bool spare_room(struct rill_unit *u)
{
    while (u->spare.count >= u->spare.max)
        if (!spare_evict(u))
            return false; /* no memory is given to replicas at all */
    return true;
}

/* What has become a mere replica since: a flow that was waited for in vain, say. */
void spare_trim(struct rill_unit *u)
{
    while (u->spare.count > u->spare.max)
        spare_evict(u);
}
