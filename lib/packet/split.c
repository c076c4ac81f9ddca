#include "lib/packet/split.h"

#include <errno.h>
#include <stdlib.h>

#include <rill/nf.h>

#include "lib/base/epoch.h"
#include "lib/base/rng.h"
#include "lib/packet/bytes.h"
#include "lib/packet/fragments.h"

/* Of a pool: an address, and which of the pool's it is. Sorted, to be found. */
struct place {
    uint8_t addr[16];
    uint32_t number;
};

struct rill_split {
    struct rill_split_config config;
    bool by_inside, by_outside; /* which end is hashed */
    bool by_host;               /* its address alone */
    struct place *places[RILL_SPLIT_POOLS_MAX];
    struct rill_fragments *fragments;
};

enum rill_key_kind rill_split_kind_of(uint32_t flow_scope)
{
    switch (flow_scope) {
    case RILL_FLOW_INSIDE_ENDPOINT:
        return RILL_KEY_INSIDE_ENDPOINT;
    case RILL_FLOW_INSIDE_HOST:
        return RILL_KEY_INSIDE_HOST;
    case RILL_FLOW_OUTSIDE_HOST:
        return RILL_KEY_OUTSIDE_HOST;
    default:
        return RILL_KEY_CONNECTION;
    }
}

/* --- set up ----------------------------------------------------------------------------------- */

static int compare_places(const void *a, const void *b)
{
    return memcmp(((const struct place *)a)->addr, ((const struct place *)b)->addr, 16);
}

static bool sort_pool(struct rill_split *s, unsigned i)
{
    const struct rill_split_pool *pool = &s->config.pools[i];

    s->places[i] = calloc(pool->addresses, sizeof(s->places[i][0]));
    if (s->places[i] == NULL)
        return false;
    for (uint32_t a = 0; a < pool->addresses; a++) {
        memcpy(s->places[i][a].addr, pool->addr[a], 16);
        s->places[i][a].number = a;
    }
    qsort(s->places[i], pool->addresses, sizeof(s->places[i][0]), compare_places);
    return true;
}

/* What of a flow is the same in both directions, outside the NF as well. A pool's endpoints say
 * themselves whose they are. */
static void choose_ends(struct rill_split *s)
{
    const struct rill_split_config *config = &s->config;
    bool hides_inside = (config->writes & RILL_WRITES_SOURCE) && config->pool_count == 0;
    bool hides_outside = config->writes & RILL_WRITES_DESTINATION;

    s->by_inside = config->kind != RILL_KEY_OUTSIDE_HOST && !hides_inside;
    s->by_outside =
        (config->kind == RILL_KEY_CONNECTION || config->kind == RILL_KEY_OUTSIDE_HOST) &&
        !hides_outside;
    s->by_host = config->kind == RILL_KEY_INSIDE_HOST || config->kind == RILL_KEY_OUTSIDE_HOST;
}

struct rill_split *rill_split_create(const struct rill_split_config *config, struct rill_error *err)
{
    struct rill_split *s = calloc(1, sizeof(*s));
    bool ok = s != NULL;

    if (!ok)
        goto no_memory;
    s->config = *config;
    choose_ends(s);
    if (!s->by_inside && !s->by_outside) {
        rill_error_set(err, -EINVAL,
                       "an NF that rewrites what its flows are known by, and has no pool for it, "
                       "can have one controller only: its replies look like nobody's");
        rill_split_destroy(s);
        return NULL;
    }
    for (unsigned i = 0; ok && i < config->pool_count; i++)
        ok = sort_pool(s, i);
    s->fragments = rill_fragments_create(RILL_FRAGMENTS_DEFAULT, config->seed);
    if (ok && s->fragments != NULL)
        return s;
no_memory:
    rill_error_set(err, -ENOMEM, "no memory for splitting traffic over %u controllers",
                   config->controllers);
    rill_split_destroy(s);
    return NULL;
}

void rill_split_destroy(struct rill_split *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->config.pool_count; i++)
        free(s->places[i]);
    rill_fragments_destroy(s->fragments);
    free(s);
}

/* --- packets ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    return rill_splitmix64(&x);
}

static uint64_t hash_end(const struct rill_split *s, const struct rill_endpoint *e)
{
    uint64_t rest = s->by_host ? 0 : (uint64_t)e->proto << 16 | e->port;

    return mix(mix(mix(s->config.seed ^ load_be64(e->addr)) ^ load_be64(e->addr + 8)) ^ rest);
}

static uint32_t scale(const struct rill_split *s, uint64_t hash)
{
    return (uint32_t)(((mix(hash) >> 32) * s->config.controllers) >> 32);
}

/* The two ends of the flow that the packet is of: of an error, of what it quotes. */
static uint32_t by_hash(const struct rill_split *s, const struct rill_view *view,
                        enum rill_side side)
{
    bool error = view->flags & RILL_VIEW_ICMP_ERROR;
    const struct rill_endpoint *near = error ? &view->quoted_destination : &view->source;
    const struct rill_endpoint *far = error ? &view->quoted_source : &view->destination;
    uint64_t hash = 0;

    if (s->by_inside)
        hash += hash_end(s, side == RILL_INSIDE ? near : far);
    if (s->by_outside)
        hash += hash_end(s, side == RILL_INSIDE ? far : near);
    return scale(s, hash);
}

static uint32_t by_addresses(const struct rill_split *s, const struct rill_view *view)
{
    return scale(
        s, mix(load_be64(view->source.addr) ^ load_be64(view->source.addr + 8)) +
               mix(load_be64(view->destination.addr) ^ load_be64(view->destination.addr + 8)));
}

/* Whose the endpoint is that the packet from the outside is for. */
static bool find_owner(const struct rill_split *s, const struct rill_view *view, uint32_t *slot)
{
    const struct rill_endpoint *e =
        view->flags & RILL_VIEW_ICMP_ERROR ? &view->quoted_source : &view->destination;

    for (unsigned i = 0; i < s->config.pool_count; i++) {
        const struct rill_split_pool *pool = &s->config.pools[i];
        uint32_t ports = pool->port_high - pool->port_low + 1u;
        const struct place *place;

        if (pool->proto != e->proto || pool->family != e->family || e->port < pool->port_low ||
            e->port > pool->port_high)
            continue;
        place = bsearch(e->addr, s->places[i], pool->addresses, sizeof(*place), compare_places);
        if (place == NULL)
            continue;
        *slot = rill_split_owner(pool->addresses * ports,
                                 place->number * ports + (e->port - pool->port_low),
                                 s->config.controllers);
        return true;
    }
    return false;
}

/* Has a port been left out that would say where it goes? */
static bool needs_first(const struct rill_split *s, const struct rill_view *view)
{
    return (view->flags & RILL_VIEW_LATER_FRAGMENT) && (!s->by_host || s->config.pool_count > 0);
}

uint32_t rill_split_slot_of(const struct rill_split *s, const struct rill_view *view,
                            enum rill_side side)
{
    uint32_t slot;

    return side == RILL_OUTSIDE && find_owner(s, view, &slot) ? slot : by_hash(s, view, side);
}

uint32_t rill_split_slot(struct rill_split *s, struct rte_mbuf *m, uint32_t wire_bytes,
                         enum rill_side side, uint64_t now_ns, enum rill_split_kind *kind)
{
    struct rill_view view;
    uint16_t sport, dport;
    uint64_t handle;
    uint32_t slot;

    *kind = RILL_SPLIT_SURE;
    if (rill_parse(m, wire_bytes, &view) != RILL_PARSE_OK)
        return 0;
    if (needs_first(s, &view)) {
        if (rill_fragments_later(s->fragments, &view, side, now_ns, &handle, &sport, &dport))
            return (uint32_t)handle;
        *kind = RILL_SPLIT_EARLY;
        return by_addresses(s, &view);
    }
    slot = rill_split_slot_of(s, &view, side);
    if ((view.flags & RILL_VIEW_FRAGMENT) && !(view.flags & RILL_VIEW_LATER_FRAGMENT)) {
        rill_fragments_first(s->fragments, &view, side, slot, now_ns);
        *kind = RILL_SPLIT_FIRST;
    }
    return slot;
}
