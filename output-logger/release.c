/* Who may leave: each step once (rule "relset"), and nothing of a flow before the controller has
 * confirmed the flow's alias (rule "aliasall"). */
#include "output-logger/internal.h"

/* True if the step was not released before; then marks it. One that is older than the window may
 * have been. */
static bool admit(struct entry *e, uint64_t step)
{
    uint64_t behind;

    if (step > e->released_top) {
        uint64_t ahead = step - e->released_top;

        e->released_window = ahead < 64 ? (e->released_window << ahead) | 1 : 1;
        e->released_top = step;
        return true;
    }
    behind = e->released_top - step;
    if (behind >= 64 || (e->released_window >> behind & 1))
        return RILL_MUTANT(relset);
    e->released_window |= UINT64_C(1) << behind;
    return true;
}

void release_ask_alias(struct rill_ol *ol, struct entry *e)
{
    struct rte_mbuf *m =
        ol_message(ol, RILL_FRAME_ALIAS, ol_controller(ol, e->node.flow), e->node.flow);

    ol_want_retry(ol, e);
    if (m == NULL)
        return;
    rill_frame(m)->term = e->term;
    rill_frame(m)->next_unit = e->node.unit;
    if (rill_body_append(m, ol->config.pool, &e->alias, sizeof(e->alias)) != 0) {
        ol->n.messages_no_mbuf++;
        rte_pktmbuf_free(m);
        return;
    }
    ol->n.aliases_asked++;
    rill_outbox_put(ol->out, m);
}

static void confirm(struct rill_ol *ol, struct entry *e)
{
    e->alias_state = ALIAS_CONFIRMED;
    while (e->waiting != NULL) {
        struct rte_mbuf *m = e->waiting;

        e->waiting = rill_frame(m)->link;
        ol->held--;
        release_leave(ol, m);
    }
    e->waiting_tail = &e->waiting;
}

/* A change of a flow whose alias the newest controller knew when it sent the packet: no need to
 * ask. False if it does not say so. */
bool release_alias_known(struct rill_ol *ol, struct entry *e, const struct rill_frame *f)
{
    if (!(f->flags & RILL_FLAG_ALIAS_KNOWN) ||
        f->epoch != rill_controllers_epoch(&ol->controllers, f->flow))
        return false;
    if (f->state_offset < sizeof(e->alias))
        e->alias = *(const struct rill_alias *)e->state;
    if (e->alias_state != ALIAS_CONFIRMED)
        confirm(ol, e);
    return true;
}

/* A step whose change is kept: its packet leaves, or waits for the flow's alias. */
void release_step(struct rill_ol *ol, struct entry *e, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);

    if (!admit(e, f->step)) {
        ol_drop(m, &ol->n.dropped_already_released);
        return;
    }
    if (!rill_frame_has_packet(m)) {
        ol->n.packets_ended_by_nf++;
        ol->n.bytes_ended_by_nf += f->wire_bytes;
        rte_pktmbuf_free(m);
        return;
    }
    if (e->alias_state == ALIAS_NONE || e->alias_state == ALIAS_CONFIRMED ||
        (RILL_MUTANT(aliasall) && e->waiting != NULL)) {
        release_leave(ol, m);
        return;
    }
    if (ol->held >= ol->config.held_packets) {
        ol_drop(m, &ol->n.dropped_held_full);
        return;
    }
    f->link = NULL;
    ol->n.bytes_released += RILL_MUTANT(unseen) ? f->wire_bytes : 0;
    *e->waiting_tail = m;
    ol->held++;
    ol->n.packets_held_for_alias++;
    e->waiting_tail = &f->link;
    if (e->alias_state == ALIAS_REFUSED) { /* the other flow may have ended since */
        e->alias_state = ALIAS_OPEN;
        ol_ask_soon(ol, e);
        release_ask_alias(ol, e);
    }
}

void release_pass(struct rill_ol *ol, struct rte_mbuf *m)
{
    ol->n.packets_in++;
    ol->n.packets_passed++;
    ol->n.bytes_passed += rill_frame(m)->wire_bytes;
    release_leave(ol, m);
}

void release_drop_waiting(struct rill_ol *ol, struct entry *e, uint64_t *packet_counter)
{
    while (e->waiting != NULL) {
        struct rte_mbuf *m = e->waiting;

        e->waiting = rill_frame(m)->link;
        ol->held--;
        ol_drop(m, packet_counter);
    }
    e->waiting_tail = &e->waiting;
}

/* The controller knows the alias now, or says that another flow has it. Only the newest
 * controller's word counts ("aliasepoch"), and only for the alias that the flow has now. */
void release_on_alias_ack(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct entry *e = ol_find(ol, f->next_unit, f->flow);
    struct rill_alias alias;
    bool was_open;

    if (rill_body_read(m, 0, &alias, sizeof(alias)) != 0) {
        ol->n.messages_malformed++;
        return;
    }
    if (e == NULL || memcmp(&alias, &e->alias, sizeof(alias)) != 0)
        return;
    was_open = e->alias_state == ALIAS_OPEN;
    if (f->flags & RILL_FLAG_REFUSED) {
        if (was_open)
            e->alias_state = ALIAS_REFUSED;
        release_drop_waiting(ol, e, &ol->n.dropped_alias_conflict);
    } else {
        confirm(ol, e);
    }
    if (was_open)
        apply_say_kept(ol, e);
}
