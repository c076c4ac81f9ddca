/* What the benchmarks share: the clocks, medians, what else the machine does, and the report, as a
 * table for people and as JSON for programs. No benchmark passes or fails by a time.
 */
#ifndef RILL_EVAL_BENCH_HARNESS_H
#define RILL_EVAL_BENCH_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/args.h"

enum { BENCH_RUNS_MIN = 7, BENCH_RUNS_MAX = 101, BENCH_NAME_BYTES = 48 };

/* What every benchmark takes from its command line. */
struct bench_options {
    const char *json; /* NULL: the table alone; "-": JSON on stdout in its place */
    uint64_t runs;
    bool quick; /* only see that it works */
    void *own;  /* of the benchmark, for its own arguments */
};

/* Reads --json, --runs, --quick and the `own` arguments (ends with a zeroed entry; NULL: none;
 * their target is options->own). 0; or the exit code + 1 with which main() is to return: 1 after
 * --help, 3 after a line that says what is wrong. */
int bench_options(const char *name, int argc, char **argv, const struct rill_arg *own,
                  struct bench_options *options);

uint64_t bench_ns(void);
static inline uint64_t bench_cycles(void)
{
    return __builtin_ia32_rdtsc();
}
double bench_cycles_per_ns(void); /* measured once */

/* Of n values, which are sorted by it; *spread_percent (may be NULL): (highest - lowest) / median.
 */
double bench_median(double *values, uint64_t n, double *spread_percent);

/* One line of the report. What does not apply is 0 and left out. */
struct bench_result {
    char name[BENCH_NAME_BYTES];
    uint64_t flows;
    uint32_t packet_bytes;
    double mpps;              /* with source and sink */
    double cycles_per_packet; /* of what is measured, without source and sink */
    double instructions_per_packet, misses_per_packet; /* likewise (counters.h) */
    double spread_percent; /* of mpps; of the cycles where there is no mpps */
    double ceiling_mpps;   /* the same packets from the source to the sink */
    double ratio;          /* mpps / ceiling_mpps */
};

struct bench_report;

/* Notes how busy the machine is before anything is measured. NULL: no memory. */
struct bench_report *bench_report_begin(const char *bench, const struct bench_options *options);
/* Where people look; NULL: nowhere. */
FILE *bench_report_table(const struct bench_report *report);
/* Copies it, and shows it in the table at once. */
void bench_report_add(struct bench_report *report, const struct bench_result *result);
/* One figure besides, as a field of the JSON and a line below the table. `name` has its unit. */
void bench_report_figure(struct bench_report *report, const char *name, double value);
/* Writes the JSON and frees the report. The exit code: 0, or 2 after a line. */
int bench_report_end(struct bench_report *report);

#endif
