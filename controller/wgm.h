/* Workload granularization: cuts a flow's packets into flowlets and says how much the next one will
 * bring.
 *
 * A packet begins a new flowlet if it is the flow's first, if it comes more than T after the packet
 * before, or if the flowlet would grow beyond B bytes with it. A flowlet that ends is measured:
 *
 *     load = its bytes / max(its duration, T)         duration: first packet to last
 *     flow's estimate = d * load + (1 - d) * estimate before   (the first load replaces)
 *     global average  = mean of the loads of all flowlets that ended
 *
 * With a period instead, flows are cut by time alone: the first packet that comes a period or more
 * after the first of its piece begins the next one, and the load is the piece's bytes over the
 * period. What is said of flowlets here holds for such pieces, too.
 *
 * All in integers, so that every build gives the same numbers. Pure decisions: no clock, no memory
 * of its own but the struct. One thread. The part per flow is embedded in the caller's flow entry;
 * zeroed memory is a flow that was never seen.
 */
#ifndef RILL_CONTROLLER_WGM_H
#define RILL_CONTROLLER_WGM_H

#include <stdbool.h>
#include <stdint.h>

enum rill_flowlet_start {
    RILL_FLOWLET_SAME = 0, /* the packet belongs to the flowlet that is there */
    RILL_FLOWLET_FIRST,    /* first flowlet of the flow */
    RILL_FLOWLET_BY_GAP,  /* more than T since the packet before (also if B would be passed, too) */
    RILL_FLOWLET_BY_SIZE, /* within T, but bytes + size > B */
    RILL_FLOWLET_BY_PERIOD,
};

struct rill_wgm {
    uint64_t timeout_ns;    /* T; with a period, that */
    uint32_t flowlet_bytes; /* B */
    uint32_t weight_65536;  /* d in 1/65536, 0..65536 */
    uint64_t closed;        /* flowlets in the average ... */
    uint64_t load_sum;      /* ... and the sum of their loads, bytes per second */
    bool by_period;
};

enum rill_wgm_flow_flags {
    RILL_WGM_OPEN = 1 << 0,     /* a flowlet is open */
    RILL_WGM_MEASURED = 1 << 1, /* at least one flowlet has ended: the estimate counts */
};

struct __attribute__((packed, aligned(4))) rill_wgm_flow {
    uint64_t last_ns;          /* of the newest packet */
    uint64_t flowlet_start_ns; /* of the open flowlet's first packet */
    uint32_t flowlet_bytes;    /* of the open flowlet so far */
    uint32_t ewma_bytes_per_s; /* saturates at 4.29 GB/s */
    uint32_t flags;            /* enum rill_wgm_flow_flags; 0: no packet yet */
};
_Static_assert(sizeof(struct rill_wgm_flow) == 28, "part of every flow entry: keep it small");

/* timeout_ns > 0; flowlet_bytes > 0; weight in [0, 1], rounded to 1/65536. */
void rill_wgm_init(struct rill_wgm *wgm, uint64_t timeout_ns, uint32_t flowlet_bytes,
                   double weight);

/* The same for flows that are cut every period_ns, 1..10^11. */
void rill_wgm_init_period(struct rill_wgm *wgm, uint64_t period_ns, double weight);

/* What rill_wgm_packet() does where the packet begins a flowlet: which it is told. */
void rill_wgm_begin(struct rill_wgm *wgm, struct rill_wgm_flow *flow, uint32_t wire_bytes,
                    uint64_t now_ns);

static inline enum rill_flowlet_start rill_wgm_start(const struct rill_wgm *wgm,
                                                     const struct rill_wgm_flow *flow,
                                                     uint32_t wire_bytes, uint64_t now_ns)
{
    if (flow->flags == 0)
        return RILL_FLOWLET_FIRST;
    if (wgm->by_period)
        return now_ns - flow->flowlet_start_ns >= wgm->timeout_ns ||
                       (uint64_t)flow->flowlet_bytes + wire_bytes > UINT32_MAX
                   ? RILL_FLOWLET_BY_PERIOD
                   : RILL_FLOWLET_SAME;
    if (!(flow->flags & RILL_WGM_OPEN) || now_ns - flow->last_ns > wgm->timeout_ns)
        return RILL_FLOWLET_BY_GAP;
    if ((uint64_t)flow->flowlet_bytes + wire_bytes > wgm->flowlet_bytes)
        return RILL_FLOWLET_BY_SIZE;
    return RILL_FLOWLET_SAME;
}

/* Takes the flow's next packet. now_ns never goes backwards for one flow: the caller clamps. On
 * anything but SAME, the flowlet before (if there was one) has been closed and the packet counts
 * into the new one. Divides only when a flowlet ends. A packet larger than B is a flowlet alone. */
static inline enum rill_flowlet_start rill_wgm_packet(struct rill_wgm *wgm,
                                                      struct rill_wgm_flow *flow,
                                                      uint32_t wire_bytes, uint64_t now_ns)
{
    enum rill_flowlet_start start = rill_wgm_start(wgm, flow, wire_bytes, now_ns);

    if (start == RILL_FLOWLET_SAME)
        flow->flowlet_bytes += wire_bytes;
    else
        rill_wgm_begin(wgm, flow, wire_bytes, now_ns);
    flow->last_ns = now_ns;
    return start;
}

/* Closes the open flowlet, if there is one, so that it counts into the averages: to be called when
 * a flow is forgotten. Otherwise flows of one flowlet would never be part of the global average. */
void rill_wgm_close(struct rill_wgm *wgm, struct rill_wgm_flow *flow);

/* What the flow's open flowlet is expected to bring, in bits per second: the global average during
 * a flow's first flowlet (0 as long as no flowlet has ended anywhere), else the flow's estimate. */
static inline uint64_t rill_wgm_demand_bps(const struct rill_wgm *wgm,
                                           const struct rill_wgm_flow *flow)
{
    uint64_t bytes_per_s;

    /* Flowlets end more often than flows begin, so the average is worked out when it is asked for.
     */
    if (flow->flags & RILL_WGM_MEASURED)
        bytes_per_s = flow->ewma_bytes_per_s;
    else
        bytes_per_s = wgm->closed == 0 ? 0 : (uint32_t)(wgm->load_sum / wgm->closed);
    return bytes_per_s * 8;
}

#endif
