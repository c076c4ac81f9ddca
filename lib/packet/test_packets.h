/* Packets for the tests of this folder: built header by header, with right lengths and checksums,
 * and held in heap memory of exactly their size, so that a sanitizer sees any read past the end.
 */
#ifndef RILL_LIB_PACKET_TEST_PACKETS_H
#define RILL_LIB_PACKET_TEST_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include <rill/endpoint.h>

#include "lib/packet/parse.h"

enum { TEST_PACKET_BYTES_MAX = 4096 };

/* A packet that grows. `ip` and `l4` are where the last of these headers began. */
struct test_packet {
    uint8_t bytes[TEST_PACKET_BYTES_MAX];
    uint32_t len;
    uint32_t ip;
    uint32_t l4; /* 0: none */
    uint8_t family;
    uint8_t proto;
    uint8_t pseudo_destination[16]; /* the address that L4 checksums cover, if `routed` */
    bool routed;
};

/* Headers. Addresses are text; the family follows from the address. For IPv6, `fragment` is unused.
 */
void test_ethernet(struct test_packet *p, uint16_t type, int tags);
void test_ip(struct test_packet *p, const char *source, const char *destination, uint8_t next,
             uint32_t option_bytes, uint16_t fragment);
void test_ip6_options(struct test_packet *p, uint8_t next, uint32_t bytes);
void test_ip6_authentication(struct test_packet *p, uint8_t next);
void test_ip6_fragment(struct test_packet *p, uint8_t next, uint32_t offset, bool more);
void test_ip6_routing(struct test_packet *p, uint8_t next, const char *last, uint8_t segments_left);
void test_tcp(struct test_packet *p, uint16_t source, uint16_t destination, uint8_t flags,
              uint32_t option_bytes, uint32_t payload_bytes);
void test_udp(struct test_packet *p, uint16_t source, uint16_t destination, uint32_t payload_bytes);
void test_icmp(struct test_packet *p, uint8_t type, uint8_t code, uint16_t identifier,
               uint32_t payload_bytes);
void test_fill(struct test_packet *p, uint32_t bytes);

/* Appends the first `bytes` bytes of another finished packet's IP part (all of it where 0). */
void test_quote(struct test_packet *p, const struct test_packet *quoted, uint32_t bytes);

/* Sets lengths and checksums. Once, when all is there; Ethernet padding comes after. */
void test_finish(struct test_packet *p);

/* Any of TEST_KINDS well-formed packets; `name` for messages. */
enum { TEST_KINDS = 34 };
const char *test_packet_of_kind(int kind, struct test_packet *p);

/* Sum of big-endian 16-bit words, folded to 16 bits. */
uint16_t test_sum(const uint8_t *bytes, uint32_t len, uint32_t sum);

struct rill_endpoint test_endpoint(const char *addr, uint16_t port, uint8_t proto);

/* An mbuf whose data is an exact heap copy. No pool, so no EAL. */
struct rte_mbuf *test_mbuf(const uint8_t *bytes, uint32_t len);
void test_mbuf_free(struct rte_mbuf *m);

/* Parses an exact copy of the packet. wire_bytes 0: as many as are here. */
enum rill_parse_result test_parse(const struct test_packet *p, uint32_t wire_bytes,
                                  struct rill_view *view);

#endif
