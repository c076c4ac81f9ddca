/* The file of usage records: numbers go on over restarts, and a record that was cut off goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rm/usage_file.h"

static char path[] = "/tmp/usage_file_test.XXXXXX";

static int make(void **state)
{
    int fd;

    (void)state;
    strcpy(path + sizeof(path) - 7, "XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    return close(fd);
}

static int clean(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(uint64_t packets, uint64_t sequence)
{
    struct rill_usage_record record = {
        .deployment = "d", .role = "unit:1", .counts = {.packets = packets}};
    struct rill_usage_file file;
    struct rill_error err;

    assert_int_equal(rill_usage_file_open(&file, path, &err), 0);
    assert_int_equal(rill_usage_file_put(&file, &record), 0);
    assert_int_equal(record.sequence, sequence);
    rill_usage_file_close(&file);
}

static void append(const char *text)
{
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void numbers_go_on(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 3; n++)
        put(10 * n, n);
}

static void a_record_that_was_cut_off_goes(void **state)
{
    struct rill_usage_record record;
    char line[RILL_USAGE_LINE_BYTES];
    uint64_t n = 0;
    FILE *file;

    (void)state;
    put(10, 1);
    append("{\"sequence\":2,\"start_ns\":");
    put(20, 2);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_int_equal(rill_usage_read(line, &record), 0);
        assert_int_equal(record.sequence, ++n);
        assert_int_equal(record.counts.packets, 10 * n);
    }
    assert_int_equal(n, 2);
    fclose(file);
}

static void put_of(const char *role, uint64_t packets, bool final)
{
    struct rill_usage_record record = {
        .deployment = "d", .end_ns = packets, .final = final, .counts = {.packets = packets}};
    struct rill_usage_file file;
    struct rill_error err;

    strcpy(record.role, role);
    assert_int_equal(rill_usage_file_open(&file, path, &err), 0);
    assert_int_equal(rill_usage_file_put(&file, &record), 0);
    rill_usage_file_close(&file);
}

/* Another one goes on from there, and not with what has ended. */
static void what_was_recorded_of_the_living_is_known(void **state)
{
    const struct rill_usage_sum *sum;
    struct rill_usage_file file;
    struct rill_error err;

    (void)state;
    put_of("unit:1", 10, false);
    put_of("unit:2", 20, false);
    put_of("unit:3", 30, false);
    put_of("unit:1", 11, false);
    put_of("unit:2", 1, true);
    assert_int_equal(rill_usage_file_open(&file, path, &err), 0);
    sum = rill_usage_file_sum(&file, "d", "unit:1");
    assert_non_null(sum);
    assert_int_equal(sum->counts.packets, 21);
    assert_int_equal(sum->end_ns, 11);
    assert_null(rill_usage_file_sum(&file, "d", "unit:2"));
    assert_int_equal(rill_usage_file_sum(&file, "d", "unit:3")->counts.packets, 30);
    assert_null(rill_usage_file_sum(&file, "e", "unit:3"));
    rill_usage_file_close(&file);
}

static void what_is_no_record_is_refused(void **state)
{
    struct rill_usage_file file;
    struct rill_error err;

    (void)state;
    put(10, 1);
    append("hello\n");
    assert_int_not_equal(rill_usage_file_open(&file, path, &err), 0);
    assert_non_null(strstr(err.text, ":2:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_go_on, make, clean),
        cmocka_unit_test_setup_teardown(a_record_that_was_cut_off_goes, make, clean),
        cmocka_unit_test_setup_teardown(what_was_recorded_of_the_living_is_known, make, clean),
        cmocka_unit_test_setup_teardown(what_is_no_record_is_refused, make, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
