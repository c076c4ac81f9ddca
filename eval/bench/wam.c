/* How long the work assignment takes for a flowlet (controller/wam.h), and how long looking at all
 * units in turn would take, at 300 and 10,000 units.
 *
 * Units of 1 Gbps are 70% loaded with flowlets of 15,000 bytes, under a clock that goes on as that
 * load needs. Decisions are made in batches of 64, which alone are timed; what is sent to the
 * units, and the time that passes, is told in between. A run's figure is the median of its batches,
 * the result the median of the runs, so that what else the machine does is mostly left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/wam.h"
#include "eval/bench/harness.h"
#include "lib/base/role.h"

enum {
    BATCH = 64,
    FLOWS = 1024,
    HOLDERS = 4, /* owner and 3 replicas */
    FLOWLET_BYTES = 15000,
    LOAD_PERCENT = 70,
    LINEAR_PART = 20, /* of the decisions: it is slower by as much */
    SIZES = 2,
};
static const uint32_t sizes[SIZES] = {300, 10000};
#define CAPACITY_BPS UINT64_C(1000000000)
#define WINDOW_NS UINT64_C(100000000)
#define WARM_UP_NS (WINDOW_NS + WINDOW_NS / 2)
#define QUICK_WARM_UP_NS UINT64_C(1000000)

enum { BATCHES = 1000, QUICK_BATCHES = 20 }; /* of a run */

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
    uint64_t begin_ns = bench_ns();

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
    return bench_ns() - begin_ns;
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
    /* What is too old goes now, and the indexes are made right, not in a decision's time. */
    rill_wam_all_above(w->wam, 0, w->now_ns);
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
    return bench_median(scratch, batches, NULL);
}

static void measure(const struct bench_options *o, struct world *w, enum what what, double *scratch,
                    struct figure *figure)
{
    uint64_t batches = o->quick ? QUICK_BATCHES : BATCHES;
    double runs[BENCH_RUNS_MAX];

    if (what == LINEAR)
        batches = batches / LINEAR_PART + 1;
    for (uint64_t i = 0; i < o->runs; i++)
        runs[i] = run(w, what, batches, scratch);
    figure->ns = bench_median(runs, o->runs, &figure->spread_percent);
}

static int measure_size(const struct bench_options *o, struct world *w, uint32_t units,
                        struct figure figures[WHATS])
{
    uint64_t warm_up_ns = o->quick ? QUICK_WARM_UP_NS : WARM_UP_NS;
    double scratch[BATCHES + 1];
    int rc = world_create(w, units, RILL_PLACEMENT_PACK);

    if (rc == 0) {
        warm_up(w, warm_up_ns);
        for (int i = 0; i < DECIDE_FIRST_FIT; i++)
            measure(o, w, (enum what)i, scratch, &figures[i]);
        rill_wam_destroy(w->wam);
        rc = world_create(w, units, RILL_PLACEMENT_FIRST_FIT);
    }
    if (rc == 0) {
        warm_up(w, warm_up_ns);
        measure(o, w, DECIDE_FIRST_FIT, scratch, &figures[DECIDE_FIRST_FIT]);
        rill_wam_destroy(w->wam);
    }
    return rc;
}

/* --- what to say ----------------------------------------------------------------------------- */

static void report_line(struct bench_report *report, uint32_t units, enum what what,
                        const struct figure *figure)
{
    struct bench_result result = {.cycles_per_packet = figure->ns * bench_cycles_per_ns(),
                                  .spread_percent = figure->spread_percent};

    snprintf(result.name, sizeof(result.name), "%s, %u units", whats[what], units);
    bench_report_add(report, &result);
}

static void report_figures(struct bench_report *report, uint32_t units, enum what what,
                           const struct figure *figure)
{
    char name[80];

    snprintf(name, sizeof(name), "%s_ns_%u_units", whats[what], units);
    bench_report_figure(report, name, figure->ns);
    snprintf(name, sizeof(name), "%s_ns_%u_units_spread_percent", whats[what], units);
    bench_report_figure(report, name, figure->spread_percent);
}

static void fill(struct bench_report *report, const struct bench_options *o,
                 struct figure figures[SIZES][WHATS])
{
    double worst = 0;

    for (int s = 0; s < SIZES; s++)
        for (int i = 0; i < WHATS; i++)
            report_line(report, sizes[s], (enum what)i, &figures[s][i]);
    for (int s = 0; s < SIZES; s++) {
        for (int i = 0; i < WHATS; i++)
            report_figures(report, sizes[s], (enum what)i, &figures[s][i]);
        if (figures[s][DECIDE].spread_percent > worst)
            worst = figures[s][DECIDE].spread_percent;
    }
    bench_report_figure(report, "decisions_per_run",
                        BATCH * (double)(o->quick ? QUICK_BATCHES : BATCHES));
    bench_report_figure(report, "spread_percent", worst);
}

int main(int argc, char **argv)
{
    struct bench_options o = {0};
    struct figure figures[SIZES][WHATS];
    struct bench_report *report;
    struct world *w;
    int rc = bench_options("wam", argc, argv, NULL, &o);

    if (rc != 0)
        return rc - 1;
    report = bench_report_begin("wam", &o);
    if (report == NULL)
        return 2;
    w = malloc(sizeof(*w));
    rc = w != NULL ? 0 : -ENOMEM;
    for (int s = 0; rc == 0 && s < SIZES; s++)
        rc = measure_size(&o, w, sizes[s], figures[s]);
    free(w);
    if (rc != 0) {
        fputs("bench wam: no memory\n", stderr);
        return 2;
    }
    fill(report, &o, figures);
    return bench_report_end(report);
}
