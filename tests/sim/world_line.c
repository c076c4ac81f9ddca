/* Control connections: what lib/control/link.h promises, and no more. Messages of a connection
 * arrive in order, each once, or the connection ends; what was under way then may have arrived or
 * not, from some message on. The two ends hear of it each in its own time. */
#include <stdlib.h>

#include "tests/sim/world.h"

#define REDIAL_NS (10 * WORLD_MS)

static void dial(struct world *w, struct world_line *line);

/* --- who listens ------------------------------------------------------------------------------ */

static struct world_machine *listener_of(const struct world_line *line)
{
    return line->kind == WORLD_LINE_PROGRAM ? ((struct world_program *)line->owner)->machine : NULL;
}

/* 0: nobody does now. */
static uint32_t listening_life(struct world *w, const struct world_line *line)
{
    const struct world_machine *machine = listener_of(line);
    const struct world_rm *other = w->rm == &w->rms[0] ? &w->rms[1] : &w->rms[0];

    if (machine != NULL)
        return machine->agent == NULL ? 0 : machine->life;
    if (other->director != NULL && world_chance(w, w->plan.old_rm))
        return other->life;
    return w->rm->director == NULL ? 0 : w->rm->life;
}

static bool listens(struct world *w, const struct world_connection *c)
{
    const struct world_machine *machine = listener_of(c->line);

    if (machine == NULL)
        return world_rm_of(w, c->life) != NULL;
    return machine->agent != NULL && machine->life == c->life;
}

/* --- telling the processes -------------------------------------------------------------------- */

static void tell_up(struct world_line *line)
{
    switch (line->kind) {
    case WORLD_LINE_PROGRAM:
        world_program_up(line->owner);
        break;
    case WORLD_LINE_AGENT:
        rill_agent_rm_up(((struct world_machine *)line->owner)->agent);
        break;
    case WORLD_LINE_CLIENT:
        world_client_up(line->owner);
    }
}

static void tell_dialler_down(struct world_line *line)
{
    if (line->kind == WORLD_LINE_AGENT)
        rill_agent_rm_down(((struct world_machine *)line->owner)->agent);
    else if (line->kind == WORLD_LINE_CLIENT)
        world_client_down(line->owner);
}

static void tell_down(struct world *w, struct world_connection *c, enum world_end end)
{
    struct world_machine *machine = listener_of(c->line);

    if (end == WORLD_DIALLER)
        tell_dialler_down(c->line);
    else if (machine != NULL)
        rill_agent_program_down(machine->agent, c->number);
    else
        rill_director_down(world_rm_of(w, c->life)->director, c->number, w->now_ns);
}

static void tell_message(struct world *w, struct world_connection *c, enum world_end end,
                         const Control__Message *m)
{
    struct world_machine *machine = listener_of(c->line);

    if (end == WORLD_LISTENER && machine != NULL)
        rill_agent_program_message(machine->agent, c->number, m);
    else if (end == WORLD_LISTENER)
        rill_director_message(world_rm_of(w, c->life)->director, c->number, m, w->now_ns);
    else if (c->line->kind == WORLD_LINE_PROGRAM)
        world_program_message(c->line->owner, m);
    else if (c->line->kind == WORLD_LINE_AGENT)
        world_agent_told(w, c->line->owner, m);
    else
        world_client_message(c->line->owner, m);
}

/* When the process at that end does something about what has come; now, unless it stands still. */
static uint64_t wakes_ns(struct world *w, const struct world_connection *c, enum world_end end)
{
    const struct world_machine *listener = listener_of(c->line);
    const struct world_rm *rm = world_rm_of(w, c->life);
    uint64_t still_until = 0;

    if (end == WORLD_LISTENER && listener != NULL)
        still_until = listener->still_until;
    else if (end == WORLD_LISTENER)
        still_until = rm == NULL ? 0 : rm->still_until;
    else if (c->line->kind == WORLD_LINE_PROGRAM)
        still_until = ((const struct world_program *)c->line->owner)->still_until;
    else if (c->line->kind == WORLD_LINE_AGENT)
        still_until = ((const struct world_machine *)c->line->owner)->still_until;
    return RTE_MAX(still_until, w->now_ns);
}

/* --- messages --------------------------------------------------------------------------------- */

struct parcel {
    size_t bytes;
    uint8_t message[];
};

static bool arrives(struct world *w, const struct world_connection *c, enum world_end end)
{
    if (!c->open[end] || w->now_ns >= c->cut_ns[end])
        return false;
    return end == WORLD_LISTENER ? listens(w, c) : !c->line->closed;
}

static void deliver(struct world *w, struct world_connection *c, enum world_end end,
                    const struct parcel *parcel)
{
    Control__Message *message;
    enum rill_control_result result = rill_control_unpack(parcel->message, parcel->bytes, &message);

    if (result != RILL_CONTROL_OK) {
        world_fail(w, "CONTROL", "a message was sent that nobody takes: %s",
                   rill_control_result_name(result));
        return;
    }
    if (w->trace != NULL)
        fprintf(w->trace, "%12" PRIu64 "  %08x to %08x: %s (connection %u, number %" PRIu64 ")\n",
                w->now_ns, message->from, message->to, rill_control_name(message), c->number,
                message->number);
    w->control_messages++;
    world_faults_message(w, c, end, message);
    if (arrives(w, c, end)) /* unless that struck it */
        tell_message(w, c, end, message);
    rill_control_free(message);
}

static void on_arrival(struct world *w, const struct world_event *event)
{
    struct world_connection *c = w->connections[event->a];
    enum world_end end = (enum world_end)event->b;
    uint64_t wakes = wakes_ns(w, c, end);

    if (wakes > w->now_ns && arrives(w, c, end)) {
        if (wakes != UINT64_MAX)
            world_put_off(w, event, wakes);
        else
            free(event->data);
        return;
    }
    if (arrives(w, c, end))
        deliver(w, c, end, event->data);
    free(event->data);
}

void world_lines_forget(struct world *w)
{
    for (uint32_t i = 0; i < w->event_count; i++)
        if (w->events[i].happen == on_arrival)
            free(w->events[i].data);
}

bool world_send(struct world *w, struct world_connection *c, enum world_end from,
                const Control__Message *message)
{
    enum world_end to = from == WORLD_DIALLER ? WORLD_LISTENER : WORLD_DIALLER;
    uint64_t at_ns = w->now_ns + 1 + world_draw(w, w->plan.line_delay_ns);
    size_t bytes = control__message__get_packed_size(message);
    struct parcel *parcel;

    if (c == NULL || !c->open[from])
        return false;
    parcel = world_alloc(sizeof(*parcel) + bytes);
    parcel->bytes = bytes;
    control__message__pack(message, parcel->message);
    c->last_ns[to] = RTE_MAX(c->last_ns[to] + 1, at_ns);
    world_at(w, c->last_ns[to], on_arrival, parcel, c->number - 1, to);
    return true;
}

/* --- connections ------------------------------------------------------------------------------ */

static void *grown(void *list, uint32_t *room, uint32_t count, size_t each)
{
    if (count < *room)
        return list;
    *room = *room == 0 ? 64 : *room * 2;
    list = realloc(list, *room * each);
    if (list == NULL)
        abort();
    return list;
}

struct world_connection *world_connection_at(struct world *w, uint32_t number, enum world_end end)
{
    struct world_connection *c =
        number == 0 || number > w->connection_count ? NULL : w->connections[number - 1];

    return c != NULL && c->open[end] ? c : NULL;
}

static void set_up(struct world *w, struct world_line *line, uint32_t life)
{
    struct world_connection *c = world_alloc(sizeof(*c));

    w->connections =
        grown(w->connections, &w->connection_room, w->connection_count, sizeof(*w->connections));
    w->connections[w->connection_count++] = c;
    *c = (struct world_connection){.number = w->connection_count,
                                   .line = line,
                                   .life = life,
                                   .open = {true, true},
                                   .cut_ns = {UINT64_MAX, UINT64_MAX}};
    line->connection = c;
    tell_up(line);
}

static void on_dial(struct world *w, const struct world_event *event)
{
    struct world_line *line = event->data;
    uint32_t life = listening_life(w, line);

    if (line->closed || line->connection != NULL)
        return;
    if (life == 0 || (line->kind == WORLD_LINE_PROGRAM && world_program_stands_still(line->owner)))
        dial(w, line);
    else
        set_up(w, line, life);
}

static void dial(struct world *w, struct world_line *line)
{
    world_at(w, w->now_ns + 1 + world_draw(w, REDIAL_NS), on_dial, line, 0, 0);
}

/* --- breaks ----------------------------------------------------------------------------------- */

static void on_down(struct world *w, const struct world_event *event)
{
    struct world_connection *c = w->connections[event->a];
    enum world_end end = (enum world_end)event->b;
    bool lives = end == WORLD_LISTENER ? listens(w, c) : !c->line->closed;
    uint64_t wakes = wakes_ns(w, c, end);

    if (!c->open[end])
        return;
    if (lives && wakes > w->now_ns) {
        if (wakes != UINT64_MAX)
            world_put_off(w, event, wakes);
        return;
    }
    c->open[end] = false;
    w->news_ns = w->now_ns;
    if (end == WORLD_DIALLER)
        c->line->connection = NULL;
    if (!lives)
        return;
    tell_down(w, c, end);
    if (end == WORLD_DIALLER)
        dial(w, c->line);
}

/* Between machines the one who listens may hear of it after the other is back. */
static uint64_t late_ns(struct world *w, const struct world_connection *c, enum world_end end)
{
    if (end == WORLD_LISTENER && c->line->kind != WORLD_LINE_PROGRAM && w->plan.machines > 1 &&
        world_chance(w, w->plan.slow_down))
        return world_draw(w, 300 * WORLD_MS);
    return world_draw(w, 2 * WORLD_MS);
}

static void break_it(struct world *w, struct world_connection *c, bool flush)
{
    for (int end = 0; end < 2; end++) {
        if (c->cut_ns[end] != UINT64_MAX)
            continue;
        c->cut_ns[end] = w->now_ns + world_draw(w, w->plan.line_delay_ns);
        if (flush)
            c->cut_ns[end] = RTE_MAX(c->last_ns[end] + 1, c->cut_ns[end]);
        world_at(w, c->cut_ns[end] + late_ns(w, c, (enum world_end)end), on_down, NULL,
                 c->number - 1, (uint64_t)end);
    }
}

void world_break(struct world *w, struct world_connection *c)
{
    break_it(w, c, false);
}

struct world_line *world_line_open(struct world *w, enum world_line_kind kind, void *owner)
{
    struct world_line *line = world_alloc(sizeof(*line));

    w->lines = grown(w->lines, &w->line_room, w->line_count, sizeof(*w->lines));
    w->lines[w->line_count++] = line;
    *line = (struct world_line){.kind = kind, .owner = owner};
    dial(w, line);
    return line;
}

void world_line_close(struct world *w, struct world_line *line, bool flush)
{
    line->closed = true;
    if (line->connection != NULL)
        break_it(w, line->connection, flush);
    line->connection = NULL;
}

static void end_all(struct world *w, const struct world_machine *machine, uint32_t life, bool flush)
{
    for (uint32_t i = 0; i < w->connection_count; i++) {
        struct world_connection *c = w->connections[i];

        if ((c->open[WORLD_DIALLER] || c->open[WORLD_LISTENER]) &&
            listener_of(c->line) == machine && (machine != NULL || c->life == life))
            break_it(w, c, flush);
    }
}

void world_listener_gone(struct world *w, const struct world_machine *machine, bool flush)
{
    end_all(w, machine, 0, flush);
}

void world_rm_gone(struct world *w, uint32_t life, bool flush)
{
    end_all(w, NULL, life, flush);
}
