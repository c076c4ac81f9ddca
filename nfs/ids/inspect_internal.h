/* Between inspect.c (packets and connections) and search.c (bytes and rules). */
#ifndef RILL_NFS_IDS_INSPECT_INTERNAL_H
#define RILL_NFS_IDS_INSPECT_INTERNAL_H

#include "nfs/ids/inspect.h"

static inline struct ids_hot *ids_hot(struct ids_inspection *in)
{
    return (struct ids_hot *)(void *)(in->value + in->layout->hot);
}

static inline struct ids_warm *ids_warm(struct ids_inspection *in)
{
    return (struct ids_warm *)(void *)(in->value + in->layout->warm[in->direction]);
}

static inline void ids_changed(struct ids_inspection *in, uint32_t offset, uint32_t bytes)
{
    if (bytes == 0)
        return;
    in->low = offset < in->low ? offset : in->low;
    in->high = offset + bytes > in->high ? offset + bytes : in->high;
}

/* All of a direction's numbers, or the rest of the hot part. */
void ids_changed_direction(struct ids_inspection *in);
void ids_changed_rest(struct ids_inspection *in);

/* The next bytes of in->direction's stream. */
void ids_search_stream(struct ids_inspection *in, const uint8_t *data, uint32_t bytes);
/* The search begins anew. */
void ids_search_restart(struct ids_inspection *in);
/* Before the bytes of a packet or direction: what headers say is worked out anew. */
void ids_search_turn(struct ids_inspection *in);

/* Judges rules of single packets: those with a fast content, those without one. */
void ids_search_packet(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                       uint32_t whole, bool searched, bool bare);

#endif
