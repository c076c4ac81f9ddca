/* Containers, for real: needs root and a liblxc that works, else it is skipped (77), and says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rm/agent/container_fixture.h"

enum { HANG_MS = 20000, CYCLES = 50, DEATHS = 24 };

static struct fixture fixture;

/* ---- what is left on the machine ---- */

static struct remains look(void)
{
    struct remains remains = fixture_look(&fixture, fixture.cluster);
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", fixture.run, fixture.cluster);
    remains.files = fixture_entries(path, "") + fixture_entries(fixture.shared, "");
    snprintf(path, sizeof(path), "/run/lxc/lock%s/%s", fixture.run, fixture.cluster);
    remains.locks = fixture_entries(path, ".rill");
    return remains;
}

static void assert_same(struct remains before, struct remains after)
{
    assert_int_equal(before.cgroups, after.cgroups);
    assert_int_equal(before.files, after.files);
    assert_int_equal(before.mounts, after.mounts);
    assert_int_equal(before.monitors, after.monitors);
    assert_int_equal(before.processes, after.processes);
    assert_int_equal(before.locks, after.locks);
    assert_int_equal(before.descriptors, after.descriptors);
}

static struct remains before_test;

static int remember(void **state)
{
    (void)state;
    before_test = look();
    return before_test.cgroups + before_test.monitors + before_test.processes +
           before_test.files; /* of the test before: must be none */
}

static int compare(void **state)
{
    (void)state;
    assert_same(before_test, look());
    return 0;
}

/* ---- helpers ---- */

static struct rill_container *started(const char *name, char *const *argv, char *text, size_t size)
{
    struct rill_error err = {.text = ""};
    struct rill_container *container = NULL;
    int fd, code;

    code = fixture_start(&fixture, name, argv, &container, text == NULL ? NULL : &fd, &err);
    if (code != 0)
        print_message("%s\n", err.text);
    assert_int_equal(code, 0);
    if (text != NULL)
        fixture_read(fd, text, size);
    return container;
}

static void destroy(struct rill_container *container)
{
    struct rill_error err = {.text = ""};
    int code = rill_container_destroy(container, &err);

    if (code != 0)
        print_message("%s\n", err.text);
    assert_int_equal(code, 0);
}

/* The bound is against hanging for ever; what it measures is container_measure's. */
static void assert_ends(const struct rill_container *container)
{
    struct pollfd wait = {.fd = rill_container_pidfd(container), .events = POLLIN};

    assert_int_equal(poll(&wait, 1, HANG_MS), 1);
}

static bool says(const char *text, const char *line)
{
    char wanted[512];

    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    return strstr(text, wanted) != NULL;
}

static void assert_says(const char *text, const char *line)
{
    if (!says(text, line))
        print_message("missing: %s\nin:\n%s\n", line, text);
    assert_true(says(text, line));
}

/* The monitor's pid, from its file: the test of what happens when it dies needs it. */
static pid_t monitor_of(const struct rill_container *container)
{
    char path[256];
    FILE *file;
    int pid = 0;

    snprintf(path, sizeof(path), "%s/%s/%s/monitor", fixture.run, fixture.cluster,
             rill_container_name(container));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

/* ---- tests ---- */

static void sees_only_what_it_should(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    char *argv[] = {(char *)"/opt/rill/container_probe", (char *)"report",
                    (char *)"/run/sockets/made", NULL};
    struct rill_container *container = started("see", argv, text, sizeof(text));
    char line[256], made[128];
    struct stat info;

    (void)state;
    assert_says(text, "pid=1");
    assert_says(text, "uid=0");
    snprintf(line, sizeof(line), "host=rill-%s-see", fixture.cluster);
    assert_says(text, line);
    snprintf(line, sizeof(line), "uid_map=%10d %10d %10d", 0, fixture.uid, 1);
    assert_says(text, line);
    line[0] = 'g';
    assert_says(text, line);
    assert_says(text, "status=CapEff:\t0000000000000000");
    assert_says(text, "status=CapPrm:\t0000000000000000");
    assert_says(text, "status=CapBnd:\t0000000000000000");
    assert_says(text, "status=CapAmb:\t0000000000000000");
    assert_says(text, "status=NoNewPrivs:\t1");
    assert_says(text, "status=Seccomp:\t2");
    assert_says(text, "status=Cpus_allowed_list:\t0");
    assert_says(text, "write_root=Read-only file system");
    assert_says(text, "write_usr=Read-only file system");
    assert_says(text, "write_run=written");
    assert_says(text, "write_given=written");
    assert_says(text, "env=RUNTIME_DIRECTORY=/run");
    assert_says(text, "env=GREETING=hello world");
    assert_null(strstr(text, "env=PATH="));
    snprintf(made, sizeof(made), "%s/made", fixture.shared);
    assert_int_equal(stat(made, &info), 0);
    assert_int_equal(info.st_uid, fixture.uid);
    unlink(made);
    destroy(container);
}

static void has_only_a_loopback(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    struct rill_container *container =
        started("net", FIXTURE_ARGV((char *)"report"), text, sizeof(text));
    int lines = 0;

    (void)state;
    for (const char *line = text; (line = strstr(line, "network=")) != NULL; line++)
        lines++;
    assert_int_equal(lines, 3); /* two of headings, and lo */
    assert_non_null(strstr(text, "network=    lo:"));
    assert_null(strstr(text, "\nroutes=lo"));
    destroy(container);
}

static void may_not_call_what_it_should_not(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    struct rill_container *container =
        started("calls", FIXTURE_ARGV((char *)"report"), text, sizeof(text));

    (void)state;
    assert_says(text, "unshare=Function not implemented");
    assert_says(text, "mount=Function not implemented");
    assert_says(text, "socket_inet=Function not implemented");
    assert_says(text, "socket_inet6=Function not implemented");
    assert_says(text, "socket_netlink=Function not implemented");
    assert_says(text, "socket_packet=Function not implemented");
    assert_says(text, "socket_unix=done");
    assert_says(text, "set_flags=Operation not permitted");
    assert_says(text, "clone_newuser=Function not implemented");
    assert_says(text, "unshare_32=Function not implemented");
    destroy(container);
}

static void loads_from_memory(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    struct rill_container *container =
        started("load", FIXTURE_ARGV((char *)"report"), text, sizeof(text));

    (void)state;
    assert_says(text, "load=done");
    destroy(container);
}

static void starts_eal(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    struct rill_container *container =
        started("eal", FIXTURE_ARGV((char *)"eal"), text, sizeof(text));

    (void)state;
    assert_says(text, "eal=ready");
    destroy(container);
}

static bool shares_namespace(const char *text, const char *name)
{
    char path[64], target[64] = "", line[128];

    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    assert_true(readlink(path, target, sizeof(target) - 1) > 0);
    snprintf(line, sizeof(line), "%s_namespace=%s", name, target);
    return says(text, line);
}

static struct rill_container *started_on_host_network(char *const *argv, char *text, size_t size)
{
    struct rill_error err = {.text = ""};
    struct rill_container *container = NULL;
    int fd, code = fixture_start_as(&fixture, "host", argv, true, &container, &fd, &err);

    if (code != 0)
        print_message("%s\n", err.text);
    assert_int_equal(code, 0);
    fixture_read(fd, text, size);
    return container;
}

static void host_network_opens_no_more_than_that(void **state)
{
    static const char *const own[] = {"pid", "mnt", "ipc", "uts", "cgroup"};
    static char text[FIXTURE_TEXT_MAX];
    struct rill_container *container =
        started_on_host_network(FIXTURE_ARGV((char *)"report"), text, sizeof(text));

    (void)state;
    assert_true(shares_namespace(text, "net"));
    assert_true(shares_namespace(text, "user"));
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        assert_false(shares_namespace(text, own[i]));
    assert_says(text, "pid=1");
    /* CAP_DAC_OVERRIDE is bit 1, CAP_NET_RAW bit 13. */
    assert_says(text, "status=CapEff:\t0000000000002002");
    assert_says(text, "status=CapPrm:\t0000000000002002");
    assert_says(text, "status=CapBnd:\t0000000000002002");
    assert_says(text, "status=CapAmb:\t0000000000000000");
    assert_says(text, "status=NoNewPrivs:\t1");
    assert_says(text, "status=Seccomp:\t2");
    assert_says(text, "status=Cpus_allowed_list:\t0");
    assert_says(text, "write_root=Read-only file system");
    assert_says(text, "write_usr=Read-only file system");
    assert_says(text, "write_proc=Read-only file system");
    assert_says(text, "write_run=written");
    assert_says(text, "unshare=Function not implemented");
    assert_says(text, "mount=Function not implemented");
    assert_says(text, "socket_packet=done");
    assert_says(text, "socket_unix=done");
    assert_says(text, "socket_inet=Operation not supported");
    assert_says(text, "socket_inet6=Function not implemented");
    assert_says(text, "socket_netlink=Function not implemented");
    assert_says(text, "set_flags=Operation not permitted");
    assert_says(text, "clone_newuser=Function not implemented");
    assert_says(text, "unshare_32=Function not implemented");
    destroy(container);
}

/* What another program of the cluster has for itself alone: its uid's folder of mode 0700. */
static void host_network_enters_closed_folders(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    char *argv[] = {(char *)"/opt/rill/container_probe", (char *)"report",
                    (char *)"/run/sockets/made", NULL};
    struct rill_container *container = started_on_host_network(argv, text, sizeof(text));
    char made[128];

    (void)state;
    assert_says(text, "write_given=written");
    snprintf(made, sizeof(made), "%s/made", fixture.shared);
    assert_int_equal(unlink(made), 0);
    destroy(container);
}

static void host_network_has_ports(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    struct rill_container *container =
        started_on_host_network(FIXTURE_ARGV((char *)"port", (char *)"lo"), text, sizeof(text));

    (void)state;
    assert_says(text, "port=started");
    assert_says(text, "watch_all=done");
    assert_says(text, "frame=came back");
    destroy(container);
}

static void stop_is_heard(void **state)
{
    static char text[4096];
    struct rill_error err = {.text = ""};
    struct rill_container *container =
        started("stop", FIXTURE_ARGV((char *)"report"), text, sizeof(text));
    int wait_status = -1;

    (void)state;
    assert_int_equal(rill_container_exit_status(container, &wait_status), -EAGAIN);
    assert_int_equal(rill_container_stop(container, HANG_MS, &err), 0);
    assert_int_equal(rill_container_exit_status(container, &wait_status), 0);
    assert_true(WIFEXITED(wait_status));
    assert_int_equal(WEXITSTATUS(wait_status), 7);
    assert_int_equal(rill_container_stop(container, 0, &err), 0); /* again: nothing to do */
    destroy(container);
}

static void stop_kills_who_does_not_hear(void **state)
{
    static char text[4096];
    struct rill_error err = {.text = ""};
    struct rill_container *container =
        started("deaf", FIXTURE_ARGV((char *)"ignore"), text, sizeof(text));
    int wait_status = -1;

    (void)state;
    assert_int_equal(rill_container_stop(container, 20, &err), 1);
    assert_int_equal(rill_container_exit_status(container, &wait_status), 0);
    assert_true(WIFSIGNALED(wait_status));
    assert_int_equal(WTERMSIG(wait_status), SIGKILL);
    destroy(container);
}

static void an_end_at_once_is_an_end(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct rill_container *container =
            started("once", FIXTURE_ARGV((char *)"exit", (char *)"5"), NULL, 0);
        int wait_status = -1;

        assert_ends(container);
        assert_int_equal(rill_container_exit_status(container, &wait_status), 0);
        assert_true(WIFEXITED(wait_status));
        assert_int_equal(WEXITSTATUS(wait_status), 5);
        destroy(container);
    }
}

static void a_missing_program_is_an_error(void **state)
{
    char *missing[] = {(char *)"/opt/rill/not-there", NULL};
    char *no_program[] = {(char *)"/etc/ld.so.cache", NULL};
    struct rill_error err = {.text = ""};
    struct rill_container *container = NULL;

    (void)state;
    assert_int_equal(fixture_start(&fixture, "none", missing, &container, NULL, &err), -EIO);
    assert_null(container);
    assert_non_null(strstr(err.text, "/opt/rill/not-there"));
    assert_non_null(strstr(err.text, "No such file"));
    assert_null(strchr(err.text, '\n'));
    assert_int_equal(fixture_start(&fixture, "none", no_program, &container, NULL, &err), -EIO);
    assert_non_null(strstr(err.text, "Permission denied"));
}

static void a_killed_program_is_noticed(void **state)
{
    struct rill_container *container = started("kill", FIXTURE_ARGV((char *)"ignore"), NULL, 0);
    int wait_status = -1;

    (void)state;
    assert_true(rill_container_pid(container) > 1);
    assert_int_equal(kill(rill_container_pid(container), SIGKILL), 0);
    assert_ends(container);
    assert_int_equal(rill_container_exit_status(container, &wait_status), 0);
    assert_true(WIFSIGNALED(wait_status));
    destroy(container);
}

static void a_greedy_program_is_killed(void **state)
{
    struct rill_container *container =
        started("eat", FIXTURE_ARGV((char *)"eat", (char *)"400"), NULL, 0);
    int wait_status = -1;

    (void)state;
    assert_ends(container);
    assert_int_equal(rill_container_exit_status(container, &wait_status), 0);
    assert_true(WIFSIGNALED(wait_status));
    assert_int_equal(WTERMSIG(wait_status), SIGKILL);
    destroy(container);
}

static void the_program_dies_with_its_monitor(void **state)
{
    struct rill_container *container = started("orphan", FIXTURE_ARGV((char *)"ignore"), NULL, 0);
    int wait_status = -1;

    (void)state;
    assert_int_equal(kill(monitor_of(container), SIGKILL), 0);
    assert_ends(container);
    assert_int_equal(rill_container_exit_status(container, &wait_status), -ENODATA);
    destroy(container);
}

static void a_name_is_used_once(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_container *first = started("twin", FIXTURE_ARGV((char *)"ignore"), NULL, 0),
                          *second;

    (void)state;
    assert_int_equal(
        fixture_start(&fixture, "twin", FIXTURE_ARGV((char *)"ignore"), &second, NULL, &err),
        -EEXIST);
    assert_int_equal(kill(rill_container_pid(first), 0), 0); /* it did not suffer */
    destroy(first);
}

static void leaves_nothing(void **state)
{
    static char text[FIXTURE_TEXT_MAX];
    struct remains before = look(), running;
    struct rill_error err = {.text = ""};

    (void)state;
    for (int i = 0; i < CYCLES; i++) {
        /* Every other time it is waited for: before its main it does not hear SIGTERM. */
        bool heard = i % 2 == 0;
        struct rill_container *container =
            started("cycle", FIXTURE_ARGV((char *)"report"), heard ? text : NULL, sizeof(text));

        if (i == 0) { /* else the comparison compares nothing */
            running = look();
            assert_true(running.cgroups > 0 && running.files > 0 && running.monitors > 0 &&
                        running.processes > 0);
        }
        if (heard)
            assert_int_equal(rill_container_stop(container, HANG_MS, &err), 0);
        destroy(container);
    }
    assert_same(before, look());
}

/* A caller that starts containers `a` and `b`, says so, and is killed. */
static void caller_is_killed(void)
{
    int fds[2], status;
    char ready;
    pid_t child;

    rill_containers_close(fixture.containers); /* the lock goes over to the other process */
    assert_int_equal(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        struct rill_error err = {.text = ""};
        struct rill_container *a, *b;

        close(fds[0]);
        if (rill_containers_open(fixture.cluster, fixture.run, &fixture.containers, &err) != 0 ||
            fixture_start(&fixture, "a", FIXTURE_ARGV((char *)"report"), &a, NULL, &err) != 0 ||
            fixture_start(&fixture, "b", FIXTURE_ARGV((char *)"ignore"), &b, NULL, &err) != 0)
            _exit(1);
        if (write(fds[1], "r", 1) != 1)
            _exit(1);
        pause();
        _exit(1);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &ready, 1), 1);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fds[0]);
}

static void reopen(void)
{
    struct rill_error err = {.text = ""};

    assert_int_equal(rill_containers_open(fixture.cluster, fixture.run, &fixture.containers, &err),
                     0);
}

static void another_caller_adopts(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_container **list;
    uint32_t count, removed;
    int wait_status = -1;
    char name[64];

    (void)state;
    caller_is_killed();
    reopen();
    assert_int_equal(rill_containers_adopt(fixture.containers, &list, &count, &removed, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(removed, 0);
    snprintf(name, sizeof(name), "rill-%s-a", fixture.cluster);
    assert_string_equal(rill_container_name(list[0]), name);
    assert_int_equal(kill(rill_container_pid(list[0]), 0), 0);
    assert_int_equal(rill_container_signal(list[0], SIGKILL), 0);
    assert_ends(list[0]);
    assert_int_equal(rill_container_exit_status(list[0], &wait_status), 0);
    assert_true(WIFSIGNALED(wait_status));
    assert_int_equal(kill(rill_container_pid(list[1]), SIGKILL), 0);
    assert_ends(list[1]);
    destroy(list[0]);
    destroy(list[1]);
    free(list);
}

/* One container ended while there was no caller, of another the monitor was killed too. */
static void remains_are_removed(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_container **list;
    uint32_t count, removed;

    (void)state;
    caller_is_killed();
    reopen();
    assert_int_equal(rill_containers_adopt(fixture.containers, &list, &count, &removed, &err), 0);
    assert_int_equal(count, 2);
    kill(rill_container_pid(list[0]), SIGKILL);
    kill(monitor_of(list[1]), SIGKILL);
    assert_ends(list[0]);
    assert_ends(list[1]);
    rill_container_release(list[0]);
    rill_container_release(list[1]);
    free(list);
    assert_true(look().cgroups > 0);
    assert_int_equal(rill_containers_adopt(fixture.containers, &list, &count, &removed, &err), 0);
    assert_int_equal(count, 0);
    assert_int_equal(removed, 2);
    free(list);
}

/* A monitor whose caller was killed before it could let it go on ends by itself, a little later. */
static void assert_all_goes(void)
{
    struct remains left = look();

    for (int i = 0; i < HANG_MS && left.monitors + left.processes > 0; i++) {
        poll(NULL, 0, 1);
        left = look();
    }
    assert_int_equal(left.monitors, 0);
    assert_int_equal(left.processes, 0);
    assert_int_equal(left.cgroups, 0);
    assert_int_equal(left.files, 0);
    assert_int_equal(left.locks, 0);
}

/* Wherever in start or destroy the caller is killed, the next one finds out what is what. */
static void a_caller_dies_at_any_moment(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_container **list, *container;
    uint32_t count;
    int status;

    (void)state;
    rill_containers_close(fixture.containers);
    for (int i = 0; i < DEATHS; i++) {
        pid_t child = fork();

        if (child == 0) {
            if (rill_containers_open(fixture.cluster, fixture.run, &fixture.containers, &err) != 0)
                _exit(1);
            while (fixture_start(&fixture, "any", FIXTURE_ARGV((char *)"ignore"), &container, NULL,
                                 &err) == 0 &&
                   rill_container_destroy(container, &err) == 0)
                ;
            _exit(1);
        }
        poll(NULL, 0, 5 * i); /* another moment each time; which does not matter */
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        reopen();
        assert_int_equal(rill_containers_adopt(fixture.containers, &list, &count, NULL, &err), 0);
        for (uint32_t k = 0; k < count; k++)
            destroy(list[k]);
        free(list);
        assert_all_goes();
        rill_containers_close(fixture.containers);
    }
    reopen();
}

static void remove_all_removes_all(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_container *a = started("x", FIXTURE_ARGV((char *)"ignore"), NULL, 0);
    struct rill_container *b = started("y", FIXTURE_ARGV((char *)"ignore"), NULL, 0);

    (void)state;
    assert_int_equal(rill_containers_remove_all(fixture.containers, &err), 0);
    assert_ends(a);
    assert_ends(b);
    rill_container_release(a);
    rill_container_release(b);
    assert_int_equal(rill_containers_remove_all(fixture.containers, &err), 0); /* of none */
}

/* The monitor of a container from before ended long ago, and its pid is somebody else's now. */
static void a_reused_pid_is_nobody_to_kill(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_container **list;
    uint32_t count, removed;
    char folder[200], path[256];
    pid_t stranger = fork();
    FILE *file;
    int status;

    (void)state;
    if (stranger == 0) {
        pause();
        _exit(0);
    }
    snprintf(folder, sizeof(folder), "%s/%s/rill-%s-old", fixture.run, fixture.cluster,
             fixture.cluster);
    assert_int_equal(mkdir(folder, 0711), 0);
    snprintf(path, sizeof(path), "%s/monitor", folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%d 1\n", (int)stranger);
    fclose(file);
    assert_int_equal(rill_containers_adopt(fixture.containers, &list, &count, &removed, &err), 0);
    free(list);
    assert_int_equal(count, 0);
    assert_int_equal(removed, 1);
    assert_int_equal(waitpid(stranger, &status, WNOHANG), 0);
    kill(stranger, SIGKILL);
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
}

/* A cluster whose name begins with ours, and things that are called otherwise. */
static void others_are_left_alone(void **state)
{
    char other[64], folder[160];
    struct rill_containers *theirs;
    struct rill_error err = {.text = ""};
    struct rill_container *container;
    struct rill_container_spec spec = {.name = other,
                                       .argv =
                                           (char *[]){(char *)"/bin/sleep", (char *)"1000", NULL},
                                       .uid_base = fixture.uid,
                                       .output_fd = -1};

    (void)state;
    snprintf(other, sizeof(other), "%sb", fixture.cluster);
    assert_int_equal(rill_containers_open(other, fixture.run, &theirs, &err), 0);
    snprintf(other, sizeof(other), "rill-%sb-x", fixture.cluster);
    assert_int_equal(rill_container_start(theirs, &spec, &container, &err), 0);
    snprintf(folder, sizeof(folder), "%s/%s/strange", fixture.run, fixture.cluster);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(rill_containers_remove_all(fixture.containers, &err), 0);
    assert_int_equal(kill(rill_container_pid(container), 0), 0);
    assert_int_equal(rmdir(folder), 0);
    destroy(container);
    rill_containers_close(theirs);
}

static void one_agent_for_each_cluster(void **state)
{
    struct rill_containers *second;
    struct rill_error err = {.text = ""};

    (void)state;
    assert_int_equal(rill_containers_open(fixture.cluster, fixture.run, &second, &err), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(err.text, fixture.cluster));
}

static void bad_names_are_refused(void **state)
{
    static const char *const bad[] = {"", "a-b", "A", "..", "a/b", "a23456789012345678901234x"};
    struct rill_containers *containers;
    struct rill_error err = {.text = ""};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rill_containers_open(bad[i], fixture.run, &containers, &err), -EINVAL);
    assert_int_equal(rill_containers_open("a", "run", &containers, &err), -EINVAL);
}

static void assert_refused(struct rill_container_spec spec, int code)
{
    struct rill_error err = {.text = ""};
    struct rill_container *container;

    assert_int_equal(rill_container_start(fixture.containers, &spec, &container, &err), code);
    assert_null(container);
    assert_true(err.text[0] != '\0');
}

static void bad_specs_are_refused(void **state)
{
    char name[64], *argv[] = {(char *)"/bin/true", NULL}, *relative[] = {(char *)"true", NULL};
    char *two_lines[] = {(char *)"A=1\nlxc.cap.keep=sys_admin", NULL};
    struct rill_container_mount up = {.host = "/usr/../root", .inside = "/x"};
    struct rill_container_mount lines = {.host = "/usr", .inside = "/x\nlxc.cap.keep = sys_admin"};
    struct rill_container_mount missing = {.host = "/not-there", .inside = "/x"};
    struct rill_container_spec good = {
        .name = name, .argv = argv, .uid_base = fixture.uid, .output_fd = -1, .mount_count = 0};
    struct rill_container_spec spec;

    (void)state;
    snprintf(name, sizeof(name), "rill-%s-bad", fixture.cluster);
    spec = good;
    spec.name = "rill-other-bad";
    assert_refused(spec, -EINVAL);
    spec.name = fixture.cluster;
    assert_refused(spec, -EINVAL);
    spec = good;
    spec.argv = relative;
    assert_refused(spec, -EINVAL);
    spec = good;
    spec.uid_base = 0;
    assert_refused(spec, -EINVAL);
    spec = good;
    spec.cpus = "0\n";
    assert_refused(spec, -EINVAL);
    spec.cpus = "9999";
    assert_refused(spec, -EIO);
    spec = good;
    spec.env = two_lines;
    assert_refused(spec, -EINVAL);
    spec = good;
    spec.mount_count = 1;
    spec.mounts = &up;
    assert_refused(spec, -EINVAL);
    spec.mounts = &lines;
    assert_refused(spec, -EINVAL);
    spec.mounts = &missing;
    assert_refused(spec, -ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, remember, compare)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sees_only_what_it_should),
        TEST(has_only_a_loopback),
        TEST(may_not_call_what_it_should_not),
        TEST(loads_from_memory),
        TEST(starts_eal),
        TEST(host_network_opens_no_more_than_that),
        TEST(host_network_enters_closed_folders),
        TEST(host_network_has_ports),
        TEST(stop_is_heard),
        TEST(stop_kills_who_does_not_hear),
        TEST(an_end_at_once_is_an_end),
        TEST(a_missing_program_is_an_error),
        TEST(a_killed_program_is_noticed),
        TEST(a_greedy_program_is_killed),
        TEST(the_program_dies_with_its_monitor),
        TEST(a_name_is_used_once),
        TEST(leaves_nothing),
        TEST(another_caller_adopts),
        TEST(remains_are_removed),
        TEST(a_caller_dies_at_any_moment),
        TEST(remove_all_removes_all),
        TEST(a_reused_pid_is_nobody_to_kill),
        TEST(others_are_left_alone),
        TEST(one_agent_for_each_cluster),
        TEST(bad_names_are_refused),
        TEST(bad_specs_are_refused),
    };
    int failed;

    fixture_open(&fixture);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0) /* what a failed test left is nobody's */
        rill_containers_remove_all(fixture.containers, NULL);
    fixture_close(&fixture);
    return failed != 0;
}
