/* Layer-4 load balancer: a connection to a virtual service goes, for its life, to one backend.
 *
 * The backend is chosen by a hash of the connection when its first packet comes, and kept in the
 * connection's state: a later change of the backends moves no connection but those of one that is
 * down. Addresses are translated in both directions, so backends need no special set-up.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

#include "backends.h"
#include "backends_object.h"
#include "hash.h"
#include "maglev.h"

enum { LISTED_MAX = 256, ERROR_BYTES = 128 };

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

/* Virtual services of one family, sorted. */
struct services {
    uint32_t n;
    struct server server[LISTED_MAX];
};

struct lb {
    struct rill_table *flows;
    struct backends *listed; /* by the option `backends`; NULL: by the object */
    int object;
    struct services virtual4, virtual6;
    bool all_virtual;
    int balanced, untouched, no_backend, not_rewritten, stray_reply, backend_down;
};

static const struct rill_option lb_options[] = {
    {"backends", RILL_OPT_LIST, "", 0, 0, NULL,
     "192.0.2.10,192.0.2.11,192.0.2.12,192.0.2.13,"
     "2001:db8::10,2001:db8::11,2001:db8::12,2001:db8::13",
     "servers: ADDRESS (ports stay as they are), IPV4:PORT or [IPV6]:PORT"},
    {"backends_object", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "object of the configuration store that lists them instead, one a line; empty: none"},
    {"hash", RILL_OPT_ENUM, "", 0, 0, "modulo|maglev", "modulo",
     "how a connection's hash chooses: by the number of backends, or by Maglev's table"},
    {"maglev_entries", RILL_OPT_U64, "", 2, MAGLEV_ENTRIES_MAX, NULL, MAGLEV_ENTRIES_DEFAULT,
     "size of Maglev's table: a prime, at least 100 times the number of backends"},
    {"vips", RILL_OPT_LIST, "", 0, 0, NULL, "",
     "virtual services: ADDRESS, IPV4:PORT or [IPV6]:PORT; empty: every destination is one"},
    {.name = NULL},
};

/* --- init ------------------------------------------------------------------------------------- */

/* The i-th entry of an option's list. -1 after rill_nf_error(). */
static int read_entry(struct rill_nf *nf, const struct rill_config *config, const char *option,
                      const char *const *items, size_t i, struct server *server)
{
    const char *source = rill_config_source(config, option);
    struct server other;

    if (!server_read(items[i], server))
        return rill_nf_error(nf,
                             "%s (%s): '%s' is not a unicast ADDRESS, IPV4:PORT or [IPV6]:PORT; "
                             "write it like 192.0.2.10:80 or [2001:db8::10]:80",
                             option, source, items[i]);
    for (size_t k = 0; k < i; k++)
        if (server_read(items[k], &other) && other.family == server->family &&
            server_compare(&other, server) == 0)
            return rill_nf_error(nf, "%s (%s): '%s' is there twice; remove one", option, source,
                                 items[i]);
    return 0;
}

/* Entries of an option that is a list of servers; -1 after rill_nf_error(). */
static int read_count(struct rill_nf *nf, const struct rill_config *config, const char *option,
                      const char *const **items)
{
    size_t n = rill_config_list(config, option, items);

    if (n > LISTED_MAX)
        return rill_nf_error(nf, "%s (%s): has %zu entries; at most %d are possible", option,
                             rill_config_source(config, option), n, LISTED_MAX);
    return (int)n;
}

static int read_services(struct rill_nf *nf, const struct rill_config *config, struct lb *lb)
{
    const char *const *items;
    int n = read_count(nf, config, "vips", &items);

    for (int i = 0; i < n; i++) {
        struct server server;
        struct services *services;

        if (read_entry(nf, config, "vips", items, (size_t)i, &server) != 0)
            return -1;
        services = server.family == 4 ? &lb->virtual4 : &lb->virtual6;
        services->server[services->n++] = server;
    }
    if (n < 0)
        return -1;
    qsort(lb->virtual4.server, lb->virtual4.n, sizeof(struct server), server_compare);
    qsort(lb->virtual6.server, lb->virtual6.n, sizeof(struct server), server_compare);
    lb->all_virtual = n == 0;
    return 0;
}

static int add_listed(struct rill_nf *nf, const struct rill_config *config, struct lb *lb)
{
    const char *const *items;
    int n = read_count(nf, config, "backends", &items);

    if (n <= 0)
        return n < 0 ? -1
                     : rill_nf_error(nf, "backends (%s): is empty; give at least one server",
                                     rill_config_source(config, "backends"));
    for (int i = 0; i < n; i++) {
        struct server server;
        const char *fault;

        if (read_entry(nf, config, "backends", items, (size_t)i, &server) != 0)
            return -1;
        fault = backends_add(lb->listed, &server);
        if (fault != NULL)
            return rill_nf_error(nf, "backends: '%s' %s", items[i], fault);
    }
    return 0;
}

static int read_backends(struct rill_nf *nf, const struct rill_config *config, struct lb *lb)
{
    bool by_object = rill_config_string(config, "backends_object")[0] != '\0';
    uint32_t entries = (uint32_t)rill_config_u64(config, "maglev_entries");
    char why[ERROR_BYTES];
    const char *fault;

    if (!maglev_is_prime(entries))
        return rill_nf_error(nf,
                             "maglev_entries (%s): %u is not a prime; take 65537 or 655373, say",
                             rill_config_source(config, "maglev_entries"), entries);
    lb->object = rill_object_declare(nf, "backends_object", &backends_object_type);
    if (lb->object < 0)
        return -1;
    if (by_object) {
        if (strcmp(rill_config_source(config, "backends"), "default") == 0)
            return 0;
        return rill_nf_error(nf, "backends (%s): backends_object lists them; give one of the two",
                             rill_config_source(config, "backends"));
    }
    lb->listed = backends_new();
    if (lb->listed == NULL)
        return rill_nf_error(nf, "no memory");
    if (add_listed(nf, config, lb) != 0)
        return -1;
    fault = backends_build(lb->listed, rill_config_enum(config, "hash"), entries, why, sizeof(why));
    return fault == NULL ? 0 : rill_nf_error(nf, "backends: %s", fault);
}

static void lb_fini(struct rill_nf *nf)
{
    struct lb *lb = rill_nf_private(nf);

    backends_free(lb->listed);
}

static int lb_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct lb *lb = rill_nf_private(nf);

    if (read_backends(nf, config, lb) != 0 || read_services(nf, config, lb) != 0)
        return -1;
    lb->flows = rill_table_create(nf, "flows", RILL_PER_FLOW, RILL_WRITE, sizeof(struct lb_flow));
    if (lb->flows == NULL)
        return -1;
    lb->balanced = rill_counter(nf, "balanced");
    lb->untouched = rill_counter(nf, "untouched");
    lb->no_backend = rill_counter(nf, "no_backend");
    lb->not_rewritten = rill_counter(nf, "not_rewritten");
    lb->stray_reply = rill_counter(nf, "stray_reply");
    lb->backend_down = rill_counter(nf, "backend_down");
    return 0;
}

/* --- a connection's first packet ----------------------------------------------------------------
 */

static uint64_t hash_connection(const struct rill_endpoint *client,
                                const struct rill_endpoint *service)
{
    const uint8_t rest[5] = {(uint8_t)(client->port >> 8), (uint8_t)client->port,
                             (uint8_t)(service->port >> 8), (uint8_t)service->port, client->proto};
    uint64_t h = lb_hash_add(LB_HASH_BEGIN, client->addr, sizeof(client->addr));

    h = lb_hash_add(h, service->addr, sizeof(service->addr));
    return lb_hash_end(lb_hash_add(h, rest, sizeof(rest)));
}

static bool is_virtual(const struct lb *lb, const struct rill_endpoint *service)
{
    const struct services *services = service->family == 4 ? &lb->virtual4 : &lb->virtual6;

    return lb->all_virtual || server_find(services->server, services->n, service) != NULL;
}

/* False if there is no backend for it: none of the family, or only the client itself. */
static bool choose_backend(const struct backends *backends, const struct rill_endpoint *client,
                           const struct rill_endpoint *service, struct rill_endpoint *backend)
{
    const struct server *chosen =
        backends_choose(backends, service->family, hash_connection(client, service));

    if (chosen == NULL)
        return false;
    *backend = *service;
    memcpy(backend->addr, chosen->addr, sizeof(backend->addr));
    if (chosen->port != 0)
        backend->port = chosen->port;
    return !rill_endpoint_equal(backend, client);
}

static void decide(struct rill_nf *nf, const struct lb *lb, const struct backends *backends,
                   struct rill_pkt *pkt, struct lb_flow *flow, const struct rill_endpoint *client,
                   const struct rill_endpoint *service)
{
    flow->virtual_end = *service;
    if (!is_virtual(lb, service)) {
        flow->what.kind = LB_UNTOUCHED;
        rill_count(nf, lb->untouched, 1);
    } else if (choose_backend(backends, client, service, &flow->backend) &&
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

/* Those of now: a newer version may be there for the next packet. */
static const struct backends *backends_of(struct rill_nf *nf, const struct lb *lb)
{
    return lb->listed != NULL ? lb->listed : rill_object(nf, lb->object);
}

static enum rill_verdict drop(struct rill_nf *nf, int counter)
{
    rill_count(nf, counter, 1);
    return RILL_DROP;
}

static enum rill_verdict lb_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct lb *lb = rill_nf_private(nf);
    const struct backends *backends = backends_of(nf, lb);
    struct lb_flow *flow = rill_get(lb->flows, pkt);
    struct rill_endpoint source, destination;

    rill_pkt_source(pkt, &source);
    rill_pkt_destination(pkt, &destination);
    /* Of a connection that was forgotten: the client must not see the backend's address. */
    if (flow->what.kind == LB_UNDECIDED && !opens(lb, pkt) && backends_have(backends, &source))
        return drop(nf, lb->stray_reply);
    if (flow->what.kind == LB_UNDECIDED && opens(lb, pkt))
        decide(nf, lb, backends, pkt, flow, &source, &destination);
    if (flow->what.kind == LB_NO_BACKEND)
        return drop(nf, lb->no_backend);
    if (flow->what.kind == LB_BALANCED) {
        if (backends_down(backends, &flow->backend)) {
            rill_flow_restart(pkt); /* the next one is of a new life, with another backend */
            return drop(nf, lb->backend_down);
        }
        if (translate(pkt, flow, &source, &destination) != 0)
            return drop(nf, lb->not_rewritten);
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
    .fini = lb_fini,
};

RILL_NF(&lb_descriptor);
