/* Builds the generator's packets: Ethernet, IPv4 or IPv6, TCP, UDP or ICMP echo, right checksums.
 */
#ifndef RILL_TRACES_GENERATE_PACKET_H
#define RILL_TRACES_GENERATE_PACKET_H

#include <stdint.h>

#include "lib/base/role.h"

enum {
    RILL_BUILD_BYTES_MAX = 9018,
    RILL_BUILD_BYTES_MIN = 60, /* what Ethernet pads to */
    RILL_TCP_FIN = 1,
    RILL_TCP_SYN = 2,
    RILL_TCP_PSH = 8,
    RILL_TCP_ACK = 16,
};

/* Who talks to whom, fixed for a flow. [RILL_INSIDE] and [RILL_OUTSIDE]. */
struct rill_build_flow {
    uint8_t addr[2][16]; /* IPv4: the first 4 */
    uint16_t port[2];    /* ICMP: the identifier, the same in both */
    uint8_t family, proto;
};

struct rill_build_packet {
    enum rill_side from;
    uint32_t payload_bytes;
    uint32_t seq, ack; /* TCP; ICMP echo: seq is the sequence number */
    uint8_t tcp_flags;
};

/* The least bytes of a packet without payload, not padded. */
uint32_t rill_build_header_bytes(const struct rill_build_flow *flow);

/* Writes the packet, padded to Ethernet's 60 bytes, and returns its length. */
uint32_t rill_build(const struct rill_build_flow *flow, const struct rill_build_packet *packet,
                    uint8_t buf[RILL_BUILD_BYTES_MAX]);

#endif
