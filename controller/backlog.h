/* What waits at the units: a model of their queues, from what was sent to them and what they are
 * leased to serve.
 *
 * The load over 100 ms (load_window.h) does not see a burst of a few milliseconds: a unit that was
 * idle before may take many times its capacity until the window notices, and every flow that is
 * sent there waits behind it. A unit serves at its leased capacity, no more and no less, so the
 * controller can work out what waits there without asking: busy_until = max(busy_until, now) +
 * bytes / capacity, the same whether packets of one moment are added one by one or together. A unit
 * with more than `limit` of work waiting is *behind*: no flowlet is sent there if another unit will
 * do.
 *
 * A heap holds those that are behind, the one that is done soonest on top. O(log n) for a packet to
 * a unit that is behind, O(1) for others. Slots 0..n-1 are the caller's. No clock, one thread.
 */
#ifndef RILL_CONTROLLER_BACKLOG_H
#define RILL_CONTROLLER_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

struct rill_backlog_unit {
    uint64_t busy_until_ns;
    uint64_t ns_per_byte_q24; /* 0: serves nothing, and is never behind */
    uint32_t rest_q24;        /* of a nanosecond, on top of busy_until_ns */
    uint32_t place;           /* in the heap, from 1; 0: not behind */
};

struct rill_backlog {
    struct rill_backlog_unit *units;
    uint32_t *heap; /* slots */
    uint32_t count;
    uint64_t limit_ns; /* 0: nobody is ever behind */
};

int rill_backlog_init(struct rill_backlog *backlog, uint32_t n, uint64_t limit_ns); /* or -1 */
void rill_backlog_fini(struct rill_backlog *backlog);

/* A unit begins anew, with nothing waiting; bytes_per_s may be 0. */
void rill_backlog_set(struct rill_backlog *backlog, uint32_t slot, uint64_t bytes_per_s);
/* Sent to the unit. True if it is behind from now on, and was not before. */
bool rill_backlog_sent(struct rill_backlog *backlog, uint32_t slot, uint32_t bytes,
                       uint64_t now_ns);
/* Takes out one unit that is no longer behind; UINT32_MAX if there is none. */
uint32_t rill_backlog_expire(struct rill_backlog *backlog, uint64_t now_ns);

static inline bool rill_backlog_is_behind(const struct rill_backlog *backlog, uint32_t slot)
{
    return backlog->units[slot].place != 0;
}

/* Would it be, if so much more had been sent there? */
static inline bool rill_backlog_would_be_behind(const struct rill_backlog *backlog, uint32_t slot,
                                                uint32_t bytes, uint64_t now_ns)
{
    const struct rill_backlog_unit *unit = &backlog->units[slot];
    uint64_t work_q24 = bytes * unit->ns_per_byte_q24;
    uint64_t until_ns = now_ns;

    if (unit->busy_until_ns >= now_ns) {
        until_ns = unit->busy_until_ns;
        work_q24 += unit->rest_q24;
    }
    return unit->place != 0 ||
           (backlog->limit_ns != 0 && until_ns + (work_q24 >> 24) - now_ns > backlog->limit_ns);
}

#endif
