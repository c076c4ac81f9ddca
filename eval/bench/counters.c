#include "eval/bench/counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int instructions = -1, misses = -1;

static int open_one(uint64_t what)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
                                   .size = sizeof(attr),
                                   .config = what,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};

    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void bench_counters_open(FILE *out)
{
    instructions = open_one(PERF_COUNT_HW_INSTRUCTIONS);
    if (instructions >= 0)
        misses = open_one(PERF_COUNT_HW_CACHE_MISSES);
    if ((instructions < 0 || misses < 0) && out != NULL)
        fprintf(out, "without instructions and misses: perf_event_open: %s\n", strerror(errno));
}

static double read_one(int fd)
{
    uint64_t count;

    return fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count) ? (double)count : 0;
}

struct bench_counts bench_counters_read(void)
{
    return (struct bench_counts){read_one(instructions), read_one(misses)};
}

struct bench_counts bench_counts_since(struct bench_counts a, struct bench_counts b, double n)
{
    return (struct bench_counts){(b.instructions - a.instructions) / n, (b.misses - a.misses) / n};
}
