/* The resource manager's process: what rm/main.c does around the director; and the store behind it,
 * which keeps what the next one has to know. Writes take time, may be lost with who wrote, and are
 * refused of one whose place was taken. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define CATCH_UP_NS (10 * WORLD_MS)
#define HEARS_WITHIN_MS 300

struct world_rm *world_rm_of(struct world *w, uint32_t life)
{
    for (int i = 0; i < 2; i++)
        if (w->rms[i].director != NULL && w->rms[i].life == life)
            return &w->rms[i];
    return NULL;
}

/* --- the store -------------------------------------------------------------------------------- */

struct write {
    uint32_t life;
    uint64_t version;
    char name[WORLD_RECORD_NAME_BYTES];
    bool there;
    size_t bytes;
    uint8_t data[];
};

static struct world_record *record_named(struct world *w, const char *name)
{
    struct world_record *unused = NULL;

    for (uint32_t i = 0; i < WORLD_RECORDS_MAX; i++) {
        if (w->store.records[i].data == NULL)
            unused = &w->store.records[i];
        else if (strcmp(w->store.records[i].name, name) == 0)
            return &w->store.records[i];
    }
    if (unused == NULL)
        abort();
    snprintf(unused->name, sizeof(unused->name), "%s", name);
    return unused;
}

static void carry_out(struct world *w, const struct write *write)
{
    struct world_record *record = record_named(w, write->name);

    free(record->data);
    record->data = NULL;
    if (!write->there)
        return;
    record->data = world_alloc(write->bytes + 1);
    record->bytes = write->bytes;
    memcpy(record->data, write->data, write->bytes);
}

static void depose(struct world *w, struct world_rm *rm);

static void on_written(struct world *w, const struct world_event *event)
{
    struct write *write = event->data;
    struct world_rm *rm = world_rm_of(w, write->life);

    if (write->life != w->rm->life) {
        if (rm != NULL && rm->still_until <= w->now_ns)
            depose(w, rm);
    } else if (w->now_ns < w->store.cut_ns) {
        carry_out(w, write);
        if (rm != NULL && write->there)
            rill_director_saved(rm->director, write->version);
    }
    free(write);
}

static void on_save(void *arg, uint64_t version, const char *name, const void *data, size_t bytes)
{
    struct world_rm *rm = arg;
    struct world *w = rm->w;
    struct write *write = world_alloc(sizeof(*write) + bytes);
    uint64_t at_ns =
        RTE_MAX(w->now_ns, w->store.away_until) + 1 + world_draw(w, w->plan.line_delay_ns);

    *write =
        (struct write){.life = rm->life, .version = version, .there = data != NULL, .bytes = bytes};
    snprintf(write->name, sizeof(write->name), "%s", name);
    if (data != NULL)
        memcpy(write->data, data, bytes);
    w->store.last_ns = RTE_MAX(w->store.last_ns + 1, at_ns);
    world_at(w, w->store.last_ns, on_written, write, 0, 0);
}

void world_store_lose(struct world *w)
{
    for (uint32_t i = 0; i < WORLD_RECORDS_MAX; i++) {
        free(w->store.records[i].data);
        w->store.records[i].data = NULL;
    }
    w->store.cut_ns = w->now_ns;
}

void world_store_forget(struct world *w)
{
    for (uint32_t i = 0; i < w->event_count; i++)
        if (w->events[i].happen == on_written)
            free(w->events[i].data);
    world_store_lose(w);
}

/* --- what the director asks for --------------------------------------------------------------- */

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
    struct world *w = ((struct world_rm *)arg)->w;
    struct world_connection *c = world_connection_at(w, peer, WORLD_LISTENER);

    if (message->body_case == CONTROL__MESSAGE__BODY_STOP)
        on_stop(w, message->stop->role);
    if (message->body_case == CONTROL__MESSAGE__BODY_START && c != NULL)
        on_start(w, message->start->role, c->line->owner);
    world_send(w, c, WORLD_LISTENER, message);
}

static int on_make_folder(void *arg, const char *name, struct rill_error *err)
{
    struct world *w = ((struct world_rm *)arg)->w;
    const struct world_domain *there = world_domain_of(w, name);

    if (there != NULL && !there->removed)
        return rill_error_set(err, -17, "folder %s is there already", name);
    return world_domain_make(w, name) == NULL ? -12 : 0;
}

static void on_remove_folder(void *arg, const char *name)
{
    struct world *w = ((struct world_rm *)arg)->w;
    struct world_domain *domain = world_domain_of(w, name);

    if (domain == NULL)
        world_fail(w, "FOLDER", "the folder %s is removed, and it is not there", name);
    else
        domain->removed = true;
}

static void on_say(void *arg, const char *line)
{
    const struct world_rm *rm = arg;

    world_note(rm->w, "rm %u: %s", rm->life, line);
}

/* --- its life --------------------------------------------------------------------------------- */

static void adopt(struct world *w)
{
    struct rill_director_record records[WORLD_RECORDS_MAX];
    struct rill_error err;
    uint32_t n = 0;

    for (uint32_t i = 0; i < WORLD_RECORDS_MAX; i++)
        if (w->store.records[i].data != NULL)
            records[n++] = (struct rill_director_record){.name = w->store.records[i].name,
                                                         .data = w->store.records[i].data,
                                                         .bytes = w->store.records[i].bytes};
    if (rill_director_adopt(w->rm->director, records, n, &err) != 0)
        world_fail(w, "ADOPT", "%s", err.text);
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
                                          .number = w->rm->life + 1,
                                          .send = on_send,
                                          .make_folder = on_make_folder,
                                          .remove_folder = on_remove_folder,
                                          .save = on_save,
                                          .say = on_say,
                                          .arg = w->rm};
    struct rill_error err;

    if (w->rm->director != NULL)
        return;
    w->rm->w = w;
    w->rm->life++;
    w->rm->still_until = 0;
    w->store.cut_ns = UINT64_MAX;
    world_note(w, "resource manager %u starts", w->rm->life);
    w->rm->director = rill_director_create(&config, w->now_ns, &err);
    if (w->rm->director == NULL)
        world_fail(w, "WORLD", "%s", err.text);
    else
        adopt(w);
}

static void end(struct world *w, struct world_rm *rm, bool flush)
{
    w->deaths_taken += rill_director_counters(rm->director)->deaths;
    rill_director_destroy(rm->director);
    rm->director = NULL;
    world_rm_gone(w, rm->life, flush);
}

void world_rm_crash(struct world *w)
{
    if (w->rm->director == NULL)
        return;
    world_note(w, "the resource manager dies");
    w->store.cut_ns = w->now_ns + world_draw(w, w->plan.line_delay_ns);
    end(w, w->rm, false);
}

/* It has heard that another one leads, and ends. */
static void depose(struct world *w, struct world_rm *rm)
{
    world_note(w, "resource manager %u hears that its place was taken", rm->life);
    end(w, rm, false);
}

static void on_hears(struct world *w, const struct world_event *event)
{
    struct world_rm *rm = world_rm_of(w, (uint32_t)event->a);

    if (rm == NULL || rm == w->rm)
        return;
    if (rm->still_until > w->now_ns)
        world_put_off(w, event, rm->still_until);
    else
        depose(w, rm);
}

static void on_leaves(struct world *w, const struct world_event *event)
{
    struct world_connection *c = w->connections[event->a];

    if (c->open[WORLD_DIALLER])
        world_break(w, c);
}

/* Who talks to the one before finds the new one, soon. */
static void lead_over(struct world *w, uint32_t life)
{
    for (uint32_t i = 0; i < w->connection_count; i++)
        if (w->connections[i]->open[WORLD_DIALLER] && w->connections[i]->life == life &&
            w->connections[i]->line->kind != WORLD_LINE_PROGRAM)
            world_at(w, w->now_ns + world_draw(w, 150 * WORLD_MS), on_leaves, NULL, i, 0);
}

void world_rm_replace(struct world *w)
{
    struct world_rm *before = w->rm, *after = w->rm == &w->rms[0] ? &w->rms[1] : &w->rms[0];
    uint64_t hears_ns = w->now_ns + world_draw(w, HEARS_WITHIN_MS * WORLD_MS);

    if (before->director == NULL || after->director != NULL)
        return;
    world_note(w, "another resource manager is elected");
    after->life = before->life;
    w->rm = after;
    world_rm_start(w);
    world_at(w, hears_ns, on_hears, NULL, before->life, 0);
    lead_over(w, before->life);
}

static void turn(struct world *w, struct world_rm *rm)
{
    if (rm->director == NULL)
        return;
    if (world_rm_due_ns(rm) <= w->now_ns)
        rill_director_tick(rm->director, w->now_ns);
    if (!rill_director_over(rm->director))
        return;
    world_note(w, "resource manager %u ends", rm->life);
    rm->ended = true;
    end(w, rm, true);
}

void world_rm_turn(struct world *w)
{
    turn(w, &w->rms[0]);
    turn(w, &w->rms[1]);
}

/* After it stood still it reads first what came meanwhile, then calls somebody late: rm/main.c. */
uint64_t world_rm_due_ns(const struct world_rm *rm)
{
    if (rm->director == NULL)
        return UINT64_MAX;
    return RTE_MAX(rill_director_next_ns(rm->director),
                   rm->still_until == 0 ? 0 : rm->still_until + CATCH_UP_NS);
}

uint64_t world_rm_next_ns(const struct world *w)
{
    return RTE_MIN(world_rm_due_ns(&w->rms[0]), world_rm_due_ns(&w->rms[1]));
}
