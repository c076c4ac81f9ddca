/* Shared by the parts of the memif fabric: fabric_memif.c (roles), memif_link.c (a link's life) and
 * memif_frames.c (frames into and out of a link). For no one else.
 */
#ifndef RILL_LIB_FABRIC_MEMIF_INTERNAL_H
#define RILL_LIB_FABRIC_MEMIF_INTERNAL_H

#include <rte_cycles.h>

#include "lib/base/id_map.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/fabric/memif_port.h"
#include "lib/frame/frame.h"

enum {
    RILL_MEMIF_BURST = 32,
    RILL_MEMIF_KNOCKS = 16,
};

/* Of a link to another process. `remote` is the socket to it, except in DOWN, DRAINING, CLOSING. */
enum link_state {
    LINK_DOWN,        /* a client tries again at retry_tsc; a server waits for a knock */
    LINK_GREETED,     /* a client said who it is; the server's driver has not answered yet */
    LINK_NEGOTIATING, /* the drivers' messages are relayed */
    LINK_UP,
    LINK_DRAINING, /* the peer is gone, and there were no buffers to read all that it sent */
    LINK_CLOSING,  /* until the driver has let go of the memory */
};

struct link {
    uint32_t self, peer;
    struct rill_memif_port *port;
    struct link *other; /* the other end, if it is in this fabric; else NULL */
    enum link_state state;
    uint8_t header[12];             /* of frames that arrive here: destination and source address */
    struct rill_geneve_outer outer; /* of frames that leave */
    uint64_t there, there_packets;  /* towards us in the ring; counted where `other` is known */
    int remote;
    int knocked; /* a server's: the peer is here anew while the old link is taken down; else -1 */
    uint64_t retry_tsc, retry_wait_us;
};

/* Frames that wait here, linked through their metadata; oldest first. */
struct frame_list {
    struct rte_mbuf *first, **end;
    uint32_t count;
};

struct role {
    uint32_t id;
    struct rill_id_map out; /* peer to struct link * */
    struct link **links;
    uint32_t count, capacity;
    uint32_t turn;          /* the link that is asked first */
    struct frame_list self; /* to itself */
    struct frame_list left; /* what came out of links that are gone: these go first */
    int listener;           /* for its clients; -1: it has none */
    int knocks[RILL_MEMIF_KNOCKS];
    uint32_t knock_count;
};

struct memif {
    struct rill_fabric base;
    struct rill_fabric_memif_config config;
    struct rill_fabric_memif_counters counters;
    struct rill_memif_ports ports;
    char *folder;
    struct rill_id_map slots; /* role id to struct role * */
    struct role **roles;
    uint32_t role_count, role_capacity;
    uint32_t remote_links;
    uint32_t frame_segments; /* buffers that the longest frame takes */
    uint64_t packets;        /* on their way between roles of this fabric */
    uint64_t turn_tsc, us_tsc;
};

static inline struct memif *of(struct rill_fabric *fabric)
{
    return (struct memif *)fabric;
}

static inline struct role *find(struct memif *f, uint32_t id)
{
    uint64_t *value = rill_id_map_find(&f->slots, id);

    return value == NULL ? NULL : (struct role *)(uintptr_t)*value;
}

static inline struct link *find_link(struct role *role, uint32_t peer)
{
    uint64_t *value = rill_id_map_find(&role->out, peer);

    return value == NULL ? NULL : (struct link *)(uintptr_t)*value;
}

static inline void discard(struct rte_mbuf *m, uint64_t *counter, uint64_t *packets)
{
    (*counter)++;
    *packets += rill_frame_has_packet(m);
    rte_pktmbuf_free(m);
}

static inline void no_route(struct memif *f, struct rte_mbuf *m)
{
    discard(m, &f->base.counters.no_route, &f->base.counters.no_route_packets);
}

static inline void full(struct memif *f, struct rte_mbuf *m)
{
    discard(m, &f->base.counters.full, &f->base.counters.full_packets);
}

static inline void list_init(struct frame_list *list)
{
    *list = (struct frame_list){.end = &list->first};
}

static inline void list_put(struct frame_list *list, struct rte_mbuf *m)
{
    rill_frame(m)->link = NULL;
    *list->end = m;
    list->end = &rill_frame(m)->link;
    list->count++;
}

/* The list is not empty. */
static inline struct rte_mbuf *list_take(struct frame_list *list)
{
    struct rte_mbuf *m = list->first;

    list->first = rill_frame(m)->link;
    if (list->first == NULL)
        list->end = &list->first;
    rill_frame(m)->link = NULL;
    list->count--;
    return m;
}

/* --- memif_frames.c --- */

/* Up to RILL_MEMIF_BURST frames that arrived; those that are none are gone and counted. */
uint32_t rill_memif_recv(struct memif *f, struct link *link, struct rte_mbuf **frames,
                         uint32_t max);
/* Takes at most RILL_MEMIF_BURST frames, all to the link's peer. The link is up. */
void rill_memif_send(struct memif *f, struct link *link, struct rte_mbuf **frames, uint32_t n);

/* --- memif_link.c --- */

/* This process's end of a link of `role`, which is not up yet. NULL with a line in *err; *code is
 * a negative errno. */
struct link *rill_memif_link_new(struct memif *f, struct role *role, uint32_t peer, int *code,
                                 struct rill_error *err);
/* What it still holds is lost, and counted where that can be. */
void rill_memif_link_free(struct memif *f, struct role *role, struct link *link);
/* Links two roles of this fabric; both ends are up then. */
int rill_memif_link_local(struct memif *f, struct role *a, struct role *b, struct rill_error *err);
/* The role listens for clients in other processes; a second call does nothing. */
int rill_memif_listen_for(struct memif *f, struct role *role, struct rill_error *err);
void rill_memif_listen_end(struct memif *f, struct role *role);
/* Looks at the links to other processes. */
void rill_memif_turn(struct memif *f);

static inline void turn_if_due(struct memif *f)
{
    if (f->remote_links != 0 && rte_rdtsc() >= f->turn_tsc)
        rill_memif_turn(f);
}

#endif
