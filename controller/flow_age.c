/* When a flow ends: after so long without a packet as its protocol, and its TCP connection's state,
 * allow (RFC 4787, 5382, 5508, 7857); and before, if the table is full and it was idle for longer
 * than any frame lives. Nothing here looks at more than a few flows at a time. */
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

#define TURN_NS_MAX UINT64_C(120000000000)

/* What was not told is as flow_idle says. */
static uint64_t or_idle(const struct rill_controller *c, uint64_t ns)
{
    return ns != 0 ? ns : c->config.flow_idle_ns;
}

uint64_t flow_age_idle_ns(const struct rill_controller *c, uint8_t proto)
{
    switch (proto) {
    case RILL_TCP:
        return or_idle(c, c->config.flow_idle_tcp_ns);
    case RILL_UDP:
        return or_idle(c, c->config.flow_idle_udp_ns);
    case RILL_ICMP:
    case RILL_ICMP6:
        return or_idle(c, c->config.flow_idle_icmp_ns);
    default:
        return c->config.flow_idle_ns;
    }
}

/* One that lives longer has its timer run out in between, which costs less than a wheel whose slots
 * hold many. */
static uint64_t turn_ns(const struct rill_controller *c)
{
    uint64_t ns = c->config.flow_idle_ns;

    ns = RTE_MAX(ns, flow_age_idle_ns(c, RILL_TCP));
    ns = RTE_MAX(ns, flow_age_idle_ns(c, RILL_UDP));
    ns = RTE_MAX(ns, flow_age_idle_ns(c, RILL_ICMP));
    return RTE_MIN(ns, TURN_NS_MAX);
}

/* The next timer is never further than a turn. */
int flow_age_init(struct rill_controller *c)
{
    uint32_t slots = SLOTS_MIN;

    while (slots < SLOTS_MAX && slots < c->config.flows_max / FLOWS_PER_SLOT)
        slots *= 2;
    c->idle = rill_timer_wheel_create(slots, RTE_MAX(turn_ns(c) / (slots - 2), UINT64_C(1024)));
    return c->idle == NULL ? -ENOMEM : 0;
}

static void arm(struct rill_controller *c, struct flow *flow, uint64_t due_ns)
{
    rill_timer_arm(c->idle, &flow->idle_timer, RTE_MIN(due_ns, c->now_ns + turn_ns(c)));
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

void flow_age_end(struct rill_controller *c, struct flow *flow)
{
    if (flow->resting)
        c->resting--;
    else
        list_take(c, flow);
    rill_timer_stop(c->idle, &flow->idle_timer);
}

/* Its endpoint rests before another flow gets it. Until then the flow stays, without its key and
 * its alias: units and output loggers forget nothing of it, and go on with it if a unit dies. So
 * whatever endpoint must not be given out yet, a controller that takes over is told of it. */
static void rest(struct rill_controller *c, struct flow *flow)
{
    flow_age_end(c, flow);
    flows_retire(c, flow);
    if (flow->has_alias)
        key_map_remove(&c->by_alias, &flow->alias_key);
    flow->has_alias = false;
    flow->resting = true;
    flow->listed_ns = c->now_ns;
    c->resting++;
    c->n.flows_ended++;
    arm(c, flow, c->now_ns + c->config.pool_quarantine_ns);
}

static void end(struct rill_controller *c, struct flow *flow)
{
    uint64_t idle_ns = c->now_ns - flow_used_ns(flow);

    /* Else who tells of it says that it had ended. */
    if (idle_ns < RTE_MIN(c->config.vouched_ns, flow_age_idle_ns(c, flow->key.proto)))
        recovery_early_end(c, flow->chain, flow->chain_len);
    flows_end(c, flow);
}

static void end_or_rest(struct rill_controller *c, struct flow *flow)
{
    if ((flow->has_endpoint || flow->has_kept) && c->config.pool_quarantine_ns > 0 &&
        !RILL_MUTANT(rest_untold))
        rest(c, flow);
    else
        end(c, flow);
}

static uint64_t rested_ns(const struct rill_controller *c, const struct flow *flow)
{
    return flow->listed_ns + c->config.pool_quarantine_ns;
}

bool flow_age_has_rested(const struct rill_controller *c, const struct flow *flow)
{
    return flow->resting && c->now_ns >= rested_ns(c, flow);
}

void flows_list_anew(struct rill_controller *c, struct flow *flow)
{
    list_take(c, flow);
    list_put_newest(c, flow);
}

/* Until then a frame may be under way. */
static uint64_t needed_until_ns(const struct rill_controller *c, const struct flow *flow)
{
    return RTE_MAX(flow_used_ns(flow), flow->listed_ns) + c->config.frame_life_ns;
}

static bool is_established(const struct flow *flow)
{
    return flow->chain_len == 1;
}

/* One that was used since it was listed, or whose last handoff is not finished, goes to the end of
 * the list, lest it be looked at again and again. */
void flows_evict(struct rill_controller *c)
{
    for (int i = 0; i < EVICT_LOOK_AT; i++) {
        struct flow *flow = c->flows.oldest;

        if (flow == NULL || c->now_ns - flow->listed_ns <= c->config.frame_life_ns)
            return;
        if (c->now_ns > needed_until_ns(c, flow) && is_established(flow)) {
            c->n.flows_evicted++;
            end_or_rest(c, flow);
            return;
        }
        list_take(c, flow);
        list_put_newest(c, flow);
    }
}

bool rill_controller_knows(const struct rill_controller *c, uint64_t number)
{
    const struct flow *flow = flows_by_number(c, number);

    return flow != NULL && !flow->resting;
}

void rill_controller_each_flow(const struct rill_controller *c,
                               void (*each)(void *arg, uint64_t flow, uint32_t owner), void *arg)
{
    for (const struct flow *flow = c->flows.oldest; flow != NULL; flow = flow->newer)
        each(arg, flow->number, flow->owner);
}

static bool is_closed(const struct flow *flow)
{
    return flow->finished == FLOW_BOTH_SIDES || flow->reset != 0;
}

static uint64_t closed_ns(const struct rill_controller *c)
{
    uint64_t ns = RTE_MAX(c->config.flow_closed_ns, c->config.frame_life_ns);

    return RTE_MIN(ns, flow_age_idle_ns(c, RILL_TCP));
}

static uint64_t idle_ns(const struct rill_controller *c, const struct flow *flow)
{
    if (is_closed(flow) && is_established(flow))
        return closed_ns(c);
    if (flow->key.proto == RILL_TCP && flow->talked != FLOW_BOTH_SIDES)
        return or_idle(c, c->config.flow_idle_tcp_transitory_ns);
    return flow_age_idle_ns(c, flow->key.proto);
}

void flow_age_begin(struct rill_controller *c, struct flow *flow)
{
    list_put_newest(c, flow);
    arm(c, flow, c->now_ns + idle_ns(c, flow));
}

/* The timer ran out; the flow may have had packets since. */
static void idle_due(struct rill_controller *c, struct flow *flow)
{
    uint64_t due_ns = flow_used_ns(flow) + idle_ns(c, flow);

    if (flow->resting)
        due_ns = rested_ns(c, flow);
    else if (flow->listed_ns > flow_used_ns(flow)) /* there was an error about it */
        due_ns = RTE_MAX(due_ns, needed_until_ns(c, flow));
    if (due_ns > c->now_ns) {
        arm(c, flow, due_ns);
        return;
    }
    if (flow->resting)
        end(c, flow);
    else
        end_or_rest(c, flow);
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

/* A SYN opens a connection anew, where the one before has ended; where it has not, anybody may have
 * sent it. */
static void saw_syn(struct flow *flow)
{
    if (is_closed(flow))
        flow->talked = 0;
    flow->finished = 0;
    flow->reset = 0;
}

/* Who has sent RST sends nothing else, so a segment of that side says that it was not its own. */
static void saw_segment(struct flow *flow, uint8_t flags, enum rill_side side)
{
    uint8_t bit = (uint8_t)(1 << side);

    if (flags & RTE_TCP_RST_FLAG) {
        flow->reset |= bit;
        return;
    }
    flow->reset &= (uint8_t)~bit;
    if (flags & RTE_TCP_FIN_FLAG)
        flow->finished |= bit;
}

void flows_saw_tcp(struct rill_controller *c, struct flow *flow, const struct rill_view *view,
                   enum rill_side side)
{
    bool one = is_one_connection(c, flow, view, side), before = is_closed(flow);

    if (view->tcp_flags & RTE_TCP_SYN_FLAG) {
        saw_syn(flow);
        return;
    }
    if (!(view->tcp_flags & RTE_TCP_RST_FLAG))
        flow->talked |= (uint8_t)(1 << side);
    if (one) {
        saw_segment(flow, view->tcp_flags, side);
    } else {
        flow->finished = 0;
        flow->reset = 0;
    }
    if (!is_closed(flow) || before)
        return;
    c->n.flows_closed++;
    arm(c, flow, c->now_ns + closed_ns(c));
}
