/* Placement: on which machine a unit, its output logger or a controller goes. Pure.
 *
 * A unit and its output logger go on different machines where there are several that can take them:
 * what a released packet did then survives the death of either machine (design, section 5, output
 * commit). With one, they share it; the caller is told so.
 */
#ifndef RILL_RM_PLACEMENT_H
#define RILL_RM_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

struct rill_placement_machine {
    uint32_t agent; /* role id */
    bool usable;    /* its agent is connected */
    uint32_t roles; /* containers there now */
    uint32_t cpus;  /* at least 1 */
};

/* The usable machine with the fewest roles per processor, other than `not_on` (an agent's id, 0:
 * any) if there is another; ties: the lowest id. 0: there is none. *shares (may be NULL): it is
 * not_on. */
uint32_t rill_placement_choose(const struct rill_placement_machine *machines, uint32_t n,
                               uint32_t not_on, bool *shares);

#endif
