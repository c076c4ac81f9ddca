#include "cli/cluster_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define U64(name_, unit_, min_, max_, def_, doc_)                                                  \
    {                                                                                              \
        .name = name_, .type = RILL_OPT_U64, .unit = unit_, .min = min_, .max = max_, .def = def_, \
        .doc = doc_                                                                                \
    }
#define TEXT(name_, def_, doc_)                                                                    \
    {                                                                                              \
        .name = name_, .type = RILL_OPT_STRING, .unit = "", .def = def_, .doc = doc_               \
    }

const struct rill_option rill_cluster_schema[] = {
    TEXT("name", RILL_PLACE_DEFAULT_NAME, "The cluster's name: 1 to 24 characters of a-z and 0-9."),
    TEXT("base", "",
         "Folder of its sockets, logs and programs; empty: " RILL_PLACE_DEFAULT_ROOT "/NAME."),
    U64("warm", "runtimes", 0, 16, "1",
        "Runtimes kept started ahead of need, and as many output loggers."),
    U64("uid", "", 1, 4294967293.0, "3200000",
        "User on this machine that the containers' root is; it should have nothing else."),
    {.name = "poll",
     .type = RILL_OPT_ENUM,
     .unit = "",
     .choices = "yield|busy|sleep",
     .def = "yield",
     .doc = "What a role does when there is nothing to do: let others run, spin, or rest."},
    U64("memory_mb", "MB", 64, 1048576, "256",
        "Memory that DPDK may take in each role's process; taken as it is used."),
    U64("memory_limit_mb", "MB", 0, 1048576, "0",
        "Memory at which a container is stopped by the kernel; 0: none."),
    TEXT("cpus", "", "Processors that containers run on, like 2-7,9; empty: all."),
    U64("stall_ms", "ms", 0, 600000, "1000",
        "A role whose loop stands still for so long is killed; 0: never."),
    U64("grace_ms", "ms", 0, 5000, "500", "Between asking a container to stop and killing it."),
    U64("log_lines_per_s", "lines", 1, 1000000, "100",
        "Log lines of the resource manager and of the agent; those beyond are only counted."),
    U64("log_mb", "MB", 1, 1000000, "16",
        "Size of a role's log, the part before included; what is older goes."),
    TEXT("store_folder", "",
         "Folder that units see as /run/store: objects, or the socket of a Redis server."),
    TEXT("listen", "", "Where agents of other machines reach this one: tcp://ADDRESS:PORT."),
    TEXT("registry", "local",
         "Where resource managers keep what the next one has to know, and are elected: local (a "
         "folder; there is one), or zookeeper:HOST:PORT[,HOST:PORT...]."),
    U64("rms", "processes", 1, 9, "1",
        "Resource managers: one leads, the others stand by; more than one needs a registry."),
    U64("session_ms", "ms", 400, 600000, "2000",
        "A resource manager of which the registry hears nothing for so long is gone; ZooKeeper "
        "takes at least two of its ticks."),
    TEXT("machine", "", "This machine's name in the cluster; empty: its host name."),
    {.name = NULL},
};

static int fail(const struct rill_config *config, const char *name, const char *why,
                struct rill_error *err)
{
    return rill_error_set(err, -EINVAL, "%.120s: %s %.300s", rill_config_source(config, name), name,
                          why);
}

static int judge_place(const struct rill_config *config, struct rill_place *place,
                       struct rill_error *err)
{
    const char *name = rill_config_string(config, "name");
    const char *base = rill_config_string(config, "base");
    struct rill_error why;

    if (place->given_name == NULL) {
        if (rill_place_check_name(name, &why) != 0)
            return fail(config, "name", why.text, err);
        place->given_name = name;
    }
    if (place->given_base == NULL && base[0] != '\0') {
        if (rill_place_check_base(base, &why) != 0)
            return fail(config, "base", why.text, err);
        place->given_base = base;
    }
    return rill_place_resolve(place, err);
}

/* Containers do not start without it. */
static int judge_store_folder(const struct rill_config *config, struct rill_error *err)
{
    const char *folder = rill_config_string(config, "store_folder");
    struct stat info;

    if (folder[0] == '\0')
        return 0;
    if (folder[0] != '/' || strstr(folder, "..") != NULL)
        return fail(config, "store_folder", "is no absolute path", err);
    if (stat(folder, &info) != 0)
        return fail(config, "store_folder", strerror(errno), err);
    return S_ISDIR(info.st_mode) ? 0 : fail(config, "store_folder", "is no folder", err);
}

/* What the daemons could not take as an argument. */
static int judge_texts(const struct rill_config *config, struct rill_error *err)
{
    const char *listen = rill_config_string(config, "listen");
    const char *cpus = rill_config_string(config, "cpus");
    const char *machine = rill_config_string(config, "machine");

    if (listen[0] != '\0' && strncmp(listen, "tcp://", 6) != 0)
        return fail(config, "listen", "is no tcp://ADDRESS:PORT", err);
    if (cpus[strspn(cpus, "0123456789,-")] != '\0')
        return fail(config, "cpus", "is no list of processors like 2-7,9", err);
    if (machine[0] == '-' || strlen(machine) > 64)
        return fail(config, "machine", "begins with '-', or has more than 64 bytes", err);
    return judge_store_folder(config, err);
}

static bool is_server(const char *text, size_t bytes)
{
    const char *colon = memrchr(text, ':', bytes);
    size_t digits;

    if (colon == NULL || colon == text)
        return false;
    digits = strspn(colon + 1, "0123456789");
    return digits >= 1 && digits <= 5 && colon + 1 + digits == text + bytes &&
           strcspn(text, " /\t") >= bytes && strtoul(colon + 1, NULL, 10) - 1 < UINT16_MAX;
}

/* HOST:PORT, once or more, with commas between. */
static bool are_servers(const char *text)
{
    for (;;) {
        size_t bytes = strcspn(text, ",");

        if (!is_server(text, bytes))
            return false;
        if (text[bytes] == '\0')
            return true;
        text += bytes + 1;
    }
}

static int judge_registry(const struct rill_config *config, struct rill_error *err)
{
    static const char zookeeper[] = "zookeeper:";
    const char *registry = rill_config_string(config, "registry");
    bool local = strcmp(registry, "local") == 0;

    if (!local && (strncmp(registry, zookeeper, strlen(zookeeper)) != 0 ||
                   !are_servers(registry + strlen(zookeeper)) || strlen(registry) > 200))
        return fail(config, "registry", "is neither local nor zookeeper:HOST:PORT,...", err);
    if (local && rill_config_u64(config, "rms") > 1)
        return fail(config, "rms",
                    "is more than 1, and they could not agree on who leads: set registry to "
                    "zookeeper:HOST:PORT,...",
                    err);
    return 0;
}

int rill_cluster_settings_read(struct rill_cluster_request *request, struct rill_config **config,
                               struct rill_error *err)
{
    struct rill_config_file *file = NULL;
    int rc = 0;

    *config = rill_config_create(rill_cluster_schema, err);
    if (*config == NULL)
        return -ENOMEM;
    if (request->file != NULL)
        rc = rill_config_cluster_file_open(request->file, &file, err);
    if (file != NULL)
        rc = rill_config_file_apply(file, "cluster", *config, err);
    rill_config_file_close(file);
    for (size_t i = 0; rc == 0 && i < request->set_count; i++)
        rc = rill_config_set_pair(*config, request->sets[i], err);
    if (rc == 0)
        rc = judge_place(*config, &request->place, err);
    if (rc == 0)
        rc = judge_texts(*config, err);
    if (rc == 0)
        rc = judge_registry(*config, err);
    return rc;
}
