/* Deployments that fail before they ran: one line says why, and nothing is left. */
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
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
