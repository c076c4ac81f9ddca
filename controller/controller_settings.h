/* A controller's configuration from Rill's settings and from what its deployment's NF is, for
 * whoever makes one: the embedded cluster, which has the NF, and the controller's own process,
 * which is told. */
#ifndef RILL_CONTROLLER_CONTROLLER_SETTINGS_H
#define RILL_CONTROLLER_CONTROLLER_SETTINGS_H

#include <rill/nf.h>

#include "controller/controller.h"
#include "lib/config/config.h"

/* What a controller has to know of an NF. */
struct rill_controller_nf {
    enum rill_flow_scope flow_scope;
    uint32_t handles; /* enum rill_handles, or-ed */
    uint32_t flags;   /* enum rill_nf_flags, or-ed */
    bool unhandled_passes;
    struct rill_controller_pool pools[RILL_CONTROLLER_POOLS_MAX];
    unsigned pool_count;
};

/* All but who it and the resource manager are, its epoch, its mbuf pool and how many units there
 * may be. */
struct rill_controller_config rill_controller_settings(const struct rill_config *settings,
                                                       const struct rill_controller_nf *nf);
/* And if the deployment has so many controllers. */
void rill_controller_is_one_of(struct rill_controller_config *config,
                               const struct rill_config *settings, uint32_t controllers);

#endif
