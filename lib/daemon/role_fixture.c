#include "lib/daemon/role_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fake_agent agent;
Control__Facts *facts;

struct fake_program *run_role(const char *program, uint32_t role, const char *poll)
{
    char path[4096];

    snprintf(path, sizeof(path), RILL_TEST_BIN "/%s", program);
    return fake_run(&agent, path, role, poll);
}

Control__Activate activation(void)
{
    static Control__Slot slot, *slots[] = {&slot};
    Control__Activate how = CONTROL__ACTIVATE__INIT;

    how.vni = VNI;
    how.deployment = "home";
    how.links_folder = agent.links;
    control__slot__init(&slot);
    slot.controller = CONTROLLER;
    slot.epoch = 1;
    how.n_controllers = 1;
    how.controllers = slots;
    how.output_logger = LOGGER;
    how.nf = "my-nat";
    how.epoch = 1;
    how.rm = FAKE_RM;
    how.units = UNITS;
    how.facts = facts;
    return how;
}

void assert_activated(const Control__Message *answer)
{
    if (answer->body_case == CONTROL__MESSAGE__BODY_ERROR)
        fail_msg("%s", answer->error->text);
    assert_int_equal(answer->body_case, CONTROL__MESSAGE__BODY_ACTIVATED);
}

void refused(const Control__Message *answer, const char *part)
{
    assert_int_equal(answer->body_case, CONTROL__MESSAGE__BODY_ERROR);
    if (strstr(answer->error->text, part) == NULL || strstr(answer->error->text, "/proc") != NULL)
        fail_msg("no '%s', or a path in: %s", part, answer->error->text);
}

const Control__Message *activate(struct fake_program *program, Control__Activate *how)
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

const Control__Message *activate_unit(struct fake_program *unit, const char *option,
                                      const char *text)
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

void set_peers(struct fake_program *program, uint32_t egress, uint32_t *roles, size_t n)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Peers peers = CONTROL__PEERS__INIT;

    peers.n_roles = n;
    peers.roles = roles;
    peers.egress = egress;
    RILL_CONTROL_SET(&m, PEERS, peers, &peers);
    m.number = ++program->number;
    rill_control_free(program->answer);
    program->answer = NULL;
    fake_tell(&agent, program, &m);
}

void await_answer(struct fake_program *program)
{
    while (program->answer == NULL)
        fake_turn(&agent);
}

void await_done(struct fake_program *program)
{
    await_answer(program);
    if (program->answer->body_case == CONTROL__MESSAGE__BODY_ERROR)
        fail_msg("%s", program->answer->error->text);
    assert_int_equal(program->answer->body_case, CONTROL__MESSAGE__BODY_DONE);
}

const Control__Message *metrics_of(struct fake_program *program)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__MetricsRequest request = CONTROL__METRICS_REQUEST__INIT;
    const Control__Message *answer;

    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &request);
    answer = fake_ask(&agent, program, &m);
    assert_int_equal(answer->body_case, CONTROL__MESSAGE__BODY_METRICS);
    return answer;
}

void await_counter(struct fake_program *program, const char *name, uint64_t least)
{
    uint32_t looks = 0;

    while (fake_counter(metrics_of(program), name) < least)
        assert_true(looks++ < 20000);
}
