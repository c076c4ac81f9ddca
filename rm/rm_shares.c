#include "lib/base/mutant.h"
#include "rm/rm_internal.h"

struct share *rm_find_share(const struct unit *unit, uint32_t controller)
{
    for (uint32_t i = 0; i < unit->share_count; i++) {
        if (unit->shares[i].controller == controller)
            return &unit->shares[i];
    }
    return NULL;
}

struct share *rm_add_share(struct unit *unit, uint32_t controller)
{
    uint32_t room = unit->share_room ? unit->share_room * 2 : 4;

    if (unit->share_count == unit->share_room) {
        if (rm_grow((void **)&unit->shares, room, sizeof(unit->shares[0])) != 0)
            return NULL;
        unit->share_room = room;
    }
    unit->shares[unit->share_count] = (struct share){.controller = controller, .acked = true};
    return &unit->shares[unit->share_count++];
}

uint32_t rm_committed(const struct share *share)
{
    return RTE_MAX(share->target, share->held_max);
}

void rm_send_share(struct rill_rm *rm, const struct unit *unit, struct share *share,
                   uint64_t now_ns, struct rill_outbox *outbox)
{
    struct rte_mbuf *m = rill_frame_new(rm->config.pool, RILL_FRAME_SHARE, rm->config.id, unit->id);

    share->resend_at_ns = rm_resend_at_ns(rm, &share->tries, now_ns);
    if (m == NULL) {
        rm->counters.alloc_failures++;
        return;
    }
    rill_frame(m)->epoch = rm->controllers[share->controller].epoch;
    rill_frame(m)->next_unit = rm->controllers[share->controller].id;
    rill_frame(m)->count = share->sent;
    rill_frame(m)->clock = share->number;
    rill_outbox_put(outbox, m);
}

/* The controller has asked anew, so it has heard the newest grant, or all that it had is void. The
 * unit is to grant what that said, and what the controller is meant to have next, if that is more.
 */
void rm_tell_unit(struct rill_rm *rm, const struct unit *unit, struct share *share, uint64_t now_ns,
                  struct rill_outbox *outbox)
{
    uint32_t goal =
        RILL_MUTANT(shrink_first) ? share->target : RTE_MAX(share->target, share->granted);

    if (goal == share->sent)
        return;
    share->sent = goal;
    share->held_min = RTE_MIN(share->held_min, goal);
    share->held_max = RTE_MAX(share->held_max, goal);
    share->acked = false;
    share->number = ++rm->share_number;
    share->tries = 0;
    rm->counters.shares++;
    rm_send_share(rm, unit, share, now_ns, outbox);
}

void rm_tell_units(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                   struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = rm_find_share(&rm->units[i], controller);

        if (share != NULL)
            rm_tell_unit(rm, &rm->units[i], share, now_ns, outbox);
    }
}

void rm_drop_if_over(struct unit *unit, struct share *share)
{
    if (share->acked && rm_committed(share) == 0)
        *share = unit->shares[--unit->share_count];
}

void rm_take_ack(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                 struct rill_outbox *outbox)
{
    struct unit *unit = rm_find_unit(rm, f->src);
    struct share *share = NULL;
    uint32_t controller;

    if (unit == NULL) {
        rm->counters.unknown_unit++;
        return;
    }
    for (uint32_t i = 0; i < unit->share_count && share == NULL; i++) {
        if (rm->controllers[unit->shares[i].controller].id == f->next_unit)
            share = &unit->shares[i];
    }
    if (share == NULL || share->acked || share->number != f->clock || share->sent != f->count) {
        rm->counters.acks_stale++;
        return;
    }
    rm->counters.acks++;
    share->acked = true;
    share->held_min = share->held_max = share->sent;
    controller = share->controller;
    rm_drop_if_over(unit, share);
    rm_grant_if_ready(rm, controller, now_ns, outbox);
}

void rm_resend_shares(struct rill_rm *rm, uint64_t now_ns, struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        for (uint32_t j = 0; j < rm->units[i].share_count; j++) {
            struct share *share = &rm->units[i].shares[j];

            if (share->acked || now_ns < share->resend_at_ns)
                continue;
            rm->counters.shares_resent++;
            if (RILL_MUTANT(share_once))
                share->resend_at_ns = UINT64_MAX;
            else
                rm_send_share(rm, &rm->units[i], share, now_ns, outbox);
        }
    }
}
