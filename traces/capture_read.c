/* Reading: zlib under a FILE, so that libpcap need not know whether a capture is compressed. */
#include "traces/capture.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <zlib.h>

enum {
    PACKET_BYTES_MAX = 65535,
    CHUNK_BYTES = 4 << 20,
    STREAM_BUFFER_BYTES = 256 << 10,
    FIRST_PACKETS = 4096,
};

/* The packets' bytes lie in chunks, which never move, so that pointers into them stay good. */
struct chunk {
    struct chunk *next;
    uint32_t used;
    uint8_t data[CHUNK_BYTES];
};

/* A gzip stream (or a plain file, which zlib passes through), as fopencookie sees it. */
struct stream {
    gzFile gz;
    uint64_t bytes; /* given so far */
    uint8_t magic[4];
    bool cut; /* the compressed data end too early */
    char fault[128];
};

struct reader {
    const char *path;
    struct rill_error *err;
    struct stream stream;
    pcap_t *pcap;
    struct rill_capture capture;
    struct chunk *chunks;
    uint64_t room;         /* packets allocated */
    uint64_t memory_bytes; /* allocated for chunks and packets */
    uint64_t memory_bytes_max;
};

/* zlib puts the path in front; so do we. */
static const char *after_colon(const char *text)
{
    const char *colon = strrchr(text, ':');

    return colon != NULL && colon[1] == ' ' ? colon + 2 : text;
}

static void note_fault(struct stream *s)
{
    int code = Z_OK;
    const char *text = gzerror(s->gz, &code);

    if (code == Z_BUF_ERROR)
        s->cut = true;
    else if (code != Z_OK && code != Z_STREAM_END && s->fault[0] == '\0')
        snprintf(s->fault, sizeof(s->fault), "%s",
                 code == Z_ERRNO ? strerror(errno) : after_colon(text));
}

static ssize_t stream_read(void *cookie, char *buf, size_t bytes)
{
    struct stream *s = cookie;
    int n = gzread(s->gz, buf, (unsigned)bytes);

    if (n < (int)bytes)
        note_fault(s);
    if (n < 0) {
        errno = EIO;
        return -1;
    }
    for (int i = 0; i < n && s->bytes + (uint64_t)i < sizeof(s->magic); i++)
        s->magic[s->bytes + (uint64_t)i] = (uint8_t)buf[i];
    s->bytes += (uint64_t)n;
    return n;
}

static int stream_close(void *cookie)
{
    gzclose_r(((struct stream *)cookie)->gz);
    return 0;
}

static int refuse_open(const struct reader *r)
{
    if (errno == ENOENT)
        return rill_error_set(r->err, -ENOENT, "%s: no such file", r->path);
    if (errno == ENOMEM)
        return rill_error_set(r->err, -ENOMEM, "%s: no memory to open it", r->path);
    return rill_error_set(r->err, -EIO, "%s: cannot be read: %s", r->path, strerror(errno));
}

/* NULL with the error set. */
static FILE *open_stream(struct reader *r, int *rc)
{
    struct stat st;
    FILE *file;

    if (stat(r->path, &st) != 0) {
        *rc = refuse_open(r);
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        *rc = rill_error_set(r->err, -EINVAL, "%s: is a directory; name a capture in it", r->path);
        return NULL;
    }
    errno = ENOMEM; /* zlib leaves it alone where memory is what is missing */
    r->stream.gz = gzopen(r->path, "rb");
    if (r->stream.gz == NULL) {
        *rc = refuse_open(r);
        return NULL;
    }
    gzbuffer(r->stream.gz, STREAM_BUFFER_BYTES);
    file = fopencookie(&r->stream, "r",
                       (cookie_io_functions_t){.read = stream_read, .close = stream_close});
    if (file == NULL) {
        gzclose_r(r->stream.gz);
        *rc = rill_error_set(r->err, -ENOMEM, "%s: no memory to open it", r->path);
        return NULL;
    }
    setvbuf(file, NULL, _IOFBF, STREAM_BUFFER_BYTES);
    return file;
}

static bool is_pcapng(const struct stream *s)
{
    static const uint8_t magic[4] = {0x0a, 0x0d, 0x0d, 0x0a};

    return memcmp(s->magic, magic, 4) == 0;
}

static const char *format_name(const struct stream *s)
{
    static const uint8_t nano[4] = {0xa1, 0xb2, 0x3c, 0x4d},
                         nano_swapped[4] = {0x4d, 0x3c, 0xb2, 0xa1};
    bool gzip = gzdirect(s->gz) == 0;

    if (is_pcapng(s))
        return gzip ? "pcapng, gzip" : "pcapng";
    if (memcmp(s->magic, nano, 4) == 0 || memcmp(s->magic, nano_swapped, 4) == 0)
        return gzip ? "pcap (ns), gzip" : "pcap (ns)";
    return gzip ? "pcap, gzip" : "pcap";
}

static int refuse_header(const struct reader *r, const char *why)
{
    if (r->stream.fault[0] != '\0')
        return rill_error_set(r->err, -EIO, "%s: cannot be read: %s", r->path, r->stream.fault);
    if (r->stream.cut)
        return rill_error_set(r->err, -EINVAL,
                              "%s: truncated after packet 0: the gzip data end too early; get the "
                              "file anew",
                              r->path);
    if (r->stream.bytes == 0)
        return rill_error_set(r->err, -EINVAL, "%s: empty; name a capture (pcap or pcapng)",
                              r->path);
    return rill_error_set(r->err, -EINVAL, "%s: not a capture (pcap or pcapng, plain or gzip): %s",
                          r->path, why);
}

static int refuse_link_type(const struct reader *r)
{
    int type = pcap_datalink(r->pcap);
    const char *name = pcap_datalink_val_to_name(type);

    return rill_error_set(r->err, -EINVAL,
                          "%s: link type %s (%d), not Ethernet; make it Ethernet with 'tcprewrite "
                          "--dlt=enet', or, if its packets are Ethernet, with 'editcap -T ether'",
                          r->path, name != NULL ? name : "unknown", type);
}

static int open_pcap(struct reader *r)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    int rc = 0;
    FILE *file = open_stream(r, &rc);

    if (file == NULL)
        return rc;
    r->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
    if (r->pcap == NULL) {
        rc = refuse_header(r, why);
        fclose(file);
        return rc;
    }
    r->capture.format = format_name(&r->stream);
    return pcap_datalink(r->pcap) == DLT_EN10MB ? 0 : refuse_link_type(r);
}

static int refuse_memory(const struct reader *r)
{
    return rill_error_set(r->err, -ENOMEM,
                          "%s: no memory for more than %" PRIu64 " packets (%" PRIu64
                          " MB); cut it with 'editcap -c %" PRIu64 "'",
                          r->path, r->capture.count, r->memory_bytes >> 20,
                          r->capture.count > 1 ? r->capture.count / 2 : 1);
}

/* A small file may unpack to more than the machine has, and the kernel promises memory that it does
 * not have: so the limit is ours. */
static bool take_memory(struct reader *r, uint64_t bytes)
{
    if (r->memory_bytes + bytes > r->memory_bytes_max)
        return false;
    r->memory_bytes += bytes;
    return true;
}

static uint8_t *take_bytes(struct reader *r, uint32_t bytes)
{
    struct chunk *c = r->chunks;

    if (c == NULL || CHUNK_BYTES - c->used < bytes) {
        c = take_memory(r, sizeof(*c)) ? malloc(sizeof(*c)) : NULL;
        if (c == NULL)
            return NULL;
        c->used = 0;
        c->next = r->chunks;
        r->chunks = c;
    }
    c->used += bytes;
    return c->data + c->used - bytes;
}

static struct rill_capture_packet *take_packet(struct reader *r)
{
    if (r->capture.count == r->room) {
        uint64_t room = r->room != 0 ? 2 * r->room : FIRST_PACKETS;
        struct rill_capture_packet *packets = NULL;

        if (take_memory(r, (room - r->room) * sizeof(*packets)))
            packets = realloc(r->capture.packets, room * sizeof(*packets));
        if (packets == NULL)
            return NULL;
        r->capture.packets = packets;
        r->room = room;
    }
    return &r->capture.packets[r->capture.count];
}

/* A damaged file can hold any number here; what no date can be is cut to 0 or to the year 2242. In
 * a pcap the seconds are unsigned, which libpcap does not know. */
static uint64_t packet_time_ns(const struct pcap_pkthdr *h, bool pcapng)
{
    const int64_t second_ns = 1000000000, seconds_max = (int64_t)8600 * 1000 * 1000;
    int64_t s = h->ts.tv_sec, ns = h->ts.tv_usec;

    if (!pcapng)
        s = (uint32_t)s;
    if (s < 0)
        return 0;
    if (s > seconds_max)
        s = seconds_max;
    if (ns < 0 || ns > 1000 * second_ns)
        ns = 0;
    return (uint64_t)(s * second_ns + ns);
}

static int add_packet(struct reader *r, const struct pcap_pkthdr *h, const uint8_t *data)
{
    uint32_t wire_bytes = h->len > h->caplen ? h->len : h->caplen;
    struct rill_capture_packet *p;
    uint8_t *copy;

    if (wire_bytes > PACKET_BYTES_MAX)
        return rill_error_set(r->err, -EINVAL,
                              "%s: packet %" PRIu64 " has %u bytes, more than 65,535; cut it with "
                              "'editcap -s 65535 -L'",
                              r->path, r->capture.count + 1, wire_bytes);
    p = take_packet(r);
    copy = p != NULL ? take_bytes(r, h->caplen) : NULL;
    if (copy == NULL)
        return refuse_memory(r);
    memcpy(copy, data, h->caplen);
    *p = (struct rill_capture_packet){.time_ns = packet_time_ns(h, is_pcapng(&r->stream)),
                                      .data = copy,
                                      .bytes = h->caplen,
                                      .wire_bytes = wire_bytes};
    r->capture.count++;
    r->capture.bytes += wire_bytes;
    return 0;
}

static int refuse_packet(const struct reader *r)
{
    const char *why = pcap_geterr(r->pcap);
    uint64_t n = r->capture.count;

    if (r->stream.fault[0] != '\0')
        return rill_error_set(r->err, -EIO, "%s: cannot be read after packet %" PRIu64 ": %s",
                              r->path, n, r->stream.fault);
    if (r->stream.cut)
        return rill_error_set(r->err, -EINVAL,
                              "%s: truncated after packet %" PRIu64
                              ": the gzip data end too early; get the file anew",
                              r->path, n);
    if (strstr(why, "truncated") != NULL)
        return rill_error_set(r->err, -EINVAL,
                              "%s: truncated after packet %" PRIu64
                              ": %s; keep the whole packets with 'editcap'",
                              r->path, n, why);
    return rill_error_set(r->err, -EINVAL,
                          "%s: damaged or not supported after packet %" PRIu64
                          ": %s; 'editcap -F pcap' may mend it",
                          r->path, n, why);
}

static int read_packets(struct reader *r)
{
    struct pcap_pkthdr *h;
    const uint8_t *data;
    int rc = 0, got;

    while (rc == 0 && (got = pcap_next_ex(r->pcap, &h, &data)) == 1)
        rc = add_packet(r, h, data);
    if (rc != 0)
        return rc;
    /* A gzip stream may end early just between two packets, where libpcap sees nothing wrong. */
    if (got != PCAP_ERROR_BREAK || r->stream.cut || r->stream.fault[0] != '\0')
        return refuse_packet(r);
    if (r->capture.count == 0)
        return rill_error_set(r->err, -EINVAL, "%s: a capture without packets", r->path);
    return 0;
}

int rill_capture_read(const char *path, struct rill_capture *capture, struct rill_error *err)
{
    struct reader r = {.path = path, .err = err};
    int rc;

    memset(capture, 0, sizeof(*capture));
    r.memory_bytes_max =
        (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * 3 * (uint64_t)sysconf(_SC_PAGESIZE);
    rc = open_pcap(&r);
    if (rc == 0)
        rc = read_packets(&r);
    if (r.pcap != NULL)
        pcap_close(r.pcap); /* closes the stream too */
    r.capture.memory = r.chunks;
    if (rc != 0)
        rill_capture_free(&r.capture);
    else
        *capture = r.capture;
    return rc;
}

void rill_capture_free(struct rill_capture *capture)
{
    struct chunk *c = capture->memory;

    while (c != NULL) {
        struct chunk *next = c->next;

        free(c);
        c = next;
    }
    free(capture->packets);
    memset(capture, 0, sizeof(*capture));
}
