/* Ports that are preserved: the public port of a flow is the one that it has inside, if that is
 * free (RFC 4787, 4.2.1), else one that is as even or odd (4.2.2). The controller keeps it for the
 * flow before any unit sees a packet of it, so it need not be in a unit's block; the flow's first
 * packets tell the unit. Nothing is ever looked for: a few ports are tried. */
#include <rte_hash_crc.h>

#include "controller/internal.h"

enum { PARITY_TRIES = 8 }; /* where the flow's own port is not free */

static const struct rill_controller_pool *
preserving_pool(const struct rill_controller *c, const struct rill_endpoint *inside, uint32_t *pool)
{
    for (*pool = 0; *pool < c->config.pool_count; ++*pool) {
        const struct rill_controller_pool *spec = &c->config.pools[*pool];

        if (spec->preserve_ports && spec->proto == inside->proto && spec->family == inside->family)
            return spec;
    }
    return NULL;
}

static uint32_t hash_of(const struct rill_endpoint *inside, uint32_t seed)
{
    uint64_t addr[2]; /* aligned, as the hash reads words */

    memcpy(addr, inside->addr, sizeof(addr));
    return rte_hash_crc(addr, sizeof(addr), seed);
}

/* Of the addresses of our part, the same for all flows of an inside host (RFC 4787, REQ-2). */
static uint32_t address_for(const struct rill_controller *c, uint32_t pool, uint32_t ports,
                            const struct rill_endpoint *inside)
{
    uint32_t first = c->part_low[pool] / ports;
    uint32_t last = (c->part_low[pool] + rill_port_pool_size(c->pools[pool]) - 1) / ports;

    return first + hash_of(inside, 0) % (last - first + 1);
}

static bool keep(struct rill_controller *c, struct flow *flow, uint32_t pool, uint32_t index)
{
    if (!endpoints_own(c, pool, &index) ||
        rill_port_pool_take(c->pools[pool], index, flow->number) != RILL_PORT_OK)
        return false;
    c->lease[pool][index] = flow->number;
    flow->has_kept = true;
    flow->kept_pool = pool;
    flow->kept_index = index;
    return true;
}

/* One that is as even or odd as the flow's own. False if some at random were not free. */
static bool keep_parity(struct rill_controller *c, struct flow *flow, uint32_t pool,
                        uint32_t address, const struct rill_endpoint *inside)
{
    const struct rill_controller_pool *spec = &c->config.pools[pool];
    uint32_t ports = spec->port_high - spec->port_low + 1u;
    uint32_t hash = hash_of(inside, inside->port);

    for (uint32_t i = 0; i < PARITY_TRIES; i++) {
        uint32_t offset = (hash + i * UINT32_C(0x9e3779b1)) % ports;

        offset += (spec->port_low + offset + inside->port) % 2;
        if (offset < ports && keep(c, flow, pool, address * ports + offset))
            return true;
    }
    return false;
}

/* It is the flow's from now on, whatever becomes of its packets, and rests when the flow has ended:
 * so no block has to be leased for it, and no two flows can have it. */
void endpoints_keep(struct rill_controller *c, struct flow *flow,
                    const struct rill_endpoint *inside)
{
    uint32_t pool, ports, address;
    const struct rill_controller_pool *spec = preserving_pool(c, inside, &pool);

    if (spec == NULL)
        return;
    rill_port_pool_advance(c->pools[pool], c->now_ns);
    ports = spec->port_high - spec->port_low + 1u;
    address = address_for(c, pool, ports, inside);
    if (inside->port >= spec->port_low && inside->port <= spec->port_high &&
        keep(c, flow, pool, address * ports + (inside->port - spec->port_low)))
        c->n.ports_preserved++;
    else if (keep_parity(c, flow, pool, address, inside))
        c->n.port_parities_preserved++;
}

void endpoints_stamp(const struct rill_controller *c, const struct flow *flow, struct rill_frame *f)
{
    if ((f->flags & RILL_FLAG_TUPLE) && f->chain_len > RILL_CHAIN_MAX_WITH_BOTH)
        return;
    f->flags |= RILL_FLAG_ENDPOINT;
    f->pool = (uint16_t)flow->kept_pool;
    f->count = flow->kept_index + c->part_low[flow->kept_pool];
}
