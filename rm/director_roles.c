#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/role_name.h"
#include "rm/director_internal.h"

#define HOW_IS_NOT_KNOWN "ended, how is not known"

const char *dir_role_state_name(enum dir_role_state state)
{
    static const char *const names[] = {
        [DIR_STARTING] = "starting", [DIR_WARM] = "warm",         [DIR_ACTIVATING] = "activating",
        [DIR_ACTIVE] = "active",     [DIR_STOPPING] = "stopping", [DIR_ENDED] = "ended"};

    return names[state];
}

/* --- the table -------------------------------------------------------------------------------- */

struct dir_role *dir_role(const struct rill_director *d, uint32_t id)
{
    const uint64_t *at = rill_id_map_find(&d->role_at, id);

    return at == NULL ? NULL : &d->roles[*at];
}

static struct dir_role *free_slot(struct rill_director *d)
{
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id == 0)
            return &d->roles[i];
    return d->role_slots < RILL_DIRECTOR_ROLES_MAX ? &d->roles[d->role_slots++] : NULL;
}

static struct dir_role *new_role(struct rill_director *d, enum rill_role_kind kind,
                                 struct rill_error *err)
{
    struct dir_role *role = free_slot(d);
    uint32_t id = dir_new_id(d, kind);

    if (role == NULL || id == 0) {
        rill_error_set(err, -ENOSPC, "no more containers: there are %d, or all ids are used up",
                       RILL_DIRECTOR_ROLES_MAX);
        return NULL;
    }
    if (rill_id_map_put(&d->role_at, id, (uint64_t)(role - d->roles)) == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for another container");
        return NULL;
    }
    *role = (struct dir_role){.id = id, .born_ns = d->now_ns};
    return role;
}

static void remove_role(struct rill_director *d, struct dir_role *role)
{
    dir_forget_requests_about(d, role->id);
    rill_id_map_remove(&d->role_at, role->id);
    free(role->objects);
    *role = (struct dir_role){0};
}

/* --- start and stop --------------------------------------------------------------------------- */

struct dir_role *dir_start_role(struct rill_director *d, const struct dir_machine *machine,
                                enum rill_role_kind kind, bool host_network, uint32_t vni,
                                struct rill_error *err)
{
    Control__Message m = rill_control_message(d->config.id, machine->agent, 0);
    Control__Start start = CONTROL__START__INIT;
    struct dir_role *role = new_role(d, kind, err);

    if (role == NULL)
        return NULL;
    role->agent = machine->agent;
    role->state = DIR_STARTING;
    role->host_network = host_network;
    role->vni = vni;
    role->join_until_ns = d->now_ns + d->config.start_timeout_ns;
    start.role = role->id;
    start.host_network = host_network;
    RILL_CONTROL_SET(&m, START, start, &start);
    dir_ask(d, &m, DIR_START, role->id, UINT64_MAX, NULL);
    return role;
}

bool dir_role_is_over(const struct dir_role *role)
{
    return role->state == DIR_STOPPING || role->state == DIR_ENDED;
}

/* What it was asked for is of no interest any more, but it may still answer. */
static void stop_waiting(struct rill_director *d, uint32_t id)
{
    for (uint32_t i = 0; i < d->request_count; i++)
        if (d->requests[i].about == id)
            d->requests[i].due_ns = UINT64_MAX;
}

static void stop(struct rill_director *d, struct dir_role *role, bool at_once)
{
    Control__Message m = rill_control_message(d->config.id, role->agent, 0);
    Control__Stop body = CONTROL__STOP__INIT;

    if (dir_role_is_over(role))
        return;
    role->state = DIR_STOPPING;
    stop_waiting(d, role->id);
    body.role = role->id;
    body.at_once = at_once;
    RILL_CONTROL_SET(&m, STOP, stop, &body);
    dir_ask(d, &m, DIR_STOP, role->id, dir_timeout_of(d, DIR_STOP), NULL);
}

void dir_stop_role(struct rill_director *d, struct dir_role *role)
{
    stop(d, role, false);
}

/* --- deaths ----------------------------------------------------------------------------------- */

/* "unit 3 of deployment web: killed by SIGSEGV" */
static void describe(const struct rill_director *d, const struct dir_role *role, const char *how,
                     char line[DIR_LINE_BYTES])
{
    const struct dir_deployment *dep = dir_deployment(d, role->vni);
    char name[RILL_ROLE_NAME_BYTES];

    snprintf(name, sizeof(name), "%s %u", rill_role_kind_name(rill_role_kind(role->id)),
             rill_role_number(role->id));
    if (dep != NULL)
        snprintf(line, DIR_LINE_BYTES, "%s of deployment %s: %s", name, dep->spec->name, how);
    else
        snprintf(line, DIR_LINE_BYTES, "%s (kept warm): %s", name, how);
}

/* A role that was wanted: is gone, or is to go. */
static void lose(struct rill_director *d, struct dir_role *role, const char *how, bool gone)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    uint32_t id = role->id;
    bool served = role->state == DIR_ACTIVE;
    char line[DIR_LINE_BYTES];

    describe(d, role, how, line);
    dir_failure_detected(d, role);
    if (role->state == DIR_STARTING)
        d->n.containers_failed++;
    else
        d->n.deaths++;
    if (role->state == DIR_STARTING || dep == NULL)
        dir_machine_failed(d, role->agent); /* it was never of use */
    dir_note_failure(d, line);
    if (gone)
        remove_role(d, role);
    else
        stop(d, role, true); /* flows go on elsewhere: it must not report on their end */
    if (dep != NULL)
        dir_deployment_lost(d, dep, id, served, line);
}

/* What it served goes on without it at once; how it ended is said when that is known. */
static void end(struct rill_director *d, struct dir_role *role)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    char line[DIR_LINE_BYTES];

    describe(d, role, "ended", line);
    dir_failure_detected(d, role);
    d->n.deaths++;
    dir_forget_requests_about(d, role->id);
    role->state = DIR_ENDED;
    dir_deployment_lost(d, dep, role->id, true, line);
}

static void say_how(struct rill_director *d, struct dir_role *role, const char *how)
{
    char line[DIR_LINE_BYTES];

    describe(d, role, how, line);
    dir_note_failure(d, line);
    remove_role(d, role);
}

void dir_role_gone(struct rill_director *d, struct dir_role *role, const char *how)
{
    if (role->state == DIR_STOPPING)
        remove_role(d, role);
    else if (role->state == DIR_ENDED)
        say_how(d, role, how);
    else
        lose(d, role, how, true);
}

void dir_role_failed(struct rill_director *d, struct dir_role *role, const char *how)
{
    if (!dir_role_is_over(role))
        lose(d, role, how, false);
}

void dir_how_stays_unknown(struct rill_director *d, uint32_t agent)
{
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0 && d->roles[i].agent == agent && d->roles[i].state == DIR_ENDED)
            dir_role_gone(d, &d->roles[i], HOW_IS_NOT_KNOWN);
}

static void describe_status(int32_t status, char *how, size_t bytes)
{
    if (status != -1 && WIFSIGNALED(status)) {
        const char *signal = sigabbrev_np(WTERMSIG(status));

        snprintf(how, bytes, "killed by %s%s", signal == NULL ? "an unknown signal" : "SIG",
                 signal == NULL ? "" : signal);
    } else if (status != -1 && WIFEXITED(status)) {
        snprintf(how, bytes, "ended by itself, exit status %d", WEXITSTATUS(status));
    } else {
        snprintf(how, bytes, HOW_IS_NOT_KNOWN);
    }
}

static void describe_exit(const struct dir_role *role, const Control__Exited *exited,
                          char how[DIR_LINE_BYTES])
{
    bool was_active = role->state == DIR_ACTIVE || role->state == DIR_ENDED;
    size_t n;

    if (exited->stalled && rill_role_kind(role->id) == RILL_ROLE_UNIT && was_active)
        snprintf(how, DIR_LINE_BYTES,
                 "did not return from process_packet and was killed (its loop stood still)");
    else if (exited->stalled)
        snprintf(how, DIR_LINE_BYTES, "was killed (its loop stood still)");
    else
        describe_status(exited->wait_status, how, DIR_LINE_BYTES);
    n = strlen(how);
    if (exited->text[0] != '\0')
        snprintf(how + n, DIR_LINE_BYTES - n, "; its last line: %.380s", exited->text);
}

/* Ids are never used again, so one below the next was there once: it is gone for a reason that is
 * known already, or was stopped because nobody knew it. */
static bool was_there_once(const struct rill_director *d, uint32_t id)
{
    uint32_t kind = rill_role_kind(id);

    return kind < DIR_KINDS && rill_role_number(id) < d->next_number[kind];
}

/* Where nothing goes on without it, people are told, and for them the words are what counts: it
 * then dies with those. */
static bool is_to_be_replaced_at_once(const struct rill_director *d, const struct dir_role *role)
{
    const struct dir_deployment *dep = dir_deployment(d, role->vni);

    return role->state == DIR_ACTIVE && dep != NULL && dir_deployment_bears_a_death(d, dep);
}

void dir_on_exited(struct rill_director *d, const struct dir_machine *machine,
                   const Control__Message *message)
{
    const Control__Exited *exited = message->exited;
    struct dir_role *role = dir_role(d, exited->role);
    char how[DIR_LINE_BYTES];

    if (role == NULL && was_there_once(d, exited->role))
        return;
    if (role == NULL || role->agent != machine->agent) {
        dir_unexpected(d, machine->peer, message);
        return;
    }
    if (exited->how_follows) {
        if (is_to_be_replaced_at_once(d, role))
            end(d, role);
        return;
    }
    describe_exit(role, exited, how);
    dir_role_gone(d, role, how);
}

/* --- join ------------------------------------------------------------------------------------- */

static void welcome(struct rill_director *d, const struct dir_role *role, uint64_t number)
{
    Control__Message m = rill_control_message(d->config.id, role->id, number);
    Control__Welcome body = CONTROL__WELCOME__INIT;

    body.role = role->id;
    body.cluster = (char *)d->config.cluster;
    RILL_CONTROL_SET(&m, WELCOME, welcome, &body);
    dir_send(d, &m);
}

void dir_on_join(struct rill_director *d, struct dir_role *role, const Control__Message *message)
{
    const Control__Join *join = message->join;

    if (join->kind != rill_role_kind(role->id) || join->role != role->id) {
        dir_unexpected(d, dir_peer_of(d, role->id), message);
        return;
    }
    welcome(d, role, message->number);
    if (role->state == DIR_STARTING) {
        role->state = DIR_WARM;
        role->ready_ns = join->ready_ns;
    } else {
        dir_repeat_activate(d, role); /* it may have missed them */
        dir_repeat_peers(d, role);
    }
}
