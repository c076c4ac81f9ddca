/* What the processor counts of this thread, where the machine lets us ask (perf_event_open; virtual
 * machines mostly have none): instructions, and misses of the last cache.
 */
#ifndef RILL_EVAL_BENCH_COUNTERS_H
#define RILL_EVAL_BENCH_COUNTERS_H

#include <stdio.h>

struct bench_counts {
    double instructions, misses; /* so far; 0 where there is none */
};

/* Once, in the thread that is measured. Says on `out` (NULL: nowhere), in a line, if there are
 * none. */
void bench_counters_open(FILE *out);
struct bench_counts bench_counters_read(void);
/* (b - a) / n, of each. */
struct bench_counts bench_counts_since(struct bench_counts a, struct bench_counts b, double n);

#endif
