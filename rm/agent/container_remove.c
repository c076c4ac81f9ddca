/* What a container leaves on the host, and its removal: monitor, cgroups, folder, liblxc's lock.
 * Mounts are in the container's mount namespace only and end with it.
 */
#include "rm/agent/container_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rm/agent/remove_tree.h"

#define LXC_LOCKS "/run/lxc/lock"

enum { MONITOR_ENDS_MS = 5000, FOLDER_TRIES = 1000 /* of a millisecond */ };

int rill_pidfd_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

int rill_pidfd_signal(int pidfd, int signal_number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) == 0 || errno == ESRCH
               ? 0
               : -errno;
}

bool rill_pidfd_wait(int pidfd, int timeout_ms)
{
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    int ready;

    do
        ready = poll(&wait, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static int remove_folder(const struct rill_containers *containers, const char *name,
                         struct rill_error *err)
{
    char path[PATH_MAX];
    int code;

    snprintf(path, sizeof(path), "%s/%s", containers->folder, name);
    /* The monitor of a caller that was just killed is about to end, but may put its first file
     * there before. */
    for (int i = 0; (code = rill_remove_tree(path, err)) == -ENOTEMPTY && i < FOLDER_TRIES; i++)
        poll(NULL, 0, 1);
    return code;
}

/* liblxc keeps a lock file for each container, in a folder for each of its paths. */
static void remove_lock(const struct rill_containers *containers, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), LXC_LOCKS "%s/.%s", containers->folder, name);
    unlink(path);
}

/* Not what is above the cluster's own: another liblxc may be about to make its folder there. */
void rill_containers_remove_locks(const struct rill_containers *containers)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), LXC_LOCKS "%s", containers->folder);
    rmdir(path);
}

int rill_container_remove_remains(const struct rill_containers *containers, const char *name,
                                  int monitor_pidfd, struct rill_error *err)
{
    int code, folder_code;

    if (monitor_pidfd >= 0 && !rill_pidfd_wait(monitor_pidfd, MONITOR_ENDS_MS))
        rill_pidfd_signal(monitor_pidfd, SIGKILL);
    if (monitor_pidfd >= 0)
        rill_pidfd_wait(monitor_pidfd, MONITOR_ENDS_MS);
    code = rill_cgroup_remove(name, err);
    folder_code = remove_folder(containers, name, code == 0 ? err : NULL);
    remove_lock(containers, name);
    return code != 0 ? code : folder_code;
}
