#include "lib/frame/geneve.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "lib/frame/geneve_options.h"
#include "lib/frame/geneve_sums.h"

enum {
    IP4_HEADER_MAX = 60,
    HEADERS_MAX =
        RTE_ETHER_HDR_LEN + IP4_HEADER_MAX + 8 + RILL_GENEVE_BYTES + RILL_GENEVE_OPTIONS_MAX,
    /* What is left in the first segment after the headers are off, if the frame has as much: more
     * than the headers of any packet that rill_parse() takes. */
    FIRST_SEGMENT_MIN = 1024,
};

const char *rill_geneve_result_name(enum rill_geneve_result result)
{
    static const char *const names[RILL_GENEVE_RESULTS] = {
        [RILL_GENEVE_OK] = "ok",
        [RILL_GENEVE_NOT_OURS] = "not_ours",
        [RILL_GENEVE_SHORT] = "short",
        [RILL_GENEVE_VERSION] = "version",
        [RILL_GENEVE_OPTION] = "option",
        [RILL_GENEVE_MISSING] = "missing",
        [RILL_GENEVE_TYPE] = "type",
        [RILL_GENEVE_VALUE] = "value",
        [RILL_GENEVE_CHECKSUM] = "checksum",
    };

    return (unsigned)result < RILL_GENEVE_RESULTS ? names[result] : "unknown";
}

/* --- decode: headers -------------------------------------------------------------------------- */

/* What the outer headers say. */
struct outer {
    uint32_t udp_off;
    uint32_t end; /* of the datagram; what follows is Ethernet's padding */
    uint32_t data_off;
    uint16_t protocol;
};

static inline uint16_t be16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static enum rill_geneve_result read_ip4(const uint8_t *h, uint32_t have, uint32_t pkt_len,
                                        struct outer *outer)
{
    const uint8_t *ip = h + RTE_ETHER_HDR_LEN;
    uint32_t ip_bytes, total;

    if (have < RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr))
        return RILL_GENEVE_SHORT;
    ip_bytes = (ip[0] & 0xf) * 4u;
    total = be16_at(ip + 2);
    if (ip[0] >> 4 != 4 || ip_bytes < sizeof(struct rte_ipv4_hdr) || ip[9] != IPPROTO_UDP ||
        (be16_at(ip + 6) & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0)
        return RILL_GENEVE_NOT_OURS;
    if (total < ip_bytes || total > pkt_len - RTE_ETHER_HDR_LEN ||
        have < RTE_ETHER_HDR_LEN + ip_bytes)
        return RILL_GENEVE_SHORT;
    if (rte_raw_cksum(ip, ip_bytes) != 0xffff)
        return RILL_GENEVE_CHECKSUM;
    outer->udp_off = RTE_ETHER_HDR_LEN + ip_bytes;
    outer->end = RTE_ETHER_HDR_LEN + total;
    return RILL_GENEVE_OK;
}

static enum rill_geneve_result read_ip6(const uint8_t *h, uint32_t have, uint32_t pkt_len,
                                        struct outer *outer)
{
    const uint8_t *ip = h + RTE_ETHER_HDR_LEN;

    outer->udp_off = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr);
    if (have < outer->udp_off)
        return RILL_GENEVE_SHORT;
    if (ip[0] >> 4 != 6 || ip[6] != IPPROTO_UDP)
        return RILL_GENEVE_NOT_OURS;
    outer->end = outer->udp_off + be16_at(ip + 4);
    return outer->end > pkt_len ? RILL_GENEVE_SHORT : RILL_GENEVE_OK;
}

static enum rill_geneve_result read_outer(const uint8_t *h, uint32_t have, uint32_t pkt_len,
                                          struct outer *outer)
{
    enum rill_geneve_result result;
    const uint8_t *udp, *geneve;
    uint16_t ether_type;

    if (have < RTE_ETHER_HDR_LEN)
        return RILL_GENEVE_SHORT;
    ether_type = be16_at(h + 12);
    if (ether_type != RTE_ETHER_TYPE_IPV4 && ether_type != RTE_ETHER_TYPE_IPV6)
        return RILL_GENEVE_NOT_OURS;
    result = ether_type == RTE_ETHER_TYPE_IPV4 ? read_ip4(h, have, pkt_len, outer)
                                               : read_ip6(h, have, pkt_len, outer);
    if (result != RILL_GENEVE_OK)
        return result;
    if (outer->end < outer->udp_off + sizeof(struct rte_udp_hdr))
        return RILL_GENEVE_SHORT;
    udp = h + outer->udp_off;
    if (be16_at(udp + 2) != RILL_GENEVE_PORT)
        return RILL_GENEVE_NOT_OURS;
    if (outer->end < outer->udp_off + sizeof(struct rte_udp_hdr) + RILL_GENEVE_BYTES)
        return RILL_GENEVE_SHORT;
    if (be16_at(udp + 4) != outer->end - outer->udp_off)
        return RILL_GENEVE_VALUE;
    geneve = udp + sizeof(struct rte_udp_hdr);
    outer->protocol = be16_at(geneve + 2);
    outer->data_off =
        outer->udp_off + sizeof(struct rte_udp_hdr) + RILL_GENEVE_BYTES + (geneve[0] & 0x3f) * 4u;
    if (geneve[0] >> 6 != 0)
        return RILL_GENEVE_VERSION;
    return outer->data_off > outer->end ? RILL_GENEVE_SHORT : RILL_GENEVE_OK;
}

/* A sum of zero is "none", which only IPv4 allows (RFC 8200, 8.1); any other must be right. */
static bool udp_checksum_right(const struct rte_mbuf *m, const uint8_t *h,
                               const struct outer *outer)
{
    const void *ip = h + RTE_ETHER_HDR_LEN;
    bool ip6 = be16_at(h + 12) == RTE_ETHER_TYPE_IPV6;
    uint32_t sum;

    if (be16_at(h + outer->udp_off + offsetof(struct rte_udp_hdr, dgram_cksum)) == 0)
        return !ip6;
    sum = rill_sum_of(m, outer->udp_off, outer->end);
    sum += ip6 ? rte_ipv6_phdr_cksum(ip, 0) : rte_ipv4_phdr_cksum(ip, 0);
    return rill_sum_folded(sum) == 0xffff;
}

/* --- decode: taking the headers off ----------------------------------------------------------- */

/* Frees the segment behind `before`. */
static void drop_next(struct rte_mbuf *m, struct rte_mbuf *before)
{
    struct rte_mbuf *gone = before->next;

    before->next = gone->next;
    m->nb_segs--;
    rte_pktmbuf_free_seg(gone);
}

/* Cuts m to its first `bytes`. */
static void cut_end(struct rte_mbuf *m, uint32_t bytes)
{
    struct rte_mbuf *segment = m;

    m->pkt_len = bytes;
    while (bytes > segment->data_len) {
        bytes -= segment->data_len;
        segment = segment->next;
    }
    segment->data_len = (uint16_t)bytes;
    while (segment->next != NULL)
        drop_next(m, segment);
}

/* Takes `bytes` off the front of a segment: of its data, not of m's length. */
static uint32_t cut_segment(struct rte_mbuf *segment, uint32_t bytes)
{
    uint16_t n = (uint16_t)RTE_MIN(bytes, (uint32_t)segment->data_len);

    segment->data_off += n;
    segment->data_len -= n;
    return n;
}

static void cut_front(struct rte_mbuf *m, uint32_t bytes)
{
    m->pkt_len -= bytes;
    bytes -= cut_segment(m, bytes);
    while (bytes > 0) {
        bytes -= cut_segment(m->next, bytes);
        if (m->next->data_len == 0)
            drop_next(m, m);
    }
}

/* Fills the first segment from those behind it: whoever looks at the packet wants its headers in
 * one piece, and the segment that only carried ours is empty now. */
static void fill_first(struct rte_mbuf *m)
{
    if (!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)
        return;
    if (m->data_len == 0)
        m->data_off = (uint16_t)RTE_MIN((uint16_t)RTE_PKTMBUF_HEADROOM, m->buf_len);
    while (m->next != NULL && m->data_len < FIRST_SEGMENT_MIN && rte_pktmbuf_tailroom(m) > 0) {
        const uint8_t *from = rte_pktmbuf_mtod(m->next, const uint8_t *);
        uint8_t *to = rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len);
        uint32_t n = cut_segment(m->next, rte_pktmbuf_tailroom(m));

        memcpy(to, from, n);
        m->data_len += n;
        if (m->next->data_len == 0)
            drop_next(m, m);
    }
}

enum rill_geneve_result rill_geneve_decode_any(struct rte_mbuf *m)
{
    uint8_t copy[HEADERS_MAX];
    uint32_t have = RTE_MIN(m->pkt_len, (uint32_t)HEADERS_MAX);
    const uint8_t *h = rte_pktmbuf_read(m, 0, have, copy);
    const uint8_t *geneve;
    struct rill_frame f;
    struct outer outer;
    enum rill_geneve_result result;

    if (h == NULL)
        return RILL_GENEVE_SHORT;
    result = read_outer(h, have, m->pkt_len, &outer);
    if (result != RILL_GENEVE_OK)
        return result;
    if (!udp_checksum_right(m, h, &outer))
        return RILL_GENEVE_CHECKSUM;
    geneve = h + outer.udp_off + sizeof(struct rte_udp_hdr);
    result = rill_geneve_options_read(geneve + RILL_GENEVE_BYTES, (geneve[0] & 0x3f) * 4u, &f);
    if (result != RILL_GENEVE_OK)
        return result;
    f.vni = (uint32_t)geneve[4] << 16 | (uint32_t)geneve[5] << 8 | geneve[6];
    result = rill_geneve_check(&f, outer.end - outer.data_off);
    if (result != RILL_GENEVE_OK)
        return result;
    if ((geneve[1] & RILL_GENEVE_CONTROL_BIT) ||
        outer.protocol != (f.flags & RILL_FLAG_PACKET ? RILL_GENEVE_PROTOCOL_ETHERNET
                                                      : RILL_GENEVE_PROTOCOL_BODY))
        return RILL_GENEVE_VALUE;
    rill_frame_copy_metadata(rill_frame(m), &f);
    cut_end(m, outer.end);
    cut_front(m, outer.data_off);
    fill_first(m);
    return RILL_GENEVE_OK;
}

enum rill_geneve_result rill_geneve_decode(struct rte_mbuf *m)
{
    return rill_geneve_decode_short(m) ? RILL_GENEVE_OK : rill_geneve_decode_any(m);
}

bool rill_geneve_says_packet(const struct rte_mbuf *m)
{
    uint8_t copy[HEADERS_MAX];
    uint32_t have = RTE_MIN(m->pkt_len, (uint32_t)HEADERS_MAX);
    const uint8_t *h = rte_pktmbuf_read(m, 0, have, copy);
    struct outer outer;

    return h != NULL && read_outer(h, have, m->pkt_len, &outer) == RILL_GENEVE_OK &&
           outer.protocol == RILL_GENEVE_PROTOCOL_ETHERNET;
}
