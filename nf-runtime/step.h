/* A step: one packet processed, and its change on the way to the output logger. Two ways lead to
 * it, the long one (commit.c) and the short one (short_way.c), and it is inline in both.
 */
#ifndef RILL_NF_RUNTIME_STEP_H
#define RILL_NF_RUNTIME_STEP_H

#include "lib/packet/parse_plain.h"
#include "nf-runtime/unit_internal.h"

/* commit.c */
void step_strip_packet(struct rte_mbuf *m);
void step_turn(struct rill_frame *f, const struct rill_view *view);
void step_report(struct rill_unit *u, struct flow *flow, uint64_t clock, const struct rill_frame *f,
                 enum rill_verdict verdict);

/* Fills what the NF sees, but for the view. */
static inline void step_show(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m,
                             struct rill_pkt *pkt, bool plain)
{
    const struct rill_frame *f = rill_frame(m);

    pkt->m = m;
    pkt->side = (enum rill_side)f->side;
    pkt->time_ns = f->ingress_ns;
    pkt->flow = flow->node.flow;
    pkt->ended = false;
    pkt->source_set = pkt->destination_set = false;
    pkt->wire_bytes = f->wire_bytes;
    pkt->slot = RILL_MUTANT(pool_slot) ? u->pool_slots[0] : rill_number_slot(flow->node.flow);
    /* What an older controller kept, a newer one may give to another: it was not told of this. */
    pkt->has_kept = !plain && (f->flags & RILL_FLAG_ENDPOINT) &&
                    f->epoch == rill_controllers_epoch(&u->controllers, f->flow);
    if (pkt->has_kept) {
        pkt->kept_pool = f->pool;
        pkt->kept_index = f->count;
    }
    pkt->is_new = flow->tag.step == 0;
    pkt->ends = false;
    pkt->state = flow->state;
    pkt->dirty_low = UINT32_MAX;
    pkt->dirty_high = 0;
}

/* Puts the bytes [low, high) of the state on the change; where they do not fit, the whole state
 * goes ahead in a frame of its own. */
static inline void step_attach_state(struct rill_unit *u, struct flow *flow, struct rill_frame *f,
                                     uint32_t low, uint32_t high)
{
    if (flow->next_full && !RILL_MUTANT(first_full)) {
        low = 0;
        high = rill_state_trim(flow->state, &flow->state_used);
        f->flags |= RILL_FLAG_FULL;
    }
    if (low >= high)
        return;
    if (high - low > RILL_INLINE_STATE) {
        f->flags = (f->flags & ~RILL_FLAG_FULL) | RILL_FLAG_ELSEWHERE;
        commit_send_full(u, flow, u->config.output_logger);
        return;
    }
    f->state_offset = low;
    f->state_bytes = high - low;
    rill_state_copy(f->state, flow->state + low, high - low);
}

static inline void step_send_change(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m,
                                    const struct rill_pkt *pkt, enum rill_verdict verdict,
                                    bool plain)
{
    struct rill_frame *f = rill_frame(m);
    /* "Known" was said by the controller of the frame's epoch; a newer one may not know. */
    uint16_t newest = plain ? f->epoch : rill_controllers_epoch(&u->controllers, f->flow);
    bool alias_known = (f->flags & RILL_FLAG_ALIAS_KNOWN) && f->epoch == newest;

    f->type = RILL_FRAME_CHANGE;
    f->flags = alias_known ? RILL_FLAG_ALIAS_KNOWN : 0;
    f->src = u->config.id;
    f->dst = u->config.output_logger;
    f->epoch = newest;
    f->side = pkt->side == RILL_INSIDE ? RILL_OUTSIDE : RILL_INSIDE;
    if (!plain) {
        f->term = flow->tag.term; /* that of this very step */
        f->clock = flow->tag.clock;
    }
    f->step = flow->tag.step;
    f->window = flow->tag.window;
    f->chain_len = 0;
    f->target_count = 0;
    f->state_bytes = 0;
    f->state_offset = 0;
    if (verdict != RILL_DROP) {
        f->flags |= RILL_FLAG_PACKET;
        if (unlikely(verdict == RILL_TURN))
            step_turn(f, &pkt->view);
    } else {
        step_strip_packet(m);
        u->n.dropped_nf++;
    }
    step_attach_state(u, flow, f, pkt->dirty_low, pkt->dirty_high);
    flow->next_full = false;
    rill_outbox_put(u->out, m);
}

/* What the flow is known by goes into its state: a controller that takes over must find it. */
static inline void step_keep_tuple(struct flow *flow, const struct rill_flow_tuple *tuple,
                                   struct rill_pkt *pkt)
{
    struct rill_state_head *head = (struct rill_state_head *)(void *)flow->state;
    uint32_t low = offsetof(struct rill_state_head, tuple);

    if (tuple == NULL || head->tuple.family != 0)
        return;
    head->tuple = *tuple;
    pkt->dirty_low = RTE_MIN(pkt->dirty_low, low);
    pkt->dirty_high = RTE_MAX(pkt->dirty_high, low + (uint32_t)sizeof(*tuple));
}

/* The NF's work on a packet whose view is there, and all that comes of it. `plain`: by the short
 * way, so frame_is_plain() and is_next() hold. */
static inline __attribute__((always_inline)) void step_process(struct rill_unit *u,
                                                               struct flow *flow,
                                                               struct rte_mbuf *m,
                                                               struct rill_pkt *pkt, bool plain)
{
    struct rill_frame *f = rill_frame(m);
    enum rill_verdict verdict;
    uint64_t clock = f->clock;

    step_show(u, flow, m, pkt, plain);
    if (u->step_hook != NULL)
        memcpy(u->before, flow->state, u->state_bytes);
    verdict = rill_nf_process(u->config.nf, pkt);
    if (!plain)
        step_keep_tuple(flow, rill_frame_tuple(f), pkt);
    rill_state_wrote(&flow->state_used, pkt->dirty_high);
    flow->tag.term = flow->granted;
    flow->tag.step++;
    flow->last_ns = u->now_ns;
    flow->active_ns = u->now_ns;
    u->n.packets_processed++;
    u->n.bytes_processed += f->wire_bytes;
    if (f->target_count > 0) {
        flow->target_count = f->target_count;
        memcpy(flow->targets, f->targets, sizeof(flow->targets));
    }
    if (u->step_hook != NULL)
        step_report(u, flow, clock, f, verdict);
    step_send_change(u, flow, m, pkt, verdict, plain);
    if (pkt->ends)
        handoff_say_ended(u, flow);
    replicate_after_packet(u, flow);
}

#endif
