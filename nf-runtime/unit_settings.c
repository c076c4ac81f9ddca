#include "nf-runtime/unit_settings.h"

#include "lib/config/settings.h"

struct rill_unit_config rill_unit_settings(const struct rill_config *s)
{
    return (struct rill_unit_config){
        .capacity_bps = rill_setting_capacity_bps(s),
        .flowlet_timeout_ns = rill_setting_us(s, "flowlet_timeout_us"),
        .pull_timeout_ns = rill_setting_us(s, "pull_timeout_us"),
        .retry_ns = rill_setting_us(s, "retry_us"),
        .resend = rill_setting_resend(s),
        .keep_ns = rill_setting_keep_ns(s),
        .hold_ns = rill_setting_hold_ns(s),
        .queue_packets = (uint32_t)rill_config_u64(s, "unit_queue_packets"),
        .stash_packets_per_flow = (uint32_t)rill_config_u64(s, "stash_packets_per_flow"),
        .stash_packets_per_unit = (uint32_t)rill_config_u64(s, "stash_packets_per_unit"),
        .flows_max = rill_setting_flows_kept(s),
        .replica_kb = (uint32_t)rill_config_u64(s, "replica_kb_per_unit"),
        .pool_block = (uint32_t)rill_config_u64(s, "pool_block"),
        .proactive = rill_config_enum(s, "state") == RILL_STATE_PROACTIVE};
}
