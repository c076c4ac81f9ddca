/* Agents that come, go and come back, and what was under way meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

enum { SECOND_MS = 1000 };

static void an_agent_that_comes_back_finds_all_as_it_was(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t starts = w->starts, stops = w->stops, agent = w->agents[0].id;

    (void)state;
    world_agent_down(w, 0);
    assert_false(world_status(w, 0)->machines[0]->connected);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    world_deploy(w, 0, "more", 1);
    world_expect_error(w, 0, "no machine is connected");
    world_pass(w, 600 * SECOND_MS); /* nobody is called late meanwhile */
    world_agent_joins(w, 0);
    assert_int_equal(w->agents[0].id, agent);
    assert_int_equal(w->starts, starts);
    assert_int_equal(w->stops, stops);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_true(world_status(w, 0)->machines[0]->connected);
    assert_true(world_status(w, 0)->settled);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_free(w);
}

static void what_died_meanwhile_is_noticed(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_agent_down(w, 0);
    world_segfaults(w, unit);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2); /* nobody has said it yet */
    world_agent_joins(w, 0);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_int_not_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
    assert_true(world_was_said(w, "was not there any more when its machine came back"));
    world_free(w);
}

/* The machine was switched off and on: one death of the deployment, not five. */
static void a_machine_that_lost_all_counts_once(void **state)
{
    struct world *w = world_with_web(1, 2);

    (void)state;
    world_agent_down(w, 0);
    for (uint32_t i = 0; i < w->role_count; i++)
        w->roles[i].running = false;
    world_agent_joins(w, 0);
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    world_pass(w, SECOND_MS);
    world_asks_for_units(w, world_active(w, RILL_ROLE_CONTROLLER, 0), 1, 1000);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void what_was_asked_for_meanwhile_is_asked_again(void **state)
{
    struct world *w = world_with_web(0, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_agent_down(w, 0);
    world_undeploy(w, 0, "web");
    assert_null(w->clients[0].last);
    assert_true(world_role(w, unit)->running);
    world_agent_joins(w, 0);
    assert_false(world_role(w, unit)->running);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    world_expect_nothing_of_web(w);
    world_free(w);
}

static void peers_are_told_again(void **state)
{
    struct world *w = world_small(1);
    uint32_t unit = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_PEERS,
                                      .role = unit,
                                      .fate = WORLD_SILENT,
                                      .times = 1}); /* lost with the connection */
    world_deploy(w, 0, "web", 1);
    assert_null(w->clients[0].last);
    world_agent_down(w, 0);
    world_agent_joins(w, 0);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(world_role(w, unit)->peers_told, 2);
    world_free(w);
}

static void activate_is_told_again(void **state)
{
    struct world *w = world_small(1);
    uint32_t unit = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .role = unit,
                                      .fate = WORLD_SILENT,
                                      .times = 1}); /* its answer is lost with the connection */
    world_deploy(w, 0, "web", 1);
    assert_null(w->clients[0].last);
    world_agent_down(w, 0);
    world_agent_joins(w, 0);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(world_role(w, unit)->activations, 2);
    world_free(w);
}

/* An answer may be lost with the connection; the time for it begins anew with the next. */
static void time_stands_still_without_the_agent(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    world_deploy(w, 0, "web", 1);
    world_pass(w, (WORLD_START_S - 1) * SECOND_MS);
    world_agent_down(w, 0);
    world_pass(w, 600 * SECOND_MS);
    assert_string_equal(world_deployment(w, "web")->state, "starting");
    world_agent_joins(w, 0);
    world_pass(w, WORLD_START_S * SECOND_MS - 1);
    assert_null(w->clients[0].last);
    world_pass(w, 1);
    world_expect_error(w, 0, "not activated within 10 s");
    world_free(w);
}

/* Of a former life of the RM, at a machine that comes late: another one has got its id by now. */
static void a_stranger_with_an_id_of_ours(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    struct world_role *stranger = &w->roles[w->role_count++];

    (void)state;
    *stranger = (struct world_role){.id = unit, .agent = 1, .running = true};
    world_agent_joins(w, 1);
    assert_false(stranger->running);
    assert_int_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
    assert_true(world_role(w, unit)->running);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_free(w);
}

static void unknown_containers_are_stopped(void **state)
{
    struct world *w = world_new(1, false);
    uint32_t stranger = rill_role_id(RILL_ROLE_UNIT, 41);

    (void)state;
    w->roles[w->role_count++] = (struct world_role){.id = stranger, .running = true};
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_false(world_role(w, stranger)->running);
    assert_int_equal(w->stops, 1);
    assert_int_equal(world_find(w, RILL_ROLE_UNIT, 0, "warm", 0),
                     stranger + 1); /* an id that was in use is not given again */
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_free(w);
}

static void one_agent_a_machine(void **state)
{
    struct world *w = world_small(1);
    struct world_agent *second = &w->agents[1];
    Control__Message m = rill_control_message(0, 0, 1);
    Control__Join join = CONTROL__JOIN__INIT;

    (void)state;
    second->peer = ++w->next_peer;
    join.kind = RILL_ROLE_AGENT;
    join.machine = "m0";
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    world_say(w, second->peer, &m);
    assert_string_equal(second->error, "machine m0 has an agent already");
    join.machine = "";
    world_say(w, second->peer, &m);
    assert_non_null(strstr(second->error, "name"));
    assert_int_equal(world_status(w, 0)->n_machines, 1);
    world_free(w);
}

/* The news that the connection of before is gone comes later. */
static void an_agent_may_come_over_another_connection(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t before = w->agents[0].peer, agent = w->agents[0].id, starts = w->starts;

    (void)state;
    world_agent_joins(w, 0);
    assert_int_equal(w->agents[0].id, agent);
    world_peer_down(w, before);
    assert_true(world_status(w, 0)->machines[0]->connected);
    assert_int_equal(w->starts, starts);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_undeploy(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    world_free(w);
}

/* A resource manager that is gone had given an id away, and so had another before it. */
static void nobodys_containers_of_one_id_are_stopped_at_each_machine(void **state)
{
    struct world *w = world_new(0, true);
    uint32_t id = rill_role_id(RILL_ROLE_UNIT, 77);

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        w->roles[w->role_count++] = (struct world_role){.id = id, .agent = i, .running = true};
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_STOP,
                                      .role = id,
                                      .fate = WORLD_SILENT,
                                      .times = 1}); /* it takes its time */
    world_agent_joins(w, 0);
    assert_true(w->roles[0].running);
    world_agent_joins(w, 1);
    assert_false(w->roles[1].running);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_may_come_over_another_connection),
        cmocka_unit_test(nobodys_containers_of_one_id_are_stopped_at_each_machine),
        cmocka_unit_test(an_agent_that_comes_back_finds_all_as_it_was),
        cmocka_unit_test(what_died_meanwhile_is_noticed),
        cmocka_unit_test(a_machine_that_lost_all_counts_once),
        cmocka_unit_test(what_was_asked_for_meanwhile_is_asked_again),
        cmocka_unit_test(peers_are_told_again),
        cmocka_unit_test(activate_is_told_again),
        cmocka_unit_test(time_stands_still_without_the_agent),
        cmocka_unit_test(a_stranger_with_an_id_of_ours),
        cmocka_unit_test(unknown_containers_are_stopped),
        cmocka_unit_test(one_agent_a_machine),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
