#include "controller/controller.h"

#include <errno.h>

#include <rill/nf.h>

#include "controller/internal.h"
#include "controller/stamp.h"
#include "controller/wam_packet.h"

/* NULL (counted) if there is no buffer: as if the network had lost it; what matters is repeated. */
struct rte_mbuf *ctl_message(struct rill_controller *c, enum rill_frame_type type, uint32_t dst,
                             uint64_t flow)
{
    struct rte_mbuf *m = rill_frame_new(c->config.pool, type, c->config.id, dst);

    if (m == NULL) {
        c->n.messages_no_mbuf++;
        return NULL;
    }
    rill_frame(m)->epoch = c->config.epoch;
    rill_frame(m)->vni = c->config.vni;
    rill_frame(m)->flow = flow;
    return m;
}

static __rte_noinline void drop(struct rte_mbuf *m, uint64_t *counter)
{
    (*counter)++;
    rte_pktmbuf_free(m);
}

/* What the NF does not handle passes it by, or is dropped, as the deployment says. */
static void unhandled(struct rill_controller *c, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    uint32_t output_logger = capacity_output_logger(c);

    if (!c->config.pass_unhandled) {
        drop(m, &c->n.dropped_unhandled);
        return;
    }
    if (output_logger == 0) {
        waiting_put(c, m);
        return;
    }
    f->type = RILL_FRAME_PASS;
    f->flags = RILL_FLAG_PACKET;
    f->src = c->config.id;
    f->dst = output_logger;
    f->epoch = c->config.epoch;
    f->vni = c->config.vni;
    f->side = f->side == RILL_INSIDE ? RILL_OUTSIDE : RILL_INSIDE;
    c->n.packets_passed++;
    rill_outbox_put(c->out, m);
}

/* Where only the inside opens flows, what comes from the outside opens none; nor does an ICMP error
 * of either side, whatever it quotes. Drops the packet and counts it. */
static bool opens_none(struct rill_controller *c, const struct rill_view *view, struct rte_mbuf *m)
{
    if (!c->config.inside_opens)
        return false;
    if (view->flags & RILL_VIEW_ICMP_ERROR)
        drop(m, &c->n.dropped_error_of_no_flow);
    else if (rill_frame(m)->side == RILL_OUTSIDE)
        drop(m, &c->n.dropped_unsolicited);
    else
        return false;
    return true;
}

/* The packet's flow; begun if need be. NULL: the packet was dropped and counted. */
static __rte_noinline struct flow *find_flow(struct rill_controller *c, const struct arrival *a,
                                             struct rte_mbuf *m)
{
    enum rill_side side = (enum rill_side)rill_frame(m)->side;
    struct flow *flow = arrival_flow(c, a, side);

    if (flow != NULL || opens_none(c, &a->view, m))
        return flow;
    flow = flows_begin(c, &a->key);
    if (flow == NULL)
        drop(m, &c->n.dropped_flow_table_full);
    else if (side == RILL_INSIDE)
        endpoints_keep(c, flow, &a->view.source);
    return flow;
}

/* The flow of a later fragment's first, whose ports it gets. NULL: that has not come (yet). */
static struct flow *find_flow_of_fragment(struct rill_controller *c, const struct rill_view *view,
                                          struct rill_frame *f)
{
    struct flow *flow;
    uint64_t number;

    if (!rill_fragments_later(c->fragments, view, (enum rill_side)f->side, c->now_ns, &number,
                              &f->first_sport, &f->first_dport))
        return NULL;
    flow = flows_by_number(c, number);
    return flow != NULL && !flow->resting ? flow : NULL;
}

/* A new flowlet of a flow that has an owner moves, if it may. Gives the flags of its first packet.
 */
static uint8_t move_flowlet(struct rill_controller *c, struct flow *flow, uint32_t unit,
                            uint8_t start_flag)
{
    if (!smm_movable(c, flow)) {
        c->n.moves_deferred++;
        return start_flag;
    }
    smm_move(c, flow, unit);
    c->n.flowlets_moved++;
    if (start_flag == RILL_FLAG_BY_GAP)
        c->n.moves_by_gap++;
    else if (start_flag == RILL_FLAG_BY_SIZE)
        c->n.moves_by_size++;
    else
        c->n.moves_by_period++;
    return start_flag | RILL_FLAG_MOVED;
}

/* The first packet of an inherited flow: a new term, even at the same unit. */
static uint8_t reopen(struct rill_controller *c, struct flow *flow, uint8_t start_flag)
{
    uint32_t unit = flow->owner, before = flow->owner;

    if (!rill_wam_is_active(c->wam, unit))
        unit = flows_choose_unit(c, flow);
    smm_move(c, flow, unit);
    if (unit == before)
        return start_flag;
    c->n.flowlets_moved++;
    c->n.moves_by_gap++; /* who knows how long ago its last one was */
    return RILL_FLAG_BY_GAP | RILL_FLAG_MOVED;
}

static inline uint8_t place_flowlet(struct rill_controller *c, struct flow *flow, uint32_t unit,
                                    uint8_t start_flag)
{
    if (likely(unit == flow->owner || unit == 0))
        return start_flag;
    return move_flowlet(c, flow, unit, start_flag);
}

static inline uint32_t choose_unit(struct rill_controller *c, struct flow *flow)
{
    uint32_t unit = wam_choose_only(c->wam, rill_wgm_demand_bps(&c->wgm, &flow->wgm), c->now_ns);

    return likely(unit != 0) ? unit : flows_choose_unit(c, flow);
}

/* A flowlet begins: where does it go? Gives the flags of its first packet. */
static __rte_noinline uint8_t begin_flowlet(struct rill_controller *c, struct flow *flow,
                                            enum rill_flowlet_start start)
{
    uint8_t flags = start == RILL_FLOWLET_BY_SIZE  ? RILL_FLAG_BY_SIZE
                    : start == RILL_FLOWLET_BY_GAP ? RILL_FLAG_BY_GAP
                                                   : 0;

    c->n.flowlets++;
    wam_flowlet_end(c->wam, flow->owner, &flow->pending, c->now_ns);
    if (flow->reopen)
        flags = reopen(c, flow, flags);
    else if (flow->owner == 0)
        smm_born(c, flow, choose_unit(c, flow));
    else if (c->config.mode != RILL_MODE_FLOW || !wam_is_active(c->wam, flow->owner))
        flags = place_flowlet(c, flow, choose_unit(c, flow), flags);
    wam_assign(c->wam, flow->owner, rill_wgm_demand_bps(&c->wgm, &flow->wgm), &flow->pending,
               c->now_ns);
    if (wam_only(c->wam) == flow->owner)
        flow->target_count = 0; /* there is nobody else */
    else
        smm_choose_targets(c, flow);
    return flags;
}

/* All that most packets pass, in one piece. */
static __rte_always_inline void send_now(struct rill_controller *c, struct flow *flow,
                                         struct rte_mbuf *m, enum flow_use use)
{
    uint32_t bytes = rill_frame(m)->wire_bytes;
    enum rill_flowlet_start start;
    uint8_t flags = 0;

    if (unlikely(use != FLOW_USED || flow->reopen))
        flow_keep_used_ns(flow);
    start = rill_wgm_packet(&c->wgm, &flow->wgm, bytes, c->now_ns);
    /* A unit that is no longer leased serves nothing: the flow must not wait there for its gap. An
     * inherited flow's term is over, also where the flowlet's first packets were dropped below. */
    if (start == RILL_FLOWLET_SAME && unlikely(flow->reopen || !wam_is_active(c->wam, flow->owner)))
        start = RILL_FLOWLET_BY_SIZE;
    if (unlikely(flow->reopen && flow->chain_len == RILL_CHAIN_MAX)) {
        drop(m, &c->n.dropped_takeover); /* until one of its terms turns out to be established */
        return;
    }
    if (start != RILL_FLOWLET_SAME)
        flags = begin_flowlet(c, flow, start);
    flows_touch(c, flow, use);
    wam_drained(c->wam, flow->owner, bytes, &flow->pending, c->now_ns);
    smm_stamp(c, flow, m, flags);
    c->n.packets_to_units++;
    c->n.bytes_to_units += bytes;
    rill_outbox_put(c->out, m);
}

static __rte_noinline void send_to_unit(struct rill_controller *c, struct flow *flow,
                                        struct rte_mbuf *m, enum flow_use use)
{
    send_now(c, flow, m, use);
}

/* A later fragment goes where its first went, or waits for it. */
static void take_later_fragment(struct rill_controller *c, const struct rill_view *view,
                                struct rte_mbuf *m)
{
    struct flow *flow = find_flow_of_fragment(c, view, rill_frame(m));

    if (flow != NULL) {
        send_to_unit(c, flow, m, FLOW_USED);
        return;
    }
    m = rill_fragment_hold_put(&c->early, m, c->now_ns);
    if (m != NULL)
        drop(m, &c->n.dropped_fragment_without_first);
}

/* A first fragment: those that came before it may go now. */
static void take_first_fragment(struct rill_controller *c, const struct rill_view *view,
                                struct flow *flow, struct rte_mbuf *m)
{
    rill_fragments_first(c->fragments, view, (enum rill_side)rill_frame(m)->side, flow->number,
                         c->now_ns);
    send_to_unit(c, flow, m, FLOW_USED);
    for (uint32_t i = 0; i < c->early.count;) {
        struct rte_mbuf *early = c->early.held[i].m;
        struct rill_view its_view;
        struct flow *its_flow = NULL;

        if (rill_parse(early, rill_frame(early)->wire_bytes, &its_view) == RILL_PARSE_OK)
            its_flow = find_flow_of_fragment(c, &its_view, rill_frame(early));
        if (its_flow == NULL)
            i++;
        else
            send_to_unit(c, its_flow, rill_fragment_hold_take(&c->early, i), FLOW_USED);
    }
}

/* No unit is leased. What no flow can come of asks for none, and is not held. */
static void wait_for_unit(struct rill_controller *c, const struct arrival *a, struct rte_mbuf *m)
{
    enum rill_side side = (enum rill_side)rill_frame(m)->side;

    if (c->config.inside_opens && !(a->view.flags & RILL_VIEW_LATER_FRAGMENT) &&
        arrival_flow(c, a, side) == NULL && opens_none(c, &a->view, m))
        return;
    waiting_put(c, m);
}

/* One that is not simply a whole packet of a flow, or none is served now. */
static __rte_noinline void take_other(struct rill_controller *c, struct rte_mbuf *m,
                                      const struct arrival *a)
{
    const struct rill_view *view = &a->view;
    struct flow *flow;

    if (a->parsed == RILL_PARSE_NOT_IP) {
        unhandled(c, m);
        return;
    }
    if (a->parsed != RILL_PARSE_OK) {
        drop(m, &c->n.dropped_malformed[a->parsed]);
        return;
    }
    if (!(arrival_handles(view) & c->config.handles)) {
        unhandled(c, m);
        return;
    }
    if (c->takeover.active) {
        drop(m, &c->n.dropped_takeover);
        return;
    }
    if (rill_controller_units(c) == 0) {
        wait_for_unit(c, a, m);
        return;
    }
    if (view->flags & RILL_VIEW_LATER_FRAGMENT) {
        take_later_fragment(c, view, m);
        return;
    }
    flow = find_flow(c, a, m);
    if (flow == NULL)
        return;
    if (view->source.proto == RILL_TCP)
        flows_saw_tcp(c, flow, view, (enum rill_side)rill_frame(m)->side);
    if (view->flags & RILL_VIEW_FRAGMENT)
        take_first_fragment(c, view, flow, m);
    else
        send_to_unit(c, flow, m, view->flags & RILL_VIEW_ICMP_ERROR ? FLOW_SPOKEN_OF : FLOW_USED);
}

static __rte_always_inline void take_packet(struct rill_controller *c, struct rte_mbuf *m,
                                            const struct arrival *a)
{
    const struct rill_view *view = &a->view;
    struct flow *flow;

    if (unlikely(!a->plain || !c->serves)) {
        take_other(c, m, a);
        return;
    }
    flow = arrival_known_flow(c, a);
    if (unlikely(flow == NULL))
        flow = find_flow(c, a, m);
    if (flow == NULL)
        return;
    if (view->source.proto == RILL_TCP)
        flows_saw_tcp(c, flow, view, (enum rill_side)rill_frame(m)->side);
    send_now(c, flow, m, FLOW_USED);
}

/* Whether units are active changes only between bursts. */
static void look_at_units(struct rill_controller *c)
{
    uint32_t units = rill_controller_units(c);

    c->serves = units > 0 && !c->takeover.active;
    c->copies = units > 1 && c->config.proactive;
}

/* A unit is leased: what waited for it goes on, in the order in which it came. */
static void resume(struct rill_controller *c)
{
    struct arrival a;
    struct rte_mbuf *m;

    look_at_units(c);
    while (rill_controller_units(c) > 0 && (m = waiting_take(c)) != NULL) {
        arrivals_read(c, &m, 1, &a);
        take_packet(c, m, &a);
    }
}

static void begin(struct rill_controller *c, uint64_t now_ns, struct rill_outbox *out)
{
    if (now_ns < c->newest_ns)
        c->n.clock_clamped++;
    else
        c->newest_ns = now_ns;
    c->now_ns = c->newest_ns;
    c->out = out;
}

void rill_controller_ingress(struct rill_controller *c, struct rte_mbuf **packets, uint32_t n,
                             uint64_t now_ns, struct rill_outbox *out)
{
    enum { FETCH_AHEAD = 8 }; /* packets: the time of that many is as long as a wait for memory */
    struct arrival arrivals[ARRIVALS_MAX];

    begin(c, now_ns, out);
    if (!RILL_MUTANT(lease_asleep))
        capacity_expire(c);
    look_at_units(c);
    while (n > 0) {
        uint32_t burst = RTE_MIN(n, (uint32_t)ARRIVALS_MAX);

        arrivals_read(c, packets, burst, arrivals);
        for (uint32_t i = 0; i < burst && i < FETCH_AHEAD; i++)
            arrival_fetch(c, &arrivals[i]);
        for (uint32_t i = 0; i < burst; i++) {
            if (i + FETCH_AHEAD < burst)
                arrival_fetch(c, &arrivals[i + FETCH_AHEAD]);
            c->n.packets_in++;
            c->n.bytes_in += rill_frame(packets[i])->wire_bytes;
            take_packet(c, packets[i], &arrivals[i]);
        }
        packets += burst;
        n -= burst;
    }
    capacity_check(c);
    resume(c);
}

static void handle_message(struct rill_controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    switch (f->type) {
    case RILL_FRAME_DEATH:
        recovery_on_death(c, f);
        return;
    case RILL_FRAME_FENCE_ACK:
        recovery_on_fence_ack(c, f);
        return;
    case RILL_FRAME_LEASE_GRANT:
        capacity_on_grant(c, m);
        resume(c);
        return;
    case RILL_FRAME_MEMBERS:
        takeover_on_members(c, m);
        return;
    case RILL_FRAME_INVENTORY_PART:
        takeover_on_part(c, m);
        return;
    default:
        break;
    }
    if (c->takeover.active)
        return; /* it is said, or asked, again when the flows are known */
    switch (f->type) {
    case RILL_FRAME_ESTABLISHED:
        smm_on_established(c, f);
        break;
    case RILL_FRAME_ALIAS:
        endpoints_on_alias(c, m);
        break;
    case RILL_FRAME_NEED:
        smm_on_need(c, f);
        break;
    case RILL_FRAME_WHERE:
        smm_on_where(c, f);
        break;
    case RILL_FRAME_POOL_REQUEST:
        endpoints_on_request(c, f);
        break;
    case RILL_FRAME_RECOVERED_ACK:
        recovery_on_recovered_ack(c, f);
        break;
    case RILL_FRAME_LOGGER_STATE:
        recovery_on_logger_state(c, f);
        break;
    default:
        c->n.messages_unknown++;
        break;
    }
}

static bool is_turned(const struct rill_controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    return f->type == RILL_FRAME_TURNED && f->dst == c->config.id && rill_frame_has_packet(m) &&
           rill_role_kind(f->src) == RILL_ROLE_OUTPUT_LOGGER;
}

/* Such as one that was turned round for the controller before this one. */
static void drop_unexpected(struct rill_controller *c, const struct rill_frame *f)
{
    c->n.packets_in++;
    c->n.bytes_in += f->wire_bytes;
    c->n.dropped_unexpected++;
}

void rill_controller_recv(struct rill_controller *c, struct rte_mbuf **frames, uint32_t n,
                          uint64_t now_ns, struct rill_outbox *out)
{
    uint32_t packets = 0;

    begin(c, now_ns, out);
    capacity_expire(c);
    for (uint32_t i = 0; i < n; i++) {
        if (is_turned(c, frames[i])) {
            if (turned_take(c, frames[i]))
                frames[packets++] = frames[i];
            continue;
        }
        if (rill_frame(frames[i])->dst == c->config.id)
            handle_message(c, frames[i]);
        else
            c->n.messages_unknown++;
        if (rill_frame_has_packet(frames[i]))
            drop_unexpected(c, rill_frame(frames[i]));
        rte_pktmbuf_free(frames[i]);
    }
    if (packets > 0)
        rill_controller_ingress(c, frames, packets, now_ns, out);
}

void rill_controller_tick(struct rill_controller *c, uint64_t now_ns, struct rill_outbox *out)
{
    begin(c, now_ns, out);
    flows_tick(c);
    while (rill_fragment_hold_due_ns(&c->early) <= c->now_ns)
        drop(rill_fragment_hold_take(&c->early, 0), &c->n.dropped_fragment_without_first);
    takeover_tick(c);
    if (c->takeover.active)
        return; /* units are wanted when there is something to send them */
    waiting_tick(c);
    capacity_tick(c);
    resume(c);
    recovery_tick(c);
}

uint64_t rill_controller_next_ns(struct rill_controller *c)
{
    uint64_t next_ns =
        RTE_MIN(rill_timer_wheel_next_ns(c->idle), rill_fragment_hold_due_ns(&c->early));

    if (c->takeover.active)
        return RTE_MIN(next_ns, takeover_next_ns(c));
    next_ns = RTE_MIN(next_ns, waiting_next_ns(c));
    return RTE_MIN(next_ns, RTE_MIN(capacity_next_ns(c), recovery_next_ns(c)));
}

/* In mode SMART_FLOW what is assigned is all that a flow brings in a period. */
static void init_wgm(struct rill_controller *c)
{
    const struct rill_controller_config *config = &c->config;

    if (config->mode == RILL_MODE_SMART_FLOW)
        rill_wgm_init_period(&c->wgm, config->smart_flow_ns, config->ewma_weight);
    else
        rill_wgm_init(&c->wgm, config->flowlet_timeout_ns, config->flowlet_bytes,
                      config->ewma_weight);
}

static int init_parts(struct rill_controller *c, struct rill_error *err)
{
    const struct rill_controller_config *config = &c->config;
    struct rill_wam_config wam = {.units_max = config->units_max,
                                  .placement = config->placement,
                                  .alpha = config->alpha,
                                  .backlog_ns = config->unit_backlog_ns,
                                  .backlog_max_ns = config->lease_backlog_ns,
                                  .expect_ns = config->mode == RILL_MODE_SMART_FLOW
                                                   ? config->smart_flow_ns
                                                   : config->flowlet_timeout_ns};

    init_wgm(c);
    rill_rng_seed(&c->rng, config->seed);
    c->wam = rill_wam_create(&wam);
    c->fragments = rill_fragments_create(RILL_FRAGMENTS_DEFAULT, config->hash_seed);
    if (c->wam == NULL || c->fragments == NULL || capacity_init(c) != 0 || waiting_init(c) != 0)
        return rill_error_set(err, -ENOMEM, "no memory for a controller of %u units",
                              config->units_max);
    if (endpoints_init(c, err) != 0)
        return -ENOMEM;
    if (flows_init(c, err) != 0)
        return -ENOMEM;
    return takeover_init(c, err);
}

struct rill_controller *rill_controller_create(const struct rill_controller_config *config,
                                               struct rill_error *err)
{
    struct rill_controller *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for a controller");
        return NULL;
    }
    c->config = *config;
    c->clock = rill_epoch_base(config->epoch);
    c->term = rill_epoch_base(config->epoch);
    if (init_parts(c, err) != 0) {
        rill_controller_destroy(c);
        return NULL;
    }
    return c;
}

void rill_controller_destroy(struct rill_controller *c)
{
    if (c == NULL)
        return;
    rill_fragment_hold_fini(&c->early);
    waiting_fini(c);
    takeover_fini(c);
    flows_fini(c);
    endpoints_fini(c);
    capacity_fini(c);
    rill_fragments_destroy(c->fragments);
    rill_wam_destroy(c->wam);
    free(c);
}

bool rill_controller_taking_over(const struct rill_controller *c)
{
    return c->takeover.active;
}

uint32_t rill_controller_units(const struct rill_controller *c)
{
    return rill_wam_active_count(c->wam);
}

uint32_t rill_controller_unit(struct rill_controller *c, uint32_t i, uint64_t now_ns,
                              double *utilization)
{
    uint32_t unit = rill_wam_active_at(c->wam, i);

    *utilization = unit != 0 ? rill_wam_utilization(c->wam, unit, now_ns) : 0;
    return unit;
}

uint32_t rill_controller_unit_share(const struct rill_controller *c, uint32_t unit)
{
    return capacity_share(c, unit);
}

uint32_t rill_controller_leased(const struct rill_controller *c, uint32_t i, uint32_t *unit)
{
    if (i >= c->capacity.count)
        return 0;
    *unit = c->capacity.units[i].unit;
    return c->capacity.units[i].share;
}

const struct rill_controller_counters *rill_controller_counters(const struct rill_controller *c)
{
    return &c->n;
}

uint64_t rill_controller_packets_held(const struct rill_controller *c)
{
    return c->early.count + c->waiting.count;
}

bool rill_controller_flow_alive(const struct rill_controller *c, uint64_t number)
{
    const struct flow *flow = flows_by_number(c, number);

    return flow != NULL && !flow->retired;
}

uint32_t rill_controller_unestablished(const struct rill_controller *c)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i <= c->by_number.mask; i++)
        for (const struct rill_map_node *node = c->by_number.buckets[i]; node; node = node->next) {
            const struct flow *flow = flow_of_node(node);

            n += flow->chain_len > 1 && !flow->retired; /* one that is may get no packet more */
        }
    return n;
}

uint64_t rill_controller_alias_flow(struct rill_controller *c, const struct rill_endpoint *local,
                                    const struct rill_endpoint *remote)
{
    struct rill_flow_key key;
    struct flow *flow;

    rill_alias_key(local, remote, c->config.vni, &key);
    flow = flows_by_alias(c, &key);
    return flow != NULL ? flow->number : 0;
}
