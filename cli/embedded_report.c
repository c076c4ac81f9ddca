#include <errno.h>

#include "cli/embedded_run.h"

void embedded_sample_units(struct run *r)
{
    struct rill_controller *c = rill_cluster_controller(r->cluster);
    uint32_t n = rill_controller_units(c);

    r->report->units_active_max = RTE_MAX(r->report->units_active_max, n);
    for (uint32_t i = 0; i < n; i++) {
        double utilization;
        uint32_t unit = rill_role_number(rill_controller_unit(c, i, r->now_ns, &utilization));

        if (utilization > r->utilization_max[unit - 1])
            r->utilization_max[unit - 1] = utilization;
    }
}

static int report_units(struct run *r)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < rill_cluster_unit_count(r->cluster); i++) {
        const struct rill_unit_counters *n = rill_unit_counters(rill_cluster_unit(r->cluster, i));
        struct rill_report_unit unit = {
            .id = i + 1, .packets = n->packets_processed, .utilization_max = r->utilization_max[i]};

        r->report->flowlets_seamless += n->moved_in_seamless;
        r->report->seamless_by_gap += n->moved_in_seamless_by_gap;
        r->report->state_pushes += n->state_pushes;
        r->report->state_pulls += n->pulls_answered;
        rc = rill_report_add_unit(r->report, &unit);
    }
    return rc;
}

static void report_controller(struct run *r)
{
    const struct rill_controller_counters *n =
        rill_controller_counters(rill_cluster_controller(r->cluster));
    struct rill_report *report = r->report;

    report->flows = n->flows;
    report->flowlets = n->flowlets;
    report->flowlets_moved = n->flowlets_moved;
    report->flowlets_stalled = n->flowlets_moved - report->flowlets_seamless;
    report->moves_by_gap = n->moves_by_gap;
    report->moves_by_size = n->moves_by_size;
    report->overloads = n->overloads;
}

static void report_ends(struct run *r)
{
    const struct rill_ends_counters *n = rill_ends_counters(r->ends);
    struct rill_report *report = r->report;

    report->inside_packets = n->inside_packets;
    report->outside_packets = n->outside_packets;
    report->replies_unmapped = n->replies_unmapped;
    report->inverse_checked = n->inverse_checked;
    report->inverse_mismatches = n->inverse_mismatches;
    report->outward_checked = n->outward_checked;
    report->outward_mismatches = n->outward_mismatches;
    report->first_mismatch_packet = n->first_mismatch_id;
}

static int report_drops(struct run *r)
{
    struct rill_tally *drops = &r->report->packets_dropped;
    int rc = rill_cluster_drops(r->cluster, drops);

    if (rc == 0 && r->no_buffer > 0)
        rc = rill_tally_add(drops, "ingress_no_buffer", r->no_buffer);
    if (rc == 0 && r->output_failed > 0)
        rc = rill_tally_add(drops, "output_failed", r->output_failed);
    if (rc == 0)
        rc = rill_cluster_counters(r->cluster, &r->report->counters);
    if (rc == 0)
        rc = rill_tally_add(&r->report->counters, "replayer.time_backwards", r->pace.backwards);
    if (rc == 0)
        rc = rill_tally_add(&r->report->counters, "replayer.pauses_cut", r->pace.pauses_cut);
    if (rc == 0)
        rc = rill_tally_add(&r->report->counters, "replayer.output_waits",
                            rill_output_waits(r->output));
    return rc == 0 ? rill_cluster_nf_counters(r->cluster, &r->report->nf_counters) : rc;
}

static int report_texts(struct run *r)
{
    const struct rill_replay_options *o = r->options;
    struct rill_report *report = r->report;
    char text[32];
    int rc =
        rill_report_text(&report->mode, rill_config_text(r->settings, "mode", text, sizeof(text)));

    rc |= rill_report_text(&report->state_mode,
                           rill_config_text(r->settings, "state", text, sizeof(text)));
    rc |= rill_report_text(&report->clock, o->clock == RILL_CLOCK_VIRTUAL ? "virtual" : "real");
    rc |= rill_report_text(&report->nf, r->image.descriptor->name);
    rc |= rill_report_text(&report->trace, o->trace);
    rc |= rill_report_text(&report->capture, o->out != NULL ? o->out : o->out_devargs);
    return rc == 0 ? rill_report_settings(report, r->settings) : -ENOMEM;
}

int embedded_report(struct run *r, struct rill_error *err)
{
    struct rill_report *report = r->report;
    int rc;

    embedded_sample_units(r);
    report->packets_in_flight = rill_cluster_packets_in_flight(r->cluster);
    report->packets_reordered = r->order.reordered;
    report->replay_s = (double)(r->last_release_ns - r->start_ns) / 1e9;
    report->interrupted = r->stopped;
    rc = report_units(r);
    report_controller(r);
    report_ends(r);
    if (rc != 0 || report_drops(r) != 0 || report_texts(r) != 0)
        return rill_error_set(err, -ENOMEM, "no memory for the report");
    return 0;
}
