#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/frame/frame.h"
#include "nf-runtime/nf_host.h"
#include "nfs/nf_testing.h"

#define REQUEST "udp 10.0.0.1 4000 > 203.0.113.5 53"
#define REPLY "udp 203.0.113.5 53 > 10.0.0.1 4000"

static const uint64_t second_ns = 1000000000;

static void open_bench(struct nf_bench *b, struct nf_flow *f, const char *idle)
{
    const char *const settings[] = {idle, NULL};

    nf_open(b, "udp-whitelister", settings);
    nf_flow_open(f, b);
}

static void close_bench(struct nf_bench *b, struct nf_flow *f)
{
    nf_flow_close(f);
    nf_close(b);
}

static void test_replies_pass_after_a_request(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "idle_s=10");
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    assert_int_equal(nf_count(&b, "whitelisted"), 1);
    assert_int_equal(nf_count(&b, "expired"), 0);
    close_bench(&b, &f);
}

static void test_only_requests_prolong(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "idle_s=10");
    b.time_ns = 1000 * second_ns;
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    b.time_ns = 1005 * second_ns;
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    b.time_ns = 1014 * second_ns;
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    b.time_ns = 1015 * second_ns - 1;
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    b.time_ns = 1015 * second_ns;
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, NULL);
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    assert_int_equal(nf_count(&b, "whitelisted"), 1);
    assert_int_equal(nf_count(&b, "expired"), 1);
    close_bench(&b, &f);
}

static void test_nothing_without_a_request(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "idle_s=10");
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, NULL);
    assert_int_equal(nf_alias(&f)->local.family, 0);
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    close_bench(&b, &f);
}

static void test_alias_is_the_connection(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "idle_s=10");
    nf_send(&b, &f, RILL_INSIDE, "udp 2001:db8:1::1 4000 > 2001:db8:2::2 53",
            "udp 2001:db8:1::1 4000 > 2001:db8:2::2 53");
    assert_int_equal(nf_alias(&f)->local.port, 4000);
    assert_int_equal(nf_alias(&f)->remote.port, 53);
    nf_send(&b, &f, RILL_OUTSIDE, "udp 2001:db8:2::2 53 > 2001:db8:1::1 4000",
            "udp 2001:db8:2::2 53 > 2001:db8:1::1 4000");
    close_bench(&b, &f);
}

static void test_goes_on_at_another_instance(void **unused)
{
    struct nf_bench a, b;
    struct nf_flow f;

    (void)unused;
    open_bench(&a, &f, "idle_s=10");
    nf_open(&b, "udp-whitelister", (const char *const[]){"idle_s=10", NULL});
    a.time_ns = 100 * second_ns;
    nf_send(&a, &f, RILL_INSIDE, REQUEST, REQUEST);
    nf_flow_move(&f);
    b.time_ns = 105 * second_ns;
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    nf_flow_move(&f);
    a.time_ns = 110 * second_ns;
    nf_send(&a, &f, RILL_OUTSIDE, REPLY, NULL);
    nf_close(&b);
    close_bench(&a, &f);
}

static void test_changes_are_small(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "idle_s=10");
    assert_true(f.bytes <= RILL_INLINE_STATE);
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    assert_int_equal(f.dirty_high - f.dirty_low, 8);
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, REPLY);
    assert_true(f.dirty_low >= f.dirty_high);
    close_bench(&b, &f);
}

static void test_example_file(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open_file(&b, "nfs/udp-whitelister/example.yaml");
    nf_flow_open(&f, &b);
    b.time_ns = second_ns;
    nf_send(&b, &f, RILL_INSIDE, REQUEST, REQUEST);
    b.time_ns = 31 * second_ns;
    nf_send(&b, &f, RILL_OUTSIDE, REPLY, NULL);
    close_bench(&b, &f);
}

static void test_configuration_errors(void **unused)
{
    (void)unused;
    assert_non_null(strstr(
        nf_open_error("udp-whitelister", (const char *const[]){"idle_s=0", NULL}), "idle_s"));
    assert_non_null(strstr(
        nf_open_error("udp-whitelister", (const char *const[]){"idle_s=86401", NULL}), "idle_s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_pass_after_a_request),
        cmocka_unit_test(test_only_requests_prolong),
        cmocka_unit_test(test_nothing_without_a_request),
        cmocka_unit_test(test_alias_is_the_connection),
        cmocka_unit_test(test_goes_on_at_another_instance),
        cmocka_unit_test(test_changes_are_small),
        cmocka_unit_test(test_example_file),
        cmocka_unit_test(test_configuration_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
