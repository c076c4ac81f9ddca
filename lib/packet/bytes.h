/* Unaligned loads and stores of header fields, and the few protocol facts that the parser and the
 * rewriter share. Private to lib/packet.
 */
#ifndef RILL_LIB_PACKET_BYTES_H
#define RILL_LIB_PACKET_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rill/endpoint.h>

enum {
    IP4_HEADER_BYTES = 20,
    IP6_HEADER_BYTES = 40,
    TCP_HEADER_BYTES = 20,
    UDP_HEADER_BYTES = 8,
    ICMP_HEADER_BYTES = 8, /* of echoes and errors, ICMP and ICMPv6 */
};

static inline uint16_t load_raw16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void store_raw16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline uint32_t load_raw32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint16_t load_be16(const uint8_t *p)
{
    return __builtin_bswap16(load_raw16(p));
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return __builtin_bswap32(load_raw32(p));
}

static inline uint64_t load_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

/* ICMP inside IPv4 or ICMPv6 inside IPv6; the other two pairings are protocols like any other. */
static inline bool is_icmp(uint8_t family, uint8_t proto)
{
    return proto == (family == 4 ? RILL_ICMP : RILL_ICMP6);
}

static inline bool icmp_is_echo(uint8_t family, uint8_t type)
{
    return family == 4 ? type == 8 || type == 0 : type == 128 || type == 129;
}

/* v4: unreachable, source quench, redirect, time exceeded, parameter problem. v6: unreachable, too
 * big, time exceeded, parameter problem. */
static inline bool icmp_is_error(uint8_t family, uint8_t type)
{
    uint32_t types = family == 4 ? 1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12
                                 : 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4;

    return type < 32 && (types >> type & 1);
}

#endif
