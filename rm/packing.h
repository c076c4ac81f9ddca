/* Packing: how much of which unit a controller gets, so that few units are shared and few are in
 * use.
 *
 * Pure: looks at one controller and all units, and sets that controller's shares.
 */
#ifndef RILL_RM_PACKING_H
#define RILL_RM_PACKING_H

#include <stdint.h>

struct rill_packing_unit {
    uint32_t unit;      /* role id */
    uint32_t share_max; /* thousandths, as all shares */
    uint32_t others;    /* what other controllers have, or may think they have */
    uint32_t own;       /* the controller's share: in and out */
};

/* Sets `own` of the n units, which are in id order, so that they sum to `wanted`, or to what there
 * is, on at most max_units units. others + own never exceeds share_max if it did not before.
 * `scratch` has room for n numbers. Gives the sum. More wanted: first from units where own > 0,
 * lowest id first; then from units that nobody has and that it needs whole, lowest id first; then
 * the remainder from the unit with the least room where it fits; if it fits nowhere, from the units
 * with most room. Ties: lowest id. Less wanted: off the smallest shares first. Ties: highest id.
 * No share is below `least`, as packets would take for ever there: rather less in all. But if there
 * is nothing else; and a unit of which less may be leased is taken as a whole. */
uint64_t rill_packing_set(struct rill_packing_unit *units, uint32_t n, uint64_t wanted,
                          uint32_t max_units, uint32_t least, uint32_t *scratch);

#endif
