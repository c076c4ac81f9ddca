/* What is written can be read again, all of it; a line that was cut off can't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/usage/usage.h"

static struct rill_usage_record example(void)
{
    struct rill_usage_record r = {.sequence = 18446744073709551615u,
                                  .start_ns = 1,
                                  .end_ns = 1000000001,
                                  .deployment = "web-2",
                                  .role = "unit:3",
                                  .final = true};
    uint64_t value = 1000;

#define X(name) r.counts.name = value++;
    RILL_USAGE_COUNTS(X)
#undef X
    return r;
}

static char *line_of(const struct rill_usage_record *r)
{
    char *line = NULL;
    size_t bytes;
    FILE *file = open_memstream(&line, &bytes);

    assert_non_null(file);
    rill_usage_write(file, r);
    fclose(file);
    assert_true(bytes < RILL_USAGE_LINE_BYTES);
    return line;
}

static void what_is_written_is_read(void **state)
{
    struct rill_usage_record r = example(), again;
    char *line = line_of(&r);

    (void)state;
    assert_int_equal(rill_usage_read(line, &again), 0);
    assert_int_equal(again.sequence, r.sequence);
    assert_int_equal(again.start_ns, r.start_ns);
    assert_int_equal(again.end_ns, r.end_ns);
    assert_string_equal(again.deployment, r.deployment);
    assert_string_equal(again.role, r.role);
    assert_true(again.final);
    assert_memory_equal(&again.counts, &r.counts, sizeof(r.counts));
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    free(line);
}

static void a_line_that_was_cut_off_is_refused(void **state)
{
    struct rill_usage_record r = example(), again;
    char *line = line_of(&r);

    (void)state;
    for (size_t bytes = strlen(line) - 1; bytes-- > 0;) {
        line[bytes] = '\0';
        assert_int_not_equal(rill_usage_read(line, &again), 0);
    }
    free(line);
}

static void names_stay_one_word(void **state)
{
    struct rill_usage_record r = example(), again;
    char *line;

    (void)state;
    strcpy(r.deployment, "a\"b\\c\nd");
    line = line_of(&r);
    assert_int_equal(rill_usage_read(line, &again), 0);
    assert_string_equal(again.deployment, "a-b-c-d");
    free(line);
}

static void counts_add_up(void **state)
{
    struct rill_usage_record r = example();
    struct rill_usage_counts sum = {0}, since;

    (void)state;
    assert_true(rill_usage_is_zero(&sum));
    rill_usage_add(&sum, &r.counts);
    rill_usage_add(&sum, &r.counts);
    since = rill_usage_since(&sum, &r.counts);
    assert_memory_equal(&since, &r.counts, sizeof(since));
    since = rill_usage_since(&sum, &sum);
    assert_true(rill_usage_is_zero(&since));
    since.unit_ns = 1;
    assert_false(rill_usage_is_zero(&since));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_line_that_was_cut_off_is_refused),
        cmocka_unit_test(names_stay_one_word),
        cmocka_unit_test(counts_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
