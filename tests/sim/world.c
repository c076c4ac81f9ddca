/* Time: what is due next happens next. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/eal.h"

enum { POOL_MBUFS = 8191, TURNS_AT_ONCE = 100000, PROBES = 30 };
#define SERVED_WITHIN_NS                                                                           \
    (35000 * WORLD_MS) /* after the faults: the longest pause between starts, and 5 s */
#define ENDED_WITHIN_NS (2000 * WORLD_MS)
#define LOOK_NS (20 * WORLD_MS)

/* --- what everybody uses ---------------------------------------------------------------------- */

void *world_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (memory == NULL)
        abort();
    return memory;
}

uint64_t world_draw(struct world *w, uint64_t most)
{
    return most >= UINT32_MAX ? rill_rng_u64(&w->rng) % (most + 1)
                              : rill_rng_below(&w->rng, (uint32_t)most + 1);
}

bool world_chance(struct world *w, double p)
{
    return p > 0 && rill_rng_double(&w->rng) < p;
}

void world_note(struct world *w, const char *format, ...)
{
    va_list args;

    if (w->trace == NULL)
        return;
    fprintf(w->trace, "%12" PRIu64 "  *** ", w->now_ns);
    va_start(args, format);
    vfprintf(w->trace, format, args);
    va_end(args);
    fputc('\n', w->trace);
}

void world_fail(struct world *w, const char *invariant, const char *format, ...)
{
    char *violation = w->result->violation;
    size_t room = sizeof(w->result->violation), n;
    va_list args;

    if (violation[0] != '\0')
        return;
    n = (size_t)snprintf(violation, room, "%s: ", invariant);
    va_start(args, format);
    vsnprintf(violation + n, room - n, format, args);
    va_end(args);
    world_note(w, "VIOLATION %s", violation);
}

/* --- events ----------------------------------------------------------------------------------- */

static bool before(const struct world_event *a, const struct world_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void add_event(struct world *w, struct world_event event)
{
    uint32_t i = w->event_count++;

    if (w->event_count > w->event_room) {
        w->event_room = w->event_room == 0 ? 1024 : 2 * w->event_room;
        w->events = realloc(w->events, w->event_room * sizeof(w->events[0]));
        if (w->events == NULL)
            abort();
    }
    for (; i > 0 && before(&event, &w->events[(i - 1) / 2]); i = (i - 1) / 2)
        w->events[i] = w->events[(i - 1) / 2];
    w->events[i] = event;
}

void world_at(struct world *w, uint64_t at_ns,
              void (*happen)(struct world *w, const struct world_event *event), void *data,
              uint64_t a, uint64_t b)
{
    add_event(
        w, (struct world_event){RTE_MAX(at_ns, w->now_ns), ++w->event_number, happen, data, a, b});
}

void world_put_off(struct world *w, const struct world_event *event, uint64_t at_ns)
{
    struct world_event later = *event;

    later.at_ns = at_ns;
    add_event(w, later);
}

static struct world_event take_event(struct world *w)
{
    struct world_event first = w->events[0], last = w->events[--w->event_count];
    uint32_t i = 0, child;

    for (; (child = 2 * i + 1) < w->event_count; i = child) {
        if (child + 1 < w->event_count && before(&w->events[child + 1], &w->events[child]))
            child++;
        if (before(&last, &w->events[child]))
            break;
        w->events[i] = w->events[child];
    }
    w->events[i] = last;
    return first;
}

/* --- time ------------------------------------------------------------------------------------- */

static void look_at_checks(struct world *w)
{
    for (uint32_t i = 0; i < w->domain_count; i++)
        if (sim_check_violation(w->domains[i]->check) != NULL)
            world_fail(w, "PACKETS", "%s", sim_check_violation(w->domains[i]->check));
}

static bool stopped(const struct world *w)
{
    return w->result->violation[0] != '\0';
}

/* All that is due now. */
static void turn_roles(struct world *w)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < w->program_count; i++)
            if (w->programs[i]->active)
                moved |= world_program_turn(w->programs[i]);
    }
    world_rm_turn(w);
    for (uint32_t i = 0; i < w->plan.machines; i++)
        world_agent_turn(w, &w->machines[i]);
}

static uint64_t next_ns(const struct world *w)
{
    uint64_t next = world_rm_next_ns(w);

    if (w->event_count > 0)
        next = RTE_MIN(next, w->events[0].at_ns);
    for (uint32_t i = 0; i < w->program_count; i++)
        if (w->programs[i]->active)
            next = RTE_MIN(next, world_program_next_ns(w->programs[i]));
    return next;
}

static void run_until(struct world *w, uint64_t until_ns)
{
    uint32_t at_once = 0;

    while (!stopped(w)) {
        uint64_t next;

        turn_roles(w);
        next = next_ns(w);
        if (next > until_ns)
            break;
        at_once = next > w->now_ns ? 0 : at_once + 1;
        if (at_once > TURNS_AT_ONCE)
            world_fail(w, "TIME", "it does not go on");
        w->now_ns = RTE_MAX(next, w->now_ns);
        while (!stopped(w) && w->event_count > 0 && w->events[0].at_ns <= w->now_ns) {
            struct world_event event = take_event(w);

            event.happen(w, &event);
        }
        look_at_checks(w);
    }
    w->now_ns = RTE_MAX(w->now_ns, until_ns);
}

/* --- a run ------------------------------------------------------------------------------------ */

static void balance(struct world *w)
{
    for (uint32_t i = 0; i < w->domain_count; i++)
        world_domain_balance(w->domains[i]);
    world_check_leases(w);
}

static void go_wrong(struct world *w)
{
    while (!stopped(w) && w->now_ns < w->plan.faults_until) {
        run_until(w, w->now_ns + LOOK_NS);
        balance(w);
    }
}

/* Who waits for an answer, or for something that is missing, has it within the bound. */
static void await_all(struct world *w)
{
    uint64_t until_ns = w->now_ns + SERVED_WITHIN_NS;
    const char *missing = "";

    while (!stopped(w) && missing != NULL && w->now_ns < until_ns) {
        run_until(w, w->now_ns + LOOK_NS);
        missing = world_what_is_missing(w);
    }
    if (missing != NULL)
        world_fail(w, "SERVED", "%.3g s after the last fault %s", SERVED_WITHIN_NS / 1e9, missing);
}

static void probe(struct world *w)
{
    for (uint32_t i = 0; i < PROBES && !stopped(w); i++) {
        for (uint32_t j = 0; j < w->plan.deployments; j++)
            if (!world_is_live(w, j))
                world_client_probe(&w->clients[1 + j]);
        run_until(w, w->now_ns + WORLD_MS);
    }
    run_until(w, w->now_ns + 400 * WORLD_MS);
    for (uint32_t i = 0; i < w->domain_count; i++)
        sim_check_all_out(w->domains[i]->check);
    look_at_checks(w);
    balance(w);
}

/* No packets come any more: what was kept for flows is given back. */
static void await_rest(struct world *w)
{
    uint64_t until_ns = w->now_ns + ENDED_WITHIN_NS;
    const char *kept = "";

    while (!stopped(w) && kept != NULL && w->now_ns < until_ns) {
        run_until(w, w->now_ns + LOOK_NS);
        kept = world_what_is_kept(w);
    }
    if (kept != NULL)
        world_fail(w, "I4", "%.3g s after the last packet %s", ENDED_WITHIN_NS / 1e9, kept);
    balance(w);
}

static void check_calm(struct world *w)
{
    if (stopped(w))
        return;
    world_check_truth(w);
    world_check_units(w);
    world_check_deaths(w);
}

static void go_down(struct world *w)
{
    uint64_t until_ns = w->now_ns + SERVED_WITHIN_NS;

    w->ending = true;
    while (!stopped(w) && w->now_ns < until_ns && !w->clients[0].shut_down) {
        const struct world_client *c = &w->clients[0];

        run_until(w, w->now_ns + LOOK_NS);
        w->clients[0].shuts_down = c->status != NULL && c->status->status->n_deployments == 0;
    }
    run_until(w, w->now_ns + 100 * WORLD_MS);
    if (!stopped(w))
        world_check_nothing_left(w);
    balance(w);
}

static void calm_network(struct world *w)
{
    struct rill_fabric_sim_config quiet = w->plan.network;

    quiet.loss = quiet.duplicate = quiet.reorder = 0;
    quiet.jitter_ns = 0;
    for (uint32_t i = 0; i < w->domain_count; i++)
        rill_fabric_sim_faults(w->domains[i]->fabric, &quiet);
    w->plan.network = quiet;
}

static void run(struct world *w)
{
    w->rm = &w->rms[0];
    world_rm_start(w);
    for (uint32_t i = 0; i < w->plan.machines; i++) {
        w->machines[i].w = w;
        snprintf(w->machines[i].name, sizeof(w->machines[i].name), "m%u", i);
        world_machine_on(w, &w->machines[i]);
    }
    for (uint32_t i = 0; i <= w->plan.deployments; i++)
        if (i == 0 || !world_is_live(w, i - 1))
            world_client_start(w, i);
    world_faults_plan(w);
    go_wrong(w);
    world_faults_stop(w);
    calm_network(w);
    await_all(w);
    run_until(w, w->now_ns + 40 * WORLD_MS);
    check_calm(w);
    probe(w);
    await_rest(w);
    check_calm(w);
    go_down(w);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void count(struct world *w)
{
    for (uint32_t i = 0; i < w->domain_count; i++)
        w->result->frames += w->domains[i]->fabric->counters.sent;
    for (uint32_t i = 0; i < w->program_count; i++)
        world_core_count(&w->programs[i]->core, w->result);
    world_note(w, "%" PRIu64 " control messages", w->control_messages);
    w->result->virtual_ns = w->now_ns;
}

static void free_programs(struct world *w)
{
    for (uint32_t i = 0; i < w->program_count; i++) {
        struct world_program *p = w->programs[i];

        if (p->alive && p->domain != NULL)
            p->domain->fabric->ops->detach(p->domain->fabric, p->id);
        world_core_destroy(&p->core);
        rill_outbox_fini(&p->out);
        free(p);
    }
}

static void tear_down(struct world *w)
{
    rill_director_destroy(w->rms[0].director);
    rill_director_destroy(w->rms[1].director);
    world_store_forget(w);
    for (uint32_t i = 0; i < w->plan.machines; i++)
        rill_agent_destroy(w->machines[i].agent);
    free_programs(w);
    for (uint32_t i = 0; i < w->domain_count; i++)
        world_domain_destroy(w->domains[i]);
    for (uint32_t i = 0; i < w->connection_count; i++)
        free(w->connections[i]);
    for (uint32_t i = 0; i < w->line_count; i++)
        free(w->lines[i]);
    world_lines_forget(w);
    world_news_forget(w);
    for (uint32_t i = 0; i < WORLD_CLIENTS_MAX; i++)
        world_client_end(&w->clients[i]);
    rill_control_free(w->clients[0].status);
    free(w->connections);
    free(w->lines);
    free(w->events);
    if (w->result->violation[0] == '\0' && rte_mempool_in_use_count(w->pool) != 0)
        snprintf(w->result->violation, sizeof(w->result->violation), "LEAK: %u mbufs",
                 rte_mempool_in_use_count(w->pool));
}

int sim_world_run(uint64_t seed, FILE *trace, struct sim_result *result)
{
    static struct rte_mempool *pool;
    struct world *w = world_alloc(sizeof(*w));
    struct rill_error err = {""};

    *result = (struct sim_result){0};
    if (rill_eal_init(256, &err) == 0 && pool == NULL)
        pool = rill_frame_pool_create("world", POOL_MBUFS, &err);
    if (pool == NULL) {
        fprintf(stderr, "rill-sim: %s\n", err.text);
        free(w);
        return -1;
    }
    w->result = result;
    w->trace = trace;
    w->pool = pool;
    world_plan_draw(&w->plan, seed);
    rill_rng_seed(&w->rng, seed ^ 0x3041d5eed);
    run(w);
    count(w);
    tear_down(w);
    free(w);
    return 0;
}
