#include "lib/packet/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/test_packets.h"

#define R4 "198.51.100.1"
#define R6 "2001:db8::99"

enum { IP4 = 0x0800, IP6 = 0x86dd, SCTP = 132 };

/* Two endpoints and their replacements; what is rewritten must equal what is built anew. */
struct ends {
    const char *source, *destination;
    uint16_t source_port, destination_port;
};

static const struct ends before[2] = {{"10.1.2.3", "192.0.2.77", 40000, 443},
                                      {"2001:db8:1::3", "2001:db8:ffff::77", 40000, 443}};
static const struct ends after[2] = {{"203.0.113.254", "10.255.0.1", 1025, 65535},
                                     {"fd00:1:2:3:4:5:6:7", "2001:db8:1234:5678::", 1025, 65535}};

typedef void (*builder)(struct test_packet *p, const struct ends *ends);
typedef int (*rewriter)(struct rte_mbuf *m, struct rill_view *view, const struct rill_endpoint *to);

static bool six(const struct ends *ends)
{
    return strchr(ends->source, ':') != NULL;
}

static void start(struct test_packet *p, const struct ends *ends, uint8_t proto)
{
    test_ethernet(p, six(ends) ? IP6 : IP4, 1);
    test_ip(p, ends->source, ends->destination, proto, 0, 0);
}

static void udp(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, RILL_UDP);
    test_udp(p, ends->source_port, ends->destination_port, 31);
    test_finish(p);
}

static void tcp(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, RILL_TCP);
    test_tcp(p, ends->source_port, ends->destination_port, 0x18, 12, 77);
    test_finish(p);
}

static void options(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, six(ends) ? 60 : RILL_TCP);
    if (six(ends)) {
        test_ip6_options(p, RILL_TCP, 16);
    } else {
        test_ethernet(p, IP4, 0);
        test_ip(p, ends->source, ends->destination, RILL_TCP, 24, 0);
    }
    test_tcp(p, ends->source_port, ends->destination_port, 0x18, 12, 77);
    test_finish(p);
}

static void routed(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, six(ends) ? 43 : RILL_TCP);
    if (six(ends))
        test_ip6_routing(p, RILL_TCP, "2001:db8:7::7", 2);
    test_tcp(p, ends->source_port, ends->destination_port, 0x18, 0, 9);
    test_finish(p);
}

static void sctp(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, SCTP);
    test_fill(p, 40);
    test_finish(p);
}

static void other_icmp(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, six(ends) ? RILL_ICMP6 : RILL_ICMP);
    test_icmp(p, six(ends) ? 135 : 13, 0, 0x4242, 17);
    test_finish(p);
}

static void first_fragment(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, six(ends) ? 44 : RILL_UDP);
    if (six(ends)) {
        test_ip6_fragment(p, RILL_UDP, 0, true);
    } else {
        test_ethernet(p, IP4, 0);
        test_ip(p, ends->source, ends->destination, RILL_UDP, 0, 0x2000);
    }
    test_udp(p, ends->source_port, ends->destination_port, 32);
    test_finish(p);
}

static void later_fragment(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, six(ends) ? 44 : RILL_UDP);
    if (six(ends)) {
        test_ip6_fragment(p, RILL_UDP, 80, true);
    } else {
        test_ethernet(p, IP4, 0);
        test_ip(p, ends->source, ends->destination, RILL_UDP, 0, 0x2010);
    }
    test_fill(p, 32);
    test_finish(p);
}

static void echo(struct test_packet *p, const struct ends *ends)
{
    start(p, ends, six(ends) ? RILL_ICMP6 : RILL_ICMP);
    test_icmp(p, six(ends) ? 128 : 8, 0, ends->source_port, 17);
    test_finish(p);
}

/* ---- checks ---- */

static struct rill_endpoint source_of(const struct ends *ends, bool port, uint8_t proto)
{
    return test_endpoint(ends->source, port ? ends->source_port : 0, proto);
}

static struct rill_endpoint destination_of(const struct ends *ends, bool port, uint8_t proto)
{
    return test_endpoint(ends->destination, port ? ends->destination_port : 0, proto);
}

static struct rte_mbuf *open_packet(const struct test_packet *p, struct rill_view *view)
{
    struct rte_mbuf *m = test_mbuf(p->bytes, p->len);

    assert_int_equal(rill_parse(m, p->len, view), RILL_PARSE_OK);
    return m;
}

static void assert_bytes(const struct rte_mbuf *m, const struct test_packet *want)
{
    assert_int_equal(m->data_len, want->len);
    assert_memory_equal(rte_pktmbuf_mtod(m, void *), want->bytes, want->len);
}

/* Rewrites source, then destination, each time against a packet built anew. */
static void check(builder build, bool port, int family)
{
    struct ends now = before[family];
    struct test_packet p, want;
    struct rill_endpoint to;
    struct rill_view view;
    struct rte_mbuf *m;

    build(&p, &now);
    m = open_packet(&p, &view);
    to = source_of(&after[family], port, view.source.proto);
    assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
    now.source = after[family].source;
    now.source_port = after[family].source_port;
    build(&want, &now);
    assert_bytes(m, &want);
    assert_memory_equal(&view.source, &to, sizeof(to));
    to = destination_of(&after[family], port, view.destination.proto);
    assert_int_equal(rill_rewrite_destination(m, &view, &to), 0);
    build(&want, &after[family]);
    assert_bytes(m, &want);
    assert_memory_equal(&view.destination, &to, sizeof(to));
    test_mbuf_free(m);
}

static void test_equals_packet_built_anew(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        check(udp, true, family);
        check(tcp, true, family);
        check(options, true, family);
        check(routed, true, family);
        check(sctp, false, family);
        check(other_icmp, false, family);
        check(first_fragment, true, family);
        check(later_fragment, false, family);
    }
}

static void test_echo_identifier(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        struct test_packet p, want;
        struct ends now = before[family];
        struct rill_endpoint to;
        struct rill_view view;
        struct rte_mbuf *m;

        echo(&p, &now);
        m = open_packet(&p, &view);
        to = source_of(&after[family], true, view.source.proto);
        assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
        now.source = after[family].source;
        now.source_port = after[family].source_port;
        echo(&want, &now);
        assert_bytes(m, &want);
        assert_int_equal(view.source.port, now.source_port);
        assert_int_equal(view.destination.port, now.source_port);
        to = view.destination;
        to.port = 9;
        assert_int_equal(rill_rewrite_destination(m, &view, &to), 0);
        now.source_port = 9;
        echo(&want, &now);
        assert_bytes(m, &want);
        assert_int_equal(view.source.port, 9);
        test_mbuf_free(m);
    }
}

static void test_later_fragment_takes_any_port(void **state)
{
    struct ends now = before[0];
    struct test_packet p, want;
    struct rill_endpoint to;
    struct rill_view view;
    struct rte_mbuf *m;

    (void)state;
    later_fragment(&p, &now);
    m = open_packet(&p, &view);
    view.source.port = now.source_port; /* as the first fragment's was */
    to = source_of(&after[0], true, RILL_UDP);
    assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
    assert_int_equal(view.source.port, after[0].source_port);
    now.source = after[0].source;
    later_fragment(&want, &now);
    assert_bytes(m, &want);
    test_mbuf_free(m);
}

/* ---- checksums that are none, zero, or wrong ---- */

static void test_no_udp_checksum_stays_none(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        struct test_packet p, want;
        struct rill_endpoint to;
        struct rill_view view;
        struct rte_mbuf *m;

        udp(&p, &before[family]);
        memset(p.bytes + p.l4 + 6, 0, 2);
        m = open_packet(&p, &view);
        to = source_of(&after[family], true, RILL_UDP);
        assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
        to = destination_of(&after[family], true, RILL_UDP);
        assert_int_equal(rill_rewrite_destination(m, &view, &to), 0);
        udp(&want, &after[family]);
        memset(want.bytes + want.l4 + 6, 0, 2);
        assert_bytes(m, &want);
        test_mbuf_free(m);
    }
}

/* The port with which the packet's checksum comes out as zero. */
static uint16_t port_of_zero(builder build, uint32_t field, uint16_t zero, struct test_packet *want)
{
    struct ends now = before[0];

    for (uint32_t port = 1; port < 65536; port++) {
        now.source_port = (uint16_t)port;
        build(want, &now);
        if (want->bytes[want->l4 + field] == zero >> 8 &&
            want->bytes[want->l4 + field + 1] == (zero & 0xff))
            return now.source_port;
    }
    fail_msg("no port gives a checksum of zero");
    return 0;
}

static void test_computed_zero(void **state)
{
    (void)state;
    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        builder build = is_tcp ? tcp : udp;
        struct test_packet p, want;
        struct rill_endpoint to, back;
        struct rill_view view;
        struct rte_mbuf *m;

        build(&p, &before[0]);
        m = open_packet(&p, &view);
        back = to = view.source;
        to.port = port_of_zero(build, is_tcp ? 16 : 6, is_tcp ? 0 : 0xffff, &want);
        assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
        assert_bytes(m, &want);
        assert_int_equal(rill_rewrite_source(m, &view, &back), 0);
        assert_bytes(m, &p);
        test_mbuf_free(m);
    }
}

static void test_wrong_stays_wrong(void **state)
{
    struct test_packet p;
    struct rill_endpoint to;
    struct rill_view view;
    struct rte_mbuf *m;
    uint8_t *bytes;

    (void)state;
    tcp(&p, &before[0]);
    p.bytes[p.ip + 10] ^= 0x40;
    p.bytes[p.l4 + 17] ^= 0x08;
    m = open_packet(&p, &view);
    bytes = rte_pktmbuf_mtod(m, uint8_t *);
    to = source_of(&after[0], true, RILL_TCP);
    assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
    to = destination_of(&after[0], true, RILL_TCP);
    assert_int_equal(rill_rewrite_destination(m, &view, &to), 0);
    assert_int_equal(test_sum(p.bytes + p.ip, 20, 0), test_sum(bytes + p.ip, 20, 0));
    assert_int_not_equal(test_sum(bytes + p.ip, 20, 0), 0xffff);
    assert_int_equal(test_sum(p.bytes + p.ip + 12, p.len - p.ip - 12, 0),
                     test_sum(bytes + p.ip + 12, p.len - p.ip - 12, 0));
    test_mbuf_free(m);
}

/* Setting what is already there changes nothing, not even the form of a zero checksum. */
static void test_rewrite_to_itself(void **state)
{
    static const uint16_t zeros[] = {0x0000, 0xffff};
    struct test_packet p;
    struct rill_endpoint to;
    struct rill_view view;
    struct rte_mbuf *m;

    (void)state;
    for (int i = 0; i < 2; i++) {
        tcp(&p, &before[0]);
        memset(p.bytes + p.ip + 10, zeros[i] & 0xff, 2);
        memset(p.bytes + p.l4 + 16, zeros[i] & 0xff, 2);
        m = open_packet(&p, &view);
        to = view.source;
        assert_int_equal(rill_rewrite_source(m, &view, &to), 0);
        to = view.destination;
        assert_int_equal(rill_rewrite_destination(m, &view, &to), 0);
        assert_bytes(m, &p);
        test_mbuf_free(m);
    }
}

/* ---- quotes ---- */

static void error_of(struct test_packet *p, const struct test_packet *quoted, uint32_t bytes)
{
    bool ip6 = quoted->family == 6;

    test_ethernet(p, ip6 ? IP6 : IP4, 0);
    test_ip(p, ip6 ? R6 : R4, ip6 ? before[1].source : before[0].source,
            ip6 ? RILL_ICMP6 : RILL_ICMP, 0, 0);
    test_icmp(p, 3, 0, 0, 0);
    test_quote(p, quoted, bytes);
    test_finish(p);
}

/* `bytes` of the quoted IP packet are quoted (all if 0), and then `padding` follows the packet. */
static void check_quote(builder build, bool port, uint32_t bytes, uint32_t padding, int family)
{
    struct ends now = before[family], then = after[family];
    struct test_packet quoted, p, want;
    struct rill_endpoint to;
    struct rill_view view;
    struct rte_mbuf *m;

    if (!port) { /* ports that are not all there stay */
        then.source_port = now.source_port;
        then.destination_port = now.destination_port;
    }
    build(&quoted, &now);
    error_of(&p, &quoted, bytes);
    test_fill(&p, padding);
    m = open_packet(&p, &view);
    to = source_of(&then, port, view.quoted_source.proto);
    assert_int_equal(rill_rewrite_quoted_source(m, &view, &to), 0);
    assert_memory_equal(&view.quoted_source, &to, sizeof(to));
    if (build != echo) {
        to = destination_of(&then, port, view.quoted_destination.proto);
    } else {
        assert_int_equal(view.quoted_destination.port, to.port);
        to = destination_of(&then, true, view.quoted_destination.proto);
        to.port = then.source_port;
    }
    assert_int_equal(rill_rewrite_quoted_destination(m, &view, &to), 0);
    assert_memory_equal(&view.quoted_destination, &to, sizeof(to));
    build(&quoted, &then);
    error_of(&want, &quoted, bytes);
    test_fill(&want, padding);
    assert_bytes(m, &want);
    test_mbuf_free(m);
}

static void test_quotes_equal_those_built_anew(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        uint32_t ip = family == 0 ? 20 : 40;

        check_quote(udp, true, 0, 0, family);
        check_quote(tcp, true, 0, 0, family);
        check_quote(options, true, 0, 0, family);
        check_quote(routed, true, 0, 0, family);
        check_quote(sctp, false, 0, 0, family);
        check_quote(other_icmp, false, 0, 0, family);
        check_quote(first_fragment, true, 0, 0, family);
        check_quote(later_fragment, false, 0, 0, family);
        check_quote(echo, true, 0, 0, family);
        check_quote(echo, true, ip + 8, 0, family);
        check_quote(tcp, true, ip + 18, 0, family);
    }
}

/* Where the quote ends before the L4 checksum, what follows the packet is not mistaken for it.
 * (Half a checksum is left alone too, but then differs from that of a packet built anew.) */
static void test_short_quotes(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        uint32_t ip = family == 0 ? 20 : 40;

        for (uint32_t bytes = 4; bytes < 17; bytes++) {
            check_quote(tcp, true, ip + bytes, 0, family);
            check_quote(tcp, true, ip + bytes, 40, family);
        }
        for (uint32_t bytes = 4; bytes < 7; bytes++)
            check_quote(udp, true, ip + bytes, 40, family);
        for (uint32_t bytes = 0; bytes < 4; bytes++)
            check_quote(udp, false, ip + bytes, 40, family);
    }
}

static void test_quoted_udp_without_checksum(void **state)
{
    struct test_packet quoted, p, want;
    struct rill_endpoint to;
    struct rill_view view;
    struct rte_mbuf *m;
    struct ends now = before[0];

    (void)state;
    udp(&quoted, &now);
    memset(quoted.bytes + quoted.l4 + 6, 0, 2);
    error_of(&p, &quoted, 0);
    m = open_packet(&p, &view);
    to = source_of(&after[0], true, RILL_UDP);
    assert_int_equal(rill_rewrite_quoted_source(m, &view, &to), 0);
    now.source = after[0].source;
    now.source_port = after[0].source_port;
    udp(&quoted, &now);
    memset(quoted.bytes + quoted.l4 + 6, 0, 2);
    error_of(&want, &quoted, 0);
    assert_bytes(m, &want);
    test_mbuf_free(m);
}

static void test_outer_addresses_of_error(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        struct test_packet quoted, p, want;
        struct rill_endpoint to;
        struct rill_view view;
        struct rte_mbuf *m;

        udp(&quoted, &before[family]);
        error_of(&p, &quoted, 0);
        m = open_packet(&p, &view);
        to = destination_of(&after[family], false, view.destination.proto);
        assert_int_equal(rill_rewrite_destination(m, &view, &to), 0);
        test_ethernet(&want, family ? IP6 : IP4, 0);
        test_ip(&want, family ? R6 : R4, after[family].destination, to.proto, 0, 0);
        test_icmp(&want, 3, 0, 0, 0);
        test_quote(&want, &quoted, 0);
        test_finish(&want);
        assert_bytes(m, &want);
        test_mbuf_free(m);
    }
}

/* ---- refusals ---- */

static void refuse(rewriter rewrite, const struct test_packet *p, const struct rill_endpoint *to)
{
    struct rill_view view, old;
    struct rte_mbuf *m;

    memset(&view, 0, sizeof(view));
    m = open_packet(p, &view);
    old = view;
    assert_int_equal(rewrite(m, &view, to), -1);
    assert_bytes(m, p);
    assert_memory_equal(&view, &old, sizeof(view));
    test_mbuf_free(m);
}

static void test_refusals(void **state)
{
    static const rewriter all[] = {rill_rewrite_source, rill_rewrite_destination,
                                   rill_rewrite_quoted_source, rill_rewrite_quoted_destination};
    struct rill_endpoint to = source_of(&after[0], true, RILL_UDP);
    struct rill_endpoint none = {0};
    struct test_packet p, quoted;

    (void)state;
    for (int i = 0; i < 4; i++) {
        udp(&p, &before[1]); /* another family */
        refuse(all[i], &p, &to);
        tcp(&p, &before[0]); /* another protocol */
        refuse(all[i], &p, &to);
        refuse(all[i], &p, &none);
        later_fragment(&p, &before[0]);
        refuse(all[i], &p, &none);
    }
    for (int i = 0; i < 2; i++) {
        udp(&p, &before[0]); /* quotes nothing */
        refuse(all[2 + i], &p, &to);
        udp(&p, &before[0]);
        error_of(&quoted, &p, 22); /* quotes no ports */
        refuse(all[2 + i], &quoted, &to);
        to.proto = 0;
        refuse(all[2 + i], &quoted, &to);
        to.proto = SCTP; /* has no ports that are known */
        sctp(&p, &before[0]);
        refuse(all[i], &p, &to);
        to.proto = RILL_ICMP;
        other_icmp(&p, &before[0]);
        refuse(all[i], &p, &to);
        error_of(&quoted, &p, 0);
        refuse(all[i], &quoted, &to);
        refuse(all[2 + i], &quoted, &to);
        to.proto = RILL_UDP;
    }
}

/* As if it had been built so: all bytes, IPv4's checksum with them. */
static void dscp_of(int family, bool snapped)
{
    for (unsigned dscp = 0; dscp < 64; dscp += 9) {
        struct test_packet p = {.len = 0};
        struct rill_view view;
        struct rte_mbuf *m;
        uint8_t *ip;

        udp(&p, &before[family == 6]);
        m = test_mbuf(p.bytes, p.len - (snapped ? 20 : 0));
        ip = rte_pktmbuf_mtod_offset(m, uint8_t *, p.ip);
        ip[1] |= family == 4 ? 3 : 0x30; /* both bits of ECN: the checksum is wrong by them now */
        assert_int_equal(rill_parse(m, p.len, &view), RILL_PARSE_OK);
        rill_rewrite_dscp(m, &view, (uint8_t)(dscp | 0xc0));
        assert_int_equal(rill_dscp(m, &view), dscp);
        if (family == 4) {
            assert_int_equal(ip[1], dscp << 2 | 3);
            assert_int_equal(test_sum(ip, 20, 0), 3);
        } else {
            assert_int_equal(ip[0], 0x60 | dscp >> 2);
            assert_int_equal(ip[1] & 0xf0, (dscp & 3) << 6 | 0x30);
        }
        test_mbuf_free(m);
    }
}

static void test_dscp(void **unused)
{
    (void)unused;
    dscp_of(4, false);
    dscp_of(4, true);
    dscp_of(6, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_packet_built_anew),
        cmocka_unit_test(test_echo_identifier),
        cmocka_unit_test(test_later_fragment_takes_any_port),
        cmocka_unit_test(test_no_udp_checksum_stays_none),
        cmocka_unit_test(test_computed_zero),
        cmocka_unit_test(test_wrong_stays_wrong),
        cmocka_unit_test(test_rewrite_to_itself),
        cmocka_unit_test(test_quotes_equal_those_built_anew),
        cmocka_unit_test(test_short_quotes),
        cmocka_unit_test(test_quoted_udp_without_checksum),
        cmocka_unit_test(test_outer_addresses_of_error),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_dscp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
