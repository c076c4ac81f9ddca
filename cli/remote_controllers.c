/* The deployment's controllers: whose slot is whose, what goes to which, and what they say of
 * themselves and of their units at the end of each 100 ms. */
#include <errno.h>
#include <string.h>

#include "cli/remote_run.h"
#include "lib/control/split_facts.h"
#include "lib/frame/frame.h"

/* --- who they are ---------------------------------------------------------------------------- */

static struct remote_controller *find(struct remote_controllers *c, uint32_t id)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->list[i].id == id)
            return &c->list[i];
    return NULL;
}

/* While a slot has none, its packets find no way to the one before, and are counted. */
void remote_note_controllers(struct remote *r, const Control__Peers *told)
{
    struct remote_controllers *c = &r->controllers;

    for (size_t i = 0; i < told->n_controllers && i < REMOTE_SLOTS_MAX; i++) {
        uint32_t id = told->controllers[i];

        if (id == 0)
            continue;
        c->present[i] = id;
        c->slots = RTE_MAX(c->slots, (uint32_t)i + 1);
        if (find(c, id) == NULL && c->count < RTE_DIM(c->list))
            c->list[c->count++] = (struct remote_controller){.id = id, .slot = (uint32_t)i};
    }
}

/* --- packets in ------------------------------------------------------------------------------ */

static void send_to(void *arg, uint32_t slot, struct rte_mbuf **packets, uint32_t n,
                    uint64_t now_ns)
{
    struct remote *r = arg;

    for (uint32_t i = 0; i < n; i++)
        rill_frame(packets[i])->dst = r->controllers.present[slot];
    r->fabric->ops->send(r->fabric, rill_client_role(r->client), packets, n, now_ns);
}

int remote_create_split(struct remote *r, struct rill_error *err)
{
    const Control__Facts *facts = r->attached->attached->facts; /* outlives it */
    struct rill_ingress_split_config config = {.give = send_to, .arg = r};

    if (r->controllers.slots == 0 || r->attached->attached->n_controllers != r->controllers.slots ||
        rill_control_split(facts, r->controllers.slots, rill_config_u64(r->settings, "seed"),
                           &config.split, err) != 0)
        return rill_error_set(err, -EPROTO, "the resource manager's answer is not understood");
    if (r->controllers.slots == 1)
        return 0;
    r->controllers.split = rill_ingress_split_create(&config, err);
    return r->controllers.split == NULL ? -EINVAL : 0;
}

void remote_send(struct remote *r, struct rte_mbuf **packets, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct rill_frame *f = rill_frame(packets[i]);

        f->type = RILL_FRAME_INGRESS;
        f->src = rill_client_role(r->client);
        f->vni = r->attached->attached->vni;
    }
    if (r->controllers.split != NULL)
        rill_ingress_split_take(r->controllers.split, packets, n, r->player.now_ns);
    else
        send_to(r, 0, packets, n, r->player.now_ns);
}

bool remote_send_early(struct remote *r)
{
    return r->controllers.split != NULL &&
           rill_ingress_split_tick(r->controllers.split, r->player.now_ns);
}

uint32_t remote_early(const struct remote *r)
{
    return r->controllers.split == NULL ? 0 : rill_ingress_split_held(r->controllers.split);
}

/* --- their units, over time ------------------------------------------------------------------ */

static void ask_controllers(struct remote *r, uint64_t epoch_ns)
{
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;

    for (uint32_t slot = 0; slot < r->controllers.slots; slot++) {
        Control__Message m = rill_client_message_to(r->client, r->controllers.present[slot]);

        RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
        r->epochs.of[slot].number = rill_client_send(r->client, &m);
    }
    r->epochs.epoch_ns = epoch_ns;
    r->epochs.open = true;
}

/* Of all controllers; several may share one. */
static uint32_t units_in_use(const struct remote *r)
{
    const struct remote_epochs *epochs = &r->epochs;
    uint32_t n = 0;

    for (uint32_t i = 0; i < epochs->count; i++) {
        bool used = false;

        for (uint32_t slot = 0; slot < r->controllers.slots; slot++)
            used |= epochs->of[slot].looks > 0 &&
                    epochs->units[i].used_at[slot] == epochs->of[slot].looks;
        n += used;
    }
    return n;
}

static int add_epoch(struct remote *r)
{
    r->epochs.open = false;
    return rill_report_add_epoch(
        r->player.report, (double)(r->epochs.epoch_ns - r->player.start_ns) / 1e9, units_in_use(r));
}

/* A controller that has not answered in time counts as it did before. */
int remote_end_epochs(struct remote *r)
{
    struct rill_player *p = &r->player;
    int rc = 0;

    while (rc == 0 && p->now_ns >= p->next_epoch_ns) {
        if (r->epochs.open)
            rc = add_epoch(r);
        ask_controllers(r, p->next_epoch_ns - RILL_PLAYER_EPOCH_NS);
        p->next_epoch_ns += RILL_PLAYER_EPOCH_NS;
    }
    return rc;
}

struct remote_unit *remote_unit_of(struct remote *r, uint32_t id)
{
    struct remote_epochs *epochs = &r->epochs;

    for (uint32_t i = 0; i < epochs->count; i++)
        if (epochs->units[i].id == id)
            return &epochs->units[i];
    if (epochs->count == RILL_BOOKS_ROLES_MAX)
        return NULL;
    epochs->units[epochs->count] = (struct remote_unit){.id = id};
    return &epochs->units[epochs->count++];
}

static void look_at_units(struct remote *r, uint32_t slot, const Control__Metrics *metrics)
{
    struct rill_report *report = r->player.report;

    r->epochs.of[slot].looks++;
    for (size_t i = 0; i < metrics->n_units; i++) {
        struct remote_unit *unit = remote_unit_of(r, metrics->units[i]->unit);

        if (unit == NULL)
            continue;
        unit->used_at[slot] = r->epochs.of[slot].looks;
        if (metrics->units[i]->utilization > unit->utilization_max)
            unit->utilization_max = metrics->units[i]->utilization;
    }
    report->units_active_max = RTE_MAX(report->units_active_max, units_in_use(r));
}

void remote_look_at_units(struct remote *r)
{
    for (uint32_t slot = 0; slot < r->controllers.slots; slot++) {
        const Control__Metrics *metrics = remote_metrics_of(r, r->controllers.present[slot]);

        if (metrics != NULL)
            look_at_units(r, slot, metrics);
    }
}

static bool all_have_answered(const struct remote *r)
{
    for (uint32_t slot = 0; slot < r->controllers.slots; slot++)
        if (r->epochs.of[slot].number != 0)
            return false;
    return true;
}

bool remote_on_epoch(struct remote *r, const Control__Message *message)
{
    for (uint32_t slot = 0; slot < r->controllers.slots; slot++) {
        if (r->epochs.of[slot].number == 0 || message->number != r->epochs.of[slot].number)
            continue;
        r->epochs.of[slot].number = 0;
        look_at_units(r, slot, message->metrics);
        remote_controller_says(r, message);
        if (r->epochs.open && all_have_answered(r) && add_epoch(r) != 0)
            rill_error_set(&r->failure, -ENOMEM, "no memory for the report");
        return true;
    }
    return false;
}

/* --- what they counted ----------------------------------------------------------------------- */

void remote_controller_says(struct remote *r, const Control__Message *message)
{
    struct remote_controller *controller = find(&r->controllers, message->from);
    Control__Message *copy;

    if (controller == NULL)
        return;
    copy = rill_client_copy(message);
    if (copy == NULL)
        return;
    rill_control_free(controller->now);
    controller->now = copy;
}

void remote_begin_controllers(struct remote *r)
{
    for (uint32_t i = 0; i < r->controllers.count; i++) {
        struct remote_controller *controller = &r->controllers.list[i];

        rill_control_free(controller->before);
        controller->before = controller->now;
        controller->now = NULL;
    }
}

static struct rill_books_role role_of(const struct remote_controller *controller)
{
    return (struct rill_books_role){
        .id = controller->id,
        .before = controller->before != NULL ? controller->before->metrics : NULL,
        .now = controller->now != NULL ? controller->now->metrics : NULL};
}

uint64_t remote_controllers_counted(const struct remote *r, const char *name)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < r->controllers.count; i++) {
        const struct rill_books_role role = role_of(&r->controllers.list[i]);
        const struct rill_books books = {.roles = &role, .count = 1};

        n += rill_books_counter(&books, 0, name);
    }
    return n;
}

/* What came out of a dead one after its last word is not known here: what it had taken in by then
 * and not passed on counts as lost with it. */
static struct rill_report_controller books_of(const struct remote_controller *controller, bool died)
{
    const struct rill_books_role role = role_of(controller);
    const struct rill_books books = {.roles = &role, .count = 1};
    struct rill_report_controller c = {
        .id = rill_role_number(controller->id),
        .slot = controller->slot,
        .died = died,
        .packets_in = rill_books_counter(&books, 0, "controller.packets_in"),
        .bytes_in = rill_books_counter(&books, 0, "controller.bytes_in"),
        .packets_to_units = rill_books_counter(&books, 0, "controller.packets_to_units"),
        .packets_passed = rill_books_counter(&books, 0, "controller.packets_passed"),
        .packets_dropped = rill_books_dropped(&books, "controller."),
        .flows = rill_books_counter(&books, 0, "controller.flows"),
        .flowlets = rill_books_counter(&books, 0, "controller.flowlets"),
        .flowlets_moved = rill_books_counter(&books, 0, "controller.flowlets_moved")};

    if (died)
        c.packets_dropped = c.packets_in - c.packets_to_units - c.packets_passed;
    else if (role.now != NULL)
        c.packets_in_flight = role.now->packets_held;
    return c;
}

int remote_report_controllers(struct remote *r)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < r->controllers.count; i++) {
        const struct remote_controller *controller = &r->controllers.list[i];
        struct rill_report_controller books =
            books_of(controller, !remote_is_there(r, controller->id));

        rc = rill_report_add_controller(r->player.report, &books);
    }
    return rc;
}

void remote_controllers_fini(struct remote *r)
{
    for (uint32_t i = 0; i < r->controllers.count; i++) {
        rill_control_free(r->controllers.list[i].before);
        rill_control_free(r->controllers.list[i].now);
    }
    rill_ingress_split_destroy(r->controllers.split);
}
