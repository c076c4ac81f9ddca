#include "controller/rank_index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { BITS = 64, LEVELS = 3 };

static void bits_set(struct rill_bit_levels bits, uint32_t i)
{
    for (int level = 0; level < LEVELS; level++, i /= BITS)
        bits.level[level][i / BITS] |= UINT64_C(1) << (i % BITS);
}

static void bits_clear(struct rill_bit_levels bits, uint32_t i)
{
    for (int level = 0; level < LEVELS; level++, i /= BITS) {
        bits.level[level][i / BITS] &= ~(UINT64_C(1) << (i % BITS));
        if (bits.level[level][i / BITS] != 0)
            return;
    }
}

/* Up through the levels until a word has a bit at or behind the place, then down to the lowest one
 * under it. */
static uint32_t bits_next(struct rill_bit_levels bits, uint32_t from)
{
    int level = 0;
    uint64_t word;

    for (;;) {
        word = bits.level[level][from / BITS] & (UINT64_MAX << (from % BITS));
        if (word != 0)
            break;
        from = from / BITS + 1;
        if (++level == LEVELS || (level == LEVELS - 1 && from >= BITS))
            return RILL_RANK_NONE;
    }
    from = from / BITS * BITS + (uint32_t)__builtin_ctzll(word);
    while (level-- > 0)
        from = from * BITS + (uint32_t)__builtin_ctzll(bits.level[level][from]);
    return from;
}

/* One word more than needed, so that a search may look one behind the last. */
static uint32_t words_for(uint32_t bits)
{
    return bits / BITS + 1;
}

static struct rill_bit_levels quantum_bits(const struct rill_rank_index *index, uint32_t quantum)
{
    uint64_t *words = index->words + (size_t)quantum * index->words_per_quantum;

    return (struct rill_bit_levels){{words, words + index->words_of_level[0],
                                     words + index->words_of_level[0] + index->words_of_level[1]}};
}

int rill_rank_index_init(struct rill_rank_index *index, uint32_t quanta, uint32_t ranks)
{
    uint32_t filled[2] = {words_for(quanta), words_for(words_for(quanta))};
    uint64_t *at;

    assert(quanta >= 1 && quanta < BITS * BITS * BITS && ranks >= 1 && ranks < BITS * BITS * BITS);
    *index = (struct rill_rank_index){.quanta = quanta};
    index->words_of_level[0] = words_for(ranks);
    index->words_of_level[1] = words_for(index->words_of_level[0]);
    index->words_per_quantum = index->words_of_level[0] + index->words_of_level[1] + 1;
    index->words = calloc((size_t)quanta * index->words_per_quantum + filled[0] + filled[1] + 1,
                          sizeof(index->words[0]));
    if (index->words == NULL)
        return -ENOMEM;
    at = index->words + (size_t)quanta * index->words_per_quantum;
    index->filled = (struct rill_bit_levels){{at, at + filled[0], at + filled[0] + filled[1]}};
    return 0;
}

void rill_rank_index_fini(struct rill_rank_index *index)
{
    free(index->words);
    *index = (struct rill_rank_index){0};
}

void rill_rank_index_insert(struct rill_rank_index *index, uint32_t quantum, uint32_t rank)
{
    assert(quantum < index->quanta);
    bits_set(quantum_bits(index, quantum), rank);
    bits_set(index->filled, quantum);
}

void rill_rank_index_remove(struct rill_rank_index *index, uint32_t quantum, uint32_t rank)
{
    struct rill_bit_levels bits = quantum_bits(index, quantum);

    assert(quantum < index->quanta);
    bits_clear(bits, rank);
    if (bits.level[LEVELS - 1][0] == 0)
        bits_clear(index->filled, quantum);
}

uint32_t rill_rank_index_quantum(const struct rill_rank_index *index, uint32_t from)
{
    return from < index->quanta ? bits_next(index->filled, from) : RILL_RANK_NONE;
}

uint32_t rill_rank_index_rank(const struct rill_rank_index *index, uint32_t quantum, uint32_t from)
{
    if (quantum >= index->quanta || from / BITS >= index->words_of_level[0])
        return RILL_RANK_NONE;
    return bits_next(quantum_bits(index, quantum), from);
}
