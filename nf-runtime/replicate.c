/* Replication in the gaps (SNF, 5.2): after half of T without a packet the owner pushes the flow's
 * state to the targets that the controller named. The output logger is told the tag alone ("sync"),
 * until it is known to have the term: that it lacks it, nobody else would notice. What is lost of a
 * term that it has, it notices by itself when the next packet's change comes; and none of that has
 * left, so there is time. Only before the flow is forgotten must it have the very last step.
 * Entries for one peer share a frame. */
#include "nf-runtime/unit_internal.h"

void replicate_after_step(struct rill_unit *u, struct flow *flow)
{
    if (!rill_timer_armed(&flow->push_timer))
        rill_timer_arm(u->gaps, &flow->push_timer, u->now_ns + u->config.flowlet_timeout_ns / 2);
}

/* A pause is counted from when packets came, not from when their turn came: what waited here for
 * longer than half of T is pushed as soon as its last packet is done, or the next flowlet, which
 * the controller begins T after it sent that packet, would be there first. */
void replicate_after_packets(struct rill_unit *u, struct flow *flow)
{
    uint64_t due_ns = flow->last_arrival_ns + u->config.flowlet_timeout_ns / 2;

    replicate_after_step(u, flow);
    due_ns = RTE_MAX(due_ns, u->now_ns);
    if (flow->queued == 0 && due_ns < flow->push_timer.due_ns)
        rill_timer_arm(u->gaps, &flow->push_timer, due_ns);
}

/* True if `unit` was sent the very version that we hold. */
bool replicate_held_by(const struct flow *flow, uint32_t unit)
{
    if (!tag_equal(&flow->pushed, &flow->tag))
        return false;
    for (uint8_t i = 0; i < flow->pushed_count; i++)
        if (flow->pushed_to[i] == unit)
            return true;
    return false;
}

static void send_batch(struct rill_unit *u, uint32_t i)
{
    unit_send(u, u->batch[i].m);
    u->n.replica_frames++;
    u->batch[i] = u->batch[--u->batches];
}

/* The frame that is being filled for this peer; NULL if there is no buffer. */
static struct rte_mbuf *batch_for(struct rill_unit *u, uint32_t unit, uint32_t bytes)
{
    struct rte_mbuf *m;

    for (uint32_t i = 0; i < u->batches; i++) {
        if (u->batch[i].unit != unit)
            continue;
        if (rte_pktmbuf_pkt_len(u->batch[i].m) + bytes <= REPLICA_FRAME_BYTES)
            return u->batch[i].m;
        send_batch(u, i);
        break;
    }
    if (u->batches == PEERS_BATCHED_MAX)
        send_batch(u, 0);
    m = unit_message(u, RILL_FRAME_REPLICA, unit, 0);
    if (m != NULL)
        u->batch[u->batches++] = (struct replica_batch){.unit = unit, .m = m};
    return m;
}

static void push_to(struct rill_unit *u, struct flow *flow, uint32_t unit)
{
    struct rill_replica_entry entry = {.flow = flow->node.flow,
                                       .term = flow->tag.term,
                                       .step = flow->tag.step,
                                       .clock = flow->tag.clock,
                                       .window = flow->tag.window,
                                       .state_bytes =
                                           rill_state_trim(flow->state, &flow->state_used)};
    struct rte_mbuf *m = batch_for(u, unit, sizeof(entry) + entry.state_bytes);
    uint32_t before;

    if (m == NULL)
        return;
    before = rte_pktmbuf_pkt_len(m);
    if (rill_body_append(m, u->config.pool, &entry, sizeof(entry)) != 0 ||
        rill_body_append(m, u->config.pool, flow->state, entry.state_bytes) != 0) {
        /* Half an entry is no use, and the receiver stops at it. */
        rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_pkt_len(m) - before));
        u->n.messages_no_mbuf++;
        return;
    }
    flow->pushed_to[flow->pushed_count++] = unit;
    u->n.state_pushes++;
}

void replicate_sync(struct rill_unit *u, const struct flow *flow)
{
    struct rte_mbuf *m = unit_message(u, RILL_FRAME_SYNC, u->config.output_logger, flow->node.flow);

    if (m == NULL)
        return;
    tag_to_frame(&flow->tag, rill_frame(m));
    rill_frame(m)->granted_term = RILL_MUTANT(sync_term) ? flow->tag.term : flow->granted;
    rill_frame(m)->count = flow_idle_us(u, flow);
    u->n.syncs_sent++;
    unit_send(u, m);
}

static void push(struct rill_unit *u, struct flow *flow)
{
    flow->pushed = flow->tag;
    flow->pushed_count = 0;
    if (u->config.store != 0)
        external_put(u, flow);
    for (uint8_t i = 0; u->config.proactive && i < flow->target_count; i++)
        if (flow->targets[i] != u->config.id)
            push_to(u, flow, flow->targets[i]);
}

/* The flow's timer ran out: it may have had packets since. Pushes once, and repeats the tag to the
 * output logger until that is known to have the term: else, if the term's only packets were lost,
 * it would never be established. */
void replicate_due(struct rill_unit *u, struct flow *flow)
{
    uint64_t half_ns = u->config.flowlet_timeout_ns / 2;

    if (flow->queued > 0) {
        rill_timer_arm(u->gaps, &flow->push_timer, u->now_ns + half_ns);
        return;
    }
    if (flow->last_arrival_ns + half_ns > u->now_ns) {
        rill_timer_arm(u->gaps, &flow->push_timer, flow->last_arrival_ns + half_ns);
        return;
    }
    if (!flow->owning)
        return;
    if (!tag_equal(&flow->pushed, &flow->tag)) {
        push(u, flow);
        flow->sync_tries = 0;
    }
    if (flow_term_is_logged(u, flow) || RILL_MUTANT(sync))
        return;
    replicate_sync(u, flow);
    rill_timer_arm(u->gaps, &flow->push_timer, u->now_ns + replicate_sync_pause_ns(u, flow));
}

uint64_t replicate_sync_pause_ns(struct rill_unit *u, struct flow *flow)
{
    uint64_t first_ns = RTE_MAX(u->config.retry_ns, u->config.flowlet_timeout_ns / 2);

    return unit_resend_ns(u, first_ns, &flow->sync_tries);
}

void replicate_on_sync_ack(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);

    if (flow == NULL || (f->src != u->config.output_logger && !RILL_MUTANT(old_logger_ack)) ||
        f->granted_term != flow->granted)
        return;
    flow->logged_at = u->config.output_logger;
    flow->sync_tries = 0;
    if (flow->tag.term == f->term && flow->tag.step == f->step && !(f->flags & RILL_FLAG_REFUSED))
        flow->synced = flow->tag;
}

void replicate_flush(struct rill_unit *u)
{
    while (u->batches > 0)
        send_batch(u, 0);
}

static void take_entry(struct rill_unit *u, const struct rill_replica_entry *entry,
                       struct rte_mbuf *m, uint32_t offset)
{
    struct tag tag = {entry->term, entry->step, entry->clock, entry->window};
    struct flow *flow = store_find(u, entry->flow);

    if (flow == NULL && spare_room(u))
        flow = store_get(u, entry->flow);
    if (flow == NULL) {
        u->n.replicas_refused++;
        return;
    }
    flow->last_ns = u->now_ns;
    if (tag.term < flow->granted || (flow->has_replica && !tag_newer(&tag, &flow->replica)))
        return;
    if (rill_state_read(m, offset, entry->state_bytes, flow_replica_state(u, flow),
                        &flow->replica_used) != 0)
        return;
    flow->replica = tag;
    flow->has_replica = true;
    spare_touch(u, flow);
    u->n.replicas_taken++;
    handoff_start(u, flow);
}

void replicate_on_replica(struct rill_unit *u, struct rte_mbuf *m)
{
    struct rill_replica_entry entry;
    uint32_t at = 0, end = rte_pktmbuf_pkt_len(m);

    while (at < end) {
        if (rill_body_read(m, at, &entry, sizeof(entry)) != 0 ||
            !rill_state_fits(entry.state_bytes, u->state_bytes) ||
            end - at - sizeof(entry) < entry.state_bytes) {
            u->n.messages_malformed++;
            return;
        }
        at += sizeof(entry);
        take_entry(u, &entry, m, at);
        at += entry.state_bytes;
    }
}
