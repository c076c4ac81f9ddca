#include "eval/bench/case.h"

#include <errno.h>
#include <string.h>

#include "cli/nf_path.h"
#include "eval/bench/noop.h"
#include "eval/bench/words.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"

enum { TEXT_BYTES = 1024, QUICK_FLOWS = 1000 };
#define PPS UINT64_C(10000000)
#define REST_NS UINT64_C(5000000)

struct subject {
    const char *name, *nf;
    const char *engine; /* of ids */
    bool tcp;
};

static const struct subject subjects[] = {
    {"noop", "noop", NULL, false},
    {"nat", "nat", NULL, false},
    {"lb", "lb", NULL, false},
    {"monitor", "monitor", NULL, false},
    {"noop-tcp", "noop", NULL, true},
    {"ids", "ids", "aho-corasick", true},
#ifdef BENCH_HAS_HYPERSCAN
    {"ids-hyperscan", "ids", "hyperscan", true},
#endif
};
static const char *const orders[] = {"bursts", "random"};

static const struct subject *subject_of(const char *name)
{
    for (unsigned i = 0; i < RTE_DIM(subjects); i++)
        if (strcmp(name, subjects[i].name) == 0)
            return &subjects[i];
    return NULL;
}

/* --- packets ------------------------------------------------------------------------------------
 */

void bench_case_source(const struct bench_case *which, const struct bench_case_parts *parts,
                       struct bench_source *source)
{
    bench_source_init(source, parts->chain.pool, (uint32_t)which->flows, (uint32_t)which->bytes,
                      strcmp(which->order, "random") == 0 ? BENCH_RANDOM : BENCH_BURSTS);
    if (parts->streams[0] != NULL)
        bench_source_carry(source, parts->streams[0]);
}

static int stuck(struct rill_error *err)
{
    return rill_error_set(err, -EIO, "packets do not come out of the chain any more");
}

int bench_case_run(struct bench_chain *chain, struct bench_source *source, uint64_t packets,
                   struct rill_error *err)
{
    struct rte_mbuf *burst[BENCH_BURST];
    uint64_t released = bench_chain_released(chain);

    for (uint64_t n = 0; n < packets; n += BENCH_BURST) {
        if (!bench_source_burst(source, burst))
            return stuck(err);
        bench_chain_burst(chain, burst);
    }
    return bench_chain_released(chain) - released + BENCH_MBUFS < packets ? stuck(err) : 0;
}

int bench_case_warm_up(const struct bench_case *which, struct bench_chain *chain,
                       struct bench_source *source, struct rill_error *err)
{
    struct bench_source in_turn;
    int rc = 0;

    bench_source_init(&in_turn, source->pool, (uint32_t)which->flows, source->packet_bytes,
                      BENCH_IN_TURN);
    if (source->streams != NULL)
        bench_source_carry(&in_turn, source->streams);
    for (int i = 0; rc == 0 && i < 2; i++) {
        rc = bench_case_run(chain, &in_turn, RTE_MAX(which->flows, (uint64_t)BENCH_ACTIVE), err);
        bench_chain_rest(chain, REST_NS);
    }
    return rc == 0 ? bench_case_run(chain, source, which->flows / 2, err) : rc;
}

/* --- its configuration -------------------------------------------------------------------------
 */

static int set(struct rill_config *config, const char *name, const char *value,
               struct rill_error *err)
{
    return rill_config_set(config, name, value, "the benchmark", err);
}

/* Units that are never the bottleneck, and tables that hold the flows. */
static int make_settings(const struct bench_case *which, struct rill_config **settings,
                         struct rill_error *err)
{
    char flows[24];
    int rc;

    *settings = rill_config_create(rill_settings_schema, err);
    if (*settings == NULL)
        return -ENOMEM;
    snprintf(flows, sizeof(flows), "%llu", (unsigned long long)which->flows + 1000);
    rc = set(*settings, "flows_max", flows, err);
    if (rc == 0)
        rc = set(*settings, "unit_capacity_mbps", "400000", err);
    if (rc == 0)
        rc = set(*settings, "units_min", "1", err);
    return rc;
}

static int configure_ids(const char *engine, struct rill_config *config, struct rill_error *err)
{
    int rc = set(config, "rules", BENCH_WORDS, err);

    return rc != 0 ? rc : set(config, "engine", engine, err);
}

/* A NAT has a public address for each 60,000 flows. */
static int make_nf_config(const struct bench_case *which, const struct rill_nf_descriptor *nf,
                          struct rill_config **config, struct rill_error *err)
{
    const struct subject *subject = subject_of(which->nf);
    char addresses[TEXT_BYTES];
    size_t used = 0;

    *config = rill_config_create(nf->options, err);
    if (*config == NULL)
        return -ENOMEM;
    if (subject->engine != NULL)
        return configure_ids(subject->engine, *config, err);
    if (strcmp(subject->nf, "nat") != 0)
        return 0;
    for (uint64_t i = 0; i <= which->flows / 60000; i++)
        used += (size_t)snprintf(addresses + used, sizeof(addresses) - used, "%s198.51.100.%u",
                                 i == 0 ? "" : ",", (unsigned)i + 1);
    return set(*config, "public_addresses", addresses, err);
}

static int load_nf(const struct bench_case *which, struct rill_nf_image *image,
                   struct rill_error *err)
{
    const char *nf = subject_of(which->nf)->nf;
    char search[TEXT_BYTES];

    *image = (struct rill_nf_image){.descriptor = &bench_noop, .memory = -1};
    if (strcmp(nf, "noop") == 0)
        return 0;
    rill_nf_search_path(search, sizeof(search));
    return rill_nf_load(nf, search, image, err);
}

static int make_streams(const struct bench_case *which, struct bench_case_parts *parts,
                        struct rill_error *err)
{
    for (unsigned i = 0; i < RTE_DIM(parts->streams) && subject_of(which->nf)->tcp; i++) {
        parts->streams[i] = bench_streams_create((uint32_t)which->flows);
        if (parts->streams[i] == NULL)
            return rill_error_set(err, -ENOMEM, "no memory for the streams");
    }
    return 0;
}

int bench_case_prepare(const struct bench_case *which, struct rte_mempool *pool,
                       struct bench_case_parts *parts, struct rill_error *err)
{
    int rc;

    *parts = (struct bench_case_parts){0};
    rc = load_nf(which, &parts->image, err);
    if (rc == 0)
        rc = make_settings(which, &parts->settings, err);
    if (rc == 0)
        rc = make_nf_config(which, parts->image.descriptor, &parts->nf_config, err);
    if (rc == 0)
        rc = make_streams(which, parts, err);
    parts->chain = (struct bench_chain_config){.nf = parts->image.descriptor,
                                               .nf_config = parts->nf_config,
                                               .settings = parts->settings,
                                               .pool = pool,
                                               .equip = bench_words_equip,
                                               .flows = (uint32_t)which->flows + 1000,
                                               .pps = PPS};
    return rc;
}

void bench_case_release(struct bench_case_parts *parts)
{
    rill_config_destroy(parts->nf_config);
    rill_config_destroy(parts->settings);
    if (parts->image.descriptor != NULL && parts->image.descriptor != &bench_noop)
        rill_nf_unload(&parts->image);
    for (unsigned i = 0; i < RTE_DIM(parts->streams); i++)
        bench_streams_destroy(parts->streams[i]);
}

/* --- which ones --------------------------------------------------------------------------------
 */

static bool is_wanted(const struct bench_case *wanted, const struct bench_case *which, bool quick)
{
    return (wanted->nf == NULL || strcmp(wanted->nf, which->nf) == 0) &&
           (wanted->order == NULL || strcmp(wanted->order, which->order) == 0) &&
           (wanted->flows == 0 || wanted->flows == which->flows) &&
           (wanted->bytes == 0 || wanted->bytes == which->bytes) &&
           (!quick || which->flows == QUICK_FLOWS);
}

int bench_case_each(const struct bench_options *options,
                    int (*measure)(void *arg, const struct bench_case *which,
                                   struct rill_error *err),
                    void *arg, struct rill_error *err)
{
    static const uint64_t flows[] = {1000, 50000, 200000, 1000000}, bytes[] = {64, 1434};
    const struct bench_case *wanted = options->own;
    int rc = 0;

    for (unsigned n = 0; n < RTE_DIM(subjects); n++)
        for (unsigned o = 0; o < RTE_DIM(orders); o++)
            for (unsigned f = 0; f < RTE_DIM(flows); f++)
                for (unsigned b = 0; b < RTE_DIM(bytes); b++) {
                    const struct bench_case which = {subjects[n].name, orders[o], flows[f],
                                                     bytes[b], wanted->capture};

                    if (rc == 0 && is_wanted(wanted, &which, options->quick))
                        rc = measure(arg, &which, err);
                }
    return rc;
}

static int take_nf(void *target, const char *value, struct rill_error *err)
{
    struct bench_case *wanted = ((struct bench_options *)target)->own;

    wanted->nf = value;
    if (subject_of(value) != NULL)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "--nf '%s': it is noop, nat, lb, monitor, noop-tcp, ids or, where this "
                          "build has Hyperscan, ids-hyperscan",
                          value);
}

static int take_order(void *target, const char *value, struct rill_error *err)
{
    struct bench_case *wanted = ((struct bench_options *)target)->own;

    wanted->order = value;
    if (strcmp(value, orders[0]) == 0 || strcmp(value, orders[1]) == 0)
        return 0;
    return rill_error_set(err, -EINVAL, "--order '%s': it is bursts or random", value);
}

static int take_flows(void *target, const char *value, struct rill_error *err)
{
    struct bench_case *wanted = ((struct bench_options *)target)->own;

    if (rill_args_u64(value, &wanted->flows) == 0 &&
        (wanted->flows == 1000 || wanted->flows == 50000 || wanted->flows == 200000 ||
         wanted->flows == 1000000))
        return 0;
    return rill_error_set(err, -EINVAL, "--flows '%s': it is 1000, 50000, 200000 or 1000000",
                          value);
}

static int take_bytes(void *target, const char *value, struct rill_error *err)
{
    struct bench_case *wanted = ((struct bench_options *)target)->own;

    if (rill_args_u64(value, &wanted->bytes) == 0 && (wanted->bytes == 64 || wanted->bytes == 1434))
        return 0;
    return rill_error_set(err, -EINVAL, "--bytes '%s': it is 64 or 1434", value);
}

static int take_capture(void *target, const char *value, struct rill_error *err)
{
    struct bench_case *wanted = ((struct bench_options *)target)->own;

    (void)err;
    wanted->capture = value;
    return 0;
}

const struct rill_arg bench_case_args[BENCH_CASE_ARGS + 1] = {
    {"nf", "NAME", "only this: noop, nat, lb, monitor; noop-tcp, ids, ids-hyperscan", false, NULL,
     take_nf},
    {"order", "NAME", "only bursts (flowlets of 10 packets) or random", false, NULL, take_order},
    {"flows", "N", "only so many flows: 1000, 50000, 200000 or 1000000", false, NULL, take_flows},
    {"bytes", "N", "only packets of 64 or of 1434 bytes", false, NULL, take_bytes},
    {"capture", "FILE",
     "packets of eval/bench/peers/trace_file.py in place of our own; what it "
     "holds is said by all four above",
     false, NULL, take_capture},
    {0},
};
