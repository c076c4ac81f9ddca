/* rill-sim: runs seeds of the simulator.
 *
 *     rill-sim --seed N [--trace] [--mutant NAME]
 *     rill-sim --seed N --shorten [--mutant NAME]
 *     rill-sim --seeds A..B [--kind KIND] [--hashes] [--mutant NAME]
 *     rill-sim --plan-file FILE [--plan NAME] [--trace | --shorten] [--mutant NAME]
 *     rill-sim --mutants [--starts N]
 *
 * A plan file has lines of a name, a colon and a plan, as it is printed when a seed fails; and
 * lines that begin with '#'. With --world cluster seeds and --mutants are those of a cluster of
 * machines (world.h). --starts: from so many first seeds on (1 to 5, 5 without) a fault is looked
 * for, as long as that takes not too long, and the median is said.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim.h"

enum { EXIT_BAD_USE = 2 };

struct choice {
    uint64_t first, last;
    unsigned starts; /* of --mutants */
    bool trace, mutants, hashes, shorten, cluster;
    const char *file, *plan; /* of a plan file */
    const char *kind;        /* that each seed has */
};

struct totals {
    uint64_t ran, failed, packets, steps, frames;
    struct sim_counts counts;
    double cpu_s;
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

static void print_failure(const struct sim_plan *plan, const char *how, const struct sim_result *r)
{
    printf("seed %" PRIu64 ": %s (commit %s; to see it: rill-sim %s --shorten)\n", plan->seed,
           r->violation, sim_commit, how);
    printf("its plan: ");
    sim_plan_print(stdout, plan);
}

static int run_plan(const struct sim_plan *plan, const struct choice *c, const char *how,
                    struct totals *totals)
{
    struct sim_result result;

    if (c->shorten) {
        int rc = sim_shorten(plan);

        if (rc == 0)
            printf("seed %" PRIu64 " does not fail\n", plan->seed);
        totals->failed += rc != 0;
        return rc < 0 ? -1 : 0;
    }
    if (sim_run_plan(plan, c->trace ? stdout : NULL, &result) != 0)
        return -1;
    add(totals, &result);
    if (result.violation[0] != '\0')
        print_failure(plan, how, &result);
    if (c->hashes)
        print_run(plan->seed, &result);
    return 0;
}

#ifdef RILL_HAS_CLUSTER
static int run_world(const struct choice *c, struct totals *totals)
{
    for (uint64_t seed = c->first; seed <= c->last; seed++) {
        struct sim_result result;

        if (sim_world_run(seed, c->trace ? stdout : NULL, &result) != 0)
            return -1;
        add(totals, &result);
        if (result.violation[0] != '\0')
            printf("seed %" PRIu64 ": %s (commit %s; to see it: rill-sim --world cluster --seed "
                   "%" PRIu64 " --trace)\n",
                   seed, result.violation, sim_commit, seed);
        if (c->hashes)
            print_run(seed, &result);
    }
    return 0;
}
#endif

static int run_seeds(const struct choice *c, struct totals *totals)
{
#ifdef RILL_HAS_CLUSTER
    if (c->cluster)
        return run_world(c, totals);
#endif
    for (uint64_t seed = c->first; seed <= c->last; seed++) {
        struct sim_plan plan;
        char how[64];

        sim_plan_draw(&plan, seed, c->kind);
        snprintf(how, sizeof(how), "--seed %" PRIu64 "%s%s", seed, c->kind ? " --kind " : "",
                 c->kind ? c->kind : "");
        if (run_plan(&plan, c, how, totals) != 0)
            return -1;
    }
    return 0;
}

/* One line of a plan file. */
static int run_line(char *line, const struct choice *c, struct totals *totals)
{
    char *plan_text = strchr(line, ':'), how[256];
    struct rill_error err = {""};
    struct sim_plan plan;
    uint64_t failed = totals->failed;

    if (line[0] == '#' || line[0] == '\n')
        return 0;
    if (plan_text == NULL) {
        fprintf(stderr, "rill-sim: %s: a line without a name and a colon: %s", c->file, line);
        return -1;
    }
    *plan_text++ = '\0';
    if (c->plan != NULL && strcmp(line, c->plan) != 0)
        return 0;
    if (sim_plan_parse(&plan, plan_text, &err) != 0) {
        fprintf(stderr, "rill-sim: %s: %s: %s\n", c->file, line, err.text);
        return -1;
    }
    snprintf(how, sizeof(how), "--plan-file %s --plan %s", c->file, line);
    if (run_plan(&plan, c, how, totals) != 0)
        return -1;
    if (!c->shorten)
        printf("%s %s\n", totals->failed == failed ? "clean " : "FAILED", line);
    return 0;
}

static int run_file(const struct choice *c, struct totals *totals)
{
    FILE *from = fopen(c->file, "r");
    char *line = NULL;
    size_t room = 0;
    int rc = 0;

    if (from == NULL) {
        fprintf(stderr, "rill-sim: %s: %s\n", c->file, strerror(errno));
        return -1;
    }
    while (rc == 0 && getline(&line, &room, from) > 0)
        rc = run_line(line, c, totals);
    free(line);
    fclose(from);
    return rc;
}

static void print_totals(const struct totals *t, bool counts)
{
    if (counts)
        sim_counts_print(&t->counts);
    printf("simulated: %" PRIu64 " packets, %" PRIu64 " steps, %" PRIu64
           " frames; %.0f packets per second of processor time\n",
           t->packets, t->steps, t->frames, (double)t->packets / t->cpu_s);
    printf("seeds clean: %" PRIu64 "/%" PRIu64 "\n", t->ran - t->failed, t->ran);
}

static int choose_mutant(const char *name)
{
    if (sim_mutant_choose(name) == 0)
        return 0;
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

static int parse_starts(const char *text, struct choice *c)
{
    char *end;
    unsigned long starts = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || starts < 1 || starts > SIM_MUTANT_STARTS) {
        fprintf(stderr, "rill-sim: --starts wants 1 to %d\n", SIM_MUTANT_STARTS);
        return EXIT_BAD_USE;
    }
    c->starts = (unsigned)starts;
    return 0;
}

static int choose_world(const char *name, struct choice *c)
{
#ifdef RILL_HAS_CLUSTER
    if (strcmp(name, "cluster") == 0) {
        c->cluster = true;
        return 0;
    }
#endif
    (void)c;
    fprintf(stderr,
            "rill-sim: --world %s: there is no such world; one is 'cluster', where the cluster "
            "form is built\n",
            name);
    return EXIT_BAD_USE;
}

static int check_kind(const char *kind)
{
    if (sim_swarm_has(kind))
        return 0;
    fprintf(stderr, "rill-sim: no kind of trouble is called '%s' (tests/sim/swarm.c)\n", kind);
    return EXIT_BAD_USE;
}

static int parse(int argc, char **argv, struct choice *c)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'r'},
                                            {"mutants", no_argument, NULL, 'M'},
                                            {"mutant", required_argument, NULL, 'm'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"hashes", no_argument, NULL, 'h'},
                                            {"shorten", no_argument, NULL, 'S'},
                                            {"world", required_argument, NULL, 'w'},
                                            {"plan-file", required_argument, NULL, 'f'},
                                            {"plan", required_argument, NULL, 'p'},
                                            {"kind", required_argument, NULL, 'k'},
                                            {"starts", required_argument, NULL, 'n'},
                                            {0}};
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
        case 'w':
            rc = choose_world(optarg, c);
            break;
        case 'f':
            c->file = optarg;
            break;
        case 'p':
            c->plan = optarg;
            break;
        case 'k':
            c->kind = optarg;
            rc = check_kind(optarg);
            break;
        case 'n':
            rc = parse_starts(optarg, c);
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

/* Each seed makes and frees the same tables: keep their memory, or the kernel clears it each time.
 */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int main(int argc, char **argv)
{
    struct choice c = {.first = 1, .last = 200, .starts = SIM_MUTANT_STARTS};
    struct totals totals = {0};
    double start_s;
    int rc = parse(argc, argv, &c);

    if (rc != 0)
        return rc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    keep_memory();
    if (c.mutants)
        return sim_mutants(c.cluster, c.starts);
    if (c.cluster && (c.shorten || c.file != NULL || c.kind != NULL)) {
        fprintf(stderr, "rill-sim: --world cluster has no --shorten, --plan-file and --kind\n");
        return EXIT_BAD_USE;
    }
    if (c.shorten && c.file == NULL && c.first != c.last) {
        fprintf(stderr, "rill-sim: --shorten wants one seed: --seed N\n");
        return EXIT_BAD_USE;
    }
    if (c.first == c.last && !c.trace)
        c.hashes = true;
    start_s = cpu_s();
    rc = c.file != NULL ? run_file(&c, &totals) : run_seeds(&c, &totals);
    totals.cpu_s = cpu_s() - start_s;
    if (rc != 0)
        return EXIT_BAD_USE;
    if (!c.shorten)
        print_totals(&totals, !c.cluster);
    return totals.failed == 0 ? 0 : 1;
}
