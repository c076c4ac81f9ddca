/* Packets from memory: over IPv4 from `flows` inside endpoints to one server, made as they are
 * asked for. Like a capture that is replayed without end: a buffer from the pool, and the packet
 * written into it, the first 64 bytes of a UDP datagram or all of a TCP segment.
 */
#ifndef RILL_EVAL_BENCH_SOURCE_H
#define RILL_EVAL_BENCH_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "eval/bench/streams.h"
#include "lib/base/error.h"
#include "lib/base/rng.h"

enum {
    BENCH_BURST = 32,
    BENCH_ACTIVE = 64,  /* order BURSTS: flows that take turns ... */
    BENCH_FLOWLET = 10, /* ... until each has sent so many packets */
    BENCH_PACKET_MIN = 64,
};

enum bench_order {
    BENCH_IN_TURN, /* each flow once, then all again */
    BENCH_RANDOM,  /* any flow at any time */
    BENCH_BURSTS,  /* flowlets of 10 packets, of 64 flows at a time; then other flows follow */
    BENCH_CAPTURE, /* as a capture has them: bench_source_open() */
};

struct bench_source {
    struct rte_mempool *pool;
    uint32_t flows, packet_bytes;
    enum bench_order order;
    struct rill_rng rng;
    uint64_t next;
    struct {
        uint32_t flow, left;
    } active[BENCH_ACTIVE];
    struct bench_streams *streams; /* the caller's; NULL: UDP */
    uint32_t base_sum;
    uint8_t header[BENCH_PACKET_MIN];
    uint16_t port; /* order CAPTURE */
};

/* At most 16 million flows; packet_bytes from 64 to 1500. UDP. */
void bench_source_init(struct bench_source *s, struct rte_mempool *pool, uint32_t flows,
                       uint32_t packet_bytes, enum bench_order order);
/* TCP from here on: segments of these, which have as many flows. */
void bench_source_carry(struct bench_source *s, struct bench_streams *streams);

/* In place of packets of its own: those of the capture at `path`, without end, from memory: DPDK's
 * device net_pcap, which copies each into a new buffer. As others do that are measured beside us
 * (eval/bench/peers). Its packets are all of one length. Once in a process; it makes its own pool,
 * which has `spare` buffers besides those that hold the capture. */
int bench_source_open(struct bench_source *s, const char *path, uint32_t spare,
                      struct rill_error *err);
void bench_source_close(struct bench_source *s); /* also of one that was never opened */

/* BENCH_BURST packets. False: the pool is empty, and none were made. */
bool bench_source_burst(struct bench_source *s, struct rte_mbuf **packets);

#endif
