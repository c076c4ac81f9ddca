/* The resource manager's messages to controllers and units (rm/rm.h: leases, deaths,
 * members), between the
 * frames that the cores speak and control messages. In the embedded form and in the simulator they
 * are frames on the fabric; in a cluster they are control messages, as they are few and no packet
 * waits for them.
 */
#ifndef RILL_LIB_CONTROL_LEASE_H
#define RILL_LIB_CONTROL_LEASE_H

#include <rte_mbuf.h>

#include "lib/control/control.h"

/* Packs a frame of type LEASE_REQUEST, LEASE_GRANT, SHARE, SHARE_ACK, DEATH, DEATH_ACK, RECOVERED,
 * RECOVERED_ACK, NEW_LOGGER, NEW_LOGGER_ACK, MEMBERS_REQUEST or MEMBERS and hands it to `send`. The
 * frame stays the caller's. -EINVAL: it is none of these, or its body is not as it should be. */
int rill_lease_from_frame(struct rte_mbuf *frame,
                          void (*send)(void *arg, const Control__Message *message), void *arg);

/* The frame for such a message, from `message->from` to `dst`. NULL: not such a message, the pool
 * is empty, or more leases or members than a
 * frame's body holds. */
struct rte_mbuf *rill_lease_to_frame(const Control__Message *message, uint32_t dst,
                                     struct rte_mempool *pool);

#endif
