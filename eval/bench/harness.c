#include "eval/bench/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "cli/json.h"

enum { RUNS_DEFAULT = 9, OPTIONS_MAX = 24, RESULTS_MAX = 256, FIGURES_MAX = 256 };
#define NOISY_SPREAD_PERCENT 25.0
#define NOISY_LOAD_PER_CORE 0.75

struct figure {
    char name[80];
    double value;
};

struct bench_report {
    const char *bench;
    const struct bench_options *options;
    FILE *table; /* where people look; NULL: nowhere */
    double load;
    uint64_t preempted;
    unsigned results_n, figures_n;
    struct bench_result results[RESULTS_MAX];
    struct figure figures[FIGURES_MAX];
};

/* --- options --------------------------------------------------------------------------------- */

static int take_json(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct bench_options *)target)->json = value;
    return 0;
}

static int take_runs(void *target, const char *value, struct rill_error *err)
{
    struct bench_options *o = target;

    if (rill_args_u64(value, &o->runs) != 0 || o->runs < BENCH_RUNS_MIN || o->runs > BENCH_RUNS_MAX)
        return rill_error_set(err, -EINVAL, "--runs '%s': it is a whole number from %d to %d",
                              value, BENCH_RUNS_MIN, BENCH_RUNS_MAX);
    return 0;
}

static int take_quick(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct bench_options *)target)->quick = true;
    return 0;
}

static const struct rill_arg common[] = {
    {"json", "FILE", "where the figures go besides; - is standard output, without the table", false,
     NULL, take_json},
    {"runs", "N", "how many runs the median is of, 7 to 101 (default 9)", false, NULL, take_runs},
    {"quick", NULL, "only see that it works: hardly any load", false, NULL, take_quick},
};

int bench_options(const char *name, int argc, char **argv, const struct rill_arg *own,
                  struct bench_options *options)
{
    struct rill_arg table[OPTIONS_MAX + 1] = {{0}};
    const struct rill_args args = {.table = table, .target = options};
    struct rill_error err;
    unsigned n = RTE_DIM(common);
    int rc;

    options->runs = RUNS_DEFAULT;
    memcpy(table, common, sizeof(common));
    for (; own != NULL && own->name != NULL && n < OPTIONS_MAX; own++)
        table[n++] = *own;
    rc = rill_args_parse(&args, argc, argv, &err);
    if (rc == 1) {
        printf("usage: eval/bench/run %s [OPTION...]\n\n", name);
        rill_args_help(table, stdout);
        return 1;
    }
    if (rc != 0)
        fprintf(stderr, "bench %s: %s\n", name, err.text);
    return rc != 0 ? 3 : 0;
}

/* --- clocks and medians ------------------------------------------------------------------------
 */

uint64_t bench_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

double bench_cycles_per_ns(void)
{
    static double rate;
    uint64_t begin_ns = bench_ns(), begin = bench_cycles(), ns;

    while (rate == 0 && (ns = bench_ns() - begin_ns) < 20000000)
        ;
    if (rate == 0)
        rate = (double)(bench_cycles() - begin) / (double)(bench_ns() - begin_ns);
    return rate;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, uint64_t n, double *spread_percent)
{
    double median;

    qsort(values, n, sizeof(values[0]), by_value);
    median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    if (spread_percent != NULL)
        *spread_percent = median > 0 ? 100 * (values[n - 1] - values[0]) / median : 0;
    return median;
}

/* --- the report ------------------------------------------------------------------------------ */

static double load_per_core(void)
{
    double load;

    return getloadavg(&load, 1) == 1 ? load / (double)sysconf(_SC_NPROCESSORS_ONLN) : 0;
}

static uint64_t preempted(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_nivcsw;
}

static bool json_is_stdout(const struct bench_options *options)
{
    return options->json != NULL && strcmp(options->json, "-") == 0;
}

struct bench_report *bench_report_begin(const char *bench, const struct bench_options *options)
{
    struct bench_report *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        fprintf(stderr, "bench %s: no memory\n", bench);
        return NULL;
    }
    r->bench = bench;
    r->options = options;
    r->table = json_is_stdout(options) ? NULL : stdout;
    r->load = load_per_core();
    r->preempted = preempted();
    return r;
}

static void print_number(FILE *out, int width, int digits, double value)
{
    if (value > 0)
        fprintf(out, " %*.*f", width, digits, value);
    else
        fprintf(out, " %*s", width, "-");
}

static void print_result(FILE *out, const struct bench_result *result)
{
    fprintf(out, "%-34s", result->name);
    print_number(out, 9, 0, (double)result->flows);
    print_number(out, 6, 0, result->packet_bytes);
    print_number(out, 8, 2, result->mpps);
    print_number(out, 8, 1, result->cycles_per_packet);
    print_number(out, 8, 1, result->instructions_per_packet);
    print_number(out, 7, 2, result->misses_per_packet);
    print_number(out, 7, 1, result->spread_percent);
    print_number(out, 8, 2, result->ceiling_mpps);
    print_number(out, 6, 3, result->ratio);
    fputc('\n', out);
    fflush(out);
}

FILE *bench_report_table(const struct bench_report *r)
{
    return r->table;
}

void bench_report_add(struct bench_report *r, const struct bench_result *result)
{
    if (r->results_n == RESULTS_MAX)
        abort();
    if (r->table != NULL && r->results_n == 0)
        fprintf(r->table, "%-34s %9s %6s %8s %8s %8s %7s %7s %8s %6s\n", "", "flows", "bytes",
                "Mpps", "cycles", "instr.", "misses", "spread%", "ceiling", "ratio");
    if (r->table != NULL)
        print_result(r->table, result);
    r->results[r->results_n++] = *result;
}

void bench_report_figure(struct bench_report *r, const char *name, double value)
{
    struct figure *figure = &r->figures[r->figures_n];

    if (r->figures_n++ == FIGURES_MAX)
        abort();
    snprintf(figure->name, sizeof(figure->name), "%s", name);
    figure->value = value;
    if (r->table != NULL)
        fprintf(r->table, "%s %.6g\n", name, value);
}

static void write_result(struct rill_json *json, const struct bench_result *result)
{
    rill_json_open(json, NULL, '{');
    rill_json_string(json, "name", result->name);
    rill_json_u64(json, "flows", result->flows);
    rill_json_u64(json, "packet_bytes", result->packet_bytes);
    if (result->mpps > 0)
        rill_json_double(json, "mpps", result->mpps);
    if (result->cycles_per_packet > 0)
        rill_json_double(json, "cycles_per_packet", result->cycles_per_packet);
    if (result->instructions_per_packet > 0)
        rill_json_double(json, "instructions_per_packet", result->instructions_per_packet);
    if (result->misses_per_packet > 0)
        rill_json_double(json, "misses_per_packet", result->misses_per_packet);
    rill_json_double(json, "spread_percent", result->spread_percent);
    if (result->ceiling_mpps > 0) {
        rill_json_double(json, "ceiling_mpps", result->ceiling_mpps);
        rill_json_double(json, "ratio", result->ratio);
    }
    rill_json_close(json, '}');
}

/* The machine was busy, or runs differed by much. */
static bool is_noisy(const struct bench_report *r)
{
    bool noisy = r->load > NOISY_LOAD_PER_CORE;

    for (unsigned i = 0; i < r->results_n; i++)
        noisy |= r->results[i].spread_percent > NOISY_SPREAD_PERCENT;
    return noisy;
}

static void write_json(const struct bench_report *r, FILE *out)
{
    struct rill_json json;

    rill_json_start(&json, out);
    rill_json_open(&json, NULL, '{');
    rill_json_string(&json, "bench", r->bench);
    rill_json_string(&json, "version", RILL_VERSION);
    rill_json_u64(&json, "runs", r->options->runs);
    rill_json_bool(&json, "quick", r->options->quick);
    for (unsigned i = 0; i < r->figures_n; i++)
        rill_json_double(&json, r->figures[i].name, r->figures[i].value);
    rill_json_open(&json, "results", '[');
    for (unsigned i = 0; i < r->results_n; i++)
        write_result(&json, &r->results[i]);
    rill_json_close(&json, ']');
    rill_json_double(&json, "tsc_ghz", bench_cycles_per_ns());
    rill_json_u64(&json, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    rill_json_double(&json, "load_per_core_before", r->load);
    rill_json_u64(&json, "preempted", preempted() - r->preempted);
    rill_json_bool(&json, "noisy", is_noisy(r));
    rill_json_close(&json, '}');
    fputc('\n', out);
}

int bench_report_end(struct bench_report *r)
{
    const char *path = r->options->json;
    bool to_stdout = json_is_stdout(r->options), failed = false;
    FILE *out = path == NULL ? NULL : to_stdout ? stdout : fopen(path, "we");

    if (r->table != NULL && is_noisy(r))
        fprintf(r->table,
                "noisy: the machine was busy (%.2f runnable a core before), or the runs "
                "differ by much\n",
                r->load);
    if (path != NULL && out == NULL) {
        fprintf(stderr, "bench %s: --json %s: %s\n", r->bench, path, strerror(errno));
        failed = true;
    } else if (out != NULL) {
        write_json(r, out);
        failed = ferror(out) != 0;
        failed |= to_stdout ? fflush(out) != 0 : fclose(out) != 0;
        if (failed)
            fprintf(stderr, "bench %s: --json %s: it can not be written\n", r->bench, path);
    }
    free(r);
    return failed ? 2 : 0;
}
