/* `rill replay --update NAME=FILE@TIME`: at that time an object has another text. Pure. */
#ifndef RILL_CLI_UPDATE_H
#define RILL_CLI_UPDATE_H

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/object_name.h"

enum {
    RILL_UPDATES_MAX = 64, /* of one replay */
    RILL_UPDATE_PATH_BYTES = 4096,
};

struct rill_update {
    char name[RILL_OBJECT_NAME_MAX + 1];
    char file[RILL_UPDATE_PATH_BYTES];
    uint64_t at_ns;   /* from the first packet */
    const char *text; /* as it was given */
};

/* -EINVAL with a line in *err. */
int rill_update_parse(const char *text, struct rill_update *update, struct rill_error *err);

#endif
