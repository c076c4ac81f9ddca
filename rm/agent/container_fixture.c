#include "rm/agent/container_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rm/agent/remove_tree.h"

uint64_t fixture_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Where containers have to work, RILL_NEEDS_CONTAINERS=1 makes a skip a failure: else a fault of
 * ours that hits every start would look like a machine without liblxc. */
static void skip(const char *why)
{
    const char *needed = getenv("RILL_NEEDS_CONTAINERS");

    fprintf(stderr, "SKIPPED, NOTHING WAS TESTED: %s\n", why);
    exit(needed != NULL && strcmp(needed, "1") == 0 ? 1 : FIXTURE_SKIPPED);
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

void fixture_copy(const struct fixture *fixture, const char *program, const char *name)
{
    char from[4096], to[160];
    ssize_t length = readlink("/proc/self/exe", from, sizeof(from) - 64);
    struct stat info;
    int in, out;

    if (length < 0)
        fail("/proc/self/exe");
    from[length] = '\0';
    snprintf(strrchr(from, '/'), 64, "/%s", program);
    snprintf(to, sizeof(to), "%s/%s", fixture->programs, name);
    in = open(from, O_RDONLY | O_CLOEXEC);
    out = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    if (in < 0 || out < 0 || fstat(in, &info) != 0)
        fail(from);
    for (off_t done = 0; done < info.st_size;)
        if (sendfile(out, in, &done, (size_t)(info.st_size - done)) <= 0)
            fail(to);
    close(in);
    close(out);
}

void fixture_open(struct fixture *fixture)
{
    struct rill_container *container;
    struct rill_error err = {.text = ""};
    int code;

    if (geteuid() != 0)
        skip("no root");
    memset(fixture, 0, sizeof(*fixture));
    fixture->uid = FIXTURE_UID_BASE + (uint32_t)getpid();
    snprintf(fixture->cluster, sizeof(fixture->cluster), "t%d", (int)getpid());
    snprintf(fixture->base, sizeof(fixture->base), "/run/rill-test-%d", (int)getpid());
    snprintf(fixture->run, sizeof(fixture->run), "%s/run", fixture->base);
    snprintf(fixture->programs, sizeof(fixture->programs), "%s/programs", fixture->base);
    snprintf(fixture->shared, sizeof(fixture->shared), "%s/shared", fixture->base);
    if (mkdir(fixture->base, 0755) != 0)
        skip("/run is not writable");
    if (mkdir(fixture->programs, 0755) != 0 || mkdir(fixture->shared, 0700) != 0 ||
        chown(fixture->shared, fixture->uid, fixture->uid) != 0)
        fail(fixture->base);
    fixture_copy(fixture, "container_probe", "container_probe");
    code = rill_containers_open(fixture->cluster, fixture->run, &fixture->containers, &err);
    if (code == 0)
        code =
            fixture_start(fixture, "trial", FIXTURE_ARGV((char *)"ignore"), &container, NULL, &err);
    if (code != 0) {
        fixture_close(fixture);
        skip(err.text);
    }
    if (rill_container_destroy(container, &err) != 0)
        fail(err.text);
}

void fixture_close(struct fixture *fixture)
{
    char locks[128];

    rill_containers_close(fixture->containers);
    rill_remove_tree(fixture->programs, NULL);
    rmdir(fixture->shared);
    rmdir(fixture->base);
    /* Where liblxc kept its locks: these two have this process's number in their names. */
    snprintf(locks, sizeof(locks), "/run/lxc/lock%s", fixture->run);
    rmdir(locks);
    snprintf(locks, sizeof(locks), "/run/lxc/lock%s", fixture->base);
    rmdir(locks);
}

int fixture_start(struct fixture *fixture, const char *name, char *const *argv,
                  struct rill_container **container, int *output_fd, struct rill_error *err)
{
    return fixture_start_as(fixture, name, argv, false, container, output_fd, err);
}

int fixture_start_as(struct fixture *fixture, const char *name, char *const *argv,
                     bool host_network, struct rill_container **container, int *output_fd,
                     struct rill_error *err)
{
    char full[RILL_CONTAINER_NAME_MAX + 1];
    struct rill_container_mount mounts[] = {
        {.host = fixture->programs, .inside = "/opt/rill"},
        {.host = fixture->shared, .inside = "/run/sockets", .writable = true},
    };
    /* A sanitizer's search for leaks wants ptrace, which is not allowed inside. */
    char *env[] = {(char *)"GREETING=hello world", (char *)"ASAN_OPTIONS=detect_leaks=0", NULL};
    struct rill_container_spec spec = {
        .name = full,
        .argv = argv,
        .env = env,
        .mounts = mounts,
        .mount_count = 2,
        .cpus = "0",
        .memory_bytes = 160 << 20,
        .uid_base = host_network ? 0 : fixture->uid,
        .host_network = host_network,
        .output_fd = -1,
    };
    int pipe_fds[2] = {-1, -1}, code;

    snprintf(full, sizeof(full), "rill-%s-%s", fixture->cluster, name);
    if (output_fd != NULL && pipe2(pipe_fds, O_CLOEXEC) != 0)
        return rill_error_set(err, -errno, "pipe");
    spec.output_fd = pipe_fds[1];
    code = rill_container_start(fixture->containers, &spec, container, err);
    if (pipe_fds[1] >= 0)
        close(pipe_fds[1]);
    if (output_fd != NULL)
        *output_fd = pipe_fds[0];
    if (code != 0 && pipe_fds[0] >= 0)
        close(pipe_fds[0]);
    return code;
}

size_t fixture_read(int output_fd, char *text, size_t size)
{
    size_t used = 0;
    ssize_t length;

    text[0] = '\0';
    while (used < size - 1 && (length = read(output_fd, text + used, size - 1 - used)) > 0) {
        used += (size_t)length;
        text[used] = '\0';
        if (used >= 5 && strcmp(text + used - 5, "\nend\n") == 0)
            break;
    }
    close(output_fd);
    return used;
}

uint64_t fixture_number(const char *text, const char *name)
{
    char wanted[64];
    const char *found;

    snprintf(wanted, sizeof(wanted), "%s=", name);
    found = strstr(text, wanted);
    return found == NULL ? 0 : strtoull(found + strlen(wanted), NULL, 10);
}

/* ---- what is left on the machine ---- */

int fixture_entries(const char *path, const char *prefix)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* Of the mounts: those that name our folder; and the cgroups of our name in each hierarchy. */
static void look_at_mounts(const struct fixture *fixture, const char *cluster,
                           struct remains *remains)
{
    char line[4096], path[1024], type[64], prefix[64];
    FILE *file = fopen("/proc/self/mounts", "r");

    if (file == NULL)
        fail("/proc/self/mounts");
    snprintf(prefix, sizeof(prefix), "rill-%s-", cluster);
    while (fgets(line, sizeof(line), file) != NULL) {
        remains->mounts += strstr(line, fixture->base) != NULL;
        if (sscanf(line, "%*s %1023s %63s", path, type) == 2 && strncmp(type, "cgroup", 6) == 0)
            remains->cgroups += fixture_entries(path, prefix);
    }
    fclose(file);
}

/* Has it something of ours open? A monitor has the cluster's folder, from its fork on. */
static bool has_ours_open(const struct fixture *fixture, int pid)
{
    char path[320], target[1024];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    dir = opendir(path);
    while (!found && dir != NULL && (entry = readdir(dir)) != NULL) {
        memset(target, 0, sizeof(target));
        snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
        found = readlink(path, target, sizeof(target) - 1) > 0 &&
                strncmp(target, fixture->base, strlen(fixture->base)) == 0;
    }
    if (dir != NULL)
        closedir(dir);
    return found;
}

/* Monitors, and programs that run as the uid that this test gives them. A zombie has no exe: it
 * ended, and waits for the machine's process 1. */
static void look_at_processes(const struct fixture *fixture, struct remains *remains)
{
    char path[64], exe[1024];
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    struct stat info;

    if (dir == NULL)
        fail("/proc");
    while ((entry = readdir(dir)) != NULL) {
        int pid = atoi(entry->d_name);

        snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        if (pid <= 0 || pid == getpid() || readlink(path, exe, sizeof(exe)) <= 0)
            continue;
        remains->monitors += has_ours_open(fixture, pid);
        snprintf(path, sizeof(path), "/proc/%d", pid);
        remains->processes += stat(path, &info) == 0 && info.st_uid == fixture->uid;
    }
    closedir(dir);
}

struct remains fixture_look(const struct fixture *fixture, const char *cluster)
{
    struct remains remains = {.descriptors = fixture_entries("/proc/self/fd", "")};

    look_at_mounts(fixture, cluster, &remains);
    look_at_processes(fixture, &remains);
    return remains;
}
