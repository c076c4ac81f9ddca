/* Containers of one cluster on this machine: starts, watches, stops, adopts and removes them,
 * through liblxc.
 *
 * A container runs one program, as process 1, in a user, pid, mount, ipc, uts, cgroup and network
 * namespace of its own (the network has only `lo`, down), with no capability, no way to gain one,
 * and a seccomp filter that allows what is listed in container_seccomp.c. Its root is read-only and
 * made of bind mounts; docs/containers.md has the picture. `host_network` makes an exception, for
 * programs of ours that have to reach the machine's interfaces.
 *
 * It outlives its starter. Each has a monitor: a process that was forked off the starter and waits
 * in liblxc until the program has ended. If the monitor is killed, the program dies with it.
 *
 * What belongs to a cluster is known by name: containers are called "rill-<cluster>-<anything>", a
 * cluster's name has no '-', so one cluster's prefix is never the beginning of another's. Nothing
 * that is called otherwise is ever touched: no folder, no cgroup, no process.
 *
 * Blocking: every call is synchronous; how long, says each. Not thread-safe: one thread for one
 * struct rill_containers and its containers. Root is needed.
 */
#ifndef RILL_RM_AGENT_CONTAINER_H
#define RILL_RM_AGENT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

struct rill_containers; /* a cluster's, on this machine */
struct rill_container;  /* one of them; its rill_containers has to outlive it */

enum {
    RILL_CLUSTER_NAME_MAX = 24,   /* [a-z0-9]+ */
    RILL_CONTAINER_NAME_MAX = 64, /* rill-<cluster>-[a-z0-9-]+ */
    RILL_CONTAINER_MOUNTS_MAX = 32,
};

struct rill_container_mount {
    const char *host;   /* absolute; a folder or a file that is there, its parents open (o+x) to
                         * the program's uid: the kernel looks it up as that one */
    const char *inside; /* absolute; made where it is missing */
    bool writable;      /* else read-only. The program is uid_base on the host: who wants it to
                         * write gives it the folder (chown) before */
};

struct rill_container_spec {
    const char *name;
    char *const *argv; /* NULL at the end; argv[0] is a path inside */
    char *const *env;  /* NAME=VALUE, NULL at the end; NULL: none. RUNTIME_DIRECTORY=/run and
                        * container=lxc are always there */
    const struct rill_container_mount *mounts; /* besides those that all have */
    uint32_t mount_count;
    const char *cpus;      /* "0-3,6"; NULL: all */
    uint64_t memory_bytes; /* 0: no limit. What is over it gets the program killed */
    uint64_t run_bytes;    /* size of the tmpfs at /run; 0: 16 MiB */
    uint32_t uid_base;     /* the program's uid 0 and gid 0 are this on the host; > 0, and different
                            * for each container that is not to touch another's files */
    uint32_t uid_count;    /* how many uids it has; 0: 1 */
    bool host_network; /* keeps the starter's network and user namespace: it is the host's uid 0,
                        * whatever uid_base says, with CAP_NET_RAW and CAP_DAC_OVERRIDE and no
                        * other capability, and may open AF_PACKET sockets. Never for code that
                        * is not ours */
    int output_fd;     /* stdout and stderr; duplicated, stays the caller's. -1: /dev/null */
};

/* run_folder: absolute, of this machine, not shared (say "/run/rill"); all users can enter its
 * parents. It is made where it is missing. <run_folder>/<cluster> is made and locked: -EBUSY if
 * another process still has it after a second. -EINVAL, -EPERM, -ENOSYS (no cgroups) or what the
 * system said, with a line in *err. */
int rill_containers_open(const char *cluster, const char *run_folder,
                         struct rill_containers **containers, struct rill_error *err);

/* Containers run on. The cluster's folder is removed if it is empty, then the run folder if that is
 * empty too. NULL is fine. */
void rill_containers_close(struct rill_containers *containers);

/* Returns when the program has been exec'ed: a program that is missing, or is none, is an error
 * here; one that ends at once is a container whose pidfd is readable. Takes some milliseconds.
 * -EINVAL: the spec; -EEXIST: the name is in use; -EIO: liblxc refused, *err has its reason. After
 * an error nothing is left. */
int rill_container_start(struct rill_containers *containers, const struct rill_container_spec *spec,
                         struct rill_container **container, struct rill_error *err);

/* Finds all that run: one struct rill_container each in *list (freed by the caller with free(),
 * each container with release or destroy), sorted by name. What is left of containers that do not
 * run any more is removed; *removed (NULL is fine) counts them. Meant for a caller that has none
 * yet: after its start. Milliseconds for each. */
int rill_containers_adopt(struct rill_containers *containers, struct rill_container ***list,
                          uint32_t *count, uint32_t *removed, struct rill_error *err);

/* Kills and removes everything of this cluster, known to the caller or not: after it, only release
 * may be called for what the caller still holds. 0 if nothing is left. */
int rill_containers_remove_all(struct rill_containers *containers, struct rill_error *err);

const char *rill_container_name(const struct rill_container *container);
pid_t rill_container_pid(const struct rill_container *container); /* of the program, on the host */

/* Readable (POLLIN) from the program's end on. Belongs to the container: valid until it is released
 * or destroyed. */
int rill_container_pidfd(const struct rill_container *container);

/* To the program. It is process 1 of its pid namespace: of what it has no handler for it only feels
 * SIGKILL and SIGSTOP. 0, also if it has ended. */
int rill_container_signal(const struct rill_container *container, int signal_number);

/* Readable from the moment on at which how the program ended is known, or never will be. That is
 * a while after its end, milliseconds, or tens of them on a busy machine: liblxc tidies up before
 * it tells. Belongs to the container. */
int rill_container_exit_fd(const struct rill_container *container);

/* After the program's end: how, as wait(2) has it. -EAGAIN: it runs. -ENODATA: nobody knows, as its
 * monitor was killed too. Waits for exit_fd, at most 5 s. */
int rill_container_exit_status(const struct rill_container *container, int *wait_status);

/* SIGTERM, then after grace_ms SIGKILL; returns when it has ended, at the latest some milliseconds
 * after the grace. 0: it ended by itself or by SIGTERM; 1: it had to be killed; else -errno. */
int rill_container_stop(struct rill_container *container, uint32_t grace_ms,
                        struct rill_error *err);

/* Kills it if it runs, removes what it leaves: monitor, cgroups, folder. Frees it, whatever is
 * returned; what could not be removed is named in *err, and adopt or remove_all try again. */
int rill_container_destroy(struct rill_container *container, struct rill_error *err);

/* Frees the struct; the container runs on, or its remains stay for adopt. NULL is fine. */
void rill_container_release(struct rill_container *container);

#endif
