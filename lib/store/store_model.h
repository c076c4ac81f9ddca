/* The modelled store, for virtual time: each request is done half of `delay_ns` after it came, and
 * answered after the other half. With a link's delay on both ways that is the round trip. Sans-IO.
 */
#ifndef RILL_LIB_STORE_STORE_MODEL_H
#define RILL_LIB_STORE_STORE_MODEL_H

#include <rte_mempool.h>

#include "lib/base/error.h"
#include "lib/store/store.h"

struct rill_store_model_config {
    struct rte_mempool *pool; /* the caller's */
    uint64_t delay_ns;
    uint64_t keep_ns; /* what nobody has put for so long goes */
    uint32_t flows_max;
    uint32_t state_bytes;
};

/* NULL with a line in *err. */
struct rill_store *rill_store_model_create(const struct rill_store_model_config *config,
                                           struct rill_error *err);
/* It is started anew: what it kept is gone, and what it was asked is not answered. */
void rill_store_model_restart(struct rill_store *store);
uint32_t rill_store_model_flows(const struct rill_store *store);

#endif
