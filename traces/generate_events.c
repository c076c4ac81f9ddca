#include <stdlib.h>

#include "traces/generate_run.h"

static bool before(const struct generate_event *a, const struct generate_event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->number < b->number;
}

static int grow(struct generate_events *events)
{
    uint64_t room = events->room != 0 ? 2 * events->room : 1024;
    struct generate_event *heap = realloc(events->heap, room * sizeof(*heap));

    if (heap == NULL)
        return -1;
    events->heap = heap;
    events->room = room;
    return 0;
}

int rill_generate_events_push(struct generate_events *events, struct generate_event event)
{
    uint64_t i = events->count, up;

    if (events->count == events->room && grow(events) != 0)
        return -1;
    event.number = events->number++;
    events->count++;
    for (; i > 0 && before(&event, &events->heap[up = (i - 1) / 2]); i = up)
        events->heap[i] = events->heap[up];
    events->heap[i] = event;
    return 0;
}

bool rill_generate_events_pop(struct generate_events *events, struct generate_event *event)
{
    struct generate_event *heap = events->heap, last;
    uint64_t i = 0, down;

    if (events->count == 0)
        return false;
    *event = heap[0];
    last = heap[--events->count];
    while ((down = 2 * i + 1) < events->count) {
        if (down + 1 < events->count && before(&heap[down + 1], &heap[down]))
            down++;
        if (!before(&heap[down], &last))
            break;
        heap[i] = heap[down];
        i = down;
    }
    heap[i] = last;
    return true;
}
