#include "lib/daemon/fake_agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/daemon/daemon.h"
#include "lib/daemon/turns.h"

#define WAIT_NS UINT64_C(60000000000)

extern char **environ;

static struct fake_program *by_role(struct fake_agent *agent, uint32_t role)
{
    for (uint32_t i = 0; i < agent->count; i++)
        if (agent->programs[i].role == role)
            return &agent->programs[i];
    fail_msg("a message from 0x%08x, who was not started", role);
    return NULL;
}

/* --- messages --------------------------------------------------------------------------------- */

static void send_to(struct fake_agent *agent, const struct fake_program *program,
                    const Control__Message *m)
{
    assert_true(rill_link_send(agent->link, program->peer, m));
}

static void on_join(struct fake_agent *agent, uint32_t peer, const Control__Message *m)
{
    struct fake_program *program = by_role(agent, m->join->role);
    Control__Message answer = rill_control_message(0, program->role, m->number);
    Control__Welcome welcome = CONTROL__WELCOME__INIT;
    Control__Error error = CONTROL__ERROR__INIT;

    assert_true(m->join->token == program->token);
    assert_int_equal(m->join->kind, rill_role_kind(program->role));
    assert_true(m->join->ready_ns > 0);
    program->peer = peer;
    program->joins++;
    program->ready_ns = m->join->ready_ns;
    welcome.role = program->role;
    error.text = "go away";
    if (agent->turns_away)
        RILL_CONTROL_SET(&answer, ERROR, error, &error);
    else
        RILL_CONTROL_SET(&answer, WELCOME, welcome, &welcome);
    send_to(agent, program, &answer);
}

static void on_lease_request(struct fake_agent *agent, struct fake_program *program,
                             const Control__Message *m)
{
    Control__Message answer = rill_control_message(FAKE_RM, program->role, 0);
    Control__LeaseGrant grant = CONTROL__LEASE_GRANT__INIT;
    Control__Lease lease = CONTROL__LEASE__INIT, *leases[] = {&lease};

    program->lease_requests++;
    lease.unit = agent->leased_unit;
    lease.output_logger = agent->leased_output_logger;
    lease.share = 1000;
    lease.capacity_bps = agent->leased_bps != 0 ? agent->leased_bps : 1000000000;
    grant.number = m->lease_request->number;
    grant.epoch = m->lease_request->epoch;
    grant.n_leases = agent->leased_unit != 0;
    grant.leases = leases;
    RILL_CONTROL_SET(&answer, LEASE_GRANT, lease_grant, &grant);
    send_to(agent, program, &answer);
}

static Control__Message *copy(const Control__Message *m)
{
    size_t bytes = control__message__get_packed_size(m);
    uint8_t *packed = malloc(bytes);
    Control__Message *made;

    control__message__pack(m, packed);
    assert_int_equal(rill_control_unpack(packed, bytes, &made), RILL_CONTROL_OK);
    free(packed);
    return made;
}

static void on_message(void *arg, uint32_t peer, const Control__Message *m)
{
    struct fake_agent *agent = arg;
    struct fake_program *program;

    if (m->body_case == CONTROL__MESSAGE__BODY_JOIN) {
        on_join(agent, peer, m);
        return;
    }
    program = by_role(agent, m->from);
    assert_int_equal(peer, program->peer);
    assert_int_equal(m->to, FAKE_RM);
    if (m->body_case == CONTROL__MESSAGE__BODY_LEASE_REQUEST) {
        on_lease_request(agent, program, m);
    } else if (m->body_case == CONTROL__MESSAGE__BODY_SHARE_ACK) {
        program->share = m->share_ack->share;
        program->share_acks++;
    } else if (m->number == program->number) {
        rill_control_free(program->answer);
        program->answer = copy(m);
    }
}

static void on_change(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer;
}

/* --- life ------------------------------------------------------------------------------------- */

void fake_agent_listen(struct fake_agent *agent)
{
    struct rill_link_events events = {
        .up = on_change, .down = on_change, .message = on_message, .arg = agent};
    struct rill_error err = {""};

    if (rill_link_listen(&agent->loop, agent->url, 0600, &events, &agent->link, &err) != 0)
        fail_msg("%s", err.text);
}

void fake_agent_hang_up(struct fake_agent *agent)
{
    rill_link_close(agent->link);
    agent->link = NULL;
    uv_run(&agent->loop, UV_RUN_NOWAIT);
    for (uint32_t i = 0; i < agent->count; i++)
        agent->programs[i].peer = 0;
}

void fake_agent_start(struct fake_agent *agent)
{
    *agent = (struct fake_agent){.folder = "/tmp/rill_role_test_XXXXXX"};
    assert_non_null(mkdtemp(agent->folder));
    snprintf(agent->url, sizeof(agent->url), "ipc://%s/agent.sock", agent->folder);
    snprintf(agent->links, sizeof(agent->links), "%s/links", agent->folder);
    assert_int_equal(mkdir(agent->links, 0700), 0);
    assert_int_equal(uv_loop_init(&agent->loop), 0);
    fake_agent_listen(agent);
}

static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

void fake_agent_stop(struct fake_agent *agent)
{
    for (uint32_t i = 0; i < agent->count; i++) {
        struct fake_program *program = &agent->programs[i];

        if (program->pid > 0) {
            kill(program->pid, SIGKILL);
            waitpid(program->pid, NULL, 0);
        }
        rill_control_free(program->answer);
        close(program->turns);
    }
    if (agent->link != NULL)
        fake_agent_hang_up(agent);
    uv_run(&agent->loop, UV_RUN_DEFAULT);
    uv_loop_close(&agent->loop);
    remove_folder(agent->links);
    remove_folder(agent->folder);
}

/* --- programs --------------------------------------------------------------------------------- */

static void file_of(const struct fake_agent *agent, const struct fake_program *program,
                    const char *what, char path[160])
{
    snprintf(path, 160, "%s/%08x.%s", agent->folder, program->role, what);
}

static void spawn(const struct fake_agent *agent, struct fake_program *program, const char *path,
                  const char *turns, const char *poll)
{
    char role[16], log[160], token[64];
    char *argv[] = {(char *)(uintptr_t)path,
                    "--role",
                    role,
                    "--control",
                    (char *)(uintptr_t)agent->url,
                    "--turns",
                    (char *)(uintptr_t)turns,
                    "--memory-mb",
                    (char *)(uintptr_t)(agent->memory_mb != NULL ? agent->memory_mb : "160"),
                    "--poll",
                    (char *)(uintptr_t)poll,
                    NULL};
    posix_spawn_file_actions_t actions;

    snprintf(role, sizeof(role), "0x%08x", program->role);
    file_of(agent, program, "log", log);
    snprintf(token, sizeof(token), "%016llx", (unsigned long long)program->token);
    setenv("RILL_TOKEN", token, 1);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
    assert_int_equal(posix_spawn(&program->pid, path, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    unsetenv("RILL_TOKEN");
}

struct fake_program *fake_run(struct fake_agent *agent, const char *path, uint32_t role,
                              const char *poll)
{
    struct fake_program *program = &agent->programs[agent->count++];
    struct rill_error err = {""};
    char turns[160];

    assert_true(agent->count <= FAKE_PROGRAMS_MAX);
    *program = (struct fake_program){.role = role, .token = 0xfeed00000000 + role};
    file_of(agent, program, "turns", turns);
    program->turns = rill_turns_make(turns, getuid(), &err);
    if (program->turns < 0)
        fail_msg("%s", err.text);
    spawn(agent, program, path, turns, poll);
    return program;
}

uint64_t fake_turns(const struct fake_program *program)
{
    uint64_t turns;

    assert_int_equal(rill_turns_read(program->turns, &turns), 0);
    return turns;
}

void fake_read_log(struct fake_agent *agent, const struct fake_program *program, char *text,
                   size_t bytes)
{
    char path[160];
    ssize_t n;
    int fd;

    file_of(agent, program, "log", path);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    n = read(fd, text, bytes - 1);
    text[n < 0 ? 0 : n] = '\0';
    close(fd);
}

/* --- waiting ---------------------------------------------------------------------------------- */

void fake_turn(struct fake_agent *agent)
{
    uv_run(&agent->loop, UV_RUN_NOWAIT);
    if (agent->turn != NULL)
        agent->turn();
    usleep(200);
}

static void give_up(struct fake_agent *agent, const char *what)
{
    for (uint32_t i = 0; i < agent->count; i++) {
        char text[2000];

        fake_read_log(agent, &agent->programs[i], text, sizeof(text));
        print_error("0x%08x: %s\n", agent->programs[i].role, text);
    }
    fail_msg("no %s after a minute", what);
}

void fake_await(struct fake_agent *agent, const uint32_t *number, uint32_t least)
{
    uint64_t until_ns = rill_daemon_now_ns() + WAIT_NS;

    while (*number < least) {
        fake_turn(agent);
        if (rill_daemon_now_ns() > until_ns)
            give_up(agent, "event");
    }
}

void fake_await_join(struct fake_agent *agent, struct fake_program *program, uint32_t joins)
{
    fake_await(agent, &program->joins, joins);
}

void fake_tell(struct fake_agent *agent, struct fake_program *program, Control__Message *message)
{
    message->version = RILL_CONTROL_VERSION;
    message->from = FAKE_RM;
    message->to = program->role;
    send_to(agent, program, message);
}

const Control__Message *fake_ask(struct fake_agent *agent, struct fake_program *program,
                                 Control__Message *request)
{
    uint64_t until_ns = rill_daemon_now_ns() + WAIT_NS;

    rill_control_free(program->answer);
    program->answer = NULL;
    request->number = ++program->number;
    fake_tell(agent, program, request);
    while (program->answer == NULL) {
        fake_turn(agent);
        if (rill_daemon_now_ns() > until_ns)
            give_up(agent, "answer");
    }
    return program->answer;
}

int fake_await_end(struct fake_agent *agent, struct fake_program *program)
{
    uint64_t until_ns = rill_daemon_now_ns() + WAIT_NS;
    int status;

    while (waitpid(program->pid, &status, WNOHANG) == 0) {
        fake_turn(agent);
        if (rill_daemon_now_ns() > until_ns)
            give_up(agent, "end");
    }
    program->pid = 0;
    return status;
}

uint64_t fake_counter(const Control__Message *message, const char *name)
{
    assert_int_equal(message->body_case, CONTROL__MESSAGE__BODY_METRICS);
    for (size_t i = 0; i < message->metrics->n_counters; i++)
        if (strcmp(message->metrics->counters[i]->name, name) == 0)
            return message->metrics->counters[i]->value;
    fail_msg("no counter '%s'", name);
    return 0;
}
