#include "lib/metrics/histogram.h"

enum {
    LINEAR = 1 << RILL_HISTOGRAM_BITS
}; /* buckets of a power of two; below, a value is its own */

static inline uint32_t bucket_of(uint64_t value)
{
    uint32_t shift;

    if (value < LINEAR)
        return (uint32_t)value;
    shift = 63 - (uint32_t)__builtin_clzll(value) - RILL_HISTOGRAM_BITS;
    return ((shift + 1) << RILL_HISTOGRAM_BITS) + (uint32_t)((value >> shift) & (LINEAR - 1));
}

/* The largest value of a bucket. */
static uint64_t bound_of(uint32_t bucket)
{
    uint32_t power = bucket >> RILL_HISTOGRAM_BITS;
    uint64_t first;

    if (power == 0)
        return bucket;
    first = (uint64_t)(LINEAR + bucket % LINEAR) << (power - 1);
    return first + ((UINT64_C(1) << (power - 1)) - 1);
}

void rill_histogram_record(struct rill_histogram *h, uint64_t value)
{
    h->count++;
    h->buckets[bucket_of(value)]++;
    if (value > h->max)
        h->max = value;
}

void rill_histogram_merge(struct rill_histogram *into, const struct rill_histogram *from)
{
    into->count += from->count;
    for (uint32_t i = 0; i < RILL_HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    if (from->max > into->max)
        into->max = from->max;
}

/* How many of `count` values are a share q, rounded up. A q such as 0.07 is a little more than it
 * says in binary; of 100 values it still means 7. */
static uint64_t rank_of(double q, uint64_t count)
{
    double exact = q * (double)count * (1 - 1e-12);
    uint64_t rank;

    if (!(exact < (double)count)) /* NaN too */
        return count;
    rank = exact > 0 ? (uint64_t)exact : 0;
    rank += (double)rank < exact;
    return rank == 0 ? 1 : rank;
}

uint64_t rill_histogram_quantile(const struct rill_histogram *h, double q)
{
    uint64_t rank, below = 0;

    if (h->count == 0)
        return 0;
    if (q >= 1)
        return h->max;
    rank = rank_of(q, h->count);
    for (uint32_t i = 0; i < RILL_HISTOGRAM_BUCKETS; i++) {
        below += h->buckets[i];
        if (below >= rank)
            return bound_of(i) < h->max ? bound_of(i) : h->max;
    }
    return h->max;
}
