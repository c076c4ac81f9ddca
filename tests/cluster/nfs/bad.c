/* NFs that misbehave, for tests/cluster/bad_nfs.py: BAD_INIT and BAD_PACKET say how. */
#include <rill/nf.h>

#define NOTHING
#define REFUSE return rill_nf_error(nf, "it is Sunday")
#define LOOP                                                                                       \
    for (volatile int i = 1; i != 0;)                                                              \
        ;
#define CRASH __builtin_trap() /* SIGILL, which no sanitizer catches */

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)nf;
    (void)config;
    BAD_INIT;
    return 0;
}

static enum rill_verdict process_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
    BAD_PACKET;
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor descriptor = {
    .abi = RILL_NF_ABI,
    .name = BAD_NAME,
    .version = "1",
    .summary = "misbehaves",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4,
    .init = init,
    .process_packet = process_packet,
};

RILL_NF(&descriptor);
