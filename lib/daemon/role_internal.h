/* Shared by the parts of a role's process: role.c (start and end), role_control.c (what it is asked
 * and answers), role_activation.c, role_peers.c (links), role_loop.c (packets) and role_metrics.c.
 * For no one else.
 */
#ifndef RILL_LIB_DAEMON_ROLE_INTERNAL_H
#define RILL_LIB_DAEMON_ROLE_INTERNAL_H

#include <rte_ethdev.h>

#include "lib/control/link.h"
#include "lib/daemon/daemon.h"
#include "lib/daemon/role.h"
#include "lib/daemon/turns.h"
#include "lib/fabric/fabric_memif.h"

enum {
    ROLE_BURST = 32,
    ROLE_LINKS_MAX = RTE_MAX_ETHPORTS, /* what a process can have; the fabric refuses more */
    ROLE_EXIT_REFUSED = 2,
};

/* Whom to answer, and under which number. */
struct role_asker {
    uint32_t from;
    uint64_t number; /* 0: nobody waits for an answer */
};

struct role_peers {
    uint32_t linked[ROLE_LINKS_MAX];
    uint32_t count;
    bool pending; /* not all links of the newest Peers are up, or not told yet */
    struct role_asker asker;
};

struct role_rest { /* how long to sleep (RILL_POLL_SLEEP) */
    uint32_t empty_turns;
    uint64_t sleep_ns;
};

struct role_process {
    const struct rill_role_ops *ops;
    struct rill_role_host host;
    enum rill_poll poll;
    uint64_t token;
    uint64_t main_ns, ready_ns; /* when main() began; from there to the first Join */
    struct rill_turns turns;
    uv_loop_t loop;
    uv_timer_t waiting; /* until activation */
    struct rill_link *link;
    uint32_t agent;     /* the connection; 0: there is none */
    uint64_t rm_number; /* the highest that was heard of a resource manager */
    struct rill_config *settings;
    struct rill_fabric *fabric;
    struct role_peers peers;
    struct role_rest rest;
    struct rill_outbox out;
    uint32_t reserve;           /* buffers that are kept for messages */
    uint64_t dropped_no_buffer; /* packets that came in and would have taken of these */
    uint64_t cpu_ns;            /* processor time of turns in which something came */
    uint64_t messages_lost;     /* lease messages for which there was no buffer or no connection */
    uint64_t messages_unknown;  /* control messages that are not for a role like this */
    uint64_t messages_old_rm;   /* from a resource manager whose place was taken */
    uint64_t next_control_ns, next_objects_ns;
    bool active;
    struct role_asker activated_by;
    Control__Facts facts; /* a unit's: what the answer says */
    uint64_t activation_ns;
    bool ended;
    int exit_code;
};

/* --- role_control.c --- */

int role_control_start(struct role_process *p, const char *url, struct rill_error *err);
/* False: not sent. `asker->number` 0: nothing is sent, true. */
bool role_answer(struct role_process *p, const struct role_asker *asker, Control__Message *answer);
bool role_answer_done(struct role_process *p, const struct role_asker *asker);
/* Unasked; lost if there is no connection. */
void role_tell_manager(struct role_process *p, Control__Message *message);
/* Every half second what it has of the configuration store, so that one that was lost does not
 * matter, nor that the resource manager is another. */
void role_tell_objects(struct role_process *p, uint64_t now_ns);
/* Says the line here, too. */
void role_answer_error(struct role_process *p, const struct role_asker *asker, const char *line);
/* A frame of the lease protocol, to the resource manager; frees it. */
void role_send_lease(struct role_process *p, struct rte_mbuf *frame);

/* --- role_activation.c --- */

/* Becomes what it is told, and answers. If it can't, the process ends after it has told. */
void role_activate(struct role_process *p, const struct role_asker *asker,
                   const Control__Activate *how);

/* --- role_peers.c --- */

void role_peers_set(struct role_process *p, const struct role_asker *asker,
                    const Control__Peers *peers);
/* Tells who asked when all links are up. */
void role_peers_look(struct role_process *p);

/* --- role_loop.c --- */

/* Receives one burst and lets the core have it. How many frames there were. */
uint32_t role_receive(struct role_process *p, uint64_t now_ns);
/* What the core wants sent: to the fabric, to the resource manager, or released. */
void role_send(struct role_process *p, uint64_t now_ns);
/* Until the end. */
void role_loop(struct role_process *p);
/* A signal said that this is to end. */
bool role_stopped(void);

/* --- role_metrics.c --- */

void role_answer_metrics(struct role_process *p, const struct role_asker *asker);
/* To the resource manager, before it ends: what it did since it was asked is billed, too. */
void role_last_metrics(struct role_process *p);

#endif
