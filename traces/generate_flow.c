/* What flows do: one small step per event, each schedules the next. The capture point is the NF: an
 * outside host answers after the flow's rtt, an inside host after its (shorter) host time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rill/endpoint.h>

#include "traces/generate_run.h"

enum {
    WIRE_OVERHEAD_BYTES = 24, /* preamble, frame check sequence, gap between frames */
    PORT_FIRST = 32768,       /* ephemeral ports */
    HOST_NS_MIN = 20000,
    HOST_NS_SPREAD = 40000,
    REQUEST_BYTES_MIN = 120,
    REQUEST_BYTES_SPREAD = 700,
    REPLY_BYTES_MIN = 100,
    REPLY_BYTES_SPREAD = 200,
    ECHOES_MAX = 10,
    ECHO_PAYLOAD_BYTES = 56,
    REPORT_PAYLOAD_BYTES = 64,
    SERVERS_IN_TEST_NET = 254, /* 192.0.2.1 to .254; the others are in 198.18.0.0/15 */
};

void rill_generate_schedule(struct generate_run *run, uint64_t time_ns, struct generate_flow *flow,
                            enum generate_event_kind kind, uint32_t value)
{
    struct generate_event event = {.time_ns = time_ns, .flow = flow, .kind = kind, .value = value};

    if (time_ns >= run->set.end_ns)
        return;
    if (rill_generate_events_push(&run->events, event) != 0) {
        run->rc = -ENOMEM;
        return;
    }
    if (flow != NULL)
        flow->events++;
}

/* ---- a flow's nature ---- */

static uint64_t between(struct rill_rng *rng, uint64_t low, uint64_t high)
{
    return low + rill_draw_below(rng, high - low + 1);
}

static void put_addr4(uint8_t *addr, uint32_t ip)
{
    for (int i = 0; i < 4; i++)
        addr[i] = (uint8_t)(ip >> (24 - 8 * i));
}

static void put_addr6(uint8_t *addr, uint8_t subnet, uint32_t host)
{
    static const uint8_t prefix[6] = {0x20, 0x01, 0x0d, 0xb8, 0, 0};

    memcpy(addr, prefix, sizeof(prefix));
    addr[5] = subnet;
    put_addr4(addr + 12, host);
}

static void choose_addresses(struct generate_run *run, struct rill_build_flow *b)
{
    uint32_t host = rill_rng_below(&run->rng, run->set.hosts);
    /* The lesser of two: low numbers are popular servers. */
    uint32_t s1 = rill_rng_below(&run->rng, run->set.servers);
    uint32_t s2 = rill_rng_below(&run->rng, run->set.servers);
    uint32_t server = s1 < s2 ? s1 : s2;

    b->family = rill_generate_chance(&run->rng, run->set.ip6_q32) ? 6 : 4;
    if (b->family == 6) {
        put_addr6(b->addr[RILL_INSIDE], 1, host + 1);
        put_addr6(b->addr[RILL_OUTSIDE], 2, server + 1);
    } else {
        put_addr4(b->addr[RILL_INSIDE], 0x0a000001 + host);
        put_addr4(b->addr[RILL_OUTSIDE], server < SERVERS_IN_TEST_NET
                                             ? 0xc0000201 + server
                                             : 0xc6120000 + server - SERVERS_IN_TEST_NET);
    }
    b->port[RILL_INSIDE] = (uint16_t)(PORT_FIRST + run->next_port[host]++ % (65536 - PORT_FIRST));
}

static void choose_protocol(struct generate_run *run, struct rill_build_flow *b)
{
    static const uint16_t tcp_ports[] = {443, 443, 443, 80, 8080, 22};
    static const uint16_t udp_ports[] = {443, 443, 3478, 8801, 51820};
    struct rill_rng *rng = &run->rng;

    if (rill_generate_chance(rng, run->set.icmp_q32)) {
        b->proto = b->family == 4 ? RILL_ICMP : RILL_ICMP6;
        b->port[RILL_OUTSIDE] = b->port[RILL_INSIDE];
    } else if (rill_generate_chance(rng, run->set.tcp_q32)) {
        b->proto = RILL_TCP;
        b->port[RILL_OUTSIDE] = tcp_ports[rill_rng_below(rng, 6)];
    } else {
        b->proto = RILL_UDP;
        b->port[RILL_OUTSIDE] = udp_ports[rill_rng_below(rng, 5)];
    }
}

void rill_generate_flow_begin(struct generate_run *run, uint64_t now_ns)
{
    struct generate_flow *f = calloc(1, sizeof(*f));
    struct rill_rng *rng = &run->rng;

    if (f == NULL) {
        run->rc = -ENOMEM;
        return;
    }
    choose_addresses(run, &f->build);
    choose_protocol(run, &f->build);
    f->sender = rill_generate_chance(rng, run->set.upload_q32) ? RILL_INSIDE : RILL_OUTSIDE;
    f->seq[0] = (uint32_t)rill_rng_u64(rng);
    f->seq[1] = (uint32_t)rill_rng_u64(rng);
    f->rtt_ns = between(rng, run->set.rtt_low_ns, run->set.rtt_high_ns);
    f->host_ns = HOST_NS_MIN + rill_rng_below(rng, HOST_NS_SPREAD);
    f->line_mbps = (uint32_t)between(rng, run->set.line_low_mbps, run->set.line_high_mbps);
    run->counters.flows++;
    if (f->build.proto == RILL_TCP || f->build.proto == RILL_UDP) {
        f->bytes_left = rill_draw_pareto(&run->sizes, rng);
        if (f->build.proto == RILL_TCP)
            rill_generate_schedule(run, now_ns, f, EVENT_SYN, 0);
        else
            rill_generate_schedule(run, now_ns, f,
                                   f->sender == RILL_INSIDE ? EVENT_DATA : EVENT_UDP_REQUEST, 0);
    } else {
        f->echoes_left = 1 + rill_rng_below(rng, ECHOES_MAX);
        rill_generate_schedule(run, now_ns, f, EVENT_ECHO, 0);
    }
    if (f->events == 0)
        free(f);
}

/* ---- packets ---- */

/* 2026-01-01T00:00:00Z */
static const uint64_t begin_ns = 1767225600u * (uint64_t)1000000000;

static uint32_t put(struct generate_run *run, uint64_t now_ns, const struct generate_flow *f,
                    const struct rill_build_packet *packet)
{
    uint32_t bytes = rill_build(&f->build, packet, run->packet);
    struct rill_capture_packet_out out = {.time_ns = begin_ns + now_ns,
                                          .wire_bytes = bytes,
                                          .side = (uint8_t)packet->from,
                                          .packet_id = run->counters.packets + 1};

    if (rill_capture_writer_put_bytes(run->writer, run->packet,
                                      bytes < run->set.snap_bytes ? bytes : run->set.snap_bytes,
                                      &out) != 0)
        run->rc = -EIO;
    run->counters.packets++;
    run->counters.bytes += bytes;
    return bytes;
}

/* A TCP packet that acknowledges all that has passed from the other side. SYN and FIN count one. */
static uint32_t put_tcp(struct generate_run *run, uint64_t now_ns, struct generate_flow *f,
                        enum rill_side from, uint8_t flags, uint32_t payload_bytes)
{
    struct rill_build_packet p = {.from = from,
                                  .payload_bytes = payload_bytes,
                                  .seq = f->seq[from],
                                  .ack = flags & RILL_TCP_ACK ? f->seq[!from] : 0,
                                  .tcp_flags = flags};

    f->seq[from] += payload_bytes + (flags & (RILL_TCP_SYN | RILL_TCP_FIN) ? 1 : 0);
    return put(run, now_ns, f, &p);
}

static void put_ack(struct generate_run *run, uint64_t now_ns, const struct generate_flow *f,
                    uint32_t ack)
{
    struct rill_build_packet p = {
        .from = !f->sender, .seq = f->seq[!f->sender], .ack = ack, .tcp_flags = RILL_TCP_ACK};

    put(run, now_ns, f, &p);
}

static uint32_t put_datagram(struct generate_run *run, uint64_t now_ns,
                             const struct generate_flow *f, enum rill_side from,
                             uint32_t payload_bytes, uint32_t number)
{
    struct rill_build_packet p = {.from = from, .payload_bytes = payload_bytes, .seq = number};

    return put(run, now_ns, f, &p);
}

static uint32_t spread(struct generate_run *run, uint32_t low, uint32_t width)
{
    return low + rill_rng_below(&run->rng, width);
}

static uint64_t line_ns(const struct generate_flow *f, uint32_t bytes)
{
    return (uint64_t)(bytes + WIRE_OVERHEAD_BYTES) * 8000 / f->line_mbps;
}

/* ---- bulk ---- */

/* How long until what was just sent is answered. */
static uint64_t answer_ns(const struct generate_flow *f, enum rill_side from)
{
    return from == RILL_INSIDE ? f->rtt_ns : f->host_ns;
}

/* A receiver acknowledges every second packet, and the last of a burst. */
static void acknowledge(struct generate_run *run, uint64_t now_ns, struct generate_flow *f)
{
    if (f->build.proto != RILL_TCP)
        return;
    if (++f->unacked < 2 && f->burst_left > 0 && f->bytes_left > 0)
        return;
    f->unacked = 0;
    rill_generate_schedule(run, now_ns + answer_ns(f, f->sender), f, EVENT_ACK, f->seq[f->sender]);
}

/* The bulk is through: TCP closes, after a reply if it was an upload. */
static void finish(struct generate_run *run, uint64_t now_ns, struct generate_flow *f)
{
    if (f->build.proto == RILL_UDP) {
        if (f->sender == RILL_INSIDE)
            rill_generate_schedule(run, now_ns + f->rtt_ns, f, EVENT_UDP_REPORT, 0);
    } else if (f->sender == RILL_INSIDE) {
        rill_generate_schedule(run, now_ns + f->rtt_ns, f, EVENT_TCP_REPLY, 0);
    } else {
        rill_generate_schedule(run, now_ns + line_ns(f, RILL_BUILD_BYTES_MIN), f, EVENT_FIN, 0);
    }
}

/* The next burst comes after a gap, and TCP's not before this one was answered. */
static void pause_burst(struct generate_run *run, uint64_t now_ns, struct generate_flow *f)
{
    uint64_t gap_ns = rill_draw_lognormal(&run->rng, run->set.gap_ns, run->set.gap_sigma_q16);

    if (f->build.proto == RILL_TCP && gap_ns < f->rtt_ns)
        gap_ns = f->rtt_ns;
    if (f->build.proto == RILL_UDP && f->sender == RILL_OUTSIDE) {
        rill_generate_schedule(run, now_ns + gap_ns, f, EVENT_UDP_REQUEST, 0);
        return;
    }
    if (f->build.proto == RILL_UDP)
        rill_generate_schedule(run, now_ns + f->rtt_ns, f, EVENT_UDP_REPORT, 0);
    rill_generate_schedule(run, now_ns + gap_ns, f, EVENT_DATA, 0);
}

static uint32_t data_payload_bytes(const struct generate_run *run, const struct generate_flow *f)
{
    uint32_t header = rill_build_header_bytes(&f->build);
    uint64_t bytes = f->bytes_left < run->set.packet_bytes ? f->bytes_left : run->set.packet_bytes;

    return bytes > header ? (uint32_t)bytes - header : 1;
}

static void data(struct generate_run *run, uint64_t now_ns, struct generate_flow *f)
{
    uint32_t payload = data_payload_bytes(run, f), bytes;

    if (f->burst_left == 0)
        f->burst_left = 1 + (uint32_t)rill_draw_exponential(&run->rng, run->set.burst_packets - 1);
    f->burst_left--;
    if (f->build.proto == RILL_TCP)
        bytes = put_tcp(run, now_ns, f, f->sender,
                        RILL_TCP_ACK | (f->burst_left == 0 ? RILL_TCP_PSH : 0), payload);
    else
        bytes = put_datagram(run, now_ns, f, f->sender, payload, 0);
    f->bytes_left -= bytes < f->bytes_left ? bytes : f->bytes_left;
    acknowledge(run, now_ns, f);
    if (f->bytes_left == 0)
        finish(run, now_ns, f);
    else if (f->burst_left == 0)
        pause_burst(run, now_ns, f);
    else
        rill_generate_schedule(run, now_ns + line_ns(f, bytes), f, EVENT_DATA, 0);
}

static void echo(struct generate_run *run, uint64_t now_ns, struct generate_flow *f)
{
    put_datagram(run, now_ns, f, RILL_INSIDE, ECHO_PAYLOAD_BYTES, ++f->echo_number);
    rill_generate_schedule(run, now_ns + f->rtt_ns, f, EVENT_ECHO_REPLY, f->echo_number);
    if (--f->echoes_left > 0)
        rill_generate_schedule(
            run,
            now_ns + f->rtt_ns +
                rill_draw_lognormal(&run->rng, 10 * run->set.gap_ns, run->set.gap_sigma_q16),
            f, EVENT_ECHO, 0);
}

/* ---- steps ---- */

static void step_udp_request(struct generate_run *run, uint64_t t, struct generate_flow *f)
{
    put_datagram(run, t, f, RILL_INSIDE, spread(run, 40, 100), 0);
    rill_generate_schedule(run, t + f->rtt_ns, f, EVENT_DATA, 0);
}

static void step_handshake(struct generate_run *run, uint64_t t, struct generate_flow *f,
                           enum generate_event_kind kind)
{
    if (kind == EVENT_SYN) {
        put_tcp(run, t, f, RILL_INSIDE, RILL_TCP_SYN, 0);
        rill_generate_schedule(run, t + f->rtt_ns, f, EVENT_SYN_ACK, 0);
    } else if (kind == EVENT_SYN_ACK) {
        put_tcp(run, t, f, RILL_OUTSIDE, RILL_TCP_SYN | RILL_TCP_ACK, 0);
        rill_generate_schedule(run, t + f->host_ns, f, EVENT_HANDSHAKE_ACK, 0);
    } else {
        put_tcp(run, t, f, RILL_INSIDE, RILL_TCP_ACK, 0);
        rill_generate_schedule(run, t + f->host_ns, f,
                               f->sender == RILL_INSIDE ? EVENT_DATA : EVENT_REQUEST, 0);
    }
}

static void step_close(struct generate_run *run, uint64_t t, struct generate_flow *f,
                       enum generate_event_kind kind)
{
    if (kind == EVENT_FIN) {
        put_tcp(run, t, f, RILL_OUTSIDE, RILL_TCP_FIN | RILL_TCP_ACK, 0);
        rill_generate_schedule(run, t + f->host_ns, f, EVENT_FIN_BACK, 0);
    } else if (kind == EVENT_FIN_BACK) {
        put_tcp(run, t, f, RILL_INSIDE, RILL_TCP_FIN | RILL_TCP_ACK, 0);
        rill_generate_schedule(run, t + f->rtt_ns, f, EVENT_LAST_ACK, 0);
    } else {
        put_tcp(run, t, f, RILL_OUTSIDE, RILL_TCP_ACK, 0);
    }
}

static void step_exchange(struct generate_run *run, uint64_t t, struct generate_flow *f,
                          enum generate_event_kind kind)
{
    uint32_t bytes;

    if (kind == EVENT_REQUEST) {
        put_tcp(run, t, f, RILL_INSIDE, RILL_TCP_PSH | RILL_TCP_ACK,
                spread(run, REQUEST_BYTES_MIN, REQUEST_BYTES_SPREAD));
        rill_generate_schedule(run, t + f->rtt_ns, f, EVENT_DATA, 0);
    } else {
        bytes = put_tcp(run, t, f, RILL_OUTSIDE, RILL_TCP_PSH | RILL_TCP_ACK,
                        spread(run, REPLY_BYTES_MIN, REPLY_BYTES_SPREAD));
        rill_generate_schedule(run, t + line_ns(f, bytes), f, EVENT_FIN, 0);
    }
}

void rill_generate_flow_step(struct generate_run *run, const struct generate_event *event)
{
    struct generate_flow *f = event->flow;
    uint64_t t = event->time_ns;

    switch (event->kind) {
    case EVENT_SYN:
    case EVENT_SYN_ACK:
    case EVENT_HANDSHAKE_ACK:
        step_handshake(run, t, f, event->kind);
        break;
    case EVENT_REQUEST:
    case EVENT_TCP_REPLY:
        step_exchange(run, t, f, event->kind);
        break;
    case EVENT_FIN:
    case EVENT_FIN_BACK:
    case EVENT_LAST_ACK:
        step_close(run, t, f, event->kind);
        break;
    case EVENT_ACK:
        put_ack(run, t, f, event->value);
        break;
    case EVENT_UDP_REQUEST:
        step_udp_request(run, t, f);
        break;
    case EVENT_UDP_REPORT:
        put_datagram(run, t, f, RILL_OUTSIDE, REPORT_PAYLOAD_BYTES, 0);
        break;
    case EVENT_DATA:
        data(run, t, f);
        break;
    case EVENT_ECHO:
        echo(run, t, f);
        break;
    case EVENT_ECHO_REPLY:
        put_datagram(run, t, f, RILL_OUTSIDE, ECHO_PAYLOAD_BYTES, event->value);
        break;
    case EVENT_ARRIVAL:
        break;
    }
    if (--f->events == 0)
        free(f);
}
