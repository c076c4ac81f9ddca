#include <inttypes.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "rm/director_internal.h"

const char *dir_deployment_state_name(enum dir_deployment_state state)
{
    static const char *const names[] = {[DIR_DEPLOYING] = "starting",
                                        [DIR_RUNNING] = "running",
                                        [DIR_FAILED] = "failed",
                                        [DIR_UNDEPLOYING] = "stopping"};

    return names[state];
}

struct dir_deployment *dir_deployment(const struct rill_director *d, uint32_t vni)
{
    for (uint32_t i = 0; vni != 0 && i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni == vni)
            return &d->deployments[i];
    return NULL;
}

struct dir_deployment *dir_deployment_named(const struct rill_director *d, const char *name)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        struct dir_deployment *dep = &d->deployments[i];

        if (dep->vni != 0 && !dep->abandoned && strcmp(dep->spec->name, name) == 0)
            return dep;
    }
    return NULL;
}

bool dir_is_live(const struct dir_deployment *dep)
{
    return dep->spec->inside_interface[0] != '\0';
}

struct dir_slot *dir_slot_of(struct dir_deployment *dep, uint32_t controller)
{
    for (uint32_t i = 0; controller != 0 && i < dep->spec->controllers; i++)
        if (dep->slots[i].controller == controller)
            return &dep->slots[i];
    return NULL;
}

bool dir_is_up(const struct dir_deployment *dep)
{
    return dep->state == DIR_DEPLOYING || dep->state == DIR_RUNNING;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop_all_roles(struct rill_director *d, struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->units; i++)
        dir_unlease_pair(d, dep, &dep->pairs[i]);
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0 && d->roles[i].vni == dep->vni)
            dir_stop_role(d, &d->roles[i]);
    memset(dep->pairs, 0, sizeof(dep->pairs));
    dep->mourned_count = 0;
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        dep->slots[i].controller = dep->slots[i].lost = 0;
}

/* It does not go on. `why` answers who waits for something else. */
static void take_down(struct rill_director *d, struct dir_deployment *dep,
                      enum dir_deployment_state state, const char *why)
{
    dep->state = state;
    dir_answer_error(d, &dep->deploy, "%s", why);
    dir_answer_error(d, &dep->attach, "%s", why);
    dir_detach(d, dep);
    stop_all_roles(d, dep);
}

static bool has_roles(const struct rill_director *d, const struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0 && d->roles[i].vni == dep->vni)
            return true;
    return false;
}

static void finish(struct rill_director *d, struct dir_deployment *dep)
{
    if (dep->state != DIR_UNDEPLOYING || has_roles(d, dep))
        return;
    if (!RILL_MUTANT(undeploy_mute))
        dir_answer_done(d, &dep->undeploy);
    dir_deployment_is_gone(d, dep);
    dir_free_deployment(dep);
}

void dir_give_up_deploying(struct rill_director *d, struct dir_deployment *dep, const char *line)
{
    dir_say(d, "deployment %s was not started: %s", dep->spec->name, line);
    dep->abandoned = true;
    take_down(d, dep, DIR_UNDEPLOYING, line);
}

void dir_fail_deployment(struct rill_director *d, struct dir_deployment *dep, const char *line)
{
    snprintf(dep->failure, sizeof(dep->failure), "%s", line);
    dir_say(d, "deployment %s failed, %" PRIu32 " of its roles died: %s", dep->spec->name,
            dep->deaths, line);
    take_down(d, dep, DIR_FAILED, line);
}

void dir_on_undeploy(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    const char *name = message->undeploy->name;
    struct dir_asker asker = dir_asker_of(peer, message);
    struct dir_deployment *dep = dir_deployment_named(d, name);
    char why[DIR_LINE_BYTES];

    if (dep == NULL) {
        dir_answer_error(d, &asker,
                         "no deployment is called %.64s: rill status --cluster %s lists them", name,
                         d->config.cluster);
        return;
    }
    if (dep->state == DIR_UNDEPLOYING) {
        dir_answer_error(d, &asker, "deployment %s is being undeployed already", name);
        return;
    }
    snprintf(why, sizeof(why), "deployment %s is being undeployed", name);
    dep->undeploy = asker;
    take_down(d, dep, DIR_UNDEPLOYING, why);
}

/* --- what follows ----------------------------------------------------------------------------- */

static void answer_deployed(struct rill_director *d, struct dir_deployment *dep)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Deployed deployed = CONTROL__DEPLOYED__INIT;

    deployed.vni = dep->vni;
    deployed.took_ns = d->now_ns - dep->asked_ns;
    RILL_CONTROL_SET(&m, DEPLOYED, deployed, &deployed);
    dir_answer(d, &dep->deploy, &m);
    dir_say(d, "deployment %s runs: %s, %" PRIu32 " unit(s), after %" PRIu64 " ms", dep->spec->name,
            dep->spec->nf, dep->spec->units, deployed.took_ns / 1000000);
}

/* Units that can do their work are given to the lease core. */
static void lease_pairs(struct rill_director *d, struct dir_deployment *dep)
{
    bool all = true;

    for (uint32_t i = 0; i < dep->spec->units && dir_is_up(dep); i++) {
        struct dir_pair *pair = &dep->pairs[i];
        struct rill_error err;

        if (!pair->leasable && dir_pair_is_linked(d, dep, pair) &&
            dir_lease_pair(d, dep, pair, &err) != 0)
            dir_role_failed(d, dir_role(d, pair->unit), err.text);
        if (pair->leasable && pair->logger_is_new && dir_pair_is_linked(d, dep, pair))
            dir_replace_logger(d, dep, pair);
        all &= pair->leasable;
    }
    if (!all || dep->state != DIR_DEPLOYING)
        return;
    dep->state = DIR_RUNNING;
    dep->deployed = true;
    answer_deployed(d, dep);
}

void dir_settle_deployment(struct rill_director *d, struct dir_deployment *dep)
{
    if (dir_is_up(dep))
        dir_bury(d, dep);
    if (dir_is_up(dep))
        dir_fill_slots(d, dep);
    if (dir_is_up(dep))
        dir_activate_roles(d, dep);
    if (dir_is_up(dep))
        dir_settle_links(d, dep);
    if (dir_is_up(dep))
        lease_pairs(d, dep);
    if (dir_is_up(dep))
        dir_settle_failures(d, dep);
    if (dir_is_up(dep))
        dir_settle_attach(d, dep);
    finish(d, dep);
}
