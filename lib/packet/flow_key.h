/* Flow keys: from a packet's view to the key under which its flow is found.
 *
 * A key is 48 bytes, all significant, so that a hash table may compare bytes. Kinds that can not be
 * mistaken for each other: a connection (canonical: the lower endpoint first, so that both
 * directions give the same key), an endpoint, a host, and an alias (an endpoint with one remote or
 * with any).
 */
#ifndef RILL_LIB_PACKET_FLOW_KEY_H
#define RILL_LIB_PACKET_FLOW_KEY_H

#include <stdbool.h>

#include "lib/base/flow_tuple.h"
#include "lib/base/role.h"
#include "lib/packet/parse.h"

enum rill_key_kind {
    RILL_KEY_CONNECTION = 1,
    RILL_KEY_INSIDE_ENDPOINT,
    RILL_KEY_INSIDE_HOST,
    RILL_KEY_OUTSIDE_HOST,
    RILL_KEY_ALIAS_ANY,    /* local endpoint, any remote */
    RILL_KEY_ALIAS_REMOTE, /* local endpoint, one remote endpoint */
};

struct rill_flow_key {
    uint8_t addr_a[16];
    uint8_t addr_b[16];
    uint16_t port_a, port_b; /* host order */
    uint32_t vni;            /* deployment */
    uint8_t kind;            /* enum rill_key_kind */
    uint8_t family;
    uint8_t proto;
    uint8_t zero[5];
};
_Static_assert(sizeof(struct rill_flow_key) == 48,
               "a key's 48 bytes are hashed and compared whole");

/* The key of the packet's flow. `kind` is one of the first four. An ICMP error gives the key of the
 * packet that it quotes (seen from that packet: an error coming in from the outside quotes a packet
 * that came from the inside). For CONNECTION the side does not matter. A later fragment has ports
 * 0: the caller puts those of the first fragment into the view before. */
void rill_flow_key(const struct rill_view *view, enum rill_side side, enum rill_key_kind kind,
                   uint32_t vni, struct rill_flow_key *key);

/* What a flow is known by without what its deployment knows; and its key again. */
void rill_flow_key_pack(const struct rill_flow_key *key, struct rill_flow_tuple *tuple);
void rill_flow_key_unpack(const struct rill_flow_tuple *tuple, enum rill_key_kind kind,
                          uint32_t vni, struct rill_flow_key *key);

/* The key of an alias; remote NULL for any. */
void rill_alias_key(const struct rill_endpoint *local, const struct rill_endpoint *remote,
                    uint32_t vni, struct rill_flow_key *key);

/* The two alias keys under which a packet may be found: by its destination alone, and by
 * destination and source (NULL: not wanted). For an ICMP error: by the quoted source (and quoted
 * destination). */
void rill_alias_keys_of(const struct rill_view *view, uint32_t vni, struct rill_flow_key *any,
                        struct rill_flow_key *remote);

#endif
