#include "cli/cluster_internal.h"

#include <errno.h>

#include "controller/controller_settings.h"
#include "lib/store/store_model.h"
#include "nf-runtime/unit_settings.h"
#include "output-logger/ol_settings.h"
#include "rm/rm_settings.h"

enum { BURST = 32, WHOLE_UNIT = 1000 };
#define STORE_ID rill_role_id(RILL_ROLE_STORE, 1)

/* The caller's bounds on tables, besides the setting's. */
static uint32_t bounded(const struct rill_cluster *k, uint32_t flows_max)
{
    return RTE_MIN(flows_max, k->config.flows_max);
}

static const struct controller_node *newest_of(const struct rill_cluster *k, uint32_t slot)
{
    return &k->controllers[k->newest[slot]];
}

/* All that are there now. */
static struct rill_controllers present(const struct rill_cluster *k)
{
    struct rill_controllers known = {0};

    for (uint32_t slot = 0; slot < k->slots; slot++)
        rill_controllers_adopt(&known, newest_of(k, slot)->epoch, newest_of(k, slot)->id);
    return known;
}

static bool is_external(const struct rill_cluster *k)
{
    return rill_config_enum(k->config.settings, "state") == RILL_STATE_EXTERNAL;
}

static int equip(struct rill_cluster *k, struct rill_nf *nf, struct rill_error *err)
{
    const struct rill_object_spec *missing;

    if (k->config.equip != NULL && k->config.equip(k->config.arg, nf, err) != 0)
        return -EINVAL;
    missing = rill_nf_object_missing(nf);
    if (missing == NULL)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "option '%s' names the object '%s', but there is no "
                          "configuration store here",
                          missing->option, missing->name);
}

static int create_unit(struct rill_cluster *k, struct unit_node *node, uint32_t output_logger,
                       struct rill_error *err)
{
    struct rill_unit_config config = rill_unit_settings(k->config.settings);
    const struct rill_controllers known = present(k);

    config.id = node->id;
    config.output_logger = output_logger;
    if (k->slots > 1) {
        config.controllers = &known;
    } else {
        config.controller = newest_of(k, 0)->id;
        config.epoch = newest_of(k, 0)->epoch;
    }
    config.store = is_external(k) ? STORE_ID : 0;
    config.pool = k->config.pool;
    config.flows_max =
        k->config.unit_flows_max ? k->config.unit_flows_max : bounded(k, config.flows_max);
    node->nf = rill_nf_create(k->config.nf, k->config.nf_config, err);
    if (node->nf == NULL)
        return -EINVAL;
    if (equip(k, node->nf, err) != 0)
        return -EINVAL;
    config.nf = node->nf;
    node->unit = rill_unit_create(&config, err);
    return node->unit == NULL ? -ENOMEM : 0;
}

static int create_output_logger(struct rill_cluster *k, struct logger_node *node,
                                const struct rill_nf *nf, struct rill_error *err)
{
    struct rill_ol_config config = rill_ol_settings(k->config.settings);
    const struct rill_controllers known = present(k);

    config.id = node->id;
    config.controllers = &known;
    config.state_bytes = rill_nf_state_bytes(nf);
    config.pool = k->config.pool;
    config.split = k->split != NULL ? rill_ingress_split_of(k->split) : NULL;
    config.turning = k->config.turning;
    config.turning_arg = k->config.arg;
    config.flows_max = k->config.output_logger_flows_max ? k->config.output_logger_flows_max
                                                         : bounded(k, config.flows_max);
    node->ol = rill_ol_create(&config, err);
    return node->ol == NULL ? -ENOMEM : 0;
}

int cluster_add_logger(struct rill_cluster *k, uint32_t unit, struct rill_error *err)
{
    struct logger_node *node = &k->loggers[k->logger_count];

    if (k->logger_count == LOGGERS_MAX)
        return rill_error_set(err, -ENOSPC, "no more than %d output loggers in one run",
                              LOGGERS_MAX);
    k->units[unit].logger = k->logger_count++;
    node->id = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, k->logger_count);
    node->unit = unit;
    return create_output_logger(k, node, k->units[unit].nf, err);
}

int cluster_add_pair(struct rill_cluster *k, uint32_t share, struct rill_error *err)
{
    struct unit_node *node = &k->units[k->unit_count];
    int rc;

    if (k->unit_count == RILL_CLUSTER_UNITS_MAX)
        return rill_error_set(err, -ENOSPC, "no more than %d units in one run",
                              RILL_CLUSTER_UNITS_MAX);
    k->unit_count++;
    node->share = share;
    node->id = rill_role_id(RILL_ROLE_UNIT, k->unit_count);
    /* The logger's number is the next one; the unit is made first, as it knows the NF. */
    rc = create_unit(k, node, rill_role_id(RILL_ROLE_OUTPUT_LOGGER, k->logger_count + 1), err);
    if (rc == 0 && k->unit_count == 1)
        rc = cluster_create_split(k, err);
    if (rc == 0)
        rc = cluster_add_logger(k, k->unit_count - 1, err);
    if (rc == 0)
        rc = rill_rm_add_unit(k->rm, node->id, k->loggers[node->logger].id,
                              rill_setting_capacity_bps(k->config.settings), share, err);
    return rc;
}

static struct rill_controller_nf controller_nf(const struct rill_nf *nf)
{
    const struct rill_nf_descriptor *d = rill_nf_descriptor(nf);
    struct rill_controller_nf facts = {.flow_scope = d->flow_scope,
                                       .handles = d->handles,
                                       .flags = d->flags,
                                       .unhandled_passes = d->unhandled_passes,
                                       .pool_count = rill_nf_pool_count(nf)};

    for (unsigned i = 0; i < facts.pool_count; i++) {
        struct rill_pool_spec spec;

        rill_nf_pool_spec(nf, i, &spec);
        facts.pools[i] = (struct rill_controller_pool){.proto = spec.proto,
                                                       .family = spec.family,
                                                       .port_low = spec.port_low,
                                                       .port_high = spec.port_high,
                                                       .addresses = spec.addresses,
                                                       .addr = spec.addr,
                                                       .preserve_ports = spec.preserve_ports};
    }
    return facts;
}

static bool shares_units(const struct rill_cluster *k)
{
    return k->slots > 1 &&
           rill_config_enum(k->config.settings, "controllers") == RILL_CONTROLLERS_LEASED;
}

/* The split is even; twice its part is room enough for any capture that is not made against it. */
static uint32_t controller_flows(const struct rill_cluster *k, uint32_t flows_max)
{
    uint32_t most = bounded(k, flows_max);

    return k->slots <= 2 ? most : RTE_MIN(flows_max, most / k->slots * 2 + 1024);
}

static int create_controller(struct rill_cluster *k, struct controller_node *node, bool takes_over,
                             struct rill_error *err)
{
    struct rill_controller_nf nf = controller_nf(k->units[0].nf);
    struct rill_controller_config config = rill_controller_settings(k->config.settings, &nf);

    config.id = node->id;
    config.rm = k->rm_id;
    config.epoch = node->epoch;
    config.takes_over = takes_over;
    rill_controller_is_one_of(&config, k->config.settings, k->slots);
    config.pool = k->config.pool;
    config.flows_max = controller_flows(k, config.flows_max);
    config.units_max = RILL_CLUSTER_UNITS_MAX; /* others may take the place of those that die */
    node->controller = rill_controller_create(&config, err);
    return node->controller == NULL ? -ENOMEM : 0;
}

/* Its id and epoch: units and output loggers are told of them before it is there. */
static struct controller_node *number_controller(struct rill_cluster *k, uint32_t slot)
{
    struct controller_node *node = &k->controllers[k->controller_count];
    uint32_t incarnation = 1;

    for (uint32_t i = 0; i < k->controller_count; i++)
        incarnation += k->controllers[i].slot == slot;
    k->newest[slot] = k->controller_count++;
    *node = (struct controller_node){.id = rill_role_id(RILL_ROLE_CONTROLLER, k->controller_count),
                                     .slot = slot,
                                     .epoch = rill_epoch(slot, incarnation)};
    return node;
}

int cluster_add_controller(struct rill_cluster *k, uint32_t slot, struct rill_error *err)
{
    return create_controller(k, number_controller(k, slot), true, err);
}

static int create_rm(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_rm_config config = {.id = k->rm_id, .pool = k->config.pool};
    int rc = rill_rm_config_from(k->config.settings, &config, err);

    if (rc != 0)
        return rc;
    k->rm = rill_rm_create(&config, err);
    return k->rm == NULL ? -ENOMEM : 0;
}

/* A round trip to the modelled store is that on the fabric, and what it takes itself. */
static int create_store(struct rill_cluster *k, struct rill_error *err)
{
    const struct rill_config *s = k->config.settings;
    double own_us =
        rill_config_double(s, "external_rtt_us") - 2 * rill_config_double(s, "link_delay_us");
    struct rill_store_model_config config = {.pool = k->config.pool,
                                             .delay_ns = own_us > 0 ? (uint64_t)(own_us * 1000) : 0,
                                             .keep_ns = rill_setting_keep_ns(s),
                                             .flows_max = bounded(k, rill_setting_flows_kept(s)),
                                             .state_bytes = rill_nf_state_bytes(k->units[0].nf)};

    k->store = k->config.store != NULL ? k->config.store : rill_store_model_create(&config, err);
    return k->store == NULL ? -ENOMEM : 0;
}

static int attach_all(struct rill_cluster *k, struct rill_error *err)
{
    struct rill_fabric *fabric = k->config.fabric;
    int rc = fabric->ops->attach(fabric, k->rm_id, err);

    for (uint32_t i = 0; rc == 0 && i < k->controller_count; i++)
        rc = fabric->ops->attach(fabric, k->controllers[i].id, err);
    for (uint32_t i = 0; rc == 0 && i < k->unit_count; i++)
        rc = fabric->ops->attach(fabric, k->units[i].id, err);
    for (uint32_t i = 0; rc == 0 && i < k->logger_count; i++)
        rc = fabric->ops->attach(fabric, k->loggers[i].id, err);
    if (rc == 0 && k->store != NULL)
        rc = fabric->ops->attach(fabric, STORE_ID, err);
    return rc;
}

/* Are there as many as are leased from the start and for good? */
static int check_units(const struct rill_cluster *k, struct rill_error *err)
{
    uint32_t units = (k->config.units_milli + WHOLE_UNIT - 1) / WHOLE_UNIT;
    uint64_t least = rill_config_u64(k->config.settings, "units_min");
    uint64_t each = RTE_MAX(least, 1u);
    uint64_t step = rill_config_u64(k->config.settings, "lease_step");

    if (k->slots > 1 && !shares_units(k) && each * k->slots > units)
        return rill_error_set(err, -EINVAL,
                              "%u independent controllers with %" PRIu64 " units each need %" PRIu64
                              " units, but there are only %u",
                              k->slots, each, each * k->slots, units);
    if (shares_units(k) && k->slots * step > k->config.units_milli)
        return rill_error_set(
            err, -EINVAL,
            "%u controllers with lease_step %" PRIu64 " need %.3f units, but there are only %.3f",
            k->slots, step, (double)(k->slots * step) / 1000, k->config.units_milli / 1000.0);
    if (least > units)
        return rill_error_set(err, -EINVAL,
                              "units_min is %" PRIu64 ", but there are only %.3f units", least,
                              k->config.units_milli / 1000.0);
    return 0;
}

static int create_roles(struct rill_cluster *k, struct rill_error *err)
{
    uint32_t left = k->config.units_milli;
    int rc = create_rm(k, err);

    if (rc != 0)
        return rc;
    if (left == 0 || left > RILL_CLUSTER_UNITS_MAX * WHOLE_UNIT)
        return rill_error_set(err, -EINVAL, "units: %.3f is not in [0.001, %d]", left / 1000.0,
                              RILL_CLUSTER_UNITS_MAX);
    rc = check_units(k, err);
    if (rc != 0)
        return rc;
    while (rc == 0 && left > 0) {
        uint32_t share = RTE_MIN(left, (uint32_t)WHOLE_UNIT);

        rc = cluster_add_pair(k, share, err);
        left -= share;
    }
    for (uint32_t i = 0; rc == 0 && i < k->slots; i++)
        rc = create_controller(k, &k->controllers[i], false, err);
    if (rc == 0 && is_external(k))
        rc = create_store(k, err);
    return rc == 0 ? attach_all(k, err) : rc;
}

struct rill_cluster *rill_cluster_create(const struct rill_cluster_config *config,
                                         struct rill_error *err)
{
    struct rill_cluster *k = calloc(1, sizeof(*k));

    if (k == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for a cluster");
        return NULL;
    }
    k->config = *config;
    k->rm_id = rill_role_id(RILL_ROLE_RM, 1);
    k->slots = RTE_MAX(config->controllers, 1u);
    for (uint32_t slot = 0; slot < k->slots; slot++)
        number_controller(k, slot);
    k->turns_stale = true;
    if (create_roles(k, err) != 0) {
        rill_cluster_destroy(k);
        return NULL;
    }
    return k;
}

void rill_cluster_destroy(struct rill_cluster *k)
{
    if (k == NULL)
        return;
    for (uint32_t i = 0; i < k->logger_count; i++)
        rill_ol_destroy(k->loggers[i].ol);
    for (uint32_t i = 0; i < k->unit_count; i++)
        rill_unit_destroy(k->units[i].unit);
    for (uint32_t i = 0; i < k->controller_count; i++)
        rill_controller_destroy(k->controllers[i].controller);
    for (uint32_t i = 0; i < k->unit_count; i++)
        rill_nf_destroy(k->units[i].nf); /* the controllers read the pools' addresses */
    rill_rm_destroy(k->rm);
    rill_ingress_split_destroy(k->split);
    if (k->store != k->config.store)
        rill_store_destroy(k->store);
    rill_outbox_fini(&k->out);
    free(k);
}

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
    return newest_of(k, 0)->controller;
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
