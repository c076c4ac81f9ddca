/* A store outside of all units that keeps flows' state, for state mode `external`: units write to
 * it and read from it instead of handing state to each other.
 *
 * To units it is a role like any other: STORE_PUT and STORE_GET frames go in, their answers
 * (STORE_ACK, STORE_VALUE) come out (lib/frame/frame.h). What it promises is little, and the
 * protocol asks for no more (docs/protocol.md, "State in a store outside"):
 *  - a value that it gives is one that was put, whole;
 *  - of two that were put for a flow it keeps the newer one: the later term in which it was
 * granted, then the later step;
 *  - it may lose requests, answers and all that it keeps, also what it has acknowledged.
 *
 * Implementations: store_model.h, for virtual time, and store_redis.h. One thread.
 */
#ifndef RILL_LIB_STORE_STORE_H
#define RILL_LIB_STORE_STORE_H

#include <stdint.h>

#include "lib/frame/outbox.h"

#define RILL_STORE_COUNTERS(X)                                                                     \
    X(puts)                                                                                        \
    X(puts_refused) /* something newer was there */                                                \
    X(gets)                                                                                        \
    X(gets_empty)      /* nothing was there */                                                     \
    X(entries_evicted) /* the oldest, for a newer one */                                           \
    X(entries_expired)                                                                             \
    X(errors)           /* requests that failed, other than with their connection */               \
    X(requests_refused) /* as many as may be were outstanding, or the store could not be reached   \
                         */                                                                        \
    X(requests_lost)    /* with a connection: no answer came */                                    \
    X(connects)                                                                                    \
    X(connects_failed)                                                                             \
    X(messages_no_mbuf)                                                                            \
    X(messages_unknown)

struct rill_store_counters {
#define X(name) uint64_t name;
    RILL_STORE_COUNTERS(X)
#undef X
};

struct rill_store {
    const struct rill_store_ops *ops;
    struct rill_store_counters n;
};

struct rill_store_ops {
    /* Takes n frames (ownership passes in all cases). `out` gets answers that are due at once. */
    void (*recv)(struct rill_store *store, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                 struct rill_outbox *out);
    /* Answers whose time has come. */
    void (*tick)(struct rill_store *store, uint64_t now_ns, struct rill_outbox *out);
    /* When tick wants to be called next; UINT64_MAX: not before something is received. */
    uint64_t (*next_ns)(struct rill_store *store);
    void (*destroy)(struct rill_store *store);
};

static inline void rill_store_recv(struct rill_store *store, struct rte_mbuf **frames, uint32_t n,
                                   uint64_t now_ns, struct rill_outbox *out)
{
    store->ops->recv(store, frames, n, now_ns, out);
}

static inline void rill_store_tick(struct rill_store *store, uint64_t now_ns,
                                   struct rill_outbox *out)
{
    store->ops->tick(store, now_ns, out);
}

static inline uint64_t rill_store_next_ns(struct rill_store *store)
{
    return store->ops->next_ns(store);
}

static inline void rill_store_destroy(struct rill_store *store) /* NULL is fine */
{
    if (store != NULL)
        store->ops->destroy(store);
}

#endif
