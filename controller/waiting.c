/* Packets that came while no unit was leased: they wait for one, in order, bounded in number and
 * time. The first of them asks for it. */
#include <errno.h>
#include <stdlib.h>

#include "controller/internal.h"

int waiting_init(struct rill_controller *c)
{
    uint32_t places = 1;

    while (places < c->config.waiting_packets)
        places *= 2;
    c->waiting.ring = malloc(places * sizeof(c->waiting.ring[0])); /* touched only as it fills */
    c->waiting.mask = places - 1;
    return c->waiting.ring == NULL ? -ENOMEM : 0;
}

static struct rte_mbuf *take(struct waiting *w)
{
    w->count--;
    return w->ring[w->head++ & w->mask].m;
}

void waiting_fini(struct rill_controller *c)
{
    while (c->waiting.count > 0)
        rte_pktmbuf_free(take(&c->waiting));
    free(c->waiting.ring);
}

void waiting_put(struct rill_controller *c, struct rte_mbuf *m)
{
    struct waiting *w = &c->waiting;

    if (w->count >= c->config.waiting_packets) {
        c->n.dropped_waiting_full++;
        rte_pktmbuf_free(m);
        return;
    }
    c->n.packets_waited++;
    w->ring[(w->head + w->count++) & w->mask] =
        (struct waiting_packet){.m = m, .since_ns = c->now_ns};
}

struct rte_mbuf *waiting_take(struct rill_controller *c)
{
    return c->waiting.count > 0 ? take(&c->waiting) : NULL;
}

uint64_t waiting_next_ns(const struct rill_controller *c)
{
    const struct waiting *w = &c->waiting;

    return w->count > 0 ? w->ring[w->head & w->mask].since_ns + c->config.waiting_ns : UINT64_MAX;
}

/* No unit came in all that time. */
void waiting_tick(struct rill_controller *c)
{
    while (waiting_next_ns(c) <= c->now_ns) {
        rte_pktmbuf_free(take(&c->waiting));
        c->n.dropped_no_unit++;
    }
}
