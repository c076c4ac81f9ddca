#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/metrics/histogram.h"

enum { VALUES = 20000 };

static struct rill_histogram h;
static uint64_t values[VALUES];

static int clear(void **state)
{
    (void)state;
    memset(&h, 0, sizeof(h));
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* --- distributions ---------------------------------------------------------------------------- */

static uint64_t all_bits(struct rill_rng *rng)
{
    return rill_rng_u64(rng);
}

static uint64_t small(struct rill_rng *rng)
{
    return rill_rng_below(rng, 300);
}

static uint64_t any_magnitude(struct rill_rng *rng)
{
    return rill_rng_u64(rng) >> rill_rng_below(rng, 64);
}

static uint64_t exponential(struct rill_rng *rng)
{
    return (uint64_t)(-20000.0 * log(1 - rill_rng_double(rng)));
}

static uint64_t heavy_tail(struct rill_rng *rng)
{
    return (uint64_t)(500.0 / pow(1 - rill_rng_double(rng), 2));
}

static uint64_t two_humps(struct rill_rng *rng)
{
    return (rill_rng_below(rng, 10) == 0 ? 1000000 : 1000) + rill_rng_below(rng, 200);
}

static uint64_t around_powers(struct rill_rng *rng)
{
    return (UINT64_C(1) << rill_rng_below(rng, 64)) + rill_rng_below(rng, 5) - 2;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void check_bound(uint64_t exact, uint64_t reported)
{
    assert_true(reported >= exact);
    assert_true(reported - exact <= exact / 128);
}

static void check_distribution(uint64_t (*draw)(struct rill_rng *), uint64_t seed, uint32_t n)
{
    static const double shares[] = {1e-9, 0.001, 0.01,  0.1,    0.25,    0.5,      0.75,
                                    0.9,  0.99,  0.999, 0.9999, 0.99999, 0.999999, 1};
    struct rill_rng rng;

    clear(NULL);
    rill_rng_seed(&rng, seed);
    for (uint32_t i = 0; i < n; i++) {
        values[i] = draw(&rng);
        rill_histogram_record(&h, values[i]);
    }
    qsort(values, n, sizeof(values[0]), compare);
    assert_int_equal(h.count, n);
    assert_true(h.max == values[n - 1]);
    for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint32_t rank = (uint32_t)fmax(1, ceil(shares[i] * n - 1e-7));

        check_bound(values[rank - 1], rill_histogram_quantile(&h, shares[i]));
    }
    assert_true(rill_histogram_quantile(&h, 1) == values[n - 1]);
}

static void quantiles_keep_their_bound(void **state)
{
    uint64_t (*const draws[])(struct rill_rng *) = {
        all_bits, small, any_magnitude, exponential, heavy_tail, two_humps, around_powers,
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(draws) / sizeof(draws[0]); i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            check_distribution(draws[i], seed, VALUES);
            check_distribution(draws[i], seed, 1000);
            check_distribution(draws[i], seed, 7);
            check_distribution(draws[i], seed, 1);
        }
    }
}

static void every_share_of_a_hundred(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 100; value++)
        rill_histogram_record(&h, value);
    for (uint64_t percent = 1; percent <= 100; percent++)
        assert_int_equal(rill_histogram_quantile(&h, (double)percent / 100), percent);
}

/* With one other value above, a value's own bucket bound is what is reported. */
static void edges_of_every_bucket(void **state)
{
    (void)state;
    for (unsigned power = 0; power < 64; power++) {
        for (uint64_t near = 0; near < 3; near++) {
            uint64_t value = (UINT64_C(1) << power) - 1 + near;

            clear(NULL);
            rill_histogram_record(&h, value);
            rill_histogram_record(&h, UINT64_MAX);
            check_bound(value, rill_histogram_quantile(&h, 0.5));
            assert_true(rill_histogram_quantile(&h, 1) == UINT64_MAX);
        }
    }
}

static void edge_values(void **state)
{
    (void)state;
    assert_int_equal(rill_histogram_quantile(&h, 0.5), 0);
    assert_int_equal(rill_histogram_quantile(&h, 1), 0);
    rill_histogram_record(&h, 0);
    assert_int_equal(rill_histogram_quantile(&h, 0.5), 0);
    assert_int_equal(rill_histogram_quantile(&h, 1), 0);
    assert_int_equal(h.count, 1);
    rill_histogram_record(&h, 1);
    assert_int_equal(rill_histogram_quantile(&h, 0.5), 0);
    assert_int_equal(rill_histogram_quantile(&h, 0.51), 1);
    rill_histogram_record(&h, UINT64_MAX);
    assert_true(rill_histogram_quantile(&h, 0.9) == UINT64_MAX);
    assert_true(h.buckets[RILL_HISTOGRAM_BUCKETS - 1] == 1);
    assert_true(h.max == UINT64_MAX);
}

static void never_above_the_maximum(void **state)
{
    (void)state;
    rill_histogram_record(&h, 1000000);
    assert_int_equal(rill_histogram_quantile(&h, 0.5), 1000000);
    assert_int_equal(rill_histogram_quantile(&h, 1e-300), 1000000);
}

static void merged_is_recorded_together(void **state)
{
    static struct rill_histogram part[3], sum;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 9);
    for (uint32_t i = 0; i < VALUES; i++) {
        uint64_t value = any_magnitude(&rng);

        rill_histogram_record(&h, value);
        rill_histogram_record(&part[rill_rng_below(&rng, 2)], value);
    }
    for (unsigned i = 0; i < 3; i++) /* the last is empty */
        rill_histogram_merge(&sum, &part[i]);
    assert_memory_equal(&sum, &h, sizeof(h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(quantiles_keep_their_bound, clear),
        cmocka_unit_test_setup(every_share_of_a_hundred, clear),
        cmocka_unit_test_setup(edges_of_every_bucket, clear),
        cmocka_unit_test_setup(edge_values, clear),
        cmocka_unit_test_setup(never_above_the_maximum, clear),
        cmocka_unit_test_setup(merged_is_recorded_together, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
