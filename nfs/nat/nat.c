/* NAT with endpoint-independent mapping (RFC 4787, RFC 5382, RFC 5508): an inside endpoint gets one
 * public endpoint, whoever it talks to, and keeps it as long as its flow lives.
 *
 * A flow is an inside endpoint, so a mapping is that flow's own state and no two flows share any.
 * That no public endpoint is given out twice is the platform's business: it leases them.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

/* Addresses and ports are kept short: all of it, and the alias, ride along with a packet. */
struct nat_flow {
    uint8_t inside_addr[4];
    uint8_t public_addr[4];
    uint16_t inside_port; /* or ICMP identifier */
    uint16_t public_port; /* 0: no mapping yet */
    uint32_t zero;
    uint64_t out_packets, out_bytes; /* adjacent: one direction changes one run of bytes */
    uint64_t in_packets, in_bytes;
};
_Static_assert(sizeof(struct nat_flow) == 48, "README.md says so");

struct nat {
    struct rill_table *flows;
    struct rill_pool *tcp, *udp, *icmp;
    uint32_t *public_addrs; /* sorted */
    uint32_t public_n;
    int mapped, ports_preserved, errors, hairpins, pool_exhausted, no_mapping, not_public,
        not_rewritten;
};

static const struct rill_option nat_options[] = {
    {"public_addresses", RILL_OPT_LIST, "", 0, 0, NULL, "198.51.100.1",
     "IPv4 addresses that inside hosts share on the outside"},
    {"ports", RILL_OPT_RANGE, "", 1, 65535, NULL, "1024-65535",
     "public ports (and ICMP identifiers) to give out, on each address"},
    {"preserve_ports", RILL_OPT_BOOL, "", 0, 0, NULL, "true",
     "an inside endpoint's public port is its own, if that is free; else as even or odd"},
    {.name = NULL},
};

/* --- init ------------------------------------------------------------------------------------- */

static int check_addresses(struct rill_nf *nf, const struct rill_config *config,
                           const char *const *items, size_t n)
{
    const char *source = rill_config_source(config, "public_addresses");
    struct in_addr a, b;

    if (n == 0)
        return rill_nf_error(nf, "public_addresses (%s): is empty; give at least one IPv4 address",
                             source);
    for (size_t i = 0; i < n; i++) {
        if (inet_pton(AF_INET, items[i], &a) != 1)
            return rill_nf_error(nf,
                                 "public_addresses (%s): '%s' is not an IPv4 address; write it "
                                 "like 198.51.100.1",
                                 source, items[i]);
        if (a.s_addr == 0 || ntohl(a.s_addr) >> 28 >= 14)
            return rill_nf_error(nf,
                                 "public_addresses (%s): '%s' is not the address of one host; give "
                                 "unicast addresses",
                                 source, items[i]);
        for (size_t k = 0; k < i; k++)
            if (inet_pton(AF_INET, items[k], &b) == 1 && a.s_addr == b.s_addr)
                return rill_nf_error(nf, "public_addresses (%s): '%s' is there twice; remove one",
                                     source, items[i]);
    }
    return 0;
}

static int compare_addrs(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return ntohl(x) < ntohl(y) ? -1 : ntohl(x) > ntohl(y);
}

static int keep_addresses(struct rill_nf *nf, struct nat *nat, const char *const *items, size_t n)
{
    nat->public_addrs = calloc(n, sizeof(nat->public_addrs[0]));
    if (nat->public_addrs == NULL)
        return rill_nf_error(nf, "public_addresses: no memory for %zu of them", n);
    for (nat->public_n = 0; nat->public_n < n; nat->public_n++)
        inet_pton(AF_INET, items[nat->public_n], &nat->public_addrs[nat->public_n]);
    qsort(nat->public_addrs, n, sizeof(nat->public_addrs[0]), compare_addrs);
    return 0;
}

static void nat_fini(struct rill_nf *nf)
{
    struct nat *nat = rill_nf_private(nf);

    free(nat->public_addrs);
}

static int nat_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct nat *nat = rill_nf_private(nf);
    const char *const *items;
    size_t n = rill_config_list(config, "public_addresses", &items);
    uint64_t low, high;

    if (check_addresses(nf, config, items, n) != 0 || keep_addresses(nf, nat, items, n) != 0)
        return -1;
    rill_config_range(config, "ports", &low, &high);
    nat->flows = rill_table_create(nf, "flows", RILL_PER_FLOW, RILL_WRITE, sizeof(struct nat_flow));
    nat->tcp = rill_pool_create(nf, "tcp", items, n, (uint16_t)low, (uint16_t)high, RILL_TCP);
    nat->udp = rill_pool_create(nf, "udp", items, n, (uint16_t)low, (uint16_t)high, RILL_UDP);
    nat->icmp = rill_pool_create(nf, "icmp", items, n, (uint16_t)low, (uint16_t)high, RILL_ICMP);
    if (nat->flows == NULL || nat->tcp == NULL || nat->udp == NULL || nat->icmp == NULL)
        return -1;
    if (rill_config_bool(config, "preserve_ports")) {
        rill_pool_preserve_ports(nat->tcp);
        rill_pool_preserve_ports(nat->udp);
        rill_pool_preserve_ports(nat->icmp);
    }
    nat->mapped = rill_counter(nf, "mapped");
    nat->ports_preserved = rill_counter(nf, "ports_preserved");
    nat->errors = rill_counter(nf, "errors");
    nat->hairpins = rill_counter(nf, "hairpins");
    nat->pool_exhausted = rill_counter(nf, "pool_exhausted");
    nat->no_mapping = rill_counter(nf, "no_mapping");
    nat->not_public = rill_counter(nf, "not_public");
    nat->not_rewritten = rill_counter(nf, "not_rewritten");
    return 0;
}

/* --- packets ---------------------------------------------------------------------------------- */

static struct rill_pool *pool_of(const struct nat *nat, uint8_t proto)
{
    switch (proto) {
    case RILL_TCP:
        return nat->tcp;
    case RILL_UDP:
        return nat->udp;
    default:
        return nat->icmp;
    }
}

/* Gives the flow its public endpoint. False: there is none to be had now; its next packet tries
 * again. */
static bool map(struct rill_nf *nf, struct nat *nat, struct rill_pkt *pkt, struct nat_flow *flow,
                const struct rill_endpoint *inside)
{
    struct rill_endpoint public_end;

    if (rill_pool_take(pool_of(nat, inside->proto), pkt, &public_end) != 0 ||
        rill_flow_alias(pkt, &public_end, NULL) != 0) {
        rill_count(nf, nat->pool_exhausted, 1);
        return false;
    }
    memcpy(flow->inside_addr, inside->addr, 4);
    memcpy(flow->public_addr, public_end.addr, 4);
    flow->inside_port = inside->port;
    flow->public_port = public_end.port;
    rill_put(nat->flows, pkt, 0, offsetof(struct nat_flow, zero));
    rill_count(nf, nat->mapped, 1);
    if (public_end.port == inside->port)
        rill_count(nf, nat->ports_preserved, 1);
    return true;
}

/* It is translated. To a public address of ours it is from one inside host to another by way of its
 * public endpoint: it comes in as anybody's. */
static enum rill_verdict leave(struct rill_nf *nf, const struct nat *nat,
                               const struct rill_pkt *pkt)
{
    struct rill_endpoint destination;

    rill_pkt_destination(pkt, &destination);
    if (compare_addrs(destination.addr, &nat->public_addrs[0]) < 0 ||
        compare_addrs(destination.addr, &nat->public_addrs[nat->public_n - 1]) > 0)
        return RILL_FORWARD; /* as most are */
    if (bsearch(destination.addr, nat->public_addrs, nat->public_n, sizeof(nat->public_addrs[0]),
                compare_addrs) == NULL)
        return RILL_FORWARD;
    rill_count(nf, nat->hairpins, 1);
    return RILL_TURN;
}

static enum rill_verdict outwards(struct rill_nf *nf, struct nat *nat, struct rill_pkt *pkt)
{
    struct nat_flow *flow = rill_get(nat->flows, pkt);
    struct rill_endpoint source, public_end;

    rill_pkt_source(pkt, &source);
    if (flow->public_port == 0 && !map(nf, nat, pkt, flow, &source))
        return RILL_DROP;
    rill_endpoint_set4(&public_end, flow->public_addr, flow->public_port, source.proto);
    if (rill_pkt_set_source(pkt, &public_end) != 0) {
        rill_count(nf, nat->not_rewritten, 1);
        return RILL_DROP;
    }
    flow->out_packets++;
    flow->out_bytes += rill_pkt_bytes(pkt);
    rill_put(nat->flows, pkt, offsetof(struct nat_flow, out_packets), 16);
    return leave(nf, nat, pkt);
}

static enum rill_verdict inwards(struct rill_nf *nf, struct nat *nat, struct rill_pkt *pkt)
{
    struct nat_flow *flow = rill_get(nat->flows, pkt);
    struct rill_endpoint destination, public_end, inside;

    if (flow->public_port == 0) {
        rill_count(nf, nat->no_mapping, 1);
        return RILL_DROP;
    }
    rill_pkt_destination(pkt, &destination);
    rill_endpoint_set4(&public_end, flow->public_addr, flow->public_port, destination.proto);
    /* An outside host that addresses the inside endpoint itself finds the flow, too. */
    if (!rill_endpoint_equal(&destination, &public_end)) {
        rill_count(nf, nat->not_public, 1);
        return RILL_DROP;
    }
    rill_endpoint_set4(&inside, flow->inside_addr, flow->inside_port, destination.proto);
    if (rill_pkt_set_destination(pkt, &inside) != 0) {
        rill_count(nf, nat->not_rewritten, 1);
        return RILL_DROP;
    }
    flow->in_packets++;
    flow->in_bytes += rill_pkt_bytes(pkt);
    rill_put(nat->flows, pkt, offsetof(struct nat_flow, in_packets), 16);
    return RILL_FORWARD;
}

/* --- ICMP errors (RFC 5508, 4) ---------------------------------------------------------------- */

static bool same_address(const struct rill_endpoint *endpoint, const uint8_t addr[4])
{
    return memcmp(endpoint->addr, addr, 4) == 0;
}

/* From the inside, about a packet that went to the inside endpoint. Whoever sent it, a router
 * before the host perhaps, is not to be seen outside: it comes from the public address (REQ-5). */
static int error_outwards(struct rill_pkt *pkt, const struct nat_flow *flow,
                          const struct rill_endpoint *quoted)
{
    struct rill_endpoint public_end, source;

    rill_endpoint_set4(&public_end, flow->public_addr, flow->public_port, quoted->proto);
    rill_pkt_source(pkt, &source);
    memcpy(source.addr, flow->public_addr, 4);
    return rill_pkt_set_quoted_destination(pkt, &public_end) != 0 ||
                   rill_pkt_set_source(pkt, &source) != 0
               ? -1
               : 0;
}

/* From the outside, about a packet that the inside endpoint sent (REQ-4). */
static int error_inwards(struct rill_pkt *pkt, const struct nat_flow *flow,
                         const struct rill_endpoint *quoted)
{
    struct rill_endpoint inside, destination;

    rill_endpoint_set4(&inside, flow->inside_addr, flow->inside_port, quoted->proto);
    rill_pkt_destination(pkt, &destination);
    memcpy(destination.addr, flow->inside_addr, 4);
    return rill_pkt_set_quoted_source(pkt, &inside) != 0 ||
                   rill_pkt_set_destination(pkt, &destination) != 0
               ? -1
               : 0;
}

/* The controller found the flow by what the error quotes. The mapping is left as it is. */
static enum rill_verdict error(struct rill_nf *nf, struct nat *nat, struct rill_pkt *pkt,
                               const struct rill_endpoint *quoted_source,
                               const struct rill_endpoint *quoted_destination)
{
    const struct nat_flow *flow = rill_get(nat->flows, pkt);
    struct rill_endpoint destination;
    int rc;

    rill_pkt_destination(pkt, &destination);
    if (flow->public_port == 0) {
        rill_count(nf, nat->no_mapping, 1);
        return RILL_DROP;
    }
    if (rill_pkt_from_inside(pkt)) {
        rc = error_outwards(pkt, flow, quoted_destination);
    } else if (same_address(&destination, flow->public_addr) &&
               same_address(quoted_source, flow->public_addr)) {
        rc = error_inwards(pkt, flow, quoted_source);
    } else {
        rill_count(nf, nat->not_public, 1);
        return RILL_DROP;
    }
    rill_count(nf, rc == 0 ? nat->errors : nat->not_rewritten, 1);
    if (rc != 0)
        return RILL_DROP;
    return rill_pkt_from_inside(pkt) ? leave(nf, nat, pkt) : RILL_FORWARD;
}

static enum rill_verdict nat_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct nat *nat = rill_nf_private(nf);
    struct rill_endpoint source, destination;

    if (rill_pkt_quoted(pkt, &source, &destination))
        return error(nf, nat, pkt, &source, &destination);
    return rill_pkt_from_inside(pkt) ? outwards(nf, nat, pkt) : inwards(nf, nat, pkt);
}

static const struct rill_nf_descriptor nat_descriptor = {
    .abi = RILL_NF_ABI,
    .name = "nat",
    .version = "1",
    .summary = "IPv4 NAT with endpoint-independent mapping for TCP, UDP and ICMP",
    .flow_scope = RILL_FLOW_INSIDE_ENDPOINT,
    .handles =
        RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_ICMP4_ECHO | RILL_HANDLES_ICMP4_ERROR,
    .flags = RILL_NF_INSIDE_OPENS | RILL_NF_INVERTS | RILL_NF_TURNS,
    .writes = RILL_WRITES_SOURCE,
    .unhandled_passes = false, /* it would leak inside addresses */
    .options = nat_options,
    .instance_bytes = sizeof(struct nat),
    .init = nat_init,
    .process_packet = nat_process,
    .fini = nat_fini,
};

RILL_NF(&nat_descriptor);
