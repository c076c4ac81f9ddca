/* An endpoint: address, transport port and protocol. Shared by the NF interface and by Rill itself.
 */
#ifndef RILL_ENDPOINT_H
#define RILL_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* IANA protocol numbers that Rill knows by name. */
enum rill_proto { RILL_ICMP = 1, RILL_TCP = 6, RILL_UDP = 17, RILL_ICMP6 = 58 };

/* All 20 bytes are significant, so two endpoints are equal iff their bytes are (memcmp). An IPv4
 * address stands in the first 4 bytes, in network order, the other 12 are zero. `port` is in host
 * order: the TCP or UDP port, or the identifier of an ICMP echo; 0 where there is none. */
struct rill_endpoint {
    uint8_t addr[16];
    uint16_t port;
    uint8_t family; /* 4, 6, or 0: no endpoint (all zero) */
    uint8_t proto;  /* enum rill_proto */
};

/* Port, family and protocol, written at one go: what is written in pieces and then read as a whole
 * makes the processor wait. */
static inline void rill_endpoint_set_rest(struct rill_endpoint *endpoint, uint16_t port,
                                          uint8_t family, uint8_t proto)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint32_t word = port | (uint32_t)family << 16 | (uint32_t)proto << 24;
#else
    uint32_t word = (uint32_t)port << 16 | (uint32_t)family << 8 | proto;
#endif

    memcpy((uint8_t *)endpoint + sizeof(endpoint->addr), &word, sizeof(word));
}

/* An IPv4 endpoint; `addr` in network order. At one go, too. */
static inline void rill_endpoint_set4(struct rill_endpoint *endpoint, const uint8_t addr[4],
                                      uint16_t port, uint8_t proto)
{
    uint32_t __attribute__((vector_size(16))) words = {0};
    uint32_t word;

    memcpy(&word, addr, sizeof(word));
    words[0] = word;
    memcpy(endpoint->addr, &words, sizeof(words));
    rill_endpoint_set_rest(endpoint, port, 4, proto);
}

static inline bool rill_endpoint_equal(const struct rill_endpoint *a, const struct rill_endpoint *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

#endif
