/* What every registry does with nodes: registry.h's promises about requests and watches. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/registry/world.h"

enum { ANY = RILL_REGISTRY_ANY_VERSION };

static struct rill_registry_op op_create(const char *path, const char *text)
{
    return (struct rill_registry_op){.type = RILL_REGISTRY_CREATE,
                                     .path = path,
                                     .data = text,
                                     .data_bytes = (uint32_t)strlen(text)};
}

static struct rill_registry_op op_set(const char *path, int32_t version, const char *text)
{
    return (struct rill_registry_op){.type = RILL_REGISTRY_SET,
                                     .path = path,
                                     .version = version,
                                     .data = text,
                                     .data_bytes = (uint32_t)strlen(text)};
}

static struct rill_registry_op op_check(const char *path, int32_t version)
{
    return (struct rill_registry_op){.type = RILL_REGISTRY_CHECK, .path = path, .version = version};
}

static struct rill_registry_op op_delete(const char *path)
{
    return (struct rill_registry_op){.type = RILL_REGISTRY_DELETE, .path = path, .version = ANY};
}

/* --- one node --------------------------------------------------------------------------------- */

static void nodes_have_data_and_versions(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("node");
    struct world_told told;
    uint64_t created;

    (void)state;
    assert_int_equal(world_get(a, path, &told), -ENOENT);
    assert_int_equal(world_create(a, path, 0, "one"), 0);
    assert_int_equal(world_create(a, path, 0, "again"), -EEXIST);
    assert_int_equal(world_get(a, path, &told), 0);
    assert_string_equal(told.text, "one");
    assert_int_equal(told.stat.version, 0);
    assert_int_equal(told.stat.owner, 0);
    created = told.stat.created;
    assert_int_equal(world_set(b, path, 0, "two"), 0);
    assert_int_equal(world_set(a, path, 0, "three"), -ESTALE);
    assert_int_equal(world_set(a, path, ANY, ""), 0);
    assert_int_equal(world_get(b, path, &told), 0);
    assert_int_equal(told.data_bytes, 0);
    assert_int_equal(told.stat.version, 2);
    assert_int_equal(told.stat.created, created);
    assert_int_equal(world_delete(a, path, 1), -ESTALE);
    assert_int_equal(world_delete(a, path, 2), 0);
    assert_int_equal(world_delete(a, path, ANY), -ENOENT);
    assert_int_equal(world_set(a, path, ANY, "x"), -ENOENT);
    assert_int_equal(world_create(a, path, 0, "new"), 0);
    assert_int_equal(world_get(a, path, &told), 0);
    assert_int_equal(told.stat.version, 0);
    assert_true(told.stat.created != created);
}

static void a_set_tells_its_version(void **state)
{
    struct rill_registry *a = world_connect();
    const char *path = world_path("node");
    const struct rill_registry_op set = op_set(path, ANY, "x");
    struct world_told told;

    (void)state;
    assert_int_equal(world_create(a, path, 0, ""), 0);
    for (int32_t version = 1; version < 4; version++) {
        assert_int_equal(world_ask(a, &set, 1, &told), 0);
        assert_int_equal(told.stat.version, version);
    }
}

static void trees(void **state)
{
    struct rill_registry *a = world_connect();
    const char *folder = world_path("f"), *child = world_path("f/child");
    struct world_told told, list;

    (void)state;
    assert_int_equal(world_create(a, child, 0, ""), -ENOENT);
    assert_int_equal(world_list(a, folder, &list), -ENOENT);
    assert_int_equal(world_create(a, folder, 0, ""), 0);
    assert_int_equal(world_list(a, folder, &list), 0);
    assert_int_equal(list.children_count, 0);
    assert_int_equal(world_create(a, child, 0, ""), 0);
    assert_int_equal(world_create(a, world_path("f/a.b_c-D9"), 0, ""), 0);
    assert_int_equal(world_create(a, world_path("f/Z"), 0, ""), 0);
    assert_int_equal(world_delete(a, folder, ANY), -ENOTEMPTY);
    assert_int_equal(world_list(a, folder, &told), 0);
    assert_int_equal(told.children_count, 3);
    assert_string_equal(told.children[0], "Z");
    assert_string_equal(told.children[1], "a.b_c-D9");
    assert_string_equal(told.children[2], "child");
    assert_true(told.stat.children_version != list.stat.children_version);
    assert_int_equal(world_create(a, world_path("f/child/deeper"), 0, "x"), 0);
    assert_int_equal(world_get(a, world_path("f/child/deeper"), &told), 0);
    assert_string_equal(told.text, "x");
}

static void folders_are_made_whole(void **state)
{
    struct rill_registry *a = world_connect();
    struct world_told told = {0};

    (void)state;
    for (unsigned i = 1; i <= 2; i++) { /* also if it is there */
        assert_int_equal(rill_registry_make_folder(a, world_path("x/y/z"), world_tell, &told, NULL),
                         0);
        world_await(told.times == i);
        assert_int_equal(told.status, 0);
    }
    assert_int_equal(world_list(a, world_path("x/y"), &told), 0);
    assert_int_equal(told.children_count, 1);
    assert_int_equal(world_create(a, world_path("e"), RILL_REGISTRY_EPHEMERAL, ""), 0);
    told.times = 0;
    assert_int_equal(rill_registry_make_folder(a, world_path("e/f/g"), world_tell, &told, NULL), 0);
    world_await(told.times == 1);
    assert_int_equal(told.status, -ENOENT); /* no parent: that could not be made */
}

static void sequence_numbers_grow(void **state)
{
    struct rill_registry *a = world_connect();
    struct rill_registry_op op = op_create(world_path("n-"), "");
    char last[RILL_REGISTRY_PATH_MAX + 1] = "";
    struct world_told told;

    (void)state;
    op.flags = RILL_REGISTRY_SEQUENTIAL;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(world_ask(a, &op, 1, &told), 0);
        assert_int_equal(strlen(told.path), strlen(op.path) + 10);
        assert_memory_equal(told.path, op.path, strlen(op.path));
        assert_true(strcmp(told.path, last) > 0);
        snprintf(last, sizeof(last), "%s", told.path);
        if (i % 3 == 0) /* a number is not given again when its node is gone */
            assert_int_equal(world_delete(a, last, ANY), 0);
    }
}

static void ephemeral_nodes_have_an_owner_and_no_children(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("e");
    struct world_told told;

    (void)state;
    assert_true(rill_registry_session(a) != 0);
    assert_true(rill_registry_session(a) != rill_registry_session(b));
    assert_int_equal(world_create(a, path, RILL_REGISTRY_EPHEMERAL, "mine"), 0);
    assert_int_equal(world_get(b, path, &told), 0);
    assert_true(told.stat.owner == rill_registry_session(a));
    assert_int_equal(world_create(b, world_path("e/c"), 0, ""), -ENOTDIR);
    world_close(a);
    world_await(world_get(b, path, &told) == -ENOENT);
}

static void large_data(void **state)
{
    struct rill_registry *a = world_connect();
    const char *path = world_path("large");
    char *data = malloc(RILL_REGISTRY_DATA_MAX + 1);
    struct rill_registry_op op = {
        .type = RILL_REGISTRY_CREATE, .path = path, .data = data, .data_bytes = 65537};
    struct rill_error err = {""};
    struct world_told told;

    (void)state;
    for (int i = 0; i <= RILL_REGISTRY_DATA_MAX; i++)
        data[i] = (char)('a' + i % 26);
    assert_int_equal(rill_registry_ask(a, &op, 1, NULL, NULL, &err), -EMSGSIZE);
    assert_non_null(strstr(err.text, "65537"));
    op.data_bytes = RILL_REGISTRY_DATA_MAX;
    assert_int_equal(world_ask(a, &op, 1, NULL), 0);
    assert_int_equal(world_get(a, path, &told), 0);
    assert_int_equal(told.data_bytes, RILL_REGISTRY_DATA_MAX);
    assert_memory_equal(told.text, data, WORLD_TEXT_MAX - 1);
    free(data);
}

static void bad_requests_are_refused(void **state)
{
    struct rill_registry *a = world_connect();
    static const char *const bad[] = {"",       "a",    "/a/",  "//a",  "/a//b",    "/a/../b",
                                      "/a/./b", "/a b", "/a\n", "/a/*", "/\xc3\xa4"};
    char name[RILL_REGISTRY_NAME_MAX + 3] = "/", path[400] = "";
    struct rill_registry_op op = op_create(name, ""), ops[9];
    struct rill_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        op.path = bad[i];
        err.text[0] = '\0';
        assert_int_equal(rill_registry_ask(a, &op, 1, NULL, NULL, &err), -EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
        assert_int_equal(
            rill_registry_watch(a, bad[i], RILL_REGISTRY_WATCH_NODE, world_tell, a, &err), -EINVAL);
    }
    memset(name + 1, 'n', RILL_REGISTRY_NAME_MAX + 1);
    op.path = name;
    assert_int_equal(rill_registry_ask(a, &op, 1, NULL, NULL, &err), -ENAMETOOLONG);
    name[RILL_REGISTRY_NAME_MAX + 1] = '\0';
    op.flags = RILL_REGISTRY_SEQUENTIAL; /* no room for digits */
    assert_int_equal(rill_registry_ask(a, &op, 1, NULL, NULL, &err), -ENAMETOOLONG);
    while (strlen(path) <= RILL_REGISTRY_PATH_MAX)
        strcat(path, "/0123456789");
    op.path = path;
    assert_int_equal(rill_registry_ask(a, &op, 1, NULL, NULL, &err), -ENAMETOOLONG);
    for (int i = 0; i < 9; i++)
        ops[i] = op_check("/", ANY);
    assert_int_equal(rill_registry_ask(a, ops, 0, NULL, NULL, &err), -EINVAL);
    assert_int_equal(rill_registry_ask(a, ops, 9, NULL, NULL, &err), -EINVAL);
    assert_int_equal(rill_registry_ask(a, ops, 2, NULL, NULL, &err), -EINVAL); /* twice */
    ops[0] = (struct rill_registry_op){.type = RILL_REGISTRY_GET, .path = "/a"};
    assert_int_equal(rill_registry_ask(a, ops, 2, NULL, NULL, &err), -EINVAL);
    ops[0] = op_create("/a", "");
    ops[1] = op_create("/a/b", "");
    assert_int_equal(rill_registry_ask(a, ops, 2, NULL, NULL, &err), -EINVAL);
    ops[0] = op_delete("/");
    assert_int_equal(rill_registry_ask(a, ops, 1, NULL, NULL, &err), -EINVAL);
}

/* --- several at one moment -------------------------------------------------------------------- */

static void all_or_none(void **state)
{
    struct rill_registry *a = world_connect();
    const char *fence = world_path("fence"), *x = world_path("x"), *y = world_path("y");
    struct rill_registry_op ops[] = {op_check(fence, 0), op_create(x, "made"),
                                     op_set(y, ANY, "set")};
    struct world_told told;

    (void)state;
    assert_int_equal(world_create(a, fence, 0, ""), 0);
    assert_int_equal(world_ask(a, ops, 3, &told), -ENOENT); /* y is not there */
    assert_int_equal(told.failed, 2);
    assert_int_equal(world_get(a, x, &told), -ENOENT); /* so x was not made */
    assert_int_equal(world_create(a, y, 0, "old"), 0);
    assert_int_equal(world_ask(a, ops, 3, &told), 0);
    assert_int_equal(world_get(a, x, &told), 0);
    assert_string_equal(told.text, "made");
    assert_int_equal(world_get(a, y, &told), 0);
    assert_string_equal(told.text, "set");
    assert_int_equal(world_set(a, fence, ANY, ""), 0);
    ops[1] = op_delete(x);
    assert_int_equal(world_ask(a, ops, 3, &told), -ESTALE); /* fenced off */
    assert_int_equal(told.failed, 0);
    assert_int_equal(world_get(a, x, &told), 0);
    ops[0].version = 1;
    assert_int_equal(world_ask(a, ops, 3, &told), 0);
    assert_int_equal(world_get(a, x, &told), -ENOENT);
    assert_int_equal(world_ask(a, ops, 1, &told), 0); /* a check alone */
    ops[0].version = 2;
    assert_int_equal(world_ask(a, ops, 1, &told), -ESTALE);
}

struct order {
    unsigned next;
    bool in_order;
};

static struct order order;

static void in_turn(void *arg, const struct rill_registry_result *result)
{
    order.in_order &= (unsigned)(uintptr_t)arg == order.next++;
    order.in_order &= result->status == 0;
}

static void requests_are_carried_out_in_order(void **state)
{
    enum { REQUESTS = 300 };
    struct rill_registry *a = world_connect();
    const char *path = world_path("n");
    char text[20];

    (void)state;
    assert_int_equal(world_create(a, path, 0, ""), 0);
    order = (struct order){.in_order = true};
    for (int32_t i = 0; i < REQUESTS; i++) {
        struct rill_registry_op set = op_set(path, i, text);

        set.data_bytes = (uint32_t)snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(rill_registry_ask(a, &set, 1, in_turn, (void *)(uintptr_t)i, NULL), 0);
    }
    assert_int_equal(order.next, 0); /* nothing is told but in a turn */
    world_await(order.next == REQUESTS);
    assert_true(order.in_order);
}

static void a_session_has_so_many_requests(void **state)
{
    struct rill_registry *a = world_connect();
    const struct rill_registry_op op = {.type = RILL_REGISTRY_GET, .path = "/"};
    struct rill_error err = {""};
    struct world_told told = {0};
    unsigned asked = 0;

    (void)state;
    while (rill_registry_ask(a, &op, 1, world_tell, &told, &err) == 0)
        assert_true(++asked <= RILL_REGISTRY_REQUESTS_MAX);
    assert_non_null(strstr(err.text, "4096"));
    world_await(told.times == asked);
    assert_int_equal(rill_registry_ask(a, &op, 1, world_tell, &told, &err), 0);
    world_await(told.times == asked + 1);
}

/* --- watches ---------------------------------------------------------------------------------- */

static void watch(struct rill_registry *registry, const char *path,
                  enum rill_registry_watch_what what, struct world_told *told)
{
    struct rill_error err = {""};

    memset(told, 0, sizeof(*told));
    if (rill_registry_watch(registry, path, what, world_tell, told, &err) != 0)
        fail_msg("%s", err.text);
}

static void a_node_is_watched(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("n");
    struct world_told told;

    (void)state;
    watch(a, path, RILL_REGISTRY_WATCH_NODE, &told);
    world_await(told.times == 1);
    assert_int_equal(told.status, -ENOENT);
    for (int round = 0; round < 3; round++) { /* also after it was gone */
        assert_int_equal(world_create(b, path, 0, "one"), 0);
        world_await(told.status == 0 && strcmp(told.text, "one") == 0);
        for (int i = 0; i < 20; i++)
            assert_int_equal(world_set(b, path, ANY, i == 19 ? "last" : "some"), 0);
        world_await(strcmp(told.text, "last") == 0);
        assert_string_equal(told.path, path);
        assert_int_equal(world_delete(b, path, ANY), 0);
        world_await(told.status == -ENOENT);
    }
    assert_int_equal(world_create(b, world_path("other"), 0, ""), 0);
    told.times = 0;
    rill_registry_forget(a, &told);
    assert_int_equal(world_create(b, path, 0, "unseen"), 0);
    assert_int_equal(world_get(a, path, NULL), 0); /* what was there to tell would have come */
    assert_int_equal(told.times, 0);
}

static void children_are_watched(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    char path[RILL_REGISTRY_PATH_MAX + 1], name[20];
    struct world_told told;

    (void)state;
    snprintf(path, sizeof(path), "%s", world_path("f"));
    watch(a, path, RILL_REGISTRY_WATCH_CHILDREN, &told);
    world_await(told.times == 1);
    assert_int_equal(told.status, -ENOENT);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(world_create(b, path, 0, ""), 0);
        world_await(told.status == 0 && told.children_count == 0);
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof(name), "f/c%02d", i);
            assert_int_equal(world_create(b, world_path(name), 0, ""), 0);
        }
        world_await(told.children_count == 30);
        assert_string_equal(told.children[29], "c29");
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof(name), "f/c%02d", i);
            assert_int_equal(world_delete(b, world_path(name), ANY), 0);
        }
        world_await(told.children_count == 0);
        assert_int_equal(world_delete(b, path, ANY), 0);
        world_await(told.status == -ENOENT);
    }
}

static void a_watch_to_the_end_ends(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("n");
    struct world_told told, none;

    (void)state;
    watch(a, path, RILL_REGISTRY_WATCH_TO_END, &none);
    world_await(none.times == 1);
    assert_int_equal(none.status, -ENOENT);
    assert_int_equal(world_create(b, path, 0, "one"), 0);
    watch(a, path, RILL_REGISTRY_WATCH_TO_END, &told);
    world_await(told.times == 1 && told.status == 0);
    assert_int_equal(world_set(b, path, ANY, "two"), 0);
    world_await(strcmp(told.text, "two") == 0);
    assert_int_equal(world_delete(b, path, ANY), 0);
    world_await(told.status == -ENOENT);
    assert_int_equal(world_create(b, path, 0, "again"), 0);
    assert_int_equal(world_get(a, path, NULL), 0);
    assert_int_equal(told.status, -ENOENT);
    assert_int_equal(none.times, 1);
}

/* Absent before and absent after, but it was there: who waits for a change has to hear of it. */
static void a_node_that_came_and_went_is_told(void **state)
{
    struct rill_registry *a = world_connect(), *b = world_connect();
    const char *path = world_path("n");
    const struct rill_registry_op make = op_create(path, ""), drop = op_delete(path);
    struct world_told told;

    (void)state;
    watch(a, path, RILL_REGISTRY_WATCH_NODE, &told);
    world_await(told.times == 1);
    assert_int_equal(rill_registry_ask(b, &make, 1, NULL, NULL, NULL), 0);
    assert_int_equal(rill_registry_ask(b, &drop, 1, NULL, NULL, NULL), 0);
    world_await(told.times >= 2 && told.status == -ENOENT);
}

static void what_is_forgotten_is_not_told(void **state)
{
    struct rill_registry *a = world_connect();
    const struct rill_registry_op op = {.type = RILL_REGISTRY_GET, .path = "/"};
    struct world_told told = {0};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(rill_registry_ask(a, &op, 1, world_tell, &told, NULL), 0);
    assert_int_equal(rill_registry_watch(a, "/", RILL_REGISTRY_WATCH_NODE, world_tell, &told, NULL),
                     0);
    rill_registry_forget(a, &told);
    assert_int_equal(world_get(a, "/", NULL), 0);
    assert_int_equal(told.times, 0);
}

int world_registry_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nodes_have_data_and_versions),
        TEST(a_set_tells_its_version),
        TEST(trees),
        TEST(folders_are_made_whole),
        TEST(sequence_numbers_grow),
        TEST(ephemeral_nodes_have_an_owner_and_no_children),
        TEST(large_data),
        TEST(bad_requests_are_refused),
        TEST(all_or_none),
        TEST(requests_are_carried_out_in_order),
        TEST(a_session_has_so_many_requests),
        TEST(a_node_is_watched),
        TEST(children_are_watched),
        TEST(a_watch_to_the_end_ends),
        TEST(a_node_that_came_and_went_is_told),
        TEST(what_is_forgotten_is_not_told),
    };

    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
