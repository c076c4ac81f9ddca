#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "lib/base/role_name.h"
#include "rm/director_internal.h"

/* --- life ------------------------------------------------------------------------------------- */

static int check(const struct rill_director_config *config, struct rill_error *err)
{
    if (config->start_timeout_ns == 0 || config->links_timeout_ns == 0 || config->deaths_max < 1 ||
        config->deaths_max > RILL_DIRECTOR_DEATHS_MAX)
        return rill_error_set(err, -EINVAL,
                              "director: the times must be more than 0, and deaths_max in [1, %d]",
                              RILL_DIRECTOR_DEATHS_MAX);
    return 0;
}

struct rill_director *rill_director_create(const struct rill_director_config *config,
                                           uint64_t now_ns, struct rill_error *err)
{
    struct rill_director *d;

    if (check(config, err) != 0)
        return NULL;
    d = calloc(1, sizeof(*d));
    if (d != NULL) {
        d->config = *config;
        d->created_ns = d->now_ns = now_ns;
        d->next_vni = 1;
        for (uint32_t i = 0; i < DIR_KINDS; i++)
            d->next_number[i] = config->first_number;
        d->deployments = calloc(RILL_DIRECTOR_DEPLOYMENTS_MAX, sizeof(d->deployments[0]));
        d->roles = calloc(RILL_DIRECTOR_ROLES_MAX, sizeof(d->roles[0]));
        d->failures = calloc(RILL_DIRECTOR_FAILURES_MAX, sizeof(d->failures[0]));
    }
    if (d == NULL || d->deployments == NULL || d->roles == NULL || d->failures == NULL) {
        rill_error_set(err, -ENOMEM, "director: out of memory");
        rill_director_destroy(d);
        return NULL;
    }
    return d;
}

void rill_director_destroy(struct rill_director *d)
{
    if (d == NULL)
        return;
    dir_forget_waiting(d, 0);
    free(d->waiting);
    rill_memo_fini(&d->record);
    rill_memo_fini(&d->record_before);
    for (uint32_t i = 0; d->deployments != NULL && i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        dir_free_deployment(&d->deployments[i]);
    free(d->deployments);
    for (uint32_t i = 0; d->roles != NULL && i < d->role_slots; i++)
        free(d->roles[i].objects);
    free(d->roles);
    free(d->failures);
    free(d->requests);
    dir_usage_free(d);
    rill_id_map_fini(&d->role_at);
    rill_outbox_fini(&d->outbox);
    free(d);
}

const struct rill_director_counters *rill_director_counters(const struct rill_director *d)
{
    return &d->n;
}

bool rill_director_over(const struct rill_director *d)
{
    return d->over;
}

uint32_t dir_new_id(struct rill_director *d, enum rill_role_kind kind)
{
    if (d->next_number[kind] > RILL_ROLE_NUMBER_MAX)
        return 0;
    return rill_role_id(kind, d->next_number[kind]++);
}

void dir_skip_id(struct rill_director *d, uint32_t id)
{
    uint32_t kind = rill_role_kind(id);

    if (!RILL_MUTANT(number_again) && kind < DIR_KINDS &&
        rill_role_number(id) >= d->next_number[kind])
        d->next_number[kind] = rill_role_number(id) + 1;
}

void dir_say(struct rill_director *d, const char *format, ...)
{
    char line[2 * DIR_LINE_BYTES];
    va_list args;

    if (d->config.say == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    d->config.say(d->config.arg, line);
}

void dir_note_failure(struct rill_director *d, const char *line)
{
    snprintf(d->failures[d->failure_count++ % RILL_DIRECTOR_FAILURES_MAX], DIR_LINE_BYTES, "%s",
             line);
    dir_say(d, "%s", line);
}

/* --- what follows from what happened ---------------------------------------------------------- */

static void settle_shutdown(struct rill_director *d)
{
    if (d->over || d->request_count > 0)
        return;
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].has_folder)
            d->config.remove_folder(d->config.arg, d->deployments[i].folder);
    if (d->shutdown_failure[0] != '\0')
        dir_answer_error(d, &d->shutdown, "%s", d->shutdown_failure);
    else
        dir_answer_done(d, &d->shutdown);
    dir_usage_end(d);
    d->over = true;
}

void dir_settle(struct rill_director *d)
{
    if (d->going_down) {
        settle_shutdown(d);
        return;
    }
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni != 0)
            dir_settle_deployment(d, &d->deployments[i]);
    dir_fill_pools(d);
    dir_settle_usage(d);
}

/* --- from a program, through its agent -------------------------------------------------------- */

static void on_role_answer(struct rill_director *d, struct dir_role *role,
                           const Control__Message *message)
{
    struct dir_request *request = dir_find_request(d, message->number);
    enum dir_request_kind kind;
    char how[DIR_LINE_BYTES];

    if (request == NULL || request->who != role->id ||
        (message->body_case == CONTROL__MESSAGE__BODY_DONE && request->kind != DIR_PEERS) ||
        (message->body_case == CONTROL__MESSAGE__BODY_ACTIVATED && request->kind != DIR_ACTIVATE)) {
        dir_unexpected(d, dir_peer_of(d, role->id), message);
        return;
    }
    kind = request->kind;
    if (message->body_case == CONTROL__MESSAGE__BODY_DONE) {
        dir_on_peers_done(d, &role->links, request);
        return;
    }
    dir_remove_request(d, request);
    if (message->body_case == CONTROL__MESSAGE__BODY_ACTIVATED) {
        dir_on_activated(d, role, message->activated);
        return;
    }
    snprintf(how, sizeof(how), "%s%.400s", kind == DIR_PEERS ? "its links: " : "",
             message->error->text);
    dir_role_failed(d, role, how);
}

static void role_message(struct rill_director *d, struct dir_role *role,
                         const Control__Message *message)
{
    if (message->body_case == CONTROL__MESSAGE__BODY_METRICS) {
        dir_usage_said(d, role, message->metrics); /* also when it is stopping: its last word */
        return;
    }
    if (dir_role_is_over(role))
        return; /* it did not know yet */
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_JOIN:
        dir_on_join(d, role, message);
        break;
    case CONTROL__MESSAGE__BODY_ACTIVATED:
    case CONTROL__MESSAGE__BODY_DONE:
    case CONTROL__MESSAGE__BODY_ERROR:
        on_role_answer(d, role, message);
        break;
    case CONTROL__MESSAGE__BODY_OBJECTS:
        dir_on_objects(d, role, message);
        break;
    case CONTROL__MESSAGE__BODY_LEASE_REQUEST:
    case CONTROL__MESSAGE__BODY_MEMBERS_REQUEST:
    case CONTROL__MESSAGE__BODY_SHARE_ACK:
    case CONTROL__MESSAGE__BODY_DEATH_ACK:
    case CONTROL__MESSAGE__BODY_RECOVERED:
    case CONTROL__MESSAGE__BODY_NEW_LOGGER_ACK:
        dir_on_lease_message(d, role, message);
        break;
    default:
        dir_unexpected(d, dir_peer_of(d, role->id), message);
    }
}

/* --- passing on ------------------------------------------------------------------------------- */

/* Roles tell each other through us what they counted, nothing else: an agent would take an order
 * that comes from here for ours, and some programs run other people's NFs. */
static bool may_pass(const Control__Message *message)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_METRICS_REQUEST:
        return rill_role_kind(message->from) == RILL_ROLE_CLIENT;
    case CONTROL__MESSAGE__BODY_METRICS:
    case CONTROL__MESSAGE__BODY_ERROR:
        return rill_role_kind(message->to) == RILL_ROLE_CLIENT;
    default:
        return false;
    }
}

static void pass_on(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);

    if (!may_pass(message)) {
        dir_unexpected(d, peer, message);
    } else if (dir_send(d, message)) {
        d->n.messages_passed_on++;
    } else {
        d->n.messages_no_route++;
        if (dir_is_request(message))
            dir_answer_error(d, &asker, "%s %u is not there",
                             rill_role_kind_name(rill_role_kind(message->to)),
                             rill_role_number(message->to));
    }
}

/* --- in --------------------------------------------------------------------------------------- */

static bool is_for_us(const struct rill_director *d, const Control__Message *message)
{
    return message->to == 0 || message->to == d->config.id;
}

/* From an agent, or from a program of its machine: `from` says which. */
static void machine_message(struct rill_director *d, struct dir_machine *machine,
                            const Control__Message *message)
{
    bool from_agent = message->from == 0 || message->from == machine->agent;
    struct dir_role *role = dir_role(d, message->from);

    if (!from_agent && (role == NULL || role->agent != machine->agent))
        dir_unexpected(d, machine->peer, message);
    else if (!is_for_us(d, message))
        pass_on(d, machine->peer, message);
    else if (from_agent)
        dir_agent_message(d, machine, message);
    else
        role_message(d, role, message);
}

static void client_message(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    if (is_for_us(d, message))
        dir_client_message(d, peer, message);
    else if (message->from != 0 && dir_peer_of(d, message->from) == peer)
        pass_on(d, peer, message);
    else
        dir_unexpected(d, peer, message);
}

/* Only what agents answer to StopAll is of interest still. */
static void message_while_going_down(struct rill_director *d, uint32_t peer,
                                     const Control__Message *message)
{
    struct dir_machine *machine = dir_machine_of_peer(d, peer);
    struct dir_asker asker = dir_asker_of(peer, message);

    if (dir_is_request(message))
        dir_answer_error(d, &asker, "cluster is going down");
    else if (machine != NULL && (message->from == 0 || message->from == machine->agent) &&
             dir_find_request(d, message->number) != NULL)
        dir_agent_message(d, machine, message);
    else if (machine != NULL && dir_role(d, message->from) != NULL &&
             message->body_case == CONTROL__MESSAGE__BODY_METRICS)
        dir_usage_said(d, dir_role(d, message->from), message->metrics);
}

void rill_director_message(struct rill_director *d, uint32_t peer, const Control__Message *message,
                           uint64_t now_ns)
{
    struct dir_machine *machine = dir_machine_of_peer(d, peer);

    d->now_ns = now_ns;
    d->n.messages++;
    if (d->going_down)
        message_while_going_down(d, peer, message);
    else if (machine != NULL)
        machine_message(d, machine, message);
    else
        client_message(d, peer, message);
    dir_settle(d);
    dir_keep(d);
}

void rill_director_down(struct rill_director *d, uint32_t peer, uint64_t now_ns)
{
    struct dir_machine *machine = dir_machine_of_peer(d, peer);

    d->now_ns = now_ns;
    dir_forget_waiting(d, peer);
    if (machine != NULL)
        dir_machine_down(d, machine);
    else
        dir_client_down(d, peer);
    dir_settle(d);
    dir_keep(d);
}

/* --- time ------------------------------------------------------------------------------------- */

static bool joins_late(const struct rill_director *d, const struct dir_role *role)
{
    return role->id != 0 && role->state == DIR_STARTING && dir_peer_of(d, role->id) != 0 &&
           d->now_ns >= role->join_until_ns;
}

static void fail_late_roles(struct rill_director *d)
{
    for (uint32_t i = 0; i < d->role_slots; i++) {
        char how[DIR_LINE_BYTES];

        if (!joins_late(d, &d->roles[i]))
            continue;
        d->n.timeouts++;
        snprintf(how, sizeof(how), "did not join within %.3g s of its start",
                 (double)d->config.start_timeout_ns / 1e9);
        dir_role_failed(d, &d->roles[i], how);
    }
}

static void client_is_late(struct rill_director *d, struct dir_deployment *dep)
{
    dir_answer_error(d, &dep->attach, "the client's links were not up within %.3g s",
                     (double)d->config.links_timeout_ns / 1e9);
    dir_detach(d, dep);
}

static void role_is_late(struct rill_director *d, struct dir_role *role, enum dir_request_kind kind)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    uint32_t client = dir_missing_client(&role->links);
    char how[DIR_LINE_BYTES];

    if (kind == DIR_PEERS && client != 0 && dep->client == client) {
        client_is_late(d, dep); /* rather that than lose a role; it is told new peers */
        return;
    }
    snprintf(how, sizeof(how), "%s within %.3g s",
             kind == DIR_PEERS ? "its links were not up" : "was not activated",
             (double)dir_timeout_of(d, kind) / 1e9);
    dir_role_failed(d, role, how);
}

static void is_late(struct rill_director *d, const struct dir_request *request)
{
    struct dir_role *role = dir_role(d, request->who);
    const struct dir_client *client = dir_client(d, request->who);

    if (role != NULL)
        role_is_late(d, role, request->kind);
    else if (client != NULL && dir_deployment(d, client->vni) != NULL)
        client_is_late(d, dir_deployment(d, client->vni));
}

/* A link has two ends, and both are late if one does not do its part. Clients come before roles,
 * and the youngest role before those that had made links before; of some that are of an age last
 * the controller, without which no packet comes in. Whoever is left is told new peers, and has time
 * again. */
static uint64_t blame(const struct rill_director *d, const struct dir_request *request)
{
    const struct dir_role *role = dir_role(d, request->who);

    if (request->kind != DIR_PEERS || role == NULL)
        return UINT64_MAX;
    return role->active_ns + (rill_role_kind(role->id) == RILL_ROLE_CONTROLLER ? 0 : 1);
}

static struct dir_request *find_late_request(const struct rill_director *d)
{
    struct dir_request *late = NULL;

    for (uint32_t i = 0; i < d->request_count; i++) {
        struct dir_request *request = &d->requests[i];

        if (dir_request_runs(d, request) && d->now_ns >= request->due_ns &&
            (late == NULL || blame(d, request) > blame(d, late)))
            late = request;
    }
    return late;
}

static void fail_late_requests(struct rill_director *d)
{
    struct dir_request *late;

    while ((late = find_late_request(d)) != NULL) {
        struct dir_request request = *late;

        d->n.timeouts++;
        if (request.kind == DIR_STOP) {
            dir_stop_again(d, late);
            continue;
        }
        dir_remove_request(d, late);
        is_late(d, &request);
        dir_settle(d);
    }
}

void rill_director_tick(struct rill_director *d, uint64_t now_ns)
{
    d->now_ns = now_ns;
    if (!d->going_down) {
        fail_late_roles(d);
        fail_late_requests(d);
        dir_tick_clients(d);
        for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
            if (d->deployments[i].vni != 0 && dir_is_up(&d->deployments[i]))
                dir_tick_leases(d, &d->deployments[i]);
        dir_usage_tick(d);
    }
    dir_settle(d);
    dir_keep(d);
}

/* When something that could not be started just now may be tried again. */
static uint64_t next_start_ns(const struct rill_director *d)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].peer != 0 && d->machines[i].start_after_ns > d->now_ns)
            next_ns = RTE_MIN(next_ns, d->machines[i].start_after_ns);
    return next_ns;
}

uint64_t rill_director_next_ns(const struct rill_director *d)
{
    uint64_t next_ns = RTE_MIN(next_start_ns(d), dir_clients_next_ns(d));

    next_ns = RTE_MIN(next_ns, dir_usage_next_ns(d));

    if (d->going_down)
        return UINT64_MAX;
    for (uint32_t i = 0; i < d->request_count; i++)
        if (dir_request_runs(d, &d->requests[i]))
            next_ns = RTE_MIN(next_ns, d->requests[i].due_ns);
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0 && d->roles[i].state == DIR_STARTING &&
            dir_peer_of(d, d->roles[i].id) != 0)
            next_ns = RTE_MIN(next_ns, d->roles[i].join_until_ns);
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni != 0 && dir_is_up(&d->deployments[i]))
            next_ns = RTE_MIN(next_ns, rill_rm_next_ns(d->deployments[i].leases));
    return next_ns;
}
