/* Where a core puts what it wants sent: a growing list of frames, each with its `dst` set.
 *
 * The caller of a core owns the outbox, and the frames in it once the core has returned. A frame to
 * RILL_ROLE_PORT is a released packet. Order in the box is the order of sending.
 */
#ifndef RILL_LIB_FRAME_OUTBOX_H
#define RILL_LIB_FRAME_OUTBOX_H

#include <stdlib.h>

#include <rte_mbuf.h>

struct rill_outbox {
    struct rte_mbuf **frames;
    uint32_t count, capacity;
};

/* Grows by doubling, so in steady state it never allocates. Running out of memory here aborts: the
 * list is bounded by the mbuf pool, some hundred kilobytes. */
static inline void rill_outbox_put(struct rill_outbox *box, struct rte_mbuf *m)
{
    if (box->count == box->capacity) {
        box->capacity = box->capacity ? box->capacity * 2 : 256;
        box->frames = realloc(box->frames, box->capacity * sizeof(box->frames[0]));
        if (box->frames == NULL)
            abort();
    }
    box->frames[box->count++] = m;
}

/* Frees the list and every frame still in it. */
static inline void rill_outbox_fini(struct rill_outbox *box)
{
    for (uint32_t i = 0; i < box->count; i++)
        rte_pktmbuf_free(box->frames[i]);
    free(box->frames);
    *box = (struct rill_outbox){0};
}

#endif
