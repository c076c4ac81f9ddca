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

/* What the slot's controller takes as its own the unit was told. */
static void check_taken(struct sim_check *check, struct rill_cluster *cluster, uint32_t slot)
{
    const struct rill_controller *c =
        rill_cluster_controller_at(cluster, rill_cluster_newest(cluster, slot));
    uint32_t id = 0, taken;

    for (uint32_t i = 0; c != NULL && (taken = rill_controller_leased(c, i, &id)) != 0; i++) {
        uint32_t number = rill_role_number(id);
        const struct rill_unit *unit = NULL;

        if (number >= 1 && number <= rill_cluster_unit_count(cluster))
            unit = rill_cluster_unit(cluster, number - 1);
        if (unit != NULL && taken > rill_unit_share_of(unit, slot))
            sim_check_fail(check, "I5",
                           "the controller of slot %u takes %u thousandths of unit %u as its own, "
                           "which was told %u",
                           slot, taken, number, rill_unit_share_of(unit, slot));
    }
}

void sim_books_shares(struct sim_check *check, struct rill_cluster *cluster, uint32_t *unchecked,
                      uint32_t asleep)
{
    /* A unit knows only what it was told; leases may also run out. */
    const uint32_t takers = RILL_CLUSTER_TURNED << RILL_ROLE_CONTROLLER | 1u << RILL_ROLE_UNIT;

    *unchecked |= rill_cluster_touched(cluster);
    if (*unchecked & RILL_CLUSTER_TURNED << RILL_ROLE_RM)
        check_committed(check, cluster);
    *unchecked &= takers | SIM_UNIT_TURNED;
    if ((*unchecked & takers) == 0)
        return;
    for (uint32_t slot = 0; slot < rill_cluster_slots(cluster); slot++)
        if (!(asleep >> slot & 1))
            check_taken(check, cluster, slot);
    if (asleep == 0)
        *unchecked &= SIM_UNIT_TURNED;
}

/* False: more was served than there was room for. */
static bool fits(struct sim_bucket *b, const struct rill_unit *unit, uint32_t slot,
                 double bytes_per_ns, uint64_t ns)
{
    uint64_t served = rill_unit_served_bytes(unit, slot) - b->served_bytes;
    uint32_t share = rill_unit_share_of(unit, slot);

    bytes_per_ns = bytes_per_ns * b->share / 1000;
    b->room_bytes = RTE_MIN((double)SIM_ERROR_BYTES, b->room_bytes + bytes_per_ns * (double)ns);
    b->room_bytes -= (double)served;
    /* Service times are whole nanoseconds. */
    b->room_bytes += bytes_per_ns * 2 * (double)(served / SIM_PACKET_BYTES + 1);
    b->served_bytes += served;
    b->share = share != 0 ? share : b->share;
    return b->room_bytes >= 0;
}

void sim_books_speed(struct sim_check *check, struct rill_cluster *cluster, struct sim_speed *speed,
                     double unit_mbps, uint64_t now_ns)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++)
        for (uint32_t slot = 0; slot < rill_cluster_slots(cluster); slot++) {
            const struct rill_unit *unit = rill_cluster_unit(cluster, i);
            struct sim_bucket *b = &speed->buckets[i][slot];

            if (unit == NULL)
                continue;
            if (b->served_bytes == 0)
                b->room_bytes = SIM_ERROR_BYTES;
            if (!fits(b, unit, slot, unit_mbps / 8000, now_ns - speed->at_ns))
                sim_check_fail(check, "I5",
                               "unit %u serves the controller of slot %u faster than its share of "
                               "%u thousandths",
                               i + 1, slot, b->share);
        }
    speed->at_ns = now_ns;
}
