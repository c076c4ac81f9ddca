/* What a role's container looks like: program, arguments, mounts, and the files that belong to it.
 */
#include "rm/agent/keeper_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/role_name.h"
#include "lib/daemon/log_file.h"
#include "lib/daemon/turns.h"
#include "rm/agent/remove_tree.h"

enum { LAST_LINE_BYTES = 2048, ENVIRONMENT_BYTES = 1024, NAME_BYTES = 64 };

static const struct {
    enum rill_role_kind kind;
    const char *program;
} programs[] = {
    {RILL_ROLE_UNIT, "/opt/rill/rill-nf-runtime"},
    {RILL_ROLE_OUTPUT_LOGGER, "/opt/rill/rill-output-logger"},
    {RILL_ROLE_CONTROLLER, "/opt/rill/rill-controller"},
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static const char *program_of(uint32_t role)
{
    for (int i = 0; i < PROGRAMS; i++)
        if (programs[i].kind == rill_role_kind(role))
            return programs[i].program;
    return NULL;
}

/* ---- names and paths ---- */

int rill_keeper_path(const char *base, const char *name, char path[RILL_KEEPER_PATH_BYTES],
                     struct rill_error *err)
{
    if (snprintf(path, RILL_KEEPER_PATH_BYTES, "%s/%s", base, name) >= RILL_KEEPER_PATH_BYTES)
        return rill_error_set(err, -ENAMETOOLONG, "the path %.200s.../%s is too long", base, name);
    return 0;
}

/* Of roles/<id>, or of a file in it. */
static int role_path(const struct rill_keeper_config *config, uint32_t role, const char *file,
                     char path[RILL_KEEPER_PATH_BYTES], struct rill_error *err)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof(name), "roles/%08x%s%s", role, file[0] == '\0' ? "" : "/", file);
    return rill_keeper_path(config->base, name, path, err);
}

static int log_path(const struct rill_keeper_config *config, uint32_t role,
                    char path[RILL_KEEPER_PATH_BYTES], struct rill_error *err)
{
    char role_name[RILL_ROLE_NAME_BYTES], name[NAME_BYTES];

    snprintf(name, sizeof(name), "logs/%s.log", rill_role_name(role, role_name));
    return rill_keeper_path(config->base, name, path, err);
}

static int records_path(const struct rill_keeper_config *config, uint32_t role,
                        char path[RILL_KEEPER_PATH_BYTES], struct rill_error *err)
{
    char role_name[RILL_ROLE_NAME_BYTES], name[NAME_BYTES];

    snprintf(name, sizeof(name), "records/%s.jsonl", rill_role_name(role, role_name));
    return rill_keeper_path(config->base, name, path, err);
}

static void container_name(const struct rill_keeper_config *config, uint32_t role,
                           char name[RILL_CONTAINER_NAME_MAX + 1])
{
    char role_name[RILL_ROLE_NAME_BYTES];

    snprintf(name, RILL_CONTAINER_NAME_MAX + 1, "rill-%s-%s", config->cluster,
             rill_role_name(role, role_name));
}

/* 0: a name that the keeper does not give. */
static uint32_t role_of_name(const struct rill_keeper_config *config, const char *name)
{
    const char *dash = strrchr(name, '-');

    for (int i = 0; dash != NULL && i < PROGRAMS; i++) {
        uint32_t role = rill_role_id(programs[i].kind, (uint32_t)strtoul(dash + 1, NULL, 10));
        char made[RILL_CONTAINER_NAME_MAX + 1];

        container_name(config, role, made);
        if (strcmp(made, name) == 0)
            return role;
    }
    return 0;
}

/* ---- files ---- */

static int write_token(const char *path, uint64_t token, struct rill_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    char text[32];
    int length = snprintf(text, sizeof(text), "%016" PRIx64 "\n", token);
    bool ok = fd >= 0 && write(fd, text, (size_t)length) == length;
    int code = errno;

    if (fd >= 0)
        close(fd);
    return ok ? 0 : rill_error_set(err, -code, "cannot write %s: %s", path, strerror(code));
}

static int read_token(const char *path, uint64_t *token)
{
    FILE *file = fopen(path, "re");
    bool ok;

    if (file == NULL)
        return -errno;
    ok = fscanf(file, "%16" SCNx64, token) == 1 && *token != 0;
    fclose(file);
    return ok ? 0 : -EINVAL;
}

static int draw_token(uint64_t *token, struct rill_error *err)
{
    do
        if (getrandom(token, sizeof(*token), 0) != sizeof(*token))
            return rill_error_set(err, -EIO, "no random number for a token: %s", strerror(errno));
    while (*token == 0);
    return 0;
}

/* A unit's file for records: it outlives the unit, and goes with the cluster. */
static int make_records(const struct rill_keeper_config *config, uint32_t role, uint32_t owner,
                        struct rill_error *err)
{
    char folder[RILL_KEEPER_PATH_BYTES], path[RILL_KEEPER_PATH_BYTES];
    int code = rill_keeper_path(config->base, "records", folder, err), fd;

    if (code != 0 || (code = records_path(config, role, path, err)) != 0)
        return code;
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return rill_error_set(err, -errno, "cannot make %s: %s", folder, strerror(errno));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0 && fchown(fd, owner, owner) == 0) {
        close(fd);
        return 0;
    }
    code = rill_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return code;
}

/* The folder, token and turns. The folder's parents have to let the container's uid pass to what is
 * mounted, but for it to look at there is nothing. */
static int make_files(const struct rill_keeper_config *config, uint32_t owner,
                      struct rill_keeper_program *program, struct rill_error *err)
{
    char folder[RILL_KEEPER_PATH_BYTES], token[RILL_KEEPER_PATH_BYTES],
        turns[RILL_KEEPER_PATH_BYTES], roles[RILL_KEEPER_PATH_BYTES];
    int code = rill_keeper_path(config->base, "roles", roles, err);

    if (code != 0 || (code = role_path(config, program->role, "", folder, err)) != 0 ||
        (code = role_path(config, program->role, "token", token, err)) != 0 ||
        (code = role_path(config, program->role, "turns", turns, err)) != 0 ||
        (code = draw_token(&program->token, err)) != 0)
        return code;
    if ((mkdir(roles, 0711) != 0 && errno != EEXIST) || mkdir(folder, 0711) != 0)
        return rill_error_set(err, -errno, "cannot make the folder %s: %s", folder,
                              strerror(errno));
    code = write_token(token, program->token, err);
    if (code == 0) {
        program->turns_fd = rill_turns_make(turns, owner, err);
        code = program->turns_fd < 0 ? program->turns_fd : 0;
    }
    if (code == 0 && rill_role_kind(program->role) == RILL_ROLE_UNIT)
        code = make_records(config, program->role, owner, err);
    return code;
}

static void remove_files(const struct rill_keeper_config *config, uint32_t role,
                         struct rill_error *err)
{
    char folder[RILL_KEEPER_PATH_BYTES];

    if (role_path(config, role, "", folder, err) == 0)
        rill_remove_tree(folder, err);
}

static int open_log(const struct rill_keeper_config *config, uint32_t role, struct rill_error *err)
{
    char path[RILL_KEEPER_PATH_BYTES];
    int code = log_path(config, role, path, err), fd;

    if (code != 0)
        return code;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd >= 0
               ? fd
               : rill_error_set(err, -errno, "cannot open the log %s: %s", path, strerror(errno));
}

void rill_keeper_bound_log(const struct rill_keeper_config *config, uint32_t role)
{
    char path[RILL_KEEPER_PATH_BYTES];

    if (config->log_bytes != 0 && log_path(config, role, path, NULL) == 0)
        rill_log_file_bound(path, config->log_bytes);
}

/* ---- start ---- */

/* A sanitizer's search for leaks wants ptrace, which is not allowed inside. */
static void sanitizer_environment(char *asan, char *ubsan, char **env)
{
    const char *given = getenv("ASAN_OPTIONS");

#if defined(__SANITIZE_ADDRESS__)
    given = given == NULL ? "" : given;
#endif
    if (given != NULL && snprintf(asan, ENVIRONMENT_BYTES, "ASAN_OPTIONS=%s%sdetect_leaks=0", given,
                                  given[0] == '\0' ? "" : ":") < ENVIRONMENT_BYTES)
        *env++ = asan;
    given = getenv("UBSAN_OPTIONS");
    if (given != NULL &&
        snprintf(ubsan, ENVIRONMENT_BYTES, "UBSAN_OPTIONS=%s", given) < ENVIRONMENT_BYTES)
        *env++ = ubsan;
    *env = NULL;
}

static int start_container(const struct rill_keeper_config *config,
                           struct rill_containers *containers, bool host_network, int log_fd,
                           struct rill_keeper_program *program, struct rill_error *err)
{
    char name[RILL_CONTAINER_NAME_MAX + 1], role[16], memory[16], token[32];
    char asan[ENVIRONMENT_BYTES], ubsan[ENVIRONMENT_BYTES];
    char control[RILL_KEEPER_PATH_BYTES], links[RILL_KEEPER_PATH_BYTES],
        turns[RILL_KEEPER_PATH_BYTES];
    char records[RILL_KEEPER_PATH_BYTES];
    bool is_unit = rill_role_kind(program->role) == RILL_ROLE_UNIT;
    const struct rill_container_mount mounts[] = {
        {.host = config->programs, .inside = "/opt/rill"},
        {.host = control, .inside = "/run/control"}, /* connecting is possible read-only */
        {.host = links, .inside = "/run/links", .writable = true},
        {.host = turns, .inside = "/run/turns", .writable = true},
        {.host = records, .inside = "/run/records", .writable = true}, /* for units */
        {.host = config->store_folder, .inside = "/run/store"}, /* for units, if there is one */
    };
    bool has_store = is_unit && config->store_folder != NULL;
    const char *argv[] = {program_of(program->role),
                          "--role",
                          role,
                          "--control",
                          "ipc:///run/control/agent.sock",
                          "--turns",
                          "/run/turns",
                          "--memory-mb",
                          memory,
                          "--poll",
                          config->poll,
                          NULL};
    char *env[4] = {token};
    struct rill_container_spec spec = {
        .name = name,
        .argv = (char *const *)argv,
        .env = env,
        .mounts = mounts,
        .mount_count = (uint32_t)(sizeof(mounts) / sizeof(mounts[0])) - !is_unit - !has_store,
        .cpus = config->cpus,
        .memory_bytes = config->memory_limit_bytes,
        .uid_base = host_network ? 0 : config->uid,
        .host_network = host_network,
        .output_fd = log_fd,
    };
    int code;

    if ((code = rill_keeper_path(config->base, "control", control, err)) != 0 ||
        (code = rill_keeper_path(config->base, "links", links, err)) != 0 ||
        (code = role_path(config, program->role, "turns", turns, err)) != 0 ||
        (code = records_path(config, program->role, records, err)) != 0)
        return code;
    container_name(config, program->role, name);
    snprintf(role, sizeof(role), "0x%08x", program->role);
    snprintf(memory, sizeof(memory), "%u", config->memory_mb);
    snprintf(token, sizeof(token), "RILL_TOKEN=%016" PRIx64, program->token);
    sanitizer_environment(asan, ubsan, env + 1);
    return rill_container_start(containers, &spec, &program->container, err);
}

int rill_keeper_program_start(const struct rill_keeper_config *config,
                              struct rill_containers *containers, uint32_t role, bool host_network,
                              struct rill_keeper_program *program, struct rill_error *err)
{
    int log_fd, code;

    *program = (struct rill_keeper_program){.role = role, .turns_fd = -1};
    if (program_of(role) == NULL)
        return rill_error_set(err, -EINVAL,
                              "no program is known for role 0x%08x; only units, output loggers and "
                              "controllers run in containers",
                              role);
    code = log_fd = open_log(config, role, err);
    if (log_fd < 0)
        return code;
    code = make_files(config, host_network ? 0 : config->uid, program, err);
    if (code == 0)
        code = start_container(config, containers, host_network, log_fd, program, err);
    close(log_fd);
    if (code != 0)
        rill_keeper_program_remove(config, program, NULL);
    return code;
}

/* ---- afterwards ---- */

int rill_keeper_program_adopt(const struct rill_keeper_config *config,
                              struct rill_container *container, struct rill_keeper_program *program)
{
    uint32_t role = role_of_name(config, rill_container_name(container));
    char token[RILL_KEEPER_PATH_BYTES], turns[RILL_KEEPER_PATH_BYTES];

    *program = (struct rill_keeper_program){.role = role, .container = container, .turns_fd = -1};
    if (role == 0 || role_path(config, role, "token", token, NULL) != 0 ||
        role_path(config, role, "turns", turns, NULL) != 0 ||
        read_token(token, &program->token) != 0)
        return -EINVAL;
    program->turns_fd = open(turns, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return program->turns_fd < 0 ? -errno : 0;
}

static bool read_proc(pid_t pid, const char *name, char *line, int size)
{
    char path[64];
    FILE *file;
    bool ok;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)pid, name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

/* Of the packet thread, which is the program's first. */
static bool read_thread(pid_t pid, char *thread_state, uint64_t *cpu_ns)
{
    char line[256], *name_end;

    if (!read_proc(pid, "schedstat", line, sizeof(line)) || sscanf(line, "%" SCNu64, cpu_ns) != 1 ||
        !read_proc(pid, "stat", line, sizeof(line)))
        return false;
    name_end = strrchr(line, ')'); /* the name may hold anything */
    return name_end != NULL && sscanf(name_end + 1, " %c", thread_state) == 1;
}

void rill_keeper_program_see(const struct rill_keeper_program *program,
                             struct rill_stall_seen *seen)
{
    char thread_state = '?';

    *seen =
        (struct rill_stall_seen){.turns = program->stall.turns, .cpu_ns = program->stall.cpu_ns};
    rill_turns_read(program->turns_fd, &seen->turns);
    if (seen->turns != 0 && seen->turns == program->stall.turns &&
        read_thread(rill_container_pid(program->container), &thread_state, &seen->cpu_ns))
        seen->wants_cpu = thread_state == 'R';
}

int rill_keeper_program_remove(const struct rill_keeper_config *config,
                               struct rill_keeper_program *program, struct rill_error *err)
{
    int code = 0;

    if (program->turns_fd >= 0)
        close(program->turns_fd);
    program->turns_fd = -1;
    if (program->container != NULL)
        code = rill_container_destroy(program->container, err);
    program->container = NULL;
    if (program->role != 0)
        remove_files(config, program->role, code == 0 ? err : NULL);
    return code;
}

static bool ends_line(char c)
{
    return c == '\n' || c == '\r' || c == '\0';
}

void rill_keeper_last_line(const struct rill_keeper_config *config, uint32_t role, char *line,
                           size_t size)
{
    char path[RILL_KEEPER_PATH_BYTES], text[LAST_LINE_BYTES];
    ssize_t begin, end;
    off_t bytes;
    int fd;

    line[0] = '\0';
    if (log_path(config, role, path, NULL) != 0)
        return;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    bytes = lseek(fd, 0, SEEK_END);
    end = pread(fd, text, sizeof(text), bytes > LAST_LINE_BYTES ? bytes - LAST_LINE_BYTES : 0);
    close(fd);
    while (end > 0 && ends_line(text[end - 1]))
        end--;
    for (begin = end; begin > 0 && !ends_line(text[begin - 1]);)
        begin--;
    snprintf(line, size, "%.*s", end > 0 ? (int)(end - begin) : 0, text + (end > 0 ? begin : 0));
    for (; *line != '\0'; line++)
        if (!isprint((unsigned char)*line))
            *line = '?';
}

static bool has_program(const struct rill_keeper_program *list, uint32_t count, uint32_t role)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].role == role)
            return true;
    return false;
}

void rill_keeper_remove_role_folders(const struct rill_keeper_config *config,
                                     const struct rill_keeper_program *list, uint32_t count)
{
    char path[RILL_KEEPER_PATH_BYTES];
    struct dirent *entry;
    DIR *dir;

    if (rill_keeper_path(config->base, "roles", path, NULL) != 0 || (dir = opendir(path)) == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        char made[16];
        uint32_t role = (uint32_t)strtoul(entry->d_name, NULL, 16);

        snprintf(made, sizeof(made), "%08x", role);
        if (strcmp(made, entry->d_name) == 0 && !has_program(list, count, role))
            remove_files(config, role, NULL);
    }
    closedir(dir);
    rmdir(path); /* fails while something is in it */
}
