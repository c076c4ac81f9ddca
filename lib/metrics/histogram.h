/* Latency histogram with bounded relative error, after HdrHistogram: buckets are linear within a
 * power of two, 2^RILL_HISTOGRAM_BITS of them, so a reported quantile is at most 1/128 above the
 * true one, and never below it. Fixed size, no allocation on record, mergeable by addition.
 */
#ifndef RILL_LIB_METRICS_HISTOGRAM_H
#define RILL_LIB_METRICS_HISTOGRAM_H

#include <stdint.h>

enum {
    RILL_HISTOGRAM_BITS = 7,
    RILL_HISTOGRAM_BUCKETS = (64 - RILL_HISTOGRAM_BITS + 1) << RILL_HISTOGRAM_BITS
};

struct rill_histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[RILL_HISTOGRAM_BUCKETS];
};

void rill_histogram_record(struct rill_histogram *h, uint64_t value);
void rill_histogram_merge(struct rill_histogram *into, const struct rill_histogram *from);
/* The least bucket bound that at least a share q (0 < q <= 1) of the values does not exceed, at
 * most `max`; 0 where nothing was recorded. */
uint64_t rill_histogram_quantile(const struct rill_histogram *h, double q);

#endif
