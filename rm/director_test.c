/* The director's deployments: pools, how they come about, links, leases, where they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

static void pools_fill(void **state)
{
    struct world *w = world_small(3);
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
    struct world *w = world_small(0);

    (void)state;
    assert_int_equal(w->starts, 0);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void pools_spread_over_machines(void **state)
{
    struct world *w = world_small(2); /* 5 containers on machine 0 */
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
    struct world *w = world_small(2);
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
    assert_int_equal(a->controllers[0]->controller,
                     world_find(w, RILL_ROLE_CONTROLLER, 1, NULL, 0));
    assert_int_equal(rill_role_kind(a->output_logger), RILL_ROLE_OUTPUT_LOGGER);
    assert_int_equal(world_role(w, unit)->activations, 1);
    world_free(w);
}

static void one_that_is_warm_rather_than_one_that_starts(void **state)
{
    struct world *w = world_new(2, false);
    uint32_t warm;

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_JOIN,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT,
                                      .times = 1});
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    warm = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    world_deploy(w, 0, "web", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(world_find(w, RILL_ROLE_UNIT, 1, "active", 0), warm);
    world_free(w);
}

static void all_links_and_only_those(void **state)
{
    struct world *w = world_small(1);
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
    struct world *w = world_small(1);
    const Control__Activate *a;
    uint32_t controller;

    (void)state;
    world_deploy(w, 0, "web", 2);
    controller = world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0);
    a = world_role(w, controller)->activate->activate;
    assert_non_null(a->facts);
    assert_int_equal(a->facts->state_bytes, 136);
    assert_int_equal(a->epoch, 1);
    assert_int_equal(a->rm, w->config.id);
    assert_int_equal(a->units, 2);
    assert_int_equal(a->image.len, 0);
    a = world_role(w, world_find(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active", 1))->activate->activate;
    assert_int_equal(a->facts->state_bytes, 136);
    assert_int_equal(a->controllers[0]->controller, controller);
    assert_int_equal(a->image.len, 0);
    world_free(w);
}

static void leases_are_granted(void **state)
{
    struct world *w = world_small(2);
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

/* --- what is asked for is checked ------------------------------------------------------------- */

static Control__Deploy web(void)
{
    Control__Deploy deploy = CONTROL__DEPLOY__INIT;

    deploy.name = "web";
    deploy.nf = "nat";
    deploy.units = 1;
    deploy.image.data = (uint8_t *)"\177ELF";
    deploy.image.len = 4;
    return deploy;
}

static void ask_to_deploy(struct world *w, Control__Deploy *deploy)
{
    Control__Message m = CONTROL__MESSAGE__INIT;

    RILL_CONTROL_SET(&m, DEPLOY, deploy, deploy);
    world_client_asks(w, 0, &m);
}

static void refuses(struct world *w, Control__Deploy deploy, const char *says)
{
    uint32_t folders = w->folders_made;

    ask_to_deploy(w, &deploy);
    world_expect_error(w, 0, says);
    assert_int_equal(w->folders_made, folders);
}

static void bad_deployments_are_refused(void **state)
{
    struct world *w = world_small(0);
    static char *const names[] = {"", "Web", "we b", "web/x", "a-name-that-is-far-too-long-it-is"};
    Control__Deploy d = web();

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        d = web();
        d.name = names[i];
        refuses(w, d, "a-z, 0-9 and -");
    }
    d = web();
    d.units = 0;
    refuses(w, d, "units: 0 is not in [1, 14]");
    d.units = 15;
    refuses(w, d, "32 ports");
    d = web();
    d.image.len = 0;
    refuses(w, d, "image is empty");
    d = web();
    d.inside_interface = "eth0";
    refuses(w, d, "--outside-interface is missing");
    d.outside_interface = "eth0";
    refuses(w, d, "both eth0");
    d.outside_interface = "eth1,qpairs=9";
    refuses(w, d, "eth1,qpairs=9: not the name of one");
    assert_int_equal(w->starts, 0);
    assert_int_equal(rill_director_counters(w->d)->messages_unexpected, 0);
    world_free(w);
}

static void settings_are_checked_and_used(void **state)
{
    struct world *w = world_small(1);
    Control__Named named = CONTROL__NAMED__INIT, *list[] = {&named};
    Control__Deploy d = web();
    uint32_t controller;

    (void)state;
    d.settings = list;
    d.n_settings = 1;
    named.name = "unit_capacity_mpbs";
    named.text = "100";
    refuses(w, d, "unit_capacity_mbps");
    named.name = "epoch_ms";
    named.text = "2000";
    refuses(w, d, "lease_ms must be more than epoch_ms");
    named.name = "units_min";
    named.text = "2";
    refuses(w, d, "units_min is 2, but there are only 1 units");
    named.name = "unit_capacity_mbps";
    named.text = "100";
    ask_to_deploy(w, &d);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    controller = world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0);
    world_asks_for_units(w, controller, 1, 1000);
    assert_int_equal(world_role(w, controller)->grant->lease_grant->leases[0]->capacity_bps,
                     100000000);
    assert_int_equal(world_role(w, controller)->activate->activate->n_settings, 1);
    assert_string_equal(world_role(w, controller)->activate->activate->settings[0]->text, "100");
    world_free(w);
}

static void without_a_machine_nothing_is_deployed(void **state)
{
    struct world *w = world_new(1, false);

    (void)state;
    world_client_joins(w, 0, 0);
    world_deploy(w, 0, "web", 1);
    world_expect_error(w, 0, "no machine is connected: start rill-agent");
    assert_int_equal(world_status(w, 0)->n_deployments, 0);
    world_free(w);
}

static void a_name_is_taken_once(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    world_deploy(w, 0, "web", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_deploy(w, 0, "web", 1);
    world_expect_error(w, 0, "end that one with rill undeploy web --cluster test");
    world_deploy(w, 0, "web-2", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(w->clients[0].last->deployed->vni, 2);
    world_free(w);
}

static void there_is_a_limit_to_deployments(void **state)
{
    struct world *w = world_small(0);
    char name[16];

    (void)state;
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        world_deploy(w, 0, name, 1);
        world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    }
    world_deploy(w, 0, "more", 1);
    world_expect_error(w, 0, "64 deployments already");
    world_undeploy(w, 0, "d0");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    world_deploy(w, 0, "more", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_free(w);
}

static void a_live_deployment(void **state)
{
    struct world *w = world_small(2);
    Control__Deploy d = web();
    const struct world_role *role;

    (void)state;
    d.inside_interface = "eth0";
    d.outside_interface = "eth1.100";
    d.units = 2;
    ask_to_deploy(w, &d);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    for (uint32_t i = 0; i < 2; i++) {
        role = world_role(w, world_find(w, RILL_ROLE_OUTPUT_LOGGER, 1, "active", i));
        assert_true(role->host_network);
        assert_string_equal(role->activate->activate->outside_interface, "eth1.100");
        role = world_role(w, world_find(w, RILL_ROLE_UNIT, 1, "active", i));
        assert_false(role->host_network); /* an NF never */
        assert_string_equal(role->activate->activate->inside_interface, "");
    }
    role = world_role(w, world_find(w, RILL_ROLE_CONTROLLER, 1, "active", 0));
    assert_true(role->host_network);
    assert_string_equal(role->activate->activate->inside_interface, "eth0");
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 0, "warm"), 2); /* not touched */
    world_attach(w, 0, "web");
    world_expect_error(w, 0, "live");
    world_free(w);
}

/* Whichever end it is there; when the deployment has gone it is free. */
static void an_interface_is_one_deployments(void **state)
{
    struct world *w = world_small(2);
    Control__Deploy d = web(), other = web();

    (void)state;
    d.inside_interface = "eth0";
    d.outside_interface = "eth1";
    ask_to_deploy(w, &d);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    other.name = "other";
    other.inside_interface = "eth2";
    other.outside_interface = "eth0";
    refuses(w, other, "interface eth0 of machine m0 belongs to deployment web");
    other.inside_interface = "eth1";
    other.outside_interface = "eth2";
    refuses(w, other, "interface eth1 of machine m0 belongs to deployment web");
    world_deploy(w, 0, "no-interfaces", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_undeploy(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    ask_to_deploy(w, &other);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_free(w);
}

/* --- the end of a deployment ------------------------------------------------------------------ */

static void undeploying_leaves_nothing(void **state)
{
    struct world *w = world_small(2);

    (void)state;
    world_deploy(w, 0, "web", 2);
    world_undeploy(w, 0, "wep");
    world_expect_error(w, 0, "no deployment is called wep");
    world_undeploy(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
    assert_int_equal(w->stops, 5);
    assert_int_equal(w->folders_removed, 1);
    assert_int_equal(world_status(w, 0)->n_deployments, 0);
    assert_int_equal(world_status(w, 0)->n_roles, 5);
    assert_true(world_status(w, 0)->settled);
    assert_int_equal(rill_director_counters(w->d)->deaths, 0);
    world_deploy(w, 0, "web", 1);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_int_equal(w->clients[0].last->deployed->vni, 2); /* never used again */
    world_free(w);
}

static void undeploying_ends_a_deploy_that_waits(void **state)
{
    struct world *w = world_small(1);

    (void)state;
    world_client_joins(w, 1, 0);
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    world_deploy(w, 0, "web", 1);
    assert_null(w->clients[0].last);
    assert_string_equal(world_deployment(w, "web")->state, "starting");
    assert_false(world_status(w, 1)->settled);
    world_attach(w, 1, "web");
    world_expect_error(w, 1, "deployment web is not running but starting");
    world_undeploy(w, 1, "web");
    world_expect(w, 1, CONTROL__MESSAGE__BODY_DONE);
    world_expect_error(w, 0, "deployment web is being undeployed");
    assert_null(world_deployment(w, "web"));
    world_free(w);
}

/* --- several machines ------------------------------------------------------------------------- */

static uint32_t machine_of(struct world *w, enum rill_role_kind kind, uint32_t n)
{
    return world_role(w, world_find(w, kind, 1, "active", n))->agent;
}

static void a_deployment_is_kept_on_one_machine(void **state)
{
    struct world *w = world_small(2);
    uint32_t home;

    (void)state;
    world_agent_joins(w, 1);
    world_deploy(w, 0, "web", 3);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    home = machine_of(w, RILL_ROLE_CONTROLLER, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(machine_of(w, RILL_ROLE_UNIT, i), home);
        assert_int_equal(machine_of(w, RILL_ROLE_OUTPUT_LOGGER, i), home);
    }
    assert_true(world_deployment(w, "web")->weaker_promise);
    world_deploy(w, 0, "web-2", 1); /* the other one has nothing to do yet */
    assert_int_not_equal(world_role(w, world_find(w, RILL_ROLE_UNIT, 2, "active", 0))->agent, home);
    world_free(w);
}

static void with_a_fabric_that_crosses_machines(void **state)
{
    struct world *w = world_new(0, true);
    uint32_t roles_on[2] = {0, 0};

    (void)state;
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    world_deploy(w, 0, "alone", 1); /* there is only one machine yet */
    assert_true(world_deployment(w, "alone")->weaker_promise);
    world_undeploy(w, 0, "alone");
    world_agent_joins(w, 1);
    world_deploy(w, 0, "web", 4);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    assert_false(world_deployment(w, "web")->weaker_promise);
    for (uint32_t i = 0; i < 4; i++) {
        const struct world_role *unit =
            world_role(w, world_find(w, RILL_ROLE_UNIT, 2, "active", i));

        assert_int_not_equal(world_role(w, unit->activate->activate->output_logger)->agent,
                             unit->agent);
    }
    for (uint32_t i = 0; i < w->role_count; i++)
        roles_on[w->roles[i].agent] += w->roles[i].running;
    assert_int_equal(roles_on[0], 5);
    assert_int_equal(roles_on[1], 4);
    world_client_joins(w, 1, 2); /* from anywhere */
    world_attach(w, 1, "web");
    world_expect(w, 1, CONTROL__MESSAGE__BODY_ATTACHED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_fill),
        cmocka_unit_test(nothing_is_kept_warm_if_nothing_is_wanted),
        cmocka_unit_test(pools_spread_over_machines),
        cmocka_unit_test(a_deployment_is_made_of_warm_roles),
        cmocka_unit_test(one_that_is_warm_rather_than_one_that_starts),
        cmocka_unit_test(all_links_and_only_those),
        cmocka_unit_test(the_others_get_what_the_first_unit_said),
        cmocka_unit_test(leases_are_granted),
        cmocka_unit_test(bad_deployments_are_refused),
        cmocka_unit_test(settings_are_checked_and_used),
        cmocka_unit_test(without_a_machine_nothing_is_deployed),
        cmocka_unit_test(a_name_is_taken_once),
        cmocka_unit_test(there_is_a_limit_to_deployments),
        cmocka_unit_test(a_live_deployment),
        cmocka_unit_test(an_interface_is_one_deployments),
        cmocka_unit_test(undeploying_leaves_nothing),
        cmocka_unit_test(undeploying_ends_a_deploy_that_waits),
        cmocka_unit_test(a_deployment_is_kept_on_one_machine),
        cmocka_unit_test(with_a_fabric_that_crosses_machines),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
