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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/daemon/fake_agent.h"
#include "lib/fabric/fabric_memif.h"
#include "tests/core_testing.h"

enum { VNI = 5, UNITS = 1, RELEASED_MAX = 16 };

#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define LOGGER rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define CLIENT rill_role_id(RILL_ROLE_CLIENT, 1)

static struct fake_agent agent;
static struct fake_program *unit, *logger, *controller;
static struct rill_fabric *fabric; /* the client's */
static struct rte_mbuf *released[RELEASED_MAX];
static uint32_t released_count;
static Control__Facts *facts; /* as the unit told */
static Control__Message *activated;

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

/* --- what the resource manager says ----------------------------------------------------------- */

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

static Control__Activate activation(void)
{
    Control__Activate how = CONTROL__ACTIVATE__INIT;

    how.vni = VNI;
    how.deployment = "home";
    how.links_folder = agent.links;
    how.controller = CONTROLLER;
    how.output_logger = LOGGER;
    how.nf = "my-nat";
    how.epoch = 1;
    how.rm = FAKE_RM;
    how.units = UNITS;
    how.facts = facts;
    return how;
}

static void assert_activated(const Control__Message *answer)
{
    if (answer->body_case == CONTROL__MESSAGE__BODY_ERROR)
        fail_msg("%s", answer->error->text);
    assert_int_equal(answer->body_case, CONTROL__MESSAGE__BODY_ACTIVATED);
}

static const Control__Message *activate(struct fake_program *program, Control__Activate *how)
{
    Control__Message m = CONTROL__MESSAGE__INIT;

    RILL_CONTROL_SET(&m, ACTIVATE, activate, how);
    return fake_ask(&agent, program, &m);
}

static void *read_image(size_t *bytes)
{
    FILE *file = fopen(RILL_TEST_NAT, "rb");
    void *data;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    data = malloc(*bytes);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

static const Control__Message *activate_unit(const char *option, const char *text)
{
    Control__Activate how = activation();
    Control__Named pair = CONTROL__NAMED__INIT;
    Control__Named *config[] = {&pair};
    const Control__Message *answer;

    how.image.data = read_image(&how.image.len);
    pair.name = (char *)(uintptr_t)option;
    pair.text = (char *)(uintptr_t)text;
    how.n_config = 1;
    how.config = config;
    answer = activate(unit, &how);
    free(how.image.data);
    return answer;
}

static void set_peers(struct fake_program *program, uint32_t egress, uint32_t *roles, size_t n)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Peers peers = CONTROL__PEERS__INIT;

    peers.n_roles = n;
    peers.roles = roles;
    peers.egress = egress;
    RILL_CONTROL_SET(&m, PEERS, peers, &peers);
    /* Links come up when both ends know of them: nobody waits for one alone. */
    m.number = ++program->number;
    rill_control_free(program->answer);
    program->answer = NULL;
    fake_tell(&agent, program, &m);
}
#define PEERS(program, egress, ...)                                                                \
    set_peers(program, egress, (uint32_t[]){__VA_ARGS__},                                          \
              sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void await_done(struct fake_program *program)
{
    while (program->answer == NULL)
        fake_turn(&agent);
    if (program->answer->body_case == CONTROL__MESSAGE__BODY_ERROR)
        fail_msg("%s", program->answer->error->text);
    assert_int_equal(program->answer->body_case, CONTROL__MESSAGE__BODY_DONE);
}

static const Control__Message *metrics_of(struct fake_program *program)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__MetricsRequest request = CONTROL__METRICS_REQUEST__INIT;
    const Control__Message *answer;

    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &request);
    answer = fake_ask(&agent, program, &m);
    assert_int_equal(answer->body_case, CONTROL__MESSAGE__BODY_METRICS);
    return answer;
}

static void await_counter(struct fake_program *program, const char *name, uint64_t least)
{
    uint32_t looks = 0;

    while (fake_counter(metrics_of(program), name) < least)
        assert_true(looks++ < 20000);
}

static void share(uint32_t thousandths)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Share body = CONTROL__SHARE__INIT;
    static uint64_t number;

    body.number = ++number;
    body.controller = CONTROLLER;
    body.share = thousandths;
    RILL_CONTROL_SET(&m, SHARE, share, &body);
    fake_tell(&agent, unit, &m);
    fake_await(&agent, &unit->share_acks, unit->share_acks + 1);
    assert_int_equal(unit->share, thousandths);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void start_all(const char *poll)
{
    unit = fake_run(&agent, RILL_TEST_BIN "/rill-nf-runtime", UNIT, poll);
    logger = fake_run(&agent, RILL_TEST_BIN "/rill-output-logger", LOGGER, poll);
    controller = fake_run(&agent, RILL_TEST_BIN "/rill-controller", CONTROLLER, poll);
    for (uint32_t i = 0; i < agent.count; i++)
        fake_await_join(&agent, &agent.programs[i], 1);
}

static void activate_all(void)
{
    const Control__Message *answer;
    Control__Activate how;

    answer = activate_unit("public_addresses", "198.51.100.7");
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
    how = activation();
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
    assert_int_equal(m->metrics->n_nf_counters, 5);
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

/* --- what can't be ---------------------------------------------------------------------------- */

static void refused(const Control__Message *answer, const char *part)
{
    assert_int_equal(answer->body_case, CONTROL__MESSAGE__BODY_ERROR);
    if (strstr(answer->error->text, part) == NULL || strstr(answer->error->text, "/proc") != NULL)
        fail_msg("no '%s', or a path in: %s", part, answer->error->text);
}

static void start_unit(void)
{
    unit = fake_run(&agent, RILL_TEST_BIN "/rill-nf-runtime", UNIT, "sleep");
    fake_await_join(&agent, unit, 1);
}

static void ends_with(struct fake_program *program, int code, const char *said)
{
    int status = fake_await_end(&agent, program);
    char text[40960];

    fake_read_log(&agent, program, text, sizeof(text));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code || strstr(text, said) == NULL)
        fail_msg("status 0x%x, or no '%s' in: %s", (unsigned)status, said, text);
}

static void a_configuration_that_the_nf_refuses(void **state)
{
    (void)state;
    start_unit();
    refused(activate_unit("public_addresses", "198.51.100.7,1.2.3"), "'1.2.3'");
    ends_with(unit, 2, "deployment home");
}

static void a_configuration_that_is_none(void **state)
{
    (void)state;
    start_unit();
    refused(activate_unit("public_adresses", "1"), "public_addresses");
    ends_with(unit, 2, "rill-nf-runtime: deployment home");
}

static void an_image_that_is_none(void **state)
{
    Control__Activate how;

    (void)state;
    start_unit();
    how = activation();
    how.image.data = (uint8_t *)"no image";
    how.image.len = 8;
    refused(activate(unit, &how), "NF my-nat: not a shared object");
    ends_with(unit, 2, "my-nat");
}

static void links_that_can_not_be(void **state)
{
    Control__Facts some = CONTROL__FACTS__INIT;
    Control__Activate how;

    (void)state;
    logger = fake_run(&agent, RILL_TEST_BIN "/rill-output-logger", LOGGER, "yield");
    fake_await_join(&agent, logger, 1);
    PEERS(logger, 0, UNIT);
    while (logger->answer == NULL)
        fake_turn(&agent);
    refused(logger->answer, "not activated");
    how = activation();
    how.facts = &some;
    some.state_bytes = 64;
    assert_activated(activate(logger, &how));
    refused(activate(logger, &how), "activated already");
    PEERS(logger, 0, LOGGER);
    while (logger->answer == NULL)
        fake_turn(&agent);
    refused(logger->answer, "0x04000001 to 0x04000001");
    /* One that never comes up is waited for; a newer list does without it. */
    PEERS(logger, 0, UNIT);
    PEERS(logger, 0);
    await_done(logger);
    kill(logger->pid, SIGTERM);
    ends_with(logger, 0, "");
}

static void no_folder_for_links(void **state)
{
    Control__Activate how;

    (void)state;
    logger = fake_run(&agent, RILL_TEST_BIN "/rill-output-logger", LOGGER, "yield");
    fake_await_join(&agent, logger, 1);
    how = activation();
    how.links_folder = "/nowhere/links";
    refused(activate(logger, &how), "/nowhere/links");
    ends_with(logger, 2, "/nowhere/links");
}

/* --- start and end ---------------------------------------------------------------------------- */

static void an_agent_that_comes_back_is_joined_again(void **state)
{
    uint64_t turns;

    (void)state;
    start_unit();
    turns = fake_turns(unit);
    fake_agent_hang_up(&agent);
    while (fake_turns(unit) < turns + 3) /* it lives on */
        usleep(1000);
    fake_agent_listen(&agent);
    fake_await_join(&agent, unit, 2);
    kill(unit->pid, SIGTERM);
    ends_with(unit, 0, "");
}

static void an_agent_that_turns_it_away(void **state)
{
    (void)state;
    agent.turns_away = true;
    start_unit();
    ends_with(unit, 2, "go away");
}

/* Whenever the signal comes, also while DPDK starts, the program ends by itself. */
static void sigterm_ends_it_at_any_time(void **state)
{
    static const char *const polls[] = {"yield", "busy", "sleep"};

    (void)state;
    for (uint32_t i = 0; i < FAKE_PROGRAMS_MAX; i++) {
        uint32_t role = rill_role_id(RILL_ROLE_UNIT, i + 1);

        unit = fake_run(&agent, RILL_TEST_BIN "/rill-nf-runtime", role, polls[i % 3]);
        while (fake_turns(unit) == 0 && i > 3) /* its handler is there long before */
            usleep(100);
        if (i > 3)
            usleep(i * 10000);
        else
            fake_await_join(&agent, unit, 1);
        kill(unit->pid, SIGTERM);
        ends_with(unit, 0, "");
    }
}

static void refuses_to_start(const char *role, const char *token, const char *said)
{
    char command[1024], line[256] = "";
    FILE *output;

    snprintf(command, sizeof(command),
             "RILL_TOKEN=%s %s/rill-controller --role %s --control %s --turns /dev/null 2>&1",
             token, RILL_TEST_BIN, role, agent.url);
    output = popen(command, "r");
    assert_non_null(output);
    assert_non_null(fgets(line, sizeof(line), output));
    assert_int_equal(WEXITSTATUS(pclose(output)), 2);
    if (strstr(line, said) == NULL)
        fail_msg("no '%s' in: %s", said, line);
}

static void bad_starts_are_refused(void **state)
{
    (void)state;
    refuses_to_start("0x02000001", "12", "RILL_TOKEN");
    refuses_to_start("0x02000001", "0123456789abcdeg", "RILL_TOKEN");
    refuses_to_start("0x03000001", "0123456789abcdef", "0x02000001");
    refuses_to_start("0x02000000", "0123456789abcdef", "0x02000001");
    refuses_to_start("0x02000001", "0123456789abcdef", "turns file /dev/null");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(packets_go_through_all_three),
        T(the_idle_sleep_and_wake),
        T(a_configuration_that_the_nf_refuses),
        T(a_configuration_that_is_none),
        T(an_image_that_is_none),
        T(links_that_can_not_be),
        T(no_folder_for_links),
        T(an_agent_that_comes_back_is_joined_again),
        T(an_agent_that_turns_it_away),
        T(sigterm_ends_it_at_any_time),
        T(bad_starts_are_refused),
#undef T
    };

    return cmocka_run_group_tests(tests, core_group_setup, core_group_teardown);
}
