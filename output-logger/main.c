/* rill-output-logger: an output logger in a process of its own. What it releases goes to the client
 * that is attached, else out of the deployment's interfaces. */
#include <errno.h>

#include "lib/control/slots.h"
#include "lib/control/split_facts.h"
#include "lib/daemon/ports.h"
#include "lib/daemon/role.h"
#include "lib/frame/frame.h"
#include "output-logger/ol_settings.h"

enum { BURST = 32, SIDES = 2 };

struct burst { /* released in this turn, to one side */
    struct rte_mbuf *packets[BURST];
    uint32_t count;
};

struct logger {
    uint32_t role;
    struct rill_ol *ol;
    struct rill_split *split; /* of several controllers: whose a packet is that is turned round */
    struct rill_ports *ports; /* NULL: the deployment has no interfaces */
    uint32_t client;          /* 0: none is attached */
    struct burst bursts[SIDES];
    uint64_t packets_to_client, packets_to_ports;
    uint64_t dropped_no_egress; /* neither a client nor an interface */
};

/* --- activation ------------------------------------------------------------------------------- */

static int create_split(struct logger *l, const struct rill_role_host *host,
                        const Control__Activate *how, struct rill_error *err)
{
    struct rill_split_config config;

    if (how->n_controllers <= 1)
        return 0;
    if (rill_control_split(how->facts, (uint32_t)how->n_controllers,
                           rill_config_u64(host->settings, "seed"), &config, err) != 0)
        return -EINVAL;
    l->split = rill_split_create(&config, err);
    return l->split == NULL ? -EINVAL : 0;
}

static int activate(void *arg, const struct rill_role_host *host, const Control__Activate *how,
                    Control__Facts *facts, struct rill_error *err)
{
    struct logger *l = arg;
    struct rill_ol_config config = rill_ol_settings(host->settings);
    struct rill_controllers known;
    int rc = rill_control_slots(how, &known, err);

    (void)facts;
    if (rc != 0)
        return rc;
    if (how->facts == NULL)
        return rill_error_set(err, -EINVAL, "an output logger has to be told what its NF is");
    l->role = host->role;
    config.id = host->role;
    config.controllers = &known;
    config.vni = how->vni;
    config.state_bytes = how->facts->state_bytes;
    config.pool = host->pool;
    rc = create_split(l, host, how, err);
    if (rc != 0)
        return rc;
    config.split = l->split;
    l->ol = rill_ol_create(&config, err);
    if (l->ol == NULL)
        return -ENOMEM;
    if (how->inside_interface[0] == '\0')
        return 0;
    return rill_ports_open(how->inside_interface, how->outside_interface, RILL_PORTS_TRANSMIT,
                           host->pool, &l->ports, err);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void receive(void *arg, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                    struct rill_outbox *out)
{
    struct logger *l = arg;

    rill_ol_recv(l->ol, frames, n, now_ns, out);
}

static void tick(void *arg, uint64_t now_ns, struct rill_outbox *out)
{
    struct logger *l = arg;

    rill_ol_tick(l->ol, now_ns, out);
}

static uint64_t next_ns(void *arg)
{
    struct logger *l = arg;

    return rill_ol_next_ns(l->ol);
}

/* --- released packets ------------------------------------------------------------------------- */

/* The packet as a frame for the client: what it is of, where it leaves and when it came in; nothing
 * else of what it was. */
static void to_client(struct logger *l, struct rte_mbuf *m, struct rill_outbox *out)
{
    struct rill_frame *f = rill_frame(m);
    struct rill_frame was = *f;

    rill_frame_reset(f);
    f->type = RILL_FRAME_RELEASED;
    f->flags = RILL_FLAG_PACKET;
    f->side = was.side;
    f->src = l->role;
    f->dst = l->client;
    f->epoch = was.epoch;
    f->vni = was.vni;
    f->flow = was.flow;
    f->wire_bytes = was.wire_bytes;
    f->ingress_ns = was.ingress_ns;
    f->ingress_id = was.ingress_id;
    f->first_sport = was.first_sport;
    f->first_dport = was.first_dport;
    l->packets_to_client++;
    rill_outbox_put(out, m);
}

static void send_burst(struct logger *l, enum rill_side side)
{
    struct burst *burst = &l->bursts[side];

    rill_ports_send(l->ports, side, burst->packets, burst->count);
    burst->count = 0;
}

static void to_port(struct logger *l, struct rte_mbuf *m)
{
    enum rill_side side = rill_frame(m)->side == RILL_OUTSIDE ? RILL_OUTSIDE : RILL_INSIDE;
    struct burst *burst = &l->bursts[side];

    l->packets_to_ports++;
    burst->packets[burst->count++] = m;
    if (burst->count == BURST)
        send_burst(l, side);
}

static void release(void *arg, struct rte_mbuf *m, uint64_t now_ns, struct rill_outbox *out)
{
    struct logger *l = arg;

    (void)now_ns;
    if (l->client != 0) {
        to_client(l, m, out);
    } else if (l->ports != NULL) {
        to_port(l, m);
    } else {
        l->dropped_no_egress++;
        rte_pktmbuf_free(m);
    }
}

/* At the end of a turn: what it released goes out. Nothing comes in here. */
static bool poll(void *arg, uint64_t now_ns, struct rill_outbox *out)
{
    struct logger *l = arg;

    (void)now_ns;
    (void)out;
    for (int side = 0; side < SIDES; side++)
        if (l->bursts[side].count > 0)
            send_burst(l, (enum rill_side)side);
    return false;
}

static void egress(void *arg, uint32_t client)
{
    struct logger *l = arg;

    l->client = client;
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
    struct logger *l = arg;
    const struct rill_ol_counters *n = rill_ol_counters(l->ol);

#define X(name) rill_role_metrics_add(metrics, "output_logger", #name, n->name);
    RILL_OL_COUNTERS(X)
#undef X
    rill_role_metrics_add(metrics, "output_logger", "packets_to_client", l->packets_to_client);
    rill_role_metrics_add(metrics, "output_logger", "packets_to_ports", l->packets_to_ports);
    rill_role_metrics_add(metrics, "output_logger", "dropped_no_egress", l->dropped_no_egress);
    if (l->ports != NULL)
        add_ports(l->ports, metrics);
    rill_role_metrics_add_held(metrics, rill_ol_packets_held(l->ol) + l->bursts[RILL_INSIDE].count +
                                            l->bursts[RILL_OUTSIDE].count);
}

int main(int argc, char **argv)
{
    static struct logger logger;
    static const struct rill_role_ops ops = {.program = "rill-output-logger",
                                             .kind = RILL_ROLE_OUTPUT_LOGGER,
                                             .activate = activate,
                                             .recv = receive,
                                             .tick = tick,
                                             .next_ns = next_ns,
                                             .poll = poll,
                                             .release = release,
                                             .egress = egress,
                                             .metrics = metrics,
                                             .arg = &logger};

    return rill_role_main(&ops, argc, argv);
}
