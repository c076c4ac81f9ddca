#include <inttypes.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "rm/director_internal.h"
#include "rm/placement.h"

/* Between two things that fail to start at a machine: so long, then twice as long, ... */
#define BACKOFF_MIN_NS DIR_NS_PER_S
#define BACKOFF_MAX_NS (30 * DIR_NS_PER_S)

struct dir_machine *dir_machine(struct rill_director *d, uint32_t agent)
{
    for (uint32_t i = 0; agent != 0 && i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].agent == agent)
            return &d->machines[i];
    return NULL;
}

struct dir_machine *dir_machine_of_peer(struct rill_director *d, uint32_t peer)
{
    for (uint32_t i = 0; peer != 0 && i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].peer == peer)
            return &d->machines[i];
    return NULL;
}

/* --- placement and warm pools ----------------------------------------------------------------- */

/* Those that are kept warm sleep: they are a load only to who looks for room for more of them. */
static uint32_t count_roles(const struct rill_director *d, uint32_t agent, bool warm_too)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->role_slots; i++)
        n += d->roles[i].id != 0 && d->roles[i].agent == agent && d->roles[i].state != DIR_ENDED &&
             (warm_too || d->roles[i].vni != 0);
    return n;
}

uint32_t dir_place(const struct rill_director *d, uint32_t not_on, bool ahead_of_need)
{
    struct rill_placement_machine machines[RILL_DIRECTOR_MACHINES_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++) {
        const struct dir_machine *machine = &d->machines[i];

        if (machine->agent == 0 || machine->peer == 0)
            continue;
        machines[n++] = (struct rill_placement_machine){
            .agent = machine->agent,
            .usable = !ahead_of_need || machine->start_after_ns <= d->now_ns,
            .roles = count_roles(d, machine->agent, ahead_of_need),
            .cpus = machine->cpus};
    }
    return rill_placement_choose(machines, n, not_on, NULL);
}

void dir_machine_failed(struct rill_director *d, uint32_t agent)
{
    struct dir_machine *machine = dir_machine(d, agent);

    if (machine == NULL)
        return;
    if (machine->backoff_ns == 0 || d->now_ns - machine->failed_ns > 2 * BACKOFF_MAX_NS)
        machine->backoff_ns = BACKOFF_MIN_NS;
    else if (d->now_ns >= machine->start_after_ns) /* else: several at once are one failure */
        machine->backoff_ns = RTE_MIN(2 * machine->backoff_ns, BACKOFF_MAX_NS);
    machine->failed_ns = d->now_ns;
    machine->start_after_ns = d->now_ns + machine->backoff_ns;
}

static bool is_kept_warm(const struct dir_role *role)
{
    return role->id != 0 && (role->vni == 0 || RILL_MUTANT(taken_twice)) && !role->host_network &&
           (role->state == DIR_WARM || role->state == DIR_STARTING);
}

static uint32_t count_warm(const struct rill_director *d, enum rill_role_kind kind, bool joined)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->role_slots; i++)
        n += is_kept_warm(&d->roles[i]) && rill_role_kind(d->roles[i].id) == kind &&
             (!joined || d->roles[i].state == DIR_WARM);
    return n;
}

static const enum rill_role_kind pooled[] = {RILL_ROLE_UNIT, RILL_ROLE_OUTPUT_LOGGER,
                                             RILL_ROLE_CONTROLLER};
enum { POOLED = sizeof(pooled) / sizeof(pooled[0]) };

static uint32_t warm_wanted(const struct rill_director *d, enum rill_role_kind kind)
{
    return kind == RILL_ROLE_CONTROLLER ? d->config.warm > 0 : d->config.warm;
}

static void fill_pool(struct rill_director *d, enum rill_role_kind kind)
{
    for (uint32_t n = count_warm(d, kind, false); n < warm_wanted(d, kind); n++) {
        uint32_t agent = dir_place(d, 0, true);

        if (agent == 0 || dir_start_role(d, dir_machine(d, agent), kind, false, 0, NULL) == NULL)
            return;
    }
}

void dir_fill_pools(struct rill_director *d)
{
    for (uint32_t i = 0; i < POOLED; i++)
        fill_pool(d, pooled[i]);
}

bool dir_pools_are_full(const struct rill_director *d)
{
    for (uint32_t i = 0; i < POOLED; i++)
        if (count_warm(d, pooled[i], true) < warm_wanted(d, pooled[i]))
            return false;
    return true;
}

struct dir_role *dir_take_warm(struct rill_director *d, uint32_t agent, enum rill_role_kind kind)
{
    struct dir_role *best = NULL;

    for (uint32_t i = 0; i < d->role_slots; i++) {
        struct dir_role *role = &d->roles[i];

        if (!is_kept_warm(role) || role->agent != agent || rill_role_kind(role->id) != kind)
            continue;
        if (best == NULL || (best->state == DIR_STARTING && role->state == DIR_WARM))
            best = role;
    }
    return best;
}

/* --- join and leave --------------------------------------------------------------------------- */

static struct dir_machine *machine_named(struct rill_director *d, const char *name)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].agent != 0 && strcmp(d->machines[i].name, name) == 0)
            return &d->machines[i];
    return NULL;
}

static struct dir_machine *new_machine(struct rill_director *d, const char *name)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++) {
        struct dir_machine *machine = &d->machines[i];

        if (machine->agent != 0)
            continue;
        *machine = (struct dir_machine){.agent = dir_new_id(d, RILL_ROLE_AGENT)};
        snprintf(machine->name, sizeof(machine->name), "%s", name);
        return machine->agent == 0 ? NULL : machine;
    }
    return NULL;
}

/* NULL after an answer. */
static struct dir_machine *machine_for(struct rill_director *d, uint32_t peer,
                                       const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);
    const char *name = message->join->machine;
    struct dir_machine *machine = machine_named(d, name);

    if (name[0] == '\0' || strlen(name) > DIR_MACHINE_NAME_MAX) {
        dir_answer_error(d, &asker, "a machine's name has 1 to %d bytes", DIR_MACHINE_NAME_MAX);
        return NULL;
    }
    /* The same agent over another connection: the news of the end of the one before is late. */
    if (machine != NULL && machine->peer != 0 && machine->peer != peer &&
        message->from == machine->agent)
        dir_machine_down(d, machine);
    if (machine != NULL && machine->peer != 0 && machine->peer != peer) {
        dir_answer_error(d, &asker, "machine %s has an agent already", name);
        return NULL;
    }
    if (dir_machine_of_peer(d, peer) != machine && dir_machine_of_peer(d, peer) != NULL) {
        dir_answer_error(d, &asker, "this connection is machine %s's",
                         dir_machine_of_peer(d, peer)->name);
        return NULL;
    }
    if (machine == NULL)
        machine = new_machine(d, name);
    if (machine == NULL)
        dir_answer_error(d, &asker, "a cluster has at most %d machines",
                         RILL_DIRECTOR_MACHINES_MAX);
    return machine;
}

/* Before us another may have given the same id away at several machines. */
static bool is_being_stopped(const struct rill_director *d, const struct dir_machine *machine,
                             uint32_t id)
{
    for (uint32_t i = 0; i < d->request_count; i++)
        if (d->requests[i].kind == DIR_STOP && d->requests[i].about == id &&
            d->requests[i].who == machine->agent)
            return true;
    return false;
}

static void stop_unknown(struct rill_director *d, const struct dir_machine *machine, uint32_t id)
{
    Control__Message m = rill_control_message(d->config.id, machine->agent, 0);
    Control__Stop stop = CONTROL__STOP__INIT;

    stop.role = id;
    RILL_CONTROL_SET(&m, STOP, stop, &stop);
    if (!is_being_stopped(d, machine, id))
        dir_ask(d, &m, DIR_STOP, id, dir_timeout_of(d, DIR_STOP), NULL);
}

static bool lists(const Control__Join *join, uint32_t id)
{
    for (size_t i = 0; i < join->n_running; i++)
        if (join->running[i] == id)
            return true;
    return false;
}

/* The order of the director before us may have been lost with it. */
static void start_again(struct rill_director *d, const struct dir_machine *machine,
                        const Control__Join *join)
{
    for (uint32_t i = 0; i < d->request_count; i++) {
        const struct dir_request *request = &d->requests[i];
        const struct dir_role *role = dir_role(d, request->about);
        Control__Message m = rill_control_message(d->config.id, machine->agent, request->number);
        Control__Start start = CONTROL__START__INIT;

        if (request->kind != DIR_START || request->who != machine->agent || role == NULL ||
            role->state != DIR_STARTING || lists(join, role->id))
            continue;
        start.role = role->id;
        start.host_network = role->host_network;
        RILL_CONTROL_SET(&m, START, start, &start);
        dir_send(d, &m);
    }
}

static bool is_started_again(const struct rill_director *d, const struct dir_machine *machine,
                             const struct dir_role *role)
{
    if (!machine->inherited || role->state != DIR_STARTING)
        return false;
    for (uint32_t i = 0; i < d->request_count; i++)
        if (d->requests[i].kind == DIR_START && d->requests[i].about == role->id)
            return true;
    return false;
}

/* Controllers first: units that are missing, too, are then dead before the next controller asks who
 * lives. All count as one death (director_losses.c). */
static void lose_missing(struct rill_director *d, const struct dir_machine *machine,
                         const Control__Join *join, bool controllers)
{
    for (uint32_t i = 0; i < d->role_slots; i++) {
        struct dir_role *role = &d->roles[i];
        bool is_controller = rill_role_kind(role->id) == RILL_ROLE_CONTROLLER;

        if (role->id != 0 && role->agent == machine->agent && is_controller == controllers &&
            !lists(join, role->id) && !is_started_again(d, machine, role))
            dir_role_gone(d, role, "was not there any more when its machine came back");
    }
}

static void compare_roles(struct rill_director *d, const struct dir_machine *machine,
                          const Control__Join *join)
{
    for (size_t i = 0; i < join->n_running; i++) {
        const struct dir_role *role = dir_role(d, join->running[i]);

        dir_skip_id(d, join->running[i]);
        if (!RILL_MUTANT(unknown_stays) && (role == NULL || role->agent != machine->agent))
            stop_unknown(d, machine, join->running[i]);
    }
    if (RILL_MUTANT(missing_stays))
        return;
    lose_missing(d, machine, join, true);
    lose_missing(d, machine, join, false);
}

void dir_stop_again(struct rill_director *d, struct dir_request *request)
{
    Control__Message m = rill_control_message(d->config.id, request->who, request->number);
    Control__Stop stop = CONTROL__STOP__INIT;

    stop.role = request->about;
    request->due_ns = d->now_ns + dir_timeout_of(d, DIR_STOP);
    RILL_CONTROL_SET(&m, STOP, stop, &stop);
    dir_send(d, &m);
}

/* What was under way when the connection broke: times begin anew, what can be said twice is. */
static void resume(struct rill_director *d, const struct dir_machine *machine)
{
    for (uint32_t i = 0; i < d->request_count; i++) {
        struct dir_request *request = &d->requests[i];
        const struct dir_role *role = dir_role(d, request->about);

        if (role == NULL || role->agent != machine->agent)
            continue;
        if (request->kind == DIR_STOP)
            dir_stop_again(d, request);
        else if (request->due_ns != UINT64_MAX)
            request->due_ns = d->now_ns + dir_timeout_of(d, request->kind);
    }
    for (uint32_t i = 0; i < d->role_slots; i++) {
        struct dir_role *role = &d->roles[i];

        if (role->id == 0 || role->agent != machine->agent)
            continue;
        role->join_until_ns = d->now_ns + d->config.start_timeout_ns;
        dir_repeat_activate(d, role);
        dir_repeat_peers(d, role);
    }
}

static void welcome(struct rill_director *d, const struct dir_machine *machine, uint64_t number)
{
    Control__Message m = rill_control_message(d->config.id, machine->agent, number);
    Control__Welcome body = CONTROL__WELCOME__INIT;

    body.role = machine->agent;
    body.cluster = (char *)d->config.cluster;
    RILL_CONTROL_SET(&m, WELCOME, welcome, &body);
    dir_send(d, &m);
}

void dir_agent_joins(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    const Control__Join *join = message->join;
    struct dir_machine *machine = machine_for(d, peer, message);

    if (machine == NULL)
        return;
    machine->peer = peer;
    machine->cpus = RTE_MAX(join->cpus, 1u);
    machine->memory_bytes = join->memory_bytes;
    machine->hugepages = join->hugepages;
    machine->start_after_ns = 0;
    dir_say(d, "machine %s joined: %" PRIu32 " processors, %zu containers there", machine->name,
            machine->cpus, join->n_running);
    welcome(d, machine, message->number);
    if (machine->inherited) {
        start_again(d, machine, join);
        dir_run_leases(d, machine);
    }
    compare_roles(d, machine, join);
    machine->inherited = false;
    resume(d, machine);
}

void dir_forget_orders_of(struct rill_director *d, const struct dir_machine *machine)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < d->request_count; i++) {
        const struct dir_request *request = &d->requests[i];
        bool for_nobody = request->who == machine->agent &&
                          (request->kind == DIR_STOP_ALL || dir_role(d, request->about) == NULL);

        if (!for_nobody)
            d->requests[kept++] = *request;
    }
    d->request_count = kept;
}

void dir_machine_down(struct rill_director *d, struct dir_machine *machine)
{
    dir_say(d, "machine %s: its agent is gone", machine->name);
    machine->peer = 0;
    dir_how_stays_unknown(d, machine->agent);
    dir_forget_orders_of(d, machine);
}

/* --- what agents say -------------------------------------------------------------------------- */

static void on_start_answered(struct rill_director *d, uint32_t id, const Control__Message *message)
{
    struct dir_role *role = dir_role(d, id);
    char how[DIR_LINE_BYTES];

    if (role == NULL)
        return;
    if (message->body_case == CONTROL__MESSAGE__BODY_STARTED) {
        d->n.containers_started++;
        role->start_ns = message->started->start_ns;
    } else {
        snprintf(how, sizeof(how), "could not be started: %.400s", message->error->text);
        dir_role_gone(d, role, how);
    }
}

/* It is gone. What can't be removed of it is said, and is the machine's. */
static void on_stop_answered(struct rill_director *d, const struct dir_machine *machine,
                             uint32_t id, const Control__Message *message)
{
    struct dir_role *role = dir_role(d, id);

    if (message->body_case == CONTROL__MESSAGE__BODY_ERROR)
        dir_note_failure(d, message->error->text);
    if (role != NULL && role->agent == machine->agent && role->state == DIR_STOPPING)
        dir_role_gone(d, role, "was stopped");
}

static bool answer_fits(enum dir_request_kind kind, const Control__Message *message)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_ERROR:
        return true;
    case CONTROL__MESSAGE__BODY_STARTED:
        return kind == DIR_START;
    case CONTROL__MESSAGE__BODY_DONE:
        return kind == DIR_STOP || kind == DIR_STOP_ALL;
    default:
        return false;
    }
}

static void on_answer(struct rill_director *d, const struct dir_machine *machine,
                      const Control__Message *message)
{
    struct dir_request *found = dir_find_request(d, message->number);
    struct dir_request request;

    if (found == NULL || found->who != machine->agent || !answer_fits(found->kind, message)) {
        dir_unexpected(d, machine->peer, message);
        return;
    }
    request = *found;
    dir_remove_request(d, found);
    if (request.kind == DIR_START)
        on_start_answered(d, request.about, message);
    else if (request.kind == DIR_STOP)
        on_stop_answered(d, machine, request.about, message);
    else if (message->body_case == CONTROL__MESSAGE__BODY_ERROR)
        snprintf(d->shutdown_failure, sizeof(d->shutdown_failure), "machine %.64s: %.400s",
                 machine->name, message->error->text);
}

void dir_agent_message(struct rill_director *d, struct dir_machine *machine,
                       const Control__Message *message)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_JOIN:
        if (message->join->kind == RILL_ROLE_AGENT)
            dir_agent_joins(d, machine->peer, message);
        else
            dir_unexpected(d, machine->peer, message);
        break;
    case CONTROL__MESSAGE__BODY_EXITED:
        dir_on_exited(d, machine, message);
        break;
    case CONTROL__MESSAGE__BODY_STARTED:
    case CONTROL__MESSAGE__BODY_DONE:
    case CONTROL__MESSAGE__BODY_ERROR:
        on_answer(d, machine, message);
        break;
    default:
        dir_unexpected(d, machine->peer, message);
    }
}
