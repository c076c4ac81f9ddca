#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/order.h"

static struct rill_order order;

static int setup(void **state)
{
    (void)state;
    return rill_order_init(&order, 3);
}

static int teardown(void **state)
{
    (void)state;
    rill_order_fini(&order);
    return 0;
}

static void packets_in_order_are_not_counted(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 9; id += 2)
        rill_order_released(&order, 7, RILL_INSIDE, id);
    assert_int_equal(order.reordered, 0);
}

static void every_packet_behind_a_later_one_is_counted(void **state)
{
    const uint64_t ids[] = {1, 5, 2, 3, 6, 4};

    (void)state;
    for (int i = 0; i < 6; i++)
        rill_order_released(&order, 7, RILL_INSIDE, ids[i]);
    assert_int_equal(order.reordered, 3); /* 2, 3 and 4 */
}

static void directions_are_apart(void **state)
{
    (void)state;
    rill_order_released(&order, 7, RILL_INSIDE, 5);
    rill_order_released(&order, 7, RILL_OUTSIDE, 4);
    assert_int_equal(order.reordered, 0);
    rill_order_released(&order, 7, RILL_OUTSIDE, 3);
    assert_int_equal(order.reordered, 1);
}

static void flows_are_apart(void **state)
{
    (void)state;
    rill_order_released(&order, 7, RILL_INSIDE, 5);
    rill_order_released(&order, 7 + 1024, RILL_INSIDE, 4); /* shares its bucket */
    assert_int_equal(order.reordered, 0);
    rill_order_released(&order, 7, RILL_INSIDE, 4);
    assert_int_equal(order.reordered, 1);
}

static void flows_that_there_is_no_room_for_are_counted(void **state)
{
    (void)state;
    for (uint64_t flow = 1; flow <= 5; flow++)
        rill_order_released(&order, flow, RILL_INSIDE, flow);
    assert_int_equal(order.untracked, 2);
    rill_order_released(&order, 1, RILL_INSIDE, 0);
    assert_int_equal(order.reordered, 1);
    assert_int_equal(order.untracked, 2);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(packets_in_order_are_not_counted),
        T(every_packet_behind_a_later_one_is_counted),
        T(directions_are_apart),
        T(flows_are_apart),
        T(flows_that_there_is_no_room_for_are_counted),
    };

    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
