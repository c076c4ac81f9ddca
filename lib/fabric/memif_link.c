#include "lib/fabric/memif_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "lib/fabric/memif_relay.h"

enum {
    TURN_US = 1000,          /* how often links to other processes are looked at ... */
    TURN_BUSY_US = 50,       /* ... and while one comes up or goes down */
    RETRY_MIN_US = 1000,     /* a client knocks again after so long ... */
    RETRY_MAX_US = 16000,    /* ... and each time later, up to this */
    LOCAL_WAIT_MS = 20000,   /* a driver that says nothing for so long never will */
    MESSAGES_A_TURN_MAX = 8, /* so that no peer keeps us busy */
};

/* What a client says first. Then the drivers' messages follow. */
struct greeting {
    char magic[8];
    uint32_t self, peer;
    uint32_t ring_frames, frame_bytes;
};

static const char MAGIC[8] = "rill-mi1";

static inline uint64_t after_us(const struct memif *f, uint64_t us)
{
    return rte_rdtsc() + us * f->us_tsc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- ends of links ---------------------------------------------------------------------------- */

static void set_addresses(struct link *link)
{
    struct rill_underlay u = {.src = {4, {10}}, .dst = {4, {10}}};
    uint8_t self[6] = {2,
                       'R',
                       (uint8_t)(link->self >> 24),
                       (uint8_t)(link->self >> 16),
                       (uint8_t)(link->self >> 8),
                       (uint8_t)link->self};
    uint8_t peer[6] = {2,
                       'R',
                       (uint8_t)(link->peer >> 24),
                       (uint8_t)(link->peer >> 16),
                       (uint8_t)(link->peer >> 8),
                       (uint8_t)link->peer};

    memcpy(u.src_mac, self, sizeof(self));
    memcpy(u.dst_mac, peer, sizeof(peer));
    memcpy(u.src.addr + 1, self + 3, 3);
    memcpy(u.dst.addr + 1, peer + 3, 3);
    rill_geneve_outer_init(&link->outer, &u);
    memcpy(link->header, self, sizeof(self));
    memcpy(link->header + sizeof(self), peer, sizeof(peer));
}

static int add_to_role(struct role *role, struct link *link)
{
    if (role->count == role->capacity) {
        uint32_t capacity = role->capacity ? role->capacity * 2 : 8;
        struct link **links = realloc(role->links, capacity * sizeof(links[0]));

        if (links == NULL)
            return -ENOMEM;
        role->links = links;
        role->capacity = capacity;
    }
    if (rill_id_map_put(&role->out, link->peer, (uintptr_t)link) == NULL)
        return -ENOMEM;
    role->links[role->count++] = link;
    return 0;
}

struct link *rill_memif_link_new(struct memif *f, struct role *role, uint32_t peer, int *code,
                                 struct rill_error *err)
{
    struct link *link = calloc(1, sizeof(*link));
    bool server = rill_fabric_memif_server(role->id, peer) == role->id;
    struct rill_error why = {""};

    *code = -ENOMEM;
    if (link == NULL)
        goto fail;
    link->self = role->id;
    link->peer = peer;
    link->remote = link->knocked = -1;
    link->retry_wait_us = RETRY_MIN_US;
    link->port = rill_memif_port_open(&f->ports, role->id, server, code, &why);
    if (link->port == NULL)
        goto fail;
    set_addresses(link);
    *code = add_to_role(role, link);
    if (*code == 0)
        return link;
    rill_memif_port_close(&f->ports, link->port);
fail:
    free(link);
    rill_error_set(err, *code, "fabric memif: no link between 0x%08x and 0x%08x: %s", role->id,
                   peer, why.text[0] ? why.text : "no memory");
    return NULL;
}

void rill_memif_link_free(struct memif *f, struct role *role, struct link *link)
{
    uint32_t i = 0;

    while (role->links[i] != link)
        i++;
    memmove(role->links + i, role->links + i + 1, (--role->count - i) * sizeof(role->links[0]));
    role->turn = 0;
    rill_id_map_remove(&role->out, link->peer);
    close_fd(&link->remote);
    close_fd(&link->knocked);
    rill_memif_port_disconnect(link->port);
    rill_memif_port_close(&f->ports, link->port);
    /* What a link within this fabric still held could not be read for want of buffers. */
    f->base.counters.lost += link->there;
    f->base.counters.lost_packets += link->there_packets;
    f->packets -= link->there_packets;
    free(link);
}

/* --- links within this fabric ----------------------------------------------------------------- */

static int negotiate(struct link *a, struct link *b)
{
    while (!rill_memif_port_is_up(a->port) || !rill_memif_port_is_up(b->port)) {
        struct pollfd fds[] = {{.fd = a->port->local, .events = POLLIN},
                               {.fd = b->port->local, .events = POLLIN}};
        enum rill_relay_result there = rill_relay_one(a->port->local, b->port->local);
        enum rill_relay_result back = rill_relay_one(b->port->local, a->port->local);

        if (there == RILL_RELAY_CLOSED || back == RILL_RELAY_CLOSED)
            return -ECONNRESET;
        /* The last message only brings the client up: there is nothing to wait for after it. */
        if (there == RILL_RELAY_NOTHING && back == RILL_RELAY_NOTHING &&
            !rill_memif_port_is_up(a->port) && poll(fds, RTE_DIM(fds), LOCAL_WAIT_MS) == 0)
            return -ETIMEDOUT;
    }
    return 0;
}

int rill_memif_link_local(struct memif *f, struct role *a, struct role *b, struct rill_error *err)
{
    struct role *server = rill_fabric_memif_server(a->id, b->id) == a->id ? a : b;
    struct role *client = server == a ? b : a;
    struct link *listener, *caller = NULL;
    struct rte_mbuf *none;
    int code;

    listener = rill_memif_link_new(f, server, client->id, &code, err);
    if (listener != NULL)
        caller = rill_memif_link_new(f, client, server->id, &code, err);
    if (caller != NULL) {
        code = rill_memif_port_connect(listener->port);
        if (code == 0)
            code = rill_memif_port_connect(caller->port);
        if (code == 0)
            code = negotiate(listener, caller);
        if (code != 0)
            rill_error_set(err, code, "fabric memif: 0x%08x and 0x%08x do not come together: %s",
                           a->id, b->id, strerror(-code));
    }
    if (code != 0) {
        if (caller != NULL)
            rill_memif_link_free(f, client, caller);
        if (listener != NULL)
            rill_memif_link_free(f, server, listener);
        return code;
    }
    listener->other = caller;
    caller->other = listener;
    listener->state = caller->state = LINK_UP;
    rill_memif_recv(f, caller, &none, 0); /* lays out buffers for the server to write to */
    return 0;
}

/* --- links to other processes: how they come up ----------------------------------------------- */

static struct greeting greeting_of(const struct memif *f, const struct link *link)
{
    struct greeting g = {.self = link->self,
                         .peer = link->peer,
                         .ring_frames = f->config.ring_frames,
                         .frame_bytes = RILL_FABRIC_MEMIF_FRAME_BYTES};

    memcpy(g.magic, MAGIC, sizeof(g.magic));
    return g;
}

static void retry_later(struct memif *f, struct link *link)
{
    close_fd(&link->remote);
    link->state = LINK_DOWN;
    link->retry_tsc = after_us(f, link->retry_wait_us);
    link->retry_wait_us = RTE_MIN(link->retry_wait_us * 2, (uint64_t)RETRY_MAX_US);
}

static void close_link(struct link *link)
{
    close_fd(&link->remote);
    link->state = LINK_CLOSING;
    rill_memif_port_hang_up(link->port);
}

/* A client knocks. Nothing here waits: where the server's queue is full, connect() says so. */
static void knock(struct memif *f, struct link *link)
{
    struct greeting g = greeting_of(f, link);
    struct sockaddr_un to;

    rill_memif_role_address(f->folder, link->peer, &to);
    link->remote = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->remote < 0 || connect(link->remote, (const struct sockaddr *)&to, sizeof(to)) != 0 ||
        send(link->remote, &g, sizeof(g), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(g))
        retry_later(f, link);
    else
        link->state = LINK_GREETED;
}

static void start_driver(struct link *link)
{
    link->state = LINK_NEGOTIATING;
    if (rill_memif_port_connect(link->port) != 0)
        close_link(link);
}

/* A client starts its driver once the server's driver has said something. */
static void wait_for_answer(struct memif *f, struct link *link)
{
    char byte;
    ssize_t n = recv(link->remote, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

    if (n > 0)
        start_driver(link);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        retry_later(f, link);
}

static enum rill_relay_result relay(int from, int to)
{
    enum rill_relay_result result = RILL_RELAY_DONE;

    for (int i = 0; i < MESSAGES_A_TURN_MAX && result == RILL_RELAY_DONE; i++)
        result = rill_relay_one(from, to);
    return result;
}

static void go_on_negotiating(struct memif *f, struct link *link)
{
    if (relay(link->port->local, link->remote) == RILL_RELAY_CLOSED ||
        relay(link->remote, link->port->local) == RILL_RELAY_CLOSED) {
        close_link(link);
    } else if (rill_memif_port_is_up(link->port)) {
        struct rte_mbuf *none;

        link->state = LINK_UP;
        link->retry_wait_us = RETRY_MIN_US;
        f->counters.links_up++;
        rill_memif_recv(f, link, &none, 0);
    }
}

/* --- ... and go down -------------------------------------------------------------------------- */

/* Reads what a dead peer had sent, whether or not its reader asks for it: until then the link can
 * not come up anew. A ring's worth at most, for a peer that is alive could go on for ever. */
static void drain(struct memif *f, struct role *role, struct link *link)
{
    struct rte_mbuf *frames[RILL_MEMIF_BURST];
    uint64_t starved = f->counters.starved;
    uint32_t n, all = 0;

    while (all < f->config.ring_frames &&
           (n = rill_memif_recv(f, link, frames, RILL_MEMIF_BURST)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            f->packets += rill_frame_has_packet(frames[i]);
            list_put(&role->left, frames[i]);
        }
        all += n;
    }
    if (f->counters.starved == starved)
        close_link(link);
}

/* The driver hears nothing any more from the peer, so it changes nothing while frames move. */
static void watch(struct memif *f, struct role *role, struct link *link)
{
    char byte;
    ssize_t n = recv(link->remote, &byte, 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR) && link->knocked < 0 &&
        relay(link->port->local, link->remote) != RILL_RELAY_CLOSED)
        return;
    f->counters.links_down++;
    close_fd(&link->remote);
    link->state = LINK_DRAINING;
    drain(f, role, link);
}

static void go_on_closing(struct memif *f, struct link *link)
{
    if (!rill_memif_port_is_down(link->port))
        return;
    retry_later(f, link);
}

static void rest(struct memif *f, struct link *link)
{
    if (link->port->server && link->knocked >= 0) {
        link->remote = link->knocked;
        link->knocked = -1;
        start_driver(link);
    } else if (!link->port->server && rte_rdtsc() >= link->retry_tsc) {
        knock(f, link);
    }
}

static void link_look(struct memif *f, struct role *role, struct link *link)
{
    switch (link->state) {
    case LINK_DOWN:
        rest(f, link);
        break;
    case LINK_GREETED:
        wait_for_answer(f, link);
        break;
    case LINK_NEGOTIATING:
        if (link->knocked >= 0) /* the peer is another by now */
            close_link(link);
        else
            go_on_negotiating(f, link);
        break;
    case LINK_UP:
        watch(f, role, link);
        break;
    case LINK_DRAINING:
        drain(f, role, link);
        break;
    case LINK_CLOSING:
        go_on_closing(f, link);
        break;
    }
}

/* --- clients that knock ----------------------------------------------------------------------- */

int rill_memif_listen_for(struct memif *f, struct role *role, struct rill_error *err)
{
    struct sockaddr_un address;

    if (role->listener >= 0)
        return 0;
    rill_memif_role_address(f->folder, role->id, &address);
    role->listener = rill_memif_listen(&address);
    if (role->listener < 0)
        return rill_error_set(err, role->listener, "fabric memif: cannot listen at %s: %s",
                              address.sun_path, strerror(-role->listener));
    return 0;
}

void rill_memif_listen_end(struct memif *f, struct role *role)
{
    struct sockaddr_un address;

    while (role->knock_count > 0)
        close(role->knocks[--role->knock_count]);
    if (role->listener < 0)
        return;
    rill_memif_role_address(f->folder, role->id, &address);
    unlink(address.sun_path);
    close_fd(&role->listener);
}

static void let_in(struct memif *f, struct role *role, int fd, const struct greeting *g)
{
    struct link *link = find_link(role, g->self);
    struct greeting ours;

    if (link == NULL || link->other != NULL || !link->port->server || g->peer != role->id) {
        close(fd); /* not linked here yet: it will try again */
        return;
    }
    ours = greeting_of(f, link);
    if (memcmp(g->magic, MAGIC, sizeof(MAGIC)) != 0 || g->ring_frames != ours.ring_frames ||
        g->frame_bytes != ours.frame_bytes) {
        f->counters.misfits++;
        close(fd);
        return;
    }
    close_fd(&link->knocked);
    link->knocked = fd;
}

static void answer_knocks(struct memif *f, struct role *role)
{
    uint32_t kept = 0;
    int fd;

    while (role->knock_count < RILL_MEMIF_KNOCKS &&
           (fd = accept4(role->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        role->knocks[role->knock_count++] = fd;
    for (uint32_t i = 0; i < role->knock_count; i++) {
        struct greeting g;
        ssize_t n = recv(role->knocks[i], &g, sizeof(g), MSG_DONTWAIT);

        if (n == sizeof(g))
            let_in(f, role, role->knocks[i], &g);
        else if (n < 0 && (errno == EAGAIN || errno == EINTR))
            role->knocks[kept++] = role->knocks[i];
        else
            close(role->knocks[i]);
    }
    role->knock_count = kept;
}

void rill_memif_turn(struct memif *f)
{
    bool busy = false;

    for (uint32_t i = 0; i < f->role_count; i++) {
        struct role *role = f->roles[i];

        if (role->listener >= 0)
            answer_knocks(f, role);
        for (uint32_t k = 0; k < role->count; k++) {
            struct link *link = role->links[k];

            if (link->other != NULL)
                continue;
            link_look(f, role, link);
            busy |= link->state == LINK_NEGOTIATING || link->state == LINK_CLOSING;
        }
    }
    f->turn_tsc = after_us(f, busy ? TURN_BUSY_US : TURN_US);
}
