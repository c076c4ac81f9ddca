/* A controller takes over and asks what is here. Units that are dead are fenced before the answer
 * ("inv"), and nothing of an older controller is taken from now on (output_logger.c), so what is
 * told stays true: what is established, and which aliases a controller has confirmed
 * ("aliasepoch"). */
#include "lib/frame/inventory.h"
#include "output-logger/internal.h"

static bool fence_the_dead(struct rill_ol *ol, const struct rte_mbuf *m)
{
    struct rill_death death;

    if (RILL_MUTANT(inv_fence))
        return true;
    for (uint32_t at = 0; rill_body_read(m, at, &death, sizeof(death)) == 0; at += sizeof(death))
        if (death.output_logger == ol->config.id && !recovery_fence(ol, death.unit))
            return false;
    return true;
}

static uint32_t ms_since(const struct rill_ol *ol, uint64_t ns)
{
    return ns == 0 ? UINT32_MAX
                   : (uint32_t)RTE_MIN((ol->now_ns - ns) / 1000000, (uint64_t)UINT32_MAX - 1);
}

/* What is open is asked of the controller that takes over, and not at the pace of questions that
 * the one before it did not answer. */
static bool tell_flow(struct rill_ol *ol, struct rte_mbuf *m, struct entry *e)
{
    struct rill_inventory_item item = {.kind = RILL_INVENTORY_FLOW,
                                       .flow = {.kind = RILL_INVENTORY_FLOW,
                                                .flags = RILL_INVENTORY_HEAD,
                                                .vouched_ms = ms_since(ol, e->vouched_ns),
                                                .flow = e->node.flow,
                                                .idle_ns = ol->now_ns - e->active_ns,
                                                .term = e->tag_term,
                                                .step = e->step}};

    if (!e->has_state)
        return true;
    if (!e->established || e->alias_state == ALIAS_OPEN) {
        rill_timer_stop(ol->retries, &e->retry_timer);
        ol_want_retry(ol, e);
    }
    if (e->alias_state == ALIAS_CONFIRMED && !RILL_MUTANT(aliasepoch))
        item.flow.flags |= RILL_INVENTORY_CONFIRMED;
    memcpy(&item.head, e->state, sizeof(item.head));
    rill_inventory_claim(&item, e->term, e->node.unit, true);
    return rill_inventory_put(m, ol->config.pool, &item) == 0;
}

static uint64_t tell_flows(struct rill_ol *ol, struct rte_mbuf *m, uint64_t bucket, bool *ok)
{
    uint32_t slot = rill_epoch_slot(rill_frame(m)->epoch);

    for (; bucket <= ol->entries.mask; bucket++) {
        if (rte_pktmbuf_pkt_len(m) >= RILL_INVENTORY_PART_BYTES)
            return bucket;
        for (struct rill_map_node *node = ol->entries.buckets[bucket]; node != NULL && *ok;
             node = node->next)
            if (rill_number_slot(node->flow) == slot)
                *ok = tell_flow(ol, m, (struct entry *)node);
    }
    return RILL_INVENTORY_END;
}

void inventory_of_logger(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct rte_mbuf *answer;
    uint64_t next;
    bool ok = true;

    if (!fence_the_dead(ol, m))
        return;
    answer = ol_message(ol, RILL_FRAME_INVENTORY_PART, f->src, 0);
    if (answer == NULL)
        return;
    rill_frame(answer)->epoch = f->epoch;
    rill_frame(answer)->clock = f->clock;
    rill_frame(answer)->term = f->term;
    rill_frame(answer)->count = ms_since(ol, ol->heard_ns[rill_epoch_slot(f->epoch)]);
    next = tell_flows(ol, answer, f->clock, &ok);
    if (!ok) { /* the controller asks again */
        ol->n.messages_no_mbuf++;
        rte_pktmbuf_free(answer);
        return;
    }
    rill_frame(answer)->next_term = next;
    ol->n.inventory_parts++;
    rill_outbox_put(ol->out, answer);
}
