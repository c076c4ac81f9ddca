/* What an output logger does when one of its units, UNIT, is dead: it takes nothing more of it, and
 * then gives its state to who goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output-logger/ol_testing.h"

enum { FLOW = 100, TERM = 7 };

#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define ASKER rill_role_id(RILL_ROLE_UNIT, 3)

static const struct rill_alias alias_a = {
    .local = {.addr = {198, 51, 100, 1}, .port = 1000, .family = 4, .proto = RILL_UDP}};

/* --- what comes in --- */

static struct rte_mbuf *step_of(uint32_t unit, uint64_t term, uint64_t k)
{
    struct rte_mbuf *m = change(unit, FLOW, term, k);

    rill_frame(m)->clock = FLOW + k;
    rill_frame(m)->window = UINT64_MAX >> 1;
    return m;
}

static struct rte_mbuf *first_step_of(uint32_t unit, uint64_t term, uint64_t k,
                                      const struct rill_alias *alias)
{
    return with_whole_state(step_of(unit, term, k), alias);
}

static struct rte_mbuf *step(uint64_t k)
{
    return step_of(UNIT, TERM, k);
}

static struct rte_mbuf *first_step(uint64_t k)
{
    return first_step_of(UNIT, TERM, k, NULL);
}

/* The unit is at step k, of TERM; it holds the flow in the term `granted`. */
static struct rte_mbuf *full(uint64_t granted, uint64_t k)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FULL, UNIT, OL);
    struct rill_frame *f = rill_frame(m);
    uint8_t state[STATE] = {0};

    f->flow = FLOW;
    f->term = k == 0 ? 0 : TERM;
    f->granted_term = granted;
    f->step = k;
    memcpy(state + VALUE_AT, &k, 8);
    core_body(m, state, STATE);
    return m;
}

static struct rte_mbuf *about_flow(enum rill_frame_type type, uint32_t src)
{
    struct rte_mbuf *m = core_frame(type, src, OL);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->next_unit = UNIT;
    return m;
}

static struct rte_mbuf *forget(uint64_t term)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_FORGET, CONTROLLER);

    rill_frame(m)->term = term;
    return m;
}

static struct rte_mbuf *fence(uint32_t unit)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FENCE, CONTROLLER, OL);

    rill_frame(m)->next_unit = unit;
    return m;
}

/* What did UNIT hold in term `asked`? The asker's own term is `ours`. */
static struct rte_mbuf *pull(uint64_t asked, uint64_t ours)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_LOGGER_PULL, ASKER);

    rill_frame(m)->granted_term = asked;
    rill_frame(m)->next_term = ours;
    return m;
}

/* ... who has a replica of that tag. */
static struct rte_mbuf *pull_with_replica(uint64_t term, uint64_t k)
{
    struct rte_mbuf *m = pull(TERM, TERM + 1);

    rill_frame(m)->term = term;
    rill_frame(m)->step = k;
    return m;
}

/* --- what is to be seen --- */

static uint64_t value_of(uint32_t unit)
{
    struct rill_ol_flow_info info;
    uint64_t value;

    assert_true(rill_ol_flow_info(ol, unit, FLOW, &info));
    memcpy(&value, info.state + VALUE_AT, 8);
    return value;
}

static uint32_t released(void)
{
    return core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE);
}

static uint32_t answers(void)
{
    return core_count(&out, RILL_FRAME_LOGGER_STATE, 0);
}

/* The answer to pull(asked, ours); its frame is the caller's. */
static struct rte_mbuf *take_answer(uint64_t asked, uint64_t ours)
{
    struct rte_mbuf *m = core_take(&out, RILL_FRAME_LOGGER_STATE, ASKER);

    assert_non_null(m);
    assert_int_equal(rill_frame(m)->src, OL);
    assert_int_equal(rill_frame(m)->flow, FLOW);
    assert_int_equal(rill_frame(m)->granted_term, asked);
    assert_int_equal(rill_frame(m)->next_term, ours);
    assert_int_equal(rill_frame(m)->next_unit, UNIT);
    return m;
}

static void expect_nothing_held(uint64_t asked, uint64_t ours)
{
    struct rte_mbuf *m = take_answer(asked, ours);

    assert_int_equal(rill_frame(m)->flags, RILL_FLAG_REFUSED);
    assert_int_equal(rte_pktmbuf_pkt_len(m), 0);
    rte_pktmbuf_free(m);
}

/* The state is as of step k. */
static void expect_state(uint64_t asked, uint64_t ours, uint64_t k)
{
    struct rte_mbuf *m = take_answer(asked, ours);
    uint64_t value = 0;

    assert_int_equal(rill_frame(m)->flags, RILL_FLAG_STATE);
    assert_int_equal(rill_frame(m)->step, k);
    assert_int_equal(rte_pktmbuf_pkt_len(m), k == 0 ? VALUE_AT : STATE); /* zeros do not travel */
    assert_int_equal(k == 0 ? 0 : rill_body_read(m, VALUE_AT, &value, 8), 0);
    assert_int_equal(value, k);
    rte_pktmbuf_free(m);
}

/* --- the fence --- */

static void nothing_of_a_fenced_unit_is_applied_or_released(void **state)
{
    (void)state;
    give(first_step(1));
    give(fence(UNIT));
    core_clear(&out);
    give(step(2));
    give(first_step_of(UNIT, TERM + 5, 3, NULL));
    give(full(TERM + 5, 9));
    assert_int_equal(value_of(UNIT), 1);
    assert_int_equal(released(), 0);
    assert_int_equal(n()->dropped_fenced, 2);
    assert_int_equal(n()->messages_fenced, 1);
    assert_int_equal(n()->packets_in, 3);
    assert_int_equal(n()->packets_released + n()->dropped_fenced, 3);
    assert_int_equal(n()->fences, 1);
}

static void a_fenced_units_word_is_not_answered(void **state)
{
    struct rte_mbuf *sync = about_flow(RILL_FRAME_SYNC, UNIT);

    (void)state;
    give(first_step(1));
    give(fence(UNIT));
    core_clear(&out);
    rill_frame(sync)->term = rill_frame(sync)->granted_term = TERM;
    rill_frame(sync)->step = 1;
    give(sync);
    sync = about_flow(RILL_FRAME_SYNC, UNIT);
    rill_frame(sync)->term = rill_frame(sync)->granted_term = TERM;
    rill_frame(sync)->step = 5;
    give(sync);
    give(about_flow(RILL_FRAME_NO_FULL, UNIT));
    assert_int_equal(out.count, 0);
    assert_int_equal(n()->messages_fenced, 3);
    pass_time(10 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, 0), 0);
}

static void the_fence_is_acknowledged_each_time(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct rill_frame f;

        give(fence(UNIT));
        f = core_expect(&out, RILL_FRAME_FENCE_ACK, CONTROLLER);
        assert_int_equal(f.next_unit, UNIT);
    }
    assert_int_equal(n()->fences, 1);
}

static void other_units_are_not_fenced(void **state)
{
    (void)state;
    give(fence(UNIT));
    give(first_step_of(UNIT2, TERM, 1, NULL));
    give(step_of(UNIT2, TERM, 3)); /* kept back, and asked for */
    assert_int_equal(value_of(UNIT2), 1);
    assert_int_equal(released(), 1);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, UNIT2), 1);
}

/* It can never be applied: who could repeat the step before is dead. */
static void what_waits_for_a_step_before_is_dropped(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(3));
    give(step(4));
    give(first_step_of(UNIT2, TERM, 1, NULL));
    give(step_of(UNIT2, TERM, 3));
    assert_int_equal(rill_ol_packets_held(ol), 3);
    give(fence(UNIT));
    assert_int_equal(rill_ol_packets_held(ol), 1);
    assert_int_equal(n()->dropped_fenced, 2);
    core_clear(&out);
    pass_time(RETRY_NS + CORE_MS);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, UNIT), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, UNIT2), 1);
}

/* A SYNC has said that something is missing; nobody is there to be asked for it any more. */
static void a_lost_tail_is_not_asked_for_any_more(void **state)
{
    struct rte_mbuf *sync = about_flow(RILL_FRAME_SYNC, UNIT);

    (void)state;
    give(first_step(1));
    rill_frame(sync)->term = rill_frame(sync)->granted_term = TERM;
    rill_frame(sync)->step = 5;
    give(sync);
    core_expect(&out, RILL_FRAME_REQUEST_FULL, UNIT);
    give(fence(UNIT));
    pass_time(10 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, 0), 0);
}

/* Its change is kept, so its effect is in whatever is recovered. */
static void what_waits_for_its_alias_still_leaves(void **state)
{
    struct rte_mbuf *ack = about_flow(RILL_FRAME_ALIAS_ACK, CONTROLLER);

    (void)state;
    give(first_step_of(UNIT, TERM, 1, &alias_a));
    give(step(2));
    give(fence(UNIT));
    assert_int_equal(released(), 0);
    assert_int_equal(rill_ol_packets_held(ol), 2);
    core_body(ack, &alias_a, sizeof(alias_a));
    give(ack);
    assert_int_equal(released(), 2);
    assert_int_equal(rill_ol_packets_held(ol), 0);
}

/* The controller has not heard yet that its term is kept here: it must, or it keeps the longer
 * chain. */
static void that_a_dead_units_term_is_kept_is_said_until_heard(void **state)
{
    struct rte_mbuf *ack = about_flow(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER);

    (void)state;
    give(first_step(1));
    core_clear(&out);
    give(fence(UNIT));
    pass_time(RETRY_NS + CORE_MS);
    assert_int_equal(core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER).term, TERM);
    rill_frame(ack)->term = TERM;
    give(ack);
    core_clear(&out);
    pass_time(10 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_ESTABLISHED, 0), 0);
}

/* Without a place to remember it, neither fenced nor answered: else it could release after it was
 * recovered from. */
static void only_so_many_are_fenced(void **state)
{
    const uint32_t last = rill_role_id(RILL_ROLE_UNIT, 1000 + FENCED_MAX);

    (void)state;
    give(first_step(1));
    for (uint32_t i = 0; i < FENCED_MAX; i++) {
        give(fence(rill_role_id(RILL_ROLE_UNIT, 1000 + i)));
        core_expect(&out, RILL_FRAME_FENCE_ACK, CONTROLLER);
    }
    core_clear(&out);
    give(fence(last));
    give(fence(UNIT));
    give(pull(TERM, TERM + 1));
    assert_int_equal(out.count, 0);
    give(step(2));
    assert_int_equal(value_of(UNIT), 2);
    give(fence(rill_role_id(RILL_ROLE_UNIT, 1000))); /* those that are in are still answered */
    core_expect(&out, RILL_FRAME_FENCE_ACK, CONTROLLER);
    assert_int_equal(n()->fences, FENCED_MAX);
}

/* --- the state is given --- */

static void the_state_is_given_with_its_tag(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    give(first_step(1));
    give(step(2));
    give(pull(TERM, TERM + 1));
    m = take_answer(TERM, TERM + 1);
    assert_int_equal(rill_frame(m)->flags, RILL_FLAG_STATE);
    assert_int_equal(rill_frame(m)->term, TERM);
    assert_int_equal(rill_frame(m)->step, 2);
    assert_int_equal(rill_frame(m)->clock, FLOW + 2);
    assert_int_equal(rill_frame(m)->window, UINT64_MAX >> 1);
    rte_pktmbuf_free(m);
    give(pull(TERM, TERM + 1)); /* the answer was lost */
    expect_state(TERM, TERM + 1, 2);
    assert_int_equal(n()->recoveries_answered, 2);
}

/* "olfence": a sleeper that wakes up can release nothing, though no FENCE has come. */
static void the_question_fences_before_it_is_answered(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(3)); /* held */
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 1);
    core_clear(&out);
    give(step(2));
    give(full(TERM, 3));
    assert_int_equal(released(), 0);
    assert_int_equal(value_of(UNIT), 1);
    assert_int_equal(n()->dropped_fenced, 2);
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 1);
}

static void even_a_question_about_nothing_fences(void **state)
{
    (void)state;
    give(pull(TERM, TERM + 1));
    expect_nothing_held(TERM, TERM + 1);
    assert_int_equal(n()->recoveries_nothing, 1);
    give(first_step(1)); /* it was under way: too late, the flow goes on without it */
    assert_int_equal(released(), 0);
    assert_int_equal(n()->dropped_fenced, 1);
    give(pull(TERM, TERM + 1));
    expect_nothing_held(TERM, TERM + 1);
}

/* "walk": what it held in an earlier term is not what it held in that one. */
static void only_the_term_asked_about_is_answered_for(void **state)
{
    (void)state;
    give(first_step(1));
    give(pull(TERM + 1, TERM + 2));
    expect_nothing_held(TERM + 1, TERM + 2);
    give(pull(TERM, TERM + 2));
    expect_state(TERM, TERM + 2, 1);
    give(pull(TERM - 1, TERM + 2)); /* what is newer serves too */
    expect_state(TERM - 1, TERM + 2, 1);
}

/* It held the term, though it never processed a packet in it: the state is of an older one. */
static void a_term_without_steps_is_answered_for(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    give(full(TERM + 3, 5));
    give(pull(TERM + 3, TERM + 4));
    m = take_answer(TERM + 3, TERM + 4);
    assert_int_equal(rill_frame(m)->term, TERM);
    assert_int_equal(rill_frame(m)->step, 5);
    rte_pktmbuf_free(m);
}

/* "olterm": the asker's term is not above the one that is kept: it is late. */
static void who_is_late_is_not_answered(void **state)
{
    (void)state;
    give(first_step(1));
    give(pull(TERM - 1, TERM));
    give(pull(TERM - 2, TERM - 1));
    assert_int_equal(answers(), 0);
    give(step(2)); /* but has said that the unit is dead */
    assert_int_equal(value_of(UNIT), 1);
}

/* Waiting for a repair is not having: an entry without state has nothing to give. */
static void an_entry_without_state_is_nothing(void **state)
{
    (void)state;
    give(step(5));
    give(pull(TERM, TERM + 1));
    expect_nothing_held(TERM, TERM + 1);
    assert_int_equal(rill_ol_packets_held(ol), 0);
}

static void units_are_told_apart(void **state)
{
    (void)state;
    give(first_step_of(UNIT2, TERM, 4, NULL));
    give(first_step(1));
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 1);
    give(step_of(UNIT2, TERM, 5));
    assert_int_equal(value_of(UNIT2), 5);
}

/* --- the asker's replica --- */

static void a_replica_of_the_same_tag_saves_the_transfer(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    give(first_step(1));
    give(step(2));
    give(pull_with_replica(TERM, 2));
    m = take_answer(TERM, TERM + 1);
    assert_int_equal(rill_frame(m)->flags, 0);
    assert_int_equal(rill_frame(m)->term, TERM);
    assert_int_equal(rill_frame(m)->step, 2);
    assert_int_equal(rte_pktmbuf_pkt_len(m), 0);
    rte_pktmbuf_free(m);
    assert_int_equal(n()->recoveries_by_tag, 1);
}

static void a_replica_of_another_tag_does_not(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(2));
    give(pull_with_replica(TERM, 1));
    expect_state(TERM, TERM + 1, 2);
    give(pull_with_replica(TERM, 3)); /* with a step that never came here */
    expect_state(TERM, TERM + 1, 2);
    give(pull_with_replica(TERM - 1, 2));
    expect_state(TERM, TERM + 1, 2);
    assert_int_equal(n()->recoveries_by_tag, 0);
}

/* A tag of zeros says "I have none", which is not the same as a flow without steps. */
static void no_replica_is_not_that_of_a_flow_without_steps(void **state)
{
    (void)state;
    give(full(TERM, 0));
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 0);
}

/* --- forgetting, and no memory --- */

/* Who asked may ask again: not forgotten for as long as a frame lives. */
static void a_question_keeps_the_entry(void **state)
{
    (void)state;
    give(first_step(1));
    pass_time(KEEP_NS);
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 1);
    give(forget(TERM + 1));
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 1);
    now_ns += KEEP_NS;
    give(forget(TERM));
    give(pull(TERM, TERM + 1)); /* that was the last established one: it stays */
    expect_state(TERM, TERM + 1, 1);
    now_ns += KEEP_NS;
    give(forget(TERM + 1));
    give(pull(TERM, TERM + 1));
    expect_nothing_held(TERM, TERM + 1);
    assert_int_equal(n()->flows_forgotten, 1);
}

/* The entries of a dead unit are asked about like any other, so that they go one day. */
static void a_dead_units_entries_are_asked_about(void **state)
{
    struct rte_mbuf *ack = about_flow(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER);
    struct rill_frame f;

    (void)state;
    give(first_step(1));
    give(fence(UNIT));
    rill_frame(ack)->term = TERM;
    give(ack);
    core_clear(&out);
    pass_time(2 * KEEP_NS);
    f = core_expect(&out, RILL_FRAME_NEED, CONTROLLER);
    assert_int_equal(f.flow, FLOW);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.next_unit, UNIT);
}

static struct rte_mbuf *taken[65536];
static uint32_t taken_count;

static void take_all_buffers(void)
{
    while (taken_count < RTE_DIM(taken) &&
           (taken[taken_count] = rte_pktmbuf_alloc(core_pool)) != NULL)
        taken_count++;
}

/* As if the network had lost the answer; the fence stands. */
static void without_a_buffer_nothing_is_answered(void **state)
{
    struct rte_mbuf *question = pull(TERM, TERM + 1), *word = fence(UNIT), *change = step(2);

    (void)state;
    give(first_step(1));
    core_clear(&out);
    take_all_buffers();
    give(question);
    take_all_buffers();
    give(word);
    assert_int_equal(out.count, 0);
    assert_int_equal(n()->messages_no_mbuf, 2);
    give(change);
    assert_int_equal(value_of(UNIT), 1);
    rte_pktmbuf_free_bulk(taken, taken_count);
    taken_count = 0;
    give(pull(TERM, TERM + 1));
    expect_state(TERM, TERM + 1, 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, ol_setup, ol_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_of_a_fenced_unit_is_applied_or_released),
        T(a_fenced_units_word_is_not_answered),
        T(the_fence_is_acknowledged_each_time),
        T(other_units_are_not_fenced),
        T(what_waits_for_a_step_before_is_dropped),
        T(a_lost_tail_is_not_asked_for_any_more),
        T(what_waits_for_its_alias_still_leaves),
        T(that_a_dead_units_term_is_kept_is_said_until_heard),
        T(only_so_many_are_fenced),
        T(the_state_is_given_with_its_tag),
        T(the_question_fences_before_it_is_answered),
        T(even_a_question_about_nothing_fences),
        T(only_the_term_asked_about_is_answered_for),
        T(a_term_without_steps_is_answered_for),
        T(who_is_late_is_not_answered),
        T(an_entry_without_state_is_nothing),
        T(units_are_told_apart),
        T(a_replica_of_the_same_tag_saves_the_transfer),
        T(a_replica_of_another_tag_does_not),
        T(no_replica_is_not_that_of_a_flow_without_steps),
        T(a_question_keeps_the_entry),
        T(a_dead_units_entries_are_asked_about),
        T(without_a_buffer_nothing_is_answered),
    };

    return cmocka_run_group_tests_name("output_logger_recovery", tests, core_group_setup,
                                       core_group_teardown);
}
