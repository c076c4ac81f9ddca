/* The work assignment against the plainest program for the same rules: it keeps every packet and
 * every expectation in a list, adds them up anew for each question, and looks at all units in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/wam.h"
#include "lib/base/rng.h"
#include "lib/base/role.h"

enum {
    SCENARIOS = 2000,
    STEPS = 150,
    UNITS = 24,
    FLOWS = 30,
    PACKETS = STEPS + 1,
    BYTE_BPS = 80,
    ROOM_QUANTA = 2048,
    LOOK_AT = 16,
};

struct model_unit {
    uint32_t id;       /* 0: not there */
    uint64_t capacity; /* bytes per window */
    uint64_t load;
    int active;
};

struct model_packet {
    uint32_t unit, bytes;
    uint64_t at_ns;
};

struct model_flow {
    uint32_t unit; /* 0: none yet */
    struct rill_wam_pending pending;
    uint32_t expected; /* left of it, in the model */
    uint64_t assigned_ns;
};

struct model {
    struct rill_rng rng;
    struct rill_wam *wam;
    struct rill_wam_config config;
    struct model_unit units[UNITS]; /* in id order */
    struct model_packet packets[PACKETS];
    uint32_t packet_count;
    struct model_flow flows[FLOWS];
    uint64_t now_ns;
    uint64_t largest; /* capacity there ever was */
    uint32_t next_id;
    int equal; /* all capacities are */
};

static struct model_unit *model_find(struct model *m, uint32_t id)
{
    for (int i = 0; i < UNITS; i++) {
        if (m->units[i].id == id && id != 0)
            return &m->units[i];
    }
    return NULL;
}

static void model_loads(struct model *m)
{
    for (int i = 0; i < UNITS; i++)
        m->units[i].load = 0;
    for (uint32_t i = 0; i < m->packet_count; i++) {
        const struct model_packet *p = &m->packets[i];
        struct model_unit *unit = model_find(m, p->unit);

        if (unit != NULL &&
            m->now_ns / RILL_WAM_BUCKET_NS - p->at_ns / RILL_WAM_BUCKET_NS < RILL_WAM_BUCKETS)
            unit->load += p->bytes;
    }
    for (int i = 0; i < FLOWS; i++) {
        struct model_flow *flow = &m->flows[i];
        struct model_unit *unit = model_find(m, flow->unit);

        if (m->now_ns / m->config.expect_ns - flow->assigned_ns / m->config.expect_ns >= 2)
            flow->expected = 0;
        if (unit != NULL)
            unit->load += flow->expected;
    }
}

static int model_fits(const struct model_unit *unit, uint64_t need)
{
    return unit->id != 0 && unit->active && unit->capacity > 0 &&
           unit->load + need <= unit->capacity;
}

static double model_utilization(const struct model_unit *unit)
{
    if (unit->load == 0)
        return 0;
    return (double)unit->load / (unit->capacity > 0 ? (double)unit->capacity : 1e-9);
}

static uint32_t shift_of(const struct model *m)
{
    uint32_t shift = 0;

    while (m->largest >> shift >= ROOM_QUANTA)
        shift++;
    return shift;
}

/* The least room in quanta, the lowest id among equals; of the need's own quantum 16 are tried. */
static const struct model_unit *model_best_fit(const struct model *m, uint64_t need)
{
    const struct model_unit *best = NULL;
    uint64_t best_quantum = UINT64_MAX;
    int looked = 0;

    for (int i = 0; i < UNITS; i++) {
        const struct model_unit *unit = &m->units[i];
        uint64_t quantum;

        if (!model_fits(unit, 0))
            continue;
        quantum = (unit->capacity - unit->load) >> shift_of(m);
        if (quantum == need >> shift_of(m) && looked++ >= LOOK_AT)
            continue;
        if (model_fits(unit, need) && quantum < best_quantum) {
            best = unit;
            best_quantum = quantum;
        }
    }
    return best;
}

static double model_score(const struct model *m, const struct model_unit *unit,
                          const uint32_t *holders, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (holders[i] == unit->id)
            return model_utilization(unit) + m->config.alpha;
    }
    return model_utilization(unit);
}

static const struct model_unit *model_pack(struct model *m, uint64_t need, const uint32_t *holders,
                                           uint32_t n)
{
    const struct model_unit *best = model_best_fit(m, need);

    for (int i = 0; i < UNITS; i++) {
        const struct model_unit *unit = &m->units[i];
        int holds = 0;

        for (uint32_t h = 0; h < n; h++)
            holds |= holders[h] == unit->id;
        if (!holds || !model_fits(unit, need))
            continue;
        if (best == NULL || model_score(m, unit, holders, n) > model_score(m, best, holders, n) ||
            (model_score(m, unit, holders, n) == model_score(m, best, holders, n) &&
             unit->id < best->id))
            best = unit;
    }
    return best;
}

/* Units stand in id order. */
static const struct model_unit *model_first_fit(const struct model *m, uint64_t need)
{
    for (int i = 0; i < UNITS; i++)
        if (model_fits(&m->units[i], need))
            return &m->units[i];
    return NULL;
}

static double lowest_utilization(const struct model *m)
{
    double lowest = -1;

    for (int i = 0; i < UNITS; i++) {
        if (m->units[i].id != 0 && m->units[i].active &&
            (lowest < 0 || model_utilization(&m->units[i]) < lowest))
            lowest = model_utilization(&m->units[i]);
    }
    return lowest;
}

/* The paper's rule to the letter, over units of one capacity: within a quantum of room. */
static void check_letter(const struct model *m, const struct model_unit *chosen, uint64_t need,
                         const uint32_t *holders, uint32_t n)
{
    double best = -1;

    for (int i = 0; i < UNITS; i++) {
        if (model_fits(&m->units[i], need) && model_score(m, &m->units[i], holders, n) > best)
            best = model_score(m, &m->units[i], holders, n);
    }
    if (best >= 0)
        assert_true(model_score(m, chosen, holders, n) >= best - 1.0 / 1024);
}

static void check_choice(struct model *m, uint64_t demand_bps, const uint32_t *holders, uint32_t n)
{
    uint64_t need = (demand_bps + BYTE_BPS - 1) / BYTE_BPS;
    const struct model_unit *expected = NULL, *chosen;
    bool overload, again;
    uint32_t got = rill_wam_choose(m->wam, demand_bps, holders, n, m->now_ns, &overload);

    assert_int_equal(
        got, rill_wam_choose(m->wam, demand_bps, holders, n, m->now_ns, &again)); /* no effect */
    assert_int_equal(overload, again);
    chosen = model_find(m, got);
    if (chosen == NULL) {
        assert_true(lowest_utilization(m) < 0);
        return;
    }
    assert_true(chosen->active);
    assert_int_equal(overload, !model_fits(chosen, need));
    if (m->config.placement == RILL_PLACEMENT_PACK)
        expected = model_pack(m, need, holders, n);
    else if (m->config.placement == RILL_PLACEMENT_FIRST_FIT)
        expected = model_first_fit(m, need);
    if (expected != NULL) {
        assert_int_equal(got, expected->id);
        if (m->equal && m->config.placement == RILL_PLACEMENT_PACK)
            check_letter(m, chosen, need, holders, n);
    } else {
        double lowest = lowest_utilization(m);

        assert_true(model_utilization(chosen) <= lowest + 1.0 / 1024 + lowest / 15);
    }
}

static void check_all(struct model *m)
{
    double lowest;

    model_loads(m);
    lowest = lowest_utilization(m);
    for (int i = 0; i < UNITS; i++) {
        if (m->units[i].id == 0)
            continue;
        assert_int_equal(rill_wam_load_bps(m->wam, m->units[i].id, m->now_ns),
                         m->units[i].load * BYTE_BPS);
    }
    for (double share = 0; share < 1; share += 0.1) {
        bool above = rill_wam_all_above(m->wam, share, m->now_ns);

        if (lowest > share + 2.0 / 1024 || lowest < 0)
            assert_true(above);
        else if (lowest <= share)
            assert_false(above);
    }
}

/* What can happen */

static uint64_t random_capacity(struct model *m)
{
    static const uint64_t capacities[] = {10000000, 5000000, 2500000, 1000000, 0, 20000000};

    return m->equal ? 10000000 : capacities[rill_rng_below(&m->rng, 6)];
}

static void set_capacity(struct model *m, struct model_unit *unit)
{
    uint64_t capacity_bps = random_capacity(m);

    assert_int_equal(rill_wam_set_unit(m->wam, unit->id, capacity_bps), 0);
    unit->capacity = capacity_bps / BYTE_BPS;
    if (unit->capacity > m->largest)
        m->largest = unit->capacity;
}

/* Most ids rise, some come late. */
static void add_unit(struct model *m, int i)
{
    if (m->units[i].id != 0)
        return;
    m->units[i].id = rill_role_id(RILL_ROLE_UNIT, (uint32_t)(i + 1) * 1000 + m->next_id++);
    m->units[i].active = 0;
    set_capacity(m, &m->units[i]);
}

static void remove_unit(struct model *m, struct model_unit *unit)
{
    rill_wam_remove_unit(m->wam, unit->id);
    *unit = (struct model_unit){0};
}

static void activate(struct model *m, struct model_unit *unit)
{
    if (unit->id == 0)
        return;
    unit->active = rill_rng_below(&m->rng, 4) != 0;
    assert_int_equal(rill_wam_set_active(m->wam, unit->id, unit->active, m->now_ns), 0);
}

static void packet(struct model *m, struct model_flow *flow)
{
    uint32_t bytes = 40 + rill_rng_below(&m->rng, 20000);

    if (flow->unit == 0)
        return;
    rill_wam_drained(m->wam, flow->unit, bytes, &flow->pending, m->now_ns);
    m->packets[m->packet_count++] = (struct model_packet){flow->unit, bytes, m->now_ns};
    flow->expected -= bytes < flow->expected ? bytes : flow->expected;
}

static void flowlet(struct model *m, struct model_flow *flow)
{
    uint64_t demand_bps = rill_rng_below(&m->rng, 3) * (uint64_t)rill_rng_below(&m->rng, 6000000);
    uint32_t holders[RILL_WAM_HOLDERS_MAX];
    uint32_t n = rill_rng_below(&m->rng, RILL_WAM_HOLDERS_MAX + 1);
    bool overload;

    for (uint32_t i = 0; i < n; i++)
        holders[i] = m->units[rill_rng_below(&m->rng, UNITS)].id;
    rill_wam_flowlet_end(m->wam, flow->unit, &flow->pending, m->now_ns);
    flow->expected = 0;
    model_loads(m);
    check_choice(m, demand_bps, holders, n);
    flow->unit = rill_wam_choose(m->wam, demand_bps, holders, n, m->now_ns, &overload);
    rill_wam_assign(m->wam, flow->unit, demand_bps, &flow->pending, m->now_ns);
    flow->assigned_ns = m->now_ns;
    flow->expected =
        flow->unit == 0
            ? 0
            : (uint32_t)((unsigned __int128)demand_bps * m->config.expect_ns / 8000000000u);
    assert_int_equal(flow->pending.bytes, flow->expected);
}

static void step(struct model *m)
{
    struct model_flow *flow = &m->flows[rill_rng_below(&m->rng, FLOWS)];
    int i = (int)rill_rng_below(&m->rng, UNITS);
    uint32_t what = rill_rng_below(&m->rng, 100);

    m->now_ns += rill_rng_below(&m->rng, rill_rng_below(&m->rng, 3) == 0 ? 3000000 : 100000);
    if (what < 55)
        packet(m, flow);
    else if (what < 85)
        flowlet(m, flow);
    else if (what < 92)
        activate(m, &m->units[i]);
    else if (what < 94)
        add_unit(m, i);
    else if (what < 96 && m->units[i].id != 0)
        remove_unit(m, &m->units[i]);
    else if (what < 98 && m->units[i].id != 0)
        set_capacity(m, &m->units[i]);
    else if (what < 99)
        m->now_ns += rill_rng_below(&m->rng, 150000000);
}

static void scenario(uint64_t seed, enum rill_placement placement)
{
    static struct model m;

    m = (struct model){.now_ns = seed * 77777, .next_id = 0};
    rill_rng_seed(&m.rng, seed);
    m.equal = rill_rng_below(&m.rng, 2) == 0;
    m.config = (struct rill_wam_config){
        .units_max = UNITS,
        .placement = placement,
        .alpha = rill_rng_below(&m.rng, 5) * 0.25,
        .expect_ns = 100000 * (1 + rill_rng_below(&m.rng, 20)),
    };
    m.wam = rill_wam_create(&m.config);
    assert_non_null(m.wam);
    for (int i = 0; i < UNITS; i++) {
        if (rill_rng_below(&m.rng, 3) != 0)
            add_unit(&m, i);
        activate(&m, &m.units[i]);
    }
    for (int i = 0; i < STEPS; i++) {
        step(&m);
        if (i % 10 == 0)
            check_all(&m);
    }
    rill_wam_destroy(m.wam);
}

static void packing_agrees_with_a_linear_scan(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SCENARIOS; seed++)
        scenario(seed, RILL_PLACEMENT_PACK);
}

static void spreading_agrees_with_a_linear_scan(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SCENARIOS / 4; seed++)
        scenario(seed, RILL_PLACEMENT_SPREAD);
}

static void first_fit_agrees_with_a_linear_scan(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SCENARIOS / 4; seed++)
        scenario(seed, RILL_PLACEMENT_FIRST_FIT);
}

/* The same calls twice, side by side, and a third that is asked for predictions in between. */
static void same_calls_same_answers(void **state)
{
    const struct rill_wam_config config = {.units_max = 500, .alpha = 0.25, .expect_ns = 500000};
    struct rill_wam *wams[3];
    struct rill_wam_pending pending[3][8] = {0};
    uint32_t unit_of[8] = {0};
    struct rill_rng rng;
    uint64_t now_ns = 0;

    (void)state;
    rill_rng_seed(&rng, 5);
    for (int w = 0; w < 3; w++) {
        wams[w] = rill_wam_create(&config);
        for (uint32_t i = 1; i <= 500; i++) {
            rill_wam_set_unit(wams[w], rill_role_id(RILL_ROLE_UNIT, i), 1000000 + i * 1000);
            rill_wam_set_active(wams[w], rill_role_id(RILL_ROLE_UNIT, i), true, 0);
        }
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t demand_bps = rill_rng_below(&rng, 100000);
        uint32_t flow = rill_rng_below(&rng, 8), units[3];
        uint32_t bytes = 40 + rill_rng_below(&rng, 1460);
        uint32_t targets[3];
        bool overload;

        now_ns += rill_rng_below(&rng, 100000);
        rill_wam_predict(wams[2], demand_bps, unit_of, 2, 3, unit_of[flow], now_ns, targets);
        rill_wam_choose(wams[2], demand_bps * 2, NULL, 0, now_ns, &overload);
        rill_wam_utilization(wams[2], unit_of[flow], now_ns);
        for (int w = 0; w < 3; w++) {
            rill_wam_flowlet_end(wams[w], unit_of[flow], &pending[w][flow], now_ns);
            units[w] = rill_wam_choose(wams[w], demand_bps, &unit_of[flow], 1, now_ns, &overload);
            rill_wam_assign(wams[w], units[w], demand_bps, &pending[w][flow], now_ns);
            rill_wam_drained(wams[w], units[w], bytes, &pending[w][flow], now_ns);
        }
        assert_int_equal(units[0], units[1]);
        assert_int_equal(units[0], units[2]);
        unit_of[flow] = units[0];
    }
    for (int w = 0; w < 3; w++)
        rill_wam_destroy(wams[w]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_agrees_with_a_linear_scan),
        cmocka_unit_test(spreading_agrees_with_a_linear_scan),
        cmocka_unit_test(first_fit_agrees_with_a_linear_scan),
        cmocka_unit_test(same_calls_same_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
