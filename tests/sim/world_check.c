/* What must hold of the control plane once nothing goes wrong any more. */
#include <string.h>

#include "tests/sim/world.h"

#define NEWS_NS (150 * WORLD_MS) /* a death is known everywhere */

static const Control__Status *status_of(const struct world *w)
{
    return w->clients[0].status == NULL ? NULL : w->clients[0].status->status;
}

static const Control__Role *listed(const Control__Status *status, uint32_t id)
{
    for (size_t i = 0; i < status->n_roles; i++)
        if (status->roles[i]->role == id)
            return status->roles[i];
    return NULL;
}

static const char *agent_name(const Control__Status *status, uint32_t agent)
{
    for (size_t i = 0; i < status->n_machines; i++)
        if (status->machines[i]->agent == agent)
            return status->machines[i]->name;
    return "";
}

/* --- is all there? ---------------------------------------------------------------------------- */

static const Control__Deployment *deployment(const Control__Status *status, const char *name)
{
    for (size_t i = 0; i < status->n_deployments; i++)
        if (strcmp(status->deployments[i]->name, name) == 0)
            return status->deployments[i];
    return NULL;
}

/* Its roles of that kind. */
static uint32_t roles_of(const Control__Status *status, const Control__Deployment *there,
                         enum rill_role_kind kind)
{
    uint32_t n = 0;

    for (size_t i = 0; i < status->n_roles; i++)
        n += status->roles[i]->deployment == there->vni &&
             rill_role_kind(status->roles[i]->role) == kind;
    return n;
}

static const char *missing_of_slot(struct world *w, const Control__Deployment *there, uint32_t slot)
{
    const struct world_program *controller = world_program(w, there->controllers[slot], true);

    if (controller == NULL || !controller->active)
        return "a deployment's controller is not there";
    if (rill_controller_taking_over(controller->core.controller))
        return "a deployment's controller has not taken over";
    if (rill_controller_units(controller->core.controller) == 0)
        return "a deployment's controller has no unit";
    return NULL;
}

static const char *missing_of(struct world *w, const Control__Deployment *there, uint32_t i)
{
    const char *missing = NULL;

    if (there == NULL)
        return "a deployment that is wanted is not there";
    if (strcmp(there->state, "running") != 0)
        return "a deployment does not run";
    for (uint32_t slot = 0; slot < there->n_controllers && missing == NULL; slot++)
        missing = missing_of_slot(w, there, slot);
    if (missing != NULL)
        return missing;
    if (roles_of(status_of(w), there, RILL_ROLE_OUTPUT_LOGGER) > there->units)
        return "a dead unit is not recovered from";
    if (world_is_live(w, i))
        return NULL;
    if (!w->clients[1 + i].attached)
        return "a client is not attached";
    for (uint32_t slot = 0; slot < there->n_controllers; slot++)
        if (w->clients[1 + i].controllers[slot] != there->controllers[slot])
            return "a client is attached to another controller";
    return NULL;
}

static bool anything_stands_still(const struct world *w)
{
    for (uint32_t i = 0; i < w->plan.machines; i++)
        if (w->machines[i].still_until + NEWS_NS > w->now_ns)
            return true;
    if (w->rm->still_until + NEWS_NS > w->now_ns)
        return true;
    for (uint32_t i = 0; i < w->program_count; i++)
        if (w->programs[i]->alive && world_program_stands_still(w->programs[i]))
            return true;
    return false;
}

/* The one who listens has not heard yet that a connection is gone. */
static bool any_news_is_late(const struct world *w)
{
    for (uint32_t i = 0; i < w->connection_count; i++)
        if (w->connections[i]->open[WORLD_LISTENER] &&
            w->connections[i]->cut_ns[WORLD_LISTENER] != UINT64_MAX)
            return true;
    return false;
}

const char *world_what_is_missing(struct world *w)
{
    const Control__Status *status = status_of(w);

    if (w->rms[0].director != NULL && w->rms[1].director != NULL)
        return "a resource manager has not heard that its place was taken";
    if (any_news_is_late(w))
        return "the end of a connection was not heard of";
    if (anything_stands_still(w))
        return "a program stands still";
    if (status == NULL || w->clients[0].status_ns < w->news_ns + NEWS_NS)
        return "the operator has no status of after the last death";
    if (status->n_machines != w->plan.machines)
        return "a machine has not joined";
    for (size_t i = 0; i < status->n_machines; i++)
        if (!status->machines[i]->connected)
            return "a machine is not connected";
    if (!status->settled)
        return "it has not settled";
    for (uint32_t i = 0; i < w->plan.deployments; i++) {
        const char *what = missing_of(w, deployment(status, w->clients[0].wishes[i].name), i);

        if (what != NULL)
            return what;
    }
    return NULL;
}

/* --- is it true? ------------------------------------------------------------------------------ */

static void check_listed(struct world *w, const Control__Status *status, const Control__Role *role)
{
    const struct world_program *p = world_program(w, role->role, true);

    if (p == NULL)
        world_fail(w, "STATUS", "%08x is listed as %s, and is dead", role->role, role->state);
    else if (strcmp(p->machine->name, agent_name(status, role->agent)) != 0)
        world_fail(w, "STATUS", "%08x is listed at another machine", role->role);
    else if (p->active != (strcmp(role->state, "active") == 0))
        world_fail(w, "STATUS", "%08x is listed as %s, and is %sactive", role->role, role->state,
                   p->active ? "" : "not ");
}

/* Dead units' output loggers are gone by now: each deployment has what it asked for, and no more.
 */
static void check_counts(struct world *w, const Control__Status *status,
                         const Control__Deployment *there)
{
    uint32_t units = roles_of(status, there, RILL_ROLE_UNIT);
    uint32_t loggers = roles_of(status, there, RILL_ROLE_OUTPUT_LOGGER);
    uint32_t controllers = roles_of(status, there, RILL_ROLE_CONTROLLER);

    if (units != there->units || loggers != there->units || controllers != there->n_controllers)
        world_fail(w, "STATUS",
                   "deployment %s has %u units, %u output loggers and %u controllers for %u units "
                   "and %zu controllers",
                   there->name, units, loggers, controllers, there->units, there->n_controllers);
}

void world_check_truth(struct world *w)
{
    const Control__Status *status = status_of(w);

    for (size_t i = 0; i < status->n_deployments; i++)
        check_counts(w, status, status->deployments[i]);
    for (size_t i = 0; i < status->n_roles; i++)
        check_listed(w, status, status->roles[i]);
    for (uint32_t i = 0; i < w->program_count; i++) {
        const struct world_program *p = w->programs[i];

        if (p->alive && listed(status, p->id) == NULL)
            world_fail(w, "OWNER", "container %08x of %s runs, and belongs to nobody", p->id,
                       p->machine->name);
    }
}

/* Its leases may have run out by its own clock, which it looks at before all else. */
static bool has_to_look(const struct world_program *p)
{
    return world_program_stands_still(p) || p->due_ns <= p->w->now_ns;
}

/* I5, at every moment: what controllers take for theirs of a unit. From one whose place was taken
 * no unit takes anything. */
void world_check_leases(struct world *w)
{
    for (uint32_t i = 0; i < w->program_count; i++) {
        const struct world_program *unit = w->programs[i];
        uint32_t sum = 0;

        if (!unit->alive || unit->core.unit == NULL)
            continue;
        for (uint32_t slot = 0; slot < w->plan.controllers; slot++) {
            const struct world_program *p = world_domain_controller(unit->domain, slot);

            if (p != NULL && !has_to_look(p))
                sum += rill_controller_unit_share(p->core.controller, unit->id);
        }
        if (sum > RILL_RM_SHARE_WHOLE)
            world_fail(w, "I5", "%u thousandths of unit %08x are leased", sum, unit->id);
    }
}

/* A controller that has a unit for its own which is dead, and was for long. */
static void check_units(struct world *w, const struct world_program *controller)
{
    struct rill_controller *core = controller->core.controller;

    for (uint32_t i = 0; i < rill_controller_units(core); i++) {
        double utilization;
        uint32_t unit = rill_controller_unit(core, i, w->now_ns, &utilization);

        if (world_program(w, unit, true) == NULL)
            world_fail(w, "LEASE", "controller %08x has leased unit %08x, which is dead",
                       controller->id, unit);
    }
}

void world_check_units(struct world *w)
{
    for (uint32_t i = 0; i < w->program_count; i++)
        if (w->programs[i]->alive && w->programs[i]->core.controller != NULL)
            check_units(w, w->programs[i]);
}

/* Whose machine only could not be reached for a while was not taken for dead. */
void world_check_deaths(struct world *w)
{
    uint64_t deaths = w->deaths_taken + rill_director_counters(w->rm->director)->deaths;

    if (w->plan.gentle && deaths > 0)
        world_fail(w, "DEATHS", "%" PRIu64 " roles were taken for dead, and none had died", deaths);
}

/* --- packets ---------------------------------------------------------------------------------- */

static uint32_t endpoints_of(const struct world *w, const struct world_domain *domain)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->program_count; i++) {
        const struct world_core *core = &w->programs[i]->core;

        if (w->programs[i]->domain != domain)
            continue;
        if (core->nf != NULL)
            n += rill_nf_pool_free(core->nf, 0);
        if (core->controller != NULL)
            n += rill_controller_pool_free(core->controller, 0, w->now_ns);
    }
    return n;
}

static bool keeps_something(const struct world_program *p)
{
    return world_core_held(&p->core) > 0 ||
           (p->core.unit != NULL && rill_unit_flows(p->core.unit) > 0);
}

/* All flows have ended. */
const char *world_what_is_kept(const struct world *w)
{
    for (uint32_t i = 0; i < w->program_count; i++) {
        const struct world_program *p = w->programs[i];

        if (p->active && keeps_something(p))
            return "a role keeps flows or packets";
        if (p->active && p->core.controller != NULL &&
            endpoints_of(w, p->domain) != w->plan.check.pool_ports)
            return "endpoints have not come back";
    }
    return NULL;
}

/* --- the end ---------------------------------------------------------------------------------- */

void world_check_nothing_left(struct world *w)
{
    for (uint32_t i = 0; i < w->program_count; i++)
        if (w->programs[i]->alive)
            world_fail(w, "LEFT", "container %08x outlives its cluster", w->programs[i]->id);
    for (uint32_t i = 0; i < w->plan.machines; i++)
        if (!w->machines[i].ended)
            world_fail(w, "LEFT", "the agent of %s outlives its cluster", w->machines[i].name);
    if (!w->rm->ended)
        world_fail(w, "LEFT", "the resource manager outlives its cluster");
}
