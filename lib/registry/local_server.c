#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/registry/local_internal.h"

enum { NODE = 1, CHILDREN = 2 };

struct local_client *local_client_of(const struct rill_registry *registry)
{
    return (struct local_client *)(uintptr_t)registry;
}

/* --- messages --------------------------------------------------------------------------------- */

bool local_push(struct local_queue *queue, struct local_message message)
{
    struct local_message **at = &queue->first, *m = malloc(sizeof(*m));

    if (m == NULL)
        return false;
    *m = message;
    m->next = NULL;
    while (*at != NULL)
        at = &(*at)->next;
    *at = m;
    return true;
}

struct local_message local_pop(struct local_queue *queue)
{
    struct local_message *first = queue->first, message = *first;

    queue->first = first->next;
    free(first);
    return message;
}

void local_drop_if(struct local_queue *queue,
                   bool (*wanted)(const struct local_message *m, const void *arg), const void *arg)
{
    struct local_message **at = &queue->first;

    while (*at != NULL) {
        struct local_message *m = *at;

        if (!wanted(m, arg)) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        free(m);
    }
}

bool local_is_any(const struct local_message *m, const void *arg)
{
    (void)m, (void)arg;
    return true;
}

bool local_ends_with_connection(const struct local_message *m, const void *arg)
{
    (void)arg;
    return m->type != LOCAL_FIRED;
}

bool local_is_of_watch(const struct local_message *m, const void *watch)
{
    return m->watch == watch;
}

bool local_reaches(const struct local_client *c)
{
    return !c->cut && !c->server->stopped;
}

static void reply(struct local_client *c, struct local_message message)
{
    message.due_ns = c->server->now_ns + c->server->delay_ns;
    if (!local_push(&c->to_client, message))
        c->broken = true; /* without memory the connection can't go on */
}

/* --- watches ---------------------------------------------------------------------------------- */

static void arm(struct local_client *c, struct rill_registry_watch *watch, unsigned what)
{
    struct rill_registry_server *server = c->server;
    struct local_armed *armed;

    for (armed = server->armed; armed != NULL; armed = armed->next)
        if (armed->watch == watch && armed->what == what)
            return;
    armed = malloc(sizeof(*armed));
    if (armed == NULL) {
        c->broken = true;
        return;
    }
    *armed = (struct local_armed){server->armed, c, watch, what};
    server->armed = armed;
}

static bool fires(const struct local_armed *armed, const char *path, enum rill_tree_change change)
{
    unsigned what = change == RILL_TREE_CHILDREN  ? CHILDREN
                    : change == RILL_TREE_DELETED ? NODE | CHILDREN
                                                  : NODE;

    return (armed->what & what) != 0 && strcmp(armed->watch->path, path) == 0;
}

static void on_change(void *arg, const char *path, enum rill_tree_change change)
{
    struct rill_registry_server *server = arg;
    struct local_armed **at = &server->armed;

    while (*at != NULL) {
        struct local_armed *armed = *at;

        if (!fires(armed, path, change)) {
            at = &armed->next;
            continue;
        }
        *at = armed->next;
        reply(armed->client, (struct local_message){.type = LOCAL_FIRED, .watch = armed->watch});
        free(armed);
    }
}

void local_disarm(struct local_client *c, const struct rill_registry_watch *watch)
{
    struct local_armed **at = &c->server->armed;

    while (*at != NULL) {
        struct local_armed *armed = *at;

        if (armed->client != c || (watch != NULL && armed->watch != watch)) {
            at = &armed->next;
            continue;
        }
        *at = armed->next;
        free(armed);
    }
}

/* --- sessions --------------------------------------------------------------------------------- */

void local_end_session(struct rill_registry_server *server, struct local_session *session)
{
    if (session->ended)
        return;
    session->ended = true;
    rill_tree_end_session(&server->tree, session->id);
    if (session->client != NULL)
        reply(session->client, (struct local_message){.type = LOCAL_REFUSED});
}

/* Those that nobody will ask for again. */
static void free_ended(struct rill_registry_server *server)
{
    struct local_session **at = &server->sessions;

    while (*at != NULL) {
        struct local_session *session = *at;

        if (!session->ended || session->client != NULL) {
            at = &session->next;
            continue;
        }
        *at = session->next;
        free(session);
    }
}

static void accept_connection(struct local_client *c)
{
    struct rill_registry_server *server = c->server;

    if (c->session == NULL) {
        c->session = calloc(1, sizeof(*c->session));
        if (c->session == NULL)
            return; /* no answer: it tries again */
        c->session->id = ++server->last_session;
        c->session->timeout_ns = c->registry.timeout_ns;
        c->session->client = c;
        c->session->next = server->sessions;
        server->sessions = c->session;
    }
    c->session->expires_ns = server->now_ns + c->session->timeout_ns;
    reply(c, (struct local_message){.type = c->session->ended ? LOCAL_REFUSED : LOCAL_ACCEPTED});
}

static void answer_request(struct local_client *c, struct rill_registry_request *request)
{
    struct rill_registry_answer *answer = &request->answer;
    struct rill_tree *tree = &c->server->tree;
    const char *path = request->ops[0].path;

    if (c->session->ended)
        return; /* it was told */
    c->session->expires_ns = c->server->now_ns + c->session->timeout_ns;
    if (request->type == RILL_REGISTRY_REQUEST_OPS)
        rill_tree_apply(tree, request->ops, request->count, c->session->id, answer);
    else if (request->type == RILL_REGISTRY_REQUEST_LIST)
        rill_tree_list(tree, path, answer);
    else
        rill_tree_get(tree, path, answer);
    if (request->watch != NULL &&
        (answer->status == 0 || request->type == RILL_REGISTRY_REQUEST_EXISTS))
        arm(c, request->watch, request->type == RILL_REGISTRY_REQUEST_LIST ? CHILDREN : NODE);
    reply(c, (struct local_message){.type = LOCAL_ANSWER, .request = request});
}

/* --- its time --------------------------------------------------------------------------------- */

static struct local_client *next_message(const struct rill_registry_server *server,
                                         uint64_t *due_ns)
{
    struct local_client *next = NULL;

    *due_ns = UINT64_MAX;
    for (struct local_client *c = server->clients; c != NULL; c = c->next) {
        const struct local_message *m = c->to_server.first;

        if (m == NULL || !local_reaches(c) || m->due_ns >= *due_ns)
            continue;
        next = c;
        *due_ns = m->due_ns;
    }
    return next;
}

static struct local_session *next_expiry(const struct rill_registry_server *server,
                                         uint64_t *due_ns)
{
    struct local_session *next = NULL;

    *due_ns = UINT64_MAX;
    if (server->stopped)
        return NULL;
    for (struct local_session *s = server->sessions; s != NULL; s = s->next) {
        if (s->ended || s->expires_ns >= *due_ns)
            continue;
        next = s;
        *due_ns = s->expires_ns;
    }
    return next;
}

static void handle(struct local_client *c)
{
    struct local_message m = local_pop(&c->to_server);

    if (m.type == LOCAL_CONNECT)
        accept_connection(c);
    else
        answer_request(c, m.request);
}

void rill_registry_server_turn(struct rill_registry_server *server, uint64_t now_ns)
{
    uint64_t message_ns, expiry_ns, due_ns;

    for (;;) {
        struct local_client *c = next_message(server, &message_ns);
        struct local_session *session = next_expiry(server, &expiry_ns);

        due_ns = message_ns < expiry_ns ? message_ns : expiry_ns;
        if ((c == NULL && session == NULL) || due_ns > now_ns)
            break;
        if (due_ns > server->now_ns)
            server->now_ns = due_ns;
        if (message_ns < expiry_ns)
            handle(c);
        else
            local_end_session(server, session);
    }
    free_ended(server);
    if (now_ns > server->now_ns)
        server->now_ns = now_ns;
}

uint64_t rill_registry_server_next_ns(const struct rill_registry_server *server)
{
    uint64_t message_ns, expiry_ns;

    next_message(server, &message_ns);
    next_expiry(server, &expiry_ns);
    return message_ns < expiry_ns ? message_ns : expiry_ns;
}

struct rill_registry_server *rill_registry_server_create(uint64_t delay_ns)
{
    struct rill_registry_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    server->delay_ns = delay_ns;
    server->tree.changed = on_change;
    server->tree.arg = server;
    return server;
}

void rill_registry_server_destroy(struct rill_registry_server *server)
{
    if (server == NULL)
        return;
    assert(server->clients == NULL);
    for (struct local_session *s = server->sessions, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    rill_tree_fini(&server->tree);
    free(server);
}

/* --- faults ----------------------------------------------------------------------------------- */

/* What waited for the way to be free arrives now, not back then. */
static void arrive_now(struct local_queue *queue, uint64_t now_ns)
{
    for (struct local_message *m = queue->first; m != NULL; m = m->next)
        if (m->due_ns < now_ns)
            m->due_ns = now_ns;
}

void rill_registry_local_cut(struct rill_registry *registry, bool cut)
{
    struct local_client *c = local_client_of(registry);

    c->cut = cut;
    arrive_now(&c->to_server, c->server->now_ns);
    arrive_now(&c->to_client, c->server->now_ns);
}

void rill_registry_local_expire(struct rill_registry *registry)
{
    struct local_client *c = local_client_of(registry);

    if (c->session != NULL)
        local_end_session(c->server, c->session);
}

void rill_registry_server_stop(struct rill_registry_server *server)
{
    server->stopped = true;
    for (struct local_client *c = server->clients; c != NULL; c = c->next) {
        c->broken = true;
        local_drop_if(&c->to_server, local_is_any, NULL);
        local_drop_if(&c->to_client, local_ends_with_connection, NULL);
    }
}

void rill_registry_server_start(struct rill_registry_server *server, uint64_t now_ns)
{
    server->stopped = false;
    if (now_ns > server->now_ns)
        server->now_ns = now_ns;
    for (struct local_session *s = server->sessions; s != NULL; s = s->next)
        s->expires_ns = server->now_ns + s->timeout_ns;
}
