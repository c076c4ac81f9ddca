#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/wam.h"
#include "lib/base/rng.h"
#include "lib/base/role.h"

enum {
    T_NS = 500000,
    WINDOW_NS = RILL_WAM_BUCKETS * RILL_WAM_BUCKET_NS,
    CAPACITY_BPS = 10000000, /* 125,000 bytes in a window: a few packets make a load */
};

static uint32_t id(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

static struct rill_wam *create(uint32_t units_max, enum rill_placement placement, double alpha)
{
    const struct rill_wam_config config = {
        .units_max = units_max, .placement = placement, .alpha = alpha, .expect_ns = T_NS};
    struct rill_wam *wam = rill_wam_create(&config);

    assert_non_null(wam);
    return wam;
}

static void add(struct rill_wam *wam, uint32_t number, uint64_t capacity_bps)
{
    assert_int_equal(rill_wam_set_unit(wam, id(number), capacity_bps), 0);
    assert_int_equal(rill_wam_set_active(wam, id(number), true, 0), 0);
}

static void send(struct rill_wam *wam, uint32_t number, uint32_t bytes, uint64_t now_ns)
{
    struct rill_wam_pending nothing = {0};

    rill_wam_drained(wam, id(number), bytes, &nothing, now_ns);
}

static uint32_t choose(struct rill_wam *wam, uint64_t demand_bps, uint64_t now_ns)
{
    bool overload;

    return rill_role_number(rill_wam_choose(wam, demand_bps, NULL, 0, now_ns, &overload));
}

static void load_is_what_was_sent_in_100_ms(void **state)
{
    struct rill_wam *wam = create(2, RILL_PLACEMENT_PACK, 0);
    const uint64_t start_ns = 7 * RILL_WAM_BUCKET_NS;

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    send(wam, 1, 1000, start_ns);
    send(wam, 1, 500, start_ns + RILL_WAM_BUCKET_NS - 1);
    send(wam, 1, 2000, start_ns + RILL_WAM_BUCKET_NS);
    assert_int_equal(rill_wam_load_bps(wam, id(1), start_ns + WINDOW_NS - 1), 3500 * 80);
    assert_int_equal(rill_wam_load_bps(wam, id(1), start_ns + WINDOW_NS), 2000 * 80);
    assert_true(rill_wam_utilization(wam, id(1), 0) == 2000 * 80.0 / CAPACITY_BPS);
    assert_int_equal(rill_wam_load_bps(wam, id(1), start_ns + WINDOW_NS + RILL_WAM_BUCKET_NS), 0);
    assert_int_equal(rill_wam_load_bps(wam, id(9), start_ns), 0);
    rill_wam_destroy(wam);
}

static void long_silence_empties_the_window(void **state)
{
    struct rill_wam *wam = create(2, RILL_PLACEMENT_PACK, 0);
    uint64_t now_ns = 123;

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    for (int i = 0; i < 50; i++) {
        struct rill_wam_pending pending = {0};

        rill_wam_assign(wam, id(1), 8000000, &pending, now_ns);
        send(wam, 1, 1000, now_ns);
        assert_int_equal(rill_wam_load_bps(wam, id(1), now_ns), 1500 * 80);
        now_ns += WINDOW_NS + RILL_WAM_BUCKET_NS * (uint64_t)i * i * i * 1000;
        assert_int_equal(rill_wam_load_bps(wam, id(1), now_ns), 0);
        /* What was pending then is nothing now, not a debt. */
        rill_wam_drained(wam, id(1), 100, &pending, now_ns);
        assert_int_equal(rill_wam_load_bps(wam, id(1), now_ns), 100 * 80);
        now_ns += WINDOW_NS;
    }
    rill_wam_destroy(wam);
}

static void pending_becomes_drained(void **state)
{
    struct rill_wam *wam = create(2, RILL_PLACEMENT_PACK, 0);
    struct rill_wam_pending pending = {0};

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    rill_wam_assign(wam, id(1), 48000000, &pending, 0); /* 6 MB/s * 500 us */
    assert_int_equal(pending.bytes, 3000);
    assert_int_equal(rill_wam_load_bps(wam, id(1), 0), 3000 * 80);
    rill_wam_drained(wam, id(1), 1000, &pending, 10);
    assert_int_equal(rill_wam_load_bps(wam, id(1), 10), 3000 * 80);
    rill_wam_drained(wam, id(1), 2500, &pending, 20); /* more than was expected */
    assert_int_equal(rill_wam_load_bps(wam, id(1), 20), 3500 * 80);
    rill_wam_assign(wam, id(1), 48000000, &pending, 30);
    rill_wam_drained(wam, id(1), 1000, &pending, 40);
    rill_wam_flowlet_end(wam, id(1), &pending, 50);
    assert_int_equal(pending.bytes, 0);
    assert_int_equal(rill_wam_load_bps(wam, id(1), 50), 4500 * 80);
    rill_wam_destroy(wam);
}

static void pending_of_silent_flows_runs_out(void **state)
{
    struct rill_wam *wam = create(2, RILL_PLACEMENT_PACK, 0);
    struct rill_wam_pending early = {0}, late = {0};

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    rill_wam_assign(wam, id(1), 16000000, &early, 0);
    rill_wam_assign(wam, id(1), 16000000, &late, T_NS);
    assert_int_equal(rill_wam_load_bps(wam, id(1), 2 * T_NS - 1), 2000 * 80);
    assert_int_equal(rill_wam_load_bps(wam, id(1), 2 * T_NS), 1000 * 80);
    rill_wam_flowlet_end(wam, id(1), &early, 2 * T_NS); /* is not taken off twice */
    assert_int_equal(rill_wam_load_bps(wam, id(1), 2 * T_NS), 1000 * 80);
    rill_wam_flowlet_end(wam, id(1), &late, 2 * T_NS);
    assert_int_equal(rill_wam_load_bps(wam, id(1), 2 * T_NS), 0);
    rill_wam_destroy(wam);
}

static void fullest_unit_that_fits_is_packed(void **state)
{
    struct rill_wam *wam = create(4, RILL_PLACEMENT_PACK, 0);
    bool overload;

    (void)state;
    for (uint32_t i = 1; i <= 4; i++)
        add(wam, i, CAPACITY_BPS);
    assert_int_equal(choose(wam, 1000000, 0), 1); /* all empty: lowest id */
    send(wam, 3, 50000, 0);
    send(wam, 2, 100000, 0);
    assert_int_equal(choose(wam, 1000000, 0), 2);
    assert_int_equal(choose(wam, 2000000, 0), 2); /* exactly what is left */
    assert_int_equal(choose(wam, 2000001, 0), 3);
    assert_int_equal(choose(wam, 6000001, 0), 1);
    rill_wam_set_active(wam, id(1), false, 0);
    assert_int_equal(choose(wam, 6000001, 0), 4);
    assert_int_equal(rill_wam_choose(wam, 10000001, NULL, 0, 0, &overload), id(4));
    assert_true(overload);
    assert_int_equal(rill_wam_choose(wam, 10000000, NULL, 0, 0, &overload), id(4));
    assert_false(overload);
    assert_int_equal(rill_wam_counters(wam)->overloads, 1);
    rill_wam_destroy(wam);
}

static void state_is_worth_alpha(void **state)
{
    struct rill_wam *wam = create(4, RILL_PLACEMENT_PACK, 0.25);
    const uint32_t holders[] = {0, id(77), id(2), id(4), id(2)};
    bool overload;

    (void)state;
    for (uint32_t i = 1; i <= 4; i++)
        add(wam, i, CAPACITY_BPS);
    assert_int_equal(rill_wam_choose(wam, 1000, holders, 5, 0, &overload), id(2));
    send(wam, 1, 31000, 0); /* 24.8 % */
    assert_int_equal(rill_wam_choose(wam, 1000, holders, 5, 0, &overload), id(2));
    send(wam, 1, 250, 0); /* 25 %: a tie, and 1 is lower */
    assert_int_equal(rill_wam_choose(wam, 1000, holders, 5, 0, &overload), id(1));
    send(wam, 4, 1, 0);
    assert_int_equal(rill_wam_choose(wam, 1000, holders, 5, 0, &overload), id(4));
    send(wam, 4, 124900, 0); /* does not fit any more */
    assert_int_equal(rill_wam_choose(wam, 10000, holders, 5, 0, &overload), id(1));
    rill_wam_set_active(wam, id(1), false, 0);
    assert_int_equal(rill_wam_choose(wam, 10000, holders, 5, 0, &overload), id(2));
    rill_wam_set_active(wam, id(2), false, 0);
    assert_int_equal(rill_wam_choose(wam, 10000, holders, 5, 0, &overload), id(3));
    assert_false(overload);
    rill_wam_destroy(wam);
}

static void own_quantum_is_looked_at_closely(void **state)
{
    struct rill_wam *wam = create(3, RILL_PLACEMENT_PACK, 0);

    (void)state;
    for (uint32_t i = 1; i <= 3; i++)
        add(wam, i, CAPACITY_BPS); /* 125,000 bytes: in quanta of 64 */
    send(wam, 1, 125000 - 6410, 0);
    send(wam, 2, 125000 - 6450, 0);
    assert_int_equal(choose(wam, 6440 * 80, 0), 2);
    assert_int_equal(choose(wam, 6410 * 80, 0), 1);
    assert_int_equal(choose(wam, 6460 * 80, 0), 3);
    rill_wam_destroy(wam);
}

static void fractions_are_filled_first(void **state)
{
    struct rill_wam *wam = create(4, RILL_PLACEMENT_PACK, 0);

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    add(wam, 2, CAPACITY_BPS / 2);
    add(wam, 3, CAPACITY_BPS / 10);
    send(wam, 1, 75000, 0); /* 60 %: leaves 4 Mbps */
    send(wam, 2, 6250, 0);  /* 10 %: leaves 4.5 Mbps */
    assert_int_equal(choose(wam, 900000, 0), 3);
    assert_int_equal(choose(wam, 1100000, 0), 1);
    assert_int_equal(choose(wam, 4300000, 0), 2);
    assert_int_equal(rill_wam_set_unit(wam, id(3), 0), 0);
    assert_int_equal(choose(wam, 0, 0), 1);
    rill_wam_destroy(wam);
}

static void spread_takes_the_least_utilized(void **state)
{
    struct rill_wam *wam = create(4, RILL_PLACEMENT_SPREAD, 0.25);
    const uint32_t holder = id(1);
    bool overload;

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    add(wam, 2, CAPACITY_BPS / 2);
    add(wam, 3, CAPACITY_BPS);
    for (uint32_t i = 0; i < 12; i++) { /* even in one step of the index, one packet counts */
        uint32_t unit = rill_wam_choose(wam, 1000, &holder, 1, 0, &overload);

        static const uint32_t order[] = {1, 2, 3, 1, 3, 1, 2, 3, 1, 3, 1, 2};

        assert_int_equal(rill_role_number(unit), order[i]);
        assert_false(overload);
        send(wam, rill_role_number(unit), 10, 0);
    }
    send(wam, 1, 130000, 0);
    send(wam, 2, 140000, 0);
    send(wam, 3, 150000, 0);
    assert_int_equal(rill_wam_choose(wam, 1000, NULL, 0, 0, &overload), id(1));
    assert_true(overload);
    rill_wam_destroy(wam);
}

static void overload_goes_to_the_least_utilized(void **state)
{
    struct rill_wam *wam = create(3, RILL_PLACEMENT_PACK, 0.25);
    const uint32_t holder = id(1);
    bool overload;

    (void)state;
    assert_int_equal(rill_wam_choose(wam, 1, NULL, 0, 0, &overload), 0);
    assert_int_equal(rill_wam_counters(wam)->no_unit, 1);
    for (uint32_t i = 1; i <= 3; i++)
        add(wam, i, CAPACITY_BPS);
    send(wam, 1, 900000, 0);
    send(wam, 2, 400000, 0);
    send(wam, 3, 600000, 0);
    assert_int_equal(rill_wam_choose(wam, 1, &holder, 1, 0, &overload), id(2));
    assert_true(overload);
    send(wam, 2, 300000, 0);
    assert_int_equal(rill_wam_choose(wam, 1, &holder, 1, 0, &overload), id(3));
    rill_wam_destroy(wam);
}

static void overload_is_told_from_more_overload(void **state)
{
    struct rill_wam *wam = create(60, RILL_PLACEMENT_PACK, 0);

    (void)state;
    for (uint32_t i = 1; i <= 60; i++) {
        add(wam, i, CAPACITY_BPS);
        send(wam, i, 125000 * 2 - i * 1000, 0); /* from 199 % down to 152 % */
    }
    assert_in_range(choose(wam, 1, 0), 60 - 7, 60); /* within 1/16 */
    for (uint32_t i = 1; i <= 60; i++)
        send(wam, i, i < 60 ? 1250000000 : 1100000000, 0); /* 10,000 times its capacity */
    assert_int_equal(choose(wam, 1, 0), 60);
    rill_wam_destroy(wam);
}

/* A lease is renewed every epoch; what waits at the unit is not gone by that. */
static void a_renewed_lease_keeps_the_backlog(void **state)
{
    const struct rill_wam_config config = {
        .units_max = 2, .placement = RILL_PLACEMENT_PACK, .backlog_ns = T_NS, .expect_ns = T_NS};
    struct rill_wam *wam = rill_wam_create(&config);

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    add(wam, 2, CAPACITY_BPS);
    send(wam, 1, 1500, 0); /* 1.2 ms of work: packing would take unit 1 again but for that */
    assert_int_equal(choose(wam, 0, 0), 2);
    assert_int_equal(rill_wam_set_unit(wam, id(1), CAPACITY_BPS), 0);
    assert_int_equal(choose(wam, 0, 0), 2);
    rill_wam_destroy(wam);
}

/* Where those with room are behind, the one that is done soonest takes it, up to a bound. */
static void behind_for_a_moment_is_no_overload(void **state)
{
    const struct rill_wam_config config = {.units_max = 2,
                                           .placement = RILL_PLACEMENT_PACK,
                                           .backlog_ns = 1000000,
                                           .backlog_max_ns = 5000000,
                                           .expect_ns = T_NS};
    struct rill_wam *wam = rill_wam_create(&config);
    bool overload;

    (void)state;
    add(wam, 1, CAPACITY_BPS);
    add(wam, 2, CAPACITY_BPS);
    send(wam, 1, 5000, 0); /* 4 ms of work */
    send(wam, 2, 2500, 0); /* 2 ms */
    assert_int_equal(rill_wam_choose(wam, 1000, NULL, 0, 0, &overload), id(2));
    assert_false(overload);
    assert_false(rill_wam_all_above(wam, 0.9, 0)); /* behind, not full */
    send(wam, 2, 5000, 0);
    assert_int_equal(rill_wam_choose(wam, 1000, NULL, 0, 0, &overload), id(1));
    assert_false(overload);
    send(wam, 1, 2500, 0); /* 6 ms at both */
    assert_int_equal(rill_wam_choose(wam, 1000, NULL, 0, 0, &overload), id(1));
    assert_true(overload);
    rill_wam_destroy(wam);
}

static void who_should_empty_is_the_last_resort(void **state)
{
    struct rill_wam *wam = create(3, RILL_PLACEMENT_PACK, 1);
    const uint32_t holder = id(3);
    bool overload;

    (void)state;
    for (uint32_t i = 1; i <= 3; i++)
        add(wam, i, CAPACITY_BPS);
    send(wam, 2, 60000, 0); /* 48 % */
    send(wam, 3, 12500, 0); /* 10 % */
    assert_int_equal(rill_wam_choose(wam, 1000000, &holder, 1, 0, &overload), id(3));
    rill_wam_set_draining(wam, id(3), true);
    rill_wam_set_draining(wam, id(1), true);
    assert_true(rill_wam_is_draining(wam, id(3)));
    assert_int_equal(rill_wam_choose(wam, 1000000, &holder, 1, 0, &overload), id(2));
    assert_int_equal(rill_wam_choose(wam, 6000000, &holder, 1, 0, &overload), id(1));
    assert_false(overload);
    rill_wam_set_draining(wam, id(1), false);
    rill_wam_set_draining(wam, id(2), true);
    assert_int_equal(rill_wam_choose(wam, 1000000, &holder, 1, 0, &overload), id(1));
    rill_wam_set_active(wam, id(3), false, 0);
    assert_false(rill_wam_is_draining(wam, id(3)));
    rill_wam_remove_unit(wam, id(2));
    rill_wam_set_draining(wam, id(2), true);
    assert_false(rill_wam_is_draining(wam, id(2)));
    rill_wam_destroy(wam);
}

static void all_above_and_idle_and_totals(void **state)
{
    struct rill_wam *wam = create(3, RILL_PLACEMENT_PACK, 0);
    uint64_t load_bps, capacity_bps;

    (void)state;
    assert_true(rill_wam_all_above(wam, 0.9, 0));
    add(wam, 1, CAPACITY_BPS);
    add(wam, 2, CAPACITY_BPS);
    assert_int_equal(rill_wam_set_unit(wam, id(3), CAPACITY_BPS), 0); /* not active */
    send(wam, 1, 120000, 1000);
    assert_false(rill_wam_all_above(wam, 0.9, 1000));
    send(wam, 2, 112000, 2000); /* 89.6 % */
    assert_false(rill_wam_all_above(wam, 0.9, 2000));
    send(wam, 2, 1000, 2000); /* 90.4 % */
    assert_true(rill_wam_all_above(wam, 0.9, 2000));
    rill_wam_totals(wam, 2000, &load_bps, &capacity_bps);
    assert_int_equal(load_bps, 233000 * 80);
    assert_int_equal(capacity_bps, 2 * CAPACITY_BPS);
    assert_false(rill_wam_all_above(wam, 0.9, WINDOW_NS));
    assert_int_equal(rill_wam_idle_ns(wam, id(1), 51000), 50000);
    assert_int_equal(rill_wam_idle_ns(wam, id(2), 51000), 49000);
    assert_int_equal(rill_wam_idle_ns(wam, id(9), 51000), 0);
    assert_int_equal(rill_wam_set_active(wam, id(3), true, WINDOW_NS), 0);
    assert_int_equal(rill_wam_idle_ns(wam, id(3), WINDOW_NS + 5), 5);
    assert_int_equal(rill_wam_set_active(wam, id(9), true, 0), -ENOENT);
    rill_wam_destroy(wam);
}

static void units_come_and_go_in_id_order(void **state)
{
    struct rill_wam *wam = create(5, RILL_PLACEMENT_PACK, 0);
    struct rill_wam_pending pending = {0};

    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        add(wam, 3 * round + 3, CAPACITY_BPS);
        add(wam, 3 * round + 1, CAPACITY_BPS);
        add(wam, 3 * round + 2, CAPACITY_BPS);
        assert_int_equal(choose(wam, 100, round), 3 * round + 1);
        rill_wam_assign(wam, id(3 * round + 1), 80000000, &pending, round);
        send(wam, 3 * round + 1, 500, round);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(rill_wam_active_at(wam, i), id(3 * round + 1 + i));
            assert_int_equal(rill_wam_unit_at(wam, i), id(3 * round + 1 + i));
        }
        assert_int_equal(rill_wam_active_at(wam, 3), 0);
        assert_int_equal(rill_wam_unit_count(wam), 3);
        rill_wam_remove_unit(wam, id(3 * round + 1));
        rill_wam_remove_unit(wam, id(3 * round + 1));
        assert_int_equal(choose(wam, 100, round), 3 * round + 2);
        /* Its flows still name it. */
        rill_wam_drained(wam, id(3 * round + 1), 10, &pending, round);
        assert_int_equal(pending.bytes, 0);
        rill_wam_remove_unit(wam, id(3 * round + 2));
        rill_wam_remove_unit(wam, id(3 * round + 3));
        assert_int_equal(choose(wam, 100, round), 0);
    }
    for (uint32_t i = 1; i <= 5; i++)
        add(wam, 1000 + i, CAPACITY_BPS);
    for (uint32_t i = 1; i <= 5; i++) /* nothing is left of those that had their places */
        assert_int_equal(rill_wam_load_bps(wam, id(1000 + i), 200), 0);
    assert_int_equal(rill_wam_set_unit(wam, id(2000), CAPACITY_BPS), -ENOSPC);
    for (uint32_t i = 6; i < 500; i++) { /* more ids than the index has places, rising only */
        rill_wam_remove_unit(wam, id(1000 + i - 5));
        add(wam, 1000 + i, CAPACITY_BPS);
        assert_int_equal(choose(wam, 100, 300), 1000 + i - 4);
        assert_int_equal(rill_wam_active_at(wam, 4), id(1000 + i));
    }
    rill_wam_destroy(wam);
}

static void bad_configs_are_refused(void **state)
{
    static const struct rill_wam_config bad[] = {
        {.units_max = 0, .expect_ns = 1},
        {.units_max = RILL_WAM_UNITS_MAX + 1, .expect_ns = 1},
        {.units_max = 1, .expect_ns = 0},
        {.units_max = 1, .expect_ns = UINT64_MAX},
        {.units_max = 1, .expect_ns = 1, .alpha = 1.1},
        {.units_max = 1, .expect_ns = 1, .alpha = -0.1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(rill_wam_create(&bad[i]));
    rill_wam_destroy(NULL);
}

static void extremes_do_not_overflow(void **state)
{
    struct rill_wam *wam = create(3, RILL_PLACEMENT_PACK, 1);
    struct rill_wam_pending pending = {0};
    bool overload;

    (void)state;
    add(wam, 1, 0);
    add(wam, 2, 1);
    add(wam, 3, UINT64_MAX);
    for (int i = 0; i < 100; i++) {
        for (uint32_t unit = 1; unit <= 3; unit++) {
            rill_wam_assign(wam, id(unit), UINT64_MAX, &pending, 0);
            rill_wam_drained(wam, id(unit), UINT32_MAX, &pending, 0);
        }
    }
    assert_int_equal(rill_wam_choose(wam, UINT64_MAX, NULL, 0, 0, &overload), id(3));
    assert_true(overload);
    assert_true(rill_wam_utilization(wam, id(1), 0) > 1e9);
    assert_int_equal(rill_wam_choose(wam, 0, NULL, 0, UINT64_MAX - 1, &overload), id(3));
    assert_int_equal(rill_wam_load_bps(wam, id(2), UINT64_MAX), 0);
    send(wam, 2, 1, UINT64_MAX);
    rill_wam_destroy(wam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_is_what_was_sent_in_100_ms),
        cmocka_unit_test(long_silence_empties_the_window),
        cmocka_unit_test(pending_becomes_drained),
        cmocka_unit_test(pending_of_silent_flows_runs_out),
        cmocka_unit_test(fullest_unit_that_fits_is_packed),
        cmocka_unit_test(state_is_worth_alpha),
        cmocka_unit_test(own_quantum_is_looked_at_closely),
        cmocka_unit_test(fractions_are_filled_first),
        cmocka_unit_test(spread_takes_the_least_utilized),
        cmocka_unit_test(overload_goes_to_the_least_utilized),
        cmocka_unit_test(overload_is_told_from_more_overload),
        cmocka_unit_test(a_renewed_lease_keeps_the_backlog),
        cmocka_unit_test(behind_for_a_moment_is_no_overload),
        cmocka_unit_test(who_should_empty_is_the_last_resort),
        cmocka_unit_test(all_above_and_idle_and_totals),
        cmocka_unit_test(units_come_and_go_in_id_order),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(extremes_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
