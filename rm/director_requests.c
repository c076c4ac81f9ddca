#include <stdlib.h>
#include <string.h>

#include "rm/director_internal.h"

/* --- sending ---------------------------------------------------------------------------------- */

uint32_t dir_peer_of(const struct rill_director *d, uint32_t id)
{
    const struct dir_role *role = dir_role(d, id);

    if (role != NULL)
        id = role->agent;
    for (uint32_t i = 0; id != 0 && i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].agent == id)
            return d->machines[i].peer;
    for (uint32_t i = 0; id != 0 && i < DIR_CLIENTS_MAX; i++)
        if (d->clients[i].id == id)
            return d->clients[i].peer;
    return 0;
}

bool dir_send(struct rill_director *d, const Control__Message *message)
{
    uint32_t peer = dir_peer_of(d, message->to);

    if (peer != 0)
        dir_out(d, peer, message);
    return peer != 0;
}

/* --- requests of ours ------------------------------------------------------------------------- */

uint64_t dir_timeout_of(const struct rill_director *d, enum dir_request_kind kind)
{
    switch (kind) {
    case DIR_START:    /* the role's own time counts: until it has joined */
    case DIR_STOP_ALL: /* takes as long as it takes: whoever waits sees it */
        return UINT64_MAX;
    case DIR_PEERS:
        return d->config.links_timeout_ns;
    default:
        return d->config.start_timeout_ns;
    }
}

struct dir_request *dir_new_request(struct rill_director *d)
{
    uint32_t room = d->request_room ? d->request_room * 2 : 64;

    if (d->request_count == d->request_room) {
        d->requests = realloc(d->requests, room * sizeof(d->requests[0]));
        if (d->requests == NULL)
            abort(); /* bounded by the roles: some hundred kilobytes */
        d->request_room = room;
    }
    return &d->requests[d->request_count++];
}

void dir_ask(struct rill_director *d, Control__Message *message, enum dir_request_kind kind,
             uint32_t about, uint64_t timeout_ns, const struct dir_ids *peers)
{
    struct dir_request *request = dir_new_request(d);

    *request = (struct dir_request){.number = ++d->next_request,
                                    .kind = kind,
                                    .who = message->to,
                                    .about = about,
                                    .due_ns = UINT64_MAX};
    if (timeout_ns != UINT64_MAX)
        request->due_ns = d->now_ns + timeout_ns;
    if (peers != NULL)
        request->peers = *peers;
    message->number = request->number;
    dir_send(d, message);
}

struct dir_request *dir_find_request(struct rill_director *d, uint64_t number)
{
    for (uint32_t i = 0; i < d->request_count; i++)
        if (d->requests[i].number == number)
            return &d->requests[i];
    return NULL;
}

/* The newest. */
struct dir_request *dir_find_request_about(struct rill_director *d, enum dir_request_kind kind,
                                           uint32_t about)
{
    for (uint32_t i = d->request_count; i-- > 0;)
        if (d->requests[i].kind == kind && d->requests[i].about == about)
            return &d->requests[i];
    return NULL;
}

void dir_remove_request(struct rill_director *d, struct dir_request *request)
{
    size_t at = (size_t)(request - d->requests);

    d->request_count--;
    memmove(request, request + 1, (d->request_count - at) * sizeof(*request));
}

void dir_forget_requests_about(struct rill_director *d, uint32_t about)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < d->request_count; i++)
        if (d->requests[i].about != about)
            d->requests[kept++] = d->requests[i];
    d->request_count = kept;
}

bool dir_request_runs(const struct rill_director *d, const struct dir_request *request)
{
    return request->due_ns != UINT64_MAX && dir_peer_of(d, request->who) != 0;
}

/* --- requests of others ----------------------------------------------------------------------- */

struct dir_asker dir_asker_of(uint32_t peer, const Control__Message *message)
{
    return (struct dir_asker){.peer = peer, .role = message->from, .number = message->number};
}

void dir_answer(struct rill_director *d, struct dir_asker *asker, Control__Message *message)
{
    message->version = RILL_CONTROL_VERSION;
    message->from = d->config.id;
    message->to = asker->role;
    message->number = asker->number;
    if (asker->number != 0)
        dir_out(d, asker->peer, message);
    *asker = (struct dir_asker){0};
}

void dir_answer_done(struct rill_director *d, struct dir_asker *asker)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &done);
    dir_answer(d, asker, &m);
}

void dir_answer_error(struct rill_director *d, struct dir_asker *asker, const char *format, ...)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Error error = CONTROL__ERROR__INIT;
    char text[DIR_LINE_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error.text = text;
    RILL_CONTROL_SET(&m, ERROR, error, &error);
    dir_answer(d, asker, &m);
}

bool dir_is_request(const Control__Message *message)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_JOIN:
    case CONTROL__MESSAGE__BODY_START:
    case CONTROL__MESSAGE__BODY_STOP:
    case CONTROL__MESSAGE__BODY_STOP_ALL:
    case CONTROL__MESSAGE__BODY_ACTIVATE:
    case CONTROL__MESSAGE__BODY_PEERS:
    case CONTROL__MESSAGE__BODY_METRICS_REQUEST:
    case CONTROL__MESSAGE__BODY_STATUS_REQUEST:
    case CONTROL__MESSAGE__BODY_DEPLOY:
    case CONTROL__MESSAGE__BODY_UNDEPLOY:
    case CONTROL__MESSAGE__BODY_ATTACH:
    case CONTROL__MESSAGE__BODY_SHUTDOWN:
    case CONTROL__MESSAGE__BODY_FAIL:
        return message->number != 0;
    default: /* an answer, which is never answered; or wants none */
        return false;
    }
}

void dir_unexpected(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);

    d->n.messages_unexpected++;
    if (dir_is_request(message))
        dir_answer_error(d, &asker, "%s is not expected of you now", rill_control_name(message));
}
