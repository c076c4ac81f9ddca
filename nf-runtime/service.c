/* The queues at a unit: packets wait here for their service time, so that a unit never works more
 * than what was leased of it. MOVE and PULL take their place in the queue behind the flow's packets
 * that came before them, and cost nothing; so does FORGET. A packet that nothing waits before, and
 * that is served faster than anybody could tell, does not go through its queue.
 *
 * Each controller has a queue, as long as any other's, that is served at the speed of its share, no
 * more and no less, whatever the others send. What one leaves idle is not lent to another: that one
 * works out by its own share what waits at the unit, and places flowlets by it
 * (docs/allocation.md).
 */
#include "nf-runtime/unit_internal.h"

enum {
    MESSAGE_ROOM = 1024, /* places that packets can't take */
    FETCH_AHEAD = 3,
};

static void find_first(struct service *s)
{
    if (s->used_count == 1) {
        s->first = &s->queue[s->used[0]];
        s->head_done_ns = s->first->head_done_ns;
        return;
    }
    s->head_done_ns = UINT64_MAX;
    for (uint32_t i = 0; i < s->used_count; i++) {
        struct service_queue *q = &s->queue[s->used[i]];

        if (q->head_done_ns < s->head_done_ns) {
            s->head_done_ns = q->head_done_ns;
            s->first = q;
        }
    }
}

static void head_changed(struct service *s, struct service_queue *q)
{
    const struct service_entry *e = q->count == 0 ? NULL : &q->ring[q->head & q->mask];

    if (e == NULL ||
        (e->cost_bytes != 0 && (q->ns_per_byte_q24 == 0 || (RILL_MUTANT(share0) && q->share == 0))))
        q->head_done_ns = UINT64_MAX;
    else
        q->head_done_ns =
            RTE_MAX(q->busy_until_ns, e->arrival_ns) + service_ns_of(q, e->cost_bytes);
    find_first(s);
}

static uint64_t ns_per_byte(const struct rill_unit *u, uint32_t share)
{
    return (uint64_t)(8e9 / ((double)u->config.capacity_bps * share / 1000) * (1 << 24));
}

int service_init(struct rill_unit *u)
{
    u->service.head_done_ns = UINT64_MAX;
    for (uint32_t i = 0; i < RILL_SLOTS_MAX; i++)
        u->service.queue[i].head_done_ns = UINT64_MAX;
    return 0;
}

void service_fini(struct rill_unit *u)
{
    for (uint32_t i = 0; i < RILL_SLOTS_MAX; i++) {
        struct service_queue *q = &u->service.queue[i];

        for (; q->count > 0; q->count--)
            rte_pktmbuf_free(q->ring[q->head++ & q->mask].m);
        free(q->ring);
        q->ring = NULL;
    }
}

/* That controller's queue; made when something comes for the first time. NULL: no memory. */
static struct service_queue *queue_of(struct rill_unit *u, uint32_t slot)
{
    struct service_queue *q = &u->service.queue[slot];
    uint32_t places = 1024;

    if (q->ring != NULL)
        return q;
    while (places < u->config.queue_packets + MESSAGE_ROOM)
        places *= 2;
    q->ring = malloc(places * sizeof(q->ring[0])); /* touched only as the queue grows */
    if (q->ring == NULL)
        return NULL;
    q->mask = places - 1;
    u->service.used[u->service.used_count++] = (uint8_t)slot;
    return q;
}

/* That a packet of the flow waits, if the flow is known here. */
static struct flow *came(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);

    if (flow != NULL) {
        flow->last_arrival_ns = u->now_ns;
        flow->queued++;
    }
    return flow;
}

/* It waits no longer. */
static struct flow *went(struct rill_unit *u, const struct service_entry *e)
{
    struct flow *flow = e->flow;

    if (flow == NULL || e->removed != u->flows_removed)
        flow = store_find(u, rill_frame(e->m)->flow);
    if (flow != NULL && flow->queued > 0)
        flow->queued--;
    return flow;
}

bool service_at_once(struct rill_unit *u, struct rte_mbuf *m, struct flow **flow)
{
    const struct rill_frame *f = rill_frame(m);

    if (!service_take_at_once(u, f))
        return false;
    *flow = store_find(u, f->flow);
    if (*flow != NULL)
        (*flow)->last_arrival_ns = u->now_ns;
    return true;
}

void service_put(struct rill_unit *u, struct rte_mbuf *m)
{
    struct service_queue *q = queue_of(u, service_slot_of(rill_frame(m)));
    bool packet = rill_frame_has_packet(m);

    if (packet && (q == NULL || q->packets >= u->config.queue_packets)) {
        unit_drop(m, &u->n.dropped_unit_queue_full);
        return;
    }
    if (q == NULL || q->count > q->mask) {
        unit_drop(m, packet ? &u->n.dropped_unit_queue_full : &u->n.messages_no_room);
        return;
    }
    q->ring[(q->head + q->count) & q->mask] =
        (struct service_entry){.m = m,
                               .flow = packet ? came(u, rill_frame(m)) : NULL,
                               .arrival_ns = u->now_ns,
                               .cost_bytes = packet ? rill_frame(m)->wire_bytes : 0,
                               .removed = u->flows_removed};
    q->packets += packet;
    u->service.packets += packet;
    if (q->count++ == 0)
        head_changed(&u->service, q);
}

/* What is served next may have waited for long. */
static void fetch_next(const struct service_queue *q)
{
    const struct service_entry *e = &q->ring[(q->head + FETCH_AHEAD) & q->mask];

    if (q->count <= FETCH_AHEAD)
        return;
    rte_prefetch0(e->m);
    rte_prefetch0(rill_frame(e->m));
    if (e->flow != NULL)
        rte_prefetch0(e->flow);
}

struct rte_mbuf *service_pop(struct rill_unit *u, struct flow **flow)
{
    struct service *s = &u->service;
    struct service_queue *q = s->first;
    const struct service_entry *e;
    struct rte_mbuf *m;

    *flow = NULL;
    if (s->head_done_ns > u->now_ns)
        return NULL;
    e = &q->ring[q->head & q->mask];
    m = e->m;
    fetch_next(q);
    q->busy_until_ns = q->head_done_ns;
    u->n.service_ns += (e->cost_bytes * q->ns_per_byte_q24) >> 24;
    if (rill_frame_has_packet(m)) {
        q->packets--;
        s->packets--;
        s->queue[rill_number_slot(rill_frame(m)->flow)].served_bytes += rill_frame(m)->wire_bytes;
        *flow = went(u, e);
    }
    q->head++;
    q->count--;
    head_changed(s, q);
    return m;
}

/* What of the head is not served yet takes the new speed; what is served stays so. */
static void change_speed(struct rill_unit *u, struct service_queue *q, uint32_t share)
{
    uint64_t before = q->ns_per_byte_q24;

    /* Without a share the last one's speed stays: what was late on its way here, or could not be
     * moved yet, is still served, and nothing waits behind it for good. */
    if (share != 0)
        q->ns_per_byte_q24 = ns_per_byte(u, RTE_MIN(share, 1000u));
    if (q->head_done_ns == UINT64_MAX || RILL_MUTANT(share0)) {
        /* What stood still while there was no share starts now, not in the past. */
        q->busy_until_ns = RTE_MAX(q->busy_until_ns, u->now_ns);
        head_changed(&u->service, q);
    } else if (q->head_done_ns > u->now_ns && q->ns_per_byte_q24 != before) {
        double left_ns = (double)(q->head_done_ns - u->now_ns);

        q->head_done_ns =
            u->now_ns + (uint64_t)(left_ns * (double)q->ns_per_byte_q24 / (double)before + 0.5);
        find_first(&u->service);
    }
}

/* A controller's share is another now. */
static void take_share(struct rill_unit *u, uint32_t slot, uint32_t share, uint64_t number)
{
    struct service *s = &u->service;
    struct service_queue *q = &s->queue[slot];

    s->share += share - q->share;
    q->share = share;
    q->number = number;
    if (RILL_MUTANT(one_queue))
        change_speed(u, &s->queue[0], s->share);
    else
        change_speed(u, q, share);
    if (share != 0)
        pool_ask_controller(u, slot);
}

/* SHARE from the resource manager: numbered, so that a late one can not undo a newer one. A share
 * of nothing is taken when the queue is empty. A controller that took over has its predecessor's
 * place. */
void service_set_share(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    uint32_t slot = rill_epoch_slot(f->epoch);
    const struct service_queue *q = &u->service.queue[slot];
    struct rte_mbuf *ack;
    bool is_new = f->clock > q->number;

    if (f->count > 1000 || rill_role_kind(f->next_unit) != RILL_ROLE_CONTROLLER) {
        u->n.messages_malformed++;
        return;
    }
    if (!rill_controllers_adopt(&u->controllers, f->epoch, f->next_unit)) {
        u->n.messages_old_epoch++;
        return;
    }
    /* What is queued came in under the share that is taken away, and would stand still for ever.
     * The manager asks again until this is done, and leases the share to nobody before. */
    if (is_new && f->count == 0 && q->packets > 0)
        return;
    if (is_new || RILL_MUTANT(share_order))
        take_share(u, slot, f->count, f->clock);
    ack = unit_message(u, RILL_FRAME_SHARE_ACK, f->src, 0);
    if (ack == NULL)
        return;
    rill_frame(ack)->clock = f->clock;
    rill_frame(ack)->next_unit = f->next_unit;
    rill_frame(ack)->count = f->count;
    unit_send(u, ack);
}
