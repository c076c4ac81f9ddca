/* An NF that does nothing and keeps nothing: what is left is Rill's own. */
#ifndef RILL_EVAL_BENCH_NOOP_H
#define RILL_EVAL_BENCH_NOOP_H

#include <rill/nf.h>

static int noop_init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)nf;
    (void)config;
    return 0;
}

static enum rill_verdict noop_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor bench_noop = {.abi = RILL_NF_ABI,
                                                     .name = "noop",
                                                     .version = "1",
                                                     .summary = "does nothing",
                                                     .flow_scope = RILL_FLOW_CONNECTION,
                                                     .handles =
                                                         RILL_HANDLES_UDP4 | RILL_HANDLES_TCP4,
                                                     .init = noop_init,
                                                     .process_packet = noop_process};

#endif
