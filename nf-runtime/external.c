/* State mode `external`: units do not hand state to each other, but write it to a store outside and
 * read it from there. The owner writes in the gaps, and once more when the flow moves, unless the
 * store has just that version. Its successor reads as soon as it hears of its term, and goes on if
 * what it gets fits the term's first packet as a replica would; else with no other version than
 * FINAL names. The store is trusted with nothing: the former owner keeps its copy until the next
 * term is established, as always, and writes it again when it is asked with PULL. */
#include "nf-runtime/unit_internal.h"

/* A version that is not the right one is asked for again at once, as what was written may be just
 * behind; so often, then only when the former owner has been asked, too. */
enum { STALE_READS_MAX = 4 };

void external_put(struct rill_unit *u, struct flow *flow)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_STORE_PUT, u->config.store, flow->node.flow);

    if (m == NULL)
        return;
    tag_to_frame(&flow->tag, rill_frame(m));
    rill_frame(m)->granted_term = flow->granted;
    if (rill_body_append(m, u->config.pool, flow->state, u->state_bytes) != 0) {
        u->n.messages_no_mbuf++;
        rte_pktmbuf_free(m);
        return;
    }
    u->n.store_puts++;
    unit_send(u, m);
}

/* A version without a step has no number that tells it from none. */
bool external_has(const struct flow *flow)
{
    return flow->tag.step != 0 && tag_equal(&flow->stored, &flow->tag);
}

void external_on_ack(struct rill_unit *u, const struct rill_frame *f)
{
    struct tag tag = {f->term, f->step, f->clock, f->window};
    struct flow *flow = store_find(u, f->flow);

    u->n.store_acks++;
    if (flow == NULL || f->granted_term != flow->granted || (f->flags & RILL_FLAG_REFUSED))
        return;
    if (tag_newer(&tag, &flow->stored))
        flow->stored = tag;
    if (RILL_MUTANT(store_pin) && !flow->owning && tag_equal(&tag, &flow->tag))
        flow->has_state = false;
}

void external_get(struct rill_unit *u, struct segment *g)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_STORE_GET, u->config.store, g->flow->node.flow);

    if (m == NULL)
        return;
    if (++u->reads == 0)
        u->reads = 1; /* 0: none */
    g->last_read = u->reads;
    rill_frame(m)->count = u->reads;
    u->n.store_gets++;
    unit_send(u, m);
}

/* FINAL names the version with which the term begins. It may be on its way to us already, or to the
 * store; the question that goes out now comes there after it. */
void external_await(struct rill_unit *u, struct flow *flow, const struct rill_frame *f)
{
    struct segment *g = store_segment(u, flow, f->next_term, f->chain, f->chain_len);

    if (g == NULL)
        return;
    g->named = (struct tag){f->term, f->step, f->clock, f->window};
    g->is_named = true;
    g->stale_reads = 0;
    external_get(u, g);
}

/* The segment that was told to begin with that version. */
static struct segment *find_named(const struct flow *flow, const struct tag *tag)
{
    struct segment *g = flow->segments;

    while (g != NULL && !(g->is_named && (tag_equal(&g->named, tag) || RILL_MUTANT(store_old))))
        g = g->next;
    return g;
}

/* It can not be used yet, but may fit what comes. */
static void keep_value(struct rill_unit *u, struct flow *flow, const struct tag *tag,
                       struct rte_mbuf *m)
{
    uint64_t granted = flow->granted;

    if (flow->has_replica && !tag_newer(tag, &flow->replica))
        return;
    rill_state_read(m, 0, u->state_bytes, flow_replica_state(u, flow), &flow->replica_used);
    flow->replica = *tag;
    flow->has_replica = true;
    handoff_start(u, flow);
    u->n.store_values += flow->granted != granted;
}

/* The answer was no use. If it is the last question's, another is asked. */
static void read_again(struct rill_unit *u, const struct flow *flow, uint32_t number)
{
    struct segment *g = flow->segments;

    while (g != NULL && g->last_read != number)
        g = g->next;
    if (g == NULL || !g->is_named)
        return;
    u->n.store_stale++;
    if (g->stale_reads++ >= STALE_READS_MAX)
        return;
    external_get(u, g);
}

static void take_value(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct tag tag = {f->term, f->step, f->clock, f->window};
    uint32_t number = f->count;
    struct segment *g = find_named(flow, &tag);

    if (g != NULL) {
        rill_state_read(m, 0, u->state_bytes, flow->state, &flow->state_used);
        u->n.store_values++;
        handoff_take(u, flow, g->term, &tag, NULL, 0);
        return;
    }
    keep_value(u, flow, &tag, m);
    read_again(u, flow, number);
}

void external_on_value(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct flow *flow = store_find(u, f->flow);

    if (flow == NULL || flow->segments == NULL)
        return; /* it went on meanwhile */
    if (!(f->flags & RILL_FLAG_STATE)) {
        u->n.store_empty++;
        read_again(u, flow, f->count);
        return;
    }
    if (rte_pktmbuf_pkt_len(m) != u->state_bytes) {
        u->n.messages_malformed++;
        return;
    }
    take_value(u, flow, m);
}
