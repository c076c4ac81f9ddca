/* Bodies of messages: bytes behind a frame's metadata, over as many segments as they need.
 *
 * State bodies are the raw bytes of the tables' fixed layout; hosts of one cluster have one byte
 * order (x86-64). At most RILL_BODY_MAX bytes.
 */
#ifndef RILL_LIB_FRAME_BODY_H
#define RILL_LIB_FRAME_BODY_H

#include <rte_mbuf.h>

#include <rill/endpoint.h>

#include "lib/base/flow_tuple.h"

enum { RILL_BODY_MAX = 61440 };

/* A flow's alias. All zero: none.
 *   Leases of endpoints are numbered by the controller, from the same numbers as flows: of two of
 * one endpoint the later has the higher number, whichever controllers gave them. What is kept for a
 * flow is leased under the flow's own number. */
struct rill_alias {
    struct rill_endpoint local;
    struct rill_endpoint remote; /* family 0: any remote */
    uint64_t lease; /* number of the one that `local` was taken from; 0: it is of no pool */
};

/* At the head of every flow's state: what a controller that takes over must find again. */
struct rill_state_head {
    struct rill_alias alias;
    struct rill_flow_tuple tuple;
};
_Static_assert(sizeof(struct rill_state_head) % 8 == 0, "tables begin behind it, aligned");

/* One entry of MEMBERS. */
struct rill_member {
    uint32_t unit;          /* role id */
    uint32_t output_logger; /* role id; 0: of a dead unit whose logger died as well */
    uint32_t dead;          /* 1: and not recovered from */
    uint32_t zero;
};

/* One entry of LEASE_GRANT. */
struct rill_lease {
    uint32_t unit;          /* role id */
    uint32_t output_logger; /* the unit's, role id */
    uint32_t share;         /* thousandths of the unit, 1..1000 */
    uint32_t zero;
    uint64_t capacity_bps; /* of the whole unit */
};

/* One entry's head in REPLICA; state_bytes of state follow (a multiple of 8), then
 * the next entry. */
struct rill_replica_entry {
    uint64_t flow;
    uint64_t term, step, clock, window;
    uint32_t state_bytes;
    uint32_t zero;
};

/* Appends `bytes` at the end of m's data, with segments from `pool` as needed (m is from a pool
 * with the same data room). 0, or -ENOMEM and m as it was, or -EMSGSIZE past RILL_BODY_MAX. */
int rill_body_append(struct rte_mbuf *m, struct rte_mempool *pool, const void *data,
                     uint32_t bytes);

/* The same without the bound: for packets, which may be larger than a body. 0 or -ENOMEM. */
int rill_mbuf_append(struct rte_mbuf *m, struct rte_mempool *pool, const void *data,
                     uint32_t bytes);

/* Copies `bytes` from `offset` of m's data into `to`. 0, or -EINVAL if there are fewer. */
int rill_body_read(const struct rte_mbuf *m, uint32_t offset, void *to, uint32_t bytes);

#endif
