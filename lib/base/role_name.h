/* Names of roles for people: "unit 3" in texts, "unit-3" in file names; and back. */
#ifndef RILL_LIB_BASE_ROLE_NAME_H
#define RILL_LIB_BASE_ROLE_NAME_H

#include <stdio.h>

#include "lib/base/role.h"

enum { RILL_ROLE_NAME_BYTES = 40 };

static inline const char *rill_role_kind_name(enum rill_role_kind kind)
{
    switch (kind) {
    case RILL_ROLE_RM:
        return "rm";
    case RILL_ROLE_CONTROLLER:
        return "controller";
    case RILL_ROLE_UNIT:
        return "unit";
    case RILL_ROLE_OUTPUT_LOGGER:
        return "output-logger";
    case RILL_ROLE_AGENT:
        return "agent";
    case RILL_ROLE_CLIENT:
        return "client";
    case RILL_ROLE_STORE:
        return "store";
    default:
        return "role";
    }
}

/* "unit-3". Returns buf. */
static inline const char *rill_role_name(uint32_t id, char buf[RILL_ROLE_NAME_BYTES])
{
    snprintf(buf, RILL_ROLE_NAME_BYTES, "%s-%u", rill_role_kind_name(rill_role_kind(id)),
             rill_role_number(id));
    return buf;
}

#endif
