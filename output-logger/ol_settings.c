#include "output-logger/ol_settings.h"

#include "lib/config/settings.h"

struct rill_ol_config rill_ol_settings(const struct rill_config *s)
{
    return (struct rill_ol_config){
        .retry_ns = rill_setting_us(s, "retry_us"),
        .resend = rill_setting_resend(s),
        .keep_ns = rill_setting_keep_ns(s),
        .hold_ns = rill_setting_hold_ns(s),
        .flows_max = rill_setting_flows_kept(s),
        .held_packets = (uint32_t)rill_config_u64(s, "held_packets_per_output_logger")};
}
