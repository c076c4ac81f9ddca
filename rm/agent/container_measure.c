/* Prints how long containers take here: median, least and most of N runs (20). As root:
 *
 *   build/release/tests/container_measure [N]
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "rm/agent/container_fixture.h"

enum { RUNS_MAX = 1000 };
enum { START, MAIN, EAL, NOTICED, DESTROY_DEAD, DESTROY_RUNNING, FIGURES };

static const char *const names[FIGURES] = {
    [START] = "start() returns",
    [MAIN] = "program in main, from start()",
    [EAL] = "EAL ready, from start()",
    [NOTICED] = "exit seen on the pidfd, from SIGKILL",
    [DESTROY_DEAD] = "destroy() right after that",
    [DESTROY_RUNNING] = "destroy() of a running one",
};
static double figures_ms[FIGURES][RUNS_MAX];

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double ms(uint64_t from_ns, uint64_t to_ns)
{
    return (double)(to_ns - from_ns) / 1e6;
}

static void fail(const struct rill_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void run(struct fixture *fixture, int i)
{
    static char text[FIXTURE_TEXT_MAX];
    struct rill_error err = {.text = ""};
    struct rill_container *container;
    uint64_t begin_ns = fixture_now_ns(), end_ns;
    struct pollfd wait = {.events = POLLIN};
    int fd;

    if (fixture_start(fixture, "eal", FIXTURE_ARGV((char *)"eal"), &container, &fd, &err) != 0)
        fail(&err);
    figures_ms[START][i] = ms(begin_ns, fixture_now_ns());
    fixture_read(fd, text, sizeof(text));
    figures_ms[MAIN][i] = ms(begin_ns, fixture_number(text, "main_ns"));
    figures_ms[EAL][i] = ms(begin_ns, fixture_number(text, "eal_ns"));
    wait.fd = rill_container_pidfd(container);
    begin_ns = fixture_now_ns();
    rill_container_signal(container, SIGKILL);
    poll(&wait, 1, -1);
    end_ns = fixture_now_ns();
    figures_ms[NOTICED][i] = ms(begin_ns, end_ns);
    if (rill_container_destroy(container, &err) != 0)
        fail(&err);
    figures_ms[DESTROY_DEAD][i] = ms(end_ns, fixture_now_ns());
    if (fixture_start(fixture, "x", FIXTURE_ARGV((char *)"ignore"), &container, NULL, &err) != 0)
        fail(&err);
    begin_ns = fixture_now_ns();
    if (rill_container_destroy(container, &err) != 0)
        fail(&err);
    figures_ms[DESTROY_RUNNING][i] = ms(begin_ns, fixture_now_ns());
}

int main(int argc, char **argv)
{
    int runs = argc > 1 ? atoi(argv[1]) : 20;
    struct fixture fixture;

    if (runs < 1 || runs > RUNS_MAX)
        runs = 20;
    fixture_open(&fixture);
    for (int i = 0; i < runs; i++)
        run(&fixture, i);
    fixture_close(&fixture);
    printf("%-40s %10s %10s %10s\n", "milliseconds", "median", "least", "most");
    for (int i = START; i < FIGURES; i++) {
        qsort(figures_ms[i], (size_t)runs, sizeof(double), compare);
        printf("%-40s %10.2f %10.2f %10.2f\n", names[i], figures_ms[i][runs / 2], figures_ms[i][0],
               figures_ms[i][runs - 1]);
    }
    return 0;
}
