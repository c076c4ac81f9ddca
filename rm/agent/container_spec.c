/* From a spec to a folder on the host and a configuration for liblxc.
 *
 * The folder <run_folder>/<cluster>/<name> holds: root/ (mount points and nothing else), mnt/
 * (where liblxc puts the root together, seen by the container's mount namespace only), seccomp, log
 * (what liblxc complains of), monitor, exit.
 */
#include "rm/agent/container_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxc/lxccontainer.h>

enum { RUN_BYTES_DEFAULT = 16 << 20 };

/* What all containers see of the host, read-only. Those that are links on the host (/lib on a
 * merged /usr) become the same links. The last column: a missing one is no fault. */
static const struct host_path {
    const char *path;
    bool optional;
} host_paths[] = {
    {"/usr", false},
    {"/bin", true},
    {"/lib", true},
    {"/lib64", true},
    {"/etc/ld.so.cache", true},
    {"/etc/ld.so.conf", true},
    {"/etc/ld.so.conf.d", true},
    {"/sys/devices/system", false}, /* EAL counts the CPUs there */
    {"/dev/null", false},
    {"/dev/zero", false},
    {"/dev/full", false},
    {"/dev/random", false},
    {"/dev/urandom", false},
};
enum { HOST_PATHS = sizeof(host_paths) / sizeof(host_paths[0]) };

/* Empty folders: EAL wants /sys/module to be there, the others are mounted over. */
static const char *const empty_folders[] = {"/proc", "/run", "/sys", "/sys/module", "/dev"};
enum { EMPTY_FOLDERS = sizeof(empty_folders) / sizeof(empty_folders[0]) };

bool rill_container_name_valid(const struct rill_containers *containers, const char *name)
{
    size_t prefix = strlen(containers->prefix);

    if (strncmp(name, containers->prefix, prefix) != 0 || name[prefix] == '\0' ||
        strlen(name) > RILL_CONTAINER_NAME_MAX)
        return false;
    for (const char *c = name + prefix; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
            return false;
    return true;
}

/* Absolute, no "..", and nothing that would end a line of configuration. */
static bool path_valid(const char *path)
{
    if (path == NULL || path[0] != '/' || path[1] == '\0' || strlen(path) > 1000)
        return false;
    for (const char *c = path; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c) || (c[0] == '/' && c[1] == '.' && c[2] == '.'))
            return false;
    return true;
}

static bool text_valid(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '\n')
            return false;
    return true;
}

static int check_mounts(const struct rill_container_spec *spec, struct rill_error *err)
{
    if (spec->mount_count > RILL_CONTAINER_MOUNTS_MAX)
        return rill_error_set(err, -EINVAL, "%s: %u mounts; at most %d are possible", spec->name,
                              spec->mount_count, RILL_CONTAINER_MOUNTS_MAX);
    for (uint32_t i = 0; i < spec->mount_count; i++) {
        const struct rill_container_mount *mount = &spec->mounts[i];

        if (!path_valid(mount->host) || !path_valid(mount->inside))
            return rill_error_set(err, -EINVAL,
                                  "%s: mount %u ('%s' at '%s') needs two absolute paths without "
                                  "'..'",
                                  spec->name, i, mount->host == NULL ? "" : mount->host,
                                  mount->inside == NULL ? "" : mount->inside);
        if (access(mount->host, F_OK) != 0)
            return rill_error_set(err, -errno, "%s: cannot mount %s at %s: %s", spec->name,
                                  mount->host, mount->inside, strerror(errno));
    }
    return 0;
}

int rill_container_spec_check(const struct rill_containers *containers,
                              const struct rill_container_spec *spec, struct rill_error *err)
{
    if (spec->name == NULL || !rill_container_name_valid(containers, spec->name))
        return rill_error_set(err, -EINVAL,
                              "container '%s': the name has to be %s and then a-z, 0-9 or '-', at "
                              "most %d characters in all",
                              spec->name == NULL ? "" : spec->name, containers->prefix,
                              RILL_CONTAINER_NAME_MAX);
    if (spec->argv == NULL || spec->argv[0] == NULL || spec->argv[0][0] != '/')
        return rill_error_set(err, -EINVAL, "%s: the program needs an absolute path", spec->name);
    if (spec->uid_base == 0 && !spec->host_network)
        return rill_error_set(err, -EINVAL,
                              "%s: uid_base is 0, which would make its root the host's root",
                              spec->name);
    if (spec->cpus != NULL &&
        (spec->cpus[0] == '\0' || strspn(spec->cpus, "0123456789-,") != strlen(spec->cpus)))
        return rill_error_set(err, -EINVAL, "%s: cpus '%s' is no list like 0-3,6", spec->name,
                              spec->cpus);
    for (char *const *env = spec->env; env != NULL && *env != NULL; env++)
        if (!text_valid(*env) || strchr(*env, '=') == NULL)
            return rill_error_set(err, -EINVAL,
                                  "%s: environment '%.100s' is not NAME=VALUE on one line",
                                  spec->name, *env);
    return check_mounts(spec, err);
}

/* Makes the folder and all above it below folder_fd; path as seen inside, so with a '/' first. */
static int make_folders(int folder_fd, const char *path)
{
    char part[PATH_MAX];

    if (snprintf(part, sizeof(part), "%s", path + 1) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    for (char *slash = strchr(part, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (part[0] != '\0' && mkdirat(folder_fd, part, 0755) != 0 && errno != EEXIST)
            return -errno;
        if (slash == NULL)
            return 0;
        *slash = '/';
    }
}

/* A folder, file or link to be what the host has at `host`. A file or folder that is mounted over
 * only needs to be there. */
static int make_mount_point(int root_fd, const char *host, const char *inside, bool keep_link)
{
    char parent[PATH_MAX], target[PATH_MAX];
    struct stat info;
    ssize_t length;
    int fd, code;

    if ((keep_link ? lstat : stat)(host, &info) != 0)
        return -errno;
    if (S_ISDIR(info.st_mode))
        return make_folders(root_fd, inside);
    snprintf(parent, sizeof(parent), "%s", inside);
    *strrchr(parent, '/') = '\0';
    code = parent[0] == '\0' ? 0 : make_folders(root_fd, parent);
    if (code != 0)
        return code;
    if (S_ISLNK(info.st_mode)) {
        length = readlink(host, target, sizeof(target) - 1);
        if (length < 0)
            return -errno;
        target[length] = '\0';
        return symlinkat(target, root_fd, inside + 1) == 0 || errno == EEXIST ? 0 : -errno;
    }
    fd = openat(root_fd, inside + 1, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int make_root(int root_fd, const struct rill_container_spec *spec, struct rill_error *err)
{
    int code = 0;

    for (int i = 0; i < EMPTY_FOLDERS; i++)
        if (mkdirat(root_fd, empty_folders[i] + 1, 0755) != 0)
            return rill_error_set(err, -errno, "%s: cannot make root%s: %s", spec->name,
                                  empty_folders[i], strerror(errno));
    for (int i = 0; i < HOST_PATHS; i++) {
        code = make_mount_point(root_fd, host_paths[i].path, host_paths[i].path, true);
        if (code != 0 && !(code == -ENOENT && host_paths[i].optional))
            return rill_error_set(err, code, "%s: cannot prepare %s: %s", spec->name,
                                  host_paths[i].path, strerror(-code));
    }
    for (uint32_t i = 0; i < spec->mount_count; i++) {
        const struct rill_container_mount *mount = &spec->mounts[i];

        if (strncmp(mount->inside, "/run/", 5) == 0)
            continue; /* in the tmpfs: liblxc makes it */
        code = make_mount_point(root_fd, mount->host, mount->inside, false);
        if (code != 0)
            return rill_error_set(err, code, "%s: cannot prepare %s: %s", spec->name, mount->inside,
                                  strerror(-code));
    }
    return 0;
}

static bool write_text(int fd, const char *text)
{
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static int write_policy(int folder_fd, bool host_network)
{
    int fd = openat(folder_fd, "seccomp", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    bool ok;

    if (fd < 0)
        return -errno;
    ok = write_text(fd, rill_container_seccomp_policy) &&
         (!host_network || write_text(fd, rill_container_seccomp_host_network));
    close(fd);
    return ok ? 0 : -EIO;
}

int rill_container_folder_make(const struct rill_containers *containers,
                               const struct rill_container_spec *spec, struct rill_error *err)
{
    int folder_fd = -1, root_fd = -1, code;

    /* 0711: its uid has to pass through, and has nothing to look for in it. */
    if (mkdirat(containers->folder_fd, spec->name, 0711) != 0)
        return rill_error_set(err, -errno,
                              errno == EEXIST ? "container %s is there already, in %s"
                                              : "cannot make the folder of %s in %s",
                              spec->name, containers->folder);
    folder_fd = openat(containers->folder_fd, spec->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0 || mkdirat(folder_fd, "root", 0755) != 0 ||
        mkdirat(folder_fd, "mnt", 0755) != 0 || write_policy(folder_fd, spec->host_network) != 0)
        code = rill_error_set(err, -errno, "%s: cannot fill its folder in %s: %s", spec->name,
                              containers->folder, strerror(errno));
    else if ((root_fd = openat(folder_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        code = rill_error_set(err, -errno, "%s: cannot open its root", spec->name);
    else
        code = make_root(root_fd, spec, err);
    if (root_fd >= 0)
        close(root_fd);
    if (folder_fd >= 0)
        close(folder_fd);
    return code;
}

/* One line of configuration. The first that fails leaves its error; later ones do nothing. */
struct config {
    struct lxc_container *lxc;
    int code;
    struct rill_error *err;
};

__attribute__((format(printf, 3, 4))) static void set(struct config *config, const char *key,
                                                      const char *format, ...)
{
    char value[8192];
    va_list args;
    int length;

    if (config->code != 0)
        return;
    va_start(args, format);
    length = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (length >= (int)sizeof(value) || !config->lxc->set_config_item(config->lxc, key, value))
        config->code = rill_error_set(config->err, -EIO, "liblxc refuses %s = %.300s", key, value);
}

/* As fstab has it: what would end a field becomes octal. */
static void escape(char *out, size_t size, const char *path)
{
    size_t used = 0;

    for (; *path != '\0' && used + 5 < size; path++) {
        if (*path == ' ' || *path == '\\' || *path == '#')
            used += (size_t)snprintf(out + used, size - used, "\\%03o", (unsigned char)*path);
        else
            out[used++] = *path;
    }
    out[used] = '\0';
}

static void set_bind(struct config *config, const char *host, const char *inside, bool writable)
{
    char from[2048], to[2048];
    struct stat info;

    escape(from, sizeof(from), host);
    escape(to, sizeof(to), inside + 1);
    set(config, "lxc.mount.entry", "%s %s none rbind,%s,nosuid,create=%s 0 0", from, to,
        writable ? "rw" : "ro", stat(host, &info) == 0 && S_ISDIR(info.st_mode) ? "dir" : "file");
}

static void set_mounts(struct config *config, const struct rill_containers *containers,
                       const struct rill_container_spec *spec)
{
    struct stat info;

    set(config, "lxc.rootfs.path", "dir:%s/%s/root", containers->folder, spec->name);
    set(config, "lxc.rootfs.mount", "%s/%s/mnt", containers->folder, spec->name);
    set(config, "lxc.rootfs.options", "ro,nosuid,nodev");
    set(config, "lxc.autodev", "0");
    set(config, "lxc.tty.max", "0");
    set(config, "lxc.pty.max", "0");
    set(config, "lxc.console.path", "none");
    /* The host's uid 0 could write to more of /proc than to what "mixed" covers. */
    if (spec->host_network)
        set(config, "lxc.mount.entry", "proc proc proc ro,nosuid,nodev,noexec 0 0");
    else
        set(config, "lxc.mount.auto", "proc:mixed");
    for (int i = 0; i < HOST_PATHS; i++)
        if (lstat(host_paths[i].path, &info) == 0 && !S_ISLNK(info.st_mode))
            set_bind(config, host_paths[i].path, host_paths[i].path, false);
    set(config, "lxc.mount.entry",
        "tmpfs run tmpfs rw,nosuid,nodev,noexec,mode=0755,size=%" PRIu64 " 0 0",
        spec->run_bytes == 0 ? (uint64_t)RUN_BYTES_DEFAULT : spec->run_bytes);
    for (uint32_t i = 0; i < spec->mount_count; i++)
        set_bind(config, spec->mounts[i].host, spec->mounts[i].inside, spec->mounts[i].writable);
}

static void set_cgroups(struct config *config, const struct rill_container_spec *spec)
{
    set(config, "lxc.cgroup.dir.container", "%s/payload", spec->name);
    set(config, "lxc.cgroup.dir.monitor", "%s/monitor", spec->name);
    set(config, "lxc.cgroup.dir.monitor.pivot", "%s/pivot", spec->name);
    if (spec->cpus != NULL)
        set(config,
            rill_cgroup_controller_is_v1("cpuset") ? "lxc.cgroup.cpuset.cpus"
                                                   : "lxc.cgroup2.cpuset.cpus",
            "%s", spec->cpus);
    if (spec->memory_bytes != 0)
        set(config,
            rill_cgroup_controller_is_v1("memory") ? "lxc.cgroup.memory.limit_in_bytes"
                                                   : "lxc.cgroup2.memory.max",
            "%" PRIu64, spec->memory_bytes);
}

/* Who the program is, and what it may do. */
static void set_rights(struct config *config, const struct rill_container_spec *spec)
{
    uint32_t uids = spec->uid_count == 0 ? 1 : spec->uid_count;

    set(config, "lxc.no_new_privs", "1");
    if (spec->host_network) {
        set(config, "lxc.net.0.type", "none");
        set(config, "lxc.cap.keep", "net_raw dac_override");
        return;
    }
    set(config, "lxc.net.0.type", "empty");
    set(config, "lxc.cap.keep", "none");
    set(config, "lxc.idmap", "u 0 %u %u", spec->uid_base, uids);
    set(config, "lxc.idmap", "g 0 %u %u", spec->uid_base, uids);
}

int rill_container_configure(struct lxc_container *lxc, const struct rill_containers *containers,
                             const struct rill_container_spec *spec, struct rill_error *err)
{
    struct config config = {.lxc = lxc, .err = err};

    set(&config, "lxc.log.file", "%s/%s/log", containers->folder, spec->name);
    set(&config, "lxc.log.level", "ERROR");
    set(&config, "lxc.uts.name", "%s", spec->name);
    set_mounts(&config, containers, spec);
    set_cgroups(&config, spec);
    set_rights(&config, spec);
    set(&config, "lxc.seccomp.profile", "%s/%s/seccomp", containers->folder, spec->name);
    set(&config, "lxc.environment", "RUNTIME_DIRECTORY=/run");
    for (char *const *env = spec->env; env != NULL && *env != NULL; env++)
        set(&config, "lxc.environment", "%s", *env);
    return config.code;
}
