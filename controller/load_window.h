/* What each unit was sent in the last 200 buckets of 500 us, and what it is expected to be sent.
 *
 * Buckets lie on multiples of 500 us; the window is the bucket that now is in and the 199 before.
 * Every bucket keeps a list of the units that it has bytes of, so that a bucket that leaves the
 * window costs as much as it has units, and an idle unit costs nothing. Expected bytes are kept in
 * two generations of `expect_ns` each and are void when theirs is over twice.
 *
 * The owner calls rill_load_window_expire() until it gives nothing more, before it looks at or adds
 * anything at a new now_ns; each unit that it gives has become lighter.
 */
#ifndef RILL_CONTROLLER_LOAD_WINDOW_H
#define RILL_CONTROLLER_LOAD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/wam.h"

enum { RILL_LOAD_GENERATIONS = 2 };

struct rill_load_cell {
    uint32_t bytes;
    uint32_t next; /* slot + 1 in the list of the bucket; 0: not in it; UINT32_MAX: its last */
};

/* Buckets or generations: a row of cells each, and the list through it. */
struct rill_load_ring {
    struct rill_load_cell *cells; /* row after row: the row that now is in stays in the cache */
    uint32_t *head;               /* per row */
    uint32_t rows, row;           /* row: the one that now is in */
    uint32_t filled;              /* cells in any list */
    uint32_t turn;                /* rows begun so far, wrapping */
    uint64_t width_ns, end_ns;    /* of the row that now is in */
};

struct rill_load_window {
    uint32_t slots;
    struct rill_load_ring drained, pending;
    uint64_t *bytes; /* per slot: all of both rings */
};

/* 0 or -ENOMEM. Slots are numbers below `slots` that the owner gives its units. */
int rill_load_window_init(struct rill_load_window *window, uint32_t slots, uint64_t expect_ns);
void rill_load_window_fini(struct rill_load_window *window);

/* A slot that has become lighter by what is too old at now_ns; UINT32_MAX: none is left. */
uint32_t rill_load_window_expire(struct rill_load_window *window, uint64_t now_ns);

static inline struct rill_load_cell *rill_load_cell_at(const struct rill_load_window *window,
                                                       const struct rill_load_ring *ring,
                                                       uint32_t row, uint32_t slot)
{
    return &ring->cells[(size_t)row * window->slots + slot];
}

/* Adds to the row that now is in. Gives what was added: a cell that is full takes no more. */
static inline uint32_t rill_load_ring_add(struct rill_load_window *window,
                                          struct rill_load_ring *ring, uint32_t slot,
                                          uint32_t bytes)
{
    struct rill_load_cell *cell = rill_load_cell_at(window, ring, ring->row, slot);

    if (bytes > UINT32_MAX - cell->bytes)
        bytes = UINT32_MAX - cell->bytes;
    if (bytes > 0 && cell->next == 0) {
        cell->next = ring->head[ring->row];
        ring->head[ring->row] = slot + 1;
        ring->filled++;
    }
    cell->bytes += bytes;
    window->bytes[slot] += bytes;
    return bytes;
}

static inline void rill_load_window_drained(struct rill_load_window *window, uint32_t slot,
                                            uint32_t bytes)
{
    rill_load_ring_add(window, &window->drained, slot, bytes);
}

/* *pending says from now on what is expected at the slot. */
static inline void rill_load_window_expect(struct rill_load_window *window, uint32_t slot,
                                           uint32_t bytes, struct rill_wam_pending *pending)
{
    pending->bytes = rill_load_ring_add(window, &window->pending, slot, bytes);
    pending->generation = window->pending.turn;
}

/* So many of the pending bytes have come, or will not come. */
static inline void rill_load_window_settle(struct rill_load_window *window, uint32_t slot,
                                           uint32_t bytes, struct rill_wam_pending *pending)
{
    struct rill_load_ring *ring = &window->pending;
    uint32_t age = ring->turn - pending->generation;
    struct rill_load_cell *cell;

    if (age >= ring->rows) {
        pending->bytes = 0; /* has expired at the unit */
        return;
    }
    if (bytes > pending->bytes)
        bytes = pending->bytes;
    pending->bytes -= bytes;
    cell = rill_load_cell_at(
        window, ring, ring->row >= age ? ring->row - age : ring->row + ring->rows - age, slot);
    if (bytes > cell->bytes) /* the unit has been cleared since */
        bytes = cell->bytes;
    cell->bytes -= bytes;
    window->bytes[slot] -= bytes;
}

/* The slot is empty again, as if it had never been used. */
void rill_load_window_clear(struct rill_load_window *window, uint32_t slot);

#endif
