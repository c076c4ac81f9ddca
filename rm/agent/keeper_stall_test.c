#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rm/agent/keeper_stall.h"

enum { LOOK = 20000000, LOOKS = 50 };

static struct rill_stall stall;

static int clear(void **state)
{
    (void)state;
    stall = (struct rill_stall){0};
    return 0;
}

/* The same look again and again, with so much more processor time each time. */
static uint64_t looks(uint64_t turns, bool wants_cpu, uint64_t cpu_step_ns)
{
    struct rill_stall_seen seen = {.turns = turns, .cpu_ns = stall.cpu_ns, .wants_cpu = wants_cpu};
    uint64_t still_ns = 0;

    for (int i = 0; i < LOOKS; i++) {
        seen.cpu_ns += cpu_step_ns;
        still_ns = rill_stall_look(&stall, &seen, LOOK);
    }
    return still_ns;
}

static void who_has_no_loop_yet_is_not_watched(void **state)
{
    (void)state;
    assert_int_equal(looks(0, true, LOOK), 0);
    assert_int_equal(looks(0, false, 0), 0);
}

/* The first look at a count sees it move. */
static void who_sleeps_stands_still_in_full(void **state)
{
    (void)state;
    assert_int_equal(looks(1, false, 0), (LOOKS - 1) * (uint64_t)LOOK);
}

static void a_loop_without_end_does_too(void **state)
{
    (void)state;
    assert_int_equal(looks(1, true, LOOK), (LOOKS - 1) * (uint64_t)LOOK);
    /* A keeper that was late sees more than a look's worth. */
    assert_int_equal(looks(1, true, 9 * (uint64_t)LOOK), (2 * LOOKS - 1) * (uint64_t)LOOK);
}

static void who_gets_no_processor_has_longer(void **state)
{
    (void)state;
    assert_int_equal(looks(1, true, LOOK / 2), (LOOKS - 1) * (uint64_t)(LOOK / 2));
    clear(state);
    assert_int_equal(looks(1, true, LOOK / 100), (LOOKS - 1) * (uint64_t)(LOOK / 4));
    clear(state);
    assert_int_equal(looks(1, true, 0), (LOOKS - 1) * (uint64_t)(LOOK / 4));
}

static void a_turn_is_a_new_beginning(void **state)
{
    struct rill_stall_seen seen = {.turns = 2};

    (void)state;
    assert_true(looks(1, false, 0) > 0);
    assert_int_equal(rill_stall_look(&stall, &seen, LOOK), 0);
    assert_int_equal(rill_stall_look(&stall, &seen, LOOK), LOOK);
}

#define TEST(f) cmocka_unit_test_setup(f, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_has_no_loop_yet_is_not_watched), TEST(who_sleeps_stands_still_in_full),
        TEST(a_loop_without_end_does_too),        TEST(who_gets_no_processor_has_longer),
        TEST(a_turn_is_a_new_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
