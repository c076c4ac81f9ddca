/* Membership over whichever registry. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/registry/membership.h"
#include "lib/registry/world.h"

enum { MEMBERS_MAX = 40 };

/* What one observer was told. */
struct view {
    struct rill_registry *registry;
    struct rill_membership *membership;
    struct {
        char name[RILL_REGISTRY_NAME_MAX + 1], data[WORLD_TEXT_MAX];
    } members[MEMBERS_MAX];
    unsigned count, joined, changed, left;
};

static struct view views[3];

static unsigned find(const struct view *view, const char *name)
{
    unsigned i = 0;

    while (i < view->count && strcmp(view->members[i].name, name) != 0)
        i++;
    return i;
}

static void on_joined(void *arg, const char *name, const void *data, uint32_t data_bytes)
{
    struct view *view = arg;
    unsigned i = find(view, name);

    assert_int_equal(i, view->count); /* not there yet */
    assert_true(view->count < MEMBERS_MAX);
    view->count++;
    view->joined++;
    snprintf(view->members[i].name, sizeof(view->members[i].name), "%s", name);
    snprintf(view->members[i].data, sizeof(view->members[i].data), "%.*s", (int)data_bytes,
             (const char *)data);
}

static void on_changed(void *arg, const char *name, const void *data, uint32_t data_bytes)
{
    struct view *view = arg;
    unsigned i = find(view, name);

    assert_true(i < view->count);
    view->changed++;
    snprintf(view->members[i].data, sizeof(view->members[i].data), "%.*s", (int)data_bytes,
             (const char *)data);
}

static void on_left(void *arg, const char *name)
{
    struct view *view = arg;
    unsigned i = find(view, name);

    assert_true(i < view->count);
    view->left++;
    view->members[i] = view->members[--view->count];
}

static const char *data_of(const struct view *view, const char *name)
{
    unsigned i = find(view, name);

    return i < view->count ? view->members[i].data : "";
}

static struct view *look(int i, struct rill_registry *registry)
{
    struct view *view = &views[i];
    const struct rill_membership_events events = {
        .joined = on_joined, .changed = on_changed, .left = on_left, .arg = view};
    struct rill_error err = {""};

    *view = (struct view){.registry = registry};
    if (rill_membership_create(registry, world_path("members"), &events, &view->membership, &err) !=
        0)
        fail_msg("%s", err.text);
    return view;
}

static void enter(struct view *view, const char *name, const char *data)
{
    struct rill_error err = {""};

    if (rill_membership_enter(view->membership, name, data, (uint32_t)strlen(data), &err) != 0)
        fail_msg("%s", err.text);
}

static void leave(struct view *view)
{
    rill_membership_destroy(view->membership);
    view->membership = NULL;
}

static int setup(void **state)
{
    memset(views, 0, sizeof(views));
    return world_setup(state);
}

static int teardown(void **state)
{
    for (int i = 0; i < 3; i++)
        leave(&views[i]);
    return world_teardown(state);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void members_come_change_and_go(void **state)
{
    struct view *a = look(0, world_connect_only()), *b = look(1, world_connect());

    (void)state;
    enter(a, "unit-1", "at machine 1");
    enter(b, "unit-2", "at machine 2");
    world_await(a->count == 2 && b->count == 2);
    assert_true(rill_membership_entered(a->membership));
    assert_int_equal(rill_membership_count(b->membership), 2);
    assert_string_equal(data_of(b, "unit-1"), "at machine 1");
    assert_int_equal(rill_membership_update(a->membership, "warm", 4, NULL), 0);
    world_await(strcmp(data_of(b, "unit-1"), "warm") == 0);
    assert_int_equal(b->joined, 2);
    leave(a);
    world_await(b->left == 1);
    assert_int_equal(rill_membership_count(b->membership), 1);
}

static void many_members(void **state)
{
    struct rill_registry *hand = world_connect();
    struct view *a = look(0, world_connect());
    char name[40];

    (void)state;
    world_await(world_get(hand, world_path("members"), NULL) == 0);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "members/m%d", i);
        assert_int_equal(world_create(hand, world_path(name), RILL_REGISTRY_EPHEMERAL, "x"), 0);
    }
    world_await(a->count == 30);
    for (int i = 0; i < 30; i += 2) { /* some vanish and come anew at once */
        snprintf(name, sizeof(name), "members/m%d", i);
        assert_int_equal(world_delete(hand, world_path(name), RILL_REGISTRY_ANY_VERSION), 0);
        if (i % 4 == 0)
            assert_int_equal(world_create(hand, world_path(name), RILL_REGISTRY_EPHEMERAL, "anew"),
                             0);
    }
    world_await(a->count == 23 && strcmp(data_of(a, "m28"), "anew") == 0);
    assert_int_equal(a->joined - a->left, 23);
    world_close(hand); /* its nodes go with it */
    world_await(a->count == 0);
}

/* The process before it died, and its session has not expired yet. */
static void a_name_is_waited_for(void **state)
{
    struct view *old = look(0, world_connect()), *new, *watcher = look(2, world_connect());

    (void)state;
    enter(old, "rm-1", "old");
    world_await(strcmp(data_of(watcher, "rm-1"), "old") == 0);
    world->cut(old->registry, true);
    new = look(1, world_connect());
    enter(new, "rm-1", "new");
    world_await(rill_membership_entered(new->membership));
    world_await(strcmp(data_of(watcher, "rm-1"), "new") == 0);
    assert_int_equal(watcher->left, 1);
    assert_int_equal(watcher->joined, 2);
    world->cut(old->registry, false);
    world_await(rill_registry_state(old->registry) == RILL_REGISTRY_EXPIRED);
    assert_false(rill_membership_entered(old->membership));
}

static void a_restart_of_the_server_is_no_news(void **state)
{
    struct view *a = look(0, world_connect()), *b = look(1, world_connect());

    (void)state;
    enter(a, "unit-1", "one");
    world_await(b->count == 1);
    world->stop();
    world_await(rill_registry_state(a->registry) == RILL_REGISTRY_SUSPENDED &&
                rill_registry_state(b->registry) == RILL_REGISTRY_SUSPENDED);
    assert_int_equal(rill_membership_update(a->membership, "two", 3, NULL), 0); /* kept for later */
    world->start();
    world_await(strcmp(data_of(b, "unit-1"), "two") == 0);
    assert_int_equal(b->left, 0);
    assert_int_equal(b->joined, 1);
}

/* The server goes while a member enters, at one point after another: it is in at the end. */
static void an_answer_lost_is_sorted_out(void **state)
{
    uint32_t rounds = world->virtual_time ? 12 : 2;

    (void)state;
    for (uint32_t steps = 0; steps < rounds; steps++) {
        struct view *a = look(0, world_connect());

        enter(a, "unit-1", "here");
        for (uint32_t i = 0; i < steps; i++)
            world_step();
        world->stop();
        world_await(rill_registry_state(a->registry) == RILL_REGISTRY_SUSPENDED);
        world->start();
        world_await(rill_membership_entered(a->membership) && a->count == 1);
        leave(a);
        world_close(a->registry);
    }
}

static void deleted_by_hand_it_comes_again(void **state)
{
    struct rill_registry *hand = world_connect();
    struct view *a = look(0, world_connect());

    (void)state;
    enter(a, "unit-1", "one");
    world_await(a->count == 1);
    assert_int_equal(world_delete(hand, world_path("members/unit-1"), RILL_REGISTRY_ANY_VERSION),
                     0);
    world_await(a->joined == 2);
    world_await(rill_membership_entered(a->membership));
}

static void bad_members_are_refused(void **state)
{
    struct view *a = look(0, world_connect());
    static char data[RILL_MEMBER_DATA_MAX + 1];
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(rill_membership_update(a->membership, "x", 1, &err), -ENOENT);
    assert_int_equal(rill_membership_enter(a->membership, "a/b", "", 0, &err), -EINVAL);
    assert_int_equal(rill_membership_enter(a->membership, "a b", "", 0, &err), -EINVAL);
    assert_int_equal(rill_membership_enter(a->membership, "a", data, sizeof(data), &err),
                     -EMSGSIZE);
    enter(a, "a", "");
    assert_int_equal(rill_membership_enter(a->membership, "b", "", 0, &err), -EEXIST);
}

int world_membership_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(members_come_change_and_go),   TEST(many_members),
        TEST(a_name_is_waited_for),         TEST(a_restart_of_the_server_is_no_news),
        TEST(an_answer_lost_is_sorted_out), TEST(deleted_by_hand_it_comes_again),
        TEST(bad_members_are_refused),
    };

    return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
