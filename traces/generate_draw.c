/* Logarithms bit by bit (squaring), powers of two by a product of 2^(1/2^i): integers all through.
 */
#include "traces/generate_draw.h"

#include <assert.h>

static const uint64_t one_q32 = (uint64_t)1 << 32;
static const uint64_t ln2_q32 = 0xb17217f7u; /* ln 2 */
static const uint64_t log2e_q16 = 0x17154u;  /* 1 / ln 2 */

/* 2^(1/2^i) for i = 1..32, with 63 bits after the point. */
static const uint64_t root_q63[32] = {
    0xb504f333f9de6484u, 0x9837f0518db8a96fu, 0x8b95c1e3ea8bd6e6u, 0x85aac367cc487b14u,
    0x82cd8698ac2ba1d7u, 0x8164d1f3bc030773u, 0x80b1ed4fd999ab6cu, 0x8058d7d2d5e5f6b0u,
    0x802c6436d0e04f50u, 0x8016302f17467628u, 0x800b179c82028fd0u, 0x80058baf7fee3b5du,
    0x8002c5d00fdcfcb6u, 0x800162e61bed4a48u, 0x8000b17292f702a3u, 0x800058b92abbae02u,
    0x80002c5c8dade4d7u, 0x8000162e44eaf636u, 0x80000b1721fa7c18u, 0x8000058b90de7e4cu,
    0x800002c5c8678f36u, 0x80000162e431db9fu, 0x800000b1721872d0u, 0x80000058b90c1aa8u,
    0x8000002c5c8605a4u, 0x800000162e4300e6u, 0x8000000b17217ff8u, 0x800000058b90bfddu,
    0x80000002c5c85fe6u, 0x8000000162e42ff1u, 0x80000000b17217f8u, 0x8000000058b90bfcu,
};

/* log2 of an integer, with 32 bits after the point. x > 0. */
static uint64_t log2_q32(uint64_t x)
{
    int whole = 63 - __builtin_clzll(x);
    uint64_t m = x << (63 - whole), log = (uint64_t)whole << 32;

    for (int bit = 31; bit >= 0; bit--) {
        unsigned __int128 square = ((unsigned __int128)m * m) >> 63;

        if (square >> 64 != 0) {
            log |= (uint64_t)1 << bit;
            square >>= 1;
        }
        m = (uint64_t)square;
    }
    return log;
}

/* 2^y rounded down; where it would not fit into 63 bits, the greatest that does. */
static uint64_t exp2_of_q32(uint64_t y)
{
    uint64_t whole = y >> 32, m = (uint64_t)1 << 63;

    if (whole >= 63)
        return INT64_MAX;
    for (int i = 0; i < 32; i++) {
        if (y & ((uint64_t)1 << (31 - i)))
            m = (uint64_t)(((unsigned __int128)m * root_q63[i]) >> 63);
    }
    return m >> (63 - whole);
}

/* Uniform in (0, 1]. */
static uint64_t uniform_q32(struct rill_rng *rng)
{
    return (rill_rng_u64(rng) >> 32) + 1;
}

uint64_t rill_draw_below(struct rill_rng *rng, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rill_rng_u64(rng) * n) >> 64);
}

uint64_t rill_draw_exponential(struct rill_rng *rng, uint64_t mean)
{
    uint64_t bits = ((uint64_t)32 << 32) - log2_q32(uniform_q32(rng)); /* -log2 of it */
    uint64_t nats = (uint64_t)(((unsigned __int128)bits * ln2_q32) >> 32);

    return (uint64_t)(((unsigned __int128)mean * nats) >> 32);
}

uint64_t rill_draw_lognormal(struct rill_rng *rng, uint64_t median, uint32_t sigma_q16)
{
    int64_t z = -(int64_t)(6 * one_q32); /* twelve uniforms: close to normal, at most 6 sigma */
    int64_t power;

    assert(median > 0 && sigma_q16 <= 4u << 16);
    for (int i = 0; i < 12; i++)
        z += (int64_t)(rill_rng_u64(rng) >> 32);
    power = (int64_t)(((__int128)z * sigma_q16 * (int64_t)log2e_q16) / ((int64_t)1 << 32));
    power += (int64_t)log2_q32(median);
    return power > 0 ? exp2_of_q32((uint64_t)power) : 1;
}

/* The size below which a share u of all flows stay. */
static uint64_t pareto_quantile(const struct rill_pareto *p, uint64_t u_q32)
{
    uint64_t w = one_q32 - (uint64_t)(((unsigned __int128)u_q32 * (one_q32 - p->tail_q32)) >> 32);
    uint64_t bits = ((uint64_t)32 << 32) - log2_q32(w > 0 ? w : 1);
    uint64_t x =
        exp2_of_q32(log2_q32(p->min) + (uint64_t)(((unsigned __int128)bits << 16) / p->alpha_q16));

    return x < p->min ? p->min : x > p->max ? p->max : x;
}

static void pareto_set(struct rill_pareto *p, uint64_t min, uint64_t max)
{
    uint64_t ratio = log2_q32(max) - log2_q32(min);
    uint64_t power = (uint64_t)(((unsigned __int128)ratio * p->alpha_q16) >> 16);
    uint64_t whole_bits = (uint64_t)32 << 32;

    p->min = min;
    p->max = max;
    p->tail_q32 = power < whole_bits ? exp2_of_q32(whole_bits - power) : 1;
    if (p->tail_q32 > one_q32)
        p->tail_q32 = one_q32;
}

static uint64_t pareto_mean(const struct rill_pareto *p)
{
    enum { POINTS = 1024 };
    unsigned __int128 sum = 0;

    for (uint64_t i = 0; i < POINTS; i++)
        sum += pareto_quantile(p, ((2 * i + 1) << 32) / (2 * POINTS));
    return (uint64_t)(sum / POINTS);
}

/* The mean grows with the least size ... */
static void fit_min(struct rill_pareto *p, uint64_t mean)
{
    uint64_t low = p->min, high = p->max;

    while (low + 1 < high) {
        pareto_set(p, low + (high - low) / 2, p->max);
        if (pareto_mean(p) > mean)
            high = p->min;
        else
            low = p->min;
    }
    pareto_set(p, low, p->max);
}

/* ... and with the greatest. */
static void fit_max(struct rill_pareto *p, uint64_t mean)
{
    uint64_t low = p->min, high = p->max;

    while (low + 1 < high) {
        pareto_set(p, p->min, low + (high - low) / 2);
        if (pareto_mean(p) > mean)
            high = p->max;
        else
            low = p->max;
    }
    pareto_set(p, p->min, low);
}

int rill_pareto_init(struct rill_pareto *p, uint32_t alpha_q16, uint64_t mean, uint64_t min,
                     uint64_t max)
{
    *p = (struct rill_pareto){.alpha_q16 = alpha_q16, .drawn = RILL_DRAW_STRATA};
    if (mean < min)
        return -1;
    if (mean > max)
        return 1;
    pareto_set(p, min, max);
    if (pareto_mean(p) > mean)
        fit_max(p, mean);
    else
        fit_min(p, mean);
    return 0;
}

static void shuffle_strata(struct rill_pareto *p, struct rill_rng *rng)
{
    for (uint32_t i = 0; i < RILL_DRAW_STRATA; i++) {
        uint32_t k = rill_rng_below(rng, i + 1);

        p->strata[i] = p->strata[k];
        p->strata[k] = (uint16_t)i;
    }
    p->drawn = 0;
}

uint64_t rill_draw_pareto(struct rill_pareto *p, struct rill_rng *rng)
{
    uint64_t within = rill_rng_u64(rng) >> 32;

    if (p->drawn == RILL_DRAW_STRATA)
        shuffle_strata(p, rng);
    return pareto_quantile(p,
                           (((uint64_t)p->strata[p->drawn++] << 32) + within) / RILL_DRAW_STRATA);
}
