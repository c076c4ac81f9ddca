#include "lib/packet/payload.h"

#include <rte_mbuf.h>

#include "lib/packet/bytes.h"

/* Offset of the IP packet's end, on the wire. */
static uint32_t packet_end(const struct rte_mbuf *m, const struct rill_view *view)
{
    const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, view->l2_len);

    return view->l2_len +
           (view->source.family == 4 ? load_be16(ip + 2) : IP6_HEADER_BYTES + load_be16(ip + 4));
}

/* Offsets of the payload's begin and end, on the wire; equal where there is none. */
static void bounds(const struct rte_mbuf *m, const struct rill_view *view, uint32_t *begin,
                   uint32_t *end)
{
    const uint8_t *l4 = rte_pktmbuf_mtod_offset(m, const uint8_t *, view->l4_off);

    *begin = *end = 0;
    if (view->l4_off == 0)
        return;
    *begin = view->l4_off;
    if (view->source.proto == RILL_TCP)
        *begin += (l4[12] >> 4) * 4u;
    else if (view->source.proto == RILL_UDP)
        *begin += UDP_HEADER_BYTES;
    else if (is_icmp(view->source.family, view->source.proto))
        *begin += ICMP_HEADER_BYTES;
    *end = packet_end(m, view);
    if (view->source.proto == RILL_UDP && !(view->flags & RILL_VIEW_FRAGMENT))
        *end = RTE_MIN(*end, view->l4_off + (uint32_t)load_be16(l4 + 4));
    *end = RTE_MAX(*begin, *end);
}

/* [at, end) of the frame, as far as one segment has it. */
static const uint8_t *piece(const struct rte_mbuf *m, uint32_t at, uint32_t end, uint32_t *bytes)
{
    *bytes = 0;
    end = RTE_MIN(end, m->pkt_len);
    if (at >= end)
        return NULL;
    end -= at; /* bytes left from `at` on */
    while (at >= m->data_len) {
        at -= m->data_len;
        m = m->next;
    }
    *bytes = RTE_MIN(end, m->data_len - at);
    return rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
}

const uint8_t *rill_ip_piece(const struct rte_mbuf *m, const struct rill_view *view, uint32_t at,
                             uint32_t *bytes)
{
    return piece(m, at, packet_end(m, view), bytes);
}

uint32_t rill_ip_bytes(const struct rte_mbuf *m, const struct rill_view *view)
{
    return packet_end(m, view) - view->l2_len;
}

uint32_t rill_payload_bytes(const struct rte_mbuf *m, const struct rill_view *view)
{
    uint32_t begin, end;

    bounds(m, view, &begin, &end);
    return end - begin;
}

const uint8_t *rill_payload_piece(const struct rte_mbuf *m, const struct rill_view *view,
                                  uint32_t offset, uint32_t *bytes)
{
    uint32_t begin, end;

    bounds(m, view, &begin, &end);
    *bytes = 0;
    return offset < end - begin ? piece(m, begin + offset, end, bytes) : NULL;
}
