/* The ports under fabric_memif.c: DPDK devices of the memif driver, each with the socket over which
 * the driver negotiates.
 *
 * The driver of DPDK 22.11 must not talk to another process itself. Its control sockets are served
 * by EAL's interrupt thread, and when a peer dies
 *  - that thread unmaps the link's memory, though the packet thread may be copying into it: a
 * crash;
 *  - a client that dies before it is greeted leaves a closed socket registered: EAL panics;
 *  - connect() waits where the listener's queue is full, that of a peer that sleeps;
 *  - writing to it raises SIGPIPE.
 * So the driver talks to us only, over a socket within this process that is closed when we say so,
 * and we relay its messages to the peer (memif_relay.h).
 *
 * A process makes as many devices as it has links at one time: an idle one is used again. The
 * driver leaves its listening socket behind when a server is removed.
 */
#ifndef RILL_LIB_FABRIC_MEMIF_PORT_H
#define RILL_LIB_FABRIC_MEMIF_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <rte_mempool.h>

#include "lib/base/error.h"

struct rill_memif_port {
    struct rill_memif_port *next; /* in the list of idle ones */
    uint16_t id;                  /* DPDK's */
    uint32_t number;              /* ours, in its name */
    bool server;
    bool started;
    int listener;               /* a client's: where the driver connects to us; else -1 */
    int local;                  /* our end of the driver's control socket; -1: none */
    struct sockaddr_un address; /* of the listener, the driver's or ours */
};

struct rill_memif_ports {
    const char *folder;
    uint32_t log2_ring;
    uint32_t buffer_bytes;
    struct rte_mempool *pool;
    struct rill_memif_port *idle;
};

/* -EINVAL, -ENAMETOOLONG, -ENOENT, -ENOTDIR, -EACCES with a line in *err. */
int rill_memif_folder_check(const char *folder, struct rill_error *err);
/* Where the role listens for its peers. */
void rill_memif_role_address(const char *folder, uint32_t role, struct sockaddr_un *address);
/* A socket that listens there, without waiting; it takes the place of one that was left behind.
 * A negative errno if it can not. */
int rill_memif_listen(const struct sockaddr_un *address);

/* NULL with a line in *err; *code is a negative errno. `self`: for the names of its files. */
struct rill_memif_port *rill_memif_port_open(struct rill_memif_ports *ports, uint32_t self,
                                             bool server, int *code, struct rill_error *err);
/* The port is idle. It is disconnected. */
void rill_memif_port_close(struct rill_memif_ports *ports, struct rill_memif_port *port);

/* Starts a negotiation: port->local is there. Does not wait. */
int rill_memif_port_connect(struct rill_memif_port *port);
bool rill_memif_port_is_up(const struct rill_memif_port *port);
/* Asks the driver to end it; from now on no frames may be sent or received. */
void rill_memif_port_hang_up(struct rill_memif_port *port);
/* After that: whether the driver is done. If so, the port is disconnected. */
bool rill_memif_port_is_down(struct rill_memif_port *port);
/* Hangs up and waits for the driver: this process's other thread, some 100 us. */
void rill_memif_port_disconnect(struct rill_memif_port *port);

/* Removes all idle ports. */
void rill_memif_ports_fini(struct rill_memif_ports *ports);

#endif
