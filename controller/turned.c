/* Packets that an output logger sent back (RILL_FRAME_TURNED): each comes in once, as if from
 * outside, however often its frame comes. */
#include "controller/internal.h"

static struct turned_from *find(struct turned *t, uint32_t logger)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->from[i].logger == logger)
            return &t->from[i];
    return NULL;
}

/* What was heard of one. If there are too many, the one that was silent for longest gives way: it
 * is dead, or so old that no frame of its lives any more. */
static struct turned_from *heard_of(struct turned *t, uint32_t logger)
{
    struct turned_from *from = find(t, logger);

    if (from != NULL)
        return from;
    if (t->count < TURNED_LOGGERS_MAX) {
        from = &t->from[t->count++];
    } else {
        from = &t->from[0];
        for (uint32_t i = 1; i < t->count; i++)
            if (t->from[i].heard_ns < from->heard_ns)
                from = &t->from[i];
    }
    *from = (struct turned_from){.logger = logger};
    return from;
}

/* True if the packet of that number has not come before; then marks it. */
static bool admit(struct turned_from *from, uint64_t number)
{
    uint64_t behind;

    if (number > from->top) {
        uint64_t ahead = number - from->top;

        from->window = ahead < 64 ? from->window << ahead | 1 : 1;
        from->top = number;
        return true;
    }
    behind = from->top - number;
    if (behind >= 64 || (from->window >> behind & 1))
        return false;
    from->window |= UINT64_C(1) << behind;
    return true;
}

bool turned_take(struct rill_controller *c, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m), was = *f;
    struct turned_from *from = heard_of(&c->turned, f->src);

    c->n.packets_turned++;
    from->heard_ns = c->now_ns;
    if (!admit(from, f->clock)) {
        c->n.packets_in++;
        c->n.bytes_in += f->wire_bytes;
        c->n.dropped_turned_again++;
        rte_pktmbuf_free(m);
        return false;
    }
    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = was.side;
    f->wire_bytes = was.wire_bytes;
    f->ingress_ns = was.ingress_ns;
    f->ingress_id = was.ingress_id;
    return true;
}
