/* rill-agent as a process, with this test as its resource manager: needs root and a liblxc that
 * works, else it is skipped (77), and says so. keeper_probe stands for the programs; it does not
 * speak the control protocol, so it just stays there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/role.h"
#include "lib/control/link.h"
#include "rm/agent/container_fixture.h"
#include "rm/agent/remove_tree.h"

enum { HANG_MS = 20000, LOOK_MS = 5, ARGUMENTS_MAX = 24, RECEIVED_MAX = 16 };

static const uint32_t rm_id = (RILL_ROLE_RM << 24) + 1;
static const uint32_t agent_id = (RILL_ROLE_AGENT << 24) + 1;
static const uint32_t unit = (RILL_ROLE_UNIT << 24) + 1;

static struct fixture fixture;
static char cluster[RILL_CLUSTER_NAME_MAX + 1], base[72], uid[16], agent_log[96];
static uv_loop_t loop;
static struct rill_link *link_to_agents;
static uint32_t peer;                            /* the agent; 0: not there */
static Control__Message *received[RECEIVED_MAX]; /* oldest first */
static int received_count;
static bool timed_out, loop_is_open;
static pid_t agent;

/* ---- the resource manager ---- */

static void on_up(void *arg, uint32_t who)
{
    (void)arg;
    peer = who;
}

static void on_down(void *arg, uint32_t who)
{
    (void)arg;
    if (peer == who)
        peer = 0;
    uv_stop(&loop);
}

static void on_message(void *arg, uint32_t who, const Control__Message *message)
{
    size_t size = control__message__get_packed_size(message);
    uint8_t *bytes = malloc(size);

    (void)arg;
    (void)who;
    assert_non_null(bytes);
    assert_true(received_count < RECEIVED_MAX);
    control__message__pack(message, bytes);
    assert_int_equal(rill_control_unpack(bytes, size, &received[received_count++]),
                     RILL_CONTROL_OK);
    free(bytes);
    uv_stop(&loop);
}

static void on_timer(uv_timer_t *timer)
{
    timed_out = true;
    uv_stop(timer->loop);
}

static void turn_loop(void)
{
    static uv_timer_t timer;

    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, HANG_MS, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(timed_out);
}

/* Lent until the next one. */
static const Control__Message *next(int body_case)
{
    static Control__Message *last;

    while (received_count == 0)
        turn_loop();
    rill_control_free(last);
    last = received[0];
    memmove(&received[0], &received[1], (size_t)--received_count * sizeof(received[0]));
    assert_int_equal(last->body_case, body_case);
    return last;
}

static void forget_received(void)
{
    while (received_count > 0)
        rill_control_free(received[--received_count]);
}

static void send_welcome(void)
{
    Control__Message m = rill_control_message(rm_id, agent_id, 1);
    Control__Welcome body = CONTROL__WELCOME__INIT;

    body.role = agent_id;
    body.cluster = cluster;
    RILL_CONTROL_SET(&m, WELCOME, welcome, &body);
    assert_true(rill_link_send(link_to_agents, peer, &m));
}

static void send_start(uint32_t role, uint64_t number)
{
    Control__Message m = rill_control_message(rm_id, agent_id, number);
    Control__Start body = CONTROL__START__INIT;

    body.role = role;
    RILL_CONTROL_SET(&m, START, start, &body);
    assert_true(rill_link_send(link_to_agents, peer, &m));
}

static void send_stop(uint32_t role, uint64_t number)
{
    Control__Message m = rill_control_message(rm_id, agent_id, number);
    Control__Stop body = CONTROL__STOP__INIT;

    body.role = role;
    RILL_CONTROL_SET(&m, STOP, stop, &body);
    assert_true(rill_link_send(link_to_agents, peer, &m));
}

static void send_stop_all(uint64_t number)
{
    Control__Message m = rill_control_message(rm_id, agent_id, number);
    Control__StopAll body = CONTROL__STOP_ALL__INIT;

    RILL_CONTROL_SET(&m, STOP_ALL, stop_all, &body);
    assert_true(rill_link_send(link_to_agents, peer, &m));
}

/* ---- the agent's process ---- */

static pid_t spawned(const char *const *argv)
{
    posix_spawn_file_actions_t actions;
    char path[4096];
    pid_t pid;

    snprintf(path, sizeof(path), "%s/rill-agent", RILL_TEST_BIN);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, agent_log,
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, path, &actions, NULL, (char *const *)argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void start_agent(void)
{
    const char *argv[] = {"rill-agent", "--cluster",      cluster, "--base", base,
                          "--programs", fixture.programs, "--uid", uid,      "--machine",
                          "m1",         "--grace-ms",     "100",   NULL};

    agent = spawned(argv);
}

/* Its exit status; what it says meanwhile is of no interest. One that does not end is killed. */
static int ended(pid_t pid)
{
    int status;

    for (int i = 0; i < HANG_MS / LOOK_MS; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            assert_true(WIFEXITED(status));
            return WEXITSTATUS(status);
        }
        if (loop_is_open)
            uv_run(&loop, UV_RUN_NOWAIT);
        poll(NULL, 0, LOOK_MS);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    print_message("process %d did not end\n", (int)pid);
    return -1;
}

static bool agent_said(const char *what)
{
    char text[4096] = "";
    int fd = open(agent_log, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
    close(fd);
    if (strstr(text, what) == NULL)
        print_message("no '%s' in: %s\n", what, text);
    return strstr(text, what) != NULL;
}

static int remove_all(void)
{
    const char *argv[] = {"rill-agent", "--remove-all", "yes", "--cluster",
                          cluster,      "--base",       base,  NULL};

    return ended(spawned(argv));
}

static void await_agent_gone(void)
{
    while (peer != 0)
        turn_loop();
}

static const Control__Message *joined(void)
{
    const Control__Message *m = next(CONTROL__MESSAGE__BODY_JOIN);

    assert_int_equal(m->join->kind, RILL_ROLE_AGENT);
    assert_string_equal(m->join->machine, "m1");
    assert_true(m->join->cpus > 0);
    assert_true(m->join->memory_bytes > 0);
    send_welcome();
    return m;
}

static void start_unit(void)
{
    send_start(unit, 5);
    assert_int_equal(next(CONTROL__MESSAGE__BODY_STARTED)->number, 5);
}

/* ---- tests ---- */

static void make_folder(const char *name, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", base, name);
    assert_true(mkdir(path, mode) == 0 || access(path, F_OK) == 0);
}

static int begin(void **state)
{
    struct rill_link_events events = {.up = on_up, .down = on_down, .message = on_message};
    char url[128];

    (void)state;
    make_folder("", 0755);
    make_folder("control", 0755);
    make_folder("links", 0711);
    make_folder("logs", 0755);
    snprintf(url, sizeof(url), "ipc://%s/rm.sock", base);
    uv_loop_init(&loop);
    timed_out = false;
    loop_is_open = true;
    return rill_link_listen(&loop, url, 0600, &events, &link_to_agents, NULL);
}

static int end(void **state)
{
    struct remains left;

    (void)state;
    if (agent > 0 && waitpid(agent, NULL, WNOHANG) == 0) { /* after a failure */
        kill(agent, SIGKILL);
        waitpid(agent, NULL, 0);
    }
    rill_link_close(link_to_agents);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    loop_is_open = false;
    forget_received();
    left = fixture_look(&fixture, cluster);
    return left.cgroups + left.processes + left.mounts + left.monitors;
}

static void starts_and_stops_for_the_rm(void **state)
{
    const Control__Message *m;

    (void)state;
    start_agent();
    assert_int_equal(joined()->join->n_running, 0);
    start_unit();
    send_start(rill_role_id(RILL_ROLE_CLIENT, 1), 6);
    assert_int_equal(next(CONTROL__MESSAGE__BODY_ERROR)->number, 6);
    send_stop(unit, 7);
    assert_true(next(CONTROL__MESSAGE__BODY_EXITED)->exited->how_follows);
    m = next(CONTROL__MESSAGE__BODY_EXITED);
    assert_false(m->exited->how_follows);
    assert_int_equal(m->from, agent_id);
    assert_int_equal(m->exited->role, unit);
    assert_int_equal(next(CONTROL__MESSAGE__BODY_DONE)->number, 7);
    start_unit();
    send_stop_all(8);
    assert_int_equal(next(CONTROL__MESSAGE__BODY_DONE)->number, 8);
    assert_int_equal(ended(agent), 0);
}

static void containers_outlive_it(void **state)
{
    const Control__Message *m;

    (void)state;
    start_agent();
    joined();
    start_unit();
    kill(agent, SIGTERM);
    assert_int_equal(ended(agent), 0);
    assert_true(agent_said("containers run on"));
    await_agent_gone();
    start_agent();
    m = joined();
    assert_int_equal(m->join->n_running, 1);
    assert_int_equal(m->join->running[0], unit);
    send_stop_all(8);
    assert_int_equal(next(CONTROL__MESSAGE__BODY_DONE)->number, 8);
    assert_int_equal(ended(agent), 0);
}

static pid_t child_of(pid_t pid)
{
    char path[64];
    int child = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &child), 1);
    fclose(file);
    return child;
}

static void without_its_keeper_it_ends(void **state)
{
    (void)state;
    start_agent();
    joined();
    start_unit();
    assert_int_equal(kill(child_of(agent), SIGKILL), 0);
    assert_int_equal(ended(agent), 2);
    assert_true(agent_said("start the agent again"));
    assert_int_equal(remove_all(), 0);
    assert_int_equal(fixture_look(&fixture, cluster).processes, 0);
}

/* As `rill down` does when nobody answers. */
static void remove_all_needs_no_agent(void **state)
{
    (void)state;
    start_agent();
    joined();
    start_unit();
    assert_int_equal(remove_all(), 2); /* it is there */
    assert_true(agent_said("has an agent"));
    kill(agent, SIGKILL);
    waitpid(agent, NULL, 0);
    assert_int_equal(remove_all(), 0);
    assert_int_equal(fixture_look(&fixture, cluster).processes, 0);
}

static void bad_options_are_refused(void **state)
{
    static const struct {
        const char *option, *value, *said;
    } bad[] = {{"--uid", "0", "--uid: '0'"},
               {"--cpus", "x", "--cpus: 'x'"},
               {"--poll", "often", "often"},
               {"--remove-all", "no", "--remove-all: 'no'"},
               {"--rm", "nowhere", "--rm: "},
               {"--programs", "/not-there", "/not-there"},
               {"--stall-ms", "-1", "--stall-ms: '-1'"}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *argv[ARGUMENTS_MAX] = {"rill-agent", "--cluster", cluster, "--base", base};
        unsigned n = 5;

        argv[n++] = bad[i].option;
        argv[n++] = bad[i].value;
        if (strcmp(bad[i].option, "--programs") != 0)
            argv[n++] = "--programs", argv[n++] = fixture.programs;
        if (strcmp(bad[i].option, "--uid") != 0)
            argv[n++] = "--uid", argv[n++] = uid;
        assert_int_equal(ended(spawned(argv)), 2);
        assert_true(agent_said(bad[i].said));
    }
}

static void set_up(void)
{
    fixture_open(&fixture);
    fixture_copy(&fixture, "keeper_probe", "rill-nf-runtime");
    snprintf(cluster, sizeof(cluster), "d%d", (int)getpid());
    snprintf(base, sizeof(base), "%s/agent", fixture.base);
    snprintf(uid, sizeof(uid), "%u", fixture.uid);
    snprintf(agent_log, sizeof(agent_log), "%s/agent.log", fixture.base);
}

static void tear_down(int failed)
{
    char locks[160];

    if (failed != 0) /* what a failed test left is nobody's */
        remove_all();
    rill_remove_tree(base, NULL);
    unlink(agent_log);
    snprintf(locks, sizeof(locks), "/run/lxc/lock%s/containers", base);
    rmdir(locks);
    snprintf(locks, sizeof(locks), "/run/lxc/lock%s", base);
    rmdir(locks);
    fixture_close(&fixture);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_and_stops_for_the_rm), TEST(containers_outlive_it),
        TEST(without_its_keeper_it_ends),  TEST(remove_all_needs_no_agent),
        TEST(bad_options_are_refused),
    };
    int failed;

    set_up();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tear_down(failed);
    return failed != 0;
}
