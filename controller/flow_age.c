/* When a flow ends: after flow_idle without a packet; after flow_closed, if its TCP connection has
 * ended; and before, if the table is full and it was idle for longer than any frame lives. Nothing
 * here looks at more than a few flows at a time. */
#include <errno.h>

#include <rte_hash_crc.h>
#include <rte_tcp.h>

#include "controller/internal.h"

enum {
    TIMERS_PER_TICK = 256, /* the rest with the next tick, after the packets that have come */
    EVICT_LOOK_AT = 8,     /* flows that may not end, one after the other */
    FLOWS_PER_SLOT = 16,   /* of the timer wheel */
    SLOTS_MIN = 4096,
    SLOTS_MAX = 65536,
};

/* One turn takes longer than flow_idle, so that the next timer is never further than a turn. */
int flow_age_init(struct rill_controller *c)
{
    uint32_t slots = SLOTS_MIN;

    while (slots < SLOTS_MAX && slots < c->config.flows_max / FLOWS_PER_SLOT)
        slots *= 2;
    c->idle = rill_timer_wheel_create(
        slots, RTE_MAX(c->config.flow_idle_ns / (slots - 2), UINT64_C(1024)));
    return c->idle == NULL ? -ENOMEM : 0;
}

void flow_age_fini(struct rill_controller *c)
{
    rill_timer_wheel_destroy(c->idle);
}

static void list_take(struct rill_controller *c, struct flow *flow)
{
    if (flow->older != NULL)
        flow->older->newer = flow->newer;
    else
        c->flows.oldest = flow->newer;
    if (flow->newer != NULL)
        flow->newer->older = flow->older;
    else
        c->flows.newest = flow->older;
}

static void list_put_newest(struct rill_controller *c, struct flow *flow)
{
    flow->listed_ns = c->now_ns;
    flow->newer = NULL;
    flow->older = c->flows.newest;
    if (flow->older != NULL)
        flow->older->newer = flow;
    else
        c->flows.oldest = flow;
    c->flows.newest = flow;
}

void flow_age_begin(struct rill_controller *c, struct flow *flow)
{
    list_put_newest(c, flow);
    rill_timer_arm(c->idle, &flow->idle_timer, c->now_ns + c->config.flow_idle_ns);
}

void flow_age_end(struct rill_controller *c, struct flow *flow)
{
    list_take(c, flow);
    rill_timer_stop(c->idle, &flow->idle_timer);
}

void flows_touch(struct rill_controller *c, struct flow *flow)
{
    flow->last_ns = c->now_ns;
    if (c->now_ns - flow->listed_ns <= c->config.frame_life_ns)
        return;
    list_take(c, flow);
    list_put_newest(c, flow);
}

static bool is_established(const struct flow *flow)
{
    return flow->chain_len == 1;
}

/* One that was used since it was listed, or whose last handoff is not finished, goes to the end of
 * the list, lest it be looked at again and again. */
bool flows_evict(struct rill_controller *c)
{
    for (int i = 0; i < EVICT_LOOK_AT; i++) {
        struct flow *flow = c->flows.oldest;

        if (flow == NULL || c->now_ns - flow->listed_ns <= c->config.frame_life_ns)
            return false;
        if (c->now_ns - flow->last_ns > c->config.frame_life_ns && is_established(flow)) {
            c->n.flows_evicted++;
            flows_end(c, flow);
            return true;
        }
        list_take(c, flow);
        list_put_newest(c, flow);
    }
    return false;
}

static uint64_t closed_ns(const struct rill_controller *c)
{
    uint64_t ns = RTE_MAX(c->config.flow_closed_ns, c->config.frame_life_ns);

    return RTE_MIN(ns, c->config.flow_idle_ns);
}

static uint64_t idle_ns(const struct rill_controller *c, const struct flow *flow)
{
    return flow->ended == FLOW_ENDED && is_established(flow) ? closed_ns(c)
                                                             : c->config.flow_idle_ns;
}

/* The timer ran out; the flow may have had packets since. */
static void idle_due(struct rill_controller *c, struct flow *flow)
{
    uint64_t due_ns = flow->last_ns + idle_ns(c, flow);

    if (due_ns > c->now_ns)
        rill_timer_arm(c->idle, &flow->idle_timer, due_ns);
    else
        flows_end(c, flow);
}

void flows_tick(struct rill_controller *c)
{
    struct rill_timer *t;

    for (int i = 0; i < TIMERS_PER_TICK; i++) {
        t = rill_timer_pop(c->idle, c->now_ns);
        if (t == NULL)
            return;
        idle_due(c, RTE_PTR_SUB(t, offsetof(struct flow, idle_timer)));
    }
}

/* A flow may be an endpoint and not a connection: then only one that was ever with the same remote
 * ends with its connection. */
static bool is_one_connection(const struct rill_controller *c, struct flow *flow,
                              const struct rill_view *view, enum rill_side side)
{
    const struct rill_endpoint *remote = side == RILL_INSIDE ? &view->destination : &view->source;
    uint64_t addr[2]; /* aligned, as the hash reads words */
    uint32_t hash;

    if (c->config.flow_kind == RILL_KEY_CONNECTION)
        return true;
    if (c->config.flow_kind != RILL_KEY_INSIDE_ENDPOINT)
        return false;
    memcpy(addr, remote->addr, sizeof(addr));
    hash = rte_hash_crc(addr, sizeof(addr), remote->port) | 1;
    if (flow->remote == 0)
        flow->remote = hash;
    flow->many_remotes |= flow->remote != hash;
    return !flow->many_remotes;
}

void flows_saw_tcp(struct rill_controller *c, struct flow *flow, const struct rill_view *view,
                   enum rill_side side)
{
    uint8_t before = flow->ended;

    if (!is_one_connection(c, flow, view, side) || (view->tcp_flags & RTE_TCP_SYN_FLAG)) {
        flow->ended = 0;
        return;
    }
    if (view->tcp_flags & RTE_TCP_FIN_FLAG)
        flow->ended |= 1 << side;
    if (view->tcp_flags & RTE_TCP_RST_FLAG)
        flow->ended = FLOW_ENDED;
    if (flow->ended != FLOW_ENDED || before == FLOW_ENDED)
        return;
    c->n.flows_closed++;
    rill_timer_arm(c->idle, &flow->idle_timer, c->now_ns + closed_ns(c));
}
