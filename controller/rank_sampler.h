/* Draws ranks with a weight of 1/rank, without replacement: rank 1 is twice as likely as rank 2. In
 * integers, so that every machine draws the same. */
#ifndef RILL_CONTROLLER_RANK_SAMPLER_H
#define RILL_CONTROLLER_RANK_SAMPLER_H

#include <stdint.h>

#include "lib/base/rng.h"

enum { RILL_SAMPLE_MAX = 8 };

struct rill_rank_sampler {
    uint64_t *weights_up_to; /* [r] = sum of the weights of ranks 1..r */
    uint32_t max;
};

/* For ranks up to `max`. 0 or -ENOMEM. */
int rill_rank_sampler_init(struct rill_rank_sampler *sampler, uint32_t max);
void rill_rank_sampler_fini(struct rill_rank_sampler *sampler);

/* k different ranks of 1..of, in the order in which they were drawn; k <= of <= max and
 * k <= RILL_SAMPLE_MAX. Takes k numbers from rng, O(k^2 log of). */
void rill_rank_sampler_draw(const struct rill_rank_sampler *sampler, struct rill_rng *rng,
                            uint32_t of, uint32_t k, uint32_t *ranks);

#endif
