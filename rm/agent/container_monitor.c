/* The monitor of a container: a process that calls liblxc's start() and stays in it until the
 * program has ended, then notes how it ended in the file `exit`.
 *
 * Why not liblxc's own way into the background: that sends the program's output to /dev/null or
 * through a pty, and keeps how the program ended for itself. What is forked here runs nothing of
 * the caller's code; it keeps a copy of the caller's memory until the kernel has copied what either
 * writes to.
 */
#include "rm/agent/container_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxc/lxccontainer.h>

bool rill_monitor_start_ticks(pid_t pid, unsigned long long *ticks)
{
    char path[64], text[1024];
    FILE *file;
    size_t length;
    char *name_end;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    name_end = strrchr(text, ')'); /* the name may hold anything */
    /* Fields 3 to 21 are skipped; 22 is starttime. */
    return name_end != NULL && sscanf(name_end + 1,
                                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
                                      "%*d %*d %*d %*d %*d %llu",
                                      ticks) == 1;
}

static int write_file(const struct rill_containers *containers, const char *name, const char *file,
                      const char *text)
{
    char path[RILL_CONTAINER_NAME_MAX + 32], unfinished[RILL_CONTAINER_NAME_MAX + 32];
    size_t length = strlen(text);
    bool ok;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", name, file);
    snprintf(unfinished, sizeof(unfinished), "%s/%s.new", name, file);
    fd = openat(containers->folder_fd, unfinished, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ok = write(fd, text, length) == (ssize_t)length;
    close(fd);
    if (!ok)
        return -EIO;
    return renameat(containers->folder_fd, unfinished, containers->folder_fd, path) == 0 ? 0
                                                                                         : -errno;
}

static void redirect(int output_fd)
{
    int null_fd = open("/dev/null", O_RDWR);

    if (output_fd >= 0) { /* first out of the way of what is overwritten */
        output_fd = fcntl(output_fd, F_DUPFD, 3);
        if (output_fd < 0)
            _exit(1);
    }
    dup2(null_fd, STDIN_FILENO);
    dup2(output_fd >= 0 ? output_fd : null_fd, STDOUT_FILENO);
    dup2(output_fd >= 0 ? output_fd : null_fd, STDERR_FILENO);
}

/* Descriptors of the caller would keep its sockets and files open for as long as the container
 * lives. `sync_fd` moves to 3, the cluster's folder is opened anew. */
static void close_others(struct rill_containers *containers, int *sync_fd)
{
    if (*sync_fd != 3 && dup2(*sync_fd, 3) < 0)
        _exit(1);
    *sync_fd = 3;
    fcntl(3, F_SETFD, FD_CLOEXEC);
    close_range(4, ~0U, 0);
    containers->folder_fd = open(containers->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void default_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    signal(SIGPIPE, SIG_IGN); /* exec keeps this one; the daemons want it */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* liblxc notes death by a signal as a stop by it: 0x7f in the low byte. */
static int wait_status_of(int liblxc_status)
{
    return (liblxc_status & 0xff) == 0x7f ? liblxc_status >> 8 : liblxc_status;
}

static void monitor_main(struct rill_containers containers, const struct rill_container_spec *spec,
                         int sync_fd) __attribute__((noreturn));

static void monitor_main(struct rill_containers containers, const struct rill_container_spec *spec,
                         int sync_fd)
{
    struct rill_monitor self = {.pid = getpid()};
    struct rill_error err = {.text = ""};
    struct lxc_container *lxc;
    char text[64], go;
    bool started;

    setsid();
    default_signals();
    prctl(PR_SET_NAME, "rill-monitor");
    if (chdir("/") != 0)
        _exit(1);
    redirect(spec->output_fd);
    close_others(&containers, &sync_fd);
    /* liblxc would run newuidmap if it finds it, and that insists on /etc/subuid. As root it can
     * write the map itself. */
    setenv("PATH", "/nonexistent", 1);
    rill_monitor_start_ticks(self.pid, &self.start_ticks);
    snprintf(text, sizeof(text), "%d %llu\n", (int)self.pid, self.start_ticks);
    if (write_file(&containers, spec->name, "monitor", text) != 0 ||
        write(sync_fd, &self.pid, sizeof(self.pid)) != sizeof(self.pid) ||
        read(sync_fd, &go, 1) != 1)
        _exit(1);
    close(sync_fd);
    lxc = lxc_container_new(spec->name, containers.folder);
    if (lxc == NULL || rill_container_configure(lxc, &containers, spec, &err) != 0) {
        write_file(&containers, spec->name, "refused",
                   lxc == NULL ? "liblxc does not start here" : err.text);
        _exit(1);
    }
    lxc->want_daemonize(lxc, false);
    started = lxc->start(lxc, 0, spec->argv);
    snprintf(text, sizeof(text), "%d %d\n", started ? 1 : 0, wait_status_of(lxc->error_num));
    write_file(&containers, spec->name, "exit", text);
    _exit(0);
}

/* Reads the monitor's pid, opens its pidfd while it certainly lives, and lets it go on. */
static int meet_monitor(int sync_fd)
{
    pid_t pid;
    int pidfd;

    if (read(sync_fd, &pid, sizeof(pid)) != sizeof(pid))
        return -EIO;
    pidfd = rill_pidfd_open(pid);
    if (pidfd >= 0 && write(sync_fd, "g", 1) != 1) {
        close(pidfd);
        return -EIO;
    }
    return pidfd;
}

int rill_monitor_spawn(const struct rill_containers *containers,
                       const struct rill_container_spec *spec, int *monitor_pidfd,
                       struct rill_error *err)
{
    int sync_fds[2], status;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync_fds) != 0)
        return rill_error_set(err, -errno, "%s: socketpair: %s", spec->name, strerror(errno));
    child = fork();
    if (child == 0) {
        /* Twice, so that the monitor is nobody's child that would have to be waited for. */
        if (fork() == 0)
            monitor_main(*containers, spec, sync_fds[1]);
        _exit(0);
    }
    close(sync_fds[1]);
    *monitor_pidfd = child < 0 ? -errno : meet_monitor(sync_fds[0]);
    close(sync_fds[0]);
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    if (*monitor_pidfd < 0)
        return rill_error_set(err, *monitor_pidfd, "%s: cannot start its monitor: %s", spec->name,
                              strerror(-*monitor_pidfd));
    return 0;
}

int rill_monitor_open(const struct rill_containers *containers, const char *name)
{
    char path[RILL_CONTAINER_NAME_MAX + 32];
    unsigned long long start_ticks, now_ticks;
    int fd, pid = 0, pidfd;
    FILE *file;
    bool ok;

    snprintf(path, sizeof(path), "%s/monitor", name);
    fd = openat(containers->folder_fd, path, O_RDONLY | O_CLOEXEC);
    file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL)
        return -ESRCH;
    ok = fscanf(file, "%d %llu", &pid, &start_ticks) == 2 && pid > 1;
    fclose(file);
    if (!ok)
        return -ESRCH;
    pidfd = rill_pidfd_open(pid);
    if (pidfd >= 0 && (!rill_monitor_start_ticks(pid, &now_ticks) || now_ticks != start_ticks)) {
        close(pidfd);
        return -ESRCH;
    }
    return pidfd;
}
