#include "rm/leader_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 256, TARGET_BYTES = 64, SOCKET_PATH_MAX = 107 };

int rill_leader_path_prepare(const char *base, struct rill_error *err)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "%s/rm", base);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return rill_error_set(err, -errno, "%s can't be made: %s", path, strerror(errno));
    return 0;
}

int rill_leader_path_url(const char *base, uint64_t number, char *url, size_t bytes,
                         struct rill_error *err)
{
    int n = snprintf(url, bytes, "ipc://%s/rm/%" PRIu64 ".sock", base, number);

    if (n >= (int)bytes || n > SOCKET_PATH_MAX + (int)strlen("ipc://"))
        return rill_error_set(err, -ENAMETOOLONG, "%s: too long for a socket's path", base);
    return 0;
}

/* 0: the link leads nowhere that has a number. */
static uint64_t number_of(const char *link)
{
    char target[TARGET_BYTES];
    ssize_t n = readlink(link, target, sizeof(target) - 1);

    if (n < 0)
        return 0;
    target[n] = '\0';
    return strncmp(target, "rm/", 3) == 0 ? strtoull(target + 3, NULL, 10) : 0;
}

static void remove_others(const char *folder, uint64_t number)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *end = strchr(entry->d_name, '.');

        if (end != NULL && strcmp(end, ".sock") == 0 && strtoull(entry->d_name, NULL, 10) < number)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
}

static int point_to(const char *base, uint64_t number, struct rill_error *err)
{
    char link[PATH_BYTES], next[PATH_BYTES], target[TARGET_BYTES];

    snprintf(link, sizeof(link), "%s/rm.sock", base);
    snprintf(next, sizeof(next), "%s/rm/next", base);
    snprintf(target, sizeof(target), "rm/%" PRIu64 ".sock", number);
    if (number_of(link) > number)
        return rill_error_set(err, -ESTALE, "resource manager %" PRIu64 " leads", number_of(link));
    unlink(next);
    if (symlink(target, next) != 0 || rename(next, link) != 0)
        return rill_error_set(err, -errno, "%s can't be set: %s", link, strerror(errno));
    return 0;
}

int rill_leader_path_take(const char *base, uint64_t number, struct rill_error *err)
{
    char folder[PATH_BYTES], path[PATH_BYTES + 8];
    int lock, rc;

    snprintf(folder, sizeof(folder), "%s/rm", base);
    snprintf(path, sizeof(path), "%s/lock", folder);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) { /* held for a moment only */
        rc = rill_error_set(err, -errno, "%s: %s", path, strerror(errno));
        if (lock >= 0)
            close(lock);
        return rc;
    }
    rc = point_to(base, number, err);
    if (rc == 0)
        remove_others(folder, number);
    close(lock);
    return rc;
}
