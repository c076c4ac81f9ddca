/* When a program stands still: a loop that turned, and turns no more although it could. Pure.
 *
 * Time is counted in looks. A look at a program that sleeps, is stopped or blocked counts in full.
 * One that wants to run counts by the processor time that it had since the look before, as on a
 * machine with too much to do it may have had none; but by a quarter at least, so that a loop
 * without end is found there too.
 */
#ifndef RILL_RM_AGENT_KEEPER_STALL_H
#define RILL_RM_AGENT_KEEPER_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct rill_stall {
    uint64_t turns, cpu_ns; /* at the last look */
    uint64_t still_ns;      /* since the turns moved, as above */
};

struct rill_stall_seen {
    uint64_t turns;
    uint64_t cpu_ns; /* that it had so far; of its packet thread */
    bool wants_cpu;  /* it runs, or waits for a processor */
};

/* `look_ns`: what a look counts, the time between two. The new still_ns; 0 for a program that has
 * counted no turn yet: it has no loop yet. */
uint64_t rill_stall_look(struct rill_stall *stall, const struct rill_stall_seen *seen,
                         uint64_t look_ns);

#endif
