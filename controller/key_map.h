/* From a flow key to the entry that has it: open addressing with linear probing, the keys being
 * part of the entries.
 *
 * A place holds the key's address and, where addresses have no bits, 16 of its hash: so a look
 * waits for the place and then for the one entry that it wants, and hardly ever for another. The
 * number of places is fixed at creation, twice the entries or more, so that nothing is rehashed
 * while packets wait. The memory of places that are not used is not touched. No two entries have
 * the same key: who inserts one has looked. One thread.
 */
#ifndef RILL_CONTROLLER_KEY_MAP_H
#define RILL_CONTROLLER_KEY_MAP_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/base/table_memory.h"
#include "lib/packet/flow_key.h"

struct key_map {
    uint64_t *places; /* 0: free */
    uint32_t mask, count;
    uint64_t secrets[6]; /* one for each word of a key */
};

enum { KEY_MAP_TAG_SHIFT = 48 };

static inline uint64_t key_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline int key_map_init(struct key_map *map, uint32_t entries, uint64_t seed)
{
    uint32_t n = 1024;

    while (n / 2 < entries && n < (1u << 31))
        n *= 2;
    *map = (struct key_map){.places = rill_table_alloc(n * sizeof(map->places[0])), .mask = n - 1};
    for (uint32_t i = 0; i < 6; i++)
        map->secrets[i] = rill_splitmix64(&seed);
    return map->places == NULL ? -1 : 0;
}

static inline void key_map_fini(struct key_map *map)
{
    rill_table_free(map->places, ((size_t)map->mask + 1) * sizeof(map->places[0]));
    *map = (struct key_map){0};
}

/* Each word has a secret of its own: without them keys of one place can not be worked out, nor
 * words that make what others say not count. */
static inline uint64_t key_hash(const struct key_map *map, const struct rill_flow_key *key)
{
    typedef uint64_t __attribute__((may_alias, aligned(1))) word;
    const word *w = (const word *)key;
    uint64_t hash;

    _Static_assert(6 * sizeof(*w) == sizeof(*key), "a key is six words");
    hash = key_mix(w[0] ^ map->secrets[0], w[1] ^ map->secrets[1]) ^
           key_mix(w[2] ^ map->secrets[2], w[3] ^ map->secrets[3]) ^
           key_mix(w[4] ^ map->secrets[4], w[5] ^ map->secrets[5]);
    return hash ^ hash >> 32;
}

/* In words of 16 bytes, as keys are written. */
static inline bool key_equal(const struct rill_flow_key *a, const struct rill_flow_key *b)
{
    typedef uint64_t __attribute__((vector_size(16), may_alias, aligned(1))) word;
    const word *x = (const word *)a, *y = (const word *)b;
    word differ;

    _Static_assert(3 * sizeof(*x) == sizeof(*a), "a key is three words");
    differ = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]);
    return (differ[0] | differ[1]) == 0;
}

static inline const uint64_t *key_map_place(const struct key_map *map, uint64_t hash)
{
    return &map->places[hash & map->mask];
}

static inline uint64_t key_map_tag(uint64_t hash_or_place)
{
    return hash_or_place >> KEY_MAP_TAG_SHIFT;
}

static inline struct rill_flow_key *key_map_key(uint64_t place)
{
    return (struct rill_flow_key *)(uintptr_t)(place & ((UINT64_C(1) << KEY_MAP_TAG_SHIFT) - 1));
}

/* The key that the map has, part of its entry; NULL: it has it not. */
static inline struct rill_flow_key *key_map_find(const struct key_map *map,
                                                 const struct rill_flow_key *key, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & map->mask;
    uint64_t place;

    for (; (place = map->places[i]) != 0; i = (i + 1) & map->mask)
        if (key_map_tag(place) == key_map_tag(hash) && key_equal(key_map_key(place), key))
            return key_map_key(place);
    return NULL;
}

/* What a look for a key of that hash will most likely find, without a look at any entry. */
static inline const struct rill_flow_key *key_map_likely(const struct key_map *map, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & map->mask;
    uint64_t place;

    for (; (place = map->places[i]) != 0; i = (i + 1) & map->mask)
        if (key_map_tag(place) == key_map_tag(hash))
            return key_map_key(place);
    return NULL;
}

/* `at` is where the entry keeps its key. */
static inline void key_map_insert(struct key_map *map, struct rill_flow_key *at,
                                  const struct rill_flow_key *key)
{
    uint64_t hash = key_hash(map, key);
    uint32_t i = (uint32_t)hash & map->mask;

    assert(map->count < map->mask && (uintptr_t)at >> KEY_MAP_TAG_SHIFT == 0);
    *at = *key;
    while (map->places[i] != 0)
        i = (i + 1) & map->mask;
    map->places[i] = key_map_tag(hash) << KEY_MAP_TAG_SHIFT | (uintptr_t)at;
    map->count++;
}

/* It is in the map. It stays as it was. Those behind it move up, so that no look ends too early. */
static inline void key_map_remove(struct key_map *map, const struct rill_flow_key *at)
{
    uint32_t hole = (uint32_t)key_hash(map, at) & map->mask;

    while (key_map_key(map->places[hole]) != at)
        hole = (hole + 1) & map->mask;
    for (uint32_t i = (hole + 1) & map->mask; map->places[i] != 0; i = (i + 1) & map->mask) {
        uint32_t home = (uint32_t)key_hash(map, key_map_key(map->places[i])) & map->mask;

        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->places[hole] = map->places[i];
            hole = i;
        }
    }
    map->places[hole] = 0;
    map->count--;
}

#endif
