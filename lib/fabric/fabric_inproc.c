#include "lib/fabric/fabric.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ring.h>

#include "lib/base/id_map.h"
#include "lib/frame/frame.h"

/* One ring per ordered pair of roles, a role's to itself included. While nobody sends, attach and
 * detach build and tear them down; send and recv only read what they built, so they need no lock.
 */

struct link {
    struct rte_ring *ring;
    uint32_t src; /* 0: the sender is gone, what it sent is not */
};

struct role {
    uint32_t id;
    uint32_t slot;
    struct rte_ring **out; /* by the receiver's slot */
    struct link *in;
    uint32_t in_count, in_capacity;
    uint32_t turn;     /* the incoming link that is asked first */
} __rte_cache_aligned; /* one thread's own */

struct inproc {
    struct rill_fabric base;
    uint32_t ring_frames;
    struct rill_id_map slots; /* role id to slot */
    struct role **roles;      /* by slot; NULL: free */
    uint32_t capacity;
    uint64_t packets; /* on their way */
};

static inline struct inproc *of(struct rill_fabric *fabric)
{
    return (struct inproc *)fabric;
}

/* Counters are shared by all roles' threads; once per burst, not per frame. */
static inline void count(uint64_t *counter, uint64_t n)
{
    if (n != 0)
        __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline struct role *find(struct inproc *f, uint32_t id)
{
    uint64_t *slot = rill_id_map_find(&f->slots, id);

    return slot == NULL ? NULL : f->roles[*slot];
}

static uint32_t packets_among(struct rte_mbuf **frames, uint32_t n)
{
    uint32_t packets = 0;

    for (uint32_t i = 0; i < n; i++)
        packets += rill_frame_has_packet(frames[i]);
    return packets;
}

static void refuse(struct rte_mbuf **frames, uint32_t n, uint64_t *counter, uint64_t *packets)
{
    count(counter, n);
    count(packets, packets_among(frames, n));
    for (uint32_t i = 0; i < n; i++)
        rte_pktmbuf_free(frames[i]);
}

static void no_route(struct inproc *f, struct rte_mbuf **frames, uint32_t n)
{
    refuse(frames, n, &f->base.counters.no_route, &f->base.counters.no_route_packets);
}

/* --- links ------------------------------------------------------------------------------------ */

static struct rte_ring *ring_new(uint32_t frames)
{
    ssize_t bytes = rte_ring_get_memsize(frames);
    struct rte_ring *ring = NULL;

    if (bytes > 0)
        ring = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_CACHE_LINE_ROUNDUP((size_t)bytes));
    if (ring != NULL && rte_ring_init(ring, "link", frames, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
        free(ring);
        ring = NULL;
    }
    return ring;
}

static int connect(struct inproc *f, struct role *src, struct role *dst)
{
    struct rte_ring *ring;

    if (dst->in_count == dst->in_capacity) {
        uint32_t capacity = dst->in_capacity ? dst->in_capacity * 2 : 16;
        struct link *in = realloc(dst->in, capacity * sizeof(in[0]));

        if (in == NULL)
            return -ENOMEM;
        dst->in = in;
        dst->in_capacity = capacity;
    }
    ring = ring_new(f->ring_frames);
    if (ring == NULL)
        return -ENOMEM;
    src->out[dst->slot] = ring;
    dst->in[dst->in_count++] = (struct link){.ring = ring, .src = src->id};
    return 0;
}

/* Takes out of dst's list the links whose sender is gone, once they are empty. */
static void forget_senders(struct role *dst)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < dst->in_count; i++) {
        if (dst->in[i].src == 0 && rte_ring_empty(dst->in[i].ring))
            free(dst->in[i].ring);
        else
            dst->in[kept++] = dst->in[i];
    }
    dst->in_count = kept;
    dst->turn = 0;
}

static void drain(struct inproc *f, struct rte_ring *ring)
{
    struct rte_mbuf *m;

    while (rte_ring_sc_dequeue(ring, (void **)&m) == 0) {
        f->packets -= rill_frame_has_packet(m);
        no_route(f, &m, 1);
    }
}

/* --- attach and detach ------------------------------------------------------------------------ */

static void role_free(struct role *role)
{
    if (role == NULL)
        return;
    free(role->out);
    free(role->in);
    free(role);
}

static void role_remove(struct inproc *f, struct role *role)
{
    for (uint32_t i = 0; i < role->in_count; i++) {
        struct role *src = find(f, role->in[i].src);

        drain(f, role->in[i].ring);
        free(role->in[i].ring);
        if (src != NULL)
            src->out[role->slot] = NULL;
    }
    role->in_count = 0;
    rill_id_map_remove(&f->slots, role->id);
    f->roles[role->slot] = NULL;
    for (uint32_t i = 0; i < f->capacity; i++) {
        struct role *dst = f->roles[i];

        for (uint32_t k = 0; dst != NULL && k < dst->in_count; k++) {
            if (dst->in[k].src == role->id)
                dst->in[k].src = 0;
        }
        if (dst != NULL)
            forget_senders(dst);
    }
    role_free(role);
}

static int grow(struct inproc *f)
{
    uint32_t capacity = f->capacity ? f->capacity * 2 : 16;
    struct role **roles = realloc(f->roles, capacity * sizeof(roles[0]));

    if (roles == NULL)
        return -ENOMEM;
    f->roles = roles;
    memset(roles + f->capacity, 0, (capacity - f->capacity) * sizeof(roles[0]));
    for (uint32_t i = 0; i < f->capacity; i++) {
        struct rte_ring **out = realloc(roles[i]->out, capacity * sizeof(out[0]));

        if (out == NULL)
            return -ENOMEM;
        roles[i]->out = out;
        memset(out + f->capacity, 0, (capacity - f->capacity) * sizeof(out[0]));
    }
    f->capacity = capacity;
    return 0;
}

/* Puts the role into a free slot, without links. */
static struct role *role_add(struct inproc *f, uint32_t id)
{
    struct role *role = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*role));
    uint32_t slot = 0;

    if (role == NULL)
        return NULL;
    *role = (struct role){.id = id};
    while (slot < f->capacity && f->roles[slot] != NULL)
        slot++;
    if (slot == f->capacity && grow(f) != 0)
        goto fail;
    role->slot = slot;
    role->out = calloc(f->capacity, sizeof(role->out[0]));
    if (role->out == NULL || rill_id_map_put(&f->slots, id, slot) == NULL)
        goto fail;
    f->roles[slot] = role;
    return role;
fail:
    role_free(role);
    return NULL;
}

static int inproc_attach(struct rill_fabric *fabric, uint32_t id, struct rill_error *err)
{
    struct inproc *f = of(fabric);
    struct role *role;
    int code = 0;

    if (rill_role_kind(id) == RILL_ROLE_NONE || rill_role_kind(id) == RILL_ROLE_PORT)
        return rill_error_set(err, -EINVAL, "fabric inproc: 0x%08x is not a role's id", id);
    if (find(f, id) != NULL)
        return rill_error_set(err, -EEXIST, "fabric inproc: role 0x%08x is attached already", id);
    role = role_add(f, id);
    if (role == NULL)
        code = -ENOMEM;
    for (uint32_t i = 0; code == 0 && i < f->capacity; i++) {
        struct role *other = f->roles[i];

        if (other == NULL)
            continue;
        forget_senders(other);
        code = connect(f, other, role);
        if (code == 0 && other != role)
            code = connect(f, role, other);
    }
    if (code != 0) {
        if (role != NULL)
            role_remove(f, role);
        return rill_error_set(err, code,
                              "fabric inproc: no memory for the rings of role 0x%08x; use fewer "
                              "roles or shorter rings",
                              id);
    }
    return 0;
}

static void inproc_detach(struct rill_fabric *fabric, uint32_t id)
{
    struct inproc *f = of(fabric);
    struct role *role = find(f, id);

    if (role != NULL)
        role_remove(f, role);
}

/* --- the hot path ----------------------------------------------------------------------------- */

/* Frames of one run, all to the same role. */
static void send_run(struct inproc *f, struct rte_ring *ring, struct rte_mbuf **frames, uint32_t n)
{
    /* Counted before they can be received, so that the count never falls below what is there. */
    uint32_t packets = packets_among(frames, n);
    uint32_t taken;

    count(&f->packets, packets);
    taken = rte_ring_sp_enqueue_burst(ring, (void **)frames, n, NULL);
    if (taken < n) {
        count(&f->packets, -(uint64_t)packets_among(frames + taken, n - taken));
        refuse(frames + taken, n - taken, &f->base.counters.full, &f->base.counters.full_packets);
    }
}

static void inproc_send(struct rill_fabric *fabric, uint32_t src, struct rte_mbuf **frames,
                        uint32_t n, uint64_t now_ns)
{
    struct inproc *f = of(fabric);
    struct role *from = find(f, src);
    uint32_t first = 0;

    (void)now_ns;
    count(&f->base.counters.sent, n);
    while (first < n) {
        uint32_t dst = rill_frame(frames[first])->dst;
        uint64_t *slot = from == NULL ? NULL : rill_id_map_find(&f->slots, dst);
        uint32_t end = first + 1;

        while (end < n && rill_frame(frames[end])->dst == dst)
            end++;
        if (slot == NULL)
            no_route(f, frames + first, end - first);
        else
            send_run(f, from->out[*slot], frames + first, end - first);
        first = end;
    }
}

static uint32_t inproc_recv(struct rill_fabric *fabric, uint32_t id, struct rte_mbuf **frames,
                            uint32_t max, uint64_t now_ns)
{
    struct inproc *f = of(fabric);
    struct role *role = find(f, id);
    uint32_t got = 0;
    uint32_t turn;

    (void)now_ns;
    if (role == NULL)
        return 0;
    turn = role->turn;
    for (uint32_t i = 0; i < role->in_count && got < max; i++) {
        got +=
            rte_ring_sc_dequeue_burst(role->in[turn].ring, (void **)frames + got, max - got, NULL);
        turn = turn + 1 == role->in_count ? 0 : turn + 1;
    }
    role->turn = turn;
    if (got != 0) {
        count(&f->base.counters.delivered, got);
        count(&f->packets, -(uint64_t)packets_among(frames, got));
    }
    return got;
}

static uint64_t inproc_next_ns(struct rill_fabric *fabric)
{
    struct rill_fabric_counters *c = &fabric->counters;
    /* `sent` is read last: what is sent meanwhile makes the sum larger, never smaller. */
    uint64_t gone = __atomic_load_n(&c->delivered, __ATOMIC_ACQUIRE) +
                    __atomic_load_n(&c->full, __ATOMIC_ACQUIRE) +
                    __atomic_load_n(&c->no_route, __ATOMIC_ACQUIRE);

    return __atomic_load_n(&c->sent, __ATOMIC_ACQUIRE) == gone ? UINT64_MAX : 0;
}

static uint64_t inproc_packets_in_flight(struct rill_fabric *fabric)
{
    return __atomic_load_n(&of(fabric)->packets, __ATOMIC_ACQUIRE);
}

static void inproc_destroy(struct rill_fabric *fabric)
{
    struct inproc *f = of(fabric);

    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->capacity; i++) {
        if (f->roles[i] != NULL)
            role_remove(f, f->roles[i]);
    }
    rill_id_map_fini(&f->slots);
    free(f->roles);
    free(f);
}

struct rill_fabric *rill_fabric_inproc_create(uint32_t ring_frames, struct rill_error *err)
{
    static const struct rill_fabric_ops ops = {
        .name = "inproc",
        .attach = inproc_attach,
        .detach = inproc_detach,
        .send = inproc_send,
        .recv = inproc_recv,
        .next_ns = inproc_next_ns,
        .packets_in_flight = inproc_packets_in_flight,
        .destroy = inproc_destroy,
    };
    struct inproc *f;

    if (ring_frames < 2 || ring_frames > RTE_RING_SZ_MASK || !rte_is_power_of_2(ring_frames)) {
        rill_error_set(err, -EINVAL, "fabric inproc: %u frames a ring; give a power of two from 2",
                       ring_frames);
        return NULL;
    }
    f = calloc(1, sizeof(*f));
    if (f == NULL) {
        rill_error_set(err, -ENOMEM, "fabric inproc: no memory");
        return NULL;
    }
    f->base.ops = &ops;
    f->ring_frames = ring_frames;
    return &f->base;
}
