#include "traces/generate_packet.h"

#include <assert.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <rill/endpoint.h>

enum { TCP_WINDOW = 65535, HOPS_LEFT = 64, ICMP6_ECHO_REQUEST = 128, ICMP6_ECHO_REPLY = 129 };

static uint32_t ip_header_bytes(const struct rill_build_flow *flow)
{
    return flow->family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
}

static uint32_t l4_header_bytes(const struct rill_build_flow *flow)
{
    return flow->proto == RILL_TCP ? sizeof(struct rte_tcp_hdr) : sizeof(struct rte_udp_hdr);
}

uint32_t rill_build_header_bytes(const struct rill_build_flow *flow)
{
    return RTE_ETHER_HDR_LEN + ip_header_bytes(flow) + l4_header_bytes(flow);
}

static void put_ethernet(const struct rill_build_flow *flow, enum rill_side from, uint8_t *p)
{
    /* The routers on the two sides; locally administered. */
    static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

    memcpy(p, mac[!from], 6);
    memcpy(p + 6, mac[from], 6);
    p[12] = flow->family == 4 ? 0x08 : 0x86;
    p[13] = flow->family == 4 ? 0x00 : 0xdd;
}

static void put_ip(const struct rill_build_flow *flow, enum rill_side from, uint32_t l4_bytes,
                   uint8_t *p)
{
    if (flow->family == 4) {
        /* Not to be fragmented, so its identification may be any (RFC 6864): 0. */
        struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
                                  .total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_bytes)),
                                  .fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
                                  .time_to_live = HOPS_LEFT,
                                  .next_proto_id = flow->proto};

        memcpy(&ip.src_addr, flow->addr[from], 4);
        memcpy(&ip.dst_addr, flow->addr[!from], 4);
        ip.hdr_checksum = rte_ipv4_cksum(&ip);
        memcpy(p, &ip, sizeof(ip));
    } else {
        struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(0x60000000),
                                  .payload_len = rte_cpu_to_be_16((uint16_t)l4_bytes),
                                  .proto = flow->proto,
                                  .hop_limits = HOPS_LEFT};

        memcpy(ip.src_addr, flow->addr[from], 16);
        memcpy(ip.dst_addr, flow->addr[!from], 16);
        memcpy(p, &ip, sizeof(ip));
    }
}

/* Returns where in the header the checksum goes. */
static uint32_t put_l4(const struct rill_build_flow *flow, const struct rill_build_packet *packet,
                       uint32_t l4_bytes, uint8_t *p)
{
    uint16_t source = rte_cpu_to_be_16(flow->port[packet->from]);
    uint16_t destination = rte_cpu_to_be_16(flow->port[!packet->from]);

    if (flow->proto == RILL_TCP) {
        struct rte_tcp_hdr tcp = {.src_port = source,
                                  .dst_port = destination,
                                  .sent_seq = rte_cpu_to_be_32(packet->seq),
                                  .recv_ack = rte_cpu_to_be_32(packet->ack),
                                  .data_off = 0x50,
                                  .tcp_flags = packet->tcp_flags,
                                  .rx_win = rte_cpu_to_be_16(TCP_WINDOW)};

        memcpy(p, &tcp, sizeof(tcp));
        return offsetof(struct rte_tcp_hdr, cksum);
    }
    if (flow->proto == RILL_UDP) {
        struct rte_udp_hdr udp = {.src_port = source,
                                  .dst_port = destination,
                                  .dgram_len = rte_cpu_to_be_16((uint16_t)l4_bytes)};

        memcpy(p, &udp, sizeof(udp));
        return offsetof(struct rte_udp_hdr, dgram_cksum);
    }
    struct rte_icmp_hdr icmp = {.icmp_ident = source,
                                .icmp_seq_nb = rte_cpu_to_be_16((uint16_t)packet->seq)};

    if (flow->family == 4)
        icmp.icmp_type =
            packet->from == RILL_INSIDE ? RTE_IP_ICMP_ECHO_REQUEST : RTE_IP_ICMP_ECHO_REPLY;
    else
        icmp.icmp_type = packet->from == RILL_INSIDE ? ICMP6_ECHO_REQUEST : ICMP6_ECHO_REPLY;
    memcpy(p, &icmp, sizeof(icmp));
    return offsetof(struct rte_icmp_hdr, icmp_cksum);
}

static uint16_t l4_checksum(const struct rill_build_flow *flow, const uint8_t *ip,
                            const uint8_t *l4, uint32_t l4_bytes)
{
    uint32_t sum = rte_raw_cksum(l4, l4_bytes);
    uint16_t checksum;

    if (flow->proto != RILL_ICMP)
        sum += flow->family == 4 ? rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)ip, 0)
                                 : rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, 0);
    sum = (sum & 0xffff) + (sum >> 16);
    checksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
    return checksum == 0 && flow->proto == RILL_UDP ? 0xffff : checksum;
}

uint32_t rill_build(const struct rill_build_flow *flow, const struct rill_build_packet *packet,
                    uint8_t buf[RILL_BUILD_BYTES_MAX])
{
    uint32_t ip_bytes = ip_header_bytes(flow), l4_head = l4_header_bytes(flow);
    uint32_t l4_bytes = l4_head + packet->payload_bytes;
    uint32_t bytes = RTE_ETHER_HDR_LEN + ip_bytes + l4_bytes, at;
    uint8_t *ip = buf + RTE_ETHER_HDR_LEN, *l4 = ip + ip_bytes;
    uint16_t checksum;

    assert(bytes <= RILL_BUILD_BYTES_MAX);
    put_ethernet(flow, packet->from, buf);
    put_ip(flow, packet->from, l4_bytes, ip);
    at = put_l4(flow, packet, l4_bytes, l4);
    for (uint32_t i = 0; i < packet->payload_bytes; i++)
        l4[l4_head + i] = (uint8_t) "rill"[i % 4]; /* a short pattern, so that captures pack well */
    checksum = l4_checksum(flow, ip, l4, l4_bytes);
    memcpy(l4 + at, &checksum, sizeof(checksum));
    if (bytes >= RILL_BUILD_BYTES_MIN)
        return bytes;
    memset(buf + bytes, 0, RILL_BUILD_BYTES_MIN - bytes);
    return RILL_BUILD_BYTES_MIN;
}
