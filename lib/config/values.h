/* What the YAML reader needs of a config beyond config.h. */
#ifndef RILL_LIB_CONFIG_VALUES_H
#define RILL_LIB_CONFIG_VALUES_H

#include "lib/config/config.h"

/* The option of that name; NULL after a line in *err that names the nearest one that exists. */
const struct rill_option *rill_config_find(const struct rill_config *config, const char *name,
                                           const char *source, struct rill_error *err);
/* rill_config_set for a list whose items are apart already. */
int rill_config_set_items(struct rill_config *config, const char *name, const char *const *items,
                          size_t count, const char *source, struct rill_error *err);

#endif
