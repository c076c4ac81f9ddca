/* Fields of a packet's headers, and what rules ask of them. Pure. */
#ifndef RILL_NFS_IDS_FIELDS_H
#define RILL_NFS_IDS_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

enum ids_field {
    IDS_ITYPE, /* of ICMP and ICMPv6 */
    IDS_ICODE,
    IDS_ICMP_ID, /* of their echoes */
    IDS_ICMP_SEQ,
    IDS_TTL, /* IPv6's hop limit */
    IDS_TOS, /* IPv6's traffic class */
    IDS_IP_PROTO,
    IDS_ID, /* of IPv4 */
    IDS_FRAGBITS,
    IDS_TCP_FLAGS,
    IDS_TCP_SEQ,
    IDS_TCP_ACK,
    IDS_TCP_WINDOW,
    IDS_FIELDS
};

struct ids_fields {
    uint32_t value[IDS_FIELDS];
    uint32_t known; /* a bit for each that the packet has */
    bool later_fragment;
};

/* The packet's headers, as far as they are here. */
struct ids_headers {
    uint8_t family, proto;
    bool later_fragment;
    const uint8_t *ip, *transport; /* transport NULL: there is none */
    uint32_t ip_bytes, transport_bytes;
};
void ids_fields_read(struct ids_fields *fields, const struct ids_headers *headers);

enum ids_how { IDS_WITHIN, IDS_NOT_WITHIN, IDS_ALL_BITS, IDS_ANY_BIT, IDS_NO_BIT };

/* Of one field, without the bits of `ignored`: whether it is in [low, high], or has bits of low. */
struct ids_test {
    uint8_t field, how;
    uint32_t low, high, ignored;
};

/* All of them; none holds of a field that the packet does not have. */
bool ids_tests_hold(const struct ids_test *tests, uint32_t n, const struct ids_fields *fields);

#endif
