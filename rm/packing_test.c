#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "rm/packing.h"

enum { MAX = 40 };

struct row {
    uint32_t share_max, others, own, expected;
};

static void check(const struct row *rows, uint32_t n, uint64_t wanted, uint32_t max_units,
                  uint32_t least)
{
    struct rill_packing_unit units[MAX];
    uint32_t scratch[MAX];
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        units[i] =
            (struct rill_packing_unit){i + 1, rows[i].share_max, rows[i].others, rows[i].own};
        sum += rows[i].expected;
    }
    assert_int_equal(rill_packing_set(units, n, wanted, max_units, least, scratch), sum);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(units[i].own, rows[i].expected);
}

#define CHECK(wanted, max_units, ...)                                                              \
    do {                                                                                           \
        const struct row rows[] = {__VA_ARGS__};                                                   \
        check(rows, sizeof(rows) / sizeof(rows[0]), wanted, max_units, 0);                         \
    } while (0)
#define CHECK_LEAST(wanted, least, ...)                                                            \
    do {                                                                                           \
        const struct row rows[] = {__VA_ARGS__};                                                   \
        check(rows, sizeof(rows) / sizeof(rows[0]), wanted, 9, least);                             \
    } while (0)

static void two_and_a_half_units(void **state)
{
    (void)state;
    CHECK(2500, 9, {1000, 0, 0, 1000}, {1000, 0, 0, 1000}, {1000, 0, 0, 500}, {1000, 0, 0, 0});
    CHECK(2500, 9, {1000, 0, 0, 1000}, {1000, 0, 0, 1000}, {500, 0, 0, 500});
    CHECK(500, 9, {1000, 0, 0, 0}, {1000, 0, 0, 0}, {500, 0, 0, 500});
}

static void growth_stays_where_it_is(void **state)
{
    (void)state;
    CHECK(900, 9, {1000, 0, 0, 0}, {1000, 0, 300, 900}, {1000, 0, 0, 0});
    CHECK(900, 9, {1000, 600, 0, 200}, {1000, 700, 300, 300}, {1000, 600, 100, 400});
}

static void rest_goes_to_the_fullest_that_fits(void **state)
{
    (void)state;
    CHECK(300, 9, {1000, 0, 0, 0}, {1000, 650, 0, 300}, {1000, 710, 0, 0}, {1000, 600, 0, 0});
    CHECK(300, 9, {1000, 0, 0, 0}, {1000, 650, 0, 300}, {1000, 650, 0, 0});
    CHECK(300, 9, {1000, 0, 0, 300}, {1000, 750, 0, 0});
    CHECK(1300, 9, {1000, 700, 0, 300}, {1000, 0, 0, 1000}, {1000, 600, 0, 0});
}

static void rest_that_fits_nowhere_is_cut_few_times(void **state)
{
    (void)state;
    CHECK(700, 9, {1000, 900, 0, 0}, {1000, 500, 0, 500}, {1000, 800, 0, 200}, {1000, 850, 0, 0});
    CHECK(5000, 9, {1000, 900, 0, 100}, {1000, 500, 0, 500}, {1000, 1000, 0, 0}, {300, 0, 0, 300});
}

static void smallest_shares_go_first(void **state)
{
    (void)state;
    CHECK(1100, 9, {1000, 0, 1000, 1000}, {1000, 0, 1000, 100}, {1000, 0, 500, 0}, {9, 0, 9, 0});
    CHECK(1000, 9, {1000, 0, 1000, 1000}, {1000, 0, 1000, 0});
    CHECK(0, 9, {1000, 0, 1000, 0}, {1000, 400, 600, 0});
}

static void no_more_units_than_allowed(void **state)
{
    (void)state;
    CHECK(3000, 2, {1000, 0, 0, 1000}, {1000, 0, 0, 1000}, {1000, 0, 0, 0});
    CHECK(900, 2, {1000, 500, 0, 500}, {1000, 700, 0, 300}, {1000, 700, 0, 0});
    CHECK(900, 1, {1000, 500, 0, 0}, {1000, 300, 300, 700}, {1000, 700, 0, 0});
}

static void no_share_is_too_small(void **state)
{
    (void)state;
    CHECK_LEAST(1000, 50, {1000, 999, 0, 0}, {1000, 334, 0, 666}, {1000, 667, 0, 333});
    CHECK_LEAST(1020, 50, {1000, 0, 1000, 1000}, {1000, 0, 0, 0});
    CHECK_LEAST(1010, 50, {1000, 0, 1000, 1000},
                {1000, 0, 300, 0});                           /* gives all of the rest back */
    CHECK_LEAST(10, 50, {1000, 0, 0, 0}, {1000, 990, 0, 10}); /* there is nothing else */
    CHECK_LEAST(10, 50, {1000, 0, 1000, 10});
    CHECK_LEAST(1010, 50, {1000, 0, 1000, 1000}, {30, 0, 0, 0}, {30, 0, 0, 0});
    CHECK_LEAST(1060, 50, {1000, 0, 1000, 1000}, {30, 0, 0, 30}, {30, 0, 0, 30});
}

static void random_packings_hold(void **state)
{
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int round = 0; round < 20000; round++) {
        struct rill_packing_unit units[MAX], before[MAX];
        uint32_t scratch[MAX], n = rill_rng_below(&rng, MAX + 1), used = 0;
        uint32_t max_units = rill_rng_below(&rng, 2) ? MAX : 5;
        uint64_t wanted = rill_rng_below(&rng, 12000), had = 0, sum = 0, got;
        int room_left = 0;

        for (uint32_t i = 0; i < n; i++) {
            uint32_t share_max = rill_rng_below(&rng, 3) ? 1000 : 1 + rill_rng_below(&rng, 1000);
            uint32_t others = rill_rng_below(&rng, 2) ? rill_rng_below(&rng, share_max + 1) : 0;
            uint32_t own = used < max_units && rill_rng_below(&rng, 3) == 0
                               ? rill_rng_below(&rng, share_max - others + 1)
                               : 0;

            units[i] = (struct rill_packing_unit){i + 1, share_max, others, own};
            used += own > 0;
            had += own;
        }
        memcpy(before, units, sizeof(units));
        got = rill_packing_set(units, n, wanted, max_units, 0, scratch);
        used = 0;
        for (uint32_t i = 0; i < n; i++) {
            assert_true(units[i].others + units[i].own <= units[i].share_max);
            assert_true(wanted >= had ? units[i].own >= before[i].own
                                      : units[i].own <= before[i].own);
            sum += units[i].own;
            used += units[i].own > 0;
            room_left |= units[i].others + units[i].own < units[i].share_max;
        }
        assert_int_equal(got, sum);
        assert_true(used <= max_units);
        assert_true(got == wanted || (got < wanted && (!room_left || used == max_units)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_and_a_half_units),
        cmocka_unit_test(growth_stays_where_it_is),
        cmocka_unit_test(rest_goes_to_the_fullest_that_fits),
        cmocka_unit_test(rest_that_fits_nowhere_is_cut_few_times),
        cmocka_unit_test(smallest_shares_go_first),
        cmocka_unit_test(no_more_units_than_allowed),
        cmocka_unit_test(no_share_is_too_small),
        cmocka_unit_test(random_packings_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
