/* Captures: read whole into memory, written as they come.
 *
 * Read: pcap (micro- and nanoseconds, both byte orders), pcapng, each also gzipped; link type
 * Ethernet. By libpcap, through zlib. The whole capture is read before anything is replayed, so
 * that a bad one is refused before the first packet is sent, and reading never disturbs timing.
 * Errors: one line with the file, what is wrong and what to do: missing, empty, not a capture,
 * truncated (after which packet), unknown link type (its name and number), packets of over 65,535
 * bytes (number of the packet), no memory.
 */
#ifndef RILL_TRACES_CAPTURE_H
#define RILL_TRACES_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

struct rill_capture_packet {
    uint64_t time_ns;    /* since the epoch, as captured (may run backwards) */
    const uint8_t *data; /* `bytes` of it, in the capture's memory */
    uint32_t bytes;      /* captured */
    uint32_t wire_bytes; /* on the wire, >= bytes */
};

struct rill_capture {
    struct rill_capture_packet *packets;
    uint64_t count;     /* > 0 */
    uint64_t bytes;     /* sum of wire_bytes */
    const char *format; /* "pcap", "pcap (ns)", "pcapng"; with ", gzip" */
    void *memory;
};

/* 0; -ENOENT, -EINVAL, -ENOMEM, -EIO with *err set and *capture zeroed. */
int rill_capture_read(const char *path, struct rill_capture *capture, struct rill_error *err);
void rill_capture_free(struct rill_capture *capture); /* zeroed is fine */

/* Writer. A path that ends in ".pcapng" (or ".pcapng.gz") gets pcapng with nanosecond times, two
 * interfaces named "inside" and "outside", and each packet's number in its input as epb_packetid;
 * ".pcap" (or ".pcap.gz") gets nanosecond pcap without these; any other ending is refused.
 * Buffered; an error while writing (disk full) is kept and reported by the next call. */
struct rill_capture_writer;
struct rill_capture_packet_out {
    uint64_t time_ns;
    uint32_t wire_bytes;
    uint8_t side;       /* where it leaves: enum rill_side */
    uint64_t packet_id; /* number in the input, from 1; 0: none */
};
int rill_capture_writer_open(const char *path, struct rill_capture_writer **writer,
                             struct rill_error *err);
struct rte_mbuf;
int rill_capture_writer_put(struct rill_capture_writer *writer, const struct rte_mbuf *m,
                            const struct rill_capture_packet_out *out);
/* Same, from flat bytes (the generator has no mbufs). */
int rill_capture_writer_put_bytes(struct rill_capture_writer *writer, const uint8_t *data,
                                  uint32_t bytes, const struct rill_capture_packet_out *out);
/* Flushes, closes, frees. 0, or -EIO with *err: the file is then not whole. */
int rill_capture_writer_close(struct rill_capture_writer *writer, struct rill_error *err);

#endif
