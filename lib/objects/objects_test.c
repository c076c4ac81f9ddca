#include <dirent.h>
#include <errno.h>
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

#include "lib/objects/objects.h"
#include "lib/store/redis_server.h"

static char folder[64];

/* --- what every form does --------------------------------------------------------------------- */

static struct rill_objects *opened(const char *address)
{
    struct rill_error err = {.text = ""};
    struct rill_objects *objects = rill_objects_open(address, &err);

    if (objects == NULL)
        fail_msg("%s", err.text);
    return objects;
}

static void put(struct rill_objects *objects, const char *name, const char *text, char *version)
{
    struct rill_error err = {.text = ""};

    if (rill_objects_put(objects, name, text, strlen(text), version, &err) != 0)
        fail_msg("%s", err.text);
}

/* `name` is that text in that version. */
static void holds(struct rill_objects *objects, const char *name, const char *expected,
                  const char *version)
{
    char now[RILL_OBJECT_VERSION_BYTES];
    struct rill_objects_text text;
    struct rill_error err = {.text = ""};

    if (rill_objects_version(objects, name, now, &err) != 0 ||
        rill_objects_get(objects, name, &text, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(now, version);
    assert_string_equal(text.version, version);
    assert_string_equal(text.bytes, expected);
    assert_int_equal(text.count, strlen(expected));
    free(text.bytes);
}

struct listed {
    char text[256];
};

static void list_one(void *arg, const char *name, const char *version, size_t bytes)
{
    struct listed *l = arg;
    size_t at = strlen(l->text);

    assert_true(strlen(version) > 8);
    snprintf(l->text + at, sizeof(l->text) - at, "%s %zu;", name, bytes);
}

static void battery(struct rill_objects *objects)
{
    char one[RILL_OBJECT_VERSION_BYTES], two[RILL_OBJECT_VERSION_BYTES];
    struct rill_objects_text text;
    struct rill_error err = {.text = ""};
    struct listed listed = {""};

    assert_int_equal(rill_objects_version(objects, "rules.txt", one, &err), -ENOENT);
    assert_non_null(strstr(err.text, "rules.txt"));
    assert_int_equal(rill_objects_get(objects, "rules.txt", &text, &err), -ENOENT);
    put(objects, "rules.txt", "allow all\n", one);
    holds(objects, "rules.txt", "allow all\n", one);
    put(objects, "rules.txt", "allow ALL\n", two); /* as long as before, and at once */
    assert_string_not_equal(one, two);
    holds(objects, "rules.txt", "allow ALL\n", two);
    put(objects, "rules.txt", "allow all\n", two);
    assert_string_equal(one, two);
    put(objects, "empty", "", two);
    holds(objects, "empty", "", two);
    assert_int_equal(rill_objects_list(objects, list_one, &listed, &err), 0);
    assert_string_equal(listed.text, "empty 0;rules.txt 10;");
    assert_int_equal(rill_objects_get(objects, "../x", &text, &err), -EINVAL);
    assert_int_equal(rill_objects_put(objects, ".x", "", 0, one, &err), -EINVAL);
    rill_objects_close(objects);
}

/* --- folder ----------------------------------------------------------------------------------- */

static int make_folder(void **unused)
{
    (void)unused;
    snprintf(folder, sizeof(folder), "/tmp/rill-objects-test-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **unused)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    (void)unused;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return rmdir(folder);
}

static void test_folder(void **unused)
{
    (void)unused;
    battery(opened(folder));
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_folder_sees_what_others_write(void **unused)
{
    struct rill_objects *objects = opened(folder);
    char version[RILL_OBJECT_VERSION_BYTES], path[256];
    struct rill_objects_text text;
    struct rill_error err = {.text = ""};

    (void)unused;
    for (int i = 0; i < 20; i++) { /* within one tick of the file system's clock */
        char line[32];

        snprintf(line, sizeof(line), "text %02d", i);
        write_file("a", line);
        rill_objects_name_version(line, strlen(line), version);
        holds(objects, "a", line, version);
    }
    snprintf(path, sizeof(path), "%s/a", folder);
    unlink(path);
    assert_int_equal(rill_objects_version(objects, "a", version, &err), -ENOENT);
    mkdir(path, 0700);
    assert_int_equal(rill_objects_get(objects, "a", &text, &err), -EIO);
    assert_non_null(strstr(err.text, "is no file"));
    rmdir(path);
    rill_objects_close(objects);
    objects = opened("/nowhere/at/all");
    assert_int_equal(rill_objects_version(objects, "a", version, &err), -ENOENT);
    rill_objects_close(objects);
}

static void test_bad_addresses(void **unused)
{
    static const char *const bad[] = {
        "",           "http://x",        "redis://",          "redis://host", "redis://host:0",
        "redis://:1", "redis://h:1/a/b", "redis+unix:socket", "redis+unix:",  "redis://h:x"};
    struct rill_error err;

    (void)unused;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.text[0] = '\0';
        if (rill_objects_open(bad[i], &err) != NULL)
            fail_msg("'%s' was taken", bad[i]);
        assert_string_not_equal(err.text, "");
    }
}

/* --- Redis ------------------------------------------------------------------------------------ */

#ifdef RILL_HAS_REDIS
static struct redis_server *server;

static int start_server(void **unused)
{
    (void)unused;
    server = redis_server_create();
    return server != NULL && redis_server_start(server) ? 0 : -1;
}

static int end_server(void **unused)
{
    (void)unused;
    redis_server_destroy(server);
    return 0;
}

/* As redis:// or redis+unix:, of what external_store calls it. */
static const char *address(const char *of, const char *prefix)
{
    static char text[256];

    if (strncmp(of, "unix:", 5) == 0)
        snprintf(text, sizeof(text), "redis+unix:%s%s%s", of + 5, prefix[0] != '\0' ? ":" : "",
                 prefix);
    else
        snprintf(text, sizeof(text), "redis://%s%s%s", of, prefix[0] != '\0' ? "/" : "", prefix);
    return text;
}

static void test_redis(void **unused)
{
    (void)unused;
    battery(opened(address(redis_server_port(server), "")));
    battery(opened(address(redis_server_socket(server), "other")));
}

static void test_redis_that_goes_and_comes(void **unused)
{
    struct rill_objects *objects = opened(address(redis_server_port(server), "p"));
    char version[RILL_OBJECT_VERSION_BYTES];
    struct rill_error err = {.text = ""};

    (void)unused;
    put(objects, "a", "x", version);
    redis_server_kill(server);
    assert_int_equal(rill_objects_version(objects, "a", version, &err), -EIO);
    assert_non_null(strstr(err.text, "redis://"));
    assert_int_equal(rill_objects_version(objects, "a", version, &err), -EIO);
    assert_true(redis_server_start(server)); /* empty */
    assert_int_equal(rill_objects_version(objects, "a", version, &err), -ENOENT);
    put(objects, "a", "y", version);
    holds(objects, "a", "y", version);
    rill_objects_close(objects);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_folder_sees_what_others_write, make_folder,
                                        remove_folder),
        cmocka_unit_test(test_bad_addresses),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

#ifdef RILL_HAS_REDIS
    if (redis_server_is_installed()) {
        const struct CMUnitTest redis[] = {cmocka_unit_test(test_redis),
                                           cmocka_unit_test(test_redis_that_goes_and_comes)};

        failed += cmocka_run_group_tests(redis, start_server, end_server);
    }
#endif
    return failed;
}
