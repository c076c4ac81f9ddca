#include "rm/rm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rm/packing.h"
#include "rm/rm_internal.h"

struct rill_rm *rill_rm_create(const struct rill_rm_config *config, struct rill_error *err)
{
    struct rill_rm *rm;

    if (config->lease_ns <= config->epoch_ns || config->resend_ns == 0 || config->pool == NULL) {
        rill_error_set(err, -EINVAL,
                       "resource manager: the lease must be longer than an epoch, and the resend "
                       "time and the frame pool given");
        return NULL;
    }
    rm = calloc(1, sizeof(*rm));
    if (rm != NULL) {
        rm->config = *config;
        rm->next_ns = UINT64_MAX;
        rm->deaths.rm = config->id;
        rm->deaths.resend_ns = config->resend_ns;
        rm->deaths.resend = config->resend;
        rm->deaths.pool = config->pool;
        rm->controllers = calloc(RILL_RM_CONTROLLERS_MAX, sizeof(rm->controllers[0]));
        rm->leases = calloc(RILL_RM_LEASES_MAX, sizeof(rm->leases[0]));
    }
    if (rm == NULL || rm->controllers == NULL || rm->leases == NULL) {
        rill_error_set(err, -ENOMEM, "resource manager: out of memory");
        rill_rm_destroy(rm);
        return NULL;
    }
    return rm;
}

void rill_rm_destroy(struct rill_rm *rm)
{
    if (rm == NULL)
        return;
    for (uint32_t i = 0; i < rm->unit_count; i++)
        free(rm->units[i].shares);
    rill_rm_deaths_fini(&rm->deaths);
    free(rm->units);
    free(rm->controllers);
    free(rm->packing);
    free(rm->scratch);
    free(rm->leases);
    free(rm);
}

const struct rill_rm_counters *rill_rm_counters(const struct rill_rm *rm)
{
    return &rm->counters;
}

/* Units */

/* Where the unit is, or would be. */
static uint32_t unit_position(const struct rill_rm *rm, uint32_t id)
{
    uint32_t low = 0, high = rm->unit_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (rm->units[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct unit *rm_find_unit(const struct rill_rm *rm, uint32_t id)
{
    uint32_t at = unit_position(rm, id);

    return at < rm->unit_count && rm->units[at].id == id ? &rm->units[at] : NULL;
}

int rm_grow(void **array, uint32_t room, size_t bytes)
{
    void *larger = realloc(*array, room * bytes);

    if (larger == NULL)
        return -ENOMEM;
    *array = larger;
    return 0;
}

static int make_room_for_unit(struct rill_rm *rm)
{
    uint32_t room = rm->unit_room ? rm->unit_room * 2 : 16;

    if (rm->unit_count < rm->unit_room)
        return 0;
    if (rm_grow((void **)&rm->units, room, sizeof(rm->units[0])) != 0 ||
        rm_grow((void **)&rm->packing, room, sizeof(rm->packing[0])) != 0 ||
        rm_grow((void **)&rm->scratch, room, sizeof(rm->scratch[0])) != 0)
        return -ENOMEM;
    rm->unit_room = room;
    return 0;
}

int rill_rm_add_unit(struct rill_rm *rm, uint32_t unit, uint32_t output_logger,
                     uint64_t capacity_bps, uint32_t share_max, struct rill_error *err)
{
    uint32_t at = unit_position(rm, unit);

    if (rill_role_kind(unit) != RILL_ROLE_UNIT || share_max < 1 || share_max > RILL_RM_SHARE_WHOLE)
        return rill_error_set(err, -EINVAL,
                              "resource manager: unit %u with a share of %u: want a unit's role id "
                              "and a share of 1 to %d",
                              unit, share_max, RILL_RM_SHARE_WHOLE);
    if (rm_find_unit(rm, unit) != NULL)
        return rill_error_set(err, -EEXIST, "resource manager: unit %u is there already",
                              rill_role_number(unit));
    if (rm->unit_count == RILL_RM_UNITS_MAX)
        return rill_error_set(err, -ENOSPC, "resource manager: no more than %d units",
                              RILL_RM_UNITS_MAX);
    if (make_room_for_unit(rm) != 0)
        return rill_error_set(err, -ENOMEM, "resource manager: out of memory for unit %u",
                              rill_role_number(unit));
    memmove(&rm->units[at + 1], &rm->units[at], (rm->unit_count - at) * sizeof(rm->units[0]));
    rm->units[at] = (struct unit){.id = unit,
                                  .output_logger = output_logger,
                                  .logger_filled = true, /* both are empty */
                                  .capacity_bps = capacity_bps,
                                  .share_max = share_max};
    rm->unit_count++;
    return 0;
}

/* When what is said for the *tries-th time, counted here, is said again. */
uint64_t rm_resend_at_ns(struct rill_rm *rm, uint32_t *tries, uint64_t now_ns)
{
    ++*tries;
    return now_ns + rill_resend_pause_ns(&rm->config.resend, rm->config.resend_ns, *tries,
                                         &rm->counters.resends_slowed);
}

/* Time */

void rm_find_next(struct rill_rm *rm)
{
    rm->next_ns = rill_rm_deaths_next_ns(&rm->deaths);
    for (uint32_t i = 0; i < rm->controller_count; i++)
        rm->next_ns = RTE_MIN(rm->next_ns, rm_next_of_controller(rm, &rm->controllers[i]));
    for (uint32_t i = 0; i < rm->unit_count; i++) {
        if (!rm->units[i].logger_filled)
            rm->next_ns = RTE_MIN(rm->next_ns, rm->units[i].logger_resend_at_ns);
        for (uint32_t j = 0; j < rm->units[i].share_count; j++) {
            const struct share *share = &rm->units[i].shares[j];

            if (!share->acked)
                rm->next_ns = RTE_MIN(rm->next_ns, share->resend_at_ns);
        }
    }
}

void rill_rm_tick(struct rill_rm *rm, uint64_t now_ns, struct rill_outbox *outbox)
{
    if (now_ns < rm->next_ns)
        return;
    for (uint32_t i = 0; i < rm->controller_count; i++) {
        rm_grant_if_ready(rm, i, now_ns, outbox);
        if (rm_expires(&rm->controllers[i]) && now_ns >= rm->controllers[i].expire_ns)
            rm_expire(rm, i, now_ns, outbox);
    }
    rm_resend_shares(rm, now_ns, outbox);
    for (uint32_t i = 0; i < rm->unit_count; i++)
        if (rm_logger_word_due(&rm->units[i], now_ns))
            rm_repeat_new_logger(rm, &rm->units[i], now_ns, outbox);
    rill_rm_deaths_tick(&rm->deaths, now_ns, outbox);
    rm->counters.resends_slowed += rm->deaths.slowed;
    rm->deaths.slowed = 0;
    rm_find_next(rm);
}

uint64_t rill_rm_next_ns(const struct rill_rm *rm)
{
    return rm->next_ns;
}

void rill_rm_recv(struct rill_rm *rm, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                  struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct rill_frame *f = rill_frame(frames[i]);

        if (f->dst == rm->config.id && f->type == RILL_FRAME_LEASE_REQUEST)
            rm_take_request(rm, f, now_ns, outbox);
        else if (f->dst == rm->config.id && f->type == RILL_FRAME_MEMBERS_REQUEST)
            rm_tell_members(rm, f, now_ns, outbox);
        else if (f->dst == rm->config.id && f->type == RILL_FRAME_SHARE_ACK)
            rm_take_ack(rm, f, now_ns, outbox);
        else if (f->dst == rm->config.id &&
                 (f->type == RILL_FRAME_DEATH_ACK || f->type == RILL_FRAME_RECOVERED))
            rill_rm_deaths_recv(&rm->deaths, frames[i], outbox);
        else if (f->dst == rm->config.id && f->type == RILL_FRAME_NEW_LOGGER_ACK)
            rm_take_logger_ack(rm, f);
        else
            rm->counters.unknown_frames++;
        rte_pktmbuf_free(frames[i]);
    }
    if (n > 0)
        rm_find_next(rm);
}

void rill_rm_remove_unit(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                         struct rill_outbox *outbox)
{
    uint32_t at = unit_position(rm, unit);

    if (rm_find_unit(rm, unit) == NULL)
        return;
    free(rm->units[at].shares);
    rm->unit_count--;
    memmove(&rm->units[at], &rm->units[at + 1], (rm->unit_count - at) * sizeof(rm->units[0]));
    for (uint32_t i = 0; i < rm->controller_count; i++)
        rm_grant_if_ready(rm, i, now_ns, outbox);
    rm_find_next(rm);
}

int rill_rm_unit_died(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                      struct rill_outbox *outbox)
{
    const struct unit *found = rm_find_unit(rm, unit);
    uint32_t controllers[RILL_RM_CONTROLLERS_MAX], output_logger;
    int rc;

    if (found == NULL)
        return -ENOENT;
    output_logger = found->output_logger;
    rill_rm_remove_unit(rm, unit, now_ns, outbox);
    for (uint32_t i = 0; i < rm->controller_count; i++)
        controllers[i] = rm->controllers[i].id;
    rc = rill_rm_deaths_add(&rm->deaths, unit, output_logger, controllers, rm->controller_count,
                            now_ns, outbox);
    rm_find_next(rm);
    return rc;
}

void rill_rm_logger_lost(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                         struct rill_outbox *outbox)
{
    rill_rm_deaths_logger_lost(&rm->deaths, unit, now_ns, outbox);
    rm_find_next(rm);
}

bool rill_rm_recovered(struct rill_rm *rm, uint32_t *unit, uint32_t *output_logger)
{
    return rill_rm_deaths_take_over(&rm->deaths, unit, output_logger);
}

/* Looking */

uint32_t rill_rm_unit_count(const struct rill_rm *rm)
{
    return rm->unit_count;
}

void rill_rm_unit_info(const struct rill_rm *rm, uint32_t i, struct rill_rm_unit_info *info)
{
    const struct unit *unit = &rm->units[i];

    assert(i < rm->unit_count);
    *info = (struct rill_rm_unit_info){.unit = unit->id,
                                       .output_logger = unit->output_logger,
                                       .capacity_bps = unit->capacity_bps,
                                       .share_max = unit->share_max};
    for (uint32_t j = 0; j < unit->share_count; j++) {
        info->leased += unit->shares[j].target;
        info->committed += rm_committed(&unit->shares[j]);
        info->controllers += unit->shares[j].target > 0;
    }
}

uint32_t rill_rm_share(const struct rill_rm *rm, uint32_t unit, uint32_t controller)
{
    const struct unit *found = rm_find_unit(rm, unit);

    for (uint32_t i = 0; found != NULL && i < found->share_count; i++) {
        if (rm->controllers[found->shares[i].controller].id == controller)
            return found->shares[i].target;
    }
    return 0;
}
