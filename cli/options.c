#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cluster.h"
#include "cli/commands.h"

static int bad(struct rill_error *err, const char *option, const char *value, const char *right)
{
    return rill_error_set(err, -EINVAL, "--%s '%s': %s", option, value, right);
}

static int add_set(struct rill_replay_options *o, const char *prefix, const char *value,
                   struct rill_error *err)
{
    return rill_args_add_pair(&o->sets, &o->set_count, prefix, value, err);
}

static int take_trace(void *target, const char *text, struct rill_error *err)
{
    struct rill_replay_options *o = target;

    if (o->trace != NULL)
        return rill_error_set(err, -EINVAL, "one capture at a time: '%s' is the second", text);
    if (text[0] == '\0')
        return rill_error_set(err, -EINVAL, "the capture's name is empty");
    o->trace = text;
    return 0;
}

static int take_text(const char **to, const char *option, const char *value, struct rill_error *err)
{
    if (value[0] == '\0')
        return bad(err, option, value, "it must not be empty");
    *to = value;
    return 0;
}

static int take_nf(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->nf, "nf", value, err);
}

static int take_config(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->config, "config", value, err);
}

static int take_inside(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->inside, "inside", value, err);
}

static int take_json(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->json, "json", value, err);
}

static int take_epochs(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->epochs, "epochs", value, err);
}

static int take_usage(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->usage, "usage", value, err);
}

static int take_records(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->records, "records", value, err);
}

static int take_clock(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;

    if (strcmp(value, "real") == 0)
        o->clock = RILL_CLOCK_REAL;
    else if (strcmp(value, "virtual") == 0)
        o->clock = RILL_CLOCK_VIRTUAL;
    else
        return bad(err, "clock", value, "it is real or virtual");
    return 0;
}

static int take_speed(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;
    size_t length = strlen(value);
    char number[24];

    if (length > 0 && value[length - 1] == 'x')
        length--;
    snprintf(number, sizeof(number), "%.*s", (int)length, value);
    if (length >= sizeof(number) || rill_args_decimal(number, &o->speed) != 0 || o->speed < 0.001 ||
        o->speed > 1e6)
        return bad(err, "speed", value, "it is a number like 10x or 0.5x, from 0.001x to 1000000x");
    return 0;
}

static int take_rate(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;

    if (rill_args_rate(value, &o->rate_bps) != 0)
        return bad(err, "rate", value,
                   "it is a number with bps, kbps, Mbps or Gbps, like 1.5Gbps, up to 1000Gbps");
    return 0;
}

static int take_units(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;
    const char *point = strchr(value, '.');
    double units;

    if (rill_args_decimal(value, &units) != 0 || (point != NULL && strlen(point + 1) > 3) ||
        units < 0.001 || units > 64)
        return bad(err, "units", value,
                   "it is a number of units from 0.001 to 64, of at most three decimals, like 2.5");
    o->units_milli = (uint32_t)(units * 1000 + 0.5);
    return 0;
}

static int take_mode(void *target, const char *value, struct rill_error *err)
{
    return add_set(target, "mode=", value, err);
}

static int take_state(void *target, const char *value, struct rill_error *err)
{
    return add_set(target, "state=", value, err);
}

static int take_set(void *target, const char *value, struct rill_error *err)
{
    const char *equals = strchr(value, '=');

    if (equals == NULL || equals == value)
        return bad(err, "set", value, "it is NAME=VALUE; `rill settings` lists the names");
    return add_set(target, "", value, err);
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);

    return length > tail && strcmp(text + length - tail, ending) == 0;
}

static int take_out(void *target, const char *value, struct rill_error *err)
{
    static const char *const endings[] = {".pcap", ".pcap.gz", ".pcapng", ".pcapng.gz"};
    struct rill_replay_options *o = target;

    if (strncmp(value, "dpdk:", 5) == 0) {
        if (value[5] == '\0')
            return bad(err, "out", value,
                       "a DPDK port's device arguments must follow, like "
                       "dpdk:net_af_packet0,iface=eth1");
        o->out_devargs = value + 5;
        return 0;
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (ends_with(value, endings[i])) {
            o->out = value;
            return 0;
        }
    }
    return bad(err, "out", value,
               "the name ends in .pcap, .pcapng, .pcap.gz or .pcapng.gz, or is "
               "dpdk:DEVARGS");
}

static int take_quiet(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct rill_replay_options *)target)->quiet = true;
    return 0;
}

static int take_memory(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;
    uint64_t mb;

    if (rill_args_u64(value, &mb) != 0 || mb < 64 || mb > 1048576)
        return bad(err, "memory-mb", value, "it is a whole number of megabytes from 64 to 1048576");
    o->memory_mb = (uint32_t)mb;
    return 0;
}

/* Kept in the order of their times; of two at one time, the first given comes first. */
static int take_fail(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;
    struct rill_error why;
    struct rill_fail fail;
    uint32_t i = o->fail_count;

    if (o->fail_count == RILL_FAILS_MAX)
        return bad(err, "fail", value, "there are 64 of them already");
    if (rill_fail_parse(value, &fail, &why) != 0)
        return rill_error_set(err, -EINVAL, "--fail %s", why.text);
    for (; i > 0 && o->fails[i - 1].at_ns > fail.at_ns; i--)
        o->fails[i] = o->fails[i - 1];
    o->fails[i] = fail;
    o->fail_count++;
    return 0;
}

/* Kept as failures are. */
static int take_update(void *target, const char *value, struct rill_error *err)
{
    struct rill_replay_options *o = target;
    struct rill_update update;
    struct rill_error why;
    uint32_t i = o->update_count;

    if (o->updates == NULL)
        o->updates = calloc(RILL_UPDATES_MAX, sizeof(o->updates[0]));
    if (o->updates == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for --update");
    if (o->update_count == RILL_UPDATES_MAX)
        return bad(err, "update", value, "there are 64 of them already");
    if (rill_update_parse(value, &update, &why) != 0)
        return rill_error_set(err, -EINVAL, "--update %s", why.text);
    for (; i > 0 && o->updates[i - 1].at_ns > update.at_ns; i--)
        o->updates[i] = o->updates[i - 1];
    o->updates[i] = update;
    o->update_count++;
    return 0;
}

static int take_cluster(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->cluster, "cluster", value, err);
}

static int take_base(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->base, "base", value, err);
}

static int take_deployment(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct rill_replay_options *)target)->deployment, "deployment", value, err);
}

static int take_controllers(void *target, const char *value, struct rill_error *err)
{
    uint64_t n;

    if (rill_args_u64(value, &n) != 0 || n == 0 || n > RILL_CLUSTER_SLOTS_MAX)
        return bad(err, "controllers", value, "it is a whole number from 1 to 16");
    ((struct rill_replay_options *)target)->controllers = (uint32_t)n;
    return 0;
}
_Static_assert(RILL_CLUSTER_SLOTS_MAX == 16, "the line above says so");

#ifdef RILL_HAS_CLUSTER
#define WITHOUT_CLUSTER NULL
#else
#define WITHOUT_CLUSTER RILL_WITHOUT_CLUSTER
#endif

static const struct rill_arg table[] = {
    {"nf", "NAME|PATH",
     "the network function: nat, lb, firewall, ids, qos-policer, udp-whitelister,\n"
     "monitor, or the path of a shared object (holds a '/')",
     false, NULL, take_nf},
    {"config", "FILE",
     "a deployment file (YAML): the NF, its configuration and Rill's settings; instead of --nf",
     false, NULL, take_config},
    {"clock", "real|virtual",
     "real (default): packets go in at their time. virtual: time follows the capture, in one\n"
     "thread, as fast as the processor can; the same result on every machine and every run",
     false, NULL, take_clock},
    {"speed", "N[x]", "divide the capture's gaps by N: 10x, 0.5x (default 1x)", false, NULL,
     take_speed},
    {"rate", "RATE",
     "scale the capture's gaps so that its mean rate is this: 250Mbps, 1Gbps; not with --speed",
     false, NULL, take_rate},
    {"inside", "PREFIX,...",
     "who is inside: 10.0.0.0/8,2001:db8::/32 (default: the side that opened the connection)",
     false, NULL, take_inside},
    {"mode", "MODE", "how flows are given to units: the same as --set mode=MODE", false, NULL,
     take_mode},
    {"state", "MODE", "how state reaches a flow's next unit: the same as --set state=MODE", false,
     NULL, take_state},
    {"units", "N", "how many units there are; 2.5 is two whole ones and half a one (default 4)",
     false, NULL, take_units},
    {"controllers", "N",
     "how many controllers the traffic is split over, 1 to 16 (default 1); docs/allocation.md",
     false, NULL, take_controllers},
    {"set", "NAME=VALUE", "a setting (`rill settings` lists them); may be given again", true, NULL,
     take_set},
    {"out", "FILE|dpdk:DEVARGS",
     "where released packets go: a capture (.pcapng, .pcap, each also with .gz), or a DPDK port.\n"
     "A .pcapng says on which side each packet left and which packet of the input it was",
     false, NULL, take_out},
    {"json", "FILE",
     "write the report as JSON, too; - is standard output (the screen then goes to "
     "standard error)",
     false, NULL, take_json},
    {"epochs", "FILE.csv",
     "write a line per unit and 100 ms: demand, what was leased of it, utilization, overload;\n"
     "docs/allocation.md has the columns. Not with --cluster",
     false, NULL, take_epochs},
    {"usage", "FILE.jsonl",
     "write what each unit is billed for, a record per unit and usage_interval_ms; docs/usage.md\n"
     "has the fields. Not with --cluster: see `rill bill`",
     false, NULL, take_usage},
    {"records", "FILE.jsonl",
     "write the NF's records (alerts, ends of flows, ...) as lines of JSON; times are the "
     "capture's.\n"
     "Not with --cluster: see `rill records`",
     false, NULL, take_records},
    {"quiet", NULL, "no progress, no screen; errors are still shown", false, NULL, take_quiet},
    {"memory-mb", "N", "how much memory DPDK may take (default: what capture and units need)",
     false, NULL, take_memory},
    {"fail", "ROLE:N@TIME",
     "let a role fail: unit:2@1.5s, output-logger:1@300ms or controller:1@2s after the first\n"
     "packet; may be given again. What takes its place has the next number. With --cluster the\n"
     "N-th of the deployment",
     true, NULL, take_fail},
    {"update", "NAME=FILE@TIME",
     "from that time after the first packet on the object NAME has the text of FILE, like\n"
     "rules.txt=new.txt@1.5s; may be given again. Not with --cluster: see `rill store put`",
     true, NULL, take_update},
    {"cluster", "NAME",
     "replay through a deployment of this cluster (`rill up`, `rill deploy`), which says what "
     "runs:\n"
     "--nf, --config, --set, --units and the like belong to `rill deploy` then",
     false, WITHOUT_CLUSTER, take_cluster},
    {"deployment", "NAME", "which of the cluster's deployments (default: its only one)", false,
     WITHOUT_CLUSTER, take_deployment},
    {"base", "FOLDER", "where the cluster's files are (default /run/rill/NAME)", false,
     WITHOUT_CLUSTER, take_base},
    {0},
};

void rill_replay_help(FILE *out)
{
    fputs("usage: rill replay TRACE --nf NAME|PATH [OPTION...]\n"
          "       rill replay TRACE --config FILE [OPTION...]\n"
#ifdef RILL_HAS_CLUSTER
          "       rill replay TRACE --cluster NAME [OPTION...]\n"
#endif
          "\n"
          "Sends a capture through a network function and reports: on all of Rill in one process,\n"
          "which needs no root, or with --cluster through a deployment of a cluster.\n"
          "TRACE is pcap, nanosecond pcap or pcapng, each also gzipped.\n"
          "\n",
          out);
    rill_args_help(table, out);
    fputs("\n"
          "Ctrl-C stops the replay, drains what is under way and reports; again, at once\n"
          "(its outputs are then incomplete).\n"
          "Exit code: 0 done, or stopped with a report; 1 ran but broke a promise (counts that do\n"
          "not balance, packets that never came out, a packet that came out wrong); 2 bad use or\n"
          "bad input.\n",
          out);
}

/* With a cluster, what runs was said to `rill deploy`. */
static int judge_cluster(const struct rill_replay_options *o, struct rill_error *err)
{
    const struct {
        const char *option;
        bool given;
    } deploys[] = {{"--nf", o->nf != NULL},
                   {"--config", o->config != NULL},
                   {"--units", o->units_milli != 0},
                   {"--controllers", o->controllers != 0},
                   {"--set (or --mode, --state)", o->set_count > 0}};

    for (size_t i = 0; i < sizeof(deploys) / sizeof(deploys[0]); i++)
        if (deploys[i].given)
            return rill_error_set(err, -EINVAL,
                                  "%s: with --cluster it belongs to `rill deploy`; leave it out",
                                  deploys[i].option);
    for (uint32_t i = 0; i < o->fail_count; i++)
        if (o->fails[i].number == 0)
            return rill_error_set(err, -EINVAL,
                                  "--fail '%s': during a replay, units, output loggers and "
                                  "controllers can fail; for the %s there is `rill fail %s`",
                                  o->fails[i].text, rill_role_kind_name(o->fails[i].kind),
                                  rill_role_kind_name(o->fails[i].kind));
    if (o->epochs != NULL)
        return rill_error_set(err, -EINVAL,
                              "--epochs: a cluster's units are other processes; leave it out, or "
                              "replay without --cluster");
    if (o->usage != NULL)
        return rill_error_set(err, -EINVAL,
                              "--usage: a cluster's usage is in its folder; see `rill bill`");
    if (o->records != NULL)
        return rill_error_set(err, -EINVAL,
                              "--records: a cluster's records are in its folder; see `rill "
                              "records`");
    if (o->update_count > 0)
        return rill_error_set(err, -EINVAL,
                              "--update: a cluster's units read the configuration store; see "
                              "`rill store put`");
    if (o->clock == RILL_CLOCK_VIRTUAL)
        return rill_error_set(err, -EINVAL,
                              "--clock virtual: a cluster's processes run in real time");
    return 0;
}

static int judge_nf(const struct rill_replay_options *o, struct rill_error *err)
{
    if (o->deployment != NULL || o->base != NULL)
        return rill_error_set(err, -EINVAL, "--%s: of which cluster? --cluster NAME",
                              o->base != NULL ? "base" : "deployment");
    if (o->nf != NULL && o->config != NULL)
        return rill_error_set(err, -EINVAL,
                              "--nf and --config exclude each other: the file names the NF");
    if (o->nf == NULL && o->config == NULL)
        return rill_error_set(err, -EINVAL, "which network function? --nf NAME or --config FILE");
    return 0;
}

/* How many roles of the kind there are by then; NULL: none can fail. */
static uint32_t *count_of(enum rill_role_kind kind, uint32_t *units, uint32_t *loggers,
                          uint32_t *controllers)
{
    switch (kind) {
    case RILL_ROLE_UNIT:
        return units;
    case RILL_ROLE_OUTPUT_LOGGER:
        return loggers;
    case RILL_ROLE_CONTROLLER:
        return controllers;
    default:
        return NULL;
    }
}

/* Every failure brings a new role or two, under the next numbers. */
static int judge_fails(const struct rill_replay_options *o, struct rill_error *err)
{
    uint32_t units = (o->units_milli != 0 ? o->units_milli + 999 : 4999) / 1000;
    uint32_t loggers = units, controllers = o->controllers != 0 ? o->controllers : 1;

    for (uint32_t i = 0; i < o->fail_count; i++) {
        const struct rill_fail *fail = &o->fails[i];
        uint32_t *count = count_of(fail->kind, &units, &loggers, &controllers);

        if (count == NULL)
            return rill_error_set(err, -EINVAL,
                                  "--fail '%s': only a cluster's %s can fail (`rill fail`); in one "
                                  "process it is unit:N, output-logger:N or controller:N",
                                  fail->text, rill_role_kind_name(fail->kind));
        if (fail->number > *count)
            return rill_error_set(err, -EINVAL, "--fail '%s': by then there are only %u of them",
                                  fail->text, *count);
        for (uint32_t j = 0; j < i; j++)
            if (o->fails[j].kind == fail->kind && o->fails[j].number == fail->number)
                return rill_error_set(err, -EINVAL, "--fail '%s': it failed before, '%s'",
                                      fail->text, o->fails[j].text);
        units += fail->kind == RILL_ROLE_UNIT;
        loggers += fail->kind != RILL_ROLE_CONTROLLER;
        controllers += fail->kind == RILL_ROLE_CONTROLLER;
        if (controllers > RILL_CLUSTER_CONTROLLERS_MAX)
            return rill_error_set(err, -EINVAL,
                                  "--fail '%s': no more than %d controllers in one run, with those "
                                  "that take another's place",
                                  fail->text, RILL_CLUSTER_CONTROLLERS_MAX);
        if (units > 64)
            return rill_error_set(err, -EINVAL,
                                  "--fail '%s': no more than 64 units in one run, with those that "
                                  "take another's place",
                                  fail->text);
    }
    return 0;
}

static int judge(const struct rill_replay_options *o, struct rill_error *err)
{
    int rc;

    if (o->trace == NULL)
        return rill_error_set(err, -EINVAL, "which capture? rill replay TRACE --nf NAME");
    rc = o->cluster != NULL ? judge_cluster(o, err) : judge_nf(o, err);
    if (rc != 0)
        return rc;
    if (o->rate_bps != 0 && o->speed != 0)
        return rill_error_set(err, -EINVAL, "--speed and --rate exclude each other");
    return o->cluster != NULL ? 0 : judge_fails(o, err);
}

int rill_replay_options_parse(int argc, char **argv, struct rill_replay_options *options,
                              struct rill_error *err)
{
    const struct rill_args args = {.table = table, .target = options, .positional = take_trace};
    int rc;

    *options = (struct rill_replay_options){0};
    rc = rill_args_parse(&args, argc, argv, err);
    if (rc == 0)
        rc = judge(options, err);
    if (options->speed == 0)
        options->speed = 1;
    if (options->units_milli == 0 && options->cluster == NULL)
        options->units_milli = 4000;
    if (options->controllers == 0 && options->cluster == NULL)
        options->controllers = 1;
    return rc;
}

void rill_replay_options_fini(struct rill_replay_options *options)
{
    if (options == NULL)
        return;
    rill_args_free_pairs(options->sets, options->set_count);
    free(options->updates);
    options->updates = NULL;
    options->sets = NULL;
    options->set_count = 0;
}
