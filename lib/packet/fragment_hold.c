#include "lib/packet/fragment_hold.h"

#include <string.h>

struct rte_mbuf *rill_fragment_hold_take(struct rill_fragment_hold *hold, uint32_t i)
{
    struct rte_mbuf *m = hold->held[i].m;

    hold->count--;
    memmove(&hold->held[i], &hold->held[i + 1], (hold->count - i) * sizeof(hold->held[0]));
    return m;
}

struct rte_mbuf *rill_fragment_hold_put(struct rill_fragment_hold *hold, struct rte_mbuf *m,
                                        uint64_t now_ns)
{
    struct rte_mbuf *oldest = NULL;

    if (hold->count == RILL_FRAGMENT_HOLD_MAX)
        oldest = rill_fragment_hold_take(hold, 0);
    hold->held[hold->count].m = m;
    hold->held[hold->count].since_ns = now_ns;
    hold->count++;
    return oldest;
}

uint64_t rill_fragment_hold_due_ns(const struct rill_fragment_hold *hold)
{
    return hold->count > 0 ? hold->held[0].since_ns + RILL_FRAGMENT_HOLD_NS : UINT64_MAX;
}

void rill_fragment_hold_fini(struct rill_fragment_hold *hold)
{
    while (hold->count > 0)
        rte_pktmbuf_free(rill_fragment_hold_take(hold, hold->count - 1));
}
