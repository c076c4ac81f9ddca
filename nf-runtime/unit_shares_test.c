/* A unit that several controllers share: each has its part of the capacity, of the queue, and of
 * the pools, whatever the others do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nf-runtime/unit_testing.h"

enum { QUEUE = 16, BLOCK = 8, CONTROLLERS = 3, PORT_LOW = 1000 };

#define PACKET_NS (1 * CORE_MS) /* of the whole unit's time */

static const uint32_t slots[CONTROLLERS] = {0, 1, 63};

static uint64_t clock_of[CONTROLLERS];

/* --- an NF that takes an endpoint for each flow --- */

struct instance {
    struct rill_table *table;
    struct rill_pool *pool;
};

static int init(struct rill_nf *self, const struct rill_config *config)
{
    struct instance *i = rill_nf_private(self);
    const char *address = "198.51.100.1";

    (void)config;
    i->table = rill_table_create(self, "t", RILL_PER_FLOW, RILL_WRITE, 8);
    i->pool = rill_pool_create(self, "p", &address, 1, PORT_LOW, 1999, RILL_UDP);
    return i->table != NULL && i->pool != NULL ? 0 : -1;
}

static enum rill_verdict process(struct rill_nf *self, struct rill_pkt *pkt)
{
    struct instance *i = rill_nf_private(self);
    struct rill_endpoint endpoint;

    if (!rill_flow_is_new(pkt))
        return RILL_FORWARD;
    if (rill_pool_take(i->pool, pkt, &endpoint) != 0)
        return RILL_DROP;
    rill_flow_alias(pkt, &endpoint, NULL);
    return rill_pkt_set_source(pkt, &endpoint) == 0 ? RILL_FORWARD : RILL_DROP;
}

static const struct rill_nf_descriptor descriptor = {.abi = RILL_NF_ABI,
                                                     .name = "taker",
                                                     .version = "1",
                                                     .summary = "Takes.",
                                                     .flow_scope = RILL_FLOW_INSIDE_ENDPOINT,
                                                     .handles = RILL_HANDLES_UDP4,
                                                     .instance_bytes = sizeof(struct instance),
                                                     .init = init,
                                                     .process_packet = process};

/* --- the unit, and who leases it --- */

static uint16_t epoch(uint32_t who)
{
    return rill_epoch(slots[who], 1);
}

static uint32_t controller(uint32_t who)
{
    return rill_role_id(RILL_ROLE_CONTROLLER, who + 1);
}

static uint64_t number(uint32_t who, uint64_t n)
{
    return (uint64_t)epoch(who) << RILL_EPOCH_SHIFT | n;
}

/* Every time that the unit asks for. */
static void run_until(uint64_t ns)
{
    while (rill_unit_next_ns(unit) <= ns)
        at(RTE_MAX(rill_unit_next_ns(unit), now_ns));
    at(ns);
}

static void lease(uint32_t who, uint32_t thousandths)
{
    lease_to(controller(who), epoch(who), thousandths);
}

static void send(uint32_t who, uint64_t flow, uint32_t packets)
{
    for (uint32_t i = 0; i < packets; i++) {
        struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, BYTES);
        struct rill_frame *f = rill_frame(m);

        f->type = RILL_FRAME_DATA;
        f->src = controller(who);
        f->dst = UNIT;
        f->epoch = epoch(who);
        f->flow = number(who, flow);
        f->term = number(who, flow);
        f->clock = number(who, ++clock_of[who]);
        f->chain[0] = (struct rill_chain_entry){.term = RILL_BIRTH_TERM};
        f->chain_len = 1;
        give(m);
    }
}

static uint64_t served(uint32_t who)
{
    return rill_unit_served_bytes(unit, slots[who]) / BYTES;
}

static int setup(void **state)
{
    struct rill_unit_config config = unit_usual();

    unit_setup(state);
    config.controller = 0;
    config.capacity_bps = BYTES * 8 * 1000;
    config.keep_ns = 100000 * CORE_MS;
    config.queue_packets = QUEUE;
    config.pool_block = BLOCK;
    config.proactive = false;
    unit_create(&descriptor, config);
    memset(clock_of, 0, sizeof(clock_of));
    return 0;
}

/* --- capacity --- */

/* 16 packets of each at once: who has a quarter needs 4 ms for one, who has half 2 ms. */
static void each_is_served_at_its_own_share(void **state)
{
    uint64_t start_ns = now_ns;

    (void)state;
    lease(0, 250);
    lease(1, 500);
    send(0, 1, QUEUE);
    send(1, 1, QUEUE);
    for (uint64_t i = 1; i <= QUEUE; i++) {
        run_until(start_ns + i * 2 * PACKET_NS - 1);
        assert_int_equal(served(1), i - 1);
        run_until(start_ns + i * 2 * PACKET_NS);
        assert_int_equal(served(1), i);
        assert_int_equal(served(0), i / 2);
    }
    run_until(start_ns + QUEUE * 4 * PACKET_NS);
    assert_int_equal(served(0), QUEUE);
}

static void a_burst_of_one_does_not_delay_another(void **state)
{
    uint64_t start_ns;

    (void)state;
    lease(0, 500);
    lease(2, 500);
    send(0, 1, QUEUE);
    run_until(now_ns + PACKET_NS);
    start_ns = now_ns;
    send(2, 1, 1);
    run_until(start_ns + 2 * PACKET_NS - 1);
    assert_int_equal(served(2), 0);
    run_until(start_ns + 2 * PACKET_NS);
    assert_int_equal(served(2), 1);
    assert_int_equal(served(0), 1);
}

/* What one leaves idle is nobody else's: a controller works out what waits by its own share. */
static void an_idle_share_is_not_lent(void **state)
{
    uint64_t start_ns = now_ns;

    (void)state;
    lease(0, 500);
    lease(1, 500);
    send(0, 1, 2);
    run_until(start_ns + 4 * PACKET_NS - 1);
    assert_int_equal(served(0), 1);
    run_until(start_ns + 4 * PACKET_NS);
    assert_int_equal(served(0), 2);
}

static void a_full_queue_of_one_is_not_anothers(void **state)
{
    (void)state;
    lease(0, 100);
    lease(1, 900);
    send(0, 1, QUEUE + 5);
    assert_int_equal(rill_unit_counters(unit)->dropped_unit_queue_full, 5);
    send(1, 1, QUEUE);
    assert_int_equal(rill_unit_counters(unit)->dropped_unit_queue_full, 5);
    assert_int_equal(rill_unit_packets_held(unit), 2 * QUEUE);
}

/* A share of nothing waits for that controller's own packets alone. */
static void a_share_is_taken_back_while_others_are_busy(void **state)
{
    (void)state;
    lease(0, 500);
    lease(1, 500);
    core_clear(&out);
    send(0, 1, 3);
    lease(1, 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_SHARE_ACK, RM).next_unit, controller(1));
    assert_int_equal(rill_unit_share_of(unit, slots[1]), 0);
    assert_int_equal(rill_unit_share(unit), 500);
    lease(0, 0);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE_ACK, RM), 0);
}

/* A share that grows is worth more from now on, not from when the head began: else what waited
 * would be served in no time. */
static void what_was_served_before_a_share_grew_stays_served(void **state)
{
    uint64_t start_ns = now_ns;

    (void)state;
    lease(0, 100);
    send(0, 1, 5);
    run_until(start_ns + 9 * PACKET_NS); /* of 10 */
    lease(0, 1000);
    run_until(now_ns + PACKET_NS / 10 + PACKET_NS - 1000);
    assert_int_equal(served(0), 1);
    run_until(now_ns + 1000);
    assert_int_equal(served(0), 2);
}

/* --- pools --- */

/* Endpoints from `first` on, of that controller's part. */
static void grant(uint32_t who, uint64_t request, uint32_t first)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_POOL_GRANT, controller(who), UNIT);
    uint32_t indexes[BLOCK];

    for (uint32_t i = 0; i < BLOCK; i++)
        indexes[i] = first + i;
    rill_frame(m)->epoch = epoch(who);
    rill_frame(m)->count = BLOCK;
    rill_frame(m)->clock = request;
    core_body(m, indexes, sizeof(indexes));
    give(m);
}

static uint16_t public_port(struct rte_mbuf *change)
{
    struct rill_view view;
    uint16_t port;

    assert_int_equal(rill_parse(change, rill_frame(change)->wire_bytes, &view), RILL_PARSE_OK);
    port = view.source.port;
    rte_pktmbuf_free(change);
    return port;
}

static void endpoints_are_asked_of_who_leases_the_unit(void **state)
{
    struct rill_frame asked;

    (void)state;
    at(now_ns + 10 * CORE_MS);
    assert_int_equal(core_count(&out, RILL_FRAME_POOL_REQUEST, 0), 0);
    lease(2, 300);
    asked = core_expect(&out, RILL_FRAME_POOL_REQUEST, controller(2));
    assert_int_equal(asked.epoch, epoch(2));
    assert_int_equal(core_count(&out, RILL_FRAME_POOL_REQUEST, 0), 0);
    lease(1, 300);
    core_expect(&out, RILL_FRAME_POOL_REQUEST, controller(1));
}

static void a_flow_gets_an_endpoint_of_its_own_controllers_part(void **state)
{
    (void)state;
    lease(1, 500);
    lease(2, 500);
    grant(1, core_expect(&out, RILL_FRAME_POOL_REQUEST, controller(1)).clock, 300);
    grant(2, core_expect(&out, RILL_FRAME_POOL_REQUEST, controller(2)).clock, 600);
    core_clear(&out);
    send(2, 1, 1);
    send(1, 1, 1);
    run_until(now_ns + 2 * PACKET_NS);
    for (int i = 0; i < 2; i++) {
        struct rte_mbuf *m = core_take(&out, RILL_FRAME_CHANGE, OL);
        bool of_one;

        assert_non_null(m);
        of_one = rill_number_slot(rill_frame(m)->flow) == slots[1];
        assert_int_equal(public_port(m), PORT_LOW + (of_one ? 300 : 600));
    }
    assert_int_equal(rill_nf_pool_free_of(unit_nf, 0, slots[1]), BLOCK - 1);
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), 2 * BLOCK - 2);
}

/* Of one controller nothing is left: the other's are no help. */
static void a_dry_part_is_dry(void **state)
{
    (void)state;
    lease(1, 500);
    lease(2, 500);
    grant(1, core_expect(&out, RILL_FRAME_POOL_REQUEST, controller(1)).clock, 300);
    send(2, 1, 1);
    run_until(now_ns + 2 * PACKET_NS);
    assert_int_equal(rill_unit_counters(unit)->dropped_nf, 1);
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), BLOCK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_is_served_at_its_own_share),
        T(a_burst_of_one_does_not_delay_another),
        T(an_idle_share_is_not_lent),
        T(a_full_queue_of_one_is_not_anothers),
        T(a_share_is_taken_back_while_others_are_busy),
        T(what_was_served_before_a_share_grew_stays_served),
        T(endpoints_are_asked_of_who_leases_the_unit),
        T(a_flow_gets_an_endpoint_of_its_own_controllers_part),
        T(a_dry_part_is_dry),
    };

    return cmocka_run_group_tests_name("unit shares", tests, core_group_setup, core_group_teardown);
}
