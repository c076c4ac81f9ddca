/* Whom this process has links to. */
#include <errno.h>

#include "lib/daemon/role_internal.h"

static bool holds(const uint32_t *roles, size_t count, uint32_t role)
{
    for (size_t i = 0; i < count; i++)
        if (roles[i] == role)
            return true;
    return false;
}

/* A link that is taken down loses what is still in its rings: what a peer had sent before it died
 * is taken in first. A ring's worth for each link, as others go on sending. */
static void receive_all(struct role_process *p)
{
    uint32_t bursts = (p->peers.count + 1) * (RILL_FABRIC_MEMIF_RING_FRAMES / ROLE_BURST);

    while (bursts-- > 0 && role_receive(p, rill_daemon_now_ns()) > 0)
        ;
}

static void unlink_others(struct role_process *p, const Control__Peers *wanted)
{
    struct role_peers *peers = &p->peers;
    uint32_t kept = 0, had = peers->count;

    for (uint32_t i = 0; i < had; i++)
        kept += holds(wanted->roles, wanted->n_roles, peers->linked[i]);
    if (kept == had)
        return;
    receive_all(p);
    kept = 0;
    for (uint32_t i = 0; i < had; i++) {
        if (holds(wanted->roles, wanted->n_roles, peers->linked[i]))
            peers->linked[kept++] = peers->linked[i];
        else
            rill_fabric_memif_unlink(p->fabric, p->host.role, peers->linked[i]);
    }
    peers->count = kept;
}

static int link_new(struct role_process *p, const Control__Peers *wanted, struct rill_error *err)
{
    struct role_peers *peers = &p->peers;

    for (size_t i = 0; i < wanted->n_roles; i++) {
        int rc;

        if (holds(peers->linked, peers->count, wanted->roles[i]))
            continue;
        rc = rill_fabric_memif_link(p->fabric, p->host.role, wanted->roles[i], err);
        if (rc != 0)
            return rc;
        peers->linked[peers->count++] = wanted->roles[i];
    }
    return 0;
}

/* Where released packets go; to a controller: whose packets come in. */
static uint32_t client_of(const struct role_process *p, const Control__Peers *wanted)
{
    if (p->ops->kind != RILL_ROLE_CONTROLLER)
        return wanted->egress;
    for (size_t i = 0; i < wanted->n_roles; i++)
        if (rill_role_kind(wanted->roles[i]) == RILL_ROLE_CLIENT)
            return wanted->roles[i];
    return 0;
}

void role_peers_set(struct role_process *p, const struct role_asker *asker,
                    const Control__Peers *wanted)
{
    struct rill_error err;

    if (!p->active) {
        role_answer_error(p, asker, "not activated yet: it can't have peers");
        return;
    }
    p->peers.pending = false; /* the one before is superseded, and not answered any more */
    unlink_others(p, wanted);
    if (p->ops->egress != NULL)
        p->ops->egress(p->ops->arg, client_of(p, wanted));
    if (link_new(p, wanted, &err) != 0) {
        role_answer_error(p, asker, err.text);
        return;
    }
    p->peers.asker = *asker;
    p->peers.pending = true;
}

void role_peers_look(struct role_process *p)
{
    struct role_peers *peers = &p->peers;

    if (!peers->pending)
        return;
    for (uint32_t i = 0; i < peers->count; i++)
        if (!rill_fabric_memif_is_up(p->fabric, p->host.role, peers->linked[i]))
            return;
    peers->pending = !role_answer_done(p, &peers->asker); /* the agent may be away */
}
