/* What the benchmarks of packets vary: NF, order, flows and bytes; and the chain that is made for
 * it.
 */
#ifndef RILL_EVAL_BENCH_CASE_H
#define RILL_EVAL_BENCH_CASE_H

#include "eval/bench/chain.h"
#include "eval/bench/harness.h"
#include "nf-runtime/loader.h"

enum { BENCH_MBUFS = 16384, BENCH_MEMORY_MB = 8192, BENCH_CASE_ARGS = 5 };

/* A case; or, of those that are wanted: NULL and 0 stand for all. `nf` is an NF with UDP's
 * datagrams, or with TCP's streams of text (streams.h): noop-tcp, ids, ids-hyperscan. */
struct bench_case {
    const char *nf, *order;
    uint64_t flows, bytes;
    const char *capture; /* NULL: packets of our own */
};

/* BENCH_CASE_ARGS for bench_options(), whose `own` then begins with a struct bench_case: --nf,
 * --order, --flows, --bytes,
 * --capture. The latter is to be refused by who does not want it. */
extern const struct rill_arg bench_case_args[BENCH_CASE_ARGS + 1];

/* Calls `measure` for each case that is wanted (quick: only the smallest), until one fails. */
int bench_case_each(const struct bench_options *options,
                    int (*measure)(void *arg, const struct bench_case *which,
                                   struct rill_error *err),
                    void *arg, struct rill_error *err);

/* What a chain is made of: it outlives the chain. */
struct bench_case_parts {
    struct rill_config *settings, *nf_config;
    struct rill_nf_image image;
    struct bench_chain_config chain;
    struct bench_streams *streams[2]; /* what the chain is sent, and what only the sink; or NULL */
};

int bench_case_prepare(const struct bench_case *which, struct rte_mempool *pool,
                       struct bench_case_parts *parts, struct rill_error *err);
/* After bench_case_prepare(), also if it failed. */
void bench_case_release(struct bench_case_parts *parts);

void bench_case_source(const struct bench_case *which, const struct bench_case_parts *parts,
                       struct bench_source *source);
/* Every flow is known, has its alias and is established; nothing is under way. -EIO: packets do
 * not come out. */
int bench_case_warm_up(const struct bench_case *which, struct bench_chain *chain,
                       struct bench_source *source, struct rill_error *err);
/* So many packets through the chain, in bursts. -EIO. */
int bench_case_run(struct bench_chain *chain, struct bench_source *source, uint64_t packets,
                   struct rill_error *err);

#endif
