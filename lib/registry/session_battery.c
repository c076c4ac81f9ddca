/* What every registry does with sessions: registry.h's promises about their ends, and about what
 * may be done meanwhile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/registry/world.h"

enum { STATES_MAX = 20 };

/* What a session's listener heard. */
struct heard {
    enum rill_registry_state states[STATES_MAX];
    unsigned count;
};

static void hear(void *arg, enum rill_registry_state state)
{
    struct heard *heard = arg;

    assert_true(heard->count < STATES_MAX);
    heard->states[heard->count++] = state;
}

static bool may_act(const struct rill_registry *registry)
{
    return rill_registry_may_act(registry, world->now_ns());
}

/* --- while all is well ------------------------------------------------------------------------ */

static void a_new_session_may_act(void **state)
{
    struct rill_registry *a = world_connect_only();
    struct heard heard = {.count = 0};

    (void)state;
    assert_int_equal(rill_registry_state(a), RILL_REGISTRY_SUSPENDED);
    assert_int_equal(rill_registry_session(a), 0);
    assert_int_equal(rill_registry_valid_until_ns(a), 0);
    assert_false(may_act(a));
    assert_int_equal(rill_registry_listen(a, hear, &heard), 0);
    world_await(heard.count == 1);
    assert_int_equal(heard.states[0], RILL_REGISTRY_CONNECTED);
    assert_int_equal(rill_registry_state(a), RILL_REGISTRY_CONNECTED);
    world_await(may_act(a));
}

static void heartbeats_make_it_last(void **state)
{
    struct rill_registry *a = world_connect();
    uint64_t last_ns, until_ns = world->now_ns() + world->timeout_ns * 5 / 4;

    (void)state;
    assert_int_equal(world_create(a, world_path("e"), RILL_REGISTRY_EPHEMERAL, ""), 0);
    last_ns = rill_registry_valid_until_ns(a);
    while (world->now_ns() < until_ns) {
        world_step();
        assert_true(rill_registry_valid_until_ns(a) >= last_ns);
        last_ns = rill_registry_valid_until_ns(a);
        /* It never promises more than a time-out from now. */
        assert_true(last_ns < world->now_ns() + world->timeout_ns);
    }
    world_await(may_act(a));
    assert_int_equal(world_get(a, world_path("e"), NULL), 0);
}

static void a_forgotten_listener_hears_nothing(void **state)
{
    struct rill_registry *a = world_connect_only();
    struct heard heard = {.count = 0}, other = {.count = 0};

    (void)state;
    assert_int_equal(rill_registry_listen(a, hear, &heard), 0);
    rill_registry_forget(a, &heard);
    assert_int_equal(rill_registry_listen(a, hear, &other), 0);
    world_await(other.count == 1);
    assert_int_equal(heard.count, 0);
}

/* --- a partition ------------------------------------------------------------------------------ */

/* A session that is cut off stops by its own clock before its ephemeral node can vanish; it hears
 * of its end when it gets through again. */
static void cut_off_it_stops_before_it_can_expire(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("e");
    const struct rill_registry_op get = {.type = RILL_REGISTRY_GET, .path = path};
    struct world_told node = {0}, lost = {0};
    struct heard heard = {.count = 0};

    (void)state;
    assert_int_equal(world_create(a, path, RILL_REGISTRY_EPHEMERAL, ""), 0);
    assert_int_equal(
        rill_registry_watch(b, path, RILL_REGISTRY_WATCH_NODE, world_tell, &node, NULL), 0);
    world_pass(world->timeout_ns / 2); /* well under way */
    world_await(node.times == 1 && may_act(a));
    assert_int_equal(rill_registry_listen(a, hear, &heard), 0);
    world->cut(a, true);
    assert_int_equal(rill_registry_ask(a, &get, 1, world_tell, &lost, NULL), 0);
    assert_true(may_act(a)); /* one lost packet is no reason to stop */
    while (node.status == 0) {
        world_step();
        if (may_act(a) && node.status != 0)
            fail_msg("the node is gone, and its owner thinks it may act");
    }
    assert_false(may_act(a));
    world_await(heard.count == 1);
    assert_int_equal(heard.states[0], RILL_REGISTRY_SUSPENDED); /* it can't know more */
    world_await(lost.times == 1);
    assert_int_equal(lost.status, -ECONNRESET);
    assert_int_equal(rill_registry_ask(a, &get, 1, world_tell, &lost, NULL), -ENOTCONN);
    world->cut(a, false);
    world_await(heard.count == 2);
    assert_int_equal(heard.states[1], RILL_REGISTRY_EXPIRED);
    assert_int_equal(rill_registry_valid_until_ns(a), 0);
    assert_int_equal(rill_registry_ask(a, &get, 1, world_tell, &lost, NULL), -ESHUTDOWN);
    assert_int_equal(
        rill_registry_watch(a, path, RILL_REGISTRY_WATCH_NODE, world_tell, &lost, NULL),
        -ESHUTDOWN);
    assert_int_equal(lost.times, 1);
}

/* Cut off for a short time, it goes on as the same session, and misses nothing. */
static void a_short_cut_is_outlived(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    uint64_t session = rill_registry_session(a);
    struct world_told node = {0}, folder = {0};

    (void)state;
    assert_int_equal(world_create(a, world_path("e"), RILL_REGISTRY_EPHEMERAL, ""), 0);
    assert_int_equal(world_create(a, world_path("n"), 0, "before"), 0);
    assert_int_equal(
        rill_registry_watch(a, world_path("n"), RILL_REGISTRY_WATCH_NODE, world_tell, &node, NULL),
        0);
    assert_int_equal(rill_registry_watch(a, world_path(""), RILL_REGISTRY_WATCH_CHILDREN,
                                         world_tell, &folder, NULL),
                     0);
    world_await(node.times == 1 && folder.times == 1);
    world->cut(a, true);
    assert_int_equal(world_set(b, world_path("n"), RILL_REGISTRY_ANY_VERSION, "after"), 0);
    assert_int_equal(world_create(b, world_path("new"), 0, ""), 0);
    world_pass(world->timeout_ns / 5);
    assert_string_equal(node.text, "before");
    world->cut(a, false);
    world_await(strcmp(node.text, "after") == 0 && folder.children_count == 3);
    world_await(rill_registry_state(a) == RILL_REGISTRY_CONNECTED && may_act(a));
    assert_true(rill_registry_session(a) == session);
    assert_int_equal(world_get(b, world_path("e"), NULL), 0);
}

/* --- the server goes -------------------------------------------------------------------------- */

static void a_server_comes_back(void **state)
{
    struct rill_registry *a = world_connect();
    const struct rill_registry_op get = {.type = RILL_REGISTRY_GET, .path = world_path("n")};
    struct world_told node = {0}, early = {0}, lost = {0};
    struct heard heard = {.count = 0};

    (void)state;
    assert_int_equal(world_create(a, world_path("n"), 0, "one"), 0);
    assert_int_equal(world_create(a, world_path("e"), RILL_REGISTRY_EPHEMERAL, "mine"), 0);
    assert_int_equal(rill_registry_listen(a, hear, &heard), 0);
    assert_int_equal(
        rill_registry_watch(a, world_path("n"), RILL_REGISTRY_WATCH_NODE, world_tell, &node, NULL),
        0);
    world_await(node.times == 1);
    world->stop();
    assert_int_equal(rill_registry_ask(a, &get, 1, world_tell, &lost, NULL), 0);
    world_await(heard.count == 1 && lost.times == 1);
    assert_int_equal(heard.states[0], RILL_REGISTRY_SUSPENDED);
    assert_int_equal(lost.status, -ECONNRESET);
    assert_int_equal(
        rill_registry_watch(a, world_path("n"), RILL_REGISTRY_WATCH_NODE, world_tell, &early, NULL),
        0);
    world->start();
    world_await(heard.count == 2);
    assert_int_equal(heard.states[1],
                     RILL_REGISTRY_CONNECTED); /* the same session, and its nodes */
    world_await(early.times == 1);
    assert_string_equal(early.text, "one");
    assert_int_equal(world_get(a, world_path("e"), NULL), 0);
    assert_int_equal(world_set(a, world_path("n"), 0, "two"), 0);
    world_await(strcmp(node.text, "two") == 0 && strcmp(early.text, "two") == 0);
    assert_int_equal(node.times, 2); /* what did not change was not told again */
    world_await(may_act(a));
}

static void a_session_can_wait_for_its_server(void **state)
{
    struct rill_registry *a;

    (void)state;
    world->stop();
    a = world_connect_only();
    world_pass(world->timeout_ns / 4);
    assert_int_equal(rill_registry_state(a), RILL_REGISTRY_SUSPENDED);
    world->start();
    world_await(rill_registry_state(a) == RILL_REGISTRY_CONNECTED);
    world_await(may_act(a));
    assert_int_equal(world_create(a, world_path("n"), 0, ""), 0);
}

/* Under way when the connection broke: it was done or not, and the answer does not pretend. */
static void an_end_under_way_is_unknown(void **state)
{
    enum { REQUESTS = 20 };
    struct rill_registry *a = world_connect();
    struct world_told told[REQUESTS] = {0}, now;
    int32_t done = 0;

    (void)state;
    assert_int_equal(world_create(a, world_path("n"), 0, ""), 0);
    for (int i = 0; i < REQUESTS; i++) {
        const struct rill_registry_op set = {.type = RILL_REGISTRY_SET,
                                             .path = world_path("n"),
                                             .version = RILL_REGISTRY_ANY_VERSION};

        assert_int_equal(rill_registry_ask(a, &set, 1, world_tell, &told[i], NULL), 0);
        if (i == REQUESTS / 2)
            world_await(told[2].times == 1);
    }
    world->stop();
    world_await(told[REQUESTS - 1].times == 1);
    world->start();
    for (int i = 0; i < REQUESTS; i++) {
        assert_int_equal(told[i].times, 1);
        assert_true(told[i].status == 0 || told[i].status == -ECONNRESET);
        done += told[i].status == 0;
    }
    world_await(rill_registry_state(a) == RILL_REGISTRY_CONNECTED);
    assert_int_equal(world_get(a, world_path("n"), &now), 0);
    assert_true(now.stat.version >= done && now.stat.version <= REQUESTS);
}

static void closing_while_cut_off_leaves_the_end_to_the_server(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("e");
    struct world_told told;

    (void)state;
    assert_int_equal(world_create(a, path, RILL_REGISTRY_EPHEMERAL, ""), 0);
    world->cut(a, true);
    world_close(a);
    assert_int_equal(world_get(b, path, &told), 0);
    world_await(world_get(b, path, &told) == -ENOENT);
}

int world_session_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_session_may_act),
        TEST(heartbeats_make_it_last),
        TEST(a_forgotten_listener_hears_nothing),
        TEST(cut_off_it_stops_before_it_can_expire),
        TEST(a_short_cut_is_outlived),
        TEST(a_server_comes_back),
        TEST(a_session_can_wait_for_its_server),
        TEST(an_end_under_way_is_unknown),
        TEST(closing_while_cut_off_leaves_the_end_to_the_server),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
