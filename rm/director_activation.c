#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "lib/frame/body.h"
#include "nf-runtime/include/rill/nf.h"
#include "rm/director_internal.h"

enum { POOLS_MAX = 8, ADDRESS_BYTES = 16 }; /* of an NF */

/* What an Activate points to while it is packed. */
struct controllers {
    Control__Slot slots[RILL_DIRECTOR_CONTROLLERS_MAX];
    Control__Slot *pointers[RILL_DIRECTOR_CONTROLLERS_MAX];
};

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

void dir_fill_slots(struct rill_director *d, struct dir_deployment *dep)
{
    struct rill_error err = {.text = "no container can be started now"};
    bool full = true;

    for (uint32_t i = 0; i < dep->spec->controllers; i++) {
        struct dir_slot *slot = &dep->slots[i];

        if (slot->controller == 0)
            slot->controller = take_role(d, dep, RILL_ROLE_CONTROLLER, 0, &err);
        full &= slot->controller != 0;
    }
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        if (dep->pairs[i].output_logger == 0)
            fill_pair(d, dep, &dep->pairs[i], &err);
        full &= dep->pairs[i].output_logger != 0;
    }
    if (!full && !dep->deployed)
        dir_give_up_deploying(d, dep, err.text);
}

/* --- activation ------------------------------------------------------------------------------- */

static void list_controllers(const struct dir_deployment *dep, struct controllers *list,
                             Control__Activate *a)
{
    for (uint32_t i = 0; i < dep->spec->controllers; i++) {
        control__slot__init(&list->slots[i]);
        list->slots[i].controller = dep->slots[i].controller;
        list->slots[i].epoch = dep->slots[i].epoch;
        list->pointers[i] = &list->slots[i];
    }
    a->n_controllers = dep->spec->controllers;
    a->controllers = list->pointers;
}

static void fill_activate(const struct rill_director *d, struct dir_deployment *dep,
                          const struct dir_role *role, Control__Activate *a)
{
    const Control__Deploy *spec = dep->spec;
    enum rill_role_kind kind = rill_role_kind(role->id);

    a->vni = dep->vni;
    a->deployment = spec->name;
    a->n_settings = spec->n_settings;
    a->settings = spec->settings;
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
        a->epoch = (RILL_MUTANT(slot_taken) ? dep->slots : dir_slot_of(dep, role->id))->epoch;
        a->takes_over = dep->deployed && !RILL_MUTANT(takeover_untold);
        a->rm = d->config.id;
        a->units = spec->units;
    }
}

/* number 0: the first time. */
static void tell_activate(struct rill_director *d, struct dir_deployment *dep,
                          const struct dir_role *role, uint64_t number)
{
    Control__Message m = rill_control_message(d->config.id, role->id, number);
    Control__Activate body = CONTROL__ACTIVATE__INIT;
    struct controllers list;
    char folder[DIR_LINE_BYTES];

    list_controllers(dep, &list, &body);
    snprintf(folder, sizeof(folder), "%s/%s", d->config.links_root, dep->folder);
    body.links_folder = folder;
    fill_activate(d, dep, role, &body);
    RILL_CONTROL_SET(&m, ACTIVATE, activate, &body);
    if (number != 0)
        dir_send(d, &m);
    else
        dir_ask(d, &m, DIR_ACTIVATE, role->id, dir_timeout_of(d, DIR_ACTIVATE), NULL);
}

static void activate(struct rill_director *d, struct dir_deployment *dep, struct dir_role *role)
{
    role->state = DIR_ACTIVATING;
    tell_activate(d, dep, role, 0);
}

void dir_repeat_activate(struct rill_director *d, const struct dir_role *role)
{
    struct dir_deployment *dep = dir_deployment(d, role->vni);
    const struct dir_request *asked = dir_find_request_about(d, DIR_ACTIVATE, role->id);

    if (!RILL_MUTANT(activate_once) && role->state == DIR_ACTIVATING && dep != NULL &&
        asked != NULL)
        tell_activate(d, dep, role, asked->number);
}

static void activate_if_warm(struct rill_director *d, struct dir_deployment *dep, uint32_t id)
{
    struct dir_role *role = dir_role(d, id);

    if (role != NULL && role->state == DIR_WARM)
        activate(d, dep, role);
}

/* Of a live deployment: nobody takes the slot's packets from the interfaces any more. */
static bool controller_may_begin(const struct rill_director *d, const struct dir_deployment *dep,
                                 const struct dir_slot *slot)
{
    return !dir_is_live(dep) || dir_role(d, slot->lost) == NULL;
}

static bool all_controllers_are_known(const struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        if (dep->slots[i].controller == 0)
            return false;
    return true;
}

static void activate_controllers(struct rill_director *d, struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        if (controller_may_begin(d, dep, &dep->slots[i]))
            activate_if_warm(d, dep, dep->slots[i].controller);
}

/* The first unit says what the NF is; all others are activated with that. A pair needs to know
 * all controllers. */
void dir_activate_roles(struct rill_director *d, struct dir_deployment *dep)
{
    uint32_t units = dep->facts == NULL ? 1 : dep->spec->units;

    if (dep->facts != NULL)
        activate_controllers(d, dep);
    if (!all_controllers_are_known(dep))
        return;
    for (uint32_t i = 0; i < units; i++)
        if (dep->pairs[i].output_logger != 0)
            activate_if_warm(d, dep, dep->pairs[i].unit);
    if (dep->facts == NULL)
        return;
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
