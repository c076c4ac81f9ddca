/* The batteries over a ZooKeeper server that this test starts, each session through a relay of its
 * own that can be cut; and what only ZooKeeper promises. */
#include "lib/registry/registry_zookeeper.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/registry/relay.h"
#include "lib/registry/world.h"
#include "lib/registry/zookeeper_server.h"

enum { SKIPPED = 77, WAIT_MS = 5 };

#define TIMEOUT_NS UINT64_C(2000000000)

/* Relays outlive sessions until the test ends: what a closing session sent last must get through.
 */
struct way {
    struct rill_registry *registry; /* NULL: closed */
    struct relay *relay;
};

static struct zookeeper_server *server;
static struct way ways[WORLD_SESSIONS_MAX];
static uint32_t ways_count;
static bool stopped;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The client library does not free what waits in it when a session is closed, and formats addresses
 * for its log into a buffer that all sessions of a process share. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libzookeeper_mt.so\n";
}

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libzookeeper_mt.so\n";
}

/* --- the world -------------------------------------------------------------------------------- */

static int group_setup(void **state)
{
    (void)state;
    server = zookeeper_server_create();
    return server != NULL && zookeeper_server_start(server) ? 0 : 1;
}

static int group_teardown(void **state)
{
    (void)state;
    zookeeper_server_destroy(server);
    return 0;
}

static void start(void)
{
    assert_true(zookeeper_server_start(server));
    stopped = false;
}

static void stop(void)
{
    zookeeper_server_kill(server);
    stopped = true;
}

static void setup(void)
{
    if (stopped) /* a test failed in between */
        start();
}

static void teardown(void)
{
    while (ways_count > 0)
        relay_destroy(ways[--ways_count].relay);
}

static struct rill_registry *connect_session(void)
{
    struct way *way = &ways[ways_count];
    struct rill_error err = {""};
    char servers[40];

    assert_true(ways_count < WORLD_SESSIONS_MAX);
    way->relay = relay_create(zookeeper_server_port(server));
    assert_non_null(way->relay);
    ways_count++;
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", relay_port(way->relay));
    if (rill_registry_connect_zookeeper(servers, TIMEOUT_NS, now_ns(), &way->registry, &err) != 0)
        fail_msg("%s", err.text);
    return way->registry;
}

static struct way *way_of(const struct rill_registry *registry)
{
    for (uint32_t i = 0; i < ways_count; i++)
        if (ways[i].registry == registry)
            return &ways[i];
    fail_msg("no such session");
    return NULL;
}

static void closed(struct rill_registry *registry)
{
    way_of(registry)->registry = NULL;
}

static void cut(struct rill_registry *registry, bool is_cut)
{
    relay_cut(way_of(registry)->relay, is_cut);
}

static void wait(struct rill_registry *const *sessions, uint32_t count)
{
    struct pollfd polls[WORLD_SESSIONS_MAX];

    for (uint32_t i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = rill_registry_fd(sessions[i]), .events = POLLIN};
    assert_true(poll(polls, count, WAIT_MS) >= 0 || errno == EINTR);
}

/* --- ZooKeeper's own -------------------------------------------------------------------------- */

static void bad_servers_are_refused(void **state)
{
    struct rill_registry *registry = NULL;
    struct rill_error err = {""};

    (void)state;
    assert_true(rill_registry_connect_zookeeper("nonsense", TIMEOUT_NS, 0, &registry, &err) < 0);
    assert_non_null(strstr(err.text, "nonsense"));
    assert_null(registry);
}

/* A server that stands still for longer than a time-out: nobody may act meanwhile, and as the
 * server goes on, it is the server's word whether the session is over. */
static void a_frozen_server_lets_nobody_act(void **state)
{
    struct rill_registry *a = world_connect();
    uint64_t until_ns;

    (void)state;
    assert_int_equal(world_create(a, world_path("e"), RILL_REGISTRY_EPHEMERAL, ""), 0);
    world_await(rill_registry_may_act(a, now_ns()));
    zookeeper_server_freeze(server, true);
    world_await(!rill_registry_may_act(a, now_ns()));
    world_await(rill_registry_state(a) == RILL_REGISTRY_SUSPENDED);
    until_ns = rill_registry_valid_until_ns(a);
    world_pass(TIMEOUT_NS / 2);
    assert_true(rill_registry_valid_until_ns(a) == until_ns);
    zookeeper_server_freeze(server, false);
    world_await(rill_registry_state(a) != RILL_REGISTRY_SUSPENDED);
    if (rill_registry_state(a) == RILL_REGISTRY_CONNECTED)
        world_await(rill_registry_may_act(a, now_ns()));
    else
        assert_false(rill_registry_may_act(a, now_ns()));
}

/* The session counts with the time-out that the server gave it. */
static void the_server_says_the_timeout(void **state)
{
    const uint64_t least_ns = UINT64_C(2000000) * ZOOKEEPER_SERVER_TICK_MS;
    struct rill_registry *a;
    struct rill_error err = {""};
    char servers[40];
    uint64_t began_ns = now_ns(), until_ns = began_ns + UINT64_C(30000000000);

    (void)state;
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", zookeeper_server_port(server));
    assert_int_equal(rill_registry_connect_zookeeper(servers, least_ns / 2, began_ns, &a, &err), 0);
    while (rill_registry_state(a) != RILL_REGISTRY_CONNECTED) {
        struct pollfd poll_fd = {.fd = rill_registry_fd(a), .events = POLLIN};

        assert_true(now_ns() < until_ns);
        poll(&poll_fd, 1, WAIT_MS);
        rill_registry_turn(a, now_ns());
    }
    assert_true(rill_registry_valid_until_ns(a) <= began_ns + least_ns);
    assert_true(rill_registry_valid_until_ns(a) > began_ns + least_ns / 2);
    rill_registry_close(a);
}

static int own_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_servers_are_refused),
        cmocka_unit_test(the_server_says_the_timeout),
        TEST(a_frozen_server_lets_nobody_act),
    };

    return cmocka_run_group_tests_name("zookeeper", tests, NULL, NULL);
}

int main(void)
{
    static const struct world_ops ops = {.name = "zookeeper",
                                         .timeout_ns = TIMEOUT_NS,
                                         .group_setup = group_setup,
                                         .group_teardown = group_teardown,
                                         .setup = setup,
                                         .teardown = teardown,
                                         .connect = connect_session,
                                         .closed = closed,
                                         .wait = wait,
                                         .now_ns = now_ns,
                                         .clock_ns = now_ns,
                                         .cut = cut,
                                         .stop = stop,
                                         .start = start,
                                         .own_battery = own_battery};

    return zookeeper_server_is_installed() ? world_run(&ops) : SKIPPED;
}
