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

Control__Message *world_copy(const Control__Message *message)
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

bool world_is_down(const struct world *w, uint32_t peer)
{
    assert_true(peer / 64 < WORLD_PEER_WORDS);
    return (w->peers_down[peer / 64] >> peer % 64 & 1) != 0;
}

static void on_send(void *arg, uint32_t peer, const Control__Message *message)
{
    struct world *w = arg;
    uint32_t at = (w->queue_first + w->queue_count++) % WORLD_QUEUE;

    assert_true(w->queue_count <= WORLD_QUEUE);
    assert_false(world_is_down(w, peer));
    w->queue[at].peer = peer;
    w->queue[at].message = world_copy(message);
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

struct world *world_small(uint32_t warm)
{
    struct world *w = world_new(warm, false);

    world_agent_joins(w, 0);
    world_client_joins(w, 0, 0);
    return w;
}

void world_free(struct world *w)
{
    assert_int_equal(w->queue_count, 0);
    rill_director_destroy(w->d);
    for (uint32_t i = 0; i < w->role_count; i++) {
        rill_control_free(w->roles[i].activate);
        rill_control_free(w->roles[i].grant);
        rill_control_free(w->roles[i].members);
    }
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        rill_control_free(w->clients[i].last);
    world_forget_kept(w);
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

struct world_rule world_fate_of(struct world *w, Control__Message__BodyCase body, uint32_t role)
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

void world_give(struct world *w, uint32_t peer, const Control__Message *message)
{
    Control__Message *copy = world_copy(message);

    rill_director_message(w->d, peer, copy, w->now_ns);
    rill_control_free(copy);
}

void world_say(struct world *w, uint32_t peer, Control__Message *message)
{
    world_give(w, peer, message);
    world_settle(w);
}

void world_send_exited(struct world *w, struct world_role *role, int32_t status, bool stalled,
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
        world_give(w, agent->peer, &m);
}

void world_ends(struct world *w, uint32_t id, bool stalled)
{
    const struct world_agent *agent = &w->agents[world_role(w, id)->agent];
    Control__Message m = rill_control_message(agent->id, w->config.id, 0);
    Control__Exited exited = CONTROL__EXITED__INIT;

    exited.role = id;
    exited.wait_status = -1;
    exited.stalled = stalled;
    exited.how_follows = true;
    RILL_CONTROL_SET(&m, EXITED, exited, &exited);
    world_say(w, agent->peer, &m);
}

void world_dies(struct world *w, uint32_t id, int32_t status, bool stalled, const char *text)
{
    assert_true(world_role(w, id)->running);
    world_send_exited(w, world_role(w, id), status, stalled, text);
    world_settle(w);
}

void world_answer_done(struct world *w, uint32_t peer, uint32_t from, uint64_t number)
{
    Control__Message m = rill_control_message(from, w->config.id, number);
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &done);
    world_give(w, peer, &m);
}

void world_answer_error(struct world *w, uint32_t peer, uint32_t from, uint64_t number,
                        const char *text)
{
    Control__Message m = rill_control_message(from, w->config.id, number);
    Control__Error error = CONTROL__ERROR__INIT;

    error.text = (char *)text;
    RILL_CONTROL_SET(&m, ERROR, error, &error);
    world_give(w, peer, &m);
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
    world_give(w, w->agents[role->agent].peer, &m);
}

static void on_start(struct world *w, uint32_t index, const Control__Message *message)
{
    struct world_agent *agent = &w->agents[index];
    uint32_t id = message->start->role;
    struct world_rule rule = world_fate_of(w, CONTROL__MESSAGE__BODY_START, id);
    Control__Message m = rill_control_message(agent->id, w->config.id, message->number);
    Control__Started started = CONTROL__STARTED__INIT;
    struct world_role *role = &w->roles[w->role_count];

    w->starts++;
    if (rule.fate == WORLD_SILENT)
        return;
    if (rule.fate == WORLD_REFUSES) {
        world_answer_error(w, agent->peer, agent->id, message->number, rule.text);
        return;
    }
    for (uint32_t i = 0; i < w->role_count; i++)
        assert_int_not_equal(w->roles[i].id, id); /* ids are never used again */
    assert_true(w->role_count++ < WORLD_ROLES);
    *role = (struct world_role){
        .id = id, .agent = index, .running = true, .host_network = message->start->host_network};
    started.start_ns = 15 * WORLD_MS;
    RILL_CONTROL_SET(&m, STARTED, started, &started);
    world_give(w, agent->peer, &m);
    rule = world_fate_of(w, CONTROL__MESSAGE__BODY_JOIN, id);
    if (rule.fate == WORLD_CRASHES)
        world_send_exited(w, role, 11, false, rule.text);
    else if (rule.fate == WORLD_OBEYS)
        program_joins(w, role);
}

static void on_stop(struct world *w, uint32_t index, const Control__Message *message)
{
    struct world_agent *agent = &w->agents[index];
    uint32_t id = message->stop->role;
    struct world_rule rule = world_fate_of(w, CONTROL__MESSAGE__BODY_STOP, id);

    w->stops++;
    w->stops_at_once += message->stop->at_once;
    if (rule.fate == WORLD_SILENT)
        return;
    if (agent->done_first)
        world_answer_done(w, agent->peer, agent->id, message->number);
    for (uint32_t i = 0; i < w->role_count; i++)
        if (w->roles[i].id == id && w->roles[i].running && w->roles[i].agent == index)
            world_send_exited(w, &w->roles[i], 15, false, "");
    if (!agent->done_first)
        world_answer_done(w, agent->peer, agent->id, message->number);
}

/* One that hangs is found, and killed, only when the test says so. */
static void on_fail(struct world *w, const Control__Fail *fail)
{
    for (uint32_t i = 0; i < w->role_count && !fail->hang; i++)
        if (w->roles[i].id == fail->role && w->roles[i].running)
            world_send_exited(w, &w->roles[i], 9, false, "");
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
    case CONTROL__MESSAGE__BODY_FAIL:
        on_fail(w, message->fail);
        break;
    case CONTROL__MESSAGE__BODY_STOP_ALL:
        agent->stopped = true;
        for (uint32_t i = 0; i < w->role_count; i++)
            if (w->roles[i].agent == index)
                w->roles[i].running = false;
        world_answer_done(w, agent->peer, agent->id, message->number);
        break;
    default:
        fail_msg("agent: %s is none of its business", rill_control_name(message));
    }
}

void world_agent_joins(struct world *w, uint32_t index)
{
    struct world_agent *agent = &w->agents[index];
    Control__Message m = rill_control_message(agent->id, 0, ++w->next_number);
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
    world_peer_down(w, peer);
}

void world_peer_down(struct world *w, uint32_t peer)
{
    w->peers_down[peer / 64] |= UINT64_C(1) << peer % 64;
    rill_director_down(w->d, peer, w->now_ns);
    world_settle(w);
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
            world_program_receives(w, message);
        else
            agent_receives(w, i, message);
        return;
    }
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        if (w->clients[i].peer == peer)
            world_client_receives(w, &w->clients[i], message);
}

void world_settle(struct world *w)
{
    while (world_saves(w) || w->queue_count > 0) {
        uint32_t at = w->queue_first;
        Control__Message *message = w->queue[at].message;
        uint32_t peer = w->queue[at].peer;

        if (w->queue_count == 0)
            continue;

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
