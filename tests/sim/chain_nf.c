/* The reference NF: its state is a hash chain over every packet that it processed, and each packet
 * leaves with the chain's value. A step on a wrong base, a packet twice or one forgotten: all show.
 */
#include <rill/nf.h>

#include "nf-runtime/nf_host.h"
#include "tests/sim/sim.h"

struct instance {
    struct rill_table *table;
    struct rill_pool *pool, *tcp_pool; /* NULL: it sees no TCP */
    uint64_t state_bytes, drops, ends;
    int dry;
};

static const struct rill_option options[] = {
    {.name = "state_bytes",
     .type = RILL_OPT_U64,
     .unit = "bytes",
     .min = 40,
     .max = 4096,
     .def = "40",
     .doc = "Size of a flow's state."},
    {.name = "drops",
     .type = RILL_OPT_U64,
     .unit = "",
     .min = 0,
     .max = 100000,
     .def = "0",
     .doc = "Drops packets whose number is a multiple; 0: none."},
    {.name = "ends",
     .type = RILL_OPT_U64,
     .unit = "",
     .min = 0,
     .max = 100000,
     .def = "0",
     .doc = "Ends the flows of packets whose number is a multiple; 0: none."},
    {.name = "tcp", .type = RILL_OPT_BOOL, .def = "false", .doc = "TCP has public endpoints, too."},
    {.name = "ports",
     .type = RILL_OPT_RANGE,
     .unit = "",
     .min = 1,
     .max = 65535,
     .def = "1000-2000",
     .doc = "Ports of the public address."},
    {.name = "preserve_ports",
     .type = RILL_OPT_BOOL,
     .unit = "",
     .def = "false",
     .doc = "A flow gets its own port, if that is free."},
    {.name = NULL},
};

uint64_t sim_chain_next(uint64_t hash, uint64_t packet)
{
    uint64_t x = hash ^ (packet * 0x9e3779b97f4a7c15u);

    return rill_splitmix64(&x);
}

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);
    const char *address = "198.51.100.1";
    uint64_t low, high;

    rill_config_range(config, "ports", &low, &high);
    self->state_bytes = rill_config_u64(config, "state_bytes");
    self->drops = rill_config_u64(config, "drops");
    self->ends = rill_config_u64(config, "ends");
    self->table =
        rill_table_create(nf, "chain", RILL_PER_FLOW, RILL_WRITE, (size_t)self->state_bytes);
    self->pool =
        rill_pool_create(nf, "ports", &address, 1, (uint16_t)low, (uint16_t)high, RILL_UDP);
    if (self->pool != NULL && rill_config_bool(config, "preserve_ports"))
        rill_pool_preserve_ports(self->pool);
    if (rill_config_bool(config, "tcp"))
        self->tcp_pool =
            rill_pool_create(nf, "tcp", &address, 1, (uint16_t)low, (uint16_t)high, RILL_TCP);
    self->dry = rill_counter(nf, "dry");
    return self->table == NULL || self->pool == NULL ? -1 : 0;
}

/* The mark is payload, which no NF may write through the API; this one looks under the hood. */
static struct sim_mark *mark_of(struct rill_pkt *pkt)
{
    return sim_mark(pkt->m);
}

static struct rill_pool *pool_for(const struct instance *self, const struct rill_pkt *pkt)
{
    return self->tcp_pool != NULL && pkt->view.source.proto == RILL_TCP ? self->tcp_pool
                                                                        : self->pool;
}

/* From one inside host to another, by its public endpoint. */
static bool is_hairpin(const struct sim_chain *chain, const struct rill_pkt *pkt)
{
    struct rill_endpoint to;

    rill_pkt_destination(pkt, &to);
    return rill_pkt_from_inside(pkt) && memcmp(to.addr, chain->public.addr, sizeof(to.addr)) == 0;
}

static enum rill_verdict process_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);
    struct sim_chain *chain = rill_get(self->table, pkt);
    struct sim_mark *mark = mark_of(pkt);
    uint8_t *tail = (uint8_t *)chain + self->state_bytes - 1;

    chain->hash = sim_chain_next(chain->hash, mark->packet);
    chain->count++;
    rill_put(self->table, pkt, 0, 16);
    if (self->state_bytes > sizeof(*chain) && mark->packet % 3 == 0) {
        /* A wide change: it does not fit beside its packet. Zero again: the state gets short. */
        *tail = mark->packet % 2 == 0 ? (uint8_t)mark->packet : 0;
        rill_put(self->table, pkt, self->state_bytes - 1, 1);
    }
    mark->hash = chain->hash;
    mark->count = chain->count;
    if (chain->public.family == 0) {
        if (!rill_pkt_from_inside(pkt))
            return RILL_DROP;
        if (rill_pool_take(pool_for(self, pkt), pkt, &chain->public) != 0) {
            rill_count(nf, self->dry, 1);
            return RILL_DROP;
        }
        rill_put(self->table, pkt, offsetof(struct sim_chain, public), sizeof(chain->public));
        if (rill_flow_alias(pkt, &chain->public, NULL) != 0)
            return RILL_DROP;
    }
    if (self->ends != 0 && mark->packet % self->ends == 0) {
        rill_flow_restart(pkt); /* and drops: what waits for the flow's alias never comes out */
        return RILL_DROP;
    }
    if (self->drops != 0 && mark->packet % self->drops == 0)
        return RILL_DROP;
    return is_hairpin(chain, pkt) ? RILL_TURN : RILL_FORWARD;
}

void (*sim_chain_ended)(const struct rill_nf *nf, uint64_t flow, uint64_t hash);

static void flow_end(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);
    const struct sim_chain *chain = rill_get(self->table, pkt);

    if (sim_chain_ended != NULL)
        sim_chain_ended(nf, pkt->flow, chain->hash);
}

uint64_t sim_chain_dry(struct rill_nf *nf)
{
    const struct instance *self = rill_nf_private(nf);
    const char *name;
    uint64_t value = 0;

    rill_nf_counter(nf, (unsigned)self->dry, &name, &value);
    return value;
}

const struct rill_nf_descriptor sim_chain_nf = {
    .abi = RILL_NF_ABI,
    .name = "chain",
    .version = "1",
    .summary = "Hash chain over every packet, for the simulator.",
    .flow_scope = RILL_FLOW_INSIDE_ENDPOINT,
    .handles = RILL_HANDLES_UDP4 | RILL_HANDLES_TCP4 | RILL_HANDLES_ICMP4_ERROR,
    .flags = RILL_NF_INSIDE_OPENS | RILL_NF_TURNS,
    .options = options,
    .instance_bytes = sizeof(struct instance),
    .init = init,
    .process_packet = process_packet,
    .flow_end = flow_end,
};
