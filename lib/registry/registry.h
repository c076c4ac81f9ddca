/* The store through which roles coordinate: who is there, who leads, which lease was given under
 * which leader's number. A tree of small nodes, each with data and a version, held by servers that
 * outlive any role; a session with them, which ends if the servers hear nothing from it for its
 * time-out; and ephemeral nodes, which go with the session that made them. Nothing per packet is
 * ever written here.
 *
 * Two implementations: registry_local.h (this process; time is what the caller says it is) and
 * registry_zookeeper.h. Both pass the same batteries of tests (world.h).
 *
 * Thread: one, the owner's. Every callback comes from rill_registry_turn(), on that thread, and
 * never from within a call that asks for something. A callback may ask for more, listen and forget;
 * it may not turn or close the registry. No call waits (but see rill_registry_close()).
 *
 * Whose memory: what is handed in is copied; what a callback is handed is lent for its time.
 *
 * Time: nanoseconds of one clock of the owner's that never goes back, handed to
 * rill_registry_turn(); a request counts as sent at the last turn's time.
 *
 * Acting under a session. Whoever holds something by virtue of a session (leads, holds a slot) must
 * stop when the servers could have ended it, and they can do that without a word reaching here:
 * ZooKeeper tells of an expiry only after a connection was made again. So the session's end is
 * counted by the own clock, from heartbeats, and the one question to ask before each act is
 * rill_registry_may_act(now_ns). It is false before any server can have expired the session
 * (registry.c has the rule, docs/coordination.md the reason). What is written to the store besides
 * should be conditional on a fencing number (election.h), as a process may be stopped between the
 * question and the act.
 */
#ifndef RILL_LIB_REGISTRY_REGISTRY_H
#define RILL_LIB_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

struct rill_registry; /* one session */

enum {
    RILL_REGISTRY_NAME_MAX = 63,       /* of one node, a sequence number (10 digits) included */
    RILL_REGISTRY_PATH_MAX = 255,      /* of all of it, a sequence number included */
    RILL_REGISTRY_DATA_MAX = 65536,    /* bytes of one node */
    RILL_REGISTRY_OPS_MAX = 8,         /* of one request */
    RILL_REGISTRY_REQUESTS_MAX = 4096, /* of a session under way */
    RILL_REGISTRY_ANY_VERSION = -1,
};

/* --- the session ------------------------------------------------------------------------------ */

enum rill_registry_state {
    RILL_REGISTRY_SUSPENDED, /* no server answers: at the start, or now and it may come back */
    RILL_REGISTRY_CONNECTED,
    RILL_REGISTRY_EXPIRED, /* for ever: its ephemeral nodes are gone. Close it, connect anew */
};

/* Ends the session, and with it its ephemeral nodes (at once if a server is reached, else when the
 * session expires). No callback comes any more. With ZooKeeper it waits while a server that was
 * connected does not answer: 5 s at most. NULL is fine. */
void rill_registry_close(struct rill_registry *registry);

/* Poll it for reading, and turn when it is readable. -1: this implementation has none. */
int rill_registry_fd(const struct rill_registry *registry);
/* Does what is due, calls back. Call it when the fd is readable, and at rill_registry_next_ns(). */
void rill_registry_turn(struct rill_registry *registry, uint64_t now_ns);
/* When the next turn is due at the latest; UINT64_MAX: never. */
uint64_t rill_registry_next_ns(const struct rill_registry *registry);

enum rill_registry_state rill_registry_state(const struct rill_registry *registry);
/* Tells this session from all others of the store; 0: never connected yet. */
uint64_t rill_registry_session(const struct rill_registry *registry);

/* Until then no server can have expired the session, by this clock. 0: nothing is known yet. It
 * grows while heartbeats are confirmed, whether or not the owner asks. */
uint64_t rill_registry_valid_until_ns(const struct rill_registry *registry);
/* Whether what is held by virtue of this session may be acted upon at `now_ns`. */
bool rill_registry_may_act(const struct rill_registry *registry, uint64_t now_ns);

typedef void rill_registry_listener(void *arg, enum rill_registry_state state);
/* `listener` hears every change of state from now on. All requests that a loss of connection ended
 * were told so before CONNECTED is. -ENOMEM. */
int rill_registry_listen(struct rill_registry *registry, rill_registry_listener *listener,
                         void *arg);
/* No callback with this `arg` comes any more: its listeners, watches and the answers to its
 * requests. The requests themselves may still be carried out. */
void rill_registry_forget(struct rill_registry *registry, const void *arg);

/* --- requests --------------------------------------------------------------------------------- */

/* A path is "/" or "/name/name/...". A name has letters, digits, '.', '_' and '-', and is not "."
 * or "..". */
enum rill_registry_op_type {
    RILL_REGISTRY_CREATE, /* the parent must be there, and not be ephemeral */
    RILL_REGISTRY_SET,
    RILL_REGISTRY_DELETE, /* a node without children */
    RILL_REGISTRY_CHECK,  /* fails unless the node has `version` (or, any version, is there) */
    RILL_REGISTRY_GET,
    RILL_REGISTRY_LIST, /* its children */
};

enum {
    RILL_REGISTRY_EPHEMERAL = 1,  /* ends with the session that made it; has no children */
    RILL_REGISTRY_SEQUENTIAL = 2, /* ten digits are added to its name: more than any before it under
                                     its parent, not always the next */
};

struct rill_registry_op {
    enum rill_registry_op_type type;
    const char *path;
    int32_t version;     /* SET, DELETE, CHECK: carried out only at this one, or at any */
    unsigned flags;      /* CREATE */
    const void *data;    /* CREATE, SET */
    uint32_t data_bytes; /* at most RILL_REGISTRY_DATA_MAX */
};

struct rill_registry_stat {
    int32_t version;          /* of the data: 0 when made, one more at each SET */
    int32_t children_version; /* another whenever children came or went */
    uint64_t created;         /* another if a node was deleted and made again */
    uint64_t owner;           /* the session of an ephemeral node, 0 of others */
};

/* What became of a request; `status`:
 *   0            done, all of it
 *   -ENOENT      no such node (or, of CREATE, no parent)
 *   -EEXIST      there is such a node
 *   -ESTALE      it has another version
 *   -ENOTEMPTY   it has children
 *   -ENOTDIR     the parent is ephemeral
 *   -ECONNRESET  the connection was lost: it may have been done, or not, or will be very soon
 *   -ESHUTDOWN   the session has expired; done or not, as above
 *   -ENOMEM, -EIO  no memory here; the server refused it for another reason
 * A request of several ops is done whole or not at all; `failed` is then the op that was refused.
 */
struct rill_registry_result {
    int status;
    uint32_t failed;
    const char *path; /* CREATE alone: with its number; a watch: what is watched */
    const void *data; /* GET; never NULL if it is there */
    uint32_t data_bytes;
    struct rill_registry_stat stat; /* GET, LIST, SET alone */
    const char *const *children;    /* LIST: names, sorted bytewise */
    uint32_t children_count;
};

typedef void rill_registry_done(void *arg, const struct rill_registry_result *result);

/* Asks for `count` ops: one, or several of CREATE, SET, DELETE and CHECK on different nodes, none
 * of them the parent of one that is created or deleted: those are carried out at one moment, all or
 * none. Requests of one session are carried out in order.
 *
 * 0: `done` (NULL: nobody wants to know) is called once, unless forgotten. Else it never is, and
 * *err has a line: -EINVAL, -ENAMETOOLONG, -EMSGSIZE: it could not ever be carried out; -EBUSY: too
 * many under way; -ENOTCONN: suspended (ask again when CONNECTED); -ESHUTDOWN: expired; -ENOMEM. */
int rill_registry_ask(struct rill_registry *registry, const struct rill_registry_op *ops,
                      unsigned count, rill_registry_done *done, void *arg, struct rill_error *err);
/* Makes a persistent, empty node and what is missing above it; it being there is fine. */
int rill_registry_make_folder(struct rill_registry *registry, const char *path,
                              rill_registry_done *done, void *arg, struct rill_error *err);
/* Whether it is a path as above: 0, -EINVAL or -ENAMETOOLONG with a line in *err. */
int rill_registry_check_path(const char *path, struct rill_error *err);
/* A status of a result in words. */
const char *rill_registry_status_text(int status);

/* --- watches ---------------------------------------------------------------------------------- */

enum rill_registry_watch_what {
    RILL_REGISTRY_WATCH_NODE,     /* its data and whether it is there */
    RILL_REGISTRY_WATCH_CHILDREN, /* their names; whether it is there */
    RILL_REGISTRY_WATCH_TO_END,   /* its data until it is gone: cheaper where nodes come and go */
};

/* `told` gets what the node (as of GET) or its children (as of LIST) are, status 0 or -ENOENT,
 * soon, and again after each change. Changes that follow each other closely may be told as one; the
 * last is always told, also when it came while suspended. Lost connections are not told: it goes on
 * when there is one again, and may be asked for while there is none. It ends with
 * rill_registry_forget(), a WATCH_TO_END also with -ENOENT; what it cost in the server may stay
 * until the session ends. -EINVAL, -ENAMETOOLONG, -ESHUTDOWN, -ENOMEM. */
int rill_registry_watch(struct rill_registry *registry, const char *path,
                        enum rill_registry_watch_what what, rill_registry_done *told, void *arg,
                        struct rill_error *err);

#endif
