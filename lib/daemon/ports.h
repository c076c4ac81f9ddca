/* Two interfaces of this machine, the inside's and the outside's, as DPDK ports over af_packet:
 * what a controller takes packets from and an output logger puts them out at.
 *
 * Transmits past the queueing discipline, so that what one role sends is not received again by
 * another that listens at the same interface. Promiscuous while open. The interfaces' own offloads
 * (checksums, segmentation) have to be off where packets come from a local stack;
 * docs/running-a-cluster.md says how. VLAN tags that the kernel took off are put back.
 */
#ifndef RILL_LIB_DAEMON_PORTS_H
#define RILL_LIB_DAEMON_PORTS_H

#include <rte_mbuf.h>

#include "lib/base/error.h"
#include "lib/base/role.h"

struct rill_ports;

enum rill_ports_use { RILL_PORTS_RECEIVE, RILL_PORTS_TRANSMIT };

struct rill_ports_counters {
    uint64_t received, sent;
    uint64_t dropped_port_full;      /* the interface took no more */
    uint64_t dropped_port_too_long;  /* longer than the interface's MTU */
    uint64_t dropped_port_no_buffer; /* received by the kernel, and there was no mbuf */
};

/* -ENODEV (no such interface), -EPERM, -EIO with a line in *err. */
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
