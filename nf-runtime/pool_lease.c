/* Endpoints for the NF's pools: leased in blocks from the controller, before the last one is gone.
 * Each controller has a part of every pool, as replies come back to the one whose endpoint they are
 * for; so a flow's endpoint is of its own controller's part, and each is asked for its own.
 * Requests are numbered, and only the answer to the last one is taken: a doubled grant gives
 * nothing. */
#include "nf-runtime/unit_internal.h"

enum {
    GRANT_MAX = 4096,  /* endpoints in one grant: the largest pool_block */
    DRY_SHIFT_MAX = 3, /* a pool that stays dry is asked every 8 retry times */
};

/* Less than half a block is left of that controller's. */
static bool runs_low(const struct rill_unit *u, uint32_t slot, unsigned pool)
{
    return rill_nf_pool_free_of(u->config.nf, pool, slot) < (u->config.pool_block + 1) / 2;
}

static void request(struct rill_unit *u, uint32_t slot, unsigned pool)
{
    struct pool_lease *lease = &u->pools[slot][pool];
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_POOL_REQUEST, u->controllers.slot[slot].id, 0);

    rill_timer_arm(u->questions, &lease->timer,
                   u->now_ns + unit_resend_ns(u, u->config.retry_ns, &lease->tries));
    if (!lease->outstanding) {
        lease->number++;
        lease->outstanding = true;
    }
    if (m == NULL)
        return;
    rill_frame(m)->epoch = u->controllers.slot[slot].epoch;
    rill_frame(m)->pool = pool;
    rill_frame(m)->count = u->config.pool_block;
    rill_frame(m)->clock = lease->number;
    u->n.pool_requests++;
    unit_send(u, m);
}

void pool_ask_controller(struct rill_unit *u, uint32_t slot)
{
    for (uint32_t i = 0; i < u->pool_slot_count; i++)
        if (u->pool_slots[i] == slot)
            return;
    u->pool_slots[u->pool_slot_count++] = (uint8_t)slot;
}

/* Called after every burst: asks for pools that run low and have not been asked for. */
void pool_refill(struct rill_unit *u)
{
    for (uint32_t s = 0; s < u->pool_slot_count; s++)
        for (unsigned i = 0; i < u->pool_count; i++)
            if (runs_low(u, u->pool_slots[s], i) &&
                !rill_timer_armed(&u->pools[u->pool_slots[s]][i].timer))
                request(u, u->pool_slots[s], i);
}

/* No answer yet, or the pool was dry when we last asked. */
void pool_due(struct rill_unit *u, struct pool_lease *lease)
{
    size_t at = (size_t)(lease - u->pools[0]);
    uint32_t slot = (uint32_t)(at / RILL_NF_POOLS_MAX);
    unsigned pool = (unsigned)(at % RILL_NF_POOLS_MAX);

    if (lease->outstanding || runs_low(u, slot, pool))
        request(u, slot, pool);
}

void pool_on_grant(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    uint32_t slot = rill_epoch_slot(f->epoch);
    struct pool_lease *lease;
    uint32_t indexes[GRANT_MAX];

    if (f->pool >= u->pool_count || f->count > GRANT_MAX ||
        rte_pktmbuf_pkt_len(m) != f->count * sizeof(indexes[0]) ||
        rill_body_read(m, 0, indexes, f->count * sizeof(indexes[0])) != 0) {
        u->n.messages_malformed++;
        return;
    }
    lease = &u->pools[slot][f->pool];
    if ((!lease->outstanding || f->clock != lease->number) && !RILL_MUTANT(pool_once))
        return;
    /* All or none: half a grant would be given again with the answer to the repeated question. */
    if (rill_nf_pool_give(u->config.nf, f->pool, slot, indexes, f->count, f->term) != 0) {
        u->n.messages_malformed++;
        return;
    }
    lease->outstanding = false;
    u->n.pool_grants++;
    if (f->count > 0) {
        lease->tries = 0;
        lease->dry_shift = 0;
        rill_timer_stop(u->questions, &lease->timer);
        return;
    }
    /* A dry pool is asked again only after a while: endpoints rest for much longer. */
    if (lease->dry_shift < DRY_SHIFT_MAX)
        lease->dry_shift++;
    rill_timer_arm(u->questions, &lease->timer,
                   u->now_ns + (u->config.retry_ns << lease->dry_shift));
}
