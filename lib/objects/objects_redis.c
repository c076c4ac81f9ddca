/* A Redis server: one connection, made when it is needed and again after it was lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "lib/objects/objects_internal.h"

#ifdef RILL_HAS_REDIS
#include <hiredis/hiredis.h>

enum { HOST_BYTES = 256, PREFIX_BYTES = 64, CONNECT_MS = 500, ANSWER_MS = 5000 };
enum { KEY_BYTES = PREFIX_BYTES + RILL_OBJECT_NAME_MAX + 16 };

struct redis {
    struct rill_objects objects;
    char host[HOST_BYTES]; /* or the socket's path */
    int port;              /* 0: a socket */
    char prefix[PREFIX_BYTES];
    redisContext *context; /* NULL: none */
};

static struct redis *redis_of(struct rill_objects *objects)
{
    return (struct redis *)objects;
}

static int unreachable(struct redis *r, const char *why, struct rill_error *err)
{
    rill_error_set(err, -EIO, "configuration store %.200s: %.200s", r->objects.address, why);
    redisFree(r->context);
    r->context = NULL;
    return -EIO;
}

static int connect_to(struct redis *r, struct rill_error *err)
{
    const struct timeval wait = {.tv_usec = CONNECT_MS * 1000L};
    const struct timeval answer = {.tv_sec = ANSWER_MS / 1000};

    if (r->context != NULL)
        return 0;
    r->context = r->port != 0 ? redisConnectWithTimeout(r->host, r->port, wait)
                              : redisConnectUnixWithTimeout(r->host, wait);
    if (r->context == NULL)
        return unreachable(r, "no memory", err);
    if (r->context->err != 0)
        return unreachable(r, r->context->errstr, err);
    redisSetTimeout(r->context, answer);
    return 0;
}

/* One command; *reply is the caller's to free. An error that the server tells is -EIO, too. */
static int ask(struct redis *r, int argc, const char **argv, const size_t *lengths,
               redisReply **reply, struct rill_error *err)
{
    int rc = connect_to(r, err);

    *reply = NULL;
    if (rc != 0)
        return rc;
    *reply = redisCommandArgv(r->context, argc, argv, lengths);
    if (*reply == NULL)
        return unreachable(r, r->context->errstr, err);
    if ((*reply)->type != REDIS_REPLY_ERROR)
        return 0;
    rc = rill_error_set(err, -EIO, "configuration store %.200s: %.200s", r->objects.address,
                        (*reply)->str);
    freeReplyObject(*reply);
    *reply = NULL;
    return rc;
}

static void key_of(const struct redis *r, const char *name, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "%s:object:%s", r->prefix, name);
}

static int nothing(const struct redis *r, const char *name, struct rill_error *err)
{
    return rill_error_set(err, -ENOENT, "configuration store %.200s: no object '%s'",
                          r->objects.address, name);
}

static int take_version(const struct redis *r, const char *name, const redisReply *reply,
                        char *version, struct rill_error *err)
{
    if (reply->type != REDIS_REPLY_STRING)
        return nothing(r, name, err);
    snprintf(version, RILL_OBJECT_VERSION_BYTES, "%s", reply->str);
    return 0;
}

static int redis_version(struct rill_objects *objects, const char *name, char *version,
                         struct rill_error *err)
{
    struct redis *r = redis_of(objects);
    char key[KEY_BYTES];
    const char *argv[] = {"HGET", key, "version"};
    redisReply *reply;
    int rc;

    key_of(r, name, key);
    rc = ask(r, 3, argv, NULL, &reply, err);
    if (rc == 0)
        rc = take_version(r, name, reply, version, err);
    freeReplyObject(reply);
    return rc;
}

static int take_text(const struct redis *r, const char *name, const redisReply *reply,
                     struct rill_objects_text *text, struct rill_error *err)
{
    const redisReply *from;
    int rc;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return nothing(r, name, err);
    rc = take_version(r, name, reply->element[0], text->version, err);
    from = reply->element[1];
    if (rc == 0 && from->type != REDIS_REPLY_STRING)
        rc = nothing(r, name, err);
    if (rc == 0 && from->len > RILL_OBJECTS_TEXT_MAX)
        rc = rill_error_set(err, -EIO, "object '%s' has more than 64 MB; split it", name);
    if (rc != 0)
        return rc;
    text->bytes = malloc(from->len + 1);
    if (text->bytes == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for object '%s'", name);
    memcpy(text->bytes, from->str, from->len);
    text->bytes[from->len] = '\0';
    text->count = from->len;
    return 0;
}

static int redis_get(struct rill_objects *objects, const char *name, struct rill_objects_text *text,
                     struct rill_error *err)
{
    struct redis *r = redis_of(objects);
    char key[KEY_BYTES];
    const char *argv[] = {"HMGET", key, "version", "text"};
    redisReply *reply;
    int rc;

    key_of(r, name, key);
    rc = ask(r, 4, argv, NULL, &reply, err);
    if (rc == 0)
        rc = take_text(r, name, reply, text, err);
    freeReplyObject(reply);
    return rc;
}

static int redis_put(struct rill_objects *objects, const char *name, const char *bytes,
                     size_t count, const char *version, struct rill_error *err)
{
    struct redis *r = redis_of(objects);
    char key[KEY_BYTES];
    const char *argv[] = {"HSET", key, "version", version, "text", bytes};
    size_t lengths[] = {4, 0, 7, strlen(version), 4, count};
    redisReply *reply;
    int rc;

    key_of(r, name, key);
    lengths[1] = strlen(key);
    rc = ask(r, 6, argv, lengths, &reply, err);
    freeReplyObject(reply);
    return rc;
}

/* One page of SCAN; *cursor is where the next one begins, "0": there is none. */
static int scan(struct redis *r, char cursor[32], struct objects_names *names,
                struct rill_error *err)
{
    char pattern[KEY_BYTES];
    const char *argv[] = {"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"};
    redisReply *reply;
    int rc;

    key_of(r, "*", pattern);
    rc = ask(r, 6, argv, NULL, &reply, err);
    if (rc != 0)
        return rc;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        rc = rill_error_set(err, -EIO, "configuration store %.200s: answers SCAN with nonsense",
                            r->objects.address);
    for (size_t i = 0; rc == 0 && i < reply->element[1]->elements; i++) {
        const char *name = reply->element[1]->element[i]->str + strlen(pattern) - 1;

        if (rill_object_name_is_plain(name) && objects_names_add(names, name) != 0)
            rc = rill_error_set(err, -ENOMEM, "no memory for the names of objects");
    }
    if (rc == 0)
        snprintf(cursor, 32, "%s", reply->element[0]->str);
    freeReplyObject(reply);
    return rc;
}

static int redis_list(struct rill_objects *objects,
                      void (*each)(void *arg, const char *name, const char *version, size_t bytes),
                      void *arg, struct rill_error *err)
{
    struct objects_names names = {0};
    char cursor[32] = "0";
    int rc;

    do
        rc = scan(redis_of(objects), cursor, &names, err);
    while (rc == 0 && strcmp(cursor, "0") != 0);
    objects_names_sort(&names);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        struct rill_objects_text text = {.bytes = NULL};

        if (i > 0 && strcmp(names.at[i], names.at[i - 1]) == 0)
            continue; /* SCAN may name one twice */
        rc = redis_get(objects, names.at[i], &text, err);
        if (rc == 0)
            each(arg, names.at[i], text.version, text.count);
        else if (rc == -ENOENT)
            rc = 0;
        free(text.bytes);
    }
    free(names.at);
    return rc;
}

static void redis_close(struct rill_objects *objects)
{
    redisFree(redis_of(objects)->context);
    free(objects);
}

static const struct objects_ops redis_ops = {.version = redis_version,
                                             .get = redis_get,
                                             .put = redis_put,
                                             .list = redis_list,
                                             .close = redis_close};

static int take_prefix(struct redis *r, const char *prefix)
{
    size_t bytes = strlen(prefix);

    if (bytes >= sizeof(r->prefix) || prefix[strcspn(prefix, " *?[]\\/")] != '\0')
        return -EINVAL;
    memcpy(r->prefix, bytes == 0 ? "rill" : prefix, bytes == 0 ? sizeof("rill") : bytes + 1);
    return 0;
}

/* `end`: the character behind the host or path; what follows it is the prefix. */
static int take_host(struct redis *r, const char *where, const char *end)
{
    size_t bytes = end != NULL ? (size_t)(end - where) : strlen(where);

    if (bytes == 0 || bytes >= sizeof(r->host))
        return -EINVAL;
    memcpy(r->host, where, bytes);
    r->host[bytes] = '\0';
    return take_prefix(r, end != NULL ? end + 1 : "");
}

static int take_port(struct redis *r)
{
    char *colon = strrchr(r->host, ':'), *end;
    long port;

    if (colon == NULL || colon == r->host)
        return -EINVAL;
    *colon = '\0';
    port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
        return -EINVAL;
    r->port = (int)port;
    return 0;
}

struct rill_objects *objects_redis_open(const char *where, bool is_unix, struct rill_error *err)
{
    struct redis *r = calloc(1, sizeof(*r));
    int rc = r == NULL ? -ENOMEM : take_host(r, where, strchr(where, is_unix ? ':' : '/'));

    if (rc == 0 && is_unix && where[0] != '/')
        rc = -EINVAL;
    if (rc == 0 && !is_unix)
        rc = take_port(r);
    if (rc == 0) {
        r->objects.ops = &redis_ops;
        return &r->objects;
    }
    rill_error_set(err, rc,
                   rc == -ENOMEM ? "no memory for a configuration store%.0s"
                                 : "'%.200s': a configuration store in Redis is "
                                   "redis://HOST:PORT[/PREFIX] or redis+unix:/PATH[:PREFIX]",
                   where);
    free(r);
    return NULL;
}
#else
struct rill_objects *objects_redis_open(const char *where, bool is_unix, struct rill_error *err)
{
    (void)is_unix;
    rill_error_set(err, -EINVAL,
                   "'%.200s': this was built without Redis's client: apt-get install "
                   "libhiredis-dev, and build again; or name a folder",
                   where);
    return NULL;
}
#endif
