#include "lib/registry/epochs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/registry/number.h"

struct rill_epoch_request {
    struct rill_registry *registry;
    rill_epoch_done *done;
    void *arg;
    uint32_t slot;
    uint64_t incarnation; /* that is asked for */
    bool under_way;
    char folder[RILL_REGISTRY_PATH_MAX + 1], path[RILL_REGISTRY_PATH_MAX + 1];
};

static void read_last(struct rill_epoch_request *r);

static void finish(struct rill_epoch_request *r, int status, uint16_t epoch,
                   const struct rill_error *err)
{
    rill_registry_forget(r->registry, r);
    r->done(r->arg, status, epoch, err);
    free(r);
}

static void fail(struct rill_epoch_request *r, int status)
{
    struct rill_error err;

    rill_error_set(&err, status, "controller epochs: node %s: %s", r->path,
                   rill_registry_status_text(status));
    finish(r, status, 0, &err);
}

/* True if it is tried again: at once, or when there is a connection. */
static bool asked(struct rill_epoch_request *r, int rc)
{
    r->under_way = rc == 0;
    if (rc == 0 || rc == -ENOTCONN)
        return true;
    fail(r, rc);
    return false;
}

static void on_taken(void *arg, const struct rill_registry_result *result)
{
    struct rill_epoch_request *r = arg;
    const struct rill_error none = {.text = ""};

    r->under_way = false;
    if (result->status == 0)
        finish(r, 0, (uint16_t)(r->slot << RILL_EPOCH_INCARNATION_BITS | r->incarnation), &none);
    else if (result->status == -ESTALE || result->status == -EEXIST || result->status == -ENOENT)
        read_last(r); /* another was faster */
    else if (result->status != -ECONNRESET)
        fail(r, result->status);
}

/* Replaces what was read; or makes the node, if there was none. */
static void take_next(struct rill_epoch_request *r, const struct rill_registry_result *last)
{
    char number[RILL_NUMBER_MAX];
    const struct rill_registry_op op = {.type = last->status == 0 ? RILL_REGISTRY_SET
                                                                  : RILL_REGISTRY_CREATE,
                                        .path = r->path,
                                        .version = last->stat.version,
                                        .data = number,
                                        .data_bytes = rill_number_print(++r->incarnation, number)};

    asked(r, rill_registry_ask(r->registry, &op, 1, on_taken, r, NULL));
}

static void on_read(void *arg, const struct rill_registry_result *result)
{
    struct rill_epoch_request *r = arg;
    struct rill_error err;

    r->under_way = false;
    r->incarnation = 0;
    if (result->status == -ECONNRESET)
        return; /* until CONNECTED */
    if (result->status != 0 && result->status != -ENOENT) {
        fail(r, result->status);
    } else if (result->status == 0 &&
               !rill_number_parse(result->data, result->data_bytes, &r->incarnation)) {
        rill_error_set(&err, -EINVAL,
                       "controller epochs: node %s holds no number: repair it by hand", r->path);
        finish(r, -EINVAL, 0, &err);
    } else if (r->incarnation >= RILL_EPOCH_INCARNATION_MAX) {
        rill_error_set(&err, -EOVERFLOW,
                       "controller slot %u has had all its %d incarnations: give the controller "
                       "another slot",
                       r->slot, RILL_EPOCH_INCARNATION_MAX);
        finish(r, -EOVERFLOW, 0, &err);
    } else {
        take_next(r, result);
    }
}

static void read_last(struct rill_epoch_request *r)
{
    const struct rill_registry_op get = {.type = RILL_REGISTRY_GET, .path = r->path};
    int rc = rill_registry_make_folder(r->registry, r->folder, NULL, NULL, NULL);

    if (rc == 0)
        rc = rill_registry_ask(r->registry, &get, 1, on_read, r, NULL);
    asked(r, rc);
}

static void on_state(void *arg, enum rill_registry_state state)
{
    struct rill_epoch_request *r = arg;

    if (state == RILL_REGISTRY_EXPIRED)
        fail(r, -ESHUTDOWN);
    else if (state == RILL_REGISTRY_CONNECTED && !r->under_way)
        read_last(r);
}

int rill_epoch_take(struct rill_registry *registry, const char *folder, uint32_t slot,
                    rill_epoch_done *done, void *arg, struct rill_epoch_request **request,
                    struct rill_error *err)
{
    struct rill_epoch_request *r;

    if (slot >= RILL_EPOCH_SLOTS)
        return rill_error_set(err, -EINVAL, "controller slot %u: slots are 0 to %d", slot,
                              RILL_EPOCH_SLOTS - 1);
    if (rill_registry_state(registry) == RILL_REGISTRY_EXPIRED)
        return rill_error_set(err, -ESHUTDOWN, "registry: the session has expired: connect anew");
    if (strlen(folder) + sizeof("/slot-00") > RILL_REGISTRY_PATH_MAX)
        return rill_error_set(err, -ENAMETOOLONG, "controller epochs: folder '%s' is too long",
                              folder);
    r = calloc(1, sizeof(*r));
    if (r == NULL || rill_registry_listen(registry, on_state, r) != 0) {
        free(r);
        return rill_error_set(err, -ENOMEM, "no memory for a controller's epoch");
    }
    r->registry = registry;
    r->done = done;
    r->arg = arg;
    r->slot = slot;
    snprintf(r->folder, sizeof(r->folder), "%s", folder);
    snprintf(r->path, sizeof(r->path), "%s/slot-%02u", folder, slot);
    *request = r;
    if (rill_registry_state(registry) == RILL_REGISTRY_CONNECTED)
        read_last(r);
    return 0;
}

void rill_epoch_cancel(struct rill_epoch_request *request)
{
    rill_registry_forget(request->registry, request);
    free(request);
}
