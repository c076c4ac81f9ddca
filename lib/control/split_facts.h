/* How the traffic of a deployment is split over its controllers, by what its Facts say. */
#ifndef RILL_LIB_CONTROL_SPLIT_FACTS_H
#define RILL_LIB_CONTROL_SPLIT_FACTS_H

#include <errno.h>

#include "lib/base/error.h"
#include "lib/control/control.h"
#include "lib/packet/split.h"

/* The pools' addresses stay the Facts'. 0, or -EINVAL with a line in *err: an NF may be anybody's,
 * and what it says as well. */
static inline int rill_control_split(const Control__Facts *facts, uint32_t controllers,
                                     uint64_t seed, struct rill_split_config *split,
                                     struct rill_error *err)
{
    *split = (struct rill_split_config){.controllers = controllers,
                                        .kind = rill_split_kind_of(facts->flow_scope),
                                        .writes = facts->writes,
                                        .pool_count = (unsigned)facts->n_pools,
                                        .seed = seed};
    if (facts->n_pools > RILL_SPLIT_POOLS_MAX)
        return rill_error_set(err, -EINVAL, "the NF has %zu pools of endpoints; at most %d can be",
                              facts->n_pools, RILL_SPLIT_POOLS_MAX);
    for (size_t i = 0; i < facts->n_pools; i++) {
        const Control__Pool *from = facts->pools[i];

        if (from->addresses.len == 0 || from->addresses.len % 16 != 0 ||
            from->port_low > from->port_high || from->port_high > UINT16_MAX)
            return rill_error_set(err, -EINVAL, "pool %zu of the NF is not one", i);
        split->pools[i] =
            (struct rill_split_pool){.proto = (uint8_t)from->proto,
                                     .family = (uint8_t)from->family,
                                     .port_low = (uint16_t)from->port_low,
                                     .port_high = (uint16_t)from->port_high,
                                     .addresses = (uint32_t)(from->addresses.len / 16),
                                     .addr = (const uint8_t(*)[16])from->addresses.data};
    }
    return 0;
}

#endif
