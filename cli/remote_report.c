#include <errno.h>
#include <string.h>

#include "cli/remote_run.h"

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
        known = remote_unit_of(r, role->id);
        unit = (struct rill_report_unit){
            .id = rill_role_number(role->id),
            .packets = rill_books_counter(books, role->id, "unit.packets_processed"),
            .utilization_max = known != NULL ? known->utilization_max : 0};
        rc = rill_report_add_unit(r->player.report, &unit);
    }
    return rc;
}

static void report_flows(const struct remote *r, const struct rill_books *books)
{
    struct rill_report *report = r->player.report;

    report->flows = remote_controllers_counted(r, "controller.flows");
    report->flowlets = remote_controllers_counted(r, "controller.flowlets");
    report->flowlets_moved = remote_controllers_counted(r, "controller.flowlets_moved");
    report->moves_by_gap = remote_controllers_counted(r, "controller.moves_by_gap");
    report->moves_by_size = remote_controllers_counted(r, "controller.moves_by_size");
    report->moves_by_period = remote_controllers_counted(r, "controller.moves_by_period");
    report->overloads = remote_controllers_counted(r, "controller.overloads");
    report->flowlets_seamless = rill_books_counter(books, 0, "unit.moved_in_seamless");
    report->seamless_by_gap = rill_books_counter(books, 0, "unit.moved_in_seamless_by_gap");
    report->state_pushes = rill_books_counter(books, 0, "unit.state_pushes");
    report->recoveries = rill_books_counter(books, 0, "unit.recovered_from_replica") +
                         rill_books_counter(books, 0, "unit.recovered_from_logger");
    report->state_pulls = rill_books_counter(books, 0, "unit.pulls_answered");
    report->packets_turned = rill_books_counter(books, 0, "output_logger.packets_turned");
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
    report_flows(r, &books);
    if (rc == 0)
        rc = remote_report_controllers(r);
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
