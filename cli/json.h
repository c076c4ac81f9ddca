/* Writes JSON (RFC 8259) as it comes, indented by two, members in the order in which they are
 * given.
 *
 * Text may hold anything: what must be escaped is, and bytes that are no valid UTF-8 become U+FFFD.
 * Errors of the stream are the caller's to find with ferror().
 */
#ifndef RILL_CLI_JSON_H
#define RILL_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct rill_json {
    FILE *out;
    int depth;
    bool filled; /* the container at hand has a member already */
};

void rill_json_start(struct rill_json *json, FILE *out);

/* `key` NULL: an element of an array, or the document itself. */
void rill_json_open(struct rill_json *json, const char *key, char bracket); /* '{' or '[' */
void rill_json_close(struct rill_json *json, char bracket);                 /* '}' or ']' */
void rill_json_u64(struct rill_json *json, const char *key, uint64_t value);
void rill_json_i64(struct rill_json *json, const char *key, int64_t value);
void rill_json_double(struct rill_json *json, const char *key, double value); /* not finite: null */
void rill_json_bool(struct rill_json *json, const char *key, bool value);
void rill_json_string(struct rill_json *json, const char *key, const char *text); /* NULL: null */
/* `text` as it is if it is a JSON number, true or false; else as a string. */
void rill_json_scalar(struct rill_json *json, const char *key, const char *text);

#endif
