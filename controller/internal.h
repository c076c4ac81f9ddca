/* What the files of the controller share.
 *
 *   arrivals.c    a burst of packets: parsed, and their flows looked up together
 *   controller.c  packets in: cut, assign, send; timers
 *   flows.c       the flow table: keys, aliases, numbers
 *   flow_age.c    when a flow ends: idle, closed, or in the way
 *   smm.c         stamps, and the messages that keep handoffs safe
 *   capacity.c    what is leased from the resource manager
 *   waiting.c     packets that came while nothing was
 *   endpoints.c   the NF's pools: grants, aliases that use them
 *   preserve.c    endpoints kept for flows that begin, with their own ports
 *   turned.c      packets that output loggers send back, as the NF turned them round
 *   recovery.c    units that died: their flows go on elsewhere
 *   takeover.c    another controller's place is taken: who is asked what
 *   inherit.c     and what its flows, endpoints and aliases were
 *   wgm, wam, port_pool: decisions, each by itself
 */
#ifndef RILL_CONTROLLER_INTERNAL_H
#define RILL_CONTROLLER_INTERNAL_H

#include "controller/controller.h"
#include "controller/key_map.h"
#include "controller/port_pool.h"
#include "controller/wam.h"
#include "controller/wgm.h"
#include "lib/base/flow_map.h"
#include "lib/base/mutant.h"
#include "lib/base/rng.h"
#include "lib/base/slab.h"
#include "lib/base/timer_wheel.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"
#include "lib/packet/fragment_hold.h"
#include "lib/packet/fragments.h"

enum { FLOW_BOTH_SIDES = 1 << RILL_INSIDE | 1 << RILL_OUTSIDE }; /* of 1 << side */

struct flow {
    /* what every packet reads, and writes: two lines */
    struct rill_flow_key key; /* unless it is retired: in by_key */
    uint64_t number;
    uint64_t term;  /* beside the number: both are stamped, and seldom written */
    uint64_t clock; /* of the last packet */
    uint32_t owner;
    uint8_t chain_len; /* chain[0] is the present term; 1 entry: established */
    uint8_t target_count;
    bool has_alias : 1;
    bool alias_unsure : 1; /* inherited, and no controller is known to have confirmed it */
    bool has_endpoint : 1; /* the alias is of a pool */
    bool has_kept : 1;     /* an endpoint is kept for it, which it may take */
    bool tuple_known : 1;  /* its state says what it is known by */
    bool retired : 1;      /* another life of its key may begin; see flows_retire() */
    bool resting : 1;      /* it has ended, and its endpoint not yet rested; see flow_age.c */
    bool reopen : 1;       /* inherited: its next packet begins a new term */
    bool many_remotes : 1; /* not one connection: FIN and RST end nothing */
    bool used_before : 1;  /* its last packet was none that counts as use: see flow_used_ns() */
    /* TCP, 1 << side of who sent it: a segment other than SYN and RST; FIN; RST, and nothing else
     * since. */
    uint8_t talked : 2, finished : 2, reset : 2;
    uint64_t listed_ns; /* its place in the list of flows: see flows_touch() */
    struct rill_wgm_flow wgm;
    uint32_t remote; /* hash of the only one; 0: none yet */
    struct rill_wam_pending pending;
    /* where copies are kept, or the term is not established */
    uint32_t targets[RILL_TARGETS_MAX];
    struct rill_chain_entry chain[RILL_CHAIN_MAX];
    /* cold */
    uint64_t used_ns;           /* see flow_used_ns() */
    struct flow *older, *newer; /* by listed_ns */
    struct rill_timer idle_timer;
    struct rill_flow_key alias_key; /* if it has one */
    struct rill_map_node node;      /* by number */
    uint32_t endpoint_pool, endpoint_index;
    uint32_t kept_pool, kept_index;
};
_Static_assert(offsetof(struct flow, clock) == 64 && offsetof(struct flow, targets) == 128,
               "arrivals.c fetches two lines, or three");

/* docs/figures.md says what a flow costs. */
_Static_assert(sizeof(struct flow) <= 448, "a million flows take 448 MB, and no more");

/* All flows, in the order in which they were used, but for the last frame's life: a flow in use
 * changes its place a few times a second, not with every packet. */
struct flow_list {
    struct flow *oldest, *newest;
};

struct leased_unit {
    uint32_t unit, output_logger;
    uint32_t share;
    bool held; /* in reserve: leased, and nothing is sent there yet */
};

struct capacity {
    struct leased_unit *units; /* as the last grant said; who is given back first comes first */
    uint32_t count;
    uint32_t leased; /* thousandths, in all */
    uint32_t in_use; /* of these, those that are not held in reserve */
    uint32_t want;   /* in use */
    bool outstanding;
    uint32_t tries; /* of the question that is out */
    bool grow;      /* a flowlet fitted nowhere, or all are nearly full */
    uint64_t number, asked_ns, resend_ns, expires_ns, epoch_ns;
    uint64_t used_ns;   /* when all of it was last used */
    uint64_t review_ns; /* when it is next seen whether a unit is too much */
};

struct waiting_packet {
    struct rte_mbuf *m;
    uint64_t since_ns;
};

struct waiting {
    struct waiting_packet *ring;
    uint32_t mask, head, count;
};

/* A unit asks for endpoints that is not known to be ours, or that it lives: it is answered when it
 * is leased. */
struct pool_question {
    uint32_t unit, pool, count;
    uint64_t number;
};

enum { POOL_QUESTIONS_MAX = 64 }; /* the oldest gives way: it is asked again */

enum { DEATHS_MAX = 256 }; /* as many as the resource manager keeps at a time */

struct death {
    uint32_t unit, output_logger;
    uint64_t newest_flow; /* no flow that lived then has a higher number */
    uint64_t forget_ns;
    uint64_t hold_ns;    /* not over before: see recovery_early_end() */
    bool fenced;         /* the output logger takes nothing more of the unit's */
    bool met;            /* in this pass a flow's chain named it */
    bool over;           /* no flow's does */
    bool told;           /* and the resource manager has heard so */
    bool endpoints_back; /* every flow that lived then has ended */
};

struct recovery {
    struct death deaths[DEATHS_MAX];
    uint32_t count;
    bool passing;
    uint32_t bucket; /* of by_number: where the pass is */
    uint64_t oldest; /* lowest flow number that it met */
    uint64_t pass_ns, remind_ns;
    uint64_t held_until_ns;     /* by output loggers, of flows that ended before their time */
    uint32_t passes, reminders; /* since something was new */
};

struct found; /* inherit.c: a flow that was told of */

struct asked { /* a role that must answer */
    uint32_t role;
    bool needed; /* it is on the newest list */
    bool done;
    uint64_t part;
    uint64_t round; /* so that an answer to an earlier asking is not taken for one to this */
};

struct takeover {
    bool active;
    bool listed;    /* who is there has been heard */
    bool confirmed; /* all have answered, and the list is asked for once more */
    struct asked *asked;
    uint32_t count, room;
    uint64_t request;  /* of the list of members */
    uint64_t heard_ns; /* when anybody last heard of a controller before us; inherit.c's ago_ns() */
    uint64_t round;
    uint64_t resend_ns;
    uint32_t tries; /* since the last answer */
    struct rill_flow_map found;
    struct rill_slab slab;
    struct found **order; /* in which they are inherited */
};

enum { TURNED_LOGGERS_MAX = 128 }; /* a deployment has half as many at a time */

/* Of the packets that an output logger sent back: which have come. */
struct turned_from {
    uint32_t logger;
    uint64_t top, window; /* bit i: number top - i has come */
    uint64_t heard_ns;
};

struct turned {
    struct turned_from from[TURNED_LOGGERS_MAX];
    uint32_t count;
};

struct rill_controller {
    struct rill_controller_config config;
    struct rill_wgm wgm;
    struct rill_wam *wam;
    struct rill_fragments *fragments;
    struct rill_fragment_hold early; /* fragments that came before their first */
    struct rill_rng rng;
    struct key_map by_key, by_alias;
    struct rill_flow_map by_number;
    struct rill_slab slab;
    struct rill_timer_wheel *idle;
    struct flow_list flows;
    uint32_t resting; /* flows that have ended, and are not among these any more */
    struct rill_port_pool *pools[RILL_CONTROLLER_POOLS_MAX];
    uint32_t part_low[RILL_CONTROLLER_POOLS_MAX]; /* of each pool: the first that is ours */
    bool endpoints_kept;      /* those that nobody told of, until all deaths are over */
    uint64_t untold_until_ns; /* see endpoints.c */
    struct pool_question questions[POOL_QUESTIONS_MAX];
    uint32_t questions_next;
    uint64_t *lease[RILL_CONTROLLER_POOLS_MAX]; /* by index: number of the last one */
    struct capacity capacity;
    struct waiting waiting;
    struct recovery recovery;
    struct takeover takeover;
    struct turned turned;
    uint64_t clock, term; /* the highest of any flow: a new flow begins above ("birth") */
    uint64_t newest_ns;   /* of any packet: times do not go backwards */
    bool serves;          /* packets at hand: there is a unit, and its flows are known */
    bool copies;          /* and others, which may get copies */
    struct rill_controller_counters n;
    uint64_t now_ns;
    struct rill_outbox *out;
};

/* controller.c */
struct rte_mbuf *ctl_message(struct rill_controller *c, enum rill_frame_type type, uint32_t dst,
                             uint64_t flow);

/* The pause after something was said for the *tries-th time, counted here. */
static inline uint64_t ctl_resend_ns(struct rill_controller *c, uint32_t *tries)
{
    ++*tries;
    return rill_resend_pause_ns(&c->config.resend, c->config.retry_ns, *tries,
                                &c->n.resends_slowed);
}

/* arrivals.c */
enum { ARRIVALS_MAX = 32 };

/* A packet on its way in. */
struct arrival {
    struct rill_view view;
    enum rill_parse_result parsed;
    bool plain;    /* simply a whole packet of a flow, which the NF handles */
    bool has_key;  /* it was read whole and is no later fragment */
    bool by_alias; /* the key is one */
    uint64_t hash; /* of the key */
    struct rill_flow_key key;
};

/* Reads n packets, at most ARRIVALS_MAX, and fetches the places where their flows are. Nothing else
 * changes. */
void arrivals_read(struct rill_controller *c, struct rte_mbuf **packets, uint32_t n,
                   struct arrival *arrivals);
/* The packet's flow; NULL: there is none now. */
struct flow *arrival_flow(struct rill_controller *c, const struct arrival *a, enum rill_side side);
/* The bit of enum rill_handles that this packet asks for. */
uint32_t arrival_handles(const struct rill_view *view);

/* flows.c */
int flows_init(struct rill_controller *c, struct rill_error *err);
void flows_fini(struct rill_controller *c);
struct flow *flows_by_key(const struct rill_controller *c, const struct rill_flow_key *key);
struct flow *flows_by_alias(const struct rill_controller *c, const struct rill_flow_key *key);
struct flow *flows_by_number(const struct rill_controller *c, uint64_t number);
/* If the table is full, the one that was idle for longest gives way; NULL if none may. One with an
 * endpoint leaves its place only when that has rested, so it gives way somewhat sooner. */
struct flow *flows_begin(struct rill_controller *c, const struct rill_flow_key *key);
/* One that another controller began. NULL if the table is full. */
struct flow *flows_inherit(struct rill_controller *c, const struct rill_flow_key *key,
                           uint64_t number);
void flows_end(struct rill_controller *c, struct flow *flow);
/* The next packet of its key begins another life. This one's number stays until it would have ended
 * by itself: units that forgot its newest state sooner than others an older one would let a
 * controller that takes over go on from that. */
void flows_retire(struct rill_controller *c, struct flow *flow);
static inline struct flow *flow_of_key(const struct rill_flow_key *key)
{
    return key != NULL ? RTE_PTR_SUB(key, offsetof(struct flow, key)) : NULL;
}

static inline struct flow *flow_of_alias(const struct rill_flow_key *key)
{
    return key != NULL ? RTE_PTR_SUB(key, offsetof(struct flow, alias_key)) : NULL;
}

static inline struct flow *flow_of_node(const struct rill_map_node *node)
{
    return node != NULL ? RTE_PTR_SUB(node, offsetof(struct flow, node)) : NULL;
}

/* When its last packet came; one that does not count as use (flows_touch()) leaves it as it is. */
static inline uint64_t flow_used_ns(const struct flow *flow)
{
    return flow->used_before ? flow->used_ns : flow->wgm.last_ns;
}

/* Before a packet is counted that may be no use. */
static inline void flow_keep_used_ns(struct flow *flow)
{
    flow->used_ns = flow_used_ns(flow);
    flow->used_before = true;
}

/* Fetches what the next steps will look at of the packet's flow, once its place is near. */
static inline void arrival_fetch(const struct rill_controller *c, const struct arrival *a)
{
    const struct rill_flow_key *key;
    const uint8_t *flow;

    if (!a->has_key)
        return;
    key = key_map_likely(a->by_alias ? &c->by_alias : &c->by_key, a->hash);
    if (key == NULL)
        return;
    if (a->by_alias)
        rte_prefetch0(key);
    flow = (const uint8_t *)(a->by_alias ? flow_of_alias(key) : flow_of_key(key));
    rte_prefetch0(flow);
    rte_prefetch0(flow + RTE_CACHE_LINE_SIZE);
    if (c->copies)
        rte_prefetch0(flow + 2 * RTE_CACHE_LINE_SIZE);
}

/* The flow that has the key that is looked for first; NULL: none has. */
static inline struct flow *arrival_known_flow(const struct rill_controller *c,
                                              const struct arrival *a)
{
    if (unlikely(a->by_alias))
        return flow_of_alias(key_map_find(&c->by_alias, &a->key, a->hash));
    return flow_of_key(key_map_find(&c->by_key, &a->key, a->hash));
}

/* flow_age.c */
int flow_age_init(struct rill_controller *c);
void flow_age_fini(struct rill_controller *c);
void flow_age_begin(struct rill_controller *c, struct flow *flow);
/* Of flows of that protocol none lives longer without a packet. */
uint64_t flow_age_idle_ns(const struct rill_controller *c, uint8_t proto);
void flow_age_end(struct rill_controller *c, struct flow *flow);
/* Ends one flow that may end before its time. */
void flows_evict(struct rill_controller *c);
/* It has ended some time ago, and its endpoint has rested since. */
bool flow_age_has_rested(const struct rill_controller *c, const struct flow *flow);
/* Ends flows whose time has come; not all at once, if there are many. */
void flows_tick(struct rill_controller *c);
/* A packet of the flow: it is in use. An ICMP error about it only says that frames are under way:
 * it must not lengthen the flow's life (RFC 5508, REQ-6). */
enum flow_use { FLOW_USED, FLOW_SPOKEN_OF };
void flows_list_anew(struct rill_controller *c, struct flow *flow);

static inline void flows_touch(struct rill_controller *c, struct flow *flow, enum flow_use use)
{
    if (likely(use == FLOW_USED)) {
        if (unlikely(flow->used_before))
            flow->used_before = false;
        if (likely(c->now_ns - flow->listed_ns <= c->config.frame_life_ns))
            return;
    }
    flows_list_anew(c, flow);
}

/* A TCP packet of the flow, other than a later fragment: does its connection end? */
void flows_saw_tcp(struct rill_controller *c, struct flow *flow, const struct rill_view *view,
                   enum rill_side side);
/* Where its next flowlet should go; 0: nothing is leased. */
uint32_t flows_choose_unit(struct rill_controller *c, struct flow *flow);

/* smm.c */
/* smm_stamp() is in stamp.h */
void smm_stamp_first(struct rill_controller *c, struct flow *flow, struct rill_frame *f);
void smm_born(struct rill_controller *c, struct flow *flow, uint32_t unit);
void smm_move(struct rill_controller *c, struct flow *flow, uint32_t unit);
void smm_choose_targets(struct rill_controller *c, struct flow *flow);
bool smm_movable(const struct rill_controller *c, const struct flow *flow);
void smm_copy_chain_below(const struct rill_controller *c, struct rill_frame *f,
                          const struct flow *flow, uint8_t from);
void smm_on_established(struct rill_controller *c, const struct rill_frame *f);
void smm_on_where(struct rill_controller *c, const struct rill_frame *f);
void smm_on_need(struct rill_controller *c, const struct rill_frame *f);

/* capacity.c */
int capacity_init(struct rill_controller *c);
void capacity_fini(struct rill_controller *c);
void capacity_on_grant(struct rill_controller *c, struct rte_mbuf *m);
void capacity_check(struct rill_controller *c);
/* What was to be placed had room nowhere, and goes there all the same. */
void capacity_lacks(struct rill_controller *c, uint32_t unit);
void capacity_expire(struct rill_controller *c);
void capacity_tick(struct rill_controller *c);
uint64_t capacity_next_ns(const struct rill_controller *c);
uint32_t capacity_output_logger(const struct rill_controller *c);
uint32_t capacity_share(const struct rill_controller *c, uint32_t unit);
void capacity_unit_died(struct rill_controller *c, uint32_t unit);

/* waiting.c */
int waiting_init(struct rill_controller *c);
void waiting_fini(struct rill_controller *c);
void waiting_put(struct rill_controller *c, struct rte_mbuf *m);
struct rte_mbuf *waiting_take(struct rill_controller *c); /* the oldest; NULL: none */
void waiting_tick(struct rill_controller *c);
uint64_t waiting_next_ns(const struct rill_controller *c);

/* turned.c */
/* Makes of the frame a packet that comes in. False: it has come before, and is gone. */
bool turned_take(struct rill_controller *c, struct rte_mbuf *m);

/* endpoints.c */
int endpoints_init(struct rill_controller *c, struct rill_error *err);
void endpoints_fini(struct rill_controller *c);
void endpoints_on_request(struct rill_controller *c, const struct rill_frame *f);
void endpoints_unit_leased(struct rill_controller *c, uint32_t unit);
void endpoints_on_alias(struct rill_controller *c, struct rte_mbuf *m);
/* Makes an index of the pool one of our part; false if it is not in that. */
bool endpoints_own(const struct rill_controller *c, uint32_t pool, uint32_t *index);
/* The pool of an endpoint, and its index in our part; false if it is in none. */
bool endpoints_find(const struct rill_controller *c, const struct rill_endpoint *e, uint32_t *pool,
                    uint32_t *index);
/* A flow begins with a packet of the inside: an endpoint with its port is kept for it, if the pool
 * preserves ports and one is free. */
void endpoints_keep(struct rill_controller *c, struct flow *flow,
                    const struct rill_endpoint *inside);
/* Tells the unit of it. */
void endpoints_stamp(const struct rill_controller *c, const struct flow *flow,
                     struct rill_frame *f);
/* What is told when a controller takes over: a unit has leased it and not given it out ... */
void endpoints_told_lease(struct rill_controller *c, uint32_t unit, uint32_t pool, uint32_t index,
                          uint64_t lease);
/* ... or it is in the state of a flow, which may have ended. */
void endpoints_told_use(struct rill_controller *c, const struct rill_alias *alias);
/* Of all that was told: somebody has a later lease of the alias's endpoint. */
bool endpoints_leased_since(const struct rill_controller *c, const struct rill_alias *alias);
void endpoints_inherit(struct rill_controller *c, struct flow *flow, const struct rill_alias *alias,
                       bool confirmed);
/* All that inherited flows and units have is known: the rest is free, when nothing of a dead unit's
 * is on its way any more. */
void endpoints_free_the_rest(struct rill_controller *c);
void endpoints_deaths_over(struct rill_controller *c);
void endpoints_flow_ended(struct rill_controller *c, struct flow *flow);

/* recovery.c */
uint32_t recovery_logger_of(const struct rill_controller *c, uint32_t unit);
void recovery_on_death(struct rill_controller *c, const struct rill_frame *f);
void recovery_on_fence_ack(struct rill_controller *c, const struct rill_frame *f);
void recovery_on_recovered_ack(struct rill_controller *c, const struct rill_frame *f);
void recovery_on_logger_state(struct rill_controller *c, const struct rill_frame *f);
void recovery_tick(struct rill_controller *c);
void recovery_unit_came(struct rill_controller *c);
uint64_t recovery_next_ns(const struct rill_controller *c);
/* Flows of a dead unit have to go on somewhere. */
bool recovery_needs_unit(const struct rill_controller *c);
/* The unit is dead, and that logger has its state; 0: lost. True if that is news. */
bool recovery_note(struct rill_controller *c, uint32_t unit, uint32_t output_logger);
/* A flow ends that has this chain, and was idle for less than vouched_ns. */
void recovery_early_end(struct rill_controller *c, const struct rill_chain_entry *chain,
                        uint8_t len);
/* The flows are known now. */
void recovery_begin(struct rill_controller *c);

/* takeover.c */
int takeover_init(struct rill_controller *c, struct rill_error *err);
void takeover_fini(struct rill_controller *c);
/* It was there when we took over. */
bool takeover_asked(const struct rill_controller *c, uint32_t role);
/* The unit lives, or has died and is not recovered from. */
bool takeover_knows(const struct rill_controller *c, uint32_t unit);
void takeover_on_death(struct rill_controller *c, uint32_t output_logger);
void takeover_on_members(struct rill_controller *c, struct rte_mbuf *m);
void takeover_on_part(struct rill_controller *c, struct rte_mbuf *m);
void takeover_tick(struct rill_controller *c);
uint64_t takeover_next_ns(const struct rill_controller *c);

/* inherit.c */
int inherit_init(struct rill_controller *c, struct rill_error *err);
void inherit_fini(struct rill_controller *c);
/* A role heard the controller before us so many milliseconds ago; UINT32_MAX: never. */
void inherit_heard(struct rill_controller *c, uint32_t ms);
/* Items that a role told. False: they are none. */
bool inherit_take(struct rill_controller *c, uint32_t role, const struct rte_mbuf *m);
void inherit_all(struct rill_controller *c);

#endif
