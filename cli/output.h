/* Where released packets go: a capture file, a DPDK port, or nowhere. */
#ifndef RILL_CLI_OUTPUT_H
#define RILL_CLI_OUTPUT_H

#include <rte_mbuf.h>

#include "lib/base/error.h"
#include "traces/capture.h"

struct rill_output;

/* At most one of `path` and `devargs` is not NULL. A DPDK port is probed by its devargs
 * ("net_pcap0,tx_pcap=out.pcap", "net_null0", "net_tap0"), given one transmit queue and started.
 * `pool` is where a port may take mbufs for its own (unused) receive queue. */
int rill_output_open(const char *path, const char *devargs, struct rte_mempool *pool,
                     struct rill_output **output, struct rill_error *err);
/* Takes the packet in all cases. False if it could not be written or the port refused it: the
 * caller counts that as a drop. */
bool rill_output_put(struct rill_output *output, struct rte_mbuf *m,
                     const struct rill_capture_packet_out *meta);
/* How often put() had to wait for the disk. */
uint64_t rill_output_waits(const struct rill_output *output);
/* Flushes and frees. Negative with *err if a file is not whole. NULL is fine. */
int rill_output_close(struct rill_output *output, struct rill_error *err);

#endif
