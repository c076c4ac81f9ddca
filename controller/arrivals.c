/* A burst of packets on its way in: parsed, and their flows looked up together. With tables larger
 * than the caches, a look waits for memory; in a burst the waits are one. */
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
    rte_prefetch0(key_map_bucket(map_of(c, a), a->hash));
}

/* Later fragments are found by their first. */
static void parse(const struct rill_controller *c, struct rte_mbuf *m, struct arrival *a)
{
    const struct rill_frame *f = rill_frame(m);

    a->flow = NULL;
    a->removed = c->keys_removed;
    a->parsed = rill_parse(m, f->wire_bytes, &a->view);
    a->has_key = a->parsed == RILL_PARSE_OK && !(a->view.flags & RILL_VIEW_LATER_FRAGMENT);
    if (a->has_key)
        set_key(c, a, (enum rill_side)f->side);
}

static struct flow *flow_of(const struct arrival *a, const struct key_node *node)
{
    return a->by_alias ? flow_of_alias(node) : flow_of_key(node);
}

/* The flow that is the packet's, if its chain is of one. */
static void fetch_flow(const struct rill_controller *c, const struct arrival *a)
{
    const struct key_node *node = *key_map_bucket(map_of(c, a), a->hash);
    const uint8_t *at = (const uint8_t *)flow_of(a, node);

    if (at == NULL)
        return;
    rte_prefetch0(at);
    rte_prefetch0(at + RTE_CACHE_LINE_SIZE);
    rte_prefetch0(at + 2 * RTE_CACHE_LINE_SIZE);
    if (a->by_alias)
        rte_prefetch0(&node->key);
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
    for (uint32_t i = 0; i < n; i++)
        if (arrivals[i].has_key)
            fetch_flow(c, &arrivals[i]);
    for (uint32_t i = 0; i < n; i++) {
        struct arrival *a = &arrivals[i];

        if (a->has_key)
            a->flow = flow_of(a, key_map_find(map_of(c, a), &a->key, a->hash));
    }
}

static struct flow *find_by_alias(struct rill_controller *c, const struct rill_view *view)
{
    struct rill_flow_key any, remote;
    struct flow *flow;

    rill_alias_keys_of(view, c->config.vni, &any, &remote);
    flow = flows_by_alias(c, &any);
    return flow != NULL ? flow : flows_by_alias(c, &remote);
}

/* What was found stays so while no flow loses its key. What was not may have begun since, with a
 * packet of the same burst. */
struct flow *arrival_flow(struct rill_controller *c, const struct arrival *a, enum rill_side side)
{
    struct flow *flow = NULL;

    if (a->flow != NULL && a->removed == c->keys_removed)
        return a->flow;
    if (!is_outside_only(c, side))
        flow = flows_by_key(c, &a->key);
    if (flow == NULL && (side == RILL_OUTSIDE || !c->config.inside_opens))
        flow = find_by_alias(c, &a->view);
    return flow;
}
