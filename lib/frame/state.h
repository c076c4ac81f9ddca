/* A flow's state as a role keeps it: a block of fixed size that begins with struct rill_state_head.
 * What an NF rarely needs stands at its end. So a role knows how far the block is used: all bytes
 * behind are zero, are not sent, and their memory is not touched.
 */
#ifndef RILL_LIB_FRAME_STATE_H
#define RILL_LIB_FRAME_STATE_H

#include <string.h>

#include "lib/frame/body.h"

enum { RILL_STATE_WORD = 8, RILL_STATE_LINE = 64 };

enum { RILL_STATE_FETCHED_BYTES = 192 }; /* most states are smaller */

/* Where the state stands behind the first head_bytes of an entry: what of it is the NF's begins a
 * cache line, as it alone is read and written all the time. */
static inline size_t rill_state_at(size_t head_bytes, uint32_t state_bytes)
{
    size_t own = (head_bytes + RILL_STATE_WORD - 1) / RILL_STATE_WORD * RILL_STATE_WORD +
                 sizeof(struct rill_state_head);

    if (state_bytes > sizeof(struct rill_state_head))
        own = (own + RILL_STATE_LINE - 1) / RILL_STATE_LINE * RILL_STATE_LINE;
    return own - sizeof(struct rill_state_head);
}

static inline void rill_state_fetch(const uint8_t *state, uint32_t state_bytes)
{
    uint32_t end = state_bytes < RILL_STATE_FETCHED_BYTES ? state_bytes : RILL_STATE_FETCHED_BYTES;

    for (uint32_t at = sizeof(struct rill_state_head); at < end; at += RILL_STATE_LINE)
        __builtin_prefetch(state + at);
}

/* Can a state of this deployment travel as so many bytes? */
static inline bool rill_state_fits(uint32_t bytes, uint32_t state_bytes)
{
    return bytes >= sizeof(struct rill_state_head) && bytes <= state_bytes &&
           bytes % RILL_STATE_WORD == 0;
}

/* Bytes before `end` have been written. */
static inline void rill_state_wrote(uint32_t *used, uint32_t end)
{
    if (end > *used)
        *used = (end + RILL_STATE_WORD - 1) / RILL_STATE_WORD * RILL_STATE_WORD;
}

/* How many bytes have to travel; *used is that afterwards. */
static inline uint32_t rill_state_trim(const uint8_t *state, uint32_t *used)
{
    static const uint8_t zeros[RILL_STATE_WORD];
    uint32_t n = *used;

    while (n > sizeof(struct rill_state_head) &&
           memcmp(state + n - RILL_STATE_WORD, zeros, RILL_STATE_WORD) == 0)
        n -= RILL_STATE_WORD;
    *used = n > sizeof(struct rill_state_head) ? n : (uint32_t)sizeof(struct rill_state_head);
    return *used;
}

/* What a packet changes is a word or two, mostly. */
static inline void rill_state_copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    if (bytes < RILL_STATE_WORD || bytes > 2 * RILL_STATE_WORD) {
        memcpy(to, from, bytes);
        return;
    }
    memcpy(to, from, RILL_STATE_WORD);
    memcpy(to + bytes - RILL_STATE_WORD, from + bytes - RILL_STATE_WORD, RILL_STATE_WORD);
}

/* The first `bytes` are new, and all there is. */
static inline void rill_state_replaced(uint8_t *state, uint32_t *used, uint32_t bytes)
{
    if (bytes < *used)
        memset(state + bytes, 0, *used - bytes);
    *used = bytes;
}

/* Takes `bytes` from `offset` of m's data as the state. 0, or -EINVAL and nothing changed. */
static inline int rill_state_read(const struct rte_mbuf *m, uint32_t offset, uint32_t bytes,
                                  uint8_t *state, uint32_t *used)
{
    int rc = rill_body_read(m, offset, state, bytes);

    if (rc == 0)
        rill_state_replaced(state, used, bytes);
    return rc;
}

#endif
