/* Watches that last, made of the backends' which fire once: read and arm at one moment; when it
 * fires, read again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/registry/registry_internal.h"

static void read_node(struct rill_registry_watch *w, enum rill_registry_request_type type)
{
    const struct rill_registry_op op = {.type = RILL_REGISTRY_GET, .path = w->path};

    if (w->registry->state != RILL_REGISTRY_CONNECTED)
        return; /* when it is, all that are not armed are read */
    w->again = false;
    /* Without memory it stays unread until the next connection, or heartbeat. */
    w->reading = rill_registry_send(w->registry, type, &op, 1, w, NULL, NULL, NULL) == 0;
}

static void begin(struct rill_registry_watch *w)
{
    read_node(w, w->what == RILL_REGISTRY_WATCH_CHILDREN ? RILL_REGISTRY_REQUEST_LIST
                                                         : RILL_REGISTRY_REQUEST_GET);
}

static void free_watch(struct rill_registry_watch *w)
{
    struct rill_registry_watch **at = &w->registry->watches;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    free(w->backend);
    free(w);
}

static bool is_news(const struct rill_registry_watch *w, const struct rill_registry_result *result)
{
    const struct rill_registry_stat *a = &w->stat, *b = &result->stat;

    if (!w->was_told || w->status != result->status)
        return true;
    if (result->status != 0)
        return w->changed; /* it was there, and is gone again */
    if (w->what == RILL_REGISTRY_WATCH_CHILDREN)
        return a->created != b->created || a->children_version != b->children_version;
    return a->created != b->created || a->version != b->version;
}

static void tell(struct rill_registry_watch *w, const struct rill_registry_result *result)
{
    rill_registry_done *told = w->told;

    if (told == NULL || !is_news(w, result))
        return;
    w->was_told = true;
    w->changed = false;
    w->status = result->status;
    w->stat = result->stat;
    if (result->status != 0 && (result->status != -ENOENT || w->what == RILL_REGISTRY_WATCH_TO_END))
        w->told = NULL;
    told(w->arg, result); /* may forget it */
}

/* Only a TO_END's can be freed before the session ends: a backend may hold the others twice, as
 * those that wait for a node to appear look at it in two ways. */
static bool is_over(const struct rill_registry_watch *w)
{
    return w->told == NULL && !w->reading && !w->armed &&
           (w->what == RILL_REGISTRY_WATCH_TO_END || w->backend == NULL);
}

/* What the answer says of the node. False: nothing, it must be asked again. */
static bool take_answer(struct rill_registry_watch *w, enum rill_registry_request_type type,
                        const struct rill_registry_result *result)
{
    bool exists = type == RILL_REGISTRY_REQUEST_EXISTS;

    if (result->status != 0 && result->status != -ENOENT)
        return false;
    if (result->status == 0 || exists)
        w->armed = true;
    if (result->status == 0 && exists) /* it appeared after the read that found nothing */
        return false;
    tell(w, result);
    return true;
}

void rill_registry_watch_answered(struct rill_registry_request *request)
{
    struct rill_registry_watch *w = request->watch;
    struct rill_registry_result result = rill_registry_result_of(request);
    bool reads = request->type != RILL_REGISTRY_REQUEST_EXISTS;

    result.path = w->path;
    w->reading = false;
    if (result.status == -ENOENT && reads && w->what != RILL_REGISTRY_WATCH_TO_END) {
        if (w->told != NULL)
            read_node(w, RILL_REGISTRY_REQUEST_EXISTS);
    } else if (!take_answer(w, request->type, &result)) {
        w->again = true;
    }
    /* After an error not before the next connection, or heartbeat. */
    if (w->again && w->told != NULL && !w->reading &&
        (result.status == 0 || result.status == -ENOENT))
        begin(w);
    if (is_over(w))
        free_watch(w);
}

void rill_registry_fired(struct rill_registry_watch *w)
{
    w->armed = false;
    w->changed = true;
    if (w->reading)
        w->again = true;
    else if (w->told != NULL)
        begin(w);
    if (is_over(w))
        free_watch(w);
}

/* Those that are armed stay so: they are told what they missed while there was no connection. */
void rill_registry_watches_go_on(struct rill_registry *registry)
{
    for (struct rill_registry_watch *w = registry->watches; w != NULL; w = w->next)
        if (w->told != NULL && !w->reading && (!w->armed || w->again))
            begin(w);
}

void rill_registry_watches_forget(struct rill_registry *registry, const void *arg)
{
    for (struct rill_registry_watch *w = registry->watches; w != NULL; w = w->next)
        if (w->arg == arg)
            w->told = NULL;
}

int rill_registry_watch(struct rill_registry *registry, const char *path,
                        enum rill_registry_watch_what what, rill_registry_done *told, void *arg,
                        struct rill_error *err)
{
    struct rill_registry_watch *w;
    int rc = rill_registry_check_path(path, err);

    if (rc != 0)
        return rc;
    if (registry->state == RILL_REGISTRY_EXPIRED)
        return rill_error_set(err, -ESHUTDOWN, "registry: the session has expired: connect anew");
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return rill_error_set(err, -ENOMEM, "registry: no memory for a watch of '%s'", path);
    w->registry = registry;
    w->what = what;
    w->told = told;
    w->arg = arg;
    memcpy(w->path, path, strlen(path) + 1);
    w->next = registry->watches;
    registry->watches = w;
    begin(w);
    return 0;
}
