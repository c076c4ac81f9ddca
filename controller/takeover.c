/* A controller that takes another's place knows nothing of its flows, but that everything about
 * them is at the units and output loggers. It asks them all (INVENTORY): from then on they take
 * nothing of the old controller, and whoever is dead is fenced ("inv"). Until all that live have
 * answered nothing is sent, and what comes in is dropped and counted. Who lives says the resource
 * manager (MEMBERS), again and again, and once more when all have answered.
 *
 * What is told is put together in inherit.c. The packets of a flow that was there before begin a
 * new term, even at the same unit ("epochterm").
 */
#include <errno.h>

#include "controller/internal.h"
#include "lib/frame/inventory.h"

int takeover_init(struct rill_controller *c, struct rill_error *err)
{
    struct takeover *t = &c->takeover;

    if (!c->config.takes_over)
        return 0;
    t->active = true;
    for (unsigned p = 0; p < c->config.pool_count; p++)
        if (rill_port_pool_hold(c->pools[p], c->config.id) != 0)
            return rill_error_set(err, -ENOMEM, "no memory to take over a pool of endpoints");
    return inherit_init(c, err);
}

void takeover_fini(struct rill_controller *c)
{
    free(c->takeover.asked);
    inherit_fini(c);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask_for_members(struct rill_controller *c)
{
    struct rte_mbuf *m = ctl_message(c, RILL_FRAME_MEMBERS_REQUEST, c->config.rm, 0);

    if (m == NULL)
        return;
    rill_frame(m)->clock = c->takeover.request;
    rill_outbox_put(c->out, m);
}

static void ask(struct rill_controller *c, const struct asked *a)
{
    struct rte_mbuf *m = ctl_message(c, RILL_FRAME_INVENTORY, a->role, 0);
    struct rill_death dead[DEATHS_MAX];

    if (m == NULL)
        return;
    for (uint32_t i = 0; i < c->recovery.count; i++)
        dead[i] = (struct rill_death){.unit = c->recovery.deaths[i].unit,
                                      .output_logger = c->recovery.deaths[i].output_logger};
    rill_frame(m)->clock = a->part;
    rill_frame(m)->term = a->round;
    rill_frame(m)->count = c->recovery.count;
    if (rill_body_append(m, c->config.pool, dead, c->recovery.count * (uint32_t)sizeof(dead[0])) !=
        0) {
        c->n.messages_no_mbuf++;
        rte_pktmbuf_free(m);
        return;
    }
    rill_outbox_put(c->out, m);
}

static struct asked *find(const struct takeover *t, uint32_t role)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->asked[i].role == role)
            return &t->asked[i];
    return NULL;
}

static bool all_answered(const struct takeover *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->asked[i].done && !RILL_MUTANT(inv))
            return false;
    return t->listed;
}

bool takeover_asked(const struct rill_controller *c, uint32_t role)
{
    return find(&c->takeover, role) != NULL;
}

bool takeover_knows(const struct rill_controller *c, uint32_t unit)
{
    return takeover_asked(c, unit) || recovery_logger_of(c, unit) != 0;
}

/* --- who is there ----------------------------------------------------------------------------- */

/* From the first part on: with the dead that are known now. */
static void begin_anew(struct rill_controller *c, struct asked *a)
{
    a->done = false;
    c->takeover.tries = 0;
    a->part = 0;
    a->round = ++c->takeover.round;
    c->takeover.confirmed = false;
    ask(c, a);
}

static void need(struct rill_controller *c, uint32_t role)
{
    struct takeover *t = &c->takeover;
    struct asked *a = find(t, role);

    if (a != NULL) {
        a->needed = true;
        return;
    }
    if (t->count == t->room) {
        uint32_t room = t->room ? t->room * 2 : 64;
        struct asked *more = realloc(t->asked, room * sizeof(more[0]));

        if (more == NULL) { /* the list comes again */
            t->confirmed = false;
            return;
        }
        t->asked = more;
        t->room = room;
    }
    a = &t->asked[t->count++];
    *a = (struct asked){.role = role, .needed = true};
    begin_anew(c, a);
}

/* A unit died: its output logger answers anew, and fences it before. */
void takeover_on_death(struct rill_controller *c, uint32_t output_logger)
{
    struct asked *a = find(&c->takeover, output_logger);

    if (c->takeover.active && a != NULL)
        begin_anew(c, a);
}

static void need_dead(struct rill_controller *c, const struct rill_member *member)
{
    recovery_note(c, member->unit, member->output_logger);
    if (member->output_logger != 0)
        need(c, member->output_logger);
}

static void forget_others(struct takeover *t)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < t->count; i++)
        if (t->asked[i].needed)
            t->asked[kept++] = t->asked[i];
    t->count = kept;
}

static void confirm_or_build(struct rill_controller *c)
{
    struct takeover *t = &c->takeover;

    if (!all_answered(t))
        return;
    if (t->confirmed) {
        inherit_all(c);
        t->active = false;
        c->n.takeovers++;
        recovery_begin(c);
        return;
    }
    /* All that were there have answered: is it still all? */
    t->confirmed = true;
    t->request++;
    ask_for_members(c);
}

void takeover_on_members(struct rill_controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct takeover *t = &c->takeover;
    struct rill_member member;

    if (!t->active || f->clock != t->request)
        return;
    for (uint32_t i = 0; i < t->count; i++)
        t->asked[i].needed = false;
    /* The dead first: who is asked is told of them. */
    for (uint32_t at = 0; rill_body_read(m, at, &member, sizeof(member)) == 0; at += sizeof(member))
        if (member.dead)
            need_dead(c, &member);
    for (uint32_t at = 0; rill_body_read(m, at, &member, sizeof(member)) == 0;
         at += sizeof(member)) {
        if (member.dead)
            continue;
        need(c, member.unit);
        need(c, member.output_logger);
    }
    forget_others(t);
    t->listed = true;
    if (!t->confirmed)
        t->request++; /* whatever else comes for this one is old */
    confirm_or_build(c);
}

/* --- answers ---------------------------------------------------------------------------------- */

void takeover_on_part(struct rill_controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct asked *a = find(&c->takeover, f->src);

    if (!c->takeover.active || a == NULL || a->done || f->clock != a->part || f->term != a->round ||
        recovery_logger_of(c, f->src) != 0)
        return;
    if (!inherit_take(c, f->src, m)) {
        c->n.messages_malformed++;
        return;
    }
    inherit_heard(c, f->count);
    a->part = f->next_term;
    a->done = a->part == RILL_INVENTORY_END;
    c->takeover.tries = 0;
    if (!a->done)
        ask(c, a);
    else
        confirm_or_build(c);
}

/* --- time ------------------------------------------------------------------------------------- */

void takeover_tick(struct rill_controller *c)
{
    struct takeover *t = &c->takeover;

    if (!t->active || c->now_ns < t->resend_ns)
        return;
    t->resend_ns = c->now_ns + ctl_resend_ns(c, &t->tries);
    ask_for_members(c);
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->asked[i].done)
            ask(c, &t->asked[i]);
}

uint64_t takeover_next_ns(const struct rill_controller *c)
{
    return c->takeover.active ? c->takeover.resend_ns : UINT64_MAX;
}
