/* One replay in one process: embedded.c sets it up, plays it and cleans up; embedded_fail.c lets
 * roles fail; embedded_report.c says what happened, embedded_epochs.c what in each 100 ms,
 * embedded_usage.c what is billed,
 * embedded_objects.c reads what NFs read beside their options, and writes their records,
 * embedded_shared.c takes sums together that units have added up,
 * embedded_store.c knows the store outside of state=external. */
#ifndef RILL_CLI_EMBEDDED_RUN_H
#define RILL_CLI_EMBEDDED_RUN_H

#include <stdio.h>

#include "cli/cluster.h"
#include "cli/embedded.h"
#include "cli/nf_input.h"
#include "cli/player.h"
#include "nf-runtime/object_watch.h"

/* A role that was made to fail. */
struct failing {
    uint64_t at_ns, recovered_ns; /* of the run's clock; 0: not yet */
    bool was_gone;                /* it had gone by itself: nothing happened */
    uint32_t next;                /* of a controller: index of the one that took its place */
    uint32_t unit;                /* it, or whose output logger it is */
    struct failing_counts {
        uint64_t from_replica, from_logger; /* flows that all units have recovered */
    } before, after;
};

/* What --epochs writes. In units' order. */
struct epochs {
    FILE *file;                                 /* NULL: nobody wants them */
    uint64_t begin_ns, since_ns;                /* of the epoch; up to when leases are added up */
    uint64_t leases;                            /* how often they changed */
    uint32_t share[RILL_CLUSTER_UNITS_MAX];     /* leased now, in thousandths */
    uint64_t leased_ns[RILL_CLUSTER_UNITS_MAX]; /* of the run: thousandths times ns */
    uint64_t leased_before[RILL_CLUSTER_UNITS_MAX]; /* its start: the same */
    uint64_t bytes_before[RILL_CLUSTER_UNITS_MAX];  /* its start: bytes that ever came */
    uint64_t all_bytes_before;
};

/* What --usage writes. In units' order. */
struct usage {
    FILE *file; /* NULL: nobody wants it */
    uint64_t begin_ns, next_ns, sequence;
    struct rill_usage_counts before[RILL_CLUSTER_UNITS_MAX]; /* as the last record left it */
    bool over[RILL_CLUSTER_UNITS_MAX];                       /* has had its last one */
};

/* What one controller after the other had, by its slot. */
struct embedded_totals {
    uint64_t lease_changes, bytes_to_units;
};

/* An update of --update, loaded: by index of the object. */
struct updating {
    bool used[RILL_NF_OBJECTS_MAX];
    struct rill_object_version *version[RILL_NF_OBJECTS_MAX]; /* NULL: it is bad, and why */
    struct rill_error why[RILL_NF_OBJECTS_MAX];
};

/* Of the configuration store. */
struct objects {
    struct rill_object_watch *watch; /* NULL: the NF has none */
    struct updating *updating[RILL_UPDATES_MAX];
    uint32_t updated; /* of the options' updates */
};

/* Sums that flows share. */
struct sharing {
    struct rill_nf *merger; /* NULL: the NF has none */
    uint64_t begin_ns, next_ns;
};

/* Everything that a run holds, in the order in which it is taken. */
struct run {
    const struct rill_replay_options *options;
    struct rill_nf_input input;
    struct rill_player player;
    struct rill_fabric *fabric;
    struct rill_cluster *cluster;
    struct rill_store *store; /* outside; NULL: none, or the cluster's own model */
    uint64_t real_start_ns;
    uint64_t in_flight, give_up_ns; /* once the capture is in */
    struct epochs epochs;
    struct usage usage;
    double utilization_max[RILL_CLUSTER_UNITS_MAX];
    struct failing fails[RILL_FAILS_MAX]; /* as many as have happened, in the options' order */
    uint32_t fail_count;
    struct objects objects;
    struct sharing sharing;
    FILE *records; /* NULL: nobody wants them */
};

/* Before the run: when is the last packet due? A failure after that would never be. */
int embedded_check_fails(const struct run *r, struct rill_error *err);
/* Lets roles fail whose time has come. Negative with *err. */
int embedded_fail_due(struct run *r, struct rill_error *err);
/* Takes note of what has recovered; after each turn. */
void embedded_watch_fails(struct run *r);
uint64_t embedded_next_fail_ns(const struct run *r); /* UINT64_MAX: none is left */
/* All have recovered, or had two seconds for it. */
bool embedded_fails_settled(const struct run *r);
int embedded_report_fails(struct run *r); /* -ENOMEM */

/* Of all controllers, those that died too. */
struct embedded_totals embedded_totals(const struct run *r);
/* Leased by any controller now. */
uint32_t embedded_units_in_use(const struct run *r);
/* Takes note of how many units are in use, and how much; at least once per 100 ms. */
void embedded_sample_units(struct run *r);
/* --epochs. Before the run: the file can be written, or negative with *err. */
int embedded_epochs_open(struct run *r, struct rill_error *err);
void embedded_epochs_start(struct run *r); /* the first begins with the first packet */
void embedded_epochs_watch(struct run *r); /* after each turn: have leases changed? */
void embedded_epochs_end(struct run *r);   /* one ends now, the next begins */
/* Also where the run failed. Negative with *err if the file is not whole. */
int embedded_epochs_close(struct run *r, struct rill_error *err);

/* How long unit i has been leased so far: a unit for a second, or half of it for two, is 10^9. */
uint64_t embedded_leased_ns(struct run *r, uint32_t i);

/* --usage. Before the run: the file can be written, or negative with *err. */
int embedded_usage_open(struct run *r, struct rill_error *err);
void embedded_usage_start(struct run *r);
/* A record for each unit that did anything since the last; at the run's end all the rest. */
void embedded_usage_write(struct run *r, bool end);
int embedded_usage_close(struct run *r, struct rill_error *err); /* as --epochs' */

/* state=external under real time: the way to its server. Negative with *err. */
int embedded_store_open(struct run *r, struct rill_error *err);
/* 1: it is there, or none is needed; 0: not yet; negative with *err: it was waited for long enough.
 */
int embedded_store_ready(const struct run *r, struct rill_error *err);

/* Each new instance gets the present versions; the first of all makes them be read. Negative with
 * *err. */
int embedded_equip(void *arg, struct rill_nf *nf, struct rill_error *err);
int embedded_check_updates(const struct run *r, struct rill_error *err); /* as --fail's */
uint64_t embedded_next_update_ns(const struct run *r);                   /* UINT64_MAX: none */
/* Under real time: from now on new versions are looked for. Negative with *err. */
int embedded_objects_start(struct run *r, struct rill_error *err);
/* Between packets: new versions are set at all units. */
void embedded_objects_turn(struct run *r);
int embedded_report_objects(struct run *r); /* -ENOMEM */
/* After the cluster has gone. */
void embedded_objects_close(struct run *r);

/* Sums that flows share: merged every merge_ms, and at the end. */
int embedded_shared_open(struct run *r, struct rill_error *err);
void embedded_shared_start(struct run *r);
void embedded_shared_turn(struct run *r);
void embedded_shared_end(struct run *r);
/* What the NF counted there. -ENOMEM. */
int embedded_shared_counters(const struct run *r, struct rill_tally *counters);
void embedded_shared_close(struct run *r);

/* --records, as --usage. */
int embedded_records_open(struct run *r, struct rill_error *err);
void embedded_records_start(struct run *r);
int embedded_records_close(struct run *r, struct rill_error *err);

/* Fills the player's report from what the run's parts counted. -ENOMEM with *err. */
int embedded_report(struct run *r, struct rill_error *err);

#endif
