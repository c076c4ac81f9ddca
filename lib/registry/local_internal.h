/* The two ends of the local registry: local_server.c and registry_local.c. Not for others. */
#ifndef RILL_LIB_REGISTRY_LOCAL_INTERNAL_H
#define RILL_LIB_REGISTRY_LOCAL_INTERNAL_H

#include "lib/registry/local_tree.h"
#include "lib/registry/registry_local.h"

enum local_message_type {
    LOCAL_CONNECT, /* to the server */
    LOCAL_REQUEST,
    LOCAL_ACCEPTED, /* to the client */
    LOCAL_REFUSED,  /* its session has expired */
    LOCAL_ANSWER,
    LOCAL_FIRED, /* is not lost with a connection: a server tells at the next one what was missed */
};

struct local_message {
    struct local_message *next;
    enum local_message_type type;
    uint64_t due_ns;
    struct rill_registry_request *request; /* LOCAL_REQUEST, LOCAL_ANSWER */
    struct rill_registry_watch *watch;     /* LOCAL_FIRED */
};

struct local_queue {
    struct local_message *first;
};

/* A session as the server has it. */
struct local_session {
    struct local_session *next;
    uint64_t id, timeout_ns, expires_ns;
    struct local_client *client; /* NULL: closed without the server hearing of it */
    bool ended;
};

/* A session as its owner has it. */
struct local_client {
    struct rill_registry registry; /* first */
    struct local_client *next;
    struct rill_registry_server *server;
    struct local_session *session; /* NULL: none yet */
    struct local_queue to_server, to_client;
    uint64_t heard_ns; /* from the server, or when a connection was asked for */
    uint64_t retry_ns;
    bool connecting, cut, broken;
};

struct local_armed {
    struct local_armed *next;
    struct local_client *client;
    struct rill_registry_watch *watch;
    unsigned what;
};

struct rill_registry_server {
    struct rill_tree tree;
    struct local_client *clients;
    struct local_session *sessions;
    struct local_armed *armed;
    uint64_t delay_ns, now_ns, last_session;
    bool stopped;
};

/* False: no memory. */
bool local_push(struct local_queue *queue, struct local_message message);
struct local_message local_pop(struct local_queue *queue);
void local_drop_if(struct local_queue *queue,
                   bool (*wanted)(const struct local_message *m, const void *arg), const void *arg);
/* For it. */
bool local_is_any(const struct local_message *m, const void *arg);
bool local_ends_with_connection(const struct local_message *m, const void *arg);
bool local_is_of_watch(const struct local_message *m, const void *watch);

struct local_client *local_client_of(const struct rill_registry *registry);
bool local_reaches(const struct local_client *c);
/* All watches of a client; or one of them. */
void local_disarm(struct local_client *c, const struct rill_registry_watch *watch);
void local_end_session(struct rill_registry_server *server, struct local_session *session);

#endif
