#include "lib/control/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum {
    LEASES_MAX = RILL_BODY_MAX / sizeof(struct rill_lease),
    MEMBERS_MAX = RILL_BODY_MAX / sizeof(struct rill_member)
};
_Static_assert((int)LEASES_MAX <= (int)RILL_CONTROL_LIST_MAX,
               "a grant's leases fit into a message");
_Static_assert((int)MEMBERS_MAX <= (int)RILL_CONTROL_LIST_MAX, "all members fit into a message");

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

static int send_members(struct rte_mbuf *frame, Control__Message *m,
                        void (*send)(void *arg, const Control__Message *message), void *arg)
{
    const struct rill_frame *f = rill_frame(frame);
    Control__Members body = CONTROL__MEMBERS__INIT;
    Control__Member *members, **list;

    if (f->count > MEMBERS_MAX || frame->pkt_len != f->count * sizeof(struct rill_member))
        return -EINVAL;
    members = calloc(f->count + 1, sizeof(*members));
    list = calloc(f->count + 1, sizeof(list[0]));
    for (uint32_t i = 0; members != NULL && list != NULL && i < f->count; i++) {
        struct rill_member member;

        rill_body_read(frame, i * (uint32_t)sizeof(member), &member, sizeof(member));
        control__member__init(&members[i]);
        members[i].unit = member.unit;
        members[i].output_logger = member.output_logger;
        members[i].dead = member.dead != 0;
        list[i] = &members[i];
    }
    if (members != NULL && list != NULL) {
        body.number = f->clock;
        body.n_members = f->count;
        body.members = list;
        RILL_CONTROL_SET(m, MEMBERS, members, &body);
        send(arg, m);
    } /* else: lost, and asked for again */
    free(list);
    free(members);
    return 0;
}

static void send_death_word(const struct rill_frame *f, Control__Message *m,
                            void (*send)(void *arg, const Control__Message *message), void *arg)
{
    Control__Death death = CONTROL__DEATH__INIT;
    Control__DeathAck death_ack = CONTROL__DEATH_ACK__INIT;
    Control__Recovered recovered = CONTROL__RECOVERED__INIT;
    Control__RecoveredAck recovered_ack = CONTROL__RECOVERED_ACK__INIT;

    death.unit = death_ack.unit = recovered.unit = recovered_ack.unit = f->next_unit;
    death.output_logger = death_ack.output_logger = f->count;
    if (f->type == RILL_FRAME_DEATH)
        RILL_CONTROL_SET(m, DEATH, death, &death);
    else if (f->type == RILL_FRAME_DEATH_ACK)
        RILL_CONTROL_SET(m, DEATH_ACK, death_ack, &death_ack);
    else if (f->type == RILL_FRAME_RECOVERED)
        RILL_CONTROL_SET(m, RECOVERED, recovered, &recovered);
    else
        RILL_CONTROL_SET(m, RECOVERED_ACK, recovered_ack, &recovered_ack);
    send(arg, m);
}

int rill_lease_from_frame(struct rte_mbuf *frame,
                          void (*send)(void *arg, const Control__Message *message), void *arg)
{
    const struct rill_frame *f = rill_frame(frame);
    Control__Message m = rill_control_message(f->src, f->dst, 0);
    Control__LeaseRequest request = CONTROL__LEASE_REQUEST__INIT;
    Control__Share share = CONTROL__SHARE__INIT;
    Control__ShareAck ack = CONTROL__SHARE_ACK__INIT;
    Control__NewLogger new_logger = CONTROL__NEW_LOGGER__INIT;
    Control__NewLoggerAck new_logger_ack = CONTROL__NEW_LOGGER_ACK__INIT;
    Control__MembersRequest members_request = CONTROL__MEMBERS_REQUEST__INIT;

    switch (f->type) {
    case RILL_FRAME_DEATH:
    case RILL_FRAME_DEATH_ACK:
    case RILL_FRAME_RECOVERED:
    case RILL_FRAME_RECOVERED_ACK:
        send_death_word(f, &m, send, arg);
        return 0;
    case RILL_FRAME_NEW_LOGGER:
        new_logger.number = f->clock;
        new_logger.output_logger = f->next_unit;
        RILL_CONTROL_SET(&m, NEW_LOGGER, new_logger, &new_logger);
        break;
    case RILL_FRAME_NEW_LOGGER_ACK:
        new_logger_ack.number = f->clock;
        new_logger_ack.filled = f->count == 1;
        RILL_CONTROL_SET(&m, NEW_LOGGER_ACK, new_logger_ack, &new_logger_ack);
        break;
    case RILL_FRAME_LEASE_GRANT:
        return send_grant(frame, &m, send, arg);
    case RILL_FRAME_MEMBERS:
        return send_members(frame, &m, send, arg);
    case RILL_FRAME_MEMBERS_REQUEST:
        members_request.number = f->clock;
        members_request.epoch = f->epoch;
        RILL_CONTROL_SET(&m, MEMBERS_REQUEST, members_request, &members_request);
        break;
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
        share.epoch = f->epoch;
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

static bool append_members(struct rte_mbuf *frame, const Control__Members *members,
                           struct rte_mempool *pool)
{
    for (size_t i = 0; i < members->n_members; i++) {
        const Control__Member *from = members->members[i];
        struct rill_member member = {
            .unit = from->unit, .output_logger = from->output_logger, .dead = from->dead ? 1 : 0};

        if (rill_body_append(frame, pool, &member, sizeof(member)) != 0)
            return false;
    }
    return true;
}

static struct rte_mbuf *members_frame(const Control__Message *m, uint32_t dst,
                                      struct rte_mempool *pool)
{
    const Control__Members *members = m->members;
    struct rte_mbuf *frame;

    if (members->n_members > MEMBERS_MAX)
        return NULL;
    frame = rill_frame_new(pool, RILL_FRAME_MEMBERS, m->from, dst);
    if (frame == NULL)
        return NULL;
    rill_frame(frame)->clock = members->number;
    rill_frame(frame)->count = (uint32_t)members->n_members;
    if (append_members(frame, members, pool))
        return frame;
    rte_pktmbuf_free(frame);
    return NULL;
}

/* All but those with a list: the type, and what it carries. */
struct small {
    enum rill_frame_type type;
    uint64_t clock;
    uint32_t next_unit, count, epoch;
};

/* Type NONE: it is no such message. */
static struct small small_of(const Control__Message *m)
{
    switch (m->body_case) {
    case CONTROL__MESSAGE__BODY_LEASE_REQUEST:
        return (struct small){RILL_FRAME_LEASE_REQUEST, m->lease_request->number, 0,
                              m->lease_request->want, m->lease_request->epoch};
    case CONTROL__MESSAGE__BODY_SHARE:
        return (struct small){RILL_FRAME_SHARE, m->share->number, m->share->controller,
                              m->share->share, m->share->epoch};
    case CONTROL__MESSAGE__BODY_SHARE_ACK:
        return (struct small){RILL_FRAME_SHARE_ACK, m->share_ack->number, m->share_ack->controller,
                              m->share_ack->share, 0};
    case CONTROL__MESSAGE__BODY_DEATH:
        return (struct small){RILL_FRAME_DEATH, 0, m->death->unit, m->death->output_logger, 0};
    case CONTROL__MESSAGE__BODY_DEATH_ACK:
        return (struct small){RILL_FRAME_DEATH_ACK, 0, m->death_ack->unit,
                              m->death_ack->output_logger, 0};
    case CONTROL__MESSAGE__BODY_RECOVERED:
        return (struct small){RILL_FRAME_RECOVERED, 0, m->recovered->unit, 0, 0};
    case CONTROL__MESSAGE__BODY_RECOVERED_ACK:
        return (struct small){RILL_FRAME_RECOVERED_ACK, 0, m->recovered_ack->unit, 0, 0};
    case CONTROL__MESSAGE__BODY_NEW_LOGGER:
        return (struct small){RILL_FRAME_NEW_LOGGER, m->new_logger->number,
                              m->new_logger->output_logger, 0, 0};
    case CONTROL__MESSAGE__BODY_NEW_LOGGER_ACK:
        return (struct small){RILL_FRAME_NEW_LOGGER_ACK, m->new_logger_ack->number, 0,
                              m->new_logger_ack->filled ? 1 : 0, 0};
    case CONTROL__MESSAGE__BODY_MEMBERS_REQUEST:
        return (struct small){RILL_FRAME_MEMBERS_REQUEST, m->members_request->number, 0, 0,
                              m->members_request->epoch};
    default:
        return (struct small){RILL_FRAME_NONE, 0, 0, 0, 0};
    }
}

struct rte_mbuf *rill_lease_to_frame(const Control__Message *message, uint32_t dst,
                                     struct rte_mempool *pool)
{
    struct small small = small_of(message);
    struct rte_mbuf *frame;

    if (message->body_case == CONTROL__MESSAGE__BODY_LEASE_GRANT)
        return grant_frame(message, dst, pool);
    if (message->body_case == CONTROL__MESSAGE__BODY_MEMBERS)
        return members_frame(message, dst, pool);
    if (small.type == RILL_FRAME_NONE)
        return NULL;
    frame = rill_frame_new(pool, small.type, message->from, dst);
    if (frame == NULL)
        return NULL;
    rill_frame(frame)->clock = small.clock;
    rill_frame(frame)->next_unit = small.next_unit;
    rill_frame(frame)->count = small.count;
    rill_frame(frame)->epoch = (uint16_t)small.epoch;
    return frame;
}
