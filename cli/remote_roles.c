#include <stdio.h>
#include <string.h>

#include "cli/remote_run.h"
#include "lib/base/role_name.h"

#define SECOND_NS UINT64_C(1000000000)

static struct remote_role *find(struct remote *r, uint32_t id)
{
    for (uint32_t i = 0; i < r->roles.count; i++)
        if (r->roles.list[i].id == id)
            return &r->roles.list[i];
    return NULL;
}

static void append(char *text, const char *separator, const char *more)
{
    size_t used = strlen(text);

    snprintf(text + used, REMOTE_NAMES_BYTES - used, "%s%s", used > 0 ? separator : "", more);
}

/* --- which roles there are: Status ----------------------------------------------------------- */

static const Control__Role *in_status(const Control__Status *status, uint32_t id)
{
    for (size_t i = 0; i < status->n_roles; i++)
        if (status->roles[i]->role == id)
            return status->roles[i];
    return NULL;
}

static bool is_alive(const Control__Role *role, uint32_t vni)
{
    return role != NULL && role->deployment == vni && strcmp(role->state, "active") == 0;
}

static void free_metrics(struct remote_role *role)
{
    if (role->now != role->before)
        rill_control_free(role->now);
    rill_control_free(role->before);
}

static void forget_role(struct remote *r, struct remote_role *role)
{
    char name[RILL_ROLE_NAME_BYTES];

    append(r->roles.died_names, ", ", rill_role_name(role->id, name));
    r->roles.died++;
    free_metrics(role);
    *role = r->roles.list[--r->roles.count];
}

static void add_role(struct remote *r, uint32_t id)
{
    if (r->roles.count == RILL_BOOKS_ROLES_MAX || find(r, id) != NULL)
        return;
    r->roles.list[r->roles.count++] = (struct remote_role){.id = id};
}

static bool has_line(const Control__Status *status, const char *line)
{
    for (size_t i = 0; i < status->n_failures; i++)
        if (strcmp(status->failures[i], line) == 0)
            return true;
    return false;
}

static void note_failures(struct remote *r, const Control__Status *status)
{
    r->roles.failures[0] = '\0';
    for (size_t i = 0; i < status->n_failures; i++)
        if (!has_line(r->roles.status->status, status->failures[i]))
            append(r->roles.failures, "; ", status->failures[i]);
}

/* Roles that came and went. */
static void update_roles(struct remote *r, const Control__Status *status)
{
    uint32_t vni = r->attached->attached->vni, died = r->roles.died, count;

    for (uint32_t i = r->roles.count; i-- > 0;)
        if (!is_alive(in_status(status, r->roles.list[i].id), vni))
            forget_role(r, &r->roles.list[i]);
    count = r->roles.count;
    for (size_t i = 0; i < status->n_roles; i++)
        if (is_alive(status->roles[i], vni))
            add_role(r, status->roles[i]->role);
    r->roles.asked_ns = rill_player_clock_ns();
    if (died == r->roles.died && count == r->roles.count)
        return;
    r->roles.asking = false; /* whoever was asked may be gone: the next round asks all */
    r->roles.still = false;
}

/* One that failed stays, with why; one that was ended has nobody left who could count. */
static void look_at_deployment(struct remote *r, const Control__Status *status)
{
    uint32_t vni = r->attached->attached->vni;

    for (size_t i = 0; i < status->n_deployments; i++)
        if (status->deployments[i]->vni == vni &&
            strcmp(status->deployments[i]->state, "stopping") != 0)
            return;
    rill_error_set(&r->failure, -ECONNRESET,
                   "the deployment was ended (rill undeploy) during the replay");
}

void remote_on_status(struct remote *r, const Control__Message *message)
{
    const Control__Status *status = message->status;

    if (message->number != r->roles.status_number)
        return;
    r->roles.status_number = 0;
    look_at_deployment(r, status);
    update_roles(r, status);
    note_failures(r, status);
    remote_note_failures(r, status);
    r->roles.known = true;
}

void remote_look_at_roles(struct remote *r)
{
    Control__StatusRequest body = CONTROL__STATUS_REQUEST__INIT;
    Control__Message m = rill_client_message_to(r->client, 0);

    if (r->attached == NULL || !r->roles.status_wanted || r->roles.status_number != 0)
        return;
    r->roles.status_wanted = false;
    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &body);
    r->roles.status_number = rill_client_send(r->client, &m);
}

/* --- what they counted: Metrics -------------------------------------------------------------- */

static bool packets_moved(const Control__Message *before, const Control__Message *now)
{
    const Control__Metrics *a = before != NULL ? before->metrics : NULL, *b = now->metrics;

    return a == NULL || a->packets_held != b->packets_held ||
           a->packets_sent_off != b->packets_sent_off || a->packets_taken_in != b->packets_taken_in;
}

void remote_on_metrics(struct remote *r, const Control__Message *message)
{
    struct remote_role *role = find(r, message->from);
    Control__Message *now;

    if (role == NULL || role->asked == 0 || message->number != role->asked)
        return;
    now = rill_client_copy(message);
    if (now == NULL)
        return;
    remote_controller_says(r, message);
    role->asked = 0;
    r->roles.moved |= packets_moved(role->now, now);
    if (role->now != role->before)
        rill_control_free(role->now);
    role->now = now;
    for (uint32_t i = 0; i < r->roles.count; i++)
        if (r->roles.list[i].asked != 0)
            return;
    r->roles.asking = false;
    r->roles.still = !r->roles.moved;
    r->roles.rounds++;
}

void remote_ask_roles(struct remote *r)
{
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;
    uint64_t now_ns = rill_player_clock_ns();

    if (r->roles.asking) {
        /* A role that does not answer is dead, or about to be. */
        if (now_ns - r->roles.asked_ns > SECOND_NS)
            r->roles.status_wanted = true;
        return;
    }
    if (!r->roles.known)
        return;
    if (r->roles.count == 0) { /* all have answered */
        r->roles.still = true;
        r->roles.rounds++;
        return;
    }
    r->roles.asking = true;
    r->roles.asked_ns = now_ns;
    r->roles.moved = false;
    for (uint32_t i = 0; i < r->roles.count; i++) {
        Control__Message m = rill_client_message_to(r->client, r->roles.list[i].id);

        RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
        r->roles.list[i].asked = rill_client_send(r->client, &m);
    }
}

bool remote_is_there(const struct remote *r, uint32_t role)
{
    for (uint32_t i = 0; i < r->roles.count; i++)
        if (r->roles.list[i].id == role)
            return true;
    return false;
}

const Control__Metrics *remote_metrics_of(const struct remote *r, uint32_t role)
{
    for (uint32_t i = 0; i < r->roles.count; i++)
        if (r->roles.list[i].id == role && r->roles.list[i].now != NULL)
            return r->roles.list[i].now->metrics;
    return NULL;
}

void remote_begin_books(struct remote *r)
{
    remote_begin_controllers(r);
    for (uint32_t i = 0; i < r->roles.count; i++)
        r->roles.list[i].before = r->roles.list[i].now;
}

struct rill_books remote_books(const struct remote *r,
                               struct rill_books_role roles[RILL_BOOKS_ROLES_MAX])
{
    struct rill_books books = {.roles = roles, .count = r->roles.count};

    for (uint32_t i = 0; i < r->roles.count; i++) {
        const struct remote_role *role = &r->roles.list[i];

        roles[i] =
            (struct rill_books_role){.id = role->id,
                                     .before = role->before != NULL ? role->before->metrics : NULL,
                                     .now = role->now != NULL ? role->now->metrics : NULL};
    }
    books.self.held = remote_early(r);
    if (r->fabric != NULL)
        books.self = (struct rill_books_self){.held = books.self.held +
                                                      r->fabric->ops->packets_in_flight(r->fabric),
                                              .sent_off = r->fabric->counters.handed_over_packets,
                                              .taken_in = r->fabric->counters.taken_over_packets};
    return books;
}

void remote_roles_fini(struct remote *r)
{
    for (uint32_t i = 0; i < r->roles.count; i++)
        free_metrics(&r->roles.list[i]);
    rill_control_free(r->roles.status);
}
