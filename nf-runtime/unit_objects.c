#include "nf-runtime/unit_objects.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/config/settings.h"
#include "lib/daemon/daemon.h"

#define FOLDER "/run/store"
#define WAIT_NS 5000000

static void say(void *arg, const char *line)
{
    (void)arg;
    rill_daemon_say("%s", line);
}

static bool is_under_folder(const char *path)
{
    size_t bytes = strlen(FOLDER);

    return strncmp(path, FOLDER, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0') &&
           strstr(path, "..") == NULL;
}

/* NULL with *err: a unit can't reach it. */
static const char *address_of(const struct rill_config *settings, struct rill_error *err)
{
    static const char scheme[] = "redis+unix:";
    const char *address = rill_config_string(settings, "config_store"), *path = address;

    if (address[0] == '\0')
        return FOLDER;
    if (strncmp(address, scheme, strlen(scheme)) == 0)
        path += strlen(scheme);
    if (is_under_folder(path))
        return address;
    rill_error_set(err, -EINVAL,
                   "%s: config_store '%.200s': a unit has no network, and finds a store at " FOLDER
                   " (a folder, or redis+unix:" FOLDER "/NAME); rill up --set store_folder=FOLDER",
                   rill_config_source(settings, "config_store"), address);
    return NULL;
}

static bool names_any(const struct rill_nf *nf)
{
    for (unsigned i = 0; i < rill_nf_object_count(nf); i++)
        if (rill_nf_object_spec(nf, i)->name[0] != '\0')
            return true;
    return false;
}

static int wait_for_first(struct unit_objects *o, const struct rill_role_host *host,
                          struct rill_error *err)
{
    const struct timespec t = {.tv_nsec = WAIT_NS};
    int rc;

    while ((rc = rill_object_watch_loaded(o->watch, err)) == 1) {
        rill_role_alive(host);
        nanosleep(&t, NULL);
    }
    return rc;
}

static int use_first(struct unit_objects *o, struct rill_nf *nf, struct rill_error *err)
{
    rill_object_watch_apply(o->watch, nf);
    for (unsigned i = 0; i < o->count; i++) {
        struct rill_object_status status;

        rill_object_watch_status(o->watch, i, &status);
        if (rill_nf_object_spec(nf, i)->name[0] == '\0')
            continue;
        if (status.version[0] == '\0')
            return rill_error_set(err, -EINVAL, "%s", status.error);
        rill_daemon_say("%s: version %s", rill_nf_object_spec(nf, i)->name, status.version);
    }
    return 0;
}

int unit_objects_open(struct unit_objects *o, const struct rill_role_host *host, struct rill_nf *nf,
                      struct rill_error *err)
{
    struct rill_object_watch_config config = {
        .interval_ns = rill_setting_ms(host->settings, "config_poll_ms"), .say = say};
    int rc;

    if (!names_any(nf))
        return 0;
    o->count = rill_nf_object_count(nf);
    config.store = address_of(host->settings, err);
    if (config.store == NULL)
        return -EINVAL;
    o->watch = rill_object_watch_create(&config, nf, err);
    if (o->watch == NULL)
        return -EINVAL;
    rc = rill_object_watch_start(o->watch, err);
    if (rc == 0)
        rc = wait_for_first(o, host, err);
    return rc == 0 ? use_first(o, nf, err) : rc;
}

void unit_objects_turn(struct unit_objects *o, struct rill_nf *nf)
{
    if (o->watch != NULL && rill_object_watch_pending(o->watch))
        rill_object_watch_apply(o->watch, nf);
}

void unit_objects_metrics(struct unit_objects *o, struct rill_role_metrics *metrics)
{
    uint64_t taken = 0, refused = 0;

    if (o->watch == NULL)
        return;
    for (unsigned i = 0; i < o->count; i++) {
        struct rill_object_status status;

        rill_object_watch_status(o->watch, i, &status);
        taken += status.taken;
        refused += status.refused;
    }
    rill_role_metrics_add(metrics, "objects", "versions_taken", taken);
    rill_role_metrics_add(metrics, "objects", "versions_refused", refused);
}

/* --- for the resource manager ------------------------------------------------------------------
 */

/* Texts may be an NF's: a control character would make the whole message unreadable. */
static char *copy(char *to, size_t bytes, const char *text)
{
    snprintf(to, bytes, "%s", text);
    rill_daemon_clean(to);
    return to;
}

static void fill(struct unit_object *told, const struct rill_object_spec *spec,
                 const struct rill_object_status *status)
{
    Control__Object *to = &told->base;

    control__object__init(to);
    to->option = copy(told->option, sizeof(told->option), spec->option);
    to->name = copy(told->name, sizeof(told->name), spec->name);
    to->version = copy(told->version, sizeof(told->version), status->version);
    to->error = copy(told->error, sizeof(told->error), status->error);
    to->updates_taken = status->taken > 0 ? status->taken - 1 : 0; /* the first is no update */
    to->updates_refused = status->refused;
    to->lines_skipped = status->skipped;
}

bool unit_objects_tell(struct unit_objects *o, const struct rill_nf *nf, Control__Objects *body)
{
    char trouble[UNIT_OBJECT_TEXT_BYTES];

    if (o->watch == NULL)
        return false;
    body->objects = o->told_list;
    for (unsigned i = 0; i < o->count; i++) {
        const struct rill_object_spec *spec = rill_nf_object_spec(nf, i);
        struct rill_object_status status;

        if (spec->name[0] == '\0')
            continue;
        rill_object_watch_status(o->watch, i, &status);
        fill(&o->told[i], spec, &status);
        o->told_list[body->n_objects++] = &o->told[i].base;
    }
    rill_object_watch_trouble(o->watch, trouble, sizeof(trouble));
    body->trouble = copy(o->trouble, sizeof(o->trouble), trouble);
    return true;
}
