/* The daemons that `rill up` starts and `rill down` ends. Who a process is, is its pid and the time
 * at which it started: so a pid that was given to another process meanwhile is never taken for
 * ours. What is done to it goes through a pidfd.
 */
#ifndef RILL_CLI_PROCESS_H
#define RILL_CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

/* {.fd = -1}: none. */
struct rill_process {
    pid_t pid;
    uint64_t start_ticks; /* since the machine's start */
    int fd;               /* pidfd */
};

/* Runs argv[0] (a path) in a session of its own, without input, its lines appended to `log`.
 * Negative with *err if it can't be executed. */
int rill_process_start(struct rill_process *process, const char *const argv[], const char *log,
                       struct rill_error *err);
/* The pid file: "PID START_TICKS\n". -errno with *err. */
int rill_process_write(const struct rill_process *process, const char *path,
                       struct rill_error *err);
/* The process that a pid file names. False, and none, if it has ended or there is no such file. */
bool rill_process_find(struct rill_process *process, const char *path);

/* Waits up to timeout_ms (0: looks) for its end. True for none. */
bool rill_process_ended(const struct rill_process *process, unsigned timeout_ms);
void rill_process_signal(const struct rill_process *process, int signal_number);
void rill_process_close(struct rill_process *process); /* forgets it; it runs on */

#endif
