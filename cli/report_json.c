#include <errno.h>
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"

static void write_tally(struct rill_json *json, const char *key, const struct rill_tally *tally)
{
    rill_json_open(json, key, '{');
    for (size_t i = 0; i < tally->count; i++)
        rill_json_u64(json, tally->entries[i].name, tally->entries[i].count);
    rill_json_close(json, '}');
}

static void write_packets(struct rill_json *json, const struct rill_report *r)
{
    rill_json_u64(json, "packets_in", r->packets_in);
    rill_json_u64(json, "bytes_in", r->bytes_in);
    rill_json_u64(json, "packets_released", r->packets_released);
    rill_json_u64(json, "bytes_released", r->bytes_released);
    write_tally(json, "packets_dropped", &r->packets_dropped);
    rill_json_u64(json, "packets_in_flight", r->packets_in_flight);
    rill_json_u64(json, "packets_turned", r->packets_turned);
    rill_json_u64(json, "packets_reordered", r->packets_reordered);
    rill_json_u64(json, "inside_packets", r->inside_packets);
    rill_json_u64(json, "outside_packets", r->outside_packets);
    rill_json_u64(json, "replies_unmapped", r->replies_unmapped);
    rill_json_u64(json, "inverse_checked", r->inverse_checked);
    rill_json_u64(json, "inverse_mismatches", r->inverse_mismatches);
    rill_json_u64(json, "inverse_unchecked", r->inverse_unchecked);
    rill_json_u64(json, "outward_checked", r->outward_checked);
    rill_json_u64(json, "outward_mismatches", r->outward_mismatches);
    rill_json_u64(json, "first_mismatch_packet", r->first_mismatch_packet);
    rill_json_u64(json, "mappings_changed", r->mappings_changed);
}

static void write_flows(struct rill_json *json, const struct rill_report *r)
{
    rill_json_u64(json, "flows", r->flows);
    rill_json_u64(json, "flowlets", r->flowlets);
    rill_json_u64(json, "flowlets_moved", r->flowlets_moved);
    rill_json_u64(json, "flowlets_seamless", r->flowlets_seamless);
    rill_json_u64(json, "flowlets_stalled", r->flowlets_stalled);
    rill_json_u64(json, "moves_by_gap", r->moves_by_gap);
    rill_json_u64(json, "moves_by_size", r->moves_by_size);
    rill_json_u64(json, "seamless_by_gap", r->seamless_by_gap);
    rill_json_u64(json, "moves_by_period", r->moves_by_period);
    rill_json_u64(json, "recoveries", r->recoveries);
    rill_json_u64(json, "state_pushes", r->state_pushes);
    rill_json_u64(json, "state_pulls", r->state_pulls);
    rill_json_u64(json, "overloads", r->overloads);
}

static void write_units(struct rill_json *json, const struct rill_report *r)
{
    rill_json_u64(json, "units_active_max", r->units_active_max);
    rill_json_open(json, "units", '[');
    for (size_t i = 0; i < r->unit_count; i++) {
        rill_json_open(json, NULL, '{');
        rill_json_u64(json, "id", r->units[i].id);
        rill_json_u64(json, "packets", r->units[i].packets);
        rill_json_double(json, "utilization_max", r->units[i].utilization_max);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
    rill_json_open(json, "units_over_time", '[');
    for (size_t i = 0; i < r->epoch_count; i++) {
        rill_json_open(json, NULL, '{');
        rill_json_double(json, "at_s", r->units_over_time[i].at_s);
        rill_json_u64(json, "units", r->units_over_time[i].units);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
}

static void write_controllers(struct rill_json *json, const struct rill_report *r)
{
    rill_json_open(json, "controllers", '[');
    for (size_t i = 0; i < r->controller_count; i++) {
        const struct rill_report_controller *c = &r->controllers[i];

        rill_json_open(json, NULL, '{');
        rill_json_u64(json, "id", c->id);
        rill_json_u64(json, "slot", c->slot);
        rill_json_bool(json, "died", c->died);
        rill_json_u64(json, "packets_in", c->packets_in);
        rill_json_u64(json, "bytes_in", c->bytes_in);
        rill_json_u64(json, "packets_to_units", c->packets_to_units);
        rill_json_u64(json, "packets_passed", c->packets_passed);
        rill_json_u64(json, "packets_dropped", c->packets_dropped);
        rill_json_u64(json, "packets_in_flight", c->packets_in_flight);
        rill_json_u64(json, "flows", c->flows);
        rill_json_u64(json, "flowlets", c->flowlets);
        rill_json_u64(json, "flowlets_moved", c->flowlets_moved);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
}

static void write_failures(struct rill_json *json, const struct rill_report *r)
{
    rill_json_open(json, "failures", '[');
    for (size_t i = 0; i < r->failure_count; i++) {
        const struct rill_report_failure *f = &r->failures[i];

        rill_json_open(json, NULL, '{');
        rill_json_string(json, "role", f->role);
        rill_json_u64(json, "id", f->id);
        rill_json_double(json, "at_s", f->at_s);
        rill_json_i64(json, "detected_after_ns", f->detected_after_ns);
        rill_json_i64(json, "recovered_after_ns", f->recovered_after_ns);
        rill_json_i64(json, "flows_recovered", rill_report_flows_recovered(f));
        rill_json_i64(json, "packets_lost", f->packets_lost);
        rill_json_open(json, "state_from", '{');
        rill_json_i64(json, "replica", f->from_replica);
        rill_json_i64(json, "output_logger", f->from_output_logger);
        rill_json_close(json, '}');
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
}

static void write_objects(struct rill_json *json, const struct rill_report *r)
{
    rill_json_open(json, "objects", '[');
    for (size_t i = 0; i < r->object_count; i++) {
        const struct rill_report_object *o = &r->objects[i];

        rill_json_open(json, NULL, '{');
        rill_json_string(json, "option", o->option);
        rill_json_string(json, "name", o->name);
        rill_json_string(json, "version", o->version);
        rill_json_u64(json, "updates_taken", o->updates_taken);
        rill_json_u64(json, "updates_refused", o->updates_refused);
        rill_json_u64(json, "lines_skipped", o->lines_skipped);
        rill_json_string(json, "error", o->error);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
}

static void write_latency(struct rill_json *json, const struct rill_histogram *h)
{
    rill_json_open(json, "latency_ns", '{');
    rill_json_u64(json, "p50", rill_histogram_quantile(h, 0.5));
    rill_json_u64(json, "p75", rill_histogram_quantile(h, 0.75));
    rill_json_u64(json, "p90", rill_histogram_quantile(h, 0.9));
    rill_json_u64(json, "p99", rill_histogram_quantile(h, 0.99));
    rill_json_u64(json, "p999", rill_histogram_quantile(h, 0.999));
    rill_json_u64(json, "max", h->max);
    rill_json_close(json, '}');
}

static void write_run(struct rill_json *json, const struct rill_report *r)
{
    rill_json_double(json, "replay_s", r->replay_s);
    rill_json_bool(json, "interrupted", r->interrupted);
    rill_json_string(json, "mode", r->mode);
    rill_json_string(json, "state_mode", r->state_mode);
    rill_json_string(json, "clock", r->clock);
    rill_json_string(json, "nf", r->nf);
    rill_json_string(json, "trace", r->trace);
    rill_json_string(json, "capture", r->capture);
    rill_json_string(json, "cluster", r->cluster);
    rill_json_string(json, "deployment", r->deployment);
    rill_json_string(json, "failure", r->failure);
    rill_json_open(json, "settings", '{');
    for (size_t i = 0; i < r->setting_count; i++) {
        if (r->settings[i].is_text)
            rill_json_string(json, r->settings[i].name, r->settings[i].text);
        else
            rill_json_scalar(json, r->settings[i].name, r->settings[i].text);
    }
    rill_json_close(json, '}');
    rill_json_string(json, "version", RILL_VERSION);
}

static void write_report(const struct rill_report *report, FILE *out)
{
    struct rill_json json;

    rill_json_start(&json, out);
    rill_json_open(&json, NULL, '{');
    write_packets(&json, report);
    write_flows(&json, report);
    write_failures(&json, report);
    write_controllers(&json, report);
    write_units(&json, report);
    write_objects(&json, report);
    write_latency(&json, &report->latency_ns);
    write_tally(&json, "counters", &report->counters);
    write_tally(&json, "nf_counters", &report->nf_counters);
    write_run(&json, report);
    rill_json_close(&json, '}');
}

int rill_report_write_json(const struct rill_report *report, const char *path,
                           struct rill_error *err)
{
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(path, "w");
    bool failed;

    if (out == NULL)
        return rill_error_set(err, -EIO, "%s: can't be written: %s; give --json another path", path,
                              strerror(errno));
    errno = 0;
    write_report(report, out);
    failed = fflush(out) != 0 || ferror(out);
    if (!to_stdout && fclose(out) != 0)
        failed = true;
    if (failed)
        return rill_error_set(err, -EIO, "%s: the report was not written whole: %s",
                              to_stdout ? "standard output" : path, strerror(errno ? errno : EIO));
    return 0;
}
