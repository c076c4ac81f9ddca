/* What the files of the director share.
 *
 *   director.c            in and out: whose message is it, time, the work that is due after each
 *   director_requests.c   what was asked of others and is not answered yet; answers to others
 *   director_roles.c      containers: started, joined, stopped, gone
 *   director_machines.c   agents, and the pools of warm roles
 *   director_deploy.c     a deployment begins: what is asked for is checked
 *   director_deployment.c its life, from there to its end
 *   director_activation.c its roles: taken, and activated
 *   director_losses.c     its roles that die, and who takes their place
 *   director_links.c      Peers: who has links to whom, and who is ready to be leased
 *   director_leases.c     the lease cores' frames
 *   director_clients.c    clients, and who is attached
 *   director_status.c     Status
 *   director_objects.c    which versions of objects units have
 *   director_usage.c      what units did, for billing
 *   director_record.c     what the next director has to know, and the next one, that reads it
 *   director_keep.c       what waits until that is kept
 *
 * What happens is noted where it happens; what follows from it is done at one place, by
 * dir_settle(), which looks at what there is and does what is missing. So no order of events needs
 * code of its own.
 */
#ifndef RILL_RM_DIRECTOR_INTERNAL_H
#define RILL_RM_DIRECTOR_INTERNAL_H

#include "lib/base/id_map.h"
#include "lib/base/role.h"
#include "lib/config/config.h"
#include "rm/director.h"
#include "rm/folder_name.h"
#include "rm/rm.h"

enum {
    DIR_CLIENTS_MAX = 256,
    DIR_LINKS_MAX = 32, /* of one role: DPDK's ports */
    DIR_NAME_MAX = 24,  /* a deployment's */
    DIR_MACHINE_NAME_MAX = 64,
    DIR_LINE_BYTES = 512, /* as struct rill_error */
    DIR_MOURNED_MAX = 16, /* of a deployment, at a time */
    DIR_KINDS = 8,        /* enum rill_role_kind */
};
_Static_assert(2 * RILL_DIRECTOR_UNITS_MAX + 1 <= DIR_LINKS_MAX, "a controller's links fit");
_Static_assert(RILL_DIRECTOR_UNITS_MAX + RILL_DIRECTOR_CONTROLLERS_MAX <= DIR_LINKS_MAX,
               "those of a unit and of a client fit");

#define DIR_NS_PER_S UINT64_C(1000000000)

struct dir_ids {
    uint32_t ids[DIR_LINKS_MAX];
    uint32_t count;
};

/* Of a role or a client. */
struct dir_links {
    struct dir_ids told; /* what the newest Peers said */
    struct dir_ids up;   /* of these, what it has confirmed */
    uint32_t egress;
};

/* Who asked, and waits for an answer. number 0: nobody. */
struct dir_asker {
    uint32_t peer, role;
    uint64_t number;
};

struct dir_machine {
    uint32_t agent; /* role id; 0: free */
    uint32_t peer;  /* 0: its agent is not connected */
    uint32_t cpus;
    uint64_t memory_bytes;
    bool hugepages;
    uint64_t backoff_ns, failed_ns; /* the last failure to start something */
    uint64_t start_after_ns;        /* nothing is started ahead of need before */
    bool inherited;                 /* has not joined since we are there */
    char name[DIR_MACHINE_NAME_MAX + 1];
};

enum dir_role_state {
    DIR_STARTING,
    DIR_WARM,
    DIR_ACTIVATING,
    DIR_ACTIVE,
    DIR_STOPPING,
    DIR_ENDED /* by itself, after it was active; there is only how that is left to say */
};

struct dir_role {
    uint32_t id; /* 0: free */
    uint32_t agent;
    enum dir_role_state state;
    bool host_network;
    uint32_t vni;     /* of the deployment that has it; 0: none, it is kept warm */
    uint32_t partner; /* a unit's output logger, and the other way round */
    uint64_t born_ns;
    uint64_t join_until_ns; /* while it is starting */
    uint64_t start_ns, ready_ns, activation_ns;
    uint64_t active_ns; /* when it became active */
    uint8_t *objects;   /* a unit's, packed, as it said last; NULL: nothing yet */
    size_t objects_bytes;
    struct dir_links links;
};

struct dir_client {
    uint32_t id; /* 0: free */
    uint32_t peer;
    uint32_t vni;           /* attached to; 0: nothing */
    uint64_t back_until_ns; /* inherited, and not heard of yet: it has time until then; else 0 */
    struct dir_links links;
    char machine[DIR_MACHINE_NAME_MAX + 1];
};

enum dir_deployment_state { DIR_DEPLOYING, DIR_RUNNING, DIR_FAILED, DIR_UNDEPLOYING };

struct dir_pair {
    uint32_t unit, output_logger; /* 0: none yet */
    bool leasable;                /* the lease core has it */
    bool logger_is_new; /* leasable, and the unit has not been told of its output logger */
};

/* A place for a controller; its number is the slot of all that have it, one after the other. */
struct dir_slot {
    uint32_t epoch;      /* of the one that is there, or comes next: lib/base/epoch.h */
    uint32_t controller; /* role id; 0: none yet */
    uint32_t lost;       /* whose flows another is to take over, or is about to; 0: none */
};

/* The output logger of a dead unit: stays until the unit's flows go on elsewhere. */
struct dir_mourned {
    uint32_t unit, output_logger;
};

struct dir_deployment {
    uint32_t vni; /* 0: free */
    enum dir_deployment_state state;
    bool deployed;  /* all its units were there once: Deploy has been answered */
    bool abandoned; /* never got so far; its name is free again */
    uint32_t home;  /* agent; where it is kept unless it spans machines */
    Control__Deploy *spec;
    Control__Facts *facts; /* from the first unit that was activated */
    struct rill_config *settings;
    struct rill_rm *leases;
    char folder[RILL_FOLDER_NAME_BYTES];
    bool has_folder;
    struct dir_slot slots[RILL_DIRECTOR_CONTROLLERS_MAX]; /* spec->controllers of them */
    struct dir_pair pairs[RILL_DIRECTOR_UNITS_MAX];       /* spec->units of them */
    struct dir_mourned mourned[DIR_MOURNED_MAX];
    uint32_t mourned_count;
    uint32_t client;
    uint64_t asked_ns;
    struct dir_asker deploy, undeploy, attach;
    uint32_t deaths;
    uint64_t death_ns[RILL_DIRECTOR_DEATHS_MAX]; /* a ring of deaths_max */
    uint32_t deaths_timed;
    uint64_t usage_ask_ns, usage_write_ns; /* when next; 0: at once, never */
    size_t lease_start, lease_bytes;       /* in the record */
    uint64_t lease_hash, lease_version;    /* of what is there, and when it became another */
    char failure[DIR_LINE_BYTES];
};

enum dir_request_kind { DIR_START, DIR_STOP, DIR_STOP_ALL, DIR_ACTIVATE, DIR_PEERS };

/* Asked of `who`, and not answered yet. */
struct dir_request {
    uint64_t number;
    enum dir_request_kind kind;
    uint32_t who;   /* agent, role or client */
    uint32_t about; /* role, or the same as `who` */
    uint64_t due_ns;
    struct dir_ids peers; /* DIR_PEERS */
};

/* A death: director_failures.c. Times 0: not, or not yet. */
struct dir_failure {
    uint32_t role, vni;
    uint32_t unit; /* it, or the one whose output logger it was; else it */
    uint32_t slot; /* a controller's */
    bool hang;
    uint64_t told_ns, detected_ns, recovered_ns;
};

struct dir_bill;

struct rill_director {
    struct rill_director_config config;
    struct rill_director_counters n;
    uint64_t now_ns, created_ns;
    struct dir_machine machines[RILL_DIRECTOR_MACHINES_MAX];
    struct dir_client clients[DIR_CLIENTS_MAX];
    struct dir_deployment *deployments; /* RILL_DIRECTOR_DEPLOYMENTS_MAX */
    struct dir_role *roles;             /* RILL_DIRECTOR_ROLES_MAX, role_slots of them ever used */
    uint32_t role_slots;
    struct rill_id_map role_at; /* role id to index */
    uint32_t next_number[DIR_KINDS];
    uint32_t clients_taken; /* number after those of clients that were ever attached */
    uint32_t next_vni;
    uint64_t folders;
    struct dir_request *requests; /* in order of their numbers */
    uint32_t request_count, request_room;
    uint64_t next_request;
    char (*failures)[DIR_LINE_BYTES];                            /* a ring */
    uint32_t failure_count;                                      /* ever */
    struct dir_failure failure_list[RILL_DIRECTOR_FAILURES_MAX]; /* a ring */
    uint32_t failure_list_count;                                 /* ever */
    struct dir_bill *bills;
    uint32_t bill_count, bill_room;
    struct dir_asker shutdown;
    char shutdown_failure[DIR_LINE_BYTES];
    bool going_down, over;
    struct rill_outbox outbox;              /* of the lease core that is at work; else empty */
    struct rill_memo record, record_before; /* the newest, and the last that was another */
    uint64_t version, saved_version;
    struct dir_gone {
        uint32_t vni;
        uint64_t version; /* the state without it; 0: not written yet */
        char folder[RILL_FOLDER_NAME_BYTES];
    } gone[RILL_DIRECTOR_DEPLOYMENTS_MAX]; /* deployments that are over, and kept still */
    uint32_t gone_count;
    struct dir_waiting *waiting; /* to be said once something is kept; oldest first */
    uint32_t waiting_count, waiting_room;
};

/* --- director.c ------------------------------------------------------------------------------- */

/* Does what follows from what has changed. */
void dir_settle(struct rill_director *d);
uint32_t dir_new_id(struct rill_director *d, enum rill_role_kind kind); /* 0: there are no more */
/* An id that somebody gave away before us is not ours to give. */
void dir_skip_id(struct rill_director *d, uint32_t id);
__attribute__((format(printf, 2, 3))) void dir_say(struct rill_director *d, const char *format,
                                                   ...);
/* A line that status shows, and that is said. */
void dir_note_failure(struct rill_director *d, const char *line);

/* --- director_requests.c ---------------------------------------------------------------------- */

/* The peer behind which a role, agent or client is; 0: it is not there. */
uint32_t dir_peer_of(const struct rill_director *d, uint32_t id);
/* Sends it to message->to; false if that is not there. */
bool dir_send(struct rill_director *d, const Control__Message *message);
/* Notes the request and sends it: message->to has to answer, within timeout_ns. */
void dir_ask(struct rill_director *d, Control__Message *message, enum dir_request_kind kind,
             uint32_t about, uint64_t timeout_ns, const struct dir_ids *peers);
struct dir_request *dir_find_request(struct rill_director *d, uint64_t number);
struct dir_request *dir_find_request_about(struct rill_director *d, enum dir_request_kind kind,
                                           uint32_t about);
void dir_remove_request(struct rill_director *d, struct dir_request *request);
void dir_forget_requests_about(struct rill_director *d, uint32_t about);
struct dir_request *dir_new_request(struct rill_director *d);
uint64_t dir_timeout_of(const struct rill_director *d, enum dir_request_kind kind);
/* False: whoever has to answer is behind a connection that is down; its time stands still. */
bool dir_request_runs(const struct rill_director *d, const struct dir_request *request);

struct dir_asker dir_asker_of(uint32_t peer, const Control__Message *message);
/* These answer at most once: *asker is nobody afterwards. */
void dir_answer(struct rill_director *d, struct dir_asker *asker, Control__Message *message);
void dir_answer_done(struct rill_director *d, struct dir_asker *asker);
__attribute__((format(printf, 3, 4))) void
dir_answer_error(struct rill_director *d, struct dir_asker *asker, const char *format, ...);
/* Of somebody from whom, or at a time when, it makes no sense: counted; an Error if it was a
 * request. */
void dir_unexpected(struct rill_director *d, uint32_t peer, const Control__Message *message);
bool dir_is_request(const Control__Message *message);

/* --- director_roles.c ------------------------------------------------------------------------- */

struct dir_role *dir_role(const struct rill_director *d, uint32_t id); /* NULL: none */
/* A container for `kind`, for a deployment or (vni 0) to be kept warm. NULL with a line in *err. */
struct dir_role *dir_start_role(struct rill_director *d, const struct dir_machine *machine,
                                enum rill_role_kind kind, bool host_network, uint32_t vni,
                                struct rill_error *err);
void dir_stop_role(struct rill_director *d, struct dir_role *role);
/* It is stopping, or has ended: nobody counts on it. */
bool dir_role_is_over(const struct dir_role *role);
/* Its container is gone; `how`, if it was wanted: "killed by SIGSEGV". */
void dir_role_gone(struct rill_director *d, struct dir_role *role, const char *how);
/* It is there and does not do what it should: stopped, and taken for dead. */
void dir_role_failed(struct rill_director *d, struct dir_role *role, const char *how);
/* Of those that ended there: who was to tell is gone. */
void dir_how_stays_unknown(struct rill_director *d, uint32_t agent);
void dir_on_join(struct rill_director *d, struct dir_role *role, const Control__Message *message);
void dir_on_exited(struct rill_director *d, const struct dir_machine *machine,
                   const Control__Message *message);
const char *dir_role_state_name(enum dir_role_state state);

/* --- director_machines.c ---------------------------------------------------------------------- */

struct dir_machine *dir_machine(struct rill_director *d, uint32_t agent);
struct dir_machine *dir_machine_of_peer(struct rill_director *d, uint32_t peer);
/* The least loaded machine, as rm/placement.h says; 0: none. `ahead_of_need`: none where something
 * failed to start just now. */
uint32_t dir_place(const struct rill_director *d, uint32_t not_on, bool ahead_of_need);
void dir_agent_joins(struct rill_director *d, uint32_t peer, const Control__Message *message);
void dir_agent_message(struct rill_director *d, struct dir_machine *machine,
                       const Control__Message *message);
/* Says Stop once more, in case it was lost. */
void dir_stop_again(struct rill_director *d, struct dir_request *request);
void dir_machine_down(struct rill_director *d, struct dir_machine *machine);
/* Orders about nobody's roles: they follow anew from what its agent says when it joins. */
void dir_forget_orders_of(struct rill_director *d, const struct dir_machine *machine);
/* Something failed to start there: a pause before the next, twice as long each time. */
void dir_machine_failed(struct rill_director *d, uint32_t agent);
void dir_fill_pools(struct rill_director *d);
/* As many as are wanted are warm. */
bool dir_pools_are_full(const struct rill_director *d);
/* A role of that kind at that machine that is warm, or about to be. */
struct dir_role *dir_take_warm(struct rill_director *d, uint32_t agent, enum rill_role_kind kind);

/* --- director_deploy.c ------------------------------------------------------------------------ */

void dir_on_deploy(struct rill_director *d, uint32_t peer, const Control__Message *message);
void dir_free_deployment(struct dir_deployment *dep);
/* From what was asked for, as dir_keep_deployment() wrote it; its life is in the state. 0, or a
 * line in *err. */
int dir_read_deployment(struct rill_director *d, struct dir_deployment *dep, const void *data,
                        size_t bytes, struct rill_error *err);

/* --- director_deployment.c -------------------------------------------------------------------- */

struct dir_deployment *dir_deployment(const struct rill_director *d, uint32_t vni);
/* By name; NULL: none. */
struct dir_deployment *dir_deployment_named(const struct rill_director *d, const char *name);
bool dir_is_live(const struct dir_deployment *dep);
/* That of a controller; NULL: it is not there, or not a controller. */
struct dir_slot *dir_slot_of(struct dir_deployment *dep, uint32_t controller);
/* It has, or wants, roles. */
bool dir_is_up(const struct dir_deployment *dep);
void dir_settle_deployment(struct rill_director *d, struct dir_deployment *dep);
/* It never ran, and will not. */
void dir_give_up_deploying(struct rill_director *d, struct dir_deployment *dep, const char *line);
void dir_fail_deployment(struct rill_director *d, struct dir_deployment *dep, const char *line);
void dir_on_undeploy(struct rill_director *d, uint32_t peer, const Control__Message *message);
const char *dir_deployment_state_name(enum dir_deployment_state state);

/* --- director_activation.c -------------------------------------------------------------------- */

/* Takes the roles that it lacks. */
void dir_fill_slots(struct rill_director *d, struct dir_deployment *dep);
/* Of those that wait, who can begin now. */
void dir_activate_roles(struct rill_director *d, struct dir_deployment *dep);
/* Once more, under the same number, if it is not answered yet. */
void dir_repeat_activate(struct rill_director *d, const struct dir_role *role);
void dir_on_activated(struct rill_director *d, struct dir_role *role,
                      const Control__Activated *activated);

/* --- director_losses.c ------------------------------------------------------------------------ */

/* It runs, and goes on if one more of its roles dies now. */
bool dir_deployment_bears_a_death(const struct rill_director *d, const struct dir_deployment *dep);
/* A role of it died, or failed: `line` says which, and how. `served`: it was active. */
void dir_deployment_lost(struct rill_director *d, struct dir_deployment *dep, uint32_t role,
                         bool served, const char *line);
/* Stops output loggers of dead units that nobody needs any more. */
void dir_bury(struct rill_director *d, struct dir_deployment *dep);

/* --- director_links.c ------------------------------------------------------------------------- */

/* The controller of each slot is. */
bool dir_controllers_are_active(const struct rill_director *d, const struct dir_deployment *dep);
/* Unit, output logger and a controller are active; before it ever ran: all controllers. */
bool dir_pair_is_active(const struct rill_director *d, const struct dir_deployment *dep,
                        const struct dir_pair *pair);
/* Tells whom it concerns. */
void dir_settle_links(struct rill_director *d, struct dir_deployment *dep);
void dir_tell_client(struct rill_director *d, struct dir_client *client,
                     const struct dir_deployment *dep, const struct dir_ids *peers);
/* The newest Peers once more, under the same number, if they are not answered yet. */
void dir_repeat_peers(struct rill_director *d, const struct dir_role *role);
void dir_repeat_client_peers(struct rill_director *d, const struct dir_client *client);
uint32_t dir_missing_client(const struct dir_links *links);
void dir_on_peers_done(struct rill_director *d, struct dir_links *links,
                       const struct dir_request *request);
/* Every link that the pair needs, and that others need to it, is up. */
bool dir_pair_is_linked(const struct rill_director *d, const struct dir_deployment *dep,
                        const struct dir_pair *pair);
/* The same for the client that is attached. */
bool dir_client_is_linked(const struct rill_director *d, const struct dir_deployment *dep,
                          const struct dir_client *client);
bool dir_has_id(const struct dir_ids *set, uint32_t id);

/* --- director_leases.c ------------------------------------------------------------------------ */

/* 0, or a line in *err. */
int dir_create_leases(struct rill_director *d, struct dir_deployment *dep, struct rill_error *err);
int dir_lease_pair(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair,
                   struct rill_error *err);
void dir_unlease_pair(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair);
/* The unit is dead, and its flows are to go on elsewhere. False: they can't, its logger is dead
 * too. */
bool dir_unit_died(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair);
/* The unit has another output logger, which is linked. */
void dir_replace_logger(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair);
/* A dead unit's output logger is dead, too. */
void dir_mourned_logger_died(struct rill_director *d, struct dir_deployment *dep, uint32_t unit);
/* Takes out one whose output logger nobody needs any more. False: there is none. */
bool dir_next_recovered(struct dir_deployment *dep, struct dir_mourned *mourned);
void dir_on_lease_message(struct rill_director *d, const struct dir_role *role,
                          const Control__Message *message);
void dir_tick_leases(struct rill_director *d, struct dir_deployment *dep);
/* The machine's agent hears us alone from now on. */
void dir_run_leases(struct rill_director *d, const struct dir_machine *machine);
/* Of a unit by all; and by a controller of all. */
uint32_t dir_leased(const struct dir_deployment *dep, uint32_t unit);
uint32_t dir_leased_by(const struct dir_deployment *dep, uint32_t controller);

/* --- director_clients.c ----------------------------------------------------------------------- */

struct dir_client *dir_client(struct rill_director *d, uint32_t id);
void dir_client_message(struct rill_director *d, uint32_t peer, const Control__Message *message);
/* The connection is gone, whoever it was. */
void dir_client_down(struct rill_director *d, uint32_t peer);
/* Those that were inherited and did not come back in time. */
void dir_tick_clients(struct rill_director *d);
uint64_t dir_clients_next_ns(const struct rill_director *d);
void dir_detach(struct rill_director *d, struct dir_deployment *dep);
/* Answers Attach if it can be answered now. */
void dir_settle_attach(struct rill_director *d, struct dir_deployment *dep);

/* --- director_failures.c ---------------------------------------------------------------------- */

/* A role died, or is given up. Nothing if it served no deployment. */
void dir_failure_detected(struct rill_director *d, const struct dir_role *role);
/* What that unit had, or its output logger, can go on. */
void dir_failure_recovered(struct rill_director *d, uint32_t unit);
/* That slot's flows have a controller again. */
void dir_slot_recovered(struct rill_director *d, uint32_t vni, uint32_t slot);
void dir_settle_failures(struct rill_director *d, const struct dir_deployment *dep);
/* Into a status: RILL_DIRECTOR_FAILURES_MAX of each list. */
void dir_add_failures(struct rill_director *d, Control__Failure *list, Control__Failure **pointers,
                      Control__Status *status);
void dir_on_fail(struct rill_director *d, uint32_t peer, const Control__Message *message);

/* --- director_usage.c ------------------------------------------------------------------------- */

/* A unit or an output logger says what it counted. */
void dir_usage_said(struct rill_director *d, const struct dir_role *role,
                    const Control__Metrics *metrics);
void dir_settle_usage(struct rill_director *d);
void dir_usage_tick(struct rill_director *d);
uint64_t dir_usage_next_ns(const struct rill_director *d);
void dir_usage_end(struct rill_director *d);
void dir_usage_free(struct rill_director *d);

/* --- director_status.c ------------------------------------------------------------------------ */

void dir_on_status_request(struct rill_director *d, uint32_t peer, const Control__Message *message);

/* --- director_objects.c ----------------------------------------------------------------------- */

void dir_on_objects(struct rill_director *d, struct dir_role *role,
                    const Control__Message *message);
/* The caller's to free; NULL: it said nothing. */
Control__Objects *dir_objects_of(const struct dir_role *role);

/* --- director_record.c ------------------------------------------------------------------------ */

enum { DIR_RECORD_NAME_BYTES = 32 };
extern const char dir_state_name[];
const char *dir_record_name(uint32_t vni, char name[DIR_RECORD_NAME_BYTES]);
void dir_save(struct rill_director *d, uint64_t version, const char *name, const void *data,
              size_t bytes);
void dir_write_state(struct rill_director *d, struct rill_memo *r);

/* --- director_keep.c -------------------------------------------------------------------------- */

/* Sends it, now or when what it follows from is kept. */
void dir_out(struct rill_director *d, uint32_t peer, const Control__Message *message);
/* That peer is gone; 0: all. */
void dir_forget_waiting(struct rill_director *d, uint32_t peer);
/* After each event. */
void dir_keep(struct rill_director *d);
/* What was asked for, before its life is kept; and when it is over. */
void dir_keep_deployment(struct rill_director *d, const struct dir_deployment *dep);
/* Its folder goes, too, when all that is known to have it over. */
void dir_deployment_is_gone(struct rill_director *d, const struct dir_deployment *dep);

#endif
