/* One replay through a cluster. remote.c sets it up, plays it and cleans up; remote_links.c keeps
 * the links to the deployment's controllers and output loggers; remote_controllers.c sends packets
 * to the former; remote_roles.c knows its roles and asks them what they counted; remote_fail.c lets
 * roles fail; remote_report.c says what happened.
 */
#ifndef RILL_CLI_REMOTE_RUN_H
#define RILL_CLI_REMOTE_RUN_H

#include "cli/client.h"
#include "cli/player.h"
#include "cli/remote.h"
#include "cli/remote_books.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/ingress_split.h"

enum { REMOTE_LINKS_MAX = 32, REMOTE_NAMES_BYTES = 300, REMOTE_SLOTS_MAX = 16 };

struct remote_links {
    uint32_t roles[REMOTE_LINKS_MAX];
    uint32_t count;
    Control__Message *asked; /* the newest Peers, while not all of its links are up; else NULL */
};

struct remote_role {
    uint32_t id;
    uint64_t asked;                 /* number of the question that is open; 0: none */
    Control__Message *before, *now; /* Metrics; NULL: none */
};

/* All roles are asked in rounds: a round ends when all have answered. */
struct remote_roles {
    struct remote_role list[RILL_BOOKS_ROLES_MAX];
    uint32_t count;
    bool asking;              /* a round is open */
    uint64_t asked_ns;        /* since then */
    bool moved;               /* since the round before, as far as this one has got */
    bool still;               /* the last round that ended said the same as the one before it */
    uint64_t rounds;          /* that ended */
    uint64_t status_number;   /* of the question for Status that is open; 0: none */
    bool status_wanted;       /* ask (again) */
    bool known;               /* the list was filled from Status */
    Control__Message *status; /* before the run; what it says of failures is old */
    uint32_t died;            /* roles that were there and are not any more */
    char died_names[REMOTE_NAMES_BYTES];
    char failures[REMOTE_NAMES_BYTES]; /* lines that are new since the first Status */
};

/* One that there is, or was during the run. */
struct remote_controller {
    uint32_t id, slot;
    Control__Message *before, *now; /* Metrics: before the run, and the newest; NULL: none */
};

struct remote_controllers {
    uint32_t slots;                     /* 0: not told yet */
    uint32_t present[REMOTE_SLOTS_MAX]; /* role ids: the present ones, or the last there were */
    struct remote_controller list[RILL_BOOKS_ROLES_MAX]; /* in the order in which they came */
    uint32_t count;
    struct rill_ingress_split *split; /* NULL: there is one slot */
};

struct remote_unit {
    uint32_t id;
    uint64_t used_at[REMOTE_SLOTS_MAX]; /* the look at which that controller had leased it */
    double utilization_max;
};

/* A role that is made to fail. Times of the RM's clock: 0: not yet. */
struct remote_failing {
    uint32_t role;
    uint64_t number; /* of the question that is open; 0: none */
    bool refused;    /* it was not there any more */
    uint64_t at_ns;  /* of our clock: when it was said */
    uint64_t told_ns, detected_ns, recovered_ns;
};

/* The controllers are asked at the end of each 100 ms. */
struct remote_epochs {
    struct {
        uint64_t number; /* of the question that is open; 0: none */
        uint64_t looks;  /* how often we have seen what it has leased */
    } of[REMOTE_SLOTS_MAX];
    bool open;         /* not all have answered */
    uint64_t epoch_ns; /* begin of the epoch that it is about */
    struct remote_unit units[RILL_BOOKS_ROLES_MAX];
    uint32_t count;
};

struct remote {
    const struct rill_replay_options *options;
    struct rill_place place;
    struct rill_player player;
    struct rill_config *settings; /* the deployment's */
    struct rill_client *client;
    struct rill_fabric *fabric; /* NULL: the links' folder is not known yet */
    Control__Message *attached; /* NULL: not yet */
    unsigned returns;           /* of the connection, that were seen */
    uint32_t role;              /* under which its links are */
    uint64_t attach_number;
    bool detached; /* the deployment ended, or failed: what still goes in is lost */
    struct remote_links links;
    struct remote_roles roles;
    struct remote_controllers controllers;
    struct remote_epochs epochs;
    struct remote_failing fails[RILL_FAILS_MAX]; /* in the options' order */
    uint32_t fail_count;                         /* as many as were said */
    uint8_t *released;                           /* a bit for each packet of the capture */
    uint64_t released_twice, unexpected;
    uint64_t last_move_ns, last_look_ns;
    struct rill_error failure; /* what ends the run; "" none */
};

/* --- remote_links.c --- */

/* Peers came: makes the fabric if this is the first, takes links down and makes new ones. */
void remote_on_peers(struct remote *r, const Control__Message *message);
/* Answers Peers once all of its links are up. */
void remote_look_at_links(struct remote *r);
/* Takes in what has arrived. True if there was anything. */
bool remote_receive(struct remote *r);
void remote_links_fini(struct remote *r);

/* --- remote_roles.c --- */

/* Metrics or Status. */
void remote_on_metrics(struct remote *r, const Control__Message *message);
void remote_on_status(struct remote *r, const Control__Message *message);
/* Asks for Status if that is wanted. */
void remote_look_at_roles(struct remote *r);
/* Begins a round, unless one is open. */
void remote_ask_roles(struct remote *r);
/* What was counted up to now is from before the run. */
void remote_begin_books(struct remote *r);
struct rill_books remote_books(const struct remote *r,
                               struct rill_books_role roles[RILL_BOOKS_ROLES_MAX]);
void remote_roles_fini(struct remote *r);

bool remote_is_there(const struct remote *r, uint32_t role);
/* Of its last answer; NULL: none. */
const Control__Metrics *remote_metrics_of(const struct remote *r, uint32_t role);

/* --- remote_controllers.c --- */

void remote_note_controllers(struct remote *r, const Control__Peers *told);
/* Once attached, and the settings are known. */
int remote_create_split(struct remote *r, struct rill_error *err);
/* Each to its controller. */
void remote_send(struct remote *r, struct rte_mbuf **packets, uint32_t n);
/* Fragments that wait to be told whose they are: those that waited long enough; how many wait. */
bool remote_send_early(struct remote *r);
uint32_t remote_early(const struct remote *r);
/* Asks the controllers at the end of each epoch, and takes their answers. -ENOMEM. */
int remote_end_epochs(struct remote *r);
bool remote_on_epoch(struct remote *r, const Control__Message *message); /* false: it is none */
/* Takes note of how many units are in use, and how much, from the last round. */
void remote_look_at_units(struct remote *r);
struct remote_unit *remote_unit_of(struct remote *r, uint32_t id); /* NULL: there are too many */
/* Metrics of a controller, whatever for. */
void remote_controller_says(struct remote *r, const Control__Message *message);
/* What was counted up to now is from before the run. */
void remote_begin_controllers(struct remote *r);
/* By all, also by those that died, as far as they said. */
uint64_t remote_controllers_counted(const struct remote *r, const char *name);
int remote_report_controllers(struct remote *r); /* -ENOMEM */
void remote_controllers_fini(struct remote *r);

/* --- remote_fail.c --- */

/* Which roles are meant; of a deployment that has no such: negative with *err. */
int remote_choose_fails(struct remote *r, struct rill_error *err);
/* Before the run: a failure after its last packet would never be. */
int remote_check_fails(const struct remote *r, struct rill_error *err);
void remote_fail_due(struct remote *r);
bool remote_on_fail_answer(struct remote *r, const Control__Message *message); /* false: none */
void remote_note_failures(struct remote *r, const Control__Status *status);
/* All have recovered, or had their time for it. */
bool remote_fails_settled(const struct remote *r);
int remote_report_fails(struct remote *r, const struct rill_books *books); /* -ENOMEM */

/* --- remote_report.c --- */

int remote_report(struct remote *r, struct rill_error *err);

#endif
