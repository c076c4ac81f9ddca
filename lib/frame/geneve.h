/* The codec: a frame to and from Ethernet / IPv4 or IPv6 / UDP 6081 / Geneve (RFC 8926).
 *
 * The metadata of struct rill_frame goes into options of an experimental class (RFC 8926, 4: 0xff00
 * to 0xffff), one option per group of fields, each with a fixed width, big-endian, only those that
 * the frame's type uses. The inner protocol type is 0x6558 (Ethernet) for a packet and 0x88b5 (IEEE
 * local experimental) for a message body. docs/wire-format.md has the table.
 *
 * An unknown option is skipped if it is not critical and refused if it is; a frame that is short, of
 * another version, of an unknown type, or whose lengths do not add up is refused, each for a reason
 * that the caller counts.
 */
#ifndef RILL_LIB_FRAME_GENEVE_H
#define RILL_LIB_FRAME_GENEVE_H

#include "lib/frame/frame.h"

enum {
    RILL_GENEVE_PORT = 6081,
    RILL_GENEVE_CLASS = 0xff52, /* experimental, "R" */
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
    RILL_GENEVE_NOT_OURS,    /* not UDP to 6081 */
    RILL_GENEVE_SHORT,       /* cut */
    RILL_GENEVE_VERSION,     /* Geneve version, or option layout version */
    RILL_GENEVE_OPTION,      /* unknown critical option, wrong width, or doubled */
    RILL_GENEVE_MISSING,     /* an option that the type needs is not there */
    RILL_GENEVE_TYPE,        /* unknown frame type */
    RILL_GENEVE_VALUE,       /* a count or length out of range */
    RILL_GENEVE_RESULTS
};

const char *rill_geneve_result_name(enum rill_geneve_result result);

/* Puts the headers in front of m's data. 0, or -ENOSPC if the headroom does not do (then a segment is
 * put in front from `pool`; so only if that pool is empty: -ENOMEM). The UDP source port carries the
 * flow's hash (RFC 8926, 3.3); the UDP checksum is 0 over IPv4 and right over IPv6. */
int rill_geneve_encode(struct rte_mbuf **m, struct rte_mempool *pool,
                       const struct rill_underlay *underlay);

/* Reads the headers into m's private area and takes them off. On anything but OK m is unchanged. */
enum rill_geneve_result rill_geneve_decode(struct rte_mbuf *m);

#endif
