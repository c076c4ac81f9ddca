/* The controllers that an Activate names, as units and output loggers know them. */
#ifndef RILL_LIB_CONTROL_SLOTS_H
#define RILL_LIB_CONTROL_SLOTS_H

#include <errno.h>

#include "lib/base/epoch.h"
#include "lib/base/error.h"
#include "lib/control/control.h"

/* 0, or -EINVAL with a line in *err. */
static inline int rill_control_slots(const Control__Activate *how, struct rill_controllers *known,
                                     struct rill_error *err)
{
    *known = (struct rill_controllers){0};
    if (how->n_controllers == 0)
        return rill_error_set(err, -EINVAL, "it has to be told who the controllers are");
    for (size_t i = 0; i < how->n_controllers; i++) {
        const Control__Slot *slot = how->controllers[i];

        if (slot->epoch > UINT16_MAX ||
            !rill_controllers_adopt(known, (uint16_t)slot->epoch, slot->controller))
            return rill_error_set(err, -EINVAL, "controller %zu has no epoch that can be", i + 1);
    }
    return 0;
}

#endif
