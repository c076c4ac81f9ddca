/* rill-nf-runtime: a unit in a process of its own. */
#include <errno.h>
#include <stdio.h>

#include "lib/control/slots.h"
#include "lib/daemon/daemon.h"
#include "lib/daemon/role.h"
#include "nf-runtime/loader.h"
#include "nf-runtime/unit_objects.h"
#include "nf-runtime/unit_records.h"
#include "nf-runtime/unit_settings.h"
#include "nf-runtime/unit_store.h"

enum { TEXT_BYTES = 64 };

struct runtime {
    struct rill_nf_image image;
    struct rill_config *config;
    struct rill_nf *nf;
    struct rill_unit *unit;
    bool received; /* anything in this turn */
    struct unit_store store;
    struct unit_objects objects;
    struct unit_records records;
    /* what the NF is, as it is told */
    char name[TEXT_BYTES], version[TEXT_BYTES];
    Control__Pool pools[RILL_NF_POOLS_MAX], *pool_list[RILL_NF_POOLS_MAX];
};

/* --- activation ------------------------------------------------------------------------------- */

static int configure(struct runtime *r, const Control__Activate *how, struct rill_error *err)
{
    char source[128];
    int rc = 0;

    snprintf(source, sizeof(source), "deployment %.100s", how->deployment);
    r->config = rill_config_create(r->image.descriptor->options, err);
    if (r->config == NULL)
        return -EINVAL;
    for (size_t i = 0; rc == 0 && i < how->n_config; i++)
        rc = rill_config_set(r->config, how->config[i]->name, how->config[i]->text, source, err);
    return rc == 0 ? rill_config_complete(r->config, err) : rc;
}

static int create_unit(struct runtime *r, const struct rill_role_host *host,
                       const Control__Activate *how, struct rill_error *err)
{
    struct rill_unit_config config = rill_unit_settings(host->settings);
    struct rill_controllers known;
    int rc = rill_control_slots(how, &known, err);

    if (rc == 0)
        rc = unit_store_open(&r->store, host->settings, how->links_folder, host->pool, err);
    if (rc != 0)
        return rc;
    config.store = r->store.store != NULL ? UNIT_STORE_ID : 0;
    config.id = host->role;
    config.output_logger = how->output_logger;
    config.controllers = &known;
    if (how->n_controllers == 1) {
        config.controller = how->controllers[0]->controller;
        config.epoch = (uint16_t)how->controllers[0]->epoch;
    }
    config.vni = how->vni;
    config.pool = host->pool;
    config.nf = r->nf;
    r->unit = rill_unit_create(&config, err);
    if (r->unit == NULL)
        return -ENOMEM;
    rill_unit_prefault(r->unit);
    return 0;
}

static void add_pool(struct runtime *r, unsigned i)
{
    Control__Pool *pool = &r->pools[i];
    struct rill_pool_spec spec;

    rill_nf_pool_spec(r->nf, i, &spec);
    control__pool__init(pool);
    pool->proto = spec.proto;
    pool->family = spec.family;
    pool->port_low = spec.port_low;
    pool->port_high = spec.port_high;
    pool->preserve_ports = spec.preserve_ports;
    pool->addresses.len = spec.addresses * sizeof(spec.addr[0]);
    pool->addresses.data = (uint8_t *)(uintptr_t)spec.addr;
    r->pool_list[i] = pool;
}

static void fill_facts(struct runtime *r, Control__Facts *facts)
{
    const struct rill_nf_descriptor *d = r->image.descriptor;

    snprintf(r->name, sizeof(r->name), "%s", d->name);
    snprintf(r->version, sizeof(r->version), "%s", d->version);
    rill_daemon_clean(r->name);
    rill_daemon_clean(r->version);
    facts->nf = r->name;
    facts->version = r->version;
    facts->state_bytes = rill_nf_state_bytes(r->nf);
    facts->flow_scope = d->flow_scope;
    facts->handles = d->handles;
    facts->flags = d->flags;
    facts->writes = d->writes;
    facts->unhandled_passes = d->unhandled_passes;
    facts->n_pools = rill_nf_pool_count(r->nf);
    facts->pools = r->pool_list;
    for (unsigned i = 0; i < facts->n_pools; i++)
        add_pool(r, i);
}

static void say(const char *nf, const char *line)
{
    rill_daemon_say("NF '%s': %s", nf, line);
}

static int activate(void *arg, const struct rill_role_host *host, const Control__Activate *how,
                    Control__Facts *facts, struct rill_error *err)
{
    struct runtime *r = arg;
    int rc = rill_nf_load_bytes(how->nf, how->image.data, how->image.len, &r->image, err);

    rill_nf_log_to(say);
    if (rc == 0)
        rc = configure(r, how, err);
    if (rc != 0)
        return rc;
    r->nf = rill_nf_create(r->image.descriptor, r->config, err);
    if (r->nf == NULL)
        return -EINVAL;
    rc = unit_objects_open(&r->objects, host, r->nf, err);
    if (rc == 0)
        rc = create_unit(r, host, how, err);
    if (rc != 0)
        return rc;
    unit_records_open(&r->records, host, how->deployment, r->nf);
    fill_facts(r, facts);
    return 0;
}

/* --- turns ------------------------------------------------------------------------------------ */

static void receive(void *arg, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                    struct rill_outbox *out)
{
    struct runtime *r = arg;

    r->received = true;
    rill_unit_recv(r->unit, frames, n, now_ns, out);
    unit_store_pass(&r->store, r->unit, now_ns, out);
}

static void tick(void *arg, uint64_t now_ns, struct rill_outbox *out)
{
    struct runtime *r = arg;

    rill_unit_tick(r->unit, now_ns, out);
    unit_store_tick(&r->store, r->unit, now_ns, out);
    unit_records_tick(&r->records, r->nf, now_ns);
}

/* Between two bursts. */
static bool look(void *arg, uint64_t now_ns, struct rill_outbox *out)
{
    struct runtime *r = arg;

    (void)now_ns;
    (void)out;
    unit_objects_turn(&r->objects, r->nf);
    rill_unit_prefault_ahead(r->unit, !r->received);
    r->received = false;
    return false;
}

static uint64_t next_ns(void *arg)
{
    struct runtime *r = arg;

    return RTE_MIN(RTE_MIN(rill_unit_next_ns(r->unit), unit_store_next_ns(&r->store)),
                   unit_records_next_ns(&r->records));
}

static void store_metrics(const struct rill_store_counters *n, struct rill_role_metrics *metrics)
{
#define X(name) rill_role_metrics_add(metrics, "store", #name, n->name);
    RILL_STORE_COUNTERS(X)
#undef X
}

static void metrics(void *arg, struct rill_role_metrics *metrics)
{
    struct runtime *r = arg;
    const struct rill_unit_counters *n = rill_unit_counters(r->unit);
    const char *name;
    uint64_t value;

#define X(name) rill_role_metrics_add(metrics, "unit", #name, n->name);
    RILL_UNIT_COUNTERS(X)
#undef X
    if (r->store.store != NULL)
        store_metrics(&r->store.store->n, metrics);
    for (unsigned i = 0; rill_nf_counter(r->nf, i, &name, &value); i++)
        rill_role_metrics_add_nf(metrics, name, value);
    unit_objects_metrics(&r->objects, metrics);
    unit_records_metrics(&r->records, metrics);
    rill_role_metrics_add_held(metrics, rill_unit_packets_held(r->unit));
}

static bool objects(void *arg, Control__Objects *body)
{
    struct runtime *r = arg;

    return unit_objects_tell(&r->objects, r->nf, body);
}

static void end(void *arg, uint64_t now_ns)
{
    struct runtime *r = arg;

    rill_unit_end_owned(r->unit, now_ns);
    /* The configuration store's thread may be busy for seconds; the process ends without it. */
    unit_records_close(&r->records, r->nf, now_ns);
}

int main(int argc, char **argv)
{
    static struct runtime runtime;
    static const struct rill_role_ops ops = {.program = "rill-nf-runtime",
                                             .kind = RILL_ROLE_UNIT,
                                             .activate = activate,
                                             .recv = receive,
                                             .tick = tick,
                                             .next_ns = next_ns,
                                             .poll = look,
                                             .metrics = metrics,
                                             .objects = objects,
                                             .end = end,
                                             .arg = &runtime};

    return rill_role_main(&ops, argc, argv);
}
