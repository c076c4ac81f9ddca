/* Deliberate faults (lib/base/mutant.h): each is to be found within so many seeds, from several
 * first seeds on, so that the number says something of the fault and not of one seed. */
#include <string.h>
#include <time.h>

#include "tests/sim/sim.h"

enum { SEEDS = 1500, WORLD_SEEDS = 6000, APART = 1000000 };

/* For one fault; what is rare gets fewer starts. */
static const double ENOUGH_S = 1.5;

static const struct {
    const char *name, *what;
} table[] = {{"none", ""},
#define X(name, what) {#name, what},
             RILL_MUTANT_LIST(X)
#undef X
                 {"", ""},
#define X(name, what) {#name, what},
             RILL_MUTANT_CLUSTER_LIST(X)
#undef X
                 {"", ""},
#define X(name, what) {#name, what},
             RILL_MUTANT_PLAN_LIST(X)
#undef X
};

/* What is rare among all seeds is looked for where it is less so. */
static const struct {
    enum rill_mutant mutant;
    const char *kind;
} hints[] = {
    {RILL_MUTANT_forterm, "ping_pong"},
    {RILL_MUTANT_direct, "ping_pong"},
    {RILL_MUTANT_share0, "parts"},
    {RILL_MUTANT_olfence, "massacre"},
    {RILL_MUTANT_answer_any, "massacre"},
    {RILL_MUTANT_portquar, "massacre"},
    {RILL_MUTANT_refill, "refills"},
    {RILL_MUTANT_refill_early, "refills"},
    {RILL_MUTANT_old_logger_ack, "refills"},
    {RILL_MUTANT_lease_clock, "leases"},
    {RILL_MUTANT_lease_asleep, "leases"},
    {RILL_MUTANT_lease_margin, "leases"},
    {RILL_MUTANT_grant_any, "leases"},
    {RILL_MUTANT_inc, "reused_addresses"},
    {RILL_MUTANT_inv, "failovers"},
    {RILL_MUTANT_aliasepoch, "failovers"},
    {RILL_MUTANT_inv_fence, "failover_storm"},
    {RILL_MUTANT_old_epoch, "failover_storm"},
    {RILL_MUTANT_epochterm, "failover_storm"},
    {RILL_MUTANT_wake, "sleeps"},
    {RILL_MUTANT_hold, "tcp_ends"},
    {RILL_MUTANT_store_old, "external"},
    {RILL_MUTANT_store_trust, "external"},
    {RILL_MUTANT_store_pin, "external"},
    {RILL_MUTANT_one_queue, "controllers"},
    {RILL_MUTANT_pool_slot, "controllers"},
    {RILL_MUTANT_pool_part, "controllers"},
    {RILL_MUTANT_rest_untold, "failover_storm"},
    {RILL_MUTANT_turned_again, "hairpins"},
};

/* In the cluster: a seed shortly before one that finds what is rare, from which it is looked for.
 */
static const struct {
    enum rill_mutant mutant;
    uint32_t first;
} cluster_hints[] = {
    {RILL_MUTANT_old_rm, 3650},
    {RILL_MUTANT_unfilled, 350},
    {RILL_MUTANT_said_first, 220},
};

static const char *kind_for(unsigned mutant)
{
    for (size_t i = 0; i < RTE_DIM(hints); i++)
        if (hints[i].mutant == mutant)
            return hints[i].kind;
    return NULL;
}

int sim_mutant_choose(const char *name)
{
    for (unsigned i = 1; i < RILL_MUTANT_END; i++) {
        if (strcmp(table[i].name, name) == 0) {
            rill_mutant = (enum rill_mutant)i;
            return 0;
        }
    }
    return -1;
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 1: it fails, 0: it does not, -1: it could not be run. */
static int fails(const struct sim_plan *plan, enum rill_mutant mutant)
{
    struct sim_result result;

    rill_mutant = mutant;
    if (sim_run_plan(plan, NULL, &result) != 0)
        return -1;
    return result.violation[0] != '\0';
}

/* After how many seeds, from that one on, a run fails that does not without the fault; 0: not
 * within SEEDS. */
static uint32_t find(enum rill_mutant mutant, uint64_t first, const char *kind)
{
    for (uint32_t n = 1; n <= SEEDS; n++) {
        struct sim_plan plan;
        int rc;

        sim_plan_draw(&plan, first + n - 1, kind);
        rc = fails(&plan, mutant);
        if (rc < 0)
            return 0;
        if (rc > 0 && fails(&plan, RILL_MUTANT_none) == 0)
            return n;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static bool try(unsigned mutant, unsigned starts_max)
{
    uint32_t seeds[SIM_MUTANT_STARTS], starts = 0;
    const char *kind = kind_for(mutant);
    double begin_s = cpu_s();

    do {
        seeds[starts] = find((enum rill_mutant)mutant, 1 + (uint64_t)starts * APART, kind);
        if (seeds[starts] == 0)
            break;
        starts++;
    } while (starts < starts_max && cpu_s() - begin_s < ENOUGH_S);
    qsort(seeds, starts, sizeof(seeds[0]), compare);
    if (starts == 0)
        printf("%-16s NOT FOUND in %d seeds", table[mutant].name, SEEDS);
    else
        printf("%-16s found after %4u seeds (median of %u starts)", table[mutant].name,
               seeds[starts / 2], starts);
    if (kind != NULL)
        printf(" with %s", kind);
    printf("   %s\n", table[mutant].what);
    return starts > 0;
}

#ifdef RILL_HAS_CLUSTER
static uint32_t cluster_seed_for(unsigned mutant)
{
    for (size_t i = 0; i < RTE_DIM(cluster_hints); i++)
        if (cluster_hints[i].mutant == mutant)
            return cluster_hints[i].first;
    return 1;
}

/* Of the control plane: in a simulated cluster. */
static bool try_in_cluster(unsigned mutant)
{
    uint32_t first = cluster_seed_for(mutant);

    for (uint32_t seed = first; seed < first + WORLD_SEEDS; seed++) {
        struct sim_result result;

        rill_mutant = (enum rill_mutant)mutant;
        if (sim_world_run(seed, NULL, &result) != 0)
            return false;
        if (result.violation[0] == '\0')
            continue;
        printf("%-16s found by seed %4u   %s\n", table[mutant].name, seed, table[mutant].what);
        return true;
    }
    printf("%-16s NOT FOUND in %d seeds   %s\n", table[mutant].name, WORLD_SEEDS,
           table[mutant].what);
    return false;
}
#else
static bool try_in_cluster(unsigned mutant)
{
    (void)mutant;
    return false;
}
#endif

int sim_mutants(bool cluster, unsigned starts)
{
    unsigned first = cluster ? RILL_MUTANT_COUNT + 1 : 1;
    unsigned end = cluster ? RILL_MUTANT_CLUSTER_END : RILL_MUTANT_COUNT, found = 0;

    for (unsigned i = first; i < end; i++)
        found += cluster ? try_in_cluster(i) : try(i, starts);
    printf("mutants found: %u/%u\n", found, end - first);
    return found == end - first ? 0 : 1;
}
