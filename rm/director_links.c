#include <string.h>

#include "lib/base/mutant.h"
#include "rm/director_internal.h"

bool dir_has_id(const struct dir_ids *set, uint32_t id)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->ids[i] == id)
            return true;
    return false;
}

static void add(struct dir_ids *set, uint32_t id)
{
    if (id != 0 && set->count < DIR_LINKS_MAX)
        set->ids[set->count++] = id;
}

static bool same(const struct dir_ids *a, const struct dir_ids *b)
{
    return a->count == b->count && memcmp(a->ids, b->ids, a->count * sizeof(a->ids[0])) == 0;
}

/* What is in both, in the order of `a`. */
static struct dir_ids both(const struct dir_ids *a, const struct dir_ids *b)
{
    struct dir_ids set = {.count = 0};

    for (uint32_t i = 0; i < a->count; i++)
        if (dir_has_id(b, a->ids[i]))
            add(&set, a->ids[i]);
    return set;
}

static bool is_active(const struct rill_director *d, uint32_t id)
{
    const struct dir_role *role = dir_role(d, id);

    return role != NULL && role->state == DIR_ACTIVE;
}

bool dir_controllers_are_active(const struct rill_director *d, const struct dir_deployment *dep)
{
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        if (!is_active(d, dep->slots[i].controller))
            return false;
    return true;
}

/* Who takes the place of another, finds what there is by then. */
static bool has_controllers(const struct rill_director *d, const struct dir_deployment *dep)
{
    if (!dep->deployed)
        return dir_controllers_are_active(d, dep);
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        if (is_active(d, dep->slots[i].controller))
            return true;
    return false;
}

bool dir_pair_is_active(const struct rill_director *d, const struct dir_deployment *dep,
                        const struct dir_pair *pair)
{
    return has_controllers(d, dep) && is_active(d, pair->unit) && is_active(d, pair->output_logger);
}

/* Its unit may have links: all of it is there, or its output logger is being replaced, or the
 * controller of a deployment that goes on meanwhile. */
static bool is_linkable(const struct rill_director *d, const struct dir_deployment *dep,
                        const struct dir_pair *pair)
{
    return (dep->deployed || dir_controllers_are_active(d, dep)) && is_active(d, pair->unit) &&
           (pair->leasable || is_active(d, pair->output_logger));
}

/* --- who has links to whom -------------------------------------------------------------------- */

static void add_active(const struct rill_director *d, struct dir_ids *set, uint32_t id)
{
    if (is_active(d, id))
        add(set, id);
}

static void add_controllers(const struct rill_director *d, const struct dir_deployment *dep,
                            struct dir_ids *set)
{
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        add_active(d, set, dep->slots[i].controller);
}

/* Output loggers of dead units: whoever goes on with a flow asks them. */
static void add_mourned(const struct rill_director *d, const struct dir_deployment *dep,
                        struct dir_ids *set)
{
    for (uint32_t i = 0; i < dep->mourned_count; i++)
        add_active(d, set, dep->mourned[i].output_logger);
}

static void add_units(const struct rill_director *d, const struct dir_deployment *dep,
                      const struct dir_pair *but, struct dir_ids *set)
{
    for (uint32_t i = 0; i < dep->spec->units; i++)
        if (&dep->pairs[i] != but && is_linkable(d, dep, &dep->pairs[i]))
            add(set, dep->pairs[i].unit);
}

static void add_loggers(const struct rill_director *d, const struct dir_deployment *dep,
                        struct dir_ids *set)
{
    for (uint32_t i = 0; i < dep->spec->units; i++)
        if (is_linkable(d, dep, &dep->pairs[i]))
            add_active(d, set, dep->pairs[i].output_logger);
    add_mourned(d, dep, set);
}

static struct dir_ids peers_of_controller(const struct rill_director *d,
                                          const struct dir_deployment *dep)
{
    struct dir_ids peers = {.count = 0};

    add_units(d, dep, NULL, &peers);
    add_loggers(d, dep, &peers);
    add(&peers, dep->client);
    return peers;
}

static struct dir_ids peers_of_unit(const struct rill_director *d, const struct dir_deployment *dep,
                                    const struct dir_pair *pair)
{
    struct dir_ids peers = {.count = 0};

    add_controllers(d, dep, &peers);
    add_active(d, &peers, pair->output_logger);
    add_units(d, dep, pair, &peers);
    add_mourned(d, dep, &peers);
    return peers;
}

static struct dir_ids peers_of_logger(const struct rill_director *d,
                                      const struct dir_deployment *dep, uint32_t unit)
{
    struct dir_ids peers = {.count = 0};

    add_controllers(d, dep, &peers);
    add(&peers, unit);
    add(&peers, dep->client);
    return peers;
}

static struct dir_ids peers_of_mourned(const struct rill_director *d,
                                       const struct dir_deployment *dep)
{
    struct dir_ids peers = {.count = 0};

    add_controllers(d, dep, &peers);
    add_units(d, dep, NULL, &peers);
    add(&peers, dep->client);
    return peers;
}

static struct dir_ids peers_of_client(const struct rill_director *d,
                                      const struct dir_deployment *dep)
{
    struct dir_ids peers = {.count = 0};

    add_controllers(d, dep, &peers);
    add_loggers(d, dep, &peers);
    return peers;
}

/* --- telling them ----------------------------------------------------------------------------- */

static void fill_peers(Control__Peers *body, struct dir_links *links)
{
    body->n_roles = links->told.count;
    body->roles = links->told.ids;
    body->egress = links->egress;
}

/* What a client has to know besides. */
struct for_client {
    char folder[DIR_LINE_BYTES];
    uint32_t controllers[RILL_DIRECTOR_CONTROLLERS_MAX];
};

/* `dep` NULL: it was detached, and has no links there any more. */
static void fill_for_client(const struct rill_director *d, const struct dir_deployment *dep,
                            struct for_client *more, const struct dir_ids *peers,
                            Control__Peers *body)
{
    snprintf(more->folder, sizeof(more->folder), "%s/%s", d->config.links_root_host,
             dep == NULL ? "" : dep->folder);
    body->links_folder = more->folder;
    if (dep == NULL)
        return;
    for (uint32_t i = 0; i < dep->spec->controllers; i++) {
        uint32_t at = RILL_MUTANT(slot_moved) ? dep->spec->controllers - 1 - i : i;
        uint32_t id = dep->slots[at].controller;

        more->controllers[i] = dir_has_id(peers, id) ? id : 0;
    }
    body->n_controllers = dep->spec->controllers;
    body->controllers = more->controllers;
}

/* The one before may still be answered, and what it says then is of use; but nobody waits for it.
 */
static void supersede(struct rill_director *d, uint32_t id)
{
    struct dir_request *newest = dir_find_request_about(d, DIR_PEERS, id);

    for (uint32_t i = 0; i < d->request_count;) {
        struct dir_request *request = &d->requests[i];

        if (request->kind == DIR_PEERS && request->about == id && request->due_ns == UINT64_MAX &&
            request != newest) {
            dir_remove_request(d, request);
            newest--; /* it is behind, and moved up */
        } else {
            i++;
        }
    }
    if (newest != NULL)
        newest->due_ns = UINT64_MAX;
}

static void tell(struct rill_director *d, uint32_t to, struct dir_links *links,
                 const struct dir_ids *peers, uint32_t egress,
                 const struct dir_deployment *client_of)
{
    Control__Message m = rill_control_message(d->config.id, to, 0);
    Control__Peers body = CONTROL__PEERS__INIT;
    struct for_client more;

    if (same(peers, &links->told) && egress == links->egress)
        return;
    links->told = *peers;
    links->up = both(peers, &links->up);
    links->egress = egress;
    fill_peers(&body, links);
    if (client_of != NULL)
        fill_for_client(d, client_of, &more, peers, &body);
    RILL_CONTROL_SET(&m, PEERS, peers, &body);
    supersede(d, to);
    dir_ask(d, &m, DIR_PEERS, to, dir_timeout_of(d, DIR_PEERS), peers);
}

static void tell_role(struct rill_director *d, uint32_t id, struct dir_ids peers, uint32_t egress)
{
    struct dir_role *role = dir_role(d, id);

    if (role != NULL && role->state == DIR_ACTIVE)
        tell(d, id, &role->links, &peers, egress, NULL);
}

void dir_tell_client(struct rill_director *d, struct dir_client *client,
                     const struct dir_deployment *dep, const struct dir_ids *peers)
{
    tell(d, client->id, &client->links, peers, 0, dep);
}

void dir_settle_links(struct rill_director *d, struct dir_deployment *dep)
{
    struct dir_client *client = dir_client(d, dep->client);

    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        tell_role(d, dep->slots[i].controller, peers_of_controller(d, dep), 0);
    for (uint32_t i = 0; i < dep->spec->units; i++) {
        const struct dir_pair *pair = &dep->pairs[i];

        if (!is_linkable(d, dep, pair))
            continue;
        tell_role(d, pair->unit, peers_of_unit(d, dep, pair), 0);
        tell_role(d, pair->output_logger, peers_of_logger(d, dep, pair->unit), dep->client);
    }
    for (uint32_t i = 0; i < dep->mourned_count; i++)
        tell_role(d, dep->mourned[i].output_logger, peers_of_mourned(d, dep), dep->client);
    if (client != NULL) {
        struct dir_ids peers = peers_of_client(d, dep);

        dir_tell_client(d, client, dep, &peers);
    }
}

void dir_repeat_peers(struct rill_director *d, const struct dir_role *role)
{
    struct dir_request *asked = dir_find_request_about(d, DIR_PEERS, role->id);
    struct dir_links links = role->links;
    Control__Message m = rill_control_message(d->config.id, role->id, 0);
    Control__Peers body = CONTROL__PEERS__INIT;

    if (RILL_MUTANT(peers_once) || asked == NULL || asked->due_ns == UINT64_MAX)
        return;
    m.number = asked->number;
    fill_peers(&body, &links);
    RILL_CONTROL_SET(&m, PEERS, peers, &body);
    dir_send(d, &m);
}

void dir_repeat_client_peers(struct rill_director *d, const struct dir_client *client)
{
    struct dir_request *asked = dir_find_request_about(d, DIR_PEERS, client->id);
    const struct dir_deployment *dep = dir_deployment(d, client->vni);
    struct dir_links links = client->links;
    Control__Message m = rill_control_message(d->config.id, client->id, 0);
    Control__Peers body = CONTROL__PEERS__INIT;
    struct for_client more;

    if (asked == NULL)
        return;
    m.number = asked->number;
    fill_peers(&body, &links);
    fill_for_client(d, dep, &more, &client->links.told, &body);
    RILL_CONTROL_SET(&m, PEERS, peers, &body);
    dir_send(d, &m);
}

/* The client that it has no link to yet; 0: it has, or there is none. */
uint32_t dir_missing_client(const struct dir_links *links)
{
    for (uint32_t i = 0; i < links->told.count; i++)
        if (rill_role_kind(links->told.ids[i]) == RILL_ROLE_CLIENT &&
            !dir_has_id(&links->up, links->told.ids[i]))
            return links->told.ids[i];
    return 0;
}

/* --- what they say ---------------------------------------------------------------------------- */

void dir_on_peers_done(struct rill_director *d, struct dir_links *links,
                       const struct dir_request *request)
{
    struct dir_request done = *request;

    links->up = both(&links->told, &done.peers);
    for (uint32_t i = 0; i < d->request_count;) { /* it, and any before it */
        struct dir_request *other = &d->requests[i];

        if (other->kind == DIR_PEERS && other->about == done.about && other->number <= done.number)
            dir_remove_request(d, other);
        else
            i++;
    }
}

/* Whoever of `ids` has been told of `id` has a link to it. */
static bool reached_by(const struct rill_director *d, uint32_t id, const struct dir_ids *ids)
{
    for (uint32_t i = 0; i < ids->count; i++) {
        const struct dir_role *role = dir_role(d, ids->ids[i]);

        if (role != NULL && dir_has_id(&role->links.told, id) && !dir_has_id(&role->links.up, id))
            return false;
    }
    return true;
}

/* All its links but one to a client, which is not needed to do its work. */
static bool reaches_all(const struct dir_role *role)
{
    for (uint32_t i = 0; i < role->links.told.count; i++) {
        uint32_t id = role->links.told.ids[i];

        if (rill_role_kind(id) != RILL_ROLE_CLIENT && !dir_has_id(&role->links.up, id))
            return false;
    }
    return true;
}

static bool is_linked(const struct rill_director *d, const struct dir_role *role)
{
    return role->links.told.count > 0 && reaches_all(role) &&
           reached_by(d, role->id, &role->links.told);
}

bool dir_pair_is_linked(const struct rill_director *d, const struct dir_deployment *dep,
                        const struct dir_pair *pair)
{
    return dir_pair_is_active(d, dep, pair) && is_linked(d, dir_role(d, pair->unit)) &&
           is_linked(d, dir_role(d, pair->output_logger));
}

bool dir_client_is_linked(const struct rill_director *d, const struct dir_deployment *dep,
                          const struct dir_client *client)
{
    const struct dir_links *links = &client->links;

    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        if (!dir_has_id(&links->up, dep->slots[i].controller))
            return false;
    return dep->client == client->id && links->up.count == links->told.count &&
           reached_by(d, client->id, &links->told);
}
