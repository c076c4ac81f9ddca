/* An index of units by a quantity that changes with every packet: quanta times ranks, as bits.
 *
 * Each rank (a unit's place in id order) stands in at most one quantum. Moving one is two bits set
 * or cleared at each of three levels; the lowest rank of a quantum, and the next quantum that has
 * any, are found by looking at one word per level. Memory is quanta * ranks / 8 bytes and a bit,
 * which is touched only where something stands.
 */
#ifndef RILL_CONTROLLER_RANK_INDEX_H
#define RILL_CONTROLLER_RANK_INDEX_H

#include <stdint.h>

#define RILL_RANK_NONE UINT32_MAX

/* A set of numbers below 64^3: bit i of a word says that word i of the level below is not zero. */
struct rill_bit_levels {
    uint64_t *level[3]; /* [0] is the set itself, [2] is one word */
};

struct rill_rank_index {
    uint64_t *words; /* everything, one allocation */
    uint32_t quanta;
    uint32_t words_per_quantum;
    uint32_t words_of_level[2];    /* [2] is 1 */
    struct rill_bit_levels filled; /* quanta that have any rank */
};

/* quanta and ranks in 1..262143. 0 or -ENOMEM. */
int rill_rank_index_init(struct rill_rank_index *index, uint32_t quanta, uint32_t ranks);
void rill_rank_index_fini(struct rill_rank_index *index);

/* The rank is not in that quantum ... */
void rill_rank_index_insert(struct rill_rank_index *index, uint32_t quantum, uint32_t rank);
/* ... and is. */
void rill_rank_index_remove(struct rill_rank_index *index, uint32_t quantum, uint32_t rank);

/* The lowest quantum >= from that has any rank; RILL_RANK_NONE if there is none. */
uint32_t rill_rank_index_quantum(const struct rill_rank_index *index, uint32_t from);

/* The lowest rank >= from in the quantum; RILL_RANK_NONE if there is none. */
uint32_t rill_rank_index_rank(const struct rill_rank_index *index, uint32_t quantum, uint32_t from);

#endif
