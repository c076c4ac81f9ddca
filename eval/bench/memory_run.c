#include "eval/bench/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_mempool.h>

#include "cli/cluster.h"
#include "cli/nf_path.h"
#include "eval/bench/noop.h"
#include "eval/bench/source.h"
#include "eval/bench/words.h"
#include "lib/base/eal.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"
#include "nf-runtime/loader.h"

enum {
    MBUFS = 16384,
    RING_FRAMES = 4096,
    PACKET_BYTES = 64,
    PASSES_MAX = 4, /* until every packet of one came out */
    PORTS = 60000,  /* of a public address */
    EAL_BYTES_PER_FLOW = 512,
};
#define BURST_NS UINT64_C(20000)
#define MS UINT64_C(1000000)

struct world {
    struct memory_choice choice;
    struct rill_nf_image image;
    struct rill_config *settings, *nf_config;
    struct rte_mempool *pool;
    struct rill_fabric *fabric;
    struct rill_cluster *cluster;
    struct bench_streams *streams; /* of ids: its flows are connections with bytes */
    uint64_t now_ns, sent, released;
};

/* --- a cluster ------------------------------------------------------------------------------- */

static void on_released(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    (void)now_ns;
    ((struct world *)arg)->released++;
    rte_pktmbuf_free(m);
}

static int set_all(struct rill_config *config, const char *const *pairs, struct rill_error *err)
{
    int rc = 0;

    for (; rc == 0 && *pairs != NULL; pairs++)
        rc = rill_config_set_pair(config, *pairs, err);
    return rc;
}

/* A unit that takes all there is, and another that gets copies; nobody forgets anything. */
static int make_settings(struct world *w, struct rill_error *err)
{
    static const char *const pairs[] = {"placement=pack",
                                        "units_min=2",

                                        "flow_idle_s=86400",
                                        "pool_block=4096",
                                        "unit_capacity_mbps=400000",
                                        "unit_backlog_us=0",
                                        "lease_ms=3600000",
                                        "replica_kb_per_unit=1000000000",
                                        "state_keep_ms=86400000",
                                        NULL};
    char flows[48];
    int rc;

    w->settings = rill_config_create(rill_settings_schema, err);
    if (w->settings == NULL)
        return -ENOMEM;
    snprintf(flows, sizeof(flows), "flows_max=%u", w->choice.flows);
    rc = rill_config_set_pair(w->settings, flows, err);
    if (rc == 0)
        rc = rill_config_set_pair(w->settings, w->choice.copies ? "replicas=1" : "replicas=0", err);
    return rc == 0 ? set_all(w->settings, pairs, err) : rc;
}

/* Public endpoints for all flows, if it is an NF that has such. */
static int make_nf_config(struct world *w, struct rill_error *err)
{
    const uint32_t addresses = w->choice.flows / PORTS + 1;
    size_t bytes = 32 + addresses * sizeof("198.51.100.255,"), used;
    char *text = malloc(bytes);
    int rc = 0;

    w->nf_config = rill_config_create(w->image.descriptor->options, err);
    if (w->nf_config == NULL || text == NULL) {
        free(text);
        return -ENOMEM;
    }
    used = (size_t)snprintf(text, bytes, "public_addresses=");
    for (uint32_t i = 0; i < addresses; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s198.51.%u.%u", i > 0 ? "," : "",
                                 100 + i / 250, i % 250 + 1);
    if (strcmp(w->choice.nf, "nat") == 0)
        rc = rill_config_set_pair(w->nf_config, text, err);
    if (strcmp(w->choice.nf, "ids") == 0)
        rc = rill_config_set_pair(w->nf_config, "rules=" BENCH_WORDS, err);
    free(text);
    return rc;
}

static int load_nf(struct world *w, struct rill_error *err)
{
    char search[1024];

    w->image = (struct rill_nf_image){.descriptor = &bench_noop, .memory = -1};
    if (strcmp(w->choice.nf, "noop") == 0)
        return 0;
    rill_nf_search_path(search, sizeof(search));
    return rill_nf_load(w->choice.nf, search, &w->image, err);
}

/* Every buffer's memory is there before anything is measured. */
static void touch_buffers(struct rte_mempool *pool)
{
    struct rte_mbuf *burst[BENCH_BURST], *all = NULL;

    while (rte_pktmbuf_alloc_bulk(pool, burst, BENCH_BURST) == 0)
        for (int i = 0; i < BENCH_BURST; i++) {
            memset(burst[i]->buf_addr, 1, burst[i]->buf_len);
            burst[i]->next = NULL;
            *(struct rte_mbuf **)burst[i]->buf_addr = all;
            all = burst[i];
        }
    while (all != NULL) {
        struct rte_mbuf *next = *(struct rte_mbuf **)all->buf_addr;

        rte_pktmbuf_free(all);
        all = next;
    }
}

static int start_dpdk(struct world *w, struct rill_error *err)
{
    uint64_t bytes = (uint64_t)w->choice.flows * EAL_BYTES_PER_FLOW;

    if (rill_eal_init(MEMORY_EAL_MB + (uint32_t)(bytes >> 20), err) != 0)
        return -EIO;
    w->pool = rill_frame_pool_create("bench", MBUFS, err);
    if (w->pool == NULL)
        return -ENOMEM;
    touch_buffers(w->pool);
    return 0;
}

static int create_cluster(struct world *w, struct rill_error *err)
{
    struct rill_cluster_config config = {.nf = w->image.descriptor,
                                         .nf_config = w->nf_config,
                                         .settings = w->settings,
                                         .units_milli = 2000,
                                         .flows_max = w->choice.flows,
                                         .pool = w->pool,
                                         .equip = bench_words_equip,
                                         .released = on_released,
                                         .arg = w};

    w->fabric = rill_fabric_inproc_create(RING_FRAMES, err);
    if (w->fabric == NULL)
        return -ENOMEM;
    config.fabric = w->fabric;
    w->cluster = rill_cluster_create(&config, err);
    return w->cluster == NULL ? -ENOMEM : 0;
}

static void clean_up(struct world *w)
{
    rill_cluster_destroy(w->cluster);
    if (w->fabric != NULL)
        w->fabric->ops->destroy(w->fabric);
    bench_streams_destroy(w->streams);
    rill_config_destroy(w->settings);
    rill_config_destroy(w->nf_config);
    if (w->image.handle != NULL)
        rill_nf_unload(&w->image);
}

/* --- flows ----------------------------------------------------------------------------------- */

static void run_until(struct world *w, uint64_t until_ns)
{
    for (;;) {
        uint64_t next_ns;

        while (rill_cluster_step(w->cluster, w->now_ns))
            continue;
        next_ns = rill_cluster_next_ns(w->cluster);
        if (next_ns > until_ns)
            break;
        if (next_ns > w->now_ns)
            w->now_ns = next_ns;
    }
    w->now_ns = until_ns;
}

/* A packet of each flow, and time for its state to be pushed. */
static int pass(struct world *w, struct bench_source *source, struct rill_error *err)
{
    struct rte_mbuf *burst[BENCH_BURST];

    for (uint32_t sent = 0; sent < w->choice.flows; sent += BENCH_BURST) {
        if (!bench_source_burst(source, burst))
            return rill_error_set(err, -EIO, "packets do not come out of the cluster any more");
        for (int i = 0; i < BENCH_BURST; i++) {
            struct rill_frame *f = rill_frame(burst[i]);

            rill_frame_reset(f);
            f->side = RILL_INSIDE;
            f->wire_bytes = burst[i]->pkt_len;
            f->ingress_ns = w->now_ns;
            f->ingress_id = ++w->sent;
        }
        rill_cluster_ingress(w->cluster, burst, BENCH_BURST, w->now_ns);
        run_until(w, w->now_ns + BURST_NS);
    }
    run_until(w, w->now_ns + 20 * MS);
    return 0;
}

static bool all_there(const struct world *w)
{
    return rill_controller_tables(rill_cluster_controller(w->cluster)).entries == w->choice.flows &&
           rill_ol_tables(rill_cluster_output_logger(w->cluster, 1)).entries == w->choice.flows &&
           rill_unit_replicas(rill_cluster_unit(w->cluster, 1)) ==
               (w->choice.copies ? w->choice.flows : 0);
}

/* Until all of a pass comes out: before, the NF may have lacked endpoints. */
static int make_flows(struct world *w, struct rill_error *err)
{
    struct bench_source source;

    bench_source_init(&source, w->pool, w->choice.flows, PACKET_BYTES, BENCH_IN_TURN);
    if (w->streams != NULL)
        bench_source_carry(&source, w->streams);
    run_until(w, w->now_ns + 20 * MS);
    for (int i = 0; i < PASSES_MAX; i++) {
        uint64_t missing = w->sent - w->released;
        int rc = pass(w, &source, err);

        if (rc != 0)
            return rc;
        if (w->sent - w->released == missing && all_there(w))
            return 0;
    }
    return rill_error_set(err, -EIO,
                          "not all %u flows came to be: %" PRIu64 " of %" PRIu64
                          " packets came out, %u copies",
                          w->choice.flows, w->released, w->sent,
                          rill_unit_replicas(rill_cluster_unit(w->cluster, 1)));
}

/* --- memory ---------------------------------------------------------------------------------- */

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *in = fopen("/proc/self/statm", "re");

    malloc_trim(0);
    if (in == NULL || fscanf(in, "%*u %lu", &pages) != 1)
        pages = 0;
    if (in != NULL)
        fclose(in);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void look_at_tables(struct world *w, struct memory_figures *f)
{
    struct rill_cluster *k = w->cluster;

    f->table[MEMORY_CONTROLLER] = (double)rill_controller_tables(rill_cluster_controller(k)).bytes;
    f->table[MEMORY_UNIT] = (double)rill_unit_tables(rill_cluster_unit(k, 0)).bytes;
    f->table[MEMORY_REPLICA] = (double)rill_unit_tables(rill_cluster_unit(k, 1)).bytes;
    f->table[MEMORY_LOGGER] = (double)rill_ol_tables(rill_cluster_output_logger(k, 1)).bytes;
    f->state = rill_nf_state_bytes(rill_cluster_nf(k, 0));
}

/* One role after the other goes, and what it had comes back. */
static void look_at_memory(struct world *w, double before, struct memory_figures *f)
{
    double all = resident_bytes() - before, now = all, next;

    rill_cluster_unit_crash(w->cluster, 1);
    next = resident_bytes() - before;
    f->rss[MEMORY_REPLICA] = now - next;
    now = next;
    rill_cluster_logger_crash(w->cluster, 1);
    next = resident_bytes() - before;
    f->rss[MEMORY_LOGGER] = now - next;
    now = next;
    rill_cluster_unit_crash(w->cluster, 0);
    next = resident_bytes() - before;
    f->rss[MEMORY_UNIT] = now - next;
    f->rss[MEMORY_CONTROLLER] = next;
    for (int i = 0; i < MEMORY_ROLES; i++) {
        f->rss[i] /= w->choice.flows;
        f->table[i] /= w->choice.flows;
    }
}

int memory_run(const struct memory_choice *choice, struct memory_figures *f, struct rill_error *err)
{
    struct world w = {.choice = *choice};
    int rc = load_nf(&w, err);
    double before;

    if (rc == 0)
        rc = make_settings(&w, err);
    if (rc == 0)
        rc = make_nf_config(&w, err);
    if (rc == 0)
        rc = start_dpdk(&w, err);
    if (rc == 0 && strcmp(choice->nf, "ids") == 0) {
        w.streams = bench_streams_create(choice->flows);
        rc = w.streams != NULL ? 0 : -ENOMEM;
    }
    if (w.streams != NULL)
        memset(w.streams->sent, 0, choice->flows * sizeof(w.streams->sent[0])); /* is there */
    before = resident_bytes();
    if (rc == 0)
        rc = create_cluster(&w, err);
    if (rc == 0)
        rc = make_flows(&w, err);
    if (rc == 0) {
        look_at_tables(&w, f);
        look_at_memory(&w, before, f);
    }
    clean_up(&w);
    return rc;
}
