#include "lib/control/link.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "lib/control/link_connection.h"

enum { REDIAL_MIN_MS = 10, REDIAL_MAX_MS = 500, LOOK_MS = 50, PATH_BYTES = 128 };

static const char ipc[] = "ipc://";

struct rill_link {
    struct rill_link_events events;
    struct rill_link_counters n;
    uv_async_t woken; /* by nng's threads: something is done */
    uv_timer_t redial;
    struct rill_operation dial_or_accept;
    nng_stream_listener *listener; /* one of the two */
    nng_stream_dialer *dialer;
    struct rill_connection *connections; /* a list */
    uint32_t last_peer;
    unsigned redial_ms;
    uv_timer_t look;         /* whether `path` leads elsewhere */
    char path[PATH_BYTES];   /* dialled; "": none that could be a link */
    char target[PATH_BYTES]; /* what it led to when it was dialled; "": it is no link */
    unsigned handles;        /* open ones of libuv; the last that closes frees */
    bool closing;
};

static void on_redial(uv_timer_t *timer);

static void on_handle_closed(uv_handle_t *handle)
{
    struct rill_link *link = handle->data;

    if (--link->handles == 0)
        free(link);
}

/* --- connections ------------------------------------------------------------------------------ */

static void end_connection(struct rill_link *link, struct rill_connection *c)
{
    struct rill_connection **at = &link->connections;
    uint32_t peer = c->peer;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    rill_connection_destroy(c);
    link->events.down(link->events.arg, peer);
    if (link->dialer != NULL && !link->closing)
        uv_timer_start(&link->redial, on_redial, link->redial_ms, 0);
}

static struct rill_connection *find(const struct rill_link *link, uint32_t peer)
{
    struct rill_connection *c = link->connections;

    while (c != NULL && c->peer != peer)
        c = c->next;
    return c;
}

static void wake(void *arg)
{
    struct rill_link *link = arg;

    uv_async_send(&link->woken);
}

static void begin_connection(struct rill_link *link, nng_stream *stream)
{
    struct rill_connection *c = rill_connection_create(stream, wake, link);

    if (c == NULL)
        return;
    c->peer = ++link->last_peer;
    c->next = link->connections;
    link->connections = c;
    link->redial_ms = REDIAL_MIN_MS;
    link->events.up(link->events.arg, c->peer);
}

/* Takes one message out of what has come, if a whole one has. False: none, or the end. */
static bool take_message(struct rill_link *link, struct rill_connection *c)
{
    enum rill_control_result result;
    Control__Message *message;
    const void *bytes;
    size_t size;

    switch (rill_connection_next(c, &bytes, &size)) {
    case RILL_CONNECTION_NOTHING:
        return false;
    case RILL_CONNECTION_TOO_LONG:
        link->n.refused[RILL_CONTROL_TOO_LONG]++;
        c->broken = true;
        return false;
    case RILL_CONNECTION_MESSAGE:
        break;
    }
    result = rill_control_unpack(bytes, size, &message);
    if (result != RILL_CONTROL_OK) {
        link->n.refused[result]++;
        return true;
    }
    link->n.received++;
    link->events.message(link->events.arg, c->peer, message);
    rill_control_free(message);
    return true;
}

/* Events may close the link, and a message's receiver may send: so nothing is held across them. */
static void turn_connection(struct rill_link *link, uint32_t peer)
{
    struct rill_connection *c = find(link, peer);

    if (c == NULL)
        return;
    rill_connection_turn(c);
    while (!link->closing && take_message(link, c))
        ;
    if (link->closing)
        return;
    rill_connection_receive(c);
    if (c->broken)
        end_connection(link, c);
}

/* --- where a path leads ----------------------------------------------------------------------- */

static void read_target(const struct rill_link *link, char target[PATH_BYTES])
{
    ssize_t n = link->path[0] == '\0' ? -1 : readlink(link->path, target, PATH_BYTES - 1);

    target[n < 0 ? 0 : n] = '\0';
}

/* One that hangs keeps its connections: that another one is there is seen at the path only. */
static void on_look(uv_timer_t *timer)
{
    struct rill_link *link = timer->data;
    char target[PATH_BYTES];

    read_target(link, target);
    if (target[0] == '\0' || strcmp(target, link->target) == 0)
        return;
    if (link->connections != NULL)
        end_connection(link, link->connections);
    if (!link->closing && uv_is_active((uv_handle_t *)&link->redial)) {
        link->redial_ms = REDIAL_MIN_MS;
        uv_timer_start(&link->redial, on_redial, 0, 0);
    }
}

/* --- dialling and accepting ------------------------------------------------------------------ */

/* Where the path leads is dialled, not the path: it may lead elsewhere before the dialler looks,
 * and then nobody would know whom it has reached. The dialler of before, if there is no memory. */
static void follow_path(struct rill_link *link)
{
    char url[2 * PATH_BYTES];
    const char *slash = strrchr(link->path, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - link->path);
    nng_stream_dialer *dialer;

    read_target(link, link->target);
    if (link->target[0] == '\0')
        return;
    snprintf(url, sizeof(url), "%s%.*s%s", ipc, link->target[0] == '/' ? 0 : folder, link->path,
             link->target);
    if (nng_stream_dialer_alloc(&dialer, url) != 0)
        return;
    nng_stream_dialer_free(link->dialer);
    link->dialer = dialer;
}

static void begin_dial_or_accept(struct rill_link *link)
{
    rill_operation_begin(&link->dial_or_accept);
    if (link->listener != NULL) {
        nng_stream_listener_accept(link->listener, link->dial_or_accept.aio);
    } else {
        follow_path(link);
        nng_stream_dialer_dial(link->dialer, link->dial_or_accept.aio);
    }
}

static void on_redial(uv_timer_t *timer)
{
    begin_dial_or_accept(timer->data);
}

static void turn_dial_or_accept(struct rill_link *link)
{
    nng_aio *aio = link->dial_or_accept.aio;
    int rc;

    if (!rill_operation_done(&link->dial_or_accept))
        return;
    rc = nng_aio_result(aio);
    if (rc == 0)
        begin_connection(link, nng_aio_get_output(aio, 0));
    if (link->closing)
        return;
    if (link->listener != NULL && rc != NNG_ECLOSED) {
        begin_dial_or_accept(link);
    } else if (link->dialer != NULL && rc != 0) {
        link->redial_ms = link->redial_ms * 2 > REDIAL_MAX_MS ? REDIAL_MAX_MS : link->redial_ms * 2;
        uv_timer_start(&link->redial, on_redial, link->redial_ms, 0);
    }
}

static void on_woken(uv_async_t *woken)
{
    struct rill_link *link = woken->data;

    turn_dial_or_accept(link);
    /* By peer, newest first as the list is: it changes while events are told. */
    for (struct rill_connection *c = link->connections; c != NULL && !link->closing;) {
        uint32_t peer = c->peer;

        turn_connection(link, peer);
        if (link->closing)
            return;
        for (c = link->connections; c != NULL && c->peer >= peer; c = c->next)
            ;
    }
}

/* --- making and ending ----------------------------------------------------------------------- */

static struct rill_link *create(uv_loop_t *loop, const struct rill_link_events *events,
                                struct rill_error *err)
{
    struct rill_link *link = calloc(1, sizeof(*link));

    if (link == NULL || rill_operation_init(&link->dial_or_accept, wake, link) != 0) {
        rill_error_set(err, -ENOMEM, "no memory for a control link");
        free(link);
        return NULL;
    }
    link->events = *events;
    link->redial_ms = REDIAL_MIN_MS;
    link->handles = 3;
    uv_async_init(loop, &link->woken, on_woken);
    uv_timer_init(loop, &link->redial);
    uv_timer_init(loop, &link->look);
    uv_unref((uv_handle_t *)&link->look);
    link->woken.data = link->redial.data = link->look.data = link;
    return link;
}

static int errno_of(int nng_error)
{
    switch (nng_error) {
    case NNG_EADDRINUSE:
        return -EADDRINUSE;
    case NNG_EPERM:
        return -EACCES;
    case NNG_EADDRINVAL:
    case NNG_EINVAL:
    case NNG_ENOTSUP:
        return -EINVAL;
    case NNG_ENOMEM:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

int rill_link_listen(uv_loop_t *loop, const char *url, unsigned mode,
                     const struct rill_link_events *events, struct rill_link **result,
                     struct rill_error *err)
{
    struct rill_link *link = create(loop, events, err);
    int rc;

    if (link == NULL)
        return -ENOMEM;
    rc = nng_stream_listener_alloc(&link->listener, url);
    if (rc == 0 && strncmp(url, "ipc:", 4) == 0)
        rc = nng_stream_listener_set_int(link->listener, NNG_OPT_IPC_PERMISSIONS, (int)mode);
    if (rc == 0)
        rc = nng_stream_listener_listen(link->listener);
    if (rc != 0) {
        rill_link_close(link);
        return rill_error_set(err, errno_of(rc), "cannot listen at %s: %s", url, nng_strerror(rc));
    }
    begin_dial_or_accept(link);
    *result = link;
    return 0;
}

int rill_link_dial(uv_loop_t *loop, const char *url, const struct rill_link_events *events,
                   struct rill_link **result, struct rill_error *err)
{
    struct rill_link *link = create(loop, events, err);
    int rc;

    if (link == NULL)
        return -ENOMEM;
    rc = nng_stream_dialer_alloc(&link->dialer, url);
    if (rc != 0) {
        rill_link_close(link);
        return rill_error_set(err, errno_of(rc), "cannot dial %s: %s", url, nng_strerror(rc));
    }
    if (strncmp(url, ipc, strlen(ipc)) == 0 && strlen(url) - strlen(ipc) < PATH_BYTES) {
        snprintf(link->path, sizeof(link->path), "%s", url + strlen(ipc));
        uv_timer_start(&link->look, on_look, LOOK_MS, LOOK_MS);
    }
    begin_dial_or_accept(link);
    *result = link;
    return 0;
}

/* A stream that has just come, and that nobody has taken, goes, too. */
static void end_dial_or_accept(struct rill_link *link)
{
    struct rill_operation *operation = &link->dial_or_accept;

    nng_aio_stop(operation->aio);
    if (rill_operation_done(operation) && nng_aio_result(operation->aio) == 0)
        nng_stream_free(nng_aio_get_output(operation->aio, 0));
    rill_operation_fini(operation);
}

void rill_link_close(struct rill_link *link)
{
    if (link == NULL || link->closing)
        return;
    link->closing = true;
    if (link->listener != NULL)
        nng_stream_listener_close(link->listener);
    if (link->dialer != NULL)
        nng_stream_dialer_close(link->dialer);
    end_dial_or_accept(link);
    while (link->connections != NULL) {
        struct rill_connection *c = link->connections;

        link->connections = c->next;
        rill_connection_destroy(c);
    }
    nng_stream_listener_free(link->listener);
    nng_stream_dialer_free(link->dialer);
    uv_close((uv_handle_t *)&link->woken, on_handle_closed);
    uv_close((uv_handle_t *)&link->redial, on_handle_closed);
    uv_close((uv_handle_t *)&link->look, on_handle_closed);
}

/* --- sending ---------------------------------------------------------------------------------- */

bool rill_link_send(struct rill_link *link, uint32_t peer, const Control__Message *message)
{
    struct rill_connection *c = link->closing ? NULL : find(link, peer);
    size_t size = control__message__get_packed_size(message);
    uint8_t *room = c == NULL ? NULL : rill_connection_reserve(c, size);

    if (room == NULL) {
        link->n.dropped++;
        return false;
    }
    control__message__pack(message, room);
    rill_connection_commit(c);
    link->n.sent++;
    return true;
}

/* For who is about to end: messages that come in now are not looked at any more. */
static void pass_over(struct rill_connection *c)
{
    const void *bytes;
    size_t size;

    while (rill_connection_next(c, &bytes, &size) == RILL_CONNECTION_MESSAGE)
        ;
    rill_connection_receive(c);
}

void rill_link_flush(struct rill_link *link, unsigned timeout_ms)
{
    for (struct rill_connection *c = link->connections; c != NULL; c = c->next)
        rill_connection_ask(c);
    for (unsigned ms = 0; ms < timeout_ms; ms++) {
        bool waiting = false;

        for (struct rill_connection *c = link->connections; c != NULL; c = c->next) {
            rill_connection_turn(c);
            pass_over(c);
            waiting |= c->asked && !c->broken;
        }
        if (!waiting)
            return;
        nng_msleep(1);
    }
}

const struct rill_link_counters *rill_link_counters(const struct rill_link *link)
{
    return &link->n;
}
