#include "lib/objects/objects.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/objects/objects_internal.h"

struct rill_objects *rill_objects_open(const char *address, struct rill_error *err)
{
    static const char tcp[] = "redis://", local[] = "redis+unix:";
    struct rill_objects *objects;

    if (strncmp(address, tcp, strlen(tcp)) == 0)
        objects = objects_redis_open(address + strlen(tcp), false, err);
    else if (strncmp(address, local, strlen(local)) == 0)
        objects = objects_redis_open(address + strlen(local), true, err);
    else
        objects = objects_folder_open(address, err);
    if (objects != NULL)
        snprintf(objects->address, sizeof(objects->address), "%s", address);
    return objects;
}

void rill_objects_close(struct rill_objects *objects)
{
    if (objects != NULL)
        objects->ops->close(objects);
}

const char *rill_objects_address(const struct rill_objects *objects)
{
    return objects->address;
}

static int check_name(const char *name, struct rill_error *err)
{
    if (rill_object_name_is_plain(name))
        return 0;
    return rill_error_set(err, -EINVAL,
                          "object '%.80s': a name has 1 to 128 characters, no space and no '/', "
                          "and does not begin with '.'",
                          name);
}

int rill_objects_version(struct rill_objects *objects, const char *name,
                         char version[RILL_OBJECT_VERSION_BYTES], struct rill_error *err)
{
    int rc = check_name(name, err);

    return rc == 0 ? objects->ops->version(objects, name, version, err) : rc;
}

int rill_objects_get(struct rill_objects *objects, const char *name, struct rill_objects_text *text,
                     struct rill_error *err)
{
    int rc = check_name(name, err);

    *text = (struct rill_objects_text){.bytes = NULL};
    return rc == 0 ? objects->ops->get(objects, name, text, err) : rc;
}

int rill_objects_put(struct rill_objects *objects, const char *name, const char *bytes,
                     size_t count, char version[RILL_OBJECT_VERSION_BYTES], struct rill_error *err)
{
    int rc = check_name(name, err);

    if (rc == 0 && count > RILL_OBJECTS_TEXT_MAX)
        rc = rill_error_set(err, -EINVAL, "object '%s': more than 64 MB; split it", name);
    if (rc != 0)
        return rc;
    rill_objects_name_version(bytes, count, version);
    return objects->ops->put(objects, name, bytes, count, version, err);
}

int rill_objects_list(struct rill_objects *objects,
                      void (*each)(void *arg, const char *name, const char *version, size_t bytes),
                      void *arg, struct rill_error *err)
{
    return objects->ops->list(objects, each, arg, err);
}

/* FNV-1a, 64 bits, from two different starts: 128 bits that no two texts of one name share by
 * accident. Not made to withstand somebody who is after that: who writes objects may write any. */
void rill_objects_name_version(const char *bytes, size_t count,
                               char version[RILL_OBJECT_VERSION_BYTES])
{
    uint64_t a = UINT64_C(0xcbf29ce484222325), b = UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < count; i++) {
        a = (a ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
        b = (b ^ (unsigned char)bytes[i]) * UINT64_C(0xff51afd7ed558ccd);
        b ^= b >> 29;
    }
    snprintf(version, RILL_OBJECT_VERSION_BYTES, "%016" PRIx64 "%016" PRIx64, a, b);
}

int objects_names_add(struct objects_names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : names->room * 2;
        void *at = realloc(names->at, room * sizeof(names->at[0]));

        if (at == NULL)
            return -ENOMEM;
        names->at = at;
        names->room = room;
    }
    snprintf(names->at[names->count++], sizeof(names->at[0]), "%s", name);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

void objects_names_sort(struct objects_names *names)
{
    if (names->count > 0)
        qsort(names->at, names->count, sizeof(names->at[0]), by_name);
}
