#include "output-logger/output_logger.h"

#include <errno.h>

enum {
    BURST = 32, /* whose entries are looked for together */
    AHEAD = 8,  /* and fetched so many frames before they are needed */
};

#include "output-logger/internal.h"

/* NULL (counted) if there is no buffer: as if the network had lost it; what matters is repeated. */
struct rte_mbuf *ol_message(struct rill_ol *ol, enum rill_frame_type type, uint32_t dst,
                            uint64_t flow)
{
    struct rte_mbuf *m = rill_frame_new(ol->config.pool, type, ol->config.id, dst);

    if (m == NULL) {
        ol->n.messages_no_mbuf++;
        return NULL;
    }
    rill_frame(m)->epoch = rill_controllers_epoch(&ol->controllers, flow);
    rill_frame(m)->vni = ol->config.vni;
    rill_frame(m)->flow = flow;
    return m;
}

/* Of that flow. */
uint32_t ol_controller(const struct rill_ol *ol, uint64_t flow)
{
    return rill_controllers_id(&ol->controllers, flow);
}

/* Frees a frame; if it carried a packet, counts why. */
void ol_drop(struct rte_mbuf *m, uint64_t *packet_counter)
{
    *packet_counter += rill_frame_has_packet(m);
    rte_pktmbuf_free(m);
}

static void ask_again_later(struct rill_ol *ol, struct entry *e)
{
    uint64_t pause_ns;

    e->tries++;
    pause_ns = rill_resend_pause_ns(&ol->config.resend, ol->config.retry_ns, e->tries,
                                    &ol->n.resends_slowed);
    rill_timer_arm(ol->retries, &e->retry_timer, ol->now_ns + pause_ns);
}

/* A question was asked, perhaps one that was asked before. */
void ol_want_retry(struct rill_ol *ol, struct entry *e)
{
    if (rill_timer_armed(&e->retry_timer))
        return;
    e->tries = 0;
    ask_again_later(ol, e);
}

/* A new one: it does not wait for the slow pauses of those that are open already. */
void ol_ask_soon(struct rill_ol *ol, struct entry *e)
{
    if (rill_timer_armed(&e->retry_timer) &&
        e->retry_timer.due_ns <= ol->now_ns + ol->config.retry_ns)
        return;
    rill_timer_stop(ol->retries, &e->retry_timer);
    ol_want_retry(ol, e);
}

/* Something was asked and may have been lost: ask again whatever is still open. */
static void retry_due(struct rill_ol *ol, struct entry *e)
{
    if (e->held != NULL || e->want_step != 0 || !e->established || e->alias_state == ALIAS_OPEN)
        ask_again_later(ol, e);
    if (e->held != NULL || e->want_step != 0)
        apply_request_full(ol, e);
    if (!e->established && !RILL_MUTANT(est_once))
        apply_send_established(ol, e);
    if (e->alias_state == ALIAS_OPEN)
        release_ask_alias(ol, e);
}

static void keep_due(struct rill_ol *ol, struct entry *e)
{
    uint64_t idle_at_ns = e->last_ns + ol->config.keep_ns;
    struct rte_mbuf *m;

    if (idle_at_ns > ol->now_ns) {
        /* Not at once: timers of one tick are sorted in one by one. */
        idle_at_ns = RTE_MAX(idle_at_ns, ol->now_ns + ol->config.keep_ns / 4);
        rill_timer_arm(ol->slow, &e->keep_timer, idle_at_ns);
        return;
    }
    rill_timer_arm(ol->slow, &e->keep_timer, ol->now_ns + ol->config.keep_ns);
    if (e->alias_state == ALIAS_OPEN)
        return; /* the controller has not heard of it: its endpoint would be lost */
    m = ol_message(ol, RILL_FRAME_NEED, ol_controller(ol, e->node.flow), e->node.flow);
    if (m == NULL)
        return;
    rill_frame(m)->term = e->term;
    rill_frame(m)->next_unit = e->node.unit;
    rill_outbox_put(ol->out, m);
}

/* The flow has ended; see the unit's: should that die, this is the newest copy. */
static bool is_held(const struct rill_ol *ol, const struct entry *e)
{
    uint64_t last_ns = RTE_MAX(e->last_ns, e->vouched_ns);

    return last_ns + ol->config.hold_ns > ol->now_ns && !RILL_MUTANT(hold_logger);
}

static void on_forget(struct rill_ol *ol, const struct rill_frame *f)
{
    struct entry *e = ol_find(ol, f->next_unit, f->flow);

    if (e != NULL && (f->flags & RILL_FLAG_REFUSED) && f->term == e->term)
        e->vouched_ns = ol->now_ns;
    if (e == NULL || (f->flags & RILL_FLAG_REFUSED) || e->term >= f->term ||
        e->alias_state == ALIAS_OPEN || (f->term == UINT64_MAX && is_held(ol, e)) ||
        e->last_ns + ol->config.keep_ns > ol->now_ns)
        return;
    apply_drop_held(ol, e, &ol->n.dropped_forgotten);
    release_drop_waiting(ol, e, &ol->n.dropped_forgotten);
    rill_timer_stop(ol->retries, &e->retry_timer);
    rill_timer_stop(ol->slow, &e->keep_timer);
    rill_flow_map_remove(&ol->entries, &e->node);
    memset(e->state, 0, e->state_used); /* the slab is sparse */
    rill_slab_put(&ol->slab, e);
    ol->n.flows_forgotten++;
}

static void on_established_ack(struct rill_ol *ol, const struct rill_frame *f)
{
    struct entry *e = ol_find(ol, f->next_unit, f->flow);

    if (e != NULL && e->term <= f->term)
        e->established = true;
}

static void handle_message(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    switch (f->type) {
    case RILL_FRAME_FULL:
        apply_on_full(ol, m);
        break;
    case RILL_FRAME_NO_FULL:
        apply_on_no_full(ol, f);
        break;
    case RILL_FRAME_SYNC:
        apply_on_sync(ol, f);
        break;
    case RILL_FRAME_ALIAS_ACK:
        release_on_alias_ack(ol, m);
        break;
    case RILL_FRAME_ESTABLISHED_ACK:
        on_established_ack(ol, f);
        break;
    case RILL_FRAME_FENCE:
        recovery_on_fence(ol, f);
        break;
    case RILL_FRAME_LOGGER_PULL:
        recovery_on_pull(ol, f);
        break;
    case RILL_FRAME_INVENTORY:
        inventory_of_logger(ol, m);
        break;
    case RILL_FRAME_FORGET:
        on_forget(ol, f);
        break;
    default:
        ol->n.messages_unknown++;
        ol->n.dropped_logger_unexpected += rill_frame_has_packet(m);
        break;
    }
    rte_pktmbuf_free(m);
}

/* Every role adopts the highest epoch that it sees of a slot ("adopt"): a newer controller may not
 * know what the older one confirmed, and the older one not what the newer one does. False: it is a
 * controller's whose time is over. */
static bool adopt_epoch(struct rill_ol *ol, const struct rill_frame *f)
{
    bool controller = rill_role_kind(f->src) == RILL_ROLE_CONTROLLER;
    bool newest = rill_controllers_adopt(&ol->controllers, f->epoch, controller ? f->src : 0);

    if (newest && controller && f->type != RILL_FRAME_INVENTORY)
        ol->heard_ns[rill_epoch_slot(f->epoch)] = ol->now_ns;
    return newest || !controller || RILL_MUTANT(old_epoch);
}

static void drop_old_epoch(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    if (!rill_frame_has_packet(m)) {
        ol->n.messages_old_epoch++;
        rte_pktmbuf_free(m);
    } else if (f->type == RILL_FRAME_CHANGE || f->type == RILL_FRAME_PASS) {
        ol->n.packets_in++;
        ol_drop(m, &ol->n.dropped_logger_old_epoch);
    } else {
        ol_drop(m, &ol->n.dropped_logger_unexpected);
    }
}

static void receive(struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    if (f->dst != ol->config.id && !RILL_MUTANT(inc)) {
        ol_drop(m, &ol->n.dropped_wrong_incarnation);
        return;
    }
    if (ol->fenced_count > 0 && recovery_refuses(ol, m))
        return;
    if (!adopt_epoch(ol, f)) {
        drop_old_epoch(ol, m);
        return;
    }
    if (f->type == RILL_FRAME_CHANGE)
        apply_on_change(ol, m);
    else if (f->type == RILL_FRAME_PASS)
        release_pass(ol, m);
    else
        handle_message(ol, m);
}

/* Where the change's entry is found. */
static inline void fetch_place(const struct rill_ol *ol, struct rte_mbuf *frame)
{
    const struct rill_frame *f = rill_frame(frame);

    rill_flow_map_prefetch(&ol->entries, f->flow, f->src);
}

/* The entry, and the part of the state that is the NF's. */
static inline void fetch_entry(const struct rill_ol *ol, struct rte_mbuf *frame)
{
    const struct rill_frame *f = rill_frame(frame);
    const uint8_t *at = (const uint8_t *)rill_flow_map_first(&ol->entries, f->flow, f->src);

    if (at == NULL)
        return;
    rte_prefetch0(at);
    rte_prefetch0(at + RTE_CACHE_LINE_SIZE);
    rill_state_fetch(at + ol->state_at, ol->config.state_bytes);
}

/* Each frame's entry is fetched while those before it are at work. */
static void receive_burst(struct rill_ol *ol, struct rte_mbuf **frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fetch_place(ol, frames[i]);
    for (uint32_t i = 0; i < RTE_MIN(n, (uint32_t)AHEAD); i++)
        fetch_entry(ol, frames[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            fetch_entry(ol, frames[i + AHEAD]);
        if (!apply_at_once(ol, frames[i]))
            receive(ol, frames[i]);
    }
}

void rill_ol_recv(struct rill_ol *ol, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                  struct rill_outbox *out)
{
    ol->now_ns = now_ns;
    ol->out = out;
    while (n > 0) {
        uint32_t burst = RTE_MIN(n, (uint32_t)BURST);

        receive_burst(ol, frames, burst);
        frames += burst;
        n -= burst;
    }
}

void rill_ol_tick(struct rill_ol *ol, uint64_t now_ns, struct rill_outbox *out)
{
    struct rill_timer *t;

    ol->now_ns = now_ns;
    ol->out = out;
    while ((t = rill_timer_pop(ol->retries, now_ns)) != NULL)
        retry_due(ol, RTE_PTR_SUB(t, offsetof(struct entry, retry_timer)));
    while ((t = rill_timer_pop(ol->slow, now_ns)) != NULL)
        keep_due(ol, RTE_PTR_SUB(t, offsetof(struct entry, keep_timer)));
}

uint64_t rill_ol_next_ns(struct rill_ol *ol)
{
    return RTE_MIN(rill_timer_wheel_next_ns(ol->retries), rill_timer_wheel_next_ns(ol->slow));
}

struct rill_ol *rill_ol_create(const struct rill_ol_config *config, struct rill_error *err)
{
    struct rill_ol *ol = calloc(1, sizeof(*ol));
    size_t head = rill_state_at(sizeof(struct entry), config->state_bytes);

    if (ol == NULL)
        goto fail;
    ol->config = *config;
    ol->state_at = (uint32_t)head;
    ol->short_way_id = config->id;
    if (config->controllers != NULL)
        ol->controllers = *config->controllers;
    else
        rill_controllers_adopt(&ol->controllers, config->epoch, config->controller);
    ol->config.controllers = NULL; /* it was the caller's */
    ol->retries = rill_timer_wheel_create(1024, 250 * 1000);
    ol->slow = rill_timer_wheel_create(1024, 64 * 1000 * 1000);
    if (ol->retries == NULL || ol->slow == NULL ||
        rill_flow_map_init(&ol->entries, config->flows_max) != 0 ||
        rill_slab_init_sparse(&ol->slab, head + config->state_bytes, head, config->flows_max) != 0)
        goto fail;
    return ol;
fail:
    rill_error_set(err, -ENOMEM, "no memory for an output logger with %u flows: lower flows_max",
                   config->flows_max);
    rill_ol_destroy(ol);
    return NULL;
}

void rill_ol_destroy(struct rill_ol *ol)
{
    uint64_t nowhere = 0;

    if (ol == NULL)
        return;
    for (uint32_t i = 0; ol->entries.buckets != NULL && i <= ol->entries.mask; i++) {
        for (struct rill_map_node *node = ol->entries.buckets[i]; node; node = node->next) {
            apply_drop_held(ol, (struct entry *)node, &nowhere);
            release_drop_waiting(ol, (struct entry *)node, &nowhere);
        }
    }
    rill_flow_map_fini(&ol->entries);
    rill_slab_fini(&ol->slab);
    rill_timer_wheel_destroy(ol->retries);
    rill_timer_wheel_destroy(ol->slow);
    free(ol);
}

const struct rill_ol_counters *rill_ol_counters(const struct rill_ol *ol)
{
    return &ol->n;
}

uint64_t rill_ol_packets_held(const struct rill_ol *ol)
{
    return ol->held;
}

struct rill_table_use rill_ol_tables(const struct rill_ol *ol)
{
    return (struct rill_table_use){.entries = ol->slab.used,
                                   .bytes = rill_slab_taken_bytes(&ol->slab)};
}

void rill_ol_go_long_way(struct rill_ol *ol)
{
    ol->short_way_id = 0;
}

bool rill_ol_flow_info(const struct rill_ol *ol, uint32_t unit, uint64_t flow,
                       struct rill_ol_flow_info *info)
{
    const struct entry *e = ol_find(ol, unit, flow);

    if (e == NULL || !e->has_state)
        return false;
    *info = (struct rill_ol_flow_info){.term = e->term, .step = e->step, .state = e->state};
    return true;
}
