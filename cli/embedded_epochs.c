/* A line per unit and epoch: what it was sent, and what of it was leased. Leases are weighed by
 * their time, as units come and go within an epoch. docs/allocation.md has the columns. */
#include <errno.h>
#include <string.h>

#include "cli/embedded_run.h"
#include "lib/config/settings.h"

int embedded_epochs_open(struct run *r, struct rill_error *err)
{
    const char *path = r->options->epochs;

    if (path == NULL)
        return 0;
    r->epochs.file = fopen(path, "we");
    if (r->epochs.file == NULL)
        return rill_error_set(err, -errno, "--epochs %s: %s", path, strerror(errno));
    fputs("start_s,length_ms,unit,demand_mbps,leased,provisioned_mbps,utilization,overload\n",
          r->epochs.file);
    return 0;
}

int embedded_epochs_close(struct run *r, struct rill_error *err)
{
    FILE *file = r->epochs.file;
    bool failed;

    r->epochs.file = NULL;
    if (file == NULL)
        return 0;
    failed = ferror(file) != 0;
    failed |= fclose(file) != 0;
    return failed
               ? rill_error_set(err, -EIO, "--epochs %s: it can not be written", r->options->epochs)
               : 0;
}

/* Of a unit, by all controllers together. */
static uint32_t share_of(const struct run *r, uint32_t unit)
{
    uint32_t sum = 0;

    for (uint32_t slot = 0; slot < rill_cluster_slots(r->cluster); slot++) {
        const struct rill_controller *c =
            rill_cluster_controller_at(r->cluster, rill_cluster_newest(r->cluster, slot));

        sum += c != NULL ? rill_controller_unit_share(c, unit) : 0;
    }
    return sum;
}

/* Adds what was leased since the last time. */
static void add_up(struct run *r)
{
    struct epochs *e = &r->epochs;
    uint64_t now_ns = RTE_MAX(r->player.now_ns, e->since_ns), ns = now_ns - e->since_ns;

    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++) {
        e->leased_ns[i] += e->share[i] * ns;
        e->share[i] = share_of(r, rill_role_id(RILL_ROLE_UNIT, i + 1));
    }
    e->since_ns = now_ns;
}

uint64_t embedded_leased_ns(struct run *r, uint32_t i)
{
    add_up(r);
    return r->epochs.leased_ns[i] / 1000;
}

static void begin(struct run *r, uint64_t begin_ns)
{
    struct epochs *e = &r->epochs;

    e->begin_ns = begin_ns;
    e->all_bytes_before = embedded_totals(r).bytes_to_units;
    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++) {
        e->bytes_before[i] = rill_cluster_unit_counters(r->cluster, i)->bytes_in;
        e->leased_before[i] = e->leased_ns[i];
    }
}

void embedded_epochs_start(struct run *r)
{
    r->epochs.since_ns = r->player.start_ns;
    add_up(r);
    begin(r, r->player.start_ns);
}

void embedded_epochs_watch(struct run *r)
{
    uint64_t leases = embedded_totals(r).lease_changes;

    if (leases != r->epochs.leases)
        add_up(r);
    r->epochs.leases = leases;
}

static void write_line(const struct run *r, const char *unit, uint64_t bytes, uint64_t leased_ns)
{
    uint64_t ns = r->player.now_ns - r->epochs.begin_ns;
    double unit_mbps = (double)rill_setting_capacity_bps(r->input.settings) / 1e6;
    double demand_mbps = (double)bytes * 8000 / (double)ns;
    double leased = (double)leased_ns / 1000 / (double)ns;
    double utilization = leased > 0 ? demand_mbps / (leased * unit_mbps) : 0;

    fprintf(r->epochs.file, "%.6f,%.3f,%s,%.3f,%.4f,%.3f,%.4f,%d\n",
            (double)(r->epochs.begin_ns - r->player.start_ns) / 1e9, (double)ns / 1e6, unit,
            demand_mbps, leased, leased * unit_mbps, utilization,
            utilization > 1 || (leased_ns == 0 && bytes > 0));
}

/* A run's end may come with an epoch's: then there is nothing more to say. */
void embedded_epochs_end(struct run *r)
{
    struct epochs *e = &r->epochs;
    uint64_t all_ns = 0;

    if (e->file == NULL || r->player.now_ns <= e->begin_ns)
        return;
    add_up(r);
    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++) {
        uint64_t bytes = rill_cluster_unit_counters(r->cluster, i)->bytes_in - e->bytes_before[i];
        uint64_t leased_ns = e->leased_ns[i] - e->leased_before[i];
        char unit[16];

        snprintf(unit, sizeof(unit), "%u", i + 1);
        if (bytes > 0 || leased_ns > 0)
            write_line(r, unit, bytes, leased_ns);
        all_ns += leased_ns;
    }
    write_line(r, "all", embedded_totals(r).bytes_to_units - e->all_bytes_before, all_ns);
    begin(r, r->player.now_ns);
}
