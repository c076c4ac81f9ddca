#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cluster_settings.h"
#include "cli/commands.h"
#include "cli/daemons.h"
#include "cli/folder.h"
#include "cli/format.h"
#include "cli/teardown.h"
#include "lib/base/role.h"

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

/* What was started must not stay behind half-way. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* --- arguments ------------------------------------------------------------------------------- */

static int take_set(void *target, const char *value, struct rill_error *err)
{
    struct rill_cluster_request *r = target;

    return rill_args_add_pair(&r->sets, &r->set_count, "", value, err);
}

static int take_file(void *target, const char *text, struct rill_error *err)
{
    struct rill_cluster_request *r = target;

    if (r->file != NULL)
        return rill_error_set(err, -EINVAL, "one cluster file at a time: '%s' is the second", text);
    r->file = text;
    return 0;
}

static const struct rill_arg table[] = {
    RILL_PLACE_ARGS,
    {"set", "NAME=VALUE", "one of the settings below; may be given again", true, NULL, take_set},
    {0},
};

static int help(void)
{
    struct rill_config *config = rill_config_create(rill_cluster_schema, NULL);

    puts(
        "usage: rill up [FILE] [OPTION...]\n"
        "\n"
        "Brings a cluster up on this machine: starts the resource manager and the node agent, and\n"
        "waits until its warm containers are there. Needs root and liblxc. FILE is a cluster file\n"
        "(YAML): `cluster:`, and below it lines of NAME: VALUE.\n");
    rill_args_help(table, stdout);
    puts("\nSettings, in the file or after --set:\n");
    if (config != NULL)
        rill_config_print(config, stdout);
    rill_config_destroy(config);
    return RILL_EXIT_DONE;
}

/* --- what it shows --------------------------------------------------------------------------- */

struct slowest {
    uint64_t start_ns, ready_ns;
    unsigned units, output_loggers, controllers;
};

static struct slowest look_at_warm(const Control__Status *status)
{
    struct slowest s = {0};

    for (size_t i = 0; i < status->n_roles; i++) {
        const Control__Role *role = status->roles[i];

        s.start_ns = role->start_ns > s.start_ns ? role->start_ns : s.start_ns;
        s.ready_ns = role->ready_ns > s.ready_ns ? role->ready_ns : s.ready_ns;
        s.units += rill_role_kind(role->role) == RILL_ROLE_UNIT;
        s.output_loggers += rill_role_kind(role->role) == RILL_ROLE_OUTPUT_LOGGER;
        s.controllers += rill_role_kind(role->role) == RILL_ROLE_CONTROLLER;
    }
    return s;
}

static void show(const struct rill_place *place, const Control__Status *status)
{
    const Control__Machine *machine = status->machines[0];
    struct slowest warm = look_at_warm(status);
    char time[2][RILL_FORMAT_BYTES], command[2][RILL_PLACE_PATH_BYTES];

    printf("cluster '%s' is up at %s\n", place->name, place->base);
    printf("machine    %s: %u processor%s, %.1f GB\n", machine->name, machine->cpus,
           machine->cpus == 1 ? "" : "s", (double)machine->memory_bytes / 1e9);
    if (strcmp(status->registry, "local") != 0)
        printf("registry   %s; 1 resource manager leads, %u stand%s by\n", status->registry,
               status->standbys, status->standbys == 1 ? "s" : "");
    if (status->n_roles > 0)
        printf("warm       units %u, output loggers %u, controllers %u; at most %s until a "
               "container runs, %s more until DPDK is ready\n",
               warm.units, warm.output_loggers, warm.controllers,
               rill_format_ns(time[0], warm.start_ns), rill_format_ns(time[1], warm.ready_ns));
    if (!machine->hugepages)
        puts("memory     no hugepages, and none needed: frames between containers are copied");
    printf("next       %s\n           %s\n", rill_place_command(place, "deploy nat", command[0]),
           rill_place_command(place, "status", command[1]));
}

/* --- bringing it up -------------------------------------------------------------------------- */

static int check_free(const struct rill_place *place, struct rill_error *err)
{
    char command[RILL_PLACE_PATH_BYTES];

    switch (rill_folder_state(place)) {
    case RILL_FOLDER_NONE:
        return 0;
    case RILL_FOLDER_OTHER:
        return rill_error_set(err, -EEXIST,
                              "base %s: something else is there; choose another base, or remove it",
                              place->base);
    default:
        break;
    }
    if (rill_managers_count(place) > 0)
        return rill_error_set(err, -EEXIST, "cluster '%s' is up already: %s", place->name,
                              rill_place_command(place, "status", command));
    return rill_error_set(err, -EEXIST,
                          "cluster '%s' did not end as it should, its files are still there: %s",
                          place->name, rill_place_command(place, "down", command));
}

/* Nothing of an attempt that failed stays; why it failed is what is said. */
static void take_down(const struct rill_place *place)
{
    struct rill_teardown did;
    struct rill_error err;

    if (rill_teardown(place, false, &did, &err) != 0)
        fprintf(stderr, "rill up: not all could be taken down again: %s\n", err.text);
}

static int start(const struct rill_place *place, const struct rill_config *settings,
                 struct rill_error *err)
{
    struct rill_daemons daemons = {.agent.fd = -1};
    Control__Message *status = NULL;
    char programs[PATH_MAX];
    int rc = rill_folder_of_programs(programs, sizeof(programs), err);

    if (rc == 0)
        rc = rill_folder_make(place, programs, err);
    if (rc != 0) {
        rill_folder_remove(place, false, NULL);
        return rc;
    }
    rc = rill_daemons_start(&daemons, place, settings, programs, err);
    if (rc == 0)
        rc = rill_daemons_wait(&daemons, place, &stop, &status, err);
    rill_daemons_close(&daemons);
    if (rc == 0)
        show(place, status->status);
    else
        take_down(place);
    rill_control_free(status);
    return rc;
}

static int up(struct rill_cluster_request *request, struct rill_error *err)
{
    struct rill_config *settings;
    int rc = rill_cluster_settings_read(request, &settings, err), lock = -1;

    if (rc == 0 && geteuid() != 0)
        rc =
            rill_error_set(err, -EPERM, "needs root: containers are started, and seen to, by root");
    if (rc == 0) {
        umask(022);
        lock = rill_folder_lock(&request->place, err);
        rc = lock < 0 ? lock : check_free(&request->place, err);
    }
    if (rc == 0) {
        catch_signals();
        rc = start(&request->place, settings, err);
    }
    rill_folder_unlock(&request->place, lock);
    rill_config_destroy(settings);
    return rc;
}

int rill_cmd_up(int argc, char **argv)
{
    struct rill_cluster_request request = {0};
    const struct rill_args args = {.table = table, .target = &request, .positional = take_file};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = up(&request, &err);
    rill_args_free_pairs(request.sets, request.set_count);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("up", err.text);
}
