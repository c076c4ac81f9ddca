/* Numbers and names as people read them. Pure functions; any thread. */
#ifndef RILL_CLI_FORMAT_H
#define RILL_CLI_FORMAT_H

#include <stdint.h>
#include <stdio.h>

enum { RILL_FORMAT_BYTES = 32 }; /* of every `buf` here; all of these return buf */

const char *rill_format_count(char *buf, uint64_t n); /* "12,345,678" */
const char *rill_format_ns(char *buf, uint64_t ns);   /* "812 ns", "12.3 us", "4.56 ms", "1.20 s" */
const char *rill_format_share(char *buf, uint64_t part, uint64_t whole); /* "78.8%", "-" of none */

/* Writes a file's name so that it can not disturb the terminal: control characters and bytes that
 * are no UTF-8 become '?'. */
void rill_format_name(FILE *out, const char *name);

#endif
