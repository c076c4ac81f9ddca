/* The first of many that has room: a tournament over ranks, in which every node holds the largest
 * value below it. Setting a value and finding the first cost a look at each level: 14 at 10,000.
 */
#ifndef RILL_CONTROLLER_ROOM_TREE_H
#define RILL_CONTROLLER_ROOM_TREE_H

#include <stdint.h>

struct rill_room_tree {
    uint64_t *nodes; /* [1] is the root; the leaves are the upper half. Zeroed: nobody has room */
    uint32_t leaves; /* a power of two */
};

int rill_room_tree_init(struct rill_room_tree *tree, uint32_t ranks); /* 1..2^30; 0 or -ENOMEM */
void rill_room_tree_fini(struct rill_room_tree *tree);

void rill_room_tree_set(struct rill_room_tree *tree, uint32_t rank, uint64_t room);

/* The lowest rank >= from whose value is at least `room`, which is not 0; RILL_RANK_NONE if there
 * is none. */
uint32_t rill_room_tree_first(const struct rill_room_tree *tree, uint32_t from, uint64_t room);

#endif
