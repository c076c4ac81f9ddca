/* A million short flows come and go, in slices, under virtual time: when all of a slice have ended,
 * every table is empty and every buffer and endpoint back; and no memory is taken for the last
 * slice that was not there after the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cluster.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"
#include "tests/core_testing.h"
#include "tests/sim/sim.h"

#define POOL_PORTS 60000
#define POOL_PORTS_TEXT "60000"

enum {
    SLICES = 50,
    SLICE_FLOWS = 20000,
    WARM_SLICES = 12, /* until every slot of the hash tables, which take turns, was used once, and
                          all units that the load needs now and then were in use */
    BURST = 20,
    BURST_GAP_NS = 40000,
    UNITS = 4,
    END_NS = 5000 * CORE_MS, /* flows of a slice have ended long before */
    RSS_SLACK_KB = 1024,     /* a million flows that leave a byte each are as much */
};

struct run {
    struct rill_fabric *fabric;
    struct rill_config *settings, *nf_config;
    struct rill_cluster *cluster;
    uint64_t now_ns, sent, released;
};

static struct run r;

/* --- packets ---------------------------------------------------------------------------------- */

static void on_released(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    (void)arg;
    (void)now_ns;
    r.released++;
    rte_pktmbuf_free(m);
}

/* Every flow is another inside endpoint. */
static struct rte_mbuf *packet_of(uint32_t flow)
{
    struct sim_mark mark = {.packet = ++r.sent};
    char source[32];
    struct rte_mbuf *m;

    snprintf(source, sizeof(source), "10.%u.%u.%u", flow >> 16, flow >> 8 & 255, flow & 255);
    m = core_udp(source, 5000, "192.0.2.1", 80, SIM_PACKET_BYTES);
    memcpy(rte_pktmbuf_mtod_offset(m, void *, SIM_HEADERS_BYTES), &mark, sizeof(mark));
    rill_frame(m)->side = RILL_INSIDE;
    rill_frame(m)->ingress_ns = r.now_ns;
    rill_frame(m)->ingress_id = r.sent;
    return m;
}

static void run_until(uint64_t until_ns)
{
    for (;;) {
        uint64_t next_ns;

        while (rill_cluster_step(r.cluster, r.now_ns))
            continue;
        next_ns = rill_cluster_next_ns(r.cluster);
        if (next_ns > until_ns)
            break;
        if (next_ns > r.now_ns)
            r.now_ns = next_ns;
    }
    r.now_ns = until_ns;
}

/* --- what is there ---------------------------------------------------------------------------- */

struct use {
    uint64_t entries, keys, bytes;
    unsigned buffers;
    uint32_t endpoints_away; /* neither at the controller nor leased to a unit that has it free */
    uint64_t rss_kb;
};

static void add(struct use *use, struct rill_table_use tables)
{
    use->entries += tables.entries;
    use->keys += tables.keys;
    use->bytes += tables.bytes;
}

static uint64_t rss_kb(void)
{
    FILE *in = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    assert_non_null(in);
    assert_int_equal(fscanf(in, "%*u %lu", &pages), 1);
    fclose(in);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static struct use look(void)
{
    struct use use = {.buffers = core_in_use(), .rss_kb = rss_kb()};
    struct rill_controller *c = rill_cluster_controller(r.cluster);

    add(&use, rill_controller_tables(c));
    use.endpoints_away = POOL_PORTS - rill_controller_pool_free(c, 0, r.now_ns);
    for (uint32_t i = 0; i < UNITS; i++) {
        add(&use, rill_unit_tables(rill_cluster_unit(r.cluster, i)));
        add(&use, rill_ol_tables(rill_cluster_output_logger(r.cluster, i + 1)));
        use.endpoints_away -= rill_nf_pool_free(rill_cluster_nf(r.cluster, i), 0);
    }
    return use;
}

static bool is_empty(void)
{
    struct use use = look();

    return use.entries == 0 && use.keys == 0 && use.buffers == 0 && use.endpoints_away == 0;
}

static void expect_empty(void)
{
    uint64_t end_ns = r.now_ns + END_NS;
    struct use use;

    while (!is_empty() && r.now_ns < end_ns)
        run_until(r.now_ns + 10 * CORE_MS);
    use = look();
    assert_int_equal(use.entries, 0);
    assert_int_equal(use.keys, 0);
    assert_int_equal(use.buffers, 0);
    assert_int_equal(use.endpoints_away, 0);
    assert_int_equal(rill_cluster_packets_in_flight(r.cluster), 0);
}

/* --- a slice ---------------------------------------------------------------------------------- */

/* A flow's second packet comes a thousand bursts after its first, and goes to another unit as often
 * as not. */
static void run_slice(uint32_t slice)
{
    enum { BURSTS = SLICE_FLOWS / BURST, LAG = BURSTS / 2 };
    struct rte_mbuf *packets[2 * BURST];

    for (uint32_t i = 0; i < BURSTS + LAG; i++) {
        uint32_t n = 0;

        for (uint32_t k = 0; k < BURST; k++) {
            if (i < BURSTS)
                packets[n++] = packet_of(slice * SLICE_FLOWS + i * BURST + k);
            if (i >= LAG)
                packets[n++] = packet_of(slice * SLICE_FLOWS + (i - LAG) * BURST + k);
        }
        rill_cluster_ingress(r.cluster, packets, n, r.now_ns);
        run_until(r.now_ns + BURST_GAP_NS);
    }
}

static void a_million_flows_leave_nothing_behind(void **state)
{
    const struct rill_controller_counters *n =
        rill_controller_counters(rill_cluster_controller(r.cluster));
    struct use warm, end;

    (void)state;
    for (uint32_t i = 0; i < WARM_SLICES; i++) {
        run_slice(i);
        expect_empty();
    }
    warm = look();
    for (uint32_t i = WARM_SLICES; i < SLICES; i++) {
        run_slice(i);
        expect_empty();
    }
    end = look();
    print_message("%" PRIu64 " flows, %" PRIu64 " moves, %" PRIu64 " packets, %" PRIu64
                  " released; tables %" PRIu64 " and %" PRIu64 " bytes, RSS %" PRIu64
                  " and %" PRIu64 " KB\n",
                  n->flows, n->flowlets_moved, r.sent, r.released, warm.bytes, end.bytes,
                  warm.rss_kb, end.rss_kb);
    assert_int_equal(n->flows, SLICES * SLICE_FLOWS);
    assert_int_equal(n->flows_ended, SLICES * SLICE_FLOWS);
    assert_true(n->flowlets_moved > SLICES * SLICE_FLOWS / 10);
    assert_int_equal(r.released, r.sent);
    assert_true(end.bytes <= warm.bytes);
    assert_true(end.rss_kb <= warm.rss_kb + RSS_SLACK_KB);
}

/* --- set up ----------------------------------------------------------------------------------- */

static void configure(void)
{
    static const char *const settings[] = {"placement=spread",
                                           "units_min=4",
                                           "flow_idle_s=0.05",
                                           "frame_life_ms=50",
                                           "state_keep_ms=500",
                                           "pool_quarantine_ms=10",
                                           "lease_ms=1000",
                                           "pool_block=1024",
                                           "flows_max=65536",
                                           "unit_backlog_us=0",
                                           NULL};
    struct rill_error err = {""};

    r.settings = rill_config_create(rill_settings_schema, &err);
    r.nf_config = rill_config_create(sim_chain_nf.options, &err);
    for (uint32_t i = 0; settings[i] != NULL; i++)
        assert_int_equal(rill_config_set_pair(r.settings, settings[i], &err), 0);
    assert_int_equal(rill_config_set_pair(r.nf_config, "ports=1-" POOL_PORTS_TEXT, &err), 0);
}

static int setup(void **state)
{
    struct rill_fabric_sim_config network = {.delay_ns = 5000, .pool = core_pool};
    struct rill_cluster_config config = {.nf = &sim_chain_nf,
                                         .units_milli = UNITS * 1000,
                                         .flows_max = UINT32_MAX,
                                         .pool = core_pool,
                                         .released = on_released};
    struct rill_error err = {""};

    (void)state;
    configure();
    r.fabric = rill_fabric_sim_create(&network, &err);
    assert_non_null(r.fabric);
    config.fabric = r.fabric;
    config.settings = r.settings;
    config.nf_config = r.nf_config;
    r.cluster = rill_cluster_create(&config, &err);
    if (r.cluster == NULL)
        print_error("%s\n", err.text);
    assert_non_null(r.cluster);
    run_until(20 * CORE_MS); /* leases, and endpoints */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rill_cluster_destroy(r.cluster);
    r.fabric->ops->destroy(r.fabric);
    rill_config_destroy(r.settings);
    rill_config_destroy(r.nf_config);
    return core_in_use() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_million_flows_leave_nothing_behind, setup, teardown),
    };

    return cmocka_run_group_tests_name("million_flows", tests, core_group_setup,
                                       core_group_teardown);
}
