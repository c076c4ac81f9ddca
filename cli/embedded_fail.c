/* --fail: roles that end during the run, and what takes their place. The resource manager notices
 * at once, as by a container's exit, and what takes their place is there at once, as from a warm
 * pool. */
#include <errno.h>
#include <inttypes.h>

#include "cli/embedded_run.h"

#define RECOVERY_MAX_NS UINT64_C(2000000000) /* is waited for, once the last packet is out */

static const struct rill_fail *asked(const struct run *r, uint32_t i)
{
    return &r->options->fails[i];
}

static uint64_t time_of(const struct run *r, uint32_t i)
{
    return r->player.start_ns + asked(r, i)->at_ns;
}

int embedded_check_fails(const struct run *r, struct rill_error *err)
{
    uint64_t last_ns;

    if (r->options->fail_count == 0)
        return 0;
    last_ns = rill_player_last_due_ns(&r->player);
    for (uint32_t i = 0; i < r->options->fail_count; i++)
        if (time_of(r, i) > last_ns)
            return rill_error_set(err, -EINVAL,
                                  "--fail '%s': the last packet goes in %.3f s after the first",
                                  asked(r, i)->text, (double)(last_ns - r->player.start_ns) / 1e9);
    return 0;
}

/* What all units have taken over so far. */
static void count_recovered(const struct run *r, uint64_t *from_replica, uint64_t *from_logger)
{
    *from_replica = *from_logger = 0;
    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++) {
        const struct rill_unit_counters *n = rill_cluster_unit_counters(r->cluster, i);

        *from_replica += n->recovered_from_replica;
        *from_logger += n->recovered_from_logger;
    }
}

static int fail_unit(struct run *r, uint32_t unit, struct rill_error *err)
{
    rill_cluster_unit_crash(r->cluster, unit);
    rill_cluster_unit_declare(r->cluster, unit, r->player.now_ns);
    return rill_cluster_replace_unit(r->cluster, unit, err);
}

static int fail_logger(struct run *r, uint32_t number, struct rill_error *err)
{
    uint32_t unit = rill_cluster_unit_of_logger(r->cluster, number);

    rill_cluster_logger_crash(r->cluster, number);
    if (rill_cluster_unit(r->cluster, unit) != NULL)
        return rill_cluster_replace_logger(r->cluster, unit, r->player.now_ns, err);
    rill_cluster_logger_declare(r->cluster, number, r->player.now_ns);
    return 0;
}

/* It knows nothing yet: what comes in meanwhile is dropped. */
static int fail_controller(struct run *r, struct failing *failing, uint32_t number,
                           struct rill_error *err)
{
    failing->was_gone = rill_cluster_controller_at(r->cluster, number - 1) == NULL;
    if (failing->was_gone)
        return 0;
    failing->next = rill_cluster_controller_count(r->cluster);
    rill_cluster_controller_crash(r->cluster, number - 1);
    return rill_cluster_take_over(r->cluster, number - 1, err);
}

static int let_fail(struct run *r, struct failing *failing, const struct rill_fail *fail,
                    struct rill_error *err)
{
    failing->at_ns = r->player.now_ns;
    failing->unit = fail->number - 1;
    count_recovered(r, &failing->before.from_replica, &failing->before.from_logger);
    if (fail->kind == RILL_ROLE_UNIT)
        return fail_unit(r, failing->unit, err);
    if (fail->kind == RILL_ROLE_CONTROLLER)
        return fail_controller(r, failing, fail->number, err);
    /* A dead unit's output logger goes when nobody needs it any more. */
    failing->was_gone = rill_cluster_output_logger(r->cluster, fail->number) == NULL;
    failing->unit = rill_cluster_unit_of_logger(r->cluster, fail->number);
    return failing->was_gone ? 0 : fail_logger(r, fail->number, err);
}

int embedded_fail_due(struct run *r, struct rill_error *err)
{
    int rc = 0;

    while (rc == 0 && embedded_next_fail_ns(r) <= r->player.now_ns) {
        rc = let_fail(r, &r->fails[r->fail_count], asked(r, r->fail_count), err);
        r->fail_count++;
    }
    return rc;
}

uint64_t embedded_next_fail_ns(const struct run *r)
{
    if (r->fail_count == r->options->fail_count || r->player.stopped)
        return UINT64_MAX;
    return time_of(r, r->fail_count);
}

/* A controller's death is over when the next one knows its flows. A unit's death, or that of its
 * output logger, is over when all its flows can go on. */
static bool has_recovered(const struct run *r, uint32_t i)
{
    const struct failing *failing = &r->fails[i];

    if (asked(r, i)->kind == RILL_ROLE_CONTROLLER) {
        const struct rill_controller *next = rill_cluster_controller_at(r->cluster, failing->next);

        return next != NULL && !rill_controller_taking_over(next);
    }
    if (rill_cluster_unit(r->cluster, failing->unit) == NULL)
        return rill_cluster_unit_recovered(r->cluster, failing->unit);
    return rill_cluster_logger_filled(r->cluster, failing->unit);
}

void embedded_watch_fails(struct run *r)
{
    for (uint32_t i = 0; i < r->fail_count; i++) {
        struct failing *failing = &r->fails[i];

        if (failing->recovered_ns != 0 || failing->was_gone || !has_recovered(r, i))
            continue;
        failing->recovered_ns = r->player.now_ns;
        count_recovered(r, &failing->after.from_replica, &failing->after.from_logger);
    }
}

bool embedded_fails_settled(const struct run *r)
{
    for (uint32_t i = 0; i < r->fail_count; i++)
        if (r->fails[i].recovered_ns == 0 && !r->fails[i].was_gone &&
            r->player.now_ns < r->fails[i].at_ns + RECOVERY_MAX_NS)
            return false;
    return true;
}

static uint64_t packets_lost(const struct run *r, const struct failing *failing,
                             const struct rill_fail *fail)
{
    if (failing->was_gone)
        return 0;
    if (fail->kind == RILL_ROLE_CONTROLLER)
        return rill_cluster_controller_packets_lost(r->cluster, fail->number - 1) +
               rill_cluster_controller_counters(r->cluster, failing->next)->dropped_takeover;
    if (fail->kind == RILL_ROLE_UNIT)
        return rill_cluster_unit_packets_lost(r->cluster, failing->unit);
    return rill_cluster_logger_packets_lost(r->cluster, fail->number);
}

int embedded_report_fails(struct run *r)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < r->fail_count; i++) {
        struct failing *f = &r->fails[i];
        struct rill_report_failure failure = {
            .id = asked(r, i)->number,
            .at_s = (double)(f->at_ns - r->player.start_ns) / 1e9,
            .detected_after_ns = f->was_gone ? -1 : 0,
            .recovered_after_ns = f->recovered_ns == 0 ? -1 : (int64_t)(f->recovered_ns - f->at_ns),
            .packets_lost = (int64_t)packets_lost(r, f, asked(r, i))};

        if (f->recovered_ns == 0)
            count_recovered(r, &f->after.from_replica, &f->after.from_logger);
        if (asked(r, i)->kind == RILL_ROLE_CONTROLLER && !f->was_gone)
            failure.inherited =
                (int64_t)rill_cluster_controller_counters(r->cluster, f->next)->flows_inherited;
        failure.from_replica = (int64_t)(f->after.from_replica - f->before.from_replica);
        failure.from_output_logger = (int64_t)(f->after.from_logger - f->before.from_logger);
        snprintf(failure.role, sizeof(failure.role), "%s:%" PRIu32,
                 rill_role_kind_name(asked(r, i)->kind), asked(r, i)->number);
        rc = rill_report_add_failure(r->player.report, &failure);
    }
    return rc;
}
