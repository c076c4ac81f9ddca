#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/frame/frame.h"
#include "lib/packet/flow_key.h"
#include "lib/packet/test_packets.h"
#include "nfs/nf_testing.h"

static const char *const no_settings[] = {NULL};

struct exchange {
    enum rill_side side;
    const char *in, *out;
};

static void run_exchange(const char *const *settings, const struct exchange *rows, size_t n)
{
    struct nf_bench b;
    struct nf_flow f;

    nf_open(&b, "lb", settings);
    nf_flow_open(&f, &b);
    for (size_t i = 0; i < n; i++)
        nf_send(&b, &f, rows[i].side, rows[i].in, rows[i].out);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_one_backend_keeps_port(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", NULL};
    static const struct exchange rows[] = {
        {RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80", "tcp 10.0.0.1 40000 > 192.0.2.10 80"},
        {RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000", "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
        {RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80", "tcp 10.0.0.1 40000 > 192.0.2.10 80"},
        /* an answer that did not come by way of the backend has nothing to take back */
        {RILL_OUTSIDE, "tcp 203.0.113.5 80 > 10.0.0.1 40000",
         "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
    };

    (void)unused;
    run_exchange(settings, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_backend_with_port(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10:8080,[2001:db8::10]:8443", NULL};
    static const struct exchange four[] = {
        {RILL_INSIDE, "udp 10.0.0.1 4000 > 203.0.113.5 53", "udp 10.0.0.1 4000 > 192.0.2.10 8080"},
        {RILL_OUTSIDE, "udp 192.0.2.10 8080 > 10.0.0.1 4000", "udp 203.0.113.5 53 > 10.0.0.1 4000"},
    };
    static const struct exchange six[] = {
        {RILL_INSIDE, "tcp 2001:db8:1::1 4000 > 2001:db8:2::2 443",
         "tcp 2001:db8:1::1 4000 > 2001:db8::10 8443"},
        {RILL_OUTSIDE, "tcp 2001:db8::10 8443 > 2001:db8:1::1 4000",
         "tcp 2001:db8:2::2 443 > 2001:db8:1::1 4000"},
    };

    (void)unused;
    run_exchange(settings, four, 2);
    run_exchange(settings, six, 2);
}

/* Clients may be on the outside, or on the same side as the service: the first packet decides. */
static void test_sides(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", "vips=203.0.113.5", NULL};
    static const struct exchange outside[] = {
        {RILL_OUTSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80", "tcp 10.0.0.1 40000 > 192.0.2.10 80"},
        {RILL_INSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000", "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
    };
    static const struct exchange same[] = {
        {RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80", "tcp 10.0.0.1 40000 > 192.0.2.10 80"},
        {RILL_INSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000", "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
    };

    (void)unused;
    run_exchange(settings, outside, 2);
    run_exchange(settings, same, 2);
}

/* Without a list of services, an outside packet that comes first passes; it may be an answer to a
 * request that was lost. The inside opens the connection whenever it sends. */
static void test_outside_first(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", NULL};
    static const struct exchange exchange[] = {
        {RILL_OUTSIDE, "tcp 203.0.113.5 80 > 10.0.0.1 40000",
         "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
        {RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80", "tcp 10.0.0.1 40000 > 192.0.2.10 80"},
        {RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000", "tcp 203.0.113.5 80 > 10.0.0.1 40000"},
    };

    (void)unused;
    run_exchange(settings, exchange, 3);
}

static void test_stray_reply(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", NULL};
    static const struct exchange exchange[] = {
        {RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000", NULL},
    };

    (void)unused;
    run_exchange(settings, exchange, 1);
}

static void test_virtual_services(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10,2001:db8::10",
                                    "vips=203.0.113.5,203.0.113.6:443,[2001:db8::5]:53", NULL};
    static const struct exchange rows[][2] = {
        {{RILL_INSIDE, "tcp 10.0.0.1 4 > 203.0.113.5 80", "tcp 10.0.0.1 4 > 192.0.2.10 80"},
         {RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 4", "tcp 203.0.113.5 80 > 10.0.0.1 4"}},
        {{RILL_INSIDE, "tcp 10.0.0.1 4 > 203.0.113.6 443", "tcp 10.0.0.1 4 > 192.0.2.10 443"},
         {RILL_OUTSIDE, "tcp 192.0.2.10 443 > 10.0.0.1 4", "tcp 203.0.113.6 443 > 10.0.0.1 4"}},
        {{RILL_INSIDE, "tcp 10.0.0.1 4 > 203.0.113.6 80", "tcp 10.0.0.1 4 > 203.0.113.6 80"},
         {RILL_OUTSIDE, "tcp 203.0.113.6 80 > 10.0.0.1 4", "tcp 203.0.113.6 80 > 10.0.0.1 4"}},
        /* a virtual service's own connection, and its answers, stay as they are */
        {{RILL_OUTSIDE, "tcp 203.0.113.5 9 > 10.0.0.1 25", "tcp 203.0.113.5 9 > 10.0.0.1 25"},
         {RILL_INSIDE, "tcp 10.0.0.1 25 > 203.0.113.5 9", "tcp 10.0.0.1 25 > 203.0.113.5 9"}},
        {{RILL_INSIDE, "udp 2001:db8:1::1 4 > 2001:db8::5 53",
          "udp 2001:db8:1::1 4 > 2001:db8::10 53"},
         {RILL_OUTSIDE, "udp 2001:db8::10 53 > 2001:db8:1::1 4",
          "udp 2001:db8::5 53 > 2001:db8:1::1 4"}},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_exchange(settings, rows[i], 2);
}

static void test_no_backend_of_family(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", "vips=2001:db8::5", NULL};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open(&b, "lb", settings);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, "tcp 2001:db8:1::1 4 > 2001:db8::5 53", NULL);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 2001:db8::5 53 > 2001:db8:1::1 4", NULL);
    nf_send(&b, &f, RILL_INSIDE, "tcp 2001:db8:1::1 4 > 2001:db8::5 53", NULL);
    assert_int_equal(nf_count(&b, "no_backend"), 3);
    assert_int_equal(nf_alias(&f)->local.family, 0);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_never_to_the_client_itself(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", NULL};
    static const struct exchange row = {RILL_INSIDE, "tcp 192.0.2.10 80 > 203.0.113.5 80", NULL};

    (void)unused;
    run_exchange(settings, &row, 1);
}

/* The state after one request from client port `port`. */
static void request(struct nf_bench *b, struct nf_flow *f, const char *service, unsigned port)
{
    char text[128];
    struct rill_pkt pkt = {.side = RILL_INSIDE};

    snprintf(text, sizeof(text), "tcp 10.0.0.1 %u > %s 80", port, service);
    pkt.m = nf_packet(text);
    assert_int_equal(rill_parse(pkt.m, rte_pktmbuf_pkt_len(pkt.m), &pkt.view), RILL_PARSE_OK);
    nf_flow_open(f, b);
    assert_int_equal(nf_run(b, f, &pkt), RILL_FORWARD);
    test_mbuf_free(pkt.m);
}

static void test_spread(void **unused)
{
    enum { CONNECTIONS = 4000 };
    unsigned taken[4] = {0};
    struct nf_bench b;

    (void)unused;
    nf_open(&b, "lb", no_settings);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct nf_flow f;

        request(&b, &f, "203.0.113.5", 1024 + i);
        taken[nf_alias(&f)->remote.addr[3] - 10]++;
        nf_flow_close(&f);
    }
    /* 1000 each; the standard deviation is 27. */
    for (int i = 0; i < 4; i++)
        assert_in_range(taken[i], 860, 1140);
    assert_int_equal(nf_count(&b, "balanced"), CONNECTIONS);
    nf_close(&b);
}

/* The choice is part of what users see, so it may not change from one version to the next: values
 * worked out by a separate program from README.md's text. */
static void test_choice_is_stable(void **unused)
{
    static const struct {
        unsigned port;
        uint8_t last;
    } rows[] = {{1, 12},     {2, 11},     {3, 11},     {1024, 12},
                {40000, 13}, {40001, 12}, {65535, 13}, {443, 11}};
    struct nf_bench b;

    (void)unused;
    nf_open(&b, "lb", no_settings);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nf_flow f;

        request(&b, &f, "203.0.113.5", rows[i].port);
        assert_int_equal(nf_alias(&f)->remote.addr[3], rows[i].last);
        nf_flow_close(&f);
    }
    nf_close(&b);
}

static void test_reply_finds_alias(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10:8080", NULL};
    struct rte_mbuf *reply = nf_packet("tcp 192.0.2.10 8080 > 10.0.0.1 40000");
    struct rill_flow_key declared, any, remote;
    struct rill_view view;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open(&b, "lb", settings);
    request(&b, &f, "203.0.113.5", 40000);
    rill_alias_key(&nf_alias(&f)->local, &nf_alias(&f)->remote, 9, &declared);
    assert_int_equal(rill_parse(reply, rte_pktmbuf_pkt_len(reply), &view), RILL_PARSE_OK);
    rill_alias_keys_of(&view, 9, &any, &remote);
    assert_memory_equal(&remote, &declared, sizeof(remote));
    test_mbuf_free(reply);
    nf_flow_close(&f);
    nf_close(&b);
}

/* The limit that README.md states: their replies could not be told apart, and the equal aliases are
 * how the platform notices. */
static void test_conflict_shows_in_alias(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", NULL};
    struct nf_bench b;
    struct nf_flow f, g;

    (void)unused;
    nf_open(&b, "lb", settings);
    request(&b, &f, "203.0.113.5", 40000);
    request(&b, &g, "203.0.113.6", 40000);
    assert_memory_equal(nf_alias(&f), nf_alias(&g), sizeof(struct rill_alias));
    nf_flow_close(&f);
    nf_flow_close(&g);
    nf_close(&b);
}

/* State moves to an instance whose list of backends is another: the connection stays where it is.
 */
static void test_goes_on_at_another_instance(void **unused)
{
    const char *const one[] = {"backends=192.0.2.10", NULL};
    const char *const other[] = {"backends=192.0.2.99", NULL};
    struct nf_bench a, b;
    struct nf_flow f;

    (void)unused;
    nf_open(&a, "lb", one);
    nf_open(&b, "lb", other);
    nf_flow_open(&f, &a);
    nf_send(&a, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 10.0.0.1 40000 > 192.0.2.10 80");
    nf_flow_move(&f);
    nf_close(&a);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000",
            "tcp 203.0.113.5 80 > 10.0.0.1 40000");
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 10.0.0.1 40000 > 192.0.2.10 80");
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_changes_are_small(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;
    uint64_t what;

    (void)unused;
    nf_open(&b, "lb", (const char *const[]){"backends=192.0.2.10", NULL});
    nf_flow_open(&f, &b);
    assert_int_equal(f.bytes, 136);
    assert_true(f.bytes <= RILL_INLINE_STATE); /* or the first of a term needs a frame of its own */
    nf_send(&b, &f, RILL_INSIDE, "tcp 10.0.0.1 40000 > 203.0.113.5 80",
            "tcp 10.0.0.1 40000 > 192.0.2.10 80");
    assert_int_equal(f.dirty_low, 0);
    assert_int_equal(f.dirty_high, 136);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000",
            "tcp 203.0.113.5 80 > 10.0.0.1 40000");
    assert_int_equal(f.dirty_low, 128);
    assert_int_equal(f.dirty_high, 136);
    memcpy(&what, f.state + 128, sizeof(what));
    assert_int_equal(what >> 8, 2); /* packets */
    nf_flow_close(&f);
    nf_close(&b);
}

/* --- backends as an object --- */

static const char *const by_object[] = {"backends_object=b", "vips=203.0.113.5", NULL};

/* To which of 192.0.2.10 + i a new connection from that port goes; -1: it was dropped. */
static int backend_of(struct nf_bench *b, unsigned port)
{
    char text[128];
    struct rill_pkt pkt = {.side = RILL_INSIDE};
    struct nf_flow f;
    int backend = -1;

    snprintf(text, sizeof(text), "tcp 10.0.0.1 %u > 203.0.113.5 80", port);
    pkt.m = nf_packet(text);
    assert_int_equal(rill_parse(pkt.m, rte_pktmbuf_pkt_len(pkt.m), &pkt.view), RILL_PARSE_OK);
    nf_flow_open(&f, b);
    if (nf_run(b, &f, &pkt) == RILL_FORWARD)
        backend = nf_alias(&f)->remote.addr[3] - 10;
    test_mbuf_free(pkt.m);
    nf_flow_close(&f);
    return backend;
}

/* Of connections from ports 1 to n, how many each of the first four backends gets. */
static void spread(struct nf_bench *b, unsigned n, unsigned taken[4])
{
    memset(taken, 0, 4 * sizeof(taken[0]));
    for (unsigned port = 1; port <= n; port++) {
        int backend = backend_of(b, port);

        assert_in_range(backend, 0, 3);
        taken[backend]++;
    }
}

/* The same list in an option and in an object gives the same, whatever the hash. */
static void test_an_object_is_as_a_list(void **unused)
{
    static const char *const hashes[] = {"hash=modulo", "hash=maglev"};
    static const char list[] = "backends=192.0.2.10,192.0.2.12:80,192.0.2.11,2001:db8::1";
    static const char text[] = "192.0.2.10\n# a comment\n\n 192.0.2.12:80 weight=1\t# one\r\n"
                               "192.0.2.11\n2001:db8::1";

    (void)unused;
    for (int i = 0; i < 2; i++) {
        const char *const listed[] = {list, "vips=203.0.113.5", hashes[i], NULL};
        const char *const object[] = {"backends_object=b", "vips=203.0.113.5", hashes[i], NULL};
        struct nf_bench a, b;

        nf_open(&a, "lb", listed);
        nf_open(&b, "lb", object);
        nf_object(&b, "backends_object", text, NULL);
        for (unsigned port = 1; port < 500; port++)
            assert_int_equal(backend_of(&a, port), backend_of(&b, port));
        nf_close(&a);
        nf_close(&b);
    }
}

static void test_weights(void **unused)
{
    static const char *const hashes[] = {"hash=modulo", "hash=maglev"};

    (void)unused;
    for (int i = 0; i < 2; i++) {
        const char *const settings[] = {"backends_object=b", "vips=203.0.113.5", hashes[i], NULL};
        unsigned taken[4];
        struct nf_bench b;

        nf_open(&b, "lb", settings);
        nf_object(&b, "backends_object",
                  "192.0.2.10 weight=1\n192.0.2.11 weight=2\n192.0.2.12 weight=5\n", NULL);
        spread(&b, 4000, taken);
        assert_in_range(taken[0], 420, 580); /* 500, give or take 4 standard deviations */
        assert_in_range(taken[1], 880, 1120);
        assert_in_range(taken[2], 2370, 2630);
        nf_close(&b);
    }
}

/* A connection that is there, and new ones, before and after the backends change. */
static void test_draining(void **unused)
{
    static const char out[] = "tcp 10.0.0.1 40000 > 203.0.113.5 80";
    static const char there[] = "tcp 10.0.0.1 40000 > 192.0.2.10 80";
    unsigned taken[4];
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open(&b, "lb", by_object);
    nf_flow_open(&f, &b);
    nf_object(&b, "backends_object", "192.0.2.10\n", NULL);
    nf_send(&b, &f, RILL_INSIDE, out, there);
    nf_object(&b, "backends_object", "192.0.2.10 drain\n192.0.2.11\n", NULL);
    nf_send(&b, &f, RILL_INSIDE, out, there);
    spread(&b, 100, taken);
    assert_int_equal(taken[1], 100);
    nf_object(&b, "backends_object", "192.0.2.11\n", NULL); /* not listed any more: drains, too */
    nf_send(&b, &f, RILL_INSIDE, out, there);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000",
            "tcp 203.0.113.5 80 > 10.0.0.1 40000");
    nf_flow_close(&f);
    nf_close(&b);
}

static bool ends_with(struct nf_bench *b, struct nf_flow *f, const char *text)
{
    struct rill_pkt pkt = {.side = RILL_INSIDE, .m = nf_packet(text)};
    bool ends;

    assert_int_equal(rill_parse(pkt.m, rte_pktmbuf_pkt_len(pkt.m), &pkt.view), RILL_PARSE_OK);
    nf_run(b, f, &pkt);
    ends = pkt.ends;
    test_mbuf_free(pkt.m);
    return ends;
}

/* Its connections end, in either direction; each one's next packet begins another. */
static void test_down(void **unused)
{
    static const char out[] = "tcp 10.0.0.1 40000 > 203.0.113.5 80";
    static const char there[] = "tcp 10.0.0.1 40000 > 192.0.2.10 80";
    struct nf_bench b;
    struct nf_flow f, next;

    (void)unused;
    nf_open(&b, "lb", by_object);
    nf_flow_open(&f, &b);
    nf_flow_open(&next, &b);
    nf_object(&b, "backends_object", "192.0.2.10:80\n", NULL);
    nf_send(&b, &f, RILL_INSIDE, out, there);
    assert_false(ends_with(&b, &f, out));
    nf_object(&b, "backends_object", "192.0.2.9 down\n192.0.2.10:80 down\n192.0.2.11\n", NULL);
    nf_send(&b, &f, RILL_INSIDE, out, NULL);
    nf_send(&b, &f, RILL_OUTSIDE, "tcp 192.0.2.10 80 > 10.0.0.1 40000", NULL);
    assert_true(ends_with(&b, &f, out));
    assert_int_equal(nf_count(&b, "backend_down"), 3);
    nf_send(&b, &next, RILL_INSIDE, out, "tcp 10.0.0.1 40000 > 192.0.2.11 80");
    nf_object(&b, "backends_object", "192.0.2.10:80\n", NULL); /* it is back */
    nf_send(&b, &f, RILL_INSIDE, out, there);
    nf_flow_close(&f);
    nf_flow_close(&next);
    nf_close(&b);
}

static void test_nothing_is_up(void **unused)
{
    struct nf_bench b;

    (void)unused;
    nf_open(&b, "lb", by_object);
    nf_object(&b, "backends_object", "192.0.2.10 down\n192.0.2.11 drain\n2001:db8::1\n", NULL);
    assert_int_equal(backend_of(&b, 1), -1);
    assert_int_equal(nf_count(&b, "no_backend"), 1);
    nf_close(&b);
}

/* A backend less: its connections go elsewhere, nearly all others stay. Modulo moves most. */
static void test_maglev_disturbs_few(void **unused)
{
    enum { CONNECTIONS = 3000 };
    static const char *const hashes[] = {"hash=modulo", "hash=maglev"};
    int moved[2] = {0};

    (void)unused;
    for (int i = 0; i < 2; i++) {
        const char *const settings[] = {"backends_object=b", "vips=203.0.113.5", hashes[i], NULL};
        struct nf_bench all, less;

        nf_open(&all, "lb", settings);
        nf_open(&less, "lb", settings);
        nf_object(&all, "backends_object", "192.0.2.10\n192.0.2.11\n192.0.2.12\n192.0.2.13\n",
                  NULL);
        nf_object(&less, "backends_object", "192.0.2.13\n192.0.2.12\n192.0.2.10\n", NULL);
        for (unsigned port = 1; port <= CONNECTIONS; port++) {
            int before = backend_of(&all, port), after = backend_of(&less, port);

            assert_int_not_equal(after, 1);
            moved[i] += before != 1 && before != after;
        }
        nf_close(&all);
        nf_close(&less);
    }
    assert_in_range(moved[1], 0, CONNECTIONS / 10);
    assert_true(moved[0] > CONNECTIONS / 3);
}

static void test_object_errors(void **unused)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "b: has no server"},
        {"# nothing\n", "b: has no server"},
        {"192.0.2.10\nnonsense\n", "b:2: 'nonsense' is not a unicast"},
        {"192.0.2.10:0\n", "b:1: '192.0.2.10:0'"},
        {"192.0.2.10 weight=0\n", "b:1: 'weight=0'"},
        {"192.0.2.10 weight=101\n", "b:1: 'weight=101'"},
        {"192.0.2.10 weight=1x\n", "b:1: 'weight=1x'"},
        {"192.0.2.10 weight=\n", "b:1: 'weight='"},
        {"192.0.2.10 up\n", "b:1: 'up'"},
        {"192.0.2.10 drain down\n", "b:1: 'down'"},
        {"192.0.2.10\n192.0.2.11\n192.0.2.10\n", "twice"},
        {"2001:db8::1\n[2001:db8::1]\n", "twice"},
        {"1.1.1.1\n1.1.1.2\n1.1.1.3\n1.1.1.4\n1.1.1.5\n1.1.1.6\n", "maglev_entries, 5"},
    };
    const char *const settings[] = {"backends_object=b", "hash=maglev", "maglev_entries=5", NULL};
    struct nf_bench b;

    (void)unused;
    nf_open(&b, "lb", settings);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strstr(nf_object_error(&b, "backends_object", rows[i].text), rows[i].error) == NULL)
            fail_msg("%s: no '%s' in: %s", rows[i].text, rows[i].error,
                     nf_object_error(&b, "backends_object", rows[i].text));
    nf_close(&b);
}

static void test_example_file(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open_file(&b, "nfs/lb/example.yaml");
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_INSIDE, "tcp 2001:db8:1::1 4000 > 2001:db8:80::1 443",
            "tcp 2001:db8:1::1 4000 > 2001:db8::10 8443");
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_configuration_errors(void **unused)
{
    static const struct {
        const char *setting;
        const char *part;
    } rows[] = {
        {"backends=", "empty"},
        {"backends=nonsense", "nonsense"},
        {"backends=192.0.2.10:0", "192.0.2.10:0"},
        {"backends=192.0.2.10:65536", "192.0.2.10:65536"},
        {"backends=192.0.2.10:", "192.0.2.10:"},
        {"backends=192.0.2.10:+5", "192.0.2.10:+5"},
        {"backends=[2001:db8::1", "[2001:db8::1"},
        {"backends=[2001:db8::1]x", "[2001:db8::1]x"},
        {"backends=[2001:db8::1]:", "[2001:db8::1]:"},
        {"backends=[192.0.2.1]:80", "[192.0.2.1]:80"},
        {"backends=2001:db8::1::", "2001:db8::1::"},
        {"backends=224.0.0.1", "224.0.0.1"},
        {"backends=0.0.0.0", "0.0.0.0"},
        {"backends=::", "'::'"},
        {"backends=ff02::1", "ff02::1"},
        {"backends=192.0.2.10,192.0.2.10", "twice"},
        {"backends=192.0.2.10:80,192.0.2.10:080", "twice"},
        {"backends=[2001:db8::1],2001:db8:0::1", "twice"},
        {"vips=nonsense", "nonsense"},
        {"vips=192.0.2.10,192.0.2.10", "twice"},
        {"maglev_entries=65536", "65537"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const settings[] = {rows[i].setting, NULL};
        const char *error = nf_open_error("lb", settings);

        if (strstr(error, rows[i].part) == NULL || strstr(error, "--set") == NULL)
            fail_msg("%s: no '%s' in: %s", rows[i].setting, rows[i].part, error);
        assert_memory_equal(error, rows[i].setting, 4);
    }
}

static void test_one_of_list_and_object(void **unused)
{
    const char *const settings[] = {"backends=192.0.2.10", "backends_object=b", NULL};

    (void)unused;
    assert_non_null(strstr(nf_open_error("lb", settings), "one of the two"));
}

static void test_too_many_backends(void **unused)
{
    char setting[8192] = "backends=";
    const char *const settings[] = {setting, NULL};
    size_t used = strlen(setting);

    (void)unused;
    for (unsigned i = 0; i < 257; i++)
        used += (size_t)snprintf(setting + used, sizeof(setting) - used, "%s192.0.2.1:%u",
                                 i > 0 ? "," : "", i + 1);
    assert_non_null(strstr(nf_open_error("lb", settings), "256"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_backend_keeps_port),
        cmocka_unit_test(test_backend_with_port),
        cmocka_unit_test(test_sides),
        cmocka_unit_test(test_outside_first),
        cmocka_unit_test(test_stray_reply),
        cmocka_unit_test(test_virtual_services),
        cmocka_unit_test(test_no_backend_of_family),
        cmocka_unit_test(test_never_to_the_client_itself),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_choice_is_stable),
        cmocka_unit_test(test_reply_finds_alias),
        cmocka_unit_test(test_conflict_shows_in_alias),
        cmocka_unit_test(test_goes_on_at_another_instance),
        cmocka_unit_test(test_changes_are_small),
        cmocka_unit_test(test_an_object_is_as_a_list),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_nothing_is_up),
        cmocka_unit_test(test_maglev_disturbs_few),
        cmocka_unit_test(test_object_errors),
        cmocka_unit_test(test_one_of_list_and_object),
        cmocka_unit_test(test_example_file),
        cmocka_unit_test(test_configuration_errors),
        cmocka_unit_test(test_too_many_backends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
