/* The codec: a frame to and from Ethernet / IPv4 or IPv6 / UDP 6081 / Geneve (RFC 8926).
 *
 * The metadata of struct rill_frame goes into options of an experimental class (RFC 8926, 4: 0xff00
 * to 0xffff), one option per group of fields, each with a fixed width, big-endian, only those that
 * the frame's type uses. The inner protocol type is 0x6558 (Ethernet) for a packet and 0x88b5 (IEEE
 * local experimental) for a message body. docs/wire-format.md has the table.
 *
 * An unknown option is skipped if it is not critical and refused if it is; a frame that is short,
 * of another version, of an unknown type, or whose lengths do not add up is refused, each for a
 * reason that the caller counts.
 */
#ifndef RILL_LIB_FRAME_GENEVE_H
#define RILL_LIB_FRAME_GENEVE_H

#include "lib/frame/frame.h"

enum {
    RILL_GENEVE_PORT = 6081,
    RILL_GENEVE_CLASS = 0xff52,                  /* experimental, "R" */
    RILL_GENEVE_HEADROOM = 14 + 40 + 8 + 8 + 252 /* at most so many bytes go in front */
};

struct rill_underlay { /* where a frame travels: one per peer */
    uint8_t src_mac[6], dst_mac[6];
    struct rill_endpoint_addr {
        uint8_t family; /* 4 or 6, the same in both */
        uint8_t addr[16];
    } src, dst;
};

enum rill_geneve_result {
    RILL_GENEVE_OK = 0,
    RILL_GENEVE_NOT_OURS, /* not UDP to 6081 */
    RILL_GENEVE_SHORT,    /* cut */
    RILL_GENEVE_VERSION,  /* Geneve version, or option layout version */
    RILL_GENEVE_OPTION,   /* unknown critical option, wrong width, doubled, or not of the type */
    RILL_GENEVE_MISSING,  /* an option that the type needs is not there */
    RILL_GENEVE_TYPE,     /* unknown frame type */
    RILL_GENEVE_VALUE,    /* a count, length or flag out of range or at odds with another */
    RILL_GENEVE_CHECKSUM, /* outer IPv4 or UDP checksum wrong, or no UDP checksum over IPv6 */
    RILL_GENEVE_RESULTS
};

const char *rill_geneve_result_name(enum rill_geneve_result result);

/* The headers from Ethernet to IP, as every frame to that peer has them: only the lengths, and over
 * IPv4 the checksum, are written for each. */
struct rill_geneve_outer {
    uint8_t headers[14 + 40];
    uint16_t sum; /* of the IPv4 header, as the machine reads it; its length is zero yet */
    bool ip6;
};

/* -EINVAL: the addresses are not both of IPv4, or both of IPv6. */
int rill_geneve_outer_init(struct rill_geneve_outer *outer, const struct rill_underlay *underlay);

/* Puts the headers in front of m's data. Where the headroom does not do, they go into a segment
 * from `pool`, which becomes *m. The UDP source port carries the flow's hash (RFC 8926, 3.3); the
 * UDP checksum is 0 over IPv4 and right over IPv6. Fields that the frame's type does not use are
 * not carried. 0, or else *m is as it was and -EMSGSIZE  the outer IP packet would be longer than
 * its 16-bit length can say: a packet above some 65,250 bytes (a body always fits), -ENOMEM    the
 * pool is empty, -ENOSPC    there is neither headroom nor a pool, or its buffers are too small for
 * the headers, -EINVAL    the metadata is not what its type may have (or vni has more than 24 bits,
 * or wire_bytes is less than the packet): a bug of whoever made the frame. */
int rill_geneve_encode(struct rte_mbuf **m, struct rte_mempool *pool,
                       const struct rill_geneve_outer *outer);

/* Reads the headers into m's private area and takes them off, and Ethernet's padding behind. The
 * first 1,024 bytes of what is left are then in the first segment. On anything but OK m is
 * unchanged. Of a body it checks only the length. */
enum rill_geneve_result rill_geneve_decode(struct rte_mbuf *m);

/* Of a frame that was refused, for the counts: whether it says that it has a packet. False if its
 * outer headers can't be read. */
bool rill_geneve_says_packet(const struct rte_mbuf *m);

#endif
