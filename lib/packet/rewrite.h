/* Rewrites a packet's endpoints in place, with checksums fixed incrementally (RFC 1624, eqn. 3).
 *
 * Incremental, because a middlebox must not repair what it did not break: a checksum that was wrong
 * stays wrong by the same amount. A UDP checksum of zero (none) stays zero, and a computed zero is
 * sent as 0xffff (RFC 768). A fragment that is not the first has its address rewritten only; the
 * first one's L4 checksum covers the whole datagram, and the increment is right for it too. TCP
 * checksums outside a snapped packet's bytes are left alone. Never touches the TTL.
 */
#ifndef RILL_LIB_PACKET_REWRITE_H
#define RILL_LIB_PACKET_REWRITE_H

#include "lib/packet/parse.h"

/* Sets the packet's source (destination) address and port, or the ICMP echo identifier, and the same
 * in *view. `to` must have the view's family and proto. 0, or -1 and nothing changed. */
int rill_rewrite_source(struct rte_mbuf *m, struct rill_view *view, const struct rill_endpoint *to);
int rill_rewrite_destination(struct rte_mbuf *m, struct rill_view *view,
                             const struct rill_endpoint *to);

/* The same for the packet that an ICMP error quotes; fixes the quoted IP checksum, the quoted L4
 * checksum where the quote reaches that far, and the outer ICMP checksum. */
int rill_rewrite_quoted_source(struct rte_mbuf *m, struct rill_view *view,
                               const struct rill_endpoint *to);
int rill_rewrite_quoted_destination(struct rte_mbuf *m, struct rill_view *view,
                                    const struct rill_endpoint *to);

#endif
