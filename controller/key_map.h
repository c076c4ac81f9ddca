/* From a flow key to the entry that has it: a chained hash table whose nodes are part of the
 * entries.
 *
 * The number of buckets is fixed at creation, twice the entries or more, so that nothing is
 * rehashed while packets wait, and most chains are of one. The memory of buckets that are not used
 * is not touched. No two nodes have the same key: who inserts one has looked. One thread.
 */
#ifndef RILL_CONTROLLER_KEY_MAP_H
#define RILL_CONTROLLER_KEY_MAP_H

#include <stdint.h>
#include <string.h>

#include "lib/base/table_memory.h"
#include "lib/packet/flow_key.h"

struct key_node {
    struct key_node *next;
    struct rill_flow_key key;
};

struct key_map {
    struct key_node **buckets;
    uint32_t mask, count;
    uint64_t seed;
};

static inline uint64_t key_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline int key_map_init(struct key_map *map, uint32_t entries, uint64_t seed)
{
    uint32_t n = 1024;

    while (n / 2 < entries && n < (1u << 28))
        n *= 2;
    *map = (struct key_map){
        .buckets = rill_table_alloc(n * sizeof(map->buckets[0])),
        .mask = n - 1,
        .seed = key_mix(seed ^ UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db))};
    return map->buckets == NULL ? -1 : 0;
}

static inline void key_map_fini(struct key_map *map)
{
    rill_table_free(map->buckets, ((size_t)map->mask + 1) * sizeof(map->buckets[0]));
    *map = (struct key_map){0};
}

/* Depends on the seed in more than its start, so that keys of one bucket can not be worked out
 * without it. */
static inline uint32_t key_hash(const struct key_map *map, const struct rill_flow_key *key)
{
    uint64_t w[6], hash;

    _Static_assert(sizeof(w) == sizeof(*key), "a key is six words");
    memcpy(w, key, sizeof(w));
    hash = key_mix(w[0] ^ map->seed, w[1] ^ UINT64_C(0x9e3779b97f4a7c15)) ^
           key_mix(w[2] ^ map->seed, w[3] ^ UINT64_C(0xd1b54a32d192ed03)) ^
           key_mix(w[4] ^ map->seed, w[5] ^ UINT64_C(0x8bb84b93962eacc9));
    return (uint32_t)(hash ^ hash >> 32);
}

/* In words of 16 bytes, as keys are written. */
static inline bool key_equal(const struct rill_flow_key *a, const struct rill_flow_key *b)
{
    typedef uint64_t word __attribute__((vector_size(16)));
    word x[3], y[3];

    _Static_assert(sizeof(x) == sizeof(*a), "a key is three words");
    memcpy(x, a, sizeof(x));
    memcpy(y, b, sizeof(y));
    x[0] = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]);
    return (x[0][0] | x[0][1]) == 0;
}

static inline struct key_node **key_map_bucket(const struct key_map *map, uint32_t hash)
{
    return &map->buckets[hash & map->mask];
}

static inline struct key_node *key_map_find(const struct key_map *map,
                                            const struct rill_flow_key *key, uint32_t hash)
{
    struct key_node *node = *key_map_bucket(map, hash);

    while (node != NULL && !key_equal(&node->key, key))
        node = node->next;
    return node;
}

static inline void key_map_insert(struct key_map *map, struct key_node *node,
                                  const struct rill_flow_key *key)
{
    struct key_node **bucket = key_map_bucket(map, key_hash(map, key));

    node->key = *key;
    node->next = *bucket;
    *bucket = node;
    map->count++;
}

/* It is in the map. Its key stays as it was. */
static inline void key_map_remove(struct key_map *map, struct key_node *node)
{
    struct key_node **at = key_map_bucket(map, key_hash(map, &node->key));

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    map->count--;
}

#endif
