/* A registry that keeps nodes in memory: what is written is found again, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/store_nodes.h"

enum { KEPT_MAX = 64, LARGE = 3 * STORE_PART_BYTES + 7 };

static struct kept {
    char key[STORE_KEY_BYTES];
    uint8_t *data;
    size_t bytes;
} kept[KEPT_MAX];
static struct store_nodes nodes;
static uint8_t large[LARGE];

static struct kept *find(const char *key)
{
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        if (strcmp(kept[i].key, key) == 0)
            return &kept[i];
    return NULL;
}

static void forget(struct kept *k)
{
    free(k->data);
    *k = (struct kept){.data = NULL};
}

/* Does the first job; the version that it tells. */
static uint64_t work(void)
{
    const struct store_job *job = nodes.first;
    struct kept *k = find(job->key);

    if (k == NULL)
        k = find("");
    assert_non_null(k);
    forget(k);
    if (!job->removes) {
        snprintf(k->key, sizeof(k->key), "%s", job->key);
        k->data = malloc(job->bytes + 1);
        memcpy(k->data, job->data, job->bytes);
        k->data[job->bytes] = '\0';
        k->bytes = job->bytes;
    }
    return store_nodes_done(&nodes);
}

/* Does all; the last version that was told. */
static uint64_t work_all(void)
{
    uint64_t version = 0, told;

    while (nodes.first != NULL) {
        told = work();
        version = told != 0 ? told : version;
    }
    return version;
}

static uint32_t nodes_kept(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < KEPT_MAX; i++)
        count += kept[i].key[0] != '\0';
    return count;
}

/* Another process reads them. What it finds of the record; bytes 0: nothing. */
static size_t read_again(const char *name, uint8_t *data, size_t room)
{
    struct rill_director_record records[STORE_NAMES_MAX];
    uint32_t count;
    size_t bytes = 0;

    store_nodes_fini(&nodes);
    nodes = (struct store_nodes){.busy = false};
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        if (kept[i].key[0] != '\0')
            store_nodes_add_read(&nodes, kept[i].key, kept[i].data, (uint32_t)kept[i].bytes);
    count = store_nodes_records(&nodes, records);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(records[i].name, name) == 0) {
            assert_true(records[i].bytes <= room);
            memcpy(data, records[i].data, records[i].bytes);
            bytes = records[i].bytes;
        }
        free((void *)(uintptr_t)records[i].data);
    }
    store_nodes_drop_read(&nodes);
    return bytes;
}

static void save_text(uint64_t version, const char *name, const char *text)
{
    store_nodes_save(&nodes, version, name, text, strlen(text));
}

static void expect_text(const char *name, const char *text)
{
    uint8_t data[64];

    assert_int_equal(read_again(name, data, sizeof(data)), strlen(text));
    assert_memory_equal(data, text, strlen(text));
}

static void expect_large(const char *name)
{
    static uint8_t data[LARGE];

    assert_int_equal(read_again(name, data, sizeof(data)), LARGE);
    assert_memory_equal(data, large, LARGE);
}

static int setup(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 2654435761U >> 24);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_nodes_fini(&nodes);
    nodes = (struct store_nodes){.busy = false};
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        forget(&kept[i]);
    return 0;
}

static void a_small_record_is_one_node(void **state)
{
    (void)state;
    save_text(7, "state", "units 1 to 3");
    assert_int_equal(work_all(), 7);
    assert_int_equal(nodes_kept(), 1);
    expect_text("state", "units 1 to 3");
    save_text(8, "state", "");
    assert_int_equal(work_all(), 8);
    expect_text("state", "");
}

static void a_large_one_is_whole_only_with_its_head(void **state)
{
    (void)state;
    save_text(1, "state", "small");
    work_all();
    store_nodes_save(&nodes, 2, "state", large, LARGE);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(work(), 0);
        assert_string_equal((char *)find("state")->data, "Ismall");
    }
    assert_int_equal(work(), 2);
    assert_null(nodes.first);
    expect_large("state");
}

static void a_new_version_takes_the_parts_of_the_one_before_away(void **state)
{
    (void)state;
    store_nodes_save(&nodes, 1, "state", large, LARGE);
    work_all();
    assert_int_equal(nodes_kept(), 5);
    expect_large("state"); /* and the next process knows of them */
    store_nodes_save(&nodes, 2, "state", large, LARGE - STORE_PART_BYTES);
    work_all();
    assert_int_equal(nodes_kept(), 4);
    save_text(3, "state", "small");
    work_all();
    assert_int_equal(nodes_kept(), 1);
}

static void without_a_part_there_is_no_record(void **state)
{
    uint8_t data[64];

    (void)state;
    store_nodes_save(&nodes, 9, "state", large, LARGE);
    save_text(1, "deployment-1", "nat");
    work_all();
    forget(find("state.9.2"));
    assert_int_equal(read_again("state", data, sizeof(data)), 0);
    expect_text("deployment-1", "nat");
}

static void a_newer_version_takes_the_place_of_what_waits(void **state)
{
    (void)state;
    store_nodes_save(&nodes, 1, "state", large, LARGE);
    save_text(1, "deployment-1", "nat");
    nodes.busy = true; /* its first part is under way */
    save_text(2, "state", "small");
    nodes.busy = false;
    assert_string_equal(nodes.first->key, "state.1.0");
    assert_string_equal(nodes.first->next->key, "deployment-1");
    assert_string_equal(nodes.last->key, "state");
    assert_int_equal(work_all(), 2);
    expect_text("state", "small");
    expect_text("deployment-1", "nat");
}

static void records_are_deleted(void **state)
{
    uint8_t data[8];

    (void)state;
    store_nodes_save(&nodes, 1, "state", large, LARGE);
    save_text(2, "deployment-1", "nat");
    work_all();
    store_nodes_save(&nodes, 3, "deployment-1", NULL, 0);
    assert_int_equal(work_all(), 0);
    assert_int_equal(read_again("deployment-1", data, sizeof(data)), 0);
    store_nodes_save_last(&nodes, "over", "state");
    store_nodes_remove_all(&nodes);
    work_all();
    assert_int_equal(nodes_kept(), 1);
    store_nodes_add_read(&nodes, "over", "1", 1);
    assert_true(store_nodes_has_read(&nodes, "over"));
}

static void odd_nodes_are_no_records(void **state)
{
    static const char *const texts[] = {"", "X", "P", "P 1", "P 1 5000", "P 1 1", "P x 1"};
    struct rill_director_record records[STORE_NAMES_MAX];

    (void)state;
    for (uint32_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        store_nodes_add_read(&nodes, "state", texts[i], (uint32_t)strlen(texts[i]));
        assert_int_equal(store_nodes_records(&nodes, records), 0);
        store_nodes_drop_read(&nodes);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_small_record_is_one_node),
        T(a_large_one_is_whole_only_with_its_head),
        T(a_new_version_takes_the_parts_of_the_one_before_away),
        T(without_a_part_there_is_no_record),
        T(a_newer_version_takes_the_place_of_what_waits),
        T(records_are_deleted),
        T(odd_nodes_are_no_records),
    };

    return cmocka_run_group_tests_name("store_nodes", tests, NULL, NULL);
}
