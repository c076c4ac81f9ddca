/* Leader election over whichever registry: one leader at a time, numbers that only grow, and a
 * leader that stops before another one can begin. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/registry/election.h"
#include "lib/registry/world.h"

enum { CANDIDATES_MAX = 5 };

struct candidate {
    struct rill_registry *registry;
    struct rill_election *election;
    unsigned elected, deposed;
    uint64_t epoch, leader; /* own, last; who leads, as told */
    char info[WORLD_TEXT_MAX];
};

static struct candidate candidates[CANDIDATES_MAX];
static uint64_t newest_epoch;

static bool leads(const struct candidate *c)
{
    return c->election != NULL && rill_election_leads(c->election, world->now_ns());
}

static unsigned leaders(void)
{
    unsigned count = 0;

    for (int i = 0; i < CANDIDATES_MAX; i++)
        count += leads(&candidates[i]);
    return count;
}

static void on_elected(void *arg, uint64_t epoch)
{
    struct candidate *c = arg;

    assert_true(epoch > newest_epoch); /* of all that ever were */
    newest_epoch = c->epoch = epoch;
    assert_int_equal(c->elected, c->deposed);
    c->elected++;
    for (int i = 0; i < CANDIDATES_MAX; i++)
        if (&candidates[i] != c)
            assert_false(leads(&candidates[i]));
}

static void on_deposed(void *arg)
{
    struct candidate *c = arg;

    c->deposed++;
    assert_int_equal(c->elected, c->deposed);
    assert_false(leads(c));
}

static void on_leader(void *arg, uint64_t epoch, const void *info, uint32_t info_bytes)
{
    struct candidate *c = arg;

    c->leader = epoch;
    snprintf(c->info, sizeof(c->info), "%.*s", (int)info_bytes, (const char *)info);
}

static void turn(void *arg, uint64_t now_ns)
{
    struct candidate *c = arg;

    rill_election_turn(c->election, now_ns);
    assert_true(leaders() <= 1);
}

static struct candidate *join_with(struct rill_registry *registry, int i, bool watches_only)
{
    struct candidate *c = &candidates[i];
    char info[20];
    struct rill_election_config config = {
        .folder = world_path("rm/election"),
        .info = info,
        .info_bytes = (uint32_t)snprintf(info, sizeof(info), "number %d", i),
        .watches_only = watches_only,
        .events = {.elected = on_elected, .deposed = on_deposed, .leader = on_leader, .arg = c}};
    struct rill_error err = {""};

    *c = (struct candidate){.registry = registry};
    if (rill_election_create(registry, &config, &c->election, &err) != 0)
        fail_msg("%s", err.text);
    world_also_turn(turn, c);
    return c;
}

static struct candidate *join_as(int i)
{
    return join_with(world_connect_only(), i, false);
}

static void leave(struct candidate *c)
{
    world_no_turn(c);
    rill_election_destroy(c->election);
    c->election = NULL;
}

static int setup(void **state)
{
    memset(candidates, 0, sizeof(candidates));
    newest_epoch = 0;
    return world_setup(state);
}

static int teardown(void **state)
{
    for (int i = 0; i < CANDIDATES_MAX; i++) {
        rill_election_destroy(candidates[i].election);
        candidates[i].election = NULL;
    }
    return world_teardown(state);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void one_of_many_leads(void **state)
{
    struct candidate *last = NULL;
    char info[20];

    (void)state;
    for (int i = 0; i < CANDIDATES_MAX; i++)
        join_as(i);
    for (int round = 0; round < CANDIDATES_MAX - 1; round++) { /* each that leads goes */
        world_await(leaders() == 1);
        for (int i = 0; i < CANDIDATES_MAX; i++)
            if (leads(&candidates[i]))
                last = &candidates[i];
        assert_int_equal(rill_election_epoch(last->election), last->epoch);
        snprintf(info, sizeof(info), "number %d", (int)(last - candidates));
        for (int i = 0; i < CANDIDATES_MAX; i++)
            if (candidates[i].election != NULL) {
                world_await(candidates[i].leader == last->epoch);
                assert_string_equal(candidates[i].info, info);
            }
        leave(last);
    }
    world_await(leaders() == 1);
    assert_int_equal(newest_epoch, CANDIDATES_MAX);
}

/* The next one need not wait until a session expires. */
static void a_leader_that_leaves_is_followed_at_once(void **state)
{
    struct candidate *a = join_as(0), *b;
    uint64_t began_ns;

    (void)state;
    world_await(leads(a));
    b = join_as(1);
    world_await(b->leader == a->epoch);
    began_ns = world->now_ns();
    leave(a);
    world_await(leads(b));
    assert_true(b->epoch > a->epoch);
    if (world->virtual_time)
        assert_true(world->now_ns() - began_ns < world->timeout_ns / 2);
}

/* Partitioned: it stops by its own clock, then another one wins; back again, it does not lead. */
static void a_leader_cut_off_stops_first(void **state)
{
    struct candidate *a = join_as(0), *b;

    (void)state;
    world_await(leads(a));
    b = join_as(1);
    world_await(b->leader == a->epoch);
    world_pass(world->timeout_ns / 2);
    world_await(leads(a));
    world->cut(a->registry, true);
    world_await(leads(b)); /* every turn checks that there are never two */
    assert_int_equal(a->deposed, 1);
    assert_true(b->epoch > a->epoch);
    world->cut(a->registry, false);
    world_await(rill_registry_state(a->registry) == RILL_REGISTRY_EXPIRED);
    assert_int_equal(a->elected, 1);
    assert_true(leads(b));
}

/* The session lasted, its validity by the own clock did not: a new number then. */
static void a_leadership_that_lapsed_is_not_resumed(void **state)
{
    struct candidate *a = join_as(0);
    uint64_t epoch;

    (void)state;
    world_await(leads(a));
    epoch = a->epoch;
    world->stop();
    world_await(a->deposed == 1);
    assert_int_equal(rill_election_epoch(a->election), 0);
    world->start();
    world_await(leads(a) || rill_registry_state(a->registry) == RILL_REGISTRY_EXPIRED);
    if (leads(a))
        assert_true(a->epoch > epoch);
}

/* A short loss of the connection does not end a leadership. */
static void a_short_cut_changes_nothing(void **state)
{
    struct candidate *a = join_as(0);

    (void)state;
    world_await(leads(a));
    world_pass(world->timeout_ns / 2);
    world_await(leads(a));
    world->cut(a->registry, true);
    world_pass(world->timeout_ns / 10);
    world->cut(a->registry, false);
    world_pass(world->timeout_ns / 2);
    if (world->virtual_time) { /* else the machine may stand still for longer than the cut */
        assert_int_equal(a->elected, 1);
        assert_int_equal(a->deposed, 0);
    }
    world_await(leads(a));
}

/* The answer to the winning request is lost: it must not lead by an accident, nor block others. */
static void a_win_whose_answer_was_lost_is_sorted_out(void **state)
{
    (void)state;
    /* The server goes at another point each time. */
    for (unsigned steps = 0; steps < (world->virtual_time ? 12 : 2); steps++) {
        struct candidate *a = join_as(0);

        world_await(rill_registry_state(a->registry) == RILL_REGISTRY_CONNECTED);
        for (unsigned i = 0; i < steps; i++)
            world_step();
        world->stop();
        world_await(rill_registry_state(a->registry) == RILL_REGISTRY_SUSPENDED);
        world->start();
        world_await(leads(a));
        leave(a);
        world_close(a->registry);
    }
}

static void a_deposed_leaders_writes_are_refused(void **state)
{
    struct rill_registry *writer = world_connect();
    struct candidate *a = join_as(0), *b;
    const char *record = world_path("record");
    struct rill_registry_op ops[2] = {
        {0}, {.type = RILL_REGISTRY_SET, .path = record, .version = RILL_REGISTRY_ANY_VERSION}};
    struct rill_registry_op fence;
    char fence_path[RILL_REGISTRY_PATH_MAX + 1];
    struct world_told told;

    (void)state;
    assert_int_equal(world_create(writer, record, 0, ""), 0);
    world_await(leads(a));
    ops[0] = fence = rill_election_fence(a->election);
    snprintf(fence_path, sizeof(fence_path), "%s", fence.path);
    fence.path = fence_path;
    assert_int_equal(world_ask(a->registry, ops, 2, NULL), 0);
    b = join_as(1);
    leave(a);
    world_await(leads(b));
    ops[0] = fence;
    assert_int_equal(world_ask(writer, ops, 2, &told), -ESTALE); /* whoever brings it */
    assert_int_equal(told.failed, 0);
    ops[0] = rill_election_fence(b->election);
    assert_int_equal(world_ask(b->registry, ops, 2, NULL), 0);
}

/* Somebody deletes the leader's node by hand: it stops, and the next number is another. */
static void a_node_deleted_by_hand_deposes(void **state)
{
    struct rill_registry *hand = world_connect();
    struct candidate *a = join_as(0);
    uint64_t epoch;

    (void)state;
    world_await(leads(a));
    epoch = a->epoch;
    assert_int_equal(
        world_delete(hand, world_path("rm/election/leader"), RILL_REGISTRY_ANY_VERSION), 0);
    world_await(a->deposed == 1);
    world_await(leads(a));
    assert_true(a->epoch > epoch);
}

static void others_can_watch(void **state)
{
    struct candidate *watcher = join_with(world_connect(), 0, true), *a;

    (void)state;
    a = join_as(1);
    world_await(leads(a) && watcher->leader == a->epoch);
    assert_string_equal(watcher->info, "number 1");
    leave(a);
    world_await(watcher->leader == 0);
    assert_int_equal(watcher->elected, 0);
}

static void a_number_that_is_none_is_a_problem(void **state)
{
    struct rill_registry *hand = world_connect();
    const char *epoch = world_path("rm/election/epoch");
    struct candidate *a;

    (void)state;
    assert_int_equal(world_create(hand, world_path("rm"), 0, ""), 0);
    assert_int_equal(world_create(hand, world_path("rm/election"), 0, ""), 0);
    assert_int_equal(world_create(hand, epoch, 0, "seven"), 0);
    a = join_as(0);
    world_await(rill_election_problem(a->election)[0] != '\0');
    assert_non_null(strstr(rill_election_problem(a->election), "rm/election/epoch"));
    assert_int_equal(world_set(hand, epoch, RILL_REGISTRY_ANY_VERSION, "41"), 0);
    world_await(leads(a));
    assert_int_equal(a->epoch, 42);
    assert_string_equal(rill_election_problem(a->election), "");
}

int world_election_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_of_many_leads),
        TEST(a_leader_that_leaves_is_followed_at_once),
        TEST(a_leader_cut_off_stops_first),
        TEST(a_leadership_that_lapsed_is_not_resumed),
        TEST(a_short_cut_changes_nothing),
        TEST(a_win_whose_answer_was_lost_is_sorted_out),
        TEST(a_deposed_leaders_writes_are_refused),
        TEST(a_node_deleted_by_hand_deposes),
        TEST(others_can_watch),
        TEST(a_number_that_is_none_is_a_problem),
    };

    return cmocka_run_group_tests_name("election", tests, NULL, NULL);
}
