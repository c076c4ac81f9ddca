#include <errno.h>
#include <inttypes.h>

#include "lib/base/mutant.h"
#include "lib/config/settings.h"
#include "lib/control/lease.h"
#include "rm/director_internal.h"
#include "rm/rm_settings.h"

/* Messages go through two sockets here, not over rings. */
#define RESEND_MIN_NS UINT64_C(20000000)

int dir_create_leases(struct rill_director *d, struct dir_deployment *dep, struct rill_error *err)
{
    struct rill_rm_config config = {.id = d->config.id, .pool = d->config.pool};
    int rc = rill_rm_config_from(dep->settings, &config, err);

    if (rc != 0)
        return rc;
    config.resend_ns = RTE_MAX(config.resend_ns, RESEND_MIN_NS);
    dep->leases = rill_rm_create(&config, err);
    return dep->leases == NULL ? -ENOMEM : 0;
}

static void send_message(void *arg, const Control__Message *message)
{
    dir_send(arg, message);
}

static void flush(struct rill_director *d)
{
    for (uint32_t i = 0; i < d->outbox.count; i++) {
        rill_lease_from_frame(d->outbox.frames[i], send_message, d);
        rte_pktmbuf_free(d->outbox.frames[i]);
    }
    d->outbox.count = 0;
}

int dir_lease_pair(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair,
                   struct rill_error *err)
{
    int rc = rill_rm_add_unit(dep->leases, pair->unit, pair->output_logger,
                              rill_setting_capacity_bps(dep->settings), RILL_RM_SHARE_WHOLE, err);

    (void)d;
    pair->leasable = rc == 0;
    return rc;
}

void dir_unlease_pair(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    if (!pair->leasable)
        return;
    pair->leasable = false;
    rill_rm_remove_unit(dep->leases, pair->unit, d->now_ns, &d->outbox);
    flush(d);
}

bool dir_unit_died(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    /* One that is not filled yet would answer "nothing" for flows that were there. */
    bool logger_lives = !pair->logger_is_new && pair->output_logger != 0 &&
                        (RILL_MUTANT(unfilled) || rill_rm_logger_filled(dep->leases, pair->unit)) &&
                        dep->mourned_count < DIR_MOURNED_MAX;

    pair->leasable = false;
    if (RILL_MUTANT(lease_dead))
        return logger_lives;
    if (RILL_MUTANT(death_untold)) {
        rill_rm_remove_unit(dep->leases, pair->unit, d->now_ns, &d->outbox);
        flush(d);
        return logger_lives;
    }
    if (rill_rm_unit_died(dep->leases, pair->unit, d->now_ns, &d->outbox) != 0)
        logger_lives = false;
    else if (!logger_lives)
        rill_rm_logger_lost(dep->leases, pair->unit, d->now_ns, &d->outbox);
    flush(d);
    return logger_lives;
}

void dir_replace_logger(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    pair->logger_is_new = false;
    if (RILL_MUTANT(logger_same))
        return;
    rill_rm_replace_logger(dep->leases, pair->unit, pair->output_logger, d->now_ns, &d->outbox);
    flush(d);
}

void dir_mourned_logger_died(struct rill_director *d, struct dir_deployment *dep, uint32_t unit)
{
    rill_rm_logger_lost(dep->leases, unit, d->now_ns, &d->outbox);
    flush(d);
}

bool dir_next_recovered(struct dir_deployment *dep, struct dir_mourned *mourned)
{
    return dep->leases != NULL &&
           rill_rm_recovered(dep->leases, &mourned->unit, &mourned->output_logger);
}

/* Whether this role may say this, now. */
static bool is_sensible(struct dir_deployment *dep, const struct dir_role *role,
                        const Control__Message *message)
{
    if (dep == NULL || !dir_is_up(dep) || role->state != DIR_ACTIVE)
        return false;
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_LEASE_REQUEST:
    case CONTROL__MESSAGE__BODY_MEMBERS_REQUEST:
    case CONTROL__MESSAGE__BODY_DEATH_ACK:
    case CONTROL__MESSAGE__BODY_RECOVERED:
        return dir_slot_of(dep, role->id) != NULL;
    case CONTROL__MESSAGE__BODY_SHARE_ACK:
    case CONTROL__MESSAGE__BODY_NEW_LOGGER_ACK:
        return rill_role_kind(role->id) == RILL_ROLE_UNIT;
    default:
        return false;
    }
}

/* A controller wants no units before it knows all that the one before had. */
static void note_taken_over(struct rill_director *d, struct dir_deployment *dep,
                            uint32_t controller)
{
    struct dir_slot *slot = dir_slot_of(dep, controller);

    if (slot->lost == 0)
        return;
    slot->lost = 0;
    dir_slot_recovered(d, dep->vni, (uint32_t)(slot - dep->slots));
    dir_say(d, "deployment %s: controller %" PRIu32 " has taken over", dep->spec->name,
            rill_role_number(controller));
}

void dir_on_lease_message(struct rill_director *d, const struct dir_role *role,
                          const Control__Message *message)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    struct rte_mbuf *frame;

    if (!is_sensible(dep, role, message)) {
        dir_unexpected(d, dir_peer_of(d, role->id), message);
        return;
    }
    if (message->body_case == CONTROL__MESSAGE__BODY_LEASE_REQUEST)
        note_taken_over(d, dep, role->id);
    frame = rill_lease_to_frame(message, d->config.id, d->config.pool);
    if (frame == NULL)
        return; /* no memory now: both ask again */
    rill_rm_recv(dep->leases, &frame, 1, d->now_ns, &d->outbox);
    flush(d);
}

void dir_tick_leases(struct rill_director *d, struct dir_deployment *dep)
{
    rill_rm_tick(dep->leases, d->now_ns, &d->outbox);
    flush(d);
}

void dir_run_leases(struct rill_director *d, const struct dir_machine *machine)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        const struct dir_deployment *dep = &d->deployments[i];

        for (uint32_t j = 0; dep->vni != 0 && j < d->role_slots; j++)
            if (d->roles[j].vni == dep->vni && d->roles[j].agent == machine->agent &&
                rill_role_kind(d->roles[j].id) == RILL_ROLE_CONTROLLER)
                rill_rm_run_lease(dep->leases, d->roles[j].id, d->now_ns);
    }
}

uint32_t dir_leased(const struct dir_deployment *dep, uint32_t unit)
{
    for (uint32_t i = 0; dep->leases != NULL && i < rill_rm_unit_count(dep->leases); i++) {
        struct rill_rm_unit_info info;

        rill_rm_unit_info(dep->leases, i, &info);
        if (info.unit == unit)
            return info.leased;
    }
    return 0;
}

uint32_t dir_leased_by(const struct dir_deployment *dep, uint32_t controller)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; dep->leases != NULL && i < rill_rm_unit_count(dep->leases); i++) {
        struct rill_rm_unit_info info;

        rill_rm_unit_info(dep->leases, i, &info);
        sum += rill_rm_share(dep->leases, info.unit, controller);
    }
    return sum;
}
