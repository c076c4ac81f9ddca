/* For tests of what an NF does outside process_packet: an NF that passes everything on. */
#ifndef RILL_NF_RUNTIME_NF_TEST_DESCRIPTOR_H
#define RILL_NF_RUNTIME_NF_TEST_DESCRIPTOR_H

#include <rill/nf.h>

static enum rill_verdict nf_test_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
    return RILL_FORWARD;
}

/* `options` may be NULL. */
#define NF_TEST_DESCRIPTOR(init_, options_)                                                        \
    {                                                                                              \
        .abi = RILL_NF_ABI, .name = "test", .version = "1", .summary = "for tests",                \
        .handles = RILL_HANDLES_TCP4, .options = (options_), .init = (init_),                      \
        .process_packet = nf_test_process                                                          \
    }

#endif
