/* The truth about a run, kept apart from the cores, and the invariants of docs/protocol.md. */
#include <stdarg.h>

#include "tests/sim/sim.h"

enum { PACKETS_MAX = 4096, FLOW_LIVES_MAX = 4096, TERMS_MAX = 16384, STEPS_MAX = 4096 };

struct packet {
    uint32_t flow; /* of the workload */
    bool sent, released, must_come_out;
};

struct step { /* known by the state that it left */
    uint64_t hash, packet;
    uint32_t unit, number;
    uint32_t before; /* index; the first step's is 0, the state of zeros */
};

/* Of a flow, by its number. Its steps are a chain; with units that were taken for dead a tree, of
 * which one branch goes on, and only from that one packets leave. */
struct life {
    struct rill_map_node node;
    struct step steps[STEPS_MAX];
    uint32_t count;
    uint32_t released; /* the newest of which a packet has left */
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

static struct life *life_of(struct sim_check *k, uint64_t flow)
{
    struct life *life = (struct life *)rill_flow_map_find(&k->lives, flow, 0);

    if (life == NULL) {
        life = rill_slab_get(&k->life_slab);
        if (life == NULL)
            abort();
        life->node.flow = flow;
        life->count = 1;
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

/* The step that left this state; NULL: none did. */
static struct step *find_step(struct life *life, uint64_t hash)
{
    for (uint32_t i = life->count; i-- > 0;)
        if (life->steps[i].hash == hash)
            return &life->steps[i];
    return NULL;
}

/* Is it `first` itself, or does it go on from there? */
static bool goes_on_from(const struct life *life, const struct step *step, const struct step *first)
{
    while (step->number > first->number)
        step = &life->steps[step->before];
    return step == first;
}

static bool is_suspect(const struct sim_check *k, uint32_t unit)
{
    return k->suspect[rill_role_number(unit)];
}

/* I1: no packet twice in what a state reflects. */
static void check_packet(struct sim_check *k, const struct life *life, const struct step *before,
                         const struct rill_unit_step *s)
{
    while (before->number > 0 && before->packet != s->ingress_id)
        before = &life->steps[before->before];
    if (before->number > 0)
        sim_check_fail(k, "I1", "packet %" PRIu64 " processed twice, now by unit %u", s->ingress_id,
                       rill_role_number(s->unit));
}

/* What a unit that was taken for dead does is its own affair, as long as it does not leave. The
 * others go on from all that has left (I2), and from all that one of them has done (I1). */
static void check_branch(struct sim_check *k, const struct life *life, const struct step *before,
                         const struct rill_unit_step *s)
{
    const struct step *released = &life->steps[life->released];

    if (is_suspect(k, s->unit))
        return;
    if (!goes_on_from(life, before, released))
        sim_check_fail(k, "I2",
                       "unit %u goes on with flow %" PRIx64 " from step %u, but step %u has left",
                       rill_role_number(s->unit), s->flow, before->number, released->number);
    for (uint32_t i = 1; i < life->count; i++) {
        const struct step *other = &life->steps[i];

        if (other != before && !is_suspect(k, other->unit) && goes_on_from(life, other, before))
            sim_check_fail(k, "I1",
                           "unit %u goes on with flow %" PRIx64
                           " from step %u, but step %u of unit %u was never taken for dead",
                           rill_role_number(s->unit), s->flow, before->number, other->number,
                           rill_role_number(other->unit));
    }
}

static void add_step(struct life *life, const struct step *before, const struct rill_unit_step *s)
{
    uint64_t hash = chain_in(s->after)->hash;
    struct step *step = find_step(life, hash); /* a dead unit may have done the very same */

    if (step == NULL) {
        if (life->count == STEPS_MAX)
            abort();
        step = &life->steps[life->count++];
    }
    *step = (struct step){.hash = hash,
                          .packet = s->ingress_id,
                          .unit = s->unit,
                          .number = before->number + 1,
                          .before = (uint32_t)(before - life->steps)};
}

/* I1: a flow's processing is one chain, and no packet is in it twice. */
void sim_check_step(void *arg, const struct rill_unit_step *s)
{
    struct sim_check *k = arg;
    struct life *life = life_of(k, s->flow);
    const struct step *before = find_step(life, chain_in(s->before)->hash);

    check_owner(k, s);
    if (k->trace != NULL)
        fprintf(k->trace,
                "              step: unit %u flow %" PRIx64 " term %" PRIx64 " clock %" PRIx64
                " step %" PRIu64 " packet %" PRIu64 "\n",
                rill_role_number(s->unit), s->flow, s->term, s->clock, s->step, s->ingress_id);
    if (!s->forwarded)
        k->packets[s->ingress_id].must_come_out = false; /* the NF's word */
    if (before == NULL || before->number + 1 != s->step) {
        sim_check_fail(k, "I1",
                       "unit %u processed packet %" PRIu64 " of flow %" PRIx64 " as step %" PRIu64
                       " on a state that is not step %" PRIu64 "'s",
                       rill_role_number(s->unit), s->ingress_id, s->flow, s->step, s->step - 1);
        return;
    }
    check_packet(k, life, before, s);
    check_branch(k, life, before, s);
    add_step(life, before, s);
}

/* I2: the effect of what is released is in what would be recovered: the logger's copy has that
 * step, and is the true state of the step that it says it is. */
static void check_kept(struct sim_check *k, const struct rill_frame *f, const struct step *step)
{
    struct life *life = life_of(k, f->flow);
    struct rill_ol_flow_info info;
    struct rill_ol *ol = rill_cluster_output_logger(
        k->cluster, rill_role_number(rill_cluster_releasing(k->cluster)));
    const struct step *kept = NULL;

    if (ol != NULL && rill_ol_flow_info(ol, f->src, f->flow, &info))
        kept = find_step(life, chain_in(info.state)->hash);
    if (kept == NULL || kept->number != info.step || !goes_on_from(life, kept, step))
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

/* I2: all that leaves is of one branch. */
static void check_one_branch(struct sim_check *k, struct life *life, const struct step *step)
{
    const struct step *newest = &life->steps[life->released];

    if (goes_on_from(life, step, newest))
        life->released = (uint32_t)(step - life->steps);
    else if (!goes_on_from(life, newest, step))
        sim_check_fail(k, "I2",
                       "step %u of unit %u has left, and step %u of unit %u, apart from it",
                       newest->number, rill_role_number(newest->unit), step->number,
                       rill_role_number(step->unit));
}

void sim_check_released(struct sim_check *k, struct rte_mbuf *m, uint64_t now_ns)
{
    const struct rill_frame *f = rill_frame(m);
    const struct sim_mark *mark =
        rte_pktmbuf_mtod_offset(m, const struct sim_mark *, SIM_HEADERS_BYTES);
    struct packet *p = &k->packets[f->ingress_id];
    const struct step *step;

    k->now_ns = now_ns;
    k->released++;
    if (f->type == RILL_FRAME_PASS)
        return;
    if (k->trace != NULL)
        fprintf(k->trace, "%12" PRIu64 "  released packet %" PRIu64 " step %" PRIu64 "\n", now_ns,
                f->ingress_id, f->step);
    if (p->released) /* I3 */
        sim_check_fail(k, "I3", "packet %" PRIu64 " released twice", f->ingress_id);
    p->released = true;
    step = find_step(life_of(k, f->flow), mark->hash);
    if (step == NULL || mark->packet != f->ingress_id || step->packet != f->ingress_id ||
        mark->count != f->step || step->number != f->step) {
        sim_check_fail(k, "I2", "packet %" PRIu64 " left with a state that never was",
                       f->ingress_id);
        return;
    }
    check_kept(k, f, step);
    check_alias(k, f);
    check_one_branch(k, life_of(k, f->flow), step);
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

void sim_check_endpoints(struct sim_check *k, uint64_t now_ns)
{
    uint32_t n = rill_controller_pool_free(rill_cluster_controller(k->cluster), 0, now_ns);

    for (uint32_t i = 0; i < rill_cluster_unit_count(k->cluster); i++)
        if (rill_cluster_unit(k->cluster, i) != NULL)
            n += rill_nf_pool_free(rill_cluster_nf(k->cluster, i), 0);
    if (n != k->plan->pool_ports)
        sim_check_fail(k, "I4", "of %u endpoints only %u are left after all flows have ended",
                       k->plan->pool_ports, n);
}

const struct rill_endpoint *sim_check_public(const struct sim_check *k, uint32_t flow)
{
    return k->public[flow].family != 0 ? &k->public[flow] : NULL;
}
