#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format.h"
#include "cli/report.h"

enum {
    BAR_COLUMNS = 60,
    LINE_COLUMNS = 90,
    UNIT_ROWS = 8,
    CONTROLLER_ROWS = 12,
    DROP_ROWS = 8,
    NF_ROWS = 4,
    FAILURE_ROWS = 8
};

#define N(value) rill_format_count((char[RILL_FORMAT_BYTES]){""}, (value))
#define SHARE(part, whole) rill_format_share((char[RILL_FORMAT_BYTES]){""}, (part), (whole))
#define TIME(ns) rill_format_ns((char[RILL_FORMAT_BYTES]){""}, (ns))

static const char *or_unknown(const char *text)
{
    return text != NULL ? text : "?";
}

/* What was asked for, like 2.5; a cluster's replay asks for none: as many as it has. */
static void print_unit_count(const struct rill_report *r, FILE *out)
{
    double units = r->units_milli > 0 ? r->units_milli / 1000.0 : (double)r->unit_count;

    fprintf(out, "%.5g unit%s", units, units == 1 ? "" : "s");
}

static void print_title(const struct rill_report *r, FILE *out)
{
    fputs("rill " RILL_VERSION ": ", out);
    rill_format_name(out, or_unknown(r->trace));
    fputs(" through ", out);
    rill_format_name(out, or_unknown(r->nf));
    fputs(", ", out);
    print_unit_count(r, out);
    fprintf(out, "%s%s, %s clock, %.3f s%s\n\n", r->cluster != NULL ? " of cluster " : "",
            r->cluster != NULL ? r->cluster : "", or_unknown(r->clock), r->replay_s,
            r->interrupted ? ", STOPPED before the capture's end" : "");
}

static void print_packets(const struct rill_report *r, FILE *out)
{
    uint64_t dropped = rill_tally_total(&r->packets_dropped);

    fprintf(out, "packets    %s in (%s from inside, %s from outside), %s bytes\n", N(r->packets_in),
            N(r->inside_packets), N(r->outside_packets), N(r->bytes_in));
    fprintf(out, "           %s released, %s dropped, %s in flight, %s reordered\n",
            N(r->packets_released), N(dropped), N(r->packets_in_flight), N(r->packets_reordered));
    if (r->packets_turned > 0)
        fprintf(out, "           %s turned round by the NF, and in again\n", N(r->packets_turned));
    fprintf(out, "flows      %s in %s flowlets\n", N(r->flows), N(r->flowlets));
}

static void print_moves(const struct rill_report *r, FILE *out)
{
    if (r->moves_by_period > 0)
        fprintf(out, "moves      %s times a flow went to another unit after its period\n",
                N(r->flowlets_moved));
    else
        fprintf(out, "moves      %s flowlets went to another unit: %s by gap, %s by size\n",
                N(r->flowlets_moved), N(r->moves_by_gap), N(r->moves_by_size));
    if (r->flowlets_moved == 0)
        return;
    fprintf(out, "seamless   %s of the moves (%s of those by gap); %s waited for state\n",
            SHARE(r->flowlets_seamless, r->flowlets_moved),
            SHARE(r->seamless_by_gap, r->moves_by_gap), N(r->flowlets_stalled));
}

static void print_latency(const struct rill_histogram *h, FILE *out)
{
    if (h->count == 0)
        return;
    fprintf(out, "latency    p50 %s   p75 %s   p90 %s   p99 %s   p99.9 %s   max %s\n",
            TIME(rill_histogram_quantile(h, 0.5)), TIME(rill_histogram_quantile(h, 0.75)),
            TIME(rill_histogram_quantile(h, 0.9)), TIME(rill_histogram_quantile(h, 0.99)),
            TIME(rill_histogram_quantile(h, 0.999)), TIME(h->max));
}

/* One column: eighths of a block in UTF-8, else the number itself ('+' from ten on). */
static void print_column(uint32_t units, uint32_t most, bool utf8, FILE *out)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

    if (utf8)
        fputs(blocks[most ? (units * UINT64_C(8) + most - 1) / most : 0], out);
    else
        fputc(units < 10 ? (int)('0' + units) : '+', out);
}

/* How high a full block is; digits need no scale. */
static void print_scale(uint32_t most, bool utf8, FILE *out)
{
    if (utf8 && most > 0)
        fprintf(out, ", █ = %" PRIu32, most);
    else if (!utf8 && most >= 10)
        fputs(", + = 10 or more", out);
}

static void print_units_over_time(const struct rill_report *r, FILE *out)
{
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    size_t per_column = (r->epoch_count + BAR_COLUMNS - 1) / BAR_COLUMNS;
    uint32_t most = 0;

    fprintf(out, "units      at most %" PRIu32 " in use ", r->units_active_max);
    if (r->epoch_count == 0) {
        fputs("when counted\n", out);
        return;
    }
    for (size_t i = 0; i < r->epoch_count; i++)
        most = r->units_over_time[i].units > most ? r->units_over_time[i].units : most;
    fprintf(out, "at the end of any 100 ms; over time, %zu ms a column", per_column * 100);
    print_scale(most, utf8, out);
    fputs(":\n           |", out);
    for (size_t i = 0; i < r->epoch_count; i += per_column) {
        uint32_t units = 0;

        for (size_t j = i; j < i + per_column && j < r->epoch_count; j++)
            units = r->units_over_time[j].units > units ? r->units_over_time[j].units : units;
        print_column(units, most, utf8, out);
    }
    fputs("|\n", out);
}

/* As it was whenever units were counted: one that had packets only between may never have been
 * seen at work. */
static void print_unit_load(uint64_t packets, double utilization, FILE *out)
{
    fprintf(out, "%12s packets, ", N(packets));
    if (packets > 0 && utilization <= 0)
        fputs("idle then\n", out);
    else if (utilization > 0 && utilization < 0.005)
        fputs("<1% full then\n", out);
    else
        fprintf(out, "at most %.0f%% full then\n", utilization * 100);
}

static void print_units(const struct rill_report *r, FILE *out)
{
    size_t rows = r->unit_count > UNIT_ROWS ? UNIT_ROWS - 1 : r->unit_count;
    uint64_t packets = 0;
    double busiest = 0;

    for (size_t i = 0; i < rows; i++) {
        const struct rill_report_unit *unit = &r->units[i];

        fprintf(out, "           unit %-3" PRIu32 " ", unit->id);
        print_unit_load(unit->packets, unit->utilization_max, out);
    }
    for (size_t i = rows; i < r->unit_count; i++) {
        packets += r->units[i].packets;
        if (r->units[i].utilization_max > busiest)
            busiest = r->units[i].utilization_max;
    }
    if (rows == r->unit_count)
        return;
    fprintf(out, "           %zu more  ", r->unit_count - rows);
    print_unit_load(packets, busiest, out);
}

static void print_controllers(const struct rill_report *r, FILE *out)
{
    for (size_t i = 0; r->controller_count > 1 && i < r->controller_count; i++) {
        const struct rill_report_controller *c = &r->controllers[i];

        if (i == CONTROLLER_ROWS) {
            fprintf(out, "           %zu more\n", r->controller_count - i);
            return;
        }
        fprintf(out,
                "           controller %-2" PRIu32
                " %8s packets, %s to units, %s dropped; %s flows%s\n",
                c->id, N(c->packets_in), N(c->packets_to_units), N(c->packets_dropped), N(c->flows),
                c->died ? "; died" : "");
    }
}

static int by_count(const void *a, const void *b)
{
    const struct rill_tally_entry *x = *(const struct rill_tally_entry *const *)a;
    const struct rill_tally_entry *y = *(const struct rill_tally_entry *const *)b;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* *count entries that are not 0, the most frequent first; to be freed. NULL: no memory. */
static struct rill_tally_entry **most_frequent(const struct rill_tally *tally, size_t *count)
{
    struct rill_tally_entry **order = calloc(tally->count + 1, sizeof(order[0]));

    *count = 0;
    if (order == NULL)
        return NULL;
    for (size_t i = 0; i < tally->count; i++) {
        if (tally->entries[i].count > 0)
            order[(*count)++] = &tally->entries[i];
    }
    qsort(order, *count, sizeof(order[0]), by_count);
    return order;
}

static void print_drops(const struct rill_tally *drops, FILE *out)
{
    size_t count;
    struct rill_tally_entry **order = most_frequent(drops, &count);
    uint64_t rest = 0;

    if (order == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        if (i < DROP_ROWS || count == DROP_ROWS + 1)
            fprintf(out, "%-11s%12s %s\n", i == 0 ? "drops" : "", N(order[i]->count),
                    order[i]->name);
        else
            rest += order[i]->count;
    }
    if (rest > 0)
        fprintf(out, "%-11s%12s for %zu more reasons\n", "", N(rest), count - DROP_ROWS);
    free(order);
}

/* The NF's own counters, as many in a line as there is room for; those that count least have none
 * where there are very many. */
static void print_nf_counters(const struct rill_tally *counters, FILE *out)
{
    size_t count, column = LINE_COLUMNS, row = 0;
    struct rill_tally_entry **order = most_frequent(counters, &count);

    for (size_t i = 0; order != NULL && i < count; i++) {
        const char *number = N(order[i]->count);
        size_t columns = strlen(number) + strlen(order[i]->name) + 3;

        if (column + columns > LINE_COLUMNS) {
            if (row++ == NF_ROWS) {
                fprintf(out, " %zu more", count - i);
                break;
            }
            if (i > 0)
                fputc('\n', out);
            column = (size_t)fprintf(out, "%-10s", i == 0 ? "nf" : "");
        }
        fprintf(out, " %s %s%s", number, order[i]->name, i + 1 < count ? "," : "");
        column += columns;
    }
    if (row > 0)
        fputc('\n', out);
    free(order);
}

/* Options that name no object have no row. */
static void print_objects(const struct rill_report *r, FILE *out)
{
    bool first = true;

    for (size_t i = 0; i < r->object_count; i++) {
        const struct rill_report_object *o = &r->objects[i];

        if (o->name[0] == '\0')
            continue;
        fprintf(out, "%-11s", first ? "objects" : "");
        first = false;
        rill_format_name(out, o->name);
        fputs(o->version[0] != '\0' ? ", version " : ", no version", out);
        rill_format_name(out, o->version);
        fprintf(out, "; updates: %s taken, %s refused\n", N(o->updates_taken),
                N(o->updates_refused));
    }
}

static const char *after(int64_t ns, char buf[RILL_FORMAT_BYTES])
{
    return ns < 0 ? "not" : rill_format_ns(buf, (uint64_t)ns);
}

static void print_failure(const struct rill_report_failure *f, FILE *out)
{
    char detected[RILL_FORMAT_BYTES], recovered[RILL_FORMAT_BYTES];

    fprintf(out, "%s at %.3f s, noticed %s%s, recovered %s%s", f->role, f->at_s,
            f->detected_after_ns < 0 ? "" : "after ", after(f->detected_after_ns, detected),
            f->recovered_after_ns < 0 ? "" : "after ", after(f->recovered_after_ns, recovered));
    if (f->packets_lost >= 0)
        fprintf(out, "; %s flows (%s from replicas), %s packets lost",
                N((uint64_t)rill_report_flows_recovered(f)), N((uint64_t)f->from_replica),
                N((uint64_t)f->packets_lost));
    fputc('\n', out);
}

static void print_failures(const struct rill_report *r, FILE *out)
{
    for (size_t i = 0; i < r->failure_count && i < FAILURE_ROWS; i++) {
        fprintf(out, "%-11s", i == 0 ? "failures" : "");
        print_failure(&r->failures[i], out);
    }
    if (r->failure_count > FAILURE_ROWS)
        fprintf(out, "%-11s%zu more\n", "", r->failure_count - FAILURE_ROWS);
}

static void print_verdict(const struct rill_report *r, FILE *out)
{
    uint64_t wrong = r->inverse_mismatches + r->outward_mismatches;

    if (wrong > 0)
        fprintf(out, "%s WRONG, the first is packet %" PRIu64 "\n", N(wrong),
                r->first_mismatch_packet);
    else if (!rill_report_mappings_kept(r))
        fprintf(out, "connections were MAPPED ANEW %s times, and not so many had to begin anew\n",
                N(r->mappings_changed));
    else
        fputs("all right\n", out);
}

/* Replies are compared only where the NF says that it takes back on them what it did. */
static void print_check(const struct rill_report *r, FILE *out)
{
    bool checked = r->inverse_checked + r->outward_checked > 0;

    if (checked) {
        fputs("check      ", out);
        if (r->inverse_unchecked == 0)
            fprintf(out, "%s released to the inside and ", N(r->inverse_checked));
        fprintf(out, "%s%s to the outside compared with the capture: ", N(r->outward_checked),
                r->inverse_unchecked == 0 ? "" : " released");
        print_verdict(r, out);
    }
    if (r->inverse_unchecked > 0)
        fprintf(out,
                "%-11s%s released to the inside not compared: the NF does not set "
                "RILL_NF_INVERTS\n",
                checked ? "" : "check", N(r->inverse_unchecked));
    if (r->capture != NULL) {
        fputs("capture    ", out);
        rill_format_name(out, r->capture);
        fputc('\n', out);
    }
}

static void print_books(const struct rill_report *r, FILE *out)
{
    const char *verdict = "DO NOT BALANCE";

    if (rill_report_balances(r))
        verdict = "balance";
    else if (rill_report_controllers_balance(r) &&
             r->packets_in ==
                 r->packets_released + rill_tally_total(&r->packets_dropped) + r->packets_in_flight)
        verdict = "balance, BUT NOT ALL CAME OUT";
    fprintf(out, "books      %s: %s in = %s released + %s dropped + %s in flight\n", verdict,
            N(r->packets_in), N(r->packets_released), N(rill_tally_total(&r->packets_dropped)),
            N(r->packets_in_flight));
}

void rill_report_print(const struct rill_report *report, FILE *out)
{
    print_title(report, out);
    print_packets(report, out);
    print_moves(report, out);
    print_latency(&report->latency_ns, out);
    print_units_over_time(report, out);
    print_units(report, out);
    print_controllers(report, out);
    print_drops(&report->packets_dropped, out);
    print_nf_counters(&report->nf_counters, out);
    print_objects(report, out);
    print_failures(report, out);
    print_check(report, out);
    print_books(report, out);
}
