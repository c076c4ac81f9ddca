/* What a resource manager writes down for the next one, as bytes. One function says of each struct
 * what is in it, for writing and for reading alike: so the two can't differ.
 *
 *     void node_record(struct rill_record *r, struct node *node)
 *     {
 *         rill_record_u32(r, &node->id);
 *         rill_record_text(r, node->name, sizeof(node->name));
 *     }
 *
 * Numbers take as many bytes as they need. What is read is checked: beyond its end, or where a
 * value does not fit, everything reads as 0 from then on, and rill_record_failed() is true. Pure.
 */
#ifndef RILL_RM_RECORD_H
#define RILL_RM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rill_record {
    uint8_t *bytes; /* writing: grows; reading: lent, and not written to */
    size_t count, room, at;
    bool reading, failed;
};

/* To write: an empty one, which keeps its memory from one use to the next. */
void rill_record_begin(struct rill_record *record);
/* To read. */
void rill_record_open(struct rill_record *record, const void *bytes, size_t count);
/* Frees what was written. */
void rill_record_fini(struct rill_record *record);
/* Reading: something made no sense. Writing: there was no memory. */
bool rill_record_failed(const struct rill_record *record);
/* Reading: all of it was read, and made sense. */
bool rill_record_is_over(const struct rill_record *record);

void rill_record_u64(struct rill_record *record, uint64_t *value);
void rill_record_u32(struct rill_record *record, uint32_t *value);
void rill_record_u16(struct rill_record *record, uint16_t *value);
void rill_record_bool(struct rill_record *record, bool *value);
/* As u32, of a list: reading, more than `most` is a failure, and 0. */
void rill_record_count(struct rill_record *record, uint32_t *count, uint32_t most);
/* Terminated; `bytes`: the room that it has. */
void rill_record_text(struct rill_record *record, char *text, size_t bytes);
/* Writing: *data, *bytes. Reading: they are set to a place in the record. */
void rill_record_blob(struct rill_record *record, const uint8_t **data, size_t *bytes);

#endif
