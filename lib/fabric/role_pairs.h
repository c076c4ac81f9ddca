/* A short list of pairs of roles, searched from the front. Zeroed memory is an empty list. */
#ifndef RILL_LIB_FABRIC_ROLE_PAIRS_H
#define RILL_LIB_FABRIC_ROLE_PAIRS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum { RILL_ROLE_PAIRS_MAX = 64 };

struct rill_role_pairs {
    struct {
        uint32_t from, to;
    } list[RILL_ROLE_PAIRS_MAX];
    uint32_t count;
};

static inline uint32_t rill_role_pairs_at(const struct rill_role_pairs *pairs, uint32_t from,
                                          uint32_t to)
{
    uint32_t i = 0;

    while (i < pairs->count && (pairs->list[i].from != from || pairs->list[i].to != to))
        i++;
    return i;
}

/* Once each. -ENOSPC. */
static inline int rill_role_pairs_add(struct rill_role_pairs *pairs, uint32_t from, uint32_t to)
{
    if (rill_role_pairs_at(pairs, from, to) < pairs->count)
        return 0;
    if (pairs->count == RILL_ROLE_PAIRS_MAX)
        return -ENOSPC;
    pairs->list[pairs->count].from = from;
    pairs->list[pairs->count++].to = to;
    return 0;
}

static inline void rill_role_pairs_remove(struct rill_role_pairs *pairs, uint32_t from, uint32_t to)
{
    uint32_t i = rill_role_pairs_at(pairs, from, to);

    if (i < pairs->count)
        pairs->list[i] = pairs->list[--pairs->count];
}

/* A 0 in the list stands for every role. */
static inline bool rill_role_pairs_match(const struct rill_role_pairs *pairs, uint32_t from,
                                         uint32_t to)
{
    for (uint32_t i = 0; i < pairs->count; i++)
        if ((pairs->list[i].from == 0 || pairs->list[i].from == from) &&
            (pairs->list[i].to == 0 || pairs->list[i].to == to))
            return true;
    return false;
}

#endif
