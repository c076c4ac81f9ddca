/* What the files of the unit's core share. See unit.h for what the core is.
 *
 *   unit.c       frames in, timers, and who handles what
 *   service.c    the queues, one for each controller: capacity
 *   flow_store.c entries for flows, their memory, when they are forgotten
 *   spare.c      of these, those that may go when memory is short: mere replicas
 *   handoff.c    who owns a flow, and how it changes: MOVE, PULL, FINAL, chains
 *   short_way.c  what most packets are: straight to their step
 *   step.h       a step: the NF's work and the change for the output logger
 *   commit.c     the long way to it, and the state as a whole
 *   replicate.c  pushes of state in the gaps, and what comes of them
 *   external.c   in place of both: a store outside that state is written to and read from
 *   logger.c     another output logger takes the place of one that died
 *   inventory.c  what a controller that takes over wants to know
 */
#ifndef RILL_NF_RUNTIME_UNIT_INTERNAL_H
#define RILL_NF_RUNTIME_UNIT_INTERNAL_H

#include "lib/base/flow_map.h"
#include "lib/base/mutant.h"
#include "lib/base/slab.h"
#include "lib/base/timer_wheel.h"
#include "lib/frame/frame.h"
#include "lib/frame/state.h"
#include "nf-runtime/unit.h"

enum {
    PEERS_BATCHED_MAX = 16, /* replica frames that are being filled at a time */
    REPLICA_FRAME_BYTES = 1900,
};

/* A version of a flow's state: what it reflects. Tags order by (term, step). */
struct tag {
    uint64_t term, step, clock, window;
};

static inline bool tag_newer(const struct tag *a, const struct tag *b)
{
    return a->term != b->term ? a->term > b->term : a->step > b->step;
}

static inline bool tag_equal(const struct tag *a, const struct tag *b)
{
    return a->term == b->term && a->step == b->step;
}

static inline void tag_to_frame(const struct tag *tag, struct rill_frame *f)
{
    f->term = tag->term;
    f->step = tag->step;
    f->clock = tag->clock;
    f->window = tag->window;
}

/* A term that this unit was given and has not begun: its packets, whom to ask, where it goes next.
 */
struct segment {
    struct segment *next;                        /* of the same flow, by term */
    struct segment *prev_waiting, *next_waiting; /* of all */
    struct flow *flow;
    struct rill_timer timer; /* wheel `questions` */
    uint64_t term;
    uint64_t first_clock; /* lowest that the controller itself stamped for this term; 0: none yet */
    struct rte_mbuf *stash, *stash_tail; /* by clock, through rill_frame.link */
    uint32_t stashed;
    uint32_t tries;
    uint32_t last_read;   /* number of the last question to the store outside */
    uint32_t stale_reads; /* answers in a row that were no use */
    bool is_named;        /* by FINAL: ... */
    struct tag named;     /* ... the version that the term begins with */
    uint64_t next_term;   /* 0: goes nowhere yet */
    uint32_t next_unit;
    uint8_t chain_len, chain_at; /* chain_at: whom we ask now */
    bool unsure; /* the flow may have ended: the controller is asked before anybody else */
    struct rill_chain_entry chain[RILL_CHAIN_MAX]; /* below this term, newest first */
};

struct flow {
    struct rill_map_node node;
    /* what every packet reads and writes */
    uint64_t granted;         /* the highest term in which we owned it; 0: never */
    struct tag tag;           /* of `state` */
    uint64_t last_arrival_ns; /* of a packet, at the unit: it may have waited for its step since */
    uint64_t last_ns;         /* anything about this flow */
    uint64_t active_ns;       /* its last packet anywhere, as far as is known; 0: nothing is */
    struct segment *segments; /* lowest term first */
    uint8_t *state;           /* state_bytes; then as much for the replica */
    uint32_t state_used;      /* lib/frame/state.h */
    uint32_t queued;          /* packets that wait for their service, as far as is known */
    uint32_t logged_at;       /* the output logger that has the term: one before it may be dead */
    uint16_t sync_tries;      /* of this tag */
    bool owning;
    bool has_state; /* `state` is ours: present owner's or pinned former owner's */
    bool next_full; /* the next change is the first of its term */
    bool has_replica;
    uint8_t target_count;
    uint8_t pushed_count;
    uint8_t chain_len;
    bool is_spare;
    /* what those do that somebody gets a copy of */
    uint32_t targets[RILL_TARGETS_MAX];
    uint32_t replica_used;
    struct rill_timer push_timer; /* wheel `gaps` */
    /* cold */
    struct rill_timer keep_timer; /* wheel `slow` */
    struct flow *older, *newer;   /* in `spare` */
    struct tag replica;
    struct tag pushed;   /* the state last pushed, and to whom */
    struct tag stored;   /* what the store outside has said that it keeps, of this term of ours */
    struct tag synced;   /* what the output logger is known to hold: that of logged_at */
    uint64_t vouched_ns; /* the controller last said that the flow lives, here; 0: never */
    uint32_t pushed_to[RILL_TARGETS_MAX];
    uint32_t passed_unit; /* who got it from us, 0: nobody */
    uint64_t passed_term;
    struct rill_chain_entry chain[RILL_CHAIN_MAX]; /* below `granted` */
};
_Static_assert(offsetof(struct flow, targets) <= 128 && offsetof(struct flow, keep_timer) <= 192,
               "store_fetch() fetches two lines, or three");

struct service_entry {
    struct rte_mbuf *m;
    struct flow *flow; /* as it was when flows_removed was `removed`; NULL: was not known */
    uint64_t arrival_ns;
    uint32_t cost_bytes;
    uint32_t removed;
};

/* Packets of one controller's flows, which wait for that controller's share of the unit. */
struct service_queue {
    struct service_entry *ring; /* NULL: nothing has come yet */
    uint32_t mask, head, count;
    uint32_t packets;         /* of `count`; messages ride along for order and cost nothing */
    uint32_t share;           /* thousandths; 0: it has leased nothing */
    uint64_t number;          /* of the newest word about that */
    uint64_t ns_per_byte_q24; /* service time, fixed point */
    uint64_t busy_until_ns;
    uint64_t head_done_ns; /* when the head has been served; UINT64_MAX: never */
    uint64_t served_bytes;
};

struct service {
    struct service_queue queue[RILL_SLOTS_MAX]; /* by the controller's slot */
    uint8_t used[RILL_SLOTS_MAX];               /* those that have a ring or a share */
    uint32_t used_count;
    uint32_t packets, share;     /* of all */
    struct service_queue *first; /* whose head is done first ... */
    uint64_t head_done_ns;       /* ... and when; UINT64_MAX: none's ever */
};

struct pool_lease {
    uint64_t number; /* of the last request; a grant with another is stale */
    bool outstanding;
    uint16_t tries;
    uint8_t dry_shift;       /* how often in a row the answer was "none", up to a bound */
    struct rill_timer timer; /* wheel `questions` */
};

struct replica_batch {
    uint32_t unit;
    struct rte_mbuf *m;
};

/* Flows that may go: of which we hold a replica at most. By when that came. */
struct spare {
    struct flow *oldest, *newest;
    uint32_t count, max;
};

struct refill {
    bool active, missing;
    uint32_t bucket; /* of flows: where the pass is */
    uint32_t rm;     /* who said so */
    uint64_t number; /* of the newest assignment; 0: the first logger */
    uint64_t next_ns;
    uint16_t passes;
};

struct rill_unit {
    struct rill_unit_config config;
    struct rill_controllers controllers; /* the newest that were heard of */
    uint16_t spoken[RILL_SLOTS_MAX];     /* epochs of those that spoke to us themselves */
    uint64_t heard_ns[RILL_SLOTS_MAX];   /* when one did last; 0: never */
    uint32_t state_bytes;
    uint32_t state_at;     /* in a flow's entry */
    uint32_t short_way_id; /* config.id; 0: no packet goes the short way (short_way.c) */
    struct service service;
    struct rill_flow_map flows;
    uint32_t flows_removed; /* so that an old pointer to one is known as such */
    struct rill_slab flow_slab, segment_slab;
    struct spare spare;
    struct rill_timer_wheel *gaps;      /* T / 2 */
    struct rill_timer_wheel *questions; /* milliseconds */
    struct rill_timer_wheel *slow;      /* seconds */
    uint32_t stashed;
    struct segment *waiting; /* all segments, a list */
    struct replica_batch batch[PEERS_BATCHED_MAX];
    uint32_t batches;
    struct refill refill;
    struct pool_lease pools[RILL_SLOTS_MAX][RILL_NF_POOLS_MAX]; /* by the controller's slot */
    unsigned pool_count;
    uint8_t pool_slots[RILL_SLOTS_MAX]; /* whose controllers are asked for endpoints */
    uint32_t pool_slot_count;
    uint32_t reads;          /* questions to the store outside */
    struct rill_outbox self; /* frames to ourselves */
    struct rill_unit_counters n;
    void (*step_hook)(void *arg, const struct rill_unit_step *step);
    void *step_hook_arg;
    uint8_t *before; /* state before a step, for the hook */
    /* of the call at hand */
    uint64_t now_ns;
    struct rill_outbox *out;
};

/* unit.c */
void unit_receive(struct rill_unit *u, struct rte_mbuf *m);
struct rte_mbuf *unit_message(struct rill_unit *u, enum rill_frame_type type, uint32_t dst,
                              uint64_t flow);
void unit_send(struct rill_unit *u, struct rte_mbuf *m);
uint32_t unit_controller(const struct rill_unit *u, uint64_t flow);
void unit_drop(struct rte_mbuf *m, uint64_t *counter);

/* service.c */
int service_init(struct rill_unit *u);
void service_fini(struct rill_unit *u);
void service_put(struct rill_unit *u, struct rte_mbuf *m);
/* A packet that need not be put; then *flow is its flow's entry, if that is known. */
bool service_at_once(struct rill_unit *u, struct rte_mbuf *m, struct flow **flow);

enum {
    SERVICE_AT_ONCE_NS = 500
}; /* less than the smallest packet takes at 1 Gbps; no loop turns
      as fast */

static inline uint32_t service_slot_of(const struct rill_frame *f)
{
    if (RILL_MUTANT(one_queue))
        return 0;
    return f->type == RILL_FRAME_INVENTORY ? rill_epoch_slot(f->epoch) : rill_number_slot(f->flow);
}

static inline uint64_t service_ns_of(const struct service_queue *q, uint64_t bytes)
{
    return (bytes * q->ns_per_byte_q24) >> 24;
}

/* Nothing waits before the packet, and its service would be done before anybody looked again: it
 * counts as served, and the caller goes on with it. Works ahead by SERVICE_AT_ONCE_NS at most. */
static inline bool service_take_at_once(struct rill_unit *u, const struct rill_frame *f)
{
    struct service_queue *q = &u->service.queue[service_slot_of(f)];
    uint64_t ns = service_ns_of(q, f->wire_bytes);
    uint64_t done_ns = RTE_MAX(q->busy_until_ns, u->now_ns) + ns;

    if (q->count > 0 || q->ns_per_byte_q24 == 0 || done_ns > u->now_ns + SERVICE_AT_ONCE_NS ||
        (RILL_MUTANT(share0) && q->share == 0))
        return false;
    q->busy_until_ns = done_ns;
    u->service.queue[rill_number_slot(f->flow)].served_bytes += f->wire_bytes;
    u->n.service_ns += ns;
    return true;
}
/* The next frame whose service is done by now, NULL if there is none; with the entry of its flow,
 * if it is a packet whose flow is known. */
struct rte_mbuf *service_pop(struct rill_unit *u, struct flow **flow);
void service_set_share(struct rill_unit *u, struct rte_mbuf *m);

/* flow_store.c */
int store_init(struct rill_unit *u);
void store_fini(struct rill_unit *u);
struct flow *store_get(struct rill_unit *u, uint64_t number); /* made if need be; NULL: no room */
void store_remove(struct rill_unit *u, struct flow *flow);
void store_keep_due(struct rill_unit *u, struct flow *flow);
void store_on_forget(struct rill_unit *u, const struct rill_frame *f);
struct segment *store_segment(struct rill_unit *u, struct flow *flow, uint64_t term,
                              const struct rill_chain_entry *chain, uint8_t chain_len);
void store_drop_segment(struct rill_unit *u, struct segment *g, uint64_t *packet_counter);
void stash_put(struct rill_unit *u, struct segment *g, struct rte_mbuf *m);

/* spare.c */
void spare_init(struct rill_unit *u);
void spare_leave(struct rill_unit *u, struct flow *flow);
void spare_update(struct rill_unit *u, struct flow *flow); /* after what the flow is has changed */
void spare_touch(struct rill_unit *u, struct flow *flow);  /* its replica is the newest now */
bool spare_evict(struct rill_unit *u);                     /* false: there is none */
bool spare_room(struct rill_unit *u); /* for one more replica, made if need be */
void spare_trim(struct rill_unit *u);

static inline struct flow *store_find(const struct rill_unit *u, uint64_t number)
{
    return (struct flow *)rill_flow_map_find(&u->flows, number, 0);
}

/* Fetches what a frame that comes soon will look at: first where its flow's entry is found, then,
 * when that is near, the entry. */
static inline void store_fetch_place(const struct rill_unit *u, struct rte_mbuf *frame)
{
    rill_flow_map_prefetch(&u->flows, rill_frame(frame)->flow, 0);
}

/* Of the state, the part that is the NF's. */
static inline void store_fetch(const struct rill_unit *u, struct rte_mbuf *frame)
{
    const struct rill_frame *f = rill_frame(frame);
    const uint8_t *at = (const uint8_t *)rill_flow_map_first(&u->flows, f->flow, 0);

    if (at == NULL)
        return;
    rte_prefetch0(at);
    rte_prefetch0(at + RTE_CACHE_LINE_SIZE);
    if (f->target_count > 0)
        rte_prefetch0(at + 2 * RTE_CACHE_LINE_SIZE);
    rill_state_fetch(at + u->state_at, u->state_bytes);
}

static inline uint8_t *flow_replica_state(const struct rill_unit *u, const struct flow *flow)
{
    return flow->state + u->state_bytes;
}

/* The output logger has had the full state of the term that we were given last. */
static inline bool flow_term_is_logged(const struct rill_unit *u, const struct flow *flow)
{
    return flow->logged_at == u->config.output_logger;
}

/* The output logger holds what we have, and the controller knows the alias in it. */
static inline bool flow_is_synced(const struct rill_unit *u, const struct flow *flow)
{
    return flow_term_is_logged(u, flow) && tag_equal(&flow->synced, &flow->tag);
}

/* Entries of a chain: a birth; one whose unit is dead, so that its output logger is asked instead;
 * and one whose output logger died as well, so that what only they had is lost. */
static inline bool entry_is_birth(const struct rill_chain_entry *e)
{
    return e->term == RILL_BIRTH_TERM;
}

static inline bool entry_is_dead(const struct rill_chain_entry *e)
{
    return e->output_logger != 0;
}

static inline bool entry_is_lost(const struct rill_chain_entry *e)
{
    return e->output_logger == RILL_LOGGER_LOST;
}

/* That of a term that has not begun; or NULL. */
static inline struct segment *flow_segment(const struct flow *flow, uint64_t term)
{
    struct segment *g = flow->segments;

    while (g != NULL && g->term != term)
        g = g->next;
    return g;
}

/* handoff.c */
void handoff_on_data(struct rill_unit *u, struct rte_mbuf *m, struct flow *known); /* or NULL */
void handoff_on_move(struct rill_unit *u, const struct rill_frame *f);
void handoff_on_final(struct rill_unit *u, struct rte_mbuf *m);
void handoff_on_take(struct rill_unit *u, const struct rill_frame *f);
/* Can the lowest term that waits begin? Only that one: terms are begun in order. */
void handoff_start(struct rill_unit *u, struct flow *flow);
/* We become owner of `term`: with flow->state, which is as of `tag`; with our replica; or of a flow
 * that is born here, with nothing. What was held is processed at once. `chain` is what lies below,
 * if no packet of the term has said. */
void handoff_take(struct rill_unit *u, struct flow *flow, uint64_t term, const struct tag *tag,
                  const struct rill_chain_entry *chain, uint8_t chain_len);
void handoff_take_replica(struct rill_unit *u, struct flow *flow, uint64_t term,
                          const struct rill_chain_entry *chain, uint8_t chain_len);
void handoff_begin(struct rill_unit *u, struct flow *flow, uint64_t term);

/* handoff_ask.c */
void handoff_on_chain(struct rill_unit *u, const struct rill_frame *f);
void handoff_on_logger_state(struct rill_unit *u, struct rte_mbuf *m);
void handoff_on_dead(struct rill_unit *u, uint32_t unit, uint32_t output_logger);
void handoff_segment_due(struct rill_unit *u, struct segment *g);
void handoff_say_ended(struct rill_unit *u, const struct flow *flow);
void handoff_ask(struct rill_unit *u, struct segment *g); /* may free it: then the term begins */
void handoff_ask_for_state(struct rill_unit *u, struct flow *flow, const struct rill_frame *f);

/* The pause after a question was asked for the *tries-th time, counted here. */
static inline uint64_t unit_resend_ns(struct rill_unit *u, uint64_t first_ns, uint16_t *tries)
{
    if (*tries < UINT16_MAX)
        ++*tries;
    return rill_resend_pause_ns(&u->config.resend, first_ns, *tries, &u->n.resends_slowed);
}

/* commit.c */
void commit_process(struct rill_unit *u, struct flow *flow, struct rte_mbuf *m);

/* short_way.c */
void unit_receive_burst(struct rill_unit *u, struct rte_mbuf **frames, uint32_t n);
uint64_t flow_idle_ns(const struct rill_unit *u, const struct flow *flow);
uint32_t flow_idle_us(const struct rill_unit *u, const struct flow *flow);
void flow_heard_idle(const struct rill_unit *u, struct flow *flow, uint32_t idle_us);
void commit_flow_end(struct rill_unit *u, struct flow *flow);
void commit_send_full(struct rill_unit *u, struct flow *flow, uint32_t dst);
void commit_on_request_full(struct rill_unit *u, const struct rill_frame *f);

/* replicate.c */
void replicate_after_step(struct rill_unit *u, struct flow *flow);
void replicate_after_packets(struct rill_unit *u, struct flow *flow);
void replicate_due(struct rill_unit *u, struct flow *flow);
void replicate_sync(struct rill_unit *u, const struct flow *flow);
/* Until that is asked again. */
uint64_t replicate_sync_pause_ns(struct rill_unit *u, struct flow *flow);
void replicate_flush(struct rill_unit *u);
void replicate_on_sync_ack(struct rill_unit *u, const struct rill_frame *f);
void replicate_on_replica(struct rill_unit *u, struct rte_mbuf *m);
bool replicate_held_by(const struct flow *flow, uint32_t unit);

/* There is somebody who gets the state in the gap, as far as the flow's last packet said. */
static inline bool replicate_is_due(const struct rill_unit *u, const struct flow *flow)
{
    return u->config.store != 0 || (u->config.proactive && flow->target_count > 0);
}

/* Where there is nothing to do in the gap, there is nothing to do here. */
static inline void replicate_after_packet(struct rill_unit *u, struct flow *flow)
{
    if (!flow_term_is_logged(u, flow) || replicate_is_due(u, flow))
        replicate_after_packets(u, flow);
}

/* external.c */
void external_put(struct rill_unit *u, struct flow *flow);
bool external_has(const struct flow *flow); /* it has acknowledged the very version */
void external_on_ack(struct rill_unit *u, const struct rill_frame *f);
void external_get(struct rill_unit *u, struct segment *g);
void external_await(struct rill_unit *u, struct flow *flow, const struct rill_frame *f);
void external_on_value(struct rill_unit *u, struct rte_mbuf *m);

/* logger.c */
void logger_on_new(struct rill_unit *u, const struct rill_frame *f);
void logger_tick(struct rill_unit *u);
uint64_t logger_next_ns(const struct rill_unit *u);

/* inventory.c */
void inventory_of_unit(struct rill_unit *u, struct rte_mbuf *m);

/* pool_lease.c */
void pool_ask_controller(struct rill_unit *u, uint32_t slot); /* from now on */
void pool_refill(struct rill_unit *u);
void pool_due(struct rill_unit *u, struct pool_lease *lease);
void pool_on_grant(struct rill_unit *u, struct rte_mbuf *m);

#endif
