/* A fabric carries frames between roles. One interface, several implementations, one battery of
 * tests (fabric_battery.h) that all must pass.
 *
 * A role attaches under its id, sends bursts (each frame names its `dst`), and receives bursts.
 * What a fabric may do to a frame: lose it, delay it, double it, reorder it against others (inproc
 * does none of these while rings have room). What it may not do: change it, invent one, or give it
 * to another than its `dst`.
 *
 * Ownership: frames that send() takes belong to the fabric, then to the receiver. Frames that it
 * does not take (unknown destination, ring full) are freed by it and counted: the caller never gets
 * them back, so that a dead peer can not block a live one.
 *
 * Threads: inproc: each role may be in a thread of its own (one sender thread and one receiver
 * thread per link); attach and detach only while nobody sends. sim, memif: one thread.
 *
 * Constructors: inproc and sim below, memif (between processes) in fabric_memif.h.
 */
#ifndef RILL_LIB_FABRIC_FABRIC_H
#define RILL_LIB_FABRIC_FABRIC_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "lib/base/error.h"

struct rill_fabric_counters {
    uint64_t sent;      /* frames given to send() */
    uint64_t delivered; /* frames given out by recv() */
    uint64_t full;      /* freed: no room towards the destination */
    uint64_t no_route;  /* freed: nobody is attached under the destination */
    uint64_t lost;      /* freed: the network lost it (sim), or it came in unreadable (memif) */
    uint64_t doubled;   /* extra copies made (sim) */
    uint64_t reordered; /* frames that were given longer, and may be overtaken (sim) */
    uint64_t cut;       /* of those lost: on a link that was cut (sim) */
    /* of these, with a packet */
    uint64_t full_packets, no_route_packets, lost_packets, doubled_packets;
    /* fabrics between processes (memif) */
    uint64_t handed_over; /* frames that went into links to roles of other processes */
    uint64_t taken_over;  /* frames that came out of such links, the refused ones (lost) too */
    /* of these, with a packet; of a refused one as far as its headers can be read */
    uint64_t handed_over_packets, taken_over_packets;
};

struct rill_fabric {
    const struct rill_fabric_ops *ops;
    struct rill_fabric_counters counters; /* exact when no thread is sending */
};

struct rill_fabric_ops {
    const char *name;
    int (*attach)(struct rill_fabric *fabric, uint32_t role, struct rill_error *err);
    /* Frees what was on its way to the role; counted as no_route. */
    void (*detach)(struct rill_fabric *fabric, uint32_t role);
    /* Takes all n frames. `src` is the sender's id (the frames' own `src` may name another role: a
     * relay); a sender that is not attached reaches nobody (no_route). now_ns is when. */
    void (*send)(struct rill_fabric *fabric, uint32_t src, struct rte_mbuf **frames, uint32_t n,
                 uint64_t now_ns);
    /* Up to max frames for `role` that have arrived by now_ns, oldest first. */
    uint32_t (*recv)(struct rill_fabric *fabric, uint32_t role, struct rte_mbuf **frames,
                     uint32_t max, uint64_t now_ns);
    /* When the next frame arrives at any role; UINT64_MAX if none is on its way. */
    uint64_t (*next_ns)(struct rill_fabric *fabric);
    /* Where the fabric keeps up when the next frame arrives at `role`, UINT64_MAX if none is on its
     * way, so that a role that nothing has come for costs one load. The address holds until the
     * role detaches; NULL if it is not attached. NULL op: only recv() tells. */
    const uint64_t *(*arrival_ns)(struct rill_fabric *fabric, uint32_t role);
    /* Frames with a packet that are on their way. */
    uint64_t (*packets_in_flight)(struct rill_fabric *fabric);
    void (*destroy)(struct rill_fabric *fabric); /* frees all that is on its way; NULL is fine */
};

/* In-process: one single-producer single-consumer ring of `ring_frames` (power of 2; it holds one
 * less) per link, made on the first attach of both ends. Delivery is immediate: next_ns is 0 while
 * anything is there. Links take turns: recv() goes on with the link behind the last that it took
 * from, so "oldest first" holds within a link. */
struct rill_fabric *rill_fabric_inproc_create(uint32_t ring_frames, struct rill_error *err);

/* Simulated: virtual time, one thread, everything from the seed. Probabilities in [0, 1]. Every
 * link is FIFO where reorder is 0: a frame then never overtakes an earlier one of its link. A frame
 * is for whoever is attached under its `dst` when it arrives, not when it is sent. With the codec,
 * a frame that no wire could carry (lib/frame/geneve.h: -EMSGSIZE), or for which the pool is empty,
 * is counted as `full`; one that the codec refuses as wrong aborts the program. */
struct rill_fabric_sim_config {
    uint64_t seed;
    uint64_t delay_ns;  /* of every frame */
    uint64_t jitter_ns; /* plus uniform in [0, jitter_ns] */
    double loss;        /* a frame is lost */
    double duplicate;   /* a frame is delivered twice, the second with its own delay */
    double reorder;     /* a frame gets up to reorder_ns more and may be overtaken */
    uint64_t reorder_ns;
    struct rte_mempool *pool; /* for copies */
    bool codec; /* send every frame through the Geneve codec and back, as a real wire would */
    uint32_t ring_frames; /* on their way to one role at most, more are `full`; 0: any number */
};
struct rill_fabric *rill_fabric_sim_create(const struct rill_fabric_sim_config *config,
                                           struct rill_error *err);
/* Sets loss, duplicate, reorder, reorder_ns, jitter_ns and ring_frames anew, to calm or stir up the
 * network; the rest of *config is not looked at. Frames on their way keep theirs. */
void rill_fabric_sim_faults(struct rill_fabric *fabric,
                            const struct rill_fabric_sim_config *config);
/* From now on what `src` sends to `dst` is lost, until healed by the same call with false; 0 stands
 * for every role. The other direction is another link. -ENOSPC: too many cuts at a time. */
int rill_fabric_sim_cut(struct rill_fabric *fabric, uint32_t src, uint32_t dst, bool cut);
/* A network address that is used again: what is sent to `old`, which is not attached any more,
 * reaches `next`. -ENOSPC. */
int rill_fabric_sim_reuse(struct rill_fabric *fabric, uint32_t old, uint32_t next);

#endif
