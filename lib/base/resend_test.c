#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/resend.h"

static uint64_t slowed;

static uint64_t pause_after(uint32_t attempts, uint64_t slow_ns, uint32_t sent)
{
    struct rill_resend resend = {.attempts = attempts, .slow_ns = slow_ns};

    return rill_resend_pause_ns(&resend, 10, sent, &slowed);
}

static void pauses_double_up_to_eight_times_the_first(void **state)
{
    static const uint64_t want[] = {10, 20, 40, 80, 80, 80};

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(pause_after(100, 1000, i + 1), want[i]);
}

static void after_the_attempts_it_goes_on_slowly(void **state)
{
    (void)state;
    slowed = 0;
    assert_int_equal(pause_after(3, 1000, 2), 20);
    assert_int_equal(slowed, 0);
    assert_int_equal(pause_after(3, 1000, 3), 1000);
    assert_int_equal(pause_after(3, 1000, 4), 1000);
    assert_int_equal(pause_after(3, 1000, 1000000), 1000);
    assert_int_equal(slowed, 1);
}

static void no_pause_is_longer_than_the_slow_one_or_shorter_than_the_first(void **state)
{
    (void)state;
    assert_int_equal(pause_after(100, 30, 3), 30);
    assert_int_equal(pause_after(2, 3, 1), 10);
    assert_int_equal(pause_after(2, 3, 5), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_eight_times_the_first),
        cmocka_unit_test(after_the_attempts_it_goes_on_slowly),
        cmocka_unit_test(no_pause_is_longer_than_the_slow_one_or_shorter_than_the_first),
    };

    return cmocka_run_group_tests_name("resend", tests, NULL, NULL);
}
