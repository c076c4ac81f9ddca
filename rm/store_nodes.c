#include "rm/store_nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

enum { PARTS_MAX = 1024 };

struct store_node {
    char key[STORE_KEY_BYTES];
    uint8_t *data;
    uint32_t bytes;
};

void store_nodes_fini(struct store_nodes *n)
{
    n->busy = false;
    store_nodes_drop_jobs(n);
    store_nodes_drop_read(n);
    free(n->read);
    n->read = NULL;
    n->read_room = 0;
}

static void part_key(char key[STORE_KEY_BYTES], const char *name, uint64_t version, uint32_t part)
{
    snprintf(key, STORE_KEY_BYTES, "%s.%" PRIu64 ".%" PRIu32, name, version, part);
}

static struct store_head *head_named(struct store_nodes *n, const char *name)
{
    struct store_head *unused = NULL;

    for (uint32_t i = 0; i < STORE_NAMES_MAX; i++) {
        if (strcmp(n->heads[i].name, name) == 0)
            return &n->heads[i];
        if (n->heads[i].name[0] == '\0' && unused == NULL)
            unused = &n->heads[i];
    }
    if (unused != NULL)
        snprintf(unused->name, sizeof(unused->name), "%s", name);
    return unused;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static struct store_job *add_job(struct store_nodes *n, const char *key, const char *name,
                                 const void *data, size_t bytes)
{
    struct store_job *job = calloc(1, sizeof(*job) + bytes + 1);

    if (job == NULL)
        abort();
    snprintf(job->key, sizeof(job->key), "%s", key);
    snprintf(job->name, sizeof(job->name), "%s", name);
    job->bytes = bytes;
    if (data != NULL)
        memcpy(job->data, data, bytes);
    if (n->first == NULL)
        n->first = job;
    else
        n->last->next = job;
    n->last = job;
    return job;
}

static void drop_first(struct store_nodes *n)
{
    struct store_job *job = n->first;

    n->first = job->next;
    free(job);
}

void store_nodes_drop_jobs(struct store_nodes *n)
{
    while (n->first != NULL)
        drop_first(n);
}

/* Those of that record that wait: a newer one takes their place. */
static void supersede(struct store_nodes *n, const char *name)
{
    struct store_job **at = n->busy && n->first != NULL ? &n->first->next : &n->first;

    while (*at != NULL) {
        struct store_job *job = *at;

        if (strcmp(job->name, name) != 0 || job->removes) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        free(job);
    }
    n->last = n->first;
    while (n->last != NULL && n->last->next != NULL)
        n->last = n->last->next;
}

static void remove_parts(struct store_nodes *n, const struct store_head *head)
{
    char key[STORE_KEY_BYTES];

    for (uint32_t i = 0; i < head->parts; i++) {
        part_key(key, head->name, head->version, i);
        add_job(n, key, "", NULL, 0)->removes = true;
    }
}

/* The head of a record is another one now: what the one before pointed to is nobody's. */
static void note_head(struct store_nodes *n, const struct store_job *job)
{
    struct store_head *head = head_named(n, job->name);

    if (head == NULL)
        return;
    remove_parts(n, head);
    head->parts = job->parts;
    head->version = job->version;
    if (job->removes)
        *head = (struct store_head){.name = ""};
}

uint64_t store_nodes_done(struct store_nodes *n)
{
    const struct store_job *job = n->first;
    uint64_t version = job->version;

    if (strcmp(job->key, job->name) == 0)
        note_head(n, job);
    drop_first(n);
    return version;
}

/* --- records to be written -------------------------------------------------------------------- */

static void save_large(struct store_nodes *n, uint64_t version, const char *name,
                       const uint8_t *data, size_t bytes)
{
    uint32_t parts = (uint32_t)((bytes + STORE_PART_BYTES - 1) / STORE_PART_BYTES);
    char text[64], key[STORE_KEY_BYTES];
    struct store_job *head;

    for (uint32_t i = 0; i < parts; i++) {
        size_t at = (size_t)i * STORE_PART_BYTES;

        part_key(key, name, version, i);
        add_job(n, key, name, data + at, RTE_MIN((size_t)STORE_PART_BYTES, bytes - at));
    }
    snprintf(text, sizeof(text), "P %" PRIu64 " %" PRIu32, version, parts);
    head = add_job(n, name, name, text, strlen(text));
    head->version = version;
    head->parts = parts;
}

void store_nodes_save(struct store_nodes *n, uint64_t version, const char *name, const void *data,
                      size_t bytes)
{
    struct store_job *job;

    supersede(n, name);
    if (data == NULL) {
        job = add_job(n, name, name, NULL, 0);
        job->removes = true;
    } else if (bytes >= STORE_PART_BYTES) {
        save_large(n, version, name, data, bytes);
    } else {
        job = add_job(n, name, name, NULL, 1 + bytes);
        job->data[0] = 'I';
        memcpy(job->data + 1, data, bytes);
        job->version = version;
    }
}

void store_nodes_save_last(struct store_nodes *n, const char *key, const char *instead)
{
    supersede(n, instead);
    add_job(n, key, "", "1", 1);
}

void store_nodes_remove_all(struct store_nodes *n)
{
    for (uint32_t i = 0; i < STORE_NAMES_MAX; i++)
        if (n->heads[i].name[0] != '\0')
            store_nodes_save(n, 0, n->heads[i].name, NULL, 0);
}

/* --- records that were read ------------------------------------------------------------------- */

void store_nodes_drop_read(struct store_nodes *n)
{
    for (uint32_t i = 0; i < n->read_count; i++)
        free(n->read[i].data);
    n->read_count = 0;
}

void store_nodes_add_read(struct store_nodes *n, const char *key, const void *data, uint32_t bytes)
{
    struct store_node *node;

    if (n->read_count == n->read_room) {
        uint32_t room = n->read_room == 0 ? 64 : 2 * n->read_room;

        n->read = realloc(n->read, room * sizeof(*node));
        if (n->read == NULL)
            abort();
        n->read_room = room;
    }
    node = &n->read[n->read_count++];
    snprintf(node->key, sizeof(node->key), "%s", key);
    node->bytes = bytes;
    node->data = malloc((size_t)bytes + 1);
    if (node->data == NULL)
        abort();
    memcpy(node->data, data, bytes);
    node->data[bytes] = '\0';
}

static const struct store_node *node_of(const struct store_nodes *n, const char *key)
{
    for (uint32_t i = 0; i < n->read_count; i++)
        if (strcmp(n->read[i].key, key) == 0)
            return &n->read[i];
    return NULL;
}

bool store_nodes_has_read(const struct store_nodes *n, const char *key)
{
    return node_of(n, key) != NULL;
}

/* NULL: a part is missing. */
static uint8_t *join_parts(const struct store_nodes *n, const struct store_head *head,
                           size_t *bytes)
{
    uint8_t *all = malloc((size_t)head->parts * STORE_PART_BYTES + 1);

    *bytes = 0;
    for (uint32_t i = 0; all != NULL && i < head->parts; i++) {
        char key[STORE_KEY_BYTES];
        const struct store_node *node;

        part_key(key, head->name, head->version, i);
        node = node_of(n, key);
        if (node == NULL || node->bytes > STORE_PART_BYTES) {
            free(all);
            return NULL;
        }
        memcpy(all + *bytes, node->data, node->bytes);
        *bytes += node->bytes;
    }
    return all;
}

/* NULL: it is no record, or not whole. */
static uint8_t *read_record(struct store_nodes *n, const struct store_node *node, size_t *bytes)
{
    struct store_head *head;
    uint8_t *data;

    if (strchr(node->key, '.') != NULL || node->bytes == 0 ||
        strlen(node->key) > RILL_STORE_NAME_MAX)
        return NULL;
    head = head_named(n, node->key);
    if (head == NULL)
        return NULL;
    if (node->data[0] == 'P' &&
        sscanf((const char *)node->data, "P %" SCNu64 " %" SCNu32, &head->version, &head->parts) ==
            2 &&
        head->parts <= PARTS_MAX)
        return join_parts(n, head, bytes);
    if (node->data[0] != 'I')
        return NULL;
    *bytes = node->bytes - 1;
    data = malloc(*bytes + 1);
    if (data != NULL)
        memcpy(data, node->data + 1, *bytes);
    return data;
}

uint32_t store_nodes_records(struct store_nodes *n, struct rill_director_record *records)
{
    uint32_t count = 0;

    memset(n->heads, 0, sizeof(n->heads));
    for (uint32_t i = 0; i < n->read_count && count < STORE_NAMES_MAX; i++) {
        size_t bytes = 0;
        uint8_t *data = read_record(n, &n->read[i], &bytes);

        if (data != NULL)
            records[count++] =
                (struct rill_director_record){.name = n->read[i].key, .data = data, .bytes = bytes};
    }
    return count;
}
