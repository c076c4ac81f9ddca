/* Timers for cores: a hashed wheel of intrusive timers (Varghese and Lauck, SOSP 1987, scheme 6).
 *
 * Arming, re-arming and stopping cost a few loads; nothing is allocated. A timer further away than
 * one turn of the wheel stays in its slot and is looked at once a turn. Timers fire in order of
 * their due time, ties in order of arming, and never before they are due, so that a simulated run
 * is the same every time. No clock inside: the caller brings now_ns.
 */
#ifndef RILL_LIB_BASE_TIMER_WHEEL_H
#define RILL_LIB_BASE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rill_timer {
    struct rill_timer *next, **at; /* at == NULL: not armed */
    uint64_t due_ns;
    uint64_t order;
};

struct rill_timer_wheel;

/* `slots` is a power of two (64..65536), tick_ns the width of a slot, rounded up to a power of two.
 * A tick should hold few timers: those of one tick are sorted when the first of them is due, and a
 * timer that is armed into the tick at hand, or into the past, is sorted in one by one. NULL if
 * there is no memory. */
struct rill_timer_wheel *rill_timer_wheel_create(uint32_t slots, uint64_t tick_ns);
/* NULL is fine. Timers are not freed. */
void rill_timer_wheel_destroy(struct rill_timer_wheel *wheel);

/* (Re-)arms the timer. Zeroed memory is a timer that is not armed. */
void rill_timer_arm(struct rill_timer_wheel *wheel, struct rill_timer *timer, uint64_t due_ns);
void rill_timer_stop(struct rill_timer_wheel *wheel, struct rill_timer *timer); /* idempotent */

static inline bool rill_timer_armed(const struct rill_timer *timer)
{
    return timer->at != NULL;
}

/* Takes out and returns the earliest timer due at or before now_ns; NULL if there is none. */
struct rill_timer *rill_timer_pop(struct rill_timer_wheel *wheel, uint64_t now_ns);

/* When the earliest timer is due; UINT64_MAX if none is armed. Amortised cheap: cached. */
uint64_t rill_timer_wheel_next_ns(struct rill_timer_wheel *wheel);

#endif
