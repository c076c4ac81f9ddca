#include "rm/agent/keeper_stall.h"

enum { LEAST_PART = 4 };

static uint64_t weight(const struct rill_stall *stall, const struct rill_stall_seen *seen,
                       uint64_t look_ns)
{
    uint64_t had_ns = seen->cpu_ns - stall->cpu_ns;

    if (!seen->wants_cpu || had_ns > look_ns)
        return look_ns;
    return had_ns > look_ns / LEAST_PART ? had_ns : look_ns / LEAST_PART;
}

uint64_t rill_stall_look(struct rill_stall *stall, const struct rill_stall_seen *seen,
                         uint64_t look_ns)
{
    if (seen->turns != stall->turns || seen->turns == 0)
        stall->still_ns = 0;
    else
        stall->still_ns += weight(stall, seen, look_ns);
    stall->turns = seen->turns;
    stall->cpu_ns = seen->cpu_ns;
    return stall->still_ns;
}
