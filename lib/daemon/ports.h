/* Two interfaces of this machine, the inside's and the outside's: what a controller takes packets
 * from and an output logger puts them out at.
 *
 * AF_PACKET sockets of our own, not DPDK's af_packet driver (22.11): that one joins its sockets
 * into a fanout group named after process id and interface, so that in containers, where every
 * process is number 1, a controller and its output loggers would share out what comes in; lets the
 * kernel put fragments together and then cuts them to its buffers; waits in poll() while an
 * interface takes nothing; and needs CAP_NET_ADMIN. What is here needs CAP_NET_RAW and never waits.
 *
 * Received is what comes in from the wire; what this machine sends out of the interface is not.
 * Sending goes past the queueing discipline. An interface that is received from is in promiscuous
 * mode as long as it is open. The interfaces' own offloads (checksums, segmentation) have to be off
 * where packets come from a local stack; docs/running-a-cluster.md says how. VLAN tags that the
 * kernel took off are put back.
 */
#ifndef RILL_LIB_DAEMON_PORTS_H
#define RILL_LIB_DAEMON_PORTS_H

#include <rte_mbuf.h>

#include "lib/base/error.h"
#include "lib/base/role.h"

struct rill_ports;

enum rill_ports_use { RILL_PORTS_RECEIVE, RILL_PORTS_TRANSMIT };

#define RILL_PORTS_COUNTERS(X)                                                                     \
    X(received) /* from the kernel; those that are dropped here, too */                            \
    X(sent)                                                                                        \
    X(dropped_port_full)      /* the interface took no more */                                     \
    X(dropped_port_down)      /* the interface is down, or gone */                                 \
    X(dropped_port_too_long)  /* longer than the interface's MTU */                                \
    X(dropped_port_no_buffer) /* received by the kernel, and there was no mbuf */                  \
    X(missed) /* came in while the ring to us was full: never seen, not in `received` */

struct rill_ports_counters {
#define X(name) uint64_t name;
    RILL_PORTS_COUNTERS(X)
#undef X
};

/* -ENODEV (no such interface), -EPERM, -EINVAL, -EIO with a line in *err. */
int rill_ports_open(const char *inside, const char *outside, enum rill_ports_use use,
                    struct rte_mempool *pool, struct rill_ports **ports, struct rill_error *err);
void rill_ports_close(struct rill_ports *ports); /* NULL is fine */

/* Up to n packets that came in at a side: fresh frames (metadata zero but for PACKET, side,
 * wire_bytes), the caller's. */
uint32_t rill_ports_receive(struct rill_ports *ports, enum rill_side side,
                            struct rte_mbuf **packets, uint32_t n);
/* Takes all n packets; they leave in order. What is not sent is freed and counted. */
void rill_ports_send(struct rill_ports *ports, enum rill_side side, struct rte_mbuf **packets,
                     uint32_t n);

const struct rill_ports_counters *rill_ports_counters(struct rill_ports *ports);

#endif
