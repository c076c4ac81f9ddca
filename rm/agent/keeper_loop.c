/* The keeper process: one loop around one poll(). What blocks it is liblxc's start of a container
 * and the removal of one, so each turn of the loop does at most one of these; before it, all ends
 * are noticed that there are.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rm/agent/keeper_internal.h"

#define NS_PER_MS UINT64_C(1000000)

enum {
    LOOK_MS = 20,
    LOOK_AT_LOGS_MS = 1000,
    ALLOC_FIRST = 16,
    WAIT_MS_MAX = 60000,
    HOW_MS = 5000, /* for what takes tens of them on a busy machine */
};

struct start {
    uint32_t role;
    bool host_network;
};

struct keeper {
    const struct rill_keeper_config *config;
    struct rill_containers *containers;
    int fd;
    bool agent_gone;
    struct rill_keeper_program *programs;
    struct pollfd *polls; /* the agent's socket, then the programs' ends, or how they ended */
    uint32_t count, room, polls_room;
    struct start *starts; /* asked for; from starts_begin on */
    uint32_t starts_begin, starts_end, starts_room;
    uint64_t look_at_logs_ns;
    uint64_t look_ns; /* the next look at the turns */
    bool stopping_all;
    struct rill_error left; /* while stopping all: what could not be removed, first */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* Into the agent's log. */
static void complain(const char *text)
{
    dprintf(STDERR_FILENO, "rill-agent: keeper: %s\n", text);
}

/* ---- memory ---- */

/* Without memory for a list there is nothing to be done but to end; containers run on. */
static void *grown(void *list, uint32_t *room, uint32_t needed, size_t size)
{
    if (needed <= *room)
        return list;
    *room = *room == 0 ? ALLOC_FIRST : 2 * *room;
    list = realloc(list, *room * size);
    if (list == NULL) {
        complain("no memory");
        _exit(1);
    }
    return list;
}

static struct rill_keeper_program *add_program(struct keeper *k,
                                               const struct rill_keeper_program *program)
{
    k->programs = grown(k->programs, &k->room, k->count + 1, sizeof(*k->programs));
    k->polls = grown(k->polls, &k->polls_room, k->count + 2, sizeof(*k->polls));
    k->programs[k->count] = *program;
    return &k->programs[k->count++];
}

static struct rill_keeper_program *find(struct keeper *k, uint32_t role)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (k->programs[i].role == role)
            return &k->programs[i];
    return NULL;
}

/* ---- the agent ---- */

static void take_request(struct keeper *k, const struct rill_keeper_request *request);

/* What it asks for is taken in here and done later. */
static void read_requests(struct keeper *k)
{
    struct rill_keeper_request request;
    ssize_t length;

    while ((length = recv(k->fd, &request, sizeof(request), MSG_DONTWAIT)) ==
           (ssize_t)sizeof(request))
        take_request(k, &request);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
        k->agent_gone = true;
}

/* Where the agent does not read, it may be waiting for us to do so. */
static void tell(struct keeper *k, const struct rill_keeper_event *event)
{
    struct pollfd wait = {.fd = k->fd, .events = POLLIN | POLLOUT};

    while (!k->agent_gone && send(k->fd, event, sizeof(*event), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            k->agent_gone = true;
            return;
        }
        poll(&wait, 1, -1);
        if (wait.revents & ~POLLOUT)
            read_requests(k);
    }
}

static void tell_failed(struct keeper *k, uint32_t role, const char *text)
{
    struct rill_keeper_event event = {.type = RILL_KEEPER_FAILED, .role = role};

    snprintf(event.text, sizeof(event.text), "%s", text);
    tell(k, &event);
}

static void tell_ended(struct keeper *k, const struct rill_keeper_program *program)
{
    struct rill_keeper_event event = {
        .type = RILL_KEEPER_ENDED, .role = program->role, .stalled = program->stalled};

    tell(k, &event);
}

static void tell_exited(struct keeper *k, const struct rill_keeper_program *program,
                        bool how_is_known)
{
    struct rill_keeper_event event = {
        .type = RILL_KEEPER_EXITED, .role = program->role, .stalled = program->stalled};

    if (!how_is_known || rill_container_exit_status(program->container, &event.wait_status) != 0)
        event.wait_status = -1;
    rill_keeper_last_line(k->config, program->role, event.text, sizeof(event.text));
    tell(k, &event);
}

/* ---- requests ---- */

static void ask_to_end(struct keeper *k, struct rill_keeper_program *program)
{
    if (program->over || program->kill_ns != 0)
        return;
    program->kill_ns = now_ns() + k->config->grace_ms * NS_PER_MS;
    rill_container_signal(program->container, SIGTERM);
}

/* In the next turn. */
static void kill_at_once(struct rill_keeper_program *program)
{
    if (program->kill_ns != UINT64_MAX)
        program->kill_ns = now_ns();
}

static void add_start(struct keeper *k, uint32_t role, bool host_network)
{
    if (k->starts_begin == k->starts_end)
        k->starts_begin = k->starts_end = 0;
    k->starts = grown(k->starts, &k->starts_room, k->starts_end + 1, sizeof(*k->starts));
    k->starts[k->starts_end++] = (struct start){.role = role, .host_network = host_network};
}

/* True if it waited for its start; it then does not start any more. */
static bool cancel_start(struct keeper *k, uint32_t role)
{
    for (uint32_t i = k->starts_begin; i < k->starts_end; i++) {
        if (k->starts[i].role != role)
            continue;
        memmove(&k->starts[i], &k->starts[i + 1], (--k->starts_end - i) * sizeof(*k->starts));
        return true;
    }
    return false;
}

static void begin_stop_all(struct keeper *k)
{
    k->stopping_all = true;
    k->left.text[0] = '\0';
    k->starts_begin = k->starts_end = 0;
    for (uint32_t i = 0; i < k->count; i++)
        ask_to_end(k, &k->programs[i]);
}

static void take_request(struct keeper *k, const struct rill_keeper_request *request)
{
    struct rill_keeper_program *program = find(k, request->role);

    switch (request->type) {
    case RILL_KEEPER_RUN:
        if (k->stopping_all)
            tell_failed(k, request->role, "all containers of this machine are being stopped");
        else
            add_start(k, request->role, request->host_network);
        break;
    case RILL_KEEPER_STOP:
        if (program != NULL && request->at_once)
            kill_at_once(program);
        else if (program != NULL)
            ask_to_end(k, program);
        else if (cancel_start(k, request->role))
            tell_failed(k, request->role, "it was stopped before it was started");
        break;
    case RILL_KEEPER_KILL:
    case RILL_KEEPER_HANG:
        if (program != NULL && !program->over && program->kill_ns == 0)
            rill_container_signal(program->container,
                                  request->type == RILL_KEEPER_KILL ? SIGKILL : SIGSTOP);
        break;
    case RILL_KEEPER_STOP_ALL:
        begin_stop_all(k);
        break;
    }
}

/* ---- what is done, a piece at a time ---- */

static void start_one(struct keeper *k)
{
    struct start start = k->starts[k->starts_begin++];
    struct rill_keeper_event event = {.type = RILL_KEEPER_STARTED, .role = start.role};
    struct rill_error err = {.text = ""};
    struct rill_keeper_program program;
    uint64_t begin_ns = now_ns();

    if (find(k, start.role) != NULL) {
        tell_failed(k, start.role, "it is there already");
        return;
    }
    if (rill_keeper_program_start(k->config, k->containers, start.role, start.host_network,
                                  &program, &err) != 0) {
        tell_failed(k, start.role, err.text);
        return;
    }
    event.start_ns = now_ns() - begin_ns;
    event.token = program.token;
    add_program(k, &program);
    tell(k, &event);
}

static void notice_ends(struct keeper *k, uint64_t now)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct rill_keeper_program *program = &k->programs[i];

        if (program->over || k->polls[i + 1].revents == 0)
            continue;
        program->over = true;
        program->how_ns = now + HOW_MS * NS_PER_MS;
        k->polls[i + 1].revents = 0; /* from now on that means another descriptor */
        if (!k->stopping_all)
            tell_ended(k, program);
    }
}

/* After the ends themselves: whom a death concerns does not wait for that. */
static void notice_how(struct keeper *k, uint64_t now)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct rill_keeper_program *program = &k->programs[i];
        bool known = k->polls[i + 1].revents != 0;

        if (!program->over || program->told || (!known && now < program->how_ns))
            continue;
        program->told = true;
        if (!k->stopping_all)
            tell_exited(k, program, known);
    }
}

/* When all are stopped, nobody asks how. */
static bool can_go(const struct keeper *k, const struct rill_keeper_program *program)
{
    return program->over && (program->told || k->stopping_all);
}

/* False: none can go. */
static bool remove_one(struct keeper *k)
{
    struct rill_error err = {.text = ""};
    uint32_t i = 0;

    while (i < k->count && !can_go(k, &k->programs[i]))
        i++;
    if (i == k->count)
        return false;
    if (rill_keeper_program_remove(k->config, &k->programs[i], &err) != 0) {
        complain(err.text);
        if (k->left.text[0] == '\0')
            k->left = err;
    }
    rill_keeper_bound_log(k->config, k->programs[i].role); /* nobody looks any more */
    k->programs[i] = k->programs[--k->count];
    return true;
}

/* All have ended: what nobody knows of goes too. */
static void end_stop_all(struct keeper *k)
{
    struct rill_keeper_event event = {.type = RILL_KEEPER_ALL_STOPPED};
    struct rill_error err = {.text = ""};

    /* This tries again what failed before. */
    if (rill_containers_remove_all(k->containers, &err) != 0)
        snprintf(event.text, sizeof(event.text), "%s", err.text);
    rill_keeper_remove_role_folders(k->config, NULL, 0);
    k->stopping_all = false;
    tell(k, &event);
}

static void kill_due(struct keeper *k, uint64_t now)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct rill_keeper_program *program = &k->programs[i];

        if (program->over || program->kill_ns == 0 || program->kill_ns > now)
            continue;
        rill_container_signal(program->container, SIGKILL);
        program->kill_ns = UINT64_MAX;
    }
}

/* One look at each, however late: time that passed without looks counts for nobody. */
static void look(struct keeper *k, uint64_t now)
{
    struct rill_stall_seen seen;

    if (k->config->stall_ms == 0 || now < k->look_ns)
        return;
    k->look_ns = now + LOOK_MS * NS_PER_MS;
    for (uint32_t i = 0; i < k->count; i++) {
        struct rill_keeper_program *program = &k->programs[i];

        if (program->over || program->kill_ns != 0 || program->stalled)
            continue;
        rill_keeper_program_see(program, &seen);
        if (rill_stall_look(&program->stall, &seen, LOOK_MS * NS_PER_MS) <
            k->config->stall_ms * NS_PER_MS)
            continue;
        program->stalled = true;
        rill_container_signal(program->container, SIGKILL);
    }
}

static void look_at_logs(struct keeper *k, uint64_t now)
{
    if (k->config->log_bytes == 0 || now < k->look_at_logs_ns)
        return;
    k->look_at_logs_ns = now + LOOK_AT_LOGS_MS * NS_PER_MS;
    for (uint32_t i = 0; i < k->count; i++)
        rill_keeper_bound_log(k->config, k->programs[i].role);
}

/* ---- the loop ---- */

static bool has_work(const struct keeper *k)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (can_go(k, &k->programs[i]))
            return true;
    return k->starts_begin != k->starts_end || (k->stopping_all && k->count == 0);
}

/* -1: for ever. Rounded up, so that what is due then is due; never long, so that it is an int. */
static int timeout_ms(const struct keeper *k, uint64_t now)
{
    uint64_t due = UINT64_MAX;

    if (has_work(k))
        return 0;
    if (k->config->stall_ms != 0 && k->count > 0)
        due = k->look_ns;
    if (k->config->log_bytes != 0 && k->count > 0 && k->look_at_logs_ns < due)
        due = k->look_at_logs_ns;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct rill_keeper_program *program = &k->programs[i];
        uint64_t program_ns = program->over ? program->how_ns : program->kill_ns;

        if (program_ns != 0 && program_ns < due)
            due = program_ns;
    }
    if (due == UINT64_MAX)
        return -1;
    if (due <= now)
        return 0;
    return due - now < WAIT_MS_MAX * NS_PER_MS ? (int)((due - now) / NS_PER_MS) + 1 : WAIT_MS_MAX;
}

static void wait_for_something(struct keeper *k)
{
    k->polls[0] = (struct pollfd){.fd = k->fd, .events = POLLIN};
    for (uint32_t i = 0; i < k->count; i++) {
        const struct rill_container *container = k->programs[i].container;

        k->polls[i + 1] =
            (struct pollfd){.fd = k->programs[i].over ? rill_container_exit_fd(container)
                                                      : rill_container_pidfd(container),
                            .events = POLLIN};
    }
    if (poll(k->polls, k->count + 1, timeout_ms(k, now_ns())) < 0)
        for (uint32_t i = 0; i <= k->count; i++)
            k->polls[i].revents = 0;
}

static void turn(struct keeper *k)
{
    uint64_t now;

    wait_for_something(k);
    now = now_ns();
    notice_ends(k, now);
    notice_how(k, now);
    read_requests(k);
    now = now_ns();
    kill_due(k, now);
    look(k, now);
    look_at_logs(k, now);
    if (remove_one(k))
        return;
    if (k->stopping_all && k->count == 0)
        end_stop_all(k);
    else if (k->starts_begin != k->starts_end)
        start_one(k);
}

/* ---- begin and end ---- */

/* What runs and is known, into the list; what is not known goes. */
static int adopt(struct keeper *k, struct rill_error *err)
{
    struct rill_container **list;
    uint32_t count;
    int code = rill_containers_adopt(k->containers, &list, &count, NULL, err);

    for (uint32_t i = 0; i < count; i++) {
        struct rill_keeper_program program;
        struct rill_error why = {.text = ""};

        if (rill_keeper_program_adopt(k->config, list[i], &program) == 0)
            add_program(k, &program);
        else if (rill_keeper_program_remove(k->config, &program, &why) != 0)
            complain(why.text);
    }
    free(list);
    if (code == 0)
        rill_keeper_remove_role_folders(k->config, k->programs, k->count);
    return code;
}

static int check_folder(const char *path, struct rill_error *err)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return rill_error_set(err, -errno, "the folder %s: %s", path, strerror(errno));
    return S_ISDIR(info.st_mode) ? 0 : rill_error_set(err, -ENOTDIR, "%s is no folder", path);
}

static int begin(struct keeper *k, struct rill_error *err)
{
    char run_folder[RILL_KEEPER_PATH_BYTES];
    int code = rill_keeper_path(k->config->base, "containers", run_folder, err);

    if (code == 0)
        code = check_folder(k->config->programs, err);
    if (code == 0)
        code = rill_containers_open(k->config->cluster, run_folder, &k->containers, err);
    if (code == 0)
        code = adopt(k, err);
    return code;
}

static void tell_adopted(struct keeper *k)
{
    struct rill_keeper_event event = {.type = RILL_KEEPER_ADOPTED};

    for (uint32_t i = 0; i < k->count; i++) {
        event.role = k->programs[i].role;
        event.token = k->programs[i].token;
        tell(k, &event);
    }
    event = (struct rill_keeper_event){.type = RILL_KEEPER_READY};
    tell(k, &event);
}

/* Ctrl-C at a terminal is for the agent: when that ends, so does the keeper. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
}

void rill_keeper_main(const struct rill_keeper_config *config, int fd)
{
    struct keeper k = {.config = config, .fd = fd};
    struct rill_keeper_greeting greeting = {.err = {.text = ""}};

    ignore_signals();
    umask(022); /* the containers' uid has to pass through folders */
    prctl(PR_SET_NAME, "rill-keeper");
    k.polls = grown(NULL, &k.polls_room, 1, sizeof(*k.polls));
    greeting.code = begin(&k, &greeting.err);
    if (send(fd, &greeting, sizeof(greeting), MSG_NOSIGNAL) == sizeof(greeting) &&
        greeting.code == 0) {
        tell_adopted(&k);
        while (!k.agent_gone)
            turn(&k);
    }
    for (uint32_t i = 0; i < k.count; i++)
        rill_container_release(k.programs[i].container);
    rill_containers_close(k.containers);
    _exit(0);
}
