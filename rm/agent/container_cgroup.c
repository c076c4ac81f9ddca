/* A container's cgroups: in each hierarchy <name>/{payload,monitor,pivot/lxc.pivot}. liblxc removes
 * the first two if its monitor gets that far; the last never, as the monitor is still in it then.
 */
#include "rm/agent/container_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 4, REMOVE_TRIES = 3000 /* of a millisecond */ };

/* The next mount of cgroup or cgroup2; false at the end. */
static bool next_hierarchy(FILE *mounts, char *path, size_t size, bool *v1, char *options,
                           size_t options_size)
{
    struct mntent entry;
    char line[4096];

    while (getmntent_r(mounts, &entry, line, sizeof(line)) != NULL) {
        if (strcmp(entry.mnt_type, "cgroup") != 0 && strcmp(entry.mnt_type, "cgroup2") != 0)
            continue;
        *v1 = strcmp(entry.mnt_type, "cgroup") == 0;
        if (snprintf(path, size, "%s", entry.mnt_dir) >= (int)size)
            continue;
        if (options != NULL)
            snprintf(options, options_size, ",%s,", entry.mnt_opts);
        return true;
    }
    return false;
}

bool rill_cgroup_controller_is_v1(const char *controller)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char path[PATH_MAX], options[1024], wanted[64];
    bool v1, found = false;

    if (mounts == NULL)
        return false;
    snprintf(wanted, sizeof(wanted), ",%s,", controller);
    while (!found && next_hierarchy(mounts, path, sizeof(path), &v1, options, sizeof(options)))
        found = v1 && strstr(options, wanted) != NULL;
    endmntent(mounts);
    return found;
}

bool rill_cgroup_any(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char path[PATH_MAX];
    bool v1, found;

    if (mounts == NULL)
        return false;
    found = next_hierarchy(mounts, path, sizeof(path), &v1, NULL, 0);
    endmntent(mounts);
    return found;
}

/* True if the process is in that cgroup of some hierarchy, or below. `name` was a pid's cgroup a
 * moment ago; with the pidfd open it is the same process that is asked now. */
static bool process_in(pid_t pid, const char *name)
{
    char path[64], line[PATH_MAX + 64], wanted[RILL_CONTAINER_NAME_MAX + 4];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    snprintf(wanted, sizeof(wanted), "/%s/", name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), file) != NULL)
        found = strstr(line, wanted) != NULL;
    fclose(file);
    return found;
}

static void kill_members(int folder_fd, const char *name)
{
    int fd = openat(folder_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    int pid;

    if (file == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while (fscanf(file, "%d", &pid) == 1) {
        int pidfd = pid > 1 && pid != getpid() ? rill_pidfd_open(pid) : -1;

        if (pidfd >= 0 && process_in(pid, name))
            rill_pidfd_signal(pidfd, SIGKILL);
        if (pidfd >= 0)
            close(pidfd);
    }
    fclose(file);
}

/* Removes the cgroup and those below, deepest first; the depth is bounded, as only ours go there.
 */
static int remove_tree(int parent_fd, const char *path, const char *name, int depth)
{
    int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    DIR *dir;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return -ENOMEM;
    }
    while (depth < DEPTH_MAX && (entry = readdir(dir)) != NULL)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            remove_tree(fd, entry->d_name, name, depth + 1);
    kill_members(fd, name);
    closedir(dir);
    return unlinkat(parent_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

/* What was just killed leaves its cgroup a moment later. */
static int remove_patiently(const char *hierarchy, const char *name)
{
    int fd = open(hierarchy, O_RDONLY | O_DIRECTORY | O_CLOEXEC), code = -EBUSY;

    if (fd < 0)
        return -errno;
    for (int i = 0; i < REMOVE_TRIES; i++) {
        code = remove_tree(fd, name, name, 0);
        if (code != -EBUSY && code != -ENOTEMPTY)
            break;
        poll(NULL, 0, 1);
    }
    close(fd);
    return code;
}

int rill_cgroup_remove(const char *name, struct rill_error *err)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char path[PATH_MAX];
    int code = 0;
    bool v1;

    if (mounts == NULL)
        return rill_error_set(err, -errno, "cannot read /proc/self/mounts: %s", strerror(errno));
    while (next_hierarchy(mounts, path, sizeof(path), &v1, NULL, 0)) {
        int now = remove_patiently(path, name);

        if (now != 0)
            code = rill_error_set(err, now,
                                  "cannot remove the cgroup %s/%s: %s; see which process is in it",
                                  path, name, strerror(-now));
    }
    endmntent(mounts);
    return code;
}

int rill_cgroup_each(const char *prefix, void (*each)(const char *name, void *arg), void *arg)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char path[PATH_MAX];
    bool v1;

    if (mounts == NULL)
        return -errno;
    while (next_hierarchy(mounts, path, sizeof(path), &v1, NULL, 0)) {
        DIR *dir = opendir(path);
        struct dirent *entry;

        if (dir == NULL)
            continue;
        while ((entry = readdir(dir)) != NULL)
            if (entry->d_type == DT_DIR && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                each(entry->d_name, arg);
        closedir(dir);
    }
    endmntent(mounts);
    return 0;
}
