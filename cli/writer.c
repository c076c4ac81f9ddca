#include "cli/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 512 * 1024, CHUNKS_MAX = 128 };

struct record { /* in a chunk, before the packet's bytes; 8-aligned */
    struct rill_capture_packet_out meta;
    uint32_t bytes;
    uint32_t zero;
};

struct chunk {
    struct chunk *next;
    uint32_t used;
    _Alignas(8) uint8_t data[CHUNK_BYTES];
};

struct rill_writer {
    struct rill_capture_writer *file;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk *first, **last; /* full, in order */
    struct chunk *free;
    uint32_t made;
    bool closing;
    atomic_bool failed;
    struct chunk *current; /* the caller's, being filled */
    uint64_t waits;
};

static void write_chunk(struct rill_writer *w, const struct chunk *chunk)
{
    for (uint32_t at = 0; at < chunk->used;) {
        const struct record *record = (const struct record *)(chunk->data + at);
        const uint8_t *data = (const uint8_t *)(record + 1);

        if (!atomic_load(&w->failed) &&
            rill_capture_writer_put_bytes(w->file, data, record->bytes, &record->meta) != 0)
            atomic_store(&w->failed, true);
        at += (uint32_t)sizeof(*record) + RTE_ALIGN_CEIL(record->bytes, 8);
    }
}

static void *write_all(void *arg)
{
    struct rill_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct chunk *chunk = w->first;

        if (chunk == NULL) {
            if (w->closing)
                break;
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        w->first = chunk->next;
        if (w->first == NULL)
            w->last = &w->first;
        pthread_mutex_unlock(&w->lock);
        write_chunk(w, chunk);
        pthread_mutex_lock(&w->lock);
        chunk->next = w->free;
        w->free = chunk;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* An empty chunk: one that was written, a new one, or after a wait. */
static struct chunk *take_chunk(struct rill_writer *w)
{
    struct chunk *chunk = NULL;

    pthread_mutex_lock(&w->lock);
    while (w->free == NULL) {
        if (w->made < CHUNKS_MAX && (chunk = malloc(sizeof(*chunk))) != NULL) {
            w->made++;
            break;
        }
        if (w->made == 0)
            break; /* no memory for a single one */
        w->waits++;
        pthread_cond_wait(&w->changed, &w->lock);
    }
    if (chunk == NULL && w->free != NULL) {
        chunk = w->free;
        w->free = chunk->next;
    }
    pthread_mutex_unlock(&w->lock);
    if (chunk != NULL)
        chunk->used = 0;
    return chunk;
}

static void hand_over(struct rill_writer *w)
{
    struct chunk *chunk = w->current;

    w->current = NULL;
    chunk->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->last = chunk;
    w->last = &chunk->next;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

int rill_writer_open(const char *path, struct rill_writer **writer, struct rill_error *err)
{
    struct rill_writer *w = calloc(1, sizeof(*w));
    int rc;

    *writer = NULL;
    if (w == NULL)
        return rill_error_set(err, -ENOMEM, "%s: no memory for the writer", path);
    rc = rill_capture_writer_open(path, &w->file, err);
    if (rc != 0) {
        free(w);
        return rc;
    }
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    rc = pthread_create(&w->thread, NULL, write_all, w);
    if (rc != 0) {
        rill_capture_writer_close(w->file, NULL);
        free(w);
        return rill_error_set(err, -rc, "%s: no thread for the writer: %s", path, strerror(rc));
    }
    *writer = w;
    return 0;
}

bool rill_writer_put(struct rill_writer *w, const struct rte_mbuf *m,
                     const struct rill_capture_packet_out *meta)
{
    struct record record = {.meta = *meta, .bytes = rte_pktmbuf_pkt_len(m)};
    uint32_t need = (uint32_t)sizeof(record) + RTE_ALIGN_CEIL(record.bytes, 8);
    uint8_t *at;

    if (w->current != NULL && w->current->used + need > CHUNK_BYTES)
        hand_over(w);
    if (w->current == NULL)
        w->current = take_chunk(w);
    if (w->current == NULL || need > CHUNK_BYTES || atomic_load(&w->failed))
        return false;
    at = w->current->data + w->current->used;
    memcpy(at, &record, sizeof(record));
    at += sizeof(record);
    for (const struct rte_mbuf *segment = m; segment != NULL; segment = segment->next) {
        memcpy(at, rte_pktmbuf_mtod(segment, const void *), segment->data_len);
        at += segment->data_len;
    }
    w->current->used += need;
    return true;
}

uint64_t rill_writer_waits(const struct rill_writer *w)
{
    return w->waits;
}

static void free_chunks(struct chunk *chunk)
{
    for (struct chunk *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
}

int rill_writer_close(struct rill_writer *w, struct rill_error *err)
{
    int rc;

    if (w == NULL)
        return 0;
    if (w->current != NULL)
        hand_over(w);
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    rc = rill_capture_writer_close(w->file, err);
    free_chunks(w->free);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return rc;
}
