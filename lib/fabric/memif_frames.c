#include "lib/fabric/memif_internal.h"

#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>

/* --- receiving -------------------------------------------------------------------------------- */

/* A frame that is not let in. Whether it has a packet is known only as far as it can be read. */
static void refuse(struct memif *f, struct link *link, struct rte_mbuf *m, bool has_packet)
{
    f->base.counters.lost++;
    f->base.counters.lost_packets += has_packet;
    if (link->other == NULL) {
        f->base.counters.taken_over_packets += has_packet;
    } else {
        link->there_packets -= has_packet;
        f->packets -= has_packet;
    }
    rte_pktmbuf_free(m);
}

/* Reads a frame's headers. False: it was not for us, and is gone. */
static bool accept_frame(struct memif *f, struct link *link, struct rte_mbuf *m)
{
    enum rill_geneve_result result;

    if (m->data_len < sizeof(link->header) ||
        memcmp(rte_pktmbuf_mtod(m, const void *), link->header, sizeof(link->header)) != 0) {
        f->counters.foreign++;
        refuse(f, link, m, rill_geneve_says_packet(m));
        return false;
    }
    result = rill_geneve_decode(m);
    if (result != RILL_GENEVE_OK) {
        f->counters.refused[result]++;
        refuse(f, link, m, rill_geneve_says_packet(m));
        return false;
    }
    if (rill_frame(m)->dst != link->self) {
        f->counters.foreign++;
        refuse(f, link, m, rill_frame_has_packet(m));
        return false;
    }
    return true;
}

/* How many frames the driver may be asked for. Where buffers run out in the middle of a long frame
 * it loses the ones that it has, so it is not asked when that could be. */
static uint32_t room(struct memif *f, uint32_t max)
{
    struct rte_mempool *pool = f->config.pool;
    /* Without the caches: to count these as well takes long. */
    uint32_t most = rte_mempool_get_ops(pool->ops_index)->get_count(pool) / f->frame_segments;

    if (most >= max)
        return max;
    most = rte_mempool_avail_count(pool) / f->frame_segments;
    if (most == 0)
        f->counters.starved++;
    return RTE_MIN(most, max);
}

uint32_t rill_memif_recv(struct memif *f, struct link *link, struct rte_mbuf **frames, uint32_t max)
{
    uint32_t got, kept = 0;

    if (link->state != LINK_UP && link->state != LINK_DRAINING)
        return 0;
    got = rte_eth_rx_burst(link->port->id, 0, frames,
                           (uint16_t)room(f, RTE_MIN(max, (uint32_t)RILL_MEMIF_BURST)));
    if (link->other == NULL)
        f->base.counters.taken_over += got;
    else
        link->there -= got;
    for (uint32_t i = 0; i < got; i++) {
        if (!accept_frame(f, link, frames[i]))
            continue;
        if (link->other == NULL)
            f->base.counters.taken_over_packets += rill_frame_has_packet(frames[i]);
        else
            link->there_packets -= rill_frame_has_packet(frames[i]);
        frames[kept++] = frames[i];
    }
    return kept;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Writes the headers in front. False: it can not be sent, and is gone. */
static bool encode(struct memif *f, const struct link *link, struct rte_mbuf **m)
{
    int code = rill_geneve_encode(m, f->config.pool, &link->outer);

    if (code == 0 && (*m)->pkt_len <= RILL_FABRIC_MEMIF_FRAME_BYTES)
        return true;
    if (code == 0 || code == -ENOMEM || code == -EMSGSIZE) {
        full(f, *m);
    } else {
        f->counters.malformed++;
        discard(*m, &f->base.counters.lost, &f->base.counters.lost_packets);
    }
    return false;
}

/* At most RILL_MEMIF_BURST frames, all to one peer. */
void rill_memif_send(struct memif *f, struct link *link, struct rte_mbuf **frames, uint32_t n)
{
    struct rte_mbuf *ready[RILL_MEMIF_BURST];
    bool packet[RILL_MEMIF_BURST];
    uint32_t count = 0, taken;

    for (uint32_t i = 0; i < n; i++) {
        ready[count] = frames[i];
        if (encode(f, link, &ready[count])) {
            packet[count] = rill_frame_has_packet(ready[count]);
            count++;
        }
    }
    taken = rte_eth_tx_burst(link->port->id, 0, ready, (uint16_t)count);
    for (uint32_t i = taken; i < count; i++)
        full(f, ready[i]);
    if (link->other == NULL) {
        f->base.counters.handed_over += taken;
        for (uint32_t i = 0; i < taken; i++)
            f->base.counters.handed_over_packets += packet[i];
        return;
    }
    link->other->there += taken;
    for (uint32_t i = 0; i < taken; i++) {
        link->other->there_packets += packet[i];
        f->packets += packet[i];
    }
}
