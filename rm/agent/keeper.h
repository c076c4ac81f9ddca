/* The keeper: the process that starts, watches and stops containers for the node agent.
 *
 * liblxc forks, and nng must not be used across a fork; starting a container takes 15 ms, and the
 * agent has messages to pass on. So containers are kept by a process that has no nng and may wait.
 * The two talk over a socket pair: requests one way, events the other.
 *
 *     rill-agent (nng, libuv) ---- socket pair ---- keeper (liblxc) ---- monitors ---- programs
 *
 * If the agent dies, the keeper ends and containers run on. If the keeper dies, the agent sees it
 * (event KEEPER_GONE) and ends. A new agent's keeper adopts what it finds.
 *
 * What the keeper decides: nothing. What it knows that nobody else does: what a role's container
 * looks like (program, arguments, mounts), below.
 *
 * Folders, all below `base` (say /run/rill/<cluster>):
 *     containers/     rm/agent/container.h's
 *     control/        agent.sock, where programs dial; at /run/control inside
 *     links/          folders of the deployments' links, unguessable names; at /run/links inside
 *     roles/<id>/     turns (lib/daemon/turns.h; at /run/turns inside) and token; <id> has 8 hex
 *                     digits
 *     logs/           <kind>-<number>.log (lib/base/role_name.h), what the program wrote, and
 *                     <kind>-<number>.log.1, what it wrote before, if it was much
 */
#ifndef RILL_RM_AGENT_KEEPER_H
#define RILL_RM_AGENT_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

struct rill_keeper;

struct rill_keeper_config {
    const char *cluster;
    const char *base;     /* absolute, below 89 characters; there, with the folders control, links,
                           * logs; all users can enter it and its parents */
    const char *programs; /* absolute: the folder of rill-nf-runtime and the others; at /opt/rill */
    uint32_t uid;         /* of the containers' root on the host; > 0 */
    uint32_t memory_mb;   /* for each program's DPDK (--memory-mb) */
    uint64_t memory_limit_bytes; /* cgroup, of a container; 0: none */
    const char *cpus;            /* cpuset; NULL: all */
    const char *store_folder;    /* absolute: at /run/store in units' containers; NULL: none */
    const char *poll;            /* "yield", "busy", "sleep": passed on */
    uint64_t log_bytes; /* of a program's log and the one before; looked at once a second. 0: any */
    uint32_t stall_ms; /* a program whose turns stand still for so long is killed; 0: never. Counted
                        * in the keeper's own looks, so that a machine that stood still is not taken
                        * for a program that did; and a program that gets little of a processor has
                        * up to four times as long (keeper_stall.h) */
    uint32_t grace_ms; /* between SIGTERM and SIGKILL */
};

enum rill_keeper_event_type {
    RILL_KEEPER_ADOPTED, /* at start, one for each container found: role, token */
    RILL_KEEPER_READY,   /* all adopted ones were told */
    RILL_KEEPER_STARTED, /* role, token, start_ns */
    RILL_KEEPER_FAILED,  /* role, text: it could not be started, nothing is left of it */
    RILL_KEEPER_ENDED,   /* role, stalled: at once; EXITED follows, when it is known how */
    RILL_KEEPER_EXITED,  /* role, wait_status (-1: unknown), stalled, text: its last line. What it
                          * left, but for its log, is removed right after: who waits for the news
                          * of a death need not wait for that */
    RILL_KEEPER_ALL_STOPPED, /* text: "" or what could not be removed */
    RILL_KEEPER_GONE,        /* the keeper died; nothing comes after it */
};

struct rill_keeper_event {
    enum rill_keeper_event_type type;
    uint32_t role;
    uint64_t token;
    uint64_t start_ns; /* of the call until the program was exec'ed */
    int32_t wait_status;
    bool stalled;
    char text[512];
};

/* Forks the keeper. Before the process has any thread. -errno with a line in *err; what the keeper
 * itself finds wrong (no root, no liblxc, another agent has the cluster: -EBUSY) comes back here,
 * too.
 */
int rill_keeper_create(const struct rill_keeper_config *config, struct rill_keeper **keeper,
                       struct rill_error *err);
/* Ends the keeper (by pid) and frees; containers run on. NULL is fine. */
void rill_keeper_destroy(struct rill_keeper *keeper);

int rill_keeper_fd(const struct rill_keeper *keeper); /* readable: call next */
/* False: nothing is there now. */
bool rill_keeper_next(struct rill_keeper *keeper, struct rill_keeper_event *event);

/* Asked for; the answer is an event. Starting a role that is there is a FAILED and does it no harm;
 * stopping one that is not there is nothing; stopping one that still waits for its start is a
 * FAILED, and it does not start. */
void rill_keeper_run(struct rill_keeper *keeper, uint32_t role, bool host_network);
/* ENDED and EXITED follow. `at_once`: by SIGKILL, without being asked to end first. */
void rill_keeper_stop(struct rill_keeper *keeper, uint32_t role, bool at_once);
/* For tests of what follows: killed, or stopped so that it hangs and the stall watch has to find
 * it. ENDED and EXITED follow; one that is not there, or was told to end, is left alone. */
void rill_keeper_fail(struct rill_keeper *keeper, uint32_t role, bool hang);
void rill_keeper_stop_all(struct rill_keeper *keeper); /* one ALL_STOPPED, and before it no more
                                                        * ENDED or EXITED; what waits for its start
                                                        * is forgotten */

/* Kills and removes everything of the cluster on this machine without an agent: containers, and
 * what is below base but for logs/. -EBUSY: an agent is there. 0 if nothing is left. */
int rill_keeper_remove_all(const char *cluster, const char *base, struct rill_error *err);

#endif
