/* A step: one packet processed, and its change on the way to the output logger. */
#include "lib/packet/parse_plain.h"
#include "nf-runtime/unit_internal.h"

/* True if the packet's clock was not processed yet; then marks it. A clock older than the window
 * may have been processed, so it counts as if it had been (rule "dedup"). */
static bool window_admit(struct tag *tag, uint64_t clock)
{
    uint64_t behind;

    if (rill_number_epoch(clock) > rill_number_epoch(tag->clock)) {
        /* Another controller: the clocks of the one before are over, and its own begin here. */
        tag->clock = rill_epoch_base(rill_number_epoch(clock));
        tag->window = UINT64_MAX;
    }
    if (clock > tag->clock) {
        uint64_t ahead = clock - tag->clock;

        tag->window = ahead < 64 ? (tag->window << ahead) | 1 : 1;
        tag->clock = clock;
        return true;
    }
    behind = tag->clock - clock;
    if (behind >= 64 || (tag->window >> behind & 1)) {
        if (RILL_MUTANT(dedup))
            return true;
        return false;
    }
    tag->window |= UINT64_C(1) << behind;
    return true;
}

/* Fills what the NF sees, but for the view. */
static inline void show(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m,
                        struct rill_pkt *pkt)
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
    pkt->has_kept = (f->flags & RILL_FLAG_ENDPOINT) &&
                    f->epoch == rill_controllers_epoch(&u->controllers, f->flow);
    pkt->kept_pool = f->pool;
    pkt->kept_index = f->count;
    pkt->is_new = flow->tag.step == 0;
    pkt->ends = false;
    pkt->state = flow->state;
    pkt->dirty_low = UINT32_MAX;
    pkt->dirty_high = 0;
    pkt->nf = u->config.nf;
}

/* False if the packet can't be read here (it could at the controller). */
static bool read_packet(struct rte_mbuf *m, struct rill_view *view)
{
    const struct rill_frame *f = rill_frame(m);

    if (rill_parse_inline(m, f->wire_bytes, view) != RILL_PARSE_OK)
        return false;
    if (view->flags & RILL_VIEW_LATER_FRAGMENT) {
        view->source.port = f->first_sport;
        view->destination.port = f->first_dport;
    }
    return true;
}

void commit_send_full(struct rill_unit *u, struct flow *flow, uint32_t dst)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_FULL, dst, flow->node.flow);
    struct rill_frame *f;

    if (m == NULL)
        return;
    f = rill_frame(m);
    tag_to_frame(&flow->tag, f);
    f->granted_term = flow->granted;
    f->count = flow_idle_us(u, flow);
    if (rill_body_append(m, u->config.pool, flow->state,
                         rill_state_trim(flow->state, &flow->state_used)) != 0) {
        rte_pktmbuf_free(m);
        u->n.messages_no_mbuf++;
        return;
    }
    u->n.fulls_sent++;
    unit_send(u, m);
}

/* Puts the bytes [low, high) of the state on the change; where they do not fit, the whole state
 * goes ahead in a frame of its own. */
static inline void attach_state(struct rill_unit *u, struct flow *flow, struct rill_frame *f,
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

/* A packet that the NF drops still sends its change: the frame goes on without it. */
static void strip_packet(struct rte_mbuf *m)
{
    rte_pktmbuf_free(m->next);
    m->next = NULL;
    m->nb_segs = 1;
    m->data_len = 0;
    m->pkt_len = 0;
}

static inline void send_change(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m,
                               const struct rill_pkt *pkt, enum rill_verdict verdict)
{
    struct rill_frame *f = rill_frame(m);
    /* "Known" was said by the controller of the frame's epoch; a newer one may not know. */
    uint16_t newest = rill_controllers_epoch(&u->controllers, f->flow);
    bool alias_known = (f->flags & RILL_FLAG_ALIAS_KNOWN) && f->epoch == newest;

    f->type = RILL_FRAME_CHANGE;
    f->flags = alias_known ? RILL_FLAG_ALIAS_KNOWN : 0;
    f->src = u->config.id;
    f->dst = u->config.output_logger;
    f->epoch = newest;
    f->side = pkt->side == RILL_INSIDE ? RILL_OUTSIDE : RILL_INSIDE;
    tag_to_frame(&flow->tag, f); /* its term is that of this very step */
    f->chain_len = 0;
    f->target_count = 0;
    f->state_bytes = 0;
    f->state_offset = 0;
    if (verdict != RILL_DROP) {
        f->flags |= verdict == RILL_TURN ? RILL_FLAG_PACKET | RILL_FLAG_TURN : RILL_FLAG_PACKET;
    } else {
        strip_packet(m);
        u->n.dropped_nf++;
    }
    attach_state(u, flow, f, pkt->dirty_low, pkt->dirty_high);
    flow->next_full = false;
    rill_outbox_put(u->out, m);
}

static void report_step(struct rill_unit *u, struct flow *flow, uint64_t clock,
                        const struct rill_frame *f, enum rill_verdict verdict)
{
    struct rill_unit_step step = {.unit = u->config.id,
                                  .flow = flow->node.flow,
                                  .term = flow->granted,
                                  .step = flow->tag.step,
                                  .clock = clock,
                                  .ingress_id = f->ingress_id,
                                  .before = u->before,
                                  .after = flow->state,
                                  .forwarded = verdict != RILL_DROP};

    u->step_hook(u->step_hook_arg, &step);
}

/* What the flow is known by goes into its state: a controller that takes over must find it. */
static void keep_tuple(struct flow *flow, const struct rill_flow_tuple *tuple, struct rill_pkt *pkt)
{
    struct rill_state_head *head = (struct rill_state_head *)(void *)flow->state;
    uint32_t low = offsetof(struct rill_state_head, tuple);

    if (tuple == NULL || head->tuple.family != 0)
        return;
    head->tuple = *tuple;
    pkt->dirty_low = RTE_MIN(pkt->dirty_low, low);
    pkt->dirty_high = RTE_MAX(pkt->dirty_high, low + (uint32_t)sizeof(*tuple));
}

/* The NF's work on a packet that is shown, and all that comes of it. */
static inline __attribute__((always_inline)) void process(struct rill_unit *u, struct flow *flow,
                                                          struct rte_mbuf *m, struct rill_pkt *pkt)
{
    struct rill_frame *f = rill_frame(m);
    enum rill_verdict verdict;
    uint64_t clock = f->clock;

    show(u, flow, m, pkt);
    if (u->step_hook != NULL)
        memcpy(u->before, flow->state, u->state_bytes);
    verdict = rill_nf_process(u->config.nf, pkt);
    keep_tuple(flow, rill_frame_tuple(f), pkt);
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
        report_step(u, flow, clock, f, verdict);
    send_change(u, flow, m, pkt, verdict);
    if (pkt->ends)
        handoff_say_ended(u, flow);
    replicate_after_packet(u, flow);
}

void commit_process(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m)
{
    struct rill_pkt pkt;

    if (!window_admit(&flow->tag, rill_frame(m)->clock))
        unit_drop(m, &u->n.dropped_late_or_duplicate);
    else if (!read_packet(m, &pkt.view))
        unit_drop(m, &u->n.dropped_unit_parse);
    else
        process(u, flow, m, &pkt);
}

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
 * and nothing waits before it. All in one go; the long way (receive() in unit.c) comes to the same.
 * False: it is another, and nothing was done. */
bool commit_at_once(struct rill_unit *u, struct rte_mbuf *m)
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
    process(u, flow, m, &pkt);
    return true;
}

/* As it is known by; of an endpoint's or a host's flow the second one is empty. */
static void show_tuple(const struct rill_flow_tuple *tuple, struct rill_view *view)
{
    struct rill_endpoint *a = &view->source, *b = &view->destination;

    a->family = b->family = tuple->family;
    a->proto = b->proto = tuple->proto;
    memcpy(a->addr, tuple->addr_a, sizeof(a->addr));
    memcpy(b->addr, tuple->addr_b, sizeof(b->addr));
    a->port = tuple->port_a;
    b->port = tuple->port_b;
}

/* The owner's last word on a flow that nobody will ask for again. */
void commit_flow_end(struct rill_unit *u, struct flow *flow)
{
    const struct rill_state_head *head = (const struct rill_state_head *)(void *)flow->state;
    struct rill_pkt pkt = {.side = RILL_INSIDE,
                           .time_ns = flow->active_ns,
                           .flow = flow->node.flow,
                           .state = flow->state,
                           .dirty_low = UINT32_MAX};

    if (!flow->owning || !flow->has_state)
        return;
    show_tuple(&head->tuple, &pkt.view);
    rill_nf_flow_end(u->config.nf, &pkt);
    if (rill_nf_descriptor(u->config.nf)->flow_end != NULL)
        flow->state_used = u->state_bytes; /* it may have written what it liked */
    u->n.flows_ended++;
}

void commit_on_request_full(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);
    struct rte_mbuf *m;

    /* One that was replaced may live on, and would tell of what only ever was here: nobody fences
     * it when we die. */
    if (f->src != u->config.output_logger)
        return;
    if (flow != NULL && flow->has_state) {
        commit_send_full(u, flow, f->src);
        return;
    }
    if (flow != NULL && flow->segments != NULL)
        return; /* it is on its way to us: the logger asks again */
    m = unit_message(u, RILL_FRAME_NO_FULL, f->src, f->flow);
    if (m != NULL) {
        u->n.no_fulls_sent++;
        unit_send(u, m);
    }
}
