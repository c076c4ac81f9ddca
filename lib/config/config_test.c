#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/config/config.h"
#include "lib/config/settings.h"
#include "lib/config/text.h"

static const struct rill_option schema[] = {
    {"log", RILL_OPT_BOOL, "", 0, 0, NULL, "false", "Whether to log."},
    {"wait_us", RILL_OPT_U64, "us", 10, 1000, NULL, "50", "How long to wait."},
    {"any", RILL_OPT_U64, "", 0, 18446744073709551616.0, NULL, "7", "Any integer."},
    {"share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0.25", "A share."},
    {"ratio", RILL_OPT_DOUBLE, "", 0, __builtin_inf(), NULL, "1", "Any number."},
    {"rate_mbps", RILL_OPT_DOUBLE, "Mbps", 0.001, 400000, NULL, "1000", "A rate."},
    {"label", RILL_OPT_STRING, "", 0, 0, NULL, "none", "A label."},
    {"mode", RILL_OPT_ENUM, "", 0, 0, "slow|fast|fastest", "fast", "How fast."},
    {"flush", RILL_OPT_ENUM, "", 1, 60, "never|every:<N>ms", "never", "When to flush."},
    {"ports", RILL_OPT_RANGE, "", 1, 65535, NULL, "1024-65535", "Ports to use."},
    {"addresses", RILL_OPT_LIST, "", 0, 0, NULL, NULL, "Addresses to use."},
    {.name = NULL},
};

static struct rill_config *create(void)
{
    struct rill_error err = {""};
    struct rill_config *config = rill_config_create(schema, &err);

    assert_string_equal(err.text, "");
    assert_non_null(config);
    return config;
}

static const char *text(const struct rill_config *config, const char *name)
{
    static char buf[600];

    return rill_config_text(config, name, buf, sizeof(buf));
}

static void test_defaults(void **state)
{
    struct rill_config *config = create();
    uint64_t low, high;

    (void)state;
    assert_false(rill_config_bool(config, "log"));
    assert_int_equal(rill_config_u64(config, "wait_us"), 50);
    assert_true(rill_config_double(config, "share") == 0.25);
    assert_string_equal(rill_config_string(config, "label"), "none");
    assert_int_equal(rill_config_enum(config, "mode"), 1);
    rill_config_range(config, "ports", &low, &high);
    assert_int_equal(low, 1024);
    assert_int_equal(high, 65535);
    assert_string_equal(rill_config_source(config, "mode"), "default");
    assert_string_equal(rill_config_source(config, "addresses"), "missing");
    assert_string_equal(text(config, "addresses"), "");
    assert_ptr_equal(rill_config_schema(config), schema);
    rill_config_destroy(config);
    rill_config_destroy(NULL);
}

static void test_complete(void **state)
{
    struct rill_config *config = create();
    struct rill_error err;

    (void)state;
    assert_int_equal(rill_config_complete(config, &err), -22);
    assert_string_equal(err.text,
                        "addresses: must be given, it has no default (Addresses to use.)");
    assert_int_equal(rill_config_set_pair(config, "addresses=", &err), 0);
    assert_int_equal(rill_config_complete(config, &err), 0);
    rill_config_destroy(config);
}

static void test_good_pairs(void **state)
{
    static const struct {
        const char *pair, *name, *text;
    } cases[] = {
        {"log=true", "log", "true"},
        {"log=false", "log", "false"},
        {"wait_us=10", "wait_us", "10"},
        {"wait_us=1000", "wait_us", "1000"},
        {"any=0", "any", "0"},
        {"any=18446744073709551615", "any", "18446744073709551615"},
        {"any=18446744073709551614", "any", "18446744073709551614"},
        {"share=1", "share", "1"},
        {"share=0.1", "share", "0.1"},
        {"share=-0", "share", "0"},
        {"share=2.5e-1", "share", "0.25"},
        {"share=0.30000000000000004", "share", "0.30000000000000004"},
        {"rate_mbps=1e3", "rate_mbps", "1000"},
        {"rate_mbps=100", "rate_mbps", "100"},
        {"rate_mbps=0.001", "rate_mbps", "0.001"},
        {"label=", "label", ""},
        {"label=a=b, c", "label", "a=b, c"},
        {"label=K\xc3\xb6ln", "label", "K\xc3\xb6ln"},
        {"mode=slow", "mode", "slow"},
        {"mode=fastest", "mode", "fastest"},
        {"flush=every:1ms", "flush", "every:1ms"},
        {"flush=every:60ms", "flush", "every:60ms"},
        {"ports=1-65535", "ports", "1-65535"},
        {"ports=80-80", "ports", "80-80"},
        {"addresses=", "addresses", "[]"},
        {"addresses=[]", "addresses", "[]"},
        {"addresses=192.0.2.1", "addresses", "[192.0.2.1]"},
        {"addresses=192.0.2.1,2001:db8::1", "addresses", "[192.0.2.1, 2001:db8::1]"},
        {"addresses=[ a , b b ]", "addresses", "[a, b b]"},
    };
    struct rill_config *config = create();
    struct rill_error err = {""};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (rill_config_set_pair(config, cases[i].pair, &err) != 0)
            fail_msg("%s: %s", cases[i].pair, err.text);
        assert_string_equal(text(config, cases[i].name), cases[i].text);
        assert_string_equal(rill_config_source(config, cases[i].name), "--set");
    }
    assert_int_equal(rill_config_enum(config, "mode"), 2);
    assert_int_equal(rill_config_enum(config, "flush"), 1);
    assert_int_equal(rill_config_enum_number(config, "flush"), 60);
    assert_int_equal(rill_config_set_pair(config, "flush=never", NULL), 0);
    assert_int_equal(rill_config_enum_number(config, "flush"), 0);
    rill_config_destroy(config);
}

#define WAIT_RANGE "is not an integer in 10..1000 us; write it in plain decimal digits"
#define PORT_RANGE "is not a range LOW-HIGH of integers in 1..65535, LOW not above HIGH"
#define FLUSH_CHOICES "is not one of never|every:<N>ms, <N> an integer in 1..60"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *pair, *error;
} bad_pairs[] = {
    {"", "--set: : give it as NAME=VALUE"},
    {"log", "--set: log: give it as NAME=VALUE"},
    {"=1", "--set: =1: give it as NAME=VALUE"},
    {"wait=1", "--set: wait: unknown; the nearest known one is wait_us"},
    {"adresses=1", "--set: adresses: unknown; the nearest known one is addresses"},
    {"wait-us=1", "--set: wait-us: unknown; the nearest known one is wait_us"},
    {"a\nb\x1b=1",
     "--set: a\\x0ab\\x1b: unknown; known: log, wait_us, any, share, ratio, rate_mbps, label, "
     "mode, flush, ports, addresses"},
    {"log=yes", "--set: log: \"yes\" is neither true nor false"},
    {"log=True", "--set: log: \"True\" is neither true nor false"},
    {"log=", "--set: log: \"\" is neither true nor false"},
    {"wait_us=", "--set: wait_us: \"\" " WAIT_RANGE},
    {"wait_us=9", "--set: wait_us: \"9\" " WAIT_RANGE},
    {"wait_us=1001", "--set: wait_us: \"1001\" " WAIT_RANGE},
    {"wait_us=1e2", "--set: wait_us: \"1e2\" " WAIT_RANGE},
    {"wait_us=-50", "--set: wait_us: \"-50\" " WAIT_RANGE},
    {"wait_us=+50", "--set: wait_us: \"+50\" " WAIT_RANGE},
    {"wait_us= 50", "--set: wait_us: \" 50\" " WAIT_RANGE},
    {"wait_us=50us", "--set: wait_us: \"50us\" " WAIT_RANGE},
    {"wait_us=50.0", "--set: wait_us: \"50.0\" " WAIT_RANGE},
    {"wait_us=1_0", "--set: wait_us: \"1_0\" " WAIT_RANGE},
    {"wait_us=0x20", "--set: wait_us: \"0x20\" " WAIT_RANGE},
    {"wait_us=050", "--set: wait_us: \"050\" " WAIT_RANGE},
    {"wait_us=nan", "--set: wait_us: \"nan\" " WAIT_RANGE},
    {"wait_us=18446744073709551666", "--set: wait_us: \"18446744073709551666\" " WAIT_RANGE},
    {"any=18446744073709551616",
     "--set: any: \"18446744073709551616\" is not an integer in 0..18446744073709551615; write it "
     "in plain decimal digits"},
    {"share=1.0000001", "--set: share: \"1.0000001\" is not a number in 0..1"},
    {"share=-0.1", "--set: share: \"-0.1\" is not a number in 0..1"},
    {"share=nan", "--set: share: \"nan\" is not a number in 0..1"},
    {"share=inf", "--set: share: \"inf\" is not a number in 0..1"},
    {"share=1e999", "--set: share: \"1e999\" is not a number in 0..1"},
    {"share=0x1p-2", "--set: share: \"0x1p-2\" is not a number in 0..1"},
    {"share=0.5 ", "--set: share: \"0.5 \" is not a number in 0..1"},
    {"share= 0.5", "--set: share: \" 0.5\" is not a number in 0..1"},
    {"share=0.", "--set: share: \"0.\" is not a number in 0..1"},
    {"share=.5", "--set: share: \".5\" is not a number in 0..1"},
    {"share=1e", "--set: share: \"1e\" is not a number in 0..1"},
    {"share=0,5", "--set: share: \"0,5\" is not a number in 0..1"},
    {"share=", "--set: share: \"\" is not a number in 0..1"},
    {"ratio=1e999", "--set: ratio: \"1e999\" is not a number in 0..inf"},
    {"rate_mbps=0", "--set: rate_mbps: \"0\" is not a number in 0.001..400000 Mbps"},
    {"label=a\nb",
     "--set: label: \"a\\x0ab\" must be UTF-8 on one line, without control characters"},
    {"label=a\xff",
     "--set: label: \"a\\xff\" must be UTF-8 on one line, without control characters"},
    {"label=\xc2\x9b",
     "--set: label: \"\\xc2\\x9b\" must be UTF-8 on one line, without control characters"},
    {"label=" HUNDRED HUNDRED TEN TEN TEN TEN TEN "012345",
     "--set: label: \"01234567890123456789012345678901...\" is longer than 255 bytes"},
    {"mode=", "--set: mode: \"\" is not one of slow|fast|fastest"},
    {"mode=faste", "--set: mode: \"faste\" is not one of slow|fast|fastest"},
    {"mode=slow|fast", "--set: mode: \"slow|fast\" is not one of slow|fast|fastest"},
    {"flush=every:0ms", "--set: flush: \"every:0ms\" " FLUSH_CHOICES},
    {"flush=every:61ms", "--set: flush: \"every:61ms\" " FLUSH_CHOICES},
    {"flush=every:ms", "--set: flush: \"every:ms\" " FLUSH_CHOICES},
    {"flush=every:5", "--set: flush: \"every:5\" " FLUSH_CHOICES},
    {"flush=every:5msms", "--set: flush: \"every:5msms\" " FLUSH_CHOICES},
    {"flush=every:<N>ms", "--set: flush: \"every:<N>ms\" " FLUSH_CHOICES},
    {"ports=80", "--set: ports: \"80\" " PORT_RANGE},
    {"ports=2-1", "--set: ports: \"2-1\" " PORT_RANGE},
    {"ports=0-1", "--set: ports: \"0-1\" " PORT_RANGE},
    {"ports=1-65536", "--set: ports: \"1-65536\" " PORT_RANGE},
    {"ports=1-2-3", "--set: ports: \"1-2-3\" " PORT_RANGE},
    {"ports=-1-2", "--set: ports: \"-1-2\" " PORT_RANGE},
    {"ports=1-", "--set: ports: \"1-\" " PORT_RANGE},
    {"ports=1 - 2", "--set: ports: \"1 - 2\" " PORT_RANGE},
    {"addresses=,", "--set: addresses: item 1 of the list is empty"},
    {"addresses=a,,b", "--set: addresses: item 2 of the list is empty"},
    {"addresses=a,b,", "--set: addresses: item 3 of the list is empty"},
    {"addresses=a,\x01",
     "--set: addresses: \"\\x01\" must be UTF-8 on one line, without control characters"},
};

/* An error names what is wrong, and leaves the value before it as it was. */
static void test_bad_pairs(void **state)
{
    struct rill_config *config = create();
    struct rill_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad_pairs) / sizeof(bad_pairs[0]); i++) {
        assert_int_equal(rill_config_set_pair(config, bad_pairs[i].pair, &err), -22);
        assert_string_equal(err.text, bad_pairs[i].error);
        assert_int_equal(rill_config_set_pair(config, bad_pairs[i].pair, NULL), -22);
    }
    for (const struct rill_option *o = schema; o->def != NULL; o++) {
        assert_string_equal(text(config, o->name), o->def);
        assert_string_equal(rill_config_source(config, o->name), "default");
    }
    rill_config_destroy(config);
}

static void test_long_texts_stay_one_line(void **state)
{
    struct rill_config *config = create();
    struct rill_error err;
    char pair[5000] = "label=";

    (void)state;
    memset(pair + 6, '\n', sizeof(pair) - 7);
    assert_int_equal(rill_config_set_pair(config, pair, &err), -22);
    assert_null(strchr(err.text, '\n'));
    memset(pair, '\x80', 4000);
    pair[4000] = '=';
    assert_int_equal(rill_config_set_pair(config, pair, &err), -22);
    assert_non_null(strstr(err.text, "...: unknown; known: "));
    rill_config_destroy(config);
}

static void test_list_and_cut_text(void **state)
{
    struct rill_config *config = create();
    const char *const *items;
    char small[6];

    (void)state;
    assert_int_equal(rill_config_set_pair(config, "addresses=a,bcd", NULL), 0);
    assert_int_equal(rill_config_list(config, "addresses", &items), 2);
    assert_string_equal(items[0], "a");
    assert_string_equal(items[1], "bcd");
    for (size_t bytes = 1; bytes <= sizeof(small); bytes++) {
        rill_config_text(config, "addresses", small, bytes);
        assert_int_equal(strlen(small), bytes - 1);
    }
    assert_int_equal(rill_config_set_pair(config, "addresses=", NULL), 0);
    assert_int_equal(rill_config_list(config, "addresses", &items), 0);
    rill_config_destroy(config);
}

static void test_bad_schemas(void **state)
{
    static const struct {
        struct rill_option options[3];
        const char *error;
    } cases[] = {
        {{{"a", RILL_OPT_U64, "", 5, 4, NULL, "4", "A."}},
         "schema: a: min is above max, or one is no number"},
        {{{"a", RILL_OPT_U64, "", 0, 4, NULL, "5", "A."}},
         "schema: a: default: \"5\" is not an integer in 0..4; write it in plain decimal digits"},
        {{{"a", RILL_OPT_ENUM, "", 0, 0, NULL, "x", "A."}}, "schema: a: an enum needs choices"},
        {{{"a", RILL_OPT_ENUM, "", 2, 1, "x|y<N>", "x", "A."}},
         "schema: a: min is above max, or one is no number"},
        {{{"a", RILL_OPT_BOOL, "", 0, 0, NULL, "true", "A."},
          {"a", RILL_OPT_BOOL, "", 0, 0, NULL, "true", "A."}},
         "schema: a: stands there twice"},
        {{{"a", (enum rill_option_type)99, "", 0, 0, NULL, "true", "A."}},
         "schema: a: no such type: 99"},
    };
    struct rill_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(rill_config_create(cases[i].options, &err));
        assert_string_equal(err.text, cases[i].error);
    }
}

static void test_schema_without_options(void **state)
{
    struct rill_config *config = rill_config_create(NULL, NULL);
    struct rill_error err;

    (void)state;
    assert_non_null(config);
    assert_int_equal(rill_config_complete(config, &err), 0);
    assert_int_equal(rill_config_set_pair(config, "a=1", &err), -22);
    assert_string_equal(err.text, "--set: a: unknown; there are no options here");
    rill_config_destroy(config);
}

/* How a process ends that reads `name` as an integer. */
static int read_in_child(const char *name)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct rill_config *config = rill_config_create(schema, NULL);

        if (freopen("/dev/null", "w", stderr) != NULL)
            (void)rill_config_u64(config, name);
        rill_config_destroy(config);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_bugs_of_the_caller_abort(void **state)
{
    (void)state;
    assert_int_equal(read_in_child("wait_us"), 0);
    assert_int_equal(read_in_child("share"), SIGABRT);
    assert_int_equal(read_in_child("nonesuch"), SIGABRT);
    assert_int_equal(read_in_child("addresses"), SIGABRT);
}

static void test_edit_distance(void **state)
{
    (void)state;
    assert_int_equal(rill_edit_distance("", ""), 0);
    assert_int_equal(rill_edit_distance("abc", ""), 3);
    assert_int_equal(rill_edit_distance("", "abc"), 3);
    assert_int_equal(rill_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(rill_edit_distance("replica", "replicas"), 1);
    assert_int_equal(rill_edit_distance(HUNDRED, HUNDRED "x"), 0); /* alike as far as it looks */
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        unsigned character;
    } cases[] = {
        {"a", 1, 'a'},
        {"\xc3\xb6", 2, 0xf6},
        {"\xe2\x82\xac", 3, 0x20ac},
        {"\xf0\x9f\x8c\x8a", 4, 0x1f30a},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"", 0, 0},
        {"\x80", 0, 0},
        {"\xc3", 0, 0},
        {"\xc3(", 0, 0},
        {"\xc0\x80", 0, 0},
        {"\xe0\x80\x80", 0, 0},
        {"\xed\xa0\x80", 0, 0},
        {"\xf4\x90\x80\x80", 0, 0},
        {"\xff\xff\xff\xff", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned character = 0;
        size_t length = rill_utf8_character(cases[i].text, strlen(cases[i].text), &character);

        assert_int_equal(length, cases[i].length);
        if (length > 0)
            assert_int_equal(character, cases[i].character);
    }
}

static char *printed(const struct rill_config *config)
{
    char *out = NULL;
    size_t bytes;
    FILE *file = open_memstream(&out, &bytes);

    assert_non_null(file);
    rill_config_print(config, file);
    fclose(file);
    return out;
}

static void test_print(void **state)
{
    static const struct rill_option small[] = {
        {"wait_us", RILL_OPT_U64, "us", 10, 1000, NULL, "50", "How long to wait."},
        {"mode", RILL_OPT_ENUM, "", 0, 0, "slow|fast", "fast", "How fast."},
        {"policy", RILL_OPT_ENUM, "", 0, 0, "the_first_one|the_second_one", "the_first_one",
         "How."},
        {"addresses", RILL_OPT_LIST, "", 0, 0, NULL, NULL, "Addresses to use."},
        {.name = NULL},
    };
    static const char want[] =
        "NAME       VALUE                 UNIT  ALLOWED                  DEFAULT        SOURCE\n"
        "wait_us    70                    us    10..1000                 50             --set\n"
        "    How long to wait.\n"
        "mode       fast                        slow|fast                fast           default\n"
        "    How fast.\n"
        "policy     the_first_one               the_first_one|the_se...  the_first_one  default\n"
        "    How.\n"
        "    one of the_first_one|the_second_one\n"
        "addresses  [192.0.2.1, 192.0...        list                     -              "
        ".../production.yaml:12\n"
        "    Addresses to use.\n";
    struct rill_config *config = rill_config_create(small, NULL);
    char *out;

    (void)state;
    assert_int_equal(rill_config_set_pair(config, "wait_us=70", NULL), 0);
    assert_int_equal(rill_config_set(config, "addresses", "192.0.2.1,192.0.2.2,192.0.2.3",
                                     "/etc/rill/deployments/production.yaml:12", NULL),
                     0);
    out = printed(config);
    assert_string_equal(out, want);
    free(out);
    rill_config_destroy(config);
}

static bool ends_with(const char *name, const char *end)
{
    size_t a = strlen(name), b = strlen(end);

    return a >= b && strcmp(name + a - b, end) == 0;
}

/* Creating it checks types, doubled names, and that every default lies in its range. */
static void test_settings(void **state)
{
    static const struct {
        const char *unit, *end;
    } units[] = {{"us", "_us"}, {"ms", "_ms"}, {"s", "_s"}, {"Mbps", "_mbps"}, {"bytes", "_bytes"}};
    struct rill_error err = {""};
    struct rill_config *config = rill_config_create(rill_settings_schema, &err);
    int count = 0;

    (void)state;
    assert_string_equal(err.text, "");
    assert_non_null(config);
    for (const struct rill_option *o = rill_settings_schema; o->name != NULL; o++, count++) {
        assert_int_equal(strspn(o->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(o->name));
        assert_non_null(o->def);
        assert_string_equal(text(config, o->name), o->def);
        assert_true(strlen(o->doc) > 20 && strlen(o->doc) <= 110);
        assert_true(o->doc[strlen(o->doc) - 1] == '.');
        assert_true(strchr(o->doc, '\n') == NULL);
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            assert_true((strcmp(o->unit, units[i].unit) == 0) ==
                        (ends_with(o->name, units[i].end) && !ends_with(o->name, "_per_s")));
    }
    assert_true(count > 0);
    assert_int_equal(rill_config_complete(config, &err), 0);
    assert_int_equal(rill_config_set_pair(config, "seed=18446744073709551615", &err), 0);
    assert_true(rill_config_u64(config, "seed") == UINT64_MAX);
    rill_config_destroy(config);
}

static void test_settings_match_their_enums(void **state)
{
    static const struct {
        const char *name, *choice;
        unsigned index;
    } cases[] = {
        {"mode", "flowlet", RILL_MODE_FLOWLET},
        {"mode", "flow", RILL_MODE_FLOW},
        {"mode", "smart-flow:50ms", RILL_MODE_SMART_FLOW},
        {"detection", "timeout+size", RILL_DETECT_TIMEOUT_AND_SIZE},
        {"detection", "timeout", RILL_DETECT_TIMEOUT},
        {"state", "proactive", RILL_STATE_PROACTIVE},
        {"state", "reactive", RILL_STATE_REACTIVE},
        {"state", "external", RILL_STATE_EXTERNAL},
        {"replica_choice", "weighted", RILL_REPLICA_WEIGHTED},
        {"replica_choice", "deterministic", RILL_REPLICA_DETERMINISTIC},
        {"replica_choice", "predicted", RILL_REPLICA_PREDICTED},
        {"placement", "pack", RILL_PLACEMENT_PACK},
        {"placement", "spread", RILL_PLACEMENT_SPREAD},
        {"placement", "first-fit", RILL_PLACEMENT_FIRST_FIT},
        {"unhandled", "nf", RILL_UNHANDLED_NF},
        {"unhandled", "pass", RILL_UNHANDLED_PASS},
        {"unhandled", "drop", RILL_UNHANDLED_DROP},
    };
    struct rill_config *config = rill_config_create(rill_settings_schema, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(rill_config_set(config, cases[i].name, cases[i].choice, "--set", NULL), 0);
        assert_int_equal(rill_config_enum(config, cases[i].name), cases[i].index);
    }
    rill_config_destroy(config);
}

static void test_settings_print_within_120_columns(void **state)
{
    struct rill_config *config = rill_config_create(rill_settings_schema, NULL);
    char *out, *rest, *line;

    (void)state;
    assert_int_equal(rill_config_set(config, "replica_choice", "deterministic",
                                     "a/long/path/of/a/deployment.yaml:1234", NULL),
                     0);
    out = rest = printed(config);
    while ((line = strsep(&rest, "\n")) != NULL)
        assert_true(strlen(line) <= 120);
    free(out);
    rill_config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_good_pairs),
        cmocka_unit_test(test_bad_pairs),
        cmocka_unit_test(test_long_texts_stay_one_line),
        cmocka_unit_test(test_list_and_cut_text),
        cmocka_unit_test(test_bad_schemas),
        cmocka_unit_test(test_schema_without_options),
        cmocka_unit_test(test_bugs_of_the_caller_abort),
        cmocka_unit_test(test_edit_distance),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_match_their_enums),
        cmocka_unit_test(test_settings_print_within_120_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
