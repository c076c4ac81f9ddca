/* Another output logger: the one before died. It is filled with all that we have, flows that were
 * passed on and are not established elsewhere included ("refill"); each flow is released again as
 * soon as it is there. Gone through in slices, again and again until a whole pass finds nothing
 * that the new one has not acknowledged. */
#include "nf-runtime/unit_internal.h"

enum { SLICE_BUCKETS = 256, SLICE_PAUSE_NS = 1000 };

static void say_filled(struct rill_unit *u)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_NEW_LOGGER_ACK, u->refill.rm, 0);

    if (m == NULL)
        return; /* the resource manager asks again */
    rill_frame(m)->clock = u->refill.number;
    rill_frame(m)->count = u->refill.active ? 0 : 1;
    unit_send(u, m);
}

/* Assignments are numbered: a late one does not undo a newer one. */
void logger_on_new(struct rill_unit *u, const struct rill_frame *f)
{
    if (rill_role_kind(f->next_unit) != RILL_ROLE_OUTPUT_LOGGER) {
        u->n.messages_malformed++;
        return;
    }
    if (f->clock > u->refill.number) {
        u->config.output_logger = f->next_unit;
        u->refill = (struct refill){.active = true, .number = f->clock, .rm = f->src};
        u->n.loggers_replaced++;
    }
    if (f->clock == u->refill.number)
        say_filled(u);
}

static void slice(struct rill_unit *u)
{
    uint32_t end = u->refill.bucket + SLICE_BUCKETS;

    for (; u->refill.bucket < end && u->refill.bucket <= u->flows.mask; u->refill.bucket++)
        for (struct rill_map_node *node = u->flows.buckets[u->refill.bucket]; node != NULL;
             node = node->next) {
            struct flow *flow = (struct flow *)node;

            if (!flow->has_state || flow->logged_at == u->config.output_logger ||
                (!flow->owning && RILL_MUTANT(refill)))
                continue;
            u->refill.missing = !RILL_MUTANT(refill_early);
            commit_send_full(u, flow, u->config.output_logger);
        }
}

void logger_tick(struct rill_unit *u)
{
    if (!u->refill.active || u->now_ns < u->refill.next_ns)
        return;
    slice(u);
    if (u->refill.bucket <= u->flows.mask) {
        u->refill.next_ns = u->now_ns + SLICE_PAUSE_NS;
        return;
    }
    u->refill.active = u->refill.missing;
    u->refill.bucket = 0;
    u->refill.missing = false;
    u->refill.next_ns = u->now_ns + unit_resend_ns(u, u->config.retry_ns, &u->refill.passes);
    if (!u->refill.active)
        say_filled(u);
}

uint64_t logger_next_ns(const struct rill_unit *u)
{
    return u->refill.active ? u->refill.next_ns : UINT64_MAX;
}
