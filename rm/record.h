/* What a resource manager writes down for the next one, as bytes. One function says of each struct
 * what is in it, for writing and for reading alike: so the two can't differ.
 *
 *     void node_record(struct rill_memo *r, struct node *node)
 *     {
 *         rill_memo_u32(r, &node->id);
 *         rill_memo_text(r, node->name, sizeof(node->name));
 *     }
 *
 * Numbers take as many bytes as they need. What is read is checked: beyond its end, or where a
 * value does not fit, everything reads as 0 from then on, and rill_memo_failed() is true. Pure.
 */
#ifndef RILL_RM_RECORD_H
#define RILL_RM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rill_memo {
    uint8_t *bytes; /* writing: grows; reading: lent, and not written to */
    size_t count, room, at;
    bool reading, failed;
};

/* To write: an empty one, which keeps its memory from one use to the next. */
void rill_memo_begin(struct rill_memo *record);
/* To read. */
void rill_memo_open(struct rill_memo *record, const void *bytes, size_t count);
/* Frees what was written. */
void rill_memo_fini(struct rill_memo *record);
/* Reading: something made no sense. Writing: there was no memory. */
bool rill_memo_failed(const struct rill_memo *record);
/* Reading: all of it was read, and made sense. */
bool rill_memo_is_over(const struct rill_memo *record);

void rill_memo_u64(struct rill_memo *record, uint64_t *value);
void rill_memo_u32(struct rill_memo *record, uint32_t *value);
void rill_memo_u16(struct rill_memo *record, uint16_t *value);
void rill_memo_bool(struct rill_memo *record, bool *value);
/* As u32, of a list: reading, more than `most` is a failure, and 0. */
void rill_memo_count(struct rill_memo *record, uint32_t *count, uint32_t most);
/* Terminated; `bytes`: the room that it has. */
void rill_memo_text(struct rill_memo *record, char *text, size_t bytes);
/* Writing: *data, *bytes. Reading: they are set to a place in the record. */
void rill_memo_blob(struct rill_memo *record, const uint8_t **data, size_t *bytes);

#endif
