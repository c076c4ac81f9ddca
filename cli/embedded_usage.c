/* --usage: what each unit did, as records that a billing system can take; one for each unit and
 * interval in which it did anything. docs/usage.md has the fields. */
#include <errno.h>
#include <string.h>

#include "cli/embedded_run.h"
#include "lib/config/settings.h"

int embedded_usage_open(struct run *r, struct rill_error *err)
{
    const char *path = r->options->usage;

    r->usage.next_ns = UINT64_MAX;
    if (path == NULL)
        return 0;
    r->usage.file = fopen(path, "we");
    if (r->usage.file == NULL)
        return rill_error_set(err, -errno, "--usage %s: %s", path, strerror(errno));
    return 0;
}

int embedded_usage_close(struct run *r, struct rill_error *err)
{
    FILE *file = r->usage.file;
    bool failed;

    r->usage.file = NULL;
    if (file == NULL)
        return 0;
    failed = ferror(file) != 0;
    failed |= fclose(file) != 0;
    return failed
               ? rill_error_set(err, -EIO, "--usage %s: it can not be written", r->options->usage)
               : 0;
}

static uint64_t interval_ns(const struct run *r)
{
    return rill_setting_ms(r->input.settings, "usage_interval_ms");
}

void embedded_usage_start(struct run *r)
{
    if (r->usage.file == NULL)
        return;
    r->usage.begin_ns = r->player.start_ns;
    r->usage.next_ns = r->player.start_ns + interval_ns(r);
}

/* Since the record before. A unit that has ended says so once. */
static void write_record(struct run *r, uint32_t i, bool end)
{
    struct usage *u = &r->usage;
    struct rill_usage_record record = {.start_ns = u->begin_ns - r->player.start_ns,
                                       .end_ns = r->player.now_ns - r->player.start_ns};
    struct rill_usage_counts now;
    bool over;

    rill_cluster_usage(r->cluster, i, end, &now, &over);
    now.unit_ns = embedded_leased_ns(r, i);
    record.counts = rill_usage_since(&now, &u->before[i]);
    record.final = over || end;
    if (u->over[i] ||
        (rill_usage_is_zero(&record.counts) && !over && !(end && !rill_usage_is_zero(&now))))
        return;
    u->before[i] = now;
    u->over[i] = over;
    record.sequence = ++u->sequence;
    snprintf(record.deployment, sizeof(record.deployment), "%s", r->input.image.descriptor->name);
    snprintf(record.role, sizeof(record.role), "unit:%u", i + 1);
    rill_usage_write(u->file, &record);
}

void embedded_usage_write(struct run *r, bool end)
{
    if (r->usage.file == NULL)
        return;
    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++)
        write_record(r, i, end);
    r->usage.begin_ns = r->player.now_ns;
    r->usage.next_ns = r->player.now_ns + interval_ns(r);
}
