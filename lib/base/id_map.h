/* From a role id to a number: open addressing with linear probing, at most half full. A look-up is
 * a load or two; put and remove may move entries, so a pointer to a value lives until the next of
 * them. Zeroed memory is an empty map.
 */
#ifndef RILL_LIB_BASE_ID_MAP_H
#define RILL_LIB_BASE_ID_MAP_H

#include <stdint.h>
#include <stdlib.h>

struct rill_id_entry {
    uint64_t value;
    uint32_t id; /* 0: free */
};

struct rill_id_map {
    struct rill_id_entry *entries;
    uint32_t mask, count;
};

enum { RILL_ID_MAP_FIRST = 16 };

static inline uint32_t rill_id_map_home(const struct rill_id_map *map, uint32_t id)
{
    uint32_t x = id * 0x9e3779b1u;

    return (x ^ (x >> 15)) & map->mask;
}

/* The id's entry, or the free one where it would go. The map has a free entry. */
static inline struct rill_id_entry *rill_id_map_at(const struct rill_id_map *map, uint32_t id)
{
    uint32_t i = rill_id_map_home(map, id);

    while (map->entries[i].id != id && map->entries[i].id != 0)
        i = (i + 1) & map->mask;
    return &map->entries[i];
}

/* The id's value; NULL if it is not in. */
static inline uint64_t *rill_id_map_find(const struct rill_id_map *map, uint32_t id)
{
    struct rill_id_entry *entry;

    if (map->count == 0 || id == 0)
        return NULL;
    entry = rill_id_map_at(map, id);
    return entry->id == id ? &entry->value : NULL;
}

static inline int rill_id_map_grow(struct rill_id_map *map)
{
    struct rill_id_map old = *map;
    uint32_t n = old.entries == NULL ? RILL_ID_MAP_FIRST : (old.mask + 1) * 2;
    struct rill_id_entry *entries = calloc(n, sizeof(entries[0]));

    if (entries == NULL)
        return -1;
    map->entries = entries;
    map->mask = n - 1;
    for (uint32_t i = 0; old.entries != NULL && i <= old.mask; i++) {
        if (old.entries[i].id != 0)
            *rill_id_map_at(map, old.entries[i].id) = old.entries[i];
    }
    free(old.entries);
    return 0;
}

/* Puts an id that is not in, and is not 0. The place of its value; NULL if there is no memory. */
static inline uint64_t *rill_id_map_put(struct rill_id_map *map, uint32_t id, uint64_t value)
{
    struct rill_id_entry *entry;

    if ((map->entries == NULL || (map->count + 1) * 2 > map->mask + 1) &&
        rill_id_map_grow(map) != 0)
        return NULL;
    entry = rill_id_map_at(map, id);
    *entry = (struct rill_id_entry){.value = value, .id = id};
    map->count++;
    return &entry->value;
}

/* Takes an id out, if it is in. Entries behind it move up, so that no probe ends too early. */
static inline void rill_id_map_remove(struct rill_id_map *map, uint32_t id)
{
    uint32_t hole;

    if (rill_id_map_find(map, id) == NULL)
        return;
    hole = (uint32_t)(rill_id_map_at(map, id) - map->entries);
    for (uint32_t i = (hole + 1) & map->mask; map->entries[i].id != 0; i = (i + 1) & map->mask) {
        uint32_t home = rill_id_map_home(map, map->entries[i].id);

        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole].id = 0;
    map->count--;
}

static inline void rill_id_map_fini(struct rill_id_map *map)
{
    free(map->entries);
    *map = (struct rill_id_map){0};
}

#endif
