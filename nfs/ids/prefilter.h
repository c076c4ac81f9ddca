/* Where in a piece of a stream a pattern may begin: a look at up to three bytes of each place, many
 * places at once where the processor can (the nibble tables of Hyperscan's "Teddy"; Langdale). What
 * it leaves out can't begin a pattern; what it gives may or may not.
 */
#ifndef RILL_NFS_IDS_PREFILTER_H
#define RILL_NFS_IDS_PREFILTER_H

#include <stdint.h>

#include "nfs/ids/automaton.h"

enum { IDS_PREFILTER_BYTES = 3, IDS_PREFILTER_SETS = 8 };

struct ids_prefilter {
    /* A bit for each of 8 sets of patterns: it is in both tables of the n-th byte where a pattern
     * of the set may have such a nibble there. */
    uint8_t low[IDS_PREFILTER_BYTES][16], high[IDS_PREFILTER_BYTES][16];
    uint8_t first[256]; /* the same of the first byte */
    uint32_t (*next)(const struct ids_prefilter *filter, const uint8_t *data, uint32_t from,
                     uint32_t bytes);
};

void ids_prefilter_build(struct ids_prefilter *filter, const struct ids_pattern *patterns,
                         uint32_t n);
/* At most so many places at once: 64, 32, 16 or 1. As many as this processor can, at first. */
void ids_prefilter_limit(struct ids_prefilter *filter, uint32_t places);

/* The first place, not before `from`, where a pattern may begin; `bytes` if there is none. */
static inline uint32_t ids_prefilter_next(const struct ids_prefilter *filter, const uint8_t *data,
                                          uint32_t from, uint32_t bytes)
{
    return filter->next(filter, data, from, bytes);
}

#endif
