#include "nf-runtime/unit_internal.h"

#include <errno.h>

enum {
    BURST = 32, /* whose entries are looked for together */
    AHEAD = 6,  /* and fetched so many frames before they are needed */
};

/* A message without a body, NULL (counted) if there is no buffer: it is then as if the network had
 * lost it, and the protocol repeats what matters. */
struct rte_mbuf *unit_message(struct rill_unit *u, enum rill_frame_type type, uint32_t dst,
                              uint64_t flow)
{
    struct rte_mbuf *m = rill_frame_new(u->config.pool, type, u->config.id, dst);

    if (m == NULL) {
        u->n.messages_no_mbuf++;
        return NULL;
    }
    rill_frame(m)->epoch = rill_controllers_epoch(&u->controllers, flow);
    rill_frame(m)->vni = u->config.vni;
    rill_frame(m)->flow = flow;
    return m;
}

void unit_send(struct rill_unit *u, struct rte_mbuf *m)
{
    rill_outbox_put(rill_frame(m)->dst == u->config.id ? &u->self : u->out, m);
}

/* Frees a frame and counts why. */
void unit_drop(struct rte_mbuf *m, uint64_t *counter)
{
    (*counter)++;
    rte_pktmbuf_free(m);
}

/* Of that flow. */
uint32_t unit_controller(const struct rill_unit *u, uint64_t flow)
{
    return rill_controllers_id(&u->controllers, flow);
}

/* Every role adopts the highest epoch that it sees of a slot ("adopt"). False: of one that is over.
 */
static bool adopt_epoch(struct rill_unit *u, const struct rill_frame *f)
{
    bool controller = rill_role_kind(f->src) == RILL_ROLE_CONTROLLER;

    return rill_controllers_adopt(&u->controllers, f->epoch, controller ? f->src : 0);
}

static void note_word(struct rill_unit *u, uint32_t slot, uint16_t epoch)
{
    u->spoken[slot] = epoch;
    u->heard_ns[slot] = u->now_ns;
}

/* The controller itself has spoken to us, otherwise than to ask what is here: it knows that we are
 * alive, and what we have. */
static void note_spoken(struct rill_unit *u, const struct rill_frame *f)
{
    if (rill_role_kind(f->src) == RILL_ROLE_CONTROLLER && f->type != RILL_FRAME_INVENTORY)
        note_word(u, rill_epoch_slot(f->epoch), f->epoch);
}

/* A unit that the newest controller has not spoken to may have died before that one took over. What
 * it waits for nobody has told; were it passed on to it, nobody would know where it is ("asker").
 */
static bool is_unknown_asker(const struct rill_unit *u, const struct rill_frame *f)
{
    return f->type == RILL_FRAME_PULL &&
           f->epoch < rill_controllers_epoch(&u->controllers, f->flow);
}

/* Its word, or a packet that it sent. */
static bool comes_of_controller(const struct rill_frame *f)
{
    return rill_role_kind(f->src) == RILL_ROLE_CONTROLLER || f->type == RILL_FRAME_FORWARDED;
}

static bool is_for_nf(const struct rill_frame *f)
{
    return f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED;
}

static void drop_stale(struct rte_mbuf *m, uint64_t *packet_counter, uint64_t *message_counter)
{
    unit_drop(m, rill_frame_has_packet(m) ? packet_counter : message_counter);
}

/* A frame whose turn in the queue has come. What came in before a newer controller asked what is
 * here is served before the answer. */
static void serve(struct rill_unit *u, struct rte_mbuf *m, struct flow *flow)
{
    struct rill_frame *f = rill_frame(m);

    if (is_for_nf(f)) {
        handoff_on_data(u, m, flow);
        return;
    }
    if (f->type == RILL_FRAME_INVENTORY)
        inventory_of_unit(u, m);
    else if (f->type == RILL_FRAME_FORGET)
        store_on_forget(u, f);
    else
        handoff_on_move(u, f);
    rte_pktmbuf_free(m);
}

static void serve_all(struct rill_unit *u)
{
    struct flow *flow;
    struct rte_mbuf *m;

    while ((m = service_pop(u, &flow)) != NULL)
        serve(u, m, flow);
}

/* Messages that do not queue. */
static void handle_message(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    switch (f->type) {
    case RILL_FRAME_FINAL:
        handoff_on_final(u, m);
        break;
    case RILL_FRAME_REPLICA:
        replicate_on_replica(u, m);
        break;
    case RILL_FRAME_SYNC_ACK:
        replicate_on_sync_ack(u, f);
        break;
    case RILL_FRAME_REQUEST_FULL:
        commit_on_request_full(u, f);
        break;
    case RILL_FRAME_CHAIN:
        handoff_on_chain(u, f);
        break;
    case RILL_FRAME_TAKE:
        handoff_on_take(u, f);
        break;
    case RILL_FRAME_LOGGER_STATE:
        handoff_on_logger_state(u, m);
        break;
    case RILL_FRAME_DEAD:
        handoff_on_dead(u, f->next_unit, f->count);
        break;
    case RILL_FRAME_POOL_GRANT:
        pool_on_grant(u, m);
        break;
    case RILL_FRAME_STORE_ACK:
        external_on_ack(u, f);
        break;
    case RILL_FRAME_STORE_VALUE:
        external_on_value(u, m);
        break;
    case RILL_FRAME_NEW_LOGGER:
        logger_on_new(u, f);
        break;
    case RILL_FRAME_SHARE:
        service_set_share(u, m);
        break;
    default:
        u->n.messages_unknown++;
        u->n.dropped_unit_unexpected += rill_frame_has_packet(m);
        break;
    }
    rte_pktmbuf_free(m);
}

static void receive_packet(struct rill_unit *u, struct rte_mbuf *m)
{
    struct flow *flow;

    u->n.packets_in++;
    u->n.bytes_in += rill_frame(m)->wire_bytes;
    if (service_at_once(u, m, &flow))
        handoff_on_data(u, m, flow);
    else
        service_put(u, m);
}

static void receive(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    if (f->dst != u->config.id && !RILL_MUTANT(inc)) {
        drop_stale(m, &u->n.dropped_wrong_incarnation, &u->n.messages_unknown);
        return;
    }
    if (!adopt_epoch(u, f) && comes_of_controller(f) && !RILL_MUTANT(old_epoch)) {
        u->n.packets_in += is_for_nf(f);
        drop_stale(m, is_for_nf(f) ? &u->n.dropped_old_epoch : &u->n.dropped_unit_unexpected,
                   &u->n.messages_old_epoch);
        return;
    }
    if (is_unknown_asker(u, f)) { /* it asks again */
        unit_drop(m, &u->n.messages_old_epoch);
        return;
    }
    note_spoken(u, f);
    switch (f->type) {
    case RILL_FRAME_DATA:
    case RILL_FRAME_FORWARDED:
        receive_packet(u, m);
        break;
    case RILL_FRAME_MOVE:
    case RILL_FRAME_PULL:
    case RILL_FRAME_FORGET: /* behind the packets that came before it */
    case RILL_FRAME_INVENTORY:
        service_put(u, m);
        break;
    default:
        handle_message(u, m);
        break;
    }
}

/* What we sent to ourselves is received before anything else happens. */
static void receive_own(struct rill_unit *u)
{
    for (uint32_t i = 0; i < u->self.count; i++)
        receive(u, u->self.frames[i]);
    u->self.count = 0;
}

static void begin(struct rill_unit *u, uint64_t now_ns, struct rill_outbox *out)
{
    u->now_ns = now_ns;
    u->out = out;
}

static void fire_gaps(struct rill_unit *u)
{
    struct rill_timer *t;

    while ((t = rill_timer_pop(u->gaps, u->now_ns)) != NULL)
        replicate_due(u, RTE_PTR_SUB(t, offsetof(struct flow, push_timer)));
}

static void finish(struct rill_unit *u)
{
    do {
        receive_own(u);
        serve_all(u);
        fire_gaps(u); /* a packet that waited for long may be followed by its push at once */
    } while (u->self.count > 0);
    spare_trim(u);
    replicate_flush(u);
    pool_refill(u);
}

/* Each frame's entry is fetched while those before it are at work. */
static void receive_burst(struct rill_unit *u, struct rte_mbuf **frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        store_fetch_place(u, frames[i]);
    for (uint32_t i = 0; i < RTE_MIN(n, (uint32_t)AHEAD); i++)
        store_fetch(u, frames[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            store_fetch(u, frames[i + AHEAD]);
        if (!commit_at_once(u, frames[i]))
            receive(u, frames[i]);
    }
}

void rill_unit_recv(struct rill_unit *u, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                    struct rill_outbox *out)
{
    begin(u, now_ns, out);
    while (n > 0) {
        uint32_t burst = RTE_MIN(n, (uint32_t)BURST);

        receive_burst(u, frames, burst);
        frames += burst;
        n -= burst;
    }
    finish(u);
}

static void fire_questions(struct rill_unit *u)
{
    struct rill_timer *t;

    while ((t = rill_timer_pop(u->questions, u->now_ns)) != NULL) {
        uintptr_t at = (uintptr_t)t;

        if (at >= (uintptr_t)u->pools && at < (uintptr_t)(u->pools + RILL_SLOTS_MAX))
            pool_due(u, RTE_PTR_SUB(t, offsetof(struct pool_lease, timer)));
        else
            handoff_segment_due(u, RTE_PTR_SUB(t, offsetof(struct segment, timer)));
        receive_own(u);
    }
}

void rill_unit_tick(struct rill_unit *u, uint64_t now_ns, struct rill_outbox *out)
{
    struct rill_timer *t;

    begin(u, now_ns, out);
    serve_all(u);
    fire_gaps(u);
    fire_questions(u);
    logger_tick(u);
    while ((t = rill_timer_pop(u->slow, now_ns)) != NULL)
        store_keep_due(u, RTE_PTR_SUB(t, offsetof(struct flow, keep_timer)));
    finish(u);
}

uint64_t rill_unit_next_ns(struct rill_unit *u)
{
    uint64_t next_ns = u->service.head_done_ns;

    next_ns = RTE_MIN(next_ns, rill_timer_wheel_next_ns(u->gaps));
    next_ns = RTE_MIN(next_ns, rill_timer_wheel_next_ns(u->questions));
    next_ns = RTE_MIN(next_ns, logger_next_ns(u));
    return RTE_MIN(next_ns, rill_timer_wheel_next_ns(u->slow));
}

static void know_controllers(struct rill_unit *u)
{
    const struct rill_unit_config *config = &u->config;

    if (config->controllers != NULL)
        u->controllers = *config->controllers;
    else
        rill_controllers_adopt(&u->controllers, config->epoch, config->controller);
    u->config.controllers = NULL; /* it was the caller's */
    for (uint32_t slot = 0; slot < RILL_SLOTS_MAX; slot++)
        u->spoken[slot] = u->controllers.slot[slot].epoch;
    /* Of several, those that lease a part of it are asked for endpoints. */
    if (config->controller != 0)
        pool_ask_controller(u, rill_epoch_slot(config->epoch));
}

struct rill_unit *rill_unit_create(const struct rill_unit_config *config, struct rill_error *err)
{
    struct rill_unit *u = calloc(1, sizeof(*u));

    if (u == NULL)
        goto fail;
    u->config = *config;
    know_controllers(u);
    u->short_way_id = config->id;
    u->state_bytes = rill_nf_state_bytes(config->nf);
    u->pool_count = rill_nf_pool_count(config->nf);
    u->before = malloc(u->state_bytes);
    if (u->before == NULL || service_init(u) != 0 || store_init(u) != 0)
        goto fail;
    return u;
fail:
    rill_error_set(err, -ENOMEM, "no memory for a unit with %u flows: lower flows_max",
                   config->flows_max);
    rill_unit_destroy(u);
    return NULL;
}

void rill_unit_prefault(struct rill_unit *u)
{
    rill_flow_map_prefault(&u->flows);
    rill_slab_prefault(&u->flow_slab);
    rill_slab_prefault(&u->segment_slab);
}

/* One at a time: each takes 150 us. */
void rill_unit_prefault_ahead(struct rill_unit *u, bool idle)
{
    if (!rill_slab_prefault_ahead(&u->flow_slab, idle))
        rill_slab_prefault_ahead(&u->segment_slab, idle);
}

void rill_unit_destroy(struct rill_unit *u)
{
    if (u == NULL)
        return;
    service_fini(u);
    store_fini(u);
    rill_outbox_fini(&u->self);
    free(u->before);
    free(u);
}

const struct rill_unit_counters *rill_unit_counters(const struct rill_unit *u)
{
    return &u->n;
}

uint64_t rill_unit_packets_held(const struct rill_unit *u)
{
    return u->service.packets + u->stashed;
}

uint32_t rill_unit_flows(const struct rill_unit *u)
{
    return u->flows.count;
}

uint32_t rill_unit_replicas(const struct rill_unit *u)
{
    return u->spare.count;
}

struct rill_table_use rill_unit_tables(const struct rill_unit *u)
{
    return (struct rill_table_use){.entries = u->flow_slab.used + u->segment_slab.used,
                                   .bytes = rill_slab_taken_bytes(&u->flow_slab) +
                                            rill_slab_taken_bytes(&u->segment_slab)};
}

uint32_t rill_unit_share(const struct rill_unit *u)
{
    return u->service.share;
}

uint32_t rill_unit_share_of(const struct rill_unit *u, uint32_t slot)
{
    return u->service.queue[slot].share;
}

uint64_t rill_unit_served_bytes(const struct rill_unit *u, uint32_t slot)
{
    return u->service.queue[slot].served_bytes;
}

bool rill_unit_flow_info(const struct rill_unit *u, uint64_t number,
                         struct rill_unit_flow_info *info)
{
    const struct flow *flow = store_find(u, number);

    if (flow == NULL)
        return false;
    *info = (struct rill_unit_flow_info){
        .owner = flow->owning, .term = flow->granted, .step = flow->tag.step, .state = flow->state};
    return true;
}

void rill_unit_go_long_way(struct rill_unit *u)
{
    u->short_way_id = 0;
}

void rill_unit_set_step_hook(struct rill_unit *u,
                             void (*hook)(void *arg, const struct rill_unit_step *step), void *arg)
{
    u->step_hook = hook;
    u->step_hook_arg = arg;
}
