#include "cli/status_objects.h"

#include <inttypes.h>
#include <string.h>

#include "cli/format.h"
#include "lib/base/role_name.h"

/* One object of one unit. */
struct entry {
    const Control__Role *unit;
    const Control__Object *object;
};

/* They are one line. */
static bool are_alike(const struct entry *a, const struct entry *b)
{
    return a->unit->deployment == b->unit->deployment &&
           strcmp(a->object->option, b->object->option) == 0 &&
           strcmp(a->object->name, b->object->name) == 0 &&
           strcmp(a->object->version, b->object->version) == 0 &&
           strcmp(a->object->error, b->object->error) == 0 &&
           a->object->lines_skipped == b->object->lines_skipped;
}

/* The unit's object that is like it; false: it has none. */
static bool find_alike(const Control__Role *unit, const struct entry *like)
{
    for (size_t i = 0; unit->objects != NULL && i < unit->objects->n_objects; i++)
        if (are_alike(&(struct entry){unit, unit->objects->objects[i]}, like))
            return true;
    return false;
}

static bool was_shown(const Control__Status *s, const struct entry *e)
{
    for (size_t i = 0; i < s->n_roles && s->roles[i] != e->unit; i++)
        if (find_alike(s->roles[i], e))
            return true;
    return false;
}

static const char *deployment_of(const Control__Status *s, uint32_t vni)
{
    for (size_t i = 0; i < s->n_deployments; i++)
        if (s->deployments[i]->vni == vni)
            return s->deployments[i]->name;
    return "?";
}

/* "web: rules.txt (rules), version 58e0 at unit-1, unit-2; 3 lines left out" */
static void print_entry(FILE *out, const Control__Status *s, const struct entry *e)
{
    char name[RILL_ROLE_NAME_BYTES];
    const char *before = " at ";

    fprintf(out, "%s: ", deployment_of(s, e->unit->deployment));
    rill_format_name(out, e->object->name);
    fprintf(out, " (%s), version ", e->object->option);
    rill_format_name(out, e->object->version);
    for (size_t i = 0; i < s->n_roles; i++) {
        if (!find_alike(s->roles[i], e))
            continue;
        fprintf(out, "%s%s", before, rill_role_name(s->roles[i]->role, name));
        before = ", ";
    }
    if (e->object->lines_skipped > 0)
        fprintf(out, "; %" PRIu32 " line%s left out", e->object->lines_skipped,
                e->object->lines_skipped == 1 ? "" : "s");
    fputc('\n', out);
    if (e->object->error[0] == '\0')
        return;
    fprintf(out, "%-14sREFUSED the newest: ", "");
    rill_format_name(out, e->object->error);
    fputc('\n', out);
}

static void print_trouble(FILE *out, const Control__Role *unit)
{
    char name[RILL_ROLE_NAME_BYTES];

    if (unit->objects->trouble[0] == '\0')
        return;
    fprintf(out, "%-14s%s can't read the store: ", "", rill_role_name(unit->role, name));
    rill_format_name(out, unit->objects->trouble);
    fputc('\n', out);
}

void rill_status_print_objects(FILE *out, const Control__Status *s)
{
    const char *title = "objects";

    for (size_t i = 0; i < s->n_roles; i++) {
        const Control__Objects *objects = s->roles[i]->objects;

        for (size_t k = 0; objects != NULL && k < objects->n_objects; k++) {
            const struct entry e = {s->roles[i], objects->objects[k]};

            if (was_shown(s, &e))
                continue;
            fprintf(out, "%-12s", title);
            print_entry(out, s, &e);
            title = "";
        }
        if (objects != NULL)
            print_trouble(out, s->roles[i]);
    }
}

static void json_object(struct rill_json *json, const Control__Object *object)
{
    rill_json_open(json, NULL, '{');
    rill_json_string(json, "option", object->option);
    rill_json_string(json, "name", object->name);
    rill_json_string(json, "version", object->version);
    rill_json_u64(json, "updates_taken", object->updates_taken);
    rill_json_u64(json, "updates_refused", object->updates_refused);
    rill_json_u64(json, "lines_skipped", object->lines_skipped);
    rill_json_string(json, "error", object->error);
    rill_json_close(json, '}');
}

void rill_status_json_objects(struct rill_json *json, const Control__Objects *objects)
{
    rill_json_open(json, "objects", '[');
    for (size_t i = 0; objects != NULL && i < objects->n_objects; i++)
        json_object(json, objects->objects[i]);
    rill_json_close(json, ']');
    rill_json_string(json, "store_trouble", objects != NULL ? objects->trouble : "");
}
