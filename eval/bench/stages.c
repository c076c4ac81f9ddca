/* What a packet costs at each stage, and what the whole chain carries on one core: controller, unit
 * with its NF, and output logger with commit, all at work on the same packets (chain.h).
 *
 * The cycles of a stage are those that pass within its core, read from the time stamp counter
 * around each of its turns; Mpps are of all of it, source and sink included. The ceiling is source
 * and sink alone, measured by turns with the chain.
 */
#include <errno.h>
#include <stdlib.h>

#include "eval/bench/case.h"
#include "eval/bench/counters.h"
#include "lib/base/eal.h"

enum { RUN_PACKETS = 1 << 20, QUICK_PACKETS = 1 << 14 };

struct world {
    const struct bench_options *options;
    struct bench_report *report;
    struct rte_mempool *pool;
};

/* --- one case ----------------------------------------------------------------------------------
 */

struct run {
    uint64_t packets;
    double ns, cycles[BENCH_STAGES];
    struct bench_counts counts; /* per packet; without those of the ceiling */
};

static int run_chain(struct bench_chain *chain, struct bench_source *source, uint64_t packets,
                     struct run *run, struct rill_error *err)
{
    uint64_t released = bench_chain_released(chain), before[BENCH_STAGES], begin_ns = bench_ns();
    struct bench_counts counts = bench_counters_read();
    int rc;

    for (int i = 0; i < BENCH_STAGES; i++)
        before[i] = bench_chain_cycles(chain, (enum bench_stage)i);
    rc = bench_case_run(chain, source, packets, err);
    run->ns = (double)(bench_ns() - begin_ns);
    run->counts = bench_counts_since(counts, bench_counters_read(), (double)packets);
    run->packets = bench_chain_released(chain) - released;
    for (int i = 0; i < BENCH_STAGES; i++)
        run->cycles[i] =
            (double)(bench_chain_cycles(chain, (enum bench_stage)i) - before[i]) / (double)packets;
    return rc;
}

/* Mpps; 0: stuck. */
static double run_ceiling(struct bench_source *source, uint64_t packets,
                          struct bench_counts *per_packet)
{
    struct bench_counts counts = bench_counters_read();
    struct rte_mbuf *burst[BENCH_BURST];
    uint64_t begin_ns = bench_ns();

    for (uint64_t n = 0; n < packets; n += BENCH_BURST) {
        if (!bench_source_burst(source, burst))
            return 0;
        rte_pktmbuf_free_bulk(burst, BENCH_BURST);
    }
    *per_packet = bench_counts_since(counts, bench_counters_read(), (double)packets);
    return (double)packets * 1000 / (double)(bench_ns() - begin_ns);
}

static void add_results(struct world *w, const struct bench_case *which, struct run *runs,
                        double *ceilings)
{
    static const char *const stages[BENCH_STAGES] = {"controller", "unit", "logger"};
    struct bench_result result = {.flows = which->flows, .packet_bytes = (uint32_t)which->bytes};
    uint64_t n = w->options->runs;
    double values[BENCH_RUNS_MAX];

    for (int stage = 0; stage < BENCH_STAGES; stage++) {
        for (uint64_t i = 0; i < n; i++)
            values[i] = runs[i].cycles[stage];
        snprintf(result.name, sizeof(result.name), "%s/%s/%s", stages[stage], which->nf,
                 which->order);
        result.cycles_per_packet = bench_median(values, n, &result.spread_percent);
        bench_report_add(w->report, &result);
    }
    for (uint64_t i = 0; i < n; i++)
        values[i] = (double)runs[i].packets * 1000 / runs[i].ns;
    result.mpps = bench_median(values, n, &result.spread_percent);
    result.ceiling_mpps = bench_median(ceilings, n, NULL);
    result.ratio = result.mpps / result.ceiling_mpps;
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].cycles[BENCH_CONTROLLER] + runs[i].cycles[BENCH_UNIT] +
                    runs[i].cycles[BENCH_LOGGER];
    result.cycles_per_packet = bench_median(values, n, NULL);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].counts.instructions;
    result.instructions_per_packet = bench_median(values, n, NULL);
    for (uint64_t i = 0; i < n; i++)
        values[i] = runs[i].counts.misses;
    result.misses_per_packet = bench_median(values, n, NULL);
    snprintf(result.name, sizeof(result.name), "chain/%s/%s", which->nf, which->order);
    bench_report_add(w->report, &result);
}

static int measure(struct world *w, const struct bench_case *which,
                   const struct bench_case_parts *parts, struct bench_chain *chain,
                   struct rill_error *err)
{
    uint64_t packets = w->options->quick ? QUICK_PACKETS : RUN_PACKETS;
    struct bench_source source, sink;
    struct run runs[BENCH_RUNS_MAX];
    double ceilings[BENCH_RUNS_MAX];
    int rc;

    bench_case_source(which, parts, &source);
    rc = which->capture != NULL ? bench_source_open(&source, which->capture, BENCH_MBUFS, err) : 0;
    sink = source;
    sink.streams = parts->streams[1]; /* what never comes is no part of the others */
    if (rc == 0)
        rc = bench_case_warm_up(which, chain, &source, err);
    for (uint64_t i = 0; rc == 0 && i < w->options->runs; i++) {
        struct bench_counts idle = {0};

        ceilings[i] = run_ceiling(&sink, packets, &idle);
        rc = run_chain(chain, &source, packets, &runs[i], err);
        runs[i].counts = bench_counts_since(idle, runs[i].counts, 1);
    }
    if (rc == 0)
        add_results(w, which, runs, ceilings);
    bench_source_close(&source);
    return rc;
}

static int measure_case(void *arg, const struct bench_case *which, struct rill_error *err)
{
    struct bench_case_parts parts;
    struct bench_chain *chain = NULL;
    int rc = bench_case_prepare(which, ((struct world *)arg)->pool, &parts, err);

    if (rc == 0) {
        chain = bench_chain_create(&parts.chain, err);
        rc = chain != NULL ? measure(arg, which, &parts, chain, err) : -ENOMEM;
    }
    bench_chain_destroy(chain);
    bench_case_release(&parts);
    return rc;
}

/* A capture has its own flows and order, which the options then name. */
static int check(const struct bench_case *wanted)
{
    if (wanted->capture == NULL ||
        (wanted->nf != NULL && wanted->order != NULL && wanted->flows != 0 && wanted->bytes != 0))
        return 0;
    fprintf(stderr,
            "bench stages: --capture %s: it takes --nf, --order, --flows and --bytes, too, "
            "which say what it holds\n",
            wanted->capture);
    return -1;
}

int main(int argc, char **argv)
{
    struct bench_case wanted = {0};
    struct bench_options options = {.own = &wanted};
    struct world w = {.options = &options};
    struct rill_error err;
    int rc = bench_options("stages", argc, argv, bench_case_args, &options);

    if (rc != 0)
        return rc - 1;
    if (check(&wanted) != 0)
        return 2;
    w.report = bench_report_begin("stages", &options);
    if (w.report == NULL)
        return 2;
    bench_counters_open(bench_report_table(w.report));
    rc = rill_eal_init(BENCH_MEMORY_MB, &err);
    if (rc == 0) {
        w.pool = rill_frame_pool_create("bench", BENCH_MBUFS, &err);
        rc = w.pool != NULL ? bench_case_each(&options, measure_case, &w, &err) : -ENOMEM;
    }
    if (rc != 0) {
        fprintf(stderr, "bench stages: %s\n", err.text);
        free(w.report);
        return 2;
    }
    return bench_report_end(w.report);
}
