/* The lease core's times from a deployment's settings: the same wherever leases are given. */
#ifndef RILL_RM_RM_SETTINGS_H
#define RILL_RM_RM_SETTINGS_H

#include "lib/config/config.h"
#include "rm/rm.h"

/* Fills all but id and pool from settings of rill_settings_schema. -EINVAL with a line in *err if
 * the settings contradict each other. */
int rill_rm_config_from(const struct rill_config *settings, struct rill_rm_config *config,
                        struct rill_error *err);

#endif
