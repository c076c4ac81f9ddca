/* State mode `external`: what a unit writes to the store outside, and what it goes on from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nf-runtime/unit_testing.h"

enum { FLOW = 100, TERM = 5, LAST = FLOW + 9 };

#define PEER rill_role_id(RILL_ROLE_UNIT, 2)
#define PEERS_OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 2)
#define STORE rill_role_id(RILL_ROLE_STORE, 1)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define T_NS (10 * CORE_MS)
#define PULL_NS (40 * CORE_MS)

/* --- an NF that counts --- */

struct instance {
    struct rill_table *table;
};

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);

    (void)config;
    self->table = rill_table_create(nf, "count", RILL_PER_FLOW, RILL_WRITE, sizeof(uint64_t));
    return self->table != NULL ? 0 : -1;
}

static enum rill_verdict count_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);

    ++*(uint64_t *)rill_get(self->table, pkt);
    rill_put(self->table, pkt, 0, 8);
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor descriptor = {.abi = RILL_NF_ABI,
                                                     .name = "count",
                                                     .version = "1",
                                                     .summary = "Counts.",
                                                     .flow_scope = RILL_FLOW_CONNECTION,
                                                     .handles = RILL_HANDLES_UDP4,
                                                     .instance_bytes = sizeof(struct instance),
                                                     .init = init,
                                                     .process_packet = count_packet};

/* --- the unit --- */

static int setup(void **state)
{
    struct rill_unit_config config = unit_usual();

    unit_setup(state);
    config.store = STORE;
    config.flowlet_timeout_ns = T_NS;
    config.pull_timeout_ns = PULL_NS;
    config.retry_ns = 60 * CORE_MS;
    config.proactive = false;
    unit_create(&descriptor, config);
    lease_to(CONTROLLER, 0, 1000);
    core_expect(&out, RILL_FRAME_SHARE_ACK, RM);
    return 0;
}

/* --- frames --- */

static struct rte_mbuf *data(uint64_t term, uint64_t clock, uint64_t below, uint32_t below_unit)
{
    return data_frame(FLOW, term, clock,
                      (struct rill_chain_entry){.term = below, .unit = below_unit});
}

/* A packet of the flow that is born here. */
static struct rte_mbuf *own(uint64_t clock)
{
    return data(TERM, clock, RILL_BIRTH_TERM, 0);
}

/* The first packet after a move from PEER, which had the term before. */
static struct rte_mbuf *moved_in(uint64_t clock)
{
    return data(TERM + 1, clock, TERM, PEER);
}

static struct rte_mbuf *handoff(enum rill_frame_type type)
{
    struct rte_mbuf *m = core_frame(type, CONTROLLER, UNIT);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->term = TERM;
    rill_frame(m)->next_term = TERM + 1;
    rill_frame(m)->next_unit = PEER;
    rill_frame(m)->chain_len = 1; /* birth */
    return m;
}

static struct rte_mbuf *acknowledge(uint64_t step)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_STORE_ACK, STORE, UNIT);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->granted_term = TERM;
    rill_frame(m)->term = TERM;
    rill_frame(m)->step = step;
    return m;
}

/* PEER's version after that many steps, the last of them of the packet `clock`. */
static void set_version(struct rill_frame *f, uint64_t packets, uint64_t clock)
{
    f->flow = FLOW;
    f->granted_term = TERM;
    f->term = TERM;
    f->step = packets;
    f->clock = clock;
    f->window = UINT64_MAX;
}

static struct rte_mbuf * final(uint64_t packets, uint64_t clock)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FINAL, PEER, UNIT);
    struct rill_frame *f = rill_frame(m);

    set_version(f, packets, clock);
    f->next_term = TERM + 1;
    f->next_unit = UNIT;
    f->chain[0] = (struct rill_chain_entry){.term = TERM, .unit = PEER};
    f->chain_len = 1;
    return m;
}

static struct rte_mbuf *empty_value(uint32_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_STORE_VALUE, STORE, UNIT);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->count = number;
    return m;
}

static struct rte_mbuf *value(uint32_t number, uint64_t packets, uint64_t clock)
{
    struct rte_mbuf *m = empty_value(number);
    uint8_t state[sizeof(struct rill_state_head) + 8] = {0};

    set_version(rill_frame(m), packets, clock);
    rill_frame(m)->flags = RILL_FLAG_STATE;
    memcpy(state + sizeof(struct rill_state_head), &packets, 8);
    assert_int_equal(sizeof(state), rill_nf_state_bytes(unit_nf));
    core_body(m, state, sizeof(state));
    return m;
}

/* The owner's state, after so many packets. */
static void expect_owner(uint64_t packets)
{
    struct rill_unit_flow_info info;
    uint64_t count;

    assert_true(rill_unit_flow_info(unit, FLOW, &info));
    assert_true(info.owner);
    memcpy(&count, info.state + sizeof(struct rill_state_head), 8);
    assert_int_equal(count, packets);
}

static uint32_t expect_get(void)
{
    return core_expect(&out, RILL_FRAME_STORE_GET, STORE).count;
}

static void expect_put(uint64_t packets)
{
    struct rte_mbuf *m = core_take(&out, RILL_FRAME_STORE_PUT, STORE);
    uint64_t count;

    assert_non_null(m);
    assert_int_equal(rill_frame(m)->granted_term, TERM);
    assert_int_equal(rill_frame(m)->term, packets == 0 ? 0 : TERM);
    assert_int_equal(rill_frame(m)->step, packets);
    assert_int_equal(rill_body_read(m, sizeof(struct rill_state_head), &count, 8), 0);
    assert_int_equal(count, packets);
    rte_pktmbuf_free(m);
}

/* --- writing --- */

static void the_owner_writes_in_the_gap_and_not_again(void **state)
{
    (void)state;
    give(own(FLOW));
    give(own(FLOW + 1));
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_PUT, 0), 0);
    pass_time(T_NS / 2);
    expect_put(2);
    for (int i = 0; i < 5; i++)
        pass_time(T_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_PUT, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 0);
    assert_int_equal(n()->store_puts, 1);
}

static void a_move_writes_what_the_store_has_not_said_it_keeps(void **state)
{
    struct rill_frame f;

    (void)state;
    give(own(FLOW));
    pass_time(T_NS / 2);
    expect_put(1);
    give(acknowledge(1));
    give(own(FLOW + 1));
    give(handoff(RILL_FRAME_MOVE));
    expect_put(2);
    f = core_expect(&out, RILL_FRAME_FINAL, PEER);
    assert_int_equal(f.flags & RILL_FLAG_STATE, 0); /* units hand no state to each other */
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.step, 2);
    assert_int_equal(f.next_term, TERM + 1);
}

static void a_move_writes_nothing_that_the_store_keeps(void **state)
{
    (void)state;
    give(own(FLOW));
    pass_time(T_NS / 2);
    expect_put(1);
    give(acknowledge(1));
    give(handoff(RILL_FRAME_MOVE));
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_PUT, 0), 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, PEER).step, 1);
}

static void who_is_asked_writes_again_whatever_was_acknowledged(void **state)
{
    (void)state;
    give(own(FLOW));
    give(handoff(RILL_FRAME_MOVE));
    expect_put(1);
    give(acknowledge(1));
    core_clear(&out);
    give(handoff(RILL_FRAME_PULL)); /* the store was started anew, say */
    expect_put(1);
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, PEER).flags & RILL_FLAG_STATE, 0);
}

static void a_flow_without_a_step_is_written_too(void **state)
{
    (void)state;
    give(handoff(RILL_FRAME_MOVE)); /* nothing came before: it is born, and passed on */
    expect_put(0);
    core_expect(&out, RILL_FRAME_FINAL, PEER);
}

/* --- reading --- */

static void it_reads_at_the_flowlets_start_and_goes_on_if_that_fits(void **state)
{
    uint32_t number;

    (void)state;
    give(moved_in(LAST + 1));
    number = expect_get();
    assert_int_equal(rill_unit_packets_held(unit), 1);
    give(moved_in(LAST + 2));
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_GET, 0), 0); /* one question for all */
    give(value(number, 10, LAST));
    expect_owner(12);
    assert_int_equal(n()->store_values, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, OL), 2);
}

static void it_does_not_go_on_with_an_older_version(void **state)
{
    uint32_t number;

    (void)state;
    give(moved_in(LAST + 1));
    number = expect_get();
    give(value(number, 9, LAST - 1));
    assert_int_equal(rill_unit_packets_held(unit), 1);
    /* What FINAL names may be behind what was read: it reads again. */
    give(final(10, LAST));
    number = expect_get();
    give(value(number, 9, LAST - 1));
    assert_int_equal(rill_unit_packets_held(unit), 1);
    assert_int_equal(n()->store_stale, 1);
    number = expect_get();
    give(value(number, 10, LAST));
    expect_owner(11);
}

static void the_version_that_final_names_is_taken_though_packets_are_missing(void **state)
{
    uint32_t number;

    (void)state;
    give(moved_in(LAST + 3)); /* the two before it are late, or lost */
    number = expect_get();
    give(value(number, 10, LAST));
    assert_int_equal(rill_unit_packets_held(unit), 1);
    give(final(10, LAST)); /* it was read already */
    expect_owner(11);
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_GET, 0), 0);
}

static void final_may_come_first(void **state)
{
    uint32_t number;

    (void)state;
    give(final(10, LAST));
    number = expect_get();
    give(moved_in(LAST + 2));
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_GET, 0), 0);
    give(value(number, 10, LAST));
    expect_owner(11);
}

static void stale_answers_are_not_asked_about_for_ever(void **state)
{
    uint32_t asked = 0;

    (void)state;
    give(moved_in(LAST + 1));
    give(final(10, LAST));
    for (struct rte_mbuf *m; (m = core_take(&out, RILL_FRAME_STORE_GET, STORE)) != NULL; asked++) {
        uint32_t number = rill_frame(m)->count;

        rte_pktmbuf_free(m);
        give(asked % 2 ? empty_value(number) : value(number, 9, LAST - 1));
        assert_true(asked < 100);
    }
    assert_true(asked > 2);
    assert_int_equal(core_count(&out, RILL_FRAME_PULL, PEER), 0);
    pass_time(PULL_NS); /* the former owner is asked to write again, and the store once more */
    core_expect(&out, RILL_FRAME_PULL, PEER);
    give(value(expect_get(), 10, LAST));
    expect_owner(11);
}

static void a_lost_answer_is_asked_for_again(void **state)
{
    (void)state;
    give(moved_in(LAST + 1));
    expect_get();
    pass_time(PULL_NS);
    give(value(expect_get(), 10, LAST));
    expect_owner(11);
}

static void a_newer_lost_branch_does_not_hide_the_named_version(void **state)
{
    (void)state;
    give(moved_in(LAST + 3));
    give(value(expect_get(), 11, LAST + 1)); /* of a unit that died: no logger has its last step */
    give(final(10, LAST));
    give(value(expect_get(), 10, LAST));
    expect_owner(11);
}

static void late_answers_do_nothing(void **state)
{
    (void)state;
    give(moved_in(LAST + 1));
    give(value(expect_get(), 10, LAST));
    expect_owner(11);
    give(value(1, 10, LAST));
    give(value(1, 30, LAST + 20));
    give(empty_value(1));
    expect_owner(11);
    give(moved_in(LAST + 2));
    expect_owner(12);
}

static void a_dead_units_logger_is_asked_not_the_store(void **state)
{
    struct rte_mbuf *m = moved_in(LAST + 1);

    (void)state;
    rill_frame(m)->chain[0].output_logger = PEERS_OL;
    give(m);
    assert_int_equal(core_count(&out, RILL_FRAME_STORE_GET, 0), 0);
    core_expect(&out, RILL_FRAME_LOGGER_PULL, PEERS_OL);
}

static void a_value_of_another_size_is_refused(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    give(moved_in(LAST + 1));
    m = value(expect_get(), 10, LAST);
    rte_pktmbuf_trim(m, 8);
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(rill_unit_packets_held(unit), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, unit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_owner_writes_in_the_gap_and_not_again),
        TEST(a_move_writes_what_the_store_has_not_said_it_keeps),
        TEST(a_move_writes_nothing_that_the_store_keeps),
        TEST(who_is_asked_writes_again_whatever_was_acknowledged),
        TEST(a_flow_without_a_step_is_written_too),
        TEST(it_reads_at_the_flowlets_start_and_goes_on_if_that_fits),
        TEST(it_does_not_go_on_with_an_older_version),
        TEST(the_version_that_final_names_is_taken_though_packets_are_missing),
        TEST(final_may_come_first),
        TEST(stale_answers_are_not_asked_about_for_ever),
        TEST(a_lost_answer_is_asked_for_again),
        TEST(a_newer_lost_branch_does_not_hide_the_named_version),
        TEST(late_answers_do_nothing),
        TEST(a_dead_units_logger_is_asked_not_the_store),
        TEST(a_value_of_another_size_is_refused),
    };

    return cmocka_run_group_tests(tests, core_group_setup, core_group_teardown);
}
