#include "eval/bench/tape.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/frame/frame.h"

/* Before each frame. Its metadata follow, and its data. */
struct saved {
    uint16_t metadata_bytes;
    bool tuple;
    uint32_t data_bytes;
};

#define ROOM_FIRST ((size_t)64 << 20)

/* --- recording ---------------------------------------------------------------------------------
 */

static bool make_room(struct bench_tape *tape, size_t bytes)
{
    size_t room = tape->room == 0 ? ROOM_FIRST : tape->room * 2;
    void *more;

    if (tape->used + bytes <= tape->room)
        return true;
    more = tape->bytes == NULL
               ? mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
               : mremap(tape->bytes, tape->room, room, MREMAP_MAYMOVE);
    if (more == MAP_FAILED)
        return false;
    tape->bytes = more;
    tape->room = room;
    return tape->used + bytes <= room;
}

void bench_tape_free(struct bench_tape *tape)
{
    if (tape->bytes != NULL)
        munmap(tape->bytes, tape->room);
    *tape = (struct bench_tape){0};
}

static void append(struct bench_tape *tape, const void *from, size_t bytes)
{
    if (tape->full || !make_room(tape, bytes)) {
        tape->full = true;
        return;
    }
    memcpy(tape->bytes + tape->used, from, bytes);
    tape->used += bytes;
}

static void append_frame(struct bench_tape *tape, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct saved saved = {.metadata_bytes =
                              (uint16_t)(offsetof(struct rill_frame, state) +
                                         RTE_MIN(f->state_bytes, (unsigned)RILL_INLINE_STATE)),
                          .tuple = (f->flags & RILL_FLAG_TUPLE) != 0,
                          .data_bytes = m->pkt_len};

    append(tape, &saved, sizeof(saved));
    append(tape, f, saved.metadata_bytes);
    if (saved.tuple)
        append(tape, &f->tuple, sizeof(f->tuple));
    for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
        append(tape, rte_pktmbuf_mtod(s, const void *), s->data_len);
}

void bench_tape_write(struct bench_tape *tape, enum bench_event event, uint64_t now_ns,
                      struct rte_mbuf *const *frames, uint32_t n)
{
    const struct bench_tape_entry entry = {event, n, now_ns};

    append(tape, &entry, sizeof(entry));
    for (uint32_t i = 0; i < n; i++)
        append_frame(tape, frames[i]);
}

/* --- playing ------------------------------------------------------------------------------------
 */

static const void *take(struct bench_tape *tape, size_t bytes)
{
    const void *here = tape->bytes + tape->at;

    tape->at += bytes;
    return here;
}

bool bench_tape_next(struct bench_tape *tape, struct bench_tape_entry *entry)
{
    if (tape->at == tape->used)
        return false;
    memcpy(entry, take(tape, sizeof(*entry)), sizeof(*entry));
    return true;
}

static void take_frame(struct bench_tape *tape, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    struct saved saved;

    memcpy(&saved, take(tape, sizeof(saved)), sizeof(saved));
    memcpy(f, take(tape, saved.metadata_bytes), saved.metadata_bytes);
    f->link = NULL;
    if (saved.tuple)
        memcpy(&f->tuple, take(tape, sizeof(f->tuple)), sizeof(f->tuple));
    m->data_len = (uint16_t)saved.data_bytes;
    m->pkt_len = saved.data_bytes;
    memcpy(rte_pktmbuf_mtod(m, void *), take(tape, saved.data_bytes), saved.data_bytes);
}

bool bench_tape_frames(struct bench_tape *tape, const struct bench_tape_entry *entry,
                       struct rte_mempool *pool, struct rte_mbuf **frames)
{
    if (rte_pktmbuf_alloc_bulk(pool, frames, entry->n) != 0)
        return false;
    for (uint32_t i = 0; i < entry->n; i++)
        take_frame(tape, frames[i]);
    return true;
}
