#include "cli/player.h"

#include <errno.h>
#include <time.h>

#include <rill/nf.h>

#include "lib/base/eal.h"
#include "lib/config/settings.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum {
    POOL_MIN = 16384,
    POOL_MAX = 262144,
    POOL_SLACK = 12288,
    FLOWS_SLACK = 1024,
    MEMORY_SLACK_MB = 192, /* also for NFs: 10,000 rules of a firewall, twice as they change */
    PROGRESS_EVERY_NS = 50000000,
};

uint64_t rill_player_clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* --- before it begins ------------------------------------------------------------------------ */

int rill_player_read(struct rill_player *p, struct rill_error *err)
{
    return rill_capture_read(p->options->trace, &p->capture, err);
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

uint32_t rill_player_flows_bound(const struct rill_player *p, const struct rill_config *settings)
{
    uint64_t setting = rill_setting_flows_kept(settings);

    return (uint32_t)RTE_MIN(setting, p->capture.count + FLOWS_SLACK);
}

int rill_player_start_dpdk(struct rill_player *p, const struct rill_config *settings,
                           struct rill_error *err)
{
    uint32_t mbufs = pool_size(&p->capture);
    /* Without hugepages an mbuf takes a page of its own. */
    uint64_t flows = rill_player_flows_bound(p, settings);
    /* Several controllers keep twice as many in all: the split need not be quite even. */
    uint64_t bytes =
        (uint64_t)mbufs * 4352 + (p->options->controllers > 1 ? 2 * flows : flows) * 512;
    uint32_t memory_mb = p->options->memory_mb;

    if (memory_mb == 0)
        memory_mb = (uint32_t)(bytes >> 20) + MEMORY_SLACK_MB;
    if (rill_eal_init(memory_mb, err) != 0)
        return -ENOMEM;
    p->pool = rill_frame_pool_create("frames", mbufs, err);
    return p->pool == NULL ? -ENOMEM : 0;
}

/* No flow that was seen since then has ended, whatever it is. */
static uint64_t shortest_idle_ns(const struct rill_config *settings)
{
    static const char *const names[] = {"flow_idle_tcp_s",  "flow_idle_tcp_transitory_s",
                                        "flow_closed_s",    "flow_idle_udp_s",
                                        "flow_idle_icmp_s", "flow_idle_other_s"};
    uint64_t shortest_ns = UINT64_MAX;

    for (size_t i = 0; i < RTE_DIM(names); i++)
        shortest_ns = RTE_MIN(shortest_ns, rill_setting_flow_idle_ns(settings, names[i]));
    return shortest_ns;
}

int rill_player_create_ends(struct rill_player *p, const struct rill_config *settings,
                            const struct rill_player_nf *nf, struct rill_error *err)
{
    uint32_t flows = rill_player_flows_bound(p, settings);
    struct rill_ends_config config = {
        .capture = &p->capture,
        .inside_prefixes = p->options->inside,
        .writes = nf->writes,
        .inverts = (nf->flags & RILL_NF_INVERTS) != 0,
        .turns = (nf->flags & RILL_NF_TURNS) != 0,
        .flow_idle_ns = shortest_idle_ns(settings),
        .handles_errors =
            (nf->handles & (RILL_HANDLES_ICMP4_ERROR | RILL_HANDLES_ICMP6_ERROR)) != 0};

    p->ends = rill_ends_create(&config, err);
    if (p->ends == NULL)
        return -EINVAL;
    if (rill_order_init(&p->order, flows) != 0)
        return rill_error_set(err, -ENOMEM, "no memory to follow the order of %u flows", flows);
    return 0;
}

int rill_player_open_output(struct rill_player *p, struct rill_error *err)
{
    return rill_output_open(p->options->out, p->options->out_devargs, p->pool, &p->output, err);
}

int rill_player_close_output(struct rill_player *p, struct rill_error *err)
{
    struct rill_output *output = p->output;

    p->output = NULL;
    return rill_output_close(output, err);
}

void rill_player_fini(struct rill_player *p)
{
    rill_output_close(p->output, NULL);
    rill_order_fini(&p->order);
    rill_ends_destroy(p->ends);
    rte_mempool_free(p->pool);
    rill_capture_free(&p->capture);
}

/* --- packets in ------------------------------------------------------------------------------ */

static void schedule_next(struct rill_player *p)
{
    p->next_due_ns =
        p->next_packet < p->capture.count ? rill_pace_due_ns(&p->pace, p->next_packet) : UINT64_MAX;
}

void rill_player_start(struct rill_player *p, uint64_t start_ns)
{
    p->start_ns = start_ns;
    p->next_epoch_ns = start_ns + RILL_PLAYER_EPOCH_NS;
    p->last_release_ns = start_ns;
    rill_pace_init(&p->pace, &p->capture, p->options->speed, p->options->rate_bps, start_ns);
    schedule_next(p);
}

/* A copy of packet `index` in mbufs; NULL if there are none. */
static struct rte_mbuf *copy_packet(const struct rill_player *p, uint64_t index)
{
    const struct rill_capture_packet *packet = &p->capture.packets[index];
    struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);

    if (m == NULL)
        return NULL;
    rill_frame_reset(rill_frame(m));
    if (rill_mbuf_append(m, p->pool, packet->data, packet->bytes) != 0) {
        rte_pktmbuf_free(m);
        return NULL;
    }
    return m;
}

/* Packet `index` as a frame without addresses; NULL if there was no buffer. */
static struct rte_mbuf *make_packet(struct rill_player *p, uint64_t index)
{
    const struct rill_capture_packet *packet = &p->capture.packets[index];
    struct rte_mbuf *m = copy_packet(p, index);
    struct rill_frame *f;

    p->report->packets_in++;
    p->report->bytes_in += packet->wire_bytes;
    if (m == NULL) {
        p->no_buffer++;
        return NULL;
    }
    f = rill_frame(m);
    f->wire_bytes = packet->wire_bytes;
    f->ingress_ns = p->next_due_ns;
    f->ingress_id = index + 1;
    f->flags = RILL_FLAG_PACKET;
    f->side = rill_ends_ingress(p->ends, index, m);
    return m;
}

uint64_t rill_player_last_due_ns(const struct rill_player *p)
{
    struct rill_pace pace;

    rill_pace_init(&pace, &p->capture, p->options->speed, p->options->rate_bps, p->start_ns);
    for (uint64_t i = 0; i < p->capture.count; i++)
        rill_pace_due_ns(&pace, i);
    return pace.last_due_ns;
}

bool rill_player_take_due(struct rill_player *p, struct rte_mbuf **packets, uint32_t max,
                          uint32_t *n)
{
    bool any = false;

    *n = 0;
    while (*n < max && p->next_due_ns <= p->now_ns && !p->stopped) {
        struct rte_mbuf *m = make_packet(p, p->next_packet++);

        any = true;
        if (m != NULL)
            packets[(*n)++] = m;
        schedule_next(p);
    }
    if (p->stopped)
        p->next_due_ns = UINT64_MAX;
    return any;
}

/* --- packets out ----------------------------------------------------------------------------- */

void rill_player_released(struct rill_player *p, struct rte_mbuf *m, uint64_t now_ns)
{
    struct rill_frame *f = rill_frame(m);
    enum rill_side side = (enum rill_side)f->side;
    struct rill_capture_packet_out out = {.time_ns = p->pace.first_ns + (now_ns - p->start_ns),
                                          .wire_bytes = f->wire_bytes,
                                          .side = f->side,
                                          .packet_id = f->ingress_id};
    uint32_t wire_bytes = f->wire_bytes;
    uint64_t latency_ns = now_ns - f->ingress_ns;

    rill_ends_released(p->ends, f->ingress_id - 1, side, m, now_ns);
    if (f->flow != 0)
        rill_order_released(&p->order, f->flow, side, f->ingress_id);
    if (!rill_output_put(p->output, m, &out)) {
        p->output_failed++;
        return;
    }
    p->report->packets_released++;
    p->report->bytes_released += wire_bytes;
    rill_histogram_record(&p->report->latency_ns, latency_ns);
    p->last_release_ns = now_ns;
}

void rill_player_progress(struct rill_player *p)
{
    const struct rill_replay_options *o = p->options;
    uint64_t real_ns = rill_player_clock_ns();

    if (o->progress == NULL || real_ns - p->last_progress_ns < PROGRESS_EVERY_NS)
        return;
    p->last_progress_ns = real_ns;
    if (o->progress(o->progress_arg, p->report->packets_in, p->capture.count,
                    p->report->packets_released) != 0)
        p->stopped = true;
}

/* --- its part of the report ------------------------------------------------------------------ */

static void report_ends(struct rill_player *p)
{
    const struct rill_ends_counters *n = rill_ends_counters(p->ends);
    struct rill_report *report = p->report;

    report->inside_packets = n->inside_packets;
    report->outside_packets = n->outside_packets;
    report->replies_unmapped = n->replies_unmapped;
    report->inverse_checked = n->inverse_checked;
    report->inverse_mismatches = n->inverse_mismatches;
    report->inverse_unchecked = n->inverse_unchecked;
    report->outward_checked = n->outward_checked;
    report->outward_mismatches = n->outward_mismatches;
    report->mappings_changed = n->mappings_changed;
    report->first_mismatch_packet = n->first_mismatch_id;
}

static int report_counters(struct rill_player *p)
{
    struct rill_tally *drops = &p->report->packets_dropped, *counters = &p->report->counters;
    int rc = 0;

    if (p->no_buffer > 0)
        rc = rill_tally_add(drops, "ingress_no_buffer", p->no_buffer);
    if (rc == 0 && p->output_failed > 0)
        rc = rill_tally_add(drops, "output_failed", p->output_failed);
    if (rc == 0)
        rc = rill_tally_add(counters, "replayer.time_backwards", p->pace.backwards);
    if (rc == 0)
        rc = rill_tally_add(counters, "replayer.pauses_cut", p->pace.pauses_cut);
    if (rc == 0)
        rc = rill_tally_add(counters, "replayer.output_waits", rill_output_waits(p->output));
    return rc;
}

static int report_texts(struct rill_player *p, const struct rill_config *settings, const char *nf)
{
    const struct rill_replay_options *o = p->options;
    struct rill_report *report = p->report;
    char text[32];
    int rc =
        rill_report_text(&report->mode, rill_config_text(settings, "mode", text, sizeof(text)));

    rc |= rill_report_text(&report->state_mode,
                           rill_config_text(settings, "state", text, sizeof(text)));
    rc |= rill_report_text(&report->clock, o->clock == RILL_CLOCK_VIRTUAL ? "virtual" : "real");
    rc |= rill_report_text(&report->nf, nf);
    rc |= rill_report_text(&report->trace, o->trace);
    rc |= rill_report_text(&report->capture, o->out != NULL ? o->out : o->out_devargs);
    return rc == 0 ? rill_report_settings(report, settings) : -ENOMEM;
}

int rill_player_report(struct rill_player *p, const struct rill_config *settings, const char *nf)
{
    p->report->packets_reordered = p->order.reordered;
    p->report->replay_s = (double)(p->last_release_ns - p->start_ns) / 1e9;
    p->report->interrupted = p->stopped;
    report_ends(p);
    if (report_counters(p) != 0)
        return -ENOMEM;
    return report_texts(p, settings, nf);
}
