/* The program in a container: what lib/daemon's role does around a core (role_control.c,
 * role_activation.c, role_peers.c, role_loop.c). */
#include <stdlib.h>

#include "lib/control/lease.h"
#include "tests/sim/world.h"

enum { JOIN_NUMBER = 1, BURST = 32 };
#define LOOK_NS (2 * WORLD_MS) /* at links that are not up */

/* --- life ------------------------------------------------------------------------------------- */

static void on_booted(struct world *w, const struct world_event *event)
{
    struct world_program *p = event->data;

    if (!p->alive)
        return;
    if (world_program_stands_still(p) && p->still_until != UINT64_MAX)
        world_at(w, p->still_until, on_booted, p, 0, 0);
    else if (!world_program_stands_still(p))
        p->line = world_line_open(w, WORLD_LINE_PROGRAM, p);
}

struct world_program *world_program_start(struct world *w, struct world_machine *machine,
                                          uint32_t id, uint64_t token)
{
    struct world_program *p = world_alloc(sizeof(*p));

    if (w->program_count == WORLD_PROGRAMS_MAX)
        abort();
    *p = (struct world_program){.w = w,
                                .id = id,
                                .machine = machine,
                                .token = token,
                                .alive = true,
                                .there = true,
                                .due_ns = UINT64_MAX,
                                .links = {.id = id}};
    w->programs[w->program_count++] = p;
    world_note(w, "%s: container %08x", machine->name, id);
    world_at(w, w->now_ns + 1 + world_draw(w, w->plan.boot_ns), on_booted, p, 0, 0);
    return p;
}

struct world_program *world_program(struct world *w, uint32_t id, bool alive)
{
    for (uint32_t i = w->program_count; i-- > 0;)
        if (w->programs[i]->id == id && (w->programs[i]->alive || !alive))
            return w->programs[i];
    return NULL;
}

static void leave_domain(struct world_program *p)
{
    struct world_domain *domain = p->domain;

    if (domain == NULL)
        return;
    if (p->core.unit != NULL)
        sim_check_suspect(domain->check, p->id, false);
    world_domain_loses(domain, p);
    world_core_count(&p->core, p->w->result);
    domain->dropped += world_core_drops(&p->core);
    domain->died += world_core_held(&p->core);
    domain->fabric->ops->detach(domain->fabric, p->id);
    world_domain_unlink_all(domain, p->id);
    p->arrival_ns = NULL;
}

void world_program_end(struct world_program *p, int32_t wait_status)
{
    if (!p->alive)
        return;
    world_note(p->w, "%s: %08x ends (%d)", p->machine->name, p->id, wait_status);
    p->alive = p->active = false;
    p->w->news_ns = p->w->now_ns;
    if (p->line != NULL)
        world_line_close(p->w, p->line, p->ending);
    leave_domain(p);
    world_core_destroy(&p->core);
    rill_outbox_fini(&p->out);
    world_machine_ended(p->w, p, wait_status);
}

void world_program_stand_still(struct world_program *p, uint64_t until_ns)
{
    world_note(p->w, "%s: %08x stands still", p->machine->name, p->id);
    if (p->core.unit != NULL)
        sim_check_suspect(p->domain->check, p->id, true);
    p->still_until = until_ns;
    p->spins = world_chance(p->w, 0.5);
    world_machine_watch(p->w, p->machine);
}

bool world_program_stands_still(const struct world_program *p)
{
    return p->still_until > p->w->now_ns;
}

/* --- to the resource manager ------------------------------------------------------------------ */

static bool tell_rm(struct world_program *p, const Control__Message *m)
{
    return p->line != NULL && world_send(p->w, p->line->connection, WORLD_DIALLER, m);
}

static bool answer(struct world_program *p, uint32_t to, uint64_t number, Control__Message *m)
{
    m->version = RILL_CONTROL_VERSION;
    m->from = p->id;
    m->to = to;
    m->number = number;
    return number == 0 || tell_rm(p, m);
}

static void answer_error(struct world_program *p, const Control__Message *asked, const char *line)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Error error = CONTROL__ERROR__INIT;

    error.text = (char *)(uintptr_t)line;
    RILL_CONTROL_SET(&m, ERROR, error, &error);
    answer(p, asked->from, asked->number, &m);
}

static void send_lease(void *arg, const Control__Message *m)
{
    tell_rm(arg, m);
}

void world_program_up(struct world_program *p)
{
    Control__Message m = rill_control_message(p->id, 0, JOIN_NUMBER);
    Control__Join join = CONTROL__JOIN__INIT;

    join.kind = rill_role_kind(p->id);
    join.role = p->id;
    join.token = p->token;
    join.program = (char *)(uintptr_t)RILL_VERSION;
    join.ready_ns = 150 * WORLD_MS;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    tell_rm(p, &m);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void flush(struct world_program *p)
{
    struct rill_outbox *out = &p->out;
    uint32_t kept = 0;

    if (p->taking_over && !rill_controller_taking_over(p->core.controller)) {
        p->taking_over = false;
        world_domain_taken_over(p->domain, p);
    }

    for (uint32_t i = 0; i < out->count; i++) {
        struct rte_mbuf *m = out->frames[i];
        enum rill_role_kind kind = rill_role_kind(rill_frame(m)->dst);

        if (kind == RILL_ROLE_PORT) {
            world_domain_released(p->domain, p, m);
        } else if (kind == RILL_ROLE_RM) {
            rill_lease_from_frame(m, send_lease, p);
            rte_pktmbuf_free(m);
        } else {
            out->frames[kept++] = m;
        }
    }
    world_domain_send(p->domain, p, out->frames, kept);
    out->count = 0;
    p->due_ns = world_core_next_ns(p);
}

void world_program_ingress(struct world_program *p, struct rte_mbuf *m)
{
    rill_controller_ingress(p->core.controller, &m, 1, p->w->now_ns, &p->out);
    flush(p);
}

bool world_program_turn(struct world_program *p)
{
    struct rte_mbuf *frames[BURST];
    uint64_t now_ns = p->w->now_ns;
    uint32_t n = 0;

    if (world_program_stands_still(p))
        return false;
    if (*p->arrival_ns <= now_ns)
        n = p->domain->fabric->ops->recv(p->domain->fabric, p->id, frames, BURST, now_ns);
    if (n > 0) {
        world_core_recv(p, frames, n);
        flush(p);
    }
    if (p->due_ns > now_ns)
        return n > 0;
    world_core_tick(p);
    flush(p);
    return true;
}

uint64_t world_program_next_ns(const struct world_program *p)
{
    return RTE_MAX(p->still_until, RTE_MIN(*p->arrival_ns, p->due_ns));
}

/* --- from the resource manager ---------------------------------------------------------------- */

/* The process ends by itself, after it has told. */
static void on_given_up(struct world *w, const struct world_event *event)
{
    (void)w;
    world_program_end(event->data, 2 << 8);
}

static void give_up(struct world_program *p)
{
    p->ending = true;
    world_at(p->w, p->w->now_ns + 1, on_given_up, p, 0, 0);
}

static int enter_domain(struct world_program *p, const Control__Activate *how,
                        struct rill_error *err)
{
    struct rill_fabric *fabric;
    int rc;

    p->domain = world_domain_of(p->w, how->links_folder);
    if (p->domain == NULL || p->domain->removed)
        return rill_error_set(err, -2, "the folder %s is not there", how->links_folder);
    fabric = p->domain->fabric;
    rc = fabric->ops->attach(fabric, p->id, err);
    if (rc == 0)
        p->arrival_ns = fabric->ops->arrival_ns(fabric, p->id);
    else
        p->domain = NULL;
    return rc;
}

static void answer_activated(struct world_program *p, const Control__Message *asked)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Activated activated = CONTROL__ACTIVATED__INIT;

    if (p->core.unit != NULL)
        activated.facts = world_core_facts(&p->core);
    activated.activation_ns = WORLD_MS;
    RILL_CONTROL_SET(&m, ACTIVATED, activated, &activated);
    answer(p, asked->from, asked->number, &m);
}

static void activate(struct world_program *p, const Control__Message *asked)
{
    struct rill_error err = {""};
    int rc;

    if (p->active && asked->number == p->activated_by) {
        answer_activated(p, asked);
        return;
    }
    if (p->domain != NULL) {
        answer_error(p, asked, "activated already: a role is activated once in its life");
        return;
    }
    rc = enter_domain(p, asked->activate, &err);
    if (rc == 0)
        rc = world_core_activate(p, asked->activate, &err);
    if (rc != 0) {
        world_fail(p->w, "ACTIVATE", "%08x can not be activated: %s", p->id, err.text);
        answer_error(p, asked, err.text);
        give_up(p);
        return;
    }
    p->active = true;
    p->activated_by = asked->number;
    p->epoch = asked->activate->epoch;
    p->taking_over = asked->activate->takes_over;
    p->logger = asked->activate->output_logger;
    p->due_ns = world_core_next_ns(p);
    answer_activated(p, asked);
}

static void look_at_links(struct world *w, const struct world_event *event)
{
    struct world_program *p = event->data;
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Done done = CONTROL__DONE__INIT;

    if (!p->active || !p->links.pending || p->links.number != event->a)
        return;
    RILL_CONTROL_SET(&m, DONE, done, &done);
    if (!world_program_stands_still(p) && world_links_are_up(p->domain, &p->links) &&
        answer(p, p->links.asker, p->links.number, &m))
        p->links.pending = false;
    else if (p->still_until != UINT64_MAX)
        world_at(w, RTE_MAX(p->still_until, w->now_ns + LOOK_NS), look_at_links, p, event->a, 0);
}

static void set_peers(struct world_program *p, const Control__Message *asked)
{
    if (!p->active) {
        answer_error(p, asked, "not activated yet: it can't have peers");
        return;
    }
    p->client = asked->peers->egress;
    world_links_set(p->domain, &p->links, asked);
    world_at(p->w, p->w->now_ns, look_at_links, p, p->links.number, 0);
}

static void on_lease(struct world_program *p, const Control__Message *m)
{
    struct rte_mbuf *frame;

    if (!p->active)
        return;
    if (m->body_case == CONTROL__MESSAGE__BODY_NEW_LOGGER)
        p->logger = m->new_logger->output_logger;
    frame = rill_lease_to_frame(m, p->id, p->w->pool);
    if (frame == NULL)
        return;
    world_core_recv(p, &frame, 1);
    flush(p);
}

static void on_error(struct world_program *p, const Control__Message *m)
{
    if (m->number == JOIN_NUMBER)
        give_up(p);
}

static void refuse(struct world_program *p, const Control__Message *m)
{
    world_fail(p->w, "CONTROL", "%08x was told %s", p->id, rill_control_name(m));
    answer_error(p, m, "takes no such message");
}

void world_program_message(struct world_program *p, const Control__Message *m)
{
    if (m->to != 0 && m->to != p->id) {
        world_fail(p->w, "CONTROL", "%08x was given a message for %08x", p->id, m->to);
        return;
    }
    if (p->ending || (m->rm_number != 0 && m->rm_number < p->rm_number && !RILL_MUTANT(old_rm)))
        return;
    if (m->rm_number != 0 && m->rm_number < p->rm_number)
        world_fail(p->w, "FENCE",
                   "%08x is told %s by resource manager %" PRIu64 ", and has heard of %" PRIu64,
                   p->id, rill_control_name(m), m->rm_number, p->rm_number);
    p->rm_number = RTE_MAX(p->rm_number, m->rm_number);
    switch (m->body_case) {
    case CONTROL__MESSAGE__BODY_WELCOME:
    case CONTROL__MESSAGE__BODY_DONE:
        break;
    case CONTROL__MESSAGE__BODY_ERROR:
        on_error(p, m);
        break;
    case CONTROL__MESSAGE__BODY_ACTIVATE:
        activate(p, m);
        break;
    case CONTROL__MESSAGE__BODY_PEERS:
        set_peers(p, m);
        break;
    case CONTROL__MESSAGE__BODY_SHARE:
    case CONTROL__MESSAGE__BODY_LEASE_GRANT:
    case CONTROL__MESSAGE__BODY_DEATH:
    case CONTROL__MESSAGE__BODY_RECOVERED_ACK:
    case CONTROL__MESSAGE__BODY_NEW_LOGGER:
    case CONTROL__MESSAGE__BODY_MEMBERS:
        on_lease(p, m);
        break;
    default:
        refuse(p, m);
        break;
    }
}
