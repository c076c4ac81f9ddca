/* What the files of the output logger share.
 *
 *   output_logger.c  frames in, timers
 *   apply.c          changes and full states onto what is kept; gaps and their repair
 *   release.c        who may leave: once, and not before the flow's alias is known
 *   turn.c           and who comes in again then
 *   recovery.c       units that are dead: fenced, and their state given to who goes on
 *   inventory.c      what a controller that takes over wants to know
 */
#ifndef RILL_OUTPUT_LOGGER_INTERNAL_H
#define RILL_OUTPUT_LOGGER_INTERNAL_H

#include "lib/base/flow_map.h"
#include "lib/base/mutant.h"
#include "lib/base/slab.h"
#include "lib/base/timer_wheel.h"
#include "lib/frame/frame.h"
#include "lib/frame/state.h"
#include "output-logger/output_logger.h"

enum alias_state {
    ALIAS_NONE = 0,  /* the flow has none */
    ALIAS_OPEN,      /* asked; packets wait */
    ALIAS_CONFIRMED, /* replies find the flow: packets may leave */
    ALIAS_REFUSED,   /* another flow has it, or this one has ended */
};

struct entry {
    struct rill_map_node node; /* flow and unit */
    /* what every change reads and writes */
    uint64_t step, clock, window; /* of the last step applied */
    uint64_t term;                /* the highest term in which the unit holds the state */
    uint64_t tag_term;            /* the term of the last step */
    uint64_t released_top;        /* the highest step released ... */
    uint64_t released_window;     /* ... bit i: released_top - i was released */
    uint64_t last_ns;             /* anything about it */
    uint64_t active_ns;           /* the unit's last packet of it, as far as was heard */
    uint64_t want_step;           /* the unit says that it is there (SYNC); 0: nothing missing */
    struct rte_mbuf *held;        /* changes whose step before is missing, by step, through link */
    uint8_t *state;
    uint32_t state_used; /* lib/frame/state.h */
    bool has_state;
    bool established;    /* the controller knows that we hold `term` */
    uint8_t alias_state; /* of `alias`, as the newest controller said */
    /* cold */
    uint32_t tries;          /* since something was first asked */
    struct rill_alias alias; /* as in the state */
    uint64_t vouched_ns;     /* the controller said that the flow lives; 0: never */
    struct rte_mbuf *waiting, **waiting_tail; /* packets that wait for the alias */
    struct rill_timer retry_timer;
    struct rill_timer keep_timer;
};
_Static_assert(offsetof(struct entry, tries) <= 128, "fetch_entry() fetches two lines");

enum { FENCED_MAX = 64 }; /* units that one logger served, and that died */

struct rill_ol {
    struct rill_ol_config config;
    struct rill_controllers controllers; /* the newest that were heard of */
    uint64_t heard_ns[RILL_SLOTS_MAX]; /* when one spoke to us last, but for INVENTORY; 0: never */
    struct rill_flow_map entries;
    struct rill_slab slab;
    struct rill_timer_wheel *retries;
    struct rill_timer_wheel *slow;
    uint64_t held;                   /* packets kept back */
    uint64_t turned[RILL_SLOTS_MAX]; /* packets sent back to the controller of that slot */
    uint32_t state_at;               /* in an entry */
    uint32_t short_way_id; /* config.id; 0: no change goes the short way (apply_at_once()) */
    uint32_t fenced[FENCED_MAX];
    uint32_t fenced_count;
    struct rill_ol_counters n;
    uint64_t now_ns;
    struct rill_outbox *out;
};

/* output_logger.c */
struct rte_mbuf *ol_message(struct rill_ol *ol, enum rill_frame_type type, uint32_t dst,
                            uint64_t flow);
void ol_drop(struct rte_mbuf *m, uint64_t *packet_counter);
uint32_t ol_controller(const struct rill_ol *ol, uint64_t flow);
void ol_ask_soon(struct rill_ol *ol, struct entry *e);
void ol_want_retry(struct rill_ol *ol, struct entry *e);

static inline struct entry *ol_find(const struct rill_ol *ol, uint32_t unit, uint64_t flow)
{
    return (struct entry *)rill_flow_map_find(&ol->entries, flow, unit);
}

/* apply.c */
void apply_on_change(struct rill_ol *ol, struct rte_mbuf *m);
bool apply_at_once(struct rill_ol *ol, struct rte_mbuf *m);
void apply_on_full(struct rill_ol *ol, struct rte_mbuf *m);
void apply_on_no_full(struct rill_ol *ol, const struct rill_frame *f);
void apply_on_sync(struct rill_ol *ol, const struct rill_frame *f);
void apply_request_full(struct rill_ol *ol, struct entry *e);
void apply_say_kept(struct rill_ol *ol, const struct entry *e);
void apply_send_established(struct rill_ol *ol, struct entry *e);
uint64_t apply_drop_held(struct rill_ol *ol, struct entry *e, uint64_t *packet_counter);

/* recovery.c */
/* True, and the frame is gone: it is a dead unit's word about its state. */
bool recovery_refuses(struct rill_ol *ol, struct rte_mbuf *m);
void recovery_on_fence(struct rill_ol *ol, const struct rill_frame *f);
void recovery_on_pull(struct rill_ol *ol, const struct rill_frame *f);
/* False: there is no room to remember it. */
bool recovery_fence(struct rill_ol *ol, uint32_t unit);

/* inventory.c */
void inventory_of_logger(struct rill_ol *ol, struct rte_mbuf *m);

/* turn.c */
void turn_packet(struct rill_ol *ol, struct rte_mbuf *m);

/* release.c */
static inline void release_leave(struct rill_ol *ol, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);

    f->dst = rill_role_id(RILL_ROLE_PORT, f->side);
    f->link = NULL;
    ol->n.packets_released++;
    ol->n.bytes_released += f->wire_bytes;
    if (f->flags & RILL_FLAG_TURN)
        turn_packet(ol, m);
    else
        rill_outbox_put(ol->out, m);
}

void release_step(struct rill_ol *ol, struct entry *e, struct rte_mbuf *m);
void release_pass(struct rill_ol *ol, struct rte_mbuf *m);
void release_on_alias_ack(struct rill_ol *ol, struct rte_mbuf *m);
void release_ask_alias(struct rill_ol *ol, struct entry *e);
bool release_alias_known(struct rill_ol *ol, struct entry *e, const struct rill_frame *f);
void release_drop_waiting(struct rill_ol *ol, struct entry *e, uint64_t *packet_counter);

#endif
