/* The queue at a unit: packets wait here for their service time, so that a unit never works more
 * than what was leased of it. MOVE and PULL take their place in the queue behind the flow's packets
 * that came before them, and cost nothing; so does FORGET. */
#include "nf-runtime/unit_internal.h"

enum { MESSAGE_ROOM = 1024 }; /* places that packets can't take */

static void head_changed(struct service *s)
{
    const struct service_entry *e = &s->ring[s->head & s->mask];

    if (s->count == 0) {
        s->head_done_ns = UINT64_MAX;
        return;
    }
    if (e->cost_bytes != 0 && (s->ns_per_byte_q24 == 0 || (RILL_MUTANT(share0) && s->share == 0))) {
        s->head_done_ns = UINT64_MAX;
        return;
    }
    s->head_done_ns = s->busy_until_ns > e->arrival_ns ? s->busy_until_ns : e->arrival_ns;
    s->head_done_ns += (e->cost_bytes * s->ns_per_byte_q24) >> 24;
}

static uint64_t ns_per_byte(const struct rill_unit *u, uint32_t share)
{
    return (uint64_t)(8e9 / ((double)u->config.capacity_bps * share / 1000) * (1 << 24));
}

int service_init(struct rill_unit *u)
{
    struct service *s = &u->service;
    uint32_t places = 1024;

    while (places < u->config.queue_packets + MESSAGE_ROOM)
        places *= 2;
    s->ring = malloc(places * sizeof(s->ring[0])); /* touched only as the queue grows */
    s->mask = places - 1;
    s->head_done_ns = UINT64_MAX;
    return s->ring == NULL ? -1 : 0;
}

void service_fini(struct rill_unit *u)
{
    struct service *s = &u->service;

    for (; s->ring != NULL && s->count > 0; s->count--)
        rte_pktmbuf_free(s->ring[s->head++ & s->mask].m);
    free(s->ring);
    s->ring = NULL;
}

/* That a packet of the flow waits, if the flow is known here; and that it waits no longer. */
static void came(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);

    if (flow == NULL)
        return;
    flow->last_arrival_ns = u->now_ns;
    flow->queued++;
}

static void went(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);

    if (flow != NULL && flow->queued > 0)
        flow->queued--;
}

void service_put(struct rill_unit *u, struct rte_mbuf *m)
{
    struct service *s = &u->service;
    bool packet = rill_frame_has_packet(m);
    struct service_entry *e = &s->ring[(s->head + s->count) & s->mask];

    if (packet && s->packets >= u->config.queue_packets) {
        unit_drop(m, &u->n.dropped_unit_queue_full);
        return;
    }
    if (s->count > s->mask) {
        unit_drop(m, packet ? &u->n.dropped_unit_queue_full : &u->n.messages_no_room);
        return;
    }
    *e = (struct service_entry){
        .m = m, .arrival_ns = u->now_ns, .cost_bytes = packet ? rill_frame(m)->wire_bytes : 0};
    s->packets += packet;
    if (packet)
        came(u, rill_frame(m));
    if (s->count++ == 0)
        head_changed(s);
}

/* The next frame whose service is done by now, NULL if there is none. */
struct rte_mbuf *service_pop(struct rill_unit *u)
{
    struct service *s = &u->service;
    struct rte_mbuf *m;

    if (s->head_done_ns > u->now_ns)
        return NULL;
    m = s->ring[s->head & s->mask].m;
    s->busy_until_ns = s->head_done_ns;
    u->n.service_ns += (s->ring[s->head & s->mask].cost_bytes * s->ns_per_byte_q24) >> 24;
    s->head++;
    s->count--;
    s->packets -= rill_frame_has_packet(m);
    if (rill_frame_has_packet(m))
        went(u, rill_frame(m));
    head_changed(s);
    return m;
}

/* A controller's share is another now; the sum of all is what is served. */
static void take_share(struct rill_unit *u, uint32_t slot, uint32_t share, uint64_t number)
{
    struct service *s = &u->service;

    s->share += share - s->slot[slot].share;
    s->slot[slot].share = share;
    s->slot[slot].number = number;
    /* Without a share the last one's speed stays: what was late on its way here, or could not be
     * moved yet, is still served, and nothing waits behind it for good. */
    if (s->share != 0)
        s->ns_per_byte_q24 = ns_per_byte(u, RTE_MIN(s->share, 1000u));
    /* What stood still while there was no share starts now, not in the past. */
    if (s->head_done_ns == UINT64_MAX && s->busy_until_ns < u->now_ns)
        s->busy_until_ns = u->now_ns;
    head_changed(s);
}

/* SHARE from the resource manager: numbered, so that a late one can not undo a newer one. A share
 * of nothing is taken when the queue is empty. A controller that took over has its predecessor's
 * place. */
void service_set_share(struct rill_unit *u, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    uint32_t slot = rill_epoch_slot(f->epoch);
    struct service *s = &u->service;
    struct rte_mbuf *ack;
    bool is_new = f->clock > s->slot[slot].number;

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
    if (is_new && f->count == 0 && s->packets > 0)
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
