/* A plan as one line of text, and back: "seed=17 units=3 faults.loss=0.05 ... set:retry_us=300".
 * What a seed stands for changes with the code that draws plans; what such a line stands for does
 * not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum kind { KIND_U32, KIND_U64, KIND_DOUBLE, KIND_BOOL };

#define FIELD(name_)                                                                               \
    {                                                                                              \
        .name = #name_, .offset = offsetof(struct sim_plan, name_),                                \
        .kind = _Generic(((struct sim_plan *)0)->name_, uint32_t                                   \
                         : KIND_U32, uint64_t                                                      \
                         : KIND_U64, double                                                        \
                         : KIND_DOUBLE, bool                                                       \
                         : KIND_BOOL)                                                              \
    }

static const struct field {
    const char *name;
    size_t offset;
    enum kind kind;
} fields[] = {
    FIELD(seed),
    FIELD(faults.seed),
    FIELD(faults.delay_ns),
    FIELD(faults.jitter_ns),
    FIELD(faults.loss),
    FIELD(faults.duplicate),
    FIELD(faults.reorder),
    FIELD(faults.reorder_ns),
    FIELD(faults.codec),
    FIELD(faults.ring_frames),
    FIELD(units),
    FIELD(flows),
    FIELD(packets),
    FIELD(span_us),
    FIELD(gap_ns),
    FIELD(long_gap),
    FIELD(long_gap_ns),
    FIELD(replies),
    FIELD(burst),
    FIELD(state_bytes),
    FIELD(pool_ports),
    FIELD(preserve_ports),
    FIELD(free_mbufs),
    FIELD(blackout),
    FIELD(blackout_ns),
    FIELD(fragments),
    FIELD(malformed),
    FIELD(old_alias),
    FIELD(nf_drops),
    FIELD(nf_ends),
    FIELD(unit_flows_max),
    FIELD(output_logger_flows_max),
    FIELD(unit_faults),
    FIELD(logger_faults),
    FIELD(pair_faults),
    FIELD(failovers),
    FIELD(evicts),
    FIELD(tcp),
    FIELD(tcp_closes),
    FIELD(chase),
    FIELD(zombies),
    FIELD(tight),
    FIELD(part),
    FIELD(controllers),
    FIELD(partitions),
    FIELD(partition_ns),
    FIELD(partition_rm),
    FIELD(partition_one_way),
    FIELD(pauses),
    FIELD(pause_ns),
    FIELD(pause_controller),
    FIELD(slow),
    FIELD(slow_ns),
    FIELD(clock_ppm),
    FIELD(clock_offset_ns),
    FIELD(reuse),
    FIELD(icmp_errors),
    FIELD(hairpins),
    FIELD(edge_gaps),
    FIELD(edge_ns),
    FIELD(mice),
    FIELD(store_restarts),
    FIELD(store_cuts),
};

static double get(const struct sim_plan *plan, const struct field *f)
{
    const void *at = (const uint8_t *)plan + f->offset;

    switch (f->kind) {
    case KIND_U32:
        return *(const uint32_t *)at;
    case KIND_DOUBLE:
        return *(const double *)at;
    case KIND_BOOL:
        return *(const bool *)at;
    default:
        return *(const uint64_t *)at != 0;
    }
}

static void print_field(FILE *to, const struct sim_plan *plan, const struct field *f)
{
    if (get(plan, f) == 0)
        return;
    if (f->kind == KIND_U64)
        fprintf(to, "%s=%" PRIu64 " ", f->name,
                *(const uint64_t *)((const uint8_t *)plan + f->offset));
    else
        fprintf(to, "%s=%.17g ", f->name, get(plan, f));
}

/* A setting that is given again later does not count. */
static bool overridden(const struct sim_plan *plan, uint32_t i)
{
    size_t n = strcspn(plan->settings[i], "=") + 1;

    for (uint32_t j = i + 1; j < plan->setting_count; j++)
        if (strncmp(plan->settings[i], plan->settings[j], n) == 0)
            return true;
    return false;
}

void sim_plan_print(FILE *to, const struct sim_plan *plan)
{
    for (size_t i = 0; i < RTE_DIM(fields); i++)
        print_field(to, plan, &fields[i]);
    for (uint32_t i = 0; i < plan->setting_count; i++)
        if (!overridden(plan, i))
            fprintf(to, "set:%s ", plan->settings[i]);
    fputc('\n', to);
}

static int set_field(struct sim_plan *plan, const struct field *f, const char *value)
{
    void *at = (uint8_t *)plan + f->offset;
    char *end;

    errno = 0;
    if (f->kind == KIND_U64)
        *(uint64_t *)at = strtoull(value, &end, 10);
    else if (f->kind == KIND_DOUBLE)
        *(double *)at = strtod(value, &end);
    else if (f->kind == KIND_BOOL)
        *(bool *)at = strtoul(value, &end, 10) != 0;
    else
        *(uint32_t *)at = (uint32_t)strtoul(value, &end, 10);
    return errno != 0 || end == value || *end != '\0' ? -EINVAL : 0;
}

static int parse_word(struct sim_plan *plan, char *word)
{
    char *value = strchr(word, '=');

    if (strncmp(word, "set:", 4) == 0 && plan->setting_count < SIM_SETTINGS) {
        sim_plan_set(plan, "%s", word + 4);
        return 0;
    }
    if (value == NULL)
        return -EINVAL;
    *value++ = '\0';
    for (size_t i = 0; i < RTE_DIM(fields); i++)
        if (strcmp(word, fields[i].name) == 0)
            return set_field(plan, &fields[i], value);
    return -EINVAL;
}

int sim_plan_parse(struct sim_plan *plan, char *text, struct rill_error *err)
{
    char *rest = text;

    *plan = (struct sim_plan){0};
    for (char *word = strsep(&rest, " \n"); word != NULL; word = strsep(&rest, " \n"))
        if (word[0] != '\0' && parse_word(plan, word) != 0)
            return rill_error_set(err, -EINVAL, "a plan has no '%s', or not with such a value",
                                  word);
    return 0;
}
