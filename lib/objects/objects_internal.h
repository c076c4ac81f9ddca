/* What the forms of the store share; for no one else. */
#ifndef RILL_LIB_OBJECTS_OBJECTS_INTERNAL_H
#define RILL_LIB_OBJECTS_OBJECTS_INTERNAL_H

#include "lib/objects/objects.h"

struct objects_ops {
    int (*version)(struct rill_objects *objects, const char *name, char *version,
                   struct rill_error *err);
    int (*get)(struct rill_objects *objects, const char *name, struct rill_objects_text *text,
               struct rill_error *err);
    int (*put)(struct rill_objects *objects, const char *name, const char *bytes, size_t count,
               const char *version, struct rill_error *err);
    int (*list)(struct rill_objects *objects,
                void (*each)(void *arg, const char *name, const char *version, size_t bytes),
                void *arg, struct rill_error *err);
    void (*close)(struct rill_objects *objects);
};

struct rill_objects {
    const struct objects_ops *ops;
    char address[512];
};

struct rill_objects *objects_folder_open(const char *path, struct rill_error *err);
/* `where`: what follows the scheme. */
struct rill_objects *objects_redis_open(const char *where, bool is_unix, struct rill_error *err);

/* Names in order; grows by itself. */
struct objects_names {
    char (*at)[RILL_OBJECT_NAME_MAX + 1];
    size_t count, room;
};
int objects_names_add(struct objects_names *names, const char *name);
void objects_names_sort(struct objects_names *names);

#endif
