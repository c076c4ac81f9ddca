/* Real processes of a unit, an output logger and a controller, with a node agent and a resource
 * manager that are this test, which is the client, too. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/daemon/role_fixture.h"
#include "lib/fabric/fabric_memif.h"
#include "tests/core_testing.h"

enum { RELEASED_MAX = 16, STATE_BYTES = 96, TERM = 7, FLOWS = 50, MORE_THAN_BUFFERS = 17000 };

static struct fake_program *unit, *logger, *controller;
static struct rill_fabric *fabric; /* the client's */
static struct rte_mbuf *released[RELEASED_MAX];
static uint32_t released_count;
static Control__Message *activated; /* the unit's answer, with the facts */

/* --- the client ------------------------------------------------------------------------------- */

static void client_turn(void)
{
    released_count += fabric->ops->recv(fabric, CLIENT, released + released_count,
                                        RELEASED_MAX - released_count, 0);
    assert_true(released_count < RELEASED_MAX);
}

static void clear_released(void)
{
    rte_pktmbuf_free_bulk(released, released_count);
    released_count = 0;
}

static void client_start(void)
{
    struct rill_fabric_memif_config config = {
        .folder = agent.links, .ring_frames = RILL_FABRIC_MEMIF_RING_FRAMES, .pool = core_pool};
    struct rill_error err = {""};

    fabric = rill_fabric_memif_create(&config, &err);
    if (fabric == NULL || fabric->ops->attach(fabric, CLIENT, &err) != 0 ||
        rill_fabric_memif_link(fabric, CLIENT, CONTROLLER, &err) != 0 ||
        rill_fabric_memif_link(fabric, CLIENT, LOGGER, &err) != 0)
        fail_msg("%s", err.text);
    agent.turn = client_turn;
}

static void send_in(struct rte_mbuf *m, uint32_t src, enum rill_side side, uint64_t id)
{
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_INGRESS;
    f->src = src;
    f->dst = CONTROLLER;
    f->side = (uint8_t)side;
    f->ingress_ns = 1000 + id;
    f->ingress_id = id;
    fabric->ops->send(fabric, CLIENT, &m, 1, 0);
}

static int setup(void **state)
{
    (void)state;
    fake_agent_start(&agent);
    released_count = 0;
    fabric = NULL;
    activated = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clear_released();
    if (fabric != NULL)
        fabric->ops->destroy(fabric);
    agent.turn = NULL;
    facts = NULL;
    rill_control_free(activated);
    fake_agent_stop(&agent);
    return core_in_use() == 0 ? 0 : -1;
}

static void share(uint32_t thousandths)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Share body = CONTROL__SHARE__INIT;
    static uint64_t number;

    body.number = ++number;
    body.controller = CONTROLLER;
    body.share = thousandths;
    body.epoch = 1; /* as activation() has it */
    RILL_CONTROL_SET(&m, SHARE, share, &body);
    fake_tell(&agent, unit, &m);
    fake_await(&agent, &unit->share_acks, unit->share_acks + 1);
    assert_int_equal(unit->share, thousandths);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void start_all(const char *poll)
{
    unit = run_role("rill-nf-runtime", UNIT, poll);
    logger = run_role("rill-output-logger", LOGGER, poll);
    controller = run_role("rill-controller", CONTROLLER, poll);
    for (uint32_t i = 0; i < agent.count; i++)
        fake_await_join(&agent, &agent.programs[i], 1);
}

static void activate_all(void)
{
    Control__Named units_min = CONTROL__NAMED__INIT, *settings[] = {&units_min};
    const Control__Message *answer;
    Control__Activate how;

    answer = activate_unit(unit, "public_addresses", "198.51.100.7");
    assert_activated(answer);
    activated = unit->answer; /* kept: the facts are in it */
    unit->answer = NULL;
    facts = activated->activated->facts;
    assert_non_null(facts);
    assert_string_equal(facts->nf, "nat");
    assert_int_equal(facts->n_pools, 3);
    assert_int_equal(facts->pools[0]->addresses.len, 16);
    assert_true(activated->activated->activation_ns > 0);
    how = activation();
    assert_activated(activate(logger, &how));
    units_min.name = "units_min"; /* it asks for a unit without a packet */
    units_min.text = "1";
    how = activation();
    how.n_settings = 1;
    how.settings = settings;
    answer = activate(controller, &how);
    assert_activated(answer);
    assert_null(answer->activated->facts);
    facts = NULL;
}

static void connect_all(void)
{
    client_start();
    PEERS(unit, 0, CONTROLLER, LOGGER);
    PEERS(logger, CLIENT, UNIT, CONTROLLER, CLIENT);
    PEERS(controller, 0, UNIT, LOGGER, CLIENT);
    await_done(unit);
    await_done(logger);
    await_done(controller);
    share(1000);
    agent.leased_unit = UNIT;
    agent.leased_output_logger = LOGGER;
    while (metrics_of(controller)->metrics->n_units == 0)
        ;
    assert_int_equal(controller->answer->metrics->units[0]->unit, UNIT);
    assert_int_equal(controller->answer->metrics->units[0]->share, 1000);
    await_counter(unit, "unit.pool_grants", 3);
}

/* The metadata that a released packet has, and none besides. */
static void check_released(const struct rill_frame *f, enum rill_side side, uint64_t id)
{
    struct rill_frame want = {.type = RILL_FRAME_RELEASED,
                              .flags = RILL_FLAG_PACKET,
                              .side = (uint8_t)side,
                              .src = LOGGER,
                              .dst = CLIENT,
                              .epoch = 1,
                              .flow = f->flow,
                              .vni = VNI,
                              .wire_bytes = 100,
                              .ingress_ns = 1000 + id,
                              .ingress_id = id};

    assert_int_not_equal(f->flow, 0);
    assert_memory_equal(f, &want, offsetof(struct rill_frame, state));
}

static void parse(struct rte_mbuf *m, struct rill_view *view)
{
    assert_int_equal(rill_parse(m, m->pkt_len, view), RILL_PARSE_OK);
}

/* A packet out and its answer back in, through all three processes. Returns the public endpoint. */
static void packets_there_and_back(void)
{
    struct rill_view view;
    uint64_t flow;
    uint16_t port;

    send_in(core_udp("10.0.0.1", 1000, "192.0.2.1", 53, 100), CLIENT, RILL_INSIDE, 1);
    fake_await(&agent, &released_count, 1);
    check_released(rill_frame(released[0]), RILL_OUTSIDE, 1);
    flow = rill_frame(released[0])->flow;
    parse(released[0], &view);
    assert_memory_equal(view.source.addr, test_endpoint("198.51.100.7", 0, RILL_UDP).addr, 16);
    port = view.source.port;
    clear_released();
    send_in(core_udp("192.0.2.1", 53, "198.51.100.7", port, 100), CLIENT, RILL_OUTSIDE, 2);
    fake_await(&agent, &released_count, 1);
    check_released(rill_frame(released[0]), RILL_INSIDE, 2);
    assert_int_equal(rill_frame(released[0])->flow, flow);
    parse(released[0], &view);
    assert_memory_equal(view.destination.addr, test_endpoint("10.0.0.1", 0, RILL_UDP).addr, 16);
    assert_int_equal(view.destination.port, 1000);
    clear_released();
}

/* Sums over the three: drops, what is held, and what is on its way between processes. */
static void check_balance(uint64_t in, uint64_t out, uint64_t dropped)
{
    int64_t drops = 0, held = 0;
    int64_t between =
        (int64_t)(fabric->counters.handed_over_packets - fabric->counters.taken_over_packets);

    for (uint32_t i = 0; i < agent.count; i++) {
        const Control__Metrics *m = metrics_of(&agent.programs[i])->metrics;

        for (size_t k = 0; k < m->n_counters; k++)
            if (strstr(m->counters[k]->name, ".dropped_") != NULL)
                drops += (int64_t)m->counters[k]->value;
        held += (int64_t)m->packets_held;
        between += (int64_t)(m->packets_sent_off - m->packets_taken_in);
    }
    assert_int_equal(drops, dropped);
    assert_int_equal(held, 0);
    assert_int_equal(between, 0);
    assert_int_equal(fabric->counters.handed_over_packets, in);
    assert_int_equal(fabric->counters.taken_over_packets, out);
}

static void end_all(void)
{
    for (uint32_t i = 0; i < agent.count; i++)
        kill(agent.programs[i].pid, SIGTERM);
    for (uint32_t i = 0; i < agent.count; i++)
        assert_int_equal(fake_await_end(&agent, &agent.programs[i]), 0);
}

static void packets_go_through_all_three(void **state)
{
    const Control__Message *m;

    (void)state;
    start_all("yield");
    activate_all();
    connect_all();
    packets_there_and_back();
    check_balance(2, 2, 0);
    m = metrics_of(unit);
    assert_int_equal(m->metrics->n_nf_counters, 8);
    assert_string_equal(m->metrics->nf_counters[0]->name, "mapped");
    assert_int_equal(m->metrics->nf_counters[0]->value, 1);
    /* Not from the client: */
    send_in(core_udp("10.0.0.1", 1000, "192.0.2.1", 53, 100), UNIT, RILL_INSIDE, 3);
    await_counter(controller, "controller.dropped_unexpected", 1);
    /* Nobody to release to: */
    PEERS(logger, 0, UNIT, CONTROLLER, CLIENT);
    await_done(logger);
    send_in(core_udp("10.0.0.1", 1000, "192.0.2.1", 53, 100), CLIENT, RILL_INSIDE, 4);
    await_counter(logger, "output_logger.dropped_no_egress", 1);
    check_balance(4, 2, 2);
    /* The client goes: the links to it, too. */
    PEERS(controller, 0, UNIT, LOGGER);
    await_done(controller);
    while (rill_fabric_memif_is_up(fabric, CLIENT, CONTROLLER))
        fake_turn(&agent);
    end_all();
}

static void the_idle_sleep_and_wake(void **state)
{
    uint64_t turns;

    (void)state;
    start_all("sleep");
    activate_all();
    connect_all();
    packets_there_and_back();
    usleep(300000); /* deep asleep */
    turns = fake_turns(unit);
    while (fake_turns(unit) == turns)
        usleep(1000);
    packets_there_and_back();
    check_balance(4, 4, 0);
    end_all();
}

/* --- a pool that runs dry --------------------------------------------------------------------- */

/* The output logger's questions, which nobody answers. */
static void drain_turn(void)
{
    struct rte_mbuf *frames[RELEASED_MAX];
    uint32_t n;

    while ((n = fabric->ops->recv(fabric, UNIT, frames, RELEASED_MAX, 0)) > 0)
        rte_pktmbuf_free_bulk(frames, n);
}

/* A change whose step before is missing: an output logger keeps it. */
static void send_change(uint64_t flow, uint64_t step)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_CHANGE;
    f->src = UNIT;
    f->dst = LOGGER;
    f->epoch = 1;
    f->flow = flow;
    f->term = TERM;
    f->clock = f->step = step;
    fabric->ops->send(fabric, UNIT, &m, 1, 0);
}

static void send_full(uint64_t flow, uint64_t step)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FULL, UNIT, LOGGER);
    struct rill_frame *f = rill_frame(m);
    uint8_t state[STATE_BYTES] = {0};

    f->epoch = 1;
    f->flow = flow;
    f->term = f->granted_term = TERM;
    f->clock = f->step = step;
    core_body(m, state, sizeof(state));
    fabric->ops->send(fabric, UNIT, &m, 1, 0);
}

static void start_logger_alone(void)
{
    struct rill_fabric_memif_config config = {
        .folder = agent.links, .ring_frames = RILL_FABRIC_MEMIF_RING_FRAMES, .pool = core_pool};
    Control__Facts some = CONTROL__FACTS__INIT;
    Control__Activate how;

    logger = run_role("rill-output-logger", LOGGER, "yield");
    fake_await_join(&agent, logger, 1);
    how = activation();
    how.facts = &some;
    some.state_bytes = STATE_BYTES;
    assert_activated(activate(logger, &how));
    fabric = rill_fabric_memif_create(&config, NULL);
    assert_non_null(fabric);
    assert_int_equal(fabric->ops->attach(fabric, UNIT, NULL), 0);
    assert_int_equal(rill_fabric_memif_link(fabric, UNIT, LOGGER, NULL), 0);
    agent.turn = drain_turn;
    PEERS(logger, 0, UNIT);
    await_done(logger);
}

/* Where packets that are held take all buffers, the messages that they wait for still come in. */
static void messages_come_in_when_packets_do_not(void **state)
{
    const Control__Message *m;
    uint64_t dropped;

    (void)state;
    start_logger_alone();
    for (uint64_t i = 0; fabric->counters.handed_over_packets < MORE_THAN_BUFFERS; i++) {
        send_change(1 + i % FLOWS, 1000 + i / FLOWS);
        if (i % 32 == 0)
            fake_turn(&agent);
    }
    await_counter(logger, "process.dropped_no_buffer", 1);
    while (fake_counter(metrics_of(logger), "output_logger.packets_in") +
               fake_counter(logger->answer, "process.dropped_no_buffer") <
           fabric->counters.handed_over_packets)
        ;
    m = logger->answer;
    dropped = fake_counter(m, "process.dropped_no_buffer");
    assert_true(m->metrics->packets_held > 10000);
    assert_int_equal(m->metrics->packets_held + dropped, fabric->counters.handed_over_packets);
    send_full(1, 1000);
    await_counter(logger, "output_logger.dropped_no_egress", 1);
    assert_int_equal(fake_counter(logger->answer, "output_logger.fulls_taken"), 1);
    end_all();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(packets_go_through_all_three),
        T(the_idle_sleep_and_wake),
        T(messages_come_in_when_packets_do_not),
#undef T
    };

    return cmocka_run_group_tests(tests, core_group_setup, core_group_teardown);
}
