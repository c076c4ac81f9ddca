#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/config/config.h"
#include "nf-runtime/nf_host.h"
#include "nf-runtime/nf_test_descriptor.h"

/* An NF whose object is a list of words, one a line: "bad" is an error, "odd" is skipped. What it
 * makes of it counts what is alive. */

struct words {
    unsigned n;
};

static unsigned alive;
static bool refuse_change;
static unsigned changes;

static void *load_words(struct rill_load *load, const struct rill_config *config, const char *text,
                        size_t bytes)
{
    struct words *words = calloc(1, sizeof(*words));
    unsigned line = 1;

    (void)config;
    assert_non_null(words);
    for (size_t at = 0; at < bytes; line++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t n = end != NULL ? (size_t)(end - text) - at : bytes - at;

        if (n == 4 && memcmp(text + at, "mute", 4) == 0) {
            free(words);
            return NULL;
        }
        if (n == 3 && memcmp(text + at, "bad", 3) == 0) {
            free(words);
            return rill_load_error(load, line, "'%.3s' is no word", text + at);
        }
        if (n == 3 && memcmp(text + at, "odd", 3) == 0)
            rill_load_skip(load, line, "odd\tword");
        else
            words->n++;
        at += n + 1;
    }
    alive++;
    return words;
}

static void unload_words(void *object)
{
    alive--;
    free(object);
}

static int words_changed(struct rill_nf *nf, const void *object)
{
    (void)object;
    changes++;
    return refuse_change ? rill_nf_error(nf, "no more of them") : 0;
}

static const struct rill_object_type words_type = {
    .load = load_words, .unload = unload_words, .changed = words_changed};

static const struct rill_option options[] = {
    {.name = "words", .type = RILL_OPT_STRING, .unit = "", .def = "", .doc = "an object"},
    {.name = "on", .type = RILL_OPT_BOOL, .unit = "", .def = "true", .doc = "no object"},
    {.name = NULL}};

static const char *declared_option = "words";

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    return rill_object_declare(nf, declared_option, &words_type) == 0 ? 0 : -1;
}

static const struct rill_nf_descriptor descriptor = NF_TEST_DESCRIPTOR(init, options);

static struct rill_config *config_with(const char *name)
{
    struct rill_error err = {.text = ""};
    struct rill_config *config = rill_config_create(options, &err);

    assert_non_null(config);
    assert_int_equal(rill_config_set(config, "words", name, "test", &err), 0);
    assert_int_equal(rill_config_complete(config, &err), 0);
    return config;
}

static struct rill_nf *make(const struct rill_config *config)
{
    struct rill_error err = {.text = ""};
    struct rill_nf *nf = rill_nf_create(&descriptor, config, &err);

    if (nf == NULL)
        fail_msg("%s", err.text);
    return nf;
}

static struct rill_object_version *load(const struct rill_nf *nf, const char *version,
                                        const char *text, struct rill_load_report *report,
                                        struct rill_error *err)
{
    return rill_object_load(rill_nf_object_spec(nf, 0), version, text, strlen(text), report, err);
}

static unsigned words_of(struct rill_nf *nf)
{
    return ((const struct words *)rill_object(nf, 0))->n;
}

static void test_versions_take_turns(void **unused)
{
    struct rill_config *config = config_with("list.txt");
    struct rill_nf *nf = make(config);
    struct rill_load_report report;
    struct rill_error err = {.text = ""};
    struct rill_object_version *one, *two;

    (void)unused;
    assert_int_equal(rill_nf_object_count(nf), 1);
    assert_string_equal(rill_nf_object_spec(nf, 0)->name, "list.txt");
    assert_string_equal(rill_nf_object_spec(nf, 0)->option, "words");
    assert_ptr_equal(rill_nf_object_missing(nf), rill_nf_object_spec(nf, 0));
    assert_string_equal(rill_nf_object_version(nf, 0), "");
    one = load(nf, "v1", "a\nb\n", &report, &err);
    assert_non_null(one);
    assert_int_equal(rill_nf_object_set(nf, 0, one, &err), 0);
    rill_object_release(one);
    assert_null(rill_nf_object_missing(nf));
    assert_string_equal(rill_nf_object_version(nf, 0), "v1");
    assert_int_equal(words_of(nf), 2);
    two = load(nf, "v2", "a\nb\nc", &report, &err);
    assert_int_equal(alive, 2);
    assert_int_equal(rill_nf_object_set(nf, 0, two, &err), 0);
    assert_int_equal(alive, 1);
    assert_int_equal(words_of(nf), 3);
    rill_nf_destroy(nf);
    assert_int_equal(alive, 1);
    rill_object_release(two);
    assert_int_equal(alive, 0);
    rill_config_destroy(config);
}

static void test_instances_share_a_version(void **unused)
{
    struct rill_config *config = config_with("list.txt");
    struct rill_nf *a = make(config), *b = make(config);
    struct rill_load_report report;
    struct rill_error err = {.text = ""};
    struct rill_object_version *v = load(a, "v1", "x", &report, &err);

    (void)unused;
    assert_int_equal(rill_nf_object_set(a, 0, v, &err), 0);
    assert_int_equal(rill_nf_object_set(b, 0, v, &err), 0);
    rill_object_release(v);
    assert_int_equal(alive, 1);
    assert_ptr_equal(rill_object(a, 0), rill_object(b, 0));
    rill_nf_destroy(a);
    assert_int_equal(words_of(b), 1);
    rill_nf_destroy(b);
    assert_int_equal(alive, 0);
    rill_config_destroy(config);
}

static void test_bad_text_is_told_with_its_line(void **unused)
{
    struct rill_config *config = config_with("list.txt");
    struct rill_nf *nf = make(config);
    struct rill_load_report report;
    struct rill_error err = {.text = ""};

    (void)unused;
    assert_null(load(nf, "v", "a\nodd\nbad\nbad", &report, &err));
    assert_string_equal(err.text, "list.txt:3: 'bad' is no word");
    assert_int_equal(report.skipped, 1);
    assert_null(load(nf, "v", "mute", &report, &err));
    assert_non_null(strstr(err.text, "does not say why"));
    assert_int_equal(report.skipped, 0);
    assert_int_equal(alive, 0);
    rill_nf_destroy(nf);
    rill_config_destroy(config);
}

static void test_skips_are_shown_and_counted(void **unused)
{
    struct rill_config *config = config_with("list.txt");
    struct rill_nf *nf = make(config);
    struct rill_load_report report;
    struct rill_error err = {.text = ""};
    struct rill_object_version *v =
        load(nf, "v", "a\nodd\nodd\nodd\nodd\nodd\nodd\nb", &report, &err);

    (void)unused;
    assert_non_null(v);
    assert_int_equal(report.skipped, 6);
    assert_string_equal(report.lines[0], "list.txt:2: odd?word");
    assert_string_equal(report.lines[4], "list.txt:6: odd?word");
    rill_object_release(v);
    rill_nf_destroy(nf);
    rill_config_destroy(config);
}

static void test_refused_change_keeps_the_old(void **unused)
{
    struct rill_config *config = config_with("list.txt");
    struct rill_nf *nf = make(config);
    struct rill_load_report report;
    struct rill_error err = {.text = ""};
    struct rill_object_version *one = load(nf, "v1", "a", &report, &err);
    struct rill_object_version *two = load(nf, "v2", "a\nb", &report, &err);

    (void)unused;
    changes = 0;
    assert_int_equal(rill_nf_object_set(nf, 0, one, &err), 0);
    refuse_change = true;
    assert_int_not_equal(rill_nf_object_set(nf, 0, two, &err), 0);
    refuse_change = false;
    assert_non_null(strstr(err.text, "list.txt"));
    assert_non_null(strstr(err.text, "no more of them"));
    assert_string_equal(rill_nf_object_version(nf, 0), "v1");
    assert_int_equal(words_of(nf), 1);
    assert_int_equal(rill_nf_object_set(nf, 0, two, &err), 0);
    assert_int_equal(words_of(nf), 2);
    assert_int_equal(changes, 3);
    rill_object_release(one);
    rill_object_release(two);
    rill_nf_destroy(nf);
    rill_config_destroy(config);
    assert_int_equal(alive, 0);
}

static void test_empty_option_has_no_object(void **unused)
{
    struct rill_config *config = config_with("");
    struct rill_nf *nf = make(config);

    (void)unused;
    assert_null(rill_object(nf, 0));
    assert_null(rill_nf_object_missing(nf));
    rill_nf_destroy(nf);
    rill_config_destroy(config);
}

static void refused(const char *name, const char *option, const char *part)
{
    struct rill_config *config = config_with(name);
    struct rill_error err = {.text = ""};

    declared_option = option;
    assert_null(rill_nf_create(&descriptor, config, &err));
    declared_option = "words";
    if (strstr(err.text, part) == NULL)
        fail_msg("no '%s' in: %s", part, err.text);
    rill_config_destroy(config);
}

static void test_bad_declarations(void **unused)
{
    (void)unused;
    refused("list.txt", "on", "'on'");
    refused("list.txt", "none", "'none'");
    refused("../passwd", "words", "'words'");
    refused("a/b", "words", "'/'");
    refused(".hidden", "words", "'.'");
    refused("a b", "words", "space");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_take_turns),
        cmocka_unit_test(test_instances_share_a_version),
        cmocka_unit_test(test_bad_text_is_told_with_its_line),
        cmocka_unit_test(test_skips_are_shown_and_counted),
        cmocka_unit_test(test_refused_change_keeps_the_old),
        cmocka_unit_test(test_empty_option_has_no_object),
        cmocka_unit_test(test_bad_declarations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
