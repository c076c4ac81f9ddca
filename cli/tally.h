/* A tally: counts by name, sorted by name, for what is reported once at the end of a run.
 *
 * It grows as names come; names are copied. Not for the packet path: adding searches and may
 * allocate. One thread.
 */
#ifndef RILL_CLI_TALLY_H
#define RILL_CLI_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct rill_tally_entry {
    char *name;
    uint64_t count;
};

/* Zeroed memory is an empty tally. */
struct rill_tally {
    struct rill_tally_entry *entries; /* `count` of them, by name in byte order, each name once */
    size_t count, capacity;
};

/* Adds n under `name`. A name that is new is entered even where n is 0. 0, or -ENOMEM and the tally
 * as it was. */
int rill_tally_add(struct rill_tally *tally, const char *name, uint64_t n);
uint64_t rill_tally_get(const struct rill_tally *tally, const char *name); /* 0 where it is not */
uint64_t rill_tally_total(const struct rill_tally *tally);
void rill_tally_fini(struct rill_tally *tally); /* empties it; NULL is fine */

#endif
