#include "controller/wgm.h"

#include <assert.h>

enum { WEIGHT_ONE = 65536 };

void rill_wgm_init(struct rill_wgm *wgm, uint64_t timeout_ns, uint32_t flowlet_bytes, double weight)
{
    assert(timeout_ns > 0 && flowlet_bytes > 0 && weight >= 0 && weight <= 1);
    *wgm = (struct rill_wgm){
        .timeout_ns = timeout_ns,
        .flowlet_bytes = flowlet_bytes,
        .weight_65536 = (uint32_t)(weight * WEIGHT_ONE + 0.5),
    };
}

void rill_wgm_init_period(struct rill_wgm *wgm, uint64_t period_ns, double weight)
{
    rill_wgm_init(wgm, period_ns, UINT32_MAX, weight);
    wgm->by_period = 1;
}

static uint32_t measure(const struct rill_wgm *wgm, const struct rill_wgm_flow *flow)
{
    uint64_t duration_ns = flow->last_ns - flow->flowlet_start_ns;
    uint64_t load;

    if (duration_ns < wgm->timeout_ns)
        duration_ns = wgm->timeout_ns;
    load = flow->flowlet_bytes * UINT64_C(1000000000) / duration_ns; /* 32 + 30 bits */
    return load < UINT32_MAX ? (uint32_t)load : UINT32_MAX;
}

static uint32_t weighted(const struct rill_wgm *wgm, uint32_t measured, uint32_t before)
{
    return (uint32_t)(((uint64_t)measured * wgm->weight_65536 +
                       (uint64_t)before * (WEIGHT_ONE - wgm->weight_65536)) /
                      WEIGHT_ONE);
}

static void average_add(struct rill_wgm *wgm, uint32_t load)
{
    /* The sum of 2^32 loads of 32 bits still fits. Halving both forgets nothing but weight. */
    if (wgm->closed == UINT32_MAX) {
        wgm->closed /= 2;
        wgm->load_sum /= 2;
    }
    wgm->closed++;
    wgm->load_sum += load;
    wgm->average_bytes_per_s = (uint32_t)(wgm->load_sum / wgm->closed);
}

void rill_wgm_close(struct rill_wgm *wgm, struct rill_wgm_flow *flow)
{
    uint32_t load;

    if (!(flow->flags & RILL_WGM_OPEN))
        return;
    load = measure(wgm, flow);
    flow->ewma_bytes_per_s =
        flow->flags & RILL_WGM_MEASURED ? weighted(wgm, load, flow->ewma_bytes_per_s) : load;
    flow->flags = RILL_WGM_MEASURED;
    flow->flowlet_bytes = 0;
    average_add(wgm, load);
}

static enum rill_flowlet_start start_of(const struct rill_wgm *wgm,
                                        const struct rill_wgm_flow *flow, uint32_t wire_bytes,
                                        uint64_t now_ns)
{
    if (flow->flowlets == 0)
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

enum rill_flowlet_start rill_wgm_packet(struct rill_wgm *wgm, struct rill_wgm_flow *flow,
                                        uint32_t wire_bytes, uint64_t now_ns)
{
    enum rill_flowlet_start start = start_of(wgm, flow, wire_bytes, now_ns);

    if (start == RILL_FLOWLET_SAME) {
        flow->flowlet_bytes += wire_bytes;
    } else {
        rill_wgm_close(wgm, flow);
        flow->flags |= RILL_WGM_OPEN;
        flow->flowlet_start_ns = now_ns;
        flow->flowlet_bytes = wire_bytes;
        if (flow->flowlets < UINT32_MAX)
            flow->flowlets++;
    }
    flow->last_ns = now_ns;
    return start;
}

uint64_t rill_wgm_demand_bps(const struct rill_wgm *wgm, const struct rill_wgm_flow *flow)
{
    uint64_t bytes_per_s =
        flow->flags & RILL_WGM_MEASURED ? flow->ewma_bytes_per_s : wgm->average_bytes_per_s;

    return bytes_per_s * 8;
}
