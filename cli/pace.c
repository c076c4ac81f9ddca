#include "cli/pace.h"

#include <rte_common.h>

/* Thirty years: what is further away is cut anyway, and a double fits into 64 bits. */
static const double OFFSET_MAX_NS = 1e18;

void rill_pace_init(struct rill_pace *pace, const struct rill_capture *capture, double speed,
                    uint64_t rate_bps, uint64_t start_ns)
{
    uint64_t first_ns = capture->packets[0].time_ns, last_ns = first_ns;

    for (uint64_t i = 0; i < capture->count; i++)
        if (capture->packets[i].time_ns > last_ns)
            last_ns = capture->packets[i].time_ns;
    *pace = (struct rill_pace){.capture = capture,
                               .speed = speed,
                               .first_ns = first_ns,
                               .start_ns = start_ns,
                               .last_due_ns = start_ns};
    if (rate_bps == 0)
        return;
    if (last_ns == first_ns)
        pace->ns_per_bit = 1e9 / (double)rate_bps;
    else
        pace->speed =
            (double)rate_bps * (double)(last_ns - first_ns) / ((double)capture->bytes * 8 * 1e9);
}

uint64_t rill_pace_due_ns(struct rill_pace *pace, uint64_t index)
{
    const struct rill_capture_packet *packet = &pace->capture->packets[index];
    double offset_ns = 0;
    uint64_t due_ns;

    if (pace->ns_per_bit > 0) {
        offset_ns = (double)pace->sent_bits * pace->ns_per_bit;
        pace->sent_bits += (uint64_t)packet->wire_bytes * 8;
    } else if (packet->time_ns > pace->first_ns) {
        offset_ns = (double)(packet->time_ns - pace->first_ns) / pace->speed;
    }
    if (index > 0 && packet->time_ns < pace->capture->packets[index - 1].time_ns)
        pace->backwards++;
    due_ns = pace->start_ns + (uint64_t)(offset_ns < OFFSET_MAX_NS ? offset_ns : OFFSET_MAX_NS);
    due_ns -= RTE_MIN(due_ns - pace->start_ns, pace->cut_ns);
    if (due_ns <= pace->last_due_ns)
        return pace->last_due_ns;
    if (due_ns - pace->last_due_ns > RILL_PACE_PAUSE_MAX_NS) {
        pace->cut_ns += due_ns - pace->last_due_ns - RILL_PACE_PAUSE_MAX_NS;
        due_ns = pace->last_due_ns + RILL_PACE_PAUSE_MAX_NS;
        pace->pauses_cut++;
    }
    pace->last_due_ns = due_ns;
    return due_ns;
}
