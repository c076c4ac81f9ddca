#include "lib/registry/registry_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- how long a session lasts ------------------------------------------------------------------
 *
 * A heartbeat is a write that changes nothing (a check of "/", alone): a majority of the servers
 * has to agree, so a server that was cut off from its leader can't answer it. But the leader, which
 * expires sessions, hears from the other servers which sessions are alive only once every half
 * tick, down the path that writes take too. So a heartbeat counts from the moment it was sent, and
 * only once another was confirmed that was sent at least half a tick after the first one's answer;
 * a tick is at most half a time-out. That the session was made was such a write itself, after
 * connect_ns.
 */

enum { HEARTBEATS_PER_TIMEOUT = 6, HALF_TICKS_PER_TIMEOUT = 4, CLOCK_ERROR_DIVISOR = 20 };

static void heartbeat_counts(struct rill_registry *r, uint64_t sent_ns)
{
    if (!r->counted || sent_ns > r->counted_ns)
        r->counted_ns = sent_ns;
    r->counted = true;
}

static void heartbeat_done(void *arg, const struct rill_registry_result *result)
{
    struct rill_registry *r = arg;
    uint64_t sent_ns = r->heartbeat_sent_ns;

    r->heartbeat_under_way = false;
    if (result->status != 0)
        return;
    for (uint32_t i = 0; i < RILL_REGISTRY_HEARTBEATS && i < r->heartbeats_answered; i++)
        if (r->heartbeats[i].answered_ns + r->timeout_ns / HALF_TICKS_PER_TIMEOUT <= sent_ns)
            heartbeat_counts(r, r->heartbeats[i].sent_ns);
    r->heartbeats[r->heartbeats_answered++ % RILL_REGISTRY_HEARTBEATS] =
        (struct rill_registry_heartbeat){sent_ns, r->now_ns};
}

static uint64_t heartbeat_due_ns(const struct rill_registry *r)
{
    if (r->state != RILL_REGISTRY_CONNECTED || r->heartbeat_under_way)
        return UINT64_MAX;
    return r->heartbeat_sent_ns + r->timeout_ns / HEARTBEATS_PER_TIMEOUT;
}

static void send_heartbeat(struct rill_registry *r)
{
    const struct rill_registry_op check = {
        .type = RILL_REGISTRY_CHECK, .path = "/", .version = RILL_REGISTRY_ANY_VERSION};

    /* If it can't be sent (no memory), the next turn tries again. */
    if (rill_registry_send(r, RILL_REGISTRY_REQUEST_OPS, &check, 1, NULL, heartbeat_done, r,
                           NULL) != 0)
        return;
    r->heartbeat_under_way = true;
    r->heartbeat_sent_ns = r->now_ns;
    rill_registry_watches_go_on(r);
}

uint64_t rill_registry_valid_until_ns(const struct rill_registry *registry)
{
    if (!registry->counted || registry->state == RILL_REGISTRY_EXPIRED)
        return 0;
    return registry->counted_ns + registry->timeout_ns - registry->timeout_ns / CLOCK_ERROR_DIVISOR;
}

bool rill_registry_may_act(const struct rill_registry *registry, uint64_t now_ns)
{
    return now_ns < rill_registry_valid_until_ns(registry);
}

/* --- the session ------------------------------------------------------------------------------ */

void rill_registry_init(struct rill_registry *registry, const struct rill_registry_backend *backend,
                        uint64_t timeout_ns, uint64_t now_ns)
{
    registry->backend = backend;
    registry->state = RILL_REGISTRY_SUSPENDED;
    registry->timeout_ns = timeout_ns;
    registry->connect_ns = registry->now_ns = now_ns;
}

static void free_request(struct rill_registry_request *request)
{
    for (uint32_t i = 0; i < request->answer.children_count; i++)
        free(request->answer.children[i]);
    free(request->answer.children);
    free(request->answer.path);
    free(request->answer.data);
    free(request->backend);
    free(request);
}

void rill_registry_fini(struct rill_registry *registry)
{
    for (struct rill_registry_request *r = registry->requests, *next; r != NULL; r = next) {
        next = r->next;
        free_request(r);
    }
    for (struct rill_registry_watch *w = registry->watches, *next; w != NULL; w = next) {
        next = w->next;
        free(w->backend);
        free(w);
    }
    free(registry->listening);
}

void rill_registry_close(struct rill_registry *registry)
{
    if (registry == NULL)
        return;
    assert(!registry->turning);
    registry->backend->close(registry);
}

int rill_registry_fd(const struct rill_registry *registry)
{
    return registry->backend->fd(registry);
}

void rill_registry_turn(struct rill_registry *registry, uint64_t now_ns)
{
    assert(!registry->turning);
    if (now_ns > registry->now_ns)
        registry->now_ns = now_ns;
    registry->turning = true;
    registry->backend->turn(registry);
    registry->turning = false;
    if (heartbeat_due_ns(registry) <= registry->now_ns)
        send_heartbeat(registry);
}

uint64_t rill_registry_next_ns(const struct rill_registry *registry)
{
    uint64_t backend_ns = registry->backend->next_ns(registry);
    uint64_t due_ns = heartbeat_due_ns(registry);

    return due_ns < backend_ns ? due_ns : backend_ns;
}

enum rill_registry_state rill_registry_state(const struct rill_registry *registry)
{
    return registry->state;
}

uint64_t rill_registry_session(const struct rill_registry *registry)
{
    return registry->session;
}

void rill_registry_state_changed(struct rill_registry *registry, enum rill_registry_state state,
                                 uint64_t session, uint64_t timeout_ns)
{
    if (registry->state == state || registry->state == RILL_REGISTRY_EXPIRED)
        return;
    registry->state = state;
    if (state == RILL_REGISTRY_CONNECTED) {
        registry->timeout_ns = timeout_ns;
        registry->heartbeat_sent_ns = 0;
        if (registry->session == 0)
            heartbeat_counts(registry, registry->connect_ns);
        registry->session = session;
    }
    /* By index: a listener may add more, which moves them. */
    for (uint32_t i = 0, n = registry->listening_count; i < n; i++)
        if (registry->listening[i].listener != NULL)
            registry->listening[i].listener(registry->listening[i].arg, state);
    if (state == RILL_REGISTRY_CONNECTED)
        rill_registry_watches_go_on(registry);
}

int rill_registry_listen(struct rill_registry *registry, rill_registry_listener *listener,
                         void *arg)
{
    struct rill_registry_listening *grown;
    uint32_t i = 0;

    /* A forgotten one's place, but not while they are told: the new one was not there then. */
    while (i < registry->listening_count &&
           (registry->turning || registry->listening[i].listener != NULL))
        i++;
    if (i == registry->listening_count) {
        grown = realloc(registry->listening, (i + 1) * sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        registry->listening = grown;
        registry->listening_count++;
    }
    registry->listening[i] = (struct rill_registry_listening){listener, arg};
    return 0;
}

void rill_registry_forget(struct rill_registry *registry, const void *arg)
{
    for (uint32_t i = 0; i < registry->listening_count; i++)
        if (registry->listening[i].arg == arg)
            registry->listening[i].listener = NULL;
    for (struct rill_registry_request *r = registry->requests; r != NULL; r = r->next)
        if (r->arg == arg)
            r->done = NULL;
    rill_registry_watches_forget(registry, arg);
}

/* --- requests --------------------------------------------------------------------------------- */

static char *copy(char **at, const void *from, size_t bytes)
{
    char *to = *at;

    if (bytes > 0)
        memcpy(to, from, bytes);
    to[bytes] = '\0';
    *at += bytes + 1;
    return to;
}

/* One block: the request, its ops, their strings. */
static struct rill_registry_request *make_request(const struct rill_registry_op *ops,
                                                  uint32_t count)
{
    struct rill_registry_request *request;
    size_t bytes = sizeof(*request) + count * sizeof(*ops);
    char *at;

    for (uint32_t i = 0; i < count; i++)
        bytes += strlen(ops[i].path) + 1 + ops[i].data_bytes + 1;
    request = calloc(1, bytes);
    if (request == NULL)
        return NULL;
    request->ops = (struct rill_registry_op *)(request + 1);
    request->count = count;
    at = (char *)(request->ops + count);
    for (uint32_t i = 0; i < count; i++) {
        request->ops[i] = ops[i];
        request->ops[i].path = copy(&at, ops[i].path, strlen(ops[i].path));
        request->ops[i].data = copy(&at, ops[i].data, ops[i].data_bytes);
    }
    return request;
}

static void link_request(struct rill_registry *registry, struct rill_registry_request *request)
{
    request->registry = registry;
    request->next = registry->requests;
    if (request->next != NULL)
        request->next->previous = request;
    registry->requests = request;
    registry->requests_count++;
}

static void unlink_request(struct rill_registry_request *request)
{
    struct rill_registry *registry = request->registry;

    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        registry->requests = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    registry->requests_count--;
}

int rill_registry_send(struct rill_registry *registry, enum rill_registry_request_type type,
                       const struct rill_registry_op *ops, uint32_t count,
                       struct rill_registry_watch *watch, rill_registry_done *done, void *arg,
                       struct rill_error *err)
{
    struct rill_registry_request *request = make_request(ops, count);
    int rc;

    if (request == NULL)
        return rill_error_set(err, -ENOMEM, "registry: no memory for a request");
    request->type = type;
    request->watch = watch;
    request->done = done;
    request->arg = arg;
    link_request(registry, request);
    rc = registry->backend->send(registry, request);
    if (rc == 0)
        return 0;
    unlink_request(request);
    free_request(request);
    return rill_error_set(err, rc, "registry: '%s': the request could not be sent", ops[0].path);
}

static int check_state(const struct rill_registry *registry, unsigned requests,
                       struct rill_error *err)
{
    if (registry->state == RILL_REGISTRY_EXPIRED)
        return rill_error_set(err, -ESHUTDOWN, "registry: the session has expired: connect anew");
    if (registry->state == RILL_REGISTRY_SUSPENDED)
        return rill_error_set(err, -ENOTCONN, "registry: not connected: no server answers");
    if (registry->requests_count + requests > RILL_REGISTRY_REQUESTS_MAX)
        return rill_error_set(err, -EBUSY, "registry: %u requests are under way, at most %d can be",
                              registry->requests_count, RILL_REGISTRY_REQUESTS_MAX);
    return 0;
}

int rill_registry_ask(struct rill_registry *registry, const struct rill_registry_op *ops,
                      unsigned count, rill_registry_done *done, void *arg, struct rill_error *err)
{
    enum rill_registry_request_type type = RILL_REGISTRY_REQUEST_OPS;
    int rc = rill_registry_check_ops(ops, count, err);

    if (rc == 0)
        rc = check_state(registry, 1, err);
    if (rc != 0)
        return rc;
    if (ops[0].type == RILL_REGISTRY_GET)
        type = RILL_REGISTRY_REQUEST_GET;
    else if (ops[0].type == RILL_REGISTRY_LIST)
        type = RILL_REGISTRY_REQUEST_LIST;
    return rill_registry_send(registry, type, ops, count, NULL, done, arg, err);
}

/* All at once, as requests are carried out in order: only the last one's answer is told. */
int rill_registry_make_folder(struct rill_registry *registry, const char *path,
                              rill_registry_done *done, void *arg, struct rill_error *err)
{
    char part[RILL_REGISTRY_PATH_MAX + 1];
    struct rill_registry_op make = {.type = RILL_REGISTRY_CREATE, .path = part};
    const struct rill_registry_op whole = {.type = RILL_REGISTRY_CREATE, .path = path};
    int rc = rill_registry_check_ops(&whole, 1, err);

    if (rc == 0)
        rc = check_state(registry, RILL_REGISTRY_PATH_MAX / 2, err);
    for (size_t end = 1; rc == 0 && path[end - 1] != '\0'; end++) {
        bool last = path[end] == '\0';

        if (!last && path[end] != '/')
            continue;
        memcpy(part, path, end);
        part[end] = '\0';
        rc = rill_registry_send(registry, RILL_REGISTRY_REQUEST_OPS, &make, 1, NULL,
                                last ? done : NULL, last ? arg : NULL, err);
        if (rc == 0)
            registry->requests->exists_is_fine = true;
        if (last)
            break;
    }
    return rc;
}

struct rill_registry_result rill_registry_result_of(const struct rill_registry_request *request)
{
    const struct rill_registry_answer *answer = &request->answer;

    return (struct rill_registry_result){
        .status = answer->status,
        .failed = answer->failed,
        .path = answer->path != NULL ? answer->path : request->ops[0].path,
        .data = answer->data,
        .data_bytes = answer->data_bytes,
        .stat = answer->stat,
        .children = (const char *const *)answer->children,
        .children_count = answer->children_count,
    };
}

void rill_registry_answered(struct rill_registry_request *request)
{
    unlink_request(request);
    if (request->exists_is_fine && request->answer.status == -EEXIST)
        request->answer.status = 0;
    if (request->watch != NULL) {
        rill_registry_watch_answered(request);
    } else if (request->done != NULL) {
        struct rill_registry_result result = rill_registry_result_of(request);

        request->done(request->arg, &result);
    }
    free_request(request);
}

const char *rill_registry_status_text(int status)
{
    switch (status) {
    case 0:
        return "done";
    case -ENOENT:
        return "there is no such node";
    case -EEXIST:
        return "the node is there already";
    case -ESTALE:
        return "the node was changed by another";
    case -ENOTEMPTY:
        return "the node has children";
    case -ENOTDIR:
        return "the parent is ephemeral";
    case -ECONNRESET:
        return "the connection was lost, it may have been done or not";
    case -ENOTCONN:
        return "not connected";
    case -ESHUTDOWN:
        return "the session has expired";
    case -ENOMEM:
        return "no memory";
    case -EBUSY:
        return "too many requests are under way";
    default:
        return "the server refused it";
    }
}
