/* How long the work assignment takes for a flowlet (controller/wam.h), and how long looking at all
 * units in turn would take, at 300 and 10,000 units.
 *
 * Units of 1 Gbps are 70% loaded with flowlets of 15,000 bytes, under a clock that goes on as that
 * load needs. Decisions are made in batches of 64, which alone are timed; what is sent to the
 * units, and the time that passes, is told in between. A run's figure is the median of its batches,
 * the result the median of the runs, so that what else the machine does is mostly left out; how
 * much it did is said.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/json.h"
#include "controller/wam.h"
#include "lib/base/role.h"

enum {
    BATCH = 64,
    FLOWS = 1024,
    HOLDERS = 4, /* owner and 3 replicas */
    FLOWLET_BYTES = 15000,
    LOAD_PERCENT = 70,
    RUNS_MIN = 7,
    RUNS_MAX = 101,
    LINEAR_PART = 20, /* of the decisions: it is slower by as much */
    SIZES = 2,
};
static const uint32_t sizes[SIZES] = {300, 10000};
#define CAPACITY_BPS UINT64_C(1000000000)
#define WINDOW_NS UINT64_C(100000000)
#define NOISY_SPREAD_PERCENT 25.0
#define NOISY_LOAD_PER_CORE 0.75

struct options {
    const char *json;
    uint64_t runs, batches, warm_up_ns;
};

struct flow {
    uint32_t owner, replicas[HOLDERS - 1];
    struct rill_wam_pending pending;
};

struct world {
    struct rill_wam *wam;
    struct rill_rng rng;
    uint32_t units;
    struct flow flows[FLOWS];
    uint64_t load_bps[10001]; /* for the linear scan, by number */
    uint64_t now_ns, step_ns;
    uint64_t ran_over; /* keeps the compiler from leaving choices out */
};

struct batch {
    uint32_t flow[BATCH];
    uint64_t demand_bps[BATCH];
};

/* The last is done by units of the other placement. */
enum what { DECIDE, FLOWLET, LINEAR, PREDICT, PACKET, DECIDE_FIRST_FIT, WHATS };
static const char *const whats[WHATS] = {"decision", "flowlet", "linear",
                                         "predict",  "packet",  "decision_first_fit"};

struct figure {
    double ns, spread_percent;
};

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int world_create(struct world *w, uint32_t units, enum rill_placement placement)
{
    const struct rill_wam_config config = {.units_max = units,
                                           .placement = placement,
                                           .alpha = 0.25,
                                           .backlog_ns = 100000,
                                           .expect_ns = 500000};

    memset(w, 0, sizeof(*w));
    rill_rng_seed(&w->rng, units);
    w->units = units;
    w->step_ns =
        BATCH * UINT64_C(8000000000) * FLOWLET_BYTES / LOAD_PERCENT * 100 / (units * CAPACITY_BPS);
    w->wam = rill_wam_create(&config);
    if (w->wam == NULL)
        return -ENOMEM;
    for (uint32_t i = 1; i <= units; i++)
        if (rill_wam_set_unit(w->wam, rill_role_id(RILL_ROLE_UNIT, i), CAPACITY_BPS) != 0 ||
            rill_wam_set_active(w->wam, rill_role_id(RILL_ROLE_UNIT, i), true, 0) != 0)
            return -ENOMEM;
    return 0;
}

static void draw(struct world *w, struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        b->flow[i] = rill_rng_below(&w->rng, FLOWS);
        b->demand_bps[i] = 1000000 + rill_rng_below(&w->rng, 400000000);
    }
}

static void decide(struct world *w, const struct flow *flow, uint64_t demand_bps)
{
    bool overload;

    w->ran_over += rill_wam_choose(w->wam, demand_bps, &flow->owner, HOLDERS, w->now_ns, &overload);
}

/* All that a flowlet's beginning asks of the work assignment: the decision, and the books. */
static void begin_flowlet(struct world *w, struct flow *flow, uint64_t demand_bps)
{
    bool overload;

    rill_wam_flowlet_end(w->wam, flow->owner, &flow->pending, w->now_ns);
    flow->owner = rill_wam_choose(w->wam, demand_bps, &flow->owner, HOLDERS, w->now_ns, &overload);
    rill_wam_assign(w->wam, flow->owner, demand_bps, &flow->pending, w->now_ns);
    w->ran_over += overload;
}

static void predict(struct world *w, struct flow *flow, uint64_t demand_bps)
{
    w->ran_over += rill_wam_predict(w->wam, demand_bps, flow->replicas, HOLDERS - 1, HOLDERS - 1,
                                    flow->owner, w->now_ns, flow->replicas);
}

static bool holds(const struct flow *flow, uint32_t unit)
{
    return flow->owner == unit || flow->replicas[0] == unit || flow->replicas[1] == unit ||
           flow->replicas[2] == unit;
}

/* The paper's pseudocode as it stands, without the backlog. */
static void scan(struct world *w, const struct flow *flow, uint64_t demand_bps)
{
    double best = -1;
    uint32_t chosen = 0;

    for (uint32_t i = 1; i <= w->units; i++) {
        double score;

        if (w->load_bps[i] + demand_bps > CAPACITY_BPS)
            continue;
        score = (double)w->load_bps[i] / (double)CAPACITY_BPS +
                (holds(flow, rill_role_id(RILL_ROLE_UNIT, i)) ? 0.25 : 0);
        if (score > best) {
            best = score;
            chosen = i;
        }
    }
    w->ran_over += chosen;
}

static uint64_t do_batch(struct world *w, const struct batch *b, enum what what)
{
    uint64_t begin_ns = clock_ns();

    for (int i = 0; i < BATCH; i++) {
        struct flow *flow = &w->flows[b->flow[i]];

        switch (what) {
        case LINEAR:
            scan(w, flow, b->demand_bps[i]);
            break;
        case PREDICT:
            predict(w, flow, b->demand_bps[i]);
            break;
        case PACKET:
            rill_wam_drained(w->wam, flow->owner, 1500, &flow->pending, w->now_ns);
            break;
        case FLOWLET:
            begin_flowlet(w, flow, b->demand_bps[i]);
            break;
        default:
            decide(w, flow, b->demand_bps[i]);
            break;
        }
    }
    return clock_ns() - begin_ns;
}

/* What the flowlets of the batch bring, and replicas for their flows. */
static void drain(struct world *w, const struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        struct flow *flow = &w->flows[b->flow[i]];

        rill_wam_drained(w->wam, flow->owner, FLOWLET_BYTES, &flow->pending, w->now_ns);
        rill_wam_targets(w->wam, &w->rng, RILL_REPLICA_WEIGHTED, HOLDERS - 1, flow->owner,
                         flow->replicas);
    }
    w->now_ns += w->step_ns;
    rill_wam_load_bps(w->wam, 0,
                      w->now_ns); /* what is too old goes now, not in a decision's time */
}

static void look_at_loads(struct world *w)
{
    for (uint32_t i = 1; i <= w->units; i++)
        w->load_bps[i] = rill_wam_load_bps(w->wam, rill_role_id(RILL_ROLE_UNIT, i), w->now_ns);
}

static void warm_up(struct world *w, uint64_t ns)
{
    struct batch b;

    for (uint64_t until_ns = w->now_ns + ns; w->now_ns < until_ns;) {
        draw(w, &b);
        do_batch(w, &b, FLOWLET);
        drain(w, &b);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, uint64_t n)
{
    qsort(values, n, sizeof(values[0]), by_value);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* One run: ns for one of what is done. */
static double run(struct world *w, enum what what, uint64_t batches, double *scratch)
{
    struct batch b;

    for (uint64_t i = 0; i < batches; i++) {
        draw(w, &b);
        if (what == LINEAR)
            look_at_loads(w);
        scratch[i] = (double)do_batch(w, &b, what) / BATCH;
        if (what != FLOWLET)
            do_batch(w, &b, FLOWLET);
        drain(w, &b);
    }
    return median(scratch, batches);
}

static void measure(const struct options *o, struct world *w, enum what what, double *scratch,
                    struct figure *figure)
{
    uint64_t batches = what == LINEAR ? o->batches / LINEAR_PART + 1 : o->batches;
    double runs[RUNS_MAX];

    for (uint64_t i = 0; i < o->runs; i++)
        runs[i] = run(w, what, batches, scratch);
    figure->ns = median(runs, o->runs);
    figure->spread_percent = 100 * (runs[o->runs - 1] - runs[0]) / figure->ns;
}

static int measure_size(const struct options *o, struct world *w, uint32_t units,
                        struct figure figures[WHATS])
{
    double *scratch = calloc(o->batches + 1, sizeof(scratch[0]));
    int rc = scratch != NULL ? world_create(w, units, RILL_PLACEMENT_PACK) : -ENOMEM;

    if (rc == 0) {
        warm_up(w, o->warm_up_ns);
        for (int i = 0; i < DECIDE_FIRST_FIT; i++)
            measure(o, w, (enum what)i, scratch, &figures[i]);
        rill_wam_destroy(w->wam);
        rc = world_create(w, units, RILL_PLACEMENT_FIRST_FIT);
    }
    if (rc == 0) {
        warm_up(w, o->warm_up_ns);
        measure(o, w, DECIDE_FIRST_FIT, scratch, &figures[DECIDE_FIRST_FIT]);
        rill_wam_destroy(w->wam);
    }
    free(scratch);
    return rc;
}

/* --- what to say ----------------------------------------------------------------------------- */

static double load_per_core(void)
{
    double load;

    return getloadavg(&load, 1) == 1 ? load / (double)sysconf(_SC_NPROCESSORS_ONLN) : 0;
}

static uint64_t preempted(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_nivcsw;
}

static void report(FILE *out, const struct options *o, struct figure figures[SIZES][WHATS],
                   double load, uint64_t switches)
{
    struct rill_json json;
    double worst = 0;
    char name[80];

    rill_json_start(&json, out);
    rill_json_open(&json, NULL, '{');
    rill_json_string(&json, "bench", "wam");
    rill_json_string(&json, "version", RILL_VERSION);
    rill_json_u64(&json, "runs", o->runs);
    rill_json_u64(&json, "decisions_per_run", o->batches * BATCH);
    for (int s = 0; s < SIZES; s++) {
        for (int i = 0; i < WHATS; i++) {
            snprintf(name, sizeof(name), "%s_ns_%u_units", whats[i], sizes[s]);
            rill_json_double(&json, name, figures[s][i].ns);
            snprintf(name, sizeof(name), "%s_ns_%u_units_spread_percent", whats[i], sizes[s]);
            rill_json_double(&json, name, figures[s][i].spread_percent);
        }
        if (figures[s][DECIDE].spread_percent > worst)
            worst = figures[s][DECIDE].spread_percent;
    }
    rill_json_double(&json, "spread_percent", worst);
    rill_json_u64(&json, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    rill_json_double(&json, "load_per_core_before", load);
    rill_json_u64(&json, "preempted", switches);
    rill_json_bool(&json, "noisy", worst > NOISY_SPREAD_PERCENT || load > NOISY_LOAD_PER_CORE);
    rill_json_close(&json, '}');
    fputc('\n', out);
}

static int write_report(const struct options *o, struct figure figures[SIZES][WHATS], double load,
                        uint64_t switches)
{
    bool to_stdout = o->json == NULL || strcmp(o->json, "-") == 0, failed;
    FILE *out = to_stdout ? stdout : fopen(o->json, "we");

    if (out == NULL) {
        fprintf(stderr, "bench wam: --json %s: %s\n", o->json, strerror(errno));
        return 2;
    }
    report(out, o, figures, load, switches);
    failed = ferror(out) != 0;
    failed |= to_stdout ? fflush(out) != 0 : fclose(out) != 0;
    if (failed)
        fprintf(stderr, "bench wam: --json %s: it can not be written\n", o->json);
    return failed ? 2 : 0;
}

/* --- options --------------------------------------------------------------------------------- */

static int take_json(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct options *)target)->json = value;
    return 0;
}

static int take_runs(void *target, const char *value, struct rill_error *err)
{
    struct options *o = target;

    if (rill_args_u64(value, &o->runs) != 0 || o->runs < RUNS_MIN || o->runs > RUNS_MAX)
        return rill_error_set(err, -EINVAL, "--runs '%s': it is a whole number from %d to %d",
                              value, RUNS_MIN, RUNS_MAX);
    return 0;
}

static int take_quick(void *target, const char *value, struct rill_error *err)
{
    struct options *o = target;

    (void)value;
    (void)err;
    o->batches = 20;
    o->warm_up_ns = 1000000;
    return 0;
}

static const struct rill_arg table[] = {
    {"json", "FILE", "where the figures go; - (default) is standard output", false, NULL,
     take_json},
    {"runs", "N", "how many runs the median is of, 7 to 101 (default 9)", false, NULL, take_runs},
    {"quick", NULL, "only see that it works: hardly any load, few decisions", false, NULL,
     take_quick},
    {0},
};

int main(int argc, char **argv)
{
    struct options o = {.runs = 9, .batches = 1000, .warm_up_ns = WINDOW_NS + WINDOW_NS / 2};
    const struct rill_args args = {.table = table, .target = &o};
    struct figure figures[SIZES][WHATS];
    struct world *w = malloc(sizeof(*w));
    double load = load_per_core();
    uint64_t switches = preempted();
    struct rill_error err;
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc == 1) {
        fputs("usage: eval/bench/run wam [OPTION...]\n\n", stdout);
        rill_args_help(table, stdout);
    } else if (rc != 0) {
        fprintf(stderr, "bench wam: %s\n", err.text);
    } else if (w == NULL) {
        rc = -ENOMEM;
    }
    for (int s = 0; rc == 0 && s < SIZES; s++)
        rc = measure_size(&o, w, sizes[s], figures[s]);
    free(w);
    if (rc == -ENOMEM)
        fputs("bench wam: no memory\n", stderr);
    if (rc != 0)
        return rc == 1 ? 0 : 2;
    return write_report(&o, figures, load, preempted() - switches);
}
