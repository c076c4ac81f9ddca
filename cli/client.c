#include "cli/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "lib/base/role.h"
#include "lib/control/link.h"

enum { JOIN_MS = 3000, AWAY_MS = 10000 };

struct rill_client {
    struct rill_place place;
    uv_loop_t loop;
    uv_timer_t timer;
    struct rill_link *link;
    uint32_t peer; /* 0: the connection is down */
    uint32_t role;
    bool was_up;
    uint64_t
        away_ms; /* since when the connection is down, or it was not let in again; 0: it is up */
    uint64_t rejoin; /* number of the Join that is not answered yet */
    unsigned returns;
    uint64_t last_number;
    uint64_t awaited; /* 0: no answer is */
    Control__Message *answer;
    void (*on_message)(void *arg, const Control__Message *message);
    void *arg;
};

/* --- the link's events ----------------------------------------------------------------------- */

/* A request to us may have the number of one of ours. */
static bool is_request(const Control__Message *message)
{
    return message->body_case == CONTROL__MESSAGE__BODY_PEERS ||
           message->body_case == CONTROL__MESSAGE__BODY_METRICS_REQUEST;
}

Control__Message *rill_client_copy(const Control__Message *message)
{
    size_t bytes = control__message__get_packed_size(message);
    uint8_t *packed = malloc(bytes);
    Control__Message *result = NULL;

    if (packed == NULL)
        return NULL;
    control__message__pack(message, packed);
    rill_control_unpack(packed, bytes, &result);
    free(packed);
    return result;
}

static uint64_t send_join(struct rill_client *c)
{
    char host[65] = ""; /* no machine's name is longer for the RM */
    Control__Message m = rill_client_message_to(c, 0);
    Control__Join body = CONTROL__JOIN__INIT;
    char program[] = RILL_VERSION;

    gethostname(host, sizeof(host) - 1);
    body.kind = RILL_ROLE_CLIENT;
    body.machine = host;
    body.program = program;
    RILL_CONTROL_SET(&m, JOIN, join, &body);
    return rill_client_send(c, &m);
}

static void on_up(void *arg, uint32_t peer)
{
    struct rill_client *c = arg;

    c->peer = peer;
    c->was_up = true;
    if (c->role != 0)
        c->rejoin = send_join(c);
}

static void on_down(void *arg, uint32_t peer)
{
    struct rill_client *c = arg;

    if (c->peer != peer)
        return;
    c->peer = 0;
    c->rejoin = 0;
    if (c->away_ms == 0)
        c->away_ms = uv_now(&c->loop) + 1;
}

/* If not, its time runs out. */
static void on_let_in(struct rill_client *c, const Control__Message *message)
{
    c->rejoin = 0;
    if (message->body_case != CONTROL__MESSAGE__BODY_WELCOME)
        return;
    c->role = message->welcome->role;
    c->away_ms = 0;
    c->returns++;
}

static void on_message(void *arg, uint32_t peer, const Control__Message *message)
{
    struct rill_client *c = arg;

    (void)peer;
    if (c->rejoin != 0 && message->number == c->rejoin && !is_request(message)) {
        on_let_in(c, message);
        return;
    }
    if (c->awaited != 0 && message->number == c->awaited && !is_request(message)) {
        c->answer = rill_client_copy(message);
        c->awaited = 0;
    } else if (c->on_message != NULL) {
        c->on_message(c->arg, message);
    }
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* --- turning --------------------------------------------------------------------------------- */

void rill_client_turn(struct rill_client *c, unsigned timeout_ms)
{
    if (timeout_ms == 0) {
        uv_run(&c->loop, UV_RUN_NOWAIT);
        return;
    }
    uv_update_time(&c->loop);
    /* Again and again: on a busy machine it may be due before the loop waits, and a loop that has
     * run its only timer waits for ever. */
    uv_timer_start(&c->timer, on_timer, timeout_ms, timeout_ms);
    uv_run(&c->loop, UV_RUN_ONCE);
    uv_timer_stop(&c->timer);
}

static uint64_t now_ms(struct rill_client *c)
{
    uv_update_time(&c->loop);
    return uv_now(&c->loop);
}

/* --- questions ------------------------------------------------------------------------------- */

Control__Message rill_client_message_to(const struct rill_client *c, uint32_t to)
{
    return rill_control_message(c->role, to, 0);
}

uint64_t rill_client_send(struct rill_client *c, Control__Message *message)
{
    message->number = ++c->last_number;
    rill_link_send(c->link, c->peer, message);
    return message->number;
}

void rill_client_answer(struct rill_client *c, const Control__Message *request,
                        Control__Message *message)
{
    message->to = request->from;
    message->number = request->number;
    rill_link_send(c->link, c->peer, message);
}

static int no_answer(const struct rill_client *c, struct rill_error *err)
{
    char command[RILL_PLACE_PATH_BYTES];

    if (rill_client_is_away(c))
        return rill_error_set(err, -ECONNRESET,
                              "the resource manager of cluster '%s' has ended; `%s` cleans up",
                              c->place.name, rill_place_command(&c->place, "down", command));
    return rill_error_set(err, -ETIMEDOUT,
                          "the resource manager of cluster '%s' does not answer; see `%s`",
                          c->place.name, rill_place_command(&c->place, "logs rm", command));
}

static int await(struct rill_client *c, uint64_t number, unsigned timeout_ms,
                 Control__Message **answer, struct rill_error *err)
{
    uint64_t until_ms = now_ms(c) + timeout_ms;
    int rc = 0;

    *answer = NULL;
    c->awaited = number;
    while (c->awaited != 0 && c->peer != 0 && now_ms(c) < until_ms)
        rill_client_turn(c, (unsigned)(until_ms - uv_now(&c->loop)));
    if (c->awaited != 0) {
        c->awaited = 0;
        return no_answer(c, err);
    }
    *answer = c->answer;
    c->answer = NULL;
    if (*answer == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the cluster's answer");
    if ((*answer)->body_case == CONTROL__MESSAGE__BODY_ERROR) {
        rc = rill_error_set(err, -EREMOTEIO, "%s", (*answer)->error->text);
        rill_control_free(*answer);
        *answer = NULL;
    }
    return rc;
}

int rill_client_ask(struct rill_client *c, Control__Message *message, unsigned timeout_ms,
                    Control__Message **answer, struct rill_error *err)
{
    return await(c, rill_client_send(c, message), timeout_ms, answer, err);
}

/* --- connecting ------------------------------------------------------------------------------ */

static int not_up(const struct rill_place *place, struct rill_error *err)
{
    char command[RILL_PLACE_PATH_BYTES];

    return rill_error_set(err, -ENOENT, "cluster '%s' is not up: %s", place->name,
                          rill_place_command(place, "up", command));
}

/* It left its socket, so nobody has taken the cluster down. */
static int manager_gone(const struct rill_place *place, struct rill_error *err)
{
    char command[RILL_PLACE_PATH_BYTES];

    return rill_error_set(
        err, -ENOENT,
        "the resource manager of cluster '%s' is gone, and what it had started may "
        "run on: %s",
        place->name, rill_place_command(place, "down", command));
}

/* The link would wait for somebody to listen there; whether anybody does is known at once. */
static int probe(const struct rill_place *place, struct rill_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[RILL_PLACE_PATH_BYTES];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

    if (fd < 0)
        return rill_error_set(err, -errno, "no socket: %s", strerror(errno));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s",
             rill_place_path(place, "rm.sock", path));
    rc = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
    close(fd);
    if (rc == -EACCES || rc == -EPERM)
        return rill_error_set(err, -EACCES, "cluster '%s' answers to root only (%s)", place->name,
                              path);
    if (rc == -ECONNREFUSED)
        return manager_gone(place, err);
    return rc == 0 || rc == -EAGAIN ? 0 : not_up(place, err);
}

static int join(struct rill_client *c, struct rill_error *err)
{
    Control__Message *answer;
    uint64_t until_ms = now_ms(c) + JOIN_MS;
    int rc;

    while (c->peer == 0 && now_ms(c) < until_ms)
        rill_client_turn(c, (unsigned)(until_ms - uv_now(&c->loop)));
    if (c->peer == 0)
        return no_answer(c, err);
    rc = await(c, send_join(c), JOIN_MS, &answer, err);
    if (rc != 0)
        return rc;
    if (answer->body_case != CONTROL__MESSAGE__BODY_WELCOME)
        rc = rill_error_set(err, -EPROTO, "%s/rm.sock: not a resource manager of this version",
                            c->place.base);
    else if (strcmp(answer->welcome->cluster, c->place.name) != 0)
        rc = rill_error_set(err, -EINVAL, "%s: this is the cluster '%.40s'; give it as --cluster",
                            c->place.base, answer->welcome->cluster);
    else
        c->role = answer->welcome->role;
    rill_control_free(answer);
    return rc;
}

int rill_client_open(const struct rill_place *place, struct rill_client **client,
                     struct rill_error *err)
{
    struct rill_client *c;
    struct rill_link_events events = {.up = on_up, .down = on_down, .message = on_message};
    char url[RILL_PLACE_PATH_BYTES + 8], path[RILL_PLACE_PATH_BYTES];
    int rc = probe(place, err);

    *client = NULL;
    if (rc != 0)
        return rc;
    c = calloc(1, sizeof(*c));
    if (c == NULL || uv_loop_init(&c->loop) != 0) {
        free(c);
        return rill_error_set(err, -ENOMEM, "no memory for the connection");
    }
    c->place = *place;
    uv_timer_init(&c->loop, &c->timer);
    events.arg = c;
    snprintf(url, sizeof(url), "ipc://%s", rill_place_path(place, "rm.sock", path));
    rc = rill_link_dial(&c->loop, url, &events, &c->link, err);
    if (rc == 0)
        rc = join(c, err);
    if (rc != 0) {
        rill_client_close(c);
        return rc;
    }
    *client = c;
    return 0;
}

void rill_client_close(struct rill_client *c)
{
    if (c == NULL)
        return;
    rill_link_close(c->link);
    uv_close((uv_handle_t *)&c->timer, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    uv_loop_close(&c->loop);
    rill_control_free(c->answer);
    free(c);
}

void rill_client_on_message(struct rill_client *c,
                            void (*callback)(void *arg, const Control__Message *message), void *arg)
{
    c->on_message = callback;
    c->arg = arg;
}

uint32_t rill_client_role(const struct rill_client *c)
{
    return c->role;
}

bool rill_client_is_away(const struct rill_client *c)
{
    return c->was_up && (c->peer == 0 || c->away_ms != 0);
}

bool rill_client_lost(const struct rill_client *c)
{
    return c->away_ms != 0 && uv_now(&c->loop) > c->away_ms + AWAY_MS;
}

unsigned rill_client_returns(const struct rill_client *c)
{
    return c->returns;
}
