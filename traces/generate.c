#include "traces/generate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "traces/generate_run.h"

const struct rill_option rill_generate_schema[] = {
    {"seed", RILL_OPT_U64, "", 0, 4294967295.0, NULL, "1", "same seed, same packets"},
    {"seconds", RILL_OPT_DOUBLE, "s", 0.001, 3600, NULL, "0.6", "length of the capture"},
    {"mean_mbps", RILL_OPT_DOUBLE, "Mbps", 0.01, 100000, NULL, "1000",
     "rate of the flows' data, on average over a long capture"},
    {"flows_per_s", RILL_OPT_DOUBLE, "flows/s", 0.1, 1000000, NULL, "800", "new flows"},
    {"pareto_alpha", RILL_OPT_DOUBLE, "", 0.1, 5, NULL, "0.4",
     "tail of the flows' sizes: the lower, the more is in few elephants"},
    {"flow_bytes_max", RILL_OPT_U64, "bytes", 1000, 1e12, NULL, "4000000",
     "the largest flow; less, where mean_mbps needs it"},
    {"packet_bytes", RILL_OPT_U64, "bytes", 128, RILL_BUILD_BYTES_MAX, NULL, "1514",
     "a full packet, with its Ethernet header"},
    {"burst_packets", RILL_OPT_U64, "packets", 1, 10000, NULL, "20",
     "mean length of a flow's burst"},
    {"gap_us", RILL_OPT_U64, "us", 1, 10000000, NULL, "1500",
     "median of the gaps between a flow's bursts"},
    {"gap_sigma", RILL_OPT_DOUBLE, "", 0, 3, NULL, "1",
     "spread of the gaps: standard deviation of their logarithm"},
    {"line_mbps", RILL_OPT_RANGE, "Mbps", 1, 400000, NULL, "100-1000",
     "line rates of the flows, within a burst"},
    {"rtt_us", RILL_OPT_RANGE, "us", 1, 10000000, NULL, "200-1000",
     "from a packet to the outside to its reply"},
    {"cycle_ms", RILL_OPT_U64, "ms", 1, 60000, NULL, "500",
     "every cycle has one busy part, somewhere in it"},
    {"busy_share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0.1", "share of a cycle that is busy"},
    {"busy_factor", RILL_OPT_U64, "", 1, 1000, NULL, "12",
     "how many times as many flows begin where it is busy"},
    {"tcp_share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0.8", "of the flows; the rest is UDP"},
    {"icmp_share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0.03", "of the flows: echoes"},
    {"upload_share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0.3",
     "of the flows: most bytes go from the inside to the outside"},
    {"ipv6_share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0", "of the flows"},
    {"hosts", RILL_OPT_U64, "", 1, 1000000, NULL, "200", "inside hosts"},
    {"servers", RILL_OPT_U64, "", 1, 131000, NULL, "100", "outside servers"},
    {"snap_bytes", RILL_OPT_U64, "bytes", 64, 65535, NULL, "65535",
     "of each packet that are written, from its start; less makes a long capture small"},
    {.name = NULL},
};

enum { FLOW_BYTES_MIN = 100 };

/* Settings become integers at once, by one multiplication or division, which IEEE 754 defines to
 * the last bit. */
static uint32_t share_q32(const struct rill_config *config, const char *name)
{
    double share = rill_config_double(config, name);

    return share >= 1 ? UINT32_MAX : (uint32_t)(share * 4294967296.0);
}

static uint32_t q16(const struct rill_config *config, const char *name)
{
    return (uint32_t)(rill_config_double(config, name) * 65536.0);
}

/* Flows begin `factor` times as often in the busy part: with it the cycle is, for the arrivals, as
 * long as calm + factor * busy. */
static void set_arrivals(struct generate_settings *s, const struct rill_config *config)
{
    uint64_t interval_ns = (uint64_t)(1e9 / rill_config_double(config, "flows_per_s"));
    unsigned __int128 weight;

    s->cycle_ns = rill_config_u64(config, "cycle_ms") * 1000000;
    s->busy_ns =
        (uint64_t)(((unsigned __int128)s->cycle_ns * share_q32(config, "busy_share")) >> 32);
    s->busy_factor = (uint32_t)rill_config_u64(config, "busy_factor");
    weight = s->cycle_ns + (unsigned __int128)s->busy_ns * (s->busy_factor - 1);
    s->calm_interval_ns = (uint64_t)(interval_ns * weight / s->cycle_ns);
}

static void settings_read(struct generate_settings *s, const struct rill_config *config)
{
    uint64_t low, high;

    s->end_ns = (uint64_t)(rill_config_double(config, "seconds") * 1e9);
    set_arrivals(s, config);
    s->gap_ns = rill_config_u64(config, "gap_us") * 1000;
    s->gap_sigma_q16 = q16(config, "gap_sigma");
    rill_config_range(config, "rtt_us", &low, &high);
    s->rtt_low_ns = low * 1000;
    s->rtt_high_ns = high * 1000;
    rill_config_range(config, "line_mbps", &s->line_low_mbps, &s->line_high_mbps);
    s->packet_bytes = (uint32_t)rill_config_u64(config, "packet_bytes");
    s->burst_packets = (uint32_t)rill_config_u64(config, "burst_packets");
    s->hosts = (uint32_t)rill_config_u64(config, "hosts");
    s->servers = (uint32_t)rill_config_u64(config, "servers");
    s->snap_bytes = (uint32_t)rill_config_u64(config, "snap_bytes");
    s->tcp_q32 = share_q32(config, "tcp_share");
    s->icmp_q32 = share_q32(config, "icmp_share");
    s->upload_q32 = share_q32(config, "upload_share");
    s->ip6_q32 = share_q32(config, "ipv6_share");
}

static int sizes_init(struct rill_pareto *sizes, const struct rill_config *config,
                      struct rill_error *err)
{
    double rate = rill_config_double(config, "mean_mbps");
    double flows_per_s = rill_config_double(config, "flows_per_s");
    uint64_t mean = (uint64_t)(rate * 125000.0 / flows_per_s);
    uint64_t max = rill_config_u64(config, "flow_bytes_max");
    int fit = rill_pareto_init(sizes, q16(config, "pareto_alpha"), mean, FLOW_BYTES_MIN, max);

    if (fit == 0)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "mean_mbps %g and flows_per_s %g make %" PRIu64 " bytes a flow: must be "
                          "from %d to flow_bytes_max, %" PRIu64 "; %s flows_per_s",
                          rate, flows_per_s, mean, FLOW_BYTES_MIN, max,
                          fit < 0 ? "lower" : "raise");
}

/* When the next flow begins: an exponential time, which passes faster in the busy part. */
static uint64_t next_arrival_ns(struct generate_run *run, uint64_t now_ns)
{
    const struct generate_settings *s = &run->set;
    uint64_t left = rill_draw_exponential(&run->rng, s->calm_interval_ns);

    for (;;) {
        uint64_t cycle_end = (run->cycle + 1) * s->cycle_ns;
        uint64_t busy_end = run->busy_at_ns + s->busy_ns;
        bool busy = now_ns >= run->busy_at_ns && now_ns < busy_end;
        uint64_t until = busy ? busy_end : now_ns < run->busy_at_ns ? run->busy_at_ns : cycle_end;
        uint64_t speed = busy ? s->busy_factor : 1;

        if (left < (until - now_ns) * speed)
            return now_ns + left / speed;
        left -= (until - now_ns) * speed;
        now_ns = until;
        if (now_ns >= s->end_ns)
            return now_ns;
        if (now_ns == cycle_end) {
            run->cycle++;
            run->busy_at_ns = cycle_end + rill_draw_below(&run->rng, s->cycle_ns - s->busy_ns);
        }
    }
}

static void run_events(struct generate_run *run)
{
    struct generate_event event;

    run->busy_at_ns = rill_draw_below(&run->rng, run->set.cycle_ns - run->set.busy_ns);
    rill_generate_schedule(run, next_arrival_ns(run, 0), NULL, EVENT_ARRIVAL, 0);
    while (run->rc == 0 && rill_generate_events_pop(&run->events, &event)) {
        if (event.kind == EVENT_ARRIVAL) {
            rill_generate_flow_begin(run, event.time_ns);
            rill_generate_schedule(run, next_arrival_ns(run, event.time_ns), NULL, EVENT_ARRIVAL,
                                   0);
        } else {
            rill_generate_flow_step(run, &event);
        }
    }
    while (rill_generate_events_pop(&run->events, &event)) { /* only after an error */
        if (event.flow != NULL && --event.flow->events == 0)
            free(event.flow);
    }
}

static int run_to_file(struct generate_run *run, const char *path, struct rill_error *err)
{
    int rc = rill_capture_writer_open(path, &run->writer, err);

    if (rc != 0)
        return rc;
    run_events(run);
    rc = rill_capture_writer_close(run->writer, err);
    if (rc == 0 && run->rc == -ENOMEM)
        rc = rill_error_set(err, -ENOMEM, "%s: no memory for the flows alive; lower flows_per_s",
                            path);
    if (rc == 0 && run->counters.packets == 0)
        rc = rill_error_set(err, -EINVAL,
                            "%s: no packet in this time; raise seconds or flows_per_s", path);
    return rc;
}

int rill_generate(const struct rill_config *config, const char *path,
                  struct rill_generate_counters *counters, struct rill_error *err)
{
    struct generate_run run;
    int rc;

    memset(&run, 0, sizeof(run));
    memset(counters, 0, sizeof(*counters));
    rill_rng_seed(&run.rng, rill_config_u64(config, "seed"));
    settings_read(&run.set, config);
    rc = sizes_init(&run.sizes, config, err);
    if (rc != 0)
        return rc;
    run.next_port = calloc(run.set.hosts, sizeof(run.next_port[0]));
    if (run.next_port == NULL)
        return rill_error_set(err, -ENOMEM, "%s: no memory for %u hosts", path, run.set.hosts);
    rc = run_to_file(&run, path, err);
    free(run.next_port);
    free(run.events.heap);
    if (rc == 0)
        *counters = run.counters;
    return rc;
}
