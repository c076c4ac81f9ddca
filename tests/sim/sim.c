#include "tests/sim/sim.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "lib/base/eal.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"

#ifdef RILL_MUTANTS
enum rill_mutant rill_mutant;
#endif

enum { POOL_MBUFS = 8192, PROBES = 40, FLOWS_MAX = 512, REST_MS = 250 };
enum { FRAMES_MAX = 5000000 }; /* a run of most frames has some hundred thousand */
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
    struct sim_result *result;
    uint64_t now_ns;
    uint64_t packet; /* number of the last one sent */
    uint32_t flow;   /* of the burst */
    uint32_t burst_left;
    struct rill_endpoint old_public[64][4]; /* by workload flow */
    uint32_t old_count[64];
    uint16_t ip_id;
    uint32_t taken_count;
    struct rte_mbuf *taken[POOL_MBUFS]; /* so that the pool is nearly empty; the last member */
};

static void on_released(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    struct run *r = arg;

    r->result->hash = sim_chain_next(r->result->hash ^ now_ns, rill_frame(m)->ingress_id);
    sim_check_released(r->check, m, now_ns);
    rte_pktmbuf_free(m);
}

/* --- packets --------------------------------------------------------------------------------- */

static void write_headers(uint8_t *at, const uint8_t src[4], uint16_t sport, const uint8_t dst[4],
                          uint16_t dport)
{
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)at;
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
    struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

    memset(at, 0, SIM_HEADERS_BYTES);
    eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(SIM_PACKET_BYTES - 14);
    ip->time_to_live = 64;
    ip->next_proto_id = RILL_UDP;
    memcpy(&ip->src_addr, src, 4);
    memcpy(&ip->dst_addr, dst, 4);
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    udp->src_port = rte_cpu_to_be_16(sport);
    udp->dst_port = rte_cpu_to_be_16(dport);
    udp->dgram_len = rte_cpu_to_be_16(SIM_PACKET_BYTES - 34);
}

/* Fragments: a first, a middle and a last one, in any order. */
static void make_fragment(struct run *r, uint8_t *data)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(data + 14);
    static const uint16_t offsets[] = {0x2000, 0x2004, 0x0008};
    uint32_t kind = rill_rng_below(&r->rng, 3);

    if (kind == 0)
        r->ip_id++;
    ip->packet_id = rte_cpu_to_be_16(r->ip_id);
    ip->fragment_offset = rte_cpu_to_be_16(offsets[kind]);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void damage(struct run *r, uint8_t *data)
{
    for (uint32_t n = 1 + rill_rng_below(&r->rng, 3); n > 0; n--)
        data[rill_rng_below(&r->rng, SIM_HEADERS_BYTES)] ^= 1u << rill_rng_below(&r->rng, 8);
}

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

/* From the inside, or a reply to where the flow last came out. */
static void send_packet(struct run *r, uint32_t flow, bool probe)
{
    static const uint8_t server[4] = {192, 0, 2, 1};
    const uint8_t inside[4] = {10, 0, 0, (uint8_t)(flow + 1)};
    const struct rill_endpoint *public = reply_to(r, flow);
    bool reply = !probe && public != NULL && rill_rng_double(&r->rng) < r->plan.replies;
    struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
    struct sim_mark mark = {.packet = r->packet + 1};
    uint8_t *data;
    struct rill_frame *f;

    if (m == NULL)
        return; /* nothing came in */
    r->packet++;
    data = (uint8_t *)rte_pktmbuf_append(m, SIM_PACKET_BYTES);
    if (reply)
        write_headers(data, server, 80, public->addr, public->port);
    else
        write_headers(data, inside, 5000, server, 80);
    memcpy(data + SIM_HEADERS_BYTES, &mark, sizeof(mark));
    if (!probe && rill_rng_double(&r->rng) < r->plan.fragments)
        make_fragment(r, data);
    if (!probe && rill_rng_double(&r->rng) < r->plan.malformed)
        damage(r, data);
    f = rill_frame(m);
    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = reply ? RILL_OUTSIDE : RILL_INSIDE;
    f->wire_bytes = SIM_PACKET_BYTES;
    f->ingress_ns = r->now_ns;
    f->ingress_id = r->packet;
    sim_check_sent(r->check, r->packet, flow, probe && !r->plan.tight);
    rill_cluster_ingress(r->cluster, &m, 1, r->now_ns);
}

/* --- events ---------------------------------------------------------------------------------- */

static bool stopped(const struct run *r)
{
    return sim_check_violation(r->check) != NULL;
}

/* Questions and answers that breed more of their kind would go on for ever. */
static void check_storm(struct run *r)
{
    if (r->fabric->counters.sent > FRAMES_MAX)
        sim_check_fail(r->check, "I4", "%" PRIu64 " frames for %" PRIu64 " packets: a storm",
                       r->fabric->counters.sent, r->packet);
}

static void run_until(struct run *r, uint64_t until_ns)
{
    while (!stopped(r)) {
        uint64_t next_ns;

        while (rill_cluster_step(r->cluster, r->now_ns))
            if (stopped(r))
                return;
        sim_faults_turn(&r->faults, r->now_ns);
        next_ns = rill_cluster_next_ns(r->cluster);
        next_ns = RTE_MIN(next_ns, sim_faults_next_ns(&r->faults));
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

static void probe(struct run *r, uint32_t packets)
{
    for (uint32_t i = 0; i < packets && !stopped(r); i++) {
        send_packet(r, i % r->plan.flows, true);
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

/* Faults stop: whatever comes in now must come out, and nothing may be left in the end. */
static void converge(struct run *r)
{
    struct rill_fabric_sim_config quiet = r->plan.faults;

    quiet.loss = quiet.duplicate = quiet.reorder = 0;
    quiet.jitter_ns = 0;
    rill_fabric_sim_faults(r->fabric, &quiet);
    /* Flows that lived through the faults must go on: after a rest in which questions are answered,
     * but shorter than flow_idle. */
    run_until(r, r->now_ns + 40 * MS);
    probe(r, r->plan.flows);
    run_until(r, r->now_ns + 400 * MS); /* these end */
    probe(r, PROBES);
    run_until(r, r->now_ns + 300 * MS);
    sim_check_all_out(r->check);
    sim_check_balance(r->check, r->fabric);
    run_to_the_end(r, (r->plan.tight ? 10000 : 1000) * MS);
    sim_check_over(r->check, r->now_ns);
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
    snprintf(text, sizeof(text), "ports=1000-%u", 999 + r->plan.pool_ports);
    return rc == 0 ? rill_config_set_pair(r->nf_config, text, err) : rc;
}

static int set_up(struct run *r, FILE *trace, struct rill_error *err)
{
    struct rill_cluster_config config = {.nf = &sim_chain_nf,
                                         .units_milli = r->plan.units * 1000,
                                         .flows_max = FLOWS_MAX,
                                         .unit_flows_max = r->plan.unit_flows_max,
                                         .output_logger_flows_max = r->plan.output_logger_flows_max,
                                         .pool = r->pool,
                                         .released = on_released,
                                         .arg = r};

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
    sim_faults_init(&r->faults, &r->plan, r->cluster, r->check, 20 * MS);
    return 0;
}

static void tear_down(struct run *r)
{
    give_buffers_back(r);
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

static void count(struct run *r)
{
    const char *violation = sim_check_violation(r->check);

    r->result->packets = r->packet;
    r->result->frames = r->fabric->counters.sent;
    r->result->virtual_ns = r->now_ns;
    r->result->moves =
        rill_controller_counters(rill_cluster_controller(r->cluster))->flowlets_moved;
    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++)
        r->result->steps += rill_cluster_unit_counters(r->cluster, i)->packets_processed;
    if (violation != NULL)
        snprintf(r->result->violation, sizeof(r->result->violation), "%s", violation);
}

int sim_run(uint64_t seed, FILE *trace, struct sim_result *result)
{
    return sim_run_prefix(seed, UINT32_MAX, trace, result);
}

int sim_run_prefix(uint64_t seed, uint32_t packets, FILE *trace, struct sim_result *result)
{
    static struct rte_mempool *pool;
    static struct run r; /* too large for the stack */
    struct rill_error err = {""};

    *result = (struct sim_result){0};
    memset(&r, 0, offsetof(struct run, taken));
    r.result = result;
    if (rill_eal_init(256, &err) == 0 && pool == NULL)
        pool = rill_frame_pool_create("sim", POOL_MBUFS, &err);
    r.pool = pool;
    sim_plan_draw(&r.plan, seed);
    r.plan.packets = RTE_MIN(r.plan.packets, packets);
    rill_rng_seed(&r.rng, seed ^ 0x5eed);
    if (pool == NULL || set_up(&r, trace, &err) != 0) {
        fprintf(stderr, "rill-sim: %s\n", err.text);
        tear_down(&r);
        return -1;
    }
    run_until(&r, 20 * MS); /* leases and endpoints, under faults as well */
    workload(&r);
    converge(&r);
    count(&r);
    tear_down(&r);
    return 0;
}
