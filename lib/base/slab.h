/* Objects of one size, up to a bound, from chunks: a role's flows, segments and entries.
 *
 * Memory is taken a chunk at a time and only as it is used; objects that come back are used again
 * first. get() gives zeroed memory, 64-byte aligned. A slab that may get large has chunks of one
 * huge page each (table_memory.h). Objects of which mostly only the beginning is used can be had
 * without touching the rest: then pages are small, and what is not touched takes none. One thread.
 */
#ifndef RILL_LIB_BASE_SLAB_H
#define RILL_LIB_BASE_SLAB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/table_memory.h"

enum { RILL_SLAB_CHUNK = 256, RILL_SLAB_ALIGN = 64 };

struct rill_slab {
    size_t bytes;  /* of an object, rounded up */
    size_t zeroed; /* of an object by get(); the others are zero when it is put back */
    uint32_t max, used, made;
    uint32_t per_chunk;
    size_t chunk_bytes;
    uint32_t fresh;  /* of `made`: those behind have not been touched yet */
    void *free;      /* that came back: a list through the objects' first word */
    uint8_t **chunk; /* made / per_chunk of them */
};

static inline int rill_slab_init(struct rill_slab *slab, size_t bytes, uint32_t max)
{
    *slab = (struct rill_slab){.bytes = (bytes + RILL_SLAB_ALIGN - 1) / RILL_SLAB_ALIGN *
                                        RILL_SLAB_ALIGN,
                               .max = max,
                               .per_chunk = RILL_SLAB_CHUNK};
    slab->zeroed = slab->bytes;
    slab->chunk_bytes = slab->bytes * RILL_SLAB_CHUNK;
    if (slab->chunk_bytes < RILL_TABLE_HUGE_BYTES &&
        slab->bytes * (uint64_t)max >= 8 * (uint64_t)RILL_TABLE_HUGE_BYTES) {
        slab->chunk_bytes = RILL_TABLE_HUGE_BYTES;
        slab->per_chunk = (uint32_t)(slab->chunk_bytes / slab->bytes);
    }
    slab->chunk = calloc(max / slab->per_chunk + 1, sizeof(slab->chunk[0]));
    return slab->chunk == NULL ? -1 : 0;
}

static inline bool rill_slab_is_sparse(const struct rill_slab *slab)
{
    return slab->zeroed < slab->bytes;
}

/* The same, but who puts an object back has zeroed what it wrote behind the first head_bytes: where
 * there is so much behind them that whole pages may never be touched, get() does not do it. */
static inline int rill_slab_init_sparse(struct rill_slab *slab, size_t bytes, size_t head_bytes,
                                        uint32_t max)
{
    int rc = rill_slab_init(slab, bytes, max);

    if (bytes >= head_bytes + 2 * RILL_TABLE_PAGE_BYTES)
        slab->zeroed = head_bytes;
    return rc;
}

static inline void rill_slab_fini(struct rill_slab *slab)
{
    for (uint32_t i = 0; slab->chunk != NULL && i * slab->per_chunk < slab->made; i++)
        rill_table_free(slab->chunk[i], slab->chunk_bytes);
    free(slab->chunk);
    *slab = (struct rill_slab){0};
}

static inline int rill_slab_grow(struct rill_slab *slab)
{
    bool small = slab->chunk_bytes < RILL_TABLE_HUGE_BYTES;
    uint8_t *chunk = small                       ? aligned_alloc(RILL_SLAB_ALIGN, slab->chunk_bytes)
                     : rill_slab_is_sparse(slab) ? rill_table_alloc_sparse(slab->chunk_bytes)
                                                 : rill_table_alloc(slab->chunk_bytes);

    if (chunk == NULL)
        return -1;
    if (small && rill_slab_is_sparse(slab))
        memset(chunk, 0, slab->chunk_bytes);
    slab->chunk[slab->made / slab->per_chunk] = chunk;
    slab->made += slab->per_chunk;
    return 0;
}

/* The first objects cost no more than later ones: their memory is there. */
static inline void rill_slab_prefault(struct rill_slab *slab)
{
    if (slab->made == 0 && rill_slab_grow(slab) == 0 && !rill_slab_is_sparse(slab))
        rill_table_prefault(slab->chunk[0], slab->chunk_bytes);
}

/* Takes the next chunk before an object needs it, so that none waits until a huge page is zeroed.
 * For the time between bursts: with `idle`, where nobody waits, as soon as the last chunk is in
 * use; else only when three quarters of it are. True if it took one. */
static inline bool rill_slab_prefault_ahead(struct rill_slab *slab, bool idle)
{
    uint32_t left = slab->made - slab->fresh, last = slab->made / slab->per_chunk;

    if (slab->chunk_bytes < RILL_TABLE_HUGE_BYTES || slab->made == 0 || slab->made >= slab->max ||
        left >= (idle ? slab->per_chunk : slab->per_chunk / 4) || rill_slab_grow(slab) != 0)
        return false;
    rill_table_prefault(slab->chunk[last], slab->chunk_bytes);
    return true;
}

/* NULL at the bound or when there is no memory. */
static inline void *rill_slab_get(struct rill_slab *slab)
{
    void *object = slab->free;

    if (slab->used >= slab->max)
        return NULL;
    if (object != NULL) {
        slab->free = *(void **)object;
    } else {
        if (slab->fresh == slab->made && rill_slab_grow(slab) != 0)
            return NULL;
        object = slab->chunk[slab->fresh / slab->per_chunk] +
                 (slab->fresh % slab->per_chunk) * slab->bytes;
        slab->fresh++;
    }
    slab->used++;
    memset(object, 0, slab->zeroed);
    return object;
}

static inline uint64_t rill_slab_taken_bytes(const struct rill_slab *slab)
{
    return slab->bytes * (uint64_t)slab->made;
}

static inline void rill_slab_put(struct rill_slab *slab, void *object)
{
    *(void **)object = slab->free;
    slab->free = object;
    slab->used--;
}

#endif
