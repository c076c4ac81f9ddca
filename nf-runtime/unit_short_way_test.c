/* What most packets are goes a short way through a unit. Two units are given the same, and one of
 * them takes the long way with all of it: they send the same, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nf-runtime/unit.h"
#include "tests/core_testing.h"

enum { FLOWS = 6, ROUNDS = 30000, BURST_MAX = 12, BYTES = 500, SIDES = 2 };

#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define PEER rill_role_id(RILL_ROLE_UNIT, 2)
#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define RM rill_role_id(RILL_ROLE_RM, 1)
#define T_NS (500 * 1000)

/* --- an NF that does a bit of all --- */

struct value {
    uint64_t packets, last;
    uint8_t wide[160]; /* more than fits into a frame, together with what stands before it */
};

struct instance {
    struct rill_table *table;
    uint64_t plain; /* packets with which nothing is out of the ordinary */
};

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);

    (void)config;
    self->table = rill_table_create(nf, "values", RILL_PER_FLOW, RILL_WRITE, sizeof(struct value));
    return self->table != NULL ? 0 : -1;
}

static enum rill_verdict work(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);
    struct value *value = rill_get(self->table, pkt);
    struct rill_endpoint to;

    rill_pkt_destination(pkt, &to);
    value->packets++;
    if (to.port != 11) /* else there is no change */
        rill_put(self->table, pkt, offsetof(struct value, packets), 8);
    else
        value->packets--;
    if (to.port == 9)
        return RILL_DROP;
    if (to.port == 10)
        rill_flow_restart(pkt);
    if (to.port == 12) {
        value->wide[159]++;
        rill_put(self->table, pkt, offsetof(struct value, wide) + 159, 1);
    }
    self->plain++;
    to.port = (uint16_t)(to.port + value->packets);
    assert_int_equal(rill_pkt_set_destination(pkt, &to), 0);
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor descriptor = {.abi = RILL_NF_ABI,
                                                     .name = "works",
                                                     .version = "1",
                                                     .summary = "Does a bit of all.",
                                                     .flow_scope = RILL_FLOW_CONNECTION,
                                                     .handles = RILL_HANDLES_UDP4,
                                                     .instance_bytes = sizeof(struct instance),
                                                     .init = init,
                                                     .process_packet = work};

/* --- two units --- */

static struct {
    struct rill_nf *nf;
    struct rill_unit *unit;
    struct rill_outbox in, out;
    uint64_t steps; /* a sum over what the hook was told */
} side[SIDES];
static struct rill_rng rng;
static uint64_t now_ns, share_number, logger_number;
static uint32_t logger;
static unsigned in_use;

static struct {
    uint64_t term, clock;
} flow[FLOWS];

static void on_step(void *arg, const struct rill_unit_step *step)
{
    uint64_t *sum = arg, before, after;

    memcpy(&before, step->before + sizeof(struct rill_state_head), 8);
    memcpy(&after, step->after + sizeof(struct rill_state_head), 8);
    *sum = *sum * 31 + step->flow + step->term + step->step + step->clock + before + 3 * after +
           step->forwarded;
}

static void create(bool proactive)
{
    struct rill_unit_config config = {.id = UNIT,
                                      .output_logger = OL,
                                      .controller = CONTROLLER,
                                      .vni = 1,
                                      .pool = core_pool,
                                      .capacity_bps = UINT64_C(20000000000),
                                      .flowlet_timeout_ns = T_NS,
                                      .pull_timeout_ns = 4 * CORE_MS,
                                      .retry_ns = 6 * CORE_MS,
                                      .resend = {.attempts = 100, .slow_ns = 1000 * CORE_MS},
                                      .keep_ns = 1000 * CORE_MS,
                                      .queue_packets = 16,
                                      .stash_packets_per_flow = 8,
                                      .stash_packets_per_unit = 12,
                                      .flows_max = 64,
                                      .replica_kb = 1024,
                                      .pool_block = 8,
                                      .proactive = proactive};
    struct rill_error err = {.text = ""};

    for (int i = 0; i < SIDES; i++) {
        side[i].nf = rill_nf_create(&descriptor, NULL, &err);
        assert_non_null(side[i].nf);
        config.nf = side[i].nf;
        side[i].unit = rill_unit_create(&config, &err);
        assert_non_null(side[i].unit);
        side[i].steps = 0;
        rill_unit_set_step_hook(side[i].unit, on_step, &side[i].steps);
    }
    rill_unit_go_long_way(side[1].unit);
    now_ns = CORE_MS;
    share_number = logger_number = 0;
    logger = OL;
    for (uint32_t i = 0; i < FLOWS; i++) {
        flow[i].term = 5;
        flow[i].clock = 1000 * (i + 1);
    }
}

static int setup(void **state)
{
    (void)state;
    in_use = core_in_use();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        rill_unit_destroy(side[i].unit);
        rill_nf_destroy(side[i].nf);
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
    assert_int_equal(a->nb_segs, b->nb_segs);
    assert_memory_equal(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *), a->data_len);
}

static void assert_same(void)
{
    const struct rill_outbox *a = &side[0].out, *b = &side[1].out;

    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++)
        assert_same_frame(a->frames[i], b->frames[i]);
    assert_memory_equal(rill_unit_counters(side[0].unit), rill_unit_counters(side[1].unit),
                        sizeof(struct rill_unit_counters));
    assert_int_equal(rill_unit_packets_held(side[0].unit), rill_unit_packets_held(side[1].unit));
    assert_int_equal(rill_unit_served_bytes(side[0].unit, 0),
                     rill_unit_served_bytes(side[1].unit, 0));
    assert_int_equal(rill_unit_next_ns(side[0].unit), rill_unit_next_ns(side[1].unit));
    assert_int_equal(side[0].steps, side[1].steps);
}

/* What waits goes in, then what is due is done. */
static void turn(void)
{
    for (int i = 0; i < SIDES; i++) {
        rill_unit_recv(side[i].unit, side[i].in.frames, side[i].in.count, now_ns, &side[i].out);
        side[i].in.count = 0;
        if (rill_unit_next_ns(side[i].unit) <= now_ns)
            rill_unit_tick(side[i].unit, now_ns, &side[i].out);
    }
    assert_same();
}

/* --- what comes --- */

static bool chance(uint32_t percent)
{
    return rill_rng_below(&rng, 100) < percent;
}

static struct rte_mbuf *packet(uint32_t i, uint64_t clock)
{
    static const uint16_t ports[] = {80, 80, 80, 80, 9, 10, 11, 12};
    struct rte_mbuf *m = core_udp("10.0.0.1", (uint16_t)(100 + i), "192.0.2.1",
                                  ports[rill_rng_below(&rng, RTE_DIM(ports))], BYTES);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_DATA;
    f->src = CONTROLLER;
    f->dst = UNIT;
    f->flow = 1000 * (i + 1) + 1;
    f->term = flow[i].term;
    f->clock = clock;
    f->ingress_id = clock;
    f->ingress_ns = now_ns;
    f->chain[0] = flow[i].term == 5
                      ? (struct rill_chain_entry){.term = RILL_BIRTH_TERM}
                      : (struct rill_chain_entry){.term = flow[i].term - 1, .unit = PEER};
    f->chain_len = 1;
    return m;
}

/* What may be special about one. */
static void make_special(struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);

    if (chance(10)) {
        f->target_count = 1;
        f->targets[0] = PEER;
    }
    if (chance(30))
        f->flags |= RILL_FLAG_ALIAS_KNOWN;
    if (chance(20))
        f->flags |= RILL_FLAG_BY_GAP;
    if (chance(2))
        f->flags |= RILL_FLAG_MOVED;
    if (chance(2)) {
        f->flags |= RILL_FLAG_TUPLE;
        f->tuple = (struct rill_flow_tuple){.addr_a = {10, 0, 0, 1}, .family = 4, .proto = 17};
    }
    if (chance(2)) {
        f->flags |= RILL_FLAG_ENDPOINT;
        f->count = 3;
    }
    if (chance(2))
        rte_pktmbuf_mtod(m, uint8_t *)[14] = chance(50) ? 0x40 : 0x65; /* not to be parsed */
    if (chance(2))
        rte_pktmbuf_mtod(m, uint8_t *)[20] = 0x20; /* a first fragment */
    if (chance(1))
        f->type = RILL_FRAME_FORWARDED;
    if (chance(1))
        f->dst = PEER;
    if (chance(1))
        f->src = chance(50) ? PEER : rill_role_id(RILL_ROLE_CONTROLLER, 2);
}

static void send_packet(uint32_t i)
{
    struct rte_mbuf *m;
    uint64_t clock = ++flow[i].clock;

    if (chance(3))
        clock -= rill_rng_below(&rng, 4); /* once more */
    else if (chance(3))
        flow[i].clock++, clock++; /* one is missing */
    m = packet(i, clock);
    make_special(m);
    give(m);
}

static struct rte_mbuf *about(enum rill_frame_type type, uint32_t src, uint32_t i)
{
    struct rte_mbuf *m = core_frame(type, src, UNIT);

    rill_frame(m)->flow = 1000 * (i + 1) + 1;
    return m;
}

/* To PEER, and back again with its FINAL, which may be late. */
static void move_away_and_back(uint32_t i)
{
    struct rte_mbuf *m = about(RILL_FRAME_MOVE, CONTROLLER, i);
    struct rill_frame *f = rill_frame(m);

    f->term = flow[i].term;
    f->next_term = flow[i].term + 1;
    f->next_unit = PEER;
    give(m);
    turn();
    if (chance(50))
        send_packet(i); /* late */
    flow[i].term += 2;
    flow[i].clock++; /* PEER's */
    if (chance(50))
        send_packet(i);
    m = about(RILL_FRAME_FINAL, PEER, i);
    f = rill_frame(m);
    f->term = f->granted_term = flow[i].term - 1;
    f->next_term = flow[i].term;
    f->next_unit = UNIT;
    f->step = 1000000 * flow[i].term;
    f->clock = flow[i].clock;
    f->window = UINT64_MAX;
    f->flags |= RILL_FLAG_STATE;
    core_body(m, (uint8_t[sizeof(struct rill_state_head) + 16]){0},
              sizeof(struct rill_state_head) + 16);
    give(m);
}

/* The output logger has the term. */
static void acknowledge(uint32_t i)
{
    struct rte_mbuf *m = about(RILL_FRAME_SYNC_ACK, logger, i);
    struct rill_unit_flow_info info;

    if (rill_unit_flow_info(side[1].unit, rill_frame(m)->flow, &info)) {
        rill_frame(m)->term = rill_frame(m)->granted_term = info.term;
        rill_frame(m)->step = info.step;
    }
    give(m);
}

static void set_share(uint32_t thousandths)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_SHARE, RM, UNIT);

    rill_frame(m)->next_unit = CONTROLLER;
    rill_frame(m)->count = thousandths;
    rill_frame(m)->clock = ++share_number;
    give(m);
}

static void replace_logger(void)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_NEW_LOGGER, RM, UNIT);

    logger = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, (uint32_t)++logger_number + 1);
    rill_frame(m)->next_unit = logger;
    rill_frame(m)->clock = logger_number;
    give(m);
}

static void something(void)
{
    uint32_t i = rill_rng_below(&rng, FLOWS), what = rill_rng_below(&rng, 1000);

    if (what < 10)
        move_away_and_back(i);
    else if (what < 60)
        acknowledge(i);
    else if (what < 65)
        set_share(500 + rill_rng_below(&rng, 501));
    else if (what < 67)
        replace_logger();
    else
        send_packet(i);
}

static void run(uint64_t seed, bool proactive)
{
    uint64_t plain;

    rill_rng_seed(&rng, seed);
    create(proactive);
    set_share(1000);
    turn();
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t k = rill_rng_below(&rng, BURST_MAX); k > 0; k--)
            something();
        turn();
        core_clear(&side[0].out);
        core_clear(&side[1].out);
        now_ns += chance(1) ? 2 * T_NS : rill_rng_below(&rng, 5000);
    }
    plain = ((const struct instance *)rill_nf_private(side[0].nf))->plain;
    assert_true(plain > ROUNDS);
    assert_int_equal(plain, ((const struct instance *)rill_nf_private(side[1].nf))->plain);
}

static void both_ways_are_the_same(void **state)
{
    (void)state;
    run(1, false);
}

static void both_ways_are_the_same_with_copies(void **state)
{
    (void)state;
    run(2, true);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(both_ways_are_the_same),
        T(both_ways_are_the_same_with_copies),
    };

    return cmocka_run_group_tests_name("unit's short way", tests, core_group_setup,
                                       core_group_teardown);
}
