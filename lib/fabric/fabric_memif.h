/* Frames between processes of one machine, over shared memory: DPDK's memif driver, one link per
 * pair of roles. docs/fabrics.md has the picture, the limits and the figures.
 *
 * What fabric.h promises, and besides:
 *  - A role that attaches here gets links to all other roles of this fabric. A link to a role in
 *    another process is made by rill_fabric_memif_link(), which each of the two processes calls for
 *    its end, in any order. It comes up when both have; until then, and while the peer is dead,
 *    frames to it are counted as no_route. It comes up again by itself when the peer is back.
 *  - Nothing here ever waits for another process. A peer that is dead or asleep costs frames (full,
 *    no_route), never time.
 *  - What a peer sent before it died still arrives. What had been handed to a link when its
 *    receiver died is lost, and the sender can not know how much of it was taken. What can be
 * known: handed_over counts what went into links to other processes, taken_over what came out of
 * them, and in every process, at any time, sent + taken_over = delivered + full + no_route + lost +
 * handed_over + on the way within.
 *  - lost: frames that arrived and are none of ours, or not for this link; by reason in
 *    rill_fabric_memif_counters().
 *  - next_ns() is 0 as long as there is a link to another process: something may come at any time.
 *  - packets_in_flight() knows of frames that are in this process only.
 *
 * One thread uses the fabric. Peers are trusted not to write garbage into the shared memory: the
 * driver does not check what it reads there.
 */
#ifndef RILL_LIB_FABRIC_FABRIC_MEMIF_H
#define RILL_LIB_FABRIC_FABRIC_MEMIF_H

#include "lib/fabric/fabric.h"
#include "lib/frame/geneve.h"

enum {
    /* The longest frame, Geneve headers included. It fits into one buffer of the driver, which must
     * never chain them (docs/fabrics.md). A multiple of 64, and an odd one, so that the buffers of
     * a ring spread over all sets of the caches. */
    RILL_FABRIC_MEMIF_FRAME_BYTES = 1023 * 64,
    /* `ring_frames` of all roles and clients of a cluster, as both ends of a link must agree. */
    RILL_FABRIC_MEMIF_RING_FRAMES = 1024,
};

struct rill_fabric_memif_config {
    /* Where the links' sockets are: a folder of this deployment alone, mode 0700, the same for all
     * its roles of this machine. */
    const char *folder;
    uint32_t ring_frames; /* room per link and direction: a power of 2 from 64 to 8,192 */
    /* Of frames (rill_frame_pool_create()); what is received comes from here. At least 1,024. */
    struct rte_mempool *pool;
};

struct rill_fabric_memif_counters {
    uint64_t refused[RILL_GENEVE_RESULTS]; /* arrived, and could not be decoded */
    uint64_t foreign;                      /* arrived on a link that they are not for */
    uint64_t malformed; /* given to send(), and could not be encoded: a bug of whoever made them */
    uint64_t links_up, links_down; /* how often a link to another process came up, went down */
    uint64_t misfits;              /* peers turned away: another ring_frames or version than ours */
    uint64_t starved;              /* looks at a link while the pool had no room for its frames */
};

/* Refuses with one line in *err what can not work: -EINVAL, -ENAMETOOLONG, -EACCES, -ENOENT (no
 * such folder), -ENOTDIR. */
struct rill_fabric *rill_fabric_memif_create(const struct rill_fabric_memif_config *config,
                                             struct rill_error *err);

/* Makes this process's end of the link between `role`, attached here, and `peer`, which is in
 * another process. Takes half a millisecond the first time. A second call does nothing. -ENOSPC:
 * DPDK has no port left; -EINVAL; -EIO. */
int rill_fabric_memif_link(struct rill_fabric *fabric, uint32_t role, uint32_t peer,
                           struct rill_error *err);
/* Takes it down; what is on its way to `role` is counted as no_route. */
void rill_fabric_memif_unlink(struct rill_fabric *fabric, uint32_t role, uint32_t peer);
/* Whether the link is up. Looked up once a millisecond, by send() and recv(), and here. */
bool rill_fabric_memif_is_up(struct rill_fabric *fabric, uint32_t role, uint32_t peer);

const struct rill_fabric_memif_counters *rill_fabric_memif_counters(struct rill_fabric *fabric);

/* Which of the two listens: the role with the lower id. The other makes the shared memory. */
uint32_t rill_fabric_memif_server(uint32_t a, uint32_t b);

#endif
