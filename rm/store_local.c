/* A folder: a file for each record, replaced as a whole, and one for the number. It outlives the
 * process, not the machine's memory: after a reboot nothing of the cluster is left anyway. */
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

#include "rm/store_internal.h"

enum { RECORDS_MAX = RILL_DIRECTOR_DEPLOYMENTS_MAX + 8, BYTES_MAX = 64 << 20, NUMBER_BYTES = 24 };

static const char number_name[] = "number";
static const char part_name[] = ".part"; /* a record that is being written */

struct local {
    struct rill_store base;
    int folder;       /* open, and locked */
    uint64_t number;  /* 0: does not lead yet */
    uint64_t version; /* the newest that is kept ... */
    uint64_t told;    /* ... and that was told */
};

static struct local *local_of(struct rill_store *store)
{
    return (struct local *)store;
}

/* --- files ------------------------------------------------------------------------------------ */

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            bytes -= (size_t)n;
        }
    }
    return 0;
}

/* All of it or nothing. */
static int put(const struct local *l, const char *name, const void *data, size_t bytes)
{
    int fd = openat(l->folder, part_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 ? -errno : write_all(fd, data, bytes);

    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(l->folder, part_name, l->folder, name) != 0)
        rc = -errno;
    return rc;
}

/* The caller's to free; NULL: it is not there, or can't be read. */
static uint8_t *get(const struct local *l, const char *name, size_t *bytes)
{
    int fd = openat(l->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat what;
    uint8_t *data = NULL;
    ssize_t n = -1;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &what) == 0 && what.st_size <= BYTES_MAX)
        data = malloc((size_t)what.st_size + 1);
    if (data != NULL)
        n = read(fd, data, (size_t)what.st_size);
    close(fd);
    if (n < 0 || n != what.st_size) {
        free(data);
        return NULL;
    }
    data[n] = '\0';
    *bytes = (size_t)n;
    return data;
}

/* --- leading ---------------------------------------------------------------------------------- */

static void say(const struct local *l, const char *what, const char *name, int rc)
{
    char line[RILL_STORE_LINE_BYTES];

    snprintf(line, sizeof(line), "%s of what is kept can't be %s: %s; free some room", name, what,
             strerror(-rc));
    l->base.events.say(l->base.events.arg, line);
}

/* One more than the last; it is there before anybody hears of it. */
static bool take_number(struct local *l)
{
    char text[NUMBER_BYTES];
    size_t bytes;
    uint8_t *last = get(l, number_name, &bytes);
    uint64_t number = 1 + (last == NULL ? 0 : strtoull((const char *)last, NULL, 10));
    int rc;

    free(last);
    snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
    rc = put(l, number_name, text, strlen(text));
    if (rc != 0) {
        say(l, "written", number_name, rc);
        return false;
    }
    l->number = number;
    return true;
}

static uint32_t read_all(const struct local *l, struct rill_director_record *records,
                         char names[][RILL_STORE_NAME_MAX + 1])
{
    int fd = openat(l->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    uint32_t n = 0;

    while (dir != NULL && n < RECORDS_MAX && (entry = readdir(dir)) != NULL) {
        size_t bytes = 0;
        uint8_t *data;

        if (entry->d_name[0] == '.' || strcmp(entry->d_name, number_name) == 0 ||
            strlen(entry->d_name) > RILL_STORE_NAME_MAX)
            continue;
        data = get(l, entry->d_name, &bytes);
        if (data == NULL)
            continue;
        memcpy(names[n], entry->d_name, strlen(entry->d_name) + 1);
        records[n] = (struct rill_director_record){.name = names[n], .data = data, .bytes = bytes};
        n++;
    }
    if (dir != NULL)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return n;
}

static void lead(struct local *l)
{
    struct rill_director_record records[RECORDS_MAX];
    char names[RECORDS_MAX][RILL_STORE_NAME_MAX + 1];
    uint32_t count;

    if (!take_number(l)) {
        l->base.events.deposed(l->base.events.arg);
        return;
    }
    count = read_all(l, records, names);
    l->base.events.leads(l->base.events.arg, l->number, records, count);
    for (uint32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)records[i].data);
}

static void turn(struct rill_store *store)
{
    struct local *l = local_of(store);

    if (l->number == 0)
        lead(l);
    while (l->told != l->version) {
        l->told = l->version;
        store->events.saved(store->events.arg, l->told);
    }
}

/* --- keeping ---------------------------------------------------------------------------------- */

static void save(struct rill_store *store, uint64_t version, const char *name, const void *data,
                 size_t bytes)
{
    struct local *l = local_of(store);
    int rc;

    if (data == NULL) {
        unlinkat(l->folder, name, 0);
        return;
    }
    rc = put(l, name, data, bytes);
    if (rc != 0) /* what follows from it is not said; the next change tries again */
        say(l, "written", name, rc);
    else if (strncmp(name, RILL_DIRECTOR_DEPLOYMENT, strlen(RILL_DIRECTOR_DEPLOYMENT)) != 0)
        l->version = version;
}

static void end(struct rill_store *store)
{
    (void)store; /* there is nobody else, and `rill down` removes the folder */
}

static void state(const struct rill_store *store, struct rill_store_state *state)
{
    const struct local *l = (const struct local *)store;

    *state = (struct rill_store_state){.registry = "local", .number = l->number};
}

static void close_store(struct rill_store *store)
{
    struct local *l = local_of(store);

    close(l->folder);
    free(l);
}

int rill_store_open_local(const char *folder, const struct rill_store_events *events,
                          struct rill_store **result, struct rill_error *err)
{
    static const struct rill_store_ops ops = {
        .close = close_store, .turn = turn, .save = save, .end = end, .state = state};
    struct local *l = calloc(1, sizeof(*l));
    int rc;

    *result = NULL;
    if (l == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for what is kept");
    l->base = (struct rill_store){.ops = &ops, .events = *events};
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        rc = -errno;
        free(l);
        return rill_error_set(err, rc, "%s can't be made: %s", folder, strerror(-rc));
    }
    l->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->folder < 0 || flock(l->folder, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (l->folder >= 0)
            close(l->folder);
        free(l);
        return rill_error_set(
            err, rc, rc == -EBUSY ? "%s: another resource manager has it" : "%s can't be opened",
            folder);
    }
    *result = &l->base;
    return 0;
}
