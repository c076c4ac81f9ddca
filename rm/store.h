/* Where a resource manager keeps what the next one has to know (rm/director.h: save, adopt), and
 * which one leads. On the loop of its owner, which is called from that loop alone.
 *
 * Two kinds. A local one is a folder: one process at a time has it, and leads. One in a registry
 * (lib/registry) is for several: one is elected, the others stand by, and what one writes whose
 * place was taken is refused. Each that leads has a number, more than any before it.
 */
#ifndef RILL_RM_STORE_H
#define RILL_RM_STORE_H

#include <uv.h>

#include "rm/director.h"

struct rill_store;

enum { RILL_STORE_NAME_MAX = 31, RILL_STORE_LINE_BYTES = 256 };

struct rill_store_events {
    /* This one leads: under that number, after others that left these records; lent. */
    void (*leads)(void *arg, uint64_t number, const struct rill_director_record *records,
                  uint32_t count);
    /* All that was handed in for that version and before is kept. */
    void (*saved)(void *arg, uint64_t version);
    /* This one led, and another one does now: nothing more can be kept, and nothing it says counts.
     */
    void (*deposed)(void *arg);
    /* The cluster went down in order: there is nothing to stand by for. */
    void (*over)(void *arg);
    void (*say)(void *arg, const char *line);
    void *arg;
};

/* Of a status. */
struct rill_store_state {
    char registry[RILL_STORE_LINE_BYTES]; /* "local", or "zookeeper 10.0.0.1:2181: connected" */
    uint64_t number;                      /* of this one while it leads; 0: it does not */
    uint32_t standbys;
};

/* A folder, made if it is not there. -EBUSY: another process has it; others with a line in *err.
 * events.leads comes from the first turn. */
int rill_store_open_local(const char *folder, const struct rill_store_events *events,
                          struct rill_store **store, struct rill_error *err);

struct rill_store_registry {
    uv_loop_t *loop;
    const char *servers; /* ZooKeeper's: "address:port,..." */
    const char *folder;  /* there: of this cluster alone */
    const char *name;    /* of this process among the resource managers */
    uint64_t session_ns; /* after so long without a word it is taken to be gone */
};
/* -ENOTSUP: built without ZooKeeper. */
int rill_store_open_registry(const struct rill_store_registry *where,
                             const struct rill_store_events *events, struct rill_store **store,
                             struct rill_error *err);

/* What was written and is not there yet may be lost. A leadership is given up. NULL is fine. */
void rill_store_close(struct rill_store *store);
/* After each time that something was asked of it; events come from it, or from the loop. */
void rill_store_turn(struct rill_store *store);

/* As the director's `save`: in order; of several of one name that wait only the last is written. */
void rill_store_save(struct rill_store *store, uint64_t version, const char *name, const void *data,
                     size_t bytes);
/* The cluster is over: no one is to lead after this one. Waits until that is written, a moment. */
void rill_store_end(struct rill_store *store);
void rill_store_state(const struct rill_store *store, struct rill_store_state *state);

#endif
