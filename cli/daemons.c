#include "cli/daemons.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/folder.h"

enum { ARGUMENTS_MAX = 48, NUMBER_BYTES = 24, READY_MS = 30000, LOOK_MS = 50, ANSWER_MS = 5000 };

/* --- their arguments ------------------------------------------------------------------------- */

struct arguments {
    const char *argv[ARGUMENTS_MAX];
    unsigned count;
    char numbers[8][NUMBER_BYTES];
    unsigned numbers_count;
    char program[PATH_MAX + 16];
    char programs[RILL_PLACE_PATH_BYTES];
};

static void add(struct arguments *a, const char *option, const char *value)
{
    a->argv[a->count++] = option;
    a->argv[a->count++] = value;
}

static void add_number(struct arguments *a, const char *option, const struct rill_config *settings,
                       const char *name)
{
    char *text = a->numbers[a->numbers_count++];

    snprintf(text, NUMBER_BYTES, "%" PRIu64, rill_config_u64(settings, name));
    add(a, option, text);
}

static void add_text(struct arguments *a, const char *option, const struct rill_config *settings,
                     const char *name)
{
    if (rill_config_string(settings, name)[0] != '\0')
        add(a, option, rill_config_string(settings, name));
}

static void begin(struct arguments *a, const char *programs, const char *program,
                  const struct rill_place *place)
{
    *a = (struct arguments){.count = 1};
    snprintf(a->program, sizeof(a->program), "%s/%s", programs, program);
    a->argv[0] = a->program;
    add(a, "--cluster", place->name);
    add(a, "--base", place->base);
}

/* `folder`, in the registry: of this life of the cluster. */
static void rm_arguments(struct arguments *a, const struct rill_config *settings,
                         const char *folder, const char *name)
{
    add(a, "--registry", rill_config_string(settings, "registry"));
    add(a, "--registry-folder", folder);
    add(a, "--name", name);
    add_number(a, "--session-ms", settings, "session_ms");
    add_number(a, "--uid", settings, "uid"); /* who owns the folders of links */
    add_number(a, "--warm", settings, "warm");
    add_number(a, "--log-lines-per-s", settings, "log_lines_per_s");
    add_number(a, "--log-mb", settings, "log_mb");
    add_text(a, "--listen", settings, "listen");
}

static void agent_arguments(struct arguments *a, const struct rill_place *place,
                            const struct rill_config *settings)
{
    static const char *const polls[] = {"yield", "busy", "sleep"};

    add(a, "--programs", rill_place_path(place, "programs", a->programs));
    add_number(a, "--uid", settings, "uid");
    add_text(a, "--machine", settings, "machine");
    add_number(a, "--memory-mb", settings, "memory_mb");
    add_number(a, "--memory-limit-mb", settings, "memory_limit_mb");
    add_text(a, "--cpus", settings, "cpus");
    add_text(a, "--store-folder", settings, "store_folder");
    add(a, "--poll", polls[rill_config_enum(settings, "poll")]);
    add_number(a, "--stall-ms", settings, "stall_ms");
    add_number(a, "--grace-ms", settings, "grace_ms");
    add_number(a, "--log-lines-per-s", settings, "log_lines_per_s");
    add_number(a, "--log-mb", settings, "log_mb");
}

/* --- starting -------------------------------------------------------------------------------- */

static int start(struct rill_process *process, const struct arguments *a,
                 const struct rill_place *place, const char *log, const char *pid_file,
                 struct rill_error *err)
{
    char path[RILL_PLACE_PATH_BYTES];
    int rc = rill_process_start(process, a->argv, rill_place_path(place, log, path), err);

    return rc == 0 ? rill_process_write(process, rill_place_path(place, pid_file, path), err) : rc;
}

static int start_manager(struct rill_daemons *daemons, const struct rill_place *place,
                         const struct rill_config *settings, const char *programs,
                         const char *folder, struct rill_error *err)
{
    char name[RILL_MANAGER_NAME_BYTES], log[RILL_PLACE_PATH_BYTES], pid[RILL_PLACE_PATH_BYTES];
    unsigned number = daemons->rm_count + 1;
    char text[NUMBER_BYTES];
    struct arguments a;
    int rc;

    snprintf(text, sizeof(text), "%u", number);
    snprintf(log, sizeof(log), "logs/%s.log", rill_manager_name(number, name));
    begin(&a, programs, "rill-rm", place);
    rm_arguments(&a, settings, folder, text);
    rc = start(&daemons->rms[number - 1], &a, place, log, rill_manager_pid_file(number, pid), err);
    daemons->rm_count += rc == 0;
    return rc;
}

static int start_managers(struct rill_daemons *daemons, const struct rill_place *place,
                          const struct rill_config *settings, const char *programs,
                          struct rill_error *err)
{
    uint64_t count = rill_config_u64(settings, "rms"), life;
    char folder[RILL_PLACE_PATH_BYTES];
    int rc = 0;

    *daemons = (struct rill_daemons){.agent.fd = -1};
    for (unsigned i = 0; i < RILL_MANAGERS_MAX; i++)
        daemons->rms[i].fd = -1;
    if (getrandom(&life, sizeof(life), 0) != (ssize_t)sizeof(life))
        return rill_error_set(err, -EIO, "no random numbers from the kernel");
    snprintf(folder, sizeof(folder), "/rill/%s-%016" PRIx64, place->name, life);
    while (rc == 0 && daemons->rm_count < count)
        rc = start_manager(daemons, place, settings, programs, folder, err);
    return rc;
}

int rill_daemons_start(struct rill_daemons *daemons, const struct rill_place *place,
                       const struct rill_config *settings, const char *programs,
                       struct rill_error *err)
{
    struct arguments a;
    int rc = start_managers(daemons, place, settings, programs, err);

    if (rc != 0)
        return rc;
    begin(&a, programs, "rill-agent", place);
    agent_arguments(&a, place, settings);
    return start(&daemons->agent, &a, place, "logs/agent.log", "agent.pid", err);
}

void rill_daemons_close(struct rill_daemons *daemons)
{
    for (unsigned i = 0; i < daemons->rm_count; i++)
        rill_process_close(&daemons->rms[i]);
    rill_process_close(&daemons->agent);
}

/* --- waiting --------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A daemon's lines begin with its name. */
static int say_last(const struct rill_place *place, const char *role, const char *what,
                    struct rill_error *err)
{
    char line[RILL_FOLDER_LINE_BYTES];

    return rill_error_set(err, -EIO, "%s%s", what, rill_folder_last_line(place, role, line));
}

static int check_alive(const struct rill_daemons *daemons, const struct rill_place *place,
                       struct rill_error *err)
{
    if (rill_process_ended(&daemons->agent, 0))
        return say_last(place, "agent", "", err);
    for (unsigned i = 0; i < daemons->rm_count; i++) {
        char name[RILL_MANAGER_NAME_BYTES];

        if (rill_process_ended(&daemons->rms[i], 0))
            return say_last(place, rill_manager_name(i + 1, name), "", err);
    }
    return 0;
}

static int took_too_long(const struct rill_place *place, struct rill_error *err)
{
    char rm[RILL_FOLDER_LINE_BYTES], agent[RILL_FOLDER_LINE_BYTES];

    return rill_error_set(err, -ETIMEDOUT, "not ready after %d s; last lines: %.180s; %.180s",
                          READY_MS / 1000, rill_folder_last_line(place, "rm", rm),
                          rill_folder_last_line(place, "agent", agent));
}

static bool is_ready(const struct rill_daemons *daemons, const Control__Status *status)
{
    return status->settled && status->n_machines > 0 && status->machines[0]->connected &&
           status->standbys + 1 >= daemons->rm_count;
}

/* Asks once. 1: ready, and *status is there; 0: not yet. */
static int look(const struct rill_daemons *daemons, struct rill_client **client,
                const struct rill_place *place, Control__Message **status, struct rill_error *err)
{
    Control__StatusRequest request = CONTROL__STATUS_REQUEST__INIT;
    Control__Message m;
    int rc;

    if (*client == NULL) {
        rc = rill_client_open(place, client, err);
        if (rc == -ENOENT)
            return 0; /* it does not listen yet */
        if (rc != 0)
            return rc;
    }
    m = rill_client_message_to(*client, 0);
    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &request);
    rc = rill_client_ask(*client, &m, ANSWER_MS, status, err);
    if (rc != 0)
        return rc;
    if ((*status)->body_case == CONTROL__MESSAGE__BODY_STATUS &&
        is_ready(daemons, (*status)->status))
        return 1;
    rill_control_free(*status);
    *status = NULL;
    return 0;
}

int rill_daemons_wait(struct rill_daemons *daemons, const struct rill_place *place,
                      const volatile sig_atomic_t *stop, Control__Message **status,
                      struct rill_error *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    uint64_t until_ms = now_ms() + READY_MS;
    struct rill_client *client = NULL;
    int rc = 0;

    *status = NULL;
    while (rc == 0) {
        struct rill_error dead;

        rc = look(daemons, &client, place, status, err);
        if (rc > 0)
            break;
        if (check_alive(daemons, place, &dead) != 0)
            rc = rill_error_set(err, -EIO, "%s", dead.text); /* why it did not answer */
        else if (rc == 0 && *stop)
            rc = rill_error_set(err, -EINTR, "interrupted; what was started is taken down");
        else if (rc == 0 && now_ms() >= until_ms)
            rc = took_too_long(place, err);
        if (rc == 0)
            nanosleep(&pause, NULL);
    }
    rill_client_close(client);
    return rc > 0 ? 0 : rc;
}
