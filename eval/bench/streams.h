/* What TCP connections carry in a benchmark: text, each connection's bytes in order. */
#ifndef RILL_EVAL_BENCH_STREAMS_H
#define RILL_EVAL_BENCH_STREAMS_H

#include <stdint.h>

enum {
    BENCH_STREAMS_TEXT_BYTES = 1 << 16,
    BENCH_STREAMS_HEAD_BYTES = 54, /* Ethernet, IPv4, TCP */
};

struct bench_streams {
    uint32_t *sent; /* by flow: bytes of its stream */
    uint8_t text[BENCH_STREAMS_TEXT_BYTES];
};

/* NULL: no memory. */
struct bench_streams *bench_streams_create(uint32_t flows);
void bench_streams_destroy(struct bench_streams *streams); /* NULL is fine */

/* Makes `packet`, which has an IPv4 header and addresses, the next segment of the flow's stream. */
void bench_streams_fill(struct bench_streams *streams, uint32_t flow, uint8_t *packet,
                        uint32_t packet_bytes);

#endif
