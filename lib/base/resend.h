/* When an unanswered question is asked again. The pauses double, up to eight times the first; after
 * `attempts` askings without an answer it goes on only once per slow_ns. So a peer that is gone, or
 * a network that is down, costs little, and when either comes back it is noticed within slow_ns:
 * the protocol's questions are never given up, as a flow would stand still or an endpoint be lost
 * (docs/protocol.md, "Bounds").
 */
#ifndef RILL_LIB_BASE_RESEND_H
#define RILL_LIB_BASE_RESEND_H

#include <stdint.h>

enum { RILL_RESEND_DOUBLINGS = 3 };

struct rill_resend {
    uint32_t attempts; /* 0: slow at once */
    uint64_t slow_ns;  /* a first pause that is longer counts instead */
};

/* The pause after the question was sent for the `sent`th time, from 1. The last of the attempts is
 * counted in *slowed. */
static inline uint64_t rill_resend_pause_ns(const struct rill_resend *resend, uint64_t first_ns,
                                            uint32_t sent, uint64_t *slowed)
{
    uint64_t most_ns = resend->slow_ns > first_ns ? resend->slow_ns : first_ns;
    uint32_t doublings = sent == 0 ? 0 : sent - 1;
    uint64_t pause_ns;

    if (sent >= resend->attempts) {
        *slowed += sent == resend->attempts;
        return most_ns;
    }
    if (doublings > RILL_RESEND_DOUBLINGS)
        doublings = RILL_RESEND_DOUBLINGS;
    pause_ns = first_ns << doublings;
    return pause_ns < most_ns ? pause_ns : most_ns;
}

#endif
