/* The registry on ZooKeeper (registry.h), by its multi-threaded C client. The client's threads
 * touch nothing of the owner's: what they hear goes into a queue behind an eventfd, and comes out
 * in rill_registry_turn(). The queue can't overflow: it holds what was asked for.
 *
 * The time-out must be at least twice the servers' tickTime; they raise one that is shorter, and
 * the session counts with what they say. (An ensemble whose minSessionTimeout was set below that
 * breaks the rule behind rill_registry_may_act().)
 *
 * Nodes are made readable and writable by all who reach the servers: keep those in the machines'
 * own network.
 */
#ifndef RILL_LIB_REGISTRY_REGISTRY_ZOOKEEPER_H
#define RILL_LIB_REGISTRY_REGISTRY_ZOOKEEPER_H

#include "lib/registry/registry.h"

/* `servers`: "address:port,address:port,...". The session comes up when one of them answers, now or
 * later. A name in place of an address is looked up here, which may wait. -EINVAL, -ENOMEM, -EMFILE
 * with a line in *err. */
int rill_registry_connect_zookeeper(const char *servers, uint64_t timeout_ns, uint64_t now_ns,
                                    struct rill_registry **registry, struct rill_error *err);

#endif
