/* Changes onto what is kept. The step before must be there; else the packet is kept back and the
 * full state asked for. */
#include "output-logger/internal.h"

static struct entry *entry_for(struct rill_ol *ol, uint32_t unit, uint64_t flow)
{
    struct entry *e = ol_find(ol, unit, flow);

    if (e == NULL) {
        e = rill_slab_get(&ol->slab);
        if (e == NULL)
            return NULL;
        e->node.flow = flow;
        e->node.unit = unit;
        e->established = true; /* there is no term yet to tell of */
        e->waiting_tail = &e->waiting;
        e->state = (uint8_t *)e + ol->state_at;
        rill_flow_map_insert(&ol->entries, &e->node);
        rill_timer_arm(ol->slow, &e->keep_timer, ol->now_ns + ol->config.keep_ns);
    }
    e->last_ns = ol->now_ns;
    return e;
}

static void heard_idle(const struct rill_ol *ol, struct entry *e, const struct rill_frame *f)
{
    uint64_t idle_ns = (uint64_t)f->count * 1000;

    if (idle_ns < ol->now_ns - e->active_ns)
        e->active_ns = ol->now_ns - idle_ns;
}

void apply_request_full(struct rill_ol *ol, struct entry *e)
{
    struct rte_mbuf *m = ol_message(ol, RILL_FRAME_REQUEST_FULL, e->node.unit, e->node.flow);

    ol_want_retry(ol, e);
    if (m == NULL)
        return;
    ol->n.fulls_requested++;
    rill_outbox_put(ol->out, m);
}

void apply_send_established(struct rill_ol *ol, struct entry *e)
{
    struct rte_mbuf *m =
        ol_message(ol, RILL_FRAME_ESTABLISHED, ol_controller(ol, e->node.flow), e->node.flow);

    ol_want_retry(ol, e);
    if (m == NULL)
        return;
    rill_frame(m)->term = e->term;
    rill_frame(m)->next_unit = e->node.unit;
    if (((const struct rill_state_head *)(const void *)e->state)->tuple.family != 0)
        rill_frame(m)->flags |= RILL_FLAG_TUPLE;
    ol->n.established_sent++;
    rill_outbox_put(ol->out, m);
}

/* We hold the full state of this term: the controller may move the flow again. */
static void reached_term(struct rill_ol *ol, struct entry *e, uint64_t term)
{
    if (term <= e->term)
        return;
    e->term = term;
    e->established = false;
    ol_ask_soon(ol, e);
    apply_send_established(ol, e);
}

/* The alias is part of the state, however that came: the controller must hear of it, packet or not.
 */
static void set_alias(struct rill_ol *ol, struct entry *e)
{
    const struct rill_alias *alias = (const struct rill_alias *)e->state;

    if (memcmp(alias, &e->alias, sizeof(*alias)) == 0)
        return;
    e->alias = *alias;
    e->alias_state = ALIAS_OPEN;
    ol_ask_soon(ol, e);
    release_ask_alias(ol, e);
}

/* Keeps a change back until the step before it is there. */
static void hold(struct rill_ol *ol, struct entry *e, struct rte_mbuf *m)
{
    uint64_t step = rill_frame(m)->step;
    struct rte_mbuf **at = &e->held;
    bool first = e->held == NULL;
    bool packet = rill_frame_has_packet(m);

    if (packet && ol->held >= ol->config.held_packets) {
        ol_drop(m, &ol->n.dropped_held_full);
        return;
    }
    while (*at != NULL && rill_frame(*at)->step < step)
        at = &rill_frame(*at)->link;
    if (*at != NULL && rill_frame(*at)->step == step) {
        ol_drop(m, &ol->n.dropped_already_released); /* a second copy of what is held */
        return;
    }
    rill_frame(m)->link = *at;
    *at = m;
    ol->held += packet;
    ol->n.changes_held++;
    if (!first)
        return;
    ol_ask_soon(ol, e);
    apply_request_full(ol, e);
}

static void apply(struct rill_ol *ol, struct entry *e, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    if (RILL_MUTANT(release_first)) {
        release_step(ol, e, m);
        return;
    }
    rill_state_copy(e->state + f->state_offset, f->state, f->state_bytes);
    if (f->flags & RILL_FLAG_FULL)
        rill_state_replaced(e->state, &e->state_used, f->state_bytes);
    else
        rill_state_wrote(&e->state_used, (uint32_t)f->state_offset + f->state_bytes);
    if (!release_alias_known(ol, e, f) && f->state_bytes > 0 && f->state_offset < sizeof(e->alias))
        set_alias(ol, e);
    e->step = f->step;
    e->tag_term = f->term;
    e->clock = f->clock;
    e->window = f->window;
    e->has_state = true;
    ol->n.changes_applied++;
    if (e->want_step <= e->step)
        e->want_step = 0;
    reached_term(ol, e, f->term);
    release_step(ol, e, m);
}

/* Can this change go onto what is kept? A full one onto anything; one that only says "elsewhere"
 * onto nothing, its state came (or will come) by itself. */
static bool fits(const struct entry *e, const struct rill_frame *f)
{
    if (f->flags & RILL_FLAG_FULL)
        return true;
    if ((f->flags & RILL_FLAG_ELSEWHERE) && !RILL_MUTANT(elsewhere))
        return false;
    if (RILL_MUTANT(gap_check) || RILL_MUTANT(first_full))
        return true;
    return e->has_state && e->tag_term == f->term && e->step == f->step - 1;
}

static bool covered(const struct entry *e, const struct rill_frame *f)
{
    return e->has_state && (f->term < e->term || f->step <= e->step);
}

/* What was held and now has its step before, or is covered. */
static void drain(struct rill_ol *ol, struct entry *e)
{
    while (e->held != NULL) {
        struct rte_mbuf *m = e->held;
        const struct rill_frame *f = rill_frame(m);
        bool is_covered = covered(e, f);

        if (!is_covered && !fits(e, f))
            return;
        e->held = f->link;
        ol->held -= rill_frame_has_packet(m);
        if (is_covered) {
            ol->n.changes_covered++;
            release_step(ol, e, m);
        } else {
            apply(ol, e, m);
        }
    }
}

/* The bytes lie within the state; a whole state is whole. */
static bool is_sound(const struct rill_ol *ol, const struct rill_frame *f)
{
    if (f->flags & RILL_FLAG_FULL)
        return f->state_offset == 0 && rill_state_fits(f->state_bytes, ol->config.state_bytes);
    return (uint32_t)f->state_offset + f->state_bytes <= ol->config.state_bytes;
}

void apply_on_change(struct rill_ol *ol, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    struct entry *e;

    f->link = NULL;
    ol->n.changes_in++;
    ol->n.packets_in += rill_frame_has_packet(m);
    if (!is_sound(ol, f)) {
        ol->n.messages_malformed++;
        ol_drop(m, &ol->n.dropped_held_lost);
        return;
    }
    e = entry_for(ol, f->src, f->flow);
    if (e == NULL) {
        ol_drop(m, &ol->n.dropped_logger_flows_full);
        return;
    }
    e->active_ns = ol->now_ns;
    if (covered(e, f)) {
        ol->n.changes_covered++;
        release_step(ol, e, m);
        return;
    }
    if (!fits(e, f)) {
        hold(ol, e, m);
        return;
    }
    apply(ol, e, m);
    drain(ol, e);
}

/* Nothing about the frame is out of the ordinary: a unit's change with a packet, by the newest
 * controller's epoch, that leaves the alias as it is. */
static inline bool frame_is_plain(const struct rill_ol *ol, const struct rill_frame *f)
{
    const uint8_t looked_at = RILL_FLAG_PACKET | RILL_FLAG_FULL | RILL_FLAG_ELSEWHERE;
    uint32_t end = (uint32_t)f->state_offset + f->state_bytes;

    return f->type == RILL_FRAME_CHANGE && (f->flags & looked_at) == RILL_FLAG_PACKET &&
           f->dst == ol->short_way_id && rill_role_kind(f->src) == RILL_ROLE_UNIT &&
           f->epoch == rill_controllers_epoch(&ol->controllers, f->flow) &&
           end <= ol->config.state_bytes &&
           (f->state_bytes == 0 || f->state_offset >= sizeof(struct rill_alias)) &&
           ol->fenced_count == 0;
}

/* Just the step that comes next in the term at hand; nothing is kept back, and all before it was
 * released. */
static inline bool is_next(const struct entry *e, const struct rill_frame *f)
{
    bool alias_known = (f->flags & RILL_FLAG_ALIAS_KNOWN) != 0;

    return e != NULL && e->has_state && e->tag_term == f->term && e->term == f->term &&
           e->step == f->step - 1 && e->released_top == e->step && e->held == NULL &&
           (e->alias_state == ALIAS_CONFIRMED || (e->alias_state == ALIAS_NONE && !alias_known));
}

/* What most changes are: applied and released in one go; the long way (apply_on_change()) comes to
 * the same. False: it is another, and nothing was done. */
bool apply_at_once(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct entry *e;

    if (!frame_is_plain(ol, f) || RILL_MUTANT(release_first))
        return false;
    e = ol_find(ol, f->src, f->flow);
    if (!is_next(e, f))
        return false;
    rill_state_copy(e->state + f->state_offset, f->state, f->state_bytes);
    rill_state_wrote(&e->state_used, (uint32_t)f->state_offset + f->state_bytes);
    e->step = f->step;
    e->clock = f->clock;
    e->window = f->window;
    if (e->want_step <= e->step)
        e->want_step = 0;
    e->last_ns = ol->now_ns;
    e->active_ns = ol->now_ns;
    e->released_top = f->step;
    e->released_window = e->released_window << 1 | 1;
    ol->n.changes_in++;
    ol->n.packets_in++;
    ol->n.changes_applied++;
    release_leave(ol, m);
    return true;
}

/* We hold the step that the frame's tag says, or a later one. But should we die now, the controller
 * may never hear of an alias that it has not answered: the unit must keep its copy. */
static void send_sync_ack(struct rill_ol *ol, const struct entry *e, const struct rill_frame *f)
{
    struct rte_mbuf *m = ol_message(ol, RILL_FRAME_SYNC_ACK, f->src, f->flow);

    if (m == NULL)
        return;
    if (e->alias_state == ALIAS_OPEN && !RILL_MUTANT(alias_kept))
        rill_frame(m)->flags = RILL_FLAG_REFUSED;
    rill_frame(m)->term = f->term;
    rill_frame(m)->step = f->step;
    rill_frame(m)->clock = f->clock;
    rill_frame(m)->window = f->window;
    rill_frame(m)->granted_term = f->granted_term;
    rill_outbox_put(ol->out, m);
}

/* The alias that the state holds was answered: now the unit need not keep its copy for that. */
void apply_say_kept(struct rill_ol *ol, const struct entry *e)
{
    struct rill_frame f = {.src = e->node.unit,
                           .flow = e->node.flow,
                           .term = e->tag_term,
                           .step = e->step,
                           .clock = e->clock,
                           .window = e->window,
                           .granted_term = e->term};

    if (e->has_state)
        send_sync_ack(ol, e, &f);
}

void apply_on_full(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    uint32_t bytes = rte_pktmbuf_pkt_len(m);
    struct entry *e;

    if (!rill_state_fits(bytes, ol->config.state_bytes)) {
        ol->n.messages_malformed++;
        return;
    }
    e = entry_for(ol, f->src, f->flow);
    if (e == NULL)
        return;
    heard_idle(ol, e, f);
    if (!e->has_state || f->granted_term > e->term || RILL_MUTANT(full_order) ||
        (f->granted_term == e->term && f->step > e->step)) {
        rill_state_read(m, 0, bytes, e->state, &e->state_used);
        if (!RILL_MUTANT(aliasstate))
            set_alias(ol, e);
        e->has_state = true;
        e->step = f->step;
        e->tag_term = f->term;
        e->clock = f->clock;
        e->window = f->window;
        ol->n.fulls_taken++;
        if (e->want_step <= e->step)
            e->want_step = 0;
        reached_term(ol, e, f->granted_term);
    }
    if (e->step >= f->step)
        send_sync_ack(ol, e, f);
    drain(ol, e);
}

uint64_t apply_drop_held(struct rill_ol *ol, struct entry *e, uint64_t *packet_counter)
{
    uint64_t dropped = 0;

    while (e->held != NULL) {
        struct rte_mbuf *m = e->held;

        e->held = rill_frame(m)->link;
        if (rill_frame_has_packet(m)) {
            ol->held--;
            dropped++;
        }
        ol_drop(m, packet_counter);
    }
    return dropped;
}

/* The unit does not know the flow any more: what is held can never be applied. */
void apply_on_no_full(struct rill_ol *ol, const struct rill_frame *f)
{
    struct entry *e = ol_find(ol, f->src, f->flow);

    if (e == NULL)
        return;
    e->want_step = 0;
    apply_drop_held(ol, e, &ol->n.dropped_held_lost);
}

/* The unit says where it is: if we are behind, the tail was lost; or the term began without a
 * packet, with a version that we may know from an earlier one. */
void apply_on_sync(struct rill_ol *ol, const struct rill_frame *f)
{
    struct entry *e = entry_for(ol, f->src, f->flow);

    if (e == NULL)
        return;
    ol->n.syncs_in++;
    heard_idle(ol, e, f);
    if (f->granted_term < e->term)
        return; /* late */
    if (e->has_state && e->term == f->granted_term && e->step >= f->step) {
        send_sync_ack(ol, e, f);
        return;
    }
    e->want_step = f->step;
    apply_request_full(ol, e);
}
