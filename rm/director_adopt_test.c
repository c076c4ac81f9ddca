/* A director takes the place of another one: it goes on with what that one had written down, and
 * roles are told only what was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_common.h>

#include "rm/director_world.h"

enum { SECOND_MS = 1000 };

static struct world *web(uint32_t warm, uint32_t units)
{
    struct world *w = world_keeping(warm);

    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    world_deploy(w, 0, "web", units);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    return w;
}

static uint32_t highest(const struct world *w, enum rill_role_kind kind)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < w->role_count; i++)
        if (rill_role_kind(w->roles[i].id) == kind)
            most = RTE_MAX(most, rill_role_number(w->roles[i].id));
    return most;
}

static void nothing_is_stopped_and_nothing_started(void **state)
{
    struct world *w = web(1, 2);
    uint32_t starts = w->starts, unit = world_active(w, RILL_ROLE_UNIT, 1);
    uint32_t agent = w->agents[0].id, told = world_role(w, unit)->peers_told;

    (void)state;
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_int_equal(w->agents[0].id, agent);
    assert_int_equal(w->starts, starts);
    assert_int_equal(w->stops, 0);
    assert_int_equal(world_active(w, RILL_ROLE_UNIT, 1), unit);
    assert_int_equal(world_role(w, unit)->activations, 1);
    assert_int_equal(world_role(w, unit)->peers_told, told);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_true(world_status(w, 0)->settled);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_pass(w, 600 * SECOND_MS);
    assert_int_equal(w->stops, 0);
    world_free(w);
}

static void what_it_starts_has_numbers_of_its_own(void **state)
{
    struct world *w = web(1, 1);
    uint32_t units, controllers;

    (void)state;
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 0));
    units = highest(w, RILL_ROLE_UNIT);
    controllers = highest(w, RILL_ROLE_CONTROLLER);
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    world_deploy(w, 0, "more", 3);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(world_deployment(w, "more")->vni, 2);
    assert_true(highest(w, RILL_ROLE_UNIT) > units);
    assert_true(highest(w, RILL_ROLE_CONTROLLER) > controllers);
    world_free(w); /* the world looks that no id is started twice */
}

static void epochs_go_on(void **state)
{
    struct world *w = web(1, 1);
    uint32_t before;

    (void)state;
    world_segfaults(w, world_active(w, RILL_ROLE_CONTROLLER, 0));
    before = world_role(w, world_active(w, RILL_ROLE_CONTROLLER, 0))->activate->activate->epoch;
    assert_int_equal(before, 2);
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    world_segfaults(w, world_active(w, RILL_ROLE_CONTROLLER, 0));
    assert_int_equal(
        world_role(w, world_active(w, RILL_ROLE_CONTROLLER, 0))->activate->activate->epoch,
        before + 1);
    world_free(w);
}

static void who_died_meanwhile_is_replaced(void **state)
{
    struct world *w = web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_kill_director(w);
    world_role(w, unit)->running = false;
    world_start_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_int_not_equal(world_active(w, RILL_ROLE_UNIT, 0), unit);
    assert_int_equal(world_deployment(w, "web")->deaths, 1);
    world_free(w);
}

static void nobody_is_told_before_it_is_kept(void **state)
{
    struct world *w = world_keeping(0);

    (void)state;
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    w->store_away = true;
    world_deploy(w, 0, "web", 1);
    assert_int_equal(w->starts, 0);
    assert_int_equal(world_status(w, 0)->n_deployments, 1); /* what changes nothing is answered */
    world_store_back(w);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 1);
    world_free(w);
}

static void leases_are_renewed_while_the_store_is_away(void **state)
{
    struct world *w = web(0, 2);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);

    (void)state;
    world_asks_for_units(w, controller, 1, 1000);
    world_asks_for_units(w, controller, 2, 1000);
    world_asks_for_units(w, controller, 3, 1000);
    w->store_away = true;
    world_asks_for_units(w, controller, 4, 1000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->number, 4);
    world_asks_for_units(w, controller, 5, 2000); /* more: not before it is written down */
    world_pass(w, SECOND_MS / 2);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->number, 4);
    world_store_back(w);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->number, 5);
    world_asks_for_units(w, controller, 6, 2000);
    world_pass(w, SECOND_MS / 5);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->number, 6);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 2);
    world_free(w);
}

static void leases_go_on(void **state)
{
    struct world *w = web(0, 2);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    uint32_t unit;

    (void)state;
    world_asks_for_units(w, controller, 1, 1000);
    world_pass(w, SECOND_MS / 5);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 1);
    unit = world_role(w, controller)->grant->lease_grant->leases[0]->unit;
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_asks_for_units(w, controller, 2, 1000);
    world_pass(w, SECOND_MS / 5);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->number, 2);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 1);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->leases[0]->unit, unit);
    world_free(w);
}

static void a_client_is_let_in_again(void **state)
{
    struct world *w = web(0, 1);
    uint32_t id, told;

    (void)state;
    world_attach(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    id = w->clients[0].id;
    told = world_role(w, world_active(w, RILL_ROLE_CONTROLLER, 0))->peers_told;
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_returns(w, 0);
    assert_int_equal(w->clients[0].id, id);
    world_pass(w, 60 * SECOND_MS);
    assert_int_equal(world_deployment(w, "web")->client, id);
    assert_int_equal(world_role(w, world_active(w, RILL_ROLE_CONTROLLER, 0))->peers_told, told);
    world_free(w);
}

static void a_client_that_stays_away_is_detached(void **state)
{
    struct world *w = web(0, 1);

    (void)state;
    world_attach(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_pass(w, (WORLD_LINKS_S + 1) * SECOND_MS);
    world_client_joins(w, 0, 0);
    assert_int_equal(world_deployment(w, "web")->client, 0);
    world_free(w);
}

/* The order was written down, and lost with the one who gave it. */
static void an_order_that_was_lost_is_given_again(void **state)
{
    struct world *w = world_keeping(0);

    (void)state;
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    w->agents[0].mute = true; /* it hears nothing of it */
    world_deploy(w, 0, "web", 1);
    w->agents[0].mute = false;
    assert_int_equal(w->role_count, 0);
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    world_free(w);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct world *w = web(0, 1);
    const struct rill_director_record nonsense = {"state", "\1\2\3", 3}, other = {"state", "\1", 1};
    struct rill_error err;
    struct rill_director *d;

    (void)state;
    d = rill_director_create(&w->config, w->now_ns, &err);
    assert_int_equal(rill_director_adopt(d, &nonsense, 1, &err), -22);
    rill_director_destroy(d);
    d = rill_director_create(&w->config, w->now_ns, &err);
    assert_int_equal(rill_director_adopt(d, &other, 1, &err), -22);
    assert_non_null(strstr(err.text, "same version"));
    rill_director_destroy(d);
    for (size_t n = 0; n < w->kept[0].bytes; n++) { /* cut off */
        const struct rill_director_record cut[] = {
            {"state", w->kept[0].data, n}, {w->kept[1].name, w->kept[1].data, w->kept[1].bytes}};

        d = rill_director_create(&w->config, w->now_ns, &err);
        assert_int_not_equal(rill_director_adopt(d, cut, 2, &err), 0);
        rill_director_destroy(d);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_stopped_and_nothing_started),
        cmocka_unit_test(what_it_starts_has_numbers_of_its_own),
        cmocka_unit_test(epochs_go_on),
        cmocka_unit_test(who_died_meanwhile_is_replaced),
        cmocka_unit_test(nobody_is_told_before_it_is_kept),
        cmocka_unit_test(leases_are_renewed_while_the_store_is_away),
        cmocka_unit_test(leases_go_on),
        cmocka_unit_test(a_client_is_let_in_again),
        cmocka_unit_test(a_client_that_stays_away_is_detached),
        cmocka_unit_test(an_order_that_was_lost_is_given_again),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
