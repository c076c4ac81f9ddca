/* What a role counted, as a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/daemon/role_internal.h"

enum { NAME_BYTES = 128 };

struct counter {
    Control__Counter base;
    char name[NAME_BYTES];
};

struct counters {
    Control__Counter **items;
    size_t count, capacity;
};

struct rill_role_metrics {
    struct counters counters, nf_counters;
    Control__UnitLoad **units;
    size_t unit_count, unit_capacity;
    uint64_t held;
};

/* --- lists: running out of memory for a few kilobytes aborts, as an outbox does --------------- */

static void *or_abort(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void **grow(void **items, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 128;
    return or_abort(realloc(items, *capacity * sizeof(items[0])));
}

/* Names may be an NF's: a control character would make the whole message unreadable. */
static void add(struct counters *list, const char *prefix, const char *name, uint64_t value)
{
    struct counter *counter = or_abort(malloc(sizeof(*counter)));

    snprintf(counter->name, sizeof(counter->name), "%.40s%.80s", prefix, name);
    rill_daemon_clean(counter->name);
    control__counter__init(&counter->base);
    counter->base.name = counter->name;
    counter->base.value = value;
    list->items = (Control__Counter **)grow((void **)list->items, list->count, &list->capacity);
    list->items[list->count++] = &counter->base;
}

static void clear(struct counters *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

void rill_role_metrics_add(struct rill_role_metrics *metrics, const char *role, const char *name,
                           uint64_t value)
{
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "%s.", role);
    add(&metrics->counters, prefix, name, value);
}

void rill_role_metrics_add_nf(struct rill_role_metrics *metrics, const char *name, uint64_t value)
{
    add(&metrics->nf_counters, "", name, value);
}

void rill_role_metrics_add_held(struct rill_role_metrics *metrics, uint64_t packets)
{
    metrics->held += packets;
}

void rill_role_metrics_add_unit(struct rill_role_metrics *metrics, uint32_t unit, uint32_t share,
                                double utilization)
{
    Control__UnitLoad *load = or_abort(malloc(sizeof(*load)));

    control__unit_load__init(load);
    load->unit = unit;
    load->share = share;
    load->utilization = utilization;
    metrics->units = (Control__UnitLoad **)grow((void **)metrics->units, metrics->unit_count,
                                                &metrics->unit_capacity);
    metrics->units[metrics->unit_count++] = load;
}

/* --- what is the process's own ---------------------------------------------------------------- */

static void add_fabric(struct rill_role_metrics *metrics, const struct rill_fabric_counters *n)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"sent", n->sent},
        {"delivered", n->delivered},
        {"messages_full", n->full - n->full_packets},
        {"messages_no_route", n->no_route - n->no_route_packets},
        {"messages_lost", n->lost - n->lost_packets},
        {"dropped_fabric_full", n->full_packets},
        {"dropped_fabric_no_route", n->no_route_packets},
        {"dropped_fabric_lost", n->lost_packets},
        {"handed_over", n->handed_over},
        {"taken_over", n->taken_over},
    };

    for (size_t i = 0; i < RTE_DIM(all); i++)
        rill_role_metrics_add(metrics, "fabric", all[i].name, all[i].value);
}

static void add_memif(struct rill_role_metrics *metrics, struct rill_fabric *fabric)
{
    const struct rill_fabric_memif_counters *n = rill_fabric_memif_counters(fabric);

    for (int i = 0; i < RILL_GENEVE_RESULTS; i++)
        if (n->refused[i] > 0) {
            char name[64];

            snprintf(name, sizeof(name), "refused_%s", rill_geneve_result_name(i));
            rill_role_metrics_add(metrics, "fabric", name, n->refused[i]);
        }
    rill_role_metrics_add(metrics, "fabric", "foreign", n->foreign);
    rill_role_metrics_add(metrics, "fabric", "malformed", n->malformed);
    rill_role_metrics_add(metrics, "fabric", "links_up", n->links_up);
    rill_role_metrics_add(metrics, "fabric", "links_down", n->links_down);
    rill_role_metrics_add(metrics, "fabric", "misfits", n->misfits);
    rill_role_metrics_add(metrics, "fabric", "starved", n->starved);
}

static void add_process(struct role_process *p, struct rill_role_metrics *metrics)
{
    const struct rill_link_counters *n = rill_link_counters(p->link);

    rill_role_metrics_add(metrics, "process", "dropped_no_buffer", p->dropped_no_buffer);
    rill_role_metrics_add(metrics, "process", "cpu_ns", p->cpu_ns);
    rill_role_metrics_add(metrics, "process", "log_lines_suppressed", rill_daemon_log_suppressed());
    rill_role_metrics_add(metrics, "control", "sent", n->sent);
    rill_role_metrics_add(metrics, "control", "received", n->received);
    rill_role_metrics_add(metrics, "control", "messages_not_sent", n->dropped);
    rill_role_metrics_add(metrics, "control", "messages_unknown", p->messages_unknown);
    rill_role_metrics_add(metrics, "control", "messages_old_rm", p->messages_old_rm);
    rill_role_metrics_add(metrics, "control", "lease_messages_lost", p->messages_lost);
    for (int i = 0; i < RILL_CONTROL_RESULTS; i++)
        if (n->refused[i] > 0) {
            char name[64];

            snprintf(name, sizeof(name), "refused_%s", rill_control_result_name(i));
            rill_role_metrics_add(metrics, "control", name, n->refused[i]);
        }
}

/* --- the answer ------------------------------------------------------------------------------- */

static void collect(struct role_process *p, struct rill_role_metrics *metrics)
{
    if (p->active)
        p->ops->metrics(p->ops->arg, metrics);
    if (p->fabric != NULL) {
        metrics->held += p->fabric->ops->packets_in_flight(p->fabric);
        add_fabric(metrics, &p->fabric->counters);
        add_memif(metrics, p->fabric);
    }
    add_process(p, metrics);
}

/* To whoever `send` sends it. */
static void with_metrics(struct role_process *p, const struct role_asker *asker,
                         void (*send)(struct role_process *, const struct role_asker *,
                                      Control__Message *))
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Metrics body = CONTROL__METRICS__INIT;
    struct rill_role_metrics metrics = {.held = 0};

    collect(p, &metrics);
    body.n_counters = metrics.counters.count;
    body.counters = metrics.counters.items;
    body.n_nf_counters = metrics.nf_counters.count;
    body.nf_counters = metrics.nf_counters.items;
    body.n_units = metrics.unit_count;
    body.units = metrics.units;
    body.packets_held = metrics.held;
    if (p->fabric != NULL) {
        body.packets_sent_off = p->fabric->counters.handed_over_packets;
        body.packets_taken_in = p->fabric->counters.taken_over_packets;
    }
    RILL_CONTROL_SET(&m, METRICS, metrics, &body);
    send(p, asker, &m);
    clear(&metrics.counters);
    clear(&metrics.nf_counters);
    for (size_t i = 0; i < metrics.unit_count; i++)
        free(metrics.units[i]);
    free(metrics.units);
}

static void answer(struct role_process *p, const struct role_asker *asker, Control__Message *m)
{
    role_answer(p, asker, m);
}

void role_answer_metrics(struct role_process *p, const struct role_asker *asker)
{
    with_metrics(p, asker, answer);
}

static void tell(struct role_process *p, const struct role_asker *asker, Control__Message *m)
{
    (void)asker;
    role_tell_manager(p, m);
}

void role_last_metrics(struct role_process *p)
{
    if (p->active)
        with_metrics(p, NULL, tell);
}
