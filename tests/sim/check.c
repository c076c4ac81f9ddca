/* The truth about a run, kept apart from the cores, and the invariants of docs/protocol.md. */
#include <stdarg.h>

#include "tests/sim/books.h"
#include "tests/sim/history.h"
#include "tests/sim/sim.h"

enum { SENT_MAX = 4096, TERMS_MAX = 16384 };
/* A packet that is turned round is another from then on. */
enum { TURNED_FIRST = SENT_MAX, PACKETS_MAX = 2 * SENT_MAX };

struct packet {
    uint32_t flow, bytes; /* of the workload; on the wire */
    bool sent, processed, released, must_come_out;
};

struct term {
    struct rill_map_node node; /* flow ^ mixed term */
    uint64_t flow, term;
    uint32_t owner;
};

enum { PORT_FIRST = 1000, PORTS_MAX = 1000 }; /* of the pool */

struct public_use {
    uint64_t flow, ns; /* whose packet was the last that left with it, and when that came in */
};

struct sim_check {
    const struct sim_plan *plan;
    FILE *trace;
    struct rill_cluster *cluster; /* NULL: whom to look at is said before each release */
    struct rill_ol *releasing;
    struct rill_controller *controller; /* NULL: it is dead */
    struct packet packets[PACKETS_MAX];
    uint32_t turns_to[SENT_MAX];          /* by packet: the workload flow that it goes to */
    struct rill_ol *turning;              /* by whom a packet is turned round at the moment */
    struct rill_endpoint public[64];      /* by workload flow, of the last that left ... */
    uint64_t public_flow[64];             /* ... and its number */
    struct public_use uses[2][PORTS_MAX]; /* UDP's, TCP's */
    uint64_t quarantine_ns;
    bool suspect[SIM_UNIT_NUMBERS]; /* by number: died, or taken for dead */
    struct sim_history history;
    struct rill_flow_map terms;
    struct rill_slab term_slab;
    uint64_t sent, released, now_ns;
    bool seen[64];            /* by workload flow: its tuple was in use before */
    uint64_t newest_life[64]; /* by workload flow: what has its tuple since */
    struct sim_done done[RILL_CLUSTER_UNITS_MAX + 1]; /* by number of the unit */
    uint32_t unchecked;                               /* of shares */
    struct sim_speed speed;
    double unit_mbps; /* 0: not read yet */
    struct sim_counts counts;
    char violation[256];
};

struct sim_check *sim_check_create(const struct sim_plan *plan, FILE *trace)
{
    struct sim_check *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->plan = plan;
    k->trace = trace;
    k->unchecked = UINT32_MAX;
    /* Clocks run up to a thousandth faster. */
    k->quarantine_ns = (uint64_t)(sim_plan_setting(plan, "pool_quarantine_ms") * 1e6 * 0.998);
    if (sim_history_init(&k->history) != 0 || rill_flow_map_init(&k->terms, 4096) != 0 ||
        rill_slab_init(&k->term_slab, sizeof(struct term), TERMS_MAX) != 0) {
        sim_check_destroy(k);
        return NULL;
    }
    return k;
}

void sim_check_destroy(struct sim_check *k)
{
    if (k == NULL)
        return;
    sim_history_fini(&k->history);
    rill_flow_map_fini(&k->terms);
    rill_slab_fini(&k->term_slab);
    free(k);
}

void sim_check_attach(struct sim_check *k, struct rill_cluster *cluster)
{
    k->cluster = cluster;
    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++)
        rill_unit_set_step_hook(rill_cluster_unit(cluster, i), sim_check_step, k);
}

void sim_check_look_at(struct sim_check *k, struct rill_ol *releasing,
                       struct rill_controller *controller)
{
    k->releasing = releasing;
    k->controller = controller;
}

static struct rill_controller *controller_of(const struct sim_check *k, uint32_t slot)
{
    return rill_cluster_controller_at(k->cluster, rill_cluster_newest(k->cluster, slot));
}

static void look_at_cluster(struct sim_check *k, uint64_t flow)
{
    struct rill_ol *ol = k->turning;

    if (k->cluster == NULL)
        return;
    if (ol == NULL)
        ol = rill_cluster_output_logger(k->cluster,
                                        rill_role_number(rill_cluster_releasing(k->cluster)));
    sim_check_look_at(k, ol, controller_of(k, rill_number_slot(flow)));
}

void sim_check_fail(struct sim_check *k, const char *invariant, const char *format, ...)
{
    int n;
    va_list args;

    if (k->violation[0] != '\0')
        return;
    n = snprintf(k->violation, sizeof(k->violation), "%s: ", invariant);
    va_start(args, format);
    vsnprintf(k->violation + n, sizeof(k->violation) - (size_t)n, format, args);
    va_end(args);
    if (k->trace != NULL)
        fprintf(k->trace, "%12" PRIu64 "  VIOLATION %s\n", k->now_ns, k->violation);
}

const char *sim_check_violation(const struct sim_check *k)
{
    return k->violation[0] != '\0' ? k->violation : NULL;
}

struct sim_counts *sim_check_counts(struct sim_check *k)
{
    return &k->counts;
}

void sim_check_sent(struct sim_check *k, uint64_t packet, uint32_t flow, uint32_t bytes,
                    bool must_come_out)
{
    k->packets[packet] =
        (struct packet){.flow = flow, .bytes = bytes, .sent = true, .must_come_out = must_come_out};
    k->sent++;
}

static const struct sim_chain *chain_in(const uint8_t *state)
{
    return (const struct sim_chain *)(state + sizeof(struct rill_state_head));
}

/* I1: at most one owner in a term. */
static void check_owner(struct sim_check *k, const struct rill_unit_step *s)
{
    uint64_t key = s->flow * 0x9e3779b97f4a7c15u ^ s->term;
    struct term *term = (struct term *)rill_flow_map_find(&k->terms, key, 0);

    if (term == NULL) {
        term = rill_slab_get(&k->term_slab);
        if (term == NULL)
            abort();
        term->node.flow = key;
        term->flow = s->flow;
        term->term = s->term;
        term->owner = s->unit;
        rill_flow_map_insert(&k->terms, &term->node);
    }
    if (term->flow == s->flow && term->term == s->term && term->owner != s->unit)
        sim_check_fail(k, "I1", "flow %" PRIx64 " term %" PRIx64 " has two owners, units %u and %u",
                       s->flow, s->term, rill_role_number(term->owner), rill_role_number(s->unit));
}

void sim_check_time(struct sim_check *k, uint64_t now_ns)
{
    k->now_ns = now_ns;
}

void sim_check_note(struct sim_check *k, const char *format, ...)
{
    va_list args;

    if (k->trace == NULL)
        return;
    fprintf(k->trace, "%12" PRIu64 "  *** ", k->now_ns);
    va_start(args, format);
    vfprintf(k->trace, format, args);
    va_end(args);
    fputc('\n', k->trace);
}

static void trace_step(const struct sim_check *k, const struct rill_unit_step *s)
{
    if (k->trace != NULL)
        fprintf(k->trace,
                "              step: unit %u flow %" PRIx64 " term %" PRIx64 " clock %" PRIx64
                " step %" PRIu64 " packet %" PRIu64 "\n",
                rill_role_number(s->unit), s->flow, s->term, s->clock, s->step, s->ingress_id);
}

void sim_check_suspect(struct sim_check *k, uint32_t unit, bool zombie)
{
    k->suspect[rill_role_number(unit)] = true;
    sim_check_note(k, "unit %u %s", rill_role_number(unit),
                   zombie ? "is taken for dead, and goes on" : "dies");
}

static bool is_suspect(const struct sim_check *k, uint32_t unit)
{
    return k->suspect[rill_role_number(unit)];
}

/* I2: who was never taken for dead goes on above everything that left; I1: and nobody like that
 * goes on from the same step with another packet. */
static void check_base(struct sim_check *k, const struct sim_flow *flow, struct sim_node *base,
                       struct sim_node *node, const struct rill_unit_step *s)
{
    if (is_suspect(k, s->unit))
        return;
    if (!sim_history_is_below(flow->top, base))
        sim_check_fail(k, "I2",
                       "unit %u goes on with flow %" PRIx64 " from step %" PRIu64
                       ", but step %" PRIu64 " of unit %u has left",
                       rill_role_number(s->unit), s->flow, base->step, flow->top->step,
                       rill_role_number(flow->top->unit));
    if (base->child != NULL && base->child != node && !is_suspect(k, base->child->unit))
        sim_check_fail(k, "I1",
                       "units %u and %u both go on with flow %" PRIx64 " from step %" PRIu64
                       ", and neither was ever taken for dead",
                       rill_role_number(base->child->unit), rill_role_number(s->unit), s->flow,
                       base->step);
    base->child = node;
}

/* I1: a flow's processing is one chain, and no packet is in it twice. */
void sim_check_step(void *arg, const struct rill_unit_step *s)
{
    struct sim_check *k = arg;
    uint32_t lives = k->history.flows.count;
    struct sim_node *node;
    struct sim_flow *flow = sim_history_flow(&k->history, s->flow);
    struct sim_node *base = sim_history_find(&k->history, s->flow, chain_in(s->before)->hash);
    struct packet *p = &k->packets[s->ingress_id];

    trace_step(k, s);
    check_owner(k, s);
    k->counts.reused_tuples += k->history.flows.count > lives && k->seen[p->flow];
    k->seen[p->flow] = true;
    k->done[rill_role_number(s->unit)].packets++;
    k->done[rill_role_number(s->unit)].bytes += p->bytes;
    if (base == NULL || base->step + 1 != s->step) {
        sim_check_fail(k, "I1",
                       "unit %u processed packet %" PRIu64 " of flow %" PRIx64 " as step %" PRIu64
                       " on a state that is not step %" PRIu64 "'s",
                       rill_role_number(s->unit), s->ingress_id, s->flow, s->step, s->step - 1);
        return;
    }
    if (p->processed && sim_history_has(base, s->ingress_id))
        sim_check_fail(k, "I1", "packet %" PRIu64 " processed twice, now by unit %u", s->ingress_id,
                       rill_role_number(s->unit));
    p->processed = true;
    flow->step_ns = k->now_ns;
    flow->step_unit = s->unit;
    flow->workload_flow = p->flow;
    k->newest_life[p->flow] = RTE_MAX(k->newest_life[p->flow], s->flow);
    if (!s->forwarded)
        p->must_come_out = false; /* the NF's word */
    node = sim_history_add(&k->history, base, s->ingress_id, chain_in(s->after)->hash, s->unit);
    if (node->at_ns == 0)
        node->at_ns = k->now_ns;
    check_base(k, flow, base, node, s);
}

static uint32_t unit_of(const struct sim_check *k, const struct rill_nf *nf)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(k->cluster); i++)
        if (rill_cluster_nf(k->cluster, i) == nf)
            return rill_role_id(RILL_ROLE_UNIT, i + 1);
    return 0;
}

/* A life ends once, with its last state: but where MOVE was lost just before, a former owner takes
 * itself for the owner. Counted, and no more. */
void sim_check_ended(struct sim_check *k, const struct rill_nf *nf, uint64_t number, uint64_t hash)
{
    uint32_t unit = unit_of(k, nf);
    struct sim_flow *flow = sim_history_flow(&k->history, number);
    const struct sim_node *node = sim_history_find(&k->history, number, hash);

    sim_check_note(k, "unit %u ends flow %" PRIx64, rill_role_number(unit), number);
    if (unit == 0 || is_suspect(k, unit))
        return;
    k->counts.flow_ends++;
    k->counts.flow_ends_again += flow->ends++ > 0;
    k->counts.flow_ends_stale += node == NULL || !sim_history_is_below(flow->top, node);
}

/* I2: the effect of what is released is in what would be recovered: the logger's copy has that
 * step, and is the true state of the step that it says it is. */
static void check_kept(struct sim_check *k, const struct rill_frame *f, const struct sim_node *node)
{
    struct rill_ol_flow_info info;
    struct rill_ol *ol = k->releasing;
    const struct sim_node *kept = NULL;

    if (ol != NULL && rill_ol_flow_info(ol, f->src, f->flow, &info))
        kept = sim_history_find(&k->history, f->flow, chain_in(info.state)->hash);
    if (kept == NULL || kept->step != info.step || !sim_history_is_below(node, kept))
        sim_check_fail(k, "I2",
                       "packet %" PRIu64 " (step %" PRIu64 ") is out, but its effect is not kept",
                       f->ingress_id, f->step);
}

/* What is released is on one path of the flow's history. */
static void check_path(struct sim_check *k, const struct rill_frame *f, struct sim_node *node)
{
    struct sim_flow *flow = sim_history_flow(&k->history, f->flow);

    if (sim_history_is_below(flow->top, node))
        flow->top = node;
    else if (!sim_history_is_below(node, flow->top))
        sim_check_fail(k, "I2",
                       "packet %" PRIu64 " (step %" PRIu64
                       " of unit %u) left, and so did step %" PRIu64
                       " of unit %u, which does not know of it",
                       f->ingress_id, f->step, rill_role_number(f->src), flow->top->step,
                       rill_role_number(flow->top->unit));
}

/* The controller is there, knows all flows, and this is one. */
static bool knows(const struct rill_controller *controller, uint64_t flow)
{
    return controller != NULL && !rill_controller_taking_over(controller) &&
           rill_controller_flow_alive(controller, flow);
}

/* A flow that was idle for nearly as long as it takes to end may end a little early; what a unit
 * did after it was asked says nothing of how long the flow was idle then. Nor does what died with a
 * unit before anybody else had heard of it. */
static bool is_fresh(const struct sim_check *k, const struct sim_flow *flow, uint64_t began_ns,
                     uint64_t fresh_ns)
{
    uint64_t known_ns = is_suspect(k, flow->step_unit) ? flow->top->at_ns : flow->step_ns;

    return flow->step_ns < began_ns && k->now_ns - known_ns < fresh_ns;
}

void sim_check_must_survive(struct sim_check *k, const struct rill_controller *old)
{
    for (uint32_t i = 0; i <= k->history.flows.mask; i++)
        for (struct rill_map_node *node = k->history.flows.buckets[i]; node; node = node->next) {
            struct sim_flow *flow = (struct sim_flow *)node;

            flow->must_survive |= flow->top != flow->root && knows(old, node->flow);
        }
}

void sim_check_may_have_ended(struct sim_check *k, const struct rill_controller *old, uint32_t slot)
{
    for (uint32_t i = 0; i <= k->history.flows.mask; i++)
        for (struct rill_map_node *node = k->history.flows.buckets[i]; node; node = node->next)
            if (rill_number_slot(node->flow) == slot)
                ((struct sim_flow *)node)->must_survive &= knows(old, node->flow);
}

void sim_check_may_be_lost(struct sim_check *k)
{
    for (uint32_t i = 0; i <= k->history.flows.mask; i++)
        for (struct rill_map_node *node = k->history.flows.buckets[i]; node; node = node->next)
            ((struct sim_flow *)node)->must_survive = false;
}

void sim_check_survived(struct sim_check *k, struct rill_controller *now, uint32_t slot,
                        uint64_t began_ns, uint64_t fresh_ns)
{
    for (uint32_t i = 0; i <= k->history.flows.mask; i++)
        for (struct rill_map_node *node = k->history.flows.buckets[i]; node; node = node->next) {
            struct sim_flow *flow = (struct sim_flow *)node;

            if (rill_number_slot(node->flow) != slot)
                continue;
            if (flow->must_survive && is_fresh(k, flow, began_ns, fresh_ns) &&
                k->newest_life[flow->workload_flow] <= node->flow && !knows(now, node->flow))
                sim_check_fail(k, "I2",
                               "flow %" PRIx64 ", whose packets are out, is not known any more "
                               "after the takeover",
                               node->flow);
            flow->must_survive = false;
        }
    for (uint32_t i = 0; i < k->plan->flows; i++)
        if (k->public[i].family != 0 && knows(now, k->public_flow[i]) &&
            rill_controller_alias_flow(now, &k->public[i], NULL) != k->public_flow[i])
            sim_check_fail(k, "ALIAS",
                           "port %u of flow %" PRIx64 ", whose packets are out, is not known any "
                           "more after the takeover",
                           k->public[i].port, k->public_flow[i]);
}

/* I6: nor has a flow of another controller that endpoint. */
static void check_others(struct sim_check *k, const struct rill_frame *f,
                         const struct rill_endpoint *public)
{
    for (uint32_t slot = 0; k->cluster != NULL && slot < rill_cluster_slots(k->cluster); slot++) {
        struct rill_controller *other = controller_of(k, slot);

        if (slot != rill_number_slot(f->flow) && other != NULL &&
            rill_controller_alias_flow(other, public, NULL) != 0)
            sim_check_fail(k, "I6",
                           "packet %" PRIu64 " of flow %" PRIx64
                           " is out with port %u, which a flow of controller slot %u has, too",
                           f->ingress_id, f->flow, public->port, slot);
    }
}

/* I6: an endpoint rests between two flows, whatever dies meanwhile. (A packet may have been held up
 * for longer than its flow lived: that it leaves late is not its endpoint's fault.) */
static void check_rest(struct sim_check *k, const struct rill_frame *f,
                       const struct rill_endpoint *public)
{
    struct public_use *use = &k->uses[public->proto == RILL_TCP][public->port - PORT_FIRST];

    if (use->flow > f->flow)
        return;
    if (use->flow != 0 && use->flow != f->flow && k->now_ns < use->ns + k->quarantine_ns)
        sim_check_fail(k, "I6",
                       "packet %" PRIu64 " of flow %" PRIx64 " is out with port %u, %" PRIu64
                       " us after one of flow %" PRIx64 " came in that left with it",
                       f->ingress_id, f->flow, public->port, (k->now_ns - use->ns) / 1000,
                       use->flow);
    if (use->flow != f->flow || use->ns < f->ingress_ns)
        *use = (struct public_use){.flow = f->flow, .ns = f->ingress_ns};
}

/* I6, and replies can't overtake: the controller knows the flow's public endpoint by now. */
static void check_alias(struct sim_check *k, const struct rill_frame *f)
{
    struct rill_ol *ol = k->releasing;
    struct rill_ol_flow_info info;
    const struct rill_endpoint *public;
    uint64_t flow;

    if (ol == NULL || !rill_ol_flow_info(ol, f->src, f->flow, &info))
        return;
    k->public_flow[k->packets[f->ingress_id].flow] = f->flow;
    public = &chain_in(info.state)->public;
    if (public->family == 0)
        return;
    k->public[k->packets[f->ingress_id].flow] = *public;
    check_others(k, f, public);
    check_rest(k, f, public);
    if (!knows(k->controller, f->flow))
        return;
    flow = rill_controller_alias_flow(k->controller, public, NULL);
    if (flow != f->flow)
        sim_check_fail(k, flow == 0 ? "ALIAS" : "I6",
                       "packet %" PRIu64 " of flow %" PRIx64 " is out with port %u, which is %s",
                       f->ingress_id, f->flow, public->port,
                       flow == 0 ? "not known to the controller" : "another flow's");
}

void sim_check_released(struct sim_check *k, struct rte_mbuf *m, uint64_t now_ns)
{
    const struct rill_frame *f = rill_frame(m);
    const struct sim_mark *mark = sim_mark(m);
    struct packet *p = &k->packets[f->ingress_id];
    struct sim_node *node;

    k->now_ns = now_ns;
    k->released++;
    if (f->type == RILL_FRAME_PASS)
        return;
    if (k->trace != NULL)
        fprintf(k->trace,
                "%12" PRIu64 "  released packet %" PRIu64 " of flow %" PRIx64 " step %" PRIu64
                " of unit %u\n",
                now_ns, f->ingress_id, f->flow, f->step, rill_role_number(f->src));
    if (p->released) /* I3 */
        sim_check_fail(k, "I3", "packet %" PRIu64 " released twice", f->ingress_id);
    p->released = true;
    k->counts.turned_out += f->ingress_id >= TURNED_FIRST;
    k->done[rill_role_number(f->src)].released++;
    k->done[rill_role_number(f->src)].released_bytes += p->bytes;
    node = sim_history_find(&k->history, f->flow, mark->hash);
    if (node == NULL || node->packet != f->ingress_id || node->step != f->step ||
        mark->packet != f->ingress_id || mark->count != f->step) {
        sim_check_fail(k, "I2", "packet %" PRIu64 " left with a state that never was",
                       f->ingress_id);
        return;
    }
    look_at_cluster(k, f->flow);
    check_path(k, f, node);
    check_kept(k, f, node);
    check_alias(k, f);
}

void sim_check_will_turn(struct sim_check *k, uint64_t packet, uint32_t flow)
{
    k->turns_to[packet] = flow;
}

void sim_check_turning(struct sim_check *k, struct rill_ol *ol, struct rte_mbuf *m, uint64_t now_ns)
{
    struct rill_frame *f = rill_frame(m);
    const struct packet *p = &k->packets[f->ingress_id];
    bool must_come_out = p->must_come_out;
    uint64_t again = TURNED_FIRST + f->ingress_id;

    k->turning = ol;
    sim_check_released(k, m, now_ns);
    k->turning = NULL;
    if (f->ingress_id >= TURNED_FIRST) {
        sim_check_fail(k, "LOOP", "packet %" PRIu64 " is turned round again", f->ingress_id);
        return;
    }
    if (k->packets[again].sent) /* and so it was released twice */
        return;
    k->counts.turned++;
    sim_check_sent(k, again, k->turns_to[f->ingress_id], p->bytes, must_come_out);
    f->ingress_id = again;
    sim_mark(m)->packet = again;
}

bool sim_check_is_out(const struct sim_check *k, uint64_t packet)
{
    return k->packets[packet].released;
}

void sim_check_all_out(struct sim_check *k)
{
    for (uint64_t i = 0; i < PACKETS_MAX; i++)
        if (k->packets[i].must_come_out && !k->packets[i].released)
            sim_check_fail(k, "I4",
                           "packet %" PRIu64 " of flow %u, sent after the faults, never came out",
                           i, k->packets[i].flow);
}

void sim_check_balance(struct sim_check *k, const struct rill_fabric *fabric)
{
    sim_books_balance(k, k->cluster, fabric, k->sent, k->released);
    sim_books_billed(k, k->cluster, k->done);
}

void sim_check_established(struct sim_check *k)
{
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < rill_cluster_slots(k->cluster); slot++)
        n += rill_controller_unestablished(controller_of(k, slot));
    if (n > 0)
        sim_check_fail(k, "I4", "%u flows have a term that is not established", n);
}

void sim_check_shares(struct sim_check *k, uint32_t asleep)
{
    sim_books_shares(k, k->cluster, &k->unchecked, asleep);
}

void sim_check_speed(struct sim_check *k)
{
    if (!(k->unchecked & SIM_UNIT_TURNED))
        return;
    k->unchecked &= ~SIM_UNIT_TURNED;
    if (k->unit_mbps == 0)
        k->unit_mbps = sim_plan_setting(k->plan, "unit_capacity_mbps");
    sim_books_speed(k, k->cluster, &k->speed, k->unit_mbps, k->now_ns);
}

/* The report's drops, by name, are the ones that were counted in the balance. */
static void check_drops(struct sim_check *k)
{
    struct rill_tally drops = {0};
    uint64_t counted = rill_cluster_packets_dropped(k->cluster);

    if (rill_cluster_drops(k->cluster, &drops) != 0)
        abort();
    if (rill_tally_total(&drops) != counted)
        sim_check_fail(k, "BALANCE", "%" PRIu64 " packets dropped, but %" PRIu64 " by name",
                       counted, rill_tally_total(&drops));
    rill_tally_fini(&drops);
}

/* One for each protocol, all of a size. */
static unsigned pools(const struct sim_check *k)
{
    return k->plan->tcp > 0 ? 2 : 1;
}

static uint32_t endpoints_back(const struct sim_check *k, uint64_t now_ns)
{
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < rill_cluster_slots(k->cluster); slot++)
        for (unsigned pool = 0; pool < pools(k); pool++)
            n += rill_controller_pool_free(
                controller_of(k, slot), pool,
                rill_cluster_clock_ns(k->cluster, sim_controller(k->cluster, slot), now_ns));
    for (uint32_t i = 0; i < rill_cluster_unit_count(k->cluster); i++)
        for (unsigned pool = 0; pool < pools(k) && rill_cluster_unit(k->cluster, i) != NULL; pool++)
            n += rill_nf_pool_free(rill_cluster_nf(k->cluster, i), pool);
    return n;
}

static void check_endpoints(struct sim_check *k, uint64_t now_ns)
{
    uint32_t n = endpoints_back(k, now_ns);

    if (n != pools(k) * k->plan->pool_ports)
        sim_check_fail(k, "I4", "of %u endpoints only %u are left after all flows have ended",
                       pools(k) * k->plan->pool_ports, n);
}

static void check_units_empty(struct sim_check *k)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(k->cluster); i++)
        if (rill_cluster_unit(k->cluster, i) != NULL &&
            rill_unit_flows(rill_cluster_unit(k->cluster, i)) != 0)
            sim_check_fail(k, "I4", "unit %u keeps %u flows after all have ended", i + 1,
                           rill_unit_flows(rill_cluster_unit(k->cluster, i)));
}

bool sim_check_is_over(const struct sim_check *k, uint64_t now_ns)
{
    for (uint32_t i = 0; i < rill_cluster_unit_count(k->cluster); i++)
        if (rill_cluster_unit(k->cluster, i) != NULL &&
            rill_unit_flows(rill_cluster_unit(k->cluster, i)) != 0)
            return false;
    return rill_cluster_packets_in_flight(k->cluster) == 0 &&
           endpoints_back(k, now_ns) == pools(k) * k->plan->pool_ports;
}

void sim_check_over(struct sim_check *k, uint64_t now_ns)
{
    k->counts.unbilled = sim_books_unbilled(k->cluster, k->done);
    check_endpoints(k, now_ns);
    check_drops(k);
    if (rill_cluster_packets_in_flight(k->cluster) != 0)
        sim_check_fail(k, "I4", "packets in flight after everything has ended");
    check_units_empty(k);
}

const struct rill_endpoint *sim_check_public(const struct sim_check *k, uint32_t flow)
{
    return k->public[flow].family != 0 ? &k->public[flow] : NULL;
}
