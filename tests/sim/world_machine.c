/* A machine: what rm/agent/main.c does around the agent's core, and a keeper as rm/agent/keeper.h
 * has it, whose containers are not there. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

enum { LOOK_MS = 20, GRACE_MS = 50, JOIN_AGAIN_MS = 100, TIDY_UP_MS = 100 };

/* --- events of the keeper --------------------------------------------------------------------- */

struct news {
    struct rill_keeper_event event;
    uint32_t life;
};

static void on_news(struct world *w, const struct world_event *happened)
{
    struct world_machine *m = (struct world_machine *)(uintptr_t)happened->a;
    struct news *news = happened->data;

    (void)w;
    if (m->agent != NULL && m->life == news->life)
        rill_agent_keeper_event(m->agent, &news->event);
    free(news);
}

/* The agent may stand still: the two are two processes. */
static void tell(struct world_machine *m, const struct rill_keeper_event *event)
{
    struct world *w = m->w;
    struct news *news;

    if (m->agent != NULL && m->still_until <= w->now_ns) {
        rill_agent_keeper_event(m->agent, event);
        return;
    }
    news = world_alloc(sizeof(*news));
    *news = (struct news){.event = *event, .life = m->life};
    world_at(w, m->still_until, on_news, news, (uintptr_t)m, 0);
}

void world_news_forget(struct world *w)
{
    for (uint32_t i = 0; i < w->event_count; i++)
        if (w->events[i].happen == on_news)
            free(w->events[i].data);
}

static bool is_of(const struct world_machine *m, const struct world_program *p)
{
    return p->machine == m && p->there;
}

static bool is_anything_there(const struct world_machine *m)
{
    for (uint32_t i = 0; i < m->w->program_count; i++)
        if (is_of(m, m->w->programs[i]))
            return true;
    return false;
}

static struct world_program *find(struct world_machine *m, uint32_t role)
{
    for (uint32_t i = m->w->program_count; i-- > 0;)
        if (is_of(m, m->w->programs[i]) && m->w->programs[i]->id == role)
            return m->w->programs[i];
    return NULL;
}

static void end_stop_all(struct world_machine *m)
{
    struct rill_keeper_event event = {.type = RILL_KEEPER_ALL_STOPPED};

    if (!m->stopping_all || m->starting || is_anything_there(m))
        return;
    m->stopping_all = false;
    tell(m, &event);
}

/* It is known how the program ended, and the container goes. */
static void on_how_known(struct world *w, const struct world_event *event)
{
    struct world_program *p = event->data;
    struct world_machine *m = p->machine;
    struct rill_keeper_event exited = {.type = RILL_KEEPER_EXITED,
                                       .role = p->id,
                                       .wait_status = p->wait_status,
                                       .stalled = p->stalled};

    (void)w;
    if (!p->there || m->agent == NULL || m->life != event->a)
        return;
    p->there = false;
    if (m->stopping_all)
        end_stop_all(m);
    else
        tell(m, &exited);
}

/* The container is looked at: its program has ended. */
static void on_end_noticed(struct world *w, const struct world_event *event)
{
    struct world_program *p = event->data;
    struct world_machine *m = p->machine;
    struct rill_keeper_event ended = {
        .type = RILL_KEEPER_ENDED, .role = p->id, .stalled = p->stalled};

    if (!p->there || m->agent == NULL || m->life != event->a)
        return;
    if (!m->stopping_all)
        tell(m, &ended);
    world_at(w, w->now_ns + world_draw(w, TIDY_UP_MS * WORLD_MS), on_how_known, p, m->life, 0);
}

void world_machine_ended(struct world *w, struct world_program *p, int32_t wait_status)
{
    struct world_machine *m = p->machine;

    p->wait_status = wait_status;
    world_at(w, w->now_ns + world_draw(w, 3 * WORLD_MS), on_end_noticed, p, m->life, 0);
}

/* --- starts ----------------------------------------------------------------------------------- */

static void start_next(struct world_machine *m);

static void failed(struct world_machine *m, uint32_t role, const char *text)
{
    struct rill_keeper_event event = {.type = RILL_KEEPER_FAILED, .role = role};

    snprintf(event.text, sizeof(event.text), "%s", text);
    tell(m, &event);
}

static void on_told_started(struct world *w, const struct world_event *event)
{
    struct world_program *p = event->data;
    struct rill_keeper_event started = {
        .type = RILL_KEEPER_STARTED, .role = p->id, .token = p->token, .start_ns = 10 * WORLD_MS};

    (void)w;
    if (p->machine->agent == NULL || p->machine->life != event->a)
        return;
    p->machine->starting = false;
    if (!p->machine->stopping_all)
        tell(p->machine, &started);
    else
        world_program_end(p, 9);
    start_next(p->machine);
}

static void make_container(struct world_machine *m, uint32_t role)
{
    struct world *w = m->w;
    struct world_program *p = world_program_start(w, m, role, rill_rng_u64(&w->rng) | 1);

    /* A program may be faster than the word of its start. */
    world_at(w, w->now_ns + world_draw(w, WORLD_MS), on_told_started, p, m->life, 0);
    if (world_chance(w, m->dies_at_once))
        world_program_end(p, 11);
}

static void on_started(struct world *w, const struct world_event *event)
{
    struct world_machine *m = event->data;
    uint32_t role = (uint32_t)event->b;

    if (m->life != event->a || m->agent == NULL)
        return;
    if (find(m, role) != NULL || world_chance(w, m->fails_to_start)) {
        m->starting = false;
        failed(m, role, find(m, role) != NULL ? "it is there already" : "no room on the disk");
        start_next(m);
        return;
    }
    make_container(m, role);
}

static void start_next(struct world_machine *m)
{
    uint32_t role = m->starts[0];
    struct world *w = m->w;

    end_stop_all(m);
    if (m->starting || m->start_count == 0 || m->agent == NULL)
        return;
    m->start_count--;
    memmove(&m->starts[0], &m->starts[1], m->start_count * sizeof(role));
    m->starting = true;
    m->starting_role = role;
    world_at(w, w->now_ns + 1 + m->slow_start_ns + world_draw(w, w->plan.start_ns), on_started, m,
             m->life, role);
}

/* --- what the agent asks of the keeper -------------------------------------------------------- */

static void run(void *arg, uint32_t role, bool host_network)
{
    struct world_machine *m = arg;

    if (host_network && (rill_role_kind(role) == RILL_ROLE_UNIT || !m->w->plan.live))
        world_fail(m->w, "NETWORK", "%08x is to have the host's network", role);
    if (m->start_count == RTE_DIM(m->starts)) {
        failed(m, role, "too many wait");
        return;
    }
    m->starts[m->start_count++] = role;
    start_next(m);
}

static bool drop_start(struct world_machine *m, uint32_t role)
{
    for (uint32_t i = 0; i < m->start_count; i++) {
        if (m->starts[i] != role)
            continue;
        m->start_count--;
        memmove(&m->starts[i], &m->starts[i + 1], (m->start_count - i) * sizeof(m->starts[0]));
        return true;
    }
    return false;
}

static void on_terminated(struct world *w, const struct world_event *event)
{
    struct world_program *p = event->data;
    bool killed = p->machine->life == event->a && p->machine->agent != NULL;

    (void)w;
    if (p->alive && (killed || !world_program_stands_still(p)))
        world_program_end(p, 15);
}

static void terminate(struct world_program *p)
{
    struct world *w = p->w;
    uint64_t grace_ns = world_program_stands_still(p) ? GRACE_MS * WORLD_MS : 5 * WORLD_MS;

    if (p->alive)
        world_at(w, w->now_ns + world_draw(w, grace_ns), on_terminated, p, p->machine->life, 0);
}

static void on_stop_asked(struct world *w, const struct world_event *event)
{
    struct world_machine *m = event->data;
    struct world_program *p;

    (void)w;
    if (m->agent == NULL || m->life != event->a)
        return;
    p = find(m, (uint32_t)event->b);
    if (p != NULL)
        terminate(p);
    else if (drop_start(m, (uint32_t)event->b))
        failed(m, (uint32_t)event->b, "it was stopped before it was started");
    else if (m->starting) /* maybe it is the one: the keeper reads on when that is done */
        world_at(w, w->now_ns + WORLD_MS, on_stop_asked, m, event->a, event->b);
}

/* The keeper is another process: it answers later. */
static void stop(void *arg, uint32_t role, bool at_once)
{
    struct world_machine *m = arg;

    (void)at_once; /* a simulated program ends at once, and says nothing, either way */
    world_at(m->w, m->w->now_ns + 1, on_stop_asked, m, m->life, role);
}

static void fail(void *arg, uint32_t role, bool hang)
{
    struct world_program *p = find(arg, role);

    if (p == NULL || !p->alive)
        return;
    if (hang)
        world_program_stand_still(p, UINT64_MAX);
    else
        world_program_end(p, 9);
}

static void on_stop_all(struct world *w, const struct world_event *event)
{
    struct world_machine *m = event->data;

    if (m->agent == NULL || m->life != event->a)
        return;
    m->start_count = 0;
    m->stopping_all = true;
    for (uint32_t i = 0; i < w->program_count; i++)
        if (is_of(m, w->programs[i]))
            terminate(w->programs[i]);
    end_stop_all(m);
}

static void stop_all(void *arg)
{
    struct world_machine *m = arg;

    world_at(m->w, m->w->now_ns + 1, on_stop_all, m, m->life, 0);
}

/* --- the stall watch -------------------------------------------------------------------------- */

static bool look_at(struct world *w, struct world_program *p)
{
    bool still = world_program_stands_still(p);
    struct rill_stall_seen seen = {
        .turns = still ? p->stall.turns : p->stall.turns + 1,
        .cpu_ns = p->stall.cpu_ns + (p->spins ? LOOK_MS * WORLD_MS / 2 : 0),
        .wants_cpu = p->spins,
    };

    if (seen.turns == 0)
        seen.turns = 1;
    if (rill_stall_look(&p->stall, &seen, LOOK_MS * WORLD_MS) < w->plan.stall_ms * WORLD_MS)
        return still;
    p->stalled = true;
    world_note(w, "%s: the keeper kills %08x, which stands still", p->machine->name, p->id);
    world_program_end(p, 9);
    return false;
}

static void on_look(struct world *w, const struct world_event *event)
{
    struct world_machine *m = event->data;
    bool again = false;

    if (m->life != event->a)
        return;
    m->looking = false;
    if (m->agent == NULL)
        return;
    for (uint32_t i = 0; i < w->program_count; i++)
        if (is_of(m, w->programs[i]) && w->programs[i]->alive)
            again |= look_at(w, w->programs[i]);
    if (again)
        world_machine_watch(w, m);
}

void world_machine_watch(struct world *w, struct world_machine *m)
{
    if (m->looking || m->agent == NULL)
        return;
    m->looking = true;
    world_at(w, w->now_ns + LOOK_MS * WORLD_MS, on_look, m, m->life, 0);
}

/* --- the agent's process ---------------------------------------------------------------------- */

static void to_rm(void *arg, const Control__Message *message)
{
    struct world_machine *m = arg;

    world_send(m->w, m->line->connection, WORLD_DIALLER, message);
}

static void to_program(void *arg, uint32_t peer, const Control__Message *message)
{
    struct world_machine *m = arg;

    world_send(m->w, world_connection_at(m->w, peer, WORLD_LISTENER), WORLD_LISTENER, message);
}

/* What ended while nobody looked is removed without a word; the rest is adopted. */
static void adopt(struct world_machine *m)
{
    struct rill_keeper_event event = {.type = RILL_KEEPER_ADOPTED};

    for (uint32_t i = 0; i < m->w->program_count; i++) {
        struct world_program *p = m->w->programs[i];

        if (!is_of(m, p))
            continue;
        p->there = p->alive;
        event.role = p->id;
        event.token = p->token;
        if (p->alive)
            tell(m, &event);
    }
    event = (struct rill_keeper_event){.type = RILL_KEEPER_READY};
    tell(m, &event);
}

void world_agent_start(struct world *w, struct world_machine *m)
{
    struct rill_agent_config config = {.machine = m->name,
                                       .cpus = 4,
                                       .memory_bytes = UINT64_C(8) << 30,
                                       .to_rm = to_rm,
                                       .to_program = to_program,
                                       .run = run,
                                       .stop = stop,
                                       .fail = fail,
                                       .stop_all = stop_all,
                                       .arg = m};
    struct rill_error err;

    if (m->agent != NULL || m->off || m->ended)
        return;
    world_note(w, "%s: an agent starts", m->name);
    m->life++;
    m->agent = rill_agent_create(&config, &err);
    if (m->agent == NULL)
        abort();
    m->still_until = 0;
    m->starting = m->looking = m->stopping_all = false;
    m->start_count = 0;
    adopt(m);
    world_machine_watch(w, m);
    m->line = world_line_open(w, WORLD_LINE_AGENT, m);
}

static void on_join_again(struct world *w, const struct world_event *event)
{
    struct world_machine *m = event->data;

    (void)w;
    if (m->agent != NULL && m->life == event->a && rill_agent_refused(m->agent))
        rill_agent_rm_up(m->agent);
}

void world_agent_told(struct world *w, struct world_machine *m, const Control__Message *message)
{
    rill_agent_rm_message(m->agent, message);
    if (rill_agent_refused(m->agent))
        world_at(w, w->now_ns + JOIN_AGAIN_MS * WORLD_MS, on_join_again, m, m->life, 0);
}

static void end(struct world *w, struct world_machine *m, bool flush)
{
    rill_agent_destroy(m->agent);
    m->agent = NULL;
    world_line_close(w, m->line, flush);
    world_listener_gone(w, m, flush);
}

/* What its keeper was about to start, or had just started, the next one finds or not. */
void world_agent_crash(struct world *w, struct world_machine *m)
{
    if (m->agent == NULL)
        return;
    world_note(w, "%s: the agent dies", m->name);
    end(w, m, false);
    if (m->starting && !m->off && find(m, m->starting_role) == NULL && world_chance(w, 0.5))
        world_program_start(w, m, m->starting_role, rill_rng_u64(&w->rng) | 1);
    m->starting = false;
}

void world_agent_turn(struct world *w, struct world_machine *m)
{
    if (m->agent == NULL || !rill_agent_over(m->agent))
        return;
    world_note(w, "%s: the agent ends", m->name);
    m->ended = true;
    end(w, m, true);
}

/* --- the machine ------------------------------------------------------------------------------ */

void world_machine_on(struct world *w, struct world_machine *m)
{
    m->off = false;
    world_agent_start(w, m);
}

void world_machine_off(struct world *w, struct world_machine *m)
{
    if (m->off)
        return;
    world_note(w, "%s loses its power", m->name);
    m->off = true;
    world_agent_crash(w, m);
    for (uint32_t i = 0; i < w->program_count; i++) {
        if (!is_of(m, w->programs[i]))
            continue;
        if (w->programs[i]->alive)
            world_program_end(w->programs[i], 9);
        w->programs[i]->there = false;
    }
}
