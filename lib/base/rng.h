/* The seeded generator that cores and simulators use: xoshiro256** by Blackman and Vigna, seeded by
 * splitmix64 (https://prng.di.unimi.it/). The same seed gives the same numbers on every machine. A
 * core owns its generator; there is no global one. Not for secrets.
 */
#ifndef RILL_LIB_BASE_RNG_H
#define RILL_LIB_BASE_RNG_H

#include <stdint.h>

struct rill_rng {
    uint64_t s[4];
};

static inline uint64_t rill_splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void rill_rng_seed(struct rill_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = rill_splitmix64(&seed);
}

static inline uint64_t rill_rng_u64(struct rill_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t x = s[1] * 5;
    uint64_t result = ((x << 7) | (x >> 57)) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* Uniform in [0, n), n > 0, by multiplication (Lemire), bias below 2^-32 for n < 2^32. */
static inline uint32_t rill_rng_below(struct rill_rng *rng, uint32_t n)
{
    return (uint32_t)(((rill_rng_u64(rng) >> 32) * (uint64_t)n) >> 32);
}

/* Uniform in [0, 1). */
static inline double rill_rng_double(struct rill_rng *rng)
{
    return (double)(rill_rng_u64(rng) >> 11) * 0x1.0p-53;
}

#endif
