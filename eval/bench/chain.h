/* The whole chain in one thread: resource manager, one controller, one unit and its output logger,
 * the cores that everything else runs, with nothing between them but lists. Time is virtual: it
 * goes on as packets come, at a stated rate, so that flowlets end and timers fire as they would.
 */
#ifndef RILL_EVAL_BENCH_CHAIN_H
#define RILL_EVAL_BENCH_CHAIN_H

#include "cli/cluster.h"
#include "eval/bench/source.h"
#include "eval/bench/tape.h"

enum bench_stage { BENCH_CONTROLLER, BENCH_UNIT, BENCH_LOGGER, BENCH_STAGES };

struct bench_chain_config {
    const struct rill_nf_descriptor *nf;
    const struct rill_config *nf_config;
    const struct rill_config *settings;
    struct rte_mempool *pool;
    /* What a new instance wants of the configuration store; NULL: nothing. */
    int (*equip)(void *arg, struct rill_nf *nf, struct rill_error *err);
    uint32_t flows;
    uint64_t pps; /* of virtual time */
};

struct bench_chain;

struct bench_chain *bench_chain_create(const struct bench_chain_config *config,
                                       struct rill_error *err);
void bench_chain_destroy(struct bench_chain *chain); /* NULL is fine */

/* Takes a burst through all of it, as far as it goes now, and lets time pass. Released packets are
 * freed. */
void bench_chain_burst(struct bench_chain *chain, struct rte_mbuf **packets);
/* Lets time pass without packets. */
void bench_chain_rest(struct bench_chain *chain, uint64_t ns);

uint64_t bench_chain_released(const struct bench_chain *chain);
uint64_t bench_chain_cycles(const struct bench_chain *chain, enum bench_stage stage);
/* From now on all that the stage takes in goes to `tape`. NULL: no more. */
void bench_chain_record(struct bench_chain *chain, enum bench_stage stage, struct bench_tape *tape);
void bench_chain_mark(struct bench_chain *chain);

/* Gives the stage what is on the tape, up to the next mark or the end: it alone is at work, and
 * what it sends is freed. With `idle` not even it: the frames are made and freed. False: the pool
 * is empty. */
bool bench_chain_play(struct bench_chain *chain, enum bench_stage stage, struct bench_tape *tape,
                      bool idle);
/* What the stage that is recorded, or played to, sent so far: a sum over its frames. */
uint64_t bench_chain_sent(const struct bench_chain *chain);

struct rill_cluster *bench_chain_cluster(struct bench_chain *chain);

#endif
