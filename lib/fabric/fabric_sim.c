#include "lib/fabric/fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id_map.h"
#include "lib/base/rng.h"
#include "lib/fabric/event_heap.h"
#include "lib/fabric/role_pairs.h"
#include "lib/fabric/sim_wire.h"
#include "lib/frame/frame.h"

/* Every attached role has a heap of what is on its way to it; a heap of roles, by their earliest
 * frame, tells when anything happens next. What is on its way to nobody waits in one heap of its
 * own until it is due, because its receiver may attach before. */

/* Times beyond this can be added without a look at overflow. 2^61 ns are 73 years. */
#define TIME_MAX_NS (UINT64_C(1) << 61)

enum { RECENT = 256 }; /* roles of a few dozen units have a place each */

struct role {
    uint64_t next_ns; /* when the earliest on its way to it arrives */
    uint32_t id;
    uint32_t place;              /* in `order` */
    struct rill_event_heap heap; /* on the way to it */
    struct rill_id_map links; /* from it: receiver's id to when its latest frame in order arrives */
};

struct sim {
    struct rill_fabric base;
    struct rill_fabric_sim_config config;
    struct rill_rng rng;
    struct rill_id_map slots;    /* role id to slot */
    struct role *recent[RECENT]; /* found of late: saves most look-ups */
    struct role **roles;         /* by slot; NULL: free */
    uint32_t capacity;
    struct role **order; /* heap of the attached roles: the one with the earliest frame on top */
    uint32_t attached;
    struct rill_event_heap stray; /* to roles that are not attached */
    uint64_t number;
    uint64_t packets;
    struct rill_role_pairs cuts;   /* links over which nothing gets */
    struct rill_role_pairs reused; /* addresses of former roles, and who is there now */
};

static inline struct sim *of(struct rill_fabric *fabric)
{
    return (struct sim *)fabric;
}

static inline struct role **recent_of(struct sim *f, uint32_t id)
{
    return &f->recent[(rill_role_number(id) * 8 + rill_role_kind(id)) % RECENT];
}

static inline struct role *find(struct sim *f, uint32_t id)
{
    struct role **recent = recent_of(f, id);
    uint64_t *slot;

    if (*recent != NULL && (*recent)->id == id)
        return *recent;
    slot = rill_id_map_find(&f->slots, id);
    if (slot == NULL)
        return NULL;
    *recent = f->roles[*slot];
    return *recent;
}

/* Frees a frame that will not be delivered; its packet is counted, if it has one. */
static void discard(struct rte_mbuf *m, uint64_t *counter, uint64_t *packets)
{
    (*counter)++;
    *packets += rill_frame_has_packet(m);
    rte_pktmbuf_free(m);
}

static void no_route(struct sim *f, struct rte_mbuf *m)
{
    discard(m, &f->base.counters.no_route, &f->base.counters.no_route_packets);
}

/* --- the order of roles ----------------------------------------------------------------------- */

static inline uint64_t next_of(const struct role *role)
{
    return role->next_ns;
}

static inline void put_at(struct sim *f, uint32_t place, struct role *role)
{
    f->order[place] = role;
    role->place = place;
}

/* Restores the heap after the role's earliest frame has changed. */
static void reorder_role(struct sim *f, struct role *role)
{
    uint64_t ns = rill_event_heap_next_ns(&role->heap);
    uint32_t i = role->place, child;

    role->next_ns = ns;
    for (; i > 0 && ns < next_of(f->order[(i - 1) / 2]); i = (i - 1) / 2)
        put_at(f, i, f->order[(i - 1) / 2]);
    for (; (child = 2 * i + 1) < f->attached; i = child) {
        if (child + 1 < f->attached && next_of(f->order[child + 1]) < next_of(f->order[child]))
            child++;
        if (ns <= next_of(f->order[child]))
            break;
        put_at(f, i, f->order[child]);
    }
    put_at(f, i, role);
}

static void leave_order(struct sim *f, struct role *role)
{
    struct role *last = f->order[--f->attached];

    if (last != role) {
        put_at(f, role->place, last);
        reorder_role(f, last);
    }
}

/* --- attach and detach ------------------------------------------------------------------------ */

static int grow(struct sim *f)
{
    uint32_t capacity = f->capacity ? f->capacity * 2 : 16;
    struct role **roles = realloc(f->roles, capacity * sizeof(roles[0]));
    struct role **order;

    if (roles == NULL)
        return -ENOMEM;
    f->roles = roles;
    order = realloc(f->order, capacity * sizeof(order[0]));
    if (order == NULL)
        return -ENOMEM;
    f->order = order;
    memset(roles + f->capacity, 0, (capacity - f->capacity) * sizeof(roles[0]));
    f->capacity = capacity;
    return 0;
}

/* What is due by now and still has no receiver ends here. */
static void drop_strays(struct sim *f, uint64_t now_ns)
{
    while (f->stray.count > 0 && rill_event_heap_next_ns(&f->stray) <= now_ns) {
        struct rte_mbuf *m = rill_event_heap_pop(&f->stray).m;

        f->packets -= rill_frame_has_packet(m);
        no_route(f, m);
    }
}

/* Hands to a new role what was sent to it before it attached. */
static void adopt_strays(struct sim *f, struct role *role)
{
    struct rill_event_heap others = {0};

    for (uint32_t i = 0; i < f->stray.count; i++) {
        struct rill_event event = f->stray.events[i];

        rill_event_heap_push(rill_frame(event.m)->dst == role->id ? &role->heap : &others, event);
    }
    free(f->stray.events);
    f->stray = others;
}

static int sim_attach(struct rill_fabric *fabric, uint32_t id, struct rill_error *err)
{
    struct sim *f = of(fabric);
    struct role *role;
    uint32_t slot = 0;

    if (rill_role_kind(id) == RILL_ROLE_NONE || rill_role_kind(id) == RILL_ROLE_PORT)
        return rill_error_set(err, -EINVAL, "fabric sim: 0x%08x is not a role's id", id);
    if (find(f, id) != NULL)
        return rill_error_set(err, -EEXIST, "fabric sim: role 0x%08x is attached already", id);
    while (slot < f->capacity && f->roles[slot] != NULL)
        slot++;
    role = calloc(1, sizeof(*role));
    if (role == NULL || (slot == f->capacity && grow(f) != 0) ||
        rill_id_map_put(&f->slots, id, slot) == NULL) {
        free(role);
        return rill_error_set(err, -ENOMEM, "fabric sim: no memory for role 0x%08x", id);
    }
    role->id = id;
    f->roles[slot] = role;
    adopt_strays(f, role);
    put_at(f, f->attached++, role);
    reorder_role(f, role);
    return 0;
}

static void sim_detach(struct rill_fabric *fabric, uint32_t id)
{
    struct sim *f = of(fabric);
    struct role *role = find(f, id);

    if (role == NULL)
        return;
    for (uint32_t i = 0; i < role->heap.count; i++) {
        f->packets -= rill_frame_has_packet(role->heap.events[i].m);
        no_route(f, role->heap.events[i].m);
    }
    free(role->heap.events);
    rill_id_map_fini(&role->links);
    leave_order(f, role);
    *recent_of(f, id) = NULL;
    f->roles[*rill_id_map_find(&f->slots, id)] = NULL;
    rill_id_map_remove(&f->slots, id);
    for (uint32_t i = 0; i < f->attached; i++)
        rill_id_map_remove(&f->order[i]->links, id);
    free(role);
}

/* --- sending ---------------------------------------------------------------------------------- */

static inline bool hits(struct sim *f, double probability)
{
    return probability > 0 && rill_rng_double(&f->rng) < probability;
}

/* Uniform in [0, most]. */
static inline uint64_t up_to(struct sim *f, uint64_t most)
{
    if (most == 0)
        return 0;
    return (uint64_t)(((unsigned __int128)rill_rng_u64(&f->rng) * (most + 1)) >> 64);
}

/* When the frame arrives, given when the link's latest one in order does. */
static uint64_t arrival_ns(struct sim *f, uint64_t *last_ns, uint64_t now_ns)
{
    uint64_t ns = now_ns + f->config.delay_ns + up_to(f, f->config.jitter_ns);

    ns = RTE_MAX(ns, *last_ns);
    if (hits(f, f->config.reorder)) {
        f->base.counters.reordered++;
        return ns + up_to(f, f->config.reorder_ns);
    }
    *last_ns = ns;
    return ns;
}

static void schedule(struct sim *f, struct role *to, struct rte_mbuf *m, uint64_t deliver_ns)
{
    struct rill_event event = {.deliver_ns = deliver_ns, .number = f->number++, .m = m};

    if (to != NULL && f->config.ring_frames != 0 && to->heap.count >= f->config.ring_frames) {
        discard(m, &f->base.counters.full, &f->base.counters.full_packets);
        return;
    }
    f->packets += rill_frame_has_packet(m);
    if (to == NULL) {
        rill_event_heap_push(&f->stray, event);
        return;
    }
    rill_event_heap_push(&to->heap, event);
    if (to->heap.events[0].number == event.number)
        reorder_role(f, to);
}

/* False: it went no further, and is counted. */
static bool through_codec(struct sim *f, struct rte_mbuf **m)
{
    if (sim_wire(m, f->config.pool) == 0)
        return true;
    discard(*m, &f->base.counters.full, &f->base.counters.full_packets);
    return false;
}

static void lose_on_cut(struct sim *f, struct rte_mbuf *m)
{
    f->base.counters.cut++;
    discard(m, &f->base.counters.lost, &f->base.counters.lost_packets);
}

/* Who is under that address now. NULL: nobody. */
static struct role *receiver(struct sim *f, uint32_t dst)
{
    struct role *role = find(f, dst);

    for (uint32_t i = 0; role == NULL && i < f->reused.count; i++)
        if (f->reused.list[i].from == dst)
            role = receiver(f, f->reused.list[i].to);
    return role;
}

/* `last_ns`: the link's. */
static void send_one(struct sim *f, uint64_t *last_ns, struct role *to, struct rte_mbuf *m,
                     uint64_t now_ns)
{
    struct rte_mbuf *copy = NULL;

    if (hits(f, f->config.loss)) {
        discard(m, &f->base.counters.lost, &f->base.counters.lost_packets);
        return;
    }
    if (f->config.codec && !through_codec(f, &m))
        return;
    if (hits(f, f->config.duplicate))
        copy = rill_frame_copy(m, f->config.pool);
    schedule(f, to, m, arrival_ns(f, last_ns, now_ns));
    if (copy != NULL) {
        f->base.counters.doubled++;
        f->base.counters.doubled_packets += rill_frame_has_packet(copy);
        schedule(f, to, copy, arrival_ns(f, last_ns, now_ns));
    }
}

static void sim_send(struct rill_fabric *fabric, uint32_t src, struct rte_mbuf **frames, uint32_t n,
                     uint64_t now_ns)
{
    struct sim *f = of(fabric);
    struct role *from = find(f, src);
    struct role *to = NULL;
    uint64_t *last_ns = NULL;
    uint32_t dst = 0; /* of the frame before: bursts often go to one role */

    drop_strays(f, now_ns);
    f->base.counters.sent += n;
    for (uint32_t i = 0; i < n; i++) {
        if (from == NULL) {
            no_route(f, frames[i]);
            continue;
        }
        if (last_ns == NULL || rill_frame(frames[i])->dst != dst) {
            dst = rill_frame(frames[i])->dst;
            to = receiver(f, dst);
            last_ns = rill_id_map_find(&from->links, dst);
            if (last_ns == NULL && dst != 0)
                last_ns = rill_id_map_put(&from->links, dst, 0);
        }
        if (last_ns == NULL) /* to nobody, or no memory for another link */
            no_route(f, frames[i]);
        else if (rill_role_pairs_match(&f->cuts, src, dst))
            lose_on_cut(f, frames[i]);
        else
            send_one(f, last_ns, to, frames[i], now_ns);
    }
}

/* --- receiving -------------------------------------------------------------------------------- */

static uint32_t sim_recv(struct rill_fabric *fabric, uint32_t id, struct rte_mbuf **frames,
                         uint32_t max, uint64_t now_ns)
{
    struct sim *f = of(fabric);
    struct role *role = find(f, id);
    uint32_t got = 0;

    drop_strays(f, now_ns);
    if (role == NULL)
        return 0;
    while (got < max && role->heap.count > 0 && role->heap.events[0].deliver_ns <= now_ns) {
        frames[got] = rill_event_heap_pop(&role->heap).m;
        f->packets -= rill_frame_has_packet(frames[got]);
        got++;
    }
    if (got > 0)
        reorder_role(f, role);
    f->base.counters.delivered += got;
    return got;
}

static uint64_t sim_next_ns(struct rill_fabric *fabric)
{
    struct sim *f = of(fabric);
    uint64_t stray_ns = rill_event_heap_next_ns(&f->stray);

    return f->attached == 0 ? stray_ns : RTE_MIN(stray_ns, next_of(f->order[0]));
}

static const uint64_t *sim_arrival_ns(struct rill_fabric *fabric, uint32_t id)
{
    struct role *role = find(of(fabric), id);

    return role == NULL ? NULL : &role->next_ns;
}

static uint64_t sim_packets_in_flight(struct rill_fabric *fabric)
{
    return of(fabric)->packets;
}

/* --- life ------------------------------------------------------------------------------------- */

static void sim_destroy(struct rill_fabric *fabric)
{
    struct sim *f = of(fabric);

    if (f == NULL)
        return;
    while (f->attached > 0)
        sim_detach(fabric, f->order[0]->id);
    while (f->stray.count > 0)
        rte_pktmbuf_free(rill_event_heap_pop(&f->stray).m);
    free(f->stray.events);
    rill_id_map_fini(&f->slots);
    free(f->roles);
    free(f->order);
    free(f);
}

static bool is_probability(double p)
{
    return p >= 0 && p <= 1; /* not NaN */
}

static int check(const struct rill_fabric_sim_config *config, struct rill_error *err)
{
    if (!is_probability(config->loss) || !is_probability(config->duplicate) ||
        !is_probability(config->reorder))
        return rill_error_set(err, -EINVAL,
                              "fabric sim: loss %g, duplicate %g, reorder %g; each must be from 0 "
                              "to 1",
                              config->loss, config->duplicate, config->reorder);
    if (config->delay_ns > TIME_MAX_NS || config->jitter_ns > TIME_MAX_NS ||
        config->reorder_ns > TIME_MAX_NS)
        return rill_error_set(err, -EINVAL, "fabric sim: a delay is above 2^61 ns; give a shorter");
    if (config->pool == NULL && (config->duplicate > 0 || config->codec))
        return rill_error_set(err, -EINVAL,
                              "fabric sim: duplicates and the codec need a pool; give one");
    return 0;
}

struct rill_fabric *rill_fabric_sim_create(const struct rill_fabric_sim_config *config,
                                           struct rill_error *err)
{
    static const struct rill_fabric_ops ops = {
        .name = "sim",
        .attach = sim_attach,
        .detach = sim_detach,
        .send = sim_send,
        .recv = sim_recv,
        .next_ns = sim_next_ns,
        .arrival_ns = sim_arrival_ns,
        .packets_in_flight = sim_packets_in_flight,
        .destroy = sim_destroy,
    };
    struct sim *f;

    if (check(config, err) != 0)
        return NULL;
    f = calloc(1, sizeof(*f));
    if (f == NULL) {
        rill_error_set(err, -ENOMEM, "fabric sim: no memory");
        return NULL;
    }
    f->base.ops = &ops;
    f->config = *config;
    rill_rng_seed(&f->rng, config->seed);
    return &f->base;
}

void rill_fabric_sim_faults(struct rill_fabric *fabric, const struct rill_fabric_sim_config *config)
{
    struct rill_fabric_sim_config *now = &of(fabric)->config;
    struct rill_error err;

    now->jitter_ns = config->jitter_ns;
    now->loss = config->loss;
    now->duplicate = config->duplicate;
    now->reorder = config->reorder;
    now->reorder_ns = config->reorder_ns;
    now->ring_frames = config->ring_frames;
    if (check(now, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

int rill_fabric_sim_cut(struct rill_fabric *fabric, uint32_t src, uint32_t dst, bool cut)
{
    if (cut)
        return rill_role_pairs_add(&of(fabric)->cuts, src, dst);
    rill_role_pairs_remove(&of(fabric)->cuts, src, dst);
    return 0;
}

int rill_fabric_sim_reuse(struct rill_fabric *fabric, uint32_t old, uint32_t next)
{
    return rill_role_pairs_add(&of(fabric)->reused, old, next);
}
