/* What a packet passes of the work assignment (wam.h), where it is compiled into who sends packets.
 */
#ifndef RILL_CONTROLLER_WAM_PACKET_H
#define RILL_CONTROLLER_WAM_PACKET_H

#include "controller/wam_internal.h"

static inline bool wam_is_active(const struct rill_wam *wam, uint32_t id)
{
    const struct unit *unit = wam_find(wam, id);

    return unit != NULL && unit->active;
}

/* The only active unit; 0: there is none, or more. */
static inline uint32_t wam_only(const struct rill_wam *wam)
{
    return wam->active_count == 1 ? wam->units[wam->active[0]].id : 0;
}

/* rill_wam_choose() where one unit is active and the flowlet fits there: whatever its score, and
 * without a look at any index. What was sent there now need not be in its load for that. 0: it is
 * not so. */
static inline uint32_t wam_choose_only(struct rill_wam *wam, uint64_t demand_bps, uint64_t now_ns)
{
    struct unit *unit;
    uint32_t slot;

    if (wam->active_count != 1 || wam->config.placement != RILL_PLACEMENT_PACK)
        return 0;
    slot = wam->active[0];
    unit = &wam->units[slot];
    if (now_ns > wam->now_ns)
        wam_advance(wam, now_ns);
    if (unit->draining ||
        !wam_has_room(unit, wam->load.bytes[slot] + unit->sent_bytes, wam_need(demand_bps)) ||
        rill_backlog_would_be_behind(&wam->backlog, slot, unit->sent_bytes, wam->now_ns))
        return 0;
    wam->counters.choices++;
    return unit->id;
}

/* rill_wam_drained(). Once a packet, so it only takes note, as long as time stands still and nobody
 * asks. */
static inline void wam_drained(struct rill_wam *wam, uint32_t id, uint32_t wire_bytes,
                               struct rill_wam_pending *pending, uint64_t now_ns)
{
    struct unit *unit = wam_find(wam, id);

    if (now_ns > wam->now_ns || (unit != NULL && unit->sent_bytes > UINT32_MAX - wire_bytes))
        wam_advance(wam, now_ns);
    if (unit == NULL) {
        *pending = (struct rill_wam_pending){0};
        return;
    }
    unit->used_ns = wam->now_ns;
    if (unit->sent_bytes == 0 && wire_bytes > 0)
        wam->sent[wam->sent_count++] = wam_slot_of(wam, unit);
    unit->sent_bytes += wire_bytes;
    if (pending->bytes == 0)
        return;
    rill_load_window_settle(&wam->load, wam_slot_of(wam, unit), wire_bytes, pending);
    wam_touch(wam, unit);
}

/* rill_wam_flowlet_end(). Mostly nothing is pending any more. */
static inline void wam_flowlet_end(struct rill_wam *wam, uint32_t id,
                                   struct rill_wam_pending *pending, uint64_t now_ns)
{
    if (pending->bytes > 0)
        rill_wam_flowlet_end(wam, id, pending, now_ns);
    else
        *pending = (struct rill_wam_pending){0};
}

#endif
