/* The output logger's core: keeps each unit's state changes, and lets a packet out only when its
 * change is kept. Sans-IO. (SNF, section 6; what holds under loss and reordering:
 * docs/protocol.md.)
 *
 *  - State is kept by (unit incarnation, flow), so that two incarnations are never mixed.
 *  - A change is applied to the step before it, and to nothing else. If that is missing, the packet
 *    is kept back and the unit is asked for the full state; a step that such a repair has covered
 * is released once, without applying it.
 *  - A flow's packets wait until the controller has confirmed the flow's alias, so that a reply can
 *    never overtake the knowledge of where it belongs.
 *
 * A released packet goes into the outbox with dst = RILL_ROLE_PORT and the side as number, as it
 * left the NF; its frame's flow, clock, ingress_ns and ingress_id are still there. One that the NF
 * turned round goes to the controller whose it is now, as a packet from that side.
 *
 * Not thread-safe: one thread per output logger.
 */
#ifndef RILL_OUTPUT_LOGGER_OUTPUT_LOGGER_H
#define RILL_OUTPUT_LOGGER_OUTPUT_LOGGER_H

#include "lib/base/epoch.h"
#include "lib/base/error.h"
#include "lib/base/resend.h"
#include "lib/base/table_use.h"
#include "lib/frame/outbox.h"

struct rill_ol;
struct rill_split;

struct rill_ol_config {
    uint32_t id;         /* role id */
    uint32_t controller; /* role id, until another one takes its place */
    uint16_t epoch;      /* of that one, lib/base/epoch.h; 0: as its first frame says */
    /* Instead of these two, where there are several: all that are there. NULL: that one. */
    const struct rill_controllers *controllers;
    uint32_t vni;
    uint32_t state_bytes;     /* of a flow of this deployment, rill_nf_state_bytes() */
    struct rte_mempool *pool; /* the caller's */
    uint64_t retry_ns;        /* between two askings */
    struct rill_resend resend;
    uint64_t keep_ns; /* ask to forget a flow after so long without it */
    uint64_t hold_ns; /* one that has ended stays for so long after the last word on it */
    uint32_t flows_max;
    uint32_t held_packets; /* bound on what is kept back, in all */
    /* Whose a packet is that is turned round; the caller's, outlives the logger. NULL: there is one
     * controller. */
    const struct rill_split *split;
    /* For simulators: such a packet, as it would be released. NULL: nobody wants to know. */
    void (*turning)(void *arg, struct rill_ol *ol, struct rte_mbuf *m);
    void *turning_arg;
};

#define RILL_OL_COUNTERS(X)                                                                        \
    X(changes_in)                                                                                  \
    X(packets_in) /* changes and passes that carry a packet */                                     \
    X(packets_released)                                                                            \
    X(bytes_released) /* on the wire */                                                            \
    X(packets_turned) /* of these, back to a controller */                                         \
    X(packets_passed) /* of these, past the NF */                                                  \
    X(bytes_passed)                                                                                \
    X(packets_ended_by_nf) /* that it dropped: their change is kept, and there is none to leave */ \
    X(bytes_ended_by_nf)                                                                           \
    X(changes_applied)                                                                             \
    X(changes_covered) /* a repair was faster */                                                   \
    X(changes_held)    /* their step before was missing */                                         \
    X(packets_held_for_alias)                                                                      \
    X(fulls_requested)                                                                             \
    X(fulls_taken)                                                                                 \
    X(resends_slowed) /* questions that had resend_attempts without an answer */                   \
    X(syncs_in)                                                                                    \
    X(aliases_asked)                                                                               \
    X(established_sent)                                                                            \
    X(flows_forgotten)                                                                             \
    X(dropped_already_released)                                                                    \
    X(dropped_alias_conflict)                                                                      \
    X(dropped_held_full) /* the bound */                                                           \
    X(dropped_held_lost) /* the unit no longer knows the flow: its state can't be had */           \
    X(dropped_logger_flows_full)                                                                   \
    X(dropped_forgotten)                                                                           \
    X(dropped_fenced)            /* from, or held for, a unit that is dead */                      \
    X(dropped_logger_unexpected) /* in a frame that is not for output loggers */                   \
    X(dropped_wrong_incarnation)                                                                   \
    X(fences)                   /* units */                                                        \
    X(recoveries_answered)      /* with the state */                                               \
    X(recoveries_by_tag)        /* the asker's replica was it */                                   \
    X(recoveries_nothing)       /* nothing of that term here */                                    \
    X(inventory_parts)          /* told to a controller that takes over */                         \
    X(dropped_logger_old_epoch) /* from a controller that was replaced */                          \
    X(messages_old_epoch)                                                                          \
    X(messages_fenced)                                                                             \
    X(messages_unknown)                                                                            \
    X(messages_no_mbuf)                                                                            \
    X(messages_malformed)

struct rill_ol_counters {
#define X(name) uint64_t name;
    RILL_OL_COUNTERS(X)
#undef X
};

struct rill_ol *rill_ol_create(const struct rill_ol_config *config, struct rill_error *err);
void rill_ol_destroy(struct rill_ol *ol); /* NULL is fine; frees packets that are kept back */

void rill_ol_recv(struct rill_ol *ol, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                  struct rill_outbox *out);
void rill_ol_tick(struct rill_ol *ol, uint64_t now_ns, struct rill_outbox *out);
uint64_t rill_ol_next_ns(struct rill_ol *ol);

const struct rill_ol_counters *rill_ol_counters(const struct rill_ol *ol);
uint64_t rill_ol_packets_held(const struct rill_ol *ol);
struct rill_table_use rill_ol_tables(const struct rill_ol *ol);

/* For simulators: what is kept for a flow of a unit. False if nothing. */
struct rill_ol_flow_info {
    uint64_t term, step;
    const uint8_t *state;
};
bool rill_ol_flow_info(const struct rill_ol *ol, uint32_t unit, uint64_t flow,
                       struct rill_ol_flow_info *info);

/* For tests: changes that most are like do not go a way of their own. What comes of it is the same.
 */
void rill_ol_go_long_way(struct rill_ol *ol);

#endif
