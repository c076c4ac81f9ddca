#include <errno.h>
#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"

enum { ANSWER_MS = 60000 };

struct request {
    struct rill_place place; /* first: see place.h */
    const char *name;
};

static int take_name(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->name != NULL)
        return rill_error_set(err, -EINVAL, "one deployment at a time: '%s' is the second", text);
    r->name = text;
    return 0;
}

static const struct rill_arg table[] = {RILL_PLACE_ARGS, {0}};

static int help(void)
{
    puts("usage: rill undeploy NAME [OPTION...]\n"
         "\n"
         "Ends a deployment: its controller, its units and their output loggers stop. What they\n"
         "hold of flows is lost.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

static int undeploy(struct request *request, struct rill_error *err)
{
    Control__Undeploy body = CONTROL__UNDEPLOY__INIT;
    Control__Message m, *answer = NULL;
    struct rill_client *client = NULL;
    int rc = rill_place_resolve(&request->place, err);

    if (rc == 0 && request->name == NULL)
        rc = rill_error_set(err, -EINVAL, "which deployment? `rill status --cluster %s` lists them",
                            request->place.name);
    if (rc == 0)
        rc = rill_client_open(&request->place, &client, err);
    if (rc != 0)
        return rc;
    m = rill_client_message_to(client, 0);
    body.name = (char *)request->name;
    RILL_CONTROL_SET(&m, UNDEPLOY, undeploy, &body);
    rc = rill_client_ask(client, &m, ANSWER_MS, &answer, err);
    if (rc == 0)
        printf("%s: ended\n", request->name);
    rill_control_free(answer);
    rill_client_close(client);
    return rc;
}

int rill_cmd_undeploy(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {.table = table, .target = &request, .positional = take_name};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = undeploy(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("undeploy", err.text);
}
