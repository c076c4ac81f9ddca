/* An output logger's configuration from Rill's settings, for whoever makes one: the embedded
 * cluster, and the output logger's own process. */
#ifndef RILL_OUTPUT_LOGGER_OL_SETTINGS_H
#define RILL_OUTPUT_LOGGER_OL_SETTINGS_H

#include "lib/config/config.h"
#include "output-logger/output_logger.h"

/* All but who it and its peers are, the size of a flow's state, and its pool. */
struct rill_ol_config rill_ol_settings(const struct rill_config *settings);

#endif
