#include "maglev.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

enum { FREE = UINT16_MAX };

/* A server's order of preference: where it is in it, and the step to the next (in the paper:
 * offset and skip). */
struct preference {
    uint32_t at, step;
};

bool maglev_is_prime(uint32_t n)
{
    if (n < 2)
        return false;
    for (uint32_t i = 2; (uint64_t)i * i <= n; i++)
        if (n % i == 0)
            return false;
    return true;
}

static struct preference preference_of(const struct server *server, uint32_t entries)
{
    const uint8_t port[2] = {(uint8_t)(server->port >> 8), (uint8_t)server->port};
    uint64_t first = lb_hash_add(LB_HASH_BEGIN, server->addr, sizeof(server->addr));
    uint64_t second;

    first = lb_hash_end(lb_hash_add(first, port, sizeof(port)));
    second = lb_hash_add(first, server->addr, sizeof(server->addr));
    second = lb_hash_end(lb_hash_add(second, port, sizeof(port)));
    return (struct preference){.at = (uint32_t)(first % entries),
                               .step = (uint32_t)(second % (entries - 1)) + 1};
}

/* The next of its preferences that nobody has. There is one. */
static uint32_t take_next(struct preference *p, const uint16_t *entry, uint32_t entries)
{
    uint32_t taken;

    while (entry[p->at] != FREE)
        p->at = (p->at + p->step) % entries;
    taken = p->at;
    p->at = (p->at + p->step) % entries;
    return taken;
}

int maglev_fill(uint16_t *entry, uint32_t entries, const struct server *server, uint32_t servers)
{
    struct preference *preference = malloc(servers * sizeof(*preference));
    uint32_t left = entries;

    if (preference == NULL)
        return -1;
    for (uint32_t i = 0; i < servers; i++)
        preference[i] = preference_of(&server[i], entries);
    for (uint32_t i = 0; i < entries; i++)
        entry[i] = FREE;
    while (left > 0)
        for (uint32_t i = 0; i < servers && left > 0; i++)
            for (uint32_t turn = 0; turn < server[i].weight && left > 0; turn++, left--)
                entry[take_next(&preference[i], entry, entries)] = (uint16_t)i;
    free(preference);
    return 0;
}
