/* The way out: a frame's options and headers in front of its data. */
#include <errno.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "lib/frame/geneve_bytes.h"
#include "lib/frame/geneve_sums.h"
#include "lib/frame/geneve_types.h"

#define USES RILL_USES

enum {
    OUTER_TTL = 64,
    VNI_MAX = 0xffffff,
    IP4_OUTER_BYTES = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr),
    IP6_OUTER_BYTES = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr),
};

_Static_assert(IP6_OUTER_BYTES + sizeof(struct rte_udp_hdr) + RILL_GENEVE_BYTES +
                       RILL_GENEVE_OPTIONS_MAX ==
                   RILL_GENEVE_HEADROOM,
               "the most that goes in front");
_Static_assert(IP6_OUTER_BYTES == sizeof(((struct rill_geneve_outer *)0)->headers), "and of it");

/* --- outer headers ---------------------------------------------------------------------------- */

static void make_ip4(struct rill_geneve_outer *outer, const struct rill_underlay *underlay)
{
    struct rte_ipv4_hdr ip = {
        .version_ihl = RTE_IPV4_VHL_DEF,
        .fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
        .time_to_live = OUTER_TTL,
        .next_proto_id = IPPROTO_UDP,
    };

    memcpy(&ip.src_addr, underlay->src.addr, sizeof(ip.src_addr));
    memcpy(&ip.dst_addr, underlay->dst.addr, sizeof(ip.dst_addr));
    outer->sum = rte_raw_cksum(&ip, sizeof(ip));
    memcpy(outer->headers + RTE_ETHER_HDR_LEN, &ip, sizeof(ip));
}

static void make_ip6(struct rill_geneve_outer *outer, const struct rill_underlay *underlay)
{
    struct rte_ipv6_hdr ip = {
        .vtc_flow = rte_cpu_to_be_32(6u << 28),
        .proto = IPPROTO_UDP,
        .hop_limits = OUTER_TTL,
    };

    memcpy(ip.src_addr, underlay->src.addr, sizeof(ip.src_addr));
    memcpy(ip.dst_addr, underlay->dst.addr, sizeof(ip.dst_addr));
    memcpy(outer->headers + RTE_ETHER_HDR_LEN, &ip, sizeof(ip));
}

int rill_geneve_outer_init(struct rill_geneve_outer *outer, const struct rill_underlay *underlay)
{
    bool ip6 = underlay->src.family == 6;
    uint8_t *at = outer->headers;

    if (underlay->src.family != underlay->dst.family || (!ip6 && underlay->src.family != 4))
        return -EINVAL;
    *outer = (struct rill_geneve_outer){.ip6 = ip6};
    at = (uint8_t *)memcpy(at, underlay->dst_mac, RTE_ETHER_ADDR_LEN) + RTE_ETHER_ADDR_LEN;
    at = (uint8_t *)memcpy(at, underlay->src_mac, RTE_ETHER_ADDR_LEN) + RTE_ETHER_ADDR_LEN;
    put16(at, ip6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
    if (ip6)
        make_ip6(outer, underlay);
    else
        make_ip4(outer, underlay);
    return 0;
}

/* `bytes`: from the UDP header on. Returns where that goes. */
static __rte_always_inline uint8_t *write_outer(uint8_t *to, const struct rill_geneve_outer *outer,
                                                uint32_t bytes)
{
    uint32_t total = bytes + (uint32_t)sizeof(struct rte_ipv4_hdr);
    uint8_t *ip = to + RTE_ETHER_HDR_LEN;
    uint16_t sum;

    if (outer->ip6) {
        memcpy(to, outer->headers, IP6_OUTER_BYTES);
        put16(ip + offsetof(struct rte_ipv6_hdr, payload_len), (uint16_t)bytes);
        return to + IP6_OUTER_BYTES;
    }
    memcpy(to, outer->headers, IP4_OUTER_BYTES);
    put16(ip + offsetof(struct rte_ipv4_hdr, total_length), (uint16_t)total);
    sum = (uint16_t)~rill_sum_folded(outer->sum + (uint32_t)rte_cpu_to_be_16((uint16_t)total));
    memcpy(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), &sum, sizeof(sum));
    return to + IP4_OUTER_BYTES;
}

/* All packets of a flow get one source port, so that a network with several paths keeps them in
 * order (RFC 8926, 3.3). */
static inline uint16_t source_port(const struct rill_frame *f)
{
    uint64_t hash = (f->flow ^ ((uint64_t)f->vni << 40)) * 0x9e3779b97f4a7c15u;

    return (uint16_t)(0xc000 | (hash >> 50));
}

/* UDP and Geneve, 8 bytes each; the UDP checksum is zero yet. */
static __rte_always_inline uint8_t *write_geneve(uint8_t *to, const struct rill_frame *f,
                                                 uint32_t udp_bytes, uint32_t option_bytes)
{
    uint64_t protocol =
        f->flags & RILL_FLAG_PACKET ? RILL_GENEVE_PROTOCOL_ETHERNET : RILL_GENEVE_PROTOCOL_BODY;

    to = put64(to,
               (uint64_t)source_port(f) << 48 | (uint64_t)RILL_GENEVE_PORT << 32 | udp_bytes << 16);
    return put64(to, (uint64_t)(option_bytes / 4) << 56 | (uint64_t)RILL_GENEVE_CRITICAL_BIT << 48 |
                         protocol << 32 | f->vni << 8);
}

static void write_ip6_udp_checksum(const struct rte_mbuf *m)
{
    uint8_t *start = rte_pktmbuf_mtod(m, uint8_t *);
    const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)(start + RTE_ETHER_HDR_LEN);
    uint32_t phdr = rte_ipv6_phdr_cksum(ip, 0);
    uint16_t sum = rill_sum_folded(rill_sum_of(m, IP6_OUTER_BYTES, m->pkt_len) + phdr);

    if (sum != 0xffff) /* its complement, zero, would say that there is none */
        sum = (uint16_t)~sum;
    memcpy(start + IP6_OUTER_BYTES + offsetof(struct rte_udp_hdr, dgram_cksum), &sum, sizeof(sum));
}

/* --- options ---------------------------------------------------------------------------------- */

/* With its header, if it is there. */
static __rte_always_inline uint32_t bytes_if(bool there, uint32_t bytes)
{
    return there ? RILL_GENEVE_OPTION_HEADER + bytes : 0;
}

/* Of all that have one width. */
static __rte_always_inline uint32_t fixed_bytes(uint32_t uses)
{
    return bytes_if(uses & USES(FRAME), 16) + bytes_if(uses & USES(FLOW), 8) +
           bytes_if(uses & USES(TERM), 8) + bytes_if(uses & USES(CLOCK), 8) +
           bytes_if(uses & USES(STEP), 16) + bytes_if(uses & USES(NEXT_TERM), 8) +
           bytes_if(uses & USES(NEXT_UNIT), 4) + bytes_if(uses & USES(GRANTED_TERM), 8) +
           bytes_if(uses & USES(INGRESS), 24) + bytes_if(uses & USES(POOL), 4) +
           bytes_if(uses & USES(COUNT), 4);
}

static __rte_always_inline uint32_t options_bytes(const struct rill_frame *f, uint32_t uses)
{
    uint32_t first = RTE_MIN(f->state_bytes, (uint32_t)RILL_GENEVE_STATE_FIRST);

    return fixed_bytes(uses) +
           bytes_if(uses & USES(CHAIN), f->chain_len * (uint32_t)RILL_GENEVE_CHAIN_ENTRY) +
           bytes_if(uses & USES(TARGETS), f->target_count * (uint32_t)RILL_GENEVE_TARGET) +
           bytes_if(uses & USES(STATE), RILL_GENEVE_STATE_HEAD + RTE_ALIGN_CEIL(first, 4)) +
           bytes_if(rill_geneve_has_tuple(f, uses), RILL_GENEVE_TUPLE) +
           bytes_if(rill_geneve_has_state_more(f, uses),
                    RTE_ALIGN_CEIL(f->state_bytes - first, 4)) +
           bytes_if(rill_geneve_has_endpoint(f, uses), 8);
}

static __rte_always_inline uint8_t *put_header(uint8_t *to, enum rill_geneve_option option,
                                               uint32_t bytes)
{
    return put32(to, (uint32_t)RILL_GENEVE_CLASS << 16 | (RILL_GENEVE_CRITICAL | option) << 8 |
                         bytes / 4);
}

static __rte_always_inline uint8_t *put_option32(uint8_t *to, enum rill_geneve_option option,
                                                 uint32_t value)
{
    return put32(put_header(to, option, sizeof(value)), value);
}

static __rte_always_inline uint8_t *put_option64(uint8_t *to, enum rill_geneve_option option,
                                                 uint64_t value)
{
    return put64(put_header(to, option, sizeof(value)), value);
}

static __rte_always_inline uint8_t *write_frame(const struct rill_frame *f, uint8_t *to)
{
    to = put_header(to, RILL_OPTION_FRAME, 16);
    to = put32(to, (uint32_t)RILL_GENEVE_LAYOUT << 24 | (uint32_t)f->type << 16 |
                       (uint32_t)f->flags << 8 | f->side);
    to = put64(to, (uint64_t)f->src << 32 | f->dst);
    return put32(to, (uint32_t)f->epoch << 16);
}

static __rte_always_inline uint8_t *write_ingress(const struct rill_frame *f, uint8_t *to)
{
    to = put_header(to, RILL_OPTION_INGRESS, 24);
    to = put64(put64(to, f->ingress_ns), f->ingress_id);
    return put64(to,
                 (uint64_t)f->wire_bytes << 32 | (uint32_t)f->first_sport << 16 | f->first_dport);
}

static __rte_always_inline uint8_t *write_chain(const struct rill_frame *f, uint8_t *to)
{
    to = put_header(to, RILL_OPTION_CHAIN, f->chain_len * (uint32_t)RILL_GENEVE_CHAIN_ENTRY);
    for (uint32_t i = 0; i < f->chain_len; i++) {
        const struct rill_chain_entry *e = &f->chain[i];

        to = put64(put64(to, e->term), (uint64_t)e->unit << 32 | e->output_logger);
    }
    return to;
}

static __rte_always_inline uint8_t *write_targets(const struct rill_frame *f, uint8_t *to)
{
    to = put_header(to, RILL_OPTION_TARGETS, f->target_count * (uint32_t)RILL_GENEVE_TARGET);
    for (uint32_t i = 0; i < f->target_count; i++)
        to = put32(to, f->targets[i]);
    return to;
}

/* With zeros up to a multiple of 4. Most are a few words. */
static __rte_always_inline uint8_t *write_bytes(const uint8_t *from, uint32_t bytes, uint8_t *to)
{
    uint8_t *end = to + RTE_ALIGN_CEIL(bytes, 4);

    for (; bytes >= 8; bytes -= 8, from += 8, to += 8)
        memcpy(to, from, 8);
    if (bytes > 0)
        memset(end - 4, 0, 4);
    for (; bytes > 0; bytes--)
        *to++ = *from++;
    return end;
}

static __rte_always_inline uint8_t *write_state(const struct rill_frame *f, uint8_t *to)
{
    uint32_t first = RTE_MIN(f->state_bytes, (uint32_t)RILL_GENEVE_STATE_FIRST);

    to = put_header(to, RILL_OPTION_STATE, RILL_GENEVE_STATE_HEAD + RTE_ALIGN_CEIL(first, 4));
    to = put32(to, (uint32_t)f->state_offset << 16 | (uint32_t)f->state_bytes << 8);
    return write_bytes(f->state, first, to);
}

static uint8_t *write_state_more(const struct rill_frame *f, uint8_t *to)
{
    uint32_t more = f->state_bytes - (uint32_t)RILL_GENEVE_STATE_FIRST;

    to = put_header(to, RILL_OPTION_STATE_MORE, RTE_ALIGN_CEIL(more, 4));
    return write_bytes(f->state + RILL_GENEVE_STATE_FIRST, more, to);
}

static uint8_t *write_tuple(const struct rill_flow_tuple *tuple, uint8_t *to)
{
    to = put_header(to, RILL_OPTION_TUPLE, RILL_GENEVE_TUPLE);
    to = write_bytes(tuple->addr_a, sizeof(tuple->addr_a), to);
    to = write_bytes(tuple->addr_b, sizeof(tuple->addr_b), to);
    to = put16(put16(to, tuple->port_a), tuple->port_b);
    *to++ = tuple->family;
    *to++ = tuple->proto;
    return put16(to, 0);
}

static __rte_always_inline void write_options(const struct rill_frame *f, uint8_t *to,
                                              uint32_t uses)
{
    to = write_frame(f, to);
    if (uses & USES(FLOW))
        to = put_option64(to, RILL_OPTION_FLOW, f->flow);
    if (uses & USES(TERM))
        to = put_option64(to, RILL_OPTION_TERM, f->term);
    if (uses & USES(CLOCK))
        to = put_option64(to, RILL_OPTION_CLOCK, f->clock);
    if (uses & USES(STEP))
        to = put64(put64(put_header(to, RILL_OPTION_STEP, 16), f->step), f->window);
    if (uses & USES(NEXT_TERM))
        to = put_option64(to, RILL_OPTION_NEXT_TERM, f->next_term);
    if (uses & USES(NEXT_UNIT))
        to = put_option32(to, RILL_OPTION_NEXT_UNIT, f->next_unit);
    if (uses & USES(GRANTED_TERM))
        to = put_option64(to, RILL_OPTION_GRANTED_TERM, f->granted_term);
    if (uses & USES(INGRESS))
        to = write_ingress(f, to);
    if (uses & USES(CHAIN))
        to = write_chain(f, to);
    if (uses & USES(TARGETS))
        to = write_targets(f, to);
    if (uses & USES(STATE))
        to = write_state(f, to);
    if (uses & USES(POOL))
        to = put_option32(to, RILL_OPTION_POOL, f->pool);
    if (uses & USES(COUNT))
        to = put_option32(to, RILL_OPTION_COUNT, f->count);
    if (rill_geneve_has_tuple(f, uses))
        to = write_tuple(&f->tuple, to);
    if (rill_geneve_has_state_more(f, uses))
        to = write_state_more(f, to);
    if (rill_geneve_has_endpoint(f, uses))
        put64(put_header(to, RILL_OPTION_ENDPOINT, 8), (uint64_t)f->pool << 32 | f->count);
}

/* --- frames ----------------------------------------------------------------------------------- */

/* A segment of its own for the headers. */
static int put_segment_in_front(struct rte_mbuf **m, struct rte_mempool *pool, uint32_t bytes)
{
    struct rte_mbuf *front;

    if (pool == NULL)
        return -ENOSPC;
    front = rte_pktmbuf_alloc(pool);
    if (front == NULL)
        return -ENOMEM;
    if (rte_pktmbuf_append(front, (uint16_t)bytes) == NULL) {
        rte_pktmbuf_free(front);
        return -ENOSPC;
    }
    if (rte_pktmbuf_chain(front, *m) != 0) {
        rte_pktmbuf_free(front);
        return -EMSGSIZE;
    }
    rill_frame_copy_metadata(rill_frame(front), rill_frame(*m));
    *m = front;
    return 0;
}

/* Makes `bytes` of room in front. */
static __rte_always_inline int make_room(struct rte_mbuf **m, struct rte_mempool *pool,
                                         uint32_t bytes)
{
    if (RTE_MBUF_DIRECT(*m) && rte_mbuf_refcnt_read(*m) == 1 &&
        rte_pktmbuf_prepend(*m, (uint16_t)bytes) != NULL)
        return 0;
    return put_segment_in_front(m, pool, bytes);
}

static __rte_always_inline int encode_as(struct rte_mbuf **m, struct rte_mempool *pool,
                                         const struct rill_geneve_outer *outer, uint32_t uses)
{
    const struct rill_frame *f = rill_frame(*m);
    uint32_t outer_bytes = outer->ip6 ? IP6_OUTER_BYTES : IP4_OUTER_BYTES;
    uint32_t option_bytes, udp_bytes;
    uint8_t *at;
    int code;

    if (f->vni > VNI_MAX || rill_geneve_check_as(f, (*m)->pkt_len, uses) != RILL_GENEVE_OK)
        return -EINVAL;
    option_bytes = options_bytes(f, uses);
    udp_bytes =
        (uint32_t)sizeof(struct rte_udp_hdr) + RILL_GENEVE_BYTES + option_bytes + (*m)->pkt_len;
    if (udp_bytes + (outer->ip6 ? 0 : sizeof(struct rte_ipv4_hdr)) > UINT16_MAX)
        return -EMSGSIZE;
    code = make_room(m, pool, outer_bytes + udp_bytes - (*m)->pkt_len);
    if (code != 0)
        return code;
    f = rill_frame(*m);
    at = write_outer(rte_pktmbuf_mtod(*m, uint8_t *), outer, udp_bytes);
    at = write_geneve(at, f, udp_bytes, option_bytes);
    write_options(f, at, uses);
    if (outer->ip6)
        write_ip6_udp_checksum(*m);
    return 0;
}

int rill_geneve_encode(struct rte_mbuf **m, struct rte_mempool *pool,
                       const struct rill_geneve_outer *outer)
{
    uint32_t uses;

    switch (rill_frame(*m)->type) {
    case RILL_FRAME_INGRESS:
        return encode_as(m, pool, outer, RILL_USES_INGRESS);
    case RILL_FRAME_DATA:
        return encode_as(m, pool, outer, RILL_USES_DATA);
    case RILL_FRAME_CHANGE:
        return encode_as(m, pool, outer, RILL_USES_CHANGE);
    case RILL_FRAME_RELEASED:
        return encode_as(m, pool, outer, RILL_USES_RELEASED);
    default:
        uses = rill_geneve_uses_of(rill_frame(*m));
        return uses == 0 ? -EINVAL : encode_as(m, pool, outer, uses);
    }
}
