#include "lib/base/mutant.h"
#include "lib/frame/body.h"
#include "rm/rm_internal.h"

/* No more than the unit is sure to know of. */
static uint32_t grantable(const struct share *share)
{
    return RILL_MUTANT(share_unacked) ? share->target : RTE_MIN(share->target, share->held_min);
}

static uint32_t list_leases(struct rill_rm *rm, uint32_t controller)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rm->unit_count && n < RILL_RM_LEASES_MAX; i++) {
        const struct unit *unit = &rm->units[i];
        const struct share *share = rm_find_share(unit, controller);

        if (share == NULL || grantable(share) == 0)
            continue;
        rm->leases[n++] = (struct rill_lease){.unit = unit->id,
                                              .output_logger = unit->output_logger,
                                              .share = grantable(share),
                                              .capacity_bps = unit->capacity_bps};
    }
    return n;
}

static struct rte_mbuf *new_grant(struct rill_rm *rm, const struct controller *c, uint32_t leases)
{
    struct rte_mbuf *m =
        rill_frame_new(rm->config.pool, RILL_FRAME_LEASE_GRANT, rm->config.id, c->id);

    if (m == NULL)
        return NULL;
    rill_frame(m)->clock = c->number;
    rill_frame(m)->count = leases;
    if (rill_body_append(m, rm->config.pool, rm->leases,
                         leases * (uint32_t)sizeof(rm->leases[0])) != 0) {
        rte_pktmbuf_free(m);
        return NULL;
    }
    return m;
}

/* The controller may act on the grant from now on. */
static uint64_t note_granted(struct rill_rm *rm, uint32_t controller)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = rm_find_share(&rm->units[i], controller);

        if (share == NULL)
            continue;
        sum += grantable(share);
        if (rm->controllers[controller].inherited) /* it may have heard of more before */
            share->granted = RTE_MAX(share->granted, grantable(share));
        else
            share->granted = grantable(share);
    }
    return sum;
}

void rm_send_grant(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                   struct rill_outbox *outbox)
{
    struct controller *c = &rm->controllers[controller];
    struct rte_mbuf *m = new_grant(rm, c, list_leases(rm, controller));

    if (m == NULL) {
        rm->counters.alloc_failures++;
        c->retry_ns = now_ns + rm->config.resend_ns;
        return;
    }
    rm->counters.grants++;
    rm->counters.grants_short += note_granted(rm, controller) < c->wanted;
    if (!c->granted)
        c->expire_ns =
            now_ns + rm->config.lease_ns + (RILL_MUTANT(lease_margin) ? 0 : rm->config.margin_ns);
    c->granted = true;
    c->waits = false;
    rill_outbox_put(outbox, m);
}

static bool units_missing(const struct rill_rm *rm, uint32_t controller)
{
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        const struct share *share = rm_find_share(&rm->units[i], controller);

        if (share != NULL && grantable(share) < share->target)
            return true;
    }
    return false;
}

void rm_grant_if_ready(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                       struct rill_outbox *outbox)
{
    const struct controller *c = &rm->controllers[controller];

    if (!c->waits || now_ns < c->retry_ns)
        return;
    if (now_ns < c->asked_ns + rm->config.epoch_ns && units_missing(rm, controller))
        return;
    rm_send_grant(rm, controller, now_ns, outbox);
}

void rm_expire(struct rill_rm *rm, uint32_t controller, uint64_t now_ns, struct rill_outbox *outbox)
{
    struct controller *c = &rm->controllers[controller];

    rm->counters.leases_expired++;
    c->expire_ns = UINT64_MAX;
    c->granted = false;
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = rm_find_share(&rm->units[i], controller);

        if (share == NULL)
            continue;
        share->target = share->granted = 0;
        rm_tell_unit(rm, &rm->units[i], share, now_ns, outbox);
        rm_drop_if_over(&rm->units[i], share);
    }
}

/* Since a controller that waits is answered within an epoch, and keeps what it has until then. */
bool rm_expires(const struct controller *c)
{
    return !c->waits && c->expire_ns != UINT64_MAX;
}

uint64_t rm_next_of_controller(const struct rill_rm *rm, const struct controller *c)
{
    uint64_t due_ns;

    if (!c->waits)
        return rm_expires(c) ? c->expire_ns : UINT64_MAX;
    due_ns = c->asked_ns + rm->config.epoch_ns;
    if (c->retry_ns != 0) /* it was ready, but for memory */
        due_ns = c->retry_ns;
    return due_ns;
}
