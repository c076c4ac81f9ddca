/* What the files of the cluster in one process share: cluster.c makes and turns it,
 * cluster_counters.c says what it counted. */
#ifndef RILL_CLI_CLUSTER_INTERNAL_H
#define RILL_CLI_CLUSTER_INTERNAL_H

#include "cli/cluster.h"

struct node { /* a unit, its NF and its output logger */
    uint32_t unit_id, ol_id;
    struct rill_nf *nf;
    struct rill_unit *unit;
    struct rill_ol *ol;
};

struct rill_cluster {
    struct rill_cluster_config config;
    uint32_t rm_id, controller_id;
    struct rill_rm *rm;
    struct rill_controller *controller;
    struct node nodes[RILL_CLUSTER_UNITS_MAX];
    uint32_t count;
    struct rill_outbox out;
};

#endif
