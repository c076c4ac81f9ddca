/* Frames on their way, the earliest on top: a binary heap by (deliver_ns, number). Zeroed memory is
 * an empty heap. Running out of memory aborts: the heap is bounded by the mbuf pool.
 */
#ifndef RILL_LIB_FABRIC_EVENT_HEAP_H
#define RILL_LIB_FABRIC_EVENT_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <rte_mbuf.h>

struct rill_event {
    uint64_t deliver_ns;
    uint64_t number; /* of insertion: frames due at one time come in the order of their sending */
    struct rte_mbuf *m;
};

struct rill_event_heap {
    struct rill_event *events;
    uint32_t count, capacity;
};

static inline uint64_t rill_event_heap_next_ns(const struct rill_event_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->events[0].deliver_ns;
}

static inline bool rill_event_before(const struct rill_event *a, const struct rill_event *b)
{
    return a->deliver_ns != b->deliver_ns ? a->deliver_ns < b->deliver_ns : a->number < b->number;
}

static inline void rill_event_heap_push(struct rill_event_heap *heap, struct rill_event event)
{
    uint32_t i = heap->count;

    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
        heap->events = realloc(heap->events, heap->capacity * sizeof(heap->events[0]));
        if (heap->events == NULL)
            abort();
    }
    heap->count++;
    while (i > 0 && rill_event_before(&event, &heap->events[(i - 1) / 2])) {
        heap->events[i] = heap->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->events[i] = event;
}

/* Takes the earliest out. The heap is not empty. */
static inline struct rill_event rill_event_heap_pop(struct rill_event_heap *heap)
{
    struct rill_event top = heap->events[0];
    struct rill_event last = heap->events[--heap->count];
    uint32_t i = 0, child;

    while ((child = 2 * i + 1) < heap->count) {
        if (child + 1 < heap->count &&
            rill_event_before(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!rill_event_before(&heap->events[child], &last))
            break;
        heap->events[i] = heap->events[child];
        i = child;
    }
    heap->events[i] = last;
    return top;
}

#endif
