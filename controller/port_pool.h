/* Port pool: which unit may hand out which of an NF's public endpoints, and which flow uses it.
 *
 * An NF that hands out public endpoints (a NAT) has them numbered 0..size-1. Units lease them in
 * blocks from the controller, so that no two units can give the same one to two flows. Each
 * endpoint is in one state; these are all the changes of state:
 *
 *     FREE        grant           LEASED to a unit
 *     LEASED      use             USED by a flow
 *     FREE        take            USED by a flow
 *     LEASED      returned        QUARANTINE
 *     LEASED      unit_died       KEPT
 *     KEPT        use             USED by a flow
 *     KEPT        release_dead    QUARANTINE
 *     KEPT        free_dead       FREE
 *     USED        flow_ended      QUARANTINE
 *     USED        rested          FREE
 *     QUARANTINE  advance         FREE, once quarantine_ns have passed
 *
 * KEPT: the unit that leased it has died before the controller heard of a use. A flow of that unit
 * may have it in its state all the same, so it is kept back until the caller knows that every flow
 * that was alive at that death has ended (design rule "portquar").
 *
 * FREE ones are given first-in, first-out, so that each rests as long as possible. 16 bytes an
 * endpoint, and a record per unit. All operations are O(1) per endpoint touched. No clock: now_ns
 * is given, and never goes backwards. One thread.
 */
#ifndef RILL_CONTROLLER_PORT_POOL_H
#define RILL_CONTROLLER_PORT_POOL_H

#include <stdint.h>

struct rill_port_pool;

enum {
    RILL_PORT_GRANT_MAX = 1024,   /* endpoints in one grant */
    RILL_PORT_POOL_MAX = 1 << 26, /* endpoints in a pool */
};

enum rill_port_state {
    RILL_PORT_FREE = 0,
    RILL_PORT_LEASED,
    RILL_PORT_KEPT,
    RILL_PORT_USED,
    RILL_PORT_QUARANTINE,
    RILL_PORT_STATES
};

enum rill_port_result {
    RILL_PORT_OK = 0,
    RILL_PORT_RANGE,      /* no such index */
    RILL_PORT_OTHER_FLOW, /* another flow uses it */
    RILL_PORT_NOT_LEASED, /* FREE or QUARANTINE, or not leased to that unit */
    RILL_PORT_NOT_USED,   /* flow_ended: that flow does not use it */
};

struct rill_port_counters {
    uint64_t granted;         /* endpoints leased, repeats not counted */
    uint64_t grants_repeated; /* requests answered again */
    uint64_t grants_stale;    /* requests older than the unit's newest, not answered */
    uint64_t grants_short;    /* requests that got fewer than they wanted */
    uint64_t grants_dead; /* requests from a unit that has died, or out of memory: nothing given */
    uint64_t used;        /* LEASED or KEPT to USED */
    uint64_t taken;       /* FREE to USED */
    uint64_t use_other_flow; /* refused */
    uint64_t use_not_leased; /* refused */
    uint64_t ended;          /* USED to QUARANTINE */
    uint64_t ended_stale;    /* flow_ended for an endpoint that the flow did not use */
    uint64_t returned;       /* LEASED to QUARANTINE */
    uint64_t returned_stale; /* given back by a unit that did not lease it */
    uint64_t kept;           /* LEASED to KEPT */
    uint64_t released_dead;  /* KEPT to QUARANTINE */
    uint64_t freed_dead;     /* KEPT to FREE */
    uint64_t rested;         /* USED to FREE */
    uint64_t freed;          /* QUARANTINE to FREE */
};

/* size 1..RILL_PORT_POOL_MAX. NULL if there is no memory or the size is out of range. */
struct rill_port_pool *rill_port_pool_create(uint32_t size, uint64_t quarantine_ns);
void rill_port_pool_destroy(struct rill_port_pool *pool); /* NULL is fine */

const struct rill_port_counters *rill_port_pool_counters(const struct rill_port_pool *pool);
uint32_t rill_port_pool_size(const struct rill_port_pool *pool);

/* How many are in that state; they always sum to the size. */
uint32_t rill_port_pool_count(const struct rill_port_pool *pool, enum rill_port_state state);

/* State of one, which must be below the size. *unit: who leases it (LEASED, KEPT), or from whose
 * lease it came (USED), else 0; *flow: who uses it (USED), else 0. Either may be NULL. */
enum rill_port_state rill_port_pool_state(const struct rill_port_pool *pool, uint32_t index,
                                          uint32_t *unit, uint64_t *flow);

/* Leases up to `want` (at most RILL_PORT_GRANT_MAX) endpoints to the unit; `out` has room for
 * RILL_PORT_GRANT_MAX. Gives how many it wrote.
 *   A unit numbers its requests upwards. The newest number again gives the same endpoints again,
 * less those that the unit no longer leases, whatever `want` says: so a lost answer can be
 * repeated, a doubled request costs nothing. (A number that got none gets none again: ask with a
 * new one.) An older number gives nothing, a dead unit gets nothing. Does not look at the time:
 * call advance() before.
 *   *lease: the number of a lease that begins now; afterwards that of the lease which these are of:
 * what is given again is of the lease that it was of before. */
uint32_t rill_port_pool_grant(struct rill_port_pool *pool, uint32_t unit, uint64_t request_number,
                              uint32_t want, uint64_t *lease, uint32_t *out);

/* Is `request_number` older than the newest that the unit has had an answer to? Then there is
 * nothing to answer. */
int rill_port_pool_is_stale(const struct rill_port_pool *pool, uint32_t unit,
                            uint64_t request_number);

/* Has the unit ever asked, or leased something? */
int rill_port_pool_knows(const struct rill_port_pool *pool, uint32_t unit);

/* The flow declares that it uses the endpoint, which it took at `unit`. OK if it is leased to that
 * unit, or KEPT (of any unit: the dead unit's flows are anywhere by now), or the flow uses it
 * already, through whatever unit. Else why not, and nothing changes. */
enum rill_port_result rill_port_pool_use(struct rill_port_pool *pool, uint32_t index, uint32_t unit,
                                         uint64_t flow);

/* This very endpoint for the flow: OK if it is FREE, NOT_LEASED if not. */
enum rill_port_result rill_port_pool_take(struct rill_port_pool *pool, uint32_t index,
                                          uint64_t flow);

/* The flow has ended: its endpoint goes to quarantine. Refused (NOT_USED) if another flow, or none,
 * uses it: an old word must not free a new flow's endpoint. */
enum rill_port_result rill_port_pool_flow_ended(struct rill_port_pool *pool, uint32_t index,
                                                uint64_t flow, uint64_t now_ns);

/* The same for a flow whose endpoint has rested already: it is free at once. */
enum rill_port_result rill_port_pool_rested(struct rill_port_pool *pool, uint32_t index,
                                            uint64_t flow);

/* A unit gives back unused endpoints. Those that it leases go to quarantine, others are counted and
 * left as they are. Gives how many went. */
uint32_t rill_port_pool_returned(struct rill_port_pool *pool, uint32_t unit,
                                 const uint32_t *indexes, uint32_t n, uint64_t now_ns);

/* The unit has died: what it leases is KEPT. Gives how many these are; if none, nothing more need
 * be done. Idempotent. */
uint32_t rill_port_pool_unit_died(struct rill_port_pool *pool, uint32_t unit);

/* Every flow that was alive when the unit died has ended: what is KEPT of it goes to quarantine,
 * and the unit is forgotten. Gives how many went. */
uint32_t rill_port_pool_release_dead(struct rill_port_pool *pool, uint32_t unit, uint64_t now_ns);

/* The same where none of them can have been used for as long as an endpoint rests: they are free at
 * once. */
uint32_t rill_port_pool_free_dead(struct rill_port_pool *pool, uint32_t unit);

/* A controller takes over: everything is leased to `holder`, until it is known whose it is. Then
 * hand_over() gives what is still the holder's to a unit (NOT_LEASED: it is not any more), and
 * unit_died() and release_dead() what nobody had. 0 or -ENOMEM. */
int rill_port_pool_hold(struct rill_port_pool *pool, uint32_t holder);
enum rill_port_result rill_port_pool_hand_over(struct rill_port_pool *pool, uint32_t index,
                                               uint32_t holder, uint32_t unit);

/* Frees what has been in quarantine long enough. Gives how many. */
uint32_t rill_port_pool_advance(struct rill_port_pool *pool, uint64_t now_ns);

/* When the next one is due; UINT64_MAX if none is in quarantine. */
uint64_t rill_port_pool_next_ns(const struct rill_port_pool *pool);

#endif
