/* The nodes that a registry keeps records in: which ones are to be written or deleted, in order,
 * and how records are found again in those that are there. Knows nothing of sessions or time.
 *
 *   NAME                 "I" and the record, or "P VERSION PARTS" where it is too large for a node
 *   NAME.VERSION.PART    a part of it. The head is written behind its parts, and they are deleted
 * once another head is there: so a record can be read whole at any time. */
#ifndef RILL_RM_STORE_NODES_H
#define RILL_RM_STORE_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rm/director.h"
#include "rm/store.h"

enum {
    STORE_PART_BYTES = 60000,
    STORE_NAMES_MAX = 2 * RILL_DIRECTOR_DEPLOYMENTS_MAX + 8,
    STORE_KEY_BYTES = RILL_STORE_NAME_MAX + 32,
};

/* One node to be written or deleted. */
struct store_job {
    struct store_job *next;
    char key[STORE_KEY_BYTES];
    char name[RILL_STORE_NAME_MAX + 1]; /* of the record that it is of; "": of none any more */
    bool removes;
    uint32_t parts;   /* of a head: how many there are of its version; 0: it holds the record */
    uint64_t version; /* told when it is done; 0: is not */
    size_t bytes;
    uint8_t data[];
};

struct store_head { /* a record that is there */
    char name[RILL_STORE_NAME_MAX + 1];
    uint64_t version;
    uint32_t parts;
};

struct store_node; /* one that was read */

/* All zero: nothing is there. */
struct store_nodes {
    struct store_job *first, *last;
    bool busy; /* the first is under way: it stays */
    struct store_head heads[STORE_NAMES_MAX];
    struct store_node *read;
    uint32_t read_count, read_room;
};

void store_nodes_fini(struct store_nodes *n);

/* --- writing: the first job is the next to do ---
 * Without memory the process aborts: what was said to be kept has to be, and the next leader goes
 * on with what is. */

/* Jobs of an older version that have not begun are dropped. data NULL: the record is deleted. */
void store_nodes_save(struct store_nodes *n, uint64_t version, const char *name, const void *data,
                      size_t bytes);
/* That node alone, which is of no record; jobs of the record `instead` that have not begun are
 * dropped. */
void store_nodes_save_last(struct store_nodes *n, const char *key, const char *instead);
/* Deletes all records that are there. */
void store_nodes_remove_all(struct store_nodes *n);
/* The first job is done. The version to tell, 0: none. */
uint64_t store_nodes_done(struct store_nodes *n);
void store_nodes_drop_jobs(struct store_nodes *n);

/* --- reading --- */

void store_nodes_add_read(struct store_nodes *n, const char *key, const void *data, uint32_t bytes);
bool store_nodes_has_read(const struct store_nodes *n, const char *key);
/* The records that are whole in what was read, at most STORE_NAMES_MAX; they are the ones that are
 * there from now on. Each one's data is the caller's to free, its name is valid until
 * store_nodes_drop_read(). */
uint32_t store_nodes_records(struct store_nodes *n, struct rill_director_record *records);
void store_nodes_drop_read(struct store_nodes *n);

#endif
