/* Controllers' epochs over whichever registry: never the same one twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/registry/epochs.h"
#include "lib/registry/world.h"

enum { ANY = RILL_REGISTRY_ANY_VERSION };

struct taken {
    struct rill_epoch_request *request;
    unsigned times;
    int status;
    uint16_t epoch;
    char why[200];
};

static void on_taken(void *arg, int status, uint16_t epoch, const struct rill_error *err)
{
    struct taken *taken = arg;

    taken->times++;
    taken->status = status;
    taken->epoch = epoch;
    snprintf(taken->why, sizeof(taken->why), "%.199s", err->text);
}

static void take(struct rill_registry *registry, uint32_t slot, struct taken *taken)
{
    struct rill_error err = {""};

    *taken = (struct taken){.times = 0};
    if (rill_epoch_take(registry, world_path("controllers/epochs"), slot, on_taken, taken,
                        &taken->request, &err) != 0)
        fail_msg("%s", err.text);
}

static void each_slot_counts(void **state)
{
    struct rill_registry *a = world_connect();
    static const uint32_t slots[] = {0, 5, 63};
    struct taken taken;

    (void)state;
    for (uint32_t i = 1; i <= 3; i++)
        for (size_t s = 0; s < 3; s++) {
            take(a, slots[s], &taken);
            world_await(taken.times == 1);
            assert_int_equal(taken.status, 0);
            assert_int_equal(taken.epoch, slots[s] << 10 | i);
            assert_int_equal(rill_epoch_slot(taken.epoch), slots[s]);
            assert_int_equal(rill_epoch_incarnation(taken.epoch), i);
        }
}

static void at_once_each_gets_another(void **state)
{
    enum { SESSIONS = 4, EACH = 8 };
    struct rill_registry *sessions[SESSIONS];
    struct taken taken[SESSIONS * EACH];
    bool seen[SESSIONS * EACH + 1] = {false};

    (void)state;
    for (int i = 0; i < SESSIONS; i++)
        sessions[i] = world_connect();
    for (int i = 0; i < SESSIONS * EACH; i++)
        take(sessions[i % SESSIONS], 7, &taken[i]);
    for (int i = 0; i < SESSIONS * EACH; i++) {
        uint32_t incarnation;

        world_await(taken[i].times == 1);
        assert_int_equal(taken[i].status, 0);
        incarnation = rill_epoch_incarnation(taken[i].epoch);
        assert_in_range(incarnation, 1, SESSIONS * EACH);
        assert_false(seen[incarnation]);
        seen[incarnation] = true;
    }
}

static void a_slot_runs_out(void **state)
{
    struct rill_registry *a = world_connect();
    const char *slot = world_path("controllers/epochs/slot-03");
    struct taken taken;
    struct rill_error err = {""};

    (void)state;
    take(a, 3, &taken);
    world_await(taken.times == 1);
    assert_int_equal(world_set(a, slot, ANY, "1022"), 0);
    take(a, 3, &taken);
    world_await(taken.times == 1);
    assert_int_equal(taken.epoch, 3 << 10 | 1023);
    for (int i = 0; i < 2; i++) {
        take(a, 3, &taken);
        world_await(taken.times == 1);
        assert_int_equal(taken.status, -EOVERFLOW);
        assert_non_null(strstr(taken.why, "slot 3"));
    }
    assert_int_equal(world_set(a, slot, ANY, "1 023"), 0);
    take(a, 3, &taken);
    world_await(taken.times == 1);
    assert_int_equal(taken.status, -EINVAL);
    assert_non_null(strstr(taken.why, "slot-03"));
    assert_int_equal(rill_epoch_take(a, world_path(""), 64, on_taken, &taken, &taken.request, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "64"));
}

/* The server goes at one point after another: a number may be lost, none is given twice. */
static void an_answer_lost_costs_a_number(void **state)
{
    struct rill_registry *a = world_connect();
    uint32_t last = 0, rounds = world->virtual_time ? 12 : 2;
    struct taken taken;

    (void)state;
    for (uint32_t steps = 0; steps < rounds; steps++) {
        take(a, 1, &taken);
        for (uint32_t i = 0; i < steps && taken.times == 0; i++)
            world_step();
        world->stop();
        world_await(rill_registry_state(a) == RILL_REGISTRY_SUSPENDED);
        world->start();
        world_await(taken.times == 1);
        assert_int_equal(taken.status, 0);
        assert_true(rill_epoch_incarnation(taken.epoch) > last);
        last = rill_epoch_incarnation(taken.epoch);
        world_await(rill_registry_state(a) == RILL_REGISTRY_CONNECTED);
    }
    assert_true(last <= 2 * rounds);
}

static void it_waits_for_a_connection_and_ends_with_the_session(void **state)
{
    struct rill_registry *a = world_connect_only();
    struct taken taken, cancelled;

    (void)state;
    take(a, 2, &taken);
    world_await(taken.times == 1);
    assert_int_equal(taken.epoch, 2 << 10 | 1);
    world->cut(a, true);
    take(a, 2, &taken);
    take(a, 2, &cancelled);
    rill_epoch_cancel(cancelled.request);
    world_pass(world->timeout_ns * 3 / 2);
    assert_int_equal(taken.times, 0);
    world->cut(a, false);
    world_await(taken.times == 1);
    assert_int_equal(taken.status, -ESHUTDOWN);
    assert_int_equal(cancelled.times, 0);
}

int world_epochs_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_slot_counts),
        TEST(at_once_each_gets_another),
        TEST(a_slot_runs_out),
        TEST(an_answer_lost_costs_a_number),
        TEST(it_waits_for_a_connection_and_ends_with_the_session),
    };

    return cmocka_run_group_tests_name("epochs", tests, NULL, NULL);
}
