/* How a role's process starts, what it refuses, and how it ends. */
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

#include "lib/daemon/role_fixture.h"

static struct fake_program *unit, *logger;

static int setup(void **state)
{
    (void)state;
    facts = NULL;
    fake_agent_start(&agent);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_agent_stop(&agent);
    return 0;
}

/* --- what can't be ---------------------------------------------------------------------------- */

static void start_unit(void)
{
    unit = run_role("rill-nf-runtime", UNIT, "sleep");
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
    refused(activate_unit(unit, "public_addresses", "198.51.100.7,1.2.3"), "'1.2.3'");
    ends_with(unit, 2, "deployment home");
}

static void a_configuration_that_is_none(void **state)
{
    (void)state;
    start_unit();
    refused(activate_unit(unit, "public_adresses", "1"), "public_addresses");
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
    logger = run_role("rill-output-logger", LOGGER, "yield");
    fake_await_join(&agent, logger, 1);
    PEERS(logger, 0, UNIT);
    await_answer(logger);
    refused(logger->answer, "not activated");
    how = activation();
    how.facts = &some;
    some.state_bytes = 64;
    assert_activated(activate(logger, &how));
    logger->number--; /* the same once more, as if the answer was lost */
    assert_activated(activate(logger, &how));
    refused(activate(logger, &how), "activated already");
    PEERS(logger, 0, LOGGER);
    await_answer(logger);
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
    logger = run_role("rill-output-logger", LOGGER, "yield");
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

        unit = run_role("rill-nf-runtime", role, polls[i % 3]);
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

    return cmocka_run_group_tests(tests, NULL, NULL);
}
