#include "backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "maglev.h"

struct backends *backends_new(void)
{
    return calloc(1, sizeof(struct backends));
}

static void free_set(struct backend_set *set)
{
    free(set->server);
    free(set->up);
    free(set->until);
    free(set->entry);
}

void backends_free(struct backends *backends)
{
    if (backends == NULL)
        return;
    free_set(&backends->four);
    free_set(&backends->six);
    free(backends);
}

static const struct backend_set *set_of(const struct backends *backends, uint8_t family)
{
    return family == 4 ? &backends->four : &backends->six;
}

/* Room grows by doubling: it is full whenever n is a power of two. */
const char *backends_add(struct backends *backends, const struct server *server)
{
    struct backend_set *set = server->family == 4 ? &backends->four : &backends->six;

    if (set->n == BACKENDS_MAX)
        return "is one too many: at most 10000 of a family are possible";
    if ((set->n & (set->n - 1)) == 0) {
        size_t room = set->n > 0 ? 2 * (size_t)set->n : 1;
        struct server *grown = reallocarray(set->server, room, sizeof(*grown));

        if (grown == NULL)
            return "does not fit: there is no memory";
        set->server = grown;
    }
    set->server[set->n++] = *server;
    set->down += server->state == SERVER_DOWN;
    return NULL;
}

static bool copy_up(struct backend_set *set)
{
    uint32_t sum = 0;

    set->up = calloc(set->n, sizeof(set->up[0]));
    set->until = calloc(set->n, sizeof(set->until[0]));
    if (set->up == NULL || set->until == NULL)
        return false;
    for (uint32_t i = 0; i < set->n; i++) {
        if (set->server[i].state != SERVER_UP)
            continue;
        sum += set->server[i].weight;
        set->until[set->up_n] = sum;
        set->up[set->up_n++] = set->server[i];
    }
    return true;
}

static const char *twice(const struct backend_set *set)
{
    for (uint32_t i = 1; i < set->n; i++)
        if (server_compare(&set->server[i - 1], &set->server[i]) == 0)
            return "a server is there twice; remove one";
    return NULL;
}

/* Modulo goes by the order of the list, as ever. Maglev's order is that of the addresses: so the
 * same servers give the same table, in whatever order they are written. */
static const char *build_set(struct backend_set *set, enum lb_hash hash, uint32_t entries,
                             char *text, size_t bytes)
{
    if (set->n == 0)
        return NULL;
    if (!copy_up(set))
        return "no memory";
    qsort(set->server, set->n, sizeof(set->server[0]), server_compare);
    if (twice(set) != NULL)
        return twice(set);
    if (hash != LB_HASH_MAGLEV || set->up_n == 0)
        return NULL;
    if (set->up_n > entries) {
        snprintf(text, bytes, "%u servers are more than maglev_entries, %u; raise it", set->up_n,
                 entries);
        return text;
    }
    qsort(set->up, set->up_n, sizeof(set->up[0]), server_compare);
    set->entry = malloc(entries * sizeof(set->entry[0]));
    set->entries = entries;
    if (set->entry == NULL || maglev_fill(set->entry, entries, set->up, set->up_n) != 0)
        return "no memory";
    return NULL;
}

const char *backends_build(struct backends *backends, enum lb_hash hash, uint32_t entries,
                           char *text, size_t bytes)
{
    const char *fault = build_set(&backends->four, hash, entries, text, bytes);

    return fault != NULL ? fault : build_set(&backends->six, hash, entries, text, bytes);
}

/* The first whose weights reach beyond `at`. */
static uint32_t by_weight(const struct backend_set *set, uint32_t at)
{
    uint32_t low = 0, high = set->up_n - 1;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (set->until[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct server *backends_choose(const struct backends *backends, uint8_t family, uint64_t hash)
{
    const struct backend_set *set = set_of(backends, family);

    if (set->up_n == 0)
        return NULL;
    if (set->entry != NULL)
        return &set->up[set->entry[lb_hash_scale(hash, set->entries)]];
    return &set->up[by_weight(set, lb_hash_scale(hash, set->until[set->up_n - 1]))];
}

bool backends_have(const struct backends *backends, const struct rill_endpoint *endpoint)
{
    const struct backend_set *set = set_of(backends, endpoint->family);

    return server_find(set->server, set->n, endpoint) != NULL;
}

bool backends_down(const struct backends *backends, const struct rill_endpoint *endpoint)
{
    const struct backend_set *set = set_of(backends, endpoint->family);
    const struct server *server;

    if (set->down == 0)
        return false;
    server = server_find(set->server, set->n, endpoint);
    return server != NULL && server->state == SERVER_DOWN;
}
