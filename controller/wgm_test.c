#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/wgm.h"
#include "lib/base/rng.h"

enum { T_NS = 500000, B = 15000 };

static uint64_t average(const struct rill_wgm *wgm)
{
    const struct rill_wgm_flow fresh = {0};

    return rill_wgm_demand_bps(wgm, &fresh) / 8;
}

static void first_packet_begins_a_flowlet(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 100, 0), RILL_FLOWLET_FIRST);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 100, 0), RILL_FLOWLET_SAME);
}

static void gap_must_be_longer_than_t(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    rill_wgm_packet(&wgm, &flow, 100, 1000);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 100, 1000 + T_NS), RILL_FLOWLET_SAME);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 100, 1000 + 2 * T_NS + 1), RILL_FLOWLET_BY_GAP);
    assert_int_equal(flow.flowlet_bytes, 100);
}

static void size_may_reach_b_but_not_pass_it(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    rill_wgm_packet(&wgm, &flow, B - 1000, 0);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 1000, 10), RILL_FLOWLET_SAME);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 1, 20), RILL_FLOWLET_BY_SIZE);
    /* A gap counts as a gap even where the size would have done. */
    assert_int_equal(rill_wgm_packet(&wgm, &flow, B, 20 + T_NS + 1), RILL_FLOWLET_BY_GAP);
}

static void packet_larger_than_b_is_a_flowlet_alone(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, UINT32_MAX, 0), RILL_FLOWLET_FIRST);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, UINT32_MAX, 0), RILL_FLOWLET_BY_SIZE);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 40, 0), RILL_FLOWLET_BY_SIZE);
}

static void load_is_bytes_over_duration_but_at_least_t(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    rill_wgm_packet(&wgm, &flow, 1000, 0);
    assert_int_equal(rill_wgm_demand_bps(&wgm, &flow), 0); /* nothing has ended anywhere */
    rill_wgm_packet(&wgm, &flow, 1000, 1000);
    rill_wgm_packet(&wgm, &flow, 500, 10 * T_NS);
    /* 2,000 bytes in 1 us, taken as 500 us: 4 MB/s. The first load replaces. */
    assert_int_equal(rill_wgm_demand_bps(&wgm, &flow), 32000000);
    rill_wgm_packet(&wgm, &flow, 500, 11 * T_NS);
    rill_wgm_packet(&wgm, &flow, 500, 12 * T_NS);
    rill_wgm_packet(&wgm, &flow, 500, 20 * T_NS);
    /* 1,500 bytes in 1 ms: 1.5 MB/s; half of it and half of 4. */
    assert_int_equal(rill_wgm_demand_bps(&wgm, &flow), 22000000);
}

static void by_period_neither_gap_nor_size_counts(void **state)
{
    const uint64_t period_ns = 50000000;
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init_period(&wgm, period_ns, 0.5);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 1000, 7), RILL_FLOWLET_FIRST);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 100 * B, 8), RILL_FLOWLET_SAME);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 1000, 7 + period_ns - 1), RILL_FLOWLET_SAME);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 1000, 7 + period_ns), RILL_FLOWLET_BY_PERIOD);
    /* 1,502,000 bytes in 50 ms */
    assert_int_equal(rill_wgm_demand_bps(&wgm, &flow), 240320000);
    assert_int_equal(rill_wgm_packet(&wgm, &flow, 1, 7 + 5 * period_ns), RILL_FLOWLET_BY_PERIOD);
}

static void new_flows_expect_the_global_average(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow a = {0}, b = {0}, c = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    rill_wgm_packet(&wgm, &a, 1000, 0);
    rill_wgm_packet(&wgm, &b, 3000, 0);
    rill_wgm_close(&wgm, &a); /* 2 MB/s */
    rill_wgm_close(&wgm, &b); /* 6 MB/s */
    rill_wgm_close(&wgm, &b); /* is closed already */
    rill_wgm_close(&wgm, &c); /* never began */
    assert_int_equal(wgm.closed, 2);
    rill_wgm_packet(&wgm, &c, 100, 0);
    assert_int_equal(rill_wgm_demand_bps(&wgm, &c), 32000000);
    assert_int_equal(rill_wgm_demand_bps(&wgm, &a), 16000000);
}

static void weights_zero_and_one(void **state)
{
    (void)state;
    for (int weight = 0; weight <= 1; weight++) {
        struct rill_wgm wgm;
        struct rill_wgm_flow flow = {0};

        rill_wgm_init(&wgm, T_NS, B, weight);
        rill_wgm_packet(&wgm, &flow, 1000, 0);
        rill_wgm_packet(&wgm, &flow, 3000, 10 * T_NS);
        rill_wgm_packet(&wgm, &flow, 1, 20 * T_NS);
        assert_int_equal(rill_wgm_demand_bps(&wgm, &flow), weight ? 48000000 : 16000000);
    }
}

static void average_survives_its_count(void **state)
{
    struct rill_wgm wgm;
    struct rill_wgm_flow flow = {0};

    (void)state;
    rill_wgm_init(&wgm, T_NS, B, 0.5);
    wgm.closed = UINT32_MAX;
    wgm.load_sum = wgm.closed * UINT32_MAX; /* as high as it can be */
    rill_wgm_packet(&wgm, &flow, UINT32_MAX, 0);
    rill_wgm_close(&wgm, &flow);
    assert_true(average(&wgm) >= UINT32_MAX - 1);
    wgm.closed = UINT32_MAX;
    wgm.load_sum = wgm.closed * 1000;
    rill_wgm_close(&wgm, &flow);
    rill_wgm_packet(&wgm, &flow, 1, 0);
    rill_wgm_close(&wgm, &flow);
    assert_in_range(average(&wgm), 999, 1000);
    assert_true(wgm.closed < UINT32_MAX);
}

/* The same by the book, in floating point and with every packet of the flowlet kept. */
struct book {
    double estimate, sum;
    uint64_t loads, bytes, start_ns, last_ns;
    int measured, begun;
};

static void book_close(struct book *book, double weight)
{
    double duration_s = (double)(book->last_ns - book->start_ns) / 1e9;
    double load = (double)book->bytes / (duration_s > T_NS / 1e9 ? duration_s : T_NS / 1e9);

    book->estimate = book->measured ? weight * load + (1 - weight) * book->estimate : load;
    book->measured = 1;
    book->sum += load;
    book->loads++;
}

static int book_packet(struct book *book, uint32_t bytes, uint64_t now_ns, double weight)
{
    int start = RILL_FLOWLET_SAME;

    if (!book->begun)
        start = RILL_FLOWLET_FIRST;
    else if (now_ns - book->last_ns > T_NS)
        start = RILL_FLOWLET_BY_GAP;
    else if (book->bytes + bytes > B)
        start = RILL_FLOWLET_BY_SIZE;
    if (start != RILL_FLOWLET_SAME) {
        if (book->begun)
            book_close(book, weight);
        book->begun = 1;
        book->bytes = 0;
        book->start_ns = now_ns;
    }
    book->bytes += bytes;
    book->last_ns = now_ns;
    return start;
}

static void random_packets_agree_with_the_book(void **state)
{
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int round = 0; round < 300; round++) {
        double weight = rill_rng_double(&rng);
        struct rill_wgm wgm;
        struct rill_wgm_flow flow = {0};
        struct book book = {0};
        uint64_t now_ns = 0;

        rill_wgm_init(&wgm, T_NS, B, weight);
        weight = wgm.weight_65536 / 65536.0;
        for (int i = 0; i < 300; i++) {
            uint32_t bytes = 40 + rill_rng_below(&rng, i % 50 == 0 ? 60000 : 1460);
            uint64_t expected;

            now_ns += rill_rng_below(&rng, rill_rng_below(&rng, 4) == 0 ? 4 * T_NS : T_NS / 8);
            assert_int_equal(rill_wgm_packet(&wgm, &flow, bytes, now_ns),
                             book_packet(&book, bytes, now_ns, weight));
            if (!book.measured)
                continue;
            expected = (uint64_t)(book.estimate * 8);
            /* Every flowlet rounds down by a byte per second or two, which then decays or adds up.
             */
            assert_in_range(rill_wgm_demand_bps(&wgm, &flow) + 16 * 300, expected,
                            expected + 16 * 300 + 8);
            assert_in_range(average(&wgm) + 2, (uint64_t)(book.sum / book.loads),
                            (uint64_t)(book.sum / book.loads) + 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_packet_begins_a_flowlet),
        cmocka_unit_test(gap_must_be_longer_than_t),
        cmocka_unit_test(size_may_reach_b_but_not_pass_it),
        cmocka_unit_test(packet_larger_than_b_is_a_flowlet_alone),
        cmocka_unit_test(load_is_bytes_over_duration_but_at_least_t),
        cmocka_unit_test(by_period_neither_gap_nor_size_counts),
        cmocka_unit_test(new_flows_expect_the_global_average),
        cmocka_unit_test(weights_zero_and_one),
        cmocka_unit_test(average_survives_its_count),
        cmocka_unit_test(random_packets_agree_with_the_book),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
