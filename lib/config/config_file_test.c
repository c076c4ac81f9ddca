#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/config/config.h"

static const struct rill_option settings_schema[] = {
    {"wait_us", RILL_OPT_U64, "us", 10, 1000, NULL, "50", "How long to wait."},
    {"share", RILL_OPT_DOUBLE, "", 0, 1, NULL, "0.25", "A share."},
    {"mode", RILL_OPT_ENUM, "", 0, 0, "slow|fast", "fast", "How fast."},
    {.name = NULL},
};

static const struct rill_option config_schema[] = {
    {"log", RILL_OPT_BOOL, "", 0, 0, NULL, "false", "Whether to log."},
    {"label", RILL_OPT_STRING, "", 0, 0, NULL, "none", "A label."},
    {"ports", RILL_OPT_RANGE, "", 1, 65535, NULL, "1024-65535", "Ports to use."},
    {"addresses", RILL_OPT_LIST, "", 0, 0, NULL, "[]", "Addresses to use."},
    {.name = NULL},
};

/* Files are written into a folder of the test's own, which is where it runs. */
static char folder[] = "/tmp/rill-config-test-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? chdir(folder) : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    unlink("f.yaml");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void write_file(const char *text, size_t bytes)
{
    FILE *out = fopen("f.yaml", "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
}

struct configs {
    struct rill_config *settings, *config;
};

static struct configs create(void)
{
    struct configs c = {rill_config_create(settings_schema, NULL),
                        rill_config_create(config_schema, NULL)};

    assert_non_null(c.settings);
    assert_non_null(c.config);
    return c;
}

static void destroy(struct configs c)
{
    rill_config_destroy(c.settings);
    rill_config_destroy(c.config);
}

/* Opens f.yaml and applies both sections; the line is the first error's. */
static int load(struct configs c, struct rill_error *err)
{
    struct rill_config_file *file = NULL;
    int rc = rill_config_file_open("f.yaml", &file, err);

    if (rc == 0)
        rc = rill_config_file_apply(file, "settings", c.settings, err);
    if (rc == 0)
        rc = rill_config_file_apply(file, "config", c.config, err);
    rill_config_file_close(file);
    return rc;
}

static void test_good_file(void **state)
{
    static const char text[] = "\xef\xbb\xbf# a comment\r\n"
                               "%YAML 1.1\n"
                               "---\n"
                               "nf: ./my nf.so\n"
                               "settings:\n"
                               "  wait_us: 100   # more\n"
                               "  \"mode\": 'slow'\n"
                               "  share:\n"
                               "    0.5\n"
                               "config: {log: true, ports: 1-2,\n"
                               "  label: \"K\xc3\xb6ln, 7\",\n"
                               "  addresses: [192.0.2.1, '2001:db8::1',\n"
                               "     'a, b']}\n"
                               "...\n";
    struct configs c = create();
    struct rill_config_file *file;
    struct rill_error err = {""};
    const char *const *items;

    (void)state;
    write_file(text, sizeof(text) - 1);
    if (rill_config_file_open("f.yaml", &file, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(rill_config_file_nf(file), "./my nf.so");
    assert_int_equal(rill_config_file_apply(file, "settings", c.settings, &err), 0);
    assert_int_equal(rill_config_file_apply(file, "config", c.config, &err), 0);
    assert_int_equal(rill_config_file_apply(file, "nonesuch", c.config, &err), -22);
    rill_config_file_close(file);

    assert_int_equal(rill_config_u64(c.settings, "wait_us"), 100);
    assert_string_equal(rill_config_source(c.settings, "wait_us"), "f.yaml:6");
    assert_int_equal(rill_config_enum(c.settings, "mode"), 0);
    assert_string_equal(rill_config_source(c.settings, "share"), "f.yaml:9");
    assert_true(rill_config_bool(c.config, "log"));
    assert_string_equal(rill_config_string(c.config, "label"), "K\xc3\xb6ln, 7");
    assert_int_equal(rill_config_list(c.config, "addresses", &items), 3);
    assert_string_equal(items[1], "2001:db8::1");
    assert_string_equal(items[2], "a, b");
    destroy(c);
}

static void test_sections_may_be_absent_or_empty(void **state)
{
    static const char *const texts[] = {
        "nf: nat",
        "nf: nat\nsettings:\nconfig:\n",
        "{nf: nat, settings: {}, config: ~}",
        "config: {addresses: []}\nnf: nat\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct configs c = create();
        struct rill_error err = {""};

        write_file(texts[i], strlen(texts[i]));
        assert_int_equal(load(c, &err), 0);
        assert_int_equal(rill_config_u64(c.settings, "wait_us"), 50);
        destroy(c);
    }
}

#define EMPTY "f.yaml:1: empty; a deployment file holds at least \"nf: NAME\""

static const struct {
    const char *text, *error;
} bad_files[] = {
    /* The document. */
    {"", EMPTY},
    {"\n# nothing\n", EMPTY},
    {"---\n", EMPTY},
    {"--- ~\n", EMPTY},
    {"nat\n", "f.yaml:1: not a mapping; begin with \"nf: NAME\""},
    {"# c\n- nf: nat\n", "f.yaml:2: not a mapping; begin with \"nf: NAME\""},
    {"nf: a\n---\nnf: b\n", "f.yaml:2: a second document; a deployment file holds one"},
    {"nf: a\n...\n---\n", "f.yaml:3: a second document; a deployment file holds one"},
    {"settings: {}\n", "f.yaml:1: nf: missing; say which NF, as \"nf: NAME\""},
    {"nf: a\nconfg: {}\n", "f.yaml:2: confg: unknown; the nearest known one is config"},
    {"nf: a\nsetings: {}\n", "f.yaml:2: setings: unknown; the nearest known one is settings"},
    {"name: a\n", "f.yaml:1: name: unknown; known: nf, settings, config"},
    {"nf: a\nsettings:\n\nnf: b\n", "f.yaml:4: nf: a doubled key; it stands on line 1 already"},
    {"nf: a\nconfig: {}\nconfig: {}\n",
     "f.yaml:3: config: a doubled key; it stands on line 2 already"},
    {"nf:\nconfig: {}\n", "f.yaml:1: nf: no value; give the name of an NF or the path of its file"},
    {"nf: ''\n", "f.yaml:1: nf: no value; give the name of an NF or the path of its file"},
    {"nf: [nat]\n", "f.yaml:1: nf: a list or mapping where the name of an NF belongs"},
    {"nf: \"a\\nb\"\n",
     "f.yaml:1: nf: neither a name nor a path: too long, or with control characters"},
    {"nf: a\nsettings: 5\n",
     "f.yaml:2: settings: not a mapping; write lines of \"NAME: VALUE\" below it"},
    {"nf: a\nconfig:\n- log\n",
     "f.yaml:3: config: not a mapping; write lines of \"NAME: VALUE\" below it"},
    {"nf: a\n? [x]\n: y\n", "f.yaml:2: a list or mapping where a key belongs"},
    /* What YAML has and we refuse. */
    {"nf: &x a\n", "f.yaml:1: nf: an anchor (&x); write the value without it"},
    {"nf: a\nsettings:\n  wait_us: &n 50\n",
     "f.yaml:3: wait_us: an anchor (&n); write the value without it"},
    {"nf: a\nsettings: &s\n  wait_us: 50\n",
     "f.yaml:2: settings: an anchor (&s); write the value without it"},
    {"nf: a\nconfig:\n  addresses: &l [a]\n",
     "f.yaml:3: addresses: an anchor (&l); write the value without it"},
    {"nf: a\nsettings:\n  wait_us: *n\n",
     "f.yaml:3: wait_us: an alias (*n); write the value itself"},
    {"nf: a\nsettings:\n  <<: *n\n", "f.yaml:3: <<: an alias (*n); write the value itself"},
    {"nf: a\nsettings:\n  wait_us: !!int 50\n",
     "f.yaml:3: wait_us: a tag (tag:yaml.org,2002:int); write the value without it"},
    {"nf: a\nconfig: !x {}\n", "f.yaml:2: config: a tag (!x); write the value without it"},
    {"nf: a\nconfig:\n  addresses: ! [a]\n",
     "f.yaml:3: addresses: a tag (!); write the value without it"},
    {"nf: a\nconfig:\n  label: \"a\\0b\"\n",
     "f.yaml:3: label: a NUL byte (\\0) in the text; leave it out"},
    /* Keys. */
    {"nf: a\nsettings:\n  wait: 50\n", "f.yaml:3: wait: unknown; the nearest known one is wait_us"},
    {"nf: a\nsettings:\n  log: true\n", "f.yaml:3: log: unknown; known: wait_us, share, mode"},
    {"nf: a\nconfig:\n  adresses:\n    - a\n",
     "f.yaml:3: adresses: unknown; the nearest known one is addresses"},
    {"nf: a\nsettings:\n  wait_us: 50\n  mode: fast\n  wait_us: 50\n",
     "f.yaml:5: wait_us: a doubled key; it stands on line 3 already"},
    {"nf: a\nsettings:\n  [a]: 50\n", "f.yaml:3: a list or mapping where a key belongs"},
    {"nf: a\nsettings:\n  ? {a: b}\n", "f.yaml:3: a list or mapping where a key belongs"},
    {"nf: a\nsettings:\n  \"a\\e[2J\": 1\n",
     "f.yaml:3: a\\x1b[2J: unknown; known: wait_us, share, mode"},
    /* Values. */
    {"nf: a\nsettings:\n  wait_us:\n  mode: fast\n",
     "f.yaml:3: wait_us: no value; give one or remove the line"},
    {"nf: a\nconfig:\n  label: ~\n", "f.yaml:3: label: no value; give one or remove the line"},
    {"nf: a\nsettings:\n\n  wait_us: 5\n",
     "f.yaml:4: wait_us: \"5\" is not an integer in 10..1000 us; write it in plain decimal digits"},
    {"nf: a\nsettings:\n  share:\n    two\n", "f.yaml:4: share: \"two\" is not a number in 0..1"},
    {"nf: a\nsettings:\n  wait_us: '50'\n",
     "f.yaml:3: wait_us: text in quotes where a number belongs"},
    {"nf: a\nsettings:\n  share: |\n    0.5\n",
     "f.yaml:3: share: text in quotes where a number belongs"},
    {"nf: a\nconfig:\n  log: \"true\"\n",
     "f.yaml:3: log: text in quotes where true or false belongs"},
    {"nf: a\nconfig:\n  log: yes\n", "f.yaml:3: log: \"yes\" is neither true nor false"},
    {"nf: a\nsettings:\n  mode: [fast]\n", "f.yaml:3: mode: a list where one value belongs"},
    {"nf: a\nsettings:\n  mode: {fast: 1}\n", "f.yaml:3: mode: a mapping where a value belongs"},
    {"nf: a\nconfig:\n  addresses: 192.0.2.1\n",
     "f.yaml:3: addresses: one value where a list belongs; write [192.0.2.1]"},
    {"nf: a\nconfig:\n  addresses:\n    - a\n    - [b]\n",
     "f.yaml:5: addresses: a list or mapping where an item of a list belongs"},
    {"nf: a\nconfig:\n  addresses:\n    - a\n    - b: c\n",
     "f.yaml:5: addresses: a list or mapping where an item of a list belongs"},
    {"nf: a\nconfig:\n  addresses:\n    - a\n    -\n    - b\n",
     "f.yaml:5: addresses: an empty item; write it in quotes or leave it out"},
    {"nf: a\nconfig:\n  addresses:\n    - a\n    - \"b\\n\"\n",
     "f.yaml:5: addresses: \"b\\x0a\" must be UTF-8 on one line, without control characters"},
    {"nf: a\nconfig:\n  label: |\n    two\n    lines\n",
     "f.yaml:3: label: \"two\\x0alines\\x0a\" must be UTF-8 on one line, without control "
     "characters"},
    {"nf: a\nconfig:\n  ports: 9-8\n", "f.yaml:3: ports: \"9-8\" is not a range LOW-HIGH of "
                                       "integers in 1..65535, LOW not above HIGH"},
    /* Not YAML, or not text. */
    {"nf: a\nsettings:\n\twait_us: 5\n",
     "f.yaml:3: settings: not YAML: found character that cannot start any token while scanning for "
     "the next "
     "token; indent with spaces, not tabs, and quote text that begins with a special character"},
    {"nf: a\nsettings:\n  wait_us 50\n  mode: fast\n",
     "f.yaml:3: settings: not a mapping; write lines of \"NAME: VALUE\" below it"},
    {"nf: a: b\n", "f.yaml:1: not YAML: mapping values are not allowed in this context"},
    {"nf: a\nsettings\n",
     "f.yaml:2: not YAML: could not find expected ':' while scanning a simple key"},
    {"nf: a\nconfig:\n  label: 'open\n\n",
     "f.yaml:3: label: not YAML: found unexpected end of stream while scanning a quoted scalar"},
    {"nf: a\nconfig: {log: true\n",
     "f.yaml:3: not YAML: did not find expected ',' or '}' while parsing a flow mapping"},
    {"nf: a\nconfig:\n  label: *\n",
     "f.yaml:3: label: not YAML: did not find expected alphabetic or numeric character while "
     "scanning an alias"},
    {"nf: a\n\nconfig: \x80\n", "f.yaml:3: not UTF-8; save the file as UTF-8"},
    {"\xff\xfen\n", "f.yaml:1: not UTF-8; save the file as UTF-8"},
    {"nf: a\r\rconfig: \x1b[0m\n", "f.yaml:3: control character U+001B; leave it out"},
    {"nf: a\r\n\r\nconfig: \xc2\x85\n", "f.yaml:3: control character U+0085; leave it out"},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        struct configs c = create();
        struct rill_error err = {""};

        write_file(bad_files[i].text, strlen(bad_files[i].text));
        assert_int_equal(load(c, &err), -22);
        assert_string_equal(err.text, bad_files[i].error);
        assert_int_equal(load(c, NULL), -22);
        destroy(c);
    }
}

static void test_nul_byte(void **state)
{
    struct configs c = create();
    struct rill_error err;

    (void)state;
    write_file("nf: a\n\0\n", 8);
    assert_int_equal(load(c, &err), -22);
    assert_string_equal(err.text, "f.yaml:2: a NUL byte; this is no text file");
    destroy(c);
}

static void test_files_that_cannot_be_read(void **state)
{
    char path[400] = "";
    struct rill_config_file *file;
    struct rill_error err;

    (void)state;
    assert_int_equal(rill_config_file_open("none.yaml", &file, &err), -2);
    assert_string_equal(err.text, "none.yaml: cannot open it: No such file or directory");
    assert_null(file);
    assert_int_equal(rill_config_file_open(".", &file, &err), -21);
    assert_string_equal(err.text, ".: cannot read it: Is a directory");
    memset(path, 'x', sizeof(path) - 1);
    path[390] = '\n';
    assert_true(rill_config_file_open(path, &file, &err) < 0);
    assert_null(strchr(err.text, '\n'));
    assert_memory_equal(err.text, "...xxx", 6);
    assert_non_null(strstr(err.text, "x?xxxxxxxx: cannot open it: "));
    rill_config_file_close(NULL);
}

/* A file of `unit` again and again, of just under 1 MB or just over. */
static int load_repeated(const char *start, const char *unit, size_t bytes, struct rill_error *err)
{
    size_t unit_bytes = strlen(unit), used = strlen(start);
    char *text = malloc(bytes);
    struct configs c = create();
    int rc;

    assert_non_null(text);
    memcpy(text, start, used);
    while (used < bytes) {
        size_t n = bytes - used < unit_bytes ? bytes - used : unit_bytes;

        memcpy(text + used, unit, n);
        used += n;
    }
    write_file(text, bytes);
    rc = load(c, err);
    free(text);
    destroy(c);
    return rc;
}

static void test_large_files(void **state)
{
    static const char *const units[] = {"[",   "{",     "- ",   "? ",    "a: ",   "{a: ", "&a ",
                                        "!a ", "*a ",   "'",    "\"",    "a,",    "#",    "\n",
                                        "a\n", "- a\n", "|\n ", "---\n", "a: b\n"};
    static const char *const starts[] = {"", "nf: a\n", "nf: a\nconfig: {addresses: [",
                                         "nf: a\nconfig:\n  addresses:\n    ", "nf: "};
    struct rill_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        for (size_t j = 0; j < sizeof(starts) / sizeof(starts[0]); j++)
            load_repeated(starts[j], units[i], 1 << 20, &err);
    assert_int_equal(load_repeated("nf: a\n", "#\n", 1 << 20, &err), 0);
    assert_int_equal(load_repeated("nf: a\n", "#\n", (1 << 20) + 1, &err), -22);
    assert_string_equal(err.text,
                        "f.yaml: larger than 1 MB; is that the path of a configuration file?");
}

static void test_many_keys(void **state)
{
    struct configs c = create();
    struct rill_error err;
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    (void)state;
    fprintf(out, "nf: a\nconfig:\n");
    for (int i = 0; i < 1001; i++)
        fprintf(out, "  k%d: 1\n", i);
    fclose(out);
    write_file(text, bytes);
    assert_int_equal(load(c, &err), -22);
    assert_string_equal(err.text, "f.yaml:1003: more than 1000 keys; no NF has so many options");
    free(text);
    destroy(c);
}

static void test_section_for_an_nf_without_options(void **state)
{
    struct rill_config *none = rill_config_create(NULL, NULL);
    struct rill_config_file *file;
    struct rill_error err;

    (void)state;
    write_file("nf: a\nconfig:\n  a: 1\n", 20);
    assert_int_equal(rill_config_file_open("f.yaml", &file, &err), 0);
    assert_int_equal(rill_config_file_apply(file, "settings", none, &err), 0);
    assert_int_equal(rill_config_file_apply(file, "config", none, &err), -22);
    assert_string_equal(err.text, "f.yaml:2: config: there are no options here; remove it");
    rill_config_file_close(file);
    rill_config_destroy(none);
}

static void test_cluster_files(void **state)
{
    static const struct {
        const char *text, *error; /* NULL: good */
    } files[] = {
        {"cluster:\n  wait_us: 70\n", NULL},
        {"cluster:\n", NULL},
        {"", "f.yaml:1: empty; a cluster file holds at least \"cluster:\""},
        {"- a\n", "f.yaml:1: not a mapping; begin with \"cluster:\""},
        {"{}\n", "f.yaml:1: cluster: missing; it holds all that a cluster file says"},
        {"cluster: {}\nnf: nat\n", "f.yaml:2: nf: unknown; known: cluster"},
        {"settings: {}\n", "f.yaml:1: settings: unknown; known: cluster"},
        {"cluster: {}\ncluster: {}\n",
         "f.yaml:2: cluster: a doubled key; it stands on line 1 already"},
        {"cluster: {}\n---\n", "f.yaml:2: a second document; a cluster file holds one"},
        {"cluster:\n  wait: 50\n", "f.yaml:2: wait: unknown; the nearest known one is wait_us"},
        {"cluster:\n  wait_us: 5\n", "f.yaml:2: wait_us: \"5\" is not an integer in 10..1000 us; "
                                     "write it in plain decimal digits"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct configs c = create();
        struct rill_config_file *file = NULL;
        struct rill_error err = {""};
        int rc;

        write_file(files[i].text, strlen(files[i].text));
        rc = rill_config_cluster_file_open("f.yaml", &file, &err);
        if (rc == 0)
            rc = rill_config_file_apply(file, "cluster", c.settings, &err);
        assert_string_equal(err.text, files[i].error != NULL ? files[i].error : "");
        assert_int_equal(rc, files[i].error != NULL ? -22 : 0);
        if (file != NULL)
            assert_null(rill_config_file_nf(file));
        if (i == 0)
            assert_int_equal(rill_config_u64(c.settings, "wait_us"), 70);
        rill_config_file_close(file);
        destroy(c);
    }
}

static void test_deployment_file_with_a_cluster(void **state)
{
    struct rill_config_file *file;
    struct rill_error err;

    (void)state;
    write_file("nf: a\ncluster: {}\n", 18);
    assert_int_equal(rill_config_file_open("f.yaml", &file, &err), -22);
    assert_string_equal(err.text, "f.yaml:2: cluster: unknown; known: nf, settings, config");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_sections_may_be_absent_or_empty),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_large_files),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_section_for_an_nf_without_options),
        cmocka_unit_test(test_cluster_files),
        cmocka_unit_test(test_deployment_file_with_a_cluster),
    };

    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
