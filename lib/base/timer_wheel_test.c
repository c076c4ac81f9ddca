#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/base/timer_wheel.h"

enum { TIMERS = 200 };

/* The wheel beside a list without any order, of which the earliest is found by looking at all. */
struct pair {
    struct rill_timer_wheel *wheel;
    struct rill_timer timers[TIMERS];
    struct {
        bool armed;
        uint64_t due_ns, order;
    } naive[TIMERS];
    uint64_t order;
    uint64_t now_ns;
    uint64_t popped;
};

static int naive_first(const struct pair *p)
{
    int best = -1;

    for (int i = 0; i < TIMERS; i++) {
        if (!p->naive[i].armed)
            continue;
        if (best < 0 || p->naive[i].due_ns < p->naive[best].due_ns ||
            (p->naive[i].due_ns == p->naive[best].due_ns &&
             p->naive[i].order < p->naive[best].order))
            best = i;
    }
    return best;
}

static uint64_t random_due(struct rill_rng *rng, uint64_t now_ns, uint64_t turn_ns)
{
    uint64_t back = rill_rng_below(rng, 5000);

    switch (rill_rng_below(rng, 10)) {
    case 0:
        return now_ns > back ? now_ns - back : 0;
    case 1:
        return now_ns;
    case 2:
        return now_ns + turn_ns * rill_rng_below(rng, 4); /* the same slot, turns apart */
    case 3:
        return now_ns + rill_rng_u64(rng) % (turn_ns * 50);
    case 4:
        return rill_rng_u64(rng); /* anywhere, wrapped or not */
    case 5:
        return UINT64_MAX - rill_rng_below(rng, 3);
    case 6:
        return (now_ns / 1000 + rill_rng_below(rng, 5)) * 1000; /* many ties */
    default:
        return now_ns + rill_rng_u64(rng) % turn_ns;
    }
}

static void arm(struct pair *p, int i, uint64_t due_ns)
{
    rill_timer_arm(p->wheel, &p->timers[i], due_ns);
    p->naive[i].armed = true;
    p->naive[i].due_ns = due_ns;
    p->naive[i].order = p->order++;
}

static void stop(struct pair *p, int i)
{
    rill_timer_stop(p->wheel, &p->timers[i]);
    p->naive[i].armed = false;
}

static void check_next(struct pair *p)
{
    int first = naive_first(p);

    assert_int_equal(rill_timer_wheel_next_ns(p->wheel),
                     first < 0 ? UINT64_MAX : p->naive[first].due_ns);
}

/* One pop of both; true if there was a timer. */
static bool pop(struct pair *p)
{
    struct rill_timer *got = rill_timer_pop(p->wheel, p->now_ns);
    int want = naive_first(p);

    if (want < 0 || p->naive[want].due_ns > p->now_ns) {
        assert_null(got);
        return false;
    }
    assert_ptr_equal(got, &p->timers[want]);
    assert_false(rill_timer_armed(got));
    assert_int_equal(got->due_ns, p->naive[want].due_ns);
    p->naive[want].armed = false;
    p->popped++;
    return true;
}

static void advance(struct pair *p, struct rill_rng *rng, uint64_t turn_ns)
{
    uint64_t step_ns = rill_rng_u64(rng) % 2000;
    uint32_t kind = rill_rng_below(rng, 1000);

    if (kind < 2)
        step_ns = rill_rng_u64(rng) >> (4 + rill_rng_below(rng, 40));
    else if (kind < 20)
        step_ns = rill_rng_u64(rng) % (turn_ns * 20);
    p->now_ns = step_ns > UINT64_MAX - p->now_ns ? UINT64_MAX : p->now_ns + step_ns;
}

static void random_operation(struct pair *p, struct rill_rng *rng, uint64_t turn_ns)
{
    int i = (int)rill_rng_below(rng, TIMERS);

    switch (rill_rng_below(rng, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
        arm(p, i, random_due(rng, p->now_ns, turn_ns));
        break;
    case 4:
        stop(p, i);
        break;
    case 5:
        check_next(p);
        break;
    case 6:
        pop(p);
        break;
    case 7:
        if (rill_rng_below(rng, 8) == 0)
            while (pop(p))
                ;
        break;
    default:
        advance(p, rng, turn_ns);
        break;
    }
    assert_true(rill_timer_armed(&p->timers[i]) == p->naive[i].armed);
}

static void run_random(uint64_t seed, uint32_t slots, uint64_t tick_ns, int operations)
{
    struct pair p = {.wheel = rill_timer_wheel_create(slots, tick_ns), .now_ns = 1000000};
    struct rill_rng rng;

    assert_non_null(p.wheel);
    rill_rng_seed(&rng, seed);
    for (int n = 0; n < operations; n++)
        random_operation(&p, &rng, slots * tick_ns);
    p.now_ns = UINT64_MAX;
    while (pop(&p))
        check_next(&p);
    assert_int_equal(naive_first(&p), -1);
    assert_int_equal(rill_timer_wheel_next_ns(p.wheel), UINT64_MAX);
    assert_true(p.popped > (uint64_t)operations / 100);
    rill_timer_wheel_destroy(p.wheel);
}

static void test_random_against_naive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        run_random(seed, 64, 100, 4000);
        run_random(seed, 256, 1000, 4000);
        run_random(seed, 64, 1, 2000);
        run_random(seed, 4096, 4096, 2000);
    }
}

static void test_never_early_and_ties_by_arming(void **state)
{
    struct rill_timer_wheel *wheel = rill_timer_wheel_create(64, 1000);
    struct rill_timer a = {0}, b = {0}, c = {0};

    (void)state;
    rill_timer_arm(wheel, &a, 5001);
    rill_timer_arm(wheel, &b, 5000);
    rill_timer_arm(wheel, &c, 5001);
    rill_timer_arm(wheel, &a, 5001); /* armed again: now after c */
    assert_null(rill_timer_pop(wheel, 4999));
    assert_ptr_equal(rill_timer_pop(wheel, 5000), &b);
    assert_null(rill_timer_pop(wheel, 5000));
    assert_int_equal(rill_timer_wheel_next_ns(wheel), 5001);
    assert_ptr_equal(rill_timer_pop(wheel, 5001), &c);
    assert_ptr_equal(rill_timer_pop(wheel, 5001), &a);
    assert_null(rill_timer_pop(wheel, UINT64_MAX));
    rill_timer_wheel_destroy(wheel);
}

static void test_stop(void **state)
{
    struct rill_timer_wheel *wheel = rill_timer_wheel_create(64, 1000);
    struct rill_timer t[4] = {0};

    (void)state;
    rill_timer_stop(wheel, &t[0]);
    for (int i = 0; i < 4; i++)
        rill_timer_arm(wheel, &t[i], 100);
    assert_ptr_equal(rill_timer_pop(wheel, 100), &t[0]);
    rill_timer_stop(wheel, &t[3]); /* the last of those that are due */
    rill_timer_stop(wheel, &t[3]);
    assert_false(rill_timer_armed(&t[3]));
    rill_timer_arm(wheel, &t[0], 100);
    rill_timer_stop(wheel, &t[1]);
    assert_ptr_equal(rill_timer_pop(wheel, 100), &t[2]);
    assert_ptr_equal(rill_timer_pop(wheel, 100), &t[0]);
    assert_null(rill_timer_pop(wheel, 100));
    assert_int_equal(rill_timer_wheel_next_ns(wheel), UINT64_MAX);
    rill_timer_wheel_destroy(wheel);
    rill_timer_wheel_destroy(NULL);
}

/* Timers of later turns lie in memory that can't be read meanwhile: who looks at them dies. */
static void test_far_timers_are_left_alone(void **state)
{
    enum { SLOTS = 64, TICK_NS = 1024, TURN_NS = SLOTS * TICK_NS, FAR = 32 };
    struct rill_timer_wheel *wheel = rill_timer_wheel_create(SLOTS, TICK_NS);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct rill_timer *far =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rill_timer even = {0}, later = {0};

    (void)state;
    assert_ptr_not_equal(far, MAP_FAILED);
    for (int i = 0; i < FAR; i++) /* odd slots only */
        rill_timer_arm(wheel, &far[i], UINT64_C(100) * TURN_NS + (uint64_t)(2 * i + 1) * TICK_NS);
    rill_timer_arm(wheel, &later, 0); /* else the earliest is a far one */
    assert_int_equal(mprotect(far, page, PROT_NONE), 0);
    for (uint64_t now_ns = 0; now_ns < UINT64_C(90) * TURN_NS; now_ns += 2 * TICK_NS) {
        rill_timer_arm(wheel, &later, now_ns + 40 * TICK_NS);
        rill_timer_arm(wheel, &even, now_ns);
        assert_int_equal(rill_timer_wheel_next_ns(wheel), now_ns);
        assert_ptr_equal(rill_timer_pop(wheel, now_ns), &even);
        assert_null(rill_timer_pop(wheel, now_ns));
        assert_int_equal(rill_timer_wheel_next_ns(wheel), now_ns + 40 * TICK_NS);
    }
    assert_int_equal(mprotect(far, page, PROT_READ | PROT_WRITE), 0);
    assert_ptr_equal(rill_timer_pop(wheel, UINT64_MAX), &later);
    for (int i = 0; i < FAR; i++)
        assert_ptr_equal(rill_timer_pop(wheel, UINT64_MAX), &far[i]);
    assert_null(rill_timer_pop(wheel, UINT64_MAX));
    munmap(far, page);
    rill_timer_wheel_destroy(wheel);
}

/* A clock that leaps over 2^50 turns must not walk through them. */
static void test_leaps(void **state)
{
    enum { COUNT = 20000 };
    struct rill_timer_wheel *wheel = rill_timer_wheel_create(64, 2);
    struct rill_timer *t = calloc(COUNT, sizeof(*t));
    uint64_t before_ns = 0;
    struct rill_rng rng;

    (void)state;
    assert_non_null(t);
    rill_rng_seed(&rng, 7);
    for (int i = 0; i < COUNT; i++)
        rill_timer_arm(wheel, &t[i], i % 2 == 0 ? 1000000 : rill_rng_u64(&rng) >> 40);
    for (int i = 0; i < 60; i++)
        rill_timer_arm(wheel, &t[i], UINT64_MAX >> i);
    for (int i = 0; i < COUNT; i++) {
        struct rill_timer *got = rill_timer_pop(wheel, UINT64_MAX);

        assert_non_null(got);
        assert_true(got->due_ns >= before_ns);
        before_ns = got->due_ns;
    }
    assert_null(rill_timer_pop(wheel, UINT64_MAX));
    free(t);
    rill_timer_wheel_destroy(wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_early_and_ties_by_arming), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_far_timers_are_left_alone),      cmocka_unit_test(test_leaps),
        cmocka_unit_test(test_random_against_naive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
