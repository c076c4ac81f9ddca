/* The units that there are: which, how large, in use or not, in the order of their ids. */
#include "controller/wam.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "controller/wam_packet.h"

/* Sorted lists of slots */

uint32_t wam_position(const struct rill_wam *wam, const uint32_t *list, uint32_t count, uint32_t id)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (wam->units[list[middle]].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void list_put(const struct rill_wam *wam, uint32_t *list, uint32_t *count, uint32_t slot)
{
    uint32_t at = wam_position(wam, list, *count, wam->units[slot].id);

    memmove(&list[at + 1], &list[at], (*count - at) * sizeof(list[0]));
    list[at] = slot;
    ++*count;
}

static void list_take(const struct rill_wam *wam, uint32_t *list, uint32_t *count, uint32_t slot)
{
    uint32_t at = wam_position(wam, list, *count, wam->units[slot].id);

    assert(at < *count && list[at] == slot);
    --*count;
    memmove(&list[at], &list[at + 1], (*count - at) * sizeof(list[0]));
}

/* Gives every unit a rank anew, without gaps. */
static void rerank(struct rill_wam *wam)
{
    for (uint32_t i = 0; i < wam->all_count; i++)
        wam_unindex(wam, &wam->units[wam->all[i]]);
    for (uint32_t i = 0; i < wam->all_count; i++) {
        struct unit *unit = &wam->units[wam->all[i]];

        unit->rank = i;
        wam->slot_of_rank[i] = wam->all[i];
        wam_reindex(wam, unit);
    }
    wam->ranks = wam->all_count;
}

static struct unit *add_unit(struct rill_wam *wam, uint32_t id)
{
    uint32_t slot;
    struct unit *unit;

    if (wam->free_count == 0)
        return NULL;
    slot = wam->free_slots[wam->free_count - 1];
    if (rill_id_map_put(&wam->slot_of_id, id, slot) == NULL)
        return NULL;
    wam->free_count--;
    unit = &wam->units[slot];
    *unit = (struct unit){.id = id, .room_quantum = RILL_RANK_NONE, .step = RILL_RANK_NONE};
    list_put(wam, wam->all, &wam->all_count, slot);
    if (wam->all[wam->all_count - 1] == slot && wam->ranks < wam->ranks_max) {
        unit->rank = wam->ranks++;
        wam->slot_of_rank[unit->rank] = slot;
    } else {
        rerank(wam);
    }
    return unit;
}

/* Makes quanta so wide that the capacity fits into the index. */
static void widen_quanta(struct rill_wam *wam, uint64_t capacity)
{
    uint32_t shift = wam->room_shift;

    while (capacity >> shift >= ROOM_QUANTA)
        shift++;
    if (shift == wam->room_shift)
        return;
    for (uint32_t i = 0; i < wam->active_count; i++)
        wam_unindex(wam, &wam->units[wam->active[i]]);
    wam->room_shift = shift;
    for (uint32_t i = 0; i < wam->active_count; i++)
        wam_reindex(wam, &wam->units[wam->active[i]]);
}

int rill_wam_set_unit(struct rill_wam *wam, uint32_t id, uint64_t capacity_bps)
{
    struct unit *unit = wam_find(wam, id);

    assert(id != 0);
    wam_settle(wam);
    if (unit != NULL && unit->capacity == capacity_bps / BPS_PER_BYTE)
        return 0; /* a lease that is renewed: the backlog stays as it is */
    if (unit == NULL)
        unit = add_unit(wam, id);
    if (unit == NULL)
        return -ENOSPC;
    wam_unindex(wam, unit);
    unit->capacity = capacity_bps / BPS_PER_BYTE;
    unit->scale = unit->capacity > 0 ? ((uint64_t)STEPS_TO_ONE << 32) / unit->capacity : UINT64_MAX;
    rill_backlog_set(&wam->backlog, wam_slot_of(wam, unit), capacity_bps / 8);
    widen_quanta(wam, unit->capacity);
    wam_reindex(wam, unit);
    return 0;
}

void rill_wam_remove_unit(struct rill_wam *wam, uint32_t id)
{
    struct unit *unit = wam_find(wam, id);
    uint32_t slot;

    if (unit == NULL)
        return;
    wam_settle(wam);
    wam_index(wam);
    wam->recent = NULL;
    wam->recent_id = 0;
    slot = wam_slot_of(wam, unit);
    if (unit->active)
        list_take(wam, wam->active, &wam->active_count, slot);
    wam->draining_count -= unit->draining;
    list_take(wam, wam->all, &wam->all_count, slot);
    wam_unindex(wam, unit);
    rill_load_window_clear(&wam->load, slot);
    rill_backlog_set(&wam->backlog, slot, 0);
    rill_id_map_remove(&wam->slot_of_id, id);
    *unit = (struct unit){0};
    wam->free_slots[wam->free_count++] = slot;
}

int rill_wam_set_active(struct rill_wam *wam, uint32_t id, bool active, uint64_t now_ns)
{
    struct unit *unit = wam_find(wam, id);

    wam_advance(wam, now_ns);
    if (unit == NULL)
        return -ENOENT;
    if (unit->active == active)
        return 0;
    unit->active = active;
    if (active) {
        unit->used_ns = wam->now_ns;
        list_put(wam, wam->active, &wam->active_count, wam_slot_of(wam, unit));
    } else {
        list_take(wam, wam->active, &wam->active_count, wam_slot_of(wam, unit));
        wam->draining_count -= unit->draining;
        unit->draining = false;
    }
    wam_reindex(wam, unit);
    return 0;
}

void rill_wam_set_draining(struct rill_wam *wam, uint32_t id, bool draining)
{
    struct unit *unit = wam_find(wam, id);

    if (unit == NULL || !unit->active || unit->draining == draining)
        return;
    wam->draining_count += draining ? 1 : -1;
    unit->draining = draining;
    wam_reindex(wam, unit);
}

bool rill_wam_is_draining(const struct rill_wam *wam, uint32_t id)
{
    const struct unit *unit = wam_find(wam, id);

    return unit != NULL && unit->draining;
}

bool rill_wam_is_active(const struct rill_wam *wam, uint32_t id)
{
    return wam_is_active(wam, id);
}

uint32_t rill_wam_active_count(const struct rill_wam *wam)
{
    return wam->active_count;
}

uint32_t rill_wam_active_at(const struct rill_wam *wam, uint32_t i)
{
    return i < wam->active_count ? wam->units[wam->active[i]].id : 0;
}

uint32_t rill_wam_unit_count(const struct rill_wam *wam)
{
    return wam->all_count;
}

uint32_t rill_wam_unit_at(const struct rill_wam *wam, uint32_t i)
{
    return i < wam->all_count ? wam->units[wam->all[i]].id : 0;
}
