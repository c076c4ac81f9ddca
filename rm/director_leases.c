#include <errno.h>

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

/* Whether this role may say this, now. */
static bool is_sensible(const struct dir_deployment *dep, const struct dir_role *role,
                        const Control__Message *message)
{
    if (dep == NULL || !dir_is_up(dep) || role->state != DIR_ACTIVE)
        return false;
    if (message->body_case == CONTROL__MESSAGE__BODY_LEASE_REQUEST)
        return role->id == dep->controller;
    return message->body_case == CONTROL__MESSAGE__BODY_SHARE_ACK &&
           rill_role_kind(role->id) == RILL_ROLE_UNIT;
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
