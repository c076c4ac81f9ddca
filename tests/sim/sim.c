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

enum { POOL_MBUFS = 8192, PROBES = 40, FLOWS_MAX = 512 };
#define MS UINT64_C(1000000)

struct run {
    struct sim_plan plan;
    struct rill_rng rng;
    struct rte_mempool *pool;
    struct rill_fabric *fabric;
    struct rill_config *settings, *nf_config;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct sim_result *result;
    uint64_t now_ns;
    uint64_t packet; /* number of the last one sent */
    uint32_t flow;   /* of the burst */
    uint32_t burst_left;
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

/* From the inside, or a reply to where the flow last came out. */
static void send_packet(struct run *r, uint32_t flow, bool probe)
{
    static const uint8_t server[4] = {192, 0, 2, 1};
    const uint8_t inside[4] = {10, 0, 0, (uint8_t)(flow + 1)};
    const struct rill_endpoint *public = sim_check_public(r->check, flow);
    bool reply = !probe && public != NULL && rill_rng_double(&r->rng) < r->plan.replies;
    struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
    struct sim_mark mark = {.packet = ++r->packet};
    uint8_t *data;
    struct rill_frame *f;

    if (m == NULL)
        abort();
    data = (uint8_t *)rte_pktmbuf_append(m, SIM_PACKET_BYTES);
    if (reply)
        write_headers(data, server, 80, public->addr, public->port);
    else
        write_headers(data, inside, 5000, server, 80);
    memcpy(data + SIM_HEADERS_BYTES, &mark, sizeof(mark));
    f = rill_frame(m);
    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = reply ? RILL_OUTSIDE : RILL_INSIDE;
    f->wire_bytes = SIM_PACKET_BYTES;
    f->ingress_ns = r->now_ns;
    f->ingress_id = r->packet;
    sim_check_sent(r->check, r->packet, flow, probe);
    rill_cluster_ingress(r->cluster, &m, 1, r->now_ns);
}

/* --- events ---------------------------------------------------------------------------------- */

static bool stopped(const struct run *r)
{
    return sim_check_violation(r->check) != NULL;
}

static void run_until(struct run *r, uint64_t until_ns)
{
    while (!stopped(r)) {
        uint64_t next_ns;

        while (rill_cluster_step(r->cluster, r->now_ns))
            if (stopped(r))
                return;
        next_ns = rill_cluster_next_ns(r->cluster);
        if (next_ns > until_ns)
            break;
        if (next_ns > r->now_ns)
            r->now_ns = next_ns;
    }
    r->now_ns = until_ns;
}

static uint64_t next_gap_ns(struct run *r)
{
    if (rill_rng_double(&r->rng) < r->plan.long_gap)
        return r->plan.long_gap_ns;
    return rill_rng_below(&r->rng, (uint32_t)(2 * r->plan.gap_ns));
}

static void workload(struct run *r)
{
    for (uint32_t i = 0; i < r->plan.packets && !stopped(r); i++) {
        if (r->burst_left == 0) {
            r->flow = rill_rng_below(&r->rng, r->plan.flows);
            r->burst_left = 1 + rill_rng_below(&r->rng, r->plan.burst);
        }
        r->burst_left--;
        run_until(r, r->now_ns + next_gap_ns(r));
        if (!stopped(r))
            send_packet(r, r->flow, false);
    }
    sim_check_balance(r->check, r->fabric);
}

/* Faults stop: whatever comes in now must come out, and nothing may be left in the end. */
static void converge(struct run *r)
{
    struct rill_fabric_sim_config quiet = r->plan.faults;

    quiet.loss = quiet.duplicate = quiet.reorder = 0;
    quiet.jitter_ns = 0;
    rill_fabric_sim_faults(r->fabric, &quiet);
    run_until(r, r->now_ns + 400 * MS); /* queues drain, questions are answered, flows end */
    for (uint32_t i = 0; i < PROBES && !stopped(r); i++) {
        send_packet(r, i % r->plan.flows, true);
        run_until(r, r->now_ns + MS);
    }
    run_until(r, r->now_ns + 300 * MS);
    sim_check_all_out(r->check);
    sim_check_balance(r->check, r->fabric);
    run_until(r, r->now_ns + 1000 * MS);
    sim_check_endpoints(r->check, r->now_ns);
    if (rill_cluster_packets_in_flight(r->cluster) != 0)
        sim_check_fail(r->check, "I4", "packets in flight after everything has ended");
    for (uint32_t i = 0; i < r->plan.units; i++)
        if (rill_unit_flows(rill_cluster_unit(r->cluster, i)) != 0)
            sim_check_fail(r->check, "I4", "unit %u keeps %u flows after all have ended", i + 1,
                           rill_unit_flows(rill_cluster_unit(r->cluster, i)));
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
    snprintf(text, sizeof(text), "ports=1000-%u", 999 + r->plan.pool_ports);
    return rc == 0 ? rill_config_set_pair(r->nf_config, text, err) : rc;
}

static int set_up(struct run *r, FILE *trace, struct rill_error *err)
{
    struct rill_cluster_config config = {.nf = &sim_chain_nf,
                                         .units_milli = r->plan.units * 1000,
                                         .flows_max = FLOWS_MAX,
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
    return 0;
}

static void tear_down(struct run *r)
{
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
    for (uint32_t i = 0; i < r->plan.units; i++)
        r->result->steps += rill_unit_counters(rill_cluster_unit(r->cluster, i))->packets_processed;
    if (violation != NULL)
        snprintf(r->result->violation, sizeof(r->result->violation), "%s", violation);
}

int sim_run(uint64_t seed, FILE *trace, struct sim_result *result)
{
    static struct rte_mempool *pool;
    struct run r = {.result = result};
    struct rill_error err = {""};

    *result = (struct sim_result){0};
    if (rill_eal_init(256, &err) == 0 && pool == NULL)
        pool = rill_frame_pool_create("sim", POOL_MBUFS, &err);
    r.pool = pool;
    sim_plan_draw(&r.plan, seed);
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
