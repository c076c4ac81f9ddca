#include "cli/embedded_run.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/nf_path.h"
#include "lib/base/eal.h"
#include "lib/config/settings.h"

#define SECOND_NS UINT64_C(1000000000)
#define EPOCH_NS (SECOND_NS / 10)
#define WARM_UP_MAX_NS SECOND_NS  /* for the first lease */
#define STUCK_NS (10 * SECOND_NS) /* nothing came out for so long: nothing will */
#define SLEEP_ABOVE_NS 2000000    /* idle for longer: sleep, do not spin */
#define WAKE_EARLY_NS 500000

enum {
    BURST = 32,
    ROUNDS_MAX = 1000000,
    POOL_MIN = 16384,
    POOL_MAX = 262144,
    POOL_SLACK = 12288,
    RING_FRAMES = 4096,
    FLOWS_SLACK = 1024,
    MEMORY_SLACK_MB = 96,
    PROGRESS_EVERY_NS = 50000000,
};

/* --- settings, NF, capture ------------------------------------------------------------------- */

static int read_settings(struct run *r, struct rill_error *err)
{
    const struct rill_replay_options *o = r->options;
    int rc = 0;

    r->settings = rill_config_create(rill_settings_schema, err);
    if (r->settings == NULL)
        return -ENOMEM;
    if (o->config != NULL) {
        rc = rill_config_file_open(o->config, &r->file, err);
        if (rc == 0)
            rc = rill_config_file_apply(r->file, "settings", r->settings, err);
    }
    for (size_t i = 0; rc == 0 && i < o->set_count; i++)
        rc = rill_config_set_pair(r->settings, o->sets[i], err);
    return rc;
}

/* The NF that was asked for. A path in a deployment file is relative to that file. */
static const char *nf_name(const struct run *r, char *buf, size_t bytes)
{
    const char *name = r->file != NULL ? rill_config_file_nf(r->file) : r->options->nf;
    const char *config = r->options->config;
    const char *slash = r->file != NULL ? strrchr(config, '/') : NULL;

    if (slash == NULL || name[0] == '/' || strchr(name, '/') == NULL)
        return name;
    snprintf(buf, bytes, "%.*s/%s", (int)(slash - config), config, name);
    return buf;
}

static int load_nf(struct run *r, struct rill_error *err)
{
    static const struct rill_option no_options[] = {{.name = NULL}};
    const struct rill_option *schema;
    char search[4096], path[4096];
    int rc;

    rill_nf_search_path(search, sizeof(search));
    rc = rill_nf_load(nf_name(r, path, sizeof(path)), search, &r->image, err);
    if (rc != 0)
        return rc;
    schema = r->image.descriptor->options;
    r->nf_config = rill_config_create(schema != NULL ? schema : no_options, err);
    if (r->nf_config == NULL)
        return -ENOMEM;
    if (r->file != NULL)
        rc = rill_config_file_apply(r->file, "config", r->nf_config, err);
    return rc == 0 ? rill_config_complete(r->nf_config, err) : rc;
}

/* mbufs that the whole capture would need at once, within bounds. */
static uint32_t pool_size(const struct rill_capture *capture)
{
    uint64_t mbufs = POOL_SLACK;

    for (uint64_t i = 0; i < capture->count && mbufs < POOL_MAX; i++)
        mbufs += 1 + capture->packets[i].bytes / 2048;
    mbufs = RTE_MIN(mbufs, (uint64_t)POOL_MAX);
    return (uint32_t)RTE_MAX(mbufs, (uint64_t)POOL_MIN);
}

/* A capture can not hold more flows than packets. */
static uint32_t flows_bound(const struct run *r)
{
    uint64_t setting = rill_config_u64(r->settings, "flows_max");

    return (uint32_t)RTE_MIN(setting, r->capture.count + FLOWS_SLACK);
}

static int start_dpdk(struct run *r, struct rill_error *err)
{
    uint32_t mbufs = pool_size(&r->capture);
    /* Without hugepages an mbuf takes a page of its own. */
    uint64_t bytes = (uint64_t)mbufs * 4352 + (uint64_t)flows_bound(r) * 512;
    uint32_t memory_mb = r->options->memory_mb;

    if (memory_mb == 0)
        memory_mb = (uint32_t)(bytes >> 20) + MEMORY_SLACK_MB;
    if (rill_eal_init(memory_mb, err) != 0)
        return -ENOMEM;
    r->pool = rill_frame_pool_create("frames", mbufs, err);
    return r->pool == NULL ? -ENOMEM : 0;
}

/* --- the cluster ----------------------------------------------------------------------------- */

static void on_released(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    struct run *r = arg;
    struct rill_frame *f = rill_frame(m);
    enum rill_side side = (enum rill_side)f->side;
    struct rill_capture_packet_out out = {.time_ns = r->pace.first_ns + (now_ns - r->start_ns),
                                          .wire_bytes = f->wire_bytes,
                                          .side = f->side,
                                          .packet_id = f->ingress_id};
    uint32_t wire_bytes = f->wire_bytes;
    uint64_t latency_ns = now_ns - f->ingress_ns;

    rill_ends_released(r->ends, f->ingress_id - 1, side, m, now_ns);
    if (f->flow != 0)
        rill_order_released(&r->order, f->flow, side, f->ingress_id);
    if (!rill_output_put(r->output, m, &out)) {
        r->output_failed++;
        return;
    }
    r->report->packets_released++;
    r->report->bytes_released += wire_bytes;
    rill_histogram_record(&r->report->latency_ns, latency_ns);
    r->last_release_ns = now_ns;
}

static struct rill_fabric *create_fabric(const struct run *r, struct rill_error *err)
{
    struct rill_fabric_sim_config sim = {
        .seed = rill_config_u64(r->settings, "seed"),
        .delay_ns = (uint64_t)(rill_config_double(r->settings, "link_delay_us") * 1000),
        .pool = r->pool};

    if (r->options->clock == RILL_CLOCK_VIRTUAL)
        return rill_fabric_sim_create(&sim, err);
    return rill_fabric_inproc_create(RING_FRAMES, err);
}

static int create_cluster(struct run *r, struct rill_error *err)
{
    struct rill_cluster_config config = {.nf = r->image.descriptor,
                                         .nf_config = r->nf_config,
                                         .settings = r->settings,
                                         .units_milli = r->options->units_milli,
                                         .flows_max = flows_bound(r),
                                         .pool = r->pool,
                                         .released = on_released,
                                         .arg = r};

    r->fabric = create_fabric(r, err);
    if (r->fabric == NULL)
        return -ENOMEM;
    config.fabric = r->fabric;
    r->cluster = rill_cluster_create(&config, err);
    return r->cluster == NULL ? -EINVAL : 0;
}

static int create_ends(struct run *r, struct rill_error *err)
{
    struct rill_ends_config config = {
        .capture = &r->capture,
        .inside_prefixes = r->options->inside,
        .writes = r->image.descriptor->writes,
        .inverts = (r->image.descriptor->flags & RILL_NF_INVERTS) != 0,
        .handles_errors = (r->image.descriptor->handles &
                           (RILL_HANDLES_ICMP4_ERROR | RILL_HANDLES_ICMP6_ERROR)) != 0};

    r->ends = rill_ends_create(&config, err);
    if (r->ends == NULL)
        return -EINVAL;
    if (rill_order_init(&r->order, flows_bound(r)) != 0)
        return rill_error_set(err, -ENOMEM, "no memory to follow the order of %u flows",
                              flows_bound(r));
    return 0;
}

static int prepare(struct run *r, struct rill_error *err)
{
    int rc = read_settings(r, err);

    if (rc == 0)
        rc = load_nf(r, err);
    if (rc == 0)
        rc = rill_capture_read(r->options->trace, &r->capture, err);
    if (rc == 0)
        rc = start_dpdk(r, err);
    if (rc == 0)
        rc = create_ends(r, err);
    if (rc == 0)
        rc = create_cluster(r, err);
    if (rc == 0)
        rc = rill_output_open(r->options->out, r->options->out_devargs, r->pool, &r->output, err);
    return rc;
}

static void clean_up(struct run *r)
{
    rill_output_close(r->output, NULL);
    rill_cluster_destroy(r->cluster);
    if (r->fabric != NULL)
        r->fabric->ops->destroy(r->fabric);
    rill_order_fini(&r->order);
    rill_ends_destroy(r->ends);
    rte_mempool_free(r->pool);
    rill_capture_free(&r->capture);
    rill_config_destroy(r->nf_config);
    rill_nf_unload(&r->image);
    rill_config_file_close(r->file);
    rill_config_destroy(r->settings);
}

/* --- time ------------------------------------------------------------------------------------ */

static uint64_t monotonic_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* Virtual: jumps to the next event, but not past `until_ns`. Real: reads the clock; where nothing
 * is due for long, sleeps, else lets others run. */
static void advance(struct run *r, uint64_t until_ns, bool idle)
{
    uint64_t next_ns = RTE_MIN(rill_cluster_next_ns(r->cluster), until_ns);

    if (r->options->clock == RILL_CLOCK_VIRTUAL) {
        if (next_ns != UINT64_MAX && next_ns > r->now_ns)
            r->now_ns = next_ns;
        return;
    }
    r->now_ns = monotonic_ns() - r->real_start_ns;
    if (!idle || next_ns <= r->now_ns)
        return;
    if (next_ns - r->now_ns > SLEEP_ABOVE_NS) {
        uint64_t ns = RTE_MIN(next_ns - r->now_ns - WAKE_EARLY_NS, (uint64_t)PROGRESS_EVERY_NS);
        struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ns};

        nanosleep(&t, NULL);
    } else {
        sched_yield();
    }
    r->now_ns = monotonic_ns() - r->real_start_ns;
}

/* Lets the cluster do all that is due now. True if there was anything. */
static bool turn(struct run *r)
{
    bool any = false;

    /* Under real time a turn is short, so that packets that become due go in. */
    int rounds = r->options->clock == RILL_CLOCK_VIRTUAL ? ROUNDS_MAX : 4;

    while (rounds-- > 0 && rill_cluster_step(r->cluster, r->now_ns))
        any = true;
    return any;
}

/* At the end of each 100 ms. */
static int end_epochs(struct run *r)
{
    int rc = 0;

    while (rc == 0 && r->now_ns >= r->next_epoch_ns) {
        embedded_sample_units(r);
        rc = rill_report_add_epoch(r->report,
                                   (double)(r->next_epoch_ns - EPOCH_NS - r->start_ns) / 1e9,
                                   rill_controller_units(rill_cluster_controller(r->cluster)));
        r->next_epoch_ns += EPOCH_NS;
    }
    return rc;
}

/* --- packets in ------------------------------------------------------------------------------ */

/* A copy of packet `index` in mbufs; NULL if there are none. */
static struct rte_mbuf *copy_packet(const struct run *r, uint64_t index)
{
    const struct rill_capture_packet *p = &r->capture.packets[index];
    struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

    if (m == NULL)
        return NULL;
    rill_frame_reset(rill_frame(m));
    if (rill_mbuf_append(m, r->pool, p->data, p->bytes) != 0) {
        rte_pktmbuf_free(m);
        return NULL;
    }
    return m;
}

static void schedule_next(struct run *r)
{
    r->next_due_ns =
        r->next_packet < r->capture.count ? rill_pace_due_ns(&r->pace, r->next_packet) : UINT64_MAX;
}

/* Puts in what is due, at most a burst. True if that was anything. */
static bool inject(struct run *r)
{
    struct rte_mbuf *burst[BURST];
    uint32_t n = 0;
    bool any = false;

    while (n < BURST && r->next_due_ns <= r->now_ns && !r->stopped) {
        uint64_t index = r->next_packet++;
        const struct rill_capture_packet *p = &r->capture.packets[index];
        struct rte_mbuf *m = copy_packet(r, index);

        any = true;
        r->report->packets_in++;
        r->report->bytes_in += p->wire_bytes;
        if (m == NULL) {
            r->no_buffer++;
        } else {
            struct rill_frame *f = rill_frame(m);

            f->wire_bytes = p->wire_bytes;
            f->ingress_ns = r->next_due_ns;
            f->ingress_id = index + 1;
            f->flags = RILL_FLAG_PACKET;
            f->side = rill_ends_ingress(r->ends, index, m);
            burst[n++] = m;
        }
        schedule_next(r);
    }
    if (n > 0)
        rill_cluster_ingress(r->cluster, burst, n, r->now_ns);
    return any;
}

static void show_progress(struct run *r)
{
    const struct rill_replay_options *o = r->options;
    uint64_t real_ns = monotonic_ns();

    if (o->progress == NULL || real_ns - r->last_progress_ns < PROGRESS_EVERY_NS)
        return;
    r->last_progress_ns = real_ns;
    if (o->progress(o->progress_arg, r->report->packets_in, r->capture.count,
                    r->report->packets_released) != 0)
        r->stopped = true;
}

/* --- the run --------------------------------------------------------------------------------- */

static int warm_up(struct run *r, struct rill_error *err)
{
    struct rill_controller *c = rill_cluster_controller(r->cluster);

    r->real_start_ns = monotonic_ns();
    do {
        advance(r, UINT64_MAX, !turn(r));
        if (r->now_ns > WARM_UP_MAX_NS)
            return rill_error_set(err, -EIO,
                                  "no unit was leased within a second: the machine is too busy");
    } while (rill_controller_units(c) == 0);
    r->start_ns = (r->now_ns / 1000000 + 2) * 1000000;
    r->next_epoch_ns = r->start_ns + EPOCH_NS;
    r->last_release_ns = r->start_ns;
    return 0;
}

/* The capture is in: is the last packet out, or is what is left stuck? */
static bool drained(struct run *r)
{
    uint64_t in_flight = rill_cluster_packets_in_flight(r->cluster);

    if (in_flight != r->in_flight) {
        r->in_flight = in_flight;
        r->give_up_ns = r->now_ns + STUCK_NS;
    }
    return in_flight == 0 || r->now_ns >= r->give_up_ns;
}

/* Until the capture is in, and out again. */
static int play(struct run *r)
{
    uint32_t since_look = 0;

    for (;;) {
        bool any = inject(r);
        bool in;

        if (r->stopped)
            r->next_due_ns = UINT64_MAX; /* no more goes in */
        in = r->next_due_ns == UINT64_MAX;
        any |= turn(r);
        if (end_epochs(r) != 0)
            return -ENOMEM;
        if (in && drained(r))
            return 0;
        if (since_look++ % 64 == 0 || r->options->clock == RILL_CLOCK_REAL)
            show_progress(r);
        if (any && r->next_due_ns <= r->now_ns && r->options->clock == RILL_CLOCK_VIRTUAL)
            continue; /* the rest of what is due at this very time */
        advance(r, RTE_MIN(r->next_due_ns, r->next_epoch_ns), !any);
    }
}

int rill_embedded_replay(const struct rill_replay_options *options, struct rill_report *report,
                         struct rill_error *err)
{
    struct run r = {.options = options, .report = report};
    int rc = prepare(&r, err);

    if (rc == 0)
        rc = warm_up(&r, err);
    if (rc == 0) {
        rill_pace_init(&r.pace, &r.capture, options->speed, options->rate_bps, r.start_ns);
        schedule_next(&r);
        if (play(&r) != 0)
            rc = rill_error_set(err, -ENOMEM, "no memory for the report");
    }
    if (rc == 0)
        rc = embedded_report(&r, err);
    if (rc == 0) {
        struct rill_output *output = r.output;

        r.output = NULL;
        rc = rill_output_close(output, err);
    }
    clean_up(&r);
    return rc;
}
