#include <errno.h>
#include <string.h>

#include "cli/remote_run.h"
#include "lib/frame/frame.h"

enum { BURST = 32 };

static bool holds(const uint32_t *roles, size_t count, uint32_t role)
{
    for (size_t i = 0; i < count; i++)
        if (roles[i] == role)
            return true;
    return false;
}

/* --- packets in ------------------------------------------------------------------------------ */

/* Of this run: a packet that an earlier replayer left behind may come out late. */
static bool is_ours(const struct remote *r, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    return f->type == RILL_FRAME_RELEASED && rill_frame_has_packet(m) && f->ingress_id >= 1 &&
           f->ingress_id <= r->player.next_packet && f->ingress_ns >= r->player.start_ns &&
           f->ingress_ns <= r->player.now_ns && f->side <= RILL_OUTSIDE;
}

static void take(struct remote *r, struct rte_mbuf *m)
{
    uint64_t index = rill_frame(m)->ingress_id - 1;
    uint8_t bit = (uint8_t)(1u << (index % 8));

    if (!is_ours(r, m)) {
        r->unexpected++;
        rte_pktmbuf_free(m);
        return;
    }
    r->released_twice += (r->released[index / 8] & bit) != 0;
    r->released[index / 8] |= bit;
    rill_player_released(&r->player, m, r->player.now_ns);
}

bool remote_receive(struct remote *r)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n;

    if (r->fabric == NULL)
        return false;
    n = r->fabric->ops->recv(r->fabric, rill_client_role(r->client), frames, BURST,
                             r->player.now_ns);
    for (uint32_t i = 0; i < n; i++)
        take(r, frames[i]);
    return n > 0;
}

/* --- links ----------------------------------------------------------------------------------- */

static int make_fabric(struct remote *r, const char *folder, struct rill_error *err)
{
    struct rill_fabric_memif_config config = {
        .folder = folder, .ring_frames = RILL_FABRIC_MEMIF_RING_FRAMES, .pool = r->player.pool};

    if (r->fabric != NULL)
        return 0;
    r->role = rill_client_role(r->client);
    r->fabric = rill_fabric_memif_create(&config, err);
    return r->fabric == NULL ? -EIO
                             : r->fabric->ops->attach(r->fabric, rill_client_role(r->client), err);
}

/* A link that is taken down loses what is still in its ring: what its peer had sent before it died
 * is taken in first. A ring's worth for each, as others go on sending. */
static void receive_all(struct remote *r)
{
    uint32_t bursts = (r->links.count + 1) * (RILL_FABRIC_MEMIF_RING_FRAMES / BURST);

    r->player.now_ns = rill_player_clock_ns();
    while (bursts-- > 0 && remote_receive(r))
        ;
}

static void unlink_others(struct remote *r, const Control__Peers *wanted)
{
    struct remote_links *links = &r->links;
    uint32_t kept = 0, had = links->count;

    for (uint32_t i = 0; i < had; i++)
        kept += holds(wanted->roles, wanted->n_roles, links->roles[i]);
    if (kept == had)
        return;
    receive_all(r);
    kept = 0;
    for (uint32_t i = 0; i < had; i++) {
        if (holds(wanted->roles, wanted->n_roles, links->roles[i]))
            links->roles[kept++] = links->roles[i];
        else
            rill_fabric_memif_unlink(r->fabric, rill_client_role(r->client), links->roles[i]);
    }
    links->count = kept;
}

static int link_new(struct remote *r, const Control__Peers *wanted, struct rill_error *err)
{
    struct remote_links *links = &r->links;

    for (size_t i = 0; i < wanted->n_roles; i++) {
        int rc;

        if (holds(links->roles, links->count, wanted->roles[i]))
            continue;
        if (links->count == REMOTE_LINKS_MAX)
            return rill_error_set(err, -ENOSPC, "more than %d links", REMOTE_LINKS_MAX);
        rc = rill_fabric_memif_link(r->fabric, rill_client_role(r->client), wanted->roles[i], err);
        if (rc != 0)
            return rc;
        links->roles[links->count++] = wanted->roles[i];
    }
    return 0;
}

static void answer_error(struct remote *r, const Control__Message *request, struct rill_error *err)
{
    Control__Message m = rill_client_message_to(r->client, 0);
    Control__Error body = CONTROL__ERROR__INIT;

    body.text = err->text;
    RILL_CONTROL_SET(&m, ERROR, error, &body);
    rill_client_answer(r->client, request, &m);
}

void remote_on_peers(struct remote *r, const Control__Message *message)
{
    const Control__Peers *wanted = message->peers;
    struct rill_error err;
    int rc = 0;

    remote_note_controllers(r, wanted); /* whose link is not up yet, packets find no way to */
    rill_control_free(r->links.asked);  /* superseded, and not answered any more */
    r->links.asked = NULL;
    r->detached = r->attached != NULL && wanted->n_roles == 0;
    if (r->fabric != NULL)
        unlink_others(r, wanted);
    if (wanted->n_roles > 0)
        rc = make_fabric(r, wanted->links_folder, &err);
    if (rc == 0)
        rc = link_new(r, wanted, &err);
    if (rc == 0)
        r->links.asked = rill_client_copy(message);
    else
        answer_error(r, message, &err);
    if (rc != 0)
        r->failure = err;
    r->roles.status_wanted = true; /* somebody came or went */
}

void remote_look_at_links(struct remote *r)
{
    Control__Message m = rill_client_message_to(r->client, 0);
    Control__Done done = CONTROL__DONE__INIT;

    if (r->links.asked == NULL)
        return;
    for (uint32_t i = 0; i < r->links.count; i++)
        if (!rill_fabric_memif_is_up(r->fabric, rill_client_role(r->client), r->links.roles[i]))
            return;
    RILL_CONTROL_SET(&m, DONE, done, &done);
    rill_client_answer(r->client, r->links.asked, &m);
    rill_control_free(r->links.asked);
    r->links.asked = NULL;
}

void remote_links_fini(struct remote *r)
{
    rill_control_free(r->links.asked);
    if (r->fabric != NULL)
        r->fabric->ops->destroy(r->fabric);
}
