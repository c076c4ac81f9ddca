/* Objects in a status: units that have the same are one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/status_objects.h"
#include "lib/base/role.h"

enum { UNITS = 3 };

/* A status of one deployment, whose units have one object each. */
struct fixture {
    Control__Status status;
    Control__Deployment web, *deployments[1];
    Control__Role units[UNITS], *roles[UNITS];
    Control__Objects objects[UNITS];
    Control__Object object[UNITS], *lists[UNITS][1];
};

static void make(struct fixture *f)
{
    control__status__init(&f->status);
    control__deployment__init(&f->web);
    f->web.vni = 1;
    f->web.name = "web";
    f->deployments[0] = &f->web;
    f->status.deployments = f->deployments;
    f->status.n_deployments = 1;
    f->status.roles = f->roles;
    f->status.n_roles = UNITS;
    for (uint32_t i = 0; i < UNITS; i++) {
        control__role__init(&f->units[i]);
        control__objects__init(&f->objects[i]);
        control__object__init(&f->object[i]);
        f->object[i].option = "rules";
        f->object[i].name = "rules.txt";
        f->object[i].version = "a1";
        f->lists[i][0] = &f->object[i];
        f->objects[i].objects = f->lists[i];
        f->objects[i].n_objects = 1;
        f->units[i].role = rill_role_id(RILL_ROLE_UNIT, i + 1);
        f->units[i].deployment = 1;
        f->units[i].objects = &f->objects[i];
        f->roles[i] = &f->units[i];
    }
}

static void expect_text(const struct fixture *f, const char *wanted)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    rill_status_print_objects(out, &f->status);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void units_that_have_the_same_are_one_line(void **state)
{
    struct fixture f;

    (void)state;
    make(&f);
    expect_text(&f, "objects     web: rules.txt (rules), version a1 at unit-1, unit-2, unit-3\n");
    f.object[1].version = "b2";
    f.object[1].lines_skipped = 2;
    expect_text(&f, "objects     web: rules.txt (rules), version a1 at unit-1, unit-3\n"
                    "            web: rules.txt (rules), version b2 at unit-2; 2 lines left out\n");
}

static void what_was_refused_is_told(void **state)
{
    struct fixture f;

    (void)state;
    make(&f);
    f.object[0].error = f.object[2].error = "rules.txt:7: 'x' is no\x01port";
    f.objects[1].trouble = "rules.txt: it is gone";
    expect_text(&f, "objects     web: rules.txt (rules), version a1 at unit-1, unit-3\n"
                    "              REFUSED the newest: rules.txt:7: 'x' is no?port\n"
                    "            web: rules.txt (rules), version a1 at unit-2\n"
                    "              unit-2 can't read the store: rules.txt: it is gone\n");
}

static void without_objects_nothing_is_said(void **state)
{
    struct fixture f;

    (void)state;
    make(&f);
    for (uint32_t i = 0; i < UNITS; i++)
        f.units[i].objects = NULL;
    expect_text(&f, "");
}

static void other_deployments_are_other_lines(void **state)
{
    struct fixture f;

    (void)state;
    make(&f);
    f.units[0].deployment = 2; /* about to go: it is not listed any more */
    f.status.n_roles = 2;
    expect_text(&f, "objects     ?: rules.txt (rules), version a1 at unit-1\n"
                    "            web: rules.txt (rules), version a1 at unit-2\n");
}

static void as_json(void **state)
{
    struct fixture f;
    struct rill_json json;
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    (void)state;
    make(&f);
    f.object[0].updates_refused = 3;
    f.object[0].error = "no";
    rill_json_start(&json, out);
    rill_json_open(&json, NULL, '{');
    rill_status_json_objects(&json, &f.objects[0]);
    rill_json_close(&json, '}');
    fclose(out);
    assert_non_null(strstr(text, "\"version\": \"a1\""));
    assert_non_null(strstr(text, "\"updates_refused\": 3"));
    assert_non_null(strstr(text, "\"error\": \"no\""));
    assert_non_null(strstr(text, "\"store_trouble\": \"\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_that_have_the_same_are_one_line),
        cmocka_unit_test(what_was_refused_is_told),
        cmocka_unit_test(without_objects_nothing_is_said),
        cmocka_unit_test(other_deployments_are_other_lines),
        cmocka_unit_test(as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
