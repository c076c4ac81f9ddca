#include "lib/registry/registry_zookeeper.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zookeeper/zookeeper.h>

#include "lib/registry/registry_internal.h"

/* What the client's threads hand to the owner's. Each is in the queue at most once, and there is
 * room for it before anything is asked for. */
enum event_type { ANSWERED, FIRED, STATE };

struct event {
    struct event *next;
    enum event_type type;
    bool queued;
    struct rill_registry_request *request; /* ANSWERED */
    struct rill_registry_watch *watch;     /* FIRED */
    enum rill_registry_state state;        /* STATE, with the next two */
    uint64_t session, timeout_ns;
};

struct queue {
    pthread_mutex_t mutex;
    struct event *first, **end;
    int fd; /* readable while there is something in it */
};

struct zookeeper {
    struct rill_registry registry; /* first */
    zhandle_t *handle;
    struct queue queue;
    struct event states[RILL_REGISTRY_EXPIRED + 1];
};

/* Of a request. */
struct operation {
    struct event event; /* first */
    zoo_op_t ops[RILL_REGISTRY_OPS_MAX];
    zoo_op_result_t results[RILL_REGISTRY_OPS_MAX];
    char paths[RILL_REGISTRY_OPS_MAX][RILL_REGISTRY_PATH_MAX + 1];
};

static struct zookeeper *zookeeper_of(const struct rill_registry *registry)
{
    return (struct zookeeper *)(uintptr_t)registry;
}

/* --- the queue: pushed to by the client's threads, taken from by the owner's
 * ---------------------- */

static void append(struct queue *queue, struct event *event)
{
    const uint64_t one = 1;

    if (queue->first == NULL && write(queue->fd, &one, sizeof(one)) != sizeof(one))
        abort(); /* an eventfd takes 2^64 - 2 of them */
    event->queued = true;
    event->next = NULL;
    *queue->end = event;
    queue->end = &event->next;
}

static void take_out(struct queue *queue, struct event *event)
{
    struct event **at = &queue->first;

    while (*at != event)
        at = &(*at)->next;
    *at = event->next;
    if (queue->end == &event->next)
        queue->end = at;
}

/* After it, the event may be gone. */
static void push(struct queue *queue, struct event *event)
{
    pthread_mutex_lock(&queue->mutex);
    if (!event->queued)
        append(queue, event);
    pthread_mutex_unlock(&queue->mutex);
}

/* Of one state only the last time counts: it goes behind all that ended before. */
static void push_state(struct zookeeper *z, enum rill_registry_state state, uint64_t session,
                       uint64_t timeout_ns)
{
    struct event *event = &z->states[state];

    pthread_mutex_lock(&z->queue.mutex);
    if (event->queued)
        take_out(&z->queue, event);
    event->session = session;
    event->timeout_ns = timeout_ns;
    append(&z->queue, event);
    pthread_mutex_unlock(&z->queue.mutex);
}

static bool pop(struct queue *queue, struct event *event)
{
    struct event *first;

    pthread_mutex_lock(&queue->mutex);
    first = queue->first;
    if (first != NULL) {
        *event = *first;
        first->queued = false;
        queue->first = first->next;
        if (queue->first == NULL)
            queue->end = &queue->first;
    }
    pthread_mutex_unlock(&queue->mutex);
    return first != NULL;
}

/* --- on the client's threads ------------------------------------------------------------------ */

static int status_of(int rc)
{
    switch (rc) {
    case ZOK:
        return 0;
    case ZNONODE:
        return -ENOENT;
    case ZNODEEXISTS:
        return -EEXIST;
    case ZBADVERSION:
        return -ESTALE;
    case ZNOTEMPTY:
        return -ENOTEMPTY;
    case ZNOCHILDRENFOREPHEMERALS:
        return -ENOTDIR;
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONMOVED:
    case ZCLOSING:
        return -ECONNRESET;
    case ZSESSIONEXPIRED:
    case ZINVALIDSTATE:
    case ZAUTHFAILED:
        return -ESHUTDOWN;
    case ZMARSHALLINGERROR:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static void finish(const void *data, int rc)
{
    struct rill_registry_request *request = (struct rill_registry_request *)(uintptr_t)data;
    struct operation *operation = request->backend;

    if (request->answer.status == 0)
        request->answer.status = status_of(rc);
    push(&zookeeper_of(request->registry)->queue, &operation->event);
}

static struct rill_registry_answer *answer_of(const void *data)
{
    return &((struct rill_registry_request *)(uintptr_t)data)->answer;
}

static void keep_stat(struct rill_registry_answer *answer, const struct Stat *stat)
{
    if (stat == NULL)
        return;
    answer->stat.version = stat->version;
    answer->stat.children_version = stat->cversion;
    answer->stat.created = (uint64_t)stat->czxid;
    answer->stat.owner = (uint64_t)stat->ephemeralOwner;
}

static void on_void(int rc, const void *data)
{
    finish(data, rc);
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
    if (rc == ZOK)
        keep_stat(answer_of(data), stat);
    finish(data, rc);
}

static void on_path(int rc, const char *path, const void *data)
{
    struct rill_registry_answer *answer = answer_of(data);

    if (rc == ZOK && (answer->path = strdup(path)) == NULL)
        answer->status = -ENOMEM;
    finish(data, rc);
}

static void on_data(int rc, const char *value, int bytes, const struct Stat *stat, const void *data)
{
    struct rill_registry_answer *answer = answer_of(data);

    if (rc == ZOK) {
        keep_stat(answer, stat);
        answer->data_bytes = bytes < 0 ? 0 : (uint32_t)bytes;
        answer->data = malloc(answer->data_bytes + 1);
        if (answer->data == NULL)
            answer->status = -ENOMEM;
        else if (answer->data_bytes > 0)
            memcpy(answer->data, value, answer->data_bytes);
    }
    finish(data, rc);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void on_children(int rc, const struct String_vector *names, const struct Stat *stat,
                        const void *data)
{
    struct rill_registry_answer *answer = answer_of(data);
    uint32_t count = rc == ZOK && names != NULL ? (uint32_t)names->count : 0;

    if (rc == ZOK)
        keep_stat(answer, stat);
    answer->children = calloc(count + 1, sizeof(answer->children[0]));
    for (uint32_t i = 0; answer->children != NULL && i < count; i++) {
        char *name = strdup(names->data[i]);

        if (name == NULL)
            answer->status = -ENOMEM;
        else
            answer->children[answer->children_count++] = name;
    }
    if (answer->children == NULL)
        answer->status = -ENOMEM;
    else
        qsort(answer->children, answer->children_count, sizeof(char *), compare_names);
    finish(data, rc);
}

/* An op that was refused has its reason, those besides it that they were not carried out. */
static void on_multi(int rc, const void *data)
{
    const struct rill_registry_request *request = data;
    const struct operation *operation = request->backend;
    struct rill_registry_answer *answer = answer_of(data);

    for (uint32_t i = 0; rc != ZOK && i < request->count; i++)
        if (operation->results[i].err == rc) {
            answer->failed = i;
            break;
        }
    finish(data, rc);
}

static void on_watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct event *event = context;

    (void)handle, (void)state, (void)path;
    if (type != ZOO_SESSION_EVENT) /* those come to all watches, and leave them armed */
        push(&zookeeper_of(event->watch->registry)->queue, event);
}

static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct zookeeper *z = context;

    (void)path;
    if (type != ZOO_SESSION_EVENT)
        return;
    if (state == ZOO_CONNECTED_STATE)
        push_state(z, RILL_REGISTRY_CONNECTED, (uint64_t)zoo_client_id(handle)->client_id,
                   (uint64_t)zoo_recv_timeout(handle) * RILL_REGISTRY_NS_PER_MS);
    else if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE)
        push_state(z, RILL_REGISTRY_EXPIRED, 0, 0);
    else
        push_state(z, RILL_REGISTRY_SUSPENDED, 0, 0);
}

/* Its lines name no session, and what they say of a connection is told as a change of state. */
static void no_log(const char *line)
{
    (void)line;
}

/* --- on the owner's thread: sending
 * ---------------------------------------------------------------
 */

static int mode_of(const struct rill_registry_op *op)
{
    return (op->flags & RILL_REGISTRY_EPHEMERAL ? ZOO_EPHEMERAL : 0) |
           (op->flags & RILL_REGISTRY_SEQUENTIAL ? ZOO_SEQUENCE : 0);
}

static void fill_op(struct operation *operation, uint32_t i, const struct rill_registry_op *op)
{
    zoo_op_t *to = &operation->ops[i];

    if (op->type == RILL_REGISTRY_CREATE)
        zoo_create_op_init(to, op->path, op->data, (int)op->data_bytes, &ZOO_OPEN_ACL_UNSAFE,
                           mode_of(op), operation->paths[i], sizeof(operation->paths[i]));
    else if (op->type == RILL_REGISTRY_SET)
        zoo_set_op_init(to, op->path, op->data, (int)op->data_bytes, op->version, NULL);
    else if (op->type == RILL_REGISTRY_DELETE)
        zoo_delete_op_init(to, op->path, op->version);
    else
        zoo_check_op_init(to, op->path, op->version);
}

static int send_multi(zhandle_t *handle, struct rill_registry_request *request)
{
    struct operation *operation = request->backend;

    for (uint32_t i = 0; i < request->count; i++)
        fill_op(operation, i, &request->ops[i]);
    return zoo_amulti(handle, (int)request->count, operation->ops, operation->results, on_multi,
                      request);
}

static int send_ops(zhandle_t *handle, struct rill_registry_request *request)
{
    const struct rill_registry_op *op = &request->ops[0];

    if (request->count > 1 || op->type == RILL_REGISTRY_CHECK)
        return send_multi(handle, request);
    if (op->type == RILL_REGISTRY_CREATE)
        return zoo_acreate(handle, op->path, op->data, (int)op->data_bytes, &ZOO_OPEN_ACL_UNSAFE,
                           mode_of(op), on_path, request);
    if (op->type == RILL_REGISTRY_SET)
        return zoo_aset(handle, op->path, op->data, (int)op->data_bytes, op->version, on_stat,
                        request);
    return zoo_adelete(handle, op->path, op->version, on_void, request);
}

static int send_read(zhandle_t *handle, struct rill_registry_request *request)
{
    const char *path = request->ops[0].path;
    struct event *event = request->watch != NULL ? request->watch->backend : NULL;
    watcher_fn watcher = event != NULL ? on_watch : NULL;

    if (request->type == RILL_REGISTRY_REQUEST_GET)
        return zoo_awget(handle, path, watcher, event, on_data, request);
    if (request->type == RILL_REGISTRY_REQUEST_LIST)
        return zoo_awget_children2(handle, path, watcher, event, on_children, request);
    return zoo_awexists(handle, path, watcher, event, on_stat, request);
}

static int prepare(struct rill_registry_request *request)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    struct event *event;

    request->backend = operation;
    if (operation == NULL)
        return -ENOMEM;
    operation->event = (struct event){.type = ANSWERED, .request = request};
    if (request->watch == NULL || request->watch->backend != NULL)
        return 0;
    event = request->watch->backend = calloc(1, sizeof(*event));
    if (event == NULL)
        return -ENOMEM;
    *event = (struct event){.type = FIRED, .watch = request->watch};
    return 0;
}

static int send_request(struct rill_registry *registry, struct rill_registry_request *request)
{
    zhandle_t *handle = zookeeper_of(registry)->handle;
    int rc = prepare(request);

    if (rc != 0)
        return rc;
    return status_of(request->type == RILL_REGISTRY_REQUEST_OPS ? send_ops(handle, request)
                                                                : send_read(handle, request));
}

/* --- on the owner's thread: receiving --------------------------------------------------------- */

static void turn(struct rill_registry *registry)
{
    struct zookeeper *z = zookeeper_of(registry);
    struct event event;
    uint64_t times;

    if (read(z->queue.fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
        abort(); /* it is ours, and open */
    while (pop(&z->queue, &event)) {
        if (event.type == ANSWERED)
            rill_registry_answered(event.request);
        else if (event.type == FIRED)
            rill_registry_fired(event.watch);
        else
            rill_registry_state_changed(registry, event.state, event.session, event.timeout_ns);
    }
}

static uint64_t next_ns(const struct rill_registry *registry)
{
    (void)registry;
    return UINT64_MAX;
}

static int queue_fd(const struct rill_registry *registry)
{
    return zookeeper_of(registry)->queue.fd;
}

/* --- making and ending ------------------------------------------------------------------------ */

static void free_zookeeper(struct zookeeper *z)
{
    rill_registry_fini(&z->registry);
    pthread_mutex_destroy(&z->queue.mutex);
    close(z->queue.fd);
    free(z);
}

/* Its threads are gone when zookeeper_close() comes back; what they left in the queue is part of
 * the requests and watches that are freed here. */
static void close_zookeeper(struct rill_registry *registry)
{
    struct zookeeper *z = zookeeper_of(registry);

    zookeeper_close(z->handle);
    free_zookeeper(z);
}

/* The client's threads inherit that no signal is theirs: the owner's handlers stay on its own. */
static zhandle_t *init_handle(const char *servers, int timeout_ms, struct zookeeper *z)
{
    sigset_t all, before;
    zhandle_t *handle;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    handle =
        zookeeper_init2(servers, on_session, timeout_ms, NULL, z, ZOO_NO_LOG_CLIENTENV, no_log);
    code = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return handle;
}

int rill_registry_connect_zookeeper(const char *servers, uint64_t timeout_ns, uint64_t now_ns,
                                    struct rill_registry **registry, struct rill_error *err)
{
    static const struct rill_registry_backend backend = {.send = send_request,
                                                         .turn = turn,
                                                         .next_ns = next_ns,
                                                         .fd = queue_fd,
                                                         .close = close_zookeeper};
    struct zookeeper *z = calloc(1, sizeof(*z));
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), code = errno;

    if (z == NULL || fd < 0) {
        free(z);
        if (fd >= 0)
            close(fd);
        return rill_error_set(err, fd < 0 ? -code : -ENOMEM, "registry: no %s for a session",
                              fd < 0 ? "eventfd" : "memory");
    }
    rill_registry_init(&z->registry, &backend, timeout_ns, now_ns);
    pthread_mutex_init(&z->queue.mutex, NULL);
    z->queue.fd = fd;
    z->queue.end = &z->queue.first;
    for (int i = 0; i <= RILL_REGISTRY_EXPIRED; i++)
        z->states[i] = (struct event){.type = STATE, .state = (enum rill_registry_state)i};
    z->handle = init_handle(servers, (int)(timeout_ns / RILL_REGISTRY_NS_PER_MS), z);
    if (z->handle == NULL) {
        code = errno != 0 ? errno : EINVAL;
        free_zookeeper(z);
        return rill_error_set(err, -code,
                              "registry: ZooKeeper at '%s': %s; it takes address:port,...", servers,
                              strerror(code));
    }
    *registry = &z->registry;
    return 0;
}
