/* What a packet costs at each stage, and what the whole chain carries on one core: controller, unit
 * with its NF, and output logger with commit, all at work on the same packets (chain.h).
 *
 * The cycles of a stage are those that pass within its core, read from the time stamp counter
 * around each of its turns; Mpps are of all of it, source and sink included. The ceiling is source
 * and sink alone, measured by turns with the chain.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mempool.h>

#include "cli/nf_path.h"
#include "eval/bench/chain.h"
#include "eval/bench/harness.h"
#include "eval/bench/noop.h"
#include "lib/base/eal.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"
#include "nf-runtime/loader.h"

enum { MBUFS = 16384, MEMORY_MB = 8192, TEXT_BYTES = 1024, RUN_PACKETS = 1 << 20 };
enum { QUICK_FLOWS = 1000, QUICK_PACKETS = 1 << 14 };
#define PPS UINT64_C(10000000)

/* A case; or, of those that are wanted: NULL and 0 stand for all. */
struct choice {
    const char *nf, *order;
    uint64_t flows, bytes;
    const char *capture; /* NULL: packets of our own */
};

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
};

static int stuck(struct rill_error *err)
{
    return rill_error_set(err, -EIO, "packets do not come out of the chain any more");
}

static int run_chain(struct bench_chain *chain, struct bench_source *source, uint64_t packets,
                     struct run *run, struct rill_error *err)
{
    struct rte_mbuf *burst[BENCH_BURST];
    uint64_t released = bench_chain_released(chain), before[BENCH_STAGES], begin_ns = bench_ns();

    for (int i = 0; i < BENCH_STAGES; i++)
        before[i] = bench_chain_cycles(chain, (enum bench_stage)i);
    for (uint64_t n = 0; n < packets; n += BENCH_BURST) {
        if (!bench_source_burst(source, burst))
            return stuck(err);
        bench_chain_burst(chain, burst);
    }
    run->ns = (double)(bench_ns() - begin_ns);
    run->packets = bench_chain_released(chain) - released;
    for (int i = 0; i < BENCH_STAGES; i++)
        run->cycles[i] =
            (double)(bench_chain_cycles(chain, (enum bench_stage)i) - before[i]) / (double)packets;
    return run->packets + MBUFS < packets ? stuck(err) : 0;
}

static double run_ceiling(struct bench_source *source, uint64_t packets)
{
    struct rte_mbuf *burst[BENCH_BURST];
    uint64_t begin_ns = bench_ns();

    for (uint64_t n = 0; n < packets; n += BENCH_BURST) {
        if (!bench_source_burst(source, burst))
            return 0;
        rte_pktmbuf_free_bulk(burst, BENCH_BURST);
    }
    return (double)packets * 1000 / (double)(bench_ns() - begin_ns);
}

/* Every flow is known, has its alias and is established; nothing is under way. */
static int warm_up(struct bench_chain *chain, struct bench_source *source, uint32_t flows,
                   struct rill_error *err)
{
    struct bench_source in_turn;
    struct run run;

    bench_source_init(&in_turn, source->pool, flows, source->packet_bytes, BENCH_IN_TURN);
    for (int i = 0; i < 2; i++) {
        int rc = run_chain(chain, &in_turn, RTE_MAX(flows, (uint32_t)BENCH_ACTIVE), &run, err);

        if (rc != 0)
            return rc;
        bench_chain_rest(chain, UINT64_C(5000000));
    }
    return run_chain(chain, source, flows / 2, &run, err);
}

static void add_results(struct world *w, const struct choice *choice, struct run *runs,
                        double *ceilings)
{
    static const char *const stages[BENCH_STAGES] = {"controller", "unit", "logger"};
    struct bench_result result = {.flows = choice->flows, .packet_bytes = (uint32_t)choice->bytes};
    uint64_t n = w->options->runs;
    double values[BENCH_RUNS_MAX];

    for (int stage = 0; stage < BENCH_STAGES; stage++) {
        for (uint64_t i = 0; i < n; i++)
            values[i] = runs[i].cycles[stage];
        snprintf(result.name, sizeof(result.name), "%s/%s/%s", stages[stage], choice->nf,
                 choice->order);
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
    snprintf(result.name, sizeof(result.name), "chain/%s/%s", choice->nf, choice->order);
    bench_report_add(w->report, &result);
}

static int measure(struct world *w, const struct choice *choice, struct bench_chain *chain,
                   struct rill_error *err)
{
    uint64_t packets = w->options->quick ? QUICK_PACKETS : RUN_PACKETS;
    struct bench_source source;
    struct run runs[BENCH_RUNS_MAX];
    double ceilings[BENCH_RUNS_MAX];
    int rc;

    bench_source_init(&source, w->pool, (uint32_t)choice->flows, (uint32_t)choice->bytes,
                      strcmp(choice->order, "random") == 0 ? BENCH_RANDOM : BENCH_BURSTS);
    rc = choice->capture != NULL ? bench_source_open(&source, choice->capture, MBUFS, err) : 0;
    if (rc == 0)
        rc = warm_up(chain, &source, (uint32_t)choice->flows, err);
    for (uint64_t i = 0; rc == 0 && i < w->options->runs; i++) {
        ceilings[i] = run_ceiling(&source, packets);
        rc = run_chain(chain, &source, packets, &runs[i], err);
    }
    if (rc == 0)
        add_results(w, choice, runs, ceilings);
    return rc;
}

/* --- its configuration -------------------------------------------------------------------------
 */

static int set(struct rill_config *config, const char *name, const char *value,
               struct rill_error *err)
{
    return rill_config_set(config, name, value, "the benchmark", err);
}

/* Units that are never the bottleneck, and tables that hold the flows. */
static int make_settings(const struct choice *choice, struct rill_config **settings,
                         struct rill_error *err)
{
    char flows[24];
    int rc;

    *settings = rill_config_create(rill_settings_schema, err);
    if (*settings == NULL)
        return -ENOMEM;
    snprintf(flows, sizeof(flows), "%llu", (unsigned long long)choice->flows + 1000);
    rc = set(*settings, "flows_max", flows, err);
    if (rc == 0)
        rc = set(*settings, "unit_capacity_mbps", "400000", err);
    if (rc == 0)
        rc = set(*settings, "units_min", "1", err);
    return rc;
}

/* A public address for each 60,000 flows. */
static int make_nf_config(const struct choice *choice, const struct rill_nf_descriptor *nf,
                          struct rill_config **config, struct rill_error *err)
{
    char addresses[TEXT_BYTES];
    size_t used = 0;

    *config = rill_config_create(nf->options, err);
    if (*config == NULL)
        return -ENOMEM;
    if (strcmp(choice->nf, "nat") != 0)
        return 0;
    for (uint64_t i = 0; i <= choice->flows / 60000; i++)
        used += (size_t)snprintf(addresses + used, sizeof(addresses) - used, "%s198.51.100.%u",
                                 i == 0 ? "" : ",", (unsigned)i + 1);
    return set(*config, "public_addresses", addresses, err);
}

static int load_nf(const struct choice *choice, struct rill_nf_image *image, struct rill_error *err)
{
    char search[TEXT_BYTES];

    *image = (struct rill_nf_image){.descriptor = &bench_noop, .memory = -1};
    if (strcmp(choice->nf, "noop") == 0)
        return 0;
    rill_nf_search_path(search, sizeof(search));
    return rill_nf_load(choice->nf, search, image, err);
}

static int measure_case(struct world *w, const struct choice *choice, struct rill_error *err)
{
    struct rill_config *settings = NULL, *nf_config = NULL;
    struct bench_chain *chain = NULL;
    struct rill_nf_image image;
    int rc = load_nf(choice, &image, err);

    if (rc != 0)
        return rc;
    rc = make_settings(choice, &settings, err);
    if (rc == 0)
        rc = make_nf_config(choice, image.descriptor, &nf_config, err);
    if (rc == 0) {
        struct bench_chain_config config = {.nf = image.descriptor,
                                            .nf_config = nf_config,
                                            .settings = settings,
                                            .pool = w->pool,
                                            .flows = (uint32_t)choice->flows + 1000,
                                            .pps = PPS};

        chain = bench_chain_create(&config, err);
        rc = chain != NULL ? measure(w, choice, chain, err) : -ENOMEM;
    }
    bench_chain_destroy(chain);
    rill_config_destroy(nf_config);
    rill_config_destroy(settings);
    if (image.descriptor != &bench_noop)
        rill_nf_unload(&image);
    return rc;
}

/* --- all cases ---------------------------------------------------------------------------------
 */

static int measure_all(struct world *w, const struct choice *wanted, struct rill_error *err)
{
    static const char *const nfs[] = {"noop", "nat", "lb"}, *const orders[] = {"bursts", "random"};
    static const uint64_t flows[] = {1000, 50000, 200000, 1000000}, bytes[] = {64, 1434};
    int rc = 0;

    for (unsigned n = 0; n < RTE_DIM(nfs); n++)
        for (unsigned o = 0; o < RTE_DIM(orders); o++)
            for (unsigned f = 0; f < RTE_DIM(flows); f++)
                for (unsigned b = 0; b < RTE_DIM(bytes); b++) {
                    struct choice choice = {nfs[n], orders[o], flows[f], bytes[b], wanted->capture};

                    if ((wanted->nf != NULL && strcmp(wanted->nf, choice.nf) != 0) ||
                        (wanted->order != NULL && strcmp(wanted->order, choice.order) != 0) ||
                        (wanted->flows != 0 && wanted->flows != choice.flows) ||
                        (wanted->bytes != 0 && wanted->bytes != choice.bytes) ||
                        (w->options->quick && choice.flows != QUICK_FLOWS))
                        continue;
                    if (rc == 0)
                        rc = measure_case(w, &choice, err);
                }
    return rc;
}

static int take_nf(void *target, const char *value, struct rill_error *err)
{
    struct choice *wanted = ((struct bench_options *)target)->own;

    wanted->nf = value;
    if (strcmp(value, "noop") == 0 || strcmp(value, "nat") == 0 || strcmp(value, "lb") == 0)
        return 0;
    return rill_error_set(err, -EINVAL, "--nf '%s': it is noop, nat or lb", value);
}

static int take_order(void *target, const char *value, struct rill_error *err)
{
    struct choice *wanted = ((struct bench_options *)target)->own;

    wanted->order = value;
    if (strcmp(value, "bursts") == 0 || strcmp(value, "random") == 0)
        return 0;
    return rill_error_set(err, -EINVAL, "--order '%s': it is bursts or random", value);
}

static int take_flows(void *target, const char *value, struct rill_error *err)
{
    struct choice *wanted = ((struct bench_options *)target)->own;

    if (rill_args_u64(value, &wanted->flows) == 0 &&
        (wanted->flows == 1000 || wanted->flows == 50000 || wanted->flows == 200000 ||
         wanted->flows == 1000000))
        return 0;
    return rill_error_set(err, -EINVAL, "--flows '%s': it is 1000, 50000, 200000 or 1000000",
                          value);
}

static int take_bytes(void *target, const char *value, struct rill_error *err)
{
    struct choice *wanted = ((struct bench_options *)target)->own;

    if (rill_args_u64(value, &wanted->bytes) == 0 && (wanted->bytes == 64 || wanted->bytes == 1434))
        return 0;
    return rill_error_set(err, -EINVAL, "--bytes '%s': it is 64 or 1434", value);
}

static int take_capture(void *target, const char *value, struct rill_error *err)
{
    struct choice *wanted = ((struct bench_options *)target)->own;

    (void)err;
    wanted->capture = value;
    return 0;
}

/* A capture has its own flows and order, which the options then name. */
static int check(const struct choice *wanted)
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

static const struct rill_arg table[] = {
    {"nf", "NAME", "only this NF: noop, nat or lb", false, NULL, take_nf},
    {"order", "NAME", "only bursts (flowlets of 10 packets) or random", false, NULL, take_order},
    {"flows", "N", "only so many flows: 1000, 50000, 200000 or 1000000", false, NULL, take_flows},
    {"bytes", "N", "only packets of 64 or of 1434 bytes", false, NULL, take_bytes},
    {"capture", "FILE",
     "packets of eval/bench/peers/trace_file.py in place of our own; what it "
     "holds is said by all four above",
     false, NULL, take_capture},
    {0},
};

int main(int argc, char **argv)
{
    struct choice wanted = {0};
    struct bench_options options = {.own = &wanted};
    struct world w = {.options = &options};
    struct rill_error err;
    int rc = bench_options("stages", argc, argv, table, &options);

    if (rc != 0)
        return rc - 1;
    if (check(&wanted) != 0)
        return 2;
    w.report = bench_report_begin("stages", &options);
    if (w.report == NULL)
        return 2;
    rc = rill_eal_init(MEMORY_MB, &err);
    if (rc == 0) {
        w.pool = rill_frame_pool_create("bench", MBUFS, &err);
        rc = w.pool != NULL ? measure_all(&w, &wanted, &err) : -ENOMEM;
    }
    if (rc != 0) {
        fprintf(stderr, "bench stages: %s\n", err.text);
        free(w.report);
        return 2;
    }
    return bench_report_end(w.report);
}
