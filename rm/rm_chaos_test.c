/* The resource manager among controllers and units that follow the protocol, over a network that
 * loses, doubles, delays and reorders, while units die and come: at every step no unit may be
 * leased twice over, by what controllers take as theirs or by what units have been told. When
 * faults stop, everybody gets what it wants; when nobody asks, nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/base/role.h"
#include "rm/rm.h"

enum {
    MS = 1000000,
    EPOCH_MS = 100,
    LEASE_MS = 300,
    MARGIN_MS = 50,
    RESEND_MS = 10,
    UNITS = 6,
    CONTROLLERS = 3,
    LINKS = 4096, /* frames on their way, at most */
    CHAOS_MS = 5000,
    SETTLE_MS = 2500,
    SEEDS = 150,
};

static struct rte_mempool *pool;

struct unit {
    uint32_t id; /* 0: dead */
    uint32_t share_max;
    uint64_t number[CONTROLLERS];
    uint32_t share[CONTROLLERS];
};

struct controller {
    uint32_t id;
    uint64_t number;
    int waits;
    uint64_t first_ms, last_ms; /* when it sent that number */
    uint64_t asked_ms;          /* its last new number */
    uint32_t wanted;
    uint64_t slow_ms;  /* its clock is behind by so much at the end of a lease */
    uint64_t until_ms; /* the leases */
    struct rill_lease leases[UNITS];
    uint32_t lease_count;
};

struct link {
    uint64_t at_ms;
    struct rte_mbuf *m;
};

struct world {
    struct rill_rng rng;
    struct rill_rm *rm;
    struct rill_outbox outbox;
    struct unit units[UNITS];
    struct controller controllers[CONTROLLERS];
    uint32_t controller_count;
    struct link links[LINKS];
    uint32_t link_count;
    uint32_t next_unit;
    uint64_t now_ms;
    uint32_t loss, doubled; /* per cent */
    uint64_t delay_ms;
    int calm, silent; /* no deaths, steady wants; nobody asks */
    uint64_t grants_taken, shared_ms;
};

static uint32_t rm_id(void)
{
    return rill_role_id(RILL_ROLE_RM, 1);
}

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("rm_chaos_test", 2 * LINKS - 1, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

/* Network */

static void put_on_link(struct world *w, struct rte_mbuf *m)
{
    assert_true(w->link_count < LINKS);
    w->links[w->link_count++] =
        (struct link){w->now_ms + rill_rng_below(&w->rng, (uint32_t)w->delay_ms + 1), m};
}

static void send(struct world *w, struct rte_mbuf *m)
{
    if (rill_rng_below(&w->rng, 100) < w->doubled)
        put_on_link(w, rill_frame_copy(m, pool));
    if (rill_rng_below(&w->rng, 100) < w->loss)
        rte_pktmbuf_free(m);
    else
        put_on_link(w, m);
}

static void send_message(struct world *w, enum rill_frame_type type, uint32_t src, uint32_t dst,
                         uint64_t clock, uint32_t next_unit, uint32_t count)
{
    struct rte_mbuf *m = rill_frame_new(pool, type, src, dst);

    assert_non_null(m);
    rill_frame(m)->clock = clock;
    rill_frame(m)->next_unit = next_unit;
    rill_frame(m)->count = count;
    send(w, m);
}

static void send_outbox(struct world *w)
{
    for (uint32_t i = 0; i < w->outbox.count; i++)
        send(w, w->outbox.frames[i]);
    w->outbox.count = 0;
}

/* Roles */

static void unit_takes(struct world *w, struct unit *unit, const struct rill_frame *f)
{
    uint32_t c = rill_role_number(f->next_unit) - 1;

    assert_int_equal(f->type, RILL_FRAME_SHARE);
    assert_true(c < w->controller_count && f->count <= unit->share_max);
    if (f->clock >= unit->number[c]) {
        unit->number[c] = f->clock;
        unit->share[c] = f->count;
    }
    send_message(w, RILL_FRAME_SHARE_ACK, unit->id, f->src, f->clock, f->next_unit, f->count);
}

static void controller_takes(struct world *w, struct controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    assert_int_equal(f->type, RILL_FRAME_LEASE_GRANT);
    if (!c->waits || f->clock != c->number)
        return;
    c->waits = 0;
    c->lease_count = f->count;
    c->until_ms = c->first_ms + LEASE_MS + c->slow_ms;
    assert_true(f->count <= UNITS);
    assert_int_equal(m->pkt_len, f->count * sizeof(c->leases[0]));
    assert_int_equal(rill_body_read(m, 0, c->leases, m->pkt_len), 0);
    w->grants_taken++;
}

static void deliver_one(struct world *w, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    if (f->dst == rm_id()) {
        rill_rm_recv(w->rm, &m, 1, w->now_ms * MS, &w->outbox);
        send_outbox(w);
        return;
    }
    for (int i = 0; i < UNITS; i++) {
        if (w->units[i].id == f->dst)
            unit_takes(w, &w->units[i], f);
    }
    for (uint32_t i = 0; i < w->controller_count; i++) {
        if (w->controllers[i].id == f->dst)
            controller_takes(w, &w->controllers[i], m);
    }
    rte_pktmbuf_free(m);
}

static void deliver(struct world *w)
{
    for (uint32_t i = 0; i < w->link_count;) {
        struct link link = w->links[i];

        if (link.at_ms > w->now_ms) {
            i++;
            continue;
        }
        w->links[i] = w->links[--w->link_count];
        deliver_one(w, link.m);
    }
}

static void controller_runs(struct world *w, struct controller *c)
{
    if (w->silent)
        return;
    if (!c->waits && w->now_ms >= c->asked_ms + EPOCH_MS) {
        c->waits = 1;
    } else if (c->waits && w->now_ms >= c->first_ms + LEASE_MS + c->slow_ms) {
        /* no answer: all it had is over */
    } else {
        if (c->waits && w->now_ms >= c->last_ms + 20) {
            c->last_ms = w->now_ms;
            send_message(w, RILL_FRAME_LEASE_REQUEST, c->id, rm_id(), c->number, 0, c->wanted);
        }
        return;
    }
    if (!w->calm && rill_rng_below(&w->rng, 3) != 0)
        c->wanted = rill_rng_below(&w->rng, 5) == 0 ? 0 : rill_rng_below(&w->rng, 4000);
    c->number += 1 + rill_rng_below(&w->rng, 3);
    c->first_ms = c->last_ms = c->asked_ms = w->now_ms;
    send_message(w, RILL_FRAME_LEASE_REQUEST, c->id, rm_id(), c->number, 0, c->wanted);
}

static void unit_begins(struct world *w, struct unit *unit)
{
    struct rill_error err;

    *unit = (struct unit){.id = rill_role_id(RILL_ROLE_UNIT, w->next_unit++), .share_max = 1000};
    if (!w->calm && rill_rng_below(&w->rng, 4) == 0)
        unit->share_max = 1 + rill_rng_below(&w->rng, 1000);
    assert_int_equal(rill_rm_add_unit(w->rm, unit->id, 1, 1000, unit->share_max, &err), 0);
}

static void units_die_and_come(struct world *w)
{
    struct unit *unit = &w->units[rill_rng_below(&w->rng, UNITS)];

    if (unit->id == 0 && (w->calm || rill_rng_below(&w->rng, 200) == 0)) {
        unit_begins(w, unit);
    } else if (unit->id != 0 && !w->calm && rill_rng_below(&w->rng, 600) == 0) {
        rill_rm_remove_unit(w->rm, unit->id, w->now_ms * MS, &w->outbox);
        unit->id = 0;
    }
}

/* Checks */

static uint32_t taken(const struct world *w, const struct controller *c, uint32_t unit)
{
    for (uint32_t i = 0; w->now_ms < c->until_ms && i < c->lease_count; i++) {
        if (c->leases[i].unit == unit)
            return c->leases[i].share;
    }
    return 0;
}

static void check_units(struct world *w)
{
    for (int i = 0; i < UNITS; i++) {
        const struct unit *unit = &w->units[i];
        uint32_t told = 0, used = 0, users = 0;

        for (uint32_t c = 0; unit->id != 0 && c < w->controller_count; c++) {
            uint32_t share = taken(w, &w->controllers[c], unit->id);

            assert_true(share <= unit->share[c]);
            used += share;
            users += share > 0;
            told += unit->share[c];
        }
        assert_true(told <= unit->share_max);
        assert_true(used <= unit->share_max);
        w->shared_ms += users > 1;
    }
    for (uint32_t i = 0; i < rill_rm_unit_count(w->rm); i++) {
        struct rill_rm_unit_info info;

        rill_rm_unit_info(w->rm, i, &info);
        assert_true(info.leased <= info.committed && info.committed <= info.share_max);
    }
}

static void run(struct world *w, uint64_t ms)
{
    for (uint64_t end_ms = w->now_ms + ms; w->now_ms < end_ms; w->now_ms++) {
        deliver(w);
        for (uint32_t i = 0; i < w->controller_count; i++)
            controller_runs(w, &w->controllers[i]);
        units_die_and_come(w);
        if (rill_rm_next_ns(w->rm) <= w->now_ms * MS)
            rill_rm_tick(w->rm, w->now_ms * MS, &w->outbox);
        send_outbox(w);
        check_units(w);
    }
}

static void check_all_served(struct world *w)
{
    for (uint32_t c = 0; c < w->controller_count; c++) {
        uint32_t sum = 0;

        for (int i = 0; i < UNITS; i++) {
            uint32_t share = taken(w, &w->controllers[c], w->units[i].id);

            sum += share;
            assert_int_equal(share, w->units[i].share[c]);
        }
        assert_int_equal(sum, w->controllers[c].wanted);
    }
}

static void check_nothing_left(struct world *w)
{
    assert_int_equal(rill_rm_next_ns(w->rm), UINT64_MAX);
    assert_int_equal(w->link_count, 0);
    for (uint32_t i = 0; i < rill_rm_unit_count(w->rm); i++) {
        struct rill_rm_unit_info info;

        rill_rm_unit_info(w->rm, i, &info);
        assert_int_equal(info.committed, 0);
    }
    for (int i = 0; i < UNITS; i++) {
        for (uint32_t c = 0; c < w->controller_count; c++)
            assert_int_equal(w->units[i].share[c], 0);
    }
}

static void world_begin(struct world *w, uint64_t seed)
{
    const struct rill_rm_config config = {
        .id = rm_id(),
        .epoch_ns = (uint64_t)EPOCH_MS * MS,
        .lease_ns = (uint64_t)LEASE_MS * MS,
        .margin_ns = (uint64_t)MARGIN_MS * MS,
        .resend_ns = (uint64_t)RESEND_MS * MS,
        .pool = pool,
    };

    *w = (struct world){.next_unit = 1, .controller_count = 2 + seed % 2, .now_ms = EPOCH_MS};
    rill_rng_seed(&w->rng, seed);
    w->rm = rill_rm_create(&config, NULL);
    assert_non_null(w->rm);
    w->loss = rill_rng_below(&w->rng, 40);
    w->doubled = rill_rng_below(&w->rng, 40);
    w->delay_ms = rill_rng_below(&w->rng, 3) == 0 ? 2 * LEASE_MS : rill_rng_below(&w->rng, 60);
    for (int i = 0; i < UNITS; i++)
        unit_begins(w, &w->units[i]);
    for (uint32_t c = 0; c < w->controller_count; c++) {
        w->controllers[c].id = rill_role_id(RILL_ROLE_CONTROLLER, c + 1);
        w->controllers[c].slow_ms = rill_rng_below(&w->rng, MARGIN_MS + 1);
        w->controllers[c].wanted = 1000;
    }
}

static void whatever_is_lost_no_unit_is_leased_twice(void **state)
{
    static struct world w;
    uint64_t grants_taken = 0, shared_ms = 0, expired = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        world_begin(&w, seed);
        run(&w, CHAOS_MS);
        w.calm = 1;
        w.loss = w.doubled = 0;
        w.delay_ms = 3;
        for (uint32_t c = 0; c < w.controller_count; c++) /* dead ones come back within this */
            w.controllers[c].wanted = c == 0 ? 300 : 250;
        run(&w, SETTLE_MS);
        check_all_served(&w);
        w.silent = 1;
        run(&w, LEASE_MS + MARGIN_MS + EPOCH_MS);
        check_nothing_left(&w);
        grants_taken += w.grants_taken;
        shared_ms += w.shared_ms;
        expired += rill_rm_counters(w.rm)->leases_expired - w.controller_count;
        rill_rm_destroy(w.rm);
        rill_outbox_fini(&w.outbox);
        assert_int_equal(rte_mempool_in_use_count(pool), 0);
    }
    /* The worlds were such that there was something to get wrong. */
    assert_true(grants_taken > SEEDS * 50);
    assert_true(shared_ms > SEEDS * 500);
    assert_true(expired > SEEDS / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_lost_no_unit_is_leased_twice),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
