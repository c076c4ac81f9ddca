#include "lib/registry/registry_local.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/registry/local_internal.h"

enum { RECONNECTS_PER_TIMEOUT = 10 };

/* --- the client ------------------------------------------------------------------------------- */

static int send_request(struct rill_registry *registry, struct rill_registry_request *request)
{
    struct local_client *c = local_client_of(registry);
    struct local_message m = {.type = LOCAL_REQUEST,
                              .due_ns = registry->now_ns + c->server->delay_ns,
                              .request = request};

    return local_push(&c->to_server, m) ? 0 : -ENOMEM;
}

/* Oldest first, as they were asked for. A watch counts as set only once the answer was heard. */
static void end_requests(struct local_client *c, int status)
{
    struct rill_registry_request *oldest;

    while ((oldest = c->registry.requests) != NULL) {
        while (oldest->next != NULL)
            oldest = oldest->next;
        if (oldest->watch != NULL) {
            local_disarm(c, oldest->watch);
            local_drop_if(&c->to_client, local_is_of_watch, oldest->watch);
            oldest->watch->armed = false;
        }
        oldest->answer.status = status;
        rill_registry_answered(oldest);
    }
}

static void disconnect(struct local_client *c)
{
    local_drop_if(&c->to_server, local_is_any, NULL);
    local_drop_if(&c->to_client, local_ends_with_connection, NULL);
    c->broken = c->connecting = false;
    c->retry_ns = c->registry.now_ns;
    rill_registry_state_changed(&c->registry, RILL_REGISTRY_SUSPENDED, 0, 0);
    end_requests(c, -ECONNRESET);
}

static void hear(struct local_client *c, struct local_message m)
{
    c->heard_ns = c->registry.now_ns;
    switch (m.type) {
    case LOCAL_ACCEPTED:
        c->connecting = false;
        rill_registry_state_changed(&c->registry, RILL_REGISTRY_CONNECTED, c->session->id,
                                    c->session->timeout_ns);
        break;
    case LOCAL_REFUSED:
        c->connecting = false;
        local_drop_if(&c->to_server, local_is_any, NULL);
        local_drop_if(&c->to_client, local_is_any, NULL);
        rill_registry_state_changed(&c->registry, RILL_REGISTRY_EXPIRED, 0, 0);
        end_requests(c, -ESHUTDOWN);
        break;
    case LOCAL_ANSWER:
        rill_registry_answered(m.request);
        break;
    default:
        rill_registry_fired(m.watch);
        break;
    }
}

static void try_to_connect(struct local_client *c)
{
    uint64_t now_ns = c->registry.now_ns;
    struct local_message m = {.type = LOCAL_CONNECT, .due_ns = now_ns + c->server->delay_ns};

    if (c->registry.state != RILL_REGISTRY_SUSPENDED || c->connecting || now_ns < c->retry_ns)
        return;
    c->connecting = local_reaches(c) && local_push(&c->to_server, m);
    c->heard_ns = now_ns;
    c->retry_ns = now_ns + c->registry.timeout_ns / RECONNECTS_PER_TIMEOUT;
}

static bool awaits_something(const struct local_client *c)
{
    return c->connecting || c->registry.state == RILL_REGISTRY_CONNECTED;
}

static uint64_t silent_ns(const struct local_client *c)
{
    return c->heard_ns + c->registry.timeout_ns / 3 * 2;
}

static void turn(struct rill_registry *registry)
{
    struct local_client *c = local_client_of(registry);

    rill_registry_server_turn(c->server, registry->now_ns);
    while (local_reaches(c) && !c->broken && c->to_client.first != NULL &&
           c->to_client.first->due_ns <= registry->now_ns)
        hear(c, local_pop(&c->to_client));
    if (c->broken || (awaits_something(c) && silent_ns(c) <= registry->now_ns))
        disconnect(c);
    try_to_connect(c);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_ns(const struct rill_registry *registry)
{
    const struct local_client *c = local_client_of(registry);
    uint64_t due_ns;

    if (registry->state == RILL_REGISTRY_EXPIRED)
        return UINT64_MAX;
    if (c->broken)
        return registry->now_ns;
    due_ns = awaits_something(c) ? silent_ns(c) : c->retry_ns;
    if (local_reaches(c) && c->to_client.first != NULL)
        due_ns = least(due_ns, c->to_client.first->due_ns);
    if (local_reaches(c) && c->to_server.first != NULL)
        due_ns = least(due_ns, c->to_server.first->due_ns);
    return due_ns;
}

static int no_fd(const struct rill_registry *registry)
{
    (void)registry;
    return -1;
}

static void close_client(struct rill_registry *registry)
{
    struct local_client *c = local_client_of(registry), **at = &c->server->clients;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    local_disarm(c, NULL);
    local_drop_if(&c->to_server, local_is_any, NULL);
    local_drop_if(&c->to_client, local_is_any, NULL);
    if (c->session != NULL) {
        c->session->client = NULL;
        if (local_reaches(c))
            local_end_session(c->server, c->session);
    }
    rill_registry_fini(registry);
    free(c);
}

/* --- making and ending ------------------------------------------------------------------------ */

struct rill_registry *rill_registry_connect_local(struct rill_registry_server *server,
                                                  uint64_t timeout_ns, uint64_t now_ns)
{
    static const struct rill_registry_backend backend = {
        .send = send_request, .turn = turn, .next_ns = next_ns, .fd = no_fd, .close = close_client};
    struct local_client *c = calloc(1, sizeof(*c));

    assert(timeout_ns >= RILL_REGISTRY_NS_PER_MS);
    if (c == NULL)
        return NULL;
    rill_registry_init(&c->registry, &backend, timeout_ns, now_ns);
    c->server = server;
    c->retry_ns = now_ns;
    c->next = server->clients;
    server->clients = c;
    return &c->registry;
}
