/* What one thread needs to inspect with a set of rules. */
#ifndef RILL_NFS_IDS_WORKER_H
#define RILL_NFS_IDS_WORKER_H

#include "nfs/ids/inspect.h"

enum { IDS_CHUNK_MAX = 65536 }; /* bytes that are searched at once */

/* What is known of a rule in the search at hand. */
struct ids_tried {
    uint32_t search; /* that it is of */
    uint32_t hits;
    enum ids_holds at_most; /* what it comes to in all of the bytes, and so in any window of them */
};

struct ids_worker {
    const struct ids_set *set;
    struct ids_scanner *scanner;
    struct ids_match_scratch scratch;
    uint8_t *line;    /* the window's bytes, and those of the packet behind them */
    uint8_t *saved;   /* a search's state that is more than 4 bytes, while it is at work */
    uint32_t *header; /* by header: the turn for which it was worked out, times 2, and whether it
                       * matches */
    struct ids_tried *tried; /* by rule */
    uint32_t saved_bytes, turn, search;
};

#endif
