#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/fail.h"

static const struct {
    const char *text;
    enum rill_role_kind kind; /* RILL_ROLE_NONE: refused */
    uint32_t number;
} roles[] = {
    {"unit:3", RILL_ROLE_UNIT, 3},
    {"unit-3", RILL_ROLE_UNIT, 3},
    {"output-logger:12", RILL_ROLE_OUTPUT_LOGGER, 12},
    {"output-logger-12", RILL_ROLE_OUTPUT_LOGGER, 12},
    {"controller:1", RILL_ROLE_CONTROLLER, 1},
    {"rm", RILL_ROLE_RM, 0},
    {"agent", RILL_ROLE_AGENT, 0},
    {"", RILL_ROLE_NONE, 0},
    {"unit", RILL_ROLE_NONE, 0},
    {"output-logger", RILL_ROLE_NONE, 0},
    {"unit:", RILL_ROLE_NONE, 0},
    {"unit-", RILL_ROLE_NONE, 0},
    {"unit:0", RILL_ROLE_NONE, 0},
    {"unit:-1", RILL_ROLE_NONE, 0},
    {"unit-3x", RILL_ROLE_NONE, 0},
    {"unit:3:4", RILL_ROLE_NONE, 0},
    {"rm-1", RILL_ROLE_NONE, 0},
    {"store:1", RILL_ROLE_NONE, 0},
};

static void roles_are_written_in_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        struct rill_fail fail = {0};
        struct rill_error err = {""};
        int rc = rill_fail_role(roles[i].text, &fail, &err);

        if (roles[i].kind == RILL_ROLE_NONE) {
            assert_int_not_equal(rc, 0);
            assert_non_null(strstr(err.text, roles[i].text));
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(fail.kind, roles[i].kind);
        assert_int_equal(fail.number, roles[i].number);
    }
}

static void the_time_is_behind_the_role(void **state)
{
    struct rill_fail fail;
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(rill_fail_parse("unit-2@1.5s", &fail, &err), 0);
    assert_int_equal(fail.number, 2);
    assert_int_equal(fail.at_ns, 1500000000);
    assert_int_not_equal(rill_fail_parse("unit:2", &fail, &err), 0);
    assert_int_not_equal(rill_fail_parse("unit:2@5", &fail, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_are_written_in_both_ways),
        cmocka_unit_test(the_time_is_behind_the_role),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
