#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/packet/fragments.h"

static struct rill_view view(uint8_t family, uint32_t source, uint32_t fragment_id, uint8_t proto)
{
    struct rill_view v = {.flags = RILL_VIEW_FRAGMENT, .fragment_id = fragment_id};

    v.source = (struct rill_endpoint){.family = family, .proto = proto, .port = 1234};
    v.destination = (struct rill_endpoint){.family = family, .proto = proto, .port = 80};
    memcpy(v.source.addr, &source, sizeof(source));
    v.destination.addr[0] = 9;
    return v;
}

static uint64_t later(struct rill_fragments *table, struct rill_view v, enum rill_side side,
                      uint64_t now_ns)
{
    uint64_t handle = 77;
    uint16_t sport = 7, dport = 7;

    v.source.port = v.destination.port = 0;
    v.flags |= RILL_VIEW_LATER_FRAGMENT;
    if (rill_fragments_later(table, &v, side, now_ns, &handle, &sport, &dport)) {
        assert_int_equal(sport, 1234);
        assert_int_equal(dport, 80);
        assert_true(handle != 0);
    } else {
        assert_int_equal(sport, 0);
        assert_int_equal(dport, 0);
        assert_int_equal(handle, 0);
    }
    return handle;
}

static void later_ones_find_their_first(void **state)
{
    struct rill_fragments *table = rill_fragments_create(RILL_FRAGMENTS_DEFAULT, 1);
    struct rill_view a = view(4, 1, 100, RILL_UDP), other = a;

    (void)state;
    assert_int_equal(later(table, a, RILL_INSIDE, 0), 0);
    rill_fragments_first(table, &a, RILL_INSIDE, 42, 0);
    assert_int_equal(later(table, a, RILL_INSIDE, 0), 42);
    assert_int_equal(later(table, a, RILL_OUTSIDE, 0), 0);
    other.fragment_id++;
    assert_int_equal(later(table, other, RILL_INSIDE, 0), 0);
    other = a;
    other.source.addr[3]++;
    assert_int_equal(later(table, other, RILL_INSIDE, 0), 0);
    other = a;
    other.destination.addr[0]++;
    assert_int_equal(later(table, other, RILL_INSIDE, 0), 0);
    other = a;
    other.source.proto = RILL_TCP;
    assert_int_equal(later(table, other, RILL_INSIDE, 0), 0);
    rill_fragments_first(table, &a, RILL_INSIDE, 43, 5); /* the identification came round */
    assert_int_equal(later(table, a, RILL_INSIDE, 5), 43);
    assert_int_equal(rill_fragments_counters(table)->firsts, 2);
    assert_int_equal(rill_fragments_counters(table)->renewed, 1);
    assert_int_equal(rill_fragments_counters(table)->found, 2);
    assert_int_equal(rill_fragments_counters(table)->missed, 6);
    rill_fragments_destroy(table);
}

static void ip6_does_not_compare_the_protocol(void **state)
{
    struct rill_fragments *table = rill_fragments_create(16, 1);
    struct rill_view first = view(6, 1, 100, RILL_UDP), second = view(6, 1, 100, 60);

    (void)state;
    rill_fragments_first(table, &first, RILL_INSIDE, 42, 0);
    assert_int_equal(later(table, second, RILL_INSIDE, 0), 42);
    assert_int_equal(later(table, view(4, 1, 100, RILL_UDP), RILL_INSIDE, 0), 0);
    rill_fragments_destroy(table);
}

static void entries_expire(void **state)
{
    struct rill_fragments *table = rill_fragments_create(4, 1);
    struct rill_view v = view(4, 1, 1, RILL_UDP);

    (void)state;
    rill_fragments_first(table, &v, RILL_INSIDE, 42, 10);
    assert_int_equal(later(table, v, RILL_INSIDE, 10 + RILL_FRAGMENTS_LIFE_NS), 42);
    assert_int_equal(later(table, v, RILL_INSIDE, 11 + RILL_FRAGMENTS_LIFE_NS), 0);
    for (uint32_t i = 2; i < 6; i++) {
        v.fragment_id = i;
        rill_fragments_first(table, &v, RILL_INSIDE, i, 11 + RILL_FRAGMENTS_LIFE_NS);
    }
    assert_int_equal(rill_fragments_counters(table)->overwritten, 0);
    rill_fragments_destroy(table);
}

/* One bucket of four: the oldest goes first, however full of younger ones it gets. */
static void oldest_gives_way(void **state)
{
    struct rill_fragments *table = rill_fragments_create(1, 1);

    (void)state;
    for (uint32_t i = 1; i <= 100; i++) {
        struct rill_view v = view(4, 1, i, RILL_UDP);

        rill_fragments_first(table, &v, RILL_INSIDE, i, i);
        for (uint32_t j = 1; j <= i; j++)
            assert_int_equal(later(table, view(4, 1, j, RILL_UDP), RILL_INSIDE, i),
                             i - j < 4 ? j : 0);
    }
    assert_int_equal(rill_fragments_counters(table)->overwritten, 96);
    rill_fragments_destroy(table);
}

/* Half full with any pattern of keys, hardly anything is lost; and which is lost depends on the
 * seed. */
static void hash_spreads_patterns(void **state)
{
    uint64_t lost_differently = 0;
    uint64_t kept[2][2048] = {0};

    (void)state;
    for (int seed = 0; seed < 2; seed++) {
        struct rill_fragments *table = rill_fragments_create(4096, (uint64_t)seed);

        for (uint32_t i = 0; i < 2048; i++) {
            struct rill_view v = view(4, i << 16, 1, RILL_UDP);

            rill_fragments_first(table, &v, RILL_INSIDE, i + 1, i);
        }
        for (uint32_t i = 0; i < 2048; i++)
            kept[seed][i] = later(table, view(4, i << 16, 1, RILL_UDP), RILL_INSIDE, 2048);
        assert_in_range(rill_fragments_counters(table)->overwritten, 20, 200);
        assert_int_equal(rill_fragments_counters(table)->missed,
                         rill_fragments_counters(table)->overwritten);
        rill_fragments_destroy(table);
    }
    for (uint32_t i = 0; i < 2048; i++)
        lost_differently += kept[0][i] != kept[1][i];
    assert_true(lost_differently > 20);
}

static void random_traffic_agrees_with_a_table(void **state)
{
    enum { KEYS = 300 };
    struct rill_fragments *table = rill_fragments_create(65536, 3);
    struct rill_rng rng;
    uint64_t handles[KEYS] = {0}, since_ns[KEYS] = {0}, now_ns = 0;

    (void)state;
    rill_rng_seed(&rng, 3);
    for (uint64_t i = 1; i < 20000; i++) {
        uint32_t k = rill_rng_below(&rng, KEYS);
        /* Together these tell every k from every other. */
        struct rill_view v = view(k % 2 ? 4 : 6, k / 8, k / 4 % 2, k % 2 ? RILL_TCP : RILL_UDP);
        enum rill_side side = k / 2 % 2 ? RILL_INSIDE : RILL_OUTSIDE;

        now_ns += rill_rng_below(&rng, RILL_FRAGMENTS_LIFE_NS / 100);
        if (rill_rng_below(&rng, 3) == 0) {
            rill_fragments_first(table, &v, side, i, now_ns);
            handles[k] = i;
            since_ns[k] = now_ns;
        } else {
            assert_int_equal(later(table, v, side, now_ns),
                             now_ns - since_ns[k] <= RILL_FRAGMENTS_LIFE_NS ? handles[k] : 0);
        }
    }
    assert_true(rill_fragments_counters(table)->found > 2000);
    assert_true(rill_fragments_counters(table)->missed > 2000);
    assert_int_equal(rill_fragments_counters(table)->overwritten, 0);
    rill_fragments_destroy(table);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    assert_null(rill_fragments_create(0, 0));
    assert_null(rill_fragments_create((1 << 20) + 1, 0));
    rill_fragments_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_ones_find_their_first),
        cmocka_unit_test(ip6_does_not_compare_the_protocol),
        cmocka_unit_test(entries_expire),
        cmocka_unit_test(oldest_gives_way),
        cmocka_unit_test(hash_spreads_patterns),
        cmocka_unit_test(random_traffic_agrees_with_a_table),
        cmocka_unit_test(sizes_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
