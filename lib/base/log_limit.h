/* A bound on log lines: `lines_per_s` of them, as many at once, then one each time that there is
 * room again (a token bucket, kept as a time). What is not said is counted; the first line after
 * that says how many. No clock inside, one thread.
 */
#ifndef RILL_LIB_BASE_LOG_LIMIT_H
#define RILL_LIB_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { RILL_LOG_LINES_PER_S = 100 }; /* until somebody says otherwise */

struct rill_log_limit {
    uint64_t lines_per_s; /* 0: RILL_LOG_LINES_PER_S */
    uint64_t full_at_ns;  /* when there is room for a whole second's lines again */
    uint64_t unsaid;      /* since the last line that was said */
    uint64_t suppressed;  /* in all */
};

/* Is there room for a line? Takes nothing. */
static inline bool rill_log_limit_has_room(const struct rill_log_limit *limit, uint64_t now_ns)
{
    const uint64_t second_ns = UINT64_C(1000000000);
    uint64_t lines = limit->lines_per_s != 0 ? limit->lines_per_s : RILL_LOG_LINES_PER_S;

    return limit->full_at_ns + second_ns / lines <= now_ns + second_ns;
}

/* True: say it; *unsaid of those before were not, and are to be told of. False: don't, and it is
 * counted. */
static inline bool rill_log_limit_take(struct rill_log_limit *limit, uint64_t now_ns,
                                       uint64_t *unsaid)
{
    uint64_t lines = limit->lines_per_s != 0 ? limit->lines_per_s : RILL_LOG_LINES_PER_S;

    if (!rill_log_limit_has_room(limit, now_ns)) {
        limit->unsaid++;
        limit->suppressed++;
        return false;
    }
    if (limit->full_at_ns < now_ns)
        limit->full_at_ns = now_ns;
    limit->full_at_ns += UINT64_C(1000000000) / lines;
    *unsaid = limit->unsaid;
    limit->unsaid = 0;
    return true;
}

#endif
