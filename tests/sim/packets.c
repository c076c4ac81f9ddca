/* What comes in: UDP or TCP packets of the inside or replies to them, some of them fragments,
 * damaged, or quoted by an ICMP error. Each carries its number where the NF finds it. */
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "tests/sim/sim.h"

static const uint8_t SERVER[4] = {192, 0, 2, 1};
static const uint8_t ROUTER[4] = {192, 0, 2, 254};

struct ends {
    uint8_t src[4], dst[4];
    uint16_t sport, dport;
};

static void write_ip(struct rte_ipv4_hdr *ip, uint32_t bytes, uint8_t proto, const uint8_t src[4],
                     const uint8_t dst[4])
{
    *ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
                                .total_length = rte_cpu_to_be_16((uint16_t)bytes),
                                .time_to_live = 64,
                                .next_proto_id = proto};
    memcpy(&ip->src_addr, src, 4);
    memcpy(&ip->dst_addr, dst, 4);
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void write_udp(uint8_t *at, const struct ends *e)
{
    struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(at + sizeof(struct rte_ipv4_hdr));

    write_ip((struct rte_ipv4_hdr *)at, SIM_PACKET_BYTES - 14, RILL_UDP, e->src, e->dst);
    *udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(e->sport),
                                .dst_port = rte_cpu_to_be_16(e->dport),
                                .dgram_len = rte_cpu_to_be_16(SIM_PACKET_BYTES - 34)};
}

static void write_tcp(uint8_t *at, const struct ends *e, uint8_t flags)
{
    struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(at + sizeof(struct rte_ipv4_hdr));

    write_ip((struct rte_ipv4_hdr *)at, SIM_TCP_BYTES - 14, RILL_TCP, e->src, e->dst);
    *tcp = (struct rte_tcp_hdr){.src_port = rte_cpu_to_be_16(e->sport),
                                .dst_port = rte_cpu_to_be_16(e->dport),
                                .data_off = sizeof(*tcp) / 4 << 4,
                                .tcp_flags = flags};
}

/* A packet could not be delivered: `who` says so to its sender, and quotes it. */
static void write_error(uint8_t *at, const uint8_t who[4], const struct ends *quoted, bool tcp)
{
    struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(at + sizeof(struct rte_ipv4_hdr));

    write_ip((struct rte_ipv4_hdr *)at, SIM_ERROR_BYTES - 14, RILL_ICMP, who, quoted->src);
    *icmp = (struct rte_icmp_hdr){.icmp_type = 3, .icmp_code = 3};
    write_udp((uint8_t *)(icmp + 1), quoted);
    if (tcp) /* of which the same 8 bytes are the ports, and a number that nobody looks at */
        write_ip((struct rte_ipv4_hdr *)(icmp + 1), SIM_TCP_BYTES - 14, RILL_TCP, quoted->src,
                 quoted->dst);
}

/* Fragments: a first, a middle and a last one, in any order. */
static void make_fragment(struct sim_packet *p, struct rill_rng *rng, uint8_t *data)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(data + 14);
    static const uint16_t offsets[] = {0x2000, 0x2004, 0x0008};
    uint32_t kind = rill_rng_below(rng, 3);

    if (kind == 0)
        p->ip_id++;
    ip->packet_id = rte_cpu_to_be_16(p->ip_id);
    ip->fragment_offset = rte_cpu_to_be_16(offsets[kind]);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void damage(struct rill_rng *rng, uint8_t *data)
{
    for (uint32_t n = 1 + rill_rng_below(rng, 3); n > 0; n--)
        data[rill_rng_below(rng, SIM_HEADERS_BYTES)] ^= 1u << rill_rng_below(rng, 8);
}

static struct ends ends_of(const struct sim_packet *p, bool reversed)
{
    struct ends e = {.src = {10, 0, 0, (uint8_t)(p->flow + 1)}, .sport = 5000, .dport = 80};

    if (p->reply_to != NULL) {
        memcpy(e.src, p->reply_to->addr, 4);
        e.sport = p->reply_to->port;
    }
    memcpy(e.dst, SERVER, 4);
    if (p->turn_to != NULL) {
        memcpy(e.dst, p->turn_to->addr, 4);
        e.dport = p->turn_to->port;
    }
    if (!reversed)
        return e;
    return (struct ends){.src = {e.dst[0], e.dst[1], e.dst[2], e.dst[3]},
                         .dst = {e.src[0], e.src[1], e.src[2], e.src[3]},
                         .sport = e.dport,
                         .dport = e.sport};
}

void sim_packet_write(struct sim_packet *p, struct rte_mbuf *m)
{
    bool reply = p->reply_to != NULL;
    uint32_t bytes = p->error ? SIM_ERROR_BYTES : p->tcp ? SIM_TCP_BYTES : SIM_PACKET_BYTES;
    uint8_t *data = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes);
    struct sim_mark mark = {.packet = p->number};
    struct ends ends = ends_of(p, p->error ? !reply : reply);

    memset(data, 0, 14);
    ((struct rte_ether_hdr *)data)->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    if (p->error)
        write_error(data + 14, reply ? ROUTER : ends.dst, &ends, p->tcp);
    else if (p->tcp)
        write_tcp(data + 14, &ends, p->tcp_flags);
    else
        write_udp(data + 14, &ends);
    memcpy(data + bytes - SIM_MARK_BYTES, &mark, sizeof(mark));
    if (p->fragment != NULL)
        make_fragment(p, p->fragment, data);
    if (p->damage != NULL)
        damage(p->damage, data);
}
