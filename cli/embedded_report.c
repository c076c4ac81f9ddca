#include <errno.h>

#include "cli/embedded_run.h"

struct embedded_totals embedded_totals(const struct run *r)
{
    struct embedded_totals sum = {0};

    for (uint32_t i = 0; i < rill_cluster_controller_count(r->cluster); i++) {
        const struct rill_controller_counters *n = rill_cluster_controller_counters(r->cluster, i);

        sum.lease_changes += n->lease_grants + n->leases_expired + n->deaths;
        sum.bytes_to_units += n->bytes_to_units;
    }
    return sum;
}

uint32_t embedded_units_in_use(const struct run *r)
{
    bool used[RILL_CLUSTER_UNITS_MAX] = {false};
    uint32_t n = 0;

    for (uint32_t i = 0; i < rill_cluster_controller_count(r->cluster); i++) {
        struct rill_controller *c = rill_cluster_controller_at(r->cluster, i);
        uint32_t unit;
        double utilization;

        for (uint32_t k = 0; c != NULL && k < rill_controller_units(c); k++) {
            unit = rill_role_number(rill_controller_unit(c, k, r->player.now_ns, &utilization));
            n += !used[unit - 1];
            used[unit - 1] = true;
        }
    }
    return n;
}

static void sample(struct run *r, struct rill_controller *c)
{
    for (uint32_t i = 0; i < rill_controller_units(c); i++) {
        double utilization;
        uint32_t unit =
            rill_role_number(rill_controller_unit(c, i, r->player.now_ns, &utilization));

        if (utilization > r->utilization_max[unit - 1])
            r->utilization_max[unit - 1] = utilization;
    }
}

void embedded_sample_units(struct run *r)
{
    struct rill_report *report = r->player.report;

    report->units_active_max = RTE_MAX(report->units_active_max, embedded_units_in_use(r));
    for (uint32_t i = 0; i < rill_cluster_controller_count(r->cluster); i++)
        if (rill_cluster_controller_at(r->cluster, i) != NULL)
            sample(r, rill_cluster_controller_at(r->cluster, i));
}

static int report_units(struct run *r)
{
    struct rill_report *report = r->player.report;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < rill_cluster_unit_count(r->cluster); i++) {
        const struct rill_unit_counters *n = rill_cluster_unit_counters(r->cluster, i);
        struct rill_report_unit unit = {
            .id = i + 1, .packets = n->packets_processed, .utilization_max = r->utilization_max[i]};

        report->flowlets_seamless += n->moved_in_seamless;
        report->seamless_by_gap += n->moved_in_seamless_by_gap;
        report->state_pushes += n->state_pushes;
        report->state_pulls += n->pulls_answered;
        report->recoveries += n->recovered_from_replica + n->recovered_from_logger;
        rc = rill_report_add_unit(report, &unit);
    }
    return rc;
}

/* Each has books of its own: in = on to a unit, past it, dropped, or held. */
static struct rill_report_controller controller_books(const struct run *r, uint32_t i)
{
    const struct rill_controller_counters *n = rill_cluster_controller_counters(r->cluster, i);
    const struct rill_controller *c = rill_cluster_controller_at(r->cluster, i);

    return (struct rill_report_controller){
        .id = i + 1,
        .slot = rill_cluster_slot(r->cluster, i),
        .died = c == NULL,
        .packets_in = n->packets_in,
        .bytes_in = n->bytes_in,
        .packets_to_units = n->packets_to_units,
        .packets_passed = n->packets_passed,
        .packets_dropped = rill_cluster_controller_drops(r->cluster, i),
        .packets_in_flight = c != NULL ? rill_controller_packets_held(c) : 0,
        .flows = n->flows,
        .flowlets = n->flowlets,
        .flowlets_moved = n->flowlets_moved};
}

static int report_controllers(struct run *r)
{
    struct rill_report *report = r->player.report;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < rill_cluster_controller_count(r->cluster); i++) {
        const struct rill_controller_counters *n = rill_cluster_controller_counters(r->cluster, i);
        struct rill_report_controller books = controller_books(r, i);

        report->flows += n->flows;
        report->flowlets += n->flowlets;
        report->flowlets_moved += n->flowlets_moved;
        report->moves_by_gap += n->moves_by_gap;
        report->moves_by_size += n->moves_by_size;
        report->moves_by_period += n->moves_by_period;
        report->overloads += n->overloads;
        rc = rill_report_add_controller(report, &books);
    }
    report->flowlets_stalled = report->flowlets_moved - report->flowlets_seamless;
    return rc;
}

static int report_counters(struct run *r)
{
    struct rill_report *report = r->player.report;
    int rc;

    for (uint32_t i = 1; i <= rill_cluster_logger_count(r->cluster); i++)
        report->packets_turned += rill_cluster_logger_counters(r->cluster, i)->packets_turned;
    rc = rill_cluster_drops(r->cluster, &report->packets_dropped);

    if (rc == 0)
        rc = rill_cluster_counters(r->cluster, &report->counters);
    if (rc == 0)
        rc = rill_cluster_nf_counters(r->cluster, &report->nf_counters);
    return rc == 0 ? embedded_shared_counters(r, &report->nf_counters) : rc;
}

int embedded_report(struct run *r, struct rill_error *err)
{
    int rc;

    embedded_sample_units(r);
    r->player.report->units_milli = r->options->units_milli;
    r->player.report->packets_in_flight = rill_cluster_packets_in_flight(r->cluster);
    rc = report_units(r);
    if (rc == 0)
        rc = report_controllers(r);
    if (rc == 0)
        rc = embedded_report_fails(r);
    if (rc == 0)
        rc = embedded_report_objects(r);
    if (rc == 0)
        rc = report_counters(r);
    if (rc == 0)
        rc = rill_player_report(&r->player, r->input.settings, r->input.image.descriptor->name);
    return rc == 0 ? 0 : rill_error_set(err, -ENOMEM, "no memory for the report");
}
