/* A burst of packets on its way in: parsed, and the places of their flows fetched together. With
 * tables larger than the caches, a look waits for memory; in a burst the waits are one. */
#include <rill/nf.h>

#include "controller/internal.h"
#include "lib/packet/flow_key_inline.h"
#include "lib/packet/parse_plain.h"

uint32_t arrival_handles(const struct rill_view *view)
{
    bool v4 = view->source.family == 4;

    if (view->flags & RILL_VIEW_ICMP_ERROR)
        return v4 ? RILL_HANDLES_ICMP4_ERROR : RILL_HANDLES_ICMP6_ERROR;
    switch (view->source.proto) {
    case RILL_TCP:
        return v4 ? RILL_HANDLES_TCP4 : RILL_HANDLES_TCP6;
    case RILL_UDP:
        return v4 ? RILL_HANDLES_UDP4 : RILL_HANDLES_UDP6;
    case RILL_ICMP:
    case RILL_ICMP6:
        if (view->flags & (RILL_VIEW_ICMP_ECHO | RILL_VIEW_LATER_FRAGMENT))
            return v4 ? RILL_HANDLES_ICMP4_ECHO : RILL_HANDLES_ICMP6_ECHO;
        break;
    default:
        break;
    }
    return v4 ? RILL_HANDLES_OTHER4 : RILL_HANDLES_OTHER6;
}

static bool is_outside_only(const struct rill_controller *c, enum rill_side side)
{
    return side == RILL_OUTSIDE && c->config.inside_opens;
}

static inline void fetch_place(const struct key_map *map, struct arrival *a)
{
    a->hash = key_hash(map, &a->key);
    rte_prefetch0(key_map_place(map, a->hash));
}

/* By alias, where only the inside opens flows and the outside knows them by that alone; else by its
 * key. */
static void set_key(const struct rill_controller *c, struct arrival *a, enum rill_side side)
{
    a->by_alias = is_outside_only(c, side);
    if (a->by_alias) {
        rill_alias_keys_of(&a->view, c->config.vni, &a->key, NULL);
        fetch_place(&c->by_alias, a);
    } else {
        rill_flow_key(&a->view, side, c->config.flow_kind, c->config.vni, &a->key);
        fetch_place(&c->by_key, a);
    }
}

/* Later fragments are found by their first. */
static __rte_noinline void parse_any(const struct rill_controller *c, struct rte_mbuf *m,
                                     struct arrival *a)
{
    const struct rill_frame *f = rill_frame(m);

    a->parsed = rill_parse(m, f->wire_bytes, &a->view);
    a->has_key = a->parsed == RILL_PARSE_OK && !(a->view.flags & RILL_VIEW_LATER_FRAGMENT);
    if (a->has_key)
        set_key(c, a, (enum rill_side)f->side);
    a->plain = a->parsed == RILL_PARSE_OK &&
               !(a->view.flags & (RILL_VIEW_FRAGMENT | RILL_VIEW_ICMP_ERROR)) &&
               (arrival_handles(&a->view) & c->config.handles) != 0;
}

/* What most packets are, that come from where flows are opened, or may be. */
static inline void parse(const struct rill_controller *c, struct rte_mbuf *m, struct arrival *a)
{
    const struct rill_frame *f = rill_frame(m);
    enum rill_side side = (enum rill_side)f->side;

    if (unlikely(is_outside_only(c, side) || !rill_parse_plain(m, f->wire_bytes, &a->view))) {
        parse_any(c, m, a);
        return;
    }
    a->parsed = RILL_PARSE_OK;
    a->has_key = true;
    a->by_alias = false;
    a->plain = (c->config.handles &
                (a->view.source.proto == RILL_UDP ? RILL_HANDLES_UDP4 : RILL_HANDLES_TCP4)) != 0;
    rill_flow_key_of(&a->view.source, &a->view.destination, side, c->config.flow_kind,
                     c->config.vni, &a->key);
    fetch_place(&c->by_key, a);
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
    struct flow *flow = arrival_known_flow(c, a);

    if (flow == NULL && (side == RILL_OUTSIDE || !c->config.inside_opens))
        flow = find_by_alias(c, &a->view);
    return flow;
}
