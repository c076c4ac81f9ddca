#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/daemon/turns.h"

enum { TURNS = 1000 };

static char folder[] = "/tmp/rill-turns-XXXXXX", path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/turns", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static int made(void)
{
    struct rill_error err = {.text = ""};
    int fd = rill_turns_make(path, getuid(), &err);

    if (fd < 0)
        print_message("%s\n", err.text);
    assert_true(fd >= 0);
    return fd;
}

static void begins_with_none(void **state)
{
    uint64_t count = 77;
    struct stat info;
    int fd = made();

    (void)state;
    assert_int_equal(rill_turns_read(fd, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_uid, getuid());
    close(fd);
}

/* Before it is closed, as a killed process leaves it. */
static void another_process_sees_turns(void **state)
{
    uint64_t count = 0;
    int fd = made(), status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct rill_turns turns;

        if (rill_turns_open(&turns, path, NULL) != 0)
            _exit(1);
        for (int i = 0; i < TURNS; i++)
            rill_turns_count(&turns);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(rill_turns_read(fd, &count), 0);
    assert_int_equal(count, TURNS);
    close(fd);
}

static void counts_on_where_it_was(void **state)
{
    struct rill_turns turns;
    uint64_t count = 0;
    int fd = made();

    (void)state;
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_equal(rill_turns_open(&turns, path, NULL), 0);
        rill_turns_count(&turns);
        assert_int_equal(rill_turns_read(fd, &count), 0);
        assert_int_equal(count, i);
        rill_turns_close(&turns);
        assert_null(turns.count);
    }
    rill_turns_close(&turns); /* again: nothing to do */
    close(fd);
}

static void a_file_cut_off_hurts_no_watcher(void **state)
{
    uint64_t count;
    int fd = made();

    (void)state;
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(rill_turns_read(fd, &count), -ENODATA);
    close(fd);
    assert_int_equal(rill_turns_read(fd, &count), -EBADF);
}

static void only_a_turns_file_is_mapped(void **state)
{
    struct rill_error err = {.text = ""};
    struct rill_turns turns;
    int fd;

    (void)state;
    assert_int_equal(rill_turns_open(&turns, path, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    fd = made();
    assert_int_equal(ftruncate(fd, 7), 0);
    err.text[0] = '\0';
    assert_int_equal(rill_turns_open(&turns, path, &err), -EINVAL);
    assert_non_null(strstr(err.text, path));
    close(fd);
}

static void a_file_that_is_there_is_not_taken(void **state)
{
    struct rill_error err = {.text = ""};
    int fd = made();

    (void)state;
    assert_int_equal(rill_turns_make(path, getuid(), &err), -EEXIST);
    assert_non_null(strstr(err.text, path));
    close(fd);
}

#define TEST(f) cmocka_unit_test_teardown(f, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_with_none),
        TEST(another_process_sees_turns),
        TEST(counts_on_where_it_was),
        TEST(a_file_cut_off_hurts_no_watcher),
        TEST(only_a_turns_file_is_mapped),
        TEST(a_file_that_is_there_is_not_taken),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
