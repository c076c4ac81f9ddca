#include "controller/backlog.h"

#include <stdlib.h>

int rill_backlog_init(struct rill_backlog *b, uint32_t n, uint64_t limit_ns)
{
    *b = (struct rill_backlog){.limit_ns = limit_ns};
    b->units = calloc(n, sizeof(b->units[0]));
    b->heap = malloc(n * sizeof(b->heap[0]));
    return b->units == NULL || b->heap == NULL ? -1 : 0;
}

void rill_backlog_fini(struct rill_backlog *b)
{
    free(b->units);
    free(b->heap);
    *b = (struct rill_backlog){0};
}

static uint64_t key(const struct rill_backlog *b, uint32_t i)
{
    return b->units[b->heap[i]].busy_until_ns;
}

static void place(struct rill_backlog *b, uint32_t i, uint32_t slot)
{
    b->heap[i] = slot;
    b->units[slot].place = i + 1;
}

static void swap(struct rill_backlog *b, uint32_t i, uint32_t j)
{
    uint32_t slot = b->heap[i];

    place(b, i, b->heap[j]);
    place(b, j, slot);
}

static void sift_up(struct rill_backlog *b, uint32_t i)
{
    for (; i > 0 && key(b, i) < key(b, (i - 1) / 2); i = (i - 1) / 2)
        swap(b, i, (i - 1) / 2);
}

static void sift_down(struct rill_backlog *b, uint32_t i)
{
    for (;;) {
        uint32_t least = i;

        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < b->count; child++)
            if (key(b, child) < key(b, least))
                least = child;
        if (least == i)
            return;
        swap(b, i, least);
        i = least;
    }
}

static void take_out(struct rill_backlog *b, uint32_t slot)
{
    uint32_t i = b->units[slot].place - 1;

    b->units[slot].place = 0;
    if (i == --b->count)
        return;
    place(b, i, b->heap[b->count]);
    sift_up(b, i);
    sift_down(b, i);
}

void rill_backlog_set(struct rill_backlog *b, uint32_t slot, uint64_t bytes_per_s)
{
    if (b->units[slot].place != 0)
        take_out(b, slot);
    b->units[slot].busy_until_ns = 0;
    b->units[slot].rest_q24 = 0;
    b->units[slot].ns_per_byte_q24 =
        bytes_per_s > 0 ? (UINT64_C(1000000000) << 24) / bytes_per_s : 0;
}

bool rill_backlog_sent(struct rill_backlog *b, uint32_t slot, uint32_t bytes, uint64_t now_ns)
{
    struct rill_backlog_unit *unit = &b->units[slot];
    uint64_t work_q24 = bytes * unit->ns_per_byte_q24;

    if (unit->busy_until_ns < now_ns)
        unit->busy_until_ns = now_ns;
    else
        work_q24 += unit->rest_q24;
    unit->busy_until_ns += work_q24 >> 24;
    unit->rest_q24 = work_q24 & ((1 << 24) - 1);
    if (unit->place != 0) {
        sift_down(b, unit->place - 1);
        return false;
    }
    if (b->limit_ns == 0 || unit->busy_until_ns - now_ns <= b->limit_ns)
        return false;
    place(b, b->count++, slot);
    sift_up(b, unit->place - 1);
    return true;
}

uint32_t rill_backlog_expire(struct rill_backlog *b, uint64_t now_ns)
{
    uint32_t slot;

    if (b->count == 0 || key(b, 0) > now_ns + b->limit_ns)
        return UINT32_MAX;
    slot = b->heap[0];
    take_out(b, slot);
    return slot;
}
