/* What the files of the work assignment share.
 *
 *   wam.c          load and room of units, the choice of one
 *   wam_units.c    which units there are
 *   wam_targets.c  who gets copies of a flow's state
 */
#ifndef RILL_CONTROLLER_WAM_INTERNAL_H
#define RILL_CONTROLLER_WAM_INTERNAL_H

#include "controller/backlog.h"
#include "controller/load_window.h"
#include "controller/rank_index.h"
#include "controller/rank_sampler.h"
#include "controller/room_tree.h"
#include "controller/wam.h"
#include "lib/base/id_map.h"

enum { BPS_PER_BYTE = 80 }; /* a byte in a window of 100 ms */
enum { EXPECT_SHIFT = 60 };
enum {
    ROOM_QUANTA = 2048,  /* the largest capacity lies in the upper half: quanta of 1/1024 or less */
    STEPS_TO_ONE = 1024, /* of utilization */
};

struct unit {
    uint32_t id;
    uint32_t rank;               /* place in id order; gaps where units have been removed */
    uint64_t capacity;           /* in bytes per window, like all loads here */
    uint64_t scale;              /* 2^32 * STEPS_TO_ONE / capacity */
    uint32_t room_quantum, step; /* where it stands in the indexes; RILL_RANK_NONE: nowhere */
    uint64_t used_ns;
    uint32_t sent_bytes; /* drained to it since wam->now_ns, and not in its load yet: in `sent` */
    bool active;
    bool draining;
    bool stale; /* in the list of these */
};

struct rill_wam {
    struct rill_wam_config config;
    struct rill_wam_counters counters;
    uint64_t now_ns;
    uint64_t expect_scale; /* demand_bps * this >> EXPECT_SHIFT = bytes expected */
    struct unit *units;    /* by slot */
    uint32_t *free_slots;
    uint32_t free_count;
    uint32_t *all, *active; /* slots, in id order */
    uint32_t all_count, active_count;
    uint32_t draining_count;
    uint32_t *slot_of_rank;
    uint32_t ranks, ranks_max;
    uint32_t room_shift; /* a quantum of room is 2^this bytes */
    struct rill_id_map slot_of_id;
    struct rill_load_window load;
    struct rill_backlog backlog;
    struct rill_rank_index by_room, by_step;
    struct rill_room_tree first_with_room; /* placement FIRST_FIT: a rank's room and 1; 0: none */
    /* Slots of units that were sent something which is not in their load yet, and of those whose
     * load has changed since anybody looked into an index: packets come more often. */
    uint32_t *sent, *stale;
    uint32_t sent_count, stale_count;
    struct unit *recent; /* where the last flowlet went, or NULL: it is asked for most often */
    uint32_t recent_id;
    struct rill_rank_sampler sampler;
};

static inline struct unit *wam_find(const struct rill_wam *wam, uint32_t id)
{
    const uint64_t *slot;

    if (id == wam->recent_id)
        return wam->recent;
    slot = rill_id_map_find(&wam->slot_of_id, id);
    return slot == NULL ? NULL : &wam->units[*slot];
}

static inline uint32_t wam_slot_of(const struct rill_wam *wam, const struct unit *unit)
{
    return (uint32_t)(unit - wam->units);
}

static inline uint64_t wam_load_of(const struct rill_wam *wam, const struct unit *unit)
{
    return wam->load.bytes[wam_slot_of(wam, unit)];
}

static inline bool wam_is_behind(const struct rill_wam *wam, const struct unit *unit)
{
    return rill_backlog_is_behind(&wam->backlog, wam_slot_of(wam, unit));
}

/* By the load of the last 100 ms. It may be behind, or draining, all the same. */
static inline bool wam_has_room(const struct unit *unit, uint64_t load, uint64_t need)
{
    return unit->active && unit->capacity > 0 && load <= unit->capacity &&
           need <= unit->capacity - load;
}

static inline bool wam_fits(const struct rill_wam *wam, const struct unit *unit, uint64_t need)
{
    return wam_has_room(unit, wam_load_of(wam, unit), need) && !wam_is_behind(wam, unit);
}

static inline double wam_utilization_of(const struct rill_wam *wam, const struct unit *unit)
{
    uint64_t load = wam_load_of(wam, unit);

    return load == 0 ? 0 : (double)load / (unit->capacity > 0 ? (double)unit->capacity : 1e-9);
}

static inline struct unit *wam_unit_of_rank(const struct rill_wam *wam, uint32_t rank)
{
    return &wam->units[wam->slot_of_rank[rank]];
}

/* A demand in the bytes per window that loads are in, rounded up. */
static inline uint64_t wam_need(uint64_t demand_bps)
{
    return demand_bps / BPS_PER_BYTE + (demand_bps % BPS_PER_BYTE != 0);
}

static inline void wam_touch(struct rill_wam *wam, struct unit *unit)
{
    if (unit->stale)
        return;
    unit->stale = true;
    wam->stale[wam->stale_count++] = wam_slot_of(wam, unit);
}

/* What was drained goes into the loads. */
static inline void wam_settle(struct rill_wam *wam)
{
    while (wam->sent_count > 0) {
        uint32_t slot = wam->sent[--wam->sent_count];
        struct unit *unit = &wam->units[slot];

        rill_load_window_drained(&wam->load, slot, unit->sent_bytes);
        rill_backlog_sent(&wam->backlog, slot, unit->sent_bytes, wam->now_ns);
        unit->sent_bytes = 0;
        wam_touch(wam, unit);
    }
}

/* What was drained goes into the loads, and what is too old leaves them: before anybody looks at
 * these. */
void wam_advance(struct rill_wam *wam, uint64_t now_ns);
/* The indexes are as the loads say: before anybody looks into one. */
void wam_index(struct rill_wam *wam);
/* One unit's places in the indexes are as its load says; it has none. */
void wam_reindex(struct rill_wam *wam, struct unit *unit);
void wam_unindex(struct rill_wam *wam, struct unit *unit);
/* Where the unit of that id stands, or would, in a list of slots in id order. */
uint32_t wam_position(const struct rill_wam *wam, const uint32_t *list, uint32_t count,
                      uint32_t id);

#endif
