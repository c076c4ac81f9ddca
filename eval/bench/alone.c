/* What a stage costs with a core for itself: controller, unit and output logger each alone, with
 * the frames that it took in within the chain, recorded (tape.h). It then does the very same, which
 * is checked: what it sends adds up to the same.
 *
 * Mpps are of the stage with what gives it its frames (a copy from the record into new buffers) and
 * frees what it sends; the ceiling is that without the stage.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "eval/bench/case.h"
#include "eval/bench/counters.h"
#include "lib/base/eal.h"

enum { PART_PACKETS = 1 << 17, QUICK_PACKETS = 1 << 12, MBUFS = 65536 };

struct wanted {
    struct bench_case which; /* the first: bench_case_args fill it */
    int stage;               /* -1: all */
};

struct world {
    const struct bench_options *options;
    const struct wanted *wanted;
    struct bench_report *report;
    struct rte_mempool *pool;
};

static const char *const names[BENCH_STAGES] = {"controller", "unit", "logger"};

static uint64_t part_packets(const struct world *w)
{
    return w->options->quick ? QUICK_PACKETS : PART_PACKETS;
}

/* --- recording --------------------------------------------------------------------------------
 */

static int record(struct world *w, const struct bench_case *which,
                  const struct bench_case_parts *parts, enum bench_stage stage,
                  struct bench_chain *chain, struct bench_tape *tape, struct rill_error *err)
{
    struct bench_source source;
    int rc;

    bench_case_source(which, parts, &source);
    bench_chain_record(chain, stage, tape);
    rc = bench_case_warm_up(which, chain, &source, err);
    for (uint64_t i = 0; rc == 0 && i < w->options->runs; i++) {
        bench_chain_mark(chain);
        rc = bench_case_run(chain, &source, part_packets(w), err);
    }
    if (rc == 0 && tape->full)
        rc = rill_error_set(err, -ENOMEM, "no memory for the frames of the %s", names[stage]);
    return rc;
}

/* --- playing ----------------------------------------------------------------------------------
 */

struct run {
    double cycles, mpps, ceiling_mpps;
    struct bench_counts counts; /* per packet */
};

static double mpps_since(uint64_t begin_ns, uint64_t packets)
{
    return (double)packets * 1000 / (double)(bench_ns() - begin_ns);
}

/* A part twice: only its frames, then the stage with them. */
static bool play_part(struct world *w, enum bench_stage stage, struct bench_chain *chain,
                      struct bench_tape *tape, struct run *run)
{
    uint64_t packets = part_packets(w), before = bench_chain_cycles(chain, stage);
    uint64_t begin_ns = bench_ns();
    struct bench_counts start = bench_counters_read(), middle, idle;
    size_t at = tape->at;
    bool whole = bench_chain_play(chain, stage, tape, true);

    run->ceiling_mpps = mpps_since(begin_ns, packets);
    middle = bench_counters_read();
    idle = bench_counts_since(start, middle, (double)packets);
    tape->at = at;
    begin_ns = bench_ns();
    whole = whole && bench_chain_play(chain, stage, tape, false);
    run->mpps = mpps_since(begin_ns, packets);
    run->counts = bench_counts_since(middle, bench_counters_read(), (double)packets);
    run->counts = bench_counts_since(idle, run->counts, 1);
    run->cycles = (double)(bench_chain_cycles(chain, stage) - before) / (double)packets;
    return whole;
}

static int play(struct world *w, enum bench_stage stage, struct bench_chain *chain,
                struct bench_tape *tape, struct run *runs, struct rill_error *err)
{
    bool whole = bench_chain_play(chain, stage, tape, false); /* to warm up */

    for (uint64_t i = 0; whole && i < w->options->runs; i++)
        whole = play_part(w, stage, chain, tape, &runs[i]);
    return whole ? 0
                 : rill_error_set(err, -ENOMEM, "the %s keeps all packet buffers", names[stage]);
}

static void add_result(struct world *w, const struct bench_case *which, enum bench_stage stage,
                       const struct run *runs)
{
    struct bench_result result = {.flows = which->flows, .packet_bytes = (uint32_t)which->bytes};
    uint64_t n = w->options->runs;
    double values[BENCH_RUNS_MAX];

    snprintf(result.name, sizeof(result.name), "alone/%s/%s/%s", names[stage], which->nf,
             which->order);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].cycles;
    result.cycles_per_packet = bench_median(values, n, NULL);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].counts.instructions;
    result.instructions_per_packet = bench_median(values, n, NULL);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].counts.misses;
    result.misses_per_packet = bench_median(values, n, NULL);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].ceiling_mpps;
    result.ceiling_mpps = bench_median(values, n, NULL);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].mpps;
    result.mpps = bench_median(values, n, &result.spread_percent);
    result.ratio = result.mpps / result.ceiling_mpps;
    bench_report_add(w->report, &result);
}

/* --- one stage of a case ------------------------------------------------------------------------
 */

static int measure_stage(struct world *w, const struct bench_case *which, enum bench_stage stage,
                         const struct bench_case_parts *parts, struct rill_error *err)
{
    struct bench_tape tape = {0};
    struct bench_chain *chain = bench_chain_create(&parts->chain, err);
    struct run runs[BENCH_RUNS_MAX];
    uint64_t sent = 0;
    int rc = chain != NULL ? record(w, which, parts, stage, chain, &tape, err) : -ENOMEM;

    if (rc == 0) {
        sent = bench_chain_sent(chain);
        bench_chain_destroy(chain);
        chain = bench_chain_create(&parts->chain, err);
        rc = chain != NULL ? play(w, stage, chain, &tape, runs, err) : -ENOMEM;
    }
    if (rc == 0 && bench_chain_sent(chain) != sent)
        rc = rill_error_set(err, -EIO, "the %s alone sent other frames than in the chain",
                            names[stage]);
    if (rc == 0)
        add_result(w, which, stage, runs);
    bench_chain_destroy(chain);
    bench_tape_free(&tape);
    return rc;
}

static int measure_case(void *arg, const struct bench_case *which, struct rill_error *err)
{
    struct world *w = arg;
    struct bench_case_parts parts;
    int rc = bench_case_prepare(which, w->pool, &parts, err);

    for (int stage = 0; rc == 0 && stage < BENCH_STAGES; stage++)
        if (w->wanted->stage < 0 || w->wanted->stage == stage)
            rc = measure_stage(w, which, (enum bench_stage)stage, &parts, err);
    bench_case_release(&parts);
    return rc;
}

/* Less than all where nothing is said: the size and the flows that the budgets are for. */
static int choose(struct bench_case *wanted, bool quick)
{
    if (wanted->capture != NULL) {
        fprintf(stderr, "bench alone: --capture %s: it has packets of its own only\n",
                wanted->capture);
        return -1;
    }
    if (wanted->bytes == 0)
        wanted->bytes = 64;
    if (wanted->flows == 0 && !quick)
        wanted->flows = 200000;
    return 0;
}

static int take_stage(void *target, const char *value, struct rill_error *err)
{
    struct wanted *wanted = ((struct bench_options *)target)->own;

    for (wanted->stage = BENCH_STAGES - 1; wanted->stage >= 0; wanted->stage--)
        if (strcmp(value, names[wanted->stage]) == 0)
            return 0;
    return rill_error_set(err, -EINVAL, "--stage '%s': it is controller, unit or logger", value);
}

/* Those of a case, and one more. */
static const struct rill_arg *arguments(void)
{
    static struct rill_arg table[BENCH_CASE_ARGS + 2];

    memcpy(table, bench_case_args, BENCH_CASE_ARGS * sizeof(table[0]));
    table[BENCH_CASE_ARGS] = (struct rill_arg){"stage", "NAME", "only controller, unit or logger",
                                               false,   NULL,   take_stage};
    return table;
}

int main(int argc, char **argv)
{
    struct wanted wanted = {.stage = -1};
    struct bench_options options = {.own = &wanted};
    struct world w = {.options = &options, .wanted = &wanted};
    struct rill_error err;
    int rc = bench_options("alone", argc, argv, arguments(), &options);

    if (rc != 0)
        return rc - 1;
    if (choose(&wanted.which, options.quick) != 0)
        return 2;
    w.report = bench_report_begin("alone", &options);
    if (w.report == NULL)
        return 2;
    bench_counters_open(bench_report_table(w.report));
    rc = rill_eal_init(BENCH_MEMORY_MB, &err);
    if (rc == 0) {
        w.pool = rill_frame_pool_create("bench", MBUFS, &err);
        rc = w.pool != NULL ? bench_case_each(&options, measure_case, &w, &err) : -ENOMEM;
    }
    if (rc != 0) {
        fprintf(stderr, "bench alone: %s\n", err.text);
        free(w.report);
        return 2;
    }
    return bench_report_end(w.report);
}
