/* What a controller does that takes another's place: it asks all that live what is there, and only
 * then goes on with the flows of the one before, in new terms of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rill/nf.h>

#include "controller/controller_testing.h"
#include "lib/frame/inventory.h"

enum { SLOT = 2, TELLS_MAX = 16, ITEMS_MAX = 8 };

#define C rill_role_id(RILL_ROLE_CONTROLLER, 2)
#define BEFORE rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define EPOCH rill_epoch(SLOT, 5)
#define OLD_EPOCH rill_epoch(SLOT, 4)
#define T_NS (1 * CORE_MS)
#define EPOCH_NS (200 * CORE_MS)
#define LEASE_NS (5000 * CORE_MS)
#define RETRY_NS (10 * CORE_MS)
#define IDLE_NS (10000 * CORE_MS)
#define LIFE_NS (100 * CORE_MS)
#define VOUCHED_NS (3000 * CORE_MS)
#define QUARANTINE_NS (500 * CORE_MS)

/* What each role tells, in one part. */
static struct tell {
    uint32_t role;
    struct rill_inventory_item items[ITEMS_MAX];
    uint32_t count;
} tells[TELLS_MAX];
static uint32_t tell_count;
static uint32_t heard_ms; /* since the controller before spoke to any of them */

/* What the resource manager says. */
static struct rill_member members[TELLS_MAX];
static uint32_t member_count;

static struct rill_flow_tuple tuples[16]; /* by port */

/* --- the controller --------------------------------------------------------------------------- */

static struct rill_controller_config config_of(uint32_t id, uint16_t epoch, bool takes_over)
{
    struct rill_controller_config config = controller_usual();

    config.id = id;
    config.epoch = epoch;
    config.takes_over = takes_over;
    config.flow_idle_ns = IDLE_NS;
    config.frame_life_ns = LIFE_NS;
    config.vouched_ns = VOUCHED_NS;
    config.epoch_ns = EPOCH_NS;
    config.lease_ns = LEASE_NS;
    config.retry_ns = RETRY_NS;
    config.pool_quarantine_ns = QUARANTINE_NS;
    return config;
}

static void create(struct rill_controller_config config)
{
    controller_create(&config);
    rill_controller_tick(c, now_ns, &out);
    if (config.takes_over)
        assert_int_equal(core_count(&out, RILL_FRAME_LEASE_REQUEST, 0), 0); /* not yet */
    else
        lease(1, 2);
}

static int setup(void **state)
{
    controller_setup(state);
    tell_count = member_count = heard_ms = 0;
    create(config_of(C, EPOCH, true));
    return 0;
}

static struct rill_frame sent(uint16_t port)
{
    core_clear(&out);
    send_packet(port);
    return core_expect(&out, RILL_FRAME_DATA, 0);
}

/* --- who is there ----------------------------------------------------------------------------- */

static void lives(uint32_t number)
{
    members[member_count++] =
        (struct rill_member){.unit = unit(number), .output_logger = logger(number)};
}

static void is_dead(uint32_t number, uint32_t output_logger)
{
    members[member_count++] =
        (struct rill_member){.unit = unit(number), .output_logger = output_logger, .dead = 1};
}

/* The number of the newest list that was asked for. */
static uint64_t list_asked(void)
{
    uint64_t number = core_expect(&out, RILL_FRAME_MEMBERS_REQUEST, RM).clock;

    while (core_count(&out, RILL_FRAME_MEMBERS_REQUEST, RM) > 0)
        number = core_expect(&out, RILL_FRAME_MEMBERS_REQUEST, RM).clock;
    return number;
}

static void list(uint64_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_MEMBERS, RM, C);

    rill_frame(m)->clock = number;
    rill_frame(m)->count = member_count;
    core_body(m, members, member_count * (uint32_t)sizeof(members[0]));
    give(m);
}

/* The list that is asked for now. */
static void first_list(void)
{
    list(list_asked());
}

static struct rte_mbuf *death(uint32_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_DEATH, RM, C);

    rill_frame(m)->next_unit = unit(number);
    rill_frame(m)->count = logger(number);
    return m;
}

/* --- what is told ----------------------------------------------------------------------------- */

static struct rill_inventory_item *tell(uint32_t role)
{
    uint32_t i = 0;

    while (i < tell_count && tells[i].role != role)
        i++;
    if (i == tell_count)
        tells[tell_count++] = (struct tell){.role = role};
    assert_true(tell_count <= TELLS_MAX && tells[i].count < ITEMS_MAX);
    return &tells[i].items[tells[i].count++];
}

/* What the flow of that port's packets is known by, as the controller before said. */
static struct rill_flow_tuple tuple_of(uint16_t port)
{
    assert_true(port < RTE_DIM(tuples) && tuples[port].family != 0);
    return tuples[port];
}

static uint64_t old_number(uint64_t number)
{
    return (uint64_t)OLD_EPOCH << RILL_EPOCH_SHIFT | number;
}

/* The role tells of the flow; claims are the caller's to add. */
static struct rill_inventory_item *tell_flow(uint32_t role, uint64_t number, uint16_t port)
{
    struct rill_inventory_item *item = tell(role);

    *item = (struct rill_inventory_item){.kind = RILL_INVENTORY_FLOW,
                                         .flow = {.kind = RILL_INVENTORY_FLOW,
                                                  .flags = RILL_INVENTORY_HEAD,
                                                  .vouched_ms = UINT32_MAX,
                                                  .flow = old_number(number),
                                                  .term = old_number(number),
                                                  .step = 1}};
    item->head.tuple = tuple_of(port);
    return item;
}

/* A flow that is at the unit in term `number`, established at its logger. */
static struct rill_inventory_item *tell_settled(uint32_t at, uint64_t number, uint16_t port)
{
    struct rill_inventory_item *item = tell_flow(logger(at), number, port);

    rill_inventory_claim(item, old_number(number), unit(at), true);
    item = tell_flow(unit(at), number, port);
    rill_inventory_claim(item, old_number(number), unit(at), false);
    return item;
}

static struct rill_alias alias_at(uint32_t index, uint64_t lease_id)
{
    struct rill_alias alias = {.local = {.addr = {198, 51, 100, 1},
                                         .port = (uint16_t)(POOL_PORT + index),
                                         .family = 4,
                                         .proto = RILL_UDP},
                               .lease = lease_id};

    return alias;
}

static void tell_endpoint(uint32_t number, uint32_t index, uint64_t lease_id)
{
    *tell(unit(number)) = (struct rill_inventory_item){
        .kind = RILL_INVENTORY_ENDPOINT,
        .endpoint = {.kind = RILL_INVENTORY_ENDPOINT, .index = index, .lease = lease_id}};
}

/* The answer to `asked`; `next` follows. */
static struct rte_mbuf *part(const struct rill_frame *asked, uint64_t next)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_INVENTORY_PART, asked->dst, C);

    rill_frame(m)->clock = asked->clock;
    rill_frame(m)->term = asked->term;
    rill_frame(m)->next_term = next;
    rill_frame(m)->count = heard_ms;
    return m;
}

static void answer(const struct rill_frame *asked)
{
    struct rte_mbuf *m = part(asked, RILL_INVENTORY_END);

    for (uint32_t i = 0; i < tell_count; i++)
        for (uint32_t k = 0; tells[i].role == asked->dst && k < tells[i].count; k++)
            assert_int_equal(rill_inventory_put(m, core_pool, &tells[i].items[k]), 0);
    give(m);
}

static struct rill_frame asked_of(uint32_t role)
{
    return core_expect(&out, RILL_FRAME_INVENTORY, role);
}

static void all_answer(void)
{
    while (core_count(&out, RILL_FRAME_INVENTORY, 0) > 0) {
        struct rill_frame asked = asked_of(0);

        answer(&asked);
    }
}

/* Everything is told, and the list confirmed. */
static void take_over(void)
{
    for (int i = 0; i < 10 && rill_controller_taking_over(c); i++) {
        all_answer();
        if (core_count(&out, RILL_FRAME_MEMBERS_REQUEST, RM) > 0)
            first_list();
    }
    assert_false(rill_controller_taking_over(c));
    assert_int_equal(n()->takeovers, 1);
    rill_controller_tick(c, now_ns, &out);
    lease(1, 2);
}

static void take_over_from_two(void)
{
    lives(1);
    lives(2);
    take_over();
}

/* --- asking ----------------------------------------------------------------------------------- */

static void all_that_live_are_asked(void **state)
{
    static const uint32_t both[] = {1, 2};
    uint64_t number = list_asked();

    (void)state;
    assert_true(rill_controller_taking_over(c));
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY, 0), 0);
    lives(1);
    lives(2);
    members[2] = (struct rill_member){.unit = unit(3), .output_logger = logger(2)};
    member_count = 3; /* two units with one logger */
    list(number);
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY, 0), 5);
    for (unsigned i = 0; i < RTE_DIM(both); i++) {
        struct rill_frame of_unit = asked_of(unit(both[i])), of_logger = asked_of(logger(both[i]));

        assert_int_equal(of_unit.epoch, EPOCH);
        assert_int_equal(of_unit.clock, 0);
        assert_int_equal(of_unit.count, 0);
        assert_int_equal(of_logger.epoch, EPOCH);
    }
    asked_of(unit(3));
}

static void packets_are_dropped_until_all_is_known(void **state)
{
    (void)state;
    lives(1);
    for (int i = 1; i <= 3; i++)
        send_packet((uint16_t)i);
    assert_int_equal(n()->dropped_takeover, 3);
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    first_list();
    send_packet(4);
    assert_int_equal(n()->dropped_takeover, 4);
    take_over();
    send_packet(5);
    core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(n()->dropped_takeover, 4);
}

static void questions_are_repeated_to_those_that_have_not_answered(void **state)
{
    struct rill_frame asked, again;

    (void)state;
    lives(1);
    first_list();
    asked = asked_of(logger(1));
    answer(&asked);
    asked = asked_of(unit(1));
    core_clear(&out);
    pass_time(RETRY_NS);
    again = asked_of(unit(1));
    assert_int_equal(again.clock, asked.clock);
    assert_int_equal(again.term, asked.term);
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_MEMBERS_REQUEST, RM), 1);
}

/* Words of other roles are said again once the flows are known. */
static void what_needs_the_flows_waits(void **state)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_ESTABLISHED, logger(1), C);

    (void)state;
    lives(1);
    first_list();
    core_clear(&out);
    rill_frame(m)->flow = old_number(7);
    give(m);
    m = core_frame(RILL_FRAME_NEED, unit(1), C);
    rill_frame(m)->flow = old_number(7);
    give(m);
    m = core_frame(RILL_FRAME_POOL_REQUEST, unit(1), C);
    rill_frame(m)->clock = 1;
    rill_frame(m)->count = 4;
    give(m);
    assert_int_equal(out.count, 0); /* no ack, no FORGET, no grant */
}

/* --- answers ---------------------------------------------------------------------------------- */

/* `part` with a flow that nothing else tells of. */
static struct rte_mbuf *part_with_flow(const struct rill_frame *asked, uint64_t next, uint16_t port)
{
    struct rte_mbuf *m = part(asked, next);
    struct rill_inventory_item item = {.kind = RILL_INVENTORY_FLOW,
                                       .flow = {.kind = RILL_INVENTORY_FLOW,
                                                .flags = RILL_INVENTORY_HEAD,
                                                .flow = old_number(port)}};

    item.head.tuple = tuple_of(port);
    rill_inventory_claim(&item, old_number(port), unit(1), true);
    assert_int_equal(rill_inventory_put(m, core_pool, &item), 0);
    return m;
}

static void parts_are_taken_once_and_in_order(void **state)
{
    struct rill_frame first, second, other;

    (void)state;
    lives(1);
    first_list();
    first = asked_of(unit(1));
    give(part_with_flow(&first, 7, 1));
    second = asked_of(unit(1));
    assert_int_equal(second.clock, 7);
    assert_int_equal(second.term, first.term);
    give(part_with_flow(&first, 9, 2)); /* the first, doubled */
    other = second;
    other.term++;
    give(part_with_flow(&other, 9, 3)); /* to another asking */
    other = second;
    other.dst = unit(9);
    give(part_with_flow(&other, 9, 4)); /* of a role that was not asked */
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY, unit(1)), 0);
    give(part_with_flow(&second, RILL_INVENTORY_END, 5));
    give(part_with_flow(&second, RILL_INVENTORY_END, 6));
    take_over();
    assert_int_equal(n()->flows_inherited, 2);
    assert_non_null(flows_by_number(c, old_number(1)));
    assert_non_null(flows_by_number(c, old_number(5)));
}

static void a_part_that_is_none_is_asked_for_again(void **state)
{
    struct rill_frame asked;
    struct rte_mbuf *m;

    (void)state;
    lives(1);
    first_list();
    asked = asked_of(unit(1));
    m = part(&asked, RILL_INVENTORY_END);
    core_body(m, "nothing", 8);
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    pass_time(RETRY_NS);
    assert_int_equal(asked_of(unit(1)).clock, 0);
    assert_true(rill_controller_taking_over(c));
}

/* The list that says who lives must be of after the last answer. */
static void the_list_is_confirmed_at_the_end(void **state)
{
    uint64_t first = list_asked(), second, third;

    (void)state;
    lives(1);
    list(first);
    all_answer();
    assert_true(rill_controller_taking_over(c));
    second = list_asked();
    assert_true(second > first);
    list(first); /* old */
    assert_true(rill_controller_taking_over(c));
    lives(2); /* came meanwhile */
    list(second);
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY, 0), 2);
    assert_true(rill_controller_taking_over(c));
    all_answer();
    assert_true(rill_controller_taking_over(c));
    third = list_asked();
    assert_true(third > second);
    list(third);
    assert_false(rill_controller_taking_over(c));
    assert_int_equal(n()->takeovers, 1);
}

/* Who is gone without a trace is not waited for. */
static void who_is_no_longer_listed_need_not_answer(void **state)
{
    struct rill_frame asked;

    (void)state;
    lives(2);
    lives(1);
    first_list();
    asked = asked_of(unit(1));
    answer(&asked);
    asked = asked_of(logger(1));
    answer(&asked);
    assert_true(rill_controller_taking_over(c));
    members[0] = members[1];
    member_count = 1;
    core_clear(&out);
    pass_time(RETRY_NS);
    first_list();
    assert_true(rill_controller_taking_over(c));
    first_list();
    assert_false(rill_controller_taking_over(c));
}

/* --- the dead --------------------------------------------------------------------------------- */

static struct rill_death death_in(struct rte_mbuf *m, uint32_t i)
{
    struct rill_death d;

    assert_int_equal(rill_body_read(m, i * (uint32_t)sizeof(d), &d, sizeof(d)), 0);
    return d;
}

static void all_are_told_who_is_dead(void **state)
{
    static const uint32_t numbers[] = {1, 3};

    (void)state;
    lives(1);
    is_dead(3, logger(3));
    first_list();
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY, unit(3)), 0);
    for (unsigned i = 0; i < RTE_DIM(numbers); i++) {
        struct rte_mbuf *m = core_take(&out, RILL_FRAME_INVENTORY, logger(numbers[i]));

        assert_non_null(m);
        assert_int_equal(rill_frame(m)->count, 1);
        assert_int_equal(death_in(m, 0).unit, unit(3));
        assert_int_equal(death_in(m, 0).output_logger, logger(3));
        rte_pktmbuf_free(m);
    }
    assert_int_equal(asked_of(unit(1)).count, 1);
}

static void the_logger_of_a_unit_that_dies_meanwhile_answers_anew(void **state)
{
    struct rill_frame of_unit, of_logger;
    struct rte_mbuf *m;

    (void)state;
    lives(1);
    lives(2);
    first_list();
    of_unit = asked_of(unit(2));
    of_logger = asked_of(logger(2));
    answer(&of_logger);
    give(death(2));
    core_expect(&out, RILL_FRAME_DEATH_ACK, RM);
    m = core_take(&out, RILL_FRAME_INVENTORY, logger(2));
    assert_non_null(m);
    assert_int_equal(rill_frame(m)->clock, 0);
    assert_true(rill_frame(m)->term != of_logger.term);
    assert_int_equal(rill_frame(m)->count, 1);
    assert_int_equal(death_in(m, 0).unit, unit(2));
    assert_int_equal(death_in(m, 0).output_logger, logger(2));
    give(part_with_flow(&of_unit, RILL_INVENTORY_END, 1)); /* the dead one, late */
    all_answer();
    members[1].dead = 1;
    core_clear(&out);
    pass_time(RETRY_NS);
    first_list();
    assert_true(rill_controller_taking_over(c)); /* its logger has not answered */
    of_logger = *rill_frame(m);
    rte_pktmbuf_free(m);
    core_clear(&out);
    answer(&of_logger);
    first_list();
    assert_false(rill_controller_taking_over(c));
    assert_int_equal(n()->flows_inherited, 0);
}

/* Its death comes when all have answered, and the list is on its way: of before. */
static void a_death_at_the_end_begins_again(void **state)
{
    uint64_t number;

    (void)state;
    lives(1);
    lives(2);
    first_list();
    all_answer();
    number = list_asked();
    give(death(2));
    list(number);
    assert_true(rill_controller_taking_over(c));
    assert_int_equal(asked_of(logger(2)).count, 1);
}

/* --- flows ------------------------------------------------------------------------------------ */

static void a_flow_goes_on_in_a_new_term(void **state)
{
    struct rill_frame f, next;

    (void)state;
    tell_settled(1, 7, 1);
    take_over_from_two();
    assert_int_equal(n()->flows_inherited, 1);
    f = sent(1);
    assert_int_equal(f.flow, old_number(7));
    assert_int_equal(f.epoch, EPOCH);
    assert_int_equal(rill_number_epoch(f.term), EPOCH);
    assert_int_equal(rill_number_epoch(f.clock), EPOCH);
    assert_int_equal(f.chain_len, 1);
    assert_int_equal(f.chain[0].term, old_number(7));
    assert_int_equal(f.chain[0].unit, unit(1));
    assert_true(f.flags & RILL_FLAG_TUPLE);
    next = sent(1);
    assert_int_equal(next.term, f.term);
    assert_true(next.clock > f.clock);
    assert_int_equal(n()->flows, 0); /* none began */
}

/* Even at the same unit: the terms of the one before are over. */
static void the_term_is_new_at_the_same_unit_too(void **state)
{
    struct rill_controller_config config = config_of(C, EPOCH, true);
    struct rill_frame f;

    (void)state;
    config.mode = RILL_MODE_FLOW;
    create(config);
    tell_settled(2, 7, 1);
    take_over_from_two();
    f = sent(1);
    assert_int_equal(f.dst, unit(2));
    assert_false(f.flags & RILL_FLAG_MOVED);
    assert_int_equal(rill_number_epoch(f.term), EPOCH);
    assert_int_equal(f.chain[0].unit, unit(2));
    assert_int_equal(core_count(&out, RILL_FRAME_MOVE, 0), 0);
}

static void new_flows_are_numbered_above(void **state)
{
    struct rill_frame f;

    (void)state;
    tell_settled(1, 7, 1);
    take_over_from_two();
    f = sent(2);
    assert_int_equal(rill_number_epoch(f.flow), EPOCH);
    assert_int_equal(f.chain[0].term, RILL_BIRTH_TERM);
}

/* Claims of several roles, put together; older ones than the newest established do not matter. */
static void the_chain_ends_with_the_established_term(void **state)
{
    struct rill_inventory_item *item;
    struct rill_frame f;

    (void)state;
    item = tell_flow(logger(1), 7, 1);
    rill_inventory_claim(item, old_number(20), unit(1), true);
    item = tell_flow(unit(1), 7, 1);
    rill_inventory_claim(item, old_number(10), unit(2), false);
    rill_inventory_claim(item, old_number(20), unit(1), false);
    rill_inventory_claim(item, old_number(30), unit(2), false); /* promised */
    item = tell_flow(unit(2), 7, 1);
    rill_inventory_claim(item, old_number(40), unit(2), false);
    take_over_from_two();
    f = sent(1);
    assert_int_equal(f.chain_len, 3);
    assert_int_equal(f.chain[0].term, old_number(40));
    assert_int_equal(f.chain[1].term, old_number(30));
    assert_int_equal(f.chain[1].unit, unit(2));
    assert_int_equal(f.chain[2].term, old_number(20));
    assert_int_equal(f.chain[2].unit, unit(1));
}

/* What a unit had that is forgotten by all is not wanted any more. */
static void the_chain_ends_above_a_unit_that_nobody_knows(void **state)
{
    struct rill_inventory_item *item = tell_flow(unit(1), 7, 1);
    struct rill_frame f;

    (void)state;
    rill_inventory_claim(item, old_number(10), unit(2), false);
    rill_inventory_claim(item, old_number(20), unit(9), false);
    rill_inventory_claim(item, old_number(30), unit(1), false);
    item = tell_flow(unit(1), 8, 2);
    rill_inventory_claim(item, old_number(10), unit(1), true);
    rill_inventory_claim(item, old_number(20), unit(9), false);
    take_over_from_two();
    f = sent(1);
    assert_int_equal(f.flow, old_number(7));
    assert_int_equal(f.chain_len, 1);
    assert_int_equal(f.chain[0].term, old_number(30));
    /* The other's last owner is not known: it had ended. */
    assert_int_equal(n()->flows_not_inherited, 1);
    assert_null(flows_by_number(c, old_number(8)));
}

static void a_birth_is_below_all_terms(void **state)
{
    struct rill_inventory_item *item = tell_flow(unit(1), 7, 1);
    struct rill_frame f;

    (void)state;
    rill_inventory_claim(item, RILL_BIRTH_TERM, 0, false);
    rill_inventory_claim(item, old_number(10), unit(1), false);
    take_over_from_two();
    f = sent(1);
    assert_int_equal(f.chain_len, 2);
    assert_int_equal(f.chain[1].term, RILL_BIRTH_TERM);
}

/* More terms than a frame has room for: until one turns out to be established nothing is sent. */
static void a_chain_that_is_too_long_waits(void **state)
{
    struct rill_inventory_item *item = tell_flow(unit(1), 7, 1);
    struct rte_mbuf *m;
    struct rill_frame f;

    (void)state;
    for (uint64_t term = 10; term < 10 + RILL_CHAIN_MAX + 3; term++)
        rill_inventory_claim(item, old_number(term), unit(1 + term % 2), false);
    take_over_from_two();
    send_packet(1);
    assert_int_equal(n()->dropped_takeover, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    m = core_frame(RILL_FRAME_ESTABLISHED, logger(1), C);
    rill_frame(m)->flow = old_number(7);
    rill_frame(m)->term = old_number(10 + RILL_CHAIN_MAX);
    rill_frame(m)->next_unit = unit(1 + (10 + RILL_CHAIN_MAX) % 2);
    give(m);
    f = sent(1);
    assert_int_equal(f.chain_len, 3);
    assert_int_equal(rill_number_epoch(f.term), EPOCH);
}

static void a_dead_owners_flow_goes_on_elsewhere(void **state)
{
    struct rill_frame f;

    (void)state;
    tell_settled(3, 7, 1); /* its logger does */
    lives(1);
    lives(2);
    is_dead(3, logger(3));
    take_over();
    pass_time(2 * RETRY_NS);
    f = core_expect(&out, RILL_FRAME_TAKE, 0);
    assert_int_equal(f.flow, old_number(7));
    assert_int_equal(rill_number_epoch(f.term), EPOCH);
    assert_int_equal(f.chain[0].unit, unit(3));
    assert_int_equal(f.chain[0].output_logger, logger(3));
}

static void tell_idle(uint64_t number, uint16_t port, uint64_t unit_ns, uint64_t logger_ns)
{
    struct rill_inventory_item *item = tell_flow(logger(1), number, port);

    rill_inventory_claim(item, old_number(number), unit(1), true);
    item->flow.idle_ns = logger_ns;
    item = tell_flow(unit(1), number, port);
    rill_inventory_claim(item, old_number(number), unit(1), false);
    item->flow.idle_ns = unit_ns;
}

/* Whoever heard of it last. */
static void what_was_idle_has_ended(void **state)
{
    const uint64_t ended_ns = IDLE_NS - LIFE_NS;

    (void)state;
    tell_idle(7, 1, ended_ns, ended_ns);
    tell_idle(8, 2, ended_ns - 1, UINT64_MAX);
    tell_idle(9, 3, UINT64_MAX, UINT64_MAX);
    tell_idle(10, 4, ended_ns, ended_ns - 1);
    heard_ms = ended_ns / CORE_MS; /* nobody could vouch for them since */
    take_over_from_two();
    assert_int_equal(n()->flows_inherited, 2);
    assert_non_null(flows_by_number(c, old_number(8)));
    assert_non_null(flows_by_number(c, old_number(10)));
}

/* It ended before its time, and who had the newest may have forgotten it. */
static void what_nobody_vouched_for_has_ended(void **state)
{
    const uint32_t ms = VOUCHED_NS / CORE_MS;

    (void)state;
    tell_idle(7, 1, VOUCHED_NS, VOUCHED_NS);
    tell_idle(8, 2, VOUCHED_NS - 1, UINT64_MAX);
    tell_idle(9, 3, VOUCHED_NS, VOUCHED_NS);
    tells[0].items[2].flow.vouched_ms = ms - 1; /* of the logger */
    tell_idle(10, 4, VOUCHED_NS, VOUCHED_NS);
    tells[1].items[3].flow.vouched_ms = ms; /* of the unit */
    take_over_from_two();
    assert_int_equal(n()->flows_inherited, 2);
    assert_non_null(flows_by_number(c, old_number(8)));
    assert_non_null(flows_by_number(c, old_number(9)));
}

static void while_no_controller_was_there_none_could(void **state)
{
    (void)state;
    tell_idle(7, 1, VOUCHED_NS + 5000 * CORE_MS, UINT64_MAX);
    tell_idle(8, 2, VOUCHED_NS + 5000 * CORE_MS - 1, UINT64_MAX);
    heard_ms = 5000;
    take_over_from_two();
    assert_null(flows_by_number(c, old_number(7)));
    assert_non_null(flows_by_number(c, old_number(8)));
}

static void of_too_many_flows_those_alive_last_go_on(void **state)
{
    struct rill_controller_config config = config_of(C, EPOCH, true);

    (void)state;
    config.flows_max = 2;
    create(config);
    tell_idle(7, 1, 30 * CORE_MS, 30 * CORE_MS);
    tell_idle(8, 2, 20 * CORE_MS, 20 * CORE_MS);
    tell_idle(9, 3, 10 * CORE_MS, 10 * CORE_MS);
    take_over_from_two();
    assert_null(flows_by_number(c, old_number(7)));
    assert_non_null(flows_by_number(c, old_number(8)));
    assert_non_null(flows_by_number(c, old_number(9)));
}

static void of_two_with_one_key_the_later_lives(void **state)
{
    (void)state;
    tell_settled(1, 8, 1);
    tell_settled(1, 7, 1);
    tell_settled(2, 9, 2);
    tell_settled(2, 10, 2);
    take_over_from_two();
    assert_null(flows_by_number(c, old_number(7)));
    assert_null(flows_by_number(c, old_number(9)));
    assert_int_equal(sent(1).flow, old_number(8));
    assert_int_equal(sent(2).flow, old_number(10));
}

/* Nothing was ever processed of a flow that has no tuple. */
static void what_is_known_by_nothing_is_not_inherited(void **state)
{
    (void)state;
    tell_settled(1, 7, 1)->head.tuple.family = 0;
    tells[0].items[0].head.tuple.family = 0;
    take_over_from_two();
    assert_int_equal(n()->flows_inherited, 0);
    assert_int_equal(rill_number_epoch(sent(1).flow), EPOCH);
}

/* --- aliases and endpoints -------------------------------------------------------------------- */

static struct flow *flow_at(uint32_t index)
{
    struct rill_alias alias = alias_at(index, 0);
    struct rill_flow_key key;

    rill_alias_key(&alias.local, NULL, 1, &key);
    return flows_by_alias(c, &key);
}

/* A confirmed alias is out in the world, whatever newer versions that nobody confirmed say. */
static void a_confirmed_alias_goes_before_a_newer_one(void **state)
{
    struct rill_inventory_item *of_unit = tell_settled(1, 7, 1), *of_logger = &tells[0].items[0];

    (void)state;
    of_logger->flow.flags |= RILL_INVENTORY_CONFIRMED;
    of_logger->head.alias = alias_at(3, 33);
    of_unit->flow.step = 9;
    of_unit->head.alias = alias_at(4, 44);
    /* the same, where the unconfirmed one is told last */
    of_logger = tell_flow(logger(1), 8, 2);
    of_logger->flow.flags |= RILL_INVENTORY_CONFIRMED;
    of_logger->head.alias = alias_at(5, 55);
    rill_inventory_claim(of_logger, old_number(8), unit(1), true);
    of_unit = tell_flow(unit(2), 8, 2);
    of_unit->flow.term++;
    of_unit->head.alias = alias_at(6, 66);
    rill_inventory_claim(of_unit, old_number(9), unit(2), false);
    take_over_from_two();
    assert_non_null(flow_at(5));
    assert_int_equal(flow_at(5)->number, old_number(8));
    assert_null(flow_at(6));
    assert_non_null(flow_at(3));
    assert_int_equal(flow_at(3)->number, old_number(7));
    assert_null(flow_at(4));
    assert_true(sent(1).flags & RILL_FLAG_ALIAS_KNOWN);
}

/* Two flows say that they have the endpoint. */
static void a_confirmed_alias_goes_before_another_flows(void **state)
{
    (void)state;
    tell_settled(1, 7, 1)->head.alias = alias_at(3, 33);
    tell_settled(2, 8, 2)->head.alias = alias_at(3, 33);
    tells[2].items[0].head.alias = alias_at(3, 33); /* of logger 2 */
    tells[2].items[0].flow.flags |= RILL_INVENTORY_CONFIRMED;
    take_over_from_two();
    assert_int_equal(flow_at(3)->number, old_number(8));
}

/* The other one had ended, before that one could lease it. */
static void of_two_with_one_endpoint_the_one_alive_last_has_it(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 2; i++) {
        uint64_t early_ns = 400 * CORE_MS, late_ns = 100 * CORE_MS;

        tell_idle(7 + 2 * i, 1 + 2 * i, i ? early_ns : late_ns, UINT64_MAX);
        tells[1].items[2 * i].head.alias = alias_at(3 + i, i ? 33 : 44);
        tells[1].items[2 * i].flow.flags |= RILL_INVENTORY_CONFIRMED;
        tell_idle(8 + 2 * i, 2 + 2 * i, i ? late_ns : early_ns, UINT64_MAX);
        tells[1].items[2 * i + 1].head.alias = alias_at(3 + i, i ? 44 : 33);
        tells[1].items[2 * i + 1].flow.flags |= RILL_INVENTORY_CONFIRMED;
    }
    take_over_from_two();
    assert_int_equal(flow_at(3)->number, old_number(7));
    assert_int_equal(flow_at(4)->number, old_number(10));
    assert_int_equal(n()->flows_inherited, 2);
}

static struct rte_mbuf *alias_of(uint32_t number, uint64_t flow, uint64_t term,
                                 const struct rill_alias *alias)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_ALIAS, logger(number), C);

    rill_frame(m)->flow = flow;
    rill_frame(m)->term = term;
    rill_frame(m)->next_unit = unit(number);
    core_body(m, alias, sizeof(*alias));
    return m;
}

/* Which of several unconfirmed ones it is, its output logger says. */
static void an_unconfirmed_alias_is_what_the_logger_says(void **state)
{
    struct rill_inventory_item *item = tell_settled(1, 7, 1);
    struct rill_alias other = alias_at(5, 55);
    struct rill_frame f, ack;

    (void)state;
    tells[0].items[0].head.alias = alias_at(3, 33);
    item->flow.step = 2;
    item->head.alias = alias_at(4, 44); /* the newest version's */
    tell_endpoint(1, 5, 55);
    take_over_from_two();
    assert_null(flow_at(3));
    assert_int_equal(flow_at(4)->number, old_number(7));
    f = sent(1);
    assert_false(f.flags & RILL_FLAG_ALIAS_KNOWN);
    give(alias_of(1, f.flow, f.term, &other));
    ack = core_expect(&out, RILL_FRAME_ALIAS_ACK, logger(1));
    assert_false(ack.flags & RILL_FLAG_REFUSED);
    assert_null(flow_at(4));
    assert_int_equal(flow_at(5)->number, old_number(7));
    assert_int_equal(n()->aliases_replaced, 1);
    assert_true(sent(1).flags & RILL_FLAG_ALIAS_KNOWN);
    assert_int_equal(rill_port_pool_state(c->pools[0], 4, NULL, NULL), RILL_PORT_QUARANTINE);
}

static void an_unconfirmed_alias_is_confirmed_by_its_logger(void **state)
{
    struct rill_alias alias = alias_at(4, 44);
    struct rill_frame f;

    (void)state;
    tell_settled(1, 7, 1)->head.alias = alias;
    take_over_from_two();
    f = sent(1);
    give(alias_of(1, f.flow, f.term, &alias));
    assert_false(core_expect(&out, RILL_FRAME_ALIAS_ACK, logger(1)).flags & RILL_FLAG_REFUSED);
    assert_true(sent(1).flags & RILL_FLAG_ALIAS_KNOWN);
    assert_int_equal(n()->aliases_replaced, 0);
    /* and is what it is from then on */
    alias = alias_at(5, 55);
    give(alias_of(1, f.flow, f.term, &alias));
    assert_true(core_expect(&out, RILL_FRAME_ALIAS_ACK, logger(1)).flags & RILL_FLAG_REFUSED);
}

/* Only the logger that was fenced for a dead unit speaks for it. */
static void a_dead_units_alias_is_its_fenced_loggers(void **state)
{
    struct rill_alias alias = alias_at(4, 44);
    struct rte_mbuf *m;

    (void)state;
    tell_settled(3, 7, 1)->head.alias = alias;
    tells[0].items[0].head.alias = alias;
    lives(1);
    lives(2);
    is_dead(3, logger(3));
    take_over();
    m = alias_of(2, old_number(7), old_number(7), &alias);
    rill_frame(m)->next_unit = unit(3);
    give(m);
    assert_true(core_expect(&out, RILL_FRAME_ALIAS_ACK, logger(2)).flags & RILL_FLAG_REFUSED);
    give(alias_of(3, old_number(7), old_number(7), &alias));
    assert_false(core_expect(&out, RILL_FRAME_ALIAS_ACK, logger(3)).flags & RILL_FLAG_REFUSED);
}

static uint32_t state_of(uint32_t index, uint32_t *role)
{
    rill_port_pool_advance(c->pools[0], now_ns);
    return rill_port_pool_state(c->pools[0], index, role, NULL);
}

static void endpoints_stay_where_they_are(void **state)
{
    struct rill_alias alias = alias_at(2, 22);
    uint32_t role;

    (void)state;
    tell_endpoint(1, 0, 11);
    tell_endpoint(2, 1, 12);
    tell_endpoint(2, 0, 10); /* of another, that had it before */
    tell_endpoint(1, POOL_SIZE, 14);
    tell_settled(1, 7, 1)->head.alias = alias;
    take_over_from_two();
    assert_int_equal(state_of(0, &role), RILL_PORT_LEASED);
    assert_int_equal(role, unit(1));
    assert_int_equal(c->lease[0][0], 11);
    assert_int_equal(state_of(1, &role), RILL_PORT_LEASED);
    assert_int_equal(role, unit(2));
    assert_int_equal(state_of(2, &role), RILL_PORT_USED);
    assert_int_equal(c->lease[0][2], 22);
    /* nobody told of the others: they are free, and have rested */
    assert_int_equal(rill_port_pool_count(c->pools[0], RILL_PORT_FREE), POOL_SIZE - 3);
}

/* All that is known of a flow is that it had that endpoint, and has ended: maybe only just. */
static void an_ended_flows_endpoint_rests(void **state)
{
    (void)state;
    tell_settled(1, 7, 1)->head.alias = alias_at(4, 44);
    for (uint32_t i = 0; i < tell_count; i++)
        for (uint32_t k = 0; k < tells[i].count; k++)
            tells[i].items[k].flow.idle_ns = IDLE_NS;
    take_over_from_two();
    assert_null(flows_by_number(c, old_number(7)));
    assert_int_equal(state_of(4, NULL), RILL_PORT_QUARANTINE);
    assert_int_equal(rill_port_pool_count(c->pools[0], RILL_PORT_FREE), POOL_SIZE - 1);
    pass_time(QUARANTINE_NS - 1);
    assert_int_equal(state_of(4, NULL), RILL_PORT_QUARANTINE);
    pass_time(1);
    assert_int_equal(state_of(4, NULL), RILL_PORT_FREE);
}

/* As long as it does, nobody may forget such a flow: the next controller has to hear of it. */
static void what_rests_is_not_forgotten(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    tell_settled(1, 7, 1)->head.alias = alias_at(4, 44);
    for (uint32_t i = 0; i < tell_count; i++)
        for (uint32_t k = 0; k < tells[i].count; k++)
            tells[i].items[k].flow.idle_ns = IDLE_NS;
    take_over_from_two();
    for (int i = 0; i < 2; i++) {
        core_clear(&out);
        m = core_frame(RILL_FRAME_NEED, unit(1), C);
        rill_frame(m)->flow = old_number(7);
        rill_frame(m)->term = old_number(7);
        rill_frame(m)->next_unit = unit(1);
        give(m);
        assert_int_equal(core_count(&out, RILL_FRAME_FORGET, unit(1)), i);
        pass_time(QUARANTINE_NS);
    }
}

/* Which flows of theirs had ended, nobody says. */
static void all_rests_when_a_unit_is_lost_with_its_logger(void **state)
{
    (void)state;
    lives(1);
    is_dead(3, 0);
    take_over();
    pass_time(4 * RETRY_NS);
    state_of(0, NULL);
    assert_int_equal(rill_port_pool_count(c->pools[0], RILL_PORT_QUARANTINE), POOL_SIZE);
}

/* An endpoint that was leased to somebody else since its flow was heard of: that one has ended. */
static void a_flow_whose_endpoint_is_anothers_has_ended(void **state)
{
    (void)state;
    tell_endpoint(2, 4, 45);
    tell_settled(1, 7, 1)->head.alias = alias_at(4, 44);
    take_over_from_two();
    assert_null(flows_by_number(c, old_number(7)));
    assert_int_equal(state_of(4, NULL), RILL_PORT_LEASED);
}

/* The same where the other one is a flow that is no longer alive, or whose alias no controller has
 * confirmed yet; whoever tells it first. ("endpoint_order") */
static void the_later_of_two_leases_is_the_flows(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 4; i++) {
        bool later = i % 2 != 0, confirmed = !later;

        tell_settled(1, 7 + i, 1 + i)->head.alias = alias_at(3 + i / 2, later ? 44 : 33);
        tells[0].items[i].head.alias = alias_at(3 + i / 2, later ? 44 : 33);
        tells[0].items[i].flow.flags |= confirmed ? RILL_INVENTORY_CONFIRMED : 0;
    }
    for (uint16_t i = 0; i < 2; i++) { /* of the second endpoint, the other way round */
        struct rill_inventory_item *a = &tells[i].items[2], *b = &tells[i].items[3], tmp = *a;

        *a = *b;
        *b = tmp;
    }
    take_over_from_two();
    assert_null(flows_by_number(c, old_number(7)));
    assert_int_equal(flow_at(3)->number, old_number(8));
    assert_null(flows_by_number(c, old_number(9)));
    assert_int_equal(flow_at(4)->number, old_number(10));
    assert_int_equal(c->lease[0][4], 44);
}

/* With a death on the way nothing that was unreported is free. */
static void the_rest_comes_back_when_deaths_are_over(struct rill_controller_config config)
{
    struct rill_frame take;
    struct rte_mbuf *m;

    create(config);
    tell_settled(3, 7, 1);
    lives(1);
    lives(2);
    is_dead(3, logger(3));
    take_over();
    core_clear(&out);
    pass_time(4 * RTE_MAX(RETRY_NS, config.pool_quarantine_ns));
    take = core_expect(&out, RILL_FRAME_TAKE, 0);
    state_of(0, NULL);
    assert_int_equal(rill_port_pool_count(c->pools[0], RILL_PORT_KEPT), POOL_SIZE);
    m = core_frame(RILL_FRAME_ESTABLISHED, logger(rill_role_number(take.dst)), C);
    rill_frame(m)->flow = take.flow;
    rill_frame(m)->term = take.term;
    rill_frame(m)->next_unit = take.dst;
    give(m);
    pass_time(4 * RETRY_NS);
    state_of(0, NULL);
    assert_int_equal(rill_port_pool_count(c->pools[0], RILL_PORT_FREE), POOL_SIZE);
}

static void unreported_endpoints_come_back_when_deaths_are_over(void **state)
{
    (void)state;
    the_rest_comes_back_when_deaths_are_over(config_of(C, EPOCH, true));
}

/* The same where endpoints rest for no longer than a message is waited for. */
static void they_come_back_with_a_short_rest_too(void **state)
{
    struct rill_controller_config config = config_of(C, EPOCH, true);

    (void)state;
    config.pool_quarantine_ns = RETRY_NS / 2;
    the_rest_comes_back_when_deaths_are_over(config);
}

static int group_setup(void **state)
{
    if (core_group_setup(state) != 0)
        return -1;
    create(config_of(BEFORE, OLD_EPOCH, false));
    for (uint16_t port = 1; port < RTE_DIM(tuples); port++)
        tuples[port] = sent(port).tuple;
    return controller_teardown(state);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, controller_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_that_live_are_asked),
        T(packets_are_dropped_until_all_is_known),
        T(questions_are_repeated_to_those_that_have_not_answered),
        T(what_needs_the_flows_waits),
        T(parts_are_taken_once_and_in_order),
        T(a_part_that_is_none_is_asked_for_again),
        T(the_list_is_confirmed_at_the_end),
        T(who_is_no_longer_listed_need_not_answer),
        T(all_are_told_who_is_dead),
        T(the_logger_of_a_unit_that_dies_meanwhile_answers_anew),
        T(a_death_at_the_end_begins_again),
        T(a_flow_goes_on_in_a_new_term),
        T(the_term_is_new_at_the_same_unit_too),
        T(new_flows_are_numbered_above),
        T(the_chain_ends_with_the_established_term),
        T(the_chain_ends_above_a_unit_that_nobody_knows),
        T(a_birth_is_below_all_terms),
        T(a_chain_that_is_too_long_waits),
        T(a_dead_owners_flow_goes_on_elsewhere),
        T(what_was_idle_has_ended),
        T(what_nobody_vouched_for_has_ended),
        T(while_no_controller_was_there_none_could),
        T(of_too_many_flows_those_alive_last_go_on),
        T(of_two_with_one_key_the_later_lives),
        T(what_is_known_by_nothing_is_not_inherited),
        T(a_confirmed_alias_goes_before_a_newer_one),
        T(a_confirmed_alias_goes_before_another_flows),
        T(of_two_with_one_endpoint_the_one_alive_last_has_it),
        T(an_unconfirmed_alias_is_what_the_logger_says),
        T(an_unconfirmed_alias_is_confirmed_by_its_logger),
        T(a_dead_units_alias_is_its_fenced_loggers),
        T(endpoints_stay_where_they_are),
        T(an_ended_flows_endpoint_rests),
        T(what_rests_is_not_forgotten),
        T(all_rests_when_a_unit_is_lost_with_its_logger),
        T(a_flow_whose_endpoint_is_anothers_has_ended),
        T(the_later_of_two_leases_is_the_flows),
        T(unreported_endpoints_come_back_when_deaths_are_over),
        T(they_come_back_with_a_short_rest_too),
    };

    return cmocka_run_group_tests_name("takeover", tests, group_setup, core_group_teardown);
}
