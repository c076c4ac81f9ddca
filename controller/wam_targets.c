/* Who gets copies of a flow's state. */
#include <assert.h>

#include "controller/wam_internal.h"

uint32_t rill_wam_targets(const struct rill_wam *wam, struct rill_rng *rng,
                          enum rill_replica_choice choice, uint32_t k, uint32_t except_unit,
                          uint32_t *targets)
{
    uint32_t except, candidates, ranks[RILL_SAMPLE_MAX];
    bool excepts;

    assert(k < RILL_SAMPLE_MAX);
    except = wam_position(wam, wam->active, wam->active_count, except_unit);
    excepts = rill_wam_active_at(wam, except) == except_unit && except_unit != 0;
    candidates = wam->active_count - excepts;
    if (k >= candidates || choice == RILL_REPLICA_DETERMINISTIC) {
        k = k < candidates ? k : candidates;
        for (uint32_t i = 0; i < k; i++)
            ranks[i] = i + 1;
    } else {
        rill_rank_sampler_draw(&wam->sampler, rng, candidates, k, ranks);
    }
    for (uint32_t i = 0; i < k; i++) {
        uint32_t place = ranks[i] - 1;

        targets[i] = rill_wam_active_at(wam, place + (excepts && place >= except));
    }
    return k;
}

/* Prediction */

enum { LOOK_AT = 8, CANDIDATES_MAX = RILL_WAM_HOLDERS_MAX + 3 * LOOK_AT };

struct candidate {
    uint32_t unit;
    double score;
};

struct prediction {
    const struct rill_wam *wam;
    uint64_t need;
    uint32_t except_unit;
    struct candidate candidates[CANDIDATES_MAX]; /* the best first */
    uint32_t count;
};

/* As the choice would rank it when what waits now has been served; who does not fit comes behind
 * those who do, the least loaded first. */
static double predicted_score(const struct prediction *p, const struct unit *unit, bool holds)
{
    double utilization = wam_utilization_of(p->wam, unit);
    uint64_t load = wam_load_of(p->wam, unit);

    if (p->wam->config.placement == RILL_PLACEMENT_SPREAD || unit->draining ||
        load > unit->capacity || p->need > unit->capacity - load)
        return -utilization;
    if (p->wam->config.placement == RILL_PLACEMENT_FIRST_FIT)
        return 1 + RILL_WAM_UNITS_MAX * 2 - unit->rank;
    return 1 + utilization + (holds ? p->wam->config.alpha : 0);
}

static void consider(struct prediction *p, const struct unit *unit, bool holds)
{
    struct candidate candidate;
    uint32_t i;

    if (unit == NULL || !unit->active || unit->id == p->except_unit)
        return;
    for (i = 0; i < p->count; i++)
        if (p->candidates[i].unit == unit->id)
            return;
    candidate = (struct candidate){unit->id, predicted_score(p, unit, holds)};
    for (i = p->count++; i > 0 && p->candidates[i - 1].score < candidate.score; i--)
        p->candidates[i] = p->candidates[i - 1];
    p->candidates[i] = candidate;
}

static void consider_index(struct prediction *p, const struct rill_rank_index *index,
                           uint32_t quantum)
{
    uint32_t looked = 0;

    quantum = rill_rank_index_quantum(index, quantum);
    while (quantum != RILL_RANK_NONE && looked < LOOK_AT) {
        uint32_t rank = rill_rank_index_rank(index, quantum, 0);

        for (; rank != RILL_RANK_NONE && looked < LOOK_AT; looked++) {
            consider(p, wam_unit_of_rank(p->wam, rank), false);
            rank = rill_rank_index_rank(index, quantum, rank + 1);
        }
        quantum = rill_rank_index_quantum(index, quantum + 1);
    }
}

static void consider_first(struct prediction *p)
{
    const struct rill_room_tree *tree = &p->wam->first_with_room;
    uint32_t rank = rill_room_tree_first(tree, 0, p->need + 1);

    for (uint32_t looked = 0; rank != RILL_RANK_NONE && looked < LOOK_AT; looked++) {
        consider(p, wam_unit_of_rank(p->wam, rank), false);
        rank = rill_room_tree_first(tree, rank + 1, p->need + 1);
    }
}

uint32_t rill_wam_predict(struct rill_wam *wam, uint64_t demand_bps, const uint32_t *holders,
                          uint32_t holder_count, uint32_t k, uint32_t except_unit, uint64_t now_ns,
                          uint32_t *targets)
{
    struct prediction p = {.wam = wam, .need = wam_need(demand_bps), .except_unit = except_unit};

    assert(holder_count <= RILL_WAM_HOLDERS_MAX && k < LOOK_AT);
    wam_advance(wam, now_ns);
    wam_index(wam);
    for (uint32_t i = 0; i < holder_count; i++)
        consider(&p, wam_find(wam, holders[i]), true);
    if (wam->config.placement == RILL_PLACEMENT_PACK && p.need >> wam->room_shift < UINT32_MAX)
        consider_index(&p, &wam->by_room, (uint32_t)(p.need >> wam->room_shift));
    else if (wam->config.placement == RILL_PLACEMENT_FIRST_FIT)
        consider_first(&p);
    for (uint32_t i = 0; i < wam->backlog.count && i < LOOK_AT; i++)
        consider(&p, &wam->units[wam->backlog.heap[i]], false);
    consider_index(&p, &wam->by_step, 0);
    if (k > p.count)
        k = p.count;
    for (uint32_t i = 0; i < k; i++)
        targets[i] = p.candidates[i].unit;
    return k;
}
