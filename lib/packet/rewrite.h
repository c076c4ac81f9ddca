/* Rewrites a packet's endpoints in place, with checksums fixed incrementally (RFC 1624, eqn. 3).
 *
 * Incremental, because a middlebox must not repair what it did not break: a checksum that was wrong
 * stays wrong by the same amount. A UDP checksum of zero (none) stays zero, and a computed zero is
 * sent as 0xffff (RFC 768). A fragment that is not the first has its address rewritten only; the
 * first one's L4 checksum covers the whole datagram, and the increment is right for it too. A
 * checksum outside the bytes that are here (a snapped packet, a short quote) is left alone. Never
 * touches the TTL.
 *
 * Knows the checksums of TCP, UDP, ICMP and ICMPv6. Of any other protocol only the IP header is
 * rewritten: right for SCTP, ESP and GRE, whose checksums do not cover addresses, wrong for DCCP
 * and UDP-Lite, whose do.
 */
#ifndef RILL_LIB_PACKET_REWRITE_H
#define RILL_LIB_PACKET_REWRITE_H

#include "lib/packet/parse.h"

/* Sets the packet's source (destination) address and port, or the ICMP echo identifier, and the
 * same in *view. `to` must have the view's family and proto, and port 0 where the packet has no
 * port (of a later fragment any port is taken: into the view only). The identifier of an echo is
 * the port of both endpoints, so setting it for one sets it for the other. 0, or -1 and nothing
 * changed. */
int rill_rewrite_source(struct rte_mbuf *m, struct rill_view *view, const struct rill_endpoint *to);
int rill_rewrite_destination(struct rte_mbuf *m, struct rill_view *view,
                             const struct rill_endpoint *to);

/* The differentiated services code point (RFC 2474), 0..63: bits above are ignored. ECN stays. */
uint8_t rill_dscp(const struct rte_mbuf *m, const struct rill_view *view);
void rill_rewrite_dscp(struct rte_mbuf *m, const struct rill_view *view, uint8_t dscp);

/* The same for the packet that an ICMP error quotes (-1 if the view is of none); fixes the quoted
 * IP checksum, the quoted L4 checksum where the quote reaches that far, and the outer ICMP
 * checksum. */
int rill_rewrite_quoted_source(struct rte_mbuf *m, struct rill_view *view,
                               const struct rill_endpoint *to);
int rill_rewrite_quoted_destination(struct rte_mbuf *m, struct rill_view *view,
                                    const struct rill_endpoint *to);

#endif
