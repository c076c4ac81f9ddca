/* A folder: each object is a file. A version is its content; a file that has not been touched is
 * not read again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/objects/objects_internal.h"

enum { PATH_BYTES = 1024, READ_TRIES = 5 };
/* A file that was written so short a time ago may be written again within the same tick of its
 * time stamp. */
#define FRESH_NS INT64_C(2000000000)

struct seen {
    struct seen *next;
    struct stat info;
    char name[RILL_OBJECT_NAME_MAX + 1];
    char version[RILL_OBJECT_VERSION_BYTES];
};

struct folder {
    struct rill_objects objects;
    char path[PATH_BYTES - RILL_OBJECT_NAME_MAX - 32];
    struct seen *seen;
};

static void path_of(const struct rill_objects *objects, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", ((const struct folder *)objects)->path, name);
}

static int64_t modified_ns(const struct stat *info)
{
    return info->st_mtim.tv_sec * INT64_C(1000000000) + info->st_mtim.tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           modified_ns(a) == modified_ns(b);
}

static bool is_fresh(const struct stat *info)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec - modified_ns(info) < FRESH_NS;
}

static int fail(const char *path, const char *why, int code, struct rill_error *err)
{
    return rill_error_set(err, code, "%.350s: %s", path, why);
}

/* Says what errno means for a path. */
static int failed(const char *path, struct rill_error *err)
{
    return fail(path, strerror(errno), errno == ENOENT ? -ENOENT : -EIO, err);
}

static int read_all(int fd, const char *path, const struct stat *info,
                    struct rill_objects_text *text, struct rill_error *err)
{
    size_t size = (size_t)info->st_size;

    if (!S_ISREG(info->st_mode))
        return fail(path, "is no file", -EIO, err);
    if (info->st_size > RILL_OBJECTS_TEXT_MAX)
        return fail(path, "has more than 64 MB; split it", -EIO, err);
    text->bytes = malloc(size + 1);
    if (text->bytes == NULL)
        return fail(path, "no memory for it", -ENOMEM, err);
    for (text->count = 0; text->count < size;) {
        ssize_t n = read(fd, text->bytes + text->count, size - text->count);

        if (n < 0 && errno != EINTR)
            return failed(path, err);
        if (n == 0)
            break; /* it was cut meanwhile */
        text->count += n > 0 ? (size_t)n : 0;
    }
    text->bytes[text->count] = '\0';
    return 0;
}

/* Reads it until nobody has written to it meanwhile. */
static int read_whole(const char *path, struct rill_objects_text *text, struct stat *info,
                      struct rill_error *err)
{
    int rc = 0;

    *text = (struct rill_objects_text){.bytes = NULL};
    for (int i = 0; i < READ_TRIES; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat after;

        if (fd < 0)
            return failed(path, err);
        rc = fstat(fd, info) == 0 ? read_all(fd, path, info, text, err) : failed(path, err);
        if (rc == 0 && fstat(fd, &after) != 0)
            rc = failed(path, err);
        close(fd);
        if (rc == 0 && is_same(info, &after)) {
            rill_objects_name_version(text->bytes, text->count, text->version);
            return 0;
        }
        free(text->bytes);
        *text = (struct rill_objects_text){.bytes = NULL};
        if (rc != 0)
            return rc;
    }
    return fail(path, "is being written all the time; write another file and rename it", -EIO, err);
}

int rill_objects_read_file(const char *path, struct rill_objects_text *text, struct rill_error *err)
{
    struct stat info;

    return read_whole(path, text, &info, err);
}

static struct seen *seen_of(struct folder *folder, const char *name)
{
    struct seen *s = folder->seen;

    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    return s;
}

static void note(struct folder *folder, const char *name, const struct stat *info,
                 const char *version)
{
    struct seen *s = seen_of(folder, name);

    if (s == NULL) {
        s = calloc(1, sizeof(*s));
        if (s == NULL)
            return; /* it is read again, that is all */
        snprintf(s->name, sizeof(s->name), "%s", name);
        s->next = folder->seen;
        folder->seen = s;
    }
    s->info = *info;
    snprintf(s->version, sizeof(s->version), "%s", version);
}

static int folder_get(struct rill_objects *objects, const char *name,
                      struct rill_objects_text *text, struct rill_error *err)
{
    char path[PATH_BYTES];
    struct stat info;
    int rc;

    path_of(objects, name, path);
    rc = read_whole(path, text, &info, err);
    if (rc == 0)
        note((struct folder *)objects, name, &info, text->version);
    return rc;
}

static int folder_version(struct rill_objects *objects, const char *name, char *version,
                          struct rill_error *err)
{
    const struct seen *s = seen_of((struct folder *)objects, name);
    struct rill_objects_text text;
    char path[PATH_BYTES];
    struct stat info;
    int rc;

    path_of(objects, name, path);
    if (stat(path, &info) != 0)
        return failed(path, err);
    if (s != NULL && is_same(&s->info, &info) && !is_fresh(&info)) {
        snprintf(version, RILL_OBJECT_VERSION_BYTES, "%s", s->version);
        return 0;
    }
    rc = folder_get(objects, name, &text, err);
    if (rc == 0)
        snprintf(version, RILL_OBJECT_VERSION_BYTES, "%s", text.version);
    free(text.bytes);
    return rc;
}

static int write_all(const char *path, const char *bytes, size_t count, struct rill_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int rc = 0;

    if (fd < 0)
        return failed(path, err);
    for (size_t at = 0; rc == 0 && at < count;) {
        ssize_t n = write(fd, bytes + at, count - at);

        if (n < 0 && errno != EINTR)
            rc = failed(path, err);
        at += n > 0 ? (size_t)n : 0;
    }
    if (rc == 0 && fsync(fd) != 0)
        rc = failed(path, err);
    if (close(fd) != 0 && rc == 0)
        rc = failed(path, err);
    return rc;
}

static int folder_put(struct rill_objects *objects, const char *name, const char *bytes,
                      size_t count, const char *version, struct rill_error *err)
{
    char path[PATH_BYTES], beside[PATH_BYTES + 32];
    int rc;

    (void)version;
    path_of(objects, name, path);
    snprintf(beside, sizeof(beside), "%s/.%s.%ld", ((struct folder *)objects)->path, name,
             (long)getpid());
    rc = write_all(beside, bytes, count, err);
    if (rc == 0 && rename(beside, path) != 0)
        rc = failed(path, err);
    if (rc != 0)
        unlink(beside);
    return rc;
}

static int list_names(struct rill_objects *objects, struct objects_names *names,
                      struct rill_error *err)
{
    const char *path = ((struct folder *)objects)->path;
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return failed(path, err);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        struct stat info;

        if (rill_object_name_is_plain(entry->d_name) &&
            fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && S_ISREG(info.st_mode))
            rc = objects_names_add(names, entry->d_name);
    }
    closedir(dir);
    return rc == 0 ? 0 : fail(path, "no memory for its names", rc, err);
}

static int folder_list(struct rill_objects *objects,
                       void (*each)(void *arg, const char *name, const char *version, size_t bytes),
                       void *arg, struct rill_error *err)
{
    struct objects_names names = {0};
    int rc = list_names(objects, &names, err);

    objects_names_sort(&names);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        struct rill_objects_text text;

        rc = folder_get(objects, names.at[i], &text, err);
        if (rc == 0)
            each(arg, names.at[i], text.version, text.count);
        else if (rc == -ENOENT)
            rc = 0; /* it went meanwhile */
        free(text.bytes);
    }
    free(names.at);
    return rc;
}

static void folder_close(struct rill_objects *objects)
{
    struct folder *folder = (struct folder *)objects;

    while (folder->seen != NULL) {
        struct seen *s = folder->seen;

        folder->seen = s->next;
        free(s);
    }
    free(folder);
}

static const struct objects_ops folder_ops = {.version = folder_version,
                                              .get = folder_get,
                                              .put = folder_put,
                                              .list = folder_list,
                                              .close = folder_close};

struct rill_objects *objects_folder_open(const char *path, struct rill_error *err)
{
    struct folder *folder;

    if (path[0] == '\0' || strlen(path) >= sizeof(folder->path) || strstr(path, "://") != NULL) {
        rill_error_set(err, -EINVAL,
                       "'%.200s' is no configuration store: it is a folder, "
                       "redis://HOST:PORT[/PREFIX] or redis+unix:/PATH[:PREFIX]",
                       path);
        return NULL;
    }
    folder = calloc(1, sizeof(*folder));
    if (folder == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for the configuration store");
        return NULL;
    }
    folder->objects.ops = &folder_ops;
    snprintf(folder->path, sizeof(folder->path), "%s", path);
    return &folder->objects;
}
