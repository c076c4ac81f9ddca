/* What the files of the cluster in one process share: cluster_create.c makes it, cluster.c turns
 * it, cluster_ingress.c gives each packet to its controller, cluster_faults.c lets roles die and
 * makes new ones, cluster_counters.c says what was counted, cluster_usage.c what is billed. */
#ifndef RILL_CLI_CLUSTER_INTERNAL_H
#define RILL_CLI_CLUSTER_INTERNAL_H

#include "cli/cluster.h"
#include "lib/frame/ingress_split.h"

enum { LOGGERS_MAX = 4 * RILL_CLUSTER_UNITS_MAX };

enum { ROLES_MAX = 2 + RILL_CLUSTER_CONTROLLERS_MAX + RILL_CLUSTER_UNITS_MAX + LOGGERS_MAX };

/* A role that lives, as far as turning it goes: one that nothing has come for and that is not due
 * is not touched. */
struct turn {
    uint64_t due_ns;            /* its core's next_ns, since it was last touched */
    const uint64_t *arrival_ns; /* the fabric's */
    void *core;
    uint32_t id;
    bool (*take)(struct rill_cluster *k, struct turn *turn, uint64_t now_ns);
};

#define STORE_ID rill_role_id(RILL_ROLE_STORE, 1) /* if the cluster has a store */

struct unit_node {
    uint32_t id;
    uint32_t logger; /* index of its output logger; the newest */
    struct rill_nf *nf;
    struct rill_unit *unit;         /* NULL: died */
    struct rill_unit_counters last; /* as they were then */
    uint64_t died_with_it;          /* packets that it held */
    uint64_t sent_to_dead;          /* packets on their way to it then, or since */
    uint32_t share;                 /* thousandths that may be leased of it */
    bool recovered;                 /* it died, and its flows go on elsewhere */
    uint64_t cpu_ns;                /* what its turns took, if that is measured */
};

struct logger_node {
    uint32_t id;
    uint32_t unit;      /* index of whom it serves */
    struct rill_ol *ol; /* NULL: died, or nobody needs it any more */
    struct rill_ol_counters last;
    uint64_t died_with_it;
    uint64_t sent_to_dead;
};

struct controller_node {
    uint32_t id, slot;
    uint16_t epoch;
    uint32_t turn;                      /* which of the turns; while it lives */
    struct rill_controller *controller; /* NULL: died */
    struct rill_controller_counters last;
    uint64_t died_with_it;
    uint64_t sent_to_dead; /* packets that were turned round */
};

struct rill_cluster {
    struct rill_cluster_config config;
    struct turn turns[ROLES_MAX]; /* in the order in which they are taken; the RM's is the first */
    uint32_t turn_count;
    bool turns_stale;    /* roles came or went, or the RM was told something: list them anew */
    bool rm_touched;     /* it may name output loggers that nobody needs any more */
    uint32_t touched;    /* see rill_cluster_touched() */
    uint64_t due_ns;     /* the least of the turns' */
    uint64_t stepped_ns; /* the last step's time */
    uint32_t rm_id;
    struct rill_rm *rm;
    struct rill_store *store; /* NULL: units hand state to each other */
    struct controller_node
        controllers[RILL_CLUSTER_CONTROLLERS_MAX]; /* in the order in which they came */
    uint32_t controller_count, slots;
    uint32_t newest[RILL_CLUSTER_SLOTS_MAX]; /* index of the present one of each slot */
    struct rill_ingress_split *split;        /* NULL: there is one slot */
    uint64_t dropped_no_controller;
    struct unit_node units[RILL_CLUSTER_UNITS_MAX];
    struct logger_node loggers[LOGGERS_MAX];
    uint32_t unit_count, logger_count;
    bool any_died;
    uint32_t releasing; /* the output logger whose packets are handed out at the moment */
    struct rill_outbox out;
};

/* cluster_create.c: a unit and its output logger more, known to the resource manager; not on the
 * fabric.
 */
int cluster_add_pair(struct rill_cluster *k, uint32_t share, struct rill_error *err);
/* One controller more, of that slot; the first one of a slot has no predecessor. */
int cluster_add_controller(struct rill_cluster *k, uint32_t slot, struct rill_error *err);
/* One output logger more for a unit; its index, or negative. */
int cluster_add_logger(struct rill_cluster *k, uint32_t unit, struct rill_error *err);
/* cluster.c: hands what is in k->out to the fabric, released packets to the caller. True if there
 * was any. */
bool cluster_flush(struct rill_cluster *k, uint32_t src, uint64_t now_ns);

/* cluster_ingress.c: who gets which packets. */
/* Once there is an NF. */
int cluster_create_split(struct rill_cluster *k, struct rill_error *err);

/* cluster_faults.c: ends the output loggers of dead units that nobody needs any more. */
void cluster_retire_loggers(struct rill_cluster *k);
/* Counts frames that are about to be sent to roles that died. */
void cluster_count_lost(struct rill_cluster *k, struct rte_mbuf **frames, uint32_t n);

/* The present controller of that slot. */
static inline const struct controller_node *cluster_newest(const struct rill_cluster *k,
                                                           uint32_t slot)
{
    return &k->controllers[k->newest[slot]];
}

/* What the role's own clock shows. */
static inline uint64_t cluster_clock(const struct rill_cluster *k, uint32_t role, uint64_t now_ns)
{
    const struct rill_cluster_pace *pace = k->config.pace;

    return pace == NULL ? now_ns : pace->clock_ns(pace->arg, role, now_ns);
}

/* When it shows that. */
static inline uint64_t cluster_when(const struct rill_cluster *k, uint32_t role, uint64_t clock_ns)
{
    const struct rill_cluster_pace *pace = k->config.pace;

    return pace == NULL || clock_ns == UINT64_MAX ? clock_ns
                                                  : pace->when_ns(pace->arg, role, clock_ns);
}

static inline const struct rill_controller_counters *
controller_node_counters(const struct controller_node *node)
{
    return node->controller != NULL ? rill_controller_counters(node->controller) : &node->last;
}

static inline const struct rill_unit_counters *unit_node_counters(const struct unit_node *node)
{
    return node->unit != NULL ? rill_unit_counters(node->unit) : &node->last;
}

static inline const struct rill_ol_counters *logger_node_counters(const struct logger_node *node)
{
    return node->ol != NULL ? rill_ol_counters(node->ol) : &node->last;
}

#endif
