/* Asking for the state of a term that was given to us: whoever had the flow before, the controller
 * that knows who did, the output loggers of the dead. docs/protocol.md says why each step is there;
 * the rule names in quotes are those of the protocol's model. */
#include "nf-runtime/unit_internal.h"

/* REFUSED: whom we ask now died with all that it had; FORGOTTEN: we had it, but no more. Then the
 * controller ends the flow. */
static void send_where(struct rill_unit *u, const struct segment *g, uint16_t flags)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_WHERE, unit_controller(u, g->flow->node.flow),
                                      g->flow->node.flow);

    if (m == NULL)
        return;
    rill_frame(m)->term = g->term;
    rill_frame(m)->flags = flags;
    if (RILL_MUTANT(where))
        rill_frame(m)->dst = RILL_ROLE_NONE;
    u->n.where_sent++;
    unit_send(u, m);
}

/* The NF wants no more of this life. If that is lost, it says so again with the next packet. */
void handoff_say_ended(struct rill_unit *u, const struct flow *flow)
{
    struct rte_mbuf *m =
        unit_message(u, RILL_FRAME_WHERE, unit_controller(u, flow->node.flow), flow->node.flow);

    if (m == NULL)
        return;
    rill_frame(m)->term = flow->granted;
    rill_frame(m)->flags = RILL_FLAG_ENDED;
    u->n.where_sent++;
    unit_send(u, m);
}

/* To a dead unit's output logger: what did it hold in that term? If our replica is of that very
 * version, the state need not come. */
static void send_logger_pull(struct rill_unit *u, const struct segment *g,
                             const struct rill_chain_entry *e)
{
    struct rte_mbuf *m =
        unit_message(u, RILL_FRAME_LOGGER_PULL, e->output_logger, g->flow->node.flow);
    struct rill_frame *f;

    if (m == NULL)
        return;
    f = rill_frame(m);
    if (g->flow->has_replica)
        tag_to_frame(&g->flow->replica, f);
    f->granted_term = e->term;
    f->next_term = g->term;
    f->next_unit = e->unit;
    u->n.logger_pulls_sent++;
    unit_send(u, m);
}

/* Its epoch is that of the controller that spoke to us last ("asker"). */
static struct rte_mbuf *pull_message(struct rill_unit *u, uint32_t unit, uint64_t flow)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_PULL, unit, flow);

    if (m != NULL)
        rill_frame(m)->epoch = u->spoken[rill_number_slot(flow)];
    return m;
}

static void send_pull(struct rill_unit *u, const struct segment *g,
                      const struct rill_chain_entry *e)
{
    struct rte_mbuf *m;
    struct rill_frame *f;

    m = pull_message(u, e->unit, g->flow->node.flow);
    if (m == NULL)
        return;
    f = rill_frame(m);
    f->term = e->term;
    f->next_term = g->term;
    f->next_unit = u->config.id;
    f->chain_len = g->chain_len - g->chain_at - 1;
    memcpy(f->chain, e + 1, f->chain_len * sizeof(f->chain[0]));
    u->n.pulls_sent++;
    unit_send(u, m);
}

/* Asks along the chain, newest first ("walk"); every other time the controller too ("where"). May
 * begin the term, and so free the segment. */
void handoff_ask(struct rill_unit *u, struct segment *g)
{
    const struct rill_chain_entry *e = &g->chain[g->chain_at];
    bool at_end = g->chain_at >= g->chain_len;
    bool lost = !at_end && entry_is_lost(e) && !RILL_MUTANT(lost);

    g->tries++;
    if (lost || g->unsure || g->chain_len == 0 || g->tries % 2 == 0)
        send_where(u, g, lost ? RILL_FLAG_REFUSED : 0);
    if (at_end || lost || g->unsure)
        return;
    if (entry_is_birth(e))
        handoff_begin(u, g->flow, g->term);
    else if (entry_is_dead(e))
        send_logger_pull(u, g, e);
    else
        send_pull(u, g, e);
}

/* It is another that is asked now. */
static void ask_next(struct rill_unit *u, struct segment *g)
{
    g->tries = 0;
    rill_timer_arm(u->questions, &g->timer, u->now_ns + u->config.pull_timeout_ns);
    handoff_ask(u, g);
}

void handoff_segment_due(struct rill_unit *u, struct segment *g)
{
    struct flow *flow = g->flow;
    uint64_t term = g->term;

    if (!RILL_MUTANT(pull_never))
        handoff_ask(u, g);
    g = flow_segment(flow, term);
    if (g == NULL)
        return;
    if (g->last_read != 0) /* the question, or the answer, may be lost */
        external_get(u, g);
    rill_timer_arm(u->questions, &g->timer,
                   u->now_ns + rill_resend_pause_ns(&u->config.resend, u->config.pull_timeout_ns,
                                                    g->tries + 1, &u->n.resends_slowed));
}

/* FINAL without the state, and we do not hold that version: ask for it. */
void handoff_ask_for_state(struct rill_unit *u, struct flow *flow, const struct rill_frame *f)
{
    struct rte_mbuf *m;

    if (store_segment(u, flow, f->next_term, f->chain, f->chain_len) == NULL)
        return;
    m = pull_message(u, f->src, flow->node.flow);
    if (m == NULL)
        return;
    rill_frame(m)->term = f->granted_term;
    rill_frame(m)->next_term = f->next_term;
    rill_frame(m)->next_unit = u->config.id;
    u->n.pulls_sent++;
    unit_send(u, m);
}

static uint8_t chain_find(const struct rill_frame *f, const struct rill_chain_entry *e)
{
    for (uint8_t i = 0; e != NULL && i < f->chain_len; i++)
        if (f->chain[i].term == e->term && f->chain[i].unit == e->unit)
            return i;
    return 0;
}

/* The controller's answer to WHERE. */
void handoff_on_chain(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);
    struct segment *g = flow != NULL ? flow_segment(flow, f->term) : NULL;
    const struct rill_chain_entry *now;
    bool was_lost, was_unsure;

    if (g == NULL)
        return;
    now = g->chain_at < g->chain_len ? &g->chain[g->chain_at] : NULL;
    was_lost = now != NULL && entry_is_lost(now);
    was_unsure = g->unsure;
    if (f->flags & RILL_FLAG_REFUSED) { /* the flow went on, or ended, without us */
        u->n.states_lost += was_lost;
        store_drop_segment(u, g, &u->n.dropped_superseded);
        return;
    }
    if (f->chain_len == 0) { /* established: we had begun it, and have forgotten it since */
        send_where(u, g, RILL_FLAG_FORGOTTEN);
        return;
    }
    g->chain_at = chain_find(f, now);
    g->chain_len = f->chain_len;
    memcpy(g->chain, f->chain, sizeof(g->chain));
    g->unsure = false;
    now = &g->chain[g->chain_at];
    if (was_unsure || entry_is_birth(now) ||
        (entry_is_dead(now) && !(was_lost && entry_is_lost(now))))
        handoff_ask(u, g);
}

/* What a dead unit's output logger holds for the term that we asked about. */
void handoff_on_logger_state(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct flow *flow = store_find(u, f->flow);
    struct segment *g = flow != NULL ? flow_segment(flow, f->next_term) : NULL;
    struct tag tag = {f->term, f->step, f->clock, f->window};
    const struct rill_chain_entry *e;

    if (g == NULL || g->chain_at >= g->chain_len)
        return;
    e = &g->chain[g->chain_at];
    if ((e->term != f->granted_term || e->unit != f->next_unit) && !RILL_MUTANT(answer_any))
        return; /* to an earlier question */
    if (!(f->flags & RILL_FLAG_REFUSED))
        flow_heard_idle(u, flow, f->count);
    if (f->flags & RILL_FLAG_REFUSED) { /* or the flow ended, and it has forgotten */
        g->chain_at++;
        g->unsure = true;
        ask_next(u, g);
    } else if (f->flags & RILL_FLAG_STATE) {
        uint32_t bytes = rte_pktmbuf_pkt_len(m);

        if (!rill_state_fits(bytes, u->state_bytes) ||
            rill_state_read(m, 0, bytes, flow->state, &flow->state_used) != 0) {
            u->n.messages_malformed++;
            return;
        }
        u->n.recovered_from_logger++;
        handoff_take(u, flow, f->next_term, &tag, NULL, 0);
    } else if (flow->has_replica && tag_equal(&flow->replica, &tag)) {
        u->n.recovered_from_replica++;
        handoff_take_replica(u, flow, f->next_term, NULL, 0);
    } /* else the replica went on meanwhile: the next question says so */
}

/* A unit is dead: whoever waits for it asks its output logger now. */
void handoff_on_dead(struct rill_unit *u, uint32_t unit, uint32_t output_logger)
{
    for (struct segment *g = u->waiting, *next; g != NULL; g = next) {
        bool now = false;

        next = g->next_waiting;
        for (uint8_t i = 0; i < g->chain_len; i++) {
            if (g->chain[i].unit != unit || entry_is_birth(&g->chain[i]))
                continue;
            g->chain[i].output_logger = output_logger;
            now |= i == g->chain_at;
        }
        if (now && g == g->flow->segments && !g->flow->owning)
            ask_next(u, g); /* begins nothing: the entry is that of a unit */
    }
}
