#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/daemon/log_file.h"

enum { MAX_BYTES = 200 };

static char folder[] = "/tmp/rill-log-XXXXXX", path[64], older[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/a.log", folder);
    snprintf(older, sizeof(older), "%s/a.log.1", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(older);
    return rmdir(folder);
}

static off_t size_of(const char *name)
{
    struct stat info;

    return stat(name, &info) == 0 ? info.st_size : -1;
}

static void the_newest_half_stays_and_writers_go_on(void **state)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    char text[MAX_BYTES / 2 + 1];
    FILE *in;

    (void)state;
    assert_int_equal(rill_log_file_bound(older, MAX_BYTES), 0); /* is not there */
    for (int i = 0; i < 10; i++)
        assert_int_equal(write(fd, "123456789\n", 10), 10);
    assert_int_equal(rill_log_file_bound(path, MAX_BYTES), 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(write(fd, "abcdefghi\n", 10), 10);
    assert_int_equal(rill_log_file_bound(path, MAX_BYTES), 1);
    assert_int_equal(size_of(path), 0);
    assert_int_equal(size_of(older), MAX_BYTES / 2);
    in = fopen(older, "re");
    assert_int_equal(fread(text, 1, sizeof(text), in), MAX_BYTES / 2);
    fclose(in);
    assert_memory_equal(text, "abcdefghi\nabcdefghi\n", 20);
    assert_int_equal(write(fd, "on\n", 3), 3); /* at the beginning, not behind a hole */
    assert_int_equal(size_of(path), 3);
    close(fd);
}

static void what_a_link_leads_to_is_not_touched(void **state)
{
    char target[64];
    FILE *out;

    (void)state;
    snprintf(target, sizeof(target), "%s/target", folder);
    out = fopen(target, "we");
    fprintf(out, "%*d\n", MAX_BYTES, 1);
    fclose(out);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
    assert_true(rill_log_file_bound(path, MAX_BYTES) < 0);
    assert_int_equal(size_of(target), MAX_BYTES + 1);
    unlink(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_half_stays_and_writers_go_on),
        cmocka_unit_test(what_a_link_leads_to_is_not_touched),
    };

    return cmocka_run_group_tests_name("log_file", tests, setup, teardown);
}
