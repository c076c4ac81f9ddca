/* Usage records: what a role of a deployment did in an interval, as lines of JSON that a billing
 * system can take. docs/usage.md has the fields.
 *
 * What is billed of a unit is packets - packets_died, and the same of bytes: what it processed,
 * less what it had processed when it died and nobody ever saw. The latter is known at its end only,
 * and stands in its last record.
 */
#ifndef RILL_LIB_USAGE_USAGE_H
#define RILL_LIB_USAGE_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/error.h"

enum { RILL_USAGE_NAME_BYTES = 64, RILL_USAGE_LINE_BYTES = 768 };

/* The numbers: X(field). All add up over records. */
#define RILL_USAGE_COUNTS(X)                                                                       \
    X(packets_in) /* that came to it; also those that it passed on to another unit */              \
    X(bytes_in)                                                                                    \
    X(packets) /* that the NF processed */                                                         \
    X(bytes)                                                                                       \
    X(packets_out) /* of these, that left, or that the NF dropped by its own word */               \
    X(bytes_out)                                                                                   \
    X(packets_died) /* of these, that died with it: it was never as if they had been processed */  \
    X(bytes_died)                                                                                  \
    X(cpu_ns)  /* processor time that it took for them */                                          \
    X(unit_ns) /* leased time: a unit for a second, or half of it for two, is 10^9 */

struct rill_usage_counts {
#define X(name) uint64_t name;
    RILL_USAGE_COUNTS(X)
#undef X
};

struct rill_usage_record {
    uint64_t sequence; /* from 1, one more with each record of a file: gaps and doubles show */
    uint64_t start_ns, end_ns;
    char deployment[RILL_USAGE_NAME_BYTES];
    char role[RILL_USAGE_NAME_BYTES]; /* "unit:3"; of an id that is never used again */
    bool final;                       /* its last one: it has ended */
    struct rill_usage_counts counts;
};

static inline void rill_usage_add(struct rill_usage_counts *sum,
                                  const struct rill_usage_counts *counts)
{
#define X(name) sum->name += counts->name;
    RILL_USAGE_COUNTS(X)
#undef X
}

/* What `now` has more than `before`. Both count upwards. */
static inline struct rill_usage_counts rill_usage_since(const struct rill_usage_counts *now,
                                                        const struct rill_usage_counts *before)
{
    struct rill_usage_counts since;

#define X(name) since.name = now->name - before->name;
    RILL_USAGE_COUNTS(X)
#undef X
    return since;
}

static inline bool rill_usage_is_zero(const struct rill_usage_counts *counts)
{
    uint64_t any = 0;

#define X(name) any |= counts->name;
    RILL_USAGE_COUNTS(X)
#undef X
    return any == 0;
}

/* One line. Errors of the stream are the caller's to find. */
void rill_usage_write(FILE *to, const struct rill_usage_record *record);
/* A line that rill_usage_write() wrote. -EINVAL if it is none: it may have been cut off. */
int rill_usage_read(const char *line, struct rill_usage_record *record);

#endif
