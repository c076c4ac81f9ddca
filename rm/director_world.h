/* A world for the director's tests: agents, programs in containers and clients that answer as
 * docs/control.md says, unless a rule says otherwise. Time is stepped by hand. Whatever the
 * director sends is packed and unpacked on its way, so that all of it has passed the receiver's
 * checks.
 */
#ifndef RILL_RM_DIRECTOR_WORLD_H
#define RILL_RM_DIRECTOR_WORLD_H

#include "lib/base/role.h"
#include "rm/director.h"

enum {
    WORLD_AGENTS = 3,
    WORLD_CLIENTS = 3,
    WORLD_ROLES = 512,
    WORLD_RULES = 16,
    WORLD_PEERS = 64, /* of a role */
    WORLD_PEER_WORDS = 16,
    WORLD_QUEUE = 1024,
    WORLD_START_S = 10,
    WORLD_LINKS_S = 5,
    WORLD_DEATHS_MAX = 3,
    WORLD_WINDOW_S = 60,
    WORLD_KEPT = 16,
};
#define WORLD_MS UINT64_C(1000000)

enum world_fate {
    WORLD_OBEYS,
    WORLD_SILENT,   /* no answer */
    WORLD_REFUSES,  /* Error with the rule's text */
    WORLD_CRASHES,  /* its container ends by SIGSEGV, the rule's text is its last line */
    WORLD_STRANGE,  /* a unit that says it is another NF than the first */
    WORLD_NONSENSE, /* facts that can't be */
};

/* What becomes of a message of that kind; the first rule that fits counts. */
struct world_rule {
    Control__Message__BodyCase body; /* START, ACTIVATE, PEERS, STOP; JOIN: after it was started */
    enum rill_role_kind kind;        /* of the role that it is about */
    uint32_t role;                   /* this one only; 0: any */
    enum world_fate fate;
    const char *text;
    uint32_t times; /* then it is over; 0: it stays */
};

struct world_role {
    uint32_t id;
    uint32_t agent; /* index */
    bool running;   /* its container */
    bool joined;    /* and was welcomed */
    bool host_network;
    uint32_t activations;
    Control__Message *activate; /* the newest */
    uint32_t peers[WORLD_PEERS];
    uint32_t peer_count, peers_told; /* how often */
    uint32_t egress;
    Control__Message *grant;   /* the newest LeaseGrant */
    Control__Message *members; /* the newest Members */
};

struct world_agent {
    char name[16];
    uint32_t peer;   /* 0: not connected */
    uint32_t id;     /* as it was welcomed; 0: not yet */
    bool mute;       /* answers nothing */
    bool stopped;    /* has seen StopAll */
    bool done_first; /* says Done to Stop before it says Exited */
    char error[256];
};

struct world_client {
    uint32_t peer, id;
    const char *machine;
    bool mute;
    Control__Message *last; /* the newest that is not Peers */
    uint32_t peers[WORLD_PEERS];
    uint32_t peer_count, peers_told;
    uint32_t controllers[RILL_DIRECTOR_CONTROLLERS_MAX]; /* by slot, as it was told last */
    uint32_t controller_count;
    char folder[128];
};

struct world_kept {
    char name[32];
    uint8_t *data; /* NULL: it is not there */
    size_t bytes;
};

struct world {
    struct rill_director *d;
    struct rill_director_config config;
    uint64_t now_ns;
    uint64_t next_number; /* of the world's requests */
    uint32_t next_peer;
    uint64_t peers_down[WORLD_PEER_WORDS]; /* a bit for each */
    struct world_agent agents[WORLD_AGENTS];
    struct world_client clients[WORLD_CLIENTS];
    struct world_role roles[WORLD_ROLES];
    uint32_t role_count;
    struct world_rule rules[WORLD_RULES];
    uint32_t rule_count;
    struct {
        uint32_t peer;
        Control__Message *message;
    } queue[WORLD_QUEUE];
    uint32_t queue_first, queue_count;
    uint32_t frozen; /* a role or client that makes no link, so that the other ends don't, either */
    uint32_t folders_made, folders_removed;
    char folder[64];           /* the newest */
    bool no_folder;            /* making one fails */
    bool no_recovery;          /* controllers do not recover from deaths, nor units fill loggers */
    bool no_filling;           /* units never say that a new output logger has all that they have */
    uint32_t lost_with_logger; /* units whose death was told as that of their output logger, too */
    uint32_t starts, stops, stops_at_once;
    struct world_kept kept[WORLD_KEPT]; /* what the next director finds; the first is the state */
    uint64_t version, told_version;     /* handed in; and said to be kept */
    bool store_away;
    char said[64][1024];
    uint32_t said_count;
};

/* For cmocka's groups: EAL and the pool of frames; all frames must be back in the end. */
int world_group_setup(void **state);
int world_group_teardown(void **state);

struct world *world_new(uint32_t warm, bool fabric_crosses_machines);
/* With one machine and one client. */
struct world *world_small(uint32_t warm);
/* One that writes down what the next one has to know. */
struct world *world_keeping(uint32_t warm);
void world_free(struct world *w);

/* The director is gone, with all connections to it; another one goes on with what was kept. */
void world_kill_director(struct world *w);
void world_start_director(struct world *w);
void world_replace_director(struct world *w);
void world_store_back(struct world *w);

/* Delivers what was sent, until nothing more is. */
void world_settle(struct world *w);
/* The same, after so much time; ticks on the way whenever the director wants it. */
void world_pass(struct world *w, uint64_t ms);
void world_rule(struct world *w, struct world_rule rule);
void world_no_rules(struct world *w);

/* From a peer to the director; takes number 0 for "give it one". Delivered at once, and what
 * follows from it. */
void world_say(struct world *w, uint32_t peer, Control__Message *message);

/* The agent of machine "m<index>" connects and joins; the containers that are there are listed. */
void world_agent_joins(struct world *w, uint32_t index);
void world_agent_down(struct world *w, uint32_t index);
/* Any connection; the director must not send to it again. */
void world_peer_down(struct world *w, uint32_t peer);
bool world_is_down(const struct world *w, uint32_t peer);
/* A container ends. */
void world_dies(struct world *w, uint32_t role, int32_t wait_status, bool stalled,
                const char *text);
/* The first word of it; world_dies() has the second. */
void world_ends(struct world *w, uint32_t role, bool stalled);
#define world_segfaults(w, role) world_dies(w, role, 11, false, "")

/* A client connects and joins, as being at machine "m<machine>". */
void world_client_joins(struct world *w, uint32_t index, uint32_t machine);
void world_client_down(struct world *w, uint32_t index);
/* To another director, under the id that it had. */
void world_client_returns(struct world *w, uint32_t index);
void world_client_asks(struct world *w, uint32_t index, Control__Message *message);

/* The conversations. Deploy: no interfaces, an image of four bytes. */
void world_deploy(struct world *w, uint32_t client, const char *name, uint32_t units);
void world_deploy_several(struct world *w, uint32_t client, const char *name, uint32_t units,
                          uint32_t controllers);
void world_undeploy(struct world *w, uint32_t client, const char *name);
void world_attach(struct world *w, uint32_t client, const char *name);
void world_shutdown(struct world *w, uint32_t client);
/* The client's; lives until its next answer. */
const Control__Status *world_status(struct world *w, uint32_t client);

/* What the client was answered last; fail the test if it is something else. */
void world_expect(struct world *w, uint32_t client, Control__Message__BodyCase body);
void world_expect_error(struct world *w, uint32_t client, const char *part);

/* From a program, through its agent. */
void world_program_says(struct world *w, uint32_t role, Control__Message *message);
void world_asks_for_units(struct world *w, uint32_t controller, uint64_t number, uint32_t want);

struct world_role *world_role(struct world *w, uint32_t id);
/* Of the status: the n-th (from 0) role of that kind in that deployment (0: kept warm) and, if
 * state is not NULL, in that state; 0: there is none. */
uint32_t world_find(struct world *w, enum rill_role_kind kind, uint32_t vni, const char *state,
                    uint32_t n);
uint32_t world_count(struct world *w, enum rill_role_kind kind, uint32_t vni, const char *state);
/* NULL: none of that name. Lives until the next status. */
const Control__Deployment *world_deployment(struct world *w, const char *name);
bool world_has_peer(const struct world_role *role, uint32_t peer);
/* A line with `part` in it was said, or is in the status' failures. */
bool world_was_said(const struct world *w, const char *part);

/* With one machine, one client and a deployment "web" of that many units, vni 1. */
struct world *world_with_web(uint32_t warm, uint32_t units);
/* Of "web", the n-th that is active. */
uint32_t world_active(struct world *w, enum rill_role_kind kind, uint32_t n);
void world_expect_nothing_of_web(struct world *w);

/* The frozen one is among them. */
bool world_are_frozen(const struct world *w, uint32_t id, const Control__Peers *peers);

/* Between the files of the world. */
bool world_saves(struct world *w); /* true if anything was to be said */
void world_forget_kept(struct world *w);
Control__Message *world_copy(const Control__Message *message);
uint32_t world_copy_peers(const Control__Peers *peers, uint32_t to[WORLD_PEERS]);
void world_answer_done(struct world *w, uint32_t peer, uint32_t from, uint64_t number);
void world_answer_error(struct world *w, uint32_t peer, uint32_t from, uint64_t number,
                        const char *text);
struct world_rule world_fate_of(struct world *w, Control__Message__BodyCase body, uint32_t role);
void world_give(struct world *w, uint32_t peer, const Control__Message *message);
void world_send_exited(struct world *w, struct world_role *role, int32_t status, bool stalled,
                       const char *text);
void world_program_receives(struct world *w, const Control__Message *message);
void world_client_receives(struct world *w, struct world_client *client,
                           const Control__Message *message);

#endif
