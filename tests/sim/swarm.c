/* Kinds of trouble beyond those of plan.c. Each draws from a generator of its own, by its name: one
 * more, or one that draws otherwise, leaves all others as they are. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

double sim_plan_setting(const struct sim_plan *plan, const char *name)
{
    size_t n = strlen(name);

    for (uint32_t i = plan->setting_count; i > 0; i--)
        if (strncmp(plan->settings[i - 1], name, n) == 0 && plan->settings[i - 1][n] == '=')
            return strtod(plan->settings[i - 1] + n + 1, NULL);
    abort();
}

/* Frames may be under way for so much longer. */
static void live_longer(struct sim_plan *plan, uint64_t by_ns)
{
    double ms = (double)by_ns / 1e6 + 1;

    sim_plan_set(plan, "frame_life_ms=%.0f", sim_plan_setting(plan, "frame_life_ms") + ms);
    sim_plan_set(plan, "state_keep_ms=%.0f", sim_plan_setting(plan, "state_keep_ms") + ms);
    sim_plan_set(plan, "pool_quarantine_ms=%.0f",
                 sim_plan_setting(plan, "pool_quarantine_ms") + 2 * ms);
}

static void partitions(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->partitions = 1 + rill_rng_below(rng, 8);
    plan->partition_ns = (uint64_t)SIM_PICK(rng, 1e6, 5e6, 2e7, 2e8);
    plan->partition_one_way = SIM_PICK(rng, 0, 0.5, 1);
    plan->partition_rm = 0.15;
    plan->gap_ns = RTE_MAX(plan->gap_ns, UINT64_C(20000));
}

static void pauses(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->pauses = 1 + rill_rng_below(rng, 10);
    plan->pause_ns = (uint64_t)SIM_PICK(rng, 1e5, 1e6, 5e6, 2e7);
    plan->pause_controller = SIM_PICK(rng, 0.1, 0.3);
    live_longer(plan, plan->pause_ns);
}

static void slow_roles(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->slow = SIM_PICK(rng, 0.2, 0.5, 1);
    plan->slow_ns = (uint64_t)SIM_PICK(rng, 5e3, 5e4, 3e5);
    live_longer(plan, 2000000);
}

static void clocks(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->clock_ppm = (uint32_t)SIM_PICK(rng, 0, 100, 300, 1000);
    plan->clock_offset_ns = (uint64_t)SIM_PICK(rng, 1e5, 5e6, 5e7);
}

static void full_rings(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->faults.ring_frames = (uint32_t)SIM_PICK(rng, 2, 8, 32);
}

static void reused_addresses(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->reuse = true;
    plan->unit_faults = RTE_MAX(plan->unit_faults, 1 + rill_rng_below(rng, 3));
}

static void icmp_errors(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->icmp_errors = SIM_PICK(rng, 0.05, 0.2, 0.4);
}

/* Packets to other flows' public endpoints, which their flow turns round. Not where connections
 * close: an endpoint that talks to two others is no connection, and a FIN ends nothing. */
static void hairpins(struct sim_plan *plan, struct rill_rng *rng)
{
    if (plan->tcp > 0)
        return;
    plan->hairpins = SIM_PICK(rng, 0.1, 0.3, 0.7);
    plan->flows = RTE_MAX(plan->flows, (uint32_t)SIM_PICK(rng, 2, 8));
}

/* Pauses that are a flowlet's to the nanosecond, and sizes that fill it to the byte. */
static void edges(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->edge_gaps = SIM_PICK(rng, 0.1, 0.3, 0.7);
    plan->edge_ns = (uint64_t)sim_plan_setting(plan, "flowlet_timeout_us") * 1000;
    plan->flows = (uint32_t)SIM_PICK(rng, 1, 2, 4);
    sim_plan_set(plan, "flowlet_bytes=%u", SIM_PACKET_BYTES * (1 + rill_rng_below(rng, 6)));
}

static void mice(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->mice = true;
    plan->flows = (uint32_t)SIM_PICK(rng, 8, 40);
}

/* Flows that end and come again with the same tuple, many times. */
static void short_lives(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->flows = 1 + rill_rng_below(rng, 3);
    plan->long_gap = SIM_PICK(rng, 0.02, 0.05, 0.1);
    plan->long_gap_ns = (uint64_t)(sim_plan_setting(plan, "flow_idle_s") * 1e9) +
                        (uint64_t)SIM_PICK(rng, 0, 1e5, 1e7);
}

/* Not only whole units. */
static void parts(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->part = (uint32_t)SIM_PICK(rng, 300, 500, 900);
}

/* The resource manager and the controller hear nothing of each other until leases run out, with
 * clocks that differ as much as they may: who holds what then? */
static void leases(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->partitions = 3 + rill_rng_below(rng, 4);
    plan->partition_ns = 200000000;
    plan->partition_one_way = SIM_PICK(rng, 0.5, 1);
    plan->partition_rm = 0.9;
    plan->clock_ppm = 1000;
    plan->clock_offset_ns = 5000000;
    plan->pauses = 6 + rill_rng_below(rng, 10);
    plan->pause_ns = 20000000;
    plan->pause_controller = 0.7;
    plan->gap_ns = 2000000;
    plan->long_gap = 0;
    plan->packets = 200 + rill_rng_below(rng, 300);
    plan->faults.delay_ns = 20000;
    plan->faults.jitter_ns = (uint64_t)SIM_PICK(rng, 0, 2000, 14000000);
    sim_plan_set(plan, "lease_ms=100");
    live_longer(plan, plan->pause_ns + plan->faults.jitter_ns);
}

/* Output loggers that are replaced while the ones before still speak, and units that die as soon as
 * the next is filled. */
static void refills(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->logger_faults = 3 + rill_rng_below(rng, 3);
    plan->zombies = SIM_PICK(rng, 0.5, 1);
    plan->chase = 1;
    plan->units = RTE_MAX(plan->units, 4u);
    plan->flows = (uint32_t)SIM_PICK(rng, 2, 8, 40);
    plan->faults.reorder = SIM_PICK(rng, 0.05, 0.2);
    plan->faults.reorder_ns = 3000000;
    plan->gap_ns = RTE_MAX(plan->gap_ns, UINT64_C(20000));
    sim_plan_set(plan, "flowlet_timeout_us=50");
    sim_plan_set(plan, "retry_us=300");
}

/* One after the other dies, over a network that loses and doubles: chains get long. No more than
 * a chain holds: a flow whose owner dies when it is full waits until it ends. */
static void massacre(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->flows = 1 + rill_rng_below(rng, 3);
    plan->units = 5;
    plan->unit_faults = 4 + rill_rng_below(rng, 2);
    plan->pair_faults = 0;
    plan->zombies = SIM_PICK(rng, 0, 0.3);
    plan->faults.loss = SIM_PICK(rng, 0.1, 0.3);
    plan->faults.duplicate = 0.3;
    plan->faults.reorder = 0.1;
    plan->faults.reorder_ns = 200000;
    plan->gap_ns = 50000;
    plan->long_gap = 0;
    sim_plan_set(plan, "flowlet_bytes=100");
    sim_plan_set(plan, "placement=spread");
    sim_plan_set(plan, "units_min=5");
    sim_plan_set(plan, "unit_capacity_mbps=1000");
}

/* One flow or two that move at every packet, over a network that overtakes. */
static void ping_pong(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->flows = 1 + rill_rng_below(rng, 2);
    plan->units = 2 + rill_rng_below(rng, 2);
    plan->part = 0;
    plan->unit_faults = plan->logger_faults = plan->pair_faults = 0;
    plan->long_gap = 0;
    plan->gap_ns = (uint64_t)SIM_PICK(rng, 20000, 50000, 200000);
    plan->faults.loss = SIM_PICK(rng, 0.01, 0.1);
    plan->faults.duplicate = SIM_PICK(rng, 0, 0.1);
    plan->faults.reorder = SIM_PICK(rng, 0.1, 0.4);
    plan->faults.reorder_ns = (uint64_t)SIM_PICK(rng, 50000, 200000, 3000000);
    plan->state_bytes = 40;
    sim_plan_set(plan, "state=proactive");
    sim_plan_set(plan, "replicas=%u", 1 + rill_rng_below(rng, 2));
    sim_plan_set(plan, "flowlet_timeout_us=50");
    sim_plan_set(plan, "flowlet_bytes=100");
    sim_plan_set(plan, "placement=spread");
    sim_plan_set(plan, "units_min=%u", plan->units);
    sim_plan_set(plan, "unit_backlog_us=30");
    sim_plan_set(plan, "unit_capacity_mbps=%g", SIM_PICK(rng, 20, 1000));
}

/* Links are cut for longer than flows live, and copies are kept. */
static void long_cuts(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->partitions = 16 + rill_rng_below(rng, 16);
    plan->partition_ns = 200000000;
    plan->partition_one_way = SIM_PICK(rng, 0.5, 1);
    plan->partition_rm = 0;
    plan->flows = 8 + rill_rng_below(rng, 8);
    plan->burst = 8;
    plan->gap_ns = 1000000;
    plan->long_gap = 0.02;
    plan->long_gap_ns = 70000000;
    plan->faults.loss = SIM_PICK(rng, 0.05, 0.3);
    sim_plan_set(plan, "flow_idle_s=0.06");
}

/* Endpoints asked for one by one, all the time, by questions that overtake each other. */
static void hungry(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->flows = 40;
    plan->burst = 4;
    plan->gap_ns = (uint64_t)SIM_PICK(rng, 200000, 1000000);
    plan->faults.duplicate = 0.3;
    plan->faults.reorder = 0.3;
    plan->faults.reorder_ns = 3000000;
    plan->pool_ports = (uint32_t)SIM_PICK(rng, 100, 1000);
    sim_plan_set(plan, "pool_block=%g", SIM_PICK(rng, 1, 2));
    sim_plan_set(plan, "retry_us=300");
    sim_plan_set(plan, "flow_idle_s=0.06");
}

/* Controllers that die, or are taken for dead. A pair that is lost and the controller at once are
 * more than is promised: nobody knows then what went to that pair. */
static void failovers(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->failovers = (uint32_t)SIM_PICK(rng, 1, 1, 2, 4);
    plan->pair_faults = 0;
}

/* One after the other, while flows move at every packet and units die. */
static void failover_storm(struct sim_plan *plan, struct rill_rng *rng)
{
    sim_plan_storm(plan, rng);
    plan->unit_faults /= 2;
    plan->failovers = (uint32_t)SIM_PICK(rng, 2, 4, 8);
    plan->pair_faults = 0;
}

/* While many flows end and begin, and nobody hears well that they may be forgotten. */
static void failover_ends(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->failovers = (uint32_t)SIM_PICK(rng, 4, 8);
    plan->pair_faults = 0;
    plan->flows = 40;
    plan->burst = 8;
    plan->gap_ns = 200000;
    plan->long_gap = 0.02;
    plan->long_gap_ns = 70000000;
    plan->faults.loss = SIM_PICK(rng, 0.15, 0.4);
    sim_plan_set(plan, "flow_idle_s=0.06");
    sim_plan_set(plan, "placement=spread");
}

/* How flows are cut and placed, and who gets copies. */
static void allocation(struct sim_plan *plan, struct rill_rng *rng)
{
    if (rill_rng_below(rng, 4) == 0)
        sim_plan_set(plan, "mode=smart-flow:%gms", SIM_PICK(rng, 1, 2, 10));
    else if (rill_rng_below(rng, 8) == 0)
        sim_plan_set(plan, "mode=flow");
    if (rill_rng_below(rng, 2) == 0)
        sim_plan_set(plan, "replica_choice=predicted");
    if (rill_rng_below(rng, 4) == 0)
        sim_plan_set(plan, "placement=first-fit");
    if (rill_rng_below(rng, 4) == 0)
        sim_plan_set(plan, "detection=timeout");
}

/* A full table lets the flow go that was idle for longest; any may have gone. */
static void small_flow_table(struct sim_plan *plan, struct rill_rng *rng)
{
    sim_plan_set(plan, "flows_max=%g", SIM_PICK(rng, 1, 2, 4));
    plan->evicts = true;
    plan->tight = true;
}

/* A table that lets flows go soon, while controllers die. What was evicted and came again may have
 * older copies about. */
static void evictions(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->flows = (uint32_t)SIM_PICK(rng, 8, 40);
    plan->evicts = true;
    plan->tight = true;
    plan->failovers = (uint32_t)SIM_PICK(rng, 0, 4, 8);
    plan->pair_faults = 0;
    plan->gap_ns = (uint64_t)SIM_PICK(rng, 200000, 1000000);
    plan->burst = (uint32_t)SIM_PICK(rng, 4, 20);
    plan->long_gap = SIM_PICK(rng, 0.01, 0.05);
    plan->long_gap_ns = (uint64_t)SIM_PICK(rng, 1e7, 3e7, 7e7);
    sim_plan_set(plan, "flows_max=%g", SIM_PICK(rng, 2, 4, 8, 20));
    sim_plan_set(plan, "flow_idle_s=%g", SIM_PICK(rng, 0.1, 0.3));
    sim_plan_set(plan, "placement=spread");
}

/* TCP connections that close and are opened again at once, or a little later; how long what has
 * closed is kept, below, at and above what copies are kept for. */
static void tcp(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->tcp = SIM_PICK(rng, 0.5, 1);
    plan->tcp_closes = SIM_PICK(rng, 0.02, 0.1, 0.3);
    plan->replies = SIM_PICK(rng, 0, 0.3, 0.6);
    sim_plan_set(plan, "flow_closed_s=%g", SIM_PICK(rng, 0.001, 0.03, 0.05, 0.1, 0.2));
    sim_plan_set(plan, "flow_idle_tcp_transitory_s=%g", SIM_PICK(rng, 0.03, 0.06, 0.2));
}

/* While controllers die, and flows move. */
static void tcp_ends(struct sim_plan *plan, struct rill_rng *rng)
{
    tcp(plan, rng);
    plan->failovers = (uint32_t)SIM_PICK(rng, 4, 8);
    plan->pair_faults = 0;
    plan->flows = (uint32_t)SIM_PICK(rng, 2, 8, 40);
    plan->burst = (uint32_t)SIM_PICK(rng, 4, 20);
    plan->gap_ns = (uint64_t)SIM_PICK(rng, 200000, 1000000);
    plan->long_gap = SIM_PICK(rng, 0.01, 0.05);
    plan->long_gap_ns = (uint64_t)SIM_PICK(rng, 3e7, 5e7, 7e7);
    plan->faults.loss = SIM_PICK(rng, 0, 0.05, 0.15, 0.4);
    sim_plan_set(plan, "flow_idle_s=%g", SIM_PICK(rng, 0.1, 0.3));
    sim_plan_set(plan, "placement=spread");
}

/* Connections close and are opened again later, by when the newest copies are forgotten; but links
 * are cut, and older ones are not, when a controller dies. */
static void old_copies(struct sim_plan *plan, struct rill_rng *rng)
{
    tcp_ends(plan, rng);
    plan->failovers = 8;
    plan->flows = (uint32_t)SIM_PICK(rng, 4, 8, 16);
    plan->tcp = 1;
    plan->tcp_closes = 0.3;
    plan->packets = 400;
    plan->gap_ns = 1000000;
    plan->burst = 8;
    plan->long_gap = 0.05;
    plan->long_gap_ns = (uint64_t)SIM_PICK(rng, 5e7, 1e8, 2e8);
    plan->partitions = 32;
    plan->partition_ns = 400000000;
    plan->partition_one_way = SIM_PICK(rng, 0.5, 1);
    plan->partition_rm = 0;
    plan->faults.loss = SIM_PICK(rng, 0.15, 0.4);
    plan->faults.delay_ns = 5000;
    plan->faults.jitter_ns = 0;
    if (plan->controllers == 0)
        sim_plan_set(plan, "units_min=%u", plan->units);
    sim_plan_set(plan, "flowlet_bytes=100");
    sim_plan_set(plan, "flow_closed_s=0.03");
    sim_plan_set(plan, "flow_idle_s=0.8");
}

/* Pauses in which every unit is given back, and flows that go on after them. */
static void sleeps(struct sim_plan *plan, struct rill_rng *rng)
{
    plan->long_gap = SIM_PICK(rng, 0.01, 0.03, 0.1);
    plan->long_gap_ns = (uint64_t)SIM_PICK(rng, 2e6, 8e6, 3e7);
    sim_plan_set(plan, "units_min=0");
    sim_plan_set(plan, "idle_unit_ms=%g", SIM_PICK(rng, 1, 3));
    sim_plan_set(plan, "idle_last_unit_ms=%g", SIM_PICK(rng, 1, 3, 10));
    if (plan->seed % 3 == 0)
        sim_plan_set(plan, "units_reserve=1");
    if (rill_rng_below(rng, 8) == 0) {
        sim_plan_set(plan, "waiting_packets_per_controller=%g", SIM_PICK(rng, 1, 4));
        plan->tight = true;
    }
}

/* State goes through a store outside, which forgets, is slow, or is not reached. */
static void external(struct sim_plan *plan, struct rill_rng *rng)
{
    sim_plan_set(plan, "state=external");
    sim_plan_set(plan, "link_delay_us=%g", (double)plan->faults.delay_ns / 1000);
    sim_plan_set(plan, "external_rtt_us=%g", SIM_PICK(rng, 0, 50, 300, 2000));
    plan->store_restarts = (uint32_t)SIM_PICK(rng, 0, 2, 8, 32);
    plan->store_cuts = (uint32_t)SIM_PICK(rng, 0, 0, 2, 8);
    if (plan->partition_ns == 0)
        plan->partition_ns = (uint64_t)SIM_PICK(rng, 2000000, 20000000);
}

/* The traffic is split over several, which share units or have their own. */
static void several_controllers(struct sim_plan *plan, struct rill_rng *rng)
{
    bool independent = rill_rng_below(rng, 5) == 0;

    plan->controllers = 2 + rill_rng_below(rng, 3);
    plan->flows = RTE_MAX(plan->flows, (uint32_t)SIM_PICK(rng, 2, 8, 40));
    plan->pool_ports = RTE_MAX(plan->pool_ports, (uint32_t)SIM_PICK(rng, 8, 200, 1000));
    if (independent) {
        sim_plan_set(plan, "controllers=independent");
        sim_plan_set(plan, "units_min=1");
        plan->units = RTE_MAX(plan->units, plan->controllers);
    }
    sim_plan_set(plan, "lease_step=%g", SIM_PICK(rng, 250, 300, 500));
    /* A part of a unit is slower: what waits there must not live longer than its flow does. */
    if (sim_plan_setting(plan, "unit_capacity_mbps") < 200)
        sim_plan_set(plan, "unit_capacity_mbps=%g", SIM_PICK(rng, 200, 1000));
    sim_plan_set(plan, "unit_queue_packets=%g", SIM_PICK(rng, 16, 64));
}

static void preserved_ports(struct sim_plan *plan, struct rill_rng *rng)
{
    (void)rng;
    plan->preserve_ports = 1;
}

static const struct {
    const char *name;
    uint32_t one_in;
    void (*draw)(struct sim_plan *plan, struct rill_rng *rng);
} kinds[] = {
    {"mice", 8, mice},
    {"edges", 8, edges},
    {"short_lives", 10, short_lives},
    {"icmp_errors", 6, icmp_errors},
    {"partitions", 4, partitions},
    {"pauses", 5, pauses},
    {"slow_roles", 8, slow_roles},
    {"clocks", 5, clocks},
    {"full_rings", 10, full_rings},
    {"reused_addresses", 10, reused_addresses},
    {"parts", 8, parts},
    {"leases", 25, leases},
    {"refills", 12, refills},
    {"massacre", 40, massacre},
    {"ping_pong", 30, ping_pong},
    {"long_cuts", 30, long_cuts},
    {"hungry", 40, hungry},
    {"failovers", 3, failovers},
    {"failover_storm", 12, failover_storm},
    {"failover_ends", 30, failover_ends},
    {"allocation", 6, allocation},
    {"small_flow_table", 25, small_flow_table},
    {"external", 10, external},
    {"controllers", 5, several_controllers},
    {"sleeps", 8, sleeps},
    {"preserved_ports", 5, preserved_ports},
    {"tcp", 8, tcp},
    {"tcp_ends", 20, tcp_ends},
    {"evictions", 20, evictions},
    {"old_copies", 40, old_copies},
    {"hairpins", 6, hairpins},
};

bool sim_swarm_has(const char *kind)
{
    for (uint32_t i = 0; i < RTE_DIM(kinds); i++)
        if (strcmp(kinds[i].name, kind) == 0)
            return true;
    return false;
}

void sim_swarm_draw(struct sim_plan *plan, const char *kind)
{
    for (uint32_t i = 0; i < RTE_DIM(kinds); i++) {
        uint64_t seed = plan->seed;
        struct rill_rng rng;

        for (const char *at = kinds[i].name; *at != '\0'; at++)
            seed = sim_chain_next(seed, (uint8_t)*at);
        rill_rng_seed(&rng, seed);
        if (rill_rng_below(&rng, kinds[i].one_in) == 0 ||
            (kind != NULL && strcmp(kind, kinds[i].name) == 0))
            kinds[i].draw(plan, &rng);
    }
}
