/* The roles of a cluster in one process: made from its configuration, and destroyed. */
#include "cli/cluster_internal.h"

#include <errno.h>

#include "controller/controller_settings.h"
#include "lib/store/store_model.h"
#include "nf-runtime/unit_settings.h"
#include "output-logger/ol_settings.h"
#include "rm/rm_settings.h"

enum { WHOLE_UNIT = 1000 };

/* The caller's bounds on tables, besides the setting's. */
static uint32_t bounded(const struct rill_cluster *k, uint32_t flows_max)
{
    return RTE_MIN(flows_max, k->config.flows_max);
}

/* All that are there now. */
static struct rill_controllers present(const struct rill_cluster *k)
{
    struct rill_controllers known = {0};

    for (uint32_t slot = 0; slot < k->slots; slot++)
        rill_controllers_adopt(&known, cluster_newest(k, slot)->epoch, cluster_newest(k, slot)->id);
    return known;
}

static bool is_external(const struct rill_cluster *k)
{
    return rill_config_enum(k->config.settings, "state") == RILL_STATE_EXTERNAL;
}

static int equip(struct rill_cluster *k, struct rill_nf *nf, struct rill_error *err)
{
    const struct rill_object_spec *missing;

    if (k->config.equip != NULL && k->config.equip(k->config.arg, nf, err) != 0)
        return -EINVAL;
    missing = rill_nf_object_missing(nf);
    if (missing == NULL)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "option '%s' names the object '%s', but there is no "
                          "configuration store here",
                          missing->option, missing->name);
}

static int create_unit(struct rill_cluster *k, struct unit_node *node, uint32_t output_logger,
                       struct rill_error *err)
{
    struct rill_unit_config config = rill_unit_settings(k->config.settings);
    const struct rill_controllers known = present(k);

    config.id = node->id;
    config.output_logger = output_logger;
    if (k->slots > 1) {
        config.controllers = &known;
    } else {
        config.controller = cluster_newest(k, 0)->id;
        config.epoch = cluster_newest(k, 0)->epoch;
    }
    config.store = is_external(k) ? STORE_ID : 0;
    config.pool = k->config.pool;
    config.flows_max =
        k->config.unit_flows_max ? k->config.unit_flows_max : bounded(k, config.flows_max);
    node->nf = rill_nf_create(k->config.nf, k->config.nf_config, err);
    if (node->nf == NULL)
        return -EINVAL;
    if (equip(k, node->nf, err) != 0)
        return -EINVAL;
    config.nf = node->nf;
    node->unit = rill_unit_create(&config, err);
    return node->unit == NULL ? -ENOMEM : 0;
}

static int create_output_logger(struct rill_cluster *k, struct logger_node *node,
                                const struct rill_nf *nf, struct rill_error *err)
{
    struct rill_ol_config config = rill_ol_settings(k->config.settings);
    const struct rill_controllers known = present(k);

    config.id = node->id;
    config.controllers = &known;
    config.state_bytes = rill_nf_state_bytes(nf);
    config.pool = k->config.pool;
    config.split = k->split != NULL ? rill_ingress_split_of(k->split) : NULL;
    config.turning = k->config.turning;
    config.turning_arg = k->config.arg;
    config.flows_max = k->config.output_logger_flows_max ? k->config.output_logger_flows_max
                                                         : bounded(k, config.flows_max);
    node->ol = rill_ol_create(&config, err);
    return node->ol == NULL ? -ENOMEM : 0;
}

int cluster_add_logger(struct rill_cluster *k, uint32_t unit, struct rill_error *err)
{
    struct logger_node *node = &k->loggers[k->logger_count];

    if (k->logger_count == LOGGERS_MAX)
        return rill_error_set(err, -ENOSPC, "no more than %d output loggers in one run",
                              LOGGERS_MAX);
    k->units[unit].logger = k->logger_count++;
    node->id = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, k->logger_count);
    node->unit = unit;
    return create_output_logger(k, node, k->units[unit].nf, err);
}

int cluster_add_pair(struct rill_cluster *k, uint32_t share, struct rill_error *err)
{
    struct unit_node *node = &k->units[k->unit_count];
    int rc;

    if (k->unit_count == RILL_CLUSTER_UNITS_MAX)
        return rill_error_set(err, -ENOSPC, "no more than %d units in one run",
                              RILL_CLUSTER_UNITS_MAX);
    k->unit_count++;
    node->share = share;
    node->id = rill_role_id(RILL_ROLE_UNIT, k->unit_count);
    /* The logger's number is the next one; the unit is made first, as it knows the NF. */
    rc = create_unit(k, node, rill_role_id(RILL_ROLE_OUTPUT_LOGGER, k->logger_count + 1), err);
    if (rc == 0 && k->unit_count == 1)
        rc = cluster_create_split(k, err);
    if (rc == 0)
        rc = cluster_add_logger(k, k->unit_count - 1, err);
    if (rc == 0)
        rc = rill_rm_add_unit(k->rm, node->id, k->loggers[node->logger].id,
                              rill_setting_capacity_bps(k->config.settings), share, err);
    return rc;
}

static struct rill_controller_nf controller_nf(const struct rill_nf *nf)
{
    const struct rill_nf_descriptor *d = rill_nf_descriptor(nf);
    struct rill_controller_nf facts = {.flow_scope = d->flow_scope,
                                       .handles = d->handles,
                                       .flags = d->flags,
                                       .unhandled_passes = d->unhandled_passes,
                                       .pool_count = rill_nf_pool_count(nf)};

    for (unsigned i = 0; i < facts.pool_count; i++) {
        struct rill_pool_spec spec;

        rill_nf_pool_spec(nf, i, &spec);
        facts.pools[i] = (struct rill_controller_pool){.proto = spec.proto,
                                                       .family = spec.family,
                                                       .port_low = spec.port_low,
                                                       .port_high = spec.port_high,
                                                       .addresses = spec.addresses,
                                                       .addr = spec.addr,
                                                       .preserve_ports = spec.preserve_ports};
    }
    return facts;
}

static bool shares_units(const struct rill_cluster *k)
{
    return k->slots > 1 &&
           rill_config_enum(k->config.settings, "controllers") == RILL_CONTROLLERS_LEASED;
}

/* The split is even; twice its part is room enough for any capture that is not made against it. */
static uint32_t controller_flows(const struct rill_cluster *k, uint32_t flows_max)
{
    uint32_t most = bounded(k, flows_max);

    return k->slots <= 2 ? most : RTE_MIN(flows_max, most / k->slots * 2 + 1024);
}

static int create_controller(struct rill_cluster *k, struct controller_node *node, bool takes_over,
                             struct rill_error *err)
{
    struct rill_controller_nf nf = controller_nf(k->units[0].nf);
    struct rill_controller_config config = rill_controller_settings(k->config.settings, &nf);

    config.id = node->id;
    config.rm = k->rm_id;
    config.epoch = node->epoch;
    config.takes_over = takes_over;
    rill_controller_is_one_of(&config, k->config.settings, k->slots);
    config.pool = k->config.pool;
    config.flows_max = controller_flows(k, config.flows_max);
    config.units_max = RILL_CLUSTER_UNITS_MAX; /* others may take the place of those that die */
    node->controller = rill_controller_create(&config, err);
    return node->controller == NULL ? -ENOMEM : 0;
}

/* Its id and epoch: units and output loggers are told of them before it is there. */
static struct controller_node *number_controller(struct rill_cluster *k, uint32_t slot)
{
    struct controller_node *node = &k->controllers[k->controller_count];
    uint32_t incarnation = 1;

    for (uint32_t i = 0; i < k->controller_count; i++)
        incarnation += k->controllers[i].slot == slot;
    k->newest[slot] = k->controller_count++;
    *node = (struct controller_node){.id = rill_role_id(RILL_ROLE_CONTROLLER, k->controller_count),
                                     .slot = slot,
                                     .epoch = rill_epoch(slot, incarnation)};
    return node;
}

int cluster_add_controller(struct rill_cluster *k, uint32_t slot, struct rill_error *err)
{
    return create_controller(k, number_controller(k, slot), true, err);
}

static int create_rm(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_rm_config config = {.id = k->rm_id, .pool = k->config.pool};
    int rc = rill_rm_config_from(k->config.settings, &config, err);

    if (rc != 0)
        return rc;
    k->rm = rill_rm_create(&config, err);
    return k->rm == NULL ? -ENOMEM : 0;
}

/* A round trip to the modelled store is that on the fabric, and what it takes itself. */
static int create_store(struct rill_cluster *k, struct rill_error *err)
{
    const struct rill_config *s = k->config.settings;
    double own_us =
        rill_config_double(s, "external_rtt_us") - 2 * rill_config_double(s, "link_delay_us");
    struct rill_store_model_config config = {.pool = k->config.pool,
                                             .delay_ns = own_us > 0 ? (uint64_t)(own_us * 1000) : 0,
                                             .keep_ns = rill_setting_keep_ns(s),
                                             .flows_max = bounded(k, rill_setting_flows_kept(s)),
                                             .state_bytes = rill_nf_state_bytes(k->units[0].nf)};

    k->store = k->config.store != NULL ? k->config.store : rill_store_model_create(&config, err);
    return k->store == NULL ? -ENOMEM : 0;
}

static int attach_all(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = fabric->ops->attach(fabric, k->rm_id, err);

    for (uint32_t i = 0; rc == 0 && i < k->controller_count; i++)
        rc = fabric->ops->attach(fabric, k->controllers[i].id, err);
    for (uint32_t i = 0; rc == 0 && i < k->unit_count; i++)
        rc = fabric->ops->attach(fabric, k->units[i].id, err);
    for (uint32_t i = 0; rc == 0 && i < k->logger_count; i++)
        rc = fabric->ops->attach(fabric, k->loggers[i].id, err);
    if (rc == 0 && k->store != NULL)
        rc = fabric->ops->attach(fabric, STORE_ID, err);
    return rc;
}

/* Are there as many as are leased from the start and for good? */
static int check_units(const struct rill_cluster *k, struct rill_error *err)
{
    uint32_t units = (k->config.units_milli + WHOLE_UNIT - 1) / WHOLE_UNIT;
    uint64_t least = rill_config_u64(k->config.settings, "units_min");
    uint64_t each = RTE_MAX(least, 1u);
    uint64_t step = rill_config_u64(k->config.settings, "lease_step");

    if (k->slots > 1 && !shares_units(k) && each * k->slots > units)
        return rill_error_set(err, -EINVAL,
                              "%u independent controllers with %" PRIu64 " units each need %" PRIu64
                              " units, but there are only %u",
                              k->slots, each, each * k->slots, units);
    if (shares_units(k) && k->slots * step > k->config.units_milli)
        return rill_error_set(
            err, -EINVAL,
            "%u controllers with lease_step %" PRIu64 " need %.3f units, but there are only %.3f",
            k->slots, step, (double)(k->slots * step) / 1000, k->config.units_milli / 1000.0);
    if (least > units)
        return rill_error_set(err, -EINVAL,
                              "units_min is %" PRIu64 ", but there are only %.3f units", least,
                              k->config.units_milli / 1000.0);
    return 0;
}

static int create_roles(struct rill_cluster *k, struct rill_error *err)
{
    uint32_t left = k->config.units_milli;
    int rc = create_rm(k, err);

    if (rc != 0)
        return rc;
    if (left == 0 || left > RILL_CLUSTER_UNITS_MAX * WHOLE_UNIT)
        return rill_error_set(err, -EINVAL, "units: %.3f is not in [0.001, %d]", left / 1000.0,
                              RILL_CLUSTER_UNITS_MAX);
    rc = check_units(k, err);
    if (rc != 0)
        return rc;
    while (rc == 0 && left > 0) {
        uint32_t share = RTE_MIN(left, (uint32_t)WHOLE_UNIT);

        rc = cluster_add_pair(k, share, err);
        left -= share;
    }
    for (uint32_t i = 0; rc == 0 && i < k->slots; i++)
        rc = create_controller(k, &k->controllers[i], false, err);
    if (rc == 0 && is_external(k))
        rc = create_store(k, err);
    return rc == 0 ? attach_all(k, err) : rc;
}

struct rill_cluster *rill_cluster_create(const struct rill_cluster_config *config,
                                         struct rill_error *err)
{
    struct rill_cluster *k = calloc(1, sizeof(*k));

    if (k == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for a cluster");
        return NULL;
    }
    k->config = *config;
    k->rm_id = rill_role_id(RILL_ROLE_RM, 1);
    k->slots = RTE_MAX(config->controllers, 1u);
    for (uint32_t slot = 0; slot < k->slots; slot++)
        number_controller(k, slot);
    k->turns_stale = true;
    if (create_roles(k, err) != 0) {
        rill_cluster_destroy(k);
        return NULL;
    }
    return k;
}

void rill_cluster_destroy(struct rill_cluster *k)
{
    if (k == NULL)
        return;
    for (uint32_t i = 0; i < k->logger_count; i++)
        rill_ol_destroy(k->loggers[i].ol);
    for (uint32_t i = 0; i < k->unit_count; i++)
        rill_unit_destroy(k->units[i].unit);
    for (uint32_t i = 0; i < k->controller_count; i++)
        rill_controller_destroy(k->controllers[i].controller);
    for (uint32_t i = 0; i < k->unit_count; i++)
        rill_nf_destroy(k->units[i].nf); /* the controllers read the pools' addresses */
    rill_rm_destroy(k->rm);
    rill_ingress_split_destroy(k->split);
    if (k->store != k->config.store)
        rill_store_destroy(k->store);
    rill_outbox_fini(&k->out);
    free(k);
}
