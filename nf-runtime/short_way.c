/* What most packets are goes one short way from the burst to its step; unit_receive() has all
 * that there is, these too, and comes to the same. */
#include "nf-runtime/step.h"

enum { AHEAD = 12 }; /* an entry is fetched so many frames before it is needed */

/* Nothing about the frame is out of the ordinary: the newest controller sent it to us, and all that
 * it says is where it belongs. */
static inline bool frame_is_plain(const struct rill_unit *u, const struct rill_frame *f)
{
    const uint8_t special = RILL_FLAG_TUPLE | RILL_FLAG_ENDPOINT | RILL_FLAG_MOVED;
    uint32_t slot = rill_number_slot(f->flow);

    return f->type == RILL_FRAME_DATA && (f->flags & special) == 0 && f->dst == u->short_way_id &&
           f->epoch == u->controllers.slot[slot].epoch && f->src == u->controllers.slot[slot].id &&
           rill_role_kind(f->src) == RILL_ROLE_CONTROLLER;
}

/* Just the packet that we wait for, of a flow that is ours. */
static inline bool is_next(const struct flow *flow, const struct rill_frame *f)
{
    return flow != NULL && flow->owning && f->term == flow->granted &&
           f->clock == flow->tag.clock + 1;
}

/* What most packets are: the next one of a flow that is ours, in a plain frame, of a plain kind,
 * and nothing waits before it. All in one go; the long way (unit_receive()) comes to the same.
 * False: it is another, and nothing was done. */
static inline bool go_short_way(struct rill_unit *u, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    struct rill_pkt pkt;
    struct flow *flow;

    if (!frame_is_plain(u, f))
        return false;
    flow = store_find(u, f->flow);
    if (!is_next(flow, f) || !rill_parse_plain(m, f->wire_bytes, &pkt.view) ||
        !service_take_at_once(u, f))
        return false;
    u->spoken[rill_number_slot(f->flow)] = f->epoch;
    u->heard_ns[rill_number_slot(f->flow)] = u->now_ns;
    u->n.packets_in++;
    u->n.bytes_in += f->wire_bytes;
    f->link = NULL;
    flow->last_arrival_ns = u->now_ns;
    flow->tag.window = flow->tag.window << 1 | 1;
    flow->tag.clock = f->clock;
    step_process(u, flow, m, &pkt, true);
    return true;
}

/* Each frame's entry is fetched while those before it are at work. */
void unit_receive_burst(struct rill_unit *u, struct rte_mbuf **frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        store_fetch_place(u, frames[i]);
    for (uint32_t i = 0; i < RTE_MIN(n, (uint32_t)AHEAD); i++)
        store_fetch(u, frames[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            store_fetch(u, frames[i + AHEAD]);
        if (!go_short_way(u, frames[i]))
            unit_receive(u, frames[i]);
    }
}
