#include "lib/packet/test_packets.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *append(struct test_packet *p, uint32_t bytes)
{
    uint8_t *at = p->bytes + p->len;

    assert(p->len + bytes <= TEST_PACKET_BYTES_MAX);
    memset(at, 0, bytes);
    p->len += bytes;
    return at;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint8_t family_of(const char *addr)
{
    return strchr(addr, ':') != NULL ? 6 : 4;
}

static void put_address(uint8_t *at, const char *addr)
{
    int done = inet_pton(family_of(addr) == 6 ? AF_INET6 : AF_INET, addr, at);

    assert(done == 1);
    (void)done;
}

/* ---- headers ---- */

void test_ethernet(struct test_packet *p, uint16_t type, int tags)
{
    memset(p, 0, sizeof(*p));
    memcpy(append(p, 12), "\x02\0\0\0\0\1\x02\0\0\0\0\2", 12);
    for (int i = 0; i < tags; i++) {
        uint8_t *tag = append(p, 4);

        put16(tag, i + 1 < tags ? 0x88a8 : 0x8100);
        put16(tag + 2, 100u + (uint32_t)i);
    }
    put16(append(p, 2), type);
    p->ip = p->len;
}

void test_ip(struct test_packet *p, const char *source, const char *destination, uint8_t next,
             uint32_t option_bytes, uint16_t fragment)
{
    uint8_t *ip;

    p->ip = p->len;
    p->family = family_of(source);
    p->proto = next;
    if (p->family == 4) {
        ip = append(p, 20 + option_bytes);
        memset(ip + 20, 1, option_bytes);
        ip[0] = (uint8_t)(0x40 | (5 + option_bytes / 4));
        put16(ip + 4, 0xbeef);
        put16(ip + 6, fragment);
        ip[8] = 64;
        ip[9] = next;
        put_address(ip + 12, source);
        put_address(ip + 16, destination);
    } else {
        ip = append(p, 40);
        ip[0] = 0x60;
        ip[6] = next;
        ip[7] = 64;
        put_address(ip + 8, source);
        put_address(ip + 24, destination);
    }
    p->l4 = 0;
}

void test_ip6_options(struct test_packet *p, uint8_t next, uint32_t bytes)
{
    uint8_t *h = append(p, bytes);

    h[0] = next;
    h[1] = (uint8_t)(bytes / 8 - 1);
    h[2] = 1; /* PadN over the rest */
    h[3] = (uint8_t)(bytes - 4);
    p->proto = next;
}

void test_ip6_authentication(struct test_packet *p, uint8_t next)
{
    uint8_t *h = append(p, 24);

    h[0] = next;
    h[1] = 4;
    p->proto = next;
}

void test_ip6_fragment(struct test_packet *p, uint8_t next, uint32_t offset, bool more)
{
    uint8_t *h = append(p, 8);

    h[0] = next;
    put16(h + 2, offset | more);
    put16(h + 4, 0xdead);
    put16(h + 6, 0xbeef);
    p->proto = next;
}

void test_ip6_routing(struct test_packet *p, uint8_t next, const char *last, uint8_t segments_left)
{
    uint8_t *h = append(p, 24);

    h[0] = next;
    h[1] = 2;
    h[3] = segments_left;
    put_address(h + 8, last);
    p->proto = next;
    p->routed = segments_left != 0;
    memcpy(p->pseudo_destination, h + 8, 16);
}

void test_fill(struct test_packet *p, uint32_t bytes)
{
    uint8_t *at = append(p, bytes);

    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(i * 37 + 11);
}

void test_tcp(struct test_packet *p, uint16_t source, uint16_t destination, uint8_t flags,
              uint32_t option_bytes, uint32_t payload_bytes)
{
    uint8_t *tcp;

    p->l4 = p->len;
    tcp = append(p, 20 + option_bytes);
    put16(tcp, source);
    put16(tcp + 2, destination);
    tcp[12] = (uint8_t)((5 + option_bytes / 4) << 4);
    tcp[13] = flags;
    memset(tcp + 20, 1, option_bytes);
    test_fill(p, payload_bytes);
}

void test_udp(struct test_packet *p, uint16_t source, uint16_t destination, uint32_t payload_bytes)
{
    uint8_t *udp;

    p->l4 = p->len;
    udp = append(p, 8);
    put16(udp, source);
    put16(udp + 2, destination);
    put16(udp + 4, 8 + payload_bytes);
    test_fill(p, payload_bytes);
}

void test_icmp(struct test_packet *p, uint8_t type, uint8_t code, uint16_t identifier,
               uint32_t payload_bytes)
{
    uint8_t *icmp;

    p->l4 = p->len;
    icmp = append(p, 8);
    icmp[0] = type;
    icmp[1] = code;
    put16(icmp + 4, identifier);
    test_fill(p, payload_bytes);
}

void test_quote(struct test_packet *p, const struct test_packet *quoted, uint32_t bytes)
{
    uint32_t all = quoted->len - quoted->ip;

    if (bytes == 0 || bytes > all)
        bytes = all;
    memcpy(append(p, bytes), quoted->bytes + quoted->ip, bytes);
}

/* ---- lengths and checksums ---- */

uint16_t test_sum(const uint8_t *bytes, uint32_t len, uint32_t sum)
{
    for (uint32_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t pseudo_sum(const struct test_packet *p)
{
    const uint8_t *ip = p->bytes + p->ip;
    uint32_t sum;

    if (p->family == 4)
        sum = test_sum(ip + 12, 8, 0);
    else
        sum = test_sum(p->routed ? p->pseudo_destination : ip + 24, 16, test_sum(ip + 8, 16, 0));
    return test_sum(NULL, 0, sum + p->proto + p->len - p->l4);
}

static void finish_l4(struct test_packet *p)
{
    uint8_t *l4 = p->bytes + p->l4, *field;
    uint32_t sum = p->proto == RILL_ICMP ? 0 : pseudo_sum(p);

    if (p->proto == RILL_TCP)
        field = l4 + 16;
    else if (p->proto == RILL_UDP)
        field = l4 + 6;
    else
        field = l4 + 2;
    sum = (uint16_t)~test_sum(l4, p->len - p->l4, sum);
    put16(field, sum == 0 && p->proto == RILL_UDP ? 0xffff : sum);
}

void test_finish(struct test_packet *p)
{
    uint8_t *ip = p->bytes + p->ip;

    if (p->family == 4) {
        put16(ip + 2, p->len - p->ip);
        put16(ip + 10, (uint16_t)~test_sum(ip, (ip[0] & 15) * 4u, 0));
    } else {
        put16(ip + 4, p->len - p->ip - 40);
    }
    if (p->l4 != 0)
        finish_l4(p);
}

/* ---- kinds ---- */

#define A4 "10.1.2.3"
#define B4 "192.0.2.77"
#define R4 "198.51.100.1"
#define A6 "2001:db8:1::3"
#define B6 "2001:db8:ffff::77"
#define R6 "2001:db8:aaaa::1"

enum { SCTP = 132, ESP = 50 };

static void plain(struct test_packet *p, int family, int tags, uint8_t proto)
{
    test_ethernet(p, family == 4 ? 0x0800 : 0x86dd, tags);
    test_ip(p, family == 4 ? A4 : A6, family == 4 ? B4 : B6, proto, 0, 0);
}

static const char *kind_ip4(int kind, struct test_packet *p)
{
    plain(p, 4, kind == 2 ? 1 : kind == 3 ? 2 : kind == 4 ? 4 : 0, kind % 2 ? RILL_TCP : RILL_UDP);
    if (kind == 5) {
        test_ethernet(p, 0x0800, 0);
        test_ip(p, A4, B4, RILL_TCP, 12, 0);
    }
    if (kind % 2)
        test_tcp(p, 40000, 443, 0x12, kind == 5 ? 20 : 0, 33);
    else
        test_udp(p, 5353, 53, kind == 0 ? 30 : 31);
    test_finish(p);
    if (kind == 4)
        memset(p->bytes + p->l4 + 6, 0, 2); /* no UDP checksum */
    if (kind == 3)
        test_fill(p, 9); /* Ethernet padding */
    return "IPv4 TCP or UDP";
}

static const char *kind_ip4_fragment(int kind, struct test_packet *p)
{
    test_ethernet(p, 0x0800, kind == 9);
    if (kind < 8) {
        test_ip(p, A4, B4, kind == 6 ? RILL_UDP : RILL_TCP, 0, 0x2000);
        if (kind == 6)
            test_udp(p, 1000, 2000, 40);
        else
            test_tcp(p, 1000, 2000, 0x10, 0, 44);
    } else {
        test_ip(p, A4, B4, RILL_UDP, kind == 9 ? 4 : 0, kind == 8 ? 0x2006 : 0x000c);
        test_fill(p, 48);
    }
    test_finish(p);
    return "IPv4 fragment";
}

static const char *kind_ip4_other(int kind, struct test_packet *p)
{
    plain(p, 4, 0, kind == 10 || kind == 11 ? RILL_ICMP : kind == 12 ? SCTP : ESP);
    if (kind == 10 || kind == 11)
        test_icmp(p, kind == 10 ? 8 : 13, 0, 0x4242, 21);
    else
        test_fill(p, 40);
    test_finish(p);
    return "IPv4 ICMP or another protocol";
}

static const char *kind_ip4_error(int kind, struct test_packet *p)
{
    static const uint8_t types[] = {3, 11, 12, 5, 3};
    struct test_packet q;

    plain(&q, 4, 0, kind == 15 ? RILL_TCP : kind == 16 ? RILL_ICMP : RILL_UDP);
    if (kind == 15)
        test_tcp(&q, 40000, 443, 0x02, 0, 100);
    else if (kind == 16)
        test_icmp(&q, 8, 0, 0x1234, 16);
    else
        test_udp(&q, 40001, 53, 20);
    test_finish(&q);
    test_ethernet(p, 0x0800, 0);
    test_ip(p, R4, A4, RILL_ICMP, 0, 0);
    test_icmp(p, types[kind - 14], 1, 0, 0);
    /* 15: the eight bytes of RFC 792; 17: no ports; 18: no UDP checksum. */
    if (kind == 18)
        memset(q.bytes + q.l4 + 6, 0, 2);
    test_quote(p, &q, kind == 15 ? 28 : kind == 17 ? 22 : 0);
    test_finish(p);
    return "ICMP error";
}

static const char *kind_ip6(int kind, struct test_packet *p)
{
    uint8_t proto = kind == 19 ? RILL_UDP : kind == 20 ? RILL_TCP : RILL_ICMP6;

    plain(p, 6, kind == 20, kind == 20 ? 0 : kind == 22 ? 43 : proto);
    if (kind == 20) {
        test_ip6_options(p, 60, 16);
        test_ip6_options(p, 51, 8);
        test_ip6_authentication(p, RILL_TCP);
        test_tcp(p, 50000, 80, 0x18, 12, 17);
    } else if (kind == 19) {
        test_udp(p, 50000, 443, 19);
    } else if (kind == 21) {
        test_icmp(p, 128, 0, 0x5151, 30);
    } else {
        test_ip6_routing(p, RILL_ICMP6, R6, 1);
        test_icmp(p, 129, 0, 0x5252, 30);
    }
    test_finish(p);
    return "IPv6";
}

static const char *kind_ip6_fragment(int kind, struct test_packet *p)
{
    plain(p, 6, 0, kind == 25 ? 60 : 44);
    if (kind == 25)
        test_ip6_options(p, 44, 8);
    test_ip6_fragment(p, kind == 24 ? RILL_TCP : RILL_UDP, kind == 24 ? 96 : 0, kind != 26);
    if (kind == 24)
        test_fill(p, 64);
    else
        test_udp(p, 7000, 7001, 56);
    test_finish(p);
    return "IPv6 fragment";
}

static const char *kind_ip6_error(int kind, struct test_packet *p)
{
    struct test_packet q;
    uint8_t first = kind == 27 ? RILL_UDP : kind == 28 ? 43 : kind == 29 ? RILL_ICMP6 : 60;

    plain(&q, 6, 0, first);
    if (kind == 27) {
        test_udp(&q, 9000, 9001, 25);
    } else if (kind == 28) {
        test_ip6_routing(&q, RILL_TCP, R6, 1);
        test_tcp(&q, 9000, 9001, 0x10, 0, 40);
    } else if (kind == 29) {
        test_icmp(&q, 128, 0, 0x7777, 9);
    } else {
        test_ip6_options(&q, RILL_TCP, 24);
        test_tcp(&q, 9000, 9001, 0x10, 0, 400);
    }
    test_finish(&q);
    test_ethernet(p, 0x86dd, 0);
    test_ip(p, R6, A6, RILL_ICMP6, 0, 0);
    test_icmp(p, (uint8_t)(kind - 26), 0, 0, 0);
    test_quote(p, &q, kind == 30 ? 40 + 24 + 10 : 0);
    test_finish(p);
    return "ICMPv6 error";
}

static const char *kind_of_neither(int kind, struct test_packet *p)
{
    if (kind == 31) {
        test_ethernet(p, 0x0806, 1);
        test_fill(p, 46);
        return "ARP";
    }
    plain(p, 6, 0, kind == 32 ? 59 : SCTP);
    if (kind == 33)
        test_fill(p, 32);
    test_finish(p);
    return "IPv6 other";
}

const char *test_packet_of_kind(int kind, struct test_packet *p)
{
    if (kind < 6)
        return kind_ip4(kind, p);
    if (kind < 10)
        return kind_ip4_fragment(kind, p);
    if (kind < 14)
        return kind_ip4_other(kind, p);
    if (kind < 19)
        return kind_ip4_error(kind, p);
    if (kind < 23)
        return kind_ip6(kind, p);
    if (kind < 27)
        return kind_ip6_fragment(kind, p);
    return kind < 31 ? kind_ip6_error(kind, p) : kind_of_neither(kind, p);
}

/* ---- for the tests ---- */

struct rill_endpoint test_endpoint(const char *addr, uint16_t port, uint8_t proto)
{
    struct rill_endpoint endpoint = {.port = port, .family = family_of(addr), .proto = proto};

    put_address(endpoint.addr, addr);
    return endpoint;
}

struct rte_mbuf *test_mbuf(const uint8_t *bytes, uint32_t len)
{
    struct rte_mbuf *m = aligned_alloc(alignof(struct rte_mbuf), sizeof(*m));
    uint8_t *data = malloc(len);

    assert(m != NULL && (data != NULL || len == 0));
    memset(m, 0, sizeof(*m));
    if (len != 0)
        memcpy(data, bytes, len);
    m->buf_addr = data;
    m->buf_len = m->data_len = (uint16_t)len;
    m->pkt_len = len;
    m->nb_segs = 1;
    return m;
}

void test_mbuf_free(struct rte_mbuf *m)
{
    free(m->buf_addr);
    free(m);
}

enum rill_parse_result test_parse(const struct test_packet *p, uint32_t wire_bytes,
                                  struct rill_view *view)
{
    struct rte_mbuf *m = test_mbuf(p->bytes, p->len);
    enum rill_parse_result result;

    /* Fields that parsing forgets to set shall be noticed. */
    memset(view, 0xa5, sizeof(*view));
    result = rill_parse(m, wire_bytes == 0 ? p->len : wire_bytes, view);
    test_mbuf_free(m);
    return result;
}
