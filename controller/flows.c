/* The flow table: from keys and aliases to flows, and from numbers. A number is never used again.
 */
#include <errno.h>

#include "controller/internal.h"

enum { RESTING_PART = 8 }; /* of the table */

int flows_init(struct rill_controller *c, struct rill_error *err)
{
    if (key_map_init(&c->by_key, c->config.flows_max, c->config.hash_seed) != 0 ||
        key_map_init(&c->by_alias, c->config.flows_max, c->config.hash_seed) != 0 ||
        flow_age_init(c) != 0 || rill_flow_map_init(&c->by_number, c->config.flows_max) != 0 ||
        rill_slab_init(&c->slab, sizeof(struct flow), c->config.flows_max) != 0)
        return rill_error_set(err, -ENOMEM, "no memory for %u flows: lower flows_max",
                              c->config.flows_max);
    return 0;
}

void flows_fini(struct rill_controller *c)
{
    key_map_fini(&c->by_key);
    key_map_fini(&c->by_alias);
    rill_flow_map_fini(&c->by_number);
    rill_slab_fini(&c->slab);
    flow_age_fini(c);
}

struct flow *flows_by_key(const struct rill_controller *c, const struct rill_flow_key *key)
{
    return flow_of_key(key_map_find(&c->by_key, key, key_hash(&c->by_key, key)));
}

struct flow *flows_by_alias(const struct rill_controller *c, const struct rill_flow_key *key)
{
    return flow_of_alias(key_map_find(&c->by_alias, key, key_hash(&c->by_alias, key)));
}

struct flow *flows_by_number(const struct rill_controller *c, uint64_t number)
{
    return flow_of_node(rill_flow_map_find(&c->by_number, number, 0));
}

/* The number of a new life: above every clock that was ever given, so that a tuple that comes again
 * can not be taken for what it was before ("birth"). */
static uint64_t new_number(struct rill_controller *c, const struct rill_flow_key *key)
{
    if (RILL_MUTANT(birth))
        return 1 + (key_hash(&c->by_key, key) & 0xffffff);
    return ++c->clock;
}

/* NULL if the table is full. */
static struct flow *add(struct rill_controller *c, const struct rill_flow_key *key, uint64_t number)
{
    struct flow *flow = rill_slab_get(&c->slab);

    if (flow == NULL)
        return NULL;
    key_map_insert(&c->by_key, &flow->key, key);
    flow->number = number;
    flow->node.flow = number;
    rill_flow_map_insert(&c->by_number, &flow->node);
    flow_age_begin(c, flow);
    return flow;
}

/* How many that have ended may rest while the table is full; for each another gives way, so that
 * there is room when it is wanted. */
static uint32_t resting_max(const struct rill_controller *c)
{
    bool rests = c->config.pool_count > 0 && c->config.pool_quarantine_ns > 0;

    return rests ? RTE_MAX(c->slab.max / RESTING_PART, 1u) : 0;
}

static bool make_room(struct rill_controller *c)
{
    if (c->slab.max - c->slab.used <= resting_max(c) && c->resting < RTE_MAX(resting_max(c), 1u))
        flows_evict(c);
    return c->slab.used < c->slab.max;
}

struct flow *flows_begin(struct rill_controller *c, const struct rill_flow_key *key)
{
    struct flow *flow;

    if (!make_room(c))
        return NULL;
    flow = add(c, key, new_number(c, key));
    if (flow == NULL)
        return NULL;
    flow->clock = flow->number - 1;
    c->n.flows++;
    return flow;
}

/* Its clocks go on where this controller's begin. */
struct flow *flows_inherit(struct rill_controller *c, const struct rill_flow_key *key,
                           uint64_t number)
{
    struct flow *flow = add(c, key, number);

    if (flow == NULL)
        return NULL;
    flow->clock = rill_epoch_base(c->config.epoch);
    flow->used_ns = c->now_ns;
    flow->used_before = true;
    flow->talked = FLOW_BOTH_SIDES; /* who knows; it may have been idle for long */
    return flow;
}

void flows_retire(struct rill_controller *c, struct flow *flow)
{
    if (!flow->retired)
        key_map_remove(&c->by_key, &flow->key);
    flow->retired = true;
}

void flows_end(struct rill_controller *c, struct flow *flow)
{
    bool resting = flow->resting;

    flow_age_end(c, flow);
    flows_retire(c, flow);
    if (flow->has_alias)
        key_map_remove(&c->by_alias, &flow->alias_key);
    if (flow->has_endpoint || flow->has_kept)
        endpoints_flow_ended(c, flow);
    rill_wam_flowlet_end(c->wam, flow->owner, &flow->pending, c->now_ns);
    rill_wgm_close(&c->wgm, &flow->wgm);
    rill_flow_map_remove(&c->by_number, &flow->node);
    rill_slab_put(&c->slab, flow);
    c->n.flows_ended += !resting; /* else it was counted when it ended */
}

uint32_t flows_choose_unit(struct rill_controller *c, struct flow *flow)
{
    uint32_t holders[1 + RILL_TARGETS_MAX];
    uint64_t demand_bps = rill_wgm_demand_bps(&c->wgm, &flow->wgm);
    bool overload = false;
    uint32_t unit, n = 0;

    if (flow->owner != 0)
        holders[n++] = flow->owner;
    for (uint8_t i = 0; i < flow->target_count; i++)
        holders[n++] = flow->targets[i];
    unit = rill_wam_choose(c->wam, demand_bps, holders, n, c->now_ns, &overload);
    if (overload) {
        c->n.overloads++;
        capacity_lacks(c, unit);
    } else if (rill_wam_is_draining(c->wam, unit)) {
        rill_wam_set_draining(c->wam, unit, false);
    }
    return unit;
}

struct rill_table_use rill_controller_tables(const struct rill_controller *c)
{
    return (struct rill_table_use){.entries = c->slab.used,
                                   .keys = (uint64_t)c->by_key.count + c->by_alias.count,
                                   .bytes = rill_slab_taken_bytes(&c->slab)};
}
