/* Faults by kind. */
#include "tests/sim/sim.h"

void sim_counts_add(struct sim_counts *to, const struct sim_counts *from)
{
#define X(name, what) to->name += from->name;
    SIM_COUNTS(X)
#undef X
}

/* 1234567 as 1,234,567. */
static void print_grouped(uint64_t n)
{
    if (n < 1000) {
        printf("%" PRIu64, n);
        return;
    }
    print_grouped(n / 1000);
    printf(",%03u", (unsigned)(n % 1000));
}

void sim_counts_print(const struct sim_counts *counts)
{
    const char *separator = "faults: ";

#define X(name, what)                                                                              \
    printf("%s", separator);                                                                       \
    print_grouped(counts->name);                                                                   \
    printf(" %s", what);                                                                           \
    separator = ", ";
    SIM_COUNTS(X)
#undef X
    printf("\n");
}

static void read_controllers(struct sim_counts *counts, struct rill_cluster *cluster)
{
    for (uint32_t i = 0; i < rill_cluster_controller_count(cluster); i++) {
        const struct rill_controller_counters *n = rill_cluster_controller_counters(cluster, i);

        counts->leases_expired += n->leases_expired;
        counts->evicted += n->flows_evicted;
        counts->no_mbuf += n->messages_no_mbuf;
    }
}

static void read_units(struct sim_counts *counts, struct rill_cluster *cluster)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++) {
        const struct rill_unit_counters *n = rill_cluster_unit_counters(cluster, i);

        counts->wrong_incarnation += n->dropped_wrong_incarnation;
        counts->no_mbuf += n->messages_no_mbuf;
        counts->queue_full += n->dropped_unit_queue_full;
        counts->store_stale += n->store_stale;
        counts->dry_pools += sim_chain_dry(rill_cluster_nf(cluster, i));
    }
}

static void read_loggers(struct sim_counts *counts, struct rill_cluster *cluster)
{
    for (uint32_t number = 1; number <= rill_cluster_logger_count(cluster); number++) {
        const struct rill_ol_counters *n = rill_cluster_logger_counters(cluster, number);

        counts->wrong_incarnation += n->dropped_wrong_incarnation;
        counts->no_mbuf += n->messages_no_mbuf;
    }
}

void sim_counts_read(struct sim_counts *counts, struct rill_cluster *cluster,
                     const struct rill_fabric *fabric)
{
    counts->cut = fabric->counters.cut;
    counts->lost = fabric->counters.lost - fabric->counters.cut;
    counts->doubled = fabric->counters.doubled;
    counts->reordered = fabric->counters.reordered;
    counts->full = fabric->counters.full;
    read_controllers(counts, cluster);
    read_units(counts, cluster);
    read_loggers(counts, cluster);
}
