#include "rm/rm_settings.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/config/settings.h"

/* A packet takes 20 times as long there as at a whole unit. */
#define SHARE_MIN 50u

int rill_rm_config_from(const struct rill_config *settings, struct rill_rm_config *config,
                        struct rill_error *err)
{
    config->epoch_ns = rill_setting_ms(settings, "epoch_ms");
    config->lease_ns = rill_setting_ms(settings, "lease_ms");
    config->margin_ns = config->lease_ns / 10;
    config->share_min = RTE_MIN((uint32_t)rill_config_u64(settings, "lease_step"), SHARE_MIN);
    config->resend_ns = rill_setting_us(settings, "retry_us");
    config->resend = rill_setting_resend(settings);
    config->whole_units = rill_config_enum(settings, "controllers") == RILL_CONTROLLERS_INDEPENDENT;
    if (config->lease_ns > config->epoch_ns)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "lease_ms must be more than epoch_ms (%" PRIu64 "): a lease is "
                          "renewed once per epoch",
                          config->epoch_ns / 1000000);
}
