/* What a unit does when others die: it goes on with a dead unit's flows, with what that unit's
 * output logger kept; and it fills another output logger when its own has died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nf-runtime/unit_testing.h"

enum { FLOW = 100, TERM = 50, CHAIN_PLACES = RILL_CHAIN_MAX };

#define NEW_OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 100)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define T_NS (10 * CORE_MS)
#define PULL_NS (4 * CORE_MS)
#define RETRY_NS (6 * CORE_MS)
#define SLOW_NS (1000 * CORE_MS)
#define KEEP_NS (1000 * CORE_MS)

/* Another unit, and the output logger of that unit. */
static uint32_t peer(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

static uint32_t logger_of(uint32_t number)
{
    return rill_role_id(RILL_ROLE_OUTPUT_LOGGER, number);
}

/* --- the NF: counts packets --- */

static struct rill_table *table;

static int init_nf(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    table = rill_table_create(nf, "count", RILL_PER_FLOW, RILL_WRITE, 8);
    return table != NULL ? 0 : -1;
}

static enum rill_verdict count_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    uint64_t *packets = rill_get(table, pkt);

    (void)nf;
    ++*packets;
    rill_put(table, pkt, 0, 8);
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor counting_nf = {.abi = RILL_NF_ABI,
                                                      .name = "counting",
                                                      .version = "1",
                                                      .summary = "Counts.",
                                                      .flow_scope = RILL_FLOW_CONNECTION,
                                                      .handles = RILL_HANDLES_UDP4,
                                                      .init = init_nf,
                                                      .process_packet = count_packet};

/* --- the unit --- */

static struct rill_frame waits_by; /* the last that was given with a chain */

static void send(struct rte_mbuf *m)
{
    if (rill_frame(m)->chain_len > 0)
        waits_by = *rill_frame(m);
    give(m);
}

/* Calls tick whenever it wants to be called. */
static void run_for(uint64_t ns)
{
    uint64_t until_ns = now_ns + ns;

    while (rill_unit_next_ns(unit) <= until_ns) {
        now_ns = RTE_MAX(now_ns, rill_unit_next_ns(unit));
        rill_unit_tick(unit, now_ns, &out);
    }
    now_ns = until_ns;
}

static int setup(void **state)
{
    struct rill_unit_config config = unit_usual();

    unit_setup(state);
    config.flowlet_timeout_ns = T_NS;
    config.pull_timeout_ns = PULL_NS;
    config.retry_ns = RETRY_NS;
    config.resend.slow_ns = SLOW_NS;
    config.keep_ns = KEEP_NS;
    config.flows_max = 8;
    unit_create(&counting_nf, config);
    lease_to(CONTROLLER, 0, 1000);
    core_expect(&out, RILL_FRAME_SHARE_ACK, RM);
    return 0;
}

/* --- chains, newest entry first --- */

static struct rill_chain_entry alive(uint64_t term, uint32_t number)
{
    return (struct rill_chain_entry){.term = term, .unit = peer(number)};
}

static struct rill_chain_entry dead(uint64_t term, uint32_t number)
{
    return (struct rill_chain_entry){
        .term = term, .unit = peer(number), .output_logger = logger_of(number)};
}

static struct rill_chain_entry birth(void)
{
    return (struct rill_chain_entry){.term = RILL_BIRTH_TERM};
}

static struct rte_mbuf *add_entry(struct rte_mbuf *m, struct rill_chain_entry entry)
{
    struct rill_frame *f = rill_frame(m);

    assert_true(f->chain_len < CHAIN_PLACES);
    f->chain[f->chain_len++] = entry;
    return m;
}

/* --- what comes in --- */

static struct rte_mbuf *about_flow(enum rill_frame_type type, uint32_t src, uint64_t term)
{
    struct rte_mbuf *m = core_frame(type, src, UNIT);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->term = term;
    return m;
}

static struct rte_mbuf *data(uint64_t term, uint64_t clock, struct rill_chain_entry below)
{
    return data_frame(FLOW, term, clock, below);
}

static struct rte_mbuf *take(uint64_t term, struct rill_chain_entry below)
{
    return add_entry(about_flow(RILL_FRAME_TAKE, CONTROLLER, term), below);
}

static void put_state(struct rte_mbuf *m, uint64_t packets)
{
    uint8_t state[sizeof(struct rill_state_head) + 8] = {0};

    memcpy(state + sizeof(struct rill_state_head), &packets, 8);
    assert_int_equal(sizeof(state), rill_nf_state_bytes(unit_nf));
    core_body(m, state, sizeof(state));
}

/* Answers the question about unit `number` in term `asked`, put by the owner of `ours`. */
static struct rte_mbuf *answer(uint32_t number, uint64_t asked, uint64_t ours)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_LOGGER_STATE, logger_of(number), UNIT);
    struct rill_frame *f = rill_frame(m);

    f->flow = FLOW;
    f->granted_term = asked;
    f->next_term = ours;
    f->next_unit = peer(number);
    return m;
}

static struct rte_mbuf *refused(uint32_t number, uint64_t asked, uint64_t ours)
{
    struct rte_mbuf *m = answer(number, asked, ours);

    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    return m;
}

/* Step k was the last, and its packet's clock FLOW + k; the NF has counted k packets. */
static void tag_as_step(struct rill_frame *f, uint64_t term, uint64_t k)
{
    f->term = term;
    f->step = k;
    f->clock = FLOW + k;
    f->window = UINT64_MAX;
}

static struct rte_mbuf *answer_at_step(uint32_t number, uint64_t asked, uint64_t ours, uint64_t k,
                                       bool with_state)
{
    struct rte_mbuf *m = answer(number, asked, ours);

    tag_as_step(rill_frame(m), asked, k);
    if (with_state) {
        rill_frame(m)->flags = RILL_FLAG_STATE;
        put_state(m, k);
    }
    return m;
}

static struct rte_mbuf *final_of(uint32_t number, uint64_t term, uint64_t next_term, uint64_t k)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FINAL, peer(number), UNIT);
    struct rill_frame *f = rill_frame(m);

    tag_as_step(f, term, k);
    f->flow = FLOW;
    f->granted_term = term;
    f->next_term = next_term;
    f->next_unit = UNIT;
    f->flags = RILL_FLAG_STATE;
    put_state(m, k);
    return add_entry(m, alive(term, number));
}

static struct rte_mbuf *replica(uint32_t number, uint64_t term, uint64_t k, uint64_t window)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_REPLICA, peer(number), UNIT);
    struct rill_replica_entry e = {.flow = FLOW,
                                   .term = term,
                                   .step = k,
                                   .clock = FLOW + k,
                                   .window = window,
                                   .state_bytes = rill_nf_state_bytes(unit_nf)};

    core_body(m, &e, sizeof(e));
    put_state(m, k);
    return m;
}

static const uint64_t with_a_hole = UINT64_MAX & ~UINT64_C(4);

static struct rte_mbuf *dead_notice(uint32_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_DEAD, CONTROLLER, UNIT);

    rill_frame(m)->next_unit = peer(number);
    rill_frame(m)->count = logger_of(number);
    return m;
}

static struct rte_mbuf *pull(uint32_t asker, uint64_t term, uint64_t next_term)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_PULL, peer(asker), term);

    rill_frame(m)->next_term = next_term;
    rill_frame(m)->next_unit = peer(asker);
    return m;
}

static struct rte_mbuf *new_logger(uint64_t number, uint32_t logger)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_NEW_LOGGER, RM, UNIT);

    rill_frame(m)->clock = number;
    rill_frame(m)->next_unit = logger;
    return m;
}

/* --- what is to be seen --- */

static uint64_t counted(void)
{
    struct rill_unit_flow_info info;
    uint64_t packets;

    assert_true(rill_unit_flow_info(unit, FLOW, &info));
    memcpy(&packets, info.state + sizeof(struct rill_state_head), 8);
    return packets;
}

static bool owns(uint64_t term)
{
    struct rill_unit_flow_info info;

    return rill_unit_flow_info(unit, FLOW, &info) && info.owner && info.term == term;
}

static uint32_t questions(void)
{
    return core_count(&out, RILL_FRAME_LOGGER_PULL, 0) + core_count(&out, RILL_FRAME_PULL, 0);
}

/* The question to the output logger of unit `number`: what was in term `asked`? */
static struct rill_frame expect_question(uint32_t number, uint64_t asked, uint64_t ours)
{
    struct rill_frame f = core_expect(&out, RILL_FRAME_LOGGER_PULL, logger_of(number));

    assert_int_equal(f.flow, FLOW);
    assert_int_equal(f.granted_term, asked);
    assert_int_equal(f.next_term, ours);
    assert_int_equal(f.next_unit, peer(number));
    return f;
}

/* The controller was asked whether the flow is still there, and says what it said before. */
static void controller_confirms(uint64_t term)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, term);

    assert_int_equal(questions(), 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_WHERE, CONTROLLER).term, term);
    rill_frame(m)->chain_len = waits_by.chain_len;
    memcpy(rill_frame(m)->chain, waits_by.chain, sizeof(waits_by.chain));
    send(m);
}

/* Owner of TERM, born here, after `packets` packets with the clocks from FLOW on; nothing is left
 * to be seen of it. */
static void own_flow(uint64_t packets)
{
    for (uint64_t i = 0; i < packets; i++)
        send(data(TERM, FLOW + i, birth()));
    assert_true(owns(TERM));
    assert_int_equal(counted(), packets);
    core_clear(&out);
    step_count = 0;
}

/* --- a dead unit's output logger is asked --- */

static void the_logger_of_a_dead_owner_is_asked_at_once(void **state)
{
    struct rill_frame f;

    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    f = expect_question(2, TERM, TERM + 1);
    assert_int_equal(f.src, UNIT);
    assert_int_equal(f.step, 0); /* we have no replica */
    assert_int_equal(f.term, 0);
    assert_int_equal(questions(), 0);
    assert_int_equal(rill_unit_packets_held(unit), 1);
    assert_int_equal(n()->logger_pulls_sent, 1);
    assert_int_equal(step_count, 0);
}

static void what_the_logger_kept_is_gone_on_from(void **state)
{
    struct rill_frame f;

    (void)state;
    send(data(TERM + 1, FLOW + 13, dead(TERM, 2)));
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    send(data(TERM + 1, FLOW + 11, dead(TERM, 2))); /* the kept state has this one */
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_true(owns(TERM + 1));
    assert_int_equal(step_count, 2);
    assert_int_equal(steps[0], FLOW + 12);
    assert_int_equal(steps[1], FLOW + 13);
    assert_int_equal(counted(), 13);
    assert_int_equal(n()->dropped_late_or_duplicate, 1);
    assert_int_equal(rill_unit_packets_held(unit), 0);
    assert_int_equal(n()->recovered_from_logger, 1);
    f = core_expect(&out, RILL_FRAME_CHANGE, OL);
    assert_true(f.flags & RILL_FLAG_FULL);
    assert_int_equal(f.term, TERM + 1);
    assert_int_equal(f.step, 12);
}

static void a_question_that_is_lost_is_repeated_and_the_controller_asked(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    core_clear(&out);
    run_for(20 * PULL_NS);
    assert_true(core_count(&out, RILL_FRAME_LOGGER_PULL, logger_of(2)) >= 2);
    assert_true(core_count(&out, RILL_FRAME_WHERE, CONTROLLER) >= 1);
    assert_int_equal(core_count(&out, RILL_FRAME_PULL, 0), 0); /* nobody is there */
    core_clear(&out);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_int_equal(counted(), 12);
    run_for(20 * PULL_NS);
    assert_int_equal(questions(), 0);
}

static void a_second_answer_changes_nothing(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    send(refused(2, TERM, TERM + 1));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
    assert_int_equal(n()->recovered_from_logger, 1);
}

static void a_state_of_the_wrong_size_is_malformed(void **state)
{
    struct rte_mbuf *m = answer(2, TERM, TERM + 1);

    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    rill_frame(m)->flags = RILL_FLAG_STATE;
    core_body(m, "short", 5);
    send(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_false(owns(TERM + 1));
    send(answer_at_step(2, TERM, TERM + 1, 11, true)); /* it still waits */
    assert_int_equal(counted(), 12);
}

static void an_answer_that_nobody_waits_for_is_nothing(void **state)
{
    (void)state;
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_int_equal(rill_unit_flows(unit), 0);
    own_flow(3);
    send(answer_at_step(2, TERM, TERM + 1, 11, true)); /* of a term that is not waited for */
    assert_true(owns(TERM));
    assert_int_equal(counted(), 3);
}

/* --- the replica that saves the transfer --- */

static void the_question_names_our_replica_and_it_may_be_the_answer(void **state)
{
    struct rill_frame f;

    (void)state;
    send(replica(2, TERM, 11, with_a_hole));
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    f = expect_question(2, TERM, TERM + 1);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.step, 11);
    send(answer_at_step(2, TERM, TERM + 1, 11, false));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
    assert_int_equal(n()->recovered_from_replica, 1);
    assert_int_equal(n()->recovered_from_logger, 0);
}

static void a_replica_that_changed_meanwhile_is_not_the_answer(void **state)
{
    (void)state;
    send(replica(2, TERM, 11, with_a_hole));
    send(data(TERM + 1, FLOW + 13, dead(TERM, 2)));
    expect_question(2, TERM, TERM + 1);
    send(replica(2, TERM, 12, with_a_hole)); /* was under way */
    send(answer_at_step(2, TERM, TERM + 1, 11, false));
    assert_false(owns(TERM + 1));
    assert_int_equal(step_count, 0);
    run_for(2 * PULL_NS);
    assert_int_equal(expect_question(2, TERM, TERM + 1).step, 12);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
}

static void without_a_replica_an_answer_without_state_is_none(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    send(answer_at_step(2, TERM, TERM + 1, 11, false));
    send(answer(2, TERM, TERM + 1)); /* a tag of zeros, as that of no replica */
    assert_false(owns(TERM + 1));
    assert_int_equal(rill_unit_packets_held(unit), 1);
}

/* Nothing that the dead unit has under way can change it: no need to ask. */
static void a_dense_replica_one_below_is_gone_on_from_without_asking(void **state)
{
    (void)state;
    send(replica(2, TERM, 11, UINT64_MAX));
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
    assert_int_equal(questions(), 0);
}

/* --- down the chain --- */

static void refused_leads_to_the_one_before(void **state)
{
    struct rill_frame f;
    struct rte_mbuf *m = data(TERM + 3, FLOW + 12, dead(TERM + 2, 2));

    (void)state;
    add_entry(add_entry(add_entry(m, dead(TERM + 1, 3)), alive(TERM, 4)), birth());
    send(m);
    expect_question(2, TERM + 2, TERM + 3);
    send(refused(2, TERM + 2, TERM + 3));
    controller_confirms(TERM + 3);
    expect_question(3, TERM + 1, TERM + 3);
    send(refused(3, TERM + 1, TERM + 3));
    controller_confirms(TERM + 3);
    assert_int_equal(questions(), 1);
    f = core_expect(&out, RILL_FRAME_PULL, peer(4));
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.next_term, TERM + 3);
    assert_int_equal(f.next_unit, UNIT);
    assert_int_equal(f.chain_len, 1);
    assert_int_equal(f.chain[0].term, RILL_BIRTH_TERM);
    send(final_of(4, TERM, TERM + 3, 11));
    assert_true(owns(TERM + 3));
    assert_int_equal(counted(), 12);
}

/* What the first of them held in its term is taken; the others are not asked. */
static void the_newest_that_held_it_is_the_one(void **state)
{
    struct rte_mbuf *m = data(TERM + 3, FLOW + 12, dead(TERM + 2, 2));

    (void)state;
    send(add_entry(add_entry(m, dead(TERM + 1, 3)), birth()));
    core_clear(&out);
    send(refused(2, TERM + 2, TERM + 3));
    controller_confirms(TERM + 3);
    send(answer_at_step(3, TERM + 1, TERM + 3, 11, true));
    assert_true(owns(TERM + 3));
    assert_int_equal(counted(), 12);
    assert_int_equal(n()->flows_born, 0);
}

static void refused_down_to_birth_begins_from_zeros(void **state)
{
    struct rill_frame f;

    (void)state;
    send(add_entry(data(TERM + 1, FLOW + 2, dead(TERM, 2)), birth()));
    send(add_entry(data(TERM + 1, FLOW + 3, dead(TERM, 2)), birth()));
    core_clear(&out);
    send(refused(2, TERM, TERM + 1));
    assert_false(owns(TERM + 1));
    controller_confirms(TERM + 1);
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 2);
    assert_int_equal(n()->flows_born, 1);
    f = core_expect(&out, RILL_FRAME_CHANGE, OL);
    assert_int_equal(f.step, 1);
    assert_int_equal(f.clock, FLOW + 2);
}

static void a_chain_of_seven_is_walked_to_its_end(void **state)
{
    struct rte_mbuf *m = data(TERM + 7, FLOW + 12, dead(TERM + 6, 8));

    (void)state;
    for (uint32_t i = 2; i < RILL_CHAIN_MAX; i++)
        add_entry(m, dead(TERM + 7 - i, 9 - i));
    send(add_entry(m, birth()));
    for (uint32_t i = 1; i < RILL_CHAIN_MAX; i++) {
        expect_question(9 - i, TERM + 7 - i, TERM + 7);
        assert_false(owns(TERM + 7));
        send(refused(9 - i, TERM + 7 - i, TERM + 7));
        controller_confirms(TERM + 7);
    }
    assert_true(owns(TERM + 7));
    assert_int_equal(counted(), 1);
}

/* Who has come to the end and found nothing asks the controller, and begins anew with its word. */
static void past_the_end_of_the_chain_the_controller_is_asked(void **state)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, TERM + 1);

    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    send(refused(2, TERM, TERM + 1));
    core_clear(&out);
    run_for(20 * PULL_NS);
    assert_int_equal(questions(), 0);
    assert_true(core_count(&out, RILL_FRAME_WHERE, CONTROLLER) >= 1);
    send(add_entry(m, dead(TERM, 3)));
    expect_question(3, TERM, TERM + 1);
}

/* The answer to an earlier question must not be taken for one to the present one: with two refusals
 * for one question the term that has the state would be passed over. */
static void an_answer_to_an_earlier_question_is_nothing(void **state)
{
    struct rte_mbuf *m = data(TERM + 3, FLOW + 12, dead(TERM + 2, 2));

    (void)state;
    send(add_entry(add_entry(m, dead(TERM + 1, 3)), birth()));
    core_clear(&out);
    send(refused(2, TERM + 2, TERM + 3));
    controller_confirms(TERM + 3);
    expect_question(3, TERM + 1, TERM + 3);
    send(refused(2, TERM + 2, TERM + 3));
    send(answer_at_step(2, TERM + 2, TERM + 3, 40, true));
    assert_false(owns(TERM + 3));
    assert_int_equal(n()->flows_born, 0);
    assert_int_equal(rill_unit_packets_held(unit), 1);
    send(answer_at_step(3, TERM + 1, TERM + 3, 11, true));
    assert_int_equal(counted(), 12);
}

static void an_answer_about_another_term_or_unit_is_nothing(void **state)
{
    (void)state;
    send(add_entry(data(TERM + 3, FLOW + 12, dead(TERM + 2, 2)), birth()));
    send(refused(2, TERM + 1, TERM + 3)); /* asked about another term */
    send(refused(3, TERM + 2, TERM + 3)); /* ... another unit */
    send(refused(2, TERM + 2, TERM + 4)); /* ... for another term of ours */
    send(answer_at_step(3, TERM + 2, TERM + 3, 40, true));
    assert_false(owns(TERM + 3));
    assert_int_equal(rill_unit_packets_held(unit), 1);
    core_clear(&out);
    send(refused(2, TERM + 2, TERM + 3));
    controller_confirms(TERM + 3);
    assert_true(owns(TERM + 3));
}

/* --- who waits learns of deaths --- */

static void a_notice_turns_the_question_to_the_logger(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, alive(TERM, 2)));
    assert_int_equal(questions(), 0); /* FINAL may be under way */
    send(dead_notice(2));
    expect_question(2, TERM, TERM + 1);
    send(dead_notice(2)); /* doubled */
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
}

static void a_notice_of_another_unit_asks_nothing_yet(void **state)
{
    struct rte_mbuf *m = data(TERM + 2, FLOW + 12, dead(TERM + 1, 2));

    (void)state;
    send(add_entry(add_entry(m, alive(TERM, 3)), birth()));
    core_clear(&out);
    send(dead_notice(3));
    send(dead_notice(9));
    assert_int_equal(questions(), 0);
    send(refused(2, TERM + 1, TERM + 2));
    waits_by.chain[1].output_logger = logger_of(3);
    controller_confirms(TERM + 2);
    expect_question(3, TERM, TERM + 2); /* and not PULL to who is dead */
    assert_int_equal(questions(), 0);
}

static void a_notice_is_nothing_to_an_owner(void **state)
{
    (void)state;
    own_flow(3);
    send(dead_notice(2));
    send(dead_notice(1)); /* itself: it is the last to know */
    assert_int_equal(questions(), 0);
    assert_true(owns(TERM));
}

/* The notice was lost: the chain on the next packet says it too. */
static void the_next_packet_tells_of_the_death(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, alive(TERM, 2)));
    run_for(PULL_NS + CORE_MS);
    core_expect(&out, RILL_FRAME_PULL, peer(2));
    send(data(TERM + 1, FLOW + 13, dead(TERM, 2)));
    run_for(4 * PULL_NS);
    expect_question(2, TERM, TERM + 1);
    assert_int_equal(core_count(&out, RILL_FRAME_PULL, 0), 0);
}

/* There is no next packet: the controller's answer says it. */
static void the_controllers_answer_tells_of_the_death(void **state)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, TERM + 3);

    (void)state;
    send(add_entry(add_entry(data(TERM + 3, FLOW + 12, dead(TERM + 2, 2)), alive(TERM + 1, 3)),
                   birth()));
    send(refused(2, TERM + 2, TERM + 3)); /* we are at the second */
    core_clear(&out);
    send(add_entry(add_entry(add_entry(m, dead(TERM + 2, 2)), dead(TERM + 1, 3)), birth()));
    expect_question(3, TERM + 1, TERM + 3);
    assert_int_equal(questions(), 0);
}

/* --- TAKE: a term without a packet --- */

static void take_fetches_the_state_without_a_packet(void **state)
{
    struct rill_frame f;

    (void)state;
    send(take(TERM + 1, dead(TERM, 2)));
    expect_question(2, TERM, TERM + 1);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 11);
    assert_int_equal(step_count, 0);
    run_for(T_NS); /* our logger hears of it, so that it gets a second copy */
    f = core_expect(&out, RILL_FRAME_SYNC, OL);
    assert_int_equal(f.step, 11);
    send(about_flow(RILL_FRAME_REQUEST_FULL, OL, 0));
    f = core_expect(&out, RILL_FRAME_FULL, OL);
    assert_int_equal(f.granted_term, TERM + 1);
    assert_int_equal(f.term, TERM); /* of the last step */
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    assert_int_equal(counted(), 12);
}

static void take_again_asks_only_once(void **state)
{
    (void)state;
    send(take(TERM + 1, dead(TERM, 2)));
    send(take(TERM + 1, dead(TERM, 2)));
    assert_int_equal(questions(), 1);
    assert_int_equal(rill_unit_flows(unit), 1);
}

static void take_of_a_term_that_has_begun_is_nothing(void **state)
{
    (void)state;
    send(take(TERM + 1, dead(TERM, 2)));
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    core_clear(&out);
    send(take(TERM + 1, dead(TERM, 2)));
    send(take(TERM, birth()));
    assert_int_equal(questions(), 0);
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
    assert_int_equal(n()->flows_born, 0);
}

/* Without a packet we do not know which clock comes next: what is newer may be at the logger. */
static void take_does_not_go_on_from_a_replica_unasked(void **state)
{
    (void)state;
    send(replica(2, TERM, 11, UINT64_MAX));
    send(take(TERM + 1, dead(TERM, 2)));
    assert_false(owns(TERM + 1));
    assert_int_equal(expect_question(2, TERM, TERM + 1).step, 11);
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2))); /* now we do */
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_int_equal(counted(), 12);
}

static void take_of_a_flow_that_was_never_begun_begins_it(void **state)
{
    (void)state;
    send(take(TERM + 1, birth()));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 0);
    send(data(TERM + 1, FLOW, birth()));
    assert_int_equal(counted(), 1);
}

/* The flow went on from us to a unit that died before it began: it comes back to our own copy. */
static void take_leads_back_to_our_own_copy(void **state)
{
    struct rte_mbuf *m = take(TERM + 2, dead(TERM + 1, 2));

    (void)state;
    own_flow(3);
    send(add_entry(m, (struct rill_chain_entry){.term = TERM, .unit = UNIT}));
    assert_false(owns(TERM));
    expect_question(2, TERM + 1, TERM + 2);
    send(refused(2, TERM + 1, TERM + 2));
    controller_confirms(TERM + 2);
    assert_true(owns(TERM + 2));
    assert_int_equal(counted(), 3);
    assert_int_equal(n()->flows_born, 1); /* long ago */
}

static void take_without_a_chain_or_room_is_nothing(void **state)
{
    (void)state;
    send(about_flow(RILL_FRAME_TAKE, CONTROLLER, TERM));
    run_for(20 * PULL_NS);
    assert_int_equal(out.count, 0);
    assert_false(owns(TERM));
    for (uint64_t flow = 0; flow < 20; flow++) { /* flows_max is 8 */
        struct rte_mbuf *m = take(TERM, dead(TERM - 1, 2));

        rill_frame(m)->flow = 1000 + flow;
        send(m);
    }
    assert_int_equal(rill_unit_flows(unit), 8);
}

/* --- a dead unit that goes on --- */

static void the_dead_units_final_is_late(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    send(final_of(2, TERM, TERM + 1, 13)); /* with steps that its logger refused */
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
}

static void the_dead_units_final_came_first(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 14, dead(TERM, 2)));
    send(final_of(2, TERM, TERM + 1, 13));
    assert_int_equal(counted(), 14);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 14);
    assert_int_equal(n()->recovered_from_logger, 0);
}

/* --- a unit and its logger died --- */

static struct rill_chain_entry lost(uint64_t term, uint32_t number)
{
    return (struct rill_chain_entry){
        .term = term, .unit = peer(number), .output_logger = RILL_LOGGER_LOST};
}

/* The word to the controller that nobody has the state of our term any more. */
static void expect_word_of_loss(uint64_t term)
{
    struct rill_frame f = core_expect(&out, RILL_FRAME_WHERE, CONTROLLER);

    assert_int_equal(f.flow, FLOW);
    assert_int_equal(f.term, term);
    assert_int_equal(f.flags, RILL_FLAG_REFUSED);
    assert_int_equal(questions(), 0);
}

static struct rte_mbuf *chain_refused(uint64_t term)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, term);

    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    return m;
}

static void the_controller_hears_at_once_that_a_state_is_lost(void **state)
{
    (void)state;
    send(data(TERM + 1, FLOW + 12, lost(TERM, 2)));
    expect_word_of_loss(TERM + 1);
    assert_int_equal(rill_unit_packets_held(unit), 1);
    send(chain_refused(TERM + 1)); /* it has ended the flow */
    assert_int_equal(rill_unit_packets_held(unit), 0);
    assert_int_equal(n()->dropped_superseded, 1);
    assert_int_equal(n()->states_lost, 1);
    assert_int_equal(step_count, 0);
}

static void a_notice_says_that_the_logger_is_dead_too(void **state)
{
    struct rte_mbuf *m = dead_notice(2);

    (void)state;
    send(data(TERM + 1, FLOW + 12, alive(TERM, 2)));
    send(dead_notice(2));
    expect_question(2, TERM, TERM + 1);
    rill_frame(m)->count = RILL_LOGGER_LOST;
    send(m);
    expect_word_of_loss(TERM + 1);
}

/* What lies further down is older: the packets that left after it would be forgotten. */
static void nothing_below_what_is_lost_is_gone_on_from(void **state)
{
    struct rte_mbuf *m = data(TERM + 3, FLOW + 12, dead(TERM + 2, 2));

    (void)state;
    send(add_entry(add_entry(add_entry(m, lost(TERM + 1, 3)), alive(TERM, 4)), birth()));
    send(refused(2, TERM + 2, TERM + 3));
    core_clear(&out);
    run_for(20 * PULL_NS);
    assert_int_equal(questions(), 0);
    assert_int_equal(n()->flows_born, 0);
    assert_int_equal(rill_unit_packets_held(unit), 1);
}

/* The word may be lost; and an answer that says what we know must not be answered at once. */
static void the_word_of_a_loss_is_repeated_in_its_time(void **state)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, TERM + 1);

    (void)state;
    send(data(TERM + 1, FLOW + 12, lost(TERM, 2)));
    core_clear(&out);
    send(add_entry(m, lost(TERM, 2)));
    assert_int_equal(out.count, 0);
    run_for(20 * PULL_NS);
    assert_in_range(core_count(&out, RILL_FRAME_WHERE, CONTROLLER), 2, 10);
    expect_word_of_loss(TERM + 1);
    core_clear(&out);
    m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, TERM + 1);
    send(add_entry(m, dead(TERM, 3))); /* somebody has it after all */
    expect_question(3, TERM, TERM + 1);
}

static void a_replica_that_fits_is_not_lost(void **state)
{
    (void)state;
    send(replica(2, TERM, 11, UINT64_MAX));
    send(data(TERM + 1, FLOW + 12, lost(TERM, 2)));
    assert_true(owns(TERM + 1));
    assert_int_equal(counted(), 12);
    assert_int_equal(core_count(&out, RILL_FRAME_WHERE, 0), 0);
}

/* --- questions of others --- */

/* We know nothing of the flow, but were to have it: if it has not ended, we fetch it and pass it
 * on. */
static void a_question_is_passed_on_to_a_dead_units_logger(void **state)
{
    struct rill_frame f;

    (void)state;
    send(add_entry(pull(4, TERM + 1, TERM + 2), dead(TERM, 2)));
    controller_confirms(TERM + 1);
    expect_question(2, TERM, TERM + 1);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    f = core_expect(&out, RILL_FRAME_FINAL, peer(4));
    assert_int_equal(f.next_term, TERM + 2);
    assert_int_equal(f.step, 11);
    assert_true(f.flags & RILL_FLAG_STATE);
    assert_false(owns(TERM + 1));
}

/* Who asks had waited since before the flow ended, and we have forgotten it: it neither begins anew
 * nor goes on from what somebody older has. */
static void a_question_about_a_flow_that_ended_begins_nothing(void **state)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, TERM);

    (void)state;
    send(add_entry(pull(4, TERM, TERM + 1), birth()));
    assert_false(owns(TERM));
    assert_int_equal(core_count(&out, RILL_FRAME_FINAL, 0), 0);
    core_expect(&out, RILL_FRAME_WHERE, CONTROLLER);
    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    send(m);
    run_for(20 * PULL_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_WHERE, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_FINAL, 0), 0);
    assert_int_equal(n()->flows_born, 0);
}

/* The controller has inherited a flow that had ended, and takes our term for established. */
static void a_term_that_is_established_and_forgotten_is_told(void **state)
{
    (void)state;
    send(add_entry(pull(4, TERM, TERM + 1), birth()));
    core_clear(&out);
    send(about_flow(RILL_FRAME_CHAIN, CONTROLLER, TERM)); /* nothing is below it */
    assert_int_equal(core_expect(&out, RILL_FRAME_WHERE, CONTROLLER).flags, RILL_FLAG_FORGOTTEN);
    assert_int_equal(n()->flows_born, 0);
}

/* How long the flow was idle comes with its state, and goes on with it. */
static void who_takes_a_flow_over_knows_how_long_it_was_idle(void **state)
{
    struct rte_mbuf *m = answer_at_step(2, TERM, TERM + 1, 11, true);

    (void)state;
    now_ns += 100 * CORE_MS;
    send(take(TERM + 1, dead(TERM, 2)));
    rill_frame(m)->count = 70000; /* us */
    send(m);
    assert_true(owns(TERM + 1));
    core_clear(&out);
    m = about_flow(RILL_FRAME_MOVE, CONTROLLER, TERM + 1);
    rill_frame(m)->next_term = TERM + 2;
    rill_frame(m)->next_unit = peer(3);
    now_ns += 5 * CORE_MS;
    send(m);
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, peer(3)).count, 75000);
}

/* It was only late: the flow's packet comes after the question. */
static void a_question_that_comes_before_the_first_packet_is_answered(void **state)
{
    (void)state;
    send(add_entry(pull(4, TERM, TERM + 1), birth()));
    send(data(TERM, FLOW, birth()));
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, peer(4)).step, 1);
    assert_int_equal(n()->flows_born, 1);
}

/* Who got the flow from us died: our copy is still there for the next. */
static void the_former_owner_answers_the_next_of_the_chain_too(void **state)
{
    struct rte_mbuf *move = about_flow(RILL_FRAME_MOVE, CONTROLLER, TERM);

    (void)state;
    own_flow(3);
    rill_frame(move)->next_term = TERM + 1;
    rill_frame(move)->next_unit = peer(2);
    send(move);
    core_expect(&out, RILL_FRAME_FINAL, peer(2));
    for (int i = 0; i < 2; i++) { /* asked again */
        struct rill_frame f;

        send(pull(4, TERM, TERM + 2));
        f = core_expect(&out, RILL_FRAME_FINAL, peer(4));
        assert_int_equal(f.next_term, TERM + 2);
        assert_int_equal(f.step, 3);
        assert_true(f.flags & RILL_FLAG_STATE);
    }
    send(data(TERM, FLOW + 3, birth())); /* late: to the newest owner that we know */
    core_expect(&out, RILL_FRAME_FORWARDED, peer(4));
}

/* --- another output logger --- */

static struct rill_frame expect_word_to_rm(uint64_t number, uint32_t filled)
{
    struct rill_frame f = core_expect(&out, RILL_FRAME_NEW_LOGGER_ACK, RM);

    assert_int_equal(f.clock, number);
    assert_int_equal(f.count, filled);
    return f;
}

/* `logger` holds the flow as of `step` of `term`. */
static void acknowledge(uint32_t logger, uint64_t term, uint64_t step)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_SYNC_ACK, logger, term);

    rill_frame(m)->granted_term = term;
    rill_frame(m)->step = step;
    send(m);
}

/* A term that begins without a packet may begin with the very version that our logger knows from an
 * earlier one. It must hear of the term all the same: else that is never established, and whoever
 * died before it is never recovered from. */
static void the_logger_hears_of_a_term_of_a_version_that_it_knows(void **state)
{
    struct rte_mbuf *m = take(TERM + 2, dead(TERM + 1, 2));
    struct rill_frame f;

    (void)state;
    own_flow(3);
    acknowledge(OL, TERM, 3);
    run_for(100 * RETRY_NS);
    send(add_entry(m, (struct rill_chain_entry){.term = TERM, .unit = UNIT}));
    core_clear(&out);
    send(refused(2, TERM + 1, TERM + 2));
    controller_confirms(TERM + 2);
    assert_true(owns(TERM + 2));
    core_clear(&out);
    run_for(T_NS);
    f = core_expect(&out, RILL_FRAME_SYNC, OL);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.step, 3);
    assert_int_equal(f.granted_term, TERM + 2);
    acknowledge(OL, TERM, 3); /* late, of the earlier term */
    core_clear(&out);
    run_for(100 * RETRY_NS);
    core_expect(&out, RILL_FRAME_SYNC, OL);
    m = about_flow(RILL_FRAME_SYNC_ACK, OL, TERM);
    rill_frame(m)->step = 3;
    rill_frame(m)->granted_term = TERM + 2;
    send(m);
    core_clear(&out);
    run_for(100 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
}

static void changes_go_to_the_new_logger_and_it_is_filled(void **state)
{
    struct rte_mbuf *m;
    uint64_t packets;

    (void)state;
    own_flow(3);
    send(new_logger(1, NEW_OL));
    expect_word_to_rm(1, 0);
    send(data(TERM, FLOW + 3, birth()));
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, OL), 0);
    core_expect(&out, RILL_FRAME_CHANGE, NEW_OL);
    run_for(CORE_MS);
    m = core_take(&out, RILL_FRAME_FULL, NEW_OL);
    assert_non_null(m);
    assert_int_equal(rill_frame(m)->flow, FLOW);
    assert_int_equal(rill_frame(m)->granted_term, TERM);
    assert_int_equal(rill_frame(m)->step, 4);
    assert_int_equal(rte_pktmbuf_pkt_len(m), rill_nf_state_bytes(unit_nf));
    assert_int_equal(rill_body_read(m, sizeof(struct rill_state_head), &packets, 8), 0);
    assert_int_equal(packets, 4);
    rte_pktmbuf_free(m);
    assert_int_equal(core_count(&out, RILL_FRAME_NEW_LOGGER_ACK, 0), 0);
    acknowledge(NEW_OL, TERM, 4);
    run_for(2 * RETRY_NS);
    expect_word_to_rm(1, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_FULL, 0), 0);
    assert_int_equal(n()->loggers_replaced, 1);
}

static void a_full_that_is_lost_is_repeated(void **state)
{
    (void)state;
    own_flow(3);
    send(new_logger(1, NEW_OL));
    run_for(8 * RETRY_NS); /* pauses double */
    assert_true(core_count(&out, RILL_FRAME_FULL, NEW_OL) >= 3);
    expect_word_to_rm(1, 0);
    assert_int_equal(core_count(&out, RILL_FRAME_NEW_LOGGER_ACK, 0), 0);
    acknowledge(NEW_OL, TERM, 3);
    run_for(8 * RETRY_NS);
    expect_word_to_rm(1, 1);
}

/* The old one's late word says nothing of the new one. */
static void the_old_loggers_word_does_not_count(void **state)
{
    (void)state;
    own_flow(3);
    send(new_logger(1, NEW_OL));
    acknowledge(OL, TERM, 3);
    core_clear(&out);
    run_for(10 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_NEW_LOGGER_ACK, 0), 0);
    assert_true(core_count(&out, RILL_FRAME_FULL, NEW_OL) >= 1);
}

/* That it was filled before does not count either. */
static void what_the_old_logger_had_is_given_to_the_new_one(void **state)
{
    (void)state;
    own_flow(3);
    run_for(T_NS);
    acknowledge(OL, TERM, 3);
    send(new_logger(1, NEW_OL));
    core_clear(&out);
    run_for(CORE_MS);
    core_expect(&out, RILL_FRAME_FULL, NEW_OL);
}

/* Its successor may never get it: our copy is the only one that a logger can have. */
static void a_flow_that_was_passed_on_is_filled_too(void **state)
{
    struct rte_mbuf *move = about_flow(RILL_FRAME_MOVE, CONTROLLER, TERM);

    (void)state;
    own_flow(3);
    rill_frame(move)->next_term = TERM + 1;
    rill_frame(move)->next_unit = peer(2);
    send(move);
    send(new_logger(1, NEW_OL));
    run_for(CORE_MS);
    assert_int_equal(core_expect(&out, RILL_FRAME_FULL, NEW_OL).step, 3);
}

/* What we only wait for, or have a replica of, is not ours to give. */
static void what_is_not_ours_is_not_filled(void **state)
{
    (void)state;
    send(replica(2, TERM, 11, with_a_hole));
    send(data(TERM + 1, FLOW + 12, dead(TERM, 2)));
    send(new_logger(1, NEW_OL));
    run_for(CORE_MS);
    assert_int_equal(core_count(&out, RILL_FRAME_FULL, 0), 0);
    expect_word_to_rm(1, 0);
    expect_word_to_rm(1, 1);
    send(answer_at_step(2, TERM, TERM + 1, 11, true));
    assert_true(core_expect(&out, RILL_FRAME_CHANGE, NEW_OL).flags & RILL_FLAG_FULL);
}

static void assignments_are_numbered(void **state)
{
    (void)state;
    own_flow(1);
    send(new_logger(2, NEW_OL));
    expect_word_to_rm(2, 0);
    send(new_logger(1, OL)); /* an older word */
    assert_int_equal(core_count(&out, RILL_FRAME_NEW_LOGGER_ACK, 0), 0);
    send(data(TERM, FLOW + 1, birth()));
    core_expect(&out, RILL_FRAME_CHANGE, NEW_OL);
    send(new_logger(2, NEW_OL)); /* asked again */
    expect_word_to_rm(2, 0);
    acknowledge(NEW_OL, TERM, 2);
    run_for(2 * RETRY_NS);
    expect_word_to_rm(2, 1);
    send(new_logger(2, NEW_OL)); /* our word was lost: said again, and nothing is filled anew */
    expect_word_to_rm(2, 1);
    core_clear(&out);
    run_for(2 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_FULL, 0), 0);
    assert_int_equal(n()->loggers_replaced, 1);
}

/* The next one dies too, before it is filled. */
static void a_newer_assignment_begins_anew(void **state)
{
    const uint32_t newest = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 101);

    (void)state;
    own_flow(3);
    send(new_logger(1, NEW_OL));
    run_for(CORE_MS);
    send(new_logger(2, newest));
    core_clear(&out);
    acknowledge(NEW_OL, TERM, 3);
    run_for(2 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_FULL, NEW_OL), 0);
    core_expect(&out, RILL_FRAME_FULL, newest);
    assert_int_equal(core_count(&out, RILL_FRAME_NEW_LOGGER_ACK, 0), 0);
    core_clear(&out);
    acknowledge(newest, TERM, 3);
    run_for(2 * RETRY_NS);
    expect_word_to_rm(2, 1);
}

static void a_logger_that_is_none_is_malformed(void **state)
{
    (void)state;
    send(new_logger(1, peer(2)));
    send(new_logger(1, 0));
    assert_int_equal(n()->messages_malformed, 2);
    assert_int_equal(n()->loggers_replaced, 0);
    own_flow(1);
    send(data(TERM, FLOW + 1, birth()));
    core_expect(&out, RILL_FRAME_CHANGE, OL);
}

/* It has ended, but ours may be the only copy that has its endpoint. */
static void an_ended_flow_is_kept_until_the_new_logger_has_it(void **state)
{
    struct rte_mbuf *forget = about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX);

    (void)state;
    own_flow(3);
    run_for(T_NS);
    acknowledge(OL, TERM, 3);
    send(new_logger(1, NEW_OL));
    now_ns += 2 * KEEP_NS;
    core_clear(&out);
    send(forget);
    assert_int_equal(rill_unit_flows(unit), 1);
    core_expect(&out, RILL_FRAME_SYNC, NEW_OL);
    acknowledge(NEW_OL, TERM, 3);
    acknowledge(OL, TERM, 3); /* late; takes nothing back */
    send(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_int_equal(rill_unit_flows(unit), 0);
}

/* A zombie among the loggers asks for what it lacks. Nobody fences it when we die, so it must not
 * hold what only ever was here. */
static void the_old_logger_gets_nothing(void **state)
{
    (void)state;
    own_flow(3);
    send(new_logger(1, NEW_OL));
    core_clear(&out);
    send(about_flow(RILL_FRAME_REQUEST_FULL, OL, 0));
    assert_int_equal(core_count(&out, RILL_FRAME_FULL, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_NO_FULL, 0), 0);
    send(about_flow(RILL_FRAME_REQUEST_FULL, NEW_OL, 0));
    core_expect(&out, RILL_FRAME_FULL, NEW_OL);
    send(data(TERM, FLOW + 3, birth()));
    core_expect(&out, RILL_FRAME_CHANGE, NEW_OL);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_logger_of_a_dead_owner_is_asked_at_once),
        T(what_the_logger_kept_is_gone_on_from),
        T(a_question_that_is_lost_is_repeated_and_the_controller_asked),
        T(a_second_answer_changes_nothing),
        T(a_state_of_the_wrong_size_is_malformed),
        T(an_answer_that_nobody_waits_for_is_nothing),
        T(the_question_names_our_replica_and_it_may_be_the_answer),
        T(a_replica_that_changed_meanwhile_is_not_the_answer),
        T(without_a_replica_an_answer_without_state_is_none),
        T(a_dense_replica_one_below_is_gone_on_from_without_asking),
        T(refused_leads_to_the_one_before),
        T(the_newest_that_held_it_is_the_one),
        T(refused_down_to_birth_begins_from_zeros),
        T(a_chain_of_seven_is_walked_to_its_end),
        T(past_the_end_of_the_chain_the_controller_is_asked),
        T(an_answer_to_an_earlier_question_is_nothing),
        T(an_answer_about_another_term_or_unit_is_nothing),
        T(a_notice_turns_the_question_to_the_logger),
        T(a_notice_of_another_unit_asks_nothing_yet),
        T(a_notice_is_nothing_to_an_owner),
        T(the_next_packet_tells_of_the_death),
        T(the_controllers_answer_tells_of_the_death),
        T(take_fetches_the_state_without_a_packet),
        T(take_again_asks_only_once),
        T(take_of_a_term_that_has_begun_is_nothing),
        T(take_does_not_go_on_from_a_replica_unasked),
        T(take_of_a_flow_that_was_never_begun_begins_it),
        T(take_leads_back_to_our_own_copy),
        T(take_without_a_chain_or_room_is_nothing),
        T(the_dead_units_final_is_late),
        T(the_dead_units_final_came_first),
        T(the_controller_hears_at_once_that_a_state_is_lost),
        T(a_notice_says_that_the_logger_is_dead_too),
        T(nothing_below_what_is_lost_is_gone_on_from),
        T(the_word_of_a_loss_is_repeated_in_its_time),
        T(a_replica_that_fits_is_not_lost),
        T(a_question_is_passed_on_to_a_dead_units_logger),
        T(a_question_about_a_flow_that_ended_begins_nothing),
        T(a_term_that_is_established_and_forgotten_is_told),
        T(who_takes_a_flow_over_knows_how_long_it_was_idle),
        T(a_question_that_comes_before_the_first_packet_is_answered),
        T(the_former_owner_answers_the_next_of_the_chain_too),
        T(the_logger_hears_of_a_term_of_a_version_that_it_knows),
        T(changes_go_to_the_new_logger_and_it_is_filled),
        T(a_full_that_is_lost_is_repeated),
        T(the_old_loggers_word_does_not_count),
        T(what_the_old_logger_had_is_given_to_the_new_one),
        T(a_flow_that_was_passed_on_is_filled_too),
        T(what_is_not_ours_is_not_filled),
        T(assignments_are_numbered),
        T(a_newer_assignment_begins_anew),
        T(a_logger_that_is_none_is_malformed),
        T(an_ended_flow_is_kept_until_the_new_logger_has_it),
        T(the_old_logger_gets_nothing),
    };

    return cmocka_run_group_tests_name("unit_recovery", tests, core_group_setup,
                                       core_group_teardown);
}
