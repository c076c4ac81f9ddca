/* The short ways of what a packet passes, against the long ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/wam_packet.h"
#include "lib/base/rng.h"
#include "lib/base/role.h"

enum { T_NS = 500000, CAPACITY_BPS = 10000000, FLOWS = 20, STEPS = 200000 };

struct world {
    struct rill_wam *wam;
    struct rill_wam_pending pending[FLOWS];
};

static uint32_t id(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

static void begin(struct world *w)
{
    const struct rill_wam_config config = {.units_max = 2,
                                           .placement = RILL_PLACEMENT_PACK,
                                           .alpha = 0.25,
                                           .backlog_ns = 2 * T_NS,
                                           .backlog_max_ns = 20 * T_NS,
                                           .expect_ns = T_NS};

    *w = (struct world){.wam = rill_wam_create(&config)};
    assert_non_null(w->wam);
    assert_int_equal(rill_wam_set_unit(w->wam, id(1), CAPACITY_BPS), 0);
    assert_int_equal(rill_wam_set_active(w->wam, id(1), true, 0), 0);
}

static uint32_t choose(struct world *w, uint64_t demand_bps, uint64_t now_ns, bool *overload)
{
    const uint32_t owner = id(1);

    return rill_wam_choose(w->wam, demand_bps, &owner, 1, now_ns, overload);
}

/* Both worlds get the same. A second unit that serves nothing takes away the short way, and nothing
 * else, as long as there is no overload. */
static void the_only_unit_is_chosen_when_it_would_be(void **state)
{
    uint32_t chosen = 0, overloads = 0;
    struct world only, two;
    uint64_t now_ns = 0;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 11);
    begin(&only);
    begin(&two);
    assert_int_equal(rill_wam_set_unit(two.wam, id(2), 0), 0);
    assert_int_equal(rill_wam_set_active(two.wam, id(2), true, 0), 0);
    for (int i = 0; i < STEPS; i++) {
        uint32_t flow = rill_rng_below(&rng, FLOWS), bytes = 64 + rill_rng_below(&rng, 1400);
        uint64_t demand_bps = rill_rng_below(&rng, CAPACITY_BPS / 4);
        bool overload[2];
        uint32_t unit;

        if (rill_rng_below(&rng, 4) == 0)
            now_ns += rill_rng_below(&rng, 4 * T_NS);
        wam_flowlet_end(only.wam, id(1), &only.pending[flow], now_ns);
        rill_wam_flowlet_end(two.wam, id(1), &two.pending[flow], now_ns);
        unit = choose(&only, demand_bps, now_ns, &overload[0]);
        assert_int_equal(unit, id(1));
        unit = choose(&two, demand_bps, now_ns, &overload[1]);
        assert_int_equal(overload[0], overload[1]);
        if (overload[0]) {
            overloads++;
            now_ns += T_NS;
            continue;
        }
        chosen++;
        assert_int_equal(unit, id(1));
        wam_assign(only.wam, id(1), demand_bps, &only.pending[flow], now_ns);
        rill_wam_assign(two.wam, id(1), demand_bps, &two.pending[flow], now_ns);
        wam_drained(only.wam, id(1), bytes, &only.pending[flow], now_ns);
        rill_wam_drained(two.wam, id(1), bytes, &two.pending[flow], now_ns);
        assert_int_equal(only.pending[flow].bytes, two.pending[flow].bytes);
        if (rill_rng_below(&rng, 16) == 0)
            assert_int_equal(rill_wam_load_bps(only.wam, id(1), now_ns),
                             rill_wam_load_bps(two.wam, id(1), now_ns));
    }
    assert_true(chosen > STEPS / 10 && overloads > STEPS / 100);
    assert_int_equal(rill_wam_counters(only.wam)->choices, rill_wam_counters(two.wam)->choices);
    assert_int_equal(rill_wam_counters(only.wam)->overloads, overloads);
    rill_wam_destroy(only.wam);
    rill_wam_destroy(two.wam);
}

/* Who gave it the flowlet says that it should empty no longer; or there is another. */
static void the_short_way_is_for_one_that_stays(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_int_equal(wam_only(w.wam), id(1));
    assert_int_equal(wam_choose_only(w.wam, 1000, 0), id(1));
    rill_wam_set_draining(w.wam, id(1), true);
    assert_int_equal(wam_choose_only(w.wam, 1000, 0), 0);
    rill_wam_set_draining(w.wam, id(1), false);
    assert_int_equal(rill_wam_set_unit(w.wam, id(2), CAPACITY_BPS), 0);
    assert_int_equal(wam_choose_only(w.wam, 1000, 0), id(1));
    assert_int_equal(rill_wam_set_active(w.wam, id(2), true, 0), 0);
    assert_int_equal(wam_choose_only(w.wam, 1000, 0), 0);
    assert_int_equal(wam_only(w.wam), 0);
    rill_wam_destroy(w.wam);
}

/* The unit that the last flowlet went to is found without a search, but not when it is gone. */
static void a_unit_that_is_removed_is_found_no_more(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    wam_assign(w.wam, id(1), 1000000, &w.pending[0], 0);
    wam_drained(w.wam, id(1), 10, &w.pending[0], 0);
    assert_true(wam_is_active(w.wam, id(1)));
    rill_wam_remove_unit(w.wam, id(1));
    assert_false(wam_is_active(w.wam, id(1)));
    wam_drained(w.wam, id(1), 10, &w.pending[0], 0);
    assert_int_equal(w.pending[0].bytes, 0);
    assert_int_equal(rill_wam_load_bps(w.wam, id(1), 0), 0);
    assert_int_equal(rill_wam_set_unit(w.wam, id(2), CAPACITY_BPS), 0);
    assert_int_equal(rill_wam_load_bps(w.wam, id(2), 0), 0);
    rill_wam_destroy(w.wam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_only_unit_is_chosen_when_it_would_be),
        cmocka_unit_test(the_short_way_is_for_one_that_stays),
        cmocka_unit_test(a_unit_that_is_removed_is_found_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
