/* Which of several controllers a packet is for.
 *
 * The controllers of a deployment share out its flows: each packet of a flow must come to the same
 * one, in whatever shape it comes, and whoever splits the traffic knows no flows. So that:
 *  - by a hash of what of the flow both directions have in common. That is the flow's key
 * (flow_key.h; of a connection both ends, symmetric), less the end that the NF rewrites: a load
 * balancer's replies come from the backend, so its connections are split by the other end alone;
 *  - what comes from the outside to an endpoint of one of the NF's pools goes to the controller
 * that this endpoint belongs to: each has a part of every pool (rill_split_part());
 *  - an ICMP error goes where the packet went that it quotes;
 *  - a later fragment, which has no ports, goes where its first went. One that comes before it
 *    can't be told: by the two addresses, or the caller holds it for a while and asks again. Where
 *    hosts alone are hashed, nobody has to wait;
 *  - what can't be read, and is dropped or passes by wherever it goes: to the first.
 *
 * One for all packets of the deployment. No clock: now_ns is given, and does not go backwards.
 */
#ifndef RILL_LIB_PACKET_SPLIT_H
#define RILL_LIB_PACKET_SPLIT_H

#include <rte_mbuf.h>

#include <rill/endpoint.h>

#include "lib/base/error.h"
#include "lib/packet/flow_key.h"

enum { RILL_SPLIT_POOLS_MAX = 8 };

/* An NF's pool; the index of an endpoint is address number * ports + (port - port_low). */
struct rill_split_pool {
    uint8_t proto, family;
    uint16_t port_low, port_high;
    uint32_t addresses;
    const uint8_t (*addr)[16]; /* only looked at as the split is made */
};

struct rill_split_config {
    uint32_t controllers;    /* 1..RILL_SLOTS_MAX, in slots from 0 */
    enum rill_key_kind kind; /* of flows: one of the first four */
    uint32_t writes;         /* enum rill_writes of the NF */
    struct rill_split_pool pools[RILL_SPLIT_POOLS_MAX];
    unsigned pool_count;
    uint64_t seed; /* of the hash: to be hard to guess, and the same for all who split */
};

struct rill_split;

/* What a flow is for an NF with that enum rill_flow_scope, as whoever splits its traffic sees it.
 */
enum rill_key_kind rill_split_kind_of(uint32_t flow_scope);

/* NULL with a line in *err: no memory, or an NF whose replies have nothing in common with what they
 * answer. */
struct rill_split *rill_split_create(const struct rill_split_config *config,
                                     struct rill_error *err);
void rill_split_destroy(struct rill_split *split); /* NULL is fine */

enum rill_split_kind {
    RILL_SPLIT_SURE,
    RILL_SPLIT_FIRST, /* sure, and a fragment's first: those that came before it are sure now */
    RILL_SPLIT_EARLY, /* a later fragment whose first has not come */
};

/* The slot of the packet's controller. `side`: on which it came in. */
uint32_t rill_split_slot(struct rill_split *split, struct rte_mbuf *m, uint32_t wire_bytes,
                         enum rill_side side, uint64_t now_ns, enum rill_split_kind *kind);

/* The same of a packet that was read already; a later fragment's ports are filled in. */
uint32_t rill_split_slot_of(const struct rill_split *split, const struct rill_view *view,
                            enum rill_side side);

/* The endpoints of a pool of `size` that belong to the controller of that slot: [low, end). The
 * parts are of equal size, but for one endpoint, and in the order of the slots. */
struct rill_split_range {
    uint32_t low, end;
};
static inline struct rill_split_range rill_split_part(uint32_t size, uint32_t slot,
                                                      uint32_t controllers)
{
    return (struct rill_split_range){.low = (uint32_t)((uint64_t)size * slot / controllers),
                                     .end = (uint32_t)((uint64_t)size * (slot + 1) / controllers)};
}

/* And whose the one of that index is. */
static inline uint32_t rill_split_owner(uint32_t size, uint32_t index, uint32_t controllers)
{
    return (uint32_t)((((uint64_t)index + 1) * controllers - 1) / size);
}

#endif
