/* What a controller does when a unit dies: its flows go on elsewhere, all of them and at once, and
 * the resource manager hears when nothing needs the dead unit's output logger any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rill/nf.h>

#include "controller/controller_testing.h"

enum { UNITS_MAX = 16, US = 1000 };

#define C rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define T_NS (1 * CORE_MS)
#define EPOCH_NS (200 * CORE_MS)
#define LEASE_NS (5000 * CORE_MS)
#define RETRY_NS (10 * CORE_MS)
#define IDLE_NS (1000 * CORE_MS)
#define QUARANTINE_NS (500 * CORE_MS)

static struct rill_resend resend;
static bool on_demand; /* no unit is leased before there is a packet, nor longer than it is used */
static uint64_t vouched_ns;

/* What is due next, and nothing else. */
static void next_turn(void)
{
    now_ns = RTE_MAX(now_ns, rill_controller_next_ns(c));
    rill_controller_tick(c, now_ns, &out);
}

/* So long that a whole pass over the flows begins and ends. */
static void pass_over_flows(void)
{
    pass_time(2 * RETRY_NS);
}

/* --- leases --- */

/* Packets of every flow go to the least used unit. */
static void create(uint32_t units)
{
    struct rill_controller_config config = controller_usual();

    config.flow_idle_ns = IDLE_NS;
    config.vouched_ns = vouched_ns;
    config.units_max = UNITS_MAX;
    config.units_min = on_demand ? 0 : 1;
    config.epoch_ns = EPOCH_NS;
    config.lease_ns = LEASE_NS;
    if (on_demand)
        config.idle_unit_ns = 50 * CORE_MS;
    config.retry_ns = RETRY_NS;
    config.resend = resend;
    config.pool_quarantine_ns = QUARANTINE_NS;
    controller_create(&config);
    rill_controller_tick(c, now_ns, &out);
    if (on_demand)
        send_packet(1);
    lease(1, units);
    assert_int_equal(rill_controller_units(c), units);
}

static int setup(void **state)
{
    controller_setup(state);
    resend = (struct rill_resend){0}; /* as often as at first */
    on_demand = false;
    vouched_ns = 0;
    create(3);
    return 0;
}

/* --- flows: told apart by their port --- */

static struct rill_frame sent(uint16_t port)
{
    send_packet(port);
    return core_expect(&out, RILL_FRAME_DATA, 0);
}

static void establish(const struct rill_frame *of)
{
    give(about(RILL_FRAME_ESTABLISHED, logger(rill_role_number(of->dst)), of));
    core_expect(&out, RILL_FRAME_ESTABLISHED_ACK, 0);
}

/* An established flow at some unit. */
static struct rill_frame established_flow(uint16_t port)
{
    struct rill_frame f = sent(port);

    establish(&f);
    return f;
}

/* Packets of another flow, so that the number of the next flow is so much higher. */
static void skip_numbers(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sent(60000);
}

/* --- deaths --- */

static struct rte_mbuf *death(uint32_t role, uint32_t output_logger)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_DEATH, RM, C);

    rill_frame(m)->next_unit = role;
    rill_frame(m)->count = output_logger;
    return m;
}

static void die(uint32_t role)
{
    give(death(role, logger(rill_role_number(role))));
    assert_int_equal(core_expect(&out, RILL_FRAME_DEATH_ACK, RM).next_unit, role);
}

static struct rte_mbuf *word(enum rill_frame_type type, uint32_t src, uint32_t about_unit)
{
    struct rte_mbuf *m = core_frame(type, src, C);

    rill_frame(m)->next_unit = about_unit;
    return m;
}

static void expect_recovered(uint32_t role)
{
    assert_int_equal(core_expect(&out, RILL_FRAME_RECOVERED, RM).next_unit, role);
}

static uint32_t takes(void)
{
    return core_count(&out, RILL_FRAME_TAKE, 0);
}

/* --- the word goes round --- */

static void a_death_is_acknowledged_each_time_and_told_once(void **state)
{
    struct rill_frame f;

    (void)state;
    core_clear(&out);
    for (int i = 0; i < 3; i++)
        die(unit(1));
    assert_int_equal(n()->deaths, 1);
    for (uint32_t i = 2; i <= 3; i++) {
        f = core_expect(&out, RILL_FRAME_DEAD, unit(i));
        assert_int_equal(f.next_unit, unit(1));
        assert_int_equal(f.count, logger(1));
    }
    assert_int_equal(core_count(&out, RILL_FRAME_DEAD, 0), 0); /* the dead one is not told */
    assert_int_equal(core_expect(&out, RILL_FRAME_FENCE, logger(1)).next_unit, unit(1));
    assert_int_equal(core_count(&out, RILL_FRAME_FENCE, 0), 0);
    assert_int_equal(rill_controller_units(c), 2);
}

static void the_fence_is_repeated_until_acknowledged(void **state)
{
    (void)state;
    die(unit(1));
    core_clear(&out);
    give(word(RILL_FRAME_FENCE_ACK, logger(1), unit(2))); /* of another */
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_FENCE, logger(1));
    give(word(RILL_FRAME_FENCE_ACK, logger(1), unit(1)));
    core_clear(&out);
    pass_time(4 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_FENCE, 0), 0);
}

static uint32_t said_within(enum rill_frame_type type, uint64_t ns)
{
    uint32_t said;

    core_clear(&out);
    pass_time(ns);
    said = core_count(&out, type, 0);
    core_clear(&out);
    return said;
}

/* An output logger that does not answer is told rarely; and leases are asked for all the same. */
static void the_fence_is_repeated_more_and_more_rarely(void **state)
{
    (void)state;
    resend = (struct rill_resend){.attempts = 3, .slow_ns = 500 * RETRY_NS};
    create(3);
    die(unit(1));
    assert_int_equal(said_within(RILL_FRAME_FENCE, 100 * RETRY_NS), 2);
    assert_true(n()->resends_slowed >= 1);
    assert_int_equal(said_within(RILL_FRAME_FENCE, 2000 * RETRY_NS), 4);
    assert_true(said_within(RILL_FRAME_LEASE_REQUEST, 10 * EPOCH_NS) >= 9);
    die(unit(2)); /* news */
    assert_true(said_within(RILL_FRAME_FENCE, 4 * RETRY_NS) >= 2);
}

static void a_death_that_makes_no_sense_is_malformed(void **state)
{
    (void)state;
    core_clear(&out);
    give(death(logger(1), logger(1)));
    give(death(0, logger(1)));
    give(death(unit(1), unit(2)));
    assert_int_equal(n()->messages_malformed, 3);
    assert_int_equal(n()->deaths, 0);
    assert_int_equal(out.count, 0);
    assert_int_equal(rill_controller_units(c), 3);
}

static void only_so_many_deaths_are_under_way(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < DEATHS_MAX; i++)
        die(unit(100 + i));
    core_clear(&out);
    give(death(unit(1), logger(1)));
    assert_int_equal(out.count, 0); /* said again later */
    assert_int_equal(n()->deaths, DEATHS_MAX);
    die(unit(100)); /* those that are in are still acknowledged */
    pass_over_flows();
    for (uint32_t i = 0; i < DEATHS_MAX; i++) {
        give(word(RILL_FRAME_FENCE_ACK, logger(100 + i), unit(100 + i)));
        give(word(RILL_FRAME_RECOVERED_ACK, RM, unit(100 + i)));
    }
    pass_time(LEASE_NS + 2 * RETRY_NS);
    die(unit(1));
    assert_int_equal(n()->deaths, DEATHS_MAX + 1);
}

/* --- flows go on --- */

/* Without its next packet: until then its state is at one place alone. */
static void a_dead_units_flow_goes_to_another(void **state)
{
    struct rill_frame f = established_flow(1), take;

    (void)state;
    core_clear(&out);
    die(f.dst);
    pass_time(10 * US);
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_int_not_equal(take.dst, f.dst);
    assert_int_equal(rill_role_kind(take.dst), RILL_ROLE_UNIT);
    assert_int_equal(take.flow, f.flow);
    assert_int_equal(take.epoch, 3);
    assert_true(take.term > f.term);
    assert_int_equal(take.chain_len, 1);
    assert_int_equal(take.chain[0].term, f.term);
    assert_int_equal(take.chain[0].unit, f.dst);
    assert_int_equal(take.chain[0].output_logger, logger(rill_role_number(f.dst)));
    assert_int_equal(n()->flows_rehomed, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_MOVE, 0), 0); /* nobody is there */
}

static void take_is_repeated_until_the_term_is_established(void **state)
{
    struct rill_frame f = established_flow(1), first, again;

    (void)state;
    die(f.dst);
    pass_time(10 * US);
    first = core_expect(&out, RILL_FRAME_TAKE, 0);
    for (int i = 0; i < 3; i++) {
        core_clear(&out);
        pass_over_flows();
        again = core_expect(&out, RILL_FRAME_TAKE, first.dst);
        assert_int_equal(again.term, first.term);
    }
    establish(&f); /* the dead one's logger, late: changes nothing */
    core_clear(&out);
    pass_over_flows();
    assert_true(takes() > 0);
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    establish(&first);
    core_clear(&out);
    pass_over_flows();
    assert_int_equal(takes(), 0);
    expect_recovered(f.dst);
    assert_int_equal(n()->flows_rehomed, 1);
}

static void the_next_packet_does_not_wait_for_the_pass(void **state)
{
    struct rill_frame f = established_flow(1), next;

    (void)state;
    die(f.dst);
    next = sent(1); /* of the same flowlet */
    assert_int_not_equal(next.dst, f.dst);
    assert_true(next.term > f.term);
    assert_true(next.flags & RILL_FLAG_MOVED);
    assert_int_equal(next.chain_len, 1);
    assert_int_equal(next.chain[0].output_logger, logger(rill_role_number(f.dst)));
    assert_int_equal(core_count(&out, RILL_FRAME_MOVE, 0), 0);
    pass_time(10 * US);
    assert_int_equal(core_expect(&out, RILL_FRAME_TAKE, next.dst).term, next.term);
    assert_int_equal(n()->flows_rehomed, 0);
}

/* A death overrides "one move at a time". */
static void an_unestablished_flow_moves_too(void **state)
{
    struct rill_frame f = sent(1), next;

    (void)state;
    die(f.dst);
    next = sent(1);
    assert_int_not_equal(next.dst, f.dst);
    assert_int_equal(next.chain_len, 2);
    assert_int_equal(next.chain[0].term, f.term);
    assert_int_equal(next.chain[0].output_logger, logger(rill_role_number(f.dst)));
    assert_int_equal(next.chain[1].term, RILL_BIRTH_TERM);
    assert_int_equal(next.chain[1].output_logger, 0);
}

static void flows_of_other_units_stay_where_they_are(void **state)
{
    struct rill_frame a = established_flow(1), b = established_flow(2);

    (void)state;
    assert_int_not_equal(a.dst, b.dst);
    die(a.dst);
    core_clear(&out);
    pass_time(10 * US);
    assert_int_equal(core_expect(&out, RILL_FRAME_TAKE, 0).flow, a.flow);
    assert_int_equal(takes(), 0);
    b = sent(2);
    assert_int_equal(b.chain_len, 0);
}

/* It went from the dead unit to one that lives and has not begun: that must hear whom to ask, and
 * fetch the state, packet or not. */
static void who_has_a_flow_from_the_dead_unit_is_told_to_take_it(void **state)
{
    struct rill_frame f = established_flow(1), next, take;

    (void)state;
    now_ns += 2 * T_NS;
    next = sent(1); /* moved by its gap */
    assert_int_not_equal(next.dst, f.dst);
    assert_int_equal(next.chain[0].output_logger, 0);
    core_clear(&out);
    die(f.dst);
    core_expect(&out, RILL_FRAME_DEAD, next.dst);
    pass_time(10 * US);
    take = core_expect(&out, RILL_FRAME_TAKE, next.dst);
    assert_int_equal(take.term, next.term);
    assert_int_equal(take.chain[0].unit, f.dst);
    assert_int_equal(take.chain[0].output_logger, logger(rill_role_number(f.dst)));
    assert_int_equal(n()->flows_rehomed, 0);
    next = sent(1);
    assert_int_equal(next.chain[0].output_logger, logger(rill_role_number(f.dst)));
}

static void where_is_answered_with_whom_to_ask(void **state)
{
    struct rill_frame f = established_flow(1), next, chain;

    (void)state;
    now_ns += 2 * T_NS;
    next = sent(1);
    die(f.dst);
    give(about(RILL_FRAME_WHERE, next.dst, &next));
    chain = core_expect(&out, RILL_FRAME_CHAIN, next.dst);
    assert_int_equal(chain.flags & RILL_FLAG_REFUSED, 0);
    assert_int_equal(chain.chain_len, 1);
    assert_int_equal(chain.chain[0].unit, f.dst);
    assert_int_equal(chain.chain[0].output_logger, logger(rill_role_number(f.dst)));
}

/* One after another dies, and none had begun: up to seven are remembered. Gives the newest term,
 * whose owner is dead, too. */
static struct rill_frame full_chain(void)
{
    uint32_t entries = 2; /* the flow's first term, and its birth */
    struct rill_frame take;

    create(8);
    take = sent(1);
    while (entries < RILL_CHAIN_MAX) {
        die(take.dst);
        pass_time(10 * US);
        take = core_expect(&out, RILL_FRAME_TAKE, 0);
        assert_int_equal(take.chain_len, entries++);
        assert_int_equal(take.chain[take.chain_len - 1].term, RILL_BIRTH_TERM);
    }
    core_clear(&out);
    die(take.dst);
    pass_over_flows();
    return take;
}

/* The flow waits until one of them turns out to have had it. */
static void a_full_chain_waits(void **state)
{
    struct rill_frame f, take = full_chain();

    (void)state;
    assert_int_equal(takes(), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    f = sent(1);
    assert_int_equal(f.chain_len, RILL_CHAIN_MAX - 1);
    assert_int_equal(f.chain[f.chain_len - 1].term, RILL_BIRTH_TERM);
    establish(&take); /* its logger had it all the time */
    pass_over_flows();
    f = take;
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_int_equal(take.chain_len, 1);
    assert_int_equal(take.chain[0].term, f.term);
    assert_int_equal(take.chain[0].unit, f.dst);
}

/* Nothing of that term, says the output logger that was asked. */
static void refuse(const struct rill_frame *asked, uint64_t term)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_LOGGER_STATE, asked->dst, C);
    struct rill_frame *f = rill_frame(m);

    f->flow = asked->flow;
    f->granted_term = term;
    f->next_term = asked->next_term;
    f->next_unit = asked->next_unit;
    f->flags = RILL_FLAG_REFUSED;
    give(m);
}

/* ... or that its newest owner never had. Nobody else would ask. ("full_chain") */
static void the_last_owner_of_a_full_chain_is_asked_about(void **state)
{
    struct rill_frame last = full_chain(), take, asked;

    (void)state;
    asked = core_expect(&out, RILL_FRAME_LOGGER_PULL, logger(rill_role_number(last.dst)));
    assert_true(asked.flow == last.flow && asked.granted_term == last.term);
    assert_true(asked.next_term > last.term);
    assert_int_equal(asked.next_unit, last.dst);
    core_clear(&out);
    refuse(&asked, last.term - 1); /* to another question */
    assert_int_equal(takes(), 0);
    refuse(&asked, last.term);
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_true(take.term > last.term);
    assert_int_equal(take.chain_len, RILL_CHAIN_MAX - 1);
    assert_true(take.chain[0].term < last.term);
    assert_true(n()->owners_asked_about >= 1);
    refuse(&asked, last.term); /* again */
    core_clear(&out);
    pass_over_flows();
    assert_int_equal(core_count(&out, RILL_FRAME_LOGGER_PULL, 0), 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_TAKE, 0).chain_len, RILL_CHAIN_MAX - 1);
}

/* The last owner's logger says that it has nothing while no unit is leased: the flow waits for one,
 * and that death is not over until then. */
static void a_full_chain_waits_for_a_unit(void **state)
{
    struct rill_controller_config config = controller_usual();
    struct rill_frame take, asked;

    (void)state;
    config.pool_count = 0; /* no endpoints hold a death back */
    config.flow_idle_ns = 1000000 * CORE_MS;
    config.lease_ns = 500 * CORE_MS;
    config.epoch_ns = 100 * CORE_MS;
    controller_create(&config);
    rill_controller_tick(c, now_ns, &out);
    lease(1, 6);
    take = sent(1);
    for (uint32_t i = 0; i < 5; i++) {
        die(take.dst);
        pass_time(10 * US);
        take = core_expect(&out, RILL_FRAME_TAKE, 0);
    }
    die(take.dst);
    assert_int_equal(rill_controller_units(c), 0);
    core_clear(&out);
    pass_over_flows();
    asked = core_expect(&out, RILL_FRAME_LOGGER_PULL, logger(rill_role_number(take.dst)));
    refuse(&asked, take.term);
    core_clear(&out);
    pass_over_flows();
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    pass_time(2 * config.lease_ns);
    core_clear(&out);
    pass_time(2 * config.epoch_ns);
    lease(7, 7);
    core_clear(&out);
    pass_time(100 * CORE_MS);
    refuse(&asked, take.term);
    assert_true(core_count(&out, RILL_FRAME_TAKE, unit(7)) > 0);
    assert_int_equal(core_count(&out, RILL_FRAME_TAKE, take.dst), 0);
}

static void a_full_chain_ends_with_a_lost_owner(void **state)
{
    struct rill_frame last = full_chain();

    (void)state;
    give(death(last.dst, 0));
    pass_over_flows();
    assert_false(rill_controller_flow_alive(c, last.flow));
    assert_int_equal(n()->flows_lost, 1);
}

/* All are dead: more is asked for at once, and the flows go on when it comes. */
static void without_a_unit_flows_wait_for_one(void **state)
{
    struct rill_frame f;

    (void)state;
    create(1);
    f = established_flow(1);
    core_clear(&out);
    die(f.dst);
    pass_time(10 * US);
    assert_int_equal(takes(), 0);
    assert_int_equal(rill_controller_units(c), 0);
    send_packet(1);
    assert_int_equal(n()->packets_waited, 1);
    lease(5, 5); /* was asked for long before the epoch's end */
    pass_over_flows();
    assert_true(core_count(&out, RILL_FRAME_TAKE, unit(5)) > 0);
    assert_int_equal(sent(1).dst, unit(5));
}

/* The unit was to be given back, as nobody used it, when it died. */
static void a_unit_is_asked_for_though_none_was_wanted_before(void **state)
{
    uint64_t number;
    struct rill_frame f;

    (void)state;
    on_demand = true;
    create(1);
    f = core_expect(&out, RILL_FRAME_DATA, unit(1));
    establish(&f);
    core_clear(&out);
    pass_time(EPOCH_NS);
    f = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM);
    assert_int_equal(f.count, 0);
    number = f.clock;
    die(unit(1));
    core_clear(&out);
    give(lease_grant(number, 1, 0));
    pass_time(10 * US);
    assert_int_equal(core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).count, 1000);
}

/* --- it is over --- */

static void without_flows_it_is_over_after_a_pass(void **state)
{
    (void)state;
    die(unit(1));
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    pass_time(10 * US);
    expect_recovered(unit(1));
}

static void recovered_is_repeated_until_acknowledged(void **state)
{
    (void)state;
    die(unit(1));
    pass_time(10 * US);
    core_clear(&out);
    give(word(RILL_FRAME_RECOVERED_ACK, RM, unit(2))); /* of another */
    pass_over_flows();
    expect_recovered(unit(1));
    give(word(RILL_FRAME_RECOVERED_ACK, RM, unit(1)));
    core_clear(&out);
    pass_over_flows();
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_FENCE, 0), 0); /* its logger may be gone by now */
}

/* An answer from before is not one to what has not been said yet. */
/* Its logger may have the newest copy of a flow that gave way, while others tell of older ones. */
static void a_death_is_not_over_soon_after_a_flow_gave_way(void **state)
{
    (void)state;
    vouched_ns = IDLE_NS / 4;
    create(1);
    for (uint16_t port = 1; rill_controller_counters(c)->flows_evicted == 0; port++) {
        struct rill_frame f = sent(port);

        establish(&f);
        core_clear(&out);
        now_ns += US;
    }
    pass_time(EPOCH_NS);
    lease(1, 2);
    die(unit(2)); /* no flow that is known was ever there */
    core_clear(&out);
    pass_over_flows();
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    pass_time(vouched_ns);
    expect_recovered(unit(2));
}

static void an_early_acknowledgement_does_not_count(void **state)
{
    struct rill_frame f = established_flow(1), take;

    (void)state;
    die(f.dst);
    give(word(RILL_FRAME_RECOVERED_ACK, RM, f.dst));
    pass_time(10 * US);
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    establish(&take);
    pass_over_flows();
    expect_recovered(f.dst);
    core_clear(&out);
    pass_over_flows();
    expect_recovered(f.dst);
}

/* The pass met a flow that named the unit; that it no longer does at the pass's end says nothing of
 * those that were met before. */
static void only_a_whole_pass_without_the_unit_ends_it(void **state)
{
    struct rill_frame early = established_flow(1), late, take;

    (void)state;
    skip_numbers(600);
    do { /* one at the same unit, that the pass meets in a later slice */
        static uint16_t port = 100;

        late = established_flow(port++);
    } while (late.dst != early.dst);
    core_clear(&out);
    die(early.dst);
    next_turn();
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_int_equal(take.flow, early.flow);
    assert_int_equal(takes(), 0);
    establish(&take);
    while (takes() == 0)
        next_turn();
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_int_equal(take.flow, late.flow);
    establish(&take);
    pass_time(10 * US); /* to the end of the pass */
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    pass_over_flows();
    expect_recovered(early.dst);
}

/* The pass under way is past its flow: it says nothing of the second death. */
static void a_second_death_begins_the_pass_anew(void **state)
{
    struct rill_frame a = established_flow(1), b, take;

    (void)state;
    b = established_flow(2);
    assert_int_not_equal(a.dst, b.dst);
    core_clear(&out);
    die(a.dst);
    next_turn(); /* the first slice, in which both are */
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    establish(&take);
    die(b.dst);
    pass_time(20 * US);
    core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_int_equal(n()->flows_rehomed, take.dst == b.dst ? 3 : 2);
    while (core_count(&out, RILL_FRAME_RECOVERED, 0) > 0)
        assert_int_not_equal(core_expect(&out, RILL_FRAME_RECOVERED, RM).next_unit, b.dst);
}

static void a_flow_that_ends_needs_nothing_any_more(void **state)
{
    struct rill_frame f = established_flow(1);

    (void)state;
    die(f.dst);
    pass_time(IDLE_NS / 2);
    assert_int_equal(core_count(&out, RILL_FRAME_RECOVERED, 0), 0);
    pass_time(IDLE_NS);
    expect_recovered(f.dst);
}

/* A late copy of the word about a death that is over and forgotten. */
static void a_death_that_was_forgotten_is_acknowledged_again(void **state)
{
    (void)state;
    die(unit(1));
    pass_time(10 * US);
    give(word(RILL_FRAME_RECOVERED_ACK, RM, unit(1)));
    pass_time(LEASE_NS + 2 * RETRY_NS);
    assert_int_equal(c->recovery.count, 0);
    die(unit(1));
    core_clear(&out);
    pass_time(10 * US);
    expect_recovered(unit(1));
}

/* --- leases --- */

/* It was sent before the manager knew. */
static void a_grant_from_before_the_death_does_not_bring_the_unit_back(void **state)
{
    uint64_t number;

    (void)state;
    core_clear(&out);
    pass_time(EPOCH_NS);
    number = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    die(unit(1));
    give(lease_grant(number, 1, 3));
    assert_int_equal(rill_controller_units(c), 2);
    assert_int_equal(rill_controller_unit_share(c, unit(1)), 0);
    for (uint16_t port = 1; port <= 6; port++)
        assert_int_not_equal(sent(port).dst, unit(1));
}

/* ... nor when all that was to be recovered is: not before no such grant can be under way. */
static void nor_after_the_recovery(void **state)
{
    uint64_t number;

    (void)state;
    core_clear(&out);
    pass_time(EPOCH_NS);
    number = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    die(unit(1));
    pass_time(10 * US);
    give(word(RILL_FRAME_RECOVERED_ACK, RM, unit(1)));
    pass_time(LEASE_NS / 2);
    give(lease_grant(number, 1, 3));
    assert_int_equal(rill_controller_units(c), 2);
}

/* --- endpoints --- */

static uint64_t leased; /* number of the last lease */

static uint32_t lease_endpoints(uint32_t role, uint64_t number, uint32_t want)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_POOL_REQUEST, role, C);
    struct rill_frame answer;

    rill_frame(m)->clock = number;
    rill_frame(m)->count = want;
    give(m);
    answer = core_expect(&out, RILL_FRAME_POOL_GRANT, role);
    leased = answer.term;
    return answer.count;
}

static uint32_t endpoints_free(void)
{
    return rill_controller_pool_free(c, 0, now_ns);
}

/* For so long, with a packet of the flow now and then. */
static void keep_alive(uint16_t port, uint64_t ns)
{
    for (uint64_t done = 0; done < ns; done += IDLE_NS / 2) {
        struct rill_frame f = sent(port);

        establish(&f);
        core_clear(&out);
        pass_time(IDLE_NS / 2);
        if (core_count(&out, RILL_FRAME_LEASE_REQUEST, RM) > 0)
            lease(5, 6);
        core_clear(&out);
    }
}

/* "portquar": a flow that lived then may have one in its state, wherever it went. */
static void a_dead_units_endpoints_rest_until_its_flows_have_ended(void **state)
{
    struct rill_frame f = established_flow(1);

    (void)state;
    assert_int_equal(lease_endpoints(f.dst, 1, 4), 4);
    die(f.dst);
    keep_alive(1, 4 * QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
    pass_time(IDLE_NS / 2 + 5 * RETRY_NS);
    assert_false(rill_controller_flow_alive(c, f.flow));
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
    pass_time(2 * QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

/* Not only flows that were there: any of them may have come from there. */
static void flows_that_were_elsewhere_at_the_death_count_too(void **state)
{
    struct rill_frame f = established_flow(1);

    (void)state;
    assert_int_not_equal(f.dst, unit(3));
    assert_int_equal(lease_endpoints(unit(3), 1, 4), 4);
    die(unit(3));
    keep_alive(1, 4 * QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
}

static void later_flows_do_not_keep_endpoints_back(void **state)
{
    (void)state;
    assert_int_equal(lease_endpoints(unit(1), 1, 4), 4);
    die(unit(1));
    keep_alive(7, IDLE_NS + QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

static void a_flow_may_still_declare_a_dead_units_endpoint(void **state)
{
    struct rill_frame f = established_flow(1);
    struct rte_mbuf *m = about(RILL_FRAME_ALIAS, logger(1), &f);
    struct rill_alias alias = {
        .local = {.addr = {198, 51, 100, 1}, .port = POOL_PORT, .family = 4, .proto = RILL_UDP}};

    (void)state;
    assert_int_equal(lease_endpoints(f.dst, 1, 4), 4);
    alias.lease = leased;
    die(f.dst);
    core_body(m, &alias, sizeof(alias));
    give(m);
    assert_int_equal(core_expect(&out, RILL_FRAME_ALIAS_ACK, 0).flags & RILL_FLAG_REFUSED, 0);
    assert_int_equal(rill_controller_alias_flow(c, &alias.local, NULL), f.flow);
    keep_alive(1, IDLE_NS);
    pass_time(IDLE_NS + QUARANTINE_NS + 2 * RETRY_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

/* Its question was under way, or it does not know that it is dead. */
static void a_dead_unit_gets_no_endpoints(void **state)
{
    (void)state;
    assert_int_equal(lease_endpoints(unit(1), 1, 4), 4);
    die(unit(1));
    assert_int_equal(lease_endpoints(unit(1), 2, 4), 0);
    assert_int_equal(lease_endpoints(unit(1), 1, 4), 0);
    pass_time(10 * US);
    give(word(RILL_FRAME_RECOVERED_ACK, RM, unit(1)));
    pass_time(LEASE_NS + QUARANTINE_NS + 2 * RETRY_NS);
    assert_int_equal(c->recovery.count, 0);
    assert_int_equal(lease_endpoints(unit(1), 3, 4), 0);
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

/* --- a unit and its output logger died --- */

/* As die(), but the state is lost. */
static void die_with_logger(uint32_t role)
{
    struct rill_frame ack;

    give(death(role, 0));
    ack = core_expect(&out, RILL_FRAME_DEATH_ACK, RM);
    assert_int_equal(ack.next_unit, role);
    assert_int_equal(ack.count, 0);
}

static void a_lost_logger_is_told_and_not_fenced(void **state)
{
    (void)state;
    core_clear(&out);
    die_with_logger(unit(1));
    die_with_logger(unit(1));
    for (uint32_t i = 2; i <= 3; i++)
        assert_int_equal(core_expect(&out, RILL_FRAME_DEAD, unit(i)).count, RILL_LOGGER_LOST);
    pass_time(4 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_DEAD, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_FENCE, 0), 0);
    expect_recovered(unit(1));
    assert_int_equal(n()->deaths, 1);
}

/* The logger died after the unit. A late copy of the first word does not bring it back. */
static void a_logger_that_dies_later_is_told_too(void **state)
{
    struct rill_frame f = established_flow(1), next;

    (void)state;
    die(f.dst);
    core_clear(&out);
    die_with_logger(f.dst);
    assert_int_equal(core_count(&out, RILL_FRAME_DEAD, 0), 2);
    core_clear(&out);
    die(f.dst);
    assert_int_equal(core_count(&out, RILL_FRAME_DEAD, 0), 0);
    next = sent(1);
    assert_int_equal(next.chain[0].output_logger, RILL_LOGGER_LOST);
    pass_time(4 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_FENCE, 0), 0);
    assert_int_equal(n()->deaths, 1);
}

/* A unit has come to where its term's state is lost. */
static struct rill_frame say_lost(const struct rill_frame *of)
{
    struct rte_mbuf *m = about(RILL_FRAME_WHERE, of->dst, of);

    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    give(m);
    return core_expect(&out, RILL_FRAME_CHAIN, of->dst);
}

/* It had ended before this controller inherited it. Only of a term that is established: of another
 * the unit has nothing yet. */
static void a_flow_that_its_unit_has_forgotten_ends(void **state)
{
    struct rill_frame f = sent(1);
    struct rte_mbuf *m;

    (void)state;
    m = about(RILL_FRAME_WHERE, f.dst, &f);
    rill_frame(m)->flags = RILL_FLAG_FORGOTTEN;
    give(m);
    assert_true(rill_controller_flow_alive(c, f.flow));
    f = established_flow(2);
    core_clear(&out);
    m = about(RILL_FRAME_WHERE, f.dst, &f);
    rill_frame(m)->flags = RILL_FLAG_FORGOTTEN;
    give(m);
    assert_true(core_expect(&out, RILL_FRAME_CHAIN, f.dst).flags & RILL_FLAG_REFUSED);
    assert_false(rill_controller_flow_alive(c, f.flow));
    assert_int_equal(n()->flows_forgotten, 1);
}

/* The NF wants another life, established or not. What was stays known until it would have ended. */
static void a_flow_ends_when_its_nf_says_so(void **state)
{
    struct rill_frame f[2], next;
    struct rte_mbuf *m;

    (void)state;
    f[0] = sent(1);
    f[1] = established_flow(2);
    for (uint16_t i = 0; i < 2; i++) {
        core_clear(&out);
        for (int twice = 0; twice < 2; twice++) { /* the second is late: not of the new life */
            m = about(RILL_FRAME_WHERE, f[i].dst, &f[i]);
            rill_frame(m)->flags = RILL_FLAG_ENDED;
            give(m);
            core_clear(&out);
            next = sent((uint16_t)(1 + i));
            assert_true(next.flow > f[i].flow);
        }
        assert_int_equal(n()->flows_ended_by_nf, 1 + i);
        assert_false(rill_controller_flow_alive(c, f[i].flow));
        assert_int_equal(rill_controller_tables(c).entries, 3 + i);
    }
    pass_time(IDLE_NS);
    assert_int_equal(rill_controller_tables(c).entries, 0);
}

/* Another life, so that nothing of the lost one is taken for its: clocks, steps, endpoint. */
static void a_flow_whose_state_is_lost_ends(void **state)
{
    struct rill_frame f = established_flow(1), next, after;

    (void)state;
    die_with_logger(f.dst);
    next = sent(1);
    assert_true(say_lost(&next).flags & RILL_FLAG_REFUSED);
    assert_false(rill_controller_flow_alive(c, f.flow));
    assert_int_equal(n()->flows_lost, 1);
    assert_true(say_lost(&next).flags & RILL_FLAG_REFUSED); /* said again */
    assert_int_equal(n()->flows_lost, 1);
    after = sent(1);
    assert_true(after.flow > next.clock);
    assert_int_equal(after.chain[0].term, RILL_BIRTH_TERM);
    core_clear(&out);
    pass_over_flows();
    expect_recovered(f.dst);
    pass_time(2 * IDLE_NS); /* its timer does not fire for who has its place now */
    assert_int_equal(n()->flows_ended, 2);
}

static void the_endpoint_of_a_lost_flow_comes_back(void **state)
{
    struct rill_frame f = established_flow(1), next;
    struct rte_mbuf *m = about(RILL_FRAME_ALIAS, logger(1), &f);
    struct rill_alias alias = {
        .local = {.addr = {198, 51, 100, 1}, .port = POOL_PORT, .family = 4, .proto = RILL_UDP}};

    (void)state;
    assert_int_equal(lease_endpoints(f.dst, 1, 4), 4);
    alias.lease = leased;
    core_body(m, &alias, sizeof(alias));
    give(m);
    assert_int_equal(rill_controller_alias_flow(c, &alias.local, NULL), f.flow);
    die_with_logger(f.dst);
    next = sent(1);
    say_lost(&next);
    assert_int_equal(rill_controller_alias_flow(c, &alias.local, NULL), 0);
    keep_alive(1, 3 * QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

/* The unit has not heard yet that the flow was established elsewhere, or is mistaken. */
static void a_flow_whose_state_is_not_lost_goes_on(void **state)
{
    struct rill_frame f = established_flow(1), next, chain;

    (void)state;
    die(f.dst);
    next = sent(1);
    chain = say_lost(&next);
    assert_int_equal(chain.flags & RILL_FLAG_REFUSED, 0);
    assert_int_equal(chain.chain[0].output_logger, logger(rill_role_number(f.dst)));
    die_with_logger(f.dst);
    assert_true(say_lost(&f).flags == 0); /* the dead one's own term: nothing is below it */
    establish(&next);
    assert_true(say_lost(&next).flags == 0);
    next.term++;
    assert_true(say_lost(&next).flags & RILL_FLAG_REFUSED); /* no such term */
    assert_true(rill_controller_flow_alive(c, f.flow));
    assert_int_equal(n()->flows_lost, 0);
}

/* --- cost --- */

/* The controller has said and heard all that there is about the death. */
static void settle(uint32_t role)
{
    struct rill_frame take;

    pass_time(10 * US);
    while (takes() > 0) {
        take = core_expect(&out, RILL_FRAME_TAKE, 0);
        establish(&take);
    }
    pass_over_flows();
    expect_recovered(role);
    give(word(RILL_FRAME_RECOVERED_ACK, RM, role));
    give(word(RILL_FRAME_FENCE_ACK, logger(rill_role_number(role)), role));
    core_clear(&out);
}

static void a_death_is_forgotten_when_all_is_done(void **state)
{
    struct rill_frame f = established_flow(1);

    (void)state;
    die(f.dst);
    settle(f.dst);
    keep_alive(1,
               LEASE_NS + IDLE_NS); /* the flow lives on, but there are no endpoints to wait for */
    assert_int_equal(c->recovery.count, 0);
    assert_int_equal(recovery_next_ns(c), UINT64_MAX);
}

static void a_death_is_not_forgotten_while_endpoints_are_out(void **state)
{
    struct rill_frame f = established_flow(1);

    (void)state;
    assert_int_equal(lease_endpoints(f.dst, 1, 4), 4);
    die(f.dst);
    settle(f.dst);
    keep_alive(1, LEASE_NS + IDLE_NS);
    assert_int_equal(c->recovery.count, 1);
    pass_time(IDLE_NS + 2 * QUARANTINE_NS + 2 * RETRY_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE);
    assert_int_equal(c->recovery.count, 0);
}

/* That may take hours: the flows are not gone through all the time. */
static void passes_are_rare_when_only_endpoints_are_out(void **state)
{
    struct rill_frame f = established_flow(1);
    uint32_t passes = 0;
    bool passing = false;

    (void)state;
    assert_int_equal(lease_endpoints(f.dst, 1, 4), 4);
    die(f.dst);
    settle(f.dst);
    for (uint64_t until_ns = now_ns + IDLE_NS / 2; rill_controller_next_ns(c) < until_ns;) {
        next_turn();
        passes += c->recovery.passing && !passing;
        passing = c->recovery.passing;
    }
    assert_true(passes <= 2);
    die(unit(3)); /* but another death is seen to at once */
    pass_time(10 * US);
    expect_recovered(unit(3));
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, controller_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_death_is_acknowledged_each_time_and_told_once),
        T(the_fence_is_repeated_until_acknowledged),
        T(the_fence_is_repeated_more_and_more_rarely),
        T(a_death_that_makes_no_sense_is_malformed),
        T(only_so_many_deaths_are_under_way),
        T(a_dead_units_flow_goes_to_another),
        T(take_is_repeated_until_the_term_is_established),
        T(the_next_packet_does_not_wait_for_the_pass),
        T(an_unestablished_flow_moves_too),
        T(flows_of_other_units_stay_where_they_are),
        T(who_has_a_flow_from_the_dead_unit_is_told_to_take_it),
        T(where_is_answered_with_whom_to_ask),
        T(a_full_chain_waits),
        T(the_last_owner_of_a_full_chain_is_asked_about),
        T(a_full_chain_waits_for_a_unit),
        T(a_full_chain_ends_with_a_lost_owner),
        T(without_a_unit_flows_wait_for_one),
        T(a_unit_is_asked_for_though_none_was_wanted_before),
        T(without_flows_it_is_over_after_a_pass),
        T(recovered_is_repeated_until_acknowledged),
        T(a_death_is_not_over_soon_after_a_flow_gave_way),
        T(an_early_acknowledgement_does_not_count),
        T(only_a_whole_pass_without_the_unit_ends_it),
        T(a_second_death_begins_the_pass_anew),
        T(a_flow_that_ends_needs_nothing_any_more),
        T(a_death_that_was_forgotten_is_acknowledged_again),
        T(a_grant_from_before_the_death_does_not_bring_the_unit_back),
        T(nor_after_the_recovery),
        T(a_dead_units_endpoints_rest_until_its_flows_have_ended),
        T(flows_that_were_elsewhere_at_the_death_count_too),
        T(later_flows_do_not_keep_endpoints_back),
        T(a_flow_may_still_declare_a_dead_units_endpoint),
        T(a_dead_unit_gets_no_endpoints),
        T(a_lost_logger_is_told_and_not_fenced),
        T(a_logger_that_dies_later_is_told_too),
        T(a_flow_that_its_unit_has_forgotten_ends),
        T(a_flow_ends_when_its_nf_says_so),
        T(a_flow_whose_state_is_lost_ends),
        T(the_endpoint_of_a_lost_flow_comes_back),
        T(a_flow_whose_state_is_not_lost_goes_on),
        T(a_death_is_forgotten_when_all_is_done),
        T(a_death_is_not_forgotten_while_endpoints_are_out),
        T(passes_are_rare_when_only_endpoints_are_out),
    };

    return cmocka_run_group_tests_name("controller_recovery", tests, core_group_setup,
                                       core_group_teardown);
}
