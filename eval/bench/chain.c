#include "eval/bench/chain.h"

#include <stdlib.h>

#include "eval/bench/harness.h"
#include "lib/frame/frame.h"

/* In the order of enum rill_role_kind and of enum bench_stage. */
enum { RM, CONTROLLER, UNIT, LOGGER, ROLES };
#define REST_STEP_NS 10000

struct bench_chain {
    struct rill_cluster *cluster;
    struct rill_fabric *fabric; /* the cluster wants one; nothing goes through it */
    struct rill_rm *rm;
    struct rill_controller *controller;
    struct rill_unit *unit;
    struct rill_ol *ol;
    struct rill_outbox in[ROLES]; /* what waits for each */
    struct rill_outbox out;       /* of the role at hand */
    uint64_t now_ns, burst_ns, due_ns[ROLES];
    uint64_t taken, released;
    uint64_t cycles[ROLES];
    struct bench_tape *tape; /* what `taped` takes in goes here; NULL: nowhere */
    uint32_t taped;
    uint64_t sent; /* of that role */
    struct rte_mempool *pool;
};

static void unexpected(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    (void)arg;
    (void)now_ns;
    rte_pktmbuf_free(m);
}

/* To where they go next, or to the end. */
static void pass_on(struct bench_chain *c)
{
    struct rill_outbox *out = &c->out;
    struct rte_mbuf **leaving = out->frames;
    uint32_t n = 0;

    for (uint32_t i = 0; i < out->count; i++) {
        struct rte_mbuf *m = out->frames[i];
        uint32_t kind = rill_role_kind(rill_frame(m)->dst);

        if (kind == RILL_ROLE_PORT)
            leaving[n++] = m;
        else
            rill_outbox_put(&c->in[kind - RILL_ROLE_RM], m);
    }
    rte_pktmbuf_free_bulk(leaving, n);
    c->released += n;
    out->count = 0;
}

/* One turn of a role: what came, then what is due. True if it did anything. */
#define TURN(prefix, index, core)                                                                  \
    static bool prefix##_turn(struct bench_chain *c)                                               \
    {                                                                                              \
        uint32_t n = c->in[index].count, before = c->out.count;                                    \
                                                                                                   \
        if (n == 0 && c->due_ns[index] > c->now_ns)                                                \
            return false;                                                                          \
        c->in[index].count = 0;                                                                    \
        if (n > 0)                                                                                 \
            prefix##_recv((core), c->in[index].frames, n, c->now_ns, &c->out);                     \
        c->due_ns[index] = prefix##_next_ns(core);                                                 \
        if (c->due_ns[index] <= c->now_ns) {                                                       \
            prefix##_tick((core), c->now_ns, &c->out);                                             \
            c->due_ns[index] = prefix##_next_ns(core);                                             \
        }                                                                                          \
        return n > 0 || c->out.count > before;                                                     \
    }

TURN(rill_rm, RM, c->rm)
TURN(rill_controller, CONTROLLER, c->controller)
TURN(rill_unit, UNIT, c->unit)
TURN(rill_ol, LOGGER, c->ol)

/* Enough to tell whether another did the same. */
static void add_sent(struct bench_chain *c)
{
    for (uint32_t i = 0; i < c->out.count; i++) {
        const struct rill_frame *f = rill_frame(c->out.frames[i]);

        c->sent += f->type + 64 * f->flow + f->clock + f->step;
    }
}

/* What the turn took counts for the role. */
static bool take(struct bench_chain *c, uint32_t role, bool (*turn)(struct bench_chain *c))
{
    bool taped = c->tape != NULL && role == c->taped, moved;
    uint64_t begin;

    if (taped && (c->in[role].count > 0 || c->due_ns[role] <= c->now_ns))
        bench_tape_write(c->tape, BENCH_TURN, c->now_ns, c->in[role].frames, c->in[role].count);
    begin = bench_cycles();
    moved = turn(c);
    if (moved)
        c->cycles[role] += bench_cycles() - begin;
    if (taped)
        add_sent(c);
    pass_on(c);
    return moved;
}

static void settle(struct bench_chain *c)
{
    bool moved = true;

    while (moved) {
        moved = take(c, CONTROLLER, rill_controller_turn);
        moved |= take(c, UNIT, rill_unit_turn);
        moved |= take(c, LOGGER, rill_ol_turn);
        moved |= take(c, RM, rill_rm_turn);
    }
}

void bench_chain_burst(struct bench_chain *c, struct rte_mbuf **packets)
{
    uint64_t begin;

    c->now_ns += c->burst_ns;
    for (int i = 0; i < BENCH_BURST; i++) {
        struct rill_frame *f = rill_frame(packets[i]);

        rill_frame_reset(f);
        f->side = RILL_INSIDE;
        f->wire_bytes = packets[i]->pkt_len;
        f->ingress_ns = c->now_ns;
        f->ingress_id = ++c->taken;
    }
    if (c->tape != NULL && c->taped == CONTROLLER)
        bench_tape_write(c->tape, BENCH_INGRESS, c->now_ns, packets, BENCH_BURST);
    begin = bench_cycles();
    rill_controller_ingress(c->controller, packets, BENCH_BURST, c->now_ns, &c->out);
    c->cycles[CONTROLLER] += bench_cycles() - begin;
    if (c->tape != NULL && c->taped == CONTROLLER)
        add_sent(c);
    pass_on(c);
    settle(c);
}

void bench_chain_rest(struct bench_chain *c, uint64_t ns)
{
    for (uint64_t until_ns = c->now_ns + ns; c->now_ns < until_ns; c->now_ns += REST_STEP_NS)
        settle(c);
}

/* --- one stage alone --------------------------------------------------------------------------
 */

void bench_chain_record(struct bench_chain *c, enum bench_stage stage, struct bench_tape *tape)
{
    c->tape = tape;
    c->taped = CONTROLLER + stage;
}

void bench_chain_mark(struct bench_chain *c)
{
    bench_tape_write(c->tape, BENCH_MARK, c->now_ns, NULL, 0);
}

static void free_frames(struct rill_outbox *box)
{
    rte_pktmbuf_free_bulk(box->frames, box->count);
    box->count = 0;
}

static bool give(struct bench_chain *c, uint32_t role, struct bench_tape *tape,
                 const struct bench_tape_entry *entry)
{
    struct rill_outbox *in = &c->in[role];

    while (in->capacity < entry->n)
        rill_outbox_put(in, NULL);
    in->count = 0;
    if (!bench_tape_frames(tape, entry, c->pool, in->frames))
        return false;
    in->count = entry->n;
    return true;
}

static void play(struct bench_chain *c, uint32_t role, enum bench_event event)
{
    static bool (*const turns[ROLES])(struct bench_chain * c) = {rill_rm_turn, rill_controller_turn,
                                                                 rill_unit_turn, rill_ol_turn};
    uint64_t begin = bench_cycles();

    if (event == BENCH_TURN) {
        turns[role](c);
    } else {
        rill_controller_ingress(c->controller, c->in[role].frames, c->in[role].count, c->now_ns,
                                &c->out);
        c->in[role].count = 0;
    }
    c->cycles[role] += bench_cycles() - begin;
}

bool bench_chain_play(struct bench_chain *c, enum bench_stage stage, struct bench_tape *tape,
                      bool idle)
{
    uint32_t role = CONTROLLER + stage;
    struct bench_tape_entry entry;

    while (bench_tape_next(tape, &entry) && entry.event != BENCH_MARK) {
        if (!give(c, role, tape, &entry))
            return false;
        if (!idle) {
            c->now_ns = entry.now_ns;
            play(c, role, entry.event);
            add_sent(c);
        }
        free_frames(idle ? &c->in[role] : &c->out);
    }
    return true;
}

uint64_t bench_chain_sent(const struct bench_chain *c)
{
    return c->sent;
}

struct bench_chain *bench_chain_create(const struct bench_chain_config *config,
                                       struct rill_error *err)
{
    struct bench_chain *c = calloc(1, sizeof(*c));
    struct rill_cluster_config cluster = {.nf = config->nf,
                                          .nf_config = config->nf_config,
                                          .settings = config->settings,
                                          .units_milli = 1000,
                                          .flows_max = config->flows,
                                          .pool = config->pool,
                                          .equip = config->equip,
                                          .released = unexpected};

    if (c == NULL)
        return NULL;
    c->pool = config->pool;
    c->burst_ns = BENCH_BURST * UINT64_C(1000000000) / config->pps;
    c->fabric = rill_fabric_inproc_create(64, err);
    cluster.fabric = c->fabric;
    c->cluster = c->fabric != NULL ? rill_cluster_create(&cluster, err) : NULL;
    if (c->cluster == NULL) {
        bench_chain_destroy(c);
        return NULL;
    }
    c->rm = rill_cluster_rm(c->cluster);
    c->controller = rill_cluster_controller(c->cluster);
    c->unit = rill_cluster_unit(c->cluster, 0);
    c->ol = rill_cluster_output_logger(c->cluster, 1);
    return c;
}

void bench_chain_destroy(struct bench_chain *c)
{
    if (c == NULL)
        return;
    for (uint32_t role = 0; role < ROLES; role++)
        rill_outbox_fini(&c->in[role]);
    rill_outbox_fini(&c->out);
    rill_cluster_destroy(c->cluster);
    if (c->fabric != NULL)
        c->fabric->ops->destroy(c->fabric);
    free(c);
}

uint64_t bench_chain_released(const struct bench_chain *c)
{
    return c->released;
}

uint64_t bench_chain_cycles(const struct bench_chain *c, enum bench_stage stage)
{
    return c->cycles[CONTROLLER + stage];
}

struct rill_cluster *bench_chain_cluster(struct bench_chain *c)
{
    return c->cluster;
}
