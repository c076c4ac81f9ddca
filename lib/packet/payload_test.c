#include "lib/packet/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/test_packets.h"

enum { IP4 = 0x0800, IP6 = 0x86dd, SCTP = 132, MORE_FRAGMENTS = 0x2000 };

static void ip4(struct test_packet *p, uint8_t proto, uint16_t fragment)
{
    memset(p, 0, sizeof(*p));
    test_ethernet(p, IP4, 1);
    test_ip(p, "10.1.2.3", "192.0.2.77", proto, 8, fragment);
}

static void ip6(struct test_packet *p, uint8_t proto)
{
    memset(p, 0, sizeof(*p));
    test_ethernet(p, IP6, 0);
    test_ip(p, "2001:db8::1", "2001:db8::2", proto, 0, 0);
}

/* An mbuf of `here` of the packet's bytes and its view. */
static struct rte_mbuf *cut(const struct test_packet *p, uint32_t here, struct rill_view *view)
{
    struct rte_mbuf *m = test_mbuf(p->bytes, here);

    assert_int_equal(rill_parse(m, p->len, view), RILL_PARSE_OK);
    return m;
}

/* The packet's payload must be its last `bytes` bytes before `padding` others. */
static void holds(const struct test_packet *p, uint32_t bytes, uint32_t padding)
{
    struct rill_view view;
    struct rte_mbuf *m = cut(p, p->len, &view);
    uint32_t n;
    const uint8_t *piece = rill_payload_piece(m, &view, 0, &n);

    assert_int_equal(rill_payload_bytes(m, &view), bytes);
    assert_int_equal(n, bytes);
    assert_memory_equal(piece, p->bytes + p->len - padding - bytes, bytes);
    if (bytes > 3) {
        assert_ptr_equal(rill_payload_piece(m, &view, 3, &n), piece + 3);
        assert_int_equal(n, bytes - 3);
    }
    assert_null(rill_payload_piece(m, &view, bytes, &n));
    assert_int_equal(n, 0);
    test_mbuf_free(m);
}

static void has_none(const struct test_packet *p)
{
    struct rill_view view;
    struct rte_mbuf *m = cut(p, p->len, &view);
    uint32_t n;

    assert_int_equal(rill_payload_bytes(m, &view), 0);
    assert_null(rill_payload_piece(m, &view, 0, &n));
    test_mbuf_free(m);
}

static void test_whole(void **unused)
{
    struct test_packet p;

    (void)unused;
    ip4(&p, RILL_TCP, 0);
    test_tcp(&p, 1, 2, 0x18, 12, 77);
    test_finish(&p);
    holds(&p, 77, 0);
    ip6(&p, RILL_UDP);
    test_udp(&p, 1, 2, 31);
    test_finish(&p);
    holds(&p, 31, 0);
}

static void test_padding_is_none_of_it(void **unused)
{
    struct test_packet p;

    (void)unused;
    ip4(&p, RILL_TCP, 0);
    test_tcp(&p, 1, 2, 0x10, 0, 0);
    test_finish(&p);
    test_fill(&p, 6);
    has_none(&p);
    ip4(&p, RILL_UDP, 0);
    test_udp(&p, 1, 2, 4);
    test_fill(&p, 5); /* within IP, behind the datagram */
    test_finish(&p);
    p.bytes[p.l4 + 4] = 0;
    p.bytes[p.l4 + 5] = 12;
    holds(&p, 4, 5);
}

static void test_other_protocols(void **unused)
{
    struct test_packet p;

    (void)unused;
    ip4(&p, RILL_ICMP, 0);
    test_icmp(&p, 8, 0, 7, 20);
    test_finish(&p);
    holds(&p, 20, 0);
    ip6(&p, RILL_ICMP6);
    test_icmp(&p, 133, 0, 7, 12);
    test_finish(&p);
    holds(&p, 12, 0);
    ip6(&p, RILL_ICMP); /* means nothing there */
    test_fill(&p, 40);
    test_finish(&p);
    holds(&p, 40, 0);
    ip4(&p, SCTP, 0);
    test_fill(&p, 40);
    test_finish(&p);
    holds(&p, 40, 0);
    ip4(&p, SCTP, 0);
    test_finish(&p);
    has_none(&p);
    ip4(&p, RILL_UDP, 100);
    test_fill(&p, 40);
    test_finish(&p);
    has_none(&p);
}

/* From the header on to the end of the packet, not of the frame. */
static void test_from_the_header_on(void **unused)
{
    struct rill_view view;
    struct test_packet p;
    struct rte_mbuf *m;
    uint32_t n;

    (void)unused;
    ip4(&p, RILL_TCP, 0);
    test_tcp(&p, 1, 2, 0x18, 12, 7);
    test_finish(&p);
    test_fill(&p, 9);
    m = cut(&p, p.len, &view);
    assert_ptr_equal(rill_ip_piece(m, &view, view.l2_len, &n),
                     rte_pktmbuf_mtod_offset(m, const uint8_t *, view.l2_len));
    assert_int_equal(n, p.len - view.l2_len - 9);
    assert_ptr_equal(rill_ip_piece(m, &view, view.l4_off, &n),
                     rte_pktmbuf_mtod_offset(m, const uint8_t *, view.l4_off));
    assert_int_equal(n, 20 + 12 + 7);
    test_mbuf_free(m);
}

static void test_first_fragment(void **unused)
{
    struct test_packet p;

    (void)unused;
    ip4(&p, RILL_UDP, MORE_FRAGMENTS);
    test_udp(&p, 1, 2, 16);
    test_finish(&p);
    p.bytes[p.l4 + 4] = 9; /* the whole datagram's length */
    holds(&p, 16, 0);
}

static void test_cut_by_a_snap_length(void **unused)
{
    struct rill_view view;
    struct test_packet p;
    struct rte_mbuf *m;
    uint32_t n;

    (void)unused;
    ip4(&p, RILL_TCP, 0);
    test_tcp(&p, 1, 2, 0x18, 12, 77);
    test_finish(&p);
    m = cut(&p, p.len - 70, &view);
    assert_int_equal(rill_payload_bytes(m, &view), 77);
    assert_non_null(rill_payload_piece(m, &view, 0, &n));
    assert_int_equal(n, 7);
    assert_null(rill_payload_piece(m, &view, 7, &n));
    test_mbuf_free(m);
    m = cut(&p, p.len - 77 - 4, &view); /* in the midst of the options */
    assert_int_equal(rill_payload_bytes(m, &view), 77);
    assert_null(rill_payload_piece(m, &view, 0, &n));
    test_mbuf_free(m);
}

/* Segments may end anywhere, the last of them in padding. */
static void test_segments(void **unused)
{
    struct test_packet p;
    struct rill_view view;

    (void)unused;
    ip4(&p, RILL_TCP, 0);
    test_tcp(&p, 1, 2, 0x18, 0, 60);
    test_finish(&p);
    test_fill(&p, 10);
    for (uint32_t first = p.len - 70; first < p.len; first += 7) {
        struct rte_mbuf *a = cut(&p, p.len, &view), *b;
        uint8_t seen[60];
        uint32_t n, at = 0;
        const uint8_t *piece;

        b = test_mbuf(p.bytes + first, p.len - first);
        a->data_len = (uint16_t)first;
        a->next = b;
        while ((piece = rill_payload_piece(a, &view, at, &n)) != NULL) {
            assert_true(n > 0 && at + n <= sizeof(seen));
            memcpy(seen + at, piece, n);
            at += n;
        }
        assert_int_equal(at, sizeof(seen));
        assert_memory_equal(seen, p.bytes + p.len - 70, sizeof(seen));
        a->next = NULL;
        test_mbuf_free(a);
        test_mbuf_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),           cmocka_unit_test(test_padding_is_none_of_it),
        cmocka_unit_test(test_other_protocols), cmocka_unit_test(test_from_the_header_on),
        cmocka_unit_test(test_first_fragment),  cmocka_unit_test(test_cut_by_a_snap_length),
        cmocka_unit_test(test_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
