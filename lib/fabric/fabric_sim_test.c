#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/id_map.h"
#include "lib/base/rng.h"
#include "lib/fabric/event_heap.h"
#include "lib/fabric/fabric_battery.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum {
    POOL_MBUFS = 8191,
    ROLES = 5,
    BURST = 32,
    FRAMES = 50000,
};

static struct rte_mempool *pool;
static struct rill_fabric *fabric;

/* --- the battery, four times --------------------------------------------------------------------
 */

static struct rill_fabric *create_plain(struct rte_mempool *p, struct rill_error *err)
{
    struct rill_fabric_sim_config config = {.seed = 1, .delay_ns = 5000, .pool = p};

    return rill_fabric_sim_create(&config, err);
}

static struct rill_fabric *create_jitter(struct rte_mempool *p, struct rill_error *err)
{
    struct rill_fabric_sim_config config = {
        .seed = 2, .delay_ns = 5000, .jitter_ns = 20000, .pool = p};

    return rill_fabric_sim_create(&config, err);
}

static struct rill_fabric *create_codec(struct rte_mempool *p, struct rill_error *err)
{
    struct rill_fabric_sim_config config = {
        .seed = 3, .delay_ns = 5000, .jitter_ns = 20000, .pool = p, .codec = true};

    return rill_fabric_sim_create(&config, err);
}

static struct rill_fabric *create_faulty(struct rte_mempool *p, struct rill_error *err)
{
    struct rill_fabric_sim_config config = {.seed = 4,
                                            .delay_ns = 5000,
                                            .jitter_ns = 20000,
                                            .loss = 0.05,
                                            .duplicate = 0.05,
                                            .reorder = 0.05,
                                            .reorder_ns = 50000,
                                            .pool = p,
                                            .codec = true};

    return rill_fabric_sim_create(&config, err);
}

static const struct rill_fabric_battery batteries[] = {
    {"sim: battery", create_plain, true, true, false, 1024, 0},
    {"sim with jitter: battery", create_jitter, true, true, false, 1024, 0},
    {"sim with codec: battery", create_codec, true, true, false, 512, 0},
    {"sim with faults: battery", create_faulty, false, false, false, 256, 0},
};

/* --- helpers ------------------------------------------------------------------------------------
 */

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("sim_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

static int no_leak(void **state)
{
    (void)state;
    if (fabric != NULL)
        fabric->ops->destroy(fabric);
    fabric = NULL;
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

static uint32_t unit(uint32_t i)
{
    return rill_role_id(RILL_ROLE_UNIT, i + 1);
}

static void create(struct rill_fabric_sim_config config, uint32_t roles)
{
    struct rill_error err;

    config.pool = pool;
    fabric = rill_fabric_sim_create(&config, &err);
    assert_non_null(fabric);
    for (uint32_t i = 0; i < roles; i++)
        assert_int_equal(fabric->ops->attach(fabric, unit(i), &err), 0);
}

static void send_one(uint32_t from, uint32_t to, uint64_t id, uint64_t now_ns)
{
    struct rte_mbuf *m = rill_fabric_test_frame(pool, unit(from), unit(to), id, id % 2 == 0);

    fabric->ops->send(fabric, unit(from), &m, 1, now_ns);
}

/* The id of the next frame to `to` that is there, 0 if none is. */
static uint64_t recv_one(uint32_t to, uint64_t now_ns)
{
    struct rte_mbuf *m;
    uint64_t id = 0;

    if (fabric->ops->recv(fabric, unit(to), &m, 1, now_ns) == 1) {
        id = rill_frame(m)->flow;
        rte_pktmbuf_free(m);
    }
    return id;
}

/* What a run of random traffic saw. */
struct run {
    uint64_t hash; /* of who got what when */
    uint64_t delivered, overtaken, latest_ns;
    uint64_t newest[ROLES][ROLES];
};

static void recv_all_at(struct run *run, uint64_t now_ns)
{
    for (uint32_t to = 0; to < ROLES; to++) {
        struct rte_mbuf *m;

        while (fabric->ops->recv(fabric, unit(to), &m, 1, now_ns) == 1) {
            uint32_t from = rill_role_number(rill_frame(m)->src) - 1;
            uint64_t id = rill_frame(m)->flow;

            run->hash = (run->hash ^ id) * 0x100000001b3u;
            run->hash = (run->hash ^ now_ns ^ to << 8 ^ from) * 0x100000001b3u;
            run->delivered++;
            run->overtaken += id < run->newest[from][to];
            run->newest[from][to] = RTE_MAX(run->newest[from][to], id);
            rte_pktmbuf_free(m);
        }
    }
    run->latest_ns = now_ns;
}

/* Sends frames first_id, ... at random; all that arrives meanwhile and after is received. */
static void traffic(struct run *run, uint64_t first_id, uint32_t frames, uint64_t start_ns,
                    bool drain)
{
    struct rill_rng rng;
    uint64_t now_ns = start_ns;

    rill_rng_seed(&rng, 77);
    for (uint32_t i = 0; i < frames; i++) {
        now_ns += rill_rng_below(&rng, 400);
        while (fabric->ops->next_ns(fabric) <= now_ns)
            recv_all_at(run, fabric->ops->next_ns(fabric));
        send_one(rill_rng_below(&rng, ROLES), rill_rng_below(&rng, ROLES), first_id + i, now_ns);
    }
    while (drain && fabric->ops->next_ns(fabric) != UINT64_MAX)
        recv_all_at(run, fabric->ops->next_ns(fabric));
}

static const struct rill_fabric_sim_config faulty = {
    .seed = 5,
    .delay_ns = 10000,
    .jitter_ns = 5000,
    .loss = 0.03,
    .duplicate = 0.02,
    .reorder = 0.04,
    .reorder_ns = 100000,
};

/* n trials of probability p came out as `hits`: within six standard deviations. */
static void assert_rate(uint64_t hits, uint64_t n, double p)
{
    assert_true(fabs((double)hits - (double)n * p) <= 6 * sqrt((double)n * p * (1 - p)));
}

/* --- everything from the seed -------------------------------------------------------------------
 */

static uint64_t hash_of(struct rill_fabric_sim_config config)
{
    struct run run = {0};

    create(config, ROLES);
    traffic(&run, 1, FRAMES / 5, 1000, true);
    no_leak(NULL);
    return run.hash;
}

static void same_seed_same_deliveries(void **state)
{
    struct rill_fabric_sim_config config = faulty;
    uint64_t first;

    (void)state;
    first = hash_of(config);
    assert_true(hash_of(config) == first);
    config.codec = true; /* makes no difference to who gets what when */
    assert_true(hash_of(config) == first);
    config.seed++;
    assert_true(hash_of(config) != first);
}

/* --- faults and their counts --------------------------------------------------------------------
 */

static void rates_are_as_configured(void **state)
{
    const struct rill_fabric_counters *c;
    struct run run = {0};

    (void)state;
    create(faulty, ROLES);
    c = &fabric->counters;
    traffic(&run, 1, FRAMES, 1000, true);
    assert_int_equal(c->sent, FRAMES);
    assert_rate(c->lost, FRAMES, faulty.loss);
    assert_rate(c->lost_packets, c->lost, 0.5);
    assert_rate(c->doubled, FRAMES - c->lost, faulty.duplicate);
    assert_rate(c->doubled_packets, c->doubled, 0.5);
    assert_int_equal(c->delivered, run.delivered);
    assert_int_equal(c->full + c->no_route, 0);
    assert_int_equal(c->sent + c->doubled, c->delivered + c->lost);
    /* About as many frames as are put off are overtaken, since others follow within the time. */
    assert_true(run.overtaken > 0);
    assert_true((double)run.overtaken < 40 * faulty.reorder * FRAMES);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 0);
}

/* At any moment, all that was sent is somewhere. */
static void counts_balance_at_any_moment(void **state)
{
    const struct rill_fabric_counters *c;
    struct run run = {0};
    uint64_t in_flight, packets;

    (void)state;
    create(faulty, ROLES);
    c = &fabric->counters;
    for (uint32_t part = 0; part < 50; part++) {
        traffic(&run, 1 + part * 200, 200, RTE_MAX(run.latest_ns, 1000u), false);
        if (part % 7 == 3) {
            struct rill_error err;

            fabric->ops->detach(fabric, unit(part % ROLES));
            send_one((part + 1) % ROLES, part % ROLES, 1, run.latest_ns);
            assert_int_equal(fabric->ops->attach(fabric, unit(part % ROLES), &err), 0);
        }
    }
    in_flight = c->sent + c->doubled - c->delivered - c->lost - c->no_route - c->full;
    packets = fabric->ops->packets_in_flight(fabric);
    assert_true(in_flight > 0 && c->no_route > 0);
    while (fabric->ops->next_ns(fabric) != UINT64_MAX) {
        uint64_t now_ns = fabric->ops->next_ns(fabric);

        for (uint32_t to = 0; to < ROLES; to++) {
            uint64_t id;

            while ((id = recv_one(to, now_ns)) != 0) {
                in_flight--;
                packets -= id % 2 == 0;
                assert_int_equal(fabric->ops->packets_in_flight(fabric), packets);
            }
        }
    }
    assert_int_equal(in_flight, 0);
    assert_int_equal(packets, 0);
}

static void faults_off_is_lossless_and_in_order(void **state)
{
    const struct rill_fabric_sim_config calm = {.delay_ns = 1}; /* the delay is not a fault */
    struct rill_fabric_counters before;
    struct run run = {0}, after = {0};

    (void)state;
    create(faulty, ROLES);
    traffic(&run, 1, 2000, 1000, true);
    rill_fabric_sim_faults(fabric, &calm);
    before = fabric->counters;
    traffic(&after, 10000, 5000, run.latest_ns, true);
    assert_int_equal(after.delivered, 5000);
    assert_int_equal(after.overtaken, 0);
    assert_int_equal(fabric->counters.lost, before.lost);
    assert_int_equal(fabric->counters.doubled, before.doubled);
    send_one(0, 1, 1, after.latest_ns);
    assert_int_equal(fabric->ops->next_ns(fabric), after.latest_ns + faulty.delay_ns);
    rill_fabric_sim_faults(fabric, &faulty);
    traffic(&after, 20000, 5000, after.latest_ns, true);
    assert_true(fabric->counters.lost > before.lost);
    assert_true(after.overtaken > 0);
}

static void jitter_never_reorders(void **state)
{
    const struct rill_fabric_sim_config config = {
        .seed = 8, .delay_ns = 10, .jitter_ns = 1000000, .duplicate = 0.1};
    struct run run = {0};

    (void)state;
    create(config, ROLES);
    traffic(&run, 1, FRAMES, 1000, true);
    assert_int_equal(run.overtaken, 0);
    assert_int_equal(run.delivered, FRAMES + fabric->counters.doubled);
}

static void certain_faults(void **state)
{
    struct rill_fabric_sim_config config = {.seed = 9, .loss = 1};

    (void)state;
    create(config, 2);
    for (uint64_t id = 1; id <= 100; id++)
        send_one(0, 1, id, 0);
    assert_int_equal(fabric->counters.lost, 100);
    assert_int_equal(fabric->counters.lost_packets, 50);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
    config.loss = 0;
    config.duplicate = 1;
    rill_fabric_sim_faults(fabric, &config);
    for (uint64_t id = 1; id <= 100; id++)
        send_one(0, 1, id, 0);
    for (uint64_t id = 1; id <= 100; id++) {
        assert_int_equal(recv_one(1, 0), id);
        assert_int_equal(recv_one(1, 0), id);
    }
    assert_int_equal(fabric->counters.doubled, 100);
    assert_int_equal(fabric->counters.doubled_packets, 50);
}

/* --- time ---------------------------------------------------------------------------------------
 */

static void frames_arrive_when_they_are_due(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 10, .delay_ns = 700};

    (void)state;
    create(config, 3);
    send_one(0, 1, 1, 1000);
    send_one(0, 2, 2, 1100);
    assert_int_equal(fabric->ops->next_ns(fabric), 1700);
    assert_int_equal(recv_one(1, 1699), 0);
    assert_int_equal(recv_one(2, 1700), 0);
    assert_int_equal(recv_one(0, 9999), 0);
    assert_int_equal(recv_one(1, 1700), 1);
    assert_int_equal(fabric->ops->next_ns(fabric), 1800);
    assert_int_equal(recv_one(2, 5000), 2);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
}

/* Delays are within their bounds and reach both ends of them. */
static void jitter_is_uniform(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 11, .delay_ns = 100, .jitter_ns = 3};
    uint32_t seen[4] = {0};

    (void)state;
    create(config, 2);
    for (uint64_t i = 0; i < 4000; i++) {
        uint64_t now_ns = i * 1000, next_ns;

        send_one(0, 1, 1, now_ns);
        next_ns = fabric->ops->next_ns(fabric);
        assert_true(next_ns >= now_ns + 100 && next_ns <= now_ns + 103);
        seen[next_ns - now_ns - 100]++;
        assert_int_equal(recv_one(1, next_ns), 1);
    }
    for (int i = 0; i < 4; i++)
        assert_rate(seen[i], 4000, 0.25);
}

static void a_cut_link_loses_all_in_one_direction(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 21, .delay_ns = 100};

    (void)state;
    create(config, 3);
    assert_int_equal(rill_fabric_sim_cut(fabric, unit(0), unit(1), true), 0);
    send_one(0, 1, 2, 0);
    send_one(1, 0, 3, 0);
    send_one(0, 2, 4, 0);
    assert_int_equal(recv_one(1, 1000), 0);
    assert_int_equal(recv_one(0, 1000), 3);
    assert_int_equal(recv_one(2, 1000), 4);
    assert_int_equal(fabric->counters.cut, 1);
    assert_int_equal(fabric->counters.lost, 1);
    assert_int_equal(fabric->counters.lost_packets, 1);
    assert_int_equal(rill_fabric_sim_cut(fabric, unit(0), unit(1), false), 0);
    send_one(0, 1, 5, 1000);
    assert_int_equal(recv_one(1, 2000), 5);
}

static void a_role_is_cut_from_all(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 22, .delay_ns = 100};

    (void)state;
    create(config, 3);
    assert_int_equal(rill_fabric_sim_cut(fabric, 0, unit(1), true), 0);
    send_one(0, 1, 1, 0);
    send_one(2, 1, 2, 0);
    send_one(1, 2, 3, 0);
    assert_int_equal(recv_one(1, 1000), 0);
    assert_int_equal(recv_one(2, 1000), 3);
}

static void a_full_ring_refuses_and_counts(void **state)
{
    struct rill_fabric_sim_config config = {.seed = 23, .delay_ns = 100, .ring_frames = 2};

    (void)state;
    create(config, 2);
    for (uint64_t i = 1; i <= 4; i++)
        send_one(0, 1, i, 0);
    assert_int_equal(fabric->counters.full, 2);
    assert_int_equal(fabric->counters.full_packets, 1);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 1);
    assert_int_equal(recv_one(1, 1000), 1);
    assert_int_equal(recv_one(1, 1000), 2);
    assert_int_equal(recv_one(1, 1000), 0);
    config.ring_frames = 0;
    rill_fabric_sim_faults(fabric, &config);
    for (uint64_t i = 1; i <= 4; i++)
        send_one(0, 1, i, 1000);
    assert_int_equal(fabric->counters.full, 2);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(recv_one(1, 2000), i);
}

static void a_successor_gets_what_is_sent_to_the_address(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 24, .delay_ns = 100};

    (void)state;
    create(config, 3);
    assert_int_equal(rill_fabric_sim_reuse(fabric, unit(1), unit(2)), 0);
    send_one(0, 1, 1, 0); /* that is still there itself */
    assert_int_equal(recv_one(1, 1000), 1);
    fabric->ops->detach(fabric, unit(1));
    send_one(0, 1, 2, 1000);
    assert_int_equal(recv_one(2, 2000), 2);
}

/* Of different links, what is due first comes first; of one time, what was sent first. */
static void oldest_first(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 12, .delay_ns = 100};

    (void)state;
    create(config, 4);
    send_one(0, 3, 1, 50);
    send_one(1, 3, 2, 20);
    send_one(2, 3, 3, 50);
    send_one(1, 3, 4, 50);
    assert_int_equal(fabric->ops->next_ns(fabric), 120);
    assert_int_equal(recv_one(3, 1000), 2);
    assert_int_equal(recv_one(3, 1000), 1);
    assert_int_equal(recv_one(3, 1000), 3);
    assert_int_equal(recv_one(3, 1000), 4);
}

/* What arrival_ns points at, against the frames that are due at index + 1,000. */
static void check_arrival(const uint64_t *arrival_ns, uint32_t at, const uint32_t *to,
                          uint64_t first, uint64_t end)
{
    while (first < end && to[first] != at)
        first++;
    assert_ptr_equal(fabric->ops->arrival_ns(fabric, unit(at)), arrival_ns);
    assert_int_equal(*arrival_ns, first == end ? UINT64_MAX : first + 1000);
}

/* next_ns() and arrival_ns() against the least of what is on its way, while roles receive, come and
 * go. */
static void next_ns_is_the_earliest(void **state)
{
    enum { MANY = 30, SENT = 20000 };
    const struct rill_fabric_sim_config config = {.seed = 20, .delay_ns = 1000};
    static uint32_t to[SENT]; /* of the frame that is due at its index + 1,000; MANY: gone */
    const uint64_t *arrivals[MANY];
    struct rill_rng rng;
    struct rill_error err;
    uint64_t first = 0;

    (void)state;
    create(config, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        arrivals[i] = fabric->ops->arrival_ns(fabric, unit(i));
    rill_rng_seed(&rng, 21);
    for (uint64_t now_ns = 0; now_ns < SENT; now_ns++) {
        uint32_t at = rill_rng_below(&rng, MANY), id;

        to[now_ns] = rill_rng_below(&rng, MANY);
        send_one(rill_rng_below(&rng, MANY), to[now_ns], now_ns + 1, now_ns);
        if (rill_rng_below(&rng, 50) == 0) {
            fabric->ops->detach(fabric, unit(at));
            assert_null(fabric->ops->arrival_ns(fabric, unit(at)));
            assert_int_equal(fabric->ops->attach(fabric, unit(at), &err), 0);
            arrivals[at] = fabric->ops->arrival_ns(fabric, unit(at));
            for (uint64_t i = first; i <= now_ns; i++)
                to[i] = to[i] == at ? MANY : to[i];
        }
        at = rill_rng_below(&rng, MANY);
        while ((id = (uint32_t)recv_one(at, now_ns)) != 0) {
            assert_int_equal(to[id - 1], at);
            to[id - 1] = MANY;
        }
        while (first <= now_ns && to[first] == MANY)
            first++;
        assert_int_equal(fabric->ops->next_ns(fabric), first > now_ns ? UINT64_MAX : first + 1000);
        check_arrival(arrivals[at], at, to, first, now_ns + 1);
    }
}

static void who_attaches_in_time_gets_it(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 13, .delay_ns = 100};
    struct rill_error err;

    (void)state;
    create(config, 1);
    send_one(0, 1, 2, 0);
    send_one(0, 1, 4, 1);
    send_one(0, 2, 6, 1);
    assert_int_equal(fabric->ops->next_ns(fabric), 100);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 3);
    assert_int_equal(recv_one(0, 100), 0); /* the first has come to nobody */
    assert_int_equal(fabric->counters.no_route, 1);
    assert_int_equal(fabric->counters.no_route_packets, 1);
    assert_int_equal(fabric->ops->next_ns(fabric), 101);
    assert_int_equal(fabric->ops->attach(fabric, unit(1), &err), 0);
    assert_int_equal(fabric->ops->next_ns(fabric), 101);
    assert_int_equal(recv_one(1, 101), 4);
    assert_int_equal(fabric->counters.no_route, 2);
    assert_int_equal(fabric->ops->packets_in_flight(fabric), 0);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
}

/* --- copies and the codec -----------------------------------------------------------------------
 */

static void duplicates_share_nothing(void **state)
{
    static const uint32_t sizes[] = {0, 1, 2048, 2049, 60000};
    struct rill_fabric_sim_config config = {.seed = 14, .duplicate = 1};

    (void)state;
    for (unsigned i = 0; i < 2 * RTE_DIM(sizes); i++) {
        uint32_t bytes = sizes[i / 2];
        struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_FULL, unit(0), unit(1)), *got[3];

        config.codec = i % 2;
        create(config, 2);
        rill_fabric_test_fill(m, pool, bytes, i);
        rill_frame(m)->granted_term = 99;
        fabric->ops->send(fabric, unit(0), &m, 1, 0);
        assert_int_equal(fabric->ops->recv(fabric, unit(1), got, 3, 0), 2);
        assert_ptr_not_equal(got[0], got[1]);
        for (struct rte_mbuf *part = got[0]; part != NULL; part = part->next) {
            memset(rte_pktmbuf_mtod(part, void *), 0xff, part->data_len);
            memset(rill_frame(part), 0xff, sizeof(struct rill_frame));
            assert_int_equal(rte_mbuf_refcnt_read(part), 1);
        }
        rte_pktmbuf_free(got[0]);
        rill_fabric_test_check(got[1], bytes, i);
        assert_int_equal(rill_frame(got[1])->granted_term, 99);
        assert_int_equal(rill_frame(got[1])->type, RILL_FRAME_FULL);
        rte_pktmbuf_free(got[1]);
        assert_int_equal(no_leak(NULL), 0);
    }
}

/* An inline state rides along into the copy. */
static void duplicates_have_the_state(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 15, .duplicate = 1};
    struct rte_mbuf *m, *got[2];

    (void)state;
    create(config, 2);
    m = rill_frame_new(pool, RILL_FRAME_CHANGE, unit(0), unit(1));
    rill_frame(m)->state_bytes = RILL_INLINE_STATE;
    memset(rill_frame(m)->state, 0x77, RILL_INLINE_STATE);
    fabric->ops->send(fabric, unit(0), &m, 1, 0);
    assert_int_equal(fabric->ops->recv(fabric, unit(1), got, 2, 0), 2);
    assert_memory_equal(rill_frame(got[0])->state, rill_frame(got[1])->state, RILL_INLINE_STATE);
    assert_int_equal(rill_frame(got[1])->state[RILL_INLINE_STATE - 1], 0x77);
    rte_pktmbuf_free(got[0]);
    rte_pktmbuf_free(got[1]);
}

/* What no wire could carry is counted as `full`, and freed. */
static void too_long_for_a_wire(void **state)
{
    const struct rill_fabric_sim_config config = {.seed = 16, .codec = true};
    struct rte_mbuf *m;

    (void)state;
    create(config, 2);
    m = rill_fabric_test_frame(pool, unit(0), unit(1), 1, false);
    rill_frame(m)->type = RILL_FRAME_PASS;
    rill_frame(m)->flags = RILL_FLAG_PACKET;
    rill_frame(m)->wire_bytes = 65535;
    rill_fabric_test_fill(m, pool, 65535, 1);
    fabric->ops->send(fabric, unit(0), &m, 1, 0);
    assert_int_equal(fabric->counters.full, 1);
    assert_int_equal(fabric->counters.full_packets, 1);
    assert_int_equal(fabric->ops->next_ns(fabric), UINT64_MAX);
}

static void empty_pool_is_survived(void **state)
{
    static struct rte_mbuf *held[POOL_MBUFS];
    const struct rill_fabric_sim_config config = {.seed = 17, .duplicate = 1};
    struct rill_fabric_sim_config codec = {.seed = 17, .codec = true};
    struct rte_mbuf *m;

    (void)state;
    for (int round = 0; round < 2; round++) {
        unsigned n = 0;

        create(round == 0 ? config : codec, 2);
        m = rill_fabric_test_frame(pool, unit(0), unit(1), 2, true);
        m->data_off = 0;
        while ((held[n] = rte_pktmbuf_alloc(pool)) != NULL)
            n++;
        fabric->ops->send(fabric, unit(0), &m, 1, 0);
        while (n > 0)
            rte_pktmbuf_free(held[--n]);
        assert_int_equal(fabric->counters.doubled, 0);
        assert_int_equal(fabric->counters.full_packets, round);
        assert_int_equal(recv_one(1, 0), round == 0 ? 2 : 0);
        assert_int_equal(no_leak(NULL), 0);
    }
}

/* --- bad configurations -------------------------------------------------------------------------
 */

static void refused(struct rill_fabric_sim_config config)
{
    struct rill_error err = {""};

    assert_null(rill_fabric_sim_create(&config, &err));
    assert_int_not_equal(err.text[0], 0);
    assert_null(rill_fabric_sim_create(&config, NULL));
}

static void bad_configurations_are_refused(void **state)
{
    (void)state;
    refused((struct rill_fabric_sim_config){.loss = -0.1});
    refused((struct rill_fabric_sim_config){.loss = 1.1});
    refused((struct rill_fabric_sim_config){.reorder = NAN});
    refused((struct rill_fabric_sim_config){.duplicate = 2, .pool = pool});
    refused((struct rill_fabric_sim_config){.duplicate = 0.1});
    refused((struct rill_fabric_sim_config){.codec = true});
    refused((struct rill_fabric_sim_config){.delay_ns = UINT64_MAX});
    refused((struct rill_fabric_sim_config){.jitter_ns = UINT64_MAX});
    refused((struct rill_fabric_sim_config){.reorder_ns = UINT64_MAX});
}

/* --- what it is built of ------------------------------------------------------------------------
 */

static void event_heap_sorts(void **state)
{
    struct rill_event_heap heap = {0};
    struct rill_event last = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 18);
    assert_true(rill_event_heap_next_ns(&heap) == UINT64_MAX);
    for (uint64_t i = 1; i <= 20000; i++) {
        rill_event_heap_push(&heap, (struct rill_event){rill_rng_below(&rng, 1000), i, NULL});
        if (rill_rng_below(&rng, 3) == 0)
            rill_event_heap_pop(&heap);
    }
    while (heap.count > 0) {
        uint64_t next_ns = rill_event_heap_next_ns(&heap);
        struct rill_event event = rill_event_heap_pop(&heap);

        assert_true(event.deliver_ns == next_ns);
        assert_true(last.number == 0 || rill_event_before(&last, &event));
        last = event;
    }
    free(heap.events);
}

/* Against an array, with ids that fall into the same places and come and go. */
static void id_map_finds_what_is_in(void **state)
{
    enum { IDS = 600 };
    uint64_t truth[IDS] = {0};
    struct rill_id_map map = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 19);
    assert_null(rill_id_map_find(&map, 1));
    rill_id_map_remove(&map, 1);
    for (uint64_t i = 1; i < 200000; i++) {
        uint32_t at = rill_rng_below(&rng, IDS);
        uint32_t id = at % 2 ? at + 1 : (at + 1) << 20;
        uint64_t *value = rill_id_map_find(&map, id);

        assert_int_equal(value != NULL, truth[at] != 0);
        if (value != NULL) {
            assert_int_equal(*value, truth[at]);
            rill_id_map_remove(&map, id);
            truth[at] = 0;
        } else if (rill_rng_below(&rng, 2) == 0) {
            truth[at] = i;
            assert_int_equal(*rill_id_map_put(&map, id, i), i);
        }
    }
    assert_null(rill_id_map_find(&map, 0));
    rill_id_map_fini(&map);
}

#define TEST(function) cmocka_unit_test_teardown(function, no_leak)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(same_seed_same_deliveries),
        TEST(rates_are_as_configured),
        TEST(counts_balance_at_any_moment),
        TEST(faults_off_is_lossless_and_in_order),
        TEST(jitter_never_reorders),
        TEST(certain_faults),
        TEST(frames_arrive_when_they_are_due),
        TEST(jitter_is_uniform),
        TEST(a_cut_link_loses_all_in_one_direction),
        TEST(a_role_is_cut_from_all),
        TEST(a_full_ring_refuses_and_counts),
        TEST(a_successor_gets_what_is_sent_to_the_address),
        TEST(oldest_first),
        TEST(next_ns_is_the_earliest),
        TEST(who_attaches_in_time_gets_it),
        TEST(duplicates_share_nothing),
        TEST(duplicates_have_the_state),
        TEST(too_long_for_a_wire),
        TEST(empty_pool_is_survived),
        TEST(bad_configurations_are_refused),
        TEST(event_heap_sorts),
        TEST(id_map_finds_what_is_in),
    };
    int failed = 0;

    for (unsigned i = 0; i < RTE_DIM(batteries); i++)
        failed += rill_fabric_battery_run(&batteries[i]);
    return failed + cmocka_run_group_tests_name("sim", tests, setup, teardown);
}
