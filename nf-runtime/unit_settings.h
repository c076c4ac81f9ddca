/* A unit's configuration from Rill's settings, for whoever makes one: the embedded cluster, and the
 * unit's own process. */
#ifndef RILL_NF_RUNTIME_UNIT_SETTINGS_H
#define RILL_NF_RUNTIME_UNIT_SETTINGS_H

#include "lib/config/config.h"
#include "nf-runtime/unit.h"

/* All but who the unit and its peers are, its NF and its pool. */
struct rill_unit_config rill_unit_settings(const struct rill_config *settings);

#endif
