/* rill-sim: runs seeds of the simulator.
 *
 *     rill-sim --seed N [--trace] [--mutant NAME]
 *     rill-sim --seed N --shorten [--mutant NAME]
 *     rill-sim --seeds A..B [--hashes] [--mutant NAME]
 *     rill-sim --mutants [--seeds A..B]
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim.h"

enum { EXIT_BAD_USE = 2, MUTANT_SEEDS = 1500 };

struct choice {
    uint64_t first, last;
    bool trace, mutants, hashes, shorten;
};

struct totals {
    uint64_t ran, failed, packets, steps, frames;
    struct sim_counts counts;
    double cpu_s;
};

static const struct {
    const char *name, *what;
} mutant_table[] = {{"none", ""},
#define X(name, what) {#name, what},
                    RILL_MUTANT_LIST(X)
#undef X
};

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_run(uint64_t seed, const struct sim_result *r)
{
    printf("seed %" PRIu64 ": hash %016" PRIx64 ", %" PRIu64 " packets, %" PRIu64 " steps, %" PRIu64
           " moves, %" PRIu64 " frames, %.3f s of simulated time\n",
           seed, r->hash, r->packets, r->steps, r->moves, r->frames, (double)r->virtual_ns / 1e9);
}

static void add(struct totals *totals, const struct sim_result *r)
{
    totals->ran++;
    totals->failed += r->violation[0] != '\0';
    totals->packets += r->packets;
    totals->steps += r->steps;
    totals->frames += r->frames;
    sim_counts_add(&totals->counts, &r->counts);
}

/* Runs the seeds; stops at the first that fails if so told. Prints each failure. */
static struct totals run_seeds(const struct choice *c, bool stop_at_first, bool quiet)
{
    struct totals totals = {0};
    double start_s = cpu_s();

    for (uint64_t seed = c->first; seed <= c->last; seed++) {
        struct sim_result result;

        if (sim_run(seed, c->trace ? stdout : NULL, &result) != 0)
            exit(EXIT_BAD_USE);
        add(&totals, &result);
        if (result.violation[0] != '\0' && !quiet)
            printf("seed %" PRIu64 ": %s\n", seed, result.violation);
        if (c->hashes)
            print_run(seed, &result);
        if (result.violation[0] != '\0' && stop_at_first)
            break;
    }
    totals.cpu_s = cpu_s() - start_s;
    return totals;
}

static void print_totals(const struct totals *t)
{
    sim_counts_print(&t->counts);
    printf("simulated: %" PRIu64 " packets, %" PRIu64 " steps, %" PRIu64
           " frames; %.0f packets per second of processor time\n",
           t->packets, t->steps, t->frames, (double)t->packets / t->cpu_s);
    printf("seeds clean: %" PRIu64 "/%" PRIu64 "\n", t->ran - t->failed, t->ran);
}

static int run_mutants(struct choice *c)
{
    unsigned found = 0;

    for (unsigned i = 1; i < RILL_MUTANT_COUNT; i++) {
        struct totals t;

        rill_mutant = (enum rill_mutant)i;
        t = run_seeds(c, true, true);
        found += t.failed > 0;
        printf("%-16s %s after %3" PRIu64 " seeds   %s\n", mutant_table[i].name,
               t.failed > 0 ? "found    " : "NOT FOUND", t.ran, mutant_table[i].what);
        fflush(stdout);
    }
    printf("mutants found: %u/%u\n", found, RILL_MUTANT_COUNT - 1);
    return found == RILL_MUTANT_COUNT - 1 ? 0 : 1;
}

static int choose_mutant(const char *name)
{
    for (unsigned i = 1; i < RILL_MUTANT_COUNT; i++) {
        if (strcmp(mutant_table[i].name, name) == 0) {
            rill_mutant = (enum rill_mutant)i;
            return 0;
        }
    }
    fprintf(stderr, "rill-sim: no mutant '%s'; --mutants lists them\n", name);
    return EXIT_BAD_USE;
}

static int parse_seeds(const char *text, struct choice *c)
{
    char *end;

    c->first = strtoull(text, &end, 10);
    if (end != text && strncmp(end, "..", 2) == 0) {
        text = end + 2;
        c->last = strtoull(text, &end, 10);
        if (end != text && *end == '\0' && c->first <= c->last)
            return 0;
    }
    fprintf(stderr, "rill-sim: --seeds wants A..B with A <= B\n");
    return EXIT_BAD_USE;
}

static int parse(int argc, char **argv, struct choice *c)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'r'},
        {"mutants", no_argument, NULL, 'M'},    {"mutant", required_argument, NULL, 'm'},
        {"trace", no_argument, NULL, 't'},      {"hashes", no_argument, NULL, 'h'},
        {"shorten", no_argument, NULL, 'S'},    {0}};
    int option, rc = 0;

    while (rc == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            c->first = c->last = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            rc = parse_seeds(optarg, c);
            break;
        case 'm':
            rc = choose_mutant(optarg);
            break;
        case 'M':
            c->mutants = true;
            break;
        case 't':
            c->trace = true;
            break;
        case 'S':
            c->shorten = true;
            break;
        case 'h':
            c->hashes = true;
            break;
        default:
            rc = EXIT_BAD_USE;
        }
    }
    return rc == 0 && optind < argc ? EXIT_BAD_USE : rc;
}

static int shorten(const struct choice *c)
{
    int rc;

    if (c->first != c->last) {
        fprintf(stderr, "rill-sim: --shorten wants one seed: --seed N\n");
        return EXIT_BAD_USE;
    }
    rc = sim_shorten(c->first);
    if (rc == 0)
        printf("seed %" PRIu64 " does not fail\n", c->first);
    return rc < 0 ? EXIT_BAD_USE : rc;
}

/* Each seed makes and frees the same tables: keep their memory, or the kernel clears it each time.
 */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int main(int argc, char **argv)
{
    struct choice c = {.first = 1, .last = 200};
    struct totals totals;
    int rc = parse(argc, argv, &c);

    if (rc != 0)
        return rc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    keep_memory();
    if (c.mutants) {
        c.last = c.first + MUTANT_SEEDS - 1;
        return run_mutants(&c);
    }
    if (c.shorten)
        return shorten(&c);
    if (c.first == c.last && !c.trace)
        c.hashes = true;
    totals = run_seeds(&c, false, false);
    print_totals(&totals);
    return totals.failed == 0 ? 0 : 1;
}
