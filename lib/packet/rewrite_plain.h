/* What most packets are, rewritten without a call: TCP and UDP in IPv4, whole and no fragment. The
 * bytes are those that the long way (rewrite.h) makes, to which all others go.
 */
#ifndef RILL_LIB_PACKET_REWRITE_PLAIN_H
#define RILL_LIB_PACKET_REWRITE_PLAIN_H

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "lib/packet/bytes.h"
#include "lib/packet/rewrite.h"

/* The long way. */
int rill_rewrite_any(struct rte_mbuf *m, struct rill_view *view, bool source,
                     const struct rill_endpoint *to);

static inline uint32_t plain_fold(uint32_t sum)
{
    return (sum & 0xffff) + (sum >> 16);
}

/* Gives a checksum a change that is folded: HC' = ~(~HC + change). A change of zero, in either
 * form, leaves it as it is. */
static inline uint16_t plain_fix(uint16_t old, uint32_t change)
{
    if (unlikely(change == 0 || change == 0xffff))
        return old;
    return (uint16_t)~plain_fold((uint16_t)~old + change);
}

/* Nothing about the view is out of the ordinary, and `to` is of its family and protocol. */
static inline bool plain_is_rewritten(const struct rill_view *view, const struct rill_endpoint *to)
{
    uint32_t ends = to->family | (uint32_t)to->proto << 8;

    return view->flags == 0 && (view->source.family | (uint32_t)view->source.proto << 8) == ends &&
           (ends == (4 | RILL_TCP << 8) || ends == (4 | RILL_UDP << 8)) && view->l4_off != 0;
}

static inline void plain_rewrite(uint8_t *ip, uint8_t *l4, bool source,
                                 const struct rill_endpoint *to)
{
    uint8_t *addr = ip + (source ? 12 : 16), *port = l4 + (source ? 0 : 2);
    uint8_t *checksum = l4 + (to->proto == RILL_TCP ? 16 : 6);
    uint32_t old_addr = ~load_raw32(addr), new_addr = load_raw32(to->addr);
    uint16_t old_port = (uint16_t)~load_raw16(port), new_port = __builtin_bswap16(to->port);
    /* In words of 16 bits, as in rewrite.c. */
    uint32_t change = plain_fold(plain_fold((old_addr & 0xffff) + (old_addr >> 16) +
                                            (new_addr & 0xffff) + (new_addr >> 16)));
    uint16_t old = load_raw16(checksum);

    memcpy(addr, &new_addr, sizeof(new_addr));
    store_raw16(port, new_port);
    store_raw16(ip + 10, plain_fix(load_raw16(ip + 10), change));
    if (to->proto == RILL_UDP && old == 0)
        return; /* there is none */
    change = plain_fold(plain_fold(change + old_port + new_port));
    change = plain_fix(old, change);
    store_raw16(checksum, to->proto == RILL_UDP && change == 0 ? 0xffff : (uint16_t)change);
}

/* As rill_rewrite_source() and rill_rewrite_destination(). */
static inline int rill_rewrite_inline(struct rte_mbuf *m, struct rill_view *view, bool source,
                                      const struct rill_endpoint *to)
{
    uint8_t *bytes = rte_pktmbuf_mtod(m, uint8_t *);

    if (unlikely(!plain_is_rewritten(view, to)))
        return rill_rewrite_any(m, view, source, to);
    plain_rewrite(bytes + view->l2_len, bytes + view->l4_off, source, to);
    *(source ? &view->source : &view->destination) = *to;
    return 0;
}

#endif
