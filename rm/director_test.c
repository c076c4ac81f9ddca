#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"
#include "rm/folder_name.h"

/* One machine, one client, pools full. */
static struct world *small_world(uint32_t warm)
{
    struct world *w = world_new(warm, false);

    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    return w;
}

static void pools_fill(void **state)
{
    struct world *w = small_world(3);
    const Control__Status *status;

    (void)state;
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 0, "warm"), 3);
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 0, "warm"), 3);
    assert_int_equal(world_count(w, RILL_ROLE_CONTROLLER, 0, "warm"), 1);
    status = world_status(w, 0);
    assert_true(status->settled);
    assert_int_equal(status->n_machines, 1);
    assert_string_equal(status->machines[0]->name, "m0");
    assert_int_equal(status->machines[0]->cpus, 4);
    assert_true(status->machines[0]->connected);
    assert_int_equal(status->roles[0]->start_ns, 15 * WORLD_MS);
    assert_int_equal(status->roles[0]->ready_ns, 150 * WORLD_MS);
    assert_int_equal(rill_director_counters(w->d)->containers_started, 7);
    world_free(w);
}

static void nothing_is_kept_warm_if_nothing_is_wanted(void **state)
{
    struct world *w = small_world(0);

    (void)state;
    assert_int_equal(w->starts, 0);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void pools_spread_over_machines(void **state)
{
    struct world *w = small_world(2); /* 5 containers on machine 0 */
    uint32_t on_1 = 0;

    (void)state;
    world_agent_joins(w, 1);
    world_deploy(w, 0, "web", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    for (uint32_t i = 0; i < w->role_count; i++)
        on_1 += w->roles[i].agent == 1;
    assert_int_equal(on_1, 3); /* what was taken is warmed again where there is more room */
    assert_int_equal(world_find(w, RILL_ROLE_UNIT, 0, "warm", 1), w->roles[5].id);
    assert_int_equal(w->roles[5].agent, 1);
    world_free(w);
}

static void expect_running(struct world *w, const char *name, uint32_t units)
{
    const Control__Deployment *dep = world_deployment(w, name);

    assert_non_null(dep);
    assert_string_equal(dep->state, "running");
    assert_int_equal(dep->units, units);
    assert_true(dep->weaker_promise);
}

static void a_deployment_is_made_of_warm_roles(void **state)
{
    struct world *w = small_world(2);
    uint32_t unit = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    const Control__Activate *a;
    char folder[128];

    (void)state;
    world_deploy(w, 0, "web", 2);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(w->clients[0].last->deployed->vni, 1);
    expect_running(w, "web", 2);
    assert_int_equal(world_find(w, RILL_ROLE_UNIT, 1, "active", 0),
                     unit); /* the one that was warm */
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), 2);
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active"), 2);
    assert_int_equal(world_count(w, RILL_ROLE_CONTROLLER, 1, "active"), 1);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 0, "warm"), 2); /* filled again */
    snprintf(folder, sizeof(folder), "/run/links/%s", w->folder);
    a = world_role(w, unit)->activate->activate;
    assert_int_equal(a->vni, 1);
    assert_string_equal(a->deployment, "web");
    assert_string_equal(a->links_folder, folder);
    assert_int_equal(a->image.len, 4);
    assert_int_equal(a->controller, world_find(w, RILL_ROLE_CONTROLLER, 1, NULL, 0));
    assert_int_equal(rill_role_kind(a->output_logger), RILL_ROLE_OUTPUT_LOGGER);
    assert_int_equal(world_role(w, unit)->activations, 1);
    world_free(w);
}

static void all_links_and_only_those(void **state)
{
    struct world *w = small_world(1);
    const struct world_role *controller, *unit, *logger;

    (void)state;
    world_deploy(w, 0, "web", 3);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    controller = world_role(w, world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0));
    assert_int_equal(controller->peer_count, 6);
    for (uint32_t i = 0; i < 3; i++) {
        unit = world_role(w, world_find(w, RILL_ROLE_UNIT, 1, "active", i));
        logger = world_role(w, unit->activate->activate->output_logger);
        assert_int_equal(unit->peer_count, 4);
        assert_true(world_has_peer(unit, controller->id));
        assert_true(world_has_peer(unit, logger->id));
        assert_int_equal(logger->peer_count, 2);
        assert_true(world_has_peer(logger, controller->id));
        assert_true(world_has_peer(logger, unit->id));
        assert_int_equal(logger->egress, 0);
        assert_true(world_has_peer(controller, unit->id));
        assert_true(world_has_peer(controller, logger->id));
    }
    world_free(w);
}

static void the_others_get_what_the_first_unit_said(void **state)
{
    struct world *w = small_world(1);
    const Control__Activate *a;
    uint32_t controller;

    (void)state;
    world_deploy(w, 0, "web", 2);
    controller = world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0);
    a = world_role(w, controller)->activate->activate;
    assert_non_null(a->facts);
    assert_int_equal(a->facts->state_bytes, 64);
    assert_int_equal(a->epoch, 1);
    assert_int_equal(a->rm, w->config.id);
    assert_int_equal(a->units, 2);
    assert_int_equal(a->image.len, 0);
    a = world_role(w, world_find(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active", 1))->activate->activate;
    assert_int_equal(a->facts->state_bytes, 64);
    assert_int_equal(a->controller, controller);
    assert_int_equal(a->image.len, 0);
    world_free(w);
}

static void leases_are_granted(void **state)
{
    struct world *w = small_world(2);
    const Control__LeaseGrant *grant;
    uint32_t controller;

    (void)state;
    world_deploy(w, 0, "web", 2);
    controller = world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0);
    world_asks_for_units(w, controller, 1, 1500);
    assert_non_null(world_role(w, controller)->grant);
    grant = world_role(w, controller)->grant->lease_grant;
    assert_int_equal(grant->number, 1);
    assert_int_equal(grant->n_leases, 2);
    assert_int_equal(grant->leases[0]->share, 1000);
    assert_int_equal(grant->leases[1]->share, 500);
    assert_int_equal(grant->leases[0]->capacity_bps, 1000000000);
    assert_int_equal(grant->leases[0]->output_logger,
                     world_role(w, grant->leases[0]->unit)->activate->activate->output_logger);
    assert_int_equal(world_status(w, 0)->n_roles, 5 + 5);
    world_free(w);
}

static void folder_names_can_not_be_guessed(void **state)
{
    char a[RILL_FOLDER_NAME_BYTES], b[RILL_FOLDER_NAME_BYTES];

    (void)state;
    /* the vector of SipHash's authors: key 00 01 .. 0f, message 00 01 .. 07 */
    assert_true(rill_folder_hash(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, 0x0706050403020100u) ==
                0x93f5f5799a932462u);
    rill_folder_name(1, 0, a);
    rill_folder_name(1, 1, b);
    assert_string_not_equal(a, b);
    rill_folder_name(2, 0, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_fill),
        cmocka_unit_test(nothing_is_kept_warm_if_nothing_is_wanted),
        cmocka_unit_test(pools_spread_over_machines),
        cmocka_unit_test(a_deployment_is_made_of_warm_roles),
        cmocka_unit_test(all_links_and_only_those),
        cmocka_unit_test(the_others_get_what_the_first_unit_said),
        cmocka_unit_test(leases_are_granted),
        cmocka_unit_test(folder_names_can_not_be_guessed),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
