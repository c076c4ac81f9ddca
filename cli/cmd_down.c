#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/managers.h"
#include "cli/process.h"
#include "cli/teardown.h"

enum { SHUTDOWN_MS = 10000, END_MS = 5000 };

struct request {
    struct rill_place place; /* first: see place.h */
    bool keep_logs;
};

static int take_keep_logs(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct request *)target)->keep_logs = true;
    return 0;
}

static const struct rill_arg table[] = {
    RILL_PLACE_ARGS,
    {"keep-logs", NULL, "leave the folder BASE/logs there", false, NULL, take_keep_logs},
    {0},
};

static int help(void)
{
    puts("usage: rill down [OPTION...]\n"
         "\n"
         "Takes a cluster down: deployments, containers and daemons end, its files are removed.\n"
         "Also cleans up after a cluster whose daemons have died or hang, and says so.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

/* True if all ended by itself: the RM answered, all daemons are gone, and no container is left. */
static bool ask_to_end(const struct rill_place *place, struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];
    Control__Shutdown body = CONTROL__SHUTDOWN__INIT;
    Control__Message m, *answer = NULL;
    struct rill_process rms[RILL_MANAGERS_MAX], agent;
    struct rill_client *client;
    bool ended;
    int rc;

    /* Looked up first: afterwards they are gone, whoever has their pids then. */
    for (unsigned i = 0; i < RILL_MANAGERS_MAX; i++)
        rill_manager_find(place, i + 1, &rms[i]);
    rill_process_find(&agent, rill_place_path(place, "agent.pid", path));
    rc = rill_client_open(place, &client, err);
    if (rc == 0) {
        m = rill_client_message_to(client, 0);
        RILL_CONTROL_SET(&m, SHUTDOWN, shutdown, &body);
        rc = rill_client_ask(client, &m, SHUTDOWN_MS, &answer, err);
        rill_control_free(answer);
        rill_client_close(client);
    }
    if (rc == -ENOENT)
        rill_error_set(err, rc, "its resource manager is gone");
    ended = rc == 0 && rill_process_ended(&agent, END_MS);
    for (unsigned i = 0; i < RILL_MANAGERS_MAX; i++)
        ended = ended && rill_process_ended(&rms[i], END_MS);
    if (rc == 0 && !ended) {
        rill_error_set(err, -EIO, "its daemons did not end");
    } else if (ended && rill_teardown_containers(place) > 0) {
        rill_error_set(err, -EIO, "its agent was gone");
        ended = false;
    }
    for (unsigned i = 0; i < RILL_MANAGERS_MAX; i++)
        rill_process_close(&rms[i]);
    rill_process_close(&agent);
    return ended;
}

static void say_what_was_done(const struct rill_place *place, const struct rill_error *why,
                              const struct rill_teardown *did)
{
    printf("cluster '%s' did not end by itself (%s): ", place->name, why->text);
    if (did->killed > 0)
        printf("%u daemon%s killed, ", did->killed, did->killed == 1 ? "" : "s");
    printf("%u container%s and its files removed\n", did->containers,
           did->containers == 1 ? "" : "s");
}

static int take_down(const struct request *request, struct rill_error *err)
{
    const struct rill_place *place = &request->place;
    struct rill_teardown did;
    struct rill_error why = {""};
    bool ended = ask_to_end(place, &why);
    int rc = ended ? rill_folder_remove(place, request->keep_logs, err)
                   : rill_teardown(place, request->keep_logs, &did, err);

    if (rc == 0 && ended)
        printf("cluster '%s' is down\n", place->name);
    else if (rc == 0)
        say_what_was_done(place, &why, &did);
    return rc;
}

static int down(struct request *request, struct rill_error *err)
{
    struct rill_place *place = &request->place;
    int lock, rc = rill_place_resolve(place, err);

    if (rc != 0)
        return rc;
    switch (rill_folder_state(place)) {
    case RILL_FOLDER_NONE:
        return rill_error_set(err, -ENOENT, "cluster '%s' is not up", place->name);
    case RILL_FOLDER_OTHER:
        return rill_error_set(err, -EINVAL, "%s: not the folder of a cluster '%s'", place->base,
                              place->name);
    default:
        break;
    }
    if (geteuid() != 0)
        return rill_error_set(err, -EPERM, "needs root: the cluster is root's");
    lock = rill_folder_lock(place, err);
    if (lock < 0)
        return lock;
    rc = take_down(request, err);
    rill_folder_unlock(place, lock);
    return rc;
}

int rill_cmd_down(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {.table = table, .target = &request};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = down(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("down", err.text);
}
