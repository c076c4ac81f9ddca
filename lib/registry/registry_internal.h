/* What both registries share: a session's bookkeeping (registry.c, watch.c), and what each adds to
 * it. Not for others.
 *
 * A backend hands in, from its turn() and in the order in which they happened: answers
 * (rill_registry_answered()), watches that fired (rill_registry_fired()) and changes of state
 * (rill_registry_state_changed()).
 */
#ifndef RILL_LIB_REGISTRY_REGISTRY_INTERNAL_H
#define RILL_LIB_REGISTRY_REGISTRY_INTERNAL_H

#include "lib/registry/registry.h"

enum { RILL_REGISTRY_NS_PER_MS = 1000000 };

enum rill_registry_request_type {
    RILL_REGISTRY_REQUEST_OPS,
    RILL_REGISTRY_REQUEST_GET,    /* the next three with a watch, if there is one */
    RILL_REGISTRY_REQUEST_LIST,   /* of an absent node sets no watch, nor does a GET */
    RILL_REGISTRY_REQUEST_EXISTS, /* status and stat; sets a watch either way */
};

/* What a backend found out. The memory is the request's. */
struct rill_registry_answer {
    int status;
    uint32_t failed;
    char *path;
    void *data;
    uint32_t data_bytes;
    struct rill_registry_stat stat;
    char **children;
    uint32_t children_count;
};

struct rill_registry_request {
    struct rill_registry_request *previous, *next; /* all that are under way */
    struct rill_registry *registry;
    enum rill_registry_request_type type;
    struct rill_registry_op *ops; /* copies; the strings too are the request's */
    uint32_t count;
    bool exists_is_fine;
    struct rill_registry_watch *watch;
    rill_registry_done *done; /* NULL: forgotten */
    void *arg;
    struct rill_registry_answer answer;
    void *backend; /* the backend's, freed with free() */
};

/* One watch; see watch.c. */
struct rill_registry_watch {
    struct rill_registry_watch *next;
    struct rill_registry *registry;
    enum rill_registry_watch_what what;
    rill_registry_done *told; /* NULL: forgotten, or ended */
    void *arg;
    bool reading;  /* a request is under way */
    bool armed;    /* the backend may fire it */
    bool again;    /* it has to be read once more */
    bool changed;  /* it fired since something was told */
    bool was_told; /* what follows */
    int status;
    struct rill_registry_stat stat;
    void *backend; /* the backend's own, NULL before it was handed over; freed with free() */
    char path[RILL_REGISTRY_PATH_MAX + 1];
};

struct rill_registry_backend {
    /* Hands a request over; it is answered once. 0 or -ENOMEM, -EIO. */
    int (*send)(struct rill_registry *registry, struct rill_registry_request *request);
    void (*turn)(struct rill_registry *registry);
    uint64_t (*next_ns)(const struct rill_registry *registry);
    int (*fd)(const struct rill_registry *registry);
    /* Nothing is handed in any more. Frees the session, with what it embeds. */
    void (*close)(struct rill_registry *registry);
};

/* A heartbeat that was answered. */
struct rill_registry_heartbeat {
    uint64_t sent_ns, answered_ns;
};

enum { RILL_REGISTRY_HEARTBEATS = 8 };

struct rill_registry_listening {
    rill_registry_listener *listener; /* NULL: forgotten */
    void *arg;
};

struct rill_registry {
    const struct rill_registry_backend *backend;
    enum rill_registry_state state;
    uint64_t session;
    uint64_t timeout_ns; /* as the server said, once connected */
    uint64_t connect_ns; /* when it was asked for */
    uint64_t now_ns;     /* of the last turn */
    uint64_t counted_ns; /* validity counts from it, if `counted` */
    struct rill_registry_heartbeat heartbeats[RILL_REGISTRY_HEARTBEATS];
    uint32_t heartbeats_answered;
    uint64_t heartbeat_sent_ns; /* the last */
    bool heartbeat_under_way, counted, turning;
    struct rill_registry_request *requests;
    uint32_t requests_count;
    struct rill_registry_watch *watches;
    struct rill_registry_listening *listening;
    uint32_t listening_count;
};

/* --- for backends ----------------------------------------------------------------------------- */

void rill_registry_init(struct rill_registry *registry, const struct rill_registry_backend *backend,
                        uint64_t timeout_ns, uint64_t now_ns);
/* Frees what init, requests, watches and listeners took; not `registry`. */
void rill_registry_fini(struct rill_registry *registry);

/* Frees the request. */
void rill_registry_answered(struct rill_registry_request *request);
void rill_registry_fired(struct rill_registry_watch *watch);
/* With CONNECTED: the session's number and its time-out as the server has it. */
void rill_registry_state_changed(struct rill_registry *registry, enum rill_registry_state state,
                                 uint64_t session, uint64_t timeout_ns);

/* --- between registry.c, check.c and watch.c
 * ------------------------------------------------------------
 */

int rill_registry_check_ops(const struct rill_registry_op *ops, unsigned count,
                            struct rill_error *err);
/* Makes a request and sends it. Ownership of nothing passes. */
int rill_registry_send(struct rill_registry *registry, enum rill_registry_request_type type,
                       const struct rill_registry_op *ops, uint32_t count,
                       struct rill_registry_watch *watch, rill_registry_done *done, void *arg,
                       struct rill_error *err);
struct rill_registry_result rill_registry_result_of(const struct rill_registry_request *request);

/* A request with a watch was answered. */
void rill_registry_watch_answered(struct rill_registry_request *request);
/* Those that could not be read are read now. */
void rill_registry_watches_go_on(struct rill_registry *registry);
void rill_registry_watches_forget(struct rill_registry *registry, const void *arg);

#endif
