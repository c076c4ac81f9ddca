/* What is billed of each unit: what it processed; where it died, what of that was seen outside. */
#include "cli/cluster_internal.h"

/* Its steps that an output logger kept: the packet has left, or the NF had dropped it. */
static void add_kept(const struct rill_ol_counters *n, struct rill_usage_counts *counts)
{
    counts->packets_out += n->packets_released - n->packets_passed + n->packets_ended_by_nf;
    counts->bytes_out += n->bytes_released - n->bytes_passed + n->bytes_ended_by_nf;
}

void rill_cluster_usage(const struct rill_cluster *k, uint32_t i, bool end,
                        struct rill_usage_counts *counts, bool *over)
{
    const struct unit_node *node = &k->units[i];
    const struct rill_unit_counters *n = unit_node_counters(node);

    *over = node->unit == NULL;
    *counts = (struct rill_usage_counts){.packets_in = n->packets_in,
                                         .bytes_in = n->bytes_in,
                                         .packets = n->packets_processed,
                                         .bytes = n->bytes_processed,
                                         .cpu_ns = k->config.cpu_ns != NULL ? node->cpu_ns
                                                                            : n->service_ns};
    for (uint32_t j = 0; j < k->logger_count; j++) {
        if (k->loggers[j].unit != i)
            continue;
        add_kept(logger_node_counters(&k->loggers[j]), counts);
        *over = *over && (end || k->loggers[j].ol == NULL);
    }
    if (!*over)
        return;
    counts->packets_died = counts->packets - counts->packets_out;
    counts->bytes_died = counts->bytes - counts->bytes_out;
}
