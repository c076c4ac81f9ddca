#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/flow_key.h"
#include "lib/packet/test_packets.h"
#include "nfs/nf_testing.h"

static const char *const no_settings[] = {NULL};

enum { TCP_POOL, UDP_POOL, ICMP_POOL };

static void open_leased(struct nf_bench *b, uint32_t endpoints)
{
    nf_open(b, "nat", no_settings);
    for (unsigned pool = TCP_POOL; pool <= ICMP_POOL; pool++)
        nf_lease(b, pool, 0, endpoints);
}

static void test_descriptor(void **unused)
{
    struct nf_bench b;
    struct rill_pool_spec spec;

    (void)unused;
    nf_open(&b, "nat", no_settings);
    assert_string_equal(b.image.descriptor->name, "nat");
    assert_int_equal(rill_nf_state_bytes(b.nf), 136);
    assert_int_equal(rill_nf_pool_count(b.nf), 3);
    for (unsigned pool = TCP_POOL; pool <= ICMP_POOL; pool++) {
        static const enum rill_proto protos[] = {RILL_TCP, RILL_UDP, RILL_ICMP};

        rill_nf_pool_spec(b.nf, pool, &spec);
        assert_int_equal(spec.proto, protos[pool]);
        assert_int_equal(rill_pool_spec_size(&spec), 65535 - 1024 + 1);
    }
    nf_close(&b);
}

struct exchange {
    enum rill_side side;
    const char *in, *out;
};

static void run_exchange(const struct exchange *rows, size_t n)
{
    struct nf_bench b;
    struct nf_flow f;

    open_leased(&b, 4);
    nf_flow_open(&f, &b);
    for (size_t i = 0; i < n; i++)
        nf_send(&b, &f, rows[i].side, rows[i].in, rows[i].out);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_tcp_exchange(void **unused)
{
    static const struct exchange rows[] = {
        {RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
         "tcp 198.51.100.1 1024 > 203.0.113.5 80"},
        {RILL_OUTSIDE, "tcp 203.0.113.5 80 > 198.51.100.1 1024",
         "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
        /* the same mapping to another host (RFC 4787, REQ-1), and from one (endpoint-independent)
         */
        {RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.9 443",
         "tcp 198.51.100.1 1024 > 203.0.113.9 443"},
        {RILL_OUTSIDE, "tcp 192.0.2.77 5 > 198.51.100.1 1024", "tcp 192.0.2.77 5 > 10.0.0.1 40000"},
        /* the inside endpoint's own address is not for the outside */
        {RILL_OUTSIDE, "tcp 192.0.2.77 5 > 10.0.0.1 40000", NULL},
        {RILL_OUTSIDE, "tcp 192.0.2.77 5 > 198.51.100.1 1025", NULL},
    };

    (void)unused;
    run_exchange(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_udp_exchange(void **unused)
{
    static const struct exchange rows[] = {
        {RILL_INSIDE, "udp 10.0.0.1 53 > 203.0.113.5 53", "udp 198.51.100.1 1024 > 203.0.113.5 53"},
        {RILL_OUTSIDE, "udp 203.0.113.5 53 > 198.51.100.1 1024",
         "udp 203.0.113.5 53 > 10.0.0.1 53"},
    };

    (void)unused;
    run_exchange(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_echo_exchange(void **unused)
{
    /* Identifier 0 is an identifier like any other. */
    static const struct exchange rows[] = {
        {RILL_INSIDE, "icmp 10.0.0.1 0 > 203.0.113.5 0",
         "icmp 198.51.100.1 1024 > 203.0.113.5 1024"},
        {RILL_OUTSIDE, "icmp 203.0.113.5 1024 > 198.51.100.1 1024",
         "icmp 203.0.113.5 0 > 10.0.0.1 0"},
    };

    (void)unused;
    run_exchange(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_alias_is_public_endpoint_from_anyone(void **unused)
{
    struct rill_endpoint public_end = test_endpoint("198.51.100.1", 1024, RILL_TCP);
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 1);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    assert_memory_equal(&nf_alias(&f)->local, &public_end, sizeof(public_end));
    assert_int_equal(nf_alias(&f)->remote.family, 0);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_two_flows_two_endpoints(void **unused)
{
    struct nf_bench b;
    struct nf_flow f, g;

    (void)unused;
    open_leased(&b, 2);
    nf_flow_open(&f, &b);
    nf_flow_open(&g, &b);
    nf_send(&b, &f, RILL_INSIDE, "udp 10.0.0.1 7 > 203.0.113.5 80",
            "udp 198.51.100.1 1024 > 203.0.113.5 80");
    nf_send(&b, &g, RILL_INSIDE, "udp 10.0.0.2 7 > 203.0.113.5 80",
            "udp 198.51.100.1 1025 > 203.0.113.5 80");
    assert_int_equal(nf_count(&b, "mapped"), 2);
    assert_int_equal(rill_nf_pool_free(b.nf, UDP_POOL), 0);
    assert_int_equal(rill_nf_pool_free(b.nf, TCP_POOL), 2);
    nf_flow_close(&f);
    nf_flow_close(&g);
    nf_close(&b);
}

static void test_exhausted_then_leased(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 0);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80", NULL);
    assert_true(f.dirty_low >= f.dirty_high);
    assert_int_equal(nf_count(&b, "pool_exhausted"), 1);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 203.0.113.5 80 > 198.51.100.1 1024", NULL);
    assert_int_equal(nf_count(&b, "no_mapping"), 1);
    nf_lease(&b, TCP_POOL, 7, 1);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 198.51.100.1 1031 > 203.0.113.5 80");
    assert_int_equal(nf_count(&b, "mapped"), 1);
    assert_int_equal(nf_count(&b, "pool_exhausted"), 1);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_goes_on_at_another_instance(void **unused)
{
    struct nf_bench a, b;
    struct nf_flow f;

    (void)unused;
    open_leased(&a, 1);
    open_leased(&b, 0);
    nf_flow_open(&f, &a);
    nf_send(&a, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    nf_flow_move(&f);
    nf_close(&a);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 203.0.113.5 80 > 198.51.100.1 1024",
            "tcp 203.0.113.5 80 > 10.0.0.1 40000");
    assert_int_equal(nf_count(&b, "mapped"), 0);
    nf_flow_close(&f);
    nf_close(&b);
}

static uint64_t count_at(const struct nf_flow *f, uint32_t offset)
{
    uint64_t value;

    memcpy(&value, f->state + offset, sizeof(value));
    return value;
}

/* The first packet: alias, mapping and the counts outwards. Later ones: two counts. */
static void test_changes_are_small(void **unused)
{
    static const char out[] = "tcp 10.0.0.1 40000 > 203.0.113.5 80";
    static const char in[] = "tcp 203.0.113.5 80 > 198.51.100.1 1024";
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 1);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, out, "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    assert_int_equal(f.dirty_low, 0);
    assert_int_equal(f.dirty_high, 120);
    nf_send(&b, &f, RILL_INSIDE, out, "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    assert_int_equal(f.dirty_low, 104);
    assert_int_equal(f.dirty_high, 120);
    nf_send(&b, &f, RILL_OUTSIDE, in, "tcp 203.0.113.5 80 > 10.0.0.1 40000");
    assert_int_equal(f.dirty_low, 120);
    assert_int_equal(f.dirty_high, 136);
    assert_int_equal(count_at(&f, 104), 2);
    assert_int_equal(count_at(&f, 112), 2 * (14 + 20 + 20 + 37));
    assert_int_equal(count_at(&f, 120), 1);
    assert_int_equal(count_at(&f, 128), 14 + 20 + 20 + 37);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 203.0.113.5 80 > 10.0.0.1 40000", NULL);
    assert_true(f.dirty_low >= f.dirty_high);
    assert_int_equal(nf_count(&b, "not_public"), 1);
    nf_flow_close(&f);
    nf_close(&b);
}

/* Has the addresses of its datagram rewritten, and nothing of its payload, which only looks like
 * ports. */
static void test_later_fragment(void **unused)
{
    struct test_packet p = {.len = 0};
    struct rill_pkt pkt = {.side = RILL_INSIDE};
    uint8_t payload[64];
    struct rill_view after;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 1);
    nf_flow_open(&f, &b);
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "203.0.113.5", RILL_UDP, 0, 100);
    test_fill(&p, sizeof(payload));
    test_finish(&p);
    pkt.m = test_mbuf(p.bytes, p.len);
    memcpy(payload, p.bytes + p.len - sizeof(payload), sizeof(payload));
    assert_int_equal(rill_parse(pkt.m, p.len, &pkt.view), RILL_PARSE_OK);
    assert_true((pkt.view.flags & RILL_VIEW_LATER_FRAGMENT) != 0);
    pkt.view.source.port = 5000;
    pkt.view.destination.port = 53;
    assert_int_equal(nf_run(&b, &f, &pkt), RILL_FORWARD);
    assert_int_equal(rill_parse(pkt.m, p.len, &after), RILL_PARSE_OK);
    assert_memory_equal(after.source.addr, ((uint8_t[4]){198, 51, 100, 1}), 4);
    assert_true(nf_checksums_right(pkt.m, &after));
    assert_memory_equal(rte_pktmbuf_mtod(pkt.m, uint8_t *) + p.len - sizeof(payload), payload,
                        sizeof(payload));
    test_mbuf_free(pkt.m);
    nf_flow_close(&f);
    nf_close(&b);
}

/* --- ICMP errors --- */

/* `quoted` as text, of which the error shows `shown` bytes (0: all). */
static void build_error(struct test_packet *p, const char *source, const char *destination,
                        const char *quoted, uint32_t shown)
{
    struct rte_mbuf *q = nf_packet(quoted);
    struct test_packet inner = {.len = rte_pktmbuf_pkt_len(q), .ip = 14};

    memcpy(inner.bytes, rte_pktmbuf_mtod(q, void *), inner.len);
    *p = (struct test_packet){.len = 0};
    test_ethernet(p, 0x0800, 0);
    test_ip(p, source, destination, RILL_ICMP, 0, 0);
    test_icmp(p, 3, 4, 0, 0);
    test_quote(p, &inner, shown);
    test_finish(p);
    test_mbuf_free(q);
}

/* An error comes in on `side`: what comes out is the error that the other one says, to the byte.
 * NULL: it is dropped, unchanged. The flow's state never changes. */
static void send_error_for(struct nf_bench *b, struct nf_flow *f, enum rill_side side,
                           const char *const in[3], const char *const expected[3], uint32_t shown,
                           enum rill_verdict verdict)
{
    const char *const *want = expected != NULL ? expected : in;
    struct test_packet given, wanted;
    struct rill_pkt pkt = {.side = side};

    build_error(&given, in[0], in[1], in[2], shown);
    build_error(&wanted, want[0], want[1], want[2], shown);
    pkt.m = test_mbuf(given.bytes, given.len);
    assert_int_equal(rill_parse(pkt.m, given.len, &pkt.view), RILL_PARSE_OK);
    assert_int_equal(nf_run(b, f, &pkt), verdict);
    assert_true(f->dirty_low >= f->dirty_high);
    assert_int_equal(given.len, wanted.len);
    assert_memory_equal(rte_pktmbuf_mtod(pkt.m, void *), wanted.bytes, wanted.len);
    test_mbuf_free(pkt.m);
}

static void send_error(struct nf_bench *b, struct nf_flow *f, enum rill_side side,
                       const char *const in[3], const char *const expected[3], uint32_t shown)
{
    send_error_for(b, f, side, in, expected, shown, expected != NULL ? RILL_FORWARD : RILL_DROP);
}

/* Of each protocol, in both directions, with long quotes and the shortest. */
static void test_errors_are_translated(void **unused)
{
    static const struct {
        const char *out, *public_out;
        const char *inwards[2][3], *outwards[2][3];
    } rows[] = {
        {"tcp 10.0.0.1 40000 > 203.0.113.5 80",
         "tcp 198.51.100.1 1024 > 203.0.113.5 80",
         {{"192.0.2.9", "198.51.100.1", "tcp 198.51.100.1 1024 > 203.0.113.5 80"},
          {"192.0.2.9", "10.0.0.1", "tcp 10.0.0.1 40000 > 203.0.113.5 80"}},
         {{"10.0.0.1", "203.0.113.5", "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
          {"198.51.100.1", "203.0.113.5", "tcp 203.0.113.5 80 > 198.51.100.1 1024"}}},
        /* sent by a router before the host: not to be seen either */
        {"udp 10.0.0.1 53 > 203.0.113.5 53",
         "udp 198.51.100.1 1024 > 203.0.113.5 53",
         {{"203.0.113.5", "198.51.100.1", "udp 198.51.100.1 1024 > 203.0.113.5 53"},
          {"203.0.113.5", "10.0.0.1", "udp 10.0.0.1 53 > 203.0.113.5 53"}},
         {{"10.0.0.254", "203.0.113.5", "udp 203.0.113.5 53 > 10.0.0.1 53"},
          {"198.51.100.1", "203.0.113.5", "udp 203.0.113.5 53 > 198.51.100.1 1024"}}},
        {"icmp 10.0.0.1 77 > 203.0.113.5 77",
         "icmp 198.51.100.1 1024 > 203.0.113.5 1024",
         {{"192.0.2.9", "198.51.100.1", "icmp 198.51.100.1 1024 > 203.0.113.5 1024"},
          {"192.0.2.9", "10.0.0.1", "icmp 10.0.0.1 77 > 203.0.113.5 77"}},
         {{"10.0.0.1", "203.0.113.5", "icmp 203.0.113.5 77 > 10.0.0.1 77"},
          {"198.51.100.1", "203.0.113.5", "icmp 203.0.113.5 1024 > 198.51.100.1 1024"}}},
    };
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const uint32_t shown[] = {0, 28, 40};

        open_leased(&b, 1);
        nf_flow_open(&f, &b);
        nf_send(&b, &f, RILL_INSIDE, rows[i].out, rows[i].public_out);
        for (int k = 0; k < 3; k++) {
            send_error(&b, &f, RILL_OUTSIDE, rows[i].inwards[0], rows[i].inwards[1], shown[k]);
            send_error(&b, &f, RILL_INSIDE, rows[i].outwards[0], rows[i].outwards[1], shown[k]);
        }
        assert_int_equal(nf_count(&b, "errors"), 6);
        nf_flow_close(&f);
        nf_close(&b);
    }
}

/* They name inside endpoints that nobody outside can know, or come where there is no mapping. */
static void test_errors_that_are_dropped(void **unused)
{
    static const char *const to_inside[] = {"192.0.2.9", "10.0.0.1",
                                            "tcp 198.51.100.1 1024 > 203.0.113.5 80"};
    static const char *const of_inside[] = {"192.0.2.9", "198.51.100.1",
                                            "tcp 10.0.0.1 40000 > 203.0.113.5 80"};
    static const char *const early[] = {"10.0.0.1", "203.0.113.5",
                                        "tcp 203.0.113.5 80 > 10.0.0.1 40000"};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 1);
    nf_flow_open(&f, &b);
    send_error(&b, &f, RILL_INSIDE, early, NULL, 0);
    assert_int_equal(nf_count(&b, "no_mapping"), 1);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    send_error(&b, &f, RILL_OUTSIDE, to_inside, NULL, 0);
    send_error(&b, &f, RILL_OUTSIDE, of_inside, NULL, 0);
    assert_int_equal(nf_count(&b, "not_public"), 2);
    assert_int_equal(nf_count(&b, "errors"), 0);
    nf_flow_close(&f);
    nf_close(&b);
}

/* One inside host to another's public endpoint: it is turned round, and comes in with the sender's
 * public endpoint; so it reaches the other with both ends translated (RFC 4787, REQ-9). And the
 * answer. */
static void test_hairpin(void **unused)
{
    struct nf_bench b;
    struct nf_flow one, other;

    (void)unused;
    open_leased(&b, 2);
    nf_flow_open(&one, &b);
    nf_flow_open(&other, &b);
    nf_send(&b, &other, RILL_INSIDE, "udp 10.0.0.2 7 > 203.0.113.5 53",
            "udp 198.51.100.1 1024 > 203.0.113.5 53");
    assert_int_equal(nf_count(&b, "hairpins"), 0);
    nf_turn(&b, &one, "udp 10.0.0.1 9 > 198.51.100.1 1024",
            "udp 198.51.100.1 1025 > 198.51.100.1 1024");
    nf_send(&b, &other, RILL_OUTSIDE, "udp 198.51.100.1 1025 > 198.51.100.1 1024",
            "udp 198.51.100.1 1025 > 10.0.0.2 7");
    nf_turn(&b, &other, "udp 10.0.0.2 7 > 198.51.100.1 1025",
            "udp 198.51.100.1 1024 > 198.51.100.1 1025");
    nf_send(&b, &one, RILL_OUTSIDE, "udp 198.51.100.1 1024 > 198.51.100.1 1025",
            "udp 198.51.100.1 1024 > 10.0.0.1 9");
    assert_int_equal(nf_count(&b, "hairpins"), 2);
    nf_flow_close(&one);
    nf_flow_close(&other);
    nf_close(&b);
}

/* The other host refuses it: its error goes the same way back (RFC 5508, REQ-7). What comes in so
 * is not turned again, whatever it is addressed to. */
static void test_error_about_a_hairpin(void **unused)
{
    static const char *const in[] = {"10.0.0.2", "198.51.100.1",
                                     "udp 198.51.100.1 1025 > 10.0.0.2 7"};
    static const char *const turned[] = {"198.51.100.1", "198.51.100.1",
                                         "udp 198.51.100.1 1025 > 198.51.100.1 1024"};
    static const char *const back[] = {"198.51.100.1", "10.0.0.1",
                                       "udp 10.0.0.1 9 > 198.51.100.1 1024"};
    struct nf_bench b;
    struct nf_flow one, other;

    (void)unused;
    open_leased(&b, 2);
    nf_flow_open(&one, &b);
    nf_flow_open(&other, &b);
    nf_send(&b, &other, RILL_INSIDE, "udp 10.0.0.2 7 > 203.0.113.5 53",
            "udp 198.51.100.1 1024 > 203.0.113.5 53");
    nf_turn(&b, &one, "udp 10.0.0.1 9 > 198.51.100.1 1024",
            "udp 198.51.100.1 1025 > 198.51.100.1 1024");
    send_error_for(&b, &other, RILL_INSIDE, in, turned, 0, RILL_TURN);
    send_error(&b, &one, RILL_OUTSIDE, turned, back, 0);
    assert_int_equal(nf_count(&b, "errors"), 2);
    assert_int_equal(nf_count(&b, "hairpins"), 2);
    nf_flow_close(&one);
    nf_flow_close(&other);
    nf_close(&b);
}

static void test_udp_without_checksum(void **unused)
{
    struct test_packet p = {.len = 0};
    struct rill_pkt pkt = {.side = RILL_INSIDE};
    struct rill_view after;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 1);
    nf_flow_open(&f, &b);
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "203.0.113.5", RILL_UDP, 0, 0);
    test_udp(&p, 5000, 53, 20);
    test_finish(&p);
    memset(p.bytes + p.l4 + 6, 0, 2);
    pkt.m = test_mbuf(p.bytes, p.len);
    assert_int_equal(rill_parse(pkt.m, p.len, &pkt.view), RILL_PARSE_OK);
    assert_int_equal(nf_run(&b, &f, &pkt), RILL_FORWARD);
    assert_int_equal(rill_parse(pkt.m, p.len, &after), RILL_PARSE_OK);
    assert_int_equal(after.source.port, 1024);
    assert_memory_equal(rte_pktmbuf_mtod(pkt.m, uint8_t *) + p.l4 + 6, "\0\0", 2);
    test_mbuf_free(pkt.m);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_configuration(void **unused)
{
    const char *const settings[] = {"public_addresses=192.0.2.1,192.0.2.2", "ports=7-8", NULL};
    struct rill_pool_spec spec;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open(&b, "nat", settings);
    rill_nf_pool_spec(b.nf, TCP_POOL, &spec);
    assert_int_equal(rill_pool_spec_size(&spec), 4);
    nf_lease(&b, TCP_POOL, 3, 1);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 192.0.2.2 8 > 203.0.113.5 80");
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_example_file(void **unused)
{
    struct rill_pool_spec spec;
    struct nf_bench b;

    (void)unused;
    nf_open_file(&b, "nfs/nat/example.yaml");
    rill_nf_pool_spec(b.nf, TCP_POOL, &spec);
    assert_int_equal(spec.addresses, 2);
    assert_int_equal(spec.port_low, 32768);
    nf_close(&b);
}

static void test_configuration_errors(void **unused)
{
    static const struct {
        const char *setting;
        const char *parts[3];
    } rows[] = {
        {"public_addresses=192.0.2.1,192.0.2.1", {"public_addresses", "192.0.2.1", "twice"}},
        {"public_addresses=2001:db8::1", {"public_addresses", "2001:db8::1", "IPv4"}},
        {"public_addresses=192.0.2.1,nonsense", {"public_addresses", "nonsense", "IPv4"}},
        {"public_addresses=192.0.2.300", {"public_addresses", "192.0.2.300", "IPv4"}},
        {"public_addresses=0.0.0.0", {"public_addresses", "0.0.0.0", "unicast"}},
        {"public_addresses=224.0.0.1", {"public_addresses", "224.0.0.1", "unicast"}},
        {"public_addresses=", {"public_addresses", "empty", "at least one"}},
        {"ports=0-10", {"ports", "1", "65535"}},
        {"ports=10-5", {"ports", "10", "5"}},
        {"port=1-2", {"port", "ports", ""}},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const settings[] = {rows[i].setting, NULL};
        const char *error = nf_open_error("nat", settings);

        for (int k = 0; k < 3; k++)
            if (strstr(error, rows[i].parts[k]) == NULL)
                fail_msg("%s: no '%s' in: %s", rows[i].setting, rows[i].parts[k], error);
        assert_non_null(strstr(error, "--set"));
    }
}

/* What the controller finds by a reply's destination is what the NAT declared. */
static void test_reply_finds_alias(void **unused)
{
    struct rill_flow_key declared, any, remote;
    struct rill_view view;
    struct rte_mbuf *reply = nf_packet("tcp 203.0.113.5 80 > 198.51.100.1 1024");
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_leased(&b, 1);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 198.51.100.1 1024 > 203.0.113.5 80");
    rill_alias_key(&nf_alias(&f)->local, NULL, 9, &declared);
    assert_int_equal(rill_parse(reply, rte_pktmbuf_pkt_len(reply), &view), RILL_PARSE_OK);
    rill_alias_keys_of(&view, 9, &any, &remote);
    assert_memory_equal(&any, &declared, sizeof(any));
    test_mbuf_free(reply);
    nf_flow_close(&f);
    nf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_tcp_exchange),
        cmocka_unit_test(test_udp_exchange),
        cmocka_unit_test(test_echo_exchange),
        cmocka_unit_test(test_alias_is_public_endpoint_from_anyone),
        cmocka_unit_test(test_reply_finds_alias),
        cmocka_unit_test(test_two_flows_two_endpoints),
        cmocka_unit_test(test_exhausted_then_leased),
        cmocka_unit_test(test_goes_on_at_another_instance),
        cmocka_unit_test(test_changes_are_small),
        cmocka_unit_test(test_later_fragment),
        cmocka_unit_test(test_errors_are_translated),
        cmocka_unit_test(test_errors_that_are_dropped),
        cmocka_unit_test(test_hairpin),
        cmocka_unit_test(test_error_about_a_hairpin),
        cmocka_unit_test(test_udp_without_checksum),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_example_file),
        cmocka_unit_test(test_configuration_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
