/* Built without ZooKeeper's client. */
#include <errno.h>

#include "rm/store_internal.h"

int rill_store_open_registry(const struct rill_store_registry *where,
                             const struct rill_store_events *events, struct rill_store **store,
                             struct rill_error *err)
{
    (void)where;
    (void)events;
    *store = NULL;
    return rill_error_set(err, -ENOTSUP,
                          "this rill was built without ZooKeeper: apt-get install "
                          "libzookeeper-mt-dev, and build again");
}
