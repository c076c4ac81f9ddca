/* TCP's bytes in order: one direction of one connection, in bounded memory that the caller keeps.
 *
 * What was received first stays: a later segment fills only what is still missing (the policy
 * "first" of Snort and Suricata). Segments ahead of a gap wait in a ring. A gap is given up when
 * what lies behind it no longer fits, or when the receiver acknowledges it: then it was never to be
 * seen here.
 */
#ifndef RILL_NFS_IDS_ORDER_H
#define RILL_NFS_IDS_ORDER_H

#include <stdint.h>

enum {
    IDS_EXTENTS_MAX = 8,      /* runs of bytes that wait behind gaps */
    IDS_FAR_BYTES = 1u << 20, /* a segment further ahead is no part of the stream */
};

/* Bytes [start, end) by sequence number. */
struct ids_extent {
    uint32_t start, end;
};

struct ids_order {
    /* What is kept between packets. */
    uint32_t *next;             /* the sequence number that is awaited */
    struct ids_extent *extents; /* IDS_EXTENTS_MAX, by sequence number, none touching another */
    uint8_t *n_extents;
    uint8_t *ring;       /* the byte with sequence number s at s modulo ring_bytes */
    uint32_t ring_bytes; /* a power of two */

    /* To whom the bytes go, in order, and the length of each gap. */
    void (*deliver)(void *arg, const uint8_t *data, uint32_t bytes);
    void (*gap)(void *arg, uint32_t bytes);
    void *arg;

    /* What the calls since these were zeroed did. */
    uint32_t waiting;  /* segments put into the ring */
    uint32_t old;      /* segments of which nothing was new */
    uint32_t far;      /* segments too far ahead, ignored */
    uint32_t overlaps; /* segments of which a part was there already */
};

void ids_order_segment(struct ids_order *order, uint32_t sequence, const uint8_t *data,
                       uint32_t bytes);
/* Bytes of the stream that are known never to be seen: cut off by a capture. */
void ids_order_missing(struct ids_order *order, uint32_t sequence, uint32_t bytes);
/* The receiver has all bytes before `acknowledgement`. */
void ids_order_acknowledged(struct ids_order *order, uint32_t acknowledgement);

#endif
