#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/epoch.h"
#include "lib/base/mutant.h"
#include "lib/frame/body.h"
#include "nf-runtime/include/rill/nf.h"
#include "rm/director_internal.h"

enum { POOLS_MAX = 8, ADDRESS_BYTES = 16 }; /* of an NF */

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
    dep->controller = dep->lost_controller = 0;
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

static void give_up_deploying(struct rill_director *d, struct dir_deployment *dep, const char *line)
{
    dir_say(d, "deployment %s was not started: %s", dep->spec->name, line);
    dep->abandoned = true;
    take_down(d, dep, DIR_UNDEPLOYING, line);
}

static void fail(struct rill_director *d, struct dir_deployment *dep, const char *line)
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
        dir_answer_error(d, &asker, "no deployment is called %.64s: rill status lists them", name);
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

/* --- roles for it ----------------------------------------------------------------------------- */

/* A unit and its output logger go to different machines where that is possible. Not yet: all roles
 * of a deployment need a fabric between them, and memif does not leave a machine. The day a fabric
 * does (config.fabric_crosses_machines), the rule of rm/placement.h holds by itself. */
static bool deployment_spans_machines(const struct rill_director *d)
{
    return d->config.fabric_crosses_machines;
}

/* The interfaces of a live deployment are its home's. */
static bool needs_host_network(const struct dir_deployment *dep, enum rill_role_kind kind)
{
    return dir_is_live(dep) && kind != RILL_ROLE_UNIT;
}

static uint32_t place(const struct rill_director *d, const struct dir_deployment *dep,
                      enum rill_role_kind kind, uint32_t not_on)
{
    if (!deployment_spans_machines(d) || needs_host_network(dep, kind))
        return dep->home;
    return dir_place(d, not_on, false);
}

/* Whoever deploys waits for it, so the first roles are started at once; later ones after a pause if
 * something failed to start. */
static bool may_start(const struct rill_director *d, const struct dir_deployment *dep,
                      const struct dir_machine *machine)
{
    return machine->peer != 0 && (!dep->deployed || d->now_ns >= machine->start_after_ns);
}

/* 0: not now. */
static uint32_t take_role(struct rill_director *d, struct dir_deployment *dep,
                          enum rill_role_kind kind, uint32_t not_on, struct rill_error *err)
{
    bool host_network = needs_host_network(dep, kind);
    struct dir_machine *machine = dir_machine(d, place(d, dep, kind, not_on));
    struct dir_role *role = NULL;

    if (machine == NULL || machine->peer == 0) {
        rill_error_set(err, -ENODEV, "its machine is not connected");
        return 0;
    }
    if (!host_network)
        role = dir_take_warm(d, machine->agent, kind);
    if (role != NULL)
        role->vni = dep->vni;
    else if (may_start(d, dep, machine))
        role = dir_start_role(d, machine, kind, host_network, dep->vni, err);
    return role == NULL ? 0 : role->id;
}

static void fill_pair(struct rill_director *d, struct dir_deployment *dep, struct dir_pair *pair,
                      struct rill_error *err)
{
    struct dir_role *unit, *logger;
    uint32_t not_on = dir_is_live(dep) ? dep->home : 0; /* where its output logger will be */

    if (pair->unit == 0)
        pair->unit = take_role(d, dep, RILL_ROLE_UNIT, not_on, err);
    unit = dir_role(d, pair->unit);
    if (unit != NULL && pair->output_logger == 0)
        pair->output_logger = take_role(d, dep, RILL_ROLE_OUTPUT_LOGGER, unit->agent, err);
    logger = dir_role(d, pair->output_logger);
    if (unit == NULL || logger == NULL)
        return;
    unit->partner = logger->id;
    logger->partner = unit->id;
}

static void fill_slots(struct rill_director *d, struct dir_deployment *dep)
{
    struct rill_error err = {.text = "no container can be started now"};
    bool full;

    if (dep->controller == 0)
        dep->controller = take_role(d, dep, RILL_ROLE_CONTROLLER, 0, &err);
    full = dep->controller != 0;
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        if (dep->pairs[i].output_logger == 0)
            fill_pair(d, dep, &dep->pairs[i], &err);
        full &= dep->pairs[i].output_logger != 0;
    }
    if (!full && !dep->deployed)
        give_up_deploying(d, dep, err.text);
}

/* --- activation ------------------------------------------------------------------------------- */

static void fill_activate(const struct rill_director *d, const struct dir_deployment *dep,
                          const struct dir_role *role, Control__Activate *a)
{
    const Control__Deploy *spec = dep->spec;
    enum rill_role_kind kind = rill_role_kind(role->id);

    a->vni = dep->vni;
    a->deployment = spec->name;
    a->n_settings = spec->n_settings;
    a->settings = spec->settings;
    a->epoch = dep->epoch;
    if (kind != RILL_ROLE_CONTROLLER)
        a->controller = dep->controller;
    if (kind == RILL_ROLE_UNIT) {
        a->output_logger = role->partner;
        a->nf = spec->nf;
        a->image = spec->image;
        a->n_config = spec->n_config;
        a->config = spec->config;
        return;
    }
    a->facts = dep->facts;
    a->inside_interface = spec->inside_interface;
    a->outside_interface = spec->outside_interface;
    if (kind == RILL_ROLE_CONTROLLER) {
        a->takes_over = dep->deployed && !RILL_MUTANT(takeover_untold);
        a->rm = d->config.id;
        a->units = spec->units;
    }
}

/* number 0: the first time. */
static void tell_activate(struct rill_director *d, const struct dir_deployment *dep,
                          const struct dir_role *role, uint64_t number)
{
    Control__Message m = rill_control_message(d->config.id, role->id, number);
    Control__Activate body = CONTROL__ACTIVATE__INIT;
    char folder[DIR_LINE_BYTES];

    snprintf(folder, sizeof(folder), "%s/%s", d->config.links_root, dep->folder);
    body.links_folder = folder;
    fill_activate(d, dep, role, &body);
    RILL_CONTROL_SET(&m, ACTIVATE, activate, &body);
    if (number != 0)
        dir_send(d, &m);
    else
        dir_ask(d, &m, DIR_ACTIVATE, role->id, dir_timeout_of(d, DIR_ACTIVATE), NULL);
}

static void activate(struct rill_director *d, const struct dir_deployment *dep,
                     struct dir_role *role)
{
    role->state = DIR_ACTIVATING;
    tell_activate(d, dep, role, 0);
}

void dir_repeat_activate(struct rill_director *d, const struct dir_role *role)
{
    const struct dir_deployment *dep = dir_deployment(d, role->vni);
    const struct dir_request *asked = dir_find_request_about(d, DIR_ACTIVATE, role->id);

    if (!RILL_MUTANT(activate_once) && role->state == DIR_ACTIVATING && dep != NULL &&
        asked != NULL)
        tell_activate(d, dep, role, asked->number);
}

static void activate_if_warm(struct rill_director *d, const struct dir_deployment *dep, uint32_t id)
{
    struct dir_role *role = dir_role(d, id);

    if (role != NULL && role->state == DIR_WARM)
        activate(d, dep, role);
}

/* The interfaces of a live deployment are free. */
static bool controller_may_begin(const struct rill_director *d, const struct dir_deployment *dep)
{
    return !dir_is_live(dep) || dir_role(d, dep->lost_controller) == NULL;
}

/* The first unit says what the NF is; all others are activated with that. A pair needs to know its
 * controller. */
static void activate_roles(struct rill_director *d, struct dir_deployment *dep)
{
    uint32_t units = dep->facts == NULL ? 1 : dep->spec->units;

    if (dep->controller == 0)
        return;
    for (uint32_t i = 0; i < units; i++)
        if (dep->pairs[i].output_logger != 0)
            activate_if_warm(d, dep, dep->pairs[i].unit);
    if (dep->facts == NULL)
        return;
    if (controller_may_begin(d, dep))
        activate_if_warm(d, dep, dep->controller);
    for (uint32_t i = 0; i < units; i++)
        activate_if_warm(d, dep, dep->pairs[i].output_logger);
}

/* A foreign NF may be behind it; other roles size their memory by it. */
static bool facts_make_sense(const Control__Facts *facts)
{
    if (facts->state_bytes < sizeof(struct rill_state_head) || facts->state_bytes > RILL_BODY_MAX ||
        facts->flow_scope > RILL_FLOW_OUTSIDE_HOST || facts->n_pools > POOLS_MAX)
        return false;
    for (size_t i = 0; i < facts->n_pools; i++) {
        const Control__Pool *pool = facts->pools[i];

        if (pool->addresses.len == 0 || pool->addresses.len % ADDRESS_BYTES != 0 ||
            pool->port_low > pool->port_high || pool->port_high > UINT16_MAX ||
            (pool->family != 4 && pool->family != 6) || pool->proto > UINT8_MAX)
            return false;
    }
    return true;
}

static bool same_facts(const Control__Facts *a, const Control__Facts *b)
{
    size_t bytes = control__facts__get_packed_size(a);
    uint8_t *packed;
    bool same = false;

    if (bytes != control__facts__get_packed_size(b))
        return false;
    packed = malloc(2 * bytes + 1);
    if (packed != NULL) {
        control__facts__pack(a, packed);
        control__facts__pack(b, packed + bytes);
        same = memcmp(packed, packed + bytes, bytes) == 0;
    }
    free(packed);
    return same;
}

static Control__Facts *copy_facts(const Control__Facts *facts)
{
    size_t bytes = control__facts__get_packed_size(facts);
    uint8_t *packed = malloc(bytes);
    Control__Facts *copy = NULL;

    if (packed != NULL) {
        control__facts__pack(facts, packed);
        copy = control__facts__unpack(NULL, bytes, packed);
    }
    free(packed);
    return copy;
}

/* NULL, or why not. */
static const char *take_facts(struct dir_deployment *dep, const Control__Facts *facts)
{
    if (facts == NULL || !facts_make_sense(facts))
        return "what it says of its NF makes no sense";
    if (dep->facts != NULL)
        return same_facts(facts, dep->facts)
                   ? NULL
                   : "what it says of its NF is not what the first unit said";
    dep->facts = copy_facts(facts);
    return dep->facts == NULL ? "no memory to keep what it says of its NF" : NULL;
}

void dir_on_activated(struct rill_director *d, struct dir_role *role,
                      const Control__Activated *activated)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    const char *why = NULL;

    if (rill_role_kind(role->id) == RILL_ROLE_UNIT)
        why = take_facts(dep, activated->facts);
    if (why != NULL) {
        dir_role_failed(d, role, why);
        return;
    }
    d->n.activations++;
    role->state = DIR_ACTIVE;
    role->activation_ns = activated->activation_ns;
    role->active_ns = d->now_ns;
}

/* --- deaths ----------------------------------------------------------------------------------- */

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
 * next epoch, takes them over. */
static void replace_controller(struct rill_director *d, struct dir_deployment *dep, uint32_t lost,
                               const char *line)
{
    if (dep->epoch == RILL_INCARNATIONS_MAX) {
        fail(d, dep, line);
        return;
    }
    dep->lost_controller = lost;
    dep->controller = 0;
    if (!RILL_MUTANT(epoch_again))
        dep->epoch++;
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
static void bury(struct rill_director *d, struct dir_deployment *dep)
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

    if (!dir_is_up(dep))
        return;
    dep->deaths += counts;
    if (!dep->deployed)
        give_up_deploying(d, dep, line);
    else if (counts && too_many_deaths(d, dep))
        fail(d, dep, line);
    else if (rill_role_kind(role) == RILL_ROLE_CONTROLLER)
        replace_controller(d, dep, role, line);
    else
        lose_role(d, dep, role);
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
        bury(d, dep);
    if (dir_is_up(dep))
        fill_slots(d, dep);
    if (dir_is_up(dep))
        activate_roles(d, dep);
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
