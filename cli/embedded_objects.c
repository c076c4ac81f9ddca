/* Objects of the configuration store in a replay: the first versions before the first packet, newer
 * ones as the store has them (real time) or as --update says; and where records go. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/embedded_run.h"
#include "lib/config/settings.h"

/* From any thread. */
static void say(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "rill replay: %s\n", line);
}

/* A path in a deployment file is relative to that file; so is where objects are if nothing is said.
 */
static const char *store_address(const struct run *r, char *buf, size_t bytes)
{
    const char *address = rill_config_string(r->input.settings, "config_store");
    const char *source = rill_config_source(r->input.settings, "config_store");
    const char *file = r->options->config;
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;
    size_t length = file != NULL ? strlen(file) : 0;
    bool of_file = length > 0 && strncmp(source, file, length) == 0 && source[length] == ':';

    if (address[0] == '/' || strncmp(address, "redis", 5) == 0 ||
        (address[0] != '\0' && !of_file) || slash == NULL)
        return address[0] != '\0' ? address : ".";
    snprintf(buf, bytes, "%.*s/%s", (int)(slash - file), file, address);
    return buf;
}

/* --- updates ---------------------------------------------------------------------------------- */

/* What an update's text is for the i-th object; bad ones are refused when their time comes. */
static int load_update(const struct rill_nf *nf, struct updating *u,
                       const struct rill_update *update, const struct rill_objects_text *text)
{
    bool any = false;

    for (unsigned i = 0; i < rill_nf_object_count(nf); i++) {
        const struct rill_object_spec *spec = rill_nf_object_spec(nf, i);
        struct rill_load_report report;

        if (strcmp(spec->name, update->name) != 0)
            continue;
        any = true;
        u->version[i] =
            rill_object_load(spec, text->version, text->bytes, text->count, &report, &u->why[i]);
        u->used[i] = true;
    }
    return any ? 0 : -ENOENT;
}

static int load_updates(struct run *r, const struct rill_nf *nf, struct rill_error *err)
{
    for (uint32_t i = 0; i < r->options->update_count; i++) {
        const struct rill_update *update = &r->options->updates[i];
        struct rill_objects_text text;
        struct rill_error why;
        int rc = rill_objects_read_file(update->file, &text, &why);

        if (rc != 0)
            return rill_error_set(err, rc, "--update '%.80s': %.380s", update->text, why.text);
        r->objects.updating[i] = calloc(1, sizeof(*r->objects.updating[i]));
        if (r->objects.updating[i] == NULL)
            rc = rill_error_set(err, -ENOMEM, "no memory for --update");
        else if (load_update(nf, r->objects.updating[i], update, &text) != 0)
            rc = rill_error_set(err, -EINVAL,
                                "--update '%.80s': no option of the NF names an object '%s'",
                                update->text, update->name);
        free(text.bytes);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static uint64_t update_ns(const struct run *r, uint32_t i)
{
    return r->player.start_ns + r->options->updates[i].at_ns;
}

uint64_t embedded_next_update_ns(const struct run *r)
{
    if (r->objects.updated == r->options->update_count || r->player.stopped)
        return UINT64_MAX;
    return update_ns(r, r->objects.updated);
}

int embedded_check_updates(const struct run *r, struct rill_error *err)
{
    uint64_t last_ns;

    if (r->options->update_count == 0)
        return 0;
    last_ns = rill_player_last_due_ns(&r->player);
    for (uint32_t i = 0; i < r->options->update_count; i++)
        if (update_ns(r, i) > last_ns)
            return rill_error_set(
                err, -EINVAL, "--update '%.80s': the last packet goes in %.3f s after the first",
                r->options->updates[i].text, (double)(last_ns - r->player.start_ns) / 1e9);
    return 0;
}

static void update_now(struct run *r, struct updating *u)
{
    for (unsigned i = 0; i < RILL_NF_OBJECTS_MAX; i++) {
        if (!u->used[i])
            continue;
        rill_object_watch_offer(r->objects.watch, i, u->version[i], u->why[i].text);
        u->version[i] = NULL;
    }
}

/* --- instances -------------------------------------------------------------------------------- */

static int open_watch(struct run *r, struct rill_nf *nf, struct rill_error *err)
{
    char path[4096];
    struct rill_object_watch_config config = {
        .store = store_address(r, path, sizeof(path)),
        .interval_ns = rill_setting_ms(r->input.settings, "config_poll_ms"),
        .say = say};
    const struct rill_object_spec *missing;
    struct rill_object_status status;
    int rc;

    r->objects.watch = rill_object_watch_create(&config, nf, err);
    if (r->objects.watch == NULL)
        return -EINVAL;
    rc = rill_object_watch_load(r->objects.watch, err);
    if (rc != 0)
        return rc;
    rill_object_watch_apply(r->objects.watch, nf);
    missing = rill_nf_object_missing(nf);
    if (missing == NULL)
        return load_updates(r, nf, err);
    for (unsigned i = 0; i < rill_nf_object_count(nf); i++)
        if (rill_nf_object_spec(nf, i) == missing)
            rill_object_watch_status(r->objects.watch, i, &status);
    return rill_error_set(err, -EINVAL, "%s", status.error);
}

int embedded_equip(void *arg, struct rill_nf *nf, struct rill_error *err)
{
    struct run *r = arg;

    if (r->objects.watch != NULL)
        return rill_object_watch_equip(r->objects.watch, nf, err);
    if (rill_nf_object_count(nf) > 0)
        return open_watch(r, nf, err);
    if (r->options->update_count > 0)
        return rill_error_set(err, -EINVAL, "--update '%.80s': this NF has no objects",
                              r->options->updates[0].text);
    return 0;
}

static void set_at_all(struct run *r, unsigned i)
{
    struct rill_object_version *version = rill_object_watch_take(r->objects.watch, i);
    struct rill_error err = {.text = ""};
    int rc = 0;

    if (version == NULL)
        return;
    for (uint32_t k = 0; rc == 0 && k < rill_cluster_unit_count(r->cluster); k++)
        if (rill_cluster_unit(r->cluster, k) != NULL)
            rc = rill_nf_object_set(rill_cluster_nf(r->cluster, k), i, version, &err);
    if (rc == 0 && r->sharing.merger != NULL)
        rc = rill_nf_object_set(r->sharing.merger, i, version, &err);
    rill_object_watch_done(r->objects.watch, i, rc, &err);
}

void embedded_objects_turn(struct run *r)
{
    while (embedded_next_update_ns(r) <= r->player.now_ns)
        update_now(r, r->objects.updating[r->objects.updated++]);
    if (r->objects.watch == NULL || !rill_object_watch_pending(r->objects.watch))
        return;
    rill_object_watch_clear(r->objects.watch);
    for (unsigned i = 0; i < rill_nf_object_count(rill_cluster_nf(r->cluster, 0)); i++)
        set_at_all(r, i);
}

int embedded_objects_start(struct run *r, struct rill_error *err)
{
    if (r->objects.watch == NULL || r->options->clock == RILL_CLOCK_VIRTUAL)
        return 0;
    return rill_object_watch_start(r->objects.watch, err);
}

void embedded_objects_close(struct run *r)
{
    rill_object_watch_destroy(r->objects.watch);
    for (uint32_t i = 0; i < r->options->update_count; i++) {
        struct updating *u = r->objects.updating[i];

        for (unsigned k = 0; u != NULL && k < RILL_NF_OBJECTS_MAX; k++)
            rill_object_release(u->version[k]);
        free(u);
    }
}

int embedded_report_objects(struct run *r)
{
    const struct rill_nf *nf = rill_cluster_nf(r->cluster, 0);
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < rill_nf_object_count(nf); i++) {
        const struct rill_object_spec *spec = rill_nf_object_spec(nf, i);
        struct rill_report_object object = {.option = ""};
        struct rill_object_status status;

        rill_object_watch_status(r->objects.watch, i, &status);
        snprintf(object.option, sizeof(object.option), "%s", spec->option);
        snprintf(object.name, sizeof(object.name), "%s", spec->name);
        snprintf(object.version, sizeof(object.version), "%s", status.version);
        snprintf(object.error, sizeof(object.error), "%s", status.error);
        /* The first one is no update. */
        object.updates_taken = status.taken > 0 ? status.taken - 1 : 0;
        object.updates_refused = status.refused;
        object.lines_skipped = status.skipped;
        rc = rill_report_add_object(r->player.report, &object);
    }
    return rc;
}

/* --- records ---------------------------------------------------------------------------------- */

static void write_record(void *arg, const char *nf, const char *line, size_t bytes)
{
    (void)nf;
    fwrite(line, 1, bytes, arg);
    fputc('\n', arg);
}

int embedded_records_open(struct run *r, struct rill_error *err)
{
    const char *path = r->options->records;

    if (path == NULL)
        return 0;
    r->records = fopen(path, "we");
    return r->records != NULL
               ? 0
               : rill_error_set(err, -errno, "--records %s: %s", path, strerror(errno));
}

/* The time in a record is the capture's. */
void embedded_records_start(struct run *r)
{
    const struct rill_record_sink sink = {
        .write = write_record,
        .arg = r->records,
        .utc_offset_ns = (int64_t)(r->player.pace.first_ns - r->player.start_ns)};

    if (r->records != NULL)
        rill_nf_record_to(&sink);
}

int embedded_records_close(struct run *r, struct rill_error *err)
{
    FILE *file = r->records;
    bool failed;

    r->records = NULL;
    rill_nf_record_to(NULL);
    if (file == NULL)
        return 0;
    failed = ferror(file) != 0;
    failed |= fclose(file) != 0;
    return failed ? rill_error_set(err, -EIO, "--records %s: it can not be written",
                                   r->options->records)
                  : 0;
}
