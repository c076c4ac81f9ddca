#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/role.h"
#include "rm/agent/agent.h"

enum { SAID_MAX = 64, PROGRAM = 11, OTHER = 12, TOKEN = 0x1234, START_NS = 15000000 };

static const uint32_t rm_id = (RILL_ROLE_RM << 24) + 1;
static const uint32_t agent_id = (RILL_ROLE_AGENT << 24) + 7;
static const uint32_t unit = (RILL_ROLE_UNIT << 24) + 1;
static const uint32_t controller = (RILL_ROLE_CONTROLLER << 24) + 2;

/* What the agent did, in order; each look takes the first away. */
enum heard { TO_RM, TO_PROGRAM, RUN, STOP, FAIL, STOP_ALL };

static struct said {
    enum heard what;
    uint32_t peer, role;
    bool host_network, hang, at_once;
    Control__Message *message; /* a copy */
} said[SAID_MAX];
static uint32_t said_count;
static struct rill_agent *agent;

/* ---- what the agent is given to call ---- */

static struct said *note(enum heard what)
{
    assert_true(said_count < SAID_MAX);
    said[said_count] = (struct said){.what = what};
    return &said[said_count++];
}

static Control__Message *copied(const Control__Message *message)
{
    size_t size = control__message__get_packed_size(message);
    uint8_t *bytes = malloc(size);
    Control__Message *made;

    assert_non_null(bytes);
    control__message__pack(message, bytes);
    assert_int_equal(rill_control_unpack(bytes, size, &made), RILL_CONTROL_OK);
    free(bytes);
    return made;
}

static void to_rm(void *arg, const Control__Message *message)
{
    (void)arg;
    note(TO_RM)->message = copied(message);
}

static void to_program(void *arg, uint32_t peer, const Control__Message *message)
{
    struct said *noted = note(TO_PROGRAM);

    (void)arg;
    noted->peer = peer;
    noted->message = copied(message);
}

static void run(void *arg, uint32_t role, bool host_network)
{
    struct said *noted = note(RUN);

    (void)arg;
    noted->role = role;
    noted->host_network = host_network;
}

static void stop(void *arg, uint32_t role, bool at_once)
{
    struct said *noted = note(STOP);

    (void)arg;
    noted->role = role;
    noted->at_once = at_once;
}

static void let_fail(void *arg, uint32_t role, bool hang)
{
    struct said *noted = note(FAIL);

    (void)arg;
    noted->role = role;
    noted->hang = hang;
}

static void stop_all(void *arg)
{
    (void)arg;
    note(STOP_ALL);
}

/* ---- looking at it ---- */

static struct said first;

static struct said *next(enum heard what)
{
    rill_control_free(first.message);
    first.message = NULL;
    assert_true(said_count > 0);
    first = said[0];
    memmove(&said[0], &said[1], --said_count * sizeof(said[0]));
    assert_int_equal(first.what, what);
    return &first;
}

static const Control__Message *next_to_rm(int body_case)
{
    const Control__Message *m = next(TO_RM)->message;

    assert_int_equal(m->body_case, body_case);
    return m;
}

static void assert_silent(void)
{
    assert_int_equal(said_count, 0);
}

static const struct rill_agent_counters *counters(void)
{
    return rill_agent_counters(agent);
}

/* ---- what comes in ---- */

static void from_keeper(enum rill_keeper_event_type type, uint32_t role, const char *text)
{
    struct rill_keeper_event event = {.type = type, .role = role};

    if (type == RILL_KEEPER_ADOPTED || type == RILL_KEEPER_STARTED)
        event.token = TOKEN;
    if (type == RILL_KEEPER_STARTED)
        event.start_ns = START_NS;
    snprintf(event.text, sizeof(event.text), "%s", text);
    rill_agent_keeper_event(agent, &event);
}

static void exits(uint32_t role, int32_t wait_status, bool stalled, const char *text)
{
    struct rill_keeper_event event = {
        .type = RILL_KEEPER_EXITED, .role = role, .wait_status = wait_status, .stalled = stalled};

    snprintf(event.text, sizeof(event.text), "%s", text);
    rill_agent_keeper_event(agent, &event);
}

static void asks_start(uint32_t role, bool host_network, uint64_t number)
{
    Control__Message m = rill_control_message(rm_id, agent_id, number);
    Control__Start body = CONTROL__START__INIT;

    body.role = role;
    body.host_network = host_network;
    RILL_CONTROL_SET(&m, START, start, &body);
    rill_agent_rm_message(agent, &m);
}

static void asks_stop_how(uint32_t role, uint64_t number, bool at_once)
{
    Control__Message m = rill_control_message(rm_id, agent_id, number);
    Control__Stop body = CONTROL__STOP__INIT;

    body.role = role;
    body.at_once = at_once;
    RILL_CONTROL_SET(&m, STOP, stop, &body);
    rill_agent_rm_message(agent, &m);
}

static void asks_stop(uint32_t role, uint64_t number)
{
    asks_stop_how(role, number, false);
}

static void asks_stop_all(uint64_t number)
{
    Control__Message m = rill_control_message(rm_id, agent_id, number);
    Control__StopAll body = CONTROL__STOP_ALL__INIT;

    RILL_CONTROL_SET(&m, STOP_ALL, stop_all, &body);
    rill_agent_rm_message(agent, &m);
}

static void welcomes(uint32_t whom)
{
    Control__Message m = rill_control_message(rm_id, whom, 1);
    Control__Welcome body = CONTROL__WELCOME__INIT;

    body.role = whom;
    body.cluster = (char *)"test";
    RILL_CONTROL_SET(&m, WELCOME, welcome, &body);
    rill_agent_rm_message(agent, &m);
}

static void says_join(uint32_t peer, uint32_t from, uint32_t role, uint64_t token)
{
    Control__Message m = rill_control_message(from, 0, 1);
    Control__Join body = CONTROL__JOIN__INIT;

    body.kind = rill_role_kind(role);
    body.role = role;
    body.token = token;
    body.ready_ns = 99;
    RILL_CONTROL_SET(&m, JOIN, join, &body);
    rill_agent_program_message(agent, peer, &m);
}

static void says_done(uint32_t peer, uint32_t from, uint32_t to)
{
    Control__Message m = rill_control_message(from, to, 42);
    Control__Done body = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &body);
    rill_agent_program_message(agent, peer, &m);
}

static void rm_says_peers(uint32_t to)
{
    Control__Message m = rill_control_message(rm_id, to, 5);
    Control__Peers body = CONTROL__PEERS__INIT;

    RILL_CONTROL_SET(&m, PEERS, peers, &body);
    rill_agent_rm_message(agent, &m);
}

/* ---- where tests begin ---- */

static int create(void **state)
{
    struct rill_agent_config config = {.machine = "m1",
                                       .cpus = 4,
                                       .memory_bytes = 1 << 30,
                                       .hugepages = true,
                                       .to_rm = to_rm,
                                       .to_program = to_program,
                                       .run = run,
                                       .stop = stop,
                                       .fail = let_fail,
                                       .stop_all = stop_all};

    (void)state;
    agent = rill_agent_create(&config, NULL);
    return agent == NULL;
}

static int destroy(void **state)
{
    (void)state;
    rill_agent_destroy(agent);
    rill_control_free(first.message);
    first.message = NULL;
    while (said_count > 0)
        rill_control_free(said[--said_count].message);
    return 0;
}

/* The keeper is ready, the RM is there and has said Welcome. */
static int create_joined(void **state)
{
    if (create(state) != 0)
        return 1;
    from_keeper(RILL_KEEPER_READY, 0, "");
    rill_agent_rm_up(agent);
    next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    welcomes(agent_id);
    return 0;
}

static void start_program(uint32_t role)
{
    asks_start(role, false, 3);
    next(RUN);
    from_keeper(RILL_KEEPER_STARTED, role, "");
    next_to_rm(CONTROL__MESSAGE__BODY_STARTED);
}

static void start_and_join(uint32_t role, uint32_t peer)
{
    start_program(role);
    says_join(peer, role, role, TOKEN);
    next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    welcomes(role);
    next(TO_PROGRAM);
}

/* ---- the agent's own Join ---- */

static void assert_joins(uint32_t running_count)
{
    const Control__Message *m = next_to_rm(CONTROL__MESSAGE__BODY_JOIN);

    assert_int_equal(m->join->kind, RILL_ROLE_AGENT);
    assert_string_equal(m->join->machine, "m1");
    assert_string_equal(m->join->program, RILL_VERSION);
    assert_int_equal(m->join->cpus, 4);
    assert_int_equal(m->join->memory_bytes, 1 << 30);
    assert_true(m->join->hugepages);
    assert_true(m->number != 0);
    assert_int_equal(m->join->n_running, running_count);
}

static void joins_when_both_are_there(void **state)
{
    (void)state;
    rill_agent_rm_up(agent);
    assert_silent();
    from_keeper(RILL_KEEPER_READY, 0, "");
    assert_joins(0);
    assert_silent();
}

static void says_what_it_found(void **state)
{
    (void)state;
    from_keeper(RILL_KEEPER_ADOPTED, unit, "");
    from_keeper(RILL_KEEPER_ADOPTED, controller, "");
    from_keeper(RILL_KEEPER_READY, 0, "");
    assert_silent();
    rill_agent_rm_up(agent);
    assert_joins(2);
    assert_int_equal(first.message->join->running[0], unit);
    assert_int_equal(first.message->join->running[1], controller);
}

/* A new RM may give it another id; what it says then is from that. */
static void takes_the_id_that_it_gets(void **state)
{
    (void)state;
    asks_stop(unit, 4);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->from, agent_id);
    rill_agent_rm_down(agent);
    rill_agent_rm_up(agent);
    assert_joins(0);
    welcomes(agent_id + 1);
    asks_stop(unit, 4);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->from, agent_id + 1);
}

static void rejoins_and_says_what_runs(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    asks_start(controller, true, 8); /* still being started */
    next(RUN);
    rill_agent_rm_down(agent);
    rill_agent_rm_up(agent);
    assert_joins(2);
    assert_silent(); /* the RM knows of the unit's start and Join */
}

/* ---- starts and ends ---- */

static void a_start_is_answered(void **state)
{
    const Control__Message *m;

    (void)state;
    asks_start(unit, true, 3);
    assert_int_equal(next(RUN)->role, unit);
    assert_true(first.host_network);
    assert_silent();
    from_keeper(RILL_KEEPER_STARTED, unit, "");
    m = next_to_rm(CONTROL__MESSAGE__BODY_STARTED);
    assert_int_equal(m->number, 3);
    assert_int_equal(m->from, agent_id);
    assert_int_equal(m->to, rm_id);
    assert_int_equal(m->started->start_ns, START_NS);
    asks_start(controller, false, 4);
    assert_false(next(RUN)->host_network);
}

static void a_start_that_fails_is_answered(void **state)
{
    const Control__Message *m;

    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    from_keeper(RILL_KEEPER_FAILED, unit, "no such program");
    m = next_to_rm(CONTROL__MESSAGE__BODY_ERROR);
    assert_int_equal(m->number, 3);
    assert_string_equal(m->error->text, "no such program");
    asks_start(unit, false, 4); /* nothing is left of it */
    next(RUN);
}

static void a_second_start_starts_nothing(void **state)
{
    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    asks_start(unit, false, 4);
    assert_silent();
    from_keeper(RILL_KEEPER_STARTED, unit, "");
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_STARTED)->number, 4);
    asks_start(unit, false, 5);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_STARTED)->number, 5);
    assert_silent();
}

static void an_end_is_told(void **state)
{
    const Control__Message *m;

    (void)state;
    start_and_join(unit, PROGRAM);
    exits(unit, 139, true, "its last words");
    m = next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_int_equal(m->number, 0);
    assert_int_equal(m->from, agent_id);
    assert_int_equal(m->exited->role, unit);
    assert_int_equal(m->exited->wait_status, 139);
    assert_true(m->exited->stalled);
    assert_string_equal(m->exited->text, "its last words");
    assert_silent();
    says_done(PROGRAM, unit, rm_id); /* it is nobody any more */
    assert_silent();
}

static void ends(uint32_t role)
{
    struct rill_keeper_event event = {
        .type = RILL_KEEPER_ENDED, .role = role, .stalled = true, .wait_status = 99};

    rill_agent_keeper_event(agent, &event);
}

static void an_end_is_told_before_how(void **state)
{
    const Control__Message *m;

    (void)state;
    start_and_join(unit, PROGRAM);
    ends(unit);
    m = next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_int_equal(m->exited->role, unit);
    assert_int_equal(m->exited->wait_status, -1);
    assert_true(m->exited->stalled);
    assert_true(m->exited->how_follows);
    ends(unit); /* once */
    assert_silent();
    exits(unit, 139, true, "its last words");
    m = next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_int_equal(m->exited->wait_status, 139);
    assert_false(m->exited->how_follows);
    assert_silent();
}

/* What was under way from it, a Join of its even, goes nowhere. */
static void who_ended_says_nothing_any_more(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    ends(unit);
    next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    says_done(PROGRAM, unit, rm_id);
    says_join(OTHER, unit, unit, TOKEN);
    rm_says_peers(unit);
    assert_silent();
    assert_int_equal(counters()->refused_identity, 2);
    assert_int_equal(counters()->no_program, 1);
}

/* What is left of it is there: Done comes when it is not. */
static void a_stop_of_who_ended_is_answered_when_it_is_gone(void **state)
{
    (void)state;
    start_program(unit);
    ends(unit);
    next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    asks_stop(unit, 9);
    next(STOP);
    assert_silent();
    exits(unit, 0, false, "");
    next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->number, 9);
}

static void asks_fail(uint32_t role, bool hang)
{
    Control__Message m = rill_control_message(rm_id, agent_id, 0);
    Control__Fail body = CONTROL__FAIL__INIT;

    body.role = role;
    body.hang = hang;
    RILL_CONTROL_SET(&m, FAIL, fail, &body);
    rill_agent_rm_message(agent, &m);
}

/* What follows is the keeper's to tell. */
static void who_is_to_fail_does(void **state)
{
    (void)state;
    asks_fail(unit, false); /* nobody's */
    assert_silent();
    start_and_join(unit, PROGRAM);
    asks_fail(unit, true);
    assert_true(next(FAIL)->hang);
    asks_fail(unit, false);
    next(FAIL);
    assert_int_equal(first.role, unit);
    assert_false(first.hang);
    assert_silent();
}

/* A program can't: it comes from the RM alone. */
static void a_program_can_not_let_others_fail(void **state)
{
    Control__Message m = rill_control_message(unit, agent_id, 0);
    Control__Fail body = CONTROL__FAIL__INIT;

    (void)state;
    start_and_join(unit, PROGRAM);
    body.role = unit;
    RILL_CONTROL_SET(&m, FAIL, fail, &body);
    rill_agent_program_message(agent, PROGRAM, &m);
    while (said_count > 0) {
        assert_int_equal(said[0].what, TO_RM); /* which passes on no such thing */
        next(TO_RM);
    }
}

static void a_stop_is_answered_when_it_is_gone(void **state)
{
    (void)state;
    start_program(unit);
    asks_stop(unit, 9);
    assert_int_equal(next(STOP)->role, unit);
    assert_silent();
    exits(unit, 0, false, "");
    next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->number, 9);
    assert_silent();
}

static void the_keeper_is_told_how_to_stop(void **state)
{
    (void)state;
    start_program(unit);
    asks_stop(unit, 9);
    assert_false(next(STOP)->at_once);
    asks_stop_how(unit, 10, true);
    assert_true(next(STOP)->at_once);
}

static void a_stop_of_nobody_is_done(void **state)
{
    (void)state;
    asks_stop(unit, 9);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->number, 9);
    assert_silent();
}

static void a_stop_before_the_start_answers_both(void **state)
{
    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    asks_stop(unit, 9);
    next(STOP);
    from_keeper(RILL_KEEPER_FAILED, unit, "it was stopped before it was started");
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_ERROR)->number, 3);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->number, 9);
}

/* ---- the RM goes and comes back ---- */

static void what_happened_meanwhile_is_in_the_join(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    start_and_join(controller, OTHER);
    rill_agent_rm_down(agent);
    exits(unit, 0, false, "");
    assert_silent();
    rill_agent_rm_up(agent);
    assert_joins(1);
    assert_int_equal(first.message->join->running[0], controller);
    assert_silent();
}

static void a_start_that_ended_meanwhile_is_answered(void **state)
{
    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    rill_agent_rm_down(agent);
    from_keeper(RILL_KEEPER_STARTED, unit, "");
    says_join(PROGRAM, unit, unit, TOKEN);
    assert_silent();
    rill_agent_rm_up(agent);
    assert_joins(1);
    assert_silent();
    welcomes(agent_id);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_STARTED)->number, 3);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_JOIN)->join->role, unit);
    assert_silent();
}

/* It may be another RM, which has that number for something else; but it has heard that the role
 * runs. */
static void a_start_that_fails_after_a_rejoin_is_an_end(void **state)
{
    const Control__Message *m;

    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    rill_agent_rm_down(agent);
    rill_agent_rm_up(agent);
    assert_joins(1);
    from_keeper(RILL_KEEPER_FAILED, unit, "no memory");
    m = next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_int_equal(m->exited->role, unit);
    assert_int_equal(m->exited->wait_status, -1);
    assert_string_equal(m->exited->text, "no memory");
    assert_silent();
}

static void an_old_stop_is_not_answered_to_a_new_rm(void **state)
{
    (void)state;
    start_program(unit);
    asks_stop(unit, 9);
    next(STOP);
    rill_agent_rm_down(agent);
    rill_agent_rm_up(agent);
    assert_joins(1);
    welcomes(agent_id);
    next_to_rm(CONTROL__MESSAGE__BODY_STARTED);
    exits(unit, 0, false, "");
    next_to_rm(CONTROL__MESSAGE__BODY_EXITED);
    assert_silent();
}

static void refuses_join(void)
{
    Control__Message m = rill_control_message(rm_id, 0, 1);
    Control__Error body = CONTROL__ERROR__INIT;

    body.text = (char *)"machine m has an agent already";
    RILL_CONTROL_SET(&m, ERROR, error, &body);
    rill_agent_rm_message(agent, &m);
}

/* The RM may not have heard yet that the connection of before is gone. Its programs must not hear
 * of it: they would end. */
static void an_agent_that_is_refused_joins_again(void **state)
{
    (void)state;
    start_program(unit);
    says_join(PROGRAM, unit, unit, TOKEN);
    next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    rill_agent_rm_down(agent);
    rill_agent_rm_up(agent);
    assert_joins(1);
    assert_false(rill_agent_refused(agent));
    refuses_join();
    assert_true(rill_agent_refused(agent));
    says_join(PROGRAM, unit, unit, TOKEN);
    assert_silent();
    rill_agent_rm_up(agent);
    assert_false(rill_agent_refused(agent));
    assert_joins(1);
    assert_silent();
    welcomes(agent_id);
    next_to_rm(CONTROL__MESSAGE__BODY_STARTED);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_JOIN)->from, unit);
    rill_agent_rm_up(agent); /* it is welcome: nothing more to say */
    assert_silent();
}

/* ---- who is who ---- */

static void a_program_with_its_token_is_let_in(void **state)
{
    const Control__Message *m;

    (void)state;
    start_program(unit);
    says_join(PROGRAM, unit, unit, TOKEN);
    m = next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    assert_int_equal(m->from, unit);
    assert_int_equal(m->number, 1);
    assert_int_equal(m->join->ready_ns, 99);
    says_done(PROGRAM, unit, rm_id);
    m = next_to_rm(CONTROL__MESSAGE__BODY_DONE);
    assert_int_equal(m->from, unit);
    assert_int_equal(m->to, rm_id);
    assert_int_equal(m->number, 42);
    assert_int_equal(counters()->passed_up, 2);
    assert_int_equal(counters()->refused_identity, 0);
}

static void nobody_else_is(void **state)
{
    (void)state;
    start_program(unit);
    start_program(controller);
    says_done(PROGRAM, unit, rm_id);               /* before its Join */
    says_join(PROGRAM, unit, unit, TOKEN + 1);     /* a wrong token */
    says_join(PROGRAM, unit, unit, 0);             /* none */
    says_join(PROGRAM, controller, unit, TOKEN);   /* from another */
    says_join(PROGRAM, 0, unit, TOKEN);            /* from nobody */
    says_join(PROGRAM, unit + 9, unit + 9, TOKEN); /* was never started */
    says_join(PROGRAM, agent_id, agent_id, TOKEN); /* as an agent */
    says_done(PROGRAM, unit, rm_id);               /* still not let in */
    assert_int_equal(counters()->refused_identity, 8);
    says_join(PROGRAM, unit, unit, TOKEN);
    next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    says_done(PROGRAM, controller, rm_id);             /* in another's name */
    says_join(PROGRAM, controller, controller, TOKEN); /* one connection, one program */
    assert_int_equal(counters()->refused_identity, 10);
    assert_silent();
}

static void a_join_of_another_kind_is_refused(void **state)
{
    Control__Message m = rill_control_message(unit, 0, 1);
    Control__Join body = CONTROL__JOIN__INIT;

    (void)state;
    start_program(unit);
    body.kind = RILL_ROLE_CONTROLLER;
    body.role = unit;
    body.token = TOKEN;
    RILL_CONTROL_SET(&m, JOIN, join, &body);
    rill_agent_program_message(agent, PROGRAM, &m);
    assert_int_equal(counters()->refused_identity, 1);
    assert_silent();
}

/* The program was faster than the keeper's word; so was somebody who only guesses. */
static void a_join_before_the_start_is_told_waits(void **state)
{
    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    says_join(OTHER, unit, unit, TOKEN + 1);
    says_join(PROGRAM, unit, unit, TOKEN);
    says_join(OTHER + 1, unit, unit, TOKEN + 2);
    assert_silent();
    from_keeper(RILL_KEEPER_STARTED, unit, "");
    next_to_rm(CONTROL__MESSAGE__BODY_STARTED);
    next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    assert_silent();
    assert_int_equal(counters()->refused_identity, 2);
    rm_says_peers(unit);
    assert_int_equal(next(TO_PROGRAM)->peer, PROGRAM);
}

static void an_early_join_of_a_broken_connection_is_void(void **state)
{
    (void)state;
    asks_start(unit, false, 3);
    next(RUN);
    says_join(PROGRAM, unit, unit, TOKEN);
    rill_agent_program_down(agent, PROGRAM);
    from_keeper(RILL_KEEPER_STARTED, unit, "");
    next_to_rm(CONTROL__MESSAGE__BODY_STARTED);
    assert_silent();
}

/* A token that is seen can only be used by who has it; a connection that it came from before is
 * nobody's. */
static void a_program_that_dials_again_is_the_same(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    says_join(OTHER, unit, unit, TOKEN);
    next_to_rm(CONTROL__MESSAGE__BODY_JOIN);
    rm_says_peers(unit);
    assert_int_equal(next(TO_PROGRAM)->peer, OTHER);
    says_done(PROGRAM, unit, rm_id);
    assert_int_equal(counters()->refused_identity, 1);
    rill_agent_program_down(agent, PROGRAM); /* late; it means nothing */
    rm_says_peers(unit);
    assert_int_equal(next(TO_PROGRAM)->peer, OTHER);
}

/* ---- passing on ---- */

static void messages_go_to_whom_they_are_for(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    start_and_join(controller, OTHER);
    rm_says_peers(controller);
    assert_int_equal(next(TO_PROGRAM)->peer, OTHER);
    assert_int_equal(first.message->to, controller);
    assert_int_equal(first.message->number, 5);
    rill_agent_program_down(agent, OTHER);
    rm_says_peers(controller);
    rm_says_peers(unit + 5);
    assert_silent();
    assert_int_equal(counters()->no_program, 2);
    assert_int_equal(counters()->passed_down, 3);
}

static void what_programs_say_while_the_rm_is_away_is_counted(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    rill_agent_rm_down(agent);
    says_done(PROGRAM, unit, rm_id);
    assert_silent();
    assert_int_equal(counters()->no_rm, 1);
}

static void what_an_agent_does_not_know_is_answered(void **state)
{
    Control__Message m = rill_control_message(rm_id, agent_id, 6);
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;
    Control__Done done = CONTROL__DONE__INIT;

    (void)state;
    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
    rill_agent_rm_message(agent, &m);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_ERROR)->number, 6);
    assert_non_null(strstr(first.message->error->text, "metrics_request"));
    RILL_CONTROL_SET(&m, DONE, done, &done);
    rill_agent_rm_message(agent, &m);
    assert_silent(); /* two who answer each other's answers would never end */
    assert_int_equal(counters()->unexpected, 2);
    start_and_join(unit, PROGRAM);
    says_done(PROGRAM, unit, agent_id);
    assert_silent();
    assert_int_equal(counters()->unexpected, 3);
}

/* ---- the end ---- */

static void stop_all_is_answered_and_the_end(void **state)
{
    (void)state;
    start_and_join(unit, PROGRAM);
    asks_stop_all(7);
    next(STOP_ALL);
    asks_stop_all(8); /* asked again */
    asks_start(controller, false, 9);
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_ERROR)->number, 9);
    assert_false(rill_agent_over(agent));
    assert_silent();
    from_keeper(RILL_KEEPER_ALL_STOPPED, 0, "");
    assert_int_equal(next_to_rm(CONTROL__MESSAGE__BODY_DONE)->number, 8);
    assert_true(rill_agent_over(agent));
    assert_silent();
}

static void stop_all_that_leaves_something_says_so(void **state)
{
    (void)state;
    asks_stop_all(7);
    next(STOP_ALL);
    from_keeper(RILL_KEEPER_ALL_STOPPED, 0, "cannot remove a cgroup");
    assert_string_equal(next_to_rm(CONTROL__MESSAGE__BODY_ERROR)->error->text,
                        "cannot remove a cgroup");
    assert_true(rill_agent_over(agent));
}

static void stop_all_goes_on_without_the_rm(void **state)
{
    (void)state;
    asks_stop_all(7);
    next(STOP_ALL);
    rill_agent_rm_down(agent);
    rill_agent_rm_up(agent); /* who is about to end joins no more */
    assert_silent();
    from_keeper(RILL_KEEPER_ALL_STOPPED, 0, "");
    assert_silent();
    assert_true(rill_agent_over(agent));
}

static void without_a_keeper_it_is_over(void **state)
{
    (void)state;
    assert_false(rill_agent_over(agent));
    from_keeper(RILL_KEEPER_GONE, 0, "");
    assert_true(rill_agent_over(agent));
}

#define FRESH(f) cmocka_unit_test_setup_teardown(f, create, destroy)
#define JOINED(f) cmocka_unit_test_setup_teardown(f, create_joined, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(joins_when_both_are_there),
        FRESH(says_what_it_found),
        JOINED(takes_the_id_that_it_gets),
        JOINED(rejoins_and_says_what_runs),
        JOINED(a_start_is_answered),
        JOINED(a_start_that_fails_is_answered),
        JOINED(a_second_start_starts_nothing),
        JOINED(an_end_is_told),
        JOINED(an_end_is_told_before_how),
        JOINED(who_ended_says_nothing_any_more),
        JOINED(a_stop_of_who_ended_is_answered_when_it_is_gone),
        JOINED(who_is_to_fail_does),
        JOINED(a_program_can_not_let_others_fail),
        JOINED(a_stop_is_answered_when_it_is_gone),
        JOINED(the_keeper_is_told_how_to_stop),
        JOINED(a_stop_of_nobody_is_done),
        JOINED(a_stop_before_the_start_answers_both),
        JOINED(what_happened_meanwhile_is_in_the_join),
        JOINED(a_start_that_ended_meanwhile_is_answered),
        JOINED(a_start_that_fails_after_a_rejoin_is_an_end),
        JOINED(an_old_stop_is_not_answered_to_a_new_rm),
        JOINED(an_agent_that_is_refused_joins_again),
        JOINED(a_program_with_its_token_is_let_in),
        JOINED(nobody_else_is),
        JOINED(a_join_of_another_kind_is_refused),
        JOINED(a_join_before_the_start_is_told_waits),
        JOINED(an_early_join_of_a_broken_connection_is_void),
        JOINED(a_program_that_dials_again_is_the_same),
        JOINED(messages_go_to_whom_they_are_for),
        JOINED(what_programs_say_while_the_rm_is_away_is_counted),
        JOINED(what_an_agent_does_not_know_is_answered),
        JOINED(stop_all_is_answered_and_the_end),
        JOINED(stop_all_that_leaves_something_says_so),
        JOINED(stop_all_goes_on_without_the_rm),
        FRESH(without_a_keeper_it_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
