#include "lib/fabric/memif_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

enum {
    RING_FRAMES_MIN = 64,
    RING_FRAMES_MAX = 8192, /* the driver counts a ring's bytes in an int */
    POOL_MIN = 1024,
};

uint32_t rill_fabric_memif_server(uint32_t a, uint32_t b)
{
    return RTE_MIN(a, b);
}

/* --- links to other processes ----------------------------------------------------------------- */

int rill_fabric_memif_link(struct rill_fabric *fabric, uint32_t id, uint32_t peer,
                           struct rill_error *err)
{
    struct memif *f = of(fabric);
    struct role *role = find(f, id);
    struct link *link;
    int code;

    if (role == NULL || find(f, peer) != NULL || rill_role_kind(peer) == RILL_ROLE_NONE ||
        rill_role_kind(peer) == RILL_ROLE_PORT)
        return rill_error_set(err, -EINVAL,
                              "fabric memif: 0x%08x to 0x%08x: the first must be attached here, "
                              "and the second be a role of another process",
                              id, peer);
    if (find_link(role, peer) != NULL)
        return 0;
    link = rill_memif_link_new(f, role, peer, &code, err);
    if (link == NULL)
        return code;
    code = link->port->server ? rill_memif_listen_for(f, role, err) : 0;
    if (code != 0) {
        rill_memif_link_free(f, role, link);
        return code;
    }
    f->remote_links++;
    return 0;
}

static void unlink_remote(struct memif *f, struct role *role, struct link *link)
{
    f->remote_links--;
    if (link->state == LINK_UP)
        f->counters.links_down++;
    /* A live peer could send on for ever: one ring's worth. */
    for (uint32_t i = 0; i < f->config.ring_frames; i += RILL_MEMIF_BURST) {
        struct rte_mbuf *frames[RILL_MEMIF_BURST];
        uint32_t n = rill_memif_recv(f, link, frames, RILL_MEMIF_BURST);

        for (uint32_t k = 0; k < n; k++)
            no_route(f, frames[k]);
    }
    rill_memif_link_free(f, role, link);
}

void rill_fabric_memif_unlink(struct rill_fabric *fabric, uint32_t id, uint32_t peer)
{
    struct memif *f = of(fabric);
    struct role *role = find(f, id);
    struct link *link = role == NULL ? NULL : find_link(role, peer);

    if (link != NULL && link->other == NULL)
        unlink_remote(f, role, link);
}

bool rill_fabric_memif_is_up(struct rill_fabric *fabric, uint32_t id, uint32_t peer)
{
    struct memif *f = of(fabric);
    struct role *role = find(f, id);
    struct link *link = role == NULL ? NULL : find_link(role, peer);

    turn_if_due(f);
    return link != NULL && link->state == LINK_UP;
}

const struct rill_fabric_memif_counters *rill_fabric_memif_counters(struct rill_fabric *fabric)
{
    return &of(fabric)->counters;
}

/* --- attach and detach ------------------------------------------------------------------------ */

static void role_free(struct role *role)
{
    rill_id_map_fini(&role->out);
    free(role->links);
    free(role);
}

static struct role *role_add(struct memif *f, uint32_t id)
{
    struct role *role = calloc(1, sizeof(*role));

    if (role == NULL)
        return NULL;
    role->id = id;
    list_init(&role->self);
    list_init(&role->left);
    role->listener = -1;
    if (f->role_count == f->role_capacity) {
        uint32_t capacity = f->role_capacity ? f->role_capacity * 2 : 8;
        struct role **roles = realloc(f->roles, capacity * sizeof(roles[0]));

        if (roles == NULL)
            goto fail;
        f->roles = roles;
        f->role_capacity = capacity;
    }
    if (rill_id_map_put(&f->slots, id, (uintptr_t)role) == NULL)
        goto fail;
    f->roles[f->role_count++] = role;
    return role;
fail:
    role_free(role);
    return NULL;
}

/* Ends a link within this fabric. What the role had sent still arrives. */
static void unlink_local(struct memif *f, struct role *role, struct link *link)
{
    struct role *peer = find(f, link->peer);
    struct link *other = link->other;
    struct rte_mbuf *frames[RILL_MEMIF_BURST];
    uint32_t n;

    while ((n = rill_memif_recv(f, link, frames, RILL_MEMIF_BURST)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            f->packets -= rill_frame_has_packet(frames[i]);
            no_route(f, frames[i]);
        }
    }
    while ((n = rill_memif_recv(f, other, frames, RILL_MEMIF_BURST)) > 0) {
        for (uint32_t i = 0; i < n; i++)
            list_put(&peer->left, frames[i]);
    }
    rill_memif_link_free(f, role, link);
    rill_memif_link_free(f, peer, other);
}

static void list_free(struct memif *f, struct frame_list *list)
{
    while (list->first != NULL) {
        struct rte_mbuf *m = list_take(list);

        f->packets -= rill_frame_has_packet(m);
        no_route(f, m);
    }
}

static void role_remove(struct memif *f, struct role *role)
{
    uint32_t i = 0;

    while (role->count > 0) {
        struct link *link = role->links[role->count - 1];

        if (link->other != NULL)
            unlink_local(f, role, link);
        else
            unlink_remote(f, role, link);
    }
    list_free(f, &role->self);
    list_free(f, &role->left);
    rill_memif_listen_end(f, role);
    while (f->roles[i] != role)
        i++;
    f->roles[i] = f->roles[--f->role_count];
    rill_id_map_remove(&f->slots, role->id);
    role_free(role);
}

static int memif_attach(struct rill_fabric *fabric, uint32_t id, struct rill_error *err)
{
    struct memif *f = of(fabric);
    struct role *role;

    if (rill_role_kind(id) == RILL_ROLE_NONE || rill_role_kind(id) == RILL_ROLE_PORT)
        return rill_error_set(err, -EINVAL, "fabric memif: 0x%08x is not a role's id", id);
    if (find(f, id) != NULL)
        return rill_error_set(err, -EEXIST, "fabric memif: role 0x%08x is attached already", id);
    for (uint32_t i = 0; i < f->role_count; i++) {
        if (find_link(f->roles[i], id) != NULL)
            return rill_error_set(err, -EEXIST,
                                  "fabric memif: role 0x%08x is linked as one of another process; "
                                  "unlink it first",
                                  id);
    }
    role = role_add(f, id);
    if (role == NULL)
        return rill_error_set(err, -ENOMEM, "fabric memif: no memory for role 0x%08x", id);
    for (uint32_t i = 0; i < f->role_count; i++) {
        int code = f->roles[i] == role ? 0 : rill_memif_link_local(f, f->roles[i], role, err);

        if (code != 0) {
            role_remove(f, role);
            return code;
        }
    }
    return 0;
}

static void memif_detach(struct rill_fabric *fabric, uint32_t id)
{
    struct memif *f = of(fabric);
    struct role *role = find(f, id);

    if (role != NULL)
        role_remove(f, role);
}

/* --- the hot path ----------------------------------------------------------------------------- */

static void send_self(struct memif *f, struct role *role, struct rte_mbuf **frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (role->self.count >= f->config.ring_frames) {
            full(f, frames[i]);
            continue;
        }
        f->packets += rill_frame_has_packet(frames[i]);
        list_put(&role->self, frames[i]);
    }
}

/* Frames of one run, all to the same role. */
static void send_run(struct memif *f, struct role *from, uint32_t dst, struct rte_mbuf **frames,
                     uint32_t n)
{
    struct link *link = find_link(from, dst);

    if (link != NULL && link->state == LINK_UP) {
        rill_memif_send(f, link, frames, n);
    } else if (dst == from->id) {
        send_self(f, from, frames, n);
    } else {
        for (uint32_t i = 0; i < n; i++)
            no_route(f, frames[i]);
    }
}

static void memif_send(struct rill_fabric *fabric, uint32_t src, struct rte_mbuf **frames,
                       uint32_t n, uint64_t now_ns)
{
    struct memif *f = of(fabric);
    struct role *from = find(f, src);
    uint32_t first = 0;

    (void)now_ns;
    turn_if_due(f);
    f->base.counters.sent += n;
    while (first < n) {
        uint32_t dst = rill_frame(frames[first])->dst;
        uint32_t end = first + 1;

        while (end < n && end - first < RILL_MEMIF_BURST && rill_frame(frames[end])->dst == dst)
            end++;
        if (from == NULL) {
            for (uint32_t i = first; i < end; i++)
                no_route(f, frames[i]);
        } else {
            send_run(f, from, dst, frames + first, end - first);
        }
        first = end;
    }
}

static uint32_t recv_list(struct memif *f, struct frame_list *list, struct rte_mbuf **frames,
                          uint32_t max)
{
    uint32_t got = 0;

    for (; got < max && list->first != NULL; got++) {
        frames[got] = list_take(list);
        f->packets -= rill_frame_has_packet(frames[got]);
    }
    return got;
}

/* From the role's i-th link; behind the last is the role itself. */
static uint32_t recv_from(struct memif *f, struct role *role, uint32_t i, struct rte_mbuf **frames,
                          uint32_t max)
{
    uint32_t got;

    if (i >= role->count)
        return recv_list(f, &role->self, frames, max);
    got = rill_memif_recv(f, role->links[i], frames, max);
    for (uint32_t k = 0; k < got && role->links[i]->other != NULL; k++)
        f->packets -= rill_frame_has_packet(frames[k]);
    return got;
}

static uint32_t memif_recv(struct rill_fabric *fabric, uint32_t id, struct rte_mbuf **frames,
                           uint32_t max, uint64_t now_ns)
{
    struct memif *f = of(fabric);
    struct role *role = find(f, id);
    uint32_t got;

    (void)now_ns;
    turn_if_due(f);
    if (role == NULL)
        return 0;
    got = recv_list(f, &role->left, frames, max);
    for (uint32_t i = 0; i <= role->count && got < max; i++) {
        got += recv_from(f, role, role->turn, frames + got, max - got);
        role->turn = role->turn >= role->count ? 0 : role->turn + 1;
    }
    f->base.counters.delivered += got;
    return got;
}

static uint64_t memif_next_ns(struct rill_fabric *fabric)
{
    struct memif *f = of(fabric);
    const struct rill_fabric_counters *c = &fabric->counters;
    uint64_t gone = c->delivered + c->full + c->no_route + c->lost + c->handed_over;

    return f->remote_links == 0 && c->sent + c->taken_over == gone ? UINT64_MAX : 0;
}

static uint64_t memif_packets_in_flight(struct rill_fabric *fabric)
{
    return of(fabric)->packets;
}

/* --- life ------------------------------------------------------------------------------------- */

static void memif_destroy(struct rill_fabric *fabric)
{
    struct memif *f = of(fabric);

    if (f == NULL)
        return;
    while (f->role_count > 0)
        role_remove(f, f->roles[f->role_count - 1]);
    rill_memif_ports_fini(&f->ports);
    rill_id_map_fini(&f->slots);
    free(f->roles);
    free(f->folder);
    free(f);
}

static int check(const struct rill_fabric_memif_config *config, struct rill_error *err)
{
    if (!rte_is_power_of_2(config->ring_frames) || config->ring_frames < RING_FRAMES_MIN ||
        config->ring_frames > RING_FRAMES_MAX)
        return rill_error_set(err, -EINVAL,
                              "fabric memif: %u frames a ring; give a power of two from %d to %d",
                              config->ring_frames, RING_FRAMES_MIN, RING_FRAMES_MAX);
    if (config->pool == NULL || config->pool->size < POOL_MIN)
        return rill_error_set(err, -EINVAL, "fabric memif: it needs a pool of at least %d buffers",
                              POOL_MIN);
    return rill_memif_folder_check(config->folder, err);
}

static void set_up(struct memif *f, const struct rill_fabric_memif_config *config)
{
    uint32_t segment_bytes = rte_pktmbuf_data_room_size(config->pool) - RTE_PKTMBUF_HEADROOM;

    f->config = *config;
    f->config.folder = f->folder;
    f->frame_segments = RILL_FABRIC_MEMIF_FRAME_BYTES / segment_bytes + 1;
    f->us_tsc = rte_get_tsc_hz() / 1000000;
    f->ports = (struct rill_memif_ports){
        .folder = f->folder,
        .log2_ring = rte_log2_u32(config->ring_frames),
        .buffer_bytes = RILL_FABRIC_MEMIF_FRAME_BYTES,
        .pool = config->pool,
    };
}

struct rill_fabric *rill_fabric_memif_create(const struct rill_fabric_memif_config *config,
                                             struct rill_error *err)
{
    static const struct rill_fabric_ops ops = {
        .name = "memif",
        .attach = memif_attach,
        .detach = memif_detach,
        .send = memif_send,
        .recv = memif_recv,
        .next_ns = memif_next_ns,
        .packets_in_flight = memif_packets_in_flight,
        .destroy = memif_destroy,
    };
    struct memif *f;

    if (check(config, err) != 0)
        return NULL;
    f = calloc(1, sizeof(*f));
    if (f != NULL)
        f->folder = strdup(config->folder);
    if (f == NULL || f->folder == NULL) {
        rill_error_set(err, -ENOMEM, "fabric memif: no memory");
        free(f);
        return NULL;
    }
    f->base.ops = &ops;
    set_up(f, config);
    return &f->base;
}
