/* Controllers that die, or are taken for dead and go on for a while, and who takes their place. */
#include "tests/sim/sim.h"

#define US UINT64_C(1000)

static uint64_t after(struct sim_failover *f, uint64_t now_ns, uint64_t low_us, uint64_t high_us)
{
    return now_ns + (low_us + rill_rng_below(&f->rng, (uint32_t)(high_us - low_us))) * US;
}

void sim_failover_init(struct sim_failover *f, const struct sim_plan *plan,
                       struct rill_cluster *cluster, struct sim_check *check, uint64_t now_ns)
{
    *f = (struct sim_failover){.plan = plan,
                               .cluster = cluster,
                               .check = check,
                               .take_over_ns = UINT64_MAX,
                               .crash_ns = UINT64_MAX};
    rill_rng_seed(&f->rng, plan->seed ^ 0xfa110);
    f->count = RTE_MIN(plan->failovers, (uint32_t)SIM_FAILOVERS_MAX);
    for (uint32_t i = 0; i < f->count; i++)
        f->at_ns[i] = after(f, now_ns, 0, plan->span_us);
}

uint64_t sim_failover_next_ns(const struct sim_failover *f)
{
    uint64_t next_ns = RTE_MIN(f->take_over_ns, f->crash_ns);

    for (uint32_t i = 0; i < f->count; i++)
        next_ns = RTE_MIN(next_ns, f->at_ns[i]);
    return next_ns;
}

static void fail(struct sim_failover *f, uint64_t now_ns)
{
    bool zombie = rill_rng_double(&f->rng) < f->plan->zombies;

    if (f->taking_over || f->take_over_ns != UINT64_MAX || f->crash_ns != UINT64_MAX)
        return; /* one at a time */
    f->slot = rill_cluster_slot(f->cluster,
                                rill_role_number(sim_any_controller(&f->rng, f->cluster)) - 1);
    f->old = rill_cluster_newest(f->cluster, f->slot);
    sim_check_counts(f->check)->controller_deaths++;
    sim_check_counts(f->check)->controller_zombies += zombie;
    sim_check_note(f->check, "controller %u %s", f->old + 1,
                   zombie ? "is taken for dead, and goes on" : "dies");
    sim_check_must_survive(f->check, rill_cluster_controller_at(f->cluster, f->old));
    if (zombie) {
        f->take_over_ns = now_ns;
        f->crash_ns = after(f, now_ns, 50, 20000);
    } else {
        rill_cluster_controller_crash(f->cluster, f->old);
        f->take_over_ns = after(f, now_ns, 10, 5000);
    }
}

static void take_over(struct sim_failover *f, uint64_t now_ns)
{
    struct rill_error err;

    f->began_ns = now_ns;
    f->take_over_ns = UINT64_MAX;
    if (rill_cluster_take_over(f->cluster, f->old, &err) != 0)
        sim_check_fail(f->check, "SIM", "%s", err.text);
    else
        f->taking_over = true;
}

/* What it had begun and ended since it was taken for dead. */
static void look_at_zombie(struct sim_failover *f)
{
    const struct rill_controller *old = rill_cluster_controller_at(f->cluster, f->old);

    sim_check_may_have_ended(f->check, old, f->slot);
    sim_check_must_survive(f->check, old);
}

static void crash(struct sim_failover *f)
{
    f->crash_ns = UINT64_MAX;
    if (f->taking_over)
        look_at_zombie(f);
    rill_cluster_controller_crash(f->cluster, f->old);
}

/* Flows may end within less than a frame's life; and those that no controller could vouch for in
 * time, as messages are lost, may be taken for ended. */
static uint64_t fresh_ns(const struct sim_plan *plan)
{
    double ms = sim_plan_setting(plan, "flow_idle_s") * 1e3, life_ms, keep_ms;

    life_ms = sim_plan_setting(plan, "frame_life_ms");
    keep_ms = RTE_MAX(sim_plan_setting(plan, "state_keep_ms"), life_ms);
    ms = RTE_MIN(ms, 3 * keep_ms) - life_ms;
    return ms > 0 && !plan->evicts ? (uint64_t)(ms * 1e6) : 0;
}

static void look_at_successor(struct sim_failover *f)
{
    uint32_t newest = rill_cluster_newest(f->cluster, f->slot);
    struct rill_controller *successor = rill_cluster_controller_at(f->cluster, newest);

    if (!f->taking_over || rill_controller_taking_over(successor))
        return;
    f->taking_over = false;
    sim_check_counts(f->check)->takeovers++;
    sim_check_note(f->check, "controller %u has taken over", newest + 1);
    if (f->crash_ns != UINT64_MAX)
        look_at_zombie(f);
    sim_check_survived(f->check, successor, f->slot, f->began_ns, fresh_ns(f->plan));
}

void sim_failover_turn(struct sim_failover *f, uint64_t now_ns)
{
    look_at_successor(f);
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->at_ns[i] > now_ns)
            continue;
        f->at_ns[i--] = f->at_ns[--f->count];
        fail(f, now_ns);
    }
    if (f->take_over_ns <= now_ns)
        take_over(f, now_ns);
    if (f->crash_ns <= now_ns)
        crash(f);
}

void sim_failover_stop(struct sim_failover *f)
{
    f->count = 0;
}

uint32_t sim_failover_ingress(struct sim_failover *f, uint32_t slot)
{
    bool two = f->crash_ns != UINT64_MAX && f->slot == slot;

    return two && rill_rng_below(&f->rng, 2) == 0 ? f->old : rill_cluster_newest(f->cluster, slot);
}
