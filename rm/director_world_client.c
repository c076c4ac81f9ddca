/* The clients of the director's test world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

void world_client_receives(struct world *w, struct world_client *client,
                           const Control__Message *message)
{
    const Control__Peers *peers = message->peers;

    if (message->body_case != CONTROL__MESSAGE__BODY_PEERS) {
        if (message->body_case == CONTROL__MESSAGE__BODY_WELCOME)
            client->id = message->welcome->role;
        rill_control_free(client->last);
        client->last = world_copy(message);
        return;
    }
    client->peer_count = world_copy_peers(peers, client->peers);
    snprintf(client->folder, sizeof(client->folder), "%s", peers->links_folder);
    client->controller_count = (uint32_t)peers->n_controllers;
    assert_true(peers->n_controllers <= RILL_DIRECTOR_CONTROLLERS_MAX);
    memcpy(client->controllers, peers->controllers, peers->n_controllers * sizeof(uint32_t));
    client->peers_told++;
    if (!client->mute && !world_are_frozen(w, client->id, peers))
        world_answer_done(w, client->peer, client->id, message->number);
}

void world_client_asks(struct world *w, uint32_t index, Control__Message *message)
{
    struct world_client *client = &w->clients[index];

    rill_control_free(client->last);
    client->last = NULL;
    message->version = RILL_CONTROL_VERSION;
    message->from = client->id;
    message->number = ++w->next_number;
    world_say(w, client->peer, message);
    if (client->last != NULL)
        assert_int_equal(client->last->number, message->number);
}

void world_client_joins(struct world *w, uint32_t index, uint32_t machine)
{
    static const char *const names[] = {"m0", "m1", "m2"};

    w->clients[index].id = 0;
    w->clients[index].machine = names[machine];
    world_client_returns(w, index);
}

void world_client_returns(struct world *w, uint32_t index)
{
    struct world_client *client = &w->clients[index];
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Join join = CONTROL__JOIN__INIT;

    client->peer = ++w->next_peer;
    join.kind = RILL_ROLE_CLIENT;
    join.machine = (char *)client->machine;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    world_client_asks(w, index, &m);
    assert_int_equal(rill_role_kind(client->id), RILL_ROLE_CLIENT);
}

void world_client_down(struct world *w, uint32_t index)
{
    uint32_t peer = w->clients[index].peer;

    w->clients[index].peer = 0;
    world_peer_down(w, peer);
}

void world_deploy(struct world *w, uint32_t client, const char *name, uint32_t units)
{
    world_deploy_several(w, client, name, units, 0);
}

void world_deploy_several(struct world *w, uint32_t client, const char *name, uint32_t units,
                          uint32_t controllers)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Deploy deploy = CONTROL__DEPLOY__INIT;

    deploy.name = (char *)name;
    deploy.nf = "nat";
    deploy.units = units;
    deploy.controllers = controllers;
    deploy.image.data = (uint8_t *)"\177ELF";
    deploy.image.len = 4;
    RILL_CONTROL_SET(&m, DEPLOY, deploy, &deploy);
    world_client_asks(w, client, &m);
}

void world_undeploy(struct world *w, uint32_t client, const char *name)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Undeploy undeploy = CONTROL__UNDEPLOY__INIT;

    undeploy.name = (char *)name;
    RILL_CONTROL_SET(&m, UNDEPLOY, undeploy, &undeploy);
    world_client_asks(w, client, &m);
}

void world_attach(struct world *w, uint32_t client, const char *name)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Attach attach = CONTROL__ATTACH__INIT;

    attach.deployment = (char *)name;
    RILL_CONTROL_SET(&m, ATTACH, attach, &attach);
    world_client_asks(w, client, &m);
}

void world_shutdown(struct world *w, uint32_t client)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Shutdown body = CONTROL__SHUTDOWN__INIT;

    RILL_CONTROL_SET(&m, SHUTDOWN, shutdown, &body);
    world_client_asks(w, client, &m);
}

const Control__Status *world_status(struct world *w, uint32_t client)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__StatusRequest body = CONTROL__STATUS_REQUEST__INIT;

    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &body);
    world_client_asks(w, client, &m);
    world_expect(w, client, CONTROL__MESSAGE__BODY_STATUS);
    return w->clients[client].last->status;
}

void world_expect(struct world *w, uint32_t client, Control__Message__BodyCase body)
{
    const Control__Message *last = w->clients[client].last;

    assert_non_null(last);
    if (last->body_case != body)
        fail_msg("got %s: %s", rill_control_name(last),
                 last->body_case == CONTROL__MESSAGE__BODY_ERROR ? last->error->text : "");
}

void world_expect_error(struct world *w, uint32_t client, const char *part)
{
    world_expect(w, client, CONTROL__MESSAGE__BODY_ERROR);
    if (strstr(w->clients[client].last->error->text, part) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", w->clients[client].last->error->text, part);
}

/* --- the status, by the last client ----------------------------------------------------------- */

enum { WATCHER = WORLD_CLIENTS - 1 };

static const Control__Status *watch(struct world *w)
{
    if (w->clients[WATCHER].peer == 0)
        world_client_joins(w, WATCHER, 0);
    return world_status(w, WATCHER);
}

static uint32_t look(struct world *w, enum rill_role_kind kind, uint32_t vni, const char *state,
                     uint32_t n, uint32_t *count)
{
    const Control__Status *status = watch(w);

    *count = 0;
    for (size_t i = 0; i < status->n_roles; i++) {
        const Control__Role *role = status->roles[i];

        if (rill_role_kind(role->role) != kind || role->deployment != vni ||
            (state != NULL && strcmp(role->state, state) != 0))
            continue;
        if ((*count)++ == n)
            return role->role;
    }
    return 0;
}

uint32_t world_find(struct world *w, enum rill_role_kind kind, uint32_t vni, const char *state,
                    uint32_t n)
{
    uint32_t count;

    return look(w, kind, vni, state, n, &count);
}

uint32_t world_count(struct world *w, enum rill_role_kind kind, uint32_t vni, const char *state)
{
    uint32_t count;

    look(w, kind, vni, state, UINT32_MAX, &count);
    return count;
}

const Control__Deployment *world_deployment(struct world *w, const char *name)
{
    const Control__Status *status = watch(w);

    for (size_t i = 0; i < status->n_deployments; i++)
        if (strcmp(status->deployments[i]->name, name) == 0)
            return status->deployments[i];
    return NULL;
}

/* --- the deployment that most tests have --- */

struct world *world_with_web(uint32_t warm, uint32_t units)
{
    struct world *w = world_small(warm);

    world_deploy(w, 0, "web", units);
    world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
    return w;
}

uint32_t world_active(struct world *w, enum rill_role_kind kind, uint32_t n)
{
    return world_find(w, kind, 1, "active", n);
}

void world_expect_nothing_of_web(struct world *w)
{
    assert_null(world_deployment(w, "web"));
    assert_int_equal(world_count(w, RILL_ROLE_UNIT, 1, NULL), 0);
    assert_int_equal(world_count(w, RILL_ROLE_OUTPUT_LOGGER, 1, NULL), 0);
    assert_int_equal(world_count(w, RILL_ROLE_CONTROLLER, 1, NULL), 0);
    assert_int_equal(w->folders_made, w->folders_removed);
}
