#include "controller/port_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id_map.h"

#define NONE (RILL_PORT_POOL_MAX)

struct endpoint {
    uint64_t value;     /* USED: flow; QUARANTINE: until when, ns; else: index before */
    uint32_t unit;      /* LEASED, KEPT, USED */
    uint32_t next : 28; /* LEASED, KEPT: in the unit's list; FREE, QUARANTINE: in the queue */
    uint32_t state : 4;
};
_Static_assert(sizeof(struct endpoint) == 16, "a pool holds millions");
_Static_assert(NONE < 1 << 28, "an index, or NONE, fits into `next`");

struct queue {
    uint32_t first, last;
};

struct holder {     /* a unit that has asked, or leases something */
    uint32_t first; /* of the list through what it leases */
    uint32_t leased;
    uint64_t request_number;
    uint64_t lease;    /* that the answer to it is of */
    uint32_t *granted; /* the answer */
    uint32_t granted_count, granted_room;
    bool asked, dead;
};

struct rill_port_pool {
    uint32_t size;
    uint64_t quarantine_ns;
    struct endpoint *endpoints;
    struct queue free, quarantine;
    uint32_t counts[RILL_PORT_STATES];
    struct rill_id_map holders; /* unit to struct holder * */
    struct rill_port_counters counters;
};

/* Of what is before it only FREE ones know. */
static void queue_put(struct rill_port_pool *pool, struct queue *queue, uint32_t index)
{
    pool->endpoints[index].next = NONE;
    if (queue == &pool->free)
        pool->endpoints[index].value = queue->first == NONE ? NONE : queue->last;
    if (queue->first == NONE)
        queue->first = index;
    else
        pool->endpoints[queue->last].next = index;
    queue->last = index;
}

static uint32_t queue_take(struct rill_port_pool *pool, struct queue *queue)
{
    uint32_t index = queue->first;

    queue->first = pool->endpoints[index].next;
    if (queue == &pool->free && queue->first != NONE)
        pool->endpoints[queue->first].value = NONE;
    return index;
}

/* Takes a FREE one out of wherever it is. */
static void free_take(struct rill_port_pool *pool, uint32_t index)
{
    uint32_t before = (uint32_t)pool->endpoints[index].value, next = pool->endpoints[index].next;

    if (before == NONE) {
        queue_take(pool, &pool->free);
        return;
    }
    pool->endpoints[before].next = next;
    if (next == NONE)
        pool->free.last = before;
    else
        pool->endpoints[next].value = before;
}

static void set_state(struct rill_port_pool *pool, uint32_t index, enum rill_port_state state)
{
    pool->counts[pool->endpoints[index].state]--;
    pool->counts[state]++;
    pool->endpoints[index].state = state;
}

struct rill_port_pool *rill_port_pool_create(uint32_t size, uint64_t quarantine_ns)
{
    struct rill_port_pool *pool;

    if (size < 1 || size > RILL_PORT_POOL_MAX)
        return NULL;
    pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    pool->endpoints = calloc(size, sizeof(pool->endpoints[0]));
    if (pool->endpoints == NULL) {
        free(pool);
        return NULL;
    }
    pool->size = size;
    pool->quarantine_ns = quarantine_ns;
    pool->free.first = pool->quarantine.first = NONE;
    for (uint32_t i = 0; i < size; i++)
        queue_put(pool, &pool->free, i);
    pool->counts[RILL_PORT_FREE] = size;
    return pool;
}

static void holder_free(struct holder *holder)
{
    if (holder != NULL)
        free(holder->granted);
    free(holder);
}

void rill_port_pool_destroy(struct rill_port_pool *pool)
{
    if (pool == NULL)
        return;
    for (uint32_t i = 0; pool->holders.entries != NULL && i <= pool->holders.mask; i++) {
        if (pool->holders.entries[i].id != 0)
            holder_free((struct holder *)(uintptr_t)pool->holders.entries[i].value);
    }
    rill_id_map_fini(&pool->holders);
    free(pool->endpoints);
    free(pool);
}

const struct rill_port_counters *rill_port_pool_counters(const struct rill_port_pool *pool)
{
    return &pool->counters;
}

uint32_t rill_port_pool_size(const struct rill_port_pool *pool)
{
    return pool->size;
}

uint32_t rill_port_pool_count(const struct rill_port_pool *pool, enum rill_port_state state)
{
    return pool->counts[state];
}

enum rill_port_state rill_port_pool_state(const struct rill_port_pool *pool, uint32_t index,
                                          uint32_t *unit, uint64_t *flow)
{
    const struct endpoint *endpoint = &pool->endpoints[index];

    assert(index < pool->size);
    if (unit != NULL)
        *unit = endpoint->unit;
    if (flow != NULL)
        *flow = endpoint->state == RILL_PORT_USED ? endpoint->value : 0;
    return endpoint->state;
}

/* Units */

static struct holder *find(const struct rill_port_pool *pool, uint32_t unit)
{
    const uint64_t *value = rill_id_map_find(&pool->holders, unit);

    return value == NULL ? NULL : (struct holder *)(uintptr_t)*value;
}

static struct holder *find_or_add(struct rill_port_pool *pool, uint32_t unit)
{
    struct holder *holder = find(pool, unit);

    if (holder != NULL || unit == 0)
        return holder;
    holder = calloc(1, sizeof(*holder));
    if (holder == NULL)
        return NULL;
    holder->first = NONE;
    if (rill_id_map_put(&pool->holders, unit, (uintptr_t)holder) == NULL) {
        free(holder);
        return NULL;
    }
    return holder;
}

static void lease(struct rill_port_pool *pool, struct holder *holder, uint32_t unit, uint32_t index)
{
    struct endpoint *endpoint = &pool->endpoints[index];

    endpoint->unit = unit;
    endpoint->value = NONE;
    endpoint->next = holder->first;
    if (holder->first != NONE)
        pool->endpoints[holder->first].value = index;
    holder->first = index;
    holder->leased++;
    set_state(pool, index, RILL_PORT_LEASED);
}

/* Takes a LEASED or KEPT endpoint out of its unit's list. */
static void unlease(struct rill_port_pool *pool, uint32_t index)
{
    struct endpoint *endpoint = &pool->endpoints[index];
    struct holder *holder = find(pool, endpoint->unit);
    uint32_t before = (uint32_t)endpoint->value;

    assert(holder != NULL);
    if (before == NONE)
        holder->first = endpoint->next;
    else
        pool->endpoints[before].next = endpoint->next;
    if (endpoint->next != NONE)
        pool->endpoints[endpoint->next].value = before;
    holder->leased--;
}

static void set_free(struct rill_port_pool *pool, uint32_t index)
{
    pool->endpoints[index].unit = 0;
    queue_put(pool, &pool->free, index);
    set_state(pool, index, RILL_PORT_FREE);
}

static void rest(struct rill_port_pool *pool, uint32_t index, uint64_t now_ns)
{
    struct endpoint *endpoint = &pool->endpoints[index];

    endpoint->unit = 0;
    endpoint->value = now_ns + pool->quarantine_ns;
    if (endpoint->value < now_ns)
        endpoint->value = UINT64_MAX;
    queue_put(pool, &pool->quarantine, index);
    set_state(pool, index, RILL_PORT_QUARANTINE);
}

/* Leasing */

static bool leased_to(const struct rill_port_pool *pool, uint32_t index, uint32_t unit)
{
    return pool->endpoints[index].state == RILL_PORT_LEASED && pool->endpoints[index].unit == unit;
}

static uint32_t grant_again(struct rill_port_pool *pool, const struct holder *holder, uint32_t unit,
                            uint64_t *lease, uint32_t *out)
{
    uint32_t n = 0;

    *lease = holder->lease;
    for (uint32_t i = 0; i < holder->granted_count; i++) {
        if (leased_to(pool, holder->granted[i], unit))
            out[n++] = holder->granted[i];
    }
    pool->counters.grants_repeated++;
    return n;
}

static int make_room(struct holder *holder, uint32_t want)
{
    uint32_t *granted;

    if (want <= holder->granted_room)
        return 0;
    granted = realloc(holder->granted, want * sizeof(granted[0]));
    if (granted == NULL)
        return -1;
    holder->granted = granted;
    holder->granted_room = want;
    return 0;
}

int rill_port_pool_is_stale(const struct rill_port_pool *pool, uint32_t unit,
                            uint64_t request_number)
{
    const struct holder *holder = find(pool, unit);

    return holder != NULL && holder->asked && request_number < holder->request_number;
}

int rill_port_pool_knows(const struct rill_port_pool *pool, uint32_t unit)
{
    return find(pool, unit) != NULL;
}

static uint32_t grant_new(struct rill_port_pool *pool, struct holder *holder, uint32_t unit,
                          uint32_t want)
{
    uint32_t n = 0;

    for (; n < want && pool->free.first != NONE; n++) {
        holder->granted[n] = queue_take(pool, &pool->free);
        lease(pool, holder, unit, holder->granted[n]);
    }
    return n;
}

uint32_t rill_port_pool_grant(struct rill_port_pool *pool, uint32_t unit, uint64_t request_number,
                              uint32_t want, uint64_t *lease, uint32_t *out)
{
    struct holder *holder = find_or_add(pool, unit);

    if (want > RILL_PORT_GRANT_MAX)
        want = RILL_PORT_GRANT_MAX;
    if (holder == NULL || holder->dead || make_room(holder, want) != 0) {
        pool->counters.grants_dead++;
        return 0;
    }
    if (holder->asked && request_number < holder->request_number) {
        pool->counters.grants_stale++;
        return 0;
    }
    if (holder->asked && request_number == holder->request_number)
        return grant_again(pool, holder, unit, lease, out);
    holder->asked = true;
    holder->request_number = request_number;
    holder->lease = *lease;
    holder->granted_count = grant_new(pool, holder, unit, want);
    if (holder->granted_count > 0)
        memcpy(out, holder->granted, holder->granted_count * sizeof(out[0]));
    pool->counters.granted += holder->granted_count;
    pool->counters.grants_short += holder->granted_count < want;
    return holder->granted_count;
}

uint32_t rill_port_pool_returned(struct rill_port_pool *pool, uint32_t unit,
                                 const uint32_t *indexes, uint32_t n, uint64_t now_ns)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (indexes[i] >= pool->size || !leased_to(pool, indexes[i], unit)) {
            pool->counters.returned_stale++;
            continue;
        }
        unlease(pool, indexes[i]);
        rest(pool, indexes[i], now_ns);
        taken++;
    }
    pool->counters.returned += taken;
    return taken;
}

uint32_t rill_port_pool_unit_died(struct rill_port_pool *pool, uint32_t unit)
{
    struct holder *holder = find_or_add(pool, unit); /* a late request of it must find it dead */

    if (holder == NULL)
        return 0;
    if (!holder->dead) {
        holder->dead = true;
        free(holder->granted);
        holder->granted = NULL;
        holder->granted_room = 0;
        pool->counters.kept += holder->leased;
        for (uint32_t i = holder->first; i != NONE; i = pool->endpoints[i].next)
            set_state(pool, i, RILL_PORT_KEPT);
    }
    return holder->leased;
}

uint32_t rill_port_pool_release_dead(struct rill_port_pool *pool, uint32_t unit, uint64_t now_ns)
{
    struct holder *holder = find(pool, unit);
    uint32_t n = 0;

    if (holder == NULL || !holder->dead)
        return 0;
    for (; holder->first != NONE; n++) {
        uint32_t index = holder->first;

        unlease(pool, index);
        rest(pool, index, now_ns);
    }
    pool->counters.released_dead += n;
    return n;
}

uint32_t rill_port_pool_free_dead(struct rill_port_pool *pool, uint32_t unit)
{
    struct holder *holder = find(pool, unit);
    uint32_t n = 0;

    if (holder == NULL || !holder->dead)
        return 0;
    for (; holder->first != NONE; n++) {
        uint32_t index = holder->first;

        unlease(pool, index);
        set_free(pool, index);
    }
    pool->counters.freed_dead += n;
    return n;
}

/* Takeover */

int rill_port_pool_hold(struct rill_port_pool *pool, uint32_t holder_id)
{
    struct holder *holder = find_or_add(pool, holder_id);

    if (holder == NULL)
        return -ENOMEM;
    while (pool->free.first != NONE)
        lease(pool, holder, holder_id, queue_take(pool, &pool->free));
    return 0;
}

enum rill_port_result rill_port_pool_hand_over(struct rill_port_pool *pool, uint32_t index,
                                               uint32_t holder_id, uint32_t unit)
{
    struct holder *to;

    if (index >= pool->size)
        return RILL_PORT_RANGE;
    to = find_or_add(pool, unit);
    if (to == NULL || !leased_to(pool, index, holder_id))
        return RILL_PORT_NOT_LEASED;
    unlease(pool, index);
    lease(pool, to, unit, index);
    if (to->dead)
        set_state(pool, index, RILL_PORT_KEPT);
    return RILL_PORT_OK;
}

/* Use */

enum rill_port_result rill_port_pool_use(struct rill_port_pool *pool, uint32_t index, uint32_t unit,
                                         uint64_t flow)
{
    struct endpoint *endpoint = &pool->endpoints[index];

    if (index >= pool->size)
        return RILL_PORT_RANGE;
    if (endpoint->state == RILL_PORT_USED) {
        if (endpoint->value == flow)
            return RILL_PORT_OK;
        pool->counters.use_other_flow++;
        return RILL_PORT_OTHER_FLOW;
    }
    if (endpoint->state != RILL_PORT_KEPT && !leased_to(pool, index, unit)) {
        pool->counters.use_not_leased++;
        return RILL_PORT_NOT_LEASED;
    }
    unlease(pool, index);
    endpoint->value = flow;
    set_state(pool, index, RILL_PORT_USED);
    pool->counters.used++;
    return RILL_PORT_OK;
}

enum rill_port_result rill_port_pool_take(struct rill_port_pool *pool, uint32_t index,
                                          uint64_t flow)
{
    struct endpoint *endpoint = &pool->endpoints[index];

    if (index >= pool->size)
        return RILL_PORT_RANGE;
    if (endpoint->state != RILL_PORT_FREE)
        return RILL_PORT_NOT_LEASED;
    free_take(pool, index);
    endpoint->value = flow;
    set_state(pool, index, RILL_PORT_USED);
    pool->counters.taken++;
    return RILL_PORT_OK;
}

/* Does the flow use it? */
static enum rill_port_result used_by(struct rill_port_pool *pool, uint32_t index, uint64_t flow)
{
    if (index >= pool->size)
        return RILL_PORT_RANGE;
    if (pool->endpoints[index].state == RILL_PORT_USED && pool->endpoints[index].value == flow)
        return RILL_PORT_OK;
    pool->counters.ended_stale++;
    return RILL_PORT_NOT_USED;
}

enum rill_port_result rill_port_pool_flow_ended(struct rill_port_pool *pool, uint32_t index,
                                                uint64_t flow, uint64_t now_ns)
{
    enum rill_port_result result = used_by(pool, index, flow);

    if (result != RILL_PORT_OK)
        return result;
    rest(pool, index, now_ns);
    pool->counters.ended++;
    return RILL_PORT_OK;
}

enum rill_port_result rill_port_pool_rested(struct rill_port_pool *pool, uint32_t index,
                                            uint64_t flow)
{
    enum rill_port_result result = used_by(pool, index, flow);

    if (result != RILL_PORT_OK)
        return result;
    set_free(pool, index);
    pool->counters.rested++;
    return RILL_PORT_OK;
}

/* Time */

uint64_t rill_port_pool_next_ns(const struct rill_port_pool *pool)
{
    return pool->quarantine.first == NONE ? UINT64_MAX
                                          : pool->endpoints[pool->quarantine.first].value;
}

uint32_t rill_port_pool_advance(struct rill_port_pool *pool, uint64_t now_ns)
{
    uint32_t n = 0;

    for (; pool->quarantine.first != NONE && rill_port_pool_next_ns(pool) <= now_ns; n++) {
        uint32_t index = queue_take(pool, &pool->quarantine);

        set_free(pool, index);
    }
    pool->counters.freed += n;
    return n;
}
