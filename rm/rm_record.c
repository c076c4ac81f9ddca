/* What the next resource manager has to know of leases. Written down before it is said; what is
 * asked and answered once an epoch, and changes nothing, is not in it. */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/role.h"
#include "rm/rm_internal.h"

static void record_share(struct rill_memo *r, struct share *share)
{
    rill_memo_u32(r, &share->controller);
    rill_memo_u32(r, &share->target);
    rill_memo_u32(r, &share->granted);
    rill_memo_u32(r, &share->sent);
    rill_memo_u32(r, &share->held_min);
    rill_memo_u32(r, &share->held_max);
    rill_memo_bool(r, &share->acked);
    rill_memo_u64(r, &share->number);
}

/* Its controller may have heard of all that the unit was ever told, until it asks again. */
static void inherit_share(struct share *share, uint64_t now_ns)
{
    share->granted = RTE_MAX(share->granted, RTE_MAX(share->sent, share->held_max));
    share->resend_at_ns = now_ns;
}

static void record_shares(struct rill_rm *rm, struct rill_memo *r, struct unit *unit,
                          uint64_t now_ns)
{
    uint32_t count = unit->share_count;

    rill_memo_count(r, &count, RILL_RM_CONTROLLERS_MAX);
    for (uint32_t i = 0; i < count && !rill_memo_failed(r); i++) {
        struct share none = {0};
        struct share *share = r->reading ? rm_add_share(unit, 0) : &unit->shares[i];

        record_share(r, share == NULL ? &none : share);
        if (share == NULL || share->controller >= rm->controller_count)
            r->failed = true;
        else if (r->reading)
            inherit_share(share, now_ns);
    }
}

static void record_unit(struct rill_rm *rm, struct rill_memo *r, struct unit *unit, uint64_t now_ns)
{
    rill_memo_u64(r, &unit->logger_number);
    rill_memo_bool(r, &unit->logger_filled);
    record_shares(rm, r, unit, now_ns);
    if (r->reading)
        unit->logger_resend_at_ns = now_ns;
}

static void record_units(struct rill_rm *rm, struct rill_memo *r, uint64_t now_ns)
{
    uint32_t count = rm->unit_count;

    rill_memo_count(r, &count, RILL_RM_UNITS_MAX);
    for (uint32_t i = 0; i < count && !rill_memo_failed(r); i++) {
        struct unit unit = r->reading ? (struct unit){0} : rm->units[i];
        struct rill_error err;

        rill_memo_u32(r, &unit.id);
        rill_memo_u32(r, &unit.output_logger);
        rill_memo_u64(r, &unit.capacity_bps);
        rill_memo_u32(r, &unit.share_max);
        /* They come in order, so the new one is the last. */
        if (r->reading && (rill_memo_failed(r) || (i > 0 && unit.id <= rm->units[i - 1].id) ||
                           rill_rm_add_unit(rm, unit.id, unit.output_logger, unit.capacity_bps,
                                            unit.share_max, &err) != 0))
            r->failed = true;
        else
            record_unit(rm, r, &rm->units[i], now_ns);
    }
}

static void record_controllers(struct rill_rm *rm, struct rill_memo *r)
{
    rill_memo_count(r, &rm->controller_count, RILL_RM_CONTROLLERS_MAX);
    for (uint32_t i = 0; i < rm->controller_count; i++) {
        struct controller *c = &rm->controllers[i];

        rill_memo_u32(r, &c->id);
        rill_memo_u16(r, &c->epoch);
        if (!r->reading)
            continue;
        c->expire_ns = UINT64_MAX; /* until rill_rm_run_lease() */
        c->inherited = true;
    }
}

static void record_death(struct rill_memo *r, struct rill_rm_death *death, uint64_t now_ns)
{
    rill_memo_u32(r, &death->unit);
    rill_memo_u32(r, &death->output_logger);
    rill_memo_count(r, &death->count, RILL_RM_CONTROLLERS_MAX);
    if (r->reading) {
        death->told = calloc(death->count + 1, sizeof(death->told[0]));
        death->resend_at_ns = now_ns;
    }
    for (uint32_t i = 0; i < death->count && death->told != NULL; i++) {
        rill_memo_u32(r, &death->told[i].controller);
        rill_memo_bool(r, &death->told[i].recovered);
        if (r->reading) /* else it is said once more */
            death->told[i].heard = death->told[i].recovered;
    }
    r->failed |= death->told == NULL;
}

static void record_deaths(struct rill_rm *rm, struct rill_memo *r, uint64_t now_ns)
{
    uint32_t count = rm->deaths.count;

    rill_memo_count(r, &count, RILL_RM_DEATHS_MAX);
    for (uint32_t i = 0; i < count && !rill_memo_failed(r); i++) {
        if (r->reading)
            rm->deaths.list[rm->deaths.count++] = (struct rill_rm_death){0};
        record_death(r, &rm->deaths.list[i], now_ns);
    }
}

void rill_rm_record(struct rill_rm *rm, struct rill_memo *r, uint64_t now_ns)
{
    rill_memo_u64(r, &rm->share_number);
    record_controllers(rm, r);
    record_units(rm, r, now_ns);
    record_deaths(rm, r, now_ns);
    if (r->reading)
        rm_find_next(rm);
}

void rill_rm_run_lease(struct rill_rm *rm, uint32_t controller, uint64_t now_ns)
{
    for (uint32_t i = 0; i < rm->controller_count; i++) {
        struct controller *c = &rm->controllers[i];

        if (c->id != controller || !c->inherited || c->expire_ns != UINT64_MAX)
            continue;
        c->granted = true;
        c->expire_ns = now_ns + rm->config.lease_ns + rm->config.margin_ns;
    }
    rm_find_next(rm);
}
