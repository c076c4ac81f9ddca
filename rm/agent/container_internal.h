/* What the files of the container module share; nobody else includes it. */
#ifndef RILL_RM_AGENT_CONTAINER_INTERNAL_H
#define RILL_RM_AGENT_CONTAINER_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rm/agent/container.h"

struct lxc_container;

struct rill_containers {
    char cluster[RILL_CLUSTER_NAME_MAX + 1];
    char prefix[RILL_CLUSTER_NAME_MAX + 8]; /* rill-<cluster>- */
    char run_folder[100];
    char folder[128]; /* <run_folder>/<cluster>; liblxc's "lxcpath" */
    int folder_fd;    /* locked */
};

/* The monitor's identity, as in the file `monitor`: a pid alone may have been given away again. */
struct rill_monitor {
    pid_t pid;
    unsigned long long start_ticks;
};

/* container_spec.c: the folder that a container runs on, and liblxc's configuration. */
int rill_container_spec_check(const struct rill_containers *containers,
                              const struct rill_container_spec *spec, struct rill_error *err);
int rill_container_folder_make(const struct rill_containers *containers,
                               const struct rill_container_spec *spec, struct rill_error *err);
int rill_container_configure(struct lxc_container *lxc, const struct rill_containers *containers,
                             const struct rill_container_spec *spec, struct rill_error *err);

/* container_seccomp.c: liblxc's format. What host_network adds goes behind the policy. */
extern const char rill_container_seccomp_policy[];
extern const char rill_container_seccomp_host_network[];

/* container_monitor.c */
bool rill_monitor_start_ticks(pid_t pid, unsigned long long *ticks);
/* Forks the monitor and lets it go on when its pidfd is open. */
int rill_monitor_spawn(const struct rill_containers *containers,
                       const struct rill_container_spec *spec, int *monitor_pidfd,
                       struct rill_error *err);
/* A pidfd of the monitor that the folder names; -ESRCH if it is gone. */
int rill_monitor_open(const struct rill_containers *containers, const char *name);

/* container_cgroup.c: in every hierarchy. "v1" is also what a mixed machine has for a controller.
 */
bool rill_cgroup_controller_is_v1(const char *controller);
bool rill_cgroup_any(void);
/* Kills what is in the container's cgroups, and removes them. -EBUSY: something did not go. */
int rill_cgroup_remove(const char *name, struct rill_error *err);
/* Calls for every cgroup whose name begins with prefix. */
int rill_cgroup_each(const char *prefix, void (*each)(const char *name, void *arg), void *arg);

/* container_remove.c */
int rill_container_remove_remains(const struct rill_containers *containers, const char *name,
                                  int monitor_pidfd, struct rill_error *err);
void rill_containers_remove_locks(const struct rill_containers *containers);
bool rill_container_name_valid(const struct rill_containers *containers, const char *name);
bool rill_pidfd_wait(int pidfd, int timeout_ms); /* true: ended */
int rill_pidfd_open(pid_t pid);
int rill_pidfd_signal(int pidfd, int signal_number);

#endif
