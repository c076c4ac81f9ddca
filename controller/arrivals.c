/* A burst of packets on its way in: parsed, and the places of their flows fetched together. With
 * tables larger than the caches, a look waits for memory; in a burst the waits are one. */
#include "controller/internal.h"

static bool is_outside_only(const struct rill_controller *c, enum rill_side side)
{
    return side == RILL_OUTSIDE && c->config.inside_opens;
}

static const struct key_map *map_of(const struct rill_controller *c, const struct arrival *a)
{
    return a->by_alias ? &c->by_alias : &c->by_key;
}

/* By alias, where only the inside opens flows and the outside knows them by that alone; else by its
 * key. */
static void set_key(const struct rill_controller *c, struct arrival *a, enum rill_side side)
{
    a->by_alias = is_outside_only(c, side);
    if (a->by_alias)
        rill_alias_keys_of(&a->view, c->config.vni, &a->key, NULL);
    else
        rill_flow_key(&a->view, side, c->config.flow_kind, c->config.vni, &a->key);
    a->hash = key_hash(map_of(c, a), &a->key);
    rte_prefetch0(key_map_place(map_of(c, a), a->hash));
}

/* Later fragments are found by their first. */
static void parse(const struct rill_controller *c, struct rte_mbuf *m, struct arrival *a)
{
    const struct rill_frame *f = rill_frame(m);

    a->parsed = rill_parse(m, f->wire_bytes, &a->view);
    a->has_key = a->parsed == RILL_PARSE_OK && !(a->view.flags & RILL_VIEW_LATER_FRAGMENT);
    if (a->has_key)
        set_key(c, a, (enum rill_side)f->side);
}

void arrivals_read(struct rill_controller *c, struct rte_mbuf **packets, uint32_t n,
                   struct arrival *arrivals)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i + 3 < n) {
            rte_prefetch0(rill_frame(packets[i + 3]));
            rte_prefetch0(rte_pktmbuf_mtod(packets[i + 3], void *));
        }
        parse(c, packets[i], &arrivals[i]);
    }
}

void arrival_fetch(const struct rill_controller *c, const struct arrival *a)
{
    const struct rill_flow_key *key;
    const uint8_t *flow;

    if (!a->has_key)
        return;
    key = key_map_likely(map_of(c, a), a->hash);
    if (key == NULL)
        return;
    if (a->by_alias)
        rte_prefetch0(key);
    flow = (const uint8_t *)(a->by_alias ? flow_of_alias(key) : flow_of_key(key));
    rte_prefetch0(flow);
    rte_prefetch0(flow + RTE_CACHE_LINE_SIZE);
    if (c->copies)
        rte_prefetch0(flow + 2 * RTE_CACHE_LINE_SIZE);
}

static struct flow *find_by_alias(struct rill_controller *c, const struct rill_view *view)
{
    struct rill_flow_key any, remote;
    struct flow *flow;

    rill_alias_keys_of(view, c->config.vni, &any, &remote);
    flow = flows_by_alias(c, &any);
    return flow != NULL ? flow : flows_by_alias(c, &remote);
}

struct flow *arrival_flow(struct rill_controller *c, const struct arrival *a, enum rill_side side)
{
    const struct rill_flow_key *key = key_map_find(map_of(c, a), &a->key, a->hash);
    struct flow *flow = a->by_alias ? flow_of_alias(key) : flow_of_key(key);

    if (flow == NULL && (side == RILL_OUTSIDE || !c->config.inside_opens))
        flow = find_by_alias(c, &a->view);
    return flow;
}
