#include <errno.h>

#include "cli/embedded_run.h"

void embedded_sample_units(struct run *r)
{
    struct rill_controller *c = rill_cluster_controller(r->cluster);
    struct rill_report *report = r->player.report;
    uint32_t n = rill_controller_units(c);

    report->units_active_max = RTE_MAX(report->units_active_max, n);
    for (uint32_t i = 0; i < n; i++) {
        double utilization;
        uint32_t unit =
            rill_role_number(rill_controller_unit(c, i, r->player.now_ns, &utilization));

        if (utilization > r->utilization_max[unit - 1])
            r->utilization_max[unit - 1] = utilization;
    }
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

static void report_controllers(struct run *r)
{
    struct rill_report *report = r->player.report;

    for (uint32_t i = 0; i < rill_cluster_controller_count(r->cluster); i++) {
        const struct rill_controller_counters *n = rill_cluster_controller_counters(r->cluster, i);

        report->flows += n->flows;
        report->flowlets += n->flowlets;
        report->flowlets_moved += n->flowlets_moved;
        report->moves_by_gap += n->moves_by_gap;
        report->moves_by_size += n->moves_by_size;
        report->overloads += n->overloads;
    }
    report->flowlets_stalled = report->flowlets_moved - report->flowlets_seamless;
}

static int report_counters(struct run *r)
{
    struct rill_report *report = r->player.report;
    int rc = rill_cluster_drops(r->cluster, &report->packets_dropped);

    if (rc == 0)
        rc = rill_cluster_counters(r->cluster, &report->counters);
    return rc == 0 ? rill_cluster_nf_counters(r->cluster, &report->nf_counters) : rc;
}

int embedded_report(struct run *r, struct rill_error *err)
{
    int rc;

    embedded_sample_units(r);
    r->player.report->packets_in_flight = rill_cluster_packets_in_flight(r->cluster);
    rc = report_units(r);
    report_controllers(r);
    if (rc == 0)
        rc = embedded_report_fails(r);
    if (rc == 0)
        rc = report_counters(r);
    if (rc == 0)
        rc = rill_player_report(&r->player, r->input.settings, r->input.image.descriptor->name);
    return rc == 0 ? 0 : rill_error_set(err, -ENOMEM, "no memory for the report");
}
