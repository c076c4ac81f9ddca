/* Of several controllers in one process, which gets a packet. */
#include <errno.h>

#include "cli/cluster_internal.h"
#include "controller/controller_settings.h"

static void give(void *arg, uint32_t slot, struct rte_mbuf **packets, uint32_t n, uint64_t now_ns)
{
    struct rill_cluster *k = arg;

    rill_cluster_ingress_at(k, k->newest[slot], packets, n, now_ns);
}

int cluster_create_split(struct rill_cluster *k, struct rill_error *err)
{
    const struct rill_nf *nf = k->units[0].nf;
    const struct rill_nf_descriptor *d = rill_nf_descriptor(nf);
    struct rill_ingress_split_config config = {.give = give, .arg = k};
    struct rill_split_config *split = &config.split;

    if (k->slots == 1)
        return 0;
    *split = (struct rill_split_config){.controllers = k->slots,
                                        .kind = rill_split_kind_of(d->flow_scope),
                                        .writes = d->writes,
                                        .pool_count = rill_nf_pool_count(nf),
                                        .seed = rill_config_u64(k->config.settings, "seed")};

    for (unsigned i = 0; i < split->pool_count; i++) {
        struct rill_pool_spec spec;

        rill_nf_pool_spec(nf, i, &spec);
        split->pools[i] = (struct rill_split_pool){.proto = (uint8_t)spec.proto,
                                                   .family = spec.family,
                                                   .port_low = spec.port_low,
                                                   .port_high = spec.port_high,
                                                   .addresses = spec.addresses,
                                                   .addr = spec.addr};
    }
    k->split = rill_ingress_split_create(&config, err);
    return k->split == NULL ? -EINVAL : 0;
}

uint32_t rill_cluster_slot_of(struct rill_cluster *k, struct rte_mbuf *packet, uint64_t now_ns)
{
    return k->split == NULL ? 0 : rill_ingress_split_slot(k->split, packet, now_ns);
}

void rill_cluster_ingress(struct rill_cluster *k, struct rte_mbuf **packets, uint32_t n,
                          uint64_t now_ns)
{
    if (k->split == NULL)
        rill_cluster_ingress_at(k, k->newest[0], packets, n, now_ns);
    else
        rill_ingress_split_take(k->split, packets, n, now_ns);
}
