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
    wgm->by_period = true;
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
}

static inline void close_flowlet(struct rill_wgm *wgm, struct rill_wgm_flow *flow)
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

void rill_wgm_close(struct rill_wgm *wgm, struct rill_wgm_flow *flow)
{
    close_flowlet(wgm, flow);
}

void rill_wgm_begin(struct rill_wgm *wgm, struct rill_wgm_flow *flow, uint32_t wire_bytes,
                    uint64_t now_ns)
{
    close_flowlet(wgm, flow);
    flow->flags |= RILL_WGM_OPEN;
    flow->flowlet_start_ns = now_ns;
    flow->flowlet_bytes = wire_bytes;
}
