/* --fail against a cluster: the resource manager is told when it is time, and its status says what
 * became of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/remote_run.h"

#define RECOVERY_MAX_NS UINT64_C(10000000000) /* is waited for, once the last packet is out */

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The N-th of its kind, the lowest id first; 0: there are not so many. */
static uint32_t nth(const uint32_t *roles, size_t count, uint32_t number)
{
    uint32_t sorted[RILL_BOOKS_ROLES_MAX];

    if (number > count || count > RILL_BOOKS_ROLES_MAX)
        return 0;
    memcpy(sorted, roles, count * sizeof(roles[0]));
    qsort(sorted, count, sizeof(sorted[0]), by_id);
    return sorted[number - 1];
}

static uint32_t role_of(const Control__Attached *a, const struct rill_fail *fail)
{
    switch (fail->kind) {
    case RILL_ROLE_UNIT:
        return nth(a->units, a->n_units, fail->number);
    case RILL_ROLE_OUTPUT_LOGGER:
        return nth(a->output_loggers, a->n_output_loggers, fail->number);
    default:
        return nth(a->controllers, a->n_controllers, fail->number);
    }
}

int remote_choose_fails(struct remote *r, struct rill_error *err)
{
    const struct rill_replay_options *o = r->options;

    for (uint32_t i = 0; i < o->fail_count; i++) {
        r->fails[i].role = role_of(r->attached->attached, &o->fails[i]);
        if (r->fails[i].role == 0)
            return rill_error_set(err, -EINVAL, "--fail '%s': deployment %s has not so many",
                                  o->fails[i].text, r->attached->attached->deployment);
    }
    return 0;
}

int remote_check_fails(const struct remote *r, struct rill_error *err)
{
    const struct rill_replay_options *o = r->options;
    uint64_t last_ns;

    if (o->fail_count == 0)
        return 0;
    last_ns = rill_player_last_due_ns(&r->player) - r->player.start_ns;
    for (uint32_t i = 0; i < o->fail_count; i++)
        if (o->fails[i].at_ns > last_ns)
            return rill_error_set(err, -EINVAL,
                                  "--fail '%s': the last packet goes in %.3f s after the first",
                                  o->fails[i].text, (double)last_ns / 1e9);
    return 0;
}

void remote_fail_due(struct remote *r)
{
    const struct rill_replay_options *o = r->options;

    while (r->fail_count < o->fail_count && !r->player.stopped &&
           r->player.start_ns + o->fails[r->fail_count].at_ns <= r->player.now_ns) {
        struct remote_failing *failing = &r->fails[r->fail_count++];
        Control__Fail body = CONTROL__FAIL__INIT;
        Control__Message m = rill_client_message_to(r->client, 0);

        body.role = failing->role;
        RILL_CONTROL_SET(&m, FAIL, fail, &body);
        failing->at_ns = r->player.now_ns;
        failing->number = rill_client_send(r->client, &m);
    }
}

bool remote_on_fail_answer(struct remote *r, const Control__Message *message)
{
    for (uint32_t i = 0; i < r->fail_count; i++) {
        if (r->fails[i].number == 0 || r->fails[i].number != message->number)
            continue;
        r->fails[i].number = 0;
        if (message->body_case == CONTROL__MESSAGE__BODY_ERROR) {
            r->fails[i].refused = true; /* it had gone by itself */
            fprintf(stderr, "rill replay: --fail '%s': %s\n", r->options->fails[i].text,
                    message->error->text);
        }
        return true;
    }
    return false;
}

void remote_note_failures(struct remote *r, const Control__Status *status)
{
    for (uint32_t i = 0; i < r->fail_count; i++)
        for (size_t j = 0; j < status->n_failure_list; j++)
            if (status->failure_list[j]->role == r->fails[i].role) {
                r->fails[i].told_ns = status->failure_list[j]->told_ns;
                r->fails[i].detected_ns = status->failure_list[j]->detected_ns;
                r->fails[i].recovered_ns = status->failure_list[j]->recovered_ns;
            }
}

bool remote_fails_settled(const struct remote *r)
{
    for (uint32_t i = 0; i < r->fail_count; i++)
        if (!r->fails[i].refused && r->fails[i].recovered_ns == 0 &&
            r->player.now_ns < r->fails[i].at_ns + RECOVERY_MAX_NS)
            return false;
    return true;
}

static int64_t since(uint64_t ns, uint64_t told_ns)
{
    return told_ns == 0 || ns < told_ns ? -1 : (int64_t)(ns - told_ns);
}

/* Roles are asked what they counted before and after the run: what belongs to which of several
 * failures is not known. */
int remote_report_fails(struct remote *r, const struct rill_books *books)
{
    struct rill_report *report = r->player.report;
    bool alone = r->fail_count == 1;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < r->fail_count; i++) {
        const struct rill_fail *fail = &r->options->fails[i];
        const struct remote_failing *f = &r->fails[i];
        struct rill_report_failure failure = {
            .id = rill_role_number(f->role),
            .at_s = (double)(f->at_ns - r->player.start_ns) / 1e9,
            .detected_after_ns = since(f->detected_ns, f->told_ns),
            .recovered_after_ns = since(f->recovered_ns, f->told_ns),
            .packets_lost = -1,
            .from_replica = -1,
            .from_output_logger = -1};

        if (alone) {
            failure.packets_lost =
                (int64_t)rill_tally_get(&report->packets_dropped, "died_with_role");
            failure.from_replica =
                (int64_t)rill_books_counter(books, 0, "unit.recovered_from_replica");
            failure.from_output_logger =
                (int64_t)rill_books_counter(books, 0, "unit.recovered_from_logger");
            if (fail->kind == RILL_ROLE_CONTROLLER)
                failure.inherited =
                    (int64_t)rill_books_counter(books, 0, "controller.flows_inherited");
        }
        snprintf(failure.role, sizeof(failure.role), "%s:%" PRIu32, rill_role_kind_name(fail->kind),
                 fail->number);
        rc = rill_report_add_failure(report, &failure);
    }
    return rc;
}
