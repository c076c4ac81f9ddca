#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "lib/config/config.h"
#include "traces/capture.h"
#include "traces/generate.h"
#include "traces/info.h"

/* --- rill trace info ------------------------------------------------------------------------- */

static int info_of(void *target, const char *path, struct rill_error *err)
{
    struct rill_capture capture;
    struct rill_trace_info info;
    unsigned *count = target;
    int rc = rill_capture_read(path, &capture, err);

    if (rc != 0)
        return rc;
    rc = rill_trace_info(&capture, &info, err);
    if (rc == 0) {
        if ((*count)++ > 0)
            putchar('\n');
        rill_trace_info_print(&info, path, stdout);
    }
    rill_capture_free(&capture);
    return rc;
}

static int trace_info(int argc, char **argv)
{
    static const struct rill_arg none[] = {{0}};
    unsigned count = 0;
    const struct rill_args args = {.table = none, .target = &count, .positional = info_of};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0) {
        puts("usage: rill trace info FILE...\n"
             "\n"
             "Says what a capture holds: format, packets, rates, sizes, flows, flowlets, "
             "protocols,\n"
             "and what is malformed in it. pcap, nanosecond pcap, pcapng, each also gzipped.\n");
        rill_args_help(none, stdout);
        return RILL_EXIT_DONE;
    }
    if (rc == 0 && count == 0)
        rc = rill_error_set(&err, -1, "which capture? rill trace info FILE");
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("trace info", err.text);
}

/* --- rill trace gen -------------------------------------------------------------------------- */

struct generate {
    struct rill_config *config;
    const char *out;
};

static int take_out(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct generate *)target)->out = value;
    return 0;
}

static int take_set(void *target, const char *value, struct rill_error *err)
{
    return rill_config_set_pair(((struct generate *)target)->config, value, err);
}

static int take_seed(void *target, const char *value, struct rill_error *err)
{
    return rill_config_set(((struct generate *)target)->config, "seed", value, "--seed", err);
}

static const struct rill_arg gen_table[] = {
    {"out", "FILE", "the capture to write: .pcap, .pcapng, each also with .gz; must be given",
     false, NULL, take_out},
    {"seed", "N", "the same as --set seed=N: the same seed gives the same packets", false, NULL,
     take_seed},
    {"set", "NAME=VALUE", "one of the options below; may be given again", true, NULL, take_set},
    {0},
};

static void gen_help(const struct rill_config *config)
{
    puts("usage: rill trace gen --out FILE [--seed N] [--set NAME=VALUE ...]\n"
         "\n"
         "Makes a capture: heavy-tailed flows in bursts, both directions, from a seed.\n");
    rill_args_help(gen_table, stdout);
    puts("\nOptions for --set:\n");
    rill_config_print(config, stdout);
}

static int generate(const struct generate *gen, struct rill_error *err)
{
    struct rill_generate_counters counters = {0};
    char packets[RILL_FORMAT_BYTES], bytes[RILL_FORMAT_BYTES], flows[RILL_FORMAT_BYTES];
    int rc;

    if (gen->out == NULL)
        return rill_error_set(err, -1, "where to? rill trace gen --out FILE");
    rc = rill_generate(gen->config, gen->out, &counters, err);
    if (rc != 0)
        return rc;
    rill_format_name(stdout, gen->out);
    printf(": %s packets, %s bytes, %s flows\n", rill_format_count(packets, counters.packets),
           rill_format_count(bytes, counters.bytes), rill_format_count(flows, counters.flows));
    return 0;
}

static int trace_gen(int argc, char **argv)
{
    struct rill_error err = {""};
    struct generate gen = {.config = rill_config_create(rill_generate_schema, &err)};
    const struct rill_args args = {.table = gen_table, .target = &gen};
    int rc = gen.config != NULL ? rill_args_parse(&args, argc, argv, &err) : -1;

    if (rc > 0)
        gen_help(gen.config);
    else if (rc == 0)
        rc = generate(&gen, &err);
    rill_config_destroy(gen.config);
    return rc >= 0 ? RILL_EXIT_DONE : rill_cmd_refuse("trace gen", err.text);
}

/* --------------------------------------------------------------------------------------------- */

int rill_cmd_trace(int argc, char **argv)
{
    static const char *const names[] = {"info", "gen", NULL};
    const char *nearest;

    if (argc >= 2 && strcmp(argv[1], "info") == 0)
        return trace_info(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "gen") == 0)
        return trace_gen(argc - 1, argv + 1);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        puts("usage: rill trace info FILE...\n"
             "       rill trace gen --out FILE [--seed N] [--set NAME=VALUE ...]\n"
             "\n"
             "`rill trace info --help` and `rill trace gen --help` say more.");
        return RILL_EXIT_DONE;
    }
    if (argc < 2)
        return rill_cmd_refuse("trace", "info or gen? `rill trace --help` says more");
    nearest = rill_args_nearest(argv[1], names);
    fprintf(stderr, "rill trace: unknown command '%s'; ", argv[1]);
    if (nearest != NULL)
        fprintf(stderr, "did you mean '%s'?\n", nearest);
    else
        fputs("it is info or gen\n", stderr);
    return RILL_EXIT_BAD;
}
