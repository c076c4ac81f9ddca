/* A unit is dead. Nothing more of its is taken from the moment on in which that is known here: a
 * sleeper that wakes up can release nothing ("olfence"). Then, and only then, its state is given to
 * whoever goes on with its flows. */
#include "output-logger/internal.h"

static bool is_fenced(const struct rill_ol *ol, uint32_t unit)
{
    for (uint32_t i = 0; i < ol->fenced_count; i++)
        if (ol->fenced[i] == unit)
            return true;
    return false;
}

bool recovery_refuses(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    if (!is_fenced(ol, f->src))
        return false;
    switch (f->type) {
    case RILL_FRAME_CHANGE:
        ol->n.packets_in += rill_frame_has_packet(m);
        ol_drop(m, &ol->n.dropped_fenced);
        return true;
    case RILL_FRAME_FULL:
    case RILL_FRAME_NO_FULL:
    case RILL_FRAME_SYNC:
        ol->n.messages_fenced++;
        rte_pktmbuf_free(m);
        return true;
    default:
        return false;
    }
}

/* What waits for a step that the dead unit alone could repeat can never be applied. What waits for
 * its alias was applied, and still leaves. */
static void drop_held_of(struct rill_ol *ol, uint32_t unit)
{
    for (uint32_t i = 0; i <= ol->entries.mask; i++) {
        for (struct rill_map_node *node = ol->entries.buckets[i]; node; node = node->next) {
            struct entry *e = (struct entry *)node;

            if (node->unit != unit)
                continue;
            e->want_step = 0;
            apply_drop_held(ol, e, &ol->n.dropped_fenced);
        }
    }
}

bool recovery_fence(struct rill_ol *ol, uint32_t unit)
{
    if (is_fenced(ol, unit))
        return true;
    if (ol->fenced_count == FENCED_MAX)
        return false;
    ol->fenced[ol->fenced_count++] = unit;
    ol->n.fences++;
    drop_held_of(ol, unit);
    return true;
}

void recovery_on_fence(struct rill_ol *ol, const struct rill_frame *f)
{
    struct rte_mbuf *m;

    if (!recovery_fence(ol, f->next_unit))
        return;
    m = ol_message(ol, RILL_FRAME_FENCE_ACK, f->src, 0);
    if (m == NULL)
        return;
    rill_frame(m)->next_unit = f->next_unit;
    rill_outbox_put(ol->out, m);
}

/* The answer names what was asked, so that a late one is not taken for another. */
static struct rte_mbuf *answer_to(struct rill_ol *ol, const struct rill_frame *f)
{
    struct rte_mbuf *m = ol_message(ol, RILL_FRAME_LOGGER_STATE, f->src, f->flow);

    if (m == NULL)
        return NULL;
    rill_frame(m)->granted_term = f->granted_term;
    rill_frame(m)->next_term = f->next_term;
    rill_frame(m)->next_unit = f->next_unit;
    return m;
}

static bool append_state(struct rill_ol *ol, struct entry *e, const struct rill_frame *f,
                         struct rte_mbuf *m)
{
    struct rill_frame *to = rill_frame(m);

    to->term = e->tag_term;
    to->step = e->step;
    to->clock = e->clock;
    to->window = e->window;
    to->count = (uint32_t)RTE_MIN((ol->now_ns - e->active_ns) / 1000, (uint64_t)UINT32_MAX);
    if (f->step == e->step && f->term == e->tag_term && e->step != 0) {
        ol->n.recoveries_by_tag++;
        return true;
    }
    to->flags |= RILL_FLAG_STATE;
    ol->n.recoveries_answered++;
    return rill_body_append(m, ol->config.pool, e->state,
                            rill_state_trim(e->state, &e->state_used)) == 0;
}

/* What did the dead unit hold in that term? Answered for no other ("walk"). One who asks for a term
 * that is not above the one kept here is late ("olterm"). */
void recovery_on_pull(struct rill_ol *ol, const struct rill_frame *f)
{
    struct entry *e = ol_find(ol, f->next_unit, f->flow);
    struct rte_mbuf *m;

    if (!RILL_MUTANT(olfence) && !recovery_fence(ol, f->next_unit))
        return;
    if (e != NULL) {
        e->last_ns = ol->now_ns;
        if (e->term >= f->next_term)
            return;
    }
    m = answer_to(ol, f);
    if (m == NULL)
        return;
    if (e != NULL && e->has_state && (e->term >= f->granted_term || RILL_MUTANT(walk))) {
        if (!append_state(ol, e, f, m)) {
            ol->n.messages_no_mbuf++;
            rte_pktmbuf_free(m);
            return;
        }
    } else {
        rill_frame(m)->flags |= RILL_FLAG_REFUSED;
        ol->n.recoveries_nothing++;
    }
    rill_outbox_put(ol->out, m);
}
