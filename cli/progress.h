/* A progress line on a terminal, redrawn in place at most ten times a second; nothing on a pipe. */
#ifndef RILL_CLI_PROGRESS_H
#define RILL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct rill_progress {
    FILE *out; /* NULL: show nothing */
    uint64_t start_ns, last_ns;
    int columns; /* the terminal's */
    int drawn;   /* columns of the line that stands there now */
};

/* Shows on `out` if that is a terminal. */
void rill_progress_init(struct rill_progress *progress, FILE *out, uint64_t now_ns);
/* Draws, unless the last drawing was less than 100 ms ago. True if it drew. */
bool rill_progress_update(struct rill_progress *progress, uint64_t now_ns, uint64_t done,
                          uint64_t total, uint64_t released);
void rill_progress_clear(struct rill_progress *progress); /* wipes the line */

#endif
