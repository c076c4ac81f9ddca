#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

extern char **environ;

/* When the process started, 0 if it is not there: the 22nd field of its stat. The second is its
 * name in parentheses, which may hold anything. */
static uint64_t start_ticks(pid_t pid)
{
    char path[64], text[1024];
    const char *at;
    FILE *in;
    size_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    in = fopen(path, "re");
    if (in == NULL)
        return 0;
    n = fread(text, 1, sizeof(text) - 1, in);
    fclose(in);
    text[n] = '\0';
    at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

/* Opened first, looked at then: what the pidfd is of can't change any more. */
static int adopt(struct rill_process *process, pid_t pid)
{
    *process = (struct rill_process){.pid = pid, .fd = pidfd_open(pid, 0)};
    if (process->fd < 0)
        return -errno;
    process->start_ticks = start_ticks(pid);
    return 0;
}

static int prepare_files(posix_spawn_file_actions_t *files, const char *log)
{
    int rc = posix_spawn_file_actions_init(files);

    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, log,
                                              O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, STDOUT_FILENO, STDERR_FILENO);
    return rc;
}

/* The daemon's signals are as at a machine's start, whatever ours are. */
static int prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int rc = posix_spawnattr_init(attributes);

    sigemptyset(&none);
    sigfillset(&all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                      POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    return rc;
}

int rill_process_start(struct rill_process *process, const char *const argv[], const char *log,
                       struct rill_error *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    pid_t pid;
    int rc = prepare_files(&files, log);

    if (rc == 0)
        rc = prepare_attributes(&attributes);
    if (rc == 0)
        rc = posix_spawn(&pid, argv[0], &files, &attributes, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (rc == 0)
        rc = -adopt(process, pid);
    return rc == 0 ? 0
                   : rill_error_set(err, -rc, "%s: can't be started: %s", argv[0], strerror(rc));
}

int rill_process_write(const struct rill_process *process, const char *path, struct rill_error *err)
{
    FILE *out = fopen(path, "we");
    bool failed;

    if (out == NULL)
        return rill_error_set(err, -errno, "%s: can't be written: %s", path, strerror(errno));
    failed = fprintf(out, "%d %" PRIu64 "\n", (int)process->pid, process->start_ticks) < 0;
    failed |= fclose(out) != 0;
    return failed ? rill_error_set(err, -EIO, "%s: can't be written: %s", path, strerror(errno))
                  : 0;
}

bool rill_process_find(struct rill_process *process, const char *path)
{
    FILE *in = fopen(path, "re");
    uint64_t ticks = 0;
    int pid = 0, read = 0;

    *process = (struct rill_process){.fd = -1};
    if (in == NULL)
        return false;
    read = fscanf(in, "%d %" SCNu64, &pid, &ticks);
    fclose(in);
    if (read != 2 || pid <= 0 || ticks == 0 || adopt(process, pid) != 0)
        return false;
    if (process->start_ticks == ticks && !rill_process_ended(process, 0))
        return true;
    rill_process_close(process);
    return false;
}

bool rill_process_ended(const struct rill_process *process, unsigned timeout_ms)
{
    struct pollfd fd = {.fd = process->fd, .events = POLLIN};

    return process->fd < 0 || poll(&fd, 1, (int)timeout_ms) == 1;
}

void rill_process_signal(const struct rill_process *process, int signal_number)
{
    if (process->fd >= 0)
        pidfd_send_signal(process->fd, signal_number, NULL, 0);
}

void rill_process_close(struct rill_process *process)
{
    if (process->fd >= 0)
        close(process->fd);
    *process = (struct rill_process){.fd = -1};
}
