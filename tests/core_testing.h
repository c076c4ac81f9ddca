/* For the unit tests of the cores: a pool whose buffers are counted, frames and packets to put in,
 * and a look at what came out. */
#ifndef RILL_TESTS_CORE_TESTING_H
#define RILL_TESTS_CORE_TESTING_H

#include "lib/base/rng.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"
#include "lib/frame/outbox.h"
#include "lib/packet/test_packets.h"

#define CORE_MS UINT64_C(1000000)
#define CORE_INSIDE rill_role_id(RILL_ROLE_PORT, RILL_INSIDE)
#define CORE_OUTSIDE rill_role_id(RILL_ROLE_PORT, RILL_OUTSIDE)

extern struct rte_mempool *core_pool;

/* For cmocka's groups: EAL and the pool. */
int core_group_setup(void **state);
int core_group_teardown(void **state);
/* Buffers of the pool that are not free. */
unsigned core_in_use(void);

/* A message, or a frame whose packet is put behind it. Never NULL. */
struct rte_mbuf *core_frame(enum rill_frame_type type, uint32_t src, uint32_t dst);
void core_body(struct rte_mbuf *m, const void *bytes, uint32_t n);
/* A finished packet as an mbuf: flag PACKET and wire_bytes are set. */
struct rte_mbuf *core_packet(const struct test_packet *p);
/* UDP over IPv4, `wire_bytes` long (at least 42). */
struct rte_mbuf *core_udp(const char *source, uint16_t sport, const char *destination,
                          uint16_t dport, uint32_t wire_bytes);

/* A frame such as a decoder may hand over: any type, any field, lists within their bounds, a packet
 * with just the types that carry one, else a body of any length up to 2000 bytes. Numbers are small
 * as often as not, so that they meet. */
struct rte_mbuf *core_garbage(struct rill_rng *rng, const uint32_t *ids, uint32_t id_count);

/* Frames of that type to that role; dst 0: to any. */
uint32_t core_count(const struct rill_outbox *out, enum rill_frame_type type, uint32_t dst);
/* Takes the first of them out, NULL if there is none. The others keep their order. */
struct rte_mbuf *core_take(struct rill_outbox *out, enum rill_frame_type type, uint32_t dst);
/* The same, and fails the test if there is none; gives the metadata and frees the frame. */
struct rill_frame core_expect(struct rill_outbox *out, enum rill_frame_type type, uint32_t dst);
/* Frees all frames that are there. */
void core_clear(struct rill_outbox *out);

#endif
