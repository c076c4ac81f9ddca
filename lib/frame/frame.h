/* A frame: what one role sends to another. An mbuf whose private area holds the metadata below.
 *
 * On in-process rings a frame is handed over as it is. On any other fabric lib/frame/geneve.h
 * writes the metadata as Geneve options in front of the packet. There is no third format.
 *
 * Two kinds of frames: those that carry a packet (`rill_frame_has_packet`), whose data is that
 * packet from its Ethernet header on, and messages, whose data is the message's body, if it has one
 * (lib/frame/body.h).
 *
 * Which fields a type uses is said with the type; all others are zero, but for what is void: of
 * lists what is behind their end, and the tuple without its flag. `src`, `dst`, `epoch` and `vni`
 * are in every frame.
 */
#ifndef RILL_LIB_FRAME_FRAME_H
#define RILL_LIB_FRAME_FRAME_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_mbuf.h>

#include "lib/base/epoch.h"
#include "lib/base/flow_tuple.h"
#include "lib/base/role.h"

/* K: key fields `flow` (number). T: `term`. C: `clock`. S: `step`. W: `window`. N: `next_term` and
 * `next_unit`. H: `chain`. I: ingress fields. A "tag" is (term, step, clock, window). */
enum rill_frame_type {
    RILL_FRAME_NONE = 0,
    /* with a packet */
    RILL_FRAME_DATA = 1,      /* controller to unit: K T C H I, targets, tuple if flag TUPLE is set;
                                 flags:      how the flowlet began */
    RILL_FRAME_FORWARDED = 2, /* former owner to owner: a late packet. K T (the owner's) C H I,
                                 tuple as in DATA */
    RILL_FRAME_CHANGE = 3,   /* unit to output logger: K, tag, I, state bytes; may have no packet */
    RILL_FRAME_PASS = 4,     /* controller to output logger: release as it is. I */
    RILL_FRAME_INGRESS = 5,  /* client to controller: a packet that is due in. I */
    RILL_FRAME_RELEASED = 6, /* output logger to client: a packet that left. K I */
    RILL_FRAME_TURNED = 7,   /* output logger to controller: a packet that leaves and comes in again
                                from there. I; clock = its number, of those for that slot */
    /* handoff, unit to unit */
    RILL_FRAME_MOVE = 8, /* controller to unit: K T, N: term T goes on to N; H: chain below T */
    RILL_FRAME_PULL = 9, /* K T N: the holder of term T passes on to N, the asker; H: as in MOVE */
    RILL_FRAME_FINAL = 10,   /* K N, tag (term = the state's), `granted_term`, H; body: state, if
                                flag STATE is set */
    RILL_FRAME_REPLICA = 11, /* body: entries of (flow, tag, state), many flows in one frame */
    RILL_FRAME_TAKE =
        12, /* controller to unit: K T H: term T is yours, though there is no packet */
    /* unit and output logger */
    RILL_FRAME_FULL = 16,    /* K, tag, granted_term, `count`: idle for so many us (or more, if that
                                is UINT32_MAX); body: state */
    RILL_FRAME_NO_FULL = 17, /* K: "I do not have that flow" */
    RILL_FRAME_SYNC = 18, /* K, tag, granted_term, `count` as in FULL: "this is where I am, in that
                             term"; no state */
    RILL_FRAME_SYNC_ACK = 20,     /* K, tag, granted_term: "I am there too"; flag REFUSED: but keep
                                     yours, the controller has not answered for the alias */
    RILL_FRAME_REQUEST_FULL = 19, /* K: output logger asks its unit for FULL */
    /* recovery: a dead unit's output logger has its state */
    RILL_FRAME_LOGGER_PULL = 21,  /* unit or controller to output logger: K, tag (the asker's
                                     replica's), granted_term (the dead unit's, asked about), N:
                                     next_term is the asker's, next_unit the dead unit */
    RILL_FRAME_LOGGER_STATE = 22, /* the answer: K, tag, granted_term and N as asked; body: state,
                                     if flag STATE is set; flag REFUSED: nothing of that term;
                                     neither: the asker's replica is it */
    /* with the controller */
    RILL_FRAME_ESTABLISHED = 24,     /* output logger: K T next_unit = the unit; flag TUPLE: the
                                        state has it */
    RILL_FRAME_ESTABLISHED_ACK = 25, /* K T next_unit */
    RILL_FRAME_ALIAS = 26,           /* output logger: K T next_unit; body: struct rill_alias */
    RILL_FRAME_ALIAS_ACK = 27,       /* K T next_unit; body: the alias; flag REFUSED */
    RILL_FRAME_NEED = 28,   /* unit or output logger: K T next_unit: "may I forget this flow?" */
    RILL_FRAME_FORGET = 29, /* K T next_unit: forget it, if your term is below T; REFUSED: no, T
                               lives there */
    RILL_FRAME_WHERE = 30,  /* unit: K T: "what is the chain of my term?"; flag REFUSED: "what it
                               leads to is lost" */
    RILL_FRAME_CHAIN = 31,  /* K T H: the answer; flag REFUSED: your term was passed over */
    RILL_FRAME_POOL_REQUEST = 32, /* unit: `pool` index; `count` wanted; clock = its number */
    RILL_FRAME_POOL_GRANT = 33,   /* `pool`, `count`, clock; term = the lease's number; body:
                                     uint32_t[count] indexes */
    RILL_FRAME_FENCE = 34,        /* controller to output logger: take nothing more of next_unit */
    RILL_FRAME_FENCE_ACK = 35,    /* next_unit */
    RILL_FRAME_DEAD = 36, /* controller to unit: next_unit is dead, output logger `count` has
                             its state */
    /* a controller takes over: what is there? (lib/frame/inventory.h) */
    RILL_FRAME_INVENTORY = 37, /* to units and output loggers: clock = which part; term = the number
                                  of this list of the dead; body: struct rill_death[count] */
    RILL_FRAME_INVENTORY_PART = 38, /* the answer: clock, term as asked; next_term = the part after
                                       it; body: items */
    /* resource manager */
    RILL_FRAME_LEASE_REQUEST = 40, /* controller: `count` = thousandths of units wanted; clock = its
                                      number, echoed by the grant */
    RILL_FRAME_LEASE_GRANT = 41,   /* clock; body: struct rill_lease[count] */
    RILL_FRAME_SHARE = 42,     /* RM to unit: next_unit = controller, `count` = thousandths, clock =
                                  its number */
    RILL_FRAME_SHARE_ACK = 43, /* clock, next_unit, count */
    RILL_FRAME_DEATH = 44,     /* RM to controller: next_unit is dead, its output logger is `count`;
                                  0: that is dead, too */
    RILL_FRAME_DEATH_ACK = 45, /* next_unit, count: as the DEATH said */
    RILL_FRAME_RECOVERED =
        46, /* controller to RM: nothing of next_unit's is at its output logger only */
    RILL_FRAME_RECOVERED_ACK = 47, /* next_unit */
    RILL_FRAME_NEW_LOGGER =
        48, /* RM to unit: your output logger is next_unit; clock = its number */
    RILL_FRAME_NEW_LOGGER_ACK = 49,  /* clock; count = 1: and it has all that I have */
    RILL_FRAME_MEMBERS_REQUEST = 50, /* controller that takes over: clock = its number */
    RILL_FRAME_MEMBERS = 51, /* clock; body: struct rill_member[count]: all units that live, and all
                                that died and are not recovered from */
    /* unit and the store outside (state mode `external`) */
    RILL_FRAME_STORE_PUT = 56,   /* K, tag, granted_term; body: state */
    RILL_FRAME_STORE_ACK = 57,   /* K, tag, granted_term: as put; flag REFUSED: it was not kept */
    RILL_FRAME_STORE_GET = 58,   /* K, count = its number */
    RILL_FRAME_STORE_VALUE = 59, /* K, count; tag, granted_term and body: state, if flag STATE is
                                    set; else there is nothing */
    RILL_FRAME_TYPES = 64
};

enum rill_frame_flags {
    RILL_FLAG_PACKET = 1 << 0, /* the data is a packet: DATA, FORWARDED, PASS; CHANGE often */
    RILL_FLAG_FULL = 1 << 1,   /* CHANGE: its state bytes are the whole state, apply to any base */
    RILL_FLAG_TUPLE = 1 << 1,  /* DATA, FORWARDED: the flow's tuple is in the frame; ESTABLISHED: in
                                  the state (shares its bit with FULL, which is CHANGE's) */
    RILL_FLAG_STATE = 1 << 2,  /* FINAL, LOGGER_STATE, STORE_VALUE: the body holds the state */
    RILL_FLAG_ALIAS_KNOWN = 1 << 2, /* DATA, CHANGE: the controller of the frame's epoch knows this
                                       flow's alias (shares its bit with STATE, which is FINAL's) */
    RILL_FLAG_REFUSED = 1 << 3,     /* answers; WHERE */
    RILL_FLAG_ENDPOINT = 1 << 3,  /* DATA, FORWARDED: the endpoint with index `count` of pool `pool`
                                     is kept for this flow (shares its bit with REFUSED) */
    RILL_FLAG_ELSEWHERE = 1 << 4, /* CHANGE: too large to ride along, FULL went before */
    RILL_FLAG_FORGOTTEN = 1 << 4, /* WHERE: the term is said to be established, and is not known */
    RILL_FLAG_TURN = 1 << 5,      /* CHANGE: released, the packet comes in again (RILL_TURN) */
    RILL_FLAG_ENDED = 1 << 5,     /* WHERE: the NF has ended the flow */
    RILL_FLAG_BY_GAP = 1 << 5,    /* DATA: first packet of a flowlet that began by gap ... */
    RILL_FLAG_BY_SIZE = 1 << 6,   /* ... by size; neither: not a flowlet's first, or by period */
    RILL_FLAG_MOVED = 1 << 7,     /* DATA: first packet of its term, on another unit than before */
};

/* A former or present owner of a flow. The entry below a flow's first term is {RILL_BIRTH_TERM, 0}:
 * nothing came before, start from zeros. */
struct rill_chain_entry {
    uint64_t term;
    uint32_t unit;          /* role id */
    uint32_t output_logger; /* of a dead unit: ask this one instead, or RILL_LOGGER_LOST; 0: it
                               lives, as far as is known */
};
#define RILL_BIRTH_TERM 0
/* In place of an output logger: that is dead as well, and with it what only it had. */
#define RILL_LOGGER_LOST ((uint32_t)RILL_ROLE_OUTPUT_LOGGER << 24)

enum {
    RILL_CHAIN_MAX = 7,            /* entries: one handoff at a time, and deaths on top */
    RILL_CHAIN_MAX_WITH_TUPLE = 5, /* beside a tuple there is no room for more */
    RILL_CHAIN_MAX_WITH_BOTH = 4,  /* beside a tuple and an endpoint */
    RILL_TARGETS_MAX = 7,          /* replica targets */
    RILL_INLINE_STATE = 136        /* bytes of state that fit into a frame's options */
};

struct rill_frame {
    struct rte_mbuf *link; /* next in the list of who holds the frame; not metadata, never sent */
    /* line 1 */
    uint8_t type;  /* enum rill_frame_type */
    uint8_t flags; /* enum rill_frame_flags */
    uint8_t side;  /* enum rill_side: DATA, INGRESS, TURNED: where it came in; CHANGE, PASS,
                      RELEASED: where it leaves */
    uint8_t chain_len;
    uint32_t src, dst; /* role ids */
    uint16_t epoch;    /* of the controller whose flow this is, as the sender knows it */
    uint16_t pool;
    uint64_t flow; /* number: the clock of the flow's first packet */
    uint64_t term;
    uint64_t clock;
    uint64_t step;
    uint64_t window; /* bit i: clock - i was processed */
    /* line 2 */
    uint64_t next_term;
    uint64_t granted_term; /* in which the sender holds the state (tag.term may be older) */
    uint32_t next_unit;
    uint32_t vni;
    uint32_t count;
    uint32_t wire_bytes;   /* the packet's length on the wire; pkt_len may be less (snapped) */
    uint64_t ingress_ns;   /* when the packet was due in */
    uint64_t ingress_id;   /* given at the ingress; replayed: its number in the capture, from 1 */
    uint16_t state_offset; /* CHANGE: where in the flow's state the bytes go */
    uint8_t state_bytes;   /* how many, at most RILL_INLINE_STATE */
    uint8_t target_count;
    uint16_t first_sport, first_dport; /* later fragment: the ports of its first fragment */
    uint32_t zero;
    /* later lines */
    uint32_t targets[RILL_TARGETS_MAX];            /* role ids of the replica targets */
    struct rill_chain_entry chain[RILL_CHAIN_MAX]; /* newest first, down to the last established */
    uint8_t state[RILL_INLINE_STATE];
    struct rill_flow_tuple tuple; /* void without flag TUPLE */
};

/* The private area of every mbuf that can be a frame. */
#define RILL_FRAME_PRIVATE_BYTES RTE_ALIGN_CEIL(sizeof(struct rill_frame), RTE_MBUF_PRIV_ALIGN)

static inline struct rill_frame *rill_frame(struct rte_mbuf *m)
{
    return (struct rill_frame *)rte_mbuf_to_priv(m);
}

static inline bool rill_frame_has_packet(struct rte_mbuf *m)
{
    return (rill_frame(m)->flags & RILL_FLAG_PACKET) != 0;
}

/* Zeroes all but the inline state (which state_bytes = 0 makes void) and the tuple. */
static inline void rill_frame_reset(struct rill_frame *f)
{
    memset(f, 0, offsetof(struct rill_frame, state));
}

/* A new message without a body. NULL if the pool is empty. */
static inline struct rte_mbuf *rill_frame_new(struct rte_mempool *pool, enum rill_frame_type type,
                                              uint32_t src, uint32_t dst)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

    if (m != NULL) {
        struct rill_frame *f = rill_frame(m);

        rill_frame_reset(f);
        f->type = type;
        f->src = src;
        f->dst = dst;
    }
    return m;
}

/* The tuple of a DATA or FORWARDED frame; NULL if it has none. */
static inline const struct rill_flow_tuple *rill_frame_tuple(const struct rill_frame *f)
{
    return f->flags & RILL_FLAG_TUPLE ? &f->tuple : NULL;
}

/* Gives `to` the metadata of `from`; the state bytes only as far as state_bytes says. */
static inline void rill_frame_copy_metadata(struct rill_frame *to, const struct rill_frame *from)
{
    memcpy(to, from,
           offsetof(struct rill_frame, state) +
               RTE_MIN(from->state_bytes, (unsigned)RILL_INLINE_STATE));
    if (from->flags & RILL_FLAG_TUPLE)
        to->tuple = from->tuple;
    to->link = NULL;
}

/* A copy that shares nothing with m: metadata and all segments' data. NULL if the pool is empty. */
struct rte_mbuf *rill_frame_copy(struct rte_mbuf *m, struct rte_mempool *pool);

/* snake_case name of a type, "unknown" for one that is none. */
const char *rill_frame_type_name(uint8_t type);

#endif
