#include "lib/base/mutant.h"
#include "lib/frame/body.h"
#include "rm/packing.h"
#include "rm/rm_internal.h"

/* Its predecessor's leases are its own now; the units are told whose they are. */
static void take_place(struct rill_rm *rm, uint32_t controller, const struct rill_frame *f,
                       uint64_t now_ns, struct rill_outbox *outbox)
{
    struct controller *c = &rm->controllers[controller];

    rill_rm_deaths_controller_replaced(&rm->deaths, c->id, f->src, now_ns, outbox);
    c->id = f->src;
    c->epoch = f->epoch;
    c->number = 0;
    c->waits = c->granted = c->inherited = false;
    rm->counters.takeovers++;
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = rm_find_share(&rm->units[i], controller);

        if (share == NULL)
            continue;
        share->granted = 0; /* this one has not been told of it */
        share->acked = false;
        share->number = ++rm->share_number;
        rm_send_share(rm, &rm->units[i], share, now_ns, outbox);
    }
}

static struct controller *find_controller(struct rill_rm *rm, const struct rill_frame *f)
{
    for (uint32_t i = 0; i < rm->controller_count; i++) {
        const struct controller *c = &rm->controllers[i];

        if (c->id == f->src || (c->epoch != 0 && f->epoch != 0 &&
                                rill_epoch_slot(c->epoch) == rill_epoch_slot(f->epoch)))
            return &rm->controllers[i];
    }
    return NULL;
}

/* NULL: none, or one whose place was taken. */
static struct controller *find_or_add_controller(struct rill_rm *rm, const struct rill_frame *f,
                                                 uint64_t now_ns, struct rill_outbox *outbox)
{
    struct controller *c = find_controller(rm, f);

    if (rill_role_kind(f->src) != RILL_ROLE_CONTROLLER)
        return NULL;
    if (c != NULL) {
        if (f->epoch < c->epoch)
            return NULL;
        if (c->id != f->src)
            take_place(rm, (uint32_t)(c - rm->controllers), f, now_ns, outbox);
        return c;
    }
    if (rm->controller_count == RILL_RM_CONTROLLERS_MAX)
        return NULL;
    rm->controllers[rm->controller_count] =
        (struct controller){.id = f->src, .epoch = f->epoch, .expire_ns = UINT64_MAX};
    return &rm->controllers[rm->controller_count++];
}

static bool is_there(const struct controller *c)
{
    return c->waits || c->expire_ns != UINT64_MAX;
}

static uint32_t share_of_all(const struct rill_rm *rm)
{
    uint64_t all = 0;

    for (uint32_t i = 0; i < rm->unit_count; i++)
        all += rm->units[i].share_max;
    return (uint32_t)all;
}

/* What each controller gets at least, if it wants so much: an equal part of all. */
static uint32_t fair_part(const struct rill_rm *rm)
{
    uint32_t controllers = 0, part;

    for (uint32_t i = 0; i < rm->controller_count; i++)
        controllers += is_there(&rm->controllers[i]);
    part = share_of_all(rm) / RTE_MAX(controllers, 1);
    if (rm->config.whole_units)
        part = RTE_MAX(part / RILL_RM_SHARE_WHOLE, 1) * RILL_RM_SHARE_WHOLE;
    return part;
}

static uint32_t target_sum(const struct rill_rm *rm, uint32_t controller)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < rm->unit_count; i++) {
        const struct share *share = rm_find_share(&rm->units[i], controller);

        sum += share != NULL ? share->target : 0;
    }
    return sum;
}

/* Who has more than its part gives back what others lack of theirs, if that is not free. */
static uint32_t fair_limit(const struct rill_rm *rm, uint32_t controller, uint32_t wanted)
{
    uint32_t part = fair_part(rm), missing = 0, taken = 0, own = target_sum(rm, controller), free;

    if (wanted <= part || RILL_MUTANT(first_come))
        return wanted;
    for (uint32_t i = 0; i < rm->controller_count; i++) {
        const struct controller *c = &rm->controllers[i];
        uint32_t its_part = RTE_MIN(c->wanted, part), its = target_sum(rm, i);

        taken += its;
        if (i != controller && is_there(c) && its < its_part)
            missing += its_part - its;
    }
    if (missing == 0)
        return wanted;
    free = share_of_all(rm) - taken;
    own -= RTE_MIN(own, missing - RTE_MIN(missing, free));
    return RTE_MIN(wanted, RTE_MAX(part, own));
}

static void pack(struct rill_rm *rm, uint32_t controller, uint32_t wanted)
{
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        const struct unit *unit = &rm->units[i];
        struct rill_packing_unit *p = &rm->packing[i];

        *p = (struct rill_packing_unit){.unit = unit->id,
                                        .share_max = RILL_MUTANT(share_max) ? RILL_RM_SHARE_WHOLE
                                                                            : unit->share_max};
        for (uint32_t j = 0; j < unit->share_count; j++) {
            if (unit->shares[j].controller == controller)
                p->own = unit->shares[j].target;
            else
                p->others += rm_committed(&unit->shares[j]);
        }
        if (rm->config.whole_units && p->others > 0)
            p->share_max = p->others + p->own;
    }
    rill_packing_set(rm->packing, rm->unit_count, wanted, RILL_RM_LEASES_MAX, rm->config.share_min,
                     rm->scratch);
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = rm_find_share(&rm->units[i], controller);

        if (share == NULL && rm->packing[i].own > 0) {
            share = rm_add_share(&rm->units[i], controller);
            rm->counters.alloc_failures += share == NULL;
        }
        if (share != NULL)
            share->target = rm->packing[i].own;
    }
}

void rm_take_request(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                     struct rill_outbox *outbox)
{
    struct controller *c = find_or_add_controller(rm, f, now_ns, outbox);
    uint32_t controller;

    if (c == NULL) {
        rm->counters.requests_refused++;
        return;
    }
    controller = (uint32_t)(c - rm->controllers);
    if (f->clock < c->number || (f->clock == c->number && !c->waits && !c->granted)) {
        rm->counters.requests_stale++;
        return;
    }
    if (f->clock == c->number) {
        rm->counters.requests_repeated++;
        if (!c->waits)
            rm_send_grant(rm, controller, now_ns, outbox);
        return;
    }
    rm->counters.requests++;
    c->inherited &= c->number == 0; /* the one after the first has heard from us */
    c->number = f->clock;
    c->wanted = f->count;
    c->waits = true;
    c->granted = false;
    c->asked_ns = now_ns;
    c->retry_ns = 0;
    pack(rm, controller, fair_limit(rm, controller, f->count));
    rm_tell_units(rm, controller, now_ns, outbox);
    rm_grant_if_ready(rm, controller, now_ns, outbox);
}

/* A controller that takes over asks who is there. */
void rm_tell_members(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                     struct rill_outbox *outbox)
{
    struct rte_mbuf *m;
    struct rill_member member;
    uint32_t dead;
    bool ok = true;

    if (find_or_add_controller(rm, f, now_ns, outbox) == NULL) {
        rm->counters.requests_refused++;
        return;
    }
    dead = rill_rm_deaths_count(&rm->deaths, f->src);
    if ((rm->unit_count + dead) * sizeof(member) > RILL_BODY_MAX) {
        rm->counters.members_too_many++;
        return;
    }
    m = rill_frame_new(rm->config.pool, RILL_FRAME_MEMBERS, rm->config.id, f->src);
    for (uint32_t i = 0; m != NULL && ok && i < rm->unit_count; i++) {
        member = (struct rill_member){.unit = rm->units[i].id,
                                      .output_logger = rm->units[i].output_logger};
        ok = rill_body_append(m, rm->config.pool, &member, sizeof(member)) == 0;
    }
    for (uint32_t i = 0; m != NULL && ok && i < dead; i++) {
        member = (struct rill_member){.dead = 1};
        rill_rm_deaths_at(&rm->deaths, f->src, i, &member.unit, &member.output_logger);
        ok = rill_body_append(m, rm->config.pool, &member, sizeof(member)) == 0;
    }
    if (m == NULL || !ok) { /* it asks again */
        rm->counters.alloc_failures++;
        rte_pktmbuf_free(m);
        return;
    }
    rill_frame(m)->clock = f->clock;
    rill_frame(m)->count = rm->unit_count + dead;
    rm->counters.members_told++;
    rill_outbox_put(outbox, m);
}
