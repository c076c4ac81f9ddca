/* The process of a unit, an output logger or a controller: everything around its core.
 *
 * Starts DPDK and the control link, says Join, waits (asleep) until it is activated, then turns:
 * receives a burst from the fabric, gives it to the core, sends what the core wants sent, ticks,
 * polls its ports if it has any, looks at the control link once a millisecond, counts the turn
 * (lib/daemon/turns.h), and yields or sleeps as it was told.
 *
 * One thread does it all: the packet thread is the control thread, so nothing is shared and nothing
 * locked. What control costs it: one epoll_wait per millisecond. (A unit whose NF reads the
 * configuration store has a thread for that, nf-runtime/object_watch.h.)
 *
 * A role's main() fills struct rill_role_ops and calls rill_role_main(), which does not return.
 */
#ifndef RILL_LIB_DAEMON_ROLE_H
#define RILL_LIB_DAEMON_ROLE_H

#include <rte_mbuf.h>

#include "lib/base/role.h"
#include "lib/config/config.h"
#include "lib/control/control.h"
#include "lib/frame/outbox.h"

/* What the process has for its core. */
struct rill_role_host {
    uint32_t role; /* the id that this process was started under */
    struct rte_mempool *pool;
    const struct rill_config *settings; /* of the deployment; from activation on */
};

/* Collects counters for Metrics. */
struct rill_role_metrics;
void rill_role_metrics_add(struct rill_role_metrics *metrics, const char *role, const char *name,
                           uint64_t value); /* as ROLE.NAME */
void rill_role_metrics_add_nf(struct rill_role_metrics *metrics, const char *name, uint64_t value);
void rill_role_metrics_add_held(struct rill_role_metrics *metrics, uint64_t packets);
void rill_role_metrics_add_unit(struct rill_role_metrics *metrics, uint32_t unit, uint32_t share,
                                double utilization);

struct rill_role_ops {
    const char *program; /* "rill-nf-runtime" */
    enum rill_role_kind kind;
    /* Makes the core. Fills facts if it is a unit: pointers stay the callee's, valid until the next
     * call. 0, or negative with a line in *err: the process then ends after it has told. */
    int (*activate)(void *arg, const struct rill_role_host *host, const Control__Activate *how,
                    Control__Facts *facts, struct rill_error *err);
    void (*recv)(void *arg, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                 struct rill_outbox *out);
    void (*tick)(void *arg, uint64_t now_ns, struct rill_outbox *out);
    uint64_t (*next_ns)(void *arg);
    /* Looks at what is not the fabric (ports). True if anything was there. NULL: nothing to look
     * at.
     */
    bool (*poll)(void *arg, uint64_t now_ns, struct rill_outbox *out);
    /* A released packet (dst RILL_ROLE_PORT): the callee owns it. NULL: the role releases none. */
    void (*release)(void *arg, struct rte_mbuf *m, uint64_t now_ns, struct rill_outbox *out);
    /* From Peers on: where released packets go (a client's id, 0: ports); for a controller: the
     * client among its peers, whose packets come in. NULL: not of interest. */
    void (*egress)(void *arg, uint32_t client);
    void (*metrics)(void *arg, struct rill_role_metrics *metrics);
    /* Fills in what it has of the configuration store, for the resource manager; pointers stay the
     * callee's, valid until the next call. False: nothing to tell. NULL: never. */
    bool (*objects)(void *arg, Control__Objects *objects);
    /* The last turn is over, if there ever was one; metrics are asked for once more. NULL: nothing
     * to do. */
    void (*end)(void *arg, uint64_t now_ns);
    void *arg;
};

/* In an activation that takes long, at least every 100 ms: the process lives. */
void rill_role_alive(const struct rill_role_host *host);

int rill_role_main(const struct rill_role_ops *ops, int argc, char **argv);

#endif
