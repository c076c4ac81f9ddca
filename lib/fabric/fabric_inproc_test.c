#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/fabric/fabric_battery.h"
#include "lib/frame/frame.h"

enum {
    RING_FRAMES = 1024,
    POOL_MBUFS = 4095,
    THREADS = 4,
    STOCK = 300,     /* frames that a thread has at first; together fewer than a ring holds */
    FRAMES = 100000, /* that a thread sends */
    BURST = 32,
};

static struct rte_mempool *pool;

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("inproc_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

static struct rill_fabric *create(struct rte_mempool *unused, struct rill_error *err)
{
    (void)unused;
    return rill_fabric_inproc_create(RING_FRAMES, err);
}

static uint32_t unit(uint32_t i)
{
    return rill_role_id(RILL_ROLE_UNIT, i + 1);
}

static struct rill_fabric *create_with(uint32_t ring_frames, uint32_t roles)
{
    struct rill_error err;
    struct rill_fabric *fabric = rill_fabric_inproc_create(ring_frames, &err);

    assert_non_null(fabric);
    for (uint32_t i = 0; i < roles; i++)
        assert_int_equal(fabric->ops->attach(fabric, unit(i), &err), 0);
    return fabric;
}

/* --- one thread per role ---------------------------------------------------------------------- */

/* Frames go round: what a thread receives is what it sends next, so that buffers pass from thread
 * to thread through the fabric only. `flow` is the link's sequence number. */
struct worker {
    struct rill_fabric *fabric;
    uint32_t me, workers;
    struct rte_mbuf *stock[THREADS * STOCK];
    uint32_t stocked;
    uint64_t sent;
    uint64_t sent_to[THREADS], received_from[THREADS];
    uint64_t packets;
    uint64_t wrong; /* not in order, or not for us */
    struct rill_rng rng;
    uint64_t *done; /* how many workers have sent all of theirs */
};

static void worker_send(struct worker *w)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n = RTE_MIN(w->stocked, (uint32_t)BURST);

    n = (uint32_t)RTE_MIN((uint64_t)n, FRAMES - w->sent);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = rill_rng_below(&w->rng, w->workers);
        struct rill_frame *f;

        frames[i] = w->stock[--w->stocked];
        f = rill_frame(frames[i]);
        rill_frame_reset(f);
        f->src = unit(w->me);
        f->dst = unit(to);
        f->flow = ++w->sent_to[to];
        f->flags = f->flow % 2 ? RILL_FLAG_PACKET : 0;
    }
    w->fabric->ops->send(w->fabric, unit(w->me), frames, n, 0);
    w->sent += n;
    if (n > 0 && w->sent == FRAMES)
        __atomic_fetch_add(w->done, 1, __ATOMIC_RELEASE);
}

static uint32_t worker_recv(struct worker *w)
{
    uint32_t room = RTE_MIN(THREADS * STOCK - w->stocked, (uint32_t)BURST);
    uint32_t n = w->fabric->ops->recv(w->fabric, unit(w->me), w->stock + w->stocked, room, 0);

    for (uint32_t i = 0; i < n; i++) {
        const struct rill_frame *f = rill_frame(w->stock[w->stocked + i]);
        uint32_t from = rill_role_number(f->src) - 1;

        if (f->dst != unit(w->me) || from >= w->workers || f->flow != w->received_from[from] + 1) {
            w->wrong++;
            continue;
        }
        w->received_from[from]++;
        w->packets += f->flow % 2;
    }
    w->stocked += n;
    return n;
}

static void *work(void *arg)
{
    struct worker *w = arg;

    while (__atomic_load_n(w->done, __ATOMIC_ACQUIRE) < w->workers) {
        worker_send(w);
        if (worker_recv(w) == 0)
            sched_yield();
    }
    while (worker_recv(w) > 0)
        ;
    return NULL;
}

static void exchange(uint32_t workers)
{
    static struct worker all[THREADS];
    struct rill_fabric *fabric = create_with(THREADS * STOCK > 1023 ? 2048 : 1024, workers);
    pthread_t threads[THREADS];
    uint64_t done = 0;

    memset(all, 0, sizeof(all));
    for (uint32_t i = 0; i < workers; i++) {
        struct worker *w = &all[i];

        *w = (struct worker){.fabric = fabric, .me = i, .workers = workers, .done = &done};
        rill_rng_seed(&w->rng, i);
        for (; w->stocked < STOCK; w->stocked++)
            w->stock[w->stocked] = rill_frame_new(pool, RILL_FRAME_SYNC, 0, 0);
    }
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &all[i]), 0);
    for (uint32_t i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < workers; i++) {
        assert_int_equal(all[i].sent, FRAMES);
        assert_int_equal(all[i].wrong, 0);
        for (uint32_t k = 0; k < workers; k++)
            assert_int_equal(all[i].sent_to[k], all[k].received_from[i]);
        while (all[i].stocked > 0)
            rte_pktmbuf_free(all[i].stock[--all[i].stocked]);
    }
    assert_int_equal(fabric->counters.sent, workers * FRAMES);
    assert_int_equal(fabric->counters.delivered, workers * FRAMES);
    assert_int_equal(fabric->counters.full + fabric->counters.no_route, 0);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 0);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
    fabric->ops->destroy(fabric);
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static void two_threads(void **state)
{
    (void)state;
    exchange(2);
}

static void four_threads(void **state)
{
    (void)state;
    exchange(4);
}

/* --- fairness -----------------------------------------------------------------------------------
 */

static void send_n(struct rill_fabric *fabric, uint32_t from, uint32_t to, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++) {
        struct rte_mbuf *m = rill_fabric_test_frame(pool, unit(from), unit(to), i, false);

        fabric->ops->send(fabric, unit(from), &m, 1, 0);
    }
}

/* A sender that floods does not keep the others waiting: each that has something gets its turn
 * within as many receives as there are links, whatever their size. */
static void a_flood_starves_nobody(void **state)
{
    enum { ROLES = 20 };
    static const uint32_t sizes[] = {1, 2, 7, 32, 64};

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
        struct rill_fabric *fabric = create_with(RING_FRAMES, ROLES);
        uint32_t others = 0;

        send_n(fabric, 3, 0, RING_FRAMES - 1);
        for (uint32_t from = 4; from < ROLES; from++)
            send_n(fabric, from, 0, 1);
        for (uint32_t turn = 0; turn <= ROLES - 4; turn++) {
            struct rte_mbuf *frames[64];
            uint32_t n = fabric->ops->recv(fabric, unit(0), frames, sizes[i], 0);

            for (uint32_t k = 0; k < n; k++) {
                others += rill_frame(frames[k])->src != unit(3);
                rte_pktmbuf_free(frames[k]);
            }
        }
        assert_int_equal(others, ROLES - 4);
        fabric->ops->destroy(fabric);
    }
}

/* Two floods share a receiver evenly. */
static void two_floods_share_evenly(void **state)
{
    struct rill_fabric *fabric = create_with(RING_FRAMES, 20);
    uint32_t from[20] = {0};

    (void)state;
    send_n(fabric, 3, 0, RING_FRAMES - 1);
    send_n(fabric, 17, 0, RING_FRAMES - 1);
    for (uint32_t turn = 0; turn < 20; turn++) {
        struct rte_mbuf *frames[BURST];
        uint32_t n = fabric->ops->recv(fabric, unit(0), frames, BURST, 0);

        for (uint32_t k = 0; k < n; k++) {
            from[rill_role_number(rill_frame(frames[k])->src) - 1]++;
            rte_pktmbuf_free(frames[k]);
        }
    }
    assert_int_equal(from[3], 10 * BURST);
    assert_int_equal(from[17], 10 * BURST);
    fabric->ops->destroy(fabric);
}

/* --- smaller promises ----------------------------------------------------------------------------
 */

static void bad_sizes_are_refused(void **state)
{
    static const uint32_t bad[] = {0, 1, 3, 1000, UINT32_MAX, UINT32_C(1) << 31};
    struct rill_error err;

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(bad); i++) {
        err.text[0] = 0;
        assert_null(rill_fabric_inproc_create(bad[i], &err));
        assert_int_not_equal(err.text[0], 0);
    }
    assert_null(rill_fabric_inproc_create(0, NULL));
}

static void delivery_is_immediate(void **state)
{
    struct rill_fabric *fabric = create_with(2, 2);
    struct rte_mbuf *m;

    (void)state;
    send_n(fabric, 0, 1, 1);
    assert_int_equal(fabric->ops->next_ns(fabric), 0);
    send_n(fabric, 0, 1, 1); /* a ring of two holds one */
    assert_int_equal(fabric->counters.full, 1);
    assert_int_equal(fabric->ops->recv(fabric, unit(1), &m, 1, 0), 1);
    rte_pktmbuf_free(m);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
    fabric->ops->destroy(fabric);
}

int main(void)
{
    static const struct rill_fabric_battery battery = {
        .name = "inproc: battery",
        .create = create,
        .lossless = true,
        .fifo = true,
        .bounded = true,
        .link_holds = RING_FRAMES - 1,
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads),
        cmocka_unit_test(four_threads),
        cmocka_unit_test(a_flood_starves_nobody),
        cmocka_unit_test(two_floods_share_evenly),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(delivery_is_immediate),
    };
    int failed = rill_fabric_battery_run(&battery);

    return failed + cmocka_run_group_tests_name("inproc", tests, setup, teardown);
}
