#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/role.h"
#include "rm/placement.h"

static uint32_t agent(uint32_t number)
{
    return rill_role_id(RILL_ROLE_AGENT, number);
}

static struct rill_placement_machine machine(uint32_t number, uint32_t roles, uint32_t cpus)
{
    return (struct rill_placement_machine){
        .agent = agent(number), .usable = true, .roles = roles, .cpus = cpus};
}

#define CHOOSE(machines, not_on, shares)                                                           \
    rill_placement_choose(machines, sizeof(machines) / sizeof(machines[0]), not_on, shares)

static void the_least_loaded_per_processor(void **state)
{
    struct rill_placement_machine machines[] = {machine(1, 3, 2), machine(2, 10, 8),
                                                machine(3, 2, 1)};

    (void)state;
    assert_int_equal(CHOOSE(machines, 0, NULL), agent(2)); /* 1.5, 1.25, 2 */
    machines[1].roles = 13;
    assert_int_equal(CHOOSE(machines, 0, NULL), agent(1));
    machines[2].roles = 0;
    assert_int_equal(CHOOSE(machines, 0, NULL), agent(3));
}

static void ties_go_to_the_lowest_id(void **state)
{
    struct rill_placement_machine machines[] = {machine(7, 4, 4), machine(3, 1, 1),
                                                machine(5, 2, 2)};

    (void)state;
    assert_int_equal(CHOOSE(machines, 0, NULL), agent(3));
    assert_int_equal(CHOOSE(machines, agent(3), NULL), agent(5));
}

static void large_numbers_do_not_wrap(void **state)
{
    struct rill_placement_machine machines[] = {machine(1, 1u << 20, 1u << 12),
                                                machine(2, 1u << 20, 1u << 13)};

    (void)state;
    assert_int_equal(CHOOSE(machines, 0, NULL), agent(2));
}

static void another_machine_even_if_it_is_fuller(void **state)
{
    const struct rill_placement_machine machines[] = {machine(1, 0, 64), machine(2, 50, 1)};
    bool shares = true;

    (void)state;
    assert_int_equal(CHOOSE(machines, agent(1), &shares), agent(2));
    assert_false(shares);
}

static void one_machine_is_shared_and_said_so(void **state)
{
    struct rill_placement_machine machines[] = {machine(1, 0, 1), machine(2, 0, 1)};
    bool shares = false;

    (void)state;
    machines[1].usable = false;
    assert_int_equal(CHOOSE(machines, agent(1), &shares), agent(1));
    assert_true(shares);
    assert_int_equal(CHOOSE(machines, agent(2), &shares), agent(1));
    assert_false(shares);
    assert_int_equal(CHOOSE(machines, 0, &shares), agent(1));
    assert_false(shares);
}

static void no_usable_machine(void **state)
{
    struct rill_placement_machine machines[] = {machine(1, 0, 1)};
    bool shares = true;

    (void)state;
    machines[0].usable = false;
    assert_int_equal(CHOOSE(machines, 0, &shares), 0);
    assert_false(shares);
    assert_int_equal(CHOOSE(machines, agent(1), NULL), 0);
    assert_int_equal(rill_placement_choose(NULL, 0, 0, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_loaded_per_processor),
        cmocka_unit_test(ties_go_to_the_lowest_id),
        cmocka_unit_test(large_numbers_do_not_wrap),
        cmocka_unit_test(another_machine_even_if_it_is_fuller),
        cmocka_unit_test(one_machine_is_shared_and_said_so),
        cmocka_unit_test(no_usable_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
