/* What a run has to report: filled by whoever ran it, then shown on one screen and written as JSON.
 *
 * The JSON's field names are a stable interface: more may be added, none changes its meaning. The
 * fields below have the JSON's names, and say what they count.
 */
#ifndef RILL_CLI_REPORT_H
#define RILL_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rill/schema.h>

#include "cli/tally.h"
#include "lib/base/error.h"
#include "lib/metrics/histogram.h"

struct rill_report_unit {
    uint32_t id; /* number of the unit, without its role's kind */
    uint64_t packets;
    double utilization_max; /* load over leased capacity, at the ends of epochs of 100 ms: what was
                               sent there, so above 1 where it had to queue */
};

/* One of the controllers that the traffic was split over, or that took another's place. */
struct rill_report_controller {
    uint32_t id;   /* its number */
    uint32_t slot; /* which of those that are there at a time it is, or was */
    bool died;
    /* in = on to a unit + past the NF + dropped here or lost with it + in flight, always */
    uint64_t packets_in, bytes_in, packets_to_units, packets_passed, packets_dropped;
    uint64_t packets_in_flight;
    uint64_t flows, flowlets, flowlets_moved;
};

struct rill_report_epoch {
    double at_s;    /* its start, from the start of the run */
    uint32_t units; /* active at its end */
};

/* A role that was made to fail. Times from the kill; -1: not reached by the end of the run. In a
 * cluster they are of the RM's clock, from when it was told. Counts: -1 where a cluster's replay
 * has more than one failure, as they can not be told apart. */
struct rill_report_failure {
    char role[40]; /* "unit:2", as it was given */
    uint32_t id;   /* number of the role; in a cluster, as in its status */
    double at_s;   /* from the first packet */
    int64_t detected_after_ns;
    int64_t recovered_after_ns; /* all that it had can go on elsewhere */
    /* It held them, or they were on their way to it, or sent there since; from a unit also what its
     * output logger refused since. */
    int64_t packets_lost;
    /* Flows whose state units took over since, and where from. Of failures that overlap, each has
     * those of both. */
    int64_t from_replica, from_output_logger;
    int64_t inherited; /* of a controller: flows that the next one found again */
};

/* What the NF reads from the configuration store. */
struct rill_report_object {
    char option[65];                         /* of the NF, that names it */
    char name[129];                          /* "": the option is empty */
    char version[48];                        /* in use at the end; "": none */
    uint64_t updates_taken, updates_refused; /* versions after the first */
    uint64_t lines_skipped;                  /* of the one in use */
    char error[512];                         /* why the last one was refused; "": it was taken */
};

struct rill_report_setting {
    char *name, *text;
    bool is_text; /* JSON: a string even if it reads like a number */
};

struct rill_report {
    /* Packets: in = released + dropped (all reasons) + in flight, always. */
    uint64_t packets_in, bytes_in; /* all that the replayer sent in; bytes on the wire */
    uint64_t packets_released, bytes_released;
    struct rill_tally packets_dropped; /* by reason */
    uint64_t packets_in_flight;        /* 0 at the end of a sound run */
    uint64_t packets_turned;    /* round by the NF: on their way they came in again, within */
    uint64_t packets_reordered; /* released after a later packet of its flow and direction */
    uint64_t inside_packets, outside_packets; /* of packets_in, by the side on which they came in */
    uint64_t
        replies_unmapped; /* replies that went in as captured: their connection was not known */

    /* The check of what was released against the capture (traces/ends.h). */
    uint64_t inverse_checked, inverse_mismatches; /* towards the inside */
    uint64_t inverse_unchecked; /* towards the inside, of an NF without RILL_NF_INVERTS */
    uint64_t outward_checked, outward_mismatches; /* towards the outside */
    uint64_t first_mismatch_packet;               /* number in the capture, from 1; 0: none */
    uint64_t mappings_changed; /* a connection's, though it was not idle: its flow began anew */

    uint64_t flows, flowlets;
    uint64_t flowlets_moved; /* not a flow's first, and on another unit than the one before */
    uint64_t flowlets_seamless, flowlets_stalled; /* of the moved: first packet was not held, was */
    uint64_t moves_by_gap, moves_by_size, seamless_by_gap;
    uint64_t moves_by_period; /* mode smart-flow */
    uint64_t recoveries;      /* flows whose owner died, and whose state another unit took over */
    uint64_t state_pushes;    /* entries times targets */
    uint64_t state_pulls;     /* PULLs answered */
    uint64_t overloads;       /* flowlets for which no active unit had room */

    struct rill_report_failure *failures; /* failure_count of them */
    size_t failure_count;

    struct rill_report_controller *controllers; /* controller_count of them */
    size_t controller_count;

    struct rill_report_object *objects; /* object_count of them; a cluster's: none */
    size_t object_count;

    uint32_t units_milli;           /* asked for, in thousandths; 0: a cluster's. Not in the JSON */
    uint32_t units_active_max;      /* at the end of any 100 ms, or of the run */
    struct rill_report_unit *units; /* unit_count of them */
    size_t unit_count;
    struct rill_report_epoch *units_over_time; /* epoch_count of them, one per 100 ms */
    size_t epoch_count, epoch_capacity;

    struct rill_histogram latency_ns; /* released packets: from due in to released */
    double replay_s;                  /* from the first packet in to the last one out */
    bool interrupted;                 /* stopped on request before the capture's end */

    struct rill_tally counters;    /* every named counter of every role, as ROLE.NAME */
    struct rill_tally nf_counters; /* the NF's own, over all units */

    /* Texts: the report's own copies, set by rill_report_text(); NULL: not known. */
    char *mode, *state_mode, *clock, *nf, *trace;
    char *capture;              /* where the released packets were written */
    char *cluster, *deployment; /* NULL: embedded */
    char *failure;              /* what ended during the run and should not have; NULL: nothing */
    struct rill_report_setting *settings; /* setting_count of them, in the schema's order */
    size_t setting_count;
};

/* Zeroed memory is an empty report; fini frees all that hangs on it and zeroes it. */
void rill_report_fini(struct rill_report *report); /* NULL is fine */

/* Filling. All return 0, or -ENOMEM and nothing changed. */
int rill_report_text(char **field, const char *text); /* copies; NULL: forgets the field's text */
int rill_report_add_unit(struct rill_report *report, const struct rill_report_unit *unit);
int rill_report_add_controller(struct rill_report *report,
                               const struct rill_report_controller *controller);
int rill_report_add_failure(struct rill_report *report, const struct rill_report_failure *failure);
int rill_report_add_object(struct rill_report *report, const struct rill_report_object *object);
int rill_report_add_epoch(struct rill_report *report, double at_s, uint32_t units);
/* Copies all names and present values of `settings`. */
int rill_report_settings(struct rill_report *report, const struct rill_config *settings);

static inline int64_t rill_report_flows_recovered(const struct rill_report_failure *failure)
{
    return failure->from_replica < 0
               ? -1
               : failure->from_replica + failure->from_output_logger + failure->inherited;
}

/* True if each controller's books balance. */
bool rill_report_controllers_balance(const struct rill_report *report);
/* True if every packet is accounted for, in all and at each controller, and none is in flight. */
bool rill_report_balances(const struct rill_report *report);
/* Connections kept their mapping but for flows whose life was cut short, as counters say: evicted,
 * lost, ended by the NF, or by a takeover. What a controller that died had counted is not known. */
bool rill_report_mappings_kept(const struct rill_report *report);
/* True if the run kept every promise: it balances, every check of released packets held, and
 * nothing else broke. */
bool rill_report_sound(const struct rill_report *report);

/* Writes JSON to the file, or to stdout for "-". 0, or -EIO with *err (which names the file). */
int rill_report_write_json(const struct rill_report *report, const char *path,
                           struct rill_error *err);
/* The one screen. Bars are drawn in UTF-8 where the locale's character set is that, else in ASCII.
 */
void rill_report_print(const struct rill_report *report, FILE *out);

#endif
