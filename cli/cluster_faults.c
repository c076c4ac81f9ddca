/* Roles of the cluster in one process that die, and what takes their place. */
#include <errno.h>

#include "cli/cluster_internal.h"

/* How many packets were on their way to it. */
static uint64_t detach(struct rill_cluster *k, uint32_t role)
{
    struct rill_fabric *fabric = k->config.fabric;
    uint64_t before = fabric->counters.no_route_packets;

    k->any_died = true;
    k->turns_stale = true;
    fabric->ops->detach(fabric, role);
    return fabric->counters.no_route_packets - before;
}

void cluster_count_lost(struct rill_cluster *k, struct rte_mbuf **frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t dst = rill_frame(frames[i])->dst, number = rill_role_number(dst);

        if (!rill_frame_has_packet(frames[i]) || number == 0)
            continue;
        if (rill_role_kind(dst) == RILL_ROLE_UNIT && number <= k->unit_count)
            k->units[number - 1].sent_to_dead += k->units[number - 1].unit == NULL;
        else if (rill_role_kind(dst) == RILL_ROLE_OUTPUT_LOGGER && number <= k->logger_count)
            k->loggers[number - 1].sent_to_dead += k->loggers[number - 1].ol == NULL;
        else if (rill_role_kind(dst) == RILL_ROLE_CONTROLLER && number <= k->controller_count)
            k->controllers[number - 1].sent_to_dead +=
                k->controllers[number - 1].controller == NULL;
    }
}

void rill_cluster_unit_crash(struct rill_cluster *k, uint32_t i)
{
    struct unit_node *node = &k->units[i];

    if (node->unit == NULL)
        return;
    node->last = *rill_unit_counters(node->unit);
    node->died_with_it += rill_unit_packets_held(node->unit);
    rill_unit_destroy(node->unit);
    node->unit = NULL;
    node->sent_to_dead += detach(k, node->id);
}

void rill_cluster_unit_declare(struct rill_cluster *k, uint32_t i, uint64_t now_ns)
{
    bool filled = rill_rm_logger_filled(k->rm, k->units[i].id);

    k->turns_stale = true;
    rill_rm_unit_died(k->rm, k->units[i].id, cluster_clock(k, k->rm_id, now_ns), &k->out);
    cluster_flush(k, k->rm_id, now_ns);
    if (filled)
        return;
    /* It would answer "nothing" for what it was not given yet. */
    rill_cluster_logger_crash(k, rill_cluster_logger_of(k, i));
    rill_cluster_logger_lost(k, i, now_ns);
}

void rill_cluster_logger_crash(struct rill_cluster *k, uint32_t number)
{
    struct logger_node *node = &k->loggers[number - 1];

    if (node->ol == NULL)
        return;
    node->last = *rill_ol_counters(node->ol);
    node->died_with_it += rill_ol_packets_held(node->ol);
    rill_ol_destroy(node->ol);
    node->ol = NULL;
    node->sent_to_dead += detach(k, node->id);
}

void rill_cluster_logger_declare(struct rill_cluster *k, uint32_t number, uint64_t now_ns)
{
    uint32_t unit = rill_cluster_unit_of_logger(k, number);

    if (unit != UINT32_MAX)
        rill_cluster_logger_lost(k, unit, now_ns);
}

void rill_cluster_logger_lost(struct rill_cluster *k, uint32_t i, uint64_t now_ns)
{
    k->turns_stale = true;
    rill_rm_logger_lost(k->rm, k->units[i].id, cluster_clock(k, k->rm_id, now_ns), &k->out);
    cluster_flush(k, k->rm_id, now_ns);
}

int rill_cluster_replace_logger(struct rill_cluster *k, uint32_t i, uint64_t now_ns,
                                struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = cluster_add_logger(k, i, err);

    k->turns_stale = true;
    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->loggers[k->logger_count - 1].id, err);
    if (rc == 0) {
        rill_rm_replace_logger(k->rm, k->units[i].id, k->loggers[k->logger_count - 1].id,
                               cluster_clock(k, k->rm_id, now_ns), &k->out);
        cluster_flush(k, k->rm_id, now_ns);
    }
    return rc;
}

bool rill_cluster_logger_filled(const struct rill_cluster *k, uint32_t i)
{
    return rill_rm_logger_filled(k->rm, k->units[i].id);
}

void rill_cluster_controller_crash(struct rill_cluster *k, uint32_t i)
{
    struct controller_node *node = &k->controllers[i];

    if (node->controller == NULL)
        return;
    node->last = *rill_controller_counters(node->controller);
    node->died_with_it += rill_controller_packets_held(node->controller);
    rill_controller_destroy(node->controller);
    node->controller = NULL;
    node->sent_to_dead += detach(k, node->id);
}

int rill_cluster_take_over(struct rill_cluster *k, uint32_t i, struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc;

    if (k->controller_count == RILL_CLUSTER_CONTROLLERS_MAX)
        return rill_error_set(err, -ENOSPC, "no more than %d controllers in one run",
                              RILL_CLUSTER_CONTROLLERS_MAX);
    k->turns_stale = true;
    rc = cluster_add_controller(k, k->controllers[i].slot, err);
    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->controllers[k->controller_count - 1].id, err);
    return rc;
}

static int add_pair(struct rill_cluster *k, uint32_t share, struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = cluster_add_pair(k, share, err);

    k->turns_stale = true;
    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->units[k->unit_count - 1].id, err);
    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->loggers[k->logger_count - 1].id, err);
    return rc;
}

int rill_cluster_add_pair(struct rill_cluster *k, struct rill_error *err)
{
    return add_pair(k, RILL_RM_SHARE_WHOLE, err);
}

int rill_cluster_replace_unit(struct rill_cluster *k, uint32_t i, struct rill_error *err)
{
    return add_pair(k, k->units[i].share, err);
}

bool rill_cluster_unit_recovered(const struct rill_cluster *k, uint32_t i)
{
    return k->units[i].recovered;
}

uint64_t rill_cluster_unit_packets_lost(const struct rill_cluster *k, uint32_t i)
{
    const struct unit_node *node = &k->units[i];

    return node->died_with_it + node->sent_to_dead +
           logger_node_counters(&k->loggers[node->logger])->dropped_fenced;
}

uint64_t rill_cluster_controller_packets_lost(const struct rill_cluster *k, uint32_t i)
{
    return k->controllers[i].died_with_it + k->controllers[i].sent_to_dead;
}

uint64_t rill_cluster_logger_packets_lost(const struct rill_cluster *k, uint32_t number)
{
    const struct logger_node *node = &k->loggers[number - 1];

    return node->died_with_it + node->sent_to_dead;
}

void cluster_retire_loggers(struct rill_cluster *k)
{
    uint32_t unit, output_logger;

    while (rill_rm_recovered(k->rm, &unit, &output_logger)) {
        k->units[rill_role_number(unit) - 1].recovered = true;
        if (output_logger != 0)
            rill_cluster_logger_crash(k, rill_role_number(output_logger));
    }
}
