/* What the controller may use: leases of units, asked for once per epoch and at once when load
 * nears what is leased (SNF, section 7). The protocol is rm/rm.h's: one request at a time, the same
 * number until it is answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/internal.h"

enum { WHOLE_UNIT = 1000 };
static const double NEARLY_FULL = 0.9; /* SNF, 4.2: one unit ahead when all are above */
/* Below that of what would be left a unit is too much. Less, so that it is not wanted again at
 * once. */
static const double ENOUGH = 0.85;
#define REVIEW_NS UINT64_C(2000000)
static const double ROOMY = 0.6; /* so full that a step less would still do: it is given back */

/* What is asked for at a time: units are shared with other controllers, or they are not. */
static uint32_t step_of(const struct rill_controller *c)
{
    return c->config.lease_step == 0 ? WHOLE_UNIT : c->config.lease_step;
}

/* Less is never wanted: of controllers that share units, each its part of units_min; where that is
 * none, something all the same while packets wait, or flows of a unit that died. */
static uint32_t least(const struct rill_controller *c)
{
    uint32_t units = c->config.units_min * WHOLE_UNIT, step = step_of(c);

    if (units == 0)
        return c->waiting.count > 0 || recovery_needs_unit(c) ? step : 0;
    if (step == WHOLE_UNIT)
        return units;
    return RTE_MAX(units / RTE_MAX(c->config.controllers, 1u) / step, 1u) * step;
}

/* Leased besides what is wanted, so that it need not be asked for when it is. */
static uint32_t reserve(const struct rill_controller *c)
{
    return c->config.units_reserve * step_of(c);
}

int capacity_init(struct rill_controller *c)
{
    c->capacity.units = calloc(c->config.units_max, sizeof(c->capacity.units[0]));
    c->capacity.want = least(c);
    c->capacity.resend_ns = UINT64_MAX;
    c->capacity.expires_ns = UINT64_MAX;
    return c->capacity.units == NULL ? -ENOMEM : 0;
}

void capacity_fini(struct rill_controller *c)
{
    free(c->capacity.units);
}

static void send_request(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    struct rte_mbuf *m = ctl_message(c, RILL_FRAME_LEASE_REQUEST, c->config.rm, 0);

    /* Not slower than new questions are: the leases would run out meanwhile. */
    cap->resend_ns = c->now_ns + RTE_MIN(ctl_resend_ns(c, &cap->tries), c->config.epoch_ns);
    if (m == NULL)
        return;
    rill_frame(m)->count = cap->want + reserve(c);
    rill_frame(m)->clock = cap->number;
    c->n.lease_requests++;
    rill_outbox_put(c->out, m);
}

/* In the order in which the resource manager takes units: the smallest share first, of these the
 * highest id. */
static int by_turn_to_go(const void *a, const void *b)
{
    const struct leased_unit *x = a, *y = b;

    if (x->share != y->share)
        return x->share < y->share ? -1 : 1;
    return x->unit > y->unit ? -1 : x->unit < y->unit;
}

/* What is assigned for longer than a flowlet may come back to its unit after a longer pause. */
static uint64_t idle_after_ns(const struct rill_controller *c, bool last)
{
    const struct rill_controller_config *config = &c->config;

    if (last || config->mode == RILL_MODE_FLOW)
        return RTE_MAX(config->idle_unit_ns, config->idle_last_unit_ns);
    if (config->mode == RILL_MODE_SMART_FLOW)
        return RTE_MAX(config->idle_unit_ns, config->smart_flow_ns);
    return config->idle_unit_ns;
}

static bool is_idle(const struct rill_controller *c, uint32_t unit, bool last)
{
    if (rill_wam_idle_ns(c->wam, unit, c->now_ns) < idle_after_ns(c, last))
        return false;
    return last ||
           (rill_wam_is_draining(c->wam, unit) || c->config.placement == RILL_PLACEMENT_SPREAD);
}

/* Thousandths in use that are left when those that stand idle have been given back. */
static uint32_t without_idle(const struct rill_controller *c, uint32_t *units)
{
    const struct capacity *cap = &c->capacity;
    uint32_t left = cap->in_use;

    *units = 0;
    for (uint32_t i = 0; i < cap->count; i++) {
        const struct leased_unit *unit = &cap->units[i];

        if (unit->held)
            continue;
        if (left < least(c) + unit->share || !is_idle(c, unit->unit, left == unit->share))
            break;
        left -= unit->share;
        ++*units;
    }
    return left;
}

/* Parts of units: what is used would fit into a step less, and that for as long as a unit would
 * have had to be idle. */
static bool has_step_to_spare(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    uint32_t step = step_of(c);
    uint64_t load_bps, capacity_bps;

    if (step == WHOLE_UNIT || cap->in_use < least(c) + step)
        return false;
    rill_wam_totals(c->wam, c->now_ns, &load_bps, &capacity_bps);
    if ((double)load_bps * cap->in_use >= ROOMY * (double)capacity_bps * (cap->in_use - step)) {
        cap->used_ns = c->now_ns;
        return false;
    }
    return c->now_ns - cap->used_ns >= c->config.idle_unit_ns;
}

static void decide(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    uint32_t idle;

    if (cap->in_use < least(c)) {
        cap->want = least(c);
    } else if (cap->grow) {
        cap->want = cap->in_use + step_of(c);
        cap->used_ns = c->now_ns;
    } else if (has_step_to_spare(c)) {
        cap->want = cap->in_use - step_of(c);
        c->n.lease_steps_given_back++;
    } else {
        cap->want = without_idle(c, &idle);
        c->n.units_given_back += idle;
    }
    cap->grow = false;
}

static void ask(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;

    decide(c);
    cap->number++;
    cap->tries = 0;
    cap->outstanding = true;
    cap->asked_ns = c->now_ns;
    cap->epoch_ns = c->now_ns + c->config.epoch_ns;
    send_request(c);
}

static void drop_all(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;

    for (uint32_t i = 0; i < cap->count; i++)
        rill_wam_set_active(c->wam, cap->units[i].unit, false, c->now_ns);
    cap->count = 0;
    cap->leased = 0;
    cap->in_use = 0;
    cap->expires_ns = UINT64_MAX;
    cap->outstanding = false;
    c->n.leases_expired++;
}

/* Which units are too much for the load, with some room to grow: they should empty. */
static void choose_draining(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    uint32_t left = cap->in_use;
    uint64_t load_bps, capacity_bps;
    bool enough = true;

    rill_wam_totals(c->wam, c->now_ns, &load_bps, &capacity_bps);
    for (uint32_t i = 0; i < cap->count; i++) {
        uint32_t rest;

        if (cap->units[i].held)
            continue;
        rest = left - cap->units[i].share;
        enough = enough && rest > 0 && rest >= least(c) &&
                 (double)load_bps <= ENOUGH * (double)capacity_bps * rest / cap->in_use;
        rill_wam_set_draining(c->wam, cap->units[i].unit, enough);
        left = rest;
    }
}

/* Is less needed? Units that should empty, and have been idle for long enough, go back at once. */
static void review(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    uint32_t idle;

    cap->review_ns = c->now_ns + REVIEW_NS;
    if (c->config.placement != RILL_PLACEMENT_SPREAD) /* which uses all there are */
        choose_draining(c);
    if (!cap->outstanding && without_idle(c, &idle) < cap->in_use)
        ask(c);
}

static bool may_shrink(const struct rill_controller *c)
{
    return c->capacity.in_use > least(c);
}

/* A flowlet is soon over, and the next one is placed anew: that one finds no room is no reason for
 * another unit while not all are nearly full, or late. What is assigned for longer needs its room
 * now. */
void capacity_lacks(struct rill_controller *c, uint32_t unit)
{
    if (c->config.mode != RILL_MODE_FLOWLET ||
        rill_wam_backlog_ns(c->wam, unit) > c->config.lease_backlog_ns)
        c->capacity.grow = true;
}

/* Packets wait. Where there was none to be had, it is asked for again once per epoch. */
static void ask_for_first(struct rill_controller *c)
{
    const struct capacity *cap = &c->capacity;

    if (cap->want == 0 || c->now_ns >= cap->epoch_ns)
        ask(c);
}

static void use(struct rill_controller *c, struct leased_unit *unit)
{
    unit->held = false;
    c->capacity.in_use += unit->share;
    rill_wam_set_active(c->wam, unit->unit, true, c->now_ns);
    recovery_unit_came(c);
}

/* The one that stays longest comes last. */
static bool take_reserve(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;

    for (uint32_t i = cap->count; i-- > 0;) {
        if (!cap->units[i].held)
            continue;
        use(c, &cap->units[i]);
        cap->want = RTE_MAX(cap->want, cap->in_use); /* also if less was asked for just before */
        cap->grow = false;
        c->n.reserves_used++;
        return true;
    }
    return false;
}

/* Something needs a unit: one in reserve, if there is one, is in use from now on. */
static void use_reserve(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    bool lacks = cap->in_use < least(c);

    if (!lacks && cap->in_use > 0 && reserve(c) > 0)
        lacks = cap->grow || rill_wam_all_above(c->wam, NEARLY_FULL, c->now_ns);
    if (lacks && take_reserve(c) && !cap->outstanding)
        ask(c); /* for another */
}

/* After flowlets were assigned: is more needed, before the epoch is over? */
void capacity_check(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;

    use_reserve(c);
    if (cap->outstanding)
        return;
    if (cap->in_use == 0) {
        if (c->waiting.count > 0 && !RILL_MUTANT(wake))
            ask_for_first(c);
        return;
    }
    cap->grow = cap->grow || rill_wam_all_above(c->wam, NEARLY_FULL, c->now_ns);
    if (!cap->grow)
        return;
    if (cap->want > cap->in_use && c->now_ns < cap->epoch_ns)
        return; /* got less than it wanted: there is no more, ask again next epoch */
    ask(c);
}

static bool listed(const struct capacity *cap, uint32_t unit)
{
    for (uint32_t i = 0; i < cap->count; i++)
        if (cap->units[i].unit == unit)
            return true;
    return false;
}

static void set_unit(struct rill_controller *c, const struct rill_lease *lease)
{
    struct capacity *cap = &c->capacity;

    if (rill_role_kind(lease->unit) != RILL_ROLE_UNIT || lease->share == 0 ||
        lease->share > WHOLE_UNIT || listed(cap, lease->unit) ||
        recovery_logger_of(c, lease->unit) != 0 || /* a grant from before it died */
        cap->count == c->config.units_max ||
        rill_wam_set_unit(c->wam, lease->unit, lease->capacity_bps * lease->share / WHOLE_UNIT) !=
            0) {
        c->n.messages_malformed++;
        return;
    }
    cap->units[cap->count++] =
        (struct leased_unit){.unit = lease->unit,
                             .output_logger = lease->output_logger,
                             .share = lease->share,
                             .held = !rill_wam_is_active(c->wam, lease->unit)};
    cap->leased += lease->share;
    if (!cap->units[cap->count - 1].held)
        cap->in_use += lease->share;
}

/* What is used stays in use as far as it is wanted, and of the rest so much comes as is wanted.
 * Where no reserve is kept, all of it: more than was asked for is there all the same. */
static void choose_held(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;
    uint32_t most = reserve(c) > 0 ? cap->want : UINT32_MAX;

    for (uint32_t i = cap->count; i-- > 0 && cap->in_use < most;)
        if (cap->units[i].held)
            use(c, &cap->units[i]);
    for (uint32_t i = 0; i < cap->count; i++) {
        struct leased_unit *unit = &cap->units[i];

        if (unit->held || cap->in_use - unit->share < most)
            continue;
        unit->held = true;
        cap->in_use -= unit->share;
        rill_wam_set_active(c->wam, unit->unit, false, c->now_ns);
    }
}

/* The whole list of what is ours now; what is not on it is no longer. */
void capacity_on_grant(struct rill_controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct capacity *cap = &c->capacity;
    struct rill_lease lease;

    if (!cap->outstanding || (f->clock != cap->number && !RILL_MUTANT(grant_any)) ||
        c->now_ns >= cap->asked_ns + c->config.lease_ns)
        return; /* to another question, or it has run out on its way */
    if (rte_pktmbuf_pkt_len(m) != f->count * sizeof(lease)) {
        c->n.messages_malformed++;
        return;
    }
    cap->count = 0;
    cap->leased = 0;
    cap->in_use = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (rill_body_read(m, i * sizeof(lease), &lease, sizeof(lease)) == 0) {
            set_unit(c, &lease);
            endpoints_unit_leased(c, lease.unit);
        }
    for (uint32_t i = 0; i < rill_wam_active_count(c->wam);) {
        uint32_t unit = rill_wam_active_at(c->wam, i);

        if (listed(cap, unit))
            i++;
        else
            rill_wam_set_active(c->wam, unit, false, c->now_ns);
    }
    qsort(cap->units, cap->count, sizeof(cap->units[0]), by_turn_to_go);
    choose_held(c);
    cap->outstanding = false;
    cap->resend_ns = UINT64_MAX;
    cap->expires_ns = (RILL_MUTANT(lease_clock) ? c->now_ns : cap->asked_ns) + c->config.lease_ns;
    /* Nothing to renew, until something is needed; but a unit may have died since this was asked.
     */
    if (cap->leased == 0 && cap->want == 0 && least(c) == 0)
        cap->epoch_ns = UINT64_MAX;
    c->n.lease_grants++;
    if (cap->count == 0)
        capacity_check(c);
}

/* Before anything else is done at a time: one who stood still must not act on leases that have run
 * out meanwhile. */
void capacity_expire(struct rill_controller *c)
{
    if (c->now_ns >= c->capacity.expires_ns)
        drop_all(c);
}

void capacity_tick(struct rill_controller *c)
{
    struct capacity *cap = &c->capacity;

    capacity_expire(c);
    use_reserve(c);
    if (cap->outstanding && c->now_ns >= cap->asked_ns + c->config.lease_ns)
        cap->outstanding = false; /* all that we had has run out: a new question may be asked */
    if (!cap->outstanding && c->now_ns >= cap->epoch_ns)
        ask(c);
    else if (cap->outstanding && c->now_ns >= cap->resend_ns)
        send_request(c);
    if (may_shrink(c) && c->now_ns >= cap->review_ns)
        review(c);
}

uint64_t capacity_next_ns(const struct rill_controller *c)
{
    const struct capacity *cap = &c->capacity;
    uint64_t next_ns = cap->outstanding ? cap->resend_ns : cap->epoch_ns;

    if (may_shrink(c))
        next_ns = RTE_MIN(next_ns, cap->review_ns);
    return RTE_MIN(next_ns, cap->expires_ns);
}

/* Nothing goes there from now on, whatever the lease says. */
void capacity_unit_died(struct rill_controller *c, uint32_t unit)
{
    struct capacity *cap = &c->capacity;

    rill_wam_set_active(c->wam, unit, false, c->now_ns);
    rill_wam_remove_unit(c->wam, unit);
    for (uint32_t i = 0; i < cap->count; i++) {
        if (cap->units[i].unit != unit)
            continue;
        cap->leased -= cap->units[i].share;
        cap->in_use -= cap->units[i].held ? 0 : cap->units[i].share;
        memmove(&cap->units[i], &cap->units[i + 1], (--cap->count - i) * sizeof(cap->units[0]));
        break;
    }
    if (cap->in_use == 0)
        cap->epoch_ns = c->now_ns; /* ask at once, for one that its flows can go on at */
}

/* Of the unit that stays longest: for packets that pass by the NF. 0 if nothing is leased. */
uint32_t capacity_output_logger(const struct rill_controller *c)
{
    const struct capacity *cap = &c->capacity;

    return cap->count > 0 ? cap->units[cap->count - 1].output_logger : 0;
}

uint32_t capacity_share(const struct rill_controller *c, uint32_t unit)
{
    for (uint32_t i = 0; i < c->capacity.count; i++)
        if (c->capacity.units[i].unit == unit)
            return c->capacity.units[i].share;
    return 0;
}
