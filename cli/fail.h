/* Roles that a user lets fail: `rill fail ROLE:N`, and `rill replay --fail ROLE:N@TIME`. Pure. */
#ifndef RILL_CLI_FAIL_H
#define RILL_CLI_FAIL_H

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/role_name.h"

enum { RILL_FAILS_MAX = 64 }; /* of one replay */

struct rill_fail {
    enum rill_role_kind kind;
    uint32_t number;  /* from 1; 0: an rm or an agent, of which there is one on a machine */
    uint64_t at_ns;   /* from the first packet */
    const char *text; /* as it was given */
};

/* "unit:2" or "unit-2", "output-logger:1", "controller:1", "rm", "agent". -EINVAL with a line in
 * *err. */
int rill_fail_role(const char *text, struct rill_fail *fail, struct rill_error *err);
/* The same with "@1.5s" or "@300ms" behind it. */
int rill_fail_parse(const char *text, struct rill_fail *fail, struct rill_error *err);

#endif
