/* The hash by which backends are chosen: the same on every machine and in every run. */
#ifndef RILL_NFS_LB_HASH_H
#define RILL_NFS_LB_HASH_H

#include <stddef.h>
#include <stdint.h>

#define LB_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* FNV-1a, 64 bits (Fowler, Noll, Vo): http://www.isthe.com/chongo/tech/comp/fnv/ */
static inline uint64_t lb_hash_add(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* FNV's high bits are poor on short input, and the high bits choose: so murmur3's finalizer
 * (Appleby) comes after. */
static inline uint64_t lb_hash_end(uint64_t h)
{
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

/* One of n, by the upper half of the hash. */
static inline uint32_t lb_hash_scale(uint64_t hash, uint32_t n)
{
    return (uint32_t)(((hash >> 32) * n) >> 32);
}

#endif
