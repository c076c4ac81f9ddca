#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/backlog.h"
#include "lib/base/rng.h"

enum { UNITS = 40 };
#define US UINT64_C(1000)

static void test_behind_and_done(void **unused)
{
    struct rill_backlog b;

    (void)unused;
    assert_int_equal(rill_backlog_init(&b, 2, 500 * US), 0);
    rill_backlog_set(&b, 0, 125000000);               /* 1 Gbps: 8 ns a byte */
    assert_false(rill_backlog_sent(&b, 0, 62500, 0)); /* 500 us: just not more */
    assert_true(rill_backlog_sent(&b, 0, 125, 0));
    assert_true(rill_backlog_is_behind(&b, 0));
    assert_false(rill_backlog_sent(&b, 0, 125, 0)); /* it was before */
    assert_int_equal(rill_backlog_expire(&b, 2 * US - 10), UINT32_MAX);
    assert_int_equal(rill_backlog_expire(&b, 2 * US), 0);
    assert_int_equal(rill_backlog_expire(&b, 2 * US), UINT32_MAX);
    assert_false(rill_backlog_is_behind(&b, 0));
    rill_backlog_fini(&b);
}

static void test_no_limit_no_capacity(void **unused)
{
    struct rill_backlog b;

    (void)unused;
    assert_int_equal(rill_backlog_init(&b, 1, 0), 0);
    rill_backlog_set(&b, 0, 1000);
    assert_false(rill_backlog_sent(&b, 0, 1000000, 0));
    rill_backlog_fini(&b);
    assert_int_equal(rill_backlog_init(&b, 1, US), 0);
    rill_backlog_set(&b, 0, 0);
    assert_false(rill_backlog_sent(&b, 0, 1000000, 0));
    rill_backlog_fini(&b);
}

/* A nanosecond's third is not lost when it is added three times. */
static void test_one_by_one_or_together(void **unused)
{
    struct rill_rng rng;
    struct rill_backlog b;
    uint64_t now_ns = 0;

    (void)unused;
    rill_rng_seed(&rng, 3);
    assert_int_equal(rill_backlog_init(&b, 2, 100 * US), 0);
    rill_backlog_set(&b, 0, 3000000007);
    rill_backlog_set(&b, 1, 3000000007);
    for (int round = 0; round < 2000; round++) {
        uint32_t sum = 0;

        now_ns += rill_rng_below(&rng, 3 * US / 2);
        while (rill_backlog_expire(&b, now_ns) != UINT32_MAX)
            ;
        for (uint32_t n = rill_rng_below(&rng, 40); n > 0; n--) {
            uint32_t bytes = 64 + rill_rng_below(&rng, 200);

            sum += bytes;
            rill_backlog_sent(&b, 0, bytes, now_ns);
        }
        if (sum == 0)
            continue;
        assert_int_equal(rill_backlog_would_be_behind(&b, 1, sum, now_ns),
                         rill_backlog_is_behind(&b, 0));
        rill_backlog_sent(&b, 1, sum, now_ns);
        assert_int_equal(b.units[0].busy_until_ns, b.units[1].busy_until_ns);
    }
    rill_backlog_fini(&b);
}

/* Against a plain list: the same units are behind, and they come out in order of when they are
 * done. */
static void test_model(void **unused)
{
    struct rill_rng rng;
    struct rill_backlog b;
    uint64_t until_ns[UNITS] = {0}, now_ns = 0;

    (void)unused;
    rill_rng_seed(&rng, 7);
    assert_int_equal(rill_backlog_init(&b, UNITS, 100 * US), 0);
    for (uint32_t i = 0; i < UNITS; i++)
        rill_backlog_set(&b, i, 1000000000); /* 1 ns a byte */
    for (int round = 0; round < 20000; round++) {
        uint32_t slot = rill_rng_below(&rng, UNITS), bytes = rill_rng_below(&rng, 60000), out;
        uint64_t last_ns = 0;

        now_ns += rill_rng_below(&rng, 1500);
        while ((out = rill_backlog_expire(&b, now_ns)) != UINT32_MAX) {
            assert_true(until_ns[out] <= now_ns + 100 * US && until_ns[out] >= last_ns);
            last_ns = until_ns[out];
        }
        if (rill_rng_below(&rng, 50) == 0) {
            rill_backlog_set(&b, slot, 1000000000);
            until_ns[slot] = 0;
        }
        until_ns[slot] = (until_ns[slot] > now_ns ? until_ns[slot] : now_ns) + bytes;
        rill_backlog_sent(&b, slot, bytes, now_ns);
        for (uint32_t i = 0; i < UNITS; i++)
            assert_int_equal(rill_backlog_is_behind(&b, i), until_ns[i] > now_ns + 100 * US);
        if (b.count > 0)
            for (uint32_t i = 1; i < b.count; i++)
                assert_true(until_ns[b.heap[0]] <= until_ns[b.heap[i]]);
    }
    rill_backlog_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind_and_done),
        cmocka_unit_test(test_no_limit_no_capacity),
        cmocka_unit_test(test_one_by_one_or_together),
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
