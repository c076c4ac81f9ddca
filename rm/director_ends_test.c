/* A death is told twice: at once that the program ended, and then how. What the director does at
 * which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

enum { SECOND_MS = 1000 };

static const Control__Failure *newest_failure(struct world *w)
{
    const Control__Status *status = world_status(w, 0);

    assert_true(status->n_failure_list > 0);
    return status->failure_list[status->n_failure_list - 1];
}

static void who_ended_is_replaced_before_it_is_known_how(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint64_t ended_ns = w->now_ns;

    (void)state;
    world_ends(w, unit, false);
    assert_int_equal(newest_failure(w)->role, unit);
    assert_int_equal(newest_failure(w)->detected_ns, ended_ns);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_int_equal(world_find(w, RILL_ROLE_UNIT, 1, "ended", 0), unit);
    assert_int_equal(world_status(w, 0)->n_failures, 0);
    assert_false(world_status(w, 0)->settled);
    world_ends(w, unit, false); /* once */
    world_pass(w, SECOND_MS);
    world_dies(w, unit, 9, false, "oh no");
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, NULL), 2);
    assert_int_equal(world_status(w, 0)->n_failures, 1);
    assert_string_equal(world_status(w, 0)->failures[0],
                        "unit 1 of deployment web: killed by SIGKILL; its last line: oh no");
    assert_int_equal(newest_failure(w)->detected_ns, ended_ns);
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    assert_int_equal(rill_director_counters(w->d)->deaths, 1);
    assert_int_equal(w->stops, 1); /* of its output logger */
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void a_loop_that_stood_still_is_named_later(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_ends(w, unit, true);
    assert_int_not_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
    world_dies(w, unit, 9, true, "");
    assert_true(world_was_said(w, "did not return from process_packet and was killed"));
    world_free(w);
}

/* It is not told to stop any more, and its deployment goes when the last of it is gone. */
static void who_ended_is_undeployed(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_client_joins(w, 1, 0);
    world_ends(w, unit, false);
    world_undeploy(w, 1, "web");
    assert_null(w->clients[1].last);
    world_dies(w, unit, 9, false, "");
    world_expect(w, 1, CONTROL__MESSAGE__BODY_DONE);
    world_expect_nothing_of_web(w);
    assert_true(world_was_said(w, "unit 1 of deployment web: killed by SIGKILL"));
    world_free(w);
}

/* People are told why: that waits for the words. */
static void the_last_death_of_too_many_has_its_words(void **state)
{
    struct world *w = world_with_web(2, 2);
    uint32_t unit = 0;

    (void)state;
    for (uint32_t i = 0; i < WORLD_DEATHS_MAX; i++) {
        unit = world_active(w, RILL_ROLE_UNIT, 0);
        world_ends(w, unit, false);
        if (i + 1 < WORLD_DEATHS_MAX)
            assert_int_not_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
        else
            assert_string_equal(world_deployment(w, "web")->state, "running");
        world_dies(w, unit, 4, false, "");
        world_pass(w, 1); /* what dies at one moment counts as one death */
    }
    assert_string_equal(world_deployment(w, "web")->state, "failed");
    assert_true(strstr(world_deployment(w, "web")->failure, "killed by SIGILL") != NULL);
    assert_int_equal(world_deployment(w, "web")->deaths, WORLD_DEATHS_MAX);
    world_free(w);
}

static void who_was_of_no_use_yet_dies_with_its_words(void **state)
{
    struct world *w = world_small(1);
    uint32_t warm = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0), unit;

    (void)state;
    world_ends(w, warm, false);
    assert_int_equal(world_find(w, RILL_ROLE_UNIT, 0, "warm", 0), warm);
    world_dies(w, warm, 11, false, "");
    world_pass(w, SECOND_MS);
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    unit = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    world_deploy(w, 0, "web", 1);
    world_ends(w, unit, false);
    assert_null(w->clients[0].last);
    world_dies(w, unit, 4, false, "bad luck");
    world_expect_error(w, 0, "killed by SIGILL; its last line: bad luck");
    world_free(w);
}

static void how_it_ended_is_lost_with_the_agent(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_ends(w, unit, false);
    world_role(w, unit)->running = world_role(w, unit)->joined = false;
    world_agent_down(w, 0);
    assert_true(world_was_said(w, "unit 1 of deployment web: ended, how is not known"));
    world_agent_joins(w, 0);
    assert_int_equal(world_status(w, 0)->n_failures, 1);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    world_free(w);
}

static void a_controller_ended(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    world_ends(w, controller, false);
    assert_int_not_equal(world_active(w, RILL_ROLE_CONTROLLER, 0), controller);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    world_dies(w, controller, 9, false, "");
    assert_true(world_was_said(w, "controller 1 of deployment web: killed by SIGKILL"));
    assert_string_equal(world_deployment(w, "web")->state, "running");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_ended_is_replaced_before_it_is_known_how),
        cmocka_unit_test(a_loop_that_stood_still_is_named_later),
        cmocka_unit_test(who_ended_is_undeployed),
        cmocka_unit_test(the_last_death_of_too_many_has_its_words),
        cmocka_unit_test(who_was_of_no_use_yet_dies_with_its_words),
        cmocka_unit_test(how_it_ended_is_lost_with_the_agent),
        cmocka_unit_test(a_controller_ended),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
