#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/log_limit.h"

#define SECOND UINT64_C(1000000000)

static uint32_t said(struct rill_log_limit *limit, uint64_t now_ns, uint32_t lines)
{
    uint32_t n = 0;
    uint64_t unsaid;

    while (lines-- > 0)
        n += rill_log_limit_take(limit, now_ns, &unsaid);
    return n;
}

static void a_burst_is_said_up_to_the_bound(void **state)
{
    struct rill_log_limit limit = {.lines_per_s = 10};

    (void)state;
    assert_int_equal(said(&limit, 5 * SECOND, 25), 10);
    assert_int_equal(limit.suppressed, 15);
}

static void then_one_each_time_that_there_is_room(void **state)
{
    struct rill_log_limit limit = {.lines_per_s = 10};

    (void)state;
    said(&limit, 5 * SECOND, 10);
    assert_int_equal(said(&limit, 5 * SECOND + SECOND / 10 - 1, 5), 0);
    assert_int_equal(said(&limit, 5 * SECOND + SECOND / 10, 5), 1);
    assert_int_equal(said(&limit, 5 * SECOND + SECOND / 2, 50), 4);
    assert_int_equal(said(&limit, 50 * SECOND, 50), 10);
}

static void the_next_line_knows_how_many_were_not_said(void **state)
{
    struct rill_log_limit limit = {.lines_per_s = 10};
    uint64_t unsaid = 77;

    (void)state;
    said(&limit, 5 * SECOND, 17);
    assert_true(rill_log_limit_take(&limit, 6 * SECOND, &unsaid));
    assert_int_equal(unsaid, 7);
    assert_true(rill_log_limit_take(&limit, 6 * SECOND, &unsaid));
    assert_int_equal(unsaid, 0);
    assert_int_equal(limit.suppressed, 7);
}

static void without_a_setting_there_is_a_bound_all_the_same(void **state)
{
    struct rill_log_limit limit = {0};

    (void)state;
    assert_int_equal(said(&limit, 5 * SECOND, 1000), RILL_LOG_LINES_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_said_up_to_the_bound),
        cmocka_unit_test(then_one_each_time_that_there_is_room),
        cmocka_unit_test(the_next_line_knows_how_many_were_not_said),
        cmocka_unit_test(without_a_setting_there_is_a_bound_all_the_same),
    };

    return cmocka_run_group_tests_name("log_limit", tests, NULL, NULL);
}
