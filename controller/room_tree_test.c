#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/rank_index.h"
#include "controller/room_tree.h"
#include "lib/base/rng.h"

static void nobody_has_room_at_first(void **state)
{
    struct rill_room_tree tree;

    (void)state;
    assert_int_equal(rill_room_tree_init(&tree, 1), 0);
    assert_int_equal(rill_room_tree_first(&tree, 0, 1), RILL_RANK_NONE);
    rill_room_tree_set(&tree, 0, 5);
    assert_int_equal(rill_room_tree_first(&tree, 0, 5), 0);
    assert_int_equal(rill_room_tree_first(&tree, 0, 6), RILL_RANK_NONE);
    assert_int_equal(rill_room_tree_first(&tree, 1, 1), RILL_RANK_NONE);
    rill_room_tree_fini(&tree);
}

/* Against looking at all of them in turn. */
static void random_values_agree_with_a_scan(void **state)
{
    enum { RANKS = 77 };

    struct rill_room_tree tree;
    uint64_t values[RANKS] = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    assert_int_equal(rill_room_tree_init(&tree, RANKS), 0);
    for (int i = 0; i < 20000; i++) {
        uint32_t rank = rill_rng_below(&rng, RANKS), from = rill_rng_below(&rng, RANKS);
        uint64_t room = 1 + rill_rng_below(&rng, 1000);

        values[rank] = rill_rng_below(&rng, 4) == 0 ? rill_rng_below(&rng, 1001) : 0;
        rill_room_tree_set(&tree, rank, values[rank]);
        for (rank = from; rank < RANKS && values[rank] < room;)
            rank++;
        assert_int_equal(rill_room_tree_first(&tree, from, room),
                         rank < RANKS ? rank : RILL_RANK_NONE);
    }
    rill_room_tree_fini(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_room_at_first),
        cmocka_unit_test(random_values_agree_with_a_scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
