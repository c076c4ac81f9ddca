#include "lib/control/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum { LEASES_MAX = RILL_BODY_MAX / sizeof(struct rill_lease) };
_Static_assert((int)LEASES_MAX <= (int)RILL_CONTROL_LIST_MAX,
               "a grant's leases fit into a message");

/* --- frame to message ------------------------------------------------------------------------- */

static int send_grant(struct rte_mbuf *frame, Control__Message *m,
                      void (*send)(void *arg, const Control__Message *message), void *arg)
{
    const struct rill_frame *f = rill_frame(frame);
    Control__LeaseGrant grant = CONTROL__LEASE_GRANT__INIT;
    Control__Lease *leases, **list;

    if (f->count > LEASES_MAX || frame->pkt_len != f->count * sizeof(struct rill_lease))
        return -EINVAL;
    leases = calloc(f->count + 1, sizeof(*leases));
    list = calloc(f->count + 1, sizeof(list[0]));
    for (uint32_t i = 0; leases != NULL && list != NULL && i < f->count; i++) {
        struct rill_lease lease;

        rill_body_read(frame, i * (uint32_t)sizeof(lease), &lease, sizeof(lease));
        control__lease__init(&leases[i]);
        leases[i].unit = lease.unit;
        leases[i].output_logger = lease.output_logger;
        leases[i].share = lease.share;
        leases[i].capacity_bps = lease.capacity_bps;
        list[i] = &leases[i];
    }
    if (leases != NULL && list != NULL) {
        grant.number = f->clock;
        grant.epoch = f->epoch;
        grant.n_leases = f->count;
        grant.leases = list;
        RILL_CONTROL_SET(m, LEASE_GRANT, lease_grant, &grant);
        send(arg, m);
    } /* else: lost, and asked for again */
    free(list);
    free(leases);
    return 0;
}

int rill_lease_from_frame(struct rte_mbuf *frame,
                          void (*send)(void *arg, const Control__Message *message), void *arg)
{
    const struct rill_frame *f = rill_frame(frame);
    Control__Message m = rill_control_message(f->src, f->dst, 0);
    Control__LeaseRequest request = CONTROL__LEASE_REQUEST__INIT;
    Control__Share share = CONTROL__SHARE__INIT;
    Control__ShareAck ack = CONTROL__SHARE_ACK__INIT;

    switch (f->type) {
    case RILL_FRAME_LEASE_GRANT:
        return send_grant(frame, &m, send, arg);
    case RILL_FRAME_LEASE_REQUEST:
        request.number = f->clock;
        request.want = f->count;
        request.epoch = f->epoch;
        RILL_CONTROL_SET(&m, LEASE_REQUEST, lease_request, &request);
        break;
    case RILL_FRAME_SHARE:
        share.number = f->clock;
        share.controller = f->next_unit;
        share.share = f->count;
        RILL_CONTROL_SET(&m, SHARE, share, &share);
        break;
    case RILL_FRAME_SHARE_ACK:
        ack.number = f->clock;
        ack.controller = f->next_unit;
        ack.share = f->count;
        RILL_CONTROL_SET(&m, SHARE_ACK, share_ack, &ack);
        break;
    default:
        return -EINVAL;
    }
    send(arg, &m);
    return 0;
}

/* --- message to frame ------------------------------------------------------------------------- */

static bool append_leases(struct rte_mbuf *frame, const Control__LeaseGrant *grant,
                          struct rte_mempool *pool)
{
    for (size_t i = 0; i < grant->n_leases; i++) {
        const Control__Lease *from = grant->leases[i];
        struct rill_lease lease = {.unit = from->unit,
                                   .output_logger = from->output_logger,
                                   .share = from->share,
                                   .capacity_bps = from->capacity_bps};

        if (rill_body_append(frame, pool, &lease, sizeof(lease)) != 0)
            return false;
    }
    return true;
}

static struct rte_mbuf *grant_frame(const Control__Message *m, uint32_t dst,
                                    struct rte_mempool *pool)
{
    const Control__LeaseGrant *grant = m->lease_grant;
    struct rte_mbuf *frame;

    if (grant->n_leases > LEASES_MAX)
        return NULL;
    frame = rill_frame_new(pool, RILL_FRAME_LEASE_GRANT, m->from, dst);
    if (frame == NULL)
        return NULL;
    rill_frame(frame)->clock = grant->number;
    rill_frame(frame)->epoch = (uint16_t)grant->epoch;
    rill_frame(frame)->count = (uint32_t)grant->n_leases;
    if (append_leases(frame, grant, pool))
        return frame;
    rte_pktmbuf_free(frame);
    return NULL;
}

static struct rte_mbuf *small_frame(const Control__Message *m, uint32_t dst,
                                    struct rte_mempool *pool, enum rill_frame_type type)
{
    struct rte_mbuf *frame = rill_frame_new(pool, type, m->from, dst);
    struct rill_frame *f;

    if (frame == NULL)
        return NULL;
    f = rill_frame(frame);
    if (type == RILL_FRAME_LEASE_REQUEST) {
        f->clock = m->lease_request->number;
        f->count = m->lease_request->want;
        f->epoch = (uint16_t)m->lease_request->epoch;
    } else if (type == RILL_FRAME_SHARE) {
        f->clock = m->share->number;
        f->next_unit = m->share->controller;
        f->count = m->share->share;
    } else {
        f->clock = m->share_ack->number;
        f->next_unit = m->share_ack->controller;
        f->count = m->share_ack->share;
    }
    return frame;
}

struct rte_mbuf *rill_lease_to_frame(const Control__Message *message, uint32_t dst,
                                     struct rte_mempool *pool)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_LEASE_REQUEST:
        return small_frame(message, dst, pool, RILL_FRAME_LEASE_REQUEST);
    case CONTROL__MESSAGE__BODY_LEASE_GRANT:
        return grant_frame(message, dst, pool);
    case CONTROL__MESSAGE__BODY_SHARE:
        return small_frame(message, dst, pool, RILL_FRAME_SHARE);
    case CONTROL__MESSAGE__BODY_SHARE_ACK:
        return small_frame(message, dst, pool, RILL_FRAME_SHARE_ACK);
    default:
        return NULL;
    }
}
