/* Roles that die: when the plan says, and what follows from it later. */
#include "tests/sim/sim.h"

#define US UINT64_C(1000)

static void put(struct sim_faults *faults, uint64_t at_ns, enum sim_fault_kind kind, uint32_t i)
{
    if (faults->count < SIM_FAULTS_MAX)
        faults->list[faults->count++] =
            (struct sim_fault){.at_ns = at_ns, .kind = kind, .index = i};
}

static uint64_t between(struct sim_faults *faults, uint64_t low_us, uint64_t high_us)
{
    return (low_us + rill_rng_below(&faults->rng, (uint32_t)(high_us - low_us))) * US;
}

/* Units that run, that nobody takes for dead, and whose output logger has all that they have: the
 * promise is for one failure of such a pair. */
static uint32_t healthy(struct sim_faults *faults, uint32_t *list)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rill_cluster_unit_count(faults->cluster); i++) {
        if (faults->replaced[i] && rill_cluster_logger_filled(faults->cluster, i))
            faults->fragile[i] = faults->replaced[i] = false;
        if (rill_cluster_unit(faults->cluster, i) != NULL && !faults->suspect[i] &&
            !faults->fragile[i])
            list[n++] = i;
    }
    return n;
}

/* Crashes and is missed later; or is taken for dead and goes on for a while. */
static void fail_unit(struct sim_faults *faults, uint32_t i, uint64_t now_ns)
{
    bool zombie = rill_rng_double(&faults->rng) < faults->plan->zombies;

    faults->suspect[i] = true;
    sim_check_counts(faults->check)->unit_deaths++;
    sim_check_counts(faults->check)->zombies += zombie;
    sim_check_suspect(faults->check, rill_role_id(RILL_ROLE_UNIT, i + 1), zombie);
    if (zombie) {
        put(faults, now_ns, SIM_UNIT_DECLARE, i);
        put(faults, now_ns + between(faults, 50, 20000), SIM_UNIT_CRASH, i);
    } else {
        put(faults, now_ns, SIM_UNIT_CRASH, i);
        put(faults, now_ns + between(faults, 10, 5000), SIM_UNIT_DECLARE, i);
    }
    put(faults, now_ns + between(faults, 100, 20000), SIM_ADD_PAIR, i);
}

static void unit_fault(struct sim_faults *faults, uint64_t now_ns)
{
    uint32_t list[RILL_CLUSTER_UNITS_MAX], n = healthy(faults, list);

    if (n >= 2)
        fail_unit(faults, list[rill_rng_below(&faults->rng, n)], now_ns);
}

/* As soon as its new output logger is filled: what that was not given is lost now. */
static void chase(struct sim_faults *faults, uint32_t i, uint64_t now_ns)
{
    uint32_t list[RILL_CLUSTER_UNITS_MAX], n = healthy(faults, list);

    if (faults->suspect[i] || n < 2)
        return;
    if (faults->fragile[i])
        put(faults, now_ns + 50 * US, SIM_CHASE, i);
    else
        fail_unit(faults, i, now_ns);
}

/* Crashes, or is taken for dead and goes on; the unit gets another. */
static void logger_fault(struct sim_faults *faults, uint64_t now_ns)
{
    uint32_t list[RILL_CLUSTER_UNITS_MAX], n = healthy(faults, list), i;

    if (n == 0)
        return;
    i = list[rill_rng_below(&faults->rng, n)];
    faults->fragile[i] = true;
    sim_check_counts(faults->check)->logger_deaths++;
    sim_check_note(faults->check, "the output logger of unit %u fails", i + 1);
    if (rill_rng_double(&faults->rng) >= faults->plan->zombies)
        put(faults, now_ns, SIM_LOGGER_CRASH, rill_cluster_logger_of(faults->cluster, i));
    else
        put(faults, now_ns + between(faults, 50, 20000), SIM_LOGGER_CRASH,
            rill_cluster_logger_of(faults->cluster, i));
    put(faults, now_ns + between(faults, 10, 5000), SIM_LOGGER_REPLACE, i);
}

/* Both die, the one soon after the other, or the unit before its next logger is filled: what only
 * they had is lost, and the rest goes on. */
static void pair_fault(struct sim_faults *faults, uint64_t now_ns)
{
    uint32_t list[RILL_CLUSTER_UNITS_MAX], n = 0, i;
    uint64_t lost_ns = now_ns + between(faults, 0, 5000);

    for (i = 0; i < rill_cluster_unit_count(faults->cluster); i++)
        if (rill_cluster_unit(faults->cluster, i) != NULL && !faults->suspect[i])
            list[n++] = i;
    if (n < 2)
        return;
    i = list[rill_rng_below(&faults->rng, n)];
    faults->suspect[i] = true;
    sim_check_counts(faults->check)->pair_deaths++;
    sim_check_suspect(faults->check, rill_role_id(RILL_ROLE_UNIT, i + 1), false);
    put(faults, now_ns, SIM_UNIT_CRASH, i);
    put(faults, now_ns + between(faults, 10, 5000), SIM_UNIT_DECLARE, i);
    put(faults, now_ns + between(faults, 100, 20000), SIM_ADD_PAIR, i);
    if (faults->fragile[i])
        return; /* its logger has died, or the next is being filled */
    sim_check_note(faults->check, "and so does its output logger");
    put(faults, lost_ns, SIM_LOGGER_CRASH, rill_cluster_logger_of(faults->cluster, i));
    put(faults, lost_ns + between(faults, 5000, 10000), SIM_LOGGER_LOST, i);
}

static void replace_logger(struct sim_faults *faults, uint32_t i, uint64_t now_ns)
{
    struct rill_error err;

    if (faults->declared[i]) {
        rill_cluster_logger_lost(faults->cluster, i, now_ns);
        return;
    }
    faults->replaced[i] = true;
    if (rill_cluster_replace_logger(faults->cluster, i, now_ns, &err) != 0)
        sim_check_fail(faults->check, "SIM", "%s", err.text);
    if (rill_rng_double(&faults->rng) < faults->plan->chase)
        put(faults, now_ns + 50 * US, SIM_CHASE, i);
}

/* In place of unit `i`; with its network address, if the plan says so. */
static void add_pair(struct sim_faults *faults, uint32_t i)
{
    struct rill_error err;
    uint32_t count = rill_cluster_unit_count(faults->cluster);
    uint32_t logger = rill_cluster_logger_of(faults->cluster, i);

    if (rill_cluster_add_pair(faults->cluster, &err) != 0)
        return;
    rill_unit_set_step_hook(rill_cluster_unit(faults->cluster, count), sim_check_step,
                            faults->check);
    if (!faults->plan->reuse)
        return;
    rill_fabric_sim_reuse(faults->fabric, rill_role_id(RILL_ROLE_UNIT, i + 1),
                          rill_role_id(RILL_ROLE_UNIT, count + 1));
    rill_fabric_sim_reuse(
        faults->fabric, rill_role_id(RILL_ROLE_OUTPUT_LOGGER, logger),
        rill_role_id(RILL_ROLE_OUTPUT_LOGGER, rill_cluster_logger_of(faults->cluster, count)));
}

static void happen(struct sim_faults *faults, const struct sim_fault *fault, uint64_t now_ns)
{
    switch (fault->kind) {
    case SIM_UNIT_FAULT:
        unit_fault(faults, now_ns);
        break;
    case SIM_UNIT_CRASH:
        rill_cluster_unit_crash(faults->cluster, fault->index);
        break;
    case SIM_UNIT_DECLARE:
        faults->declared[fault->index] = true;
        rill_cluster_unit_declare(faults->cluster, fault->index, now_ns);
        break;
    case SIM_ADD_PAIR:
        add_pair(faults, fault->index);
        break;
    case SIM_LOGGER_FAULT:
        logger_fault(faults, now_ns);
        break;
    case SIM_LOGGER_CRASH:
        rill_cluster_logger_crash(faults->cluster, fault->index);
        break;
    case SIM_LOGGER_REPLACE:
        replace_logger(faults, fault->index, now_ns);
        break;
    case SIM_CHASE:
        chase(faults, fault->index, now_ns);
        break;
    case SIM_PAIR_FAULT:
        pair_fault(faults, now_ns);
        break;
    case SIM_LOGGER_LOST:
        rill_cluster_logger_lost(faults->cluster, fault->index, now_ns);
        break;
    }
}

void sim_faults_init(struct sim_faults *faults, const struct sim_plan *plan,
                     struct rill_cluster *cluster, struct rill_fabric *fabric,
                     struct sim_check *check, uint64_t now_ns)
{
    *faults =
        (struct sim_faults){.plan = plan, .cluster = cluster, .fabric = fabric, .check = check};
    rill_rng_seed(&faults->rng, plan->seed ^ 0xfa17);
    for (uint32_t i = 0; i < plan->unit_faults; i++)
        put(faults, now_ns + between(faults, 0, plan->span_us), SIM_UNIT_FAULT, 0);
    for (uint32_t i = 0; i < plan->logger_faults; i++)
        put(faults, now_ns + between(faults, 0, plan->span_us), SIM_LOGGER_FAULT, 0);
    for (uint32_t i = 0; i < plan->pair_faults; i++)
        put(faults, now_ns + between(faults, 0, plan->span_us), SIM_PAIR_FAULT, 0);
}

void sim_faults_calm(struct sim_faults *faults)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < faults->count; i++)
        if (faults->list[i].kind != SIM_UNIT_FAULT && faults->list[i].kind != SIM_LOGGER_FAULT &&
            faults->list[i].kind != SIM_PAIR_FAULT)
            faults->list[kept++] = faults->list[i];
    faults->count = kept;
}

void sim_faults_check_over(struct sim_faults *faults)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(faults->cluster); i++) {
        if (faults->declared[i] && !rill_cluster_unit_recovered(faults->cluster, i))
            sim_check_fail(faults->check, "I4", "unit %u is dead and not recovered from", i + 1);
        if (!faults->suspect[i] && !rill_cluster_logger_filled(faults->cluster, i))
            sim_check_fail(faults->check, "I4", "unit %u's output logger is not filled", i + 1);
    }
}

uint64_t sim_faults_next_ns(const struct sim_faults *faults)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < faults->count; i++)
        next_ns = RTE_MIN(next_ns, faults->list[i].at_ns);
    return next_ns;
}

void sim_faults_turn(struct sim_faults *faults, uint64_t now_ns)
{
    for (uint32_t i = 0; i < faults->count;) {
        struct sim_fault fault = faults->list[i];

        if (fault.at_ns > now_ns) {
            i++;
            continue;
        }
        memmove(&faults->list[i], &faults->list[i + 1],
                (--faults->count - i) * sizeof(faults->list[0]));
        happen(faults, &fault, now_ns);
    }
}
