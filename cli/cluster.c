#include "cli/cluster_internal.h"

#include <errno.h>

#include "controller/controller_settings.h"
#include "nf-runtime/unit_settings.h"
#include "output-logger/ol_settings.h"
#include "rm/rm_settings.h"

enum { BURST = 32, WHOLE_UNIT = 1000 };

/* The caller's bounds on tables, besides the setting's. */
static uint32_t flows_max(const struct rill_cluster *k)
{
    uint64_t setting = rill_config_u64(k->config.settings, "flows_max");

    return (uint32_t)RTE_MIN(setting, (uint64_t)k->config.flows_max);
}

static int create_unit(struct rill_cluster *k, struct node *node, struct rill_error *err)
{
    struct rill_unit_config config = rill_unit_settings(k->config.settings);

    config.id = node->unit_id;
    config.output_logger = node->ol_id;
    config.controller = k->controller_id;
    config.pool = k->config.pool;
    config.flows_max = k->config.unit_flows_max ? k->config.unit_flows_max : flows_max(k);
    node->nf = rill_nf_create(k->config.nf, k->config.nf_config, err);
    if (node->nf == NULL)
        return -EINVAL;
    config.nf = node->nf;
    node->unit = rill_unit_create(&config, err);
    return node->unit == NULL ? -ENOMEM : 0;
}

static int create_output_logger(struct rill_cluster *k, struct node *node, struct rill_error *err)
{
    struct rill_ol_config config = rill_ol_settings(k->config.settings);

    config.id = node->ol_id;
    config.controller = k->controller_id;
    config.state_bytes = rill_nf_state_bytes(node->nf);
    config.pool = k->config.pool;
    config.flows_max =
        k->config.output_logger_flows_max ? k->config.output_logger_flows_max : flows_max(k);
    node->ol = rill_ol_create(&config, err);
    return node->ol == NULL ? -ENOMEM : 0;
}

static int add_node(struct rill_cluster *k, uint32_t share, struct rill_error *err)
{
    struct node *node = &k->nodes[k->count];
    int rc;

    k->count++;
    node->unit_id = rill_role_id(RILL_ROLE_UNIT, k->count);
    node->ol_id = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, k->count);
    rc = create_unit(k, node, err);
    if (rc == 0)
        rc = create_output_logger(k, node, err);
    if (rc == 0)
        rc = rill_rm_add_unit(k->rm, node->unit_id, node->ol_id,
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
                                                       .addr = spec.addr};
    }
    return facts;
}

static int create_controller(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_controller_nf nf = controller_nf(k->nodes[0].nf);
    struct rill_controller_config config = rill_controller_settings(k->config.settings, &nf);

    config.id = k->controller_id;
    config.rm = k->rm_id;
    config.epoch = 1;
    config.pool = k->config.pool;
    config.flows_max = flows_max(k);
    config.units_max = k->count;
    k->controller = rill_controller_create(&config, err);
    return k->controller == NULL ? -ENOMEM : 0;
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

static int attach_all(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = fabric->ops->attach(fabric, k->rm_id, err);

    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->controller_id, err);
    for (uint32_t i = 0; rc == 0 && i < k->count; i++) {
        rc = fabric->ops->attach(fabric, k->nodes[i].unit_id, err);
        if (rc == 0)
            rc = fabric->ops->attach(fabric, k->nodes[i].ol_id, err);
    }
    return rc;
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
    if (rill_config_u64(k->config.settings, "units_min") > (left + WHOLE_UNIT - 1) / WHOLE_UNIT)
        return rill_error_set(err, -EINVAL,
                              "units_min is %" PRIu64 ", but there are only %.3f units",
                              rill_config_u64(k->config.settings, "units_min"), left / 1000.0);
    while (rc == 0 && left > 0) {
        uint32_t share = RTE_MIN(left, (uint32_t)WHOLE_UNIT);

        rc = add_node(k, share, err);
        left -= share;
    }
    if (rc == 0)
        rc = create_controller(k, err);
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
    k->controller_id = rill_role_id(RILL_ROLE_CONTROLLER, 1);
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
    for (uint32_t i = 0; i < k->count; i++) {
        rill_ol_destroy(k->nodes[i].ol);
        rill_unit_destroy(k->nodes[i].unit);
    }
    rill_controller_destroy(k->controller);
    for (uint32_t i = 0; i < k->count; i++)
        rill_nf_destroy(k->nodes[i].nf); /* the controller reads the pools' addresses */
    rill_rm_destroy(k->rm);
    rill_outbox_fini(&k->out);
    free(k);
}

/* Hands a role's frames to the fabric, released packets to the caller. True if there were any. */
static bool flush(struct rill_cluster *k, uint32_t src, uint64_t now_ns)
{
    struct rill_fabric *fabric = k->config.fabric;
    struct rill_outbox *out = &k->out;
    uint32_t kept = 0, count = out->count;

    for (uint32_t i = 0; i < count; i++) {
        struct rte_mbuf *m = out->frames[i];

        if (rill_role_kind(rill_frame(m)->dst) == RILL_ROLE_PORT)
            k->config.released(k->config.arg, m, now_ns);
        else
            out->frames[kept++] = m;
    }
    if (kept > 0)
        fabric->ops->send(fabric, src, out->frames, kept, now_ns);
    out->count = 0;
    return count > 0;
}

void rill_cluster_ingress(struct rill_cluster *k, struct rte_mbuf **packets, uint32_t n,
                          uint64_t now_ns)
{
    rill_controller_ingress(k->controller, packets, n, now_ns, &k->out);
    flush(k, k->controller_id, now_ns);
}

/* One turn of one role (`prefix` names its functions): what came in, then what is due. */
#define TURN(k, id, core, prefix, now_ns, moved)                                                   \
    do {                                                                                           \
        struct rill_fabric *fabric_ = (k)->config.fabric;                                          \
        struct rte_mbuf *frames_[BURST];                                                           \
        uint32_t n_ = fabric_->ops->recv(fabric_, id, frames_, BURST, now_ns);                     \
                                                                                                   \
        if (n_ > 0) {                                                                              \
            prefix##_recv(core, frames_, n_, now_ns, &(k)->out);                                   \
            flush(k, id, now_ns);                                                                  \
            (moved) = true;                                                                        \
        }                                                                                          \
        if (prefix##_next_ns(core) <= (now_ns)) {                                                  \
            prefix##_tick(core, now_ns, &(k)->out);                                                \
            (moved) |= flush(k, id, now_ns);                                                       \
        }                                                                                          \
    } while (0)

bool rill_cluster_step(struct rill_cluster *k, uint64_t now_ns)
{
    bool moved = false;

    TURN(k, k->rm_id, k->rm, rill_rm, now_ns, moved);
    TURN(k, k->controller_id, k->controller, rill_controller, now_ns, moved);
    for (uint32_t i = 0; i < k->count; i++) {
        struct node *node = &k->nodes[i];

        TURN(k, node->unit_id, node->unit, rill_unit, now_ns, moved);
        TURN(k, node->ol_id, node->ol, rill_ol, now_ns, moved);
    }
    return moved;
}

uint64_t rill_cluster_next_ns(struct rill_cluster *k)
{
    struct rill_fabric *fabric = k->config.fabric;
    uint64_t next_ns = fabric->ops->next_ns(fabric);

    next_ns = RTE_MIN(next_ns, rill_rm_next_ns(k->rm));
    next_ns = RTE_MIN(next_ns, rill_controller_next_ns(k->controller));
    for (uint32_t i = 0; i < k->count; i++) {
        next_ns = RTE_MIN(next_ns, rill_unit_next_ns(k->nodes[i].unit));
        next_ns = RTE_MIN(next_ns, rill_ol_next_ns(k->nodes[i].ol));
    }
    return next_ns;
}

uint64_t rill_cluster_packets_in_flight(const struct rill_cluster *k)
{
    uint64_t n = k->config.fabric->ops->packets_in_flight(k->config.fabric) +
                 rill_controller_packets_held(k->controller);

    for (uint32_t i = 0; i < k->count; i++)
        n += rill_unit_packets_held(k->nodes[i].unit) + rill_ol_packets_held(k->nodes[i].ol);
    return n;
}

struct rill_controller *rill_cluster_controller(struct rill_cluster *k)
{
    return k->controller;
}

uint32_t rill_cluster_unit_count(const struct rill_cluster *k)
{
    return k->count;
}

struct rill_unit *rill_cluster_unit(struct rill_cluster *k, uint32_t i)
{
    return k->nodes[i].unit;
}

struct rill_ol *rill_cluster_output_logger(struct rill_cluster *k, uint32_t i)
{
    return k->nodes[i].ol;
}

struct rill_nf *rill_cluster_nf(struct rill_cluster *k, uint32_t i)
{
    return k->nodes[i].nf;
}
