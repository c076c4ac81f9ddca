#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"

struct command {
    const char *name;
    const char *summary; /* NULL: a word of later versions, refused by name */
    int (*run)(int argc, char **argv);
};

#ifdef RILL_HAS_CLUSTER
#define OF_CLUSTER(run) run
#else
#define OF_CLUSTER(run) rill_cmd_without_cluster
#endif

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command commands[] = {
    {"replay", "send a capture through a network function and report", rill_cmd_replay},
    {"settings", "list Rill's settings: value, default, range, source", rill_cmd_settings},
    {"trace", "trace info FILE...: what a capture holds; trace gen: make one", rill_cmd_trace},
    {"store", "store put|get|list: what network functions read beside their options",
     rill_cmd_store},
    {"up", "bring a cluster up on this machine", OF_CLUSTER(rill_cmd_up)},
    {"down", "take it down", OF_CLUSTER(rill_cmd_down)},
    {"status", "its machines, deployments, roles and failures", OF_CLUSTER(rill_cmd_status)},
    {"deploy", "start a network function on it", OF_CLUSTER(rill_cmd_deploy)},
    {"undeploy", "end a network function on it", OF_CLUSTER(rill_cmd_undeploy)},
    {"bill", "what its deployments used", OF_CLUSTER(rill_cmd_bill)},
    {"logs", "print what one of its roles wrote", OF_CLUSTER(rill_cmd_logs)},
    {"records", "print what one of its network functions recorded", OF_CLUSTER(rill_cmd_records)},
    {"fail", "let one of its roles fail, to see what follows", OF_CLUSTER(rill_cmd_fail)},
    {"help", "help [COMMAND]: this list, or a command's options", cmd_help},
    {"version", "print the version", cmd_version},
    {"top", NULL, NULL},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

int rill_cmd_refuse(const char *command, const char *line)
{
    fprintf(stderr, "rill %s: %s\n", command, line);
    return RILL_EXIT_BAD;
}

static void print_usage(FILE *out)
{
    fputs("usage: rill COMMAND [ARGUMENT...]\n\n", out);
    for (int i = 0; i < COMMANDS; i++) {
        if (commands[i].summary != NULL)
            fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n`rill COMMAND --help` lists a command's options.\n"
          "Try: rill replay traces/bundled.pcap.gz --nf nat\n",
          out);
}

static const struct command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int refuse_unknown(const char *name)
{
    const char *names[COMMANDS + 1] = {NULL}, *nearest;
    int count = 0;

    for (int i = 0; i < COMMANDS; i++) {
        if (commands[i].run != NULL)
            names[count++] = commands[i].name;
    }
    nearest = rill_args_nearest(name, names);
    if (nearest != NULL)
        fprintf(stderr, "rill: unknown command '%s'; did you mean '%s'?\n", name, nearest);
    else
        fprintf(stderr, "rill: unknown command '%s'; `rill help` lists them\n", name);
    return RILL_EXIT_BAD;
}

static int run(int argc, char **argv)
{
    const struct command *command = find(argv[0]);

    if (command == NULL)
        return refuse_unknown(argv[0]);
    if (command->run == NULL)
        return rill_cmd_refuse(argv[0], "not in this version (" RILL_VERSION ")");
    return command->run(argc, argv);
}

static int cmd_help(int argc, char **argv)
{
    char help[] = "--help";
    char *of_command[] = {argv[argc - 1], help, NULL};

    if (argc > 2)
        return rill_cmd_refuse("help", "one command at a time: rill help [COMMAND]");
    if (argc == 2 && strcmp(argv[1], "help") != 0 && strcmp(argv[1], "--help") != 0)
        return run(2, of_command);
    print_usage(stdout);
    return RILL_EXIT_DONE;
}

static int cmd_version(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("usage: rill version");
        return RILL_EXIT_DONE;
    }
    if (argc > 1)
        return rill_cmd_refuse(argv[0], "takes no arguments");
    puts("rill " RILL_VERSION);
    return RILL_EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return RILL_EXIT_BAD;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cmd_help(1, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cmd_version(1, argv);
    return run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    int rc;

    /* Only the character set: numbers keep their point, whatever the language. */
    setlocale(LC_CTYPE, "");
    rc = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "rill: standard output can't be written: %s\n", strerror(errno));
        return RILL_EXIT_BAD;
    }
    return rc;
}
