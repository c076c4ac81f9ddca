#include "rm/store_internal.h"

void rill_store_close(struct rill_store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

void rill_store_turn(struct rill_store *store)
{
    store->ops->turn(store);
}

void rill_store_save(struct rill_store *store, uint64_t version, const char *name, const void *data,
                     size_t bytes)
{
    store->ops->save(store, version, name, data, bytes);
}

void rill_store_end(struct rill_store *store)
{
    store->ops->end(store);
}

void rill_store_state(const struct rill_store *store, struct rill_store_state *state)
{
    store->ops->state(store, state);
}
