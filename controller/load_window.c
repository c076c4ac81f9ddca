#include "controller/load_window.h"

#include <errno.h>
#include <stdlib.h>

#define LAST UINT32_MAX /* in `next` and `head`: the list ends here */

static int ring_init(struct rill_load_ring *ring, uint32_t rows, uint32_t slots, uint64_t width_ns)
{
    *ring = (struct rill_load_ring){.rows = rows, .width_ns = width_ns, .end_ns = width_ns};
    ring->cells = calloc((size_t)rows * slots, sizeof(ring->cells[0]));
    ring->head = malloc(rows * sizeof(ring->head[0]));
    if (ring->cells == NULL || ring->head == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < rows; i++)
        ring->head[i] = LAST;
    return 0;
}

static void ring_fini(struct rill_load_ring *ring)
{
    free(ring->cells);
    free(ring->head);
}

int rill_load_window_init(struct rill_load_window *window, uint32_t slots, uint64_t expect_ns)
{
    *window = (struct rill_load_window){.slots = slots};
    window->bytes = calloc(slots, sizeof(window->bytes[0]));
    if (window->bytes == NULL ||
        ring_init(&window->drained, RILL_WAM_BUCKETS, slots, RILL_WAM_BUCKET_NS) != 0 ||
        ring_init(&window->pending, RILL_LOAD_GENERATIONS, slots, expect_ns) != 0)
        return -ENOMEM;
    return 0;
}

void rill_load_window_fini(struct rill_load_window *window)
{
    ring_fini(&window->drained);
    ring_fini(&window->pending);
    free(window->bytes);
    *window = (struct rill_load_window){0};
}

/* At the end of time the last row stays. */
static void move_end(struct rill_load_ring *ring, uint64_t turns)
{
    if (turns <= (UINT64_MAX - ring->end_ns) / ring->width_ns)
        ring->end_ns += turns * ring->width_ns;
    else
        ring->end_ns = UINT64_MAX;
}

/* Moves on until now_ns is in the ring's row, or something must expire first: the row that comes
 * next is the oldest, and is emptied cell by cell before it is used. */
static uint32_t ring_expire(struct rill_load_window *window, struct rill_load_ring *ring,
                            uint64_t now_ns)
{
    while (now_ns >= ring->end_ns && ring->end_ns != UINT64_MAX) {
        uint32_t oldest = ring->row + 1 < ring->rows ? ring->row + 1 : 0;
        uint32_t slot = ring->head[oldest] - 1;

        if (ring->head[oldest] != LAST) {
            struct rill_load_cell *cell = rill_load_cell_at(window, ring, oldest, slot);

            ring->head[oldest] = cell->next;
            window->bytes[slot] -= cell->bytes;
            *cell = (struct rill_load_cell){0};
            ring->filled--;
            return slot;
        }
        if (ring->filled == 0) { /* nothing to meet on the way: jump */
            uint64_t turns = (now_ns - ring->end_ns) / ring->width_ns + 1;

            move_end(ring, turns);
            ring->turn += ring->rows; /* whatever was expected is over */
        } else {
            move_end(ring, 1);
            ring->turn++;
        }
        ring->row = oldest;
    }
    return LAST;
}

uint32_t rill_load_window_expire(struct rill_load_window *window, uint64_t now_ns)
{
    uint32_t slot = ring_expire(window, &window->drained, now_ns);

    return slot != LAST ? slot : ring_expire(window, &window->pending, now_ns);
}

static void ring_clear(struct rill_load_window *window, struct rill_load_ring *ring, uint32_t slot)
{
    for (uint32_t row = 0; row < ring->rows; row++) {
        struct rill_load_cell *cell = rill_load_cell_at(window, ring, row, slot);

        window->bytes[slot] -= cell->bytes;
        cell->bytes = 0; /* stays in the list of its row, which it leaves when that expires */
    }
}

void rill_load_window_clear(struct rill_load_window *window, uint32_t slot)
{
    ring_clear(window, &window->drained, slot);
    ring_clear(window, &window->pending, slot);
}
