/* A seed that fails, made short: the fewest packets of its workload with which the same invariant
 * breaks, and the trace of the one flow that is in question. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum { BACK_MAX = 16 }; /* a seed may fail with n packets, not with n + 1: look below for a while */

static int run_prefix(const struct sim_plan *plan, uint32_t packets, FILE *trace,
                      struct sim_result *result)
{
    struct sim_plan prefix = *plan;

    prefix.packets = packets;
    return sim_run_plan(&prefix, trace, result);
}

/* 1: fails by that invariant, 0: does not, -1: could not be run. */
static int fails(const struct sim_plan *plan, uint32_t packets, const char *invariant)
{
    struct sim_result result;

    if (run_prefix(plan, packets, NULL, &result) != 0)
        return -1;
    return strncmp(result.violation, invariant, strlen(invariant)) == 0;
}

/* It fails with `most`. 0: could not be run. */
static uint32_t fewest(const struct sim_plan *plan, uint32_t most, const char *invariant)
{
    uint32_t low = 0, failing = most;
    int rc = 0;

    while (rc >= 0 && low + 1 < failing) {
        uint32_t middle = low + (failing - low) / 2;

        rc = fails(plan, middle, invariant);
        if (rc > 0)
            failing = middle;
        else
            low = middle;
    }
    for (uint32_t n = failing; rc >= 0 && n > 1 && failing - n < BACK_MAX;) {
        rc = fails(plan, --n, invariant);
        if (rc > 0)
            failing = n;
    }
    return rc < 0 ? 0 : failing;
}

/* What follows `word` in the text, up to a blank or sign; "" if it is not there. */
static void value_after(const char *text, const char *word, char value[32])
{
    const char *at = strstr(text, word);
    size_t n = 0;

    for (at = at == NULL ? "" : at + strlen(word); n < 31 && isalnum((unsigned char)at[n]); n++)
        value[n] = at[n];
    value[n] = '\0';
}

static bool names(const char *line, const char *word, const char *value)
{
    char found[32];

    value_after(line, word, found);
    return strcmp(found, value) == 0;
}

/* The number of the flow that the violation names, itself or by a packet of it; "" if none. */
static void flow_in_question(const char *violation, const char *trace, char flow[32])
{
    char packet[32];

    value_after(violation, "packet ", packet);
    if (packet[0] == '\0') {
        value_after(violation, "flow ", flow);
        return;
    }
    flow[0] = '\0';
    for (const char *line = trace; *line != '\0' && flow[0] == '\0';) {
        const char *end = strchrnul(line, '\n');
        char *copy = strndup(line, (size_t)(end - line));

        if (copy == NULL)
            abort();
        if (names(copy, "packet ", packet) && strstr(copy, "VIOLATION") == NULL)
            value_after(copy, "flow ", flow);
        free(copy);
        line = *end == '\0' ? end : end + 1;
    }
}

/* Its lines, and those that are about no flow; all where no flow is known. */
static void print_flow(char *trace, const char *flow)
{
    char *rest = trace;

    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
        if (line[0] != '\0' && (flow[0] == '\0' || names(line, "flow ", flow) ||
                                strstr(line, "***") != NULL || strstr(line, "VIOLATION") != NULL))
            puts(line);
}

static int show(const struct sim_plan *plan, uint32_t packets, uint32_t most)
{
    struct sim_result result;
    char *text = NULL, flow[32];
    size_t bytes;
    FILE *trace = open_memstream(&text, &bytes);
    int rc = trace == NULL ? -1 : run_prefix(plan, packets, trace, &result);

    if (trace != NULL)
        fclose(trace);
    if (rc == 0) {
        flow_in_question(result.violation, text, flow);
        print_flow(text, flow);
        printf("seed %" PRIu64 ": %s\n", plan->seed, result.violation);
        printf("seed %" PRIu64 " fails with the first %u of %u packets; above, the trace of %s%s\n",
               plan->seed, packets, most, flow[0] != '\0' ? "flow " : "all flows", flow);
    }
    free(text);
    return rc;
}

int sim_shorten(const struct sim_plan *plan)
{
    struct sim_result result;
    uint32_t packets;

    if (run_prefix(plan, plan->packets, NULL, &result) != 0)
        return -1;
    if (result.violation[0] == '\0')
        return 0;
    result.violation[strcspn(result.violation, ":") + 1] = '\0'; /* its name alone */
    packets = fewest(plan, plan->packets, result.violation);
    return packets == 0 || show(plan, packets, plan->packets) != 0 ? -1 : 1;
}
