#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/config/config.h"
#include "nf-runtime/nf_test_descriptor.h"
#include "nf-runtime/object_watch.h"

/* An NF whose object is one number, as text; "no" is refused when it is loaded, odd numbers by the
 * instance. */

static atomic_int alive;

static void *load(struct rill_load *load_, const struct rill_config *config, const char *text,
                  size_t bytes)
{
    int *number = malloc(sizeof(*number));

    (void)config;
    assert_non_null(number);
    if (bytes == 2 && memcmp(text, "no", 2) == 0) {
        free(number);
        return rill_load_error(load_, 1, "no number");
    }
    *number = atoi(text);
    atomic_fetch_add(&alive, 1);
    return number;
}

static void unload(void *object)
{
    atomic_fetch_sub(&alive, 1);
    free(object);
}

static int changed(struct rill_nf *nf, const void *object)
{
    return *(const int *)object % 2 != 0 ? rill_nf_error(nf, "odd") : 0;
}

static const struct rill_object_type type = {.load = load, .unload = unload, .changed = changed};
static const struct rill_option options[] = {
    {.name = "number", .type = RILL_OPT_STRING, .unit = "", .def = "n", .doc = "an object"},
    {.name = "more", .type = RILL_OPT_STRING, .unit = "", .def = "", .doc = "an object"},
    {.name = NULL}};

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    return rill_object_declare(nf, "number", &type) < 0 ||
                   rill_object_declare(nf, "more", &type) < 0
               ? -1
               : 0;
}

static const struct rill_nf_descriptor descriptor = NF_TEST_DESCRIPTOR(init, options);

struct world {
    char folder[64];
    struct rill_config *config;
    struct rill_nf *nf;
    struct rill_object_watch *watch;
};

static atomic_uint lines;
static char last_line[600]; /* written by one thread, read once `lines` has grown */

static void say(void *arg, const char *line)
{
    (void)arg;
    snprintf(last_line, sizeof(last_line), "%s", line);
    atomic_fetch_add(&lines, 1);
}

static void put(const struct world *w, const char *text)
{
    char path[128], beside[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/n", w->folder);
    snprintf(beside, sizeof(beside), "%s/.n", w->folder);
    file = fopen(beside, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(beside, path), 0);
}

static int setup(void **state)
{
    static struct world w;
    struct rill_error err = {.text = ""};
    struct rill_object_watch_config config = {
        .store = w.folder, .interval_ns = 1000000, .say = say};

    w = (struct world){.folder = "/tmp/rill-watch-test-XXXXXX"};
    assert_non_null(mkdtemp(w.folder));
    w.config = rill_config_create(options, &err);
    w.nf = rill_nf_create(&descriptor, w.config, &err);
    assert_non_null(w.nf);
    w.watch = rill_object_watch_create(&config, w.nf, &err);
    assert_non_null(w.watch);
    atomic_store(&lines, 0);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char path[128];

    rill_object_watch_destroy(w->watch);
    rill_nf_destroy(w->nf);
    rill_config_destroy(w->config);
    snprintf(path, sizeof(path), "%s/n", w->folder);
    unlink(path);
    assert_int_equal(atomic_load(&alive), 0);
    return rmdir(w->folder);
}

static void pause_a_little(void)
{
    const struct timespec t = {.tv_nsec = 200000};

    nanosleep(&t, NULL);
}

/* Plays the packet thread until the number in use is that. */
static void until_number(struct world *w, int number)
{
    for (int i = 0; i < 100000; i++) {
        const int *now = rill_object(w->nf, 0);

        if (now != NULL && *now == number)
            return;
        if (rill_object_watch_pending(w->watch))
            rill_object_watch_apply(w->watch, w->nf);
        pause_a_little();
    }
    fail_msg("%d was not taken", number);
}

static void until_line(struct world *w, unsigned n, const char *part)
{
    for (int i = 0; i < 100000 && atomic_load(&lines) < n; i++) {
        if (rill_object_watch_pending(w->watch))
            rill_object_watch_apply(w->watch, w->nf);
        pause_a_little();
    }
    if (strstr(last_line, part) == NULL)
        fail_msg("no '%s' in: %s", part, last_line);
}

static void until_looked(struct world *w, uint64_t times)
{
    struct rill_object_status status;
    uint64_t before;

    rill_object_watch_status(w->watch, 0, &status);
    before = status.looks;
    for (int i = 0; i < 100000 && status.looks < before + times; i++) {
        if (rill_object_watch_pending(w->watch))
            rill_object_watch_apply(w->watch, w->nf);
        pause_a_little();
        rill_object_watch_status(w->watch, 0, &status);
    }
    assert_true(status.looks >= before + times);
}

static void test_first_version_and_newer_ones(void **state)
{
    struct world *w = *state;
    struct rill_object_status status;
    struct rill_error err = {.text = ""};

    put(w, "2");
    assert_int_equal(rill_object_watch_load(w->watch, &err), 0);
    rill_object_watch_apply(w->watch, w->nf);
    assert_int_equal(*(const int *)rill_object(w->nf, 0), 2);
    assert_null(rill_object(w->nf, 1)); /* its option is empty */
    assert_int_equal(rill_object_watch_start(w->watch, &err), 0);
    for (int n = 4; n < 24; n += 2) {
        char text[16];

        snprintf(text, sizeof(text), "%d", n);
        put(w, text);
        until_number(w, n);
    }
    until_looked(w, 5);
    rill_object_watch_status(w->watch, 0, &status);
    assert_int_equal(status.taken, 11);
    assert_int_equal(status.refused, 0);
}

static void test_bad_versions_are_told_once(void **state)
{
    struct world *w = *state;
    struct rill_object_status status;
    struct rill_error err = {.text = ""};

    put(w, "2");
    assert_int_equal(rill_object_watch_load(w->watch, &err), 0);
    rill_object_watch_apply(w->watch, w->nf);
    assert_int_equal(rill_object_watch_start(w->watch, &err), 0);
    put(w, "no");
    until_line(w, 1, "n:1: no number");
    put(w, "3");
    until_line(w, 2, "odd");
    until_looked(w, 5);
    rill_object_watch_status(w->watch, 0, &status);
    assert_int_equal(status.refused, 2);
    assert_int_equal(atomic_load(&lines), 2);
    assert_int_equal(*(const int *)rill_object(w->nf, 0), 2);
    assert_non_null(strstr(status.error, "odd"));
    put(w, "4");
    until_number(w, 4);
    rill_object_watch_status(w->watch, 0, &status);
    assert_string_equal(status.error, "");
}

static void test_store_that_goes_and_comes(void **state)
{
    struct world *w = *state;
    struct rill_error err = {.text = ""};
    char path[128], trouble[512];

    put(w, "2");
    assert_int_equal(rill_object_watch_load(w->watch, &err), 0);
    rill_object_watch_apply(w->watch, w->nf);
    assert_int_equal(rill_object_watch_start(w->watch, &err), 0);
    snprintf(path, sizeof(path), "%s/n", w->folder);
    unlink(path);
    until_line(w, 1, "stays");
    rill_object_watch_trouble(w->watch, trouble, sizeof(trouble));
    assert_string_not_equal(trouble, "");
    assert_int_equal(*(const int *)rill_object(w->nf, 0), 2);
    put(w, "6");
    until_number(w, 6);
}

static void test_thread_loads_the_first(void **state)
{
    struct world *w = *state;
    struct rill_error err = {.text = ""};
    int rc;

    put(w, "8");
    assert_int_equal(rill_object_watch_loaded(w->watch, &err), 1);
    assert_int_equal(rill_object_watch_start(w->watch, &err), 0);
    while ((rc = rill_object_watch_loaded(w->watch, &err)) == 1)
        pause_a_little();
    assert_int_equal(rc, 0);
    rill_object_watch_apply(w->watch, w->nf);
    assert_null(rill_nf_object_missing(w->nf));
}

static void test_first_version_that_is_bad(void **state)
{
    struct world *w = *state;
    struct rill_error err = {.text = ""};

    assert_int_not_equal(rill_object_watch_load(w->watch, &err), 0);
    assert_non_null(strstr(err.text, "number"));
    put(w, "no");
    assert_int_not_equal(rill_object_watch_load(w->watch, &err), 0);
    assert_string_equal(err.text, "n:1: no number");
}

static void test_new_instances_get_what_is_there(void **state)
{
    struct world *w = *state;
    struct rill_error err = {.text = ""};
    struct rill_nf *other = rill_nf_create(&descriptor, w->config, &err);

    put(w, "2");
    assert_int_equal(rill_object_watch_load(w->watch, &err), 0);
    rill_object_watch_apply(w->watch, w->nf);
    assert_int_equal(rill_object_watch_equip(w->watch, other, &err), 0);
    assert_ptr_equal(rill_object(other, 0), rill_object(w->nf, 0));
    rill_nf_destroy(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_version_and_newer_ones), TEST(test_bad_versions_are_told_once),
        TEST(test_store_that_goes_and_comes),    TEST(test_thread_loads_the_first),
        TEST(test_first_version_that_is_bad),    TEST(test_new_instances_get_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
