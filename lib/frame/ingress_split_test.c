#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <rte_mempool.h>

#include "lib/base/eal.h"
#include "lib/frame/frame.h"
#include "lib/frame/ingress_split.h"
#include "lib/packet/fragment_hold.h"
#include "lib/packet/test_packets.h"

enum { CONTROLLERS = 3, FLOWS = 200, BURST = 32, PACKETS = 4 * FLOWS };

static struct rte_mempool *pool;
static struct rill_ingress_split *split;

static struct {
    uint32_t slot;
    uint64_t id;
} given[PACKETS];
static uint32_t given_count;

static void give(void *arg, uint32_t slot, struct rte_mbuf **packets, uint32_t n, uint64_t now_ns)
{
    (void)arg;
    (void)now_ns;
    assert_in_range(slot, 0, CONTROLLERS - 1);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(given_count < PACKETS);
        given[given_count].slot = slot;
        given[given_count++].id = rill_frame(packets[i])->ingress_id;
    }
    rte_pktmbuf_free_bulk(packets, n);
}

static int setup(void **state)
{
    const struct rill_ingress_split_config config = {
        .split = {.controllers = CONTROLLERS, .kind = RILL_KEY_CONNECTION, .seed = 7},
        .give = give};
    struct rill_error err = {""};

    (void)state;
    if (rill_eal_init(64, &err) != 0)
        return -1;
    if (pool == NULL)
        pool = rill_frame_pool_create("ingress_split", 1023, &err);
    given_count = 0;
    split = rill_ingress_split_create(&config, &err);
    return pool != NULL && split != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    rill_ingress_split_destroy(split);
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

static struct rte_mbuf *packet(struct test_packet *p, uint64_t id)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

    assert_non_null(m);
    test_finish(p);
    memcpy(rte_pktmbuf_append(m, (uint16_t)p->len), p->bytes, p->len);
    rill_frame_reset(rill_frame(m));
    rill_frame(m)->side = RILL_INSIDE;
    rill_frame(m)->wire_bytes = p->len;
    rill_frame(m)->ingress_id = id;
    return m;
}

static struct rte_mbuf *udp(uint32_t flow, uint64_t id)
{
    struct test_packet p = {0};

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "203.0.113.1", RILL_UDP, 0, 0);
    test_udp(&p, (uint16_t)(1000 + flow), 80, 10);
    return packet(&p, id);
}

static struct rte_mbuf *fragment(uint32_t flow, bool first, uint64_t id)
{
    struct test_packet p = {0};

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "203.0.113.1", RILL_UDP, 0, first ? 0x2000 : 5);
    if (first)
        test_udp(&p, (uint16_t)(1000 + flow), 80, 32);
    else
        test_fill(&p, 30);
    return packet(&p, id);
}

static uint32_t slot_of_id(uint64_t id)
{
    for (uint32_t i = 0; i < given_count; i++)
        if (given[i].id == id)
            return given[i].slot;
    fail_msg("packet %u was not handed out", (unsigned)id);
    return 0;
}

/* Each comes out once, a flow's all at one controller and in their order; and all have some. */
static void bursts_are_sorted(void **state)
{
    uint32_t of_slot[CONTROLLERS] = {0};
    uint64_t id = 0, last[CONTROLLERS][FLOWS] = {{0}};

    (void)state;
    for (uint32_t burst = 0; burst < PACKETS / BURST; burst++) {
        struct rte_mbuf *packets[BURST];

        for (uint32_t i = 0; i < BURST; i++, id++)
            packets[i] = udp((uint32_t)id % FLOWS, id + 1);
        rill_ingress_split_take(split, packets, BURST, 0);
        assert_int_equal(given_count, id);
    }
    for (uint32_t i = 0; i < given_count; i++) {
        uint32_t flow = (uint32_t)(given[i].id - 1) % FLOWS, slot = given[i].slot;

        assert_int_equal(slot, slot_of_id(flow + 1));
        assert_true(given[i].id > last[slot][flow]);
        last[slot][flow] = given[i].id;
        of_slot[slot]++;
    }
    for (uint32_t slot = 0; slot < CONTROLLERS; slot++)
        assert_true(of_slot[slot] > PACKETS / CONTROLLERS / 2);
}

static void an_early_fragment_waits_for_its_first(void **state)
{
    struct rte_mbuf *m[2];

    (void)state;
    m[0] = fragment(1, false, 1);
    rill_ingress_split_take(split, m, 1, 1000);
    assert_int_equal(given_count, 0);
    assert_int_equal(rill_ingress_split_held(split), 1);
    assert_int_equal(rill_ingress_split_next_ns(split), 1000 + RILL_FRAGMENT_HOLD_NS);
    assert_false(rill_ingress_split_tick(split, 2000));
    m[0] = fragment(1, true, 2);
    m[1] = udp(1, 3);
    rill_ingress_split_take(split, m, 2, 3000);
    assert_int_equal(given_count, 3);
    assert_int_equal(rill_ingress_split_held(split), 0);
    assert_int_equal(slot_of_id(1), slot_of_id(2));
    assert_int_equal(slot_of_id(3), slot_of_id(2));
    assert_int_equal(rill_ingress_split_next_ns(split), UINT64_MAX);
}

static void it_does_not_wait_for_ever(void **state)
{
    struct rte_mbuf *m = fragment(1, false, 1);

    (void)state;
    rill_ingress_split_take(split, &m, 1, 1000);
    assert_true(rill_ingress_split_tick(split, 1000 + RILL_FRAGMENT_HOLD_NS));
    assert_int_equal(given_count, 1);
    assert_int_equal(rill_ingress_split_held(split), 0);
}

static void what_waits_is_freed(void **state)
{
    struct rte_mbuf *m = fragment(1, false, 1);

    (void)state;
    rill_ingress_split_take(split, &m, 1, 0);
    assert_int_equal(rill_ingress_split_held(split), 1); /* teardown looks at the pool */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bursts_are_sorted),
        T(an_early_fragment_waits_for_its_first),
        T(it_does_not_wait_for_ever),
        T(what_waits_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
