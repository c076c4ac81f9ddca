/* The truth about a run, kept apart from the cores, and the invariants of docs/protocol.md. */
#include <stdarg.h>

#include "tests/sim/sim.h"

enum { PACKETS_MAX = 4096, FLOW_LIVES_MAX = 4096, TERMS_MAX = 16384, FIRST_STEPS = 16 };

struct packet {
    uint32_t flow; /* of the workload */
    bool sent, processed, released, must_come_out;
};

struct step {
    uint64_t hash; /* after it */
    uint64_t packet;
    uint32_t unit; /* by whom */
};

struct life { /* of a flow, by its number */
    struct rill_map_node node;
    uint64_t hash; /* at the head of the chain */
    uint64_t step;
    struct step *steps; /* by number, up to `room`; the first is the state before any */
    uint32_t room;
    uint64_t released; /* the highest step of which a packet has left */
};

struct term {
    struct rill_map_node node; /* flow ^ mixed term */
    uint64_t flow, term;
    uint32_t owner;
};

struct sim_check {
    const struct sim_plan *plan;
    FILE *trace;
    struct rill_cluster *cluster;
    struct packet packets[PACKETS_MAX];
    struct rill_endpoint public[64];          /* by workload flow */
    bool suspect[RILL_CLUSTER_UNITS_MAX + 1]; /* by number: died, or taken for dead */
    struct rill_flow_map lives, terms;
    struct rill_slab life_slab, term_slab;
    uint64_t sent, released, now_ns;
    char violation[256];
};

struct sim_check *sim_check_create(const struct sim_plan *plan, FILE *trace)
{
    struct sim_check *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->plan = plan;
    k->trace = trace;
    if (rill_flow_map_init(&k->lives, 1024) != 0 || rill_flow_map_init(&k->terms, 4096) != 0 ||
        rill_slab_init(&k->life_slab, sizeof(struct life), FLOW_LIVES_MAX) != 0 ||
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
    for (uint32_t i = 0; k->lives.buckets != NULL && i <= k->lives.mask; i++)
        for (struct rill_map_node *node = k->lives.buckets[i]; node != NULL; node = node->next)
            free(((struct life *)node)->steps);
    rill_flow_map_fini(&k->lives);
    rill_flow_map_fini(&k->terms);
    rill_slab_fini(&k->life_slab);
    rill_slab_fini(&k->term_slab);
    free(k);
}

void sim_check_attach(struct sim_check *k, struct rill_cluster *cluster)
{
    k->cluster = cluster;
    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++)
        rill_unit_set_step_hook(rill_cluster_unit(cluster, i), sim_check_step, k);
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

void sim_check_sent(struct sim_check *k, uint64_t packet, uint32_t flow, bool must_come_out)
{
    k->packets[packet] =
        (struct packet){.flow = flow, .sent = true, .must_come_out = must_come_out};
    k->sent++;
}

/* The step of that number; all zero if it never was. */
static struct step step_at(const struct life *life, uint64_t number)
{
    return number < life->room ? life->steps[number] : (struct step){0};
}

/* Room for the step of that number. Most lives are short. */
static void make_room(struct life *life, uint64_t number)
{
    uint32_t room = life->room == 0 ? FIRST_STEPS : life->room;

    while (room <= number)
        room *= 2;
    if (room == life->room)
        return;
    life->steps = realloc(life->steps, room * sizeof(life->steps[0]));
    if (life->steps == NULL)
        abort();
    memset(life->steps + life->room, 0, (room - life->room) * sizeof(life->steps[0]));
    life->room = room;
}

static struct life *life_of(struct sim_check *k, uint64_t flow)
{
    struct life *life = (struct life *)rill_flow_map_find(&k->lives, flow, 0);

    if (life == NULL) {
        life = rill_slab_get(&k->life_slab);
        if (life == NULL)
            abort();
        life->node.flow = flow;
        rill_flow_map_insert(&k->lives, &life->node);
    }
    return life;
}

static const struct sim_chain *chain_in(const uint8_t *state)
{
    return (const struct sim_chain *)(state + sizeof(struct rill_alias));
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

void sim_check_suspect(struct sim_check *k, uint32_t unit, bool zombie)
{
    k->suspect[rill_role_number(unit)] = true;
    sim_check_note(k, "unit %u %s", rill_role_number(unit),
                   zombie ? "is taken for dead, and goes on" : "dies");
}

/* Steps of dead units that never left are undone: recovery goes on below them. I2: none that left.
 */
static void undo(struct sim_check *k, struct life *life, const struct rill_unit_step *s)
{
    while (life->step >= s->step) {
        const struct step head = step_at(life, life->step);

        if (!k->suspect[rill_role_number(head.unit)] || life->step <= life->released) {
            sim_check_fail(k, life->step <= life->released ? "I2" : "I1",
                           "unit %u goes on with flow %" PRIx64 " at step %" PRIu64
                           ", but step %" PRIu64 " of unit %u %s",
                           rill_role_number(s->unit), s->flow, s->step, life->step,
                           rill_role_number(head.unit),
                           life->step <= life->released ? "has left" : "was never taken for dead");
            return;
        }
        k->packets[head.packet].processed = false;
        life->step--;
        life->hash = step_at(life, life->step).hash;
    }
}

/* What a unit that was taken for dead still does is its own affair, as long as it does not leave.
 */
static bool is_aside(const struct sim_check *k, const struct life *life,
                     const struct rill_unit_step *s)
{
    return k->suspect[rill_role_number(s->unit)] &&
           (s->step != life->step + 1 || chain_in(s->before)->hash != life->hash);
}

/* I1: a flow's processing is one chain, and no packet is in it twice. */
void sim_check_step(void *arg, const struct rill_unit_step *s)
{
    struct sim_check *k = arg;
    struct life *life = life_of(k, s->flow);
    struct packet *p = &k->packets[s->ingress_id];

    check_owner(k, s);
    if (is_aside(k, life, s))
        return;
    undo(k, life, s);
    if (p->processed)
        sim_check_fail(k, "I1", "packet %" PRIu64 " processed twice, now by unit %u", s->ingress_id,
                       rill_role_number(s->unit));
    p->processed = true;
    if (!s->forwarded)
        p->must_come_out = false; /* the NF's word */
    if (chain_in(s->before)->hash != life->hash || s->step != life->step + 1)
        sim_check_fail(k, "I1",
                       "unit %u processed packet %" PRIu64 " of flow %" PRIx64 " as step %" PRIu64
                       " on a state that is not step %" PRIu64 "'s",
                       rill_role_number(s->unit), s->ingress_id, s->flow, s->step, life->step);
    life->step++;
    life->hash = chain_in(s->after)->hash;
    make_room(life, life->step);
    life->steps[life->step] =
        (struct step){.hash = life->hash, .packet = s->ingress_id, .unit = s->unit};
    if (k->trace != NULL)
        fprintf(k->trace,
                "              step: unit %u flow %" PRIx64 " term %" PRIx64 " clock %" PRIx64
                " step %" PRIu64 " packet %" PRIu64 "\n",
                rill_role_number(s->unit), s->flow, s->term, s->clock, s->step, s->ingress_id);
}

/* I2: the effect of what is released is in what would be recovered: the logger's copy has that
 * step, and is the true state of the step that it says it is. */
static void check_kept(struct sim_check *k, const struct rill_frame *f)
{
    struct life *life = life_of(k, f->flow);
    struct rill_ol_flow_info info;
    struct rill_ol *ol = rill_cluster_output_logger(
        k->cluster, rill_role_number(rill_cluster_releasing(k->cluster)));

    if (ol == NULL || !rill_ol_flow_info(ol, f->src, f->flow, &info) || info.step < f->step ||
        chain_in(info.state)->hash != step_at(life, info.step).hash)
        sim_check_fail(k, "I2",
                       "packet %" PRIu64 " (step %" PRIu64 ") is out, but its effect is not kept",
                       f->ingress_id, f->step);
}

/* I6, and replies can't overtake: the controller knows the flow's public endpoint by now. */
static void check_alias(struct sim_check *k, const struct rill_frame *f)
{
    struct rill_ol *ol = rill_cluster_output_logger(
        k->cluster, rill_role_number(rill_cluster_releasing(k->cluster)));
    struct rill_ol_flow_info info;
    const struct rill_endpoint *public;
    uint64_t flow;

    if (ol == NULL || !rill_ol_flow_info(ol, f->src, f->flow, &info))
        return;
    public = &chain_in(info.state)->public;
    if (public->family == 0 ||
        !rill_controller_flow_alive(rill_cluster_controller(k->cluster), f->flow))
        return;
    flow = rill_controller_alias_flow(rill_cluster_controller(k->cluster), public, NULL);
    if (flow != f->flow)
        sim_check_fail(k, flow == 0 ? "ALIAS" : "I6",
                       "packet %" PRIu64 " of flow %" PRIx64 " is out with port %u, which is %s",
                       f->ingress_id, f->flow, public->port,
                       flow == 0 ? "not known to the controller" : "another flow's");
    k->public[k->packets[f->ingress_id].flow] = *public;
}

void sim_check_released(struct sim_check *k, struct rte_mbuf *m, uint64_t now_ns)
{
    const struct rill_frame *f = rill_frame(m);
    const struct sim_mark *mark =
        rte_pktmbuf_mtod_offset(m, const struct sim_mark *, SIM_HEADERS_BYTES);
    struct packet *p = &k->packets[f->ingress_id];

    k->now_ns = now_ns;
    k->released++;
    if (f->type == RILL_FRAME_PASS)
        return;
    if (k->trace != NULL)
        fprintf(k->trace,
                "%12" PRIu64 "  released packet %" PRIu64 " of flow %" PRIx64 " step %" PRIu64 "\n",
                now_ns, f->ingress_id, f->flow, f->step);
    if (p->released) /* I3 */
        sim_check_fail(k, "I3", "packet %" PRIu64 " released twice", f->ingress_id);
    p->released = true;
    if (!p->processed || mark->packet != f->ingress_id || mark->count != f->step ||
        mark->hash != step_at(life_of(k, f->flow), f->step).hash)
        sim_check_fail(k, "I2", "packet %" PRIu64 " left with a state that never was",
                       f->ingress_id);
    check_kept(k, f);
    check_alias(k, f);
    if (f->step > life_of(k, f->flow)->released)
        life_of(k, f->flow)->released = f->step;
}

void sim_check_all_out(struct sim_check *k)
{
    for (uint64_t i = 0; i < PACKETS_MAX; i++)
        if (k->packets[i].must_come_out && !k->packets[i].released)
            sim_check_fail(k, "I4",
                           "packet %" PRIu64 " of flow %u, sent after the faults, never came out",
                           i, k->packets[i].flow);
}

/* Nothing is lost without being counted. */
void sim_check_balance(struct sim_check *k, const struct rill_fabric *fabric)
{
    struct rill_tally drops = {0};
    uint64_t in = k->sent + fabric->counters.doubled_packets, out;

    if (rill_cluster_drops(k->cluster, &drops) != 0)
        abort();
    out = k->released + rill_tally_total(&drops) + rill_cluster_packets_in_flight(k->cluster);
    rill_tally_fini(&drops);
    if (in != out)
        sim_check_fail(k, "BALANCE",
                       "%" PRIu64 " packets in and doubled, %" PRIu64
                       " released, dropped or in flight",
                       in, out);
}

static uint32_t endpoints_back(const struct sim_check *k, uint64_t now_ns)
{
    uint32_t n = rill_controller_pool_free(rill_cluster_controller(k->cluster), 0, now_ns);

    for (uint32_t i = 0; i < rill_cluster_unit_count(k->cluster); i++)
        if (rill_cluster_unit(k->cluster, i) != NULL)
            n += rill_nf_pool_free(rill_cluster_nf(k->cluster, i), 0);
    return n;
}

static void check_endpoints(struct sim_check *k, uint64_t now_ns)
{
    uint32_t n = endpoints_back(k, now_ns);

    if (n != k->plan->pool_ports)
        sim_check_fail(k, "I4", "of %u endpoints only %u are left after all flows have ended",
                       k->plan->pool_ports, n);
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
           endpoints_back(k, now_ns) == k->plan->pool_ports;
}

void sim_check_over(struct sim_check *k, uint64_t now_ns)
{
    check_endpoints(k, now_ns);
    if (rill_cluster_packets_in_flight(k->cluster) != 0)
        sim_check_fail(k, "I4", "packets in flight after everything has ended");
    check_units_empty(k);
}

const struct rill_endpoint *sim_check_public(const struct sim_check *k, uint32_t flow)
{
    return k->public[flow].family != 0 ? &k->public[flow] : NULL;
}
