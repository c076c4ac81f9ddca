/* What most changes are goes a short way through an output logger. Two loggers are given the same,
 * and one of them takes the long way with all of it: they send the same, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output-logger/output_logger.h"
#include "tests/core_testing.h"

enum { FLOWS = 6, ROUNDS = 30000, BURST_MAX = 12, SIDES = 2 };
enum { HEAD = sizeof(struct rill_state_head), STATE = HEAD + 32 };

#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)

static struct {
    struct rill_ol *ol;
    struct rill_outbox in, out;
} side[SIDES];
static struct rill_rng rng;
static uint64_t now_ns;
static uint16_t epoch;
static unsigned in_use;

static struct {
    uint64_t term, step;
    struct rill_alias alias;
} flow[FLOWS];

static void create(void)
{
    struct rill_ol_config config = {.id = OL,
                                    .controller = CONTROLLER,
                                    .vni = 1,
                                    .state_bytes = STATE,
                                    .pool = core_pool,
                                    .retry_ns = 2 * CORE_MS,
                                    .keep_ns = 1000 * CORE_MS,
                                    .flows_max = 64,
                                    .held_packets = 40};
    struct rill_error err;

    for (int i = 0; i < SIDES; i++) {
        side[i].ol = rill_ol_create(&config, &err);
        assert_non_null(side[i].ol);
    }
    rill_ol_go_long_way(side[1].ol);
    now_ns = CORE_MS;
    epoch = 1;
    memset(flow, 0, sizeof(flow));
    for (int i = 0; i < FLOWS; i++)
        flow[i].term = 5;
}

static int setup(void **state)
{
    (void)state;
    in_use = core_in_use();
    create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        rill_ol_destroy(side[i].ol);
        rill_outbox_fini(&side[i].in);
        rill_outbox_fini(&side[i].out);
    }
    return core_in_use() == in_use ? 0 : -1;
}

/* Both get it with the next burst. */
static void give(struct rte_mbuf *m)
{
    struct rte_mbuf *copy = rill_frame_copy(m, core_pool);

    assert_non_null(copy);
    rill_outbox_put(&side[0].in, m);
    rill_outbox_put(&side[1].in, copy);
}

static void assert_same_frame(struct rte_mbuf *a, struct rte_mbuf *b)
{
    const struct rill_frame *f = rill_frame(a), *g = rill_frame(b);
    const size_t from = sizeof(f->link);

    assert_memory_equal((const uint8_t *)f + from, (const uint8_t *)g + from,
                        offsetof(struct rill_frame, state) - from);
    assert_memory_equal(f->state, g->state, f->state_bytes);
    assert_int_equal(a->pkt_len, b->pkt_len);
    assert_memory_equal(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *), a->data_len);
}

static void assert_same(void)
{
    const struct rill_outbox *a = &side[0].out, *b = &side[1].out;

    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++)
        assert_same_frame(a->frames[i], b->frames[i]);
    assert_memory_equal(rill_ol_counters(side[0].ol), rill_ol_counters(side[1].ol),
                        sizeof(struct rill_ol_counters));
    assert_int_equal(rill_ol_packets_held(side[0].ol), rill_ol_packets_held(side[1].ol));
    assert_int_equal(rill_ol_next_ns(side[0].ol), rill_ol_next_ns(side[1].ol));
    for (uint64_t i = 1; i <= FLOWS; i++) {
        struct rill_ol_flow_info x, y;
        bool known = rill_ol_flow_info(side[0].ol, UNIT, i, &x);

        assert_int_equal(known, rill_ol_flow_info(side[1].ol, UNIT, i, &y));
        if (!known)
            continue;
        assert_int_equal(x.term, y.term);
        assert_int_equal(x.step, y.step);
        assert_memory_equal(x.state, y.state, STATE);
    }
}

/* What waits goes in, then what is due is done. */
static void turn(void)
{
    for (int i = 0; i < SIDES; i++) {
        rill_ol_recv(side[i].ol, side[i].in.frames, side[i].in.count, now_ns, &side[i].out);
        side[i].in.count = 0;
        if (rill_ol_next_ns(side[i].ol) <= now_ns)
            rill_ol_tick(side[i].ol, now_ns, &side[i].out);
    }
    assert_same();
}

/* --- what comes --- */

static bool chance(uint32_t percent)
{
    return rill_rng_below(&rng, 100) < percent;
}

static struct rte_mbuf *about(enum rill_frame_type type, uint32_t src, uint32_t i)
{
    struct rte_mbuf *m = core_frame(type, src, OL);

    rill_frame(m)->epoch = epoch;
    rill_frame(m)->flow = i + 1;
    rill_frame(m)->next_unit = UNIT;
    return m;
}

static void put_whole(uint8_t *state, uint32_t i)
{
    memset(state, 0, STATE);
    memcpy(state, &flow[i].alias, sizeof(flow[i].alias));
    memcpy(state + HEAD, &flow[i].step, 8);
}

static struct rte_mbuf *change(uint32_t i, uint64_t step)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_CHANGE;
    f->src = UNIT;
    f->dst = OL;
    f->epoch = epoch;
    f->side = RILL_OUTSIDE;
    f->flow = i + 1;
    f->term = flow[i].term;
    f->step = f->clock = f->ingress_id = step;
    f->window = UINT64_MAX;
    f->state_bytes = (uint8_t)rill_rng_below(&rng, 20);
    f->state_offset = (uint16_t)(HEAD + rill_rng_below(&rng, 12));
    for (int k = 0; k < f->state_bytes; k++)
        f->state[k] = (uint8_t)rill_rng_u64(&rng);
    if (flow[i].alias.local.family != 0 && chance(60))
        f->flags |= RILL_FLAG_ALIAS_KNOWN;
    return m;
}

static void make_whole(struct rte_mbuf *m, uint32_t i)
{
    struct rill_frame *f = rill_frame(m);

    f->flags |= RILL_FLAG_FULL;
    f->state_offset = 0;
    f->state_bytes = STATE;
    put_whole(f->state, i);
}

/* What may be special about one. */
static void make_special(struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);

    if (chance(2))
        f->flags |= RILL_FLAG_ELSEWHERE;
    if (chance(2))
        f->flags &= (uint8_t)~RILL_FLAG_PACKET; /* its body is then of no consequence */
    if (chance(1))
        f->state_offset = STATE;
    if (chance(1))
        f->epoch = 0;
    if (chance(1))
        f->dst = UNIT;
    if (chance(1))
        f->src = rill_role_id(RILL_ROLE_UNIT, 2);
}

static void send_step(uint32_t i)
{
    uint64_t step = ++flow[i].step;
    struct rte_mbuf *m;

    if (chance(3))
        step -= rill_rng_below(&rng, (uint32_t)RTE_MIN(step, UINT64_C(5))); /* once more */
    else if (chance(2))
        step = ++flow[i].step; /* one is missing */
    m = change(i, step);
    if (flow[i].step == 1 || chance(1))
        make_whole(m, i);
    make_special(m);
    give(m);
}

static void begin_term(uint32_t i)
{
    struct rte_mbuf *m;

    flow[i].term++;
    flow[i].step++;
    m = change(i, flow[i].step);
    if (chance(70)) /* else it comes to what went before only if that is looked at */
        make_whole(m, i);
    give(m);
}

static void declare_alias(uint32_t i)
{
    struct rte_mbuf *m;

    if (flow[i].alias.local.family == 0)
        flow[i].alias = (struct rill_alias){
            .local = {.addr = {198, 51, 100, 1}, .port = 80, .family = 4, .proto = RILL_UDP}};
    flow[i].step++;
    m = change(i, flow[i].step);
    rill_frame(m)->state_offset = 0;
    rill_frame(m)->state_bytes = sizeof(flow[i].alias);
    memcpy(rill_frame(m)->state, &flow[i].alias, sizeof(flow[i].alias));
    give(m);
}

static void answer_alias(uint32_t i)
{
    struct rte_mbuf *m = about(RILL_FRAME_ALIAS_ACK, CONTROLLER, i);

    rill_frame(m)->term = flow[i].term;
    rill_frame(m)->flags = chance(20) ? RILL_FLAG_REFUSED : 0;
    core_body(m, &flow[i].alias, sizeof(flow[i].alias));
    give(m);
}

/* What the logger asked for, or what it may have missed. */
static void send_full(uint32_t i, enum rill_frame_type type)
{
    struct rte_mbuf *m = about(type, UNIT, i);
    struct rill_frame *f = rill_frame(m);
    uint8_t state[STATE];

    f->term = f->granted_term = flow[i].term;
    f->step = f->clock = flow[i].step;
    f->window = UINT64_MAX;
    if (type == RILL_FRAME_FULL) {
        put_whole(state, i);
        core_body(m, state, STATE);
    }
    give(m);
}

static void established(uint32_t i)
{
    struct rte_mbuf *m = about(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER, i);

    rill_frame(m)->term = flow[i].term;
    give(m);
}

static void something(void)
{
    uint32_t i = rill_rng_below(&rng, FLOWS), what = rill_rng_below(&rng, 1000);

    if (what < 5)
        begin_term(i);
    else if (what < 6)
        declare_alias(i);
    else if (what < 40)
        answer_alias(i);
    else if (what < 80)
        send_full(i, RILL_FRAME_FULL);
    else if (what < 90)
        send_full(i, RILL_FRAME_SYNC);
    else if (what < 110)
        established(i);
    else
        send_step(i);
}

/* A change tells of the new controller; what the one before still says is then refused. */
static void take_over(void)
{
    uint32_t i = rill_rng_below(&rng, FLOWS);

    epoch++;
    give(change(i, ++flow[i].step));
    epoch--;
    established(i);
    epoch++;
}

static void both_ways_are_the_same(void **state)
{
    (void)state;
    rill_rng_seed(&rng, 1);
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t k = rill_rng_below(&rng, BURST_MAX); k > 0; k--)
            something();
        turn();
        core_clear(&side[0].out);
        core_clear(&side[1].out);
        now_ns += chance(1) ? 3 * CORE_MS : rill_rng_below(&rng, 5000);
        if (round % 1000 == 999)
            take_over();
    }
    assert_true(rill_ol_counters(side[0].ol)->packets_released > ROUNDS);
    assert_true(rill_ol_counters(side[0].ol)->changes_held > 100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(both_ways_are_the_same)};

    return cmocka_run_group_tests_name("output logger's short way", tests, core_group_setup,
                                       core_group_teardown);
}
