#include "nf-runtime/unit_records.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/config/settings.h"
#include "lib/daemon/daemon.h"

#define PATH "/run/records" /* where the agent mounts the unit's file */
#define FLUSH_NS UINT64_C(100000000)

static void write_record(void *arg, const char *nf, const char *line, size_t bytes)
{
    struct unit_records *r = arg;

    (void)nf;
    if (r->file == NULL || r->bytes + bytes + 1 > r->bytes_max) {
        r->unwritten++;
        return;
    }
    if (fwrite(line, 1, bytes, r->file) != bytes || fputc('\n', r->file) == EOF)
        r->unwritten++;
    r->bytes += bytes + 1;
    if (r->flush_ns == UINT64_MAX)
        r->flush_ns = rill_daemon_now_ns() + FLUSH_NS;
}

static int64_t utc_offset_ns(void)
{
    struct timespec utc, mono;

    clock_gettime(CLOCK_REALTIME, &utc);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    return (utc.tv_sec - mono.tv_sec) * INT64_C(1000000000) + utc.tv_nsec - mono.tv_nsec;
}

/* Plain names: the deployment's and the NF's. */
static void write_head(struct unit_records *r, const char *deployment, const struct rill_nf *nf)
{
    char line[512];
    int n = snprintf(line, sizeof(line),
                     "{\"event_type\": \"unit\", \"deployment\": \"%s\", \"nf\": \"%s\"}",
                     deployment, rill_nf_descriptor(nf)->name);

    write_record(r, NULL, line, (size_t)n);
    fflush(r->file);
}

void unit_records_open(struct unit_records *r, const struct rill_role_host *host,
                       const char *deployment, const struct rill_nf *nf)
{
    const struct rill_record_sink sink = {
        .write = write_record, .arg = r, .utc_offset_ns = utc_offset_ns()};
    uint64_t now_ns = rill_daemon_now_ns();

    *r = (struct unit_records){.file = fopen(PATH, "ae"),
                               .bytes_max = rill_config_u64(host->settings, "records_mb") << 20,
                               .begin_ns = now_ns,
                               .next_ns = UINT64_MAX,
                               .flush_ns = UINT64_MAX,
                               .interval_ns = rill_setting_ms(host->settings, "merge_ms")};
    if (rill_nf_shared_count(nf) > 0)
        r->next_ns = now_ns + r->interval_ns;
    if (r->file != NULL) {
        write_head(r, deployment, nf);
    } else {
        rill_daemon_say("%s: %s; records are only counted", PATH, strerror(errno));
    }
    rill_nf_record_to(&sink);
}

uint64_t unit_records_next_ns(const struct unit_records *r)
{
    return r->next_ns < r->flush_ns ? r->next_ns : r->flush_ns;
}

void unit_records_tick(struct unit_records *r, struct rill_nf *nf, uint64_t now_ns)
{
    if (r->next_ns <= now_ns) {
        rill_nf_shared_merge(nf, r->begin_ns, now_ns);
        r->begin_ns = now_ns;
        r->next_ns = now_ns + r->interval_ns;
    }
    if (r->flush_ns <= now_ns) {
        fflush(r->file);
        r->flush_ns = UINT64_MAX;
    }
}

void unit_records_metrics(const struct unit_records *r, struct rill_role_metrics *metrics)
{
    rill_role_metrics_add(metrics, "records", "unwritten", r->unwritten);
}

void unit_records_close(struct unit_records *r, struct rill_nf *nf, uint64_t now_ns)
{
    rill_nf_shared_merge(nf, r->begin_ns, now_ns);
    rill_nf_record_to(NULL);
    if (r->file != NULL)
        fclose(r->file);
    r->file = NULL;
}
