/* Deaths, and when they were told, noticed and recovered from: what a status lists. A client may
 * ask for one.
 *
 * A record is about a role that served a deployment. It is over when what the role had can go on:
 * a unit's flows elsewhere; an output logger's unit with another that holds all that it has; a
 * controller's flows with the one that took them over. */
#include <string.h>

#include "lib/base/role_name.h"
#include "rm/director_internal.h"

static struct dir_failure *at(struct rill_director *d, uint32_t i)
{
    return &d->failure_list[i % RILL_DIRECTOR_FAILURES_MAX];
}

static uint32_t oldest(const struct rill_director *d)
{
    return d->failure_list_count -
           RTE_MIN(d->failure_list_count, (uint32_t)RILL_DIRECTOR_FAILURES_MAX);
}

static struct dir_failure *find(struct rill_director *d, uint32_t role)
{
    for (uint32_t i = oldest(d); i < d->failure_list_count; i++)
        if (at(d, i)->role == role)
            return at(d, i);
    return NULL;
}

/* Role ids are never used again, so a role has one record. */
static struct dir_failure *note(struct rill_director *d, const struct dir_role *role)
{
    struct dir_failure *failure = find(d, role->id);
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    const struct dir_slot *slot = dep == NULL ? NULL : dir_slot_of(dep, role->id);

    if (failure != NULL)
        return failure;
    failure = at(d, d->failure_list_count++);
    *failure = (struct dir_failure){.role = role->id, .vni = role->vni, .unit = role->id};
    if (rill_role_kind(role->id) == RILL_ROLE_OUTPUT_LOGGER)
        failure->unit = role->partner;
    if (slot != NULL)
        failure->slot = (uint32_t)(slot - dep->slots);
    return failure;
}

void dir_failure_detected(struct rill_director *d, const struct dir_role *role)
{
    struct dir_failure *failure;

    if (role->vni == 0 || role->state != DIR_ACTIVE)
        return;
    failure = note(d, role);
    if (failure->detected_ns == 0)
        failure->detected_ns = d->now_ns;
}

static void recovered(struct rill_director *d, struct dir_failure *failure)
{
    if (failure->detected_ns != 0 && failure->recovered_ns == 0)
        failure->recovered_ns = d->now_ns;
}

void dir_failure_recovered(struct rill_director *d, uint32_t unit)
{
    for (uint32_t i = oldest(d); unit != 0 && i < d->failure_list_count; i++)
        if (at(d, i)->unit == unit)
            recovered(d, at(d, i));
}

void dir_slot_recovered(struct rill_director *d, uint32_t vni, uint32_t slot)
{
    for (uint32_t i = oldest(d); i < d->failure_list_count; i++)
        if (at(d, i)->vni == vni && at(d, i)->slot == slot &&
            rill_role_kind(at(d, i)->role) == RILL_ROLE_CONTROLLER)
            recovered(d, at(d, i));
}

/* Output loggers whose unit lives and has filled another. */
void dir_settle_failures(struct rill_director *d, const struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        const struct dir_pair *pair = &dep->pairs[i];

        if (pair->leasable && pair->output_logger != 0 && !pair->logger_is_new &&
            rill_rm_logger_filled(dep->leases, pair->unit))
            dir_failure_recovered(d, pair->unit);
    }
}

void dir_add_failures(struct rill_director *d, Control__Failure *list, Control__Failure **pointers,
                      Control__Status *status)
{
    for (uint32_t i = oldest(d); i < d->failure_list_count; i++) {
        const struct dir_failure *failure = at(d, i);
        Control__Failure *to = &list[status->n_failure_list];

        control__failure__init(to);
        to->role = failure->role;
        to->hang = failure->hang;
        to->told_ns = failure->told_ns;
        to->detected_ns = failure->detected_ns;
        to->recovered_ns = failure->recovered_ns;
        pointers[status->n_failure_list++] = to;
    }
    status->failure_list = pointers;
}

/* The agent gives no answer: what it did is seen when the role is gone. */
void dir_on_fail(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);
    const struct dir_role *role = dir_role(d, message->fail->role);
    enum rill_role_kind kind = rill_role_kind(message->fail->role);
    Control__Message m = rill_control_message(d->config.id, 0, 0);

    if (role == NULL || dir_role_is_over(role)) {
        dir_answer_error(
            d, &asker, "%s %u is not there; `rill status --cluster %s` lists the roles",
            rill_role_kind_name(kind), rill_role_number(message->fail->role), d->config.cluster);
        return;
    }
    m.to = role->agent;
    RILL_CONTROL_SET(&m, FAIL, fail, message->fail);
    if (!dir_send(d, &m)) {
        dir_answer_error(d, &asker, "the machine of %s %u is not connected",
                         rill_role_kind_name(kind), rill_role_number(role->id));
        return;
    }
    if (role->vni != 0 && role->state == DIR_ACTIVE) {
        struct dir_failure *failure = note(d, role);

        if (failure->told_ns == 0) {
            failure->told_ns = d->now_ns;
            failure->hang = message->fail->hang;
        }
    }
    dir_answer_done(d, &asker);
}
