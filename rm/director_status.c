#include <stdlib.h>

#include "rm/director_internal.h"

/* What a Status points to, while it is packed. */
struct report {
    Control__Status body;
    Control__Machine machines[RILL_DIRECTOR_MACHINES_MAX];
    Control__Machine *machine_list[RILL_DIRECTOR_MACHINES_MAX];
    Control__Role roles[RILL_DIRECTOR_ROLES_MAX];
    Control__Role *role_list[RILL_DIRECTOR_ROLES_MAX];
    Control__Deployment deployments[RILL_DIRECTOR_DEPLOYMENTS_MAX];
    Control__Deployment *deployment_list[RILL_DIRECTOR_DEPLOYMENTS_MAX];
    uint32_t controllers[RILL_DIRECTOR_DEPLOYMENTS_MAX][RILL_DIRECTOR_CONTROLLERS_MAX];
    char *failures[RILL_DIRECTOR_FAILURES_MAX];
    Control__Failure deaths[RILL_DIRECTOR_FAILURES_MAX];
    Control__Failure *death_list[RILL_DIRECTOR_FAILURES_MAX];
};

static void add_machines(struct rill_director *d, struct report *report)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++) {
        struct dir_machine *machine = &d->machines[i];
        Control__Machine *to = &report->machines[report->body.n_machines];

        if (machine->agent == 0)
            continue;
        control__machine__init(to);
        to->name = machine->name;
        to->agent = machine->agent;
        to->connected = machine->peer != 0;
        to->cpus = machine->cpus;
        to->memory_bytes = machine->memory_bytes;
        to->hugepages = machine->hugepages;
        report->machine_list[report->body.n_machines++] = to;
    }
}

static void add_role(struct rill_director *d, struct report *report, const struct dir_role *role)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    const struct dir_slot *slot = dep == NULL ? NULL : dir_slot_of(dep, role->id);
    Control__Role *to = &report->roles[report->body.n_roles];

    control__role__init(to);
    to->role = role->id;
    to->agent = role->agent;
    to->state = (char *)dir_role_state_name(role->state);
    to->deployment = role->vni;
    to->partner = role->partner;
    to->start_ns = role->start_ns;
    to->ready_ns = role->ready_ns;
    to->activation_ns = role->activation_ns;
    to->age_ns = d->now_ns - role->born_ns;
    if (dep != NULL && rill_role_kind(role->id) == RILL_ROLE_UNIT)
        to->leased = dir_leased(dep, role->id);
    if (slot != NULL) {
        to->leased = dir_leased_by(dep, role->id);
        to->epoch = slot->epoch;
    }
    to->objects = dir_objects_of(role);
    report->role_list[report->body.n_roles++] = to;
}

static bool shares_machine(const struct rill_director *d, const struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        const struct dir_role *unit = dir_role(d, dep->pairs[i].unit);
        const struct dir_role *logger = dir_role(d, dep->pairs[i].output_logger);

        if (unit != NULL && logger != NULL && unit->agent == logger->agent)
            return true;
    }
    return false;
}

static void add_deployment(struct rill_director *d, struct report *report,
                           struct dir_deployment *dep)
{
    Control__Deployment *to = &report->deployments[report->body.n_deployments];
    uint32_t *controllers = report->controllers[report->body.n_deployments];

    control__deployment__init(to);
    to->vni = dep->vni;
    to->name = dep->spec->name;
    to->nf = dep->spec->nf;
    to->state = (char *)dir_deployment_state_name(dep->state);
    to->units = dep->spec->units;
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        controllers[i] = dep->slots[i].controller;
    to->controllers = controllers;
    to->n_controllers = dep->spec->controllers;
    to->weaker_promise = shares_machine(d, dep);
    to->deaths = dep->deaths;
    to->inside_interface = dep->spec->inside_interface;
    to->outside_interface = dep->spec->outside_interface;
    to->failure = dep->failure;
    to->client = dep->client;
    report->deployment_list[report->body.n_deployments++] = to;
}

static void add_failures(struct rill_director *d, struct report *report)
{
    uint32_t n = RTE_MIN(d->failure_count, (uint32_t)RILL_DIRECTOR_FAILURES_MAX);

    for (uint32_t i = 0; i < n; i++)
        report->failures[i] = d->failures[(d->failure_count - n + i) % RILL_DIRECTOR_FAILURES_MAX];
    report->body.n_failures = n;
    report->body.failures = report->failures;
}

/* Its unit may be leased, and has an output logger that has all that it has. */
static bool is_whole(const struct dir_deployment *dep, const struct dir_pair *pair)
{
    return pair->leasable && pair->output_logger != 0 && !pair->logger_is_new &&
           rill_rm_logger_filled(dep->leases, pair->unit);
}

/* No slot's flows wait for another controller. */
static bool has_all_flows(const struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        if (dep->slots[i].lost != 0)
            return false;
    return true;
}

/* Nothing is being started or stopped, and nothing is wanted that is not there. */
static bool is_settled(const struct rill_director *d)
{
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0 && d->roles[i].state != DIR_WARM && d->roles[i].state != DIR_ACTIVE)
            return false;
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        const struct dir_deployment *dep = &d->deployments[i];

        if (dep->vni == 0 || dep->state == DIR_FAILED)
            continue;
        if (dep->state != DIR_RUNNING || !has_all_flows(dep))
            return false;
        for (uint32_t j = 0; j < dep->spec->units; j++)
            if (!is_whole(dep, &dep->pairs[j]))
                return false;
    }
    return dir_pools_are_full(d);
}

static void fill(struct rill_director *d, struct report *report)
{
    Control__Status *body = &report->body;

    control__status__init(body);
    body->cluster = (char *)d->config.cluster;
    body->program = RILL_VERSION;
    body->up_ns = d->now_ns - d->created_ns;
    body->warm_wanted = d->config.warm;
    body->settled = is_settled(d);
    body->registry = (char *)(uintptr_t) "none";
    if (d->config.registry != NULL)
        body->registry = (char *)(uintptr_t)d->config.registry(d->config.arg, &body->standbys);
    body->rm_number = d->config.number;
    body->machines = report->machine_list;
    body->roles = report->role_list;
    body->deployments = report->deployment_list;
    add_machines(d, report);
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0)
            add_role(d, report, &d->roles[i]);
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni != 0)
            add_deployment(d, report, &d->deployments[i]);
    add_failures(d, report);
    dir_add_failures(d, report->deaths, report->death_list, body);
}

static void free_report(struct report *report)
{
    for (size_t i = 0; i < report->body.n_roles; i++)
        if (report->roles[i].objects != NULL)
            control__objects__free_unpacked(report->roles[i].objects, NULL);
    free(report);
}

void dir_on_status_request(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);
    Control__Message m = CONTROL__MESSAGE__INIT;
    struct report *report = calloc(1, sizeof(*report));

    if (report == NULL) {
        dir_answer_error(d, &asker, "no memory for the status");
        return;
    }
    fill(d, report);
    RILL_CONTROL_SET(&m, STATUS, status, &report->body);
    dir_answer(d, &asker, &m);
    free_report(report);
}
