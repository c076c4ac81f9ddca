/* rill-controller: a controller in a process of its own, one of its deployment's. Packets come from
 * the client that is attached, and in at the deployment's interfaces if it has some. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_malloc.h>

#include "controller/controller_settings.h"
#include "lib/base/epoch.h"
#include "lib/control/split_facts.h"
#include "lib/daemon/daemon.h"
#include "lib/daemon/ports.h"
#include "lib/daemon/role.h"
#include "lib/frame/frame.h"
#include "lib/frame/ingress_split.h"

enum {
    BURST = 32,
    ADDRESS_BYTES = 16,
    ADDRESSES_MAX = 65535,
    FLOW_BYTES = 256, /* of DPDK's memory, for a flow in two hash tables: 170 to 230 */
};

struct gate {
    struct rill_controller *controller;
    struct rill_ports *ports; /* NULL: the deployment has no interfaces */
    uint32_t client;          /* 0: none is attached */
    uint64_t last_ingress_id; /* of packets that came in at the interfaces */
    /* Of several controllers each sees all that comes in at the interfaces, and takes its own.
     * NULL: it is the only one. */
    struct rill_ingress_split *split;
    uint32_t slot;
    uint64_t packets_of_others;
    struct rill_outbox *out; /* while the split hands out packets */
    uint8_t (*addresses[RILL_CONTROLLER_POOLS_MAX])[ADDRESS_BYTES];
};

/* --- activation ------------------------------------------------------------------------------- */

/* The NF said it, and an NF may be anybody's. */
static int read_pool(struct gate *g, const Control__Pool *from, unsigned i,
                     struct rill_controller_pool *to, struct rill_error *err)
{
    size_t addresses = from->addresses.len / ADDRESS_BYTES;

    if (from->addresses.len % ADDRESS_BYTES != 0 || addresses == 0 || addresses > ADDRESSES_MAX ||
        from->port_low > from->port_high || from->port_high > UINT16_MAX ||
        from->proto > UINT8_MAX || (from->family != 4 && from->family != 6))
        return rill_error_set(err, -EINVAL, "pool %u of the NF is not one: build the NF anew", i);
    g->addresses[i] = malloc(from->addresses.len);
    if (g->addresses[i] == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the addresses of the NF's pools");
    memcpy(g->addresses[i], from->addresses.data, from->addresses.len);
    *to = (struct rill_controller_pool){.proto = (enum rill_proto)from->proto,
                                        .family = (uint8_t)from->family,
                                        .port_low = (uint16_t)from->port_low,
                                        .port_high = (uint16_t)from->port_high,
                                        .addresses = (uint32_t)addresses,
                                        .addr = (const uint8_t(*)[16])g->addresses[i],
                                        .preserve_ports = from->preserve_ports};
    return 0;
}

static int read_nf(struct gate *g, const Control__Facts *facts, struct rill_controller_nf *nf,
                   struct rill_error *err)
{
    if (facts == NULL)
        return rill_error_set(err, -EINVAL, "a controller has to be told what its NF is");
    if (facts->n_pools > RILL_CONTROLLER_POOLS_MAX)
        return rill_error_set(err, -EINVAL, "the NF has %zu pools of endpoints; at most %d can be",
                              facts->n_pools, RILL_CONTROLLER_POOLS_MAX);
    *nf = (struct rill_controller_nf){.flow_scope = (enum rill_flow_scope)facts->flow_scope,
                                      .handles = facts->handles,
                                      .flags = facts->flags,
                                      .unhandled_passes = facts->unhandled_passes,
                                      .pool_count = (unsigned)facts->n_pools};
    for (unsigned i = 0; i < nf->pool_count; i++) {
        int rc = read_pool(g, facts->pools[i], i, &nf->pools[i], err);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* By default a controller is made for as many flows as its memory holds, up to the setting. Where
 * somebody set a number, that is what it has to hold. */
static uint32_t flows_max(const struct rill_config *settings, uint32_t setting)
{
    struct rte_malloc_socket_stats heap = {0};
    uint64_t fit;

    if (strcmp(rill_config_source(settings, "flows_max"), "default") != 0 ||
        rte_malloc_get_socket_stats(0, &heap) != 0)
        return setting;
    fit = heap.greatest_free_size / FLOW_BYTES;
    if (fit >= setting)
        return setting;
    rill_daemon_say("%" PRIu64 " flows fit into its memory; for flows_max, which is %u, give more "
                    "with --memory-mb",
                    fit, setting);
    return (uint32_t)fit;
}

static int create_controller(struct gate *g, const struct rill_role_host *host,
                             const Control__Activate *how, struct rill_error *err)
{
    struct rill_controller_config config;
    struct rill_controller_nf nf;
    int rc = read_nf(g, how->facts, &nf, err);

    if (rc != 0)
        return rc;
    config = rill_controller_settings(host->settings, &nf);
    if (config.units_min > how->units)
        return rill_error_set(err, -EINVAL, "units_min is %u, but there are only %u units",
                              config.units_min, how->units);
    config.id = host->role;
    config.rm = how->rm;
    config.epoch = (uint16_t)how->epoch;
    config.takes_over = how->takes_over;
    config.vni = how->vni;
    rill_controller_is_one_of(&config, host->settings, (uint32_t)how->n_controllers);
    config.pool = host->pool;
    config.units_max = 2 * how->units; /* some may be dying while others come */
    config.flows_max = flows_max(host->settings, config.flows_max);
    if (getrandom(&config.hash_seed, sizeof(config.hash_seed), 0) !=
        (ssize_t)sizeof(config.hash_seed))
        return rill_error_set(err, -EIO, "no random number for its tables: %s", strerror(errno));
    g->controller = rill_controller_create(&config, err);
    return g->controller == NULL ? -ENOMEM : 0;
}

static void take(void *arg, uint32_t slot, struct rte_mbuf **packets, uint32_t n, uint64_t now_ns)
{
    struct gate *g = arg;

    if (slot == g->slot) {
        rill_controller_ingress(g->controller, packets, n, now_ns, g->out);
        return;
    }
    g->packets_of_others += n;
    rte_pktmbuf_free_bulk(packets, n);
}

/* Made also where a replay's client splits: an NF whose packets can't be is refused here. */
static int create_split(struct gate *g, const struct rill_role_host *host,
                        const Control__Activate *how, struct rill_error *err)
{
    struct rill_ingress_split_config config = {.give = take, .arg = g};
    uint32_t controllers = (uint32_t)how->n_controllers;

    if (how->n_controllers <= 1)
        return 0;
    if (how->n_controllers > RILL_SLOTS_MAX)
        return rill_error_set(err, -EINVAL, "%zu controllers; at most %d can be",
                              how->n_controllers, RILL_SLOTS_MAX);
    if (rill_control_split(how->facts, controllers, rill_config_u64(host->settings, "seed"),
                           &config.split, err) != 0)
        return -EINVAL;
    g->slot = rill_epoch_slot((uint16_t)how->epoch);
    g->split = rill_ingress_split_create(&config, err);
    return g->split == NULL ? -EINVAL : 0;
}

static int activate(void *arg, const struct rill_role_host *host, const Control__Activate *how,
                    Control__Facts *facts, struct rill_error *err)
{
    struct gate *g = arg;
    int rc = create_controller(g, host, how, err);

    (void)facts;
    if (rc == 0)
        rc = create_split(g, host, how, err);
    if (rc == 0 && how->inside_interface[0] != '\0')
        rc = rill_ports_open(how->inside_interface, how->outside_interface, RILL_PORTS_RECEIVE,
                             host->pool, &g->ports, err);
    return rc;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* A packet from the client, as the core wants it: where and when it came in, and nothing else. */
static void strip(struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    struct rill_frame was = *f;

    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = was.side;
    f->wire_bytes = was.wire_bytes;
    f->ingress_ns = was.ingress_ns;
    f->ingress_id = was.ingress_id;
}

static void receive(void *arg, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                    struct rill_outbox *out)
{
    struct gate *g = arg;
    struct rte_mbuf *packets[BURST];
    uint32_t count = 0, others = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct rill_frame *f = rill_frame(frames[i]);

        if (f->type == RILL_FRAME_INGRESS && f->src == g->client && g->client != 0) {
            strip(frames[i]);
            packets[count++] = frames[i];
        } else {
            frames[others++] = frames[i];
        }
    }
    if (others > 0)
        rill_controller_recv(g->controller, frames, others, now_ns, out);
    if (count > 0)
        rill_controller_ingress(g->controller, packets, count, now_ns, out);
}

static void tick(void *arg, uint64_t now_ns, struct rill_outbox *out)
{
    struct gate *g = arg;

    g->out = out;
    if (g->split != NULL)
        rill_ingress_split_tick(g->split, now_ns);
    rill_controller_tick(g->controller, now_ns, out);
}

static uint64_t next_ns(void *arg)
{
    struct gate *g = arg;

    uint64_t next_ns = rill_controller_next_ns(g->controller);

    return g->split == NULL ? next_ns : RTE_MIN(next_ns, rill_ingress_split_next_ns(g->split));
}

/* Takes in what came in at the interfaces: a burst from each side. */
static bool poll(void *arg, uint64_t now_ns, struct rill_outbox *out)
{
    struct gate *g = arg;
    bool any = false;

    for (int side = RILL_INSIDE; g->ports != NULL && side <= RILL_OUTSIDE; side++) {
        struct rte_mbuf *packets[BURST];
        uint32_t n = rill_ports_receive(g->ports, (enum rill_side)side, packets, BURST);

        for (uint32_t i = 0; i < n; i++) {
            rill_frame(packets[i])->ingress_ns = now_ns;
            rill_frame(packets[i])->ingress_id = ++g->last_ingress_id;
        }
        g->out = out;
        if (n > 0 && g->split != NULL)
            rill_ingress_split_take(g->split, packets, n, now_ns);
        else if (n > 0)
            rill_controller_ingress(g->controller, packets, n, now_ns, out);
        any |= n > 0;
    }
    return any;
}

/* From a client there is, its packets come in. */
static void set_client(void *arg, uint32_t client)
{
    struct gate *g = arg;

    g->client = client;
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void add_counters(const struct gate *g, struct rill_role_metrics *metrics)
{
    const struct rill_controller_counters *n = rill_controller_counters(g->controller);

#define X(name) rill_role_metrics_add(metrics, "controller", #name, n->name);
    RILL_CONTROLLER_COUNTERS(X)
#undef X
    for (int i = 0; i < RILL_PARSE_RESULTS; i++) {
        char name[64];

        snprintf(name, sizeof(name), "dropped_%s", rill_parse_result_name(i));
        if (n->dropped_malformed[i] > 0)
            rill_role_metrics_add(metrics, "controller", name, n->dropped_malformed[i]);
    }
}

static void add_ports(struct rill_ports *ports, struct rill_role_metrics *metrics)
{
    const struct rill_ports_counters *n = rill_ports_counters(ports);

#define X(name) rill_role_metrics_add(metrics, "ports", #name, n->name);
    RILL_PORTS_COUNTERS(X)
#undef X
}

static void metrics(void *arg, struct rill_role_metrics *metrics)
{
    struct gate *g = arg;
    uint64_t now_ns = rill_daemon_now_ns();

    add_counters(g, metrics);
    if (g->ports != NULL)
        add_ports(g->ports, metrics);
    if (g->ports != NULL && g->split != NULL) {
        rill_role_metrics_add(metrics, "ports", "of_other_controllers", g->packets_of_others);
        rill_role_metrics_add_held(metrics, rill_ingress_split_held(g->split));
    }
    rill_role_metrics_add_held(metrics, rill_controller_packets_held(g->controller));
    for (uint32_t i = 0; i < rill_controller_units(g->controller); i++) {
        double utilization;
        uint32_t unit = rill_controller_unit(g->controller, i, now_ns, &utilization);

        rill_role_metrics_add_unit(metrics, unit, rill_controller_unit_share(g->controller, unit),
                                   utilization);
    }
}

int main(int argc, char **argv)
{
    static struct gate gate;
    static const struct rill_role_ops ops = {.program = "rill-controller",
                                             .kind = RILL_ROLE_CONTROLLER,
                                             .activate = activate,
                                             .recv = receive,
                                             .tick = tick,
                                             .next_ns = next_ns,
                                             .poll = poll,
                                             .egress = set_client,
                                             .metrics = metrics,
                                             .arg = &gate};

    return rill_role_main(&ops, argc, argv);
}
