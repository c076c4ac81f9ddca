/* What is remembered of a connection, and how it lies in its table's value.
 *
 *     hot | saved | told | window 0 | window 1 | warm 0 | warm 1 | reassembly 0 | reassembly 1
 *
 * The bytes from the lowest to the highest that a packet changes travel with it, so what most
 * packets change stands together; the saved searches of both directions lie without a gap. And a
 * value's zeros at its end cost nothing (rill/nf.h), so what few connections ever use stands there,
 * and is zeroed when it is used no more. All zeros is a new connection.
 */
#ifndef RILL_NFS_IDS_FLOW_H
#define RILL_NFS_IDS_FLOW_H

#include "nfs/ids/order.h"

enum { IDS_CANDIDATES_MAX = 64, IDS_TOLD_MAX = 16 };

/* One direction: 0 is from the client. */
struct ids_direction {
    uint32_t next;     /* sequence number that is awaited */
    uint32_t state;    /* the engine's */
    uint32_t position; /* of `next` in the stream; IDS_FAR_IN once it is beyond counting */
    uint32_t scanned;  /* bytes since the search began or began anew, modulo 2^32 */
};

struct ids_hot {
    struct ids_direction direction[2];
    uint32_t version; /* of the rules that the rest belongs to */
    uint8_t flags;
    uint8_t of[2]; /* flags of a direction */
    uint8_t n_extents[2], n_candidates[2];
    uint8_t n_told;  /* of `told`, at most IDS_TOLD_MAX */
    uint8_t told_at; /* the next one to be written */
    uint8_t unused[3];
};
_Static_assert(sizeof(struct ids_hot) == 48, "README.md says so: it fits beside the flow's head");

enum ids_flow_flags {
    IDS_CLIENT_KNOWN = 1,
    IDS_CLIENT_LESS = 2, /* the client's endpoint is the lesser one, as bytes */
    IDS_CLIENT_SEEN = 4,
    IDS_SERVER_SEEN = 8,
    IDS_PICKED_UP = 16, /* its first packet seen was no SYN */
    IDS_CLOSING = 32,   /* a FIN or RST was seen */
    IDS_DROPPED = 64,   /* a rule has said so: no packet of it passes any more */
};

enum ids_direction_flags {
    IDS_STARTED = 1,  /* `next` is known */
    IDS_SEARCHED = 2, /* there are rules for it */
    IDS_WINDOWED = 4, /* some of them need the window */
    IDS_FINISHED = 8, /* FIN was seen */
    IDS_LONG = 16,    /* `scanned` has been over the largest window */
    IDS_PACKETS = 32, /* there are rules of single packets for it, by their fast contents */
    IDS_BARE = 64,    /* and such that are judged on every packet */
};

/* A rule whose fast content was found, and whose other parts may be still to come. */
struct ids_candidate {
    uint32_t rule;
    uint32_t end; /* of the fast content, as ids_direction's `scanned` counts */
};

struct ids_warm {
    struct ids_extent extents[IDS_EXTENTS_MAX];
    struct ids_candidate candidates[IDS_CANDIDATES_MAX];
};

_Static_assert(sizeof(struct ids_warm) == 576, "README.md says so");

struct ids_layout {
    uint32_t window_bytes, reassembly_bytes, saved_bytes;         /* of each direction */
    uint32_t window[2], reassembly[2], warm[2], hot, saved, told; /* offsets */
    uint32_t bytes;
};

/* window_bytes and reassembly_bytes: powers of two, or window_bytes 0. */
struct ids_layout ids_layout_make(uint32_t window_bytes, uint32_t reassembly_bytes,
                                  uint32_t saved_bytes);

#endif
