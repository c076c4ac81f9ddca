/* A controller that takes another's place: its leases are the new one's, the units hear of it, and
 * who asks who is there is told of the living and of the dead that are not recovered from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rm/rm.h"
#include "tests/core_testing.h"

enum { UNITS = 3, SLOT = 2, MEMBERS_MAX = 16 };

#define RM rill_role_id(RILL_ROLE_RM, 1)
#define BEFORE rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define AFTER rill_role_id(RILL_ROLE_CONTROLLER, 2)
#define OTHER rill_role_id(RILL_ROLE_CONTROLLER, 3)
#define OLD rill_epoch(SLOT, 4)
#define NEW rill_epoch(SLOT, 5)
#define OTHERS rill_epoch(SLOT + 1, 1)
#define RESEND_NS (10 * CORE_MS)

static struct rill_rm *rm;
static struct rill_outbox out;
static uint64_t now_ns;
static unsigned in_use;

static uint32_t unit(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

static uint32_t logger(uint32_t number)
{
    return rill_role_id(RILL_ROLE_OUTPUT_LOGGER, number);
}

static int setup(void **state)
{
    const struct rill_rm_config config = {.id = RM,
                                          .epoch_ns = 100 * CORE_MS,
                                          .lease_ns = 300 * CORE_MS,
                                          .margin_ns = 50 * CORE_MS,
                                          .resend_ns = RESEND_NS,
                                          .pool = core_pool};
    struct rill_error err;

    (void)state;
    in_use = core_in_use();
    now_ns = CORE_MS;
    rm = rill_rm_create(&config, &err);
    assert_non_null(rm);
    for (uint32_t i = 1; i <= UNITS; i++)
        assert_int_equal(rill_rm_add_unit(rm, unit(i), logger(i), 1000000000, 1000, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rill_rm_destroy(rm);
    rill_outbox_fini(&out);
    return core_in_use() == in_use ? 0 : -1;
}

static const struct rill_rm_counters *n(void)
{
    return rill_rm_counters(rm);
}

static void give(struct rte_mbuf *m)
{
    rill_rm_recv(rm, &m, 1, now_ns, &out);
}

static struct rte_mbuf *from(uint32_t controller, uint16_t epoch, enum rill_frame_type type,
                             uint64_t number)
{
    struct rte_mbuf *m = core_frame(type, controller, RM);

    rill_frame(m)->epoch = epoch;
    rill_frame(m)->clock = number;
    return m;
}

static void ask(uint32_t controller, uint16_t epoch, uint64_t number, uint32_t wanted)
{
    struct rte_mbuf *m = from(controller, epoch, RILL_FRAME_LEASE_REQUEST, number);

    rill_frame(m)->count = wanted;
    give(m);
}

/* All units that were told of a share say that they have it; gives how many. */
static uint32_t acknowledge(void)
{
    uint32_t acks = 0;
    struct rte_mbuf *m;

    while ((m = core_take(&out, RILL_FRAME_SHARE, 0)) != NULL) {
        struct rill_frame f = *rill_frame(m);

        rte_pktmbuf_free(m);
        m = core_frame(RILL_FRAME_SHARE_ACK, f.dst, RM);
        rill_frame(m)->clock = f.clock;
        rill_frame(m)->next_unit = f.next_unit;
        rill_frame(m)->count = f.count;
        give(m);
        acks++;
    }
    return acks;
}

/* A controller with units 1 and 2. */
static void lease_two(uint32_t controller, uint16_t epoch)
{
    ask(controller, epoch, 1, 2000);
    assert_int_equal(acknowledge(), 2);
    core_expect(&out, RILL_FRAME_LEASE_GRANT, controller);
    assert_int_equal(out.count, 0);
}

static struct rill_member members[MEMBERS_MAX];

/* What the controller is told; gives how many members. */
static uint32_t members_told(uint32_t controller, uint16_t epoch, uint64_t number)
{
    struct rte_mbuf *m;
    uint32_t count;

    give(from(controller, epoch, RILL_FRAME_MEMBERS_REQUEST, number));
    m = core_take(&out, RILL_FRAME_MEMBERS, controller);
    assert_non_null(m);
    assert_int_equal(rill_frame(m)->clock, number);
    count = rill_frame(m)->count;
    assert_in_range(count, 1, MEMBERS_MAX);
    assert_int_equal(rte_pktmbuf_pkt_len(m), count * sizeof(members[0]));
    assert_int_equal(rill_body_read(m, 0, members, count * (uint32_t)sizeof(members[0])), 0);
    rte_pktmbuf_free(m);
    return count;
}

static void controller_says(uint32_t controller, uint16_t epoch, enum rill_frame_type type,
                            uint32_t about)
{
    struct rte_mbuf *m = from(controller, epoch, type, 0);

    rill_frame(m)->next_unit = about;
    rill_frame(m)->count = logger(rill_role_number(about));
    give(m);
}

/* --- leases ----------------------------------------------------------------------------------- */

static void leases_are_taken_over_and_the_units_told(void **state)
{
    struct rill_frame f;

    (void)state;
    lease_two(BEFORE, OLD);
    give(from(AFTER, NEW, RILL_FRAME_MEMBERS_REQUEST, 1));
    assert_int_equal(n()->takeovers, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE, 0), 2);
    for (uint32_t i = 1; i <= 2; i++) {
        f = core_expect(&out, RILL_FRAME_SHARE, unit(i));
        assert_int_equal(f.next_unit, AFTER);
        assert_int_equal(f.epoch, NEW);
        assert_int_equal(f.count, 1000);
        assert_int_equal(rill_rm_share(rm, unit(i), AFTER), 1000);
        assert_int_equal(rill_rm_share(rm, unit(i), BEFORE), 0);
    }
    /* and told again until they say so */
    now_ns += RESEND_NS;
    rill_rm_tick(rm, now_ns, &out);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE, 0), 2);
    core_clear(&out);
    ask(AFTER, NEW, 1, 2000);
    f = core_expect(&out, RILL_FRAME_LEASE_GRANT, AFTER); /* the slot's share is there all along */
    assert_int_equal(f.count, 2);
    assert_int_equal(f.clock, 1);
    now_ns += RESEND_NS;
    rill_rm_tick(rm, now_ns, &out);
    assert_int_equal(acknowledge(), 2);
    now_ns += RESEND_NS;
    rill_rm_tick(rm, now_ns, &out);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE, 0), 0);
}

/* A request for units says who one is as well; and its numbers begin anew. */
static void a_request_takes_the_place_too(void **state)
{
    (void)state;
    ask(BEFORE, OLD, 100, 2000);
    acknowledge();
    core_clear(&out);
    ask(AFTER, NEW, 1, 1000);
    acknowledge();
    assert_int_equal(n()->takeovers, 1);
    assert_int_equal(n()->requests_stale, 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_LEASE_GRANT, AFTER).count, 1);
}

static void who_was_replaced_is_refused(void **state)
{
    (void)state;
    lease_two(BEFORE, OLD);
    give(from(AFTER, NEW, RILL_FRAME_MEMBERS_REQUEST, 1));
    acknowledge();
    core_clear(&out);
    ask(BEFORE, OLD, 2, 500);
    give(from(BEFORE, OLD, RILL_FRAME_MEMBERS_REQUEST, 7));
    assert_int_equal(n()->requests_refused, 2);
    assert_int_equal(out.count, 0);
    assert_int_equal(rill_rm_share(rm, unit(1), AFTER), 1000);
    assert_int_equal(n()->takeovers, 1);
}

static void other_slots_keep_their_leases(void **state)
{
    (void)state;
    lease_two(BEFORE, OLD);
    ask(OTHER, OTHERS, 1, 1000);
    acknowledge();
    core_clear(&out);
    give(from(AFTER, NEW, RILL_FRAME_MEMBERS_REQUEST, 1));
    assert_int_equal(rill_rm_share(rm, unit(3), OTHER), 1000);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE, unit(3)), 0);
}

/* Without an epoch there is no slot: each is itself. */
static void without_an_epoch_nobody_is_replaced(void **state)
{
    (void)state;
    ask(BEFORE, 0, 1, 1000);
    acknowledge();
    ask(AFTER, 0, 1, 1000);
    acknowledge();
    assert_int_equal(n()->takeovers, 0);
    assert_int_equal(rill_rm_share(rm, unit(1), BEFORE) + rill_rm_share(rm, unit(2), BEFORE), 1000);
}

/* --- who is there ----------------------------------------------------------------------------- */

static void members_are_all_that_live(void **state)
{
    (void)state;
    lease_two(BEFORE, OLD);
    assert_int_equal(members_told(AFTER, NEW, 77), UNITS); /* leased or not */
    for (uint32_t i = 0; i < UNITS; i++) {
        assert_int_equal(members[i].unit, unit(i + 1));
        assert_int_equal(members[i].output_logger, logger(i + 1));
        assert_int_equal(members[i].dead, 0);
    }
    assert_int_equal(n()->members_told, 1);
}

static void a_stranger_is_told_nothing(void **state)
{
    (void)state;
    give(from(unit(1), NEW, RILL_FRAME_MEMBERS_REQUEST, 1));
    assert_int_equal(out.count, 0);
    assert_int_equal(n()->requests_refused, 1);
}

/* Of the dead those that nobody of its slot has recovered from. */
static void members_are_the_dead_too_until_recovered_from(void **state)
{
    (void)state;
    lease_two(BEFORE, OLD);
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    assert_int_equal(members_told(AFTER, NEW, 1), UNITS);
    assert_int_equal(members[0].unit, unit(2));
    assert_int_equal(members[1].unit, unit(3));
    assert_int_equal(members[2].unit, unit(1));
    assert_int_equal(members[2].output_logger, logger(1));
    assert_int_equal(members[2].dead, 1);
    controller_says(AFTER, NEW, RILL_FRAME_RECOVERED, unit(1));
    assert_int_equal(members_told(AFTER, NEW, 2), UNITS - 1);
}

static void a_lost_logger_is_said(void **state)
{
    (void)state;
    lease_two(BEFORE, OLD);
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    rill_rm_logger_lost(rm, unit(1), now_ns, &out);
    assert_int_equal(members_told(AFTER, NEW, 1), UNITS);
    assert_int_equal(members[2].unit, unit(1));
    assert_int_equal(members[2].output_logger, 0);
}

/* What the one before had heard of, the new one has not. */
static void deaths_are_told_anew(void **state)
{
    uint32_t dead, of_logger;

    (void)state;
    lease_two(BEFORE, OLD);
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    rill_rm_unit_died(rm, unit(2), now_ns, &out);
    core_expect(&out, RILL_FRAME_DEATH, BEFORE);
    core_expect(&out, RILL_FRAME_DEATH, BEFORE);
    controller_says(BEFORE, OLD, RILL_FRAME_DEATH_ACK, unit(1));
    controller_says(BEFORE, OLD, RILL_FRAME_DEATH_ACK, unit(2));
    controller_says(BEFORE, OLD, RILL_FRAME_RECOVERED, unit(2));
    assert_true(rill_rm_recovered(rm, &dead, &of_logger));
    assert_int_equal(dead, unit(2));
    core_clear(&out);
    give(from(AFTER, NEW, RILL_FRAME_MEMBERS_REQUEST, 1));
    assert_int_equal(core_expect(&out, RILL_FRAME_DEATH, AFTER).next_unit, unit(1));
    assert_int_equal(core_count(&out, RILL_FRAME_DEATH, 0), 0);
    now_ns += RESEND_NS;
    rill_rm_tick(rm, now_ns, &out);
    assert_int_equal(core_count(&out, RILL_FRAME_DEATH, AFTER), 1);
    assert_int_equal(core_count(&out, RILL_FRAME_DEATH, BEFORE), 0);
    /* only the new one's word ends it */
    controller_says(BEFORE, OLD, RILL_FRAME_RECOVERED, unit(1));
    assert_false(rill_rm_recovered(rm, &dead, &of_logger));
    controller_says(AFTER, NEW, RILL_FRAME_RECOVERED, unit(1));
    assert_true(rill_rm_recovered(rm, &dead, &of_logger));
    assert_int_equal(dead, unit(1));
    assert_int_equal(of_logger, logger(1));
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(leases_are_taken_over_and_the_units_told),
        T(a_request_takes_the_place_too),
        T(who_was_replaced_is_refused),
        T(other_slots_keep_their_leases),
        T(without_an_epoch_nobody_is_replaced),
        T(members_are_all_that_live),
        T(a_stranger_is_told_nothing),
        T(members_are_the_dead_too_until_recovered_from),
        T(a_lost_logger_is_said),
        T(deaths_are_told_anew),
    };

    return cmocka_run_group_tests_name("rm_takeover", tests, core_group_setup, core_group_teardown);
}
