/* Public endpoints: blocks of the NF's pools for the units, and the aliases that flows declare. The
 * controller alone gives and takes back, so that no two flows can have the same one.
 *
 * Of several controllers each has a part of every pool, as replies come to the one whose endpoint
 * they are for (lib/packet/split.h). The books here count from the part's first; frames and NFs
 * count from the pool's. */
#include <errno.h>

#include "controller/internal.h"
#include "lib/packet/split.h"

static uint32_t size_of(const struct rill_controller_pool *spec)
{
    return spec->addresses * (spec->port_high - spec->port_low + 1u);
}

static struct rill_split_range part_of(const struct rill_controller *c, unsigned pool)
{
    uint32_t size = size_of(&c->config.pools[pool]);

    if (c->config.controllers <= 1 || RILL_MUTANT(pool_part))
        return (struct rill_split_range){.low = 0, .end = size};
    return rill_split_part(size, rill_epoch_slot(c->config.epoch), c->config.controllers);
}

int endpoints_init(struct rill_controller *c, struct rill_error *err)
{
    for (unsigned i = 0; i < c->config.pool_count; i++) {
        struct rill_split_range part = part_of(c, i);

        if (part.low == part.end)
            return rill_error_set(err, -EINVAL,
                                  "a pool of %u endpoints is too small for %u controllers: give it "
                                  "more ports or addresses",
                                  size_of(&c->config.pools[i]), c->config.controllers);
        c->part_low[i] = part.low;
        c->pools[i] = rill_port_pool_create(part.end - part.low, c->config.pool_quarantine_ns);
        c->lease[i] = calloc(part.end - part.low, sizeof(c->lease[i][0]));
        if (c->pools[i] == NULL || c->lease[i] == NULL)
            return rill_error_set(err, -ENOMEM, "no memory for a pool of %u addresses: give fewer",
                                  c->config.pools[i].addresses);
    }
    return 0;
}

void endpoints_fini(struct rill_controller *c)
{
    for (unsigned i = 0; i < c->config.pool_count; i++) {
        rill_port_pool_destroy(c->pools[i]);
        free(c->lease[i]);
    }
}

static void grant(struct rill_controller *c, const struct pool_question *q)
{
    uint32_t indexes[RILL_PORT_GRANT_MAX];
    struct rte_mbuf *m;
    uint64_t lease;
    uint32_t n;

    if (rill_port_pool_is_stale(c->pools[q->pool], q->unit, q->number))
        return;
    lease = ++c->clock;
    rill_port_pool_advance(c->pools[q->pool], c->now_ns);
    n = rill_port_pool_grant(c->pools[q->pool], q->unit, q->number, q->count, &lease, indexes);
    for (uint32_t i = 0; i < n; i++) {
        c->lease[q->pool][indexes[i]] = lease;
        indexes[i] += c->part_low[q->pool];
    }
    if (RILL_MUTANT(port_twice))
        for (uint32_t i = 0; i < n; i++)
            indexes[i] = i;
    m = ctl_message(c, RILL_FRAME_POOL_GRANT, q->unit, 0);
    if (m == NULL)
        return;
    rill_frame(m)->pool = (uint16_t)q->pool;
    rill_frame(m)->clock = q->number;
    rill_frame(m)->term = lease;
    rill_frame(m)->count = n;
    if (rill_body_append(m, c->config.pool, indexes, n * sizeof(indexes[0])) != 0) {
        c->n.messages_no_mbuf++;
        rte_pktmbuf_free(m);
        return;
    }
    c->n.pool_grants++;
    c->n.pool_endpoints_granted += n;
    rill_outbox_put(c->out, m);
}

/* It asks as soon as it has a share, which is before we have heard of it. One whose death others
 * have seen to before we took over is told nothing: nobody would say when its endpoints are back.
 */
static bool is_stranger(const struct rill_controller *c, uint32_t pool, uint32_t unit)
{
    return !rill_port_pool_knows(c->pools[pool], unit) && !takeover_asked(c, unit) &&
           capacity_share(c, unit) == 0;
}

void endpoints_on_request(struct rill_controller *c, const struct rill_frame *f)
{
    struct pool_question q = {
        .unit = f->src, .pool = f->pool, .count = f->count, .number = f->clock};

    if (f->pool >= c->config.pool_count)
        c->n.messages_malformed++;
    else if (is_stranger(c, f->pool, f->src))
        c->questions[c->questions_next++ % POOL_QUESTIONS_MAX] = q;
    else
        grant(c, &q);
}

void endpoints_unit_leased(struct rill_controller *c, uint32_t unit)
{
    for (uint32_t i = 0; i < RTE_MIN(c->questions_next, (uint32_t)POOL_QUESTIONS_MAX); i++) {
        struct pool_question q = c->questions[i];

        if (q.unit != unit)
            continue;
        c->questions[i].unit = 0;
        grant(c, &q);
    }
}

/* Counted from the pool's first. */
static bool find_anywhere(const struct rill_controller *c, const struct rill_endpoint *e,
                          uint32_t *pool, uint32_t *index)
{
    for (unsigned p = 0; p < c->config.pool_count; p++) {
        const struct rill_controller_pool *spec = &c->config.pools[p];

        if (spec->proto != e->proto || spec->family != e->family || e->port < spec->port_low ||
            e->port > spec->port_high)
            continue;
        for (uint32_t a = 0; a < spec->addresses; a++) {
            if (memcmp(spec->addr[a], e->addr, sizeof(e->addr)) != 0)
                continue;
            *pool = p;
            *index = a * (spec->port_high - spec->port_low + 1u) + (e->port - spec->port_low);
            return true;
        }
    }
    return false;
}

bool endpoints_own(const struct rill_controller *c, uint32_t pool, uint32_t *index)
{
    if (pool >= c->config.pool_count || *index < c->part_low[pool] ||
        *index - c->part_low[pool] >= rill_port_pool_size(c->pools[pool]))
        return false;
    *index -= c->part_low[pool];
    return true;
}

bool endpoints_find(const struct rill_controller *c, const struct rill_endpoint *e, uint32_t *pool,
                    uint32_t *index)
{
    return find_anywhere(c, e, pool, index) && endpoints_own(c, *pool, index);
}

/* Packets to it come to another controller. */
static bool is_of_another(const struct rill_controller *c, const struct rill_endpoint *e)
{
    uint32_t pool, index;

    return find_anywhere(c, e, &pool, &index) && !endpoints_own(c, pool, &index);
}

/* The flow declares the endpoint that it took: whoever leases it, for the flow may have moved on
 * before we heard. False if another flow uses it, or nobody leases it. */
static bool use_endpoint(struct rill_controller *c, uint32_t pool, uint32_t index, uint64_t flow)
{
    uint32_t unit;

    rill_port_pool_state(c->pools[pool], index, &unit, NULL);
    return rill_port_pool_use(c->pools[pool], index, unit, flow) == RILL_PORT_OK;
}

/* Endpoints rest whose flows are not known here any more. As long as they do, units and output
 * loggers must forget nothing of such flows, nor may a dead unit's logger go: who takes over has to
 * hear of these endpoints. */
static void rest_untold(struct rill_controller *c)
{
    if (!RILL_MUTANT(rest_untold))
        c->untold_until_ns = c->now_ns + c->config.pool_quarantine_ns;
}

static void flow_leaves(struct rill_controller *c, const struct flow *flow, uint32_t pool,
                        uint32_t index)
{
    if (flow_age_has_rested(c, flow))
        rill_port_pool_rested(c->pools[pool], index, flow->number);
    else if (rill_port_pool_flow_ended(c->pools[pool], index, flow->number, c->now_ns) ==
             RILL_PORT_OK)
        rest_untold(c);
}

/* A flow that has ended without our having heard of its endpoint: it comes back now. Only if it
 * took it from the present lease: else another flow may have it by now. */
static void reclaim(struct rill_controller *c, const struct rill_alias *alias, uint64_t number)
{
    uint32_t pool, index;

    if (endpoints_find(c, &alias->local, &pool, &index) &&
        (alias->lease == c->lease[pool][index] || RILL_MUTANT(lease)) &&
        use_endpoint(c, pool, index, number))
        rill_port_pool_flow_ended(c->pools[pool], index, number, c->now_ns);
}

static bool uses(const struct rill_controller *c, const struct flow *flow,
                 const struct rill_alias *alias)
{
    uint32_t pool, index;

    return flow->has_endpoint && endpoints_find(c, &alias->local, &pool, &index) &&
           flow->endpoint_pool == pool && flow->endpoint_index == index;
}

/* The alias that was inherited with the flow, and that no controller confirmed, was another
 * branch's of its history: what it is now is what its output logger says. */
static void drop_unsure(struct rill_controller *c, struct flow *flow)
{
    if (!flow->has_alias || !flow->alias_unsure)
        return;
    key_map_remove(&c->by_alias, &flow->alias_key);
    if (flow->has_endpoint)
        flow_leaves(c, flow, flow->endpoint_pool, flow->endpoint_index);
    flow->has_alias = flow->has_endpoint = flow->alias_unsure = false;
    c->n.aliases_replaced++;
}

/* The alias of a flow that is retired is the next one's who wants it: unless it is an endpoint. */
static struct flow *give_way(struct rill_controller *c, struct flow *other)
{
    if (other == NULL || !other->retired || other->has_endpoint)
        return other;
    key_map_remove(&c->by_alias, &other->alias_key);
    other->has_alias = false;
    return NULL;
}

/* True if the alias is the flow's now. */
static bool register_alias(struct rill_controller *c, struct flow *flow,
                           const struct rill_alias *alias)
{
    struct rill_flow_key key;
    struct flow *other;
    uint32_t pool, index;
    bool pooled;

    rill_alias_key(&alias->local, alias->remote.family != 0 ? &alias->remote : NULL, c->config.vni,
                   &key);
    other = flows_by_alias(c, &key);
    if (other == flow) {
        flow->alias_unsure = false;
        return true;
    }
    other = give_way(c, other);
    drop_unsure(c, flow);
    pooled = endpoints_find(c, &alias->local, &pool, &index);
    if (other != NULL || flow->has_alias || is_of_another(c, &alias->local) ||
        (pooled && !use_endpoint(c, pool, index, flow->number))) {
        c->n.alias_conflicts++;
        return false;
    }
    flow->has_alias = true;
    key_map_insert(&c->by_alias, &flow->alias_key, &key);
    flow->has_endpoint = pooled;
    if (pooled) {
        flow->endpoint_pool = pool;
        flow->endpoint_index = index;
    }
    c->n.aliases++;
    return true;
}

/* In place of the unit that leases what flows were told to have: most of it is used by those of
 * them that go on, and the rest was their last. */
static uint32_t told_holder(const struct rill_controller *c)
{
    return c->config.rm;
}

/* It is his who has the latest lease that anybody tells of. */
static void told(struct rill_controller *c, uint32_t pool, uint32_t index, uint64_t lease,
                 uint32_t holder)
{
    uint32_t before;

    rill_port_pool_state(c->pools[pool], index, &before, NULL);
    rill_port_pool_hand_over(c->pools[pool], index, before, holder);
    c->lease[pool][index] = lease;
}

void endpoints_told_lease(struct rill_controller *c, uint32_t unit, uint32_t pool, uint32_t index,
                          uint64_t lease)
{
    if (endpoints_own(c, pool, &index) && lease > c->lease[pool][index])
        told(c, pool, index, lease, unit);
}

void endpoints_told_use(struct rill_controller *c, const struct rill_alias *alias)
{
    uint32_t pool, index;

    if (endpoints_find(c, &alias->local, &pool, &index) && alias->lease >= c->lease[pool][index])
        told(c, pool, index, alias->lease, told_holder(c));
}

bool endpoints_leased_since(const struct rill_controller *c, const struct rill_alias *alias)
{
    uint32_t pool, index;

    return endpoints_find(c, &alias->local, &pool, &index) &&
           c->lease[pool][index] > alias->lease && !RILL_MUTANT(endpoint_order);
}

void endpoints_inherit(struct rill_controller *c, struct flow *flow, const struct rill_alias *alias,
                       bool confirmed)
{
    if (register_alias(c, flow, alias))
        flow->alias_unsure = !confirmed;
}

/* A unit and its output logger are both dead, so a flow's end may be told by nobody. */
static bool may_be_untold(const struct rill_controller *c)
{
    for (uint32_t i = 0; i < c->recovery.count; i++)
        if (c->recovery.deaths[i].output_logger == RILL_LOGGER_LOST)
            return true;
    return false;
}

void endpoints_free_the_rest(struct rill_controller *c)
{
    uint32_t last = 0; /* of flows that do not go on */

    for (unsigned p = 0; p < c->config.pool_count; p++) {
        rill_port_pool_unit_died(c->pools[p], c->config.id);
        last += rill_port_pool_unit_died(c->pools[p], told_holder(c));
    }
    if (last > 0 || may_be_untold(c))
        rest_untold(c);
    c->endpoints_kept = c->config.pool_count > 0;
    if (c->recovery.count == 0)
        endpoints_deaths_over(c);
}

/* No flow's chain names a dead unit any more: nothing of theirs can come up again. Versions from
 * before the takeover can not be taken for what a packet of now wants, as clocks began anew.
 *
 * What was not told of has no flow, and none that ended before it had rested (flow_age.c): it is
 * free now. What only ended flows were told to have rests from now on. */
void endpoints_deaths_over(struct rill_controller *c)
{
    bool rests = may_be_untold(c);

    if (!c->endpoints_kept)
        return;
    for (unsigned p = 0; p < c->config.pool_count; p++) {
        rill_port_pool_release_dead(c->pools[p], told_holder(c), c->now_ns);
        if (rests)
            rill_port_pool_release_dead(c->pools[p], c->config.id, c->now_ns);
        else
            rill_port_pool_free_dead(c->pools[p], c->config.id);
    }
    c->endpoints_kept = false;
}

/* It tells of a dead unit, and is not the logger that was fenced for it: what it was told may not
 * be in any state that goes on. */
static bool is_of_the_dead(const struct rill_controller *c, const struct rill_frame *f)
{
    uint32_t logger = recovery_logger_of(c, f->next_unit);

    return logger != 0 && logger != f->src;
}

/* An output logger asks whether replies to this alias would find the flow. */
void endpoints_on_alias(struct rill_controller *c, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct flow *flow = flows_by_number(c, f->flow);
    struct rill_alias alias;
    struct rte_mbuf *ack;
    bool known = false;

    if (rill_body_read(m, 0, &alias, sizeof(alias)) != 0) {
        c->n.messages_malformed++;
        return;
    }
    if (is_of_the_dead(c, f))
        known = false;
    else if (flow != NULL && !flow->resting)
        known = register_alias(c, flow, &alias);
    else if (flow == NULL || !uses(c, flow, &alias))
        reclaim(c, &alias, f->flow);
    ack = ctl_message(c, RILL_FRAME_ALIAS_ACK, f->src, f->flow);
    if (ack == NULL)
        return;
    rill_frame(ack)->term = f->term;
    rill_frame(ack)->next_unit = f->next_unit;
    rill_frame(ack)->flags = known ? 0 : RILL_FLAG_REFUSED;
    if (rill_body_append(ack, c->config.pool, &alias, sizeof(alias)) != 0) {
        c->n.messages_no_mbuf++;
        rte_pktmbuf_free(ack);
        return;
    }
    rill_outbox_put(c->out, ack);
}

uint32_t rill_controller_pool_free(struct rill_controller *c, unsigned pool, uint64_t now_ns)
{
    rill_port_pool_advance(c->pools[pool], now_ns);
    return rill_port_pool_count(c->pools[pool], RILL_PORT_FREE);
}

void endpoints_flow_ended(struct rill_controller *c, struct flow *flow)
{
    if (flow->has_endpoint)
        flow_leaves(c, flow, flow->endpoint_pool, flow->endpoint_index);
    if (flow->has_kept && !(flow->has_endpoint && flow->kept_pool == flow->endpoint_pool &&
                            flow->kept_index == flow->endpoint_index))
        flow_leaves(c, flow, flow->kept_pool, flow->kept_index);
}
