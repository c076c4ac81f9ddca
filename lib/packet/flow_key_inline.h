/* A packet's key without a call, for who looks for the flow of each packet; see flow_key.h. */
#ifndef RILL_LIB_PACKET_FLOW_KEY_INLINE_H
#define RILL_LIB_PACKET_FLOW_KEY_INLINE_H

#include <stddef.h>
#include <string.h>

#include "lib/packet/bytes.h"
#include "lib/packet/flow_key.h"

/* A key is hashed and compared in words of 8 and 16 bytes, and so it is written: pieces that are
 * smaller would make the first look at them wait. Its last 16 bytes are one such word. */
_Static_assert(offsetof(struct rill_flow_key, port_a) == 32, "two addresses, then the rest");

static inline void key_set_rest(struct rill_flow_key *key, uint16_t port_a, uint16_t port_b,
                                uint32_t vni, uint8_t kind, uint8_t family, uint8_t proto)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t __attribute__((vector_size(16)))
    words = {port_a | (uint64_t)port_b << 16 | (uint64_t)vni << 32,
             kind | (uint64_t)family << 8 | (uint64_t)proto << 16};
#else
    uint64_t __attribute__((vector_size(16)))
    words = {(uint64_t)port_a << 48 | (uint64_t)port_b << 32 | vni,
             (uint64_t)kind << 56 | (uint64_t)family << 48 | (uint64_t)proto << 40};
#endif

    memcpy((uint8_t *)key + 32, &words, sizeof(words));
}

static inline bool key_endpoint_less(const struct rill_endpoint *a, const struct rill_endpoint *b)
{
    uint64_t a_high = load_be64(a->addr), b_high = load_be64(b->addr);
    uint64_t a_low = load_be64(a->addr + 8), b_low = load_be64(b->addr + 8);

    if (a_high != b_high)
        return a_high < b_high;
    if (a_low != b_low)
        return a_low < b_low;
    return a->port < b->port;
}

static inline void key_set_connection(struct rill_flow_key *key, const struct rill_endpoint *near,
                                      const struct rill_endpoint *far, uint32_t vni)
{
    bool near_first = key_endpoint_less(near, far);
    const struct rill_endpoint *a = near_first ? near : far, *b = near_first ? far : near;

    memcpy(key->addr_a, a->addr, sizeof(key->addr_a));
    memcpy(key->addr_b, b->addr, sizeof(key->addr_b));
    key_set_rest(key, a->port, b->port, vni, RILL_KEY_CONNECTION, near->family, near->proto);
}

/* Of an endpoint (port and proto not 0) or a host. */
static inline void key_set_one(struct rill_flow_key *key, const struct rill_endpoint *e,
                               uint16_t port, uint8_t proto, uint32_t vni, enum rill_key_kind kind)
{
    memcpy(key->addr_a, e->addr, sizeof(key->addr_a));
    memset(key->addr_b, 0, sizeof(key->addr_b));
    key_set_rest(key, port, 0, vni, (uint8_t)kind, e->family, proto);
}

/* Of a packet that comes from the side, from `near` to `far`. */
static inline void rill_flow_key_of(const struct rill_endpoint *near,
                                    const struct rill_endpoint *far, enum rill_side side,
                                    enum rill_key_kind kind, uint32_t vni,
                                    struct rill_flow_key *key)
{
    const struct rill_endpoint *inside = side == RILL_INSIDE ? near : far;
    const struct rill_endpoint *outside = side == RILL_INSIDE ? far : near;

    switch (kind) {
    case RILL_KEY_CONNECTION:
        key_set_connection(key, near, far, vni);
        break;
    case RILL_KEY_INSIDE_ENDPOINT:
        key_set_one(key, inside, inside->port, inside->proto, vni, kind);
        break;
    case RILL_KEY_INSIDE_HOST:
        key_set_one(key, inside, 0, 0, vni, kind);
        break;
    case RILL_KEY_OUTSIDE_HOST:
        key_set_one(key, outside, 0, 0, vni, kind);
        break;
    case RILL_KEY_ALIAS_ANY:
    case RILL_KEY_ALIAS_REMOTE: /* not of a packet's flow: rill_alias_key */
        *key = (struct rill_flow_key){.vni = vni, .kind = (uint8_t)kind, .family = near->family};
        break;
    }
}

#endif
