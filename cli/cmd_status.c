#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/remote_books.h"
#include "cli/status_objects.h"
#include "lib/base/epoch.h"
#include "lib/base/role_name.h"

enum { ANSWER_MS = 5000 };

struct request {
    struct rill_place place; /* first: see place.h */
    bool json, counters;
};

static int take_json(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct request *)target)->json = true;
    return 0;
}

static int take_counters(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct request *)target)->counters = true;
    return 0;
}

static const struct rill_arg table[] = {
    RILL_PLACE_ARGS,
    {"json", NULL, "print it as JSON", false, NULL, take_json},
    {"counters", NULL, "ask all roles of deployments what they counted, too; sums by kind of role",
     false, NULL, take_counters},
    {0},
};

static int help(void)
{
    puts("usage: rill status [OPTION...]\n"
         "\n"
         "Shows a cluster: its machines, its deployments, its roles, and what failed.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

#define NAME(id) rill_role_name((id), (char[RILL_ROLE_NAME_BYTES]){""})
#define TIME(ns) rill_format_ns((char[RILL_FORMAT_BYTES]){""}, (ns))
#define AGE(ns) format_age((char[RILL_FORMAT_BYTES]){""}, (ns))

/* "42 s", "7 min", "3 h", "12 days" */
static const char *format_age(char *buf, uint64_t ns)
{
    unsigned long long s = ns / UINT64_C(1000000000);

    if (s < 120)
        snprintf(buf, RILL_FORMAT_BYTES, "%llu s", s);
    else if (s < 7200)
        snprintf(buf, RILL_FORMAT_BYTES, "%llu min", s / 60);
    else if (s < 172800)
        snprintf(buf, RILL_FORMAT_BYTES, "%llu h", s / 3600);
    else
        snprintf(buf, RILL_FORMAT_BYTES, "%llu days", s / 86400);
    return buf;
}

static const char *machine_of(const Control__Status *s, uint32_t agent)
{
    for (size_t i = 0; i < s->n_machines; i++)
        if (s->machines[i]->agent == agent)
            return s->machines[i]->name;
    return "?";
}

static const char *deployment_of(const Control__Status *s, uint32_t vni)
{
    for (size_t i = 0; vni != 0 && i < s->n_deployments; i++)
        if (s->deployments[i]->vni == vni)
            return s->deployments[i]->name;
    return "";
}

/* --- for people ------------------------------------------------------------------------------ */

static void print_text(const char *before, const char *text)
{
    fputs(before, stdout);
    rill_format_name(stdout, text);
    putchar('\n');
}

static void print_machines(const Control__Status *s)
{
    for (size_t i = 0; i < s->n_machines; i++) {
        const Control__Machine *m = s->machines[i];

        printf("%-12s", i == 0 ? "machines" : "");
        rill_format_name(stdout, m->name);
        printf(": %s, %u processor%s, %.1f GB%s%s\n", NAME(m->agent), m->cpus,
               m->cpus == 1 ? "" : "s", (double)m->memory_bytes / 1e9,
               m->hugepages ? ", hugepages" : "", m->connected ? "" : ", NOT CONNECTED");
    }
    if (s->n_machines == 0)
        puts("machines    none has joined; see `rill logs agent`");
}

static void print_deployment(const Control__Deployment *d)
{
    printf("%-12s%s: %s on %u unit%s, %s, vni %u", "", d->name, d->nf, d->units,
           d->units == 1 ? "" : "s", d->state, d->vni);
    for (size_t i = 0; i < d->n_controllers; i++) {
        if (d->controllers[i] != 0)
            printf(", %s", NAME(d->controllers[i]));
        else if (d->n_controllers > 1)
            printf(", none in slot %zu", i);
    }
    if (d->deaths > 0)
        printf(", %u death%s so far", d->deaths, d->deaths == 1 ? "" : "s");
    if (d->client != 0)
        printf(", %s is attached", NAME(d->client));
    putchar('\n');
    if (d->inside_interface[0] != '\0')
        printf("%-14sinside %s, outside %s\n", "", d->inside_interface, d->outside_interface);
    if (d->failure[0] != '\0')
        print_text("              FAILED: ", d->failure);
    if (d->weaker_promise)
        printf("%-14spromise: weaker here: a unit and its output logger share a machine, so a "
               "packet's effect\n%-14ssurvives the death of a process, not of this machine\n",
               "", "");
}

static void print_deployments(const Control__Status *s)
{
    puts(s->n_deployments > 0 ? "deployments" : "deployments none");
    for (size_t i = 0; i < s->n_deployments; i++)
        print_deployment(s->deployments[i]);
}

static int name_columns(const Control__Status *s)
{
    size_t columns = strlen("DEPLOYMENT");

    for (size_t i = 0; i < s->n_deployments; i++)
        if (strlen(s->deployments[i]->name) > columns)
            columns = strlen(s->deployments[i]->name);
    return (int)columns;
}

static void print_role(const Control__Status *s, const Control__Role *r, int columns)
{
    char leased[16] = "";

    if ((rill_role_kind(r->role) == RILL_ROLE_UNIT || r->epoch != 0) && r->deployment != 0)
        snprintf(leased, sizeof(leased), "%u.%u%%", r->leased / 10, r->leased % 10);
    printf("%-12s%-18s %-10s %-*s %-18s %7s %7s   %s, %s", "", NAME(r->role), r->state, columns,
           deployment_of(s, r->deployment), r->partner != 0 ? NAME(r->partner) : "", leased,
           AGE(r->age_ns), TIME(r->start_ns), TIME(r->ready_ns));
    if (r->activation_ns > 0)
        printf(", %s", TIME(r->activation_ns));
    putchar('\n');
}

static void print_roles(const Control__Status *s)
{
    int columns = name_columns(s);

    if (s->n_roles == 0) {
        puts("roles       none");
        return;
    }
    printf("%-12s%-18s %-10s %-*s %-18s %7s %7s   %s\n", "roles", "ROLE", "STATE", columns,
           "DEPLOYMENT", "PARTNER", "LEASED", "AGE", "STARTED, READY, ACTIVATED IN");
    for (size_t i = 0; i < s->n_roles; i++)
        print_role(s, s->roles[i], columns);
}

static void print_failures(const Control__Status *s)
{
    puts(s->n_failures > 0 ? "failures    (newest last)" : "failures    none");
    for (size_t i = 0; i < s->n_failures; i++)
        print_text("            ", s->failures[i]);
}

static void print_tally(const char *title, const struct rill_tally *tally)
{
    char number[RILL_FORMAT_BYTES];
    bool any = false;

    for (size_t i = 0; i < tally->count; i++) {
        if (tally->entries[i].count == 0)
            continue;
        printf("%-12s%16s  ", any ? "" : title, rill_format_count(number, tally->entries[i].count));
        rill_format_name(stdout, tally->entries[i].name);
        putchar('\n');
        any = true;
    }
    if (!any)
        printf("%-12snone\n", title);
}

static void print_registry(const Control__Status *s)
{
    print_text("registry    ", s->registry);
    printf("%-12sresource manager %" PRIu64 " leads, %u stand%s by\n", "", s->rm_number,
           s->standbys, s->standbys == 1 ? "s" : "");
}

static void print_status(const Control__Status *s)
{
    printf("cluster '%s', rill %s, up for %s; %u of each kind kept warm%s\n", s->cluster,
           s->program, AGE(s->up_ns), s->warm_wanted, s->settled ? "" : ", some are on their way");
    print_registry(s);
    print_machines(s);
    print_deployments(s);
    print_roles(s);
    rill_status_print_objects(stdout, s);
    print_failures(s);
}

/* --- for programs ---------------------------------------------------------------------------- */

static void json_machines(struct rill_json *json, const Control__Status *s)
{
    rill_json_open(json, "machines", '[');
    for (size_t i = 0; i < s->n_machines; i++) {
        const Control__Machine *m = s->machines[i];

        rill_json_open(json, NULL, '{');
        rill_json_string(json, "name", m->name);
        rill_json_string(json, "agent", NAME(m->agent));
        rill_json_bool(json, "connected", m->connected);
        rill_json_u64(json, "cpus", m->cpus);
        rill_json_u64(json, "memory_bytes", m->memory_bytes);
        rill_json_bool(json, "hugepages", m->hugepages);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
}

/* By slot; null where there is none now. `controller`: the first. */
static void json_controllers(struct rill_json *json, const Control__Deployment *d)
{
    uint32_t first = d->n_controllers > 0 ? d->controllers[0] : 0;

    rill_json_string(json, "controller", first != 0 ? NAME(first) : NULL);
    rill_json_open(json, "controllers", '[');
    for (size_t i = 0; i < d->n_controllers; i++)
        rill_json_string(json, NULL, d->controllers[i] != 0 ? NAME(d->controllers[i]) : NULL);
    rill_json_close(json, ']');
}

static void json_deployment(struct rill_json *json, const Control__Deployment *d)
{
    rill_json_open(json, NULL, '{');
    rill_json_string(json, "name", d->name);
    rill_json_u64(json, "vni", d->vni);
    rill_json_string(json, "nf", d->nf);
    rill_json_string(json, "state", d->state);
    rill_json_u64(json, "units", d->units);
    json_controllers(json, d);
    rill_json_bool(json, "weaker_promise", d->weaker_promise);
    rill_json_u64(json, "deaths", d->deaths);
    rill_json_string(json, "inside_interface", d->inside_interface);
    rill_json_string(json, "outside_interface", d->outside_interface);
    rill_json_string(json, "failure", d->failure);
    rill_json_u64(json, "client", d->client);
    rill_json_close(json, '}');
}

static void json_role(struct rill_json *json, const Control__Status *s, const Control__Role *r)
{
    rill_json_open(json, NULL, '{');
    rill_json_string(json, "role", NAME(r->role));
    rill_json_string(json, "kind", rill_role_kind_name(rill_role_kind(r->role)));
    rill_json_u64(json, "id", r->role);
    rill_json_string(json, "machine", machine_of(s, r->agent));
    rill_json_string(json, "state", r->state);
    rill_json_string(json, "deployment",
                     r->deployment != 0 ? deployment_of(s, r->deployment) : NULL);
    rill_json_string(json, "partner", r->partner != 0 ? NAME(r->partner) : NULL);
    rill_json_u64(json, "start_ns", r->start_ns);
    rill_json_u64(json, "ready_ns", r->ready_ns);
    rill_json_u64(json, "activation_ns", r->activation_ns);
    rill_json_u64(json, "age_ns", r->age_ns);
    rill_json_u64(json, "leased_milli", r->leased);
    if (r->epoch != 0) {
        rill_json_u64(json, "slot", rill_epoch_slot((uint16_t)r->epoch));
        rill_json_u64(json, "incarnation", rill_epoch_incarnation((uint16_t)r->epoch));
    }
    if (rill_role_kind(r->role) == RILL_ROLE_UNIT)
        rill_status_json_objects(json, r->objects);
    rill_json_close(json, '}');
}

static void json_tally(struct rill_json *json, const char *key, const struct rill_tally *tally)
{
    rill_json_open(json, key, '{');
    for (size_t i = 0; i < tally->count; i++)
        rill_json_u64(json, tally->entries[i].name, tally->entries[i].count);
    rill_json_close(json, '}');
}

/* Deaths of roles that served a deployment; times of the RM's clock, 0: not, or not yet. */
static void json_failures(struct rill_json *json, const Control__Status *s)
{
    rill_json_open(json, "failure_list", '[');
    for (size_t i = 0; i < s->n_failure_list; i++) {
        const Control__Failure *f = s->failure_list[i];

        rill_json_open(json, NULL, '{');
        rill_json_string(json, "role", NAME(f->role));
        rill_json_bool(json, "hang", f->hang);
        rill_json_u64(json, "told_at_ns", f->told_ns);
        rill_json_u64(json, "detected_at_ns", f->detected_ns);
        rill_json_u64(json, "recovered_at_ns", f->recovered_ns);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
}

/* `counted` NULL: nobody was asked. */
static void json_status(const Control__Status *s, const struct rill_report *counted)
{
    struct rill_json json;

    rill_json_start(&json, stdout);
    rill_json_open(&json, NULL, '{');
    rill_json_string(&json, "cluster", s->cluster);
    rill_json_string(&json, "version", s->program);
    rill_json_u64(&json, "up_ns", s->up_ns);
    rill_json_bool(&json, "settled", s->settled);
    rill_json_u64(&json, "warm_wanted", s->warm_wanted);
    rill_json_string(&json, "registry", s->registry);
    rill_json_u64(&json, "rm_number", s->rm_number);
    rill_json_u64(&json, "standbys", s->standbys);
    json_machines(&json, s);
    rill_json_open(&json, "deployments", '[');
    for (size_t i = 0; i < s->n_deployments; i++)
        json_deployment(&json, s->deployments[i]);
    rill_json_close(&json, ']');
    rill_json_open(&json, "roles", '[');
    for (size_t i = 0; i < s->n_roles; i++)
        json_role(&json, s, s->roles[i]);
    rill_json_close(&json, ']');
    rill_json_open(&json, "failures", '[');
    for (size_t i = 0; i < s->n_failures; i++)
        rill_json_string(&json, NULL, s->failures[i]);
    rill_json_close(&json, ']');
    json_failures(&json, s);
    if (counted != NULL) {
        json_tally(&json, "counters", &counted->counters);
        json_tally(&json, "nf_counters", &counted->nf_counters);
    }
    rill_json_close(&json, '}');
}

/* --------------------------------------------------------------------------------------------- */

/* Adds what one role counted since it was activated. */
static int ask_role(struct rill_client *client, uint32_t id, struct rill_report *counted,
                    struct rill_error *err)
{
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;
    Control__Message m = rill_client_message_to(client, id), *answer = NULL;
    struct rill_books_role role = {.id = id};
    struct rill_books books = {.roles = &role, .count = 1};
    int rc;

    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
    rc = rill_client_ask(client, &m, ANSWER_MS, &answer, err);
    if (rc != 0)
        return rill_error_set(err, rc, "%s says nothing; see `rill status`, `rill logs %s`",
                              NAME(id), NAME(id));
    if (answer->body_case == CONTROL__MESSAGE__BODY_METRICS) {
        role.now = answer->metrics;
        if (rill_books_tally(&books, counted) != 0)
            rc = rill_error_set(err, -ENOMEM, "no memory for the counters");
    }
    rill_control_free(answer);
    return rc;
}

static int ask_all(struct rill_client *client, const Control__Status *s,
                   struct rill_report *counted, struct rill_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->n_roles; i++)
        if (s->roles[i]->deployment != 0 && strcmp(s->roles[i]->state, "active") == 0)
            rc = ask_role(client, s->roles[i]->role, counted, err);
    return rc;
}

static void show(const struct request *request, const Control__Status *s,
                 const struct rill_report *counted)
{
    if (request->json) {
        json_status(s, request->counters ? counted : NULL);
        return;
    }
    print_status(s);
    if (!request->counters)
        return;
    print_tally("counters", &counted->counters);
    print_tally("NFs' own", &counted->nf_counters);
}

static int status(struct request *request, struct rill_error *err)
{
    Control__StatusRequest body = CONTROL__STATUS_REQUEST__INIT;
    Control__Message m, *answer = NULL;
    struct rill_client *client = NULL;
    struct rill_report counted = {0}; /* of it, the counters */
    int rc = rill_place_resolve(&request->place, err);

    if (rc == 0)
        rc = rill_client_open(&request->place, &client, err);
    if (rc != 0)
        return rc;
    m = rill_client_message_to(client, 0);
    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &body);
    rc = rill_client_ask(client, &m, ANSWER_MS, &answer, err);
    if (rc == 0 && answer->body_case != CONTROL__MESSAGE__BODY_STATUS)
        rc = rill_error_set(err, -EPROTO, "the resource manager's answer is not understood");
    if (rc == 0 && request->counters)
        rc = ask_all(client, answer->status, &counted, err);
    if (rc == 0)
        show(request, answer->status, &counted);
    rill_report_fini(&counted);
    rill_control_free(answer);
    rill_client_close(client);
    return rc;
}

int rill_cmd_status(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {.table = table, .target = &request};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = status(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("status", err.text);
}
