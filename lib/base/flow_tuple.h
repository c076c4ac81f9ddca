/* What a flow is known by, in 40 bytes: enough to make its key again (lib/packet/flow_key.h) where
 * the kind of key and the deployment are known. family 0: not known. */
#ifndef RILL_LIB_BASE_FLOW_TUPLE_H
#define RILL_LIB_BASE_FLOW_TUPLE_H

#include <stdint.h>

struct rill_flow_tuple {
    uint8_t addr_a[16];
    uint8_t addr_b[16];
    uint16_t port_a, port_b; /* host order */
    uint8_t family;
    uint8_t proto;
    uint8_t zero[2];
};
_Static_assert(sizeof(struct rill_flow_tuple) == 40, "it rides in frames and in flows' states");

#endif
