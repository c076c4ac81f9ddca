#include "lib/packet/flow_key.h"

#include "lib/packet/bytes.h"

static inline void set_a(struct rill_flow_key *key, const struct rill_endpoint *endpoint)
{
    memcpy(key->addr_a, endpoint->addr, sizeof(key->addr_a));
    key->port_a = endpoint->port;
}

static inline void set_b(struct rill_flow_key *key, const struct rill_endpoint *endpoint)
{
    memcpy(key->addr_b, endpoint->addr, sizeof(key->addr_b));
    key->port_b = endpoint->port;
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
                                  const struct rill_endpoint *far)
{
    bool near_first = endpoint_less(near, far);

    set_a(key, near_first ? near : far);
    set_b(key, near_first ? far : near);
    key->proto = near->proto;
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

    *key = (struct rill_flow_key){.vni = vni, .kind = (uint8_t)kind, .family = near->family};
    switch (kind) {
    case RILL_KEY_CONNECTION:
        set_connection(key, near, far);
        break;
    case RILL_KEY_INSIDE_ENDPOINT:
        set_a(key, inside);
        key->proto = inside->proto;
        break;
    case RILL_KEY_INSIDE_HOST:
        memcpy(key->addr_a, inside->addr, sizeof(key->addr_a));
        break;
    case RILL_KEY_OUTSIDE_HOST:
        memcpy(key->addr_a, outside->addr, sizeof(key->addr_a));
        break;
    case RILL_KEY_ALIAS_ANY:
    case RILL_KEY_ALIAS_REMOTE:
        break; /* not of a packet's flow: rill_alias_key */
    }
}

void rill_alias_key(const struct rill_endpoint *local, const struct rill_endpoint *remote,
                    uint32_t vni, struct rill_flow_key *key)
{
    *key = (struct rill_flow_key){
        .vni = vni,
        .kind = remote == NULL ? RILL_KEY_ALIAS_ANY : RILL_KEY_ALIAS_REMOTE,
        .family = local->family,
        .proto = local->proto,
    };
    set_a(key, local);
    if (remote != NULL)
        set_b(key, remote);
}

void rill_alias_keys_of(const struct rill_view *view, uint32_t vni, struct rill_flow_key *any,
                        struct rill_flow_key *remote)
{
    bool error = view->flags & RILL_VIEW_ICMP_ERROR;
    const struct rill_endpoint *local = error ? &view->quoted_source : &view->destination;
    const struct rill_endpoint *peer = error ? &view->quoted_destination : &view->source;

    rill_alias_key(local, NULL, vni, any);
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
