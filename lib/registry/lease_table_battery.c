/* The table of leases over whichever registry: what is written is the last leader's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/registry/lease_table.h"
#include "lib/registry/world.h"

enum { ANY = RILL_REGISTRY_ANY_VERSION };

static struct rill_registry *session;
static struct rill_lease_table *table;
static struct rill_registry_op fence;
static char fence_path[RILL_REGISTRY_PATH_MAX + 1];

struct written {
    unsigned times;
    int status;
    char key[RILL_REGISTRY_NAME_MAX + 1];
};

static void on_written(void *arg, const char *key, int status)
{
    struct written *written = arg;

    written->times++;
    written->status = status;
    snprintf(written->key, sizeof(written->key), "%s", key);
}

static void write_text(const char *key, const char *text, struct written *written)
{
    struct rill_error err = {""};

    *written = (struct written){.times = 0};
    if (rill_lease_table_write(table, &fence, key, text, text == NULL ? 0 : (uint32_t)strlen(text),
                               on_written, written, &err) != 0)
        fail_msg("%s", err.text);
}

static int write_and_wait(const char *key, const char *text)
{
    struct written written;

    write_text(key, text, &written);
    world_await(written.times == 1);
    assert_string_equal(written.key, key);
    return written.status;
}

static const char *stored(const char *key)
{
    static struct world_told told;
    char name[100];

    snprintf(name, sizeof(name), "leases/%s", key);
    return world_get(session, world_path(name), &told) == 0 ? told.text : "none";
}

static int setup(void **state)
{
    world_setup(state);
    session = world_connect();
    snprintf(fence_path, sizeof(fence_path), "%s", world_path("epoch"));
    assert_int_equal(world_create(session, fence_path, 0, "1"), 0);
    assert_int_equal(world_create(session, world_path("leases"), 0, ""), 0);
    fence =
        (struct rill_registry_op){.type = RILL_REGISTRY_CHECK, .path = fence_path, .version = 0};
    return rill_lease_table_create(session, world_path("leases"), &table, NULL);
}

static int teardown(void **state)
{
    rill_lease_table_destroy(table);
    table = NULL;
    return world_teardown(state);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void records_are_made_replaced_and_deleted(void **state)
{
    (void)state;
    assert_int_equal(write_and_wait("c-1", "one"), 0);
    assert_string_equal(stored("c-1"), "one");
    assert_int_equal(write_and_wait("c-1", "two"), 0);
    assert_string_equal(stored("c-1"), "two");
    assert_int_equal(write_and_wait("c-1", ""), 0); /* empty is not deleted */
    assert_string_equal(stored("c-1"), "");
    assert_int_equal(write_and_wait("c-1", NULL), 0);
    assert_string_equal(stored("c-1"), "none");
    assert_int_equal(write_and_wait("c-1", NULL), 0);
    assert_int_equal(write_and_wait("c-1", "three"), 0);
    assert_string_equal(stored("c-1"), "three");
}

static void a_deposed_writer_is_refused(void **state)
{
    (void)state;
    assert_int_equal(write_and_wait("c-1", "old"), 0);
    assert_int_equal(world_set(session, fence_path, 0, "2"), 0); /* another one won */
    assert_int_equal(write_and_wait("c-1", "late"), -ESTALE);
    assert_int_equal(write_and_wait("c-2", "late"), -ESTALE); /* one that was not there */
    assert_int_equal(write_and_wait("c-1", NULL), -ESTALE);
    assert_string_equal(stored("c-1"), "old");
    assert_string_equal(stored("c-2"), "none");
    fence.version = 1;
    assert_int_equal(write_and_wait("c-1", "new"), 0);
    assert_string_equal(stored("c-1"), "new");
}

static void of_waiting_writes_the_last_is_sent(void **state)
{
    enum { WRITES = 10 };
    struct written written[WRITES], other;
    char text[20];

    (void)state;
    for (int i = 0; i < WRITES; i++) {
        snprintf(text, sizeof(text), "%d", i);
        write_text("c-1", text, &written[i]);
    }
    write_text("c-2", "other", &other);
    world_await(written[WRITES - 1].times == 1 && other.times == 1);
    for (int i = 0; i < WRITES; i++) {
        assert_int_equal(written[i].times, 1);
        assert_int_equal(written[i].status, i == 0 || i == WRITES - 1 ? 0 : -ECANCELED);
    }
    assert_int_equal(other.status, 0);
    assert_string_equal(stored("c-1"), "9");
    assert_string_equal(stored("c-2"), "other");
}

static struct written again;

static void write_again(void *arg, const char *key, int status)
{
    on_written(arg, key, status);
    if (status == 0)
        write_text("c-1", "from within", &again);
}

static void a_write_can_be_asked_for_from_within(void **state)
{
    struct written written = {0};

    (void)state;
    assert_int_equal(
        rill_lease_table_write(table, &fence, "c-1", "first", 5, write_again, &written, NULL), 0);
    world_await(again.times == 1);
    assert_int_equal(again.status, 0);
    assert_string_equal(stored("c-1"), "from within");
}

struct records {
    unsigned count, done;
    int status;
    char text[WORLD_TEXT_MAX];
};

static void on_record(void *arg, const char *key, const void *data, uint32_t data_bytes)
{
    struct records *records = arg;
    size_t at = strlen(records->text);

    records->count++;
    snprintf(records->text + at, sizeof(records->text) - at, "%s=%.*s ", key, (int)data_bytes,
             (const char *)data);
}

static void on_read(void *arg, int status)
{
    struct records *records = arg;

    records->done++;
    records->status = status;
}

static void all_are_read(void **state)
{
    struct records records = {0};
    const struct rill_lease_table_reader reader = {
        .record = on_record, .done = on_read, .arg = &records};
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(rill_lease_table_read(table, &reader, &err), 0);
    assert_int_equal(rill_lease_table_read(table, &reader, &err), -EBUSY);
    world_await(records.done == 1);
    assert_int_equal(records.count, 0);
    assert_int_equal(write_and_wait("c-2", "two"), 0);
    assert_int_equal(write_and_wait("c-1", "one"), 0);
    assert_int_equal(rill_lease_table_read(table, &reader, &err), 0);
    world_await(records.done == 2);
    assert_int_equal(records.status, 0);
    assert_string_equal(records.text, "c-1=one c-2=two ");
}

static void a_loss_of_the_connection_is_told(void **state)
{
    struct written written;
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(write_and_wait("c-1", "one"), 0);
    world->stop();
    write_text("c-1", "two", &written);
    world_await(written.times == 1);
    assert_int_equal(written.status, -ECONNRESET);
    world_await(rill_registry_state(session) == RILL_REGISTRY_SUSPENDED);
    assert_int_equal(
        rill_lease_table_write(table, &fence, "c-1", "x", 1, on_written, &written, &err),
        -ENOTCONN);
    world->start();
    world_await(rill_registry_state(session) == RILL_REGISTRY_CONNECTED);
    assert_int_equal(write_and_wait("c-1", "three"), 0);
    assert_string_equal(stored("c-1"), "three");
}

static void bad_writes_are_refused(void **state)
{
    static char data[RILL_REGISTRY_DATA_MAX + 1];
    struct rill_lease_table *nowhere;
    struct written written = {0};
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(
        rill_lease_table_write(table, &fence, "a/b", "", 0, on_written, &written, &err), -EINVAL);
    assert_int_equal(rill_lease_table_write(table, &fence, "", "", 0, on_written, &written, &err),
                     -EINVAL);
    assert_int_equal(
        rill_lease_table_write(table, &fence, "a", data, sizeof(data), on_written, &written, &err),
        -EMSGSIZE);
    assert_int_equal(rill_lease_table_create(session, world_path("no"), &nowhere, NULL), 0);
    assert_int_equal(
        rill_lease_table_write(nowhere, &fence, "a", "", 0, on_written, &written, &err), 0);
    world_await(written.times == 1);
    assert_int_equal(written.status, -ENOENT);
    rill_lease_table_destroy(nowhere);
}

int world_lease_table_battery(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(records_are_made_replaced_and_deleted),
        TEST(a_deposed_writer_is_refused),
        TEST(of_waiting_writes_the_last_is_sent),
        TEST(a_write_can_be_asked_for_from_within),
        TEST(all_are_read),
        TEST(a_loss_of_the_connection_is_told),
        TEST(bad_writes_are_refused),
    };

    return cmocka_run_group_tests_name("lease_table", tests, NULL, NULL);
}
