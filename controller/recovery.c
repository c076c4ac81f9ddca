/* Units that died. Their flows go on elsewhere, all of them and at once, not only those whose next
 * packet comes: until a flow is established elsewhere, the dead unit's output logger has the only
 * copy.
 *
 * The flow table is gone through in slices, again and again while a death is not over. A pass moves
 * each flow whose owner is dead (TAKE tells the new one) and repeats TAKE where the flow is not
 * established yet. A death is over when a whole pass met no flow whose chain names the unit: then
 * its output logger is not needed any more, and the resource manager is told.
 */
#include "controller/internal.h"

enum { SLICE_BUCKETS = 256, SLICE_PAUSE_NS = 1000 };

/* 0: it lives, as far as we know. */
uint32_t recovery_logger_of(const struct rill_controller *c, uint32_t unit)
{
    for (uint32_t i = 0; i < c->recovery.count; i++)
        if (c->recovery.deaths[i].unit == unit)
            return c->recovery.deaths[i].output_logger;
    return 0;
}

static struct death *find(struct rill_controller *c, uint32_t unit)
{
    for (uint32_t i = 0; i < c->recovery.count; i++)
        if (c->recovery.deaths[i].unit == unit)
            return &c->recovery.deaths[i];
    return NULL;
}

/* --- what is said ----------------------------------------------------------------------------- */

static void say(struct rill_controller *c, enum rill_frame_type type, uint32_t dst,
                const struct death *death)
{
    struct rte_mbuf *m = ctl_message(c, type, dst, 0);

    if (m == NULL)
        return;
    rill_frame(m)->next_unit = death->unit;
    if (type == RILL_FRAME_DEAD)
        rill_frame(m)->count = death->output_logger;
    rill_outbox_put(c->out, m);
}

static void send_take(struct rill_controller *c, const struct flow *flow)
{
    struct rte_mbuf *m = ctl_message(c, RILL_FRAME_TAKE, flow->owner, flow->number);

    if (m == NULL)
        return;
    rill_frame(m)->term = flow->term;
    smm_copy_chain_below(c, rill_frame(m), flow, 1);
    rill_outbox_put(c->out, m);
}

/* It may have the only copy of a flow that ended elsewhere, and whose endpoint rests. */
static bool logger_may_go(const struct rill_controller *c)
{
    return c->now_ns >= c->untold_until_ns;
}

/* Repeats what was not acknowledged. False: nothing. */
static bool remind(struct rill_controller *c, const struct death *death)
{
    bool fence = !death->fenced && !death->told; /* once told the logger is no more */
    bool over = death->over && !death->told && logger_may_go(c);

    if (fence && !RILL_MUTANT(inv_fence))
        say(c, RILL_FRAME_FENCE, death->output_logger, death);
    if (over && !RILL_MUTANT(recovered_once))
        say(c, RILL_FRAME_RECOVERED, c->config.rm, death);
    return fence || over;
}

/* --- a death ---------------------------------------------------------------------------------- */

static void begin_pass(struct rill_controller *c)
{
    c->recovery.passing = true;
    c->recovery.pass_ns = c->now_ns;
    c->recovery.bucket = 0;
    c->recovery.oldest = UINT64_MAX;
    for (uint32_t i = 0; i < c->recovery.count; i++)
        c->recovery.deaths[i].met = false;
}

static void tell_units(struct rill_controller *c, const struct death *death)
{
    for (uint32_t i = 0; i < rill_wam_active_count(c->wam); i++)
        say(c, RILL_FRAME_DEAD, rill_wam_active_at(c->wam, i), death);
}

/* Gives how many the unit leased; if none, none need come back. */
static uint32_t keep_endpoints(struct rill_controller *c, const struct death *death)
{
    uint32_t n = 0;

    for (unsigned p = 0; p < c->config.pool_count; p++)
        n += rill_port_pool_unit_died(c->pools[p], death->unit);
    return n;
}

/* Something new has to be heard: it does not wait for what was said often enough. */
static void remind_soon(struct rill_controller *c)
{
    uint64_t due_ns;

    c->recovery.reminders = 0;
    due_ns = c->now_ns + ctl_resend_ns(c, &c->recovery.reminders);
    if (c->recovery.remind_ns <= c->now_ns || due_ns < c->recovery.remind_ns)
        c->recovery.remind_ns = due_ns;
}

/* Flows that had nowhere to go may have now. */
void recovery_unit_came(struct rill_controller *c)
{
    if (c->recovery.count == 0)
        return;
    c->recovery.passes = 0;
    if (!c->recovery.passing)
        c->recovery.pass_ns = c->now_ns;
}

/* Older copies of a flow that ends before its time may be taken for a living flow's by a controller
 * that takes over soon. If its owner is dead, or dies before they can not any more, the newest copy
 * is at that one's output logger, which has to stay for so long. */
void recovery_early_end(struct rill_controller *c, const struct rill_chain_entry *chain,
                        uint8_t len)
{
    c->recovery.held_until_ns = c->now_ns + c->config.vouched_ns + 4 * c->config.frame_life_ns;
    for (uint8_t i = 0; i < len; i++) {
        struct death *death = find(c, chain[i].unit);

        if (death != NULL)
            death->hold_ns = c->recovery.held_until_ns;
    }
}

static struct death *note(struct rill_controller *c, uint32_t unit, uint32_t output_logger)
{
    struct death *death = &c->recovery.deaths[c->recovery.count++];

    *death = (struct death){.unit = unit,
                            .output_logger = output_logger,
                            .newest_flow = c->clock,
                            .hold_ns = c->recovery.held_until_ns};
    c->n.deaths++;
    capacity_unit_died(c, death->unit);
    death->endpoints_back = keep_endpoints(c, death) == 0;
    remind_soon(c);
    c->recovery.passes = 0;
    begin_pass(c);
    return death;
}

bool recovery_note(struct rill_controller *c, uint32_t unit, uint32_t output_logger)
{
    struct death *death = find(c, unit);
    bool is_new = death == NULL;

    if (is_new && c->recovery.count == DEATHS_MAX)
        return false;
    if (is_new)
        death = note(c, unit, output_logger);
    if (output_logger == 0 && death->output_logger != RILL_LOGGER_LOST) {
        death->output_logger = RILL_LOGGER_LOST;
        death->fenced = true; /* nobody is there to be told */
        is_new = true;
    }
    if (is_new) {
        tell_units(c, death);
        remind(c, death);
        takeover_on_death(c, output_logger);
    }
    return is_new;
}

void recovery_begin(struct rill_controller *c)
{
    if (c->recovery.count > 0)
        begin_pass(c);
}

void recovery_on_death(struct rill_controller *c, const struct rill_frame *f)
{
    struct rte_mbuf *ack;

    if (rill_role_kind(f->next_unit) != RILL_ROLE_UNIT ||
        (f->count != 0 && rill_role_kind(f->count) != RILL_ROLE_OUTPUT_LOGGER)) {
        c->n.messages_malformed++;
        return;
    }
    recovery_note(c, f->next_unit, f->count);
    if (find(c, f->next_unit) == NULL)
        return; /* no room: the resource manager says it again */
    ack = ctl_message(c, RILL_FRAME_DEATH_ACK, f->src, 0);
    if (ack == NULL)
        return;
    rill_frame(ack)->next_unit = f->next_unit;
    rill_frame(ack)->count = f->count;
    rill_outbox_put(c->out, ack);
}

void recovery_on_fence_ack(struct rill_controller *c, const struct rill_frame *f)
{
    struct death *death = find(c, f->next_unit);

    if (death != NULL)
        death->fenced = true;
}

void recovery_on_recovered_ack(struct rill_controller *c, const struct rill_frame *f)
{
    struct death *death = find(c, f->next_unit);

    if (death == NULL || !death->over)
        return;
    death->told = true;
    /* No grant that names it is under way any more after this. */
    death->forget_ns = c->now_ns + c->config.lease_ns;
}

/* --- passes over the flows -------------------------------------------------------------------- */

/* One owner after another died, and none had begun, as far as is known: one more has no place in
 * the chain. If the last one had, its output logger has the term and says so (ESTABLISHED); else we
 * ask for that "nothing" ourselves, as a unit would that shall have the flow. */
static void ask_about_owner(struct rill_controller *c, struct flow *flow, uint32_t logger)
{
    struct rte_mbuf *m;

    if (logger == RILL_LOGGER_LOST) { /* whoever came to ask would say so */
        c->n.flows_lost++;
        flows_end(c, flow);
        return;
    }
    m = RILL_MUTANT(full_chain) ? NULL
                                : ctl_message(c, RILL_FRAME_LOGGER_PULL, logger, flow->number);
    if (m == NULL)
        return;
    rill_frame(m)->granted_term = flow->term;
    rill_frame(m)->next_term = flow->term + 1;
    rill_frame(m)->next_unit = flow->owner;
    c->n.owners_asked_about++;
    rill_outbox_put(c->out, m);
}

/* Its owner is dead: to another unit, in a new term. */
static void rehome(struct rill_controller *c, struct flow *flow)
{
    uint32_t unit;

    if (rill_wam_active_count(c->wam) == 0)
        return; /* in a later pass */
    rill_wam_flowlet_end(c->wam, flow->owner, &flow->pending, c->now_ns);
    unit = flows_choose_unit(c, flow);
    if (unit == 0 || unit == flow->owner)
        return;
    smm_move(c, flow, unit);
    c->n.flows_rehomed++;
}

static void visit(struct rill_controller *c, struct flow *flow)
{
    bool full = flow->chain_len == RILL_CHAIN_MAX, waits = false;
    uint32_t logger;

    if (flow->number < c->recovery.oldest)
        c->recovery.oldest = flow->number;
    if (recovery_logger_of(c, flow->owner) != 0 && !full)
        rehome(c, flow);
    for (uint8_t i = 0; i < flow->chain_len; i++) {
        struct death *death = find(c, flow->chain[i].unit);

        if (death == NULL)
            continue;
        death->met = true;
        waits = true;
    }
    logger = recovery_logger_of(c, flow->owner);
    if (waits && logger == 0 && !RILL_MUTANT(take_never))
        send_take(c, flow);
    if (logger != 0 && full)
        ask_about_owner(c, flow, logger); /* may end it */
}

/* That owner never had the term that we asked about, and never will: it is fenced. */
void recovery_on_logger_state(struct rill_controller *c, const struct rill_frame *f)
{
    struct flow *flow = flows_by_number(c, f->flow);

    if (rill_wam_active_count(c->wam) == 0) /* nobody can take it: asked again in the next pass */
        return;
    if (flow == NULL || !(f->flags & RILL_FLAG_REFUSED) || flow->chain_len != RILL_CHAIN_MAX ||
        flow->chain[0].term != f->granted_term || flow->chain[0].unit != f->next_unit)
        return;
    flow->chain_len--;
    memmove(flow->chain, flow->chain + 1, flow->chain_len * sizeof(flow->chain[0]));
    visit(c, flow);
}

static bool all_over(const struct rill_controller *c)
{
    for (uint32_t i = 0; i < c->recovery.count; i++)
        if (!c->recovery.deaths[i].over)
            return false;
    return true;
}

bool recovery_needs_unit(const struct rill_controller *c)
{
    return !all_over(c);
}

/* When only endpoints have to come back, which may take as long as a flow lives, passes can wait:
 * endpoints rest for longer anyhow. */
static uint64_t pass_pause_ns(struct rill_controller *c)
{
    if (!all_over(c))
        return ctl_resend_ns(c, &c->recovery.passes);
    return RTE_MAX(c->config.retry_ns, c->config.pool_quarantine_ns);
}

static void end_pass(struct rill_controller *c)
{
    c->recovery.passing = false;
    for (uint32_t i = 0; i < c->recovery.count; i++) {
        struct death *death = &c->recovery.deaths[i];

        if ((!death->met || RILL_MUTANT(recovered_early)) && !death->over &&
            c->now_ns >= death->hold_ns) {
            death->over = true;
            remind_soon(c);
            if (logger_may_go(c))
                say(c, RILL_FRAME_RECOVERED, c->config.rm, death);
        }
        if (death->endpoints_back ||
            (c->recovery.oldest <= death->newest_flow && !RILL_MUTANT(portquar)))
            continue;
        for (unsigned p = 0; p < c->config.pool_count; p++)
            rill_port_pool_release_dead(c->pools[p], death->unit, c->now_ns);
        death->endpoints_back = true;
        c->recovery.remind_ns = RTE_MIN(c->recovery.remind_ns, c->now_ns + c->config.retry_ns);
    }
    if (all_over(c))
        endpoints_deaths_over(c);
    c->recovery.pass_ns = c->now_ns + pass_pause_ns(c);
}

static void slice(struct rill_controller *c)
{
    uint32_t end = c->recovery.bucket + SLICE_BUCKETS;

    for (; c->recovery.bucket < end && c->recovery.bucket <= c->by_number.mask;
         c->recovery.bucket++)
        for (struct rill_map_node *node = c->by_number.buckets[c->recovery.bucket], *next;
             node != NULL; node = next) {
            next = node->next;
            visit(c, flow_of_node(node));
        }
    c->recovery.pass_ns = c->now_ns + SLICE_PAUSE_NS;
    if (c->recovery.bucket > c->by_number.mask)
        end_pass(c);
}

/* When a death can be forgotten, where nothing has to be repeated. */
static uint64_t next_reminder_ns(const struct rill_controller *c)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < c->recovery.count; i++) {
        const struct death *death = &c->recovery.deaths[i];

        if (death->told && death->endpoints_back) /* else the pass that finds them back says so */
            next_ns = RTE_MIN(next_ns, death->forget_ns);
        else if (death->over && !death->told)
            next_ns = RTE_MIN(next_ns, c->untold_until_ns);
    }
    return RTE_MAX(next_ns, c->now_ns + c->config.retry_ns);
}

static void forget(struct rill_controller *c)
{
    for (uint32_t i = 0; i < c->recovery.count;) {
        const struct death *death = &c->recovery.deaths[i];

        if (death->told && death->endpoints_back && c->now_ns >= death->forget_ns)
            c->recovery.deaths[i] = c->recovery.deaths[--c->recovery.count];
        else
            i++;
    }
}

static bool remind_all(struct rill_controller *c)
{
    bool any = false;

    for (uint32_t i = 0; i < c->recovery.count; i++)
        any |= remind(c, &c->recovery.deaths[i]);
    return any;
}

void recovery_tick(struct rill_controller *c)
{
    if (c->recovery.count == 0)
        return;
    if (c->now_ns >= c->recovery.remind_ns) {
        bool any = remind_all(c);

        forget(c);
        c->recovery.remind_ns =
            any ? c->now_ns + ctl_resend_ns(c, &c->recovery.reminders) : next_reminder_ns(c);
    }
    if (c->now_ns < c->recovery.pass_ns)
        return;
    if (!c->recovery.passing)
        begin_pass(c);
    slice(c);
}

uint64_t recovery_next_ns(const struct rill_controller *c)
{
    if (c->recovery.count == 0)
        return UINT64_MAX;
    return RTE_MIN(c->recovery.pass_ns, c->recovery.remind_ns);
}
