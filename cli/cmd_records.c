/* What units have recorded: each has a file in the cluster's folder, whose first line says of which
 * deployment it is (nf-runtime/unit_records.c). */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/place.h"

struct request {
    struct rill_place place; /* first: see place.h */
    const char *deployment;  /* NULL: all */
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

static const struct rill_arg table[] = {RILL_PLACE_ARGS, {0}};

static int help(void)
{
    puts("usage: rill records [DEPLOYMENT] [OPTION...]\n"
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

/* Whatever an NF wrote must not disturb the terminal; what is not a whole line is still being
 * written. True if the file is of the deployment. */
static bool print_file(const char *path, const char *deployment)
{
    FILE *in = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    bool is_first = true, ours = true;

    while (in != NULL && ours) {
        ssize_t bytes = getline(&line, &room, in);

        if (bytes <= 0 || line[bytes - 1] != '\n')
            break;
        line[bytes - 1] = '\0';
        ours = !is_first || is_of(line, deployment);
        if (!is_first) {
            rill_format_name(stdout, line);
            putchar('\n');
        }
        is_first = false;
    }
    free(line);
    if (in != NULL)
        fclose(in);
    return ours && !is_first;
}

static int is_records(const struct dirent *entry)
{
    return strstr(entry->d_name, ".jsonl") != NULL;
}

static int records(struct request *request, struct rill_error *err)
{
    struct rill_place *place = &request->place;
    char folder[RILL_PLACE_PATH_BYTES], path[RILL_PLACE_PATH_BYTES + 300];
    char command[RILL_PLACE_PATH_BYTES];
    struct dirent **entries;
    bool any = false;
    int rc = rill_place_resolve(place, err), n;

    if (rc != 0)
        return rc;
    n = scandir(rill_place_path(place, "records", folder), &entries, is_records, versionsort);
    if (n < 0)
        return rill_error_set(err, -ENOENT, "cluster '%s' is not up: %s", place->name,
                              rill_place_command(place, "up", command));
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        any |= print_file(path, request->deployment);
        free(entries[i]);
    }
    free(entries);
    if (any || request->deployment == NULL)
        return 0;
    return rill_error_set(err, -ENOENT, "no unit of a deployment '%.100s' has been here",
                          request->deployment);
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
