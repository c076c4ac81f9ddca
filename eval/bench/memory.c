/* What memory a flow takes at each role: all roles in one process, a unit that owns every flow, its
 * output logger, and a second unit that has a copy of each.
 *
 * Two figures each. `table`: what the role says that it took for its entries. `rss`: resident
 * memory of the process that comes back when that role goes, so with all that leads to the entries;
 * of the controller it is what all of it takes less what the others gave back. Each run is a
 * process of its own, so that none finds what another left.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_common.h>

#include "eval/bench/harness.h"
#include "eval/bench/memory.h"

enum {
    FLOWS = 1000000,
    FLOWS_MIN = 1000,
    FLOWS_MAX = 16000000, /* as many as the source has */
    QUICK_FLOWS = 10000,
    /* Of a flow at all roles, roughly: what would not fit is refused. */
    EXPECTED_BYTES = 1750,
    EXPECTED_COPY_BYTES = 800,
    EXPECTED_NF_BYTES = 450,
    EXPECTED_IDS_BYTES = 20000,
    IDS_FLOWS = 100000, /* if nothing else is asked for */
};

static const char *const names[MEMORY_ROLES] = {"controller", "unit", "replica", "logger"};

/* --- processes ------------------------------------------------------------------------------- */

static int wait_for(pid_t child, int fd, struct memory_figures *f, struct rill_error *err)
{
    ssize_t got = read(fd, f, sizeof(*f));
    int status;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    close(fd);
    return got == (ssize_t)sizeof(*f) ? 0 : rill_error_set(err, -EIO, "a run failed");
}

/* In a process of its own, which says itself what failed. */
static int run_apart(const struct memory_choice *choice, struct memory_figures *f,
                     struct rill_error *err)
{
    int fds[2];
    pid_t child;

    if (pipe(fds) != 0)
        return rill_error_set(err, -errno, "pipe: %s", strerror(errno));
    fflush(NULL);
    child = fork();
    if (child < 0)
        return rill_error_set(err, -errno, "fork: %s", strerror(errno));
    if (child == 0) {
        if (memory_run(choice, f, err) != 0)
            fprintf(stderr, "bench memory: %s, %u flows: %s\n", choice->nf, choice->flows,
                    err->text);
        else if (write(fds[1], f, sizeof(*f)) == (ssize_t)sizeof(*f))
            exit(0); /* EAL's files go with it */
        exit(2);
    }
    close(fds[1]);
    return wait_for(child, fds[0], f, err);
}

/* --- all of it ------------------------------------------------------------------------------- */

struct wanted {
    const char *nf;
    uint64_t flows;
    bool no_copies;
};

static void add(struct bench_report *report, const struct memory_choice *choice, const char *figure,
                double value)
{
    char name[80];

    snprintf(name, sizeof(name), "%s_%s_%u_flows", figure, choice->nf, choice->flows);
    bench_report_figure(report, name, value);
}

static void report_case(struct bench_report *report, const struct memory_choice *choice, uint64_t n,
                        const struct memory_figures *runs)
{
    double values[BENCH_RUNS_MAX], sum = 0, spread, worst = 0;
    char name[48];

    add(report, choice, "nf_state_bytes_per_flow", runs[0].state);
    for (int i = 0; i < MEMORY_ROLES; i++) {
        if (i == MEMORY_REPLICA && !choice->copies)
            continue;
        snprintf(name, sizeof(name), "%s_table_bytes_per_flow", names[i]);
        add(report, choice, name, runs[0].table[i]);
        for (uint64_t r = 0; r < n; r++)
            values[r] = runs[r].rss[i];
        snprintf(name, sizeof(name), "%s_rss_bytes_per_flow", names[i]);
        add(report, choice, name, bench_median(values, n, &spread));
        sum += bench_median(values, n, NULL);
        worst = spread > worst ? spread : worst;
    }
    add(report, choice, "all_rss_bytes_per_flow", sum);
    add(report, choice, "rss_spread_percent", worst);
}

/* A machine that swaps, or kills what is largest, measures nothing. */
static int check_memory(const struct memory_choice *choice, struct rill_error *err)
{
    uint64_t bytes = EXPECTED_BYTES + (choice->copies ? EXPECTED_COPY_BYTES : 0), need_mb, kb = 0;
    char line[128];
    FILE *in = fopen("/proc/meminfo", "re");

    if (strcmp(choice->nf, "noop") != 0)
        bytes += strcmp(choice->nf, "ids") == 0 ? EXPECTED_IDS_BYTES : EXPECTED_NF_BYTES;
    need_mb = MEMORY_EAL_MB + (choice->flows * bytes >> 20);
    while (in != NULL && fgets(line, sizeof(line), in) != NULL &&
           sscanf(line, "MemAvailable: %" SCNu64, &kb) != 1)
        continue;
    if (in != NULL)
        fclose(in);
    if (kb >> 10 >= need_mb)
        return 0;
    return rill_error_set(err, -ENOMEM,
                          "%u flows (%s) may take %" PRIu64 " MB, and %" PRIu64
                          " MB are available: choose fewer with --flows, or --no-copies",
                          choice->flows, choice->nf, need_mb, kb >> 10);
}

static int measure(struct bench_report *report, uint64_t n, const struct memory_choice *choice,
                   struct rill_error *err)
{
    struct memory_figures runs[BENCH_RUNS_MAX];
    int rc = check_memory(choice, err);

    for (uint64_t i = 0; rc == 0 && i < n; i++)
        rc = run_apart(choice, &runs[i], err);
    if (rc == 0)
        report_case(report, choice, n, runs);
    return rc;
}

static int take_nf(void *target, const char *value, struct rill_error *err)
{
    ((struct wanted *)((struct bench_options *)target)->own)->nf = value;
    if (strcmp(value, "noop") == 0 || strcmp(value, "nat") == 0 || strcmp(value, "ids") == 0)
        return 0;
    return rill_error_set(err, -EINVAL, "--nf '%s': it is noop, nat or ids", value);
}

static int take_flows(void *target, const char *value, struct rill_error *err)
{
    struct wanted *wanted = ((struct bench_options *)target)->own;

    if (rill_args_u64(value, &wanted->flows) == 0 && wanted->flows >= FLOWS_MIN &&
        wanted->flows <= FLOWS_MAX)
        return 0;
    return rill_error_set(err, -EINVAL, "--flows '%s': it is from %d to %d", value, FLOWS_MIN,
                          FLOWS_MAX);
}

static int take_no_copies(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct wanted *)((struct bench_options *)target)->own)->no_copies = true;
    return 0;
}

static const struct rill_arg table[] = {
    {"nf", "NAME", "only this NF: noop, nat or ids", false, NULL, take_nf},
    {"flows", "N", "how many, up to 16 million (default 1 million, of ids 100,000)", false, NULL,
     take_flows},
    {"no-copies", NULL, "no second unit's copies: more flows fit", false, NULL, take_no_copies},
    {0},
};

static int measure_all(struct bench_report *report, const struct bench_options *o,
                       struct rill_error *err)
{
    static const char *const nfs[] = {"noop", "nat", "ids"};
    const struct wanted *wanted = o->own;
    uint64_t flows = wanted->flows != 0 ? wanted->flows : o->quick ? QUICK_FLOWS : FLOWS;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < RTE_DIM(nfs); i++) {
        bool fewer = wanted->flows == 0 && !o->quick && strcmp(nfs[i], "ids") == 0;
        const struct memory_choice choice = {nfs[i], fewer ? IDS_FLOWS : (uint32_t)flows,
                                             !wanted->no_copies};

        if (wanted->nf == NULL || strcmp(wanted->nf, nfs[i]) == 0)
            rc = measure(report, o->runs, &choice, err);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct wanted wanted = {0};
    struct bench_options options = {.own = &wanted};
    struct bench_report *report;
    struct rill_error err;
    int rc = bench_options("memory", argc, argv, table, &options);

    if (rc != 0)
        return rc - 1;
    report = bench_report_begin("memory", &options);
    if (report == NULL)
        return 2;
    rc = measure_all(report, &options, &err);
    if (rc != 0) {
        fprintf(stderr, "bench memory: %s\n", err.text);
        free(report);
        return 2;
    }
    return bench_report_end(report);
}
