#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/role.h"
#include "rm/rm.h"

enum {
    MS = 1000000,
    EPOCH_MS = 100,
    LEASE_MS = 300,
    MARGIN_MS = 50,
    RESEND_MS = 10,
    POOL_MBUFS = 1023,
    LEASES = 64,
};

static struct rte_mempool *pool;

/* A resource manager, and what it has sent. */
struct bench {
    struct rill_rm *rm;
    struct rill_outbox outbox;
    uint32_t taken; /* of the outbox */
    uint64_t now_ms;
};

static uint32_t unit_id(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

static uint32_t controller_id(uint32_t number)
{
    return rill_role_id(RILL_ROLE_CONTROLLER, number);
}

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
    pool = rill_frame_pool_create("rm_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

static void bench_add(struct bench *b, uint32_t number, uint32_t share_max)
{
    struct rill_error err;

    assert_int_equal(rill_rm_add_unit(b->rm, unit_id(number),
                                      rill_role_id(RILL_ROLE_OUTPUT_LOGGER, number), 1000000000,
                                      share_max, &err),
                     0);
}

static struct rill_resend resend; /* zero: as often as at first */
static bool whole_units;

static struct bench bench_with(uint32_t units)
{
    const struct rill_rm_config config = {
        .id = rm_id(),
        .epoch_ns = (uint64_t)EPOCH_MS * MS,
        .lease_ns = (uint64_t)LEASE_MS * MS,
        .margin_ns = (uint64_t)MARGIN_MS * MS,
        .resend_ns = (uint64_t)RESEND_MS * MS,
        .resend = resend,
        .whole_units = whole_units,
        .pool = pool,
    };
    struct rill_error err;
    struct bench b = {.rm = rill_rm_create(&config, &err)};

    assert_non_null(b.rm);
    for (uint32_t i = 1; i <= units; i++)
        bench_add(&b, i, 1000);
    return b;
}

/* All mbufs must be back. */
static void bench_end(struct bench *b)
{
    rill_rm_destroy(b->rm);
    rill_outbox_fini(&b->outbox);
    assert_int_equal(rte_mempool_avail_count(pool), POOL_MBUFS);
}

static void bench_give(struct bench *b, enum rill_frame_type type, uint32_t src, uint32_t dst,
                       uint64_t clock, uint32_t next_unit, uint32_t count)
{
    struct rte_mbuf *m = rill_frame_new(pool, type, src, dst);

    assert_non_null(m);
    rill_frame(m)->clock = clock;
    rill_frame(m)->next_unit = next_unit;
    rill_frame(m)->count = count;
    rill_rm_recv(b->rm, &m, 1, b->now_ms * MS, &b->outbox);
}

static void ask(struct bench *b, uint32_t controller, uint64_t number, uint32_t wanted)
{
    bench_give(b, RILL_FRAME_LEASE_REQUEST, controller_id(controller), rm_id(), number, 0, wanted);
}

static void tick(struct bench *b, uint64_t now_ms)
{
    b->now_ms = now_ms;
    rill_rm_tick(b->rm, now_ms * MS, &b->outbox);
}

/* The next frame that was sent; NULL if there is none. Stays the outbox's. */
static struct rte_mbuf *next_sent(struct bench *b)
{
    return b->taken < b->outbox.count ? b->outbox.frames[b->taken++] : NULL;
}

static void expect_nothing(struct bench *b)
{
    assert_null(next_sent(b));
}

static uint64_t expect_share(struct bench *b, uint32_t unit, uint32_t controller, uint32_t share)
{
    struct rte_mbuf *m = next_sent(b);

    assert_non_null(m);
    assert_int_equal(rill_frame(m)->type, RILL_FRAME_SHARE);
    assert_int_equal(rill_frame(m)->src, rm_id());
    assert_int_equal(rill_frame(m)->dst, unit_id(unit));
    assert_int_equal(rill_frame(m)->next_unit, controller_id(controller));
    assert_int_equal(rill_frame(m)->count, share);
    return rill_frame(m)->clock;
}

static void acknowledge(struct bench *b, uint32_t unit, uint32_t controller, uint32_t share,
                        uint64_t number)
{
    bench_give(b, RILL_FRAME_SHARE_ACK, unit_id(unit), rm_id(), number, controller_id(controller),
               share);
}

static void expect_and_acknowledge(struct bench *b, uint32_t unit, uint32_t controller,
                                   uint32_t share)
{
    acknowledge(b, unit, controller, share, expect_share(b, unit, controller, share));
}

/* Shares of units 1..n, in the grant that is next. */
static void expect_grant(struct bench *b, uint32_t controller, uint64_t number, uint32_t n,
                         const uint32_t *shares)
{
    struct rte_mbuf *m = next_sent(b);
    struct rill_lease leases[LEASES];
    uint32_t count = 0;

    assert_non_null(m);
    assert_int_equal(rill_frame(m)->type, RILL_FRAME_LEASE_GRANT);
    assert_int_equal(rill_frame(m)->dst, controller_id(controller));
    assert_int_equal(rill_frame(m)->clock, number);
    assert_int_equal(m->pkt_len, rill_frame(m)->count * sizeof(leases[0]));
    assert_int_equal(rill_body_read(m, 0, leases, m->pkt_len), 0);
    for (uint32_t i = 0; i < n; i++) {
        if (shares[i] == 0)
            continue;
        assert_true(count < rill_frame(m)->count);
        assert_int_equal(leases[count].unit, unit_id(i + 1));
        assert_int_equal(leases[count].output_logger, rill_role_id(RILL_ROLE_OUTPUT_LOGGER, i + 1));
        assert_int_equal(leases[count].capacity_bps, 1000000000);
        assert_int_equal(leases[count].share, shares[i]);
        count++;
    }
    assert_int_equal(count, rill_frame(m)->count);
}

#define SHARES(...)                                                                                \
    sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[])                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void growth_waits_for_the_units(void **state)
{
    struct bench b = bench_with(4);
    uint64_t numbers[3];

    (void)state;
    ask(&b, 1, 1, 2500);
    numbers[0] = expect_share(&b, 1, 1, 1000);
    numbers[1] = expect_share(&b, 2, 1, 1000);
    numbers[2] = expect_share(&b, 3, 1, 500);
    acknowledge(&b, 1, 1, 1000, numbers[0]);
    acknowledge(&b, 2, 1, 1000, numbers[1]);
    acknowledge(&b, 2, 1, 1000, numbers[1]); /* doubled */
    acknowledge(&b, 3, 1, 500, numbers[1]);  /* not its number */
    acknowledge(&b, 9, 1, 500, numbers[2]);  /* nobody */
    expect_nothing(&b);
    acknowledge(&b, 3, 1, 500, numbers[2]);
    expect_grant(&b, 1, 1, SHARES(1000, 1000, 500, 0));
    expect_nothing(&b);
    assert_int_equal(rill_rm_counters(b.rm)->acks, 3);
    assert_int_equal(rill_rm_counters(b.rm)->acks_stale, 2);
    assert_int_equal(rill_rm_counters(b.rm)->unknown_unit, 1);
    assert_int_equal(rill_rm_share(b.rm, unit_id(3), controller_id(1)), 500);
    bench_end(&b);
}

static void shares_are_resent_until_acknowledged(void **state)
{
    struct bench b = bench_with(1);
    uint64_t number;

    (void)state;
    ask(&b, 1, 1, 300);
    number = expect_share(&b, 1, 1, 300);
    assert_int_equal(rill_rm_next_ns(b.rm), (uint64_t)RESEND_MS * MS);
    tick(&b, RESEND_MS - 1);
    expect_nothing(&b);
    for (uint64_t i = 1; i <= 5; i++) {
        tick(&b, i * RESEND_MS);
        assert_int_equal(expect_share(&b, 1, 1, 300), number);
    }
    acknowledge(&b, 1, 1, 300, number);
    expect_grant(&b, 1, 1, SHARES(300));
    tick(&b, 10 * RESEND_MS);
    expect_nothing(&b);
    assert_int_equal(rill_rm_counters(b.rm)->shares, 1);
    assert_int_equal(rill_rm_counters(b.rm)->shares_resent, 5);
    bench_end(&b);
}

/* A unit that does not answer. */
static void shares_are_resent_more_and_more_rarely(void **state)
{
    struct bench b;

    (void)state;
    resend = (struct rill_resend){.attempts = 3, .slow_ns = (uint64_t)EPOCH_MS * MS * 10};
    b = bench_with(1);
    resend = (struct rill_resend){0};
    ask(&b, 1, 1, 300);
    for (uint64_t now_ms = 1; now_ms < EPOCH_MS; now_ms++)
        tick(&b, now_ms);
    assert_int_equal(rill_rm_counters(b.rm)->shares_resent, 2);
    assert_int_equal(rill_rm_counters(b.rm)->resends_slowed, 1);
    rill_rm_tick(b.rm, (uint64_t)EPOCH_MS * MS * 20, &b.outbox);
    assert_in_range(rill_rm_counters(b.rm)->shares_resent, 3, 4);
    bench_end(&b);
}

static void shrinking_tells_the_controller_first(void **state)
{
    struct bench b = bench_with(2);
    struct rill_rm_unit_info info;

    (void)state;
    ask(&b, 1, 1, 1000);
    expect_and_acknowledge(&b, 1, 1, 1000);
    expect_grant(&b, 1, 1, SHARES(1000, 0));
    ask(&b, 1, 2, 400);
    expect_grant(&b, 1, 2, SHARES(400, 0));
    expect_nothing(&b);
    rill_rm_unit_info(b.rm, 0, &info);
    assert_int_equal(info.leased, 400);
    assert_int_equal(info.committed, 1000);
    ask(&b, 2, 1, 600); /* not from unit 1, as long as controller 1 may still use it */
    expect_and_acknowledge(&b, 2, 2, 600);
    expect_grant(&b, 2, 1, SHARES(0, 600));
    ask(&b, 1, 3, 400); /* has heard */
    expect_and_acknowledge(&b, 1, 1, 400);
    expect_grant(&b, 1, 3, SHARES(400, 0));
    rill_rm_unit_info(b.rm, 0, &info);
    assert_int_equal(info.committed, 400);
    ask(&b, 2, 2, 1600);
    expect_share(&b, 1, 2, 600);
    expect_share(&b, 2, 2, 1000);
    bench_end(&b);
}

static void repeated_and_old_requests(void **state)
{
    struct bench b = bench_with(1);
    uint64_t number;

    (void)state;
    ask(&b, 1, 5, 300);
    ask(&b, 1, 5, 300);
    number = expect_share(&b, 1, 1, 300);
    expect_nothing(&b);
    acknowledge(&b, 1, 1, 300, number);
    expect_grant(&b, 1, 5, SHARES(300));
    ask(&b, 1, 5, 999); /* the number counts */
    expect_grant(&b, 1, 5, SHARES(300));
    ask(&b, 1, 4, 1);
    expect_nothing(&b);
    assert_int_equal(rill_rm_counters(b.rm)->requests, 1);
    assert_int_equal(rill_rm_counters(b.rm)->requests_repeated, 2);
    assert_int_equal(rill_rm_counters(b.rm)->requests_stale, 1);
    bench_end(&b);
}

static void leases_expire_without_a_request(void **state)
{
    struct bench b = bench_with(1);
    uint64_t number;

    (void)state;
    ask(&b, 1, 1, 300);
    expect_and_acknowledge(&b, 1, 1, 300);
    expect_grant(&b, 1, 1, SHARES(300));
    tick(&b, 200);
    ask(&b, 1, 1, 300); /* the same again renews nothing: the controller counts from its first */
    expect_grant(&b, 1, 1, SHARES(300));
    tick(&b, LEASE_MS + MARGIN_MS - 1);
    expect_nothing(&b);
    tick(&b, LEASE_MS + MARGIN_MS);
    number = expect_share(&b, 1, 1, 0);
    ask(&b, 2, 1, 800); /* has to wait for the unit's word */
    expect_share(&b, 1, 2, 700);
    acknowledge(&b, 1, 1, 0, number);
    expect_nothing(&b);
    ask(&b, 1, 1, 300); /* is over */
    assert_int_equal(rill_rm_counters(b.rm)->requests_stale, 1);
    assert_int_equal(rill_rm_counters(b.rm)->leases_expired, 1);
    ask(&b, 1, 2, 300);
    expect_share(&b, 1, 1, 300);
    bench_end(&b);
}

static void asking_renews(void **state)
{
    struct bench b = bench_with(1);

    (void)state;
    for (uint64_t i = 0; i < 50; i++) {
        tick(&b, i * EPOCH_MS);
        ask(&b, 1, i + 1, 300);
        if (i == 0)
            expect_and_acknowledge(&b, 1, 1, 300);
        expect_grant(&b, 1, i + 1, SHARES(300));
        expect_nothing(&b);
    }
    assert_int_equal(rill_rm_counters(b.rm)->leases_expired, 0);
    bench_end(&b);
}

static void a_mute_unit_does_not_cost_the_others(void **state)
{
    struct bench b = bench_with(2);
    uint64_t number;

    (void)state;
    ask(&b, 1, 1, 1000);
    expect_and_acknowledge(&b, 1, 1, 1000);
    expect_grant(&b, 1, 1, SHARES(1000, 0));
    ask(&b, 1, 2, 2000);
    number = expect_share(&b, 2, 1, 1000);
    for (uint64_t now_ms = RESEND_MS; now_ms < EPOCH_MS; now_ms += RESEND_MS) {
        tick(&b, now_ms);
        expect_share(&b, 2, 1, 1000);
    }
    tick(&b, EPOCH_MS);
    expect_grant(&b, 1, 2, SHARES(1000, 0));
    expect_share(&b, 2, 1, 1000);
    acknowledge(&b, 2, 1, 1000, number);
    expect_nothing(&b);
    ask(&b, 1, 3, 2000);
    expect_grant(&b, 1, 3, SHARES(1000, 1000));
    assert_int_equal(rill_rm_counters(b.rm)->grants_short, 1);
    bench_end(&b);
}

static void dead_units_are_replaced(void **state)
{
    struct bench b = bench_with(3);

    (void)state;
    ask(&b, 1, 1, 2000);
    expect_and_acknowledge(&b, 1, 1, 1000);
    expect_share(&b, 2, 1, 1000);
    rill_rm_remove_unit(b.rm, unit_id(2), b.now_ms * MS, &b.outbox); /* will never acknowledge */
    rill_rm_remove_unit(b.rm, unit_id(2), b.now_ms * MS, &b.outbox);
    expect_grant(&b, 1, 1, SHARES(1000, 0, 0));
    ask(&b, 1, 2, 2000);
    expect_and_acknowledge(&b, 3, 1, 1000);
    expect_grant(&b, 1, 2, SHARES(1000, 0, 1000));
    assert_int_equal(rill_rm_unit_count(b.rm), 2);
    bench_end(&b);
}

/* The unit is told until it has filled the new one; controllers see it in the next grant. */
static void output_logger_is_replaced(void **state)
{
    struct bench b = bench_with(1);
    struct rill_lease lease;
    struct rte_mbuf *m;

    (void)state;
    assert_int_equal(rill_rm_replace_logger(b.rm, unit_id(7), 1, b.now_ms * MS, &b.outbox),
                     -ENOENT);
    assert_true(rill_rm_logger_filled(b.rm, unit_id(1)));
    assert_int_equal(rill_rm_replace_logger(b.rm, unit_id(1), 4321, b.now_ms * MS, &b.outbox), 0);
    assert_false(rill_rm_logger_filled(b.rm, unit_id(1)));
    m = next_sent(&b);
    assert_int_equal(rill_frame(m)->type, RILL_FRAME_NEW_LOGGER);
    assert_int_equal(rill_frame(m)->dst, unit_id(1));
    assert_int_equal(rill_frame(m)->next_unit, 4321);
    ask(&b, 1, 1, 1);
    expect_and_acknowledge(&b, 1, 1, 1);
    m = next_sent(&b);
    assert_int_equal(rill_body_read(m, 0, &lease, sizeof(lease)), 0);
    assert_int_equal(lease.output_logger, 4321);
    bench_end(&b);
}

static void strangers_are_counted(void **state)
{
    struct bench b = bench_with(1);

    (void)state;
    bench_give(&b, RILL_FRAME_LEASE_REQUEST, unit_id(1), rm_id(), 1, 0, 100);
    bench_give(&b, RILL_FRAME_LEASE_REQUEST, controller_id(1), rm_id() + 1, 1, 0, 100);
    bench_give(&b, RILL_FRAME_SHARE, unit_id(1), rm_id(), 1, 0, 100);
    acknowledge(&b, 1, 1, 100, 1);
    for (uint32_t i = 1; i <= RILL_RM_CONTROLLERS_MAX + 5; i++)
        ask(&b, i, 1, 0);
    assert_int_equal(rill_rm_counters(b.rm)->requests_refused, 1 + 5);
    assert_int_equal(rill_rm_counters(b.rm)->unknown_frames, 2);
    assert_int_equal(rill_rm_counters(b.rm)->acks_stale, 1);
    rill_outbox_fini(&b.outbox);
    bench_end(&b);
}

static void bad_units_are_refused(void **state)
{
    struct bench b = bench_with(1);
    struct rill_error err;

    (void)state;
    assert_int_equal(rill_rm_add_unit(b.rm, unit_id(1), 1, 1, 1000, &err), -EEXIST);
    assert_int_equal(rill_rm_add_unit(b.rm, unit_id(2), 1, 1, 0, &err), -EINVAL);
    assert_int_equal(rill_rm_add_unit(b.rm, unit_id(2), 1, 1, 1001, &err), -EINVAL);
    assert_int_equal(rill_rm_add_unit(b.rm, controller_id(2), 1, 1, 1000, &err), -EINVAL);
    assert_int_equal(rill_rm_unit_count(b.rm), 1);
    assert_null(rill_rm_create(&(struct rill_rm_config){.pool = pool}, &err));
    assert_true(strlen(err.text) > 0);
    rill_rm_destroy(NULL);
    bench_end(&b);
}

static uint32_t take_all_mbufs(struct rte_mbuf **mbufs)
{
    uint32_t n = 0;

    while (n < POOL_MBUFS && (mbufs[n] = rte_pktmbuf_alloc(pool)) != NULL)
        n++;
    return n;
}

/* The request's own mbuf is free for the answer; one more is not. */
static void without_memory_it_is_sent_later(void **state)
{
    static struct rte_mbuf *mbufs[POOL_MBUFS];
    struct bench b = bench_with(2);
    struct rte_mbuf *request =
        rill_frame_new(pool, RILL_FRAME_LEASE_REQUEST, controller_id(1), rm_id());
    uint32_t n;

    (void)state;
    rill_frame(request)->clock = 1;
    rill_frame(request)->count = 2000;
    n = take_all_mbufs(mbufs);
    rill_rm_recv(b.rm, &request, 1, 0, &b.outbox);
    expect_nothing(&b);
    assert_int_equal(rill_rm_counters(b.rm)->alloc_failures, 2);
    rte_pktmbuf_free_bulk(mbufs, n);
    tick(&b, RESEND_MS);
    acknowledge(&b, 1, 1, 1000, expect_share(&b, 1, 1, 1000));
    acknowledge(&b, 2, 1, 1000, expect_share(&b, 2, 1, 1000));
    expect_grant(&b, 1, 1, SHARES(1000, 1000));
    request = rill_frame_new(pool, RILL_FRAME_LEASE_REQUEST, controller_id(1), rm_id());
    rill_frame(request)->clock = 2;
    rill_frame(request)->count = 500;
    n = take_all_mbufs(mbufs);
    rill_rm_recv(b.rm, &request, 1, b.now_ms * MS, &b.outbox);
    expect_nothing(&b);
    rte_pktmbuf_free_bulk(mbufs, n);
    assert_int_equal(rill_rm_next_ns(b.rm), (uint64_t)2 * RESEND_MS * MS);
    tick(&b, 2 * RESEND_MS);
    expect_grant(&b, 1, 2, SHARES(500, 0));
    bench_end(&b);
}

/* Independent controllers: a unit of which one has a part is nobody else's. */
static void test_whole_units_are_not_shared(void **state)
{
    struct bench b;

    (void)state;
    whole_units = true;
    b = bench_with(2);
    whole_units = false;
    ask(&b, 1, 1, 300);
    expect_and_acknowledge(&b, 1, 1, 300);
    expect_grant(&b, 1, 1, SHARES(300));
    ask(&b, 2, 1, 2000);
    expect_and_acknowledge(&b, 2, 2, 1000);
    expect_grant(&b, 2, 1, SHARES(0, 1000));
    ask(&b, 1, 2, 900);
    expect_and_acknowledge(&b, 1, 1, 900);
    expect_grant(&b, 1, 2, SHARES(900));
    bench_end(&b);
}

/* The first has all that there is; the second gets its half of it at the first's next requests. */
static void test_nobody_gets_nothing(void **state)
{
    struct bench b = bench_with(2);

    (void)state;
    ask(&b, 1, 1, 2000);
    expect_and_acknowledge(&b, 1, 1, 1000);
    expect_and_acknowledge(&b, 2, 1, 1000);
    expect_grant(&b, 1, 1, SHARES(1000, 1000));
    ask(&b, 2, 1, 700);
    expect_grant(&b, 2, 1, SHARES(0, 0));
    ask(&b, 1, 2, 2000);
    expect_grant(&b, 1, 2, SHARES(1000, 300));
    ask(&b, 1, 3, 2000); /* it has heard */
    expect_and_acknowledge(&b, 2, 1, 300);
    expect_grant(&b, 1, 3, SHARES(1000, 300));
    ask(&b, 2, 2, 700);
    expect_and_acknowledge(&b, 2, 2, 700);
    expect_grant(&b, 2, 2, SHARES(0, 700));
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_waits_for_the_units),
        cmocka_unit_test(shares_are_resent_until_acknowledged),
        cmocka_unit_test(shares_are_resent_more_and_more_rarely),
        cmocka_unit_test(shrinking_tells_the_controller_first),
        cmocka_unit_test(repeated_and_old_requests),
        cmocka_unit_test(leases_expire_without_a_request),
        cmocka_unit_test(asking_renews),
        cmocka_unit_test(a_mute_unit_does_not_cost_the_others),
        cmocka_unit_test(dead_units_are_replaced),
        cmocka_unit_test(output_logger_is_replaced),
        cmocka_unit_test(strangers_are_counted),
        cmocka_unit_test(bad_units_are_refused),
        cmocka_unit_test(without_memory_it_is_sent_later),
        cmocka_unit_test(test_whole_units_are_not_shared),
        cmocka_unit_test(test_nobody_gets_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
