/* The keeper, for real: needs root and a liblxc that works, else it is skipped (77), and says so.
 * What runs in the containers is keeper_probe.c, under the programs' names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/role_name.h"
#include "rm/agent/container_fixture.h"
#include "rm/agent/keeper.h"
#include "rm/agent/remove_tree.h"

enum { HANG_MS = 20000, STALL_MS = 400, GRACE_MS = 200, LOOK_MS = 5, QUEUED = 8, PROBES_MAX = 16 };

static struct fixture fixture;
static char cluster[RILL_CLUSTER_NAME_MAX + 1], base[72];
static int listener = -1;
static struct rill_keeper *keeper;

static const uint32_t unit = (RILL_ROLE_UNIT << 24) + 1;
static const uint32_t output_logger = (RILL_ROLE_OUTPUT_LOGGER << 24) + 2;
static const uint32_t controller = (RILL_ROLE_CONTROLLER << 24) + 3;

/* ---- the folders that `rill up` makes, and the agent's socket ---- */

static void make_folder(const char *name, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", base, name);
    assert_int_equal(mkdir(path, mode), 0);
}

static void listen_as_agent(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/control/agent.sock", base);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(address.sun_path, 0666), 0);
    assert_int_equal(listen(listener, PROBES_MAX), 0);
}

static struct rill_keeper_config config(void)
{
    return (struct rill_keeper_config){
        .cluster = cluster,
        .base = base,
        .programs = fixture.programs,
        .uid = fixture.uid,
        .memory_mb = 96,
        .memory_limit_bytes = 256 << 20,
        .poll = "sleep",
        .stall_ms = STALL_MS,
        .grace_ms = GRACE_MS,
    };
}

static struct rill_keeper *created(const struct rill_keeper_config *how)
{
    struct rill_error err = {.text = ""};
    struct rill_keeper *made;
    int code = rill_keeper_create(how, &made, &err);

    if (code != 0)
        print_message("%s\n", err.text);
    assert_int_equal(code, 0);
    return made;
}

/* ---- events ---- */

static struct rill_keeper_event next_event(void)
{
    struct pollfd wait = {.fd = rill_keeper_fd(keeper), .events = POLLIN};
    struct rill_keeper_event event;

    memset(&event, 0xff, sizeof(event));
    assert_int_equal(poll(&wait, 1, HANG_MS), 1);
    assert_true(rill_keeper_next(keeper, &event));
    return event;
}

static struct rill_keeper_event expect(enum rill_keeper_event_type type, uint32_t role)
{
    struct rill_keeper_event event = next_event();

    if (event.type != type || event.role != role)
        print_message("event %d of role %08x: %s\n", (int)event.type, event.role, event.text);
    assert_int_equal(event.type, type);
    assert_int_equal(event.role, role);
    return event;
}

/* That it ended, then how. */
static struct rill_keeper_event expect_end(uint32_t role)
{
    bool stalled = expect(RILL_KEEPER_ENDED, role).stalled;
    struct rill_keeper_event event = expect(RILL_KEEPER_EXITED, role);

    assert_int_equal(event.stalled, stalled);
    return event;
}

static void assert_quiet(int ms)
{
    struct pollfd wait = {.fd = rill_keeper_fd(keeper), .events = POLLIN};

    assert_int_equal(poll(&wait, 1, ms), 0);
}

static void expect_ready(void)
{
    struct rill_keeper_event event = next_event();

    assert_int_equal(event.type, RILL_KEEPER_READY);
}

/* ---- programs ---- */

static void assert_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, HANG_MS), 1);
}

static void read_line(int fd, char *text, size_t size)
{
    size_t used = 0;

    do {
        assert_readable(fd);
        assert_int_equal(read(fd, text + used, 1), 1);
    } while (text[used++] != '\n' && used < size);
    text[used - 1] = '\0';
}

/* The connection of the next program that dials; its first line goes to `text`. */
static int met(char *text, size_t size)
{
    int fd;

    assert_readable(listener);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    read_line(fd, text, size);
    return fd;
}

static void command(int fd, char what)
{
    assert_int_equal(write(fd, &what, 1), 1);
}

static void ask(int fd, char what, char *text, size_t size)
{
    command(fd, what);
    read_line(fd, text, size);
}

static int running(uint32_t role, bool host_network, char *text, size_t size)
{
    rill_keeper_run(keeper, role, host_network);
    expect(RILL_KEEPER_STARTED, role);
    return met(text, size);
}

static int run_program(uint32_t role)
{
    char text[512];

    return running(role, false, text, sizeof(text));
}

static pid_t monitor_of(uint32_t role)
{
    char path[256], name[RILL_ROLE_NAME_BYTES];
    FILE *file;
    int pid = 0;

    snprintf(path, sizeof(path), "%s/containers/%s/rill-%s-%s/monitor", base, cluster, cluster,
             rill_role_name(role, name));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static void stop_program(uint32_t role, int fd)
{
    rill_keeper_stop(keeper, role, false);
    expect_end(role);
    close(fd);
}

/* ---- what is left ---- */

static int entries(const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", base, name);
    return fixture_entries(path, "");
}

/* Of the containers; the keeper itself has the cluster's folder open. */
static struct remains look(void)
{
    char folder[64];
    struct remains remains = fixture_look(&fixture, cluster);

    snprintf(folder, sizeof(folder), "containers/%s", cluster);
    remains.files = entries(folder) + entries("roles");
    return remains;
}

static bool is_left(struct remains left, int keepers)
{
    return left.cgroups + left.files + left.processes + left.mounts > 0 || left.monitors > keepers;
}

/* What a container leaves goes a moment after its end was told; monitors end after that. */
static bool nothing_left(int keepers)
{
    struct remains left = look();

    for (int i = 0; i < HANG_MS / LOOK_MS && is_left(left, keepers); i++) {
        poll(NULL, 0, LOOK_MS);
        left = look();
    }
    if (is_left(left, keepers))
        print_message("left: %d cgroups, %d files, %d processes, %d mounts, %d monitors\n",
                      left.cgroups, left.files, left.processes, left.mounts, left.monitors);
    return !is_left(left, keepers);
}

static int open_keeper(void **state)
{
    struct rill_keeper_config how = config();

    (void)state;
    keeper = created(&how);
    expect_ready();
    return 0;
}

/* Of programs that ended and that the test did not want to meet. */
static void turn_away_who_dialled(void)
{
    struct pollfd wait = {.fd = listener, .events = POLLIN};

    while (poll(&wait, 1, 0) == 1)
        close(accept(listener, NULL, NULL));
}

/* After each test nothing may be there any more; and if it failed, the next one is not to fail for
 * it. */
static int close_keeper(void **state)
{
    bool clean = keeper == NULL || nothing_left(1);

    (void)state;
    if (!clean) {
        rill_keeper_stop_all(keeper);
        while (next_event().type != RILL_KEEPER_ALL_STOPPED)
            ;
    }
    rill_keeper_destroy(keeper);
    keeper = NULL;
    turn_away_who_dialled();
    return clean && nothing_left(0) && entries("containers") == 0 ? 0 : -1;
}

/* ---- tests ---- */

static void a_program_gets_what_it_needs(void **state)
{
    char text[512], wanted[64];
    struct rill_keeper_event event;
    int fd;

    (void)state;
    rill_keeper_run(keeper, unit, false);
    event = expect(RILL_KEEPER_STARTED, unit);
    assert_true(event.token != 0);
    assert_true(event.start_ns > 0);
    fd = met(text, sizeof(text));
    assert_non_null(strstr(text, "program=/opt/rill/rill-nf-runtime "));
    assert_non_null(strstr(text, "role=0x03000001 memory=96 poll=sleep "));
    snprintf(wanted, sizeof(wanted), "token=%016" PRIx64 " ", event.token);
    assert_non_null(strstr(text, wanted));
    assert_non_null(strstr(text, "asan=print_stats=0:detect_leaks=0 ubsan=print_stacktrace=1 "));
    assert_non_null(strstr(text, "links=there"));
    stop_program(unit, fd);
}

static void each_kind_has_its_program(void **state)
{
    char text[512];

    (void)state;
    close(running(output_logger, false, text, sizeof(text)));
    assert_non_null(strstr(text, "program=/opt/rill/rill-output-logger "));
    close(running(controller, false, text, sizeof(text)));
    assert_non_null(strstr(text, "program=/opt/rill/rill-controller "));
    rill_keeper_run(keeper, rill_role_id(RILL_ROLE_CLIENT, 1), false);
    expect(RILL_KEEPER_FAILED, rill_role_id(RILL_ROLE_CLIENT, 1));
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
}

static void tokens_differ_and_are_secret(void **state)
{
    struct rill_keeper_event events[2];
    char path[160], text[512];
    struct stat info;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        rill_keeper_run(keeper, unit + i, false);
        events[i] = expect(RILL_KEEPER_STARTED, unit + i);
        close(met(text, sizeof(text)));
    }
    assert_true(events[0].token != events[1].token);
    snprintf(path, sizeof(path), "%s/roles/03000001/token", base);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_uid, 0);
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
}

static void links_work_inside(void **state)
{
    char text[512];
    int fd = run_program(unit);

    (void)state;
    ask(fd, 'n', text, sizeof(text));
    assert_string_equal(text, "received");
    stop_program(unit, fd);
}

static void host_network_only_if_asked_for(void **state)
{
    char text[512];
    int fd = running(unit, false, text, sizeof(text));

    (void)state;
    ask(fd, 'o', text, sizeof(text));
    assert_string_equal(text, "Function not implemented");
    stop_program(unit, fd);
    fd = running(output_logger, true, text, sizeof(text));
    assert_non_null(strstr(text, "links=there"));
    ask(fd, 'o', text, sizeof(text));
    assert_string_equal(text, "opened");
    ask(fd, 'n', text, sizeof(text));
    assert_string_equal(text, "received");
    stop_program(output_logger, fd);
}

static void an_end_is_told_with_its_reason(void **state)
{
    int fd = run_program(unit);
    struct rill_keeper_event event;
    uint64_t begin_ns = fixture_now_ns(), ended_ns;

    (void)state;
    command(fd, 'e');
    expect(RILL_KEEPER_ENDED, unit);
    ended_ns = fixture_now_ns();
    event = expect(RILL_KEEPER_EXITED, unit);
    print_message("an exit was told after %.1f ms, and how after %.1f ms\n",
                  (double)(ended_ns - begin_ns) / 1e6, (double)(fixture_now_ns() - begin_ns) / 1e6);
    assert_true(WIFEXITED(event.wait_status));
    assert_int_equal(WEXITSTATUS(event.wait_status), 3);
    assert_false(event.stalled);
    assert_string_equal(event.text, "last ?words");
    close(fd);
}

static void an_end_is_told_while_starts_queue(void **state)
{
    int fd = run_program(unit);
    struct rill_keeper_event event;
    uint32_t before = 0, after = 0;
    bool how = false;
    uint64_t begin_ns;

    (void)state;
    for (uint32_t i = 1; i <= QUEUED; i++)
        rill_keeper_run(keeper, unit + i, false);
    expect(RILL_KEEPER_STARTED, unit + 1);
    begin_ns = fixture_now_ns();
    command(fd, 'e');
    for (event = next_event(); event.type == RILL_KEEPER_STARTED; event = next_event())
        before++;
    print_message("an exit was told after %.1f ms, %u starts between\n",
                  (double)(fixture_now_ns() - begin_ns) / 1e6, before);
    assert_int_equal(event.type, RILL_KEEPER_ENDED);
    assert_int_equal(event.role, unit);
    assert_true(before + 1 < QUEUED);             /* some had still to wait */
    while (!how || after + before + 1 < QUEUED) { /* starts do not wait for how it ended */
        event = next_event();
        after += event.type == RILL_KEEPER_STARTED;
        how |= event.type == RILL_KEEPER_EXITED;
    }
    assert_int_equal(after + before + 1, QUEUED);
    close(fd);
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
}

static void a_killed_program_is_told(void **state)
{
    struct rill_keeper_event event;
    char text[512];
    int fd = running(unit, false, text, sizeof(text));
    struct ucred peer;
    socklen_t size = sizeof(peer);

    (void)state;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    assert_int_equal(peer.uid, fixture.uid);
    assert_int_equal(kill(peer.pid, SIGKILL), 0);
    event = expect_end(unit);
    assert_true(WIFSIGNALED(event.wait_status));
    assert_int_equal(WTERMSIG(event.wait_status), SIGKILL);
    assert_false(event.stalled);
    close(fd);
}

/* What tells how it ended stands still: nobody waits for that, neither for the news nor for the
 * next start; and it is told at last. */
static void an_end_is_told_before_it_is_known_how(void **state)
{
    int fd = run_program(unit), other;
    pid_t monitor = monitor_of(unit);

    (void)state;
    assert_int_equal(kill(monitor, SIGSTOP), 0);
    command(fd, 'e');
    expect(RILL_KEEPER_ENDED, unit);
    other = run_program(output_logger);
    assert_int_equal(kill(monitor, SIGCONT), 0);
    assert_int_equal(WEXITSTATUS(expect(RILL_KEEPER_EXITED, unit).wait_status), 3);
    close(fd);
    stop_program(output_logger, other);
}

static void how_it_ended_is_not_asked_for_ever(void **state)
{
    int fd = run_program(unit);
    struct rill_keeper_event event;

    (void)state;
    assert_int_equal(kill(monitor_of(unit), SIGSTOP), 0);
    command(fd, 'e');
    event = expect_end(unit);
    assert_int_equal(event.wait_status, -1);
    assert_string_equal(event.text, "last ?words");
    close(fd);
}

/* Nobody asks how any more. */
static void stop_all_does_not_wait_for_how(void **state)
{
    int fd = run_program(unit);

    (void)state;
    assert_int_equal(kill(monitor_of(unit), SIGSTOP), 0);
    command(fd, 'e');
    expect(RILL_KEEPER_ENDED, unit);
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
    close(fd);
}

static void who_stands_still_is_killed(void **state)
{
    int fd = run_program(unit), other = run_program(output_logger);
    struct rill_keeper_event event;
    uint64_t begin_ns;

    (void)state;
    command(other, 'c'); /* this one goes on counting */
    command(fd, 'c');
    assert_quiet(2 * STALL_MS);
    begin_ns = fixture_now_ns();
    command(fd, 'l');
    event = expect_end(unit);
    print_message("a loop that stood still was told after %.0f ms\n",
                  (double)(fixture_now_ns() - begin_ns) / 1e6);
    assert_true(fixture_now_ns() - begin_ns > STALL_MS * UINT64_C(1000000) / 2);
    assert_true(event.stalled);
    assert_true(WIFSIGNALED(event.wait_status));
    assert_int_equal(WTERMSIG(event.wait_status), SIGKILL);
    close(fd);
    stop_program(output_logger, other);
}

/* On a busy machine later, but it is found. */
static void a_loop_without_end_is_killed(void **state)
{
    int fd = run_program(unit);
    uint64_t begin_ns;

    (void)state;
    command(fd, 'c');
    begin_ns = fixture_now_ns();
    command(fd, 's');
    assert_true(expect_end(unit).stalled);
    print_message("a loop without end was told after %.0f ms\n",
                  (double)(fixture_now_ns() - begin_ns) / 1e6);
    close(fd);
}

static void who_is_to_fail_is_killed(void **state)
{
    int fd = run_program(unit);
    struct rill_keeper_event event;

    (void)state;
    rill_keeper_fail(keeper, output_logger, false); /* not there */
    rill_keeper_fail(keeper, unit, false);
    event = expect_end(unit);
    assert_true(WIFSIGNALED(event.wait_status));
    assert_int_equal(WTERMSIG(event.wait_status), SIGKILL);
    assert_false(event.stalled);
    close(fd);
}

/* Stopped by a signal, it uses no processor and wants none. */
static void who_is_made_to_hang_is_found(void **state)
{
    int fd = run_program(unit), other = run_program(output_logger);
    struct rill_keeper_event event;
    uint64_t begin_ns;

    (void)state;
    command(fd, 'c');
    command(other, 'c'); /* this one goes on counting */
    assert_quiet(2 * STALL_MS);
    begin_ns = fixture_now_ns();
    rill_keeper_fail(keeper, unit, true);
    event = expect_end(unit);
    print_message("a program that was stopped was told after %.0f ms\n",
                  (double)(fixture_now_ns() - begin_ns) / 1e6);
    assert_true(fixture_now_ns() - begin_ns > STALL_MS * UINT64_C(1000000) / 2);
    assert_true(event.stalled);
    close(fd);
    stop_program(output_logger, other);
}

/* It waits to be activated, perhaps for days. */
static void who_never_counted_is_left_alone(void **state)
{
    int fd = run_program(unit);

    (void)state;
    assert_quiet(3 * STALL_MS);
    stop_program(unit, fd);
}

static void stop_is_heard(void **state)
{
    struct rill_keeper_event event;
    int fd = run_program(unit);

    (void)state;
    rill_keeper_stop(keeper, unit, false);
    event = expect_end(unit);
    assert_true(WIFEXITED(event.wait_status));
    assert_int_equal(WEXITSTATUS(event.wait_status), 7);
    close(fd);
}

static void who_does_not_hear_has_its_grace(void **state)
{
    uint64_t begin_ns;
    struct rill_keeper_event event;
    char text[64];
    int fd = run_program(unit);

    (void)state;
    ask(fd, 'd', text, sizeof(text));
    begin_ns = fixture_now_ns();
    rill_keeper_stop(keeper, unit, false);
    rill_keeper_stop(keeper, unit, false); /* does not prolong it */
    event = expect_end(unit);
    assert_true(fixture_now_ns() - begin_ns >= GRACE_MS * UINT64_C(1000000));
    assert_true(WIFSIGNALED(event.wait_status));
    assert_false(event.stalled);
    close(fd);
}

/* Who was given up is not asked: it would hear, and end with 7. */
static void at_once_is_not_heard(void **state)
{
    struct rill_keeper_event event;
    int fd = run_program(unit);

    (void)state;
    rill_keeper_stop(keeper, unit, true);
    event = expect_end(unit);
    assert_true(WIFSIGNALED(event.wait_status));
    assert_int_equal(WTERMSIG(event.wait_status), SIGKILL);
    assert_false(event.stalled);
    close(fd);
}

static void no_answer_for_who_is_not_there(void **state)
{
    (void)state;
    rill_keeper_stop(keeper, unit, false);
    close(run_program(output_logger)); /* its event is the next */
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
}

static void who_waits_for_its_start_can_be_stopped(void **state)
{
    bool started = false, stopped = false;

    (void)state;
    rill_keeper_run(keeper, unit, false);
    rill_keeper_run(keeper, unit + 1, false);
    rill_keeper_stop(keeper, unit + 1, false);
    /* If the keeper was slow to read that, it was started, and ends. */
    while (!started || !stopped) {
        struct rill_keeper_event event = next_event();

        if (event.role == unit)
            started = event.type == RILL_KEEPER_STARTED;
        else
            stopped = event.type == RILL_KEEPER_FAILED || event.type == RILL_KEEPER_EXITED;
    }
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
}

static void a_role_is_started_once(void **state)
{
    struct rill_keeper_event event;
    char text[64];
    int fd = run_program(unit);

    (void)state;
    rill_keeper_run(keeper, unit, false);
    event = expect(RILL_KEEPER_FAILED, unit);
    assert_non_null(strstr(event.text, "there already"));
    ask(fd, 'd', text, sizeof(text)); /* it did not suffer */
    stop_program(unit, fd);
}

static void a_program_that_is_none_is_told(void **state)
{
    struct rill_keeper_config how = config();
    struct rill_keeper_event event;

    (void)state;
    rill_keeper_destroy(keeper);
    how.programs = fixture.shared; /* an empty folder */
    assert_int_equal(chmod(fixture.shared, 0755), 0);
    keeper = created(&how);
    expect_ready();
    rill_keeper_run(keeper, unit, false);
    event = expect(RILL_KEEPER_FAILED, unit);
    assert_non_null(strstr(event.text, "rill-nf-runtime"));
    assert_non_null(strstr(event.text, "No such file"));
    assert_int_equal(entries("roles"), 0);
}

static void assert_adopted(const struct rill_keeper_event *first,
                           const struct rill_keeper_event *second)
{
    struct rill_keeper_event a = next_event(), b = next_event();

    assert_int_equal(a.type, RILL_KEEPER_ADOPTED);
    assert_int_equal(b.type, RILL_KEEPER_ADOPTED);
    if (a.role != first->role) {
        struct rill_keeper_event other = a;

        a = b;
        b = other;
    }
    assert_int_equal(a.role, first->role);
    assert_int_equal(b.role, second->role);
    assert_true(a.token == first->token && b.token == second->token);
    expect_ready();
}

/* Two programs outlive the keeper; a second one has them as if they were its own. */
static void adopts_after(void (*end_keeper)(void))
{
    struct rill_keeper_config how = config();
    struct rill_keeper_event first, second, event;
    char text[512];
    int fds[2];

    rill_keeper_run(keeper, unit, false);
    first = expect(RILL_KEEPER_STARTED, unit);
    fds[0] = met(text, sizeof(text));
    rill_keeper_run(keeper, controller, true);
    second = expect(RILL_KEEPER_STARTED, controller);
    fds[1] = met(text, sizeof(text));
    end_keeper();
    rill_keeper_destroy(keeper);
    keeper = created(&how);
    assert_adopted(&first, &second);
    command(fds[0], 'c');
    command(fds[0], 'l');
    event = expect_end(unit);
    assert_true(event.stalled);
    command(fds[1], 'e');
    event = expect_end(controller);
    assert_int_equal(WEXITSTATUS(event.wait_status), 3);
    assert_string_equal(event.text, "last ?words");
    close(fds[0]);
    close(fds[1]);
}

static void leave_keeper(void)
{
}

/* The one process that has this test as its parent. */
static pid_t keeper_pid(void)
{
    char path[64], text[64] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_int_equal(strchr(text, ' '), strrchr(text, ' ')); /* only one */
    return (pid_t)atoi(text);
}

static void kill_keeper(void)
{
    assert_int_equal(kill(keeper_pid(), SIGKILL), 0);
    expect(RILL_KEEPER_GONE, 0);
    assert_false(rill_keeper_next(keeper, &(struct rill_keeper_event){0}));
}

static void programs_outlive_the_agent(void **state)
{
    (void)state;
    adopts_after(leave_keeper);
}

static void programs_outlive_the_keeper(void **state)
{
    (void)state;
    adopts_after(kill_keeper);
}

/* A program that ended while there was no keeper; one whose token is lost; one that runs on. */
/* `lives` is adopted. `ended` has no program any more, but its monitor may not have noticed when
 * the keeper looks: then it is adopted, and its end told. True: it was. */
static bool expect_adopted(uint32_t lives, uint32_t ended)
{
    struct rill_keeper_event event;
    bool both = false, found = false;

    while ((event = next_event()).type == RILL_KEEPER_ADOPTED) {
        both |= event.role == ended;
        found |= event.role == lives;
        assert_true(event.role == ended || event.role == lives);
    }
    assert_true(found);
    assert_int_equal(event.type, RILL_KEEPER_READY);
    if (both)
        expect_end(ended);
    return both;
}

static void what_nobody_knows_goes(void **state)
{
    struct rill_keeper_config how = config();
    char path[160];
    int fds[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        fds[i] = run_program(unit + i);
    rill_keeper_destroy(keeper);
    command(fds[0], 'e');
    assert_readable(fds[0]); /* the end of it */
    snprintf(path, sizeof(path), "%s/roles/03000002/token", base);
    assert_int_equal(unlink(path), 0);
    keeper = created(&how);
    if (!expect_adopted(unit + 2, unit))
        assert_int_equal(entries("roles"), 1);
    stop_program(unit + 2, fds[2]);
    close(fds[0]);
    close(fds[1]);
}

/* One grace for all, not one for each. */
static void stop_all_stops_all(void **state)
{
    int fds[QUEUED];
    uint64_t begin_ns, took_ns;
    char text[64];
    struct rill_keeper_event event;

    (void)state;
    for (uint32_t i = 0; i < QUEUED; i++) {
        fds[i] = run_program(unit + i);
        ask(fds[i], 'd', text, sizeof(text));
    }
    begin_ns = fixture_now_ns();
    rill_keeper_stop_all(keeper);
    event = expect(RILL_KEEPER_ALL_STOPPED, 0);
    took_ns = fixture_now_ns() - begin_ns;
    print_message("all were stopped after %.0f ms\n", (double)took_ns / 1e6);
    assert_string_equal(event.text, "");
    assert_true(took_ns >= GRACE_MS * UINT64_C(1000000));
    assert_true(took_ns < QUEUED * GRACE_MS * UINT64_C(1000000));
    assert_int_equal(look().files + look().cgroups + look().processes, 0);
    for (int i = 0; i < QUEUED; i++)
        close(fds[i]);
}

static void stop_all_of_none(void **state)
{
    (void)state;
    rill_keeper_stop_all(keeper);
    expect(RILL_KEEPER_ALL_STOPPED, 0);
}

static void one_keeper_for_each_cluster(void **state)
{
    struct rill_keeper_config how = config();
    struct rill_error err = {.text = ""};
    struct rill_keeper *second;

    (void)state;
    assert_int_equal(rill_keeper_create(&how, &second, &err), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(err.text, cluster));
    assert_int_equal(rill_keeper_remove_all(cluster, base, &err), -EBUSY);
}

static void remove_all_after_a_crash(void **state)
{
    struct rill_error err = {.text = ""};
    int fds[2] = {run_program(unit), run_program(output_logger)}, code;

    (void)state;
    kill_keeper();
    rill_keeper_destroy(keeper);
    keeper = NULL;
    code = rill_keeper_remove_all(cluster, base, &err);
    if (code != 0)
        print_message("%s\n", err.text);
    assert_int_equal(code, 0);
    assert_true(nothing_left(0));
    assert_int_equal(entries(""), 1); /* logs */
    assert_true(entries("logs") >= 2);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(rill_keeper_remove_all(cluster, base, &err), 0); /* of none */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_keeper, close_keeper)

static void set_up(void)
{
    fixture_open(&fixture);
    fixture_copy(&fixture, "keeper_probe", "rill-nf-runtime");
    fixture_copy(&fixture, "keeper_probe", "rill-output-logger");
    fixture_copy(&fixture, "keeper_probe", "rill-controller");
    snprintf(cluster, sizeof(cluster), "k%d", (int)getpid());
    snprintf(base, sizeof(base), "%s/keeper", fixture.base);
    if (mkdir(base, 0755) != 0)
        exit(1);
    make_folder("control", 0755);
    make_folder("links", 0711);
    make_folder("logs", 0755);
    listen_as_agent();
    umask(077); /* what the agent is started with must not matter */
    setenv("ASAN_OPTIONS", "print_stats=0", 1);
    setenv("UBSAN_OPTIONS", "print_stacktrace=1", 1);
}

static void tear_down(int failed)
{
    char locks[160];

    if (failed != 0) /* what a failed test left is nobody's */
        rill_keeper_destroy(keeper);
    if (failed != 0)
        rill_keeper_remove_all(cluster, base, NULL);
    close(listener);
    rill_remove_tree(base, NULL);
    snprintf(locks, sizeof(locks), "/run/lxc/lock%s/containers", base);
    rmdir(locks);
    snprintf(locks, sizeof(locks), "/run/lxc/lock%s", base);
    rmdir(locks);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_program_gets_what_it_needs),
        TEST(each_kind_has_its_program),
        TEST(tokens_differ_and_are_secret),
        TEST(links_work_inside),
        TEST(host_network_only_if_asked_for),
        TEST(an_end_is_told_with_its_reason),
        TEST(an_end_is_told_while_starts_queue),
        TEST(a_killed_program_is_told),
        TEST(an_end_is_told_before_it_is_known_how),
        TEST(how_it_ended_is_not_asked_for_ever),
        TEST(stop_all_does_not_wait_for_how),
        TEST(who_stands_still_is_killed),
        TEST(a_loop_without_end_is_killed),
        TEST(who_is_to_fail_is_killed),
        TEST(who_is_made_to_hang_is_found),
        TEST(who_never_counted_is_left_alone),
        TEST(stop_is_heard),
        TEST(who_does_not_hear_has_its_grace),
        TEST(at_once_is_not_heard),
        TEST(no_answer_for_who_is_not_there),
        TEST(who_waits_for_its_start_can_be_stopped),
        TEST(a_role_is_started_once),
        TEST(a_program_that_is_none_is_told),
        TEST(programs_outlive_the_agent),
        TEST(programs_outlive_the_keeper),
        TEST(what_nobody_knows_goes),
        TEST(stop_all_stops_all),
        TEST(stop_all_of_none),
        TEST(one_keeper_for_each_cluster),
        TEST(remove_all_after_a_crash), /* the last: it takes the folders away */
    };
    int failed;

    set_up();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tear_down(failed);
    return failed != 0;
}
