/* What an IP packet carries, in pieces: it may lie in several segments, be padded, or be cut by a
 * snap length.
 *
 * Pure functions; any thread. `view` is of this very packet (rill_parse).
 */
#ifndef RILL_LIB_PACKET_PAYLOAD_H
#define RILL_LIB_PACKET_PAYLOAD_H

#include "lib/packet/parse.h"

/* Bytes of payload on the wire, by IP's and UDP's own lengths: the frame's padding is none of it.
 * Behind the header of TCP or UDP, 8 bytes of ICMP, or IP's own header for other protocols. 0 for
 * later fragments. */
uint32_t rill_payload_bytes(const struct rte_mbuf *m, const struct rill_view *view);

/* The run of payload that begins `offset` bytes into it and lies in one segment, its length in
 * *bytes. NULL at the end of what is here. */
const uint8_t *rill_payload_piece(const struct rte_mbuf *m, const struct rill_view *view,
                                  uint32_t offset, uint32_t *bytes);

/* The run of the IP packet that begins `at` bytes into the frame (its header, or behind it) and
 * lies in one segment, its length in *bytes. NULL at the end of what is here. */
const uint8_t *rill_ip_piece(const struct rte_mbuf *m, const struct rill_view *view, uint32_t at,
                             uint32_t *bytes);

/* Length of the IP packet, header included, as that says itself. */
uint32_t rill_ip_bytes(const struct rte_mbuf *m, const struct rill_view *view);

#endif
