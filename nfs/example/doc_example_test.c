/* What docs/writing-an-nf.md promises of its example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/nf_testing.h"

static const char out[] = "udp 10.0.0.1 1000 > 203.0.113.5 53";
static const char back[] = "udp 203.0.113.5 53 > 10.0.0.1 1000";

enum { PACKET_BYTES = 14 + 20 + 8 + 37, MS = 1000000 };

/* At 632 kbps a packet of 79 bytes costs 1 ms, so a burst of 3 ms is three packets. */
static const char *const settings[] = {"rate_kbps=632", "burst_ms=3", NULL};

static void test_rate_and_burst(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    assert_int_equal(PACKET_BYTES * 8, 632);
    nf_open(&b, RILL_TEST_LIMIT, settings);
    nf_flow_open(&f, &b);
    for (int i = 0; i < 3; i++) {
        b.time_ns = 500 * MS;
        nf_send(&b, &f, RILL_INSIDE, out, out);
    }
    b.time_ns = 500 * MS;
    nf_send(&b, &f, RILL_INSIDE, out, NULL);
    assert_true(f.dirty_low >= f.dirty_high);
    nf_send(&b, &f, RILL_OUTSIDE, back, back);
    assert_int_equal(nf_count(&b, "over_rate"), 1);
    b.time_ns = 501 * MS;
    nf_send(&b, &f, RILL_INSIDE, out, out);
    b.time_ns = 501 * MS;
    nf_send(&b, &f, RILL_INSIDE, out, NULL);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_goes_on_elsewhere(void **unused)
{
    struct nf_bench a, b;
    struct nf_flow f;

    (void)unused;
    nf_open(&a, RILL_TEST_LIMIT, settings);
    nf_open(&b, RILL_TEST_LIMIT, settings);
    nf_flow_open(&f, &a);
    for (int i = 0; i < 3; i++) {
        a.time_ns = 0;
        nf_send(&a, &f, RILL_INSIDE, out, out);
    }
    nf_flow_move(&f);
    nf_close(&a);
    b.time_ns = 0;
    nf_send(&b, &f, RILL_INSIDE, out, NULL);
    nf_flow_close(&f);
    nf_close(&b);
}

static void test_needs_no_configuration(void **unused)
{
    const char *const bad[] = {"rate_kbps=0", NULL};
    struct nf_bench b;

    (void)unused;
    nf_open(&b, RILL_TEST_LIMIT, (const char *const[]){NULL});
    assert_int_equal(rill_nf_state_bytes(b.nf), sizeof(struct rill_state_head) + 8);
    nf_close(&b);
    assert_non_null(strstr(nf_open_error(RILL_TEST_LIMIT, bad), "rate_kbps"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_and_burst),
        cmocka_unit_test(test_goes_on_elsewhere),
        cmocka_unit_test(test_needs_no_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
