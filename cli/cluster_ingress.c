/* Of several controllers in one process, which gets a packet. */
#include <errno.h>

#include "cli/cluster_internal.h"
#include "controller/controller_settings.h"

enum { BIN = 32 };

/* Packets of one burst, by the slot of their controller. */
struct bins {
    struct rte_mbuf *packets[RILL_CLUSTER_SLOTS_MAX][BIN];
    uint32_t count[RILL_CLUSTER_SLOTS_MAX];
};

int cluster_create_split(struct rill_cluster *k, struct rill_error *err)
{
    const struct rill_nf *nf = k->units[0].nf;
    const struct rill_nf_descriptor *d = rill_nf_descriptor(nf);
    struct rill_split_config config = {.controllers = k->slots,
                                       .kind = rill_controller_key_kind(d->flow_scope),
                                       .writes = d->writes,
                                       .pool_count = rill_nf_pool_count(nf),
                                       .seed = rill_config_u64(k->config.settings, "seed")};

    if (k->slots == 1)
        return 0;
    for (unsigned i = 0; i < config.pool_count; i++) {
        struct rill_pool_spec spec;

        rill_nf_pool_spec(nf, i, &spec);
        config.pools[i] = (struct rill_split_pool){.proto = (uint8_t)spec.proto,
                                                   .family = spec.family,
                                                   .port_low = spec.port_low,
                                                   .port_high = spec.port_high,
                                                   .addresses = spec.addresses,
                                                   .addr = spec.addr};
    }
    k->split = rill_split_create(&config, err);
    return k->split == NULL ? -EINVAL : 0;
}

static uint32_t slot_of(struct rill_cluster *k, struct rte_mbuf *m, uint64_t now_ns,
                        enum rill_split_kind *kind)
{
    const struct rill_frame *f = rill_frame(m);

    return rill_split_slot(k->split, m, f->wire_bytes, (enum rill_side)f->side, now_ns, kind);
}

uint32_t rill_cluster_slot_of(struct rill_cluster *k, struct rte_mbuf *packet, uint64_t now_ns)
{
    enum rill_split_kind kind;

    return k->split == NULL ? 0 : slot_of(k, packet, now_ns, &kind);
}

static void empty_bin(struct rill_cluster *k, struct bins *bins, uint32_t slot, uint64_t now_ns)
{
    if (bins->count[slot] > 0)
        rill_cluster_ingress_at(k, k->newest[slot], bins->packets[slot], bins->count[slot], now_ns);
    bins->count[slot] = 0;
}

static void put(struct rill_cluster *k, struct bins *bins, uint32_t slot, struct rte_mbuf *m,
                uint64_t now_ns)
{
    bins->packets[slot][bins->count[slot]++] = m;
    if (bins->count[slot] == BIN)
        empty_bin(k, bins, slot, now_ns);
}

/* A first fragment has come: which of those that wait were waiting for it? */
static void put_early(struct rill_cluster *k, struct bins *bins, uint64_t now_ns)
{
    for (uint32_t i = 0; i < k->early.count;) {
        enum rill_split_kind kind;
        uint32_t slot = slot_of(k, k->early.held[i].m, now_ns, &kind);

        if (kind == RILL_SPLIT_EARLY)
            i++;
        else
            put(k, bins, slot, rill_fragment_hold_take(&k->early, i), now_ns);
    }
}

static void sort(struct rill_cluster *k, struct bins *bins, struct rte_mbuf *m, uint64_t now_ns)
{
    enum rill_split_kind kind;
    uint32_t slot = slot_of(k, m, now_ns, &kind);

    if (kind == RILL_SPLIT_EARLY) {
        m = rill_fragment_hold_put(&k->early, m, now_ns);
        if (m == NULL)
            return;
        slot = slot_of(k, m, now_ns, &kind); /* the oldest had to make room */
    }
    put(k, bins, slot, m, now_ns);
    if (kind == RILL_SPLIT_FIRST)
        put_early(k, bins, now_ns);
}

void rill_cluster_ingress(struct rill_cluster *k, struct rte_mbuf **packets, uint32_t n,
                          uint64_t now_ns)
{
    struct bins bins;

    if (k->split == NULL) {
        rill_cluster_ingress_at(k, k->newest[0], packets, n, now_ns);
        return;
    }
    memset(bins.count, 0, sizeof(bins.count));
    for (uint32_t i = 0; i < n; i++)
        sort(k, &bins, packets[i], now_ns);
    for (uint32_t slot = 0; slot < k->slots; slot++)
        empty_bin(k, &bins, slot, now_ns);
}

bool cluster_release_early(struct rill_cluster *k, uint64_t now_ns)
{
    bool any = false;

    while (rill_fragment_hold_due_ns(&k->early) <= now_ns) {
        struct rte_mbuf *m = rill_fragment_hold_take(&k->early, 0);

        rill_cluster_ingress_at(k, k->newest[rill_cluster_slot_of(k, m, now_ns)], &m, 1, now_ns);
        any = true;
    }
    return any;
}
