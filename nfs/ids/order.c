#include "nfs/ids/order.h"

#include <stdbool.h>
#include <string.h>

/* Sequence numbers are compared by their distance, which is small against 2^31. */
static int32_t distance(uint32_t from, uint32_t to)
{
    return (int32_t)(to - from);
}

static void remove_first(struct ids_order *o)
{
    (*o->n_extents)--;
    memmove(o->extents, o->extents + 1, *o->n_extents * sizeof(o->extents[0]));
}

/* Delivers what waited for the byte before it. */
static void absorb(struct ids_order *o)
{
    while (*o->n_extents > 0 && distance(*o->next, o->extents[0].start) <= 0) {
        uint32_t end = o->extents[0].end;

        remove_first(o);
        while (distance(*o->next, end) > 0) {
            uint32_t at = *o->next & (o->ring_bytes - 1), n = end - *o->next;

            if (n > o->ring_bytes - at)
                n = o->ring_bytes - at;
            o->deliver(o->arg, o->ring + at, n);
            *o->next += n;
        }
    }
}

static void skip_to(struct ids_order *o, uint32_t sequence)
{
    uint32_t bytes = sequence - *o->next;

    *o->next = sequence;
    o->gap(o->arg, bytes);
    absorb(o);
}

static void copy_in(struct ids_order *o, uint32_t sequence, const uint8_t *data, uint32_t bytes)
{
    uint32_t at = sequence & (o->ring_bytes - 1);
    uint32_t n = bytes < o->ring_bytes - at ? bytes : o->ring_bytes - at;

    memcpy(o->ring + at, data, n);
    memcpy(o->ring, data + n, bytes - n);
}

/* Copies what lies in no extent yet. */
static void copy_new(struct ids_order *o, uint32_t sequence, const uint8_t *data, uint32_t bytes)
{
    uint32_t end = sequence + bytes;

    for (uint32_t i = 0; i < *o->n_extents && distance(sequence, end) > 0; i++) {
        const struct ids_extent *e = &o->extents[i];

        if (distance(e->end, sequence) >= 0)
            continue;
        if (distance(e->start, end) <= 0)
            break;
        if (distance(sequence, e->start) > 0) {
            copy_in(o, sequence, data, e->start - sequence);
            data += e->start - sequence;
            sequence = e->start;
        }
        o->overlaps++;
        if (distance(e->end, end) <= 0)
            return;
        data += e->end - sequence;
        sequence = e->end;
    }
    if (distance(sequence, end) > 0)
        copy_in(o, sequence, data, end - sequence);
}

/* Joins [start, end) with the extents that it touches. False if there is no room for one more. */
static bool add_extent(struct ids_order *o, uint32_t start, uint32_t end)
{
    uint32_t first = 0, last, n = *o->n_extents;

    while (first < n && distance(o->extents[first].end, start) > 0)
        first++;
    last = first; /* [first, last) are joined */
    while (last < n && distance(o->extents[last].start, end) >= 0)
        last++;
    if (first == last && n == IDS_EXTENTS_MAX)
        return false;
    if (first < last && distance(o->extents[first].start, start) > 0)
        start = o->extents[first].start;
    if (first < last && distance(o->extents[last - 1].end, end) < 0)
        end = o->extents[last - 1].end;
    memmove(o->extents + first + 1, o->extents + last, (n - last) * sizeof(o->extents[0]));
    o->extents[first] = (struct ids_extent){start, end};
    *o->n_extents = (uint8_t)(n - (last - first) + 1);
    return true;
}

static bool has_room(const struct ids_order *o, uint32_t start, uint32_t end)
{
    struct ids_extent saved[IDS_EXTENTS_MAX];
    uint8_t n = *o->n_extents;
    struct ids_order trial = {.extents = saved, .n_extents = &n};

    memcpy(saved, o->extents, n * sizeof(saved[0]));
    return add_extent(&trial, start, end);
}

static bool wait(struct ids_order *o, uint32_t sequence, const uint8_t *data, uint32_t bytes)
{
    if ((uint64_t)(sequence - *o->next) + bytes > o->ring_bytes ||
        !has_room(o, sequence, sequence + bytes))
        return false;
    copy_new(o, sequence, data, bytes);
    add_extent(o, sequence, sequence + bytes);
    o->waiting++;
    return true;
}

/* Delivers the beginning of a segment that is in order, as far as nothing that waits came first. */
static uint32_t deliver_in_order(struct ids_order *o, const uint8_t *data, uint32_t bytes)
{
    if (*o->n_extents > 0 && o->extents[0].start - *o->next < bytes) {
        bytes = o->extents[0].start - *o->next;
        o->overlaps++;
    }
    o->deliver(o->arg, data, bytes);
    *o->next += bytes;
    absorb(o);
    return bytes;
}

void ids_order_segment(struct ids_order *o, uint32_t sequence, const uint8_t *data, uint32_t bytes)
{
    bool some = false;

    while (bytes > 0) {
        int32_t ahead = distance(*o->next, sequence);
        uint32_t n;

        if (ahead > IDS_FAR_BYTES || ahead < -(1 << 30)) {
            o->far++;
            return;
        }
        if (ahead > 0) {
            if (wait(o, sequence, data, bytes))
                return;
            skip_to(o, *o->n_extents > 0 && distance(o->extents[0].start, sequence) > 0
                           ? o->extents[0].start
                           : sequence);
            continue;
        }
        if ((uint32_t)-ahead >= bytes) {
            o->old += !some;
            return;
        }
        o->overlaps += ahead < 0 && !some;
        n = (uint32_t)-ahead + deliver_in_order(o, data - ahead, bytes - (uint32_t)-ahead);
        sequence += n;
        data += n;
        bytes -= n;
        some = true;
    }
}

void ids_order_missing(struct ids_order *o, uint32_t sequence, uint32_t bytes)
{
    if (distance(*o->next, sequence) <= 0 && distance(*o->next, sequence + bytes) > 0) {
        uint32_t end = sequence + bytes;

        ids_order_acknowledged(o, end);
    }
}

void ids_order_acknowledged(struct ids_order *o, uint32_t acknowledgement)
{
    if (distance(*o->next, acknowledgement) > IDS_FAR_BYTES)
        return;
    while (distance(*o->next, acknowledgement) > 0) {
        bool waits = *o->n_extents > 0 && distance(o->extents[0].start, acknowledgement) >= 0;

        skip_to(o, waits ? o->extents[0].start : acknowledgement);
    }
}
