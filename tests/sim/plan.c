#include <stdarg.h>

#include "tests/sim/sim.h"

void sim_plan_set(struct sim_plan *plan, const char *format, ...)
{
    uint32_t i = plan->setting_count++;
    va_list args;

    if (i == SIM_SETTINGS)
        abort();
    va_start(args, format);
    vsnprintf(plan->text[i], sizeof(plan->text[i]), format, args);
    va_end(args);
    plan->settings[i] = plan->text[i];
}

double sim_pick(struct rill_rng *rng, const double *of, uint32_t n)
{
    return of[rill_rng_below(rng, n)];
}
#define PICK SIM_PICK
#define set sim_plan_set

static void draw_faults(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->faults.seed = rill_rng_u64(rng);
    plan->faults.delay_ns = (uint64_t)PICK(rng, 1000, 5000, 50000);
    plan->faults.jitter_ns = (uint64_t)PICK(rng, 0, 2000, 100000);
    plan->faults.loss = PICK(rng, 0, 0, 0.01, 0.05, 0.15);
    plan->faults.duplicate = PICK(rng, 0, 0, 0.02, 0.1);
    plan->faults.reorder = PICK(rng, 0, 0, 0.02, 0.2);
    plan->faults.reorder_ns = (uint64_t)PICK(rng, 20000, 200000, 3000000);
    plan->faults.codec = rill_rng_below(rng, 4) == 0;
}

static void draw_workload(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->units = 2 + rill_rng_below(rng, 4);
    plan->flows = (uint32_t)PICK(rng, 1, 2, 8, 40);
    plan->packets = 200 + rill_rng_below(rng, 600);
    plan->gap_ns = (uint64_t)PICK(rng, 2000, 20000, 200000);
    plan->long_gap = PICK(rng, 0, 0.005, 0.02);
    plan->long_gap_ns = (uint64_t)PICK(rng, 3e6, 70e6, 200e6);
    plan->replies = PICK(rng, 0, 0.3, 0.6);
    plan->burst = (uint32_t)PICK(rng, 1, 4, 20);
    plan->state_bytes = (uint32_t)PICK(rng, 40, 40, 80, 400, 3000);
    plan->pool_ports = (uint32_t)PICK(rng, 8, 200, 1000);
}

/* --- troubles: kinds of seeds ------------------------------------------------------------------
 */

static void few_buffers(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->free_mbufs = (uint32_t)PICK(rng, 20, 40, 80, 200);
}

static void blackouts(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->blackout = PICK(rng, 0.005, 0.02, 0.1);
    plan->blackout_ns = (uint64_t)PICK(rng, 1e6, 2e7, 5e7, 2e8);
    set(plan, "lease_ms=100"); /* leases run out meanwhile */
}

static void odd_packets(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->fragments = PICK(rng, 0.1, 0.5);
    plan->malformed = PICK(rng, 0, 0.1);
}

static void nf_that_drops(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->nf_drops = (uint32_t)PICK(rng, 1, 2, 5);
}

static void replies_to_old_aliases(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->old_alias = PICK(rng, 0.2, 0.5);
    plan->replies = 0.6;
}

static void small_unit_tables(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->unit_flows_max = (uint32_t)PICK(rng, 1, 2, 4, 12);
    plan->tight = true;
}

static void small_logger_tables(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->output_logger_flows_max = (uint32_t)PICK(rng, 2, 4, 12);
    plan->tight = true;
}

static void small_stashes(struct sim_plan *plan, struct rill_rng *rng)
{
    set(plan, "stash_packets_per_flow=%g", PICK(rng, 1, 2));
    set(plan, "stash_packets_per_unit=%g", PICK(rng, 1, 2, 1000));
    set(plan, "held_packets_per_output_logger=%g", PICK(rng, 1, 2, 1000));
    plan->tight = true;
}

static void odd_pools(struct sim_plan *plan, struct rill_rng *rng)
{
    set(plan, "pool_block=%g", PICK(rng, 1, 1024, 4096));
    plan->pool_ports = (uint32_t)PICK(rng, 1, 3, 8, 1000);
}

static void units_come_and_go(struct sim_plan *plan, struct rill_rng *rng)
{
    set(plan, "units_min=1");
    set(plan, "idle_unit_ms=%g", PICK(rng, 1, 3, 10));
    set(plan, "epoch_ms=%g", PICK(rng, 1, 2));
    set(plan, "unit_capacity_mbps=%g", PICK(rng, 2, 5));
    set(plan, "unit_queue_packets=16");
    plan->long_gap = PICK(rng, 0.01, 0.05, 0.1);
    plan->long_gap_ns = (uint64_t)PICK(rng, 3e6, 2e7, 4e7);
}

static void heavy_loss(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->faults.loss = PICK(rng, 0.3, 0.5);
}

static void long_reordering(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->faults.reorder = PICK(rng, 0.1, 0.5);
    plan->faults.reorder_ns = 20000000;
    set(plan, "unit_queue_packets=64");
    set(plan, "state_keep_ms=80");
    set(plan, "pool_quarantine_ms=200");
    set(plan, "frame_life_ms=80");
    set(plan, "flow_idle_s=%g", PICK(rng, 0.1, 0.2));
}

/* One or two flows that move all the time, over a bad network, from unit to dying unit: the corners
 * in which chains are long and words are late. */
void sim_plan_storm(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->flows = 1 + rill_rng_below(rng, 2);
    plan->units = 4 + rill_rng_below(rng, 2);
    plan->unit_faults = 4 + rill_rng_below(rng, 5);
    plan->logger_faults = rill_rng_below(rng, 4);
    plan->zombies = PICK(rng, 0, 0.5, 1);
    plan->faults.loss = PICK(rng, 0.05, 0.15, 0.3);
    plan->faults.reorder = PICK(rng, 0.02, 0.2);
    plan->faults.duplicate = PICK(rng, 0, 0.1);
    plan->gap_ns = (uint64_t)PICK(rng, 20000, 200000);
    plan->long_gap = 0;
    set(plan, "flowlet_bytes=100");
    set(plan, "placement=spread");
    set(plan, "units_min=%u", plan->units);
    set(plan, "unit_capacity_mbps=1000");
    set(plan, "unit_backlog_us=%g", PICK(rng, 0, 30));
}

static void draw_deaths(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->unit_faults = (uint32_t)PICK(rng, 0, 0, 0, 1, 1, 2, 4);
    plan->logger_faults = (uint32_t)PICK(rng, 0, 0, 0, 1, 2, 4);
    plan->zombies = PICK(rng, 0, 0.5, 1);
    plan->pair_faults = (uint32_t)PICK(rng, 0, 0, 0, 0, 1, 2);
    plan->chase = PICK(rng, 0, 0, 1);
    if (rill_rng_below(rng, 8) == 0)
        sim_plan_storm(plan, rng);
}

/* Memory for a few replicas, or for none; questions that are asked slowly soon, but often enough to
 * be answered before flows end. */
static void draw_bounds(struct sim_plan *plan, struct rill_rng *rng)
{
    if (rill_rng_below(rng, 4) == 0)
        set(plan, "replica_kb_per_unit=%g", PICK(rng, 0, 1, 2, 8));
    set(plan, "resend_attempts=%g", PICK(rng, 1, 3, 16, 16, 16, 16));
    set(plan, "resend_slow_ms=%g", PICK(rng, 1, 4, 10, 10, 10, 10));
}

/* Half of the seeds have none, the others up to three. */
static void draw_troubles(struct sim_plan *plan, struct rill_rng *rng)
{
    static void (*const troubles[])(struct sim_plan *, struct rill_rng *) = {
        few_buffers,         blackouts,         odd_packets, nf_that_drops,
        small_unit_tables,   small_stashes,     odd_pools,   replies_to_old_aliases,
        small_logger_tables, units_come_and_go, heavy_loss,  long_reordering,
    };
    uint32_t n = (uint32_t)PICK(rng, 0, 0, 0, 1, 2, 3);

    while (n-- > 0)
        troubles[rill_rng_below(rng, RTE_DIM(troubles))](plan, rng);
}

void sim_plan_draw(struct sim_plan *plan, uint64_t seed, const char *kind)
{
    struct rill_rng rng;

    *plan = (struct sim_plan){.seed = seed};
    rill_rng_seed(&rng, seed);
    draw_faults(plan, &rng);
    draw_workload(plan, &rng);
    set(plan, "seed=%u", rill_rng_below(&rng, 1u << 30));
    set(plan, "flowlet_timeout_us=%g", PICK(&rng, 50, 200, 500));
    set(plan, "flowlet_bytes=%g", PICK(&rng, 100, 300, 2000));
    set(plan, "placement=%s", rill_rng_below(&rng, 3) ? "spread" : "pack");
    set(plan, "unit_backlog_us=%g", PICK(&rng, 0, 0, 30, 100));
    set(plan, "units_min=%u", rill_rng_below(&rng, 4) ? plan->units : 1);
    set(plan, "state=%s", rill_rng_below(&rng, 4) ? "proactive" : "reactive");
    set(plan, "replicas=%u", rill_rng_below(&rng, 4));
    if (rill_rng_below(&rng, 3) == 0) { /* slow units, whose queues run over */
        set(plan, "unit_capacity_mbps=2");
        set(plan, "unit_queue_packets=16");
    } else {
        set(plan, "unit_capacity_mbps=%g", PICK(&rng, 20, 1000));
    }
    set(plan, "pull_timeout_us=%g", PICK(&rng, 50, 300, 1000));
    set(plan, "retry_us=%g", PICK(&rng, 300, 2000));
    set(plan, "pool_block=%g", PICK(&rng, 1, 4, 64));
    /* The longest a frame can be under way here: delay, jitter and reordering are below 4 ms, a
     * unit's queue below 20 ms. */
    set(plan, "state_keep_ms=%g", PICK(&rng, 25, 50));
    set(plan, "frame_life_ms=25");
    set(plan, "flow_idle_s=%g", PICK(&rng, 0.06, 0.1));
    set(plan, "pool_quarantine_ms=%g", PICK(&rng, 60, 150));
    set(plan, "epoch_ms=5");
    set(plan, "idle_unit_ms=%g", PICK(&rng, 20, 1000));
    draw_troubles(plan, &rng);
    draw_deaths(plan, &rng);
    draw_bounds(plan, &rng);
    sim_swarm_draw(plan, kind);
    if (rill_rng_below(&rng, 6) == 0) /* last: the draws before are what they were */
        plan->nf_ends = (uint32_t)PICK(&rng, 3, 10, 50);
    plan->span_us = plan->packets * plan->gap_ns / 1000 + 1;
}
