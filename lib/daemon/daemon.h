/* What every daemon does alike: reads its options, says lines on stderr, ends on a signal.
 *
 * Log lines: "rill-agent: LINE", to stderr, which `rill up` points at <run folder>/<cluster>/logs.
 */
#ifndef RILL_LIB_DAEMON_DAEMON_H
#define RILL_LIB_DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

enum rill_poll { RILL_POLL_YIELD, RILL_POLL_BUSY, RILL_POLL_SLEEP }; /* design 3, polling */

struct rill_daemon_option {
    const char *name; /* "--role" */
    const char *what; /* for --help: "ID" */
    const char *doc;
    bool required;
    const char **text; /* where the value goes; its default is what is there */
};

/* Parses --name VALUE pairs by the table (last entry: name NULL), --help, --version. Does not
 * return if it has something to complain of (one line, exit 2) or to show (exit 0). */
void rill_daemon_options(const char *program, const struct rill_daemon_option *table, int argc,
                         char **argv);
/* The same for values: a number in [min, max], or exit 2 with one line that names the option. */
uint64_t rill_daemon_number(const char *option, const char *text, uint64_t min, uint64_t max);
enum rill_poll rill_daemon_poll(const char *text); /* "yield", "busy", "sleep"; else exit 2 */

/* One line on stderr, cut at 1,000 characters, control characters replaced. From any thread. */
__attribute__((format(printf, 1, 2))) void rill_daemon_say(const char *format, ...);
/* At most so many of them a second (100 until this is called); the line that comes after some that
 * were not said says how many. */
void rill_daemon_log_limit(uint64_t lines_per_s);
/* And the file that stderr is, if it is one, has no more than so many bytes, the one before it
 * included (log_file.h). 0, as at first: any. */
void rill_daemon_log_file(uint64_t max_bytes);
/* In between, so that it is said also where nothing else is. */
void rill_daemon_log_look(uint64_t now_ns);
uint64_t rill_daemon_log_suppressed(void); /* lines, in all */
/* The same line, without a bound, then exit(2). */
__attribute__((format(printf, 1, 2), noreturn)) void rill_daemon_refuse(const char *format, ...);

/* Control characters become '?': a text that came from elsewhere, before it goes into a line. */
void rill_daemon_clean(char *text);

uint64_t rill_daemon_now_ns(void); /* CLOCK_MONOTONIC */

#endif
