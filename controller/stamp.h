/* What is stamped on every packet (smm.c says what it is for). */
#ifndef RILL_CONTROLLER_STAMP_H
#define RILL_CONTROLLER_STAMP_H

#include "controller/internal.h"

/* An inherited alias that nobody confirmed may be another branch's of the flow's history. */
static inline bool smm_knows_alias(const struct flow *flow)
{
    return flow->has_alias && !flow->alias_unsure;
}

/* Makes the packet a DATA frame of the flow's present term, with the next clock. */
static inline void smm_stamp(struct rill_controller *c, struct flow *flow, struct rte_mbuf *m,
                             uint8_t flags)
{
    struct rill_frame *f = rill_frame(m);

    flow->clock++;
    if (flow->clock > c->clock)
        c->clock = flow->clock;
    f->type = RILL_FRAME_DATA;
    f->flags = RILL_FLAG_PACKET | flags | (smm_knows_alias(flow) ? RILL_FLAG_ALIAS_KNOWN : 0);
    f->src = c->config.id;
    f->dst = flow->owner;
    f->epoch = c->config.epoch;
    f->vni = c->config.vni;
    f->flow = flow->number;
    f->term = flow->term;
    f->clock = flow->clock;
    f->chain_len = 0;
    if (unlikely(flow->chain_len > 1))
        smm_copy_chain_below(c, f, flow, 1);
    f->target_count = flow->target_count;
    if (flow->target_count > 0)
        memcpy(f->targets, flow->targets, sizeof(f->targets));
    if (unlikely(!flow->tuple_known || (flow->has_kept && !flow->has_alias)))
        smm_stamp_first(c, flow, f);
}

#endif
