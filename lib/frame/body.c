#include "lib/frame/body.h"

#include <errno.h>
#include <string.h>

/* Segments with room for `bytes` more in all, linked, still empty. NULL: the pool is empty. */
static struct rte_mbuf *new_segments(struct rte_mempool *pool, uint32_t bytes)
{
    struct rte_mbuf *first = NULL;
    struct rte_mbuf **at = &first;

    for (;;) {
        struct rte_mbuf *segment = rte_pktmbuf_alloc(pool);

        if (segment == NULL || rte_pktmbuf_tailroom(segment) == 0) {
            rte_pktmbuf_free(segment);
            rte_pktmbuf_free(first);
            return NULL;
        }
        *at = segment;
        at = &segment->next;
        first->nb_segs += segment != first;
        if (rte_pktmbuf_tailroom(segment) >= bytes)
            return first;
        bytes -= rte_pktmbuf_tailroom(segment);
    }
}

static uint32_t fill(struct rte_mbuf *m, struct rte_mbuf *segment, const uint8_t *from,
                     uint32_t bytes)
{
    uint32_t n = RTE_MIN(bytes, (uint32_t)rte_pktmbuf_tailroom(segment));

    memcpy(rte_pktmbuf_mtod_offset(segment, uint8_t *, segment->data_len), from, n);
    segment->data_len += n;
    m->pkt_len += n;
    return n;
}

int rill_mbuf_append(struct rte_mbuf *m, struct rte_mempool *pool, const void *data, uint32_t bytes)
{
    struct rte_mbuf *last = rte_pktmbuf_lastseg(m);
    struct rte_mbuf *more = NULL;
    const uint8_t *from = data;

    if (bytes == 0)
        return 0;
    if (bytes > rte_pktmbuf_tailroom(last)) {
        more = new_segments(pool, bytes - rte_pktmbuf_tailroom(last));
        if (more == NULL)
            return -ENOMEM;
        m->nb_segs += more->nb_segs;
        more->nb_segs = 1;
        last->next = more;
    }
    for (struct rte_mbuf *segment = last; bytes > 0; segment = segment->next) {
        uint32_t n = fill(m, segment, from, bytes);

        from += n;
        bytes -= n;
    }
    return 0;
}

int rill_body_append(struct rte_mbuf *m, struct rte_mempool *pool, const void *data, uint32_t bytes)
{
    if (m->pkt_len > RILL_BODY_MAX || bytes > RILL_BODY_MAX - m->pkt_len)
        return -EMSGSIZE;
    return rill_mbuf_append(m, pool, data, bytes);
}

int rill_body_read(const struct rte_mbuf *m, uint32_t offset, void *to, uint32_t bytes)
{
    uint8_t *at = to;

    if (offset > m->pkt_len || bytes > m->pkt_len - offset)
        return -EINVAL;
    for (; m != NULL && offset >= m->data_len; m = m->next)
        offset -= m->data_len;
    for (; bytes > 0; m = m->next) {
        uint32_t n;

        if (m == NULL) /* pkt_len claims more than the segments hold */
            return -EINVAL;
        n = RTE_MIN(bytes, (uint32_t)m->data_len - offset);
        memcpy(at, rte_pktmbuf_mtod_offset(m, const uint8_t *, offset), n);
        at += n;
        bytes -= n;
        offset = 0;
    }
    return 0;
}
