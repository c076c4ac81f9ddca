#include "lib/registry/lease_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than two tries only if others make and delete the same record meanwhile. */
enum { FENCE, RECORD, OPS, TRIES_MAX = 4 };

struct write {
    char *fence_path;
    int32_t fence_version;
    char *data; /* NULL: delete */
    uint32_t data_bytes;
    rill_lease_table_done *done;
    void *arg;
};

/* A key that is written now. */
struct key {
    struct key *next;
    struct rill_lease_table *table;
    bool creates; /* else it is thought to be there */
    bool has_waiting;
    unsigned tries;
    struct write now, waiting;
    char path[RILL_REGISTRY_PATH_MAX + 1];
};

struct rill_lease_table {
    struct rill_registry *registry;
    struct key *keys;
    struct rill_lease_table_reader reader;
    bool reading;
    uint32_t records_left; /* to be read */
    int read_status;
    char folder[RILL_REGISTRY_PATH_MAX + 1];
};

static const char *name_of(const struct key *key)
{
    return strrchr(key->path, '/') + 1;
}

static void free_write(struct write *write)
{
    free(write->fence_path);
    free(write->data);
    memset(write, 0, sizeof(*write));
}

static void remove_key(struct key *key)
{
    struct key **at = &key->table->keys;

    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    rill_registry_forget(key->table->registry, key);
    free_write(&key->now);
    free_write(&key->waiting);
    free(key);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void on_written(void *arg, const struct rill_registry_result *result);

static int send_write(struct key *key, struct rill_error *err)
{
    const struct write *write = &key->now;
    enum rill_registry_op_type type = write->data == NULL ? RILL_REGISTRY_DELETE
                                      : key->creates      ? RILL_REGISTRY_CREATE
                                                          : RILL_REGISTRY_SET;
    const struct rill_registry_op ops[OPS] = {[FENCE] = {.type = RILL_REGISTRY_CHECK,
                                                         .path = write->fence_path,
                                                         .version = write->fence_version},
                                              [RECORD] = {.type = type,
                                                          .path = key->path,
                                                          .version = RILL_REGISTRY_ANY_VERSION,
                                                          .data = write->data,
                                                          .data_bytes = write->data_bytes}};

    key->tries++;
    return rill_registry_ask(key->table->registry, ops, OPS, on_written, key, err);
}

/* Goes on to what waits, and tells. */
static void finish_write(struct key *key, int status)
{
    struct write done = key->now;
    char name[RILL_REGISTRY_NAME_MAX + 1];
    int rc = 0;

    memcpy(name, name_of(key), strlen(name_of(key)) + 1);
    key->now = key->waiting;
    memset(&key->waiting, 0, sizeof(key->waiting));
    key->tries = 0;
    if (key->has_waiting) {
        key->has_waiting = false;
        rc = send_write(key, NULL);
    } else {
        remove_key(key);
    }
    if (done.done != NULL)
        done.done(done.arg, name, status);
    free_write(&done);
    if (rc != 0)
        finish_write(key, rc);
}

static void on_written(void *arg, const struct rill_registry_result *result)
{
    struct key *key = arg;
    bool deletes = key->now.data == NULL;
    int status = result->status, other_way = key->creates ? -EEXIST : -ENOENT;

    if (status == 0 || result->failed != RECORD) {
        finish_write(key, status);
    } else if (deletes) {
        finish_write(key, status == -ENOENT ? 0 : status);
    } else if (status == other_way && key->tries < TRIES_MAX) {
        key->creates = !key->creates;
        status = send_write(key, NULL);
        if (status != 0)
            finish_write(key, status);
    } else {
        finish_write(key, status);
    }
}

static bool fill_write(struct write *write, const struct rill_registry_op *fence, const void *data,
                       uint32_t data_bytes, rill_lease_table_done *done, void *arg)
{
    *write = (struct write){.fence_path = strdup(fence->path),
                            .fence_version = fence->version,
                            .data_bytes = data_bytes,
                            .done = done,
                            .arg = arg};
    if (data != NULL)
        write->data = malloc(data_bytes + 1);
    if (write->data != NULL && data_bytes > 0)
        memcpy(write->data, data, data_bytes);
    if (write->fence_path != NULL && (data == NULL || write->data != NULL))
        return true;
    free_write(write);
    return false;
}

static void replace_waiting(struct key *key, struct write *write)
{
    struct write overtaken = key->waiting;
    bool had_one = key->has_waiting;

    key->waiting = *write;
    key->has_waiting = true;
    if (had_one && overtaken.done != NULL)
        overtaken.done(overtaken.arg, name_of(key), -ECANCELED);
    if (had_one)
        free_write(&overtaken);
}

static struct key *find_key(const struct rill_lease_table *table, const char *path)
{
    struct key *key = table->keys;

    while (key != NULL && strcmp(key->path, path) != 0)
        key = key->next;
    return key;
}

static int start_key(struct rill_lease_table *table, const char *path, struct write *write,
                     struct rill_error *err)
{
    struct key *key = calloc(1, sizeof(*key));
    int rc;

    if (key == NULL) {
        free_write(write);
        return rill_error_set(err, -ENOMEM, "no memory for a lease's record");
    }
    key->table = table;
    key->now = *write;
    memcpy(key->path, path, strlen(path) + 1);
    key->next = table->keys;
    table->keys = key;
    rc = send_write(key, err);
    if (rc != 0)
        remove_key(key);
    return rc;
}

static int record_path(const struct rill_lease_table *table, const char *name,
                       char path[2 * RILL_REGISTRY_PATH_MAX], struct rill_error *err)
{
    snprintf(path, 2 * RILL_REGISTRY_PATH_MAX, "%s/%s", table->folder, name);
    if (strchr(name, '/') != NULL)
        return rill_error_set(err, -EINVAL, "lease table %s: key '%s' has a '/'", table->folder,
                              name);
    return rill_registry_check_path(path, err);
}

int rill_lease_table_write(struct rill_lease_table *table, const struct rill_registry_op *fence,
                           const char *name, const void *data, uint32_t data_bytes,
                           rill_lease_table_done *done, void *arg, struct rill_error *err)
{
    char path[2 * RILL_REGISTRY_PATH_MAX];
    struct key *key;
    struct write write;
    int rc = record_path(table, name, path, err);

    if (rc != 0)
        return rc;
    if (data_bytes > RILL_REGISTRY_DATA_MAX)
        return rill_error_set(err, -EMSGSIZE, "lease table %s: '%s' has %u bytes, at most %d",
                              table->folder, name, data_bytes, RILL_REGISTRY_DATA_MAX);
    if (!fill_write(&write, fence, data, data_bytes, done, arg))
        return rill_error_set(err, -ENOMEM, "no memory for a lease's record");
    key = find_key(table, path);
    if (key == NULL)
        return start_key(table, path, &write, err);
    replace_waiting(key, &write);
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void finish_reading(struct rill_lease_table *table)
{
    table->reading = false;
    table->reader.done(table->reader.arg, table->read_status);
}

/* A record that went meanwhile is none. */
static void on_record(void *arg, const struct rill_registry_result *result)
{
    struct rill_lease_table *table = arg;

    if (result->status == 0)
        table->reader.record(table->reader.arg, strrchr(result->path, '/') + 1, result->data,
                             result->data_bytes);
    else if (result->status != -ENOENT)
        table->read_status = result->status;
    if (--table->records_left == 0)
        finish_reading(table);
}

static void on_list(void *arg, const struct rill_registry_result *result)
{
    struct rill_lease_table *table = arg;

    table->read_status = result->status;
    table->records_left = 0;
    for (uint32_t i = 0; i < result->children_count && table->read_status == 0; i++) {
        char path[2 * RILL_REGISTRY_PATH_MAX];
        const struct rill_registry_op get = {.type = RILL_REGISTRY_GET, .path = path};

        snprintf(path, sizeof(path), "%s/%s", table->folder, result->children[i]);
        table->read_status = rill_registry_ask(table->registry, &get, 1, on_record, table, NULL);
        table->records_left += table->read_status == 0;
    }
    if (table->records_left == 0)
        finish_reading(table);
}

int rill_lease_table_read(struct rill_lease_table *table,
                          const struct rill_lease_table_reader *reader, struct rill_error *err)
{
    const struct rill_registry_op list = {.type = RILL_REGISTRY_LIST, .path = table->folder};
    int rc;

    if (table->reading)
        return rill_error_set(err, -EBUSY, "lease table %s: it is being read", table->folder);
    rc = rill_registry_ask(table->registry, &list, 1, on_list, table, err);
    if (rc != 0)
        return rc;
    table->reader = *reader;
    table->reading = true;
    return 0;
}

/* --- making and ending ------------------------------------------------------------------------ */

int rill_lease_table_create(struct rill_registry *registry, const char *folder,
                            struct rill_lease_table **table, struct rill_error *err)
{
    int rc = rill_registry_check_path(folder, err);
    struct rill_lease_table *t;

    if (rc != 0)
        return rc;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for a lease table");
    t->registry = registry;
    memcpy(t->folder, folder, strlen(folder) + 1);
    *table = t;
    return 0;
}

void rill_lease_table_destroy(struct rill_lease_table *table)
{
    if (table == NULL)
        return;
    rill_registry_forget(table->registry, table);
    while (table->keys != NULL)
        remove_key(table->keys);
    free(table);
}
