/* UDP whitelister: datagrams from the outside pass only as replies to a request from the inside.
 *
 * A request opens its connection for replies, for as long as `idle_s` says; only another request
 * prolongs it, so that whoever is outside can't keep it open. (SNF, section 8; Bohatei's defence
 * against floods of UDP.)
 */
#include <rill/nf.h>

struct whitelist_flow {
    uint64_t replies_until_ns; /* 0: there was no request */
};
_Static_assert(sizeof(struct whitelist_flow) == 8, "README.md says so");

struct whitelister {
    struct rill_table *flows;
    uint64_t idle_ns;
    int whitelisted, expired, not_opened;
};

static const struct rill_option whitelister_options[] = {
    {"idle_s", RILL_OPT_U64, "s", 1, 86400, NULL, "60",
     "replies pass for so long after the last request"},
    {.name = NULL},
};

static int whitelister_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct whitelister *w = rill_nf_private(nf);

    w->idle_ns = rill_config_u64(config, "idle_s") * 1000000000u;
    w->flows =
        rill_table_create(nf, "flows", RILL_PER_FLOW, RILL_WRITE, sizeof(struct whitelist_flow));
    if (w->flows == NULL)
        return -1;
    w->whitelisted = rill_counter(nf, "whitelisted");
    w->expired = rill_counter(nf, "expired");
    w->not_opened = rill_counter(nf, "not_opened");
    return 0;
}

/* By its alias, packets from the outside lead to this flow; those that lead to none are dropped at
 * the controller, and so cost no state: a flood can't drive out the flows that are wanted. */
static bool open_for_replies(struct rill_pkt *pkt)
{
    struct rill_endpoint client, server;

    rill_pkt_source(pkt, &client);
    rill_pkt_destination(pkt, &server);
    return rill_flow_alias(pkt, &client, &server) == 0;
}

static enum rill_verdict request(struct rill_nf *nf, struct whitelister *w, struct rill_pkt *pkt)
{
    struct whitelist_flow *flow = rill_get(w->flows, pkt);

    if (flow->replies_until_ns == 0) {
        if (!open_for_replies(pkt)) {
            rill_count(nf, w->not_opened, 1);
            return RILL_DROP;
        }
        rill_count(nf, w->whitelisted, 1);
    }
    flow->replies_until_ns = rill_pkt_time_ns(pkt) + w->idle_ns;
    rill_put(w->flows, pkt, 0, sizeof(*flow));
    return RILL_FORWARD;
}

static enum rill_verdict whitelister_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct whitelister *w = rill_nf_private(nf);
    const struct whitelist_flow *flow;

    if (rill_pkt_from_inside(pkt))
        return request(nf, w, pkt);
    flow = rill_get(w->flows, pkt);
    if (rill_pkt_time_ns(pkt) < flow->replies_until_ns)
        return RILL_FORWARD;
    rill_count(nf, w->expired, 1);
    return RILL_DROP;
}

static const struct rill_nf_descriptor whitelister_descriptor = {
    .abi = RILL_NF_ABI,
    .name = "udp-whitelister",
    .version = "1",
    .summary = "Drops UDP from the outside that answers no request, over IPv4 and IPv6",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_UDP4 | RILL_HANDLES_UDP6,
    .flags = RILL_NF_INSIDE_OPENS | RILL_NF_INVERTS,
    .unhandled_passes = true,
    .options = whitelister_options,
    .instance_bytes = sizeof(struct whitelister),
    .init = whitelister_init,
    .process_packet = whitelister_process,
};

RILL_NF(&whitelister_descriptor);
