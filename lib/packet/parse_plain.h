/* What most packets are, parsed without a call: TCP or UDP in IPv4 without options in Ethernet
 * without tags, whole and no fragment. Whatever else there is goes the long way, which takes these,
 * too, and gives the same view. For who parses each packet; the contract is that of parse.h.
 */
#ifndef RILL_LIB_PACKET_PARSE_PLAIN_H
#define RILL_LIB_PACKET_PARSE_PLAIN_H

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "lib/packet/bytes.h"
#include "lib/packet/parse.h"

enum { ETHERNET_BYTES = 14, ETHERTYPE_IP4 = 0x0800 };
enum { IP4_MORE_FRAGMENTS = 0x2000, IP4_FRAGMENT_OFFSET = 0x1fff };
enum { PLAIN_L4 = ETHERNET_BYTES + IP4_HEADER_BYTES };

/* The long way. */
enum rill_parse_result rill_parse_any(const struct rte_mbuf *m, uint32_t wire_bytes,
                                      struct rill_view *view);

/* Bytes of the L4 header; 0 if the length in it is not sound, or what it says is not all here. */
static inline uint32_t plain_l4_bytes(const uint8_t *l4, uint32_t there, uint8_t proto)
{
    uint32_t header, length;

    if (proto == RILL_UDP) {
        length = load_be16(l4 + 4);
        return length >= UDP_HEADER_BYTES && length <= there ? UDP_HEADER_BYTES : 0;
    }
    if (proto != RILL_TCP || there < TCP_HEADER_BYTES)
        return 0;
    header = (l4[12] >> 4) * 4u;
    return header >= TCP_HEADER_BYTES && header <= there ? header : 0;
}

/* All that stands before the endpoints, and all behind them, each at one go. */
static inline void plain_set_view(struct rill_view *view, uint32_t l4_bytes, uint8_t tcp_flags)
{
    uint64_t word = ETHERNET_BYTES | (uint64_t)PLAIN_L4 << 16 |
                    (uint64_t)(PLAIN_L4 + l4_bytes) << 32 | (uint64_t)tcp_flags << 56;

    _Static_assert(
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && offsetof(struct rill_view, l2_len) == 0 &&
            offsetof(struct rill_view, l4_off) == 2 &&
            offsetof(struct rill_view, l4_payload_off) == 4 &&
            offsetof(struct rill_view, flags) == 6 && offsetof(struct rill_view, tcp_flags) == 7,
        "one word");
    memcpy(view, &word, sizeof(word));
    view->fragment_id = 0;
    view->quoted_off = 0;
    view->quoted_l4_off = 0;
}

/* False: it is something else, or there is something wrong with it, and nothing was written. */
static inline bool rill_parse_plain(const struct rte_mbuf *m, uint32_t wire_bytes,
                                    struct rill_view *view)
{
    static const uint8_t begin[4] = {ETHERTYPE_IP4 >> 8, ETHERTYPE_IP4 & 0xff, 0x45, 0};
    static const uint8_t looked_at[4] = {0xff, 0xff, 0xff, 0};
    static const uint8_t fragment[2] = {(IP4_MORE_FRAGMENTS | IP4_FRAGMENT_OFFSET) >> 8, 0xff};
    const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *), *ip = bytes + ETHERNET_BYTES;
    const uint8_t *l4 = bytes + PLAIN_L4;
    uint32_t end, header;
    uint8_t proto;

    if (m->data_len < PLAIN_L4 + UDP_HEADER_BYTES || m->data_len != m->pkt_len ||
        wire_bytes > m->pkt_len ||
        ((load_raw32(bytes + 12) ^ load_raw32(begin)) & load_raw32(looked_at)) != 0 ||
        (load_raw16(ip + 6) & load_raw16(fragment)) != 0)
        return false;
    end = ETHERNET_BYTES + load_be16(ip + 2);
    if (end > m->data_len || end < PLAIN_L4 + UDP_HEADER_BYTES ||
        load_raw16(l4) == load_raw16(l4 + 2))
        return false;
    proto = ip[9];
    header = plain_l4_bytes(l4, end - PLAIN_L4, proto);
    if (header == 0)
        return false;
    plain_set_view(view, header, proto == RILL_TCP ? l4[13] : 0);
    rill_endpoint_set4(&view->source, ip + 12, load_be16(l4), proto);
    rill_endpoint_set4(&view->destination, ip + 16, load_be16(l4 + 2), proto);
    return true;
}

static inline enum rill_parse_result rill_parse_inline(const struct rte_mbuf *m,
                                                       uint32_t wire_bytes, struct rill_view *view)
{
    if (likely(rill_parse_plain(m, wire_bytes, view)))
        return RILL_PARSE_OK;
    return rill_parse_any(m, wire_bytes, view);
}

#endif
