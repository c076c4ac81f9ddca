/* One simulated run: the real cores on the sim fabric, faults and workload drawn from a seed, and
 * the protocol's invariants checked at every step.
 *
 *   chain_nf.c  an NF whose state shows any mistake: a hash chain over every packet it processed
 *   plan.c      what a seed stands for: faults, settings, workload (swarm: runs differ in kind)
 *   faults.c    roles that die, and what takes their place
 *   failover.c  controllers that die, and who takes their place
 *   check.c     the truth, and the invariants against it
 *   sim.c       the run: events in order, faults stop, then everything must come out and be given
 *               back
 *   shorten.c   the shortest prefix of a run that still fails
 *   main.c      rill-sim
 *   world.h     --world cluster: the same with machines, agents and the resource manager
 */
#ifndef RILL_TESTS_SIM_SIM_H
#define RILL_TESTS_SIM_SIM_H

#include <stdio.h>

#include <inttypes.h>

#include "cli/cluster.h"
#include "lib/base/flow_map.h"
#include "lib/base/mutant.h"
#include "lib/base/rng.h"
#include "lib/base/slab.h"

/* --- plan.c */
struct sim_plan {
    uint64_t seed;
    struct rill_fabric_sim_config faults;
    uint32_t units;
    uint32_t flows;
    uint32_t packets; /* before the faults stop */
    uint64_t span_us; /* in which roles die: about as long as the packets take */
    uint64_t gap_ns;  /* mean between two packets */
    double long_gap;  /* share of gaps in which flows may end */
    uint64_t long_gap_ns;
    double replies; /* share of packets that come from the outside */
    uint32_t burst; /* packets of one flow in a row */
    uint32_t state_bytes;
    uint32_t pool_ports;
    /* troubles that only some seeds have */
    uint32_t free_mbufs; /* left in the pool; 0: plenty */
    double blackout;     /* before a packet: nothing gets through for blackout_ns */
    uint64_t blackout_ns;
    double fragments, malformed; /* shares of the packets */
    double old_alias;            /* share of the replies that go to a public endpoint of before */
    uint32_t nf_drops;           /* the NF drops packets whose number is a multiple; 0: none */
    uint32_t unit_flows_max, output_logger_flows_max;
    uint32_t unit_faults, logger_faults, pair_faults;
    uint32_t failovers; /* of controllers */
    uint64_t fresh_ns;  /* flow_idle less frame_life */
    double chase;   /* share of the new output loggers whose unit dies as soon as they are filled */
    double zombies; /* share of these that are taken for dead but go on */
    bool tight;     /* bounds so low that packets are dropped although there are no faults */
    const char *settings[48]; /* NAME=VALUE; later ones win */
    char text[48][64];
    uint32_t setting_count;
};
void sim_plan_draw(struct sim_plan *plan, uint64_t seed);

/* --- chain_nf.c */
extern const struct rill_nf_descriptor sim_chain_nf;
struct sim_chain { /* the NF's state; padded to the plan's state_bytes */
    uint64_t hash, count;
    struct rill_endpoint public;
};
struct __attribute__((packed)) sim_mark { /* what a packet carries; the NF fills hash and count */
    uint64_t packet;
    uint64_t hash, count;
};
enum { SIM_HEADERS_BYTES = 14 + 20 + 8, SIM_PACKET_BYTES = SIM_HEADERS_BYTES + 24 };
uint64_t sim_chain_next(uint64_t hash, uint64_t packet);

/* --- check.c */
enum { SIM_UNIT_NUMBERS = 4096 }; /* units have lower ones */
struct sim_check;
struct sim_check *sim_check_create(const struct sim_plan *plan, FILE *trace);
void sim_check_destroy(struct sim_check *check);
void sim_check_attach(struct sim_check *check, struct rill_cluster *cluster);
/* Without a cluster: the output logger that is about to release, and the controller, NULL if dead.
 */
void sim_check_look_at(struct sim_check *check, struct rill_ol *releasing,
                       struct rill_controller *controller);
void sim_check_sent(struct sim_check *check, uint64_t packet, uint32_t flow, bool must_come_out);
void sim_check_released(struct sim_check *check, struct rte_mbuf *m, uint64_t now_ns);
void sim_check_step(void *check, const struct rill_unit_step *step);
/* All that were sent as "must come out" did (I4). */
void sim_check_all_out(struct sim_check *check);
void sim_check_balance(struct sim_check *check, const struct rill_fabric *fabric);
/* All flows have ended: no unit keeps any, no packet is in flight, and every endpoint is at the
 * controller or at a unit again. The second fails the run if not. */
bool sim_check_is_over(const struct sim_check *check, uint64_t now_ns);
void sim_check_over(struct sim_check *check, uint64_t now_ns);
/* The public endpoint under which a packet of this workload flow last came out; NULL: none yet. */
const struct rill_endpoint *sim_check_public(const struct sim_check *check, uint32_t flow);
void sim_check_fail(struct sim_check *check, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The first violation, NULL if there was none. */
const char *sim_check_violation(const struct sim_check *check);

/* For the trace. */
void sim_check_time(struct sim_check *check, uint64_t now_ns);
void sim_check_note(struct sim_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* From now on the unit is dead, or (zombie) taken for dead: what it did that never left may be
 * lost.
 */
void sim_check_suspect(struct sim_check *check, uint32_t unit, bool zombie);

/* Flows that live at that controller, and of which packets have left, must not be forgotten ... */
void sim_check_must_survive(struct sim_check *check, uint32_t controller);
/* ... by the present one, which has taken over since then. */
void sim_check_survived(struct sim_check *check, uint64_t began_ns);

/* --- failover.c */
enum { SIM_FAILOVERS_MAX = 8 };
struct sim_failover {
    const struct sim_plan *plan;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct rill_rng rng;
    uint64_t at_ns[SIM_FAILOVERS_MAX]; /* to come */
    uint32_t count;
    uint32_t old;                    /* index of the one that failed last */
    uint64_t take_over_ns, crash_ns; /* of the failure at hand; UINT64_MAX: has happened */
    bool taking_over;
    uint64_t began_ns;
};
void sim_failover_init(struct sim_failover *failover, const struct sim_plan *plan,
                       struct rill_cluster *cluster, struct sim_check *check, uint64_t now_ns);
uint64_t sim_failover_next_ns(const struct sim_failover *failover);
void sim_failover_turn(struct sim_failover *failover, uint64_t now_ns);
/* No more of them from now on. */
void sim_failover_stop(struct sim_failover *failover);
/* Index of the controller that the next packet comes in at. */
uint32_t sim_failover_ingress(struct sim_failover *failover);

/* --- faults.c */
enum { SIM_FAULTS_MAX = 64 };
enum sim_fault_kind {
    SIM_UNIT_FAULT,
    SIM_UNIT_CRASH,
    SIM_UNIT_DECLARE,
    SIM_ADD_PAIR,
    SIM_LOGGER_FAULT,
    SIM_LOGGER_CRASH,
    SIM_LOGGER_REPLACE,
    SIM_CHASE,
    SIM_PAIR_FAULT,
    SIM_LOGGER_LOST,
};
struct sim_fault {
    uint64_t at_ns;
    enum sim_fault_kind kind;
    uint32_t index;
};
struct sim_faults {
    const struct sim_plan *plan;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct rill_rng rng;
    struct sim_fault list[SIM_FAULTS_MAX]; /* to come */
    uint32_t count;
    bool suspect[RILL_CLUSTER_UNITS_MAX];  /* died, or taken for dead */
    bool declared[RILL_CLUSTER_UNITS_MAX]; /* and the resource manager knows */
    /* its logger died; and the next is there, but not known to be filled */
    bool fragile[RILL_CLUSTER_UNITS_MAX], replaced[RILL_CLUSTER_UNITS_MAX];
};
void sim_faults_init(struct sim_faults *faults, const struct sim_plan *plan,
                     struct rill_cluster *cluster, struct sim_check *check, uint64_t now_ns);
uint64_t sim_faults_next_ns(const struct sim_faults *faults);
void sim_faults_turn(struct sim_faults *faults, uint64_t now_ns);

/* --- sim.c */
struct sim_result {
    char violation[256]; /* "" if none */
    uint64_t hash;       /* of everything that was released and when: same seed, same hash */
    uint64_t packets, steps, frames, moves, virtual_ns;
};
/* -1: the machine could not run it (no memory). */
int sim_run(uint64_t seed, FILE *trace, struct sim_result *result);
/* The same run with no more than so many packets before the faults stop. */
int sim_run_prefix(uint64_t seed, uint32_t packets, FILE *trace, struct sim_result *result);

/* --- world.c: the same of a cluster of machines, world.h */
int sim_world_run(uint64_t seed, FILE *trace, struct sim_result *result);

/* --- shorten.c */
/* Prints the flow in question of the shortest run of the seed that fails. 1 if it fails, 0 if not,
 * -1 as above. */
int sim_shorten(uint64_t seed);

#endif
