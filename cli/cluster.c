/* Each role takes its turn when it is due, and what it sends goes to the fabric; and looking. */
#include "cli/cluster_internal.h"

enum { BURST = 32 };

bool cluster_flush(struct rill_cluster *k, uint32_t src, uint64_t now_ns)
{
    struct rill_fabric *fabric = k->config.fabric;
    struct rill_outbox *out = &k->out;
    uint32_t kept = 0, count = out->count;

    k->releasing = src;
    for (uint32_t i = 0; i < count; i++) {
        struct rte_mbuf *m = out->frames[i];

        if (rill_role_kind(rill_frame(m)->dst) == RILL_ROLE_PORT)
            k->config.released(k->config.arg, m, now_ns);
        else
            out->frames[kept++] = m;
    }
    if (k->any_died)
        cluster_count_lost(k, out->frames, kept);
    if (kept > 0)
        fabric->ops->send(fabric, src, out->frames, kept, now_ns);
    out->count = 0;
    return count > 0;
}

/* When the first role is due, whatever arrives. */
static void find_due(struct rill_cluster *k)
{
    k->due_ns = UINT64_MAX;
    for (uint32_t i = 0; i < k->turn_count; i++)
        k->due_ns = RTE_MIN(k->due_ns, k->turns[i].due_ns);
}

void rill_cluster_ingress_at(struct rill_cluster *k, uint32_t controller, struct rte_mbuf **packets,
                             uint32_t n, uint64_t now_ns)
{
    struct controller_node *node = &k->controllers[controller];

    k->touched |= RILL_CLUSTER_TURNED << RILL_ROLE_CONTROLLER;
    if (node->controller == NULL) {
        k->dropped_no_controller += n;
        rte_pktmbuf_free_bulk(packets, n);
        return;
    }
    rill_controller_ingress(node->controller, packets, n, cluster_clock(k, node->id, now_ns),
                            &k->out);
    cluster_flush(k, node->id, now_ns);
    if (!k->turns_stale) {
        k->turns[node->turn].due_ns =
            cluster_when(k, node->id, rill_controller_next_ns(node->controller));
        find_due(k);
    }
}

/* --- turns ------------------------------------------------------------------------------------ */

/* One turn of one role (`prefix` names its functions): what came in, then what is due. */
#define TAKE(prefix)                                                                               \
    static bool prefix##_take(struct rill_cluster *k, struct turn *turn, uint64_t now_ns)          \
    {                                                                                              \
        struct rill_fabric *fabric = k->config.fabric;                                             \
        uint64_t clock_ns = cluster_clock(k, turn->id, now_ns);                                    \
        struct rte_mbuf *frames[BURST];                                                            \
        uint32_t n = fabric->ops->recv(fabric, turn->id, frames, BURST, now_ns);                   \
        bool moved = n > 0;                                                                        \
                                                                                                   \
        if (n > 0) {                                                                               \
            k->touched |= 1u << rill_role_kind(turn->id);                                          \
            prefix##_recv(turn->core, frames, n, clock_ns, &k->out);                               \
            cluster_flush(k, turn->id, now_ns);                                                    \
            turn->due_ns = cluster_when(k, turn->id, prefix##_next_ns(turn->core));                \
        }                                                                                          \
        if (turn->due_ns <= now_ns) {                                                              \
            prefix##_tick(turn->core, clock_ns, &k->out);                                          \
            moved |= cluster_flush(k, turn->id, now_ns);                                           \
            turn->due_ns = cluster_when(k, turn->id, prefix##_next_ns(turn->core));                \
        }                                                                                          \
        return moved;                                                                              \
    }

TAKE(rill_rm)
TAKE(rill_controller)
TAKE(rill_unit)
TAKE(rill_ol)
TAKE(rill_store)

static uint32_t add_turn(struct rill_cluster *k, struct turn turn)
{
    static const uint64_t always = 0;
    struct rill_fabric *fabric = k->config.fabric;

    turn.arrival_ns = &always;
    if (fabric->ops->arrival_ns != NULL)
        turn.arrival_ns = fabric->ops->arrival_ns(fabric, turn.id);
    k->turns[k->turn_count] = turn;
    return k->turn_count++;
}

#define ADD_TURN(k, prefix, role_id, role)                                                         \
    add_turn(k, (struct turn){.due_ns = cluster_when((k), (role_id), prefix##_next_ns(role)),      \
                              .core = (role),                                                      \
                              .id = (role_id),                                                     \
                              .take = prefix##_take})

static void list_turns(struct rill_cluster *k)
{
    k->turn_count = 0;
    ADD_TURN(k, rill_rm, k->rm_id, k->rm);
    for (uint32_t i = 0; i < k->controller_count; i++)
        if (k->controllers[i].controller != NULL)
            k->controllers[i].turn =
                ADD_TURN(k, rill_controller, k->controllers[i].id, k->controllers[i].controller);
    for (uint32_t i = 0; i < k->unit_count; i++)
        if (k->units[i].unit != NULL)
            ADD_TURN(k, rill_unit, k->units[i].id, k->units[i].unit);
    for (uint32_t i = 0; i < k->logger_count; i++)
        if (k->loggers[i].ol != NULL)
            ADD_TURN(k, rill_ol, k->loggers[i].id, k->loggers[i].ol);
    if (k->store != NULL)
        ADD_TURN(k, rill_store, STORE_ID, k->store);
    k->turns_stale = false;
    k->rm_touched = true;
    k->touched = UINT32_MAX;
    find_due(k);
}

/* When the role takes its next turn for something that happens at `ns`. */
static uint64_t turn_ns(const struct rill_cluster *k, const struct turn *turn, uint64_t ns)
{
    const struct rill_cluster_pace *pace = k->config.pace;

    return pace == NULL || ns == UINT64_MAX ? ns : pace->turn_ns(pace->arg, turn->id, ns);
}

/* A unit's turn, with what it took. */
static bool take_measured(struct rill_cluster *k, struct turn *turn, uint64_t now_ns)
{
    struct unit_node *node = &k->units[rill_role_number(turn->id) - 1];
    uint64_t before_ns = k->config.cpu_ns();
    bool moved = turn->take(k, turn, now_ns);

    node->cpu_ns += k->config.cpu_ns() - before_ns;
    return moved;
}

static bool take_turn(struct rill_cluster *k, struct turn *turn, uint64_t now_ns)
{
    if (k->config.cpu_ns != NULL && rill_role_kind(turn->id) == RILL_ROLE_UNIT)
        return take_measured(k, turn, now_ns);
    return turn->take(k, turn, now_ns);
}

/* Takes the turns of those that something has come for or that are due. */
static bool take_turns(struct rill_cluster *k, uint64_t now_ns)
{
    uint64_t due_ns = UINT64_MAX;
    bool moved = false;

    for (uint32_t i = 0; i < k->turn_count; i++) {
        struct turn *turn = &k->turns[i];

        if (RTE_MIN(turn->due_ns, *turn->arrival_ns) <= now_ns &&
            turn_ns(k, turn, now_ns) <= now_ns) {
            moved |= take_turn(k, turn, now_ns);
            k->rm_touched |= i == 0;
            k->touched |= RILL_CLUSTER_TURNED << rill_role_kind(turn->id);
        }
        due_ns = RTE_MIN(due_ns, turn->due_ns);
    }
    k->due_ns = due_ns;
    return moved;
}

bool rill_cluster_step(struct rill_cluster *k, uint64_t now_ns)
{
    struct rill_fabric *fabric = k->config.fabric;
    bool moved, arrived;

    k->stepped_ns = now_ns;
    if (k->turns_stale)
        list_turns(k);
    if (k->split != NULL && rill_ingress_split_tick(k->split, now_ns))
        return true;
    arrived = fabric->ops->arrival_ns == NULL || fabric->ops->next_ns(fabric) <= now_ns;
    if (!arrived && !k->rm_touched && k->due_ns > now_ns)
        return false;
    moved = take_turns(k, now_ns);
    /* What has arrived for nobody ends when any role sends or receives. */
    if (arrived && !moved) {
        moved = k->turns[0].take(k, &k->turns[0], now_ns);
        k->touched |= RILL_CLUSTER_TURNED << RILL_ROLE_RM;
        find_due(k);
    }
    if (k->rm_touched)
        cluster_retire_loggers(k);
    k->rm_touched = false;
    return moved;
}

uint64_t rill_cluster_next_ns(struct rill_cluster *k)
{
    struct rill_fabric *fabric = k->config.fabric;
    uint64_t next_ns = k->split == NULL ? UINT64_MAX : rill_ingress_split_next_ns(k->split);

    if (k->turns_stale)
        list_turns(k);
    for (uint32_t i = 0; k->config.pace != NULL && i < k->turn_count; i++) {
        uint64_t ns = RTE_MIN(k->turns[i].due_ns, *k->turns[i].arrival_ns);

        /* What it could not turn to by now it turns to later. */
        ns = RTE_MAX(ns, k->stepped_ns);
        if (ns < next_ns)
            next_ns = RTE_MIN(next_ns, turn_ns(k, &k->turns[i], ns));
    }
    if (k->config.pace != NULL)
        return next_ns;
    return RTE_MIN(next_ns, RTE_MIN(k->due_ns, fabric->ops->next_ns(fabric)));
}

/* ---------------------------------------------------------------------------------------------- */

uint64_t rill_cluster_packets_in_flight(const struct rill_cluster *k)
{
    uint64_t n = k->config.fabric->ops->packets_in_flight(k->config.fabric);

    if (k->split != NULL)
        n += rill_ingress_split_held(k->split);

    for (uint32_t i = 0; i < k->controller_count; i++)
        if (k->controllers[i].controller != NULL)
            n += rill_controller_packets_held(k->controllers[i].controller);
    for (uint32_t i = 0; i < k->unit_count; i++)
        if (k->units[i].unit != NULL)
            n += rill_unit_packets_held(k->units[i].unit);
    for (uint32_t i = 0; i < k->logger_count; i++)
        if (k->loggers[i].ol != NULL)
            n += rill_ol_packets_held(k->loggers[i].ol);
    return n;
}

uint32_t rill_cluster_touched(struct rill_cluster *k)
{
    uint32_t touched = k->turns_stale ? UINT32_MAX : k->touched;

    k->touched = 0;
    return touched;
}

uint64_t rill_cluster_clock_ns(const struct rill_cluster *k, uint32_t role, uint64_t now_ns)
{
    return cluster_clock(k, role, now_ns);
}

struct rill_rm *rill_cluster_rm(struct rill_cluster *k)
{
    return k->rm;
}

struct rill_controller *rill_cluster_controller(struct rill_cluster *k)
{
    return cluster_newest(k, 0)->controller;
}

uint32_t rill_cluster_slots(const struct rill_cluster *k)
{
    return k->slots;
}

uint32_t rill_cluster_newest(const struct rill_cluster *k, uint32_t slot)
{
    return k->newest[slot];
}

uint32_t rill_cluster_slot(const struct rill_cluster *k, uint32_t i)
{
    return k->controllers[i].slot;
}

const struct rill_controller_counters *
rill_cluster_controller_counters(const struct rill_cluster *k, uint32_t i)
{
    return controller_node_counters(&k->controllers[i]);
}

struct rill_controller *rill_cluster_controller_at(struct rill_cluster *k, uint32_t i)
{
    return k->controllers[i].controller;
}

uint32_t rill_cluster_controller_count(const struct rill_cluster *k)
{
    return k->controller_count;
}

uint32_t rill_cluster_unit_count(const struct rill_cluster *k)
{
    return k->unit_count;
}

struct rill_unit *rill_cluster_unit(struct rill_cluster *k, uint32_t i)
{
    return k->units[i].unit;
}

const struct rill_unit_counters *rill_cluster_unit_counters(const struct rill_cluster *k,
                                                            uint32_t i)
{
    return unit_node_counters(&k->units[i]);
}

struct rill_ol *rill_cluster_output_logger(struct rill_cluster *k, uint32_t number)
{
    return k->loggers[number - 1].ol;
}

uint32_t rill_cluster_logger_count(const struct rill_cluster *k)
{
    return k->logger_count;
}

const struct rill_ol_counters *rill_cluster_logger_counters(const struct rill_cluster *k,
                                                            uint32_t number)
{
    return logger_node_counters(&k->loggers[number - 1]);
}

uint32_t rill_cluster_logger_of(const struct rill_cluster *k, uint32_t i)
{
    return k->units[i].logger + 1;
}

uint32_t rill_cluster_unit_of_logger(const struct rill_cluster *k, uint32_t number)
{
    for (uint32_t i = 0; i < k->unit_count; i++)
        if (k->units[i].logger + 1 == number)
            return i;
    return UINT32_MAX;
}

uint32_t rill_cluster_releasing(const struct rill_cluster *k)
{
    return k->releasing;
}

struct rill_nf *rill_cluster_nf(struct rill_cluster *k, uint32_t i)
{
    return k->units[i].nf;
}

struct rill_store *rill_cluster_store(struct rill_cluster *k)
{
    return k->store;
}
