/* What units have recorded: each has a file in the cluster's folder, whose first line says of which
 * deployment it is (nf-runtime/unit_records.c). */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/place.h"

struct request {
    struct rill_place place; /* first: see place.h */
    const char *deployment;  /* NULL: all */
    bool follow;
};

/* A unit's file, and how much of it was printed. */
struct recorded {
    char *name;
    long at;
    enum { HEAD_UNREAD, IS_OURS, IS_ANOTHERS } whose;
};

struct reader {
    const struct request *request;
    char folder[RILL_PLACE_PATH_BYTES];
    struct recorded *files;
    size_t count;
};

static int take_deployment(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->deployment != NULL)
        return rill_error_set(err, -EINVAL, "one deployment at a time: '%.100s' is the second",
                              text);
    r->deployment = text;
    return 0;
}

static int take_follow(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    (void)text;
    (void)err;
    r->follow = true;
    return 0;
}

static const struct rill_arg table[] = {
    RILL_PLACE_ARGS,
    {"follow", NULL, "goes on with what is recorded from now on, until the cluster goes down",
     false, NULL, take_follow},
    {0}};

static int help(void)
{
    puts("usage: rill records [DEPLOYMENT] [--follow] [OPTION...]\n"
         "\n"
         "Prints what the units of a deployment, or of all, have recorded: lines of JSON, unit "
         "after\n"
         "unit. Those of units that have ended are there until the cluster is taken down.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

/* True if the unit's first line says that it is of the deployment. */
static bool is_of(const char *line, const char *deployment)
{
    static const char before[] = "{\"event_type\": \"unit\", \"deployment\": \"";
    size_t bytes = strlen(before), name = deployment != NULL ? strlen(deployment) : 0;

    if (strncmp(line, before, bytes) != 0)
        return false; /* it has not been activated yet */
    return deployment == NULL ||
           (strncmp(line + bytes, deployment, name) == 0 && line[bytes + name] == '"');
}

/* The rest of a file, as far as it has whole lines: the last one may still be being written. What
 * an NF wrote must not disturb the terminal. */
static void print_rest(struct recorded *file, FILE *in, const char *deployment)
{
    char *line = NULL;
    size_t room = 0;

    while (file->whose != IS_ANOTHERS) {
        ssize_t bytes = getline(&line, &room, in);

        if (bytes <= 0 || line[bytes - 1] != '\n')
            break;
        line[bytes - 1] = '\0';
        file->at += bytes;
        if (file->whose == HEAD_UNREAD) {
            file->whose = is_of(line, deployment) ? IS_OURS : IS_ANOTHERS;
            continue;
        }
        rill_format_name(stdout, line);
        putchar('\n');
    }
    free(line);
}

static void print_file(const struct reader *reader, struct recorded *file)
{
    char path[RILL_PLACE_PATH_BYTES + NAME_MAX + 2];
    FILE *in;

    snprintf(path, sizeof(path), "%s/%s", reader->folder, file->name);
    in = fopen(path, "re");
    if (in == NULL)
        return;
    if (fseek(in, file->at, SEEK_SET) == 0)
        print_rest(file, in, reader->request->deployment);
    fclose(in);
}

static int is_records(const struct dirent *entry)
{
    return strstr(entry->d_name, ".jsonl") != NULL;
}

/* The one of that name; NULL: no memory. */
static struct recorded *file_named(struct reader *reader, const char *name)
{
    struct recorded *grown;

    for (size_t i = 0; i < reader->count; i++)
        if (strcmp(reader->files[i].name, name) == 0)
            return &reader->files[i];
    grown = realloc(reader->files, (reader->count + 1) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    reader->files = grown;
    grown[reader->count] = (struct recorded){.name = strdup(name)};
    return grown[reader->count].name != NULL ? &grown[reader->count++] : NULL;
}

/* Of all units, what was not printed yet. */
static int print_new(struct reader *reader, struct rill_error *err)
{
    struct dirent **entries;
    int n = scandir(reader->folder, &entries, is_records, versionsort), rc = n < 0 ? -errno : 0;

    for (int i = 0; i < n; i++) {
        struct recorded *file = file_named(reader, entries[i]->d_name);

        if (file != NULL)
            print_file(reader, file);
        else
            rc = rill_error_set(err, -ENOMEM, "no memory");
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    fflush(stdout);
    return rc;
}

/* Until something may have been recorded. False: the folder is gone, and so is the cluster. */
static bool wait_for_more(int watch)
{
    union {
        struct inotify_event event;
        char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } events;
    ssize_t n = read(watch, &events, sizeof(events)), at = 0;

    while (at < n) {
        const struct inotify_event *event = (const void *)&events.bytes[at];

        if (event->mask & (IN_DELETE_SELF | IN_IGNORED))
            return false;
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return n > 0;
}

static int follow(struct reader *reader, int watch, struct rill_error *err)
{
    int rc = 0;

    while (rc == 0 && wait_for_more(watch))
        rc = print_new(reader, err);
    return rc == -ENOENT ? 0 : rc; /* the cluster is gone */
}

static bool any_of_ours(const struct reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        if (reader->files[i].whose == IS_OURS)
            return true;
    return reader->request->deployment == NULL;
}

static int read_all(struct reader *reader, struct rill_error *err)
{
    const struct rill_place *place = &reader->request->place;
    int watch = inotify_init1(IN_CLOEXEC),
        rc; /* before the first look, so that nothing is missed */
    char command[RILL_PLACE_PATH_BYTES];

    if (watch < 0 || inotify_add_watch(watch, rill_place_path(place, "records", reader->folder),
                                       IN_CREATE | IN_MODIFY | IN_DELETE_SELF) < 0)
        rc = -errno;
    else
        rc = print_new(reader, err);
    if (rc == -ENOENT)
        rill_error_set(err, rc, "cluster '%s' is not up: %s", place->name,
                       rill_place_command(place, "up", command));
    else if (rc != 0 && err->text[0] == '\0')
        rill_error_set(err, rc, "%s: %s", reader->folder, strerror(-rc));
    if (rc == 0 && reader->request->follow)
        rc = follow(reader, watch, err);
    else if (rc == 0 && !any_of_ours(reader))
        rc = rill_error_set(err, -ENOENT, "no unit of a deployment '%.100s' has been here",
                            reader->request->deployment);
    if (watch >= 0)
        close(watch);
    return rc;
}

static int records(struct request *request, struct rill_error *err)
{
    struct reader reader = {.request = request};
    int rc = rill_place_resolve(&request->place, err);

    if (rc == 0)
        rc = read_all(&reader, err);
    for (size_t i = 0; i < reader.count; i++)
        free(reader.files[i].name);
    free(reader.files);
    return rc;
}

int rill_cmd_records(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {
        .table = table, .target = &request, .positional = take_deployment};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = records(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("records", err.text);
}
