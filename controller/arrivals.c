/* A burst of packets on its way in: parsed, and their flows looked up together. With tables larger
 * than the caches, a look waits for memory; in a burst the waits are one. */
#include "controller/internal.h"

static bool is_outside_only(const struct rill_controller *c, enum rill_side side)
{
    return side == RILL_OUTSIDE && c->config.inside_opens;
}

/* Later fragments are found by their first. */
static bool has_key(const struct arrival *a)
{
    return a->parsed == RILL_PARSE_OK && !(a->view.flags & RILL_VIEW_LATER_FRAGMENT);
}

/* By alias, where only the inside opens flows and the outside knows them by that alone; else by its
 * key. */
static void set_key(const struct rill_controller *c, struct arrival *a, enum rill_side side)
{
    if (is_outside_only(c, side))
        rill_alias_keys_of(&a->view, c->config.vni, &a->key, NULL);
    else
        rill_flow_key(&a->view, side, c->config.flow_kind, c->config.vni, &a->key);
}

static void fetch_flow(const struct flow *flow)
{
    const uint8_t *at = (const uint8_t *)flow;

    rte_prefetch0(at);
    rte_prefetch0(at + RTE_CACHE_LINE_SIZE);
    rte_prefetch0(at + 2 * RTE_CACHE_LINE_SIZE);
}

static void look_up(const struct rill_controller *c, const struct rte_hash *table,
                    struct arrival **arrivals, uint32_t n)
{
    const struct rill_flow_key *keys[ARRIVALS_MAX];
    struct flow *flows[ARRIVALS_MAX];

    for (uint32_t i = 0; i < n; i++)
        keys[i] = &arrivals[i]->key;
    flows_by_keys(c, table, keys, n, flows);
    for (uint32_t i = 0; i < n; i++) {
        arrivals[i]->flow = flows[i];
        if (flows[i] != NULL)
            fetch_flow(flows[i]);
    }
}

static void parse(struct rill_controller *c, struct rte_mbuf *m, struct arrival *a)
{
    const struct rill_frame *f = rill_frame(m);

    a->flow = NULL;
    a->ended = c->n.flows_ended;
    a->parsed = rill_parse(m, f->wire_bytes, &a->view);
    if (has_key(a))
        set_key(c, a, (enum rill_side)f->side);
}

void arrivals_read(struct rill_controller *c, struct rte_mbuf **packets, uint32_t n,
                   struct arrival *arrivals)
{
    struct arrival *by_key[ARRIVALS_MAX], *by_alias[ARRIVALS_MAX];
    uint32_t keys = 0, aliases = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct arrival *a = &arrivals[i];

        if (i + 3 < n) {
            rte_prefetch0(rill_frame(packets[i + 3]));
            rte_prefetch0(rte_pktmbuf_mtod(packets[i + 3], void *));
        }
        parse(c, packets[i], a);
        if (!has_key(a))
            continue;
        if (is_outside_only(c, (enum rill_side)rill_frame(packets[i])->side))
            by_alias[aliases++] = a;
        else
            by_key[keys++] = a;
    }
    look_up(c, c->by_key, by_key, keys);
    look_up(c, c->by_alias, by_alias, aliases);
}

static struct flow *find_by_alias(struct rill_controller *c, const struct rill_view *view)
{
    struct rill_flow_key any, remote;
    struct flow *flow;

    rill_alias_keys_of(view, c->config.vni, &any, &remote);
    flow = flows_by_alias(c, &any);
    return flow != NULL ? flow : flows_by_alias(c, &remote);
}

/* What was found stays so while no flow ends. What was not may have begun since, with a packet of
 * the same burst. */
struct flow *arrival_flow(struct rill_controller *c, const struct arrival *a, enum rill_side side)
{
    struct flow *flow = NULL;

    if (a->flow != NULL && a->ended == c->n.flows_ended)
        return a->flow;
    if (!is_outside_only(c, side))
        flow = flows_by_key(c, &a->key);
    if (flow == NULL && (side == RILL_OUTSIDE || !c->config.inside_opens))
        flow = find_by_alias(c, &a->view);
    return flow;
}
