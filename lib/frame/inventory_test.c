#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/frame/frame.h"
#include "lib/frame/inventory.h"

enum { POOL_MBUFS = 64, ITEMS = 40 };

static struct rte_mempool *pool;

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("inventory_test", POOL_MBUFS - 1, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

/* A test that fails half-way must not take the others' buffers; one that passes has none left. */
static int check_buffers(void **state)
{
    (void)state;
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

static struct rte_mbuf *new_part(void)
{
    struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_INVENTORY_PART, 1, 2);

    assert_non_null(m);
    return m;
}

static void fill_random(struct rill_rng *rng, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)rill_rng_u64(rng);
}

static struct rill_inventory_item random_flow(struct rill_rng *rng, uint32_t claims, uint8_t flags)
{
    struct rill_inventory_item item = {.kind = RILL_INVENTORY_FLOW};

    fill_random(rng, &item.flow, sizeof(item.flow));
    item.flow.kind = RILL_INVENTORY_FLOW;
    item.flow.claims = 0;
    item.flow.flags = flags;
    if (flags & RILL_INVENTORY_HEAD)
        fill_random(rng, &item.head, sizeof(item.head));
    for (uint32_t i = 0; i < claims; i++)
        rill_inventory_claim(&item, rill_rng_u64(rng), (uint32_t)rill_rng_u64(rng),
                             rill_rng_below(rng, 2) != 0);
    assert_int_equal(item.flow.claims, claims);
    return item;
}

static struct rill_inventory_item random_item(struct rill_rng *rng)
{
    struct rill_inventory_item item = {.kind = RILL_INVENTORY_ENDPOINT};

    if (rill_rng_below(rng, 2) != 0)
        return random_flow(rng, rill_rng_below(rng, RILL_INVENTORY_CLAIMS_MAX + 1),
                           (uint8_t)rill_rng_below(rng, 4));
    fill_random(rng, &item.endpoint, sizeof(item.endpoint));
    item.endpoint.kind = RILL_INVENTORY_ENDPOINT;
    return item;
}

static void assert_same(const struct rill_inventory_item *a, const struct rill_inventory_item *b)
{
    assert_int_equal(a->kind, b->kind);
    if (a->kind == RILL_INVENTORY_ENDPOINT) {
        assert_memory_equal(&a->endpoint, &b->endpoint, sizeof(a->endpoint));
        return;
    }
    assert_memory_equal(&a->flow, &b->flow, sizeof(a->flow));
    assert_memory_equal(&a->head, &b->head, sizeof(a->head));
    assert_memory_equal(a->claims, b->claims, a->flow.claims * sizeof(a->claims[0]));
}

/* --- items ------------------------------------------------------------------------------------ */

static void what_is_put_comes_back_in_order(void **state)
{
    static struct rill_inventory_item put[ITEMS];
    struct rill_inventory_item item;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int round = 0; round < 200; round++) {
        struct rte_mbuf *m = new_part();
        uint32_t at = 0, count = rill_rng_below(&rng, ITEMS + 1);

        for (uint32_t i = 0; i < count; i++) {
            put[i] = random_item(&rng);
            assert_int_equal(rill_inventory_put(m, pool, &put[i]), 0);
        }
        for (uint32_t i = 0; i < count; i++) {
            memset(&item, 0xee, sizeof(item)); /* what was there before does not show */
            assert_true(rill_inventory_next(m, &at, &item));
            assert_same(&put[i], &item);
        }
        assert_false(rill_inventory_next(m, &at, &item));
        assert_int_equal(at, rte_pktmbuf_pkt_len(m));
        rte_pktmbuf_free(m);
    }
}

static void without_a_buffer_nothing_is_put(void **state)
{
    struct rte_mbuf *m = new_part(), *held[POOL_MBUFS];
    struct rill_inventory_item item;
    struct rill_rng rng;
    uint32_t n = 0, before, items = 0, at = 0;

    (void)state;
    rill_rng_seed(&rng, 2);
    while ((held[n] = rte_pktmbuf_alloc(pool)) != NULL)
        n++;
    do {
        before = rte_pktmbuf_pkt_len(m);
        item = random_flow(&rng, 3, RILL_INVENTORY_HEAD);
        items++;
    } while (rill_inventory_put(m, pool, &item) == 0);
    assert_int_equal(rill_inventory_put(m, pool, &item), -ENOMEM);
    assert_int_equal(rte_pktmbuf_pkt_len(m), before);
    while (rill_inventory_next(m, &at, &item))
        items--;
    assert_int_equal(items, 1);
    assert_int_equal(at, before);
    while (n > 0)
        rte_pktmbuf_free(held[--n]);
    rte_pktmbuf_free(m);
}

/* --- what is no item -------------------------------------------------------------------------- */

/* The part ends in the middle of its last item, wherever: it is no item, and *offset says so. */
static void every_truncation_is_noticed(void **state)
{
    struct rill_inventory_item item;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 3);
    for (uint32_t round = 0; round < 20; round++) {
        struct rill_inventory_item first = random_item(&rng), second = random_item(&rng);
        struct rte_mbuf *m = new_part();
        uint32_t middle;

        assert_int_equal(rill_inventory_put(m, pool, &first), 0);
        middle = rte_pktmbuf_pkt_len(m);
        assert_int_equal(rill_inventory_put(m, pool, &second), 0);
        assert_int_equal(m->nb_segs, 1);
        while (rte_pktmbuf_pkt_len(m) > middle + 1) {
            uint32_t at = 0;

            assert_int_equal(rte_pktmbuf_trim(m, 1), 0);
            assert_true(rill_inventory_next(m, &at, &item));
            assert_int_equal(at, middle);
            assert_false(rill_inventory_next(m, &at, &item));
            assert_int_equal(at, middle);
        }
        rte_pktmbuf_free(m);
    }
}

static void refused(const void *bytes, uint32_t n)
{
    struct rill_inventory_item item;
    struct rte_mbuf *m = new_part();
    uint32_t at = 0;

    assert_int_equal(rill_body_append(m, pool, bytes, n), 0);
    assert_false(rill_inventory_next(m, &at, &item));
    assert_int_equal(at, 0);
    rte_pktmbuf_free(m);
}

static void what_is_no_item_is_refused(void **state)
{
    struct {
        struct rill_inventory_flow flow;
        uint8_t rest[4096];
    } many = {.flow = {.kind = RILL_INVENTORY_FLOW, .claims = RILL_INVENTORY_CLAIMS_MAX + 1}};

    (void)state;
    refused(&many, sizeof(many));
    many.flow.claims = 255;
    refused(&many, sizeof(many));
    many.flow.claims = 0;
    for (uint32_t kind = 0; kind <= UINT16_MAX; kind++) {
        many.flow.kind = (uint16_t)kind;
        if (kind != RILL_INVENTORY_FLOW && kind != RILL_INVENTORY_ENDPOINT)
            refused(&many, sizeof(many));
    }
}

/* Whatever the bytes are: what is taken is within bounds, and the reading ends. */
static void garbage_is_survived(void **state)
{
    uint32_t flows = 0, endpoints = 0;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 4);
    for (int round = 0; round < 20000; round++) {
        struct rill_inventory_item item;
        struct rte_mbuf *m = new_part();
        uint8_t bytes[1024];
        uint32_t n = rill_rng_below(&rng, sizeof(bytes) + 1), at = 0, last = 0;

        fill_random(&rng, bytes, n);
        if (n >= 4) {
            bytes[0] = (uint8_t)rill_rng_below(&rng, 3);
            bytes[1] = 0;
            bytes[2] = (uint8_t)rill_rng_below(&rng, 40);
        }
        assert_int_equal(rill_body_append(m, pool, bytes, n), 0);
        while (rill_inventory_next(m, &at, &item)) {
            assert_true(at > last && at <= n);
            last = at;
            flows += item.kind == RILL_INVENTORY_FLOW;
            endpoints += item.kind == RILL_INVENTORY_ENDPOINT;
            if (item.kind == RILL_INVENTORY_FLOW)
                assert_true(item.flow.claims <= RILL_INVENTORY_CLAIMS_MAX);
        }
        assert_int_equal(at, last);
        rte_pktmbuf_free(m);
    }
    assert_true(flows > 1000 && endpoints > 1000);
}

/* --- claims ----------------------------------------------------------------------------------- */

static const struct rill_inventory_claim *claim_of(const struct rill_inventory_item *item,
                                                   uint64_t term)
{
    for (uint8_t i = 0; i < item->flow.claims; i++)
        if (item->claims[i].term == term)
            return &item->claims[i];
    return NULL;
}

static void a_term_is_claimed_once(void **state)
{
    struct rill_inventory_item item = {.kind = RILL_INVENTORY_FLOW};

    (void)state;
    rill_inventory_claim(&item, 5, 50, false);
    rill_inventory_claim(&item, 7, 70, true);
    rill_inventory_claim(&item, 5, 50, false);
    assert_int_equal(item.flow.claims, 2);
    assert_int_equal(claim_of(&item, 5)->unit, 50);
    assert_int_equal(claim_of(&item, 5)->established, 0);
    rill_inventory_claim(&item, 5, 50, true); /* one says so */
    rill_inventory_claim(&item, 7, 70, false);
    assert_int_equal(item.flow.claims, 2);
    assert_int_equal(claim_of(&item, 5)->established, 1);
    assert_int_equal(claim_of(&item, 7)->established, 1);
    assert_int_equal(claim_of(&item, 7)->unit, 70);
}

/* The highest remain, in whatever order they come. */
static void the_lowest_claim_gives_way(void **state)
{
    enum { TERMS = 3 * RILL_INVENTORY_CLAIMS_MAX };
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 5);
    for (int round = 0; round < 200; round++) {
        struct rill_inventory_item item = {.kind = RILL_INVENTORY_FLOW};
        uint32_t terms[TERMS];

        for (uint32_t i = 0; i < TERMS; i++) {
            uint32_t other = rill_rng_below(&rng, i + 1);

            terms[i] = terms[other];
            terms[other] = i + 1;
        }
        for (uint32_t i = 0; i < TERMS; i++)
            rill_inventory_claim(&item, terms[i], terms[i] + 1000, terms[i] % 2 != 0);
        assert_int_equal(item.flow.claims, RILL_INVENTORY_CLAIMS_MAX);
        for (uint32_t term = TERMS - RILL_INVENTORY_CLAIMS_MAX + 1; term <= TERMS; term++) {
            assert_non_null(claim_of(&item, term));
            assert_int_equal(claim_of(&item, term)->unit, term + 1000);
            assert_int_equal(claim_of(&item, term)->established, term % 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_put_comes_back_in_order, check_buffers),
        cmocka_unit_test_teardown(without_a_buffer_nothing_is_put, check_buffers),
        cmocka_unit_test_teardown(every_truncation_is_noticed, check_buffers),
        cmocka_unit_test_teardown(what_is_no_item_is_refused, check_buffers),
        cmocka_unit_test_teardown(garbage_is_survived, check_buffers),
        cmocka_unit_test(a_term_is_claimed_once),
        cmocka_unit_test(the_lowest_claim_gives_way),
    };

    return cmocka_run_group_tests_name("inventory", tests, setup, teardown);
}
