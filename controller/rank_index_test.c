#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/rank_index.h"
#include "lib/base/rng.h"

/* A plain table of which quantum each rank is in. */
struct model {
    struct rill_rank_index index;
    uint32_t quanta, ranks;
    uint32_t *quantum_of;
};

static uint32_t model_quantum(const struct model *m, uint32_t from)
{
    uint32_t best = RILL_RANK_NONE;

    for (uint32_t rank = 0; rank < m->ranks; rank++) {
        if (m->quantum_of[rank] >= from && m->quantum_of[rank] < best)
            best = m->quantum_of[rank];
    }
    return best;
}

static uint32_t model_rank(const struct model *m, uint32_t quantum, uint32_t from)
{
    for (uint32_t rank = from; rank < m->ranks; rank++) {
        if (m->quantum_of[rank] == quantum)
            return rank;
    }
    return RILL_RANK_NONE;
}

static void move(struct model *m, uint32_t rank, uint32_t to)
{
    if (m->quantum_of[rank] != RILL_RANK_NONE)
        rill_rank_index_remove(&m->index, m->quantum_of[rank], rank);
    m->quantum_of[rank] = to;
    if (to != RILL_RANK_NONE)
        rill_rank_index_insert(&m->index, to, rank);
}

static void random_moves(uint32_t quanta, uint32_t ranks, uint64_t seed)
{
    struct model m = {.quanta = quanta, .ranks = ranks};
    struct rill_rng rng;

    rill_rng_seed(&rng, seed);
    m.quantum_of = malloc(ranks * sizeof(m.quantum_of[0]));
    memset(m.quantum_of, 0xff, ranks * sizeof(m.quantum_of[0]));
    assert_int_equal(rill_rank_index_init(&m.index, quanta, ranks), 0);
    for (int i = 0; i < 2000; i++) {
        uint32_t quantum = rill_rng_below(&rng, quanta);
        uint32_t from = rill_rng_below(&rng, ranks + 1);

        move(&m, rill_rng_below(&rng, ranks),
             rill_rng_below(&rng, 3) == 0 ? RILL_RANK_NONE : rill_rng_below(&rng, quanta));
        assert_int_equal(rill_rank_index_quantum(&m.index, quantum), model_quantum(&m, quantum));
        assert_int_equal(rill_rank_index_rank(&m.index, quantum, from),
                         model_rank(&m, quantum, from));
    }
    assert_int_equal(rill_rank_index_quantum(&m.index, quanta), RILL_RANK_NONE);
    assert_int_equal(rill_rank_index_rank(&m.index, quanta - 1, ranks + 1000), RILL_RANK_NONE);
    rill_rank_index_fini(&m.index);
    free(m.quantum_of);
}

static void random_moves_agree_with_a_table(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1},   {2, 63},   {64, 64},      {65, 65},
                                        {3, 128}, {1280, 1}, {2048, 20496}, {4097, 4097}};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        random_moves(sizes[i][0], sizes[i][1], i);
}

static void ends_of_every_level_are_found(void **state)
{
    static const uint32_t ranks[] = {0,    1,    62,   63,    64,    65,    127,   128,
                                     4095, 4096, 4097, 16383, 20000, 70000, 262142};
    struct rill_rank_index index;

    (void)state;
    assert_int_equal(rill_rank_index_init(&index, 3, 262143), 0);
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
        rill_rank_index_insert(&index, 1, ranks[i]);
        assert_int_equal(rill_rank_index_rank(&index, 1, 0), ranks[i]);
        assert_int_equal(rill_rank_index_rank(&index, 1, ranks[i]), ranks[i]);
        assert_int_equal(rill_rank_index_rank(&index, 1, ranks[i] + 1), RILL_RANK_NONE);
        assert_int_equal(rill_rank_index_quantum(&index, 0), 1);
        rill_rank_index_remove(&index, 1, ranks[i]);
        assert_int_equal(rill_rank_index_quantum(&index, 0), RILL_RANK_NONE);
    }
    rill_rank_index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_moves_agree_with_a_table),
        cmocka_unit_test(ends_of_every_level_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
