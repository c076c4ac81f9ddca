#include "rm/agent/container.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lxc/lxccontainer.h>

#include "rm/agent/container_internal.h"

struct rill_container {
    struct rill_containers *containers;
    char name[RILL_CONTAINER_NAME_MAX + 1];
    pid_t pid;
    int pidfd;
    int monitor_pidfd;
};

enum {
    START_TRIES = 50000, /* of START_WAIT_NS: 10 s */
    START_WAIT_NS = 200000,
    KILL_MS = 5000,
    OPEN_TRIES = 10,
    LOCK_MS = 1000,
};

/* ---- the cluster ---- */

static bool cluster_name_valid(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > RILL_CLUSTER_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]))
            return false;
    return true;
}

/* Waits a little: of a caller that was just killed a monitor may still hold the lock, which then is
 * about to let go of all that it inherited. */
static bool lock(int fd)
{
    for (int i = 0; i < LOCK_MS; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

/* Another process may remove the empty folder between our making it and our lock. */
static int open_folder(struct rill_containers *containers, const char *run_folder,
                       struct rill_error *err)
{
    struct stat locked, named;

    for (int i = 0; i < OPEN_TRIES; i++) {
        if ((mkdir(run_folder, 0755) != 0 && errno != EEXIST) ||
            (mkdir(containers->folder, 0711) != 0 && errno != EEXIST && errno != ENOENT))
            break;
        containers->folder_fd =
            open(containers->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (containers->folder_fd < 0 && errno == ENOENT)
            continue;
        if (containers->folder_fd < 0)
            break;
        if (!lock(containers->folder_fd))
            return rill_error_set(err, -EBUSY,
                                  "cluster '%s' has an agent on this machine already (%s is "
                                  "locked); take it down first, or choose another name",
                                  containers->cluster, containers->folder);
        if (fstat(containers->folder_fd, &locked) == 0 && stat(containers->folder, &named) == 0 &&
            locked.st_ino == named.st_ino && locked.st_dev == named.st_dev)
            return 0;
        close(containers->folder_fd);
        containers->folder_fd = -1;
    }
    return rill_error_set(err, errno == 0 ? -EIO : -errno, "cannot make and lock the folder %s: %s",
                          containers->folder, strerror(errno));
}

int rill_containers_open(const char *cluster, const char *run_folder,
                         struct rill_containers **containers, struct rill_error *err)
{
    struct rill_containers *made;
    int code;

    *containers = NULL;
    if (!cluster_name_valid(cluster))
        return rill_error_set(err, -EINVAL,
                              "cluster name '%s': use 1 to %d characters of a-z and 0-9", cluster,
                              RILL_CLUSTER_NAME_MAX);
    if (run_folder[0] != '/' || strlen(run_folder) >= sizeof(made->run_folder) ||
        strpbrk(run_folder, "\n\t \\#") != NULL)
        return rill_error_set(err, -EINVAL,
                              "run folder '%s': an absolute path below 100 characters and without "
                              "spaces is needed",
                              run_folder);
    if (geteuid() != 0)
        return rill_error_set(err, -EPERM,
                              "containers need root; without it use the embedded form");
    if (!rill_cgroup_any())
        return rill_error_set(err, -ENOSYS,
                              "no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup");
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for cluster '%s'", cluster);
    made->folder_fd = -1;
    snprintf(made->cluster, sizeof(made->cluster), "%s", cluster);
    snprintf(made->prefix, sizeof(made->prefix), "rill-%s-", cluster);
    snprintf(made->run_folder, sizeof(made->run_folder), "%s", run_folder);
    snprintf(made->folder, sizeof(made->folder), "%s/%s", run_folder, cluster);
    code = open_folder(made, run_folder, err);
    if (code != 0) {
        if (made->folder_fd >= 0)
            close(made->folder_fd);
        free(made);
        return code;
    }
    *containers = made;
    return 0;
}

void rill_containers_close(struct rill_containers *containers)
{
    if (containers == NULL)
        return;
    /* Both fail while something is in them. */
    if (rmdir(containers->folder) == 0) {
        rill_containers_remove_locks(containers);
        rmdir(containers->run_folder);
    }
    close(containers->folder_fd);
    free(containers);
}

/* ---- start ---- */

static struct rill_container *new_container(struct rill_containers *containers, const char *name)
{
    struct rill_container *container = calloc(1, sizeof(*container));

    if (container == NULL)
        return NULL;
    container->containers = containers;
    snprintf(container->name, sizeof(container->name), "%s", name);
    container->pid = container->pidfd = container->monitor_pidfd = -1;
    return container;
}

/* Whose pidfd this is; -1 if it has ended. */
static pid_t pid_of(int pidfd)
{
    char path[64], line[128];
    int pid = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Pid: %d", &pid) == 1)
            break;
    fclose(file);
    return pid;
}

/* Asks the monitor for the program's pidfd. It listens soon after its own start, and answers when
 * the program has been exec'ed. */
static int ask_pidfd(struct rill_container *container, int tries)
{
    struct lxc_container *lxc = lxc_container_new(container->name, container->containers->folder);
    struct pollfd wait = {.fd = container->monitor_pidfd, .events = POLLIN};
    struct timespec pause = {.tv_nsec = START_WAIT_NS};

    if (lxc == NULL)
        return -ENOMEM;
    while ((container->pidfd = lxc->init_pidfd(lxc)) < 0 && --tries > 0)
        if (ppoll(&wait, 1, &pause, NULL) > 0)
            break;
    lxc_container_put(lxc);
    if (container->pidfd < 0)
        return tries > 0 ? -ESRCH : -ETIMEDOUT;
    fcntl(container->pidfd, F_SETFD, FD_CLOEXEC);
    container->pid = pid_of(container->pidfd);
    return 0;
}

/* The file `exit`: 1 and the wait status, or 0 where the start failed. */
static int read_exit(const struct rill_container *container, int *started, int *wait_status)
{
    char path[RILL_CONTAINER_NAME_MAX + 32];
    int fd;
    FILE *file;
    bool ok;

    snprintf(path, sizeof(path), "%s/exit", container->name);
    fd = openat(container->containers->folder_fd, path, O_RDONLY | O_CLOEXEC);
    file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL)
        return -ENODATA;
    ok = fscanf(file, "%d %d", started, wait_status) == 2;
    fclose(file);
    return ok ? 0 : -ENODATA;
}

/* The first line of what liblxc complained of, without its time and place. */
static void read_reason(const struct rill_container *container, char *reason, size_t size)
{
    static const char *const files[] = {"refused", "log"};
    char path[RILL_CONTAINER_NAME_MAX + 32], line[1024] = "", *text;

    snprintf(reason, size, "liblxc gives no reason");
    for (int i = 0; i < 2; i++) {
        int fd;
        ssize_t length;

        snprintf(path, sizeof(path), "%s/%s", container->name, files[i]);
        fd = openat(container->containers->folder_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        length = read(fd, line, sizeof(line) - 1);
        close(fd);
        if (length <= 0)
            continue;
        line[length] = '\0';
        line[strcspn(line, "\n")] = '\0';
        /* lxc NAME TIME ERROR FILE - FILE:FUNCTION:LINE - text */
        text = strstr(line, " - ");
        text = text == NULL || i == 0 ? NULL : strstr(text + 3, " - ");
        snprintf(reason, size, "%.*s", (int)size - 1, text == NULL ? line : text + 3);
        return;
    }
}

/* After the monitor went away unasked: did the program start? */
static int judge_early_end(struct rill_container *container, const char *program,
                           struct rill_error *err)
{
    int started = 0, wait_status;
    char reason[400];

    if (read_exit(container, &started, &wait_status) == 0 && started) {
        container->pidfd = fcntl(container->monitor_pidfd, F_DUPFD_CLOEXEC, 0);
        return container->pidfd >= 0 ? 0 : -errno;
    }
    read_reason(container, reason, sizeof(reason));
    return rill_error_set(err, -EIO, "%s: cannot start %s: %s", container->name, program, reason);
}

static int start(struct rill_container *container, const struct rill_container_spec *spec,
                 struct rill_error *err)
{
    int code = rill_container_folder_make(container->containers, spec, err);

    if (code == 0)
        code = rill_monitor_spawn(container->containers, spec, &container->monitor_pidfd, err);
    if (code != 0)
        return code;
    code = ask_pidfd(container, START_TRIES);
    if (code == -ESRCH)
        return judge_early_end(container, spec->argv[0], err);
    if (code != 0) {
        rill_pidfd_signal(container->monitor_pidfd, SIGKILL);
        rill_error_set(err, code, "%s: liblxc does not come to an end with its start: %s",
                       container->name, strerror(-code));
    }
    return code;
}

int rill_container_start(struct rill_containers *containers, const struct rill_container_spec *spec,
                         struct rill_container **container, struct rill_error *err)
{
    struct rill_container *made;
    int code = rill_container_spec_check(containers, spec, err);

    *container = NULL;
    if (code != 0)
        return code;
    made = new_container(containers, spec->name);
    if (made == NULL)
        return rill_error_set(err, -ENOMEM, "%s: no memory", spec->name);
    code = start(made, spec, err);
    if (code != 0) {
        if (code != -EEXIST)
            rill_container_remove_remains(containers, spec->name, made->monitor_pidfd, NULL);
        rill_container_release(made);
        return code;
    }
    *container = made;
    return 0;
}

/* ---- one container ---- */

const char *rill_container_name(const struct rill_container *container)
{
    return container->name;
}

pid_t rill_container_pid(const struct rill_container *container)
{
    return container->pid;
}

int rill_container_pidfd(const struct rill_container *container)
{
    return container->pidfd;
}

int rill_container_exit_fd(const struct rill_container *container)
{
    return container->monitor_pidfd;
}

int rill_container_signal(const struct rill_container *container, int signal_number)
{
    /* Where the program ended before its pidfd could be had, this is the monitor's. */
    return container->pid < 0 ? 0 : rill_pidfd_signal(container->pidfd, signal_number);
}

int rill_container_exit_status(const struct rill_container *container, int *wait_status)
{
    int started;

    if (!rill_pidfd_wait(container->pidfd, 0))
        return -EAGAIN;
    if (container->monitor_pidfd >= 0)
        rill_pidfd_wait(container->monitor_pidfd, KILL_MS);
    return read_exit(container, &started, wait_status);
}

int rill_container_stop(struct rill_container *container, uint32_t grace_ms, struct rill_error *err)
{
    int code = rill_container_signal(container, SIGTERM);

    if (code == 0 &&
        rill_pidfd_wait(container->pidfd, grace_ms > INT_MAX ? INT_MAX : (int)grace_ms))
        return 0;
    code = rill_container_signal(container, SIGKILL);
    if (code != 0)
        return rill_error_set(err, code, "%s: cannot kill it: %s", container->name,
                              strerror(-code));
    if (!rill_pidfd_wait(container->pidfd, KILL_MS))
        return rill_error_set(err, -ETIMEDOUT, "%s: does not end %d ms after SIGKILL",
                              container->name, KILL_MS);
    return 1;
}

int rill_container_destroy(struct rill_container *container, struct rill_error *err)
{
    int code = rill_container_stop(container, 0, err);

    /* What the monitor would tidy up is removed here anyway, and it takes longer: it moves itself
     * through the cgroups of every hierarchy. */
    if (container->monitor_pidfd >= 0)
        rill_pidfd_signal(container->monitor_pidfd, SIGKILL);
    if (code >= 0)
        code = rill_container_remove_remains(container->containers, container->name,
                                             container->monitor_pidfd, err);
    rill_container_release(container);
    return code;
}

void rill_container_release(struct rill_container *container)
{
    if (container == NULL)
        return;
    if (container->pidfd >= 0)
        close(container->pidfd);
    if (container->monitor_pidfd >= 0)
        close(container->monitor_pidfd);
    free(container);
}

/* ---- all of them ---- */

struct name_list {
    const struct rill_containers *containers;
    char (*names)[RILL_CONTAINER_NAME_MAX + 1];
    uint32_t count, room;
    bool full; /* no memory */
};

static void note_name(const char *name, void *arg)
{
    struct name_list *list = arg;

    if (!rill_container_name_valid(list->containers, name))
        return;
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0)
            return;
    if (list->count == list->room) {
        uint32_t room = list->room == 0 ? 16 : 2 * list->room;
        void *grown = realloc(list->names, room * sizeof(*list->names));

        if (grown == NULL) {
            list->full = true;
            return;
        }
        list->names = grown;
        list->room = room;
    }
    strcpy(list->names[list->count++], name);
}

/* The names of all of which anything is left: a folder or a cgroup. */
static int find_names(const struct rill_containers *containers, struct name_list *list)
{
    int fd = openat(containers->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int code;

    *list = (struct name_list){.containers = containers};
    if (dir == NULL)
        return -errno;
    while ((entry = readdir(dir)) != NULL)
        note_name(entry->d_name, list);
    closedir(dir);
    code = rill_cgroup_each(containers->prefix, note_name, list);
    if (code == 0 && list->full)
        code = -ENOMEM;
    if (code == 0 && list->count > 0)
        qsort(list->names, list->count, sizeof(*list->names),
              (int (*)(const void *, const void *))strcmp);
    return code;
}

/* A container that runs, or NULL: then what is left of it is to be removed with *monitor_pidfd. */
static struct rill_container *adopt_one(struct rill_containers *containers, const char *name,
                                        int *monitor_pidfd)
{
    struct rill_container *container;

    *monitor_pidfd = rill_monitor_open(containers, name);
    if (*monitor_pidfd < 0)
        return NULL;
    container = new_container(containers, name);
    if (container == NULL)
        return NULL;
    container->monitor_pidfd = *monitor_pidfd;
    /* The starter may have been killed while the monitor was at its first steps: it then ends, or
     * listens soon. */
    if (ask_pidfd(container, START_TRIES) == 0)
        return container;
    container->monitor_pidfd = -1;
    rill_container_release(container);
    return NULL;
}

int rill_containers_adopt(struct rill_containers *containers, struct rill_container ***list,
                          uint32_t *count, uint32_t *removed, struct rill_error *err)
{
    struct name_list names;
    uint32_t gone = 0;
    int code = find_names(containers, &names);

    *count = 0;
    *list = calloc(names.count + 1, sizeof(**list));
    if (code == 0 && *list == NULL)
        code = -ENOMEM;
    if (code != 0)
        rill_error_set(err, code, "cluster '%s': cannot list its containers: %s",
                       containers->cluster, strerror(-code));
    for (uint32_t i = 0; code == 0 && i < names.count; i++) {
        int monitor_pidfd;
        struct rill_container *one = adopt_one(containers, names.names[i], &monitor_pidfd);

        if (one != NULL) {
            (*list)[(*count)++] = one;
            continue;
        }
        if (monitor_pidfd >= 0)
            rill_pidfd_signal(monitor_pidfd, SIGKILL);
        code = rill_container_remove_remains(containers, names.names[i], monitor_pidfd, err);
        if (monitor_pidfd >= 0)
            close(monitor_pidfd);
        gone++;
    }
    free(names.names);
    if (removed != NULL)
        *removed = gone;
    return code;
}

int rill_containers_remove_all(struct rill_containers *containers, struct rill_error *err)
{
    struct name_list names;
    int code = find_names(containers, &names);

    if (code != 0)
        rill_error_set(err, code, "cluster '%s': cannot list its containers: %s",
                       containers->cluster, strerror(-code));
    for (uint32_t i = 0; i < names.count; i++) {
        int monitor_pidfd = rill_monitor_open(containers, names.names[i]), one;

        /* The program dies with its monitor. */
        if (monitor_pidfd >= 0)
            rill_pidfd_signal(monitor_pidfd, SIGKILL);
        one = rill_container_remove_remains(containers, names.names[i], monitor_pidfd,
                                            code == 0 ? err : NULL);
        if (monitor_pidfd >= 0)
            close(monitor_pidfd);
        code = code == 0 ? one : code;
    }
    free(names.names);
    return code;
}
