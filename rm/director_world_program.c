/* The programs in the containers of the director's test world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/frame/body.h"
#include "rm/director_world.h"

static void fill_facts(Control__Facts *facts, enum world_fate fate)
{
    facts->nf = "nat";
    facts->version = "1";
    facts->state_bytes = fate == WORLD_STRANGE ? 144 : 136;
    if (fate == WORLD_NONSENSE)
        facts->state_bytes = RILL_BODY_MAX + 1;
    facts->handles = 3;
}

static void on_activate(struct world *w, struct world_role *role, const Control__Message *message)
{
    struct world_rule rule = world_fate_of(w, CONTROL__MESSAGE__BODY_ACTIVATE, role->id);
    uint32_t peer = w->agents[role->agent].peer;
    Control__Message m = rill_control_message(role->id, w->config.id, message->number);
    Control__Activated activated = CONTROL__ACTIVATED__INIT;
    Control__Facts facts = CONTROL__FACTS__INIT;

    role->activations++;
    rill_control_free(role->activate);
    role->activate = world_copy(message);
    fill_facts(&facts, rule.fate);
    if (rill_role_kind(role->id) == RILL_ROLE_UNIT)
        activated.facts = &facts;
    activated.activation_ns = 2 * WORLD_MS;
    RILL_CONTROL_SET(&m, ACTIVATED, activated, &activated);
    if (rule.fate == WORLD_REFUSES)
        world_answer_error(w, peer, role->id, message->number, rule.text);
    else if (rule.fate == WORLD_CRASHES)
        world_send_exited(w, role, 11, false, rule.text);
    else if (rule.fate != WORLD_SILENT)
        world_give(w, peer, &m);
}

uint32_t world_copy_peers(const Control__Peers *peers, uint32_t to[WORLD_PEERS])
{
    assert_true(peers->n_roles <= WORLD_PEERS);
    for (size_t i = 0; i < peers->n_roles; i++)
        to[i] = peers->roles[i];
    return (uint32_t)peers->n_roles;
}

bool world_are_frozen(const struct world *w, uint32_t id, const Control__Peers *peers)
{
    bool frozen = id == w->frozen;

    for (size_t i = 0; i < peers->n_roles; i++)
        frozen |= peers->roles[i] == w->frozen;
    return w->frozen != 0 && frozen;
}

static void on_peers(struct world *w, struct world_role *role, const Control__Message *message)
{
    struct world_rule rule = world_fate_of(w, CONTROL__MESSAGE__BODY_PEERS, role->id);
    uint32_t peer = w->agents[role->agent].peer;

    role->peer_count = world_copy_peers(message->peers, role->peers);
    role->egress = message->peers->egress;
    role->peers_told++;
    if (rule.fate == WORLD_OBEYS && !world_are_frozen(w, role->id, message->peers))
        world_answer_done(w, peer, role->id, message->number);
    else if (rule.fate == WORLD_REFUSES)
        world_answer_error(w, peer, role->id, message->number, rule.text);
    else if (rule.fate == WORLD_CRASHES)
        world_send_exited(w, role, 11, false, rule.text);
}

static void on_share(struct world *w, const struct world_role *role,
                     const Control__Message *message)
{
    Control__Message m = rill_control_message(role->id, w->config.id, 0);
    Control__ShareAck ack = CONTROL__SHARE_ACK__INIT;

    ack.number = message->share->number;
    ack.controller = message->share->controller;
    ack.share = message->share->share;
    RILL_CONTROL_SET(&m, SHARE_ACK, share_ack, &ack);
    world_give(w, w->agents[role->agent].peer, &m);
}

/* A controller hears of a unit's death, and recovers at once. */
static void on_death(struct world *w, const struct world_role *role,
                     const Control__Message *message)
{
    Control__Message m = rill_control_message(role->id, w->config.id, 0);
    Control__DeathAck ack = CONTROL__DEATH_ACK__INIT;
    Control__Recovered recovered = CONTROL__RECOVERED__INIT;

    ack.unit = recovered.unit = message->death->unit;
    ack.output_logger = message->death->output_logger;
    w->lost_with_logger += message->death->output_logger == 0;
    RILL_CONTROL_SET(&m, DEATH_ACK, death_ack, &ack);
    world_give(w, w->agents[role->agent].peer, &m);
    if (w->no_recovery)
        return;
    RILL_CONTROL_SET(&m, RECOVERED, recovered, &recovered);
    world_give(w, w->agents[role->agent].peer, &m);
}

/* A unit is given another output logger, and fills it at once, or never. */
static void on_new_logger(struct world *w, const struct world_role *role,
                          const Control__Message *message)
{
    Control__Message m = rill_control_message(role->id, w->config.id, 0);
    Control__NewLoggerAck ack = CONTROL__NEW_LOGGER_ACK__INIT;

    ack.number = message->new_logger->number;
    ack.filled = !w->no_recovery && !w->no_filling;
    RILL_CONTROL_SET(&m, NEW_LOGGER_ACK, new_logger_ack, &ack);
    world_give(w, w->agents[role->agent].peer, &m);
}

static void answer_metrics(struct world *w, const struct world_role *role,
                           const Control__Message *message)
{
    Control__Message m = rill_control_message(role->id, message->from, message->number);
    Control__Metrics metrics = CONTROL__METRICS__INIT;

    metrics.packets_held = role->id;
    RILL_CONTROL_SET(&m, METRICS, metrics, &metrics);
    world_give(w, w->agents[role->agent].peer, &m);
}

void world_program_receives(struct world *w, const Control__Message *message)
{
    struct world_role *role;

    if (message->body_case == CONTROL__MESSAGE__BODY_ERROR)
        return; /* what a hostile one gets */
    role = world_role(w, message->to);
    if (!role->running)
        return;
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_WELCOME:
        assert_int_equal(message->welcome->role, role->id);
        role->joined = true;
        break;
    case CONTROL__MESSAGE__BODY_ACTIVATE:
        assert_true(role->joined);
        on_activate(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_PEERS:
        on_peers(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_SHARE:
        on_share(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_LEASE_GRANT:
        rill_control_free(role->grant);
        role->grant = world_copy(message);
        break;
    case CONTROL__MESSAGE__BODY_MEMBERS:
        rill_control_free(role->members);
        role->members = world_copy(message);
        break;
    case CONTROL__MESSAGE__BODY_DEATH:
        on_death(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_RECOVERED_ACK:
        break;
    case CONTROL__MESSAGE__BODY_NEW_LOGGER:
        on_new_logger(w, role, message);
        break;
    case CONTROL__MESSAGE__BODY_METRICS_REQUEST:
        answer_metrics(w, role, message);
        break;
    default:
        fail_msg("program: %s is none of its business", rill_control_name(message));
    }
}

void world_program_says(struct world *w, uint32_t id, Control__Message *message)
{
    const struct world_role *role = world_role(w, id);

    message->from = id;
    world_say(w, w->agents[role->agent].peer, message);
}

void world_asks_for_units(struct world *w, uint32_t controller, uint64_t number, uint32_t want)
{
    Control__Message m = rill_control_message(controller, w->config.id, 0);
    Control__LeaseRequest request = CONTROL__LEASE_REQUEST__INIT;
    const Control__Message *activate = world_role(w, controller)->activate;

    request.number = number;
    request.want = want;
    request.epoch = activate != NULL ? activate->activate->epoch : 1;
    RILL_CONTROL_SET(&m, LEASE_REQUEST, lease_request, &request);
    world_program_says(w, controller, &m);
}
