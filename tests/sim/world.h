/* A cluster under virtual time: the director and the node agents that ship decide who dies, who
 * takes whose place and who has links to whom; units, output loggers and controllers are the cores
 * that ship, in containers that are not. One thread; all from one seed.
 *
 *   world_plan.c     what a seed stands for
 *   world_line.c     connections of control messages: ordered and reliable until they break
 *   world_rm.c       the resource manager's process: the director; and what it leaves to the next
 *   world_machine.c  a machine: the agent's process, and a keeper of containers that are not there
 *   world_program.c  the program in a container: what lib/daemon's role does around a core
 *   world_core.c     that core
 *   world_domain.c   what the roles of one deployment share: the folder of their links, the fabric
 *                    behind it, and the truth about its packets
 *   world_client.c   clients: one that keeps deployments as they should be, and replayers
 *   world_faults.c   what goes wrong, and when
 *   world_check.c    what must hold once nothing goes wrong any more
 *   world.c          time
 *
 * Whatever has an address (a machine, a program, a connection) stays in memory until the run is
 * over, so that what is late can find out that it is.
 */
#ifndef RILL_TESTS_SIM_WORLD_H
#define RILL_TESTS_SIM_WORLD_H

#include "lib/config/config.h"
#include "lib/control/control.h"
#include "lib/packet/split.h"
#include "rm/agent/agent.h"
#include "rm/agent/keeper_stall.h"
#include "rm/director.h"
#include "tests/sim/sim.h"

enum {
    WORLD_MACHINES_MAX = 3,
    WORLD_DEPLOYMENTS_MAX = 2,
    WORLD_CLIENTS_MAX = 1 + WORLD_DEPLOYMENTS_MAX, /* the operator, then a replayer for each */
    WORLD_PROGRAMS_MAX = 2048,
    WORLD_DOMAINS_MAX = 128,
    WORLD_PEERS_MAX = 32,
    WORLD_CONTROLLERS_MAX = 3, /* of a deployment */
    WORLD_SETTINGS = 24,
    WORLD_SETTING_BYTES = 48,
};
#define WORLD_US UINT64_C(1000)
#define WORLD_MS UINT64_C(1000000)

struct world;
struct world_machine;
struct world_program;
struct world_domain;

/* --- world_plan.c ----------------------------------------------------------------------------- */

struct world_plan {
    uint64_t seed;
    uint32_t machines, deployments, units, warm;
    uint32_t controllers; /* of a deployment, at a time */
    bool fabric_crosses_machines;
    bool live;   /* the last deployment has interfaces of its machine, and no replayer */
    bool gentle; /* connections break and agents die, and nothing else goes wrong */
    uint32_t deaths_max;
    uint64_t start_timeout_ns, links_timeout_ns;
    uint64_t stall_ms;
    struct rill_fabric_sim_config network;
    uint64_t line_delay_ns;           /* of a control message, at most */
    uint64_t start_ns, boot_ns;       /* of a container, of its program; at most */
    uint64_t faults_ns, faults_until; /* from, to */
    uint32_t faults;                  /* how many strike at a moment of time ... */
    uint32_t ambushes;                /* ... and how many at a control message */
    double fails;                     /* a look of the operator: it lets a role fail */
    double slow_down;                 /* of the breaks: one end hears of it late */
    uint32_t flows, burst;
    uint64_t gap_ns;
    uint32_t packets; /* before the faults stop; of one deployment */
    double old_rm;    /* who dials reaches the resource manager of before, while it is there */
    double undeploys; /* a look of the operator: a deployment is not wanted for a while */
    char settings[WORLD_SETTINGS][2][WORLD_SETTING_BYTES];
    uint32_t setting_count;
    struct sim_plan check; /* as far as the checks look at it */
};
void world_plan_draw(struct world_plan *plan, uint64_t seed);

/* --- world.c: time ---------------------------------------------------------------------------- */

struct world_event {
    uint64_t at_ns, number;
    void (*happen)(struct world *w, const struct world_event *event);
    void *data;
    uint64_t a, b;
};
void world_at(struct world *w, uint64_t at_ns,
              void (*happen)(struct world *w, const struct world_event *event), void *data,
              uint64_t a, uint64_t b);
/* What just came up, later: before what came up after it first, however often both are put off. */
void world_put_off(struct world *w, const struct world_event *event, uint64_t at_ns);
uint64_t world_draw(struct world *w, uint64_t most); /* uniform in [0, most] */
bool world_chance(struct world *w, double p);
__attribute__((format(printf, 2, 3))) void world_note(struct world *w, const char *format, ...);
__attribute__((format(printf, 3, 4))) void world_fail(struct world *w, const char *invariant,
                                                      const char *format, ...);
void *world_alloc(size_t bytes); /* zeroed; aborts without memory */

/* --- world_line.c ----------------------------------------------------------------------------- */

enum world_end { WORLD_DIALLER, WORLD_LISTENER };
enum world_line_kind { WORLD_LINE_PROGRAM, WORLD_LINE_AGENT, WORLD_LINE_CLIENT };

/* A process that dials, again whenever it has lost its connection. */
struct world_line {
    enum world_line_kind kind;
    void *owner; /* world_program, world_machine (its agent), world_client */
    bool closed; /* the process is gone */
    struct world_connection *connection; /* that the dialler knows of; NULL: none */
};

struct world_connection {
    uint32_t number; /* what the processes call it: a peer */
    struct world_line *line;
    uint32_t life;       /* of the listening process */
    bool open[2];        /* the process at that end has not heard of its end */
    uint64_t last_ns[2]; /* when the latest message towards that end arrives */
    uint64_t cut_ns[2];  /* nothing arrives there from then on; UINT64_MAX: it is whole */
};

struct world_line *world_line_open(struct world *w, enum world_line_kind kind, void *owner);
/* The dialling process is gone. `flush`: it saw to it that what it had said arrives. */
void world_line_close(struct world *w, struct world_line *line, bool flush);
/* The same of the listening process. */
void world_listener_gone(struct world *w, const struct world_machine *machine, bool flush);
void world_rm_gone(struct world *w, uint32_t life, bool flush);
void world_break(struct world *w, struct world_connection *c);
/* NULL: there is no such connection any more, as far as that end knows. */
struct world_connection *world_connection_at(struct world *w, uint32_t number, enum world_end end);
/* Frees what is under way still. */
void world_lines_forget(struct world *w);
bool world_send(struct world *w, struct world_connection *c, enum world_end from,
                const Control__Message *message);

/* --- world_rm.c ------------------------------------------------------------------------------- */

struct world_rm {
    struct world *w;
    struct rill_director *director; /* NULL: the process is gone */
    uint32_t life;                  /* which one it is */
    uint64_t still_until;           /* it stands still */
    bool ended;                     /* as it was told */
};
enum { WORLD_RECORDS_MAX = 64, WORLD_RECORD_NAME_BYTES = 32 };
struct world_record {
    char name[WORLD_RECORD_NAME_BYTES];
    uint8_t *data; /* NULL: it is not there */
    size_t bytes;
};
struct world_store {
    struct world_record records[WORLD_RECORDS_MAX];
    uint64_t last_ns;    /* when the latest write is carried out */
    uint64_t cut_ns;     /* what the dead one wrote and comes later is lost */
    uint64_t away_until; /* nothing is written before */
};
void world_rm_start(struct world *w);
void world_rm_crash(struct world *w);
/* Another one is elected; the one before does not know yet. */
void world_rm_replace(struct world *w);
void world_rm_turn(struct world *w);
uint64_t world_rm_due_ns(const struct world_rm *rm);
uint64_t world_rm_next_ns(const struct world *w);
/* The process of that life; NULL: it is gone. */
struct world_rm *world_rm_of(struct world *w, uint32_t life);
void world_store_lose(struct world *w);
void world_store_forget(struct world *w);

/* --- world_machine.c -------------------------------------------------------------------------- */

struct world_machine {
    struct world *w;
    char name[16];
    bool off;                 /* no power */
    struct rill_agent *agent; /* NULL: the process is gone */
    uint32_t life;            /* which one it is */
    uint64_t still_until;     /* it stands still */
    bool ended;               /* as it was told: everything stopped */
    struct world_line *line;
    uint32_t starts[256]; /* roles that wait for it */
    uint32_t start_count;
    bool starting, looking, stopping_all;
    uint32_t starting_role;
    double fails_to_start; /* the keeper can't start a container */
    double dies_at_once;
    uint64_t slow_start_ns;
};
void world_machine_on(struct world *w, struct world_machine *machine);
void world_machine_off(struct world *w, struct world_machine *machine);
void world_agent_start(struct world *w, struct world_machine *machine);
void world_agent_crash(struct world *w, struct world_machine *machine);
/* Frees what the keepers say still. */
void world_news_forget(struct world *w);
void world_agent_told(struct world *w, struct world_machine *machine,
                      const Control__Message *message);
void world_agent_turn(struct world *w, struct world_machine *machine); /* ends it if it is over */
/* The program ended; the keeper hears of it soon. */
void world_machine_ended(struct world *w, struct world_program *program, int32_t wait_status);
/* A program stands still: the keeper looks. */
void world_machine_watch(struct world *w, struct world_machine *machine);

/* --- world_program.c -------------------------------------------------------------------------- */

struct world_core {
    struct rill_config *settings, *nf_config;
    struct rill_nf *nf;
    struct rill_unit *unit;
    struct rill_ol *ol;
    struct rill_controller *controller;
    uint8_t (*addresses)[16];
};

struct world_links {
    uint32_t id; /* whose */
    uint32_t to[WORLD_PEERS_MAX];
    uint32_t count;
    bool pending; /* not all up, or not told yet */
    uint32_t asker;
    uint64_t number;
};

struct world_program {
    struct world *w;
    uint32_t id;
    struct world_machine *machine;
    uint64_t token;
    bool alive; /* the process */
    bool there; /* the container: its end was not told, or not looked at */
    bool stalled;
    int32_t wait_status;
    uint64_t still_until; /* it stands still; 0: no */
    bool spins;           /* while it does: it wants a processor */
    struct rill_stall stall;
    struct world_line *line; /* NULL: it does not dial yet */
    bool active, ending;
    uint64_t activated_by; /* number of the Activate */
    uint32_t epoch;        /* a controller's */
    bool taking_over;
    uint64_t rm_number; /* the highest that was heard of */
    struct world_domain *domain;
    struct world_core core;
    struct world_links links;
    uint32_t client;
    uint32_t logger; /* a unit's output logger */
    bool chased;     /* it dies when it is about to fill the next one, or while it does */
    const uint64_t *arrival_ns;
    uint64_t due_ns;
    struct rill_outbox out;
};
struct world_program *world_program_start(struct world *w, struct world_machine *machine,
                                          uint32_t id, uint64_t token);
struct world_program *world_program(struct world *w, uint32_t id, bool alive); /* NULL: none */
void world_program_end(struct world_program *p, int32_t wait_status);
void world_program_stand_still(struct world_program *p, uint64_t until_ns);
bool world_program_stands_still(const struct world_program *p);
void world_program_up(struct world_program *p);
void world_program_message(struct world_program *p, const Control__Message *message);
/* True if anything moved. */
bool world_program_turn(struct world_program *p);
uint64_t world_program_next_ns(const struct world_program *p);
/* A packet comes in from the client. */
void world_program_ingress(struct world_program *p, struct rte_mbuf *m);

/* --- world_core.c ----------------------------------------------------------------------------- */

/* 0, or a line in *err. */
int world_core_activate(struct world_program *p, const Control__Activate *how,
                        struct rill_error *err);
/* Valid until the next call. */
Control__Facts *world_core_facts(const struct world_core *core);
void world_core_recv(struct world_program *p, struct rte_mbuf **frames, uint32_t n);
void world_core_tick(struct world_program *p);
uint64_t world_core_next_ns(const struct world_program *p);
uint64_t world_core_drops(const struct world_core *core);
uint64_t world_core_held(const struct world_core *core);
void world_core_count(const struct world_core *core, struct sim_result *result);
void world_core_destroy(struct world_core *core);

/* --- world_domain.c --------------------------------------------------------------------------- */

struct world_link { /* between two roles; up once both want it */
    uint32_t ids[2];
    bool wanted[2];
    bool up;
    uint64_t up_ns; /* not before */
};

struct world_domain {
    struct world *w;
    char folder[64];
    bool removed;
    struct rill_fabric *fabric;
    struct sim_check *check;
    struct world_link links[512];
    uint32_t link_count;
    uint64_t sent, released; /* packets */
    uint64_t dropped;        /* by roles that are gone */
    uint64_t died;           /* with a role that held them */
    uint64_t no_link;        /* sent where there is no link */
    uint64_t loss_ns;        /* when a unit or an output logger died last */
    /* Of a slot: flows have to survive a controller that died then; 0: need not. */
    uint64_t survive_ns[WORLD_CONTROLLERS_MAX];
    uint32_t released_of[64];
    uint32_t releasing;
};
struct world_domain *world_domain_make(struct world *w, const char *folder);
struct world_domain *world_domain_of(struct world *w, const char *path); /* the folder at its end */
void world_domain_destroy(struct world_domain *domain);
void world_domain_link(struct world_domain *domain, uint32_t from, uint32_t to);
void world_domain_unlink(struct world_domain *domain, uint32_t from, uint32_t to);
/* All links of a process that is gone. */
void world_domain_unlink_all(struct world_domain *domain, uint32_t from);
/* A role is about to be gone, or has taken over: what becomes of the flows. */
void world_domain_loses(struct world_domain *domain, struct world_program *p);
void world_domain_taken_over(struct world_domain *domain, struct world_program *controller);
/* The one whose flows the slot's are, or will be; NULL: none. */
struct world_program *world_domain_controller(const struct world_domain *domain, uint32_t slot);
bool world_domain_is_linked(struct world_domain *domain, uint32_t a, uint32_t b);
/* Peers: links to all of these and to no others. */
void world_links_set(struct world_domain *domain, struct world_links *links,
                     const Control__Message *peers);
bool world_links_are_up(struct world_domain *domain, const struct world_links *links);
void world_domain_send(struct world_domain *domain, struct world_program *from,
                       struct rte_mbuf **frames, uint32_t n);
void world_domain_released(struct world_domain *domain, struct world_program *logger,
                           struct rte_mbuf *m);
void world_domain_balance(struct world_domain *domain);

/* --- world_client.c --------------------------------------------------------------------------- */

struct world_wish { /* a deployment that there should be */
    char name[16];
    bool wanted;
    uint64_t change_ns; /* not wanted until then */
};

struct world_client {
    struct world *w;
    uint32_t index;
    uint32_t id;      /* 0: not welcome yet */
    uint32_t machine; /* where it says that it is */
    struct world_line *line;
    bool is_up;
    bool joined;     /* on this connection */
    uint64_t number; /* of its newest request */
    bool waits;      /* for the answer */
    uint64_t asked_ns;
    Control__Message__BodyCase asked;
    bool looking;
    /* the operator */
    struct world_wish wishes[WORLD_DEPLOYMENTS_MAX];
    Control__Message *status; /* the newest */
    uint64_t status_ns;
    bool shuts_down, shut_down;
    /* a replayer */
    struct world_domain *domain;
    struct world_links links;
    bool attached;
    uint32_t controllers[WORLD_CONTROLLERS_MAX]; /* role ids by slot, as it was told last */
    struct rill_split *split;                    /* NULL: there is one slot */
    uint8_t addresses[4][16];                    /* of the NF's pool */
    uint32_t flow, burst_left;
    bool playing;
};
void world_client_start(struct world *w, uint32_t index);
bool world_is_live(const struct world *w, uint32_t deployment);
void world_client_up(struct world_client *c);
void world_client_down(struct world_client *c);
void world_client_message(struct world_client *c, const Control__Message *message);
void world_client_end(struct world_client *c);
/* What it sends now has to come out. */
void world_client_probe(struct world_client *c);

/* --- world_faults.c --------------------------------------------------------------------------- */

void world_faults_plan(struct world *w);
/* A control message is about to be delivered to that end. */
void world_faults_message(struct world *w, struct world_connection *c, enum world_end end,
                          const Control__Message *message);
/* Nothing goes wrong any more, and what was away comes back. */
void world_faults_stop(struct world *w);

enum { WORLD_AMBUSHES_MAX = 16 };
struct world_ambush { /* the fault strikes at a control message of that kind */
    Control__Message__BodyCase at;
    uint32_t after; /* so many others */
    bool over;
};

/* --- world_check.c ---------------------------------------------------------------------------- */

/* As the operator's newest status has it: all that is wanted is there, and works. NULL, or what is
 * missing. */
const char *world_what_is_missing(struct world *w);
/* The same of flows and endpoints that should have ended and come back. */
const char *world_what_is_kept(const struct world *w);
void world_check_truth(struct world *w);
void world_check_leases(struct world *w);
void world_check_deaths(struct world *w);
void world_check_units(struct world *w);
void world_check_nothing_left(struct world *w);

/* ---------------------------------------------------------------------------------------------- */

struct world {
    struct world_plan plan;
    struct rill_rng rng;
    FILE *trace;
    struct sim_result *result;
    struct rte_mempool *pool;
    uint64_t now_ns;
    struct world_event *events; /* a heap */
    uint32_t event_count, event_room;
    uint64_t event_number;
    struct world_rm rms[2], *rm; /* the one that leads, and maybe one that did */
    struct world_store store;
    uint64_t deaths_taken; /* roles that resource managers which are gone took for dead */
    struct world_machine machines[WORLD_MACHINES_MAX];
    struct world_client clients[WORLD_CLIENTS_MAX];
    struct world_program *programs[WORLD_PROGRAMS_MAX];
    uint32_t program_count;
    struct world_domain *domains[WORLD_DOMAINS_MAX];
    uint32_t domain_count;
    struct world_connection **connections;
    uint32_t connection_count, connection_room;
    struct world_line **lines;
    uint32_t line_count, line_room;
    uint64_t control_messages;
    struct world_ambush ambushes[WORLD_AMBUSHES_MAX]; /* plan.ambushes of them */
    uint64_t news_ns; /* when the latest program or connection ended */
    bool calm;        /* nothing goes wrong any more */
    bool ending;
};

#endif
