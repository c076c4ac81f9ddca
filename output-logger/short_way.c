/* What most changes are goes one short way from the burst to its release; ol_receive() has all that
 * there is, these too, and comes to the same. */
#include "output-logger/internal.h"

enum { AHEAD = 12 }; /* an entry is fetched so many frames before it is needed */

/* Nothing about the frame is out of the ordinary: a unit's change with a packet, by the newest
 * controller's epoch, that leaves the alias as it is. */
static inline bool frame_is_plain(const struct rill_ol *ol, const struct rill_frame *f)
{
    const uint8_t looked_at =
        RILL_FLAG_PACKET | RILL_FLAG_FULL | RILL_FLAG_ELSEWHERE | RILL_FLAG_TURN;
    uint32_t end = (uint32_t)f->state_offset + f->state_bytes;

    return f->type == RILL_FRAME_CHANGE && (f->flags & looked_at) == RILL_FLAG_PACKET &&
           f->dst == ol->short_way_id && rill_role_kind(f->src) == RILL_ROLE_UNIT &&
           f->epoch == rill_controllers_epoch(&ol->controllers, f->flow) &&
           end <= ol->config.state_bytes &&
           (f->state_bytes == 0 || f->state_offset >= sizeof(struct rill_alias)) &&
           ol->fenced_count == 0;
}

/* Just the step that comes next in the term at hand; nothing is kept back, and all before it was
 * released. */
static inline bool is_next(const struct entry *e, const struct rill_frame *f)
{
    bool alias_known = (f->flags & RILL_FLAG_ALIAS_KNOWN) != 0;

    return e != NULL && e->has_state && e->tag_term == f->term && e->term == f->term &&
           e->step == f->step - 1 && e->released_top == e->step && e->held == NULL &&
           (e->alias_state == ALIAS_CONFIRMED || (e->alias_state == ALIAS_NONE && !alias_known));
}

/* What most changes are: applied and released in one go; the long way (apply_on_change()) comes to
 * the same. False: it is another, and nothing was done. */
static inline bool go_short_way(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct entry *e;

    if (!frame_is_plain(ol, f) || RILL_MUTANT(release_first))
        return false;
    e = ol_find(ol, f->src, f->flow);
    if (!is_next(e, f))
        return false;
    rill_state_copy(e->state + f->state_offset, f->state, f->state_bytes);
    rill_state_wrote(&e->state_used, (uint32_t)f->state_offset + f->state_bytes);
    e->step = f->step;
    e->clock = f->clock;
    e->window = f->window;
    if (e->want_step <= e->step)
        e->want_step = 0;
    e->last_ns = ol->now_ns;
    e->active_ns = ol->now_ns;
    e->released_top = f->step;
    e->released_window = e->released_window << 1 | 1;
    ol->n.changes_in++;
    ol->n.packets_in++;
    ol->n.changes_applied++;
    release_leave(ol, m);
    return true;
}

/* Where the change's entry is found. */
static inline void fetch_place(const struct rill_ol *ol, struct rte_mbuf *frame)
{
    const struct rill_frame *f = rill_frame(frame);

    rill_flow_map_prefetch(&ol->entries, f->flow, f->src);
}

/* The entry, and the part of the state that is the NF's. */
static inline void fetch_entry(const struct rill_ol *ol, struct rte_mbuf *frame)
{
    const struct rill_frame *f = rill_frame(frame);
    const uint8_t *at = (const uint8_t *)rill_flow_map_first(&ol->entries, f->flow, f->src);

    if (at == NULL)
        return;
    rte_prefetch0(at);
    rte_prefetch0(at + RTE_CACHE_LINE_SIZE);
    rill_state_fetch(at + ol->state_at, ol->config.state_bytes);
}

/* Each frame's entry is fetched while those before it are at work. */
void ol_receive_burst(struct rill_ol *ol, struct rte_mbuf **frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fetch_place(ol, frames[i]);
    for (uint32_t i = 0; i < RTE_MIN(n, (uint32_t)AHEAD); i++)
        fetch_entry(ol, frames[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            fetch_entry(ol, frames[i + AHEAD]);
        if (!go_short_way(ol, frames[i]))
            ol_receive(ol, frames[i]);
    }
}
