/* Does a rule hold in a run of bytes? Contents and regular expressions, exactly and in bounded
 * time: for each content, all places where it can be are found from those where the one before it
 * can be, so there is no backtracking. */
#ifndef RILL_NFS_IDS_MATCH_H
#define RILL_NFS_IDS_MATCH_H

#include "nfs/ids/rules.h"

enum { IDS_FAR_IN = UINT32_MAX }; /* a position in a stream beyond counting, or unknown */

struct ids_window {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t start; /* where in the stream data[0] is */
    bool whole;     /* a datagram: nothing comes after it */
};

/* One thread's memory for it. */
struct ids_match_scratch {
    uint32_t *ends[2]; /* window's bytes + 1 */
    struct ids_regex_scratch *regex;
    uint32_t lost; /* ends from which an expression was not looked for any more: see match.c */
};

enum ids_holds {
    IDS_NEVER, /* nor with any bytes that may come behind the window's */
    IDS_NOT_YET,
    IDS_HOLDS,
};

enum ids_holds ids_rule_holds(const struct ids_rule *rule, const struct ids_window *window,
                              struct ids_match_scratch *scratch);

/* Is a content that begins at `position` where its offset and depth want it? */
bool ids_content_is_placed(const struct ids_content *content, uint32_t position);

#endif
