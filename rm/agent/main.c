/* rill-agent: the node agent. The keeper first, while this process has no thread and no nng; then a
 * libuv loop that turns the keeper's events, the link to the resource manager and the programs'
 * links. */
#include <glob.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/role_name.h"
#include "lib/control/link.h"
#include "lib/daemon/daemon.h"
#include "rm/agent/agent.h"
#include "rm/agent/keeper.h"

enum {
    SOCKET_MODE = 0666, /* the programs' uid is not ours, and the folder's mounts say who sees it */
    URL_BYTES = 256,
    MACHINE_BYTES = 65,
    FLUSH_MS = 500,
    JOIN_AGAIN_MS = 500,
    EXIT_KEEPER_GONE = 2,
    MB_BYTES = 1 << 20,
};

struct daemon {
    uv_loop_t loop;
    uv_signal_t signals[2];
    uv_poll_t keeper_poll;
    uv_timer_t join_again;
    struct rill_keeper *keeper;
    struct rill_agent *agent;
    struct rill_link *rm, *programs;
    uint32_t rm_peer; /* 0: the resource manager is not there */
    bool keeper_is_ready, keeper_is_gone;
};

struct texts {
    const char *cluster, *base, *programs, *uid, *rm, *machine, *memory_mb, *memory_limit_mb, *cpus;
    const char *store_folder;
    const char *poll, *stall_ms, *grace_ms, *log_lines, *log_mb, *remove_all;
};

/* --- the keeper ------------------------------------------------------------------------------- */

static void note_event(struct daemon *d, const struct rill_keeper_event *event)
{
    char name[RILL_ROLE_NAME_BYTES];

    if (event->type == RILL_KEEPER_READY)
        d->keeper_is_ready = true;
    if (event->type == RILL_KEEPER_GONE) {
        d->keeper_is_gone = true;
        rill_daemon_say("the process that keeps containers died; they run on: start the agent "
                        "again");
    }
    if (event->type == RILL_KEEPER_FAILED)
        rill_daemon_say("%s could not be started: %s", rill_role_name(event->role, name),
                        event->text);
    if (event->type == RILL_KEEPER_EXITED && event->stalled)
        rill_daemon_say("%s stood still and was killed", rill_role_name(event->role, name));
}

static void read_events(struct daemon *d)
{
    struct rill_keeper_event event;

    while (rill_keeper_next(d->keeper, &event)) {
        note_event(d, &event);
        rill_agent_keeper_event(d->agent, &event);
    }
}

/* Before programs can dial: which of them there are has to be known. */
static void await_keeper(struct daemon *d)
{
    struct pollfd wait = {.fd = rill_keeper_fd(d->keeper), .events = POLLIN};

    while (!d->keeper_is_ready && !d->keeper_is_gone) {
        poll(&wait, 1, -1);
        read_events(d);
    }
}

static void create_keeper(struct daemon *d, const struct texts *t)
{
    struct rill_keeper_config config = {
        .cluster = t->cluster,
        .base = t->base,
        .programs = t->programs,
        .uid = (uint32_t)rill_daemon_number("--uid", t->uid, 1, UINT32_MAX - 2),
        .memory_mb =
            (uint32_t)rill_daemon_number("--memory-mb", t->memory_mb, 64, UINT32_MAX / MB_BYTES),
        .memory_limit_bytes =
            rill_daemon_number("--memory-limit-mb", t->memory_limit_mb, 0, 1 << 20) * MB_BYTES,
        .cpus = t->cpus,
        .store_folder = t->store_folder,
        .poll = t->poll,
        .log_bytes = rill_daemon_number("--log-mb", t->log_mb, 1, 1000000) * MB_BYTES,
        .stall_ms = (uint32_t)rill_daemon_number("--stall-ms", t->stall_ms, 0, 600000),
        .grace_ms = (uint32_t)rill_daemon_number("--grace-ms", t->grace_ms, 0, 60000),
    };
    struct rill_error err;

    rill_daemon_poll(t->poll);
    if (rill_keeper_create(&config, &d->keeper, &err) != 0)
        rill_daemon_refuse("%s", err.text);
}

/* --- this machine ----------------------------------------------------------------------------- */

static uint32_t count_cpus(const char *list)
{
    cpu_set_t cpus;
    unsigned first, last, count = 0;
    int length;

    if (list == NULL)
        return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
    while (sscanf(list, "%u%n", &first, &length) == 1) {
        list += length;
        last = first;
        if (sscanf(list, "-%u%n", &last, &length) == 1)
            list += length;
        count += last >= first ? last - first + 1 : 0;
        list += *list == ',';
    }
    return count;
}

static bool has_hugepages(void)
{
    glob_t found;
    unsigned long pages, sum = 0;

    if (glob("/sys/kernel/mm/hugepages/*/nr_hugepages", 0, NULL, &found) != 0)
        return false;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "re");

        if (file != NULL && fscanf(file, "%lu", &pages) == 1)
            sum += pages;
        if (file != NULL)
            fclose(file);
    }
    globfree(&found);
    return sum > 0;
}

/* --- what the core asks for ------------------------------------------------------------------- */

static void to_rm(void *arg, const Control__Message *message)
{
    struct daemon *d = arg;

    if (d->rm_peer != 0)
        rill_link_send(d->rm, d->rm_peer, message);
}

static void to_program(void *arg, uint32_t peer, const Control__Message *message)
{
    struct daemon *d = arg;

    rill_link_send(d->programs, peer, message);
}

static void run(void *arg, uint32_t role, bool host_network)
{
    struct daemon *d = arg;

    rill_keeper_run(d->keeper, role, host_network);
}

static void stop(void *arg, uint32_t role, bool at_once)
{
    struct daemon *d = arg;

    rill_keeper_stop(d->keeper, role, at_once);
}

static void stop_all(void *arg)
{
    struct daemon *d = arg;

    rill_keeper_stop_all(d->keeper);
}

static void fail(void *arg, uint32_t role, bool hang)
{
    struct daemon *d = arg;

    rill_keeper_fail(d->keeper, role, hang);
}

static void create_agent(struct daemon *d, const struct texts *t)
{
    static char host_name[MACHINE_BYTES]; /* lives as long as the agent */
    struct rill_agent_config config = {
        .machine = t->machine != NULL ? t->machine : host_name,
        .cpus = count_cpus(t->cpus),
        .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
        .hugepages = has_hugepages(),
        .to_rm = to_rm,
        .to_program = to_program,
        .run = run,
        .stop = stop,
        .fail = fail,
        .stop_all = stop_all,
        .arg = d,
    };
    struct rill_error err;

    gethostname(host_name, sizeof(host_name) - 1);
    if (config.cpus == 0)
        rill_daemon_refuse("--cpus: '%.64s' is no list like 0-3,6", t->cpus);
    d->agent = rill_agent_create(&config, &err);
    if (d->agent == NULL)
        rill_daemon_refuse("%s", err.text);
}

/* --- links ------------------------------------------------------------------------------------ */

static void end_if_over(struct daemon *d)
{
    if (rill_agent_over(d->agent))
        uv_stop(&d->loop);
}

static void on_rm_up(void *arg, uint32_t peer)
{
    struct daemon *d = arg;

    rill_daemon_say("the resource manager is there");
    d->rm_peer = peer;
    rill_agent_rm_up(d->agent);
    end_if_over(d);
}

static void on_rm_down(void *arg, uint32_t peer)
{
    struct daemon *d = arg;

    (void)peer;
    rill_daemon_say("the resource manager is away");
    d->rm_peer = 0;
    rill_agent_rm_down(d->agent);
}

static void on_join_again(uv_timer_t *timer)
{
    struct daemon *d = timer->data;

    if (rill_agent_refused(d->agent))
        rill_agent_rm_up(d->agent);
}

static void on_rm_message(void *arg, uint32_t peer, const Control__Message *message)
{
    struct daemon *d = arg;

    (void)peer;
    if (message->body_case == CONTROL__MESSAGE__BODY_ERROR &&
        (message->to == 0 || rill_role_kind(message->to) == RILL_ROLE_AGENT))
        rill_daemon_say("the resource manager says: %s", message->error->text);
    rill_agent_rm_message(d->agent, message);
    if (rill_agent_refused(d->agent))
        uv_timer_start(&d->join_again, on_join_again, JOIN_AGAIN_MS, 0);
    end_if_over(d);
}

static void on_program_up(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer; /* whoever it is says Join */
}

static void on_program_down(void *arg, uint32_t peer)
{
    struct daemon *d = arg;

    rill_agent_program_down(d->agent, peer);
}

static void on_program_message(void *arg, uint32_t peer, const Control__Message *message)
{
    struct daemon *d = arg;
    uint64_t before = rill_agent_counters(d->agent)->refused_identity;

    rill_agent_program_message(d->agent, peer, message);
    if (before == 0 && rill_agent_counters(d->agent)->refused_identity > 0)
        rill_daemon_say("a program said %s as role 0x%08x, which it is not, or is no more (told "
                        "once)",
                        rill_control_name(message), message->from);
}

static void open_links(struct daemon *d, const struct texts *t)
{
    struct rill_link_events programs = {
        .up = on_program_up, .down = on_program_down, .message = on_program_message, .arg = d};
    struct rill_link_events rm = {
        .up = on_rm_up, .down = on_rm_down, .message = on_rm_message, .arg = d};
    char url[URL_BYTES];
    struct rill_error err;

    snprintf(url, sizeof(url), "ipc://%s/control/agent.sock", t->base);
    if (rill_link_listen(&d->loop, url, SOCKET_MODE, &programs, &d->programs, &err) != 0)
        rill_daemon_refuse("%s", err.text);
    snprintf(url, sizeof(url), "ipc://%s/rm.sock", t->base);
    if (rill_link_dial(&d->loop, t->rm != NULL ? t->rm : url, &rm, &d->rm, &err) != 0)
        rill_daemon_refuse("--rm: %s", err.text);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void on_keeper(uv_poll_t *handle, int status, int events)
{
    struct daemon *d = handle->data;

    (void)status; /* if it is gone, reading says so */
    (void)events;
    read_events(d);
    end_if_over(d);
}

static void on_signal(uv_signal_t *handle, int number)
{
    rill_daemon_say("ends on a signal (%d); containers run on", number);
    uv_stop(handle->loop);
}

static void open_loop(struct daemon *d)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    uv_loop_init(&d->loop);
    uv_timer_init(&d->loop, &d->join_again);
    d->join_again.data = d;
    uv_poll_init(&d->loop, &d->keeper_poll, rill_keeper_fd(d->keeper));
    d->keeper_poll.data = d;
    uv_poll_start(&d->keeper_poll, UV_READABLE, on_keeper);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&d->loop, &d->signals[i]);
        uv_signal_start(&d->signals[i], on_signal, numbers[i]);
    }
}

static void close_all(struct daemon *d)
{
    rill_link_flush(d->rm, FLUSH_MS);
    rill_link_close(d->rm);
    rill_link_close(d->programs);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    uv_close((uv_handle_t *)&d->join_again, NULL);
    uv_close((uv_handle_t *)&d->keeper_poll, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_loop_close(&d->loop);
    rill_agent_destroy(d->agent);
    rill_keeper_destroy(d->keeper);
}

/* --- begin ------------------------------------------------------------------------------------ */

static void read_options(struct texts *t, int argc, char **argv)
{
    const struct rill_daemon_option options[] = {
        {"--cluster", "NAME", "the cluster's name", true, &t->cluster},
        {"--base", "FOLDER", "the cluster's folder on this machine", true, &t->base},
        {"--programs", "FOLDER", "with rill-nf-runtime, rill-output-logger, rill-controller", false,
         &t->programs},
        {"--uid", "N", "of the containers' root on the host", false, &t->uid},
        {"--rm", "URL", "the resource manager; without it FOLDER/rm.sock", false, &t->rm},
        {"--machine", "NAME", "this machine's name; without it the host's", false, &t->machine},
        {"--memory-mb", "N", "memory that DPDK may take in each program", false, &t->memory_mb},
        {"--memory-limit-mb", "N", "memory that a container may take; 0: any", false,
         &t->memory_limit_mb},
        {"--cpus", "LIST", "processors of the containers; without it all", false, &t->cpus},
        {"--store-folder", "FOLDER", "at /run/store in units' containers; without it none", false,
         &t->store_folder},
        {"--poll", "HOW", "of the programs: yield, busy or sleep", false, &t->poll},
        {"--stall-ms", "N", "a loop that stands still for so long is killed; 0: never", false,
         &t->stall_ms},
        {"--log-mb", "N", "size of a log file and of the one before, together", false, &t->log_mb},
        {"--log-lines-per-s", "N", "lines on stderr, at most", false, &t->log_lines},
        {"--grace-ms", "N", "between SIGTERM and SIGKILL", false, &t->grace_ms},
        {"--remove-all", "yes", "removes the cluster from this machine, and ends", false,
         &t->remove_all},
        {NULL, NULL, NULL, false, NULL}};

    rill_daemon_options("rill-agent", options, argc, argv);
    if (t->base[0] != '/')
        rill_daemon_refuse("--base: '%.200s' is no absolute path", t->base);
    if (t->remove_all != NULL && strcmp(t->remove_all, "yes") != 0)
        rill_daemon_refuse("--remove-all: '%.64s' is not yes", t->remove_all);
    if (t->remove_all == NULL && t->programs == NULL)
        rill_daemon_refuse("--programs is missing; give --programs FOLDER");
    if (t->remove_all == NULL && t->uid == NULL)
        rill_daemon_refuse("--uid is missing; give --uid N");
}

static int remove_all(const struct texts *t)
{
    struct rill_error err;

    if (rill_keeper_remove_all(t->cluster, t->base, &err) != 0)
        rill_daemon_refuse("%s", err.text);
    return 0;
}

int main(int argc, char **argv)
{
    static struct daemon d;
    struct texts t = {.memory_mb = "256",
                      .memory_limit_mb = "0",
                      .poll = "yield",
                      .stall_ms = "1000",
                      .grace_ms = "500",
                      .log_lines = "100",
                      .log_mb = "16"};

    read_options(&t, argc, argv);
    if (t.remove_all != NULL)
        return remove_all(&t);
    signal(SIGPIPE, SIG_IGN);
    rill_daemon_log_limit(rill_daemon_number("--log-lines-per-s", t.log_lines, 1, 1000000));
    rill_daemon_log_file(rill_daemon_number("--log-mb", t.log_mb, 1, 1000000) << 20);
    create_keeper(&d, &t);
    create_agent(&d, &t);
    await_keeper(&d);
    if (!d.keeper_is_gone) {
        open_loop(&d);
        open_links(&d, &t);
        uv_run(&d.loop, UV_RUN_DEFAULT);
        close_all(&d);
    }
    return d.keeper_is_gone ? EXIT_KEEPER_GONE : 0;
}
