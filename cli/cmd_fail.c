#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/fail.h"
#include "cli/managers.h"
#include "cli/process.h"

enum { ANSWER_MS = 10000, END_MS = 5000 };

struct request {
    struct rill_place place; /* first: see place.h */
    struct rill_fail fail;   /* kind 0: none was named */
    bool hang;
};

static int take_role(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->fail.kind != RILL_ROLE_NONE)
        return rill_error_set(err, -EINVAL, "one role at a time: '%.80s' is the second", text);
    return rill_fail_role(text, &r->fail, err);
}

static int take_hang(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct request *)target)->hang = true;
    return 0;
}

static const struct rill_arg table[] = {
    {"hang", NULL,
     "do not kill it, stop it (SIGSTOP): it is killed when its loop has stood still for the\n"
     "cluster's stall_ms (0: never)",
     false, NULL, take_hang},
    RILL_PLACE_ARGS,
    {0}};

static int help(void)
{
    puts("usage: rill fail ROLE:N [OPTION...]\n"
         "       rill fail rm|agent [OPTION...]\n"
         "\n"
         "Kills (SIGKILL) what runs in a cluster, to see what follows: unit:3, output-logger:2,\n"
         "controller:1, or unit-3 as `rill status` writes it; or, on this machine, the resource "
         "manager\n"
         "that leads or the node agent. `rill status` lists what failed and what has recovered.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

/* Of the resource managers the one that leads; if none does, the first. */
static bool find_daemon(const struct request *r, struct rill_process *process)
{
    char path[RILL_PLACE_PATH_BYTES];
    unsigned leading;

    if (r->fail.kind != RILL_ROLE_RM)
        return rill_process_find(process, rill_place_path(&r->place, "agent.pid", path));
    leading = rill_manager_leading(&r->place);
    return rill_manager_find(&r->place, leading == 0 ? 1 : leading, process);
}

/* A daemon of this machine, which no RM watches. */
static int fail_daemon(const struct request *r, struct rill_error *err)
{
    const char *name = rill_role_kind_name(r->fail.kind);
    bool is_rm = r->fail.kind == RILL_ROLE_RM;
    struct rill_process process;
    int rc = 0;

    if (r->hang && (!is_rm || rill_managers_count(&r->place) < 2))
        return rill_error_set(err, -EINVAL,
                              "--hang: nobody would notice that the %s hangs; units, output "
                              "loggers and controllers are watched, and a resource manager that "
                              "others stand by for",
                              name);
    if (!find_daemon(r, &process))
        return rill_error_set(err, -ESRCH, "the %s of cluster '%s' does not run here", name,
                              r->place.name);
    rill_process_signal(&process, r->hang ? SIGSTOP : SIGKILL);
    if (!r->hang && !rill_process_ended(&process, END_MS))
        rc = rill_error_set(err, -EIO, "the %s was not killed: not allowed (are you root?)", name);
    rill_process_close(&process);
    return rc;
}

static int fail_role(const struct request *r, struct rill_error *err)
{
    Control__Fail body = CONTROL__FAIL__INIT;
    Control__Message m, *answer = NULL;
    struct rill_client *client = NULL;
    int rc = rill_client_open(&r->place, &client, err);

    if (rc != 0)
        return rc;
    m = rill_client_message_to(client, 0);
    body.role = rill_role_id(r->fail.kind, r->fail.number);
    body.hang = r->hang;
    RILL_CONTROL_SET(&m, FAIL, fail, &body);
    rc = rill_client_ask(client, &m, ANSWER_MS, &answer, err);
    rill_control_free(answer);
    rill_client_close(client);
    return rc;
}

static int fail(struct request *r, struct rill_error *err)
{
    int rc = rill_place_resolve(&r->place, err);

    if (rc == 0 && r->fail.kind == RILL_ROLE_NONE)
        rc = rill_error_set(err, -EINVAL, "which role? `rill status` lists them");
    if (rc != 0)
        return rc;
    rc = r->fail.number == 0 ? fail_daemon(r, err) : fail_role(r, err);
    if (rc == 0)
        printf("%s: %s\n", r->fail.text, r->hang ? "stopped" : "killed");
    return rc;
}

int rill_cmd_fail(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {.table = table, .target = &request, .positional = take_role};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = fail(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("fail", err.text);
}
