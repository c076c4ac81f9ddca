#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/options.h"

enum { WORDS_MAX = 40, LINE_MAX = 256 };

struct parsed {
    char line[LINE_MAX];
    struct rill_replay_options options;
    struct rill_error err;
    int rc;
};

/* Parses "rill replay LINE", split at blanks. */
static void parse(struct parsed *p, const char *line)
{
    char *words[WORDS_MAX + 1] = {(char[]){"replay"}, NULL};
    char *rest = NULL;
    int count = 1;

    assert_true(strlen(line) < LINE_MAX);
    strcpy(p->line, line);
    for (char *word = strtok_r(p->line, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    words[count] = NULL;
    p->err.text[0] = '\0';
    p->rc = rill_replay_options_parse(count, words, &p->options, &p->err);
}

static void defaults(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "t.pcap --nf nat");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.options.trace, "t.pcap");
    assert_string_equal(p.options.nf, "nat");
    assert_null(p.options.config);
    assert_int_equal(p.options.clock, RILL_CLOCK_REAL);
    assert_true(p.options.speed == 1);
    assert_int_equal(p.options.rate_bps, 0);
    assert_int_equal(p.options.units_milli, 4000);
    assert_int_equal(p.options.set_count, 0);
    assert_null(p.options.inside);
    assert_null(p.options.out);
    assert_null(p.options.out_devargs);
    assert_null(p.options.json);
    assert_false(p.options.quiet);
    assert_int_equal(p.options.memory_mb, 0);
    assert_int_equal(p.options.controllers, 1);
    rill_replay_options_fini(&p.options);
}

static void everything(void **state)
{
    static const char *const sets[] = {"mode=flow", "a=1", "state=reactive", "a=2=3"};
    struct parsed p;

    (void)state;
    parse(&p, "--config=d.yaml --clock virtual --speed=100x --inside 10.0.0.0/8,fd00::/8 "
              "--mode flow --set a=1 --state reactive --units 2.5 --set=a=2=3 --out o.pcapng.gz "
              "--json - --quiet --memory-mb 512 --controllers 16 -- --odd.pcap");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.options.trace, "--odd.pcap");
    assert_null(p.options.nf);
    assert_string_equal(p.options.config, "d.yaml");
    assert_int_equal(p.options.clock, RILL_CLOCK_VIRTUAL);
    assert_true(p.options.speed == 100);
    assert_string_equal(p.options.inside, "10.0.0.0/8,fd00::/8");
    assert_int_equal(p.options.units_milli, 2500);
    assert_int_equal(p.options.set_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(p.options.sets[i], sets[i]);
    assert_string_equal(p.options.out, "o.pcapng.gz");
    assert_string_equal(p.options.json, "-");
    assert_true(p.options.quiet);
    assert_int_equal(p.options.memory_mb, 512);
    assert_int_equal(p.options.controllers, 16);
    rill_replay_options_fini(&p.options);
    parse(&p, "t --nf ./x.so --rate 1.5Gbps --out dpdk:net_null0,size=64");
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.options.rate_bps, 1500000000);
    assert_null(p.options.out);
    assert_string_equal(p.options.out_devargs, "net_null0,size=64");
    rill_replay_options_fini(&p.options);
}

/* In the order of their times; who takes another's place may fail, too. */
static void failures(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "t --nf nat --fail output-logger:6@2.5s --fail unit:5@1500ms --fail unit:2@250us "
              "--fail output-logger:2@250us");
    assert_string_equal(p.err.text, "");
    assert_int_equal(p.options.fail_count, 4);
    assert_int_equal(p.options.fails[0].kind, RILL_ROLE_UNIT);
    assert_int_equal(p.options.fails[0].number, 2);
    assert_int_equal(p.options.fails[0].at_ns, 250000);
    assert_int_equal(p.options.fails[1].kind, RILL_ROLE_OUTPUT_LOGGER);
    assert_int_equal(p.options.fails[1].number, 2);
    assert_int_equal(p.options.fails[2].number, 5);
    assert_int_equal(p.options.fails[2].at_ns, 1500000000);
    assert_int_equal(p.options.fails[3].number, 6);
    assert_int_equal(p.options.fails[3].at_ns, 2500000000);
    rill_replay_options_fini(&p.options);
}

/* The line that is refused, and what its error must hold. */
static void refusals(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", "which capture?"},
        {"t", "which network function?"},
        {"t u --nf nat", "'u' is the second"},
        {"t --nf nat --config f", "--nf and --config exclude each other"},
        {"t --nf nat --speed 2 --rate 1Gbps", "--speed and --rate exclude each other"},
        {"t --nf nat --nf lb", "--nf is given twice"},
        {"t --nf", "--nf needs a value: --nf NAME|PATH"},
        {"t --nf=", "--nf '': it must not be empty"},
        {"t --nf nat --quiet=1", "--quiet takes no value"},
        {"t --nf nat --unit 2", "unknown option --unit; did you mean --units?"},
        {"t --nf nat --sped 2", "unknown option --sped; did you mean --speed?"},
        {"t --nf nat --xyzzy", "unknown option --xyzzy; --help lists them"},
        {"t --nf nat -q", "unknown option -q; --help lists them"},
        {"t --nf nat --clock fast", "--clock 'fast': it is real or virtual"},
        {"t --nf nat --speed 0", "--speed '0'"},
        {"t --nf nat --speed x", "--speed 'x'"},
        {"t --nf nat --speed -1", "--speed '-1'"},
        {"t --nf nat --speed 1e3", "--speed '1e3'"},
        {"t --nf nat --speed nan", "--speed 'nan'"},
        {"t --nf nat --speed 2xx", "--speed '2xx'"},
        {"t --nf nat --speed 1.0000000000000001", "--speed '1.0000000000000001'"},
        {"t --nf nat --speed 1000001", "--speed '1000001'"},
        {"t --nf nat --speed 99999999999999999999999999x", "--speed '9"},
        {"t --nf nat --rate 1", "--rate '1'"},
        {"t --nf nat --rate 0Gbps", "--rate '0Gbps'"},
        {"t --nf nat --rate 1GB", "--rate '1GB'"},
        {"t --nf nat --rate 1001Gbps", "--rate '1001Gbps'"},
        {"t --nf nat --rate 1.2.3Gbps", "--rate '1.2.3Gbps'"},
        {"t --nf nat --units 0", "--units '0'"},
        {"t --nf nat --units 64.001", "--units '64.001'"},
        {"t --nf nat --units 1.0001", "--units '1.0001'"},
        {"t --nf nat --units 4,4", "--units '4,4'"},
        {"t --nf nat --set a", "--set 'a': it is NAME=VALUE"},
        {"t --nf nat --set =1", "--set '=1'"},
        {"t --nf nat --out x.txt", "--out 'x.txt': the name ends in .pcap"},
        {"t --nf nat --out .pcap", "--out '.pcap'"},
        {"t --nf nat --out dpdk:", "--out 'dpdk:'"},
        {"t --nf nat --memory-mb 1.5", "--memory-mb '1.5'"},
        {"t --nf nat --memory-mb 18446744073709551617", "--memory-mb"},
        {"t --nf nat --controllers 17", "--controllers '17'"},
        {"t --cluster x --controllers 2", "--controllers: with --cluster"},
        {"t --nf nat --controllers 0", "--controllers '0'"},
        {"t --nf nat --fail unit:2", "--fail 'unit:2': it is ROLE:N@TIME, like unit:2@1.5s"},
        {"t --nf nat --fail uni:2@1s", "--fail 'uni:2': the role is unit:N"},
        {"t --nf nat --fail unit@1s", "which unit? Its number follows, like unit:1"},
        {"t --nf nat --fail unit:0@1s", "which unit?"},
        {"t --nf nat --fail unit:2x@1s", "which unit?"},
        {"t --nf nat --fail unit:2@1", "has a unit, like 1.5s or 300ms"},
        {"t --nf nat --fail unit:2@1min", "has a unit, like 1.5s or 300ms"},
        {"t --nf nat --fail unit:2@-1s", "has a unit, like 1.5s or 300ms"},
        {"t --nf nat --fail unit:2@9999999s", "has a unit, like 1.5s or 300ms"},
        {"t --nf nat --fail controller:2@1s",
         "'controller:2@1s': by then there are only 1 of them"},
        {"t --nf nat --fail controller:1@1s --fail controller:1@2s", "it failed before"},
        {"t --nf nat --fail rm@1s", "only a cluster's rm can fail"},
        {"t --nf nat --fail agent@1s", "only a cluster's agent can fail"},
        {"t --nf nat --fail rm:1@1s", "there is one rm on a machine"},
        {"t --nf nat --fail unit:5@1s", "'unit:5@1s': by then there are only 4 of them"},
        {"t --nf nat --units 2.5 --fail unit:4@1s", "by then there are only 3 of them"},
        {"t --nf nat --fail unit:5@1s --fail unit:1@1500ms", "'unit:5@1s': by then there are"},
        {"t --nf nat --fail unit:1@1s --fail unit:1@2s", "'unit:1@2s': it failed before"},
        {"t --nf nat --units 64 --fail unit:1@1s", "no more than 64 units"},
#ifdef RILL_HAS_CLUSTER
        {"--cluster c", "which capture?"},
        {"t --cluster=", "--cluster '': it must not be empty"},
        {"t --cluster c --nf nat", "--nf: with --cluster it belongs to `rill deploy`"},
        {"t --cluster c --config f", "--config: with --cluster it belongs to `rill deploy`"},
        {"t --cluster c --units 4", "--units: with --cluster it belongs to `rill deploy`"},
        {"t --cluster c --set a=1", "with --cluster it belongs to `rill deploy`"},
        {"t --cluster c --mode flow", "with --cluster it belongs to `rill deploy`"},
        {"t --cluster c --state reactive", "with --cluster it belongs to `rill deploy`"},
        {"t --cluster c --clock virtual", "--clock virtual: a cluster's processes run in real"},
        {"t --cluster c --speed 2 --rate 1Gbps", "--speed and --rate exclude each other"},
        {"t --nf nat --deployment d", "--deployment: of which cluster?"},
        {"t --nf nat --base /b", "--base: of which cluster?"},
#else
        {"t --cluster c", "--cluster is not in this version"},
        {"t --cluster c", "apt-get install"},
        {"t --nf nat --deployment d", "--deployment is not in this version"},
#endif
    };
    struct parsed p;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        parse(&p, cases[i].line);
        assert_true(p.rc < 0);
        if (strstr(p.err.text, cases[i].says) == NULL)
            fail_msg("'%s' says '%s', not '%s'", cases[i].line, p.err.text, cases[i].says);
        assert_null(strchr(p.err.text, '\n'));
        rill_replay_options_fini(&p.options);
    }
}

#ifdef RILL_HAS_CLUSTER
static void of_a_cluster(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "t --cluster c --deployment d --base /tmp/c --speed 10 --inside 10.0.0.0/8 --clock "
              "real --out o.pcap --json - --memory-mb 512 --quiet");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.options.cluster, "c");
    assert_string_equal(p.options.deployment, "d");
    assert_string_equal(p.options.base, "/tmp/c");
    assert_null(p.options.nf);
    assert_null(p.options.config);
    assert_int_equal(p.options.units_milli, 0);
    assert_true(p.options.speed == 10);
    rill_replay_options_fini(&p.options);
}
#endif

static void updates_come_in_the_order_of_their_times(void **state)
{
    static const char *const bad[] = {"rules", "rules=x",   "rules=@1s",
                                      "=x@1s", "rules=x@1", "rules=x@-1s"};
    struct parsed p;
    char line[64];

    (void)state;
    parse(&p, "t --nf nat --update b=c@d@2s --update a=x=y@300ms --records r.jsonl");
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.options.update_count, 2);
    assert_string_equal(p.options.updates[0].name, "a");
    assert_string_equal(p.options.updates[0].file, "x=y");
    assert_int_equal(p.options.updates[0].at_ns, 300000000);
    assert_string_equal(p.options.updates[1].file, "c@d");
    assert_int_equal(p.options.updates[1].at_ns, 2000000000);
    assert_string_equal(p.options.records, "r.jsonl");
    rill_replay_options_fini(&p.options);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(line, sizeof(line), "t --nf nat --update %s", bad[i]);
        parse(&p, line);
        if (p.rc >= 0)
            fail_msg("'%s' was taken", bad[i]);
        rill_replay_options_fini(&p.options);
    }
}

static void fractions_of_units(void **state)
{
    static const struct {
        const char *line;
        uint32_t milli;
    } cases[] = {{"t --nf nat --units 0.001", 1},
                 {"t --nf nat --units 64", 64000},
                 {"t --nf nat --units 1.005", 1005},
                 {"t --nf nat --units 0.3", 300},
                 {"t --nf nat --units 63.999", 63999}};
    struct parsed p;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        parse(&p, cases[i].line);
        assert_int_equal(p.rc, 0);
        assert_int_equal(p.options.units_milli, cases[i].milli);
        rill_replay_options_fini(&p.options);
    }
}

static void rates(void **state)
{
    uint64_t bps = 0;

    (void)state;
    assert_int_equal(rill_args_rate("9600bps", &bps), 0);
    assert_int_equal(bps, 9600);
    assert_int_equal(rill_args_rate("64Kbps", &bps), 0);
    assert_int_equal(bps, 64000);
    assert_int_equal(rill_args_rate("0.25mbps", &bps), 0);
    assert_int_equal(bps, 250000);
    assert_int_equal(rill_args_rate("1000Gbps", &bps), 0);
    assert_int_equal(bps, 1000000000000);
    assert_true(rill_args_rate("Gbps", &bps) < 0);
    assert_true(rill_args_rate("", &bps) < 0);
    assert_true(rill_args_rate(".5Gbps", &bps) < 0);
    assert_true(rill_args_rate("1.Gbps", &bps) < 0);
}

/* Every option that is taken stands in the help, and nothing that is refused does. */
static void help_is_true(void **state)
{
    static const char *const there[] = {
        "nf",      "config",      "clock", "speed", "rate",      "inside",  "mode",   "state",
        "units",   "controllers", "set",   "out",
#ifdef RILL_HAS_CLUSTER
        "cluster", "deployment",  "base",
#endif
        "json",    "epochs",      "usage", "quiet", "memory-mb", "records", "update", "help"};
    struct parsed p;
    size_t bytes = 0;
    char *text = NULL, entry[32];
    FILE *out = open_memstream(&text, &bytes);

    (void)state;
    rill_replay_help(out);
    fclose(out);
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        snprintf(entry, sizeof(entry), "\n  --%s", there[i]);
        assert_non_null(strstr(text, entry));
    }
    assert_non_null(strstr(text, "--fail ROLE:N@TIME"));
#ifndef RILL_HAS_CLUSTER
    assert_null(strstr(text, "--cluster"));
#endif
    free(text);
    parse(&p, "--nonsense --help");
    assert_int_equal(p.rc, 1);
    rill_replay_options_fini(&p.options);
}

static void nearest_word(void **state)
{
    static const char *const names[] = {"replay", "settings", "trace", NULL};

    (void)state;
    assert_string_equal(rill_args_nearest("repaly", names), "replay");
    assert_string_equal(rill_args_nearest("setting", names), "settings");
    assert_string_equal(rill_args_nearest("Trace", names), "trace");
    assert_null(rill_args_nearest("deploy-everything", names));
    assert_null(rill_args_nearest("", names));
    assert_null(rill_args_nearest("a-word-that-is-longer-than-any-option-ever-was", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything),
        cmocka_unit_test(refusals),
        cmocka_unit_test(failures),
#ifdef RILL_HAS_CLUSTER
        cmocka_unit_test(of_a_cluster),
#endif
        cmocka_unit_test(updates_come_in_the_order_of_their_times),
        cmocka_unit_test(fractions_of_units),
        cmocka_unit_test(rates),
        cmocka_unit_test(help_is_true),
        cmocka_unit_test(nearest_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
