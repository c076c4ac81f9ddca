/* How many units are leased, and what packets do while none is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rill/nf.h>

#include "controller/controller_testing.h"

#define C rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define EPOCH_NS (100 * CORE_MS)
#define LEASE_NS (1000 * CORE_MS)
#define IDLE_NS (10 * CORE_MS)
#define IDLE_LAST_NS (400 * CORE_MS)
#define WAITING_NS (50 * CORE_MS)
#define UNIT_BPS UINT64_C(1000000000)

enum { WAITING_MAX = 3, UNITS_MAX = 8, WHOLE = 1000, PACKET_BYTES = 1000 };

static uint32_t wanted;           /* as the last request said */
static uint64_t to_first, to_all; /* packets that load() sent */

/* Grants what is asked for, units from 1 on. False: nothing is asked. */
static bool answer(void)
{
    struct rte_mbuf *request = core_take(&out, RILL_FRAME_LEASE_REQUEST, RM);

    if (request == NULL)
        return false;
    wanted = rill_frame(request)->count;
    give(lease_grant(rill_frame(request)->clock, 1, wanted / WHOLE));
    rte_pktmbuf_free(request);
    return true;
}

/* With a manager that answers at once. */
static void pass_leased(uint64_t ns)
{
    uint64_t until_ns = now_ns + ns;

    while (rill_controller_next_ns(c) <= until_ns) {
        now_ns = RTE_MAX(now_ns, rill_controller_next_ns(c));
        rill_controller_tick(c, now_ns, &out);
        answer();
    }
    now_ns = until_ns;
}

static void create_with(uint32_t units_min, uint32_t units_reserve)
{
    struct rill_controller_config config = controller_usual();

    config.inside_opens = true;
    config.pool_count = 0;
    config.placement = RILL_PLACEMENT_PACK;
    config.proactive = false;
    config.alpha = 0.25;
    config.flowlet_timeout_ns = CORE_MS / 2;
    config.unit_backlog_ns = CORE_MS / 10;
    config.lease_backlog_ns = 2 * CORE_MS;
    config.flowlet_bytes = 15000;
    config.flow_idle_ns = 100 * LEASE_NS;
    config.flow_closed_ns = LEASE_NS;
    config.frame_life_ns = EPOCH_NS;
    config.units_max = UNITS_MAX;
    config.units_min = units_min;
    config.units_reserve = units_reserve;
    config.epoch_ns = EPOCH_NS;
    config.lease_ns = LEASE_NS;
    config.idle_unit_ns = IDLE_NS;
    config.idle_last_unit_ns = IDLE_LAST_NS;
    config.waiting_packets = WAITING_MAX;
    config.waiting_ns = WAITING_NS;
    config.pool_quarantine_ns = LEASE_NS;
    controller_create(&config);
    to_first = to_all = 0;
}

static void create(uint32_t units_min)
{
    create_with(units_min, 0);
}

static int setup(void **state)
{
    controller_setup(state);
    create(0);
    pass_leased(CORE_MS);
    return 0;
}

static void send(uint16_t port)
{
    enter(core_udp("10.0.0.1", port, "192.0.2.1", 80, PACKET_BYTES), RILL_INSIDE);
}

static uint32_t data_to(uint32_t dst)
{
    return core_count(&out, RILL_FRAME_DATA, dst);
}

/* Counts what was sent to units, and says that their output loggers have it: flows may move on. */
static void take_data(void)
{
    struct rte_mbuf *data;

    to_first += data_to(unit(1));
    to_all += data_to(0);
    while ((data = core_take(&out, RILL_FRAME_DATA, 0)) != NULL) {
        struct rte_mbuf *m =
            core_frame(RILL_FRAME_ESTABLISHED, rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1), C);

        rill_frame(m)->flow = rill_frame(data)->flow;
        rill_frame(m)->term = rill_frame(data)->term;
        rill_frame(m)->next_unit = rill_frame(data)->dst;
        rte_pktmbuf_free(data);
        give(m);
    }
    core_clear(&out);
}

/* So much of one unit's capacity, over that time, from as many flows as packets fit in a ms. */
static void load(double units, uint64_t ns)
{
    uint64_t until_ns = now_ns + ns;
    uint64_t gap_ns = (uint64_t)(PACKET_BYTES * 8e9 / (double)UNIT_BPS / units);
    uint16_t port = 0;

    while (now_ns < until_ns) {
        send((uint16_t)(1000 + port++ % 50));
        answer();
        take_data();
        pass_leased(gap_ns);
    }
}

/* --- nothing is leased --- */

static void without_traffic_nothing_is_leased_and_nothing_said(void **state)
{
    (void)state;
    assert_int_equal(rill_controller_units(c), 0);
    core_clear(&out);
    pass_leased(100 * LEASE_NS);
    assert_int_equal(out.count, 0);
    assert_int_equal(n()->lease_requests, 1);
}

static void the_first_packet_brings_a_unit_and_waits_for_it(void **state)
{
    (void)state;
    send(1);
    send(2);
    send(1);
    assert_int_equal(n()->packets_waited, 3);
    assert_int_equal(rill_controller_packets_held(c), 3);
    assert_int_equal(data_to(0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_LEASE_REQUEST, RM), 1);
    assert_true(answer());
    assert_int_equal(wanted, WHOLE);
    assert_int_equal(rill_controller_packets_held(c), 0);
    for (uint64_t id = ingress_id - 2; id <= ingress_id; id++) /* in order */
        assert_int_equal(core_expect(&out, RILL_FRAME_DATA, unit(1)).ingress_id, id);
    assert_int_equal(n()->packets_in, 3);
    assert_int_equal(n()->flows, 2);
}

static void more_than_fit_are_dropped_and_counted(void **state)
{
    (void)state;
    for (uint16_t port = 0; port < WAITING_MAX + 2; port++)
        send(port);
    assert_int_equal(rill_controller_packets_held(c), WAITING_MAX);
    assert_int_equal(n()->dropped_waiting_full, 2);
}

static void where_no_unit_comes_packets_wait_so_long_and_no_longer(void **state)
{
    (void)state;
    send(1);
    core_clear(&out);
    now_ns += WAITING_NS - 1;
    rill_controller_tick(c, now_ns, &out);
    assert_int_equal(rill_controller_packets_held(c), 1);
    assert_true(rill_controller_next_ns(c) <= now_ns + 1);
    now_ns += 1;
    rill_controller_tick(c, now_ns, &out);
    assert_int_equal(rill_controller_packets_held(c), 0);
    assert_int_equal(n()->dropped_no_unit, 1);
}

/* The manager had none to give: it is asked again, and the packet goes on with the answer. */
static void where_there_is_none_it_is_asked_again(void **state)
{
    struct rill_frame first;
    struct rte_mbuf *m;

    (void)state;
    send(1);
    first = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM);
    m = core_frame(RILL_FRAME_LEASE_GRANT, RM, C);
    rill_frame(m)->clock = first.clock;
    give(m);
    assert_int_equal(rill_controller_packets_held(c), 1);
    send(1);
    assert_int_equal(core_count(&out, RILL_FRAME_LEASE_REQUEST, RM), 0); /* not for each packet */
    now_ns += EPOCH_NS;
    send(1);
    assert_true(answer());
    assert_int_equal(wanted, WHOLE);
}

static void what_no_flow_can_come_of_wakes_nobody(void **state)
{
    (void)state;
    core_clear(&out);
    enter(core_udp("198.51.100.7", 9, "192.0.2.1", 80, PACKET_BYTES), RILL_OUTSIDE);
    assert_int_equal(n()->dropped_unsolicited, 1);
    assert_int_equal(n()->packets_waited, 0);
    assert_int_equal(out.count, 0);
}

static void a_flow_goes_on_where_it_was_after_a_long_pause(void **state)
{
    struct rill_frame before, after;

    (void)state;
    send(1);
    answer();
    before = core_expect(&out, RILL_FRAME_DATA, unit(1));
    pass_leased(2 * IDLE_LAST_NS);
    assert_int_equal(rill_controller_units(c), 0);
    core_clear(&out);
    send(1);
    answer();
    after = core_expect(&out, RILL_FRAME_DATA, unit(1));
    assert_int_equal(after.flow, before.flow);
    assert_int_equal(after.term, before.term);
    assert_int_equal(after.clock, before.clock + 1);
    assert_int_equal(core_count(&out, RILL_FRAME_MOVE, 0), 0);
}

/* Its flows go on elsewhere, though nothing comes for them. */
static void a_death_brings_a_unit(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    send(1);
    answer();
    pass_leased(2 * IDLE_LAST_NS);
    assert_int_equal(rill_controller_units(c), 0);
    m = core_frame(RILL_FRAME_DEATH, RM, C);
    rill_frame(m)->next_unit = unit(9);
    rill_frame(m)->count = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 9);
    give(m);
    now_ns += CORE_MS;
    rill_controller_tick(c, now_ns, &out);
    assert_true(answer());
    assert_int_equal(wanted, WHOLE);
}

/* --- more and less --- */

static void units_min_are_leased_from_the_start(void **state)
{
    (void)state;
    create(2);
    pass_leased(10 * LEASE_NS);
    assert_int_equal(rill_controller_units(c), 2);
}

static void the_last_unit_stays_longer_than_others(void **state)
{
    (void)state;
    send(1);
    answer();
    pass_leased(IDLE_LAST_NS - 5 * CORE_MS);
    assert_int_equal(rill_controller_units(c), 1);
    pass_leased(10 * CORE_MS);
    assert_int_equal(rill_controller_units(c), 0);
    assert_int_equal(wanted, 0);
    assert_int_equal(n()->units_given_back, 1);
}

static void units_follow_the_load_within_an_epoch(void **state)
{
    (void)state;
    load(2.5, 3 * EPOCH_NS);
    assert_in_range(rill_controller_units(c), 3, 4);
    load(0.4, EPOCH_NS + 3 * IDLE_NS);
    assert_int_equal(rill_controller_units(c), 1);
    assert_in_range(n()->units_given_back, 2, 6);
    load(1.8, 2 * EPOCH_NS);
    assert_in_range(rill_controller_units(c), 2, 3);
}

/* What one unit can bear moves there, though the other's flows would have a bonus where they are.
 */
static void a_unit_that_is_too_much_is_emptied(void **state)
{
    (void)state;
    load(1.6, 2 * EPOCH_NS);
    assert_in_range(rill_controller_units(c), 2, 3);
    load(0.5, 2 * EPOCH_NS);
    to_first = to_all = 0;
    load(0.5, EPOCH_NS / 2);
    assert_true(to_all > 0);
    assert_int_equal(to_first, to_all);
    assert_int_equal(rill_controller_units(c), 1);
}

/* A burst of a millisecond waits at the unit that is there. */
static void a_short_burst_leases_nothing(void **state)
{
    (void)state;
    load(0.3, EPOCH_NS);
    assert_int_equal(rill_controller_units(c), 1);
    load(2, CORE_MS);
    assert_int_equal(rill_controller_units(c), 1);
    load(6, 3 * CORE_MS);
    assert_in_range(rill_controller_units(c), 2, 8);
}

/* --- in reserve --- */

/* Leased, and renewed, and nothing more. */
static void a_reserve_is_not_used_before_it_is_needed(void **state)
{
    (void)state;
    create_with(1, 1);
    pass_leased(3 * LEASE_NS);
    assert_int_equal(wanted, 2 * WHOLE);
    load(0.3, EPOCH_NS);
    assert_int_equal(rill_controller_units(c), 1);
    assert_int_equal(to_first, to_all);
    assert_int_equal(n()->reserves_used, 0);
}

/* Nobody is asked for it. */
static void the_first_packet_goes_to_the_reserve_at_once(void **state)
{
    (void)state;
    create_with(0, 1);
    pass_leased(CORE_MS);
    assert_int_equal(rill_controller_units(c), 0);
    assert_int_equal(wanted, WHOLE);
    core_clear(&out);
    send(1);
    assert_int_equal(core_expect(&out, RILL_FRAME_DATA, unit(1)).ingress_id, ingress_id);
    assert_int_equal(rill_controller_packets_held(c), 0);
    assert_int_equal(n()->reserves_used, 1);
    assert_true(answer());
    assert_int_equal(wanted, 2 * WHOLE); /* another in its place */
    assert_int_equal(rill_controller_units(c), 1);
}

static void the_reserve_takes_what_fits_nowhere_else(void **state)
{
    uint64_t grants;

    (void)state;
    create_with(1, 1);
    pass_leased(CORE_MS);
    core_clear(&out);
    grants = n()->lease_grants;
    for (uint16_t port = 1; rill_controller_units(c) == 1 && port < 1000; port++) {
        send(port % 50);
        now_ns += 2000; /* four times what a unit can bear, and no answer from the manager */
    }
    assert_int_equal(rill_controller_units(c), 2);
    assert_int_equal(n()->lease_grants, grants);
    assert_int_equal(n()->reserves_used, 1);
}

/* The load is gone: one is used, one kept, and the others go back. */
static void what_is_not_needed_becomes_the_reserve(void **state)
{
    (void)state;
    create_with(0, 1);
    load(2.5, 3 * EPOCH_NS);
    assert_in_range(rill_controller_units(c), 3, 4);
    load(0.4, EPOCH_NS + 3 * IDLE_NS);
    assert_int_equal(rill_controller_units(c), 1);
    assert_int_equal(wanted, 2 * WHOLE);
    pass_leased(2 * IDLE_LAST_NS);
    assert_int_equal(rill_controller_units(c), 0);
    assert_int_equal(wanted, WHOLE);
}

static void a_death_brings_the_reserve(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    create_with(0, 1);
    send(1);
    answer();
    pass_leased(2 * IDLE_LAST_NS);
    assert_int_equal(rill_controller_units(c), 0);
    m = core_frame(RILL_FRAME_DEATH, RM, C);
    rill_frame(m)->next_unit = unit(9);
    rill_frame(m)->count = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 9);
    give(m);
    now_ns += CORE_MS;
    rill_controller_tick(c, now_ns, &out);
    assert_int_equal(rill_controller_units(c), 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, controller_teardown)
    const struct CMUnitTest tests[] = {
        T(without_traffic_nothing_is_leased_and_nothing_said),
        T(the_first_packet_brings_a_unit_and_waits_for_it),
        T(more_than_fit_are_dropped_and_counted),
        T(where_no_unit_comes_packets_wait_so_long_and_no_longer),
        T(where_there_is_none_it_is_asked_again),
        T(what_no_flow_can_come_of_wakes_nobody),
        T(a_flow_goes_on_where_it_was_after_a_long_pause),
        T(a_death_brings_a_unit),
        T(units_min_are_leased_from_the_start),
        T(the_last_unit_stays_longer_than_others),
        T(units_follow_the_load_within_an_epoch),
        T(a_unit_that_is_too_much_is_emptied),
        T(a_short_burst_leases_nothing),
        T(a_reserve_is_not_used_before_it_is_needed),
        T(the_first_packet_goes_to_the_reserve_at_once),
        T(the_reserve_takes_what_fits_nowhere_else),
        T(what_is_not_needed_becomes_the_reserve),
        T(a_death_brings_the_reserve),
    };

    return cmocka_run_group_tests_name("capacity", tests, core_group_setup, core_group_teardown);
}
