/* Programs in containers run other people's code: whatever they say, to whomever, in whosever name,
 * the director counts it and goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "rm/director_world.h"

enum { SECOND_MS = 1000 };

static uint64_t unexpected(const struct world *w)
{
    return rill_director_counters(w->d)->messages_unexpected;
}

/* Nothing was done about it, but that it was counted. */
static void expect_shrug(struct world *w, uint64_t count)
{
    assert_int_equal(unexpected(w), count);
    assert_string_equal(world_deployment(w, "web")->state, "running");
    assert_int_equal(world_deployment(w, "web")->deaths, 0);
    assert_true(world_status(w, 0)->settled);
}

static void says_done(struct world *w, uint32_t role, uint64_t number)
{
    Control__Message m = rill_control_message(role, w->config.id, number);
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &done);
    world_program_says(w, role, &m);
}

static void says_activated(struct world *w, uint32_t role, uint64_t number)
{
    Control__Message m = rill_control_message(role, w->config.id, number);
    Control__Activated activated = CONTROL__ACTIVATED__INIT;

    RILL_CONTROL_SET(&m, ACTIVATED, activated, &activated);
    world_program_says(w, role, &m);
}

static void answers_that_nobody_waits_for(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint32_t warm = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);

    (void)state;
    says_activated(w, unit, world_role(w, unit)->activate->number); /* twice */
    says_activated(w, warm, 1);
    says_done(w, unit, 0);
    says_done(w, unit, 123456);
    expect_shrug(w, 4);
    world_free(w);
}

/* The number is right, but another role was asked, or something else. */
static void answers_in_the_place_of_others(void **state)
{
    struct world *w = world_small(2);
    uint32_t unit, other;
    uint64_t number;

    (void)state;
    world_rule(w, (struct world_rule){.body = CONTROL__MESSAGE__BODY_ACTIVATE,
                                      .kind = RILL_ROLE_UNIT,
                                      .fate = WORLD_SILENT});
    world_deploy(w, 0, "web", 1);
    unit = world_find(w, RILL_ROLE_UNIT, 1, "activating", 0);
    other = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    number = world_role(w, unit)->activate->number;
    says_activated(w, other, number);
    says_done(w, other, number);
    says_done(w, unit, number); /* Done is no answer to Activate */
    assert_int_equal(unexpected(w), 3);
    assert_string_equal(world_deployment(w, "web")->state, "starting");
    says_activated(w, unit, number); /* by the right one, but a unit has to say what its NF is */
    world_expect_error(w, 0, "makes no sense");
    world_free(w);
}

static void leases_asked_for_by_the_wrong_ones(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint32_t controller = world_active(w, RILL_ROLE_CONTROLLER, 0);
    Control__Message m = rill_control_message(0, w->config.id, 0);
    Control__ShareAck ack = CONTROL__SHARE_ACK__INIT;

    (void)state;
    world_asks_for_units(w, unit, 1, 1000);
    world_asks_for_units(w, world_active(w, RILL_ROLE_OUTPUT_LOGGER, 0), 1, 1000);
    world_asks_for_units(w, world_find(w, RILL_ROLE_CONTROLLER, 0, "warm", 0), 1, 1000);
    assert_null(world_role(w, unit)->grant);
    RILL_CONTROL_SET(&m, SHARE_ACK, share_ack, &ack);
    world_program_says(w, controller, &m);
    world_program_says(w, world_find(w, RILL_ROLE_UNIT, 0, "warm", 0), &m);
    expect_shrug(w, 5);
    world_asks_for_units(w, controller, UINT64_MAX, UINT32_MAX); /* its own, and absurd */
    assert_int_equal(world_role(w, controller)->grant->lease_grant->n_leases, 2);
    expect_shrug(w, 5);
    world_free(w);
}

/* Nobody but a client may ask for these, and only agents tell of containers. */
static void orders_from_a_program(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    Control__Message m = rill_control_message(unit, w->config.id, 7);
    Control__Undeploy undeploy = CONTROL__UNDEPLOY__INIT;
    Control__Shutdown shutdown = CONTROL__SHUTDOWN__INIT;
    Control__Exited exited = CONTROL__EXITED__INIT;
    Control__StatusRequest status = CONTROL__STATUS_REQUEST__INIT;
    Control__Join join = CONTROL__JOIN__INIT;

    (void)state;
    undeploy.name = "web";
    RILL_CONTROL_SET(&m, UNDEPLOY, undeploy, &undeploy);
    world_program_says(w, unit, &m);
    RILL_CONTROL_SET(&m, SHUTDOWN, shutdown, &shutdown);
    world_program_says(w, unit, &m);
    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &status);
    world_program_says(w, unit, &m);
    exited.role = world_active(w, RILL_ROLE_CONTROLLER, 0);
    RILL_CONTROL_SET(&m, EXITED, exited, &exited);
    world_program_says(w, unit, &m);
    join.kind = RILL_ROLE_AGENT;
    join.machine = "m9";
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    world_program_says(w, unit, &m);
    join.kind = RILL_ROLE_UNIT;
    join.role = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0); /* another one */
    world_program_says(w, unit, &m);
    expect_shrug(w, 6);
    assert_int_equal(world_status(w, 0)->n_machines, 1);
    assert_false(rill_director_over(w->d));
    world_free(w);
}

/* An agent would take an order that comes from the RM for the RM's. */
static void orders_that_are_to_be_passed_on(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    uint32_t other = world_find(w, RILL_ROLE_UNIT, 0, "warm", 0);
    Control__Message m = rill_control_message(unit, w->agents[0].id, 7);
    Control__StopAll stop_all = CONTROL__STOP_ALL__INIT;
    Control__Stop stop = CONTROL__STOP__INIT;
    Control__Peers peers = CONTROL__PEERS__INIT;
    Control__Activate activate = CONTROL__ACTIVATE__INIT;
    Control__MetricsRequest metrics = CONTROL__METRICS_REQUEST__INIT;

    (void)state;
    RILL_CONTROL_SET(&m, STOP_ALL, stop_all, &stop_all);
    world_program_says(w, unit, &m);
    stop.role = other;
    RILL_CONTROL_SET(&m, STOP, stop, &stop);
    world_program_says(w, unit, &m);
    m.to = other;
    RILL_CONTROL_SET(&m, PEERS, peers, &peers);
    world_program_says(w, unit, &m);
    RILL_CONTROL_SET(&m, ACTIVATE, activate, &activate);
    world_program_says(w, unit, &m);
    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &metrics);
    world_program_says(w, unit, &m);
    m.to = w->agents[0].id; /* not even a client may order that */
    RILL_CONTROL_SET(&m, STOP_ALL, stop_all, &stop_all);
    world_client_asks(w, 0, &m);
    assert_false(w->agents[0].stopped);
    assert_true(world_role(w, other)->running);
    assert_int_equal(world_role(w, other)->activations, 0);
    expect_shrug(w, 6);
    assert_int_equal(rill_director_counters(w->d)->messages_passed_on, 0);
    world_free(w);
}

static void in_the_name_of_others(void **state)
{
    struct world *w = world_with_web(1, 1);
    Control__Message m = rill_control_message(w->agents[0].id, rill_role_id(RILL_ROLE_UNIT, 1), 7);
    Control__MetricsRequest metrics = CONTROL__METRICS_REQUEST__INIT;
    Control__Exited exited = CONTROL__EXITED__INIT;
    Control__LeaseRequest request = CONTROL__LEASE_REQUEST__INIT;

    (void)state;
    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &metrics);
    world_say(w, w->clients[0].peer, &m); /* a client as an agent, as another client, ... */
    m.from = w->clients[0].id + 1;
    world_say(w, w->clients[0].peer, &m);
    m.from = 0; /* the answer could not find back */
    world_say(w, w->clients[0].peer, &m);
    m.from = w->clients[0].id; /* an agent as a client, ... */
    world_say(w, w->agents[0].peer, &m);
    m.from = rill_role_id(RILL_ROLE_UNIT, 77);
    world_say(w, w->agents[0].peer, &m);
    world_agent_joins(w, 1);
    m = rill_control_message(world_active(w, RILL_ROLE_CONTROLLER, 0), w->config.id, 0);
    request.number = 1;
    request.want = 1000;
    RILL_CONTROL_SET(&m, LEASE_REQUEST, lease_request, &request);
    world_say(w, w->agents[1].peer, &m); /* ... as a role of another's machine */
    assert_null(world_role(w, m.from)->grant);
    m.from = w->agents[1].id;
    exited.role = world_active(w, RILL_ROLE_UNIT, 0);
    RILL_CONTROL_SET(&m, EXITED, exited, &exited);
    world_say(w, w->agents[1].peer, &m);
    expect_shrug(w, 7);
    world_free(w);
}

static void strangers(void **state)
{
    struct world *w = world_with_web(1, 1);
    uint32_t peer = ++w->next_peer;
    Control__Message m = rill_control_message(0, 0, 7);
    Control__Join join = CONTROL__JOIN__INIT;
    Control__Attach attach = CONTROL__ATTACH__INIT;
    Control__Done done = CONTROL__DONE__INIT;

    (void)state;
    join.kind = 99;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    world_say(w, peer, &m);
    join.kind = RILL_ROLE_UNIT; /* a program comes through its agent */
    join.role = world_active(w, RILL_ROLE_UNIT, 0);
    world_say(w, peer, &m);
    RILL_CONTROL_SET(&m, ATTACH, attach, &attach);
    world_say(w, peer, &m);
    RILL_CONTROL_SET(&m, DONE, done, &done);
    world_say(w, peer, &m);
    expect_shrug(w, 4);
    world_peer_down(w, peer);
    world_peer_down(w, peer + 100); /* who never said a word */
    expect_shrug(w, 4);
    world_free(w);
}

/* A program that says Join again and again gets its links told again, and costs nothing else. */
static void joining_again_and_again(void **state)
{
    struct world *w = world_with_web(1, 2);
    uint32_t unit = world_active(w, RILL_ROLE_UNIT, 0);
    Control__Message m = rill_control_message(unit, w->config.id, 1);
    Control__Join join = CONTROL__JOIN__INIT;

    (void)state;
    world_rule(w, (struct world_rule){
                      .body = CONTROL__MESSAGE__BODY_PEERS, .role = unit, .fate = WORLD_SILENT});
    world_segfaults(w, world_active(w, RILL_ROLE_UNIT, 1));
    join.kind = RILL_ROLE_UNIT;
    join.role = unit;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    for (uint32_t i = 0; i < 1000; i++) {
        world_program_says(w, unit, &m);
        world_pass(w, 1);
    }
    assert_true(world_role(w, unit)->running);
    world_pass(w, WORLD_LINKS_S * SECOND_MS - 1000); /* it gains no time by that */
    assert_false(world_role(w, unit)->running);
    world_free(w);
}

/* --- anything --------------------------------------------------------------------------------- */

static uint32_t any_id(struct world *w, struct rill_rng *rng)
{
    switch (rill_rng_below(rng, 6)) {
    case 0:
        return 0;
    case 1:
        return w->config.id;
    case 2:
        return w->agents[rill_rng_below(rng, WORLD_AGENTS)].id;
    case 3:
        return w->clients[rill_rng_below(rng, WORLD_CLIENTS)].id;
    case 4:
        return rill_role_id((enum rill_role_kind)rill_rng_below(rng, 9), rill_rng_below(rng, 40));
    default:
        return w->roles[rill_rng_below(rng, w->role_count)].id;
    }
}

enum { ENVELOPE = 5 }; /* fields of every message */

/* A message of any kind whose numbers are such as occur; what is a text or bytes is empty. */
static Control__Message *anything(struct world *w, struct rill_rng *rng)
{
    const ProtobufCMessageDescriptor *type = &control__message__descriptor;
    const ProtobufCFieldDescriptor *body =
        &type->fields[ENVELOPE + rill_rng_below(rng, type->n_fields - ENVELOPE)];
    Control__Message *m = calloc(1, sizeof(*m));
    const ProtobufCMessageDescriptor *of = body->descriptor;
    ProtobufCMessage *inner = calloc(1, of->sizeof_message);

    assert_non_null(m);
    assert_non_null(inner);
    *m = rill_control_message(any_id(w, rng), any_id(w, rng), rill_rng_below(rng, 200));
    protobuf_c_message_init(of, inner);
    for (unsigned i = 0; i < of->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &of->fields[i];
        uint32_t value = rill_rng_below(rng, 2)
                             ? any_id(w, rng)
                             : rill_rng_below(rng, 1u << 31) >> rill_rng_below(rng, 31);

        if (field->label != PROTOBUF_C_LABEL_REPEATED &&
            (field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_UINT64))
            memcpy((char *)inner + field->offset, &value, sizeof(value));
    }
    m->body_case = (Control__Message__BodyCase)body->id;
    memcpy((char *)m + body->offset, &inner, sizeof(inner));
    return m;
}

static void free_anything(Control__Message *m)
{
    const ProtobufCFieldDescriptor *body = protobuf_c_message_descriptor_get_field(
        &control__message__descriptor, (unsigned)m->body_case);
    void *inner;

    memcpy(&inner, (char *)m + body->offset, sizeof(inner));
    free(inner);
    free(m);
}

/* From a program, mostly: its own agent has checked its name. Agents and clients are trusted not to
 * end the cluster. */
static void say_anything(struct world *w, struct rill_rng *rng)
{
    Control__Message *m = anything(w, rng);
    const struct world_role *role = &w->roles[rill_rng_below(rng, w->role_count)];
    uint32_t peer = w->agents[role->agent].peer;

    if (m->body_case == CONTROL__MESSAGE__BODY_ATTACHED) { /* not without facts: refused below us */
        free_anything(m);
        return;
    }
    if (rill_rng_below(rng, 8) == 0 && m->body_case != CONTROL__MESSAGE__BODY_SHUTDOWN)
        peer = rill_rng_below(rng, w->next_peer + 2) + 1;
    else
        m->from = role->id;
    if (m->from == w->agents[role->agent].id)
        m->from = role->id;
    if (peer != 0 && !world_is_down(w, peer))
        world_say(w, peer, m);
    free_anything(m);
}

static void crash_something(struct world *w, struct rill_rng *rng)
{
    const struct world_role *role = &w->roles[rill_rng_below(rng, w->role_count)];

    if (role->running)
        world_segfaults(w, role->id);
}

/* Whatever happened, the cluster can be brought to order again. */
static void anything_from_anybody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = world_with_web(2, 2);
        struct rill_rng rng;

        rill_rng_seed(&rng, seed);
        for (uint32_t i = 0; i < 400; i++) {
            say_anything(w, &rng);
            if (rill_rng_below(&rng, 40) == 0)
                crash_something(w, &rng);
            if (rill_rng_below(&rng, 40) == 0)
                world_attach(w, 0, "web");
            if (rill_rng_below(&rng, 60) == 0)
                world_deploy(w, 0, "more", 1 + rill_rng_below(&rng, 3));
            if (rill_rng_below(&rng, 60) == 0)
                world_undeploy(w, 0, rill_rng_below(&rng, 2) ? "more" : "web");
            if (rill_rng_below(&rng, 100) == 0)
                world_agent_down(w, 0);
            if (w->agents[0].peer == 0 && rill_rng_below(&rng, 4) == 0)
                world_agent_joins(w, 0);
            if (rill_rng_below(&rng, 4) == 0)
                world_pass(w, rill_rng_below(&rng, 3000));
        }
        if (w->agents[0].peer == 0)
            world_agent_joins(w, 0);
        world_pass(w, 120 * SECOND_MS);
        world_undeploy(w, 0, "web");
        world_undeploy(w, 0, "more");
        world_pass(w, 120 * SECOND_MS);
        world_deploy(w, 0, "again", 2);
        world_expect(w, 0, CONTROL__MESSAGE__BODY_DEPLOYED);
        world_undeploy(w, 0, "again");
        world_expect(w, 0, CONTROL__MESSAGE__BODY_DONE);
        assert_int_equal(w->folders_made, w->folders_removed);
        assert_true(world_status(w, 0)->settled);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_nobody_waits_for),
        cmocka_unit_test(answers_in_the_place_of_others),
        cmocka_unit_test(leases_asked_for_by_the_wrong_ones),
        cmocka_unit_test(orders_from_a_program),
        cmocka_unit_test(orders_that_are_to_be_passed_on),
        cmocka_unit_test(in_the_name_of_others),
        cmocka_unit_test(strangers),
        cmocka_unit_test(joining_again_and_again),
        cmocka_unit_test(anything_from_anybody),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
