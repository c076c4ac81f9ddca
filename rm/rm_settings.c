#include "rm/rm_settings.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)

int rill_rm_config_from(const struct rill_config *settings, struct rill_rm_config *config,
                        struct rill_error *err)
{
    config->epoch_ns = rill_config_u64(settings, "epoch_ms") * NS_PER_MS;
    config->lease_ns = rill_config_u64(settings, "lease_ms") * NS_PER_MS;
    config->margin_ns = config->lease_ns / 10;
    config->resend_ns = rill_config_u64(settings, "retry_us") * NS_PER_US;
    if (config->lease_ns > config->epoch_ns)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "lease_ms must be more than epoch_ms (%" PRIu64 "): a lease is "
                          "renewed once per epoch",
                          config->epoch_ns / NS_PER_MS);
}

uint64_t rill_rm_capacity_bps(const struct rill_config *settings)
{
    return (uint64_t)llround(rill_config_double(settings, "unit_capacity_mbps") * 1e6);
}
