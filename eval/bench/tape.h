/* All that one role of a chain took in, in order: so that the same can be given to another such
 * role, alone, which then does the very same (the cores have no clock and no chance but their
 * seeds). Frames are kept as copies, close together.
 */
#ifndef RILL_EVAL_BENCH_TAPE_H
#define RILL_EVAL_BENCH_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

enum bench_event {
    BENCH_INGRESS, /* packets for the controller */
    BENCH_TURN,    /* frames, or none: something was due */
    BENCH_MARK,    /* a measured part begins or ends */
};

struct bench_tape {
    uint8_t *bytes;
    size_t used, room, at; /* at: where it is played */
    bool full;             /* there was no memory: it is of no use */
};

void bench_tape_free(struct bench_tape *tape);

void bench_tape_write(struct bench_tape *tape, enum bench_event event, uint64_t now_ns,
                      struct rte_mbuf *const *frames, uint32_t n);

struct bench_tape_entry {
    enum bench_event event;
    uint32_t n;
    uint64_t now_ns;
};

/* What comes next. False: the end. Its frames must be taken before the next call. */
bool bench_tape_next(struct bench_tape *tape, struct bench_tape_entry *entry);
/* The frames of that entry, from `pool`. False: it is empty, and none are given. */
bool bench_tape_frames(struct bench_tape *tape, const struct bench_tape_entry *entry,
                       struct rte_mempool *pool, struct rte_mbuf **frames);

#endif
