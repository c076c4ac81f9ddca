#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/daemon/daemon.h"

/* What a child did: its exit code, and what it wrote (stdout and stderr). */
struct outcome {
    int code;
    char text[8192];
};

static const char *role, *memory;

static const struct rill_daemon_option table[] = {
    {"--role", "ID", "who it is", true, &role},
    {"--memory-mb", "N", "for DPDK", false, &memory},
    {.name = NULL},
};

/* Runs `what` in a child, whose functions may exit. */
static struct outcome run(void (*what)(void *arg), void *arg)
{
    struct outcome outcome = {.code = -1};
    size_t used = 0;
    ssize_t n;
    int fds[2], status;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        what(arg);
        exit(100);
    }
    close(fds[1]);
    while ((n = read(fds[0], outcome.text + used, sizeof(outcome.text) - 1 - used)) > 0)
        used += (size_t)n;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        outcome.code = WEXITSTATUS(status);
    return outcome;
}

static void read_options(void *arg)
{
    char **argv = arg;
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    memory = "256";
    rill_daemon_options("rill-test", table, argc, argv);
    dprintf(STDOUT_FILENO, "role %s memory %s", role, memory);
}

#define OPTIONS(...) run(read_options, (char *[]){"x", __VA_ARGS__, NULL})

static void refused(const struct outcome *outcome, const char *line)
{
    assert_int_equal(outcome->code, 2);
    assert_string_equal(outcome->text, line);
}

static void options_are_read(void **state)
{
    struct outcome got = OPTIONS("--role", "7");

    (void)state;
    assert_int_equal(got.code, 100);
    assert_string_equal(got.text, "role 7 memory 256");
    got = OPTIONS("--memory-mb", "64", "--role", "--memory-mb");
    assert_int_equal(got.code, 100);
    assert_string_equal(got.text, "role --memory-mb memory 64");
}

static void bad_options_are_refused(void **state)
{
    struct outcome got = OPTIONS("--memory-mb", "64");

    (void)state;
    refused(&got, "rill-test: --role is missing; give --role ID\n");
    got = OPTIONS("--role");
    refused(&got, "rill-test: --role: its value is missing; give --role ID\n");
    got = OPTIONS("--role", "1", "--role", "2");
    refused(&got, "rill-test: --role: stands there twice; give it once\n");
    got = OPTIONS("--rôle\n", "1");
    assert_int_equal(got.code, 2);
    assert_non_null(strstr(got.text, "unknown option"));
    assert_ptr_equal(strchr(got.text, '\n'), got.text + strlen(got.text) - 1);
}

static void help_and_version_are_shown(void **state)
{
    struct outcome got = OPTIONS("--role", "1", "--help");

    (void)state;
    assert_int_equal(got.code, 0);
    assert_non_null(strstr(got.text, "usage: rill-test --role ID [--memory-mb N]\n"));
    assert_non_null(strstr(got.text, "for DPDK (default: 256)\n"));
    got = OPTIONS("--version");
    assert_int_equal(got.code, 0);
    assert_string_equal(got.text, "rill-test " RILL_VERSION "\n");
}

static void read_number(void *text)
{
    dprintf(STDOUT_FILENO, "%llu",
            (unsigned long long)rill_daemon_number("--n", text, 1, UINT64_C(0x3000001)));
}

static void numbers_are_judged(void **state)
{
    static const char *const bad[] = {"",   "0",   "-1", "+1", " 1",       "1 ",
                                      "1x", "0x0", "x3", "0x", "50331650", "18446744073709551617"};
    struct outcome got = run(read_number, "0x03000001");

    (void)state;
    assert_string_equal(got.text, "50331649");
    got = run(read_number, "0017");
    assert_string_equal(got.text, "17");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        got = run(read_number, (char *)(uintptr_t)bad[i]);
        assert_int_equal(got.code, 2);
        assert_non_null(strstr(got.text, "--n: '"));
        assert_non_null(strstr(got.text, "is not a number from 1 to 50331649\n"));
    }
}

static void read_poll(void *text)
{
    dprintf(STDOUT_FILENO, "%d", (int)rill_daemon_poll(text));
}

static void polls_are_judged(void **state)
{
    struct outcome got = run(read_poll, "sleep");

    (void)state;
    assert_int_equal(got.text[0], '0' + RILL_POLL_SLEEP);
    assert_int_equal(rill_daemon_poll("yield"), RILL_POLL_YIELD);
    assert_int_equal(rill_daemon_poll("busy"), RILL_POLL_BUSY);
    got = run(read_poll, "lazy");
    assert_int_equal(got.code, 2);
    assert_non_null(strstr(got.text, "--poll: 'lazy' is none of yield, busy, sleep\n"));
}

static void say_long(void *arg)
{
    char text[3000];

    (void)arg;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[5] = '\n';
    text[6] = '\033';
    rill_daemon_say("%s", text);
    rill_daemon_refuse("the end\n");
}

static void lines_are_cut_and_cleaned(void **state)
{
    struct outcome got = run(say_long, NULL);
    char *end = strchr(got.text, '\n');

    (void)state;
    assert_int_equal(got.code, 2);
    assert_int_equal(end - got.text, 1000);
    assert_non_null(strstr(got.text, ": xxxxx??xxx"));
    assert_non_null(strstr(end, ": the end?\n"));
}

static void say_often(void *arg)
{
    (void)arg;
    rill_daemon_log_limit(5);
    for (int i = 0; i < 50; i++)
        rill_daemon_say("again");
    assert_true(rill_daemon_log_suppressed() >= 40);
    /* As a loop does: a time when there is room again. */
    rill_daemon_log_look(rill_daemon_now_ns() + UINT64_C(1000000000));
    rill_daemon_log_look(rill_daemon_now_ns() + UINT64_C(1000000000));
    rill_daemon_refuse("the end");
}

static uint32_t lines_with(const char *text, const char *what)
{
    uint32_t n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void lines_are_bounded_and_the_others_counted(void **state)
{
    struct outcome got = run(say_often, NULL);

    (void)state;
    assert_in_range(lines_with(got.text, ": again"), 5, 10);
    assert_int_equal(lines_with(got.text, "lines were not written"), 1);
    assert_int_equal(lines_with(got.text, ": the end"), 1);
}

static void the_clock_goes_on(void **state)
{
    uint64_t before = rill_daemon_now_ns();

    (void)state;
    usleep(1000);
    assert_in_range(rill_daemon_now_ns() - before, 1000000, UINT64_C(60000000000));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(help_and_version_are_shown),
        cmocka_unit_test(numbers_are_judged),
        cmocka_unit_test(polls_are_judged),
        cmocka_unit_test(lines_are_cut_and_cleaned),
        cmocka_unit_test(lines_are_bounded_and_the_others_counted),
        cmocka_unit_test(the_clock_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
