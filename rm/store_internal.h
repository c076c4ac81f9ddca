/* What the two kinds of store share; nobody else includes it. */
#ifndef RILL_RM_STORE_INTERNAL_H
#define RILL_RM_STORE_INTERNAL_H

#include "rm/store.h"

struct rill_store_ops {
    void (*close)(struct rill_store *store);
    void (*turn)(struct rill_store *store);
    void (*save)(struct rill_store *store, uint64_t version, const char *name, const void *data,
                 size_t bytes);
    void (*end)(struct rill_store *store);
    void (*state)(const struct rill_store *store, struct rill_store_state *state);
};

struct rill_store {
    const struct rill_store_ops *ops;
    struct rill_store_events events;
};

#endif
