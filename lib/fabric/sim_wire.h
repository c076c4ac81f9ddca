/* What a wire does to a frame: into the outer headers and out again. */
#ifndef RILL_LIB_FABRIC_SIM_WIRE_H
#define RILL_LIB_FABRIC_SIM_WIRE_H

#include <rte_mbuf.h>

/* -ENOMEM, -EMSGSIZE: it could not be sent, and is the caller's still. What the codec wrote and
 * cannot read is a bug, and aborts the program. */
int sim_wire(struct rte_mbuf **m, struct rte_mempool *pool);

#endif
