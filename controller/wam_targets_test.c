#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/wam.h"
#include "lib/base/role.h"
#include "lib/frame/frame.h"

static uint32_t id(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

/* Units 1..n, all active. */
static struct rill_wam *with_units(uint32_t n)
{
    struct rill_wam *wam =
        rill_wam_create(&(struct rill_wam_config){.units_max = n, .alpha = 0.25, .expect_ns = 1});

    assert_non_null(wam);
    for (uint32_t i = n; i >= 1; i--) { /* downwards: order must not depend on when they came */
        assert_int_equal(rill_wam_set_unit(wam, id(i), 1000000), 0);
        assert_int_equal(rill_wam_set_active(wam, id(i), true, 0), 0);
    }
    return wam;
}

static void deterministic_takes_the_lowest_but_the_owner(void **state)
{
    struct rill_wam *wam = with_units(6);
    uint32_t targets[RILL_TARGETS_MAX];

    (void)state;
    assert_int_equal(rill_wam_targets(wam, NULL, RILL_REPLICA_DETERMINISTIC, 3, id(2), targets), 3);
    assert_int_equal(targets[0], id(1));
    assert_int_equal(targets[1], id(3));
    assert_int_equal(targets[2], id(4));
    rill_wam_set_active(wam, id(3), false, 0);
    assert_int_equal(rill_wam_targets(wam, NULL, RILL_REPLICA_DETERMINISTIC, 3, 0, targets), 3);
    assert_int_equal(targets[1], id(2));
    assert_int_equal(targets[2], id(4));
    rill_wam_destroy(wam);
}

static void too_few_candidates_are_all_taken(void **state)
{
    static const enum rill_replica_choice choices[] = {RILL_REPLICA_DETERMINISTIC,
                                                       RILL_REPLICA_WEIGHTED};
    struct rill_wam *wam = with_units(4);
    uint32_t targets[RILL_TARGETS_MAX];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rill_wam_targets(wam, NULL, choices[i], 7, id(4), targets), 3);
        for (uint32_t t = 0; t < 3; t++)
            assert_int_equal(targets[t], id(t + 1));
        assert_int_equal(rill_wam_targets(wam, NULL, choices[i], 0, id(4), targets), 0);
    }
    for (uint32_t i = 2; i <= 4; i++)
        rill_wam_remove_unit(wam, id(i));
    assert_int_equal(rill_wam_targets(wam, NULL, RILL_REPLICA_WEIGHTED, 3, id(1), targets), 0);
    rill_wam_remove_unit(wam, id(1));
    assert_int_equal(rill_wam_targets(wam, NULL, RILL_REPLICA_WEIGHTED, 3, id(1), targets), 0);
    rill_wam_destroy(wam);
}

/* The share of the first draws that should fall on a rank: its weight over all. */
static double expected_first(uint32_t rank, uint32_t of)
{
    double sum = 0;

    for (uint32_t i = 1; i <= of; i++)
        sum += 1.0 / i;
    return 1.0 / rank / sum;
}

static void weighted_follows_one_over_rank(void **state)
{
    enum { UNITS = 9, DRAWS = 200000, OWNER = 4 };
    struct rill_wam *wam = with_units(UNITS);
    struct rill_rng rng;
    uint32_t first[UNITS + 1] = {0}, second_after_1[UNITS + 1] = {0};
    uint32_t targets[RILL_TARGETS_MAX];

    (void)state;
    rill_rng_seed(&rng, 7);
    for (int i = 0; i < DRAWS; i++) {
        assert_int_equal(rill_wam_targets(wam, &rng, RILL_REPLICA_WEIGHTED, 3, id(OWNER), targets),
                         3);
        assert_true(targets[0] != targets[1] && targets[1] != targets[2] &&
                    targets[0] != targets[2]);
        first[rill_role_number(targets[0])]++;
        if (targets[0] == id(1))
            second_after_1[rill_role_number(targets[1])]++;
    }
    assert_int_equal(first[OWNER], 0);
    for (uint32_t i = 1; i <= UNITS; i++) {
        uint32_t rank = i < OWNER ? i : i - 1;
        double p = expected_first(rank, UNITS - 1);
        double q = p / (1 - expected_first(1, UNITS - 1)); /* without the one that is gone */

        if (i == OWNER)
            continue;
        assert_float_equal((double)first[i] / DRAWS, p, 0.01);
        if (i > 1)
            assert_float_equal((double)second_after_1[i] / first[1], q, 0.01);
    }
    assert_int_equal(second_after_1[1], 0);
    rill_wam_destroy(wam);
}

static void same_seed_same_targets(void **state)
{
    struct rill_wam *wam = with_units(RILL_WAM_UNITS_MAX);
    struct rill_rng a, b;
    uint32_t from_a[RILL_TARGETS_MAX], from_b[RILL_TARGETS_MAX];

    (void)state;
    rill_rng_seed(&a, 99);
    rill_rng_seed(&b, 99);
    for (int i = 0; i < 1000; i++) {
        uint32_t k = (uint32_t)i % (RILL_TARGETS_MAX + 1);

        assert_int_equal(rill_wam_targets(wam, &a, RILL_REPLICA_WEIGHTED, k, id(5), from_a), k);
        assert_int_equal(rill_wam_targets(wam, &b, RILL_REPLICA_WEIGHTED, k, id(5), from_b), k);
        assert_memory_equal(from_a, from_b, k * sizeof(from_a[0]));
        for (uint32_t t = 0; t < k; t++)
            assert_in_range(rill_role_number(from_a[t]), 1, RILL_WAM_UNITS_MAX);
    }
    rill_rng_seed(&b, 99);
    for (int i = 0; i < 1000; i++) { /* as many numbers are taken as units are given */
        for (int n = 0; n < i % (RILL_TARGETS_MAX + 1); n++)
            rill_rng_u64(&b);
    }
    assert_int_equal(rill_rng_u64(&a), rill_rng_u64(&b));
    rill_wam_destroy(wam);
}

static void load(struct rill_wam *wam, uint32_t number, uint32_t bytes)
{
    struct rill_wam_pending nothing = {0};

    rill_wam_drained(wam, id(number), bytes, &nothing, 0);
}

static void predicted_follows_the_choice(void **state)
{
    struct rill_wam *wam = with_units(5); /* 12,500 bytes in 100 ms each */
    uint32_t targets[RILL_TARGETS_MAX], holder = id(5);
    bool overload;

    (void)state;
    load(wam, 4, 5000);
    load(wam, 2, 3000);
    assert_int_equal(rill_wam_predict(wam, 100000, NULL, 0, 3, id(4), 0, targets), 3);
    assert_int_equal(targets[0], id(2));
    assert_int_equal(targets[1], id(1));
    assert_int_equal(targets[2], id(3));
    assert_int_equal(rill_wam_predict(wam, 100000, &holder, 1, 3, id(4), 0, targets), 3);
    assert_int_equal(targets[0], id(5)); /* 25 against 24 % */
    assert_int_equal(targets[0], rill_wam_choose(wam, 900000, &holder, 1, 0, &overload));
    /* Who has no room is likely only when nobody has. */
    assert_int_equal(rill_wam_predict(wam, 900000, NULL, 0, 7, id(1), 0, targets), 4);
    assert_int_equal(targets[0], id(3));
    assert_int_equal(targets[1], id(5));
    assert_int_equal(targets[2], id(2));
    assert_int_equal(targets[3], id(4));
    rill_wam_set_active(wam, id(5), false, 0);
    assert_int_equal(rill_wam_predict(wam, 0, &holder, 1, 7, id(1), 0, targets), 3);
    assert_int_equal(rill_wam_predict(wam, 0, &holder, 1, 0, id(1), 0, targets), 0);
    rill_wam_destroy(wam);
}

/* A unit that is behind now is where flowlets go when it no longer is. */
static void predicted_looks_past_what_waits(void **state)
{
    struct rill_wam *wam = rill_wam_create(&(struct rill_wam_config){
        .units_max = 3, .alpha = 0.25, .expect_ns = 1, .backlog_ns = 1000});
    uint32_t target;
    bool overload;

    (void)state;
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(rill_wam_set_unit(wam, id(i), 1000000), 0);
        assert_int_equal(rill_wam_set_active(wam, id(i), true, 0), 0);
    }
    load(wam, 3, 1000);
    assert_int_equal(rill_wam_choose(wam, 1000, NULL, 0, 0, &overload), id(1));
    assert_int_equal(rill_wam_predict(wam, 1000, NULL, 0, 1, id(1), 0, &target), 1);
    assert_int_equal(target, id(3));
    rill_wam_destroy(wam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deterministic_takes_the_lowest_but_the_owner),
        cmocka_unit_test(too_few_candidates_are_all_taken),
        cmocka_unit_test(weighted_follows_one_over_rank),
        cmocka_unit_test(same_seed_same_targets),
        cmocka_unit_test(predicted_follows_the_choice),
        cmocka_unit_test(predicted_looks_past_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
