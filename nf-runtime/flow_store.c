/* Entries for flows: made on first mention, forgotten only on the controller's word and after they
 * were idle longer than any frame lives (rule "grace"). Segments (terms waited for) hang on them.
 */
#include "nf-runtime/unit_internal.h"

/* Terms of one flow that wait here. One handoff at a time makes that a few; more are nonsense, and
 * would be begun one inside the other. */
enum { SEGMENTS_PER_FLOW_MAX = 16 };

int store_init(struct rill_unit *u)
{
    size_t head = rill_state_at(sizeof(struct flow), u->state_bytes);

    u->state_at = (uint32_t)head;
    if (rill_flow_map_init(&u->flows, u->config.flows_max) != 0 ||
        rill_slab_init_sparse(&u->flow_slab, head + 2 * (size_t)u->state_bytes, head,
                              u->config.flows_max) ||
        rill_slab_init(&u->segment_slab, sizeof(struct segment), u->config.flows_max))
        return -1;
    spare_init(u);
    u->gaps = rill_timer_wheel_create(4096, 16 * 1000);
    u->questions = rill_timer_wheel_create(1024, 250 * 1000);
    u->slow = rill_timer_wheel_create(1024, 64 * 1000 * 1000);
    return u->gaps == NULL || u->questions == NULL || u->slow == NULL ? -1 : 0;
}

static void stash_free(struct segment *g)
{
    for (struct rte_mbuf *m = g->stash, *next; m != NULL; m = next) {
        next = rill_frame(m)->link;
        rte_pktmbuf_free(m);
    }
}

void store_fini(struct rill_unit *u)
{
    for (uint32_t i = 0; u->flows.buckets != NULL && i <= u->flows.mask; i++)
        for (struct rill_map_node *node = u->flows.buckets[i]; node != NULL; node = node->next)
            for (struct segment *g = ((struct flow *)node)->segments; g != NULL; g = g->next)
                stash_free(g);
    rill_flow_map_fini(&u->flows);
    rill_slab_fini(&u->flow_slab);
    rill_slab_fini(&u->segment_slab);
    rill_timer_wheel_destroy(u->gaps);
    rill_timer_wheel_destroy(u->questions);
    rill_timer_wheel_destroy(u->slow);
}

struct flow *store_get(struct rill_unit *u, uint64_t number)
{
    struct flow *flow = store_find(u, number);

    if (flow == NULL) {
        flow = rill_slab_get(&u->flow_slab);
        if (flow == NULL && spare_evict(u)) /* a copy never keeps a flow out */
            flow = rill_slab_get(&u->flow_slab);
        if (flow == NULL)
            return NULL;
        flow->node.flow = number;
        flow->state = (uint8_t *)flow + u->state_at;
        rill_flow_map_insert(&u->flows, &flow->node);
        flow->last_arrival_ns = u->now_ns;
        rill_timer_arm(u->slow, &flow->keep_timer, u->now_ns + u->config.keep_ns);
        spare_update(u, flow);
    }
    flow->last_ns = u->now_ns;
    return flow;
}

/* Since its last packet, wherever that was: whoever gets the flow is told. UINT64_MAX: not known.
 */
uint64_t flow_idle_ns(const struct rill_unit *u, const struct flow *flow)
{
    return flow->active_ns != 0 ? u->now_ns - flow->active_ns : UINT64_MAX;
}

/* UINT32_MAX: not known. More than that can't be told. */
uint32_t flow_idle_us(const struct rill_unit *u, const struct flow *flow)
{
    uint64_t ns = flow_idle_ns(u, flow);

    return ns == UINT64_MAX ? UINT32_MAX : (uint32_t)RTE_MIN(ns / 1000, (uint64_t)UINT32_MAX - 1);
}

void flow_heard_idle(const struct rill_unit *u, struct flow *flow, uint32_t idle_us)
{
    uint64_t idle_ns = (uint64_t)idle_us * 1000;

    if (idle_us != UINT32_MAX && idle_ns < flow_idle_ns(u, flow) && idle_ns < u->now_ns)
        flow->active_ns = u->now_ns - idle_ns;
}

/* Nothing of it waits. */
void store_remove(struct rill_unit *u, struct flow *flow)
{
    rill_timer_stop(u->gaps, &flow->push_timer);
    rill_timer_stop(u->slow, &flow->keep_timer);
    spare_leave(u, flow);
    u->flows_removed++;
    rill_flow_map_remove(&u->flows, &flow->node);
    memset(flow->state, 0, flow->state_used); /* the slab is sparse */
    memset(flow_replica_state(u, flow), 0, flow->replica_used);
    rill_slab_put(&u->flow_slab, flow);
}

/* Nobody else may have its last step: the output logger has not said that it does. One that has
 * not even the term is told in the gap already. */
static void keep_until_synced(struct rill_unit *u, struct flow *flow)
{
    uint64_t pause_ns = u->config.keep_ns;

    if (flow_term_is_logged(u, flow)) {
        if (!RILL_MUTANT(sync))
            replicate_sync(u, flow);
        pause_ns = replicate_sync_pause_ns(u, flow);
    }
    rill_timer_arm(u->slow, &flow->keep_timer, u->now_ns + pause_ns);
}

/* That we own, owned, or wait for. */
static uint64_t newest_term(const struct flow *flow)
{
    uint64_t term = flow->granted;

    for (const struct segment *g = flow->segments; g != NULL; g = g->next)
        term = RTE_MAX(term, g->term);
    return term;
}

/* The flow may have been idle for long: ask the controller whether it is still needed here. */
void store_keep_due(struct rill_unit *u, struct flow *flow)
{
    uint64_t idle_at_ns = flow->last_ns + u->config.keep_ns;
    struct rte_mbuf *m;

    if (flow->last_ns + (RILL_MUTANT(grace) ? 0 : u->config.keep_ns) > u->now_ns) {
        /* Not at once: timers of one tick are sorted in one by one. */
        idle_at_ns = RTE_MAX(idle_at_ns, u->now_ns + u->config.keep_ns / 4);
        rill_timer_arm(u->slow, &flow->keep_timer, idle_at_ns);
        return;
    }
    if (flow->owning && !flow_is_synced(u, flow)) {
        keep_until_synced(u, flow);
        return;
    }
    rill_timer_arm(u->slow, &flow->keep_timer, u->now_ns + u->config.keep_ns);
    m = unit_message(u, RILL_FRAME_NEED, unit_controller(u, flow->node.flow), flow->node.flow);
    if (m == NULL)
        return;
    rill_frame(m)->term = newest_term(flow);
    rill_frame(m)->next_unit = u->config.id;
    unit_send(u, m);
}

/* The flow has ended. While some older copy may be that a controller which takes over takes for a
 * living flow's, ours is here to tell what is newer ("hold"). */
static bool is_held(const struct rill_unit *u, const struct flow *flow)
{
    uint64_t last_ns = RTE_MAX(flow->last_ns, flow->vouched_ns);

    return flow->granted != 0 && last_ns + u->config.hold_ns > u->now_ns && !RILL_MUTANT(hold);
}

void store_on_forget(struct rill_unit *u, const struct rill_frame *f)
{
    struct flow *flow = store_find(u, f->flow);

    if (flow != NULL && (f->flags & RILL_FLAG_REFUSED) && f->term == newest_term(flow))
        flow->vouched_ns = u->now_ns;
    if (flow == NULL || (f->flags & RILL_FLAG_REFUSED) || flow->granted >= f->term ||
        (f->term == UINT64_MAX && is_held(u, flow)) ||
        (flow->last_ns + u->config.keep_ns > u->now_ns && !RILL_MUTANT(grace)) ||
        (flow->segments != NULL && f->term != UINT64_MAX))
        return;
    /* The flow has ended, and ours may be the only copy that has its endpoint: our successor may
     * never have got it. The output logger hears of it first; we ask again later. */
    if (f->term == UINT64_MAX && flow->has_state && !flow_is_synced(u, flow) &&
        !RILL_MUTANT(last_copy)) {
        replicate_sync(u, flow);
        return;
    }
    if (f->term == UINT64_MAX && flow->segments == NULL)
        commit_flow_end(u, flow);
    while (flow->segments != NULL)
        store_drop_segment(u, flow->segments, &u->n.dropped_forgotten);
    store_remove(u, flow);
    u->n.flows_forgotten++;
}

void rill_unit_each_owned(const struct rill_unit *u,
                          void (*each)(void *arg, uint64_t flow, uint64_t term), void *arg)
{
    for (uint32_t i = 0; i <= u->flows.mask; i++)
        for (struct rill_map_node *node = u->flows.buckets[i]; node != NULL; node = node->next) {
            const struct flow *flow = (const struct flow *)node;

            if (flow->owning && flow->has_state)
                each(arg, node->flow, flow->granted);
        }
}

static bool end_flow(struct rill_unit *u, struct flow *flow)
{
    if (!flow->owning || !flow->has_state)
        return false;
    commit_flow_end(u, flow);
    while (flow->segments != NULL)
        store_drop_segment(u, flow->segments, &u->n.dropped_forgotten);
    store_remove(u, flow);
    return true;
}

bool rill_unit_end_flow(struct rill_unit *u, uint64_t number, uint64_t now_ns)
{
    struct flow *flow = store_find(u, number);

    u->now_ns = now_ns;
    return flow != NULL && end_flow(u, flow);
}

void rill_unit_end_owned(struct rill_unit *u, uint64_t now_ns)
{
    struct rill_map_node *next;

    u->now_ns = now_ns;
    for (uint32_t i = 0; i <= u->flows.mask; i++)
        for (struct rill_map_node *node = u->flows.buckets[i]; node != NULL; node = next) {
            next = node->next;
            end_flow(u, (struct flow *)node);
        }
}

/* The same chain again may say of more units that they are dead. */
static void learn_deaths(struct segment *g, const struct rill_chain_entry *chain, uint8_t len)
{
    for (uint8_t i = 0; i < len; i++)
        for (uint8_t j = 0; chain[i].output_logger != 0 && j < g->chain_len; j++)
            if (g->chain[j].unit == chain[i].unit)
                g->chain[j].output_logger = chain[i].output_logger;
}

/* The list of all that wait, for when a unit dies. */
static void link_waiting(struct rill_unit *u, struct segment *g)
{
    g->prev_waiting = NULL;
    g->next_waiting = u->waiting;
    if (u->waiting != NULL)
        u->waiting->prev_waiting = g;
    u->waiting = g;
}

static void unlink_waiting(struct rill_unit *u, struct segment *g)
{
    if (g->prev_waiting != NULL)
        g->prev_waiting->next_waiting = g->next_waiting;
    else
        u->waiting = g->next_waiting;
    if (g->next_waiting != NULL)
        g->next_waiting->prev_waiting = g->prev_waiting;
}

static void set_chain(struct segment *g, const struct rill_chain_entry *chain, uint8_t len)
{
    g->chain_len = len;
    g->chain_at = 0;
    memcpy(g->chain, chain, len * sizeof(chain[0]));
}

/* The flow's segment for `term`, made if need be; NULL if there is no memory. A chain of length 0
 * is one that is not known. */
struct segment *store_segment(struct rill_unit *u, struct flow *flow, uint64_t term,
                              const struct rill_chain_entry *chain, uint8_t chain_len)
{
    struct segment **at = &flow->segments, *g;
    uint32_t waiting = 0;

    while (*at != NULL && (*at)->term < term)
        at = &(*at)->next;
    g = *at;
    if (g != NULL && g->term == term) {
        if (g->chain_len == 0 && chain_len > 0)
            set_chain(g, chain, chain_len);
        else
            learn_deaths(g, chain, chain_len);
        return g;
    }
    for (const struct segment *other = flow->segments; other != NULL; other = other->next)
        if (++waiting == SEGMENTS_PER_FLOW_MAX)
            return NULL;
    g = rill_slab_get(&u->segment_slab);
    if (g == NULL)
        return NULL;
    g->flow = flow;
    g->term = term;
    set_chain(g, chain, chain_len);
    g->next = *at;
    *at = g;
    link_waiting(u, g);
    spare_update(u, flow);
    rill_timer_arm(u->questions, &g->timer, u->now_ns + u->config.pull_timeout_ns);
    return g;
}

/* Takes the segment out and frees it; its packets are dropped and counted. */
void store_drop_segment(struct rill_unit *u, struct segment *g, uint64_t *packet_counter)
{
    struct segment **at = &g->flow->segments;

    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    unlink_waiting(u, g);
    rill_timer_stop(u->questions, &g->timer);
    u->stashed -= g->stashed;
    *packet_counter += g->stashed;
    stash_free(g);
    spare_update(u, g->flow);
    rill_slab_put(&u->segment_slab, g);
}

/* Holds a packet, in order of its clock; a second one of the same clock is a duplicate. */
void stash_put(struct rill_unit *u, struct segment *g, struct rte_mbuf *m)
{
    uint64_t clock = rill_frame(m)->clock;
    struct rte_mbuf **at = &g->stash;

    if (g->stashed >= u->config.stash_packets_per_flow ||
        u->stashed >= u->config.stash_packets_per_unit) {
        unit_drop(m, &u->n.dropped_stash_full);
        return;
    }
    if (g->stash_tail != NULL && rill_frame(g->stash_tail)->clock < clock)
        at = &rill_frame(g->stash_tail)->link;
    while (*at != NULL && rill_frame(*at)->clock < clock)
        at = &rill_frame(*at)->link;
    if (*at != NULL && rill_frame(*at)->clock == clock) {
        unit_drop(m, &u->n.dropped_late_or_duplicate);
        return;
    }
    if (RILL_MUTANT(stash_forgets) && g->stashed > 0) {
        rte_pktmbuf_free(m);
        return;
    }
    rill_frame(m)->link = *at;
    if (*at == NULL)
        g->stash_tail = m;
    *at = m;
    g->stashed++;
    u->stashed++;
}
