#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/store/store_model.h"
#include "tests/core_testing.h"

enum { FLOW = 100, STATE_BYTES = 3000, FLOWS_MAX = 3 };

#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define STORE rill_role_id(RILL_ROLE_STORE, 1)
#define DELAY_NS UINT64_C(1001)
#define KEEP_NS (10 * CORE_MS)

static struct rill_store *store;
static struct rill_outbox out;
static uint64_t now_ns;
static unsigned in_use;

static int setup(void **state)
{
    struct rill_store_model_config config = {.pool = core_pool,
                                             .delay_ns = DELAY_NS,
                                             .keep_ns = KEEP_NS,
                                             .flows_max = FLOWS_MAX,
                                             .state_bytes = STATE_BYTES};
    struct rill_error err = {.text = ""};

    (void)state;
    in_use = core_in_use();
    now_ns = CORE_MS;
    store = rill_store_model_create(&config, &err);
    return store != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    rill_store_destroy(store);
    rill_outbox_fini(&out);
    return core_in_use() == in_use ? 0 : -1;
}

static void give(struct rte_mbuf *m)
{
    rill_store_recv(store, &m, 1, now_ns, &out);
}

/* On to the moment when all is answered. */
static void settle(void)
{
    while (rill_store_next_ns(store) != UINT64_MAX) {
        now_ns = rill_store_next_ns(store);
        rill_store_tick(store, now_ns, &out);
    }
}

static struct rte_mbuf *put(uint64_t flow, uint64_t granted, uint64_t term, uint64_t step,
                            uint8_t fill)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_STORE_PUT, UNIT, STORE);
    struct rill_frame *f = rill_frame(m);
    uint8_t state[STATE_BYTES];

    f->flow = flow;
    f->granted_term = granted;
    f->term = term;
    f->step = step;
    f->clock = step + 1000;
    f->window = UINT64_MAX;
    memset(state, fill, sizeof(state));
    core_body(m, state, sizeof(state));
    return m;
}

static struct rte_mbuf *get(uint64_t flow, uint32_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_STORE_GET, UNIT, STORE);

    rill_frame(m)->flow = flow;
    rill_frame(m)->count = number;
    return m;
}

/* What is read is the state filled with that, at that step; 0: nothing is there. */
static void expect_read(uint64_t flow, uint64_t step, uint8_t fill)
{
    struct rte_mbuf *m;
    uint8_t state[STATE_BYTES], expected[STATE_BYTES];

    give(get(flow, 7));
    settle();
    m = core_take(&out, RILL_FRAME_STORE_VALUE, UNIT);
    assert_non_null(m);
    assert_int_equal(rill_frame(m)->flow, flow);
    assert_int_equal(rill_frame(m)->count, 7);
    if (fill == 0) {
        assert_false(rill_frame(m)->flags & RILL_FLAG_STATE);
        assert_int_equal(rte_pktmbuf_pkt_len(m), 0);
    } else {
        memset(expected, fill, sizeof(expected));
        assert_true(rill_frame(m)->flags & RILL_FLAG_STATE);
        assert_int_equal(rill_frame(m)->step, step);
        assert_int_equal(rill_frame(m)->clock, step + 1000);
        assert_true(rill_frame(m)->window == UINT64_MAX);
        assert_int_equal(rill_body_read(m, 0, state, sizeof(state)), 0);
        assert_memory_equal(state, expected, sizeof(state));
    }
    rte_pktmbuf_free(m);
}

static struct rill_frame put_and_settle(struct rte_mbuf *m)
{
    give(m);
    settle();
    return core_expect(&out, RILL_FRAME_STORE_ACK, UNIT);
}

static void what_was_put_is_read(void **state)
{
    struct rill_frame ack;

    (void)state;
    expect_read(FLOW, 0, 0);
    ack = put_and_settle(put(FLOW, 5, 5, 3, 'a'));
    assert_false(ack.flags & RILL_FLAG_REFUSED);
    assert_int_equal(ack.flow, FLOW);
    assert_int_equal(ack.granted_term, 5);
    assert_int_equal(ack.step, 3);
    assert_int_equal(ack.src, STORE);
    expect_read(FLOW, 3, 'a');
    assert_int_equal(store->n.gets_empty, 1);
}

static void done_at_half_the_delay_and_answered_after_it(void **state)
{
    (void)state;
    give(put(FLOW, 5, 5, 3, 'a'));
    give(get(FLOW, 1));
    assert_int_equal(rill_store_next_ns(store), now_ns + DELAY_NS / 2);
    rill_store_tick(store, now_ns + DELAY_NS / 2 - 1, &out);
    assert_int_equal(rill_store_model_flows(store), 0);
    rill_store_tick(store, now_ns + DELAY_NS / 2, &out);
    assert_int_equal(rill_store_model_flows(store), 1);
    rill_store_tick(store, now_ns + DELAY_NS - 1, &out);
    assert_int_equal(out.count, 0);
    assert_int_equal(rill_store_next_ns(store), now_ns + DELAY_NS);
    rill_store_tick(store, now_ns + DELAY_NS, &out);
    assert_int_equal(out.count, 2); /* in order */
    assert_int_equal(rill_frame(out.frames[0])->type, RILL_FRAME_STORE_ACK);
    assert_int_equal(rill_frame(out.frames[1])->type, RILL_FRAME_STORE_VALUE);
    assert_int_equal(rill_store_next_ns(store), UINT64_MAX);
}

static void the_newer_one_stays(void **state)
{
    (void)state;
    put_and_settle(put(FLOW, 5, 5, 3, 'a'));
    assert_true(put_and_settle(put(FLOW, 5, 5, 2, 'b')).flags & RILL_FLAG_REFUSED);
    assert_true(put_and_settle(put(FLOW, 5, 4, 9, 'b')).flags & RILL_FLAG_REFUSED);
    assert_true(put_and_settle(put(FLOW, 4, 5, 9, 'b')).flags & RILL_FLAG_REFUSED);
    expect_read(FLOW, 3, 'a');
    assert_false(put_and_settle(put(FLOW, 5, 5, 3, 'c')).flags & RILL_FLAG_REFUSED); /* again */
    /* A later term that began with an older version: a branch that was lost gives way. */
    assert_false(put_and_settle(put(FLOW, 6, 5, 2, 'd')).flags & RILL_FLAG_REFUSED);
    expect_read(FLOW, 2, 'd');
    assert_int_equal(store->n.puts_refused, 3);
}

static void the_oldest_gives_way(void **state)
{
    (void)state;
    for (uint64_t flow = 1; flow <= FLOWS_MAX; flow++)
        put_and_settle(put(flow, 5, 5, flow, (uint8_t)flow));
    put_and_settle(put(1, 5, 5, 9, 9)); /* put again: 2 is the oldest now */
    put_and_settle(put(77, 5, 5, 7, 77));
    assert_int_equal(store->n.entries_evicted, 1);
    expect_read(2, 0, 0);
    expect_read(1, 9, 9);
    expect_read(77, 7, 77);
}

static void what_nobody_puts_again_goes_in_time(void **state)
{
    (void)state;
    put_and_settle(put(1, 5, 5, 1, 1));
    now_ns += KEEP_NS / 2;
    put_and_settle(put(2, 5, 5, 2, 2));
    now_ns += KEEP_NS / 2;
    expect_read(1, 0, 0);
    expect_read(2, 2, 2);
    assert_int_equal(store->n.entries_expired, 1);
    assert_int_equal(rill_store_model_flows(store), 1);
}

static void a_restart_forgets_all_and_answers_nothing(void **state)
{
    (void)state;
    put_and_settle(put(FLOW, 5, 5, 3, 'a'));
    give(get(FLOW, 1));
    rill_store_model_restart(store);
    settle();
    assert_int_equal(out.count, 0);
    expect_read(FLOW, 0, 0);
}

static void a_state_of_another_size_is_refused(void **state)
{
    struct rte_mbuf *m = put(FLOW, 5, 5, 3, 'a');

    (void)state;
    rte_pktmbuf_adj(m, 8);
    assert_true(put_and_settle(m).flags & RILL_FLAG_REFUSED);
    expect_read(FLOW, 0, 0);
    assert_int_equal(store->n.errors, 1);
}

static void whatever_comes_is_taken_or_freed(void **state)
{
    static const uint32_t ids[] = {0, 1, 2};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        give(core_garbage(&rng, ids, 3));
        now_ns += rill_rng_below(&rng, 1000);
        rill_store_tick(store, now_ns, &out);
        core_clear(&out);
    }
    assert_true(rill_store_model_flows(store) <= FLOWS_MAX);
    assert_true(store->n.messages_unknown > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_read),
        TEST(done_at_half_the_delay_and_answered_after_it),
        TEST(the_newer_one_stays),
        TEST(the_oldest_gives_way),
        TEST(what_nobody_puts_again_goes_in_time),
        TEST(a_restart_forgets_all_and_answers_nothing),
        TEST(a_state_of_another_size_is_refused),
        TEST(whatever_comes_is_taken_or_freed),
    };

    return cmocka_run_group_tests(tests, core_group_setup, core_group_teardown);
}
