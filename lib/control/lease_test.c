#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/control/lease.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"

static struct rte_mempool *pool;

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    assert_int_equal(rill_eal_init(64, &err), 0);
    pool = rill_frame_pool_create("lease_test", 1023, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

/* Over the wire: packed, unpacked, made a frame again. */
struct trip {
    uint32_t dst;
    struct rte_mbuf *back;
};

static void carry(void *arg, const Control__Message *message)
{
    struct trip *trip = arg;
    size_t size = control__message__get_packed_size(message);
    uint8_t *bytes = malloc(size);
    Control__Message *read;

    control__message__pack(message, bytes);
    assert_int_equal(rill_control_unpack(bytes, size, &read), RILL_CONTROL_OK);
    free(bytes);
    trip->back = rill_lease_to_frame(read, trip->dst, pool);
    rill_control_free(read);
}

static struct rte_mbuf *there_and_back(struct rte_mbuf *m)
{
    struct trip trip = {.dst = rill_frame(m)->dst};

    assert_int_equal(rill_lease_from_frame(m, carry, &trip), 0);
    assert_non_null(trip.back);
    assert_int_equal(rill_frame(trip.back)->type, rill_frame(m)->type);
    assert_int_equal(rill_frame(trip.back)->src, rill_frame(m)->src);
    assert_int_equal(rill_frame(trip.back)->dst, rill_frame(m)->dst);
    assert_int_equal(rill_frame(trip.back)->clock, rill_frame(m)->clock);
    assert_int_equal(rill_frame(trip.back)->count, rill_frame(m)->count);
    assert_int_equal(rill_frame(trip.back)->next_unit, rill_frame(m)->next_unit);
    assert_int_equal(trip.back->pkt_len, m->pkt_len);
    return trip.back;
}

/* Which of clock, next_unit and count a type carries. */
static const struct {
    enum rill_frame_type type;
    bool clock, next_unit;
    uint32_t count;
} small[] = {
    {RILL_FRAME_LEASE_REQUEST, true, false, 500}, {RILL_FRAME_SHARE, true, true, 500},
    {RILL_FRAME_SHARE_ACK, true, true, 500},      {RILL_FRAME_DEATH, false, true, 0x04000003},
    {RILL_FRAME_DEATH_ACK, false, true, 7},       {RILL_FRAME_RECOVERED, false, true, 0},
    {RILL_FRAME_RECOVERED_ACK, false, true, 0},   {RILL_FRAME_NEW_LOGGER, true, true, 0},
    {RILL_FRAME_NEW_LOGGER_ACK, true, false, 1},  {RILL_FRAME_MEMBERS_REQUEST, true, false, 0},
};

static void small_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        struct rte_mbuf *m = rill_frame_new(pool, small[i].type, 0x02000001, 0x01000001);

        rill_frame(m)->clock = small[i].clock ? 7 + i : 0;
        rill_frame(m)->next_unit = small[i].next_unit ? 0x03000009 : 0;
        rill_frame(m)->count = small[i].count;
        rte_pktmbuf_free(there_and_back(m));
        rte_pktmbuf_free(m);
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static void grants(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= 300; n += 100) { /* several segments */
        struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_LEASE_GRANT, 0x01000001, 0x02000001);
        struct rte_mbuf *back;

        rill_frame(m)->count = n;
        for (uint32_t i = 0; i < n; i++) {
            struct rill_lease lease = {.unit = 0x03000000 + i,
                                       .output_logger = 0x04000000 + i,
                                       .share = i + 1,
                                       .capacity_bps = UINT64_C(1000000000) + i};

            assert_int_equal(rill_body_append(m, pool, &lease, sizeof(lease)), 0);
        }
        back = there_and_back(m);
        for (uint32_t i = 0; i < n; i++) {
            struct rill_lease lease;

            assert_int_equal(
                rill_body_read(back, i * (uint32_t)sizeof(lease), &lease, sizeof(lease)), 0);
            assert_int_equal(lease.unit, 0x03000000 + i);
            assert_int_equal(lease.output_logger, 0x04000000 + i);
            assert_int_equal(lease.share, i + 1);
            assert_int_equal(lease.capacity_bps, UINT64_C(1000000000) + i);
        }
        rte_pktmbuf_free(back);
        rte_pktmbuf_free(m);
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static void members(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= 300; n += 100) { /* several segments */
        struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_MEMBERS, 0x01000001, 0x02000001);
        struct rte_mbuf *back;

        rill_frame(m)->clock = 9;
        rill_frame(m)->count = n;
        for (uint32_t i = 0; i < n; i++) {
            struct rill_member member = {
                .unit = 0x03000000 + i, .output_logger = 0x04000000 + i, .dead = i % 3 == 0};

            assert_int_equal(rill_body_append(m, pool, &member, sizeof(member)), 0);
        }
        back = there_and_back(m);
        for (uint32_t i = 0; i < n; i++) {
            struct rill_member member;

            assert_int_equal(
                rill_body_read(back, i * (uint32_t)sizeof(member), &member, sizeof(member)), 0);
            assert_int_equal(member.unit, 0x03000000 + i);
            assert_int_equal(member.output_logger, 0x04000000 + i);
            assert_int_equal(member.dead, i % 3 == 0);
        }
        rte_pktmbuf_free(back);
        rte_pktmbuf_free(m);
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* Whose place is taken says the epoch. */
static void epochs(void **state)
{
    const enum rill_frame_type types[] = {RILL_FRAME_LEASE_REQUEST, RILL_FRAME_SHARE,
                                          RILL_FRAME_MEMBERS_REQUEST};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct rte_mbuf *m = rill_frame_new(pool, types[i], 0x02000002, 0x01000001), *back;

        rill_frame(m)->epoch = 0x0402;
        back = there_and_back(m);
        assert_int_equal(rill_frame(back)->epoch, 0x0402);
        rte_pktmbuf_free(back);
        rte_pktmbuf_free(m);
    }
}

static void refusals(void **state)
{
    struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_LEASE_GRANT, 1, 2);
    Control__Message other = rill_control_message(1, 2, 0);
    Control__Done done = CONTROL__DONE__INIT;
    struct trip trip = {0};

    (void)state;
    rill_frame(m)->count = 1; /* and no body */
    assert_int_equal(rill_lease_from_frame(m, carry, &trip), -EINVAL);
    rill_frame(m)->type = RILL_FRAME_MEMBERS;
    assert_int_equal(rill_lease_from_frame(m, carry, &trip), -EINVAL);
    rill_frame(m)->type = RILL_FRAME_MOVE;
    assert_int_equal(rill_lease_from_frame(m, carry, &trip), -EINVAL);
    assert_null(trip.back);
    RILL_CONTROL_SET(&other, DONE, done, &done);
    assert_null(rill_lease_to_frame(&other, 2, pool));
    rte_pktmbuf_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_messages), cmocka_unit_test(grants),   cmocka_unit_test(members),
        cmocka_unit_test(epochs),         cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
