#include "controller/rank_sampler.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define WEIGHT_OF_FIRST (UINT64_C(1) << 40)

static uint64_t weight(uint32_t rank)
{
    return WEIGHT_OF_FIRST / rank;
}

int rill_rank_sampler_init(struct rill_rank_sampler *sampler, uint32_t max)
{
    sampler->max = max;
    sampler->weights_up_to = malloc(((size_t)max + 1) * sizeof(sampler->weights_up_to[0]));
    if (sampler->weights_up_to == NULL)
        return -ENOMEM;
    sampler->weights_up_to[0] = 0;
    for (uint32_t rank = 1; rank <= max; rank++)
        sampler->weights_up_to[rank] = sampler->weights_up_to[rank - 1] + weight(rank);
    return 0;
}

void rill_rank_sampler_fini(struct rill_rank_sampler *sampler)
{
    free(sampler->weights_up_to);
    *sampler = (struct rill_rank_sampler){0};
}

/* Weights up to a rank of those that have not been drawn yet. */
static uint64_t left_up_to(const struct rill_rank_sampler *sampler, uint32_t rank,
                           const uint32_t *drawn, uint32_t n)
{
    uint64_t sum = sampler->weights_up_to[rank];

    for (uint32_t i = 0; i < n; i++)
        sum -= drawn[i] <= rank ? weight(drawn[i]) : 0;
    return sum;
}

static uint32_t draw_one(const struct rill_rank_sampler *sampler, struct rill_rng *rng, uint32_t of,
                         const uint32_t *drawn, uint32_t n)
{
    uint64_t total = left_up_to(sampler, of, drawn, n);
    uint64_t at = (uint64_t)(((unsigned __int128)rill_rng_u64(rng) * total) >> 64);
    uint32_t low = 1, high = of;

    /* The lowest rank whose sum is above `at`. One that was drawn adds nothing to the sum before
     * it, so it can't be it. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (left_up_to(sampler, middle, drawn, n) > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void rill_rank_sampler_draw(const struct rill_rank_sampler *sampler, struct rill_rng *rng,
                            uint32_t of, uint32_t k, uint32_t *ranks)
{
    assert(k <= of && of <= sampler->max && k <= RILL_SAMPLE_MAX);
    for (uint32_t i = 0; i < k; i++)
        ranks[i] = draw_one(sampler, rng, of, ranks, i);
}
