/* The store outside, of runs with state=external: it is started anew and has forgotten everything,
 * or nobody reaches it for a while, in one direction or both. */
#include "lib/store/store_model.h"
#include "tests/sim/sim.h"

#define STORE rill_role_id(RILL_ROLE_STORE, 1)

void sim_stores_init(struct sim_stores *s, const struct sim_plan *plan,
                     struct rill_cluster *cluster, struct rill_fabric *fabric,
                     struct sim_check *check, uint64_t now_ns)
{
    uint32_t restarts = RTE_MIN(plan->store_restarts, (uint32_t)SIM_STORE_FAULTS_MAX);
    uint32_t all = RTE_MIN(restarts + plan->store_cuts, (uint32_t)SIM_STORE_FAULTS_MAX);

    *s = (struct sim_stores){.plan = plan, .cluster = cluster, .fabric = fabric, .check = check};
    s->healed_ns = UINT64_MAX;
    if (rill_cluster_store(cluster) == NULL)
        return;
    rill_rng_seed(&s->rng, plan->seed ^ 0x5705e);
    for (; s->count < all; s->count++) {
        double at = rill_rng_double(&s->rng) * (double)plan->span_us * 1000;

        s->list[s->count].at_ns = now_ns + (uint64_t)at;
        s->list[s->count].is_cut = s->count >= restarts;
    }
}

uint64_t sim_stores_next_ns(const struct sim_stores *s)
{
    uint64_t next_ns = s->healed_ns;

    for (uint32_t i = 0; i < s->count; i++)
        next_ns = RTE_MIN(next_ns, s->list[i].at_ns);
    return next_ns;
}

static void heal(struct sim_stores *s)
{
    if (s->healed_ns == UINT64_MAX)
        return;
    s->healed_ns = UINT64_MAX;
    if (s->cut_in)
        rill_fabric_sim_cut(s->fabric, 0, STORE, false);
    if (s->cut_out)
        rill_fabric_sim_cut(s->fabric, STORE, 0, false);
    sim_check_note(s->check, "the store is reached again");
}

static void cut(struct sim_stores *s, uint64_t now_ns)
{
    uint32_t ways = 1 + rill_rng_below(&s->rng, 3);
    uint64_t ns = 1 + (uint64_t)(rill_rng_double(&s->rng) * (double)s->plan->partition_ns);

    if (s->healed_ns != UINT64_MAX)
        return;
    s->cut_in = (ways & 1) && rill_fabric_sim_cut(s->fabric, 0, STORE, true) == 0;
    s->cut_out = (ways & 2) && rill_fabric_sim_cut(s->fabric, STORE, 0, true) == 0;
    s->healed_ns = now_ns + ns;
    sim_check_counts(s->check)->store_cuts++;
    sim_check_note(s->check, "nothing gets %s the store for %" PRIu64 " ns",
                   s->cut_in && s->cut_out ? "to and from"
                   : s->cut_in             ? "to"
                                           : "from",
                   ns);
}

static void restart(struct sim_stores *s)
{
    sim_check_note(s->check, "the store is started anew, %u flows are forgotten",
                   rill_store_model_flows(rill_cluster_store(s->cluster)));
    rill_store_model_restart(rill_cluster_store(s->cluster));
    sim_check_counts(s->check)->store_restarts++;
}

void sim_stores_turn(struct sim_stores *s, uint64_t now_ns)
{
    if (s->healed_ns <= now_ns)
        heal(s);
    for (uint32_t i = 0; i < s->count;) {
        bool is_cut = s->list[i].is_cut;

        if (s->list[i].at_ns > now_ns) {
            i++;
            continue;
        }
        s->list[i] = s->list[--s->count];
        if (is_cut)
            cut(s, now_ns);
        else
            restart(s);
    }
}

void sim_stores_calm(struct sim_stores *s)
{
    s->count = 0;
    heal(s);
}
