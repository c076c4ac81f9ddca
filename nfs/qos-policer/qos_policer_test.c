#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/frame/frame.h"
#include "lib/packet/test_packets.h"
#include "nf-runtime/nf_host.h"
#include "nfs/nf_testing.h"

#define OUT "udp 10.0.0.1 4000 > 203.0.113.5 53" /* 14 + 20 + 8 + 37 bytes */
#define IN "udp 203.0.113.5 53 > 10.0.0.1 4000"
enum { PACKET_BYTES = 79, GREEN, YELLOW, RED };

static const uint64_t ms_ns = 1000000;

static void open_bench(struct nf_bench *b, struct nf_flow *f, const char *classes)
{
    const char *const settings[] = {classes, NULL};

    nf_open(b, "qos-policer", settings);
    nf_flow_open(f, b);
    b->time_ns = 5 * ms_ns + 1;
}

static void close_bench(struct nf_bench *b, struct nf_flow *f)
{
    nf_flow_close(f);
    nf_close(b);
}

/* Of packets that are kept or dropped: the colour is in the counters. */
static int colour_of(struct nf_bench *b, struct nf_flow *f, enum rill_side side, uint64_t time_ns,
                     bool dropped)
{
    const char *packet = side == RILL_INSIDE ? OUT : IN;
    uint64_t green = nf_count(b, "green"), yellow = nf_count(b, "yellow");

    b->time_ns = time_ns;
    nf_send(b, f, side, packet, dropped ? NULL : packet);
    if (nf_count(b, "green") > green)
        return GREEN;
    return nf_count(b, "yellow") > yellow ? YELLOW : RED;
}

/* 1 Mbps is 8 us a byte: a packet is paid for after 632 us, to the microsecond. */
static void test_one_rate(void **unused)
{
    uint64_t t = 7 * ms_ns + 123;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any cir=1Mbps cbs=160B");
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t, false), GREEN); /* 2 bytes are left */
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t + 615999, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t + 616000, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t + 616000, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t + 616000 + 631999, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, t + 616000 + 632000, false), GREEN);
    assert_int_equal(nf_count(&b, "over_limit"), 3);
    close_bench(&b, &f);
}

static void test_directions_are_metered_apart(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any cir=8kbps cbs=79B");
    assert_int_equal(colour_of(&b, &f, RILL_OUTSIDE, 2 * ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 2 * ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_OUTSIDE, 80 * ms_ns, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 80 * ms_ns, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_OUTSIDE, 81 * ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 81 * ms_ns, false), GREEN);
    close_bench(&b, &f);
}

static void test_excess_burst(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any cir=8kbps cbs=79B ebs=158B");
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), YELLOW);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), YELLOW);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, true), RED);
    /* the first 79 ms fill the committed bucket, the next 79 the excess one */
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 159 * ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 159 * ms_ns, false), YELLOW);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 159 * ms_ns, true), RED);
    close_bench(&b, &f);
}

static void test_two_rates(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any cir=8kbps cbs=79B pir=16kbps pbs=158B");
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), YELLOW);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 40 * ms_ns + 500000, false), YELLOW);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 80 * ms_ns, false), GREEN);
    close_bench(&b, &f);
}

/* Largest rates and bursts, and centuries of silence: nothing overflows. */
static void test_long_silence(void **unused)
{
    static const char *const classes[] = {"classes=any cir=400Gbps cbs=1000MB ebs=1000MB",
                                          "classes=any cir=1kbps cbs=1000MB pir=400Gbps pbs=79B"};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    for (int i = 0; i < 2; i++) {
        open_bench(&b, &f, classes[i]);
        assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), GREEN);
        assert_int_equal(colour_of(&b, &f, RILL_INSIDE, UINT64_MAX / 2, false), GREEN);
        assert_int_equal(colour_of(&b, &f, RILL_INSIDE, UINT64_MAX - 2000, false), GREEN);
        close_bench(&b, &f);
    }
}

static void test_time_does_not_go_back(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any cir=1Mbps cbs=79B");
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 5 * ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 4 * ms_ns, true), RED);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 5 * ms_ns + 632000, false), GREEN);
    close_bench(&b, &f);
}

static uint8_t dscp_after(struct nf_bench *b, struct nf_flow *f, const char *text)
{
    struct rill_pkt pkt = {.m = nf_packet(text), .side = RILL_INSIDE};
    uint8_t dscp;

    assert_int_equal(rill_parse(pkt.m, rte_pktmbuf_pkt_len(pkt.m), &pkt.view), RILL_PARSE_OK);
    assert_int_equal(nf_run(b, f, &pkt), RILL_FORWARD);
    dscp = rill_pkt_dscp(&pkt);
    assert_true(nf_checksums_right(pkt.m, &pkt.view));
    test_mbuf_free(pkt.m);
    return dscp;
}

static void test_marks(void **unused)
{
    static const char *const texts[] = {OUT, "tcp 2001:db8::1 4000 > 2001:db8::2 53"};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    for (int i = 0; i < 2; i++) {
        open_bench(&b, &f, "classes=any cir=8kbps cbs=111B ebs=111B green=ef yellow=af41 red=cs1");
        assert_int_equal(dscp_after(&b, &f, texts[i]), 46);
        assert_int_equal(dscp_after(&b, &f, texts[i]), 34);
        assert_int_equal(dscp_after(&b, &f, texts[i]), 8);
        assert_int_equal(nf_count(&b, "red"), 1);
        assert_int_equal(nf_count(&b, "over_limit"), 0);
        close_bench(&b, &f);
    }
}

static void test_first_match(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=udp port 53 cir=1Mbps cbs=79B red=drop,udp cir=1Mbps cbs=1KB");
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, ms_ns, true), RED);
    close_bench(&b, &f);
}

static void test_unclassified_passes(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any inbound cir=8kbps cbs=79B");
    for (int i = 0; i < 5; i++)
        nf_send(&b, &f, RILL_INSIDE, OUT, OUT);
    assert_int_equal(nf_count(&b, "unclassified"), 5);
    assert_int_equal(colour_of(&b, &f, RILL_OUTSIDE, ms_ns * 6, false), GREEN);
    assert_int_equal(colour_of(&b, &f, RILL_OUTSIDE, ms_ns * 6, true), RED);
    close_bench(&b, &f);
}

static void test_goes_on_at_another_instance(void **unused)
{
    struct nf_bench a, b;
    struct nf_flow f;

    (void)unused;
    open_bench(&a, &f, "classes=any cir=8kbps cbs=158B");
    nf_open(&b, "qos-policer", (const char *const[]){"classes=any cir=8kbps cbs=158B", NULL});
    assert_int_equal(colour_of(&a, &f, RILL_INSIDE, ms_ns, false), GREEN);
    nf_flow_move(&f);
    assert_int_equal(colour_of(&b, &f, RILL_INSIDE, 2 * ms_ns, false), GREEN);
    nf_flow_move(&f);
    assert_int_equal(colour_of(&a, &f, RILL_INSIDE, 3 * ms_ns, true), RED);
    nf_close(&b);
    close_bench(&a, &f);
}

static void test_changes_are_small(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "classes=any cir=1Mbps cbs=10KB");
    assert_true(f.bytes <= RILL_INLINE_STATE);
    nf_send(&b, &f, RILL_INSIDE, OUT, OUT);
    nf_send(&b, &f, RILL_OUTSIDE, IN, IN);
    assert_int_equal(f.dirty_high - f.dirty_low, 24);
    close_bench(&b, &f);
}

static void test_example_file(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open_file(&b, "nfs/qos-policer/example.yaml");
    nf_flow_open(&f, &b);
    assert_int_equal(dscp_after(&b, &f, "udp 10.0.0.1 20000 > 203.0.113.5 20002"), 46);
    close_bench(&b, &f);
}

static void test_configuration_errors(void **unused)
{
    char many[4096] = "classes=";
    size_t used = strlen(many);
    const char *error;

    (void)unused;
    error = nf_open_error("qos-policer", (const char *const[]){"classes=any cir=1", NULL});
    assert_non_null(strstr(error, "classes (--set): 'any cir=1': cir=1"));
    error = nf_open_error("qos-policer", (const char *const[]){"classes=", NULL});
    assert_non_null(strstr(error, "empty"));
    for (int i = 0; i < 65; i++)
        used += (size_t)snprintf(many + used, sizeof(many) - used, "%sany cir=1Mbps cbs=1KB",
                                 i > 0 ? "," : "");
    error = nf_open_error("qos-policer", (const char *const[]){many, NULL});
    assert_non_null(strstr(error, "64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_rate),
        cmocka_unit_test(test_directions_are_metered_apart),
        cmocka_unit_test(test_excess_burst),
        cmocka_unit_test(test_two_rates),
        cmocka_unit_test(test_long_silence),
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_first_match),
        cmocka_unit_test(test_unclassified_passes),
        cmocka_unit_test(test_goes_on_at_another_instance),
        cmocka_unit_test(test_changes_are_small),
        cmocka_unit_test(test_example_file),
        cmocka_unit_test(test_configuration_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
