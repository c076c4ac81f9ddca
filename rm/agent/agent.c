#include "rm/agent/agent.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/mutant.h"
#include "lib/base/role.h"
#include "rm/agent/agent_internal.h"

enum {
    JOIN_NUMBER = 1, /* no other request of the agent's own exists */
    PROGRAMS_FIRST = 16,
};

/* ---- programs ---- */

struct rill_agent_program *rill_agent_find(struct rill_agent *a, uint32_t role)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->programs[i].role == role)
            return &a->programs[i];
    return NULL;
}

/* NULL: no memory. */
static struct rill_agent_program *add(struct rill_agent *a, uint32_t role)
{
    if (a->count == a->room) {
        uint32_t room = a->room == 0 ? PROGRAMS_FIRST : 2 * a->room;
        struct rill_agent_program *grown = realloc(a->programs, room * sizeof(*grown));

        if (grown == NULL)
            return NULL;
        a->programs = grown;
        a->room = room;
    }
    a->programs[a->count] = (struct rill_agent_program){.role = role};
    return &a->programs[a->count++];
}

static void forget(struct rill_agent *a, struct rill_agent_program *program)
{
    rill_control_free(program->join);
    *program = a->programs[--a->count];
}

/* ---- to the RM ---- */

/* What is lost while the RM is away it finds out from the agent's next Join. */
static void send_up(struct rill_agent *a, const Control__Message *message)
{
    if (a->joined)
        a->config.to_rm(a->config.arg, message);
}

static void answer_error(struct rill_agent *a, uint32_t to, uint64_t number, const char *text)
{
    Control__Message m = rill_control_message(a->id, to, number);
    Control__Error error = CONTROL__ERROR__INIT;

    if (number == 0)
        return;
    error.text = (char *)(uintptr_t)text;
    RILL_CONTROL_SET(&m, ERROR, error, &error);
    send_up(a, &m);
}

static void answer_done(struct rill_agent *a, uint32_t to, uint64_t number)
{
    Control__Message m = rill_control_message(a->id, to, number);
    Control__Done done = CONTROL__DONE__INIT;

    if (number == 0)
        return;
    RILL_CONTROL_SET(&m, DONE, done, &done);
    send_up(a, &m);
}

static void answer_started(struct rill_agent *a, const struct rill_agent_program *program)
{
    Control__Message m = rill_control_message(a->id, program->asker, program->start_number);
    Control__Started started = CONTROL__STARTED__INIT;

    if (program->start_number == 0)
        return;
    started.start_ns = program->start_ns;
    RILL_CONTROL_SET(&m, STARTED, started, &started);
    send_up(a, &m);
}

static void tell_exited(struct rill_agent *a, const struct rill_keeper_event *event)
{
    Control__Message m = rill_control_message(a->id, 0, 0);
    Control__Exited exited = CONTROL__EXITED__INIT;

    if (RILL_MUTANT(exit_untold))
        return;
    exited.role = event->role;
    exited.wait_status = event->wait_status;
    exited.stalled = event->stalled;
    exited.how_follows = event->type == RILL_KEEPER_ENDED;
    exited.text = (char *)(uintptr_t)event->text;
    RILL_CONTROL_SET(&m, EXITED, exited, &exited);
    send_up(a, &m);
}

/* Those that are being started are there soon. Were they left out, the RM would take them for lost,
 * and nobody would ever stop them. */
static uint32_t *list_running(const struct rill_agent *a)
{
    uint32_t *roles = calloc(a->count + 1, sizeof(*roles));

    for (uint32_t i = 0; roles != NULL && i < a->count; i++)
        roles[i] = a->programs[i].role;
    return roles;
}

static void join(struct rill_agent *a)
{
    Control__Message m = rill_control_message(a->id, 0, JOIN_NUMBER);
    Control__Join body = CONTROL__JOIN__INIT;
    uint32_t *running = list_running(a);

    if (running == NULL) { /* a wrong list would do harm */
        a->over = true;
        return;
    }
    body.kind = RILL_ROLE_AGENT;
    body.machine = (char *)(uintptr_t)a->config.machine;
    body.program = (char *)(uintptr_t)RILL_VERSION;
    body.cpus = a->config.cpus;
    body.memory_bytes = a->config.memory_bytes;
    body.hugepages = a->config.hugepages;
    body.running = running;
    body.n_running = RILL_MUTANT(list_short) && a->count > 0 ? a->count - 1 : a->count;
    RILL_CONTROL_SET(&m, JOIN, join, &body);
    a->joined = true;
    send_up(a, &m);
    free(running);
}

void rill_agent_pass_up(struct rill_agent *a, const Control__Message *message)
{
    if (a->joined)
        a->n.passed_up++;
    else
        a->n.no_rm++;
    send_up(a, message);
}

void rill_agent_pass_join(struct rill_agent *a, const struct rill_agent_program *program)
{
    if (a->welcome && program->join != NULL)
        rill_agent_pass_up(a, program->join);
}

static void join_all(struct rill_agent *a)
{
    a->refused = false;
    if (a->rm_is_up && a->keeper_is_ready && !a->stopping_all && !a->welcome)
        join(a);
}

/* Now once more what the RM may not have heard. */
static void on_welcome(struct rill_agent *a, const Control__Message *message)
{
    a->id = message->welcome->role;
    a->welcome = true;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct rill_agent_program *program = &a->programs[i];

        if (program->token != 0 && !program->welcomed)
            answer_started(a, program);
        rill_agent_pass_join(a, program);
    }
}

/* Another agent has this machine's name, or the news that its connection is gone is late. */
static void on_error(struct rill_agent *a, const Control__Message *message)
{
    if (message->number != JOIN_NUMBER || !a->joined || a->welcome)
        return;
    a->joined = false;
    a->refused = !RILL_MUTANT(join_once);
}

bool rill_agent_refused(const struct rill_agent *agent)
{
    return agent->refused;
}

void rill_agent_rm_up(struct rill_agent *agent)
{
    agent->rm_is_up = true;
    join_all(agent);
}

/* Whoever is there next may number its requests anew: only what is harmless if misunderstood is
 * answered under an old number. */
void rill_agent_rm_down(struct rill_agent *agent)
{
    agent->rm_is_up = agent->joined = agent->welcome = agent->refused = false;
    agent->stop_all_number = 0;
    for (uint32_t i = 0; i < agent->count; i++) {
        agent->programs[i].rm_was_away = true;
        agent->programs[i].stop_number = 0;
    }
}

/* ---- from the RM ---- */

static void on_start(struct rill_agent *a, const Control__Message *message)
{
    uint32_t role = message->start->role;
    struct rill_agent_program *program = rill_agent_find(a, role);
    bool is_new = program == NULL;

    if (a->stopping_all) {
        answer_error(a, message->from, message->number,
                     "all containers of this machine are being stopped");
        return;
    }
    if (is_new)
        program = add(a, role);
    if (program == NULL) {
        answer_error(a, message->from, message->number, "the node agent has no memory left");
        return;
    }
    program->asker = message->from;
    program->start_number = message->number;
    program->rm_was_away = false;
    if (is_new)
        a->config.run(a->config.arg, role, message->start->host_network);
    else if (program->token != 0) /* asked twice; role ids are never used again */
        answer_started(a, program);
}

static void on_stop(struct rill_agent *a, const Control__Message *message)
{
    struct rill_agent_program *program = rill_agent_find(a, message->stop->role);

    if (program == NULL) {
        answer_done(a, message->from, message->number);
        return;
    }
    program->stop_number = message->number;
    program->asker = message->from;
    a->config.stop(a->config.arg, program->role, message->stop->at_once);
}

/* What follows is told as any end is. */
static void on_fail(struct rill_agent *a, const Control__Message *message)
{
    if (rill_agent_find(a, message->fail->role) != NULL)
        a->config.fail(a->config.arg, message->fail->role, message->fail->hang);
}

static void on_stop_all(struct rill_agent *a, const Control__Message *message)
{
    a->stop_all_number = message->number;
    a->stop_all_asker = message->from;
    if (!a->stopping_all)
        a->config.stop_all(a->config.arg);
    a->stopping_all = true;
}

static void on_unexpected(struct rill_agent *a, const Control__Message *message)
{
    char text[128];

    a->n.unexpected++;
    if (message->body_case == CONTROL__MESSAGE__BODY_DONE)
        return; /* an answer; it gets none */
    snprintf(text, sizeof(text), "a node agent does not know what to do with %s",
             rill_control_name(message));
    answer_error(a, message->from, message->number, text);
}

static void pass_down(struct rill_agent *a, const Control__Message *message)
{
    struct rill_agent_program *program = rill_agent_find(a, message->to);

    if (program == NULL || program->peer == 0) {
        a->n.no_program++;
        return;
    }
    if (message->body_case == CONTROL__MESSAGE__BODY_WELCOME) {
        program->welcomed = true;
        rill_control_free(program->join);
        program->join = NULL;
    }
    a->n.passed_down++;
    a->config.to_program(a->config.arg, program->peer, message);
}

/* One whose place was taken may not know it yet: it is asked once more in a while. */
static bool is_of_old_rm(struct rill_agent *a, const Control__Message *message)
{
    if (message->rm_number >= a->rm_number || RILL_MUTANT(old_rm)) {
        a->rm_number = message->rm_number;
        return false;
    }
    a->n.refused_old_rm++;
    a->joined = a->welcome = false;
    a->refused = true;
    return true;
}

void rill_agent_rm_message(struct rill_agent *agent, const Control__Message *message)
{
    if (is_of_old_rm(agent, message))
        return;
    /* Welcome is sent to an id that it itself brings. */
    if (message->to != 0 && rill_role_kind(message->to) != RILL_ROLE_AGENT) {
        pass_down(agent, message);
        return;
    }
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_WELCOME:
        on_welcome(agent, message);
        break;
    case CONTROL__MESSAGE__BODY_ERROR:
        on_error(agent, message);
        break;
    case CONTROL__MESSAGE__BODY_START:
        on_start(agent, message);
        break;
    case CONTROL__MESSAGE__BODY_STOP:
        on_stop(agent, message);
        break;
    case CONTROL__MESSAGE__BODY_FAIL:
        on_fail(agent, message);
        break;
    case CONTROL__MESSAGE__BODY_STOP_ALL:
        on_stop_all(agent, message);
        break;
    default:
        on_unexpected(agent, message);
    }
}

/* ---- from the keeper ---- */

static void on_adopted(struct rill_agent *a, const struct rill_keeper_event *event)
{
    struct rill_agent_program *program = add(a, event->role);

    if (program == NULL)
        a->over = true; /* as in join() */
    else
        program->token = event->token;
}

static void on_started(struct rill_agent *a, const struct rill_keeper_event *event)
{
    struct rill_agent_program *program = rill_agent_find(a, event->role);

    if (program == NULL) {
        a->n.unexpected++;
        return;
    }
    program->token = event->token;
    program->start_ns = event->start_ns;
    answer_started(a, program);
    rill_agent_judge_early(a, program);
}

static void on_failed(struct rill_agent *a, const struct rill_keeper_event *event)
{
    struct rill_agent_program *program = rill_agent_find(a, event->role);
    struct rill_keeper_event ended = *event;

    if (program == NULL || program->token != 0) {
        a->n.unexpected++;
        return;
    }
    ended.wait_status = -1;
    if (program->rm_was_away) /* it was told of this one as one that runs */
        tell_exited(a, &ended);
    else
        answer_error(a, program->asker, program->start_number, event->text);
    answer_done(a, program->asker, program->stop_number);
    forget(a, program);
}

/* The container is there still. */
static void on_ended(struct rill_agent *a, const struct rill_keeper_event *event)
{
    struct rill_agent_program *program = rill_agent_find(a, event->role);
    struct rill_keeper_event ended = *event;

    if (program == NULL || program->ended) {
        a->n.unexpected++;
        return;
    }
    program->ended = true;
    program->peer = 0;
    rill_control_free(program->join);
    program->join = NULL;
    ended.wait_status = -1;
    tell_exited(a, &ended);
}

static void on_exited(struct rill_agent *a, const struct rill_keeper_event *event)
{
    struct rill_agent_program *program = rill_agent_find(a, event->role);

    if (program == NULL) {
        a->n.unexpected++;
        return;
    }
    tell_exited(a, event);
    answer_done(a, program->asker, program->stop_number);
    forget(a, program);
}

static void on_all_stopped(struct rill_agent *a, const struct rill_keeper_event *event)
{
    while (a->count > 0)
        forget(a, &a->programs[0]);
    if (event->text[0] == '\0')
        answer_done(a, a->stop_all_asker, a->stop_all_number);
    else
        answer_error(a, a->stop_all_asker, a->stop_all_number, event->text);
    a->over = true;
}

void rill_agent_keeper_event(struct rill_agent *agent, const struct rill_keeper_event *event)
{
    switch (event->type) {
    case RILL_KEEPER_ADOPTED:
        on_adopted(agent, event);
        break;
    case RILL_KEEPER_READY:
        agent->keeper_is_ready = true;
        join_all(agent);
        break;
    case RILL_KEEPER_STARTED:
        on_started(agent, event);
        break;
    case RILL_KEEPER_FAILED:
        on_failed(agent, event);
        break;
    case RILL_KEEPER_ENDED:
        on_ended(agent, event);
        break;
    case RILL_KEEPER_EXITED:
        on_exited(agent, event);
        break;
    case RILL_KEEPER_ALL_STOPPED:
        on_all_stopped(agent, event);
        break;
    case RILL_KEEPER_GONE:
        agent->over = true;
        break;
    }
}

/* ---- begin and end ---- */

struct rill_agent *rill_agent_create(const struct rill_agent_config *config, struct rill_error *err)
{
    struct rill_agent *agent = calloc(1, sizeof(*agent));

    if (agent == NULL)
        rill_error_set(err, -ENOMEM, "no memory for the node agent");
    else
        agent->config = *config;
    return agent;
}

void rill_agent_destroy(struct rill_agent *agent)
{
    if (agent == NULL)
        return;
    while (agent->count > 0)
        forget(agent, &agent->programs[0]);
    rill_agent_drop_all_early(agent);
    free(agent->programs);
    free(agent);
}

bool rill_agent_over(const struct rill_agent *agent)
{
    return agent->over;
}

const struct rill_agent_counters *rill_agent_counters(const struct rill_agent *agent)
{
    return &agent->n;
}
