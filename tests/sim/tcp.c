/* TCP connections, as far as a middlebox sees them: SYN, segments, FIN of either side or RST, and
 * the same tuple opened again. Segments of before come after the end, too. */
#include <rte_tcp.h>

#include "tests/sim/sim.h"

void sim_tcp_init(struct sim_tcp *tcp, const struct sim_plan *plan)
{
    *tcp = (struct sim_tcp){.plan = plan};
    rill_rng_seed(&tcp->rng, plan->seed ^ 0x7c9);
}

bool sim_tcp_is(const struct sim_tcp *tcp, uint32_t flow)
{
    return (double)flow < tcp->plan->tcp * tcp->plan->flows;
}

static uint8_t open_again(struct sim_tcp *tcp, uint32_t flow, bool probe, struct sim_counts *counts)
{
    if (!probe && rill_rng_below(&tcp->rng, 8) == 0)
        return RTE_TCP_ACK_FLAG; /* late, or a keep-alive */
    counts->tcp_reopened += tcp->was_open[flow];
    tcp->open[flow] = tcp->was_open[flow] = true;
    tcp->finished[flow] = 0;
    return RTE_TCP_SYN_FLAG;
}

uint8_t sim_tcp_flags(struct sim_tcp *tcp, uint32_t flow, enum rill_side side, bool probe,
                      struct sim_counts *counts)
{
    bool half = tcp->finished[flow] != 0;

    if (!tcp->open[flow])
        return open_again(tcp, flow, probe, counts);
    if (probe || rill_rng_double(&tcp->rng) >=
                     (half ? RTE_MAX(0.5, tcp->plan->tcp_closes) : tcp->plan->tcp_closes))
        return RTE_TCP_ACK_FLAG;
    if (!half && rill_rng_below(&tcp->rng, 3) == 0) {
        tcp->open[flow] = false;
        counts->tcp_closed++;
        return RTE_TCP_RST_FLAG;
    }
    tcp->finished[flow] |= (uint8_t)(1 << side);
    if (tcp->finished[flow] == (1 << RILL_INSIDE | 1 << RILL_OUTSIDE)) {
        tcp->open[flow] = false;
        counts->tcp_closed++;
    }
    return RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG;
}
