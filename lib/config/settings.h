/* Rill's own settings: one table, from which --set, YAML, `rill settings` and the docs come. */
#ifndef RILL_LIB_CONFIG_SETTINGS_H
#define RILL_LIB_CONFIG_SETTINGS_H

#include <rill/schema.h>

#include "lib/base/resend.h"

extern const struct rill_option rill_settings_schema[];

enum rill_allocation_mode { RILL_MODE_FLOWLET, RILL_MODE_FLOW, RILL_MODE_SMART_FLOW };
enum rill_detection { RILL_DETECT_TIMEOUT_AND_SIZE, RILL_DETECT_TIMEOUT };
enum rill_state_mode { RILL_STATE_PROACTIVE, RILL_STATE_REACTIVE, RILL_STATE_EXTERNAL };
enum rill_replica_choice {
    RILL_REPLICA_WEIGHTED,
    RILL_REPLICA_DETERMINISTIC,
    RILL_REPLICA_PREDICTED
};
enum rill_placement { RILL_PLACEMENT_PACK, RILL_PLACEMENT_SPREAD, RILL_PLACEMENT_FIRST_FIT };
enum rill_controllers_mode { RILL_CONTROLLERS_LEASED, RILL_CONTROLLERS_INDEPENDENT };
enum rill_unhandled { RILL_UNHANDLED_NF, RILL_UNHANDLED_PASS, RILL_UNHANDLED_DROP };

/* Times, as the cores want them. */
static inline uint64_t rill_setting_us(const struct rill_config *settings, const char *name)
{
    return rill_config_u64(settings, name) * UINT64_C(1000);
}

static inline uint64_t rill_setting_ms(const struct rill_config *settings, const char *name)
{
    return rill_config_u64(settings, name) * UINT64_C(1000000);
}

static inline struct rill_resend rill_setting_resend(const struct rill_config *settings)
{
    return (struct rill_resend){.attempts = (uint32_t)rill_config_u64(settings, "resend_attempts"),
                                .slow_ns = rill_setting_ms(settings, "resend_slow_ms")};
}

/* How long a copy of a flow's state is kept that nobody uses: longer than any frame lives. */
static inline uint64_t rill_setting_keep_ns(const struct rill_config *settings)
{
    uint64_t keep_ns = rill_setting_ms(settings, "state_keep_ms");
    uint64_t life_ns = rill_setting_ms(settings, "frame_life_ms");

    return keep_ns > life_ns ? keep_ns : life_ns;
}

/* A copy that no controller has vouched for during so long, though one was heard, is not a living
 * flow's: units and output loggers ask once per keep_ns. */
static inline uint64_t rill_setting_vouched_ns(const struct rill_config *settings)
{
    return 3 * rill_setting_keep_ns(settings);
}

/* How long a copy of an ended flow is kept: until all that others have of it is past that time,
 * however much later they were heard of, or tell of it. */
static inline uint64_t rill_setting_hold_ns(const struct rill_config *settings)
{
    return rill_setting_vouched_ns(settings) + 4 * rill_setting_ms(settings, "frame_life_ms");
}

/* Flows that a unit or an output logger may keep: one that the controller has given up for another
 * stays there for rill_setting_hold_ns(). */
static inline uint32_t rill_setting_flows_kept(const struct rill_config *settings)
{
    return (uint32_t)(2 * rill_config_u64(settings, "flows_max")); /* at most 2 * 10^8 */
}

/* One of the flow_idle_..._s, in nanoseconds: none is longer than flow_idle_s. */
static inline uint64_t rill_setting_flow_idle_ns(const struct rill_config *settings,
                                                 const char *name)
{
    double s = rill_config_double(settings, name);
    double most_s = rill_config_double(settings, "flow_idle_s");

    return (uint64_t)((s < most_s ? s : most_s) * 1e9);
}

/* Bits per second of a whole unit. */
static inline uint64_t rill_setting_capacity_bps(const struct rill_config *settings)
{
    return (uint64_t)(rill_config_double(settings, "unit_capacity_mbps") * 1e6 + 0.5);
}

#endif
