#include "rm/rm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "rm/packing.h"
#include "rm/rm_internal.h"

struct rill_rm *rill_rm_create(const struct rill_rm_config *config, struct rill_error *err)
{
    struct rill_rm *rm;

    if (config->lease_ns <= config->epoch_ns || config->resend_ns == 0 || config->pool == NULL) {
        rill_error_set(err, -EINVAL,
                       "resource manager: the lease must be longer than an epoch, and the resend "
                       "time and the frame pool given");
        return NULL;
    }
    rm = calloc(1, sizeof(*rm));
    if (rm != NULL) {
        rm->config = *config;
        rm->next_ns = UINT64_MAX;
        rm->deaths.rm = config->id;
        rm->deaths.resend_ns = config->resend_ns;
        rm->deaths.resend = config->resend;
        rm->deaths.pool = config->pool;
        rm->controllers = calloc(RILL_RM_CONTROLLERS_MAX, sizeof(rm->controllers[0]));
        rm->leases = calloc(RILL_RM_LEASES_MAX, sizeof(rm->leases[0]));
    }
    if (rm == NULL || rm->controllers == NULL || rm->leases == NULL) {
        rill_error_set(err, -ENOMEM, "resource manager: out of memory");
        rill_rm_destroy(rm);
        return NULL;
    }
    return rm;
}

void rill_rm_destroy(struct rill_rm *rm)
{
    if (rm == NULL)
        return;
    for (uint32_t i = 0; i < rm->unit_count; i++)
        free(rm->units[i].shares);
    rill_rm_deaths_fini(&rm->deaths);
    free(rm->units);
    free(rm->controllers);
    free(rm->packing);
    free(rm->scratch);
    free(rm->leases);
    free(rm);
}

const struct rill_rm_counters *rill_rm_counters(const struct rill_rm *rm)
{
    return &rm->counters;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Units */

/* Where the unit is, or would be. */
static uint32_t unit_position(const struct rill_rm *rm, uint32_t id)
{
    uint32_t low = 0, high = rm->unit_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (rm->units[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct unit *find_unit(const struct rill_rm *rm, uint32_t id)
{
    uint32_t at = unit_position(rm, id);

    return at < rm->unit_count && rm->units[at].id == id ? &rm->units[at] : NULL;
}

int rill_rm_grow(void **array, uint32_t room, size_t bytes)
{
    void *larger = realloc(*array, room * bytes);

    if (larger == NULL)
        return -ENOMEM;
    *array = larger;
    return 0;
}

static int make_room_for_unit(struct rill_rm *rm)
{
    uint32_t room = rm->unit_room ? rm->unit_room * 2 : 16;

    if (rm->unit_count < rm->unit_room)
        return 0;
    if (rill_rm_grow((void **)&rm->units, room, sizeof(rm->units[0])) != 0 ||
        rill_rm_grow((void **)&rm->packing, room, sizeof(rm->packing[0])) != 0 ||
        rill_rm_grow((void **)&rm->scratch, room, sizeof(rm->scratch[0])) != 0)
        return -ENOMEM;
    rm->unit_room = room;
    return 0;
}

int rill_rm_add_unit(struct rill_rm *rm, uint32_t unit, uint32_t output_logger,
                     uint64_t capacity_bps, uint32_t share_max, struct rill_error *err)
{
    uint32_t at = unit_position(rm, unit);

    if (rill_role_kind(unit) != RILL_ROLE_UNIT || share_max < 1 || share_max > RILL_RM_SHARE_WHOLE)
        return rill_error_set(err, -EINVAL,
                              "resource manager: unit %u with a share of %u: want a unit's role id "
                              "and a share of 1 to %d",
                              unit, share_max, RILL_RM_SHARE_WHOLE);
    if (find_unit(rm, unit) != NULL)
        return rill_error_set(err, -EEXIST, "resource manager: unit %u is there already",
                              rill_role_number(unit));
    if (rm->unit_count == RILL_RM_UNITS_MAX)
        return rill_error_set(err, -ENOSPC, "resource manager: no more than %d units",
                              RILL_RM_UNITS_MAX);
    if (make_room_for_unit(rm) != 0)
        return rill_error_set(err, -ENOMEM, "resource manager: out of memory for unit %u",
                              rill_role_number(unit));
    memmove(&rm->units[at + 1], &rm->units[at], (rm->unit_count - at) * sizeof(rm->units[0]));
    rm->units[at] = (struct unit){.id = unit,
                                  .output_logger = output_logger,
                                  .logger_filled = true, /* both are empty */
                                  .capacity_bps = capacity_bps,
                                  .share_max = share_max};
    rm->unit_count++;
    return 0;
}

/* When what is said for the *tries-th time, counted here, is said again. */
static uint64_t resend_at_ns(struct rill_rm *rm, uint32_t *tries, uint64_t now_ns)
{
    ++*tries;
    return now_ns + rill_resend_pause_ns(&rm->config.resend, rm->config.resend_ns, *tries,
                                         &rm->counters.resends_slowed);
}

/* Output loggers */

static void send_new_logger(struct rill_rm *rm, struct unit *unit, uint64_t now_ns,
                            struct rill_outbox *outbox)
{
    struct rte_mbuf *m =
        rill_frame_new(rm->config.pool, RILL_FRAME_NEW_LOGGER, rm->config.id, unit->id);

    unit->logger_resend_at_ns = resend_at_ns(rm, &unit->logger_tries, now_ns);
    if (m == NULL) {
        rm->counters.alloc_failures++;
        return;
    }
    rill_frame(m)->clock = unit->logger_number;
    rill_frame(m)->next_unit = unit->output_logger;
    rill_outbox_put(outbox, m);
}

int rill_rm_replace_logger(struct rill_rm *rm, uint32_t unit, uint32_t output_logger,
                           uint64_t now_ns, struct rill_outbox *outbox)
{
    struct unit *found = find_unit(rm, unit);

    if (found == NULL)
        return -ENOENT;
    found->output_logger = output_logger;
    found->logger_number++;
    found->logger_tries = 0;
    found->logger_filled = false;
    send_new_logger(rm, found, now_ns, outbox);
    rill_rm_find_next(rm);
    return 0;
}

bool rill_rm_logger_filled(const struct rill_rm *rm, uint32_t unit)
{
    const struct unit *found = find_unit(rm, unit);

    return found != NULL && found->logger_filled;
}

static void take_logger_ack(struct rill_rm *rm, const struct rill_frame *f)
{
    struct unit *unit = find_unit(rm, f->src);

    if (unit == NULL)
        rm->counters.unknown_unit++;
    else if (f->clock == unit->logger_number && f->count == 1)
        unit->logger_filled = true;
}

static void repeat_new_logger(struct rill_rm *rm, struct unit *unit, uint64_t now_ns,
                              struct rill_outbox *outbox)
{
    if (RILL_MUTANT(logger_once))
        unit->logger_resend_at_ns = UINT64_MAX;
    else
        send_new_logger(rm, unit, now_ns, outbox);
}

static bool logger_word_due(const struct unit *unit, uint64_t now_ns)
{
    return !unit->logger_filled && now_ns >= unit->logger_resend_at_ns;
}

/* Shares */

static struct share *find_share(const struct unit *unit, uint32_t controller)
{
    for (uint32_t i = 0; i < unit->share_count; i++) {
        if (unit->shares[i].controller == controller)
            return &unit->shares[i];
    }
    return NULL;
}

struct share *rill_rm_add_share(struct unit *unit, uint32_t controller)
{
    uint32_t room = unit->share_room ? unit->share_room * 2 : 4;

    if (unit->share_count == unit->share_room) {
        if (rill_rm_grow((void **)&unit->shares, room, sizeof(unit->shares[0])) != 0)
            return NULL;
        unit->share_room = room;
    }
    unit->shares[unit->share_count] = (struct share){.controller = controller, .acked = true};
    return &unit->shares[unit->share_count++];
}

static uint32_t committed(const struct share *share)
{
    return max_u32(share->target, share->held_max);
}

static void send_share(struct rill_rm *rm, const struct unit *unit, struct share *share,
                       uint64_t now_ns, struct rill_outbox *outbox)
{
    struct rte_mbuf *m = rill_frame_new(rm->config.pool, RILL_FRAME_SHARE, rm->config.id, unit->id);

    share->resend_at_ns = resend_at_ns(rm, &share->tries, now_ns);
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
static void tell_unit(struct rill_rm *rm, const struct unit *unit, struct share *share,
                      uint64_t now_ns, struct rill_outbox *outbox)
{
    uint32_t goal =
        RILL_MUTANT(shrink_first) ? share->target : max_u32(share->target, share->granted);

    if (goal == share->sent)
        return;
    share->sent = goal;
    share->held_min = min_u32(share->held_min, goal);
    share->held_max = max_u32(share->held_max, goal);
    share->acked = false;
    share->number = ++rm->share_number;
    share->tries = 0;
    rm->counters.shares++;
    send_share(rm, unit, share, now_ns, outbox);
}

static void tell_units(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                       struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = find_share(&rm->units[i], controller);

        if (share != NULL)
            tell_unit(rm, &rm->units[i], share, now_ns, outbox);
    }
}

static void drop_if_over(struct unit *unit, struct share *share)
{
    if (share->acked && committed(share) == 0)
        *share = unit->shares[--unit->share_count];
}

/* Grants */

/* No more than the unit is sure to know of. */
static uint32_t grantable(const struct share *share)
{
    return RILL_MUTANT(share_unacked) ? share->target : min_u32(share->target, share->held_min);
}

static uint32_t list_leases(struct rill_rm *rm, uint32_t controller)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rm->unit_count && n < RILL_RM_LEASES_MAX; i++) {
        const struct unit *unit = &rm->units[i];
        const struct share *share = find_share(unit, controller);

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
        struct share *share = find_share(&rm->units[i], controller);

        if (share == NULL)
            continue;
        sum += grantable(share);
        if (rm->controllers[controller].inherited) /* it may have heard of more before */
            share->granted = max_u32(share->granted, grantable(share));
        else
            share->granted = grantable(share);
    }
    return sum;
}

static void send_grant(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
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
        const struct share *share = find_share(&rm->units[i], controller);

        if (share != NULL && grantable(share) < share->target)
            return true;
    }
    return false;
}

static void grant_if_ready(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                           struct rill_outbox *outbox)
{
    const struct controller *c = &rm->controllers[controller];

    if (!c->waits || now_ns < c->retry_ns)
        return;
    if (now_ns < c->asked_ns + rm->config.epoch_ns && units_missing(rm, controller))
        return;
    send_grant(rm, controller, now_ns, outbox);
}

/* Requests */

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
        struct share *share = find_share(&rm->units[i], controller);

        if (share == NULL)
            continue;
        share->granted = 0; /* this one has not been told of it */
        share->acked = false;
        share->number = ++rm->share_number;
        send_share(rm, &rm->units[i], share, now_ns, outbox);
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
    part = share_of_all(rm) / max_u32(controllers, 1);
    if (rm->config.whole_units)
        part = max_u32(part / RILL_RM_SHARE_WHOLE, 1) * RILL_RM_SHARE_WHOLE;
    return part;
}

static uint32_t target_sum(const struct rill_rm *rm, uint32_t controller)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < rm->unit_count; i++) {
        const struct share *share = find_share(&rm->units[i], controller);

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
        uint32_t its_part = min_u32(c->wanted, part), its = target_sum(rm, i);

        taken += its;
        if (i != controller && is_there(c) && its < its_part)
            missing += its_part - its;
    }
    if (missing == 0)
        return wanted;
    free = share_of_all(rm) - taken;
    own -= min_u32(own, missing - min_u32(missing, free));
    return min_u32(wanted, max_u32(part, own));
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
                p->others += committed(&unit->shares[j]);
        }
        if (rm->config.whole_units && p->others > 0)
            p->share_max = p->others + p->own;
    }
    rill_packing_set(rm->packing, rm->unit_count, wanted, RILL_RM_LEASES_MAX, rm->config.share_min,
                     rm->scratch);
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = find_share(&rm->units[i], controller);

        if (share == NULL && rm->packing[i].own > 0) {
            share = rill_rm_add_share(&rm->units[i], controller);
            rm->counters.alloc_failures += share == NULL;
        }
        if (share != NULL)
            share->target = rm->packing[i].own;
    }
}

static void take_request(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
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
            send_grant(rm, controller, now_ns, outbox);
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
    tell_units(rm, controller, now_ns, outbox);
    grant_if_ready(rm, controller, now_ns, outbox);
}

/* A controller that takes over asks who is there. */
static void tell_members(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
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

static void take_ack(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                     struct rill_outbox *outbox)
{
    struct unit *unit = find_unit(rm, f->src);
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
    drop_if_over(unit, share);
    grant_if_ready(rm, controller, now_ns, outbox);
}

/* Time */

static void expire(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                   struct rill_outbox *outbox)
{
    struct controller *c = &rm->controllers[controller];

    rm->counters.leases_expired++;
    c->expire_ns = UINT64_MAX;
    c->granted = false;
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        struct share *share = find_share(&rm->units[i], controller);

        if (share == NULL)
            continue;
        share->target = share->granted = 0;
        tell_unit(rm, &rm->units[i], share, now_ns, outbox);
        drop_if_over(&rm->units[i], share);
    }
}

/* Since a controller that waits is answered within an epoch, and keeps what it has until then. */
static bool expires(const struct controller *c)
{
    return !c->waits && c->expire_ns != UINT64_MAX;
}

static uint64_t next_of_controller(const struct rill_rm *rm, const struct controller *c)
{
    uint64_t due_ns;

    if (!c->waits)
        return expires(c) ? c->expire_ns : UINT64_MAX;
    due_ns = c->asked_ns + rm->config.epoch_ns;
    if (c->retry_ns != 0) /* it was ready, but for memory */
        due_ns = c->retry_ns;
    return due_ns;
}

void rill_rm_find_next(struct rill_rm *rm)
{
    rm->next_ns = rill_rm_deaths_next_ns(&rm->deaths);
    for (uint32_t i = 0; i < rm->controller_count; i++)
        rm->next_ns = RTE_MIN(rm->next_ns, next_of_controller(rm, &rm->controllers[i]));
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        if (!rm->units[i].logger_filled)
            rm->next_ns = RTE_MIN(rm->next_ns, rm->units[i].logger_resend_at_ns);
        for (uint32_t j = 0; j < rm->units[i].share_count; j++) {
            const struct share *share = &rm->units[i].shares[j];

            if (!share->acked)
                rm->next_ns = RTE_MIN(rm->next_ns, share->resend_at_ns);
        }
    }
}

static void resend_shares(struct rill_rm *rm, uint64_t now_ns, struct rill_outbox *outbox)
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
                send_share(rm, &rm->units[i], share, now_ns, outbox);
        }
    }
}

void rill_rm_tick(struct rill_rm *rm, uint64_t now_ns, struct rill_outbox *outbox)
{
    if (now_ns < rm->next_ns)
        return;
    for (uint32_t i = 0; i < rm->controller_count; i++) {
        grant_if_ready(rm, i, now_ns, outbox);
        if (expires(&rm->controllers[i]) && now_ns >= rm->controllers[i].expire_ns)
            expire(rm, i, now_ns, outbox);
    }
    resend_shares(rm, now_ns, outbox);
    for (uint32_t i = 0; i < rm->unit_count; i++)
        if (logger_word_due(&rm->units[i], now_ns))
            repeat_new_logger(rm, &rm->units[i], now_ns, outbox);
    rill_rm_deaths_tick(&rm->deaths, now_ns, outbox);
    rm->counters.resends_slowed += rm->deaths.slowed;
    rm->deaths.slowed = 0;
    rill_rm_find_next(rm);
}

uint64_t rill_rm_next_ns(const struct rill_rm *rm)
{
    return rm->next_ns;
}

void rill_rm_recv(struct rill_rm *rm, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                  struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct rill_frame *f = rill_frame(frames[i]);

        if (f->dst == rm->config.id && f->type == RILL_FRAME_LEASE_REQUEST)
            take_request(rm, f, now_ns, outbox);
        else if (f->dst == rm->config.id && f->type == RILL_FRAME_MEMBERS_REQUEST)
            tell_members(rm, f, now_ns, outbox);
        else if (f->dst == rm->config.id && f->type == RILL_FRAME_SHARE_ACK)
            take_ack(rm, f, now_ns, outbox);
        else if (f->dst == rm->config.id &&
                 (f->type == RILL_FRAME_DEATH_ACK || f->type == RILL_FRAME_RECOVERED))
            rill_rm_deaths_recv(&rm->deaths, frames[i], outbox);
        else if (f->dst == rm->config.id && f->type == RILL_FRAME_NEW_LOGGER_ACK)
            take_logger_ack(rm, f);
        else
            rm->counters.unknown_frames++;
        rte_pktmbuf_free(frames[i]);
    }
    if (n > 0)
        rill_rm_find_next(rm);
}

void rill_rm_remove_unit(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                         struct rill_outbox *outbox)
{
    uint32_t at = unit_position(rm, unit);

    if (find_unit(rm, unit) == NULL)
        return;
    free(rm->units[at].shares);
    rm->unit_count--;
    memmove(&rm->units[at], &rm->units[at + 1], (rm->unit_count - at) * sizeof(rm->units[0]));
    for (uint32_t i = 0; i < rm->controller_count; i++)
        grant_if_ready(rm, i, now_ns, outbox);
    rill_rm_find_next(rm);
}

int rill_rm_unit_died(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                      struct rill_outbox *outbox)
{
    const struct unit *found = find_unit(rm, unit);
    uint32_t controllers[RILL_RM_CONTROLLERS_MAX], output_logger;
    int rc;

    if (found == NULL)
        return -ENOENT;
    output_logger = found->output_logger;
    rill_rm_remove_unit(rm, unit, now_ns, outbox);
    for (uint32_t i = 0; i < rm->controller_count; i++)
        controllers[i] = rm->controllers[i].id;
    rc = rill_rm_deaths_add(&rm->deaths, unit, output_logger, controllers, rm->controller_count,
                            now_ns, outbox);
    rill_rm_find_next(rm);
    return rc;
}

void rill_rm_logger_lost(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                         struct rill_outbox *outbox)
{
    rill_rm_deaths_logger_lost(&rm->deaths, unit, now_ns, outbox);
    rill_rm_find_next(rm);
}

bool rill_rm_recovered(struct rill_rm *rm, uint32_t *unit, uint32_t *output_logger)
{
    return rill_rm_deaths_take_over(&rm->deaths, unit, output_logger);
}

/* Looking */

uint32_t rill_rm_unit_count(const struct rill_rm *rm)
{
    return rm->unit_count;
}

void rill_rm_unit_info(const struct rill_rm *rm, uint32_t i, struct rill_rm_unit_info *info)
{
    const struct unit *unit = &rm->units[i];

    assert(i < rm->unit_count);
    *info = (struct rill_rm_unit_info){.unit = unit->id,
                                       .output_logger = unit->output_logger,
                                       .capacity_bps = unit->capacity_bps,
                                       .share_max = unit->share_max};
    for (uint32_t j = 0; j < unit->share_count; j++) {
        info->leased += unit->shares[j].target;
        info->committed += committed(&unit->shares[j]);
        info->controllers += unit->shares[j].target > 0;
    }
}

uint32_t rill_rm_share(const struct rill_rm *rm, uint32_t unit, uint32_t controller)
{
    const struct unit *found = find_unit(rm, unit);

    for (uint32_t i = 0; found != NULL && i < found->share_count; i++) {
        if (rm->controllers[found->shares[i].controller].id == controller)
            return found->shares[i].target;
    }
    return 0;
}
