/* Starts DPDK's EAL for a process that needs no root, no hugepages and no device; and makes pools.
 */
#ifndef RILL_LIB_BASE_EAL_H
#define RILL_LIB_BASE_EAL_H

#include <stdint.h>

#include "lib/base/error.h"

struct rte_mempool;

/* Once per process; a second call returns 0 and does nothing. `memory_mb` bounds what DPDK may take
 * (it is only touched as it is used). Quiet: of EAL's own log only what is critical comes out. Own
 * file prefix by process id, no PCI, no telemetry, no shared files. -ENOMEM or -EIO with a line in
 * *err. */
int rill_eal_init(uint32_t memory_mb, struct rill_error *err);

/* A pool of mbufs for frames: private area of struct rill_frame, 2,048 bytes of data room and
 * headroom enough for the Geneve header. NULL with a line in *err. Freed by rte_mempool_free. */
struct rte_mempool *rill_frame_pool_create(const char *name, uint32_t mbufs,
                                           struct rill_error *err);

#endif
