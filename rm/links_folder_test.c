#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rm/links_folder.h"

enum { PATH_BYTES = 128, UID = 3000000 };

struct place {
    char root[32];
    char folder[PATH_BYTES], outside[PATH_BYTES];
};

static void in(const char *folder, const char *name, char path[PATH_BYTES])
{
    assert_true(snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
}

static void touch(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    int fd;

    in(folder, name, path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    strcpy(place->root, "/tmp/links-folder-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    in(place->root, "folder", place->folder);
    in(place->root, "outside", place->outside);
    assert_int_equal(mkdir(place->outside, 0700), 0);
    touch(place->outside, "kept");
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    struct rill_error err;

    assert_int_equal(rill_links_folder_remove(place->root, &err), 0);
    free(place);
    return 0;
}

static uint32_t whose(void)
{
    return getuid() == 0 ? UID : getuid();
}

static void it_is_for_one_uid_alone(void **state)
{
    const struct place *place = *state;
    struct rill_error err;
    struct stat status;

    assert_int_equal(rill_links_folder_make(place->folder, whose(), &err), 0);
    assert_int_equal(stat(place->folder, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(status.st_uid, whose());
    assert_int_equal(rill_links_folder_make(place->folder, whose(), &err), -EEXIST);
    assert_non_null(strstr(err.text, place->folder));
}

static void all_goes_but_what_is_elsewhere(void **state)
{
    const struct place *place = *state;
    struct rill_error err;
    char path[PATH_BYTES];

    assert_int_equal(rill_links_folder_make(place->folder, whose(), &err), 0);
    touch(place->folder, "03000001.sock");
    in(place->folder, "deeper", path);
    assert_int_equal(mkdir(path, 0), 0); /* not even readable */
    in(place->folder, "link", path);
    assert_int_equal(symlink(place->outside, path), 0);
    assert_int_equal(rill_links_folder_remove(place->folder, &err), 0);
    assert_int_equal(access(place->folder, F_OK), -1);
    in(place->outside, "kept", path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(rill_links_folder_remove(place->folder, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_for_one_uid_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(all_goes_but_what_is_elsewhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
