/* Objects of the configuration store: what an NF declares, versions of it, and the one in use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nf-runtime/nf_impl.h"

struct rill_object_version {
    atomic_uint refs;
    const struct rill_object_type *type;
    void *object;
    char version[RILL_OBJECT_VERSION_BYTES];
};

struct rill_load {
    const char *name;
    struct rill_load_report *report;
    struct rill_error error;
};

/* --- declaring -------------------------------------------------------------------------------- */

static bool is_string_option(const struct rill_nf *nf, const char *name)
{
    for (const struct rill_option *o = nf->descriptor->options; o != NULL && o->name != NULL; o++)
        if (strcmp(o->name, name) == 0)
            return o->type == RILL_OPT_STRING;
    return false;
}

/* Why such an object can't be had; NULL if it can. */
static const char *declare_fault(const struct rill_nf *nf, const char *option,
                                 const struct rill_object_type *type)
{
    const char *name;

    if (!nf->in_init)
        return "objects are declared in init only";
    if (nf->objects_n == RILL_NF_OBJECTS_MAX)
        return "an NF has at most 8 objects";
    if (type == NULL || type->load == NULL || type->unload == NULL)
        return "its type needs load and unload";
    if (option == NULL || !is_string_option(nf, option))
        return "the NF's options have no string of that name";
    name = rill_config_string(nf->config, option);
    if (name[0] != '\0' && !rill_object_name_is_plain(name))
        return "an object's name has no space and no '/', and does not begin with '.'";
    return NULL;
}

int rill_object_declare(struct rill_nf *nf, const char *option, const struct rill_object_type *type)
{
    const char *fault = declare_fault(nf, option, type);

    if (fault != NULL)
        return rill_nf_error(nf, "NF '%s': option '%s' as an object: %s", nf->descriptor->name,
                             option != NULL ? option : "", fault);
    nf->objects[nf->objects_n] =
        (struct rill_nf_object){.spec = {.nf = nf->descriptor->name,
                                         .option = option,
                                         .name = rill_config_string(nf->config, option),
                                         .type = type,
                                         .config = nf->config}};
    return (int)nf->objects_n++;
}

const void *rill_object(struct rill_nf *nf, int index)
{
    return nf->objects[index].present;
}

unsigned rill_nf_object_count(const struct rill_nf *nf)
{
    return nf->objects_n;
}

const struct rill_object_spec *rill_nf_object_spec(const struct rill_nf *nf, unsigned i)
{
    return &nf->objects[i].spec;
}

/* --- versions --------------------------------------------------------------------------------- */

static void clean(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

__attribute__((format(printf, 5, 0))) static void
place(char *text, size_t size, const char *name, unsigned line, const char *format, va_list args)
{
    int n =
        line > 0 ? snprintf(text, size, "%s:%u: ", name, line) : snprintf(text, size, "%s: ", name);

    if (n >= 0 && (size_t)n < size)
        vsnprintf(text + n, size - (size_t)n, format, args);
    clean(text);
}

void *rill_load_error(struct rill_load *load, unsigned line, const char *format, ...)
{
    va_list args;

    if (load->error.text[0] != '\0') /* the first is the cause */
        return NULL;
    va_start(args, format);
    place(load->error.text, sizeof(load->error.text), load->name, line, format, args);
    va_end(args);
    return NULL;
}

void rill_load_skip(struct rill_load *load, unsigned line, const char *format, ...)
{
    struct rill_load_report *report = load->report;
    va_list args;

    if (report->skipped++ >= RILL_LOAD_SKIPS_SHOWN)
        return;
    va_start(args, format);
    place(report->lines[report->skipped - 1], sizeof(report->lines[0]), load->name, line, format,
          args);
    va_end(args);
}

struct rill_object_version *rill_object_load(const struct rill_object_spec *spec,
                                             const char *version, const char *text, size_t bytes,
                                             struct rill_load_report *report,
                                             struct rill_error *err)
{
    struct rill_object_version *v = calloc(1, sizeof(*v));
    struct rill_load load = {.name = spec->name, .report = report};

    *report = (struct rill_load_report){0};
    if (v == NULL) {
        rill_error_set(err, -ENOMEM, "%s: no memory for a version of it; free some", spec->name);
        return NULL;
    }
    atomic_init(&v->refs, 1);
    v->type = spec->type;
    snprintf(v->version, sizeof(v->version), "%s", version);
    v->object = spec->type->load(&load, spec->config, text, bytes);
    if (v->object != NULL && load.error.text[0] == '\0')
        return v;
    if (load.error.text[0] != '\0')
        rill_error_set(err, -EINVAL, "%s", load.error.text);
    else
        rill_error_set(err, -EINVAL,
                       "%s: NF '%s' refuses it and does not say why; it should call "
                       "rill_load_error()",
                       spec->name, spec->nf);
    rill_object_release(v);
    return NULL;
}

void rill_object_hold(struct rill_object_version *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void rill_object_release(struct rill_object_version *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (v->object != NULL)
        v->type->unload(v->object);
    free(v);
}

const char *rill_object_version_text(const struct rill_object_version *v)
{
    return v->version;
}

/* --- the one in use --------------------------------------------------------------------------- */

/* The line of rill_nf_error(), or one that says that there is none. */
static int refusal(struct rill_nf *nf, const struct rill_object_spec *spec, struct rill_error *err)
{
    const char *why = nf->error.text[0] != '\0' ? nf->error.text
                                                : "it does not say why; it should call "
                                                  "rill_nf_error()";

    return rill_error_set(err, -EINVAL, "%s: NF '%s' refuses this version: %.300s", spec->name,
                          spec->nf, why);
}

int rill_nf_object_set(struct rill_nf *nf, unsigned i, struct rill_object_version *v,
                       struct rill_error *err)
{
    struct rill_nf_object *object = &nf->objects[i];
    struct rill_object_version *before = object->version;

    if (object->spec.type->changed != NULL) {
        int rc;

        nf->error.text[0] = '\0';
        rc = object->spec.type->changed(nf, v->object);
        if (rc != 0 || nf->error.text[0] != '\0')
            return refusal(nf, &object->spec, err);
    }
    rill_object_hold(v);
    object->version = v;
    object->present = v->object;
    rill_object_release(before);
    return 0;
}

const char *rill_nf_object_version(const struct rill_nf *nf, unsigned i)
{
    return nf->objects[i].version != NULL ? nf->objects[i].version->version : "";
}

const struct rill_object_spec *rill_nf_object_missing(const struct rill_nf *nf)
{
    for (unsigned i = 0; i < nf->objects_n; i++)
        if (nf->objects[i].spec.name[0] != '\0' && nf->objects[i].version == NULL)
            return &nf->objects[i].spec;
    return NULL;
}

void rill_nf_objects_fini(struct rill_nf *nf)
{
    for (unsigned i = 0; i < nf->objects_n; i++)
        rill_object_release(nf->objects[i].version);
}
