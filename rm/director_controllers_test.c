/* Deployments with several controllers: each has a slot, and what befalls one is nothing to the
 * others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/epoch.h"
#include "rm/director_world.h"

enum { SECOND_MS = 1000, UNITS = 4, CONTROLLERS = 3 };

static struct world *several(struct world *w)
{
    world_deploy_several(w, 0, "web", UNITS, CONTROLLERS);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    return w;
}

static struct world *several_kept(uint32_t warm)
{
    struct world *w = world_keeping(warm);

    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    return several(w);
}

static uint32_t of_slot(struct world *w, uint32_t slot)
{
    return world_deployment(w, "web")->controllers[slot];
}

static const Control__Activate *activation(struct world *w, uint32_t role)
{
    return world_role(w, role)->activate->activate;
}

static uint32_t epoch_of(struct world *w, uint32_t slot)
{
    return activation(w, of_slot(w, slot))->epoch;
}

/* What it was told of the controllers is what there is. */
static void expect_told(struct world *w, uint32_t role)
{
    const Control__Activate *a = activation(w, role);

    assert_int_equal(a->n_controllers, CONTROLLERS);
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++) {
        assert_int_equal(a->controllers[slot]->controller, of_slot(w, slot));
        assert_int_equal(rill_epoch_slot((uint16_t)a->controllers[slot]->epoch), slot);
    }
}

static void each_has_a_slot_of_its_own(void **state)
{
    struct world *w = several(world_small(2));

    (void)state;
    assert_int_equal(world_count(w, RILL_ROLE_CONTROLLER, 1, "active"), CONTROLLERS);
    assert_int_equal(world_deployment(w, "web")->n_controllers, CONTROLLERS);
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++) {
        const Control__Activate *a = activation(w, of_slot(w, slot));

        assert_int_equal(a->epoch, rill_epoch(slot, 1));
        assert_int_equal(a->n_controllers, CONTROLLERS);
        assert_false(a->takes_over);
    }
    for (uint32_t i = 0; i < UNITS; i++) {
        expect_told(w, world_active(w, RILL_ROLE_UNIT, i));
        expect_told(w, world_active(w, RILL_ROLE_OUTPUT_LOGGER, i));
    }
    world_free(w);
}

static void units_and_output_loggers_have_links_to_all(void **state)
{
    struct world *w = several(world_small(0));

    (void)state;
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++) {
        const struct world_role *controller = world_role(w, of_slot(w, slot));

        assert_int_equal(controller->peer_count, 2 * UNITS); /* none to another controller */
        for (uint32_t i = 0; i < UNITS; i++) {
            uint32_t unit = world_active(w, RILL_ROLE_UNIT, i);
            uint32_t logger = world_active(w, RILL_ROLE_OUTPUT_LOGGER, i);

            assert_true(world_has_peer(controller, unit));
            assert_true(world_has_peer(controller, logger));
            assert_true(world_has_peer(world_role(w, unit), controller->id));
            assert_true(world_has_peer(world_role(w, logger), controller->id));
        }
    }
    world_free(w);
}

static uint32_t granted(struct world *w, uint32_t controller)
{
    const Control__LeaseGrant *grant = world_role(w, controller)->grant->lease_grant;
    uint32_t sum = 0;

    for (size_t i = 0; i < grant->n_leases; i++)
        sum += grant->leases[i]->share;
    return sum;
}

static uint32_t leased(struct world *w, uint32_t role)
{
    const Control__Status *status = world_status(w, 0);

    for (size_t i = 0; i < status->n_roles; i++)
        if (status->roles[i]->role == role)
            return status->roles[i]->leased;
    return 0;
}

static void they_share_units(void **state)
{
    struct world *w = several(world_small(0));
    uint32_t units = 0;

    (void)state;
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++) {
        world_asks_for_units(w, of_slot(w, slot), 1, 250 * (slot + 1));
        assert_int_equal(granted(w, of_slot(w, slot)), 250 * (slot + 1));
        assert_int_equal(leased(w, of_slot(w, slot)), 250 * (slot + 1));
    }
    for (uint32_t i = 0; i < UNITS; i++)
        units += leased(w, world_active(w, RILL_ROLE_UNIT, i));
    assert_int_equal(units, 250 + 500 + 750);
    world_free(w);
}

static void another_one_takes_the_slot_of_the_dead(void **state)
{
    struct world *w = several(world_small(1));
    uint32_t before[CONTROLLERS];

    (void)state;
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++) {
        before[slot] = of_slot(w, slot);
        world_asks_for_units(w, before[slot], 1, 500);
    }
    world_segfaults(w, before[1]);
    assert_int_equal(of_slot(w, 0), before[0]);
    assert_int_equal(of_slot(w, 2), before[2]);
    assert_int_not_equal(of_slot(w, 1), before[1]);
    assert_int_equal(epoch_of(w, 1), rill_epoch(1, 2));
    assert_true(activation(w, of_slot(w, 1))->takes_over);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), UNITS);
    for (uint32_t i = 0; i < UNITS; i++) {
        const struct world_role *unit = world_role(w, world_active(w, RILL_ROLE_UNIT, i));

        assert_int_equal(unit->activations, 1);
        assert_true(world_has_peer(unit, of_slot(w, 1)));
        assert_true(world_has_peer(unit, before[0]));
        assert_false(world_has_peer(unit, before[1]));
    }
    world_asks_for_units(w, before[0], 2, 500); /* that it goes on says nothing of slot 1 */
    assert_false(world_was_said(w, "has taken over"));
    assert_false(world_status(w, 0)->settled);
    assert_int_equal(world_status(w, 0)->failure_list[0]->recovered_ns, 0);
    world_asks_for_units(w, of_slot(w, 1), 1, 500);
    assert_int_equal(granted(w, of_slot(w, 1)), 500);
    assert_true(world_was_said(w, "controller 4 has taken over"));
    assert_int_not_equal(world_status(w, 0)->failure_list[0]->recovered_ns, 0);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

static void two_deaths_are_over_one_by_one(void **state)
{
    struct world *w = several(world_small(1));
    const Control__Status *status;

    (void)state;
    world_segfaults(w, of_slot(w, 2));
    world_segfaults(w, of_slot(w, 0));
    world_asks_for_units(w, of_slot(w, 0), 1, 500);
    status = world_status(w, 0);
    assert_int_equal(status->n_failure_list, 2);
    assert_int_equal(status->failure_list[0]->recovered_ns, 0);
    assert_int_not_equal(status->failure_list[1]->recovered_ns, 0);
    assert_false(status->settled);
    world_asks_for_units(w, of_slot(w, 2), 1, 500);
    assert_int_not_equal(world_status(w, 0)->failure_list[0]->recovered_ns, 0);
    assert_true(world_status(w, 0)->settled);
    world_free(w);
}

/* The others need a unit in the place of a dead one, whatever keeps the next controller. */
static void units_come_while_a_controller_is_on_its_way(void **state)
{
    struct world *w = several(world_small(0));
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);

    (void)state;
    world_asks_for_units(w, of_slot(w, 0), 1, 250);
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_JOIN,
                                      .kind = RILL_ROLE_CONTROLLER,
                                      .fate = WORLD_SILENT});
    world_segfaults(w, of_slot(w, 1));
    world_segfaults(w, unit);
    assert_int_equal(world_count(w, RILL_ROLE_CONTROLLER, 1, "starting"), 1);
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, "active"), UNITS);
    world_asks_for_units(w, of_slot(w, 0), 2, 4000);
    assert_int_equal(granted(w, of_slot(w, 0)), 4000);
    world_free(w);
}

static void a_client_is_told_whose_slot_is_whose(void **state)
{
    struct world *w = several(world_small(0));
    const Control__Attached *attached;
    uint32_t first[CONTROLLERS];

    (void)state;
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++)
        first[slot] = of_slot(w, slot);
    world_attach(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    attached = w->clients[0].last->attached;
    assert_int_equal(attached->n_controllers, CONTROLLERS);
    assert_memory_equal(attached->controllers, first, sizeof(first));
    assert_int_equal(w->clients[0].controller_count, CONTROLLERS);
    assert_memory_equal(w->clients[0].controllers, first, sizeof(first));
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_START,
                                      .kind = RILL_ROLE_CONTROLLER,
                                      .fate = WORLD_REFUSES,
                                      .text = "no cgroup",
                                      .times = 1});
    world_segfaults(w, first[1]);
    assert_int_equal(w->clients[0].controllers[0], first[0]);
    assert_int_equal(w->clients[0].controllers[1], 0);
    assert_int_equal(w->clients[0].controllers[2], first[2]);
    world_pass(w, 2 * SECOND_MS);
    assert_int_equal(w->clients[0].controllers[1], of_slot(w, 1));
    assert_int_not_equal(of_slot(w, 1), 0);
    world_free(w);
}

static void the_next_director_has_all_of_them(void **state)
{
    struct world *w = several_kept(1);
    uint32_t first[CONTROLLERS], starts;

    (void)state;
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++)
        world_asks_for_units(w, of_slot(w, slot), 1, 500);
    world_segfaults(w, of_slot(w, 1));
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++)
        first[slot] = of_slot(w, slot);
    starts = w->starts;
    world_replace_director(w);
    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    assert_int_equal(w->starts, starts);
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++)
        assert_int_equal(of_slot(w, slot), first[slot]);
    assert_false(world_status(w, 0)->settled); /* slot 1 is to be taken over still */
    world_asks_for_units(w, first[1], 1, 500);
    assert_true(world_status(w, 0)->settled);
    world_segfaults(w, first[1]);
    world_segfaults(w, first[2]);
    assert_int_equal(epoch_of(w, 0), rill_epoch(0, 1));
    assert_int_equal(epoch_of(w, 1), rill_epoch(1, 3));
    assert_int_equal(epoch_of(w, 2), rill_epoch(2, 2));
    world_free(w);
}

static void who_asks_for_too_much_is_told(void **state)
{
    struct world *w = world_small(0);

    (void)state;
    world_deploy_several(w, 0, "web", 2, RILL_DIRECTOR_CONTROLLERS_MAX + 1);
    world_expect_error(w, 0, "controllers: 17 is not in [1, 16]");
    world_deploy_several(w, 0, "web", 2, 9); /* a quarter each, by default */
    world_expect_error(w, 0, "9 controllers with lease_step 250 need 2.250 units");
    world_deploy_several(w, 0, "web", 2, 8);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_free(w);
}

static void most_of_both_have_their_links(void **state)
{
    struct world *w = world_small(0);

    (void)state;
    world_deploy_several(w, 0, "web", RILL_DIRECTOR_UNITS_MAX, RILL_DIRECTOR_CONTROLLERS_MAX);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    world_attach(w, 0, "web");
    world_expect(w, 0, CONTROL__MESSAGE__BODY_ATTACHED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_slot_of_its_own),
        cmocka_unit_test(units_and_output_loggers_have_links_to_all),
        cmocka_unit_test(they_share_units),
        cmocka_unit_test(another_one_takes_the_slot_of_the_dead),
        cmocka_unit_test(two_deaths_are_over_one_by_one),
        cmocka_unit_test(units_come_while_a_controller_is_on_its_way),
        cmocka_unit_test(a_client_is_told_whose_slot_is_whose),
        cmocka_unit_test(the_next_director_has_all_of_them),
        cmocka_unit_test(who_asks_for_too_much_is_told),
        cmocka_unit_test(most_of_both_have_their_links),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
