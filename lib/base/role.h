/* Who is who: every role has an id that is unique for the life of the cluster.
 *
 * An id is never used again: a unit that dies and is started anew gets another id, so an id is also
 * an incarnation, and a frame that names its destination can not be taken by a successor
 * (design rule "inc"). The kind of role sits in the top byte, so a trace is readable and a frame
 * for the wrong kind of role is noticed.
 */
#ifndef RILL_LIB_BASE_ROLE_H
#define RILL_LIB_BASE_ROLE_H

#include <stdint.h>

enum rill_role_kind {
    RILL_ROLE_NONE = 0,
    RILL_ROLE_RM = 1,
    RILL_ROLE_CONTROLLER = 2,
    RILL_ROLE_UNIT = 3,
    RILL_ROLE_OUTPUT_LOGGER = 4,
    RILL_ROLE_AGENT = 5,
    RILL_ROLE_PORT = 6,   /* not a role: where released packets leave; number = enum rill_side */
    RILL_ROLE_CLIENT = 7, /* a person's program: the command line, a replayer */
    RILL_ROLE_STORE = 8,  /* not a role either: where flows' state is kept outside (lib/store) */
};

/* Which side of the NF a packet is on. A packet from the inside leaves to the outside. */
enum rill_side { RILL_INSIDE = 0, RILL_OUTSIDE = 1 };

#define RILL_ROLE_NUMBER_MAX 0xffffffu

static inline uint32_t rill_role_id(enum rill_role_kind kind, uint32_t number)
{
    return ((uint32_t)kind << 24) | (number & RILL_ROLE_NUMBER_MAX);
}

static inline enum rill_role_kind rill_role_kind(uint32_t id)
{
    return (enum rill_role_kind)(id >> 24);
}

static inline uint32_t rill_role_number(uint32_t id)
{
    return id & RILL_ROLE_NUMBER_MAX;
}

#endif
