/* Links that are cut for a while, in one direction or both: between two roles, or one role from
 * everybody. */
#include "tests/sim/sim.h"

void sim_partitions_init(struct sim_partitions *p, const struct sim_plan *plan,
                         struct rill_cluster *cluster, struct rill_fabric *fabric,
                         struct sim_check *check, uint64_t now_ns)
{
    *p =
        (struct sim_partitions){.plan = plan, .cluster = cluster, .check = check, .fabric = fabric};
    rill_rng_seed(&p->rng, plan->seed ^ 0xca77);
    for (; p->to_come < RTE_MIN(plan->partitions, (uint32_t)SIM_PARTITIONS_MAX); p->to_come++)
        p->begin_ns[p->to_come] =
            now_ns + (uint64_t)(rill_rng_double(&p->rng) * (double)plan->span_us * 1000);
}

uint64_t sim_partitions_next_ns(const struct sim_partitions *p)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < p->to_come; i++)
        next_ns = RTE_MIN(next_ns, p->begin_ns[i]);
    for (uint32_t i = 0; i < p->count; i++)
        next_ns = RTE_MIN(next_ns, p->cuts[i].until_ns);
    return next_ns;
}

static uint32_t logger_of(const struct sim_partitions *p, uint32_t unit)
{
    return rill_role_id(RILL_ROLE_OUTPUT_LOGGER,
                        rill_cluster_logger_of(p->cluster, rill_role_number(unit) - 1));
}

/* Which link. False: there is none of the kind now. */
static bool choose(struct sim_partitions *p, struct sim_cut *cut)
{
    uint32_t controller = sim_any_controller(&p->rng, p->cluster);
    uint32_t unit = sim_any_unit(&p->rng, p->cluster);
    uint32_t other = sim_any_unit(&p->rng, p->cluster);

    if (unit == 0)
        return false;
    if (rill_rng_double(&p->rng) < p->plan->partition_rm) {
        cut->a = rill_role_id(RILL_ROLE_RM, 1);
        cut->b = (uint32_t[]){controller, controller, unit, 0}[rill_rng_below(&p->rng, 4)];
        return true;
    }
    switch (rill_rng_below(&p->rng, 7)) {
    case 0:
    case 1:
        cut->a = controller;
        cut->b = unit;
        break;
    case 2:
    case 3:
        cut->a = unit;
        cut->b = other != unit ? other : logger_of(p, unit);
        break;
    case 4:
        cut->a = unit;
        cut->b = logger_of(p, unit);
        break;
    case 5:
        cut->a = logger_of(p, unit);
        cut->b = controller;
        break;
    default: /* from everybody */
        cut->a = sim_any_role(&p->rng, p->cluster, 0.1);
        cut->b = 0;
        break;
    }
    return true;
}

static void begin(struct sim_partitions *p, uint64_t now_ns)
{
    struct sim_cut cut = {0};
    uint64_t ns = RTE_MAX(UINT64_C(1000000),
                          (uint64_t)(rill_rng_double(&p->rng) * (double)p->plan->partition_ns));
    bool turned = rill_rng_below(&p->rng, 2) == 0;

    if (p->count == SIM_PARTITIONS_MAX || !choose(p, &cut))
        return;
    cut.until_ns = now_ns + ns;
    cut.both = rill_rng_double(&p->rng) >= p->plan->partition_one_way;
    if (turned) {
        uint32_t a = cut.a;

        cut.a = cut.b;
        cut.b = a;
    }
    if (rill_fabric_sim_cut(p->fabric, cut.a, cut.b, true) != 0 ||
        (cut.both && rill_fabric_sim_cut(p->fabric, cut.b, cut.a, true) != 0))
        return;
    p->cuts[p->count++] = cut;
    sim_check_counts(p->check)->partitions++;
    sim_check_note(p->check, "nothing gets from %08x to %08x%s for %" PRIu64 " ns", cut.a, cut.b,
                   cut.both ? " and back" : "", ns);
}

static void heal(struct sim_partitions *p, uint32_t i)
{
    struct sim_cut cut = p->cuts[i];

    p->cuts[i] = p->cuts[--p->count];
    rill_fabric_sim_cut(p->fabric, cut.a, cut.b, false);
    if (cut.both)
        rill_fabric_sim_cut(p->fabric, cut.b, cut.a, false);
    sim_check_note(p->check, "%08x reaches %08x again", cut.a, cut.b);
}

void sim_partitions_turn(struct sim_partitions *p, uint64_t now_ns)
{
    for (uint32_t i = p->count; i > 0; i--)
        if (p->cuts[i - 1].until_ns <= now_ns)
            heal(p, i - 1);
    for (uint32_t i = 0; i < p->to_come;) {
        if (p->begin_ns[i] > now_ns) {
            i++;
            continue;
        }
        p->begin_ns[i] = p->begin_ns[--p->to_come];
        begin(p, now_ns);
    }
}

void sim_partitions_heal(struct sim_partitions *p)
{
    p->to_come = 0;
    while (p->count > 0)
        heal(p, p->count - 1);
}
