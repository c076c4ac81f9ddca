#include "traces/info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "traces/trace_parse.h"

static const uint64_t peak_window_ns = 100000000;

enum { SIZES = 65536 };

struct info_flow {
    uint64_t last_ns;
    uint32_t flowlet_bytes;
    uint32_t directions; /* seen; bit by bit */
};

struct info_run {
    const struct rill_capture *capture;
    struct rill_trace_info *info;
    struct rill_trace_parser parser;
    struct rill_key_map connections; /* to index of flow */
    struct info_flow *flows;
    uint64_t flows_room;
    uint64_t *sizes; /* packets by bytes on the wire */
};

/* ---- flows ---- */

static struct info_flow *flow_at(struct info_run *run, const struct rill_flow_key *key)
{
    uint64_t *index = rill_key_map_at(&run->connections, key, run->info->flows);

    if (index == NULL)
        return NULL;
    if (*index < run->info->flows)
        return &run->flows[*index];
    if (run->info->flows == run->flows_room) {
        uint64_t room = run->flows_room != 0 ? 2 * run->flows_room : 1024;
        struct info_flow *flows = realloc(run->flows, room * sizeof(*flows));

        if (flows == NULL)
            return NULL;
        run->flows = flows;
        run->flows_room = room;
    }
    run->flows[run->info->flows] = (struct info_flow){0};
    return &run->flows[run->info->flows++];
}

static void count_flowlet(struct rill_trace_info *info, struct info_flow *f, uint64_t now_ns,
                          uint32_t bytes)
{
    if (f->directions == 0) {
        info->flowlets++;
        f->flowlet_bytes = bytes;
    } else if (now_ns - f->last_ns > RILL_INFO_FLOWLET_GAP_US * (uint64_t)1000) {
        info->flowlets++;
        info->flowlets_by_gap++;
        f->flowlet_bytes = bytes;
    } else if (f->flowlet_bytes + bytes > RILL_INFO_FLOWLET_BYTES) {
        info->flowlets++;
        info->flowlets_by_size++;
        f->flowlet_bytes = bytes;
    } else {
        f->flowlet_bytes += bytes;
    }
    f->last_ns = now_ns;
}

static int count_flow(struct info_run *run, const struct rill_view *view, uint64_t now_ns,
                      uint32_t bytes)
{
    struct rill_flow_key key;
    uint32_t direction = 1u << rill_trace_connection(view, &key);
    struct info_flow *f = flow_at(run, &key);

    if (f == NULL)
        return -ENOMEM;
    count_flowlet(run->info, f, now_ns, bytes);
    if ((f->directions & direction) == 0)
        run->info->flows_one_way++;
    f->directions |= direction;
    return 0;
}

/* ---- packets ---- */

static void count_kind(struct rill_trace_info *info, const struct rill_view *view)
{
    uint8_t family = view->source.family, proto = view->source.proto;

    info->ip4 += family == 4;
    info->ip6 += family == 6;
    info->fragments += (view->flags & RILL_VIEW_FRAGMENT) != 0;
    if (proto == RILL_TCP)
        info->tcp++;
    else if (proto == RILL_UDP)
        info->udp++;
    else if (proto == (family == 4 ? RILL_ICMP : RILL_ICMP6))
        info->icmp++;
    else
        info->other_ip++;
}

static int count_packet(struct info_run *run, const struct rill_capture_packet *p, uint64_t now_ns)
{
    enum { ETHERNET_BYTES = 14 };
    struct rill_trace_info *info = run->info;
    struct rill_view view;
    int result = rill_trace_parse(&run->parser, p, &view);

    if (result < 0)
        return result;
    info->packets++;
    info->bytes += p->wire_bytes;
    info->captured_bytes += p->bytes;
    info->snapped += p->bytes < p->wire_bytes;
    run->sizes[p->wire_bytes < SIZES ? p->wire_bytes : SIZES - 1]++;
    info->results[result]++;
    if (result == RILL_PARSE_OK || result == RILL_PARSE_NOT_IP)
        info->vlan += view.l2_len > ETHERNET_BYTES;
    if (result != RILL_PARSE_OK)
        return 0;
    count_kind(info, &view);
    return count_flow(run, &view, now_ns, p->wire_bytes);
}

/* ---- the whole ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The most bytes within any 100 ms: two marks walk over the packets, never that far apart. */
static uint64_t peak_bytes(const struct rill_capture *capture)
{
    const struct rill_capture_packet *tail = capture->packets;
    uint64_t now_ns = 0, tail_ns = tail->time_ns, bytes = 0, peak = 0;

    for (uint64_t i = 0; i < capture->count; i++) {
        now_ns = later(now_ns, capture->packets[i].time_ns);
        bytes += capture->packets[i].wire_bytes;
        while (now_ns - tail_ns >= peak_window_ns) {
            bytes -= tail->wire_bytes;
            tail++;
            tail_ns = later(tail_ns, tail->time_ns);
        }
        peak = later(peak, bytes);
    }
    return peak;
}

static uint64_t bits_per_second(uint64_t bytes, uint64_t ns)
{
    return ns == 0 ? 0 : (uint64_t)((unsigned __int128)bytes * 8 * 1000000000 / ns);
}

static void set_rates(struct rill_trace_info *info, const struct rill_capture *capture)
{
    info->mean_bps = bits_per_second(info->bytes, info->duration_ns);
    info->peak_bps = info->duration_ns < peak_window_ns
                         ? info->mean_bps
                         : bits_per_second(peak_bytes(capture), peak_window_ns);
}

static void set_sizes(struct rill_trace_info *info, const uint64_t *sizes)
{
    uint64_t below = 0;
    bool any = false, half = false;

    for (uint32_t bytes = 0; bytes < SIZES; bytes++) {
        if (sizes[bytes] == 0)
            continue;
        if (!any)
            info->size_min = bytes;
        any = true;
        info->size_max = bytes;
        below += sizes[bytes];
        if (!half && 2 * below >= info->packets) {
            info->size_median = bytes;
            half = true;
        }
    }
}

static int count_all(struct info_run *run)
{
    const struct rill_capture *capture = run->capture;
    uint64_t now_ns = 0;
    int rc = 0;

    run->sizes = calloc(SIZES, sizeof(run->sizes[0]));
    if (run->sizes == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < capture->count && rc == 0; i++) {
        const struct rill_capture_packet *p = &capture->packets[i];

        run->info->backwards += p->time_ns < now_ns;
        now_ns = later(now_ns, p->time_ns);
        rc = count_packet(run, p, now_ns);
    }
    run->info->duration_ns = now_ns - capture->packets[0].time_ns;
    set_rates(run->info, capture);
    set_sizes(run->info, run->sizes);
    return rc;
}

int rill_trace_info(const struct rill_capture *capture, struct rill_trace_info *info,
                    struct rill_error *err)
{
    struct info_run run = {.capture = capture, .info = info};
    int rc;

    memset(info, 0, sizeof(*info));
    info->format = capture->format;
    rc = count_all(&run);
    free(run.sizes);
    free(run.flows);
    rill_key_map_fini(&run.connections);
    rill_trace_parser_fini(&run.parser);
    return rc == 0 ? 0
                   : rill_error_set(err, rc, "no memory to look at %" PRIu64 " packets",
                                    capture->count);
}

/* ---- the screen ---- */

/* 1234567 as "1,234,567"; a few may be used in one call. */
static const char *grouped(uint64_t n)
{
    static _Thread_local char buffers[8][32];
    static _Thread_local unsigned turn;
    char *p = buffers[turn++ % 8] + 31;

    *p = '\0';
    for (int digit = 0; digit == 0 || n > 0; digit++, n /= 10) {
        if (digit > 0 && digit % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + n % 10);
    }
    return p;
}

__attribute__((format(printf, 3, 4))) static void line(FILE *out, const char *name,
                                                       const char *format, ...)
{
    va_list args;

    fprintf(out, "  %-28s", name);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
}

static void share(FILE *out, const char *name, uint64_t n, const struct rill_trace_info *info)
{
    if (n > 0)
        line(out, name, "%14s  %5.1f %%", grouped(n), 100.0 * (double)n / (double)info->packets);
}

/* "3.21 Gbps" */
static const char *rate(uint64_t bps, char buf[32])
{
    static const char *const units[] = {"bps", "kbps", "Mbps", "Gbps", "Tbps"};
    double value = (double)bps;
    unsigned unit = 0;

    while (value >= 1000 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(buf, 32, "%.*f %s", unit == 0 ? 0 : 2, value, units[unit]);
    return buf;
}

static void print_totals(const struct rill_trace_info *info, FILE *out)
{
    char mean[32], peak[32];

    line(out, "format", "%s", info->format);
    line(out, "packets", "%14s", grouped(info->packets));
    line(out, "bytes on the wire", "%14s", grouped(info->bytes));
    if (info->snapped > 0)
        line(out, "bytes captured", "%14s  (%s packets cut short)", grouped(info->captured_bytes),
             grouped(info->snapped));
    line(out, "duration", "%14.6f  s", (double)info->duration_ns / 1e9);
    if (info->duration_ns == 0)
        line(out, "rate", "unknown: all packets have one time");
    else
        line(out, "rate", "%s mean, %s peak (100 ms)", rate(info->mean_bps, mean),
             rate(info->peak_bps, peak));
    line(out, "packet size", "%s median, %s to %s bytes", grouped(info->size_median),
         grouped(info->size_min), grouped(info->size_max));
    line(out, "flows", "%14s  (%s one-way)", grouped(info->flows), grouped(info->flows_one_way));
    line(out, "flowlets", "%14s  at T = %d us, B = %s bytes: %s by gap, %s by size",
         grouped(info->flowlets), RILL_INFO_FLOWLET_GAP_US, grouped(RILL_INFO_FLOWLET_BYTES),
         grouped(info->flowlets_by_gap), grouped(info->flowlets_by_size));
}

void rill_trace_info_print(const struct rill_trace_info *info, const char *path, FILE *out)
{
    uint64_t malformed = 0;

    fprintf(out, "%s\n", path);
    print_totals(info, out);
    share(out, "IPv4", info->ip4, info);
    share(out, "IPv6", info->ip6, info);
    share(out, "VLAN", info->vlan, info);
    share(out, "fragments", info->fragments, info);
    share(out, "TCP", info->tcp, info);
    share(out, "UDP", info->udp, info);
    share(out, "ICMP", info->icmp, info);
    share(out, "other IP protocols", info->other_ip, info);
    share(out, "not IP", info->results[RILL_PARSE_NOT_IP], info);
    for (int i = RILL_PARSE_NOT_IP + 1; i < RILL_PARSE_RESULTS; i++) {
        share(out, rill_parse_result_name((enum rill_parse_result)i), info->results[i], info);
        malformed += info->results[i];
    }
    if (malformed == 0)
        line(out, "malformed", "%14s", "0");
    if (info->backwards > 0)
        line(out, "times run backwards", "%14s  packets", grouped(info->backwards));
}
