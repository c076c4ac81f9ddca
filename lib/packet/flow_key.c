#include "lib/packet/flow_key.h"

#include <stddef.h>

#include "lib/packet/bytes.h"

/* A key is hashed and compared in words of 8 and 16 bytes, and so it is written: pieces that are
 * smaller would make the first look at them wait. Its last 16 bytes are one such word. */
_Static_assert(offsetof(struct rill_flow_key, port_a) == 32, "two addresses, then the rest");

static inline void set_rest(struct rill_flow_key *key, uint16_t port_a, uint16_t port_b,
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

static inline bool endpoint_less(const struct rill_endpoint *a, const struct rill_endpoint *b)
{
    uint64_t a_high = load_be64(a->addr), b_high = load_be64(b->addr);
    uint64_t a_low = load_be64(a->addr + 8), b_low = load_be64(b->addr + 8);

    if (a_high != b_high)
        return a_high < b_high;
    if (a_low != b_low)
        return a_low < b_low;
    return a->port < b->port;
}

static inline void set_connection(struct rill_flow_key *key, const struct rill_endpoint *near,
                                  const struct rill_endpoint *far, uint32_t vni)
{
    bool near_first = endpoint_less(near, far);
    const struct rill_endpoint *a = near_first ? near : far, *b = near_first ? far : near;

    memcpy(key->addr_a, a->addr, sizeof(key->addr_a));
    memcpy(key->addr_b, b->addr, sizeof(key->addr_b));
    set_rest(key, a->port, b->port, vni, RILL_KEY_CONNECTION, near->family, near->proto);
}

/* Of an endpoint (port and proto not 0) or a host. */
static inline void set_one(struct rill_flow_key *key, const struct rill_endpoint *e, uint16_t port,
                           uint8_t proto, uint32_t vni, enum rill_key_kind kind)
{
    memcpy(key->addr_a, e->addr, sizeof(key->addr_a));
    memset(key->addr_b, 0, sizeof(key->addr_b));
    set_rest(key, port, 0, vni, (uint8_t)kind, e->family, proto);
}

void rill_flow_key(const struct rill_view *view, enum rill_side side, enum rill_key_kind kind,
                   uint32_t vni, struct rill_flow_key *key)
{
    bool error = view->flags & RILL_VIEW_ICMP_ERROR;
    /* An error goes back to where the quoted packet came from, so that one's destination is on the
     * side from which the error comes. */
    const struct rill_endpoint *near = error ? &view->quoted_destination : &view->source;
    const struct rill_endpoint *far = error ? &view->quoted_source : &view->destination;
    const struct rill_endpoint *inside = side == RILL_INSIDE ? near : far;
    const struct rill_endpoint *outside = side == RILL_INSIDE ? far : near;

    switch (kind) {
    case RILL_KEY_CONNECTION:
        set_connection(key, near, far, vni);
        break;
    case RILL_KEY_INSIDE_ENDPOINT:
        set_one(key, inside, inside->port, inside->proto, vni, kind);
        break;
    case RILL_KEY_INSIDE_HOST:
        set_one(key, inside, 0, 0, vni, kind);
        break;
    case RILL_KEY_OUTSIDE_HOST:
        set_one(key, outside, 0, 0, vni, kind);
        break;
    case RILL_KEY_ALIAS_ANY:
    case RILL_KEY_ALIAS_REMOTE: /* not of a packet's flow: rill_alias_key */
        *key = (struct rill_flow_key){.vni = vni, .kind = (uint8_t)kind, .family = near->family};
        break;
    }
}

void rill_alias_key(const struct rill_endpoint *local, const struct rill_endpoint *remote,
                    uint32_t vni, struct rill_flow_key *key)
{
    set_one(key, local, local->port, local->proto, vni, RILL_KEY_ALIAS_ANY);
    if (remote == NULL)
        return;
    memcpy(key->addr_b, remote->addr, sizeof(key->addr_b));
    set_rest(key, local->port, remote->port, vni, RILL_KEY_ALIAS_REMOTE, local->family,
             local->proto);
}

void rill_alias_keys_of(const struct rill_view *view, uint32_t vni, struct rill_flow_key *any,
                        struct rill_flow_key *remote)
{
    bool error = view->flags & RILL_VIEW_ICMP_ERROR;
    const struct rill_endpoint *local = error ? &view->quoted_source : &view->destination;
    const struct rill_endpoint *peer = error ? &view->quoted_destination : &view->source;

    rill_alias_key(local, NULL, vni, any);
    if (remote != NULL)
        rill_alias_key(local, peer, vni, remote);
}

void rill_flow_key_pack(const struct rill_flow_key *key, struct rill_flow_tuple *tuple)
{
    *tuple = (struct rill_flow_tuple){
        .port_a = key->port_a, .port_b = key->port_b, .family = key->family, .proto = key->proto};
    memcpy(tuple->addr_a, key->addr_a, sizeof(tuple->addr_a));
    memcpy(tuple->addr_b, key->addr_b, sizeof(tuple->addr_b));
}

void rill_flow_key_unpack(const struct rill_flow_tuple *tuple, enum rill_key_kind kind,
                          uint32_t vni, struct rill_flow_key *key)
{
    *key = (struct rill_flow_key){.port_a = tuple->port_a,
                                  .port_b = tuple->port_b,
                                  .vni = vni,
                                  .kind = (uint8_t)kind,
                                  .family = tuple->family,
                                  .proto = tuple->proto};
    memcpy(key->addr_a, tuple->addr_a, sizeof(key->addr_a));
    memcpy(key->addr_b, tuple->addr_b, sizeof(key->addr_b));
}
