#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "eval/bench/start.h"
#include "lib/control/link.h"
#include "lib/daemon/turns.h"

enum { PATH_BYTES = 256, TOKEN = 0x5eed, WAIT_MS = 60000 };

extern char **environ;

struct program {
    char url[PATH_BYTES], turns[PATH_BYTES], links[PATH_BYTES];
    uv_loop_t loop;
    uv_timer_t patience;
    struct rill_link *link;
    uint32_t peer; /* its connection; 0: it has not joined */
    pid_t pid;
    int turns_fd;
    bool given_up, activated;
    uint64_t activation_ns;
    struct rill_error err;
};

/* --- what it says ---------------------------------------------------------------------------- */

static void on_message(void *arg, uint32_t peer, const Control__Message *m)
{
    struct program *p = arg;

    if (m->body_case == CONTROL__MESSAGE__BODY_JOIN) {
        p->peer = peer;
    } else if (m->body_case == CONTROL__MESSAGE__BODY_ACTIVATED) {
        p->activated = true;
        p->activation_ns = m->activated->activation_ns;
    } else if (m->body_case == CONTROL__MESSAGE__BODY_ERROR) {
        rill_error_set(&p->err, -EIO, "%s", m->error->text);
        p->given_up = true;
    }
}

static void on_change(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer;
}

static void on_patience(uv_timer_t *timer)
{
    struct program *p = timer->data;

    rill_error_set(&p->err, -ETIMEDOUT, "rill-nf-runtime has not answered for a minute");
    p->given_up = true;
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

/* --- its life -------------------------------------------------------------------------------- */

static int listen_for(struct program *p, const char *folder, struct rill_error *err)
{
    const struct rill_link_events events = {
        .up = on_change, .down = on_change, .message = on_message, .arg = p};

    snprintf(p->url, sizeof(p->url), "ipc://%s/control", folder);
    snprintf(p->turns, sizeof(p->turns), "%s/turns", folder);
    snprintf(p->links, sizeof(p->links), "%s/program", folder);
    uv_loop_init(&p->loop);
    uv_timer_init(&p->loop, &p->patience);
    p->patience.data = p;
    uv_timer_start(&p->patience, on_patience, WAIT_MS, 0);
    if (mkdir(p->links, 0700) != 0 && errno != EEXIST)
        return rill_error_set(err, -errno, "%s: %s", p->links, strerror(errno));
    p->turns_fd = rill_turns_make(p->turns, getuid(), err);
    if (p->turns_fd < 0)
        return p->turns_fd;
    return rill_link_listen(&p->loop, p->url, 0600, &events, &p->link, err);
}

static int spawn(struct program *p, const char *path, struct rill_error *err)
{
    char role[16], token[24],
        *argv[] = {(char *)(uintptr_t)path,
                   "--role",
                   role,
                   "--control",
                   p->url,
                   "--turns",
                   p->turns,
                   "--poll",
                   "sleep",
                   NULL};
    int rc;

    snprintf(role, sizeof(role), "0x%08x", START_UNIT);
    snprintf(token, sizeof(token), "%016x", TOKEN);
    setenv("RILL_TOKEN", token, 1);
    rc = posix_spawn(&p->pid, path, NULL, NULL, argv, environ);
    if (rc != 0)
        return rill_error_set(err, -rc, "%s: %s", path, strerror(rc));
    return 0;
}

static int given_up(const struct program *p, struct rill_error *err)
{
    *err = p->err;
    return -EIO;
}

static int read_image(const char *path, ProtobufCBinaryData *image, struct rill_error *err)
{
    FILE *in = fopen(path, "re");
    struct stat st;
    bool whole;

    if (in == NULL || fstat(fileno(in), &st) != 0)
        return rill_error_set(err, -errno, "%s: %s", path, strerror(errno));
    image->len = (size_t)st.st_size;
    image->data = malloc(image->len);
    whole = image->data != NULL && fread(image->data, 1, image->len, in) == image->len;
    fclose(in);
    return whole ? 0 : rill_error_set(err, -EIO, "%s can not be read", path);
}

static int activate(struct program *p, const char *nf, struct rill_error *err)
{
    Control__Message m = rill_control_message(START_RM, START_UNIT, 1);
    Control__Activate how = CONTROL__ACTIVATE__INIT;
    Control__Slot slot = CONTROL__SLOT__INIT, *slots[] = {&slot};
    int rc = read_image(nf, &how.image, err);

    how.vni = START_VNI;
    how.deployment = "bench";
    how.links_folder = p->links;
    slot.controller = START_CONTROLLER;
    slot.epoch = START_EPOCH;
    how.controllers = slots;
    how.n_controllers = 1;
    how.output_logger = START_LOGGER;
    how.nf = "nf";
    RILL_CONTROL_SET(&m, ACTIVATE, activate, &how);
    if (rc == 0 && !rill_link_send(p->link, p->peer, &m))
        rc = rill_error_set(err, -EPIPE, "rill-nf-runtime has gone");
    free(how.image.data);
    while (rc == 0 && !p->activated) {
        uv_run(&p->loop, UV_RUN_ONCE);
        if (p->given_up)
            rc = given_up(p, err);
    }
    return rc;
}

static int live(struct program *p, const char *path, const char *nf,
                struct start_program_times *times, struct rill_error *err)
{
    uint64_t begin_ns = bench_ns();
    int rc = spawn(p, path, err);

    while (rc == 0 && p->peer == 0) {
        uv_run(&p->loop, UV_RUN_ONCE);
        if (p->given_up)
            rc = given_up(p, err);
    }
    if (rc != 0)
        return rc;
    times->ready_us = (double)(bench_ns() - begin_ns) / 1000;
    begin_ns = bench_ns();
    rc = activate(p, nf, err);
    times->control_us = (double)(bench_ns() - begin_ns) / 1000;
    times->inside_us = (double)p->activation_ns / 1000;
    return rc;
}

static void end(struct program *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGTERM);
        waitpid(p->pid, NULL, 0);
    }
    if (p->link != NULL)
        rill_link_close(p->link);
    uv_close((uv_handle_t *)&p->patience, on_closed);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
    if (p->turns_fd >= 0)
        close(p->turns_fd);
    unlink(p->turns);
    rmdir(p->links);
}

int start_program_sample(const char *path, const char *nf, const char *folder,
                         struct start_program_times *times, struct rill_error *err)
{
    struct program p = {.turns_fd = -1};
    int rc = listen_for(&p, folder, err);

    if (rc == 0)
        rc = live(&p, path, nf, times, err);
    end(&p);
    return rc;
}
