/* State management: what is stamped on packets so that state follows the flow, and the messages
 * that keep handoffs safe. A flow is moved only when its last term is established: the owner's
 * output logger holds that term's full state and has said so. */
#include "controller/internal.h"

/* Only when its last term is established; the owner's death overrides that. */
bool smm_movable(const struct rill_controller *c, const struct flow *flow)
{
    if (flow->chain_len == 1 || RILL_MUTANT(unestablished))
        return true;
    return flow->chain_len < RILL_CHAIN_MAX && recovery_logger_of(c, flow->owner) != 0;
}

static uint64_t next_term(struct rill_controller *c, uint64_t above)
{
    uint64_t least = rill_epoch_base(c->config.epoch);
    uint64_t term = (RILL_MUTANT(epochterm) ? above : RTE_MAX(above, least)) + 1;

    if (term > c->term)
        c->term = term;
    return term;
}

/* The flow's first term: nothing came before. */
void smm_born(struct rill_controller *c, struct flow *flow, uint32_t unit)
{
    flow->term = RILL_MUTANT(birth) ? 1 : next_term(c, c->term);
    flow->owner = unit;
    flow->chain[0] = (struct rill_chain_entry){.term = flow->term, .unit = unit};
    flow->chain[1] = (struct rill_chain_entry){.term = RILL_BIRTH_TERM};
    flow->chain_len = 2;
}

void smm_copy_chain_below(const struct rill_controller *c, struct rill_frame *f,
                          const struct flow *flow, uint8_t from)
{
    f->chain_len = flow->chain_len > from ? flow->chain_len - from : 0;
    memcpy(f->chain, flow->chain + from, f->chain_len * sizeof(f->chain[0]));
    for (uint8_t i = 0; i < f->chain_len && c->recovery.count > 0; i++)
        f->chain[i].output_logger = recovery_logger_of(c, f->chain[i].unit);
}

static void send_move(struct rill_controller *c, struct flow *flow, uint64_t term, uint32_t unit)
{
    struct rte_mbuf *m;
    struct rill_frame *f;

    if (recovery_logger_of(c, flow->owner) != 0 || unit == flow->owner)
        return; /* nobody is there; or its packet says so */
    m = ctl_message(c, RILL_FRAME_MOVE, flow->owner, flow->number);
    if (m == NULL)
        return;
    f = rill_frame(m);
    f->term = flow->term;
    f->next_term = term;
    f->next_unit = unit;
    smm_copy_chain_below(c, f, flow, 1);
    rill_outbox_put(c->out, m);
}

void smm_move(struct rill_controller *c, struct flow *flow, uint32_t unit)
{
    uint64_t term = next_term(c, flow->term);

    send_move(c, flow, term, unit);
    memmove(flow->chain + 1, flow->chain,
            RTE_MIN(flow->chain_len, RILL_CHAIN_MAX - 1) * sizeof(flow->chain[0]));
    flow->chain_len = RTE_MIN(flow->chain_len + 1, RILL_CHAIN_MAX);
    flow->chain[0] = (struct rill_chain_entry){.term = term, .unit = unit};
    flow->term = term;
    flow->owner = unit;
    flow->reopen = false;
}

static void predict_targets(struct rill_controller *c, struct flow *flow)
{
    uint32_t holders[RILL_TARGETS_MAX];
    uint32_t n = flow->target_count;

    memcpy(holders, flow->targets, n * sizeof(holders[0]));
    flow->target_count =
        (uint8_t)rill_wam_predict(c->wam, rill_wgm_demand_bps(&c->wgm, &flow->wgm), holders, n,
                                  c->config.replicas, flow->owner, c->now_ns, flow->targets);
}

void smm_choose_targets(struct rill_controller *c, struct flow *flow)
{
    if (!c->config.proactive)
        return;
    if (c->config.replica_choice == RILL_REPLICA_PREDICTED)
        predict_targets(c, flow);
    else
        flow->target_count =
            (uint8_t)rill_wam_targets(c->wam, &c->rng, c->config.replica_choice, c->config.replicas,
                                      flow->owner, flow->targets);
}

/* What a flow's first packets carry besides. */
void smm_stamp_first(struct rill_controller *c, struct flow *flow, struct rill_frame *f)
{
    if (!flow->tuple_known && f->chain_len <= RILL_CHAIN_MAX_WITH_TUPLE) {
        f->flags |= RILL_FLAG_TUPLE;
        rill_flow_key_pack(&flow->key, &f->tuple);
    }
    if (flow->has_kept && !flow->has_alias)
        endpoints_stamp(c, flow, f);
}

/* An output logger holds the full state of this term: what came before is no longer needed. */
void smm_on_established(struct rill_controller *c, const struct rill_frame *f)
{
    struct flow *flow = flows_by_number(c, f->flow);
    struct rte_mbuf *m;

    for (uint8_t i = 0; flow != NULL && i < flow->chain_len; i++) {
        if (flow->chain[i].term == f->term && flow->chain[i].unit == f->next_unit) {
            flow->chain_len = RILL_MUTANT(chain_cut) ? 1 : i + 1;
            flow->tuple_known |= (f->flags & RILL_FLAG_TUPLE) != 0;
            c->n.established++;
        }
    }
    m = ctl_message(c, RILL_FRAME_ESTABLISHED_ACK, f->src, f->flow);
    if (m == NULL)
        return;
    rill_frame(m)->term = f->term;
    rill_frame(m)->next_unit = f->next_unit;
    rill_outbox_put(c->out, m);
}

/* Where the term is in the flow's chain; chain_len if it is not. */
static uint8_t find_term(const struct flow *flow, uint64_t term)
{
    uint8_t i = 0;

    while (i < flow->chain_len && flow->chain[i].term != term)
        i++;
    return i;
}

/* One who was to have the flow after chain[i]'s unit has come to where it is lost. Is it? */
static bool is_lost_below(const struct rill_controller *c, const struct flow *flow, uint8_t i)
{
    while (++i < flow->chain_len)
        if (recovery_logger_of(c, flow->chain[i].unit) == RILL_LOGGER_LOST)
            return true;
    return false;
}

/* A unit waits for the state of a term: who had it before? Refused: that term is not in the chain,
 * the flow went on or ended without it. If nobody has the state any more, the flow ends here and
 * now: its packets begin another life, from zeros, with clocks, steps and endpoint of its own. */
void smm_on_where(struct rill_controller *c, const struct rill_frame *f)
{
    struct flow *flow = flows_by_number(c, f->flow);
    uint8_t i = flow != NULL ? find_term(flow, f->term) : 0;
    bool known = flow != NULL && i < flow->chain_len;
    struct rte_mbuf *m;

    /* Its unit has forgotten it: it had ended before this controller inherited it. */
    if (known && (f->flags & RILL_FLAG_FORGOTTEN) && i + 1 == flow->chain_len) {
        c->n.flows_forgotten++;
        flows_end(c, flow);
        known = false;
    }
    if (known && (f->flags & RILL_FLAG_ENDED) && !flow->retired) {
        c->n.flows_ended_by_nf++;
        flows_retire(c, flow);
    }
    if (known && (f->flags & RILL_FLAG_REFUSED) && is_lost_below(c, flow, i)) {
        c->n.flows_lost++;
        flows_end(c, flow);
        known = false;
    }
    m = ctl_message(c, RILL_FRAME_CHAIN, f->src, f->flow);
    if (m == NULL)
        return;
    c->n.where_answered++;
    rill_frame(m)->term = f->term;
    if (known)
        smm_copy_chain_below(c, rill_frame(m), flow, i + 1);
    else
        rill_frame(m)->flags |= RILL_FLAG_REFUSED;
    rill_outbox_put(c->out, m);
}

/* A unit or output logger asks whether it may forget a flow: yes, if its term is below the last
 * established one, or the flow has ended. If it has the newest term the answer says so: that the
 * flow lives is known there, and nowhere else ("vouch"). */
void smm_on_need(struct rill_controller *c, const struct rill_frame *f)
{
    struct flow *flow = flows_by_number(c, f->flow);
    struct rte_mbuf *m;

    if (flow == NULL && c->now_ns < c->untold_until_ns)
        return; /* asked again */
    m = ctl_message(c, RILL_FRAME_FORGET, f->src, f->flow);
    if (m == NULL)
        return;
    rill_frame(m)->term = flow == NULL                 ? UINT64_MAX
                          : RILL_MUTANT(forget_pinned) ? flow->term
                                                       : flow->chain[flow->chain_len - 1].term;
    rill_frame(m)->next_unit = f->next_unit;
    if (flow != NULL && !flow->resting && flow->owner == f->next_unit && flow->term == f->term) {
        rill_frame(m)->flags = RILL_FLAG_REFUSED;
        rill_frame(m)->term = f->term;
    }
    rill_outbox_put(c->out, m);
}
