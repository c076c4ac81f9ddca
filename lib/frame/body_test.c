#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum { POOL_MBUFS = 64, ROUNDS = 500 };

static struct rte_mempool *pool;

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("body_test", POOL_MBUFS - 1, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

static struct rte_mbuf *new_message(void)
{
    struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_FULL, 1, 2);

    assert_non_null(m);
    return m;
}

static void fill_random(struct rill_rng *rng, uint8_t *bytes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)rill_rng_u64(rng);
}

/* Whatever is appended, in pieces of any size, is read back, in pieces of any size. */
static void appended_is_read_back(void **state)
{
    static uint8_t wrote[RILL_BODY_MAX], read[RILL_BODY_MAX];
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    fill_random(&rng, wrote, sizeof(wrote));
    for (int round = 0; round < ROUNDS; round++) {
        struct rte_mbuf *m = new_message();
        uint32_t limit = 1u << rill_rng_below(&rng, 15);
        uint32_t length = 0;

        for (int piece = 0; piece < 12; piece++) {
            uint32_t n = rill_rng_below(&rng, limit + 1);

            if (n > RILL_BODY_MAX - length)
                break;
            assert_int_equal(rill_body_append(m, pool, wrote + length, n), 0);
            length += n;
            assert_int_equal(m->pkt_len, length);
        }
        rte_mbuf_sanity_check(m, 1);
        for (int piece = 0; piece < 12; piece++) {
            uint32_t offset = rill_rng_below(&rng, length + 1);
            uint32_t n = rill_rng_below(&rng, length - offset + 1);

            assert_int_equal(rill_body_read(m, offset, read, n), 0);
            assert_memory_equal(read, wrote + offset, n);
        }
        assert_int_equal(rill_body_read(m, length, read, 0), 0);
        assert_int_equal(rill_body_read(m, length, read, 1), -EINVAL);
        assert_int_equal(rill_body_read(m, 0, read, length + 1), -EINVAL);
        assert_int_equal(rill_body_read(m, 1, read, UINT32_MAX), -EINVAL);
        assert_int_equal(rill_body_read(m, UINT32_MAX, read, 1), -EINVAL);
        rte_pktmbuf_free(m);
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static void largest_body_fits_and_no_more(void **state)
{
    static uint8_t body[RILL_BODY_MAX + 1];
    struct rte_mbuf *m = new_message();

    (void)state;
    assert_int_equal(rill_body_append(m, pool, body, RILL_BODY_MAX + 1), -EMSGSIZE);
    assert_int_equal(m->pkt_len, 0);
    assert_int_equal(rill_body_append(m, pool, body, UINT32_MAX), -EMSGSIZE);
    assert_int_equal(rill_body_append(m, pool, body, RILL_BODY_MAX), 0);
    assert_int_equal(m->pkt_len, RILL_BODY_MAX);
    assert_int_equal(rill_body_append(m, pool, body, 1), -EMSGSIZE);
    assert_int_equal(m->pkt_len, RILL_BODY_MAX);
    rte_pktmbuf_free(m);
}

/* With every number of buffers that does not do, the message stays as it was and none is lost. */
static void empty_pool_leaves_message_alone(void **state)
{
    static uint8_t body[10000];
    struct rte_mbuf *held[POOL_MBUFS];
    struct rte_mbuf *m = new_message();
    unsigned n = 0;
    int code = -ENOMEM;

    (void)state;
    assert_int_equal(rill_body_append(m, pool, "abc", 3), 0);
    while ((held[n] = rte_pktmbuf_alloc(pool)) != NULL)
        n++;
    for (unsigned left = 0; code == -ENOMEM; left++) {
        assert_int_equal(rte_mempool_avail_count(pool), left);
        code = rill_body_append(m, pool, body, sizeof(body));
        if (code == -ENOMEM) {
            assert_int_equal(rte_mempool_avail_count(pool), left);
            assert_int_equal(m->pkt_len, 3);
            assert_int_equal(m->nb_segs, 1);
            assert_null(m->next);
            rte_pktmbuf_free(held[--n]);
        }
    }
    assert_int_equal(code, 0);
    assert_int_equal(m->nb_segs, 5); /* 10,003 bytes by 2,048 */
    while (n > 0)
        rte_pktmbuf_free(held[--n]);
    rte_pktmbuf_free(m);
}

static void every_type_has_its_own_name(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        const char *name = rill_frame_type_name((uint8_t)a);

        if (strcmp(name, "unknown") == 0)
            continue;
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(name, rill_frame_type_name((uint8_t)b));
    }
    assert_string_equal(rill_frame_type_name(RILL_FRAME_DATA), "data");
    assert_string_equal(rill_frame_type_name(RILL_FRAME_NONE), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_is_read_back),
        cmocka_unit_test(largest_body_fits_and_no_more),
        cmocka_unit_test(empty_pool_leaves_message_alone),
        cmocka_unit_test(every_type_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
