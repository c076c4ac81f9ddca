#include "tests/sim/books.h"

void sim_books_balance(struct sim_check *check, const struct rill_cluster *cluster,
                       const struct rill_fabric *fabric, uint64_t sent, uint64_t released)
{
    uint64_t in = sent + fabric->counters.doubled_packets;
    uint64_t out =
        released + rill_cluster_packets_dropped(cluster) + rill_cluster_packets_in_flight(cluster);

    if (in != out)
        sim_check_fail(check, "BALANCE",
                       "%" PRIu64 " packets in and doubled, %" PRIu64
                       " released, dropped or in flight",
                       in, out);
}

/* After its death a unit is billed for what of its work was seen: what has left, and what its NF
 * had dropped, as far as an output logger knows. Never for more than it did. */
static void check_seen(struct sim_check *check, const struct rill_cluster *cluster, uint32_t i,
                       const struct sim_done *d)
{
    uint64_t nf_dropped = rill_cluster_unit_counters(cluster, i)->dropped_nf;
    struct rill_usage_counts u;
    bool over;

    rill_cluster_usage(cluster, i, true, &u, &over);
    if (u.packets_out < d->released || u.packets_out > d->released + nf_dropped ||
        u.packets_out > d->packets || u.bytes_out < d->released_bytes || u.bytes_out > d->bytes ||
        (nf_dropped == 0 && u.bytes_out != d->released_bytes))
        sim_check_fail(check, "I7",
                       "unit %u would be billed %" PRIu64 " packets and %" PRIu64
                       " bytes after its death, but %" PRIu64 " and %" PRIu64
                       " have left and its NF dropped %" PRIu64 " packets",
                       i + 1, u.packets_out, u.bytes_out, d->released, d->released_bytes,
                       nf_dropped);
    if (over && u.packets - u.packets_died != u.packets_out)
        sim_check_fail(check, "I7",
                       "unit %u is dead and billed %" PRIu64 " packets, of which %" PRIu64
                       " were seen",
                       i + 1, u.packets - u.packets_died, u.packets_out);
}

/* What a unit says that it did is what it did. What it did and what left differ by what its NF or
 * somebody behind it dropped, and by what died with it. */
void sim_books_billed(struct sim_check *check, struct rill_cluster *cluster,
                      const struct sim_done *done)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++) {
        const struct rill_unit_counters *n = rill_cluster_unit_counters(cluster, i);
        const struct sim_done *d = &done[i + 1];

        if (n->packets_processed != d->packets || n->bytes_processed != d->bytes)
            sim_check_fail(check, "I7",
                           "unit %u bills %" PRIu64 " packets and %" PRIu64
                           " bytes, but processed %" PRIu64 " and %" PRIu64,
                           i + 1, n->packets_processed, n->bytes_processed, d->packets, d->bytes);
        if (d->released + n->dropped_nf > d->packets)
            sim_check_fail(check, "I7",
                           "unit %u processed %" PRIu64 " packets, but %" PRIu64
                           " have left and its NF dropped %" PRIu64,
                           i + 1, d->packets, d->released, n->dropped_nf);
        check_seen(check, cluster, i, d);
    }
}

uint64_t sim_books_unbilled(struct rill_cluster *cluster, const struct sim_done *done)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++)
        if (rill_cluster_unit(cluster, i) == NULL)
            n += done[i + 1].packets - done[i + 1].released -
                 rill_cluster_unit_counters(cluster, i)->dropped_nf;
    return n;
}

/* The resource manager never commits more of a unit than there is. */
static void check_committed(struct sim_check *check, struct rill_cluster *cluster)
{
    struct rill_rm *rm = rill_cluster_rm(cluster);

    for (uint32_t i = 0; i < rill_rm_unit_count(rm); i++) {
        struct rill_rm_unit_info info;

        rill_rm_unit_info(rm, i, &info);
        if (info.committed > info.share_max)
            sim_check_fail(check, "I5", "%u thousandths of unit %u are leased, of %u",
                           info.committed, rill_role_number(info.unit), info.share_max);
    }
}

void sim_books_shares(struct sim_check *check, struct rill_cluster *cluster, bool asleep)
{
    struct rill_controller *c = rill_cluster_controller(cluster);

    check_committed(check, cluster);
    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster) && c != NULL && !asleep; i++) {
        const struct rill_unit *unit = rill_cluster_unit(cluster, i);
        uint32_t taken = rill_controller_unit_share(c, rill_role_id(RILL_ROLE_UNIT, i + 1));

        if (unit != NULL && taken > rill_unit_share(unit))
            sim_check_fail(check, "I5",
                           "the controller takes %u thousandths of unit %u as its own, which was "
                           "told %u",
                           taken, i + 1, rill_unit_share(unit));
    }
}
