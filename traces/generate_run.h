/* Inside of the generator: its settings, its events in order of time, and what flows do. */
#ifndef RILL_TRACES_GENERATE_RUN_H
#define RILL_TRACES_GENERATE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "traces/capture.h"
#include "traces/generate.h"
#include "traces/generate_draw.h"
#include "traces/generate_packet.h"

/* What a flow does next. Requests go out, replies come in. */
enum generate_event_kind {
    EVENT_ARRIVAL, /* the next flow; has no flow yet */
    EVENT_SYN,
    EVENT_SYN_ACK,
    EVENT_HANDSHAKE_ACK,
    EVENT_REQUEST,   /* TCP: opens a download */
    EVENT_ACK,       /* of what `value` says */
    EVENT_TCP_REPLY, /* ends an upload */
    EVENT_FIN,       /* from the outside */
    EVENT_FIN_BACK,  /* from the inside */
    EVENT_LAST_ACK,
    EVENT_UDP_REQUEST, /* asks for a burst */
    EVENT_UDP_REPORT,  /* answers a burst */
    EVENT_DATA,        /* next packet of a burst */
    EVENT_ECHO,
    EVENT_ECHO_REPLY, /* of the echo that `value` numbers */
};

struct generate_flow {
    struct rill_build_flow build;
    enum rill_side sender; /* of the flow's bulk */
    uint32_t events;       /* pending; at 0 the flow is over */
    uint32_t seq[2];       /* next to send, by side */
    uint32_t unacked;      /* data packets since the last ACK */
    uint32_t burst_left;   /* packets */
    uint32_t line_mbps;
    uint64_t bytes_left; /* of the sender's data packets, as on the wire */
    uint64_t rtt_ns;     /* to the outside and back */
    uint64_t host_ns;    /* to the inside and back */
    uint32_t echoes_left, echo_bytes, echo_number;
};

struct generate_event {
    uint64_t time_ns; /* from the capture's begin */
    uint64_t number;  /* of insertion: events at one time come in the order of their making */
    struct generate_flow *flow;
    enum generate_event_kind kind;
    uint32_t value;
};

/* A heap, the earliest on top. Zeroed memory is an empty one. */
struct generate_events {
    struct generate_event *heap;
    uint64_t count, room, number;
};

struct generate_settings {
    uint64_t end_ns, gap_ns, cycle_ns, busy_ns;
    uint64_t rtt_low_ns, rtt_high_ns, line_low_mbps, line_high_mbps;
    uint64_t calm_interval_ns; /* between flows, outside the busy part */
    uint32_t busy_factor;
    uint32_t gap_sigma_q16, packet_bytes, burst_packets, hosts, servers, snap_bytes;
    uint32_t tcp_q32, icmp_q32, upload_q32, ip6_q32; /* shares; UINT32_MAX: all */
};

struct generate_run {
    struct generate_settings set;
    struct rill_rng rng;
    struct rill_pareto sizes;
    struct generate_events events;
    uint16_t *next_port; /* by inside host */
    uint64_t cycle;      /* of the arrivals; its busy part begins at busy_at_ns */
    uint64_t busy_at_ns;
    struct rill_capture_writer *writer;
    struct rill_generate_counters counters;
    int rc;
    uint8_t packet[RILL_BUILD_BYTES_MAX];
};

int rill_generate_events_push(struct generate_events *events, struct generate_event event);
/* False if there is none. */
bool rill_generate_events_pop(struct generate_events *events, struct generate_event *event);

/* True with the probability. */
static inline bool rill_generate_chance(struct rill_rng *rng, uint32_t share_q32)
{
    uint32_t u = (uint32_t)(rill_rng_u64(rng) >> 32);

    return u < share_q32 || share_q32 == UINT32_MAX;
}

/* Schedules, unless it is past the end. On no memory sets run->rc. */
void rill_generate_schedule(struct generate_run *run, uint64_t time_ns, struct generate_flow *flow,
                            enum generate_event_kind kind, uint32_t value);

/* A new flow at that time: draws what it is and schedules its begin. */
void rill_generate_flow_begin(struct generate_run *run, uint64_t now_ns);
/* One step of a flow; frees it after its last. */
void rill_generate_flow_step(struct generate_run *run, const struct generate_event *event);

#endif
