#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cluster_settings.h"

/* --- names and folders ----------------------------------------------------------------------- */

static void defaults(void **state)
{
    struct rill_place place = {0};
    char buf[RILL_PLACE_PATH_BYTES];

    (void)state;
    assert_int_equal(rill_place_resolve(&place, NULL), 0);
    assert_string_equal(place.name, "rill");
    assert_string_equal(place.base, "/run/rill/rill");
    assert_string_equal(rill_place_path(&place, "rm.sock", buf), "/run/rill/rill/rm.sock");
    assert_string_equal(rill_place_command(&place, "up", buf), "rill up");
    place.given_name = "x7";
    assert_int_equal(rill_place_resolve(&place, NULL), 0);
    assert_string_equal(place.base, "/run/rill/x7");
    assert_string_equal(rill_place_command(&place, "up", buf), "rill up --cluster x7");
    place.given_base = "/tmp/b";
    assert_int_equal(rill_place_resolve(&place, NULL), 0);
    assert_string_equal(rill_place_command(&place, "up", buf),
                        "rill up --cluster x7 --base /tmp/b");
}

static void what_is_no_place(void **state)
{
    static const struct {
        const char *name, *base, *says;
    } cases[] = {
        {"", NULL, "--cluster '': a cluster's name has 1 to 24 characters"},
        {"A", NULL, "--cluster 'A'"},
        {"a-b", NULL, "--cluster 'a-b'"},
        {"../x", NULL, "--cluster '../x'"},
        {"abcdefghijklmnopqrstuvwxy", NULL, "--cluster 'abc"},
        {NULL, "", "--base '': it is an absolute path"},
        {NULL, "run/x", "--base 'run/x': it is an absolute path"},
        {NULL, "/", "--base '/'"},
        {NULL, "/run/x/", "--base '/run/x/': a plain path"},
        {NULL, "/run//x", "--base '/run//x': a plain path"},
        {NULL, "/run/../x", "--base '/run/../x': a plain path"},
        {NULL, "/run/a b", "--base '/run/a b': a plain path"},
        {NULL, "/a2345678901234567890123456789012345678901234", "longer than 44 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rill_place place = {.given_name = cases[i].name, .given_base = cases[i].base};
        struct rill_error err = {""};

        assert_true(rill_place_resolve(&place, &err) < 0);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("says '%s', not '%s'", err.text, cases[i].says);
    }
}

/* --- cluster files --------------------------------------------------------------------------- */

static char folder[] = "/tmp/rill-place-test-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? chdir(folder) : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    unlink("c.yaml");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void write_file(const char *text)
{
    FILE *out = fopen("c.yaml", "w");

    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void a_file_and_set(void **state)
{
    char *sets[] = {"warm=0", "poll=sleep"};
    struct rill_cluster_request request = {.file = "c.yaml", .sets = sets, .set_count = 2};
    struct rill_config *config;
    struct rill_error err = {""};

    (void)state;
    write_file(
        "cluster:\n  name: blue\n  base: /tmp/blue\n  warm: 3\n  cpus: 0-3,7\n  uid: 70000\n");
    if (rill_cluster_settings_read(&request, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(request.place.name, "blue");
    assert_string_equal(request.place.base, "/tmp/blue");
    assert_int_equal(rill_config_u64(config, "warm"), 0);
    assert_int_equal(rill_config_enum(config, "poll"), 2);
    assert_int_equal(rill_config_u64(config, "uid"), 70000);
    assert_string_equal(rill_config_string(config, "cpus"), "0-3,7");
    rill_config_destroy(config);
    /* The options outrank the file. */
    request.place = (struct rill_place){.given_name = "red", .given_base = "/tmp/red"};
    assert_int_equal(rill_cluster_settings_read(&request, &config, &err), 0);
    assert_string_equal(request.place.name, "red");
    assert_string_equal(request.place.base, "/tmp/red");
    rill_config_destroy(config);
}

static void what_is_no_cluster(void **state)
{
    static const struct {
        const char *file; /* its text; NULL: none */
        char *set;
        const char *says;
    } cases[] = {
        {"cluster:\n  name: A-1\n", NULL, "c.yaml:2: name 'A-1': a cluster's name has"},
        {"cluster:\n  warm: 17\n", NULL, "c.yaml:2: warm: \"17\" is not an integer in 0..16"},
        {"cluster:\n  base: x\n", NULL, "c.yaml:2: base 'x': it is an absolute path"},
        {"cluster:\n  warmth: 1\n", NULL,
         "c.yaml:2: warmth: unknown; the nearest known one is warm"},
        {"cluster:\n  poll: never\n", NULL,
         "c.yaml:2: poll: \"never\" is not one of yield|busy|sleep"},
        {"cluster:\n  listen: 1.2.3.4:5\n", NULL, "c.yaml:2: listen is no tcp://ADDRESS:PORT"},
        {"cluster:\n  cpus: all\n", NULL, "c.yaml:2: cpus is no list of processors"},
        {"cluster:\n  uid: 0\n", NULL, "c.yaml:2: uid: \"0\" is not an integer in 1.."},
        {"nf: nat\n", NULL, "c.yaml:1: nf: unknown; known: cluster"},
        {"warm: 1\n", NULL, "c.yaml:1: warm: unknown; known: cluster"},
        {NULL, "name=", "--set: name '': a cluster's name has"},
        {NULL, "warm=x", "--set: warm: \"x\" is not an integer"},
        {NULL, "nonsense=1", "--set: nonsense: unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *sets[] = {cases[i].set};
        struct rill_cluster_request request = {.file = cases[i].file != NULL ? "c.yaml" : NULL,
                                               .sets = sets,
                                               .set_count = cases[i].set != NULL};
        struct rill_config *config;
        struct rill_error err = {""};

        if (cases[i].file != NULL)
            write_file(cases[i].file);
        assert_true(rill_cluster_settings_read(&request, &config, &err) < 0);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("says '%s', not '%s'", err.text, cases[i].says);
        assert_null(strchr(err.text, '\n'));
        rill_config_destroy(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(what_is_no_place),
        cmocka_unit_test(a_file_and_set),
        cmocka_unit_test(what_is_no_cluster),
    };

    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
