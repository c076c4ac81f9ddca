/* Who owns a flow, and how that changes. docs/protocol.md says why each step is there; the rule
 * names in quotes are those of the protocol's model. */
#include "nf-runtime/unit_internal.h"

/* Units hand this flow's state to each other: there is no store outside that keeps it, or it stays
 * here. */
static bool is_handed(const struct rill_unit *u, uint32_t unit)
{
    return u->config.store == 0 || unit == u->config.id;
}

/* FINAL to whom we passed the flow on. The state may be left out where the receiver is thought to
 * hold this very version: only a hint, it asks if it does not. With a store outside it is always
 * left out: FINAL names the version that the receiver is to read there. Its epoch is that of the
 * controller that spoke to us last ("giver"). */
static void send_final(struct rill_unit *u, struct flow *flow, bool with_state)
{
    struct rte_mbuf *m;
    struct rill_frame *f;

    if (!flow->has_state)
        return;
    with_state &= is_handed(u, flow->passed_unit);
    m = unit_message(u, RILL_FRAME_FINAL, flow->passed_unit, flow->node.flow);
    if (m == NULL)
        return;
    f = rill_frame(m);
    f->epoch = u->spoken[rill_number_slot(flow->node.flow)];
    tag_to_frame(&flow->tag, f);
    f->granted_term = flow->granted;
    f->next_term = flow->passed_term;
    f->next_unit = flow->passed_unit;
    f->count = flow_idle_us(u, flow);
    f->chain[0] = (struct rill_chain_entry){.term = flow->granted, .unit = u->config.id};
    f->chain_len = 1;
    for (uint8_t i = 0; i < flow->chain_len && f->chain_len < RILL_CHAIN_MAX; i++)
        f->chain[f->chain_len++] = flow->chain[i];
    if (with_state) {
        f->flags |= RILL_FLAG_STATE;
        if (rill_body_append(m, u->config.pool, flow->state,
                             rill_state_trim(flow->state, &flow->state_used)) != 0) {
            u->n.messages_no_mbuf++;
            rte_pktmbuf_free(m);
            return;
        }
    } else {
        u->n.finals_without_state++;
    }
    u->n.finals_sent++;
    unit_send(u, m);
}

/* We stop being owner; the copy stays here, pinned until the controller says otherwise ("pin"). */
static void pass_on(struct rill_unit *u, struct flow *flow, uint64_t term, uint32_t unit)
{
    if (!RILL_MUTANT(move_first))
        flow->owning = false;
    flow->passed_term = term;
    flow->passed_unit = unit;
    u->n.handoffs_out++;
    if (!is_handed(u, unit) && !external_has(flow))
        external_put(u, flow);
    send_final(u, flow, !replicate_held_by(flow, unit));
    if (RILL_MUTANT(pin))
        flow->has_state = false;
}

/* We own a term and were given packets of a later one: MOVE is implied ("implied"). Whoever comes
 * right after us in the later term's chain is our successor. */
static void implied(struct rill_unit *u, struct flow *flow)
{
    const struct segment *g = flow->segments;
    uint64_t term = g->term;
    uint32_t unit = u->config.id;

    if (g->chain_len == 0)
        return;
    for (uint8_t i = 0; i < g->chain_len; i++) {
        const struct rill_chain_entry *e = &g->chain[i];

        if (e->term > flow->granted && e->term < term) {
            term = e->term;
            unit = e->unit;
        }
    }
    pass_on(u, flow, term, unit);
}

/* Clocks begin at the flow's number. */
void handoff_begin(struct rill_unit *u, struct flow *flow, uint64_t term)
{
    struct tag tag = {.clock = flow->node.flow - 1, .window = UINT64_MAX};
    struct rill_chain_entry birth = {.term = RILL_BIRTH_TERM};

    rill_state_replaced(flow->state, &flow->state_used, 0);
    u->n.flows_born++;
    handoff_take(u, flow, term, &tag, &birth, 1);
}

/* Two stashes, each in order of clock, into one. A clock in both is a duplicate. */
static struct rte_mbuf *merge(struct rill_unit *u, struct rte_mbuf *a, struct rte_mbuf *b)
{
    struct rte_mbuf *head = NULL, **at = &head;

    while (a != NULL && b != NULL) {
        uint64_t ca = rill_frame(a)->clock, cb = rill_frame(b)->clock;
        struct rte_mbuf **least = ca <= cb ? &a : &b;
        struct rte_mbuf *m = *least;

        *least = rill_frame(m)->link;
        if (ca == cb) {
            unit_drop(m, &u->n.dropped_late_or_duplicate);
            continue;
        }
        *at = m;
        at = &rill_frame(m)->link;
    }
    *at = a != NULL ? a : b;
    return head;
}

/* Takes the packets of all segments up to `term` out, in order of clock, and frees the segments. Of
 * the segment of `term` itself, *own is left (its fields only). */
static struct rte_mbuf *take_stash(struct rill_unit *u, struct flow *flow, uint64_t term,
                                   struct segment *own)
{
    struct rte_mbuf *all = NULL;
    struct segment *g;

    *own = (struct segment){0};
    while ((g = flow->segments) != NULL && g->term <= term) {
        if (g->term == term)
            *own = *g;
        u->stashed -= g->stashed;
        all = merge(u, all, g->stash);
        g->stash = NULL;
        g->stashed = 0;
        store_drop_segment(u, g, &u->n.dropped_superseded);
    }
    return all;
}

/* We become owner of `term`, with flow->state as of `tag`; what was held is processed at once. */
void handoff_take(struct rill_unit *u, struct flow *flow, uint64_t term, const struct tag *tag,
                  const struct rill_chain_entry *chain, uint8_t chain_len)
{
    struct segment own;
    struct rte_mbuf *m = take_stash(u, flow, term, &own);

    flow->tag = *tag;
    flow->has_state = true;
    flow->owning = true;
    flow->next_full = true;
    flow->granted = term;
    flow->stored = (struct tag){0};
    flow->logged_at = 0; /* of this term it has nothing, even if it knows the very version */
    flow->passed_unit = 0;
    flow->passed_term = 0;
    spare_update(u, flow);
    if (own.chain_len > 0) {
        chain = own.chain;
        chain_len = own.chain_len;
    }
    flow->chain_len = chain_len;
    memcpy(flow->chain, chain, chain_len * sizeof(chain[0]));
    for (struct rte_mbuf *next; m != NULL; m = next) {
        next = rill_frame(m)->link;
        rill_frame(m)->link = NULL;
        commit_process(u, flow, m);
    }
    replicate_after_step(u, flow); /* the output logger is told even if there was no packet */
    if (own.next_term != 0)
        pass_on(u, flow, own.next_term, own.next_unit);
    else if (flow->segments != NULL)
        implied(u, flow);
    if (flow->segments != NULL && !flow->owning)
        handoff_start(u, flow);
}

/* Our replica is just what the term's first packet wants: its clock is one below, nothing before it
 * is missing ("dense"), and that packet was stamped by the controller itself ("direct"). */
static bool replica_fits(const struct flow *flow, const struct segment *g)
{
    if (!flow->has_replica || g->first_clock == 0)
        return false;
    if (!RILL_MUTANT(tag_check) && flow->replica.clock != g->first_clock - 1)
        return false;
    return flow->replica.window == UINT64_MAX || RILL_MUTANT(dense);
}

void handoff_take_replica(struct rill_unit *u, struct flow *flow, uint64_t term,
                          const struct rill_chain_entry *chain, uint8_t chain_len)
{
    struct tag tag = flow->replica;

    memcpy(flow->state, flow_replica_state(u, flow), flow->replica_used);
    rill_state_replaced(flow->state, &flow->state_used, flow->replica_used);
    handoff_take(u, flow, term, &tag, chain, chain_len);
}

/* Can the lowest term that waits begin? Only that one: terms are begun in order. */
void handoff_start(struct rill_unit *u, struct flow *flow)
{
    struct segment *g = flow->segments;

    if (g == NULL || flow->owning || g->chain_len == 0 || g->unsure)
        return;
    if (entry_is_birth(&g->chain[0])) {
        handoff_begin(u, flow, g->term);
        return;
    }
    if (replica_fits(flow, g)) {
        handoff_take_replica(u, flow, g->term, NULL, 0);
        return;
    }
    if (g->tries == 0 && (g->chain[0].unit == u->config.id || entry_is_dead(&g->chain[0])))
        handoff_ask(u, g);
    else if (!is_handed(u, g->chain[0].unit) && g->last_read == 0)
        external_get(u, g);
}

static void forward(struct rill_unit *u, const struct flow *flow, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_FORWARDED;
    f->flags &= RILL_FLAG_PACKET | RILL_FLAG_TUPLE;
    f->src = u->config.id;
    f->dst = flow->passed_unit;
    f->term = flow->passed_term;
    f->target_count = 0;
    f->chain_len = 1;
    f->chain[0] = (struct rill_chain_entry){.term = flow->granted, .unit = u->config.id};
    u->n.packets_forwarded++;
    unit_send(u, m);
}

/* A packet of a term that we own, owned, or have gone past. */
static void on_late(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m)
{
    if (flow->owning || (RILL_MUTANT(late_apply) && flow->has_state))
        commit_process(u, flow, m);
    else if (flow->segments != NULL)
        stash_put(u, flow->segments, m);
    else if (flow->passed_unit != 0)
        forward(u, flow, m);
    else
        unit_drop(m, &u->n.dropped_late_or_duplicate);
}

/* A packet of a term that we have not begun. */
static void on_ahead(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    uint64_t term = f->term, clock = f->clock;
    bool direct = f->type == RILL_FRAME_DATA;
    bool moved = direct && (f->flags & RILL_FLAG_MOVED);
    bool by_gap = (f->flags & RILL_FLAG_BY_GAP) != 0;
    struct segment *g = store_segment(u, flow, term, f->chain, f->chain_len);

    if (g == NULL) {
        unit_drop(m, &u->n.dropped_unit_flows_full);
        return;
    }
    g->unsure &= !direct;
    if ((direct || RILL_MUTANT(direct)) && (g->first_clock == 0 || clock < g->first_clock))
        g->first_clock = clock;
    stash_put(u, g, m);
    if (flow->owning)
        implied(u, flow);
    handoff_start(u, flow);
    if (!moved)
        return;
    if (flow->granted >= term) {
        u->n.moved_in_seamless++;
        u->n.moved_in_seamless_by_gap += by_gap;
    } else {
        u->n.moved_in_held++;
    }
}

void handoff_on_data(struct rill_unit *u, struct rte_mbuf *m, struct flow *known)
{
    struct rill_frame *f = rill_frame(m);
    struct flow *flow = known != NULL ? known : store_get(u, f->flow);

    f->link = NULL;
    if (flow == NULL) {
        unit_drop(m, &u->n.dropped_unit_flows_full);
        return;
    }
    flow->last_ns = u->now_ns;
    flow->active_ns = u->now_ns;
    if (f->term > flow->granted && !(RILL_MUTANT(implied) && flow->owning)) {
        on_ahead(u, flow, m);
        return;
    }
    if (f->type == RILL_FRAME_DATA && (f->flags & RILL_FLAG_MOVED) && f->term == flow->granted) {
        /* FINAL came before the packet: it does not wait. */
        u->n.moved_in_seamless++;
        u->n.moved_in_seamless_by_gap += (f->flags & RILL_FLAG_BY_GAP) != 0;
    }
    on_late(u, flow, m);
}

/* A term that is ahead of us goes on to another: remember it, and get the state if we are asked.
 * Who asks may have waited since before the flow ended, and we have forgotten it: to begin it anew,
 * or from what somebody older still has, is then wrong ("ended_pull"). */
static void moved_ahead(struct rill_unit *u, struct flow *flow, const struct rill_frame *f,
                        uint32_t to, bool pull)
{
    bool is_new = flow_segment(flow, f->term) == NULL;
    struct segment *g = store_segment(u, flow, f->term, f->chain, f->chain_len);

    if (g == NULL)
        return;
    g->unsure = pull && (is_new || g->unsure);
    if (g->next_term <= f->next_term) {
        g->next_term = f->next_term;
        g->next_unit = to;
    }
    if (flow->owning)
        implied(u, flow);
    else if (g->chain_len > 0 && entry_is_birth(&g->chain[0]) && g == flow->segments && !g->unsure)
        handoff_begin(u, flow, f->term);
    else if (pull && (g->tries == 0 || g->tries + 1 >= u->config.resend.attempts))
        handoff_ask(u, g); /* who asks us is not to wait for our slow pauses besides its own */
}

/* MOVE and PULL: the term f->term, which we had, have or shall have, goes on to f->next_term. A
 * question is judged by the term that it asks for, not by one that is only awaited ("skip"). */
void handoff_on_move(struct rill_unit *u, const struct rill_frame *f)
{
    bool pull = f->type == RILL_FRAME_PULL;
    uint32_t to = f->next_unit;
    struct flow *flow = store_get(u, f->flow);

    if (flow == NULL)
        return;
    if (RILL_MUTANT(skip) && pull && flow->segments != NULL && f->next_term <= flow->segments->term)
        return;
    if (f->next_term <= f->term) {
        u->n.messages_malformed++;
        return;
    }
    if (pull)
        u->n.pulls_answered++;
    if (f->term > flow->granted) {
        moved_ahead(u, flow, f, to, pull);
        return;
    }
    if (f->term != flow->granted && f->next_term <= flow->granted && !RILL_MUTANT(former_pull))
        return;
    if (flow->owning) {
        pass_on(u, flow, f->next_term, to);
    } else if (flow->passed_unit == 0 || f->next_term >= flow->passed_term) {
        flow->passed_term = f->next_term;
        flow->passed_unit = to;
        /* The store may have lost what it has acknowledged. */
        if (!is_handed(u, to) && flow->has_state && !RILL_MUTANT(store_trust))
            external_put(u, flow);
        send_final(u, flow, pull || !replicate_held_by(flow, to));
    }
}

/* The other way round than a question ("asker"): a unit that the newest controller has not spoken
 * to may have died before that one took over, so nobody has told to whom it was to give the flow.
 * Whoever waits for that term has told it, or has heard of it since ("giver"). */
static bool is_unknown_giver(const struct rill_unit *u, const struct rill_frame *f)
{
    const struct flow *flow = store_find(u, f->flow);

    return f->epoch < rill_controllers_epoch(&u->controllers, f->flow) &&
           (flow == NULL || flow_segment(flow, f->next_term) == NULL) && !RILL_MUTANT(giver);
}

void handoff_on_final(struct rill_unit *u, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    struct tag tag = {f->term, f->step, f->clock, f->window};
    uint64_t term = f->next_term;
    struct flow *flow;

    if (is_unknown_giver(u, f)) { /* whoever shall have the flow asks */
        u->n.messages_old_epoch++;
        return;
    }
    flow = store_get(u, f->flow);
    if (flow == NULL)
        return;
    if (RILL_MUTANT(forterm) && flow->segments != NULL && !flow->owning)
        term = flow->segments->term;
    if (term <= flow->granted)
        return; /* an old one: the term that it grants has begun */
    flow_heard_idle(u, flow, f->count);
    if (f->flags & RILL_FLAG_STATE) {
        uint32_t bytes = rte_pktmbuf_pkt_len(m);

        if (!rill_state_fits(bytes, u->state_bytes) ||
            rill_state_read(m, 0, bytes, flow->state, &flow->state_used) != 0) {
            u->n.messages_malformed++;
            return;
        }
        handoff_take(u, flow, term, &tag, f->chain, f->chain_len);
        return;
    }
    if (flow->has_replica && (tag_equal(&flow->replica, &tag) || RILL_MUTANT(final_replica)))
        handoff_take_replica(u, flow, term, f->chain, f->chain_len);
    else if (!is_handed(u, f->src))
        external_await(u, flow, f);
    else
        handoff_ask_for_state(u, flow, f);
}

/* The controller gives us a flow whose owner died, without a packet: until we have its state, that
 * is at an output logger alone. */
void handoff_on_take(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_get(u, f->flow);
    struct segment *g;

    if (flow == NULL || f->term <= flow->granted || f->chain_len == 0)
        return;
    flow->vouched_ns = u->now_ns;
    g = store_segment(u, flow, f->term, f->chain, f->chain_len);
    if (g == NULL)
        return;
    g->unsure = false;
    if (flow->owning)
        implied(u, flow);
    handoff_start(u, flow);
}
