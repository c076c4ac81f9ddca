#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "controller/key_map.h"

enum { NODES = 1000 }; /* nearly all places of the smallest map */

static struct rill_flow_key nodes[NODES];

static struct rill_flow_key key_of(uint32_t i)
{
    return (struct rill_flow_key){.addr_a = {10, 0, (uint8_t)(i >> 8), (uint8_t)i},
                                  .port_a = (uint16_t)(i >> 4),
                                  .vni = 1,
                                  .kind = RILL_KEY_INSIDE_ENDPOINT,
                                  .family = 4,
                                  .proto = (uint8_t)(i >> 10)};
}

static const struct rill_flow_key *find(const struct key_map *map, uint32_t i)
{
    struct rill_flow_key key = key_of(i);

    return key_map_find(map, &key, key_hash(map, &key));
}

static void what_was_put_in_is_found_until_it_is_taken_out(void **state)
{
    struct key_map map;

    (void)state;
    assert_int_equal(key_map_init(&map, 1, 7), 0);
    for (uint32_t i = 0; i < NODES; i++) {
        struct rill_flow_key key = key_of(i);

        assert_null(find(&map, i));
        key_map_insert(&map, &nodes[i], &key);
    }
    assert_int_equal(map.count, NODES);
    for (uint32_t i = 0; i < NODES; i += 2)
        key_map_remove(&map, &nodes[i]);
    assert_int_equal(map.count, NODES / 2);
    for (uint32_t i = 0; i < NODES; i++)
        assert_ptr_equal(find(&map, i), i % 2 == 0 ? NULL : &nodes[i]);
    key_map_fini(&map);
}

static void keys_differ_in_any_byte(void **state)
{
    struct key_map map;
    struct rill_flow_key key = key_of(1);

    (void)state;
    assert_int_equal(key_map_init(&map, 1, 7), 0);
    for (size_t byte = 0; byte < sizeof(key); byte++) {
        struct rill_flow_key other = key;

        ((uint8_t *)&other)[byte] ^= 0x10;
        assert_true(key_equal(&key, &key));
        assert_false(key_equal(&key, &other));
        assert_int_not_equal(key_hash(&map, &key), key_hash(&map, &other));
    }
    key_map_fini(&map);
}

/* No place is home to many of the keys that differ by a little, whatever the seed. */
static void keys_are_spread(void **state)
{
    enum { SPREAD = 8192 };

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        uint32_t in_bucket[2 * SPREAD] = {0};
        struct key_map map;

        assert_int_equal(key_map_init(&map, SPREAD, seed), 0);
        assert_int_equal(map.mask, 2 * SPREAD - 1);
        for (uint32_t i = 0; i < SPREAD; i++) {
            struct rill_flow_key key = key_of(i);
            uint32_t bucket = (uint32_t)key_hash(&map, &key) & map.mask;

            assert_true(++in_bucket[bucket] <= 8); /* at random: more than 6 once in many runs */
        }
        key_map_fini(&map);
    }
}

/* Whatever one word is, the others count: who knows no secret can not make it take the place of
 * all. */
static void no_word_makes_others_not_count(void **state)
{
    static const uint64_t words[] = {0, UINT64_MAX, UINT64_C(0x9e3779b97f4a7c15),
                                     UINT64_C(0xd1b54a32d192ed03), UINT64_C(0x8bb84b93962eacc9)};
    struct key_map map;

    (void)state;
    assert_int_equal(key_map_init(&map, 1, 1), 0);
    for (uint32_t i = 0; i < 6 * sizeof(words) / sizeof(words[0]); i++) {
        uint64_t at = i % 6, all_equal = 0, first = 0;

        for (uint64_t j = 0; j < 64; j++) {
            uint64_t key[6] = {0}, hash;

            key[at] = words[i / 6];
            key[at ^ 1] = 2 * j + 1;
            hash = key_hash(&map, (const struct rill_flow_key *)(const void *)key);
            first = j == 0 ? hash : first;
            all_equal += hash == first;
        }
        assert_int_equal(all_equal, 1);
    }
    key_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_is_found_until_it_is_taken_out),
        cmocka_unit_test(keys_differ_in_any_byte),
        cmocka_unit_test(keys_are_spread),
        cmocka_unit_test(no_word_makes_others_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
