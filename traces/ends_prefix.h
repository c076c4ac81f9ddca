/* Lists of prefixes: who is inside. Private to traces/ends.c. */
#ifndef RILL_TRACES_ENDS_PREFIX_H
#define RILL_TRACES_ENDS_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/endpoint.h>

#include "lib/base/error.h"

struct ends_prefix {
    uint8_t addr[16];
    uint8_t family, bits;
};

struct ends_prefixes {
    struct ends_prefix *list;
    uint32_t n;
};

/* "10.0.0.0/8,2001:db8::/32,192.0.2.7". 0; -EINVAL naming the item, -ENOMEM. */
int rill_ends_prefixes_read(struct ends_prefixes *prefixes, const char *text,
                            struct rill_error *err);
void rill_ends_prefixes_fini(struct ends_prefixes *prefixes); /* zeroed is fine */
bool rill_ends_prefixes_have(const struct ends_prefixes *prefixes,
                             const struct rill_endpoint *endpoint);

#endif
