/* Counts packets and octets of flows and of hosts, and exports them as records with the names of
 * IANA's IPFIX information elements. Passes everything on as it is. See README.md. */
#include <rill/nf.h>

#include <string.h>

enum { NS_PER_S = 1000000000, FIN = 1, RST = 4 };

enum known {
    KNOWN = 1 << 0,
    SMALLER_FIRST = 1 << 1, /* who sent the first packet is the smaller endpoint */
};

enum way { FORWARD, REVERSE }; /* as the first packet, and against it */

/* What was counted since the last report on the flow. The first 8 bytes change once a report. */
struct counted {
    uint64_t start_ns;
    uint64_t last_ns;
    uint64_t octets[2];
    uint32_t packets[2];
    uint8_t tcp_flags[2];
    uint8_t ended; /* FIN seen: 1 << way; RST: both */
    uint8_t known;
    uint8_t zero[4];
};
_Static_assert(sizeof(struct counted) == 48, "with its head it rides along with packets");

struct host {
    uint8_t addr[16];
    uint8_t family;
};
_Static_assert(sizeof(struct host) == 17, "a key has no holes");

enum { SENT_PACKETS, SENT_OCTETS, RECEIVED_PACKETS, RECEIVED_OCTETS, HOST_SUMS };

struct monitor {
    struct rill_table *flows;
    struct rill_shared *hosts; /* NULL: not asked for */
    bool reports_flows;
    uint64_t active_ns;
    int flow_records, host_records;
};

/* --- records ---------------------------------------------------------------------------------- */

static void add_address(struct rill_record *r, const struct rill_endpoint *e, bool source)
{
    if (e->family == 4)
        rill_record_address(r, source ? "sourceIPv4Address" : "destinationIPv4Address", e);
    else
        rill_record_address(r, source ? "sourceIPv6Address" : "destinationIPv6Address", e);
}

static void add_ports(struct rill_record *r, const struct rill_endpoint *source,
                      const struct rill_endpoint *destination)
{
    if (source->proto != RILL_TCP && source->proto != RILL_UDP)
        return;
    rill_record_number(r, "sourceTransportPort", source->port);
    rill_record_number(r, "destinationTransportPort", destination->port);
}

static void add_times(struct rill_record *r, uint64_t start_ns, uint64_t end_ns)
{
    rill_record_time(r, "flowStartNanoseconds", start_ns);
    rill_record_time(r, "flowEndNanoseconds", end_ns);
}

static void add_counts(struct rill_record *r, uint64_t packets, uint64_t octets,
                       uint64_t reverse_packets, uint64_t reverse_octets)
{
    rill_record_number(r, "packetDeltaCount", packets);
    rill_record_number(r, "octetDeltaCount", octets);
    rill_record_number(r, "reversePacketDeltaCount", reverse_packets);
    rill_record_number(r, "reverseOctetDeltaCount", reverse_octets);
}

enum end_reason {
    IDLE_TIMEOUT = 1,
    ACTIVE_TIMEOUT = 2,
    END_OF_FLOW = 3
}; /* IANA's flowEndReason */

static void report_flow(struct rill_nf *nf, const struct counted *c,
                        const struct rill_endpoint *source, const struct rill_endpoint *destination,
                        enum end_reason reason)
{
    const struct monitor *self = rill_nf_private(nf);
    struct rill_record *r = rill_record_begin(nf, NULL, "flow");

    add_times(r, c->start_ns, c->last_ns);
    add_address(r, source, true);
    add_address(r, destination, false);
    add_ports(r, source, destination);
    rill_record_number(r, "protocolIdentifier", source->proto);
    add_counts(r, c->packets[FORWARD], c->octets[FORWARD], c->packets[REVERSE], c->octets[REVERSE]);
    if (source->proto == RILL_TCP) {
        rill_record_number(r, "tcpControlBits", c->tcp_flags[FORWARD]);
        rill_record_number(r, "reverseTcpControlBits", c->tcp_flags[REVERSE]);
    }
    rill_record_number(r, "flowEndReason", reason);
    rill_record_end(r);
    rill_count(nf, self->flow_records, 1);
}

static void report_host(struct rill_nf *nf, const void *key, const uint64_t *sums,
                        uint64_t begin_ns, uint64_t end_ns)
{
    const struct monitor *self = rill_nf_private(nf);
    const struct host *host = key;
    struct rill_endpoint e = {.family = host->family};
    struct rill_record *r = rill_record_begin(nf, NULL, "host");

    memcpy(e.addr, host->addr, sizeof(e.addr));
    add_times(r, begin_ns, end_ns);
    add_address(r, &e, true);
    add_counts(r, sums[SENT_PACKETS], sums[SENT_OCTETS], sums[RECEIVED_PACKETS],
               sums[RECEIVED_OCTETS]);
    rill_record_end(r);
    rill_count(nf, self->host_records, 1);
}

/* --- packets ---------------------------------------------------------------------------------- */

static bool smaller(const struct rill_endpoint *a, const struct rill_endpoint *b)
{
    int order = memcmp(a->addr, b->addr, sizeof(a->addr));

    return order != 0 ? order < 0 : a->port < b->port;
}

static void count_host(struct rill_shared *hosts, const struct rill_endpoint *e, bool sent,
                       uint64_t octets)
{
    uint64_t sums[HOST_SUMS] = {0};
    struct host host = {.family = e->family};

    memcpy(host.addr, e->addr, sizeof(host.addr));
    sums[sent ? SENT_PACKETS : RECEIVED_PACKETS] = 1;
    sums[sent ? SENT_OCTETS : RECEIVED_OCTETS] = octets;
    rill_shared_add(hosts, &host, sums); /* what finds no room is counted there */
}

static void begin_anew(struct counted *c, uint64_t now_ns)
{
    *c = (struct counted){.start_ns = now_ns, .ended = c->ended, .known = c->known};
}

/* A flow that lasts is reported on from time to time: what was counted before this packet. */
static void report_if_long(struct rill_nf *nf, struct rill_pkt *pkt, struct counted *c,
                           const struct rill_endpoint *from, const struct rill_endpoint *to,
                           enum way way)
{
    const struct monitor *self = rill_nf_private(nf);
    uint64_t now_ns = rill_pkt_time_ns(pkt);

    if (now_ns - c->start_ns < self->active_ns || now_ns < c->start_ns)
        return;
    if (self->reports_flows)
        report_flow(nf, c, way == FORWARD ? from : to, way == FORWARD ? to : from, ACTIVE_TIMEOUT);
    begin_anew(c, now_ns);
    rill_put(self->flows, pkt, 0, sizeof(*c));
}

static void count_flow(struct rill_nf *nf, struct rill_pkt *pkt, const struct rill_endpoint *from,
                       const struct rill_endpoint *to)
{
    const struct monitor *self = rill_nf_private(nf);
    struct counted *c = rill_get(self->flows, pkt);
    bool from_smaller = smaller(from, to);
    uint8_t flags = rill_pkt_tcp_flags(pkt);
    enum way way;

    if (!(c->known & KNOWN)) {
        c->known = KNOWN | (from_smaller ? SMALLER_FIRST : 0);
        begin_anew(c, rill_pkt_time_ns(pkt));
        rill_put(self->flows, pkt, 0, sizeof(*c));
    }
    way = from_smaller == ((c->known & SMALLER_FIRST) != 0) ? FORWARD : REVERSE;
    report_if_long(nf, pkt, c, from, to, way);
    c->last_ns = rill_pkt_time_ns(pkt);
    c->octets[way] += rill_pkt_ip_bytes(pkt);
    c->packets[way]++;
    c->tcp_flags[way] |= flags;
    if (flags & FIN)
        c->ended |= (uint8_t)(1 << way);
    if (flags & RST)
        c->ended = 3;
    rill_put(self->flows, pkt, offsetof(struct counted, last_ns),
             sizeof(*c) - offsetof(struct counted, last_ns));
}

static enum rill_verdict process_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    const struct monitor *self = rill_nf_private(nf);
    struct rill_endpoint from, to, about_from, about_to;

    rill_pkt_source(pkt, &from);
    rill_pkt_destination(pkt, &to);
    /* An ICMP error belongs to the flow that it is about, but is no packet of it. */
    if (!rill_pkt_quoted(pkt, &about_from, &about_to))
        count_flow(nf, pkt, &from, &to);
    if (self->hosts != NULL) {
        count_host(self->hosts, &from, true, rill_pkt_ip_bytes(pkt));
        count_host(self->hosts, &to, false, rill_pkt_ip_bytes(pkt));
    }
    return RILL_FORWARD;
}

/* The endpoints come in the order of `smaller`, or equal. */
static void flow_end(struct rill_nf *nf, struct rill_pkt *pkt)
{
    const struct monitor *self = rill_nf_private(nf);
    const struct counted *c = rill_get(self->flows, pkt);
    struct rill_endpoint a, b;
    bool a_first = (c->known & SMALLER_FIRST) != 0;

    if (!self->reports_flows || c->packets[FORWARD] + c->packets[REVERSE] == 0)
        return;
    rill_pkt_source(pkt, &a);
    rill_pkt_destination(pkt, &b);
    report_flow(nf, c, a_first ? &a : &b, a_first ? &b : &a,
                c->ended == 3 ? END_OF_FLOW : IDLE_TIMEOUT);
}

/* --- configuration ---------------------------------------------------------------------------- */

static const struct rill_shared_type hosts_type = {.key_bytes = sizeof(struct host),
                                                   .sums = HOST_SUMS,
                                                   .entries_max = 1 << 17,
                                                   .merged = report_host};

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    struct monitor *self = rill_nf_private(nf);

    self->active_ns = (uint64_t)(rill_config_double(config, "active_timeout_s") * NS_PER_S);
    self->reports_flows = rill_config_bool(config, "flows");
    self->flow_records = rill_counter(nf, "flow_records");
    self->host_records = rill_counter(nf, "host_records");
    self->flows =
        rill_table_create(nf, "counted", RILL_PER_FLOW, RILL_WRITE, sizeof(struct counted));
    if (self->flows == NULL)
        return -1;
    if (!rill_config_bool(config, "hosts"))
        return 0;
    self->hosts = rill_shared_create(nf, "hosts", &hosts_type);
    return self->hosts != NULL ? 0 : -1;
}

static const struct rill_option options[] = {
    {.name = "flows",
     .type = RILL_OPT_BOOL,
     .unit = "",
     .def = "true",
     .doc = "Report on flows, when they have ended and every active_timeout_s."},
    {.name = "hosts",
     .type = RILL_OPT_BOOL,
     .unit = "",
     .def = "true",
     .doc = "Report on hosts, every merge_ms."},
    {.name = "active_timeout_s",
     .type = RILL_OPT_DOUBLE,
     .unit = "s",
     .min = 0.001,
     .max = 86400,
     .def = "1800",
     .doc =
         "A flow that lasts longer is reported on when its next packet comes, and counted anew."},
    {.name = NULL}};

static const struct rill_nf_descriptor descriptor = {
    .abi = RILL_NF_ABI,
    .name = "monitor",
    .version = "1.0",
    .summary = "Counts packets and octets of flows and hosts, and reports them with IPFIX's names.",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_ICMP4_ECHO | RILL_HANDLES_TCP6 |
               RILL_HANDLES_UDP6 | RILL_HANDLES_ICMP6_ECHO | RILL_HANDLES_OTHER4 |
               RILL_HANDLES_OTHER6 | RILL_HANDLES_ICMP4_ERROR | RILL_HANDLES_ICMP6_ERROR,
    .unhandled_passes = true,
    .options = options,
    .instance_bytes = sizeof(struct monitor),
    .init = init,
    .process_packet = process_packet,
    .flow_end = flow_end,
};

RILL_NF(&descriptor);
