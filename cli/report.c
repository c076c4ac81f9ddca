#include "cli/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "lib/config/config.h"

static void free_settings(struct rill_report *report)
{
    for (size_t i = 0; i < report->setting_count; i++) {
        free(report->settings[i].name);
        free(report->settings[i].text);
    }
    free(report->settings);
    report->settings = NULL;
    report->setting_count = 0;
}

void rill_report_fini(struct rill_report *report)
{
    if (report == NULL)
        return;
    rill_tally_fini(&report->packets_dropped);
    rill_tally_fini(&report->counters);
    rill_tally_fini(&report->nf_counters);
    free_settings(report);
    free(report->units);
    free(report->units_over_time);
    free(report->controllers);
    free(report->failures);
    free(report->objects);
    free(report->mode);
    free(report->state_mode);
    free(report->clock);
    free(report->nf);
    free(report->trace);
    free(report->capture);
    free(report->cluster);
    free(report->deployment);
    free(report->failure);
    memset(report, 0, sizeof(*report));
}

int rill_report_text(char **field, const char *text)
{
    char *copy = NULL;

    if (text != NULL) {
        copy = strdup(text);
        if (copy == NULL)
            return -ENOMEM;
    }
    free(*field);
    *field = copy;
    return 0;
}

int rill_report_add_unit(struct rill_report *report, const struct rill_report_unit *unit)
{
    size_t count = report->unit_count + 1;
    struct rill_report_unit *units = realloc(report->units, count * sizeof(units[0]));

    if (units == NULL)
        return -ENOMEM;
    units[count - 1] = *unit;
    report->units = units;
    report->unit_count = count;
    return 0;
}

int rill_report_add_controller(struct rill_report *report,
                               const struct rill_report_controller *controller)
{
    size_t count = report->controller_count + 1;
    struct rill_report_controller *controllers =
        realloc(report->controllers, count * sizeof(controllers[0]));

    if (controllers == NULL)
        return -ENOMEM;
    controllers[count - 1] = *controller;
    report->controllers = controllers;
    report->controller_count = count;
    return 0;
}

int rill_report_add_failure(struct rill_report *report, const struct rill_report_failure *failure)
{
    size_t count = report->failure_count + 1;
    struct rill_report_failure *failures = realloc(report->failures, count * sizeof(failures[0]));

    if (failures == NULL)
        return -ENOMEM;
    failures[count - 1] = *failure;
    report->failures = failures;
    report->failure_count = count;
    return 0;
}

int rill_report_add_object(struct rill_report *report, const struct rill_report_object *object)
{
    size_t count = report->object_count + 1;
    struct rill_report_object *objects = realloc(report->objects, count * sizeof(objects[0]));

    if (objects == NULL)
        return -ENOMEM;
    objects[count - 1] = *object;
    report->objects = objects;
    report->object_count = count;
    return 0;
}

int rill_report_add_epoch(struct rill_report *report, double at_s, uint32_t units)
{
    if (report->epoch_count == report->epoch_capacity) {
        size_t capacity = report->epoch_capacity ? report->epoch_capacity * 2 : 64;
        struct rill_report_epoch *epochs =
            realloc(report->units_over_time, capacity * sizeof(epochs[0]));

        if (epochs == NULL)
            return -ENOMEM;
        report->units_over_time = epochs;
        report->epoch_capacity = capacity;
    }
    report->units_over_time[report->epoch_count++] =
        (struct rill_report_epoch){.at_s = at_s, .units = units};
    return 0;
}

static bool is_text(enum rill_option_type type)
{
    return type != RILL_OPT_BOOL && type != RILL_OPT_U64 && type != RILL_OPT_DOUBLE;
}

int rill_report_settings(struct rill_report *report, const struct rill_config *settings)
{
    const struct rill_option *option = rill_config_schema(settings);
    struct rill_report filled = {0};

    for (; option->name != NULL; option++) {
        char text[4096];
        size_t count = filled.setting_count + 1;
        struct rill_report_setting *grown =
            realloc(filled.settings, count * sizeof(filled.settings[0]));

        if (grown == NULL)
            goto no_memory;
        filled.settings = grown;
        rill_config_text(settings, option->name, text, sizeof(text));
        grown[count - 1] = (struct rill_report_setting){
            .name = strdup(option->name), .text = strdup(text), .is_text = is_text(option->type)};
        filled.setting_count = count;
        if (grown[count - 1].name == NULL || grown[count - 1].text == NULL)
            goto no_memory;
    }
    free_settings(report);
    report->settings = filled.settings;
    report->setting_count = filled.setting_count;
    return 0;

no_memory:
    free_settings(&filled);
    return -ENOMEM;
}

bool rill_report_controllers_balance(const struct rill_report *report)
{
    for (size_t i = 0; i < report->controller_count; i++) {
        const struct rill_report_controller *c = &report->controllers[i];

        if (c->packets_in !=
            c->packets_to_units + c->packets_passed + c->packets_dropped + c->packets_in_flight)
            return false;
    }
    return true;
}

bool rill_report_balances(const struct rill_report *report)
{
    return rill_report_controllers_balance(report) && report->packets_in_flight == 0 &&
           report->packets_in ==
               report->packets_released + rill_tally_total(&report->packets_dropped);
}

bool rill_report_mappings_kept(const struct rill_report *report)
{
    static const char *const cut_short[] = {
        "controller.flows_evicted", "controller.flows_lost", "controller.flows_ended_by_nf",
        "controller.flows_not_inherited", "controller.flows_forgotten"};
    uint64_t lives = 0;

    for (size_t i = 0; i < RTE_DIM(cut_short); i++)
        lives += rill_tally_get(&report->counters, cut_short[i]);
    for (size_t i = 0; i < report->controller_count; i++)
        if (report->controllers[i].died)
            return true;
    return report->mappings_changed <= lives;
}

bool rill_report_sound(const struct rill_report *report)
{
    return rill_report_balances(report) && report->inverse_mismatches == 0 &&
           report->outward_mismatches == 0 && rill_report_mappings_kept(report);
}
