/* A Redis server as the store outside, for real time: one connection, over which requests are
 * pipelined and answered in order; connected again when it is lost. Never waits: whoever turns it
 * calls tick, which looks at the socket. What can not be sent, or is not answered, is counted and
 * forgotten, as the units ask again.
 *
 * A flow's key is PREFIX:NUMBER (hexadecimal). Its value: the version in 48 hexadecimal digits
 * (granted term, term, step), clock and window as they are in memory, the state. A script of the
 * server's keeps the newer of two values. Keys go by themselves when they were not written for
 * keep_ns.
 */
#ifndef RILL_LIB_STORE_STORE_REDIS_H
#define RILL_LIB_STORE_STORE_REDIS_H

#include <rte_mempool.h>

#include "lib/base/error.h"
#include "lib/store/store.h"

enum { RILL_STORE_PREFIX_BYTES = 64 };
#define RILL_STORE_REDIS_USUAL "127.0.0.1:6379" /* where a server is if nothing else is said */

struct rill_store_redis_config {
    struct rte_mempool *pool; /* the caller's */
    const char *address;      /* unix:PATH, or ADDRESS:PORT (numbers); copied */
    const char *prefix; /* of this life of this deployment alone, as flow numbers are; copied */
    uint64_t keep_ns;
    uint64_t timeout_ns; /* without an answer the connection is lost; without one, the time between
                            two tries */
    uint32_t outstanding_max; /* requests */
};

/* Does not connect yet. NULL with a line in *err: the address is none, or no memory. */
struct rill_store *rill_store_redis_create(const struct rill_store_redis_config *config,
                                           struct rill_error *err);
/* The address is one that could be used. -EINVAL with a line in *err. */
int rill_store_redis_check_address(const char *address, struct rill_error *err);
bool rill_store_redis_is_connected(const struct rill_store *store);
/* What went wrong last: why it is not connected, or what the server refused; "" if nothing has
 * since it was connected. */
const char *rill_store_redis_trouble(const struct rill_store *store);

#endif
