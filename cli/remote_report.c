#include <errno.h>
#include <string.h>

#include "cli/remote_run.h"

/* --- the controller's units, over time ------------------------------------------------------- */

static void ask_controller(struct remote *r, uint64_t epoch_ns)
{
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;
    Control__Message m = rill_client_message_to(r->client, r->controller);

    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
    r->epochs.number = rill_client_send(r->client, &m);
    r->epochs.epoch_ns = epoch_ns;
}

static int add_epoch(struct remote *r)
{
    r->epochs.number = 0;
    return rill_report_add_epoch(r->player.report,
                                 (double)(r->epochs.epoch_ns - r->player.start_ns) / 1e9,
                                 r->epochs.active);
}

/* An epoch for which no answer has come in time counts like the one before. */
int remote_end_epochs(struct remote *r)
{
    struct rill_player *p = &r->player;
    int rc = 0;

    while (rc == 0 && p->now_ns >= p->next_epoch_ns) {
        if (r->epochs.number != 0)
            rc = add_epoch(r);
        ask_controller(r, p->next_epoch_ns - RILL_PLAYER_EPOCH_NS);
        p->next_epoch_ns += RILL_PLAYER_EPOCH_NS;
    }
    return rc;
}

static struct remote_unit *unit_of(struct remote_epochs *epochs, uint32_t id)
{
    for (uint32_t i = 0; i < epochs->count; i++)
        if (epochs->units[i].id == id)
            return &epochs->units[i];
    if (epochs->count == RILL_BOOKS_ROLES_MAX)
        return NULL;
    epochs->units[epochs->count] = (struct remote_unit){.id = id};
    return &epochs->units[epochs->count++];
}

static void look_at_units(struct remote *r, const Control__Metrics *metrics)
{
    struct rill_report *report = r->player.report;

    r->epochs.active = (uint32_t)metrics->n_units;
    report->units_active_max = RTE_MAX(report->units_active_max, r->epochs.active);
    for (size_t i = 0; i < metrics->n_units; i++) {
        struct remote_unit *unit = unit_of(&r->epochs, metrics->units[i]->unit);

        if (unit != NULL && metrics->units[i]->utilization > unit->utilization_max)
            unit->utilization_max = metrics->units[i]->utilization;
    }
}

void remote_look_at_units(struct remote *r)
{
    for (uint32_t i = 0; i < r->roles.count; i++) {
        const struct remote_role *role = &r->roles.list[i];

        if (role->id == r->controller && role->now != NULL)
            look_at_units(r, role->now->metrics);
    }
}

bool remote_on_epoch(struct remote *r, const Control__Message *message)
{
    if (r->epochs.number == 0 || message->number != r->epochs.number)
        return false;
    look_at_units(r, message->metrics);
    if (add_epoch(r) != 0)
        rill_error_set(&r->failure, -ENOMEM, "no memory for the report");
    return true;
}

/* --- what the roles counted ------------------------------------------------------------------ */

static int report_units(struct remote *r, const struct rill_books *books)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < books->count; i++) {
        const struct rill_books_role *role = &books->roles[i];
        struct remote_unit *known = NULL;
        struct rill_report_unit unit;

        if (rill_role_kind(role->id) != RILL_ROLE_UNIT)
            continue;
        known = unit_of(&r->epochs, role->id);
        unit = (struct rill_report_unit){
            .id = rill_role_number(role->id),
            .packets = rill_books_counter(books, role->id, "unit.packets_processed"),
            .utilization_max = known != NULL ? known->utilization_max : 0};
        rc = rill_report_add_unit(r->player.report, &unit);
    }
    return rc;
}

static void report_flows(struct rill_report *report, const struct rill_books *books)
{
    report->flows = rill_books_counter(books, 0, "controller.flows");
    report->flowlets = rill_books_counter(books, 0, "controller.flowlets");
    report->flowlets_moved = rill_books_counter(books, 0, "controller.flowlets_moved");
    report->moves_by_gap = rill_books_counter(books, 0, "controller.moves_by_gap");
    report->moves_by_size = rill_books_counter(books, 0, "controller.moves_by_size");
    report->moves_by_period = rill_books_counter(books, 0, "controller.moves_by_period");
    report->overloads = rill_books_counter(books, 0, "controller.overloads");
    report->flowlets_seamless = rill_books_counter(books, 0, "unit.moved_in_seamless");
    report->seamless_by_gap = rill_books_counter(books, 0, "unit.moved_in_seamless_by_gap");
    report->state_pushes = rill_books_counter(books, 0, "unit.state_pushes");
    report->recoveries = rill_books_counter(books, 0, "unit.recovered_from_replica") +
                         rill_books_counter(books, 0, "unit.recovered_from_logger");
    report->state_pulls = rill_books_counter(books, 0, "unit.pulls_answered");
    report->flowlets_stalled =
        report->flowlets_moved - RTE_MIN(report->flowlets_moved, report->flowlets_seamless);
}

static int report_self(struct remote *r)
{
    const struct rill_fabric_counters *n = &r->fabric->counters;
    struct rill_report *report = r->player.report;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {{"fabric.sent", n->sent},
                    {"fabric.delivered", n->delivered},
                    {"replayer.released_twice", r->released_twice},
                    {"replayer.unexpected", r->unexpected}},
      drops[] = {{"fabric_full", n->full_packets},
                 {"fabric_no_route", n->no_route_packets},
                 {"fabric_lost", n->lost_packets}};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < RTE_DIM(counters); i++)
        rc = rill_tally_add(&report->counters, counters[i].name, counters[i].value);
    for (size_t i = 0; rc == 0 && i < RTE_DIM(drops); i++)
        if (drops[i].value > 0)
            rc = rill_tally_add(&report->packets_dropped, drops[i].name, drops[i].value);
    return rc;
}

/* What a role that died had counted, it took along; what it had held, too. Both are missing in the
 * books: so they are one drop, and what was released twice can't hide in it. */
static int report_deaths(struct remote *r, const struct rill_books *books)
{
    struct rill_report *report = r->player.report;
    uint64_t known = report->packets_released - r->released_twice +
                     rill_tally_total(&report->packets_dropped) + rill_books_held(books);

    report->packets_in_flight = rill_books_held(books);
    if (report->packets_in <= known)
        return 0;
    return rill_tally_add(&report->packets_dropped, "died_with_role", report->packets_in - known);
}

/* One line, on stderr and in the report. */
static int report_failure(struct remote *r)
{
    char line[3 * REMOTE_NAMES_BYTES];
    const struct remote_roles *roles = &r->roles;

    if (roles->died == 0 && !r->detached)
        return 0;
    snprintf(line, sizeof(line), "%sended during the replay, with what they had counted: %s%s%s",
             r->detached ? "the deployment and its roles " : "roles ", roles->died_names,
             roles->failures[0] != '\0' ? ": " : "", roles->failures);
    fprintf(stderr, "rill replay: %s\n", line);
    return rill_report_text(&r->player.report->failure, line);
}

int remote_report(struct remote *r, struct rill_error *err)
{
    struct rill_books_role roles[RILL_BOOKS_ROLES_MAX];
    struct rill_books books = remote_books(r, roles);
    struct rill_report *report = r->player.report;
    int64_t in_flight = rill_books_in_flight(&books);
    int rc = rill_books_tally(&books, report);

    remote_look_at_units(r);
    if (rc == 0)
        rc = report_units(r, &books);
    report_flows(report, &books);
    if (rc == 0)
        rc = report_self(r);
    if (rc == 0)
        rc = rill_player_report(&r->player, r->settings, r->attached->attached->facts->nf);
    if (rc == 0)
        rc = rill_report_text(&report->cluster, r->place.name);
    if (rc == 0)
        rc = rill_report_text(&report->deployment, r->attached->attached->deployment);
    report->packets_in_flight = in_flight > 0 ? (uint64_t)in_flight : 0;
    if (rc == 0 && r->roles.died > 0)
        rc = report_deaths(r, &books);
    if (rc == 0)
        rc = remote_report_fails(r, &books);
    if (rc == 0)
        rc = report_failure(r);
    return rc == 0 ? 0 : rill_error_set(err, -ENOMEM, "no memory for the report");
}
