/* When roles take their turns, and what their clocks show. A role stands still for a while and then
 * finds all its mail at once; another takes its turns at long intervals only; and no two clocks
 * need agree: each is ahead by something, and runs faster or slower.
 */
#include "tests/sim/sim.h"

#define MILLION INT64_C(1000000)

/* What a seed means for a role, whenever that was made. */
static uint64_t of_role(const struct sim_pace *pace, uint32_t role, uint64_t what)
{
    uint64_t x = pace->plan->seed ^ (uint64_t)role << 32 ^ what;

    return rill_splitmix64(&x);
}

static int64_t rate_ppm(const struct sim_pace *pace, uint32_t role)
{
    uint32_t most = pace->plan->clock_ppm;

    return most == 0 ? 0 : (int64_t)(of_role(pace, role, 0xc10c) % (2 * most + 1)) - most;
}

static uint64_t offset_ns(const struct sim_pace *pace, uint32_t role)
{
    uint64_t most = pace->plan->clock_offset_ns;

    return most == 0 ? 0 : of_role(pace, role, 0x0ff5e7) % most;
}

static bool is_slow(const struct sim_pace *pace, uint32_t role)
{
    return pace->plan->slow_ns != 0 &&
           (double)(of_role(pace, role, 0x510) % 1000) < pace->plan->slow * 1000;
}

/* The same, once worked out; asked for several times a turn. */
static const struct sim_pace_role *role_of(struct sim_pace *pace, uint32_t role)
{
    struct sim_pace_role *r =
        &pace->roles[(rill_role_number(role) * 8 + rill_role_kind(role)) % RTE_DIM(pace->roles)];

    if (r->id != role)
        *r = (struct sim_pace_role){.id = role,
                                    .slow = is_slow(pace, role),
                                    .rate_ppm = rate_ppm(pace, role),
                                    .offset_ns = offset_ns(pace, role)};
    return r;
}

static inline uint64_t shown_ns(const struct sim_pace_role *r, uint64_t now_ns)
{
    return now_ns + r->offset_ns + (uint64_t)((int64_t)now_ns * r->rate_ppm / MILLION);
}

static uint64_t clock_ns(void *arg, uint32_t role, uint64_t now_ns)
{
    return shown_ns(role_of(arg, role), now_ns);
}

/* The first moment at which the role's clock shows that. */
static uint64_t when_ns(void *arg, uint32_t role, uint64_t wanted_ns)
{
    const struct sim_pace_role *r = role_of(arg, role);
    uint64_t ns = wanted_ns - r->offset_ns;

    if (wanted_ns <= r->offset_ns)
        return 0;
    if (r->rate_ppm == 0)
        return ns;
    for (int i = 0; i < 3; i++) /* a thousandth of the error is left each time */
        ns += wanted_ns - shown_ns(r, ns);
    while (ns > 0 && shown_ns(r, ns - 1) >= wanted_ns)
        ns--;
    while (shown_ns(r, ns) < wanted_ns)
        ns++;
    return ns;
}

uint32_t sim_pace_slow(const struct sim_pace *pace)
{
    uint32_t units = rill_cluster_unit_count(pace->cluster), n = 0;

    for (uint32_t i = 1; pace->plan->slow_ns != 0 && i <= units; i++)
        n += is_slow(pace, rill_role_id(RILL_ROLE_UNIT, i)) +
             is_slow(pace, rill_role_id(RILL_ROLE_OUTPUT_LOGGER, i));
    return n;
}

static uint64_t turn_ns(void *arg, uint32_t role, uint64_t ns)
{
    struct sim_pace *pace = arg;
    uint64_t every = pace->plan->slow_ns;

    for (uint32_t i = 0; i < pace->count; i++)
        if (pace->paused[i].role == role)
            ns = RTE_MAX(ns, pace->paused[i].until_ns);
    if (every == 0 || !role_of(pace, role)->slow)
        return ns;
    return (ns + every - 1) / every * every;
}

bool sim_pace_is_plain(const struct sim_plan *plan)
{
    return plan->pauses == 0 && plan->slow_ns == 0 && plan->clock_ppm == 0 &&
           plan->clock_offset_ns == 0;
}

void sim_pace_init(struct sim_pace *pace, const struct sim_plan *plan)
{
    *pace = (struct sim_pace){
        .ops = {.arg = pace, .clock_ns = clock_ns, .when_ns = when_ns, .turn_ns = turn_ns},
        .plan = plan};
    rill_rng_seed(&pace->rng, plan->seed ^ 0xbace);
}

void sim_pace_start(struct sim_pace *pace, struct rill_cluster *cluster, struct sim_check *check,
                    uint64_t now_ns)
{
    pace->cluster = cluster;
    pace->check = check;
    for (; pace->to_come < RTE_MIN(pace->plan->pauses, (uint32_t)SIM_PAUSES_MAX); pace->to_come++)
        pace->begin_ns[pace->to_come] =
            now_ns + (uint64_t)(rill_rng_double(&pace->rng) * (double)pace->plan->span_us * 1000);
}

uint64_t sim_pace_next_ns(const struct sim_pace *pace)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < pace->to_come; i++)
        next_ns = RTE_MIN(next_ns, pace->begin_ns[i]);
    return next_ns;
}

uint32_t sim_any_unit(struct rill_rng *rng, struct rill_cluster *cluster)
{
    uint32_t list[RILL_CLUSTER_UNITS_MAX], n = 0;

    for (uint32_t i = 0; i < rill_cluster_unit_count(cluster); i++)
        if (rill_cluster_unit(cluster, i) != NULL)
            list[n++] = i;
    return n == 0 ? 0 : rill_role_id(RILL_ROLE_UNIT, list[rill_rng_below(rng, n)] + 1);
}

uint32_t sim_any_controller(struct rill_rng *rng, const struct rill_cluster *cluster)
{
    uint32_t slots = rill_cluster_slots(cluster);

    return sim_controller(cluster, slots > 1 ? rill_rng_below(rng, slots) : 0);
}

uint32_t sim_any_role(struct rill_rng *rng, struct rill_cluster *cluster, double controller)
{
    uint32_t unit = sim_any_unit(rng, cluster), kind = rill_rng_below(rng, 8);

    if (rill_rng_double(rng) < controller)
        return sim_any_controller(rng, cluster);
    if (kind == 0)
        return rill_role_id(RILL_ROLE_RM, 1);
    if (kind < 5 || unit == 0)
        return unit;
    return rill_role_id(RILL_ROLE_OUTPUT_LOGGER,
                        rill_cluster_logger_of(cluster, rill_role_number(unit) - 1));
}

static void stand_still(struct sim_pace *pace, uint64_t now_ns)
{
    uint32_t role = sim_any_role(&pace->rng, pace->cluster, pace->plan->pause_controller);
    uint64_t ns =
        1000 + (uint64_t)(rill_rng_double(&pace->rng) * (double)(pace->plan->pause_ns - 1000));

    if (role == 0 || turn_ns(pace, role, now_ns) > now_ns + pace->plan->slow_ns)
        return; /* pauses of one role do not add up */
    pace->paused[pace->count].role = role;
    pace->paused[pace->count++].until_ns = now_ns + ns;
    sim_check_counts(pace->check)->pauses++;
    sim_check_note(pace->check, "role %08x stands still for %" PRIu64 " ns", role, ns);
}

void sim_pace_turn(struct sim_pace *pace, uint64_t now_ns)
{
    for (uint32_t i = 0; i < pace->count;) {
        if (pace->paused[i].until_ns <= now_ns)
            pace->paused[i] = pace->paused[--pace->count];
        else
            i++;
    }
    for (uint32_t i = 0; i < pace->to_come;) {
        if (pace->begin_ns[i] > now_ns) {
            i++;
            continue;
        }
        pace->begin_ns[i] = pace->begin_ns[--pace->to_come];
        stand_still(pace, now_ns);
    }
}

void sim_pace_calm(struct sim_pace *pace)
{
    pace->count = pace->to_come = 0;
}
