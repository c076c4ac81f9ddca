#include <inttypes.h>
#include <string.h>

#include "rm/director_internal.h"

struct dir_client *dir_client(struct rill_director *d, uint32_t id)
{
    for (uint32_t i = 0; id != 0 && i < DIR_CLIENTS_MAX; i++)
        if (d->clients[i].id == id)
            return &d->clients[i];
    return NULL;
}

static struct dir_client *client_of_peer(struct rill_director *d, uint32_t peer)
{
    for (uint32_t i = 0; i < DIR_CLIENTS_MAX; i++)
        if (d->clients[i].id != 0 && d->clients[i].peer == peer)
            return &d->clients[i];
    return NULL;
}

/* --- join and leave --------------------------------------------------------------------------- */

static struct dir_client *new_client(struct rill_director *d)
{
    for (uint32_t i = 0; i < DIR_CLIENTS_MAX; i++) {
        if (d->clients[i].id != 0)
            continue;
        d->clients[i] = (struct dir_client){.id = dir_new_id(d, RILL_ROLE_CLIENT)};
        return d->clients[i].id == 0 ? NULL : &d->clients[i];
    }
    return NULL;
}

/* The one that it was to the director before us; NULL: none. */
static struct dir_client *client_again(struct rill_director *d, const Control__Message *message)
{
    struct dir_client *client = dir_client(d, message->from);

    if (client == NULL || client->peer != 0 || strcmp(client->machine, message->join->machine) != 0)
        return NULL;
    client->back_until_ns = 0;
    return client;
}

static void client_joins(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Welcome welcome = CONTROL__WELCOME__INIT;
    struct dir_client *client;

    if (strlen(message->join->machine) > DIR_MACHINE_NAME_MAX) {
        dir_answer_error(d, &asker, "a machine's name has at most %d bytes", DIR_MACHINE_NAME_MAX);
        return;
    }
    client = client_again(d, message);
    if (rill_role_kind(message->from) == RILL_ROLE_CLIENT)
        dir_skip_id(d, message->from);
    if (client == NULL)
        client = new_client(d);
    if (client == NULL) {
        dir_answer_error(d, &asker, "there are %d clients already", DIR_CLIENTS_MAX);
        return;
    }
    client->peer = peer;
    snprintf(client->machine, sizeof(client->machine), "%s", message->join->machine);
    asker.role = client->id;
    welcome.role = client->id;
    welcome.cluster = (char *)d->config.cluster;
    RILL_CONTROL_SET(&m, WELCOME, welcome, &welcome);
    dir_answer(d, &asker, &m);
    dir_repeat_client_peers(d, client);
}

static void forget_asker(struct dir_asker *asker, uint32_t peer)
{
    if (asker->peer == peer)
        *asker = (struct dir_asker){0};
}

static void drop_client(struct rill_director *d, struct dir_client *client)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni != 0 && d->deployments[i].client == client->id)
            d->deployments[i].client = 0; /* Peers without it follow */
    dir_forget_requests_about(d, client->id);
    *client = (struct dir_client){0};
}

void dir_tick_clients(struct rill_director *d)
{
    for (uint32_t i = 0; i < DIR_CLIENTS_MAX; i++)
        if (d->clients[i].id != 0 && d->clients[i].back_until_ns != 0 &&
            d->now_ns >= d->clients[i].back_until_ns)
            drop_client(d, &d->clients[i]);
}

uint64_t dir_clients_next_ns(const struct rill_director *d)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < DIR_CLIENTS_MAX; i++)
        if (d->clients[i].id != 0 && d->clients[i].back_until_ns != 0)
            next_ns = RTE_MIN(next_ns, d->clients[i].back_until_ns);
    return next_ns;
}

void dir_client_down(struct rill_director *d, uint32_t peer)
{
    struct dir_client *client = client_of_peer(d, peer);

    forget_asker(&d->shutdown, peer);
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        struct dir_deployment *dep = &d->deployments[i];

        forget_asker(&dep->deploy, peer);
        forget_asker(&dep->undeploy, peer);
        forget_asker(&dep->attach, peer);
    }
    if (client != NULL)
        drop_client(d, client);
}

/* --- attach ----------------------------------------------------------------------------------- */

/* The deployment goes on without its client, if it has one; the client is told. */
void dir_detach(struct rill_director *d, struct dir_deployment *dep)
{
    const struct dir_ids nobody = {.count = 0};
    struct dir_client *client = dir_client(d, dep->client);

    dep->client = 0;
    dir_answer_error(d, &dep->attach, "the client was detached from deployment %s",
                     dep->spec->name);
    if (client == NULL)
        return;
    dir_tell_client(d, client, dep, &nobody);
    client->vni = 0;
}

/* The only one that there is, or NULL after an answer. One that is on its way out is none. */
static struct dir_deployment *only_deployment(struct rill_director *d, struct dir_asker *asker)
{
    struct dir_deployment *last = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        if (d->deployments[i].vni == 0 || d->deployments[i].state == DIR_UNDEPLOYING)
            continue;
        last = &d->deployments[i];
        count++;
    }
    if (count == 1)
        return last;
    if (count == 0)
        dir_answer_error(d, asker, "there is no deployment: rill deploy NF --cluster %s makes one",
                         d->config.cluster);
    else
        dir_answer_error(d, asker, "there are %" PRIu32 " deployments: say which by --deployment",
                         count);
    return NULL;
}

/* NULL after an answer. */
static struct dir_deployment *deployment_for(struct rill_director *d, struct dir_asker *asker,
                                             const char *name)
{
    struct dir_deployment *dep;

    if (name[0] == '\0')
        return only_deployment(d, asker);
    dep = dir_deployment_named(d, name);
    if (dep == NULL)
        dir_answer_error(d, asker,
                         "no deployment is called %.64s: rill status --cluster %s lists them", name,
                         d->config.cluster);
    return dep;
}

static bool may_attach(struct rill_director *d, struct dir_asker *asker,
                       const struct dir_client *client, const struct dir_deployment *dep)
{
    const struct dir_machine *home = dir_machine(d, dep->home);
    const struct dir_client *other = dir_client(d, dep->client);
    const char *name = dep->spec->name;

    if (dep->state != DIR_RUNNING)
        dir_answer_error(d, asker, "deployment %s is not running but %s%s%s", name,
                         dir_deployment_state_name(dep->state), dep->failure[0] != '\0' ? ": " : "",
                         dep->failure);
    else if (dir_is_live(dep))
        dir_answer_error(d, asker,
                         "deployment %s is live, its packets come from the interfaces %s and %s: "
                         "nothing can be replayed through it",
                         name, dep->spec->inside_interface, dep->spec->outside_interface);
    else if (other != NULL && other != client)
        dir_answer_error(
            d, asker,
            "another replay runs through deployment %s, from machine %s (client %" PRIu32
            "): wait for its end, or stop it",
            name, other->machine, rill_role_number(other->id));
    else if (!d->config.fabric_crosses_machines && strcmp(client->machine, home->name) != 0)
        dir_answer_error(d, asker,
                         "deployment %s is on machine %s, and packets do not cross machines yet: "
                         "attach from there",
                         name, home->name);
    else
        return true;
    return false;
}

static void on_attach(struct rill_director *d, struct dir_client *client,
                      const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(client->peer, message);
    struct dir_deployment *dep = deployment_for(d, &asker, message->attach->deployment);
    struct dir_deployment *before = dir_deployment(d, client->vni);

    if (dep == NULL || !may_attach(d, &asker, client, dep))
        return;
    if (before != NULL && before != dep)
        dir_detach(d, before);
    dir_answer_error(d, &dep->attach, "asked for once more"); /* the same client's */
    dep->client = client->id;
    client->vni = dep->vni;
    dep->attach = asker;
}

/* The roles that may have links now, as Attached lists them. */
static void list_roles(const struct rill_director *d, const struct dir_deployment *dep,
                       struct dir_ids *units, struct dir_ids *loggers)
{
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        if (!dir_pair_is_active(d, dep, &dep->pairs[i]))
            continue;
        units->ids[units->count++] = dep->pairs[i].unit;
        loggers->ids[loggers->count++] = dep->pairs[i].output_logger;
    }
}

void dir_settle_attach(struct rill_director *d, struct dir_deployment *dep)
{
    const struct dir_client *client = dir_client(d, dep->client);
    struct dir_ids units = {.count = 0}, loggers = {.count = 0};
    uint32_t controllers[RILL_DIRECTOR_CONTROLLERS_MAX];
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Attached attached = CONTROL__ATTACHED__INIT;

    if (dep->attach.peer == 0 || dep->state != DIR_RUNNING || client == NULL ||
        !dir_client_is_linked(d, dep, client))
        return;
    list_roles(d, dep, &units, &loggers);
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        controllers[i] = dep->slots[i].controller;
    attached.vni = dep->vni;
    attached.deployment = dep->spec->name;
    attached.n_controllers = dep->spec->controllers;
    attached.controllers = controllers;
    attached.n_units = units.count;
    attached.units = units.ids;
    attached.n_output_loggers = loggers.count;
    attached.output_loggers = loggers.ids;
    attached.n_settings = dep->spec->n_settings;
    attached.settings = dep->spec->settings;
    attached.facts = dep->facts;
    RILL_CONTROL_SET(&m, ATTACHED, attached, &attached);
    dir_answer(d, &dep->attach, &m);
}

/* --- what clients say ------------------------------------------------------------------------- */

static void on_peers_answered(struct rill_director *d, struct dir_client *client,
                              const Control__Message *message)
{
    struct dir_request *request = dir_find_request(d, message->number);
    struct dir_deployment *dep = dir_deployment(d, client->vni);

    if (request == NULL || request->who != client->id) {
        dir_unexpected(d, client->peer, message);
        return;
    }
    if (message->body_case == CONTROL__MESSAGE__BODY_DONE) {
        dir_on_peers_done(d, &client->links, request);
        return;
    }
    dir_remove_request(d, request);
    if (dep == NULL)
        return;
    dir_answer_error(d, &dep->attach, "the client could not make its links: %.400s",
                     message->error->text);
    dir_detach(d, dep);
}

static void on_shutdown(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    d->shutdown = dir_asker_of(peer, message);
    d->going_down = true;
    dir_say(d, "going down: a client asked for it");
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        struct dir_deployment *dep = &d->deployments[i];

        dir_answer_error(d, &dep->deploy, "cluster is going down");
        dir_answer_error(d, &dep->undeploy, "cluster is going down");
        dir_answer_error(d, &dep->attach, "cluster is going down");
    }
    d->request_count = 0; /* of no interest any more */
    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++) {
        Control__Message m = rill_control_message(d->config.id, d->machines[i].agent, 0);
        Control__StopAll stop_all = CONTROL__STOP_ALL__INIT;

        RILL_CONTROL_SET(&m, STOP_ALL, stop_all, &stop_all);
        if (d->machines[i].peer != 0)
            dir_ask(d, &m, DIR_STOP_ALL, m.to, dir_timeout_of(d, DIR_STOP_ALL), NULL);
    }
}

static void client_request(struct rill_director *d, struct dir_client *client, uint32_t peer,
                           const Control__Message *message)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_STATUS_REQUEST:
        dir_on_status_request(d, peer, message);
        break;
    case CONTROL__MESSAGE__BODY_DEPLOY:
        dir_on_deploy(d, peer, message);
        break;
    case CONTROL__MESSAGE__BODY_UNDEPLOY:
        dir_on_undeploy(d, peer, message);
        break;
    case CONTROL__MESSAGE__BODY_FAIL:
        dir_on_fail(d, peer, message);
        break;
    case CONTROL__MESSAGE__BODY_SHUTDOWN:
        on_shutdown(d, peer, message);
        break;
    case CONTROL__MESSAGE__BODY_ATTACH:
        if (client != NULL)
            on_attach(d, client, message);
        else
            dir_unexpected(d, peer, message);
        break;
    default:
        dir_unexpected(d, peer, message);
    }
}

/* `from` may be an id of before: of another connection, or another RM. */
static void somebody_joins(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    switch (message->join->kind) {
    case RILL_ROLE_AGENT:
        dir_agent_joins(d, peer, message);
        break;
    case RILL_ROLE_CLIENT:
        client_joins(d, peer, message);
        break;
    default: /* programs come through their agent */
        dir_unexpected(d, peer, message);
    }
}

/* Joining gives an id, which only those need that others talk to. */
void dir_client_message(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_client *client = client_of_peer(d, peer);
    uint32_t id = client != NULL ? client->id : 0;
    bool is_answer = message->body_case == CONTROL__MESSAGE__BODY_DONE ||
                     message->body_case == CONTROL__MESSAGE__BODY_ERROR;

    if (client == NULL && message->body_case == CONTROL__MESSAGE__BODY_JOIN)
        somebody_joins(d, peer, message);
    else if (message->from != 0 && message->from != id)
        dir_unexpected(d, peer, message);
    else if (client != NULL && is_answer)
        on_peers_answered(d, client, message);
    else
        client_request(d, client, peer, message);
}
