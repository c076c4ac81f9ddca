#include "rm/packing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct packing {
    struct rill_packing_unit *units;
    uint32_t n;
    uint32_t used, max_units; /* units where own > 0 */
    uint32_t least;
    uint64_t sum, need;
};

static uint32_t room(const struct rill_packing_unit *unit)
{
    uint32_t taken = unit->others + unit->own;

    return taken < unit->share_max ? unit->share_max - taken : 0;
}

static void give(struct packing *p, struct rill_packing_unit *unit)
{
    uint32_t more = room(unit) < p->need ? room(unit) : (uint32_t)p->need;

    p->used += unit->own == 0 && more > 0;
    unit->own += more;
    p->sum += more;
    p->need -= more;
}

/* A share of it would not be too small. */
static bool is_worth_it(const struct packing *p, const struct rill_packing_unit *unit)
{
    uint32_t least = p->least < unit->share_max ? p->least : unit->share_max;

    return p->sum == 0 || (room(unit) >= least && p->need >= least);
}

static void grow_where_it_is(struct packing *p)
{
    for (uint32_t i = 0; i < p->n && p->need > 0; i++) {
        if (p->units[i].own > 0)
            give(p, &p->units[i]);
    }
}

static void take_whole_units(struct packing *p)
{
    for (uint32_t i = 0; i < p->n && p->used < p->max_units; i++) {
        struct rill_packing_unit *unit = &p->units[i];

        if (unit->others == 0 && unit->own == 0 && unit->share_max <= p->need)
            give(p, unit);
    }
}

/* Both searches at once: a unit where the need fits beats any where it does not. */
static struct rill_packing_unit *place_for_rest(const struct packing *p)
{
    struct rill_packing_unit *best = NULL;

    for (uint32_t i = 0; i < p->n; i++) {
        struct rill_packing_unit *unit = &p->units[i];
        uint32_t r = room(unit);

        if (r == 0 || unit->own > 0 || !is_worth_it(p, unit))
            continue;
        if (best == NULL ||
            (room(best) < p->need ? r > room(best) : r >= p->need && r < room(best)))
            best = unit;
    }
    return best;
}

static void take_rest(struct packing *p)
{
    while (p->need > 0 && p->used < p->max_units) {
        struct rill_packing_unit *unit = place_for_rest(p);

        if (unit == NULL)
            return;
        give(p, unit);
    }
}

static int compare_for_shrinking(const void *a, const void *b, void *context)
{
    const struct rill_packing_unit *units = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

    if (units[i].own != units[j].own)
        return units[i].own < units[j].own ? -1 : 1;
    return i > j ? -1 : 1;
}

static uint64_t shrink(struct rill_packing_unit *units, uint32_t n, uint64_t excess, uint32_t least,
                       uint32_t *order)
{
    uint64_t given_back = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (units[i].own > 0)
            order[count++] = i;
    }
    qsort_r(order, count, sizeof(order[0]), compare_for_shrinking, units);
    for (uint32_t i = 0; i < count && given_back < excess; i++) {
        struct rill_packing_unit *unit = &units[order[i]];
        uint32_t less =
            unit->own < excess - given_back ? unit->own : (uint32_t)(excess - given_back);

        if (unit->own - less < least && i + 1 < count)
            less = unit->own;
        unit->own -= less;
        given_back += less;
    }
    return given_back;
}

uint64_t rill_packing_set(struct rill_packing_unit *units, uint32_t n, uint64_t wanted,
                          uint32_t max_units, uint32_t least, uint32_t *scratch)
{
    struct packing p = {.units = units, .n = n, .max_units = max_units, .least = least};

    for (uint32_t i = 0; i < n; i++) {
        p.sum += units[i].own;
        p.used += units[i].own > 0;
    }
    if (wanted < p.sum)
        return p.sum - shrink(units, n, p.sum - wanted, least, scratch);
    p.need = wanted - p.sum;
    grow_where_it_is(&p);
    take_whole_units(&p);
    take_rest(&p);
    return p.sum;
}
