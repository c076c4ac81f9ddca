#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/place.h"

enum { NAMES_BYTES = 300 };

struct request {
    struct rill_place place; /* first: see place.h */
    const char *role;
};

static int take_role(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->role != NULL)
        return rill_error_set(err, -EINVAL, "one role at a time: '%s' is the second", text);
    r->role = text;
    return 0;
}

static const struct rill_arg table[] = {RILL_PLACE_ARGS, {0}};

static int help(void)
{
    puts("usage: rill logs ROLE [OPTION...]\n"
         "\n"
         "Prints what a role of the cluster wrote: rm, agent, unit-3, output-logger-4, "
         "controller-2.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

static int is_log(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);

    return bytes > 4 && strcmp(entry->d_name + bytes - 4, ".log") == 0;
}

/* "rm, agent, unit-3" of what is there, as far as there is room. */
static void list_logs(const char *folder, char names[NAMES_BYTES])
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_log, versionsort);
    size_t used = 0;

    names[0] = '\0';
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        int bytes = (int)strlen(name) - 4;

        if (used + (size_t)bytes + 8 < NAMES_BYTES)
            used += (size_t)sprintf(names + used, "%s%.*s", used > 0 ? ", " : "", bytes, name);
        else if (used + 6 < NAMES_BYTES && names[used - 1] != '.')
            used += (size_t)sprintf(names + used, ", ...");
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

/* Whatever an NF wrote must not disturb the terminal. */
static void print(FILE *in)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    while ((bytes = getline(&line, &room, in)) > 0) {
        if (line[bytes - 1] == '\n')
            line[bytes - 1] = '\0';
        rill_format_name(stdout, line);
        putchar('\n');
    }
    free(line);
}

/* What was moved aside when the log was full (lib/daemon/log_file.h). */
static void print_older(const char *path)
{
    char older[RILL_PLACE_PATH_BYTES + 82];
    FILE *in;

    snprintf(older, sizeof(older), "%s.1", path);
    in = fopen(older, "re");
    if (in == NULL)
        return;
    print(in);
    fclose(in);
}

/* "unit-3", and "unit:3" too: that is how commands name roles. */
static void file_name(const char *role, char *buf, size_t bytes)
{
    snprintf(buf, bytes, "%.60s", role);
    for (char *c = buf; *c != '\0'; c++)
        if (*c == ':')
            *c = '-';
}

static int logs(struct request *request, struct rill_error *err)
{
    struct rill_place *place = &request->place;
    char folder[RILL_PLACE_PATH_BYTES], path[RILL_PLACE_PATH_BYTES + 80], names[NAMES_BYTES];
    char name[64], command[RILL_PLACE_PATH_BYTES];
    FILE *in = NULL;
    int rc = rill_place_resolve(place, err);

    if (rc != 0)
        return rc;
    list_logs(rill_place_path(place, "logs", folder), names);
    if (names[0] == '\0')
        return rill_error_set(err, -ENOENT, "cluster '%s' is not up: %s", place->name,
                              rill_place_command(place, "up", command));
    if (request->role == NULL)
        return rill_error_set(err, -EINVAL, "which role? there are logs of %s", names);
    file_name(request->role, name, sizeof(name));
    snprintf(path, sizeof(path), "%s/%s.log", folder, name);
    if (strchr(name, '/') == NULL)
        in = fopen(path, "re");
    if (in == NULL)
        return rill_error_set(err, -ENOENT, "no log of '%.60s'; there are logs of %s",
                              request->role, names);
    print_older(path);
    print(in);
    fclose(in);
    return 0;
}

int rill_cmd_logs(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {.table = table, .target = &request, .positional = take_role};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = logs(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("logs", err.text);
}
