/* The director: what the resource manager does besides leasing. It knows the machines and their
 * containers, keeps warm ones ahead of need, makes deployments out of them (controllers, units,
 * each with an output logger of its own), puts new roles where some died, tells every role whom it
 * has links to, attaches clients, and passes on what is not for it. Each deployment has a lease
 * core (rm/rm.h) of its own: a unit runs one NF, so it can be leased only to controllers of its
 * deployment.
 *
 * Sans-IO: messages and the time go in, messages come out through `send`. A *peer* is a connection
 * (lib/control/link.h); agents and clients have one each, programs in containers are behind their
 * agent. docs/control.md shows the conversations.
 *
 * Not thread-safe. Needs EAL (the lease cores speak frames).
 */
#ifndef RILL_RM_DIRECTOR_H
#define RILL_RM_DIRECTOR_H

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/control/control.h"
#include "lib/usage/usage.h"

struct rte_mempool;
struct rill_director;

enum {
    RILL_DIRECTOR_MACHINES_MAX = 64,
    RILL_DIRECTOR_ROLES_MAX = 4096,
    RILL_DIRECTOR_DEPLOYMENTS_MAX = 64,
    /* A controller has a link to each unit, each output logger and a client, and two ports if it is
     * live; Debian's DPDK has 32 in a process. */
    RILL_DIRECTOR_UNITS_MAX = 14,
    RILL_DIRECTOR_CONTROLLERS_MAX = 16, /* of a deployment, at a time */
    RILL_DIRECTOR_FAILURES_MAX = 32,    /* remembered for status */
    RILL_DIRECTOR_DEATHS_MAX = 64,
};

struct rill_director_config {
    uint32_t id; /* the RM's role id */
    const char *cluster;
    uint32_t warm;             /* runtimes kept warm beyond need; as many output loggers; and one
                                * controller if it is not 0 */
    uint32_t first_number;     /* role ids are numbered from here, upwards, and never used again */
    uint64_t start_timeout_ns; /* container started to Join, and Activate to Activated */
    uint64_t links_timeout_ns; /* Peers to Done */
    uint32_t deaths_max;       /* 1..RILL_DIRECTOR_DEATHS_MAX roles of a deployment that die within
                                * deaths_window_ns: it failed */
    uint64_t deaths_window_ns;
    bool fabric_crosses_machines; /* false: all roles of a deployment are on one machine */
    const char *links_root;       /* folder of the links' folders, as containers see it, ... */
    const char *links_root_host;  /* ... and as the machine sees it */
    uint64_t seed;                /* hard to guess: names of links' folders are drawn from it */
    struct rte_mempool *pool;     /* of frames */
    uint64_t number; /* of this director among those of the cluster, upwards: it is in all
                      * that it says, and roles take nothing from an earlier one; 0:
                      * they are not numbered */
    void (*send)(void *arg, uint32_t peer, const Control__Message *message);
    /* Makes the folder `name` in links_root_host for a new deployment, and removes it after. Its
     * name can't be guessed; that is what keeps other deployments out. */
    int (*make_folder)(void *arg, const char *name, struct rill_error *err);
    void (*remove_folder)(void *arg, const char *name);
    /* What the next director has to know, for rill_director_adopt(); data NULL: it has no more to
     * know. When all until then is kept, rill_director_saved(version); until then what was said
     * because of it waits. Lent. NULL: nothing is kept. */
    void (*save)(void *arg, uint64_t version, const char *name, const void *data, size_t bytes);
    /* For status: the registry in words, lent until the next call, and how many stand by. May be
     * NULL: "none". */
    const char *(*registry)(void *arg, uint32_t *standbys);
    /* A line for people: a machine joined, a deployment started or failed, a role died. May be
     * NULL. */
    void (*say)(void *arg, const char *line);
    /* What a unit did in an interval; whoever keeps the records numbers them. Times are the
     * director's. NULL: nobody is asked what he did. */
    void (*usage)(void *arg, const struct rill_usage_record *record);
    /* What was recorded of a role before this director was, and until when; false: nothing. NULL:
     * never anything. */
    bool (*usage_before)(void *arg, const char *deployment, const char *role,
                         struct rill_usage_counts *counts, uint64_t *end_ns);
    void *arg;
};

struct rill_director *rill_director_create(const struct rill_director_config *config,
                                           uint64_t now_ns, struct rill_error *err);
void rill_director_destroy(struct rill_director *d); /* NULL is fine */

struct rill_director_record {
    const char *name;
    const void *data;
    size_t bytes;
};
#define RILL_DIRECTOR_DEPLOYMENT "deployment-" /* and its vni: what was asked for, kept once */

/* At the very start: goes on with what the last director had (none: it is the first). It waits for
 * agents and clients to come back, and takes what runs there for what it was. The records may be
 * freed afterwards. -EINVAL, -ENOMEM with a line in *err: it is of no use. */
int rill_director_adopt(struct rill_director *d, const struct rill_director_record *records,
                        uint32_t count, struct rill_error *err);
/* Not from within `save`. */
void rill_director_saved(struct rill_director *d, uint64_t version);

void rill_director_down(struct rill_director *d, uint32_t peer, uint64_t now_ns);
void rill_director_message(struct rill_director *d, uint32_t peer, const Control__Message *message,
                           uint64_t now_ns);
void rill_director_tick(struct rill_director *d, uint64_t now_ns);
uint64_t rill_director_next_ns(const struct rill_director *d);

/* True once a Shutdown was answered: the process may end. */
bool rill_director_over(const struct rill_director *d);

#define RILL_DIRECTOR_COUNTERS(X)                                                                  \
    X(messages)                                                                                    \
    X(messages_passed_on)                                                                          \
    X(messages_unexpected) /* from whom or when it makes no sense */                               \
    X(messages_no_route)   /* for a role that is not there */                                      \
    X(containers_started)                                                                          \
    X(containers_failed)                                                                           \
    X(deaths) /* of roles that were wanted */                                                      \
    X(activations)                                                                                 \
    X(timeouts)

struct rill_director_counters {
#define X(name) uint64_t name;
    RILL_DIRECTOR_COUNTERS(X)
#undef X
};
const struct rill_director_counters *rill_director_counters(const struct rill_director *d);

#endif
