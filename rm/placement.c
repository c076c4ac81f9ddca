#include "rm/placement.h"

#include <stddef.h>

/* Fewer roles per processor; without dividing, so that no two machines are alike by rounding. */
static bool less_loaded(const struct rill_placement_machine *a,
                        const struct rill_placement_machine *b)
{
    uint64_t of_a = (uint64_t)a->roles * b->cpus;
    uint64_t of_b = (uint64_t)b->roles * a->cpus;

    return of_a != of_b ? of_a < of_b : a->agent < b->agent;
}

uint32_t rill_placement_choose(const struct rill_placement_machine *machines, uint32_t n,
                               uint32_t not_on, bool *shares)
{
    const struct rill_placement_machine *best = NULL, *last_resort = NULL;

    for (uint32_t i = 0; i < n; i++) {
        if (!machines[i].usable)
            continue;
        if (machines[i].agent == not_on)
            last_resort = &machines[i];
        else if (best == NULL || less_loaded(&machines[i], best))
            best = &machines[i];
    }
    if (shares != NULL)
        *shares = best == NULL && last_resort != NULL;
    if (best == NULL)
        best = last_resort;
    return best == NULL ? 0 : best->agent;
}
