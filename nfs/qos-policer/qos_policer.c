/* QoS traffic policer: a token bucket for each connection and direction, by DPDK's rte_meter.
 *
 * The first class that a packet is in says how fast its connection may send, and what becomes of
 * packets by colour: kept, marked with another code point, or dropped. (SNF, section 8; RFC 2697,
 * RFC 2698, colour-blind.)
 */
#include <stddef.h>
#include <stdio.h>

#include <rte_meter.h>

#include <rill/nf.h>

#include "qos_class.h"

enum { CLASSES_MAX = 64, WHY_BYTES = 160 };

/* What one direction has used of its buckets: zeros are full ones. */
struct qos_bucket {
    uint64_t time_ns; /* up to when tokens have come */
    uint64_t committed_used;
    uint64_t excess_used; /* two rates: of the peak bucket */
};

struct qos_flow {
    struct qos_bucket bucket[2]; /* from the inside, from the outside */
};
_Static_assert(sizeof(struct qos_flow) == 48, "README.md says so");

struct policer {
    struct rill_table *flows;
    uint32_t classes_n;
    struct qos_class classes[CLASSES_MAX];
    int colours[RTE_COLORS];
    int unclassified, dropped, not_marked;
};

static const struct rill_option policer_options[] = {
    {"classes", RILL_OPT_LIST, "", 0, 0, NULL, "any cir=10Mbps cbs=128KB",
     "MATCH and limits, first match: udp port 5060 net 10.0.0.0/8 outbound cir=1Mbps cbs=10KB "
     "ebs=20KB green=ef yellow=af41 red=drop"},
    {.name = NULL},
};

static int read_classes(struct rill_nf *nf, const struct rill_config *config, struct policer *p)
{
    const char *source = rill_config_source(config, "classes");
    const char *const *items;
    size_t n = rill_config_list(config, "classes", &items);
    char why[WHY_BYTES];

    if (n == 0)
        return rill_nf_error(nf,
                             "classes (%s): is empty; give at least one, as in 'any cir=10Mbps "
                             "cbs=128KB'",
                             source);
    if (n > CLASSES_MAX)
        return rill_nf_error(nf, "classes (%s): has %zu entries; at most %d are possible", source,
                             n, CLASSES_MAX);
    for (size_t i = 0; i < n; i++)
        if (qos_class_read(items[i], &p->classes[i], why, sizeof(why)) != 0)
            return rill_nf_error(nf, "classes (%s): '%s': %s", source, items[i], why);
    p->classes_n = (uint32_t)n;
    return 0;
}

static int policer_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct policer *p = rill_nf_private(nf);

    if (read_classes(nf, config, p) != 0)
        return -1;
    p->flows = rill_table_create(nf, "flows", RILL_PER_FLOW, RILL_WRITE, sizeof(struct qos_flow));
    if (p->flows == NULL)
        return -1;
    p->colours[RTE_COLOR_GREEN] = rill_counter(nf, "green");
    p->colours[RTE_COLOR_YELLOW] = rill_counter(nf, "yellow");
    p->colours[RTE_COLOR_RED] = rill_counter(nf, "red");
    p->unclassified = rill_counter(nf, "unclassified");
    p->dropped = rill_counter(nf, "over_limit");
    p->not_marked = rill_counter(nf, "not_marked");
    return 0;
}

/* --- metering ----------------------------------------------------------------------------------
 */

/* A bucket that is full all the same is spared the periods that add nothing, so that no product of
 * periods and tokens overflows. Only whole periods go: the rest of one counts later. */
static uint64_t catch_up(uint64_t time_ns, uint64_t now_ns, uint64_t fill_ns)
{
    if (now_ns - time_ns > fill_ns + QOS_PERIOD_NS)
        time_ns += (now_ns - time_ns - fill_ns) / QOS_PERIOD_NS * QOS_PERIOD_NS;
    return time_ns;
}

static enum rte_color meter_one_rate(struct qos_bucket *b, struct qos_class *class, uint64_t now_ns,
                                     uint32_t tokens)
{
    struct rte_meter_srtcm m = {.time = catch_up(b->time_ns, now_ns, class->committed_fill_ns),
                                .tc = class->one.cbs - b->committed_used,
                                .te = class->one.ebs - b->excess_used};
    enum rte_color colour = rte_meter_srtcm_color_blind_check(&m, &class->one, now_ns, tokens);

    *b = (struct qos_bucket){m.time, class->one.cbs - m.tc, class->one.ebs - m.te};
    return colour;
}

/* Both buckets have the same period, so one time does for both. */
static enum rte_color meter_two_rates(struct qos_bucket *b, struct qos_class *class,
                                      uint64_t now_ns, uint32_t tokens)
{
    struct rte_meter_trtcm m = {.time_tc = catch_up(b->time_ns, now_ns, class->committed_fill_ns),
                                .time_tp = catch_up(b->time_ns, now_ns, class->peak_fill_ns),
                                .tc = class->two.cbs - b->committed_used,
                                .tp = class->two.pbs - b->excess_used};
    enum rte_color colour = rte_meter_trtcm_color_blind_check(&m, &class->two, now_ns, tokens);

    *b = (struct qos_bucket){m.time_tc, class->two.cbs - m.tc, class->two.pbs - m.tp};
    return colour;
}

static enum rte_color meter(struct qos_bucket *b, struct qos_class *class,
                            const struct rill_pkt *pkt)
{
    uint64_t now_ns = rill_pkt_time_ns(pkt);
    uint32_t bytes = rill_pkt_bytes(pkt);
    uint32_t tokens =
        bytes <= UINT32_MAX / QOS_TOKENS_PER_BYTE ? bytes * QOS_TOKENS_PER_BYTE : UINT32_MAX;

    if (now_ns < b->time_ns)
        now_ns = b->time_ns;
    return class->two_rates ? meter_two_rates(b, class, now_ns, tokens)
                            : meter_one_rate(b, class, now_ns, tokens);
}

/* --- packets ---------------------------------------------------------------------------------- */

static struct qos_class *class_of(struct policer *p, const struct rill_pkt *pkt)
{
    bool outbound = rill_pkt_from_inside(pkt);
    struct rill_endpoint source, destination;

    rill_pkt_source(pkt, &source);
    rill_pkt_destination(pkt, &destination);
    for (uint32_t i = 0; i < p->classes_n; i++)
        if (qos_class_has(&p->classes[i], outbound, &source, &destination))
            return &p->classes[i];
    return NULL;
}

static enum rill_verdict act(struct rill_nf *nf, struct policer *p, struct rill_pkt *pkt,
                             uint8_t action)
{
    if (action == QOS_DROP) {
        rill_count(nf, p->dropped, 1);
        return RILL_DROP;
    }
    if (action != QOS_KEEP && rill_pkt_set_dscp(pkt, action) != 0) {
        rill_count(nf, p->not_marked, 1);
        return RILL_DROP;
    }
    return RILL_FORWARD;
}

static enum rill_verdict policer_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct policer *p = rill_nf_private(nf);
    struct qos_flow *flow = rill_get(p->flows, pkt);
    struct qos_class *class = class_of(p, pkt);
    unsigned way = rill_pkt_from_inside(pkt) ? 0 : 1;
    enum rte_color colour;

    if (rill_flow_is_new(pkt)) {
        flow->bucket[0].time_ns = flow->bucket[1].time_ns = rill_pkt_time_ns(pkt);
        rill_put(p->flows, pkt, 0, sizeof(*flow));
    }
    if (class == NULL) {
        rill_count(nf, p->unclassified, 1);
        return RILL_FORWARD;
    }
    colour = meter(&flow->bucket[way], class, pkt);
    rill_put(p->flows, pkt, way * sizeof(flow->bucket[0]), sizeof(flow->bucket[0]));
    rill_count(nf, p->colours[colour], 1);
    return act(nf, p, pkt, class->action[colour]);
}

static const struct rill_nf_descriptor policer_descriptor = {
    .abi = RILL_NF_ABI,
    .name = "qos-policer",
    .version = "1",
    .summary = "Polices each connection by token buckets: marks or drops what is over its rate",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_ICMP4_ECHO | RILL_HANDLES_TCP6 |
               RILL_HANDLES_UDP6 | RILL_HANDLES_ICMP6_ECHO,
    .writes = RILL_WRITES_DSCP,
    .unhandled_passes = true,
    .options = policer_options,
    .instance_bytes = sizeof(struct policer),
    .init = policer_init,
    .process_packet = policer_process,
};

RILL_NF(&policer_descriptor);
