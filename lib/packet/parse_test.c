#include "lib/packet/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/test_packets.h"

#define A4 "10.1.2.3"
#define B4 "192.0.2.77"
#define A6 "2001:db8:1::3"
#define B6 "2001:db8:ffff::77"

enum { IP4 = 0x0800, IP6 = 0x86dd, SCTP = 132 };

static void assert_endpoint(const struct rill_endpoint *got, const char *addr, uint16_t port,
                            uint8_t proto)
{
    struct rill_endpoint want = test_endpoint(addr, port, proto);

    assert_memory_equal(got, &want, sizeof(want));
}

static void assert_result(enum rill_parse_result got, enum rill_parse_result want)
{
    assert_string_equal(rill_parse_result_name(got), rill_parse_result_name(want));
}

static void expect(const struct test_packet *p, enum rill_parse_result want)
{
    struct rill_view view;

    assert_result(test_parse(p, 0, &view), want);
}

static struct rill_view parsed(const struct test_packet *p)
{
    struct rill_view view;

    assert_result(test_parse(p, 0, &view), RILL_PARSE_OK);
    return view;
}

/* A finished packet of one datagram, for tests that then break one field. */
static void udp4(struct test_packet *p, int tags)
{
    test_ethernet(p, IP4, tags);
    test_ip(p, A4, B4, RILL_UDP, 0, 0);
    test_udp(p, 5353, 53, 30);
    test_finish(p);
}

static void tcp4(struct test_packet *p, uint32_t ip_options, uint32_t tcp_options)
{
    test_ethernet(p, IP4, 0);
    test_ip(p, A4, B4, RILL_TCP, ip_options, 0);
    test_tcp(p, 40000, 443, 0x12, tcp_options, 33);
    test_finish(p);
}

static void udp6(struct test_packet *p)
{
    test_ethernet(p, IP6, 0);
    test_ip(p, A6, B6, RILL_UDP, 0, 0);
    test_udp(p, 5353, 53, 30);
    test_finish(p);
}

static void put16(struct test_packet *p, uint32_t off, uint32_t value)
{
    p->bytes[off] = (uint8_t)(value >> 8);
    p->bytes[off + 1] = (uint8_t)value;
}

/* ---- Ethernet ---- */

static void test_short_ethernet(void **state)
{
    struct test_packet p;

    (void)state;
    udp4(&p, 0);
    for (p.len = 0; p.len < 14; p.len++)
        expect(&p, RILL_PARSE_SHORT_ETHERNET);
    expect(&p, RILL_PARSE_SHORT_IP);
}

static void test_vlan_tags(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    for (int tags = 0; tags <= 4; tags++) {
        udp4(&p, tags);
        view = parsed(&p);
        assert_int_equal(view.l2_len, 14 + 4 * tags);
        assert_int_equal(view.l4_off, 14 + 4 * tags + 20);
        assert_endpoint(&view.source, A4, 5353, RILL_UDP);
    }
    udp4(&p, 5);
    expect(&p, RILL_PARSE_VLAN_DEPTH);
    udp4(&p, 2);
    for (p.len = 14; p.len < 22; p.len++)
        expect(&p, RILL_PARSE_VLAN_DEPTH);
}

static void test_not_ip(void **state)
{
    static const uint16_t types[] = {0x0806, 0x8847, 0x88cc, 0x0040, 0xffff};
    struct test_packet p;
    struct rill_view view;

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        test_ethernet(&p, types[i], 1);
        test_fill(&p, 46);
        assert_result(test_parse(&p, 0, &view), RILL_PARSE_NOT_IP);
        assert_int_equal(view.l2_len, 18);
    }
}

static void test_result_names(void **state)
{
    (void)state;
    for (int i = 0; i < RILL_PARSE_RESULTS; i++) {
        const char *name = rill_parse_result_name((enum rill_parse_result)i);

        assert_non_null(name);
        assert_int_equal(strncmp(name, "malformed_", 10) == 0, i >= RILL_PARSE_SHORT_ETHERNET);
    }
    assert_string_equal(rill_parse_result_name(RILL_PARSE_SHORT_IP), "malformed_short_ip");
    assert_string_equal(rill_parse_result_name(RILL_PARSE_RESULTS), "unknown");
}

/* ---- IPv4 ---- */

static void test_udp_view(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    udp4(&p, 0);
    view = parsed(&p);
    assert_int_equal(view.l2_len, 14);
    assert_int_equal(view.l4_off, 34);
    assert_int_equal(view.l4_payload_off, 42);
    assert_int_equal(view.flags, 0);
    assert_int_equal(view.tcp_flags, 0);
    assert_int_equal(view.fragment_id, 0);
    assert_int_equal(view.quoted_off, 0);
    assert_int_equal(view.quoted_l4_off, 0);
    assert_endpoint(&view.source, A4, 5353, RILL_UDP);
    assert_endpoint(&view.destination, B4, 53, RILL_UDP);
}

static void test_tcp_options(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    tcp4(&p, 40, 40);
    view = parsed(&p);
    assert_int_equal(view.l4_off, 14 + 60);
    assert_int_equal(view.l4_payload_off, 14 + 60 + 60);
    assert_int_equal(view.tcp_flags, 0x12);
    assert_endpoint(&view.source, A4, 40000, RILL_TCP);
    assert_endpoint(&view.destination, B4, 443, RILL_TCP);
}

static void test_every_truncation_of_tcp(void **state)
{
    struct test_packet p;
    uint32_t len;

    (void)state;
    tcp4(&p, 8, 12);
    len = p.len;
    for (p.len = 14; p.len < 14 + 28; p.len++)
        expect(&p, RILL_PARSE_SHORT_IP);
    for (; p.len < len; p.len++)
        expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
    expect(&p, RILL_PARSE_OK);
}

static void test_ip4_header_fields(void **state)
{
    struct test_packet p;

    (void)state;
    udp4(&p, 0);
    p.bytes[14] = 0x65;
    expect(&p, RILL_PARSE_IP_VERSION);
    p.bytes[14] = 0x44;
    expect(&p, RILL_PARSE_IP_HEADER_LENGTH);
    p.bytes[14] = 0x4f; /* 60 bytes, of which only 58 are there */
    expect(&p, RILL_PARSE_SHORT_IP);
    p.bytes[14] = 0x46; /* options where the ports were */
    put16(&p, 16, 23);
    expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
}

static void test_ip4_total_length(void **state)
{
    struct test_packet p;
    uint32_t total;

    (void)state;
    udp4(&p, 0);
    total = p.len - 14;
    put16(&p, 16, 0); /* a capture of segmentation offload */
    expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
    put16(&p, 16, 19);
    expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
    put16(&p, 16, total + 1);
    expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
    put16(&p, 16, 65535);
    expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
    put16(&p, 16, total - 1); /* now the datagram is longer than its packet */
    expect(&p, RILL_PARSE_L4_LENGTH);
    put16(&p, 16, 20 + 7);
    expect(&p, RILL_PARSE_SHORT_L4);
    put16(&p, 16, total);
    test_fill(&p, 10); /* padding */
    expect(&p, RILL_PARSE_OK);
}

static void test_ip4_checksum_is_not_judged(void **state)
{
    struct test_packet p;

    (void)state;
    udp4(&p, 0);
    put16(&p, 24, 0x1234);
    expect(&p, RILL_PARSE_OK);
}

static void test_l4_lengths(void **state)
{
    struct test_packet p;

    (void)state;
    udp4(&p, 0);
    put16(&p, 38, 7);
    expect(&p, RILL_PARSE_L4_LENGTH);
    put16(&p, 38, 8 + 31);
    expect(&p, RILL_PARSE_L4_LENGTH);
    put16(&p, 38, 8); /* bytes that trail the datagram are allowed */
    expect(&p, RILL_PARSE_OK);
    tcp4(&p, 0, 0);
    p.bytes[34 + 12] = 0x4f;
    expect(&p, RILL_PARSE_L4_LENGTH);
    p.bytes[34 + 12] = 0xd0; /* 52 of the 53 bytes there */
    expect(&p, RILL_PARSE_OK);
    p.bytes[34 + 12] = 0xe0;
    expect(&p, RILL_PARSE_L4_LENGTH);
}

static void test_same_address(void **state)
{
    struct test_packet p;

    (void)state;
    for (int port = 0; port < 2; port++) {
        for (int six = 0; six < 2; six++) {
            test_ethernet(&p, six ? IP6 : IP4, 0);
            test_ip(&p, six ? A6 : A4, six ? A6 : A4, RILL_UDP, 0, 0);
            test_udp(&p, (uint16_t)(port * 77), (uint16_t)(port * 77), 0);
            test_finish(&p);
            expect(&p, port != 0 ? RILL_PARSE_SAME_ADDRESS : RILL_PARSE_OK);
            put16(&p, p.l4, 78);
            expect(&p, RILL_PARSE_OK);
            udp4(&p, 0);
            put16(&p, p.l4, 53);
            expect(&p, RILL_PARSE_OK);
            udp6(&p);
            put16(&p, p.l4, 53);
            expect(&p, RILL_PARSE_OK);
        }
    }
    test_ethernet(&p, IP4, 0);
    test_ip(&p, A4, A4, RILL_ICMP, 0, 0);
    test_icmp(&p, 8, 0, 77, 0);
    test_finish(&p);
    expect(&p, RILL_PARSE_OK);
}

static void test_other_protocols(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    test_ethernet(&p, IP4, 0);
    test_ip(&p, A4, B4, SCTP, 0, 0);
    test_fill(&p, 12);
    test_finish(&p);
    view = parsed(&p);
    assert_int_equal(view.l4_off, 34);
    assert_int_equal(view.l4_payload_off, 0);
    assert_endpoint(&view.source, A4, 0, SCTP);
    /* ICMPv6 in IPv4 is a protocol like any other, and needs no ICMP header. */
    test_ethernet(&p, IP4, 0);
    test_ip(&p, A4, B4, RILL_ICMP6, 0, 0);
    test_finish(&p);
    view = parsed(&p);
    assert_int_equal(view.flags, 0);
    assert_int_equal(view.l4_payload_off, 0);
}

/* ---- fragments ---- */

static void test_ip4_fragments(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    test_ethernet(&p, IP4, 0);
    test_ip(&p, A4, B4, RILL_UDP, 0, 0x2000);
    test_udp(&p, 5353, 53, 40);
    test_finish(&p);
    put16(&p, p.l4 + 4, 3000); /* the datagram goes on in other fragments */
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_FRAGMENT);
    assert_int_equal(view.fragment_id, 0xbeef);
    assert_int_equal(view.l4_payload_off, 42);
    assert_endpoint(&view.destination, B4, 53, RILL_UDP);
    for (int more = 0; more < 2; more++) {
        put16(&p, 20, more != 0 ? 0x2001 : 0x0001);
        view = parsed(&p);
        assert_int_equal(view.flags, RILL_VIEW_FRAGMENT | RILL_VIEW_LATER_FRAGMENT);
        assert_int_equal(view.fragment_id, 0xbeef);
        assert_int_equal(view.l4_off, 0);
        assert_int_equal(view.l4_payload_off, 0);
        assert_endpoint(&view.source, A4, 0, RILL_UDP);
        assert_endpoint(&view.destination, B4, 0, RILL_UDP);
    }
}

static void test_ip4_fragment_limits(void **state)
{
    struct test_packet p;

    (void)state;
    test_ethernet(&p, IP4, 0);
    test_ip(&p, A4, B4, RILL_UDP, 0, 0);
    test_fill(&p, 8);
    test_finish(&p);
    /* 20 bytes of header + 8188 * 8 + 8 = 65532; one unit more is past 65535. */
    put16(&p, 20, 8188);
    expect(&p, RILL_PARSE_OK);
    put16(&p, 20, 8189);
    expect(&p, RILL_PARSE_FRAGMENT);
    put16(&p, 20, 0x2001);
    put16(&p, 16, 20);
    expect(&p, RILL_PARSE_FRAGMENT);
    put16(&p, 20, 0x2000);
    expect(&p, RILL_PARSE_FRAGMENT);
    put16(&p, 16, 27);
    expect(&p, RILL_PARSE_SHORT_L4);
}

static void test_first_fragment_with_cut_tcp(void **state)
{
    struct test_packet p;

    (void)state;
    test_ethernet(&p, IP4, 0);
    test_ip(&p, A4, B4, RILL_TCP, 0, 0x2000);
    test_tcp(&p, 1, 2, 0x10, 4, 0);
    test_finish(&p);
    expect(&p, RILL_PARSE_OK);
    p.bytes[p.l4 + 12] = 0x70; /* options of 8 bytes, 4 of them in the next fragment */
    expect(&p, RILL_PARSE_SHORT_L4);
    p.bytes[p.l4 + 12] = 0x40;
    expect(&p, RILL_PARSE_L4_LENGTH);
}

static void test_ip6_fragments(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    test_ethernet(&p, IP6, 0);
    test_ip(&p, A6, B6, 60, 0, 0);
    test_ip6_options(&p, 44, 8);
    test_ip6_fragment(&p, RILL_UDP, 0, true);
    test_udp(&p, 5353, 53, 40);
    test_finish(&p);
    put16(&p, p.l4 + 4, 3000);
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_FRAGMENT);
    assert_int_equal(view.fragment_id, 0xdeadbeef);
    assert_int_equal(view.l4_off, 14 + 40 + 8 + 8);
    assert_endpoint(&view.source, A6, 5353, RILL_UDP);
    put16(&p, 14 + 40 + 8 + 2, 0x0008);
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_FRAGMENT | RILL_VIEW_LATER_FRAGMENT);
    assert_int_equal(view.l4_off, 0);
    assert_endpoint(&view.source, A6, 0, RILL_UDP);
    /* 8 bytes of options + 65472 + 48 = 65528; one unit of 8 more is past 65535. */
    put16(&p, 14 + 40 + 8 + 2, 65472);
    expect(&p, RILL_PARSE_OK);
    put16(&p, 14 + 40 + 8 + 2, 65480);
    expect(&p, RILL_PARSE_FRAGMENT);
    put16(&p, 14 + 4, 8 + 8);
    put16(&p, 14 + 40 + 8 + 2, 0x0008);
    expect(&p, RILL_PARSE_FRAGMENT);
}

static void test_ip6_atomic_fragment(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    test_ethernet(&p, IP6, 0);
    test_ip(&p, A6, B6, 44, 0, 0);
    test_ip6_fragment(&p, RILL_UDP, 0, false);
    test_udp(&p, 5353, 53, 40);
    test_finish(&p);
    view = parsed(&p);
    assert_int_equal(view.flags, 0);
    assert_int_equal(view.fragment_id, 0);
    assert_endpoint(&view.destination, B6, 53, RILL_UDP);
    put16(&p, p.l4 + 4, 3000);
    expect(&p, RILL_PARSE_L4_LENGTH);
}

/* ---- IPv6 ---- */

static void test_ip6_view(void **state)
{
    struct test_packet p;
    struct rill_view view;
    uint32_t len;

    (void)state;
    udp6(&p);
    view = parsed(&p);
    assert_int_equal(view.l2_len, 14);
    assert_int_equal(view.l4_off, 54);
    assert_int_equal(view.l4_payload_off, 62);
    assert_endpoint(&view.source, A6, 5353, RILL_UDP);
    assert_endpoint(&view.destination, B6, 53, RILL_UDP);
    len = p.len;
    for (p.len = 14; p.len < 54; p.len++)
        expect(&p, RILL_PARSE_SHORT_IP);
    for (; p.len < len; p.len++)
        expect(&p, RILL_PARSE_IP_TOTAL_LENGTH);
    p.bytes[14] = 0x45;
    expect(&p, RILL_PARSE_IP_VERSION);
    p.bytes[14] = 0x60;
    put16(&p, 18, 0);
    expect(&p, RILL_PARSE_SHORT_L4);
    test_fill(&p, 10);
    put16(&p, 18, 38);
    expect(&p, RILL_PARSE_OK);
}

static void test_ip6_extensions(void **state)
{
    struct test_packet p;
    struct rill_view view;
    uint32_t len;

    (void)state;
    test_ethernet(&p, IP6, 0);
    test_ip(&p, A6, B6, 0, 0, 0);
    test_ip6_options(&p, 43, 8);
    test_ip6_routing(&p, 51, B6, 0);
    test_ip6_authentication(&p, 60);
    test_ip6_options(&p, RILL_TCP, 32);
    test_tcp(&p, 1, 2, 0x02, 0, 5);
    test_finish(&p);
    view = parsed(&p);
    assert_int_equal(view.l4_off, 14 + 40 + 8 + 24 + 24 + 32);
    assert_int_equal(view.flags, 0);
    assert_endpoint(&view.source, A6, 1, RILL_TCP);
    /* However short the payload length says that it is, nothing is read beyond it. */
    len = p.len - 54;
    for (uint32_t payload = 0; payload < len; payload++) {
        put16(&p, 18, payload);
        expect(&p, payload < 88 ? RILL_PARSE_IP6_EXTENSION : RILL_PARSE_SHORT_L4);
        if (payload >= 88 + 19)
            break;
    }
    put16(&p, 18, len);
    p.bytes[14 + 40 + 8 + 24 + 24 + 1] = 255;
    expect(&p, RILL_PARSE_IP6_EXTENSION);
}

static void test_ip6_jumbogram(void **state)
{
    struct test_packet p;

    (void)state;
    test_ethernet(&p, IP6, 0);
    test_ip(&p, A6, B6, 0, 0, 0);
    test_ip6_options(&p, RILL_UDP, 8);
    test_udp(&p, 1, 2, 100);
    test_finish(&p);
    expect(&p, RILL_PARSE_OK);
    memcpy(p.bytes + 56, "\xc2\x04\0\1\0\0", 6);
    put16(&p, 18, 0);
    expect(&p, RILL_PARSE_IP6_EXTENSION);
}

static void test_ip6_extension_count(void **state)
{
    struct test_packet p;

    (void)state;
    for (int extensions = 8; extensions <= 9; extensions++) {
        test_ethernet(&p, IP6, 0);
        test_ip(&p, A6, B6, 60, 0, 0);
        for (int i = 0; i < extensions; i++)
            test_ip6_options(&p, i + 1 < extensions ? 60 : RILL_UDP, 8);
        test_udp(&p, 1, 2, 0);
        test_finish(&p);
        expect(&p, extensions == 8 ? RILL_PARSE_OK : RILL_PARSE_IP6_EXTENSION);
    }
    test_ethernet(&p, IP6, 0);
    test_ip(&p, A6, B6, 44, 0, 0);
    test_ip6_fragment(&p, 44, 0, true);
    test_ip6_fragment(&p, RILL_UDP, 8, true);
    test_udp(&p, 1, 2, 0);
    test_finish(&p);
    expect(&p, RILL_PARSE_IP6_EXTENSION);
}

static void test_ip6_routing_header(void **state)
{
    struct test_packet p;

    (void)state;
    for (uint8_t left = 0; left < 2; left++) {
        test_ethernet(&p, IP6, 0);
        test_ip(&p, A6, B6, 43, 0, 0);
        test_ip6_routing(&p, RILL_UDP, B6, left);
        test_udp(&p, 1, 2, 0);
        test_finish(&p);
        assert_int_equal(parsed(&p).flags, left != 0 ? RILL_VIEW_ROUTED : 0);
    }
}

static void test_ip6_without_l4(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    for (int esp = 0; esp < 2; esp++) {
        test_ethernet(&p, IP6, 0);
        test_ip(&p, A6, B6, esp ? 50 : 59, 0, 0);
        test_finish(&p);
        view = parsed(&p);
        assert_int_equal(view.l4_off, esp ? 54 : 0);
        assert_int_equal(view.l4_payload_off, 0);
        assert_endpoint(&view.source, A6, 0, esp ? 50 : 59);
    }
}

/* ---- ICMP ---- */

static void test_echo(void **state)
{
    static const uint8_t types[2][2] = {{8, 0}, {128, 129}};
    struct test_packet p;
    struct rill_view view;

    (void)state;
    for (int six = 0; six < 2; six++) {
        uint8_t proto = six ? RILL_ICMP6 : RILL_ICMP;

        for (int reply = 0; reply < 2; reply++) {
            test_ethernet(&p, six ? IP6 : IP4, 0);
            test_ip(&p, six ? A6 : A4, six ? B6 : B4, proto, 0, 0);
            test_icmp(&p, types[six][reply], 0, 0x1234, 0);
            test_finish(&p);
            view = parsed(&p);
            assert_int_equal(view.flags, RILL_VIEW_ICMP_ECHO);
            assert_endpoint(&view.source, six ? A6 : A4, 0x1234, proto);
            assert_endpoint(&view.destination, six ? B6 : B4, 0x1234, proto);
            assert_int_equal(view.l4_payload_off, p.l4 + 8);
        }
        p.bytes[p.l4] = six ? 135 : 13;
        view = parsed(&p);
        assert_int_equal(view.flags, 0);
        assert_endpoint(&view.source, six ? A6 : A4, 0, proto);
        put16(&p, six ? 18 : 16, six ? 7 : 27);
        expect(&p, RILL_PARSE_SHORT_L4);
    }
}

static void icmp_error(struct test_packet *p, uint8_t type, const struct test_packet *quoted,
                       uint32_t bytes)
{
    bool six = quoted->family == 6;

    test_ethernet(p, six ? IP6 : IP4, 0);
    test_ip(p, six ? "2001:db8::99" : "198.51.100.1", six ? A6 : A4, six ? RILL_ICMP6 : RILL_ICMP,
            0, 0);
    test_icmp(p, type, 0, 0, 0);
    test_quote(p, quoted, bytes);
    test_finish(p);
}

static void test_error_types(void **state)
{
    struct test_packet q4, q6, p;

    (void)state;
    udp4(&q4, 0);
    udp6(&q6);
    for (int type = 0; type < 256; type++) {
        bool error4 = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
        bool error6 = type >= 1 && type <= 4;

        icmp_error(&p, (uint8_t)type, &q4, 0);
        assert_int_equal(!!(parsed(&p).flags & RILL_VIEW_ICMP_ERROR), error4);
        icmp_error(&p, (uint8_t)type, &q6, 0);
        assert_int_equal(!!(parsed(&p).flags & RILL_VIEW_ICMP_ERROR), error6);
    }
}

static void test_error_view(void **state)
{
    struct test_packet q, p;
    struct rill_view view;

    (void)state;
    tcp4(&q, 8, 0);
    icmp_error(&p, 3, &q, 28 + 8);
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_ICMP_ERROR);
    assert_endpoint(&view.source, "198.51.100.1", 0, RILL_ICMP);
    assert_endpoint(&view.destination, A4, 0, RILL_ICMP);
    assert_int_equal(view.quoted_off, 42);
    assert_int_equal(view.quoted_l4_off, 42 + 28);
    assert_endpoint(&view.quoted_source, A4, 40000, RILL_TCP);
    assert_endpoint(&view.quoted_destination, B4, 443, RILL_TCP);
    udp6(&q);
    icmp_error(&p, 2, &q, 0);
    view = parsed(&p);
    assert_int_equal(view.quoted_off, 62);
    assert_int_equal(view.quoted_l4_off, 102);
    assert_endpoint(&view.quoted_source, A6, 5353, RILL_UDP);
    assert_endpoint(&view.quoted_destination, B6, 53, RILL_UDP);
}

/* However short the quote: what can be read is, and no more. */
static void test_every_length_of_quote(void **state)
{
    struct test_packet q, p;
    struct rill_view view;

    (void)state;
    tcp4(&q, 8, 0);
    for (uint32_t n = 1; n < 40; n++) {
        bool ports = n >= 28 + 4;

        icmp_error(&p, 11, &q, n);
        view = parsed(&p);
        assert_int_equal(view.flags, n < 20 ? 0 : RILL_VIEW_ICMP_ERROR);
        if (n < 20) {
            assert_int_equal(view.quoted_off, 0);
            continue;
        }
        assert_int_equal(view.quoted_l4_off, ports ? 42 + 28 : 0);
        assert_endpoint(&view.quoted_source, A4, ports ? 40000 : 0, ports ? RILL_TCP : 0);
        assert_endpoint(&view.quoted_destination, B4, ports ? 443 : 0, ports ? RILL_TCP : 0);
    }
    /* Padding after the packet is not part of the quote. */
    icmp_error(&p, 11, &q, 28);
    test_fill(&p, 20);
    assert_int_equal(parsed(&p).quoted_l4_off, 0);
}

static void test_quoted_icmp(void **state)
{
    struct test_packet q, p;
    struct rill_view view;

    (void)state;
    for (int echo = 0; echo < 2; echo++) {
        test_ethernet(&q, IP4, 0);
        test_ip(&q, A4, B4, RILL_ICMP, 0, 0);
        test_icmp(&q, echo ? 8 : 13, 0, 0x4321, 10);
        test_finish(&q);
        icmp_error(&p, 3, &q, 28);
        view = parsed(&p);
        assert_int_equal(view.quoted_l4_off, 62);
        assert_endpoint(&view.quoted_source, A4, echo ? 0x4321 : 0, RILL_ICMP);
        assert_endpoint(&view.quoted_destination, B4, echo ? 0x4321 : 0, RILL_ICMP);
        icmp_error(&p, 3, &q, 25);
        assert_int_equal(parsed(&p).quoted_source.proto, 0);
    }
}

static void test_quoted_fragment_and_other_protocol(void **state)
{
    struct test_packet q, p;
    struct rill_view view;

    (void)state;
    udp4(&q, 0);
    put16(&q, 20, 1);
    icmp_error(&p, 3, &q, 0);
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_ICMP_ERROR);
    assert_int_equal(view.quoted_l4_off, 0);
    assert_endpoint(&view.quoted_source, A4, 0, 0);
    udp4(&q, 0);
    q.bytes[23] = SCTP;
    icmp_error(&p, 3, &q, 0);
    view = parsed(&p);
    assert_endpoint(&view.quoted_source, A4, 0, SCTP);
}

static void test_quoted_ip6_extensions(void **state)
{
    struct test_packet q, p;
    struct rill_view view;

    (void)state;
    test_ethernet(&q, IP6, 0);
    test_ip(&q, A6, B6, 43, 0, 0);
    test_ip6_routing(&q, RILL_UDP, "2001:db8::5", 1);
    test_udp(&q, 7, 8, 20);
    test_finish(&q);
    icmp_error(&p, 1, &q, 0);
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_ICMP_ERROR | RILL_VIEW_QUOTED_ROUTED);
    assert_int_equal(view.quoted_l4_off, 62 + 64);
    assert_endpoint(&view.quoted_destination, B6, 8, RILL_UDP);
    icmp_error(&p, 1, &q, 40 + 23);
    view = parsed(&p);
    assert_int_equal(view.flags, RILL_VIEW_ICMP_ERROR);
    assert_int_equal(view.quoted_l4_off, 0);
    assert_endpoint(&view.quoted_destination, B6, 0, 0);
}

static void test_unreadable_quote(void **state)
{
    struct test_packet q, p;
    struct rill_view view;

    (void)state;
    udp4(&q, 0);
    icmp_error(&p, 3, &q, 0);
    p.bytes[42] = 0x65;
    view = parsed(&p);
    assert_int_equal(view.flags, 0);
    assert_int_equal(view.quoted_off, 0);
    p.bytes[42] = 0x44;
    assert_int_equal(parsed(&p).flags, 0);
    p.bytes[42] = 0x45;
    put16(&p, 44, 0x3412); /* a stack that quotes the length in its own byte order */
    assert_int_equal(parsed(&p).flags, RILL_VIEW_ICMP_ERROR);
}

/* ---- captures and segments ---- */

static void test_snapped(void **state)
{
    struct test_packet p;
    struct rill_view view;
    uint32_t len;

    (void)state;
    tcp4(&p, 0, 12);
    len = p.len;
    assert_result(test_parse(&p, len + 1000, &view), RILL_PARSE_OK);
    assert_int_equal(view.flags, RILL_VIEW_SNAPPED);
    for (p.len = 34; p.len < len; p.len++) {
        enum rill_parse_result result = test_parse(&p, len, &view);

        assert_result(result, p.len < 34 + 20 ? RILL_PARSE_SHORT_L4 : RILL_PARSE_OK);
        if (result != RILL_PARSE_OK)
            continue;
        assert_int_equal(view.flags, RILL_VIEW_SNAPPED);
        assert_int_equal(view.l4_payload_off, p.len < 34 + 32 ? p.len : 34 + 32);
    }
    p.len = 60;
    put16(&p, 16, len - 14 + 1);
    assert_result(test_parse(&p, len, &view), RILL_PARSE_IP_TOTAL_LENGTH);
    udp4(&p, 0);
    len = p.len;
    p.len = 42;
    assert_result(test_parse(&p, len, &view), RILL_PARSE_OK);
    put16(&p, 38, 39);
    assert_result(test_parse(&p, len, &view), RILL_PARSE_L4_LENGTH);
}

/* Headers must be in the first segment, the payload need not. */
static void test_segments(void **state)
{
    struct test_packet p;
    struct rill_view view;
    struct rte_mbuf *first;

    (void)state;
    tcp4(&p, 0, 12);
    for (uint32_t n = 34; n < p.len; n++) {
        first = test_mbuf(p.bytes, n);
        first->pkt_len = p.len;
        assert_result(rill_parse(first, p.len, &view),
                      n < 34 + 32 ? RILL_PARSE_SHORT_L4 : RILL_PARSE_OK);
        test_mbuf_free(first);
    }
}

/* A caller that says fewer wire bytes than there are gets the ordinary checks. */
static void test_wire_bytes_below_packet(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    udp4(&p, 0);
    assert_result(test_parse(&p, 1, &view), RILL_PARSE_OK);
    assert_int_equal(view.flags, 0);
}

static void test_all_kinds(void **state)
{
    struct test_packet p;

    (void)state;
    for (int kind = 0; kind < TEST_KINDS; kind++) {
        const char *name = test_packet_of_kind(kind, &p);

        expect(&p, strcmp(name, "ARP") == 0 ? RILL_PARSE_NOT_IP : RILL_PARSE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_ethernet),
        cmocka_unit_test(test_vlan_tags),
        cmocka_unit_test(test_not_ip),
        cmocka_unit_test(test_result_names),
        cmocka_unit_test(test_udp_view),
        cmocka_unit_test(test_tcp_options),
        cmocka_unit_test(test_every_truncation_of_tcp),
        cmocka_unit_test(test_ip4_header_fields),
        cmocka_unit_test(test_ip4_total_length),
        cmocka_unit_test(test_ip4_checksum_is_not_judged),
        cmocka_unit_test(test_l4_lengths),
        cmocka_unit_test(test_same_address),
        cmocka_unit_test(test_other_protocols),
        cmocka_unit_test(test_ip4_fragments),
        cmocka_unit_test(test_ip4_fragment_limits),
        cmocka_unit_test(test_first_fragment_with_cut_tcp),
        cmocka_unit_test(test_ip6_fragments),
        cmocka_unit_test(test_ip6_atomic_fragment),
        cmocka_unit_test(test_ip6_view),
        cmocka_unit_test(test_ip6_extensions),
        cmocka_unit_test(test_ip6_jumbogram),
        cmocka_unit_test(test_ip6_extension_count),
        cmocka_unit_test(test_ip6_routing_header),
        cmocka_unit_test(test_ip6_without_l4),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_error_types),
        cmocka_unit_test(test_error_view),
        cmocka_unit_test(test_every_length_of_quote),
        cmocka_unit_test(test_quoted_icmp),
        cmocka_unit_test(test_quoted_fragment_and_other_protocol),
        cmocka_unit_test(test_quoted_ip6_extensions),
        cmocka_unit_test(test_unreadable_quote),
        cmocka_unit_test(test_snapped),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_wire_bytes_below_packet),
        cmocka_unit_test(test_all_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
