#include "controller/controller_settings.h"

#include <string.h>

#include "lib/config/settings.h"
#include "lib/packet/split.h"

static bool passes_unhandled(const struct rill_config *settings,
                             const struct rill_controller_nf *nf)
{
    switch (rill_config_enum(settings, "unhandled")) {
    case RILL_UNHANDLED_PASS:
        return true;
    case RILL_UNHANDLED_DROP:
        return false;
    default:
        return nf->unhandled_passes;
    }
}

static uint32_t flowlet_bytes(const struct rill_config *settings)
{
    if (rill_config_enum(settings, "detection") == RILL_DETECT_TIMEOUT)
        return UINT32_MAX;
    return (uint32_t)rill_config_u64(settings, "flowlet_bytes");
}

struct rill_controller_config rill_controller_settings(const struct rill_config *s,
                                                       const struct rill_controller_nf *nf)
{
    struct rill_controller_config config = {
        .flow_kind = rill_split_kind_of(nf->flow_scope),
        .handles = nf->handles,
        .inside_opens = (nf->flags & RILL_NF_INSIDE_OPENS) != 0,
        .pass_unhandled = passes_unhandled(s, nf),
        .pool_count = nf->pool_count,
        .mode = rill_config_enum(s, "mode"),
        .smart_flow_ns = rill_config_enum_number(s, "mode") * UINT64_C(1000000),
        .placement = rill_config_enum(s, "placement"),
        .replica_choice = rill_config_enum(s, "replica_choice"),
        .proactive = rill_config_enum(s, "state") == RILL_STATE_PROACTIVE,
        .replicas = (uint32_t)rill_config_u64(s, "replicas"),
        .alpha = rill_config_double(s, "alpha"),
        .ewma_weight = rill_config_double(s, "ewma_weight"),
        .flowlet_timeout_ns = rill_setting_us(s, "flowlet_timeout_us"),
        .unit_backlog_ns = rill_setting_us(s, "unit_backlog_us"),
        .lease_backlog_ns = rill_setting_us(s, "lease_backlog_us"),
        .flowlet_bytes = flowlet_bytes(s),
        .frame_life_ns = rill_config_u64(s, "frame_life_ms") * 1000 * 1000,
        .vouched_ns = rill_setting_vouched_ns(s),
        .flow_idle_ns = rill_setting_flow_idle_ns(s, "flow_idle_other_s"),
        .flow_idle_tcp_ns = rill_setting_flow_idle_ns(s, "flow_idle_tcp_s"),
        .flow_idle_tcp_transitory_ns = rill_setting_flow_idle_ns(s, "flow_idle_tcp_transitory_s"),
        .flow_idle_udp_ns = rill_setting_flow_idle_ns(s, "flow_idle_udp_s"),
        .flow_idle_icmp_ns = rill_setting_flow_idle_ns(s, "flow_idle_icmp_s"),
        .flow_closed_ns = rill_setting_flow_idle_ns(s, "flow_closed_s"),
        .flows_max = (uint32_t)rill_config_u64(s, "flows_max"),
        .units_min = (uint32_t)rill_config_u64(s, "units_min"),
        .units_reserve = (uint32_t)rill_config_u64(s, "units_reserve"),
        .epoch_ns = rill_setting_ms(s, "epoch_ms"),
        .lease_ns = rill_setting_ms(s, "lease_ms"),
        .idle_unit_ns = rill_setting_ms(s, "idle_unit_ms"),
        .idle_last_unit_ns = rill_setting_ms(s, "idle_last_unit_ms"),
        .waiting_packets = (uint32_t)rill_config_u64(s, "waiting_packets_per_controller"),
        .waiting_ns = rill_setting_ms(s, "waiting_ms"),
        .retry_ns = rill_setting_us(s, "retry_us"),
        .resend = rill_setting_resend(s),
        .pool_quarantine_ns = rill_setting_ms(s, "pool_quarantine_ms"),
        .seed = rill_config_u64(s, "seed"),
        .hash_seed = rill_config_u64(s, "seed")};

    memcpy(config.pools, nf->pools, sizeof(config.pools));
    return config;
}

void rill_controller_is_one_of(struct rill_controller_config *config,
                               const struct rill_config *settings, uint32_t controllers)
{
    config->controllers = controllers;
    if (controllers > 1 && rill_config_enum(settings, "controllers") == RILL_CONTROLLERS_LEASED)
        config->lease_step = (uint32_t)rill_config_u64(settings, "lease_step");
}
