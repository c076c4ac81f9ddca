#include "controller/room_tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "controller/rank_index.h"

int rill_room_tree_init(struct rill_room_tree *tree, uint32_t ranks)
{
    uint32_t leaves = 1;

    assert(ranks >= 1 && ranks <= UINT32_C(1) << 30);
    while (leaves < ranks)
        leaves *= 2;
    *tree = (struct rill_room_tree){.leaves = leaves,
                                    .nodes = calloc((size_t)leaves * 2, sizeof(tree->nodes[0]))};
    return tree->nodes == NULL ? -ENOMEM : 0;
}

void rill_room_tree_fini(struct rill_room_tree *tree)
{
    free(tree->nodes);
    *tree = (struct rill_room_tree){0};
}

void rill_room_tree_set(struct rill_room_tree *tree, uint32_t rank, uint64_t room)
{
    uint32_t node = tree->leaves + rank;

    assert(rank < tree->leaves);
    tree->nodes[node] = room;
    for (node /= 2; node > 0; node /= 2) {
        uint64_t left = tree->nodes[node * 2], right = tree->nodes[node * 2 + 1];
        uint64_t largest = left > right ? left : right;

        if (tree->nodes[node] == largest)
            return;
        tree->nodes[node] = largest;
    }
}

/* Up until a subtree to the right holds one, then down to its first. */
uint32_t rill_room_tree_first(const struct rill_room_tree *tree, uint32_t from, uint64_t room)
{
    uint32_t node = tree->leaves + from;

    if (from >= tree->leaves)
        return RILL_RANK_NONE;
    while (tree->nodes[node] < room) {
        while (node % 2 == 1)
            node /= 2;
        if (node == 0)
            return RILL_RANK_NONE;
        node++;
    }
    while (node < tree->leaves) {
        node *= 2;
        node += tree->nodes[node] < room;
    }
    return node - tree->leaves;
}
