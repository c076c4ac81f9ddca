/* What goes wrong: at moments that the seed draws, and (ambushes) at control messages, just before
 * or after they arrive, so that every step of a conversation is struck now and then. */
#include "tests/sim/world.h"

enum fault {
    KILL_PROGRAM,
    HANG_PROGRAM,
    NAP_PROGRAM,
    KILL_AGENT,
    KILL_RM,
    BREAK_LINE,
    MACHINE_OFF,
    NO_STARTS,
    SLOW_STARTS,
    KILL_PAIR,
    NAP_AGENT,
    NAP_RM,
    REPLACE_RM,
    STORE_AWAY,
    FAULTS
};

/* --- what comes back -------------------------------------------------------------------------- */

static void on_agent_back(struct world *w, const struct world_event *event)
{
    world_agent_start(w, event->data);
}

static void on_rm_back(struct world *w, const struct world_event *event)
{
    (void)event;
    world_rm_start(w);
}

static void on_machine_back(struct world *w, const struct world_event *event)
{
    world_machine_on(w, event->data);
}

static void on_starts_back(struct world *w, const struct world_event *event)
{
    struct world_machine *m = event->data;

    (void)w;
    m->fails_to_start = m->dies_at_once = 0;
    m->slow_start_ns = 0;
}

static uint64_t later_ns(struct world *w, uint64_t most_ms)
{
    return w->now_ns + 1 + world_draw(w, most_ms * WORLD_MS);
}

/* --- strikes ---------------------------------------------------------------------------------- */

static struct world_machine *any_machine(struct world *w)
{
    return &w->machines[world_draw(w, w->plan.machines - 1)];
}

static struct world_program *any_program(struct world *w)
{
    uint32_t alive = 0, chosen;

    for (uint32_t i = 0; i < w->program_count; i++)
        alive += w->programs[i]->alive;
    if (alive == 0)
        return NULL;
    chosen = (uint32_t)world_draw(w, alive - 1);
    for (uint32_t i = 0; i < w->program_count; i++)
        if (w->programs[i]->alive && chosen-- == 0)
            return w->programs[i];
    return NULL;
}

static void kill_agent(struct world *w, struct world_machine *m)
{
    world_agent_crash(w, m);
    world_at(w, later_ns(w, 300), on_agent_back, m, 0, 0);
}

/* Now and then all that it had written down is lost with it: the next one is the first. */
static void kill_rm(struct world *w)
{
    world_rm_crash(w);
    if (!w->plan.gentle && world_chance(w, 0.2))
        world_store_lose(w);
    world_at(w, later_ns(w, 300), on_rm_back, NULL, 0, 0);
}

static void break_any(struct world *w)
{
    uint32_t open = 0, chosen;

    for (uint32_t i = 0; i < w->line_count; i++)
        open += w->lines[i]->connection != NULL;
    if (open == 0)
        return;
    chosen = (uint32_t)world_draw(w, open - 1);
    for (uint32_t i = 0; i < w->line_count; i++) {
        if (w->lines[i]->connection == NULL || chosen-- != 0)
            continue;
        world_note(w, "connection %u breaks", w->lines[i]->connection->number);
        world_break(w, w->lines[i]->connection);
        return;
    }
}

static void starts_go_wrong(struct world *w, struct world_machine *m, bool slow)
{
    world_note(w, "%s: containers %s", m->name, slow ? "start slowly" : "do not start");
    if (slow)
        m->slow_start_ns = world_draw(w, 400 * WORLD_MS);
    else if (world_chance(w, 0.5))
        m->fails_to_start = world_chance(w, 0.5) ? 1 : 0.5;
    else
        m->dies_at_once = world_chance(w, 0.5) ? 1 : 0.5;
    world_at(w, later_ns(w, 300), on_starts_back, m, 0, 0);
}

static void hang(struct world *w, struct world_program *p, bool for_good)
{
    if (p != NULL && !world_program_stands_still(p))
        world_program_stand_still(p, for_good ? UINT64_MAX : later_ns(w, 400));
}

static void on_kill(struct world *w, const struct world_event *event)
{
    if (!w->calm)
        world_program_end(event->data, 11);
}

/* A unit and its output logger, the one soon after the other. */
static void kill_pair(struct world *w, struct world_program *p)
{
    struct world_program *unit = p, *logger;

    for (uint32_t i = 0; i < w->program_count; i++)
        if (w->programs[i]->active && w->programs[i]->core.unit != NULL &&
            w->programs[i]->id % 5 >= p->id % 5)
            unit = w->programs[i];
    logger = world_program(w, unit->logger, true);
    if (logger == NULL)
        return;
    unit->chased = world_chance(w, 0.6);
    if (!unit->chased)
        world_at(w, w->now_ns + world_draw(w, 40 * WORLD_MS), on_kill, unit, 0, 0);
    world_at(w, w->now_ns + world_draw(w, 40 * WORLD_MS), on_kill, logger, 0, 0);
}

/* A unit that has just been told, or is about to be told, of its new output logger. */
static void chase(struct world *w, struct world_program *unit)
{
    unit->chased = false;
    if (world_chance(w, 0.5))
        world_program_end(unit, 11);
    else
        world_at(w, w->now_ns + world_draw(w, WORLD_MS / 2), on_kill, unit, 0, 0);
}

static enum fault draw_fault(struct world *w)
{
    static const uint32_t all[FAULTS] = {8, 3, 2, 2, 2, 5, 1, 1, 1, 8, 1, 1, 2, 1};
    static const uint32_t gentle[FAULTS] = {[KILL_AGENT] = 1, [BREAK_LINE] = 2, [NAP_RM] = 1,
                                            [KILL_RM] = 1,    [REPLACE_RM] = 2, [STORE_AWAY] = 1};
    const uint32_t *weights = w->plan.gentle ? gentle : all;
    uint32_t sum = 0;
    uint64_t chosen;
    int fault = 0;

    for (int i = 0; i < FAULTS; i++)
        sum += weights[i];
    chosen = world_draw(w, sum - 1);
    while (chosen >= weights[fault])
        chosen -= weights[fault++];
    return (enum fault)fault;
}

static void strike(struct world *w, enum fault fault)
{
    struct world_program *p = any_program(w);
    struct world_machine *m = any_machine(w);

    switch (fault) {
    case KILL_PROGRAM:
        if (p != NULL)
            world_program_end(p, 11);
        break;
    case HANG_PROGRAM:
    case NAP_PROGRAM:
        hang(w, p, fault == HANG_PROGRAM);
        break;
    case KILL_AGENT:
        kill_agent(w, m);
        break;
    case KILL_RM:
        kill_rm(w);
        break;
    case BREAK_LINE:
        break_any(w);
        break;
    case MACHINE_OFF:
        world_machine_off(w, m);
        world_at(w, later_ns(w, 500), on_machine_back, m, 0, 0);
        break;
    case NO_STARTS:
    case SLOW_STARTS:
        starts_go_wrong(w, m, fault == SLOW_STARTS);
        break;
    case KILL_PAIR:
        if (p != NULL)
            kill_pair(w, p);
        break;
    case NAP_AGENT:
        world_note(w, "%s: the agent stands still", m->name);
        m->still_until = later_ns(w, 400);
        break;
    case NAP_RM:
        world_note(w, "the resource manager stands still");
        w->rm->still_until = later_ns(w, 400);
        break;
    case REPLACE_RM:
        if (world_chance(w, 0.5))
            w->rm->still_until = later_ns(w, 400);
        world_rm_replace(w);
        break;
    case STORE_AWAY:
        world_note(w, "the store is away");
        w->store.away_until = later_ns(w, 400);
        break;
    case FAULTS:
        break;
    }
}

static void on_fault(struct world *w, const struct world_event *event)
{
    (void)event;
    if (!w->calm)
        strike(w, draw_fault(w));
}

/* --- ambushes --------------------------------------------------------------------------------- */

/* Kinds of messages alike, though there are many of some and few of others. */
static void set_ambush(struct world *w)
{
    static const Control__Message__BodyCase kinds[] = {
        CONTROL__MESSAGE__BODY_DONE,           CONTROL__MESSAGE__BODY_ERROR,
        CONTROL__MESSAGE__BODY_JOIN,           CONTROL__MESSAGE__BODY_WELCOME,
        CONTROL__MESSAGE__BODY_START,          CONTROL__MESSAGE__BODY_STARTED,
        CONTROL__MESSAGE__BODY_STOP,           CONTROL__MESSAGE__BODY_EXITED,
        CONTROL__MESSAGE__BODY_ACTIVATE,       CONTROL__MESSAGE__BODY_ACTIVATED,
        CONTROL__MESSAGE__BODY_PEERS,          CONTROL__MESSAGE__BODY_LEASE_REQUEST,
        CONTROL__MESSAGE__BODY_LEASE_GRANT,    CONTROL__MESSAGE__BODY_SHARE,
        CONTROL__MESSAGE__BODY_SHARE_ACK,      CONTROL__MESSAGE__BODY_DEATH,
        CONTROL__MESSAGE__BODY_DEATH_ACK,      CONTROL__MESSAGE__BODY_RECOVERED,
        CONTROL__MESSAGE__BODY_RECOVERED_ACK,  CONTROL__MESSAGE__BODY_NEW_LOGGER,
        CONTROL__MESSAGE__BODY_NEW_LOGGER_ACK, CONTROL__MESSAGE__BODY_MEMBERS_REQUEST,
        CONTROL__MESSAGE__BODY_MEMBERS};

    for (uint32_t i = 0; i < w->plan.ambushes; i++)
        w->ambushes[i] =
            (struct world_ambush){.at = kinds[world_draw(w, RTE_DIM(kinds) - 1)],
                                  .after = (uint32_t)world_draw(w, world_chance(w, 0.5) ? 2 : 20)};
}

/* Whom the message is for, or from, or the connection itself. */
static void strike_at(struct world *w, struct world_connection *c, const Control__Message *m)
{
    uint32_t id = world_chance(w, 0.5) ? m->to : m->from;
    struct world_program *p = world_program(w, id, true);

    if (w->plan.gentle || world_chance(w, 0.4))
        world_break(w, c);
    else if (p != NULL && world_chance(w, 0.7))
        world_program_end(p, 11);
    else if (p != NULL)
        hang(w, p, world_chance(w, 0.5));
    else if (rill_role_kind(id) == RILL_ROLE_AGENT || c->line->kind == WORLD_LINE_PROGRAM)
        kill_agent(w, c->line->kind == WORLD_LINE_AGENT ? c->line->owner
                      : c->line->kind == WORLD_LINE_PROGRAM
                          ? ((struct world_program *)c->line->owner)->machine
                          : any_machine(w));
    else if (world_chance(w, 0.3))
        kill_rm(w);
}

void world_faults_message(struct world *w, struct world_connection *c, enum world_end end,
                          const Control__Message *message)
{
    if (!w->calm && end == WORLD_DIALLER && c->line->kind == WORLD_LINE_PROGRAM &&
        message->body_case == CONTROL__MESSAGE__BODY_NEW_LOGGER &&
        ((struct world_program *)c->line->owner)->chased)
        chase(w, c->line->owner);
    for (uint32_t i = 0; !w->calm && i < w->plan.ambushes; i++) {
        struct world_ambush *ambush = &w->ambushes[i];

        if (w->now_ns < w->plan.faults_ns || ambush->at != message->body_case || ambush->over ||
            ambush->after-- > 0)
            continue;
        ambush->over = true;
        world_note(w, "ambush at %s", rill_control_name(message));
        strike_at(w, c, message);
    }
}

/* --- from and to ------------------------------------------------------------------------------ */

void world_faults_plan(struct world *w)
{
    const struct world_plan *plan = &w->plan;

    for (uint32_t i = 0; i < plan->faults; i++)
        world_at(w, plan->faults_ns + world_draw(w, plan->faults_until - plan->faults_ns), on_fault,
                 NULL, 0, 0);
    set_ambush(w);
}

void world_faults_stop(struct world *w)
{
    w->calm = true;
    world_note(w, "nothing goes wrong any more");
    for (uint32_t i = 0; i < w->plan.machines; i++) {
        struct world_event back = {.data = &w->machines[i]};

        on_starts_back(w, &back);
        world_machine_on(w, &w->machines[i]);
    }
    world_rm_start(w);
}
