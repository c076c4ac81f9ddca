/* Writes a capture in a thread of its own, so that a slow disk does not hold up packets that are
 * due.
 *
 * Packets are copied into chunks; full chunks go to the thread, in order. At most 64 MB wait:
 * beyond that put() waits for the disk, and counts it.
 */
#ifndef RILL_CLI_WRITER_H
#define RILL_CLI_WRITER_H

#include <rte_mbuf.h>

#include "traces/capture.h"

struct rill_writer;

/* Opens the file at once: a path that can't be written is refused here. 0 or negative with *err. */
int rill_writer_open(const char *path, struct rill_writer **writer, struct rill_error *err);
/* Copies the packet. False once a write has failed: nothing more is written. */
bool rill_writer_put(struct rill_writer *writer, const struct rte_mbuf *m,
                     const struct rill_capture_packet_out *meta);
uint64_t rill_writer_waits(const struct rill_writer *writer);
/* Waits until all is written; frees. Negative with *err if the file is not whole. NULL is fine. */
int rill_writer_close(struct rill_writer *writer, struct rill_error *err);

#endif
