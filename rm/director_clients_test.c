/* Clients of the director: attached to a deployment, asking roles through it, ending it all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

static void expect_client(struct world *w, uint32_t client)
{
    const struct world_role *controller =
        world_role(w, world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0));

    assert_int_equal(world_has_peer(controller, client), client != 0);
    assert_int_equal(controller->peer_count, client != 0 ? 5 : 4);
    for (uint32_t i = 0; i < 2; i++) {
        const struct world_role *logger =
            world_role(w, world_find(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active", i));

        assert_int_equal(logger->egress, client);
        assert_int_equal(logger->peer_count, client != 0 ? 3 : 2);
        assert_int_equal(world_role(w, world_find(w, RILL_ROLE_UNIT, 1, "active", i))->peer_count,
                         3);
    }
    assert_int_equal(world_deployment(w, "web")->client, client);
}

static void a_client_attaches_and_goes(void **state)
{
    struct world *w = world_small(2);
    const Control__Attached *a;
    char folder[128];

    (void)state;
    world_deploy(w, 0, "web", 2);
    world_attach(w, 0, "");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    a = w->clients[0].last->attached;
    assert_string_equal(a->deployment, "web");
    assert_int_equal(a->n_units, 2);
    assert_int_equal(a->n_output_loggers, 2);
    assert_int_equal(a->controllers[0], world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0));
    assert_int_equal(a->facts->state_bytes, 136);
    snprintf(folder, sizeof(folder), "/base/links/%s", w->folder);
    assert_string_equal(w->clients[0].folder, folder);
    assert_int_equal(w->clients[0].peer_count, 3);
    expect_client(w, w->clients[0].id);
    world_attach(w, 0, "web"); /* once more is fine */
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    world_client_down(w, 0);
    expect_client(w, 0);
    world_free(w);
}

static void one_client_at_a_time(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_deploy(w, 0, "web", 2);
    world_attach(w, 0, "web");
    world_client_joins(w, 1, 0);
    world_attach(w, 1, "web");
    world_expect_error(w, 1,
                       "another replay runs through deployment web, from machine m0 (client 1)");
    expect_client(w, w->clients[0].id);
    world_client_down(w, 0);
    world_attach(w, 1, "web");
    world_expect(w, 1, CONTROL__MESSAGE__BODY_ATTACHED);
    expect_client(w, w->clients[1].id);
    world_free(w);
}

static void what_is_on_its_way_out_is_no_choice(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_STOP,
                                      .kind = RILL_ROLE_CONTROLLER,
                                      .fate = WORLD_SILENT,
                                      .times = 1}); /* so the first one is still there */
    world_deploy(w, 0, "web", 1);
    world_deploy(w, 0, "web-2", 1);
    world_undeploy(w, 0, "web");
    assert_string_equal(world_deployment(w, "web")->state, "stopping");
    world_attach(w, 0, "");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    assert_int_equal(world_deployment(w, "web-2")->client, w->clients[0].id);
    world_free(w);
}

static void a_client_attaches_elsewhere(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_deploy(w, 0, "web", 2);
    world_deploy(w, 0, "web-2", 1);
    world_attach(w, 0, "");
    world_expect_error(w, 0, "there are 2 deployments: say which by --deployment");
    world_attach(w, 0, "web-3");
    world_expect_error(w, 0, "no deployment is called web-3");
    world_attach(w, 0, "web");
    world_attach(w, 0, "web-2");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    assert_int_equal(w->clients[0].last->attached->vni, 2);
    assert_int_equal(w->clients[0].peer_count, 2);
    expect_client(w, 0);
    assert_int_equal(world_deployment(w, "web-2")->client, w->clients[0].id);
    world_undeploy(w, 0, "web-2"); /* its client hears that nobody is left */
    assert_int_equal(w->clients[0].peer_count, 0);
    world_attach(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    expect_client(w, w->clients[0].id);
    world_free(w);
}

static void packets_do_not_cross_machines(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    world_deploy(w, 0, "web", 1);
    world_client_joins(w, 1, 1);
    world_attach(w, 1, "web");
    world_expect_error(w, 1, "deployment web is on machine m0");
    world_free(w);
}

static void a_client_that_makes_no_links(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_deploy(w, 0, "web", 2);
    w->clients[0].mute = true;
    world_attach(w, 0, "web");
    assert_null(w->clients[0].last);
    world_pass(w, WORLD_LINKS_S * 1000);
    world_expect_error(w, 0, "links were not up within 5 s");
    expect_client(w, 0);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_free(w);
}

/* Nor do the roles get their links to it, but it is not them who are to blame. */
static void a_client_that_is_frozen(void **state)
{
    struct world *w = world_with_web(2, 2);

    (void)state;
    w->frozen = w->clients[0].id;
    world_attach(w, 0, "web");
    world_pass(w, 1000);
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0)); /* some are told new peers */
    world_pass(w, 3 * WORLD_LINKS_S * 1000);
    world_expect_error(w, 0, "links were not up within 5 s");
    expect_client(w, 0);
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void a_client_stays_while_a_pair_is_replaced(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_deploy(w, 0, "web", 2);
    world_attach(w, 0, "web");
    world_segfaults(w, world_find(w, RILL_ROLE_UNIT, 1, "active", 1));
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    expect_client(w, w->clients[0].id);
    assert_int_equal(w->clients[0].peer_count, 3);
    world_free(w);
}

/* --- passing on ------------------------------------------------------------------------------- */

static void ask_for_metrics(struct world *w, uint32_t role)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;

    m.to = role;
    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
    world_client_asks(w, 0, &m);
}

static void metrics_are_passed_on(void **state)
{
    struct world *w = world_small(1);
    uint32_t unit = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);

    (void)state;
    ask_for_metrics(w, unit);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_METRICS);
    assert_int_equal(w->clients[0].last->from, unit);
    assert_int_equal(w->clients[0].last->metrics->packets_held, unit);
    assert_int_equal(rill_director_counters(w->d)->messages_passed_on, 2);
    ask_for_metrics(w, rill_role_id(RILL_ROLE_UNIT, 99));
    world_expect_error(w, 0, "unit 99 is not there");
    world_agent_down(w, 0);
    ask_for_metrics(w, unit);
    world_expect_error(w, 0, "unit 1 is not there");
    assert_int_equal(rill_director_counters(w->d)->messages_no_route, 2);
    world_free(w);
}

/* --- objects ---------------------------------------------------------------------------------- */

static void say_objects(struct world *w, uint32_t role, uint32_t n, const char *version)
{
    Control__Message m = rill_control_message(role, w->config.id, 0);
    Control__Objects body = CONTROL__OBJECTS__INIT;
    Control__Object object = CONTROL__OBJECT__INIT, *list[9];

    for (uint32_t i = 0; i < n; i++)
        list[i] = &object;
    object.name = "rules.txt";
    object.version = (char *)(uintptr_t)version;
    object.error = "rules.txt:1: no";
    body.objects = list;
    body.n_objects = n;
    RILL_CONTROL_SET(&m, OBJECTS, objects, &body);
    world_program_says(w, role, &m);
}

/* NULL: nothing. */
static const char *version_of(struct world *w, uint32_t role)
{
    const Control__Status *status = world_status(w, 0);

    for (size_t i = 0; i < status->n_roles; i++)
        if (status->roles[i]->role == role && status->roles[i]->objects != NULL)
            return status->roles[i]->objects->objects[0]->version;
    return NULL;
}

static void units_say_which_objects_they_have(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0), other = world_active(w, RILL_ROLE_UNIT, 1);

    (void)state;
    assert_null(version_of(w, unit));
    say_objects(w, unit, 1, "a1");
    assert_string_equal(version_of(w, unit), "a1");
    assert_null(version_of(w, other));
    say_objects(w, unit, 8, "b2"); /* as many as an NF can have */
    assert_string_equal(version_of(w, unit), "b2");
    assert_int_equal(rill_director_counters(w->d)->messages_unexpected, 0);
    world_segfaults(w, unit);
    assert_null(version_of(w, unit));
    world_free(w);
}

static void others_do_not(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    say_objects(w, world_active(w, RILL_ROLE_CONTROLLER, 0), 1, "a1");
    say_objects(w, world_find(w, RILL_ROLE_UNIT, 0, "warm", 0), 1, "a1");
    say_objects(w, unit, 9, "a1");
    assert_null(version_of(w, unit));
    assert_int_equal(rill_director_counters(w->d)->messages_unexpected, 3);
    world_free(w);
}

/* The next resource manager hears it again. */
static void the_next_director_knows_nothing_of_them(void **state)
{
    struct world *w = world_keeping(1);
    uint32_t unit;

    (void)state;
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    world_deploy(w, 0, "web", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    unit = world_active(w, RILL_ROLE_UNIT, 0);
    say_objects(w, unit, 1, "a1");
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_null(version_of(w, unit));
    say_objects(w, unit, 1, "a1");
    assert_string_equal(version_of(w, unit), "a1");
    world_free(w);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void shutdown_stops_all(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_agent_joins(w, 1);
    world_client_joins(w, 1, 0);
    world_deploy(w, 0, "web", 1);
    w->agents[1].mute = true;
    world_shutdown(w, 0);
    assert_true(w->agents[0].stopped);
    assert_null(w->clients[0].last);
    assert_false(rill_director_over(w->d));
    world_deploy(w, 1, "more", 1);
    world_expect_error(w, 1, "cluster is going down");
    world_agent_joins(w, 2);
    assert_string_equal(w->agents[2].error, "cluster is going down");
    world_agent_down(w, 0); /* it has ended */
    assert_null(w->clients[0].last);
    world_agent_down(w, 1); /* gone is as good as done */
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    assert_true(rill_director_over(w->d));
    assert_int_equal(w->folders_removed, 1);
    world_free(w);
}

static void shutdown_ends_what_waits(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    world_client_joins(w, 1, 0);
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    world_deploy(w, 0, "web", 1);
    world_shutdown(w, 1);
    world_expect_error(w, 0, "cluster is going down");
    world_expect(w, 1, CONTROL__MESSAGE__BODY_DONE);
    assert_true(rill_director_next_ns(w->d) == UINT64_MAX);
    world_free(w);
}

static void shutdown_by_a_client_that_is_gone(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    w->agents[0].mute = true;
    world_shutdown(w, 0);
    world_client_down(w, 0);
    world_agent_down(w, 0);
    assert_true(rill_director_over(w->d));
    world_free(w);
}

static void shutdown_of_an_empty_cluster(void **state)
{
    struct world *w = world_new(1, false);

    (void)state;
    world_client_joins(w, 0, 0);
    world_shutdown(w, 0);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    assert_true(rill_director_over(w->d));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_attaches_and_goes),
        cmocka_unit_test(one_client_at_a_time),
        cmocka_unit_test(what_is_on_its_way_out_is_no_choice),
        cmocka_unit_test(a_client_attaches_elsewhere),
        cmocka_unit_test(packets_do_not_cross_machines),
        cmocka_unit_test(a_client_that_makes_no_links),
        cmocka_unit_test(a_client_that_is_frozen),
        cmocka_unit_test(a_client_stays_while_a_pair_is_replaced),
        cmocka_unit_test(metrics_are_passed_on),
        cmocka_unit_test(units_say_which_objects_they_have),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(the_next_director_knows_nothing_of_them),
        cmocka_unit_test(shutdown_stops_all),
        cmocka_unit_test(shutdown_ends_what_waits),
        cmocka_unit_test(shutdown_by_a_client_that_is_gone),
        cmocka_unit_test(shutdown_of_an_empty_cluster),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
