/* From bytes to a view: what a packet is, where its headers are, and what is wrong with it.
 *
 * Handles Ethernet II with any number (at most 4) of VLAN tags (802.1Q, 802.1ad/QinQ), IPv4 with
 * options, IPv6 with extension headers, TCP, UDP, ICMP and ICMPv6 echo and errors (with the packet
 * that they quote), and fragments. Trusts nothing: every length is checked against the bytes that
 * are there. All header bytes must lie in the mbuf's first segment (the rest of the packet need
 * not).
 *
 * A capture may hold fewer bytes than the wire did (a snap length). The caller says how many the
 * wire had: header lengths are judged by the bytes there, the IP length by the bytes on the wire.
 * Where the two are equal (live traffic), that is the ordinary check.
 *
 * Pure functions; any thread.
 */
#ifndef RILL_LIB_PACKET_PARSE_H
#define RILL_LIB_PACKET_PARSE_H

#include <stdint.h>

#include <rill/endpoint.h>

struct rte_mbuf;

enum rill_parse_result {
    RILL_PARSE_OK = 0,
    /* Not malformed, but nothing here handles it: */
    RILL_PARSE_NOT_IP, /* ARP, LLDP, 802.3 length frames, MPLS, ... */
    /* Malformed: */
    RILL_PARSE_SHORT_ETHERNET, /* no whole Ethernet header */
    RILL_PARSE_VLAN_DEPTH,     /* more than 4 tags, or a tag that is cut */
    RILL_PARSE_SHORT_IP,       /* no whole IP header */
    RILL_PARSE_IP_VERSION,     /* version field does not match the EtherType */
    RILL_PARSE_IP_HEADER_LENGTH,
    RILL_PARSE_IP_TOTAL_LENGTH, /* says less than its headers, or more than the wire had */
    RILL_PARSE_IP6_EXTENSION,   /* cut, too many (over 8, two fragment headers), or out of bounds */
    RILL_PARSE_SHORT_L4,        /* no whole TCP, UDP or ICMP header where one must be */
    RILL_PARSE_L4_LENGTH,       /* TCP data offset or UDP length out of bounds */
    RILL_PARSE_FRAGMENT,        /* a fragment that reaches past 65,535 bytes, or of zero length */
    RILL_PARSE_SAME_ADDRESS,    /* TCP or UDP from an endpoint to itself (LAND); ports not 0 */
    RILL_PARSE_RESULTS
};

/* snake_case name, as it stands in packets_dropped of `--json`: "malformed_short_ip", ... */
const char *rill_parse_result_name(enum rill_parse_result result);

enum rill_view_flags {
    RILL_VIEW_FRAGMENT = 1 << 0,       /* any fragment */
    RILL_VIEW_LATER_FRAGMENT = 1 << 1, /* a fragment that is not the first: no L4 header, ports 0 */
    RILL_VIEW_ICMP_ECHO = 1 << 2,      /* request or reply; both ports are the identifier */
    RILL_VIEW_ICMP_ERROR = 1 << 3,     /* quotes a packet: `quoted_*` are valid */
    RILL_VIEW_SNAPPED = 1 << 4,        /* fewer bytes here than on the wire */
    /* IPv6 with a routing header that has segments left: the IP destination is a stop on the way,
     * and the L4 checksum covers the last one instead (RFC 8200, 8.1). */
    RILL_VIEW_ROUTED = 1 << 5,
    RILL_VIEW_QUOTED_ROUTED = 1 << 6, /* the same of the quoted packet */
};

struct rill_view {
    uint16_t l2_len; /* Ethernet and tags: offset of the IP header */
    uint16_t l4_off; /* offset of the L4 header; 0 where there is none (later fragment) */
    /* Offset of the first byte after the L4 header; 0 if no known L4. Where a snap length cut the
     * TCP options: the end of what is here, so that it never lies outside the packet. */
    uint16_t l4_payload_off;
    uint8_t flags; /* enum rill_view_flags */
    uint8_t tcp_flags;
    uint32_t fragment_id; /* IPv4: 16 bits; 0 if no fragment */
    /* family and proto are set in both; ports are 0 but for TCP, UDP and ICMP echo. A later IPv6
     * fragment's proto is what its fragment header names, which need not be the L4 protocol. */
    struct rill_endpoint source;
    struct rill_endpoint destination;
    /* ICMP error only (both offsets are 0, the endpoints undefined without the flag): offset of the
     * quoted IP header and the quoted packet's own endpoints, in its own direction (so the error
     * travels against it). proto 0 if the quote does not show the ports that it must have. */
    uint16_t quoted_off;
    uint16_t quoted_l4_off; /* 0 where the quote is too short or a later fragment */
    struct rill_endpoint quoted_source;
    struct rill_endpoint quoted_destination;
};

/* Fills *view. The IPv4 header checksum is not verified: that is the receiver's business, and a
 * middlebox passes a wrong one on as it is. `wire_bytes` >= pkt_len of the mbuf. On a result other
 * than OK the view is undefined, but for l2_len on NOT_IP. An ICMP error whose quote can't be read
 * is OK without the ICMP_ERROR flag (it is then a packet of protocol ICMP with ports 0). */
enum rill_parse_result rill_parse(const struct rte_mbuf *m, uint32_t wire_bytes,
                                  struct rill_view *view);

#endif
