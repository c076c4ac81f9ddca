/* Rill's own settings: one table, from which --set, YAML, `rill settings` and the docs come. */
#ifndef RILL_LIB_CONFIG_SETTINGS_H
#define RILL_LIB_CONFIG_SETTINGS_H

#include <rill/schema.h>

extern const struct rill_option rill_settings_schema[];

enum rill_allocation_mode { RILL_MODE_FLOWLET, RILL_MODE_FLOW };
enum rill_state_mode { RILL_STATE_PROACTIVE, RILL_STATE_REACTIVE };
enum rill_replica_choice { RILL_REPLICA_WEIGHTED, RILL_REPLICA_DETERMINISTIC };
enum rill_placement { RILL_PLACEMENT_PACK, RILL_PLACEMENT_SPREAD };
enum rill_unhandled { RILL_UNHANDLED_NF, RILL_UNHANDLED_PASS, RILL_UNHANDLED_DROP };

#endif
