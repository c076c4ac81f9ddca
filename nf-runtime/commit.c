/* Packets that go the long way to their step (step.h), and what else becomes of a flow's state. */
#include "nf-runtime/step.h"

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

/* A packet that the NF drops still sends its change: the frame goes on without it. */
void step_strip_packet(struct rte_mbuf *m)
{
    rte_pktmbuf_free(m->next);
    m->next = NULL;
    m->nb_segs = 1;
    m->data_len = 0;
    m->pkt_len = 0;
}

/* A later fragment goes by the ports that its first has now. An echo's identifier is both. */
void step_turn(struct rill_frame *f, const struct rill_view *view)
{
    f->flags |= RILL_FLAG_TURN;
    if (!(view->flags & RILL_VIEW_LATER_FRAGMENT))
        return;
    f->first_sport = view->source.port;
    f->first_dport = view->source.proto == RILL_ICMP || view->source.proto == RILL_ICMP6
                         ? view->source.port
                         : view->destination.port;
}

void step_report(struct rill_unit *u, struct flow *flow, uint64_t clock, const struct rill_frame *f,
                 enum rill_verdict verdict)
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

void commit_process(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m)
{
    struct rill_pkt pkt;

    if (!window_admit(&flow->tag, rill_frame(m)->clock))
        unit_drop(m, &u->n.dropped_late_or_duplicate);
    else if (!read_packet(m, &pkt.view))
        unit_drop(m, &u->n.dropped_unit_parse);
    else
        step_process(u, flow, m, &pkt, false);
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
