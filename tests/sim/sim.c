#include <rte_tcp.h>

#include "tests/sim/sim.h"

#include "lib/base/eal.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"

#ifdef RILL_MUTANTS
enum rill_mutant rill_mutant;
#endif

enum { POOL_MBUFS = 8192, PROBES = 40, FLOWS_MAX = 512, REST_MS = 400, DOOR = 32 };
enum { FRAMES_MAX = 20000000 }; /* a run of most frames has some hundred thousand */
#define MS UINT64_C(1000000)

struct run {
    struct sim_plan plan;
    struct rill_rng rng;
    struct rte_mempool *pool;
    struct rill_fabric *fabric;
    struct rill_config *settings, *nf_config;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct sim_faults faults;
    struct sim_failover failover;
    struct sim_result *result;
    uint64_t now_ns;
    struct sim_packet packet; /* the last one sent */
    struct sim_tcp tcp;
    struct sim_pace pace;
    bool plain; /* it changes nothing */
    struct sim_partitions partitions;
    uint64_t trouble_ns; /* when any of these does something next */
    struct sim_stores stores;
    struct rill_rng more_rng; /* for what plans of later versions know */
    struct door {
        struct rte_mbuf *packets[DOOR];
        uint32_t flow[DOOR], count;
        bool must_come_out[DOOR];
    } doors[RILL_CLUSTER_SLOTS_MAX]; /* by the controller's slot */
    uint32_t flow;                   /* of the burst */
    uint32_t burst_left;
    struct rill_endpoint old_public[64][4]; /* by workload flow */
    uint32_t old_count[64];
    uint32_t taken_count;
    struct rte_mbuf *taken[POOL_MBUFS]; /* so that the pool is nearly empty; the last member */
};

uint32_t sim_controller(const struct rill_cluster *cluster, uint32_t slot)
{
    return rill_role_id(RILL_ROLE_CONTROLLER, rill_cluster_newest(cluster, slot) + 1);
}

static void on_released(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    struct run *r = arg;

    r->result->hash = sim_chain_next(r->result->hash ^ now_ns, rill_frame(m)->ingress_id);
    sim_check_released(r->check, m, now_ns);
    rte_pktmbuf_free(m);
}

static void on_turning(void *arg, struct rill_ol *ol, struct rte_mbuf *m)
{
    struct run *r = arg;

    r->result->hash = sim_chain_next(r->result->hash ^ r->now_ns, rill_frame(m)->ingress_id);
    sim_check_turning(r->check, ol, m, r->now_ns);
}

static struct sim_check *ended_check; /* of the run at hand: the NF knows of none */

static void on_ended(const struct rill_nf *nf, uint64_t flow, uint64_t hash)
{
    sim_check_ended(ended_check, nf, flow, hash);
}

/* --- packets --------------------------------------------------------------------------------- */

/* Where the flow came out last, or now and then where it came out before. */
static const struct rill_endpoint *reply_to(struct run *r, uint32_t flow)
{
    const struct rill_endpoint *now = sim_check_public(r->check, flow);
    struct rill_endpoint *old = r->old_public[flow];
    const struct rill_endpoint *pick;

    if (now == NULL)
        return NULL;
    if (!rill_endpoint_equal(now, &old[r->old_count[flow] % 4]))
        old[++r->old_count[flow] % 4] = *now;
    if (rill_rng_double(&r->rng) >= r->plan.old_alias)
        return now;
    pick = &old[rill_rng_below(&r->rng, 4)];
    return pick->family != 0 ? pick : now;
}

/* The controller stands still, or is slow: what comes in waits at its door. */
static uint64_t wakes_ns(struct run *r, uint32_t slot)
{
    return r->pace.ops.turn_ns(&r->pace, sim_controller(r->cluster, slot), r->now_ns);
}

static bool controller_sleeps(struct run *r, uint32_t slot)
{
    return !r->plain && wakes_ns(r, slot) > r->now_ns;
}

/* Whose controllers do: a bit for each slot. */
static uint32_t asleep(struct run *r)
{
    uint32_t slots = 0;

    for (uint32_t slot = 0; slot < rill_cluster_slots(r->cluster); slot++)
        slots |= (uint32_t)controller_sleeps(r, slot) << slot;
    return slots;
}

static void come_in(struct run *r, uint32_t slot)
{
    struct door *door = &r->doors[slot];

    for (uint32_t i = 0; i < door->count; i++) {
        struct rill_frame *f = rill_frame(door->packets[i]);

        f->ingress_ns = r->now_ns;
        sim_check_sent(r->check, f->ingress_id, door->flow[i], f->wire_bytes,
                       door->must_come_out[i]);
    }
    rill_cluster_ingress_at(r->cluster, sim_failover_ingress(&r->failover, slot), door->packets,
                            door->count, r->now_ns);
    door->count = 0;
    sim_check_shares(r->check, asleep(r) & ~(1u << slot));
}

static void knock(struct run *r, struct rte_mbuf *m, uint32_t flow, bool must_come_out)
{
    uint32_t slot = rill_cluster_slot_of(r->cluster, m, r->now_ns);
    struct door *door = &r->doors[slot];

    door->packets[door->count] = m;
    door->flow[door->count] = flow;
    door->must_come_out[door->count++] = must_come_out;
    if (door->count == DOOR || !controller_sleeps(r, slot))
        come_in(r, slot);
}

/* What the next packet is, besides its flow; some plans know more kinds. */
static void draw_kind(struct run *r, struct sim_packet *p)
{
    struct sim_counts *counts = sim_check_counts(r->check);

    p->fragment = rill_rng_double(&r->rng) < r->plan.fragments ? &r->rng : NULL;
    p->damage = rill_rng_double(&r->rng) < r->plan.malformed ? &r->rng : NULL;
    p->error = p->fragment == NULL && rill_rng_double(&r->more_rng) < r->plan.icmp_errors;
    counts->fragments += p->fragment != NULL;
    counts->malformed += p->damage != NULL;
    counts->icmp_errors += p->error;
}

/* Another flow to whose public endpoint the packet goes, of the same protocol; the same one: none.
 */
static uint32_t other_flow(struct run *r, uint32_t flow)
{
    uint32_t other;

    if (r->plan.hairpins == 0 || rill_rng_double(&r->more_rng) >= r->plan.hairpins)
        return flow;
    other = rill_rng_below(&r->more_rng, r->plan.flows);
    return sim_tcp_is(&r->tcp, other) == sim_tcp_is(&r->tcp, flow) ? other : flow;
}

/* Writes r->packet, of which all is known but its number, and lets it in. */
static void put_in(struct run *r, struct rte_mbuf *m, bool must_come_out)
{
    struct rill_frame *f = rill_frame(m);

    sim_packet_write(&r->packet, m);
    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = r->packet.reply_to != NULL ? RILL_OUTSIDE : RILL_INSIDE;
    f->wire_bytes = rte_pktmbuf_pkt_len(m);
    f->ingress_id = r->packet.number;
    knock(r, m, r->packet.flow, must_come_out);
}

/* A packet that is to be drawn: of that flow, sound, from the inside. NULL: no buffer. */
static struct rte_mbuf *next_packet(struct run *r, uint32_t flow)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

    if (m == NULL)
        return NULL; /* nothing came in */
    r->packet.number++;
    r->packet.flow = flow;
    r->packet.reply_to = r->packet.turn_to = NULL;
    r->packet.fragment = r->packet.damage = NULL;
    r->packet.error = false;
    r->packet.tcp = sim_tcp_is(&r->tcp, flow);
    return m;
}

/* To where the other flow last came out, if it has. */
static void turn_to(struct run *r, uint32_t other)
{
    if (other == r->packet.flow)
        return;
    r->packet.turn_to = reply_to(r, other);
    sim_check_will_turn(r->check, r->packet.number, other);
}

/* From the inside, or a reply to where the flow last came out. */
static void send_packet(struct run *r, uint32_t flow, bool probe)
{
    const struct rill_endpoint *public = reply_to(r, flow);
    bool reply = !probe && public != NULL && rill_rng_double(&r->rng) < r->plan.replies;
    struct rte_mbuf *m = next_packet(r, flow);

    if (m == NULL)
        return;
    r->packet.reply_to = reply ? public : NULL;
    if (!probe)
        draw_kind(r, &r->packet);
    if (!probe && !reply && !r->packet.error)
        turn_to(r, other_flow(r, flow));
    if (r->packet.turn_to != NULL) /* a FIN would be another connection's */
        r->packet.tcp_flags = RTE_TCP_ACK_FLAG;
    else if (r->packet.tcp && !r->packet.error)
        r->packet.tcp_flags = sim_tcp_flags(&r->tcp, flow, reply ? RILL_OUTSIDE : RILL_INSIDE,
                                            probe, sim_check_counts(r->check));
    put_in(r, m, probe && !r->plan.tight);
}

/* --- events ---------------------------------------------------------------------------------- */

static bool stopped(const struct run *r)
{
    return sim_check_violation(r->check) != NULL;
}

static void trouble(struct run *r)
{
    sim_faults_turn(&r->faults, r->now_ns);
    sim_failover_turn(&r->failover, r->now_ns);
    sim_pace_turn(&r->pace, r->now_ns);
    sim_partitions_turn(&r->partitions, r->now_ns);
    sim_stores_turn(&r->stores, r->now_ns);
    r->trouble_ns =
        RTE_MIN(RTE_MIN(sim_faults_next_ns(&r->faults), sim_failover_next_ns(&r->failover)),
                RTE_MIN(sim_pace_next_ns(&r->pace), sim_partitions_next_ns(&r->partitions)));
    r->trouble_ns = RTE_MIN(r->trouble_ns, sim_stores_next_ns(&r->stores));
}

/* When something happens besides what the cluster does by itself. */
static uint64_t next_trouble_ns(struct run *r)
{
    uint64_t next_ns = r->trouble_ns;

    for (uint32_t slot = 0; slot < rill_cluster_slots(r->cluster); slot++)
        if (r->doors[slot].count > 0)
            next_ns = RTE_MIN(next_ns, wakes_ns(r, slot));
    return next_ns;
}

/* Questions and answers that breed more of their kind would go on for ever. */
static void check_storm(struct run *r)
{
    if (r->fabric->counters.sent > FRAMES_MAX)
        sim_check_fail(r->check, "I4", "%" PRIu64 " frames for %" PRIu64 " packets: a storm",
                       r->fabric->counters.sent, r->packet.number);
}

static void run_until(struct run *r, uint64_t until_ns)
{
    while (!stopped(r)) {
        uint64_t next_ns;

        for (uint32_t slot = 0; slot < rill_cluster_slots(r->cluster); slot++)
            if (r->doors[slot].count > 0 && !controller_sleeps(r, slot))
                come_in(r, slot);
        while (rill_cluster_step(r->cluster, r->now_ns))
            if (stopped(r))
                return;
        sim_check_time(r->check, r->now_ns);
        sim_check_shares(r->check, asleep(r));
        if (r->plain)
            sim_check_speed(r->check);
        /* Whether a takeover is done is looked at after every step that could end it. */
        if (r->trouble_ns <= r->now_ns || r->failover.taking_over)
            trouble(r);
        next_ns = next_trouble_ns(r);
        next_ns = RTE_MIN(next_ns, rill_cluster_next_ns(r->cluster));
        if (next_ns > until_ns)
            break;
        if (next_ns > r->now_ns)
            r->now_ns = next_ns;
        check_storm(r);
    }
    r->now_ns = until_ns;
}

static uint64_t next_gap_ns(struct run *r)
{
    if (rill_rng_double(&r->rng) < r->plan.long_gap)
        return r->plan.long_gap_ns;
    if (rill_rng_double(&r->more_rng) < r->plan.edge_gaps)
        return r->plan.edge_ns - 1 + rill_rng_below(&r->more_rng, 3);
    return rill_rng_below(&r->rng, (uint32_t)(2 * r->plan.gap_ns));
}

/* All but free_mbufs of the pool, so that it is nearly empty. */
static void take_buffers(struct run *r)
{
    uint32_t available = rte_mempool_avail_count(r->pool);

    if (r->plan.free_mbufs == 0 || available <= r->plan.free_mbufs)
        return;
    available -= r->plan.free_mbufs;
    if (rte_pktmbuf_alloc_bulk(r->pool, r->taken, available) == 0)
        r->taken_count = available;
}

static void give_buffers_back(struct run *r)
{
    rte_pktmbuf_free_bulk(r->taken, r->taken_count);
    r->taken_count = 0;
}

static void black_out(struct run *r)
{
    struct rill_fabric_sim_config dark = r->plan.faults;

    dark.loss = 1;
    sim_check_counts(r->check)->blackouts++;
    rill_fabric_sim_faults(r->fabric, &dark);
    run_until(r, r->now_ns + r->plan.blackout_ns);
    rill_fabric_sim_faults(r->fabric, &r->plan.faults);
}

static void workload(struct run *r)
{
    take_buffers(r);
    for (uint32_t i = 0; i < r->plan.packets && !stopped(r); i++) {
        if (r->burst_left == 0) {
            r->flow = rill_rng_below(&r->rng, r->plan.flows);
            if (r->plan.mice)
                r->flow = rill_rng_below(&r->more_rng, r->flow + 1);
            r->burst_left = 1 + rill_rng_below(&r->rng, r->plan.burst);
        }
        r->burst_left--;
        run_until(r, r->now_ns + next_gap_ns(r));
        if (rill_rng_double(&r->rng) < r->plan.blackout)
            black_out(r);
        if (!stopped(r))
            send_packet(r, r->flow, false);
        if (i % 8 == 0)
            sim_check_balance(r->check, r->fabric);
    }
    give_buffers_back(r);
    sim_check_balance(r->check, r->fabric);
}

/* A packet that comes while the one before, which ends its flow, is still waiting somewhere is of
 * the life that ends, and may wait for an alias that is refused. */
static void probe(struct run *r, uint32_t packets)
{
    bool must_come_out = r->plan.nf_ends == 0 || (r->plan.slow == 0 && r->plan.flows >= 8);

    for (uint32_t i = 0; i < packets && !stopped(r); i++) {
        send_packet(r, i % r->plan.flows, must_come_out);
        run_until(r, r->now_ns + MS / 2);
    }
}

/* Every flow talks to the next one, whose public endpoint is known and fresh. */
static void probe_hairpins(struct run *r)
{
    bool must_come_out = !r->plan.tight && r->plan.nf_ends == 0 && r->plan.tcp == 0;

    for (uint32_t flow = 0; r->plan.hairpins > 0 && flow < r->plan.flows && !stopped(r); flow++) {
        uint32_t other = (flow + 1) % r->plan.flows;
        struct rte_mbuf *m;

        send_packet(r, other, true);
        run_until(r, r->now_ns + 5 * MS);
        if (!sim_check_is_out(r->check, r->packet.number) || other == flow)
            continue;
        m = next_packet(r, flow);
        if (m == NULL)
            continue;
        r->packet.turn_to = sim_check_public(r->check, other);
        sim_check_will_turn(r->check, r->packet.number, other);
        r->packet.tcp_flags = RTE_TCP_ACK_FLAG;
        put_in(r, m, must_come_out);
        run_until(r, r->now_ns + MS / 2);
    }
}

/* Nothing comes in any more: on until all has ended and has stayed so for longer than any plan lets
 * a role wait before it does something about a flow or an endpoint; at most for `most_ns`. */
static void run_to_the_end(struct run *r, uint64_t most_ns)
{
    uint64_t end_ns = r->now_ns + most_ns, over_ns = UINT64_MAX;

    while (!stopped(r) && r->now_ns < end_ns) {
        if (!sim_check_is_over(r->check, r->now_ns))
            over_ns = UINT64_MAX;
        else if (over_ns == UINT64_MAX)
            over_ns = r->now_ns;
        else if (r->now_ns - over_ns >= REST_MS * MS)
            break;
        run_until(r, RTE_MIN(end_ns, r->now_ns + 10 * MS));
    }
}

/* Time for a last handoff, once its packets are served: a slow unit's queue may take longer. */
static void settle(struct run *r)
{
    uint64_t most_ns = r->now_ns + 400 * MS;

    do
        run_until(r, r->now_ns + 30 * MS);
    while (!stopped(r) && r->now_ns < most_ns && rill_cluster_packets_in_flight(r->cluster) > 0);
}

/* Faults stop: whatever comes in now must come out, and nothing may be left in the end. */
static void converge(struct run *r)
{
    struct rill_fabric_sim_config quiet = r->plan.faults;

    quiet.loss = quiet.duplicate = quiet.reorder = 0;
    quiet.jitter_ns = 0;
    quiet.ring_frames = 0;
    rill_fabric_sim_faults(r->fabric, &quiet);
    sim_faults_calm(&r->faults);
    sim_failover_stop(&r->failover);
    sim_pace_calm(&r->pace);
    sim_partitions_heal(&r->partitions);
    sim_stores_calm(&r->stores);
    r->trouble_ns = r->now_ns;
    /* Flows that lived through the faults must go on: after a rest in which questions are answered,
     * but shorter than flow_idle. */
    run_until(r, r->now_ns + 40 * MS);
    probe(r, r->plan.flows);
    probe_hairpins(r);
    settle(r);
    if (stopped(r))
        return; /* it has failed, and stands where it was: there may be no controller just now */
    /* Not where there may be flows that no probe is of, nor so many deaths that a chain may be
     * full: then a flow waits for the last one to be heard of. */
    if (!r->plan.tight && r->plan.malformed == 0 && r->plan.nf_ends == 0 &&
        r->plan.unit_faults < RILL_CHAIN_MAX)
        sim_check_established(r->check);
    run_until(r, r->now_ns + 400 * MS); /* these end */
    /* But where flows end before their time, as loggers stay longer then. */
    if (!r->plan.tight && r->plan.tcp == 0 && r->plan.nf_ends == 0)
        sim_faults_check_over(&r->faults);
    probe(r, PROBES);
    run_until(r, r->now_ns + 300 * MS);
    sim_check_all_out(r->check);
    sim_check_balance(r->check, r->fabric);
    run_to_the_end(r, (r->plan.tight ? 120000 : 2000) * MS);
    sim_check_over(r->check, r->now_ns);
    sim_faults_check_over(&r->faults);
}

/* --- set up ---------------------------------------------------------------------------------- */

static int configure(struct run *r, struct rill_error *err)
{
    char text[64];
    int rc = 0;

    r->settings = rill_config_create(rill_settings_schema, err);
    r->nf_config = rill_config_create(sim_chain_nf.options, err);
    if (r->settings == NULL || r->nf_config == NULL)
        return -1;
    for (uint32_t i = 0; rc == 0 && i < r->plan.setting_count; i++)
        rc = rill_config_set_pair(r->settings, r->plan.settings[i], err);
    snprintf(text, sizeof(text), "state_bytes=%u", r->plan.state_bytes);
    if (rc == 0)
        rc = rill_config_set_pair(r->nf_config, text, err);
    snprintf(text, sizeof(text), "drops=%u", r->plan.nf_drops);
    if (rc == 0)
        rc = rill_config_set_pair(r->nf_config, text, err);
    snprintf(text, sizeof(text), "ends=%u", r->plan.nf_ends);
    if (rc == 0)
        rc = rill_config_set_pair(r->nf_config, text, err);
    snprintf(text, sizeof(text), "preserve_ports=%s", r->plan.preserve_ports ? "true" : "false");
    if (rc == 0)
        rc = rill_config_set_pair(r->nf_config, text, err);
    if (rc == 0 && r->plan.tcp > 0)
        rc = rill_config_set_pair(r->nf_config, "tcp=true", err);
    snprintf(text, sizeof(text), "ports=1000-%u", 999 + r->plan.pool_ports);
    return rc == 0 ? rill_config_set_pair(r->nf_config, text, err) : rc;
}

static int set_up(struct run *r, FILE *trace, struct rill_error *err)
{
    struct rill_cluster_config config = {.nf = &sim_chain_nf,
                                         .units_milli = r->plan.units * 1000 + r->plan.part,
                                         .controllers = r->plan.controllers,
                                         .flows_max = FLOWS_MAX,
                                         .unit_flows_max = r->plan.unit_flows_max,
                                         .output_logger_flows_max = r->plan.output_logger_flows_max,
                                         .pool = r->pool,
                                         .released = on_released,
                                         .turning = on_turning,
                                         .arg = r,
                                         .pace = r->plain ? NULL : &r->pace.ops};

    if (configure(r, err) != 0)
        return -1;
    r->plan.faults.pool = r->pool;
    r->fabric = rill_fabric_sim_create(&r->plan.faults, err);
    r->check = sim_check_create(&r->plan, trace);
    if (r->fabric == NULL || r->check == NULL)
        return -1;
    config.fabric = r->fabric;
    config.nf_config = r->nf_config;
    config.settings = r->settings;
    r->cluster = rill_cluster_create(&config, err);
    if (r->cluster == NULL)
        return -1;
    sim_check_attach(r->check, r->cluster);
    ended_check = r->check;
    sim_chain_ended = on_ended;
    sim_faults_init(&r->faults, &r->plan, r->cluster, r->fabric, r->check, 20 * MS);
    sim_failover_init(&r->failover, &r->plan, r->cluster, r->check, 20 * MS);
    sim_pace_start(&r->pace, r->cluster, r->check, 20 * MS);
    sim_partitions_init(&r->partitions, &r->plan, r->cluster, r->fabric, r->check, 20 * MS);
    sim_stores_init(&r->stores, &r->plan, r->cluster, r->fabric, r->check, 20 * MS);
    return 0;
}

static void tear_down(struct run *r)
{
    give_buffers_back(r);
    sim_chain_ended = NULL;
    for (uint32_t slot = 0; slot < RILL_CLUSTER_SLOTS_MAX; slot++)
        rte_pktmbuf_free_bulk(r->doors[slot].packets, r->doors[slot].count);
    rill_cluster_destroy(r->cluster);
    if (r->fabric != NULL)
        r->fabric->ops->destroy(r->fabric);
    if (r->result->violation[0] == '\0' && rte_mempool_in_use_count(r->pool) != 0)
        snprintf(r->result->violation, sizeof(r->result->violation), "LEAK: %u mbufs",
                 rte_mempool_in_use_count(r->pool));
    sim_check_destroy(r->check);
    rill_config_destroy(r->settings);
    rill_config_destroy(r->nf_config);
}

/* What was counted, at the end of a trace. */
static void print_counters(const struct run *r, FILE *trace)
{
    struct rill_tally tally = {0};

    if (rill_cluster_counters(r->cluster, &tally) != 0)
        abort();
    for (size_t i = 0; i < tally.count; i++)
        if (tally.entries[i].count > 0)
            fprintf(trace, "%s %" PRIu64 "\n", tally.entries[i].name, tally.entries[i].count);
    rill_tally_fini(&tally);
}

static void count(struct run *r)
{
    const char *violation = sim_check_violation(r->check);

    r->result->packets = r->packet.number;
    r->result->frames = r->fabric->counters.sent;
    r->result->virtual_ns = r->now_ns;
    for (uint32_t slot = 0; slot < rill_cluster_slots(r->cluster); slot++)
        r->result->moves +=
            rill_cluster_controller_counters(r->cluster, rill_cluster_newest(r->cluster, slot))
                ->flowlets_moved;
    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++)
        r->result->steps += rill_cluster_unit_counters(r->cluster, i)->packets_processed;
    if (violation != NULL)
        snprintf(r->result->violation, sizeof(r->result->violation), "%s", violation);
    r->result->counts = *sim_check_counts(r->check);
    sim_counts_read(&r->result->counts, r->cluster, r->fabric);
    r->result->counts.slow_roles = sim_pace_slow(&r->pace);
    r->result->counts.skewed = r->plan.clock_ppm > 0;
}

static void begin(struct run *r, const struct sim_plan *plan, struct sim_result *result)
{
    static struct rte_mempool *pool;
    struct rill_error err = {""};

    *result = (struct sim_result){0};
    memset(r, 0, offsetof(struct run, taken));
    r->result = result;
    if (rill_eal_init(256, &err) == 0 && pool == NULL)
        pool = rill_frame_pool_create("sim", POOL_MBUFS, &err);
    if (pool == NULL)
        fprintf(stderr, "rill-sim: %s\n", err.text);
    r->pool = pool;
    r->plan = *plan;
    for (uint32_t i = 0; i < plan->setting_count; i++)
        r->plan.settings[i] = r->plan.text[i];
    rill_rng_seed(&r->rng, plan->seed ^ 0x5eed);
    rill_rng_seed(&r->more_rng, plan->seed ^ 0x303e);
    sim_pace_init(&r->pace, &r->plan);
    sim_tcp_init(&r->tcp, &r->plan);
    r->plain = sim_pace_is_plain(&r->plan);
}

int sim_run_plan(const struct sim_plan *plan, FILE *trace, struct sim_result *result)
{
    static struct run r; /* too large for the stack */
    struct rill_error err = {""};

    begin(&r, plan, result);
    if (r.pool == NULL)
        return -1;
    if (set_up(&r, trace, &err) != 0) {
        fprintf(stderr, "rill-sim: %s\n", err.text);
        tear_down(&r);
        return -1;
    }
    run_until(&r, 20 * MS); /* leases and endpoints, under faults as well */
    workload(&r);
    converge(&r);
    count(&r);
    if (trace != NULL)
        print_counters(&r, trace);
    tear_down(&r);
    return 0;
}
