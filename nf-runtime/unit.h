/* A compute unit's core: hosts one NF, keeps the state of the flows that it owns or has copies of,
 * and moves that state when the controller moves a flow. Sans-IO: frames and the time go in, frames
 * come out. Knows nothing of how flows are assigned, of other deployments, or of what a fabric is.
 *
 * What it promises (docs/protocol.md; SNF, sections 5 and 6, and what was missing there):
 *  - a packet is processed on the state left by the flow's step before, wherever that was, or held;
 *  - no packet is processed twice; a flow has at most one owner in a term;
 *  - every step's change goes to the output logger with the packet, before the packet can leave;
 *  - the capacity that is leased of it is all that is used: packets queue for their service time;
 *  - of several controllers each has the share that it leased: its flows' packets have a queue of
 *    their own, as long as any other's, and are served at that share's speed, whatever others send.
 *
 * Not thread-safe: one thread per unit.
 */
#ifndef RILL_NF_RUNTIME_UNIT_H
#define RILL_NF_RUNTIME_UNIT_H

#include "lib/base/epoch.h"
#include "lib/base/error.h"
#include "lib/base/resend.h"
#include "lib/base/table_use.h"
#include "lib/frame/outbox.h"
#include "nf-runtime/nf_host.h"

struct rill_unit;

struct rill_unit_config {
    uint32_t id;            /* role id: this incarnation's, never used again */
    uint32_t output_logger; /* role id */
    uint32_t controller;    /* role id: whom to ask for endpoints and chains, until another one
                               takes its place */
    uint16_t epoch;         /* of that one, lib/base/epoch.h; 0: as its first frame says */
    /* Instead of these two, where there are several: all that are there. NULL: that one. */
    const struct rill_controllers *controllers;
    uint32_t store; /* role id of the store outside that keeps flows' state; 0: units hand
                       it to each other */
    uint32_t vni;
    struct rill_nf *nf;       /* the caller's, outlives the unit */
    struct rte_mempool *pool; /* for messages; the caller's */
    uint64_t capacity_bps;    /* of the whole unit */
    uint64_t flowlet_timeout_ns;
    uint64_t pull_timeout_ns; /* wait for FINAL before asking with PULL */
    uint64_t retry_ns;        /* resend of other questions */
    struct rill_resend resend;
    uint64_t keep_ns; /* ask to forget a flow after so long without it; more than a frame's life */
    uint64_t hold_ns; /* one that has ended stays for so long after the last word on it */
    uint32_t queue_packets; /* of each controller */
    uint32_t stash_packets_per_flow, stash_packets_per_unit;
    uint32_t flows_max;
    uint32_t replica_kb; /* for flows of which we hold a replica and nothing else */
    uint32_t pool_block; /* endpoints asked for at a time */
    bool proactive;      /* replicate in gaps; else FINAL only */
};

/* Every counter of a unit, by the name that the outside sees. Packets that end here are those whose
 * name begins with "dropped_". */
#define RILL_UNIT_COUNTERS(X)                                                                      \
    X(packets_in)        /* with a packet: DATA and FORWARDED taken in */                          \
    X(bytes_in)          /* the same, on the wire */                                               \
    X(packets_processed) /* steps */                                                               \
    X(bytes_processed)                                                                             \
    X(service_ns) /* that packets took in service, at the leased speed */                          \
    X(dropped_nf) /* the NF said so */                                                             \
    X(dropped_unit_queue_full)                                                                     \
    X(dropped_late_or_duplicate)                                                                   \
    X(dropped_stash_full) /* the flow's or the unit's bound */                                     \
    X(dropped_unit_flows_full)                                                                     \
    X(dropped_superseded) /* held for a term that went on without us */                            \
    X(dropped_forgotten)  /* held for a flow that has ended */                                     \
    X(dropped_old_epoch)                                                                           \
    X(dropped_wrong_incarnation)                                                                   \
    X(dropped_unit_unexpected) /* in a frame that is not for units */                              \
    X(dropped_unit_parse)                                                                          \
    X(packets_forwarded) /* late ones, on to the owner */                                          \
    X(moved_in_seamless) /* first packet of a term after a move, not held */                       \
    X(moved_in_seamless_by_gap)                                                                    \
    X(moved_in_held)                                                                               \
    X(flows_born)                                                                                  \
    X(handoffs_out)                                                                                \
    X(finals_sent)                                                                                 \
    X(finals_without_state)                                                                        \
    X(pulls_sent)                                                                                  \
    X(pulls_answered)                                                                              \
    X(where_sent)                                                                                  \
    X(loggers_replaced)                                                                            \
    X(logger_pulls_sent)                                                                           \
    X(recovered_from_logger)  /* flows: a dead owner's state, from its output logger */            \
    X(states_lost)            /* flows that ended: a unit and its output logger died */            \
    X(recovered_from_replica) /* flows: its logger said that our replica is it */                  \
    X(state_pushes)           /* entries times targets */                                          \
    X(replica_frames)                                                                              \
    X(replicas_taken)                                                                              \
    X(replicas_refused) /* no room, and no other replica that could give way */                    \
    X(replicas_evicted) /* the oldest, for a newer one or for a flow of our own */                 \
    X(resends_slowed)   /* questions that had resend_attempts without an answer */                 \
    X(store_puts)       /* to the store outside */                                                 \
    X(store_acks)                                                                                  \
    X(store_gets)                                                                                  \
    X(store_values) /* flows that went on with what was read there */                              \
    X(store_empty)  /* answers: nothing there */                                                   \
    X(store_stale)  /* answers: not the version that the flow goes on from */                      \
    X(syncs_sent)                                                                                  \
    X(fulls_sent)                                                                                  \
    X(no_fulls_sent)                                                                               \
    X(pool_requests)                                                                               \
    X(pool_grants)                                                                                 \
    X(inventory_parts) /* told to a controller that takes over */                                  \
    X(flows_ended)     /* here, as their owner: flow_end */                                        \
    X(flows_forgotten)                                                                             \
    X(messages_old_epoch) /* of a controller that was replaced */                                  \
    X(messages_unknown)   /* type or sender that makes no sense here */                            \
    X(messages_no_mbuf)   /* not sent: no buffer; the protocol repeats it */                       \
    X(messages_no_room)   /* the queue has no place; the protocol repeats it */                    \
    X(messages_malformed)

struct rill_unit_counters {
#define X(name) uint64_t name;
    RILL_UNIT_COUNTERS(X)
#undef X
};

/* NULL with a line in *err. */
struct rill_unit *rill_unit_create(const struct rill_unit_config *config, struct rill_error *err);
/* The memory of its tables is there before the first packet: all that leads to flows, and that of
 * the first flows. For one that is made ahead of need; else it comes as it is used. */
void rill_unit_prefault(struct rill_unit *unit);
/* Between two bursts: that of the next flows, if these are nearly used up. `idle`: nothing waits.
 */
void rill_unit_prefault_ahead(struct rill_unit *unit, bool idle);
/* Frees all it holds, packets included. NULL is fine. */
void rill_unit_destroy(struct rill_unit *unit);

/* Takes n frames (ownership passes in all cases). `out` gets what is to be sent. */
void rill_unit_recv(struct rill_unit *unit, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                    struct rill_outbox *out);
/* Serves packets whose service time has passed, fires timers due by now_ns. */
void rill_unit_tick(struct rill_unit *unit, uint64_t now_ns, struct rill_outbox *out);
/* When tick wants to be called next; UINT64_MAX: not before something is received. */
uint64_t rill_unit_next_ns(struct rill_unit *unit);

const struct rill_unit_counters *rill_unit_counters(const struct rill_unit *unit);
/* Packets queued for service or held for state. */
uint64_t rill_unit_packets_held(const struct rill_unit *unit);
uint32_t rill_unit_flows(const struct rill_unit *unit);
/* Of these, those that are replicas and nothing else. */
uint32_t rill_unit_replicas(const struct rill_unit *unit);
struct rill_table_use rill_unit_tables(const struct rill_unit *unit);
/* How much of it the resource manager has told it to give, in thousandths. */
uint32_t rill_unit_share(const struct rill_unit *unit);
/* Of that, what the controller of a slot (lib/base/epoch.h) has; and bytes of its flows that were
 * served, on the wire. */
uint32_t rill_unit_share_of(const struct rill_unit *unit, uint32_t slot);
uint64_t rill_unit_served_bytes(const struct rill_unit *unit, uint32_t slot);

/* At the end of a run: a flow that this unit owns has ended, and is forgotten; its NF's flow_end
 * runs. False if it does not own it. */
bool rill_unit_end_flow(struct rill_unit *unit, uint64_t flow, uint64_t now_ns);

/* The same for all that it owns: it gets no more packets. */
void rill_unit_end_owned(struct rill_unit *unit, uint64_t now_ns);

/* Each flow that it owns, and in which term. */
void rill_unit_each_owned(const struct rill_unit *unit,
                          void (*each)(void *arg, uint64_t flow, uint64_t term), void *arg);

/* For simulators: what the unit knows of a flow. False if nothing. */
struct rill_unit_flow_info {
    bool owner;
    uint64_t term;
    uint64_t step;
    const uint8_t *state;
};
bool rill_unit_flow_info(const struct rill_unit *unit, uint64_t flow,
                         struct rill_unit_flow_info *info);
/* For simulators: called after every step, before the change is sent. */
struct rill_unit_step {
    uint32_t unit;
    uint64_t flow, term, step, clock, ingress_id;
    const uint8_t *before, *after; /* the flow's state */
    bool forwarded;                /* the NF's verdict */
};
void rill_unit_set_step_hook(struct rill_unit *unit,
                             void (*hook)(void *arg, const struct rill_unit_step *step), void *arg);
/* For tests: packets that most are like do not go a way of their own. What comes of it is the same.
 */
void rill_unit_go_long_way(struct rill_unit *unit);

#endif
