/* Hands packets that come in to their controllers: bursts in, a burst for each controller out.
 *
 * lib/packet/split.h says whose each packet is. A later fragment that comes before its first is
 * held here until that has come, or for RILL_FRAGMENT_HOLD_NS; then it goes by what it has. The
 * packets of one controller stay in order otherwise.
 *
 * Packets have their frame's side and wire_bytes. No clock, one thread.
 */
#ifndef RILL_LIB_FRAME_INGRESS_SPLIT_H
#define RILL_LIB_FRAME_INGRESS_SPLIT_H

#include "lib/packet/split.h"

struct rill_ingress_split;

struct rill_ingress_split_config {
    struct rill_split_config split;
    /* Packets of the controller of that slot: the callee's. */
    void (*give)(void *arg, uint32_t slot, struct rte_mbuf **packets, uint32_t n, uint64_t now_ns);
    void *arg;
};

/* NULL with a line in *err, as rill_split_create(). */
struct rill_ingress_split *rill_ingress_split_create(const struct rill_ingress_split_config *config,
                                                     struct rill_error *err);
void rill_ingress_split_destroy(
    struct rill_ingress_split *s); /* frees what is held; NULL is fine */

/* Takes n packets. */
void rill_ingress_split_take(struct rill_ingress_split *s, struct rte_mbuf **packets, uint32_t n,
                             uint64_t now_ns);
/* Fragments that have waited long enough go on. True if there were any. */
bool rill_ingress_split_tick(struct rill_ingress_split *s, uint64_t now_ns);
uint64_t rill_ingress_split_next_ns(const struct rill_ingress_split *s); /* UINT64_MAX: none */
uint32_t rill_ingress_split_held(const struct rill_ingress_split *s);    /* packets */
/* What it splits by. */
const struct rill_split *rill_ingress_split_of(const struct rill_ingress_split *s);
/* Where a packet would go now. */
uint32_t rill_ingress_split_slot(struct rill_ingress_split *s, struct rte_mbuf *m, uint64_t now_ns);

#endif
