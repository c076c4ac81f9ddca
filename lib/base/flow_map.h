/* From a flow number (and, at an output logger, a unit) to a role's entry for it.
 *
 * Flow numbers come from a counter, so their low bits are spread as well as any hash would spread
 * them: they index the buckets as they are. Entries are intrusive and chained. The number of
 * buckets is fixed at creation, so nothing is ever rehashed while packets wait; the memory of
 * buckets that are not used is not touched. One thread.
 */
#ifndef RILL_LIB_BASE_FLOW_MAP_H
#define RILL_LIB_BASE_FLOW_MAP_H

#include <stdint.h>
#include <stdlib.h>

#include "lib/base/table_memory.h"

struct rill_map_node {
    struct rill_map_node *next;
    uint64_t flow;
    uint32_t unit; /* 0 where the flow alone is the key */
};

struct rill_flow_map {
    struct rill_map_node **buckets;
    uint32_t mask;
    uint32_t count;
};

static inline int rill_flow_map_init(struct rill_flow_map *map, uint32_t entries)
{
    uint32_t n = 1024;

    while (n < entries && n < (1u << 26))
        n *= 2;
    *map = (struct rill_flow_map){.buckets = rill_table_alloc(n * sizeof(map->buckets[0])),
                                  .mask = n - 1};
    return map->buckets == NULL ? -1 : 0;
}

static inline void rill_flow_map_fini(struct rill_flow_map *map)
{
    rill_table_free(map->buckets, ((size_t)map->mask + 1) * sizeof(map->buckets[0]));
    *map = (struct rill_flow_map){0};
}

static inline void rill_flow_map_prefault(struct rill_flow_map *map)
{
    rill_table_prefault(map->buckets, ((size_t)map->mask + 1) * sizeof(map->buckets[0]));
}

static inline struct rill_map_node **rill_flow_map_bucket(const struct rill_flow_map *map,
                                                          uint64_t flow, uint32_t unit)
{
    return &map->buckets[((uint32_t)flow + unit * 0x9e3779b1u) & map->mask];
}

static inline struct rill_map_node *rill_flow_map_find(const struct rill_flow_map *map,
                                                       uint64_t flow, uint32_t unit)
{
    struct rill_map_node *node = *rill_flow_map_bucket(map, flow, unit);

    while (node != NULL && (node->flow != flow || node->unit != unit))
        node = node->next;
    return node;
}

/* Where a look for the flow will begin; and, once that is near, the entry itself (as if by
 * rill_flow_map_find, but for chains: NULL or the first of its bucket). For prefetching a burst. */
static inline void rill_flow_map_prefetch(const struct rill_flow_map *map, uint64_t flow,
                                          uint32_t unit)
{
    __builtin_prefetch(rill_flow_map_bucket(map, flow, unit));
}

static inline const struct rill_map_node *rill_flow_map_first(const struct rill_flow_map *map,
                                                              uint64_t flow, uint32_t unit)
{
    return *rill_flow_map_bucket(map, flow, unit);
}

/* node->flow and node->unit are set, and not in the map. */
static inline void rill_flow_map_insert(struct rill_flow_map *map, struct rill_map_node *node)
{
    struct rill_map_node **bucket = rill_flow_map_bucket(map, node->flow, node->unit);

    node->next = *bucket;
    *bucket = node;
    map->count++;
}

static inline void rill_flow_map_remove(struct rill_flow_map *map, struct rill_map_node *node)
{
    struct rill_map_node **at = rill_flow_map_bucket(map, node->flow, node->unit);

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    map->count--;
}

#endif
