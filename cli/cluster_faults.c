/* Roles of the cluster in one process that die, and what takes their place. */
#include <errno.h>

#include "cli/cluster_internal.h"

static void detach(struct rill_cluster *k, uint32_t role)
{
    k->config.fabric->ops->detach(k->config.fabric, role);
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
    detach(k, node->id);
}

void rill_cluster_unit_declare(struct rill_cluster *k, uint32_t i, uint64_t now_ns)
{
    bool filled = rill_rm_logger_filled(k->rm, k->units[i].id);

    rill_rm_unit_died(k->rm, k->units[i].id, now_ns, &k->out);
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
    detach(k, node->id);
}

void rill_cluster_logger_lost(struct rill_cluster *k, uint32_t i, uint64_t now_ns)
{
    rill_rm_logger_lost(k->rm, k->units[i].id, now_ns, &k->out);
    cluster_flush(k, k->rm_id, now_ns);
}

int rill_cluster_replace_logger(struct rill_cluster *k, uint32_t i, uint64_t now_ns,
                                struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = cluster_add_logger(k, i, err);

    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->loggers[k->logger_count - 1].id, err);
    if (rc == 0) {
        rill_rm_replace_logger(k->rm, k->units[i].id, k->loggers[k->logger_count - 1].id, now_ns,
                               &k->out);
        cluster_flush(k, k->rm_id, now_ns);
    }
    return rc;
}

bool rill_cluster_logger_filled(const struct rill_cluster *k, uint32_t i)
{
    return rill_rm_logger_filled(k->rm, k->units[i].id);
}

int rill_cluster_add_pair(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = cluster_add_pair(k, RILL_RM_SHARE_WHOLE, err);

    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->units[k->unit_count - 1].id, err);
    if (rc == 0)
        rc = fabric->ops->attach(fabric, k->loggers[k->logger_count - 1].id, err);
    return rc;
}

void cluster_retire_loggers(struct rill_cluster *k)
{
    uint32_t unit, output_logger;

    while (rill_rm_recovered(k->rm, &unit, &output_logger))
        if (output_logger != 0)
            rill_cluster_logger_crash(k, rill_role_number(output_logger));
}
