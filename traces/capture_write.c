/* Writing: our own few blocks, in little-endian on every machine, through zlib (which also writes
 * plain files). zlib's gzip header has no time and no name, so the same packets give the same file.
 */
#include "traces/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <zlib.h>

#include "lib/base/role.h"

enum {
    BUFFER_BYTES = 256 << 10,
    SNAP_BYTES = 262144, /* libpcap wants the same of every interface, and at least the packets' */
    LINK_ETHERNET = 1,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    OPTION_END = 0,
    OPTION_IF_NAME = 2,
    OPTION_IF_TSRESOL = 9,
    OPTION_PACKET_ID = 5,
    OPTION_PACKET_ID_BYTES = 12, /* with its head */
};

struct rill_capture_writer {
    gzFile gz;
    bool pcapng;
    int rc; /* the first error, kept */
    struct rill_error error;
    char *path;
};

/* A few header bytes on their way out. */
struct head {
    uint8_t bytes[64];
    uint32_t n;
};

static void put16(struct head *h, uint16_t v)
{
    h->bytes[h->n++] = (uint8_t)v;
    h->bytes[h->n++] = (uint8_t)(v >> 8);
}

static void put32(struct head *h, uint32_t v)
{
    put16(h, (uint16_t)v);
    put16(h, (uint16_t)(v >> 16));
}

static void put64(struct head *h, uint64_t v)
{
    put32(h, (uint32_t)v);
    put32(h, (uint32_t)(v >> 32));
}

/* An option of pcapng: code, length, value, padded to 4 bytes. */
static void put_option(struct head *h, uint16_t code, const void *value, uint16_t bytes)
{
    put16(h, code);
    put16(h, bytes);
    memcpy(h->bytes + h->n, value, bytes);
    h->n += bytes;
    while (h->n % 4 != 0)
        h->bytes[h->n++] = 0;
}

static uint32_t padding(uint32_t bytes)
{
    return -bytes & 3;
}

static int keep_error(struct rill_capture_writer *w)
{
    int code = Z_OK;
    const char *text = gzerror(w->gz, &code);

    w->rc = rill_error_set(&w->error, -EIO, "%s: cannot be written: %s", w->path,
                           code == Z_ERRNO ? strerror(errno) : text);
    return w->rc;
}

static int put_raw(struct rill_capture_writer *w, const void *data, uint32_t bytes)
{
    if (w->rc == 0 && bytes > 0 && gzwrite(w->gz, data, bytes) != (int)bytes)
        keep_error(w);
    return w->rc;
}

static void put_pcap_header(struct rill_capture_writer *w)
{
    struct head h = {.n = 0};

    put32(&h, 0xa1b23c4d); /* nanoseconds */
    put16(&h, 2);
    put16(&h, 4);
    put64(&h, 0); /* time zone and accuracy: unused */
    put32(&h, SNAP_BYTES);
    put32(&h, LINK_ETHERNET);
    put_raw(w, h.bytes, h.n);
}

static void put_section(struct rill_capture_writer *w)
{
    struct head h = {.n = 0};

    put32(&h, 0x0a0d0d0a);
    put32(&h, 28);
    put32(&h, 0x1a2b3c4d);
    put16(&h, 1);
    put16(&h, 0);
    put64(&h, UINT64_MAX); /* section length: not known */
    put32(&h, 28);
    put_raw(w, h.bytes, h.n);
}

static void put_interface(struct rill_capture_writer *w, const char *name)
{
    const uint8_t nanoseconds = 9;
    struct head h = {.n = 0}, length = {.n = 0};

    put32(&h, BLOCK_INTERFACE);
    put32(&h, 0);
    put16(&h, LINK_ETHERNET);
    put16(&h, 0);
    put32(&h, SNAP_BYTES);
    put_option(&h, OPTION_IF_NAME, name, (uint16_t)strlen(name));
    put_option(&h, OPTION_IF_TSRESOL, &nanoseconds, 1);
    put_option(&h, OPTION_END, "", 0);
    put32(&h, h.n + 4);
    put32(&length, h.n);
    memcpy(h.bytes + 4, length.bytes, 4);
    put_raw(w, h.bytes, h.n);
}

static void put_packet_head(struct rill_capture_writer *w, uint32_t bytes,
                            const struct rill_capture_packet_out *out)
{
    uint32_t wire_bytes = out->wire_bytes > bytes ? out->wire_bytes : bytes;
    struct head h = {.n = 0};

    if (w->pcapng) {
        put32(&h, BLOCK_PACKET);
        put32(&h,
              32 + bytes + padding(bytes) + (out->packet_id != 0 ? OPTION_PACKET_ID_BYTES + 4 : 0));
        put32(&h, out->side == RILL_INSIDE ? 0 : 1);
        put32(&h, (uint32_t)(out->time_ns >> 32));
        put32(&h, (uint32_t)out->time_ns);
    } else {
        put32(&h, (uint32_t)(out->time_ns / 1000000000));
        put32(&h, (uint32_t)(out->time_ns % 1000000000));
    }
    put32(&h, bytes);
    put32(&h, wire_bytes);
    put_raw(w, h.bytes, h.n);
}

static int put_packet_tail(struct rill_capture_writer *w, uint32_t bytes,
                           const struct rill_capture_packet_out *out)
{
    static const uint8_t zeros[4];
    struct head h = {.n = 0};

    if (!w->pcapng)
        return w->rc;
    put_raw(w, zeros, padding(bytes));
    if (out->packet_id != 0) {
        put16(&h, OPTION_PACKET_ID);
        put16(&h, sizeof(out->packet_id));
        put64(&h, out->packet_id);
        put32(&h, OPTION_END);
    }
    put32(&h, 32 + bytes + padding(bytes) + h.n);
    return put_raw(w, h.bytes, h.n);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n > k && strcmp(s + n - k, end) == 0;
}

int rill_capture_writer_open(const char *path, struct rill_capture_writer **writer,
                             struct rill_error *err)
{
    bool gzip = ends_with(path, ".gz");
    bool pcapng = ends_with(path, gzip ? ".pcapng.gz" : ".pcapng");
    struct rill_capture_writer *w;

    *writer = NULL;
    if (!pcapng && !ends_with(path, gzip ? ".pcap.gz" : ".pcap"))
        return rill_error_set(err, -EINVAL,
                              "%s: the ending says the format: .pcap, .pcapng, .pcap.gz or "
                              ".pcapng.gz",
                              path);
    w = calloc(1, sizeof(*w));
    if (w == NULL || (w->path = strdup(path)) == NULL) {
        free(w);
        return rill_error_set(err, -ENOMEM, "%s: no memory to write it", path);
    }
    w->pcapng = pcapng;
    errno = ENOMEM;
    w->gz = gzopen(path, gzip ? "wb9" : "wbT");
    if (w->gz == NULL) {
        rill_error_set(err, -EIO, "%s: cannot be created: %s", path, strerror(errno));
        free(w->path);
        free(w);
        return -EIO;
    }
    gzbuffer(w->gz, BUFFER_BYTES);
    if (pcapng) {
        put_section(w);
        put_interface(w, "inside");
        put_interface(w, "outside");
    } else {
        put_pcap_header(w);
    }
    *writer = w;
    return 0;
}

int rill_capture_writer_put(struct rill_capture_writer *writer, const struct rte_mbuf *m,
                            const struct rill_capture_packet_out *out)
{
    uint32_t bytes = rte_pktmbuf_pkt_len(m);

    put_packet_head(writer, bytes, out);
    for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
        put_raw(writer, rte_pktmbuf_mtod(s, const void *), rte_pktmbuf_data_len(s));
    return put_packet_tail(writer, bytes, out);
}

int rill_capture_writer_put_bytes(struct rill_capture_writer *writer, const uint8_t *data,
                                  uint32_t bytes, const struct rill_capture_packet_out *out)
{
    put_packet_head(writer, bytes, out);
    put_raw(writer, data, bytes);
    return put_packet_tail(writer, bytes, out);
}

int rill_capture_writer_close(struct rill_capture_writer *writer, struct rill_error *err)
{
    int rc, closed;

    errno = 0;
    if (writer->rc == 0) {
        closed = gzclose_w(writer->gz);
        if (closed != Z_OK)
            writer->rc = rill_error_set(&writer->error, -EIO, "%s: cannot be written: %s",
                                        writer->path, errno != 0 ? strerror(errno) : "zlib failed");
    } else {
        gzclose_w(writer->gz);
    }
    rc = writer->rc;
    if (rc != 0)
        rill_error_set(err, rc, "%s", writer->error.text);
    free(writer->path);
    free(writer);
    return rc;
}
