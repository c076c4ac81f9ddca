#include "rm/director_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum { POOL_MBUFS = 1023 };

static struct rte_mempool *pool;

int world_group_setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("director_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

int world_group_teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

/* --- what the director calls ------------------------------------------------------------------ */

static Control__Message *copy_of(const Control__Message *message)
{
    size_t bytes = control__message__get_packed_size(message);
    uint8_t *packed = malloc(bytes);
    Control__Message *copy;

    assert_non_null(packed);
    control__message__pack(message, packed);
    assert_int_equal(rill_control_unpack(packed, bytes, &copy), RILL_CONTROL_OK);
    free(packed);
    return copy;
}

static void on_send(void *arg, uint32_t peer, const Control__Message *message)
{
    struct world *w = arg;
    uint32_t at = (w->queue_first + w->queue_count++) % WORLD_QUEUE;

    assert_true(w->queue_count <= WORLD_QUEUE);
    w->queue[at].peer = peer;
    w->queue[at].message = copy_of(message);
}

static int on_make_folder(void *arg, const char *name, struct rill_error *err)
{
    struct world *w = arg;

    if (w->no_folder)
        return rill_error_set(err, -28, "the disk is full");
    assert_int_equal(strspn(name, "0123456789abcdef"), 32);
    assert_int_equal(strlen(name), 32);
    assert_string_not_equal(name, w->folder);
    snprintf(w->folder, sizeof(w->folder), "%s", name);
    w->folders_made++;
    return 0;
}

static void on_remove_folder(void *arg, const char *name)
{
    struct world *w = arg;

    assert_int_equal(strlen(name), 32);
    w->folders_removed++;
}

static void on_say(void *arg, const char *line)
{
    struct world *w = arg;

    snprintf(w->said[w->said_count++ % 64], sizeof(w->said[0]), "%s", line);
}

bool world_was_said(const struct world *w, const char *part)
{
    for (uint32_t i = 0; i < RTE_MIN(w->said_count, 64u); i++)
        if (strstr(w->said[i], part) != NULL)
            return true;
    return false;
}

/* --- life ------------------------------------------------------------------------------------- */

struct world *world_new(uint32_t warm, bool fabric_crosses_machines)
{
    struct world *w = calloc(1, sizeof(*w));
    struct rill_error err;

    assert_non_null(w);
    w->now_ns = 1000 * WORLD_MS;
    w->config = (struct rill_director_config){.id = rill_role_id(RILL_ROLE_RM, 1),
                                              .cluster = "test",
                                              .warm = warm,
                                              .first_number = 1,
                                              .start_timeout_ns = WORLD_START_S * 1000 * WORLD_MS,
                                              .links_timeout_ns = WORLD_LINKS_S * 1000 * WORLD_MS,
                                              .deaths_max = WORLD_DEATHS_MAX,
                                              .deaths_window_ns = WORLD_WINDOW_S * 1000 * WORLD_MS,
                                              .fabric_crosses_machines = fabric_crosses_machines,
                                              .links_root = "/run/links",
                                              .links_root_host = "/base/links",
                                              .seed = 7,
                                              .pool = pool,
                                              .send = on_send,
                                              .make_folder = on_make_folder,
                                              .remove_folder = on_remove_folder,
                                              .say = on_say,
                                              .arg = w};
    w->d = rill_director_create(&w->config, w->now_ns, &err);
    assert_non_null(w->d);
    return w;
}

void world_free(struct world *w)
{
    assert_int_equal(w->queue_count, 0);
    rill_director_destroy(w->d);
    for (uint32_t i = 0; i < w->role_count; i++) {
        rill_control_free(w->roles[i].activate);
        rill_control_free(w->roles[i].grant);
    }
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        rill_control_free(w->clients[i].last);
    free(w);
    assert_int_equal(rte_mempool_avail_count(pool), POOL_MBUFS);
}

/* --- rules ------------------------------------------------------------------------------------ */

void world_rule(struct world *w, struct world_rule rule)
{
    assert_true(w->rule_count < WORLD_RULES);
    w->rules[w->rule_count++] = rule;
}

void world_no_rules(struct world *w)
{
    w->rule_count = 0;
}

static struct world_rule fate_of(struct world *w, Control__Message__BodyCase body, uint32_t role)
{
    for (uint32_t i = 0; i < w->rule_count; i++) {
        struct world_rule rule = w->rules[i];

        if (rule.body != body || (rule.role != 0 && rule.role != role) ||
            (rule.role == 0 && rule.kind != rill_role_kind(role)))
            continue;
        if (rule.times > 0 && --w->rules[i].times == 0)
            w->rules[i].body = CONTROL__MESSAGE__BODY__NOT_SET;
        if (rule.text == NULL)
            rule.text = "";
        return rule;
    }
    return (struct world_rule){.fate = WORLD_OBEYS};
}

/* --- roles ------------------------------------------------------------------------------------ */

struct world_role *world_role(struct world *w, uint32_t id)
{
    for (uint32_t i = 0; i < w->role_count; i++)
        if (w->roles[i].id == id)
            return &w->roles[i];
    fail_msg("no role %08x", id);
    return NULL;
}

bool world_has_peer(const struct world_role *role, uint32_t peer)
{
    for (uint32_t i = 0; i < role->peer_count; i++)
        if (role->peers[i] == peer)
            return true;
    return false;
}

static void give(struct world *w, uint32_t peer, const Control__Message *message)
{
    Control__Message *copy = copy_of(message);

    rill_director_message(w->d, peer, copy, w->now_ns);
    rill_control_free(copy);
}

void world_say(struct world *w, uint32_t peer, Control__Message *message)
{
    give(w, peer, message);
    world_settle(w);
}

static void send_exited(struct world *w, struct world_role *role, int32_t status, bool stalled,
                        const char *text)
{
    struct world_agent *agent = &w->agents[role->agent];
    Control__Message m = rill_control_message(agent->id, w->config.id, 0);
    Control__Exited exited = CONTROL__EXITED__INIT;

    role->running = false;
    role->joined = false;
    exited.role = role->id;
    exited.wait_status = status;
    exited.stalled = stalled;
    exited.text = (char *)text;
    RILL_CONTROL_SET(&m, EXITED, exited, &exited);
    if (agent->peer != 0)
        give(w, agent->peer, &m);
}

void world_dies(struct world *w, uint32_t id, int32_t status, bool stalled, const char *text)
{
    assert_true(world_role(w, id)->running);
    send_exited(w, world_role(w, id), status, stalled, text);
    world_settle(w);
}

static void answer_done(struct world *w, uint32_t peer, uint32_t from, uint64_t number)
{
    Control__Message m = rill_control_message(from, w->config.id, number);
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &done);
    give(w, peer, &m);
}

static void answer_error(struct world *w, uint32_t peer, uint32_t from, uint64_t number,
                         const char *text)
{
    Control__Message m = rill_control_message(from, w->config.id, number);
    Control__Error error = CONTROL__ERROR__INIT;

    error.text = (char *)text;
    RILL_CONTROL_SET(&m, ERROR, error, &error);
    give(w, peer, &m);
}

/* --- what agents do --------------------------------------------------------------------------- */

static void program_joins(struct world *w, const struct world_role *role)
{
    Control__Message m = rill_control_message(role->id, w->config.id, ++w->next_number);
    Control__Join join = CONTROL__JOIN__INIT;

    join.kind = rill_role_kind(role->id);
    join.role = role->id;
    join.ready_ns = 150 * WORLD_MS;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    give(w, w->agents[role->agent].peer, &m);
}

static void on_start(struct world *w, uint32_t index, const Control__Message *message)
{
    struct world_agent *agent = &w->agents[index];
    uint32_t id = message->start->role;
    struct world_rule rule = fate_of(w, CONTROL__MESSAGE__BODY_START, id);
    Control__Message m = rill_control_message(agent->id, w->config.id, message->number);
    Control__Started started = CONTROL__STARTED__INIT;
    struct world_role *role = &w->roles[w->role_count];

    w->starts++;
    if (rule.fate == WORLD_SILENT)
        return;
    if (rule.fate == WORLD_REFUSES) {
        answer_error(w, agent->peer, agent->id, message->number, rule.text);
        return;
    }
    for (uint32_t i = 0; i < w->role_count; i++)
        assert_int_not_equal(w->roles[i].id, id); /* ids are never used again */
    assert_true(w->role_count++ < WORLD_ROLES);
    *role = (struct world_role){
        .id = id, .agent = index, .running = true, .host_network = message->start->host_network};
    started.start_ns = 15 * WORLD_MS;
    RILL_CONTROL_SET(&m, STARTED, started, &started);
    give(w, agent->peer, &m);
    rule = fate_of(w, CONTROL__MESSAGE__BODY_JOIN, id);
    if (rule.fate == WORLD_CRASHES)
        send_exited(w, role, 11, false, rule.text);
    else if (rule.fate == WORLD_OBEYS)
        program_joins(w, role);
}

static void on_stop(struct world *w, uint32_t index, const Control__Message *message)
{
    struct world_agent *agent = &w->agents[index];
    uint32_t id = message->stop->role;
    struct world_rule rule = fate_of(w, CONTROL__MESSAGE__BODY_STOP, id);

    w->stops++;
    if (rule.fate == WORLD_SILENT)
        return;
    for (uint32_t i = 0; i < w->role_count; i++)
        if (w->roles[i].id == id && w->roles[i].running && w->roles[i].agent == index)
            send_exited(w, &w->roles[i], 15, false, "");
    answer_done(w, agent->peer, agent->id, message->number);
}

static void agent_receives(struct world *w, uint32_t index, const Control__Message *message)
{
    struct world_agent *agent = &w->agents[index];

    if (agent->mute)
        return;
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_WELCOME:
        agent->id = message->welcome->role;
        assert_string_equal(message->welcome->cluster, "test");
        break;
    case CONTROL__MESSAGE__BODY_ERROR:
        snprintf(agent->error, sizeof(agent->error), "%s", message->error->text);
        break;
    case CONTROL__MESSAGE__BODY_START:
        on_start(w, index, message);
        break;
    case CONTROL__MESSAGE__BODY_STOP:
        on_stop(w, index, message);
        break;
    case CONTROL__MESSAGE__BODY_STOP_ALL:
        agent->stopped = true;
        for (uint32_t i = 0; i < w->role_count; i++)
            if (w->roles[i].agent == index)
                w->roles[i].running = false;
        answer_done(w, agent->peer, agent->id, message->number);
        break;
    default:
        fail_msg("agent: %s is none of its business", rill_control_name(message));
    }
}

void world_agent_joins(struct world *w, uint32_t index)
{
    struct world_agent *agent = &w->agents[index];
    Control__Message m = rill_control_message(0, 0, ++w->next_number);
    Control__Join join = CONTROL__JOIN__INIT;
    uint32_t running[WORLD_ROLES];

    snprintf(agent->name, sizeof(agent->name), "m%u", index);
    agent->peer = ++w->next_peer;
    for (uint32_t i = 0; i < w->role_count; i++)
        if (w->roles[i].running && w->roles[i].agent == index)
            running[join.n_running++] = w->roles[i].id;
    join.running = running;
    join.kind = RILL_ROLE_AGENT;
    join.machine = agent->name;
    join.cpus = 4;
    join.memory_bytes = UINT64_C(8) << 30;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    world_say(w, agent->peer, &m);
}

void world_agent_down(struct world *w, uint32_t index)
{
    uint32_t peer = w->agents[index].peer;

    w->agents[index].peer = 0;
    rill_director_down(w->d, peer, w->now_ns);
    world_settle(w);
}

/* --- what programs do ------------------------------------------------------------------------- */

static void fill_facts(Control__Facts *facts, enum world_fate fate)
{
    facts->nf = "nat";
    facts->version = "1";
    facts->state_bytes = fate == WORLD_STRANGE ? 72 : 64;
    if (fate == WORLD_NONSENSE)
        facts->state_bytes = RILL_BODY_MAX + 1;
    facts->handles = 3;
}

static void on_activate(struct world *w, struct world_role *role, const Control__Message *message)
{
    struct world_rule rule = fate_of(w, CONTROL__MESSAGE__BODY_ACTIVATE, role->id);
    uint32_t peer = w->agents[role->agent].peer;
    Control__Message m = rill_control_message(role->id, w->config.id, message->number);
    Control__Activated activated = CONTROL__ACTIVATED__INIT;
    Control__Facts facts = CONTROL__FACTS__INIT;

    role->activations++;
    rill_control_free(role->activate);
    role->activate = copy_of(message);
    fill_facts(&facts, rule.fate);
    if (rill_role_kind(role->id) == RILL_ROLE_UNIT)
        activated.facts = &facts;
    activated.activation_ns = 2 * WORLD_MS;
    RILL_CONTROL_SET(&m, ACTIVATED, activated, &activated);
    if (rule.fate == WORLD_REFUSES)
        answer_error(w, peer, role->id, message->number, rule.text);
    else if (rule.fate == WORLD_CRASHES)
        send_exited(w, role, 11, false, rule.text);
    else if (rule.fate != WORLD_SILENT)
        give(w, peer, &m);
}

static uint32_t copy_peers(const Control__Peers *peers, uint32_t to[WORLD_PEERS])
{
    assert_true(peers->n_roles <= WORLD_PEERS);
    for (size_t i = 0; i < peers->n_roles; i++)
        to[i] = peers->roles[i];
    return (uint32_t)peers->n_roles;
}

static void on_peers(struct world *w, struct world_role *role, const Control__Message *message)
{
    struct world_rule rule = fate_of(w, CONTROL__MESSAGE__BODY_PEERS, role->id);
    uint32_t peer = w->agents[role->agent].peer;

    role->peer_count = copy_peers(message->peers, role->peers);
    role->egress = message->peers->egress;
    role->peers_told++;
    if (rule.fate == WORLD_OBEYS)
        answer_done(w, peer, role->id, message->number);
    else if (rule.fate == WORLD_REFUSES)
        answer_error(w, peer, role->id, message->number, rule.text);
    else if (rule.fate == WORLD_CRASHES)
        send_exited(w, role, 11, false, rule.text);
}

static void on_share(struct world *w, const struct world_role *role,
                     const Control__Message *message)
{
    Control__Message m = rill_control_message(role->id, w->config.id, 0);
    Control__ShareAck ack = CONTROL__SHARE_ACK__INIT;

    ack.number = message->share->number;
    ack.controller = message->share->controller;
    ack.share = message->share->share;
    RILL_CONTROL_SET(&m, SHARE_ACK, share_ack, &ack);
    give(w, w->agents[role->agent].peer, &m);
}

static void answer_metrics(struct world *w, const struct world_role *role,
                           const Control__Message *message)
{
    Control__Message m = rill_control_message(role->id, message->from, message->number);
    Control__Metrics metrics = CONTROL__METRICS__INIT;

    metrics.packets_held = role->id;
    RILL_CONTROL_SET(&m, METRICS, metrics, &metrics);
    give(w, w->agents[role->agent].peer, &m);
}

static void program_receives(struct world *w, const Control__Message *message)
{
    struct world_role *role = world_role(w, message->to);

    if (!role->running)
        return;
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_WELCOME:
        assert_int_equal(message->welcome->role, role->id);
        role->joined = true;
        break;
    case CONTROL__MESSAGE__BODY_ACTIVATE:
        assert_true(role->joined);
        on_activate(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_PEERS:
        on_peers(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_SHARE:
        on_share(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_LEASE_GRANT:
        rill_control_free(role->grant);
        role->grant = copy_of(message);
        break;
    case CONTROL__MESSAGE__BODY_METRICS_REQUEST:
        answer_metrics(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_ERROR:
        break; /* what a hostile one gets */
    default:
        fail_msg("program: %s is none of its business", rill_control_name(message));
    }
}

void world_program_says(struct world *w, uint32_t id, Control__Message *message)
{
    const struct world_role *role = world_role(w, id);

    message->from = id;
    world_say(w, w->agents[role->agent].peer, message);
}

void world_asks_for_units(struct world *w, uint32_t controller, uint64_t number, uint32_t want)
{
    Control__Message m = rill_control_message(controller, w->config.id, 0);
    Control__LeaseRequest request = CONTROL__LEASE_REQUEST__INIT;

    request.number = number;
    request.want = want;
    request.epoch = 1;
    RILL_CONTROL_SET(&m, LEASE_REQUEST, lease_request, &request);
    world_program_says(w, controller, &m);
}

/* --- what clients do -------------------------------------------------------------------------- */

static void client_receives(struct world *w, struct world_client *client,
                            const Control__Message *message)
{
    const Control__Peers *peers = message->peers;

    if (message->body_case != CONTROL__MESSAGE__BODY_PEERS) {
        if (message->body_case == CONTROL__MESSAGE__BODY_WELCOME)
            client->id = message->welcome->role;
        rill_control_free(client->last);
        client->last = copy_of(message);
        return;
    }
    client->peer_count = copy_peers(peers, client->peers);
    snprintf(client->folder, sizeof(client->folder), "%s", peers->links_folder);
    client->peers_told++;
    if (!client->mute)
        answer_done(w, client->peer, client->id, message->number);
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
    struct world_client *client = &w->clients[index];
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Join join = CONTROL__JOIN__INIT;

    client->peer = ++w->next_peer;
    client->id = 0;
    client->machine = names[machine];
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
    rill_director_down(w->d, peer, w->now_ns);
    world_settle(w);
}

void world_deploy(struct world *w, uint32_t client, const char *name, uint32_t units)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Deploy deploy = CONTROL__DEPLOY__INIT;

    deploy.name = (char *)name;
    deploy.nf = "nat";
    deploy.units = units;
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

/* --- turning it ------------------------------------------------------------------------------- */

static void deliver(struct world *w, uint32_t peer, const Control__Message *message)
{
    for (uint32_t i = 0; i < WORLD_AGENTS; i++) {
        bool to_program = rill_role_kind(message->to) == RILL_ROLE_UNIT ||
                          rill_role_kind(message->to) == RILL_ROLE_OUTPUT_LOGGER ||
                          rill_role_kind(message->to) == RILL_ROLE_CONTROLLER;

        if (w->agents[i].peer != peer)
            continue;
        if (to_program)
            program_receives(w, message);
        else
            agent_receives(w, i, message);
        return;
    }
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        if (w->clients[i].peer == peer)
            client_receives(w, &w->clients[i], message);
}

void world_settle(struct world *w)
{
    while (w->queue_count > 0) {
        uint32_t at = w->queue_first;
        Control__Message *message = w->queue[at].message;
        uint32_t peer = w->queue[at].peer;

        w->queue_first = (at + 1) % WORLD_QUEUE;
        w->queue_count--;
        deliver(w, peer, message);
        rill_control_free(message);
    }
}

void world_pass(struct world *w, uint64_t ms)
{
    uint64_t end_ns = w->now_ns + ms * WORLD_MS;

    for (;;) {
        uint64_t next_ns = rill_director_next_ns(w->d);

        if (next_ns > end_ns)
            break;
        w->now_ns = next_ns > w->now_ns ? next_ns : w->now_ns + 1;
        rill_director_tick(w->d, w->now_ns);
        world_settle(w);
    }
    w->now_ns = end_ns;
    rill_director_tick(w->d, w->now_ns);
    world_settle(w);
}
