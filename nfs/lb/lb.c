/* Layer-4 load balancer: a connection to a virtual service goes, for its life, to one backend.
 *
 * The backend is chosen by a hash of the connection when its first packet comes, and kept in the
 * connection's state: a later change of the list of backends moves no connection. Addresses are
 * translated in both directions, so backends need no special set-up.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

enum { SERVERS_MAX = 256, ENTRY_BYTES = 64 };

enum lb_kind {
    LB_UNDECIDED = 0, /* no packet yet */
    LB_BALANCED,
    LB_UNTOUCHED,  /* not to a virtual service */
    LB_NO_BACKEND, /* none of its family */
};

struct lb_flow {
    struct rill_endpoint virtual_end; /* where the client sent its first packet */
    struct rill_endpoint backend;
    struct {
        uint64_t kind : 8; /* enum lb_kind */
        uint64_t packets : 56;
    } what; /* one word, so that the whole state fits into a packet's frame */
};
_Static_assert(sizeof(struct lb_flow) == 48, "README.md says so");

/* A backend or a virtual service. */
struct server {
    uint8_t addr[16];
    uint16_t port; /* 0: any, that is, a packet keeps its own */
};

struct servers {
    uint32_t n;
    struct server server[SERVERS_MAX];
};

struct lb {
    struct rill_table *flows;
    struct servers backends4, backends6;
    struct servers virtual4, virtual6;
    bool all_virtual;
    int balanced, untouched, no_backend, not_rewritten, stray_reply;
};

static const struct rill_option lb_options[] = {
    {"backends", RILL_OPT_LIST, "", 0, 0, NULL,
     "192.0.2.10,192.0.2.11,192.0.2.12,192.0.2.13,"
     "2001:db8::10,2001:db8::11,2001:db8::12,2001:db8::13",
     "servers: ADDRESS (ports stay as they are), IPV4:PORT or [IPV6]:PORT"},
    {"vips", RILL_OPT_LIST, "", 0, 0, NULL, "",
     "virtual services: ADDRESS, IPV4:PORT or [IPV6]:PORT; empty: every destination is one"},
    {.name = NULL},
};

/* --- init ------------------------------------------------------------------------------------- */

/* 1..65535, or 0 where the text is no port. */
static uint16_t read_port(const char *text)
{
    unsigned long port;

    if (text[0] == '\0' || strlen(text) > 5 || text[strspn(text, "0123456789")] != '\0')
        return 0;
    port = strtoul(text, NULL, 10);
    return port <= 65535 ? (uint16_t)port : 0;
}

/* Cuts the port off the text and reads it. False if there is one that can't be read. */
static bool split_port(char *text, char **address, uint16_t *port)
{
    char *colon;

    *address = text;
    *port = 0;
    if (text[0] == '[') {
        char *end = strchr(text, ']');

        if (end == NULL || strchr(text, ':') == NULL || (end[1] != ':' && end[1] != '\0'))
            return false;
        *address = text + 1;
        colon = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
    } else {
        colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') != NULL)
            return true; /* an IPv6 address without brackets has no port */
    }
    if (colon == NULL)
        return true;
    *colon = '\0';
    *port = read_port(colon + 1);
    return *port != 0;
}

static bool is_unicast6(const uint8_t addr[16])
{
    static const uint8_t unspecified[16];

    return addr[0] != 0xff && memcmp(addr, unspecified, sizeof(unspecified)) != 0;
}

/* Family of the entry, or 0. */
static int read_server(const char *entry, struct server *server)
{
    char text[ENTRY_BYTES], *address;

    memset(server, 0, sizeof(*server));
    if ((size_t)snprintf(text, sizeof(text), "%s", entry) >= sizeof(text) ||
        !split_port(text, &address, &server->port))
        return 0;
    if (inet_pton(AF_INET, address, server->addr) == 1)
        return entry[0] != '[' && server->addr[0] != 0 && server->addr[0] < 224 ? 4 : 0;
    memset(server->addr, 0, sizeof(server->addr));
    return inet_pton(AF_INET6, address, server->addr) == 1 && is_unicast6(server->addr) ? 6 : 0;
}

static bool holds(const struct servers *servers, const struct server *server)
{
    for (uint32_t i = 0; i < servers->n; i++)
        if (memcmp(servers->server[i].addr, server->addr, 16) == 0 &&
            servers->server[i].port == server->port)
            return true;
    return false;
}

static int read_servers(struct rill_nf *nf, const struct rill_config *config, const char *option,
                        struct servers *four, struct servers *six)
{
    const char *source = rill_config_source(config, option);
    const char *const *items;
    size_t n = rill_config_list(config, option, &items);

    if (n > SERVERS_MAX)
        return rill_nf_error(nf, "%s (%s): has %zu entries; at most %d are possible", option,
                             source, n, SERVERS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct server server;
        int family = read_server(items[i], &server);
        struct servers *servers = family == 4 ? four : six;

        if (family == 0)
            return rill_nf_error(nf,
                                 "%s (%s): '%s' is not a unicast ADDRESS, IPV4:PORT or "
                                 "[IPV6]:PORT; write it like 192.0.2.10:80 or [2001:db8::10]:80",
                                 option, source, items[i]);
        if (holds(servers, &server))
            return rill_nf_error(nf, "%s (%s): '%s' is there twice; remove one", option, source,
                                 items[i]);
        servers->server[servers->n++] = server;
    }
    return 0;
}

static int lb_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct lb *lb = rill_nf_private(nf);

    if (read_servers(nf, config, "backends", &lb->backends4, &lb->backends6) != 0 ||
        read_servers(nf, config, "vips", &lb->virtual4, &lb->virtual6) != 0)
        return -1;
    if (lb->backends4.n + lb->backends6.n == 0)
        return rill_nf_error(nf, "backends (%s): is empty; give at least one server",
                             rill_config_source(config, "backends"));
    lb->all_virtual = lb->virtual4.n + lb->virtual6.n == 0;
    lb->flows = rill_table_create(nf, "flows", RILL_PER_FLOW, RILL_WRITE, sizeof(struct lb_flow));
    if (lb->flows == NULL)
        return -1;
    lb->balanced = rill_counter(nf, "balanced");
    lb->untouched = rill_counter(nf, "untouched");
    lb->no_backend = rill_counter(nf, "no_backend");
    lb->not_rewritten = rill_counter(nf, "not_rewritten");
    lb->stray_reply = rill_counter(nf, "stray_reply");
    return 0;
}

/* --- a connection's first packet ----------------------------------------------------------------
 */

/* FNV-1a, 64 bits (Fowler, Noll, Vo): http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t fnv1a(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* The same on every machine and in every run. FNV's high bits are poor on short input, and the high
 * bits choose: so murmur3's finalizer (Appleby) comes after. */
static uint64_t hash_connection(const struct rill_endpoint *client,
                                const struct rill_endpoint *service)
{
    const uint8_t rest[5] = {(uint8_t)(client->port >> 8), (uint8_t)client->port,
                             (uint8_t)(service->port >> 8), (uint8_t)service->port, client->proto};
    uint64_t h = 0xcbf29ce484222325u;

    h = fnv1a(h, client->addr, sizeof(client->addr));
    h = fnv1a(h, service->addr, sizeof(service->addr));
    h = fnv1a(h, rest, sizeof(rest));
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

static bool any_is(const struct servers *servers, const struct rill_endpoint *endpoint)
{
    for (uint32_t i = 0; i < servers->n; i++) {
        const struct server *s = &servers->server[i];

        if ((s->port == 0 || s->port == endpoint->port) &&
            memcmp(s->addr, endpoint->addr, sizeof(s->addr)) == 0)
            return true;
    }
    return false;
}

static bool is_virtual(const struct lb *lb, const struct rill_endpoint *service)
{
    return lb->all_virtual || any_is(service->family == 4 ? &lb->virtual4 : &lb->virtual6, service);
}

static bool is_backend(const struct lb *lb, const struct rill_endpoint *server)
{
    return any_is(server->family == 4 ? &lb->backends4 : &lb->backends6, server);
}

/* False if there is no backend for it: none of the family, or only the client itself. */
static bool choose_backend(const struct lb *lb, const struct rill_endpoint *client,
                           const struct rill_endpoint *service, struct rill_endpoint *backend)
{
    const struct servers *backends = service->family == 4 ? &lb->backends4 : &lb->backends6;
    const struct server *chosen;

    if (backends->n == 0)
        return false;
    chosen = &backends->server[((hash_connection(client, service) >> 32) * backends->n) >> 32];
    *backend = *service;
    memcpy(backend->addr, chosen->addr, sizeof(backend->addr));
    if (chosen->port != 0)
        backend->port = chosen->port;
    return !rill_endpoint_equal(backend, client);
}

static void decide(struct rill_nf *nf, const struct lb *lb, struct rill_pkt *pkt,
                   struct lb_flow *flow, const struct rill_endpoint *client,
                   const struct rill_endpoint *service)
{
    flow->virtual_end = *service;
    if (!is_virtual(lb, service)) {
        flow->what.kind = LB_UNTOUCHED;
        rill_count(nf, lb->untouched, 1);
    } else if (choose_backend(lb, client, service, &flow->backend) &&
               /* The client is "local" here: replies go to it, and only from the backend. */
               rill_flow_alias(pkt, client, &flow->backend) == 0) {
        flow->what.kind = LB_BALANCED;
        rill_count(nf, lb->balanced, 1);
    } else {
        flow->what.kind = LB_NO_BACKEND;
    }
    rill_put(lb->flows, pkt, 0, sizeof(*flow));
}

/* --- every packet ------------------------------------------------------------------------------
 */

/* Who is who is known from the first packet: a request is what goes to its destination. The sides
 * alone would not do, as client and service may be on the same one. */
static int translate(struct rill_pkt *pkt, const struct lb_flow *flow,
                     const struct rill_endpoint *source, const struct rill_endpoint *destination)
{
    if (rill_endpoint_equal(destination, &flow->virtual_end))
        return rill_pkt_set_destination(pkt, &flow->backend);
    if (rill_endpoint_equal(source, &flow->backend))
        return rill_pkt_set_source(pkt, &flow->virtual_end);
    return 0; /* the virtual service's own host answers past us: nothing to take back */
}

/* Where every destination is a virtual service, a packet from the outside says nothing of who the
 * client is: it may as well be an answer to a request that we never saw. It passes untouched. */
static bool opens(const struct lb *lb, const struct rill_pkt *pkt)
{
    return !lb->all_virtual || rill_pkt_from_inside(pkt);
}

static enum rill_verdict lb_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct lb *lb = rill_nf_private(nf);
    struct lb_flow *flow = rill_get(lb->flows, pkt);
    struct rill_endpoint source, destination;

    rill_pkt_source(pkt, &source);
    rill_pkt_destination(pkt, &destination);
    if (flow->what.kind == LB_UNDECIDED && opens(lb, pkt)) {
        decide(nf, lb, pkt, flow, &source, &destination);
    } else if (flow->what.kind == LB_UNDECIDED && is_backend(lb, &source)) {
        /* Of a connection that was forgotten: the client must not see the backend's address. */
        rill_count(nf, lb->stray_reply, 1);
        return RILL_DROP;
    }
    if (flow->what.kind == LB_NO_BACKEND) {
        rill_count(nf, lb->no_backend, 1);
        return RILL_DROP;
    }
    if (flow->what.kind == LB_BALANCED && translate(pkt, flow, &source, &destination) != 0) {
        rill_count(nf, lb->not_rewritten, 1);
        return RILL_DROP;
    }
    flow->what.packets++;
    rill_put(lb->flows, pkt, offsetof(struct lb_flow, what), sizeof(flow->what));
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor lb_descriptor = {
    .abi = RILL_NF_ABI,
    .name = "lb",
    .version = "1",
    .summary = "Layer-4 load balancer for TCP and UDP over IPv4 and IPv6",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_TCP6 | RILL_HANDLES_UDP6,
    .flags = RILL_NF_INVERTS,
    .writes = RILL_WRITES_DESTINATION,
    .unhandled_passes = true,
    .options = lb_options,
    .instance_bytes = sizeof(struct lb),
    .init = lb_init,
    .process_packet = lb_process,
};

RILL_NF(&lb_descriptor);
