#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/embedded.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/report.h"

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

/* The first Ctrl-C asks for a clean end; SA_RESETHAND lets the second one kill. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int on_progress(void *arg, uint64_t done, uint64_t total, uint64_t released)
{
    rill_progress_update(arg, monotonic_ns(), done, total, released);
    return stop;
}

/* A report that can't be written is better refused before a long run than after it. */
static int check_json(const char *path, struct rill_error *err)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    char folder[PATH_MAX] = ".";
    struct stat st;
    int rc;

    if (path == NULL || strcmp(path, "-") == 0)
        return 0;
    if (slash != NULL)
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        rc = -1;
    } else {
        rc = access(access(path, F_OK) == 0 ? path : folder, W_OK);
    }
    if (rc != 0)
        return rill_error_set(err, -errno, "%s: can't be written: %s; give --json another path",
                              path, strerror(errno));
    return 0;
}

/* Would writing `output` destroy `input`? By device and inode, so that links are seen through. */
static bool same_file(const char *output, const char *input)
{
    struct stat a, b;

    return output != NULL && input != NULL && stat(output, &a) == 0 && stat(input, &b) == 0 &&
           S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int check_outputs(const struct rill_replay_options *o, struct rill_error *err)
{
    if (same_file(o->out, o->trace) || same_file(o->json, o->trace))
        return rill_error_set(err, -EINVAL, "%s: is the capture itself; give another output path",
                              o->trace);
    if (same_file(o->json, o->config) || same_file(o->out, o->config))
        return rill_error_set(err, -EINVAL, "%s: is the configuration; give another output path",
                              o->config);
    if (o->json != NULL && o->out != NULL && strcmp(o->json, o->out) == 0)
        return rill_error_set(err, -EINVAL, "%s: --json and --out must differ", o->out);
    return check_json(o->json, err);
}

static int show(const struct rill_replay_options *o, const struct rill_report *report)
{
    bool json_on_stdout = o->json != NULL && strcmp(o->json, "-") == 0;
    struct rill_error err;

    if (!o->quiet)
        rill_report_print(report, json_on_stdout ? stderr : stdout);
    if (o->json != NULL && rill_report_write_json(report, o->json, &err) != 0)
        return rill_cmd_refuse("replay", err.text);
    if (rill_report_sound(report))
        return RILL_EXIT_DONE;
    fprintf(stderr, "rill replay: the run broke a promise: %s\n",
            rill_report_balances(report) ? "packets came out wrong"
                                         : "packets are not accounted for");
    return RILL_EXIT_BROKEN;
}

static int replay(const struct rill_replay_options *o, struct rill_report *report,
                  struct rill_error *err)
{
#ifdef RILL_HAS_CLUSTER
    if (o->cluster != NULL)
        return rill_remote_replay(o, report, err);
#endif
    return rill_embedded_replay(o, report, err);
}

static int run(struct rill_replay_options *o)
{
    struct rill_report *report = calloc(1, sizeof(*report));
    struct rill_progress progress = {0};
    struct rill_error err = {""};
    int rc;

    if (report == NULL)
        return rill_cmd_refuse("replay", "no memory for the report");
    if (!o->quiet)
        rill_progress_init(&progress, stderr, monotonic_ns());
    o->progress = on_progress;
    o->progress_arg = &progress;
    catch_signals();
    rc = replay(o, report, &err);
    rill_progress_clear(&progress);
    rc = rc == 0 ? show(o, report) : rill_cmd_refuse("replay", err.text);
    rill_report_fini(report);
    free(report);
    return rc;
}

int rill_cmd_replay(int argc, char **argv)
{
    struct rill_replay_options options;
    struct rill_error err = {""};
    int rc = rill_replay_options_parse(argc, argv, &options, &err);

    if (rc > 0) {
        rill_replay_help(stdout);
        rc = RILL_EXIT_DONE;
    } else if (rc < 0 || check_outputs(&options, &err) != 0) {
        rc = rill_cmd_refuse("replay", err.text);
    } else {
        rc = run(&options);
    }
    rill_replay_options_fini(&options);
    return rc;
}
