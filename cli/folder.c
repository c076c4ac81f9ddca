#include "cli/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char MARK[] = "cluster";
static const char LOGS[] = "logs";
static const char PROGRAMS[] = "programs";

/* What a cluster's folder holds. Containers enter some of them as a user who owns nothing there. */
static const struct {
    const char *name;
    mode_t mode;
} folders[] = {
    {"containers", 0755}, {"control", 0755}, {"links", 0711}, {"roles", 0711},
    {LOGS, 0755},         {PROGRAMS, 0755},  {"rm", 0700},    {"records", 0755},
};
/* The mark goes last: what is half removed is still known. */
static const char *const files[] = {"rm.sock", "rm.pid", "agent.pid", MARK};
static const char *const daemons[] = {"rill-rm", "rill-agent"};
static const char *const container_programs[] = {"rill-nf-runtime", "rill-output-logger",
                                                 "rill-controller"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* --- whose it is ----------------------------------------------------------------------------- */

/* Nothing in it, but for logs that were kept. */
static bool is_free(const char *path)
{
    DIR *folder = opendir(path);
    bool free_to_take = true;

    if (folder == NULL)
        return errno == ENOENT;
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, LOGS) != 0)
            free_to_take = false;
    closedir(folder);
    return free_to_take;
}

enum rill_folder_state rill_folder_state(const struct rill_place *place)
{
    char path[RILL_PLACE_PATH_BYTES], name[RILL_PLACE_NAME_MAX + 2] = "";
    FILE *in = fopen(rill_place_path(place, MARK, path), "re");

    if (in == NULL)
        return is_free(place->base) ? RILL_FOLDER_NONE : RILL_FOLDER_OTHER;
    if (fgets(name, sizeof(name), in) == NULL)
        name[0] = '\0';
    fclose(in);
    name[strcspn(name, "\n")] = '\0';
    return strcmp(name, place->name) == 0 ? RILL_FOLDER_CLUSTER : RILL_FOLDER_OTHER;
}

/* --- the lock -------------------------------------------------------------------------------- */

static const char *lock_path(const struct rill_place *place, char buf[RILL_PLACE_PATH_BYTES])
{
    snprintf(buf, RILL_PLACE_PATH_BYTES, "%s.lock", place->base);
    return buf;
}

/* Whether the file is still the one that stands there: its last holder may have removed it. */
static bool stands_there(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

static int make_parents(const struct rill_place *place, struct rill_error *err)
{
    char path[RILL_PLACE_BASE_MAX + 1];

    for (size_t i = 1; place->base[i] != '\0'; i++) {
        if (place->base[i] != '/')
            continue;
        snprintf(path, i + 1, "%s", place->base);
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return rill_error_set(err, -errno, "%s: can't be made: %s", path, strerror(errno));
    }
    return 0;
}

int rill_folder_lock(const struct rill_place *place, struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];
    int fd, rc = make_parents(place, err);

    if (rc != 0)
        return rc;
    lock_path(place, path);
    for (;;) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return rill_error_set(err, -errno, "%s: can't be made: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close(fd);
            return rill_error_set(err, -EBUSY,
                                  "cluster '%s' is being brought up or taken down by another "
                                  "`rill up` or `rill down`; wait for it",
                                  place->name);
        }
        if (stands_there(fd, path))
            return fd;
        close(fd);
    }
}

void rill_folder_unlock(const struct rill_place *place, int lock)
{
    char path[RILL_PLACE_PATH_BYTES];

    if (lock < 0)
        return;
    if (rill_folder_state(place) == RILL_FOLDER_NONE)
        unlink(lock_path(place, path));
    close(lock);
}

/* --- making ---------------------------------------------------------------------------------- */

int rill_folder_of_programs(char *buf, size_t bytes, struct rill_error *err)
{
    ssize_t n = readlink("/proc/self/exe", buf, bytes - 1);
    char *slash;

    buf[n > 0 ? n : 0] = '\0';
    slash = strrchr(buf, '/');
    if (slash == NULL)
        return rill_error_set(err, -EIO, "/proc/self/exe: can't be read: %s", strerror(errno));
    *slash = '\0';
    return 0;
}

/* Containers look all of it up as a user who owns none of it. */
static int check_entry(const struct rill_place *place, struct rill_error *err)
{
    char path[RILL_PLACE_BASE_MAX + 1];
    struct stat st;

    for (size_t i = 1;; i++) {
        if (place->base[i] != '/' && place->base[i] != '\0')
            continue;
        snprintf(path, i + 1, "%s", place->base);
        if (stat(path, &st) != 0)
            return rill_error_set(err, -errno, "%s: %s", path, strerror(errno));
        if (!S_ISDIR(st.st_mode))
            return rill_error_set(err, -ENOTDIR, "base %s: %s is no folder", place->base, path);
        if ((st.st_mode & S_IXOTH) == 0)
            return rill_error_set(err, -EACCES,
                                  "base %s: containers can't enter %s; chmod o+x it or choose "
                                  "another base",
                                  place->base, path);
        if (place->base[i] == '\0')
            return 0;
    }
}

static int make_mark(const struct rill_place *place, struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];
    FILE *out = fopen(rill_place_path(place, MARK, path), "we");
    bool failed;

    if (out == NULL)
        return rill_error_set(err, -errno, "%s: can't be written: %s", path, strerror(errno));
    failed = fprintf(out, "%s\n", place->name) < 0;
    failed |= fclose(out) != 0;
    return failed ? rill_error_set(err, -EIO, "%s: can't be written: %s", path, strerror(errno))
                  : 0;
}

static int copy_bytes(int from, int to)
{
    ssize_t n;

    do {
        n = sendfile(to, from, NULL, 1 << 30);
    } while (n > 0);
    return n == 0 ? 0 : -errno;
}

static int missing(const char *path, struct rill_error *err)
{
    return rill_error_set(err, -errno,
                          "%s: %s; rill's programs belong into one folder, build all of them", path,
                          strerror(errno));
}

static int check_daemons(const char *folder, struct rill_error *err)
{
    char path[PATH_MAX + 32];

    for (size_t i = 0; i < COUNT(daemons); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, daemons[i]);
        if (access(path, X_OK) != 0)
            return missing(path, err);
    }
    return 0;
}

static int copy_program(const char *folder, const char *name, const struct rill_place *place,
                        struct rill_error *err)
{
    char source[PATH_MAX + 32], relative[64], target[RILL_PLACE_PATH_BYTES];
    int from, to, rc;

    snprintf(source, sizeof(source), "%s/%s", folder, name);
    snprintf(relative, sizeof(relative), "%s/%s", PROGRAMS, name);
    rill_place_path(place, relative, target);
    from = open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return missing(source, err);
    to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    rc = to >= 0 ? copy_bytes(from, to) : -errno;
    close(from);
    if (to >= 0 && close(to) != 0 && rc == 0)
        rc = -errno;
    return rc == 0 ? 0 : rill_error_set(err, rc, "%s: can't be written: %s", target, strerror(-rc));
}

/* /run is often mounted so that no program may be run from it. */
static int allow_programs(const struct rill_place *place, struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];
    struct statvfs fs;

    rill_place_path(place, PROGRAMS, path);
    if (statvfs(path, &fs) != 0 || (fs.f_flag & ST_NOEXEC) == 0)
        return 0;
    if (mount("rill", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0)
        return 0;
    return rill_error_set(err, -errno,
                          "%s: programs can't be run from there (mounted noexec), and a tmpfs over "
                          "it can't be mounted: %s; choose another base",
                          path, strerror(errno));
}

/* A tree without mounts of others; the first thing that stayed is in `stayed`. */
static char stayed[PATH_MAX];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    if (remove(path) != 0 && errno != ENOENT && stayed[0] == '\0')
        snprintf(stayed, sizeof(stayed), "%s: %s", path, strerror(errno));
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int rill_folder_make(const struct rill_place *place, const char *programs, struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];
    int rc;

    rc = check_daemons(programs, err);
    if (rc != 0)
        return rc;
    if (mkdir(place->base, 0755) != 0 && errno != EEXIST)
        return rill_error_set(err, -errno, "%s: can't be made: %s", place->base, strerror(errno));
    rc = check_entry(place, err);
    if (rc == 0)
        rc = make_mark(place, err);
    stayed[0] = '\0';
    remove_tree(rill_place_path(place, LOGS, path)); /* kept from before */
    for (size_t i = 0; rc == 0 && i < COUNT(folders); i++) {
        rill_place_path(place, folders[i].name, path);
        if (mkdir(path, folders[i].mode) != 0)
            rc = rill_error_set(err, -errno, "%s: can't be made: %s", path, strerror(errno));
    }
    if (rc == 0)
        rc = allow_programs(place, err);
    for (size_t i = 0; rc == 0 && i < COUNT(container_programs); i++)
        rc = copy_program(programs, container_programs[i], place, err);
    return rc;
}

/* --- removing -------------------------------------------------------------------------------- */

int rill_folder_remove(const struct rill_place *place, bool keep_logs, struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];

    stayed[0] = '\0';
    umount2(rill_place_path(place, PROGRAMS, path), MNT_DETACH | UMOUNT_NOFOLLOW);
    for (size_t i = 0; i < COUNT(folders); i++)
        if (!keep_logs || strcmp(folders[i].name, LOGS) != 0)
            remove_tree(rill_place_path(place, folders[i].name, path));
    if (stayed[0] != '\0')
        return rill_error_set(err, -EBUSY, "%.400s", stayed);
    for (size_t i = 0; i < COUNT(files); i++)
        unlink(rill_place_path(place, files[i], path));
    if (!keep_logs && rmdir(place->base) != 0 && errno != ENOENT)
        return rill_error_set(err, -errno, "%s: %s", place->base, strerror(errno));
    return 0;
}

/* --- logs ------------------------------------------------------------------------------------ */

const char *rill_folder_last_line(const struct rill_place *place, const char *role,
                                  char buf[RILL_FOLDER_LINE_BYTES])
{
    char path[RILL_PLACE_PATH_BYTES], relative[80], line[RILL_FOLDER_LINE_BYTES];
    FILE *in;

    snprintf(relative, sizeof(relative), "%s/%.64s.log", LOGS, role);
    rill_place_path(place, relative, path);
    snprintf(buf, RILL_FOLDER_LINE_BYTES, "(no line in %s)", path);
    in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        for (char *c = line; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
        if (line[0] != '\0')
            snprintf(buf, RILL_FOLDER_LINE_BYTES, "%s", line);
    }
    if (in != NULL)
        fclose(in);
    return buf;
}
