#include "lib/base/timer_wheel.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SLOTS = 64, MAX_SLOTS = 65536, WORD_BITS = 64, MAX_SHIFT = 62 };

/* `first` is the earliest timer of the slot, or NULL where that is not known; no timer of the slot
 * is due before bound_ns. So a slot that holds only timers of later turns is passed by without a
 * look at them. A slot without timers has no meaning: its memory is not touched until it is used.
 */
struct slot {
    struct rill_timer *head;
    struct rill_timer *first;
    uint64_t bound_ns;
};

/* A tick is due_ns >> shift. Timers of ticks below edge_tick are in the list `ready`, sorted; all
 * others are in the slot of their tick, unsorted. The edge moves only past a tick that has a timer
 * which is due, so the caller rarely arms below it. */
struct rill_timer_wheel {
    uint32_t mask;
    unsigned shift;
    uint64_t edge_tick;
    uint64_t scan_tick; /* no timer in a slot has a tick below this */
    uint64_t next_order;
    uint64_t waiting;         /* timers in slots */
    struct rill_timer *first; /* the earliest of them, NULL if not known */
    struct rill_timer *ready, *ready_last;
    uint64_t *used; /* one bit per slot: not empty */
    struct slot slots[];
};

static bool earlier(const struct rill_timer *a, const struct rill_timer *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static uint64_t tick_of(const struct rill_timer_wheel *wheel, uint64_t ns)
{
    return ns >> wheel->shift;
}

/* At least 1, so that the tick after the last one still fits into 64 bits. */
static unsigned shift_of(uint64_t tick_ns)
{
    unsigned shift = 1;

    while (shift < MAX_SHIFT && (UINT64_C(1) << shift) < tick_ns)
        shift++;
    return shift;
}

struct rill_timer_wheel *rill_timer_wheel_create(uint32_t slots, uint64_t tick_ns)
{
    struct rill_timer_wheel *wheel;

    assert(slots >= MIN_SLOTS && slots <= MAX_SLOTS && (slots & (slots - 1)) == 0);
    wheel = malloc(sizeof(*wheel) + slots * sizeof(wheel->slots[0]) + slots / 8);
    if (wheel == NULL)
        return NULL;
    *wheel = (struct rill_timer_wheel){.mask = slots - 1, .shift = shift_of(tick_ns)};
    wheel->used = (uint64_t *)(void *)&wheel->slots[slots];
    memset(wheel->used, 0, slots / 8);
    return wheel;
}

void rill_timer_wheel_destroy(struct rill_timer_wheel *wheel)
{
    free(wheel);
}

static void link_at(struct rill_timer *timer, struct rill_timer **at)
{
    timer->at = at;
    timer->next = *at;
    if (timer->next != NULL)
        timer->next->at = &timer->next;
    *at = timer;
}

static void unlink_timer(struct rill_timer *timer)
{
    *timer->at = timer->next;
    if (timer->next != NULL)
        timer->next->at = timer->at;
    timer->next = NULL;
    timer->at = NULL;
}

static void ready_insert(struct rill_timer_wheel *wheel, struct rill_timer *timer)
{
    struct rill_timer **at = &wheel->ready;

    if (wheel->ready_last != NULL && earlier(wheel->ready_last, timer))
        at = &wheel->ready_last->next;
    while (*at != NULL && earlier(*at, timer))
        at = &(*at)->next;
    link_at(timer, at);
    if (timer->next == NULL)
        wheel->ready_last = timer;
}

static void ready_remove(struct rill_timer_wheel *wheel, struct rill_timer *timer)
{
    _Static_assert(offsetof(struct rill_timer, next) == 0, "a timer starts with its link");

    if (wheel->ready_last == timer)
        wheel->ready_last = timer->at == &wheel->ready ? NULL : (struct rill_timer *)timer->at;
    unlink_timer(timer);
}

static void slot_insert(struct rill_timer_wheel *wheel, struct rill_timer *timer, uint64_t tick)
{
    uint32_t index = (uint32_t)tick & wheel->mask;
    struct slot *slot = &wheel->slots[index];
    uint64_t *used = &wheel->used[index / WORD_BITS], bit = UINT64_C(1) << (index % WORD_BITS);

    if ((*used & bit) == 0) {
        *slot = (struct slot){.first = timer, .bound_ns = timer->due_ns};
        *used |= bit;
    } else {
        if (slot->first != NULL && earlier(timer, slot->first))
            slot->first = timer;
        if (timer->due_ns < slot->bound_ns)
            slot->bound_ns = timer->due_ns;
    }
    link_at(timer, &slot->head);

    if (wheel->waiting == 0 || (wheel->first != NULL && earlier(timer, wheel->first)))
        wheel->first = timer;
    if (tick < wheel->scan_tick || wheel->waiting == 0)
        wheel->scan_tick = tick;
    wheel->waiting++;
}

static void slot_close_if_empty(struct rill_timer_wheel *wheel, uint32_t index)
{
    if (wheel->slots[index].head == NULL)
        wheel->used[index / WORD_BITS] &= ~(UINT64_C(1) << (index % WORD_BITS));
}

static void slot_remove(struct rill_timer_wheel *wheel, struct rill_timer *timer, uint64_t tick)
{
    uint32_t index = (uint32_t)tick & wheel->mask;

    if (wheel->slots[index].first == timer)
        wheel->slots[index].first = NULL;
    if (wheel->first == timer)
        wheel->first = NULL;
    unlink_timer(timer);
    wheel->waiting--;
    slot_close_if_empty(wheel, index);
}

void rill_timer_arm(struct rill_timer_wheel *wheel, struct rill_timer *timer, uint64_t due_ns)
{
    uint64_t tick = tick_of(wheel, due_ns);

    rill_timer_stop(wheel, timer);
    timer->due_ns = due_ns;
    timer->order = wheel->next_order++;
    if (tick < wheel->edge_tick)
        ready_insert(wheel, timer);
    else
        slot_insert(wheel, timer, tick);
}

void rill_timer_stop(struct rill_timer_wheel *wheel, struct rill_timer *timer)
{
    uint64_t tick = tick_of(wheel, timer->due_ns);

    if (!rill_timer_armed(timer))
        return;
    if (tick < wheel->edge_tick)
        ready_remove(wheel, timer);
    else
        slot_remove(wheel, timer, tick);
}

/* The earliest timer of a slot that is not empty. */
static struct rill_timer *slot_first(struct slot *slot)
{
    if (slot->first == NULL) {
        slot->first = slot->head;
        for (struct rill_timer *t = slot->head->next; t != NULL; t = t->next)
            if (earlier(t, slot->first))
                slot->first = t;
        slot->bound_ns = slot->first->due_ns;
    }
    return slot->first;
}

/* The next slot at or after `index`, around the wheel, that is not empty. There must be one. */
static uint32_t next_used(const struct rill_timer_wheel *wheel, uint32_t index)
{
    uint32_t words = (wheel->mask + 1) / WORD_BITS;
    uint32_t word = index / WORD_BITS;
    uint64_t bits = wheel->used[word] & (UINT64_MAX << (index % WORD_BITS));

    while (bits == 0) {
        word = (word + 1) & (words - 1);
        bits = wheel->used[word];
    }
    return word * WORD_BITS + (uint32_t)__builtin_ctzll(bits);
}

/* The earliest timer within one turn from scan_tick on; NULL if all are later. */
static struct rill_timer *find_in_turn(struct rill_timer_wheel *wheel)
{
    uint32_t start = (uint32_t)wheel->scan_tick & wheel->mask;
    uint32_t passed = 0;

    while (passed <= wheel->mask) {
        uint32_t index = next_used(wheel, (start + passed) & wheel->mask);
        struct slot *slot = &wheel->slots[index];
        uint32_t distance = (index - start) & wheel->mask;
        uint64_t tick = wheel->scan_tick + distance;

        if (distance < passed)
            return NULL; /* around */
        if (tick_of(wheel, slot->bound_ns) <= tick &&
            tick_of(wheel, slot_first(slot)->due_ns) == tick)
            return slot->first;
        passed = distance + 1;
    }
    return NULL;
}

/* The earliest of all timers in slots, whatever their turn. */
static struct rill_timer *find_anywhere(struct rill_timer_wheel *wheel)
{
    struct rill_timer *best = NULL;

    for (uint32_t word = 0; word <= wheel->mask / WORD_BITS; word++) {
        for (uint64_t bits = wheel->used[word]; bits != 0; bits &= bits - 1) {
            struct slot *slot = &wheel->slots[word * WORD_BITS + (uint32_t)__builtin_ctzll(bits)];

            if (best != NULL && slot->bound_ns >= best->due_ns)
                continue;
            if (best == NULL || earlier(slot_first(slot), best))
                best = slot_first(slot);
        }
    }
    return best;
}

/* Some timer is in a slot, and which is the earliest is not known. */
static __attribute__((noinline)) struct rill_timer *find_first(struct rill_timer_wheel *wheel)
{
    wheel->first = find_in_turn(wheel);
    if (wheel->first == NULL)
        wheel->first = find_anywhere(wheel);
    wheel->scan_tick = tick_of(wheel, wheel->first->due_ns);
    return wheel->first;
}

/* NULL: none is armed. Asked for all the time, so it is little besides two loads. */
static inline struct rill_timer *earliest(struct rill_timer_wheel *wheel)
{
    if (wheel->ready != NULL)
        return wheel->ready;
    return wheel->first != NULL || wheel->waiting == 0 ? wheel->first : find_first(wheel);
}

static struct rill_timer *merge(struct rill_timer *a, struct rill_timer *b)
{
    struct rill_timer *head = NULL, **tail = &head;

    while (a != NULL && b != NULL) {
        struct rill_timer **from = earlier(a, b) ? &a : &b;

        *tail = *from;
        tail = &(*tail)->next;
        *from = *tail;
    }
    *tail = a != NULL ? a : b;
    return head;
}

/* Sorts a chain of `next` links that is not empty: run i holds 2^i timers or none. */
static struct rill_timer *sort(struct rill_timer *list)
{
    struct rill_timer *runs[64] = {NULL}, *sorted = NULL;
    int top = 0;

    if (list->next == NULL)
        return list; /* as most are */
    while (list != NULL) {
        struct rill_timer *run = list;
        int i;

        list = list->next;
        run->next = NULL;
        for (i = 0; runs[i] != NULL; i++) {
            run = merge(runs[i], run);
            runs[i] = NULL;
        }
        runs[i] = run;
        if (i > top)
            top = i;
    }
    for (int i = 0; i <= top; i++)
        sorted = merge(runs[i], sorted);
    return sorted;
}

/* Takes the timers of `tick` out of their slot, as a chain of `next` links. The others are looked
 * at here, once a turn, and the slot's first is known again. */
static struct rill_timer *slot_take(struct rill_timer_wheel *wheel, uint64_t tick)
{
    uint32_t index = (uint32_t)tick & wheel->mask;
    struct slot *slot = &wheel->slots[index];
    struct rill_timer *taken = NULL, *next;

    slot->first = NULL;
    for (struct rill_timer *t = slot->head; t != NULL; t = next) {
        next = t->next;
        if (tick_of(wheel, t->due_ns) == tick) {
            unlink_timer(t);
            wheel->waiting--;
            t->next = taken;
            taken = t;
        } else if (slot->first == NULL || earlier(t, slot->first)) {
            slot->first = t;
        }
    }
    if (slot->first != NULL)
        slot->bound_ns = slot->first->due_ns;
    slot_close_if_empty(wheel, index);
    return taken;
}

/* Moves the edge past `tick`, the earliest that has a timer; `ready` is empty. */
static void make_ready(struct rill_timer_wheel *wheel, uint64_t tick)
{
    struct rill_timer **at = &wheel->ready;

    wheel->ready = sort(slot_take(wheel, tick));
    for (struct rill_timer *t = wheel->ready; t != NULL; t = t->next) {
        t->at = at;
        at = &t->next;
        wheel->ready_last = t;
    }
    wheel->first = NULL;
    wheel->edge_tick = tick + 1;
    wheel->scan_tick = tick + 1;
}

static __attribute__((noinline)) struct rill_timer *take_earliest(struct rill_timer_wheel *wheel)
{
    struct rill_timer *timer;

    if (wheel->ready == NULL)
        make_ready(wheel, tick_of(wheel, wheel->first->due_ns));
    timer = wheel->ready;
    ready_remove(wheel, timer);
    return timer;
}

struct rill_timer *rill_timer_pop(struct rill_timer_wheel *wheel, uint64_t now_ns)
{
    const struct rill_timer *timer = earliest(wheel);

    return timer == NULL || timer->due_ns > now_ns ? NULL : take_earliest(wheel);
}

uint64_t rill_timer_wheel_next_ns(struct rill_timer_wheel *wheel)
{
    const struct rill_timer *timer = earliest(wheel);

    return timer != NULL ? timer->due_ns : UINT64_MAX;
}
