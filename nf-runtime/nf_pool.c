/* Pools of endpoints: what init declares, what the controller leases, what a packet takes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nf-runtime/nf_impl.h"

/* --- declaration ------------------------------------------------------------------------------ */

/* Why the range can't be had; NULL if it can. */
static const char *range_fault(const struct rill_nf *nf, const char *name, size_t n, uint16_t low,
                               uint16_t high, enum rill_proto proto)
{
    if (!nf->in_init)
        return "pools are created in init only";
    if (name == NULL || name[0] == '\0')
        return "a pool needs a name";
    if (nf->pools_n == RILL_NF_POOLS_MAX)
        return "an NF has at most 8 pools";
    if (n == 0)
        return "no addresses";
    if (n > RILL_NF_POOL_ADDRESSES_MAX)
        return "more than 4096 addresses";
    if (proto != RILL_TCP && proto != RILL_UDP && proto != RILL_ICMP && proto != RILL_ICMP6)
        return "its protocol is none of TCP, UDP, ICMP and ICMPv6";
    if (low > high)
        return "its lowest port is above its highest";
    if (low == 0 && (proto == RILL_TCP || proto == RILL_UDP))
        return "port 0 can't be used";
    return NULL;
}

/* Family of the address, 0 if the text is none. */
static uint8_t read_address(const char *text, uint8_t addr[16])
{
    memset(addr, 0, 16);
    if (text == NULL)
        return 0;
    if (inet_pton(AF_INET, text, addr) == 1)
        return 4;
    memset(addr, 0, 16);
    return inet_pton(AF_INET6, text, addr) == 1 ? 6 : 0;
}

static bool address_is_unicast(const uint8_t addr[16], uint8_t family)
{
    static const uint8_t zeros[16];

    if (memcmp(addr, zeros, 16) == 0)
        return false;
    return family == 4 ? addr[0] != 0 && addr[0] < 224 : addr[0] != 0xff;
}

static const char *address_fault(const struct rill_pool *pool, uint32_t i, uint8_t family)
{
    if (family == 0)
        return "is not an IP address";
    if ((pool->proto == RILL_ICMP && family == 6) || (pool->proto == RILL_ICMP6 && family == 4))
        return "is not of the pool's protocol's family";
    if (i > 0 && family != pool->family)
        return "is of another family than the first";
    if (!address_is_unicast(pool->addr[i], family))
        return "is not a unicast address";
    for (uint32_t k = 0; k < i; k++)
        if (memcmp(pool->addr[k], pool->addr[i], 16) == 0)
            return "is there twice";
    return NULL;
}

static int read_addresses(struct rill_pool *pool, const char *const *addresses)
{
    for (uint32_t i = 0; i < pool->addresses; i++) {
        uint8_t family = read_address(addresses[i], pool->addr[i]);
        const char *fault = address_fault(pool, i, family);

        if (fault != NULL)
            return rill_nf_error(pool->nf, "NF '%s': pool '%s': address '%s' %s",
                                 pool->nf->descriptor->name, pool->name,
                                 addresses[i] != NULL ? addresses[i] : "", fault);
        pool->family = family;
    }
    return 0;
}

struct rill_pool *rill_pool_create(struct rill_nf *nf, const char *name,
                                   const char *const *addresses, size_t n, uint16_t port_low,
                                   uint16_t port_high, enum rill_proto proto)
{
    const char *fault = range_fault(nf, name, n, port_low, port_high, proto);
    struct rill_pool *pool = &nf->pools[nf->pools_n];
    uint8_t(*addr)[16] = NULL;

    if (fault == NULL) {
        addr = calloc(n, sizeof(*addr));
        if (addr == NULL)
            fault = "no memory";
    }
    if (fault != NULL) {
        rill_nf_error(nf, "NF '%s': pool '%s': %s", nf->descriptor->name, name != NULL ? name : "",
                      fault);
        return NULL;
    }
    *pool = (struct rill_pool){.nf = nf,
                               .name = name,
                               .proto = proto,
                               .port_low = port_low,
                               .port_high = port_high,
                               .addresses = (uint32_t)n,
                               .addr = addr};
    if (read_addresses(pool, addresses) != 0) {
        free(addr);
        pool->addr = NULL;
        return NULL;
    }
    nf->pools_n++;
    return pool;
}

void rill_pool_preserve_ports(struct rill_pool *pool)
{
    pool->preserve_ports = true;
}

void rill_nf_pools_fini(struct rill_nf *nf)
{
    for (unsigned i = 0; i < nf->pools_n; i++) {
        free(nf->pools[i].addr);
        for (unsigned slot = 0; slot < RILL_SLOTS_MAX; slot++)
            free(nf->pools[i].leased[slot].at);
    }
}

/* --- indexes ---------------------------------------------------------------------------------- */

unsigned rill_nf_pool_count(const struct rill_nf *nf)
{
    return nf->pools_n;
}

static void spec_of(const struct rill_pool *pool, struct rill_pool_spec *spec)
{
    *spec = (struct rill_pool_spec){.name = pool->name,
                                    .proto = pool->proto,
                                    .family = pool->family,
                                    .port_low = pool->port_low,
                                    .port_high = pool->port_high,
                                    .addresses = pool->addresses,
                                    .addr = (const uint8_t(*)[16])pool->addr,
                                    .preserve_ports = pool->preserve_ports};
}

void rill_nf_pool_spec(const struct rill_nf *nf, unsigned pool, struct rill_pool_spec *spec)
{
    spec_of(&nf->pools[pool], spec);
}

static uint32_t ports_of(const struct rill_pool_spec *spec)
{
    return (uint32_t)spec->port_high - spec->port_low + 1;
}

uint32_t rill_pool_spec_size(const struct rill_pool_spec *spec)
{
    return spec->addresses * ports_of(spec);
}

void rill_pool_spec_endpoint(const struct rill_pool_spec *spec, uint32_t index,
                             struct rill_endpoint *endpoint)
{
    uint32_t ports = ports_of(spec);

    memset(endpoint, 0, sizeof(*endpoint));
    memcpy(endpoint->addr, spec->addr[index / ports], 16);
    endpoint->port = (uint16_t)(spec->port_low + index % ports);
    endpoint->family = spec->family;
    endpoint->proto = (uint8_t)spec->proto;
}

int64_t rill_pool_spec_index(const struct rill_pool_spec *spec,
                             const struct rill_endpoint *endpoint)
{
    if (endpoint->family != spec->family || endpoint->proto != spec->proto ||
        endpoint->port < spec->port_low || endpoint->port > spec->port_high)
        return -1;
    for (uint32_t i = 0; i < spec->addresses; i++)
        if (memcmp(spec->addr[i], endpoint->addr, 16) == 0)
            return (int64_t)i * ports_of(spec) + (endpoint->port - spec->port_low);
    return -1;
}

/* --- leases ----------------------------------------------------------------------------------- */

uint32_t rill_nf_pool_free_of(const struct rill_nf *nf, unsigned pool, uint32_t slot)
{
    return nf->pools[pool].leased[slot].count;
}

uint32_t rill_nf_pool_free(const struct rill_nf *nf, unsigned pool)
{
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < RILL_SLOTS_MAX; slot++)
        n += nf->pools[pool].leased[slot].count;
    return n;
}

static struct rill_pool_leased *ring_at(const struct rill_pool_ring *ring, uint32_t i)
{
    return &ring->at[i & (ring->size - 1)];
}

/* Makes room for n more indexes. */
static int grow(struct rill_pool_ring *ring, uint32_t n)
{
    uint64_t size = ring->size > 0 ? ring->size : 64;
    struct rill_pool_leased *larger;

    while (size < (uint64_t)ring->count + n)
        size *= 2;
    if (size == ring->size)
        return 0;
    if (size > UINT32_MAX)
        return -ENOMEM;
    larger = malloc(size * sizeof(*larger));
    if (larger == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < ring->count; i++)
        larger[i] = *ring_at(ring, ring->head + i);
    free(ring->at);
    ring->at = larger;
    ring->size = (uint32_t)size;
    ring->head = 0;
    return 0;
}

int rill_nf_pool_give(struct rill_nf *nf, unsigned pool_number, uint32_t slot,
                      const uint32_t *indexes, uint32_t n, uint64_t lease)
{
    struct rill_pool *pool = &nf->pools[pool_number];
    struct rill_pool_ring *ring = &pool->leased[slot];
    struct rill_pool_spec spec;

    spec_of(pool, &spec);
    for (uint32_t i = 0; i < n; i++)
        if (indexes[i] >= rill_pool_spec_size(&spec))
            return -EINVAL;
    if (grow(ring, n) != 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        *ring_at(ring, ring->head + ring->count++) =
            (struct rill_pool_leased){.lease = lease, .index = indexes[i]};
    return 0;
}

bool rill_nf_pool_leased(const struct rill_nf *nf, unsigned pool, uint32_t slot, uint32_t i,
                         uint32_t *index, uint64_t *lease)
{
    const struct rill_pool_ring *ring = &nf->pools[pool].leased[slot];
    const struct rill_pool_leased *leased;

    if (i >= ring->count)
        return false;
    leased = ring_at(ring, ring->head + ring->count - 1 - i);
    *index = leased->index;
    *lease = leased->lease;
    return true;
}

/* What the controller keeps for the flow, if it is of this pool; else one of the unit's own. */
static bool take_kept(struct rill_pool *pool, const struct rill_pkt *pkt)
{
    struct rill_nf *nf = pool->nf;
    struct rill_pool_spec spec;

    spec_of(pool, &spec);
    if (!pkt->has_kept || pkt->kept_pool != (unsigned)(pool - nf->pools) ||
        pkt->kept_index >= rill_pool_spec_size(&spec))
        return false;
    nf->taken_ring = NULL;
    nf->taken_leased = (struct rill_pool_leased){.lease = pkt->flow, .index = pkt->kept_index};
    return true;
}

static bool take_leased(struct rill_pool *pool, const struct rill_pkt *pkt)
{
    struct rill_pool_ring *ring = &pool->leased[pkt->slot];

    if (ring->count == 0)
        return false;
    pool->nf->taken_ring = ring;
    pool->nf->taken_leased = *ring_at(ring, ring->head++);
    ring->count--;
    return true;
}

/* One a packet: a flow has one alias, so a second endpoint could never be declared. */
int rill_pool_take(struct rill_pool *pool, struct rill_pkt *pkt, struct rill_endpoint *endpoint)
{
    struct rill_nf *nf = pool->nf;
    struct rill_pool_spec spec;

    if (pkt->ended || nf->taken_pool != NULL || (!take_kept(pool, pkt) && !take_leased(pool, pkt)))
        return -1;
    nf->taken_pool = pool;
    spec_of(pool, &spec);
    rill_pool_spec_endpoint(&spec, nf->taken_leased.index, &nf->taken);
    *endpoint = nf->taken;
    return 0;
}

bool rill_nf_pool_settle(struct rill_nf *nf, const struct rill_pkt *pkt)
{
    const struct rill_alias *alias = (const struct rill_alias *)(const void *)pkt->state;
    struct rill_pool_ring *ring = nf->taken_ring;

    nf->taken_pool = NULL;
    if (rill_endpoint_equal(&alias->local, &nf->taken))
        return true;
    if (ring != NULL) {
        *ring_at(ring, --ring->head) = nf->taken_leased;
        ring->count++;
    }
    return false;
}
