#include "cli/tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Where `name` is, or where it would go. */
static size_t find(const struct rill_tally *tally, const char *name, bool *found)
{
    size_t low = 0, high = tally->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(tally->entries[middle].name, name);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow(struct rill_tally *tally)
{
    size_t capacity = tally->capacity ? tally->capacity * 2 : 16;
    struct rill_tally_entry *entries = realloc(tally->entries, capacity * sizeof(entries[0]));

    if (entries == NULL)
        return -ENOMEM;
    tally->entries = entries;
    tally->capacity = capacity;
    return 0;
}

int rill_tally_add(struct rill_tally *tally, const char *name, uint64_t n)
{
    bool found;
    size_t at = find(tally, name, &found);
    char *copy;

    if (found) {
        tally->entries[at].count += n;
        return 0;
    }
    if (tally->count == tally->capacity && grow(tally) != 0)
        return -ENOMEM;
    copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    memmove(&tally->entries[at + 1], &tally->entries[at],
            (tally->count - at) * sizeof(tally->entries[0]));
    tally->entries[at] = (struct rill_tally_entry){.name = copy, .count = n};
    tally->count++;
    return 0;
}

uint64_t rill_tally_get(const struct rill_tally *tally, const char *name)
{
    bool found;
    size_t at = find(tally, name, &found);

    return found ? tally->entries[at].count : 0;
}

uint64_t rill_tally_total(const struct rill_tally *tally)
{
    uint64_t total = 0;

    for (size_t i = 0; i < tally->count; i++)
        total += tally->entries[i].count;
    return total;
}

void rill_tally_fini(struct rill_tally *tally)
{
    if (tally == NULL)
        return;
    for (size_t i = 0; i < tally->count; i++)
        free(tally->entries[i].name);
    free(tally->entries);
    *tally = (struct rill_tally){0};
}
