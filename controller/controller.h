/* The controller's core: takes packets in, cuts their flows into flowlets, gives each flowlet to a
 * unit, stamps the packets, and keeps the books that make moving a flow safe. Sans-IO.
 *
 * Three modules decide, as in SNF (sections 3 to 5): WGM (wgm.h) where a flowlet begins, WAM
 * (wam.h) where it goes, SMM (smm.c) what is stamped so that state follows. This core holds the
 * flow table and wires them together.
 *
 * A packet comes in as an mbuf with `side`, `wire_bytes`, `ingress_ns` and `ingress_id` set in its
 * frame metadata, all else zero.
 *
 * Not thread-safe: one thread per controller. Needs EAL (mbufs).
 */
#ifndef RILL_CONTROLLER_CONTROLLER_H
#define RILL_CONTROLLER_CONTROLLER_H

#include <stdbool.h>

#include <rill/endpoint.h>

#include "lib/base/error.h"
#include "lib/base/table_use.h"
#include "lib/config/settings.h"
#include "lib/frame/outbox.h"
#include "lib/packet/flow_key.h"
#include "lib/packet/parse.h"

struct rill_controller;

enum { RILL_CONTROLLER_POOLS_MAX = 8 };

/* One pool of public endpoints that the NF declared; index = address number * ports + port - low.
 */
struct rill_controller_pool {
    enum rill_proto proto;
    uint8_t family;
    uint16_t port_low, port_high;
    uint32_t addresses;
    const uint8_t (*addr)[16]; /* the caller's, outlives the controller */
    bool preserve_ports; /* a flow is given its inside port, if that is free, or one as even or odd
                          */
};

struct rill_controller_config {
    uint32_t id;     /* role id */
    uint32_t rm;     /* role id */
    uint16_t epoch;  /* lib/base/epoch.h */
    bool takes_over; /* there was another of this slot: find out what it had, before all else */
    uint32_t vni;
    struct rte_mempool *pool; /* for messages; the caller's */
    /* the deployment */
    enum rill_key_kind flow_kind;
    uint32_t handles; /* enum rill_handles, or-ed: 0 handles nothing */
    bool inside_opens;
    bool pass_unhandled;
    struct rill_controller_pool pools[RILL_CONTROLLER_POOLS_MAX];
    unsigned pool_count;
    /* How many controllers share the deployment, in slots from 0 (0 counts as 1): this one gives
     * out its part of each pool, lib/packet/split.h. */
    uint32_t controllers;
    uint32_t lease_step; /* thousandths of a unit asked for at a time, at least (0: a whole one) */
    /* settings */
    enum rill_allocation_mode mode;
    uint64_t smart_flow_ns; /* mode SMART_FLOW: a flow is placed anew when this has passed */
    enum rill_placement placement;
    enum rill_replica_choice replica_choice;
    bool proactive;
    uint32_t replicas;
    double alpha, ewma_weight;
    uint64_t flowlet_timeout_ns;
    uint64_t unit_backlog_ns;  /* above it a flowlet goes elsewhere */
    uint64_t lease_backlog_ns; /* above it, everywhere, another unit is asked for */
    uint32_t flowlet_bytes;    /* UINT32_MAX: size ends no flowlet */
    /* A flow without packets for so long has ended. By protocol, of flows that have one; 0: as
     * flow_idle_ns. */
    uint64_t flow_idle_ns;
    uint64_t flow_idle_tcp_ns, flow_idle_tcp_transitory_ns, flow_idle_udp_ns, flow_idle_icmp_ns;
    uint64_t flow_closed_ns; /* TCP, after both FINs or a RST; not below frame_life_ns */
    uint64_t frame_life_ns;  /* the longest that a frame is under way */
    uint64_t vouched_ns;     /* what the one before vouched for longer ago had ended */
    uint32_t flows_max;
    uint32_t units_max;
    uint32_t units_min;     /* leased from the start, never given back. With a lease_step
                               below a unit: of all controllers together */
    uint32_t units_reserve; /* leased besides, and used as soon as more is needed; with a
                               lease_step below a unit: so many steps */
    uint64_t epoch_ns, lease_ns, retry_ns, pool_quarantine_ns;
    uint64_t idle_unit_ns, idle_last_unit_ns; /* given back after so long without traffic */
    uint32_t waiting_packets;                 /* at most, while no unit is leased ... */
    uint64_t waiting_ns;                      /* ... and so long */
    struct rill_resend resend;
    uint64_t seed;
    uint64_t hash_seed; /* of the tables that packets are looked up in: who sends them must not know
                           it */
};

#define RILL_CONTROLLER_COUNTERS(X)                                                                \
    X(packets_in)                                                                                  \
    X(packets_turned) /* of these, back from an output logger: the NF turned them round */         \
    X(bytes_in)                                                                                    \
    X(packets_to_units)                                                                            \
    X(bytes_to_units)                                                                              \
    X(packets_passed) /* past the NF, by the deployment's word */                                  \
    X(packets_waited) /* for a unit, as none was leased */                                         \
    X(flows)          /* begun */                                                                  \
    X(flows_ended)                                                                                 \
    X(flows_closed)  /* by FIN in both directions, or by RST: they end soon */                     \
    X(flows_evicted) /* of those that ended: the table was full, and they the oldest idle */       \
    X(flowlets)                                                                                    \
    X(flowlets_moved)                                                                              \
    X(moves_by_gap)                                                                                \
    X(moves_by_size)                                                                               \
    X(moves_by_period) /* mode SMART_FLOW */                                                       \
    X(moves_deferred)  /* its last handoff was not established yet: stayed */                      \
    X(overloads)       /* flowlets that fitted nowhere */                                          \
    X(aliases)                                                                                     \
    X(alias_conflicts)                                                                             \
    X(clock_clamped) /* calls whose time ran backwards */                                          \
    X(established)                                                                                 \
    X(resends_slowed) /* questions that had resend_attempts without an answer */                   \
    X(where_answered)                                                                              \
    X(deaths)             /* of units */                                                           \
    X(flows_rehomed)      /* their owner died: given to another unit without a packet */           \
    X(owners_asked_about) /* and the chain was full: questions whether it ever had the flow */     \
    X(takeovers)          /* of another controller's flows, done */                                \
    X(flows_inherited)                                                                             \
    X(flows_not_inherited) /* had ended, or there was no room */                                   \
    X(aliases_replaced)    /* an inherited one that no controller had confirmed */                 \
    X(flows_forgotten)   /* inherited, although they had ended: their unit has nothing of them */  \
    X(flows_ended_by_nf) /* it wanted another life of what they are known by */                    \
    X(flows_lost)        /* a unit and its output logger died, and with them the only state */     \
    X(lease_requests)                                                                              \
    X(lease_grants)                                                                                \
    X(leases_expired)                                                                              \
    X(units_given_back)                                                                            \
    X(reserves_used)                                                                               \
    X(lease_steps_given_back) /* parts of units */                                                 \
    X(pool_grants)                                                                                 \
    X(pool_endpoints_granted)                                                                      \
    X(ports_preserved)                /* kept for a flow: its own ... */                           \
    X(port_parities_preserved)        /* ... or another that is as even or odd */                  \
    X(dropped_unhandled)              /* not the NF's, and the deployment says drop */             \
    X(dropped_unsolicited)            /* from the outside, and leads to no flow */                 \
    X(dropped_error_of_no_flow)       /* an ICMP error that quotes a packet of no flow */          \
    X(dropped_fragment_without_first) /* it did not come within 100 ms */                          \
    X(dropped_flow_table_full)                                                                     \
    X(dropped_takeover) /* before all was known of the controller's that went before */            \
    X(dropped_no_unit)  /* nothing was leased, for as long as packets wait */                      \
    X(dropped_waiting_full)                                                                        \
    X(dropped_turned_again) /* turned round, and came before */                                    \
    X(dropped_unexpected)   /* in a frame that carries no packet to a controller */                \
    X(messages_unknown)                                                                            \
    X(messages_malformed)                                                                          \
    X(messages_no_mbuf)

struct rill_controller_counters {
#define X(name) uint64_t name;
    RILL_CONTROLLER_COUNTERS(X)
#undef X
    uint64_t dropped_malformed[RILL_PARSE_RESULTS]; /* by reason */
};

/* NULL with a line in *err. */
struct rill_controller *rill_controller_create(const struct rill_controller_config *config,
                                               struct rill_error *err);
void rill_controller_destroy(struct rill_controller *c); /* NULL is fine */

/* Packets from an ingress port. Ownership passes in all cases. */
void rill_controller_ingress(struct rill_controller *c, struct rte_mbuf **packets, uint32_t n,
                             uint64_t now_ns, struct rill_outbox *out);
/* Frames from other roles. */
void rill_controller_recv(struct rill_controller *c, struct rte_mbuf **frames, uint32_t n,
                          uint64_t now_ns, struct rill_outbox *out);
void rill_controller_tick(struct rill_controller *c, uint64_t now_ns, struct rill_outbox *out);
uint64_t rill_controller_next_ns(struct rill_controller *c);

/* True until all is known that the controller before had. */
bool rill_controller_taking_over(const struct rill_controller *c);

/* Units that packets may be sent to now. 0: ingress drops. */
uint32_t rill_controller_units(const struct rill_controller *c);
/* The i-th of them and its utilization; 0 past the end. */
uint32_t rill_controller_unit(struct rill_controller *c, uint32_t i, uint64_t now_ns,
                              double *utilization);
/* How much of a unit is leased, in thousandths; 0 if nothing. */
/* The i-th that it has leased, and how much of it; 0: there is none. */
uint32_t rill_controller_leased(const struct rill_controller *controller, uint32_t i,
                                uint32_t *unit);
uint32_t rill_controller_unit_share(const struct rill_controller *c, uint32_t unit);

const struct rill_controller_counters *rill_controller_counters(const struct rill_controller *c);

/* Fragments that wait for their first. */
uint64_t rill_controller_packets_held(const struct rill_controller *c);
/* It has an entry: it is alive, or an NF has ended it and its time is not over. */
bool rill_controller_knows(const struct rill_controller *controller, uint64_t flow);
/* Each of its flows, and the unit that it was given to last. */
void rill_controller_each_flow(const struct rill_controller *controller,
                               void (*each)(void *arg, uint64_t flow, uint32_t owner), void *arg);
struct rill_table_use rill_controller_tables(const struct rill_controller *c);

/* For simulators. */
/* Packets of its key are its packets: no NF has ended it. */
bool rill_controller_flow_alive(const struct rill_controller *c, uint64_t flow);
/* Flows whose newest term is not established. */
uint32_t rill_controller_unestablished(const struct rill_controller *c);
/* The live flow that an alias leads to, 0: none. */
uint64_t rill_controller_alias_flow(struct rill_controller *c, const struct rill_endpoint *local,
                                    const struct rill_endpoint *remote);

/* Endpoints of its part of a pool that no unit and no flow has, and that have rested long enough.
 */
uint32_t rill_controller_pool_free(struct rill_controller *c, unsigned pool, uint64_t now_ns);

#endif
