/* When each packet of a capture is due in. Pure. */
#ifndef RILL_CLI_PACE_H
#define RILL_CLI_PACE_H

#include "traces/capture.h"

struct rill_pace {
    const struct rill_capture *capture;
    double speed;      /* gaps are divided by it */
    double ns_per_bit; /* > 0: the capture has no times, packets follow each other at this rate */
    uint64_t first_ns; /* in the capture */
    uint64_t start_ns; /* of the first packet, in the run */
    uint64_t last_due_ns;
    uint64_t sent_bits;
    uint64_t cut_ns;    /* taken out of pauses so far */
    uint64_t backwards; /* packets whose time ran backwards: due with the one before */
    uint64_t pauses_cut;
};

/* speed > 0. rate_bps > 0 overrides it: gaps are scaled so that the mean rate is that; a capture
 * all of whose packets have one time is paced by their sizes instead. */
void rill_pace_init(struct rill_pace *pace, const struct rill_capture *capture, double speed,
                    uint64_t rate_bps, uint64_t start_ns);
/* No pause is longer: a capture with one wrong time would else take years. */
#define RILL_PACE_PAUSE_MAX_NS UINT64_C(600000000000)

/* Packet `index` (from 0, each once, in order) is due then. Never before the one before. */
uint64_t rill_pace_due_ns(struct rill_pace *pace, uint64_t index);

#endif
