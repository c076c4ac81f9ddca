/* What each frame type uses, for the parts of the codec. The table is in docs/wire-format.md.
 *
 * Where a type is known when the code is compiled, so is what it uses, and loops over options
 * become straight lines: that is why the functions that take `uses` are inlined always, and why the
 * types that each packet is have a name for theirs.
 */
#ifndef RILL_LIB_FRAME_GENEVE_TYPES_H
#define RILL_LIB_FRAME_GENEVE_TYPES_H

#include <rte_common.h>

#include "lib/frame/geneve_options.h"

/* A bit for each option, and what the data may be. */
#define RILL_USES(name) (1u << RILL_OPTION_##name)
#define RILL_USES_OPTIONS (((1u << RILL_OPTIONS) - 1) & ~1u)
#define RILL_USES_PACKET (1u << 29)       /* always with a packet */
#define RILL_USES_MAYBE_PACKET (1u << 30) /* the flag says */
#define RILL_USES_BODY (1u << 31)         /* may have a body */

#define RILL_USES_KEY (RILL_USES(FRAME) | RILL_USES(FLOW))
#define RILL_USES_TAG (RILL_USES(TERM) | RILL_USES(CLOCK) | RILL_USES(STEP))

/* On its way each packet is one of these, twice in front of the unit and twice behind. */
#define RILL_USES_INGRESS (RILL_USES(FRAME) | RILL_USES(INGRESS) | RILL_USES_PACKET)
#define RILL_USES_DATA                                                                             \
    (RILL_USES_KEY | RILL_USES(TERM) | RILL_USES(CLOCK) | RILL_USES(CHAIN) | RILL_USES(INGRESS) |  \
     RILL_USES(TARGETS) | RILL_USES(TUPLE) | RILL_USES(ENDPOINT) | RILL_USES_PACKET)
#define RILL_USES_CHANGE                                                                           \
    (RILL_USES_KEY | RILL_USES_TAG | RILL_USES(INGRESS) | RILL_USES(STATE) |                       \
     RILL_USES(STATE_MORE) | RILL_USES_MAYBE_PACKET)
#define RILL_USES_RELEASED (RILL_USES_KEY | RILL_USES(INGRESS) | RILL_USES_PACKET)

extern const uint32_t rill_geneve_uses[RILL_FRAME_TYPES]; /* 0: no type */

static inline uint32_t rill_geneve_uses_of(const struct rill_frame *f)
{
    return f->type < RILL_FRAME_TYPES ? rill_geneve_uses[f->type] : 0;
}

/* Does f have this option, which its type may have, if its flag says? */
static __rte_always_inline bool rill_geneve_has_tuple(const struct rill_frame *f, uint32_t uses)
{
    return (uses & RILL_USES(TUPLE)) && (f->flags & RILL_FLAG_TUPLE);
}

static __rte_always_inline bool rill_geneve_has_endpoint(const struct rill_frame *f, uint32_t uses)
{
    return (uses & RILL_USES(ENDPOINT)) && (f->flags & RILL_FLAG_ENDPOINT);
}

static __rte_always_inline bool rill_geneve_has_state_more(const struct rill_frame *f,
                                                           uint32_t uses)
{
    return (uses & RILL_USES(STATE_MORE)) && f->state_bytes > RILL_GENEVE_STATE_FIRST;
}

/* Of a type that may have one. */
enum rill_geneve_result rill_geneve_check_body(const struct rill_frame *f, uint32_t body_bytes);

/* What else such a frame has leaves room for so many entries. */
static __rte_always_inline uint8_t rill_geneve_chain_max(const struct rill_frame *f, uint32_t uses)
{
    if (!rill_geneve_has_tuple(f, uses))
        return RILL_CHAIN_MAX;
    return rill_geneve_has_endpoint(f, uses) ? RILL_CHAIN_MAX_WITH_BOTH : RILL_CHAIN_MAX_WITH_TUPLE;
}

/* rill_geneve_check(), of a type that uses this. */
static __rte_always_inline enum rill_geneve_result
rill_geneve_check_as(const struct rill_frame *f, uint32_t data_bytes, uint32_t uses)
{
    bool packet = (f->flags & RILL_FLAG_PACKET) != 0;

    if (f->side > RILL_OUTSIDE || (!packet && (uses & RILL_USES_PACKET)) ||
        (packet && !(uses & (RILL_USES_PACKET | RILL_USES_MAYBE_PACKET))))
        return RILL_GENEVE_VALUE;
    if (((uses & RILL_USES(CHAIN)) && f->chain_len > rill_geneve_chain_max(f, uses)) ||
        ((uses & RILL_USES(TARGETS)) && f->target_count > RILL_TARGETS_MAX) ||
        ((uses & RILL_USES(STATE)) && f->state_bytes > RILL_INLINE_STATE))
        return RILL_GENEVE_VALUE;
    if (packet)
        return data_bytes <= f->wire_bytes ? RILL_GENEVE_OK : RILL_GENEVE_VALUE;
    if (uses & RILL_USES_BODY)
        return rill_geneve_check_body(f, data_bytes);
    return data_bytes == 0 ? RILL_GENEVE_OK : RILL_GENEVE_VALUE;
}

#endif
