#include "lib/fabric/fabric_battery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/frame/frame.h"

enum {
    POOL_MBUFS = 8191,
    BURST = 32,
    ROLES = 6,
    MANY_ROLES = 40,
    TRAFFIC = 20000,
    DATA_BYTES = 100,
    IDLE_MAX = 100000, /* looks at a fabric that says that something is there, and gives nothing */
};

static const struct rill_fabric_battery *battery;
static struct rte_mempool *pool;
static struct rill_fabric *fabric;
static uint64_t now_ns;
static uint32_t idle;

/* --- helpers ---------------------------------------------------------------------------------- */

static uint32_t role(uint32_t i)
{
    static const enum rill_role_kind kinds[] = {RILL_ROLE_CONTROLLER, RILL_ROLE_UNIT,
                                                RILL_ROLE_OUTPUT_LOGGER, RILL_ROLE_RM};

    return rill_role_id(kinds[i % 4], 1000 * (i / 4));
}

static uint32_t many(void)
{
    return battery->roles_max == 0 ? MANY_ROLES : RTE_MIN(battery->roles_max, (uint32_t)MANY_ROLES);
}

static void attach(uint32_t n)
{
    struct rill_error err;

    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(fabric->ops->attach(fabric, role(i), &err), 0);
}

void rill_fabric_test_fill(struct rte_mbuf *m, struct rte_mempool *from, uint32_t bytes,
                           uint32_t seed)
{
    struct rte_mbuf *last = rte_pktmbuf_lastseg(m);

    for (uint32_t i = 0; i < bytes; i++) {
        if (rte_pktmbuf_tailroom(last) == 0) {
            last->next = rte_pktmbuf_alloc(from);
            last = last->next;
            assert_non_null(last);
            m->nb_segs++;
        }
        *rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len++) = (uint8_t)(seed + i * 7);
        m->pkt_len++;
    }
}

void rill_fabric_test_check(const struct rte_mbuf *m, uint32_t bytes, uint32_t seed)
{
    uint32_t i = 0;

    rte_mbuf_sanity_check(m, 1);
    assert_int_equal(m->pkt_len, bytes);
    for (; m != NULL; m = m->next) {
        const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

        for (uint32_t k = 0; k < m->data_len; k++, i++) {
            if (data[k] != (uint8_t)(seed + i * 7))
                fail_msg("byte %u of %u has changed", i, bytes);
        }
    }
}

struct rte_mbuf *rill_fabric_test_frame(struct rte_mempool *from, uint32_t src, uint32_t dst,
                                        uint64_t id, bool packet)
{
    struct rte_mbuf *m = rill_frame_new(from, packet ? RILL_FRAME_DATA : RILL_FRAME_SYNC, src, dst);

    assert_non_null(m);
    rill_frame(m)->flow = id;
    if (packet) {
        rill_frame(m)->flags = RILL_FLAG_PACKET;
        rill_frame(m)->wire_bytes = DATA_BYTES;
        rill_fabric_test_fill(m, from, DATA_BYTES, (uint32_t)id);
    }
    return m;
}

static struct rte_mbuf *new_frame(uint32_t src, uint32_t dst, uint64_t id)
{
    return rill_fabric_test_frame(pool, src, dst, id, id % 3 == 0);
}

/* Checks what new_frame() made, and frees it. */
static void check_frame(struct rte_mbuf *m, uint32_t dst)
{
    uint64_t id = rill_frame(m)->flow;
    bool packet = id % 3 == 0;

    assert_int_equal(rill_frame(m)->dst, dst);
    assert_int_equal(rill_frame(m)->type, packet ? RILL_FRAME_DATA : RILL_FRAME_SYNC);
    assert_int_equal(rill_frame_has_packet(m), packet);
    rill_fabric_test_check(m, packet ? DATA_BYTES : 0, (uint32_t)id);
    rte_pktmbuf_free(m);
}

static void send(uint32_t src, struct rte_mbuf **frames, uint32_t n)
{
    fabric->ops->send(fabric, src, frames, n, now_ns);
}

static void send_new(uint32_t src, uint32_t dst, uint64_t id)
{
    struct rte_mbuf *m = new_frame(src, dst, id);

    send(src, &m, 1);
}

/* Moves time on to the next arrival; false if there is none. */
static bool advance(void)
{
    uint64_t next_ns = fabric->ops->next_ns(fabric);

    if (next_ns != UINT64_MAX && next_ns > now_ns)
        now_ns = next_ns;
    if (++idle > IDLE_MAX)
        fail_msg("next_ns() is %lu, and nothing comes", (unsigned long)next_ns);
    return next_ns != UINT64_MAX;
}

static uint32_t recv_now(uint32_t dst, struct rte_mbuf **frames, uint32_t max)
{
    uint32_t n = fabric->ops->recv(fabric, dst, frames, max, now_ns);

    assert_true(n <= max);
    if (n > 0)
        idle = 0;
    return n;
}

/* Waits for frames to one role, until nothing is on its way or `max` are there. */
static uint32_t recv_all(uint32_t dst, struct rte_mbuf **frames, uint32_t max)
{
    uint32_t n = 0;

    while (n < max && advance())
        n += recv_now(dst, frames + n, max - n);
    return n;
}

/* Receives for all of the first n roles until nothing is on its way; frees all. Returns how many.
 */
static uint32_t recv_and_check(uint32_t n)
{
    struct rte_mbuf *frames[BURST];
    uint32_t total = 0;

    while (advance()) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t got = recv_now(role(i), frames, BURST);

            for (uint32_t k = 0; k < got; k++)
                check_frame(frames[k], role(i));
            total += got;
        }
    }
    return total;
}

static uint64_t on_their_way(void)
{
    const struct rill_fabric_counters *c = &fabric->counters;

    return c->sent + c->doubled - c->delivered - c->full - c->no_route - c->lost;
}

static void assert_balance(void)
{
    const struct rill_fabric_counters *c = &fabric->counters;

    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 0);
    assert_int_equal(on_their_way(), 0);
    if (battery->lossless)
        assert_int_equal(c->doubled + c->lost, 0);
}

/* --- what arrives ----------------------------------------------------------------------------- */

static void nothing_is_there_at_first(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
    attach(ROLES);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 0);
    assert_int_equal(recv_now(role(0), &m, 1), 0);
    assert_int_equal(recv_now(role(ROLES), &m, 1), 0); /* not attached */
    assert_non_null(fabric->ops->name);
    assert_balance();
}

/* The longest chain, or one beside which there is room for a tuple. */
static void fill_data(struct rill_frame *f, bool tuple)
{
    f->chain_len = tuple ? RILL_CHAIN_MAX_WITH_TUPLE : RILL_CHAIN_MAX;
    f->chain[0] = (struct rill_chain_entry){.term = 9, .unit = 8};
    f->chain[3] = (struct rill_chain_entry){.term = 3, .unit = 2};
    f->target_count = RILL_TARGETS_MAX;
    f->targets[6] = role(2);
    if (!tuple)
        return;
    f->flags |= RILL_FLAG_TUPLE;
    f->tuple = (struct rill_flow_tuple){.port_a = 1, .port_b = 0xfffe, .family = 6, .proto = 17};
    memset(f->tuple.addr_a, 0xa5, sizeof(f->tuple.addr_a));
    memset(f->tuple.addr_b, 0x5b, sizeof(f->tuple.addr_b));
}

/* A frame with all that it can carry. */
static struct rte_mbuf *full_frame(enum rill_frame_type type, uint32_t bytes, bool tuple)
{
    struct rte_mbuf *m = rill_frame_new(pool, type, 77, role(1)); /* a relay's: src is another */
    struct rill_frame *f = rill_frame(m);

    f->epoch = 0xabcd;
    f->vni = 0x123456;
    if (type == RILL_FRAME_REPLICA) {
        rill_fabric_test_fill(m, pool, bytes, 1);
        return m;
    }
    f->flags = RILL_FLAG_PACKET;
    f->side = RILL_OUTSIDE;
    f->flow = f->term = f->clock = UINT64_MAX - 1;
    f->wire_bytes = bytes + 5;
    f->ingress_ns = UINT64_MAX;
    f->ingress_id = 1;
    f->first_sport = 53;
    if (type == RILL_FRAME_DATA) {
        fill_data(f, tuple);
    } else {
        f->flags |= RILL_FLAG_FULL;
        f->step = f->window = UINT64_MAX / 3;
        f->state_offset = 12;
        f->state_bytes = RILL_INLINE_STATE - 1;
        memset(f->state, 0x5a, f->state_bytes);
    }
    rill_fabric_test_fill(m, pool, bytes, 1);
    return m;
}

static void frames_arrive_as_they_were(void **state)
{
    static const struct {
        enum rill_frame_type type;
        uint32_t bytes;
        bool tuple;
    } cases[] = {{RILL_FRAME_DATA, 60, false},      {RILL_FRAME_DATA, 1514, false},
                 {RILL_FRAME_DATA, 9000, false},    {RILL_FRAME_DATA, 61000, false},
                 {RILL_FRAME_DATA, 60, true},       {RILL_FRAME_DATA, 61000, true},
                 {RILL_FRAME_CHANGE, 0, false},     {RILL_FRAME_CHANGE, 64, false},
                 {RILL_FRAME_CHANGE, 65000, false}, {RILL_FRAME_REPLICA, 0, false},
                 {RILL_FRAME_REPLICA, 2048, false}, {RILL_FRAME_REPLICA, 40000, false},
                 {RILL_FRAME_REPLICA, 61440, false}};

    (void)state;
    attach(2);
    for (unsigned i = 0; i < RTE_DIM(cases); i++) {
        struct rte_mbuf *m = full_frame(cases[i].type, cases[i].bytes, cases[i].tuple), *got[3];
        struct rill_frame before = *rill_frame(m);
        uint32_t n;

        send(role(0), &m, 1);
        n = recv_all(role(1), got, 3);
        assert_true(battery->lossless ? n == 1 : n <= 2);
        for (uint32_t k = 0; k < n; k++) {
            struct rill_frame *after = rill_frame(got[k]);

            assert_memory_equal(&after->type, &before.type,
                                offsetof(struct rill_frame, state) -
                                    offsetof(struct rill_frame, type));
            assert_memory_equal(after->state, before.state, before.state_bytes);
            if (cases[i].tuple)
                assert_memory_equal(&after->tuple, &before.tuple, sizeof(before.tuple));
            rill_fabric_test_check(got[k], cases[i].bytes, 1);
            rte_pktmbuf_free(got[k]);
        }
    }
    assert_balance();
}

/* --- order and completeness ------------------------------------------------------------------- */

struct traffic {
    uint64_t next_id;            /* of the next frame; ids are 1, 2, ... */
    uint64_t last[ROLES][ROLES]; /* the last id that arrived, by sender and receiver */
    uint8_t copies[TRAFFIC + 1]; /* how often each id arrived */
    uint8_t to[TRAFFIC + 1];     /* the receiver of each id */
};

static void take(struct traffic *t, uint32_t dst, struct rte_mbuf *m)
{
    uint64_t id = rill_frame(m)->flow;
    uint32_t src;

    assert_true(id >= 1 && id < t->next_id);
    assert_int_equal(t->to[id], dst);
    for (src = 0; role(src) != rill_frame(m)->src; src++)
        assert_true(src < ROLES);
    if (battery->fifo && battery->lossless)
        assert_true(id > t->last[src][dst]);
    else if (battery->fifo)
        assert_true(id >= t->last[src][dst]);
    t->last[src][dst] = id;
    t->copies[id]++;
    assert_true(t->copies[id] <= (battery->lossless ? 1 : 2));
    check_frame(m, role(dst));
}

static void send_burst(struct traffic *t, struct rill_rng *rng)
{
    struct rte_mbuf *frames[BURST];
    uint32_t src = rill_rng_below(rng, ROLES), n = 0;
    uint32_t most = 1 + rill_rng_below(rng, BURST);

    for (; n < most && t->next_id <= TRAFFIC; n++) {
        uint32_t dst = rill_rng_below(rng, ROLES); /* itself too */

        t->to[t->next_id] = (uint8_t)dst;
        frames[n] = new_frame(role(src), role(dst), t->next_id++);
    }
    send(role(src), frames, n);
}

static void recv_burst(struct traffic *t, uint32_t dst, uint32_t max)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n = recv_now(role(dst), frames, max);

    for (uint32_t i = 0; i < n; i++)
        take(t, dst, frames[i]);
}

static void mixed_traffic(void **state)
{
    static struct traffic t;
    struct rill_rng rng;
    uint64_t arrived = 0;

    (void)state;
    attach(ROLES);
    rill_rng_seed(&rng, 1);
    memset(&t, 0, sizeof(t));
    t.next_id = 1;
    while (t.next_id <= TRAFFIC) {
        send_burst(&t, &rng);
        do { /* nobody falls further behind than a link holds */
            advance();
            for (uint32_t dst = 0; dst < ROLES; dst++)
                recv_burst(&t, dst, 1 + rill_rng_below(&rng, BURST));
        } while (on_their_way() > battery->link_holds - BURST);
    }
    while (advance()) {
        for (uint32_t dst = 0; dst < ROLES; dst++)
            recv_burst(&t, dst, BURST);
    }
    for (uint64_t id = 1; id < t.next_id; id++) {
        arrived += t.copies[id];
        if (battery->lossless)
            assert_int_equal(t.copies[id], 1);
    }
    assert_int_equal(fabric->counters.sent, TRAFFIC);
    assert_int_equal(fabric->counters.delivered, arrived);
    assert_int_equal(fabric->counters.full + fabric->counters.no_route, 0);
    assert_balance();
}

static void small_receives_keep_the_order(void **state)
{
    struct rte_mbuf *frames[64], *m;
    uint64_t last = 0;

    (void)state;
    attach(2);
    for (uint64_t id = 1; id <= 64; id++)
        frames[id - 1] = new_frame(role(0), role(1), id);
    send(role(0), frames, 64);
    assert_int_equal(recv_now(role(1), &m, 0), 0);
    while (advance()) {
        uint32_t n = recv_now(role(1), &m, 1);

        if (n == 1) {
            if (battery->fifo)
                assert_true(rill_frame(m)->flow >= last + (battery->lossless ? 1 : 0));
            last = rill_frame(m)->flow;
            check_frame(m, role(1));
        }
    }
    if (battery->lossless)
        assert_int_equal(fabric->counters.delivered, 64);
    assert_balance();
}

static void many_roles(void **state)
{
    uint64_t id = 1;

    (void)state;
    attach(many());
    for (uint32_t src = 0; src < many(); src++) {
        for (uint32_t dst = 0; dst < many(); dst++)
            send_new(role(src), role(dst), id++);
    }
    if (battery->lossless)
        assert_int_equal(recv_and_check(many()), many() * many());
    else
        recv_and_check(many());
    assert_int_equal(fabric->counters.no_route, 0);
    assert_balance();
}

/* --- what does not arrive --------------------------------------------------------------------- */

static void unknown_destinations_are_counted(void **state)
{
    struct rte_mbuf *frames[6];

    (void)state;
    attach(2);
    frames[0] = new_frame(role(0), role(2), 3);
    frames[1] = new_frame(role(0), role(1), 4);
    frames[2] = new_frame(role(0), 0, 5);
    frames[3] = new_frame(role(0), rill_role_id(RILL_ROLE_PORT, RILL_OUTSIDE), 6);
    frames[4] = new_frame(role(0), UINT32_MAX, 7);
    frames[5] = new_frame(role(0), role(1), 8);
    send(role(0), frames, 6);
    recv_and_check(2);
    assert_int_equal(fabric->counters.sent, 6);
    assert_balance();
    if (battery->lossless) {
        assert_int_equal(fabric->counters.no_route, 4);
        assert_int_equal(fabric->counters.no_route_packets, 2); /* 3 and 6 */
        assert_int_equal(fabric->counters.delivered, 2);
    }
}

static void senders_must_be_attached(void **state)
{
    (void)state;
    attach(2);
    send_new(role(5), role(1), 3);
    assert_int_equal(recv_and_check(2), 0);
    assert_int_equal(fabric->counters.no_route, 1);
    assert_int_equal(fabric->counters.no_route_packets, 1);
    assert_balance();
}

static void detach_frees_what_was_on_its_way(void **state)
{
    struct rill_fabric_counters *c = &fabric->counters;

    (void)state;
    attach(3);
    for (uint64_t id = 1; id <= 30; id++) {
        send_new(role(0), role(1), id);
        send_new(role(0), role(2), id);
        send_new(role(1), role(2), id); /* what a dead role sent still arrives */
        send_new(role(1), role(1), id);
    }
    fabric->ops->detach(fabric, role(1));
    fabric->ops->detach(fabric, role(1)); /* not attached: nothing happens */
    if (battery->lossless) {
        assert_int_equal(c->no_route, 60);
        assert_int_equal(c->no_route_packets, 20);
        assert_int_equal(fabric->ops->packets_in_flight(fabric), 20);
    }
    send_new(role(0), role(1), 3);
    send_new(role(1), role(0), 3);
    recv_and_check(3);
    assert_balance();
    if (battery->lossless) {
        assert_int_equal(c->delivered, 60);
        assert_int_equal(c->no_route, 62);
    }
}

static void attached_anew_is_empty(void **state)
{
    struct rill_error err;
    struct rte_mbuf *m;

    (void)state;
    attach(2);
    send_new(role(0), role(1), 1);
    fabric->ops->detach(fabric, role(1));
    assert_int_equal(fabric->ops->attach(fabric, role(1), &err), 0);
    assert_int_equal(recv_all(role(1), &m, 1), 0);
    for (uint64_t id = 2; id < 50; id++) {
        send_new(role(0), role(1), id);
        send_new(role(1), role(0), id);
    }
    if (battery->lossless)
        assert_int_equal(recv_and_check(2), 96);
    else
        recv_and_check(2);
    assert_balance();
}

/* Roles come and go while others talk on. */
static void roles_come_and_go(void **state)
{
    struct rill_rng rng;
    struct rill_error err;
    bool there[MANY_ROLES] = {false};
    uint64_t expected = 0;

    (void)state;
    rill_rng_seed(&rng, 2);
    for (uint64_t round = 1; round < 3000; round++) {
        uint32_t a = rill_rng_below(&rng, many()), b = rill_rng_below(&rng, many());

        if (rill_rng_below(&rng, 3) == 0) {
            recv_and_check(many());
            if (there[a])
                fabric->ops->detach(fabric, role(a));
            else
                assert_int_equal(fabric->ops->attach(fabric, role(a), &err), 0);
            there[a] = !there[a];
        } else {
            send_new(role(a), role(b), round);
            expected += there[a] && there[b];
        }
    }
    recv_and_check(many());
    assert_balance();
    if (battery->lossless)
        assert_int_equal(fabric->counters.delivered, expected);
}

static void bad_attaches_are_refused(void **state)
{
    static const uint32_t bad[] = {0, 5};
    struct rill_error err;

    (void)state;
    attach(1);
    for (unsigned i = 0; i < RTE_DIM(bad); i++) {
        err.text[0] = 0;
        assert_int_equal(fabric->ops->attach(fabric, bad[i], &err), -EINVAL);
        assert_int_not_equal(err.text[0], 0);
    }
    assert_int_equal(fabric->ops->attach(fabric, rill_role_id(RILL_ROLE_PORT, RILL_INSIDE), &err),
                     -EINVAL);
    err.text[0] = 0;
    assert_int_equal(fabric->ops->attach(fabric, role(0), &err), -EEXIST);
    assert_int_not_equal(err.text[0], 0);
    assert_int_equal(fabric->ops->attach(fabric, role(0), NULL), -EEXIST);
}

/* --- counting --------------------------------------------------------------------------------- */

static void packets_in_flight_are_counted(void **state)
{
    struct rte_mbuf *m;
    uint64_t packets = 0;

    (void)state;
    attach(2);
    for (uint64_t id = 1; id <= 60; id++)
        send_new(role(0), role(1), id);
    if (battery->lossless)
        assert_int_equal(fabric->ops->packets_in_flight(fabric), 20);
    packets = fabric->ops->packets_in_flight(fabric);
    while (advance()) {
        if (recv_now(role(1), &m, 1) == 1) {
            packets -= rill_frame_has_packet(m);
            check_frame(m, role(1));
        }
        assert_int_equal(fabric->ops->packets_in_flight(fabric), packets);
    }
    assert_balance();
}

static void a_full_link_is_counted_and_recovers(void **state)
{
    struct rill_fabric_counters *c = &fabric->counters;
    uint64_t sent = battery->link_holds * 4;

    (void)state;
    attach(3);
    for (uint64_t id = 1; id <= sent; id++)
        send_new(role(0), role(1), id);
    for (uint64_t id = 1; id <= battery->link_holds; id++)
        send_new(role(2), role(1), id); /* another link has its own room */
    assert_int_equal(c->full > 0, battery->bounded);
    assert_true(c->full <= sent - battery->link_holds);
    if (battery->lossless) {
        assert_true(c->full_packets >= c->full / 3 && c->full_packets <= c->full / 3 + 1);
        assert_int_equal(fabric->ops->packets_in_flight(fabric),
                         sent / 3 + battery->link_holds / 3 - c->full_packets);
        assert_int_equal(recv_and_check(3), sent + battery->link_holds - c->full);
    }
    recv_and_check(3);
    assert_balance();
    send_new(role(0), role(1), 3);
    if (battery->lossless)
        assert_int_equal(recv_and_check(3), 1);
    recv_and_check(3);
    assert_balance();
}

static void destroy_frees_what_is_on_its_way(void **state)
{
    (void)state;
    attach(3);
    for (uint64_t id = 1; id <= 60; id++) {
        send_new(role(0), role(1), id);
        send_new(role(1), role(2), id);
        send_new(role(1), role(0), id);
        send_new(role(0), role(9), id);
    }
    fabric->ops->detach(fabric, role(1));
    fabric->ops->destroy(NULL);
    fabric->ops->destroy(fabric);
    fabric = NULL;
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* --- running ---------------------------------------------------------------------------------- */

static int group_setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) == 0)
        pool = rill_frame_pool_create("battery", POOL_MBUFS, &err);
    if (pool == NULL)
        print_error("%s\n", err.text);
    return pool == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    pool = NULL;
    return 0;
}

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    now_ns = 1000;
    idle = 0;
    fabric = battery->create(pool, &err);
    if (fabric == NULL)
        print_error("%s\n", err.text);
    return fabric == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    if (fabric != NULL)
        fabric->ops->destroy(fabric);
    if (rte_mempool_in_use_count(pool) != 0)
        print_error("%u buffers leaked\n", rte_mempool_in_use_count(pool));
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int rill_fabric_battery_run(const struct rill_fabric_battery *of)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_there_at_first),
        TEST(frames_arrive_as_they_were),
        TEST(mixed_traffic),
        TEST(small_receives_keep_the_order),
        TEST(many_roles),
        TEST(unknown_destinations_are_counted),
        TEST(senders_must_be_attached),
        TEST(detach_frees_what_was_on_its_way),
        TEST(attached_anew_is_empty),
        TEST(roles_come_and_go),
        TEST(bad_attaches_are_refused),
        TEST(packets_in_flight_are_counted),
        TEST(a_full_link_is_counted_and_recovers),
        TEST(destroy_frees_what_is_on_its_way),
    };

    battery = of;
    return cmocka_run_group_tests_name(of->name, tests, group_setup, group_teardown);
}
