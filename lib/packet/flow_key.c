#include "lib/packet/flow_key.h"

#include "lib/packet/flow_key_inline.h"

void rill_flow_key(const struct rill_view *view, enum rill_side side, enum rill_key_kind kind,
                   uint32_t vni, struct rill_flow_key *key)
{
    bool error = view->flags & RILL_VIEW_ICMP_ERROR;
    /* An error goes back to where the quoted packet came from, so that one's destination is on the
     * side from which the error comes. */
    const struct rill_endpoint *near = error ? &view->quoted_destination : &view->source;
    const struct rill_endpoint *far = error ? &view->quoted_source : &view->destination;

    rill_flow_key_of(near, far, side, kind, vni, key);
}

void rill_alias_key(const struct rill_endpoint *local, const struct rill_endpoint *remote,
                    uint32_t vni, struct rill_flow_key *key)
{
    key_set_one(key, local, local->port, local->proto, vni, RILL_KEY_ALIAS_ANY);
    if (remote == NULL)
        return;
    memcpy(key->addr_b, remote->addr, sizeof(key->addr_b));
    key_set_rest(key, local->port, remote->port, vni, RILL_KEY_ALIAS_REMOTE, local->family,
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
