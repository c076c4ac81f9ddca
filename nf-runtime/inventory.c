/* A controller takes over and asks what is here. From the first question on nothing of an older
 * controller is taken (unit.c sees to that by the epoch), and who is dead is known, so what is told
 * can only be changed by other units and by the new controller itself ("inv").
 *
 * Endpoints are told before flows: a flow that takes one in between is told with it. */
#include "lib/frame/inventory.h"
#include "nf-runtime/unit_internal.h"

/* A part's number: endpoints from the one given last on, pool by pool; then buckets of flows. */
enum { KIND_SHIFT = 32 };
#define PART_FLOWS (UINT64_C(1) << 48)

static uint64_t endpoints_part(unsigned pool, uint32_t from)
{
    return (uint64_t)pool << KIND_SHIFT | from;
}

static bool is_full(const struct rte_mbuf *m)
{
    return rte_pktmbuf_pkt_len(m) >= RILL_INVENTORY_PART_BYTES;
}

/* From the `from`-th of the pool on. Gives the part that follows; *ok false: no buffer. */
static uint64_t tell_endpoints(struct rill_unit *u, struct rte_mbuf *m, unsigned pool,
                               uint32_t from, bool *ok)
{
    struct rill_inventory_item item = {
        .kind = RILL_INVENTORY_ENDPOINT,
        .endpoint = {.kind = RILL_INVENTORY_ENDPOINT, .pool = (uint16_t)pool}};

    for (; *ok && rill_nf_pool_leased(u->config.nf, pool, rill_epoch_slot(rill_frame(m)->epoch),
                                      from, &item.endpoint.index, &item.endpoint.lease);
         from++) {
        if (is_full(m))
            return endpoints_part(pool, from);
        *ok = rill_inventory_put(m, u->config.pool, &item) == 0;
    }
    return pool + 1 < u->pool_count ? endpoints_part(pool + 1, 0) : PART_FLOWS;
}

static void claim_chain(struct rill_inventory_item *item, const struct rill_chain_entry *chain,
                        uint8_t len)
{
    for (uint8_t i = 0; i < len; i++)
        rill_inventory_claim(item, chain[i].term, chain[i].unit, false);
}

/* Terms that we had or have, that we wait for, and that we passed on or shall ("invnext"); and what
 * came before them ("invchain"), as nobody else may know it any more. */
static void claim_terms(const struct rill_unit *u, const struct flow *flow,
                        struct rill_inventory_item *item)
{
    if (flow->granted != 0) {
        rill_inventory_claim(item, flow->granted, u->config.id, false);
        claim_chain(item, flow->chain, flow->chain_len);
    }
    if (flow->passed_unit != 0)
        rill_inventory_claim(item, flow->passed_term, flow->passed_unit, false);
    for (const struct segment *g = flow->segments; g != NULL; g = g->next) {
        rill_inventory_claim(item, g->term, u->config.id, false);
        if (g->next_term != 0)
            rill_inventory_claim(item, g->next_term, g->next_unit, false);
        claim_chain(item, g->chain, g->chain_len);
    }
}

static uint32_t ms_since(const struct rill_unit *u, uint64_t ns)
{
    return ns == 0 ? UINT32_MAX
                   : (uint32_t)RTE_MIN((u->now_ns - ns) / 1000000, (uint64_t)UINT32_MAX - 1);
}

static bool tell_flow(struct rill_unit *u, struct rte_mbuf *m, const struct flow *flow)
{
    struct rill_inventory_item item = {.kind = RILL_INVENTORY_FLOW,
                                       .flow = {.kind = RILL_INVENTORY_FLOW,
                                                .vouched_ms = ms_since(u, flow->vouched_ns),
                                                .flow = flow->node.flow,
                                                .idle_ns = flow_idle_ns(u, flow)}};

    claim_terms(u, flow, &item);
    if (flow->has_state) {
        item.flow.flags = RILL_INVENTORY_HEAD;
        item.flow.term = flow->tag.term;
        item.flow.step = flow->tag.step;
        memcpy(&item.head, flow->state, sizeof(item.head));
    }
    if (item.flow.claims == 0)
        return true; /* a replica, no more */
    return rill_inventory_put(m, u->config.pool, &item) == 0;
}

/* Buckets from `bucket` on, each as a whole. */
static uint64_t tell_flows(struct rill_unit *u, struct rte_mbuf *m, uint64_t bucket, bool *ok)
{
    uint32_t slot = rill_epoch_slot(rill_frame(m)->epoch);

    for (; bucket <= u->flows.mask; bucket++) {
        if (is_full(m))
            return PART_FLOWS | bucket;
        for (const struct rill_map_node *node = u->flows.buckets[bucket]; node != NULL && *ok;
             node = node->next)
            if (rill_number_slot(node->flow) == slot)
                *ok = tell_flow(u, m, (const struct flow *)node);
    }
    return RILL_INVENTORY_END;
}

static void hear_of_the_dead(struct rill_unit *u, const struct rte_mbuf *m)
{
    struct rill_death death;

    for (uint32_t at = 0; rill_body_read(m, at, &death, sizeof(death)) == 0; at += sizeof(death))
        handoff_on_dead(u, death.unit, death.output_logger);
}

void inventory_of_unit(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct rte_mbuf *answer = unit_message(u, RILL_FRAME_INVENTORY_PART, f->src, 0);
    uint64_t part = f->clock, next;
    bool ok = true;

    hear_of_the_dead(u, m);
    if (answer == NULL)
        return;
    rill_frame(answer)->epoch = f->epoch;
    rill_frame(answer)->clock = part;
    rill_frame(answer)->term = f->term;
    rill_frame(answer)->count = ms_since(u, u->heard_ns[rill_epoch_slot(f->epoch)]);
    if (part >= PART_FLOWS)
        next = tell_flows(u, answer, part & ~PART_FLOWS, &ok);
    else if ((part >> KIND_SHIFT) < u->pool_count)
        next = tell_endpoints(u, answer, (unsigned)(part >> KIND_SHIFT), (uint32_t)part, &ok);
    else
        next = PART_FLOWS;
    if (!ok) { /* the controller asks again */
        u->n.messages_no_mbuf++;
        rte_pktmbuf_free(answer);
        return;
    }
    rill_frame(answer)->next_term = next;
    u->n.inventory_parts++;
    unit_send(u, answer);
}
