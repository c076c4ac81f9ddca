/* Numbers at any address, in the order of a network. For the codec.
 *
 * By the compiler's own functions: DPDK's swap bytes in assembly, of which the compiler can not
 * make one instruction for two numbers, or a constant.
 */
#ifndef RILL_LIB_FRAME_GENEVE_BYTES_H
#define RILL_LIB_FRAME_GENEVE_BYTES_H

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
#define RILL_SWAPPED(bits, value) __builtin_bswap##bits(value)
#else
#define RILL_SWAPPED(bits, value) (value)
#endif

/* Each returns where it ended. */
static inline uint8_t *put16(uint8_t *to, uint16_t value)
{
    value = RILL_SWAPPED(16, value);
    return (uint8_t *)memcpy(to, &value, sizeof(value)) + sizeof(value);
}

static inline uint8_t *put32(uint8_t *to, uint32_t value)
{
    value = RILL_SWAPPED(32, value);
    return (uint8_t *)memcpy(to, &value, sizeof(value)) + sizeof(value);
}

static inline uint8_t *put64(uint8_t *to, uint64_t value)
{
    value = RILL_SWAPPED(64, value);
    return (uint8_t *)memcpy(to, &value, sizeof(value)) + sizeof(value);
}

static inline uint16_t get16(const uint8_t *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof(value));
    return RILL_SWAPPED(16, value);
}

static inline uint32_t get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return RILL_SWAPPED(32, value);
}

static inline uint64_t get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return RILL_SWAPPED(64, value);
}

/* Zero if there is that number. */
static inline uint32_t differs32(const uint8_t *at, uint32_t from)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value ^ RILL_SWAPPED(32, from);
}

#endif
