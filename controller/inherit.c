/* What units and output loggers told of the flows of a controller that is gone, put together: of
 * each flow who had it in which term, down to the last that is established; what it is known by;
 * and which alias a controller had confirmed. */
#include <errno.h>

#include "controller/internal.h"
#include "lib/frame/inventory.h"

struct found {
    struct rill_map_node node;       /* by flow number */
    struct rill_inventory_item item; /* all that was claimed */
    bool confirmed;                  /* its alias */
    bool has_head;
    uint64_t term, step; /* of the version that the alias is of */
    uint64_t idle_ns;    /* the least that was told */
    uint64_t vouched_ns; /* when a controller last sent a packet of it, or vouched for it; ago_ns()
                          */
};

/* Flows that had ended are told of, too: units keep as many. Of those that are too many for the
 * table the ones that were alive last go on. */
enum { TOLD_OF = 2 };

int inherit_init(struct rill_controller *c, struct rill_error *err)
{
    uint32_t most = TOLD_OF * c->config.flows_max;

    c->takeover.order = calloc(most, sizeof(c->takeover.order[0]));
    if (c->takeover.order == NULL || rill_flow_map_init(&c->takeover.found, most) != 0 ||
        rill_slab_init(&c->takeover.slab, sizeof(struct found), most) != 0)
        return rill_error_set(err, -ENOMEM, "no memory to take over %u flows: lower flows_max",
                              c->config.flows_max);
    return 0;
}

void inherit_fini(struct rill_controller *c)
{
    rill_flow_map_fini(&c->takeover.found);
    rill_slab_fini(&c->takeover.slab);
    free(c->takeover.order);
    c->takeover.order = NULL;
}

/* --- what is told ----------------------------------------------------------------------------- */

/* The alias that a controller has confirmed; while none is known, that of the newest version. */
static void take_head(struct found *found, const struct rill_inventory_item *item)
{
    bool confirmed = item->flow.flags & RILL_INVENTORY_CONFIRMED;
    bool newer = item->flow.term != found->term ? item->flow.term > found->term
                                                : item->flow.step > found->step;

    if (found->item.head.tuple.family == 0)
        found->item.head.tuple = item->head.tuple;
    if (item->head.alias.local.family == 0 || (found->confirmed && !confirmed) ||
        (found->has_head && found->confirmed == confirmed && !newer))
        return;
    found->item.head.alias = item->head.alias;
    found->has_head = true;
    found->confirmed = confirmed;
    found->term = item->flow.term;
    found->step = item->flow.step;
}

/* A moment so long ago: also where our own clock began later than that. 0 is before all of them. */
static uint64_t ago_ns(const struct rill_controller *c, uint64_t ns)
{
    const uint64_t most_ns = UINT64_C(1) << 62;

    return most_ns + c->now_ns - RTE_MIN(ns, most_ns);
}

static void take_flow(struct rill_controller *c, const struct rill_inventory_item *item)
{
    struct found *found =
        (struct found *)rill_flow_map_find(&c->takeover.found, item->flow.flow, 0);

    if (item->flow.flags & RILL_INVENTORY_HEAD)
        endpoints_told_use(c, &item->head.alias);
    if (found == NULL) {
        found = rill_slab_get(&c->takeover.slab);
        if (found == NULL) {
            c->n.flows_not_inherited++;
            return;
        }
        found->node.flow = item->flow.flow;
        found->idle_ns = UINT64_MAX;
        rill_flow_map_insert(&c->takeover.found, &found->node);
    }
    for (uint8_t i = 0; i < item->flow.claims; i++)
        rill_inventory_claim(&found->item, item->claims[i].term, item->claims[i].unit,
                             item->claims[i].established);
    if (item->flow.flags & RILL_INVENTORY_HEAD)
        take_head(found, item);
    found->idle_ns = RTE_MIN(found->idle_ns, item->flow.idle_ns);
    found->vouched_ns = RTE_MAX(found->vouched_ns, ago_ns(c, item->flow.idle_ns));
    if (item->flow.vouched_ms != UINT32_MAX)
        found->vouched_ns =
            RTE_MAX(found->vouched_ns, ago_ns(c, item->flow.vouched_ms * UINT64_C(1000000)));
}

void inherit_heard(struct rill_controller *c, uint32_t ms)
{
    if (ms != UINT32_MAX)
        c->takeover.heard_ns = RTE_MAX(c->takeover.heard_ns, ago_ns(c, ms * UINT64_C(1000000)));
}

bool inherit_take(struct rill_controller *c, uint32_t role, const struct rte_mbuf *m)
{
    struct rill_inventory_item item;
    uint32_t at = 0;

    while (rill_inventory_next(m, &at, &item)) {
        if (item.kind == RILL_INVENTORY_ENDPOINT)
            endpoints_told_lease(c, role, item.endpoint.pool, item.endpoint.index,
                                 item.endpoint.lease);
        else
            take_flow(c, &item);
    }
    return at == rte_pktmbuf_pkt_len(m);
}

/* --- flows ------------------------------------------------------------------------------------ */

static int by_term_downwards(const void *a, const void *b)
{
    uint64_t x = ((const struct rill_inventory_claim *)a)->term;
    uint64_t y = ((const struct rill_inventory_claim *)b)->term;

    return x < y ? 1 : x > y ? -1 : 0;
}

struct chain {
    struct rill_chain_entry entry[RILL_CHAIN_MAX];
    uint8_t len;
};

/* Newest first, down to the last that is established. A unit that is neither alive nor waits to be
 * recovered from had nothing that was still wanted: what is below it is old. Empty: it was the last
 * owner, so the flow had ended. */
static struct chain chain_of(const struct rill_controller *c, struct rill_inventory_item *item)
{
    struct chain chain = {.len = 0};

    qsort(item->claims, item->flow.claims, sizeof(item->claims[0]), by_term_downwards);
    for (uint8_t i = 0; i < item->flow.claims && chain.len < RILL_CHAIN_MAX; i++) {
        const struct rill_inventory_claim *claim = &item->claims[i];

        if (claim->term != RILL_BIRTH_TERM && !takeover_knows(c, claim->unit))
            break;
        chain.entry[chain.len++] =
            (struct rill_chain_entry){.term = claim->term, .unit = claim->unit};
        if (claim->established)
            break;
    }
    return chain;
}

/* What had ended is not begun again, whoever still keeps something of it: who had the newest may
 * have forgotten it before others forgot what is older. It was idle for as long as any of its
 * protocol may be, then, wherever it is known; less what packets may have been under way. Or it
 * ended before its time, and no controller has vouched for it since, though one was heard; who had
 * the newest forgets it only later than that ("hold"). Or its endpoint was leased to somebody else
 * since, whether a unit still has it or a flow, confirmed or not ("endpoint_order"). */
static bool has_ended(const struct rill_controller *c, const struct found *found)
{
    uint64_t idle_ns = flow_age_idle_ns(c, found->item.head.tuple.proto);

    if (found->idle_ns >= idle_ns - RTE_MIN(c->config.frame_life_ns, idle_ns))
        return true;
    if (found->vouched_ns + c->config.vouched_ns <= c->takeover.heard_ns && !RILL_MUTANT(vouch))
        return true;
    return found->has_head && endpoints_leased_since(c, &found->item.head.alias);
}

/* Of two with the same key the later one lives; the other one had ended. */
static struct flow *begin(struct rill_controller *c, const struct found *found)
{
    struct rill_flow_key key;
    struct flow *other;

    rill_flow_key_unpack(&found->item.head.tuple, c->config.flow_kind, c->config.vni, &key);
    other = flows_by_key(c, &key);
    if (other != NULL && other->number > found->node.flow)
        return NULL;
    if (other != NULL) {
        recovery_early_end(c, other->chain, other->chain_len);
        flows_end(c, other);
    }
    return flows_inherit(c, &key, found->node.flow);
}

/* The last owner that is known is dead, so nobody says whom it may have passed the flow on to; and
 * there is a unit that is dead with its output logger, so nobody says what that one had. */
static bool may_be_lost(const struct rill_controller *c, uint32_t last_owner)
{
    for (uint32_t i = 0; i < c->recovery.count; i++)
        if (c->recovery.deaths[i].output_logger == RILL_LOGGER_LOST)
            return recovery_logger_of(c, last_owner) != 0;
    return false;
}

static void inherit(struct rill_controller *c, struct found *found)
{
    struct chain chain;
    struct flow *flow;

    /* Not known by anything: nothing of it was ever processed. */
    if (found->item.head.tuple.family == 0 || found->item.flow.claims == 0 || has_ended(c, found))
        return;
    chain = chain_of(c, &found->item);
    if (chain.len > 0 && may_be_lost(c, chain.entry[0].unit)) {
        c->n.flows_lost++;
        return;
    }
    flow = chain.len > 0 ? begin(c, found) : NULL;
    if (flow == NULL) {
        c->n.flows_not_inherited++;
        recovery_early_end(c, chain.entry, chain.len);
        return;
    }
    memcpy(flow->chain, chain.entry, sizeof(flow->chain));
    flow->chain_len = chain.len;
    flow->term = chain.entry[0].term;
    flow->owner = chain.entry[0].unit;
    flow->reopen = true;
    if (found->has_head && !RILL_MUTANT(aliasepoch))
        endpoints_inherit(c, flow, &found->item.head.alias, found->confirmed);
    c->n.flows_inherited++;
}

/* Of two flows with one alias the first has it: one whose alias is confirmed, and of these the one
 * that was alive last; the other had ended before that one could take it. */
static int by_right(const void *a, const void *b)
{
    const struct found *x = *(struct found *const *)a, *y = *(struct found *const *)b;

    if (x->confirmed != y->confirmed)
        return x->confirmed ? -1 : 1;
    if (x->vouched_ns != y->vouched_ns)
        return x->vouched_ns > y->vouched_ns ? -1 : 1;
    return x->node.flow < y->node.flow ? -1 : 1;
}

void inherit_all(struct rill_controller *c)
{
    struct found **order = c->takeover.order;
    uint32_t n = 0;

    for (uint32_t i = 0; i <= c->takeover.found.mask; i++)
        for (struct rill_map_node *node = c->takeover.found.buckets[i]; node != NULL;
             node = node->next)
            order[n++] = (struct found *)node;
    qsort(order, n, sizeof(order[0]), by_right);
    for (uint32_t i = 0; i < n; i++)
        inherit(c, order[i]);
    inherit_fini(c);
    endpoints_free_the_rest(c);
}
