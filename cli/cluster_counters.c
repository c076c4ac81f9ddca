/* Every counter of every role, by name, summed over roles of a kind. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cluster_internal.h"

static const char PREFIX[] = "dropped_";

static inline bool is_drop(const char *name)
{
    return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0;
}

/* Where counters go: all of them as ROLE.NAME, or drops alone, as what follows the prefix. */
struct sink {
    struct rill_tally *tally;
    bool drops_only;
    int rc;
};

static void add(struct sink *sink, const char *role, const char *name, uint64_t value)
{
    char full[96];

    if (sink->rc != 0 || (sink->drops_only && (!is_drop(name) || value == 0)))
        return;
    if (sink->drops_only)
        snprintf(full, sizeof(full), "%s", name + sizeof(PREFIX) - 1);
    else
        snprintf(full, sizeof(full), "%s.%s", role, name);
    sink->rc = rill_tally_add(sink->tally, full, value);
}

static void add_controllers(const struct rill_cluster *k, struct sink *sink)
{
    for (uint32_t c = 0; c < k->controller_count; c++) {
        const struct controller_node *node = &k->controllers[c];
        const struct rill_controller_counters *n = controller_node_counters(node);

#define X(name) add(sink, "controller", #name, n->name);
        RILL_CONTROLLER_COUNTERS(X)
#undef X
        for (int i = 0; i < RILL_PARSE_RESULTS; i++) {
            char name[64];

            snprintf(name, sizeof(name), "%s%s", PREFIX, rill_parse_result_name(i));
            if (n->dropped_malformed[i] > 0)
                add(sink, "controller", name, n->dropped_malformed[i]);
        }
        add(sink, "cluster", "dropped_died_with_role", node->died_with_it);
    }
    add(sink, "cluster", "dropped_no_controller", k->dropped_no_controller);
}

static void add_units(const struct rill_cluster *k, struct sink *sink)
{
    for (uint32_t i = 0; i < k->unit_count; i++) {
        const struct rill_unit_counters *u = unit_node_counters(&k->units[i]);

#define X(name) add(sink, "unit", #name, u->name);
        RILL_UNIT_COUNTERS(X)
#undef X
        add(sink, "cluster", "dropped_died_with_role", k->units[i].died_with_it);
    }
}

static void add_loggers(const struct rill_cluster *k, struct sink *sink)
{
    for (uint32_t i = 0; i < k->logger_count; i++) {
        const struct rill_ol_counters *o = logger_node_counters(&k->loggers[i]);

#define X(name) add(sink, "output_logger", #name, o->name);
        RILL_OL_COUNTERS(X)
#undef X
        add(sink, "cluster", "dropped_died_with_role", k->loggers[i].died_with_it);
    }
}

static void add_store(const struct rill_cluster *k, struct sink *sink)
{
    if (k->store == NULL)
        return;
#define X(name) add(sink, "store", #name, k->store->n.name);
    RILL_STORE_COUNTERS(X)
#undef X
}

static void add_fabric(const struct rill_cluster *k, struct sink *sink)
{
    const struct rill_fabric_counters *n = &k->config.fabric->counters;

    add(sink, "fabric", "sent", n->sent);
    add(sink, "fabric", "delivered", n->delivered);
    add(sink, "fabric", "messages_full", n->full - n->full_packets);
    add(sink, "fabric", "messages_no_route", n->no_route - n->no_route_packets);
    add(sink, "fabric", "dropped_fabric_full", n->full_packets);
    add(sink, "fabric", "dropped_fabric_no_route", n->no_route_packets);
    add(sink, "fabric", "dropped_fabric_lost", n->lost_packets);
}

static int add_all(const struct rill_cluster *k, struct rill_tally *tally, bool drops_only)
{
    struct sink sink = {.tally = tally, .drops_only = drops_only};

    add_controllers(k, &sink);
    add_units(k, &sink);
    add_loggers(k, &sink);
    add_store(k, &sink);
    add_fabric(k, &sink);
    return sink.rc;
}

int rill_cluster_drops(const struct rill_cluster *k, struct rill_tally *drops)
{
    return add_all(k, drops, true);
}

uint64_t rill_cluster_controller_drops(const struct rill_cluster *k, uint32_t i)
{
    const struct rill_controller_counters *n = controller_node_counters(&k->controllers[i]);
    uint64_t sum = k->controllers[i].died_with_it;

#define X(name) sum += is_drop(#name) ? n->name : 0;
    RILL_CONTROLLER_COUNTERS(X)
#undef X
    for (int reason = 0; reason < RILL_PARSE_RESULTS; reason++)
        sum += n->dropped_malformed[reason];
    return sum;
}

uint64_t rill_cluster_packets_dropped(const struct rill_cluster *k)
{
    const struct rill_fabric_counters *f = &k->config.fabric->counters;
    uint64_t sum =
        k->dropped_no_controller + f->full_packets + f->no_route_packets + f->lost_packets;

    for (uint32_t i = 0; i < k->controller_count; i++)
        sum += rill_cluster_controller_drops(k, i);
#define X(name) sum += is_drop(#name) ? n->name : 0;
    for (uint32_t i = 0; i < k->unit_count; i++) {
        const struct rill_unit_counters *n = unit_node_counters(&k->units[i]);

        RILL_UNIT_COUNTERS(X)
        sum += k->units[i].died_with_it;
    }
    for (uint32_t i = 0; i < k->logger_count; i++) {
        const struct rill_ol_counters *n = logger_node_counters(&k->loggers[i]);

        RILL_OL_COUNTERS(X)
        sum += k->loggers[i].died_with_it;
    }
#undef X
    return sum;
}

int rill_cluster_counters(const struct rill_cluster *k, struct rill_tally *counters)
{
    return add_all(k, counters, false);
}

int rill_cluster_nf_counters(const struct rill_cluster *k, struct rill_tally *counters)
{
    const char *name;
    uint64_t value;

    for (uint32_t n = 0; n < k->unit_count; n++)
        for (unsigned i = 0; rill_nf_counter(k->units[n].nf, i, &name, &value); i++)
            if (rill_tally_add(counters, name, value) != 0)
                return -ENOMEM;
    return 0;
}
