/* What the roles of one deployment share: the folder with their links, the fabric that these are
 * of, and what is true about the packets that went in. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/epoch.h"
#include "tests/sim/world.h"

#define LINK_NS (10 * WORLD_MS)    /* until a link is up, at most */
#define FRESH_NS (75 * WORLD_MS)   /* flow_idle_s less frame_life_ms, as world_plan.c has them */
#define QUIET_NS (2000 * WORLD_MS) /* after a death all is recovered from, and filled again */

/* --- folders ---------------------------------------------------------------------------------- */

struct world_domain *world_domain_make(struct world *w, const char *folder)
{
    struct rill_fabric_sim_config config = w->plan.network;
    struct world_domain *domain = world_alloc(sizeof(*domain));
    struct rill_error err;

    if (w->domain_count == WORLD_DOMAINS_MAX)
        abort();
    config.seed = rill_rng_u64(&w->rng);
    config.pool = w->pool;
    *domain = (struct world_domain){.w = w,
                                    .fabric = rill_fabric_sim_create(&config, &err),
                                    .check = sim_check_create(&w->plan.check, w->trace)};
    if (domain->fabric == NULL || domain->check == NULL)
        abort();
    snprintf(domain->folder, sizeof(domain->folder), "%s", folder);
    w->domains[w->domain_count++] = domain;
    return domain;
}

struct world_domain *world_domain_of(struct world *w, const char *path)
{
    const char *name = strrchr(path, '/');

    name = name == NULL ? path : name + 1;
    for (uint32_t i = w->domain_count; i-- > 0;)
        if (strcmp(w->domains[i]->folder, name) == 0)
            return w->domains[i];
    return NULL;
}

void world_domain_destroy(struct world_domain *domain)
{
    domain->fabric->ops->destroy(domain->fabric);
    sim_check_destroy(domain->check);
    free(domain);
}

/* --- links ------------------------------------------------------------------------------------ */

static struct world_link *find_link(struct world_domain *domain, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < domain->link_count; i++) {
        struct world_link *link = &domain->links[i];

        if ((link->ids[0] == a && link->ids[1] == b) || (link->ids[0] == b && link->ids[1] == a))
            return link;
    }
    return NULL;
}

void world_domain_link(struct world_domain *domain, uint32_t from, uint32_t to)
{
    struct world_link *link = find_link(domain, from, to);

    if (link == NULL) {
        if (domain->link_count == RTE_DIM(domain->links))
            abort();
        link = &domain->links[domain->link_count++];
        *link = (struct world_link){.ids = {from, to}};
    }
    link->wanted[link->ids[1] == from] = true;
    if (link->wanted[0] && link->wanted[1])
        link->up_ns = domain->w->now_ns + 1 + world_draw(domain->w, LINK_NS);
}

static void unlink_end(struct world_link *link, uint32_t from)
{
    link->wanted[link->ids[1] == from] = false;
    link->up = false;
}

void world_domain_unlink(struct world_domain *domain, uint32_t from, uint32_t to)
{
    struct world_link *link = find_link(domain, from, to);

    if (link != NULL)
        unlink_end(link, from);
}

void world_domain_unlink_all(struct world_domain *domain, uint32_t from)
{
    for (uint32_t i = 0; i < domain->link_count; i++) {
        struct world_link *link = &domain->links[i];

        if (link->ids[0] == from || link->ids[1] == from)
            unlink_end(link, from);
        if (!link->wanted[0] && !link->wanted[1]) /* ids may come again, in another folder */
            domain->links[i--] = domain->links[--domain->link_count];
    }
}

static bool moves(struct world *w, uint32_t id)
{
    const struct world_program *p = world_program(w, id, true);

    return p == NULL || !world_program_stands_still(p);
}

/* Both ends have to do something before it is up. */
bool world_domain_is_linked(struct world_domain *domain, uint32_t a, uint32_t b)
{
    struct world_link *link = find_link(domain, a, b);

    if (link == NULL || !link->wanted[0] || !link->wanted[1])
        return false;
    if (!link->up && domain->w->now_ns >= link->up_ns)
        link->up = moves(domain->w, a) && moves(domain->w, b);
    return link->up;
}

static bool has(const uint32_t *ids, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

void world_links_set(struct world_domain *domain, struct world_links *links,
                     const Control__Message *asked)
{
    const Control__Peers *wanted = asked->peers;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < links->count; i++) {
        if (has(wanted->roles, wanted->n_roles, links->to[i]))
            links->to[kept++] = links->to[i];
        else
            world_domain_unlink(domain, links->id, links->to[i]);
    }
    links->count = kept;
    for (size_t i = 0; i < wanted->n_roles; i++) {
        if (has(links->to, links->count, wanted->roles[i]))
            continue;
        if (links->count == WORLD_PEERS_MAX)
            abort(); /* the director has to know how many links a process can have */
        world_domain_link(domain, links->id, wanted->roles[i]);
        links->to[links->count++] = wanted->roles[i];
    }
    links->asker = asked->from;
    links->number = asked->number;
    links->pending = true;
}

bool world_links_are_up(struct world_domain *domain, const struct world_links *links)
{
    for (uint32_t i = 0; i < links->count; i++)
        if (!world_domain_is_linked(domain, links->id, links->to[i]))
            return false;
    return true;
}

/* --- frames ----------------------------------------------------------------------------------- */

void world_domain_send(struct world_domain *domain, struct world_program *from,
                       struct rte_mbuf **frames, uint32_t n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (world_domain_is_linked(domain, from->id, rill_frame(frames[i])->dst)) {
            frames[kept++] = frames[i];
            continue;
        }
        domain->no_link += rill_frame_has_packet(frames[i]);
        rte_pktmbuf_free(frames[i]);
    }
    if (kept > 0)
        domain->fabric->ops->send(domain->fabric, from->id, frames, kept, domain->w->now_ns);
}

static uint32_t slot_of(const struct world_program *controller)
{
    return rill_epoch_slot((uint16_t)controller->epoch);
}

struct world_program *world_domain_controller(const struct world_domain *domain, uint32_t slot)
{
    struct world *w = domain->w;
    struct world_program *newest = NULL;

    for (uint32_t i = 0; i < w->program_count; i++) {
        struct world_program *p = w->programs[i];

        if (p->domain == domain && p->core.controller != NULL && slot_of(p) == slot &&
            (newest == NULL || p->epoch > newest->epoch))
            newest = p;
    }
    return newest;
}

/* --- controllers that die --------------------------------------------------------------------- */

/* What only a unit and its output logger knew is gone with both, and who lost one has to have time
 * to put it elsewhere: flows are asked after only where no other died about then. */
static bool losses_are_over(const struct world_domain *domain)
{
    return domain->loss_ns == 0 || domain->w->now_ns - domain->loss_ns > QUIET_NS;
}

void world_domain_loses(struct world_domain *domain, struct world_program *p)
{
    if (p->core.controller == NULL) {
        domain->loss_ns = domain->w->now_ns;
        memset(domain->survive_ns, 0, sizeof(domain->survive_ns));
        sim_check_may_be_lost(domain->check);
    } else if (world_domain_controller(domain, slot_of(p)) == p && losses_are_over(domain)) {
        uint64_t *survive_ns = &domain->survive_ns[slot_of(p)];

        if (*survive_ns == 0)
            *survive_ns = domain->w->now_ns;
        sim_check_must_survive(domain->check, p->core.controller);
    }
}

void world_domain_taken_over(struct world_domain *domain, struct world_program *controller)
{
    uint32_t slot = slot_of(controller);

    world_note(domain->w, "%08x has taken over", controller->id);
    sim_check_time(domain->check, domain->w->now_ns);
    if (domain->survive_ns[slot] != 0)
        sim_check_survived(domain->check, controller->core.controller, slot,
                           domain->survive_ns[slot], FRESH_NS);
    domain->survive_ns[slot] = 0;
}

void world_domain_released(struct world_domain *domain, struct world_program *logger,
                           struct rte_mbuf *m)
{
    const struct world_program *controller =
        world_domain_controller(domain, rill_number_slot(rill_frame(m)->flow));
    struct world *w = domain->w;

    sim_check_look_at(domain->check, logger->core.ol,
                      controller == NULL ? NULL : controller->core.controller);
    sim_check_released(domain->check, m, w->now_ns);
    w->result->hash =
        sim_chain_next(w->result->hash ^ w->now_ns, rill_frame(m)->ingress_id ^ logger->id);
    domain->released++;
    rte_pktmbuf_free(m);
}

/* --- books ------------------------------------------------------------------------------------ */

void world_domain_balance(struct world_domain *domain)
{
    const struct rill_fabric_counters *n = &domain->fabric->counters;
    uint64_t in = domain->sent + n->doubled_packets;
    uint64_t out = domain->released + domain->dropped + domain->died + domain->no_link +
                   n->full_packets + n->no_route_packets + n->lost_packets +
                   domain->fabric->ops->packets_in_flight(domain->fabric);

    for (uint32_t i = 0; i < domain->w->program_count; i++) {
        const struct world_program *p = domain->w->programs[i];

        if (p->domain == domain && p->alive)
            out += world_core_drops(&p->core) + world_core_held(&p->core);
    }
    if (in != out)
        world_fail(domain->w, "BALANCE",
                   "%" PRIu64 " packets in and doubled, %" PRIu64
                   " released, dropped, in flight or lost with a role",
                   in, out);
}
