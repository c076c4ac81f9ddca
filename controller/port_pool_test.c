#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/port_pool.h"
#include "lib/base/rng.h"

enum { REST_NS = 1000, UNIT_A = 11, UNIT_B = 12 };

static uint32_t out[RILL_PORT_GRANT_MAX];
static uint64_t lease; /* that what was granted last is of */

static uint32_t grant(struct rill_port_pool *pool, uint32_t unit, uint64_t request_number,
                      uint32_t want, uint32_t *to)
{
    static uint64_t leases;

    lease = ++leases;
    return rill_port_pool_grant(pool, unit, request_number, want, &lease, to);
}

static void same_number_same_endpoints(void **state)
{
    struct rill_port_pool *pool = rill_port_pool_create(10, REST_NS);

    uint64_t first;

    (void)state;
    assert_int_equal(grant(pool, UNIT_A, 5, 3, out), 3);
    first = lease;
    assert_int_equal(grant(pool, UNIT_B, 1, 2, out), 2);
    assert_int_equal(out[0], 3);
    assert_true(lease > first);
    assert_int_equal(grant(pool, UNIT_A, 5, 7, out), 3);
    assert_int_equal(lease, first); /* it is the same one */
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(out[i], i);
    assert_int_equal(rill_port_pool_use(pool, 1, UNIT_A, 100), RILL_PORT_OK);
    assert_int_equal(grant(pool, UNIT_A, 5, 3, out), 2);
    assert_int_equal(out[1], 2);
    assert_true(rill_port_pool_is_stale(pool, UNIT_A, 4));
    assert_false(rill_port_pool_is_stale(pool, UNIT_A, 5));
    assert_int_equal(grant(pool, UNIT_A, 4, 3, out), 0);
    assert_int_equal(grant(pool, UNIT_A, 6, 9, out), 5);
    assert_int_equal(grant(pool, UNIT_A, 7, 9, out), 0);
    assert_int_equal(rill_port_pool_counters(pool)->grants_short, 2);
    assert_int_equal(rill_port_pool_counters(pool)->grants_repeated, 2);
    assert_int_equal(rill_port_pool_counters(pool)->grants_stale, 1);
    rill_port_pool_destroy(pool);
}

static void a_flow_keeps_others_off(void **state)
{
    struct rill_port_pool *pool = rill_port_pool_create(4, REST_NS);
    uint32_t unit;
    uint64_t flow;

    (void)state;
    grant(pool, UNIT_A, 1, 2, out);
    assert_int_equal(rill_port_pool_use(pool, 4, UNIT_A, 100), RILL_PORT_RANGE);
    assert_int_equal(rill_port_pool_use(pool, 3, UNIT_A, 100), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_B, 100), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_A, 100), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_B, 100), RILL_PORT_OK); /* has moved */
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_A, 101), RILL_PORT_OTHER_FLOW);
    assert_int_equal(rill_port_pool_state(pool, 0, &unit, &flow), RILL_PORT_USED);
    assert_int_equal(unit, UNIT_A);
    assert_int_equal(flow, 100);
    assert_int_equal(rill_port_pool_flow_ended(pool, 0, 101, 0), RILL_PORT_NOT_USED);
    assert_int_equal(rill_port_pool_flow_ended(pool, 1, 100, 0), RILL_PORT_NOT_USED);
    assert_int_equal(rill_port_pool_flow_ended(pool, 9, 100, 0), RILL_PORT_RANGE);
    assert_int_equal(rill_port_pool_flow_ended(pool, 0, 100, 0), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_flow_ended(pool, 0, 100, 0), RILL_PORT_NOT_USED);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_A, 100), RILL_PORT_NOT_LEASED);
    rill_port_pool_destroy(pool);
}

static void freed_ones_rest_and_come_last(void **state)
{
    struct rill_port_pool *pool = rill_port_pool_create(3, REST_NS);
    const uint32_t back[] = {1, 1, 7, 2};

    (void)state;
    grant(pool, UNIT_A, 1, 2, out);
    rill_port_pool_use(pool, 0, UNIT_A, 100);
    assert_int_equal(rill_port_pool_next_ns(pool), UINT64_MAX);
    assert_int_equal(rill_port_pool_returned(pool, UNIT_B, back, 4, 50), 0);
    assert_int_equal(rill_port_pool_returned(pool, UNIT_A, back, 4, 50), 1);
    assert_int_equal(rill_port_pool_flow_ended(pool, 0, 100, 60), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_next_ns(pool), 50 + REST_NS);
    assert_int_equal(rill_port_pool_advance(pool, 49 + REST_NS), 0);
    assert_int_equal(rill_port_pool_advance(pool, 50 + REST_NS), 1);
    assert_int_equal(rill_port_pool_advance(pool, 60 + REST_NS), 1);
    assert_int_equal(grant(pool, UNIT_B, 1, 3, out), 3);
    assert_int_equal(out[0], 2);
    assert_int_equal(out[1], 1);
    assert_int_equal(out[2], 0);
    rill_port_pool_destroy(pool);
}

static void any_free_one_can_be_taken(void **state)
{
    static const uint32_t left[] = {1, 3};
    struct rill_port_pool *pool = rill_port_pool_create(6, REST_NS);

    (void)state;
    assert_int_equal(rill_port_pool_take(pool, 6, 100), RILL_PORT_RANGE);
    assert_int_equal(rill_port_pool_take(pool, 2, 100), RILL_PORT_OK); /* in between */
    assert_int_equal(rill_port_pool_take(pool, 2, 101), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_take(pool, 0, 101), RILL_PORT_OK); /* the first */
    assert_int_equal(rill_port_pool_take(pool, 5, 102), RILL_PORT_OK); /* the last */
    assert_int_equal(rill_port_pool_take(pool, 4, 103), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_use(pool, 2, UNIT_A, 100), RILL_PORT_OK); /* declared */
    assert_int_equal(rill_port_pool_use(pool, 2, UNIT_A, 101), RILL_PORT_OTHER_FLOW);
    assert_int_equal(grant(pool, UNIT_A, 1, 6, out), 2);
    assert_memory_equal(out, left, sizeof(left));
    assert_int_equal(rill_port_pool_take(pool, 1, 104), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_flow_ended(pool, 2, 100, 0), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_take(pool, 2, 104), RILL_PORT_NOT_LEASED); /* it rests */
    assert_int_equal(rill_port_pool_rested(pool, 5, 102), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_advance(pool, REST_NS), 1);
    assert_int_equal(rill_port_pool_take(pool, 2, 104), RILL_PORT_OK);
    assert_int_equal(grant(pool, UNIT_B, 1, 6, out), 1);
    assert_int_equal(out[0], 5);
    assert_int_equal(rill_port_pool_count(pool, RILL_PORT_FREE), 0);
    rill_port_pool_destroy(pool);
}

static void what_has_rested_is_free_at_once(void **state)
{
    struct rill_port_pool *pool = rill_port_pool_create(3, REST_NS);

    (void)state;
    assert_false(rill_port_pool_knows(pool, UNIT_A));
    grant(pool, UNIT_A, 1, 3, out);
    assert_true(rill_port_pool_knows(pool, UNIT_A));
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_A, 100), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_rested(pool, 3, 100), RILL_PORT_RANGE);
    assert_int_equal(rill_port_pool_rested(pool, 0, 101), RILL_PORT_NOT_USED);
    assert_int_equal(rill_port_pool_rested(pool, 1, 100), RILL_PORT_NOT_USED);
    assert_int_equal(rill_port_pool_rested(pool, 0, 100), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_state(pool, 0, NULL, NULL), RILL_PORT_FREE);
    assert_int_equal(rill_port_pool_free_dead(pool, UNIT_A), 0); /* is not dead */
    rill_port_pool_unit_died(pool, UNIT_A);
    assert_int_equal(rill_port_pool_free_dead(pool, UNIT_B), 0);
    assert_int_equal(rill_port_pool_free_dead(pool, UNIT_A), 2);
    assert_int_equal(grant(pool, UNIT_B, 1, 4, out), 3);
    assert_int_equal(rill_port_pool_counters(pool)->rested, 1);
    assert_int_equal(rill_port_pool_counters(pool)->freed_dead, 2);
    rill_port_pool_destroy(pool);
}

static void dead_units_endpoints_are_kept_back(void **state)
{
    struct rill_port_pool *pool = rill_port_pool_create(4, REST_NS);

    (void)state;
    grant(pool, UNIT_A, 1, 3, out);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_A, 100), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_release_dead(pool, UNIT_A, 0), 0); /* is not dead */
    assert_int_equal(rill_port_pool_unit_died(pool, UNIT_A), 2);
    assert_int_equal(rill_port_pool_unit_died(pool, UNIT_A), 2);
    assert_int_equal(grant(pool, UNIT_A, 1, 3, out), 0);
    assert_int_equal(grant(pool, UNIT_A, 2, 3, out), 0);
    assert_int_equal(grant(pool, UNIT_B, 1, 4, out), 1); /* not those */
    /* A flow that has moved on has it in its state. */
    assert_int_equal(rill_port_pool_use(pool, 1, UNIT_B, 101), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_release_dead(pool, UNIT_A, 5), 1);
    assert_int_equal(rill_port_pool_use(pool, 2, UNIT_A, 102), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_count(pool, RILL_PORT_USED), 2);
    assert_int_equal(rill_port_pool_advance(pool, 5 + REST_NS), 1);
    assert_int_equal(rill_port_pool_counters(pool)->grants_dead, 2);
    /* One that never asked may be dead, too. */
    assert_int_equal(rill_port_pool_unit_died(pool, 13), 0);
    assert_int_equal(grant(pool, 13, 1, 1, out), 0);
    rill_port_pool_destroy(pool);
}

static void sizes_are_checked(void **state)
{
    struct rill_port_pool *pool;

    (void)state;
    assert_null(rill_port_pool_create(0, 0));
    assert_null(rill_port_pool_create(RILL_PORT_POOL_MAX + 1, 0));
    rill_port_pool_destroy(NULL);
    pool = rill_port_pool_create(5000, UINT64_MAX);
    assert_int_equal(grant(pool, UNIT_A, 1, UINT32_MAX, out), RILL_PORT_GRANT_MAX);
    assert_int_equal(grant(pool, 0, 1, 1, out), 0);
    assert_int_equal(grant(pool, UNIT_B, 1, 0, out), 0);
    assert_int_equal(rill_port_pool_returned(pool, UNIT_A, out, 1, 77), 1);
    assert_int_equal(rill_port_pool_next_ns(pool), UINT64_MAX);
    rill_port_pool_destroy(pool);
}

/* Random calls beside a plain table of what each endpoint is. */

enum { SIZE = 60, UNITS = 6, STEPS = 3000, SEEDS = 60 };

struct model {
    struct rill_rng rng;
    struct rill_port_pool *pool;
    uint64_t now_ns;
    struct {
        enum rill_port_state state;
        uint32_t unit;
        uint64_t flow, until_ns, free_since;
    } at[SIZE];
    struct {
        uint64_t number;
        uint32_t last[RILL_PORT_GRANT_MAX], count;
        int dead;
    } units[UNITS];
    uint64_t grants_seen;
};

static void model_rest(struct model *m, uint32_t i)
{
    m->at[i].state = RILL_PORT_QUARANTINE;
    m->at[i].until_ns = m->now_ns + REST_NS;
    m->at[i].unit = 0;
}

/* Any endpoint that the model holds for free may not be older than the one given. */
static void check_given(struct model *m, uint32_t index, uint32_t unit)
{
    assert_true(index < SIZE);
    assert_int_equal(m->at[index].state, RILL_PORT_FREE);
    for (uint32_t i = 0; i < SIZE; i++) {
        if (m->at[i].state == RILL_PORT_FREE)
            assert_true(m->at[i].free_since >= m->at[index].free_since);
    }
    m->at[index].state = RILL_PORT_LEASED;
    m->at[index].unit = unit + 1;
    m->grants_seen++;
}

static uint32_t free_count(const struct model *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < SIZE; i++)
        n += m->at[i].state == RILL_PORT_FREE;
    return n;
}

static void ask(struct model *m, uint32_t unit)
{
    uint32_t want = rill_rng_below(&m->rng, 12);
    uint64_t number = m->units[unit].number + 1 - rill_rng_below(&m->rng, 3);
    uint32_t free = free_count(m), again = 0;
    uint32_t n;

    if (number == 0)
        number = 1;
    n = grant(m->pool, unit + 1, number, want, out);
    if (m->units[unit].dead || number < m->units[unit].number) {
        assert_int_equal(n, 0);
    } else if (number == m->units[unit].number) {
        for (uint32_t i = 0; i < m->units[unit].count; i++) {
            uint32_t index = m->units[unit].last[i];

            if (m->at[index].state == RILL_PORT_LEASED && m->at[index].unit == unit + 1)
                assert_int_equal(out[again++], index);
        }
        assert_int_equal(n, again);
    } else {
        assert_int_equal(n, want < free ? want : free);
        for (uint32_t i = 0; i < n; i++)
            check_given(m, out[i], unit);
        memcpy(m->units[unit].last, out, n * sizeof(out[0]));
        m->units[unit].count = n;
        m->units[unit].number = number;
    }
}

static void use(struct model *m, uint32_t unit, uint32_t index, uint64_t flow)
{
    enum rill_port_result expected = RILL_PORT_NOT_LEASED;

    if (m->at[index].state == RILL_PORT_USED)
        expected = m->at[index].flow == flow ? RILL_PORT_OK : RILL_PORT_OTHER_FLOW;
    else if (m->at[index].state == RILL_PORT_KEPT ||
             (m->at[index].state == RILL_PORT_LEASED && m->at[index].unit == unit + 1))
        expected = RILL_PORT_OK;
    assert_int_equal(rill_port_pool_use(m->pool, index, unit + 1, flow), expected);
    if (expected == RILL_PORT_OK) {
        m->at[index].state = RILL_PORT_USED;
        m->at[index].flow = flow;
    }
}

static void end_flow(struct model *m, uint32_t index, uint64_t flow)
{
    int uses = m->at[index].state == RILL_PORT_USED && m->at[index].flow == flow;

    assert_int_equal(rill_port_pool_flow_ended(m->pool, index, flow, m->now_ns),
                     uses ? RILL_PORT_OK : RILL_PORT_NOT_USED);
    if (uses)
        model_rest(m, index);
}

static void give_back(struct model *m, uint32_t unit)
{
    uint32_t indexes[8], expected = 0;

    for (int i = 0; i < 8; i++) {
        indexes[i] = rill_rng_below(&m->rng, SIZE + 1);
        if (indexes[i] < SIZE && m->at[indexes[i]].state == RILL_PORT_LEASED &&
            m->at[indexes[i]].unit == unit + 1) {
            model_rest(m, indexes[i]);
            expected++;
        }
    }
    assert_int_equal(rill_port_pool_returned(m->pool, unit + 1, indexes, 8, m->now_ns), expected);
}

static void die_or_release(struct model *m, uint32_t unit)
{
    uint32_t n = 0;

    if (!m->units[unit].dead) {
        m->units[unit].dead = 1;
        for (uint32_t i = 0; i < SIZE; i++) {
            if (m->at[i].state == RILL_PORT_LEASED && m->at[i].unit == unit + 1) {
                m->at[i].state = RILL_PORT_KEPT;
                n++;
            }
        }
        assert_int_equal(rill_port_pool_unit_died(m->pool, unit + 1), n);
        return;
    }
    for (uint32_t i = 0; i < SIZE; i++) {
        if (m->at[i].state == RILL_PORT_KEPT && m->at[i].unit == unit + 1) {
            model_rest(m, i);
            n++;
        }
    }
    assert_int_equal(rill_port_pool_release_dead(m->pool, unit + 1, m->now_ns), n);
}

static void advance(struct model *m)
{
    uint32_t n = 0;

    m->now_ns += rill_rng_below(&m->rng, REST_NS / 2);
    for (uint32_t i = 0; i < SIZE; i++) {
        if (m->at[i].state == RILL_PORT_QUARANTINE && m->at[i].until_ns <= m->now_ns) {
            m->at[i].state = RILL_PORT_FREE;
            m->at[i].free_since = m->at[i].until_ns; /* ties are any order here */
            n++;
        }
    }
    assert_int_equal(rill_port_pool_advance(m->pool, m->now_ns), n);
}

static void check(struct model *m)
{
    uint32_t counts[RILL_PORT_STATES] = {0};

    for (uint32_t i = 0; i < SIZE; i++) {
        uint64_t flow;
        uint32_t unit;

        assert_int_equal(rill_port_pool_state(m->pool, i, &unit, &flow), m->at[i].state);
        assert_int_equal(flow, m->at[i].state == RILL_PORT_USED ? m->at[i].flow : 0);
        assert_int_equal(unit, m->at[i].unit);
        counts[m->at[i].state]++;
    }
    for (int s = 0; s < RILL_PORT_STATES; s++)
        assert_int_equal(rill_port_pool_count(m->pool, s), counts[s]);
}

static void random_calls_agree_with_a_table(void **state)
{
    static struct model m;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        m = (struct model){.pool = rill_port_pool_create(SIZE, REST_NS)};
        rill_rng_seed(&m.rng, seed);
        for (int i = 0; i < STEPS; i++) {
            uint32_t unit = rill_rng_below(&m.rng, UNITS);
            uint32_t index = rill_rng_below(&m.rng, SIZE);
            uint32_t what = rill_rng_below(&m.rng, 1000);

            if (what < 200)
                ask(&m, unit);
            else if (what < 550)
                use(&m, unit, index, 1 + rill_rng_below(&m.rng, 3));
            else if (what < 800)
                end_flow(&m, index, 1 + rill_rng_below(&m.rng, 3));
            else if (what < 850)
                give_back(&m, unit);
            else if (what < 852)
                die_or_release(&m, unit);
            else
                advance(&m);
            check(&m);
        }
        assert_int_equal(rill_port_pool_counters(m.pool)->granted, m.grants_seen);
        rill_port_pool_destroy(m.pool);
    }
}

/* A takeover: all is held until it is known whose it is. */
static void what_is_held_is_handed_over(void **state)
{
    enum { HOLDER = 99 };
    struct rill_port_pool *pool = rill_port_pool_create(6, REST_NS);
    uint32_t unit;

    (void)state;
    assert_int_equal(rill_port_pool_hold(pool, HOLDER), 0);
    assert_int_equal(rill_port_pool_count(pool, RILL_PORT_LEASED), 6);
    assert_int_equal(grant(pool, UNIT_A, 1, 6, out), 0);
    assert_int_equal(rill_port_pool_hand_over(pool, 0, HOLDER, UNIT_A), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_state(pool, 0, &unit, NULL), RILL_PORT_LEASED);
    assert_int_equal(unit, UNIT_A);
    assert_int_equal(rill_port_pool_hand_over(pool, 0, HOLDER, UNIT_B), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_hand_over(pool, 6, HOLDER, UNIT_B), RILL_PORT_RANGE);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_B, 100), RILL_PORT_NOT_LEASED);
    assert_int_equal(rill_port_pool_use(pool, 0, UNIT_A, 100), RILL_PORT_OK);
    /* An inherited flow's is the holder's to use; then it is nobody's to hand over. */
    assert_int_equal(rill_port_pool_use(pool, 1, HOLDER, 101), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_hand_over(pool, 1, HOLDER, UNIT_A), RILL_PORT_NOT_LEASED);
    /* Of a unit that died meanwhile it is kept like the others of that unit. */
    assert_int_equal(rill_port_pool_hand_over(pool, 2, HOLDER, UNIT_B), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_unit_died(pool, UNIT_B), 1);
    assert_int_equal(rill_port_pool_hand_over(pool, 3, HOLDER, UNIT_B), RILL_PORT_OK);
    assert_int_equal(rill_port_pool_state(pool, 3, &unit, NULL), RILL_PORT_KEPT);
    assert_int_equal(unit, UNIT_B);
    assert_int_equal(rill_port_pool_release_dead(pool, UNIT_B, 5), 2);
    /* What nobody had rests before it is free. */
    assert_int_equal(rill_port_pool_unit_died(pool, HOLDER), 2);
    assert_int_equal(rill_port_pool_release_dead(pool, HOLDER, 10), 2);
    assert_int_equal(rill_port_pool_count(pool, RILL_PORT_QUARANTINE), 4);
    assert_int_equal(rill_port_pool_advance(pool, 10 + REST_NS), 4);
    rill_port_pool_destroy(pool);
}

/* What was handed over is none of a later grant's. */
static void a_grant_repeated_is_without_what_was_handed_over(void **state)
{
    enum { HOLDER = 99 };
    struct rill_port_pool *pool = rill_port_pool_create(6, 0);

    (void)state;
    rill_port_pool_hold(pool, HOLDER);
    rill_port_pool_hand_over(pool, 3, HOLDER, UNIT_A);
    rill_port_pool_unit_died(pool, HOLDER);
    rill_port_pool_release_dead(pool, HOLDER, 0);
    rill_port_pool_advance(pool, 1);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(grant(pool, UNIT_A, 8, 2, out), 2);
        assert_int_not_equal(out[0], 3);
        assert_int_not_equal(out[1], 3);
    }
    rill_port_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_number_same_endpoints),
        cmocka_unit_test(a_flow_keeps_others_off),
        cmocka_unit_test(freed_ones_rest_and_come_last),
        cmocka_unit_test(any_free_one_can_be_taken),
        cmocka_unit_test(what_has_rested_is_free_at_once),
        cmocka_unit_test(dead_units_endpoints_are_kept_back),
        cmocka_unit_test(what_is_held_is_handed_over),
        cmocka_unit_test(a_grant_repeated_is_without_what_was_handed_over),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(random_calls_agree_with_a_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
