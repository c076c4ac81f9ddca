#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/folder.h"
#include "cli/process.h"

enum { LONG_MS = 20000 };

static char folder[] = "/tmp/rill-process-test-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? chdir(folder) : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    unlink("log");
    unlink("pid");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static struct rill_process start(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct rill_process process;
    struct rill_error err;

    if (rill_process_start(&process, argv, "log", &err) != 0)
        fail_msg("%s", err.text);
    return process;
}

static void end(struct rill_process *process)
{
    rill_process_signal(process, SIGKILL);
    assert_true(rill_process_ended(process, LONG_MS));
    assert_int_equal(waitpid(process->pid, NULL, 0), process->pid);
    rill_process_close(process);
}

static void write_pid_file(const char *text)
{
    FILE *out = fopen("pid", "w");

    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void is_found_by_its_file(void **state)
{
    struct rill_process process = start("exec sleep 1000"), found;

    (void)state;
    assert_true(process.start_ticks > 0);
    assert_int_equal(getsid(process.pid), process.pid);
    assert_false(rill_process_ended(&process, 0));
    assert_int_equal(rill_process_write(&process, "pid", NULL), 0);
    assert_true(rill_process_find(&found, "pid"));
    assert_int_equal(found.pid, process.pid);
    rill_process_close(&found);
    assert_true(rill_process_ended(&found, 0));

    rill_process_signal(&process, SIGTERM);
    assert_true(rill_process_ended(&process, LONG_MS));
    assert_false(rill_process_find(&found, "pid")); /* also while nobody has waited for it */
    end(&process);
    assert_false(rill_process_find(&found, "pid"));
}

/* A pid that is another process' by now. */
static void pid_used_again(void **state)
{
    struct rill_process process = start("exec sleep 1000"), found;
    char text[64];

    (void)state;
    snprintf(text, sizeof(text), "%d %llu\n", (int)process.pid,
             (unsigned long long)process.start_ticks - 1);
    write_pid_file(text);
    assert_false(rill_process_find(&found, "pid"));
    assert_int_equal(found.fd, -1);
    rill_process_signal(&found, SIGKILL); /* nobody */
    assert_false(rill_process_ended(&process, 0));
    end(&process);
}

static void files_that_name_nobody(void **state)
{
    static const char *const texts[] = {"", "x y\n", "12\n", "0 5\n", "-1 5\n", "1 0\n"};
    struct rill_process found;

    (void)state;
    unlink("pid");
    assert_false(rill_process_find(&found, "pid"));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_pid_file(texts[i]);
        assert_false(rill_process_find(&found, "pid"));
    }
}

static void its_lines_are_appended(void **state)
{
    struct rill_process process;
    char text[64] = "";
    FILE *in;

    (void)state;
    unlink("log");
    for (int i = 0; i < 2; i++) {
        process = start("echo out; echo err >&2; read x || echo eof");
        assert_true(rill_process_ended(&process, LONG_MS));
        end(&process);
    }
    in = fopen("log", "r");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof(text) - 1, in) > 0);
    fclose(in);
    assert_string_equal(text, "out\nerr\neof\nout\nerr\neof\n");
}

static void what_cant_be_run(void **state)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct rill_process process;
    struct rill_error err;

    (void)state;
    assert_int_equal(rill_process_start(&process, argv, "log", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/program: can't be started: No such file"));
}

/* --- the cluster's folder -------------------------------------------------------------------- */

static struct rill_place place_of(const char *name)
{
    struct rill_place place = {.given_name = name};

    assert_int_equal(rill_place_resolve(&place, NULL), 0);
    snprintf(place.base, sizeof(place.base), "%s/base", folder);
    return place;
}

enum { PROGRAMS = 5 };
static const char *const programs[PROGRAMS] = {"rill-rm", "rill-agent", "rill-nf-runtime",
                                               "rill-output-logger", "rill-controller"};

static void make_programs(void)
{
    for (size_t i = 0; i < PROGRAMS; i++) {
        FILE *out = fopen(programs[i], "w");

        assert_non_null(out);
        assert_true(fprintf(out, "%s", programs[i]) > 0);
        fclose(out);
        assert_int_equal(chmod(programs[i], 0755), 0);
    }
}

static void remove_programs(void)
{
    for (size_t i = 0; i < PROGRAMS; i++)
        unlink(programs[i]);
}

static void assert_mode(const char *path, mode_t mode)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void made_and_removed(void **state)
{
    struct rill_place place = place_of("a"), other = place_of("b");
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(chmod(folder, 0755), 0);
    make_programs();
    assert_int_equal(rill_folder_state(&place), RILL_FOLDER_NONE);
    if (rill_folder_make(&place, folder, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(rill_folder_state(&place), RILL_FOLDER_CLUSTER);
    assert_int_equal(rill_folder_state(&other), RILL_FOLDER_OTHER);
    assert_mode("base/links", 0711);
    assert_mode("base/roles", 0711);
    assert_mode("base/control", 0755);
    assert_mode("base/logs", 0755);
    assert_mode("base/programs/rill-controller", 0755);
    /* What roles leave goes, too. */
    assert_int_equal(mkdir("base/links/x", 0700), 0);
    assert_int_equal(symlink("/etc", "base/links/x/y"), 0);
    assert_int_equal(rill_folder_remove(&place, false, &err), 0);
    assert_int_equal(access("base", F_OK), -1);
    assert_int_equal(access("/etc", F_OK), 0);
    assert_int_equal(rill_folder_state(&place), RILL_FOLDER_NONE);
    remove_programs();
}

static void logs_are_kept(void **state)
{
    struct rill_place place = place_of("a");
    char line[RILL_FOLDER_LINE_BYTES];
    FILE *out;

    (void)state;
    make_programs();
    assert_int_equal(rill_folder_make(&place, folder, NULL), 0);
    out = fopen("base/logs/rm.log", "w");
    assert_non_null(out);
    fputs("first\nlast\x1b[2J\n\n", out);
    fclose(out);
    assert_string_equal(rill_folder_last_line(&place, "rm", line), "last?[2J");
    assert_int_equal(rill_folder_remove(&place, true, NULL), 0);
    assert_int_equal(access("base/logs/rm.log", F_OK), 0);
    assert_int_equal(access("base/cluster", F_OK), -1);
    /* They don't stand in the way of the next, which begins without them. */
    assert_int_equal(rill_folder_state(&place), RILL_FOLDER_NONE);
    assert_int_equal(rill_folder_make(&place, folder, NULL), 0);
    assert_int_equal(access("base/logs/rm.log", F_OK), -1);
    assert_int_equal(rill_folder_remove(&place, false, NULL), 0);
    remove_programs();
}

static void somebody_elses(void **state)
{
    struct rill_place place = place_of("a");

    (void)state;
    assert_int_equal(mkdir("base", 0755), 0);
    assert_int_equal(rill_folder_state(&place), RILL_FOLDER_NONE);
    assert_int_equal(mkdir("base/data", 0755), 0);
    assert_int_equal(rill_folder_state(&place), RILL_FOLDER_OTHER);
    /* Even if asked to, it removes no more than what it knows. */
    assert_true(rill_folder_remove(&place, false, NULL) < 0);
    assert_int_equal(rmdir("base/data"), 0);
    assert_int_equal(rmdir("base"), 0);
}

static void a_program_is_missing(void **state)
{
    struct rill_place place = place_of("a");
    struct rill_error err = {""};

    (void)state;
    for (size_t i = 0; i < PROGRAMS; i++) {
        char says[64];

        make_programs();
        unlink(programs[i]);
        snprintf(says, sizeof(says), "/%s: No such file", programs[i]);
        assert_true(rill_folder_make(&place, folder, &err) < 0);
        assert_non_null(strstr(err.text, says));
        assert_int_equal(rill_folder_remove(&place, false, NULL), 0);
    }
    remove_programs();
}

static void containers_cant_enter(void **state)
{
    struct rill_place place = place_of("a");
    struct rill_error err = {""};

    (void)state;
    make_programs();
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(rill_folder_make(&place, folder, &err), -EACCES);
    assert_non_null(strstr(err.text, "containers can't enter"));
    assert_int_equal(rill_folder_remove(&place, false, NULL), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    remove_programs();
}

static void one_at_a_time(void **state)
{
    struct rill_place place = place_of("a");
    struct rill_error err = {""};
    int lock = rill_folder_lock(&place, &err), other;

    (void)state;
    assert_true(lock >= 0);
    assert_int_equal(rill_folder_lock(&place, &err), -EBUSY);
    assert_non_null(strstr(err.text, "another `rill up` or `rill down`"));
    rill_folder_unlock(&place, lock);
    assert_int_equal(access("base.lock", F_OK), -1);
    other = rill_folder_lock(&place, &err);
    assert_true(other >= 0);
    rill_folder_unlock(&place, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found_by_its_file),   cmocka_unit_test(pid_used_again),
        cmocka_unit_test(files_that_name_nobody), cmocka_unit_test(its_lines_are_appended),
        cmocka_unit_test(what_cant_be_run),       cmocka_unit_test(made_and_removed),
        cmocka_unit_test(logs_are_kept),          cmocka_unit_test(somebody_elses),
        cmocka_unit_test(a_program_is_missing),   cmocka_unit_test(containers_cant_enter),
        cmocka_unit_test(one_at_a_time),
    };

    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
