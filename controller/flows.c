/* The flow table: from keys and aliases to flows, and from numbers. A number is never used again.
 */
#include <errno.h>
#include <stdatomic.h>

#include <rte_hash_crc.h>

#include "controller/internal.h"

enum { RESTING_PART = 8 }; /* of the table */

/* CRC32-C of a key, whatever rte_hash_crc() finds at run time: one instruction for eight bytes
 * where the processor that we are built for has it. */
static inline uint32_t key_hash(const struct rill_flow_key *key, uint32_t seed)
{
#ifdef __SSE4_2__
    uint64_t words[sizeof(*key) / 8], hash = seed;

    memcpy(words, key, sizeof(words));
    for (unsigned i = 0; i < RTE_DIM(words); i++)
        hash = __builtin_ia32_crc32di(hash, words[i]);
    return (uint32_t)hash;
#else
    return rte_hash_crc(key, sizeof(*key), seed);
#endif
}

/* As rte_hash calls it. */
static uint32_t hash_of(const void *key, uint32_t bytes, uint32_t seed)
{
    (void)bytes;
    return key_hash(key, seed);
}

static struct rte_hash *table(struct rill_controller *c, const char *what, struct rill_error *err)
{
    static atomic_uint tables; /* EAL wants names that differ */
    char name[RTE_HASH_NAMESIZE];
    struct rte_hash_parameters params = {.name = name,
                                         .entries = RTE_MAX(c->config.flows_max, 64u),
                                         .key_len = sizeof(struct rill_flow_key),
                                         .hash_func = hash_of,
                                         .hash_func_init_val = (uint32_t)c->config.seed,
                                         .socket_id = SOCKET_ID_ANY,
                                         .extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE};
    struct rte_hash *hash;

    snprintf(name, sizeof(name), "%s%u", what, atomic_fetch_add(&tables, 1));
    hash = rte_hash_create(&params);
    if (hash == NULL)
        rill_error_set(err, -ENOMEM,
                       "no memory for a table of %u flows: lower flows_max or raise --memory-mb",
                       c->config.flows_max);
    return hash;
}

int flows_init(struct rill_controller *c, struct rill_error *err)
{
    c->by_key = table(c, "keys", err);
    c->by_alias = c->by_key != NULL ? table(c, "aliases", err) : NULL;
    if (c->by_alias == NULL)
        return -ENOMEM;
    if (flow_age_init(c) != 0 || rill_flow_map_init(&c->by_number, c->config.flows_max) != 0 ||
        rill_slab_init(&c->slab, sizeof(struct flow), c->config.flows_max) != 0)
        return rill_error_set(err, -ENOMEM, "no memory for %u flows: lower flows_max",
                              c->config.flows_max);
    return 0;
}

void flows_fini(struct rill_controller *c)
{
    rte_hash_free(c->by_key);
    rte_hash_free(c->by_alias);
    rill_flow_map_fini(&c->by_number);
    rill_slab_fini(&c->slab);
    flow_age_fini(c);
}

static struct flow *look_up(const struct rte_hash *hash, const struct rill_flow_key *key)
{
    void *flow;

    return rte_hash_lookup_data(hash, key, &flow) >= 0 ? flow : NULL;
}

struct flow *flows_by_key(const struct rill_controller *c, const struct rill_flow_key *key)
{
    return look_up(c->by_key, key);
}

void flows_by_keys(const struct rill_controller *c, const struct rte_hash *table,
                   const struct rill_flow_key **keys, uint32_t n, struct flow **flows)
{
    uint32_t hashes[ARRIVALS_MAX];
    uint64_t hits = 0;

    _Static_assert((int)ARRIVALS_MAX <= (int)RTE_HASH_LOOKUP_BULK_MAX, "one bulk at a time");
    for (uint32_t i = 0; i < n; i++)
        hashes[i] = key_hash(keys[i], (uint32_t)c->config.seed);
    if (n == 0 || rte_hash_lookup_with_hash_bulk_data(table, (const void **)keys, hashes, n, &hits,
                                                      (void **)flows) < 0)
        hits = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!(hits >> i & 1))
            flows[i] = NULL;
}

struct flow *flows_by_alias(const struct rill_controller *c, const struct rill_flow_key *key)
{
    return look_up(c->by_alias, key);
}

struct flow *flows_by_number(const struct rill_controller *c, uint64_t number)
{
    return (struct flow *)rill_flow_map_find(&c->by_number, number, 0);
}

/* The number of a new life: above every clock that was ever given, so that a tuple that comes again
 * can not be taken for what it was before ("birth"). */
static uint64_t new_number(struct rill_controller *c, const struct rill_flow_key *key)
{
    if (RILL_MUTANT(birth))
        return 1 + (rte_hash_crc(key, sizeof(*key), 7) & 0xffffff);
    return ++c->clock;
}

/* NULL if the table is full. */
static struct flow *add(struct rill_controller *c, const struct rill_flow_key *key, uint64_t number)
{
    struct flow *flow = rill_slab_get(&c->slab);

    if (flow == NULL)
        return NULL;
    if (rte_hash_add_key_data(c->by_key, key, flow) < 0) {
        rill_slab_put(&c->slab, flow);
        return NULL;
    }
    flow->key = *key;
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
    flow->clock = flow->node.flow - 1;
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
    flow->last_ns = c->now_ns;
    flow->talked = FLOW_BOTH_SIDES; /* who knows; it may have been idle for long */
    return flow;
}

void flows_retire(struct rill_controller *c, struct flow *flow)
{
    if (!flow->retired)
        rte_hash_del_key(c->by_key, &flow->key);
    flow->retired = true;
    c->keys_removed++;
}

void flows_end(struct rill_controller *c, struct flow *flow)
{
    bool resting = flow->resting;

    flow_age_end(c, flow);
    flows_retire(c, flow);
    if (flow->has_alias)
        rte_hash_del_key(c->by_alias, &flow->alias_key);
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
    uint32_t n = 0;
    bool overload = false;
    uint32_t unit;

    if (flow->owner != 0)
        holders[n++] = flow->owner;
    for (uint8_t i = 0; i < flow->target_count; i++)
        holders[n++] = flow->targets[i];
    unit = rill_wam_choose(c->wam, rill_wgm_demand_bps(&c->wgm, &flow->wgm), holders, n, c->now_ns,
                           &overload);
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
                                   .keys = (uint64_t)rte_hash_count(c->by_key) +
                                           (uint64_t)rte_hash_count(c->by_alias),
                                   .bytes = rill_slab_taken_bytes(&c->slab)};
}
