/* The generator's random draws: exponential, log-normal, bounded Pareto.
 *
 * In integers and fixed point only, no floating point and no libm: its last bits differ between
 * machines and compilers, and one bit would be enough for another capture. Names ending in _q16 or
 * _q32 have that many bits after the point.
 */
#ifndef RILL_TRACES_GENERATE_DRAW_H
#define RILL_TRACES_GENERATE_DRAW_H

#include <stdint.h>

#include "lib/base/rng.h"

/* Uniform in [0, n); 0 if n is 0. */
uint64_t rill_draw_below(struct rill_rng *rng, uint64_t n);
uint64_t rill_draw_exponential(struct rill_rng *rng, uint64_t mean);
/* median > 0; sigma (of the logarithm) at most 4. At least 1. */
uint64_t rill_draw_lognormal(struct rill_rng *rng, uint64_t median, uint32_t sigma_q16);

/* Sizes between min and max with density proportional to x^-(alpha + 1). Drawn in strata: each run
 * of RILL_DRAW_STRATA draws has one from every equally likely slice of the distribution, in random
 * order. So even a short capture has its elephants, and a mean close to the one asked for. */
enum { RILL_DRAW_STRATA = 256 };

struct rill_pareto {
    uint64_t min, max;
    uint64_t tail_q32; /* (min / max)^alpha */
    uint32_t alpha_q16;
    uint32_t drawn;
    uint16_t strata[RILL_DRAW_STRATA];
};

/* Raises the least size, or lowers the greatest, until the mean is the one asked for. 0; -1 if the
 * mean is below `min`, 1 if it is above `max`. alpha in [1/64, 64], min > 0. */
int rill_pareto_init(struct rill_pareto *p, uint32_t alpha_q16, uint64_t mean, uint64_t min,
                     uint64_t max);
uint64_t rill_draw_pareto(struct rill_pareto *p, struct rill_rng *rng);

#endif
