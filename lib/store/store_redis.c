#include "lib/store/store_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum {
    ADDRESS_BYTES = 256,
    TROUBLE_BYTES = 160,
    SHA_BYTES = 41,
    KEY_BYTES = RILL_STORE_PREFIX_BYTES + 20,
    VERSION_DIGITS = 48,
    HEAD_BYTES = VERSION_DIGITS + 16, /* of a value, before the state */
    POLL_EVERY_NS = 5000,
};

/* Hexadecimal digits compare alike in every locale; the server's may be any. */
static const char put_script[] = "local old = redis.call('GETRANGE', KEYS[1], 0, 47)\n"
                                 "if old > string.sub(ARGV[1], 1, 48) then return 0 end\n"
                                 "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                                 "return 1\n";

struct redis {
    struct rill_store store;
    struct rill_store_redis_config config;
    char prefix[RILL_STORE_PREFIX_BYTES];
    char path[ADDRESS_BYTES]; /* or the address without its port */
    int port;                 /* 0: a path */
    char keep_ms[24];
    redisAsyncContext *context; /* NULL: none */
    bool is_connected, wants_read, wants_write;
    char sha[SHA_BYTES]; /* of the script, at this server; "": not known yet */
    uint32_t outstanding;
    uint64_t heard_ns;   /* of the server; or when the first of those outstanding was sent */
    uint64_t polled_ns;  /* when the socket was looked at */
    uint64_t connect_ns; /* when it is tried again */
    char trouble[TROUBLE_BYTES];
    uint8_t *value; /* HEAD_BYTES and a body */
    /* of the call at hand */
    uint64_t now_ns;
    struct rill_outbox *out;
};

static struct redis *redis_of(struct rill_store *store)
{
    return (struct redis *)store;
}

/* --- what hiredis wants of an event loop ------------------------------------------------------ */

static void add_read(void *arg)
{
    ((struct redis *)arg)->wants_read = true;
}

static void del_read(void *arg)
{
    ((struct redis *)arg)->wants_read = false;
}

static void add_write(void *arg)
{
    ((struct redis *)arg)->wants_write = true;
}

static void del_write(void *arg)
{
    ((struct redis *)arg)->wants_write = false;
}

/* The connection is gone, whatever the reason; its requests have been told. */
static void clean_up(void *arg)
{
    struct redis *s = arg;

    s->context = NULL;
    s->is_connected = s->wants_read = s->wants_write = false;
    s->sha[0] = '\0';
    s->connect_ns = s->now_ns + s->config.timeout_ns;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void cut_body(struct rte_mbuf *m)
{
    rte_pktmbuf_free(m->next);
    m->next = NULL;
    m->nb_segs = 1;
    m->data_len = 0;
    m->pkt_len = 0;
}

static void answer(struct redis *s, struct rte_mbuf *m, enum rill_frame_type type)
{
    struct rill_frame *f = rill_frame(m);
    uint32_t asker = f->src;

    f->type = type;
    f->src = f->dst;
    f->dst = asker;
    rill_outbox_put(s->out, m);
}

static void drop(struct rte_mbuf *m, uint64_t *counter)
{
    (*counter)++;
    rte_pktmbuf_free(m);
}

static void on_script(redisAsyncContext *context, void *reply_, void *arg)
{
    struct redis *s = context->data;
    const redisReply *reply = reply_;

    (void)arg;
    if (reply == NULL)
        return;
    s->heard_ns = s->now_ns;
    if (reply->type == REDIS_REPLY_STRING && reply->len == SHA_BYTES - 1)
        memcpy(s->sha, reply->str, SHA_BYTES);
    else
        s->store.n.errors++;
}

static void load_script(struct redis *s)
{
    s->sha[0] = '\0';
    redisAsyncCommand(s->context, on_script, NULL, "SCRIPT LOAD %s", put_script);
}

static void on_error(struct redis *s, const redisReply *reply, struct rte_mbuf *m)
{
    const char *text = reply->str != NULL ? reply->str : "a reply of another type than asked for";

    drop(m, &s->store.n.errors);
    snprintf(s->trouble, sizeof(s->trouble), "%s", text);
    if (strncmp(text, "NOSCRIPT", 8) == 0 && s->sha[0] != '\0')
        load_script(s);
}

/* To a request. False: there is none, or an error, and the request is dropped. */
static bool take_reply(struct redis *s, const redisReply *reply, struct rte_mbuf *m)
{
    s->outstanding--;
    if (reply == NULL) {
        drop(m, &s->store.n.requests_lost);
        return false;
    }
    s->heard_ns = s->now_ns;
    if (reply->type == REDIS_REPLY_ERROR)
        on_error(s, reply, m);
    return reply->type != REDIS_REPLY_ERROR;
}

static void on_put(redisAsyncContext *context, void *reply_, void *arg)
{
    struct redis *s = context->data;
    const redisReply *reply = reply_;
    struct rte_mbuf *m = arg;

    if (!take_reply(s, reply, m))
        return;
    rill_frame(m)->flags = 0;
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer != 1) {
        rill_frame(m)->flags = RILL_FLAG_REFUSED;
        s->store.n.puts_refused++;
    }
    cut_body(m);
    answer(s, m, RILL_FRAME_STORE_ACK);
}

/* The version at a value's head. False: it is none. */
static bool read_head(const char *value, size_t bytes, struct rill_frame *f)
{
    char digits[VERSION_DIGITS + 1];
    int used = 0;

    if (bytes < HEAD_BYTES)
        return false;
    memcpy(digits, value, VERSION_DIGITS);
    digits[VERSION_DIGITS] = '\0';
    if (sscanf(digits, "%16" SCNx64 "%16" SCNx64 "%16" SCNx64 "%n", &f->granted_term, &f->term,
               &f->step, &used) != 3 ||
        used != VERSION_DIGITS)
        return false;
    memcpy(&f->clock, value + VERSION_DIGITS, 8);
    memcpy(&f->window, value + VERSION_DIGITS + 8, 8);
    return true;
}

static void answer_value(struct redis *s, const redisReply *reply, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    size_t bytes = (size_t)reply->len;

    cut_body(m);
    f->flags = RILL_FLAG_STATE;
    if (!read_head(reply->str, bytes, f) || bytes - HEAD_BYTES > RILL_BODY_MAX) {
        drop(m, &s->store.n.errors);
        return;
    }
    if (rill_body_append(m, s->config.pool, reply->str + HEAD_BYTES,
                         (uint32_t)(bytes - HEAD_BYTES)) != 0) {
        drop(m, &s->store.n.messages_no_mbuf);
        return;
    }
    answer(s, m, RILL_FRAME_STORE_VALUE);
}

static void on_get(redisAsyncContext *context, void *reply_, void *arg)
{
    struct redis *s = context->data;
    const redisReply *reply = reply_;
    struct rte_mbuf *m = arg;

    if (!take_reply(s, reply, m))
        return;
    if (reply->type == REDIS_REPLY_STRING) {
        answer_value(s, reply, m);
    } else if (reply->type == REDIS_REPLY_NIL) {
        s->store.n.gets_empty++;
        rill_frame(m)->flags = 0;
        cut_body(m);
        answer(s, m, RILL_FRAME_STORE_VALUE);
    } else {
        on_error(s, reply, m);
    }
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_connect(const redisAsyncContext *context, int status)
{
    struct redis *s = context->data;

    if (status != REDIS_OK) {
        s->store.n.connects_failed++;
        snprintf(s->trouble, sizeof(s->trouble), "%s", context->errstr);
        return; /* clean_up() comes next */
    }
    s->store.n.connects++;
    s->is_connected = true;
    s->trouble[0] = '\0';
    load_script(s);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct redis *s = context->data;

    if (status != REDIS_OK) /* else it was our will */
        snprintf(s->trouble, sizeof(s->trouble), "%s", context->errstr);
}

static void connect_now(struct redis *s)
{
    redisAsyncContext *context =
        s->port == 0 ? redisAsyncConnectUnix(s->path) : redisAsyncConnect(s->path, s->port);

    s->connect_ns = s->now_ns + s->config.timeout_ns;
    if (context == NULL || context->err != 0) {
        s->store.n.connects_failed++;
        snprintf(s->trouble, sizeof(s->trouble), "%s",
                 context == NULL ? "no memory" : context->errstr);
        if (context != NULL)
            redisAsyncFree(context);
        return;
    }
    s->context = context;
    s->heard_ns = s->now_ns;
    context->data = s;
    context->ev.data = s;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = clean_up;
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
}

/* Looks at the socket; what comes may end the connection. */
static void look(struct redis *s)
{
    struct pollfd p = {.fd = s->context->c.fd,
                       .events =
                           (short)((s->wants_read ? POLLIN : 0) | (s->wants_write ? POLLOUT : 0))};

    s->polled_ns = s->now_ns;
    if (poll(&p, 1, 0) <= 0)
        return;
    if (p.revents & (POLLIN | POLLERR | POLLHUP) && s->is_connected)
        redisAsyncHandleRead(s->context);
    if (s->context != NULL && (p.revents & (POLLOUT | POLLERR | POLLHUP)))
        redisAsyncHandleWrite(s->context);
}

static bool is_waiting(const struct redis *s)
{
    return s->outstanding > 0 || !s->is_connected;
}

static void turn(struct redis *s)
{
    if (s->context == NULL && s->now_ns >= s->connect_ns)
        connect_now(s);
    if (s->context != NULL)
        look(s);
    if (s->context != NULL && is_waiting(s) && s->now_ns > s->heard_ns + s->config.timeout_ns) {
        snprintf(s->trouble, sizeof(s->trouble), "no answer");
        redisAsyncFree(s->context);
    }
}

/* --- requests --------------------------------------------------------------------------------- */

static int key_of(const struct redis *s, const struct rill_frame *f, char key[KEY_BYTES])
{
    return snprintf(key, KEY_BYTES, "%s:%016" PRIx64, s->prefix, f->flow);
}

static int send_put(struct redis *s, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    uint32_t bytes = RTE_MIN(rte_pktmbuf_pkt_len(m), (uint32_t)RILL_BODY_MAX);
    bool known = s->sha[0] != '\0';
    char key[KEY_BYTES];
    const char *argv[] = {known ? "EVALSHA" : "EVAL",
                          known ? s->sha : put_script,
                          "1",
                          key,
                          (const char *)s->value,
                          s->keep_ms};
    size_t lengths[] = {strlen(argv[0]),           strlen(argv[1]),    1,
                        (size_t)key_of(s, f, key), HEAD_BYTES + bytes, strlen(s->keep_ms)};

    s->store.n.puts++;
    snprintf((char *)s->value, HEAD_BYTES, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
             f->granted_term, f->term, f->step);
    memcpy(s->value + VERSION_DIGITS, &f->clock, 8);
    memcpy(s->value + VERSION_DIGITS + 8, &f->window, 8);
    rill_body_read(m, 0, s->value + HEAD_BYTES, bytes);
    return redisAsyncCommandArgv(s->context, on_put, m, 6, argv, lengths);
}

static int send_get(struct redis *s, struct rte_mbuf *m)
{
    char key[KEY_BYTES];
    const char *argv[] = {"GET", key};
    size_t lengths[] = {3, (size_t)key_of(s, rill_frame(m), key)};

    s->store.n.gets++;
    return redisAsyncCommandArgv(s->context, on_get, m, 2, argv, lengths);
}

static void request(struct redis *s, struct rte_mbuf *m)
{
    uint8_t type = rill_frame(m)->type;
    int rc;

    if (type != RILL_FRAME_STORE_PUT && type != RILL_FRAME_STORE_GET) {
        drop(m, &s->store.n.messages_unknown);
        return;
    }
    if (!s->is_connected || s->outstanding >= s->config.outstanding_max) {
        drop(m, &s->store.n.requests_refused);
        return;
    }
    rc = type == RILL_FRAME_STORE_PUT ? send_put(s, m) : send_get(s, m);
    if (rc != REDIS_OK) { /* it is being closed */
        drop(m, &s->store.n.requests_refused);
        return;
    }
    if (s->outstanding++ == 0)
        s->heard_ns = s->now_ns;
}

static void begin(struct redis *s, uint64_t now_ns, struct rill_outbox *out)
{
    s->now_ns = now_ns;
    s->out = out;
}

static void redis_tick(struct rill_store *store, uint64_t now_ns, struct rill_outbox *out)
{
    begin(redis_of(store), now_ns, out);
    turn(redis_of(store));
}

/* All of a burst goes out in one write. */
static void redis_recv(struct rill_store *store, struct rte_mbuf **frames, uint32_t n,
                       uint64_t now_ns, struct rill_outbox *out)
{
    struct redis *s = redis_of(store);

    begin(s, now_ns, out);
    for (uint32_t i = 0; i < n; i++)
        request(s, frames[i]);
    turn(s);
}

/* An answer is waited for as packets are: by looking. */
static uint64_t redis_next_ns(struct rill_store *store)
{
    const struct redis *s = redis_of(store);

    if (s->context == NULL)
        return s->connect_ns;
    return s->polled_ns + (is_waiting(s) ? POLL_EVERY_NS : s->config.timeout_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Fills path and port. */
static int parse_address(const char *address, char path[ADDRESS_BYTES], int *port)
{
    const char *colon = strrchr(address, ':');
    struct in6_addr ip;
    char *end;
    long number;

    if (strlen(address) >= ADDRESS_BYTES)
        return -EINVAL;
    *port = 0;
    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(path, ADDRESS_BYTES, "%s", address + 5);
        return path[0] == '/' ? 0 : -EINVAL;
    }
    if (colon == NULL)
        return -EINVAL;
    snprintf(path, ADDRESS_BYTES, "%.*s", (int)(colon - address), address);
    number = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number < 1 || number > 65535)
        return -EINVAL;
    *port = (int)number;
    return inet_pton(AF_INET, path, &ip) == 1 || inet_pton(AF_INET6, path, &ip) == 1 ? 0 : -EINVAL;
}

int rill_store_redis_check_address(const char *address, struct rill_error *err)
{
    char path[ADDRESS_BYTES];
    int port;

    if (parse_address(address, path, &port) == 0)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "'%.100s' is no address of a Redis server: unix:/PATH, or ADDRESS:PORT",
                          address);
}

static void redis_destroy(struct rill_store *store)
{
    struct redis *s = redis_of(store);

    if (s->context != NULL)
        redisAsyncFree(s->context);
    free(s->value);
    free(s);
}

struct rill_store *rill_store_redis_create(const struct rill_store_redis_config *config,
                                           struct rill_error *err)
{
    static const struct rill_store_ops ops = {
        .recv = redis_recv, .tick = redis_tick, .next_ns = redis_next_ns, .destroy = redis_destroy};
    struct redis *s;

    if (rill_store_redis_check_address(config->address, err) != 0)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (s == NULL || (s->value = malloc(HEAD_BYTES + RILL_BODY_MAX)) == NULL) {
        free(s);
        rill_error_set(err, -ENOMEM, "no memory for a connection to Redis");
        return NULL;
    }
    s->store.ops = &ops;
    s->config = *config;
    parse_address(config->address, s->path, &s->port);
    snprintf(s->prefix, sizeof(s->prefix), "%s", config->prefix);
    snprintf(s->keep_ms, sizeof(s->keep_ms), "%" PRIu64, config->keep_ns / 1000000 + 1);
    return &s->store;
}

bool rill_store_redis_is_connected(const struct rill_store *store)
{
    return ((const struct redis *)store)->is_connected;
}

const char *rill_store_redis_trouble(const struct rill_store *store)
{
    return ((const struct redis *)store)->trouble;
}
