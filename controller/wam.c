#include "controller/wam.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/wam_packet.h"

enum {
    STEPS_PER_OCTAVE = 16, /* of utilization above 1 */
    OCTAVES = 16,
    STEPS = STEPS_TO_ONE + OCTAVES * STEPS_PER_OCTAVE,
    LOOK_AT = 16, /* units of one quantum that are compared exactly */
};
_Static_assert((uint64_t)RILL_WAM_BUCKETS *RILL_WAM_BUCKET_NS *BPS_PER_BYTE == UINT64_C(8000000000),
               "a window's bytes times this is bits per second");

#define EXPECT_NS_MAX UINT64_C(100000000000)

struct rill_wam *rill_wam_create(const struct rill_wam_config *config)
{
    uint32_t n = config->units_max;
    struct rill_wam *wam;
    int rc = 0;

    if (n < 1 || n > RILL_WAM_UNITS_MAX || !(config->alpha >= 0 && config->alpha <= 1) ||
        config->expect_ns < 1 || config->expect_ns > EXPECT_NS_MAX)
        return NULL;
    wam = calloc(1, sizeof(*wam));
    if (wam == NULL)
        return NULL;
    wam->config = *config;
    wam->ranks_max = n + n / 4 + 16; /* so that gaps are closed once in many additions */
    /* Rounded up, so that what comes out in whole bytes does. */
    wam->expect_scale =
        (uint64_t)(((unsigned __int128)config->expect_ns << EXPECT_SHIFT) / UINT64_C(8000000000)) +
        1;
    wam->units = calloc(n, sizeof(wam->units[0]));
    wam->free_slots = malloc(n * sizeof(wam->free_slots[0]));
    wam->all = malloc(n * sizeof(wam->all[0]));
    wam->active = malloc(n * sizeof(wam->active[0]));
    wam->sent = malloc(n * sizeof(wam->sent[0]));
    wam->stale = malloc(n * sizeof(wam->stale[0]));
    wam->slot_of_rank = malloc(wam->ranks_max * sizeof(wam->slot_of_rank[0]));
    rc |= rill_load_window_init(&wam->load, n, config->expect_ns);
    rc |= rill_backlog_init(&wam->backlog, n, config->backlog_ns);
    rc |= rill_rank_index_init(&wam->by_room, ROOM_QUANTA, wam->ranks_max);
    rc |= rill_rank_index_init(&wam->by_step, STEPS, wam->ranks_max);
    if (config->placement == RILL_PLACEMENT_FIRST_FIT)
        rc |= rill_room_tree_init(&wam->first_with_room, wam->ranks_max);
    rc |= rill_rank_sampler_init(&wam->sampler, n);
    if (rc != 0 || wam->units == NULL || wam->free_slots == NULL || wam->all == NULL ||
        wam->active == NULL || wam->sent == NULL || wam->stale == NULL ||
        wam->slot_of_rank == NULL) {
        rill_wam_destroy(wam);
        return NULL;
    }
    for (uint32_t slot = n; slot-- > 0;)
        wam->free_slots[wam->free_count++] = slot;
    return wam;
}

void rill_wam_destroy(struct rill_wam *wam)
{
    if (wam == NULL)
        return;
    rill_rank_sampler_fini(&wam->sampler);
    rill_room_tree_fini(&wam->first_with_room);
    rill_rank_index_fini(&wam->by_step);
    rill_rank_index_fini(&wam->by_room);
    rill_load_window_fini(&wam->load);
    rill_backlog_fini(&wam->backlog);
    rill_id_map_fini(&wam->slot_of_id);
    free(wam->slot_of_rank);
    free(wam->stale);
    free(wam->sent);
    free(wam->active);
    free(wam->all);
    free(wam->free_slots);
    free(wam->units);
    free(wam);
}

const struct rill_wam_counters *rill_wam_counters(const struct rill_wam *wam)
{
    return &wam->counters;
}

static uint32_t room_quantum_of(const struct rill_wam *wam, const struct unit *unit)
{
    if (unit->draining || !wam_fits(wam, unit, 0))
        return RILL_RANK_NONE;
    return (uint32_t)((unit->capacity - wam_load_of(wam, unit)) >> wam->room_shift);
}

/* Even steps up to a utilization of 1, then even parts of each doubling. */
static uint32_t utilization_step(const struct rill_wam *wam, const struct unit *unit)
{
    unsigned __int128 product = (unsigned __int128)wam_load_of(wam, unit) * unit->scale >> 32;
    uint64_t even = product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
    uint32_t octave, step;

    if (even < STEPS_TO_ONE)
        return (uint32_t)even;
    octave = 63 - (uint32_t)__builtin_clzll(even) - 10;
    step = STEPS_TO_ONE + octave * STEPS_PER_OCTAVE +
           ((uint32_t)(even >> (octave + 6)) & (STEPS_PER_OCTAVE - 1));
    return step < STEPS ? step : STEPS - 1;
}

static uint32_t step_of(const struct rill_wam *wam, const struct unit *unit)
{
    if (!unit->active || wam_is_behind(wam, unit))
        return RILL_RANK_NONE;
    return utilization_step(wam, unit);
}

static void move_in(struct rill_rank_index *index, uint32_t rank, uint32_t *at, uint32_t to)
{
    if (*at == to)
        return;
    if (*at != RILL_RANK_NONE)
        rill_rank_index_remove(index, *at, rank);
    if (to != RILL_RANK_NONE)
        rill_rank_index_insert(index, to, rank);
    *at = to;
}

static void set_first_fit(struct rill_wam *wam, const struct unit *unit, bool fits)
{
    uint64_t room = fits ? unit->capacity - wam_load_of(wam, unit) : 0;

    if (wam->config.placement == RILL_PLACEMENT_FIRST_FIT)
        rill_room_tree_set(&wam->first_with_room, unit->rank, fits ? room + 1 : 0);
}

void wam_reindex(struct rill_wam *wam, struct unit *unit)
{
    move_in(&wam->by_room, unit->rank, &unit->room_quantum, room_quantum_of(wam, unit));
    move_in(&wam->by_step, unit->rank, &unit->step, step_of(wam, unit));
    set_first_fit(wam, unit, unit->room_quantum != RILL_RANK_NONE);
}

void wam_unindex(struct rill_wam *wam, struct unit *unit)
{
    move_in(&wam->by_room, unit->rank, &unit->room_quantum, RILL_RANK_NONE);
    move_in(&wam->by_step, unit->rank, &unit->step, RILL_RANK_NONE);
    set_first_fit(wam, unit, false);
}

void wam_index(struct rill_wam *wam)
{
    while (wam->stale_count > 0) {
        struct unit *unit = &wam->units[wam->stale[--wam->stale_count]];

        unit->stale = false;
        wam_reindex(wam, unit);
    }
}

static void expire(struct rill_wam *wam)
{
    uint32_t slot;

    while ((slot = rill_load_window_expire(&wam->load, wam->now_ns)) != UINT32_MAX) {
        if (wam->units[slot].id != 0)
            wam_touch(wam, &wam->units[slot]);
    }
    while ((slot = rill_backlog_expire(&wam->backlog, wam->now_ns)) != UINT32_MAX) {
        if (wam->units[slot].id != 0)
            wam_touch(wam, &wam->units[slot]);
    }
}

void wam_advance(struct rill_wam *wam, uint64_t now_ns)
{
    wam_settle(wam); /* that was before */
    if (now_ns <= wam->now_ns)
        return;
    wam->now_ns = now_ns;
    expire(wam);
}

/* The same, but that what was drained may stay out of the loads while time stands still. */
static inline void catch_up(struct rill_wam *wam, uint64_t now_ns)
{
    if (now_ns > wam->now_ns)
        wam_advance(wam, now_ns);
}

/* Choice */

/* In the demand's own quantum some fit and some don't; in any above all do, and the lowest of it
 * has the least room, as far as quanta tell. */
static struct unit *best_fit(const struct rill_wam *wam, uint64_t need)
{
    uint32_t quantum, rank;

    if (need >> wam->room_shift >= ROOM_QUANTA)
        return NULL;
    quantum = (uint32_t)(need >> wam->room_shift);
    rank = rill_rank_index_rank(&wam->by_room, quantum, 0);
    for (int looked = 0; rank != RILL_RANK_NONE && looked < LOOK_AT; looked++) {
        if (wam_fits(wam, wam_unit_of_rank(wam, rank), need))
            return wam_unit_of_rank(wam, rank);
        rank = rill_rank_index_rank(&wam->by_room, quantum, rank + 1);
    }
    quantum = rill_rank_index_quantum(&wam->by_room, quantum + 1);
    if (quantum == RILL_RANK_NONE)
        return NULL;
    return wam_unit_of_rank(wam, rill_rank_index_rank(&wam->by_room, quantum, 0));
}

static struct unit *least_utilized(const struct rill_wam *wam)
{
    uint32_t step = rill_rank_index_quantum(&wam->by_step, 0);
    struct unit *best = NULL;
    double best_utilization = 0;
    uint32_t rank;

    if (step == RILL_RANK_NONE)
        return NULL;
    rank = rill_rank_index_rank(&wam->by_step, step, 0);
    for (int looked = 0; rank != RILL_RANK_NONE && looked < LOOK_AT; looked++) {
        struct unit *unit = wam_unit_of_rank(wam, rank);
        double utilization = wam_utilization_of(wam, unit);

        if (best == NULL || utilization < best_utilization) {
            best = unit;
            best_utilization = utilization;
        }
        rank = rill_rank_index_rank(&wam->by_step, step, rank + 1);
    }
    return best;
}

/* All are behind: the one that is done soonest. */
static struct unit *least_behind(const struct rill_wam *wam)
{
    for (uint32_t i = 0; i < wam->backlog.count; i++)
        if (wam->units[wam->backlog.heap[i]].active)
            return &wam->units[wam->backlog.heap[i]];
    return NULL;
}

static uint64_t backlog_of(const struct rill_wam *wam, const struct unit *unit)
{
    uint64_t until_ns = wam->backlog.units[wam_slot_of(wam, unit)].busy_until_ns;

    return until_ns > wam->now_ns ? until_ns - wam->now_ns : 0;
}

/* Those with room are behind, but not for long: the one of them that is done soonest. */
static struct unit *behind_with_room(const struct rill_wam *wam, uint64_t need)
{
    struct unit *best = NULL;
    uint64_t best_ns = wam->config.backlog_max_ns;

    for (uint32_t i = 0; i < wam->backlog.count; i++) {
        struct unit *unit = &wam->units[wam->backlog.heap[i]];

        if (unit->draining || !wam_has_room(unit, wam_load_of(wam, unit), need) ||
            backlog_of(wam, unit) > best_ns)
            continue;
        best = unit;
        best_ns = backlog_of(wam, unit);
    }
    return best;
}

/* The lowest id with room among those that should empty. There are few, and only where there is
 * much room elsewhere; who gets a flowlet is one no longer. */
static struct unit *first_draining(const struct rill_wam *wam, uint64_t need)
{
    for (uint32_t i = 0; wam->draining_count > 0 && i < wam->active_count; i++) {
        struct unit *unit = &wam->units[wam->active[i]];

        if (unit->draining && wam_fits(wam, unit, need))
            return unit;
    }
    return NULL;
}

/* Where a flowlet goes for which no unit has room that is not behind. True if another unit is
 * needed. */
static bool choose_next_best(struct rill_wam *wam, uint64_t need, struct unit **chosen)
{
    struct unit *unit = NULL;

    wam_index(wam);
    if (wam->config.placement != RILL_PLACEMENT_SPREAD) {
        unit = behind_with_room(wam, need);
        if (unit == NULL)
            unit = first_draining(wam, need);
    }
    if (unit == NULL)
        unit = least_utilized(wam);
    if (unit == NULL)
        unit = least_behind(wam);
    *chosen = unit;
    return unit != NULL &&
           (!wam_has_room(unit, wam_load_of(wam, unit), need) ||
            (wam_is_behind(wam, unit) && backlog_of(wam, unit) > wam->config.backlog_max_ns));
}

static struct unit *first_fit(struct rill_wam *wam, uint64_t need)
{
    uint32_t rank;

    wam_index(wam);
    rank = rill_room_tree_first(&wam->first_with_room, 0, need + 1);
    return rank == RILL_RANK_NONE ? NULL : wam_unit_of_rank(wam, rank);
}

static struct unit *highest_score(struct rill_wam *wam, uint64_t need, const uint32_t *holders,
                                  uint32_t n)
{
    struct unit *best;
    double best_score = -1;

    wam_index(wam);
    best = best_fit(wam, need); /* if it is a holder, the loop scores it as one */
    if (best != NULL)
        best_score = wam_utilization_of(wam, best);
    for (uint32_t i = 0; i < n; i++) {
        struct unit *unit = wam_find(wam, holders[i]);
        double score;

        if (unit == NULL || unit->draining || !wam_fits(wam, unit, need))
            continue;
        score = wam_utilization_of(wam, unit) + wam->config.alpha;
        if (score > best_score || (score == best_score && unit->id < best->id)) {
            best = unit;
            best_score = score;
        }
    }
    return best;
}

uint32_t rill_wam_choose(struct rill_wam *wam, uint64_t demand_bps, const uint32_t *holders,
                         uint32_t holder_count, uint64_t now_ns, bool *overload)
{
    uint64_t need = wam_need(demand_bps);
    uint32_t only = wam_choose_only(wam, demand_bps, now_ns);
    struct unit *unit = NULL;

    assert(holder_count <= RILL_WAM_HOLDERS_MAX);
    *overload = false;
    if (only != 0)
        return only;
    wam_advance(wam, now_ns);
    if (wam->config.placement == RILL_PLACEMENT_PACK)
        unit = highest_score(wam, need, holders, holder_count);
    else if (wam->config.placement == RILL_PLACEMENT_FIRST_FIT)
        unit = first_fit(wam, need);
    if (unit == NULL)
        *overload = choose_next_best(wam, need, &unit);
    if (unit == NULL) {
        wam->counters.no_unit++;
        return 0;
    }
    wam->counters.choices++;
    wam->counters.overloads += *overload;
    return unit->id;
}

/* Measuring */

void rill_wam_assign(struct rill_wam *wam, uint32_t id, uint64_t demand_bps,
                     struct rill_wam_pending *pending, uint64_t now_ns)
{
    wam_assign(wam, id, demand_bps, pending, now_ns);
}

void rill_wam_drained(struct rill_wam *wam, uint32_t id, uint32_t wire_bytes,
                      struct rill_wam_pending *pending, uint64_t now_ns)
{
    wam_drained(wam, id, wire_bytes, pending, now_ns);
}

void rill_wam_flowlet_end(struct rill_wam *wam, uint32_t id, struct rill_wam_pending *pending,
                          uint64_t now_ns)
{
    struct unit *unit = wam_find(wam, id);

    catch_up(wam, now_ns);
    if (unit != NULL && pending->bytes > 0) {
        rill_load_window_settle(&wam->load, wam_slot_of(wam, unit), pending->bytes, pending);
        wam_touch(wam, unit);
    }
    *pending = (struct rill_wam_pending){0};
}

/* Looking */

uint64_t rill_wam_load_bps(struct rill_wam *wam, uint32_t id, uint64_t now_ns)
{
    struct unit *unit = wam_find(wam, id);

    wam_advance(wam, now_ns);
    return unit == NULL ? 0 : wam_load_of(wam, unit) * BPS_PER_BYTE;
}

double rill_wam_utilization(struct rill_wam *wam, uint32_t id, uint64_t now_ns)
{
    struct unit *unit = wam_find(wam, id);

    wam_advance(wam, now_ns);
    return unit == NULL ? 0 : wam_utilization_of(wam, unit);
}

void rill_wam_totals(struct rill_wam *wam, uint64_t now_ns, uint64_t *load_bps,
                     uint64_t *capacity_bps)
{
    wam_advance(wam, now_ns);
    *load_bps = 0;
    *capacity_bps = 0;
    for (uint32_t i = 0; i < wam->active_count; i++) {
        struct unit *unit = &wam->units[wam->active[i]];

        *load_bps += wam_load_of(wam, unit) * BPS_PER_BYTE;
        *capacity_bps += unit->capacity * BPS_PER_BYTE;
    }
}

uint64_t rill_wam_backlog_ns(struct rill_wam *wam, uint32_t id)
{
    const struct unit *unit = wam_find(wam, id);

    wam_settle(wam);
    return unit == NULL ? 0 : backlog_of(wam, unit);
}

bool rill_wam_all_above(struct rill_wam *wam, double share, uint64_t now_ns)
{
    uint32_t lowest, limit = (uint32_t)(share * STEPS_TO_ONE);

    wam_advance(wam, now_ns);
    wam_index(wam);
    lowest = rill_rank_index_quantum(&wam->by_step, 0);
    if (lowest != RILL_RANK_NONE && lowest <= limit)
        return false;
    /* Those that are behind are not in the index. */
    for (uint32_t i = 0; i < wam->backlog.count; i++) {
        const struct unit *unit = &wam->units[wam->backlog.heap[i]];

        if (unit->active && utilization_step(wam, unit) <= limit)
            return false;
    }
    return true;
}

uint64_t rill_wam_idle_ns(const struct rill_wam *wam, uint32_t id, uint64_t now_ns)
{
    struct unit *unit = wam_find(wam, id);

    return unit == NULL || now_ns < unit->used_ns ? 0 : now_ns - unit->used_ns;
}
