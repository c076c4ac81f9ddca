/* Epochs of controllers.
 *
 * The controllers of a deployment share out its flows; each has a slot. When one dies, another
 * takes its slot over, as the next incarnation. An epoch names both: slot in its upper 6 bits,
 * incarnation in its lower 10. So epochs of one slot compare, and every number that a controller
 * gives (flow numbers, clocks, terms), which has its epoch in the top 16 bits, says whose it is and
 * is given once (rule "epochterm").
 *
 * Every role keeps the newest epoch that it has seen of each slot, and takes nothing from an older
 * one's controller (rule "adopt").
 */
#ifndef RILL_LIB_BASE_EPOCH_H
#define RILL_LIB_BASE_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RILL_SLOTS_MAX = 64,
    RILL_INCARNATIONS_MAX = 1023, /* from 1 */
    RILL_INCARNATION_BITS = 10,
    RILL_EPOCH_SHIFT = 48 /* of an epoch in a number */
};

static inline uint16_t rill_epoch(uint32_t slot, uint32_t incarnation)
{
    return (uint16_t)(slot << RILL_INCARNATION_BITS | incarnation);
}

static inline uint32_t rill_epoch_slot(uint16_t epoch)
{
    return epoch >> RILL_INCARNATION_BITS;
}

static inline uint32_t rill_epoch_incarnation(uint16_t epoch)
{
    return epoch & ((1u << RILL_INCARNATION_BITS) - 1);
}

/* The last number before those that a controller of that epoch gives. */
static inline uint64_t rill_epoch_base(uint16_t epoch)
{
    return (uint64_t)epoch << RILL_EPOCH_SHIFT;
}

/* Of a flow number, clock or term. */
static inline uint16_t rill_number_epoch(uint64_t number)
{
    return (uint16_t)(number >> RILL_EPOCH_SHIFT);
}

static inline uint32_t rill_number_slot(uint64_t number)
{
    return rill_epoch_slot(rill_number_epoch(number));
}

/* The newest controller of each slot, as far as is known here. */
struct rill_controllers {
    struct {
        uint32_t id; /* role id; 0: not known */
        uint16_t epoch;
    } slot[RILL_SLOTS_MAX];
};

/* A frame of that epoch has come; `controller`: its sender, if that is one, else 0. False: the
 * epoch is over. */
static inline bool rill_controllers_adopt(struct rill_controllers *known, uint16_t epoch,
                                          uint32_t controller)
{
    uint32_t slot = rill_epoch_slot(epoch);

    if (epoch < known->slot[slot].epoch)
        return false;
    known->slot[slot].epoch = epoch;
    if (controller != 0)
        known->slot[slot].id = controller;
    return true;
}

/* Of the flow's slot. */
static inline uint32_t rill_controllers_id(const struct rill_controllers *known, uint64_t flow)
{
    return known->slot[rill_number_slot(flow)].id;
}

static inline uint16_t rill_controllers_epoch(const struct rill_controllers *known, uint64_t flow)
{
    return known->slot[rill_number_slot(flow)].epoch;
}

#endif
