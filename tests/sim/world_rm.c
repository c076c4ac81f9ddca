/* The resource manager's process: what rm/main.c does around the director. */
#include "tests/sim/world.h"

#define CATCH_UP_NS (10 * WORLD_MS)

/* From here on the others may go on without it. */
static void on_stop(struct world *w, uint32_t role)
{
    const struct world_program *p = world_program(w, role, true);

    if (p != NULL && p->core.unit != NULL)
        sim_check_suspect(p->domain->check, p->id, true);
}

static void on_start(struct world *w, uint32_t role, const struct world_machine *machine)
{
    const struct world_program *p = world_program(w, role, true);

    if (p != NULL && p->machine == machine)
        world_fail(w, "ID", "%08x is to be started at %s, where one of that id runs", role,
                   machine->name);
}

static void on_send(void *arg, uint32_t peer, const Control__Message *message)
{
    struct world *w = arg;
    struct world_connection *c = world_connection_at(w, peer, WORLD_LISTENER);

    if (message->body_case == CONTROL__MESSAGE__BODY_STOP)
        on_stop(w, message->stop->role);
    if (message->body_case == CONTROL__MESSAGE__BODY_START && c != NULL)
        on_start(w, message->start->role, c->line->owner);
    world_send(w, c, WORLD_LISTENER, message);
}

static int on_make_folder(void *arg, const char *name, struct rill_error *err)
{
    struct world *w = arg;
    const struct world_domain *there = world_domain_of(w, name);

    if (there != NULL && !there->removed)
        return rill_error_set(err, -17, "folder %s is there already", name);
    return world_domain_make(w, name) == NULL ? -12 : 0;
}

static void on_remove_folder(void *arg, const char *name)
{
    struct world *w = arg;
    struct world_domain *domain = world_domain_of(w, name);

    if (domain == NULL || domain->removed)
        world_fail(w, "FOLDER", "the folder %s is removed, and it is not there", name);
    else
        domain->removed = true;
}

static void on_say(void *arg, const char *line)
{
    world_note(arg, "rm: %s", line);
}

void world_rm_start(struct world *w)
{
    struct rill_director_config config = {.id = rill_role_id(RILL_ROLE_RM, 1),
                                          .cluster = "sim",
                                          .warm = w->plan.warm,
                                          .first_number = 1,
                                          .start_timeout_ns = w->plan.start_timeout_ns,
                                          .links_timeout_ns = w->plan.links_timeout_ns,
                                          .deaths_max = w->plan.deaths_max,
                                          .deaths_window_ns = 60000 * WORLD_MS,
                                          .fabric_crosses_machines =
                                              w->plan.fabric_crosses_machines,
                                          .links_root = "/run/links",
                                          .links_root_host = "/base/links",
                                          .seed = rill_rng_u64(&w->rng),
                                          .pool = w->pool,
                                          .send = on_send,
                                          .make_folder = on_make_folder,
                                          .remove_folder = on_remove_folder,
                                          .say = on_say,
                                          .arg = w};
    struct rill_error err;

    if (w->rm.director != NULL)
        return;
    w->rm.life++;
    w->rm.still_until = 0;
    w->rm.director = rill_director_create(&config, w->now_ns, &err);
    if (w->rm.director == NULL)
        world_fail(w, "WORLD", "%s", err.text);
    world_note(w, "the resource manager starts");
}

static void end(struct world *w, bool flush)
{
    rill_director_destroy(w->rm.director);
    w->rm.director = NULL;
    world_listener_gone(w, NULL, flush);
}

void world_rm_crash(struct world *w)
{
    if (w->rm.director == NULL)
        return;
    world_note(w, "the resource manager dies");
    end(w, false);
}

void world_rm_turn(struct world *w)
{
    if (w->rm.director == NULL)
        return;
    if (world_rm_next_ns(w) <= w->now_ns)
        rill_director_tick(w->rm.director, w->now_ns);
    if (!rill_director_over(w->rm.director))
        return;
    world_note(w, "the resource manager ends");
    w->rm.ended = true;
    end(w, true);
}

/* After it stood still it reads first what came meanwhile, then calls somebody late: rm/main.c. */
uint64_t world_rm_next_ns(const struct world *w)
{
    if (w->rm.director == NULL)
        return UINT64_MAX;
    return RTE_MAX(rill_director_next_ns(w->rm.director),
                   w->rm.still_until == 0 ? 0 : w->rm.still_until + CATCH_UP_NS);
}
