/* What units did, for billing: each is asked once per interval, and its output logger, too; who is
 * stopped says it a last time. A unit that died is billed for what its output loggers saw of it:
 * what it did beyond that never left, and is booked as died with it. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/role_name.h"
#include "lib/config/settings.h"
#include "rm/director_internal.h"

/* Answers to a question are there long before, unless the machine is very busy. */
#define ANSWER_NS UINT64_C(200000000)

/* A unit, from when it is first leased until nothing more can be known of it. */
struct dir_bill {
    uint32_t unit, vni;
    uint32_t logger; /* the present one */
    char deployment[DIR_NAME_MAX + 1];
    struct rill_usage_counts now, recorded;
    uint64_t loggers_packets, loggers_bytes; /* that the loggers before the present one saw */
    uint64_t logger_packets, logger_bytes;   /* and that one */
    uint64_t milli_ns;                       /* leased, thousandths times ns ... */
    uint64_t since_ns;                       /* ... up to then */
    uint32_t share;
    uint64_t begin_ns; /* of the record to come */
};

static void name_of(const struct dir_bill *bill, char *name, size_t bytes)
{
    snprintf(name, bytes, "%s:%u", rill_role_kind_name(RILL_ROLE_UNIT),
             rill_role_number(bill->unit));
}

/* --- the table -------------------------------------------------------------------------------- */

void dir_usage_free(struct rill_director *d)
{
    free(d->bills);
}

static struct dir_bill *bill_of(struct rill_director *d, uint32_t unit)
{
    for (uint32_t i = 0; i < d->bill_count; i++)
        if (d->bills[i].unit == unit)
            return &d->bills[i];
    return NULL;
}

/* What the director before this one had recorded is not recorded again. */
static void go_on(struct rill_director *d, struct dir_bill *bill)
{
    char role[RILL_USAGE_NAME_BYTES];

    name_of(bill, role, sizeof(role));
    if (d->config.usage_before == NULL ||
        !d->config.usage_before(d->config.arg, bill->deployment, role, &bill->recorded,
                                &bill->begin_ns))
        return;
    bill->now = bill->recorded;
    bill->milli_ns = bill->recorded.unit_ns * 1000;
}

static void add_bill(struct rill_director *d, const struct dir_deployment *dep, uint32_t unit)
{
    uint32_t room = d->bill_room ? d->bill_room * 2 : 64;
    struct dir_bill *bill;

    if (d->bill_count == d->bill_room) {
        d->bills = realloc(d->bills, room * sizeof(d->bills[0]));
        if (d->bills == NULL)
            abort(); /* bounded by the roles: some hundred kilobytes */
        d->bill_room = room;
    }
    bill = &d->bills[d->bill_count++];
    *bill = (struct dir_bill){
        .unit = unit, .vni = dep->vni, .since_ns = d->now_ns, .begin_ns = d->now_ns};
    snprintf(bill->deployment, sizeof(bill->deployment), "%s", dep->spec->name);
    go_on(d, bill);
}

/* Counters only rise: what is less is of a message that was overtaken. */
static void raise(uint64_t *to, uint64_t value)
{
    *to = RTE_MAX(*to, value);
}

/* --- records ---------------------------------------------------------------------------------- */

/* What was seen of it after it had told the last time was done, too. */
static void close_books(struct dir_bill *bill)
{
    struct rill_usage_counts *now = &bill->now;

    now->packets = RTE_MAX(now->packets, now->packets_out);
    now->bytes = RTE_MAX(now->bytes, now->bytes_out);
    now->packets_in = RTE_MAX(now->packets_in, now->packets);
    now->bytes_in = RTE_MAX(now->bytes_in, now->bytes);
    now->packets_died = now->packets - now->packets_out;
    now->bytes_died = now->bytes - now->bytes_out;
}

static void record(struct rill_director *d, struct dir_bill *bill, bool final)
{
    struct rill_usage_record r = {.start_ns = bill->begin_ns, .end_ns = d->now_ns, .final = final};

    bill->now.unit_ns = bill->milli_ns / 1000;
    raise(&bill->now.packets_out, bill->loggers_packets + bill->logger_packets);
    raise(&bill->now.bytes_out, bill->loggers_bytes + bill->logger_bytes);
    if (final)
        close_books(bill);
    r.counts = rill_usage_since(&bill->now, &bill->recorded);
    if (!final && rill_usage_is_zero(&r.counts))
        return;
    snprintf(r.deployment, sizeof(r.deployment), "%s", bill->deployment);
    name_of(bill, r.role, sizeof(r.role));
    bill->recorded = bill->now;
    bill->begin_ns = d->now_ns;
    d->config.usage(d->config.arg, &r);
}

/* Nobody is left who could say more of it. */
static bool is_over(const struct rill_director *d, const struct dir_bill *bill)
{
    return dir_role(d, bill->unit) == NULL && dir_role(d, bill->logger) == NULL;
}

static void record_all(struct rill_director *d, uint32_t vni)
{
    for (uint32_t i = 0; i < d->bill_count; i++)
        if (d->bills[i].vni == vni)
            record(d, &d->bills[i], false);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(struct rill_director *d, uint32_t role)
{
    Control__Message m = rill_control_message(d->config.id, role, ++d->next_request);
    Control__MetricsRequest body = CONTROL__METRICS_REQUEST__INIT;

    RILL_CONTROL_SET(&m, METRICS_REQUEST, metrics_request, &body);
    if (dir_role(d, role) != NULL && dir_role(d, role)->state == DIR_ACTIVE)
        dir_send(d, &m);
}

static void ask_all(struct rill_director *d, uint32_t vni)
{
    for (uint32_t i = 0; i < d->bill_count; i++) {
        if (d->bills[i].vni != vni)
            continue;
        ask(d, d->bills[i].unit);
        ask(d, d->bills[i].logger);
    }
}

static uint64_t counter(const Control__Metrics *metrics, const char *name)
{
    for (size_t i = 0; i < metrics->n_counters; i++)
        if (strcmp(metrics->counters[i]->name, name) == 0)
            return metrics->counters[i]->value;
    return 0;
}

static void unit_says(struct dir_bill *bill, const Control__Metrics *m)
{
    raise(&bill->now.packets_in, counter(m, "unit.packets_in"));
    raise(&bill->now.bytes_in, counter(m, "unit.bytes_in"));
    raise(&bill->now.packets, counter(m, "unit.packets_processed"));
    raise(&bill->now.bytes, counter(m, "unit.bytes_processed"));
    raise(&bill->now.cpu_ns, counter(m, "process.cpu_ns"));
}

static void logger_says(struct dir_bill *bill, const Control__Metrics *m)
{
    raise(&bill->logger_packets, counter(m, "output_logger.packets_released") -
                                     counter(m, "output_logger.packets_passed") +
                                     counter(m, "output_logger.packets_ended_by_nf"));
    raise(&bill->logger_bytes, counter(m, "output_logger.bytes_released") -
                                   counter(m, "output_logger.bytes_passed") +
                                   counter(m, "output_logger.bytes_ended_by_nf"));
}

void dir_usage_said(struct rill_director *d, const struct dir_role *role,
                    const Control__Metrics *metrics)
{
    struct dir_bill *bill = bill_of(d, role->id);

    if (bill != NULL) {
        unit_says(bill, metrics);
        return;
    }
    for (uint32_t i = 0; i < d->bill_count; i++)
        if (d->bills[i].logger == role->id)
            logger_says(&d->bills[i], metrics);
}

/* --- what changes ----------------------------------------------------------------------------- */

static void note_logger(struct dir_bill *bill, uint32_t logger)
{
    if (logger == 0 || logger == bill->logger)
        return;
    bill->loggers_packets += bill->logger_packets;
    bill->loggers_bytes += bill->logger_bytes;
    bill->logger_packets = bill->logger_bytes = 0;
    bill->logger = logger;
}

static void note_deployment(struct rill_director *d, const struct dir_deployment *dep)
{
    for (uint32_t i = 0; dir_is_up(dep) && i < dep->spec->units; i++) {
        const struct dir_pair *pair = &dep->pairs[i];

        if (pair->leasable && bill_of(d, pair->unit) == NULL)
            add_bill(d, dep, pair->unit);
        if (pair->leasable)
            note_logger(bill_of(d, pair->unit), pair->output_logger);
    }
}

void dir_settle_usage(struct rill_director *d)
{
    if (d->config.usage == NULL)
        return;
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni != 0)
            note_deployment(d, &d->deployments[i]);
    for (uint32_t i = 0; i < d->bill_count;) {
        struct dir_bill *bill = &d->bills[i];
        const struct dir_deployment *dep = dir_deployment(d, bill->vni);

        bill->milli_ns += bill->share * (d->now_ns - bill->since_ns);
        bill->since_ns = d->now_ns;
        bill->share = dep != NULL && dir_is_up(dep) ? dir_leased(dep, bill->unit) : 0;
        if (!is_over(d, bill)) {
            i++;
            continue;
        }
        record(d, bill, true);
        *bill = d->bills[--d->bill_count];
    }
}

/* --- time ------------------------------------------------------------------------------------- */

/* All at an interval's end: they are asked, and a little later it is written what they said. */
static void tick(struct rill_director *d, struct dir_deployment *dep)
{
    if (dep->usage_write_ns != 0 && d->now_ns >= dep->usage_write_ns) {
        dep->usage_write_ns = 0;
        record_all(d, dep->vni);
    }
    if (d->now_ns < dep->usage_ask_ns)
        return;
    dep->usage_ask_ns = d->now_ns + rill_setting_ms(dep->settings, "usage_interval_ms");
    dep->usage_write_ns = d->now_ns + RTE_MIN(ANSWER_NS, (dep->usage_ask_ns - d->now_ns) / 2);
    ask_all(d, dep->vni);
}

static bool is_billed(const struct rill_director *d, const struct dir_deployment *dep)
{
    return d->config.usage != NULL && dep->vni != 0 && dep->state == DIR_RUNNING;
}

void dir_usage_tick(struct rill_director *d)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (is_billed(d, &d->deployments[i]))
            tick(d, &d->deployments[i]);
}

uint64_t dir_usage_next_ns(const struct rill_director *d)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        const struct dir_deployment *dep = &d->deployments[i];

        if (!is_billed(d, dep))
            continue;
        next_ns = RTE_MIN(next_ns, dep->usage_ask_ns);
        if (dep->usage_write_ns != 0)
            next_ns = RTE_MIN(next_ns, dep->usage_write_ns);
    }
    return next_ns;
}

/* The cluster ends: nothing more will be heard. */
void dir_usage_end(struct rill_director *d)
{
    while (d->config.usage != NULL && d->bill_count > 0)
        record(d, &d->bills[--d->bill_count], true);
}
