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

void sim_counts_read(struct sim_counts *counts, struct rill_cluster *cluster,
                     const struct rill_fabric *fabric)
{
    struct rill_tally tally = {0};

    if (rill_cluster_counters(cluster, &tally) != 0 ||
        rill_cluster_nf_counters(cluster, &tally) != 0)
        abort();
    counts->cut = fabric->counters.cut;
    counts->lost = fabric->counters.lost - fabric->counters.cut;
    counts->doubled = fabric->counters.doubled;
    counts->reordered = fabric->counters.reordered;
    counts->full = fabric->counters.full;
    counts->wrong_incarnation = rill_tally_get(&tally, "unit.dropped_wrong_incarnation") +
                                rill_tally_get(&tally, "output_logger.dropped_wrong_incarnation");
    counts->store_stale = rill_tally_get(&tally, "unit.store_stale");
    counts->leases_expired = rill_tally_get(&tally, "controller.leases_expired");
    counts->no_mbuf = rill_tally_get(&tally, "controller.messages_no_mbuf") +
                      rill_tally_get(&tally, "unit.messages_no_mbuf") +
                      rill_tally_get(&tally, "output_logger.messages_no_mbuf");
    counts->dry_pools = rill_tally_get(&tally, "dry");
    counts->queue_full = rill_tally_get(&tally, "unit.dropped_unit_queue_full");
    rill_tally_fini(&tally);
}
