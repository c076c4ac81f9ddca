/* What the director does when something dies, fails, is late or is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

enum { SECOND_MS = 1000 };

/* Of "web", where the first message of that kind has that fate (if it is silence: all of them). */
static struct world *failed_deploy(Control__Message__BodyCase body, enum rill_role_kind kind,
                                   enum world_fate fate, const char *text)
{
    struct world *w = world_small(1);

    world_rule(w, (struct world_rule){.body = body,
                                      .kind = kind,
                                      .fate = fate,
                                      .text = text,
                                      .times = fate == WORLD_SILENT ? 0 : 1});
    world_deploy(w, 0, "web", 2);
    if (fate == WORLD_SILENT)
        world_pass(w, 30 * SECOND_MS);
    return w;
}

static void an_nf_that_refuses_fails_the_deployment(void **state)
{
    struct world *w = failed_deploy(CONTROL__MESSAGE__BODY_ACTIVATE, RILL_ROLE_UNIT, WORLD_REFUSES,
                                    "nat: public_addresses: 300.1.1.1 is no address");

    (void)state;
    world_expect_error(w, 0, "unit 1 of deployment web: nat: public_addresses: 300.1.1.1 is no");
    world_expect_nothing_of_web(w);
    assert_string_equal(world_status(w, 0)->failures[0],
                        "unit 1 of deployment web: nat: public_addresses: 300.1.1.1 is no address");
    world_deploy(w, 0, "web", 2); /* its name is free, the cluster goes on */
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_free(w);
}

static void an_nf_that_crashes_fails_the_deployment(void **state)
{
    struct world *w = failed_deploy(CONTROL__MESSAGE__BODY_ACTIVATE, RILL_ROLE_UNIT, WORLD_CRASHES,
                                    "assertion failed");

    (void)state;
    world_expect_error(
        w, 0, "unit 1 of deployment web: killed by SIGSEGV; its last line: assertion failed");
    world_expect_nothing_of_web(w);
    assert_int_equal(rill_director_counters(w->d)->deaths, 1);
    world_free(w);
}

static void whatever_fails_fails_the_deployment(void **state)
{
    static const struct {
        Control__Message__BodyCase body;
        enum rill_role_kind kind;
        enum world_fate fate;
        const char *says;
    } cases[] = {
        {CONTROL__MESSAGE__BODY_ACTIVATE, RILL_ROLE_UNIT, WORLD_SILENT,
         "not activated within 10 s"},
        {CONTROL__MESSAGE__BODY_ACTIVATE, RILL_ROLE_OUTPUT_LOGGER, WORLD_REFUSES, "output-logger"},
        {CONTROL__MESSAGE__BODY_ACTIVATE, RILL_ROLE_CONTROLLER, WORLD_CRASHES, "controller 1"},
        {CONTROL__MESSAGE__BODY_ACTIVATE, RILL_ROLE_UNIT, WORLD_NONSENSE, "makes no sense"},
        {CONTROL__MESSAGE__BODY_PEERS, RILL_ROLE_UNIT, WORLD_SILENT,
         "links were not up within 5 s"},
        {CONTROL__MESSAGE__BODY_PEERS, RILL_ROLE_CONTROLLER, WORLD_SILENT,
         "controller 1 of deployment web: its links were not up"},
        {CONTROL__MESSAGE__BODY_PEERS, RILL_ROLE_CONTROLLER, WORLD_REFUSES, "its links: no ports"},
        {CONTROL__MESSAGE__BODY_PEERS, RILL_ROLE_OUTPUT_LOGGER, WORLD_CRASHES, "SIGSEGV"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w =
            failed_deploy(cases[i].body, cases[i].kind, cases[i].fate, "no ports left");

        world_expect_error(w, 0, cases[i].says);
        world_expect_nothing_of_web(w);
        world_pass(w, 60 * SECOND_MS);
        assert_true(world_status(w, 0)->settled);
        world_free(w);
    }
}

static void units_that_differ_fail_the_deployment(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .role = world_find(w, RILL_ROLE_UNIT, 0, "warm", 1),
                                      .fate = WORLD_STRANGE});
    world_deploy(w, 0, "web", 2);
    world_expect_error(w, 0, "is not what the first unit said");
    world_expect_nothing_of_web(w);
    world_free(w);
}

static void a_container_that_does_not_start_fails_the_deployment(void **state)
{
    struct world *w = world_small(0);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_START,
                                      .kind = RILL_ROLE_OUTPUT_LOGGER,
                                      .fate = WORLD_REFUSES,
                                      .text = "no space left on device"});
    world_deploy(w, 0, "web", 1);
    world_expect_error(w, 0, "could not be started: no space left on device");
    world_expect_nothing_of_web(w);
    assert_int_equal(rill_director_counters(w->d)->containers_failed, 1);
    world_no_rules(w);
    world_deploy(w, 0, "web", 1); /* at once: whoever deploys waits for no pause */
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_free(w);
}

static void a_folder_that_can_not_be_made(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    w->no_folder = true;
    world_deploy(w, 0, "web", 1);
    world_expect_error(w, 0, "the disk is full");
    world_expect_nothing_of_web(w);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void a_failed_deployment_frees_its_name_at_once(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_REFUSES,
                                      .text = "not today",
                                      .times = 1});
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_STOP,
                                      .kind = RILL_ROLE_CONTROLLER,
                                      .fate = WORLD_SILENT,
                                      .times = 1}); /* so the first one is still there */
    world_deploy(w, 0, "web", 1);
    world_expect_error(w, 0, "not today");
    assert_string_equal(world_deployment(w, "web")->state, "stopping");
    world_deploy(w, 0, "web", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_pass(w, WORLD_START_S * SECOND_MS);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_int_equal(w->folders_removed, 1);
    world_free(w);
}

/* --- warm ones -------------------------------------------------------------------------------- */

static void a_warm_one_that_dies_is_replaced(void **state)
{
    struct world *w = world_small(2);
    uint32_t unit = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);

    (void)state;
    world_segfaults(w, unit);
    assert_false(world_status(w, 0)->settled);
    assert_int_equal(rill_director_next_ns(w->d), w->now_ns + 1000 * WORLD_MS);
    world_pass(w, SECOND_MS);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 0, "warm"), 2);
    assert_true(world_status(w, 0)->settled);
    assert_true(world_was_said(w, "unit 1 (kept warm): killed by SIGSEGV"));
    world_free(w);
}

static void what_never_starts_is_not_tried_all_the_time(void **state)
{
    struct world *w = world_new(1, false);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_START,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_REFUSES,
                                      .text = "no cgroup"});
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_int_equal(w->starts, 3); /* unit, output logger, controller */
    world_pass(w, SECOND_MS - 1);
    assert_int_equal(w->starts, 3);
    world_pass(w, 1);
    assert_int_equal(w->starts, 4);
    world_pass(w, 2 * SECOND_MS);
    assert_int_equal(w->starts, 5);
    world_pass(w, 4 * SECOND_MS);
    assert_int_equal(w->starts, 6);
    world_pass(w, 600 * SECOND_MS); /* 8, 16, then each 30 s */
    assert_in_range(w->starts, 25, 30);
    assert_true(strstr(world_status(w, 0)->failures[0], "no cgroup") != NULL);
    assert_int_equal(world_status(w, 0)->n_failures, w->starts - 2);
    world_no_rules(w);
    world_pass(w, 30 * SECOND_MS);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void what_starts_and_never_joins_is_stopped(void **state)
{
    struct world *w = world_new(1, false);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_JOIN,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT,
                                      .times = 1});
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    world_pass(w, WORLD_START_S * SECOND_MS);
    assert_int_equal(w->stops, 1);
    assert_int_equal(rill_director_counters(w->d)->timeouts, 1);
    assert_true(world_was_said(w, "unit 1 (kept warm): did not join within 10 s"));
    world_pass(w, SECOND_MS);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void a_role_that_is_stopped_is_not_late(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_STOP,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    world_deploy(w, 0, "web", 1);
    world_client_joins(w, 1, 0);
    world_pass(w, SECOND_MS);
    world_undeploy(w, 1, "web");
    world_pass(w, WORLD_START_S * SECOND_MS);
    assert_int_equal(rill_director_counters(w->d)->timeouts, 1); /* of Stop, not of Activate */
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_free(w);
}

static void stop_is_answered_in_any_order(void **state)
{
    struct world *w = world_with_web(1, 2);

    (void)state;
    w->agents[0].done_first = true;
    world_undeploy(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    world_expect_nothing_of_web(w);
    assert_int_equal(rill_director_counters(w->d)->messages_unexpected, 0);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_free(w);
}

static void stop_is_said_again(void **state)
{
    struct world *w = world_with_web(0, 1);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_STOP,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT,
                                      .times = 2});
    world_undeploy(w, 0, "web");
    assert_null(w->clients[0].last);
    assert_int_equal(w->stops, 3);
    assert_int_equal(w->folders_removed, 0);
    world_pass(w, 2 * WORLD_START_S * SECOND_MS);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    assert_int_equal(w->stops, 5);
    assert_int_equal(w->folders_removed, 1);
    world_free(w);
}

/* --- deaths in a deployment ------------------------------------------------------------------- */

static void a_unit_that_dies_is_replaced(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0), other = world_active(w, RILL_ROLE_UNIT, 1);
    uint32_t logger = world_role(w, unit)->activate->activate->output_logger;
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    const Control__LeaseGrant *grant;

    (void)state;
    world_asks_for_units(w, controller, 1, 2000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 2);
    world_segfaults(w, unit);
    assert_false(world_role(w, logger)->running); /* the pair goes */
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active"), 2);
    assert_int_not_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
    assert_false(world_has_peer(world_role(w, other), unit));
    assert_false(world_has_peer(world_role(w, controller), logger));
    assert_int_equal(world_role(w, controller)->peer_count, 4);
    world_asks_for_units(w, controller, 2, 2000);
    grant = world_role(w, controller)->grant->lease_grant;
    assert_int_equal(grant->n_leases, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_not_equal(grant->leases[i]->unit, unit);
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_true(world_was_said(w, "unit 1 of deployment web: killed by SIGSEGV"));
    world_free(w);
}

static void an_output_logger_that_dies_takes_its_unit_along(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t logger = world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_dies(w, logger, 1 << 8, false, "no memory");
    assert_false(world_role(w, unit)->running);
    assert_int_not_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
    assert_int_not_equal(world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0), logger);
    assert_true(world_was_said(w, "output-logger 1 of deployment web: ended by itself, exit status "
                                  "1; its last line: no memory"));
    world_free(w);
}

static void a_loop_that_stands_still(void **state)
{
    struct world *w = world_with_web(1, 1);

    (void)state;
    world_dies(w, world_active(w, RILL_ROLE_UNIT, 0), 9, true, "");
    assert_true(world_was_said(w,
                               "unit 1 of deployment web: did not return from process_packet and "
                               "was killed (its loop stood still)"));
    world_dies(w, world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0), -1, false, "");
    assert_true(world_was_said(w, "ended, how is not known"));
    world_free(w);
}

static void a_controller_that_dies_begins_everything_anew(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t before[5] = {world_active(w, RILL_ROLE_CONTROLLER, 0),
                          world_active(w, RILL_ROLE_UNIT, 0), world_active(w, RILL_ROLE_UNIT, 1),
                          world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0),
                          world_active(w, RILL_ROLE_OUTPUT_LOGGER, 1)};
    uint32_t controller;

    (void)state;
    world_segfaults(w, before[0]);
    for (uint32_t i = 0; i < 5; i++)
        assert_false(world_role(w, before[i])->running);
    controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    assert_int_equal(world_role(w, controller)->activate->activate->epoch, 2);
    assert_int_equal(world_role(w, controller)->peer_count, 4);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    world_asks_for_units(w, controller, 1, 5000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 2);
    world_free(w);
}

static void too_many_deaths_and_it_has_failed(void **state)
{
    struct world *w = world_with_web(2, 2);

    (void)state;
    for (uint32_t i = 0; i < WORLD_DEATHS_MAX; i++) {
        assert_string_equal(world_deployment(w, "web")->state, "running");
        world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
        world_pass(w, SECOND_MS);
    }
    assert_string_equal(world_deployment(w, "web")->state, "failed");
    assert_true(strstr(world_deployment(w, "web")->failure, "SIGSEGV") != NULL);
    assert_int_equal(world_deployment(w, "web")->deaths, WORLD_DEATHS_MAX);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, NULL), 0);
    assert_int_equal(world_count(w, RILL_ROLE_CONTROLLER, 1, NULL), 0);
    assert_int_equal(w->folders_removed, 0);
    world_attach(w, 0, "web");
    world_expect_error(w, 0, "not running but failed: unit");
    world_deploy(w, 0, "web", 1);
    world_expect_error(w, 0, "there already");
    world_undeploy(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    world_expect_nothing_of_web(w);
    world_free(w);
}

static void deaths_now_and_then_are_borne(void **state)
{
    struct world *w = world_with_web(2, 2);

    (void)state;
    for (uint32_t i = 0; i < 3 * WORLD_DEATHS_MAX; i++) {
        world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
        world_pass(w, (WORLD_WINDOW_S / (WORLD_DEATHS_MAX - 1) + 1) * SECOND_MS);
        assert_string_equal(world_deployment(w, "web")->state, "running");
    }
    assert_int_equal(world_deployment(w, "web")->deaths, 3 * WORLD_DEATHS_MAX);
    world_free(w);
}

static void a_successor_that_does_not_start_is_tried_again(void **state)
{
    struct world *w = world_with_web(0, 1);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_START,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_REFUSES,
                                      .text = "no cgroup",
                                      .times = 1});
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, NULL), 0);
    assert_false(world_status(w, 0)->settled);
    world_pass(w, SECOND_MS);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 1);
    assert_int_equal(world_deployment(w, "web")->deaths, 2);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void links_that_do_not_come_up_are_a_death(void **state)
{
    struct world *w = world_with_web(2, 2);
    uint32_t other = world_active(w, RILL_ROLE_UNIT, 1);

    (void)state;
    world_rule(w, (struct world_rule){
                      .body = CONTROL__MESSAGE__BODY_PEERS, .role = other, .fate = WORLD_SILENT});
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    world_pass(w, WORLD_LINKS_S * SECOND_MS);
    assert_false(world_role(w, other)->running);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_true(world_was_said(w, "unit 2 of deployment web: its links were not up within 5 s"));
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

/* The one that it could not link may be the one that died: with new peers its time begins anew. */
static void peers_that_were_superseded_are_not_waited_for(void **state)
{
    struct world *w = world_with_web(2, 2);
    uint32_t other = world_active(w, RILL_ROLE_UNIT, 1);

    (void)state;
    world_rule(w, (struct world_rule){
                      .body = CONTROL__MESSAGE__BODY_PEERS, .role = other, .fate = WORLD_SILENT});
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
    world_pass(w, (WORLD_LINKS_S - 1) * SECOND_MS);
    world_segfaults(w, world_role(w, other)->peers[2]); /* the new one */
    world_pass(w, (WORLD_LINKS_S - 1) * SECOND_MS);
    assert_true(world_role(w, other)->running);
    world_pass(w, SECOND_MS);
    assert_false(world_role(w, other)->running);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_nf_that_refuses_fails_the_deployment),
        cmocka_unit_test(an_nf_that_crashes_fails_the_deployment),
        cmocka_unit_test(whatever_fails_fails_the_deployment),
        cmocka_unit_test(units_that_differ_fail_the_deployment),
        cmocka_unit_test(a_container_that_does_not_start_fails_the_deployment),
        cmocka_unit_test(a_folder_that_can_not_be_made),
        cmocka_unit_test(a_failed_deployment_frees_its_name_at_once),
        cmocka_unit_test(a_warm_one_that_dies_is_replaced),
        cmocka_unit_test(what_never_starts_is_not_tried_all_the_time),
        cmocka_unit_test(what_starts_and_never_joins_is_stopped),
        cmocka_unit_test(a_role_that_is_stopped_is_not_late),
        cmocka_unit_test(stop_is_answered_in_any_order),
        cmocka_unit_test(stop_is_said_again),
        cmocka_unit_test(a_unit_that_dies_is_replaced),
        cmocka_unit_test(an_output_logger_that_dies_takes_its_unit_along),
        cmocka_unit_test(a_loop_that_stands_still),
        cmocka_unit_test(a_controller_that_dies_begins_everything_anew),
        cmocka_unit_test(too_many_deaths_and_it_has_failed),
        cmocka_unit_test(deaths_now_and_then_are_borne),
        cmocka_unit_test(a_successor_that_does_not_start_is_tried_again),
        cmocka_unit_test(links_that_do_not_come_up_are_a_death),
        cmocka_unit_test(peers_that_were_superseded_are_not_waited_for),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
