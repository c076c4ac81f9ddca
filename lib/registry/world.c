#include "lib/registry/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TURNED_MAX = 16, PATHS = 8 };

struct turned {
    void (*turn)(void *arg, uint64_t now_ns);
    void *arg;
};

const struct world_ops *world;

static struct rill_registry *sessions[WORLD_SESSIONS_MAX];
static uint32_t sessions_count, turned_count, tests;
static struct turned turned[TURNED_MAX];

/* --- sessions --------------------------------------------------------------------------------- */

struct rill_registry *world_connect_only(void)
{
    assert_true(sessions_count < WORLD_SESSIONS_MAX);
    sessions[sessions_count] = world->connect();
    assert_non_null(sessions[sessions_count]);
    return sessions[sessions_count++];
}

struct rill_registry *world_connect(void)
{
    struct rill_registry *registry = world_connect_only();

    world_await(rill_registry_state(registry) == RILL_REGISTRY_CONNECTED);
    return registry;
}

void world_close(struct rill_registry *registry)
{
    uint32_t i = 0;

    while (i < sessions_count && sessions[i] != registry)
        i++;
    assert_true(i < sessions_count);
    sessions[i] = sessions[--sessions_count];
    rill_registry_close(registry);
    world->closed(registry);
}

void world_also_turn(void (*turn)(void *arg, uint64_t now_ns), void *arg)
{
    assert_true(turned_count < TURNED_MAX);
    turned[turned_count++] = (struct turned){turn, arg};
}

void world_no_turn(const void *arg)
{
    for (uint32_t i = 0; i < turned_count; i++)
        if (turned[i].arg == arg) {
            turned[i] = turned[--turned_count];
            return;
        }
    fail_msg("it was not turned");
}

void world_step(void)
{
    world->wait(sessions, sessions_count);
    for (uint32_t i = 0; i < sessions_count; i++)
        rill_registry_turn(sessions[i], world->now_ns());
    for (uint32_t i = 0; i < turned_count; i++)
        turned[i].turn(turned[i].arg, world->now_ns());
}

void world_pass(uint64_t ns)
{
    uint64_t until_ns = world->now_ns() + ns;

    while (world->now_ns() < until_ns)
        world_step();
}

int world_setup(void **state)
{
    struct rill_registry *registry;
    struct world_told told = {0};

    (void)state;
    tests++;
    world->setup();
    registry = world_connect();
    assert_int_equal(rill_registry_make_folder(registry, world_path(""), world_tell, &told, NULL),
                     0);
    world_await(told.times == 1);
    assert_int_equal(told.status, 0);
    world_close(registry);
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    turned_count = 0;
    while (sessions_count > 0)
        world_close(sessions[0]);
    world->teardown();
    return 0;
}

const char *world_path(const char *name)
{
    static char paths[PATHS][RILL_REGISTRY_PATH_MAX + 1];
    static unsigned next;
    char *path = paths[next++ % PATHS];

    snprintf(path, sizeof(paths[0]), "/test-%u%s%s", tests, name[0] == '\0' ? "" : "/", name);
    return path;
}

/* --- asking ----------------------------------------------------------------------------------- */

void world_tell(void *arg, const struct rill_registry_result *result)
{
    struct world_told *told = arg;
    uint32_t bytes = result->data_bytes < WORLD_TEXT_MAX ? result->data_bytes : WORLD_TEXT_MAX - 1;

    told->times++;
    told->status = result->status;
    told->failed = result->failed;
    told->stat = result->stat;
    told->data_bytes = result->data_bytes;
    snprintf(told->path, sizeof(told->path), "%s", result->path);
    memset(told->text, 0, sizeof(told->text));
    if (result->data != NULL)
        memcpy(told->text, result->data, bytes);
    told->children_count = result->children_count;
    for (uint32_t i = 0; i < result->children_count && i < WORLD_CHILDREN_MAX; i++)
        snprintf(told->children[i], sizeof(told->children[i]), "%s", result->children[i]);
}

int world_ask(struct rill_registry *registry, const struct rill_registry_op *ops, unsigned count,
              struct world_told *wanted)
{
    static struct world_told mine;
    struct world_told *told = wanted == NULL ? &mine : wanted;
    struct rill_error err = {""};

    memset(told, 0, sizeof(*told));
    if (rill_registry_ask(registry, ops, count, world_tell, told, &err) != 0)
        fail_msg("%s", err.text);
    world_await(told->times == 1);
    return told->status;
}

int world_create(struct rill_registry *registry, const char *path, unsigned flags, const char *text)
{
    const struct rill_registry_op op = {.type = RILL_REGISTRY_CREATE,
                                        .path = path,
                                        .flags = flags,
                                        .data = text,
                                        .data_bytes = (uint32_t)strlen(text)};

    return world_ask(registry, &op, 1, NULL);
}

int world_set(struct rill_registry *registry, const char *path, int32_t version, const char *text)
{
    const struct rill_registry_op op = {.type = RILL_REGISTRY_SET,
                                        .path = path,
                                        .version = version,
                                        .data = text,
                                        .data_bytes = (uint32_t)strlen(text)};

    return world_ask(registry, &op, 1, NULL);
}

int world_delete(struct rill_registry *registry, const char *path, int32_t version)
{
    const struct rill_registry_op op = {
        .type = RILL_REGISTRY_DELETE, .path = path, .version = version};

    return world_ask(registry, &op, 1, NULL);
}

int world_get(struct rill_registry *registry, const char *path, struct world_told *told)
{
    return world_ask(registry, &(struct rill_registry_op){.type = RILL_REGISTRY_GET, .path = path},
                     1, told);
}

int world_list(struct rill_registry *registry, const char *path, struct world_told *told)
{
    return world_ask(registry, &(struct rill_registry_op){.type = RILL_REGISTRY_LIST, .path = path},
                     1, told);
}

/* --- all batteries ---------------------------------------------------------------------------- */

int world_run(const struct world_ops *ops)
{
    int failed = 0, rc;

    world = ops;
    rc = world->group_setup(NULL);
    if (rc != 0)
        return rc;
    failed += world_registry_battery();
    failed += world_session_battery();
    failed += world_election_battery();
    failed += world_epochs_battery();
    failed += world_membership_battery();
    failed += world_lease_table_battery();
    if (world->own_battery != NULL)
        failed += world->own_battery();
    world->group_teardown(NULL);
    return failed;
}
