#include "tests/sim/world.h"

static double pick(struct rill_rng *rng, const double *of, uint32_t n)
{
    return of[rill_rng_below(rng, n)];
}
#define PICK(rng, ...)                                                                             \
    pick(rng, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

__attribute__((format(printf, 3, 4))) static void set(struct world_plan *plan, const char *name,
                                                      const char *format, ...)
{
    uint32_t i = plan->setting_count++;
    va_list args;

    snprintf(plan->settings[i][0], WORLD_SETTING_BYTES, "%s", name);
    va_start(args, format);
    vsnprintf(plan->settings[i][1], WORLD_SETTING_BYTES, format, args);
    va_end(args);
}

static void draw_network(struct world_plan *plan, struct rill_rng *rng)
{
    plan->network.seed = rill_rng_u64(rng);
    plan->network.delay_ns = (uint64_t)PICK(rng, 1000, 20000);
    plan->network.jitter_ns = (uint64_t)PICK(rng, 0, 2000, 100000);
    plan->network.loss = PICK(rng, 0, 0, 0, 0.02);
    plan->network.duplicate = PICK(rng, 0, 0, 0, 0.02);
    plan->network.reorder = PICK(rng, 0, 0, 0, 0.02);
    plan->network.reorder_ns = 200000;
}

enum { QUARANTINE_MS = 60 };

static void draw_settings(struct world_plan *plan, struct rill_rng *rng)
{
    set(plan, "flows_max", "256");
    set(plan, "seed", "%u", rill_rng_below(rng, 1u << 30));
    set(plan, "flowlet_timeout_us", "%g", PICK(rng, 50, 500));
    set(plan, "flowlet_bytes", "%g", PICK(rng, 100, 100, 300, 2000));
    set(plan, "unit_backlog_us", "%g", PICK(rng, 0, 0, 30));
    set(plan, "unit_capacity_mbps", "%g", PICK(rng, 20, 1000));
    set(plan, "placement", "%s", rill_rng_below(rng, 3) ? "spread" : "pack");
    set(plan, "units_min", "%u", rill_rng_below(rng, 4) ? plan->units : 1);
    set(plan, "state", "%s", rill_rng_below(rng, 4) ? "proactive" : "reactive");
    set(plan, "replicas", "%u", rill_rng_below(rng, 3));
    set(plan, "retry_us", "2000");
    set(plan, "frame_life_ms", "25");
    set(plan, "state_keep_ms", "25");
    set(plan, "flow_idle_s", "0.1");
    set(plan, "pool_quarantine_ms", "%u", QUARANTINE_MS);
    set(plan, "pool_block", "16");
    set(plan, "epoch_ms", "20");
    set(plan, "lease_ms", "%g", PICK(rng, 100, 300));
}

/* As many as there are units for. */
static void draw_controllers(struct world_plan *plan, struct rill_rng *rng)
{
    plan->controllers = (uint32_t)PICK(rng, 1, 1, 2, WORLD_CONTROLLERS_MAX);
    if (plan->controllers == 1)
        return;
    if (plan->controllers <= plan->units && rill_rng_below(rng, 3) == 0) {
        set(plan, "controllers", "independent");
        set(plan, "units_min", "1");
    } else {
        set(plan, "lease_step", "%g", PICK(rng, 100, 250, 300));
    }
}

void world_plan_draw(struct world_plan *plan, uint64_t seed)
{
    struct rill_rng rng;

    *plan = (struct world_plan){.seed = seed};
    rill_rng_seed(&rng, seed ^ 0x3041d);
    plan->machines = (uint32_t)PICK(&rng, 1, 1, 2, 3);
    plan->fabric_crosses_machines = plan->machines > 1 && rill_rng_below(&rng, 3) > 0;
    plan->deployments = (uint32_t)PICK(&rng, 1, 1, 2);
    plan->live = plan->deployments > 1 && rill_rng_below(&rng, 3) == 0;
    plan->gentle = rill_rng_below(&rng, 5) == 0;
    plan->units = (uint32_t)PICK(&rng, 1, 2, 3, 4);
    plan->warm = (uint32_t)PICK(&rng, 0, 1, 1, 2);
    plan->deaths_max = (uint32_t)PICK(&rng, 64, 64, 64, 64, 3);
    plan->start_timeout_ns = 1000 * WORLD_MS;
    plan->links_timeout_ns = 500 * WORLD_MS;
    plan->stall_ms = 200;
    plan->line_delay_ns = (uint64_t)PICK(&rng, 100, 1000, 10000) * WORLD_US;
    plan->start_ns = (uint64_t)PICK(&rng, 2, 20, 80) * WORLD_MS;
    plan->boot_ns = (uint64_t)PICK(&rng, 1, 50, 200) * WORLD_MS;
    plan->faults_ns = (uint64_t)PICK(&rng, 0, 300, 600) * WORLD_MS;
    plan->faults_until = plan->faults_ns + (uint64_t)PICK(&rng, 500, 1500) * WORLD_MS;
    plan->faults = (uint32_t)PICK(&rng, 0, 1, 2, 4, 8, 16);
    plan->ambushes = (uint32_t)PICK(&rng, 0, 0, 1, 2, 4, 10);
    plan->fails = PICK(&rng, 0, 0, 0.05);
    plan->slow_down = PICK(&rng, 0, 0.3);
    plan->old_rm = PICK(&rng, 0, 0.5);
    plan->undeploys = PICK(&rng, 0, 0, 0.03);
    plan->flows = (uint32_t)PICK(&rng, 1, 4, 12);
    plan->burst = (uint32_t)PICK(&rng, 1, 4, 10);
    plan->gap_ns = (uint64_t)PICK(&rng, 1, 4) * WORLD_MS;
    plan->packets = 600;
    if (plan->gentle)
        plan->fails = 0;
    plan->check.pool_ports = 200;
    sim_plan_set(&plan->check, "pool_quarantine_ms=%u", QUARANTINE_MS);
    draw_network(plan, &rng);
    draw_settings(plan, &rng);
    draw_controllers(plan, &rng);
}
