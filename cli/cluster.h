/* A whole cluster in one process and one thread: resource manager, controllers, units and their
 * output loggers, on a fabric that the caller chose. It wires the roles' cores together and turns
 * them when there is something to do; it decides nothing. No clock inside.
 *
 * Embedded (`rill replay`): on the inproc fabric with real time, on the sim fabric with virtual
 * time. The simulator builds on it too.
 */
#ifndef RILL_CLI_CLUSTER_H
#define RILL_CLI_CLUSTER_H

#include "cli/tally.h"
#include "controller/controller.h"
#include "lib/fabric/fabric.h"
#include "lib/store/store.h"
#include "lib/usage/usage.h"
#include "nf-runtime/unit.h"
#include "output-logger/output_logger.h"
#include "rm/rm.h"

enum {
    RILL_CLUSTER_UNITS_MAX = 64,
    RILL_CLUSTER_SLOTS_MAX = 16,       /* controllers at a time */
    RILL_CLUSTER_CONTROLLERS_MAX = 32, /* those that die and those that take over count */
};

/* For simulators: roles whose clocks differ, and who take their turns when they please. */
struct rill_cluster_pace {
    void *arg;
    /* What the role's own clock shows now, and the first moment at which it shows `clock_ns`. */
    uint64_t (*clock_ns)(void *arg, uint32_t role, uint64_t now_ns);
    uint64_t (*when_ns)(void *arg, uint32_t role, uint64_t clock_ns);
    /* The first moment, not before `ns`, at which the role takes a turn. */
    uint64_t (*turn_ns)(void *arg, uint32_t role, uint64_t ns);
};

struct rill_cluster_config {
    const struct rill_nf_descriptor *nf;
    const struct rill_config *nf_config; /* the caller's, outlives the cluster */
    const struct rill_config *settings;
    uint32_t units_milli; /* thousandths of units: 2500 is two whole ones and half a one */
    uint32_t controllers; /* at a time, 1..RILL_CLUSTER_SLOTS_MAX; 0 counts as 1 */
    uint32_t flows_max;   /* the caller's bound; the setting's counts too */
    uint32_t unit_flows_max, output_logger_flows_max; /* 0: as flows_max (simulators) */
    struct rill_fabric *fabric;                       /* the caller's, outlives the cluster */
    struct rte_mempool *pool;                         /* the caller's */
    /* Readies a new instance for packets: what it wants of the configuration store. 0, or negative
     * with *err. NULL: there is no configuration store. */
    int (*equip)(void *arg, struct rill_nf *nf, struct rill_error *err);
    struct rill_store *store; /* for state=external; the caller's; NULL: a modelled one */
    /* A released packet (frame metadata intact, dst = port and side). The callee owns it. */
    void (*released)(void *arg, struct rte_mbuf *m, uint64_t now_ns);
    /* For simulators: output_logger.h. NULL: nobody wants to know. */
    void (*turning)(void *arg, struct rill_ol *ol, struct rte_mbuf *m);
    void *arg;
    const struct rill_cluster_pace *pace; /* NULL: one clock for all, and turns at once */
    /* Processor time of this thread, to measure what units take; NULL: what their packets' service
     * took counts instead. */
    uint64_t (*cpu_ns)(void);
};

struct rill_cluster;

/* NULL with a line in *err. The fabric must be empty. */
struct rill_cluster *rill_cluster_create(const struct rill_cluster_config *config,
                                         struct rill_error *err);
void rill_cluster_destroy(struct rill_cluster *cluster); /* NULL is fine */

/* Packets for the controllers, each for its own (lib/packet/split.h): an mbuf each, with side,
 * wire_bytes, ingress_ns and ingress_id set in its frame metadata, all else zero. A later fragment
 * that comes before its first is held for 100 ms, and goes where the two addresses say then. */
void rill_cluster_ingress(struct rill_cluster *cluster, struct rte_mbuf **packets, uint32_t n,
                          uint64_t now_ns);
/* The same at the i-th controller; one that is there no more drops them (no_controller). */
void rill_cluster_ingress_at(struct rill_cluster *cluster, uint32_t controller,
                             struct rte_mbuf **packets, uint32_t n, uint64_t now_ns);
/* The slot of the controller that the packet is for, as far as that can be said now. */
uint32_t rill_cluster_slot_of(struct rill_cluster *cluster, struct rte_mbuf *packet,
                              uint64_t now_ns);
/* Receives what has arrived and fires what is due. True if anything moved: call again. */
bool rill_cluster_step(struct rill_cluster *cluster, uint64_t now_ns);
/* When something is due next; UINT64_MAX if never. */
uint64_t rill_cluster_next_ns(struct rill_cluster *cluster);
/* Packets taken in that are neither released nor dropped: counted where they are held. */
uint64_t rill_cluster_packets_in_flight(const struct rill_cluster *cluster);

/* At the end of a run, when nothing is under way: every flow ends, at its owner. -ENOMEM. */
int rill_cluster_end_flows(struct rill_cluster *cluster, uint64_t now_ns);

/* Every drop, by reason (without the prefix "dropped_"), and every counter as ROLE.NAME. -ENOMEM.
 */
int rill_cluster_drops(const struct rill_cluster *cluster, struct rill_tally *drops);
uint64_t rill_cluster_packets_dropped(const struct rill_cluster *cluster); /* whatever the reason */
int rill_cluster_counters(const struct rill_cluster *cluster, struct rill_tally *counters);
int rill_cluster_nf_counters(const struct rill_cluster *cluster, struct rill_tally *counters);

/* Faults. The i-th unit's process ends: what it held is gone (counted as died_with_role). */
void rill_cluster_unit_crash(struct rill_cluster *cluster, uint32_t i);
/* The resource manager takes the i-th unit for dead, whether it is or not. Its output logger goes
 * by itself when nobody needs it any more. */
void rill_cluster_unit_declare(struct rill_cluster *cluster, uint32_t i, uint64_t now_ns);
/* The output logger of the i-th unit's process ends; the resource manager notices it by itself. A
 * zombie goes on for ever, and is no longer asked. */
void rill_cluster_logger_crash(struct rill_cluster *cluster, uint32_t number);
/* The output logger of a unit that died before has died, too, and the resource manager notices. */
void rill_cluster_logger_declare(struct rill_cluster *cluster, uint32_t number, uint64_t now_ns);
/* The resource manager notices that the output logger of the i-th unit, which died before, is dead,
 * too. */
void rill_cluster_logger_lost(struct rill_cluster *cluster, uint32_t i, uint64_t now_ns);
/* The i-th unit gets another output logger. -ENOSPC, -ENOMEM. */
int rill_cluster_replace_logger(struct rill_cluster *cluster, uint32_t i, uint64_t now_ns,
                                struct rill_error *err);
/* It holds all that unit i has. */
bool rill_cluster_logger_filled(const struct rill_cluster *cluster, uint32_t i);
/* One unit and its output logger more, under new ids; the last of unit_count then. -ENOSPC,
 * -ENOMEM.
 */
int rill_cluster_add_pair(struct rill_cluster *cluster, struct rill_error *err);

/* The i-th controller's process ends. */
void rill_cluster_controller_crash(struct rill_cluster *cluster, uint32_t i);
/* Another controller takes the place of the i-th, which is the newest of its slot and may be dead
 * or not; the last of controller_count then. -ENOSPC, -ENOMEM. */
int rill_cluster_take_over(struct rill_cluster *cluster, uint32_t i, struct rill_error *err);

/* The same, with as much capacity as the i-th unit has or had. */
int rill_cluster_replace_unit(struct rill_cluster *cluster, uint32_t i, struct rill_error *err);
/* All flows of the i-th unit, which died, go on elsewhere. */
bool rill_cluster_unit_recovered(const struct rill_cluster *cluster, uint32_t i);
/* Packets that were lost with a role that died: it held them, they were on their way to it, or sent
 * there since; and those of a unit that its output logger refused since. Of the i-th unit, and of
 * the output logger of that number. */
uint64_t rill_cluster_unit_packets_lost(const struct rill_cluster *cluster, uint32_t i);
uint64_t rill_cluster_controller_packets_lost(const struct rill_cluster *cluster, uint32_t i);
uint64_t rill_cluster_logger_packets_lost(const struct rill_cluster *cluster, uint32_t number);

/* Since the last call: 1 << kind of the roles that received anything, RILL_CLUSTER_TURNED << kind
 * of those that took a turn; all, if any came or went. */
#define RILL_CLUSTER_TURNED (1u << 16)
uint32_t rill_cluster_touched(struct rill_cluster *cluster);
/* What the role's own clock shows. */
uint64_t rill_cluster_clock_ns(const struct rill_cluster *cluster, uint32_t role, uint64_t now_ns);
struct rill_rm *rill_cluster_rm(struct rill_cluster *cluster);
/* Of slot 0, the newest; NULL: it died. Where there are several: rill_cluster_newest(). */
struct rill_controller *rill_cluster_controller(struct rill_cluster *cluster);
/* How many there are at a time; and the index of the newest of a slot, of which all packets are
 * that come now. */
uint32_t rill_cluster_slots(const struct rill_cluster *cluster);
uint32_t rill_cluster_newest(const struct rill_cluster *cluster, uint32_t slot);
uint32_t rill_cluster_slot(const struct rill_cluster *cluster, uint32_t i); /* of the i-th */
/* Of the i-th, in the order in which they came; NULL: it died. */
struct rill_controller *rill_cluster_controller_at(struct rill_cluster *cluster, uint32_t i);
/* Of the i-th, also once it has died. */
const struct rill_controller_counters *
rill_cluster_controller_counters(const struct rill_cluster *cluster, uint32_t i);
/* Packets that it dropped, and those that died with it. */
uint64_t rill_cluster_controller_drops(const struct rill_cluster *cluster, uint32_t i);
/* Those that died count. Units, output loggers and controllers: NULL once they have gone. */
uint32_t rill_cluster_controller_count(const struct rill_cluster *cluster);
uint32_t rill_cluster_unit_count(const struct rill_cluster *cluster);
struct rill_unit *rill_cluster_unit(struct rill_cluster *cluster, uint32_t i);
/* Of unit i, also once it has died. */
const struct rill_unit_counters *rill_cluster_unit_counters(const struct rill_cluster *cluster,
                                                            uint32_t i);
/* What unit i did so far; all but unit_ns, which the caller knows. `over`: it has died, and nothing
 * of its can leave any more; if it is not, packets_died and bytes_died are 0. With `end` it is
 * taken for that if it has died at all: nothing more will leave. */
void rill_cluster_usage(const struct rill_cluster *cluster, uint32_t i, bool end,
                        struct rill_usage_counts *counts, bool *over);
/* By number, from 1; the number of unit i's present one; and the unit whose present one it is:
 * UINT32_MAX: none. */
struct rill_ol *rill_cluster_output_logger(struct rill_cluster *cluster, uint32_t number);
uint32_t rill_cluster_logger_count(const struct rill_cluster *cluster); /* also those that died */
const struct rill_ol_counters *rill_cluster_logger_counters(const struct rill_cluster *cluster,
                                                            uint32_t number);
uint32_t rill_cluster_logger_of(const struct rill_cluster *cluster, uint32_t i);
uint32_t rill_cluster_unit_of_logger(const struct rill_cluster *cluster, uint32_t number);
/* Within `released`: the role id of the output logger that lets the packet go. */
uint32_t rill_cluster_releasing(const struct rill_cluster *cluster);
struct rill_nf *rill_cluster_nf(struct rill_cluster *cluster, uint32_t i); /* of unit i */
/* The store outside; NULL without state=external. */
struct rill_store *rill_cluster_store(struct rill_cluster *cluster);

#endif
