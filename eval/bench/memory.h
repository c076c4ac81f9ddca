/* One run of the benchmark `memory`: all roles in one process, and their memory for each flow. */
#ifndef RILL_EVAL_BENCH_MEMORY_H
#define RILL_EVAL_BENCH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

enum memory_role { MEMORY_CONTROLLER, MEMORY_UNIT, MEMORY_REPLICA, MEMORY_LOGGER, MEMORY_ROLES };

/* Bytes of a flow. */
struct memory_figures {
    double table[MEMORY_ROLES], rss[MEMORY_ROLES], state;
};

struct memory_choice {
    const char *nf;
    uint32_t flows;
    bool copies;
};

/* DPDK's, apart from what it takes for flows. */
enum { MEMORY_EAL_MB = 1024 };

/* In a process that has not started DPDK. */
int memory_run(const struct memory_choice *choice, struct memory_figures *figures,
               struct rill_error *err);

#endif
