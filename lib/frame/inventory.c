#include "lib/frame/inventory.h"

#include <errno.h>

void rill_inventory_claim(struct rill_inventory_item *item, uint64_t term, uint32_t unit,
                          bool established)
{
    struct rill_inventory_claim *lowest = NULL;
    uint8_t n = item->flow.claims;

    for (uint8_t i = 0; i < n; i++) {
        if (item->claims[i].term == term) {
            item->claims[i].established |= established;
            return;
        }
        if (lowest == NULL || item->claims[i].term < lowest->term)
            lowest = &item->claims[i];
    }
    if (n < RILL_INVENTORY_CLAIMS_MAX)
        lowest = &item->claims[item->flow.claims++];
    else if (lowest->term > term)
        return;
    *lowest = (struct rill_inventory_claim){.term = term, .unit = unit, .established = established};
}

static uint32_t flow_bytes(const struct rill_inventory_flow *flow)
{
    return (uint32_t)(sizeof(*flow) +
                      (flow->flags & RILL_INVENTORY_HEAD ? sizeof(struct rill_state_head) : 0) +
                      flow->claims * sizeof(struct rill_inventory_claim));
}

int rill_inventory_put(struct rte_mbuf *m, struct rte_mempool *pool,
                       const struct rill_inventory_item *item)
{
    uint8_t bytes[sizeof(*item)];
    uint8_t *to = bytes;

    if (item->kind == RILL_INVENTORY_ENDPOINT)
        return rill_body_append(m, pool, &item->endpoint, sizeof(item->endpoint));
    memcpy(to, &item->flow, sizeof(item->flow));
    to += sizeof(item->flow);
    if (item->flow.flags & RILL_INVENTORY_HEAD) {
        memcpy(to, &item->head, sizeof(item->head));
        to += sizeof(item->head);
    }
    memcpy(to, item->claims, item->flow.claims * sizeof(item->claims[0]));
    return rill_body_append(m, pool, bytes, flow_bytes(&item->flow));
}

static bool next_flow(const struct rte_mbuf *m, uint32_t *offset, struct rill_inventory_item *item)
{
    uint32_t at = *offset + (uint32_t)sizeof(item->flow);

    if (rill_body_read(m, *offset, &item->flow, sizeof(item->flow)) != 0 ||
        item->flow.claims > RILL_INVENTORY_CLAIMS_MAX)
        return false;
    memset(&item->head, 0, sizeof(item->head));
    if (item->flow.flags & RILL_INVENTORY_HEAD) {
        if (rill_body_read(m, at, &item->head, sizeof(item->head)) != 0)
            return false;
        at += (uint32_t)sizeof(item->head);
    }
    if (rill_body_read(m, at, item->claims,
                       item->flow.claims * (uint32_t)sizeof(item->claims[0])) != 0)
        return false;
    *offset += flow_bytes(&item->flow);
    return true;
}

bool rill_inventory_next(const struct rte_mbuf *m, uint32_t *offset,
                         struct rill_inventory_item *item)
{
    uint16_t kind;

    if (rill_body_read(m, *offset, &kind, sizeof(kind)) != 0)
        return false;
    item->kind = (enum rill_inventory_kind)kind;
    if (kind == RILL_INVENTORY_FLOW)
        return next_flow(m, offset, item);
    if (kind != RILL_INVENTORY_ENDPOINT ||
        rill_body_read(m, *offset, &item->endpoint, sizeof(item->endpoint)) != 0)
        return false;
    *offset += (uint32_t)sizeof(item->endpoint);
    return true;
}
