/* The core of a program in a container: what the roles' main.c make of an Activate. */
#include <stdlib.h>
#include <string.h>

#include "controller/controller_settings.h"
#include "lib/control/slots.h"
#include "nf-runtime/unit_settings.h"
#include "output-logger/ol_settings.h"
#include "tests/sim/world.h"

enum { ADDRESS_BYTES = 16, TABLES = 256 };

static int configure(struct rill_config **config, const struct rill_option *schema,
                     Control__Named **values, size_t n, struct rill_error *err)
{
    int rc = 0;

    *config = rill_config_create(schema, err);
    if (*config == NULL)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = rill_config_set(*config, values[i]->name, values[i]->text, "the deployment", err);
    return rc;
}

static int make_unit(struct world_program *p, const Control__Activate *how, struct rill_error *err)
{
    struct world_core *core = &p->core;
    struct rill_unit_config config = rill_unit_settings(core->settings);
    struct rill_controllers known;
    int rc = rill_control_slots(how, &known, err);

    if (rc == 0)
        rc = configure(&core->nf_config, sim_chain_nf.options, how->config, how->n_config, err);

    if (rc != 0)
        return rc;
    core->nf = rill_nf_create(&sim_chain_nf, core->nf_config, err);
    if (core->nf == NULL)
        return -EINVAL;
    config.id = p->id;
    config.output_logger = how->output_logger;
    config.controllers = &known;
    if (how->n_controllers == 1) {
        config.controller = how->controllers[0]->controller;
        config.epoch = (uint16_t)how->controllers[0]->epoch;
    }
    config.vni = how->vni;
    config.pool = p->w->pool;
    config.nf = core->nf;
    config.flows_max = TABLES;
    core->unit = rill_unit_create(&config, err);
    if (core->unit == NULL)
        return -ENOMEM;
    rill_unit_set_step_hook(core->unit, sim_check_step, p->domain->check);
    return 0;
}

static int make_logger(struct world_program *p, const Control__Activate *how,
                       struct rill_error *err)
{
    struct rill_ol_config config = rill_ol_settings(p->core.settings);
    struct rill_controllers known;
    int rc = rill_control_slots(how, &known, err);

    if (rc != 0)
        return rc;
    config.id = p->id;
    config.controllers = &known;
    config.vni = how->vni;
    config.state_bytes = how->facts->state_bytes;
    config.pool = p->w->pool;
    config.flows_max = TABLES;
    p->core.ol = rill_ol_create(&config, err);
    return p->core.ol == NULL ? -ENOMEM : 0;
}

static struct rill_controller_nf read_nf(struct world_core *core, const Control__Facts *facts)
{
    const Control__Pool *pool = facts->pools[0]; /* the chain NF has one */
    struct rill_controller_nf nf = {.flow_scope = (enum rill_flow_scope)facts->flow_scope,
                                    .handles = facts->handles,
                                    .flags = facts->flags,
                                    .unhandled_passes = facts->unhandled_passes,
                                    .pool_count = 1};

    core->addresses = world_alloc(pool->addresses.len);
    memcpy(core->addresses, pool->addresses.data, pool->addresses.len);
    nf.pools[0] =
        (struct rill_controller_pool){.proto = (enum rill_proto)pool->proto,
                                      .family = (uint8_t)pool->family,
                                      .port_low = (uint16_t)pool->port_low,
                                      .port_high = (uint16_t)pool->port_high,
                                      .addresses = (uint32_t)pool->addresses.len / ADDRESS_BYTES,
                                      .preserve_ports = pool->preserve_ports,
                                      .addr = (const uint8_t(*)[16])core->addresses};
    return nf;
}

static int make_controller(struct world_program *p, const Control__Activate *how,
                           struct rill_error *err)
{
    struct rill_controller_nf nf = read_nf(&p->core, how->facts);
    struct rill_controller_config config = rill_controller_settings(p->core.settings, &nf);

    config.id = p->id;
    config.rm = how->rm;
    config.epoch = (uint16_t)how->epoch;
    config.takes_over = how->takes_over;
    config.vni = how->vni;
    config.pool = p->w->pool;
    rill_controller_is_one_of(&config, p->core.settings, (uint32_t)how->n_controllers);
    config.units_max = 2 * how->units;
    config.flows_max = TABLES;
    p->core.controller = rill_controller_create(&config, err);
    return p->core.controller == NULL ? -ENOMEM : 0;
}

int world_core_activate(struct world_program *p, const Control__Activate *how,
                        struct rill_error *err)
{
    int rc =
        configure(&p->core.settings, rill_settings_schema, how->settings, how->n_settings, err);

    if (rc != 0)
        return rc;
    if (rill_role_kind(p->id) == RILL_ROLE_UNIT)
        return make_unit(p, how, err);
    if (how->facts == NULL)
        return rill_error_set(err, -EINVAL, "it has to be told what its NF is");
    return rill_role_kind(p->id) == RILL_ROLE_CONTROLLER ? make_controller(p, how, err)
                                                         : make_logger(p, how, err);
}

Control__Facts *world_core_facts(const struct world_core *core)
{
    static Control__Facts facts;
    static Control__Pool pool, *pools[] = {&pool};
    const struct rill_nf_descriptor *d = rill_nf_descriptor(core->nf);
    struct rill_pool_spec spec;

    rill_nf_pool_spec(core->nf, 0, &spec);
    control__pool__init(&pool);
    pool.proto = spec.proto;
    pool.family = spec.family;
    pool.port_low = spec.port_low;
    pool.port_high = spec.port_high;
    pool.preserve_ports = spec.preserve_ports;
    pool.addresses.len = spec.addresses * sizeof(spec.addr[0]);
    pool.addresses.data = (uint8_t *)(uintptr_t)spec.addr;
    control__facts__init(&facts);
    facts.nf = (char *)(uintptr_t)d->name;
    facts.version = (char *)(uintptr_t)d->version;
    facts.state_bytes = rill_nf_state_bytes(core->nf);
    facts.flow_scope = d->flow_scope;
    facts.handles = d->handles;
    facts.flags = d->flags;
    facts.writes = d->writes;
    facts.n_pools = 1;
    facts.pools = pools;
    return &facts;
}

/* --- turns ------------------------------------------------------------------------------------ */

void world_core_recv(struct world_program *p, struct rte_mbuf **frames, uint32_t n)
{
    if (p->core.unit != NULL)
        rill_unit_recv(p->core.unit, frames, n, p->w->now_ns, &p->out);
    else if (p->core.ol != NULL)
        rill_ol_recv(p->core.ol, frames, n, p->w->now_ns, &p->out);
    else
        rill_controller_recv(p->core.controller, frames, n, p->w->now_ns, &p->out);
}

void world_core_tick(struct world_program *p)
{
    if (p->core.unit != NULL)
        rill_unit_tick(p->core.unit, p->w->now_ns, &p->out);
    else if (p->core.ol != NULL)
        rill_ol_tick(p->core.ol, p->w->now_ns, &p->out);
    else
        rill_controller_tick(p->core.controller, p->w->now_ns, &p->out);
}

uint64_t world_core_next_ns(const struct world_program *p)
{
    if (p->core.unit != NULL)
        return rill_unit_next_ns(p->core.unit);
    if (p->core.ol != NULL)
        return rill_ol_next_ns(p->core.ol);
    return rill_controller_next_ns(p->core.controller);
}

/* --- books ------------------------------------------------------------------------------------ */

static uint64_t if_dropped(const char *name, uint64_t value)
{
    return strncmp(name, "dropped_", 8) == 0 ? value : 0;
}

static uint64_t controller_drops(const struct rill_controller_counters *n)
{
    uint64_t drops = 0;

#define X(name) drops += if_dropped(#name, n->name);
    RILL_CONTROLLER_COUNTERS(X)
#undef X
    for (int i = 0; i < RILL_PARSE_RESULTS; i++)
        drops += n->dropped_malformed[i];
    return drops;
}

static uint64_t unit_drops(const struct rill_unit_counters *n)
{
    uint64_t drops = 0;

#define X(name) drops += if_dropped(#name, n->name);
    RILL_UNIT_COUNTERS(X)
#undef X
    return drops;
}

static uint64_t logger_drops(const struct rill_ol_counters *n)
{
    uint64_t drops = 0;

#define X(name) drops += if_dropped(#name, n->name);
    RILL_OL_COUNTERS(X)
#undef X
    return drops;
}

uint64_t world_core_drops(const struct world_core *core)
{
    if (core->controller != NULL)
        return controller_drops(rill_controller_counters(core->controller));
    if (core->unit != NULL)
        return unit_drops(rill_unit_counters(core->unit));
    return core->ol == NULL ? 0 : logger_drops(rill_ol_counters(core->ol));
}

uint64_t world_core_held(const struct world_core *core)
{
    if (core->controller != NULL)
        return rill_controller_packets_held(core->controller);
    if (core->unit != NULL)
        return rill_unit_packets_held(core->unit);
    return core->ol == NULL ? 0 : rill_ol_packets_held(core->ol);
}

void world_core_count(const struct world_core *core, struct sim_result *result)
{
    if (core->unit != NULL)
        result->steps += rill_unit_counters(core->unit)->packets_processed;
    if (core->controller != NULL)
        result->moves += rill_controller_counters(core->controller)->flowlets_moved;
}

void world_core_destroy(struct world_core *core)
{
    rill_controller_destroy(core->controller);
    rill_unit_destroy(core->unit);
    rill_ol_destroy(core->ol);
    rill_nf_destroy(core->nf);
    rill_config_destroy(core->nf_config);
    rill_config_destroy(core->settings);
    free(core->addresses);
    *core = (struct world_core){0};
}
