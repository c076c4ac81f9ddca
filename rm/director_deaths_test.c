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
    assert_int_equal(w->stops_at_once, 1); /* it was given up */
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

static void controller_recovers(struct world *w, uint32_t controller, uint32_t unit)
{
    Control__Message m = rill_control_message(controller, w->config.id, 0);
    Control__Recovered recovered = CONTROL__RECOVERED__INIT;

    recovered.unit = unit;
    RILL_CONTROL_SET(&m, RECOVERED, recovered, &recovered);
    world_program_says(w, controller, &m);
}

/* Until the controller says that the dead unit's flows are elsewhere, their state is there alone.
 */
static void a_dead_units_output_logger_stays_for_a_while(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0), other = world_active(w, RILL_ROLE_UNIT, 1);
    uint32_t logger = world_role(w, unit)->activate->activate->output_logger;
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    w->no_recovery = true;
    world_asks_for_units(w, controller, 1, 2000);
    world_segfaults(w, unit);
    assert_true(world_role(w, logger)->running);
    assert_true(world_has_peer(world_role(w, other), logger));
    assert_true(world_has_peer(world_role(w, world_active(w, RILL_ROLE_UNIT, 1)), logger));
    assert_true(world_has_peer(world_role(w, controller), logger));
    controller_recovers(w, controller, unit);
    assert_false(world_role(w, logger)->running);
    assert_false(world_has_peer(world_role(w, other), logger));
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active"), 2);
    world_free(w);
}

/* Both of a pair: what only they had is lost, and nobody waits for it. */
static void a_dead_units_output_logger_dies_too(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0), other = world_active(w, RILL_ROLE_UNIT, 1);
    uint32_t logger = world_role(w, unit)->activate->activate->output_logger;
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    w->no_recovery = true;
    world_asks_for_units(w, controller, 1, 2000);
    world_segfaults(w, unit);
    world_segfaults(w, logger);
    assert_false(world_has_peer(world_role(w, other), logger));
    controller_recovers(w, controller, unit);
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active"), 2);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    world_free(w);
}

static void an_output_logger_that_dies_is_replaced(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t logger = world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0), next;
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    world_asks_for_units(w, controller, 1, 1000);
    world_dies(w, logger, 1 << 8, false, "no memory");
    next = world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0);
    assert_int_not_equal(next, logger);
    assert_int_equal(world_active(w, RILL_ROLE_UNIT, 0), unit); /* it goes on */
    assert_true(world_has_peer(world_role(w, unit), next));
    assert_false(world_has_peer(world_role(w, unit), logger));
    world_asks_for_units(w, controller, 2, 1000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 1);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->leases[0]->output_logger, next);
    assert_true(world_was_said(w, "output-logger 1 of deployment web: ended by itself, exit status "
                                  "1; its last line: no memory"));
    world_free(w);
}

/* The unit dies before it has filled the new one, which has not all: it must not be asked. */
static void a_unit_dies_before_its_new_output_logger_is_filled(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0), next;
    uint32_t logger = world_role(w, unit)->activate->activate->output_logger;
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    w->no_recovery = w->no_filling = true;
    world_asks_for_units(w, controller, 1, 2000);
    world_segfaults(w, logger);
    world_asks_for_units(w, controller, 2, 2000);
    next = world_role(w, controller)->grant->lease_grant->leases[0]->output_logger;
    assert_int_not_equal(next, logger);
    assert_true(world_role(w, next)->running);
    world_segfaults(w, unit);
    assert_int_equal(w->lost_with_logger, 1);
    assert_false(world_role(w, next)->running);
    controller_recovers(w, controller, unit);
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active"), 2);
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

/* What the newest controller is told of who lives, and who died. */
static const Control__Members *members_of(struct world *w, uint32_t controller, uint64_t number)
{
    Control__Message m = rill_control_message(controller, w->config.id, 0);
    Control__MembersRequest request = CONTROL__MEMBERS_REQUEST__INIT;

    request.number = number;
    request.epoch = world_role(w, controller)->activate->activate->epoch;
    RILL_CONTROL_SET(&m, MEMBERS_REQUEST, members_request, &request);
    world_program_says(w, controller, &m);
    assert_non_null(world_role(w, controller)->members);
    assert_int_equal(world_role(w, controller)->members->members->number, number);
    return world_role(w, controller)->members->members;
}

static void another_controller_takes_over(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t first = world_active(w, RILL_ROLE_CONTROLLER, 0);
    uint32_t others[4] = {world_active(w, RILL_ROLE_UNIT, 0), world_active(w, RILL_ROLE_UNIT, 1),
                          world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0),
                          world_active(w, RILL_ROLE_OUTPUT_LOGGER, 1)};
    const Control__Members *members;
    uint32_t controller;

    (void)state;
    assert_int_equal(world_role(w, first)->activate->activate->epoch, 1);
    assert_false(world_role(w, first)->activate->activate->takes_over);
    world_asks_for_units(w, first, 1, 2000);
    world_segfaults(w, first);
    controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    assert_int_equal(world_role(w, controller)->activate->activate->epoch, 2);
    assert_true(world_role(w, controller)->activate->activate->takes_over);
    assert_int_equal(world_role(w, controller)->peer_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(world_role(w, others[i])->running);
        assert_true(world_has_peer(world_role(w, others[i]), controller));
        assert_false(world_has_peer(world_role(w, others[i]), first));
    }
    members = members_of(w, controller, 7);
    assert_int_equal(members->n_members, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(members->members[i]->unit, others[i]);
        assert_int_equal(members->members[i]->output_logger, others[2 + i]);
        assert_false(members->members[i]->dead);
    }
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    assert_false(world_status(w, 0)->settled);
    world_asks_for_units(w, controller, 1, 5000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 2);
    assert_true(world_was_said(w, "deployment web: controller 2 has taken over"));
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

/* The dead unit's output logger stays for the controller that comes. */
static void a_unit_dies_before_its_flows_are_taken_over(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t first = world_active(w, RILL_ROLE_CONTROLLER, 0), unit, logger, controller;
    const Control__Members *members;

    (void)state;
    w->no_recovery = true;
    world_asks_for_units(w, first, 1, 2000);
    world_segfaults(w, first);
    unit = world_active(w, RILL_ROLE_UNIT, 0);
    logger = world_role(w, unit)->activate->activate->output_logger;
    world_segfaults(w, unit);
    controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    assert_true(world_has_peer(world_role(w, controller), logger));
    assert_true(world_has_peer(world_role(w, logger), controller));
    members = members_of(w, controller, 1);
    assert_int_equal(members->n_members, 3); /* one has come in its place */
    assert_int_equal(members->members[2]->unit, unit);
    assert_int_equal(members->members[2]->output_logger, logger);
    assert_true(members->members[2]->dead);
    controller_recovers(w, controller, unit);
    assert_false(world_role(w, logger)->running);
    world_free(w);
}

/* A unit that was not in use yet knows the controller that is gone: another comes. */
static void who_was_not_in_use_is_not_kept(void **state)
{
    struct world *w = world_with_web(2, 2);
    uint32_t first = world_active(w, RILL_ROLE_CONTROLLER, 0), controller, kept, fresh;

    (void)state;
    kept = world_active(w, RILL_ROLE_UNIT, 1);
    fresh = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    w->frozen = fresh; /* has no links yet */
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
    assert_non_null(world_role(w, fresh)->activate);
    world_segfaults(w, first);
    assert_false(world_role(w, fresh)->running);
    assert_true(world_role(w, kept)->running);
    w->frozen = 0;
    world_pass(w, 2 * WORLD_LINKS_S * SECOND_MS);
    controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t unit = world_active(w, RILL_ROLE_UNIT, i);

        if (unit != kept)
            assert_int_equal(world_role(w, unit)->activate->activate->controllers[0]->controller,
                             controller);
    }
    world_asks_for_units(w, controller, 1, 2000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 2);
    world_free(w);
}

/* The next one is killed as well: whoever comes then takes over, and both deaths are over. */
static void a_controller_dies_while_it_takes_over(void **state)
{
    struct world *w = world_with_web(2, 1);
    uint32_t first = world_active(w, RILL_ROLE_CONTROLLER, 0), second, third;

    (void)state;
    world_segfaults(w, first);
    second = world_active(w, RILL_ROLE_CONTROLLER, 0);
    world_segfaults(w, second);
    third = world_active(w, RILL_ROLE_CONTROLLER, 0);
    assert_int_equal(world_role(w, third)->activate->activate->epoch, 3);
    assert_int_equal(world_status(w, 0)->n_failure_list, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(world_status(w, 0)->failure_list[i]->recovered_ns, 0);
    world_asks_for_units(w, third, 1, 1000);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_not_equal(world_status(w, 0)->failure_list[i]->recovered_ns, 0);
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

/* All that should have a link to it are late with it; it alone is to blame. */
static void the_newcomer_is_to_blame(void **state)
{
    struct world *w = world_with_web(2, 3);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    w->frozen = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
    assert_int_not_equal(world_role(w, w->frozen)->peer_count, 0);
    world_pass(w, WORLD_LINKS_S * SECOND_MS);
    assert_false(world_role(w, w->frozen)->running);
    assert_true(world_role(w, controller)->running);
    assert_int_equal(world_deployment(w, "web")->deaths, 2);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 3);
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

/* --- failures that are asked for, and what status says of them ----------------------------------
 */

static void asks_to_fail(struct world *w, uint32_t role, bool hang)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Fail fail = CONTROL__FAIL__INIT;

    fail.role = role;
    fail.hang = hang;
    RILL_CONTROL_SET(&m, FAIL, fail, &fail);
    world_client_asks(w, 0, &m);
}

static const Control__Failure *newest_failure(struct world *w)
{
    const Control__Status *status = world_status(w, 0);

    assert_true(status->n_failure_list > 0);
    return status->failure_list[status->n_failure_list - 1];
}

static void a_unit_that_is_made_to_fail(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    const Control__Failure *failure;
    uint64_t told_ns;

    (void)state;
    w->no_recovery = true;
    world_asks_for_units(w, controller, 1, 2000);
    world_pass(w, SECOND_MS);
    told_ns = w->now_ns;
    asks_to_fail(w, unit, false);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    assert_false(world_role(w, unit)->running);
    world_pass(w, 5);
    failure = newest_failure(w);
    assert_int_equal(failure->role, unit);
    assert_false(failure->hang);
    assert_int_equal(failure->told_ns, told_ns);
    assert_int_equal(failure->detected_ns, told_ns);
    assert_int_equal(failure->recovered_ns, 0);
    controller_recovers(w, controller, unit);
    failure = newest_failure(w);
    assert_int_equal(failure->recovered_ns, told_ns + 5 * WORLD_MS);
    assert_int_equal(world_status(w, 0)->n_failure_list, 1); /* its output logger did not fail */
    world_free(w);
}

static void a_unit_that_is_made_to_hang(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint64_t told_ns = w->now_ns;

    (void)state;
    asks_to_fail(w, unit, true);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    assert_true(world_role(w, unit)->running);
    world_pass(w, SECOND_MS);
    assert_int_equal(newest_failure(w)->detected_ns, 0);
    asks_to_fail(w, unit, true); /* nothing new */
    world_dies(w, unit, 9, true, "");
    assert_true(newest_failure(w)->hang);
    assert_int_equal(newest_failure(w)->told_ns, told_ns);
    assert_int_equal(newest_failure(w)->detected_ns, told_ns + SECOND_MS * WORLD_MS);
    assert_int_not_equal(newest_failure(w)->recovered_ns, 0);
    assert_int_equal(world_status(w, 0)->n_failure_list, 1);
    world_free(w);
}

static void an_output_logger_that_is_made_to_fail(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t logger = world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0);

    (void)state;
    w->no_recovery = true;
    asks_to_fail(w, logger, false);
    assert_int_equal(newest_failure(w)->role, logger);
    assert_int_not_equal(newest_failure(w)->detected_ns, 0);
    assert_int_equal(newest_failure(w)->recovered_ns, 0); /* not filled */
    w->no_recovery = false;
    world_pass(w, SECOND_MS); /* the unit is asked again */
    assert_int_not_equal(newest_failure(w)->recovered_ns, 0);
    world_free(w);
}

static void a_controller_that_is_made_to_fail(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    asks_to_fail(w, controller, false);
    assert_int_equal(newest_failure(w)->role, controller);
    assert_int_not_equal(newest_failure(w)->detected_ns, 0);
    assert_int_equal(newest_failure(w)->recovered_ns, 0);
    world_asks_for_units(w, world_active(w, RILL_ROLE_CONTROLLER, 0), 1, 1000);
    assert_int_not_equal(newest_failure(w)->recovered_ns, 0);
    world_free(w);
}

/* Not by a client's word: told is 0. What was kept warm is in no list. */
static void a_death_by_itself_is_listed(void **state)
{
    struct world *w = world_with_web(2, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_segfaults(w, world_find(w, RILL_ROLE_UNIT, 0, "warm", 0));
    assert_int_equal(world_status(w, 0)->n_failure_list, 0);
    world_segfaults(w, unit);
    assert_int_equal(newest_failure(w)->role, unit);
    assert_int_equal(newest_failure(w)->told_ns, 0);
    assert_int_not_equal(newest_failure(w)->detected_ns, 0);
    world_free(w);
}

static void who_can_not_fail(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    asks_to_fail(w, rill_role_id(RILL_ROLE_UNIT, 99), false);
    world_expect_error(w, 0, "unit 99 is not there; `rill status --cluster test` lists the roles");
    asks_to_fail(w, 0, false);
    world_expect_error(w, 0, "is not there");
    world_agent_down(w, 0);
    asks_to_fail(w, unit, false);
    world_expect_error(w, 0, "the machine of unit 1 is not connected");
    assert_int_equal(world_status(w, 0)->n_failure_list, 0);
    assert_true(world_role(w, unit)->running);
    world_free(w);
}

/* The newest are kept. */
static void old_failures_are_forgotten(void **state)
{
    struct world *w = world_with_web(2, 1);
    uint32_t last = 0;

    (void)state;
    for (uint32_t i = 0; i < RILL_DIRECTOR_FAILURES_MAX + 3; i++) {
        last = world_active(w, RILL_ROLE_UNIT, 0);
        world_segfaults(w, last);
        world_pass(w, (WORLD_WINDOW_S / (WORLD_DEATHS_MAX - 1) + 1) * SECOND_MS);
    }
    assert_int_equal(world_status(w, 0)->n_failure_list, RILL_DIRECTOR_FAILURES_MAX);
    assert_int_equal(newest_failure(w)->role, last);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_one_that_dies_is_replaced),
        cmocka_unit_test(what_never_starts_is_not_tried_all_the_time),
        cmocka_unit_test(what_starts_and_never_joins_is_stopped),
        cmocka_unit_test(a_role_that_is_stopped_is_not_late),
        cmocka_unit_test(stop_is_answered_in_any_order),
        cmocka_unit_test(stop_is_said_again),
        cmocka_unit_test(a_unit_that_dies_is_replaced),
        cmocka_unit_test(a_dead_units_output_logger_stays_for_a_while),
        cmocka_unit_test(a_dead_units_output_logger_dies_too),
        cmocka_unit_test(an_output_logger_that_dies_is_replaced),
        cmocka_unit_test(a_unit_dies_before_its_new_output_logger_is_filled),
        cmocka_unit_test(a_loop_that_stands_still),
        cmocka_unit_test(another_controller_takes_over),
        cmocka_unit_test(a_unit_dies_before_its_flows_are_taken_over),
        cmocka_unit_test(who_was_not_in_use_is_not_kept),
        cmocka_unit_test(a_controller_dies_while_it_takes_over),
        cmocka_unit_test(too_many_deaths_and_it_has_failed),
        cmocka_unit_test(deaths_now_and_then_are_borne),
        cmocka_unit_test(a_successor_that_does_not_start_is_tried_again),
        cmocka_unit_test(links_that_do_not_come_up_are_a_death),
        cmocka_unit_test(the_newcomer_is_to_blame),
        cmocka_unit_test(peers_that_were_superseded_are_not_waited_for),
        cmocka_unit_test(a_unit_that_is_made_to_fail),
        cmocka_unit_test(a_unit_that_is_made_to_hang),
        cmocka_unit_test(an_output_logger_that_is_made_to_fail),
        cmocka_unit_test(a_controller_that_is_made_to_fail),
        cmocka_unit_test(a_death_by_itself_is_listed),
        cmocka_unit_test(who_can_not_fail),
        cmocka_unit_test(old_failures_are_forgotten),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
