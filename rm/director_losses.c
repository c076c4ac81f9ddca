#include "lib/base/epoch.h"
#include "lib/base/mutant.h"
#include "rm/director_internal.h"

/* Roles that are lost with their machine are so at one moment, and by one fault. */
static bool is_same_death(const struct rill_director *d, const struct dir_deployment *dep)
{
    return dep->deaths_timed > 0 &&
           dep->death_ns[(dep->deaths_timed - 1) % d->config.deaths_max] == d->now_ns;
}

/* One more now. */
static bool is_one_too_many(const struct rill_director *d, const struct dir_deployment *dep)
{
    uint32_t max = d->config.deaths_max;
    uint64_t first_ns; /* of the last deaths_max, this one among them */

    if (dep->deaths_timed + 1 < max)
        return false;
    first_ns = max == 1 ? d->now_ns : dep->death_ns[(dep->deaths_timed + 1) % max];
    return d->now_ns - first_ns <= d->config.deaths_window_ns;
}

/* Notes one now; true if there were too many. */
static bool too_many_deaths(const struct rill_director *d, struct dir_deployment *dep)
{
    bool too_many = is_one_too_many(d, dep);

    dep->death_ns[dep->deaths_timed++ % d->config.deaths_max] = d->now_ns;
    return too_many;
}

bool dir_deployment_bears_a_death(const struct rill_director *d, const struct dir_deployment *dep)
{
    return dir_is_up(dep) && dep->deployed && (is_same_death(d, dep) || !is_one_too_many(d, dep));
}

static void stop_if_there(struct rill_director *d, uint32_t id)
{
    if (dir_role(d, id) != NULL)
        dir_stop_role(d, dir_role(d, id));
}

static bool is_awake(const struct rill_director *d, uint32_t id)
{
    const struct dir_role *role = dir_role(d, id);

    return role != NULL && (role->state == DIR_ACTIVATING || role->state == DIR_ACTIVE);
}

static void drop_pair(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    struct dir_pair dropped = *pair;

    dir_unlease_pair(d, dep, pair);
    *pair = (struct dir_pair){0};
    stop_if_there(d, dropped.unit);
    stop_if_there(d, dropped.output_logger);
}

/* Its flows go on elsewhere with what its output logger has, so that stays for a while. */
static void lose_unit(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    struct dir_pair lost = *pair;
    bool logger_lives;

    if (!pair->leasable) { /* it never had a flow */
        dir_failure_recovered(d, pair->unit);
        drop_pair(d, dep, pair);
        return;
    }
    logger_lives = dir_unit_died(d, dep, pair);
    *pair = (struct dir_pair){0};
    stop_if_there(d, lost.unit);
    if (logger_lives && !RILL_MUTANT(logger_early))
        dep->mourned[dep->mourned_count++] =
            (struct dir_mourned){.unit = lost.unit, .output_logger = lost.output_logger};
    else
        stop_if_there(d, lost.output_logger);
}

/* Its unit goes on, and fills another. */
static void lose_logger(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    uint32_t logger = pair->output_logger;

    if (!pair->leasable) {
        dir_failure_recovered(d, pair->unit);
        drop_pair(d, dep, pair);
        return;
    }
    pair->output_logger = 0;
    pair->logger_is_new = true;
    stop_if_there(d, logger);
}

/* It never had a flow. What of it is awake knows the controller that is gone, and nobody would tell
 * it of the next: so others take its place. */
static void drop_unused(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair)
{
    if (!pair->leasable && (is_awake(d, pair->unit) || is_awake(d, pair->output_logger)))
        drop_pair(d, dep, pair);
    if (!pair->logger_is_new || !is_awake(d, pair->output_logger))
        return;
    dir_stop_role(d, dir_role(d, pair->output_logger));
    pair->output_logger = 0;
}

/* Units and output loggers have all that is to know about the flows: another controller, of the
 * next epoch, takes them over. Those of other slots go on meanwhile. */
static void replace_controller(struct rill_director *d, struct dir_deployment *dep,
                               struct dir_slot *slot, const char *line)
{
    if (rill_epoch_incarnation((uint16_t)slot->epoch) == RILL_INCARNATIONS_MAX) {
        dir_fail_deployment(d, dep, line);
        return;
    }
    slot->lost = slot->controller;
    slot->controller = 0;
    if (!RILL_MUTANT(epoch_again))
        slot->epoch++;
    for (uint32_t i = 0; i < dep->spec->units; i++)
        drop_unused(d, dep, &dep->pairs[i]);
}

static void remove_mourned(struct dir_deployment *dep, uint32_t i)
{
    dep->mourned[i] = dep->mourned[--dep->mourned_count];
}

static void lose_role(struct rill_director *d, struct dir_deployment *dep, uint32_t role)
{
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        if (dep->pairs[i].unit == role)
            lose_unit(d, dep, &dep->pairs[i]);
        else if (dep->pairs[i].output_logger == role)
            lose_logger(d, dep, &dep->pairs[i]);
    }
    for (uint32_t i = 0; i < dep->mourned_count; i++) {
        if (dep->mourned[i].output_logger != role)
            continue;
        dir_mourned_logger_died(d, dep, dep->mourned[i].unit);
        remove_mourned(dep, i);
        break;
    }
}

/* Output loggers of dead units that nobody needs any more. */
void dir_bury(struct rill_director *d, struct dir_deployment *dep)
{
    struct dir_mourned over;

    while (dir_next_recovered(dep, &over)) {
        dir_failure_recovered(d, over.unit);
        for (uint32_t i = 0; i < dep->mourned_count; i++) {
            if (dep->mourned[i].unit != over.unit)
                continue;
            if (!RILL_MUTANT(logger_stays))
                stop_if_there(d, dep->mourned[i].output_logger);
            remove_mourned(dep, i);
            break;
        }
    }
}

void dir_deployment_lost(struct rill_director *d, struct dir_deployment *dep, uint32_t role,
                         bool served, const char *line)
{
    bool counts = !served || !is_same_death(d, dep);
    struct dir_slot *slot = dir_slot_of(dep, role);

    if (!dir_is_up(dep))
        return;
    dep->deaths += counts;
    if (!dep->deployed)
        dir_give_up_deploying(d, dep, line);
    else if (counts && too_many_deaths(d, dep))
        dir_fail_deployment(d, dep, line);
    else if (slot != NULL)
        replace_controller(d, dep, slot, line);
    else
        lose_role(d, dep, role);
}
