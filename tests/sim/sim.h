/* One simulated run: the real cores on the sim fabric, faults and workload drawn from a seed, and
 * the protocol's invariants checked at every step.
 *
 *   chain_nf.c  an NF whose state shows any mistake: a hash chain over every packet it processed
 *   plan.c      what a seed stands for: faults, settings, workload (swarm: runs differ in kind)
 *   swarm.c     kinds of trouble that some seeds have, each drawn by itself
 *   plan_text.c a plan as text, and back: so that a run survives changes of how plans are drawn
 *   faults.c    roles that die, and what takes their place
 *   failover.c  controllers that die, and who takes their place
 *   pace.c      roles that stand still or are slow, and clocks that differ
 *   partitions.c links that are cut for a while
 *   stores.c    the store outside of state=external, that forgets or is not reached
 *   packets.c   what comes in
 *   tcp.c       connections that close, and are opened again
 *   check.c     the truth, and the invariants against it
 *   books.c     what is counted, against what was done; shares of units
 *   totals.c    faults by kind, over many runs
 *   sim.c       the run: events in order, faults stop, then everything must come out and be given
 *               back
 *   mutants.c   deliberate faults, each to be found
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
enum { SIM_SETTINGS = 128 };
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
    uint32_t preserve_ports; /* a flow is to get its own port */
    /* troubles that only some seeds have */
    uint32_t free_mbufs; /* left in the pool; 0: plenty */
    double blackout;     /* before a packet: nothing gets through for blackout_ns */
    uint64_t blackout_ns;
    double fragments, malformed; /* shares of the packets */
    double old_alias;            /* share of the replies that go to a public endpoint of before */
    uint32_t nf_drops;           /* the NF drops packets whose number is a multiple; 0: none */
    uint32_t nf_ends;            /* the same: it ends their flow */
    uint32_t unit_flows_max, output_logger_flows_max;
    uint32_t unit_faults, logger_faults, pair_faults;
    uint32_t failovers; /* of controllers */
    bool evicts;        /* the controller's table is so small that any flow may give way */
    double tcp;         /* share of the workload's flows that are TCP connections */
    double tcp_closes;  /* share of an open connection's segments that are FIN or RST */
    double chase;   /* share of the new output loggers whose unit dies as soon as they are filled */
    double zombies; /* share of these that are taken for dead but go on */
    bool tight;     /* bounds so low that packets are dropped although there are no faults */
    /* swarm.c */
    uint32_t part;        /* thousandths of one unit more */
    uint32_t controllers; /* 0: one */
    uint32_t partitions;  /* links that are cut, and heal */
    uint64_t partition_ns;
    double partition_rm, partition_one_way; /* shares: the resource manager's; in one direction */
    uint32_t pauses;                        /* a role stands still */
    uint64_t pause_ns;
    double pause_controller;             /* share of them */
    double slow;                         /* share of the roles */
    uint64_t slow_ns;                    /* between two turns of theirs */
    uint32_t clock_ppm;                  /* roles' clocks run faster or slower, up to that */
    uint64_t clock_offset_ns;            /* and are ahead, up to that */
    bool reuse;                          /* successors get their predecessors' addresses */
    double icmp_errors;                  /* share of the packets */
    double hairpins;                     /* share of the inside's packets */
    double edge_gaps;                    /* share of the gaps that are a flowlet's, to the ns */
    uint64_t edge_ns;                    /* that gap */
    bool mice;                           /* some flows have most of the packets, others a few */
    uint32_t store_restarts, store_cuts; /* of the store outside; a cut is as long as a partition */
    const char *settings[SIM_SETTINGS];  /* NAME=VALUE; later ones win */
    char text[SIM_SETTINGS][64];
    uint32_t setting_count;
};
/* `kind`: of swarm.c, one that it has at any rate; NULL: none. */
void sim_plan_draw(struct sim_plan *plan, uint64_t seed, const char *kind);
/* What the settings drawn so far say; the last one wins. */
double sim_plan_setting(const struct sim_plan *plan, const char *name);
/* One or two flows that move all the time, over a bad network, from unit to dying unit. */
void sim_plan_storm(struct sim_plan *plan, struct rill_rng *rng);
void sim_plan_set(struct sim_plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
double sim_pick(struct rill_rng *rng, const double *of, uint32_t n);
#define SIM_PICK(rng, ...)                                                                         \
    sim_pick(rng, (const double[]){__VA_ARGS__},                                                   \
             sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

/* --- swarm.c: draws from generators of its own, so that what is new changes no other draw */
/* `kind` at any rate; NULL: as the seed says. */
void sim_swarm_draw(struct sim_plan *plan, const char *kind);
bool sim_swarm_has(const char *kind);

/* --- plan_text.c */
void sim_plan_print(FILE *to, const struct sim_plan *plan); /* one line */
/* Writes into the text. -EINVAL with a line in *err. */
int sim_plan_parse(struct sim_plan *plan, char *text, struct rill_error *err);

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
enum {
    SIM_HEADERS_BYTES = 14 + 20 + 8,
    SIM_MARK_BYTES = 24, /* at the end */
    SIM_PACKET_BYTES = SIM_HEADERS_BYTES + SIM_MARK_BYTES,
    SIM_ERROR_BYTES = SIM_HEADERS_BYTES + 20 + 8 + SIM_MARK_BYTES, /* ICMP, quoting a packet */
    SIM_TCP_BYTES = SIM_PACKET_BYTES + 12,
};
static inline struct sim_mark *sim_mark(struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod_offset(m, struct sim_mark *, rte_pktmbuf_data_len(m) - SIM_MARK_BYTES);
}
uint64_t sim_chain_next(uint64_t hash, uint64_t packet);
uint64_t sim_chain_dry(struct rill_nf *nf); /* packets for which it found no endpoint */
/* Called at each flow_end, from all instances; NULL: nobody is. */
extern void (*sim_chain_ended)(const struct rill_nf *nf, uint64_t flow, uint64_t hash);

/* --- packets.c */
struct sim_packet {
    uint64_t number;
    uint32_t flow;
    const struct rill_endpoint *reply_to; /* NULL: from the inside */
    const struct rill_endpoint *turn_to;  /* from the inside to another flow's; NULL: to a server */
    bool error;                           /* an ICMP error that quotes what went the other way */
    bool tcp;                             /* else UDP; with these flags */
    uint8_t tcp_flags;
    struct rill_rng *fragment, *damage; /* NULL: whole, sound */
    uint16_t ip_id;                     /* of the last first fragment */
};
void sim_packet_write(struct sim_packet *packet, struct rte_mbuf *m);

/* --- tcp.c */
struct sim_counts;
struct sim_tcp {
    const struct sim_plan *plan;
    struct rill_rng rng;
    bool open[64], was_open[64]; /* by workload flow */
    uint8_t finished[64];        /* 1 << side of who has sent FIN */
};
void sim_tcp_init(struct sim_tcp *tcp, const struct sim_plan *plan);
bool sim_tcp_is(const struct sim_tcp *tcp, uint32_t flow); /* it is a TCP connection */
/* Of its next segment, from that side. `probe`: not one that closes it. */
uint8_t sim_tcp_flags(struct sim_tcp *tcp, uint32_t flow, enum rill_side side, bool probe,
                      struct sim_counts *counts);

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
void sim_check_sent(struct sim_check *check, uint64_t packet, uint32_t flow, uint32_t bytes,
                    bool must_come_out);
struct sim_counts *sim_check_counts(struct sim_check *check);
void sim_check_released(struct sim_check *check, struct rte_mbuf *m, uint64_t now_ns);
/* The packet is to the public endpoint of that workload flow: will it be turned round, it has to
 * come out there, if it has to come out. */
void sim_check_will_turn(struct sim_check *check, uint64_t packet, uint32_t flow);
/* It is about to be, in place of being released. From then on it is another packet. */
void sim_check_turning(struct sim_check *check, struct rill_ol *ol, struct rte_mbuf *m,
                       uint64_t now_ns);
bool sim_check_is_out(const struct sim_check *check, uint64_t packet);
void sim_check_step(void *check, const struct rill_unit_step *step);
/* flow_end ran at that NF, on the state with that hash. */
void sim_check_ended(struct sim_check *check, const struct rill_nf *nf, uint64_t flow,
                     uint64_t hash);
/* I5, after every event: what controllers take as theirs of a unit the unit was told, and all that
 * may be leased of it is no more than there is. `asleep`, a bit for each slot: that controller
 * stands still, and does not know the time. */
void sim_check_shares(struct sim_check *check, uint32_t asleep);
/* And nobody's packets are served faster than its share is. Where roles take their turns at once.
 */
void sim_check_speed(struct sim_check *check);
/* A term that began is established in the end, or its flow can not move any more (I4). */
void sim_check_established(struct sim_check *check);
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
void sim_check_must_survive(struct sim_check *check, const struct rill_controller *old);
/* ... but for those that it has ended since then, where it goes on for a while ... */
void sim_check_may_have_ended(struct sim_check *check, const struct rill_controller *old,
                              uint32_t slot);
/* ... by the present one of that slot, which has taken over since then; but those that were idle
 * for as long as fresh_ns. */
void sim_check_survived(struct sim_check *check, struct rill_controller *now, uint32_t slot,
                        uint64_t began_ns, uint64_t fresh_ns);
/* ... or may be: nothing is promised any more. */
void sim_check_may_be_lost(struct sim_check *check);

/* --- failover.c */
enum { SIM_FAILOVERS_MAX = 8 };
struct sim_failover {
    const struct sim_plan *plan;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct rill_rng rng;
    uint64_t at_ns[SIM_FAILOVERS_MAX]; /* to come */
    uint32_t count;
    uint32_t old, slot;              /* index of the one that failed last, and its slot */
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
/* Index of the controller of that slot that the next packet comes in at. */
uint32_t sim_failover_ingress(struct sim_failover *failover, uint32_t slot);

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
    struct rill_fabric *fabric;
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
                     struct rill_cluster *cluster, struct rill_fabric *fabric,
                     struct sim_check *check, uint64_t now_ns);
/* Nobody else fails; what follows from earlier failures goes on. */
void sim_faults_calm(struct sim_faults *faults);
/* Whoever was told dead was recovered from, and every new output logger is filled (I4). */
void sim_faults_check_over(struct sim_faults *faults);
uint64_t sim_faults_next_ns(const struct sim_faults *faults);
void sim_faults_turn(struct sim_faults *faults, uint64_t now_ns);

/* --- pace.c */
enum { SIM_PAUSES_MAX = 32 };
struct sim_pace_role {
    uint32_t id; /* 0: nothing is known here yet */
    bool slow;
    int64_t rate_ppm;
    uint64_t offset_ns;
};
struct sim_pace {
    struct rill_cluster_pace ops; /* for the cluster */
    const struct sim_plan *plan;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct rill_rng rng;
    uint64_t begin_ns[SIM_PAUSES_MAX]; /* of those to come */
    uint32_t to_come;
    struct {
        uint32_t role;
        uint64_t until_ns;
    } paused[SIM_PAUSES_MAX];
    uint32_t count;
    struct sim_pace_role roles[128]; /* looked at of late */
};
void sim_pace_init(struct sim_pace *pace, const struct sim_plan *plan);
/* The cluster is there; pauses begin from now on. */
void sim_pace_start(struct sim_pace *pace, struct rill_cluster *cluster, struct sim_check *check,
                    uint64_t now_ns);
bool sim_pace_is_plain(const struct sim_plan *plan); /* nothing of the kind */
uint64_t sim_pace_next_ns(const struct sim_pace *pace);
void sim_pace_turn(struct sim_pace *pace, uint64_t now_ns);
uint32_t sim_pace_slow(const struct sim_pace *pace); /* units and output loggers that are slow */
void sim_pace_calm(struct sim_pace *pace);           /* nobody stands still any more */
/* A role that is there, drawn: with `controller` as likely, else any. 0: none. */
uint32_t sim_any_role(struct rill_rng *rng, struct rill_cluster *cluster, double controller);
uint32_t sim_any_unit(struct rill_rng *rng, struct rill_cluster *cluster);

/* --- partitions.c */
enum { SIM_PARTITIONS_MAX = 32 };
struct sim_partitions {
    const struct sim_plan *plan;
    struct rill_cluster *cluster;
    struct sim_check *check;
    struct rill_fabric *fabric;
    struct rill_rng rng;
    uint64_t begin_ns[SIM_PARTITIONS_MAX];
    uint32_t to_come;
    struct sim_cut {
        uint32_t a, b; /* 0: every role */
        bool both;
        uint64_t until_ns;
    } cuts[SIM_PARTITIONS_MAX];
    uint32_t count;
};
void sim_partitions_init(struct sim_partitions *p, const struct sim_plan *plan,
                         struct rill_cluster *cluster, struct rill_fabric *fabric,
                         struct sim_check *check, uint64_t now_ns);
uint64_t sim_partitions_next_ns(const struct sim_partitions *p);
void sim_partitions_turn(struct sim_partitions *p, uint64_t now_ns);
void sim_partitions_heal(struct sim_partitions *p);

/* --- stores.c */
enum { SIM_STORE_FAULTS_MAX = 64 };
struct sim_stores {
    const struct sim_plan *plan;
    struct rill_cluster *cluster;
    struct rill_fabric *fabric;
    struct sim_check *check;
    struct rill_rng rng;
    struct {
        uint64_t at_ns;
        bool is_cut;              /* else a restart */
    } list[SIM_STORE_FAULTS_MAX]; /* to come */
    uint32_t count;
    uint64_t healed_ns; /* of the cut at hand; UINT64_MAX: none */
    bool cut_in, cut_out;
};
void sim_stores_init(struct sim_stores *stores, const struct sim_plan *plan,
                     struct rill_cluster *cluster, struct rill_fabric *fabric,
                     struct sim_check *check, uint64_t now_ns);
uint64_t sim_stores_next_ns(const struct sim_stores *stores);
void sim_stores_turn(struct sim_stores *stores, uint64_t now_ns);
void sim_stores_calm(struct sim_stores *stores); /* it is reached, and forgets nothing more */

/* --- totals.c: what was done to the runs */
#define SIM_COUNTS(X)                                                                              \
    X(lost, "frames lost")                                                                         \
    X(doubled, "doubled")                                                                          \
    X(reordered, "held up and overtaken")                                                          \
    X(full, "refused by full rings or for want of buffers")                                        \
    X(cut, "lost on cut links")                                                                    \
    X(partitions, "partitions")                                                                    \
    X(blackouts, "blackouts")                                                                      \
    X(pauses, "pauses")                                                                            \
    X(slow_roles, "slow roles")                                                                    \
    X(skewed, "runs with clocks that differ")                                                      \
    X(unit_deaths, "unit deaths")                                                                  \
    X(zombies, "of them zombies")                                                                  \
    X(logger_deaths, "output logger deaths")                                                       \
    X(pair_deaths, "deaths of both")                                                               \
    X(controller_deaths, "controller deaths")                                                      \
    X(controller_zombies, "of them zombies")                                                       \
    X(takeovers, "takeovers")                                                                      \
    X(store_restarts, "times that a store outside forgot everything")                              \
    X(store_cuts, "times that it was not reached")                                                 \
    X(store_stale, "answers of it that were of another version")                                   \
    X(wrong_incarnation, "frames to a dead role's address that its successor has")                 \
    X(leases_expired, "leases run out")                                                            \
    X(dry_pools, "packets for which no endpoint was left")                                         \
    X(no_mbuf, "messages without a buffer")                                                        \
    X(queue_full, "packets at full queues")                                                        \
    X(fragments, "fragments")                                                                      \
    X(malformed, "malformed packets")                                                              \
    X(icmp_errors, "ICMP errors")                                                                  \
    X(turned, "packets turned round")                                                              \
    X(turned_out, "of them out again")                                                             \
    X(reused_tuples, "flows with the tuple of one that ended")                                     \
    X(tcp_closed, "TCP connections closed")                                                        \
    X(tcp_reopened, "and opened again")                                                            \
    X(evicted, "flows that gave way in full tables")                                               \
    X(flow_ends, "ends of flows that NFs were told")                                               \
    X(flow_ends_again, "of them again")                                                            \
    X(flow_ends_stale, "with a state that was not the last")                                       \
    X(unbilled, "packets processed that died with their unit")
struct sim_counts {
#define X(name, what) uint64_t name;
    SIM_COUNTS(X)
#undef X
};
void sim_counts_add(struct sim_counts *to, const struct sim_counts *from);
void sim_counts_print(const struct sim_counts *counts);
/* What can be read from counters, once the run is over. */
void sim_counts_read(struct sim_counts *counts, struct rill_cluster *cluster,
                     const struct rill_fabric *fabric);

/* --- sim.c */
struct sim_result {
    char violation[256]; /* "" if none */
    struct sim_counts counts;
    uint64_t hash; /* of everything that was released and when: same seed, same hash */
    uint64_t packets, steps, frames, moves, virtual_ns;
};
/* Role id of the newest controller of a slot; and of any of them. */
uint32_t sim_controller(const struct rill_cluster *cluster, uint32_t slot);
uint32_t sim_any_controller(struct rill_rng *rng, const struct rill_cluster *cluster);
/* -1: the machine could not run it (no memory). */
int sim_run_plan(const struct sim_plan *plan, FILE *trace, struct sim_result *result);

/* --- world.c: the same of a cluster of machines, world.h */
int sim_world_run(uint64_t seed, FILE *trace, struct sim_result *result);

/* --- shorten.c */
/* Prints the flow in question of the shortest run of the plan that fails. 1 if it fails, 0 if not,
 * -1 as above. */
int sim_shorten(const struct sim_plan *plan);

/* --- mutants.c */
int sim_mutant_choose(const char *name); /* -1: there is none of that name */
/* Runs seeds with each of the deliberate faults until it is found, from `starts` (1 to
 * SIM_MUTANT_STARTS) first seeds on; from fewer where one is rare; in a cluster from one. Prints
 * how many that took. The exit code: 0 if all were found. */
enum { SIM_MUTANT_STARTS = 5 };
int sim_mutants(bool cluster, unsigned starts);

/* --- the commit that this was built from; made by commit.cmake */
extern const char sim_commit[];

#endif
